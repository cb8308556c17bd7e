/* conn_int.h - connections inside net/: TCP and TLS, their listeners, sources and back-off.
 * Thread: the worker's, but for what a connection lends to the crypto pool. */
#ifndef POSTERN_NET_CONN_INT_H
#define POSTERN_NET_CONN_INT_H

#include "net/net.h"

#include <sys/uio.h>

struct tcp_listener {
    struct list node; /* net.tcp */
    struct net *net;
    struct fdw *watch;
    int fd;
    uint8_t listener;
    uint8_t transport;
    struct tls_server *tls; /* transport TLS; NULL: not set yet */
    struct addr bound;
    struct grave grave;
    struct timer pause;
};

struct source { /* connections from one IPv4 address or IPv6 /64 */
    struct hnode node;
    uint8_t key[9]; /* family, then 4 or 8 bytes */
    uint32_t conns;
    uint32_t shaking; /* of them: TLS is not up */
};

enum conn_state {
    CONN_CONNECTING,
    CONN_SHAKING, /* TLS handshake */
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

struct conn;
struct conn_tls { /* the TLS part of a connection */
    struct conn *c;
    struct tls *tls;
    struct crypto_job job; /* one step of the handshake */
    struct loop_note note; /* it has come back */
    bool lent;             /* c->in, c->out and tls are the pool's until then */
    size_t lent_max;       /* bytes that may wait in c->out meanwhile; the limits may change */
    bool orphan;           /* c died meanwhile: the note buries it */
    bool began;            /* the first bytes were looked at */
    bool counted;          /* in net.n_shaking and source.shaking */
    int result;            /* of the step */
    size_t rest;           /* bytes at the end of c->in that it left */
    int64_t forgiven_ms;   /* the last tls_forgive() */
    struct conn_buf plain; /* to be sent once the handshake is done */
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
    bool heard;       /* something came: the far side is there */
    bool awaits_pong; /* our ping is out and nothing came since */
    uint8_t pongs;    /* pings answered in a row, up to PONGS_SURE */
    bool missed;      /* the answer before did not come either */
    uint8_t crlfs;    /* CRLFs since the last message or pong: two are a ping */
    int why;          /* errno for `gone`; set when draining begins, else at the end */
    uint32_t hold;    /* users that keep it from idling out */
    bool known;       /* incoming: not a stranger's when it came */
    enum tls_standing standing;
    uint32_t proof; /* net.proof when it was judged last */
    size_t scanned; /* bytes of the arriving message without an end of header */
    size_t whole;   /* bytes of all of it, once its header is there; else 0 */
    int64_t used_ms;
    int64_t since_ms;      /* Unix time */
    struct timer deadline; /* connect, whole message, linger */
    struct timer idle;
    struct timer ping;    /* while held */
    int64_t heard_ms;     /* last bytes */
    struct conn_tls *tls; /* NULL: plain */
    struct conn_buf in;
    struct conn_buf out;
    struct flow flow;
};

/* A far side that could not be reached. */
struct backoff {
    struct hnode node;
    struct list age; /* net.backoff_age, oldest first */
    struct addr remote;
    uint32_t peer;
    uint8_t listener, transport;
    uint8_t fails;
    int64_t until_ms;
};

/* tcp.c */
MUST_USE int tcp_listen(struct net *n, uint8_t listener, enum sip_transport t,
                        const struct addr *at, struct addr *bound);
struct tcp_listener *tcp_at(const struct net *n, enum sip_transport t, const struct addr *at);
void tcp_unlisten(struct net *n, uint8_t listener, enum sip_transport t);
void tcp_free(struct net *n);
struct tcp_listener *tcp_find(const struct net *n, uint8_t listener, uint8_t transport);
MUST_USE int tcp_dial(struct net *n, const struct flow *flow, struct conn **cp);
void source_release(struct net *n, struct source **sp);

/* conn.c */
struct conn_from { /* of an accepted connection */
    struct source *source;
    bool known;
};
/* The caller keeps fd and tls (NULL: plain) when this fails. from NULL: dialled. */
MUST_USE int conn_new(struct conn **cp, struct net *n, int fd, const struct flow *flow,
                      const struct conn_from *from, struct conn_tls *tls);
void conn_kill(struct conn *c, int err); /* first death; idempotent */
void conn_destroy(struct conn *c);       /* second death */
void conn_opened(struct conn *c);        /* messages can go both ways */
void conn_to_state(struct conn *c, enum conn_state state, uint32_t deadline_ms);
void conn_half(struct conn *c); /* the peer sent its FIN */
void conn_drain(struct conn *c, int why);
MUST_USE int conn_send(struct net *n, struct flow *flow, struct sl bytes);
/* conn_io.c */
void on_conn(int fd, int what, void *arg);
void conn_flush(struct conn *c);
void conn_watch(struct conn *c); /* asks for the events that the state needs */
/* Queues plain bytes. ENOBUFS: the peer does not read, the connection was closed. ENOMEM. */
MUST_USE int conn_put(struct conn *c, struct sl bytes);
/* ENOTCONN, ENOBUFS: no room for so many more bytes to send, the connection was closed. */
MUST_USE int conn_queue_room(struct conn *c, size_t more);
MUST_USE int conn_buf_put(struct conn_buf *b, struct sl bytes, size_t max); /* EMSGSIZE, ENOMEM */
void conn_buf_clear(struct conn_buf *b, size_t keep); /* keeps memory up to so many bytes */
void conn_dirty(struct conn *c);                      /* to be flushed at the end of the turn */
MUST_USE int conn_room(struct conn *c, struct iovec *room);    /* for the next plain bytes */
void conn_took(struct conn *c, struct iovec room, size_t got); /* they are there */
void conn_was_heard(struct conn *c);                           /* something came */
/* conn_tls.c */
MUST_USE int conn_tls_new(struct conn_tls **tp, struct net *n, struct tls_server *s,
                          struct tls_client *c, const struct addr *to); /* one of s and c */
void conn_tls_free(struct net *n, struct conn_tls **tp);                /* accepts NULL */
void conn_tls_begin(struct conn *c); /* the connection stands: handshake */
void conn_tls_readable(struct conn *c);
MUST_USE int conn_tls_put(struct conn *c, struct sl bytes);
void conn_tls_leave(struct conn *c); /* first death: no handshake any more */
void conn_tls_identify(struct conn *c);
static inline bool conn_is_lent(const struct conn *c)
{
    return c->tls != NULL && c->tls->lent;
}
/* conn_proof.c */
void conn_prove(struct conn *c); /* judges it by the newest configuration; never kills it */
void on_net_prove(void *arg);
uint32_t conn_idle_ms(const struct conn *c);
/* conn_ping.c */
void on_conn_ping(void *arg);
void conn_ping_start(struct conn *c);
void conn_ping_crlf(struct conn *c, unsigned *crlfs); /* takes the pong out of so many CRLFs */
/* backoff.c */
bool backoff_blocks(struct net *n, const struct flow *flow);
void backoff_fail(struct net *n, const struct flow *flow);
void backoff_clear(struct net *n, const struct flow *flow);
void backoff_free(struct net *n);
/* conn_in.c */
/* Cuts and delivers the whole messages at the start of *in and moves it behind them; returns how
 * many. The connection may be dead or draining afterwards. */
size_t conn_consume(struct conn *c, struct sl *in);

#endif
