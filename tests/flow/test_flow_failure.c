/* test_flow_failure.c - calls that are not answered: refused, cancelled, timed out, tried
 * elsewhere. */
#include "rig.h"

/* The callee says status; the caller must hear `heard`. */
static void fail_with(struct pair *t, unsigned status, const char *heard)
{
    talk_refuse(&t->b, status, &t->a, heard);
    QUIET(&t->b);
}

static void a_busy_callee_is_a_486_and_no_other_target_is_tried(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    pair_ring(&t);
    fail_with(&t, 486, "486 INVITE");
    QUIET(&second);
    talk_record_is("callee", "refused by the callee", 486);
}

static void each_failure_reaches_the_caller_as_something_it_can_use(void **state)
{
    static const struct {
        unsigned said;
        const char *heard;
    } cases[] = {
        {300, "480 INVITE"}, {302, "480 INVITE"}, {400, "400 INVITE"}, {401, "502 INVITE"},
        {403, "403 INVITE"}, {404, "404 INVITE"}, {407, "502 INVITE"}, {408, "408 INVITE"},
        {410, "410 INVITE"}, {415, "415 INVITE"}, {420, "420 INVITE"}, {480, "480 INVITE"},
        {481, "481 INVITE"}, {484, "484 INVITE"}, {486, "486 INVITE"}, {487, "487 INVITE"},
        {488, "488 INVITE"}, {491, "480 INVITE"}, {500, "500 INVITE"}, {501, "501 INVITE"},
        {504, "504 INVITE"}, {600, "600 INVITE"}, {603, "603 INVITE"}, {604, "604 INVITE"},
        {606, "606 INVITE"},
    };
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        phone_renew(&t.a);
        talk_start(&t.a, &t.b);
        fail_with(&t, cases[i].said, cases[i].heard);
        assert_int_equal(rig_calls_now(t.r).legs, 0);
    }
    assert_int_equal(fake_store.n_calls, 2 * COUNT_OF(cases));
}

static void a_call_cancelled_before_any_answer_waits_for_one_before_its_cancel(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    talk_cancel(&t.a);
    QUIET(&t.b); /* RFC 3261 9.1 */
    phone_answer_invite(&t.b, 180, NULL);
    talk_cancelled(&t.b);
    QUIET(&t.a);
    talk_record_is("caller", "cancelled by the caller", 487);
}

static void a_call_cancelled_while_ringing_is_cancelled_at_the_callee(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    pair_ring(&t);
    talk_cancel(&t.a);
    m = EXPECT(&t.b, "CANCEL");
    assert_true(sl_eq(msg_hdr(sl_str(m), "Via", 0), msg_hdr(sl_str(t.b.ring), "Via", 0)));
    phone_answer(&t.b, 200, NULL);
    phone_answer_invite(&t.b, 487, NULL);
    EXPECT(&t.b, "ACK");
    talk_record_is("caller", "cancelled by the caller", 487);
}

static void a_cancel_that_crosses_the_200_ends_in_ack_and_bye(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    talk_cancel(&t.a);
    EXPECT(&t.b, "CANCEL");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    phone_answer(&t.b, 481, NULL); /* the CANCEL, too late */
    EXPECT(&t.b, "ACK");
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    QUIET(&t.a);
    talk_record_is("caller", "cancelled by the caller", 487);
}

static void a_cancel_after_the_answer_has_no_effect(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    phone_cancel(&t.a);
    EXPECT(&t.a, "200 CANCEL");
    phone_ack(&t.a, NULL);
    QUIET(&t.b);
    pair_bye(&t);
}

static void a_cancel_for_nothing_is_a_481(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "CANCEL", CALLED, NULL);
    EXPECT(&t.a, "481 CANCEL");
    pair_bye(&t);
}

static void nobody_answering_within_the_set_up_time_is_a_408_and_a_cancel(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    for (unsigned i = 0; i < 2; i++) { /* once a minute it says that it still rings */
        rig_advance(t.r, 59999);
        QUIET(&t.a);
        rig_advance(t.r, 1);
        EXPECT(&t.a, "180 INVITE");
    }
    rig_advance(t.r, 59999);
    QUIET(&t.a);
    QUIET(&t.b);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "408 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    talk_record_is("timeout", "set-up took too long", 408);
}

