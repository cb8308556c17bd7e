/* bans.c - the book of bans: who has earned one, for how long, how wide, and who never gets one. */
#include "policy_int.h"

#define BANS_MAX 65536u
#define BANS_QUIET_MAX 1024u /* remembered silences: spoofed ones must not fill the book */
#define BANS_SCORES 65536u   /* sources with points, of each kind */
#define BANS_WAYS 8u
#define BANS_REMEMBER_MS (24 * 3600 * 1000LL) /* at least, after the end */

/* A debt instead of a sum: the time at which all points are forgotten. It decays by itself. */
struct bans_score {
    struct policy_key key;
    int64_t debt_ms; /* monotonic; 0: free */
};

struct policy_bans {
    struct policy_gate *gate;
    struct hmap by_prefix;
    struct list order; /* oldest first */
    uint64_t last_id;
    uint32_t n_quiet;
    uint8_t key[16];
    struct bans_score *scores[2]; /* unproven, proven */
};

int policy_bans_new(struct policy_bans **bp, struct policy_gate *gate)
{
    struct policy_bans *b = mem_zalloc(sizeof(*b));

    if (b == NULL) {
        return ENOMEM;
    }
    b->gate = gate;
    list_init(&b->order);
    hmap_init(&b->by_prefix, BANS_MAX);
    memcpy(b->key, b->by_prefix.key, sizeof(b->key));
    for (int i = 0; i < 2; i++) {
        b->scores[i] = mem_zalloc(BANS_SCORES * sizeof(*b->scores[i]));
    }
    if (b->scores[0] == NULL || b->scores[1] == NULL) {
        policy_bans_free(&b);
        return ENOMEM;
    }
    *bp = b;
    return 0;
}

static void ban_free(struct policy_bans *b, struct policy_ban *ban)
{
    b->n_quiet -= ban->quiet;
    hmap_remove(&b->by_prefix, &ban->node);
    list_del(&ban->in_order);
    mem_free((void *)(uintptr_t)ban->evidence.p);
    mem_free(ban);
}

void policy_bans_free(struct policy_bans **bp)
{
    struct policy_bans *b = *bp;

    *bp = NULL;
    if (b == NULL) {
        return;
    }
    LIST_FOR_EACH_SAFE(it, &b->order)
    {
        ban_free(b, CONTAINER_OF(it, struct policy_ban, in_order));
    }
    hmap_free(&b->by_prefix);
    mem_free(b->scores[0]);
    mem_free(b->scores[1]);
    mem_free(b);
}

/* --- points --- */

static uint64_t bans_hash(const struct policy_bans *b, const struct policy_key *k)
{
    uint64_t words[3] = {k->addr, k->low,
                         (uint64_t)k->port << 16 | (uint64_t)k->bits << 2 |
                             (uint64_t)k->stream << 1 | k->is_v6};

    return siphash13(words, sizeof(words), b->key);
}

/* The source's entry, else the one in its bucket that will be forgotten first. */
static struct bans_score *bans_score_of(const struct policy_bans *b, const struct policy_key *k,
                                        bool proven)
{
    struct bans_score *bucket =
        &b->scores[proven][bans_hash(b, k) % (BANS_SCORES / BANS_WAYS) * BANS_WAYS];
    struct bans_score *place = bucket;

    for (unsigned i = 0; i < BANS_WAYS; i++) {
        if (bucket[i].debt_ms != 0 && policy_key_eq(&bucket[i].key, k)) {
            return &bucket[i];
        }
        place = bucket[i].debt_ms < place->debt_ms ? &bucket[i] : place;
    }
    return place;
}

static int64_t bans_debt_of(const struct bans_score *s, const struct policy_key *k)
{
    return policy_key_eq(&s->key, k) ? s->debt_ms : 0;
}

static uint32_t bans_points(const struct policy_ban_rules *rules, int64_t debt_ms, int64_t now_ms)
{
    int64_t left = debt_ms > now_ms ? debt_ms - now_ms : 0;

    return (uint32_t)((left * rules->threshold + rules->window_ms - 1) / rules->window_ms);
}

