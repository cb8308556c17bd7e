/* test_media_checks.c - ICE on a side of the relay: only who passed a check may speak, what they
 * nominate is where media goes, and a consent that ends is media lost (attacks.md 77, 78). */
#include "media_dtls_rig.h"
#include "media_ice_rig.h"

static void up(struct rig *r)
{
    dtls_up(r);
    assert_int_equal(rig_describe_ice(r, 0), 0);
}

static void a_check_validates_and_a_nomination_moves_the_endpoint(void **state)
{
    int other;
    struct rig r;

    (void)state;
    up(&r);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CHECKING);
    rig_say(&r, 0, r.phone[0]); /* the address of the description proves nothing here */
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0]));
    rig_check_from(&r, 0, r.phone[0], false, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(rig_stats(&r, 0).rank, 5);
    rig_say(&r, 1, r.phone[1]); /* the first to be valid, before they decide */
    assert_true(rig_got(r.phone[0]));
    other = rig_socket(rig_ip(70)); /* a candidate that no description names */
    rig_check_from(&r, 0, other, true, NULL);
    assert_true(rig_got_stun(other));
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CONNECTED);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(other));
    assert_false(rig_got(r.phone[0]));
    rig_say(&r, 0, r.phone[0]); /* valid as well: what is on its way is heard */
    assert_true(rig_got(r.phone[1]));
    (void)close(other);
    rig_down(&r);
}

/* A browser that ends its sound and keeps the picture goes on with the transport it has: the same
 * port, pair and association. Here it ends while the handshake is under way. */
static void a_transport_outlives_the_stream_that_led_it(void **state)
{
    static const struct media_format pcma = {.pt = 8, .out_pt = 8}, pcmu = {.pt = 0, .out_pt = 0};
    static const struct media_bundle_key key = {0};
    _Alignas(8) uint8_t p[512];
    struct media_ice_local before, now;
    struct media_flow *f;
    struct media_stats st;
    struct addr local, again;
    struct handset h;
    struct rig r;
    size_t n;

    (void)state;
    up(&r);
    r.remote[0].mux = true;
    rig_describe(&r, 0);
    assert_int_equal(media_open(r.s, 1, 1, MEDIA_RTP, 1, AF_INET), 0);
    media_set_remote(r.s, 1, 1, &r.remote[1]);
    assert_int_equal(media_bundle(r.s, 0, 0, 0, &key), 0);
    assert_int_equal(media_bundle(r.s, 1, 0, 0, &key), 0);
    media_set_remote(r.s, 1, 0, &r.remote[0]);
    assert_int_equal(media_set_formats(r.s, 0, 0, &pcma, 1), 0);
    assert_int_equal(media_set_formats(r.s, 1, 0, &pcmu, 1), 0);
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    handset_up(&h, true, r.phone[0]);
    handset_introduce(&h);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_PASSIVE, &h), 0);
    dtls_start(h.d, clock_now_ms(&r.clock));
    assert_true(handset_send(&h, &rig_side(&r, 0)->rtp));
    media_local(r.s, 1, 0, &local);
    assert_int_equal(media_ice_local(r.s, 1, 0, &before), 0);

    media_close(r.s, 0);
    f = &r.s->streams[1]->side[0].rtp;
    media_local(r.s, 1, 0, &again);
    assert_true(addr_eq(&local, &again));
    assert_int_equal(media_ice_local(r.s, 1, 0, &now), 0);
    assert_ptr_equal(now.ufrag.p, before.ufrag.p);
    handset_talk(&r, &h, f);
    assert_true(media_stats(r.s, 1, 0, &st));
    assert_int_equal(st.dtls, MEDIA_DTLS_DONE);
    assert_int_equal(st.ice, MEDIA_ICE_CONNECTED);
    handset_take_keys(&h);
    loop_advance(r.loop, 6000); /* the watch over consent */
    n = rig_write(&h.end, p, 7);
    rig_send(f, r.phone[0], p, n);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 7));
    n = rig_write(&(struct end){0}, p, 8);
    rig_send(&r.s->streams[1]->side[1].rtp, r.phone[1], p, n);
    assert_true(rig_hears(&r, 0, &h.end, 8));

    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 0, 0, &again);
    assert_false(addr_eq(&local, &again));
    dtls_down(&r, &h, NULL);
}

