/* call_out.c - toward the callee: targets in order, forks to all of a user's devices, failover, and
 * what each answer means for the caller. */
#include "call/call_egress.h"
#include "call/call_launch.h"
#include "call/call_rules.h"

/* --- making a leg --- */

/* The user part of the Request-URI as this target gets it: rewritten, or as it came. Where a ported
 * number is reached, by which carrier or trunk: a peer may say so, a user's word is escaped. */
void call_put_called(struct buf *b, const struct policy_number out[2],
                     const struct policy_ref *source, const struct sip_msg *m)
{
    struct sl user = m->ruri.user;
    size_t n = sip_number_len(user);

    sip_put_user(b, out[0].changed ? policy_number_text(&out[0], SL_NULL) : sl_head(user, n));
    if (source->kind == POLICY_PEER) {
        buf_putsl(b, sl_from(user, n));
    } else {
        sip_put_user(b, sl_from(user, n));
    }
}

static void numbers_for(const struct call *c, const struct policy_ref *to,
                        struct policy_number out[2])
{
    policy_numbers_out(c->cfg->policy, &c->verdict, to,
                       &(struct policy_request){.called = c->called, .calling = c->calling}, out);
}

static void put_local(struct buf *b, const struct call *c, const struct leg *l)
{
    const struct policy_def *def = policy_def(c->cfg->policy);
    const struct sip_msg *inv = c->invite;
    struct policy_number numbers[2];
    struct identity id;
    struct sl user;

    identity_of(c->cfg, &c->verdict.source, c->verdict.user, inv, &id);
    if (identity_is_hidden(&id, c->cfg, &l->party)) {
        BUF_LIT(b, IDENTITY_ANONYMOUS);
        return;
    }
    numbers_for(c, &l->party, numbers);
    user = policy_number_text(
        &numbers[1], c->verdict.source.kind == POLICY_USERS ? c->calling : inv->from.uri.user);
    sip_put_display(b, inv->from.display);
    BUF_LIT(b, "<sip:");
    if (user.n != 0) {
        sip_put_number(b, user);
        buf_putc(b, '@');
    }
    if (l->party.kind == POLICY_USERS) {
        buf_puts(b, def->users.domain);
    } else {
        addr_put_host(b, &c->cfg->listeners[l->listener].advertise);
    }
    buf_putc(b, '>');
}

static int make_leg(struct call *c, const struct leg_plan *p, struct leg **lp)
{
    char tag[TOKEN_TEXT_LEN], call_id[TOKEN_TEXT_LEN], from[512];
    struct leg *l = leg_new(c, 1);
    struct sip_uri uri;
    struct buf b;
    int err;

    if (l == NULL) {
        return ENOMEM;
    }
    l->listener = p->listener;
    l->party = p->party;
    l->user = p->user;
    l->sips = p->sips;
    l->device = p->device;
    l->reg_id = p->reg_id;
    l->told = *call_advertised(c, l->listener);
    leg_make_token(l, TOKEN_TAG, tag);
    leg_make_token(l, TOKEN_CALLID, call_id);
    buf_init_fixed(&b, from, sizeof(from));
    put_local(&b, c, l);
    err = buf_err(&b);
    if (err == 0) {
        err = dialog_init_uac(&l->dlg, &c->arena,
                              &(struct dialog_uac){.call_id = sl_make(call_id, sizeof(call_id)),
                                                   .local_tag = sl_make(tag, sizeof(tag)),
                                                   .local = buf_sl(&b),
                                                   .remote = p->remote,
                                                   .target = p->target,
                                                   .flow = &p->flow,
                                                   .pin_flow = p->pin});
    }
    if (err != 0) {
        leg_free(&l);
        return err;
    }
    policy_said_addr(&l->said, &p->flow.remote);
    if (sip_uri_parse(p->target, &uri) == 0) {
        policy_said_host(&l->said, uri.host);
    }
    *lp = l;
    return 0;
}

