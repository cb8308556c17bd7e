/* bindings.c - the users of this worker's replica and their bindings. */
#include "registrar/registrar_int.h"

/* --- records --- */

static struct sl place(char **at, struct sl s)
{
    struct sl out = {*at, s.n};

    if (s.n != 0) {
        memcpy(*at, s.p, s.n);
        *at += s.n;
    }
    return out;
}

struct rec *binding_rec_new(const struct rec *from)
{
    size_t n = from->b.user.n + from->b.contact.n + from->b.instance.n + from->call_id.n +
               from->user_agent.n;
    struct rec *r = mem_alloc(sizeof(*r) + n);
    char *at;

    if (r == NULL) {
        return NULL;
    }
    *r = *from;
    at = (char *)(r + 1);
    r->b.user = place(&at, from->b.user);
    r->b.contact = place(&at, from->b.contact);
    r->b.instance = place(&at, from->b.instance);
    r->call_id = place(&at, from->call_id);
    r->user_agent = place(&at, from->user_agent);
    return r;
}

/* --- updates --- */

void reg_update_free(struct reg_update **up)
{
    struct reg_update *u = *up;

    *up = NULL;
    if (u == NULL) {
        return;
    }
    for (size_t i = 0; i < u->n; i++) {
        binding_rec_free(u->recs[i]);
    }
    mem_free(u->name);
    mem_free(u);
}

struct reg_update *reg_update_clone(const struct reg_update *u)
{
    struct reg_update *c = mem_zalloc(sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->name = mem_strndup(u->name, u->name_n);
    c->name_n = u->name_n;
    for (size_t i = 0; c->name != NULL && i < u->n; i++) {
        c->recs[i] = binding_rec_new(u->recs[i]);
        if (c->recs[i] == NULL) {
            break;
        }
        c->n++;
    }
    if (c->name == NULL || c->n != u->n) {
        reg_update_free(&c);
    }
    return c;
}

struct sl reg_update_user(const struct reg_update *u)
{
    return sl_make(u->name, u->name_n);
}

void reg_update_each_flow(struct reg_update *u, void (*fn)(void *arg, struct flow *flow), void *arg)
{
    for (size_t i = 0; i < u->n; i++) {
        fn(arg, &u->recs[i]->b.flow);
    }
}

/* --- users --- */

static bool user_eq(const struct hnode *n, const void *key)
{
    const struct reg_user *u = CONTAINER_OF(n, struct reg_user, node);

    return sl_eq(sl_make(u->name, u->name_n), *(const struct sl *)key);
}

struct reg_user *reg_user_find(const struct registrar *r, struct sl name)
{
    struct hnode *n = hmap_find(&r->users, hmap_hash(&r->users, name.p, name.n), user_eq, &name);

    return n != NULL ? CONTAINER_OF(n, struct reg_user, node) : NULL;
}

static void user_free(struct reg_user *u)
{
    timer_stop(u->r->p.loop, &u->expiry);
    reg_keep_stop(u);
    hmap_remove(&u->r->users, &u->node);
    for (size_t i = 0; i < u->n; i++) {
        binding_rec_free(u->recs[i]);
    }
    mem_free(u->name);
    mem_free(u);
}

static void on_expiry(void *arg)
{
    struct reg_user *u = arg;
    int64_t now = loop_wall_ms(u->r->p.loop);
    struct rec *keep[REG_BINDINGS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < u->n; i++) {
        if (u->recs[i]->b.expires_ms > now) {
            keep[n++] = u->recs[i];
        }
    }
    reg_user_set(u, keep, n);
}

struct reg_user *reg_user_get(struct registrar *r, struct sl name)
{
    struct reg_user *u = reg_user_find(r, name);

