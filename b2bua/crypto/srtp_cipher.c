/* srtp_cipher.c - AES-CTR and AES-GCM for SRTP. A struct crypto_cipher is OpenSSL's own context
 * under a name that others may see. */
#include "crypto/crypto_int.h"

#include <openssl/err.h>

static const char *const cipher_names[CRYPTO_CIPHERS] = {
    [CRYPTO_AES_128_CTR] = "AES-128-CTR",
    [CRYPTO_AES_256_CTR] = "AES-256-CTR",
    [CRYPTO_AES_128_GCM] = "AES-128-GCM",
    [CRYPTO_AES_256_GCM] = "AES-256-GCM",
};

static EVP_CIPHER_CTX *cipher_ctx(struct crypto_cipher *c)
{
    return (EVP_CIPHER_CTX *)(void *)c;
}

bool crypto_ciphers_fetch(void)
{
    bool ok = true;

    for (size_t i = 0; i < CRYPTO_CIPHERS; i++) {
        if (crypto_algs.cipher[i] == NULL) {
            crypto_algs.cipher[i] = EVP_CIPHER_fetch(NULL, cipher_names[i], NULL);
        }
        ok = ok && crypto_algs.cipher[i] != NULL;
    }
    return ok;
}

void crypto_ciphers_drop(void)
{
    for (size_t i = 0; i < CRYPTO_CIPHERS; i++) {
        EVP_CIPHER_free(crypto_algs.cipher[i]);
        crypto_algs.cipher[i] = NULL;
    }
}

static bool cipher_is_ctr(enum crypto_cipher_alg alg)
{
    return alg <= CRYPTO_AES_256_CTR;
}

static int cipher_key(EVP_CIPHER_CTX *ctx, enum crypto_cipher_alg alg, const uint8_t *key,
                      enum crypto_way way)
{
    /* A context that is given a cipher, even its own, drops its memory and allocates anew. */
    const EVP_CIPHER *first =
        EVP_CIPHER_CTX_get0_cipher(ctx) == NULL ? crypto_algs.cipher[alg] : NULL;
    int enc = way == CRYPTO_SEAL || cipher_is_ctr(alg);

    if (EVP_CipherInit_ex2(ctx, first, key, NULL, enc, NULL) != 1) {
        ERR_clear_error();
        return ENOMEM;
    }
    return 0;
}

int crypto_cipher_new(struct crypto_cipher **cp, enum crypto_cipher_alg alg, const uint8_t *key,
                      enum crypto_way way)
{
    EVP_CIPHER_CTX *ctx;
    int err;

    if (crypto_algs.cipher[alg] == NULL) {
        return ENOTSUP;
    }
    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return ENOMEM;
    }
    err = cipher_key(ctx, alg, key, way);
    if (err != 0) {
        EVP_CIPHER_CTX_free(ctx);
        return err;
    }
    *cp = (struct crypto_cipher *)(void *)ctx;
    return 0;
}

void crypto_cipher_free(struct crypto_cipher **cp)
{
    EVP_CIPHER_CTX_free(cipher_ctx(*cp)); /* wipes the key schedule */
    *cp = NULL;
}

int crypto_cipher_borrow(struct crypto_cipher **cp, enum crypto_cipher_alg alg, const uint8_t *key,
                         enum crypto_way way)
{
    struct crypto_tls *t = crypto_tls();
    int err;

    if (crypto_algs.cipher[alg] == NULL) {
        return ENOTSUP;
    }
    if (t->cipher[alg] == NULL) {
        t->cipher[alg] = EVP_CIPHER_CTX_new();
    }
    if (t->cipher[alg] == NULL) {
        return ENOMEM;
    }
    err = cipher_key(t->cipher[alg], alg, key, way);
    if (err == 0) {
        *cp = (struct crypto_cipher *)(void *)t->cipher[alg];
    }
    return err;
}

void crypto_cipher_give_back(struct crypto_cipher **cp, enum crypto_cipher_alg alg)
{
    static const uint8_t nothing[32];

    /* Another key is the only way to overwrite one and keep the memory. */
    if (cipher_key(cipher_ctx(*cp), alg, nothing, CRYPTO_SEAL) != 0) {
        struct crypto_tls *t = crypto_tls();

        EVP_CIPHER_CTX_free(t->cipher[alg]);
        t->cipher[alg] = NULL;
    }
    *cp = NULL;
}

/* OpenSSL's error queue would grow a string per packet if nobody emptied it. */
static int cipher_failed(void)
{
    ERR_clear_error();
    return EIO;
}

int crypto_ctr(struct crypto_cipher *c, const uint8_t iv[CRYPTO_CTR_IV_LEN], uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *ctx = cipher_ctx(c);
    int done = 0;

    if (UNLIKELY(EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL) != 1 ||
                 EVP_CipherUpdate(ctx, p, &done, p, (int)n) != 1)) {
        return cipher_failed();
    }
    return 0;
}

/* IV, then what is only authenticated, then what is enciphered too. */
static bool cipher_gcm_feed(EVP_CIPHER_CTX *ctx, const uint8_t *iv, struct sl aad, uint8_t *p,
                            size_t n)
{
    int done = 0;

    return EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &done, (const uint8_t *)aad.p, (int)aad.n) == 1 &&
           (n == 0 || EVP_CipherUpdate(ctx, p, &done, p, (int)n) == 1);
}

int crypto_gcm_seal(struct crypto_cipher *c, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct sl aad,
                    uint8_t *p, size_t n, uint8_t tag[CRYPTO_GCM_TAG_LEN])
{
    EVP_CIPHER_CTX *ctx = cipher_ctx(c);
    uint8_t none[CRYPTO_GCM_TAG_LEN];
    int done = 0;

    if (UNLIKELY(!cipher_gcm_feed(ctx, iv, aad, p, n) ||
                 EVP_CipherFinal_ex(ctx, none, &done) != 1 ||
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_GCM_TAG_LEN, tag) != 1)) {
        return cipher_failed();
    }
    return 0;
}

int crypto_gcm_open(struct crypto_cipher *c, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct sl aad,
                    uint8_t *p, size_t n, const uint8_t tag[CRYPTO_GCM_TAG_LEN])
{
    EVP_CIPHER_CTX *ctx = cipher_ctx(c);
    uint8_t expected[CRYPTO_GCM_TAG_LEN];
    uint8_t none[CRYPTO_GCM_TAG_LEN];
    int done = 0;

    memcpy(expected, tag, sizeof(expected)); /* OpenSSL takes it without const, and copies it */
    if (UNLIKELY(!cipher_gcm_feed(ctx, iv, aad, p, n) ||
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_GCM_TAG_LEN, expected) !=
                     1)) {
        return cipher_failed();
    }
    if (EVP_CipherFinal_ex(ctx, none, &done) != 1) {
        ERR_clear_error();
        return EBADMSG;
    }
    return 0;
}
