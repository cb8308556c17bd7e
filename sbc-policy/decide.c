/* decide.c - the verdict: who asks, which route, and whether there is room. Each step leaves a
 * trace, so that a verdict can always say why. */
#include "policy_int.h"

/* Routes that did not match must not push out the steps that decided. */
#define POLICY_TRACE_LAST 4

void policy_note(struct policy_verdict *v, enum policy_step_kind kind,
                 enum policy_step_result result, size_t index)
{
    bool is_miss = kind == POLICY_STEP_ROUTE && policy_is_miss(result);
    size_t room = is_miss ? POLICY_TRACE_MAX - POLICY_TRACE_LAST : POLICY_TRACE_MAX;

    if (v->n_kept < room) {
        v->steps[v->n_kept++] = (struct policy_step){
            .kind = (uint8_t)kind,
            .result = (uint8_t)result,
            .index = index < POLICY_NODE ? (uint16_t)index : POLICY_NODE,
        };
    }
    if (v->n_steps < UINT16_MAX) {
        v->n_steps++;
    }
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

static void policy_over(struct policy_verdict *v, enum policy_room room, uint16_t who)
{
    static const char *const reasons[2][3] = {
        {"", "Peer has too many calls", "Peer calls too fast"},
        {"", "Too many calls", "Too many calls per second"},
    };

    policy_note(v, POLICY_STEP_LIMIT, POLICY_OVER, who);
    policy_refuse(v, 503, reasons[who == POLICY_NODE][room]);
    v->retry_after_s = room == POLICY_FULL ? POLICY_RETRY_CALLS_S : 1;
    v->n_to = 0;
}

/* The peer first: one that calls too fast must not disturb the node's count. */
static bool policy_take(const struct policy *p, struct policy_verdict *v, int64_t now_ms)
{
    const struct policy_def *def = p->def;
    const struct policy_peer *peer =
        v->source.kind == POLICY_PEER ? &def->peers[v->source.peer] : NULL;
    enum policy_room room;

    if (peer != NULL) {
        room = policy_counter_take(peer->counter, &peer->limit, now_ms);
        if (room != POLICY_ROOM) {
            policy_over(v, room, v->source.peer);
            return false;
        }
        policy_note(v, POLICY_STEP_LIMIT, POLICY_WITHIN, v->source.peer);
    }
    room = policy_counter_take(p->node, &def->limit, now_ms);
    if (room != POLICY_ROOM) {
        if (peer != NULL) {
            policy_counter_undo(peer->counter, &peer->limit);
        }
        policy_over(v, room, POLICY_NODE);
        return false;
    }
    policy_note(v, POLICY_STEP_LIMIT, POLICY_WITHIN, POLICY_NODE);
    v->counted = true;
    return true;
}

void policy_decide(const struct policy *p, const struct policy_request *rq, int64_t now_ms,
                   struct policy_verdict *out)
{
    *out = (struct policy_verdict){.user = -1, .route = -1, .random = rq->random};
    if (!policy_identify(p, rq, out) || !policy_find_route(p, rq, out)) {
        return;
    }
    if (out->action == POLICY_REDIRECT || !policy_heed(p, out, now_ms) ||
        (rq->new_call && !policy_take(p, out, now_ms))) {
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
    policy_counter_release(p->node);
    if (v->source.kind == POLICY_PEER) {
        policy_counter_release(p->def->peers[v->source.peer].counter);
    }
}

bool policy_peer_take(const struct policy *p, unsigned peer, int64_t now_ms)
{
    const struct policy_peer *to = &p->def->peers[peer];

    return policy_counter_take(to->counter, &to->limit, now_ms) == POLICY_ROOM;
}

void policy_peer_release(const struct policy *p, unsigned peer)
{
    policy_counter_release(p->def->peers[peer].counter);
}

uint32_t policy_calls_now(const struct policy *p, int peer)
{
    const struct policy_counter *c = peer >= 0 ? p->def->peers[peer].counter : p->node;

    return atomic_load_explicit(&c->calls, memory_order_relaxed);
}
