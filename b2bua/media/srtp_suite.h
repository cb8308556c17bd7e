/* srtp_suite.h - the protection suites of SRTP and their master keys: RFC 3711 (AES-CM with
 * HMAC-SHA1), RFC 6188 (AES-256), RFC 7714 (AES-GCM). Pure. Thread: any.
 *
 * Not here: AES_192_CM. libsrtp2 derives its session keys with AES-256 over key and half the salt,
 * against RFC 6188 3, so whom we could offer it would understand either us or the RFC. */
#ifndef POSTERN_MEDIA_SRTP_SUITE_H
#define POSTERN_MEDIA_SRTP_SUITE_H

#include "base/base.h"

enum srtp_suite {
    SRTP_SUITE_NONE,
    SRTP_AES_CM_128_HMAC_SHA1_80,
    SRTP_AES_CM_128_HMAC_SHA1_32,
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES_256_CM_HMAC_SHA1_80,
    SRTP_AES_256_CM_HMAC_SHA1_32,
    SRTP_N_SUITES
};

#define SRTP_KEY_MAX 32
#define SRTP_SALT_MAX 14
#define SRTP_MKI_MAX 16 /* RFC 4568 allows 128; nobody is known to use more than 4 */
/* What srtp_protect() and srtcp_protect() add at most: tag, E bit and SRTCP index, MKI. */
#define SRTP_TRAILER_MAX (16 + 4 + SRTP_MKI_MAX)

/* A master key. Whoever holds one wipes it with crypto_wipe() when it is no longer needed; it has
 * no printer. */
struct srtp_key {
    enum srtp_suite suite;
    uint8_t key[SRTP_KEY_MAX];   /* the first srtp_key_len() bytes count */
    uint8_t salt[SRTP_SALT_MAX]; /* the first srtp_salt_len() bytes count */
    uint8_t mki[SRTP_MKI_MAX];   /* big endian, as on the wire */
    uint8_t mki_len;             /* 0: packets carry no MKI */
};

/* Bytes; 0 for SRTP_SUITE_NONE. The _32 suites shorten the tag of SRTP only: SRTCP keeps 80 bits
 * (RFC 3711 5.2, RFC 4568 6.2.2). */
size_t srtp_key_len(enum srtp_suite suite);
size_t srtp_salt_len(enum srtp_suite suite);
size_t srtp_tag_len(enum srtp_suite suite, bool rtcp);
bool srtp_suite_is_aead(enum srtp_suite suite);
/* The word of a=crypto (RFC 4568 6.2, RFC 6188 7, RFC 7714 14.2); empty for SRTP_SUITE_NONE. */
struct sl srtp_suite_name(enum srtp_suite suite);
/* A fresh random key of a suite (RFC 4568 6.1), without MKI. suite is not SRTP_SUITE_NONE. */
void srtp_key_random(struct srtp_key *k, enum srtp_suite suite);
/* Same suite, key, salt and MKI; constant time over the key. */
bool srtp_key_equal(const struct srtp_key *a, const struct srtp_key *b);

#endif
