/* yaml.c - YAML text to the node tree, by the events of libyaml. Scalars stay strings: the tables
 * type them, so no YAML 1.1 boolean or octal number surprises anybody. */
#include "config/config_int.h"

#include <yaml.h>

#define SMALL_MAP 16 /* keys; up to so many are found faster one after the other */

struct cfg_reader {
    struct cfg *c;
    struct cfg_node *open; /* innermost container; NULL: at the top */
    unsigned depth, documents, nodes;
    bool has_key, key_is_bad;
    struct sl key;
    uint32_t key_line, key_col;
};

static bool cfg_key_is(const struct hnode *node, const void *key)
{
    const struct cfg_node *a = CONTAINER_OF(node, struct cfg_node, by_key);
    const struct cfg_node *b = key;

    return a->parent == b->parent && sl_eq(a->key, b->key);
}

/* A map takes the lowest bits, and those of an address are always zero. */
static uint64_t cfg_key_hash(const struct cfg *c, const struct cfg_node *n)
{
    uint64_t parent = (uint64_t)((uintptr_t)n->parent >> 4) * UINT64_C(0x9E3779B97F4A7C15);

    return hmap_hash(&c->keys, n->key.p, n->key.n) ^ parent ^ parent >> 32;
}

static const struct cfg_node *cfg_find_among(const struct cfg_node *node, struct sl key)
{
    const struct cfg_node *n = node->kind == CFG_MAPPING ? node->first : NULL;

    while (n != NULL && !sl_eq(n->key, key)) {
        n = n->next;
    }
    return n;
}

const struct cfg_node *cfg_find(const struct cfg *c, const struct cfg_node *node, struct sl key)
{
    struct cfg_node want = {.parent = (struct cfg_node *)(uintptr_t)node, .key = key};
    struct hnode *hit = NULL;

    if (node != NULL && node->n <= SMALL_MAP) {
        return cfg_find_among(node, key);
    }
    if (node != NULL) {
        hit = hmap_find(&c->keys, cfg_key_hash(c, &want), cfg_key_is, &want);
    }
    return hit != NULL ? CONTAINER_OF(hit, struct cfg_node, by_key) : NULL;
}

static uint32_t cfg_from_1(size_t v)
{
    return (uint32_t)v + 1;
}

static bool cfg_has_control(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];

        if (ch < 0x20 || ch == 0x7F) {
            return true;
        }
    }
    return false;
}

static void cfg_index_add(struct cfg *c, struct cfg_node *n)
{
    if (hmap_insert(&c->keys, &n->by_key, cfg_key_hash(c, n)) != 0) {
        c->err = ENOMEM;
    }
}

/* Before it is among its parent's children. */
static void cfg_index_key(struct cfg *c, struct cfg_node *n)
{
    const struct cfg_node *there = cfg_find(c, n->parent, n->key);

    if (there != NULL) {
        cfg_error_key(c, n, NULL, "is there twice; the first is at %u:%u", there->key_line,
                      there->key_col);
        n->is_bad = true;
        return;
    }
    if (n->parent->n < SMALL_MAP) {
        return;
    }
    for (struct cfg_node *i = n->parent->n == SMALL_MAP ? n->parent->first : NULL; i != NULL;
         i = i->next) {
        if (!i->by_key.linked) {
            cfg_index_add(c, i);
        }
    }
    cfg_index_add(c, n);
}

static void cfg_attach(struct cfg_reader *r, struct cfg_node *n)
{
    struct cfg_node *parent = r->open;

    n->parent = parent;
    if (parent == NULL) {
        r->c->root = n;
        return;
    }
    n->key_line = n->line;
    n->key_col = n->col;
    if (parent->kind == CFG_MAPPING) {
        n->key = r->key;
        n->key_line = r->key_line;
        n->key_col = r->key_col;
        n->is_bad = r->key_is_bad;
        r->has_key = false;
        if (!n->is_bad) {
            cfg_index_key(r->c, n);
        }
    }
    n->index = parent->n++;
    if (parent->last != NULL) {
        parent->last->next = n;
    } else {
        parent->first = n;
    }
    parent->last = n;
}

