/* limit_show.c - limits in words, and what is in use of each. Reads what workers write; nothing is
 * taken. */
#include "policy_int.h"

static const char *const limit_words[POLICY_LIMIT_KINDS] = {
    [POLICY_CALLS] = "calls",
    [POLICY_CALL_RATE] = "calls_per_second",
    [POLICY_REQUEST_RATE] = "requests_per_second",
    [POLICY_REGISTRATIONS] = "registrations",
    [POLICY_EARLY] = "early_calls",
    [POLICY_DEST_CALLS] = "calls",
    [POLICY_DEST_MINUTES] = "minutes",
    [POLICY_DEST_NUMBERS] = "numbers",
    [POLICY_DEST_PARALLEL] = "parallel",
};

const char *policy_limit_word(enum policy_limit_kind kind)
{
    return limit_words[kind];
}

const char *policy_scope_word(enum policy_scope scope)
{
    static const char *const words[POLICY_SCOPES] = {"node", "peer", "user", "source",
                                                     "destination"};

    return words[scope];
}

void policy_put_limit(struct buf *b, const struct policy *p, const struct policy_limit_hit *hit)
{
    const struct policy_def *def = p->def;

    switch ((enum policy_scope)hit->scope) {
    case POLICY_OF_PEER:
        buf_putf(b, "peers.%s.limits.", def->peers[hit->index].name);
        break;
    case POLICY_OF_USER:
        buf_puts(b, "users.limits.");
        break;
    case POLICY_OF_SOURCE:
        buf_puts(b, "limits.sources.");
        break;
    case POLICY_OF_DESTINATION:
        buf_putf(b, "limits.destinations.%s.", def->destinations[hit->index].name);
        break;
    default:
        buf_puts(b, "limits.");
        break;
    }
    buf_puts(b, limit_words[hit->kind]);
}

/* --- walking --- */

#define WALK_SHIFT 56 /* a place: scope + 1, then index * kinds + kind + 1 */

struct walk {
    const struct policy *p;
    uint64_t after;
    int64_t now_ms;
    policy_limit_fn *fn;
    void *arg;
    struct policy_limit_row row;
    bool is_over; /* fn has enough */
};

static void walk_name(struct walk *w, const char *name)
{
    struct buf b;

    buf_init_fixed(&b, w->row.name, sizeof(w->row.name) - 1);
    buf_puts(&b, name);
    w->row.name[b.n] = '\0';
}

static void walk_row(struct walk *w, const struct policy_limit_hit *hit, uint64_t index,
                     uint32_t percent, uint32_t warned)
{
    w->row.at =
        (uint64_t)(hit->scope + 1) << WALK_SHIFT | (index * POLICY_LIMIT_KINDS + hit->kind + 1);
    if (w->is_over || hit->max == 0 || w->row.at <= w->after) {
        return;
    }
    w->row.hit = *hit;
    w->row.warn_at = policy_warn_at(hit->max, percent);
    w->row.is_near = (warned >> hit->kind & 1) != 0 && hit->use >= w->row.warn_at;
    w->is_over = !w->fn(&w->row, w->arg);
}

static void walk_counter(struct walk *w, const struct policy_taker *k, uint64_t index, bool busy)
{
    const struct policy_limit *l = k->limit;
    const struct policy_rate calls = {l->calls_per_second, l->call_burst},
                             requests = {l->requests_per_second, l->request_burst};
    const struct {
        uint32_t use, max;
    } all[] = {
        [POLICY_CALLS] = {atomic_load_explicit(&k->counter->calls, memory_order_relaxed), l->calls},
        [POLICY_CALL_RATE] = {policy_rate_use(&k->counter->next_ns, calls, w->now_ms),
                              calls.per_second != 0 ? policy_rate_burst(calls) : 0},
        [POLICY_REQUEST_RATE] = {policy_rate_use(&k->counter->next_request_ns, requests, w->now_ms),
                                 requests.per_second != 0 ? policy_rate_burst(requests) : 0},
        [POLICY_REGISTRATIONS] = {atomic_load_explicit(&k->counter->registrations,
                                                       memory_order_relaxed),
                                  k->scope == POLICY_OF_USER ? l->registrations : 0},
    };

    for (unsigned i = 0; i < COUNT_OF(all); i++) {
        const struct policy_limit_hit hit = {.scope = k->scope,
                                             .kind = (uint8_t)i,
                                             .index = k->index,
                                             .use = all[i].use,
                                             .max = all[i].max};

        w->row.refused = atomic_load_explicit(&k->counter->refused[i], memory_order_relaxed);
        w->row.warned = atomic_load_explicit(&k->counter->warnings[i], memory_order_relaxed);
        if (!busy || hit.use != 0) {
            walk_row(w, &hit, index, l->warn_percent,
                     atomic_load_explicit(&k->counter->warned, memory_order_relaxed));
        }
    }
}

