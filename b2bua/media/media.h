/* media.h - ports, sockets and the relay of RTP, RTCP and other datagrams between the two sides of
 * a call, with ranked latching, each side plain or secure. Knows no SIP: call/ says where each side
 * may send from and to, and what. Thread: the worker's. No allocation, no lock and no log on the
 * packet path. */
#ifndef POSTERN_MEDIA_H
#define POSTERN_MEDIA_H

#include "loop/loop.h"
#include "media/media_secure.h"
#include "media/media_stats.h"
#include "media/media_stream.h"

struct media;         /* of one worker */
struct media_session; /* of one call */
struct dtls_ctx;      /* crypto/ */
struct crypto_pool;

#define MEDIA_STREAMS_MAX 16

struct media_realm_params { /* one per listener with an rtp section */
    uint8_t listener;
    struct addr address;         /* bind address, port 0 */
    struct addr address6;        /* second family or AF_UNSPEC */
    uint16_t port_min, port_max; /* whole range of the listener; each worker takes its share: pairs
                                    are dealt out by (pair index % n_workers) */
};
/* How packets get in and out: AUTO is io_uring where the kernel has it and allows it, else epoll.
 */
enum media_io { MEDIA_IO_AUTO, MEDIA_IO_EPOLL, MEDIA_IO_URING };
struct media_params {
    struct loop *loop;
    uint8_t worker, n_workers;
    enum media_io io;
    uint32_t gather_us; /* how long packets may wait for others, so that they share a wake-up; 0:
                           not at all. At most LOOP_GATHER_MAX_US */
    uint32_t inactivity_ms; /* no valid RTP from anybody who should send: on_silence; 0: never */
    uint32_t learn_ms;      /* hold-off in which a better ranked source may still win; 3000 */
    uint32_t rcvbuf;        /* bytes per RTP socket; 65536 */
    uint32_t quarantine_ms; /* how long a released pair rests, unused and without packets; 2000.
                               With more than idle_max at rest 250 will do */
    uint32_t ready;         /* pairs of each realm that are opened before anybody asks; 0 */
    uint32_t idle_max;      /* rested pairs of a realm kept open for the next call; 1024. Whatever
                               rests, all realms and workers have at most half of
                               RLIMIT_NOFILE open */
    bool dry; /* for trying out: ports are dealt out and described, but no packet comes or goes */
    struct dtls_ctx *dtls;      /* borrowed, as the pool; NULL: no DTLS-SRTP */
    struct crypto_pool *crypto; /* handshake steps run there; must be stopped before media_free() */
};
MUST_USE int media_new(struct media **mp, const struct media_params *p);
void media_free(struct media **mp); /* sessions must be closed */
/* Adds or changes a realm; ports in use stay in use, those at rest are closed when the address or
 * the range changes. */
MUST_USE int media_set_realm(struct media *m, const struct media_realm_params *p);
/* Ports of a listener that is gone: those at rest are closed. EBUSY: some are in use yet. */
MUST_USE int media_drop_realm(struct media *m, uint8_t listener);
void media_set_inactivity(struct media *m, uint32_t ms); /* new sessions */
void media_set_quarantine(struct media *m, uint32_t ms); /* those at rest as well; 0: 2000 */
struct media_settings {
    uint32_t learn_ms;
    enum media_io io; /* of sockets opened from now on */
    uint32_t gather_us;
    uint32_t ready; /* pairs of each realm */
};
void media_set(struct media *m, const struct media_settings *s);
void media_set_crypto(struct media *m, struct crypto_pool *pool); /* for the next handshakes */
struct media_counts {
    uint32_t sessions;
    uint32_t sockets; /* in use by sessions */
    uint32_t ports_used, ports_total;
    uint32_t idle_sockets; /* at rest: open for the next call */
};
void media_counts(const struct media *m, struct media_counts *out);
/* Ports, two per pair; of this worker's share. */
uint32_t media_ports_in_use(const struct media *m, uint8_t listener, uint32_t *total);

enum media_kind { MEDIA_RTP, MEDIA_DATAGRAM /* opaque: UDPTL */ };

/* Runs when nobody who should be sending was heard for inactivity_ms (once per session); names the
 * side that was heard last. One side alone may be muted or only listen; while every stream goes one
 * way at most the call is on hold, and nobody is missed. Also when a side is lost for good: its
 * consent ended (RFC 7675) or its certificate fits no fingerprint; then it names that side, and
 * media_diagnose() says which. Only what authenticates counts as heard. May close the session. */
