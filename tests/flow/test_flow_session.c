/* test_flow_session.c - session timers (RFC 4028): each leg has its own, who refreshes and how,
 * intervals that are too short for one of us, and what happens when nobody refreshes. */
#include "rig.h"

#include <stdio.h>

#define ALLOWS "Allow: INVITE, ACK, CANCEL, BYE, UPDATE\r\n"

static void say(struct phone *p, const char *fields)
{
    (void)snprintf(p->extra, sizeof(p->extra), "%s", fields);
}

/* An answered call; what both say about their sessions in INVITE and 200. */
static void up(struct pair *t, struct rig *r, const char *a, const char *b)
{
    pair_init(t, r);
    say(&t->a, a);
    pair_ring(t);
    say(&t->b, b);
    pair_answer(t);
}

static void refresh_by_update(struct phone *p, const char *says)
{
    HAS(EXPECT(p, "UPDATE"), says);
    LACKS(p->got, "m=audio");
    HAS(p->got, "Supported: timer\r\n");
    say(p, says);
    phone_answer(p, 200, NULL);
}

static void both_legs_agree_on_their_own(void **state)
{
    struct pair t;

    up(&t, *state, "Supported: timer\r\nSession-Expires: 1000\r\n", "");
    HAS(t.b.ring, "Supported: timer, 100rel\r\n");
    HAS(t.b.ring, "Session-Expires: 1800\r\n");
    LACKS(t.b.ring, "Min-SE");
    HAS(t.a.got, "Session-Expires: 1000;refresher=uas\r\n");
    HAS(t.a.got, "Require: timer\r\n");
    rig_advance(t.r, 499999);
    QUIET(&t.a);
    rig_advance(t.r, 1); /* half of it, by re-INVITE: it did not say that it takes UPDATE */
    HAS(EXPECT(&t.a, "INVITE"), "Session-Expires: 1000;refresher=uac\r\n");
    HAS(t.a.got, "m=audio");
    say(&t.a, "Session-Expires: 1000;refresher=uac\r\n");
    phone_answer(&t.a, 200, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "ACK");
    rig_advance(t.r, 3600 * 1000 / 10);
    QUIET(&t.b); /* which has no timer: its 200 did not say one */
    pair_bye(&t);
}

static void we_refresh_where_it_is_ours_to_do(void **state)
{
    struct pair t;

    up(&t, *state, "", ALLOWS "Require: timer\r\nSession-Expires: 600;refresher=uac\r\n");
    LACKS(t.a.got, "Session-Expires");
    for (int i = 0; i < 3; i++) {
        rig_advance(t.r, 299999);
        QUIET(&t.b);
        rig_advance(t.r, 1);
        refresh_by_update(&t.b, "Session-Expires: 600;refresher=uac\r\n");
    }
    assert_int_equal(stat_sum(STAT_SESSION_REFRESH), 3);
    QUIET(&t.a);
    pair_bye(&t);
}

static void who_does_not_refresh_in_time_loses_the_call(void **state)
{
    static const struct {
        const char *a, *b, *by;
        int64_t after_ms;
    } rows[] = {{"", "Session-Expires: 600;refresher=uas\r\n",
                 "session timer of the callee expired", 568000}, /* 32 s before */
                {"Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", "",
                 "session timer of the caller expired", 60000}}; /* a third before */

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = rig_up(NULL, 1);
        struct pair t;

        up(&t, r, rows[i].a, rows[i].b);
        rig_advance(r, rows[i].after_ms - 1);
        QUIET(&t.a);
        QUIET(&t.b);
        rig_advance(r, 1);
        talk_cut(&t.a, &t.b);
        talk_record_is("timeout", rows[i].by, 200);
        assert_int_equal(stat_sum(STAT_SESSION_EXPIRED), 1);
        rig_down(r);
    }
}

