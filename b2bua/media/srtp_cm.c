/* srtp_cm.c - our own engine for AES in counter mode with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1;
 * RFC 6188). On the wire: SRTP header, enciphered payload, MKI, tag; SRTCP header, enciphered rest,
 * E bit and index, MKI, tag. */
#include "media/srtp_int.h"

/* (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16), RFC 3711 4.1.1 */
static void cm_iv(const uint8_t *salt, const struct srtp_pkt *pkt, uint8_t *iv)
{
    uint8_t index[8];

    memcpy(iv, salt, SRTP_SALT_MAX);
    iv[14] = iv[15] = 0;
    srtp_put32(index, (uint32_t)(pkt->index >> 16));
    srtp_put32(index + 2, (uint32_t)pkt->index);
    for (unsigned i = 0; i < 4; i++) {
        iv[4 + i] ^= (uint8_t)(pkt->ssrc >> (24 - 8 * i));
    }
    for (unsigned i = 0; i < 6; i++) {
        iv[8 + i] ^= index[i];
    }
}

/* The tag covers the packet and the rollover counter, which is not sent (RFC 3711 4.2). */
static void cm_tag(const struct srtp *s, const struct srtp_pkt *pkt, size_t n, uint8_t *tag)
{
    uint8_t roc[4];

    srtp_put32(roc, (uint32_t)(pkt->index >> 16));
    crypto_hmac_sha1_run(&s->rtp.auth, sl_make(pkt->p, n), sl_make(roc, sizeof(roc)), tag);
}

static size_t cm_put(struct srtp_pkt *pkt, const uint8_t *bytes, size_t n)
{
    memcpy(pkt->p + pkt->n, bytes, n);
    return pkt->n + n;
}

static int cm_protect(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t iv[CRYPTO_CTR_IV_LEN], tag[CRYPTO_SHA1_LEN];
    int err;

    cm_iv(s->rtp.salt, pkt, iv);
    err = crypto_ctr(s->rtp.cipher, iv, pkt->p + pkt->header, pkt->n - pkt->header);
    if (UNLIKELY(err != 0)) {
        return err;
    }
    cm_tag(s, pkt, pkt->n, tag);
    pkt->n = cm_put(pkt, s->key.mki, s->mki);
    pkt->n = cm_put(pkt, tag, s->tag);
    return 0;
}

static int cm_unprotect(struct srtp *s, struct srtp_pkt *pkt)
{
    size_t n = pkt->n - s->tag - s->mki;
    uint8_t iv[CRYPTO_CTR_IV_LEN], tag[CRYPTO_SHA1_LEN];

    cm_tag(s, pkt, n, tag);
    if (!crypto_equal(tag, pkt->p + pkt->n - s->tag, s->tag)) {
        return EBADMSG;
    }
    cm_iv(s->rtp.salt, pkt, iv);
    pkt->n = n;
    return crypto_ctr(s->rtp.cipher, iv, pkt->p + pkt->header, n - pkt->header);
}

static int cm_rtcp_crypt(struct srtp *s, const struct srtp_pkt *pkt, size_t n)
{
    uint8_t iv[CRYPTO_CTR_IV_LEN];
    struct crypto_cipher *c = NULL;
    int err = srtp_own_rtcp(s, &c);

    if (err != 0) {
        return err;
    }
    cm_iv(s->rtcp.salt, pkt, iv);
    err = crypto_ctr(c, iv, pkt->p + pkt->header, n - pkt->header);
    crypto_cipher_give_back(&c, srtp_own_alg(s));
    return err;
}

static int cm_protect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t tag[CRYPTO_SHA1_LEN];
    int err = cm_rtcp_crypt(s, pkt, pkt->n);

    if (err != 0) {
        return err;
    }
    srtp_put32(pkt->p + pkt->n, SRTP_RTCP_E_BIT | (uint32_t)pkt->index);
    pkt->n += SRTP_RTCP_TRAILER;
    crypto_hmac_sha1_run(&s->rtcp.auth, sl_make(pkt->p, pkt->n), SL_NULL, tag);
    pkt->n = cm_put(pkt, s->key.mki, s->mki);
    pkt->n = cm_put(pkt, tag, s->rtcp_tag);
    return 0;
}

static int cm_unprotect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    size_t n = pkt->n - s->rtcp_tag - s->mki;
    uint8_t tag[CRYPTO_SHA1_LEN];

    crypto_hmac_sha1_run(&s->rtcp.auth, sl_make(pkt->p, n), SL_NULL, tag);
    if (!crypto_equal(tag, pkt->p + pkt->n - s->rtcp_tag, s->rtcp_tag)) {
        return EBADMSG;
    }
    pkt->n = n - SRTP_RTCP_TRAILER;
    return cm_rtcp_crypt(s, pkt, pkt->n);
}

const struct srtp_engine_ops srtp_cm_ops = {
    .open = srtp_own_open,
    .close = srtp_own_close,
    .protect = cm_protect,
    .unprotect = cm_unprotect,
    .protect_rtcp = cm_protect_rtcp,
    .unprotect_rtcp = cm_unprotect_rtcp,
};
