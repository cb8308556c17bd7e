/* test_media_relay.c - packets through the relay: both families, RTCP, mux, datagrams, strangers,
 * hold and silence. */
#include "media_rig.h"

static const uint8_t rtcp_rr[8] = {0x80, 201, 0, 1, 'S', 'S', 'R', 'C'};

static const struct {
    int family[2];
} pairs[] = {
    {{AF_INET, AF_INET}}, {{AF_INET6, AF_INET6}}, {{AF_INET, AF_INET6}}, {{AF_INET6, AF_INET}}};

static void packets_pass_unchanged_in_both_directions_and_all_families(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(pairs); k++) {
        struct rig r;

        if (k != 0 && !rig_has_v6()) {
            continue;
        }
        rig_up(&r, MEDIA_RTP, pairs[k].family[0], pairs[k].family[1]);
        for (unsigned side = 0; side < 2; side++) {
            uint8_t sent[172], got[256];
            size_t n = rig_rtp(sent, 77);
            struct addr from, local;

            rig_send(&rig_side(&r, side)->rtp, r.phone[side], sent, n);
            assert_int_equal(rig_recv(r.phone[!side], got, sizeof(got), &from), (ssize_t)n);
            assert_memory_equal(sent, got, n);
            media_local(r.s, 0, !side, &local);
            assert_true(addr_eq(&from, &local)); /* symmetric: from the port we told them */
            assert_int_equal(rig_stats(&r, side).rx_packets, 1);
            assert_int_equal(rig_stats(&r, side).rx_bytes, n);
            assert_int_equal(rig_stats(&r, !side).tx_packets, 1);
            assert_int_equal(rig_stats(&r, !side).tx_bytes, n);
            assert_int_equal(rig_stats(&r, side).rank, 1);
            assert_true(rig_stats(&r, side).learned);
            assert_int_equal(rig_stats(&r, side).ssrc, 0x53535243);
            assert_true(rig_stats(&r, side).last_rx_ms == clock_now_ms(&r.clock));
        }
        rig_down(&r);
    }
}

static void rtcp_goes_by_the_odd_ports_with_a_latch_of_its_own(void **state)
{
    struct addr from, local;
    uint8_t got[64];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_send(&rig_side(&r, 0)->rtcp, r.phone_rtcp[0], rtcp_rr, sizeof(rtcp_rr));
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), &from), sizeof(rtcp_rr));
    media_local(r.s, 0, 1, &local);
    assert_int_equal(addr_port(&local) % 2, 0);
    assert_int_equal(addr_port(&from), addr_port(&local) + 1);
    assert_int_equal(rig_stats(&r, 0).rtcp_rx, 1);
    assert_int_equal(rig_stats(&r, 1).rtcp_tx, 1);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 0);
    assert_int_equal(rig_stats(&r, 0).last_rx_ms, 0);
    assert_false(rig_stats(&r, 0).learned); /* RTP is still to be learned */
    rig_send(&rig_side(&r, 0)->rtcp, r.stranger, rtcp_rr, sizeof(rtcp_rr));
    assert_false(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    rig_send(&rig_side(&r, 0)->rtcp, r.phone_rtcp[0], "\x80\x00garbage", 9);
    assert_false(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).malformed, 1);
    rig_down(&r);
}

static void a_missing_rtcp_address_is_the_next_port(void **state)
{
    struct addr want;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[1].rtp = want = rig_addr("198.51.100.1:5000");
    r.remote[1].rtcp = (struct addr){0};
    rig_describe(&r, 1);
    addr_set_port(&want, 5001);
    assert_true(addr_eq(&rig_side(&r, 1)->rtcp.sdp, &want));
    rig_down(&r);
}

static void muxed_rtcp_crosses_to_a_side_that_does_not_mux_and_back(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].mux = true;
    rig_describe(&r, 0);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], rtcp_rr, sizeof(rtcp_rr));
    assert_true(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).rtcp_rx, 1);
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rtcp_rr, sizeof(rtcp_rr));
    assert_true(rig_got(r.phone[0]));
    assert_false(rig_got(r.phone_rtcp[0]));
    /* Without mux the same bytes on an RTP port are too short for RTP. */
    rig_send(&rig_side(&r, 1)->rtp, r.phone[1], rtcp_rr, sizeof(rtcp_rr));
    assert_int_equal(rig_stats(&r, 1).malformed, 1);
    rig_down(&r);
}

