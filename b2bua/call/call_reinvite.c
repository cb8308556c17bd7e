/* call_reinvite.c - INVITE inside an answered call, from either side: hold, resume, new addresses,
 * offers in the INVITE or in its answer; glare (RFC 3261 14) and the ACK that carries an answer. */
#include "call/call_egress.h"
#include "call/call_rules.h"

#define REINVITE_RETRIES_MAX 3

struct leg *call_other_leg(const struct leg *l)
{
    return l == l->call->a ? l->call->b : l->call->a;
}

static void reinvite_done(struct call *c)
{
    c->reinvite_from = NULL;
    call_drop_offer(c);
    call_own_kick(c);
}

/* Whoever asked still wants to know. */
static bool is_waiting(const struct leg *x)
{
    return x->srv != NULL || x->update.srv != NULL;
}

static int accept_offer(struct leg *x)
{
    struct sl sdp = buf_sl(&x->call->t->body);

    return x->update.srv != NULL ? leg_update_answer(x, 200, sdp) : leg_respond(x, 200, sdp);
}

/* Refuses the one who asked; the session stays as it was (RFC 3261 14.1). */
static void reinvite_refuse(struct leg *x, uint16_t status)
{
    x->call->reinvite_from = NULL;
    call_undo_offer(x->call);
    if (x->update.srv != NULL) {
        (void)leg_update_answer(x, status, SL_NULL);
    } else if (x->srv != NULL && !tx_server_is_final(x->srv)) {
        if (leg_respond(x, status, SL_NULL) != 0) {
            log_debug(&x->log, "re-INVITE could not be refused");
        }
        tx_close(x->srv); /* the failure's ACK is the transaction's business */
        tx_unref(&x->srv);
    }
    call_own_kick(x->call);
}

static void on_reinvite_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);
static void on_update_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

int leg_reinvite(struct leg *y, struct sl sdp, struct sip_msg *challenge, tx_response_fn *fn)
{
    struct tx *old = y->cli;
    struct flow flow;
    int err;

    y->cli = NULL;
    err = leg_invite(y, sdp, 0, challenge, fn);
    if (err != 0) {
        y->cli = old;
        return err;
    }
    if (old != NULL) {
        if (y->ack != NULL) {
            dialog_next_hop(&y->dlg, &flow);
            tx_client_leave_ack(old, &flow, sl_make(y->ack, y->ack_n));
        }
        tx_close(old);
        tx_unref(&old);
    }
    call_forget_text(&y->ack, &y->ack_n);
    return 0;
}

/* Writes the pending offer, if there is one, for leg y and sends it. 0 or a SIP status. */
static uint16_t forward_offer(struct leg *x, struct leg *y, struct sip_msg *challenge)
{
    struct call *c = x->call;
    const char *why = NULL;
    uint16_t status = 0;
    int err;

    buf_reset(&c->t->body);
    if (c->offer != NULL) {
        status = call_bridge_offer(c, x, y, sl_make(c->offer, c->offer_n), &why);
    }
    if (status != 0) {
        log_info(&x->log, "re-INVITE refused: %s", why);
        return status;
    }
    if (x->update.srv != NULL && y->update.is_allowed) {
        err = leg_update(y, buf_sl(&c->t->body), challenge, on_update_response);
    } else {
        err = leg_reinvite(y, buf_sl(&c->t->body), challenge, on_reinvite_response);
    }
    return err == 0 ? 0 : err == ENOMEM || err == ENOBUFS ? 500 : 480;
}

static void on_retry(void *arg)
{
    struct leg *y = arg;
    struct leg *x = y->call->reinvite_from;
    uint16_t status;

    if (x == NULL || !is_waiting(x)) {
        return;
    }
    status = forward_offer(x, y, NULL);
    if (status != 0) {
        reinvite_refuse(x, status);
    }
}

/* 491 is retried here, on the leg that said it. */
bool leg_retry_later(struct leg *y, timer_fn *fn)
{
    uint32_t wait_ms =
        y->dlg.is_uac ? 2100 + 10 * (crypto_random_u32() % 191) : 10 * (crypto_random_u32() % 201);

    if (y->retries >= REINVITE_RETRIES_MAX) {
        return false;
    }
    y->retries++;
    timer_init(&y->retry, fn, y);
    timer_start(y->call->t->p.loop, &y->retry, wait_ms);
    return true;
}

/* y asks for something that we can give: credentials, a longer session, another moment. */
static bool goes_again(struct leg *x, struct leg *y, uint16_t status, struct sip_msg *rsp)
{
    if (status == 491 && leg_retry_later(y, on_retry)) {
        return true;
    }
    return rsp != NULL && (status == 401 || status == 407 || session_raise(y, rsp)) &&
           forward_offer(x, y, rsp) == 0;
}

