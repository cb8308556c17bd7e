/* What strangers and broken peers send: tampered, short, with the wrong key or MKI, with header
 * traps. Also keys, and what happens when memory runs out. */
#include "srtp_rig.h"

#include <openssl/crypto.h>

#define EACH_ENGINE(e)                                                                             \
    for (enum srtp_engine e = SRTP_ENGINE_EVP; e <= SRTP_ENGINE_LIBSRTP;                           \
         e = (enum srtp_engine)(e + 1))

/* OpenSSL's memory, counted; its n-th allocation from now fails. By reallocarray(), which the walk
 * of failing allocations leaves alone: OpenSSL's own start does not survive one. */
static unsigned long ssl_allocations, ssl_fail_at;
static bool ssl_failed;

static bool ssl_now(void)
{
    bool now = ++ssl_allocations == ssl_fail_at;

    ssl_failed = ssl_failed || now;
    return now;
}

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return ssl_now() ? NULL : reallocarray(NULL, 1, n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return ssl_now() ? NULL : reallocarray(p, 1, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static void ssl_arm(unsigned long nth)
{
    ssl_allocations = 0;
    ssl_fail_at = nth;
    ssl_failed = false;
}

/* --- packets --- */

static void a_packet_with_any_bit_changed_is_refused(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        EACH_ENGINE(e)
        {
            struct srtp_key k;
            struct rig_pair r;
            struct rig_packet rtp, rtcp;

            rig_key(&k, suite, 5);
            r = rig_pair(&k, e, e);
            rig_sent(&r, 99, &rtp);
            rig_rtcp(&rtcp, RIG_SSRC);
            assert_int_equal(rig_protect_rtcp(r.tx, &rtcp), 0);
            for (size_t bit = 0; bit < 8 * rtp.n; bit++) {
                struct rig_packet p = rtp;

                p.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(rig_unprotect(r.rx, &p), EBADMSG);
                assert_int_equal(p.n, rtp.n);
            }
            for (size_t bit = 0; bit < 8 * rtcp.n; bit++) {
                struct rig_packet p = rtcp;

                p.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(rig_unprotect_rtcp(r.rx, &p), EBADMSG);
                assert_int_equal(p.n, rtcp.n);
            }
            assert_int_equal(srtp_ssrcs(r.rx, NULL, 0), 0);
            assert_int_equal(rig_heard(&r, &rtp), 0); /* it was the bit alone */
            assert_int_equal(rig_unprotect_rtcp(r.rx, &rtcp), 0);
            rig_pair_free(&r);
        }
    }
}

static void assert_refused(struct rig_pair *r, uint8_t *p, const uint8_t *bytes, size_t n)
{
    size_t len = n;

    memcpy(p, bytes, n);
    assert_int_equal(srtp_unprotect(r->rx, p, &len), EBADMSG);
    memcpy(p, bytes, n);
    assert_int_equal(srtcp_unprotect(r->rx, p, &len), EBADMSG);
    assert_int_equal(len, n);
}

static void random_short(struct rig_random *random, unsigned kind, uint8_t *p, size_t n)
{
    memset(p, 0, n);
    for (size_t i = 0; kind > 1 && i < n; i++) {
        p[i] = (uint8_t)rig_next(random);
    }
    if (n != 0) {
        p[0] = (uint8_t)(0x80 | (kind > 20 ? p[0] & 0x3f : 0));
    }
    if (n >= 4 && kind % 2 == 0) {
        p[n - 4] |= 0x80; /* the E bit */
    }
}

static void short_packets_are_refused(void **state)
{
    struct rig_random random = {81};

    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        for (uint8_t mki = 0; mki <= SRTP_MKI_MAX; mki += 8) {
            struct srtp_key k;
            struct rig_pair r;

            rig_key(&k, suite, 5);
            k.mki_len = mki; /* of zeros: some packets below have it */
            r = rig_pair(&k, SRTP_ENGINE_EVP, SRTP_ENGINE_EVP);
            for (size_t n = 0; n <= 60; n++) {
                /* exactly this size: a sanitizer sees the first byte beyond */
                uint8_t *p = malloc(n != 0 ? n : 1);
                uint8_t bytes[60];

                assert_non_null(p);
                for (unsigned kind = 0; kind < 40; kind++) {
                    random_short(&random, kind, bytes, n);
                    assert_refused(&r, p, bytes, n);
                }
                free(p);
            }
            assert_int_equal(srtp_ssrcs(r.rx, NULL, 0), 0);
            rig_pair_free(&r);
        }
    }
}

