/* index.c - the routes by who asks and by how the called number begins. A route stands under each
 * front that its match demands, for each source it names; what demands neither stands under "any".
 */
#include "policy_int.h"

#include <stdlib.h>

#define POLICY_SPREAD_MAX                                                                          \
    256                     /* entries of one route; more: it stands under any source, any front */
#define POLICY_FRONT_MAX 40 /* bytes of a front; a longer one is cut */
#define POLICY_ANY_SOURCE 0u
#define POLICY_USERS_SOURCE 1u

struct policy_entry {
    uint64_t key;
    uint16_t route;
};

struct policy_entries {
    struct policy_entry *e;
    size_t n, cap;
};

/* Two keys may be equal by chance: then a bucket holds routes too many, and they do not match. */
static uint64_t policy_front_key(const struct policy_index *x, uint32_t source, struct sl front)
{
    uint8_t text[4 + POLICY_FRONT_MAX];
    uint64_t key;

    memcpy(text, &source, 4);
    memcpy(text + 4, front.p != NULL ? front.p : "", front.n);
    key = siphash13(text, 4 + front.n, x->key);
    return key != 0 ? key : 1;
}

/* No front holds a NUL, so a tag is never taken for one. */
static uint64_t policy_tag_key(const struct policy_index *x, uint32_t source, uint16_t table,
                               uint16_t tag)
{
    uint8_t text[6] = {0, (uint8_t)table, 0, (uint8_t)tag, (uint8_t)(tag >> 8), 0};

    return policy_front_key(x, source, sl_make(text, sizeof(text)));
}

static uint32_t policy_source_of(const struct policy_ref *ref)
{
    return ref->kind == POLICY_PEER ? 2u + ref->peer : POLICY_USERS_SOURCE;
}

/* --- building --- */

static int policy_entry_add(struct policy_entries *all, uint64_t key, size_t route)
{
    if (all->n == all->cap) {
        size_t cap = all->cap != 0 ? 2 * all->cap : 256;
        struct policy_entry *e = mem_realloc(all->e, cap * sizeof(*e));

        if (e == NULL) {
            return ENOMEM;
        }
        all->e = e;
        all->cap = cap;
    }
    all->e[all->n++] = (struct policy_entry){key, (uint16_t)route};
    return 0;
}

static struct sl policy_glob_front(struct sl glob)
{
    size_t n = 0;

    while (n < glob.n && glob.p[n] != '*' && glob.p[n] != '?') {
        n++;
    }
    return sl_head(glob, n < POLICY_FRONT_MAX ? n : POLICY_FRONT_MAX);
}

/* Under one source. */
static int policy_route_spread(struct policy_index *x, const struct policy *p, size_t route,
                               uint32_t source, struct policy_entries *all)
{
    const struct policy_number_match *m = &p->def->routes[route].called_by;
    struct sl front = policy_glob_front(p->routes[route].called);
    int err = 0;

    if (m->by == POLICY_BY_TABLE && m->tag != NULL) {
        x->tables |= (uint64_t)1 << m->table;
        return policy_entry_add(
            all, policy_tag_key(x, source, m->table, p->routes[route].called_tag), route);
    }
    if (m->by != POLICY_BY_EXACT && m->by != POLICY_BY_PREFIX) {
        x->lengths |= (uint64_t)1 << front.n;
        return policy_entry_add(all, policy_front_key(x, source, front), route);
    }
    for (size_t i = 0; err == 0 && i < m->texts.n; i++) {
        front = sl_head(sl_str(m->texts.e[i]), POLICY_FRONT_MAX);
        x->lengths |= (uint64_t)1 << front.n;
        err = policy_entry_add(all, policy_front_key(x, source, front), route);
    }
    return err;
}

static size_t policy_sources_of(const struct policy *p, const struct policy_route *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_from; i++) {
        size_t more = 0;

        (void)policy_ref_spell(p->def, &r->from[i], &more);
        n += more;
    }
    return n;
}

static int policy_route_enter(struct policy_index *x, const struct policy *p, size_t route,
                              struct policy_entries *all)
{
    const struct policy_route *r = &p->def->routes[route];
    size_t n_sources = policy_sources_of(p, r);
    size_t n_fronts = r->called_by.texts.n != 0 ? r->called_by.texts.n : 1;
    int err = 0;

