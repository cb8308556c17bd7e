/* test_flow_mid.c - requests inside a call other than INVITE, and what ends one from outside. */
#include "rig.h"

#define EXTRA(p, text) memcpy((p)->extra, text, sizeof(text))

static void an_info_is_relayed_and_its_answer_too(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    pair_up(&t);
    EXTRA(&t.a, "Content-Type: application/dtmf-relay\r\nInfo-Package: dtmf\r\n");
    phone_request(&t.a, "INFO", NULL, "Signal=5\r\nDuration=160\r\n");
    QUIET(&t.a);
    m = EXPECT(&t.b, "INFO");
    HAS(m, "Content-Type: application/dtmf-relay\r\n");
    HAS(m, "\r\n\r\nSignal=5\r\nDuration=160\r\n");
    HAS(m, "Max-Forwards: 69\r\n");
    HAS(m, "\r\nInfo-Package: dtmf\r\n");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    phone_request(&t.b, "INFO", NULL, "x");
    LACKS(EXPECT(&t.a, "INFO"), "Info-Package");
    phone_answer(&t.a, 500, NULL);
    EXPECT(&t.b, "500 INFO");
    pair_bye(&t);
}

static void a_message_inside_the_call_is_relayed(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.b, "MESSAGE", NULL, "good morning");
    HAS(EXPECT(&t.a, "MESSAGE"), "good morning");
    phone_answer(&t.a, 100, NULL);
    QUIET(&t.b);
    phone_answer(&t.a, 202, NULL);
    EXPECT(&t.b, "202 MESSAGE");
    pair_bye(&t);
}

static void bodies_that_name_the_other_side_are_not_relayed(void **state)
{
    static const struct {
        const char *method, *type, *heard;
    } cases[] = {{"INFO", "Content-Type: application/sdp\r\n", "415 INFO"},
                 {"INFO", "Content-Type: multipart/mixed\r\n", "415 INFO"},
                 {"INFO", "Content-Type: message/sipfrag\r\n", "415 INFO"},
                 {"MESSAGE", "Content-Type: application/sdp\r\n", "415 MESSAGE"},
                 {"MESSAGE", "Content-Type: message/sipfrag\r\n", "415 MESSAGE"}};
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memcpy(t.a.extra, cases[i].type, strlen(cases[i].type) + 1);
        phone_request(&t.a, cases[i].method, NULL, "c=IN IP4 192.0.2.30");
        EXPECT(&t.a, cases[i].heard);
        QUIET(&t.b);
    }
    pair_bye(&t);
}

static void options_inside_the_call_are_answered_here(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.b, "OPTIONS", NULL, NULL);
    m = EXPECT(&t.b, "200 OPTIONS");
    HAS(m, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, PRACK\r\n");
    HAS(m, "Accept: application/sdp, multipart/mixed\r\n");
    QUIET(&t.a);
    pair_bye(&t);
}

static void methods_we_do_not_bridge_are_refused(void **state)
{
    static const struct {
        const char *method, *heard;
    } cases[] = {{"REFER", "405 REFER"},
                 {"SUBSCRIBE", "405 SUBSCRIBE"},
                 {"NOTIFY", "405 NOTIFY"},
                 {"PUBLISH", "405 PUBLISH"},
                 {"DANCE", "501 DANCE"}};
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        phone_request(&t.a, cases[i].method, NULL, NULL);
        HAS(EXPECT(&t.a, cases[i].heard), "Allow: INVITE");
        QUIET(&t.b);
    }
    pair_bye(&t);
}

static void an_option_that_a_peer_requires_is_a_420_by_name(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    EXTRA(&t.a, "Require: 100rel, foo, timer\r\n");
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.a, "420 INVITE"), "Unsupported: foo\r\n");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    pair_up(&t);
    EXTRA(&t.a, "Require: bar\r\n");
    phone_request(&t.a, "INFO", NULL, "x");
    HAS(EXPECT(&t.a, "420 INFO"), "Unsupported: bar\r\n");
    EXTRA(&t.a, "Require: timer, 100rel\r\n"); /* understood, though there is nothing to do */
    pair_bye(&t);
}

