/* client.c - what both client machines share: the branch, the way of a response to its transaction,
 * telling the user, and the loss of a flow. */
#include "tx/tx_int.h"

#define COOKIE_LEN (sizeof(SIP_COOKIE) - 1)

static bool tx_branch_token(const struct token_ring *ring, struct sl branch, struct token *out)
{
    return branch.n == TX_BRANCH_LEN && sl_istarts(branch, SL(SIP_COOKIE)) &&
           token_get(ring, sl_from(branch, COOKIE_LEN), out) && out->kind == TOKEN_TX;
}

bool tx_branch_owner(const struct token_ring *ring, const struct sip_msg *rsp, struct token *out)
{
    return tx_branch_token(ring, rsp->via.branch, out);
}

static void tx_put_branch(struct tx *tx)
{
    const struct tx_table_params *p = &tx->tab->p;
    struct token token = {.node = p->node,
                          .worker = p->worker,
                          .kind = TOKEN_TX,
                          .slot = tx->u.c.slot,
                          .gen = tx->u.c.gen};

    memcpy(tx->u.c.branch, SIP_COOKIE, COOKIE_LEN);
    token_put(p->ring, &token, tx->u.c.branch + COOKIE_LEN);
}

int tx_client_new(struct tx **txp, struct tx_table *tab, const struct tx_client_params *params)
{
    int err = 0;
    struct tx *tx = tx_alloc(tab, params->method == SIP_INVITE ? TX_ICT : TX_NICT,
                             params->method == SIP_BYE ? TX_CLAIM_RESERVE : TX_CLAIM_NEW, &err);

    if (tx == NULL) {
        return err;
    }
    err = slots_add(&tab->slots, tx, &tx->u.c.slot, &tx->u.c.gen);
    if (err != 0) {
        tx_unref(&tx);
        return err;
    }
    tx->method = (uint8_t)params->method;
    tx->flow = params->flow;
    tx->arg = params->arg;
    tx->u.c.fn = params->on_response;
    tx->u.c.answer_ms = params->answer_ms;
    tx_put_branch(tx);
    *txp = tx;
    return 0;
}

struct sl tx_branch(const struct tx *tx)
{
    return tx_is_client(tx) ? sl_make(tx->u.c.branch, TX_BRANCH_LEN) : SL_NULL;
}

const struct flow *tx_flow(const struct tx *tx)
{
    return &tx->flow;
}

/* An INVITE is needed again for ACK and CANCEL; other requests only while they may get lost. */
static bool tx_must_keep(const struct tx *tx)
{
    return tx->kind == TX_ICT || !tx_is_reliable(tx);
}

int tx_client_start(struct tx *tx, struct sl request)
{
    const struct tx_table_params *p = &tx->tab->p;
    int err = tx->is_started || !tx->is_linked || !tx_is_client(tx) ? EPROTO : 0;

    if (err == 0 && tx_must_keep(tx)) {
        err = tx_keep(tx, request);
    }
    if (err == 0) {
        err = p->net->send(p->net_arg, &tx->flow, request);
    }
    if (err != 0) {
        if (!tx->is_started) {
            tx_drop_bytes(tx);
        }
        return err;
    }
    tx_begin(tx);
    if (tx->kind == TX_ICT) {
        ict_start(tx);
    } else {
        nict_start(tx);
    }
    return 0;
}

struct tx *tx_client_sibling(const struct tx *invite, struct sl request)
{
    int err = 0;
    struct tx *tx = tx_alloc(invite->tab, TX_NICT, TX_CLAIM_CANCEL, &err);

    if (tx == NULL) {
        return NULL;
    }
    tx->method = SIP_CANCEL;
    tx->flow = invite->flow;
    tx->timers = invite->timers;
    memcpy(tx->u.c.branch, invite->u.c.branch, TX_BRANCH_LEN);
    if (tx_client_start(tx, request) != 0) {
        tx_unref(&tx);
    }
    return tx;
}

void tx_client_cancel(struct tx *tx)
{
    if (tx->kind == TX_ICT && !tx_is_dead(tx)) {
        tx_feed(tx, TX_EV_CANCEL, &(struct tx_in){0});
    }
}

void tx_client_elsewhere(struct tx *tx)
{
    if (tx->kind == TX_ICT) {
        tx->u.c.is_elsewhere = true;
    }
}

static enum tx_event tx_response_event(const struct sip_msg *rsp)
{
    if (rsp->status < 200) {
        return TX_EV_1XX;
    }
    return rsp->status < 300 ? TX_EV_2XX : TX_EV_FAIL;
}

/* RFC 3261 17.1.3: branch and CSeq method; a CANCEL shares the branch of its INVITE. The bytes of
 * the branch decide: a token of the same slot with other random bits is not ours. */
static struct tx *tx_find_client(const struct tx_table *tab, const struct sip_msg *rsp)
{
    struct token token;
    struct tx *tx;

