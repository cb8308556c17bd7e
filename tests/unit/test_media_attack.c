/* test_media_attack.c - what strangers try against plain media (attacks.md 70 to 73, 79, 84 to 86,
 * 88): injection, bleeding, latch races at the start and at a re-INVITE, floods, malformed headers.
 */
#include "media_rig.h"

#include <netinet/ip.h>

static void up(struct rig *r)
{
    rig_up(r, MEDIA_RTP, AF_INET, AF_INET);
}

static void speak_as(struct rig *r, unsigned side, int fd, const char *ssrc, uint16_t seq)
{
    uint8_t p[172];
    size_t n = rig_rtp(p, seq);

    memcpy(p + 8, ssrc, 4);
    rig_send(&rig_side(r, side)->rtp, fd, p, n);
}

/* 70, 71, 72: into a latched call, RTP and RTCP. */
static void a_third_party_steals_nothing_and_is_heard_by_nobody(void **state)
{
    static const uint8_t rr[8] = {0x80, 201, 0, 1, 'S', 'S', 'R', 'C'};
    int near;
    struct rig r;

    (void)state;
    up(&r);
    near = rig_socket(rig_ip(10)); /* behind the same NAT, even */
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    for (uint16_t i = 2; i < 102; i++) {
        speak_as(&r, 0, r.stranger, "SSRC", i);
        speak_as(&r, 0, near, "SSRC", i);
        speak_as(&r, 1, r.stranger, "EVIL", i);
        rig_send(&rig_side(&r, 0)->rtcp, r.stranger, rr, sizeof(rr));
    }
    assert_false(rig_got(r.phone[0]) || rig_got(r.phone[1]));
    assert_false(rig_got(r.phone_rtcp[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 300);
    assert_int_equal(rig_stats(&r, 1).strangers, 100);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 1);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    assert_false(rig_got(near) || rig_got(r.stranger));
    (void)close(near);
    rig_down(&r);
}

/* 73: whoever sprays all ports before the caller speaks. */
static void a_race_at_the_start_is_won_by_nobody_from_elsewhere(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    for (uint16_t i = 0; i < 50; i++) {
        speak_as(&r, 0, r.stranger, "EVIL", i);
        speak_as(&r, 1, r.stranger, "EVIL", i);
    }
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    assert_false(rig_got(r.phone[1]));
    assert_false(rig_got(r.stranger));
    rig_down(&r);
}

/* The caller is behind NAT and moves with a re-INVITE; somebody behind the same NAT tries to be it.
 */
static void a_stranger_cannot_use_a_re_invite_while_the_old_endpoint_sends(void **state)
{
    int nat, moved, thief;
    struct rig r;

    (void)state;
    up(&r);
    nat = rig_socket(rig_ip(50));
    moved = rig_socket(rig_ip(50));
    thief = rig_socket(rig_ip(50));
    r.remote[0].rtp = rig_addr("10.1.2.3:5000");
    r.remote[0].signalling = rig_ip(50);
    rig_describe(&r, 0);
    speak_as(&r, 0, nat, "SSRC", 1);
    assert_true(rig_got(r.phone[1]));
    loop_advance(r.loop, 4000); /* locked */
    speak_as(&r, 0, nat, "SSRC", 2);
    assert_true(rig_got(r.phone[1]));
    r.remote[0].rtp = rig_addr("10.1.2.3:6000");
    rig_describe(&r, 0);
    speak_as(&r, 0, nat, "SSRC", 3);
    assert_true(rig_got(r.phone[1]));
    for (uint16_t i = 0; i < 10; i++) { /* another stream, or numbers of long ago */
        speak_as(&r, 0, thief, "EVIL", i);
        speak_as(&r, 0, thief, "SSRC", (uint16_t)(30000 + i));
    }
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 20);
    speak_as(&r, 0, moved, "SSRC", 4); /* goes on where it left off */
    assert_true(rig_got(r.phone[1]));
    speak_as(&r, 0, thief, "SSRC", 5);
    assert_false(rig_got(r.phone[1]));
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(moved));
    assert_false(rig_got(thief));
    (void)close(nat);
    (void)close(moved);
    (void)close(thief);
    rig_down(&r);
}

