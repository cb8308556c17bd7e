/* Rollover, replay and the table of SSRCs, with packets; each test runs with both engines. */
#include "srtp_rig.h"

#define EACH_ENGINE(e)                                                                             \
    for (enum srtp_engine e = SRTP_ENGINE_EVP; e <= SRTP_ENGINE_LIBSRTP;                           \
         e = (enum srtp_engine)(e + 1))

static struct rig_pair pair_of(enum srtp_suite suite, enum srtp_engine e)
{
    struct srtp_key k;

    rig_key(&k, suite, 77);
    return rig_pair(&k, e, e);
}

/* Where the receiver stands with RIG_SSRC. */
static struct srtp_ssrc heard_so_far(const struct srtp *s)
{
    struct srtp_ssrc all[SRTP_SSRCS] = {{0}};
    size_t n = srtp_ssrcs(s, all, COUNT_OF(all));

    for (size_t i = 0; i < n; i++) {
        if (all[i].ssrc == RIG_SSRC) {
            return all[i];
        }
    }
    return (struct srtp_ssrc){0};
}

static void fast_forward(struct rig_pair *r, uint32_t roc, uint16_t seq)
{
    const struct srtp_ssrc to = {.ssrc = RIG_SSRC, .roc = roc, .seq = seq, .has_rtp = true};

    assert_int_equal(srtp_set_ssrc(r->tx, &to), 0);
    assert_int_equal(srtp_set_ssrc(r->rx, &to), 0);
}

static void every_packet_of_two_cycles_arrives(void **state)
{
    static const enum srtp_suite suites[] = {SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AEAD_AES_128_GCM};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(suites); k++) {
        struct rig_pair r = pair_of(suites[k], SRTP_ENGINE_AUTO);
        struct rig_packet p;

        for (uint32_t i = 65500; i < 2 * 65536 + 100; i++) {
            rig_sent(&r, (uint16_t)i, &p);
            assert_int_equal(rig_unprotect(r.rx, &p), 0);
            assert_int_equal(p.b[12], i & 0xff);
        }
        assert_int_equal(heard_so_far(r.rx).roc, 2);
        assert_int_equal(heard_so_far(r.tx).seq, 99);
        rig_pair_free(&r);
    }
}

static void the_lowest_of_all_indices_may_come_late(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
        struct rig_packet p;

        for (unsigned i = 0; i < 2; i++) {
            rig_sent(&r, i == 0 ? 5 : 0, &p);
            assert_int_equal(rig_heard(&r, &p), 0);
        }
        rig_pair_free(&r);
    }
}

static void a_table_never_shrinks_nor_outgrows_its_maximum(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
        unsigned room = srtp_room(r.rx);

        assert_int_equal(srtp_grow(&r.rx, 1), 0);
        assert_int_equal(srtp_room(r.rx), room);
        assert_int_equal(srtp_grow(&r.rx, SRTP_SSRCS_MAX + 1), 0);
        assert_int_equal(srtp_room(r.rx), room);
        assert_int_equal(srtp_grow(&r.rx, SRTP_SSRCS_MAX), 0);
        assert_int_equal(srtp_room(r.rx), SRTP_SSRCS_MAX);
        rig_pair_free(&r);
    }
}

static void packets_change_places_around_the_wrap(void **state)
{
    static const uint16_t order[] = {65530, 65533, 65531, 65535, 1,     65534, 0,
                                     65532, 3,     2,     100,   65520, 50,    4};

    (void)state;
    EACH_ENGINE(e)
    {
        for (uint32_t roc = 0; roc < 3; roc++) {
            struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
            struct rig_packet p[COUNT_OF(order)];

            if (roc != 0) {
                fast_forward(&r, roc, 65400);
            }
            for (size_t i = 0; i < COUNT_OF(order); i++) { /* late ones pass the sender, too */
                rig_sent(&r, order[i], &p[i]);
                assert_int_equal(rig_heard(&r, &p[i]), 0);
            }
            for (size_t i = 0; i < COUNT_OF(order); i++) {
                assert_int_equal(rig_heard(&r, &p[i]), EALREADY);
            }
            assert_int_equal(heard_so_far(r.rx).roc, roc + 1);
            assert_int_equal(heard_so_far(r.rx).seq, 100);
            rig_pair_free(&r);
        }
    }
}

