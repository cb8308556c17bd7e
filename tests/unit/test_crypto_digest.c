/* Digests, HMAC, constant-time comparison, random bytes. */
#include "base/base.h"
#include "crypto_rig.h"
#include "crypto/crypto.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    char text[129];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    buf_putx(&b, got, n);
    text[b.n] = '\0';
    assert_string_equal(text, want);
}

/* RFC 1321 appendix A.5 and the examples of FIPS 180-2. */
static void digests_match_the_published_vectors(void **state)
{
    static const struct {
        const char *text, *md5, *sha256;
    } rows[] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "900150983cd24fb0d6963f7d28e17f72",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    };

    (void)state;
    for (int lap = 0; lap < 2; lap++) { /* the contexts are used again */
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct sl part = sl_str(rows[i].text);
            uint8_t out[CRYPTO_SHA256_LEN];

            assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, out), 0);
            assert_hex(out, crypto_digest_len(CRYPTO_MD5), rows[i].md5);
            assert_int_equal(crypto_digest(CRYPTO_SHA256, &part, 1, out), 0);
            assert_hex(out, crypto_digest_len(CRYPTO_SHA256), rows[i].sha256);
        }
    }
}

/* RFC 2617 section 3.5: H(A1) of "Mufasa:testrealm@host.com:Circle Of Life". */
static void a_digest_of_parts_is_that_of_their_concatenation(void **state)
{
    const struct sl parts[] = {SL("Mufasa"), SL(":"), SL_NULL, SL("testrealm@host.com"),
                               SL(":Circle Of Life")};
    uint8_t out[CRYPTO_MD5_LEN];

    (void)state;
    assert_int_equal(crypto_digest(CRYPTO_MD5, parts, COUNT_OF(parts), out), 0);
    assert_hex(out, sizeof(out), "939e7578ed9e3c518a452acee763bce9");
    assert_int_equal(crypto_digest(CRYPTO_MD5, NULL, 0, out), 0);
    assert_hex(out, sizeof(out), "d41d8cd98f00b204e9800998ecf8427e");
}

/* RFC 4231 test cases 1, 2 and 6 (a key longer than a block). */
static void hmac_matches_rfc_4231(void **state)
{
    static uint8_t long_key[131], key20[20];
    const struct {
        struct sl key;
        const char *text, *want;
    } rows[] = {
        {sl_make(key20, 20), "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {SL("Jefe"), "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {sl_make(long_key, 131), "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };

    (void)state;
    memset(key20, 0x0b, sizeof(key20));
    memset(long_key, 0xaa, sizeof(long_key));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl text = sl_str(rows[i].text);
        struct sl parts[2] = {sl_head(text, 5), sl_from(text, 5)};
        uint8_t out[CRYPTO_SHA256_LEN];

        assert_int_equal(crypto_hmac_sha256(rows[i].key, parts, 2, out), 0);
        assert_hex(out, sizeof(out), rows[i].want);
    }
}

/* RFC 2202 test cases 1, 2 and 6; the two kinds of HMAC do not disturb each other. */
static void hmac_sha1_matches_rfc_2202(void **state)
{
    static uint8_t long_key[80], key20[20];
    const struct {
        struct sl key;
        const char *text, *want;
    } rows[] = {
        {sl_make(key20, 20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
        {SL("Jefe"), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {sl_make(long_key, 80), "Test Using Larger Than Block-Size Key - Hash Key First",
         "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    };

    (void)state;
    memset(key20, 0x0b, sizeof(key20));
    memset(long_key, 0xaa, sizeof(long_key));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl text = sl_str(rows[i].text);
        struct sl parts[2] = {sl_head(text, 5), sl_from(text, 5)};
        uint8_t out[CRYPTO_SHA1_LEN], other[CRYPTO_SHA256_LEN];

        assert_int_equal(crypto_hmac_sha256(rows[i].key, parts, 1, other), 0);
        assert_int_equal(crypto_hmac_sha1(rows[i].key, parts, 2, out), 0);
        assert_hex(out, sizeof(out), rows[i].want);
    }
}

static void an_empty_key_is_not_the_key_of_last_time(void **state)
{
    struct sl part = SL("");
    uint8_t out[CRYPTO_SHA256_LEN];

    (void)state;
    assert_int_equal(crypto_hmac_sha256(SL("secret"), &part, 1, out), 0);
    assert_int_equal(crypto_hmac_sha256(SL_NULL, &part, 1, out), 0);
    assert_hex(out, sizeof(out),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void nothing_works_before_init(void **state)
{
    struct sl part = SL("x");
    struct token_ring *r = NULL;
    uint8_t out[CRYPTO_SHA256_LEN];

    (void)state;
    crypto_deinit();
    assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, out), ENOTSUP);
    assert_int_equal(crypto_hmac_sha256(part, &part, 1, out), ENOTSUP);
    assert_int_equal(crypto_hmac_sha1(part, &part, 1, out), ENOTSUP);
    assert_int_equal(token_ring_random(&r), ENOTSUP);
    assert_null(r);
    assert_int_equal(crypto_init(), 0);
    assert_int_equal(crypto_init(), 0);
    assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, out), 0);
}

static void equality_sees_every_byte(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    assert_true(crypto_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] = 0x80;
        assert_false(crypto_equal(a, b, sizeof(a)));
        b[i] = 0;
    }
    assert_true(crypto_equal(NULL, NULL, 0));
}

/* 80,000 bits: 10 standard deviations around the half. */
static void random_bytes_look_random_over_block_borders(void **state)
{
    static uint8_t big[10000];
    size_t ones = 0;

    (void)state;
    crypto_random(big, 13); /* off the block border */
    crypto_random(big, sizeof(big));
    for (size_t i = 0; i < sizeof(big); i++) {
        ones += (size_t)__builtin_popcount(big[i]);
    }
    assert_in_range(ones, 40000 - 1414, 40000 + 1414);
    assert_memory_not_equal(big, big + 4096, 64);
    assert_true(crypto_random_u32() != crypto_random_u32() ||
                crypto_random_u32() != crypto_random_u32());
    crypto_random(NULL, 0);
}

static void *work_in_thread(void *arg)
{
    struct sl part = SL("abc");
    uint8_t out[CRYPTO_SHA256_LEN];

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, out), 0);
        assert_hex(out, CRYPTO_MD5_LEN, "900150983cd24fb0d6963f7d28e17f72");
        assert_int_equal(crypto_hmac_sha256(part, &part, 1, out), 0);
    }
    crypto_random(arg, 16);
    return NULL;
}

static void threads_work_apart_and_draw_different_numbers(void **state)
{
    uint8_t drawn[4][16];
    pthread_t t[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, work_in_thread, drawn[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    for (int i = 1; i < 4; i++) {
        assert_memory_not_equal(drawn[0], drawn[i], 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_match_the_published_vectors),
        cmocka_unit_test(a_digest_of_parts_is_that_of_their_concatenation),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(hmac_sha1_matches_rfc_2202),
        cmocka_unit_test(an_empty_key_is_not_the_key_of_last_time),
        cmocka_unit_test(nothing_works_before_init),
        cmocka_unit_test(equality_sees_every_byte),
        cmocka_unit_test(random_bytes_look_random_over_block_borders),
        cmocka_unit_test(threads_work_apart_and_draw_different_numbers),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
