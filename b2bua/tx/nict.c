/* nict.c - non-INVITE client transaction, RFC 3261 17.1.2.2 and figure 6: timer E repeats the
 * request (unreliable transports), F ends the wait, K absorbs late answers. */
#include "tx/tx_int.h"

void nict_start(struct tx *tx)
{
    if (!tx_is_reliable(tx)) {
        tx_start_resend(tx, tx->timers.t1_ms);
    }
    tx_start_life(tx, tx_64t1(tx), TX_EV_EXPIRE);
}

static void nict_resend(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_double_resend(tx, tx->timers.t2_ms);
    tx_resend(tx);
}

/* Once a provisional answer is there, E fires every T2. */
static void nict_resend_slowly(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_start_resend(tx, tx->timers.t2_ms);
    tx_resend(tx);
}

static void nict_final(struct tx *tx, const struct tx_in *in)
{
    tx_stop_resend(tx);
    tx_settle(tx);
    tx_drop_bytes(tx);
    tx_tell(tx, 0, in->rsp);
    tx_linger(tx, tx_is_reliable(tx) ? 0 : tx->timers.t4_ms);
}

static void nict_absorb(struct tx *tx, const struct tx_in *in)
{
    (void)tx;
    (void)in;
    stat_inc(STAT_SIP_RETRANS_RX);
}

static const struct tx_cell nict_cells[][TX_EV_N] = {
    [NICT_TRYING] = {[TX_EV_1XX] = TX_DO(tx_act_pass, NICT_PROCEEDING),
                     [TX_EV_2XX] = TX_DO(nict_final, NICT_COMPLETED),
                     [TX_EV_FAIL] = TX_DO(nict_final, NICT_COMPLETED),
                     [TX_EV_RESEND] = TX_DO(nict_resend, NICT_TRYING),
                     [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, NICT_DEAD),
                     [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, NICT_DEAD)},
    [NICT_PROCEEDING] = {[TX_EV_1XX] = TX_DO(tx_act_pass, NICT_PROCEEDING),
                         [TX_EV_2XX] = TX_DO(nict_final, NICT_COMPLETED),
                         [TX_EV_FAIL] = TX_DO(nict_final, NICT_COMPLETED),
                         [TX_EV_RESEND] = TX_DO(nict_resend_slowly, NICT_PROCEEDING),
                         [TX_EV_EXPIRE] = TX_DO(tx_act_timeout, NICT_DEAD),
                         [TX_EV_TP_ERR] = TX_DO(tx_act_tp_fail, NICT_DEAD)},
    [NICT_COMPLETED] = {[TX_EV_1XX] = TX_DO(tx_act_nothing, NICT_COMPLETED),
                        [TX_EV_2XX] = TX_DO(nict_absorb, NICT_COMPLETED),
                        [TX_EV_FAIL] = TX_DO(nict_absorb, NICT_COMPLETED),
                        [TX_EV_EXPIRE] = TX_DO(tx_act_end, NICT_DEAD)},
    [NICT_DEAD] = {{0}},
};

static const char *const nict_states[] = {"Trying", "Proceeding", "Completed", "Terminated"};

const struct tx_machine nict_machine = {
    .name = "nict",
    .cells = nict_cells,
    .states = nict_states,
    .n_states = COUNT_OF(nict_states),
};
