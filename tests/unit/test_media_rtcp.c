/* test_media_rtcp.c - RTCP across the relay: bounds (attacks.md 80), feedback for those who do not
 * know it, BYE, round trips, and names that differ on both sides. */
#include "media_rig.h"

#define SSRC "SSRC"
#define OTHER "OTHR"
#define RR0 "\x80\xc9\x00\x01" SSRC
#define SDES "\x81\xca\x00\x03" SSRC "\x01\x02me\x00\x00\x00\x00"
#define NACK "\x81\xcd\x00\x03" SSRC OTHER "\x00\x01\x00\x00"
#define PLI "\x81\xce\x00\x02" SSRC OTHER
#define BYE "\x81\xcb\x00\x01" SSRC
#define XR "\x80\xcf\x00\x03" SSRC "\x04\x00\x00\x01\x00\x00\x00\x01" /* a short RRT block */
#define APP "\x80\xcc\x00\x02" SSRC "NAME"
#define SR0                                                                                        \
    "\x80\xc8\x00\x06" SSRC                                                                        \
    "\x11\x22\x33\x44\x55\x66\x77\x88\x00\x00\x00\x01\x00\x00\x00\x0a\x00\x00\x06\x40"

/* Names in SDES are not passed on: the two letters that stand for ours become it again. */
static uint8_t *renamed(uint8_t *p, size_t n)
{
    for (size_t at = 0; at + 8 <= n; at++) {
        if (memcmp(p + at, "\x01\x02", 2) == 0 && memcmp(p + at + 4, "\0\0\0\0", 4) == 0) {
            memcpy(p + at + 2, "me", 2);
        }
    }
    return p;
}

static void send_rtcp(struct rig *r, unsigned side, const void *p, size_t n)
{
    rig_send(&rig_side(r, side)->rtcp, r->phone_rtcp[side], p, n);
}

static void compounds_are_checked_within_their_bounds(void **state)
{
    static const struct row {
        const char *what;
        struct sl bytes;
        bool is_sound;
    } rows[] = {
        {"report", SL(RR0), true},
        {"compound", SL(SR0 SDES BYE), true},
        {"nothing", SL(""), false},
        {"three bytes", SL("\x80\xc9\x00"), false},
        {"length beyond the end", SL("\x80\xc9\x00\x02" SSRC), false},
        {"second one beyond the end", SL(RR0 "\x81\xca\x00\x03" SSRC), false},
        {"second one is none", SL(RR0 "\x41\xca\x00\x01" SSRC), false},
        {"rest of two bytes", SL(RR0 "\x81\xca"), false},
        {"a type that is no RTCP", SL(RR0 "\x80\x60\x00\x01" SSRC), false},
        {"one block, none there", SL("\x81\xc9\x00\x01" SSRC), false},
        {"31 blocks, none there", SL("\x9f\xc9\x00\x01" SSRC), false},
        {"sender report cut", SL("\x80\xc8\x00\x05" SSRC "0123456789abcdef"), false},
        {"BYE of 31 sources, one there", SL(RR0 "\x9f\xcb\x00\x01" SSRC), false},
        {"BYE with a reason that claims more",
         SL(RR0 "\x81\xcb\x00\x02" SSRC "\xff"
                "abc"),
         true},
        {"empty BYE", SL(RR0 "\x80\xcb\x00\x00"), true},
        {"BYE of one source, none there", SL(RR0 "\x81\xcb\x00\x00"), false},
        {"empty BYE with padding", SL(RR0 "\xa0\xcb\x00\x01\x00\x00\x00\x04"), true},
        {"feedback without media source", SL(RR0 "\x81\xcd\x00\x01" SSRC), false},
        {"XR without sender", SL(RR0 "\x80\xcf\x00\x00"), false},
        {"padding at the end", SL(RR0 "\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x04"), true},
        {"padding in the middle", SL("\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x04" RR0), false},
        {"padding of none", SL("\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x00"), false},
        {"padding of three", SL("\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x03"), false},
        {"padding of more than all", SL("\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x0c"), false},
        {"padding into the report", SL("\xa0\xc9\x00\x02" SSRC "\x00\x00\x00\x08"), false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *p = malloc(rows[i].bytes.n != 0 ? rows[i].bytes.n : 1); /* exact size */

        assert_non_null(p);
        memcpy(p, rows[i].bytes.p, rows[i].bytes.n);
        if (media_rtcp_is_sound(p, rows[i].bytes.n) != rows[i].is_sound) {
            fail_msg("%s", rows[i].what);
        }
        free(p);
    }
}

static void what_is_not_sound_is_dropped_and_counted(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    send_rtcp(&r, 0, SL(RR0 "\x9f\xcb\x00\x01" SSRC).p, 16);
    assert_false(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).malformed, 1);
    rig_down(&r);
}