uint16_t call_launch(struct call *c, const struct leg_plan *p, int *err, const char **why)
{
    struct leg *l = NULL;
    uint16_t status = 0;

    *err = make_leg(c, p, &l);
    if (*err != 0) {
        if (p->party.kind == POLICY_PEER) {
            policy_peer_release(c->cfg->policy, p->party.peer);
        }
        return 0;
    }
    l->target_counted = p->party.kind == POLICY_PEER;
    attempt_add(c, l);
    buf_reset(&c->t->body);
    if (!leg_can_be_offered(l, why)) {
        *err = EPERM; /* another target may have another profile, or TLS */
    } else if (!c->late_offer) {
        status = call_bridge_offer(c, c->a, l, sl_make(c->offer, c->offer_n), why);
    }
    if (status == 0 && *err == 0) {
        if (c->b == NULL || c->b->early_sdp == NULL) { /* the caller hears that one */
            c->b = l;
            call_name_target(c, l);
        }
        *err = leg_invite(l, buf_sl(&c->t->body), p->answer_ms, NULL, b_on_response);
    }
    if (status != 0 || *err != 0) {
        attempt_failed(l, status, *err, why);
        return status;
    }
    leg_hold(l, true);
    return 0;
}

static uint16_t launch_peer(struct call *c, uint16_t peer_i, const struct policy_uri_target *tgt,
                            int *err, const char **why)
{
    const struct policy_peer *peer = &policy_def(c->cfg->policy)->peers[peer_i];
    char uri[256], to[256];
    struct policy_number numbers[2];
    struct buf u, r;
    size_t scheme;
    struct leg_plan p = {.party = {.kind = POLICY_PEER, .peer = peer_i},
                         .user = -1,
                         .listener = peer->listener,
                         .sips = tgt->sips || c->sips,
                         .answer_ms = peer->failover_ms};

    if (c->sips && tgt->transport != SIP_TLS) {
        *err = EPROTONOSUPPORT;
        return 0;
    }
    if (!call_target_take(c, peer_i)) {
        *err = EBUSY;
        return 0;
    }
    buf_init_fixed(&u, uri, sizeof(uri));
    buf_init_fixed(&r, to, sizeof(to));
    numbers_for(c, &p.party, numbers);
    buf_puts(&u, p.sips ? "sips:" : "sip:");
    scheme = u.n;
    call_put_called(&u, numbers, &c->verdict.source, c->invite);
    buf_puts(&u, u.n != scheme ? "@" : "");
    BUF_LIT(&r, "<");
    buf_putsl(&r, buf_sl(&u));
    addr_put(&u, &tgt->addr);
    addr_put_host(&r, &tgt->addr);
    BUF_LIT(&r, ">");
    call_put_transport(&u, tgt->transport, p.sips);
    p.target = buf_sl(&u);
    p.remote = buf_sl(&r);
    p.flow = (struct flow){.transport = tgt->transport,
                           .listener = peer->listener,
                           .worker = c->t->p.worker,
                           .proven = true,
                           .peer = tgt->transport == SIP_TLS ? peer->id : 0,
                           .conn_slot = FLOW_NO_CONN,
                           .remote = tgt->addr,
                           .local = c->cfg->listeners[peer->listener].address};
    *err = buf_err(&u) != 0 ? buf_err(&u) : buf_err(&r);
    if (*err != 0) {
        policy_peer_release(c->cfg->policy, peer_i);
        return 0;
    }
    return call_launch(c, &p, err, why);
}

/* --- one target after the other --- */

/* One step through the verdict's targets. True: somebody is being called. */
static bool try_one(struct call *c, uint16_t *status, const char **why)
{
    const struct policy_def *def = policy_def(c->cfg->policy);
    const struct policy_ref *ref = &c->verdict.to[c->to_i];
    const struct policy_uri_target *tgt;
    uint8_t order[POLICY_TARGETS_MAX];
    int err;

    *status = 0; /* no ports on one listener: another target may stand on another one */
    if (ref->kind == POLICY_USERS) {
        c->to_i++;
        c->target_i = 0;
        return !c->tries.is_last && call_launch_user(c, status, why) != 0;
    }
    if (c->target_i >= policy_target_order(&def->peers[ref->peer], &c->verdict, c->to_i, order)) {
        c->to_i++;
        c->target_i = 0;
        return false;
    }
    tgt = &def->peers[ref->peer].targets[order[c->target_i++]];
    err = call_target_enter(c, ref->peer, tgt);
    if (err == 0) {
        *status = launch_peer(c, ref->peer, tgt, &err, why);
        call_target_tried(c, ref->peer, tgt, *status, err);
    }
    if (*status == 0 && (err == 0 || err == EAGAIN)) {
        return err == 0;
    }
    call_note_failure(c, *status != 0 ? 503 : call_status_of_error(err));
    return false;
}

