/* net_int.h - what the files of net/ share: the worker's sockets, the UDP queues and the TCP
 * connections. Thread: the worker's. */
#ifndef POSTERN_NET_INT_H
#define POSTERN_NET_INT_H

#include "net/net.h"

enum {
    UDP_BATCH = 32,           /* datagrams per recvmmsg/sendmmsg */
    UDP_SLOT = 65536,         /* bytes of a receive slot: any datagram fits */
    UDP_CTL = 64,             /* bytes of control data: one in6_pktinfo */
    UDP_TXQ = 512,            /* datagrams waiting on one socket */
    UDP_TXQ_BYTES = 1u << 20, /* their bytes */
    NET_LOST_MAX = 64         /* UDP destinations to report in the next turn */
};

/* --- UDP --- */
struct udp_out {
    struct addr to;
    struct addr from; /* AF_UNSPEC: the socket's own address */
    uint32_t off;
    uint32_t len;
};

struct udp_sock {
    struct list node; /* net.udp */
    struct net *net;
    struct fdw *watch;
    int fd;
    uint8_t listener;
    bool wild; /* bound to a wildcard: IP_PKTINFO tells and sets our side */
    bool closed;
    struct addr bound;
    struct grave grave;
    struct timer retry;
    uint32_t retries;
    uint32_t head, tail; /* out[head..tail) waits; both 0 when nothing does */
    uint32_t used;       /* bytes of data */
    char *data;          /* UDP_TXQ_BYTES, touched only as far as it fills */
    struct udp_out out[UDP_TXQ];
};

/* Slots for one recvmmsg or sendmmsg. Two per worker: a full queue is sent from inside a batch
 * that is being received. */
struct udp_batch {
    struct mmsghdr hdr[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    struct sockaddr_storage name[UDP_BATCH];
    union {
        char bytes[UDP_CTL];
        struct cmsghdr align;
    } ctl[UDP_BATCH];
};

/* --- TCP --- */
struct tcp_listener {
    struct list node; /* net.tcp */
    struct net *net;
    struct fdw *watch;
    int fd;
    uint8_t listener;
    struct addr bound;
    struct grave grave;
    struct timer pause;
};

struct source { /* connections from one IPv4 address or IPv6 /64 */
    struct hnode node;
    uint8_t key[9]; /* family, then 4 or 8 bytes */
    uint32_t conns;
};

enum conn_state {
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_HALF,  /* the peer sends no more; we may, for CONN_HALF_MS */
    CONN_DRAIN, /* framing is lost: what waits goes out, then the end */
    CONN_DEAD   /* unreachable; net.dying holds it until `gone` was told */
};

struct conn_buf {
    char *p;
    size_t off; /* send buffers: what went out already */
    size_t n;
    size_t cap;
};

struct conn {
    struct list node; /* net.dirty, net.dying or none */
    struct hnode by_remote;
    struct net *net;
    struct source *source; /* incoming only */
    struct fdw *watch;
    int fd;
    enum conn_state state;
    bool incoming;
    bool of_use;  /* was held, or carried a request of ours */
    bool spoke;   /* one whole message came */
    bool line_ok; /* first line of the message that is arriving was seen and is SIP */
    bool head_ok; /* its header area is complete */
    bool fin_sent;
    uint8_t crlfs;  /* CRLFs since the last message or pong: two are a ping */
    int why;        /* errno for `gone`; set when draining begins, else at the end */
    uint32_t hold;  /* users that keep it from idling out */
    size_t scanned; /* bytes of the arriving message without an end of header */
    int64_t used_ms;
    int64_t since_ms;      /* Unix time */
    struct timer deadline; /* connect, whole message, linger */
    struct timer idle;
    struct conn_buf in;
    struct conn_buf out;
    struct flow flow;
};

struct net_lost {
    struct flow flow;
    int err;
};

struct net {
    struct loop *loop;
    uint8_t worker;
    struct net_limits lim;
    struct net_events ev;
    void *arg;
    struct turn turn;    /* flush at the end of the turn */
    struct timer report; /* tells `gone` from the loop, never from inside a call */
    struct list udp;
    struct list tcp;
    struct list dirty; /* connections with bytes to flush */
    struct list dying;
    struct slots conns;
    struct hmap by_remote;
    struct hmap sources;
    struct pool conn_pool;
    struct pool source_pool;
    uint32_t n_in, n_out; /* living connections, accepted and dialled */
    uint32_t n_lost;
    struct net_lost lost[NET_LOST_MAX];
    struct udp_batch rx_batch;
    struct udp_batch tx_batch;
    char *rx; /* UDP_BATCH slots of UDP_SLOT bytes; also where streams are read */
};

/* net.c */
void net_wake_flush(struct net *n);
void net_report_lost(struct net *n, const struct flow *flow, int err);

/* sock.c: non-blocking, close-on-exec; *fd is -1 after an error. */
MUST_USE int sock_open(int type, const struct addr *bind_to, bool listens, int *fd);
void sock_buffers(int fd, uint32_t rcv_bytes);
void sock_stream(int fd);
MUST_USE int sock_name(int fd, struct addr *out);
void sock_close(int *fd);

/* udp.c */
MUST_USE int udp_listen(struct net *n, uint8_t listener, const struct addr *at, struct addr *bound);
void udp_unlisten(struct net *n, uint8_t listener);
void udp_free(struct net *n);
struct udp_sock *udp_find(const struct net *n, const struct flow *flow); /* NULL: none fits */
void udp_errors(struct udp_sock *s); /* empties the error queue */
/* udp_tx.c */
MUST_USE int udp_send(struct net *n, struct flow *flow, struct sl bytes);
void udp_flush(struct udp_sock *s);
void on_udp_retry(void *arg);

/* tcp.c */
MUST_USE int tcp_listen(struct net *n, uint8_t listener, const struct addr *at, struct addr *bound);
void tcp_unlisten(struct net *n, uint8_t listener);
void tcp_free(struct net *n);
MUST_USE int tcp_dial(struct net *n, const struct flow *flow, struct conn **cp);
void source_release(struct net *n, struct source **sp);

/* conn.c */
/* The caller keeps fd when this fails. */
MUST_USE int conn_new(struct conn **cp, struct net *n, int fd, const struct flow *flow,
                      bool incoming);
void conn_kill(struct conn *c, int err); /* first death; idempotent */
void conn_destroy(struct conn *c);       /* second death */
void conn_opened(struct conn *c);        /* connect() succeeded, or accepted */
void conn_half(struct conn *c);          /* the peer sent its FIN */
void conn_drain(struct conn *c, int why);
MUST_USE int conn_send(struct net *n, struct flow *flow, struct sl bytes);
/* conn_io.c */
void on_conn(int fd, int what, void *arg);
void conn_flush(struct conn *c);
void conn_watch(struct conn *c); /* asks for the events that the state needs */
/* Queues bytes. ENOBUFS: the peer does not read, the connection was closed. ENOMEM. */
MUST_USE int conn_put(struct conn *c, struct sl bytes);
/* conn_in.c */
/* Cuts and delivers the whole messages at the start of *in and moves it behind them; returns how
 * many. The connection may be dead or draining afterwards. */
size_t conn_consume(struct conn *c, struct sl *in);

#endif