typedef void(media_silence_fn)(struct media_session *s, unsigned stream, unsigned side, void *arg);

MUST_USE int media_session_new(struct media_session **sp, struct media *m,
                               media_silence_fn *on_silence, void *arg);
/* Ports go to rest or back (last used, last reused). Accepts NULL. */
void media_session_close(struct media_session **sp);

/* Opens the ports of one side (0 = caller, 1 = callee) of a stream on a listener's realm, in the
 * wanted family (AF_INET, AF_INET6). An even RTP port and the next one for RTCP. Asking again with
 * the same listener and family changes nothing; with another one the old ports go back first.
 * The kind belongs to the stream and may change while its ports stay (audio to fax and back).
 * ENOBUFS: range exhausted (counted); ENOENT: the realm has no address of this family; EMFILE,
 * ENOMEM. Pairs at rest are used up before ENOBUFS or EMFILE. */
MUST_USE int media_open(struct media_session *s, unsigned stream, unsigned side,
                        enum media_kind kind, uint8_t listener, int family);
void media_close(struct media_session *s, unsigned stream); /* both sides; stream was refused */
bool media_is_open(const struct media_session *s, unsigned stream, unsigned side);
/* Our bound address and port for RTP; AF_UNSPEC when not open. RTCP is the next port. */
void media_local(const struct media_session *s, unsigned stream, unsigned side, struct addr *rtp);

struct media_remote {
    struct addr rtp;        /* from SDP; AF_UNSPEC: not known or hold address */
    struct addr rtcp;       /* AF_UNSPEC: rtp's address and the next port */
    struct addr signalling; /* the address this side's SIP comes from (port ignored) */
    bool mux;               /* RTCP comes on the RTP port */
    bool may_send; /* they may send to us (their direction has "send"); false: no inactivity */
    bool wait_for_source; /* nothing is sent to rtp or rtcp before a source was learned for it, or
                             for the other one at the same address (untrusted party whose
                             description names another address than its signalling) */
    bool may_receive; /* we may send to them; false: packets for them are dropped and counted, but
                         RTCP goes on (RFC 3264 5.1) */
    bool avpf; /* feedback (RFC 4585) may go to them; false: RTPFB and PSFB packets are taken out of
                  RTCP for them, and what is then empty is not sent */
};
/* What a side's description says. If rtp differs from before, learning starts again for this side
 * only; the old source is still heard until the new one is learned (which it can itself become only
 * by matching exactly, or when no other came for learn_ms). Ranks: (1) source == rtp exactly, locks
 * at once; (2) source address == rtp's address; (3) source address == signalling address; (4) on a
 * secure side, any other one whose packets authenticate; others are strangers: dropped and counted.
 * A rank 2 to 4 source is used at once and locked after learn_ms unless a better one shows. Once
 * locked only a new description unlocks. On a secure side a packet must authenticate before it is
 * counted as received, is heard, or moves anything. On a plain one a source that is not exact may
 * take over from another one that still sends (within 500 ms) only where it left off: same SSRC,
 * next sequence numbers. With ICE (media_set_ice) none of this holds: checks decide (rank 5),
 * addresses of descriptions do not. Until a source is learned packets for this side go to rtp, or
 * nowhere with wait_for_source. Unusable addresses (0/8, multicast, port 0, our own ports) count as
 * AF_UNSPEC, which after a real address means hold: nothing is sent, the source is kept. Ignored
 * when no side of the stream was ever opened. The time of on_silence starts when both sides are
 * open and described, and again when may_send becomes true; give may_send = false for a caller that
 * has not been answered. */
void media_set_remote(struct media_session *s, unsigned stream, unsigned side,
                      const struct media_remote *r);
/* The side is about to be described by another party, as with the next device of a fork: keys,
 * DTLS, checked pairs, sources and the description go, and nobody is heard or sent to until there
 * is a new one. Our ports and our ICE credentials, which that party was offered, stay; and should
 * media_set_sdes() bring back the keys that are in use now, their rollover counters and replay
 * windows go on. */
void media_side_reset(struct media_session *s, unsigned stream, unsigned side);

#endif
