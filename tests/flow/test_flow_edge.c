/* test_flow_edge.c - the edge rule by rule: the budgets of each class, who hears nothing, what is
 * an offence and of whom, how far a ban reaches. */
#include "edge.h"

static const char yaml_bans[] = LISTENERS PARTIES
    "security: {allow: [192.0.2.200/32],\n"
    "           bans: {threshold: 10, window: 5m, durations: [5m, 1h], networks: off}}\n";
static const char yaml_numbers[] = LISTENERS
    "users: {domain: example.test, listener: outside,\n"
    "        accounts: [{name: \"1001\", password: one}, {name: \"1002\", password: two}]}\n"
    "peers: {carrier: {listener: outside, sources: [192.0.2.30/32],\n"
    "                  targets: [\"sip:192.0.2.30:5060\"]}}\n"
    "routes: [{name: outbound, from: users, match: {called: \"+*\"}, to: [carrier]}]\n"
    "security: {unknown_sources: {each: off}, bans: {threshold: 10, window: 5m}}\n";

/* A registered phone, and a second one behind the same address that is not yet. */
static void dials_in_vain(struct phone *p, const char *number, int times)
{
    struct phone call = *p;

    snprintf(call.local, sizeof(call.local), "<sip:1001@example.test>");
    for (int i = 0; i < times; i++) {
        char uri[64];

        snprintf(uri, sizeof(uri), "sip:%s%02d@example.test", number, i);
        phone_renew(&call);
        phone_invite(&call, uri, phone_sdp(&call, NULL));
        EXPECT(&call, "407 INVITE");
        phone_ack_failure(&call);
        phone_credentials(&call, "INVITE", uri);
        phone_invite(&call, uri, phone_sdp(&call, NULL));
        EXPECT(&call, "100 INVITE");
        EXPECT(&call, "404 INVITE");
        phone_ack_failure(&call);
    }
}

static void a_users_wrong_numbers_are_no_offence_of_his_address(void **state)
{
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct rig *r = rig_up(yaml_numbers, 2);
        struct phone p, other;

        phone_init(&p, r, 0, "1001", "192.0.2.50:5060");
        phone_on(&p, 0, transports[i]);
        memcpy(p.password, "one", sizeof("one"));
        talk_register(&p, 3600);
        dials_in_vain(&p, "77", 15);
        dials_in_vain(&p, "009725922775", 8);
        assert_int_equal(stat_sum(STAT_USER_REFUSED), 15); /* seen all the same */
        assert_int_equal(stat_sum(STAT_USER_REFUSED_DEAR), 8);
        assert_int_equal(stat_sum(STAT_OFFENCE), 0);
        assert_int_equal(guard_count(r->b.guard), 0);
        talk_register(&p, 3600);
        phone_init(&other, r, 0, "1002", "192.0.2.50:6060");
        memcpy(other.password, "two", sizeof("two"));
        talk_register(&other, 3600);
        rig_down(r);
    }
}

static void who_may_not_call_is_banned_by_tcp_and_silenced_by_udp(void **state)
{
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct rig *r = rig_up(yaml_bans, 2);
        struct phone s;

        phone_init(&s, r, 1, "100", "10.1.1.99:5060"); /* where only peers may call */
        phone_on(&s, 1, transports[i]);
        for (int n = 0; n < 10; n++) {
            phone_renew(&s);
            phone_invite(&s, "sip:77@10.1.1.1", phone_sdp(&s, NULL));
            EXPECT(&s, "403 INVITE");
            phone_ack_failure(&s);
        }
        phone_renew(&s);
        phone_invite(&s, "sip:77@10.1.1.1", phone_sdp(&s, NULL));
        QUIET(&s);
        assert_int_equal(stat_sum(STAT_OFFENCE), 10);
        if (transports[i] == SIP_TCP) {
            assert_string_equal(fake_store.last_ban, "10.1.1.99/32 acl_denied");
        } else {
            assert_int_equal(stat_sum(STAT_BAN_SILENCED), 1);
            assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
        }
        rig_down(r);
    }
}