/* RFC 5630 5.1.1: there was somebody, but no secure way. */
static const char *sips_warning(const struct call *c)
{
    return c->sips && c->best_status == 480 ? "SIPS Not Allowed" : NULL;
}

static const char *why_nobody(const struct call *c)
{
    return c->tries.why != NULL ? c->tries.why : "nobody to call";
}

static void nobody_left(struct call *c)
{
    bool tried = c->n_attempts != 0;

    if (!tried && c->best_status == 503 && call_refuse_for_limit(c)) {
        return;
    }
    c->warning = tried ? NULL : sips_warning(c);
    call_reject_a(c, call_best_for_caller(c), tried ? "callee" : "system",
                  tried ? "no target took the call" : why_nobody(c));
}

void call_try_next(struct call *c)
{
    const char *why = NULL;
    uint16_t status = 0;

    while ((status == 0 || status == 503) && (c->to_i < c->verdict.n_to || call_turn_back(c))) {
        if (try_one(c, &status, &why)) {
            return;
        }
    }
    if (why != NULL && (status != 0 || c->best_status == 503 || c->best_status == 488)) {
        status = status != 0 ? status : c->best_status;
        c->warning = status == 503 ? why : NULL;
        call_reject_a(c, status, "system", why);
        return;
    }
    nobody_left(c);
}

void call_cancel_forks(struct call *c, struct leg *except)
{
    LIST_FOR_EACH_SAFE(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (l != except) {
            leg_hang_up(l);
        }
    }
}

static bool forks_running(const struct call *c)
{
    LIST_FOR_EACH(it, &c->forks)
    {
        const struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (l->state == LEG_CALLING || l->state == LEG_EARLY) {
            return true;
        }
    }
    return false;
}

/* --- B's answers, state by state --- */

typedef void(b_act_fn)(struct leg *l, struct sip_msg *rsp, int err);

/* 18x: the same news from several devices is told once; what carries media always. */
static bool is_news(const struct call *c, const struct leg *l, uint16_t status, bool sdp)
{
    return sdp || c->last_1xx == 0 ||
           ((c->last_1xx_leg == l->index || c->last_1xx_leg == 0) && status != c->last_1xx);
}

/* Within one dialog the first answer counts, whatever later ones say: they are only repetitions
 * (RFC 3261 13.2.1, attacks.md 27). Another dialog has an answer of its own. */
static struct sl answer_that_counts(const struct leg *l, const struct sip_msg *rsp)
{
    if (l->early_sdp != NULL && l->early_id == leg_dialog_id(rsp->to_tag)) {
        return sl_make(l->early_sdp, l->early_n);
    }
    return msg_sdp(rsp);
}

static void keep_early_answer(struct leg *l, const struct sip_msg *rsp, struct sl sdp)
{
    if (sdp.p == l->early_sdp) {
        return;
    }
    call_forget_text(&l->early_sdp, &l->early_n);
    l->early_sdp = mem_strndup(sdp.p, sdp.n);
    l->early_n = l->early_sdp != NULL ? sdp.n : 0;
    l->early_id = leg_dialog_id(rsp->to_tag);
}

static struct sl early_answer(struct leg *l, const struct sip_msg *rsp)
{
    struct call *c = l->call;
    struct sl sdp = answer_that_counts(l, rsp);
    const char *why = NULL;

    buf_reset(&c->t->body);
    if (!msg_has_sdp(rsp) || c->late_offer ||
        (c->b != NULL && c->b->early_sdp != NULL && c->b != l)) {
        return SL_NULL;
    }
    if (call_bridge_answer(c, l, c->a, sdp, &why) != 0) {
        log_debug(&l->log, "early answer is not usable: %s", why);
        return SL_NULL;
    }
    keep_early_answer(l, rsp, sdp);
    return buf_sl(&c->t->body);
}