/* A phone that begins a new stream after the re-INVITE: its old one is silent by then. */
static void a_new_stream_is_taken_once_the_old_endpoint_is_silent(void **state)
{
    int nat, moved;
    struct rig r;

    (void)state;
    up(&r);
    nat = rig_socket(rig_ip(50));
    moved = rig_socket(rig_ip(50));
    r.remote[0].rtp = rig_addr("10.1.2.3:5000");
    r.remote[0].signalling = rig_ip(50);
    rig_describe(&r, 0);
    speak_as(&r, 0, nat, "SSRC", 1);
    assert_true(rig_got(r.phone[1]));
    r.remote[0].rtp = rig_addr("10.1.2.3:6000");
    rig_describe(&r, 0);
    speak_as(&r, 0, moved, "NEW!", 1);
    assert_false(rig_got(r.phone[1]));
    loop_advance(r.loop, 500);
    speak_as(&r, 0, moved, "NEW!", 26);
    assert_true(rig_got(r.phone[1]));
    (void)close(nat);
    (void)close(moved);
    rig_down(&r);
}

/* A better source in the hold-off, that is not exact, has to go on as well. */
static void within_the_hold_off_a_rival_must_continue_the_stream(void **state)
{
    int near, sig;
    struct rig r;

    (void)state;
    up(&r);
    sig = rig_socket(rig_ip(50));
    near = rig_socket(rig_ip(10));
    r.remote[0].signalling = rig_ip(50);
    rig_describe(&r, 0);
    speak_as(&r, 0, sig, "SSRC", 1);
    assert_int_equal(rig_stats(&r, 0).rank, 3);
    speak_as(&r, 0, near, "EVIL", 1);
    assert_int_equal(rig_stats(&r, 0).rank, 3);
    speak_as(&r, 0, near, "SSRC", 2);
    assert_int_equal(rig_stats(&r, 0).rank, 2);
    speak_as(&r, 0, r.phone[0], "MINE", 9); /* the exact one needs not */
    assert_int_equal(rig_stats(&r, 0).rank, 1);
    (void)close(near);
    (void)close(sig);
    rig_down(&r);
}

/* 79: header fields that claim more than there is. */
static void headers_that_lie_are_dropped(void **state)
{
    static const struct sl bad[] = {
        SL("\x8f\x00\x00\x01\x00\x00\x00\x01SSRC"),                 /* 15 sources */
        SL("\x90\x00\x00\x01\x00\x00\x00\x01SSRC\xbe\xde\xff\xff"), /* an extension of 256 KiB */
        SL("\xa0\x00\x00\x01\x00\x00\x00\x01SSRC\xff"),             /* 255 bytes of padding */
        SL("\xa0\x00\x00\x01\x00\x00\x00\x01SSRC"),                 /* padding without a byte */
        SL("\xbf\x00\x00\x01\x00\x00\x00\x01SSRC"),
    };
    struct rig r;

    (void)state;
    up(&r);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], bad[i].p, bad[i].n);
    }
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).malformed, COUNT_OF(bad));
    assert_false(rig_stats(&r, 0).learned);
    rig_down(&r);
}

/* 84: a mapped address is the address it maps; our own ports are no destination. */
static void addresses_are_compared_after_canonicalising(void **state)
{
    struct addr mapped, own;
    struct rig r;

    (void)state;
    up(&r);
    media_local(r.s, 0, 1, &own);
    assert_int_equal(addr_parse_hostport(SL("[::ffff:127.0.0.1]:5000"), 0, &mapped), 0);
    assert_int_equal(addr_family(&mapped), AF_INET);
    r.remote[0].rtp = own;
    rig_describe(&r, 0);
    rig_say(&r, 1, r.phone[1]);
    assert_int_equal(rig_stats(&r, 0).no_destination, 1);
    rig_down(&r);
}

/* 85: junk is counted and no more; 88: payloads are nobody's business here. */
static void junk_costs_a_counter_and_payloads_are_not_read(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t p[64];

        for (size_t k = 0; k < sizeof(p); k++) {
            p[k] = (uint8_t)(i * 7 + k * 13);
        }
        rig_send(&rig_side(&r, 0)->rtp, r.stranger, p, 1 + i % sizeof(p));
    }
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers + rig_stats(&r, 0).malformed, 1000);
    for (unsigned i = 0; i < 200; i++) { /* RED blocks of any length word */
        uint8_t p[20];

        memset(p, (int)i, sizeof(p));
        memcpy(p, "\x80\x79\x00\x01\x00\x00\x00\x01SSRC", 12);
        p[3] = (uint8_t)i;
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, sizeof(p));
        assert_true(rig_got(r.phone[1]));
    }
    rig_down(&r);
}

