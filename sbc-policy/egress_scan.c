/* egress_scan.c - one pass over a message: runs of letters and digits (ids, keys), words that may
 * be host names, and addresses. */
#include "egress_int.h"

#define ID_MIN 6         /* shorter ones are found by chance */
#define ID_DIGITS_MIN 10 /* of digits alone: telephone numbers and times are such */
#define RUN_MIN 4
#define KEY_MIN 8

struct anchor { /* an id, by the run in it that is looked for */
    uint64_t hash;
    struct sl id;
    size_t at; /* of the run in the id */
};
struct scan {
    const struct policy_sight *l;
    struct sl text;
    policy_hit_fn *fn;
    void *arg;
    uint64_t bloom; /* of the anchors and of what others said */
    struct anchor anchors[POLICY_EGRESS_IDS];
    size_t n_anchors;
};

void policy_sight_id(struct policy_sight *l, struct sl id)
{
    bool has_letter = false;

    for (size_t i = 0; i < id.n; i++) {
        has_letter = has_letter || !egress_is_digit(id.p[i]);
    }
    if (l->n_ids < POLICY_EGRESS_IDS && id.n >= (has_letter ? ID_MIN : ID_DIGITS_MIN)) {
        l->ids[l->n_ids++] = id;
    }
}

static void scan_found(struct scan *s, enum policy_hit_kind kind, size_t at, size_t n)
{
    s->fn(&(struct policy_hit){.kind = kind, .at = (uint32_t)at, .n = (uint32_t)n}, s->arg);
}

static bool others_said(const struct scan *s, uint64_t hash)
{
    for (size_t i = 0; i < s->l->n_others; i++) {
        if (egress_said(s->l->others[i], hash)) {
            return true;
        }
    }
    return false;
}

/* --- addresses --- */

static void scan_addr(struct scan *s, const struct addr *a, size_t at, size_t n)
{
    uint64_t hash = egress_hash_addr(a);
    enum egress_answer answer = EGRESS_UNKNOWN;

    if (egress_said(s->l->own, hash) || addr_is_unspecified(a)) {
        return;
    }
    if (s->l->set != NULL) {
        answer = egress_ask_addr(s->l, a, hash);
    }
    if (answer == EGRESS_OWN) {
        return;
    }
    if (answer == EGRESS_HIDDEN || others_said(s, hash) ||
        (s->l->set != NULL && egress_ask_source(s->l, a) == EGRESS_HIDDEN)) {
        scan_found(s, POLICY_HIT_ADDRESS, at, n);
    }
}

/* A run of digits before a dot: does a quad begin there? Where it ends, or `end`. */
static size_t scan_quad(struct scan *s, size_t end)
{
    size_t first = end, n;
    struct addr a;

    while (first > 0 && end - first < 4 && egress_is_digit(s->text.p[first - 1])) {
        first--;
    }
    if (first == end || end - first > 3 ||
        (first >= 2 && s->text.p[first - 1] == '.' && egress_is_digit(s->text.p[first - 2]))) {
        return end; /* in the midst of more numbers */
    }
    n = egress_quad(s->text, first, &a);
    if (n != 0) {
        scan_addr(s, &a, first, n);
        return first + n;
    }
    return end;
}

static size_t scan_six(struct scan *s, size_t colon)
{
    size_t begin, end;
    struct addr a;

    if (egress_six(s->text, colon, &begin, &end, &a)) {
        scan_addr(s, &a, begin, end - begin);
        return end;
    }
    return colon + 1;
}

/* --- names --- */

/* Of what the configuration names, also hosts below it; of what the other side said, that only. */
static void scan_name(struct scan *s, size_t at, size_t end)
{
    struct sl word;
    uint64_t hash;

    while (end > at && !egress_is_alnum(s->text.p[end - 1])) {
        end--;
    }
    while (at < end && !egress_is_alnum(s->text.p[at])) {
        at++;
    }
    word = sl_make(s->text.p + at, end - at);
    if (sl_chr(word, '.') < 0 || word.n > POLICY_HOSTNAME_MAX) {
        return;
    }
    hash = egress_hash_name(word);
    if (egress_said(s->l->own, hash)) {
        return;
    }
    for (struct sl rest = word; s->l->set != NULL && sl_chr(rest, '.') >= 0;
         rest = sl_from(rest, (size_t)sl_chr(rest, '.') + 1)) {
        enum egress_answer answer =
            egress_ask_name(s->l, rest, rest.n == word.n ? hash : egress_hash_name(rest));

        if (answer == EGRESS_OWN) {
            return;
        }
        if (answer == EGRESS_HIDDEN) {
            scan_found(s, POLICY_HIT_NAME, at, word.n);
            return;
        }
    }
    if (others_said(s, hash)) {
        scan_found(s, POLICY_HIT_NAME, at, word.n);
    }
}

