/* dtls.h - DTLS-SRTP (RFC 5763, RFC 5764, DTLS 1.2 of RFC 6347): keys for SRTP by a handshake on
 * the media path; part of crypto.h's face. Handshake steps (0.4 to 0.6 ms) run on the crypto pool;
 * what an association sends and is told passes through its owner, datagram by datagram.
 *
 * Who may speak to an association is the owner's duty: feed it only what comes from an address
 * that ICE has validated or, without ICE, that the peer's description or signalling names. That is
 * our protection against amplification (RFC 6347 4.2.1; no cookies are used: a ClientHello of 200
 * bytes is answered by 700, again each time it is repeated), and against strangers who would spoil
 * a handshake. An owner that feeds a stranger's datagram has given the stranger a say. */
#ifndef POSTERN_CRYPTO_DTLS_H
#define POSTERN_CRYPTO_DTLS_H

#include "crypto/pool.h"

#define DTLS_MTU 1200          /* no datagram of ours is longer */
#define DTLS_DATAGRAM_MAX 2048 /* longer ones are dropped */
#define DTLS_QUEUE_MAX 16      /* datagrams that wait, each way; further ones are dropped */

/* DTLS-SRTP protection profiles by their IANA number (RFC 5764 4.1.2, RFC 7714 14.2). */
enum dtls_srtp_profile {
    DTLS_SRTP_AES128_CM_SHA1_80 = 0x0001,
    DTLS_SRTP_AES128_CM_SHA1_32 = 0x0002,
    DTLS_SRTP_AEAD_AES_128_GCM = 0x0007,
    DTLS_SRTP_AEAD_AES_256_GCM = 0x0008
};
#define DTLS_PROFILES_MAX 4
#define DTLS_SRTP_KEY_MAX 32
#define DTLS_SRTP_SALT_MAX 14

/* --- what a peer's certificate has to hash to (RFC 8122) --- */
#define DTLS_DIGEST_MAX 64
#define DTLS_FINGERPRINTS_MAX 8   /* of a peer */
#define DTLS_FINGERPRINT_TEXT 104 /* "sha-256 AB:CD..." with its NUL */

struct dtls_fingerprint {
    uint8_t n; /* bytes: 32, 48 or 64, which names the hash function as well; 0: none */
    uint8_t digest[DTLS_DIGEST_MAX];
};
/* The value of a=fingerprint, any case. EBADMSG: malformed, or a digest of the wrong length;
 * ENOTSUP: another hash function than sha-256, sha-384, sha-512 (sha-1 and md5 are refused).
 * Thread: any (pure). */
MUST_USE int dtls_fingerprint_parse(struct sl value, struct dtls_fingerprint *out);

/* --- our side of all associations: a certificate made at start --- */
struct dtls_ctx;
struct dtls_ctx_params {
    const uint16_t *profiles; /* enum dtls_srtp_profile, best first; NULL: AEAD_AES_128_GCM,
                                 AEAD_AES_256_GCM, AES128_CM_SHA1_80 */
    size_t n_profiles;
};
/* Makes a P-256 key and a self-signed certificate: milliseconds. After crypto_init(). EINVAL: a
 * profile that is not in the list above, or too many; ENOMEM; ENOTSUP: OpenSSL lacks something.
 * Thread: main. */
MUST_USE int dtls_ctx_new(struct dtls_ctx **cp, const struct dtls_ctx_params *p);
/* After all hubs were freed. Accepts NULL. */
void dtls_ctx_free(struct dtls_ctx **cp);
/* "sha-256 AB:CD:..." for our a=fingerprint; lives as long as the context. Thread: any. */
struct sl dtls_ctx_fingerprint(const struct dtls_ctx *c);

/* --- the associations of one owner thread (a worker), and their way back from the pool --- */
struct dtls_hub;
struct dtls_hub_params {
    struct dtls_ctx *ctx;     /* borrowed, immutable, shared by all hubs */
    struct crypto_pool *pool; /* borrowed; one without threads runs each step at once (tests) */
    /* On any thread, also inside the calls below when the pool has no threads: some step has ended;
     * the owner's thread shall call dtls_hub_collect() soon. Not again before it did, so that a
     * loop_note of the owner does (loop_notify()). NULL: the owner asks by itself. */
    void (*notify)(void *arg);
    void *arg; /* lives until the pool is stopped */
};
MUST_USE int dtls_hub_new(struct dtls_hub **hp, const struct dtls_hub_params *p); /* ENOMEM */
/* Takes back every association whose step has ended and runs its on_change. Owner's thread. */
void dtls_hub_collect(struct dtls_hub *h, int64_t now_ms);
void dtls_hub_set_pool(struct dtls_hub *h, struct crypto_pool *pool); /* for the next steps */
/* After crypto_pool_stop() and after all associations were freed by dtls_free(). Accepts NULL. */
void dtls_hub_free(struct dtls_hub **hp);

/* --- one association. Thread: the hub's owner; no call waits for a step --- */
struct dtls;
enum dtls_state {
    DTLS_HANDSHAKE,  /* also: waiting for the peer to begin */
    DTLS_UNVERIFIED, /* handshake done, no fingerprint to check it with yet: no keys */
    DTLS_READY,      /* the fingerprint is right: dtls_take_keys() */
    DTLS_FAILED      /* for good, see dtls_error(); the owner may make a new one */
};
/* Something to send may have come, or state or time-out changed. Runs from dtls_hub_collect()
 * only, so never inside another call; may free d. */
