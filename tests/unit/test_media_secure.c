/* test_media_secure.c - SRTP through the relay with keys of our own on each leg: every pair of
 * plain and secure sides, rollover, new keys, and what strangers and broken sources make of it. */
#include "media_secure_rig.h"

#include <malloc.h>

#define CALLS 64
#define A SRTP_AES_CM_128_HMAC_SHA1_80
#define G SRTP_AEAD_AES_128_GCM

static const uint8_t rtcp_rr[8] = {0x80, 201, 0, 1, 'S', 'S', 'R', 'C'};

static enum srtp_engine engines[] = {SRTP_ENGINE_EVP, SRTP_ENGINE_LIBSRTP};

/* Row by row of the matrix: what comes in by ... x what goes out by ... */
static const struct {
    enum srtp_suite suite[2]; /* SRTP_SUITE_NONE: plain */
} cells[] = {
    {{SRTP_SUITE_NONE, SRTP_SUITE_NONE}},
    {{SRTP_SUITE_NONE, A}},
    {{A, SRTP_SUITE_NONE}},
    {{A, A}},
    {{G, A}},
    {{SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_32}},
    {{SRTP_AES_256_CM_HMAC_SHA1_80, G}},
};

static void up(struct rig *r, enum srtp_engine engine)
{
    rig_up(r, MEDIA_RTP, AF_INET, AF_INET);
    r->m->srtp_engine = (uint8_t)engine;
}

/* A secure caller, a plain callee, both heard. */
static void up_secure(struct rig *r, struct end *e)
{
    up(r, SRTP_ENGINE_AUTO);
    rig_sdes(r, 0, e, A, 1);
    rig_speak(r, 0, e, 1);
    assert_true(rig_hears(r, 1, &(struct end){0}, 1));
    rig_speak(r, 1, &(struct end){0}, 1);
    assert_true(rig_hears(r, 0, e, 1));
}

static void check_cell(size_t k, enum srtp_engine engine)
{
    struct end e[2] = {{0}};
    struct rig r;

    up(&r, engine);
    for (unsigned side = 0; side < 2; side++) {
        if (cells[k].suite[side] != SRTP_SUITE_NONE) {
            rig_sdes(&r, side, &e[side], cells[k].suite[side], (uint8_t)(10 * side + 1));
        }
    }
    for (uint16_t seq = 100; seq < 103; seq++) {
        for (unsigned side = 0; side < 2; side++) {
            rig_speak(&r, side, &e[side], seq);
            if (!rig_hears(&r, !side, &e[!side], seq)) {
                fail_msg("cell %zu, engine %d, from side %u", k, (int)engine, side);
            }
        }
    }
    for (unsigned side = 0; side < 2; side++) {
        struct media_stats st = rig_stats(&r, side);
        struct sl want = cells[k].suite[side] != SRTP_SUITE_NONE
                             ? srtp_suite_name(cells[k].suite[side])
                             : SL("none");

        assert_int_equal(st.rx_packets, 3);
        assert_int_equal(st.tx_packets, 3);
        assert_int_equal(st.srtp_auth_failed + st.srtp_replayed + st.no_keys + st.malformed, 0);
        assert_true(sl_eq(st.suite, want));
        assert_int_equal(media_tx_packets_under_key(r.s, 0, side),
                         cells[k].suite[side] != SRTP_SUITE_NONE ? 3 : 0);
        rig_end_free(&e[side]);
    }
    rig_down(&r);
}

static void every_pair_of_plain_and_secure_sides_is_bridged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        for (size_t k = 0; k < COUNT_OF(cells); k++) {
            check_cell(k, engines[i]);
        }
    }
}

