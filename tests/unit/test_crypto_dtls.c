/* DTLS-SRTP between two associations: keys, fingerprints, profiles, loss, strangers, memory. */
#include "dtls_wire.h"
#include "crypto_rig.h"
#include "crypto/dtls_int.h"

#include <openssl/x509.h>

static void assert_state(unsigned i, enum dtls_state want)
{
    if (dtls_state(rig.end[i].d) != want) {
        fail_msg("end %u: state %d, error %d", i, dtls_state(rig.end[i].d),
                 dtls_error(rig.end[i].d));
    }
}

static void introduce_both(void)
{
    rig_introduce(ACTIVE, PASSIVE);
    rig_introduce(PASSIVE, ACTIVE);
}

/* Both have keys, each the other's. */
static void assert_keys(uint16_t profile, size_t key_len, size_t salt_len)
{
    struct dtls_srtp_keys a, p;

    assert_state(ACTIVE, DTLS_READY);
    assert_state(PASSIVE, DTLS_READY);
    assert_int_equal(dtls_take_keys(rig.end[ACTIVE].d, &a), 0);
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &p), 0);
    assert_int_equal(a.profile, profile);
    assert_int_equal(p.profile, profile);
    assert_int_equal(a.key_len, key_len);
    assert_int_equal(a.salt_len, salt_len);
    assert_memory_equal(&a.local, &p.remote, sizeof(a.local));
    assert_memory_equal(&a.remote, &p.local, sizeof(a.local));
    assert_memory_not_equal(a.local.key, a.remote.key, key_len);
    assert_memory_not_equal(a.local.salt, a.remote.salt, salt_len);
    assert_int_equal(dtls_take_keys(rig.end[ACTIVE].d, &a), ENOENT); /* once */
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &p), ENOENT);
}

static void assert_gcm_keys(void)
{
    assert_keys(DTLS_SRTP_AEAD_AES_128_GCM, 16, 12);
}

static void a_handshake_is_four_datagrams_and_gives_equal_keys(void **state)
{
    (void)state;
    introduce_both();
    rig_start();
    assert_gcm_keys();
    assert_int_equal(rig.end[ACTIVE].sent, 2);
    assert_int_equal(rig.end[PASSIVE].sent, 2);
    for (unsigned i = 0; i < 2; i++) {
        /* A query for the MTU that got no answer would cut all into 228 bytes. */
        assert_true(rig.end[i].longest > 228 && rig.end[i].longest <= DTLS_MTU);
        assert_true(rig.end[i].changes != 0);
    }
    assert_int_equal(dtls_timeout_ms(rig.end[ACTIVE].d, rig.now_ms), -1);
}

static void every_profile_gives_keys_of_its_length(void **state)
{
    static const struct {
        uint16_t profile;
        size_t key_len, salt_len;
    } rows[] = {{DTLS_SRTP_AES128_CM_SHA1_80, 16, 14},
                {DTLS_SRTP_AES128_CM_SHA1_32, 16, 14},
                {DTLS_SRTP_AEAD_AES_128_GCM, 16, 12},
                {DTLS_SRTP_AEAD_AES_256_GCM, 32, 12}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rig_shut(ACTIVE);
        assert_int_equal(rig_open(ACTIVE, &rows[i].profile, 1), 0);
        rig_shut(PASSIVE);
        assert_int_equal(rig_open(PASSIVE, (const uint16_t[]){1, 2, 7, 8}, 4), 0);
        introduce_both();
        rig_start();
        assert_keys(rows[i].profile, rows[i].key_len, rows[i].salt_len);
    }
}

/* The server's order decides (RFC 5764 4.1.1 leaves it to the server). */
static void the_order_of_profiles_is_ours(void **state)
{
    (void)state;
    rig_shut(PASSIVE);
    assert_int_equal(rig_open(PASSIVE, (const uint16_t[]){1, 8, 7}, 3), 0);
    introduce_both();
    rig_start();
    assert_keys(DTLS_SRTP_AES128_CM_SHA1_80, 16, 14);
}

