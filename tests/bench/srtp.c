/* srtp.c - RFC 3711 4 with OpenSSL; see srtp.h for what it does not do. */
#include "srtp.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum { SRTP_HEADER = 12, SRTP_AUTH_KEY = 20, SRTP_MD = 20 };

struct srtp {
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
    uint8_t salt[SRTP_SALT];
};

static bool srtp_ctr(EVP_CIPHER_CTX *c, const uint8_t iv[16], uint8_t *p, size_t n)
{
    int len = 0;

    return EVP_EncryptInit_ex2(c, NULL, NULL, iv, NULL) == 1 &&
           EVP_EncryptUpdate(c, p, &len, p, (int)n) == 1;
}

/* RFC 3711 4.3: key derivation rate 0, so the label alone tells the keys apart. */
static bool srtp_derive(EVP_CIPHER_CTX *c, const uint8_t *master_salt, uint8_t label, uint8_t *out,
                        size_t n)
{
    uint8_t iv[16] = {0};

    memcpy(iv, master_salt, SRTP_SALT);
    iv[7] ^= label;
    memset(out, 0, n);
    return srtp_ctr(c, iv, out, n);
}

static bool srtp_set_keys(struct srtp *s, EVP_MAC *hmac, const uint8_t master[SRTP_MASTER])
{
    uint8_t key[SRTP_KEY], auth[SRTP_AUTH_KEY];
    char digest[] = "SHA1";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_END};
    const uint8_t *salt = master + SRTP_KEY;

    s->cipher = EVP_CIPHER_CTX_new();
    s->mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    return s->cipher != NULL && s->mac != NULL &&
           EVP_EncryptInit_ex2(s->cipher, EVP_aes_128_ctr(), master, NULL, NULL) == 1 &&
           srtp_derive(s->cipher, salt, 0, key, sizeof(key)) &&
           srtp_derive(s->cipher, salt, 1, auth, sizeof(auth)) &&
           srtp_derive(s->cipher, salt, 2, s->salt, sizeof(s->salt)) &&
           EVP_MAC_init(s->mac, auth, sizeof(auth), params) == 1 &&
           EVP_EncryptInit_ex2(s->cipher, NULL, key, NULL, NULL) == 1;
}

struct srtp *srtp_new(const uint8_t master[SRTP_MASTER])
{
    struct srtp *s = calloc(1, sizeof(*s));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    if (s != NULL && !srtp_set_keys(s, hmac, master)) {
        srtp_free(&s);
    }
    EVP_MAC_free(hmac);
    return s;
}

void srtp_free(struct srtp **sp)
{
    struct srtp *s = *sp;

    *sp = NULL;
    if (s != NULL) {
        EVP_CIPHER_CTX_free(s->cipher);
        EVP_MAC_CTX_free(s->mac);
        free(s);
    }
}

/* 4.1.1: salt, SSRC and packet index (its upper part, the rollover counter, is 0). */
static bool srtp_crypt(struct srtp *s, uint8_t *p, size_t n)
{
    uint8_t iv[16] = {0};

    memcpy(iv, s->salt, SRTP_SALT);
    for (unsigned i = 0; i < 4; i++) {
        iv[4 + i] ^= p[8 + i];
    }
    iv[12] ^= p[2];
    iv[13] ^= p[3];
    return srtp_ctr(s->cipher, iv, p + SRTP_HEADER, n - SRTP_HEADER);
}

static bool srtp_tag(struct srtp *s, const uint8_t *p, size_t n, uint8_t md[SRTP_MD])
{
    static const uint8_t roc[4];
    size_t len = 0;

    return EVP_MAC_init(s->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(s->mac, p, n) == 1 &&
           EVP_MAC_update(s->mac, roc, sizeof(roc)) == 1 &&
           EVP_MAC_final(s->mac, md, &len, SRTP_MD) == 1;
}

size_t srtp_protect(struct srtp *s, uint8_t *p, size_t n)
{
    uint8_t md[SRTP_MD];

    if (!srtp_crypt(s, p, n) || !srtp_tag(s, p, n, md)) {
        return 0;
    }
    memcpy(p + n, md, SRTP_TAG);
    return n + SRTP_TAG;
}

size_t srtp_unprotect(struct srtp *s, uint8_t *p, size_t n)
{
    uint8_t md[SRTP_MD];

    if (n < SRTP_HEADER + SRTP_TAG) {
        return 0;
    }
    n -= SRTP_TAG;
    if (!srtp_tag(s, p, n, md) || CRYPTO_memcmp(md, p + n, SRTP_TAG) != 0 || !srtp_crypt(s, p, n)) {
        return 0;
    }
    return n;
}