/* attacks.md 78: a request that does not know the password steers nothing. */
static void a_spoofed_check_steers_nothing(void **state)
{
    struct media_stats st;
    struct rig r;

    (void)state;
    up(&r);
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    for (unsigned i = 0; i < 10; i++) {
        rig_check_from(&r, 0, r.stranger, true, "a-wrong-password-of-24-c");
        rig_say(&r, 0, r.stranger);
    }
    assert_false(rig_got(r.stranger));
    assert_false(rig_got(r.phone[1]));
    st = rig_stats(&r, 0);
    assert_int_equal(st.strangers, 20);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    assert_false(rig_got(r.stranger));
    rig_down(&r);
}

/* attacks.md 77, and STUN where nobody speaks ICE. */
static void what_is_no_check_is_dropped_and_counted(void **state)
{
    static const struct sl bad[] = {
        SL("\x00\x01\x00\x08\x21\x12\xa4\x42tidtidtidtid"),
        SL("\x00\x01\x00\x04\x21\x12\xa4\x42tidtidtidtid\x00\x06\xff\xff"),
        SL("\x00"),
    };
    struct rig r;

    (void)state;
    up(&r);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], bad[i].p, bad[i].n);
        rig_send(&rig_side(&r, 1)->rtp, r.phone[1], bad[i].p, bad[i].n);
    }
    assert_int_equal(rig_stats(&r, 0).malformed, 3);
    assert_int_equal(rig_stats(&r, 1).malformed, 3);
    assert_false(rig_got(r.phone[0]) || rig_got(r.phone[1]));
    rig_down(&r);
}

static void early_checks_are_answered_before_the_description(void **state)
{
    struct rig r;

    (void)state;
    dtls_up(&r);
    rig_check_from(&r, 0, r.phone[0], true, NULL); /* we offered; their answer is on its way */
    assert_true(rig_got_stun(r.phone[0]));
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_NONE);
    assert_int_equal(rig_describe_ice(&r, 0), 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CONNECTED);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    rig_down(&r);
}

static void a_hold_address_does_not_hold_a_peer_with_ice(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    r.remote[0].rtp = rig_addr("0.0.0.0:9");
    rig_describe(&r, 0);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    r.remote[0].rtp = rig_addr("198.51.100.7:9000"); /* the default candidate moves nothing */
    rig_describe(&r, 0);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    rig_down(&r);
}

static void consent_that_ends_is_media_lost(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    for (unsigned i = 0; i < 12; i++) { /* a browser renews it, also on hold */
        rig_check_from(&r, 0, r.phone[0], i == 0, NULL);
        assert_true(rig_got_stun(r.phone[0]));
        rig_say(&r, 1, r.phone[1]);
        assert_true(rig_got(r.phone[0]));
        loop_advance(r.loop, 5000);
    }
    assert_int_equal(r.silences, 0);
    for (unsigned i = 0; i < 6; i++) {
        rig_say(&r, 1, r.phone[1]);
        loop_advance(r.loop, 5000);
    }
    assert_int_equal(r.silences, 1);
    assert_int_equal(r.silent_side, 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_FAILED);
    assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_ICE_FAILED);
    while (rig_got(r.phone[0])) {
    }
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.phone[0])); /* RFC 7675 5.1 */
    rig_down(&r);
}

/* RTCP on a port of its own has a consent of its own (RFC 7675 5.1): its end stops our reports, and
 * neither the call nor its media. */