static void a_relayed_request_that_fails_over_there_says_so_here(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 401, NULL);
    EXPECT(&t.a, "502 INFO");
    rig_block(t.r, "10.1.1.20:5070", EHOSTUNREACH);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.a, "480 INFO");
    rig_block(t.r, "10.1.1.20:5070", 0);
    pair_bye(&t);
}

static void a_relayed_request_that_nobody_answers_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    rig_advance(t.r, 32000);
    while (phone_try(&t.b, "INFO")) {
    }
    EXPECT(&t.a, "BYE"); /* and no 408: its sender gave up just now (RFC 4320 4.2) */
    phone_answer(&t.a, 200, NULL);
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    talk_record_is("callee", "dialog is gone", 200);
}

static void a_relayed_request_that_meets_no_dialog_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 481, NULL);
    EXPECT(&t.a, "481 INFO");
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    QUIET(&t.b);
    talk_record_is("callee", "dialog is gone", 200);
}

static void a_call_that_ends_answers_what_it_was_relaying(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    talk_bye(&t.b, &t.a);
    EXPECT(&t.a, "481 INFO");
    t.r->is_noisy = true; /* our INFO repeats for a while */
}

static void only_so_many_requests_are_relayed_at_once(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    for (int i = 0; i < 8; i++) {
        phone_request(&t.a, "INFO", NULL, "x");
        QUIET(&t.a);
    }
    phone_request(&t.a, "INFO", NULL, "x");
    HAS(EXPECT(&t.a, "500 INFO"), "Retry-After: ");
    for (int i = 0; i < 8; i++) {
        EXPECT(&t.b, "INFO");
        phone_answer(&t.b, 200, NULL);
        EXPECT(&t.a, "200 INFO");
    }
    pair_bye(&t);
}

static void a_request_without_hops_left_goes_no_further(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    for (t.a.hops = 0; t.a.hops < 2; t.a.hops++) {
        phone_renew(&t.a);
        phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
        EXPECT(&t.a, "483 INVITE");
        phone_ack_failure(&t.a);
    }
    phone_renew(&t.a);
    pair_up(&t);
    HAS(t.b.ring, "Max-Forwards: 1\r\n"); /* every house on the way takes one: no loop for ever */
    t.a.hops = 1;
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.a, "483 INFO");
    QUIET(&t.b);
    pair_bye(&t);
}

