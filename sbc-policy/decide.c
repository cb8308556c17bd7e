/* decide.c - the verdict: who asks, which route, and whether there is room. Each step leaves a
 * trace, so that a verdict can always say why. */
#include "policy_int.h"

/* Routes that did not match must not push out the steps that decided. */
#define POLICY_TRACE_LAST 4

static void policy_keep_step(struct policy_verdict *v, const struct policy_step *step)
{
    bool is_miss = step->kind == POLICY_STEP_ROUTE && policy_is_miss(step->result);
    size_t room = is_miss ? POLICY_TRACE_MAX - POLICY_TRACE_LAST : POLICY_TRACE_MAX;

    if (v->n_kept < room) {
        v->steps[v->n_kept++] = *step;
    }
    if (v->n_steps < UINT16_MAX) {
        v->n_steps++;
    }
}

void policy_note_scope(struct policy_verdict *v, enum policy_step_result result,
                       enum policy_scope scope, size_t index)
{
    policy_keep_step(v, &(struct policy_step){.kind = POLICY_STEP_LIMIT,
                                              .result = (uint8_t)result,
                                              .index = (uint16_t)index,
                                              .scope = (uint8_t)scope});
}

void policy_note(struct policy_verdict *v, enum policy_step_kind kind,
                 enum policy_step_result result, size_t index)
{
    policy_keep_step(v, &(struct policy_step){
                            .kind = (uint8_t)kind,
                            .result = (uint8_t)result,
                            .index = index < POLICY_NODE ? (uint16_t)index : POLICY_NODE,
                        });
}

void policy_refuse(struct policy_verdict *v, uint16_t code, const char *reason)
{
    v->action = POLICY_REFUSE;
    v->sip_code = code;
    v->reason = reason;
}

/* True: v->source is known. Else the verdict is complete. */
static bool policy_identify(const struct policy *p, const struct policy_request *rq,
                            struct policy_verdict *v)
{
    const struct policy_users *users = &p->def->users;
    int peer = policy_peer_of(p, rq->listener, &rq->source, rq->proven);

    if (peer >= 0) {
        bool is_proven = rq->proven != 0 && p->def->peers[peer].id == rq->proven;

        v->source = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)peer};
        policy_note(v, is_proven ? POLICY_STEP_CERTIFICATE : POLICY_STEP_SOURCE, POLICY_HIT,
                    (size_t)peer);
        return true;
    }
    policy_note(v, POLICY_STEP_SOURCE, POLICY_NOT_FOUND, POLICY_NODE);
    if (!users->present || users->listener != rq->listener) {
        policy_refuse(v, 403, "Source is not known here");
        return false;
    }
    if (rq->auth_user >= 0 && (size_t)rq->auth_user < users->n_accounts) {
        v->source = (struct policy_ref){.kind = POLICY_USERS};
        v->user = rq->auth_user;
        policy_note(v, POLICY_STEP_AUTH, POLICY_HIT, POLICY_NODE);
        return true;
    }
    policy_note(v, POLICY_STEP_AUTH, POLICY_NOT_FOUND, POLICY_NODE);
    v->action = POLICY_CHALLENGE;
    v->sip_code = sl_eq(rq->method, SL("REGISTER")) ? 401 : 407;
    v->reason = "Credentials are needed";
    return false;
}

static void policy_within(const struct policy_taker *k)
{
    policy_note_scope(k->v, POLICY_WITHIN, k->scope, k->index);
}

/* What was taken before the node said no. */
static void policy_take_back(const struct policy *p, struct policy_verdict *v,
                             const struct policy_taker *party)
{
    policy_destinations_release(p, v, true);
    policy_early_release(p, v);
    if (party->counter != NULL) {
        policy_counter_undo(party->counter, party->limit);
    }
}

/* Whoever asks comes first: one that calls too fast must not disturb the node's count. */
static bool policy_take(const struct policy *p, const struct policy_request *rq,
                        struct policy_verdict *v, int64_t now_ms)
{
    struct policy_taker party = {.v = v}, node = {.v = v};

    if (policy_taker_party(p, &party)) {
        if (!policy_counter_take(&party, now_ms)) {
            return false;
        }
        policy_within(&party);
    }
    policy_taker_node(p, &node);
    if (!policy_early_take(p, rq, now_ms, v) || !policy_destinations_take(p, rq, now_ms, v) ||
        !policy_counter_take(&node, now_ms)) {
        policy_take_back(p, v, &party);
        return false;
    }
    policy_within(&node);
    v->counted = true;
    v->user_counted = party.scope == POLICY_OF_USER;
    return true;
}

void policy_decide(const struct policy *p, const struct policy_request *rq, int64_t now_ms,
                   struct policy_verdict *out)
{
    bool is_asked_again = rq->n_replies != 0; /* by a call that a server was asked about: counted */

    *out = (struct policy_verdict){.user = -1, .route = -1, .random = rq->random};
    if (!policy_identify(p, rq, out) ||
        (!is_asked_again && !policy_requests_take(p, now_ms, out)) ||
        !policy_find_route(p, rq, out)) {
        return;
    }
    if (out->action == POLICY_REDIRECT || !policy_heed(p, out, now_ms)) {
        return;
    }
    if (rq->new_call && !policy_take(p, rq, out, now_ms)) {
        out->n_to = 0;
        return;
    }
    out->action = POLICY_ROUTE;
    out->reason = "Routed";
}

void policy_release(const struct policy *p, struct policy_verdict *v)
{
    if (!v->counted) {
        return;
    }
    v->counted = false;
    policy_destinations_release(p, v, false);
    policy_early_release(p, v);
    policy_counter_release(p->node, &p->def->limit);
    if (v->source.kind == POLICY_PEER) {
        policy_peer_release(p, v->source.peer);
    } else if (v->user_counted) {
        policy_counter_release(p->users[v->user], &p->def->users.limit);
    }
}

bool policy_target_take(const struct policy *p, unsigned peer, int64_t now_ms,
                        struct policy_verdict *v)
{
    const struct policy_peer *to = &p->def->peers[peer];
    const struct policy_taker k = {.limit = &to->limit,
                                   .counter = to->counter,
                                   .v = v,
                                   .scope = POLICY_OF_PEER,
                                   .index = (uint16_t)peer};

    return policy_counter_take(&k, now_ms);
}

bool policy_peer_take(const struct policy *p, unsigned peer, int64_t now_ms)
{
    struct policy_verdict nobody = {.n_to = 0};

    return policy_target_take(p, peer, now_ms, &nobody);
}

void policy_peer_release(const struct policy *p, unsigned peer)
{
    policy_counter_release(p->def->peers[peer].counter, &p->def->peers[peer].limit);
}

uint32_t policy_calls_now(const struct policy *p, int peer)
{
    const struct policy_counter *c = peer >= 0 ? p->def->peers[peer].counter : p->node;

    return atomic_load_explicit(&c->calls, memory_order_relaxed);
}
