/* egress_scan.c - one pass over a message: runs of letters and digits (ids, keys), words that may
 * be host names, and addresses. */
#include "egress_int.h"

#define ID_MIN 6         /* shorter ones are found by chance */
#define ID_DIGITS_MIN 10 /* of digits alone: telephone numbers and times are such */
#define RUN_MIN 4

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
    uint64_t bloom;   /* of the anchors and of what others said */
    uint64_t lengths; /* of runs that are looked for, a bit each; bit 63: that long or longer */
    unsigned run_min; /* the shortest of them, but at most EGRESS_KEY_MIN */
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

static uint64_t length_bit(size_t n)
{
    return (uint64_t)1 << (n < 63 ? n : 63);
}

static void scan_run(struct scan *s, size_t begin, size_t end)
{
    uint64_t hash;

    if ((s->lengths & length_bit(end - begin)) == 0) {
        return;
    }
    hash = egress_hash_run(sl_make(s->text.p + begin, end - begin));
    if ((s->bloom >> (hash & 63) & 1) == 0) {
        return;
    }
    for (size_t i = 0; i < s->n_anchors; i++) {
        if (s->anchors[i].hash == hash) {
            scan_anchor(s, &s->anchors[i], begin);
        }
    }
    if (end - begin >= EGRESS_KEY_MIN && !egress_said(s->l->own, hash) && others_said(s, hash)) {
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
        s->lengths |= length_bit(run.n);
        s->n_anchors++;
    }
    for (size_t i = 0; i < s->l->n_others; i++) {
        s->bloom |= s->l->others[i]->bloom;
        if (s->l->others[i]->has_key) {
            s->lengths |= UINT64_MAX << EGRESS_KEY_MIN;
        }
    }
    s->run_min = s->lengths != 0 ? (unsigned)__builtin_ctzll(s->lengths) : EGRESS_KEY_MIN;
    s->run_min = s->run_min < EGRESS_KEY_MIN ? s->run_min : EGRESS_KEY_MIN;
}

/* At a dot or a colon, either of which may stand in an address. Where to go on. */
static size_t scan_after(struct scan *s, size_t i)
{
    if (s->text.p[i] == ':') {
        return scan_six(s, i);
    }
    return i > 0 && egress_is_digit(s->text.p[i - 1]) ? scan_quad(s, i) : i;
}

/* --- the way through the bytes --- */

/* The letters and digits from `i` on; where they end. */
static size_t scan_alnum(struct scan *s, size_t i)
{
    size_t end = i;

    while (end < s->text.n && egress_is_alnum(s->text.p[end])) {
        end++;
    }
    scan_run(s, i, end);
    return end;
}

/* A run that begins at `i`, of which the rest of its block says where it ends. */
static size_t scan_long(struct scan *s, size_t i, uint64_t others)
{
    size_t n = others != 0 ? (size_t)__builtin_ctzll(others) : EGRESS_BLOCK;

    if (i % EGRESS_BLOCK + n >= EGRESS_BLOCK) {
        return scan_alnum(s, i);
    }
    scan_run(s, i, i + n);
    return i + n;
}

/* A word with a dot at `i`, which may be a host's name and hold addresses. Where to go on. */
static size_t scan_word(struct scan *s, size_t floor, size_t i)
{
    size_t word = i++, next;

    while (word > floor && egress_is_host(s->text.p[word - 1])) {
        word--;
    }
    while (i < s->text.n && egress_is_host(s->text.p[i])) {
        next = egress_is_alnum(s->text.p[i]) ? scan_alnum(s, i)
               : s->text.p[i] == '.'         ? scan_after(s, i)
                                             : i;
        i = next == i ? i + 1 : next;
    }
    next = i < s->text.n && s->text.p[i] == ':' ? scan_six(s, i) : i;
    scan_name(s, word, i);
    return next;
}

/* A dot or a colon at `i`; words begin behind *floor. Where to go on. */
static size_t scan_dot(struct scan *s, size_t *floor, size_t i)
{
    size_t next = scan_after(s, i);

    if (s->text.p[i] == ':') {
        *floor = next;
    } else if (next == i) { /* of no address */
        next = *floor = scan_word(s, *floor, i);
    }
    /* what an address cut off */
    return egress_is_alnum(s->text.p[next - 1]) ? scan_alnum(s, next) : next;
}

/* Where runs of `n` and more begin in a block, given the one before and the one behind it. */
static uint64_t run_starts(uint64_t before, uint64_t here, uint64_t behind, unsigned n)
{
    uint64_t all = here;

    for (unsigned k = 1; k < n; k++) {
        all &= here >> k | behind << (EGRESS_BLOCK - k);
    }
    return all & ~(here << 1 | before >> (EGRESS_BLOCK - 1));
}

/* Blocks are looked at as a whole: nearly all bytes are neither the beginning of a longer run nor
 * a dot or a colon. */
static void scan_bytes(struct scan *s)
{
    const size_t n = s->text.n;
    struct egress_marks here = egress_marks(s->text), behind;
    uint64_t before = 0, todo;
    size_t i = 0, floor = 0;

    for (size_t base = 0; base < n; base += EGRESS_BLOCK, before = here.alnum, here = behind) {
        behind = egress_marks(sl_from(s->text, base + EGRESS_BLOCK));
        if (i >= base + EGRESS_BLOCK) {
            continue;
        }
        todo = run_starts(before, here.alnum, behind.alnum, s->run_min) | here.dots;
        todo &= UINT64_MAX << (i > base ? i - base : 0);
        while (todo != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(todo);

            i = base + bit;
            i = (here.dots >> bit & 1) != 0 ? scan_dot(s, &floor, i)
                                            : scan_long(s, i, ~(here.alnum >> bit));
            todo &= i < base + EGRESS_BLOCK ? UINT64_MAX << (i - base) : 0;
        }
    }
}

void policy_egress_scan(const struct policy_sight *l, struct sl bytes, policy_hit_fn *fn, void *arg)
{
    struct scan s;

    s.l = l;
    s.text = bytes;
    s.fn = fn;
    s.arg = arg;
    s.bloom = s.lengths = 0;
    s.n_anchors = 0;
    scan_prepare(&s);
    scan_bytes(&s);
}

const char *policy_hit_word(enum policy_hit_kind kind)
{
    static const char *const words[] = {"address", "name", "id", "key"};

    return words[kind];
}