/* attacks.md 82: no key serves two legs or two directions. */
static void what_one_leg_hears_means_nothing_under_the_keys_of_the_other(void **state)
{
    _Alignas(8) uint8_t got[512];
    struct end e[2] = {{0}};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e[0], A, 1);
    rig_sdes(&r, 1, &e[1], A, 11);
    rig_speak(&r, 0, &e[0], 1);
    assert_int_equal(rig_read(r.phone[1], &e[0], got, sizeof(got)), -1);
    rig_speak(&r, 0, &e[0], 2);
    assert_true(rig_hears(&r, 1, &e[1], 2));
    rig_end_free(&e[0]);
    rig_end_free(&e[1]);
    rig_down(&r);
}

static void a_key_that_would_be_used_twice_is_refused(void **state)
{
    struct srtp_key a = rig_key(A, 1), b = rig_key(A, 2), c = rig_key(A, 3);
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    assert_int_equal(media_set_sdes(r.s, 0, 0, &a, &a), EPROTO);
    assert_int_equal(media_set_sdes(r.s, 0, 0, NULL, &a), EINVAL);
    assert_int_equal(media_set_sdes(r.s, 0, 0, &a, &b), 0);
    assert_int_equal(media_set_sdes(r.s, 0, 1, &a, &c), EPROTO);
    assert_int_equal(media_set_sdes(r.s, 9, 1, &a, &c), ENOENT);
    assert_true(sl_eq(rig_stats(&r, 1).suite, SL("none"))); /* as it was */
    rig_down(&r);
}

/* attacks.md 31: no downgrade inside a call. */
static void a_secure_side_never_becomes_plain(void **state)
{
    struct srtp_key a = rig_key(A, 1);
    struct end e = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    assert_int_equal(media_set_sdes(r.s, 0, 0, NULL, NULL), 0);
    assert_int_equal(media_set_sdes(r.s, 0, 0, &a, NULL), 0); /* offered, not answered */
    assert_int_equal(media_set_sdes(r.s, 0, 0, NULL, NULL), 0);
    rig_sdes(&r, 0, &e, A, 1);
    assert_int_equal(media_set_sdes(r.s, 0, 0, NULL, NULL), EPROTO);
    rig_say(&r, 0, r.phone[0]); /* plain packets of the right source are none */
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).srtp_auth_failed, 1);
    rig_end_free(&e);
    rig_down(&r);
}

static void until_their_key_is_known_nothing_of_theirs_is_heard(void **state)
{
    struct srtp_key ours = rig_key(A, 1), theirs = rig_key(A, 2);
    struct end e;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    e = (struct end){.tx = rig_context(&theirs, SRTP_PROTECT),
                     .rx = rig_context(&ours, SRTP_UNPROTECT)};
    assert_int_equal(media_set_sdes(r.s, 0, 0, &ours, NULL), 0);
    rig_speak(&r, 0, &e, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).no_keys, 2);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 0);
    rig_speak(&r, 1, &(struct end){0}, 1); /* to them it goes encrypted already */
    assert_true(rig_hears(&r, 0, &e, 1));
    assert_int_equal(media_set_sdes(r.s, 0, 0, &ours, &theirs), 0);
    rig_speak(&r, 0, &e, 2);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    rig_end_free(&e);
    rig_down(&r);
}

/* --- rollover (RFC 3711 3.3.1) --- */

/* 65,536 packets, only some of which are sent: numbers are fast-forwarded by less than half a turn,
 * as no receiver follows more. */
