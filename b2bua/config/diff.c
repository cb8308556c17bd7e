/* diff.c - what two texts of a configuration say differently, setting by setting. Only the trees
 * are compared: neither text needs to be right, and no file that they name is read. */
#include "config/config_int.h"

#define DIFF_SHOWN_MAX 200 /* bytes of a value that is shown */
#define DIFF_PATH_MAX 512

struct cfg_side { /* one text as a tree */
    struct cfg c;
    struct config_errors errs;
};

struct cfg_diff {
    struct cfg_side side[2];
    config_change_fn *fn;
    void *arg;
    size_t n;
    char path[DIFF_PATH_MAX];
    struct buf at; /* into path; cut where it ends */
};

static int cfg_side_read(struct cfg_side *s, struct sl text)
{
    s->c = (struct cfg){.file = "configuration", .errs = &s->errs};
    arena_init(&s->c.scratch, 4096, 0);
    hmap_init(&s->c.keys, 0);
    return cfg_tree_read(&s->c, text) && s->errs.n_total == 0 ? 0
           : s->c.err != 0                                    ? s->c.err
                                                              : EBADMSG;
}

static void cfg_side_free(struct cfg_side *s)
{
    hmap_free(&s->c.keys);
    arena_free(&s->c.scratch);
    config_errors_free(&s->errs);
}

/* --- showing --- */

static bool cfg_diff_is_secret(struct sl key)
{
    return sl_eq(key, SL("password")) || sl_eq(key, SL("token")) || sl_eq(key, SL("secret"));
}

/* A URL may have a password of its own: https://user:word@host. */
static void cfg_diff_value(struct buf *b, struct sl value, struct sl key)
{
    ptrdiff_t scheme = sl_find(value, SL("://")), at = sl_chr(value, '@');

    if (cfg_diff_is_secret(key) && value.n != 0) {
        BUF_LIT(b, "(secret)");
    } else if (sl_eq(key, SL("url")) && scheme >= 0 && at > scheme) {
        buf_putsl(b, sl_head(value, (size_t)scheme + 3));
        BUF_LIT(b, "(secret)");
        buf_putsl(b, sl_from(value, (size_t)at));
    } else {
        buf_putsl(b, value);
    }
}

/* On one line, as it could be written. A secret that is not a reference is not shown. */
static void cfg_diff_show(struct buf *b, const struct cfg_node *n, struct sl key)
{
    const struct cfg_node *i;

    if (n->kind == CFG_SCALAR) {
        cfg_diff_value(b, n->value, key);
        return;
    }
    buf_putc(b, n->kind == CFG_MAPPING ? '{' : '[');
    for (i = n->first; i != NULL && b->n < DIFF_SHOWN_MAX; i = i->next) {
        buf_puts(b, i != n->first ? ", " : "");
        if (n->kind == CFG_MAPPING) {
            buf_putsl(b, i->key);
            BUF_LIT(b, ": ");
        }
        /* {file: PATH} below a secret names it and is none */
        cfg_diff_show(b, i, n->kind == CFG_MAPPING ? i->key : key);
    }
    buf_putc(b, n->kind == CFG_MAPPING ? '}' : ']');
}

static struct sl cfg_diff_text(struct buf *b, const struct cfg_node *n, struct sl key)
{
    if (n != NULL) {
        cfg_diff_show(b, n, key);
    }
    return sl_head(buf_sl(b), DIFF_SHOWN_MAX);
}

static void cfg_diff_tell(struct cfg_diff *d, enum config_op op, struct sl key,
                          const struct cfg_node *old, const struct cfg_node *now)
{
    struct buf b[2];

    if (d->n++ >= CONFIG_CHANGES_MAX) {
        return;
    }
    buf_init(&b[0], CFG_TEXT_MAX * 8);
    buf_init(&b[1], CFG_TEXT_MAX * 8);
    d->fn(&(struct config_change){.op = op,
                                  .path = buf_sl(&d->at),
                                  .old = cfg_diff_text(&b[0], old, key),
                                  .now = cfg_diff_text(&b[1], now, key)},
          d->arg);
    buf_free(&b[0]);
    buf_free(&b[1]);
}

