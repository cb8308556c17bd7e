/* ist.c - INVITE server transaction, RFC 3261 17.2.1 and figure 7 with RFC 6026 7.1 (Accepted,
 * timer L; a transport error informs the user and ends nothing). The repetition of a 2xx
 * (RFC 3261 13.3.1.4) is done here, so that one place holds all timers of an INVITE. */
#include "tx/tx_int.h"

void ist_unheard(struct tx *tx)
{
    if (tx->state == IST_PROCEEDING && !tx_is_dead(tx)) {
        tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE);
    }
}

void ist_heard(struct tx *tx)
{
    if (tx->state == IST_PROCEEDING) { /* an INVITE may ring as long as its user wants */
        timer_stop(tx->tab->p.loop, &tx->life);
    }
}

static void ist_fail(struct tx *tx, const struct tx_in *in)
{
    tx_server_final(tx);
    tx_key_unmerge(tx);
    tx_send(tx, in->bytes);
    if (!tx_is_reliable(tx)) {
        tx_start_resend(tx, tx->timers.t1_ms); /* timer G */
    }
    tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE); /* timer H */
}

static void ist_accept(struct tx *tx, const struct tx_in *in)
{
    tx_server_final(tx);
    tx_send(tx, in->bytes);
    tx_start_resend(tx, tx->timers.t1_ms);        /* on streams too: the ACK comes end to end */
    tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE); /* timer L */
}

static void ist_repeat(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_double_resend(tx, tx->timers.t2_ms);
    tx_resend(tx);
}

static void ist_inform(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    if (tx->state != IST_PROCEEDING && (tx->state == IST_ACCEPTED || !tx_is_reliable(tx))) {
        tx_start_resend(tx, tx->interval_ms); /* goes on until H or L */
    }
    tx_inform(tx, TX_SRV_TRANSPORT);
}

static void ist_confirm(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_stop_resend(tx);
    tx_drop_bytes(tx);
    tx_linger(tx, tx_is_reliable(tx) ? 0 : tx->timers.t4_ms); /* timer I */
}

/* Timer L runs on, but on a stream the INVITE cannot come again and nothing is left to absorb. */
static void ist_acked(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_stop_resend(tx);
    tx_drop_bytes(tx);
    if (tx_is_reliable(tx)) {
        tx_linger(tx, 0);
    } else {
        tx_queue_linger(tx);
    }
}

static void ist_no_ack(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    stat_inc(STAT_TX_TIMEOUT);
    tx_inform(tx, TX_SRV_NO_ACK);
    tx_end(tx);
}

static const struct tx_cell ist_cells[][TX_EV_N] = {
    [IST_PROCEEDING] = {[TX_EV_REQUEST] = TX_DO(tx_act_resend, IST_PROCEEDING),
                        [TX_EV_1XX] = TX_DO(tx_act_send, IST_PROCEEDING),
                        [TX_EV_2XX] = TX_DO(ist_accept, IST_ACCEPTED),
                        [TX_EV_FAIL] = TX_DO(ist_fail, IST_COMPLETED),
                        [TX_EV_EXPIRE] = TX_DO(tx_act_end, IST_DEAD),
                        [TX_EV_TP_ERR] = TX_DO(ist_inform, IST_PROCEEDING)},
    [IST_COMPLETED] = {[TX_EV_REQUEST] = TX_DO(tx_act_resend, IST_COMPLETED),
                       [TX_EV_RESEND] = TX_DO(ist_repeat, IST_COMPLETED),
                       [TX_EV_ACK] = TX_DO(ist_confirm, IST_CONFIRMED),
                       [TX_EV_EXPIRE] = TX_DO(ist_no_ack, IST_DEAD),
                       [TX_EV_TP_ERR] = TX_DO(ist_inform, IST_COMPLETED)},
    [IST_CONFIRMED] = {[TX_EV_REQUEST] = TX_DO(tx_act_nothing, IST_CONFIRMED),
                       [TX_EV_ACK] = TX_DO(tx_act_nothing, IST_CONFIRMED),
                       [TX_EV_EXPIRE] = TX_DO(tx_act_end, IST_DEAD)},
    [IST_ACCEPTED] = {[TX_EV_REQUEST] = TX_DO(tx_act_nothing, IST_ACCEPTED),
                      [TX_EV_RESEND] = TX_DO(ist_repeat, IST_ACCEPTED),
                      [TX_EV_ACK] = TX_DO(ist_acked, IST_ACKED),
                      [TX_EV_EXPIRE] = TX_DO(ist_no_ack, IST_DEAD),
                      [TX_EV_TP_ERR] = TX_DO(ist_inform, IST_ACCEPTED)},
    [IST_ACKED] = {[TX_EV_REQUEST] = TX_DO(tx_act_nothing, IST_ACKED),
                   [TX_EV_ACK] = TX_DO(tx_act_nothing, IST_ACKED),
                   [TX_EV_EXPIRE] = TX_DO(tx_act_end, IST_DEAD)},
    [IST_DEAD] = {{0}},
};

static const char *const ist_states[] = {"Proceeding", "Completed", "Confirmed",
                                         "Accepted",   "Acked",     "Terminated"};

const struct tx_machine ist_machine = {
    .name = "ist",
    .cells = ist_cells,
    .states = ist_states,
    .n_states = COUNT_OF(ist_states),
};