/* Behind one address: a user, and somebody who guesses and scans. */
static void an_offender_beside_a_user_loses_his_connection_and_nobody_else(void **state)
{
    struct rig *r = rig_up(yaml_numbers, 2);
    struct phone user, late, bad;

    (void)state;
    phone_init(&user, r, 0, "1001", "192.0.2.99:6000");
    memcpy(user.password, "one", sizeof("one"));
    talk_register(&user, 3600);
    scan(&bad, "192.0.2.99:5060", SIP_TCP, r);
    QUIET(&bad);
    asks_in_vain(&bad);
    assert_int_equal(stat_sum(STAT_BAN_SHUT), 1);
    assert_int_equal(fake_store.n_bans_put, 0);
    asks(&user);
    phone_init(&late, r, 0, "1003", "192.0.2.99:5060"); /* his port, by UDP */
    asks(&late);
    phone_init(&bad, r, 0, "1001", "192.0.2.99:5061"); /* and by UDP, with our nonces */
    memcpy(bad.password, "wrong", sizeof("wrong"));
    for (int i = 0; i < 5; i++) {
        guess(&bad, "1001", true);
    }
    asks_in_vain(&bad);
    assert_int_equal(stat_sum(STAT_BAN_SHUT), 2);
    phone_init(&late, r, 0, "1002", "192.0.2.99:6060");
    memcpy(late.password, "two", sizeof("two"));
    talk_register(&late, 3600);
    talk_register(&user, 3600);
    rig_advance(r, POLICY_QUIET_MS + 1000);
    asks(&bad); /* a nonce proves no port: a minute */
    scan(&bad, "192.0.2.99:5060", SIP_TCP, r);
    asks_in_vain(&bad);
    assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
    rig_down(r);
}

static const char yaml_met[] =
    LISTENERS PARTIES "security: {unknown_sources: {packets_per_second: off, each: 2},\n"
                      "           connected_sources: {packets_per_second: 5}}\n";

/* One stranger on a connection: his address may say two things a second, what he has shown to be
 * SIP five. */
static void a_strangers_connection_that_speaks_sip_is_no_stranger_until_it_offends(void **state)
{
    struct rig *r = rig_up(yaml_met, 1);
    struct phone s, u;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    phone_on(&s, 0, SIP_TCP);
    phone_init(&u, r, 0, "100", "192.0.2.99:5061");
    for (int i = 0; i < 2; i++) { /* his address has used up what strangers have */
        asks(&u);
    }
    asks_in_vain(&u);
    asks_in_vain(&s);
    rig_advance(r, 1000);
    for (int i = 0; i < 6; i++) {
        asks(&s);
    }
    asks_in_vain(&s);
    asks(&u); /* one is left of the two: the others came out of the connection's own */
    asks_in_vain(&u);
    rig_advance(r, 2000);
    asks(&s);
    phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
    asks(&s); /* a stranger again, for good */
    asks(&s);
    asks_in_vain(&s);
    rig_advance(r, 1000);
    asks(&s);
    asks(&s);
    asks_in_vain(&s);
    rig_down(r);
}

static const char yaml_each[] =
    LISTENERS PARTIES "security: {unknown_sources: {packets_per_second: 20}, trusted_sources: "
                      "{packets_per_second: 3}}\n";