static void a_stranger_is_not_heard_and_hears_nothing(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.stranger); /* before anybody spoke */
    assert_false(rig_got(r.phone[1]));
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    assert_false(rig_got(r.stranger));
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    rig_say(&r, 0, r.stranger); /* after the lock */
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 2);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 1);
    rig_down(&r);
}

static void a_phone_behind_nat_is_reached_where_it_sends_from(void **state)
{
    uint8_t got[256];
    int nat;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].rtp = r.remote[0].rtcp = rig_addr("10.1.2.3:5000");
    r.remote[0].signalling = rig_ip(50);
    rig_describe(&r, 0);
    nat = rig_socket(rig_ip(50));
    rig_say(&r, 0, nat);
    assert_int_equal(rig_stats(&r, 0).rank, 3);
    assert_true(rig_got(r.phone[1]));
    rig_say(&r, 1, r.phone[1]);
    assert_int_equal(rig_recv(nat, got, sizeof(got), NULL), 172);
    (void)close(nat);
    rig_down(&r);
}

static void a_new_description_moves_the_side_and_only_that_side(void **state)
{
    int moved;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]) && rig_got(r.phone[1]));
    moved = rig_socket(rig_ip(60));
    r.remote[0].rtp = rig_name(moved);
    rig_describe(&r, 0);
    assert_int_equal(rig_stats(&r, 1).rank, 1);
    rig_say(&r, 0, r.phone[0]); /* the old source is valid until the new one speaks */
    assert_true(rig_got(r.phone[1]));
    rig_say(&r, 1, r.phone[1]); /* but packets go where the description says */
    assert_true(rig_got(moved));
    assert_false(rig_got(r.phone[0]));
    rig_say(&r, 0, moved);
    assert_true(rig_got(r.phone[1]));
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    (void)close(moved);
    rig_down(&r);
}

static void a_side_on_hold_gets_rtcp_but_no_rtp(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[1].may_receive = false;
    rig_describe(&r, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 1).no_destination, 1);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 1);
    rig_send(&rig_side(&r, 0)->rtcp, r.phone_rtcp[0], rtcp_rr, sizeof(rtcp_rr));
    assert_true(rig_got(r.phone_rtcp[1]));
    rig_down(&r);
}

static bool has_no_remote(struct rig *r, unsigned side)
{
    struct media_stats st = rig_stats(r, side);

    return addr_family(&st.remote) == AF_UNSPEC;
}

static void nothing_is_sent_to_a_side_that_must_show_itself_first(void **state)
{
    int nat;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].wait_for_source = true; /* it names the first phone, but calls from elsewhere */
    r.remote[0].signalling = rig_ip(50);
    rig_describe(&r, 0);
    rig_say(&r, 1, r.phone[1]);
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rtcp_rr, sizeof(rtcp_rr));
    rig_say(&r, 0, r.stranger); /* shows nothing */
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0]));
    assert_false(rig_got(r.phone_rtcp[0]));
    assert_int_equal(rig_stats(&r, 0).no_destination, 3);
    assert_int_equal(rig_stats(&r, 0).tx_packets + rig_stats(&r, 0).rtcp_tx, 0);
    assert_true(has_no_remote(&r, 0));
    nat = rig_socket(rig_ip(50));
    rig_say(&r, 0, nat);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(nat));
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rtcp_rr, sizeof(rtcp_rr));
    assert_false(rig_got(r.phone_rtcp[0])); /* the description is still nobody's word */
    r.remote[0].wait_for_source = false;
    rig_describe(&r, 0);
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rtcp_rr, sizeof(rtcp_rr));
    assert_true(rig_got(r.phone_rtcp[0]));
    (void)close(nat);
    rig_down(&r);
}

static void a_new_description_must_show_itself_again(void **state)
{
    int moved;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].wait_for_source = true;
    rig_describe(&r, 0);
    rig_say(&r, 0, r.phone[0]);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    moved = rig_socket(rig_ip(60));
    r.remote[0].rtp = rig_name(moved);
    rig_describe(&r, 0);
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(moved));
    rig_say(&r, 0, moved);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(moved));
    (void)close(moved);
    rig_down(&r);
}