/* NULL: a limit or memory, reported. */
static struct cfg_node *cfg_add(struct cfg_reader *r, enum cfg_kind kind, const yaml_event_t *ev)
{
    struct cfg *c = r->c;
    uint32_t line = cfg_from_1(ev->start_mark.line), col = cfg_from_1(ev->start_mark.column);
    struct cfg_node *n;

    if (++r->nodes > CFG_NODES_MAX) {
        cfg_error_at(c, line, col, "more than %u values", CFG_NODES_MAX);
        return NULL;
    }
    n = arena_zalloc(&c->scratch, sizeof(*n));
    if (n == NULL) {
        c->err = ENOMEM;
        return NULL;
    }
    n->kind = kind;
    n->line = line;
    n->col = col;
    cfg_attach(r, n);
    return n;
}

static void cfg_refuse_marks(struct cfg_reader *r, const yaml_event_t *ev,
                             const yaml_char_t *anchor, const yaml_char_t *tag)
{
    uint32_t line = cfg_from_1(ev->start_mark.line), col = cfg_from_1(ev->start_mark.column);

    if (anchor != NULL) {
        cfg_error_at(r->c, line, col, "anchors and aliases are not allowed");
    }
    if (tag != NULL) {
        cfg_error_at(r->c, line, col, "tags are not allowed");
    }
}

static bool cfg_wants_key(const struct cfg_reader *r)
{
    return r->open != NULL && r->open->kind == CFG_MAPPING && !r->has_key;
}

static void cfg_take_key(struct cfg_reader *r, const yaml_event_t *ev, struct sl key, bool is_bad)
{
    r->key = key;
    r->key_is_bad = is_bad;
    r->key_line = cfg_from_1(ev->start_mark.line);
    r->key_col = cfg_from_1(ev->start_mark.column);
    r->has_key = true;
}