/* Not set, `each` is a tenth: one stranger's flood leaves room for a phone to register. */
static void one_stranger_leaves_room_for_a_phone_to_register(void **state)
{
    struct rig *r = rig_up(yaml_each, 1);
    struct phone s, p;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    asks(&s);
    asks(&s);
    for (int i = 0; i < 100; i++) {
        asks_in_vain(&s);
    }
    assert_int_equal(stat_sum(STAT_SIP_DROP_FAST), 100);
    assert_int_equal(stat_sum(STAT_SIP_DROP_STRANGER), 0);
    phone_init(&p, r, 0, "1001", "192.0.2.50:5060");
    memcpy(p.password, "one", sizeof("one"));
    talk_register(&p, 3600);
    rig_advance(r, 500); /* one of two a second */
    asks(&s);
    asks_in_vain(&s);
    rig_down(r);
}

static const char yaml_hidden[] =
    LISTENERS PARTIES "security: {unknown_sources: {answer: expected, each: off}}\n";

static void strangers_hear_nothing_but_what_a_new_phone_would_ask(void **state)
{
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct rig *r = rig_up(yaml_hidden, 2);
        struct phone s, p, carrier;

        phone_init(&s, r, 0, "100", "192.0.2.99:5060");
        phone_on(&s, 0, transports[i]);
        asks_in_vain(&s);
        phone_request(&s, "REGISTER", "sip:198.51.100.1", NULL);
        phone_request(&s, "CANCEL", "sip:100@example.test", NULL);
        phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
        phone_renew(&s);
        phone_invite(&s, "sip:100@198.51.100.1", phone_sdp(&s, NULL));
        QUIET(&s);
        assert_int_equal(stat_sum(STAT_SIP_DROP_HIDDEN),
                         4); /* the broken one has no answer anyway */
        phone_renew(&s);
        phone_invite(&s, "sip:100@EXAMPLE.test", phone_sdp(&s, NULL));
        EXPECT(&s, "407 INVITE");
        phone_ack_failure(&s);
        phone_init(&p, r, 0, "1001", "192.0.2.50:5060");
        phone_on(&p, 0, transports[i]);
        memcpy(p.password, "one", sizeof("one"));
        talk_register(&p, 3600);
        asks(&p); /* he is no stranger any more */
        phone_init(&carrier, r, 0, "carrier", "192.0.2.30:5060");
        asks(&carrier);
        rig_down(r);
    }
}

static const char yaml_hidden_bans[] =
    LISTENERS PARTIES "security: {unknown_sources: {answer: expected, each: off},\n"
                      "           bans: {threshold: 10, window: 5m, networks: off}}\n";

struct probe {
    uint8_t side;       /* 0: where users are, 1: where none is */
    const char *method; /* NULL: INVITE */
    const char *ruri, *user;
    enum policy_event event;
    int most; /* of them that lead to no ban; 0: it is no offence */
};

static void probe_once(struct phone *s, const struct probe *pr)
{
    phone_renew(s);
    snprintf(s->local, sizeof(s->local), "<sip:%s@198.51.100.1>", pr->user);
    snprintf(s->remote, sizeof(s->remote), "<sip:%s@198.51.100.1>", pr->user);
    if (pr->method != NULL) {
        phone_request(s, pr->method, pr->ruri, NULL);
    } else {
        phone_invite(s, pr->ruri, phone_sdp(s, NULL));
    }
    QUIET(s);
}