static void the_rollover_counter_follows_a_whole_turn_of_the_numbers(void **state)
{
    static const uint16_t seqs[] = {1, 20000, 45000, 65534, 65535, 0, 1, 20000, 45000, 65535, 0, 9};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        struct end e[2] = {{0}};
        struct rig r;

        up(&r, engines[i]);
        rig_sdes(&r, 0, &e[0], A, 1);
        rig_sdes(&r, 1, &e[1], A, 11);
        for (size_t k = 0; k < COUNT_OF(seqs); k++) {
            if (k != 0 && (uint16_t)(seqs[k] - seqs[k - 1]) >= 3000) { /* to be confirmed */
                rig_speak(&r, 0, &e[0], (uint16_t)(seqs[k] - 1));
                assert_false(rig_got(r.phone[1]));
            }
            rig_speak(&r, 0, &e[0], seqs[k]);
            if (!rig_hears(&r, 1, &e[1], seqs[k])) {
                fail_msg("engine %d, packet %zu", (int)engines[i], k);
            }
        }
        /* A re-INVITE with the same keys: counters go on, here and there. */
        assert_int_equal(media_set_sdes(r.s, 0, 0, &(struct srtp_key){0}, NULL), EINVAL);
        for (unsigned side = 0; side < 2; side++) {
            struct srtp_key ours = rig_key(A, side == 0 ? 1 : 11);
            struct srtp_key theirs = rig_key(A, side == 0 ? 2 : 12);

            assert_int_equal(media_set_sdes(r.s, 0, side, &ours, &theirs), 0);
        }
        rig_speak(&r, 0, &e[0], 10);
        assert_true(rig_hears(&r, 1, &e[1], 10));
        /* Other keys: both ends begin with ROC 0 again. */
        rig_sdes(&r, 0, &e[0], A, 21);
        rig_sdes(&r, 1, &e[1], A, 31);
        rig_speak(&r, 0, &e[0], 11);
        assert_true(rig_hears(&r, 1, &e[1], 11));
        assert_int_equal(rig_stats(&r, 0).srtp_auth_failed, 0);
        rig_end_free(&e[0]);
        rig_end_free(&e[1]);
        rig_down(&r);
    }
}

static void packets_under_the_old_key_are_heard_until_the_first_under_the_new(void **state)
{
    struct end old = {0}, e = {0};
    struct rig r;

    (void)state;
    up_secure(&r, &old);
    rig_sdes(&r, 0, &e, A, 21);
    rig_speak(&r, 0, &old, 2);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    rig_speak(&r, 1, &(struct end){0}, 2);
    assert_true(rig_hears(&r, 0, &e, 2)); /* what we send is under the new one at once */
    rig_speak(&r, 0, &e, 3);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 3));
    rig_speak(&r, 0, &old, 4);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).srtp_auth_failed, 1);
    rig_end_free(&old);
    rig_end_free(&e);
    rig_down(&r);
}

static void the_old_key_is_heard_for_two_seconds_at_most(void **state)
{
    struct end old = {0}, e = {0};
    struct rig r;

    (void)state;
    up_secure(&r, &old);
    rig_sdes(&r, 0, &e, A, 21);
    loop_advance(r.loop, 1999);
    rig_speak(&r, 0, &old, 2);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    loop_advance(r.loop, 1);
    rig_speak(&r, 0, &old, 3);
    assert_false(rig_got(r.phone[1]));
    rig_speak(&r, 0, &e, 4);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 4));
    rig_end_free(&old);
    rig_end_free(&e);
    rig_down(&r);
}

/* A single number far off would put all that follow behind the sender's index. */
static void a_stray_number_silences_no_secure_side(void **state)
{
    const struct end plain = {0};
    struct end e = {0};
    struct rig r;

    (void)state;
    up_secure(&r, &e);
    rig_speak(&r, 1, &plain, 20000);
    assert_false(rig_got(r.phone[0]));
    for (uint16_t seq = 2; seq < 20; seq++) {
        rig_speak(&r, 1, &plain, seq);
        assert_true(rig_hears(&r, 0, &e, seq));
    }
    assert_int_equal(rig_stats(&r, 1).srtp_replayed, 1);
    rig_speak(&r, 1, &plain, 20000); /* meant: the next one confirms it */
    rig_speak(&r, 1, &plain, 20001);
    assert_true(rig_hears(&r, 0, &e, 20001));
    rig_end_free(&e);
    rig_down(&r);
}