static void a_request_from_a_foreign_address_is_a_481_and_changes_nothing(void **state)
{
    struct pair t;
    struct phone thief;

    pair_init(&t, *state);
    phone_init(&thief, t.r, 0, "thief", "192.0.2.99:5060");
    pair_up(&t);
    pair_bye(&t);
    phone_renew(&t.a);
    pair_up(&t);
    t.a.flow.remote = thief.flow.remote; /* it knows every tag, and still */
    phone_bye(&t.a);
    EXPECT(&t.a, "481 BYE");
    assert_int_equal(addr_parse_hostport(SL("192.0.2.30:5060"), 0, &t.a.flow.remote), 0);
    QUIET(&t.b);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void who_began_with_a_certificate_goes_on_with_it(void **state)
{
    struct pair t;
    struct flow own;
    const struct policy *policy;

    pair_init(&t, *state);
    policy = t.r->b.cfg->policy;
    phone_on(&t.a, 0, SIP_TCP); /* the house has no port for TLS: what is proven is what counts */
    t.a.flow.certified = true;
    t.a.flow.peer = policy_def(policy)->peers[policy_peer_of(policy, 0, &t.a.flow.remote, 0)].id;
    pair_up(&t);
    own = t.a.flow;
    t.a.flow.conn_slot += 1000; /* somebody else behind that address, who has proven nothing */
    t.a.flow.certified = false;
    t.a.flow.peer = 0;
    phone_bye(&t.a);
    EXPECT(&t.a, "481 BYE");
    QUIET(&t.b);
    own.conn_gen++; /* a new connection, with the certificate */
    t.a.flow = own;
    pair_bye(&t);
}

static void a_peer_may_speak_from_any_of_its_sources(void **state)
{
    struct pair t;
    struct phone other;

    pair_init(&t, *state);
    phone_init(&other, t.r, 1, "bob2", "10.1.1.21:5070");
    pair_up(&t);
    t.b.flow.remote = other.flow.remote;
    memcpy(t.b.at, other.at, sizeof(t.b.at));
    talk_bye(&t.b, &t.a);
}

static void wrong_tags_are_a_481(void **state)
{
    struct pair t;
    char tag[RIG_ID_MAX], id[RIG_ID_MAX];

    pair_init(&t, *state);
    pair_up(&t);
    memcpy(tag, t.a.tag, sizeof(tag));
    memcpy(t.a.tag, "another-tag", sizeof("another-tag"));
    phone_bye(&t.a);
    EXPECT(&t.a, "481 BYE");
    memcpy(t.a.tag, tag, sizeof(tag));
    memcpy(id, t.a.call_id, sizeof(id));
    memcpy(t.a.call_id, "another-call", sizeof("another-call"));
    phone_bye(&t.a);
    EXPECT(&t.a, "481 BYE");
    memcpy(t.a.call_id, id, sizeof(id));
    memcpy(tag, t.a.remote_tag, sizeof(tag));
    t.a.remote_tag[3] = t.a.remote_tag[3] == 'a' ? 'b' : 'a';
    phone_bye(&t.a);
    EXPECT(&t.a, "481 BYE");
    memcpy(t.a.remote_tag, tag, sizeof(tag));
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void a_cseq_that_does_not_rise_is_a_500(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_request(&t.a, "OPTIONS", NULL, NULL);
    EXPECT(&t.a, "200 OPTIONS");
    t.a.cseq--;
    phone_bye(&t.a);
    EXPECT(&t.a, "500 BYE");
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void a_repeated_bye_is_answered_again(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.b, "BYE");
    rig_advance(t.r, 500);
    EXPECT(&t.b, "BYE"); /* not answered yet */
    phone_answer(&t.b, 200, NULL);
    phone_bye(&t.a); /* a new one for a call that is gone */
    EXPECT(&t.a, "481 BYE");
}

static void the_duration_limit_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    rig_advance(t.r, 12 * 3600 * 1000LL - 1);
    QUIET(&t.a);
    rig_advance(t.r, 1);
    talk_cut(&t.a, &t.b);
    talk_record_is("timeout", "maximum call duration reached", 200);
}

static void silence_of_one_side_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    assert_int_equal(fake_media_inactivity(rig_worker(t.r, 0)->media), 60000);
    fake_media_silence(rig_media(t.r), 0, 1);
    rig_settle(t.r);
    talk_cut(&t.a, &t.b);
    talk_record_is("media", "no media", 200);
}

static void hang_up_by_the_operator_ends_both_sides(void **state)
{
    struct pair t;
    struct buf b;

    pair_init(&t, *state);
    pair_up(&t);
    buf_init(&b, 1 << 16);
    assert_int_equal(call_detail(rig_calls(t.r), fake_store_last()->id, &b), 0);
    assert_true(sl_find(buf_sl(&b), SL("\"live\":true")) >= 0);
    assert_true(sl_find(buf_sl(&b), SL("\"route\"")) >= 0);
    buf_reset(&b);
    assert_int_equal(call_ladder(rig_calls(t.r), fake_store_last()->id, &b), 0);
    assert_true(b.n > 100);
    buf_free(&b);
    assert_int_equal(call_hangup(rig_calls(t.r), fake_store_last()->id), 0);
    rig_settle(t.r);
    talk_cut(&t.a, &t.b);
    talk_record_is("admin", "hung up by the operator", 200);
}

