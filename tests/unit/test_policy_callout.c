/* test_policy_callout.c - routes that somebody else decides, as a pure function of what was heard.
 */
#include "config_rig.h"

#define HOUSE(fallback)                                                                            \
    RIG_BASE                                                                                       \
    "peers:\n"                                                                                     \
    "  in: {listener: a, sources: 127.0.0.2, limits: {calls: 1}}\n"                                \
    "  out: {listener: a, targets: 'sip:127.0.0.3'}\n"                                             \
    "callouts: {h: {url: 'http://h', fallback: " fallback "}}\n"                                   \
    "routes:\n"                                                                                    \
    "  - {name: first, callout: h, failover: {codes: [486]}}\n"                                    \
    "  - {name: second, match: {called: '2*'}, callout: h}\n"                                      \
    "  - {name: last, refuse: {status: 410}}\n"

static struct policy_verdict decide(const struct config *c, const char *called, bool is_call,
                                    const struct policy_callout_reply *replies, size_t n)
{
    struct policy_request rq = {.method = is_call ? SL("INVITE") : SL("MESSAGE"),
                                .called = sl_str(called),
                                .auth_user = -1,
                                .new_call = is_call,
                                .random = 5,
                                .replies = replies,
                                .n_replies = n};
    struct policy_verdict v;

    assert_int_equal(addr_parse(SL("127.0.0.2"), 5060, &rq.source), 0);
    policy_decide(c->policy, &rq, 1000, &v);
    assert_true(v.random == 5);
    return v;
}

static void a_call_asks_until_it_has_heard(void **state)
{
    struct config *c = rig_good(HOUSE("503"));
    struct policy_callout_reply r[2] = {{.route = 0, .kind = POLICY_REPLY_CONTINUE}};
    struct policy_verdict v = decide(c, "2", true, NULL, 0);

    (void)state;
    assert_int_equal(v.action, POLICY_CALLOUT);
    assert_true(v.route == 0 && v.n_to == 0 && !v.counted);
    assert_int_equal(policy_calls_now(c->policy, -1), 0);
    v = decide(c, "2", true, r, 1);
    assert_int_equal(v.action, POLICY_CALLOUT);
    assert_int_equal(v.route, 1);
    v = decide(c, "3", true, r, 1);
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 410 && v.route == 2);
    r[1] = (struct policy_callout_reply){.route = 1,
                                         .kind = POLICY_REPLY_ROUTE,
                                         .to = {{.kind = POLICY_PEER, .peer = 1}},
                                         .n_to = 1};
    v = decide(c, "2", true, r, 2);
    assert_true(v.action == POLICY_ROUTE && v.n_to == 1 && v.to[0].peer == 1 && v.counted);
    policy_release(c->policy, &v);
    config_unref(&c);
}

static void a_refusal_has_its_code_and_its_words(void **state)
{
    struct config *c = rig_good(HOUSE("continue"));
    struct policy_callout_reply r = {
        .route = 0, .kind = POLICY_REPLY_REFUSE, .code = 486, .reason = "Busy now"};
    struct policy_verdict v = decide(c, "2", true, &r, 1);

    (void)state;
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 486);
    assert_string_equal(v.reason, "Busy now");
    r.reason = NULL;
    v = decide(c, "2", true, &r, 1);
    assert_string_equal(v.reason, "Refused by a callout");
    config_unref(&c);
}

static void without_a_reply_the_fallback_decides(void **state)
{
    const struct policy_callout_reply none = {.route = 0, .kind = POLICY_REPLY_NONE};
    struct config *c = rig_good(HOUSE("504"));
    struct policy_verdict v = decide(c, "2", true, &none, 1);

    (void)state;
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 504 && v.route == 0);
    v = decide(c, "2", false, NULL, 0); /* a MESSAGE asks like a call */
    assert_true(v.action == POLICY_CALLOUT && v.route == 0);
    v = decide(c, "2", false, &none, 1);
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 504);
    config_unref(&c);
    c = rig_good(HOUSE("continue"));
    v = decide(c, "3", true, &none, 1);
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 410);
    v = decide(c, "3", false, &none, 1);
    assert_true(v.action == POLICY_REFUSE && v.sip_code == 410);
    config_unref(&c);
}

static void limits_and_failover_hold_for_targets_that_were_heard(void **state)
{
    const struct policy_callout_reply r = {.route = 0,
                                           .kind = POLICY_REPLY_ROUTE,
                                           .to = {{.kind = POLICY_PEER, .peer = 1}},
                                           .n_to = 1};
    struct config *c = rig_good(HOUSE("continue"));
    struct policy_verdict v = decide(c, "2", true, &r, 1), over;

    (void)state;
    assert_true(policy_fails_over(c->policy, &v, 486) && !policy_fails_over(c->policy, &v, 503));
    over = decide(c, "2", true, &r, 1);
    assert_true(over.action == POLICY_REFUSE && over.sip_code == 503 && !over.counted);
    policy_release(c->policy, &v);
    v = decide(c, "2", true, &r, 1);
    assert_int_equal(v.action, POLICY_ROUTE);
    policy_release(c->policy, &v);
    config_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_asks_until_it_has_heard),
        cmocka_unit_test(a_refusal_has_its_code_and_its_words),
        cmocka_unit_test(without_a_reply_the_fallback_decides),
        cmocka_unit_test(limits_and_failover_hold_for_targets_that_were_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