static void short_packets_are_refused_by_libsrtp2_too(void **state)
{
    struct srtp_key k;
    struct rig_pair r;

    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        rig_key(&k, suite, 5);
        r = rig_pair(&k, SRTP_ENGINE_LIBSRTP, SRTP_ENGINE_LIBSRTP);
        for (size_t n = 0; n <= 60; n++) {
            uint8_t bytes[60] = {0x80}, p[60];

            bytes[n >= 4 ? n - 4 : 0] |= 0x80;
            assert_refused(&r, p, bytes, n);
        }
        rig_pair_free(&r);
    }
}

/* Counts and lengths in the header that point beyond the packet (RFC 3550 5.1, 5.3.1). */
static void header_traps_are_refused(void **state)
{
    static const struct {
        uint8_t first, n;
        uint16_t words;
        int err; /* of protect */
    } rows[] = {
        {0x80, 12, 0, 0},        {0x81, 15, 0, EBADMSG},  {0x81, 16, 0, 0},
        {0x8f, 71, 0, EBADMSG},  {0x8f, 72, 0, 0},        {0x90, 12, 0, EBADMSG},
        {0x90, 15, 0, EBADMSG},  {0x90, 16, 0, 0},        {0x90, 16, 1, EBADMSG},
        {0x90, 19, 1, EBADMSG},  {0x90, 20, 1, 0},        {0x90, 100, 0xffff, EBADMSG},
        {0x40, 100, 0, EBADMSG}, {0x00, 100, 0, EBADMSG}, {0xc0, 100, 0, EBADMSG},
    };

    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        struct srtp_key k;
        struct rig_pair r;

        rig_key(&k, suite, 5);
        r = rig_pair(&k, SRTP_ENGINE_EVP, SRTP_ENGINE_EVP);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct rig_packet p = {.n = rows[i].n}, before;

            p.b[0] = rows[i].first;
            p.b[3] = (uint8_t)i;
            rig_put16(p.b + 14, rows[i].words);
            before = p;
            assert_int_equal(rig_protect(r.tx, &p), rows[i].err);
            if (rows[i].err == 0) {
                assert_int_equal(rig_unprotect(r.rx, &p), 0);
            } else {
                p.n += srtp_tag_len(suite, false);
                assert_int_equal(rig_unprotect(r.rx, &p), EBADMSG);
                p.n = before.n;
            }
            assert_same_packet(&p, &before);
        }
        for (size_t n = 0; n < 8; n++) {
            struct rig_packet p = {.b = {0x80, 200}, .n = n};

            assert_int_equal(rig_protect_rtcp(r.tx, &p), EBADMSG);
        }
        rig_pair_free(&r);
    }
}

static void srtcp_in_clear_is_refused_even_when_authentic(void **state)
{
    struct srtp_key k;
    struct rig_pair r;
    struct rig_packet p;
    struct crypto_hmac_sha1 auth;
    uint8_t session_key[CRYPTO_SHA1_LEN] = {0}, iv[CRYPTO_CTR_IV_LEN] = {0}, tag[CRYPTO_SHA1_LEN];
    struct crypto_cipher *prf = NULL;

    (void)state;
    rig_key(&k, SRTP_AES_CM_128_HMAC_SHA1_80, 5);
    r = rig_pair(&k, SRTP_ENGINE_EVP, SRTP_ENGINE_LIBSRTP);
    memcpy(iv, k.salt, SRTP_SALT_MAX);
    iv[7] ^= 4; /* the label of SRTCP authentication */
    assert_int_equal(crypto_cipher_new(&prf, CRYPTO_AES_128_CTR, k.key, CRYPTO_SEAL), 0);
    assert_int_equal(crypto_ctr(prf, iv, session_key, sizeof(session_key)), 0);
    crypto_cipher_free(&prf);
    crypto_hmac_sha1_init(&auth, session_key);
    rig_rtcp(&p, RIG_SSRC);
    rig_put32(p.b + p.n, 0); /* no E bit, index 0 */
    crypto_hmac_sha1_run(&auth, sl_make(p.b, p.n + 4), SL_NULL, tag);
    memcpy(p.b + p.n + 4, tag, 10);
    p.n += 14;
    assert_int_equal(rig_unprotect_rtcp(r.rx, &p), EBADMSG);
    srtp_free(&r.rx);
    r.rx = rig_new(&k, SRTP_UNPROTECT, SRTP_ENGINE_EVP);
    assert_int_equal(rig_unprotect_rtcp(r.rx, &p), EBADMSG);
    rig_rtcp(&p, RIG_SSRC); /* the tag was right: with the E bit it is another one */
    assert_int_equal(rig_protect_rtcp(r.tx, &p), 0);
    assert_int_equal(rig_unprotect_rtcp(r.rx, &p), 0);
    rig_pair_free(&r);
}