/* RFC 3711 3.1: padding is encrypted, so that only the plain text can tell whether it is sound. */
static void padding_is_judged_by_the_plain_text(void **state)
{
    _Alignas(8) uint8_t p[512], got[512];
    struct end e = {0};
    struct rig r;

    (void)state;
    up_secure(&r, &e);
    for (uint16_t seq = 2; seq < 102; seq++) {
        size_t n = rig_rtp(p, seq);

        p[0] |= 0x20;
        p[n - 1] = seq % 2 == 0 ? 4 : 255; /* every other one: more than there is */
        assert_int_equal(srtp_protect(e.tx, p, &n, sizeof(p)), 0);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
        assert_int_equal(rig_recv(r.phone[1], got, sizeof(got), NULL), seq % 2 == 0 ? 172 : -1);
    }
    assert_int_equal(rig_stats(&r, 0).malformed, 50);
    rig_end_free(&e);
    rig_down(&r);
}

/* --- strangers, attacks.md 70, 71, 81 --- */

static void a_third_party_steals_nothing_from_a_secure_call_and_is_heard_by_nobody(void **state)
{
    struct end e = {0}, wrong = {0};
    struct srtp_key k = rig_key(A, 77);
    struct media_stats st;
    struct rig r;

    (void)state;
    up_secure(&r, &e);
    wrong.tx = rig_context(&k, SRTP_PROTECT);
    for (unsigned i = 0; i < 50; i++) {
        _Alignas(8) uint8_t p[512];

        rig_say(&r, 0, r.stranger);
        rig_send(&rig_side(&r, 0)->rtp, r.stranger, p, rig_write(&wrong, p, (uint16_t)(2 + 2 * i)));
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, rig_write(&wrong, p, (uint16_t)(3 + 2 * i)));
    }
    assert_false(rig_got(r.phone[1]));
    st = rig_stats(&r, 0);
    assert_int_equal(st.strangers, 100);
    assert_int_equal(st.srtp_auth_failed, 50);
    assert_int_equal(st.rx_packets, 1);
    rig_speak(&r, 1, &(struct end){0}, 2);
    assert_true(rig_hears(&r, 0, &e, 2));
    assert_false(rig_got(r.stranger));
    rig_speak(&r, 0, &e, 2);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    rig_end_free(&e);
    rig_end_free(&wrong);
    rig_down(&r);
}

static void a_packet_must_authenticate_before_it_moves_the_endpoint(void **state)
{
    struct srtp_key k = rig_key(A, 77);
    struct end e = {0}, wrong = {0};
    int near;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    wrong.tx = rig_context(&k, SRTP_PROTECT);
    rig_sdes(&r, 0, &e, A, 1);
    near = rig_socket(rig_ip(10)); /* the address of the phone, but not its port */
    for (uint16_t i = 1; i < 5; i++) {
        _Alignas(8) uint8_t p[512];

        rig_send(&rig_side(&r, 0)->rtp, near, p, rig_write(&wrong, p, i));
    }
    assert_false(rig_stats(&r, 0).learned);
    assert_int_equal(rig_stats(&r, 0).srtp_auth_failed, 4);
    rig_speak(&r, 1, &(struct end){0}, 1);
    assert_false(rig_got(near));
    assert_true(rig_hears(&r, 0, &e, 1));
    rig_speak(&r, 0, &e, 1);
    assert_int_equal(rig_stats(&r, 0).rank, 1);
    (void)close(near);
    rig_end_free(&e);
    rig_end_free(&wrong);
    rig_down(&r);
}

/* A phone whose packets come from an address that nobody named, but under its key. */
static void an_unnamed_source_is_taken_when_it_authenticates_and_no_better_one_came(void **state)
{
    _Alignas(8) uint8_t p[512];
    struct end e = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e, A, 1);
    rig_send(&rig_side(&r, 0)->rtp, r.stranger, p, rig_write(&e, p, 1));
    assert_true(rig_hears(&r, 1, &(struct end){0}, 1));
    assert_int_equal(rig_stats(&r, 0).rank, 4);
    rig_speak(&r, 0, &e, 2); /* the exact one is better */
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    assert_int_equal(rig_stats(&r, 0).rank, 1);
    rig_send(&rig_side(&r, 0)->rtp, r.stranger, p, rig_write(&e, p, 3));
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    rig_end_free(&e);
    rig_down(&r);
}