static void nothing_is_sent_to_addresses_that_are_none(void **state)
{
    static const char *const bad[] = {"0.0.0.0:4000", "239.1.1.1:4000", "255.255.255.255:4000",
                                      "198.51.100.1:0", "0.0.0.9:4000"};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        r.remote[1].rtp = rig_addr(bad[i]);
        rig_describe(&r, 1);
        assert_true(has_no_remote(&r, 1));
        rig_say(&r, 0, r.phone[0]);
        assert_int_equal(rig_stats(&r, 1).no_destination, i + 1);
    }
    r.remote[1].rtp = rig_addr("[2001:db8::1]:4000"); /* a socket of the other family */
    rig_describe(&r, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_int_equal(rig_stats(&r, 1).no_destination, COUNT_OF(bad) + 1);
    assert_int_equal(rig_stats(&r, 1).send_failed, 0);
    rig_down(&r);
}

static void our_own_ports_are_no_destination(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    media_local(r.s, 0, 0, &r.remote[1].rtp);
    rig_describe(&r, 1);
    assert_true(has_no_remote(&r, 1));
    addr_set_port(&r.remote[1].rtp, (uint16_t)(addr_port(&r.remote[1].rtp) + 1));
    rig_describe(&r, 1);
    assert_true(has_no_remote(&r, 1));
    rig_down(&r);
}

static void a_side_that_is_not_open_is_no_destination(void **state)
{
    struct media_stats st;
    struct rig r;

    (void)state;
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999);
    media_set_remote(r.s, 0, 0, &r.remote[0]); /* no stream yet: harmless */
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    r.phone[0] = rig_socket(rig_ip(10));
    r.remote[0].rtp = rig_name(r.phone[0]);
    rig_describe(&r, 0);
    rig_say(&r, 0, r.phone[0]);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 1);
    assert_false(media_stats(r.s, 0, 1, &st));
    rig_down(&r);
}

static void what_is_not_rtp_is_dropped_and_counted(void **state)
{
    static const struct sl bad[] = {
        SL("\x00\x01\x00\x00\x21\x12\xa4\x42tidtidtidtid"),         /* STUN */
        SL("\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"), /* DTLS */
        SL("\x80"),
        SL("\x8f\x00\x00\x01\x00\x00\x00\x01\x11\x22\x33\x44"),
        SL(""),
    };
    static const uint8_t big[MEDIA_PKT_MAX + 1] = {0x80};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], bad[i].p, bad[i].n);
        assert_int_equal(rig_stats(&r, 0).malformed, i + 1);
    }
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], big, sizeof(big));
    assert_int_equal(rig_stats(&r, 0).malformed, COUNT_OF(bad) + 1);
    assert_false(rig_stats(&r, 0).learned);
    assert_false(rig_got(r.phone[1]));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], big, MEDIA_PKT_MAX);
    assert_true(rig_got(r.phone[1]));
    rig_down(&r);
}

static void datagram_streams_carry_any_bytes_but_only_of_known_sources(void **state)
{
    static const uint8_t udptl[] = {0, 1, 2, 3};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_DATAGRAM, AF_INET, AF_INET);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], udptl, sizeof(udptl));
    assert_true(rig_got(r.phone[1]));
    rig_send(&rig_side(&r, 0)->rtp, r.stranger, udptl, sizeof(udptl));
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).rx_packets, 1);
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    assert_true(rig_stats(&r, 0).last_rx_ms != 0);
    rig_down(&r);
}

static void a_refused_fax_leaves_the_audio_as_it_was(void **state)
{
    struct addr before, after;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    media_local(r.s, 0, 1, &before);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_DATAGRAM, 1, AF_INET), 0);
    rig_say(&r, 0, r.phone[0]); /* meanwhile audio goes on */
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 0, 1, &after);
    assert_true(addr_eq(&before, &after));
    assert_int_equal(rig_stats(&r, 0).rank, 1);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    rig_down(&r);
}

static void zrtp_passes_without_being_a_sign_of_speech(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], "\x10\x00\x00\x01ZRTPSSRCPZ\x00\x03", 16);
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).last_rx_ms, 0);
    rig_down(&r);
}