static void each_refresh_of_theirs_begins_a_new_interval(void **state)
{
    struct pair t;

    up(&t, *state, "", "Session-Expires: 600;refresher=uas\r\n");
    rig_advance(t.r, 500000);
    say(&t.b, "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n");
    phone_request(&t.b, "UPDATE", NULL, NULL);
    HAS(EXPECT(&t.b, "200 UPDATE"), "Session-Expires: 600;refresher=uac\r\n");
    HAS(t.b.got, "Require: timer\r\n");
    rig_advance(t.r, 500000);
    say(&t.b, "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n");
    talk_offer(&t.b, &t.a, phone_sdp(&t.b, NULL));
    phone_answer(&t.a, 200, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.b, "200 INVITE"), "Session-Expires: 600;refresher=uac\r\n");
    EXPECT(&t.a, "ACK");
    phone_ack(&t.b, NULL);
    rig_advance(t.r, 567999);
    QUIET(&t.b);
    rig_advance(t.r, 1);
    talk_cut(&t.b, &t.a);
}

/* Their refresh, while allocation n fails. Which answer came? */
static bool refresh_without_memory(struct pair *t, unsigned long n, const char **answer)
{
    static const char *const answers[] = {"200 UPDATE", "500 UPDATE"};
    bool hit;

    say(&t->b, "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n");
    mem_fault_arm(n);
    phone_request(&t->b, "UPDATE", NULL, NULL);
    hit = mem_fault_hit();
    mem_fault_arm(0);
    *answer = NULL;
    for (size_t i = 0; i < COUNT_OF(answers) && *answer == NULL; i++) {
        *answer = phone_try(&t->b, answers[i]) ? answers[i] : NULL;
    }
    t->b.extra[0] = '\0';
    return hit;
}

/* Two answers differ in what they say of the session: the one that was heard holds. */
static void consent_that_did_not_go_out_changes_no_timer(void **state)
{
    unsigned long refused = 0, n = 0;
    bool hit = true;

    (void)state;
    while (hit && ++n < 100) {
        struct rig *r = rig_up(NULL, 1);
        const char *answer;
        struct pair t;

        up(&t, r, "", "Session-Expires: 600;refresher=uas\r\n");
        hit = refresh_without_memory(&t, n, &answer);
        if (answer != NULL && answer[0] == '5') {
            refused++;
            rig_advance(r, 567999); /* the old interval goes on */
            QUIET(&t.b);
            rig_advance(r, 1);
        } else if (answer != NULL) {
            rig_advance(r, 59999);
            QUIET(&t.b);
            rig_advance(r, 1);
        }
        if (answer != NULL) {
            EXPECT(&t.b, "BYE");
            phone_answer(&t.b, 200, NULL);
            EXPECT(&t.a, "BYE");
            phone_answer(&t.a, 200, NULL);
        } else {
            phone_drop_mail(&t.b); /* 503, or nothing at all */
            pair_bye(&t);
        }
        rig_down(r);
    }
    assert_false(hit);
    assert_true(refused != 0);
}

static void the_last_word_may_be_that_there_is_no_timer(void **state)
{
    struct pair t;

    up(&t, *state, "", "Session-Expires: 600;refresher=uas\r\n");
    phone_request(&t.b, "UPDATE", NULL, NULL); /* no word of it */
    LACKS(EXPECT(&t.b, "200 UPDATE"), "Session-Expires");
    rig_advance(t.r, 3600 * 1000);
    QUIET(&t.b);
    pair_bye(&t);
}

static void a_proxy_may_ask_for_a_caller_that_takes_no_part(void **state)
{
    struct pair t;

    up(&t, *state, "Session-Expires: 60;refresher=uac\r\n", ""); /* nor can it read a 422 */
    HAS(t.a.got, "Session-Expires: 90;refresher=uas\r\n");
    LACKS(t.a.got, "Require: timer");
    rig_advance(t.r, 45000);
    EXPECT(&t.a, "INVITE");
    phone_answer(&t.a, 200, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "ACK");
    pair_bye(&t);
}

static void what_is_required_of_us_is_what_we_can(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    say(&t.a, "Require: timer\r\nSession-Expires: 1800\r\n");
    pair_up(&t);
    pair_bye(&t);
    phone_renew(&t.a);
    say(&t.a, "Require: timer, precondition\r\n");
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.a, "420 INVITE"), "Unsupported: precondition\r\n");
    phone_ack_failure(&t.a);
}

/* --- too short --- */

