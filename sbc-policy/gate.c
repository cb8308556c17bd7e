/* gate.c - the decision at the door: class of a source, and the budgets of strangers and of each
 * source. Costs a few look-ups; nothing here reads a message. */
#include "policy_int.h"

#include <stdlib.h>

#define GATE_PROVEN 16384u /* buckets of eight: flows */
#define GATE_HOMES 8192u   /* addresses with a proven flow */
#define GATE_DENIED 16384u
#define GATE_MET 2048u     /* connections */
#define GATE_MET_TIMES 10u /* what all connections of strangers may use, in strangers' budgets */
#define GATE_EACH 32768u   /* rates of single sources, by hash: two that meet share one */

/* The strangers' budget is written by all workers: a cache line of its own. */
struct policy_gate {
    struct policy_marks proven, homes, denied;
    struct policy_marks met, fallen;         /* connections: spoke SIP; offended since */
    _Atomic uint64_t *drops;                 /* for each entry of `denied` */
    _Atomic uint64_t v4_lengths, v6_lengths; /* prefix lengths under a ban, bit length - 1 */
    _Atomic bool has_flows;                  /* some flow is or was under a ban */
    char pad_before[64];
    _Atomic int64_t strangers_ns, met_ns;
    _Atomic uint32_t strangers_warned;
    char pad_after[64];
    _Atomic int64_t each_ns[GATE_EACH];
    _Atomic uint32_t each_warned[GATE_EACH]; /* the episode is on */
};

int policy_gate_new(struct policy_gate **gp)
{
    struct policy_gate *g = mem_zalloc(sizeof(*g));
    int err = g != NULL ? policy_marks_init(&g->proven, GATE_PROVEN) : ENOMEM;

    if (err == 0) {
        err = policy_marks_init(&g->homes, GATE_HOMES);
    }
    if (err == 0) {
        err = policy_marks_init(&g->denied, GATE_DENIED);
    }
    if (err == 0) {
        err = policy_marks_init(&g->met, GATE_MET);
    }
    if (err == 0) {
        err = policy_marks_init(&g->fallen, GATE_MET);
    }
    if (err == 0) {
        g->drops = mem_zalloc(policy_marks_size(&g->denied) * sizeof(*g->drops));
        err = g->drops != NULL ? 0 : ENOMEM;
    }
    if (err != 0) {
        policy_gate_free(&g);
        return err;
    }
    *gp = g;
    return 0;
}

void policy_gate_free(struct policy_gate **gp)
{
    struct policy_gate *g = *gp;

    *gp = NULL;
    if (g != NULL) {
        policy_marks_free(&g->proven);
        policy_marks_free(&g->homes);
        policy_marks_free(&g->denied);
        policy_marks_free(&g->met);
        policy_marks_free(&g->fallen);
        mem_free((void *)g->drops);
        mem_free(g);
    }
}

/* --- classes --- */

static bool gate_is_allowed(const struct policy_security *s, const struct addr *ip)
{
    for (size_t i = 0; i < s->n_allow; i++) {
        if (prefix_has(&s->allow[i], ip)) {
            return true;
        }
    }
    return false;
}

/* --- where peers are reached: answers come from there, whatever `sources` says --- */

static int gate_target_order(const void *x, const void *y)
{
    const struct policy_key *a = x, *b = y;

    if (a->is_v6 != b->is_v6) {
        return a->is_v6 ? 1 : -1;
    }
    if (a->addr != b->addr) {
        return a->addr > b->addr ? 1 : -1;
    }
    return (a->low > b->low) - (a->low < b->low);
}

/* The whole address, as of a flow: in the /64 of a target others may live. */
static bool gate_target_key(const struct addr *ip, struct policy_key *k)
{
    return policy_key_of(ip, POLICY_KEY_WHOLE, 1, k);
}

