/* net_int.h - what the files of net/ share: the worker's transports as a whole, sockets, UDP.
 * Thread: the worker's. */
#ifndef POSTERN_NET_INT_H
#define POSTERN_NET_INT_H

#include "net/conn_int.h"

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
    uint64_t also; /* listeners before it that may still send, as bits */
    bool wild;     /* bound to a wildcard: IP_PKTINFO tells and sets our side */
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

struct net_lost {
    struct flow flow;
    int err;
};

struct net {
    struct loop *loop;
    struct crypto_pool *pool;
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
    struct list orphans; /* dead and told, still lent to the crypto pool */
    struct slots conns;
    struct hmap by_remote;
    struct hmap sources;
    struct pool conn_pool;
    struct pool source_pool;
    struct pool tls_pool;
    struct hmap backoffs;
    struct list backoff_age;
    struct pool backoff_pool;
    uint32_t n_in, n_out;       /* living connections, accepted and dialled */
    uint32_t n_shaking;         /* accepted ones whose TLS is not up */
    uint32_t n_strange;         /* of n_in: strangers' */
    uint32_t n_strange_shaking; /* of n_shaking */
    uint32_t proof;             /* counts configurations */
    uint32_t proof_pos;         /* slots before it have been judged by the last one */
    struct timer prove;
    uint32_t n_lost;
    struct net_lost lost[NET_LOST_MAX];
    struct udp_batch rx_batch;
    struct udp_batch tx_batch;
    char *rx; /* UDP_BATCH slots of UDP_SLOT bytes; also where streams are read */
};

/* net.c */
static inline uint64_t net_bit(uint8_t listener)
{
    return listener < 64 ? (uint64_t)1 << listener : 0;
}
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
struct udp_sock *udp_at(const struct net *n, const struct addr *at); /* NULL: none is bound there */
void udp_free(struct net *n);
struct udp_sock *udp_find(const struct net *n, const struct flow *flow); /* NULL: none fits */
void udp_errors(struct udp_sock *s); /* empties the error queue */
/* udp_tx.c */
MUST_USE int udp_send(struct net *n, struct flow *flow, struct sl bytes);
void udp_flush(struct udp_sock *s);
void on_udp_retry(void *arg);

#endif