static void feedback_goes_only_to_those_who_know_it(void **state)
{
    static const struct row {
        const char *what;
        struct sl in, out; /* out: towards AVP */
        unsigned filtered;
    } rows[] = {
        {"none", SL(RR0 SDES), SL(RR0 SDES), 0},
        {"at the end", SL(RR0 SDES NACK), SL(RR0 SDES), 1},
        {"in the middle", SL(RR0 PLI SDES), SL(RR0 SDES), 1},
        {"two, and XR stays", SL(SR0 NACK XR PLI), SL(SR0 XR), 2},
        {"nothing is left (RFC 5506)", SL(PLI), SL(""), 1},
        {"APP and BYE stay", SL(RR0 APP PLI BYE), SL(RR0 APP BYE), 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned avpf = 0; avpf < 2; avpf++) {
            struct sl want = avpf != 0 ? rows[i].in : rows[i].out;
            uint8_t got[256];
            struct rig r;

            rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
            r.remote[1].avpf = avpf != 0;
            rig_describe(&r, 1);
            send_rtcp(&r, 0, rows[i].in.p, rows[i].in.n);
            if (want.n == 0) {
                assert_false(rig_got(r.phone_rtcp[1]));
            } else if (rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL) != (ssize_t)want.n ||
                       memcmp(renamed(got, want.n), want.p, want.n) != 0) {
                fail_msg("%s, %s", rows[i].what, avpf != 0 ? "AVPF" : "AVP");
            }
            assert_int_equal(rig_stats(&r, 1).feedback_filtered, avpf ? 0 : rows[i].filtered);
            assert_int_equal(rig_stats(&r, 0).rtcp_rx, 1);
            rig_down(&r);
        }
    }
}

