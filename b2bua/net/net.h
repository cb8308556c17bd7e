/* net.h - transports: UDP in batches, TCP and TLS with SIP framing, of one worker. The rest of the
 * house sends bytes to a flow and gets messages with the flow they came by.
 * Thread: the worker's; flows are values and may travel in mailbox messages. */
#ifndef POSTERN_NET_H
#define POSTERN_NET_H

#include "crypto/crypto.h"
#include "loop/loop.h"
#include "sip/sip.h"

/* Where a message came from and how to answer: enough to send back the same way. */
struct flow {
    uint8_t transport;   /* enum sip_transport */
    uint8_t listener;    /* index in the configuration */
    uint8_t worker;      /* owner of the connection; UDP: any worker may send */
    bool proven : 1;     /* return path is known to be real: handshake done */
    bool dialled : 1;    /* stream: we opened it, so it may be opened again when it is gone */
    bool unused : 1;     /* only in `gone`: nobody held it, and no request of ours went out on it */
    bool certified : 1;  /* TLS: a verified certificate says that the far side is `peer` */
    bool withdrawn : 1;  /* TLS: a new configuration would not let it in: nothing new from there */
    uint32_t cipher : 8; /* TLS, once the handshake is done: see tls_cipher_name() */
    uint32_t peer : 24;  /* TLS: policy_peer.id of whom we dial, or who proved it; 0: nobody */
    uint32_t conn_slot;  /* stream: connection; UINT32_MAX: none yet */
    uint32_t conn_gen;
    struct addr remote;
    struct addr local; /* our bound address */
};
#define FLOW_NO_CONN UINT32_MAX

static inline bool flow_is_reliable(const struct flow *f)
{
    return f->transport != SIP_UDP;
}
/* Encrypted to the next hop: keys may be told there (RFC 4568 9), and sips: is kept. */
static inline bool flow_is_secure(const struct flow *f)
{
    return f->transport == SIP_TLS || f->transport == SIP_WSS;
}
/* policy_peer.id of whom a certificate has proven to be there; 0: nobody. */
static inline uint32_t flow_proven(const struct flow *f)
{
    return f->certified ? f->peer : 0;
}
bool flow_same(const struct flow *a, const struct flow *b); /* same connection or same UDP pair */

/* The rest of the house sends through this table, so that tests need no sockets. */
struct net_ops {
    /* Sends one message. UDP: queued to the end of the turn. Streams: on the flow's connection when
     * it lives (also on another worker, by mailbox); without one a connection to flow->remote is
     * reused or opened and flow->conn_* filled in. TLS is reused for the same flow->peer only
     * (RFC 5922 7.4). Copies the bytes. Errors: ENOTCONN (connection is gone and the far side
     * cannot be dialled), EHOSTDOWN (could not be reached a moment ago: the next try is not due
     * yet), EHOSTUNREACH, ENOBUFS, EMSGSIZE, ENOMEM. */
    int (*send)(void *arg, struct flow *flow, struct sl bytes);
};

struct net;
struct net_conn_info {
    struct addr remote;
    uint8_t listener;
    uint8_t transport;
    bool incoming;
    bool certified;
    uint8_t cipher;
    uint32_t peer;
    int64_t since_ms; /* Unix time */
};

struct net_events {
    /* Asked before a datagram is read and before a connection is kept: false drops it without a
     * word. Only transport, listener and remote of the flow count. NULL: everything may come. */
    bool (*admit)(void *arg, const struct flow *flow);
    /* Before a message of a stream is judged by what its connection has proven: whatever came into
     * force counts for it. NULL: nothing does. */
    void (*before)(void *arg);
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
    /* Somebody whom the house knows lives at this address: he may have what is reserved. Looked at
     * as in admit. NULL: everybody may. */
    bool (*known)(void *arg, const struct flow *flow);
    /* A client of a TLS listener has proven these names: policy_peer.id of who that is, or 0. Asked
     * again by net_identify(). May be NULL. */
    uint32_t (*identify)(void *arg, uint8_t listener, const struct sl *names, size_t n);
    /* How the peer with this policy_peer.id is dialled over TLS: a reference for the caller; NULL:
     * not at all. May be NULL. */
    struct tls_client *(*dialler)(void *arg, uint32_t peer);
};

