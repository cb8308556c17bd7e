/* call_update.c - UPDATE inside a dialog (RFC 3311). Without a description it refreshes the target
 * and the session of its own leg and is answered here; an offer goes to the other side like that of
 * a re-INVITE, as UPDATE where the other side takes it. */
#include "call/call_int.h"

#define UPDATE_PATIENCE_MS 20000 /* its sender gives up after 32 s (RFC 3261 17.1.2.2) */
#define RETRY_AFTER_MAX_S 10     /* RFC 3311 5.2 */

void leg_learn_allow(struct leg *l, const struct sip_msg *m)
{
    struct sip_values it = {0};
    struct sl v;

    if (sip_hdr(m, HDR_ALLOW) == NULL) {
        return; /* it says nothing: what was known holds */
    }
    l->update.is_allowed = false;
    while (sip_values_next(m, HDR_ALLOW, &it, &v) == 0) {
        l->update.is_allowed = l->update.is_allowed || sl_eq(v, SL("UPDATE"));
    }
}

/* --- theirs --- */

static int answer(struct leg *l, struct tx *tx, uint16_t status, struct sl sdp)
{
    char retry[32] = "";
    struct buf b;
    int err;

    buf_init_fixed(&b, retry, sizeof(retry));
    if (status == 500) {
        buf_putf(&b, "Retry-After: %u\r\n", crypto_random_u32() % (RETRY_AFTER_MAX_S + 1));
    }
    err = leg_respond_to(l, tx, status, sdp, buf_sl(&b));
    if (err != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
    return err;
}

/* Consent that may not or cannot go out becomes a refusal: its sender would wait in vain. The error
 * is that of the consent. */
static int finish(struct leg *l, struct tx *tx, uint16_t status, struct sl sdp)
{
    int err = answer(l, tx, status, sdp);

    if (err != 0 && status < 300 && answer(l, tx, 500, SL_NULL) != 0) {
        log_debug(&l->log, "UPDATE could not be refused");
    }
    tx_close(tx);
    tx_unref(&tx);
    return err;
}

int leg_update_answer(struct leg *l, uint16_t status, struct sl sdp)
{
    struct tx *tx = l->update.srv;

    if (tx == NULL) {
        return EPROTO;
    }
    l->update.srv = NULL;
    timer_stop(l->call->t->p.loop, &l->update.patience);
    /* 408 would be too late (RFC 4320 4.2) */
    return finish(l, tx, status == 408 ? 504 : status, sdp);
}

/* RFC 3311 5.2: it is to be answered at once, and a re-INVITE over there may ask a person. */
static void on_patience(void *arg)
{
    struct leg *l = arg;

    if (l->update.srv != NULL) {
        (void)leg_update_answer(l, 504, SL_NULL);
        reinvite_abandon(l);
    }
}

/* The first offer has no answer that counts before the 2xx or a reliable 1xx: what is in another
 * 1xx is a preview. */
static uint16_t early_status(const struct leg *l)
{
    if (reliable_has_answer(l)) {
        return 488; /* it may ask, but nothing of this kind changes before the answer */
    }
    return l == l->call->a ? 500 : 491; /* theirs or ours waits */
}

void call_update(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    uint16_t status = session_hear(l, req);

    status = status == 0 && msg_is_strange(req) ? 415 : status;
    if (status != 0 || !msg_has_sdp(req)) {
        (void)finish(l, tx, status != 0 ? status : 200, SL_NULL);
        return;
    }
    status = l->call->state != CALL_ANSWERED ? early_status(l) : reinvite_is_busy(l);
    if (status != 0) {
        (void)finish(l, tx, status, SL_NULL);
        return;
    }
    l->update.srv = tx;
    timer_init(&l->update.patience, on_patience, l);
    timer_start(l->call->t->p.loop, &l->update.patience, UPDATE_PATIENCE_MS);
    reinvite_begin(l, req);
}

/* --- ours --- */

int leg_update(struct leg *l, struct sl sdp, struct sip_msg *challenge, tx_response_fn *fn)
{
    struct out_request r = {.method = SIP_UPDATE,
                            .type = SL("application/sdp"),
                            .body = sdp,
                            .challenge = challenge,
                            .fn = fn};
    struct tx *old = l->update.cli;
    int err;

    l->update.cli = NULL;
    err = leg_send(l, &l->update.cli, &r);
    call_forget_keys(l->call->t, sdp);
    if (err != 0) {
        l->update.cli = old;
        return err;
    }
    if (old != NULL) {
        tx_close(old);
        tx_unref(&old);
    }
    if (flow_is_reliable(&l->dlg.flow)) {
        leg_set_flow(l, tx_flow(l->update.cli));
    }
    return 0;
}

void leg_update_done(struct leg *l)
{
    if (l->update.cli != NULL) {
        tx_close(l->update.cli);
        tx_unref(&l->update.cli);
    }
}

void leg_update_init(struct leg *l)
{
    timer_init(&l->update.patience, on_patience, l);
}

void leg_update_drop(struct leg *l)
{
    if (l->update.srv != NULL) {
        (void)leg_update_answer(l, 481, SL_NULL);
    }
    leg_update_done(l);
}