static void early_media_that_goes_on_is_not_rung_over(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 100, NULL);
    rig_advance(t.r, 60000);
    QUIET(&t.a); /* nothing was said that could be repeated */
    phone_answer_invite(&t.b, 180, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "180 INVITE");
    rig_advance(t.r, 60000);
    LACKS(EXPECT(&t.a, "183 INVITE"), "m=audio");
    pair_answer(&t);
    rig_advance(t.r, 60000);
    QUIET(&t.a);
    pair_bye(&t);
}

/* RFC 3261 13.3.1: the caller may say how long it waits; we never wait longer than we do. */
static void an_invite_that_expires_is_a_487(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    memcpy(t.a.extra, "Expires: 30\r\n", sizeof("Expires: 30\r\n"));
    pair_ring(&t);
    rig_advance(t.r, 29999);
    QUIET(&t.a);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    talk_record_is("timeout", "the caller's INVITE expired", 487);
    phone_renew(&t.a);
    phone_renew(&t.b);
    memcpy(t.a.extra, "Expires: 4294967295\r\n", sizeof("Expires: 4294967295\r\n"));
    pair_ring(&t);
    rig_advance(t.r, 180000);
    EXPECT(&t.a, "180 INVITE");
    EXPECT(&t.a, "180 INVITE");
    EXPECT(&t.a, "408 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    phone_renew(&t.a);
    phone_renew(&t.b);
    memcpy(t.a.extra, "Expires: 30\r\n", sizeof("Expires: 30\r\n"));
    pair_ring(&t);
    pair_answer(&t);
    rig_advance(t.r, 30000); /* answered is answered */
    QUIET(&t.a);
    pair_bye(&t);
}

static void a_callee_that_ignores_the_cancel_is_forgotten(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    talk_cancel(&t.a);
    rig_advance(t.r, 65000); /* 64*T1 after the CANCEL, and as long again for a late 200 */
    phone_drop_mail(&t.b);
    assert_int_equal(rig_calls_now(t.r).zombies, 0);
}

/* --- failover --- */

static void second_takes_it(struct pair *t, struct phone *second)
{
    EXPECT(second, "INVITE");
    HAS(second->got, "INVITE sip:+4930123@10.1.1.21:5070 SIP/2.0\r\n");
    t->b = *second;
    phone_answer(&t->b, 180, NULL);
    EXPECT(&t->a, "180 INVITE");
    pair_answer(t);
    pair_bye(t);
    talk_record_is("caller", "BYE", 200);
    assert_string_equal(talk_record()->b_remote, "10.1.1.21:5070");
}

static void a_silent_target_is_left_within_two_seconds(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    rig_advance(t.r, 1999);
    QUIET(&second);
    phone_drop_mail(&t.b); /* repetitions of the INVITE */
    rig_advance(t.r, 1);
    second_takes_it(&t, &second);
    HAS(talk_record()->detail, "\"result\":\"timeout\"");
}

static void a_target_that_answers_100_is_not_left(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 100, NULL);
    rig_advance(t.r, 20000);
    QUIET(&second);
    phone_answer_invite(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    pair_answer(&t);
    pair_bye(&t);
}

static void a_target_that_wakes_up_late_is_cancelled_and_not_heard(void **state)
{
    struct pair t;
    struct phone first, second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    first = t.b;
    rig_advance(t.r, 2000);
    phone_drop_mail(&first);
    EXPECT(&second, "INVITE");
    phone_answer_invite(&first, 180, NULL);
    EXPECT(&first, "CANCEL");
    QUIET(&t.a);
    phone_answer(&first, 200, NULL);
    phone_answer_invite(&first, 487, NULL);
    EXPECT(&first, "ACK");
    t.b = second;
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    pair_answer(&t);
    pair_bye(&t);
}

static void a_target_that_answers_200_after_it_was_left_is_hung_up(void **state)
{
    struct pair t;
    struct phone first, second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    first = t.b;
    rig_advance(t.r, 2000);
    phone_drop_mail(&first);
    EXPECT(&second, "INVITE");
    phone_answer_invite(&first, 200, phone_sdp(&first, NULL));
    EXPECT(&first, "ACK");
    EXPECT(&first, "BYE");
    phone_answer(&first, 200, NULL);
    QUIET(&t.a);
    t.b = second;
    pair_answer(&t);
    pair_bye(&t);
}

static void a_503_moves_on_to_the_next_target(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 503, NULL);
    EXPECT(&t.b, "ACK");
    second_takes_it(&t, &second);
    HAS(talk_record()->detail, "\"status\":503");
}

