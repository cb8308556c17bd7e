/* sdp_secure.h - what a description says of keys and of the way to the media: SDES (RFC 4568), DTLS
 * (RFC 8122, 8842), ICE (RFC 8839), BUNDLE (RFC 9143). Part of sdp.h. Everything is read when asked
 * for; slices go into the body, keys and fingerprints are copied out. Thread: any (pure). */
#ifndef POSTERN_SDP_SECURE_H
#define POSTERN_SDP_SECURE_H

#include "base/base.h"

struct sdp;

#define SDP_KEY_MAX 46         /* master key and salt together, bytes */
#define SDP_CRYPTO_MAX 32      /* a=crypto lines of a stream that are looked at */
#define SDP_FINGERPRINTS_MAX 4 /* of a stream that are kept */
#define SDP_MKI_MAX 16         /* bytes; longer ones are not done */
#define SDP_MID_MAX 32
#define SDP_SSRCS_MAX 8
#define SDP_TAG_MAX 999999999u

/* --- SDES --- */
enum sdp_suite {
    SDP_AES_CM_128_HMAC_SHA1_80, /* RFC 4568 6.2 */
    SDP_AES_CM_128_HMAC_SHA1_32,
    SDP_AES_256_CM_HMAC_SHA1_80, /* RFC 6188 */
    SDP_AES_256_CM_HMAC_SHA1_32,
    SDP_AEAD_AES_128_GCM, /* RFC 7714 */
    SDP_AEAD_AES_256_GCM,
    SDP_SUITE_N
};
enum sdp_suite sdp_suite_of(struct sl name);  /* exactly; SDP_SUITE_N: not known */
uint8_t sdp_suite_key_len(enum sdp_suite s);  /* bytes of master key */
uint8_t sdp_suite_salt_len(enum sdp_suite s); /* bytes of master salt */

struct sdp_crypto {
    uint32_t tag;
    enum sdp_suite suite;
    uint64_t lifetime;        /* packets; 0: not said */
    uint8_t n;                /* bytes of key: key length and salt length of the suite */
    uint8_t mki_len;          /* bytes; 0: packets carry none */
    uint8_t mki[SDP_MKI_MAX]; /* as on the wire */
    uint8_t key[SDP_KEY_MAX]; /* master key, then master salt; the caller wipes it */
};
/* Next a=crypto line of a stream; *pos starts at 0. 0: *out is complete; ENOTSUP: well-formed, but
 * nothing that we do (unknown suite, several keys, an MKI of more than SDP_MKI_MAX bytes, session
 * parameters that would take protection away or are mandatory and unknown, RFC 4568 6.3); EBADMSG:
 * malformed, which includes a key that has not the exact length of its suite; ENOENT: no more. */
MUST_USE int sdp_crypto_next(const struct sdp *s, unsigned i, uint16_t *pos,
                             struct sdp_crypto *out);
/* "a=crypto:<tag> <suite> inline:<key, padded>" and a line end (some phones need the padding). */
void sdp_put_crypto(struct buf *b, const struct sdp_crypto *c);

/* --- DTLS --- */
/* Values of a=fingerprint of a stream, else of the session (RFC 8122 5). 0: *n (1 to
 * SDP_FINGERPRINTS_MAX) well-formed ones with sha-256, sha-384 or sha-512 are in out, those of
 * other hashes are left out; ENOENT: there are none; ENOTSUP: only hashes that prove nothing
 * (sha-1, md5) or are not known; EBADMSG: one of ours is malformed. */
MUST_USE int sdp_fingerprints(const struct sdp *s, unsigned i, struct sl out[SDP_FINGERPRINTS_MAX],
                              size_t *n);

enum sdp_setup {
    SDP_SETUP_NONE,
    SDP_ACTIVE,
    SDP_PASSIVE,
    SDP_ACTPASS,
    SDP_HOLDCONN,
    SDP_SETUP_BAD
};
enum sdp_setup sdp_setup(const struct sdp *s, unsigned i); /* of the stream, else the session's */

/* --- ICE --- */
/* Candidates of theirs are not read at all: we are lite, they come to us (attacks.md 29). */
struct sdp_ice {
    struct sl ufrag, pwd;
    bool is_lite; /* the whole agent: it makes no checks */
};
/* Credentials of the stream, else of the session; false: none, or not as RFC 8839 5.4 wants. */
bool sdp_ice(const struct sdp *s, unsigned i, struct sdp_ice *out);

/* --- streams that share a transport --- */
/* a=mid of a stream; false: none, or not a token of at most SDP_MID_MAX bytes. */
bool sdp_mid(const struct sdp *s, unsigned i, struct sl *mid);
/* Number (1 to 255) of the RTP header extension that carries the mid (RFC 9143 15, RFC 8285 5): of
 * the stream, else of the session; 0: none, or not one that we may read. */
uint8_t sdp_mid_ext(const struct sdp *s, unsigned i);
/* leader[i]: the first live stream of the BUNDLE group of stream i, or i itself. Unknown and
 * repeated mids are in no group. */
void sdp_bundle(const struct sdp *s, uint8_t leader[]);
/* Named by a BUNDLE group, if only as its last one. */
bool sdp_is_grouped(const struct sdp *s, unsigned i);
/* SSRCs that a=ssrc lines name, each once; returns how many of at most SDP_SSRCS_MAX. */
size_t sdp_ssrcs(const struct sdp *s, unsigned i, uint32_t out[SDP_SSRCS_MAX]);

#endif
