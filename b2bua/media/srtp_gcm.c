/* srtp_gcm.c - our own engine for AES-GCM (RFC 7714). On the wire: SRTP header, enciphered payload,
 * tag, MKI; SRTCP header, enciphered rest, tag, E bit and index, MKI. */
#include "media/srtp_int.h"

static void gcm_xor32(uint8_t *p, uint32_t v)
{
    srtp_put32(p, srtp_get32(p) ^ v);
}

/* 16 zero bits, SSRC, ROC, sequence number, XOR salt (RFC 7714 8.1) */
static void gcm_iv(const struct srtp *s, const struct srtp_pkt *pkt, uint8_t *iv)
{
    memcpy(iv, s->rtp.salt, CRYPTO_GCM_IV_LEN);
    gcm_xor32(iv + 2, pkt->ssrc);
    gcm_xor32(iv + 6, (uint32_t)(pkt->index >> 16));
    iv[10] ^= (uint8_t)(pkt->index >> 8);
    iv[11] ^= (uint8_t)pkt->index;
}

/* 16 zero bits, SSRC, 16 zero bits, index, XOR salt (RFC 7714 9.1) */
static void gcm_rtcp_iv(const struct srtp *s, const struct srtp_pkt *pkt, uint8_t *iv)
{
    memcpy(iv, s->rtcp.salt, CRYPTO_GCM_IV_LEN);
    gcm_xor32(iv + 2, pkt->ssrc);
    gcm_xor32(iv + 8, (uint32_t)pkt->index);
}

static int gcm_protect(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t iv[CRYPTO_GCM_IV_LEN];
    int err;

    gcm_iv(s, pkt, iv);
    err = crypto_gcm_seal(s->rtp.cipher, iv, sl_make(pkt->p, pkt->header), pkt->p + pkt->header,
                          pkt->n - pkt->header, pkt->p + pkt->n);
    if (UNLIKELY(err != 0)) {
        return err;
    }
    pkt->n += CRYPTO_GCM_TAG_LEN;
    memcpy(pkt->p + pkt->n, s->key.mki, s->mki);
    pkt->n += s->mki;
    return 0;
}

static int gcm_unprotect(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t iv[CRYPTO_GCM_IV_LEN];

    gcm_iv(s, pkt, iv);
    pkt->n -= (size_t)CRYPTO_GCM_TAG_LEN + s->mki;
    return crypto_gcm_open(s->rtp.cipher, iv, sl_make(pkt->p, pkt->header), pkt->p + pkt->header,
                           pkt->n - pkt->header, pkt->p + pkt->n);
}

/* Authenticated in clear: the header and the word with E bit and index (RFC 7714 9.2). */
static void gcm_rtcp_aad(const struct srtp_pkt *pkt, uint8_t *aad)
{
    memcpy(aad, pkt->p, SRTP_RTCP_HEADER);
    srtp_put32(aad + SRTP_RTCP_HEADER, SRTP_RTCP_E_BIT | (uint32_t)pkt->index);
}

static int gcm_protect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t iv[CRYPTO_GCM_IV_LEN], aad[SRTP_RTCP_HEADER + SRTP_RTCP_TRAILER];
    struct crypto_cipher *c = NULL;
    int err = srtp_own_rtcp(s, &c);

    if (err != 0) {
        return err;
    }
    gcm_rtcp_iv(s, pkt, iv);
    gcm_rtcp_aad(pkt, aad);
    err = crypto_gcm_seal(c, iv, sl_make(aad, sizeof(aad)), pkt->p + pkt->header,
                          pkt->n - pkt->header, pkt->p + pkt->n);
    crypto_cipher_give_back(&c, srtp_own_alg(s));
    if (err != 0) {
        return err;
    }
    pkt->n += CRYPTO_GCM_TAG_LEN;
    memcpy(pkt->p + pkt->n, aad + SRTP_RTCP_HEADER, SRTP_RTCP_TRAILER);
    pkt->n += SRTP_RTCP_TRAILER;
    memcpy(pkt->p + pkt->n, s->key.mki, s->mki);
    pkt->n += s->mki;
    return 0;
}

static int gcm_unprotect_rtcp(struct srtp *s, struct srtp_pkt *pkt)
{
    uint8_t iv[CRYPTO_GCM_IV_LEN], aad[SRTP_RTCP_HEADER + SRTP_RTCP_TRAILER];
    struct crypto_cipher *c = NULL;
    int err = srtp_own_rtcp(s, &c);

    if (err != 0) {
        return err;
    }
    gcm_rtcp_iv(s, pkt, iv);
    gcm_rtcp_aad(pkt, aad);
    pkt->n -= (size_t)CRYPTO_GCM_TAG_LEN + SRTP_RTCP_TRAILER + s->mki;
    err = crypto_gcm_open(c, iv, sl_make(aad, sizeof(aad)), pkt->p + pkt->header,
                          pkt->n - pkt->header, pkt->p + pkt->n);
    crypto_cipher_give_back(&c, srtp_own_alg(s));
    return err;
}

const struct srtp_engine_ops srtp_gcm_ops = {
    .open = srtp_own_open,
    .close = srtp_own_close,
    .protect = gcm_protect,
    .unprotect = gcm_unprotect,
    .protect_rtcp = gcm_protect_rtcp,
    .unprotect_rtcp = gcm_unprotect_rtcp,
};
