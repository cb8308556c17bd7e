/* ict.c - INVITE client transaction, RFC 3261 17.1.1.2 and figure 5 with RFC 6026 7.2 (Accepted,
 * timer M). Four states of our own stand below the RFC's: a CANCEL that waits or is out, and users
 * that stopped waiting while the peer may still answer. */
#include "tx/tx_int.h"

#define ICT_TIMER_D_MS 32000 /* at least, on unreliable transports */

void ict_start(struct tx *tx)
{
    uint32_t answer_ms = tx->u.c.answer_ms;

    if (!tx_is_reliable(tx)) {
        tx_start_resend(tx, tx->timers.t1_ms);
    }
    if (answer_ms != 0 && answer_ms < tx_64t1(tx)) {
        tx_start_life(tx, answer_ms, TX_EV_ANSWER);
    } else {
        tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE);
    }
}

static void ict_stop(struct tx *tx)
{
    tx_stop_resend(tx);
    timer_stop(tx->tab->p.loop, &tx->life);
}

/* A call that keeps ringing for nobody must end: without a listener Proceeding has a deadline. */
void ict_unheard(struct tx *tx)
{
    if (tx->state == ICT_PROCEEDING && !timer_is_armed(&tx->life)) {
        tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE);
    }
}

/* Timer A doubles without a ceiling. */
static void ict_resend(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_double_resend(tx, UINT32_MAX);
    tx_resend(tx);
}

static void ict_ring(struct tx *tx, const struct tx_in *in)
{
    ict_stop(tx);
    tx_tell(tx, 0, in->rsp);
    if (tx->u.c.fn == NULL) {
        ict_unheard(tx);
    }
}

static void ict_accept(struct tx *tx, const struct tx_in *in)
{
    ict_stop(tx);
    tx_settle(tx);
    tx_drop_bytes(tx);
    tx_linger(tx, tx_64t1(tx)); /* timer M, RFC 6026 */
    tx_tell(tx, 0, in->rsp);
}

/* Written once from the INVITE, which it then replaces: that is all a repetition needs. */
static void ict_ack(struct tx *tx, const struct tx_in *in)
{
    struct buf b;

    if (!sl_starts(tx_bytes(tx), SL("ACK "))) {
        buf_init(&b, SIP_MSG_MAX);
        if (sip_write_ack_failure(&b, tx_bytes(tx), sip_hdr_value(in->rsp, HDR_TO)) != 0 ||
            tx_keep(tx, buf_sl(&b)) != 0) {
            buf_free(&b); /* out of memory: the peer repeats its answer, we try again */
            return;
        }
        buf_free(&b);
    }
    tx_send(tx, tx_bytes(tx));
}

static void ict_ack_again(struct tx *tx, const struct tx_in *in)
{
    stat_inc(STAT_SIP_RETRANS_RX);
    ict_ack(tx, in);
}

static void ict_fail(struct tx *tx, const struct tx_in *in)
{
    uint32_t d_ms = tx_64t1(tx) > ICT_TIMER_D_MS ? tx_64t1(tx) : ICT_TIMER_D_MS;

    ict_stop(tx);
    ict_ack(tx, in);
    tx_settle(tx);
    tx_tell(tx, 0, in->rsp);
    tx_linger(tx, tx_is_reliable(tx) ? 0 : d_ms);
}

/* RFC 3261 9.1: 64*T1 after the CANCEL the INVITE counts as cancelled, answer or not. */
static void ict_cancel(struct tx *tx, const struct tx_in *in)
{
    static const struct sl elsewhere =
        SL("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n");
    struct buf b;

    (void)in;
    tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE);
    buf_init(&b, SIP_MSG_MAX);
    if (sip_write_cancel(&b, tx_bytes(tx), tx->u.c.is_elsewhere ? elsewhere : SL_NULL) == 0) {
        tx->u.c.cancel = tx_client_sibling(tx, buf_sl(&b));
        if (tx->u.c.cancel == NULL) {
            tx_send(tx,
                    buf_sl(&b)); /* no memory for a transaction: one CANCEL is better than none */
        }
    }
    buf_free(&b);
}

static void ict_ring_cancel(struct tx *tx, const struct tx_in *in)
{
    ict_stop(tx);
    ict_cancel(tx, in);
    tx_tell(tx, 0, in->rsp);
}

