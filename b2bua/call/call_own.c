/* call_own.c - re-INVITEs of our own: a leg is asked again what it was told last, because something
 * of ours has to change there (its keys). The other leg hears nothing of it. One exchange at a time
 * with those that are bridged: it waits for them, and they get a 491 meanwhile (RFC 3261 14.2). */
#include "call/call_egress.h"

static void on_own_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);
static void on_own_update(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

static void own_done(struct call *c)
{
    c->own = NULL;
    call_drop_offer(c);
    call_own_kick(c);
}

/* What was wanted has happened, or will not. */
static void own_count(struct leg *l, bool ok)
{
    if (l->wants_keys) {
        stat_inc(ok ? STAT_REKEY_OK : STAT_REKEY_FAIL);
    }
    l->wants_keys = false;
    leg_tell_done(l, ok);
    if (!ok) {
        session_missed(l);
    }
}

static int own_send(struct leg *l, struct sip_msg *challenge)
{
    struct call *c = l->call;
    const char *why = NULL;

    l->nego.fresh_keys = l->wants_keys;
    if (call_bridge_offer(c, call_other_leg(l), l, sl_make(c->offer, c->offer_n), &why) != 0) {
        log_info(&l->log, "re-INVITE of our own is not possible: %s", why);
        return EPROTO;
    }
    if (l->update.is_allowed) {
        return leg_update(l, buf_sl(&c->t->body), challenge, on_own_update);
    }
    return leg_reinvite(l, buf_sl(&c->t->body), challenge, on_own_response);
}

static void on_own_retry(void *arg)
{
    struct leg *l = arg;

    if (l->call->own == l && own_send(l, NULL) != 0) {
        own_count(l, false);
        own_done(l->call);
    }
}

static bool is_free(const struct call *c)
{
    return c->state == CALL_ANSWERED && c->reinvite_from == NULL && c->own == NULL &&
           c->offer == NULL && c->a->srv == NULL && c->b != NULL && c->b->srv == NULL &&
           !c->a->owes_ack && !c->b->owes_ack;
}

static void own_start(struct leg *l)
{
    struct call *c = l->call;
    struct leg *other = call_other_leg(l);

    l->wants_reinvite = false;
    l->retries = 0;
    if (other->nego.theirs == NULL ||
        call_keep_offer(c, other, sl_make(other->nego.theirs, other->nego.theirs_n)) != 0) {
        leg_keys_refused(l);
        own_count(l, false);
        return;
    }
    c->own = l;
    if (own_send(l, NULL) != 0) {
        leg_keys_refused(l);
        own_count(l, false);
        own_done(c);
    }
}

void call_own_kick(struct call *c)
{
    struct leg *const legs[] = {c->a, c->b};

    for (size_t i = 0; i < COUNT_OF(legs); i++) {
        if (is_free(c) && legs[i]->wants_reinvite) {
            own_start(legs[i]);
        }
    }
}

void call_want_reinvite(struct leg *l, bool keys)
{
    l->wants_reinvite = true;
    l->wants_keys = l->wants_keys || keys;
    call_own_kick(l->call);
}

static void own_answered(struct leg *l, struct sip_msg *rsp)
{
    struct call *c = l->call;
    const char *why = "no description in the answer";
    struct sl sdp = msg_sdp(rsp);
    uint16_t status;

    ladder_msg(l, rsp);
    leg_learn_allow(l, rsp);
    egress_hear(&l->said, rsp);
    session_heard_answer(l, rsp);
    if (dialog_learn(&l->dlg, rsp) != 0) {
        log_debug(&l->log, "re-INVITE answered without a usable Contact");
    }
    leg_note_nat(l);
    status = sdp.n != 0 ? call_take_answer(c, l, call_other_leg(l), sdp, &why) : 488;
    if (l->owes_ack && leg_ack(l, SL_NULL) != 0) {
        status = 500;
        why = "ACK could not be sent";
    }
    own_count(l, status == 0);
    own_done(c);
    if (status != 0) { /* we and this side no longer agree */
        call_end(c, l == c->a ? "caller" : "callee", why, 0);
    }
}

static void own_failed(struct leg *l, uint16_t status, struct sip_msg *rsp)
{
    struct call *c = l->call;

    if (status == 491 && leg_retry_later(l, on_own_retry)) {
        return;
    }
    if (rsp != NULL && (status == 401 || status == 407 || session_raise(l, rsp)) &&
        own_send(l, rsp) == 0) {
        return;
    }
    if (status == 405 || status == 501) {
        l->update.is_allowed = false; /* the next one will be a re-INVITE */
    }
    log_info(&l->log, "re-INVITE of our own was refused with %u; all stays as it was", status);
    leg_keys_refused(l);
    own_count(l, false);
    own_done(c);
    if (status == 481 || status == 408) { /* the dialog over there is gone (RFC 5057) */
        l->state = status == 481 ? LEG_ENDED : l->state;
        call_end(c, l == c->a ? "caller" : "callee", "dialog is gone", 0);
    }
}

static void own_accepted(struct leg *l, struct sip_msg *rsp)
{
    struct call *c = l->call;

    l->owes_ack = l->ack == NULL;
    if (c->state == CALL_ANSWERED && l->ack != NULL) {
        leg_repeat_ack(l);
    } else if (c->state == CALL_ANSWERED && c->own == l) {
        own_answered(l, rsp);
    } else if (leg_ack(l, SL_NULL) != 0) {
        log_debug(&l->log, "ACK could not be sent");
    }
}

static void on_own_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    struct call *c = l->call;

    if (l->cli != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    if (err == 0 && rsp->status < 300) {
        own_accepted(l, rsp);
        return;
    }
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    tx_close(l->cli);
    tx_unref(&l->cli);
    if (c->own != l || c->state != CALL_ANSWERED) {
        call_check_done(c);
        return;
    }
    own_failed(l, err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status, rsp);
}

static void on_own_update(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    struct call *c = l->call;

    if (l->update.cli != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    leg_update_done(l);
    if (err == 0 && rsp->status < 300 && c->own == l && c->state == CALL_ANSWERED) {
        own_answered(l, rsp);
        return;
    }
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    if (c->own == l && c->state == CALL_ANSWERED) {
        own_failed(l, err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status, rsp);
    }
}
