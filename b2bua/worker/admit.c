/* admit.c - the door of a worker: who is let in before anything of his is read, and who has proven
 * to be more than a stranger. */
#include "worker/worker_int.h"

#define PROVEN_SLACK_MS 60000 /* a phone that renews late is still itself */

static enum policy_admission ask_policy(struct worker *w, const struct flow *flow, bool connected)
{
    struct policy_knock knock = {
        .source = flow->remote, .listener = flow->listener, .connected = connected};

    return policy_admit(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop));
}

static bool is_admitted(enum policy_admission a)
{
    static const enum stat_id counters[] = {[POLICY_DROP_DENIED] = STAT_SIP_DROP_DENIED,
                                            [POLICY_DROP_STRANGER] = STAT_SIP_DROP_STRANGER,
                                            [POLICY_DROP_FAST] = STAT_SIP_DROP_FAST};

    if (a != POLICY_ADMIT) {
        stat_inc(counters[a]);
    }
    return a == POLICY_ADMIT;
}

bool worker_admit(void *arg, const struct flow *flow)
{
    return is_admitted(ask_policy(arg, flow, false));
}

bool worker_admit_message(struct worker *w, const struct flow *flow)
{
    enum policy_admission a;

    if (flow->dialled) {
        return true; /* ours: what comes are answers */
    }
    a = ask_policy(w, flow, true);
    if (a == POLICY_DROP_DENIED && flow->worker == w->index && w->net != NULL) {
        net_conn_close(w->net, flow->conn_slot, flow->conn_gen);
    }
    return is_admitted(a);
}

void worker_proven(void *arg, const struct flow *flow)
{
    struct worker *w = arg;
    int64_t now_ms = loop_now_ms(w->loop);
    int64_t life_ms = policy_def(w->cfg->policy)->users.expires_max_s * 1000LL + PROVEN_SLACK_MS;

    policy_prove(w->b->gate, &flow->remote, now_ms + life_ms, now_ms);
}