struct net_limits {
    uint32_t max_conns;            /* streams of this worker: beyond, accept closes at once */
    uint32_t reserved_conns;       /* of max_conns: never a stranger's */
    uint32_t max_conns_per_source; /* per IPv4 address or IPv6 /64 */
    uint32_t max_message;          /* bytes */
    uint32_t max_send_queue;       /* bytes waiting on one connection: beyond, it is closed */
    uint32_t
        idle_ms; /* closes idle connections that carry no registration (keepalives count as use) */
    uint32_t
        first_message_ms; /* deadline for one whole message from its first byte, and from accept */
    uint32_t connect_ms;
    uint32_t udp_rcvbuf;     /* bytes asked for (SO_RCVBUFFORCE when allowed) */
    uint32_t max_handshakes; /* accepted connections whose TLS is not up: beyond, closed at once */
    uint32_t reserved_handshakes; /* of max_handshakes: never a stranger's */
    uint32_t max_handshakes_per_source;
    uint32_t handshake_ms; /* deadline for all of it, from accept or connect */
    /* RFC 5626 4.4.1: a held connection that was silent for ping_ms gets a double CRLF. One that
     * has answered these before and does not within pong_ms is closed. ping_ms 0: never. */
    uint32_t ping_ms;
    uint32_t pong_ms;
    /* What a new configuration no longer vouches for: closed after this, or when idle for it. */
    uint32_t retire_ms;
    uint32_t backoff_max_ms; /* between tries to reach a far side that is down; 0: no waiting */
};
extern const struct net_limits net_limits_default;

struct net_params {
    struct loop *loop; /* kept */
    uint8_t worker;
    const struct net_limits *limits; /* copied */
    struct crypto_pool *pool;        /* kept; NULL: no TLS */
    const struct net_events *ev;     /* copied */
    void *ev_arg;
};
MUST_USE int net_new(struct net **np, const struct net_params *p);
/* Not from inside a net event. The pool has been stopped: no handshake is lent to it any more. */
void net_free(struct net **np);
extern const struct net_ops net_real_ops; /* arg is the struct net */

/* Binds with SO_REUSEPORT, so that every worker has its own socket for the listener. Port 0 takes a
 * free one; *bound tells. Streams: listens. Errors: errno of bind; EPROTONOSUPPORT. */
MUST_USE int net_listen(struct net *n, uint8_t listener, enum sip_transport t,
                        const struct addr *at, struct addr *bound);
/* Another listener that may still send by the same UDP socket (net_adopt) has it then; the last one
 * closes it. */
void net_unlisten(struct net *n, uint8_t listener, enum sip_transport t);
/* True: this very address is open for the transport, for whichever listener. */
bool net_is_open(const struct net *n, enum sip_transport t, const struct addr *at);
/* Gives the socket at this address, and the connections of the listener that had it, to another
 * listener. That one may go on sending by UDP until it is unlistened. Nothing happens when it is
 * there already, or there is none. */
void net_adopt(struct net *n, uint8_t listener, enum sip_transport t, const struct addr *at);
/* For what begins from now on. Connections beyond a smaller limit stay. */
void net_set_limits(struct net *n, const struct net_limits *limits);
void net_set_pool(struct net *n, struct crypto_pool *pool); /* the next handshake steps run there */
/* What a TLS listener presents from the next handshake on; running connections stay as they are. A
 * reference is taken. Without it nobody is let in. */
void net_set_tls(struct net *n, uint8_t listener, struct tls_server *s);
/* The configuration has changed: what every TLS connection has proven is judged by what it says
 * now, at the latest when the connection is next used. One that holds no more is nobody's (and
 * `withdrawn`), carries no new request of ours and closes when its transactions have had their
 * time; so does an idle one that showed a certificate of ours which is no longer in use. */
void net_identify(struct net *n);
/* A connection by id (this worker's): false when it is gone. */
bool net_conn_get(const struct net *n, uint32_t slot, uint32_t gen, struct net_conn_info *out);
void net_conn_close(struct net *n, uint32_t slot, uint32_t gen);
/* Marks a connection as carrying a registration or a call: not closed for idleness while > 0.
 * False: it is gone. */
bool net_conn_hold(struct net *n, uint32_t slot, uint32_t gen, int delta);
uint32_t net_conn_count(const struct net *n);
/* Inside `message` of a datagram: how long it lay in the socket, by the kernel's stamp. */
uint32_t net_waited_us(const struct net *n);
/* Sends out what waits (also runs by itself at the end of each turn). */
void net_flush(struct net *n);

#endif