/* --- ids and keys --- */

static bool is_edge(struct sl text, size_t at)
{
    return at >= text.n || !egress_is_alnum(text.p[at]);
}

static void scan_anchor(struct scan *s, const struct anchor *a, size_t run)
{
    size_t at = run - a->at;

    if (run < a->at || s->text.n - at < a->id.n || (at != 0 && !is_edge(s->text, at - 1)) ||
        !is_edge(s->text, at + a->id.n) || memcmp(s->text.p + at, a->id.p, a->id.n) != 0) {
        return;
    }
    scan_found(s, POLICY_HIT_ID, at, a->id.n);
}

static void scan_run(struct scan *s, size_t begin, size_t end)
{
    uint64_t hash = egress_hash_run(sl_make(s->text.p + begin, end - begin));

    if ((s->bloom >> (hash & 63) & 1) == 0) {
        return;
    }
    for (size_t i = 0; i < s->n_anchors; i++) {
        if (s->anchors[i].hash == hash) {
            scan_anchor(s, &s->anchors[i], begin);
        }
    }
    if (end - begin >= KEY_MIN && !egress_said(s->l->own, hash) && others_said(s, hash)) {
        scan_found(s, POLICY_HIT_KEY, begin, end - begin);
    }
}

static void scan_prepare(struct scan *s)
{
    for (size_t i = 0; i < s->l->n_ids; i++) {
        struct sl id = s->l->ids[i], run = egress_longest_run(id);
        struct anchor *a = &s->anchors[s->n_anchors];

        if (run.n < RUN_MIN) {
            continue;
        }
        *a = (struct anchor){egress_hash_run(run), id, (size_t)(run.p - id.p)};
        s->bloom |= (uint64_t)1 << (a->hash & 63);
        s->n_anchors++;
    }
    for (size_t i = 0; i < s->l->n_others; i++) {
        s->bloom |= s->l->others[i]->bloom;
    }
}

/* At a dot or a colon, either of which may stand in an address. Where to go on. */
static size_t scan_after(struct scan *s, size_t i)
{
    if (s->text.p[i] == ':') {
        return scan_six(s, i);
    }
    return i > 0 && egress_is_digit(s->text.p[i - 1]) ? scan_quad(s, i) : i;
}

static inline size_t scan_alnum(struct scan *s, struct sl text, size_t begin)
{
    size_t i = begin;

    while (i < text.n && egress_is_alnum(text.p[i])) {
        i++;
    }
    if (i - begin >= RUN_MIN) {
        scan_run(s, begin, i);
    }
    return i;
}

static void scan_bytes(struct scan *s)
{
    const struct sl text = s->text;
    size_t i = 0, word = 0;
    bool has_dot = false;

    while ((i = scan_alnum(s, text, i)) < text.n) {
        char c = text.p[i];
        bool is_host = egress_is_host(c);
        size_t next = i;

        if (!is_host && c != ':' && !has_dot) { /* nearly all */
            word = ++i;
            continue;
        }
        if (c == '.' || c == ':') {
            next = scan_after(s, i);
        }
        if (is_host) {
            has_dot = has_dot || (c == '.' && next == i);
        } else if (has_dot) {
            scan_name(s, word, i);
            has_dot = false;
        }
        i = next == i ? i + 1 : next;
        word = is_host ? word : i;
    }
    if (has_dot) {
        scan_name(s, word, i);
    }
}

void policy_egress_scan(const struct policy_sight *l, struct sl bytes, policy_hit_fn *fn, void *arg)
{
    struct scan s;

    s.l = l;
    s.text = bytes;
    s.fn = fn;
    s.arg = arg;
    s.bloom = 0;
    s.n_anchors = 0;
    scan_prepare(&s);
    scan_bytes(&s);
}

const char *policy_hit_word(enum policy_hit_kind kind)
{
    static const char *const words[] = {"address", "name", "id", "key"};

    return words[kind];
}