/* Another fork behind the target that the caller hears: the dialog stays with who plays. */
static bool is_aside(const struct leg *l, const struct sip_msg *rsp)
{
    return l->early_sdp != NULL && l->early_id != leg_dialog_id(rsp->to_tag) && !msg_has_sdp(rsp) &&
           !sip_has_option(rsp, HDR_REQUIRE, SL("100rel"));
}

static void b_progress(struct leg *l, struct sip_msg *rsp, int err)
{
    struct call *c = l->call;
    struct sl sdp;

    (void)err;
    ladder_msg(l, rsp);
    leg_learn_allow(l, rsp);
    if (rsp->status == 100) {
        l->state = LEG_CALLING;
        return;
    }
    if (rsp->to_tag.n != 0 && !is_aside(l, rsp) && dialog_learn(&l->dlg, rsp) != 0) {
        log_debug(&l->log, "1xx without a usable dialog");
    }
    if (!reliable_take(l, rsp)) {
        return;
    }
    sdp = early_answer(l, rsp);
    if (sdp.n != 0) {
        c->b = l;
    }
    if (c->state == CALL_SETUP) {
        c->ring_wall = call_wall_ms(c);
        call_set_state(c, CALL_RINGING);
        call_post(c);
    }
    if (!is_news(c, l, rsp->status, sdp.n != 0)) {
        return;
    }
    c->last_1xx = rsp->status;
    c->last_1xx_leg = l->index;
    c->a->state = LEG_EARLY;
    if (leg_respond(c->a, rsp->status == 180 ? 180 : sdp.n != 0 ? 183 : rsp->status, sdp) != 0) {
        log_debug(&l->log, "1xx could not be passed on");
    }
}

static void answered(struct call *c)
{
    c->answer_wall = call_wall_ms(c);
    c->end_code = 200;
    call_set_state(c, CALL_ANSWERED);
    timer_start(c->t->p.loop, &c->timer, c->cfg->duration_ms);
    sip_msg_unref(&c->invite);
    policy_answered(c->cfg->policy, &c->verdict, loop_now_ms(c->t->p.loop));
    stat_inc(STAT_CALL_ANSWERED);
    call_post(c);
    reliable_answered(c->a);
}

/* From here on the caller has an answered call: whatever fails now ends it with BYE. */
static bool answer_caller(struct call *c)
{
    if (leg_respond(c->a, 200, buf_sl(&c->t->body)) != 0) {
        return false;
    }
    dialog_confirm(&c->a->dlg);
    c->a->state = LEG_CONFIRMED;
    return true;
}

/* Late offer: the 2xx offers, the caller's ACK will answer (RFC 3261 13.2.1). */
static uint16_t answer_late(struct leg *l, struct sl sdp, const char **why)
{
    struct call *c = l->call;
    uint16_t status;

    if (sdp.n == 0) {
        *why = "no offer in the answer to a call without one";
        return 502;
    }
    if (call_keep_offer(c, l, sdp) != 0) {
        *why = "out of memory";
        return 500;
    }
    status = call_bridge_offer(c, l, c->a, sdp, why);
    return status == 0 && !answer_caller(c) ? 500 : status;
}

static uint16_t answer_early(struct leg *l, struct sl sdp, const char **why)
{
    struct call *c = l->call;
    uint16_t status;

    if (sdp.n == 0) {
        *why = "no description in the answer";
        return 502;
    }
    status = call_bridge_answer(c, l, c->a, sdp, why);
    if (status != 0) {
        return 502;
    }
    if (!answer_caller(c)) {
        *why = "answer could not be sent";
        return 500;
    }
    return leg_ack(l, SL_NULL) == 0 ? 0 : 500;
}