static void without_a_common_profile_both_fail(void **state)
{
    (void)state;
    rig_shut(PASSIVE);
    assert_int_equal(rig_open(PASSIVE, (const uint16_t[]){2}, 1), 0);
    introduce_both();
    rig_run(60000);
    for (unsigned i = 0; i < 2; i++) {
        struct dtls_srtp_keys k;

        assert_state(i, DTLS_FAILED);
        assert_int_equal(dtls_take_keys(rig.end[i].d, &k), dtls_error(rig.end[i].d));
    }
    assert_int_equal(dtls_error(rig.end[ACTIVE].d), ENOTSUP);
}

static void profiles_are_checked(void **state)
{
    static const uint16_t unknown[] = {DTLS_SRTP_AEAD_AES_128_GCM, 3}, many[] = {1, 2, 7, 8, 1};
    struct dtls_ctx *c = NULL;

    (void)state;
    assert_int_equal(dtls_ctx_new(&c, &(struct dtls_ctx_params){unknown, 2}), EINVAL);
    assert_int_equal(dtls_ctx_new(&c, &(struct dtls_ctx_params){unknown, 0}), EINVAL);
    assert_int_equal(dtls_ctx_new(&c, &(struct dtls_ctx_params){many, 5}), EINVAL);
    assert_null(c);
}

static void every_process_has_a_certificate_of_its_own(void **state)
{
    struct sl a = dtls_ctx_fingerprint(rig.end[0].ctx), b = dtls_ctx_fingerprint(rig.end[1].ctx);

    (void)state;
    assert_int_equal(a.n, 8 + 95);
    assert_true(sl_starts(a, SL("sha-256 ")));
    assert_false(sl_eq(a, b));
}

/* --- fingerprints --- */

static void fingerprints_are_read_as_rfc_8122_writes_them(void **state)
{
    static const struct {
        const char *text;
        int err;
        unsigned n;
    } rows[] = {
        {"sha-256 "
         "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:"
         "02:12:DF",
         0, 32},
        {"SHA-256 "
         "4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab:4a:ad:b9:b1:3f:82:18:3b:54:"
         "02:12:df",
         0, 32},
        {"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB", ENOTSUP, 0},
        {"md5 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B", ENOTSUP, 0},
        {"sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB", EBADMSG, 0},
        {"sha-256 "
         "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:"
         "02:12:DG",
         EBADMSG, 0},
        {"sha-256 "
         "4AA:D:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:"
         "02:12:DF",
         EBADMSG, 0},
        {"sha-256 "
         "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:"
         "02:12:DF:",
         EBADMSG, 0},
        {"sha-384 "
         "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:"
         "0D:0E:0F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F",
         0, 48},
        {"sha-256", EBADMSG, 0},
        {"sha-256 ", EBADMSG, 0},
        {" ", EBADMSG, 0},
        {"", EBADMSG, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dtls_fingerprint fp = {0};

        assert_int_equal(dtls_fingerprint_parse(sl_str(rows[i].text), &fp), rows[i].err);
        if (rows[i].err == 0) {
            assert_int_equal(fp.n, rows[i].n);
        }
    }
}

static void a_wrong_fingerprint_ends_the_handshake_without_keys(void **state)
{
    struct dtls_fingerprint fp = rig_fingerprint(ACTIVE);
    struct dtls_srtp_keys k;

    (void)state;
    fp.digest[31] ^= 1;
    rig_introduce(ACTIVE, PASSIVE);
    assert_int_equal(dtls_set_fingerprints(rig.end[PASSIVE].d, &fp, 1), 0);
    rig_run(60000);
    assert_state(PASSIVE, DTLS_FAILED);
    assert_int_equal(dtls_error(rig.end[PASSIVE].d), EACCES);
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &k), EACCES);
    assert_state(ACTIVE, DTLS_FAILED); /* by the alert */
    assert_int_equal(dtls_error(rig.end[ACTIVE].d), ECONNRESET);
    assert_int_equal(dtls_timeout_ms(rig.end[PASSIVE].d, rig.now_ms), -1);
}

