/* crypto.c - set-up, per-thread state, digests, HMAC. */
#include "crypto/crypto_int.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <pthread.h>

struct crypto_algs crypto_algs;

static const struct crypto_digest_def {
    const char *name;
    size_t len;
} crypto_digests[CRYPTO_DIGESTS] = {
    [CRYPTO_MD5] = {"MD5", CRYPTO_MD5_LEN},
    [CRYPTO_SHA256] = {"SHA256", CRYPTO_SHA256_LEN},
};

static _Thread_local struct crypto_tls tls;
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;
static pthread_key_t tls_key;
static bool tls_has_key;

static void crypto_tls_end(void *arg)
{
    struct crypto_tls *t = arg;

    for (size_t i = 0; i < CRYPTO_DIGESTS; i++) {
        EVP_MD_CTX_free(t->md[i]);
    }
    for (size_t i = 0; i < CRYPTO_HMACS; i++) {
        EVP_MAC_CTX_free(t->hmac[i]);
    }
    for (size_t i = 0; i < CRYPTO_CIPHERS; i++) {
        EVP_CIPHER_CTX_free(t->cipher[i]);
    }
    mem_wipe(t, sizeof(*t));
}

static void crypto_tls_make_key(void)
{
    tls_has_key = pthread_key_create(&tls_key, crypto_tls_end) == 0;
}

struct crypto_tls *crypto_tls(void)
{
    if (UNLIKELY(!tls.registered)) {
        (void)pthread_once(&tls_once, crypto_tls_make_key);
        if (tls_has_key) {
            (void)pthread_setspecific(tls_key, &tls);
        }
        tls.registered = true;
    }
    return &tls;
}

int crypto_init(void)
{
    struct crypto_algs *a = &crypto_algs;
    bool ok = true;

    for (size_t i = 0; i < CRYPTO_DIGESTS; i++) {
        if (a->md[i] == NULL) {
            a->md[i] = EVP_MD_fetch(NULL, crypto_digests[i].name, NULL);
        }
        ok = ok && a->md[i] != NULL;
    }
    if (a->hmac == NULL) {
        a->hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    }
    if (a->aes == NULL) {
        a->aes = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    }
    if (a->aes_cbc == NULL) {
        a->aes_cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    }
    ok = crypto_ciphers_fetch() && ok;
    if (!ok || a->hmac == NULL || a->aes == NULL || a->aes_cbc == NULL || tls_bio_init() != 0) {
        ERR_clear_error();
        crypto_deinit();
        return ENOTSUP;
    }
    (void)crypto_random_u32(); /* a broken source shows now and not in the first call */
    return 0;
}

void crypto_deinit(void)
{
    if (tls.registered && tls_has_key) {
        (void)pthread_setspecific(tls_key, NULL);
    }
    crypto_tls_end(&tls);
    for (size_t i = 0; i < CRYPTO_DIGESTS; i++) {
        EVP_MD_free(crypto_algs.md[i]);
    }
    EVP_MAC_free(crypto_algs.hmac);
    EVP_CIPHER_free(crypto_algs.aes);
    EVP_CIPHER_free(crypto_algs.aes_cbc);
    BIO_meth_free(crypto_algs.tls_bio);
    crypto_ciphers_drop();
    crypto_algs = (struct crypto_algs){0};
}

size_t crypto_digest_len(enum crypto_digest alg)
{
    return crypto_digests[alg].len;
}

static EVP_MD_CTX *crypto_md_ctx(enum crypto_digest alg)
{
    struct crypto_tls *t = crypto_tls();

    if (t->md[alg] == NULL) {
        t->md[alg] = EVP_MD_CTX_new();
    }
    return t->md[alg];
}

int crypto_digest(enum crypto_digest alg, const struct sl *parts, size_t n_parts, uint8_t *out)
{
    EVP_MD_CTX *ctx = crypto_md_ctx(alg);
    bool ok;

    if (ctx == NULL) {
        return ENOMEM;
    }
    if (crypto_algs.md[alg] == NULL) {
        return ENOTSUP;
    }
    ok = EVP_DigestInit_ex2(ctx, crypto_algs.md[alg], NULL) == 1;
    for (size_t i = 0; ok && i < n_parts; i++) {
        ok = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    }
    if (!ok || EVP_DigestFinal_ex(ctx, out, NULL) != 1) {
        ERR_clear_error();
        return ENOMEM;
    }
    return 0;
}

static const struct crypto_hmac_def {
    char digest[8];
    size_t len;
} crypto_hmacs[CRYPTO_HMACS] = {
    [CRYPTO_HMAC_SHA1] = {"SHA1", CRYPTO_SHA1_LEN},
    [CRYPTO_HMAC_SHA256] = {"SHA256", CRYPTO_SHA256_LEN},
};

static EVP_MAC_CTX *crypto_hmac_ctx(enum crypto_hmac which)
{
    EVP_MAC_CTX **ctx = &crypto_tls()->hmac[which];
    struct crypto_hmac_def def = crypto_hmacs[which];
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, def.digest, 0),
                           OSSL_PARAM_construct_end()};

    if (*ctx == NULL && crypto_algs.hmac != NULL) {
        *ctx = EVP_MAC_CTX_new(crypto_algs.hmac);
        if (*ctx != NULL && EVP_MAC_CTX_set_params(*ctx, params) != 1) {
            EVP_MAC_CTX_free(*ctx);
            *ctx = NULL;
        }
    }
    return *ctx;
}

static int crypto_hmac(enum crypto_hmac which, struct sl key, const struct sl *parts,
                       size_t n_parts, uint8_t *out)
{
    EVP_MAC_CTX *ctx = crypto_hmac_ctx(which);
    const char *key_bytes = key.n != 0 ? key.p : ""; /* NULL would mean "the key of last time" */
    size_t len = 0;
    bool ok;

    if (ctx == NULL) {
        return crypto_algs.hmac == NULL ? ENOTSUP : ENOMEM;
    }
    ok = EVP_MAC_init(ctx, (const unsigned char *)key_bytes, key.n, NULL) == 1;
    for (size_t i = 0; ok && i < n_parts; i++) {
        ok = EVP_MAC_update(ctx, (const unsigned char *)parts[i].p, parts[i].n) == 1;
    }
    if (!ok || EVP_MAC_final(ctx, out, &len, crypto_hmacs[which].len) != 1) {
        ERR_clear_error();
        return ENOMEM;
    }
    return 0;
}

int crypto_hmac_sha256(struct sl key, const struct sl *parts, size_t n_parts,
                       uint8_t out[CRYPTO_SHA256_LEN])
{
    return crypto_hmac(CRYPTO_HMAC_SHA256, key, parts, n_parts, out);
}

int crypto_hmac_sha1(struct sl key, const struct sl *parts, size_t n_parts,
                     uint8_t out[CRYPTO_SHA1_LEN])
{
    return crypto_hmac(CRYPTO_HMAC_SHA1, key, parts, n_parts, out);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return n == 0 || CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}