    if (n_sources == 0 || n_sources * n_fronts > POLICY_SPREAD_MAX) {
        return policy_route_spread(x, p, route, POLICY_ANY_SOURCE, all);
    }
    for (size_t i = 0; err == 0 && i < r->n_from; i++) {
        size_t n = 0;
        const struct policy_ref *refs = policy_ref_spell(p->def, &r->from[i], &n);

        for (size_t k = 0; err == 0 && k < n; k++) {
            err = policy_route_spread(x, p, route, policy_source_of(&refs[k]), all);
        }
    }
    return err;
}

static int policy_entry_cmp(const void *a, const void *b)
{
    const struct policy_entry *x = a, *y = b;

    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (int)x->route - (int)y->route;
}

static struct policy_bucket *policy_bucket_at(const struct policy_index *x, uint64_t key)
{
    size_t i = (size_t)key & (x->n_buckets - 1);

    while (x->buckets[i].key != 0 && x->buckets[i].key != key) {
        i = (i + 1) & (x->n_buckets - 1);
    }
    return &x->buckets[i];
}

static int policy_index_fill(struct policy_index *x, const struct policy_entries *all)
{
    uint32_t n = 0;

    for (x->n_buckets = 16; x->n_buckets < 2 * all->n; x->n_buckets *= 2) {
    }
    x->buckets = mem_zalloc(x->n_buckets * sizeof(*x->buckets));
    x->routes = mem_zalloc((all->n + 1) * sizeof(*x->routes));
    if (x->buckets == NULL || x->routes == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < all->n; i++) {
        struct policy_bucket *b = policy_bucket_at(x, all->e[i].key);

        if (b->key == 0) {
            *b = (struct policy_bucket){.key = all->e[i].key, .first = n};
        } else if (x->routes[n - 1] == all->e[i].route) {
            continue; /* the same front twice in one route */
        }
        b->n++;
        x->routes[n++] = all->e[i].route;
    }
    return 0;
}

int policy_index_build(struct policy_index *x, const struct policy *p)
{
    struct policy_entries all = {0};
    struct hmap map;
    int err = 0;

    if (p->def->n_routes <= POLICY_SCAN_MAX) {
        return 0;
    }
    hmap_init(&map, 0); /* a random key, as every map has */
    memcpy(x->key, map.key, sizeof(x->key));
    for (size_t i = 0; err == 0 && i < p->def->n_routes; i++) {
        err = policy_route_enter(x, p, i, &all);
    }
    if (err == 0) {
        qsort(all.e, all.n, sizeof(*all.e), policy_entry_cmp);
        err = policy_index_fill(x, &all);
    }
    mem_free(all.e);
    return err;
}

void policy_index_free(struct policy_index *x)
{
    mem_free(x->buckets);
    mem_free(x->routes);
    x->buckets = NULL;
    x->routes = NULL;
}

/* --- asking --- */

static void policy_way_add(struct policy_ways *w, const struct policy_index *x, uint64_t key,
                           size_t from)
{
    const struct policy_bucket *b = policy_bucket_at(x, key);
    const uint16_t *at = x->routes + b->first, *end = at + b->n;

    while (at != end && *at < from) { /* only after a route that goes on */
        at++;
    }
    if (b->key != 0 && at != end) {
        w->e[w->n].at = at;
        w->e[w->n++].end = end;
    }
}

bool policy_ways_find(struct policy_ways *w, const struct policy *p, struct policy_facts *f,
                      size_t from)
{
    const struct policy_index *x = &p->index;
    const uint32_t sources[2] = {POLICY_ANY_SOURCE, policy_source_of(f->source)};

    w->n = 0;
    if (x->buckets == NULL) {
        return false;
    }
    for (size_t s = 0; s < COUNT_OF(sources); s++) {
        for (uint64_t left = x->lengths; left != 0; left &= left - 1) {
            size_t n = (size_t)__builtin_ctzll(left);

            if (n <= f->called.n) {
                policy_way_add(w, x, policy_front_key(x, sources[s], sl_head(f->called, n)), from);
            }
        }
        for (uint64_t left = x->tables; left != 0; left &= left - 1) {
            uint16_t table = (uint16_t)__builtin_ctzll(left);
            uint16_t tag = policy_facts_tag(p, f, false, table);

            if (tag != POLICY_TAG_NONE) {
                policy_way_add(w, x, policy_tag_key(x, sources[s], table, tag), from);
            }
        }
    }
    return true;
}

size_t policy_ways_next(struct policy_ways *w)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < w->n; i++) {
        best = *w->e[i].at < best ? *w->e[i].at : best;
    }
    for (size_t i = 0; i < w->n;) {
        if (*w->e[i].at == best && ++w->e[i].at == w->e[i].end) {
            w->e[i] = w->e[--w->n];
        } else {
            i++;
        }
    }
    return best;
}