/* The user hears the end now; the machine stays for what may still come: a late 2xx is a call over
 * there that somebody has to end. */
static void ict_mute(struct tx *tx, uint32_t left_ms)
{
    ict_stop(tx);
    tx_settle(tx);
    tx_start_life(tx, left_ms, TX_EV_EXPIRE);
    tx_tell(tx, ETIMEDOUT, NULL);
}

bool tx_client_may_answer_late(const struct tx *tx)
{
    return tx->kind == TX_ICT && (tx->state == ICT_ZOMBIE || tx->state == ICT_LATE);
}

static void ict_give_up(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    ict_mute(tx, tx_64t1(tx) - tx->u.c.answer_ms); /* what is left of timer B */
}

static void ict_cancel_expired(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    ict_mute(tx, tx_64t1(tx));
}

static const struct tx_cell ict_cells[][TX_EV_N] = {
    [ICT_CALLING] = {[TX_EV_1XX] = TX_DO(ict_ring, ICT_PROCEEDING),
                     [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                     [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                     [TX_EV_RESEND] = TX_DO(ict_resend, ICT_CALLING),
                     [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, ICT_DEAD),
                     [TX_EV_ANSWER] = TX_DO(ict_give_up, ICT_ZOMBIE),
                     [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_HELD),
                     [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, ICT_DEAD)},
    [ICT_PROCEEDING] = {[TX_EV_1XX] = TX_DO(tx_act_pass, ICT_PROCEEDING),
                        [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                        [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                        [TX_EV_EXPIRE] = TX_DO(ict_cancel, ICT_CANCELLED),
                        [TX_EV_CANCEL] = TX_DO(ict_cancel, ICT_CANCELLED),
                        [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, ICT_DEAD)},
    [ICT_COMPLETED] = {[TX_EV_FAIL] = TX_DO(ict_ack_again, ICT_COMPLETED),
                       [TX_EV_EXPIRE] = TX_DO(tx_act_end, ICT_DEAD),
                       [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_COMPLETED),
                       [TX_EV_TP_ERR] = TX_DO(tx_act_end, ICT_DEAD)},
    [ICT_ACCEPTED] = {[TX_EV_2XX] = TX_DO(tx_act_pass, ICT_ACCEPTED),
                      [TX_EV_EXPIRE] = TX_DO(tx_act_end, ICT_DEAD),
                      [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_ACCEPTED)},
    [ICT_HELD] = {[TX_EV_1XX] = TX_DO(ict_ring_cancel, ICT_CANCELLED),
                  [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                  [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                  [TX_EV_RESEND] = TX_DO(ict_resend, ICT_HELD),
                  [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, ICT_DEAD),
                  [TX_EV_ANSWER] = TX_DO(ict_give_up, ICT_ZOMBIE),
                  [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_HELD),
                  [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, ICT_DEAD)},
    [ICT_CANCELLED] = {[TX_EV_1XX] = TX_DO(tx_act_pass, ICT_CANCELLED),
                       [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                       [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                       [TX_EV_EXPIRE] = TX_DO(ict_cancel_expired, ICT_LATE),
                       [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_CANCELLED),
                       [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, ICT_DEAD)},
    [ICT_ZOMBIE] = {[TX_EV_1XX] = TX_DO(ict_ring_cancel, ICT_CANCELLED),
                    [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                    [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                    [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, ICT_DEAD),
                    [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_ZOMBIE)},
    [ICT_LATE] = {[TX_EV_1XX] = TX_DO(tx_act_nothing, ICT_LATE),
                  [TX_EV_2XX] = TX_DO(ict_accept, ICT_ACCEPTED),
                  [TX_EV_FAIL] = TX_DO(ict_fail, ICT_COMPLETED),
                  [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, ICT_DEAD),
                  [TX_EV_CANCEL] = TX_DO(tx_act_nothing, ICT_LATE)},
    [ICT_DEAD] = {{0}},
};

static const char *const ict_states[] = {"Calling",  "Proceeding", "Completed",
                                         "Accepted", "Held",       "Cancelled",
                                         "Zombie",   "Late",       "Terminated"};

const struct tx_machine ict_machine = {
    .name = "ict",
    .cells = ict_cells,
    .states = ict_states,
    .n_states = COUNT_OF(ict_states),
};