static void b_answer(struct leg *l, struct sip_msg *rsp, int err)
{
    struct call *c = l->call;
    struct sl sdp = c->late_offer ? msg_sdp(rsp) : answer_that_counts(l, rsp);
    const char *why = "answer cannot be used";
    uint16_t status = 0;

    (void)err;
    ladder_msg(l, rsp);
    leg_learn_allow(l, rsp);
    attempt_done(c, l, rsp->status, 0);
    leg_target_judge(l, rsp->status, 0);
    if (dialog_learn(&l->dlg, rsp) != 0) {
        why = "answer without a usable Contact or tag";
        status = 502;
    }
    leg_note_nat(l);
    l->state = LEG_CONFIRMED;
    l->dlg.state = DIALOG_CONFIRMED;
    session_heard_answer(l, rsp);
    c->b = l;
    call_name_target(c, l);
    c->is_taken = true;
    call_cancel_forks(c, l);
    if (sdp.n == 0 && !c->late_offer && l->early_sdp != NULL) {
        sdp = sl_make(l->early_sdp, l->early_n);
    }
    if (status == 0) {
        status = c->late_offer ? answer_late(l, sdp, &why) : answer_early(l, sdp, &why);
    }
    if (status != 0) {
        call_reject_a(c, status, "callee", why);
        return;
    }
    if (!c->late_offer) {
        call_drop_offer(c);
    }
    call_forget_text(&l->early_sdp, &l->early_n);
    answered(c);
}

/* It asks for credentials that we have, or for a longer session (RFC 4028 7.3). */
static bool may_retry(struct leg *l, const struct sip_msg *rsp)
{
    const struct policy_def *def = policy_def(l->call->cfg->policy);
    bool is_challenge = rsp->status == 401 || rsp->status == 407;

    return session_raise(l, rsp) || (is_challenge && l->party.kind == POLICY_PEER &&
                                     def->peers[l->party.peer].username != NULL);
}

static bool retry_as_asked(struct leg *l, struct sip_msg *rsp)
{
    struct call *c = l->call;
    struct tx *old = l->cli;
    const char *why = NULL;

    if (!may_retry(l, rsp)) {
        return false;
    }
    buf_reset(&c->t->body);
    if (!c->late_offer && call_bridge_offer(c, c->a, l, sl_make(c->offer, c->offer_n), &why) != 0) {
        return false;
    }
    l->cli = NULL;
    relays_drop_leg(l);
    call_forget_text(&l->early_sdp, &l->early_n);
    l->dlg.remote_tag = SL_NULL; /* what an 18x said of a dialog ended with this refusal */
    l->dlg.n_routes = 0;
    l->dlg.state = DIALOG_NONE;
    if (leg_invite(l, buf_sl(&c->t->body),
                   l->party.kind == POLICY_PEER
                       ? policy_def(c->cfg->policy)->peers[l->party.peer].failover_ms
                       : 0,
                   rsp, b_on_response) != 0) {
        l->cli = old;
        return false;
    }
    tx_close(old);
    tx_unref(&old);
    l->state = LEG_CALLING;
    return true;
}

/* This leg is over; what it means for the call is the caller's business. */
static void leg_close(struct leg *l, uint16_t status, int err)
{
    struct call *c = l->call;

    attempt_done(c, l, status, err);
    leg_target_leave(l);
    relays_drop_leg(l);
    l->state = LEG_ENDED;
    call_forget_text(&l->early_sdp, &l->early_n); /* other forks may bring early media now */
    if (c->last_1xx_leg == l->index) {
        c->last_1xx_leg = 0; /* and say anew how far they are */
    }
    leg_hold(l, false);
    if (l->target_counted) {
        policy_peer_release(c->cfg->policy, l->party.peer);
        l->target_counted = false;
    }
    l->late = err == ETIMEDOUT && tx_client_may_answer_late(l->cli);
    if (!l->late) {
        tx_close(l->cli);
        tx_unref(&l->cli);
    }
    call_check_done(c);
}

static void leg_failed(struct leg *l, uint16_t status, int err)
{
    struct call *c = l->call;
    bool again = err != 0 || policy_fails_over(c->cfg->policy, &c->verdict, status);

    leg_close(l, status, err);
    if (call_launch_next_flow(l, status, err)) {
        return;
    }
    call_note_failure(c, err == ETIMEDOUT ? 408 : err != 0 ? 502 : status);
    if (status >= 600 && !again) {
        call_cancel_forks(c, l);
        call_reject_a(c, status, "callee", "declined");
        return;
    }
    if (forks_running(c)) {
        return;
    }
    if (again) {
        call_try_next(c);
        return;
    }
    call_reject_a(c, call_best_for_caller(c), "callee", "refused by the callee");
}

