/* net_rig.h - a struct net on a real loop with plain sockets as peers, for test_net_*.c. */
#ifndef POSTERN_TEST_NET_RIG_H
#define POSTERN_TEST_NET_RIG_H

#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define RIG_TURNS 3000 /* polls of about 1 ms before a wait is given up */
#define RIG_SEEN 512
#define RIG_POOL_QUEUE 64 /* steps that wait for the only thread */

struct rig;
typedef bool(rig_cond)(struct rig *r);
typedef void(rig_hook)(struct rig *r, const struct flow *flow, struct sl bytes);

struct rig {
    struct loop *loop;
    struct net *net;
    struct net_limits limits;
    struct crypto_pool *pool; /* NULL: no TLS */
    struct addr at[3];        /* bound: UDP, TCP, TLS */
    struct timer poll;
    rig_cond *cond;
    int turns;
    bool timed_out;
    void (*before)(struct rig *r); /* a message of a stream is judged */
    rig_hook *on_message;          /* after recording */
    rig_hook *on_bad;
    struct tls_client *dialler; /* for peers 7 and 8 */
    const char *known;          /* the name that makes a client peer 7 */
    void (*on_poll)(struct rig *r);
    const char *friend; /* the address that is known; NULL: everybody is */
    bool shut;          /* the door: nobody is admitted */
    /* what net told */
    unsigned n_shut, n_msg, n_bad, n_gone, n_remote;
    size_t msg_len[RIG_SEEN];
    struct flow flow; /* of the last message */
    struct flow gone;
    int gone_err;
    int bad_err;
    char last[70000]; /* bytes of the last message */
    size_t last_len;
    /* the peer */
    int peer;
    char got[70000];
    size_t got_len;
    bool peer_eof, peer_reset;
    /* knobs of conditions */
    unsigned want;
};

void rig_up(struct rig *r, const struct net_limits *limits);     /* NULL: the defaults */
void rig_up_tls(struct rig *r, const struct net_limits *limits); /* with a crypto pool */
void rig_down(struct rig *r);
struct addr rig_addr(const char *text); /* "127.0.0.1:0" */
void rig_listen(struct rig *r, enum sip_transport t, const char *at);
/* Runs the loop until cond; fails the test when it does not come true. */
void rig_until(struct rig *r, rig_cond *cond);
bool rig_try(struct rig *r, rig_cond *cond, int turns); /* false: did not come true */
int rig_send(struct rig *r, struct flow *flow, struct sl bytes);
void rig_echo(struct rig *r, const struct flow *flow, struct sl bytes); /* a rig_hook */

/* Conditions; want is the number. */
bool rig_has_messages(struct rig *r);
bool rig_has_gone(struct rig *r);
bool rig_has_got(struct rig *r); /* bytes at the peer */
bool rig_peer_closed(struct rig *r);
bool rig_has_conns(struct rig *r); /* exactly */

/* Peers: plain non-blocking sockets. */
int rig_peer_udp(const struct addr *to, const char *from);
int rig_peer_tcp(const struct addr *to, const char *from);
int rig_peer_listen(struct addr *bound, int backlog);
void rig_peer_put(int fd, struct sl bytes);
void rig_peer_read(struct rig *r);
struct flow rig_flow(enum sip_transport t, const struct addr *to);
/* A small request with a body of n bytes; returns its length. */
size_t rig_request(char *dst, size_t cap, const char *call_id, size_t n);

#endif
