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

/* One certificate name is one peer's on a listener; the first of two stands. */
static int policy_add_certificate(struct policy *p, size_t index, const struct policy_peer *peer,
                                  const char *name)
{
    struct policy_name *e = &p->certificates.e[index];
    size_t n = strlen(name);
    char *key = arena_alloc(&p->arena, n + 1);

    if (key == NULL) {
        return ENOMEM;
    }
    key[0] = (char)peer->listener;
    for (size_t i = 0; i < n; i++) {
        key[i + 1] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    }
    e->name = sl_make(key, n + 1);
    e->index = (int)(peer - p->def->peers);
    if (policy_names_find(&p->certificates, e->name) >= 0) {
        return 0;
    }
    return hmap_insert(&p->certificates.map, &e->node,
                       hmap_hash(&p->certificates.map, e->name.p, e->name.n));
}

static int policy_compile_certificates(struct policy *p)
{
    const struct policy_def *def = p->def;
    size_t n = 0, at = 0;
    int err;

    for (size_t i = 0; i < def->n_peers; i++) {
        n += def->peers[i].n_certificates;
    }
    err = policy_names_init(&p->certificates, n);
    for (size_t i = 0; i < def->n_peers; i++) {
        const struct policy_peer *peer = &def->peers[i];

        for (size_t k = 0; err == 0 && k < peer->n_certificates; k++) {
            err = policy_add_certificate(p, at++, peer, peer->certificates[k]);
        }
    }
    return err;
}

static bool policy_id_is(const struct hnode *node, const void *key)
{
    return CONTAINER_OF(node, struct policy_id, node)->id == *(const uint32_t *)key;
}

static int policy_ids_init(struct policy_ids *ids, size_t n)
{
    hmap_init(&ids->map, 0);
    if (n == 0) {
        return 0;
    }
    ids->e = mem_zalloc(n * sizeof(*ids->e));
    return ids->e != NULL ? 0 : ENOMEM;
}

static void policy_ids_free(struct policy_ids *ids)
{
    hmap_free(&ids->map);
    mem_free(ids->e);
    ids->e = NULL;
}

static int policy_ids_add(struct policy_ids *ids, size_t index, uint32_t id)
{
    struct policy_id *e = &ids->e[index];

    e->id = id;
    e->index = (int)index;
    return hmap_insert(&ids->map, &e->node, hmap_hash(&ids->map, &e->id, sizeof(e->id)));
}

static int policy_ids_find(const struct policy_ids *ids, uint32_t id)
{
    struct hnode *node = NULL;

    if (id != 0 && ids->map.n != 0) {
        node = hmap_find(&ids->map, hmap_hash(&ids->map, &id, sizeof(id)), policy_id_is, &id);
    }
    return node != NULL ? CONTAINER_OF(node, struct policy_id, node)->index : -1;
}

static int policy_compile_ids(struct policy *p)
{
    size_t n_users = p->users != NULL && p->def->n_destinations != 0 ? p->def->users.n_accounts : 0;
    int err = policy_ids_init(&p->ids, p->def->n_peers);

    if (err == 0) {
        err = policy_ids_init(&p->user_ids, n_users);
    }
    for (size_t i = 0; err == 0 && i < p->def->n_peers; i++) {
        err = policy_ids_add(&p->ids, i, p->def->peers[i].id);
    }
    for (size_t i = 0; err == 0 && i < n_users; i++) {
        err = policy_ids_add(&p->user_ids, i, p->users[i]->id);
    }
    return err;
}

/* Counting costs memory for each account, so it begins with the first limit that asks. */
static bool policy_counts_users(const struct policy_def *def)
{
    const struct policy_limit *l = &def->users.limit;

    return def->users.n_accounts != 0 &&
           (l->calls != 0 || l->calls_per_second != 0 || l->requests_per_second != 0 ||
            l->registrations != 0 || def->n_destinations != 0);
}

static int policy_compile_users(struct policy *p)
{
    const struct policy_users *users = &p->def->users;
    int err = 0;

    if (!policy_counts_users(p->def)) {
        return 0;
    }
    p->users = mem_zalloc(users->n_accounts * sizeof(struct policy_counter *));
    if (p->users == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < users->n_accounts; i++) {
        err = policy_book_get(p->book, POLICY_USERS, sl_str(users->accounts[i].name), &p->users[i]);
    }
    return err;
}

static bool policy_counts_sources(const struct policy_def *def)
{
    bool has_early = def->source_limit.early != 0;

    for (size_t i = 0; i < def->n_peers; i++) {
        has_early = has_early || def->peers[i].limit.early != 0;
    }
    return has_early;
}