/* RFC 3711 3.3.1: the next one heard may lie half a cycle ahead, less one in the upper half. */
static void a_burst_of_losses_is_survived_up_to_half_a_cycle(void **state)
{
    static const uint16_t starts[] = {0, 1, 100, 32767, 32768, 32769, 60000, 65535};

    (void)state;
    EACH_ENGINE(e)
    {
        for (size_t i = 0; i < COUNT_OF(starts); i++) {
            uint32_t most = starts[i] < 0x8000 ? 0x8000 : 0x7fff;

            for (uint32_t ahead = 0x7ffe; ahead <= 0x8001; ahead++) {
                struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
                uint32_t next = starts[i] + ahead;
                struct rig_packet p;

                fast_forward(&r, 5, starts[i]);
                rig_sent(&r, (uint16_t)(starts[i] + 10), &p); /* lost like all the others */
                rig_sent(&r, (uint16_t)next, &p);
                assert_int_equal(rig_heard(&r, &p) == 0, ahead <= most);
                assert_int_equal(heard_so_far(r.rx).roc, ahead <= most ? 5 + next / 0x10000 : 5);
                rig_pair_free(&r);
            }
        }
    }
}

static void a_replay_is_refused_and_so_is_what_is_too_old_to_tell(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AEAD_AES_128_GCM, e);
        static struct rig_packet p[300];

        for (uint16_t i = 0; i < 300; i++) {
            rig_sent(&r, i, &p[i]);
        }
        assert_int_equal(rig_heard(&r, &p[199]), 0);
        assert_int_equal(rig_heard(&r, &p[199]), EALREADY);
        assert_int_equal(rig_heard(&r, &p[199 - 127]), 0); /* the last one in the window */
        assert_int_equal(rig_heard(&r, &p[199 - 127]), EALREADY);
        assert_int_equal(rig_heard(&r, &p[199 - 128]), EALREADY);
        assert_int_equal(rig_heard(&r, &p[0]), EALREADY);
        assert_int_equal(rig_heard(&r, &p[299]), 0);
        assert_int_equal(rig_heard(&r, &p[199]), EALREADY);
        assert_int_equal(rig_heard(&r, &p[200]), 0);
        assert_int_equal(rig_heard(&r, &p[171]), EALREADY);
        assert_int_equal(heard_so_far(r.rx).seq, 299);
        assert_int_equal(srtp_packets(r.rx), 4);
        rig_pair_free(&r);
    }
}

/* A relay gets packets twice, late and with numbers that start anew. */
static void no_index_protects_two_packets(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
        struct rig_packet p, before;

        rig_sent(&r, 1000, &p);
        rig_rtp(&p, RIG_SSRC, 1000);
        before = p;
        assert_int_equal(rig_protect(r.tx, &p), EPROTO);
        assert_same_packet(&p, &before);
        p.b[20] ^= 1;
        assert_int_equal(rig_protect(r.tx, &p), EPROTO);
        rig_sent(&r, 1200, &p);
        rig_sent(&r, 1200 - 127, &p);
        rig_rtp(&p, RIG_SSRC, 1200 - 127);
        assert_int_equal(rig_protect(r.tx, &p), EPROTO);
        rig_rtp(&p, RIG_SSRC, 1200 - 128);
        assert_int_equal(rig_protect(r.tx, &p), EPROTO);
        rig_rtp(&p, RIG_SSRC, 40000); /* more than half a cycle: before the first, or far ahead? */
        assert_int_equal(rig_protect(r.tx, &p), EPROTO);
        rig_sent(&r, 1201, &p);
        assert_int_equal(srtp_packets(r.tx), 4);
        rig_pair_free(&r);
    }
}

static void a_packet_that_does_not_fit_uses_no_index(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
            size_t tag = srtp_tag_len(suite, false), rtcp = 4 + srtp_tag_len(suite, true);
            struct rig_pair r = pair_of(suite, e);
            struct rig_packet p, before;

            rig_rtp(&p, RIG_SSRC, 7);
            before = p;
            assert_int_equal(srtp_protect(r.tx, p.b, &p.n, p.n + tag - 1), EMSGSIZE);
            assert_same_packet(&p, &before);
            assert_int_equal(srtp_protect(r.tx, p.b, &p.n, p.n + tag), 0);
            assert_int_equal(p.n, before.n + tag);
            rig_rtcp(&p, RIG_SSRC);
            before = p;
            assert_int_equal(srtcp_protect(r.tx, p.b, &p.n, p.n + rtcp - 1), EMSGSIZE);
            assert_same_packet(&p, &before);
            assert_int_equal(srtcp_protect(r.tx, p.b, &p.n, p.n + rtcp), 0);
            assert_int_equal(p.n, before.n + rtcp);
            assert_true(p.n <= before.n + SRTP_TRAILER_MAX);
            p.n = 65536;
            assert_int_equal(srtp_protect(r.tx, p.b, &p.n, 70000), EMSGSIZE);
            assert_int_equal(srtcp_protect(r.tx, p.b, &p.n, 70000), EMSGSIZE);
            assert_int_equal(srtp_unprotect(r.rx, p.b, &p.n), EBADMSG);
            assert_int_equal(srtcp_unprotect(r.rx, p.b, &p.n), EBADMSG);
            rig_pair_free(&r);
        }
    }
}