static void the_active_side_checks_as_well(void **state)
{
    (void)state;
    rig_introduce(ACTIVE, ACTIVE);
    rig_introduce(PASSIVE, ACTIVE);
    rig_run(60000);
    assert_int_equal(dtls_error(rig.end[ACTIVE].d), EACCES);
    assert_state(PASSIVE, DTLS_FAILED);
}

static void keys_wait_for_the_fingerprint(void **state)
{
    struct dtls_srtp_keys k;

    (void)state;
    rig_introduce(ACTIVE, PASSIVE);
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &k), EAGAIN);
    rig_start(); /* an early ClientHello */
    assert_state(ACTIVE, DTLS_READY);
    assert_state(PASSIVE, DTLS_UNVERIFIED);
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &k), EAGAIN);
    rig_introduce(PASSIVE, ACTIVE);
    assert_gcm_keys();
}

static void a_late_fingerprint_that_is_wrong_gives_no_keys(void **state)
{
    struct dtls_srtp_keys k;

    (void)state;
    rig_introduce(ACTIVE, PASSIVE);
    rig_start();
    rig_introduce(PASSIVE, PASSIVE);
    assert_state(PASSIVE, DTLS_FAILED);
    assert_int_equal(dtls_take_keys(rig.end[PASSIVE].d, &k), EACCES);
    assert_int_equal(
        dtls_set_fingerprints(rig.end[PASSIVE].d, &(struct dtls_fingerprint){.n = 32}, 1), EPROTO);
}

static void hashes_of(unsigned whom, struct dtls_fingerprint fp[DTLS_HASHES])
{
    X509 *x = SSL_CTX_get0_certificate(rig.end[whom].ctx->ssl);

    for (unsigned i = 0; i < DTLS_HASHES; i++) {
        unsigned n = 0;

        assert_int_equal(X509_digest(x, dtls_hash(i), fp[i].digest, &n), 1);
        fp[i].n = (uint8_t)n;
    }
}

static void longer_hashes_are_known_and_the_strongest_decides(void **state)
{
    struct dtls_fingerprint fp[DTLS_HASHES], wrong;

    (void)state;
    hashes_of(ACTIVE, fp);
    rig_introduce(ACTIVE, PASSIVE);
    rig_start();
    assert_state(PASSIVE, DTLS_UNVERIFIED);
    assert_int_equal(dtls_set_fingerprints(rig.end[PASSIVE].d, &fp[1], 1), 0); /* sha-384 */
    assert_state(PASSIVE, DTLS_READY);
    assert_true(dtls_matches(rig.end[PASSIVE].d, fp, 3));
    assert_true(dtls_matches(rig.end[PASSIVE].d, &fp[0], 1));
    assert_true(dtls_matches(rig.end[PASSIVE].d, &fp[2], 1)); /* sha-512 */
    wrong = fp[2];
    wrong.digest[0] ^= 1;
    assert_false(dtls_matches(rig.end[PASSIVE].d, &wrong, 1));
    assert_true(dtls_matches(rig.end[PASSIVE].d, (struct dtls_fingerprint[]){wrong, fp[2]}, 2));
    /* RFC 8122 5: a weaker hash that fits does not make up for a stronger one that does not */
    assert_false(dtls_matches(rig.end[PASSIVE].d, (struct dtls_fingerprint[]){fp[0], wrong}, 2));
    assert_int_equal(dtls_set_fingerprints(rig.end[PASSIVE].d, fp, 0), EINVAL);
    assert_int_equal(dtls_set_fingerprints(rig.end[PASSIVE].d, fp, DTLS_FINGERPRINTS_MAX + 1),
                     EINVAL);
    assert_int_equal(dtls_set_fingerprints(rig.end[PASSIVE].d, fp, 3), EPROTO);
}

/* --- loss --- */

static unsigned lost_from, lost_flight;