static void replays_and_short_packets_are_dropped_and_end_no_call(void **state)
{
    _Alignas(8) uint8_t p[512], copy[512];
    struct end e = {0};
    size_t n;
    struct rig r;

    (void)state;
    up_secure(&r, &e);
    n = rig_write(&e, p, 2);
    memcpy(copy, p, n);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 2));
    for (unsigned i = 0; i < 3; i++) {
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], copy, n);
    }
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).srtp_replayed, 3);
    for (size_t cut = 12; cut < 30; cut++) { /* down to a bare header */
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], copy, cut);
    }
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).srtp_replayed + rig_stats(&r, 0).srtp_auth_failed, 21);
    assert_int_equal(r.silences, 0);
    rig_speak(&r, 0, &e, 3);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 3));
    rig_end_free(&e);
    rig_down(&r);
}

static void only_what_authenticates_feeds_the_watchdog(void **state)
{
    struct end e = {0};
    struct rig r;

    (void)state;
    up_secure(&r, &e);
    for (unsigned i = 0; i < 4; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS / 4 + 1);
        rig_speak(&r, 0, &(struct end){0}, (uint16_t)(2 + i)); /* the right source, but plain */
    }
    assert_int_equal(r.silences, 1);
    assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_AUTH_FAILING);
    rig_end_free(&e);
    rig_down(&r);
}

/* --- RTCP --- */

static void rtcp_is_secured_on_the_odd_port_and_muxed(void **state)
{
    struct rig r;

    (void)state;
    for (unsigned mux = 0; mux < 2; mux++) {
        _Alignas(8) uint8_t p[256], got[256];
        struct end e = {0};
        size_t n = sizeof(rtcp_rr);
        int fd;

        up(&r, SRTP_ENGINE_AUTO);
        r.remote[0].mux = mux != 0;
        rig_describe(&r, 0);
        rig_sdes(&r, 0, &e, A, 1);
        fd = mux != 0 ? r.phone[0] : r.phone_rtcp[0];
        memcpy(p, rtcp_rr, n);
        assert_int_equal(srtcp_protect(e.tx, p, &n, sizeof(p)), 0);
        rig_send(mux != 0 ? &rig_side(&r, 0)->rtp : &rig_side(&r, 0)->rtcp, fd, p, n);
        assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), sizeof(rtcp_rr));
        assert_memory_equal(got, rtcp_rr, sizeof(rtcp_rr));
        rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rtcp_rr, sizeof(rtcp_rr));
        n = (size_t)rig_recv(fd, got, sizeof(got), NULL);
        assert_int_equal(srtcp_unprotect(e.rx, got, &n), 0);
        assert_int_equal(n, sizeof(rtcp_rr));
        assert_memory_equal(got, rtcp_rr, n);
        rig_send(mux != 0 ? &rig_side(&r, 0)->rtp : &rig_side(&r, 0)->rtcp, fd, rtcp_rr,
                 sizeof(rtcp_rr)); /* plain */
        assert_false(rig_got(r.phone_rtcp[1]));
        assert_int_equal(rig_stats(&r, 0).srtp_auth_failed, 1);
        rig_end_free(&e);
        rig_down(&r);
    }
}

/* --- sources that start anew --- */

static void a_source_that_starts_its_numbers_anew_repeats_no_index(void **state)
{
    static const uint16_t in[] = {1000, 1001, 300, 301, 302, 1, 2, 3};
    struct end e = {0};
    uint16_t last = 0;
    unsigned heard = 0;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e, A, 1);
    for (size_t i = 0; i < COUNT_OF(in); i++) {
        _Alignas(8) uint8_t got[512];

        rig_speak(&r, 1, &(struct end){0}, in[i]);
        if (rig_read(r.phone[0], &e, got, sizeof(got)) >= 0) {
            assert_true(heard == 0 || rtp_seq(got) == (uint16_t)(last + 1));
            last = rtp_seq(got);
            heard++;
        }
    }
    assert_int_equal(heard, 6); /* the first of each jump is not believed yet */
    assert_int_equal(last, 1005);
    rig_end_free(&e);
    rig_down(&r);
}

