/* call_health.c - targets that are down are passed over, those whose calls fail are kept for last,
 * and what becomes of a call is told to the target's breaker. */
#include "call/call_int.h"

_Static_assert(POLICY_TARGETS_MAX *POLICY_TARGETS_MAX <= 64, "call_tries.later is a word");

static const struct policy_peer *peer_of(const struct call *c, uint16_t peer)
{
    return &policy_def(c->cfg->policy)->peers[peer];
}

void call_tell_health(const struct policy_peer *peer, const struct policy_uri_target *t,
                      enum policy_news news)
{
    static const struct {
        enum stat_id stat;
        const char *text;
    } words[] = {
        [POLICY_WENT_DOWN] = {STAT_TARGET_DOWN, "is down: no answer to its probes"},
        [POLICY_CAME_UP] = {STAT_TARGET_UP, "is up again"},
        [POLICY_BREAKER_OPENED] = {STAT_BREAKER_OPEN, "is kept for last: its calls fail"},
        [POLICY_BREAKER_CLOSED] = {STAT_BREAKER_CLOSED, "takes calls again"},
    };

    if (news == POLICY_NO_NEWS) {
        return;
    }
    stat_inc(words[news].stat);
    if (news == POLICY_WENT_DOWN || news == POLICY_BREAKER_OPENED) {
        log_warn(NULL, "peer %s: target %s %s", peer->name, t->uri, words[news].text);
    } else {
        log_info(NULL, "peer %s: target %s %s", peer->name, t->uri, words[news].text);
    }
}

enum policy_outcome call_outcome(const struct policy_peer *peer, uint16_t status, int err)
{
    if (err == ENOMEM || err == ENOBUFS || err == EMSGSIZE || err == EPERM || err == EBUSY ||
        err == EPROTONOSUPPORT || (err == 0 && status == 0)) {
        return POLICY_UNTRIED;
    }
    if (err != 0 || policy_codes_has(&peer->breaker.codes, status)) {
        return POLICY_FAILED;
    }
    return status < 300 ? POLICY_ANSWERED : POLICY_DECLINED;
}

/* EACCES of a connection says that the target is not who it should be. */
enum policy_outcome call_outcome_unsent(const struct policy_peer *peer, int err)
{
    return err == EACCES ? POLICY_UNTRIED : call_outcome(peer, 0, err);
}

static uint64_t bit_of(const struct call *c)
{
    return 1ULL << (c->to_i * POLICY_TARGETS_MAX + (c->target_i - 1));
}

int call_target_enter(struct call *c, uint16_t peer, const struct policy_uri_target *t)
{
    bool is_last = c->tries.is_last;

    if (is_last && (c->tries.later & bit_of(c)) == 0) {
        return EAGAIN;
    }
    switch (policy_target_enter(peer_of(c, peer), t, is_last, loop_now_ms(c->t->p.loop))) {
    case POLICY_WELCOME_OK:
        return 0;
    case POLICY_WELCOME_LATER:
        c->tries.later |= bit_of(c);
        c->tries.why = "calls to the target fail";
        stat_inc(STAT_TARGET_LATER);
        return EAGAIN;
    case POLICY_WELCOME_CLOSED:
        c->tries.why = "all targets are down";
        stat_inc(STAT_TARGET_PASSED);
        return ESHUTDOWN;
    case POLICY_WELCOME_BUSY:
        c->tries.why = "the target owes too many answers";
        stat_inc(STAT_TARGET_WAITING);
        return EBUSY;
    }
    return ESHUTDOWN;
}

void call_target_tried(struct call *c, uint16_t peer, const struct policy_uri_target *t,
                       uint16_t status, int err)
{
    if (status == 0 && err == 0) {
        c->b->aim = (struct leg_target){.uri = t, .waits = true};
        return;
    }
    policy_target_heard(t);
    call_tell_health(peer_of(c, peer), t,
                     policy_target_result(peer_of(c, peer), t,
                                          status != 0 ? POLICY_UNTRIED
                                                      : call_outcome_unsent(peer_of(c, peer), err),
                                          loop_now_ms(c->t->p.loop)));
}

bool call_turn_back(struct call *c)
{
    if (c->tries.is_last || c->tries.later == 0) {
        return false;
    }
    c->tries.is_last = true;
    c->to_i = 0;
    c->target_i = 0;
    return true;
}

void leg_target_heard(struct leg *l)
{
    if (l->aim.waits) {
        l->aim.waits = false;
        policy_target_heard(l->aim.uri);
    }
}

static void judge(struct leg *l, enum policy_outcome outcome)
{
    const struct policy_peer *peer;

    if (l->aim.uri == NULL) {
        return;
    }
    leg_target_heard(l);
    peer = peer_of(l->call, l->party.peer);
    call_tell_health(
        peer, l->aim.uri,
        policy_target_result(peer, l->aim.uri, outcome, loop_now_ms(l->call->t->p.loop)));
    l->aim.uri = NULL;
}

void leg_target_judge(struct leg *l, uint16_t status, int err)
{
    if (l->aim.uri != NULL) {
        judge(l, call_outcome(peer_of(l->call, l->party.peer), status, err));
    }
}

void leg_target_leave(struct leg *l)
{
    judge(l, POLICY_ABANDONED);
}