static void what_has_ended_plays_no_longer(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    phone_answer(&t.b, 503, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&second, "INVITE");
    t.b = second;
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    rig_advance(t.r, 60000);
    EXPECT(&t.a, "180 INVITE"); /* not the 183 of the first one */
    pair_answer(&t);
    pair_bye(&t);
}

static void a_transport_error_moves_on_to_the_next_target(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    rig_block(t.r, "10.1.1.20:5070", EHOSTUNREACH);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    second_takes_it(&t, &second);
    HAS(talk_record()->detail, "\"result\":\"unreachable\"");
}

static void a_port_that_refuses_moves_on_to_the_next_target(void **state)
{
    struct pair t;
    struct phone second;
    struct worker *w;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    w = rig_worker(t.r, 0);
    worker_net_events.gone(w, &t.b.flow, ECONNREFUSED);
    rig_settle(t.r);
    second_takes_it(&t, &second);
}

static void no_target_left_gives_the_caller_the_best_failure(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 503, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&second, "INVITE");
    rig_advance(t.r, 2000);
    phone_drop_mail(&second);
    EXPECT(&t.a, "408 INVITE"); /* a timeout says more than a 503 */
    phone_ack_failure(&t.a);
    assert_int_equal(talk_record()->end_code, 408);
    assert_string_equal(talk_record()->end_by, "callee");
}

static void two_times_503_is_a_503_that_says_when_to_come_back(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 503, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&second, "INVITE");
    phone_answer(&second, 503, NULL);
    EXPECT(&second, "ACK");
    HAS(EXPECT(&t.a, "503 INVITE"), "Retry-After: ");
    phone_ack_failure(&t.a);
}

static void an_offer_that_nobody_could_carry_is_a_488(void **state)
{
    static const char *const bad[] = {
        "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nt=0 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
        "m=audio 0 RTP/AVP 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
        "m=audio 40000 RTP/SAVP 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 media.example\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP "
        "0\r\n",
        "v=0\r\no=- 1 1 IN IP4 1\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\nm=audio 53 RTP/AVP "
        "0\r\n",
        "v=0\r\no=- 1 1 IN IP4 1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 20010 RTP/AVP "
        "0\r\n",
        "v=0 nonsense",
    };
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        phone_renew(&t.a);
        phone_invite(&t.a, CALLED, bad[i]);
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.a, "488 INVITE");
        phone_ack_failure(&t.a);
    }
    QUIET(&t.b);
}

static void an_answer_that_cannot_be_used_is_a_502_and_the_callee_is_hung_up(void **state)
{
    static const char *const bad[] = {
        NULL, "v=0 nonsense",
        "v=0\r\no=- 1 1 IN IP4 1\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n"
        "m=video 40000 RTP/AVP 31\r\nm=audio 40002 RTP/AVP 0\r\n"};
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        phone_renew(&t.a);
        talk_start(&t.a, &t.b);
        phone_answer(&t.b, 200, bad[i]);
        EXPECT(&t.a, "502 INVITE");
        phone_ack_failure(&t.a);
        EXPECT(&t.b, "ACK");
        EXPECT(&t.b, "BYE");
        phone_answer(&t.b, 200, NULL);
    }
}

static void bodies_that_are_no_description_are_a_415(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    memcpy(t.a.extra, "Content-Type: application/xml\r\n",
           sizeof("Content-Type: application/xml\r\n"));
    phone_invite(&t.a, CALLED, "<x/>");
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "415 INVITE");
    phone_ack_failure(&t.a);
}

static void callers_that_accept_no_description_are_a_406(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    memcpy(t.a.extra, "Accept: text/plain\r\n", sizeof("Accept: text/plain\r\n"));
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "406 INVITE");
    phone_ack_failure(&t.a);
}

static void a_call_without_contact_is_a_400(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_send_raw(&t.a, "INVITE " CALLED " SIP/2.0\r\n"
                         "Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK-nocontact;rport\r\n"
                         "From: <sip:alice@192.0.2.30>;tag=nocontact\r\nTo: <" CALLED ">\r\n"
                         "Call-ID: nocontact-1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
                         "Content-Length: 0\r\n\r\n");
    EXPECT(&t.a, "400 INVITE");
    QUIET(&t.b);
    t.r->is_noisy = true; /* the 400 repeats, as nobody acknowledges it */
}