typedef void(dtls_change_fn)(struct dtls *d, void *arg);

struct dtls_params {
    bool active;          /* a=setup:active: we are the client, and begin */
    uint32_t deadline_ms; /* for the handshake; 0: 20000. Passive: from the first ClientHello */
    dtls_change_fn *on_change; /* may be NULL */
    void *arg;
};
/* Holds no more than itself (3 KiB) until the handshake begins; about 80 KiB while it lasts.
 * Memory goes back when it is over, for a passive one when the peer is known to be done as well
 * (dtls_settle(), or DTLS_LINGER_MS later). ENOMEM.
 *
 * A passive one may be made before the peer's fingerprint is known, and its peer may begin at once:
 * the handshake runs (early ClientHello) and the keys wait for the fingerprint. A fingerprint that
 * changes later on (re-INVITE), or new ICE credentials together with another a=setup or tls-id,
 * mean a new association (RFC 8842 4): the owner makes a second object, feeds datagrams to that one
 * alone, and goes on with the old keys until it is ready. */
MUST_USE int dtls_new(struct dtls **dp, struct dtls_hub *h, const struct dtls_params *p);
/* Wipes its keys. Its on_change does not run any more; memory goes when its step has ended. Accepts
 * NULL. No close_notify is sent: the end of a call is the business of signalling. */
void dtls_free(struct dtls **dp);

/* Active: sends the ClientHello. Passive: nothing. Once. */
void dtls_start(struct dtls *d, int64_t now_ms);
/* A whole datagram from the validated peer (copied). Cheap for what is no DTLS record and for more
 * than 64 datagrams a second: dropped and counted. The steps it causes run later; while one runs,
 * datagrams queue. A passive association forgives: a handshake that fails (an alert, garbage, no
 * common cipher) or that another ClientHello interrupts begins anew, up to four times. After the
 * handshake a peer that repeats its last flight gets ours again; application data and alerts are
 * ignored. */
void dtls_feed(struct dtls *d, struct sl datagram, int64_t now_ms);
/* The peer's fingerprints (copied). One has to match; of several hash functions the strongest
 * decides (RFC 8122 5). A mismatch ends in DTLS_FAILED with EACCES; a peer whose handshake still
 * runs gets an alert. May be called again until the handshake is verified. EINVAL: none or too
 * many; EPROTO: verified already (see dtls_matches()) or failed. May take the state from UNVERIFIED
 * to READY or FAILED at once. */
MUST_USE int dtls_set_fingerprints(struct dtls *d, const struct dtls_fingerprint *fp, size_t n);
/* Does the peer that this association has verified also meet this list? False: make a new one. */
bool dtls_matches(const struct dtls *d, const struct dtls_fingerprint *fp, size_t n);

/* The next datagram to send, borrowed until the next call for d; false: none. Ask after dtls_start,
 * dtls_feed, dtls_on_timeout, dtls_set_fingerprints and in on_change; give each to the socket at
 * once (what cannot be sent is lost: it will be repeated). */
bool dtls_next_out(struct dtls *d, struct sl *datagram);

/* Milliseconds until dtls_on_timeout() is due; 0: now; -1: nothing to wait for. It changes with
 * each call above and with on_change. Flights are repeated after 250 ms, doubling to 4 s; how long
 * ago one was sent OpenSSL measures by the wall clock, whatever now_ms says, so a virtual clock
 * alone repeats nothing (the deadline is kept by now_ms). */
int64_t dtls_timeout_ms(const struct dtls *d, int64_t now_ms);
void dtls_on_timeout(struct dtls *d, int64_t now_ms);

enum dtls_state dtls_state(const struct dtls *d);
/* 0 unless DTLS_FAILED: EACCES the certificate has another fingerprint; ETIMEDOUT; ECONNRESET the
 * peer sent a fatal alert or closed; ENOTSUP no SRTP profile in common; EPROTO the handshake
 * failed otherwise; ENOMEM. */
int dtls_error(const struct dtls *d);
bool dtls_is_active(const struct dtls *d);

struct dtls_srtp_key {
    uint8_t key[DTLS_SRTP_KEY_MAX];
    uint8_t salt[DTLS_SRTP_SALT_MAX];
};
struct dtls_srtp_keys {
    uint16_t profile; /* enum dtls_srtp_profile; of RTP and RTCP alike (RFC 5764 4.2) */
    uint8_t key_len, salt_len;
    struct dtls_srtp_key local;  /* we protect with it */
    struct dtls_srtp_key remote; /* the peer does */
};
/* Hands the keys out once and forgets them; the caller wipes its copy. EAGAIN: not ready yet;
 * ENOENT: taken before; else dtls_error(). */
MUST_USE int dtls_take_keys(struct dtls *d, struct dtls_srtp_keys *out);

/* The peer has our last flight, as its first authentic SRTP packet proves: nothing more has to be
 * repeated to it, and its handshake's memory goes back. Harmless at any time, but only for those
 * that are DTLS_READY it does something. */
#define DTLS_LINGER_MS 15000 /* of some 77 KiB: so tell as soon as you know */
void dtls_settle(struct dtls *d);

struct dtls_counts {
    uint32_t datagrams_in; /* looked at */
    uint32_t datagrams_out;
    uint32_t dropped;  /* no DTLS record, queue full, too many, or after the end */
    uint32_t restarts; /* of a passive handshake */
    uint32_t steps;    /* on the pool */
};
void dtls_counts(const struct dtls *d, struct dtls_counts *out);

#endif