/* The points with this offence; at the threshold, which is for one party, the debt is paid. */
static uint32_t bans_score(struct policy_bans *b, const struct policy_ban_rules *rules,
                           const struct policy_key *k, const struct policy_offence *o,
                           unsigned parties, int64_t now_ms)
{
    struct bans_score *s = bans_score_of(b, k, o->proof != POLICY_UNPROVEN);
    int64_t debt = bans_debt_of(s, k);
    uint32_t points;

    debt = debt > now_ms ? debt : now_ms;
    debt += (int64_t)policy_event_points(o->event) * rules->window_ms / rules->threshold / parties;
    points = bans_points(rules, debt, now_ms);
    *s = (struct bans_score){.key = *k, .debt_ms = points >= rules->threshold ? 0 : debt};
    return points;
}

uint32_t policy_bans_points(const struct policy_bans *b, const struct policy_ban_rules *rules,
                            const struct addr *ip, bool proven, int64_t mono_ms)
{
    struct policy_key k;

    if (!policy_key_of(ip, POLICY_KEY_WHOLE, 0, &k) || rules->window_ms == 0) {
        return 0;
    }
    return bans_points(rules, bans_debt_of(bans_score_of(b, &k, proven), &k), mono_ms);
}

static void bans_clear_score(struct policy_bans *b, const struct policy_key *k, bool proven)
{
    struct bans_score *s = bans_score_of(b, k, proven);

    if (policy_key_eq(&s->key, k)) {
        s->debt_ms = 0;
    }
}

void policy_bans_forgive(struct policy_bans *b, const struct addr *source)
{
    struct policy_key k;

    if (policy_key_of(source, POLICY_KEY_WHOLE, 0, &k)) {
        bans_clear_score(b, &k, false);
    }
}

/* --- the book --- */

/* A flow's offences are proven by its connection or, where there is none, by digest: so the proof
 * tells streams from datagrams, of which one may be a neighbour's with the other's port. */
static bool ban_flow_is_stream(enum policy_proof proof)
{
    return proof == POLICY_BY_STREAM;
}

static bool ban_key(const struct policy_ban *ban, struct policy_key *k)
{
    bool known = policy_key_of(&ban->prefix.addr, ban->prefix.bits, ban->port, k);

    k->stream = known && ban->port != 0 && ban_flow_is_stream(ban->proof);
    return known;
}

static bool ban_is(const struct hnode *node, const void *key)
{
    const struct policy_ban *ban = CONTAINER_OF(node, struct policy_ban, node);
    struct policy_key k;

    return ban_key(ban, &k) && policy_key_eq(&k, key);
}

static struct policy_ban *bans_get(const struct policy_bans *b, const struct policy_key *k)
{
    struct hnode *node = hmap_find(&b->by_prefix, bans_hash(b, k), ban_is, k);

    return node != NULL ? CONTAINER_OF(node, struct policy_ban, node) : NULL;
}

/* The prefix as it is kept: host bits cleared, IPv6 never longer than /64, but for a flow's. */
static struct prefix bans_prefix(const struct addr *a, const struct policy_key *k)
{
    struct prefix p = {.addr = *a, .bits = k->bits};

    addr_set_port(&p.addr, k->port);
    if (k->is_v6) {
        p.addr.u.in6.sin6_scope_id = 0;
        memset(&p.addr.u.in6.sin6_addr, 0, sizeof(p.addr.u.in6.sin6_addr));
        for (unsigned i = 0; i < 8; i++) {
            p.addr.u.in6.sin6_addr.s6_addr[i] = (uint8_t)(k->addr >> (56 - 8 * i));
            p.addr.u.in6.sin6_addr.s6_addr[8 + i] = (uint8_t)(k->low >> (56 - 8 * i));
        }
        p.bits = k->port != 0 ? 128 : p.bits;
    } else {
        p.addr.u.in4.sin_addr.s_addr = htonl((uint32_t)k->addr);
    }
    return p;
}

/* Makes room by forgetting silences, then bans that are over; a live ban is never pushed out. */
static bool bans_make_room(struct policy_bans *b, bool quiet, int64_t wall_ms)
{
    bool is_full = quiet ? b->n_quiet >= BANS_QUIET_MAX : b->by_prefix.n >= BANS_MAX;

    if (!is_full) {
        return true;
    }
    LIST_FOR_EACH_SAFE(it, &b->order)
    {
        struct policy_ban *ban = CONTAINER_OF(it, struct policy_ban, in_order);

        if (ban->quiet || (!quiet && ban->until_ms <= wall_ms)) {
            ban_free(b, ban);
            return true;
        }
    }
    return false;
}