static void another_mki_is_refused(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        struct srtp_key ours, others[3];
        struct rig_pair r;
        struct rig_packet rtp, rtcp, p;

        rig_key(&ours, suite, 5);
        ours.mki_len = 4;
        ours.mki[3] = 1;
        others[0] = others[1] = others[2] = ours;
        others[0].mki[3] = 2;
        others[1].mki_len = 0;
        others[2].mki_len = 3;
        r = rig_pair(&ours, SRTP_ENGINE_EVP, SRTP_ENGINE_EVP);
        rig_sent(&r, 1, &rtp);
        rig_rtcp(&rtcp, RIG_SSRC);
        assert_int_equal(rig_protect_rtcp(r.tx, &rtcp), 0);
        for (size_t i = 0; i < COUNT_OF(others); i++) {
            struct srtp *rx = rig_new(&others[i], SRTP_UNPROTECT, SRTP_ENGINE_EVP);

            p = rtp;
            assert_int_equal(rig_unprotect(rx, &p), EBADMSG);
            p = rtcp;
            assert_int_equal(rig_unprotect_rtcp(rx, &p), EBADMSG);
            srtp_free(&rx);
        }
        assert_int_equal(rig_heard(&r, &rtp), 0);
        assert_int_equal(rig_unprotect_rtcp(r.rx, &rtcp), 0);
        rig_pair_free(&r);
    }
}

/* --- keys --- */

static void another_key_or_salt_does_not_open_the_packet(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        EACH_ENGINE(e)
        {
            struct srtp_key k, other;
            struct rig_pair r;
            struct rig_packet p, copy;

            rig_key(&k, suite, 5);
            r = rig_pair(&k, e, e);
            rig_sent(&r, 1, &p);
            for (unsigned i = 0; i < srtp_key_len(suite) + srtp_salt_len(suite); i++) {
                struct srtp *rx;

                other = k;
                if (i < srtp_key_len(suite)) {
                    other.key[i] ^= 1;
                } else {
                    other.salt[i - srtp_key_len(suite)] ^= 1;
                }
                assert_false(srtp_same_key(r.tx, &other));
                rx = rig_new(&other, SRTP_UNPROTECT, e);
                copy = p;
                /* with HMAC-SHA1 the salt is for the cipher; but it is part of each derivation */
                assert_int_equal(rig_unprotect(rx, &copy), EBADMSG);
                srtp_free(&rx);
            }
            assert_int_equal(rig_heard(&r, &p), 0);
            rig_pair_free(&r);
        }
    }
}

static void keys_are_the_same_when_all_of_them_is(void **state)
{
    struct srtp_key k, other;
    struct srtp *s;

    (void)state;
    rig_key(&k, SRTP_AEAD_AES_128_GCM, 9);
    k.mki_len = 2;
    s = rig_new(&k, SRTP_UNPROTECT, SRTP_ENGINE_AUTO);
    assert_int_equal(srtp_suite_of(s), SRTP_AEAD_AES_128_GCM);
    other = k;
    other.key[16] = 1; /* beyond the key */
    other.salt[12] = 1;
    other.mki[2] = 1;
    assert_true(srtp_same_key(s, &other));
    other.mki[1] = 1;
    assert_false(srtp_same_key(s, &other));
    other = k;
    other.mki_len = 1;
    assert_false(srtp_same_key(s, &other));
    other.mki_len = 200;
    assert_false(srtp_same_key(s, &other));
    other = k;
    other.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
    assert_false(srtp_same_key(s, &other));
    srtp_free(&s);
    assert_null(s);
    srtp_free(&s);
}

