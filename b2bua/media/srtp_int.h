/* srtp_int.h - what the files of SRTP share: the table of SSRCs, and what an engine is. Does not
 * declare what srtp.h does, as the engine on libsrtp2 meets the same names there. */
#ifndef POSTERN_MEDIA_SRTP_INT_H
#define POSTERN_MEDIA_SRTP_INT_H

#include "crypto/crypto.h"
#include "media/srtp_suite.h"

#define SRTP_RTP_HEADER 12
#define SRTP_RTCP_HEADER 8 /* what stays in clear: first word and SSRC */
#define SRTP_RTCP_TRAILER 4
#define SRTP_RTCP_E_BIT 0x80000000U
#define SRTP_INDEX_END ((int64_t)1 << 48)
#define SRTP_RTCP_INDEX_END ((int64_t)1 << 31)
#define SRTP_WINDOW 128
#define SRTP_RTCP_WINDOW 64
#define SRTP_PACKET_MAX 65535

/* --- srtp_window.c: the indices of one SSRC (RFC 3711 3.3.1 and 3.3.2). Pure. --- */
struct srtp_stream {
    uint64_t window[SRTP_WINDOW / 64]; /* bit i: index (highest - i) was used */
    uint64_t rtcp_window;              /* likewise */
    uint32_t ssrc;
    uint32_t roc;
    uint32_t rtcp_index; /* highest */
    uint16_t seq;        /* of the highest index */
    bool has_rtp, has_rtcp;
};
/* The index that a sequence number most likely means; negative: it lies before the first cycle. */
int64_t srtp_window_guess(const struct srtp_stream *st, uint16_t seq);
/* 0: may be used; EALREADY: was used, or is too old to tell. */
MUST_USE int srtp_window_check(const struct srtp_stream *st, int64_t index);
void srtp_window_commit(struct srtp_stream *st, int64_t index); /* is used now */
MUST_USE int srtcp_window_check(const struct srtp_stream *st, uint32_t index);
void srtcp_window_commit(struct srtp_stream *st, uint32_t index);
/* Everything up to and including these is used. */
void srtp_window_set(struct srtp_stream *st, uint32_t roc, uint16_t seq);
void srtcp_window_set(struct srtp_stream *st, uint32_t index);

/* --- engines --- */
struct srtp_pkt { /* a packet whose frame has been checked: header and trailer fit */
    uint8_t *p;
    size_t n;      /* protect: grows by the trailer; unprotect: shrinks by it */
    size_t header; /* bytes in clear */
    int64_t index; /* of SRTP or SRTCP */
    uint32_t ssrc;
};
struct srtp;
/* Per packet: 0, EBADMSG (unprotect: not authentic), ENOMEM, EIO; libsrtp2 also the other errors of
 * srtp.h, as it keeps indices itself. Whether the index may be used has been checked. */
typedef int(srtp_pkt_fn)(struct srtp *s, struct srtp_pkt *pkt);
struct srtp_engine_ops {
    int (*open)(struct srtp *s); /* s->key is set */
    void (*close)(struct srtp *s);
    srtp_pkt_fn *protect, *unprotect, *protect_rtcp, *unprotect_rtcp;
    /* Asked before the state of ssrc, in streams[slot], is set from outside; NULL: need not know.
     */
    int (*set)(struct srtp *s, uint32_t ssrc, unsigned slot, bool has_rtcp);
    /* The SSRC of an authentic packet was one too many; NULL: need not know. */
    void (*refuse)(struct srtp *s, uint32_t ssrc);
};
extern const struct srtp_engine_ops srtp_cm_ops, srtp_gcm_ops, srtp_lib_ops;

struct srtp_rtp_keys { /* session keys of our own engine, RFC 3711 4.3 */
    struct crypto_cipher *cipher;
    struct crypto_hmac_sha1 auth; /* AES-CM only */
    uint8_t salt[SRTP_SALT_MAX];
};
struct srtp_rtcp_keys {
    struct crypto_hmac_sha1 auth;
    uint8_t key[SRTP_KEY_MAX]; /* for the thread's cipher: RTCP packets are rare */
    uint8_t salt[SRTP_SALT_MAX];
};
struct srtp_lib {
    void *session;    /* srtp_t */
    uint64_t pending; /* bit i: streams[i] was set and has not passed a packet since */
};

struct srtp {
    struct srtp_key key;
    struct srtp_rtcp_keys rtcp;
    /* What follows is all that an RTP packet needs: two or three cache lines with its stream. With
     * thousands of streams they are what a packet costs beside its cryptography. */
    const struct srtp_engine_ops *ops;
    union {
        struct srtp_rtp_keys rtp;
        struct srtp_lib lib;
    };
    uint64_t packets;
    bool protects, is_aead;
    uint8_t tag, rtcp_tag, mki; /* bytes */
    uint8_t n_streams, max_streams;
    uint8_t last; /* the stream of the packet before: most calls have one */
    struct srtp_stream streams[];
};

/* --- srtp_derive.c: session keys of our own engine --- */
MUST_USE int srtp_own_open(struct srtp *s);
void srtp_own_close(struct srtp *s);
enum crypto_cipher_alg srtp_own_alg(const struct srtp *s);
/* The thread's cipher under the SRTCP key; crypto_cipher_give_back() with srtp_own_alg(). */
MUST_USE int srtp_own_rtcp(struct srtp *s, struct crypto_cipher **cp);
static inline enum crypto_way srtp_own_way(const struct srtp *s)
{
    return s->protects ? CRYPTO_SEAL : CRYPTO_OPEN;
}

/* --- srtp_lib.c: libsrtp2 --- */
MUST_USE int srtp_lib_start(void);
void srtp_lib_stop(void);

static inline uint32_t srtp_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void srtp_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

#endif
