/* SRTP against the vectors of the RFCs, where they give them, and against packets of libsrtp's own
 * test. */
#include "srtp_rig.h"

#include "media/srtp_int.h"

static void key_of(struct srtp_key *k, enum srtp_suite suite, const char *key, const char *salt)
{
    *k = (struct srtp_key){.suite = suite};
    assert_int_equal(rig_hex(key, k->key, sizeof(k->key)), srtp_key_len(suite));
    assert_int_equal(rig_hex(salt, k->salt, sizeof(k->salt)), srtp_salt_len(suite));
}

/* Two keys are the same when they make the same keystream. */
static void assert_keyed_with(struct crypto_cipher *c, enum crypto_cipher_alg alg, const char *key)
{
    uint8_t k[32], iv[CRYPTO_CTR_IV_LEN] = {9}, got[40] = {0}, want[40] = {0};
    struct crypto_cipher *ref = NULL;

    (void)rig_hex(key, k, sizeof(k));
    assert_int_equal(crypto_cipher_new(&ref, alg, k, CRYPTO_SEAL), 0);
    assert_int_equal(crypto_ctr(ref, iv, want, sizeof(want)), 0);
    assert_int_equal(crypto_ctr(c, iv, got, sizeof(got)), 0);
    assert_memory_equal(got, want, sizeof(want));
    crypto_cipher_free(&ref);
}

/* RFC 3711 B.3, RFC 6188 7.2 */
static void session_keys_are_those_of_the_rfcs(void **state)
{
    static const struct {
        enum srtp_suite suite;
        enum crypto_cipher_alg alg;
        const char *key, *salt, *session_key, *session_salt, *auth;
    } rows[] = {
        {SRTP_AES_CM_128_HMAC_SHA1_80, CRYPTO_AES_128_CTR, "e1f97a0d3e018be0d64fa32c06de4139",
         "0ec675ad498afeebb6960b3aabe6", "c61e7a93744f39ee10734afe3ff7a087",
         "30cbbc08863d8c85d49db34a9ae1", "cebe321f6ff7716b6fd4ab49af256a156d38baa4"},
        {SRTP_AES_256_CM_HMAC_SHA1_80, CRYPTO_AES_256_CTR,
         "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
         "3b04803de51ee7c96423ab5b78d2",
         "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
         "fa31791685ca444a9e07c6c64e93", "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct crypto_hmac_sha1 auth;
        struct srtp_key k;
        struct srtp *s;
        uint8_t want[CRYPTO_SHA1_LEN];

        key_of(&k, rows[i].suite, rows[i].key, rows[i].salt);
        s = rig_new(&k, SRTP_PROTECT, SRTP_ENGINE_EVP);
        assert_keyed_with(s->rtp.cipher, rows[i].alg, rows[i].session_key);
        (void)rig_hex(rows[i].session_salt, want, sizeof(want));
        assert_memory_equal(s->rtp.salt, want, SRTP_SALT_MAX);
        (void)rig_hex(rows[i].auth, want, sizeof(want));
        crypto_hmac_sha1_init(&auth, want);
        assert_memory_equal(&s->rtp.auth, &auth, sizeof(auth));
        srtp_free(&s);
    }
}

/* RFC 7714 gives session keys: they replace the derived ones. */
static struct srtp *gcm_with_session_key(enum srtp_suite suite, enum srtp_direction direction)
{
    struct srtp_key k;
    struct srtp *s;
    uint8_t key[32];

    rig_key(&k, suite, 1);
    s = rig_new(&k, direction, SRTP_ENGINE_EVP);
    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    crypto_cipher_free(&s->rtp.cipher);
    assert_int_equal(crypto_cipher_new(&s->rtp.cipher, srtp_own_alg(s), key, srtp_own_way(s)), 0);
    memcpy(s->rtcp.key, key, sizeof(key));
    memcpy(s->rtp.salt, "Quid pro quo", 12);
    memcpy(s->rtcp.salt, "Quid pro quo", 12);
    return s;
}

static const struct gcm_row {
    enum srtp_suite suite;
    const char *rtp, *rtcp, *rtcp_in_clear;
} gcm_rows[] = {
    {SRTP_AEAD_AES_128_GCM,
     "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
     "36de3adf8833899d7f27beb16a9152cf765ee4390cce",
     "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46"
     "86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
     "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef"
     "deadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4"},
    {SRTP_AEAD_AES_256_GCM,
     "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f"
     "1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
     "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658"
     "c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
     "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef"
     "deadbeefdeadbeef91db4afbfeee5a978fab4393ed2615fe000005d4"},
};
static const char gcm_rtp[] = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976"
                              "69736120696e207061727465732074726573";
static const char gcm_rtcp[] = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
                               "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

static void gcm_rtp_is_that_of_rfc_7714_section_16(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(gcm_rows); i++) {
        struct srtp *tx = gcm_with_session_key(gcm_rows[i].suite, SRTP_PROTECT);
        struct srtp *rx = gcm_with_session_key(gcm_rows[i].suite, SRTP_UNPROTECT);
        struct rig_packet p;

        rig_packet_hex(&p, gcm_rtp);
        assert_int_equal(rig_protect(tx, &p), 0);
        assert_packet_hex(&p, gcm_rows[i].rtp);
        assert_int_equal(rig_unprotect(rx, &p), 0);
        assert_packet_hex(&p, gcm_rtp);
        srtp_free(&tx);
        srtp_free(&rx);
    }
}