static void random_keys_differ_and_fill_their_suite(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        struct srtp_key a, b, any = {0};

        srtp_key_random(&a, suite);
        srtp_key_random(&b, suite);
        assert_false(srtp_key_equal(&a, &b));
        assert_int_equal(a.suite, suite);
        assert_int_equal(a.mki_len, 0);
        for (unsigned i = 0; i < 20; i++) { /* one byte stays zero 20 times: never */
            srtp_key_random(&b, suite);
            for (size_t at = 0; at < SRTP_KEY_MAX; at++) {
                any.key[at] |= b.key[at];
            }
            for (size_t at = 0; at < SRTP_SALT_MAX; at++) {
                any.salt[at] |= b.salt[at];
            }
        }
        for (size_t at = 0; at < SRTP_KEY_MAX; at++) {
            assert_int_equal(any.key[at] != 0, at < srtp_key_len(suite));
        }
        for (size_t at = 0; at < SRTP_SALT_MAX; at++) {
            assert_int_equal(any.salt[at] != 0, at < srtp_salt_len(suite));
        }
    }
}

static void suites_go_by_the_words_of_their_rfcs(void **state)
{
    static const struct {
        const char *name;
        enum srtp_suite suite;
        size_t key, salt, tag, rtcp_tag;
        bool is_aead;
    } rows[] = {
        {"AES_CM_128_HMAC_SHA1_80", SRTP_AES_CM_128_HMAC_SHA1_80, 16, 14, 10, 10, false},
        {"AES_CM_128_HMAC_SHA1_32", SRTP_AES_CM_128_HMAC_SHA1_32, 16, 14, 4, 10, false},
        {"AEAD_AES_128_GCM", SRTP_AEAD_AES_128_GCM, 16, 12, 16, 16, true},
        {"AEAD_AES_256_GCM", SRTP_AEAD_AES_256_GCM, 32, 12, 16, 16, true},
        {"AES_256_CM_HMAC_SHA1_80", SRTP_AES_256_CM_HMAC_SHA1_80, 32, 14, 10, 10, false},
        {"AES_256_CM_HMAC_SHA1_32", SRTP_AES_256_CM_HMAC_SHA1_32, 32, 14, 4, 10, false},
    };

    (void)state;
    assert_int_equal(COUNT_OF(rows), SRTP_N_SUITES - 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum srtp_suite suite = rows[i].suite;

        assert_true(sl_eq(srtp_suite_name(suite), sl_str(rows[i].name)));
        assert_int_equal(srtp_key_len(suite), rows[i].key);
        assert_int_equal(srtp_salt_len(suite), rows[i].salt);
        assert_int_equal(srtp_tag_len(suite, false), rows[i].tag);
        assert_int_equal(srtp_tag_len(suite, true), rows[i].rtcp_tag);
        assert_int_equal(srtp_suite_is_aead(suite), rows[i].is_aead);
    }
    assert_int_equal(srtp_suite_name(SRTP_SUITE_NONE).n, 0);
    assert_int_equal(srtp_key_len(SRTP_SUITE_NONE), 0);
}

static void parameters_out_of_range_are_refused(void **state)
{
    struct srtp_key k;
    struct srtp_params p = {.key = &k, .direction = SRTP_PROTECT};
    struct srtp *s = NULL;

    (void)state;
    rig_key(&k, SRTP_AEAD_AES_128_GCM, 9);
    k.suite = SRTP_SUITE_NONE;
    assert_int_equal(srtp_new(&s, &p), EINVAL);
    k.suite = SRTP_N_SUITES;
    assert_int_equal(srtp_new(&s, &p), EINVAL);
    k.suite = SRTP_AEAD_AES_128_GCM;
    k.mki_len = SRTP_MKI_MAX + 1;
    assert_int_equal(srtp_new(&s, &p), EINVAL);
    k.mki_len = 0;
    p.max_ssrcs = SRTP_SSRCS_MAX + 1;
    assert_int_equal(srtp_new(&s, &p), EINVAL);
    assert_null(s);
}