static bool cfg_on_scalar(struct cfg_reader *r, const yaml_event_t *ev)
{
    struct sl text = sl_make(ev->data.scalar.value, ev->data.scalar.length);
    bool is_bad = cfg_has_control(text);
    struct sl copy = arena_dup(&r->c->scratch, text);
    struct cfg_node *n;

    cfg_refuse_marks(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (is_bad) {
        cfg_error_at(r->c, cfg_from_1(ev->start_mark.line), cfg_from_1(ev->start_mark.column),
                     "control characters and line ends are not allowed in a value");
    }
    if (copy.p == NULL && text.n != 0) {
        r->c->err = ENOMEM;
        return false;
    }
    if (cfg_wants_key(r)) {
        cfg_take_key(r, ev, copy, is_bad);
        return true;
    }
    n = cfg_add(r, CFG_SCALAR, ev);
    if (n == NULL) {
        return false;
    }
    n->value = copy;
    n->is_plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->is_bad = n->is_bad || is_bad;
    return true;
}

static bool cfg_on_alias(struct cfg_reader *r, const yaml_event_t *ev)
{
    struct cfg_node *n;

    cfg_refuse_marks(r, ev, ev->data.alias.anchor, NULL);
    if (cfg_wants_key(r)) {
        cfg_take_key(r, ev, SL("*"), true);
        return true;
    }
    n = cfg_add(r, CFG_SCALAR, ev);
    if (n != NULL) {
        n->is_bad = true;
    }
    return n != NULL;
}

static bool cfg_open(struct cfg_reader *r, const yaml_event_t *ev, enum cfg_kind kind)
{
    uint32_t line = cfg_from_1(ev->start_mark.line), col = cfg_from_1(ev->start_mark.column);
    struct cfg_node *n;

    if (cfg_wants_key(r)) {
        cfg_error_at(r->c, line, col, "a key must be a word, not a list or map");
        return false;
    }
    if (++r->depth > CFG_DEPTH_MAX) {
        cfg_error_at(r->c, line, col, "nested deeper than %d levels", CFG_DEPTH_MAX);
        return false;
    }
    n = cfg_add(r, kind, ev);
    if (n == NULL) {
        return false;
    }
    r->open = n;
    return true;
}

static bool cfg_on_map(struct cfg_reader *r, const yaml_event_t *ev)
{
    cfg_refuse_marks(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
    return cfg_open(r, ev, CFG_MAPPING);
}

static bool cfg_on_list(struct cfg_reader *r, const yaml_event_t *ev)
{
    cfg_refuse_marks(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
    return cfg_open(r, ev, CFG_SEQUENCE);
}

static bool cfg_on_close(struct cfg_reader *r, const yaml_event_t *ev)
{
    (void)ev;
    r->open = r->open->parent;
    r->depth--;
    return true;
}

static bool cfg_on_document(struct cfg_reader *r, const yaml_event_t *ev)
{
    if (++r->documents > 1) {
        cfg_error_at(r->c, cfg_from_1(ev->start_mark.line), cfg_from_1(ev->start_mark.column),
                     "only one document is allowed");
        return false;
    }
    return true;
}

static bool (*const cfg_on_event[])(struct cfg_reader *r, const yaml_event_t *ev) = {
    [YAML_DOCUMENT_START_EVENT] = cfg_on_document, [YAML_ALIAS_EVENT] = cfg_on_alias,
    [YAML_SCALAR_EVENT] = cfg_on_scalar,           [YAML_SEQUENCE_START_EVENT] = cfg_on_list,
    [YAML_SEQUENCE_END_EVENT] = cfg_on_close,      [YAML_MAPPING_START_EVENT] = cfg_on_map,
    [YAML_MAPPING_END_EVENT] = cfg_on_close,
};

/* The reader says only at which byte; columns are characters, as everywhere. */
static void cfg_reader_error(struct cfg *c, struct sl text, size_t offset, const char *problem)
{
    uint32_t line = 1, col = 1;

    for (size_t i = 0; i < offset && i < text.n; i++) {
        bool is_end =
            text.p[i] == '\n' || (text.p[i] == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'));

        line += is_end ? 1 : 0;
        col = is_end ? 1 : col + (((unsigned char)text.p[i] & 0xC0) != 0x80 ? 1 : 0);
    }
    cfg_error_at(c, line, col, "%s", problem);
}

static void cfg_syntax_error(struct cfg *c, const yaml_parser_t *p, struct sl text)
{
    const yaml_mark_t *at = &p->problem_mark;
    uint32_t line = cfg_from_1(at->line), col = cfg_from_1(at->column);
    const char *problem = p->problem != NULL ? p->problem : "not YAML";

    if (p->error == YAML_MEMORY_ERROR) {
        c->err = ENOMEM;
    } else if (p->error == YAML_READER_ERROR) {
        cfg_reader_error(c, text, p->problem_offset, problem);
    } else if (p->context != NULL) {
        cfg_error_at(c, line, col, "%s %s", p->context, problem);
    } else {
        cfg_error_at(c, line, col, "%s", problem);
    }
}

/* True: there is more to read. */
static bool cfg_step(struct cfg_reader *r, yaml_parser_t *parser, struct sl text, bool *is_good)
{
    yaml_event_t ev;
    yaml_event_type_t type;

    if (yaml_parser_parse(parser, &ev) == 0) {
        cfg_syntax_error(r->c, parser, text);
        *is_good = false;
        return false;
    }
    type = ev.type;
    if ((size_t)type < COUNT_OF(cfg_on_event) && cfg_on_event[type] != NULL) {
        *is_good = cfg_on_event[type](r, &ev);
    }
    yaml_event_delete(&ev);
    return *is_good && r->c->err == 0 && type != YAML_STREAM_END_EVENT;
}

bool cfg_tree_read(struct cfg *c, struct sl text)
{
    struct cfg_reader r = {.c = c};
    yaml_parser_t parser;
    bool is_good = true;

    if (yaml_parser_initialize(&parser) == 0) {
        c->err = ENOMEM;
        return false;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p != NULL ? text.p : ""),
                                 text.n);
    while (cfg_step(&r, &parser, text, &is_good)) {
    }
    yaml_parser_delete(&parser);
    return is_good && c->err == 0;
}