static unsigned lose_one(unsigned from, unsigned flight, unsigned number)
{
    (void)number;
    return from == lost_from && flight == lost_flight ? 0 : 1;
}

static void again(void)
{
    rig_shut(ACTIVE);
    rig_shut(PASSIVE);
    assert_int_equal(rig_open(ACTIVE, NULL, 0), 0);
    assert_int_equal(rig_open(PASSIVE, NULL, 0), 0);
    introduce_both();
}

static void each_lost_flight_is_sent_again(void **state)
{
    (void)state;
    rig.wire = lose_one;
    for (lost_from = 0; lost_from < 2; lost_from++) {
        for (lost_flight = 0; lost_flight < 2; lost_flight++) {
            int64_t began;

            again();
            began = rig.now_ms;
            rig_run(20000);
            assert_gcm_keys();
            assert_true(rig.now_ms - began >= 200 && rig.now_ms - began < 2000);
        }
    }
}

static uint32_t dice;

static unsigned lose_a_quarter(unsigned from, unsigned flight, unsigned number)
{
    (void)from;
    (void)flight;
    (void)number;
    dice = dice * 1103515245 + 12345;
    return (dice >> 16) % 4 == 0 ? 0 : 1;
}

static void steady_loss_is_overcome(void **state)
{
    (void)state;
    rig.wire = lose_a_quarter;
    for (uint32_t seed = 0; seed < 40; seed++) {
        dice = seed;
        rig.reversed = seed % 2 != 0;
        again();
        rig_run(20000);
        assert_gcm_keys();
    }
}

static unsigned late_from, late_flight;

static unsigned be_late(unsigned from, unsigned flight, unsigned number)
{
    (void)number;
    if (late_from > 1 || (from == late_from && flight == late_flight)) {
        rig_wall_us += 300000; /* and nobody asks dtls_on_timeout() meanwhile */
    }
    return 1;
}

/* OpenSSL looks at its timer whenever it reads: a flight is repeated in one go with the next. */
static void late_flights_lose_nothing(void **state)
{
    (void)state;
    rig.wire = be_late;
    for (late_from = 0; late_from < 3; late_from++) {
        for (late_flight = 0; late_flight < 2; late_flight++) {
            again();
            rig_start();
            assert_gcm_keys();
        }
    }
}

static unsigned double_all(unsigned from, unsigned flight, unsigned number)
{
    (void)from;
    (void)flight;
    (void)number;
    return 2;
}

static void duplicates_do_no_harm(void **state)
{
    (void)state;
    rig.wire = double_all;
    introduce_both();
    rig_run(20000);
    assert_gcm_keys();
}

static unsigned lose_all(unsigned from, unsigned flight, unsigned number)
{
    (void)from;
    (void)flight;
    (void)number;
    return 0;
}

static void silence_ends_at_the_deadline(void **state)
{
    int64_t began = rig.now_ms;

    (void)state;
    rig.wire = lose_all;
    introduce_both();
    assert_int_equal(dtls_timeout_ms(rig.end[PASSIVE].d, rig.now_ms), -1); /* nobody began */
    rig_run(60000);
    assert_int_equal(dtls_error(rig.end[ACTIVE].d), ETIMEDOUT);
    assert_state(PASSIVE, DTLS_HANDSHAKE);
    rig_advance(0);
    /* 250 ms, doubling to 4 s, within 20 s */
    assert_true(rig.end[ACTIVE].sent >= 8 && rig.end[ACTIVE].sent <= 10);
    assert_true(rig.now_ms - began >= 20000);
    assert_int_equal(dtls_timeout_ms(rig.end[ACTIVE].d, rig.now_ms), -1);
}

/* The client missed our last flight and repeats its own: a server that is done answers. */
static void a_repeated_last_flight_is_answered(void **state)
{
    struct dtls_counts c;

    (void)state;
    lost_from = PASSIVE;
    lost_flight = 1;
    rig.wire = lose_one;
    introduce_both();
    rig_start();
    assert_state(PASSIVE, DTLS_READY);
    assert_state(ACTIVE, DTLS_HANDSHAKE);
    rig_advance(300);
    assert_gcm_keys();
    dtls_counts(rig.end[PASSIVE].d, &c);
    assert_int_equal(c.datagrams_out, 3);
}

