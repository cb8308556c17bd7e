/* destination.c - what counts by key: unanswered calls of one source, and what one party sends to
 * numbers that cost money: calls, minutes and different numbers in a window, calls at once. */
#include "policy_int.h"

/* --- sources --- */

/* Where a source's limit is written: its peer's, or that of all sources. */
const struct policy_limit *policy_early_limit(const struct policy *p,
                                              const struct policy_ref *source, bool *is_peers)
{
    const struct policy_limit *own =
        source->kind == POLICY_PEER ? &p->def->peers[source->peer].limit : NULL;

    *is_peers = own != NULL && own->early != 0;
    return *is_peers ? own : &p->def->source_limit;
}

bool policy_early_key(const struct addr *source, struct tally_key *key)
{
    struct policy_key at;

    if (!policy_key_of(source, POLICY_KEY_WHOLE, 0, &at)) {
        return false;
    }
    *key = (struct tally_key){POLICY_KEY_SOURCE | at.is_v6, at.addr};
    return true;
}

void policy_early_hit(const struct policy *p, const struct policy_verdict *v,
                      struct policy_limit_hit *hit, struct policy_counter **counter)
{
    bool is_peers;
    const struct policy_limit *limit = policy_early_limit(p, &v->source, &is_peers);

    *counter = is_peers ? p->def->peers[v->source.peer].counter : p->node;
    *hit = (struct policy_limit_hit){.scope = is_peers ? POLICY_OF_PEER : POLICY_OF_SOURCE,
                                     .kind = POLICY_EARLY,
                                     .index = is_peers ? v->source.peer : POLICY_NODE,
                                     .max = limit->early};
}

bool policy_early_take(const struct policy *p, const struct policy_request *rq, int64_t now_ms,
                       struct policy_verdict *v)
{
    bool is_peers;
    const struct policy_limit *limit = policy_early_limit(p, &v->source, &is_peers);
    struct policy_limit_hit hit;
    struct policy_counter *counter;
    struct tally_key key;
    struct tally_entry *e;
    uint32_t slot;
    bool is_within;

    if (limit->early == 0 || p->callers == NULL || !policy_early_key(&rq->source, &key)) {
        return true;
    }
    policy_early_hit(p, v, &hit, &counter);
    if (tally_hold(p->callers, &key, now_ms, &slot) != 0) {
        policy_tell_over(v, &hit, &(struct policy_answer){.reason = "Too many sources at once"}, 1);
        return false;
    }
    e = &p->callers->e[slot];
    atomic_store_explicit(&e->max, limit->early, memory_order_relaxed);
    is_within = tally_level_take(&e->now, limit->early, &hit.use);
    if (!is_within) {
        atomic_fetch_add_explicit(&counter->refused[POLICY_EARLY], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&e->refused, 1, memory_order_relaxed);
        policy_tell_over(v, &hit, &limit->answer, POLICY_RETRY_CALLS_S);
        tally_drop(p->callers, slot);
        return false;
    }
    v->early = slot + 1;
    if (policy_comes_near(&e->warned, POLICY_EARLY, hit.use,
                          policy_warn_at(limit->early, limit->warn_percent))) {
        atomic_fetch_add_explicit(&counter->warnings[POLICY_EARLY], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&e->warnings, 1, memory_order_relaxed);
        policy_tell_near(v, &hit);
    }
    return true;
}

void policy_early_release(const struct policy *p, struct policy_verdict *v)
{
    bool is_peers;
    const struct policy_limit *limit = policy_early_limit(p, &v->source, &is_peers);
    struct tally_entry *e;
    uint32_t left;

    if (v->early == 0) {
        return;
    }
    e = &p->callers->e[v->early - 1];
    left = atomic_fetch_sub_explicit(&e->now, 1, memory_order_relaxed) - 1;
    (void)policy_comes_near(&e->warned, POLICY_EARLY, left,
                            policy_warn_at(limit->early, limit->warn_percent));
    tally_drop(p->callers, v->early - 1);
    v->early = 0;
}

/* --- destinations --- */

/* Digits and + * # are told apart; whatever else a name may hold counts as one symbol. */
static uint64_t destination_range(struct sl number, uint32_t range)
{
    uint64_t packed = 0, n = number.n < range ? number.n : range;

    for (size_t i = 0; i < n; i++) {
        char ch = number.p[i];
        uint64_t symbol = ch >= '0' && ch <= '9' ? (uint64_t)(ch - '0')
                          : ch == '+'            ? 10
                          : ch == '*'            ? 11
                          : ch == '#'            ? 12
                                                 : 13;

        packed = packed << 4 | symbol;
    }
    return packed | n << 56;
}