/* What x hears: challenges, glare and session intervals of y's side are no business of its own. */
static uint16_t status_for_asker(uint16_t status)
{
    if (status == 401 || status == 407) {
        return 502;
    }
    return status == 491 || status == 422 ? 500 : status;
}

static void reinvite_failed(struct leg *x, struct leg *y, uint16_t status, struct sip_msg *rsp)
{
    struct call *c = x->call;

    if (!is_waiting(x)) { /* cancelled meanwhile */
        reinvite_done(c);
        return;
    }
    if (goes_again(x, y, status, rsp)) {
        return;
    }
    reinvite_refuse(x, status_for_asker(status));
    if (status == 481 || status == 408) { /* the dialog over there is gone (RFC 5057) */
        y->state = status == 481 ? LEG_ENDED : y->state;
        call_end(c, y == c->a ? "caller" : "callee", "dialog is gone", 0);
    }
}

static void answer_to_offer(struct leg *x, struct leg *y, struct sl sdp)
{
    struct call *c = x->call;
    const char *why = "no description in the answer";
    uint16_t status = sdp.n != 0 ? call_bridge_answer(c, y, x, sdp, &why) : 488;

    if ((y->owes_ack && leg_ack(y, SL_NULL) != 0) || (status == 0 && accept_offer(x) != 0)) {
        status = 500;
        why = "answer could not be sent";
    }
    if (status == 0) {
        reinvite_done(c);
        return;
    }
    reinvite_refuse(x, 500);
    call_end(c, y == c->a ? "caller" : "callee", why, 0); /* the two sides no longer agree */
}

static void offer_in_answer(struct leg *x, struct leg *y, struct sl sdp)
{
    struct call *c = x->call;
    const char *why = "no offer in the answer";
    uint16_t status = 488;

    if (sdp.n != 0 && call_keep_offer(c, y, sdp) == 0) {
        status = call_bridge_offer(c, y, x, sl_make(c->offer, c->offer_n), &why);
    }
    if (status == 0 && leg_respond(x, 200, buf_sl(&c->t->body)) == 0) {
        return; /* x's ACK brings the answer */
    }
    if (leg_ack(y, SL_NULL) != 0) {
        log_debug(&y->log, "ACK could not be sent");
    }
    reinvite_refuse(x, 500);
    call_end(c, y == c->a ? "caller" : "callee", why, 0);
}

static void reinvite_answered(struct leg *y, struct sip_msg *rsp)
{
    struct call *c = y->call;
    struct leg *x = c->reinvite_from;

    if (y->ack != NULL || x == NULL) {
        leg_repeat_ack(y); /* a repeated 2xx */
        return;
    }
    ladder_msg(y, rsp);
    leg_learn_allow(y, rsp);
    session_heard_answer(y, rsp);
    if (dialog_learn(&y->dlg, rsp) != 0) {
        log_debug(&y->log, "re-INVITE answered without a usable Contact");
    }
    leg_note_nat(y);
    if (!is_waiting(x)) { /* CANCEL crossed the 200: one side has changed, the other has not */
        (void)leg_ack(y, SL_NULL);
        call_end(c, "system", "re-INVITE was cancelled too late", 0);
        return;
    }
    if (x->srv != NULL && tx_server_is_final(x->srv)) {
        return; /* late offer: the 2xx repeats until x's ACK lets us answer */
    }
    if (c->offer != NULL) {
        answer_to_offer(x, y, msg_sdp(rsp));
    } else {
        offer_in_answer(x, y, msg_sdp(rsp));
    }
}

static void on_reinvite_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *y = arg;
    struct leg *x = y->call->reinvite_from;

    if (y->cli != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    if (err == 0) {
        egress_hear(&y->said, rsp);
    }
    if (err == 0 && rsp->status < 300) {
        y->owes_ack = y->ack == NULL;
        if (y->call->state == CALL_ANSWERED) {
            reinvite_answered(y, rsp);
        } else if (leg_ack(y, SL_NULL) != 0) {
            log_debug(&y->log, "ACK could not be sent");
        }
        return;
    }
    if (rsp != NULL) {
        ladder_msg(y, rsp);
    }
    tx_close(y->cli);
    tx_unref(&y->cli);
    if (x == NULL || y->call->state != CALL_ANSWERED) {
        call_check_done(y->call);
        return;
    }
    reinvite_failed(x, y, err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status, rsp);
}

/* The other side took the offer as UPDATE: there is no ACK. */
static void on_update_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *y = arg;
    struct leg *x = y->call->reinvite_from;

    if (y->update.cli != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    if (rsp != NULL) {
        ladder_msg(y, rsp);
    }
    leg_update_done(y);
    if (x == NULL || y->call->state != CALL_ANSWERED) {
        return;
    }
    if (err != 0 || rsp->status >= 300) {
        reinvite_failed(x, y, err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status, rsp);
        return;
    }
    leg_learn_allow(y, rsp);
    egress_hear(&y->said, rsp);
    session_heard_answer(y, rsp);
    if (dialog_learn(&y->dlg, rsp) != 0) {
        log_debug(&y->log, "UPDATE answered without a usable Contact");
    }
    if (is_waiting(x)) {
        answer_to_offer(x, y, msg_sdp(rsp));
    } else {
        call_end(y->call, "system", "UPDATE was answered too late", 0);
    }
}

