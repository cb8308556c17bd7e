/* table.c - prefix tables: rows gathered, sorted, and folded into a trie with packed tails. */
#include "policy_int.h"

#include <stdlib.h>

#define POLICY_ROWS_FIRST 1024u
#define POLICY_KEY_SYMBOLS 16 /* of one word of a key, 4 bits each */

struct policy_row {
    uint64_t key[2]; /* symbols from the top, 0 behind the last one: sorts as the trie is walked */
    uint32_t line;
    uint16_t tag;
};

struct policy_tag {
    struct hnode node;
    struct sl text;
    uint16_t number; /* from 1 */
};

struct policy_tags {
    struct arena arena;
    struct hmap map;
    struct policy_tag **e; /* by number - 1 */
    size_t n, cap;
};

struct policy_table_draft {
    struct policy_row *rows;
    size_t n, cap;
    struct policy_tags tags;
    struct policy_tag *last; /* rows of a file tend to come in runs */
};

struct policy_node {
    uint32_t down;  /* kids: the first of them; else 0, or 1 + offset of the tail */
    uint16_t kids;  /* bit n: there is a kid for symbol n + 1 */
    uint16_t value; /* tag of the row that ends here, or at the end of the tail */
};

struct policy_table {
    struct policy_node *nodes;
    size_t n_nodes, cap_nodes;
    uint8_t *tails; /* length, then two symbols a byte */
    size_t n_tails, cap_tails;
    size_t n_rows;
    struct policy_tags tags;
};

/* 1..13; 0: no symbol. */
static unsigned policy_symbol(char ch)
{
    if (ch >= '0' && ch <= '9') {
        return (unsigned)(ch - '0') + 1;
    }
    return ch == '+' ? 11 : ch == '*' ? 12 : ch == '#' ? 13 : 0;
}

static unsigned policy_key_at(const uint64_t key[2], size_t i)
{
    return (unsigned)(key[i / POLICY_KEY_SYMBOLS] >> (60 - 4 * (i % POLICY_KEY_SYMBOLS))) & 15;
}

/* --- tags --- */

static bool policy_tag_is(const struct hnode *node, const void *key)
{
    return sl_eq(CONTAINER_OF(node, struct policy_tag, node)->text, *(const struct sl *)key);
}

static struct policy_tag *policy_tags_find(const struct policy_tags *t, struct sl text)
{
    struct hnode *node = NULL;

    if (t->map.n != 0) {
        node = hmap_find(&t->map, hmap_hash(&t->map, text.p, text.n), policy_tag_is, &text);
    }
    return node != NULL ? CONTAINER_OF(node, struct policy_tag, node) : NULL;
}

static void policy_tags_init(struct policy_tags *t)
{
    arena_init(&t->arena, 1024, 0);
    hmap_init(&t->map, POLICY_TAGS_MAX);
}

static void policy_tags_free(struct policy_tags *t)
{
    hmap_free(&t->map);
    mem_free(t->e);
    arena_free(&t->arena);
}

static int policy_tags_grow(struct policy_tags *t)
{
    size_t cap = t->cap != 0 ? 2 * t->cap : 16;
    struct policy_tag **e;

    if (t->n < t->cap) {
        return 0;
    }
    e = mem_realloc(t->e, cap * sizeof(struct policy_tag *));
    if (e == NULL) {
        return ENOMEM;
    }
    t->e = e;
    t->cap = cap;
    return 0;
}

static int policy_tags_add(struct policy_tags *t, struct sl text, struct policy_tag **tagp)
{
    struct policy_tag *tag = policy_tags_find(t, text);
    int err;

    if (tag != NULL) {
        *tagp = tag;
        return 0;
    }
    tag = arena_zalloc(&t->arena, sizeof(*tag));
    if (tag == NULL || policy_tags_grow(t) != 0) {
        return ENOMEM;
    }
    tag->text = arena_dup(&t->arena, text);
    if (tag->text.p == NULL && text.n != 0) {
        return ENOMEM;
    }
    err = hmap_insert(&t->map, &tag->node, hmap_hash(&t->map, text.p, text.n));
    if (err != 0) {
        return err;
    }
    t->e[t->n++] = tag;
    tag->number = (uint16_t)t->n;
    *tagp = tag;
    return 0;
}

/* --- the draft --- */

int policy_table_draft_new(struct policy_table_draft **dp)
{
    struct policy_table_draft *d = mem_zalloc(sizeof(*d));

    if (d == NULL) {
        return ENOMEM;
    }
    policy_tags_init(&d->tags);
    *dp = d;
    return 0;
}

void policy_table_draft_free(struct policy_table_draft **dp)
{
    struct policy_table_draft *d = *dp;

    *dp = NULL;
    if (d != NULL) {
        mem_free(d->rows);
        policy_tags_free(&d->tags);
        mem_free(d);
    }
}

