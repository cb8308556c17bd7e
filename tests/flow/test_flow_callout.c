/* test_flow_callout.c - calls that an HTTP server decides: they wait, are cancelled, get its answer
 * or the fallback, and nobody is counted before it is known where to. */
#include "rig.h"

#include <stdio.h>

#define HOUSE(fallback)                                                                            \
    "node: {name: rig, id: 5, log: {level: debug}}\n"                                              \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  pbx: {listener: inside, targets: [\"sip:10.1.1.20:5070\"]}\n"                               \
    "  spare: {listener: inside, targets: [\"sip:10.1.1.21:5070\"]}\n"                             \
    "  deaf: {listener: inside, sources: [10.1.1.99/32]}\n"                                        \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], limits: {calls: 1}}\n"               \
    "users: {domain: example.test, listener: outside, accounts: [{name: \"1001\", password: "      \
    "one}]}\n"                                                                                     \
    "callouts: {lnp: {url: \"http://127.0.0.1:9/route\", timeout: 400ms, fallback: " fallback      \
    "}}\n"                                                                                         \
    "routes:\n"                                                                                    \
    "  - {name: ask, match: {called: \"+*\"}, numbers: {called: [{prefix: \"+\", replace: "        \
    "\"00\"}]}, callout: lnp}\n"                                                                   \
    "  - {name: again, match: {called: \"00666*\"}, callout: lnp}\n"                               \
    "  - {name: rest, to: [spare]}\n"

struct trio {
    struct rig *r;
    struct phone a, pbx, spare;
};

static void trio_init(struct trio *t, const char *yaml)
{
    t->r = rig_up(yaml, 1);
    phone_init(&t->a, t->r, 0, "+4940", "192.0.2.30:5060");
    phone_init(&t->pbx, t->r, 1, "bob", "10.1.1.20:5070");
    phone_init(&t->spare, t->r, 1, "eve", "10.1.1.21:5070");
}

/* A call that waits for the first answer. */
static void call_and_wait(struct trio *t, const char *called)
{
    phone_invite(&t->a, called, phone_sdp(&t->a, NULL));
    EXPECT(&t->a, "100 INVITE");
    assert_int_equal(fake_callout.n_asked, 1);
    assert_false(rig_has_untaken(t->r));
}

static void answer(struct trio *t, size_t i, const struct callout_answer *a)
{
    fake_callout_answer(i, a);
    rig_settle(t->r);
}

static void target(struct trio *t, size_t i, const char *name)
{
    struct callout_answer a = {.result = CALLOUT_ROUTE, .n_targets = 1};

    assert_int_equal(sl_cstr(sl_str(name), a.targets[0], sizeof(a.targets[0])), 0);
    answer(t, i, &a);
}

static void refuse_at(struct trio *t, struct phone *at)
{
    EXPECT(at, "INVITE");
    talk_refuse(at, 486, &t->a, "486 INVITE");
}

static bool trace_has(const char *words)
{
    return strstr(talk_record()->detail, words) != NULL;
}

static void a_call_waits_and_goes_where_the_answer_says(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    HAS(fake_callout.asked[0].body, "{\"callout\":\"lnp\",\"route\":\"ask\",\"call\":\"");
    HAS(fake_callout.asked[0].body, "\"source\":\"peer:carrier\",\"listener\":\"outside\",");
    HAS(fake_callout.asked[0].body, "\"calling\":\"+4940\",\"called\":\"004930\",");
    assert_int_equal(policy_calls_now(t.r->b.cfg->policy, -1), 0);
    target(&t, 0, "pbx");
    assert_int_equal(policy_calls_now(t.r->b.cfg->policy, -1), 1);
    refuse_at(&t, &t.pbx);
    assert_string_equal(talk_record()->route, "ask");
    assert_true(trace_has("\"name\":\"ask\",\"result\":\"answered by HTTP\""));
    rig_down(t.r);
}

static void an_answer_may_leave_it_to_the_next_routes(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.result = CALLOUT_CONTINUE});
    refuse_at(&t, &t.spare);
    HAS(t.spare.asked, "sip:004930@10.1.1.21");
    assert_string_equal(talk_record()->route, "rest");
    rig_down(t.r);
}

static void two_routes_ask_one_after_the_other(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    call_and_wait(&t, "sip:+6661@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.result = CALLOUT_CONTINUE});
    assert_int_equal(fake_callout.n_asked, 2);
    HAS(fake_callout.asked[1].body, "\"route\":\"again\"");
    assert_false(rig_has_untaken(t.r));
    target(&t, 1, "pbx");
    refuse_at(&t, &t.pbx);
    rig_down(t.r);
}

static void an_answer_may_refuse_in_its_own_words(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    answer(&t, 0,
           &(struct callout_answer){
               .result = CALLOUT_REFUSE, .status = 604, .reason = "Number was given back"});
    EXPECT(&t.a, "604 INVITE");
    HAS(t.a.got, "SIP/2.0 604 Number was given back\r\n");
    phone_ack_failure(&t.a);
    talk_record_is("policy", "Number was given back", 604);
    rig_down(t.r);
}

static void without_an_answer_the_fallback_counts(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("504"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.why = "no connection"});
    EXPECT(&t.a, "504 INVITE");
    phone_ack_failure(&t.a);
    assert_true(trace_has("\"result\":\"no answer by HTTP\""));
    rig_down(t.r);
    trio_init(&t, HOUSE("continue"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.why = "no connection"});
    refuse_at(&t, &t.spare);
    rig_down(t.r);
}

static void names_that_are_no_targets_are_no_answer(void **state)
{
    static const char *const names[] = {"nobody", "deaf", ""};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct trio t;

        trio_init(&t, HOUSE("504"));
        call_and_wait(&t, "sip:+4930@203.0.113.1");
        target(&t, 0, names[i]);
        EXPECT(&t.a, "504 INVITE");
        phone_ack_failure(&t.a);
        rig_down(t.r);
    }
}

