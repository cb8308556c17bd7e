/* net.h - transports: UDP in batches, TCP with SIP framing, of one worker. The rest of the house
 * sends bytes to a flow and gets messages with the flow they came by.
 * Thread: the worker's; flows are values and may travel in mailbox messages. */
#ifndef POSTERN_NET_H
#define POSTERN_NET_H

#include "loop/loop.h"
#include "sip/sip.h"

/* Where a message came from and how to answer: enough to send back the same way. */
struct flow {
    uint8_t transport;  /* enum sip_transport */
    uint8_t listener;   /* index in the configuration */
    uint8_t worker;     /* owner of the connection; UDP: any worker may send */
    bool proven;        /* return path is known to be real: handshake done */
    bool dialled;       /* TCP: we opened it, so it may be opened again when it is gone */
    bool unused;        /* only in `gone`: nobody held it, and no request of ours went out on it */
    uint32_t conn_slot; /* TCP: connection; UINT32_MAX: none yet */
    uint32_t conn_gen;
    struct addr remote;
    struct addr local; /* our bound address */
};
#define FLOW_NO_CONN UINT32_MAX

static inline bool flow_is_reliable(const struct flow *f)
{
    return f->transport != SIP_UDP;
}
bool flow_same(const struct flow *a, const struct flow *b); /* same connection or same UDP pair */

/* The rest of the house sends through this table, so that tests need no sockets. */
struct net_ops {
    /* Sends one message. UDP: queued to the end of the turn. TCP: on the flow's connection when it
     * lives (also on another worker, by mailbox); without one a connection to flow->remote is
     * reused or opened and flow->conn_* filled in. Copies the bytes. Errors: ENOTCONN (connection
     * is gone and the far side cannot be dialled), ENOBUFS, EMSGSIZE, EHOSTUNREACH, ENOMEM. */
    int (*send)(void *arg, struct flow *flow, struct sl bytes);
};

struct net;
struct net_conn_info {
    struct addr remote;
    uint8_t listener;
    uint8_t transport;
    bool incoming;
    int64_t since_ms; /* Unix time */
};

struct net_events {
    /* Asked before a datagram is read and before a connection is kept: false drops it without a
     * word. Only transport, listener and remote of the flow count. NULL: everything may come. */
    bool (*admit)(void *arg, const struct flow *flow);
    /* One whole message (never empty, keepalives are answered below). bytes are borrowed. */
    void (*message)(void *arg, const struct flow *flow, struct sl bytes);
    /* Framing broke on a stream whose start line is SIP: an answer sent from inside this callback
     * still goes out, then the connection closes. bytes are what arrived (bounded), borrowed;
     * err is EBADMSG or EMSGSIZE (counted here). Other protocols are closed without a word: only
     * `gone` comes. */
    void (*bad_frame)(void *arg, const struct flow *flow, struct sl bytes, int err);
    /* A connection ended (slot, gen) or a UDP destination refused (ICMP): flow->remote says who.
     * err 0: closed in good order (by the peer, for idleness, by net_conn_close). flow->unused:
     * nobody can miss it. Always comes from the loop, never from inside a call into net; not for
     * what net_free() closes. */
    void (*gone)(void *arg, const struct flow *flow, int err);
    /* A flow of another worker must send: hand over by mailbox. ENOBUFS, ENOMEM. */
    int (*send_remote)(void *arg, const struct flow *flow, struct sl bytes);
};

struct net_limits {
    uint32_t max_conns; /* TCP connections of this worker: beyond, accept closes at once */
    uint32_t max_conns_per_source; /* per IPv4 address or IPv6 /64 */
    uint32_t max_message;          /* bytes */
    uint32_t max_send_queue;       /* bytes waiting on one connection: beyond, it is closed */
    uint32_t
        idle_ms; /* closes idle connections that carry no registration (keepalives count as use) */
    uint32_t
        first_message_ms; /* deadline for one whole message from its first byte, and from accept */
    uint32_t connect_ms;
    uint32_t udp_rcvbuf; /* bytes asked for (SO_RCVBUFFORCE when allowed) */
};
extern const struct net_limits net_limits_default;

MUST_USE int net_new(struct net **np, struct loop *loop, uint8_t worker,
                     const struct net_limits *limits, const struct net_events *ev, void *ev_arg);
void net_free(struct net **np);           /* not from inside a net event */
extern const struct net_ops net_real_ops; /* arg is the struct net */

/* Binds with SO_REUSEPORT, so that every worker has its own socket for the listener. Port 0 takes a
 * free one; *bound tells. tcp: listens. Errors: errno of bind. */
MUST_USE int net_listen(struct net *n, uint8_t listener, enum sip_transport t,
                        const struct addr *at, struct addr *bound);
void net_unlisten(struct net *n, uint8_t listener, enum sip_transport t);
/* A connection by id (this worker's): false when it is gone. */
bool net_conn_get(const struct net *n, uint32_t slot, uint32_t gen, struct net_conn_info *out);
void net_conn_close(struct net *n, uint32_t slot, uint32_t gen);
/* Marks a connection as carrying a registration or a call: not closed for idleness while > 0.
 * False: it is gone. */
bool net_conn_hold(struct net *n, uint32_t slot, uint32_t gen, int delta);
uint32_t net_conn_count(const struct net *n);
/* Sends out what waits (also runs by itself at the end of each turn). */
void net_flush(struct net *n);

#endif