static void srtcp_counts_for_itself(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_32, e);
        static struct rig_packet p[200];

        for (unsigned i = 0; i < 200; i++) {
            rig_rtcp(&p[i], RIG_SSRC);
            assert_int_equal(rig_protect_rtcp(r.tx, &p[i]), 0);
        }
        for (unsigned i = 100; i > 100 - 64; i--) {
            struct rig_packet copy = p[i];

            assert_int_equal(rig_unprotect_rtcp(r.rx, &copy), 0);
            copy = p[i];
            assert_int_equal(rig_unprotect_rtcp(r.rx, &copy), EALREADY);
        }
        assert_int_equal(rig_unprotect_rtcp(r.rx, &p[100 - 64]), EALREADY);
        assert_int_equal(rig_unprotect_rtcp(r.rx, &p[199]), 0);
        assert_false(heard_so_far(r.rx).has_rtp);
        assert_int_equal(heard_so_far(r.rx).rtcp_index, heard_so_far(r.tx).rtcp_index);
        rig_pair_free(&r);
    }
}

static void the_last_index_of_a_key_is_the_last(void **state)
{
    const struct srtp_ssrc end = {.ssrc = RIG_SSRC,
                                  .roc = 0xffffffff,
                                  .seq = 65534,
                                  .rtcp_index = 0x7ffffffe,
                                  .has_rtp = true,
                                  .has_rtcp = true};
    struct rig_pair r = pair_of(SRTP_AEAD_AES_256_GCM, SRTP_ENGINE_EVP);
    struct rig_packet p;

    (void)state;
    assert_int_equal(srtp_set_ssrc(r.tx, &end), 0);
    assert_int_equal(srtp_set_ssrc(r.rx, &end), 0);
    rig_sent(&r, 65535, &p);
    assert_int_equal(rig_unprotect(r.rx, &p), 0);
    rig_rtp(&p, RIG_SSRC, 0);
    assert_int_equal(rig_protect(r.tx, &p), EKEYEXPIRED);
    assert_int_equal(rig_unprotect(r.rx, &p), EKEYEXPIRED);
    rig_rtcp(&p, RIG_SSRC);
    assert_int_equal(rig_protect_rtcp(r.tx, &p), 0);
    assert_int_equal(rig_unprotect_rtcp(r.rx, &p), 0);
    assert_int_equal(rig_protect_rtcp(r.tx, &p), EKEYEXPIRED);
    rig_pair_free(&r);
}

/* --- the table --- */

static void one_ssrc_too_many_is_refused_and_the_others_go_on(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, e);
        struct srtp *other = NULL;
        struct srtp_key k;
        struct rig_packet p;

        rig_key(&k, SRTP_AES_CM_128_HMAC_SHA1_80, 77);
        other = rig_new(&k, SRTP_PROTECT, e); /* somebody who has other SSRCs under the key */
        for (uint32_t i = 0; i < SRTP_SSRCS; i++) {
            rig_rtp(&p, i, 10);
            assert_int_equal(rig_protect(r.tx, &p), 0);
            assert_int_equal(rig_unprotect(r.rx, &p), 0);
        }
        rig_rtp(&p, SRTP_SSRCS, 10);
        assert_int_equal(rig_protect(r.tx, &p), ENOBUFS);
        rig_rtcp(&p, SRTP_SSRCS);
        assert_int_equal(rig_protect_rtcp(r.tx, &p), ENOBUFS);
        for (unsigned twice = 0; twice < 2; twice++) { /* nothing of it is kept the first time */
            rig_rtp(&p, SRTP_SSRCS, (uint16_t)(10 + twice));
            assert_int_equal(rig_protect(other, &p), 0);
            assert_int_equal(rig_unprotect(r.rx, &p), ENOBUFS);
            rig_rtcp(&p, SRTP_SSRCS);
            assert_int_equal(rig_protect_rtcp(other, &p), 0);
            assert_int_equal(rig_unprotect_rtcp(r.rx, &p), ENOBUFS);
        }
        for (uint32_t i = 0; i < SRTP_SSRCS; i++) {
            rig_rtp(&p, i, 11);
            assert_int_equal(rig_protect(r.tx, &p), 0);
            assert_int_equal(rig_unprotect(r.rx, &p), 0);
        }
        assert_int_equal(srtp_ssrcs(r.rx, NULL, 0), SRTP_SSRCS);
        srtp_free(&other);
        rig_pair_free(&r);
    }
}