/* Its thread keeps the time limit; a lost answer is missed by the call itself. */
static void a_lost_answer_is_missed_and_a_late_one_changes_nothing(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("504"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    rig_advance(t.r, 1399);
    assert_false(rig_has_untaken(t.r));
    rig_advance(t.r, 1);
    EXPECT(&t.a, "504 INVITE");
    phone_ack_failure(&t.a);
    target(&t, 0, "pbx");
    assert_false(rig_has_untaken(t.r));
    rig_down(t.r);
}

static void a_late_answer_is_not_taken_for_that_of_the_next_question(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("continue"));
    call_and_wait(&t, "sip:+6661@203.0.113.1");
    rig_advance(t.r, 1400);
    assert_int_equal(fake_callout.n_asked, 2);
    target(&t, 0, "pbx");
    assert_false(rig_has_untaken(t.r));
    answer(&t, 1, &(struct callout_answer){.result = CALLOUT_CONTINUE});
    refuse_at(&t, &t.spare);
    rig_down(t.r);
}

static void a_waiting_call_can_be_cancelled(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("504"));
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    talk_cancel(&t.a);
    target(&t, 0, "pbx");
    assert_false(rig_has_untaken(t.r));
    talk_record_is("caller", "cancelled by the caller", 487);
    rig_down(t.r);
}

static void limits_are_asked_when_it_is_known_where_to(void **state)
{
    struct trio t;
    struct phone other;

    (void)state;
    trio_init(&t, HOUSE("504"));
    phone_init(&other, t.r, 0, "+4941", "192.0.2.30:5062");
    call_and_wait(&t, "sip:+4930@203.0.113.1");
    phone_invite(&other, "sip:+4931@203.0.113.1", phone_sdp(&other, NULL));
    EXPECT(&other, "100 INVITE"); /* waits as well: one call is allowed at once, and none is up */
    target(&t, 1, "pbx");
    EXPECT(&t.pbx, "INVITE");
    target(&t, 0, "pbx");
    EXPECT(&t.a, "503 INVITE");
    assert_int_equal(stat_sum(STAT_CALL_FULL), 1);
    phone_ack_failure(&t.a);
    talk_refuse(&t.pbx, 486, &other, "486 INVITE");
    rig_down(t.r);
}

static void who_cannot_be_asked_gives_no_answer_at_once(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("continue"));
    fake_callout.fail = ENOBUFS;
    phone_invite(&t.a, "sip:+6661@203.0.113.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    refuse_at(&t, &t.spare);
    assert_int_equal(stat_sum(STAT_CALLOUT_FAILED), 2);
    rig_down(t.r);
}