static int bans_take(struct policy_bans *b, const struct policy_key *k, bool quiet, int64_t wall_ms,
                     struct policy_ban **out)
{
    struct policy_ban *ban = bans_get(b, k);
    int err;

    if (ban != NULL) {
        list_del(&ban->in_order);
        b->n_quiet -= ban->quiet;
        ban->quiet = false;
    } else {
        ban = bans_make_room(b, quiet, wall_ms) ? mem_zalloc(sizeof(*ban)) : NULL;
        if (ban == NULL) {
            return b->by_prefix.n >= BANS_MAX ? ENOBUFS : ENOMEM;
        }
        list_init(&ban->in_order);
        err = hmap_insert(&b->by_prefix, &ban->node, bans_hash(b, k));
        if (err != 0) {
            mem_free(ban);
            return err;
        }
    }
    list_push_back(&b->order, &ban->in_order);
    ban->id = ++b->last_id;
    *out = ban;
    return 0;
}

static void ban_set_evidence(struct policy_ban *ban, struct sl evidence)
{
    char *copy;

    mem_free((void *)(uintptr_t)ban->evidence.p);
    ban->evidence = SL_NULL;
    evidence = sl_head(evidence, POLICY_EVIDENCE_MAX);
    copy = evidence.n != 0 ? mem_alloc(evidence.n) : NULL;
    if (copy != NULL) { /* a ban without it is better than none */
        memcpy(copy, evidence.p, evidence.n);
        ban->evidence = sl_make(copy, evidence.n);
    }
}

static void ban_set_reason(struct policy_ban *ban, struct sl reason)
{
    struct buf w;

    buf_init_fixed(&w, ban->reason, sizeof(ban->reason) - 1);
    buf_putsl(&w, sl_head(reason, sizeof(ban->reason) - 1));
    ban->reason[w.n] = '\0';
}

static void ban_enforce(struct policy_bans *b, const struct policy_ban *ban,
                        const struct policy_now *now)
{
    int64_t left_ms = ban->until_ms - now->wall_ms;

    struct policy_key k;

    if (!ban->dry_run && left_ms > 0 && ban_key(ban, &k)) {
        policy_gate_deny(b->gate, &k, now->mono_ms + left_ms, now->mono_ms);
    }
}

/* The kernel drops everything of a source and knows no flows: only what proved its address, or the
 * operator names, gets there, and only where nobody lives who has proven to be a user. The caller
 * knows that nobody in the prefix is a peer or allowed. */
static bool bans_is_for_firewall(const struct policy_bans *b, const struct policy_ban_rules *rules,
                                 const struct policy_ban *ban, const struct policy_now *now)
{
    return rules->firewall && !ban->quiet && !ban->dry_run &&
           (ban->proof != POLICY_UNPROVEN || ban->event == POLICY_MANUAL) &&
           !policy_proven_in(b->gate, &ban->prefix, now->mono_ms);
}

/* --- from points to bans --- */

static int64_t bans_duration(const struct policy_ban_rules *rules, uint32_t level)
{
    size_t n = rules->n_durations;

    return n != 0 ? rules->durations_ms[level < n ? level : n - 1] : 300000;
}

/* Live, proven, automatic bans of single addresses in the same /24. */
static uint32_t bans_members(const struct policy_bans *b, const struct policy_key *net,
                             int64_t wall_ms)
{
    uint32_t n = 0;

    for (uint64_t i = 0; i < 256; i++) {
        struct policy_key k = {.addr = net->addr | i, .bits = 32};
        const struct policy_ban *ban = bans_get(b, &k);

        n += ban != NULL && ban->until_ms > wall_ms && !ban->quiet && ban->event != POLICY_MANUAL;
    }
    return n;
}

/* A network falls only as a whole: nobody in it is a peer, allowed, or a user who proved himself.
 */
static bool bans_may_widen(const struct policy_bans *b, const struct policy *p,
                           const struct policy_key *net, const struct policy_now *now)
{
    struct addr family = {.u.in4 = {.sin_family = AF_INET}};
    struct prefix all = bans_prefix(&family, net);

    return !policy_guards_in(p, &all) && !policy_proven_in(b->gate, &all, now->mono_ms);
}

/* Silence for a source whose history is in the book: that stays as it is. */
static void bans_hush(struct policy_bans *b, const struct policy_ban_rules *rules,
                      const struct policy_ban *ban, const struct policy_now *now)
{
    if (!rules->dry_run && ban->until_ms <= now->wall_ms) {
        policy_deny(b->gate, &ban->prefix, now->mono_ms + POLICY_QUIET_MS, now->mono_ms);
    }
}

