/* value_route.c - readers of what routes are made of: parties, numbers, patterns, codes, times. */
#include "config/schema_int.h"

#define CFG_ZONE_DIR "/usr/share/zoneinfo/"
#define CFG_ZONE_MAX (64u << 10)

/* --- parties --- */

static void cfg_refuse_party(struct cfg *c, const struct cfg_node *n, bool only_peers)
{
    const struct policy_def *def = &c->config->def;
    struct cfg_nearest near = {.want = n->value};

    cfg_nearest_try(&near, def->users.present && !only_peers ? "users" : NULL);
    for (size_t i = 0; cfg_errors_room(c) && i < def->n_peers; i++) {
        cfg_nearest_try(&near, def->peers[i].name);
    }
    for (size_t i = 0; cfg_errors_room(c) && !only_peers && i < def->n_groups; i++) {
        cfg_nearest_try(&near, def->groups[i].name);
    }
    cfg_error_value(c, n, &near, "there is no peer '%.*s'", SL_ARG(cfg_shown(n->value)));
}

static bool cfg_find_peer(const struct cfg *c, struct sl name, struct policy_ref *ref)
{
    int64_t index = cfg_names_find(&c->peers, name);

    if (index >= 0) {
        *ref = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)index};
    }
    return index >= 0;
}

void cfg_read_peer(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_ref ref;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (!cfg_find_peer(c, n->value, &ref)) {
        cfg_refuse_party(c, n, true);
        return;
    }
    memcpy((char *)at + k->at, &ref, sizeof(ref));
}

void cfg_read_party(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_ref ref = {.kind = POLICY_USERS};
    int64_t group;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    group = cfg_names_find(&c->groups, n->value);
    if (sl_eq(n->value, SL("users"))) {
        if (!c->config->def.users.present) {
            cfg_error(c, n, "there are no users: the section 'users' is missing");
        }
    } else if (group >= 0) {
        ref = (struct policy_ref){.kind = POLICY_GROUP, .peer = (uint16_t)group};
    } else if (!cfg_find_peer(c, n->value, &ref)) {
        cfg_refuse_party(c, n, false);
        return;
    }
    memcpy((char *)at + k->at, &ref, sizeof(ref));
}

void cfg_read_to(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    static const struct cfg_key keys[] = {
        {.key = "peer",
         .type = CFG_PARTY,
         .flags = CFG_REQUIRED,
         .help = "users, or the name of a peer or group."},
        {.key = "weight",
         .type = CFG_INT,
         .dflt = "1",
         .min = 1,
         .max = 1000,
         .at = offsetof(struct policy_ref, weight),
         .size = sizeof(uint16_t),
         .help = "Share among the neighbours that have a weight."},
    };
    static const struct cfg_object to = {
        .keys = keys, .n_keys = COUNT_OF(keys), .size = sizeof(struct policy_ref)};

    if (n->kind == CFG_MAPPING) {
        cfg_read_object(c, &to, n, (char *)at + k->at);
    } else {
        cfg_read_party(c, k, n, at);
    }
}

/* --- numbers --- */

void cfg_read_number(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    if (n->kind == CFG_MAPPING) {
        cfg_read_object(c, k->sub, n, (char *)at + k->n_at);
    } else {
        cfg_read_glob(c, k, n, at);
    }
}

void cfg_read_pattern(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct cfg_pattern *own;
    char why[128];
    size_t offset;
    int err;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    own = arena_zalloc(c->arena, sizeof(*own));
    err = own != NULL ? policy_pattern_new(&own->p, n->value, &offset, why) : ENOMEM;
    if (err == EBADMSG) {
        cfg_error(c, n, "is no regular expression: %s, at character %zu", why, offset + 1);
    } else if (err != 0) {
        c->err = err;
    } else {
        own->next = c->patterns;
        c->patterns = own;
        memcpy((char *)at + k->at, &own->p, sizeof(own->p));
    }
}