static void walk_node(struct walk *w)
{
    struct policy_taker k;

    policy_taker_node(w->p, &k);
    walk_name(w, "");
    walk_counter(w, &k, 0, false);
}

static void walk_peers(struct walk *w)
{
    const struct policy_def *def = w->p->def;

    for (size_t i = 0; i < def->n_peers && !w->is_over; i++) {
        const struct policy_taker k = {.limit = &def->peers[i].limit,
                                       .counter = def->peers[i].counter,
                                       .scope = POLICY_OF_PEER,
                                       .index = (uint16_t)i};

        walk_name(w, def->peers[i].name);
        walk_counter(w, &k, i, false);
    }
}

/* The entry of the last row seen; those in front of it need no look. */
static uint32_t walk_first(const struct walk *w, enum policy_scope scope)
{
    uint64_t at = w->after & (((uint64_t)1 << WALK_SHIFT) - 1);

    return w->after >> WALK_SHIFT == scope + 1u && at != 0
               ? (uint32_t)((at - 1) / POLICY_LIMIT_KINDS)
               : 0;
}

static void walk_users(struct walk *w)
{
    const struct policy_users *users = &w->p->def->users;

    for (size_t i = walk_first(w, POLICY_OF_USER);
         w->p->users != NULL && i < users->n_accounts && !w->is_over; i++) {
        const struct policy_taker k = {.limit = &users->limit,
                                       .counter = w->p->users[i],
                                       .scope = POLICY_OF_USER,
                                       .index = POLICY_NODE};

        walk_name(w, users->accounts[i].name);
        walk_counter(w, &k, i, true);
    }
}

static struct addr walk_address(const struct tally_key *key)
{
    struct addr a = {0};

    if ((key->who & 1) != 0) {
        a.u.in6.sin6_family = AF_INET6;
        for (unsigned i = 0; i < 8; i++) {
            a.u.in6.sin6_addr.s6_addr[i] = (uint8_t)(key->what >> (56 - 8 * i));
        }
    } else {
        a.u.in4.sin_family = AF_INET;
        a.u.in4.sin_addr.s_addr = htonl((uint32_t)key->what);
    }
    return a;
}

static void walk_sources(struct walk *w)
{
    const struct policy_limit *limit = &w->p->def->source_limit;

    for (uint32_t i = walk_first(w, POLICY_OF_SOURCE);
         w->p->callers != NULL && i < w->p->callers->n && !w->is_over; i++) {
        const struct tally_entry *e = &w->p->callers->e[i];
        struct policy_limit_hit hit = {.scope = POLICY_OF_SOURCE,
                                       .kind = POLICY_EARLY,
                                       .index = POLICY_NODE,
                                       .max = atomic_load(&e->max),
                                       .use = atomic_load(&e->now)};
        struct tally_key key;
        struct addr ip;
        struct buf b;

        if (hit.use == 0 || !tally_peek(w->p->callers, i, w->now_ms, &key)) {
            continue;
        }
        ip = walk_address(&key);
        buf_init_fixed(&b, w->row.name, sizeof(w->row.name) - 1);
        addr_put_host(&b, &ip);
        w->row.name[b.n] = '\0';
        w->row.refused = atomic_load(&e->refused);
        w->row.warned = atomic_load(&e->warnings);
        walk_row(w, &hit, i, limit->warn_percent, atomic_load(&e->warned));
    }
}

/* --- destinations: each rule by party and range, as they are used --- */

static const struct policy_destination *walk_rule(const struct policy_def *def, uint64_t who)
{
    for (size_t i = 0; i < def->n_destinations; i++) {
        if (def->destinations[i].counter->id == (who >> 32 & POLICY_ID_MAX)) {
            return &def->destinations[i];
        }
    }
    return NULL;
}