int policy_targets_build(struct policy_targets *t, const struct policy_def *def)
{
    size_t total = 0;

    for (size_t i = 0; i < def->n_peers; i++) {
        total += def->peers[i].n_targets;
    }
    if (total == 0) {
        return 0;
    }
    t->e = mem_zalloc(total * sizeof(*t->e));
    if (t->e == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < def->n_peers; i++) {
        const struct policy_peer *peer = &def->peers[i];

        for (size_t k = 0; k < peer->n_targets; k++) {
            t->n += gate_target_key(&peer->targets[k].addr, &t->e[t->n]);
        }
    }
    qsort(t->e, t->n, sizeof(*t->e), gate_target_order);
    return 0;
}

void policy_targets_free(struct policy_targets *t)
{
    mem_free(t->e);
    *t = (struct policy_targets){0};
}

static bool gate_is_target(const struct policy *p, const struct addr *ip)
{
    struct policy_key k;

    return p->targets.n != 0 && gate_target_key(ip, &k) &&
           bsearch(&k, p->targets.e, p->targets.n, sizeof(k), gate_target_order) != NULL;
}

/* A peer that may be anybody protects nobody. */
static bool gate_is_narrow(const struct prefix *p)
{
    return p->bits >= (addr_family(&p->addr) == AF_INET6 ? 16 : 8);
}

static bool gate_is_of_peer(const struct policy_peer *peer, const struct addr *ip)
{
    for (size_t i = 0; i < peer->n_sources; i++) {
        if (gate_is_narrow(&peer->sources[i]) && prefix_has(&peer->sources[i], ip)) {
            return true;
        }
    }
    return false;
}

static bool gate_is_own(const struct policy_security *s, const struct addr *ip)
{
    for (size_t i = 0; i < s->n_own; i++) {
        if (addr_eq_ip(&s->own[i], ip)) {
            return true;
        }
    }
    return false;
}

bool policy_is_protected(const struct policy *p, const struct addr *ip)
{
    for (size_t i = 0; i < p->def->n_listeners; i++) {
        int peer = policy_peer_by_source(p, (uint8_t)i, ip);

        if (peer >= 0 && gate_is_of_peer(&p->def->peers[peer], ip)) {
            return true;
        }
    }
    return gate_is_target(p, ip) || gate_is_own(&p->def->security, ip) ||
           gate_is_allowed(&p->def->security, ip);
}

static bool gate_overlap(const struct prefix *a, const struct prefix *b)
{
    return a->bits <= b->bits ? prefix_has(a, &b->addr) : prefix_has(b, &a->addr);
}

