/* explain_ask.c - from a question to the flow by which the request would have come. */
#include "worker/explain_int.h"

static bool find_listener(const struct config *cfg, struct sl name, uint8_t *out)
{
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        if (sl_eq(sl_str(cfg->listeners[i].name), name)) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

/* Places of listeners that a reload took away are empty. */
static uint8_t first_listener(const struct config *cfg)
{
    size_t i = 0;

    while (i + 1 < cfg->n_listeners && cfg->listeners[i].name == NULL) {
        i++;
    }
    return (uint8_t)i;
}

/* Where somebody from this address would most likely come in: where he is a peer, else at the
 * users' listener. */
static uint8_t likely_listener(const struct config *cfg, const struct addr *source)
{
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        if (policy_peer_by_source(cfg->policy, (uint8_t)i, source) >= 0) {
            return (uint8_t)i;
        }
    }
    return cfg->def.users.present ? cfg->def.users.listener : first_listener(cfg);
}

static int find_peer(const struct config *cfg, const struct b2bua_question *q, struct flow *flow,
                     const char **why)
{
    int peer = policy_peer_by_name(cfg->policy, q->peer);

    if (peer < 0 || flow->transport != SIP_TLS) {
        *why = peer < 0 ? "there is no such peer" : "a certificate proves a peer only over TLS";
        return EINVAL;
    }
    flow->certified = true;
    flow->peer = cfg->def.peers[peer].id;
    return 0;
}

static int check_who(const struct config *cfg, const struct b2bua_question *q, struct flow *flow,
                     const char **why)
{
    if (q->user.n != 0 && policy_user_by_name(cfg->policy, q->user) < 0) {
        *why = "there is no such user";
        return EINVAL;
    }
    return q->peer.n != 0 ? find_peer(cfg, q, flow, why) : 0;
}

int explain_flow(const struct config *cfg, const struct b2bua_question *q, struct flow *flow,
                 const char **why)
{
    enum sip_transport transport = q->transport.n != 0 ? sip_transport_of(q->transport) : SIP_UDP;
    const struct config_listener *ls;
    uint8_t listener = 0;

    if (transport != SIP_UDP && transport != SIP_TCP && transport != SIP_TLS) {
        *why = "the transport is none of udp, tcp and tls";
        return EINVAL;
    }
    if (addr_family(&q->source) == AF_UNSPEC) {
        *why = "the source is missing, and the topmost Via names no address";
        return EINVAL;
    }
    if (q->listener.n == 0) {
        listener = likely_listener(cfg, &q->source);
    } else if (!find_listener(cfg, q->listener, &listener)) {
        *why = "there is no such listener";
        return EINVAL;
    }
    ls = &cfg->listeners[listener];
    *flow = (struct flow){.transport = (uint8_t)transport,
                          .listener = listener,
                          .proven = transport != SIP_UDP,
                          .conn_slot = transport != SIP_UDP ? 0 : FLOW_NO_CONN,
                          .remote = q->source,
                          .local = ls->address};
    addr_set_port(&flow->local, ls->port[transport]);
    return check_who(cfg, q, flow, why);
}

/* --- a message as people keep it in files --- */

static bool is_length(struct sl line)
{
    return sl_istarts(line, SL("Content-Length:")) || sl_istarts(line, SL("l:"));
}

void explain_put_message(struct buf *b, struct sl text)
{
    bool in_body = false;
    struct sl line;

    if (sl_find(text, SL("\r\n")) >= 0) {
        buf_putsl(b, text);
        return;
    }
    while (sl_next(&text, '\n', &line) == 0) {
        if (!in_body && is_length(line)) {
            continue;
        }
        in_body = in_body || line.n == 0;
        buf_putsl(b, line);
        BUF_LIT(b, "\r\n");
    }
    if (!in_body) {
        BUF_LIT(b, "\r\n");
    }
}