/* --- comparing --- */

static void cfg_diff_nodes(struct cfg_diff *d, struct sl key, const struct cfg_node *old,
                           const struct cfg_node *now);

/* A path that is too long is shown without its end. */
static size_t cfg_diff_enter(struct cfg_diff *d, const char *before, struct sl name,
                             const char *after)
{
    size_t n = d->at.n;

    if (n + name.n + 4 < sizeof(d->path)) {
        buf_puts(&d->at, before);
        buf_putsl(&d->at, name);
        buf_puts(&d->at, after);
    }
    return n;
}

static void cfg_diff_maps(struct cfg_diff *d, const struct cfg_node *old,
                          const struct cfg_node *now)
{
    for (const struct cfg_node *i = old->first; i != NULL; i = i->next) {
        size_t n = cfg_diff_enter(d, d->at.n != 0 ? "." : "", i->key, "");

        cfg_diff_nodes(d, i->key, i, cfg_find(&d->side[1].c, now, i->key));
        d->at.n = n;
    }
    for (const struct cfg_node *i = now->first; i != NULL; i = i->next) {
        if (cfg_find(&d->side[0].c, old, i->key) == NULL) {
            size_t n = cfg_diff_enter(d, d->at.n != 0 ? "." : "", i->key, "");

            cfg_diff_nodes(d, i->key, NULL, i);
            d->at.n = n;
        }
    }
}

/* What an element of a list is known by; empty: its place only. */
static struct sl cfg_diff_name(const struct cfg_diff *d, unsigned side, const struct cfg_node *n)
{
    const struct cfg_node *name =
        n->kind == CFG_MAPPING ? cfg_find(&d->side[side].c, n, SL("name")) : NULL;

    return name != NULL && name->kind == CFG_SCALAR ? name->value : SL_NULL;
}

/* By name, so that one that was put in between does not change all behind it. */
struct cfg_named {
    struct hmap map;
    struct arena arena;
    bool is_good; /* all have names, each once */
};

struct cfg_element {
    struct hnode node;
    struct sl name;
    const struct cfg_node *n;
};

static bool cfg_element_is(const struct hnode *node, const void *key)
{
    return sl_eq(CONTAINER_OF(node, struct cfg_element, node)->name, *(const struct sl *)key);
}

static const struct cfg_node *cfg_named_find(const struct cfg_named *x, struct sl name)
{
    struct hnode *hit = x->map.n != 0 ? hmap_find(&x->map, hmap_hash(&x->map, name.p, name.n),
                                                  cfg_element_is, &name)
                                      : NULL;

    return hit != NULL ? CONTAINER_OF(hit, struct cfg_element, node)->n : NULL;
}

static void cfg_named_build(struct cfg_diff *d, unsigned side, const struct cfg_node *list,
                            struct cfg_named *x)
{
    hmap_init(&x->map, 0);
    arena_init(&x->arena, 4096, 0);
    x->is_good = true;
    for (const struct cfg_node *i = list->first; i != NULL && x->is_good; i = i->next) {
        struct cfg_element *e = arena_zalloc(&x->arena, sizeof(*e));
        struct sl name = cfg_diff_name(d, side, i);

        x->is_good = e != NULL && name.n != 0 && cfg_named_find(x, name) == NULL;
        if (x->is_good) {
            e->name = name;
            e->n = i;
            x->is_good = hmap_insert(&x->map, &e->node, hmap_hash(&x->map, name.p, name.n)) == 0;
        }
    }
}

static void cfg_named_free(struct cfg_named *x)
{
    hmap_free(&x->map);
    arena_free(&x->arena);
}

/* Those that both lists have, in another order: for routes that is another meaning. */
static bool cfg_diff_is_moved(struct cfg_diff *d, const struct cfg_node *old,
                              const struct cfg_named *in_now)
{
    uint32_t last = 0;

    for (const struct cfg_node *i = old->first; i != NULL; i = i->next) {
        const struct cfg_node *other = cfg_named_find(in_now, cfg_diff_name(d, 0, i));

        if (other != NULL && other->index + 1 < last) {
            return true;
        }
        last = other != NULL ? other->index + 1 : last;
    }
    return false;
}