static int policy_row_key(struct sl prefix, uint64_t key[2], size_t *bad)
{
    key[0] = key[1] = 0;
    for (size_t i = 0; i < prefix.n; i++) {
        unsigned symbol = policy_symbol(prefix.p[i]);

        if (symbol == 0) {
            *bad = i;
            return EBADMSG;
        }
        if (i == POLICY_PREFIX_MAX) {
            return EMSGSIZE;
        }
        key[i / POLICY_KEY_SYMBOLS] |= (uint64_t)symbol << (60 - 4 * (i % POLICY_KEY_SYMBOLS));
    }
    return prefix.n != 0 ? 0 : EBADMSG;
}

static int policy_draft_grow(struct policy_table_draft *d)
{
    size_t cap = d->cap != 0 ? 2 * d->cap : POLICY_ROWS_FIRST;
    struct policy_row *rows;

    if (d->n < d->cap) {
        return 0;
    }
    if (d->n >= POLICY_TABLE_MAX) {
        return ENOBUFS;
    }
    rows = mem_realloc(d->rows, cap * sizeof(*rows));
    if (rows == NULL) {
        return ENOMEM;
    }
    d->rows = rows;
    d->cap = cap;
    return 0;
}

int policy_table_add(struct policy_table_draft *d, struct sl prefix, struct sl tag, uint32_t line,
                     size_t *bad)
{
    struct policy_row row = {.line = line};
    int err;

    *bad = 0;
    err = policy_row_key(prefix, row.key, bad);
    if (err == 0 && (d->last == NULL || !sl_eq(d->last->text, tag))) {
        err = policy_tags_add(&d->tags, tag, &d->last);
    }
    if (err == 0) {
        err = policy_draft_grow(d);
    }
    if (err != 0) {
        return err;
    }
    row.tag = d->last->number;
    d->rows[d->n++] = row;
    return 0;
}

static int policy_row_order(const struct policy_row *x, const struct policy_row *y)
{
    if (x->key[0] != y->key[0]) {
        return x->key[0] < y->key[0] ? -1 : 1;
    }
    return x->key[1] != y->key[1] ? (x->key[1] < y->key[1] ? -1 : 1) : 0;
}

