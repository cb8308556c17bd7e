/* time.c - points in time as an operator writes them. */
#include "admin-http/admin_int.h"

#define MS_PER_DAY INT64_C(86400000)

static int time_number(struct sl *in, size_t digits, uint32_t min, uint32_t max, uint32_t *out)
{
    struct sl word = sl_head(*in, digits);

    if (word.n != digits || sl_u32(word, max, out) != 0 || *out < min) {
        return EBADMSG;
    }
    *in = sl_from(*in, digits);
    return 0;
}

static int time_byte(struct sl *in, const char *one_of)
{
    if (in->n == 0 || in->p[0] == '\0' || strchr(one_of, in->p[0]) == NULL) {
        return EBADMSG;
    }
    *in = sl_from(*in, 1);
    return 0;
}

/* Days from 1970-01-01: years begin in March here, so that the leap day is the last of its year. */
static int64_t time_days(uint32_t year, uint32_t month, uint32_t day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t mp = (month + 9) % 12;
    int64_t doy = (153 * mp + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + doy - 719468;
}

static uint32_t time_month_days(uint32_t year, uint32_t month)
{
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 ? (is_leap ? 29 : 28) : 30 + ((month + (month > 7)) % 2);
}

static int time_date(struct sl *in, int64_t *ms)
{
    uint32_t year, month, day;

    if (time_number(in, 4, 1970, 9999, &year) != 0 || time_byte(in, "-") != 0 ||
        time_number(in, 2, 1, 12, &month) != 0 || time_byte(in, "-") != 0 ||
        time_number(in, 2, 1, time_month_days(year, month), &day) != 0) {
        return EBADMSG;
    }
    *ms = time_days(year, month, day) * MS_PER_DAY;
    return 0;
}

static int time_fraction(struct sl *in, int64_t *ms)
{
    int64_t unit = 100;

    if (time_byte(in, ".") != 0) {
        return 0;
    }
    if (in->n == 0 || in->p[0] < '0' || in->p[0] > '9') {
        return EBADMSG;
    }
    while (in->n != 0 && in->p[0] >= '0' && in->p[0] <= '9') { /* beyond ms: dropped */
        *ms += (in->p[0] - '0') * unit;
        unit /= 10;
        *in = sl_from(*in, 1);
    }
    return 0;
}

static int time_clock(struct sl *in, int64_t *ms)
{
    uint32_t hour, minute, second;

    if (time_number(in, 2, 0, 23, &hour) != 0 || time_byte(in, ":") != 0 ||
        time_number(in, 2, 0, 59, &minute) != 0 || time_byte(in, ":") != 0 ||
        time_number(in, 2, 0, 60, &second) != 0) { /* 60: a leap second */
        return EBADMSG;
    }
    *ms += ((int64_t)hour * 3600 + minute * 60 + second) * 1000;
    return time_fraction(in, ms);
}

/* "Z" or "+01:00"; a '+' that was not encoded in the query is a space by now. */
static int time_zone(struct sl *in, int64_t *ms)
{
    uint32_t hour, minute;
    bool is_west = in->n != 0 && in->p[0] == '-';
    int64_t offset;

    if (time_byte(in, "Zz") == 0) {
        return 0;
    }
    if (time_byte(in, "+- ") != 0 || time_number(in, 2, 0, 23, &hour) != 0 ||
        time_byte(in, ":") != 0 || time_number(in, 2, 0, 59, &minute) != 0) {
        return EBADMSG;
    }
    offset = ((int64_t)hour * 60 + minute) * 60000;
    *ms += is_west ? offset : -offset;
    return 0;
}

int time_parse(struct sl text, int64_t *ms)
{
    uint64_t number;
    int64_t t = 0;

    if (sl_u64(text, INT64_C(253402300799999), &number) == 0) { /* to the end of year 9999 */
        t = (int64_t)number;
    } else if (time_date(&text, &t) != 0 || time_byte(&text, "Tt ") != 0 ||
               time_clock(&text, &t) != 0 || time_zone(&text, &t) != 0 || text.n != 0) {
        return EBADMSG;
    }
    if (t <= 0) {
        return EBADMSG;
    }
    *ms = t;
    return 0;
}

int64_t duration_parse(struct sl text, uint32_t max_s)
{
    static const struct {
        char unit;
        uint32_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint32_t n = 0;

    for (size_t i = 0; i < COUNT_OF(units) && text.n > 1; i++) {
        if (text.p[text.n - 1] == units[i].unit &&
            sl_u32(sl_head(text, text.n - 1), max_s / units[i].s, &n) == 0) {
            return (int64_t)n * units[i].s * 1000;
        }
    }
    return 0;
}