static void a_packet_that_is_not_authentic_makes_no_entry(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AEAD_AES_128_GCM, e);
        struct rig_packet p, forged;

        for (uint32_t i = 0; i < 1000; i++) {
            rig_rtp(&forged, i, 10);
            forged.n += 16;
            assert_int_equal(rig_unprotect(r.rx, &forged), EBADMSG);
            rig_rtcp(&forged, i);
            forged.b[forged.n + 16] = 0x80;
            forged.n += 20;
            assert_int_equal(rig_unprotect_rtcp(r.rx, &forged), EBADMSG);
        }
        assert_int_equal(srtp_ssrcs(r.rx, NULL, 0), 0);
        rig_sent(&r, 10, &p);
        assert_int_equal(rig_unprotect(r.rx, &p), 0);
        rig_rtp(&forged, RIG_SSRC, 30000); /* nor does one move the window */
        forged.n += 16;
        assert_int_equal(rig_unprotect(r.rx, &forged), EBADMSG);
        assert_int_equal(heard_so_far(r.rx).seq, 10);
        rig_sent(&r, 11, &p);
        assert_int_equal(rig_unprotect(r.rx, &p), 0);
        assert_int_equal(srtp_packets(r.rx), 2);
        rig_pair_free(&r);
    }
}

static void the_table_is_as_large_as_asked_for(void **state)
{
    struct srtp_params params = {.direction = SRTP_PROTECT};
    struct srtp_key k;
    struct rig_packet p;

    (void)state;
    rig_key(&k, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
    params.key = &k;
    EACH_ENGINE(e)
    {
        params.engine = e;
        for (unsigned max = 1; max <= SRTP_SSRCS_MAX; max += 21) {
            struct srtp *s = NULL;

            params.max_ssrcs = (uint8_t)max;
            assert_int_equal(srtp_new(&s, &params), 0);
            for (uint32_t i = 0; i <= max; i++) {
                rig_rtp(&p, i << 24, 1);
                assert_int_equal(rig_protect(s, &p), i < max ? 0 : ENOBUFS);
            }
            srtp_free(&s);
        }
    }
}

/* The call serialiser: what one process was told, another one goes on with. */
static void a_call_goes_on_after_its_state_was_handed_over(void **state)
{
    struct rig_pair r = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_ENGINE_EVP), next;
    struct srtp_ssrc states[SRTP_SSRCS];
    struct rig_packet p, last;
    size_t n;

    (void)state;
    fast_forward(&r, 41, 65535);
    rig_sent(&r, 5, &last);
    assert_int_equal(rig_heard(&r, &last), 0);
    rig_rtcp(&p, RIG_SSRC);
    assert_int_equal(rig_protect_rtcp(r.tx, &p), 0);
    next = pair_of(SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_ENGINE_EVP);
    n = srtp_ssrcs(r.tx, states, COUNT_OF(states));
    assert_int_equal(n, 1);
    assert_int_equal(srtp_set_ssrc(next.tx, &states[0]), 0);
    assert_int_equal(srtp_ssrcs(r.rx, states, COUNT_OF(states)), 1);
    assert_int_equal(srtp_set_ssrc(next.rx, &states[0]), 0);
    assert_int_equal(rig_heard(&next, &last), EALREADY);
    rig_rtp(&p, RIG_SSRC, 5);
    assert_int_equal(rig_protect(next.tx, &p), EPROTO);
    rig_sent(&next, 6, &p);
    assert_int_equal(rig_heard(&r, &p), 0); /* the far end noticed nothing */
    assert_int_equal(rig_heard(&next, &p), 0);
    assert_int_equal(heard_so_far(next.rx).roc, 42);
    rig_rtcp(&p, RIG_SSRC);
    assert_int_equal(rig_protect_rtcp(next.tx, &p), 0);
    assert_int_equal(heard_so_far(next.tx).rtcp_index, 1);
    rig_pair_free(&r);
    rig_pair_free(&next);
}

