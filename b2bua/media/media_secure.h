/* media_secure.h - SRTP, its keys (SDES, DTLS), and ICE of one side of a stream; part of media.h's
 * face. Whether a side is secure is decided here, never by what its packets look like: a secure
 * side without keys neither hears nor is heard. Thread: the worker's. Sides and streams as in
 * media.h; unless said otherwise a side that was never opened gives ENOENT. */
#ifndef POSTERN_MEDIA_SECURE_H
#define POSTERN_MEDIA_SECURE_H

#include "media/srtp_suite.h"

struct media;
struct media_session;

/* A secure side carries RTP and RTCP alone: a MEDIA_DATAGRAM stream is not heard there. */

/* --- SDES (RFC 4568) --- */

/* tx: the key of OUR a=crypto line towards this side, with which we encrypt; rx: the one of THEIRS.
 * Both are copied, the caller wipes its own.
 *   tx, rx       SRTP both ways.
 *   tx, NULL     their key is not known yet: what we send is encrypted, what comes is dropped and
 *                counted (no_keys).
 *   NULL, NULL   plain RTP.
 * The same key again changes nothing: rollover counters and replay windows go on. Another tx key is
 * used from the next packet on. Another rx key starts with ROC 0; packets that authenticate only
 * under the former one are still taken until the first under the new one, for 2 s at most.
 * EPROTO: from secure to plain within a session (no downgrade, also after DTLS with fingerprints);
 * a key that we already encrypt with elsewhere in this session, or rx equal to tx (RFC 3711 9.1:
 * two-time pad). EINVAL: no suite; ENOTSUP, ENOMEM. On an error everything is as it was. */
MUST_USE int media_set_sdes(struct media_session *s, unsigned stream, unsigned side,
                            const struct srtp_key *tx, const struct srtp_key *rx);

/* SRTP and SRTCP packets sent to this side under the present key: re-keying by policy. */
uint64_t media_tx_packets_under_key(const struct media_session *s, unsigned stream, unsigned side);

/* --- DTLS-SRTP (RFC 5763, RFC 5764) --- */

#define MEDIA_FINGERPRINTS_MAX 8

enum media_dtls_role {
    MEDIA_DTLS_PASSIVE, /* we wait for their ClientHello: they said or we offered active */
    MEDIA_DTLS_ACTIVE   /* we send ours: they are passive */
};
struct media_dtls_params {
    enum media_dtls_role role;
    /* Values of a=fingerprint ("sha-256 AB:CD:..."; RFC 8122 5), any of which will do. Copied.
     * n == 0: not known yet (before the answer): a handshake may begin, but no key is used before a
     * call with fingerprints, and their certificate fits. */
    struct sl fingerprints[MEDIA_FINGERPRINTS_MAX];
    size_t n;
};
/* The side is secure from here on. Again with the same fingerprints and role: nothing changes. With
 * others: a new association (RFC 5763 6.6), the old keys go on until it is done. A ClientHello may
 * come before the first call that names fingerprints: it is answered, or the last one is kept until
 * then. Handshake packets are taken from the address that ICE validated, or, without ICE, from
 * where media of this side may come; anything else is a stranger. Where media_remote says
 * wait_for_source we do not begin either. A handshake that came to nothing is begun anew by the
 * next call, or, when we are passive and it timed out, by their next ClientHello. A certificate
 * that fits none of the fingerprints ends the association for good (see media_silence_fn) when it
 * came from the described address and port or one that ICE checked; any other source that comes
 * with one is a stranger from then on, and others may try. Of sources that are described equally
 * well an unfinished handshake gives way to the next ClientHello after 0.9 s. A handshake that is
 * under way follows the description to another address. EBADMSG:
 * not one usable fingerprint of n; EINVAL: n too large; ENOTSUP: params.dtls or params.crypto is
 * NULL; ENOMEM. */
MUST_USE int media_set_dtls(struct media_session *s, unsigned stream, unsigned side,
                            const struct media_dtls_params *p);
/* Our certificate's value for a=fingerprint. *out is borrowed from m and stays. Empty without DTLS.
 */
void media_dtls_fingerprint(const struct media *m, struct sl *out);

enum media_dtls_state {
    MEDIA_DTLS_NONE,
    MEDIA_DTLS_WAITING,   /* for their ClientHello, for ICE, or for their fingerprint */
    MEDIA_DTLS_HANDSHAKE, /* flights are under way */
    MEDIA_DTLS_DONE,      /* keys are in use */
    MEDIA_DTLS_FAILED     /* time-out, or the fingerprint does not fit */
};

/* --- ICE lite (RFC 8445) --- */

struct media_ice_local {
    struct sl ufrag, pwd; /* borrowed; until media_ice_restart() or the side closes */
};
/* Our credentials for the side's transport, made at the first call. They stay until
 * media_ice_restart(), or until media_set_ice() meets a restart by the peer: look again before an
 * answer is written. The candidate is media_local(); ice-lite says the rest. ENOMEM. */
MUST_USE int media_ice_local(struct media_session *s, unsigned stream, unsigned side,
                             struct media_ice_local *out);
MUST_USE int media_ice_restart(struct media_session *s, unsigned stream, unsigned side);
/* Their credentials (RFC 8839 5.4), copied; empty: this side does without ICE. From here on media
 * is taken from addresses only that sent a check with the right password, and goes to the one that
 * they nominated (before that, to the one that checked first). Changed ones are an ICE restart: the
 * former pair goes on until another one is nominated. A peer that checks its consent (RFC 7675) and
 * stops doing so for 30 s counts as media lost. A peer that is lite itself sends no checks: it is
 * not to be described here, and goes by its addresses (RFC 8445 8.2). EBADMSG: length or
 * characters; ENOMEM. */
MUST_USE int media_set_ice(struct media_session *s, unsigned stream, unsigned side, struct sl ufrag,
                           struct sl pwd);

enum media_ice_state {
    MEDIA_ICE_NONE,
    MEDIA_ICE_CHECKING,  /* nothing was nominated yet */
    MEDIA_ICE_CONNECTED, /* they nominated a pair */
    MEDIA_ICE_FAILED     /* consent was lost, or no check came for 30 s */
};

#endif