static void walk_put_party(struct buf *b, const struct policy *p, uint64_t who)
{
    uint32_t id = (uint32_t)who;
    unsigned kind = who >> 56 & 15;
    int peer = kind == POLICY_PEER ? policy_peer_by_id(p, id) : -1;
    int user = kind == POLICY_USERS ? policy_user_by_id(p, id) : -1;

    if (peer >= 0) {
        buf_putf(b, " peer:%s", p->def->peers[peer].name);
    } else if (user >= 0) {
        buf_putf(b, " user:%s", p->def->users.accounts[user].name);
    }
}

static void walk_put_range(struct buf *b, uint64_t what)
{
    unsigned n = (unsigned)(what >> 56);

    if (n != 0) {
        buf_putc(b, ' ');
    }
    while (n-- != 0) {
        buf_putc(b, "0123456789+*#???"[what >> 4 * n & 15]);
    }
}

static void walk_name_spent(struct walk *w, const struct policy_destination *d,
                            const struct tally_key *key)
{
    struct buf b;

    buf_init_fixed(&b, w->row.name, sizeof(w->row.name) - 1);
    buf_puts(&b, d->name);
    walk_put_party(&b, w->p, key->who);
    walk_put_range(&b, key->what);
    w->row.name[b.n] = '\0';
}

/* slot NULL: nothing went there yet. */
static void walk_spent(struct walk *w, const uint32_t *slot, const struct policy_destination *d)
{
    static const struct tally_entry none;
    const struct tally_entry *e = slot != NULL ? &w->p->spent->e[*slot] : &none;
    uint32_t window = (uint32_t)(w->now_ms / ((int64_t)d->window_s * 1000));
    uint64_t s = tally_window_use(&e->seconds, window) + tally_running_s(e, w->now_ms / 1000);
    bool has_numbers = slot != NULL && d->numbers != 0;
    const struct {
        uint32_t use, max;
    } all[] = {{tally_window_use(&e->calls, window), d->calls},
               {(uint32_t)(s / 60), d->minutes},
               {has_numbers ? tally_number_use(w->p->spent, *slot, window) : 0, d->numbers},
               {atomic_load(&e->now), d->parallel}};

    for (unsigned i = 0; i < COUNT_OF(all); i++) {
        const struct policy_limit_hit hit = {.scope = POLICY_OF_DESTINATION,
                                             .kind = (uint8_t)(POLICY_DEST_CALLS + i),
                                             .index = (uint16_t)(d - w->p->def->destinations),
                                             .use = all[i].use,
                                             .max = all[i].max};

        w->row.refused = atomic_load(&d->counter->refused[i]);
        w->row.warned = atomic_load(&d->counter->warnings[i]);
        walk_row(w, &hit, slot != NULL ? *slot : 0, d->warn_percent, atomic_load(&e->warned));
    }
}

static void walk_destinations(struct walk *w)
{
    for (uint32_t i = walk_first(w, POLICY_OF_DESTINATION);
         w->p->spent != NULL && i < w->p->spent->n && !w->is_over; i++) {
        const struct policy_destination *d;
        struct tally_key key;

        if (!tally_peek(w->p->spent, i, w->now_ms, &key) || key.what == POLICY_KEY_ALL_RANGES) {
            continue;
        }
        d = walk_rule(w->p->def, key.who);
        if (d == NULL) {
            continue;
        }
        walk_name_spent(w, d, &key);
        walk_spent(w, &i, d);
    }
}

void policy_limits_walk(const struct policy *p, int scope, uint64_t after, int64_t now_ms,
                        policy_limit_fn *fn, void *arg)
{
    static void (*const walks[POLICY_SCOPES])(struct walk *) = {walk_node, walk_peers, walk_users,
                                                                walk_sources, walk_destinations};
    struct walk w = {.p = p, .after = after, .now_ms = now_ms, .fn = fn, .arg = arg};

    for (int i = 0; i < POLICY_SCOPES && !w.is_over; i++) {
        if ((scope < 0 || scope == i) && after >> WALK_SHIFT <= (uint64_t)i + 1) {
            walks[i](&w);
        }
    }
}