    if (u != NULL) {
        return u;
    }
    u = mem_zalloc(sizeof(*u));
    if (u == NULL) {
        return NULL;
    }
    u->r = r;
    u->name = mem_strndup(name.p, name.n);
    u->name_n = name.n;
    timer_init(&u->expiry, on_expiry, u);
    reg_keep_init(u);
    if (u->name == NULL ||
        hmap_insert(&r->users, &u->node, hmap_hash(&r->users, name.p, name.n)) != 0) {
        mem_free(u->name);
        mem_free(u);
        return NULL;
    }
    return u;
}

/* The same answer on every worker of every run: no key, it is no hash table that could be flooded.
 */
uint8_t registrar_owner(const struct registrar *r, struct sl user)
{
    static const uint8_t key[16] = "postern owner 1";

    return (uint8_t)(siphash13(user.p, user.n, key) % r->p.n_workers);
}

bool reg_is_owner(const struct registrar *r, struct sl name)
{
    return registrar_owner(r, name) == r->p.worker;
}

static bool is_among(const struct rec *rec, struct rec *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == rec) {
            return true;
        }
    }
    return false;
}

static void hold(const struct registrar *r, const struct rec *rec, int delta)
{
    if (r->p.hold != NULL && flow_is_reliable(&rec->b.flow)) {
        r->p.hold(r->p.arg, &rec->b.flow, delta);
    }
}

/* Flows of one device may share their Contact, and so their row. */
static struct rec *with_same_row(const struct rec *rec, struct rec *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sl_eq(list[i]->b.contact, rec->b.contact)) {
            return list[i];
        }
    }
    return NULL;
}

/* Gone and new ones, as the store and the connections must hear of them. A contact that was only
 * refreshed is a new record with the old key: put after del, so the row stays. */
static void tell_store(struct reg_user *u, struct rec *const *recs, size_t n)
{
    for (size_t i = 0; i < u->n; i++) {
        if (!is_among(u->recs[i], recs, n)) {
            const struct rec *left = with_same_row(u->recs[i], recs, n);

            reg_store_del(u->r, u->recs[i]);
            if (left != NULL && is_among(left, u->recs, u->n)) {
                reg_store_put(u->r, left);
            }
            hold(u->r, u->recs[i], -1);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_among(recs[i], u->recs, u->n)) {
            reg_store_put(u->r, recs[i]);
            hold(u->r, recs[i], 1);
        }
    }
}

static void start_expiry(struct reg_user *u)
{
    int64_t now = loop_wall_ms(u->r->p.loop), first = INT64_MAX;

    for (size_t i = 0; i < u->n; i++) {
        first = u->recs[i]->b.expires_ms < first ? u->recs[i]->b.expires_ms : first;
    }
    timer_start(u->r->p.loop, &u->expiry, first > now ? first - now + 1 : 1);
}

static void publish(const struct reg_user *u)
{
    struct reg_update up = {.name = u->name, .name_n = u->name_n, .n = u->n};

    memcpy(up.recs, u->recs, u->n * sizeof(u->recs[0]));
    if (u->r->p.publish != NULL) {
        u->r->p.publish(u->r->p.arg, &up);
    }
}

static void note_devices(const struct reg_user *u)
{
    const struct policy *p = u->r->policy;

    if (p != NULL) {
        policy_note_registrations(p, policy_user_by_name(p, sl_make(u->name, u->name_n)),
                                  (uint32_t)u->n);
    }
}

void reg_user_set(struct reg_user *u, struct rec **recs, size_t n)
{
    bool owner = reg_is_owner(u->r, sl_make(u->name, u->name_n));
    struct rec *old[REG_BINDINGS_MAX];
    size_t n_old = u->n;

    if (owner) {
        tell_store(u, recs, n);
    }
    memcpy(old, u->recs, n_old * sizeof(old[0]));
    if (n != 0) {
        memmove(u->recs, recs, n * sizeof(recs[0]));
    }
    u->n = n;
    u->r->n_bindings = u->r->n_bindings + n - n_old;
    for (size_t i = 0; i < n_old; i++) {
        if (!is_among(old[i], u->recs, n)) {
            binding_rec_free(old[i]);
        }
    }
    if (owner) {
        publish(u);
        note_devices(u);
    }
    if (n == 0) {
        user_free(u);
    } else if (owner) {
        start_expiry(u);
        reg_keep_start(u);
    }
}

void registrar_apply(struct registrar *r, const struct reg_update *up)
{
    struct sl name = sl_make(up->name, up->name_n);
    struct rec *recs[REG_BINDINGS_MAX];
    struct reg_user *u = up->n != 0 ? reg_user_get(r, name) : reg_user_find(r, name);
    size_t n = 0;

    if (u == NULL) {
        return;
    }
    for (size_t i = 0; i < up->n; i++) {
        recs[n] = binding_rec_new(up->recs[i]);
        n += recs[n] != NULL ? 1 : 0;
    }
    reg_user_set(u, recs, n);
}

