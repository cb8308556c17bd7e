/* server.c - what both server machines share: birth from a request, answers, where they go, and
 * telling the user. */
#include "tx/tx_int.h"

#define SIP_PORT 5060
#define SIPS_PORT 5061

/* RFC 3261 18.2.2 and RFC 3581 4. maddr is ignored on purpose: nobody makes us send to a third
 * party. A WebSocket's sent-by is a made-up name, only its connection leads back. */
static uint16_t tx_answer_port(const struct sip_msg *req, const struct flow *in)
{
    bool is_ws = in->transport == SIP_WS || in->transport == SIP_WSS;

    if (req->via.has_rport || is_ws) {
        return addr_port(&in->remote);
    }
    if (req->via.port != 0) {
        return req->via.port;
    }
    return in->transport == SIP_TLS ? SIPS_PORT : SIP_PORT;
}

void tx_answer_flow(const struct sip_msg *req, const struct flow *in, struct flow *out)
{
    *out = *in; /* on a stream the connection comes first, the port is for redialling */
    addr_set_port(&out->remote, tx_answer_port(req, in));
}

/* A dialog of ours; whoever made up the To tag was refused without state. A REGISTER is none. */
static bool tx_is_in_dialog(const struct sip_msg *req)
{
    return req->to_tag.n != 0 && req->method != SIP_REGISTER;
}

int tx_server_new(struct tx **txp, struct tx_table *tab, struct sip_msg *req,
                  const struct flow *flow, tx_server_fn *fn, void *arg)
{
    int err = 0;
    struct tx *tx;

    if (req->method == SIP_ACK) {
        return EPROTO; /* RFC 3261 17: an ACK has no transaction of its own */
    }
    tx = tx_alloc(tab, req->method == SIP_INVITE ? TX_IST : TX_NIST,
                  tx_is_in_dialog(req) ? TX_CLAIM_RESERVE : TX_CLAIM_NEW, &err);
    if (tx == NULL) {
        return err;
    }
    tx->method = (uint8_t)req->method;
    tx->flow = *flow;
    tx->arg = arg;
    tx->u.s.fn = fn;
    tx->u.s.answer_port = tx_answer_port(req, flow);
    err = tx_key_link(tx, req);
    if (err != 0) {
        tx_unref(&tx);
        return err;
    }
    tx->u.s.req = sip_msg_ref(req);
    tx_begin(tx);
    if (tx->kind == TX_NIST) {
        nist_start(tx);
    }
    *txp = tx;
    return 0;
}

void tx_server_listen(struct tx *tx, tx_server_fn *fn, void *arg)
{
    tx->u.s.fn = fn;
    tx->arg = arg;
    if (fn != NULL && tx->kind == TX_IST) {
        ist_heard(tx);
    }
}

void *tx_arg(const struct tx *tx)
{
    return tx->arg;
}

struct sip_msg *tx_request(const struct tx *tx)
{
    return tx->u.s.req;
}

static enum tx_event tx_answer_event(uint16_t status)
{
    if (status < 200) {
        return TX_EV_1XX;
    }
    return status < 300 ? TX_EV_2XX : TX_EV_FAIL;
}

/* What may have to be sent again: on a stream only a 2xx to INVITE. */
static bool tx_repeats(const struct tx *tx, enum tx_event ev)
{
    return !tx_is_reliable(tx) || (tx->kind == TX_IST && ev == TX_EV_2XX);
}

int tx_server_respond(struct tx *tx, uint16_t status, struct sl bytes)
{
    enum tx_event ev = tx_answer_event(status);

    if (tx_is_dead(tx) || tx_server_is_final(tx) || status < 100 || status > 699) {
        return EPROTO;
    }
    if (tx_repeats(tx, ev)) {
        int err = tx_keep(tx, bytes);

        if (err != 0) {
            return err;
        }
    }
    tx->u.s.status = status;
    tx_feed(tx, ev, &(struct tx_in){.bytes = bytes});
    return 0;
}

void tx_server_acked(struct tx *tx)
{
    if (tx->kind == TX_IST && (tx->state == IST_ACCEPTED || tx->state == IST_ACKED)) {
        tx_feed(tx, TX_EV_ACK, &(struct tx_in){0});
    }
}

bool tx_server_is_final(const struct tx *tx)
{
    return tx->u.s.status >= 200;
}

const struct flow *tx_server_flow(const struct tx *tx)
{
    return &tx->flow;
}

const struct addr *tx_server_source(const struct tx *tx)
{
    return &tx->flow.remote;
}

uint16_t tx_server_status(const struct tx *tx)
{
    return tx->u.s.status;
}

void tx_inform(struct tx *tx, enum tx_server_event ev)
{
    if (tx->u.s.fn != NULL) {
        tx->u.s.fn(tx, ev, tx->arg);
    }
}

void tx_server_final(struct tx *tx)
{
    tx_settle(tx);
    sip_msg_unref(&tx->u.s.req);
}

void tx_act_send(struct tx *tx, const struct tx_in *in)
{
    tx_send(tx, in->bytes);
}

void tx_act_inform_end(struct tx *tx, const struct tx_in *in)
{
    (void)in;
    tx_inform(tx, TX_SRV_TRANSPORT);
    tx_end(tx);
}