static void refuse_tx(struct leg *l, struct tx *tx, uint16_t status)
{
    char mem[64];
    struct buf b;

    buf_init_fixed(&b, mem, sizeof(mem));
    if (status == 500) {
        BUF_LIT(&b, "Retry-After: 2\r\n");
    } else if (status == 422) {
        session_put_min(&b, l);
    } else if (status == 415) {
        BUF_LIT(&b, CALL_ACCEPT);
    }
    rules_answer_leg(l, tx, status, buf_sl(&b), NULL);
    ladder_add(l, true, SIP_INVITE, status, l->dlg.remote_cseq, false);
    tx_close(tx);
    tx_unref(&tx);
}

/* On a stream the transaction is over at once and says so while we are in here. */
static void server_acked(struct leg *l)
{
    struct tx *tx = l->srv;

    l->srv = NULL;
    tx_server_acked(tx);
    tx_close(tx);
    tx_unref(&tx);
}

/* One exchange at a time, whoever began it; the first one is over when its 2xx has gone out, which
 * may have to wait for a PRACK. */
uint16_t reinvite_is_busy(const struct leg *l)
{
    const struct call *c = l->call;
    const struct leg *y = call_other_leg(l);

    if (c->state != CALL_ANSWERED || y == NULL || c->reinvite_from == l ||
        (l->srv != NULL && !tx_server_is_final(l->srv))) {
        return 500;
    }
    if (c->reinvite_from != NULL || c->own != NULL || c->offer != NULL || y->srv != NULL) {
        return 491;
    }
    return 0;
}

void call_reinvite(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    struct call *c = l->call;
    uint16_t status = reinvite_is_busy(l);

    status = status != 0 ? status : session_hear(l, req);
    if (status != 0) {
        refuse_tx(l, tx, status);
        return;
    }
    if (msg_is_strange(req)) {
        refuse_tx(l, tx, 415);
        return;
    }
    if (l->srv != NULL) {
        server_acked(l); /* a new INVITE says that the old answer arrived */
    }
    l->srv = tx;
    l->srv_cseq = req->cseq;
    tx_server_listen(tx, a_on_server, l);
    tx_answer(c->t, tx, 100, SL_NULL, SL_NULL);
    reinvite_begin(l, req);
}

void reinvite_begin(struct leg *l, struct sip_msg *req)
{
    struct call *c = l->call;
    struct leg *y = call_other_leg(l);
    uint16_t status = 0;

    c->reinvite_from = l;
    y->retries = 0;
    if (msg_has_sdp(req) && call_keep_offer(c, l, msg_sdp(req)) != 0) {
        status = 500;
    }
    if (status == 0) {
        status = forward_offer(l, y, NULL);
    }
    if (status != 0) {
        reinvite_refuse(l, status);
    }
}

void reinvite_abandon(struct leg *l)
{
    struct leg *y = call_other_leg(l);

    if (timer_is_armed(&y->retry)) {
        timer_stop(l->call->t->p.loop, &y->retry);
        reinvite_done(l->call);
    } else if (y->cli != NULL) {
        tx_client_cancel(y->cli);
    }
    if (l->srv != NULL) {
        tx_close(l->srv); /* the failure's ACK is the transaction's business */
        tx_unref(&l->srv);
    }
}

/* The answer to the offer that our 2xx carried. */
static void answer_in_ack(struct leg *l, struct leg *y, struct sip_msg *req)
{
    struct call *c = l->call;
    const char *why = "no answer in the ACK";
    uint16_t status = msg_has_sdp(req) ? call_bridge_answer(c, l, y, msg_sdp(req), &why) : 488;

    if (leg_ack(y, status == 0 ? buf_sl(&c->t->body) : SL_NULL) != 0) {
        status = 500;
        why = "ACK could not be sent";
    }
    reinvite_done(c);
    if (status != 0) {
        call_end(c, l == c->a ? "caller" : "callee", why, 0);
    }
}

void call_ack(struct leg *l, struct sip_msg *req)
{
    struct call *c = l->call;
    struct leg *y = call_other_leg(l);

    if (l->srv == NULL || !tx_server_is_final(l->srv) || req->cseq != l->srv_cseq) {
        return; /* repeated, or of an INVITE before this one */
    }
    ladder_msg(l, req);
    server_acked(l);
    if (c->state == CALL_ANSWERED && y != NULL && c->offer != NULL && c->offer_side == y->side &&
        c->own == NULL) {
        answer_in_ack(l, y, req);
        return;
    }
    call_own_kick(c);
}