/* attacks.md 72: whoever says goodbye by RTCP ends nothing. */
static void a_bye_is_relayed_and_ends_nothing(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    send_rtcp(&r, 0, SL(RR0 BYE).p, 16);
    assert_true(rig_got(r.phone_rtcp[1]));
    rig_send(&rig_side(&r, 0)->rtcp, r.stranger, SL(RR0 BYE).p, 16);
    assert_false(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(r.silences, 0);
    rig_down(&r);
}

/* --- what the far end reports --- */

static size_t report(uint8_t *p, const char *about, uint32_t lsr, uint32_t dlsr)
{
    memcpy(p, "\x81\xc9\x00\x07" OTHER, 8);
    memcpy(p + 8, about, 4);
    memcpy(p + 12, "\x40\xff\xff\xfe", 4); /* a quarter lost of late; -2 in all */
    rtp_put32(p + 16, 0x00010005);
    rtp_put32(p + 20, 80); /* jitter: 10 ms */
    rtp_put32(p + 24, lsr);
    rtp_put32(p + 28, dlsr);
    return 32;
}

static void round_trips_are_measured_to_each_side(void **state)
{
    uint8_t p[64];
    struct media_stats st;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    send_rtcp(&r, 0, SL(SR0).p, SL(SR0).n);
    loop_advance(r.loop, 1500);
    send_rtcp(&r, 1, p, report(p, SSRC, 0x33445566, 65536)); /* it held the report for 1 s */
    st = rig_stats(&r, 1);
    assert_int_equal(st.rtt_us, 500000);
    assert_true(st.has_far);
    assert_int_equal(st.far_lost, -2);
    assert_int_equal(st.far_fraction_lost, 64);
    assert_int_equal(st.far_jitter_us, 10000);
    assert_int_equal(rig_stats(&r, 0).rtt_us, 0); /* of the other side nothing is known */
    /* Another report, a stranger's time, or one about nobody's stream, says nothing. */
    send_rtcp(&r, 1, p, report(p, SSRC, 0x33445567, 0));
    send_rtcp(&r, 1, p, report(p, "NONE", 0x33445566, 0));
    send_rtcp(&r, 1, p, report(p, SSRC, 0, 0));
    assert_int_equal(rig_stats(&r, 1).rtt_us, 500000);
    rig_down(&r);
}

/* RFC 3611 4.7. */
static void what_their_ears_say_is_read(void **state)
{
    static const struct {
        uint8_t words, mos_lq, mos_cq;
        uint16_t want_lq, want_cq;
        bool has;
    } rows[] = {{8, 41, 39, 410, 390, true},
                {8, 127, 39, 0, 390, true},
                {7, 41, 39, 0, 0, false},
                {8, 9, 51, 0, 0, true}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t p[8 + 36] = {0x80, 207, 0, 10, 'M', 'E', '!', '!', 7, 0, 0, rows[i].words};
        struct media_stats st;
        struct rig r;

        rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
        rig_say(&r, 1, r.phone[1]);
        rtp_put32(p + 12, rig_side(&r, 0)->out_ssrc);
        p[17] = 64; /* discarded: a quarter */
        p[34] = rows[i].mos_lq;
        p[35] = rows[i].mos_cq;
        send_rtcp(&r, 0, p, sizeof(p));
        st = rig_stats(&r, 0);
        assert_int_equal(st.has_metrics, rows[i].has);
        assert_int_equal(st.far_mos_lq, rows[i].want_lq);
        assert_int_equal(st.far_mos_cq, rows[i].want_cq);
        assert_int_equal(st.far_discarded, rows[i].has ? 64 : 0);
        rtp_put32(p + 12, 4711); /* about another stream: nothing */
        p[17] = 1;
        send_rtcp(&r, 0, p, sizeof(p));
        assert_int_equal(rig_stats(&r, 0).far_discarded, rows[i].has ? 64 : 0);
        rig_down(&r);
    }
}

static void a_delay_longer_than_the_round_trip_is_no_negative_time(void **state)
{
    uint8_t p[64];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    send_rtcp(&r, 0, SL(SR0).p, SL(SR0).n);
    loop_advance(r.loop, 100);
    send_rtcp(&r, 1, p, report(p, SSRC, 0x33445566, 0xffffffff));
    assert_int_equal(rig_stats(&r, 1).rtt_us, 1);
    loop_advance(r.loop, 20000); /* too long to be one */
    send_rtcp(&r, 1, p, report(p, SSRC, 0x33445566, 0));
    assert_int_equal(rig_stats(&r, 1).rtt_us, 1);
    rig_down(&r);
}

/* --- names --- */

/* One packet of the caller's stream was taken out: what is said about it agrees. */
static void reports_follow_numbers_that_were_changed(void **state)
{
    uint8_t p[256], got[256];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(media_remap_want(rig_side(&r, 0)), 0);
    rig_say(&r, 0, r.phone[0]);
    assert_true(media_remap_continue(rig_side(&r, 0), 0x53535243, 2, 0x4e455721, 12));
    rig_side(&r, 0)->remap->source[0].packets = -3;
    rig_side(&r, 0)->remap->source[0].octets = -480;
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, rig_rtp(p, 2));
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(rig_recv(r.phone[1], got, sizeof(got), NULL), 172);
    assert_int_equal(rtp_seq(got), 12);
    assert_memory_equal(got + 8, "NEW!", 4);
    /* From the caller: its name becomes the new one. */
    r.remote[1].avpf = r.remote[0].avpf = true;
    rig_describe(&r, 0);
    rig_describe(&r, 1);
    send_rtcp(&r, 0, SL(SR0 SDES BYE APP).p, SL(SR0 SDES BYE APP).n);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), SL(SR0 SDES BYE APP).n);
    assert_memory_equal(got + 4, "NEW!", 4);
    assert_int_equal(rtp_u32(got + 20), 7);
    assert_int_equal(rtp_u32(got + 24), 1600 - 480);
    assert_memory_equal(got + 28 + 4, "NEW!", 4);
    assert_memory_equal(got + 28 + 16 + 4, "NEW!", 4);
    assert_memory_equal(got + 28 + 16 + 8 + 4, "NEW!", 4);
    /* From the callee, about it: the old one, and the old numbers. */
    send_rtcp(&r, 1, p, report(p, "NEW!", 0, 0));
    assert_int_equal(rig_recv(r.phone_rtcp[0], got, sizeof(got), NULL), 32);
    assert_memory_equal(got + 8, SSRC, 4);
    assert_int_equal(rtp_u32(got + 16), 0x00010005 - 10);
    assert_int_equal(rig_stats(&r, 1).far_lost, -2);
    memcpy(p, "\x81\xcd\x00\x03" OTHER "NEW!\x00\x0c\x00\x00", 16); /* NACK of number 12 */
    memcpy(p + 16, "\x84\xce\x00\x04" OTHER "\x00\x00\x00\x00NEW!\x01\x00\x00\x00", 20); /* FIR */
    send_rtcp(&r, 1, p, 36);
    assert_int_equal(rig_recv(r.phone_rtcp[0], got, sizeof(got), NULL), 36);
    assert_memory_equal(got + 8, SSRC "\x00\x02", 6);
    assert_memory_equal(got + 16 + 12, SSRC, 4);
    memcpy(p,
           "\x80\xcf\x00\x06" OTHER "\x05\x00\x00\x03NEW!\x00\x00\x00\x00\x00\x00\x00\x00"
           "\x07\x00\x00\x00",
           28); /* XR: DLRR, and a block that is too short to name anything */
    send_rtcp(&r, 1, p, 28);
    assert_int_equal(rig_recv(r.phone_rtcp[0], got, sizeof(got), NULL), 28);
    assert_memory_equal(got + 12, SSRC, 4);
    rig_down(&r);
}