static void b_fail(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)err;
    ladder_msg(l, rsp);
    if (!retry_as_asked(l, rsp)) {
        attempt_done(l->call, l, rsp->status, 0); /* as it was said */
        leg_target_judge(l, rsp->status, 0);
        call_note_moved(l, rsp);
        leg_failed(l, rules_status(l->call->cfg, &l->party, POLICY_IN, rsp->status), 0);
    }
}

static void b_error(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)rsp;
    leg_target_judge(l, 0, err);
    leg_failed(l, 0, err);
}

/* CANCEL crossed the 200 (RFC 3261 9.1): the call exists over there, so it is acknowledged and
 * ended. */
static void b_late_answer(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)err;
    ladder_msg(l, rsp);
    attempt_done(l->call, l, rsp->status, 0);
    leg_target_judge(l, rsp->status, 0);
    if (dialog_learn(&l->dlg, rsp) != 0) {
        log_debug(&l->log, "late answer without a usable dialog");
    }
    leg_note_nat(l);
    l->state = LEG_CONFIRMED;
    leg_hang_up(l);
    call_check_done(l->call);
}

static void b_cancelled(struct leg *l, struct sip_msg *rsp, int err)
{
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    leg_close(l, rsp != NULL ? rsp->status : 0, err);
}

/* A 2xx again: our ACK was lost; or from another fork of the same INVITE. */
static void b_repeated(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)err;
    if (l->ack != NULL && sl_eq(rsp->to_tag, l->dlg.remote_tag)) {
        leg_repeat_ack(l);
        return;
    }
    if (l->state == LEG_CONFIRMED && l->ack == NULL && sl_eq(rsp->to_tag, l->dlg.remote_tag)) {
        return; /* the offer was late: its ACK waits for the caller's, which holds the answer */
    }
    ladder_msg(l, rsp);
    leg_ack_and_bye_other(l, rsp);
    if (l->late) { /* after a 2xx the transaction ends without a word: nothing else is waited for */
        l->late = false;
        call_check_done(l->call);
    }
}

/* Nothing came any more from a target that was given up. */
static void b_gone(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)rsp;
    (void)err;
    l->late = false;
    tx_close(l->cli);
    tx_unref(&l->cli);
    call_check_done(l->call);
}

static void b_ignore(struct leg *l, struct sip_msg *rsp, int err)
{
    (void)l;
    (void)rsp;
    (void)err;
}

static void b_late_failure(struct leg *l, struct sip_msg *rsp, int err)
{
    ladder_msg(l, rsp);
    b_gone(l, rsp, err);
}

enum b_event { B_1XX, B_2XX, B_FAIL, B_ERR, B_NEVENTS };

/* The callee's INVITE as the call sees it. Empty cell: unexpected, counted, ignored. */
static b_act_fn *const b_table[LEG_NSTATES][B_NEVENTS] = {
    [LEG_CALLING] = {b_progress, b_answer, b_fail, b_error},
    [LEG_EARLY] = {b_progress, b_answer, b_fail, b_error},
    [LEG_CONFIRMED] = {NULL, b_repeated, NULL, b_ignore},
    [LEG_CANCELLING] = {b_ignore, b_late_answer, b_cancelled, b_cancelled},
    [LEG_ENDED] = {b_ignore, b_repeated, b_late_failure, b_gone},
};

void b_on_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    enum b_event ev = err != 0            ? B_ERR
                      : rsp->status < 200 ? B_1XX
                      : rsp->status < 300 ? B_2XX
                                          : B_FAIL;
    b_act_fn *act = b_table[l->state][ev];

    if (act == NULL || l->cli != tx) {
        stat_inc(STAT_TX_UNEXPECTED);
        return;
    }
    leg_target_heard(l);
    if (flow_is_secure(&l->dlg.flow)) {
        leg_set_flow(l, tx_flow(tx)); /* now it is known what protects it */
    }
    if (ev == B_1XX && l->state == LEG_CALLING && rsp->status > 100) {
        l->state = LEG_EARLY;
    }
    l->owes_ack = l->owes_ack || (ev == B_2XX && l->ack == NULL);
    l->call->heard = rsp;
    l->call->heard_leg = l;
    if (rsp != NULL) {
        egress_hear(&l->said, rsp);
    }
    act(l, rsp, err); /* what it ends lives until the end of the turn */
    l->call->heard = NULL;
}