/* A port is no name: by UDP a neighbour behind the same NAT may answer our nonce, and a
 * connection's port may be somebody else's in UDP. So it is silenced no longer than a forged
 * source. */
static int64_t bans_length(const struct policy_ban_rules *rules, const struct policy_ban *ban)
{
    return ban->port != 0 || ban->quiet ? POLICY_QUIET_MS : bans_duration(rules, ban->level);
}

static int bans_punish(struct policy_bans *b, const struct policy *p,
                       const struct policy_offence *o, const struct policy_key *k,
                       const struct policy_now *now, struct policy_ban **out)
{
    const struct policy_ban_rules *rules = &policy_def(p)->security.bans;
    bool quiet =
        o->proof == POLICY_UNPROVEN || policy_has_proven(b->gate, &o->source, now->mono_ms);
    struct policy_ban *ban = bans_get(b, k);
    bool again = ban != NULL && !ban->quiet && ban->event != POLICY_MANUAL;
    int err;

    if (ban != NULL && ban->event == POLICY_MANUAL && ban->until_ms > now->wall_ms) {
        return EALREADY; /* the operator's word stands */
    }
    if (again && quiet) {
        bans_hush(b, rules, ban, now);
        return EALREADY;
    }
    err = bans_take(b, k, quiet, now->wall_ms, &ban);
    if (err != 0) {
        return err;
    }
    ban->level = again ? ban->level + 1 : 0;
    ban->prefix = bans_prefix(&o->source, k);
    ban->port = k->port;
    ban->event = o->event;
    ban->proof = o->proof;
    ban->quiet = quiet;
    b->n_quiet += quiet;
    ban->dry_run = rules->dry_run;
    ban->firewall =
        bans_is_for_firewall(b, rules, ban, now) && /* the source is no peer, but its /64? */
        !policy_guards_in(p, &ban->prefix);
    ban->since_ms = now->wall_ms;
    ban->until_ms = now->wall_ms + bans_length(rules, ban);
    ban_set_evidence(ban, o->evidence);
    ban_enforce(b, ban, now);
    *out = ban;
    return 0;
}

/* IPv4 only: an IPv6 source counts by its /64 from the start. */
static int bans_widen(struct policy_bans *b, const struct policy *p, const struct policy_offence *o,
                      const struct policy_now *now, struct policy_ban **out)
{
    const struct policy_ban_rules *rules = &policy_def(p)->security.bans;
    struct policy_key net;
    struct policy_ban *wide = NULL;
    int err;

    if (rules->network_after == 0 || addr_family(&o->source) != AF_INET ||
        !policy_key_of(&o->source, 24, 0, &net) ||
        bans_members(b, &net, now->wall_ms) < rules->network_after ||
        !bans_may_widen(b, p, &net, now)) {
        return 0;
    }
    err = bans_punish(b, p, o, &net, now, &wide);
    if (err == 0) {
        wide->points = (*out)->points;
        *out = wide;
    }
    return err;
}

/* Where users have proven themselves an address is more than one party: only the flow answers. */
static bool bans_key_of(const struct policy_bans *b, const struct policy_offence *o,
                        const struct policy_now *now, struct policy_key *k)
{
    bool by_flow =
        o->proof != POLICY_UNPROVEN && policy_has_proven(b->gate, &o->source, now->mono_ms);

    if (!policy_key_of(&o->source, POLICY_KEY_WHOLE, by_flow ? addr_port(&o->source) : 0, k)) {
        return false;
    }
    k->stream = k->port != 0 && ban_flow_is_stream(o->proof);
    return true;
}

/* Parties that may be behind an address where users have proven themselves. */
#define BANS_CROWD 10u

/* Whom the offence leads to a ban of. A flow that offends is followed by another one, as ports cost
 * nothing: the address has a score as well, and in the end a minute of silence for all of it but
 * the flows that are proven. */
static bool bans_is_enough(struct policy_bans *b, const struct policy_ban_rules *rules,
                           const struct policy_offence *o, const struct policy_now *now,
                           struct policy_key *k, uint32_t *points)
{
    struct policy_key all = *k;
    uint32_t of_all;