struct tally_key policy_destination_key(const struct policy *p, const struct policy_destination *d,
                                        const struct policy_verdict *v, struct sl number)
{
    uint64_t kind = d->together ? POLICY_NOBODY : v->source.kind, party = 0;

    if (kind == POLICY_PEER) {
        party = p->def->peers[v->source.peer].id;
    } else if (kind == POLICY_USERS) {
        party = p->users[v->user]->id;
    }
    return (struct tally_key){POLICY_KEY_DIALLED | kind << 56 | (uint64_t)d->counter->id << 32 |
                                  party,
                              destination_range(number, d->range)};
}

struct destination_try { /* one rule and one call */
    const struct policy *p;
    const struct policy_destination *d;
    struct policy_verdict *v;
    struct tally_entry *e, *all;  /* all ranges of the party; NULL: there is but one */
    uint32_t slot, share, window; /* share: the slot of `all` */
    int64_t now_ms;
    struct sl number;
};

static struct policy_limit_hit destination_hit(const struct destination_try *t, unsigned kind,
                                               uint32_t use, uint32_t max)
{
    return (struct policy_limit_hit){.scope = POLICY_OF_DESTINATION,
                                     .kind = (uint8_t)kind,
                                     .index = (uint16_t)(t->d - t->p->def->destinations),
                                     .use = use,
                                     .max = max};
}

static int64_t destination_end_ms(const struct destination_try *t)
{
    return ((int64_t)t->window + 1) * t->d->window_s * 1000;
}

static bool destination_over(const struct destination_try *t, unsigned kind, uint32_t use,
                             uint32_t max)
{
    const struct policy_limit_hit hit = destination_hit(t, kind, use, max);
    uint32_t wait_s = (uint32_t)((destination_end_ms(t) - t->now_ms + 999) / 1000);

    atomic_fetch_add_explicit(&t->d->counter->refused[kind - POLICY_DEST_CALLS], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&t->e->refused, 1, memory_order_relaxed);
    policy_tell_over(t->v, &hit, &t->d->answer,
                     kind == POLICY_DEST_PARALLEL ? POLICY_RETRY_CALLS_S : wait_s);
    return false;
}

static void destination_near(const struct destination_try *t, unsigned kind, uint32_t use,
                             uint32_t max)
{
    const struct policy_limit_hit hit = destination_hit(t, kind, use, max);

    if (max != 0 &&
        policy_comes_near(&t->e->warned, kind, use, policy_warn_at(max, t->d->warn_percent))) {
        atomic_fetch_add_explicit(&t->d->counter->warnings[kind - POLICY_DEST_CALLS], 1,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&t->e->warnings, 1, memory_order_relaxed);
        policy_tell_near(t->v, &hit);
    }
}

/* Calls under way count with what they have lasted so far. */
static uint32_t destination_minutes(const struct destination_try *t)
{
    uint64_t s = tally_window_use(&t->e->seconds, t->window);

    s += tally_running_s(t->e, t->now_ms / 1000);
    return (uint32_t)(s / 60 < UINT32_MAX ? s / 60 : UINT32_MAX);
}

/* --- the share: entries that one party fills in one rule, so that no party takes all of them ---
 */

/* Calls at once are forgotten with the last one; everything else only with its window. */
static bool destination_is_kept(const struct policy_destination *d)
{
    return d->calls != 0 || d->minutes != 0 || d->numbers != 0;
}

static bool destination_no_room(const struct destination_try *t, const char *reason, uint32_t max)
{
    const struct policy_limit_hit hit = destination_hit(
        t, destination_is_kept(t->d) ? POLICY_DEST_CALLS : POLICY_DEST_PARALLEL, max, max);

    policy_tell_over(t->v, &hit, &(struct policy_answer){.reason = reason}, 1);
    return false;
}

static bool destination_over_share(const struct destination_try *t)
{
    return destination_no_room(t, "Too many ranges in this destination", POLICY_DIALLED_SHARE);
}

/* all NULL: the party has but one entry. */
static uint32_t destination_leave(struct tally_entry *e, struct tally_entry *all)
{
    uint32_t left = atomic_fetch_sub_explicit(&e->now, 1, memory_order_acq_rel) - 1;

    if (left == 0 && all != NULL) {
        atomic_fetch_sub_explicit(&all->now, 1, memory_order_relaxed);
    }
    return left;
}

