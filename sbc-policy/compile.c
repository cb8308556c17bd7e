/* compile.c - from what the configuration says to what a decision needs: names by hash, sources by
 * prefix, patterns as slices, counters from the book. */
#include "policy_int.h"

static bool policy_name_is(const struct hnode *node, const void *key)
{
    return sl_eq(CONTAINER_OF(node, struct policy_name, node)->name, *(const struct sl *)key);
}

static int policy_names_find(const struct policy_names *names, struct sl name)
{
    struct hnode *node = NULL;

    if (names->map.n != 0) {
        node =
            hmap_find(&names->map, hmap_hash(&names->map, name.p, name.n), policy_name_is, &name);
    }
    return node != NULL ? CONTAINER_OF(node, struct policy_name, node)->index : -1;
}

/* The first of two equal names stands. */
static int policy_names_add(struct policy_names *names, size_t index, const char *text)
{
    struct policy_name *e = &names->e[index];

    e->name = sl_str(text);
    e->index = (int)index;
    if (policy_names_find(names, e->name) >= 0) {
        return 0;
    }
    return hmap_insert(&names->map, &e->node, hmap_hash(&names->map, e->name.p, e->name.n));
}

static int policy_names_init(struct policy_names *names, size_t n)
{
    hmap_init(&names->map, 0);
    if (n == 0) {
        return 0;
    }
    names->e = mem_zalloc(n * sizeof(*names->e));
    return names->e != NULL ? 0 : ENOMEM;
}

static void policy_names_free(struct policy_names *names)
{
    hmap_free(&names->map);
    mem_free(names->e);
    names->e = NULL;
}

static int policy_compile_names(struct policy *p)
{
    const struct policy_def *def = p->def;
    int err = policy_names_init(&p->peers, def->n_peers);

    if (err == 0) {
        err = policy_names_init(&p->accounts, def->users.n_accounts);
    }
    for (size_t i = 0; err == 0 && i < def->n_peers; i++) {
        err = policy_names_add(&p->peers, i, def->peers[i].name);
    }
    for (size_t i = 0; err == 0 && i < def->users.n_accounts; i++) {
        err = policy_names_add(&p->accounts, i, def->users.accounts[i].name);
    }
    return err;
}

/* Hosts are compared without regard to case (RFC 3261 19.1.4), so the pattern is lowered once. */
static int policy_lower(struct policy *p, const char *text, struct sl *out)
{
    struct sl s = sl_str(text);
    char *copy;

    if (text == NULL) {
        return 0;
    }
    copy = arena_cstr(&p->arena, s);
    if (copy == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
    }
    *out = sl_make(copy, s.n);
    return 0;
}

static int policy_compile_routes(struct policy *p)
{
    const struct policy_def *def = p->def;
    int err = 0;

    if (def->n_routes == 0) {
        return 0;
    }
    p->routes = mem_zalloc(def->n_routes * sizeof(*p->routes));
    if (p->routes == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < def->n_routes; i++) {
        struct policy_match *m = &p->routes[i];

        m->called = sl_str(def->routes[i].called);
        m->calling = sl_str(def->routes[i].calling);
        m->method = sl_str(def->routes[i].method);
        err = policy_lower(p, def->routes[i].domain, &m->domain);
    }
    return err;
}

static int policy_compile_counters(struct policy *p)
{
    int err = 0;

    if (p->book == NULL) {
        err = policy_book_new(&p->own_book);
        p->book = p->own_book;
    }
    if (err != 0) {
        return err;
    }
    p->node = policy_book_node(p->book);
    for (size_t i = 0; err == 0 && i < p->def->n_peers; i++) {
        struct policy_peer *peer = &p->def->peers[i];

        err = policy_book_get(p->book, sl_str(peer->name), &peer->counter);
    }
    return err;
}

int policy_compile(struct policy **pp, struct policy_def *def, struct policy_book *book)
{
    struct policy *p = mem_zalloc(sizeof(*p));
    int err;

    if (p == NULL) {
        return ENOMEM;
    }
    p->def = def;
    p->book = book;
    arena_init(&p->arena, 1024, 0);
    for (size_t i = 0; i < def->n_peers; i++) {
        def->peers[i].counter = NULL;
    }
    err = policy_compile_names(p);
    if (err == 0) {
        err = policy_compile_routes(p);
    }
    if (err == 0) {
        err = policy_sources_build(&p->sources, def);
    }
    if (err == 0) {
        err = policy_targets_build(&p->targets, def);
    }
    if (err == 0) {
        err = policy_compile_counters(p);
    }
    if (err == 0) {
        *pp = p;
        p = NULL;
    }
    policy_free(&p);
    return err;
}

void policy_free(struct policy **pp)
{
    struct policy *p = *pp;

    *pp = NULL;
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->def->n_peers; i++) {
        if (p->def->peers[i].counter != NULL) {
            policy_book_put(p->book, p->def->peers[i].counter);
            p->def->peers[i].counter = NULL;
        }
    }
    policy_book_free(&p->own_book);
    policy_sources_free(&p->sources);
    policy_targets_free(&p->targets);
    policy_names_free(&p->peers);
    policy_names_free(&p->accounts);
    mem_free(p->routes);
    arena_free(&p->arena);
    mem_free(p);
}

const struct policy_def *policy_def(const struct policy *p)
{
    return p->def;
}

int policy_peer_by_source(const struct policy *p, uint8_t listener, const struct addr *src)
{
    return p->sources.n != 0 ? policy_sources_find(&p->sources, listener, src) : -1;
}

int policy_peer_by_name(const struct policy *p, struct sl name)
{
    return policy_names_find(&p->peers, name);
}

int policy_user_by_name(const struct policy *p, struct sl name)
{
    return policy_names_find(&p->accounts, name);
}