/* Hold music that has one SSRC and begins anew each time, with somebody who speaks in between. */
static void a_source_that_comes_back_with_older_numbers_is_heard(void **state)
{
    static const struct {
        uint32_t ssrc;
        uint16_t in, out;
    } rows[] = {{1, 1000, 1000}, {2, 50, 50},     {1, 999, 999}, /* late, no new beginning */
                {2, 51, 51},     {1, 300, 1001},  {1, 301, 1002}, {2, 52, 52},
                {1, 302, 1003},  {1, 1300, 2001}, {2, 60000, 53}, {2, 60001, 54}};
    struct end e = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e, A, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        _Alignas(8) uint8_t p[512];
        size_t n = rig_rtp(p, rows[i].in);

        rtp_put32(p + 8, rows[i].ssrc);
        rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, n);
        assert_int_equal(rig_read(r.phone[0], &e, p, sizeof(p)), n);
        assert_int_equal(rtp_ssrc(p), rows[i].ssrc);
        assert_int_equal(rtp_seq(p), rows[i].out);
    }
    assert_int_equal(rig_stats(&r, 1).srtp_replayed, 0);
    rig_end_free(&e);
    rig_down(&r);
}

/* Two devices of a fork, each with keys of its own. The first one is heard early, the second one
 * displaces it, and the first one answers: its sequence numbers have wrapped, so a context that
 * began anew would use its key twice and understand nothing. */
static void a_fork_that_comes_back_goes_on_under_its_keys(void **state)
{
    struct end first = {0}, second = {0}, again = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 1, &first, A, 1);
    for (unsigned seq = 65534; seq < 65534 + 4; seq++) {
        rig_speak(&r, 0, &(struct end){0}, (uint16_t)seq);
        assert_true(rig_hears(&r, 1, &first, (uint16_t)seq));
        rig_speak(&r, 1, &first, (uint16_t)seq);
        assert_true(rig_hears(&r, 0, &(struct end){0}, (uint16_t)seq));
    }
    media_side_reset(r.s, 0, 1);
    rig_describe(&r, 1);
    rig_sdes(&r, 1, &second, A, 11);
    rig_speak(&r, 0, &(struct end){0}, 2);
    assert_true(rig_hears(&r, 1, &second, 2));
    media_side_reset(r.s, 0, 1);
    rig_describe(&r, 1);
    rig_sdes(&r, 1, &again, A, 1); /* contexts of the test's that nobody uses */
    rig_speak(&r, 0, &(struct end){0}, 3);
    assert_true(rig_hears(&r, 1, &first, 3));
    rig_speak(&r, 1, &first, 3);
    assert_true(rig_hears(&r, 0, &(struct end){0}, 3));
    rig_end_free(&first);
    rig_end_free(&second);
    rig_end_free(&again);
    rig_down(&r);
}

/* It kept our key and has taken another one of its own: only ours goes on where it was. */
static void a_fork_that_comes_back_with_a_new_key_is_heard_under_that(void **state)
{
    struct srtp_key ours = rig_key(A, 1), theirs = rig_key(A, 30);
    struct end e = {0}, plain = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 1, &e, A, 1);
    rig_speak(&r, 0, &plain, 1);
    assert_true(rig_hears(&r, 1, &e, 1));
    media_side_reset(r.s, 0, 1);
    rig_describe(&r, 1);
    assert_int_equal(media_set_sdes(r.s, 0, 1, &ours, &theirs), 0);
    srtp_free(&e.tx);
    e.tx = rig_context(&theirs, SRTP_PROTECT);
    rig_speak(&r, 0, &plain, 2);
    assert_true(rig_hears(&r, 1, &e, 2));
    rig_speak(&r, 1, &e, 2);
    assert_true(rig_hears(&r, 0, &plain, 2));
    rig_end_free(&e);
    rig_down(&r);
}

