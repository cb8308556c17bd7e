/* zone.c - time zones from the system's files (RFC 8536) and local time (proleptic Gregorian). */
#include "policy_int.h"

#define POLICY_DAY_S 86400
#define POLICY_TZIF_HEAD 44
#define POLICY_SHIFTS_MAX 4096 /* of a file; the longest real one has 400 */

/* --- the calendar --- */

/* Days since 1970-01-01; month 1..12. */
static int64_t policy_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + (int64_t)doe - 719468;
}

static uint32_t policy_date(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = (int64_t)yoe + era * 400 + (month <= 2 ? 1 : 0);

    return year > 0 && year < 10000 ? (uint32_t)year * 10000 + month * 100 + day : 0;
}

static int64_t policy_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static unsigned policy_weekday(int64_t days) /* 0: Monday; 1970-01-01 was a Thursday */
{
    return (unsigned)(days + 3 - 7 * policy_floor(days + 3, 7));
}

static bool policy_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* --- numbers of a file --- */

static int64_t policy_be(const char *p, size_t n)
{
    uint64_t v = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++) {
        v = v << 8 | (uint8_t)p[i];
    }
    return (int64_t)v;
}

struct policy_tzif { /* one block of a file */
    size_t n_shifts, n_types, n_chars, n_leaps, n_std, n_ut;
    size_t time; /* bytes of a time */
    struct sl body;
};

/* Reads the header and moves `in` behind the block. */
static int policy_tzif_block(struct sl *in, size_t time, struct policy_tzif *b)
{
    size_t counts[6], size;

    if (in->n < POLICY_TZIF_HEAD || !sl_starts(*in, SL("TZif"))) {
        return EBADMSG;
    }
    for (size_t i = 0; i < 6; i++) {
        int64_t v = policy_be(in->p + 20 + 4 * i, 4);

        if (v < 0 || v > POLICY_SHIFTS_MAX) {
            return EBADMSG;
        }
        counts[i] = (size_t)v;
    }
    *b = (struct policy_tzif){.n_ut = counts[0],
                              .n_std = counts[1],
                              .n_leaps = counts[2],
                              .n_shifts = counts[3],
                              .n_types = counts[4],
                              .n_chars = counts[5],
                              .time = time};
    size = b->n_shifts * (time + 1) + b->n_types * 6 + b->n_chars + b->n_leaps * (time + 4) +
           b->n_std + b->n_ut;
    if (in->n - POLICY_TZIF_HEAD < size || b->n_types == 0) {
        return EBADMSG;
    }
    b->body = sl_make(in->p + POLICY_TZIF_HEAD, size);
    *in = sl_from(*in, POLICY_TZIF_HEAD + size);
    return 0;
}

static int policy_tzif_shifts(const struct policy_tzif *b, struct policy_zone *z)
{
    const char *times = b->body.p, *index = times + b->n_shifts * b->time;
    const char *types = index + b->n_shifts;

    z->e[z->n++] =
        (struct policy_shift){.from_s = INT64_MIN, .offset_s = (int32_t)policy_be(types, 4)};
    for (size_t i = 0; i < b->n_shifts; i++) {
        size_t type = (uint8_t)index[i];
        int64_t from = policy_be(times + i * b->time, b->time);

        if (type >= b->n_types || from <= z->e[z->n - 1].from_s) {
            return EBADMSG;
        }
        z->e[z->n++] = (struct policy_shift){.from_s = from,
                                             .offset_s = (int32_t)policy_be(types + 6 * type, 4)};
    }
    return 0;
}

/* --- the rule for later years (POSIX TZ, with RFC 8536 3.3.1's longer times) --- */

struct policy_turn { /* a day of the year and its time */
    char kind;       /* M, J or n as in POSIX */
    unsigned month, week, day;
    int32_t time_s;
};

static bool policy_digits(struct sl *in, unsigned max, unsigned *out)
{
    size_t n = 0;
    uint32_t v;

    while (n < in->n && in->p[n] >= '0' && in->p[n] <= '9') {
        n++;
    }
    if (sl_u32(sl_head(*in, n), max, &v) != 0) {
        return false;
    }
    *out = v;
    *in = sl_from(*in, n);
    return true;
}

static bool policy_skip(struct sl *in, char ch)
{
    if (in->n == 0 || in->p[0] != ch) {
        return false;
    }
    *in = sl_from(*in, 1);
    return true;
}

static bool policy_time(struct sl *in, int32_t *out)
{
    bool is_minus = policy_skip(in, '-');
    unsigned h, m = 0, s = 0;

    if (!is_minus) {
        (void)policy_skip(in, '+');
    }
    if (!policy_digits(in, 167, &h) || (policy_skip(in, ':') && !policy_digits(in, 59, &m)) ||
        (policy_skip(in, ':') && !policy_digits(in, 59, &s))) {
        return false;
    }
    *out = (int32_t)(h * 3600 + m * 60 + s) * (is_minus ? -1 : 1);
    return true;
}

