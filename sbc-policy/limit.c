/* limit.c - counters and rates: taking, refusing, giving back, and the warning before. All of it
 * without locks, so that what one worker takes no other can take again. */
#include "policy_int.h"

/* --- rates: the generic cell rate algorithm --- */

/* Rounded up, so that the rate is never above what was set. */
static int64_t policy_interval_ns(uint32_t per_second)
{
    return (1000000000LL + per_second - 1) / per_second;
}

uint32_t policy_rate_burst(struct policy_rate rate)
{
    return rate.burst != 0 ? rate.burst : rate.per_second;
}

/* How far ahead of now the next one may be due: the burst passes after a silence. */
static int64_t policy_slack_ns(struct policy_rate rate)
{
    return policy_interval_ns(rate.per_second) * (int64_t)(policy_rate_burst(rate) - 1);
}

static uint32_t policy_ahead(int64_t next_ns, struct policy_rate rate, int64_t now_ns)
{
    int64_t step = policy_interval_ns(rate.per_second), ahead = next_ns - now_ns;

    return ahead > 0 ? (uint32_t)((ahead + step - 1) / step) : 0;
}

bool policy_rate_has(const _Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms)
{
    return atomic_load_explicit(next_ns, memory_order_relaxed) - now_ms * 1000000 <=
           policy_slack_ns(rate);
}

uint32_t policy_rate_use(const _Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms)
{
    return rate.per_second != 0 ? policy_ahead(atomic_load_explicit(next_ns, memory_order_relaxed),
                                               rate, now_ms * 1000000)
                                : 0;
}