/* Whoever brings the first call counts the range, and only then looks: of calls that come and go
 * meanwhile, the last one takes it back. */
static bool destination_enter(const struct destination_try *t, uint32_t *parallel)
{
    if (!tally_level_take(&t->e->now, t->d->parallel, parallel)) {
        return destination_over(t, POLICY_DEST_PARALLEL, *parallel, t->d->parallel);
    }
    if (*parallel == 1 && t->all != NULL &&
        atomic_fetch_add_explicit(&t->all->now, 1, memory_order_relaxed) >= POLICY_DIALLED_SHARE) {
        (void)destination_leave(t->e, t->all);
        return destination_over_share(t);
    }
    return true;
}

/* To the end of the window. False: the party keeps its share already. */
static bool destination_keep(const struct destination_try *t, uint32_t max)
{
    int64_t end_ms = destination_end_ms(t);
    bool counts = t->all != NULL && atomic_load(&t->e->until_ms) < end_ms;
    uint32_t kept;

    if (!destination_is_kept(t->d)) {
        return true;
    }
    if (counts && !tally_window_take(&t->all->calls, t->window, 1, max, &kept)) {
        return false;
    }
    if (!tally_keep(t->p->spent, t->slot, end_ms) && counts) { /* somebody else was faster */
        tally_window_undo(&t->all->calls, t->window, 1);
    }
    if (t->all != NULL) {
        (void)tally_keep(t->p->spent, t->share, end_ms);
    }
    return true;
}

/* What can be undone is taken first; a number that was tried stays tried. */
static bool destination_count(const struct destination_try *t)
{
    const struct policy_destination *d = t->d;
    uint32_t minutes = destination_minutes(t), parallel, calls, numbers = 0;

    if (d->minutes != 0 && minutes >= d->minutes) {
        return destination_over(t, POLICY_DEST_MINUTES, minutes, d->minutes);
    }
    if (!destination_enter(t, &parallel)) {
        return false;
    }
    if (!tally_window_take(&t->e->calls, t->window, 1, d->calls, &calls)) {
        (void)destination_leave(t->e, t->all);
        return destination_over(t, POLICY_DEST_CALLS, calls, d->calls);
    }
    if (!destination_keep(t, POLICY_DIALLED_SHARE)) {
        (void)destination_leave(t->e, t->all);
        tally_window_undo(&t->e->calls, t->window, 1);
        return destination_over_share(t);
    }
    if (d->numbers != 0 &&
        !tally_number_take(t->p->spent, t->slot, t->window, t->number, d->numbers, &numbers)) {
        (void)destination_leave(t->e, t->all);
        tally_window_undo(&t->e->calls, t->window, 1);
        return destination_over(t, POLICY_DEST_NUMBERS, numbers, d->numbers);
    }
    destination_near(t, POLICY_DEST_MINUTES, minutes, d->minutes);
    destination_near(t, POLICY_DEST_PARALLEL, parallel, d->parallel);
    destination_near(t, POLICY_DEST_CALLS, calls, d->calls);
    if (numbers != 0) {
        destination_near(t, POLICY_DEST_NUMBERS, numbers, d->numbers);
    }
    return true;
}

/* The entry, and that of all ranges of the party when it may have many. */
static bool destination_hold(struct destination_try *t)
{
    struct tally_key key = policy_destination_key(t->p, t->d, t->v, t->number);

    if (tally_hold(t->p->spent, &key, t->now_ms, &t->slot) != 0) {
        return false;
    }
    t->e = &t->p->spent->e[t->slot];
    if (t->d->range == 0 || t->number.n == 0) {
        return true;
    }
    key.what = POLICY_KEY_ALL_RANGES;
    if (tally_hold(t->p->spent, &key, t->now_ms, &t->share) != 0) {
        tally_drop(t->p->spent, t->slot);
        return false;
    }
    t->all = &t->p->spent->e[t->share];
    return true;
}