static void a_closed_stream_is_silent_and_its_neighbour_goes_on(void **state)
{
    struct media_counts c;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(media_open(r.s, 1, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_close(r.s, 1);
    media_close(r.s, 1);
    assert_false(media_is_open(r.s, 1, 0));
    assert_true(media_is_open(r.s, 0, 0));
    media_counts(r.m, &c);
    assert_int_equal(c.sockets, 4);
    assert_int_equal(c.ports_used, 4);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    rig_down(&r);
}

/* --- silence --- */

static void silence_of_both_is_reported_once(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    loop_advance(r.loop, 20000);
    rig_say(&r, 0, r.phone[0]); /* side 1 never speaks: it listens, or is muted */
    loop_advance(r.loop, RIG_INACTIVITY_MS - 1);
    assert_int_equal(r.silences, 0);
    loop_advance(r.loop, 2);
    assert_int_equal(r.silences, 1);
    assert_int_equal(r.silent_side, 0); /* the last one to be heard */
    assert_int_equal(r.silent_stream, 0);
    loop_advance(r.loop, 10 * RIG_INACTIVITY_MS);
    rig_describe(&r, 0);
    loop_advance(r.loop, 10 * RIG_INACTIVITY_MS);
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void one_side_that_speaks_keeps_the_call(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (unsigned i = 0; i < 20; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS - 1000);
        rig_say(&r, 1, r.phone[1]);
    }
    assert_int_equal(r.silences, 0);
    loop_advance(r.loop, RIG_INACTIVITY_MS + 1);
    assert_int_equal(r.silences, 1);
    assert_int_equal(r.silent_side, 1);
    rig_down(&r);
}

static void as_long_as_both_speak_nobody_is_silent(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (unsigned i = 0; i < 20; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS - 1000);
        rig_say(&r, 0, r.phone[0]);
        rig_say(&r, 1, r.phone[1]);
    }
    assert_int_equal(r.silences, 0);
    loop_advance(r.loop, RIG_INACTIVITY_MS + 1);
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void neither_strangers_nor_stun_nor_rtcp_break_the_silence(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (unsigned i = 0; i < 4; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS / 4 + 1);
        rig_say(&r, 0, r.stranger);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], "\x00\x01", 2);
        rig_send(&rig_side(&r, 0)->rtcp, r.phone_rtcp[0], rtcp_rr, sizeof(rtcp_rr));
        rig_say(&r, 1, r.stranger);
    }
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void hold_as_described(struct rig *r)
{
    rig_describe(r, 0);
    rig_describe(r, 1);
    loop_advance(r->loop, 100 * RIG_INACTIVITY_MS);
    assert_int_equal(r->silences, 0);
}

static void resume_as_described(struct rig *r)
{
    rig_describe(r, 0);
    rig_describe(r, 1);
    loop_advance(r->loop, RIG_INACTIVITY_MS - 1);
    assert_int_equal(r->silences, 0);
    loop_advance(r->loop, 1);
    assert_int_equal(r->silences, 1);
}

static void hold_suspends_the_watch_and_resume_starts_it_again(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].may_send = r.remote[1].may_send = false;
    hold_as_described(&r);
    assert_false(timer_is_armed(&r.s->silence));
    r.remote[0].may_send = r.remote[1].may_send = true;
    resume_as_described(&r);
    rig_down(&r);
}

static void one_side_on_hold_is_not_missed_while_the_other_plays_music(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[1].may_send = false;
    rig_describe(&r, 1);
    for (unsigned i = 0; i < 10; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS - 1);
        rig_say(&r, 0, r.phone[0]);
    }
    assert_int_equal(r.silences, 0);
    rig_down(&r);
}

/* a=sendonly says who may send, and most phones that hold have nothing to say. */
static void who_holds_without_music_is_not_missed(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.remote[0].may_receive = r.remote[1].may_send = false;
    hold_as_described(&r);
    r.remote[0].may_receive = r.remote[1].may_send = true;
    resume_as_described(&r);
    rig_down(&r);
}

/* Pictures that go one way show that the call lives, while nobody speaks. */
static void who_sends_in_one_way_is_heard_though_not_missed(void **state)
{
    struct media_remote way = {.may_send = true};
    struct rig r;
    uint8_t p[172];

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(media_open(r.s, 1, i, MEDIA_RTP, 1, AF_INET), 0);
        way.rtp = r.remote[i].rtp;
        way.may_send = i == 0;
        media_set_remote(r.s, 1, i, &way);
    }
    for (unsigned i = 0; i < 4; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS - 1000);
        rig_send(&media_side_of(r.s, 1, 0)->rtp, r.phone[0], p, rig_rtp(p, (uint16_t)i));
    }
    assert_int_equal(r.silences, 0);
    loop_advance(r.loop, RIG_INACTIVITY_MS);
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void before_both_sides_are_described_nobody_is_due(void **state)
{
    struct rig r;

    (void)state;
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    r.remote[0] = r.remote[1] =
        (struct media_remote){.rtp = rig_addr("198.51.100.1:5000"), .may_send = true};
    rig_describe(&r, 0);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), 0);
    loop_advance(r.loop, 100 * RIG_INACTIVITY_MS); /* it may ring for long */
    assert_int_equal(r.silences, 0);
    rig_describe(&r, 1);
    loop_advance(r.loop, RIG_INACTIVITY_MS);
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void a_fax_that_sends_pages_keeps_its_silent_receiver_alive(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_DATAGRAM, AF_INET, AF_INET);
    for (unsigned i = 0; i < 10; i++) {
        loop_advance(r.loop, RIG_INACTIVITY_MS - 1);
        rig_say(&r, 0, r.phone[0]);
    }
    assert_int_equal(r.silences, 0);
    loop_advance(r.loop, RIG_INACTIVITY_MS + 1);
    assert_int_equal(r.silences, 1);
    rig_down(&r);
}

