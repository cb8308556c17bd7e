/* call_limits.c - what a decision said of limits, to the log and to the counters: the one that
 * refused, and those that came near. */
#include "call/call_int.h"

static const enum stat_id reached[POLICY_LIMIT_KINDS] = {
    [POLICY_CALLS] = STAT_CALL_FULL,
    [POLICY_CALL_RATE] = STAT_LIMIT_CALL_RATE,
    [POLICY_REQUEST_RATE] = STAT_LIMIT_REQUEST_RATE,
    [POLICY_REGISTRATIONS] = STAT_LIMIT_REGISTRATIONS,
    [POLICY_EARLY] = STAT_LIMIT_EARLY,
    [POLICY_DEST_CALLS] = STAT_LIMIT_DEST_CALLS,
    [POLICY_DEST_MINUTES] = STAT_LIMIT_DEST_MINUTES,
    [POLICY_DEST_NUMBERS] = STAT_LIMIT_DEST_NUMBERS,
    [POLICY_DEST_PARALLEL] = STAT_LIMIT_DEST_PARALLEL,
};
static const enum stat_id near[POLICY_LIMIT_KINDS] = {
    [POLICY_CALLS] = STAT_NEAR_CALLS,
    [POLICY_CALL_RATE] = STAT_NEAR_CALL_RATE,
    [POLICY_REQUEST_RATE] = STAT_NEAR_REQUEST_RATE,
    [POLICY_REGISTRATIONS] = STAT_NEAR_REGISTRATIONS,
    [POLICY_EARLY] = STAT_NEAR_EARLY,
    [POLICY_DEST_CALLS] = STAT_NEAR_DEST_CALLS,
    [POLICY_DEST_MINUTES] = STAT_NEAR_DEST_MINUTES,
    [POLICY_DEST_NUMBERS] = STAT_NEAR_DEST_NUMBERS,
    [POLICY_DEST_PARALLEL] = STAT_NEAR_DEST_PARALLEL,
};

static void tell(const struct policy *p, const struct policy_verdict *v,
                 const struct policy_limit_hit *hit, const char *what, struct log_ctx *log)
{
    const struct policy_def *def = policy_def(p);
    char text[2 * POLICY_NAME_MAX];
    const char *who = "";
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    policy_put_limit(&b, p, hit);
    if (v->source.kind == POLICY_USERS && v->user >= 0) {
        who = def->users.accounts[v->user].name;
    } else if (v->source.kind == POLICY_PEER) {
        who = def->peers[v->source.peer].name;
    }
    log_warn(log, "limit %.*s %s: %u of %u in use, asked by %s", SL_ARG(buf_sl(&b)), what, hit->use,
             hit->max, LOG_ESC(sl_str(who)));
}

void call_tell_limits(const struct policy *p, const struct policy_verdict *v, struct log_ctx *log)
{
    for (unsigned i = 0; i < v->told.n_near; i++) {
        stat_inc(near[v->told.near[i].kind]);
        tell(p, v, &v->told.near[i], "is near", log);
    }
    if (v->told.is_over) {
        stat_inc(reached[v->told.over.kind]);
        tell(p, v, &v->told.over, "is reached", log);
    }
}

const char *call_limit_phrase(const struct policy *p, const struct policy_verdict *v)
{
    const struct policy_def *def = policy_def(p);
    const struct policy_limit_hit *hit = &v->told.over;

    switch ((enum policy_scope)hit->scope) {
    case POLICY_OF_PEER:
        return def->peers[hit->index].limit.answer.reason;
    case POLICY_OF_USER:
        return def->users.limit.answer.reason;
    case POLICY_OF_SOURCE:
        return def->source_limit.answer.reason;
    case POLICY_OF_DESTINATION:
        return def->destinations[hit->index].answer.reason;
    default:
        return def->limit.answer.reason;
    }
}

/* What stood in the way of an earlier target is in the trace, and no longer what became of the
 * call. */
static void tell_taken(struct policy_verdict *v, const struct policy_told *before)
{
    if (!before->is_over) {
        v->told = *before;
        return;
    }
    v->told = (struct policy_told){0};
    v->action = POLICY_ROUTE;
    v->reason = "Routed";
    v->sip_code = 0;
    v->retry_after_s = 0;
}

bool call_target_take(struct call *c, unsigned peer)
{
    const struct policy_told before = c->verdict.told;
    bool taken;

    c->verdict.told = (struct policy_told){0};
    taken = policy_target_take(c->cfg->policy, peer, loop_now_ms(c->t->p.loop), &c->verdict);
    call_tell_limits(c->cfg->policy, &c->verdict, &c->log);
    if (taken) {
        tell_taken(&c->verdict, &before);
    }
    return taken;
}

bool call_count_request(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                        const struct policy_ref *party, int user)
{
    char text[48];
    struct policy_verdict v;
    bool is_within = policy_take_request(t->cfg->policy, party, user, loop_now_ms(t->p.loop), &v);
    struct buf b;

    call_tell_limits(t->cfg->policy, &v, NULL);
    if (!is_within) {
        buf_init_fixed(&b, text, sizeof(text));
        buf_putf(&b, "Retry-After: %u\r\n", v.retry_after_s);
        call_answer_stateless(t, req, flow, v.sip_code, call_limit_phrase(t->cfg->policy, &v),
                              buf_sl(&b));
    }
    return is_within;
}

bool call_refuse_for_limit(struct call *c)
{
    if (!c->verdict.told.is_over) {
        return false;
    }
    c->phrase = call_limit_phrase(c->cfg->policy, &c->verdict);
    call_reject_a(c, c->verdict.sip_code, "policy", c->verdict.reason);
    return true;
}