/* 86: who still sends to the ports of an ended call is not heard in the next one. */
static void a_late_sender_does_not_speak_into_the_next_call(void **state)
{
    struct media_session *next = NULL;
    struct addr local;
    int other;
    struct rig r;

    (void)state;
    up(&r);
    rig_say(&r, 0, r.phone[0]);
    media_session_close(&r.s);
    loop_advance(r.loop, 1000); /* the quarantine is over */
    assert_int_equal(media_session_new(&next, r.m, rig_on_silence, &r), 0);
    r.s = next;
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(media_open(r.s, 0, side, MEDIA_RTP, 1, AF_INET), 0);
    }
    while (rig_got(r.phone[1])) {
    }
    other = rig_socket(rig_ip(77));
    r.remote[0].rtp = rig_name(other);
    r.remote[0].signalling = rig_ip(77);
    rig_describe(&r, 0);
    rig_describe(&r, 1);
    media_local(r.s, 0, 0, &local);
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    (void)close(other);
    rig_down(&r);
}

/* --- the network --- */

static int tos_of(const struct media_flow *f)
{
    int tos = -1;
    socklen_t n = sizeof(tos);

    assert_int_equal(getsockopt(f->fd, IPPROTO_IP, IP_TOS, &tos, &n), 0);
    return tos;
}

static void packets_are_marked_as_the_call_wants_and_the_next_call_anew(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    assert_int_equal(tos_of(&rig_side(&r, 0)->rtp), 46 << 2);
    assert_int_equal(media_set_dscp(r.s, 0, 0, 34), 0);
    assert_int_equal(tos_of(&rig_side(&r, 0)->rtp), 34 << 2);
    assert_int_equal(tos_of(&rig_side(&r, 0)->rtcp), 34 << 2);
    assert_int_equal(tos_of(&rig_side(&r, 1)->rtp), 46 << 2);
    assert_int_equal(media_set_dscp(r.s, 0, 0, 64), EINVAL);
    assert_int_equal(media_set_dscp(r.s, 4, 0, 1), ENOENT);
    media_close(r.s, 0);
    loop_advance(r.loop, 1000);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(tos_of(&rig_side(&r, 0)->rtp), 46 << 2);
    assert_int_equal(tos_of(&rig_side(&r, 1)->rtp), 46 << 2);
    rig_down(&r);
}

/* 85: junk at a port of the call costs a counter, and none of the call's packets. */
static void junk_costs_a_counter_and_no_packet_of_the_call(void **state)
{
    enum { JUNK = 10000, EVERY = 100 };
    struct media_stats st;
    uint8_t p[172];
    unsigned heard = 0;
    uint32_t random = 1;
    struct rig r;

    (void)state;
    up(&r);
    for (unsigned i = 0; i < JUNK; i++) {
        size_t n = 1 + i % sizeof(p);

        for (size_t k = 0; k < n; k++) {
            random = random * 1664525 + 1013904223;
            p[k] = (uint8_t)(random >> 24);
        }
        rig_send(&rig_side(&r, 0)->rtp, r.stranger, p, n);
        if (i % EVERY == 0) {
            speak_as(&r, 0, r.phone[0], "SSRC", (uint16_t)(i / EVERY));
            heard += rig_got(r.phone[1]) ? 1 : 0;
        }
    }
    st = rig_stats(&r, 0);
    assert_int_equal(heard, JUNK / EVERY);
    assert_int_equal(st.rx_packets, JUNK / EVERY);
    assert_int_equal(st.lost, 0);
    assert_true(st.strangers + st.malformed != 0);
    assert_true(st.strangers + st.malformed <= JUNK);
    assert_false(rig_got(r.phone[1]) || rig_got(r.phone[0]) || rig_got(r.stranger));
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_third_party_steals_nothing_and_is_heard_by_nobody),
        cmocka_unit_test(a_race_at_the_start_is_won_by_nobody_from_elsewhere),
        cmocka_unit_test(a_stranger_cannot_use_a_re_invite_while_the_old_endpoint_sends),
        cmocka_unit_test(a_new_stream_is_taken_once_the_old_endpoint_is_silent),
        cmocka_unit_test(within_the_hold_off_a_rival_must_continue_the_stream),
        cmocka_unit_test(headers_that_lie_are_dropped),
        cmocka_unit_test(addresses_are_compared_after_canonicalising),
        cmocka_unit_test(junk_costs_a_counter_and_payloads_are_not_read),
        cmocka_unit_test(a_late_sender_does_not_speak_into_the_next_call),
        cmocka_unit_test(junk_costs_a_counter_and_no_packet_of_the_call),
        cmocka_unit_test(packets_are_marked_as_the_call_wants_and_the_next_call_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