static void after_the_linger_time_memory_goes_back(void **state)
{
    struct dtls_counts before, after;

    (void)state;
    introduce_both();
    rig_start();
    assert_gcm_keys();
    assert_int_equal(dtls_timeout_ms(rig.end[PASSIVE].d, rig.now_ms), DTLS_LINGER_MS);
    rig_advance(DTLS_LINGER_MS);
    assert_int_equal(dtls_timeout_ms(rig.end[PASSIVE].d, rig.now_ms), -1);
    dtls_counts(rig.end[PASSIVE].d, &before);
    dtls_feed(rig.end[PASSIVE].d, SL("\x16\xfe\xfd\0\1\0\0\0\0\0\1\0\1\0"), rig.now_ms);
    dtls_counts(rig.end[PASSIVE].d, &after);
    assert_int_equal(after.dropped, before.dropped + 1);
    assert_int_equal(after.steps, before.steps);
    assert_state(PASSIVE, DTLS_READY);
    dtls_settle(rig.end[PASSIVE].d); /* once more, and at a time when it means nothing */
    dtls_settle(rig.end[ACTIVE].d);
}

/* --- strangers and bad peers --- */

#define SERVER_HELLO_DONE SL("\x16\xfe\xfd\0\0\0\0\0\0\0\x09\0\x0c\x0e\0\0\0\0\7\0\0\0\0\0\0")

static void garbage_between_flights_does_no_harm(void **state)
{
    static const struct sl junk[] = {
        SL("\x16"), /* too short */
        SL("not a record at all"),
        SL("\x16\xfe\xfd\0\0\0\0\0\0\0\x09\xff\xff\1\2\3"), /* longer than it is */
        SL("\x16\xfe\xfd\0\0\0\0\0\0\0\x09\0\x03\1\2\3"),   /* half a header */
        /* a fragment that ends behind its message, and one of nothing */
        SL("\x16\xfe\xfd\0\0\0\0\0\0\0\x09\0\x0d\x0b\0\0\1\0\1\0\0\1\0\0\1\0"),
        SL("\x16\xfe\xfd\0\0\0\0\0\0\0\x09\0\x0c\x0b\0\0\1\0\1\0\0\0\0\0\0"),
        SL("\x16\xfe\x01\0\0\0\0\0\0\0\x09\0\x0c\x0e\0\0\0\0\7\0\0\0\0\0\0"), /* version */
        SL("\x17\xfe\xfd\0\0\0\0\0\0\0\x09\0\1\1"), /* data in the clear */
        SL("\x17\xfe\xfd\0\1\0\0\0\0\0\x09\0\x10"
           "0123456789abcdef"),                           /* under keys of nobody */
        SL("\x15\xfe\xfd\0\1\0\0\0\0\0\x09\0\x02\2\x28"), /* an alert of a later epoch */
        SL("\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x03\2\x28\0"),
        SL("\x14\xfe\xfd\0\0\0\0\0\0\0\x09\0\1\1"), /* ChangeCipherSpec */
        SL("\x14\xfe\xfd\0\0\0\0\0\0\0\x09\0\2\1\1"),
        SL("\x3f\xfe\xfd\0\0\0\0\0\0\0\x63\0\1\1"), /* a type that nobody uses */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(junk); i++) {
        again();
        rig.garbage = junk[i].p;
        rig.garbage_n = junk[i].n;
        rig_run(20000);
        if (dtls_state(rig.end[ACTIVE].d) != DTLS_READY ||
            dtls_state(rig.end[PASSIVE].d) != DTLS_READY) {
            fail_msg("garbage %zu: %d %d", i, dtls_error(rig.end[ACTIVE].d),
                     dtls_error(rig.end[PASSIVE].d));
        }
        assert_gcm_keys();
    }
}