static int policy_row_cmp(const void *a, const void *b)
{
    const struct policy_row *x = a, *y = b;
    int order = policy_row_order(x, y);

    return order != 0 ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int policy_draft_unique(const struct policy_table_draft *d, policy_table_twice_fn *twice,
                               void *arg)
{
    size_t first = 0;
    int err = 0;

    for (size_t i = 1; i < d->n; i++) {
        if (policy_row_order(&d->rows[first], &d->rows[i]) != 0) {
            first = i;
            continue;
        }
        twice(arg, d->rows[i].line, d->rows[first].line);
        err = EEXIST;
    }
    return err;
}

/* --- the trie --- */

/* n nodes side by side; their index in *first. */
static int policy_nodes_take(struct policy_table *t, size_t n, uint32_t *first)
{
    if (t->n_nodes + n > t->cap_nodes) {
        size_t cap = t->cap_nodes + t->cap_nodes / 2 + 64;
        struct policy_node *nodes = mem_realloc(t->nodes, cap * sizeof(*nodes));

        if (nodes == NULL) {
            return ENOMEM;
        }
        t->nodes = nodes;
        t->cap_nodes = cap;
    }
    memset(t->nodes + t->n_nodes, 0, n * sizeof(*t->nodes));
    *first = (uint32_t)t->n_nodes;
    t->n_nodes += n;
    return 0;
}

static int policy_tail_take(struct policy_table *t, const struct policy_row *row, size_t depth,
                            uint32_t *down)
{
    uint8_t text[1 + POLICY_PREFIX_MAX / 2] = {0};
    size_t n = 0, bytes;

    for (size_t i = depth; i < POLICY_PREFIX_MAX && policy_key_at(row->key, i) != 0; i++, n++) {
        text[1 + n / 2] |= (uint8_t)(policy_key_at(row->key, i) << (n % 2 == 0 ? 4 : 0));
    }
    text[0] = (uint8_t)n;
    bytes = 1 + (n + 1) / 2;
    if (t->n_tails + bytes > t->cap_tails) {
        size_t cap = t->cap_tails + t->cap_tails / 2 + 256;
        uint8_t *tails = mem_realloc(t->tails, cap);

        if (tails == NULL) {
            return ENOMEM;
        }
        t->tails = tails;
        t->cap_tails = cap;
    }
    memcpy(t->tails + t->n_tails, text, bytes);
    *down = (uint32_t)t->n_tails + 1;
    t->n_tails += bytes;
    return 0;
}

static unsigned policy_depth_symbol(const struct policy_row *row, size_t depth)
{
    return depth < POLICY_PREFIX_MAX ? policy_key_at(row->key, depth) : 0;
}

/* Rows that agree in their first `depth` symbols, below node `at`; as deep as a prefix is long. */
static int policy_fill(struct policy_table *t, uint32_t at, const struct policy_row *rows, size_t n,
                       size_t depth)
{
    uint16_t kids = 0;
    uint32_t first = 0;
    int err = 0;

    if (n != 0 && policy_depth_symbol(rows, depth) == 0) {
        t->nodes[at].value = rows->tag;
        rows++;
        n--;
    } else if (n == 1) {
        t->nodes[at].value = rows->tag;
        return policy_tail_take(t, rows, depth, &t->nodes[at].down);
    }
    for (size_t i = 0; i < n; i++) {
        kids |= (uint16_t)(1u << (policy_depth_symbol(&rows[i], depth) - 1));
    }
    if (kids != 0) {
        err = policy_nodes_take(t, (size_t)__builtin_popcount(kids), &first);
        t->nodes[at].kids = kids;
        t->nodes[at].down = first;
    }
    for (size_t i = 0; i < n && err == 0; first++) {
        unsigned symbol = policy_depth_symbol(&rows[i], depth);
        size_t end = i + 1;

        while (end < n && policy_depth_symbol(&rows[end], depth) == symbol) {
            end++;
        }
        err = policy_fill(t, first, rows + i, end - i, depth + 1);
        i = end;
    }
    return err;
}

/* What growing took too much goes back. */
static void policy_table_fit(struct policy_table *t)
{
    void *p = mem_realloc(t->nodes, t->n_nodes * sizeof(*t->nodes));

    if (p != NULL) {
        t->nodes = p;
        t->cap_nodes = t->n_nodes;
    }
    p = t->n_tails != 0 ? mem_realloc(t->tails, t->n_tails) : NULL;
    if (p != NULL) {
        t->tails = p;
        t->cap_tails = t->n_tails;
    }
}

static int policy_table_fold(struct policy_table *t, struct policy_table_draft *d)
{
    uint32_t root;
    int err = policy_nodes_take(t, 1, &root);

    if (err == 0 && d->n != 0) {
        t->nodes[root].value = POLICY_TAG_NONE;
        err = policy_fill(t, root, d->rows, d->n, 0);
    }
    if (err == 0) {
        t->n_rows = d->n;
        policy_table_fit(t);
    }
    return err;
}

int policy_table_build(struct policy_table **tp, struct policy_table_draft **dp,
                       policy_table_twice_fn *twice, void *arg)
{
    struct policy_table_draft *d = *dp;
    struct policy_table *t = mem_zalloc(sizeof(*t));
    int err = t != NULL ? 0 : ENOMEM;

    if (err == 0 && d->n != 0) {
        qsort(d->rows, d->n, sizeof(*d->rows), policy_row_cmp);
        err = policy_draft_unique(d, twice, arg);
    }
    if (err == 0) {
        err = policy_table_fold(t, d);
    }
    if (t != NULL) { /* the tags change hands; a draft without any is harmless to free */
        t->tags = d->tags;
        policy_tags_init(&d->tags);
        d->tags.e = NULL;
    }
    policy_table_draft_free(dp);
    if (err != 0) {
        policy_table_free(&t);
        return err;
    }
    *tp = t;
    return 0;
}

void policy_table_free(struct policy_table **tp)
{
    struct policy_table *t = *tp;

    *tp = NULL;
    if (t != NULL) {
        mem_free(t->nodes);
        mem_free(t->tails);
        policy_tags_free(&t->tags);
        mem_free(t);
    }
}

/* --- looking up --- */

static bool policy_tail_fits(const uint8_t *tail, struct sl rest)
{
    if (rest.n < tail[0]) {
        return false;
    }
    for (size_t i = 0; i < tail[0]; i++) {
        unsigned symbol = (tail[1 + i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15u;

        if (policy_symbol(rest.p[i]) != symbol) {
            return false;
        }
    }
    return true;
}

uint16_t policy_table_find(const struct policy_table *t, struct sl number, size_t *matched)
{
    const struct policy_node *node = t->nodes;
    uint16_t value = POLICY_TAG_NONE;

    *matched = 0;
    for (size_t i = 0;; i++) {
        unsigned symbol = i < number.n ? policy_symbol(number.p[i]) : 0;
        uint16_t bit;

        if (node->kids == 0 && node->down != 0) {
            const uint8_t *tail = t->tails + node->down - 1;

            if (policy_tail_fits(tail, sl_from(number, i))) {
                *matched = i + tail[0];
                value = node->value;
            }
            return value;
        }
        if (node->value != POLICY_TAG_NONE) {
            *matched = i;
            value = node->value;
        }
        if (symbol == 0) {
            return value;
        }
        bit = (uint16_t)(1u << (symbol - 1));
        if ((node->kids & bit) == 0) {
            return value;
        }
        node = &t->nodes[node->down + (uint32_t)__builtin_popcount(node->kids & (bit - 1u))];
    }
}

uint16_t policy_table_tag(const struct policy_table *t, struct sl tag)
{
    const struct policy_tag *e = policy_tags_find(&t->tags, tag);

    return e != NULL ? e->number : POLICY_TAG_NONE;
}

size_t policy_table_rows(const struct policy_table *t)
{
    return t->n_rows;
}

size_t policy_table_bytes(const struct policy_table *t)
{
    return t->n_nodes * sizeof(*t->nodes) + t->n_tails;
}
