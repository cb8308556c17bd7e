/* adopt.c - a configuration that changes a listener leaves its open sockets where they are: they,
 * and the connections that came by them, become the new listener's. */
#include "net/net_int.h"

bool net_is_open(const struct net *n, enum sip_transport t, const struct addr *at)
{
    return t == SIP_UDP ? udp_at(n, at) != NULL : tcp_at(n, t, at) != NULL;
}

static void adopt_conns(struct net *n, uint8_t from, uint8_t to, enum sip_transport t)
{
    uint32_t pos = 0;

    for (struct conn *c = slots_next(&n->conns, &pos); c != NULL; c = slots_next(&n->conns, &pos)) {
        if (c->flow.listener == from && c->flow.transport == t) {
            c->flow.listener = to;
        }
    }
}

void net_adopt(struct net *n, uint8_t listener, enum sip_transport t, const struct addr *at)
{
    struct udp_sock *s = t == SIP_UDP ? udp_at(n, at) : NULL;
    struct tcp_listener *l = t != SIP_UDP ? tcp_at(n, t, at) : NULL;

    if (s != NULL && s->listener != listener) {
        s->also = (s->also | net_bit(s->listener)) & ~net_bit(listener);
        s->listener = listener;
    } else if (l != NULL && l->listener != listener) {
        adopt_conns(n, l->listener, listener, t);
        l->listener = listener;
    }
}

/* Pings that were off, or rarer. One that is armed comes in its time and goes by what holds then.
 */
static void adopt_pings(struct net *n)
{
    uint32_t pos = 0;

    for (struct conn *c = slots_next(&n->conns, &pos); c != NULL; c = slots_next(&n->conns, &pos)) {
        conn_ping_start(c);
    }
}

void net_set_limits(struct net *n, const struct net_limits *limits)
{
    n->lim = *limits;
    adopt_pings(n);
    if (n->lim.max_message > SIP_MSG_MAX) {
        n->lim.max_message = SIP_MSG_MAX;
    }
    n->conns.max = 2 * n->lim.max_conns;
    n->sources.max = n->lim.max_conns;
}

void net_set_pool(struct net *n, struct crypto_pool *pool)
{
    n->pool = pool;
}