/* --- encrypted end to end --- */

static void what_is_rtcp_is_no_media_though_it_comes_to_the_media_port(void **state)
{
    uint8_t got[128];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], SR0, sizeof(SR0) - 1);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), sizeof(SR0) - 1);
    assert_memory_equal(got, SR0, sizeof(SR0) - 1);
    assert_int_equal(rig_stats(&r, 0).rtcp_rx, 1);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 0);
    assert_int_equal(rig_stats(&r, 0).last_rx_ms, 0); /* nor is it a sign of life */
    /* No RTCP, whatever its number: a length of its own says so. */
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], SR0 "abc", sizeof(SR0) + 2);
    assert_true(rig_got(r.phone[1]));
    rig_down(&r);
}

/* After ZRTP the ends encrypt what still looks like RTCP at first sight. */
/* RFC 3550 6.5: a CNAME is user and host; a reason to go may be any words. */
static void names_and_reasons_stay_at_home(void **state)
{
    static const char hello[] = RR0 "\x81\xca\x00\x09" SSRC "\x01\x0b"
                                    "bob@inside."
                                    "\x04\x03"
                                    "555"
                                    "\x08\x0b\x03"
                                    "box.inside"
                                    "\x00";
    static const char cut[] = RR0 "\x81\xca\x00\x03" SSRC "\x01\x20"
                                  "bob@in";
    static const char bye[] = RR0 "\xa1\xcb\x00\x03" SSRC "\x02"
                                  "in"
                                  "\x00"
                                  "\x00\x00\x00\x04";
    uint8_t got[2][128];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (unsigned i = 0; i < 2; i++) {
        send_rtcp(&r, 0, hello, sizeof(hello) - 1);
        assert_int_equal(rig_recv(r.phone_rtcp[1], got[i], sizeof(got[i]), NULL),
                         sizeof(hello) - 1);
    }
    assert_memory_equal(got[0], got[1], sizeof(hello) - 1); /* one name for one call */
    assert_memory_equal(got[0], hello, 18);
    assert_memory_not_equal(got[0] + 18, "bob@inside.", 11);
    assert_null(memchr(got[0] + 18, '@', 11));
    assert_memory_equal(got[0] + 29, "\x04\x03", 2);
    assert_memory_not_equal(got[0] + 31, "555", 3);
    assert_memory_equal(got[0] + 34, "\x08\x0b\x03", 3); /* no name, but what makes it sound */
    assert_memory_not_equal(got[0] + 37, "box.inside", 10);
    send_rtcp(&r, 0, cut, sizeof(cut) - 1);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got[0], sizeof(got[0]), NULL), 8);
    send_rtcp(&r, 0, bye, sizeof(bye) - 1);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got[0], sizeof(got[0]), NULL), 16);
    assert_memory_equal(got[0] + 8, "\x81\xcb\x00\x01" SSRC, 8);
    rig_down(&r);
}

static void with_zrtp_rtcp_passes_unread(void **state)
{
    static const char blind[] = "\x80\xc9\x00\x01" SSRC "\xde\xad\xbe\xef\x01";
    uint8_t got[64];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    send_rtcp(&r, 0, blind, sizeof(blind) - 1);
    assert_false(rig_got(r.phone_rtcp[1]));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], "\x10\x00\x00\x01ZRTPSSRCPZ\x00\x03", 16);
    assert_true(rig_got(r.phone[1]));
    send_rtcp(&r, 0, blind, sizeof(blind) - 1);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), sizeof(blind) - 1);
    assert_memory_equal(got, blind, sizeof(blind) - 1);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compounds_are_checked_within_their_bounds),
        cmocka_unit_test(what_is_not_sound_is_dropped_and_counted),
        cmocka_unit_test(feedback_goes_only_to_those_who_know_it),
        cmocka_unit_test(a_bye_is_relayed_and_ends_nothing),
        cmocka_unit_test(round_trips_are_measured_to_each_side),
        cmocka_unit_test(what_their_ears_say_is_read),
        cmocka_unit_test(a_delay_longer_than_the_round_trip_is_no_negative_time),
        cmocka_unit_test(reports_follow_numbers_that_were_changed),
        cmocka_unit_test(names_and_reasons_stay_at_home),
        cmocka_unit_test(what_is_rtcp_is_no_media_though_it_comes_to_the_media_port),
        cmocka_unit_test(with_zrtp_rtcp_passes_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