/* A ClientHello of somebody else, an association that wants no SRTP of ours. */
static size_t foreign_hello(uint8_t *out, size_t cap)
{
    struct dtls *d = NULL;
    const struct dtls_params p = {.active = true};
    struct sl hello;

    assert_int_equal(dtls_new(&d, rig.end[ACTIVE].hub, &p), 0);
    dtls_start(d, rig.now_ms);
    dtls_hub_collect(rig.end[ACTIVE].hub, rig.now_ms);
    assert_true(dtls_next_out(d, &hello) && hello.n <= cap);
    memcpy(out, hello.p, hello.n);
    cap = hello.n;
    dtls_free(&d);
    return cap;
}

static void drop_output(unsigned of)
{
    struct sl out;

    rig_collect();
    while (dtls_next_out(rig.end[of].d, &out)) {
    }
}

/* CVE-2023-49786: whoever forges the peer's address must not spoil the call by one datagram. */
static void a_bad_client_hello_before_the_real_one_spoils_nothing(void **state)
{
    static uint8_t hello[2048];
    size_t n = foreign_hello(hello, sizeof(hello));
    struct dtls_counts c;
    struct sl out;

    (void)state;
    introduce_both();
    /* Its only cipher suite is TLS_NULL_WITH_NULL_NULL: no common one. */
    memset(hello + 13 + 12 + 2 + 32 + 2 + 2, 0, (size_t)hello[13 + 12 + 2 + 32 + 2 + 1]);
    dtls_feed(rig.end[PASSIVE].d, sl_make(hello, n), rig.now_ms);
    rig_collect();
    assert_state(PASSIVE, DTLS_HANDSHAKE);
    assert_false(dtls_next_out(rig.end[PASSIVE].d, &out)); /* no alert to the real peer */
    dtls_counts(rig.end[PASSIVE].d, &c);
    assert_int_equal(c.restarts, 1);
    rig_start();
    assert_gcm_keys();
}

static void another_client_hello_begins_anew(void **state)
{
    static uint8_t hello[2048];
    size_t n = foreign_hello(hello, sizeof(hello));
    struct dtls_counts c;

    (void)state;
    introduce_both();
    dtls_feed(rig.end[PASSIVE].d, sl_make(hello, n), rig.now_ms); /* a good one, of nobody */
    drop_output(PASSIVE);
    rig_start();
    assert_gcm_keys();
    dtls_counts(rig.end[PASSIVE].d, &c);
    assert_int_equal(c.restarts, 1);
}

static void patience_with_bad_handshakes_is_bounded(void **state)
{
    static const struct sl alert = SL("\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\2\x28");
    static uint8_t hello[2048];

    (void)state;
    introduce_both();
    for (unsigned i = 0; i < 5; i++) {
        size_t n = foreign_hello(hello, sizeof(hello));

        assert_state(PASSIVE, DTLS_HANDSHAKE);
        dtls_feed(rig.end[PASSIVE].d, sl_make(hello, n), rig.now_ms);
        drop_output(PASSIVE);
        dtls_feed(rig.end[PASSIVE].d, alert, rig.now_ms);
        drop_output(PASSIVE);
    }
    assert_state(PASSIVE, DTLS_FAILED);
    assert_int_equal(dtls_error(rig.end[PASSIVE].d), ECONNRESET);
}

static void the_deadline_names_what_went_wrong_before(void **state)
{
    static const struct sl alert = SL("\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\2\x28");
    static uint8_t hello[2048];
    size_t n = foreign_hello(hello, sizeof(hello));

    (void)state;
    dtls_feed(rig.end[PASSIVE].d, sl_make(hello, n), rig.now_ms);
    drop_output(PASSIVE);
    dtls_feed(rig.end[PASSIVE].d, alert, rig.now_ms);
    drop_output(PASSIVE);
    assert_int_equal(dtls_timeout_ms(rig.end[PASSIVE].d, rig.now_ms), 20000);
    rig_advance(20000);
    assert_int_equal(dtls_error(rig.end[PASSIVE].d), ECONNRESET);
}