/* One number holds the whole state, so one CAS is the whole step. */
bool policy_rate_take(_Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms,
                      uint32_t *use)
{
    const int64_t step = policy_interval_ns(rate.per_second), slack = policy_slack_ns(rate);
    const int64_t now_ns = now_ms * 1000000;
    int64_t next = atomic_load_explicit(next_ns, memory_order_relaxed);
    int64_t from;

    do {
        from = next > now_ns ? next : now_ns;
        if (from - now_ns > slack) {
            *use = policy_rate_burst(rate);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(next_ns, &next, from + step,
                                                    memory_order_relaxed, memory_order_relaxed));
    *use = policy_ahead(from + step, rate, now_ns);
    return true;
}

/* --- warnings --- */

uint32_t policy_warn_at(uint32_t max, uint32_t percent)
{
    return percent == 0 || max == 0 ? UINT32_MAX : (uint32_t)(((uint64_t)max * percent + 99) / 100);
}

/* The episode ends an eighth below, or every call that comes and goes at the edge would warn. */
bool policy_comes_near(_Atomic uint32_t *warned, unsigned kind, uint32_t use, uint32_t warn_at)
{
    uint32_t bit = 1u << kind;
    bool is_on = (atomic_load_explicit(warned, memory_order_relaxed) & bit) != 0;

    if (use >= warn_at) {
        return !is_on && (atomic_fetch_or_explicit(warned, bit, memory_order_relaxed) & bit) == 0;
    }
    if (is_on && (uint64_t)use * 8 < (uint64_t)warn_at * 7) {
        atomic_fetch_and_explicit(warned, ~bit, memory_order_relaxed);
    }
    return false;
}

void policy_tell_near(struct policy_verdict *v, const struct policy_limit_hit *hit)
{
    if (v->told.n_near < POLICY_TOLD_MAX) {
        v->told.near[v->told.n_near++] = *hit;
    }
}

/* --- refusals --- */

static const char *policy_over_reason(const struct policy_limit_hit *hit)
{
    static const char *const reasons[POLICY_LIMIT_KINDS][POLICY_SCOPES] = {
        [POLICY_CALLS] = {"Too many calls", "Peer has too many calls", "User has too many calls"},
        [POLICY_CALL_RATE] = {"Too many calls per second", "Peer calls too fast",
                              "User calls too fast"},
        [POLICY_REQUEST_RATE] = {"Too many requests per second", "Peer asks too fast",
                                 "User asks too fast"},
        [POLICY_REGISTRATIONS] = {[POLICY_OF_USER] = "User has too many devices"},
        [POLICY_EARLY] = {[POLICY_OF_PEER] = "Source has too many unanswered calls",
                          [POLICY_OF_SOURCE] = "Source has too many unanswered calls"},
        [POLICY_DEST_CALLS] = {[POLICY_OF_DESTINATION] = "Too many calls to this destination"},
        [POLICY_DEST_MINUTES] = {[POLICY_OF_DESTINATION] = "Minutes to this destination used up"},
        [POLICY_DEST_NUMBERS] = {[POLICY_OF_DESTINATION] =
                                     "Too many different numbers of this destination"},
        [POLICY_DEST_PARALLEL] = {[POLICY_OF_DESTINATION] =
                                      "Too many calls at once to this destination"},
    };
    const char *reason = reasons[hit->kind][hit->scope];

    return reason != NULL ? reason : "Over a limit";
}

void policy_tell_over(struct policy_verdict *v, const struct policy_limit_hit *hit,
                      const struct policy_answer *answer, uint32_t retry_s)
{
    policy_note_scope(v, POLICY_OVER, hit->scope, hit->index);
    policy_refuse(v, answer->status != 0 ? answer->status : 503,
                  answer->reason != NULL ? answer->reason : policy_over_reason(hit));
    v->retry_after_s = answer->retry_after_s != 0 ? answer->retry_after_s : retry_s;
    v->told.over = *hit;
    v->told.is_over = true;
}

/* --- counters --- */

static void policy_counter_over(const struct policy_taker *k, enum policy_limit_kind kind,
                                uint32_t use, uint32_t max)
{
    const struct policy_limit_hit hit = {
        .scope = k->scope, .kind = (uint8_t)kind, .index = k->index, .use = use, .max = max};

    atomic_fetch_add_explicit(&k->counter->refused[kind], 1, memory_order_relaxed);
    policy_tell_over(k->v, &hit, &k->limit->answer,
                     kind == POLICY_CALLS || kind == POLICY_REGISTRATIONS ? POLICY_RETRY_CALLS_S
                                                                          : 1);
}

static void policy_counter_near(const struct policy_taker *k, enum policy_limit_kind kind,
                                uint32_t use, uint32_t max)
{
    const struct policy_limit_hit hit = {
        .scope = k->scope, .kind = (uint8_t)kind, .index = k->index, .use = use, .max = max};

    if (max != 0 && policy_comes_near(&k->counter->warned, kind, use,
                                      policy_warn_at(max, k->limit->warn_percent))) {
        atomic_fetch_add_explicit(&k->counter->warnings[kind], 1, memory_order_relaxed);
        policy_tell_near(k->v, &hit);
    }
}

bool policy_counter_take(const struct policy_taker *k, int64_t now_ms)
{
    const struct policy_limit *limit = k->limit;
    const struct policy_rate rate = {limit->calls_per_second, limit->call_burst};
    uint32_t use;

    if (!tally_level_take(&k->counter->calls, limit->calls, &use)) {
        policy_counter_over(k, POLICY_CALLS, use, limit->calls);
        return false;
    }
    policy_counter_near(k, POLICY_CALLS, use, limit->calls);
    if (rate.per_second == 0) {
        return true;
    }
    if (!policy_rate_take(&k->counter->next_ns, rate, now_ms, &use)) {
        policy_counter_release(k->counter, limit);
        policy_counter_over(k, POLICY_CALL_RATE, use, policy_rate_burst(rate));
        return false;
    }
    policy_counter_near(k, POLICY_CALL_RATE, use, policy_rate_burst(rate));
    return true;
}

static bool policy_counter_request(const struct policy_taker *k, int64_t now_ms)
{
    const struct policy_rate rate = {k->limit->requests_per_second, k->limit->request_burst};
    uint32_t use;

    if (rate.per_second == 0) {
        return true;
    }
    if (!policy_rate_take(&k->counter->next_request_ns, rate, now_ms, &use)) {
        policy_counter_over(k, POLICY_REQUEST_RATE, use, policy_rate_burst(rate));
        return false;
    }
    policy_counter_near(k, POLICY_REQUEST_RATE, use, policy_rate_burst(rate));
    return true;
}

/* Subtracting commutes with what other threads added meanwhile. */
void policy_counter_undo(struct policy_counter *c, const struct policy_limit *limit)
{
    policy_counter_release(c, limit);
    if (limit->calls_per_second != 0) {
        atomic_fetch_sub_explicit(&c->next_ns, policy_interval_ns(limit->calls_per_second),
                                  memory_order_relaxed);
    }
}

/* Never below zero: a double release must not turn into four thousand million calls. */
void policy_counter_release(struct policy_counter *c, const struct policy_limit *limit)
{
    uint32_t n = atomic_load_explicit(&c->calls, memory_order_relaxed);

    while (n != 0 && !atomic_compare_exchange_weak_explicit(
                         &c->calls, &n, n - 1, memory_order_relaxed, memory_order_relaxed)) {
    }
    if (limit->calls != 0 && n != 0) {
        (void)policy_comes_near(&c->warned, POLICY_CALLS, n - 1,
                                policy_warn_at(limit->calls, limit->warn_percent));
    }
}

/* --- what is no call --- */

static bool policy_taker_of(const struct policy *p, const struct policy_ref *party, int user,
                            struct policy_taker *k)
{
    if (party->kind == POLICY_PEER) {
        *k = (struct policy_taker){.limit = &p->def->peers[party->peer].limit,
                                   .counter = p->def->peers[party->peer].counter,
                                   .v = k->v,
                                   .scope = POLICY_OF_PEER,
                                   .index = party->peer};
        return true;
    }
    if (party->kind != POLICY_USERS || user < 0 || p->users == NULL) {
        return false;
    }
    *k = (struct policy_taker){.limit = &p->def->users.limit,
                               .counter = p->users[user],
                               .v = k->v,
                               .scope = POLICY_OF_USER,
                               .index = POLICY_NODE};
    return true;
}

void policy_taker_node(const struct policy *p, struct policy_taker *k)
{
    *k = (struct policy_taker){.limit = &p->def->limit,
                               .counter = p->node,
                               .v = k->v,
                               .scope = POLICY_OF_NODE,
                               .index = POLICY_NODE};
}

bool policy_taker_party(const struct policy *p, struct policy_taker *k)
{
    return policy_taker_of(p, &k->v->source, k->v->user, k);
}

bool policy_requests_take(const struct policy *p, int64_t now_ms, struct policy_verdict *v)
{
    struct policy_taker k = {.v = v};

    if (policy_taker_party(p, &k) && !policy_counter_request(&k, now_ms)) {
        return false;
    }
    policy_taker_node(p, &k);
    return policy_counter_request(&k, now_ms);
}

bool policy_take_request(const struct policy *p, const struct policy_ref *party, int user,
                         int64_t now_ms, struct policy_verdict *v)
{
    *v = (struct policy_verdict){.source = *party, .user = user, .route = -1};
    return policy_requests_take(p, now_ms, v);
}

bool policy_take_registrations(const struct policy *p, int user, uint32_t before, uint32_t now,
                               struct policy_verdict *v)
{
    const struct policy_ref party = {.kind = POLICY_USERS};
    struct policy_taker k = {.v = v};
    uint32_t max;

    *v = (struct policy_verdict){.source = party, .user = user, .route = -1};
    if (!policy_taker_of(p, &party, user, &k)) {
        return true;
    }
    max = k.limit->registrations;
    if (max != 0 && now > max && now > before) {
        policy_counter_over(&k, POLICY_REGISTRATIONS, before, max);
        return false;
    }
    atomic_store_explicit(&k.counter->registrations, now, memory_order_relaxed);
    policy_counter_near(&k, POLICY_REGISTRATIONS, now, max);
    return true;
}

void policy_note_registrations(const struct policy *p, int user, uint32_t now)
{
    const struct policy_limit *limit = &p->def->users.limit;

    if (p->users != NULL && user >= 0) {
        atomic_store_explicit(&p->users[user]->registrations, now, memory_order_relaxed);
        (void)policy_comes_near(&p->users[user]->warned, POLICY_REGISTRATIONS, now,
                                policy_warn_at(limit->registrations, limit->warn_percent));
    }
}