void cfg_read_cond(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_cond cond;

    if (n->kind == CFG_SCALAR && !cfg_is_null(n) && policy_cond_parse(n->value, &cond) != 0) {
        cfg_error(c, n, "'%.*s' is not NAME, !NAME or \"NAME: PATTERN\"",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    cfg_read_glob(c, k, n, at);
}

/* --- status codes --- */

void cfg_read_code(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct sl rest = n->value, first = rest;
    uint32_t lo = 0, hi = 0;
    uint16_t range[2];
    bool is_good;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (rest.n == 3 && sl_ieq(sl_from(rest, 1), SL("xx"))) {
        is_good = sl_u32(sl_head(rest, 1), 6, &lo) == 0;
        lo *= 100;
        hi = lo + 99;
    } else if (sl_split(&rest, '-', 3, &first) == 0) {
        is_good = sl_u32(first, 699, &lo) == 0 && sl_u32(rest, 699, &hi) == 0;
    } else {
        is_good = sl_u32(rest, 699, &lo) == 0;
        hi = lo;
    }
    if (!is_good || lo < 400 || hi < lo) {
        cfg_error(c, n, "'%.*s' is not a failure such as 503, 5xx or 480-488",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    range[0] = (uint16_t)lo;
    range[1] = (uint16_t)hi;
    memcpy((char *)at + k->at, range, sizeof(range));
}

/* --- time of day --- */

struct cfg_zone {
    struct cfg_zone *next;
    struct sl name;
    struct policy_zone *zone;
};

/* 0, ENOENT, EBADMSG, ENOTSUP or ENOMEM. */
static int cfg_zone_load(struct cfg *c, struct sl name, struct policy_zone *z)
{
    char path[128];
    struct buf p, b;
    int err;

    if (name.n > 64 || sl_find(name, SL("..")) >= 0 || name.p[0] == '/') {
        return ENOENT;
    }
    buf_init_fixed(&p, path, sizeof(path) - 1);
    BUF_LIT(&p, CFG_ZONE_DIR);
    buf_putsl(&p, name);
    path[p.n] = '\0';
    buf_init(&b, CFG_ZONE_MAX + 32768);
    err = config_read_file(&b, path, CFG_ZONE_MAX);
    if (err == 0) {
        err = policy_zone_parse(z, c->arena, buf_sl(&b));
    } else if (err != ENOMEM) {
        err = ENOENT;
    }
    buf_free(&b);
    return err;
}

static const struct policy_zone *cfg_zone_known(const struct cfg *c, struct sl name)
{
    for (const struct cfg_zone *z = c->zones; z != NULL; z = z->next) {
        if (sl_eq(z->name, name)) {
            return z->zone;
        }
    }
    return NULL;
}

static int cfg_zone_get(struct cfg *c, struct sl name, const struct policy_zone **out)
{
    struct policy_zone *zone = arena_zalloc(c->arena, sizeof(*zone));
    struct cfg_zone *z = arena_zalloc(&c->scratch, sizeof(*z));
    int err = zone != NULL && z != NULL ? 0 : ENOMEM;

    if (err == 0) {
        err = policy_zone_fixed(zone, c->arena, name);
        err = err == EBADMSG ? cfg_zone_load(c, name, zone) : err;
    }
    if (err == 0) {
        *z = (struct cfg_zone){.next = c->zones, .name = name, .zone = zone};
        c->zones = z;
        *out = zone;
    }
    return err;
}

void cfg_read_zone(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    const struct policy_zone *zone;
    int err = 0;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    zone = cfg_zone_known(c, n->value);
    if (zone == NULL) {
        err = cfg_zone_get(c, n->value, &zone);
    }
    if (err == ENOMEM) {
        c->err = ENOMEM;
    } else if (err != 0) {
        cfg_error(c, n, "'%.*s' is neither an offset such as +02:00 nor a zone in " CFG_ZONE_DIR,
                  SL_ARG(cfg_shown(n->value)));
    } else {
        memcpy((char *)at + k->at, &zone, sizeof(zone));
    }
}

static int cfg_day(struct sl s)
{
    static const struct sl names[] = {{"mon", 3}, {"tue", 3}, {"wed", 3}, {"thu", 3},
                                      {"fri", 3}, {"sat", 3}, {"sun", 3}};

    for (int i = 0; i < 7; i++) {
        if (sl_ieq(s, names[i])) {
            return i;
        }
    }
    return -1;
}

static void cfg_read_day(struct cfg *c, const struct cfg_node *n, uint8_t *days)
{
    struct sl rest = n->value, first = rest;
    int from, to;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    from = sl_split(&rest, '-', 3, &first) == 0 ? cfg_day(first) : cfg_day(rest);
    to = cfg_day(rest);
    if (from < 0 || to < 0) {
        cfg_error(c, n, "'%.*s' is not a day or a range of days such as mon-fri",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    *days |= (uint8_t)(1u << from);
    while (from != to) {
        from = (from + 1) % 7;
        *days |= (uint8_t)(1u << from);
    }
}

void cfg_read_days(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    uint8_t days = 0;

    if (n->kind != CFG_SEQUENCE) {
        cfg_read_day(c, n, &days);
    } else if (n->n == 0) {
        cfg_error(c, n, "must name at least one");
    } else {
        for (const struct cfg_node *i = n->first; i != NULL; i = i->next) {
            cfg_read_day(c, i, &days);
        }
    }
    cfg_store(k, at, days);
}

static bool cfg_minute(struct sl s, uint16_t *out)
{
    uint32_t h, m;

    if (s.n != 5 || s.p[2] != ':' || sl_u32(sl_head(s, 2), 24, &h) != 0 ||
        sl_u32(sl_from(s, 3), 59, &m) != 0 || (h == 24 && m != 0)) {
        return false;
    }
    *out = (uint16_t)(h * 60 + m);
    return true;
}

void cfg_read_hours(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_hours hours;
    struct sl rest = n->value, first;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (sl_split(&rest, '-', 5, &first) != 0 || !cfg_minute(first, &hours.from) ||
        !cfg_minute(rest, &hours.to) || hours.from == 24 * 60 || hours.from == hours.to) {
        cfg_error(c, n, "'%.*s' is not a range of hours such as 08:00-18:00",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    memcpy((char *)at + k->at, &hours, sizeof(hours));
}

static bool cfg_date(struct sl s, uint32_t *out)
{
    static const uint8_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t year = 0, month, day;
    struct sl rest = s;

    if (s.n == 10 && s.p[4] == '-') {
        if (sl_u32(sl_head(s, 4), 9999, &year) != 0 || year == 0) {
            return false;
        }
        rest = sl_from(s, 5);
    }
    if (rest.n != 5 || rest.p[2] != '-' || sl_u32(sl_head(rest, 2), 12, &month) != 0 ||
        month == 0 || sl_u32(sl_from(rest, 3), lengths[month - 1], &day) != 0 || day == 0) {
        return false;
    }
    *out = year * 10000 + month * 100 + day;
    return true;
}

void cfg_read_dates(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_dates d;
    struct sl first = n->value, last = first;
    ptrdiff_t dots;
    bool is_good;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    dots = sl_find(n->value, SL(".."));
    if (dots >= 0) {
        first = sl_head(n->value, (size_t)dots);
        last = sl_from(n->value, (size_t)dots + 2);
    }
    is_good = cfg_date(first, &d.from) && cfg_date(last, &d.to) &&
              (d.from > 1231) == (d.to > 1231) && (d.from <= 1231 || d.from <= d.to);
    if (!is_good) {
        cfg_error(c, n, "'%.*s' is not a date or range such as 12-24, 2027-05-01 or 12-24..12-26",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    memcpy((char *)at + k->at, &d, sizeof(d));
}