static void setting_one_ssrc_too_many_is_refused(void **state)
{
    (void)state;
    EACH_ENGINE(e)
    {
        struct rig_pair r = pair_of(SRTP_AEAD_AES_256_GCM, e);

        for (unsigned i = 0; i < SRTP_SSRCS + 3; i++) {
            const struct srtp_ssrc set = {.ssrc = i, .roc = i, .seq = 1, .has_rtp = true};

            assert_int_equal(srtp_set_ssrc(r.rx, &set), i < SRTP_SSRCS ? 0 : ENOBUFS);
        }
        assert_int_equal(srtp_ssrcs(r.rx, NULL, 0), SRTP_SSRCS);
        rig_pair_free(&r);
    }
}

/* A sender that goes back would protect other packets with the same indices. */
static void a_sender_does_not_go_back(void **state)
{
    static const struct {
        uint32_t roc, rtcp_index;
        uint16_t seq;
        bool has_rtp, has_rtcp;
        int err;
    } rows[] = {
        {5, 0, 1000, true, false, 0},       {5, 0, 999, true, false, EPROTO},
        {4, 0, 60000, true, false, EPROTO}, {5, 0, 1000, true, false, 0},
        {0, 70, 0, false, true, 0},         {0, 69, 0, false, true, EPROTO},
        {5, 69, 2000, true, true, EPROTO},  {4, 71, 2000, true, true, EPROTO},
        {6, 71, 2000, true, true, 0},       {0, 0, 0, false, false, 0},
    };
    struct rig_pair r = pair_of(SRTP_AEAD_AES_128_GCM, SRTP_ENGINE_EVP);
    struct srtp_ssrc got;
    struct rig_packet p;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct srtp_ssrc set = {.ssrc = RIG_SSRC,
                                      .roc = rows[i].roc,
                                      .seq = rows[i].seq,
                                      .rtcp_index = rows[i].rtcp_index,
                                      .has_rtp = rows[i].has_rtp,
                                      .has_rtcp = rows[i].has_rtcp};

        assert_int_equal(srtp_set_ssrc(r.tx, &set), rows[i].err);
        assert_int_equal(srtp_set_ssrc(r.rx, &set), 0);
    }
    got = heard_so_far(r.tx); /* what was not set, or refused, is as it was */
    assert_int_equal(got.roc, 6);
    assert_int_equal(got.seq, 2000);
    assert_int_equal(got.rtcp_index, 71);
    rig_sent(&r, 2001, &p);
    assert_int_equal(rig_heard(&r, &p), 0);
    rig_rtcp(&p, RIG_SSRC);
    assert_int_equal(rig_protect_rtcp(r.tx, &p), 0);
    assert_int_equal(heard_so_far(r.tx).rtcp_index, 72);
    assert_int_equal(rig_unprotect_rtcp(r.rx, &p), 0);
    rig_pair_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_of_two_cycles_arrives),
        cmocka_unit_test(the_lowest_of_all_indices_may_come_late),
        cmocka_unit_test(a_table_never_shrinks_nor_outgrows_its_maximum),
        cmocka_unit_test(packets_change_places_around_the_wrap),
        cmocka_unit_test(a_burst_of_losses_is_survived_up_to_half_a_cycle),
        cmocka_unit_test(a_replay_is_refused_and_so_is_what_is_too_old_to_tell),
        cmocka_unit_test(no_index_protects_two_packets),
        cmocka_unit_test(a_packet_that_does_not_fit_uses_no_index),
        cmocka_unit_test(srtcp_counts_for_itself),
        cmocka_unit_test(the_last_index_of_a_key_is_the_last),
        cmocka_unit_test(one_ssrc_too_many_is_refused_and_the_others_go_on),
        cmocka_unit_test(a_packet_that_is_not_authentic_makes_no_entry),
        cmocka_unit_test(the_table_is_as_large_as_asked_for),
        cmocka_unit_test(a_call_goes_on_after_its_state_was_handed_over),
        cmocka_unit_test(a_sender_does_not_go_back),
        cmocka_unit_test(setting_one_ssrc_too_many_is_refused),
    };

    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
