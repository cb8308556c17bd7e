/* nist.c - non-INVITE server transaction, RFC 3261 17.2.2 and figure 8: timer J keeps the final
 * answer for retransmissions of the request. */
#include "tx/tx_int.h"

/* Not in the figure: a request that its user forgets must not stay for ever. T4 beyond the client's
 * timer F, so that whoever relays it hears of its own timer F first (RFC 4320 4.2: too late to
 * answer then). */
void nist_start(struct tx *tx)
{
    tx_start_life(tx, tx_64t1(tx) + tx->timers.t4_ms, TX_EV_EXPIRE);
}

static void nist_final(struct tx *tx, const struct tx_in *in)
{
    tx_server_final(tx);
    if (tx->u.s.status >= 300) {
        tx_key_unmerge(tx);
    }
    tx_send(tx, in->bytes);
    tx_linger(tx, tx_is_reliable(tx) ? 0 : tx_64t1(tx)); /* timer J */
}

static const struct tx_cell nist_cells[][TX_EV_N] = {
    [NIST_TRYING] = {[TX_EV_REQUEST] = TX_DO(tx_act_nothing, NIST_TRYING),
                     [TX_EV_1XX] = TX_DO(tx_act_send, NIST_PROCEEDING),
                     [TX_EV_2XX] = TX_DO(nist_final, NIST_COMPLETED),
                     [TX_EV_FAIL] = TX_DO(nist_final, NIST_COMPLETED),
                     [TX_EV_EXPIRE] = TX_DO(tx_act_end, NIST_DEAD)},
    [NIST_PROCEEDING] = {[TX_EV_REQUEST] = TX_DO(tx_act_resend, NIST_PROCEEDING),
                         [TX_EV_1XX] = TX_DO(tx_act_send, NIST_PROCEEDING),
                         [TX_EV_2XX] = TX_DO(nist_final, NIST_COMPLETED),
                         [TX_EV_FAIL] = TX_DO(nist_final, NIST_COMPLETED),
                         [TX_EV_EXPIRE] = TX_DO(tx_act_end, NIST_DEAD),
                         [TX_EV_TP_ERR] = TX_DO(tx_act_inform_end, NIST_DEAD)},
    [NIST_COMPLETED] = {[TX_EV_REQUEST] = TX_DO(tx_act_resend, NIST_COMPLETED),
                        [TX_EV_EXPIRE] = TX_DO(tx_act_end, NIST_DEAD),
                        [TX_EV_TP_ERR] = TX_DO(tx_act_inform_end, NIST_DEAD)},
    [NIST_DEAD] = {{0}},
};

static const char *const nist_states[] = {"Trying", "Proceeding", "Completed", "Terminated"};

const struct tx_machine nist_machine = {
    .name = "nist",
    .cells = nist_cells,
    .states = nist_states,
    .n_states = COUNT_OF(nist_states),
};
