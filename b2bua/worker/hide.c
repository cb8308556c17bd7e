/* hide.c - `unknown_sources.answer: expected`: strangers who ask for anything but what a phone that
 * is new here would ask for hear nothing. */
#include "worker/worker_int.h"

static bool is_stranger(const struct worker *w, const struct flow *flow)
{
    struct policy_knock knock = {.source = flow->remote,
                                 .listener = flow->listener,
                                 .connected = flow_is_reliable(flow),
                                 .peer = flow_proven(flow)};
    enum policy_class is =
        policy_classify(w->b->gate, w->cfg->policy, &knock, loop_now_ms(w->loop));

    return is == POLICY_UNKNOWN || is == POLICY_MET;
}

/* It would be challenged, and names our domain: a scanner knows but our address. */
static bool is_expected(const struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    const struct policy_users *users = &policy_def(w->cfg->policy)->users;

    return users->present && users->listener == flow->listener &&
           (req->method == SIP_REGISTER || req->method == SIP_INVITE ||
            req->method == SIP_MESSAGE) &&
           sl_ieq(req->ruri.host, sl_str(users->domain));
}

bool worker_hides(struct worker *w, const struct flow *flow, const struct sip_msg *req)
{
    if (!w->cfg->def.security.hides || flow->dialled || !is_stranger(w, flow) ||
        (req != NULL && is_expected(w, flow, req))) {
        return false;
    }
    stat_inc(STAT_SIP_DROP_HIDDEN);
    return true;
}