static void draining_refuses_new_calls_and_ends_the_running_ones_when_its_time_is_over(void **state)
{
    struct pair t, u;
    struct phone late;

    pair_init(&t, *state);
    u.r = t.r;
    phone_init(&u.a, t.r, 0, "carol", "192.0.2.30:5064");
    phone_init(&late, t.r, 0, "erin", "192.0.2.30:5068");
    pair_up(&t);
    u.b = t.b;
    pair_ring(&u);
    atomic_store(&t.r->b.draining, true);
    call_drain(rig_calls(t.r));
    phone_invite(&late, "sip:+4930123@203.0.113.1", phone_sdp(&late, NULL));
    HAS(EXPECT(&late, "503 INVITE"), "Retry-After: 30\r\n");
    phone_ack_failure(&late);
    phone_request(&late, "OPTIONS", "sip:203.0.113.1", NULL);
    EXPECT(&late, "503 OPTIONS");
    call_drain_end(rig_calls(t.r));
    rig_settle(t.r);
    talk_cut(&t.a, &t.b);
    EXPECT(&u.a, "503 INVITE");
    phone_ack_failure(&u.a);
    EXPECT(&t.b, "CANCEL");
    phone_answer(&t.b, 200, NULL);
    phone_answer_invite(&u.b, 487, NULL);
    EXPECT(&t.b, "ACK");
    assert_int_equal(call_alive(rig_calls(t.r)), 0);
}

static void an_answered_call_outlives_the_connection_of_its_caller(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_on(&t.a, 0, SIP_TCP);
    pair_up(&t);
    worker_net_events.gone(rig_worker(t.r, 0), &t.a.flow, 0);
    rig_settle(t.r);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    t.a.flow.conn_slot++; /* it comes back on another one */
    pair_bye(&t);
    assert_int_equal(t.r->holds, 0);
}

static void a_house_that_is_freed_in_mid_call_writes_the_record(void **state)
{
    struct pair t;
    struct rig *r = rig_up(NULL, 1);
    unsigned n;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    rig_free(r);
    assert_non_null(fake_store_ended(fake_store.calls[0].id, &n));
    assert_int_equal(n, 1);
    assert_string_equal(fake_store_last()->end_by, "system");
    assert_int_equal(mem_live() - r->live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(an_info_is_relayed_and_its_answer_too),
        FLOW_TEST(a_message_inside_the_call_is_relayed),
        FLOW_TEST(bodies_that_name_the_other_side_are_not_relayed),
        FLOW_TEST(options_inside_the_call_are_answered_here),
        FLOW_TEST(methods_we_do_not_bridge_are_refused),
        FLOW_TEST(an_option_that_a_peer_requires_is_a_420_by_name),
        FLOW_TEST(a_relayed_request_that_fails_over_there_says_so_here),
        FLOW_TEST(a_relayed_request_that_nobody_answers_ends_the_call),
        FLOW_TEST(a_relayed_request_that_meets_no_dialog_ends_the_call),
        FLOW_TEST(a_call_that_ends_answers_what_it_was_relaying),
        FLOW_TEST(only_so_many_requests_are_relayed_at_once),
        FLOW_TEST(a_request_without_hops_left_goes_no_further),
        FLOW_TEST(a_request_from_a_foreign_address_is_a_481_and_changes_nothing),
        FLOW_TEST(a_peer_may_speak_from_any_of_its_sources),
        FLOW_TEST(who_began_with_a_certificate_goes_on_with_it),
        FLOW_TEST(wrong_tags_are_a_481),
        FLOW_TEST(a_cseq_that_does_not_rise_is_a_500),
        FLOW_TEST(a_repeated_bye_is_answered_again),
        FLOW_TEST(the_duration_limit_ends_the_call),
        FLOW_TEST(silence_of_one_side_ends_the_call),
        FLOW_TEST(hang_up_by_the_operator_ends_both_sides),
        FLOW_TEST(draining_refuses_new_calls_and_ends_the_running_ones_when_its_time_is_over),
        FLOW_TEST(an_answered_call_outlives_the_connection_of_its_caller),
        cmocka_unit_test(a_house_that_is_freed_in_mid_call_writes_the_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