bool policy_guards_in(const struct policy *p, const struct prefix *net)
{
    const struct policy_def *def = p->def;

    for (size_t i = 0; i < def->security.n_allow; i++) {
        if (gate_overlap(&def->security.allow[i], net)) {
            return true;
        }
    }
    for (size_t i = 0; i < def->security.n_own; i++) {
        if (prefix_has(net, &def->security.own[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < def->n_peers; i++) {
        const struct policy_peer *peer = &def->peers[i];

        for (size_t k = 0; k < peer->n_sources; k++) {
            if (gate_is_narrow(&peer->sources[k]) && gate_overlap(&peer->sources[k], net)) {
                return true;
            }
        }
        for (size_t k = 0; k < peer->n_targets; k++) {
            if (prefix_has(net, &peer->targets[k].addr)) {
                return true;
            }
        }
    }
    return false;
}

/* at: the entry of the ban that drops it. */
static bool gate_is_denied(const struct policy_gate *g, const struct addr *ip, int64_t now_ms,
                           ptrdiff_t *at)
{
    bool is_v6 = addr_family(ip) == AF_INET6;
    uint64_t lengths =
        atomic_load_explicit(is_v6 ? &g->v6_lengths : &g->v4_lengths, memory_order_relaxed);

    while (lengths != 0) {
        unsigned bit = 63u - (unsigned)__builtin_clzll(lengths);
        struct policy_key k;

        lengths &= ~((uint64_t)1 << bit);
        if (policy_key_of(ip, (uint8_t)(bit + 1), 0, &k)) {
            *at = policy_marks_index(&g->denied, &k, now_ms);
            if (*at >= 0) {
                return true;
            }
        }
    }
    return false;
}

static bool gate_is_flow_denied(const struct policy_gate *g, const struct policy_key *flow,
                                bool stream, int64_t now_ms, ptrdiff_t *at)
{
    struct policy_key exact = *flow;

    if (!atomic_load_explicit(&g->has_flows, memory_order_relaxed) || flow->port == 0) {
        return false;
    }
    exact.stream = stream;
    *at = policy_marks_index(&g->denied, &exact, now_ms);
    return *at >= 0;
}

static enum policy_class gate_classify(const struct policy_gate *g, const struct policy *p,
                                       const struct policy_knock *k, int64_t now_ms, ptrdiff_t *at)
{
    struct policy_key flow;
    bool is_flow = policy_key_of(&k->source, POLICY_KEY_WHOLE, addr_port(&k->source), &flow);

    if (policy_peer_of(p, k->listener, &k->source, k->peer) >= 0 || gate_is_target(p, &k->source)) {
        return POLICY_TRUSTED;
    }
    if (is_flow && policy_marks_until(&g->proven, &flow, now_ms) != 0) {
        return POLICY_TRUSTED;
    }
    if ((gate_is_denied(g, &k->source, now_ms, at) ||
         (is_flow && gate_is_flow_denied(g, &flow, k->connected || k->stream, now_ms, at))) &&
        !gate_is_allowed(&p->def->security, &k->source)) {
        return POLICY_DENIED;
    }
    return k->connected && is_flow && policy_marks_until(&g->met, &flow, now_ms) != 0
               ? POLICY_MET
               : POLICY_UNKNOWN;
}

enum policy_class policy_classify(const struct policy_gate *g, const struct policy *p,
                                  const struct policy_knock *k, int64_t now_ms)
{
    ptrdiff_t at;

    return gate_classify(g, p, k, now_ms, &at);
}

/* --- budgets --- */

static enum policy_admission gate_take(_Atomic int64_t *next_ns, _Atomic uint32_t *warned,
                                       struct policy_rate rate, uint32_t percent, int64_t now_ms)
{
    uint32_t use;

    if (!policy_rate_take(next_ns, rate, now_ms, &use)) {
        return POLICY_DROP_FAST;
    }
    return policy_comes_near(warned, 0, use, policy_warn_at(rate.per_second, percent))
               ? POLICY_ADMIT_NEAR
               : POLICY_ADMIT;
}

static enum policy_admission gate_take_each(struct policy_gate *g, const struct policy_security *s,
                                            const struct policy_knock *k, enum policy_class is,
                                            int64_t now_ms)
{
    const struct policy_rate rate = {is == POLICY_TRUSTED ? s->trusted_pps
                                     : is == POLICY_MET   ? s->met_pps
                                                          : s->unknown_each_pps,
                                     0};
    bool by_flow = is != POLICY_UNKNOWN;
    uint64_t words[3] = {0};
    struct policy_key key;
    uint64_t cell;

    if (rate.per_second == 0 ||
        !policy_key_of(&k->source, POLICY_KEY_WHOLE, by_flow ? addr_port(&k->source) : 0, &key)) {
        return POLICY_ADMIT;
    }
    words[0] = key.addr;
    words[1] = (uint64_t)key.port << 1 | key.is_v6;
    words[2] = key.low;
    cell = siphash13(words, sizeof(words), g->homes.key) % GATE_EACH;
    return gate_take(&g->each_ns[cell], &g->each_warned[cell], rate, s->warn_percent, now_ms);
}

/* Asked before it is taken: a flood that gets nothing writes nothing either. */
static enum policy_admission gate_admit_stranger(struct policy_gate *g,
                                                 const struct policy_security *s,
                                                 const struct policy_knock *k, int64_t now_ms)
{
    const struct policy_rate all = {s->unknown_pps, 0};
    enum policy_admission each, both = POLICY_ADMIT;
    bool is_counted = all.per_second != 0;

    if (is_counted && !policy_rate_has(&g->strangers_ns, all, now_ms)) {
        return POLICY_DROP_STRANGER;
    }
    each = gate_take_each(g, s, k, POLICY_UNKNOWN, now_ms);
    if (each == POLICY_DROP_FAST) {
        return each;
    }
    if (is_counted) {
        both = gate_take(&g->strangers_ns, &g->strangers_warned, all, s->warn_percent, now_ms);
    }
    return both == POLICY_DROP_FAST ? POLICY_DROP_STRANGER : both == POLICY_ADMIT ? each : both;
}

/* A connection costs a handshake, which many can pay: together they have a budget as well, also
 * those that have offended or not said anything yet. */
static enum policy_admission gate_admit_connected(struct policy_gate *g,
                                                  const struct policy_security *s,
                                                  const struct policy_knock *k,
                                                  enum policy_class is, int64_t now_ms)
{
    enum policy_admission each = gate_take_each(g, s, k, is, now_ms);
    uint64_t all = (uint64_t)s->unknown_pps * GATE_MET_TIMES;
    const struct policy_rate rate = {all < UINT32_MAX ? (uint32_t)all : UINT32_MAX, 0};
    uint32_t use;

    if (each != POLICY_DROP_FAST && all != 0 && !policy_rate_take(&g->met_ns, rate, now_ms, &use)) {
        return POLICY_DROP_STRANGER;
    }
    return each;
}

enum policy_admission policy_admit(struct policy_gate *g, const struct policy *p,
                                   const struct policy_knock *k, int64_t now_ms)
{
    const struct policy_security *s = &p->def->security;
    ptrdiff_t at;

    switch (gate_classify(g, p, k, now_ms, &at)) {
    case POLICY_DENIED:
        atomic_fetch_add_explicit(&g->drops[at], 1, memory_order_relaxed);
        return POLICY_DROP_DENIED;
    case POLICY_TRUSTED:
        return gate_take_each(g, s, k, POLICY_TRUSTED, now_ms);
    case POLICY_MET:
        return gate_admit_connected(g, s, k, POLICY_MET, now_ms);
    case POLICY_UNKNOWN:
        break;
    }
    return k->connected ? gate_admit_connected(g, s, k, POLICY_UNKNOWN, now_ms)
                        : gate_admit_stranger(g, s, k, now_ms);
}

uint32_t policy_strangers_now(const struct policy_gate *g, const struct policy *p, int64_t now_ms)
{
    const struct policy_rate all = {p->def->security.unknown_pps, 0};

    return policy_rate_use(&g->strangers_ns, all, now_ms);
}

/* --- marks --- */

bool policy_prove(struct policy_gate *g, const struct addr *flow, int64_t until_ms, int64_t now_ms)
{
    struct policy_key k;
    int64_t before_ms;

    if (!policy_key_of(flow, POLICY_KEY_WHOLE, addr_port(flow), &k)) {
        return false;
    }
    before_ms = policy_marks_until(&g->proven, &k, now_ms);
    if (before_ms < until_ms) {
        policy_marks_set(&g->proven, &k, until_ms, now_ms);
    }
    k.port = 0;
    k.low = 0;
    if (policy_marks_until(&g->homes, &k, now_ms) < until_ms) {
        policy_marks_set(&g->homes, &k, until_ms, now_ms);
    }
    return before_ms == 0;
}

void policy_demote(struct policy_gate *g, const struct addr *flow)
{
    struct policy_key k;

    if (policy_key_of(flow, POLICY_KEY_WHOLE, addr_port(flow), &k)) {
        policy_marks_clear(&g->proven, &k);
    }
}

bool policy_has_proven(const struct policy_gate *g, const struct addr *ip, int64_t now_ms)
{
    struct policy_key k;

    return policy_key_of(ip, POLICY_KEY_WHOLE, 0, &k) &&
           policy_marks_until(&g->homes, &k, now_ms) != 0;
}

bool policy_proven_in(const struct policy_gate *g, const struct prefix *net, int64_t now_ms)
{
    struct policy_key k;

    if (!policy_key_of(&net->addr, net->bits, 0, &k)) {
        return false;
    }
    return k.bits == (k.is_v6 ? 64 : 32) ? policy_marks_until(&g->homes, &k, now_ms) != 0
                                         : policy_marks_any_in(&g->homes, &k, now_ms);
}

void policy_gate_deny(struct policy_gate *g, const struct policy_key *k, int64_t until_ms,
                      int64_t now_ms)
{
    bool is_new;
    ptrdiff_t at;

    if (k->bits == 0) {
        return; /* nobody means the whole world */
    }
    is_new = policy_marks_index(&g->denied, k, now_ms) < 0;
    policy_marks_set(&g->denied, k, until_ms, now_ms);
    at = policy_marks_index(&g->denied, k, now_ms);
    if (is_new && at >= 0) {
        atomic_store_explicit(&g->drops[at], 0, memory_order_relaxed);
    }
    if (k->port != 0) {
        atomic_store_explicit(&g->has_flows, true, memory_order_relaxed);
        return;
    }
    atomic_fetch_or_explicit(k->is_v6 ? &g->v6_lengths : &g->v4_lengths,
                             (uint64_t)1 << (k->bits - 1), memory_order_relaxed);
}

uint64_t policy_gate_dropped(const struct policy_gate *g, const struct policy_key *k,
                             int64_t now_ms)
{
    ptrdiff_t at = policy_marks_index(&g->denied, k, now_ms);

    return at >= 0 ? atomic_load_explicit(&g->drops[at], memory_order_relaxed) : 0;
}

void policy_gate_undeny(struct policy_gate *g, const struct policy_key *k)
{
    policy_marks_clear(&g->denied, k);
}

void policy_deny(struct policy_gate *g, const struct prefix *p, int64_t until_ms, int64_t now_ms)
{
    struct policy_key k;

    if (policy_key_of(&p->addr, p->bits, 0, &k)) {
        policy_gate_deny(g, &k, until_ms, now_ms);
    }
}

uint64_t policy_denied_packets(const struct policy_gate *g, const struct prefix *p, int64_t now_ms)
{
    struct policy_key k;

    return policy_key_of(&p->addr, p->bits, 0, &k) ? policy_gate_dropped(g, &k, now_ms) : 0;
}

void policy_undeny(struct policy_gate *g, const struct prefix *p)
{
    struct policy_key k;

    if (policy_key_of(&p->addr, p->bits, 0, &k)) {
        policy_gate_undeny(g, &k);
    }
}

/* --- connections --- */

#define GATE_MET_MS 3600000 /* at least half of it; renewed by what is said */

static bool gate_flow_key(const struct addr *flow, struct policy_key *k)
{
    return policy_key_of(flow, POLICY_KEY_WHOLE, addr_port(flow), k) && k->port != 0;
}

void policy_meet(struct policy_gate *g, const struct addr *flow, int64_t now_ms)
{
    struct policy_key k;

    if (gate_flow_key(flow, &k) &&
        policy_marks_until(&g->met, &k, now_ms) < now_ms + GATE_MET_MS / 2 &&
        policy_marks_until(&g->fallen, &k, now_ms) == 0) {
        policy_marks_set(&g->met, &k, now_ms + GATE_MET_MS, now_ms);
    }
}

void policy_fall(struct policy_gate *g, const struct addr *flow, int64_t now_ms)
{
    struct policy_key k;

    if (gate_flow_key(flow, &k)) {
        policy_marks_clear(&g->met, &k);
        policy_marks_set(&g->fallen, &k, now_ms + GATE_MET_MS, now_ms);
    }
}

void policy_part(struct policy_gate *g, const struct addr *flow)
{
    struct policy_key k;

    if (gate_flow_key(flow, &k)) {
        policy_marks_clear(&g->met, &k);
        policy_marks_clear(&g->fallen, &k);
    }
}