static void cfg_diff_named(struct cfg_diff *d, const struct cfg_node *lists[2],
                           const struct cfg_named maps[2])
{
    size_t n;

    if (cfg_diff_is_moved(d, lists[0], &maps[1])) {
        cfg_diff_tell(d, CONFIG_MOVED, SL_NULL, NULL, NULL);
    }
    for (unsigned side = 0; side < 2; side++) {
        for (const struct cfg_node *i = lists[side]->first; i != NULL; i = i->next) {
            struct sl name = cfg_diff_name(d, side, i);
            const struct cfg_node *other = cfg_named_find(&maps[!side], name);

            n = cfg_diff_enter(d, "[", name, "]");
            if (side == 0) {
                cfg_diff_nodes(d, SL_NULL, i, other);
            } else if (other == NULL) {
                cfg_diff_nodes(d, SL_NULL, NULL, i);
            }
            d->at.n = n;
        }
    }
}

static void cfg_diff_by_place(struct cfg_diff *d, struct sl key, const struct cfg_node *old,
                              const struct cfg_node *now)
{
    const struct cfg_node *a = old->first, *b = now->first;

    for (uint32_t i = 0; a != NULL || b != NULL; i++) {
        char text[16];
        struct buf t;
        size_t n;

        buf_init_fixed(&t, text, sizeof(text));
        buf_putu(&t, i);
        n = cfg_diff_enter(d, "[", buf_sl(&t), "]");
        cfg_diff_nodes(d, key, a, b);
        d->at.n = n;
        a = a != NULL ? a->next : NULL;
        b = b != NULL ? b->next : NULL;
    }
}

static void cfg_diff_lists(struct cfg_diff *d, struct sl key, const struct cfg_node *old,
                           const struct cfg_node *now)
{
    const struct cfg_node *lists[2] = {old, now};
    struct cfg_named maps[2];

    cfg_named_build(d, 0, old, &maps[0]);
    cfg_named_build(d, 1, now, &maps[1]);
    if (maps[0].is_good && maps[1].is_good) {
        cfg_diff_named(d, lists, maps);
    } else {
        cfg_diff_by_place(d, key, old, now);
    }
    cfg_named_free(&maps[0]);
    cfg_named_free(&maps[1]);
}

static void cfg_diff_nodes(struct cfg_diff *d, struct sl key, const struct cfg_node *old,
                           const struct cfg_node *now)
{
    if (old == NULL || now == NULL) {
        cfg_diff_tell(d, old == NULL ? CONFIG_ADDED : CONFIG_REMOVED, key, old, now);
    } else if (old->kind != now->kind) {
        cfg_diff_tell(d, CONFIG_CHANGED, key, old, now);
    } else if (old->kind == CFG_MAPPING) {
        cfg_diff_maps(d, old, now);
    } else if (old->kind == CFG_SEQUENCE) {
        cfg_diff_lists(d, key, old, now);
    } else if (!sl_eq(old->value, now->value)) {
        cfg_diff_tell(d, CONFIG_CHANGED, key, old, now);
    }
}

int config_diff(struct sl old, struct sl now, config_change_fn *fn, void *arg, size_t *n)
{
    static const struct cfg_node empty = {.kind = CFG_MAPPING};
    struct cfg_diff *d = mem_zalloc(sizeof(*d));
    int err, err2;

    *n = 0;
    if (d == NULL) {
        return ENOMEM;
    }
    d->fn = fn;
    d->arg = arg;
    buf_init_fixed(&d->at, d->path, sizeof(d->path));
    err = cfg_side_read(&d->side[0], old);
    err2 = cfg_side_read(&d->side[1], now);
    err = err != 0 ? err : err2;
    if (err == 0) {
        const struct cfg_node *a = d->side[0].c.root, *b = d->side[1].c.root;

        cfg_diff_nodes(d, SL_NULL, a != NULL ? a : &empty, b != NULL ? b : &empty);
        *n = d->n;
    }
    cfg_side_free(&d->side[0]);
    cfg_side_free(&d->side[1]);
    mem_free(d);
    return err;
}