static void consent_to_reports_is_their_own(void **state)
{
    static const uint8_t rr[8] = {0x80, 201, 0, 1, 'S', 'S', 'R', 'C'};
    struct rig r;

    (void)state;
    up(&r);
    for (unsigned i = 0; i < 16; i++) {
        rig_check_from(&r, 0, r.phone[0], i == 0, NULL);
        if (i < 4) {
            rig_check_to(&r, &rig_side(&r, 0)->rtcp, r.phone_rtcp[0], i == 0, NULL);
        }
        while (rig_got(r.phone[0])) {
        }
        while (rig_got(r.phone_rtcp[0])) {
        }
        rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rr, sizeof(rr));
        if (rig_got(r.phone_rtcp[0]) != (i < 9)) { /* 30 s after the check of the fourth lap */
            fail_msg("report %u", i);
        }
        rig_say(&r, 1, r.phone[1]);
        assert_true(rig_got(r.phone[0]));
        loop_advance(r.loop, 5000);
    }
    assert_int_equal(r.silences, 0);
    rig_check_to(&r, &rig_side(&r, 0)->rtcp, r.phone_rtcp[0], false, NULL);
    assert_true(rig_got_stun(r.phone_rtcp[0]));
    rig_send(&rig_side(&r, 1)->rtcp, r.phone_rtcp[1], rr, sizeof(rr));
    assert_true(rig_got(r.phone_rtcp[0]));
    rig_down(&r);
}

static void a_peer_whose_checks_never_come_is_named(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    loop_advance(r.loop, 29000);
    assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_NO_PACKETS);
    loop_advance(r.loop, 7000);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_FAILED);
    assert_int_equal(media_diagnose(r.s, 0, 0), MEDIA_DIAG_ICE_FAILED);
    rig_down(&r);
}

/* The description may come again and again meanwhile, and says nothing new. */
static void the_wait_for_checks_does_not_begin_anew(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    loop_advance(r.loop, 20000);
    assert_int_equal(rig_describe_ice(&r, 0), 0);
    loop_advance(r.loop, 15000);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_FAILED);
    rig_down(&r);
}

static void until_they_decide_the_first_who_is_valid_is_the_endpoint(void **state)
{
    struct rig r;
    int other;

    (void)state;
    up(&r);
    other = rig_socket(rig_ip(70));
    rig_check_from(&r, 0, r.stranger, false, "a-wrong-password-of-24-c");
    rig_say(&r, 1, r.phone[1]);
    assert_false(rig_got(r.stranger));
    rig_check_from(&r, 0, r.phone[0], false, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    rig_check_from(&r, 0, other, false, NULL);
    assert_true(rig_got_stun(other));
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    assert_false(rig_got(other));
    (void)close(other);
    rig_down(&r);
}

/* As with another device of a fork: what the one before has proved is not the next one's. */
static void a_side_that_is_somebody_else_is_checked_anew(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    loop_advance(r.loop, 29000);
    media_side_reset(r.s, 0, 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_NONE);
    rig_describe(&r, 0);
    assert_int_equal(rig_describe_ice(&r, 0), 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CHECKING);
    rig_say(&r, 0, r.phone[0]);
    assert_false(rig_got(r.phone[1]));
    loop_advance(r.loop, 25000); /* it has its own time */
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CHECKING);
    loop_advance(r.loop, 11000);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_FAILED);
    media_side_reset(r.s, 0, 0); /* nor is that its successor's failure */
    rig_describe(&r, 0);
    assert_int_equal(rig_describe_ice(&r, 0), 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_CHECKING);
    rig_down(&r);
}

