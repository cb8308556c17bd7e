/* srtp_derive.c - the session keys of our own engine from a master key (RFC 3711 4.3, RFC 6188 3,
 * RFC 7714 11), at key derivation rate 0: once. */
#include "media/srtp_int.h"

enum derive_label { /* RFC 3711 4.3.1 and 4.3.2: SRTCP's are those of SRTP plus 3 */
                    LABEL_KEY = 0,
                    LABEL_AUTH = 1,
                    LABEL_SALT = 2,
                    LABEL_RTCP = 3
};

static enum crypto_cipher_alg derive_ctr(size_t key_len)
{
    return key_len == 16 ? CRYPTO_AES_128_CTR : CRYPTO_AES_256_CTR;
}

/* AES-CM as pseudo-random function. A salt of 96 bits ends in zeros, as struct srtp_key has it
 * (RFC 7714 11). */
static int derive(struct crypto_cipher *prf, const struct srtp_key *k, unsigned label, uint8_t *out,
                  size_t n)
{
    uint8_t iv[CRYPTO_CTR_IV_LEN] = {0};
    int err;

    memcpy(iv, k->salt, srtp_salt_len(k->suite));
    iv[7] ^= (uint8_t)label;
    memset(out, 0, n);
    err = crypto_ctr(prf, iv, out, n);
    crypto_wipe(iv, sizeof(iv));
    return err;
}

static int derive_auth(struct crypto_cipher *prf, const struct srtp_key *k, unsigned label,
                       struct crypto_hmac_sha1 *h)
{
    uint8_t key[CRYPTO_SHA1_LEN];
    int err = derive(prf, k, label, key, sizeof(key));

    crypto_hmac_sha1_init(h, key);
    crypto_wipe(key, sizeof(key));
    return err;
}

static int derive_all(struct srtp *s, struct crypto_cipher *prf, uint8_t *rtp_key)
{
    const struct srtp_key *k = &s->key;
    size_t key_len = srtp_key_len(k->suite);
    size_t salt_len = srtp_salt_len(k->suite);
    int err = derive(prf, k, LABEL_KEY, rtp_key, key_len);

    err = err != 0 ? err : derive(prf, k, LABEL_SALT, s->rtp.salt, salt_len);
    err = err != 0 ? err : derive(prf, k, LABEL_RTCP + LABEL_KEY, s->rtcp.key, key_len);
    err = err != 0 ? err : derive(prf, k, LABEL_RTCP + LABEL_SALT, s->rtcp.salt, salt_len);
    if (!s->is_aead) {
        err = err != 0 ? err : derive_auth(prf, k, LABEL_AUTH, &s->rtp.auth);
        err = err != 0 ? err : derive_auth(prf, k, LABEL_RTCP + LABEL_AUTH, &s->rtcp.auth);
    }
    return err;
}

enum crypto_cipher_alg srtp_own_alg(const struct srtp *s)
{
    size_t key_len = srtp_key_len(s->key.suite);

    if (s->is_aead) {
        return key_len == 16 ? CRYPTO_AES_128_GCM : CRYPTO_AES_256_GCM;
    }
    return derive_ctr(key_len);
}

int srtp_own_open(struct srtp *s)
{
    enum crypto_cipher_alg ctr = derive_ctr(srtp_key_len(s->key.suite));
    uint8_t rtp_key[SRTP_KEY_MAX];
    struct crypto_cipher *c = NULL;
    int err = crypto_cipher_borrow(&c, ctr, s->key.key, CRYPTO_SEAL);

    if (err != 0) {
        return err;
    }
    err = derive_all(s, c, rtp_key);
    crypto_cipher_give_back(&c, ctr);
    if (err == 0) {
        err = crypto_cipher_new(&s->rtp.cipher, srtp_own_alg(s), rtp_key, srtp_own_way(s));
    }
    if (err == 0) { /* so that the first RTCP packet allocates nothing */
        err = srtp_own_rtcp(s, &c);
    }
    if (err == 0) {
        crypto_cipher_give_back(&c, srtp_own_alg(s));
    }
    crypto_wipe(rtp_key, sizeof(rtp_key));
    return err;
}

int srtp_own_rtcp(struct srtp *s, struct crypto_cipher **cp)
{
    return crypto_cipher_borrow(cp, srtp_own_alg(s), s->rtcp.key, srtp_own_way(s));
}

void srtp_own_close(struct srtp *s)
{
    crypto_cipher_free(&s->rtp.cipher);
}
