/* callout.c - routes that somebody else decides: what was heard stands in for what a route would
 * say itself. Asking is the caller's business; the same reply gives the same decision. */
#include "policy_int.h"

static const struct policy_callout_reply *reply_of(const struct policy_request *rq, size_t route)
{
    for (size_t i = 0; i < rq->n_replies; i++) {
        if (rq->replies[i].route == route) {
            return &rq->replies[i];
        }
    }
    return NULL;
}

static enum policy_heard no_answer(const struct policy_callout *c, size_t route,
                                   struct policy_verdict *v)
{
    policy_note(v, POLICY_STEP_ROUTE, POLICY_UNANSWERED, route);
    if (c->fallback_code == 0) {
        return POLICY_HEARD_GO_ON;
    }
    policy_refuse(v, c->fallback_code, "Nobody answered who should route it");
    return POLICY_HEARD_END;
}

enum policy_heard policy_hear(const struct policy *p, const struct policy_request *rq, size_t route,
                              struct policy_verdict *v)
{
    const struct policy_callout *c = &p->def->callouts[p->def->routes[route].callout - 1];
    const struct policy_callout_reply *r = reply_of(rq, route);

    if (r == NULL) {
        policy_note(v, POLICY_STEP_ROUTE, POLICY_ASKS, route);
        v->action = POLICY_CALLOUT;
        v->reason = "Asked by HTTP";
        return POLICY_HEARD_END;
    }
    if (r->kind == POLICY_REPLY_NONE) {
        return no_answer(c, route, v);
    }
    policy_note(v, POLICY_STEP_ROUTE, POLICY_TOLD, route);
    if (r->kind == POLICY_REPLY_CONTINUE) {
        return POLICY_HEARD_GO_ON;
    }
    if (r->kind == POLICY_REPLY_REFUSE) {
        policy_refuse(v, r->code, r->reason != NULL ? r->reason : "Refused by a callout");
        return POLICY_HEARD_END;
    }
    v->n_to = r->n_to;
    memcpy(v->to, r->to, sizeof(v->to));
    v->action = POLICY_ROUTE;
    return POLICY_HEARD_ROUTE;
}
