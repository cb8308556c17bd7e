/* test_config_limits.c - the words of limits: what they become, their defaults, and the ways to
 * write them wrong. */
#include "config_rig.h"

#define PARTIES                                                                                    \
    "peers: {pbx: {listener: a, sources: 127.0.0.2, targets: \"sip:127.0.0.2\",\n"                 \
    "  limits: {calls: 5, calls_per_second: 2, call_burst: 9, requests_per_second: 3,\n"           \
    "    early_calls: 4, warn_at: off,\n"                                                          \
    "    refuse: {status: 486, reason: Full, retry_after: 2m}}}}\n"                                \
    "users: {domain: example.test, listener: a, limits: {calls: 2, calls_per_second: 1,\n"         \
    "  requests_per_second: 7, request_burst: 70, registrations: 3}}\n"
#define DESTINATIONS                                                                               \
    "limits: {sources: {early_calls: 50, warn_at: 50}, requests_per_second: 900,\n"                \
    "  refuse: {status: 480}, destinations: [\n"                                                   \
    "  {name: dear, called: {prefix: [\"+900\"]}, from: [users, pbx], count: all, range: 5,\n"     \
    "   window: 1d, calls: 10, minutes: 20, numbers: 30, parallel: 2},\n"                          \
    "  {name: rest, called: \"+*\", calls: 1000}]}\n"

static void assert_limit(const struct policy_limit *l, const struct policy_limit *want)
{
    assert_int_equal(l->calls, want->calls);
    assert_int_equal(l->calls_per_second, want->calls_per_second);
    assert_int_equal(l->call_burst, want->call_burst);
    assert_int_equal(l->requests_per_second, want->requests_per_second);
    assert_int_equal(l->request_burst, want->request_burst);
    assert_int_equal(l->registrations, want->registrations);
    assert_int_equal(l->early, want->early);
    assert_int_equal(l->warn_percent, want->warn_percent);
    assert_int_equal(l->answer.status, want->answer.status);
    assert_int_equal(l->answer.retry_after_s, want->answer.retry_after_s);
    if (want->answer.reason == NULL) {
        assert_null(l->answer.reason);
    } else {
        assert_string_equal(l->answer.reason, want->answer.reason);
    }
}

static void what_is_written_of_parties_arrives(void **state)
{
    struct config *c = rig_good(RIG_BASE PARTIES DESTINATIONS);

    (void)state;
    assert_limit(
        &c->def.peers[0].limit,
        &(struct policy_limit){.calls = 5,
                               .calls_per_second = 2,
                               .call_burst = 9,
                               .requests_per_second = 3,
                               .early = 4,
                               .answer = {.status = 486, .reason = "Full", .retry_after_s = 120}});
    assert_limit(&c->def.users.limit, &(struct policy_limit){.calls = 2,
                                                             .calls_per_second = 1,
                                                             .requests_per_second = 7,
                                                             .request_burst = 70,
                                                             .registrations = 3,
                                                             .warn_percent = 80,
                                                             .answer = {.status = 503}});
    assert_limit(&c->def.limit, &(struct policy_limit){.calls = 20000,
                                                       .calls_per_second = 2000,
                                                       .requests_per_second = 900,
                                                       .warn_percent = 80,
                                                       .answer = {.status = 480}});
    assert_limit(
        &c->def.source_limit,
        &(struct policy_limit){.early = 50, .warn_percent = 50, .answer = {.status = 503}});
    config_unref(&c);
}

static void what_is_written_of_destinations_arrives(void **state)
{
    struct config *c = rig_good(RIG_BASE PARTIES DESTINATIONS);
    const struct policy_destination *d = c->def.destinations;

    (void)state;
    assert_int_equal(c->def.n_destinations, 2);
    assert_string_equal(d[0].name, "dear");
    assert_int_equal(d[0].called_by.by, POLICY_BY_PREFIX);
    assert_int_equal(d[0].n_from, 2);
    assert_true(d[0].together);
    assert_int_equal(d[0].range, 5);
    assert_int_equal(d[0].window_s, 86400);
    assert_int_equal(d[0].calls, 10);
    assert_int_equal(d[0].minutes, 20);
    assert_int_equal(d[0].numbers, 30);
    assert_int_equal(d[0].parallel, 2);
    assert_string_equal(d[1].called, "+*");
    assert_false(d[1].together);
    assert_int_equal(d[1].range + d[1].minutes + d[1].numbers + d[1].parallel, 0);
    assert_int_equal(d[1].window_s, 3600);
    assert_int_equal(d[1].warn_percent, 80);
    config_unref(&c);
}

static void nothing_written_limits_only_the_node(void **state)
{
    struct config *c = rig_good(RIG_BASE);
    const struct policy_limit *l = &c->def.limit;

    (void)state;
    assert_true(l->calls == 20000 && l->calls_per_second == 2000 && l->call_burst == 0);
    assert_true(l->requests_per_second == 0 && l->warn_percent == 80 && l->answer.status == 503);
    assert_true(c->def.source_limit.early == 0 && c->def.n_destinations == 0);
    assert_int_equal(c->def.security.warn_percent, 80);
    config_unref(&c);
}

static const struct rig_case cases[] = {
    {"limits: {call_burst: 5, calls_per_second: off}\n",
     "t:2:22: limits.call_burst: needs 'calls_per_second'\n"},
    {"limits: {request_burst: 5}\n", "t:2:25: limits.request_burst: needs 'requests_per_second'\n"},
    {"limits: {warn_at: 101, refuse: {status: 200, retry_after: 0s}}\n",
     "t:2:19: limits.warn_at: '101' is out of range: 1 to 100, or off\n"
     "t:2:41: limits.refuse.status: '200' is out of range: 400 to 699\n"
     "t:2:59: limits.refuse.retry_after: '0s' is out of range: 1s to 1d, or auto\n"},
    {"limits: {destinations: [{name: x, called: \"+1\"}]}\n",
     "t:2:25: limits.destinations[0]: limits nothing: needs 'calls', 'minutes', 'numbers' or "
     "'parallel'\n"},
    {"limits: {destinations: [{name: x, calls: 1}, {name: x, calls: 1}]}\n",
     "t:2:53: limits.destinations[1].name: 'x' is there already, in line 2\n"},
    {"limits: {destinations: [{calls: 1, numbers: 65, window: 30s, range: 15, count: each}]}\n",
     "t:2:25: limits.destinations[0].name: is missing\n"
     "t:2:45: limits.destinations[0].numbers: '65' is out of range: 1 to 64, or off\n"
     "t:2:57: limits.destinations[0].window: '30s' is out of range: 1m to 31d\n"
     "t:2:69: limits.destinations[0].range: '15' is out of range: 1 to 14, or off\n"
     "t:2:80: limits.destinations[0].count: 'each' is not one of party, all\n"},
    {"limits: {destinations: [{name: x, from: nobody, calls: 1}]}\n",
     "t:2:41: limits.destinations[0].from: there is no peer 'nobody'\n"},
    {"users: {domain: example.test, listener: a, contacts: 2, limits: {registrations: 3}}\n",
     "t:2:81: users.limits.registrations: is never reached: 'contacts' makes room beyond 2\n"},
};

static void mistakes_are_told_at_their_place(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, cases, COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_of_parties_arrives),
        cmocka_unit_test(what_is_written_of_destinations_arrives),
        cmocka_unit_test(nothing_written_limits_only_the_node),
        cmocka_unit_test(mistakes_are_told_at_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