static bool policy_zone_name(struct sl *in)
{
    size_t n = 0;

    if (policy_skip(in, '<')) {
        ptrdiff_t end = sl_chr(*in, '>');

        *in = sl_from(*in, end < 0 ? in->n : (size_t)end + 1);
        return end > 0;
    }
    while (n < in->n && (in->p[n] | 0x20) >= 'a' && (in->p[n] | 0x20) <= 'z') {
        n++;
    }
    *in = sl_from(*in, n);
    return n >= 3;
}

static bool policy_turn(struct sl *in, struct policy_turn *t)
{
    bool is_good;

    *t = (struct policy_turn){.kind = 'n', .time_s = 2 * 3600};
    if (policy_skip(in, 'M')) {
        t->kind = 'M';
        is_good = policy_digits(in, 12, &t->month) && t->month != 0 && policy_skip(in, '.') &&
                  policy_digits(in, 5, &t->week) && t->week != 0 && policy_skip(in, '.') &&
                  policy_digits(in, 6, &t->day);
    } else {
        t->kind = policy_skip(in, 'J') ? 'J' : 'n';
        is_good = policy_digits(in, 365, &t->day) && (t->kind == 'n' || t->day != 0);
    }
    return is_good && (!policy_skip(in, '/') || policy_time(in, &t->time_s));
}

/* When it is in that year, in seconds of local time. */
static int64_t policy_turn_at(const struct policy_turn *t, int64_t year)
{
    int64_t first = policy_days(year, t->kind == 'M' ? t->month : 1, 1), day;

    if (t->kind == 'M') {
        unsigned want = (t->day + 6) % 7; /* POSIX counts from Sunday */
        int64_t next =
            t->month == 12 ? policy_days(year + 1, 1, 1) : policy_days(year, t->month + 1, 1);

        day = first + (want + 7 - policy_weekday(first)) % 7 + 7 * ((int64_t)t->week - 1);
        day -= day >= next ? 7 : 0; /* week 5: the last one */
    } else if (t->kind == 'J') {    /* 29 February is never counted */
        day = first + t->day - 1 + (policy_is_leap(year) && t->day > 59 ? 1 : 0);
    } else {
        day = first + t->day;
    }
    return day * POLICY_DAY_S + t->time_s;
}

struct policy_rule {
    int32_t std_s, dst_s; /* seconds east */
    bool has_dst;
    struct policy_turn start, end;
};

static bool policy_rule(struct sl in, struct policy_rule *r)
{
    *r = (struct policy_rule){0};
    if (!policy_zone_name(&in) || !policy_time(&in, &r->std_s)) {
        return false;
    }
    r->std_s = -r->std_s;
    if (in.n == 0) {
        return true;
    }
    r->has_dst = true;
    r->dst_s = -(r->std_s + 3600);
    if (!policy_zone_name(&in) || (in.n != 0 && in.p[0] != ',' && !policy_time(&in, &r->dst_s))) {
        return false;
    }
    r->dst_s = -r->dst_s;
    return policy_skip(&in, ',') && policy_turn(&in, &r->start) && policy_skip(&in, ',') &&
           policy_turn(&in, &r->end) && in.n == 0;
}

static void policy_zone_later(struct policy_zone *z, int64_t from_s, int32_t offset_s)
{
    struct policy_shift *last = &z->e[z->n - 1];

    if (from_s == last->from_s && z->n > 1) { /* one turn undoes the other: summer time all year */
        last->offset_s = offset_s;
    } else if (from_s > last->from_s && offset_s != last->offset_s) {
        z->e[z->n++] = (struct policy_shift){from_s, offset_s};
    }
}

static int64_t policy_zone_last_year(const struct policy_zone *z)
{
    int64_t last = z->e[z->n - 1].from_s;

    return last < 0 ? 1970 : policy_date(policy_floor(last, POLICY_DAY_S)) / 10000;
}

static void policy_zone_extend(struct policy_zone *z, const struct policy_rule *r)
{
    if (!r->has_dst) {
        policy_zone_later(z, z->e[z->n - 1].from_s + 1, r->std_s);
        return;
    }
    for (int64_t year = policy_zone_last_year(z); year < POLICY_ZONE_YEARS; year++) {
        int64_t start = policy_turn_at(&r->start, year) - r->std_s;
        int64_t end = policy_turn_at(&r->end, year) - r->dst_s;

        if (start < end) {
            policy_zone_later(z, start, r->dst_s);
            policy_zone_later(z, end, r->std_s);
        } else { /* the south */
            policy_zone_later(z, end, r->std_s);
            policy_zone_later(z, start, r->dst_s);
        }
    }
}

