/* copy.c - the state of the limits, carried into a policy that is only asked, and shown. */
#include "policy_int.h"

static void policy_counter_copy(struct policy_counter *to, const struct policy_counter *from)
{
    atomic_store_explicit(&to->calls, atomic_load_explicit(&from->calls, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&to->next_ns, atomic_load_explicit(&from->next_ns, memory_order_relaxed),
                          memory_order_relaxed);
}

void policy_copy_counts(const struct policy *to, const struct policy *from)
{
    policy_counter_copy(to->node, from->node);
    for (size_t i = 0; i < to->def->n_peers && i < from->def->n_peers; i++) {
        policy_counter_copy(to->def->peers[i].counter, from->def->peers[i].counter);
    }
}

uint32_t policy_burst_now(const struct policy *p, int peer, int64_t now_ms)
{
    const struct policy_limit *limit = peer >= 0 ? &p->def->peers[peer].limit : &p->def->limit;
    const struct policy_counter *c = peer >= 0 ? p->def->peers[peer].counter : p->node;
    int64_t ahead_ns = atomic_load_explicit(&c->next_ns, memory_order_relaxed) - now_ms * 1000000;
    int64_t step_ns;

    if (limit->calls_per_second == 0 || ahead_ns <= 0) {
        return 0;
    }
    step_ns = (1000000000LL + limit->calls_per_second - 1) / limit->calls_per_second;
    return (uint32_t)((ahead_ns + step_ns - 1) / step_ns);
}