/* Whoever forks without end makes us keep no more than so many keys. */
static void keys_of_displaced_forks_are_kept_up_to_a_number(void **state)
{
    struct end e = {0}, plain = {0};
    int64_t live = 0;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 1, &e, A, 1);
    for (unsigned i = 0; i < 60; i++) {
        rig_speak(&r, 0, &plain, (uint16_t)(i + 1));
        assert_true(rig_hears(&r, 1, &e, (uint16_t)(i + 1)));
        live = i == 20 ? mem_live() : live;
        assert_true(i <= 20 || mem_live() == live);
        media_side_reset(r.s, 0, 1);
        rig_describe(&r, 1);
        rig_sdes(&r, 1, &e, A, (uint8_t)(3 + 2 * i));
    }
    rig_end_free(&e);
    rig_down(&r);
}

static size_t rtp_of(uint8_t *p, uint32_t ssrc, uint16_t seq)
{
    size_t n = rig_rtp(p, seq);

    rtp_put32(p + 8, ssrc);
    return n;
}

/* SSRC k of the phone, as packet 5; what the other phone has of it. */
static ssize_t said_under_name(struct rig *r, struct srtp *tx, uint32_t k)
{
    _Alignas(8) uint8_t p[512];
    size_t n = rtp_of(p, 1000 + k, 5);

    assert_int_equal(srtp_protect(tx, p, &n, sizeof(p)), 0);
    rig_send(&rig_side(r, 0)->rtp, r->phone[0], p, n);
    return rig_recv(r->phone[1], p, sizeof(p), NULL);
}

/* The table grows between packets; the 65th name is refused and says why. */
static void a_secure_peer_is_heard_under_many_names(void **state)
{
    struct srtp_key theirs = rig_key(A, 2), other = rig_key(A, 2);
    struct end e = {0}, more = {0};
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e, A, 1);
    srtp_free(&e.tx);
    assert_int_equal(srtp_new(&e.tx, &(struct srtp_params){.key = &theirs,
                                                           .direction = SRTP_PROTECT,
                                                           .max_ssrcs = SRTP_SSRCS_MAX}),
                     0);
    for (uint32_t k = 0; k < SRTP_SSRCS_MAX; k++) {
        assert_int_equal(said_under_name(&r, e.tx, k), 172);
        loop_advance(r.loop, 0);
    }
    more.tx = rig_context(&other, SRTP_PROTECT);
    assert_int_equal(said_under_name(&r, more.tx, SRTP_SSRCS_MAX), -1);
    assert_int_equal(rig_stats(&r, 0).srtp_ssrc_limit, 1);
    assert_int_equal(rig_stats(&r, 0).malformed, 0);
    rig_end_free(&more);
    rig_end_free(&e);
    rig_down(&r);
}

static void a_source_with_one_name_too_many_goes_on_under_the_last(void **state)
{
    _Alignas(8) uint8_t p[512], got[512];
    struct end e = {0};
    struct srtp_key ours = rig_key(A, 1);
    uint32_t last_ssrc = 0;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    rig_sdes(&r, 0, &e, A, 1);
    srtp_free(&e.rx);
    assert_int_equal(srtp_new(&e.rx, &(struct srtp_params){.key = &ours,
                                                           .direction = SRTP_UNPROTECT,
                                                           .max_ssrcs = SRTP_SSRCS_MAX}),
                     0);
    for (uint32_t k = 0; k < 40; k++) {
        for (uint16_t seq = 5; seq < 8; seq++) {
            rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, rtp_of(p, 1000 + k, seq));
            assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), 172);
            last_ssrc = rtp_ssrc(got);
        }
    }
    assert_int_equal(last_ssrc, 1007);
    assert_int_equal(rtp_seq(got), 7 + 3 * 32);
    assert_int_equal(rig_stats(&r, 0).send_failed, 0);
    rig_end_free(&e);
    rig_down(&r);
}

