/* What SRTP needs of OpenSSL, against published vectors. */
#include "srtp_rig.h"
#include "crypto_rig.h"

static struct crypto_cipher *keyed(enum crypto_cipher_alg alg, const char *key, enum crypto_way way)
{
    struct crypto_cipher *c = NULL;
    uint8_t k[32];

    (void)rig_hex(key, k, sizeof(k));
    assert_int_equal(crypto_cipher_new(&c, alg, k, way), 0);
    return c;
}

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
    uint8_t want[512];

    assert_int_equal(rig_hex(hex, want, sizeof(want)), n);
    assert_memory_equal(p, want, n);
}

/* RFC 3711 B.2: a keystream of 65,282 blocks. */
static void counter_mode_gives_the_keystream_of_rfc_3711(void **state)
{
    size_t n = (size_t)65282 * 16;
    uint8_t *p = calloc(1, n);
    uint8_t iv[CRYPTO_CTR_IV_LEN];
    struct crypto_cipher *c =
        keyed(CRYPTO_AES_128_CTR, "2b7e151628aed2a6abf7158809cf4f3c", CRYPTO_SEAL);

    (void)state;
    assert_non_null(p);
    (void)rig_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000", iv, sizeof(iv));
    assert_int_equal(crypto_ctr(c, iv, p, n), 0);
    assert_hex(p, 48,
               "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
               "41e95b3bb0a2e8dd477901e4fca894c0");
    assert_hex(p + n - 48, 48,
               "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"
               "6a2cc3787889374fbeb4c81b17ba6c44");
    assert_int_equal(crypto_ctr(c, iv, p, n), 0); /* the same again undoes it */
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p[i], 0);
    }
    crypto_cipher_free(&c);
    assert_null(c);
    crypto_cipher_free(&c);
    free(p);
}