int policy_zone_parse(struct policy_zone *z, struct arena *arena, struct sl tzif)
{
    struct sl in = tzif, rule;
    struct policy_tzif b;
    struct policy_rule r = {0};
    size_t most;
    int err = policy_tzif_block(&in, 4, &b);

    if (err == 0 && tzif.p[4] >= '2') {
        err = policy_tzif_block(&in, 8, &b);
        if (err == 0 && (!policy_skip(&in, '\n') || sl_split(&in, '\n', 256, &rule) != 0)) {
            err = EBADMSG;
        } else if (err == 0 && rule.n != 0 && !policy_rule(rule, &r)) {
            err = ENOTSUP;
        }
    } else {
        rule = SL_NULL;
    }
    if (err != 0) {
        return err;
    }
    most = b.n_shifts + 2 + 2 * (POLICY_ZONE_YEARS - 1969);
    *z = (struct policy_zone){.e = arena_alloc(arena, most * sizeof(*z->e))};
    if (z->e == NULL) {
        return ENOMEM;
    }
    err = policy_tzif_shifts(&b, z);
    if (err == 0 && rule.n != 0) {
        policy_zone_extend(z, &r);
    }
    return err;
}

int policy_zone_fixed(struct policy_zone *z, struct arena *arena, struct sl text)
{
    bool is_east = text.n != 0 && text.p[0] == '+';
    struct sl rest = sl_from(text, 1), tail;
    uint32_t h = 0, m = 0;

    if (!sl_eq(text, SL("Z")) && !sl_eq(text, SL("UTC"))) {
        tail = rest.n == 5 && rest.p[2] == ':' ? sl_from(rest, 3) : sl_from(rest, 2);
        if (text.n == 0 || (!is_east && text.p[0] != '-') || tail.n != 2 ||
            sl_u32(sl_head(rest, 2), 14, &h) != 0 || sl_u32(tail, 59, &m) != 0) {
            return EBADMSG;
        }
    }
    *z = (struct policy_zone){.n = 1, .e = arena_alloc(arena, sizeof(*z->e))};
    if (z->e == NULL) {
        return ENOMEM;
    }
    z->e[0] = (struct policy_shift){INT64_MIN, (int32_t)(h * 3600 + m * 60) * (is_east ? 1 : -1)};
    return 0;
}

/* --- what time it is there --- */

int32_t policy_zone_offset(const struct policy_zone *z, int64_t unix_s)
{
    size_t lo = 0, hi = z->n;

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;

        if (z->e[mid].from_s <= unix_s) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return z->e[lo].offset_s;
}

static void policy_local_of(int64_t days, int64_t second, struct policy_local *out)
{
    *out = (struct policy_local){.date = policy_date(days),
                                 .minute = (uint16_t)(second / 60),
                                 .weekday = (uint8_t)policy_weekday(days)};
}

void policy_local_time(const struct policy_zone *z, int64_t unix_s, struct policy_local *out)
{
    int64_t local = unix_s + policy_zone_offset(z, unix_s);
    int64_t days = policy_floor(local, POLICY_DAY_S);

    policy_local_of(days, local - days * POLICY_DAY_S, out);
}

static bool policy_is_date(const struct policy_when *w, uint32_t date)
{
    for (size_t i = 0; i < w->n_dates; i++) {
        const struct policy_dates *d = &w->dates[i];
        uint32_t at = d->from > 1231 ? date : date % 10000;

        if (d->from <= d->to ? at >= d->from && at <= d->to : at >= d->from || at <= d->to) {
            return true; /* 12-24..01-02 goes over the end of the year */
        }
    }
    return w->n_dates == 0;
}

static bool policy_is_day(const struct policy_when *w, const struct policy_local *at)
{
    return (w->days == 0 || (w->days >> at->weekday & 1) != 0) && policy_is_date(w, at->date);
}

bool policy_when_holds(const struct policy_when *w, int64_t unix_s)
{
    int64_t local, days;
    struct policy_local now, before;
    bool today, yesterday;

    if (w->zone == NULL) {
        return true;
    }
    local = unix_s + policy_zone_offset(w->zone, unix_s);
    days = policy_floor(local, POLICY_DAY_S);
    policy_local_of(days, local - days * POLICY_DAY_S, &now);
    policy_local_of(days - 1, 0, &before);
    today = policy_is_day(w, &now);
    yesterday = policy_is_day(w, &before);
    for (size_t i = 0; i < w->n_hours; i++) {
        const struct policy_hours *h = &w->hours[i];
        bool is_over = h->to <= h->from;

        if ((today && now.minute >= h->from && (is_over || now.minute < h->to)) ||
            (yesterday && is_over && now.minute < h->to)) {
            return true;
        }
    }
    return w->n_hours == 0 && today;
}