static void a_session_that_is_too_short_is_refused(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    say(&t.a, "Supported: timer\r\nx: 89\r\n"); /* the compact form */
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.a, "422 INVITE"), "Min-SE: 90\r\n");
    phone_ack_failure(&t.a);
    talk_record_is("system", "session interval is too short", 422);
    phone_renew(&t.a);
    say(&t.a, "Supported: timer\r\nSession-Expires: soon\r\n");
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "400 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
}

static void a_session_that_would_become_too_short_stays_as_it_was(void **state)
{
    struct pair t;

    up(&t, *state, "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "");
    say(&t.a, "Supported: timer\r\nSession-Expires: 60\r\n");
    phone_request(&t.a, "UPDATE", NULL, NULL);
    HAS(EXPECT(&t.a, "422 UPDATE"), "Min-SE: 90\r\n");
    say(&t.a, "Supported: timer\r\nSession-Expires: 60\r\n");
    phone_reinvite(&t.a, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.a, "422 INVITE"), "Min-SE: 90\r\n");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    rig_advance(t.r, 567999);
    QUIET(&t.a);
    pair_bye(&t);
}

static void a_callee_that_wants_longer_ones_is_asked_again(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    say(&t.b, "Min-SE: 3600\r\n");
    phone_answer(&t.b, 422, NULL);
    EXPECT(&t.b, "ACK");
    QUIET(&t.a);
    HAS(EXPECT(&t.b, "INVITE"), "Session-Expires: 3600\r\n");
    HAS(t.b.got, "Min-SE: 3600\r\n");
    say(&t.b, "Min-SE: 7200\r\n");
    phone_answer(&t.b, 422, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.b, "INVITE");
    say(&t.b, "Min-SE: 7201\r\n"); /* it plays with us */
    talk_refuse(&t.b, 422, &t.a, "480 INVITE");
}

static void a_refresh_that_is_too_short_for_them_is_made_longer(void **state)
{
    struct pair t;

    up(&t, *state, "", ALLOWS "Session-Expires: 600;refresher=uac\r\n");
    rig_advance(t.r, 300000);
    EXPECT(&t.b, "UPDATE");
    say(&t.b, "Min-SE: 900\r\n");
    phone_answer(&t.b, 422, NULL);
    HAS(EXPECT(&t.b, "UPDATE"), "Session-Expires: 900;refresher=uac\r\n");
    say(&t.b, "Session-Expires: 900;refresher=uac\r\n");
    phone_answer(&t.b, 200, NULL);
    rig_advance(t.r, 450000);
    refresh_by_update(&t.b, "Session-Expires: 900;refresher=uac\r\n");
    pair_bye(&t);
}

static void an_interval_that_would_keep_us_busy_is_not_believed(void **state)
{
    struct pair t;

    up(&t, *state, "", ALLOWS "Session-Expires: 1;refresher=uac\r\n");
    rig_advance(t.r, 44999);
    QUIET(&t.b);
    rig_advance(t.r, 1);
    refresh_by_update(&t.b, "Session-Expires: 90;refresher=uac\r\n");
    pair_bye(&t);
}

/* --- refreshes that fail --- */

static void a_refresh_that_finds_no_dialog_ends_the_call(void **state)
{
    struct pair t;

    up(&t, *state, "", ALLOWS "Session-Expires: 600;refresher=uac\r\n");
    rig_advance(t.r, 300000);
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 481, NULL);
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    talk_record_is("callee", "dialog is gone", 200);
}

static void update_that_is_not_known_after_all_becomes_a_reinvite(void **state)
{
    struct pair t;

    up(&t, *state, "", ALLOWS "Session-Expires: 600;refresher=uac\r\n");
    rig_advance(t.r, 300000);
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 405, NULL);
    HAS(EXPECT(&t.b, "INVITE"), "Session-Expires: 600;refresher=uac\r\n");
    say(&t.b, "Session-Expires: 600;refresher=uac\r\n");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    rig_advance(t.r, 300000);
    EXPECT(&t.b, "INVITE"); /* at once, from now on */
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    pair_bye(&t);
}