static void floods_are_dropped_unread(void **state)
{
    struct dtls_counts c;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        dtls_feed(rig.end[PASSIVE].d, SERVER_HELLO_DONE, rig.now_ms);
        rig_collect();
    }
    dtls_counts(rig.end[PASSIVE].d, &c);
    assert_int_equal(c.datagrams_in, 1000);
    assert_int_equal(c.dropped, 1000 - 64);
    assert_int_equal(c.steps, 64);
    introduce_both();
    rig.now_ms += 1000; /* and a second later it is heard again */
    rig_start();
    assert_gcm_keys();
}

static void oversized_datagrams_are_dropped(void **state)
{
    static char big[DTLS_DATAGRAM_MAX + 1] = "\x16\xfe\xfd\0\0\0\0\0\0\0\0\x07\xf4";
    struct dtls_counts c;

    (void)state;
    dtls_feed(rig.end[PASSIVE].d, sl_make(big, sizeof(big)), rig.now_ms);
    dtls_feed(rig.end[PASSIVE].d, SL_NULL, rig.now_ms);
    dtls_counts(rig.end[PASSIVE].d, &c);
    assert_int_equal(c.dropped, 2);
    assert_int_equal(c.steps, 0);
}

static void an_active_one_hears_nothing_before_it_began(void **state)
{
    struct dtls_counts c;

    (void)state;
    dtls_feed(rig.end[ACTIVE].d, SERVER_HELLO_DONE, rig.now_ms);
    dtls_counts(rig.end[ACTIVE].d, &c);
    assert_int_equal(c.dropped, 1);
    introduce_both();
    rig_start();
    dtls_start(rig.end[ACTIVE].d, rig.now_ms); /* once is enough */
    rig_talk();
    assert_gcm_keys();
}

/* --- memory --- */

static void every_allocation_may_fail(void **state)
{
    uint64_t n = 0;
    bool hit = true;

    (void)state;
    while (hit) {
        rig_shut(ACTIVE);
        rig_shut(PASSIVE);
        mem_fault_arm(++n);
        if (rig_open(ACTIVE, NULL, 0) == 0 && rig_open(PASSIVE, NULL, 0) == 0) {
            introduce_both();
            rig_run(20000);
            assert_gcm_keys(); /* a datagram that could not be kept is sent again */
        }
        hit = mem_fault_hit();
        mem_fault_arm(0);
    }
    assert_true(n > 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)
    const struct CMUnitTest tests[] = {
        T(a_handshake_is_four_datagrams_and_gives_equal_keys),
        T(every_profile_gives_keys_of_its_length),
        T(the_order_of_profiles_is_ours),
        T(without_a_common_profile_both_fail),
        T(profiles_are_checked),
        T(every_process_has_a_certificate_of_its_own),
        T(fingerprints_are_read_as_rfc_8122_writes_them),
        T(a_wrong_fingerprint_ends_the_handshake_without_keys),
        T(the_active_side_checks_as_well),
        T(keys_wait_for_the_fingerprint),
        T(a_late_fingerprint_that_is_wrong_gives_no_keys),
        T(longer_hashes_are_known_and_the_strongest_decides),
        T(each_lost_flight_is_sent_again),
        T(steady_loss_is_overcome),
        T(late_flights_lose_nothing),
        T(duplicates_do_no_harm),
        T(silence_ends_at_the_deadline),
        T(a_repeated_last_flight_is_answered),
        T(after_the_linger_time_memory_goes_back),
        T(garbage_between_flights_does_no_harm),
        T(a_bad_client_hello_before_the_real_one_spoils_nothing),
        T(another_client_hello_begins_anew),
        T(patience_with_bad_handshakes_is_bounded),
        T(the_deadline_names_what_went_wrong_before),
        T(floods_are_dropped_unread),
        T(oversized_datagrams_are_dropped),
        T(an_active_one_hears_nothing_before_it_began),
        T(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