static bool destination_take(struct destination_try *t)
{
    struct policy_verdict *v = t->v;

    t->window = (uint32_t)(t->now_ms / ((int64_t)t->d->window_s * 1000));
    if (!destination_hold(t)) {
        return destination_no_room(t, "No room to count this destination", POLICY_DIALLED);
    }
    if (!destination_count(t)) {
        tally_drop(t->p->spent, t->slot);
        if (t->all != NULL) {
            tally_drop(t->p->spent, t->share);
        }
        return false;
    }
    atomic_fetch_add_explicit(&t->d->counter->calls, 1, memory_order_relaxed);
    v->held[v->n_held++] =
        (struct policy_held){.destination = (uint16_t)(t->d - t->p->def->destinations),
                             .slot = t->slot,
                             .share = t->all != NULL ? t->share + 1 : 0,
                             .window = t->window};
    policy_note_scope(v, POLICY_WITHIN, POLICY_OF_DESTINATION,
                      (size_t)(t->d - t->p->def->destinations));
    return true;
}

bool policy_destinations_take(const struct policy *p, const struct policy_request *rq,
                              int64_t now_ms, struct policy_verdict *v)
{
    struct policy_facts facts;

    if (p->def->n_destinations == 0) {
        return true;
    }
    policy_facts_init(&facts, p, rq, v);
    for (size_t i = 0; i < p->def->n_destinations && v->n_held < POLICY_DESTINATION_FITS; i++) {
        struct destination_try t = {.p = p,
                                    .d = &p->def->destinations[i],
                                    .v = v,
                                    .now_ms = now_ms,
                                    .number = facts.called};

        if (policy_is_dialled(p, i, &facts) && !destination_take(&t)) {
            return false;
        }
    }
    return true;
}

void policy_destinations_release(const struct policy *p, struct policy_verdict *v, bool undo)
{
    for (; v->n_held != 0; v->n_held--) {
        const struct policy_held *h = &v->held[v->n_held - 1];
        const struct policy_destination *d = &p->def->destinations[h->destination];
        struct tally_entry *e = &p->spent->e[h->slot];
        struct tally_entry *all = h->share != 0 ? &p->spent->e[h->share - 1] : NULL;
        uint32_t left;

        if (h->since_s != 0) {
            tally_run(e, h->since_s, false);
        }
        if (undo) {
            tally_window_undo(&e->calls, h->window, 1);
        }
        /* First the sum, then what lets the next one in: the sum is never above the limit. */
        atomic_fetch_sub_explicit(&d->counter->calls, 1, memory_order_release);
        left = destination_leave(e, all);
        (void)policy_comes_near(&e->warned, POLICY_DEST_PARALLEL, left,
                                policy_warn_at(d->parallel, d->warn_percent));
        tally_drop(p->spent, h->slot);
        if (all != NULL) {
            tally_drop(p->spent, h->share - 1);
        }
    }
}

/* --- the life of a call --- */

void policy_answered(const struct policy *p, struct policy_verdict *v, int64_t now_ms)
{
    policy_early_release(p, v);
    for (size_t i = 0; i < v->n_held; i++) {
        if (v->held[i].since_s == 0) {
            v->held[i].since_s = (uint32_t)(now_ms / 1000);
            tally_run(&p->spent->e[v->held[i].slot], v->held[i].since_s, true);
        }
    }
}

static void destination_spend(const struct policy *p, struct policy_verdict *v,
                              struct policy_held *h, int64_t now_ms)
{
    struct destination_try t = {.p = p,
                                .d = &p->def->destinations[h->destination],
                                .v = v,
                                .e = &p->spent->e[h->slot],
                                .slot = h->slot,
                                .now_ms = now_ms};
    int64_t length_s = now_ms / 1000 - h->since_s;
    uint32_t use;

    t.window = (uint32_t)(now_ms / ((int64_t)t.d->window_s * 1000));
    (void)tally_window_take(&t.e->seconds, t.window, (uint32_t)(length_s > 0 ? length_s : 0), 0,
                            &use);
    tally_run(t.e, h->since_s, false);
    h->since_s = 0;
    if (h->share != 0) {
        t.share = h->share - 1;
        t.all = &p->spent->e[t.share];
    }
    (void)destination_keep(&t, 0);
    destination_near(&t, POLICY_DEST_MINUTES, destination_minutes(&t), t.d->minutes);
}

void policy_ended(const struct policy *p, struct policy_verdict *v, int64_t now_ms)
{
    v->told.n_near = 0;
    for (size_t i = 0; i < v->n_held; i++) {
        if (v->held[i].since_s != 0) {
            destination_spend(p, v, &v->held[i], now_ms);
        }
    }
    policy_release(p, v);
}