    *points = bans_score(b, rules, k, o, 1, now->mono_ms);
    all.port = 0;
    all.low = 0;
    all.stream = false;
    of_all = k->port != 0 ? bans_score(b, rules, &all, o, BANS_CROWD, now->mono_ms) : 0;
    if (of_all >= rules->threshold) {
        *k = all;
        *points = of_all;
    }
    return *points >= rules->threshold;
}

int policy_bans_note(struct policy_bans *b, const struct policy *p, const struct policy_offence *o,
                     const struct policy_now *now, enum policy_change *change,
                     const struct policy_ban **out)
{
    const struct policy_ban_rules *rules = &policy_def(p)->security.bans;
    bool quiet = o->proof == POLICY_UNPROVEN;
    struct policy_ban *ban = NULL;
    struct policy_key k;
    uint32_t points;
    int err;

    *change = POLICY_NO_CHANGE;
    *out = NULL;
    if (!rules->present || !bans_key_of(b, o, now, &k) ||
        !bans_is_enough(b, rules, o, now, &k, &points)) {
        return 0;
    }
    if (policy_is_protected(p, &o->source) ||
        (quiet && policy_has_proven(b->gate, &o->source, now->mono_ms))) {
        *change = POLICY_SUPPRESSED;
        return 0;
    }
    if (!quiet && !rules->dry_run) {
        policy_demote(b->gate, &o->source);
    }
    err = bans_punish(b, p, o, &k, now, &ban);
    if (err != 0) {
        return err == EALREADY ? 0 : err;
    }
    ban->points = points;
    *change = k.port != 0 ? POLICY_SHUT : ban->quiet ? POLICY_SILENCED : POLICY_BANNED;
    if (*change == POLICY_BANNED) {
        err = bans_widen(b, p, o, now, &ban);
    }
    *out = ban;
    return err == EALREADY ? 0 : err;
}

/* --- by hand --- */

int policy_bans_add(struct policy_bans *b, const struct policy *p, const struct policy_order *order,
                    const struct policy_now *now, const struct policy_ban **out)
{
    struct policy_ban *ban = NULL;
    struct policy_key k;
    struct prefix at;
    int err;

    if (order->for_ms <= 0 || !policy_key_of(&order->at.addr, order->at.bits, 0, &k) ||
        k.bits < (k.is_v6 ? 16 : 8)) {
        return EINVAL;
    }
    at = bans_prefix(&order->at.addr, &k); /* which may be wider than what was asked for */
    if (policy_guards_in(p, &at)) {
        return EPERM;
    }
    err = bans_take(b, &k, false, now->wall_ms, &ban);
    if (err != 0) {
        return err;
    }
    ban->prefix = at;
    ban->port = 0;
    ban->event = POLICY_MANUAL;
    ban->proof = POLICY_UNPROVEN;
    ban->dry_run = false;
    ban->firewall = bans_is_for_firewall(b, &policy_def(p)->security.bans, ban, now);
    ban->points = 0;
    ban->since_ms = now->wall_ms;
    ban->until_ms = now->wall_ms + order->for_ms;
    ban_set_evidence(ban, SL_NULL);
    ban_set_reason(ban, order->reason);
    ban_enforce(b, ban, now);
    *out = ban;
    return 0;
}

int policy_bans_load(struct policy_bans *b, const struct policy_ban *row,
                     const struct policy_now *now)
{
    struct policy_ban *ban = NULL;
    struct policy_key k;
    int err = policy_key_of(&row->prefix.addr, row->prefix.bits, 0, &k)
                  ? bans_take(b, &k, false, now->wall_ms, &ban)
                  : EINVAL;

    if (err != 0) {
        return err;
    }
    ban->prefix = bans_prefix(&row->prefix.addr, &k);
    ban->event = row->event;
    ban->proof = row->proof;
    ban->dry_run = row->dry_run;
    ban->firewall = false;
    ban->level = row->level;
    ban->points = row->points;
    ban->since_ms = row->since_ms;
    ban->until_ms = row->until_ms;
    ban_set_evidence(ban, row->evidence);
    ban_set_reason(ban, sl_str(row->reason));
    ban_enforce(b, ban, now);
    return 0;
}

static void bans_lift(struct policy_bans *b, struct policy_ban *ban)
{
    struct policy_key k;

    if (ban_key(ban, &k)) {
        policy_gate_undeny(b->gate, &k);
        bans_clear_score(b, &k, false);
        bans_clear_score(b, &k, true);
    }
    ban_free(b, ban);
}