static void a_restart_keeps_the_old_pair_until_the_new_one(void **state)
{
    struct media_ice_local before, after;
    char ufrag[64];
    int next;
    struct rig r;

    (void)state;
    up(&r);
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    assert_int_equal(media_ice_local(r.s, 0, 0, &before), 0);
    (void)snprintf(ufrag, sizeof(ufrag), "%.*s", SL_ARG(before.ufrag));
    assert_int_equal(media_ice_restart(r.s, 0, 0), 0);
    assert_int_equal(media_ice_local(r.s, 0, 0, &after), 0);
    assert_false(sl_eq(after.ufrag, sl_str(ufrag)));
    assert_int_equal(rig_describe_ice(&r, 0), 0);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    next = rig_socket(rig_ip(71));
    rig_check_from(&r, 0, next, true, NULL);
    assert_true(rig_got_stun(next));
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(next));
    (void)close(next);
    rig_down(&r);
}

static void a_side_may_go_on_without_ice(void **state)
{
    struct rig r;

    (void)state;
    up(&r);
    assert_int_equal(media_set_ice(r.s, 0, 0, SL_NULL, SL_NULL), 0);
    assert_int_equal(rig_stats(&r, 0).ice, MEDIA_ICE_NONE);
    rig_say(&r, 0, r.phone[0]);
    assert_true(rig_got(r.phone[1]));
    assert_int_equal(media_set_ice(r.s, 0, 0, SL("a"), SL("b")), EBADMSG);
    assert_int_equal(media_set_ice(r.s, 8, 0, SL_NULL, SL_NULL), ENOENT);
    loop_advance(r.loop, 29000);
    assert_int_equal(r.silences, 0);
    rig_down(&r);
}

/* The whole way of a browser: checks, then DTLS from the checked address only, then media. */
static void dtls_waits_for_a_validated_address(void **state)
{
    struct handset h, thief;
    struct rig r;

    (void)state;
    up(&r);
    r.remote[0].mux = true;
    rig_describe(&r, 0);
    handset_up(&h, false, r.phone[0]);
    handset_introduce(&h);
    handset_up(&thief, true, r.stranger);
    assert_int_equal(relay_dtls(&r, 0, MEDIA_DTLS_ACTIVE, &h), 0);
    assert_false(rig_got(r.phone[0])); /* nobody to send to */
    rig_check_from(&r, 0, r.phone[0], true, NULL);
    assert_true(rig_got_stun(r.phone[0]));
    dtls_start(thief.d, 1);
    (void)handset_send(&thief, &rig_side(&r, 0)->rtp);
    assert_false(rig_got(r.stranger));
    handset_finish(&r, &h, 0);
    handset_take_keys(&h);
    rig_speak(&r, 0, &h.end, 1);
    assert_true(rig_hears(&r, 1, &(struct end){0}, 1));
    rig_speak(&r, 1, &(struct end){0}, 1);
    assert_true(rig_hears(&r, 0, &h.end, 1));
    media_session_close(&r.s);
    handset_down(&h);
    handset_down(&thief);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_validates_and_a_nomination_moves_the_endpoint),
        cmocka_unit_test(a_transport_outlives_the_stream_that_led_it),
        cmocka_unit_test(a_spoofed_check_steers_nothing),
        cmocka_unit_test(what_is_no_check_is_dropped_and_counted),
        cmocka_unit_test(early_checks_are_answered_before_the_description),
        cmocka_unit_test(a_hold_address_does_not_hold_a_peer_with_ice),
        cmocka_unit_test(consent_that_ends_is_media_lost),
        cmocka_unit_test(consent_to_reports_is_their_own),
        cmocka_unit_test(a_peer_whose_checks_never_come_is_named),
        cmocka_unit_test(the_wait_for_checks_does_not_begin_anew),
        cmocka_unit_test(until_they_decide_the_first_who_is_valid_is_the_endpoint),
        cmocka_unit_test(a_side_that_is_somebody_else_is_checked_anew),
        cmocka_unit_test(a_restart_keeps_the_old_pair_until_the_new_one),
        cmocka_unit_test(a_side_may_go_on_without_ice),
        cmocka_unit_test(dtls_waits_for_a_validated_address),
    };

    return cmocka_run_group_tests(tests, house_up, house_down);
}