static void the_session_may_be_closed_by_the_one_who_is_told(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    r.close_on_silence = true;
    loop_advance(r.loop, RIG_INACTIVITY_MS);
    assert_int_equal(r.silences, 1);
    assert_null(r.s);
    rig_down(&r);
}

static void a_limit_of_zero_watches_nobody(void **state)
{
    struct rig r;

    (void)state;
    rig_base(&r);
    media_session_close(&r.s);
    media_set_inactivity(r.m, 0);
    assert_int_equal(media_session_new(&r.s, r.m, rig_on_silence, &r), 0);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999);
    r.remote[0] = r.remote[1] =
        (struct media_remote){.rtp = rig_addr("198.51.100.1:5000"), .may_send = true};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(media_open(r.s, 0, i, MEDIA_RTP, 1, AF_INET), 0);
        rig_describe(&r, i);
    }
    loop_advance(r.loop, 1000 * RIG_INACTIVITY_MS);
    assert_int_equal(r.silences, 0);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_pass_unchanged_in_both_directions_and_all_families),
        cmocka_unit_test(rtcp_goes_by_the_odd_ports_with_a_latch_of_its_own),
        cmocka_unit_test(a_missing_rtcp_address_is_the_next_port),
        cmocka_unit_test(muxed_rtcp_crosses_to_a_side_that_does_not_mux_and_back),
        cmocka_unit_test(a_stranger_is_not_heard_and_hears_nothing),
        cmocka_unit_test(a_phone_behind_nat_is_reached_where_it_sends_from),
        cmocka_unit_test(a_new_description_moves_the_side_and_only_that_side),
        cmocka_unit_test(a_side_on_hold_gets_rtcp_but_no_rtp),
        cmocka_unit_test(nothing_is_sent_to_a_side_that_must_show_itself_first),
        cmocka_unit_test(a_new_description_must_show_itself_again),
        cmocka_unit_test(nothing_is_sent_to_addresses_that_are_none),
        cmocka_unit_test(our_own_ports_are_no_destination),
        cmocka_unit_test(a_side_that_is_not_open_is_no_destination),
        cmocka_unit_test(what_is_not_rtp_is_dropped_and_counted),
        cmocka_unit_test(datagram_streams_carry_any_bytes_but_only_of_known_sources),
        cmocka_unit_test(a_refused_fax_leaves_the_audio_as_it_was),
        cmocka_unit_test(zrtp_passes_without_being_a_sign_of_speech),
        cmocka_unit_test(a_closed_stream_is_silent_and_its_neighbour_goes_on),
        cmocka_unit_test(silence_of_both_is_reported_once),
        cmocka_unit_test(one_side_that_speaks_keeps_the_call),
        cmocka_unit_test(as_long_as_both_speak_nobody_is_silent),
        cmocka_unit_test(neither_strangers_nor_stun_nor_rtcp_break_the_silence),
        cmocka_unit_test(hold_suspends_the_watch_and_resume_starts_it_again),
        cmocka_unit_test(who_holds_without_music_is_not_missed),
        cmocka_unit_test(who_sends_in_one_way_is_heard_though_not_missed),
        cmocka_unit_test(one_side_on_hold_is_not_missed_while_the_other_plays_music),
        cmocka_unit_test(before_both_sides_are_described_nobody_is_due),
        cmocka_unit_test(a_fax_that_sends_pages_keeps_its_silent_receiver_alive),
        cmocka_unit_test(the_session_may_be_closed_by_the_one_who_is_told),
        cmocka_unit_test(a_limit_of_zero_watches_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