/* --- what one request meets --- */

static void met_counter(struct walk *w, const struct policy_taker *k, const char *name)
{
    walk_name(w, name);
    walk_counter(w, k, 0, false);
}

static void met_party(struct walk *w, struct policy_verdict *v)
{
    struct policy_taker k = {.v = v};

    if (policy_taker_party(w->p, &k)) {
        met_counter(w, &k,
                    v->source.kind == POLICY_PEER ? w->p->def->peers[v->source.peer].name
                                                  : w->p->def->users.accounts[v->user].name);
    }
}

static void met_source(struct walk *w, const struct policy_verdict *v, const struct addr *source)
{
    struct policy_counter *counter;
    struct policy_limit_hit hit;
    struct tally_entry none = {0}, *e = &none;
    struct tally_key key;
    uint32_t slot;
    struct buf b;
    bool is_peers;

    policy_early_hit(w->p, v, &hit, &counter);
    if (w->p->callers == NULL || !policy_early_key(source, &key)) {
        return;
    }
    if (tally_look(w->p->callers, &key, w->now_ms, &slot)) {
        e = &w->p->callers->e[slot];
    }
    buf_init_fixed(&b, w->row.name, sizeof(w->row.name) - 1);
    addr_put_host(&b, source);
    w->row.name[b.n] = '\0';
    hit.use = atomic_load(&e->now);
    w->row.refused = atomic_load(&e->refused);
    w->row.warned = atomic_load(&e->warnings);
    walk_row(w, &hit, 0, policy_early_limit(w->p, &v->source, &is_peers)->warn_percent,
             atomic_load(&e->warned));
}

static void met_destinations(struct walk *w, const struct policy_verdict *v,
                             const struct policy_met *m)
{
    const struct policy_request rq = {.called = m->called};
    unsigned n = 0;
    struct policy_facts facts;

    if (w->p->spent == NULL || v->source.kind == POLICY_NOBODY ||
        (v->source.kind == POLICY_USERS && (v->user < 0 || w->p->users == NULL))) {
        return;
    }
    policy_facts_init(&facts, w->p, &rq, v);
    facts.called = m->called;
    for (size_t i = 0; i < w->p->def->n_destinations && n < POLICY_DESTINATION_FITS; i++) {
        const struct policy_destination *d = &w->p->def->destinations[i];
        struct tally_key key = policy_destination_key(w->p, d, v, m->called);
        uint32_t slot;

        if (policy_is_dialled(w->p, i, &facts)) {
            bool has = tally_look(w->p->spent, &key, w->now_ms, &slot);

            n++;
            walk_name_spent(w, d, &key);
            walk_spent(w, has ? &slot : NULL, d);
        }
    }
}

void policy_limits_met(const struct policy *p, const struct policy_met *m, int64_t now_ms,
                       policy_limit_fn *fn, void *arg)
{
    struct walk w = {.p = p, .now_ms = now_ms, .fn = fn, .arg = arg};
    struct policy_verdict v = *m->v;
    struct policy_taker k = {.v = &v};

    met_party(&w, &v);
    if (m->is_call) {
        met_source(&w, &v, &m->source);
        met_destinations(&w, &v, m);
    }
    policy_taker_node(p, &k);
    met_counter(&w, &k, "");
    for (size_t i = 0; i < v.n_to && m->is_call; i++) {
        bool is_named = v.to[i].kind != POLICY_PEER ||
                        (v.source.kind == POLICY_PEER && v.source.peer == v.to[i].peer);

        for (size_t j = 0; j < i && !is_named; j++) {
            is_named = v.to[j].kind == POLICY_PEER && v.to[j].peer == v.to[i].peer;
        }
        if (!is_named) {
            k = (struct policy_taker){.limit = &p->def->peers[v.to[i].peer].limit,
                                      .counter = p->def->peers[v.to[i].peer].counter,
                                      .scope = POLICY_OF_PEER,
                                      .index = v.to[i].peer};
            met_counter(&w, &k, p->def->peers[v.to[i].peer].name);
        }
    }
}

uint32_t policy_destination_calls(const struct policy *p, size_t destination)
{
    return atomic_load_explicit(&p->def->destinations[destination].counter->calls,
                                memory_order_relaxed);
}