/* RFC 2202 section 3, the cases with a key of 20 bytes. */
static void hmac_sha1_gives_the_tags_of_rfc_2202(void **state)
{
    static const struct {
        uint8_t key, fill;
        const char *text; /* NULL: fill */
        size_t n;
        const char *tag;
    } rows[] = {
        {0x0b, 0, "Hi There", 8, "b617318655057264e28bc0b6fb378c8ef146be00"},
        {0xaa, 0xdd, NULL, 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t key[CRYPTO_SHA1_LEN], text[64], tag[CRYPTO_SHA1_LEN];
        struct crypto_hmac_sha1 h;

        memset(key, rows[i].key, sizeof(key));
        memset(text, rows[i].fill, sizeof(text));
        if (rows[i].text != NULL) {
            memcpy(text, rows[i].text, rows[i].n);
        }
        crypto_hmac_sha1_init(&h, key);
        for (size_t cut = 0; cut <= rows[i].n; cut++) { /* wherever the two parts meet */
            crypto_hmac_sha1_run(&h, sl_make(text, cut), sl_make(text + cut, rows[i].n - cut), tag);
            assert_hex(tag, sizeof(tag), rows[i].tag);
        }
    }
}

/* RFC 7714 16.1 and 16.2: sealed, and tagged only. */
static void gcm_gives_the_packets_of_rfc_7714(void **state)
{
    static const struct {
        enum crypto_cipher_alg alg;
        const char *key, *sealed, *tag, *tag_only;
    } rows[] = {
        {CRYPTO_AES_128_GCM, "000102030405060708090a0b0c0d0e0f",
         "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
         "899d7f27beb16a9152cf765ee4390cce", "22493f82d2bce397e9d79e3b19aa4216"},
        {CRYPTO_AES_256_GCM, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b",
         "7aa3db36dfffd6b0f9bb7878d7a76c13", "a866d5910f887463067ceefec45215d4"},
    };
    static const char text[] = "Gallia est omnis divisa in partes tres";
    uint8_t iv[CRYPTO_GCM_IV_LEN], aad[50], p[38], tag[CRYPTO_GCM_TAG_LEN];

    (void)state;
    (void)rig_hex("51753c6580c2726f20718414", iv, sizeof(iv));
    (void)rig_hex("8040f17b8041f8d35501a0b2", aad, sizeof(aad));
    memcpy(aad + 12, text, 38);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct crypto_cipher *seal = keyed(rows[i].alg, rows[i].key, CRYPTO_SEAL);
        struct crypto_cipher *open = keyed(rows[i].alg, rows[i].key, CRYPTO_OPEN);

        memcpy(p, text, sizeof(p));
        assert_int_equal(crypto_gcm_seal(seal, iv, sl_make(aad, 12), p, sizeof(p), tag), 0);
        assert_hex(p, sizeof(p), rows[i].sealed);
        assert_hex(tag, sizeof(tag), rows[i].tag);
        assert_int_equal(crypto_gcm_open(open, iv, sl_make(aad, 12), p, sizeof(p), tag), 0);
        assert_memory_equal(p, text, sizeof(p));
        assert_int_equal(crypto_gcm_seal(seal, iv, sl_make(aad, 50), NULL, 0, tag), 0);
        assert_hex(tag, sizeof(tag), rows[i].tag_only);
        assert_int_equal(crypto_gcm_open(open, iv, sl_make(aad, 50), NULL, 0, tag), 0);
        for (unsigned bit = 0; bit < 8 * sizeof(tag); bit++) {
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(crypto_gcm_open(open, iv, sl_make(aad, 50), NULL, 0, tag), EBADMSG);
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(crypto_gcm_open(open, iv, sl_make(aad, 50), NULL, 0, tag), 0);
        crypto_cipher_free(&seal);
        crypto_cipher_free(&open);
    }
}

static void a_borrowed_cipher_does_the_same_each_time(void **state)
{
    uint8_t key[16] = {1}, other[16] = {2}, iv[CRYPTO_CTR_IV_LEN] = {3};
    uint8_t want[32] = {0};
    struct crypto_cipher *own = NULL;

    (void)state;
    assert_int_equal(crypto_cipher_new(&own, CRYPTO_AES_128_CTR, key, CRYPTO_SEAL), 0);
    assert_int_equal(crypto_ctr(own, iv, want, sizeof(want)), 0);
    for (unsigned i = 0; i < 6; i++) {
        struct crypto_cipher *c = NULL;
        uint8_t p[32] = {0};

        assert_int_equal(
            crypto_cipher_borrow(&c, CRYPTO_AES_128_CTR, i % 2 == 0 ? key : other, i % 2), 0);
        assert_int_equal(crypto_ctr(c, iv, p, sizeof(p)), 0);
        assert_int_equal(memcmp(p, want, sizeof(p)) == 0, i % 2 == 0);
        crypto_cipher_give_back(&c, CRYPTO_AES_128_CTR);
        assert_null(c);
    }
    crypto_cipher_free(&own);
}

static void a_cipher_that_was_given_back_has_lost_its_key(void **state)
{
    uint8_t key[16] = {1}, zero[16] = {0}, iv[CRYPTO_CTR_IV_LEN] = {3};
    uint8_t with_key[16] = {0}, with_zero[16] = {0}, after[16] = {0};
    struct crypto_cipher *c = NULL, *stale;

    (void)state;
    assert_int_equal(crypto_cipher_borrow(&c, CRYPTO_AES_128_CTR, key, CRYPTO_SEAL), 0);
    stale = c;
    assert_int_equal(crypto_ctr(c, iv, with_key, 16), 0);
    crypto_cipher_give_back(&c, CRYPTO_AES_128_CTR);
    assert_int_equal(crypto_ctr(stale, iv, after, 16), 0);
    assert_int_equal(crypto_cipher_borrow(&c, CRYPTO_AES_128_CTR, zero, CRYPTO_SEAL), 0);
    assert_ptr_equal(c, stale); /* and its memory is kept for the next one */
    assert_int_equal(crypto_ctr(c, iv, with_zero, 16), 0);
    crypto_cipher_give_back(&c, CRYPTO_AES_128_CTR);
    assert_memory_not_equal(after, with_key, 16);
    assert_memory_equal(after, with_zero, 16);
}

static void without_crypto_init_there_is_no_cipher(void **state)
{
    uint8_t key[32] = {0};
    struct crypto_cipher *c = NULL;

    (void)state;
    crypto_deinit();
    for (unsigned i = 0; i < CRYPTO_CIPHERS; i++) {
        assert_int_equal(crypto_cipher_new(&c, i, key, CRYPTO_SEAL), ENOTSUP);
        assert_int_equal(crypto_cipher_borrow(&c, i, key, CRYPTO_SEAL), ENOTSUP);
    }
    assert_null(c);
    assert_int_equal(crypto_init(), 0);
}

static void wiped_bytes_are_zero(void **state)
{
    uint8_t p[5] = {1, 2, 3, 4, 5};

    (void)state;
    crypto_wipe(p + 1, 3);
    assert_int_equal(p[0] + p[1] + p[2] + p[3] + p[4], 6);
    crypto_wipe(p, 0);
    assert_int_equal(p[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_mode_gives_the_keystream_of_rfc_3711),
        cmocka_unit_test(hmac_sha1_gives_the_tags_of_rfc_2202),
        cmocka_unit_test(gcm_gives_the_packets_of_rfc_7714),
        cmocka_unit_test(a_borrowed_cipher_does_the_same_each_time),
        cmocka_unit_test(a_cipher_that_was_given_back_has_lost_its_key),
        cmocka_unit_test(without_crypto_init_there_is_no_cipher),
        cmocka_unit_test(wiped_bytes_are_zero),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
