/* srtp_hmac.c - HMAC-SHA1 (RFC 2104) for SRTP, from inner and outer states that are computed once.
 *
 * OpenSSL 3 calls the SHA1_ functions deprecated, but only they let a state be kept in 20 bytes and
 * resumed without memory or reference counts: 153 ns for the tag of a 172-byte packet, where
 * copying EVP_MD_CTXs takes 225 and EVP_MAC 260, and 40 bytes a key instead of a kilobyte. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/crypto_int.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert(CRYPTO_SHA1_LEN == SHA_DIGEST_LENGTH, "SHA-1 has 160 bits");

static void hmac_save(const SHA_CTX *c, uint32_t *state)
{
    state[0] = c->h0;
    state[1] = c->h1;
    state[2] = c->h2;
    state[3] = c->h3;
    state[4] = c->h4;
}

/* As SHA1_Init() and one block. */
static void hmac_resume(SHA_CTX *c, const uint32_t *state)
{
    c->h0 = state[0];
    c->h1 = state[1];
    c->h2 = state[2];
    c->h3 = state[3];
    c->h4 = state[4];
    c->Nl = SHA_CBLOCK * 8; /* bits */
    c->Nh = 0;
    c->num = 0;
}

static void hmac_key_block(const uint8_t *key, uint8_t pad, uint32_t *state)
{
    uint8_t block[SHA_CBLOCK];
    SHA_CTX c;

    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = i < CRYPTO_SHA1_LEN ? key[i] ^ pad : pad;
    }
    (void)SHA1_Init(&c); /* these three cannot fail */
    SHA1_Transform(&c, block);
    hmac_save(&c, state);
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(&c, sizeof(c));
}

void crypto_hmac_sha1_init(struct crypto_hmac_sha1 *h, const uint8_t key[CRYPTO_SHA1_LEN])
{
    hmac_key_block(key, 0x36, h->inner);
    hmac_key_block(key, 0x5c, h->outer);
}

void crypto_hmac_sha1_run(const struct crypto_hmac_sha1 *h, struct sl a, struct sl b,
                          uint8_t out[CRYPTO_SHA1_LEN])
{
    SHA_CTX c;

    hmac_resume(&c, h->inner);
    (void)SHA1_Update(&c, a.p, a.n); /* the low-level functions cannot fail */
    (void)SHA1_Update(&c, b.p, b.n);
    (void)SHA1_Final(out, &c);
    hmac_resume(&c, h->outer);
    (void)SHA1_Update(&c, out, CRYPTO_SHA1_LEN);
    (void)SHA1_Final(out, &c);
}