    if (!tx_branch_token(tab->p.ring, rsp->via.branch, &token) ||
        (token.node != tab->p.node && token.node != tab->node_before) ||
        token.worker != tab->p.worker) {
        return NULL;
    }
    tx = slots_get(&tab->slots, token.slot, token.gen);
    if (tx == NULL || !sl_ieq(rsp->via.branch, tx_branch(tx))) {
        return NULL;
    }
    if (rsp->cseq_method == SIP_CANCEL && tx->kind == TX_ICT) {
        return tx->u.c.cancel;
    }
    return rsp->cseq_method == (enum sip_method)tx->method ? tx : NULL;
}

bool tx_feed_response(struct tx_table *tab, struct sip_msg *rsp, const struct flow *flow)
{
    struct tx *tx = tx_find_client(tab, rsp);

    /* Hosts with several addresses answer from any; the branch cannot be guessed. */
    if (tx == NULL || tx_is_dead(tx)) {
        return false;
    }
    if (tx->flow.conn_slot != FLOW_NO_CONN && flow_same(&tx->flow, flow)) {
        tx->flow.cipher = flow->cipher; /* not known yet when the request went out */
        tx->flow.certified = flow->certified;
    }
    tx_feed(tx, tx_response_event(rsp), &(struct tx_in){.rsp = rsp});
    return true;
}

static bool tx_uses_flow(const struct tx *tx, const struct flow *gone)
{
    const struct flow *own = &tx->flow;

    if (own->transport != gone->transport) {
        return false;
    }
    if (!flow_is_reliable(own)) {
        return addr_eq(&own->remote, &gone->remote);
    }
    return own->conn_slot != FLOW_NO_CONN && own->conn_slot == gone->conn_slot &&
           own->conn_gen == gone->conn_gen && own->worker == gone->worker;
}

/* Without a connection the news is an ICMP error: it may come late, or be forged by whoever knows
 * two addresses. A peer that has spoken on this very transaction is there all the same. */
static bool tx_may_be_gone(const struct tx *tx)
{
    if (tx_is_reliable(tx)) {
        return true;
    }
    return tx->kind == TX_ICT ? tx->state == ICT_CALLING || tx->state == ICT_HELD
                              : tx->state == NICT_TRYING;
}

void tx_flow_gone(struct tx_table *tab, const struct flow *flow, int err)
{
    LIST_FOR_EACH(it, &tab->active)
    {
        struct tx *tx = CONTAINER_OF(it, struct tx, u.c.active);

        if (tx->err == 0 && tx_uses_flow(tx, flow) && tx_may_be_gone(tx)) {
            tx_fail_later(tx, err != 0 ? err : ENOTCONN); /* users hear of it in the next turn */
        }
    }
}

/* Its user left the ACK of this very answer behind. */
static bool client_acks_again(struct tx *tx, const struct sip_msg *rsp)
{
    struct sl tag;

    if (tx->bytes == NULL || !sl_starts(tx_bytes(tx), SL("ACK ")) ||
        sip_skim_to_tag(tx_bytes(tx), &tag) != 0 || !sl_eq(tag, rsp->to_tag)) {
        return false;
    }
    stat_inc(STAT_SIP_RETRANS_RX);
    tx_send(tx, tx_bytes(tx));
    return true;
}

void tx_tell(struct tx *tx, int err, struct sip_msg *rsp)
{
    if (err == ETIMEDOUT) {
        stat_inc(STAT_TX_TIMEOUT);
    }
    if (tx->u.c.fn != NULL) {
        tx->u.c.fn(tx, err, rsp, tx->arg);
    } else if (tx->kind == TX_ICT && rsp != NULL && rsp->status >= 200 && rsp->status < 300 &&
               !client_acks_again(tx, rsp)) {
        stat_inc(STAT_TX_UNEXPECTED); /* a call was answered and nobody is there to take it */
    }
}

void tx_client_leave_ack(struct tx *tx, const struct flow *flow, struct sl ack)
{
    if (tx->kind == TX_ICT && tx->state == ICT_ACCEPTED && tx_keep(tx, ack) == 0) {
        tx->flow = *flow;
    }
}

void tx_act_pass(struct tx *tx, const struct tx_in *in)
{
    tx_tell(tx, 0, in->rsp);
}

void tx_act_timeout(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_tell(tx, ETIMEDOUT, NULL);
    tx_end(tx);
}

void tx_act_tp_fail(struct tx *tx, const struct tx_in *in)
{
    tx_tell(tx, in->err, NULL);
    tx_end(tx);
}

void tx_close(struct tx *tx)
{
    if (tx_is_client(tx)) {
        tx->u.c.fn = NULL;
        if (tx->kind == TX_ICT) {
            ict_unheard(tx);
        }
    } else {
        tx->u.s.fn = NULL;
        if (tx->kind == TX_IST) {
            ist_unheard(tx);
        }
    }
    tx->arg = NULL;
}
