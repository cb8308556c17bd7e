/* srtp.h - SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714) of one direction under one master key:
 * several SSRCs, rollover counter and replay window of each, key derivation at rate 0.
 * Thread: the worker's. No allocation, lock, log or system call per packet. */
#ifndef POSTERN_MEDIA_SRTP_H
#define POSTERN_MEDIA_SRTP_H

#include "media/srtp_suite.h"

struct srtp;

enum srtp_engine {
    SRTP_ENGINE_AUTO, /* our own engine where it has the suite, else libsrtp2 */
    SRTP_ENGINE_EVP,  /* our own, on OpenSSL: every suite above */
    SRTP_ENGINE_LIBSRTP
};
enum srtp_direction { SRTP_PROTECT, SRTP_UNPROTECT };

#define SRTP_SSRCS 8      /* default of max_ssrcs */
#define SRTP_SSRCS_MAX 64 /* an SSRC costs 40 bytes */

struct srtp_params {
    const struct srtp_key *key; /* copied */
    enum srtp_direction direction;
    enum srtp_engine engine;
    uint8_t max_ssrcs; /* 0: SRTP_SSRCS */
};

/* Once per process, after crypto_init() and before threads; SRTP_ENGINE_LIBSRTP needs it (it loads
 * NSS and calls srtp_init() exactly once), the own engine needs crypto_init() only. May be called
 * again. ENOTSUP: the library does not start. Thread: main. */
MUST_USE int srtp_engine_start(enum srtp_engine engine);
void srtp_engine_stop(void); /* after all srtp_free(); harmless when not started */

/* EINVAL: no suite, mki_len or max_ssrcs above its limit; ENOTSUP: the engine was
 * not started, or would have to read the MKI of a _32 suite (libsrtp2 looks for that of SRTCP in
 * the wrong place); ENOMEM. */
MUST_USE int srtp_new(struct srtp **sp, const struct srtp_params *p);
void srtp_free(struct srtp **sp); /* wipes the keys; accepts NULL */
/* Room for max SSRCs from now on (SRTP_SSRCS_MAX at most; fewer than now: nothing happens). *sp may
 * move. ENOMEM: everything is as it was. */
MUST_USE int srtp_grow(struct srtp **sp, uint8_t max);
/* How many SSRCs more it has room for. */
unsigned srtp_room(const struct srtp *s);

/* The packet at p has *n bytes and grows in place to at most *n + SRTP_TRAILER_MAX <= cap. p is
 * aligned to 4 bytes (libsrtp2 wants that). On every error *n is untouched and no index is used
 * up; after EIO alone the packet's bytes are undefined.
 * EBADMSG: no RTP (RTCP) packet; EMSGSIZE: cap is too small;
 * EPROTO: this index was used before, or lies too far back (128 packets) to tell. Sending it again
 *   could reveal both plaintexts (RFC 3711 9.1), and receivers drop it anyway: drop it. Each late
 *   packet within the window passes once. A source whose sequence numbers start anew backwards
 *   under the same SSRC meets this for each packet: whoever relays it has to continue the numbers
 *   or change the SSRC;
 * ENOBUFS: max_ssrcs SSRCs were seen under this key: re-key, or keep to the old SSRCs. None is ever
 *   forgotten, as that would forget which indices were used;
 * EKEYEXPIRED: 2^48 packets or 2^31 SRTCP packets (RFC 3711 9.2): re-key; EIO: OpenSSL failed. */
MUST_USE int srtp_protect(struct srtp *s, uint8_t *p, size_t *n, size_t cap);
MUST_USE int srtcp_protect(struct srtp *s, uint8_t *p, size_t *n, size_t cap);

/* Checks, decrypts in place and shrinks *n. On every error *n is untouched, nothing is learned from
 * the packet, and its bytes are undefined. p is aligned to 4 bytes.
 * EBADMSG: malformed, too short, another MKI, SRTCP that is not encrypted (E bit, RFC 3711 3.4), or
 *   does not authenticate;
 * EALREADY: a replay, or too old to tell (looked at first: the packet need not be genuine);
 * ENOBUFS: authentic, but of one SSRC more than max_ssrcs; EKEYEXPIRED: beyond 2^48 packets;
 * ENOMEM, EIO: OpenSSL failed. */
MUST_USE int srtp_unprotect(struct srtp *s, uint8_t *p, size_t *n);
MUST_USE int srtcp_unprotect(struct srtp *s, uint8_t *p, size_t *n);

/* A re-INVITE with the same key keeps s, and so the rollover counters; another key needs a new s.
 */
bool srtp_same_key(const struct srtp *s, const struct srtp_key *k);
enum srtp_suite srtp_suite_of(const struct srtp *s);
/* SRTP and SRTCP packets that passed under this key: re-keying by policy. */
uint64_t srtp_packets(const struct srtp *s);

/* Where an SSRC stands: for the call serialiser, and for tests that fast-forward. */
struct srtp_ssrc {
    uint32_t ssrc;
    uint32_t roc;        /* rollover counter of seq */
    uint32_t rtcp_index; /* last (protect) or highest (unprotect) */
    uint16_t seq;        /* highest sequence number that passed */
    bool has_rtp;        /* else roc and seq mean nothing, and set nothing */
    bool has_rtcp;       /* else rtcp_index means nothing, and sets nothing */
};
/* Writes at most cap of them; returns how many there are. */
size_t srtp_ssrcs(const struct srtp *s, struct srtp_ssrc *out, size_t cap);
/* Adds or changes one; all indices up to the ones given count as used. ENOBUFS: max_ssrcs; EPROTO:
 * back to indices that were already protected with; ENOMEM;
 * ENOTSUP: libsrtp2 protects with it, and it has sent SRTCP: its index cannot be told to that
 * library. */
MUST_USE int srtp_set_ssrc(struct srtp *s, const struct srtp_ssrc *st);

#endif