/* The same points as with an answer, which never comes. */
static void what_strangers_hear_nothing_to_is_held_against_them(void **state)
{
    static const struct probe probes[] = {
        {0, NULL, "sip:00972592277524@198.51.100.1", "100", POLICY_TOLL_FRAUD, 4},
        {0, NULL, "sip:%2b972592277524@198.51.100.1", "100", POLICY_TOLL_FRAUD, 4},
        {1, NULL, "sip:00972592277524@10.1.1.1", "100", POLICY_TOLL_FRAUD, 4},
        {0, "REGISTER", "sip:198.51.100.1", "100", POLICY_UNKNOWN_USER, 4},
        {1, NULL, "sip:100@10.1.1.1", "100", POLICY_ACL_DENIED, 9},
        {1, "MESSAGE", "sip:100@10.1.1.1", "100", POLICY_ACL_DENIED, 9},
        {0, NULL, "sip:100@198.51.100.1", "100", POLICY_EVENTS, 0},
        {0, "MESSAGE", "sip:00972592277524@198.51.100.1", "100", POLICY_EVENTS, 0},
        {0, "REGISTER", "sip:198.51.100.1", "1001", POLICY_EVENTS, 0},
        {1, "REGISTER", "sip:10.1.1.1", "100", POLICY_EVENTS, 0},
        {0, "OPTIONS", "sip:198.51.100.1", "100", POLICY_EVENTS, 0},
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(probes); i++) {
        const struct probe *pr = &probes[i / 2];
        bool stream = i % 2 != 0;
        struct rig *r = rig_up(yaml_hidden_bans, 2);
        int n = pr->most != 0 ? pr->most : 30;
        struct phone s;

        phone_init(&s, r, pr->side, "100", pr->side == 0 ? "192.0.2.99:5060" : "10.1.1.99:5060");
        phone_on(&s, pr->side, stream ? SIP_TCP : SIP_UDP);
        for (int k = 0; k < n; k++) {
            probe_once(&s, pr);
        }
        assert_int_equal(stat_sum(STAT_OFFENCE), pr->most);
        assert_int_equal(stat_sum(STAT_BAN_MADE) + stat_sum(STAT_BAN_SILENCED), 0);
        if (pr->most != 0) {
            probe_once(&s, pr);
            assert_int_equal(stat_sum(stream ? STAT_BAN_MADE : STAT_BAN_SILENCED), 1);
        }
        assert_int_equal(stat_sum(STAT_SIP_DROP_HIDDEN), pr->most != 0 ? n + 1 : n);
        rig_down(r);
    }
}

/* A phone that hears nothing asks again. */
static void a_repetition_that_is_hidden_is_no_second_offence(void **state)
{
    struct rig *r = rig_up(yaml_hidden_bans, 1);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    phone_invite(&s, "sip:00972592277524@198.51.100.1", phone_sdp(&s, NULL));
    for (int i = 0; i < 10; i++) {
        phone_again(&s);
    }
    QUIET(&s);
    assert_int_equal(stat_sum(STAT_SIP_DROP_HIDDEN), 11);
    assert_int_equal(stat_sum(STAT_OFFENCE), 1);
    phone_renew(&s);
    phone_invite(&s, "sip:00972592277525@198.51.100.1", phone_sdp(&s, NULL));
    assert_int_equal(stat_sum(STAT_OFFENCE), 2);
    rig_down(r);
}

static const char yaml_wide[] =
    LISTENERS PARTIES "security: {bans: {threshold: 10, window: 5m, durations: [5m], networks: 3,\n"
                      "                  user_agents: [\"agent-of-rude\"]}}\n";

static void a_trusted_source_has_its_own_rate(void **state)
{
    struct rig *r = rig_up(yaml_each, 1);
    struct phone carrier, other;

    (void)state;
    phone_init(&carrier, r, 0, "carrier", "192.0.2.30:5060");
    phone_init(&other, r, 0, "carrier", "192.0.2.30:5062"); /* each port for itself */
    for (int i = 0; i < 3; i++) {
        asks(&carrier);
    }
    asks_in_vain(&carrier);
    asks(&other);
    rig_advance(r, 333);
    asks_in_vain(&carrier);
    rig_advance(r, 1);
    asks(&carrier);
    asks_in_vain(&carrier);
    assert_int_equal(stat_sum(STAT_SIP_DROP_FAST), 3);
    rig_down(r);
}