static void gcm_rtcp_is_that_of_rfc_7714_section_17(void **state)
{
    const struct srtp_ssrc before = {.ssrc = 0x4d617273, .rtcp_index = 0x5d3, .has_rtcp = true};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(gcm_rows); i++) {
        struct srtp *tx = gcm_with_session_key(gcm_rows[i].suite, SRTP_PROTECT);
        struct srtp *rx = gcm_with_session_key(gcm_rows[i].suite, SRTP_UNPROTECT);
        struct rig_packet p;

        assert_int_equal(srtp_set_ssrc(tx, &before), 0);
        rig_packet_hex(&p, gcm_rtcp);
        assert_int_equal(rig_protect_rtcp(tx, &p), 0);
        assert_packet_hex(&p, gcm_rows[i].rtcp);
        assert_int_equal(rig_unprotect_rtcp(rx, &p), 0);
        assert_packet_hex(&p, gcm_rtcp);
        /* 17.3 and 17.4: authentic, but nobody agreed to SRTCP in clear */
        rig_packet_hex(&p, gcm_rows[i].rtcp_in_clear);
        assert_int_equal(rig_unprotect_rtcp(rx, &p), EBADMSG);
        srtp_free(&tx);
        srtp_free(&rx);
    }
}

static void packets_of_libsrtps_test_come_out_the_same(void **state)
{
    static const char plain[] = "800f1234decafbadcafebabeabababababababababababababababab";
    static const struct {
        enum srtp_suite suite;
        const char *key, *salt, *wire;
    } rows[] = {
        {SRTP_AES_CM_128_HMAC_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139",
         "0ec675ad498afeebb6960b3aabe6",
         "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"},
        {SRTP_AES_256_CM_HMAC_SHA1_80,
         "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
         "3b04803de51ee7c96423ab5b78d2",
         "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (enum srtp_engine e = SRTP_ENGINE_EVP; e <= SRTP_ENGINE_LIBSRTP; e++) {
            struct srtp_key k;
            struct rig_pair r;
            struct rig_packet p;

            key_of(&k, rows[i].suite, rows[i].key, rows[i].salt);
            r = rig_pair(&k, e, e);
            rig_packet_hex(&p, plain);
            assert_int_equal(rig_protect(r.tx, &p), 0);
            assert_packet_hex(&p, rows[i].wire);
            assert_int_equal(rig_unprotect(r.rx, &p), 0);
            assert_packet_hex(&p, plain);
            rig_pair_free(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_keys_are_those_of_the_rfcs),
        cmocka_unit_test(gcm_rtp_is_that_of_rfc_7714_section_16),
        cmocka_unit_test(gcm_rtcp_is_that_of_rfc_7714_section_17),
        cmocka_unit_test(packets_of_libsrtps_test_come_out_the_same),
    };

    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