static void an_engine_that_was_not_started_is_not_there(void **state)
{
    struct srtp_key k;
    struct srtp_params p = {.key = &k, .engine = SRTP_ENGINE_LIBSRTP};
    struct srtp *s = NULL;

    (void)state;
    rig_key(&k, SRTP_AEAD_AES_128_GCM, 9);
    srtp_engine_stop();
    srtp_engine_stop();
    assert_int_equal(srtp_new(&s, &p), ENOTSUP);
    assert_null(s);
    p.engine = SRTP_ENGINE_AUTO;
    assert_int_equal(srtp_new(&s, &p), 0);
    srtp_free(&s);
    assert_int_equal(srtp_engine_start(SRTP_ENGINE_LIBSRTP), 0);
    assert_int_equal(srtp_engine_start(SRTP_ENGINE_LIBSRTP), 0);
    p.engine = SRTP_ENGINE_LIBSRTP;
    assert_int_equal(srtp_new(&s, &p), 0);
    srtp_free(&s);
}

/* --- memory --- */

static void packets_need_no_memory(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        struct srtp_key k;
        struct rig_pair r;
        struct rig_packet p;
        int64_t live;

        rig_key(&k, suite, 5);
        r = rig_pair(&k, SRTP_ENGINE_EVP, SRTP_ENGINE_EVP);
        live = mem_live();
        ssl_arm(0);
        for (uint16_t i = 0; i < 10; i++) {
            rig_sent(&r, i, &p);
            assert_int_equal(rig_heard(&r, &p), 0);
            p.b[20] ^= 1;
            assert_int_equal(rig_heard(&r, &p), EALREADY);
            rig_put16(p.b + 2, 1000);
            assert_int_equal(rig_heard(&r, &p), EBADMSG);
            rig_rtcp(&p, i % 4);
            assert_int_equal(rig_protect_rtcp(r.tx, &p), 0);
            assert_int_equal(rig_unprotect_rtcp(r.rx, &p), 0);
        }
        assert_int_equal(ssl_allocations, 0);
        assert_int_equal(mem_live(), live);
        rig_pair_free(&r);
    }
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    static const enum srtp_suite suites[] = {SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AEAD_AES_256_GCM};
    int64_t live = mem_live();

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(suites); i++) {
        struct srtp_key k;
        struct srtp_params p = {.key = &k, .direction = i % 2 != 0 ? SRTP_PROTECT : SRTP_UNPROTECT};
        struct srtp *s = NULL;
        unsigned long n = 0;

        rig_key(&k, suites[i / 2], 9);
        mem_fault_arm(1);
        assert_int_equal(srtp_new(&s, &p), ENOMEM);
        mem_fault_arm(0);
        do {
            /* this thread's ciphers are made anew as well */
            crypto_deinit();
            assert_int_equal(crypto_init(), 0);
            ssl_arm(++n);
            if (srtp_new(&s, &p) == 0) {
                ssl_arm(0);
                break;
            }
            assert_null(s);
            assert_int_equal(mem_live(), live);
        } while (ssl_failed && n < 100);
        ssl_arm(0);
        assert_non_null(s); /* in the end there was enough */
        assert_true(n > 4);
        srtp_free(&s);
    }
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_with_any_bit_changed_is_refused),
        cmocka_unit_test(short_packets_are_refused),
        cmocka_unit_test(short_packets_are_refused_by_libsrtp2_too),
        cmocka_unit_test(header_traps_are_refused),
        cmocka_unit_test(srtcp_in_clear_is_refused_even_when_authentic),
        cmocka_unit_test(another_mki_is_refused),
        cmocka_unit_test(another_key_or_salt_does_not_open_the_packet),
        cmocka_unit_test(keys_are_the_same_when_all_of_them_is),
        cmocka_unit_test(random_keys_differ_and_fill_their_suite),
        cmocka_unit_test(suites_go_by_the_words_of_their_rfcs),
        cmocka_unit_test(parameters_out_of_range_are_refused),
        cmocka_unit_test(an_engine_that_was_not_started_is_not_there),
        cmocka_unit_test(packets_need_no_memory),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_behind),
    };

    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