static void three_banned_addresses_ban_their_24_unless_a_user_lives_there(void **state)
{
    struct rig *r = rig_up(yaml_wide, 2);
    struct phone s, user, near, far;

    (void)state;
    phone_init(&user, r, 0, "1001", "192.0.2.200:5060");
    memcpy(user.password, "one", sizeof("one"));
    talk_register(&user, 3600);
    for (int i = 0; i < 4; i++) {
        char at[32];

        snprintf(at, sizeof(at), "192.0.2.%d:5060", 90 + i);
        scan(&s, at, SIP_TCP, r);
    }
    assert_string_equal(fake_store.last_ban, "192.0.2.93/32 scanner");
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    asks(&s);
    phone_init(&near, r, 0, "100", "192.0.3.99:5060");
    for (int i = 0; i < 3; i++) {
        char at[32];

        snprintf(at, sizeof(at), "192.0.3.%d:5060", 90 + i);
        asks(&near);
        scan(&s, at, SIP_TCP, r);
    }
    assert_string_equal(fake_store.last_ban, "192.0.3.0/24 scanner");
    asks_in_vain(&near);
    phone_init(&far, r, 0, "100", "192.0.4.1:5060");
    asks(&far);
    rig_advance(r, 301000);
    asks(&near);
    rig_down(r);
}

static void a_user_agent_of_the_list_is_a_scanner_by_its_beginning(void **state)
{
    struct rig *r = rig_up(yaml_wide, 1);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "less-rude", "192.0.2.98:5060"); /* agent-of-less-rude */
    asks(&s);
    phone_init(&s, r, 0, "Rude-2.7", "192.0.2.99:5060");
    asks_in_vain(&s);
    assert_int_equal(stat_sum(STAT_BAN_SILENCED), 1);
    rig_down(r);
}

/* Ten points are forgotten in five minutes, one in thirty seconds. */
static void points_decay_and_patience_earns_no_ban(void **state)
{
    struct rig *r = rig_up(yaml_wide, 1);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    phone_on(&s, 0, SIP_TCP);
    for (int i = 0; i < 9; i++) {
        phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
    }
    for (int i = 0; i < 20; i++) {
        rig_advance(r, 30000);
        phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
    }
    asks(&s);
    assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
    rig_advance(r, 29000);
    phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
    asks_in_vain(&s);
    assert_int_equal(stat_sum(STAT_BAN_MADE), 1);
    rig_down(r);
}

static void an_ipv6_source_is_banned_with_its_64(void **state)
{
    struct rig *r = rig_up(yaml_wide, 1);
    struct phone s;

    (void)state;
    scan(&s, "[2001:db8:1:2::9]:5060", SIP_TCP, r);
    QUIET(&s);
    assert_string_equal(fake_store.last_ban, "2001:db8:1:2::/64 scanner");
    phone_init(&s, r, 0, "100", "[2001:db8:1:2:ffff::1]:5060");
    asks_in_vain(&s);
    phone_init(&s, r, 0, "100", "[2001:db8:1:3::1]:5060");
    asks(&s);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_wrong_numbers_are_no_offence_of_his_address),
        cmocka_unit_test(who_may_not_call_is_banned_by_tcp_and_silenced_by_udp),
        cmocka_unit_test(an_offender_beside_a_user_loses_his_connection_and_nobody_else),
        cmocka_unit_test(a_strangers_connection_that_speaks_sip_is_no_stranger_until_it_offends),
        cmocka_unit_test(one_stranger_leaves_room_for_a_phone_to_register),
        cmocka_unit_test(strangers_hear_nothing_but_what_a_new_phone_would_ask),
        cmocka_unit_test(what_strangers_hear_nothing_to_is_held_against_them),
        cmocka_unit_test(a_repetition_that_is_hidden_is_no_second_offence),
        cmocka_unit_test(a_trusted_source_has_its_own_rate),
        cmocka_unit_test(three_banned_addresses_ban_their_24_unless_a_user_lives_there),
        cmocka_unit_test(a_user_agent_of_the_list_is_a_scanner_by_its_beginning),
        cmocka_unit_test(points_decay_and_patience_earns_no_ban),
        cmocka_unit_test(an_ipv6_source_is_banned_with_its_64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