bool policy_bans_remove(struct policy_bans *b, uint64_t id)
{
    struct policy_ban *ban = (struct policy_ban *)(uintptr_t)policy_bans_by_id(b, id);

    if (ban == NULL) {
        return false;
    }
    bans_lift(b, ban);
    return true;
}

void policy_bans_recheck(struct policy_bans *b, const struct policy *p,
                         const struct policy_now *now, policy_ban_fn *fn, void *arg)
{
    LIST_FOR_EACH_SAFE(it, &b->order)
    {
        struct policy_ban *ban = CONTAINER_OF(it, struct policy_ban, in_order);

        if (policy_guards_in(p, &ban->prefix)) {
            fn(ban, arg);
            bans_lift(b, ban);
        } else {
            ban->firewall = bans_is_for_firewall(b, &policy_def(p)->security.bans, ban, now);
        }
    }
}

bool policy_bans_is_covered(const struct policy_bans *b, const struct policy_ban *ban,
                            int64_t wall_ms)
{
    for (unsigned bits = 1; bits < ban->prefix.bits; bits++) {
        const struct policy_ban *wider = NULL;
        struct policy_key k;

        if (policy_key_of(&ban->prefix.addr, (uint8_t)bits, 0, &k)) {
            wider = bans_get(b, &k);
        }
        if (wider != NULL && wider->firewall && wider->until_ms > wall_ms) {
            return true;
        }
    }
    return false;
}

static int64_t ban_forget_ms(const struct policy_ban *ban)
{
    int64_t length = ban->until_ms - ban->since_ms;

    if (ban->quiet || ban->event == POLICY_MANUAL) {
        return ban->until_ms;
    }
    return ban->until_ms + (length > BANS_REMEMBER_MS ? length : BANS_REMEMBER_MS);
}

void policy_bans_tick(struct policy_bans *b, const struct policy_now *now, policy_ban_fn *fn,
                      void *arg)
{
    LIST_FOR_EACH_SAFE(it, &b->order)
    {
        struct policy_ban *ban = CONTAINER_OF(it, struct policy_ban, in_order);

        if (ban_forget_ms(ban) <= now->wall_ms) {
            fn(ban, arg);
            ban_free(b, ban);
        }
    }
}

/* --- looking --- */

uint64_t policy_bans_packets(const struct policy_bans *b, const struct policy_ban *ban,
                             int64_t mono_ms)
{
    struct policy_key k;

    return ban_key(ban, &k) ? policy_gate_dropped(b->gate, &k, mono_ms) : 0;
}

const struct policy_ban *policy_bans_find(const struct policy_bans *b, const struct addr *ip,
                                          int64_t wall_ms)
{
    for (unsigned bits = 1; bits <= 64; bits++) {
        const struct policy_ban *ban = NULL;
        struct policy_key k;

        if (policy_key_of(ip, (uint8_t)bits, 0, &k) && k.bits == bits) {
            ban = bans_get(b, &k);
        }
        if (ban != NULL && ban->until_ms > wall_ms) {
            return ban;
        }
    }
    return NULL;
}

const struct policy_ban *policy_bans_at(const struct policy_bans *b, const struct prefix *at,
                                        int64_t wall_ms)
{
    const struct policy_ban *ban = NULL;
    struct policy_key k;

    if (policy_key_of(&at->addr, at->bits, 0, &k)) {
        ban = bans_get(b, &k);
    }
    return ban != NULL && ban->until_ms > wall_ms ? ban : NULL;
}

const struct policy_ban *policy_bans_by_id(const struct policy_bans *b, uint64_t id)
{
    LIST_FOR_EACH(it, &b->order)
    {
        const struct policy_ban *ban = CONTAINER_OF(it, struct policy_ban, in_order);

        if (ban->id == id) {
            return ban;
        }
    }
    return NULL;
}

void policy_bans_each(const struct policy_bans *b, uint64_t before_id, int64_t wall_ms,
                      bool (*fn)(const struct policy_ban *ban, void *arg), void *arg)
{
    for (const struct list *it = b->order.prev; it != &b->order; it = it->prev) {
        const struct policy_ban *ban = CONTAINER_OF(it, const struct policy_ban, in_order);

        if (ban->until_ms > wall_ms && (before_id == 0 || ban->id < before_id) && !fn(ban, arg)) {
            return;
        }
    }
}

size_t policy_bans_count(const struct policy_bans *b)
{
    return b->by_prefix.n;
}
