/* test_config_topology.c - the words of what a side may learn and of address translation. */
#include "config_rig.h"

static const char all[] = RIG_BASE
    "peers:\n"
    "  one: {listener: a, sources: 127.0.0.2, targets: \"sip:127.0.0.2\", nat: on,\n"
    "        topology: {hide: all, on_leak: refuse},\n"
    "        headers: [{action: copy, name: X-A, reveal: true}, {action: remove, name: X-B}]}\n"
    "  two: {listener: a, sources: 127.0.0.3, topology: {on_leak: report}, nat: off}\n"
    "  three: {listener: a, sources: 127.0.0.4}\n"
    "users: {domain: x.test, listener: a, topology: {on_leak: report},\n"
    "        keepalive: {method: options, interval: 10s, max: 10s}}\n";

static void words_become_what_they_say(void **state)
{
    struct config *c = rig_good(all);
    const struct policy_peer *p = c->def.peers;

    (void)state;
    assert_int_equal(p[0].topology.on_leak, POLICY_LEAK_REFUSE);
    assert_int_equal(p[0].nat, POLICY_NAT_ON);
    assert_true(p[0].headers[0].reveal);
    assert_false(p[0].headers[1].reveal);
    assert_int_equal(p[1].topology.on_leak, POLICY_LEAK_REPORT);
    assert_int_equal(p[1].nat, POLICY_NAT_OFF);
    assert_int_equal(p[2].topology.on_leak, POLICY_LEAK_MASK);
    assert_int_equal(p[2].nat, POLICY_NAT_AUTO);
    assert_int_equal(c->def.users.topology.on_leak, POLICY_LEAK_REPORT);
    assert_int_equal(c->def.users.keepalive, POLICY_KEEP_OPTIONS);
    assert_int_equal(c->def.users.keepalive_ms, 10000);
    assert_int_equal(c->def.users.keepalive_max_ms, 10000);
    assert_non_null(c->egress);
    config_unref(&c);
}

static const struct rig_case bad[] = {
    {"peers: {p: {listener: a, sources: 127.0.0.2, topology: {on_leak: maks}}}\n",
     "t:2:66: peers.p.topology.on_leak: 'maks' is not one of mask, refuse, report; did you mean "
     "'mask'?\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, nat: maybe}}\n",
     "t:2:51: peers.p.nat: 'maybe' is not one of auto, on, off\n"},
    {"users: {domain: x.test, listener: a, keepalive: {interval: 60s, max: 59s}}\n",
     "t:2:70: users.keepalive.max: 'max' is shorter than 'interval'\n"},
    {"users: {domain: x.test, listener: a, keepalive: {method: stun}}\n",
     "t:2:58: users.keepalive.method: 'stun' is not one of crlf, options, off\n"},
};

static void what_is_written_wrong_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, bad, COUNT_OF(bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_what_they_say),
        cmocka_unit_test(what_is_written_wrong_is_refused_line_by_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
