/* stun.h - STUN messages as ICE uses them (RFC 8489, RFC 8445): parse, check, answer; and the
 * demultiplexing of a media port (RFC 7983). Pure: no sockets, no state. Thread: any. */
#ifndef POSTERN_MEDIA_STUN_H
#define POSTERN_MEDIA_STUN_H

#include "base/base.h"

/* What the first byte of a datagram says it is (RFC 7983 7, updated by RFC 9443). */
enum media_demux {
    MEDIA_DEMUX_BAD, /* empty, TURN channel data (64-79) or a number that nobody uses */
    MEDIA_DEMUX_STUN,
    MEDIA_DEMUX_ZRTP,
    MEDIA_DEMUX_DTLS,
    MEDIA_DEMUX_RTP /* RTP or RTCP */
};
enum media_demux media_demux(uint8_t first_byte, size_t n);

#define STUN_TXID_LEN 12
#define STUN_ATTRS_MAX 32  /* more are EBADMSG */
#define STUN_UNKNOWN_MAX 8 /* more are not listed in a 420 */
#define STUN_USERNAME_MAX 512
#define STUN_METHOD_BINDING 0x001

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };
enum stun_role { STUN_ROLE_NONE, STUN_ROLE_CONTROLLING, STUN_ROLE_CONTROLLED };

struct stun_msg {
    struct sl bytes; /* the datagram: borrowed, and so are the slices below */
    enum stun_class cls;
    uint16_t method;
    uint8_t txid[STUN_TXID_LEN];
    struct sl username; /* .p NULL: none */
    bool has_integrity;
    bool has_fingerprint; /* and it is right */
    bool use_candidate;
    bool has_priority;
    uint32_t priority;
    enum stun_role role; /* of the sender */
    uint64_t tie_breaker;
    struct addr mapped;  /* XOR-MAPPED-ADDRESS; AF_UNSPEC: none */
    uint16_t error_code; /* 0: none */
    uint8_t n_unknown;   /* comprehension-required attributes that we do not know */
    uint16_t unknown[STUN_UNKNOWN_MAX];
    uint16_t integrity_at; /* offset of MESSAGE-INTEGRITY, with has_integrity */
};

/* EBADMSG: not a STUN message of RFC 8489 (cookie, length, an attribute that leaves its bounds, has
 * the wrong length or comes after FINGERPRINT, wrong FINGERPRINT, more than STUN_ATTRS_MAX).
 * Of attributes that occur more than once the first counts; what follows MESSAGE-INTEGRITY is
 * ignored, but for FINGERPRINT (RFC 8489 14.5). Integrity is not checked. */
MUST_USE int stun_parse(struct sl datagram, struct stun_msg *out);

/* Was the message made by somebody who knows this password (short-term credential, HMAC-SHA1)?
 * Constant time. EACCES: no, or no MESSAGE-INTEGRITY; ENOMEM. After crypto_init(). */
MUST_USE int stun_check_integrity(const struct stun_msg *m, struct sl password);

#define STUN_ANSWER_MAX 160 /* the longest answer */
/* Success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT. dst is a fixed
 * writer. ENOMEM, EMSGSIZE. */
MUST_USE int stun_put_success(struct buf *dst, const struct stun_msg *rq, const struct addr *mapped,
                              struct sl password);
/* Error response (400, 401, 420 with UNKNOWN-ATTRIBUTES, 487, 500); an empty password: without
 * MESSAGE-INTEGRITY, as for requests that could not be authenticated. */
MUST_USE int stun_put_error(struct buf *dst, const struct stun_msg *rq, unsigned code,
                            struct sl password);

#endif