static void a_refusal_is_asked_again_until_the_time_is_over(void **state)
{
    struct pair t;
    unsigned asked = 0;

    up(&t, *state, "", ALLOWS "Session-Expires: 90;refresher=uac\r\n");
    rig_advance(t.r, 45000);
    while (phone_try(&t.b, "UPDATE")) {
        phone_answer(&t.b, 500, NULL);
        asked++;
        rig_advance(t.r, asked == 2 ? 5000 : 10000);
    }
    assert_int_equal(asked, 2); /* at 45 and 55 s; at 60 s it is too late */
    talk_cut(&t.b, &t.a);
    talk_record_is("timeout", "session timer of the callee expired", 200);
}

static void a_reinvite_that_is_refused_is_asked_again_as_well(void **state)
{
    static const unsigned refusals[] = {503, 488, 500};
    struct pair t;

    up(&t, *state, "Supported: timer\r\nSession-Expires: 600\r\n", "");
    rig_advance(t.r, 300000);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        EXPECT(&t.a, "INVITE");
        phone_answer_invite(&t.a, refusals[i], NULL);
        EXPECT(&t.a, "ACK");
        rig_advance(t.r, 9999);
        QUIET(&t.a);
        rig_advance(t.r, 1);
    }
    EXPECT(&t.a, "INVITE");
    say(&t.a, "Session-Expires: 600;refresher=uac\r\n");
    phone_answer_invite(&t.a, 200, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "ACK");
    assert_int_equal(stat_sum(STAT_SESSION_REFUSED), 3);
    rig_advance(t.r, 299999); /* beyond what the first interval was */
    QUIET(&t.a);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "INVITE");
    phone_answer_invite(&t.a, 200, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "ACK");
    pair_bye(&t);
}

/* --- settings --- */

static void a_side_that_shall_not_be_asked_is_not(void **state)
{
    static const char yaml[] =
        "listeners:\n"
        "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"
        "            rtp: {ports: 20000-20999}}\n"
        "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
        "peers:\n"
        "  carrier: {listener: outside, sources: [192.0.2.30/32],\n"
        "            session_timer: {expires: 10m, min: 5m}}\n"
        "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: ['sip:10.1.1.20:5070'],\n"
        "        session_timer: {expires: off}}\n"
        "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n";
    struct rig *r = rig_up(yaml, 1);
    struct pair t;

    (void)state;
    up(&t, r, "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 700\r\n", "");
    LACKS(t.b.ring, "Session-Expires");
    HAS(t.b.ring, "Supported: timer");
    HAS(t.a.got, "Session-Expires: 700;refresher=uac\r\n"); /* not below what it can do */
    say(&t.a, "Supported: timer\r\nSession-Expires: 299\r\n");
    phone_request(&t.a, "UPDATE", NULL, NULL);
    HAS(EXPECT(&t.a, "422 UPDATE"), "Min-SE: 300\r\n");
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(both_legs_agree_on_their_own),
        FLOW_TEST(we_refresh_where_it_is_ours_to_do),
        cmocka_unit_test(who_does_not_refresh_in_time_loses_the_call),
        FLOW_TEST(each_refresh_of_theirs_begins_a_new_interval),
        cmocka_unit_test(consent_that_did_not_go_out_changes_no_timer),
        FLOW_TEST(the_last_word_may_be_that_there_is_no_timer),
        FLOW_TEST(a_proxy_may_ask_for_a_caller_that_takes_no_part),
        FLOW_TEST(what_is_required_of_us_is_what_we_can),
        FLOW_TEST(a_session_that_is_too_short_is_refused),
        FLOW_TEST(a_session_that_would_become_too_short_stays_as_it_was),
        FLOW_TEST(a_callee_that_wants_longer_ones_is_asked_again),
        FLOW_TEST(a_refresh_that_is_too_short_for_them_is_made_longer),
        FLOW_TEST(an_interval_that_would_keep_us_busy_is_not_believed),
        FLOW_TEST(a_refresh_that_finds_no_dialog_ends_the_call),
        FLOW_TEST(update_that_is_not_known_after_all_becomes_a_reinvite),
        FLOW_TEST(a_refusal_is_asked_again_until_the_time_is_over),
        FLOW_TEST(a_reinvite_that_is_refused_is_asked_again_as_well),
        cmocka_unit_test(a_side_that_shall_not_be_asked_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
