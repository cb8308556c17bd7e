/* value.c - readers of numbers, durations, sizes, words and texts. */
#include "config/schema_int.h"

struct cfg_unit {
    const char *name;
    uint64_t factor;
};

static const struct cfg_unit cfg_time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct cfg_unit cfg_micro_units[] = {{"s", 1000000}, {"ms", 1000}, {"us", 1}};
static const struct cfg_unit cfg_size_units[] = {
    {"GiB", 1u << 30},
    {"MiB", 1u << 20},
    {"KiB", 1u << 10},
    {"B", 1},
};

/* The first unit that divides v. */
static void cfg_put_unit(struct buf *b, uint64_t v, const struct cfg_unit *units, size_t n)
{
    size_t i = 0;

    while (i + 1 < n && v % units[i].factor != 0) {
        i++;
    }
    buf_putu(b, v / units[i].factor);
    buf_puts(b, units[i].name);
}

void cfg_put_duration(struct buf *b, uint64_t ms)
{
    if (ms == 0) {
        BUF_LIT(b, "0s");
        return;
    }
    cfg_put_unit(b, ms, cfg_time_units, COUNT_OF(cfg_time_units));
}

void cfg_put_micros(struct buf *b, uint64_t us)
{
    if (us == 0) {
        BUF_LIT(b, "0us");
        return;
    }
    cfg_put_unit(b, us, cfg_micro_units, COUNT_OF(cfg_micro_units));
}

void cfg_put_size(struct buf *b, uint64_t bytes)
{
    cfg_put_unit(b, bytes, cfg_size_units, COUNT_OF(cfg_size_units));
}

static void cfg_put_number(struct buf *b, uint64_t v)
{
    buf_putu(b, v);
}

bool cfg_is_later(const char *const *later, struct sl value)
{
    for (; later != NULL && *later != NULL; later++) {
        if (sl_glob(sl_str(*later), value)) {
            return true;
        }
    }
    return false;
}

static int cfg_word_index(const char *const *words, struct sl value)
{
    for (int i = 0; words != NULL && words[i] != NULL; i++) {
        if (sl_eq(sl_str(words[i]), value)) {
            return i;
        }
    }
    return -1;
}

static void cfg_refuse_range(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                             void (*put)(struct buf *b, uint64_t v))
{
    char text[128];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    put(&b, (uint64_t)k->min);
    BUF_LIT(&b, " to ");
    put(&b, (uint64_t)k->max);
    if (k->words != NULL) {
        buf_putf(&b, ", or %s", k->words[0]);
    }
    text[b.n] = '\0';
    cfg_error(c, n, "'%.*s' is out of range: %s", SL_ARG(cfg_shown(n->value)), text);
}

static bool cfg_in_range(const struct cfg_key *k, uint64_t v)
{
    return v >= (uint64_t)k->min && v <= (uint64_t)k->max;
}

void cfg_read_int(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    int word = cfg_word_index(k->words, n->value);
    uint64_t v = 0;
    int err;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (word >= 0) {
        cfg_store(k, at, (uint64_t)word);
        return;
    }
    err = sl_u64(n->value, UINT32_MAX, &v);
    if (err == EBADMSG) {
        cfg_error(c, n, "'%.*s' is %s a whole number%s%s", SL_ARG(cfg_shown(n->value)),
                  k->words != NULL ? "neither" : "not", k->words != NULL ? " nor " : "",
                  k->words != NULL ? k->words[0] : "");
    } else if (err != 0 || !cfg_in_range(k, v)) {
        cfg_refuse_range(c, k, n, cfg_put_number);
    } else {
        cfg_store(k, at, v);
    }
}

/* Digits and one of the units. 0, EBADMSG neither, ENODATA no unit, EMSGSIZE too big to count. */
static int cfg_unit_parse(struct sl s, const struct cfg_unit *units, size_t n, uint64_t *out)
{
    size_t digits = 0;
    uint64_t v = 0;
    int err;

    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') {
        digits++;
    }
    if (digits == 0 || digits == s.n) {
        return digits == 0 ? EBADMSG : ENODATA;
    }
    for (size_t i = 0; i < n; i++) {
        if (sl_eq(sl_from(s, digits), sl_str(units[i].name))) {
            err = sl_u64(sl_head(s, digits), UINT64_MAX / units[i].factor, &v);
            *out = v * units[i].factor;
            return err;
        }
    }
    return EBADMSG;
}

struct cfg_measure {
    const struct cfg_unit *units;
    size_t n;
    const char *names, *such; /* the units, and values by way of example */
    void (*put)(struct buf *b, uint64_t v);
};

/* True: the value is in range, and *out. */
static bool cfg_read_measure(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                             const struct cfg_measure *m, uint64_t *out)
{
    struct sl shown = cfg_shown(n->value);
    int err = cfg_unit_parse(n->value, m->units, m->n, out);

    if (err == ENODATA) {
        cfg_error(c, n, "'%.*s' has no unit: %s, as in %s", SL_ARG(shown), m->names, k->dflt);
    } else if (err == EBADMSG) {
        cfg_error(c, n, "'%.*s' is not a %s%s%s", SL_ARG(shown), m->such,
                  k->words != NULL ? ", or " : "", k->words != NULL ? k->words[0] : "");
    } else if (err != 0 || !cfg_in_range(k, *out)) {
        cfg_refuse_range(c, k, n, m->put);
    } else {
        return true;
    }
    return false;
}