size_t registrar_lookup(const struct registrar *r, struct sl user,
                        const struct binding *out[REG_BINDINGS_MAX])
{
    const struct reg_user *u = reg_user_find(r, user);
    int64_t now = loop_wall_ms(r->p.loop);
    size_t n = 0;

    for (size_t i = 0; u != NULL && i < u->n; i++) {
        if (u->recs[i]->b.expires_ms > now) {
            out[n++] = &u->recs[i]->b;
        }
    }
    return n;
}

struct reg_update *registrar_copy(const struct registrar *r, struct sl user)
{
    const struct reg_user *u = reg_user_find(r, user);
    struct reg_update up = {0};

    if (u == NULL) {
        return NULL;
    }
    up.name = u->name;
    up.name_n = u->name_n;
    up.n = u->n;
    memcpy(up.recs, u->recs, u->n * sizeof(u->recs[0]));
    return reg_update_clone(&up);
}

struct reg_update *registrar_news(const struct registrar *r, struct sl user)
{
    struct reg_update *u;

    if (reg_user_find(r, user) != NULL) {
        return registrar_copy(r, user);
    }
    u = mem_zalloc(sizeof(*u));
    if (u != NULL) {
        u->name = mem_strndup(user.p, user.n);
        u->name_n = user.n;
    }
    if (u != NULL && u->name == NULL) {
        reg_update_free(&u);
    }
    return u;
}

size_t registrar_count(const struct registrar *r)
{
    return r->n_bindings;
}

/* --- connections --- */

struct gone {
    struct registrar *r;
    const struct flow *flow;
};

static bool drop_on_flow(struct hnode *node, void *arg)
{
    struct reg_user *u = CONTAINER_OF(node, struct reg_user, node);
    struct gone *g = arg;
    struct rec *keep[REG_BINDINGS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < u->n; i++) {
        if (!flow_same(&u->recs[i]->b.flow, g->flow)) {
            keep[n++] = u->recs[i];
        }
    }
    if (n != u->n) { /* replicas too: a call must not ring a dead flow until the owner's update */
        reg_user_set(u, keep, n);
    }
    return true;
}

void registrar_flow_gone(struct registrar *r, const struct flow *flow)
{
    struct gone g = {.r = r, .flow = flow};

    if (flow_is_reliable(flow)) {
        hmap_each(&r->users, drop_on_flow, &g);
    }
}

struct move {
    uint8_t from, to;
};

static bool move_user(struct hnode *node, void *arg)
{
    struct reg_user *u = CONTAINER_OF(node, struct reg_user, node);
    const struct move *m = arg;

    for (size_t i = 0; i < u->n; i++) {
        if (u->recs[i]->b.flow.listener == m->from) {
            u->recs[i]->b.flow.listener = m->to;
        }
    }
    return true;
}

void registrar_move(struct registrar *r, uint8_t from, uint8_t to)
{
    struct move m = {.from = from, .to = to};

    hmap_each(&r->users, move_user, &m);
}

/* --- life --- */

int registrar_new(struct registrar **rp, const struct registrar_params *p)
{
    struct registrar *r = mem_zalloc(sizeof(*r));

    if (r == NULL) {
        return ENOMEM;
    }
    r->p = *p;
    hmap_init(&r->users, REG_USERS_MAX);
    *rp = r;
    return 0;
}

static bool free_one(struct hnode *node, void *arg)
{
    (void)arg;
    user_free(CONTAINER_OF(node, struct reg_user, node));
    return true;
}

void registrar_free(struct registrar **rp)
{
    struct registrar *r = *rp;

    *rp = NULL;
    if (r != NULL) {
        hmap_each(&r->users, free_one, NULL);
        hmap_free(&r->users);
        mem_free(r);
    }
}

void registrar_set_policy(struct registrar *r, const struct policy *p,
                          const char *const *listener_names, size_t n_listeners)
{
    r->policy = p;
    r->listeners = listener_names;
    r->n_listeners = n_listeners;
}
