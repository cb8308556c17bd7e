/* srtp.h - what SRTP needs of OpenSSL: AES in counter mode and GCM with contexts that are keyed
 * once, HMAC-SHA1 from precomputed states. Included by crypto.h. Thread: a context belongs to one
 * thread at a time. */
#ifndef POSTERN_CRYPTO_SRTP_H
#define POSTERN_CRYPTO_SRTP_H

#include "base/base.h"

enum crypto_cipher_alg {
    CRYPTO_AES_128_CTR,
    CRYPTO_AES_256_CTR,
    CRYPTO_AES_128_GCM,
    CRYPTO_AES_256_GCM,
    CRYPTO_CIPHERS
};
enum crypto_way { CRYPTO_OPEN, CRYPTO_SEAL /* also for counter mode, both ways */ };

#define CRYPTO_CTR_IV_LEN 16
#define CRYPTO_GCM_IV_LEN 12
#define CRYPTO_GCM_TAG_LEN 16
#define CRYPTO_SHA1_LEN 20

/* A keyed cipher. Costs 656 bytes with counter mode and 1,168 with GCM; only the IV is set per
 * packet. The key is copied. ENOTSUP: not fetched by crypto_init(); ENOMEM. */
struct crypto_cipher;
MUST_USE int crypto_cipher_new(struct crypto_cipher **cp, enum crypto_cipher_alg alg,
                               const uint8_t *key, enum crypto_way way);
void crypto_cipher_free(struct crypto_cipher **cp); /* wipes; accepts NULL */

/* The calling thread's own cipher of this kind, keyed anew (some 80 ns more per packet, no memory
 * per key): for what happens rarely. One at a time of each alg; give it back, which wipes the key.
 * No allocation after the first time in a thread. */
MUST_USE int crypto_cipher_borrow(struct crypto_cipher **cp, enum crypto_cipher_alg alg,
                                  const uint8_t *key, enum crypto_way way);
void crypto_cipher_give_back(struct crypto_cipher **cp, enum crypto_cipher_alg alg);

/* In place. EIO: OpenSSL failed, the bytes are undefined. n < 2^31. */
MUST_USE int crypto_ctr(struct crypto_cipher *c, const uint8_t iv[CRYPTO_CTR_IV_LEN], uint8_t *p,
                        size_t n);
/* Encrypts n bytes in place and writes the tag. EIO as above. */
MUST_USE int crypto_gcm_seal(struct crypto_cipher *c, const uint8_t iv[CRYPTO_GCM_IV_LEN],
                             struct sl aad, uint8_t *p, size_t n, uint8_t tag[CRYPTO_GCM_TAG_LEN]);
/* Decrypts n bytes in place. EBADMSG: does not authenticate, the bytes are undefined; EIO. */
MUST_USE int crypto_gcm_open(struct crypto_cipher *c, const uint8_t iv[CRYPTO_GCM_IV_LEN],
                             struct sl aad, uint8_t *p, size_t n,
                             const uint8_t tag[CRYPTO_GCM_TAG_LEN]);

/* HMAC-SHA1 whose first block, the key's, is hashed once. Secret: wipe it. Thread: any. */
struct crypto_hmac_sha1 {
    uint32_t inner[CRYPTO_SHA1_LEN / 4];
    uint32_t outer[CRYPTO_SHA1_LEN / 4];
};
void crypto_hmac_sha1_init(struct crypto_hmac_sha1 *h, const uint8_t key[CRYPTO_SHA1_LEN]);
/* Of the concatenation of both parts. */
void crypto_hmac_sha1_run(const struct crypto_hmac_sha1 *h, struct sl a, struct sl b,
                          uint8_t out[CRYPTO_SHA1_LEN]);

#endif