static void running_out_of_ports_is_a_503_and_counted(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    fake_media_limit(rig_worker(t.r, 0)->media, 1);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.a, "503 INVITE"), "Retry-After: ");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    assert_true(stat_sum(STAT_PORTS_FULL) != 0);
    talk_record_is("system", "media port range exhausted", 503);
}

static void the_connection_of_the_caller_gone_in_set_up_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_on(&t.a, 0, SIP_TCP);
    pair_ring(&t);
    rig_block(t.r, "192.0.2.30:5060", ENOTCONN);
    worker_net_events.gone(rig_worker(t.r, 0), &t.a.flow, ECONNRESET);
    rig_settle(t.r);
    talk_cancelled(&t.b);
    assert_int_equal(rig_calls_now(t.r).setup + rig_calls_now(t.r).ringing, 0);
    assert_string_equal(talk_record()->end_by, "caller");
}

static void hang_up_by_the_operator_before_the_answer_is_a_480(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    assert_int_equal(call_hangup(rig_calls(t.r), 1), ENOENT);
    assert_int_equal(call_hangup(rig_calls(t.r), fake_store_last()->id), 0);
    rig_settle(t.r);
    EXPECT(&t.a, "480 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    talk_record_is("admin", "hung up by the operator", 480);
    assert_int_equal(call_hangup(rig_calls(t.r), fake_store_last()->id), ENOENT);
}

static void an_icmp_error_does_not_end_a_call_that_rings(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    worker_net_events.gone(rig_worker(t.r, 0), &t.b.flow, ECONNREFUSED);
    rig_settle(t.r);
    QUIET(&t.a);
    QUIET(&t.b);
    pair_answer(&t);
    worker_net_events.gone(rig_worker(t.r, 0), &t.b.flow, ECONNREFUSED);
    rig_settle(t.r);
    QUIET(&t.a);
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_busy_callee_is_a_486_and_no_other_target_is_tried),
        FLOW_TEST(each_failure_reaches_the_caller_as_something_it_can_use),
        FLOW_TEST(a_call_cancelled_before_any_answer_waits_for_one_before_its_cancel),
        FLOW_TEST(a_call_cancelled_while_ringing_is_cancelled_at_the_callee),
        FLOW_TEST(a_cancel_that_crosses_the_200_ends_in_ack_and_bye),
        FLOW_TEST(a_cancel_after_the_answer_has_no_effect),
        FLOW_TEST(a_cancel_for_nothing_is_a_481),
        FLOW_TEST(nobody_answering_within_the_set_up_time_is_a_408_and_a_cancel),
        FLOW_TEST(early_media_that_goes_on_is_not_rung_over),
        FLOW_TEST(an_invite_that_expires_is_a_487),
        FLOW_TEST(a_callee_that_ignores_the_cancel_is_forgotten),
        FLOW_TEST(a_silent_target_is_left_within_two_seconds),
        FLOW_TEST(a_target_that_answers_100_is_not_left),
        FLOW_TEST(a_target_that_wakes_up_late_is_cancelled_and_not_heard),
        FLOW_TEST(a_target_that_answers_200_after_it_was_left_is_hung_up),
        FLOW_TEST(a_503_moves_on_to_the_next_target),
        FLOW_TEST(what_has_ended_plays_no_longer),
        FLOW_TEST(a_transport_error_moves_on_to_the_next_target),
        FLOW_TEST(a_port_that_refuses_moves_on_to_the_next_target),
        FLOW_TEST(no_target_left_gives_the_caller_the_best_failure),
        FLOW_TEST(two_times_503_is_a_503_that_says_when_to_come_back),
        FLOW_TEST(an_offer_that_nobody_could_carry_is_a_488),
        FLOW_TEST(an_answer_that_cannot_be_used_is_a_502_and_the_callee_is_hung_up),
        FLOW_TEST(bodies_that_are_no_description_are_a_415),
        FLOW_TEST(callers_that_accept_no_description_are_a_406),
        FLOW_TEST(a_call_without_contact_is_a_400),
        FLOW_TEST(running_out_of_ports_is_a_503_and_counted),
        FLOW_TEST(the_connection_of_the_caller_gone_in_set_up_ends_the_call),
        FLOW_TEST(hang_up_by_the_operator_before_the_answer_is_a_480),
        FLOW_TEST(an_icmp_error_does_not_end_a_call_that_rings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