static int policy_compile_tallies(struct policy *p)
{
    const struct policy_def *def = p->def;
    int err = policy_book_tallies(p->book, policy_counts_sources(def) ? &p->callers : NULL,
                                  def->n_destinations != 0 ? &p->spent : NULL);

    for (size_t i = 0; err == 0 && i < def->n_destinations; i++) {
        err = policy_book_get(p->book, POLICY_NOBODY, sl_str(def->destinations[i].name),
                              &def->destinations[i].counter);
    }
    return err == 0 ? policy_dialled_build(p) : err;
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

        err = policy_book_get(p->book, POLICY_PEER, sl_str(peer->name), &peer->counter);
        peer->id = err == 0 ? peer->counter->id : 0;
    }
    if (err == 0) {
        err = policy_compile_users(p);
    }
    return err == 0 ? policy_compile_tallies(p) : err;
}

static void policy_free_counters(struct policy *p)
{
    struct policy_def *def = p->def;

    for (size_t i = 0; i < def->n_peers; i++) {
        if (def->peers[i].counter != NULL) {
            policy_book_put(p->book, def->peers[i].counter);
            def->peers[i].counter = NULL;
        }
    }
    for (size_t i = 0; p->users != NULL && i < def->users.n_accounts; i++) {
        if (p->users[i] != NULL) {
            policy_book_put(p->book, p->users[i]);
        }
    }
    for (size_t i = 0; i < def->n_destinations; i++) {
        if (def->destinations[i].counter != NULL) {
            policy_book_put(p->book, def->destinations[i].counter);
            def->destinations[i].counter = NULL;
        }
    }
    mem_free(p->users);
    policy_book_free(&p->own_book);
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
        def->peers[i].health = NULL;
        for (size_t k = 0; k < def->peers[i].n_targets; k++) {
            def->peers[i].targets[k].health = NULL;
        }
    }
    for (size_t i = 0; i < def->n_destinations; i++) {
        def->destinations[i].counter = NULL;
    }
    err = policy_compile_names(p);
    if (err == 0) {
        err = policy_matches_build(p);
    }
    if (err == 0) {
        err = policy_index_build(&p->index, p);
    }
    if (err == 0) {
        err = policy_sources_build(&p->sources, def);
    }
    if (err == 0) {
        err = policy_targets_build(&p->targets, def);
    }
    if (err == 0) {
        err = policy_compile_certificates(p);
    }
    if (err == 0) {
        err = policy_compile_counters(p);
    }
    if (err == 0) {
        err = policy_health_attach(policy_book_healths(p->book), def);
    }
    if (err == 0) {
        err = policy_compile_ids(p);
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
    if (p->book != NULL) {
        policy_health_detach(policy_book_healths(p->book), p->def);
    }
    policy_free_counters(p);
    policy_sources_free(&p->sources);
    policy_targets_free(&p->targets);
    policy_names_free(&p->peers);
    policy_names_free(&p->accounts);
    policy_index_free(&p->index);
    policy_names_free(&p->certificates);
    policy_ids_free(&p->ids);
    policy_ids_free(&p->user_ids);
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

int policy_peer_by_certificate(const struct policy *p, uint8_t listener, const struct sl *names,
                               size_t n)
{
    char key[256];
    int peer = -1;

    key[0] = (char)listener;
    for (size_t i = 0; i < n && peer < 0 && p->certificates.map.n != 0; i++) {
        if (names[i].n < sizeof(key)) {
            memcpy(key + 1, names[i].p, names[i].n);
            peer = policy_names_find(&p->certificates, sl_make(key, names[i].n + 1));
        }
    }
    return peer;
}

int policy_peer_by_id(const struct policy *p, uint32_t id)
{
    return policy_ids_find(&p->ids, id);
}

int policy_user_by_id(const struct policy *p, uint32_t id)
{
    return policy_ids_find(&p->user_ids, id);
}

int policy_peer_of(const struct policy *p, uint8_t listener, const struct addr *src,
                   uint32_t proven)
{
    int peer = policy_peer_by_id(p, proven);

    if (peer >= 0 && p->def->peers[peer].listener == listener) {
        return peer;
    }
    return policy_peer_by_source(p, listener, src);
}

int policy_peer_by_name(const struct policy *p, struct sl name)
{
    return policy_names_find(&p->peers, name);
}

int policy_user_by_name(const struct policy *p, struct sl name)
{
    return policy_names_find(&p->accounts, name);
}
