/* srtp_suite.c - names and lengths of the suites, master keys. */
#include "media/srtp_suite.h"

#include "crypto/crypto.h"

static const struct srtp_suite_def {
    struct sl name;
    uint8_t key, salt, tag, rtcp_tag; /* bytes */
    bool is_aead;
} srtp_suites[SRTP_N_SUITES] = {
    [SRTP_AES_CM_128_HMAC_SHA1_80] = {{"AES_CM_128_HMAC_SHA1_80", 23}, 16, 14, 10, 10, false},
    [SRTP_AES_CM_128_HMAC_SHA1_32] = {{"AES_CM_128_HMAC_SHA1_32", 23}, 16, 14, 4, 10, false},
    [SRTP_AEAD_AES_128_GCM] = {{"AEAD_AES_128_GCM", 16}, 16, 12, 16, 16, true},
    [SRTP_AEAD_AES_256_GCM] = {{"AEAD_AES_256_GCM", 16}, 32, 12, 16, 16, true},
    [SRTP_AES_256_CM_HMAC_SHA1_80] = {{"AES_256_CM_HMAC_SHA1_80", 23}, 32, 14, 10, 10, false},
    [SRTP_AES_256_CM_HMAC_SHA1_32] = {{"AES_256_CM_HMAC_SHA1_32", 23}, 32, 14, 4, 10, false},
};

size_t srtp_key_len(enum srtp_suite suite)
{
    return srtp_suites[suite].key;
}

size_t srtp_salt_len(enum srtp_suite suite)
{
    return srtp_suites[suite].salt;
}

size_t srtp_tag_len(enum srtp_suite suite, bool rtcp)
{
    return rtcp ? srtp_suites[suite].rtcp_tag : srtp_suites[suite].tag;
}

bool srtp_suite_is_aead(enum srtp_suite suite)
{
    return srtp_suites[suite].is_aead;
}

struct sl srtp_suite_name(enum srtp_suite suite)
{
    return srtp_suites[suite].name;
}

void srtp_key_random(struct srtp_key *k, enum srtp_suite suite)
{
    *k = (struct srtp_key){.suite = suite};
    crypto_random(k->key, srtp_key_len(suite));
    crypto_random(k->salt, srtp_salt_len(suite));
}

bool srtp_key_equal(const struct srtp_key *a, const struct srtp_key *b)
{
    bool same_key, same_salt;

    if (a->suite != b->suite || a->mki_len != b->mki_len || a->mki_len > SRTP_MKI_MAX ||
        memcmp(a->mki, b->mki, a->mki_len) != 0) {
        return false;
    }
    same_key = crypto_equal(a->key, b->key, srtp_key_len(a->suite));
    same_salt = crypto_equal(a->salt, b->salt, srtp_salt_len(a->suite));
    return same_key && same_salt;
}