/* The answer to a challenge counts once: the second decision does not ask for it again. */
static void a_user_proves_himself_once(void **state)
{
    struct trio t;
    struct phone u;

    (void)state;
    trio_init(&t, HOUSE("504"));
    phone_init(&u, t.r, 0, "1001", "192.0.2.77:5062");
    (void)snprintf(u.password, sizeof(u.password), "one");
    talk_register(&u, 300);
    phone_renew(&u);
    phone_invite(&u, "sip:+4930@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "407 INVITE");
    phone_ack_failure(&u);
    phone_credentials(&u, "INVITE", "sip:+4930@example.test");
    phone_invite(&u, "sip:+4930@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "100 INVITE");
    HAS(fake_callout.asked[0].body, "\"source\":\"user:1001\"");
    target(&t, 0, "pbx");
    EXPECT(&t.pbx, "INVITE");
    talk_refuse(&t.pbx, 486, &u, "486 INVITE");
    rig_down(t.r);
}

/* --- MESSAGE --- */

static void message_and_wait(struct trio *t, const char *called)
{
    phone_request(&t->a, "MESSAGE", called, "psst");
    assert_int_equal(fake_callout.n_asked, 1);
    assert_false(rig_has_untaken(t->r));
}

static void a_message_waits_and_goes_where_the_answer_says(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    message_and_wait(&t, "sip:+4930@203.0.113.1");
    HAS(fake_callout.asked[0].body, "{\"callout\":\"lnp\",\"route\":\"ask\",\"call\":null,");
    HAS(fake_callout.asked[0].body, "\"source\":\"peer:carrier\",\"listener\":\"outside\",");
    HAS(fake_callout.asked[0].body, "\"calling\":\"+4940\",\"called\":\"004930\",");
    HAS(fake_callout.asked[0].body, "\"method\":\"MESSAGE\"");
    phone_send_raw(&t.a, t.a.last); /* absorbed: asked and sent once */
    assert_int_equal(fake_callout.n_asked, 1);
    assert_false(rig_has_untaken(t.r));
    target(&t, 0, "pbx");
    EXPECT(&t.pbx, "MESSAGE");
    HAS(t.pbx.asked, "MESSAGE sip:004930@10.1.1.20");
    phone_answer(&t.pbx, 202, NULL);
    EXPECT(&t.a, "202 MESSAGE");
    target(&t, 0, "spare"); /* twice is once */
    assert_false(rig_has_untaken(t.r));
    rig_down(t.r);
}

static void two_routes_ask_for_a_message_as_well(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("503"));
    message_and_wait(&t, "sip:+6661@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.result = CALLOUT_CONTINUE});
    assert_int_equal(fake_callout.n_asked, 2);
    answer(&t, 1,
           &(struct callout_answer){
               .result = CALLOUT_REFUSE, .status = 604, .reason = "Number was given back"});
    EXPECT(&t.a, "604 MESSAGE");
    HAS(t.a.got, "SIP/2.0 604 Number was given back\r\n");
    rig_down(t.r);
}

static void a_message_without_an_answer_gets_the_fallback(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("504"));
    message_and_wait(&t, "sip:+4930@203.0.113.1");
    answer(&t, 0, &(struct callout_answer){.why = "no connection"});
    EXPECT(&t.a, "504 MESSAGE");
    rig_down(t.r);
    trio_init(&t, HOUSE("continue"));
    message_and_wait(&t, "sip:+4930@203.0.113.1");
    rig_advance(t.r, 1399); /* a lost answer is missed here */
    assert_false(rig_has_untaken(t.r));
    rig_advance(t.r, 1);
    EXPECT(&t.spare, "MESSAGE");
    phone_answer(&t.spare, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    target(&t, 0, "pbx"); /* late */
    assert_false(rig_has_untaken(t.r));
    fake_callout.fail = ENOBUFS;
    phone_request(&t.a, "MESSAGE", "sip:+4930@203.0.113.1", "again");
    EXPECT(&t.spare, "MESSAGE");
    phone_answer(&t.spare, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    fake_callout.fail = 0;
    rig_down(t.r);
}

static void the_house_may_close_while_a_message_waits(void **state)
{
    struct trio t;

    (void)state;
    trio_init(&t, HOUSE("504"));
    message_and_wait(&t, "sip:+4930@203.0.113.1");
    rig_free(t.r); /* what is left would be seen by the sanitizer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_waits_and_goes_where_the_answer_says),
        cmocka_unit_test(an_answer_may_leave_it_to_the_next_routes),
        cmocka_unit_test(two_routes_ask_one_after_the_other),
        cmocka_unit_test(an_answer_may_refuse_in_its_own_words),
        cmocka_unit_test(without_an_answer_the_fallback_counts),
        cmocka_unit_test(names_that_are_no_targets_are_no_answer),
        cmocka_unit_test(a_lost_answer_is_missed_and_a_late_one_changes_nothing),
        cmocka_unit_test(a_late_answer_is_not_taken_for_that_of_the_next_question),
        cmocka_unit_test(a_waiting_call_can_be_cancelled),
        cmocka_unit_test(limits_are_asked_when_it_is_known_where_to),
        cmocka_unit_test(who_cannot_be_asked_gives_no_answer_at_once),
        cmocka_unit_test(a_user_proves_himself_once),
        cmocka_unit_test(a_message_waits_and_goes_where_the_answer_says),
        cmocka_unit_test(two_routes_ask_for_a_message_as_well),
        cmocka_unit_test(a_message_without_an_answer_gets_the_fallback),
        cmocka_unit_test(the_house_may_close_while_a_message_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