void cfg_read_duration(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    static const struct cfg_measure measure = {
        cfg_time_units, COUNT_OF(cfg_time_units), "ms, s, m, h or d",
        "duration such as 500ms, 30s, 5m, 1h or 1d", cfg_put_duration};
    int word = cfg_word_index(k->words, n->value);
    uint64_t ms = 0;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (word >= 0) {
        cfg_store(k, at, (uint64_t)word);
        return;
    }
    if (!cfg_read_measure(c, k, n, &measure, &ms)) {
        return;
    }
    if (k->type == CFG_SECONDS && ms % 1000 != 0) {
        cfg_error(c, n, "'%.*s' must be whole seconds", SL_ARG(cfg_shown(n->value)));
    } else {
        cfg_store(k, at, k->type == CFG_SECONDS ? ms / 1000 : ms);
    }
}

void cfg_read_micros(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    static const struct cfg_measure measure = {cfg_micro_units, COUNT_OF(cfg_micro_units),
                                               "us, ms or s", "duration such as 250us or 2ms",
                                               cfg_put_micros};
    uint64_t us = 0;

    if (cfg_is_scalar(c, n) && cfg_read_measure(c, k, n, &measure, &us)) {
        cfg_store(k, at, us);
    }
}

void cfg_read_size(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    static const struct cfg_measure measure = {cfg_size_units, COUNT_OF(cfg_size_units),
                                               "B, KiB, MiB or GiB",
                                               "size such as 512B, 64KiB or 1MiB", cfg_put_size};
    uint64_t bytes = 0;

    if (cfg_is_scalar(c, n) && cfg_read_measure(c, k, n, &measure, &bytes)) {
        cfg_store(k, at, bytes);
    }
}

static void cfg_refuse_word(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n)
{
    struct cfg_nearest near = {.want = n->value};
    char text[256];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    for (int i = 0; k->words[i] != NULL; i++) {
        buf_putf(&b, "%s%s", i != 0 ? ", " : "", k->words[i]);
        cfg_nearest_try(&near, k->words[i]);
    }
    text[b.n] = '\0';
    cfg_error_value(c, n, &near, "'%.*s' is not %s%s", SL_ARG(cfg_shown(n->value)),
                    k->words[1] != NULL ? "one of " : "", text);
}

/* A word that has settings of its own, {word: ...}, is one that this version does not have. */
static bool cfg_refuse_later_map(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n)
{
    if (n->kind != CFG_MAPPING || n->first == NULL || !cfg_is_later(k->later, n->first->key)) {
        return false;
    }
    cfg_error_key(c, n->first, NULL, "'%.*s' is not supported by this version",
                  SL_ARG(cfg_shown(n->first->key)));
    return true;
}

void cfg_read_enum(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    int word = cfg_word_index(k->words, n->value);

    if (cfg_refuse_later_map(c, k, n) || !cfg_is_scalar(c, n)) {
        return;
    }
    if (word >= 0) {
        cfg_store(k, at, (uint64_t)word);
    } else if (cfg_is_later(k->later, n->value)) {
        cfg_error(c, n, "'%.*s' is not supported by this version", SL_ARG(cfg_shown(n->value)));
    } else {
        cfg_refuse_word(c, k, n);
    }
}

/* Length and alphabet; out of it the text is kept in the snapshot. */
static void cfg_read_text(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                          void *at, const char *only)
{
    char *copy;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (n->value.n < (size_t)k->min || n->value.n > (size_t)k->max) {
        cfg_error(c, n, "must have %lld to %lld characters, not %zu", (long long)k->min,
                  (long long)k->max, n->value.n);
        return;
    }
    for (size_t i = 0; only != NULL && i < n->value.n; i++) {
        unsigned char ch = (unsigned char)n->value.p[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (!is_alnum && (ch >= 0x80 || strchr(only, ch) == NULL)) {
            cfg_error(c, n, "'%.*s' may hold only letters, digits and %s",
                      SL_ARG(cfg_shown(n->value)), only);
            return;
        }
    }
    copy = cfg_keep(c, n->value);
    memcpy((char *)at + k->at, &copy, sizeof(copy));
}

void cfg_read_string(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_text(c, k, n, at, NULL);
}

void cfg_read_name(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_text(c, k, n, at, "._-");
}

/* RFC 3261 25.1: what a user part may hold without escapes, as our accounts need no more. */
void cfg_read_user(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_text(c, k, n, at, "-_.!~*'()&=+$,?/#");
}

void cfg_read_host(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_text(c, k, n, at, ".-_:[]");
}

void cfg_read_glob(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_text(c, k, n, at, NULL);
}
