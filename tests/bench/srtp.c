/* srtp.c - RFC 3711 4 with OpenSSL; see srtp.h for what it does not do. HMAC is made of SHA-1
 * states that have taken the key (RFC 2104), counter mode of single blocks: a context of EVP costs
 * more to start over than a packet. Hence the SHA-1 functions that OpenSSL 3 calls deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "srtp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { SRTP_HEADER = 12, SRTP_AUTH_KEY = 20, SRTP_MD = SHA_DIGEST_LENGTH, SRTP_BLOCKS = 16 };

struct srtp {
    EVP_CIPHER_CTX *cipher;
    SHA_CTX inner, outer; /* after the key */
    uint8_t salt[SRTP_SALT];
};

static bool srtp_ctr(EVP_CIPHER_CTX *c, const uint8_t iv[16], uint8_t *p, size_t n)
{
    uint8_t stream[SRTP_BLOCKS * 16] = {0};
    int len = 0;

    if (n > sizeof(stream)) {
        return false;
    }
    for (size_t i = 0; i * 16 < n; i++) {
        memcpy(stream + i * 16, iv, 16);
        stream[i * 16 + 15] = (uint8_t)i; /* the low end of every IV is 0 */
    }
    if (EVP_EncryptUpdate(c, stream, &len, stream, (int)((n + 15) / 16 * 16)) != 1) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        p[i] ^= stream[i];
    }
    return true;
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

static bool srtp_pad_key(SHA_CTX *md, const uint8_t auth[SRTP_AUTH_KEY], uint8_t pad)
{
    uint8_t block[SHA_CBLOCK];

    memset(block, pad, sizeof(block));
    for (unsigned i = 0; i < SRTP_AUTH_KEY; i++) {
        block[i] ^= auth[i];
    }
    return SHA1_Init(md) == 1 && SHA1_Update(md, block, sizeof(block)) == 1;
}

static bool srtp_set_keys(struct srtp *s, const uint8_t master[SRTP_MASTER])
{
    uint8_t key[SRTP_KEY], auth[SRTP_AUTH_KEY];
    const uint8_t *salt = master + SRTP_KEY;

    s->cipher = EVP_CIPHER_CTX_new();
    return s->cipher != NULL &&
           EVP_EncryptInit_ex2(s->cipher, EVP_aes_128_ecb(), master, NULL, NULL) == 1 &&
           EVP_CIPHER_CTX_set_padding(s->cipher, 0) == 1 &&
           srtp_derive(s->cipher, salt, 0, key, sizeof(key)) &&
           srtp_derive(s->cipher, salt, 1, auth, sizeof(auth)) &&
           srtp_derive(s->cipher, salt, 2, s->salt, sizeof(s->salt)) &&
           srtp_pad_key(&s->inner, auth, 0x36) && srtp_pad_key(&s->outer, auth, 0x5c) &&
           EVP_EncryptInit_ex2(s->cipher, NULL, key, NULL, NULL) == 1;
}

struct srtp *srtp_new(const uint8_t master[SRTP_MASTER])
{
    struct srtp *s = calloc(1, sizeof(*s));

    if (s != NULL && !srtp_set_keys(s, master)) {
        srtp_free(&s);
    }
    return s;
}

void srtp_free(struct srtp **sp)
{
    struct srtp *s = *sp;

    *sp = NULL;
    if (s != NULL) {
        EVP_CIPHER_CTX_free(s->cipher);
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

static bool srtp_tag(const struct srtp *s, const uint8_t *p, size_t n, uint8_t md[SRTP_MD])
{
    static const uint8_t roc[4];
    SHA_CTX inner = s->inner, outer = s->outer;

    return SHA1_Update(&inner, p, n) == 1 && SHA1_Update(&inner, roc, sizeof(roc)) == 1 &&
           SHA1_Final(md, &inner) == 1 && SHA1_Update(&outer, md, SRTP_MD) == 1 &&
           SHA1_Final(md, &outer) == 1;
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
