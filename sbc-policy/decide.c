/* decide.c - the verdict: who asks, which route, and whether there is room. Each step leaves a
 * trace, so that a verdict can always say why. */
#include "policy_int.h"

/* Routes that did not match must not push out the steps that decided. */
#define POLICY_TRACE_LAST 4

static void policy_note(struct policy_verdict *v, enum policy_step_kind kind,
                        enum policy_step_result result, size_t index)
{
    bool is_miss = kind == POLICY_STEP_ROUTE && result != POLICY_HIT && result != POLICY_NOT_FOUND;
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

static void policy_refuse(struct policy_verdict *v, uint16_t code, const char *reason)
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

        v->source = (struct policy_ref){POLICY_PEER, (uint16_t)peer};
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

static bool policy_is_from(const struct policy_route *route, const struct policy_ref *source)
{
    for (size_t i = 0; i < route->n_from; i++) {
        if (route->from[i].kind == source->kind &&
            (source->kind != POLICY_PEER || route->from[i].peer == source->peer)) {
            return true;
        }
    }
    return route->n_from == 0;
}

static bool policy_fits(struct sl pattern, struct sl s)
{
    return pattern.p == NULL || sl_glob(pattern, s);
}

struct policy_facts { /* of the request, made ready once */
    const struct policy_request *rq;
    struct sl host; /* in lower case; p NULL: too long for any pattern */
    char text[POLICY_HOST_MAX];
};

static void policy_facts_init(struct policy_facts *f, const struct policy_request *rq)
{
    f->rq = rq;
    f->host = SL_NULL;
    if (rq->called_host.n > sizeof(f->text)) {
        return;
    }
    for (size_t i = 0; i < rq->called_host.n; i++) {
        char c = rq->called_host.p[i];

        f->text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    f->host = sl_make(f->text, rq->called_host.n);
}

static enum policy_step_result policy_try(const struct policy_route *route,
                                          const struct policy_match *m,
                                          const struct policy_ref *source,
                                          const struct policy_facts *f)
{
    if (!policy_is_from(route, source)) {
        return POLICY_MISS_FROM;
    }
    if (!policy_fits(m->method, f->rq->method)) {
        return POLICY_MISS_METHOD;
    }
    if (!policy_fits(m->called, f->rq->called)) {
        return POLICY_MISS_CALLED;
    }
    if (!policy_fits(m->calling, f->rq->calling)) {
        return POLICY_MISS_CALLING;
    }
    if (m->domain.p != NULL && (f->host.p == NULL || !sl_glob(m->domain, f->host))) {
        return POLICY_MISS_DOMAIN;
    }
    return POLICY_HIT;
}

/* True: a route leads somewhere. Else the verdict is complete. */
static bool policy_find_route(const struct policy *p, const struct policy_request *rq,
                              struct policy_verdict *v)
{
    const struct policy_def *def = p->def;
    const struct policy_route *route;
    struct policy_facts facts;

    policy_facts_init(&facts, rq);
    for (size_t i = 0; i < def->n_routes && v->route < 0; i++) {
        enum policy_step_result result =
            policy_try(&def->routes[i], &p->routes[i], &v->source, &facts);

        policy_note(v, POLICY_STEP_ROUTE, result, i);
        v->route = result == POLICY_HIT ? (int)i : -1;
    }
    if (v->route < 0) {
        policy_note(v, POLICY_STEP_ROUTE, POLICY_NOT_FOUND, POLICY_NODE);
        policy_refuse(v, 404, "No route");
        return false;
    }
    route = &def->routes[v->route];
    if (route->n_to == 0) {
        policy_refuse(v, route->refuse_code != 0 ? route->refuse_code : 403,
                      route->refuse_reason != NULL ? route->refuse_reason : "Refused by a route");
        return false;
    }
    v->n_to = route->n_to < POLICY_TARGETS_MAX ? route->n_to : POLICY_TARGETS_MAX;
    for (size_t i = 0; i < v->n_to; i++) {
        v->to[i] = route->to[i];
    }
    return true;
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
    *out = (struct policy_verdict){.user = -1, .route = -1};
    if (!policy_identify(p, rq, out) || !policy_find_route(p, rq, out)) {
        return;
    }
    if (rq->new_call && !policy_take(p, out, now_ms)) {
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
