/* media_int.h - what the files of media/ share: sockets and ports, the worker's media, and packets
 * in and out. session_int.h has the sessions, stage_int.h and secure_int.h what happens to packets.
 * Thread: the worker's. */
#ifndef POSTERN_MEDIA_INT_H
#define POSTERN_MEDIA_INT_H

#include "media/session_int.h"

#define MEDIA_LISTENERS 256
#define MEDIA_PKT_MAX 2048                   /* larger datagrams are dropped as malformed */
#define MEDIA_PKT_ROOM (MEDIA_PKT_MAX + 160) /* with what encryption may add */
#define MEDIA_BIND_TRIES 64 /* pairs that somebody else may hold before we give up */

struct media_ring;

/* --- an even port and the next one: bound, watched, and kept from call to call --- */
struct media_sock {
    union {
        struct fdw *w;       /* epoll */
        uint64_t tag;        /* io_uring */
    } watch;                 /* 0: not watched, as on virtual loops */
    struct media_flow *flow; /* whose packets come here; NULL: the pair is at rest */
    int fd;                  /* -1: not open */
    bool is_rtcp;
    bool by_ring; /* how it is watched */
    uint8_t dscp; /* as set; MEDIA_DSCP_DEFAULT at first */
};

struct media_pair {
    struct list node; /* among those at rest in its realm */
    struct media_realm *realm;
    int64_t rest_ms;             /* at rest and without packets since; loop time */
    struct media_sock rtp, rtcp; /* rtcp opens when first asked for */
    uint16_t port;               /* the even one */
    uint16_t junk;               /* what came since it was released */
    uint16_t family;
};

/* --- ports.c: the port pairs of one listener that this worker may use --- */
struct media_realm {
    struct media_realm_params p;
    uint16_t *ring;     /* free pairs by their even port, oldest first */
    uint32_t cap, head; /* cap: all pairs of our share */
    uint32_t n_free;
    uint32_t n_used; /* handed out, also ones of a former range and those at rest */
    uint32_t n_idle; /* of these, at rest */
    unsigned worker, n_workers;
    struct media *m;
    struct list idle[2]; /* pairs at rest, longest first; IPv4 and IPv6 */
    uint64_t used[512];  /* one bit per pair */
};
/* EINVAL: no pair in the range. On error the realm is as it was. */
MUST_USE int media_realm_set(struct media_realm *r, const struct media_realm_params *p,
                             unsigned worker, unsigned n_workers);
MUST_USE int media_pair_take(struct media_realm *r, uint16_t *port); /* ENOBUFS */
void media_pair_give(struct media_realm *r, uint16_t port);
bool media_pair_is_ours(const struct media_realm *r, uint16_t port); /* of the present range */
/* The bind address; NULL: none of this family. */
const struct addr *media_realm_ip(const struct media_realm *r, int family);

struct media {
    struct media_params p;
    uint32_t n_sessions, n_sockets;
    uint32_t n_idle;   /* sockets at rest */
    uint32_t idle_fds; /* how many there may be */
    struct timer idle_timer, ready_timer;
    struct timer room_timer;
    struct list room; /* of media_secure: those whose SSRCs have filled their table */
    struct pool sessions, streams, pairs;
    struct media_ring *ring; /* NULL: epoll */
    bool rings;              /* new sockets, and all that is sent, go by it */
    struct media_realm *realms[MEDIA_LISTENERS];
    struct dtls_hub *hub; /* NULL: no DTLS */
    struct loop_note hub_note;
    uint8_t name_key[16];                    /* of what RTCP is told in place of names */
    uint64_t last_serial;                    /* of a session */
    uint8_t srtp_engine;                     /* enum srtp_engine; tests try each */
    _Alignas(8) uint8_t pkt[MEDIA_PKT_ROOM]; /* the packet in hand */
    uint8_t scratch[MEDIA_PKT_ROOM];         /* secure.c */
};

/* --- socket.c --- */
/* Binds the side's ports on its realm. As media_open(). The side is closed on error. */
MUST_USE int media_side_bind(struct media_side *s, struct media_realm *r, int family);
MUST_USE int media_side_bind_rtcp(struct media_side *s); /* the odd port; harmless when open */
void media_side_unbind(struct media_side *s);            /* harmless when not open */
/* A pair of the realm's next port, RTP bound and watched. EADDRINUSE: somebody else has it, another
 * one may be free; ENOBUFS, EMFILE, ENOMEM, ENOENT: no such address. */
MUST_USE int media_pair_open(struct media_pair **pp, struct media_realm *r, const struct addr *ip);
MUST_USE int media_pair_open_rtcp(struct media_pair *p, const struct addr *ip); /* the odd port */
/* Closes a pair that nobody uses and that is not at rest; its ports go back to the realm. */
void media_pair_close(struct media_pair *p);

/* --- idle.c: pairs at rest --- */
void media_idle_init(struct media *m);
/* The pair that has rested longest, emptied of packets and no longer at rest. NULL: none, or
 * (unless any is true) none whose quarantine is over. */
struct media_pair *media_idle_take(struct media_realm *r, int family, bool any);
void media_idle_put(struct media_pair *p, const struct addr *local); /* rests or is closed */
void media_idle_add(struct media_pair *p); /* a new one, which need not rest */
/* Closes the pair that has rested longest, of one realm or (NULL) of all. False: there is none. */
bool media_idle_evict(struct media *m, struct media_realm *r);
void media_idle_flush(struct media_realm *r);
void media_idle_on_readable(struct media_sock *s);
void media_idle_on_packet(struct media_sock *s); /* that was read already */

/* --- ready.c: pairs opened beforehand --- */
void media_ready_init(struct media *m);
void media_ready_check(struct media_realm *r, bool now); /* opens some soon, if too few rest */

/* --- io.c: packets in and out of the sockets --- */
struct media_pkt {
    uint8_t *p; /* MEDIA_PKT_ROOM bytes, changed in place */
    size_t n;   /* as on the wire: more than MEDIA_PKT_MAX when it was cut */
    struct addr src;
    int64_t now_ms;
    enum media_class class;
};
MUST_USE int media_io_open(struct media *m); /* chooses; falls back to epoll unless out of memory */
void media_io_change(struct media *m, enum media_io io); /* open sockets stay as they are */
void media_io_close(struct media *m);                    /* before the sockets are */
/* Watches a socket from now on, at rest and in use. ENOTSUP on virtual loops: its test calls
 * media_on_socket(). */
MUST_USE int media_io_watch(struct media *m, struct media_sock *s);
void media_io_unwatch(struct media *m, struct media_sock *s); /* before it is closed */
bool media_io_is_watched(const struct media_sock *s);
void media_io_drain(struct media *m);                 /* hands out what has been read ahead */
void media_on_readable(int fd, int what, void *flow); /* a packet for this flow */
void media_on_socket(int fd, int what, void *sock);   /* fd_fn */
/* Sends now, or together with others once all packets of this wake-up were relayed. pkt->p is
 * either the buffer that media_relay() was given, which is not copied and must not change any more
 * in this wake-up, or anything else, which is free again when this returns. At most MEDIA_PKT_ROOM
 * bytes. False: the kernel refused it. A later refusal is counted as send_failed of the flow's
 * side. */
bool media_io_send(const struct media_flow *f, const struct media_pkt *pkt,
                   const struct addr *dest);

/* --- relay.c --- */
void media_relay(struct media_flow *f, struct media_pkt *pkt); /* what came for a flow */

#endif