/* What malloc() holds for a call with SRTP on both legs; 0 where its figures are not to be had. */
static void memory_per_secure_call_is_bounded(void **state)
{
    struct media_session *calls[CALLS];
    size_t before;
    struct rig r;

    (void)state;
    up(&r, SRTP_ENGINE_AUTO);
    before = mallinfo2().uordblks;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(media_session_new(&calls[i], r.m, rig_on_silence, &r), 0);
        for (unsigned side = 0; side < 2; side++) {
            struct srtp_key ours = rig_key(side == 0 ? A : G, 1);
            struct srtp_key theirs = rig_key(side == 0 ? A : G, 2);

            assert_int_equal(media_open(calls[i], 0, side, MEDIA_RTP, 1, AF_INET), 0);
            media_set_remote(calls[i], 0, side, &r.remote[side]);
            assert_int_equal(media_set_sdes(calls[i], 0, side, &ours, &theirs), 0);
        }
    }
    printf("%zu bytes a call\n", (mallinfo2().uordblks - before) / CALLS);
    assert_in_range((mallinfo2().uordblks - before) / CALLS, 0, 9216);
    for (unsigned i = 0; i < CALLS; i++) {
        media_session_close(&calls[i]);
    }
    rig_down(&r);
}

static int group_up(void **state)
{
    (void)state;
    return crypto_init() != 0 || srtp_engine_start(SRTP_ENGINE_LIBSRTP) != 0 ? -1 : 0;
}

static int group_down(void **state)
{
    (void)state;
    srtp_engine_stop();
    crypto_deinit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_plain_and_secure_sides_is_bridged),
        cmocka_unit_test(what_one_leg_hears_means_nothing_under_the_keys_of_the_other),
        cmocka_unit_test(a_key_that_would_be_used_twice_is_refused),
        cmocka_unit_test(a_secure_side_never_becomes_plain),
        cmocka_unit_test(until_their_key_is_known_nothing_of_theirs_is_heard),
        cmocka_unit_test(the_rollover_counter_follows_a_whole_turn_of_the_numbers),
        cmocka_unit_test(a_stray_number_silences_no_secure_side),
        cmocka_unit_test(padding_is_judged_by_the_plain_text),
        cmocka_unit_test(packets_under_the_old_key_are_heard_until_the_first_under_the_new),
        cmocka_unit_test(the_old_key_is_heard_for_two_seconds_at_most),
        cmocka_unit_test(a_third_party_steals_nothing_from_a_secure_call_and_is_heard_by_nobody),
        cmocka_unit_test(a_packet_must_authenticate_before_it_moves_the_endpoint),
        cmocka_unit_test(an_unnamed_source_is_taken_when_it_authenticates_and_no_better_one_came),
        cmocka_unit_test(replays_and_short_packets_are_dropped_and_end_no_call),
        cmocka_unit_test(only_what_authenticates_feeds_the_watchdog),
        cmocka_unit_test(rtcp_is_secured_on_the_odd_port_and_muxed),
        cmocka_unit_test(a_source_that_starts_its_numbers_anew_repeats_no_index),
        cmocka_unit_test(a_source_that_comes_back_with_older_numbers_is_heard),
        cmocka_unit_test(a_fork_that_comes_back_goes_on_under_its_keys),
        cmocka_unit_test(a_fork_that_comes_back_with_a_new_key_is_heard_under_that),
        cmocka_unit_test(keys_of_displaced_forks_are_kept_up_to_a_number),
        cmocka_unit_test(a_secure_peer_is_heard_under_many_names),
        cmocka_unit_test(a_source_with_one_name_too_many_goes_on_under_the_last),
        cmocka_unit_test(memory_per_secure_call_is_bounded),
    };

    return cmocka_run_group_tests(tests, group_up, group_down);
}
