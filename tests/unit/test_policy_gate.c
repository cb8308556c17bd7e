/* Who is let in: classes, budgets and their edges, tables that survive spoofed sources. */
#include "policy_rig.h"

#include "sbc-policy/marks.h"

#include <pthread.h>

struct door {
    struct rig r;
    struct policy_gate *g;
    struct prefix allow[2];
};

static void door_open(struct door *d, uint32_t all, uint32_t each)
{
    memset(d, 0, sizeof(*d));
    rig_up(&d->r);
    d->allow[0] = rig_prefix("198.51.100.0/24");
    d->allow[1] = rig_prefix("2001:db8:aaaa::/48");
    d->r.def.security = (struct policy_security){
        .allow = d->allow, .n_allow = 2, .unknown_pps = all, .unknown_each_pps = each};
    rig_compile(&d->r);
    assert_int_equal(policy_gate_new(&d->g), 0);
}

static void door_close(struct door *d)
{
    policy_gate_free(&d->g);
    rig_down(&d->r);
}

static struct policy_knock knock_at(uint8_t listener, const char *hostport)
{
    struct policy_knock k = {.listener = listener};

    assert_int_equal(addr_parse_hostport(sl_str(hostport), 5060, &k.source), 0);
    return k;
}

static enum policy_class class_of(struct door *d, uint8_t listener, const char *at, int64_t now_ms)
{
    struct policy_knock k = knock_at(listener, at);

    return policy_classify(d->g, d->r.policy, &k, now_ms);
}

static enum policy_admission admit(struct door *d, const char *at, bool connected, int64_t now_ms)
{
    struct policy_knock k = knock_at(OUTSIDE, at);

    k.connected = connected;
    return policy_admit(d->g, d->r.policy, &k, now_ms);
}

static void deny(struct door *d, const char *prefix, int64_t until_ms, int64_t now_ms)
{
    struct prefix p = rig_prefix(prefix);

    policy_deny(d->g, &p, until_ms, now_ms);
}

static void undeny(struct door *d, const char *prefix)
{
    struct prefix p = rig_prefix(prefix);

    policy_undeny(d->g, &p);
}

static void a_ban_holds_to_its_second_and_no_longer(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 0, 0);
    deny(&d, "203.0.113.9", 61000, 1000);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 1000), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:1", 60999), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 61000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.8:5060", 1000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.10:5060", 1000), POLICY_UNKNOWN);
    deny(&d, "203.0.113.9", 120000, 61000); /* again, and longer */
    assert_int_equal(admit(&d, "203.0.113.9", false, 119999), POLICY_DROP_DENIED);
    undeny(&d, "203.0.113.9");
    assert_int_equal(admit(&d, "203.0.113.9", false, 61000), POLICY_ADMIT);
    door_close(&d);
}

static void networks_and_the_64_of_ipv6_are_denied_as_a_whole(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 0, 0);
    deny(&d, "203.0.113.0/24", 61000, 1000);
    deny(&d, "2001:db8:1:2::/64", 61000, 1000);
    deny(&d, "2001:db8:5::7", 61000, 1000); /* one address: its /64 */
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.255", 1000), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.114.0", 1000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:1:2:ffff::1]:5060", 1000), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:1:3::1]:5060", 1000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:5::8]:5060", 1000), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "[::ffff:203.0.113.9]:5060", 1000), POLICY_DENIED);
    deny(&d, "0.0.0.0/0", 61000, 1000); /* nobody means the whole world */
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.114.0", 1000), POLICY_UNKNOWN);
    door_close(&d);
}

static uint64_t dropped(struct door *d, const char *prefix, int64_t now_ms)
{
    struct prefix p = rig_prefix(prefix);

    return policy_denied_packets(d->g, &p, now_ms);
}

static void each_ban_counts_what_it_dropped_and_the_narrowest_counts(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 0, 0);
    deny(&d, "203.0.113.0/24", 61000, 1000);
    deny(&d, "203.0.113.9", 61000, 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admit(&d, "203.0.113.9", false, 1000), POLICY_DROP_DENIED);
    }
    assert_int_equal(admit(&d, "203.0.113.8", true, 1000), POLICY_DROP_DENIED);
    assert_int_equal(admit(&d, "203.0.114.1", false, 1000), POLICY_ADMIT);
    (void)class_of(&d, OUTSIDE, "203.0.113.9:5060", 1000); /* only asked */
    assert_int_equal(dropped(&d, "203.0.113.9", 1000), 3);
    assert_int_equal(dropped(&d, "203.0.113.0/24", 1000), 1);
    assert_int_equal(dropped(&d, "203.0.113.8", 1000), 0);
    deny(&d, "203.0.113.9", 121000, 60999); /* the same ban, and longer */
    assert_int_equal(dropped(&d, "203.0.113.9", 60999), 3);
    assert_int_equal(dropped(&d, "203.0.113.0/24", 61000), 0);
    deny(&d, "203.0.113.9", 300000, 121000); /* a new one */
    assert_int_equal(dropped(&d, "203.0.113.9", 121000), 0);
    door_close(&d);
}

static void peers_targets_proven_flows_and_the_allow_list_win_over_bans(void **state)
{
    struct addr flow = rig_addr("203.0.113.9");
    struct door d;

    (void)state;
    door_open(&d, 0, 0);
    deny(&d, "0.0.0.0/1", 61000, 1000);
    deny(&d, "128.0.0.0/1", 61000, 1000);
    deny(&d, "2001:db8::/32", 61000, 1000);
    assert_int_equal(class_of(&d, OUTSIDE, "192.0.2.1", 1000), POLICY_TRUSTED);
    assert_int_equal(class_of(&d, INSIDE, "192.0.2.1", 1000), POLICY_DENIED); /* no peer there */
    assert_int_equal(class_of(&d, OUTSIDE, "198.51.100.7", 1000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:aaaa::1]:5060", 1000), POLICY_UNKNOWN);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 1000), POLICY_DENIED);
    policy_prove(d.g, &flow, 31000, 1000);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 30999), POLICY_TRUSTED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5061", 1000), POLICY_DENIED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 31000), POLICY_DENIED);
    assert_true(policy_has_proven(d.g, &flow, 30999));
    policy_prove(d.g, &flow, 90000, 40000);
    policy_demote(d.g, &flow);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.9:5060", 40000), POLICY_DENIED);
    door_close(&d);
}

static void a_connection_that_spoke_sip_has_a_budget_of_its_own_until_it_offends(void **state)
{
    struct addr flow = rig_addr("203.0.113.9"), next = flow;
    struct door d;

    (void)state;
    door_open(&d, 0, 1);
    d.r.def.security.met_pps = 3;
    addr_set_port(&next, 5061);
    assert_int_equal(admit(&d, "203.0.113.9", true, 1000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.9", true, 1000), POLICY_DROP_FAST);
    policy_meet(d.g, &flow, 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admit(&d, "203.0.113.9", true, 1000), POLICY_ADMIT);
    }
    assert_int_equal(admit(&d, "203.0.113.9", true, 1000), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "203.0.113.9", false, 1000), POLICY_DROP_FAST); /* by UDP: nobody */
    assert_int_equal(admit(&d, "203.0.113.9:5061", true, 1000), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "203.0.113.9", true, 3000), POLICY_ADMIT);
    policy_fall(d.g, &flow, 3000);
    policy_meet(d.g, &flow, 3000); /* not again on this connection */
    assert_int_equal(admit(&d, "203.0.113.9", true, 3000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.9", true, 3000), POLICY_DROP_FAST);
    policy_part(d.g, &flow);
    policy_meet(d.g, &flow, 3000); /* another one */
    assert_int_equal(admit(&d, "203.0.113.9", true, 5000), POLICY_ADMIT);
    policy_meet(d.g, &next, 5000);
    deny(&d, "203.0.113.9", 61000, 5000); /* a ban wins */
    assert_int_equal(admit(&d, "203.0.113.9", true, 5000), POLICY_DROP_DENIED);
    door_close(&d);
}

static void all_connections_of_strangers_share_one_budget_whatever_they_did(void **state)
{
    struct addr flow = rig_addr("203.0.113.1");
    struct door d;
    char at[32];

    (void)state;
    door_open(&d, 1, 0);
    policy_meet(d.g, &flow, 1000);
    policy_fall(d.g, &flow, 1000);
    for (unsigned i = 1; i <= 10; i++) { /* ten times the budget of datagrams */
        snprintf(at, sizeof(at), "203.0.113.%u", i);
        assert_int_equal(admit(&d, at, true, 1000), POLICY_ADMIT);
    }
    assert_int_equal(admit(&d, "203.0.113.1", true, 1000), POLICY_DROP_STRANGER);
    assert_int_equal(admit(&d, "203.0.113.11", true, 1000), POLICY_DROP_STRANGER);
    assert_int_equal(admit(&d, "203.0.113.12", false, 1000), POLICY_ADMIT); /* datagrams: theirs */
    door_close(&d);
}

static void whoever_else_lives_in_the_64_of_a_target_is_a_stranger(void **state)
{
    struct policy_uri_target targets[2] = {
        {.uri = "sip:[2001:db8:9:1::50]", .addr = rig_addr("2001:db8:9:1::50")},
        {.uri = "sip:[2001:db8:9:1::40]", .addr = rig_addr("2001:db8:9:1::40")}};
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    d.r.peers[CARRIER].targets = targets;
    d.r.peers[CARRIER].n_targets = 2;
    policy_free(&d.r.policy);
    rig_compile(&d.r);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:9:1::50]:5060", 1000), POLICY_TRUSTED);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:9:1::40]:5060", 1000), POLICY_TRUSTED);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:9:1::51]:5060", 1000), POLICY_UNKNOWN);
    door_close(&d);
}

static void where_a_peer_is_reached_is_trusted_and_protected(void **state)
{
    struct policy_uri_target target = {.uri = "sip:203.0.113.50", .addr = rig_addr("203.0.113.50")};
    struct addr ip = target.addr, stranger = rig_addr("203.0.113.51");
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    d.r.peers[CARRIER].targets = &target;
    d.r.peers[CARRIER].n_targets = 1;
    policy_free(&d.r.policy);
    rig_compile(&d.r);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.50:49152", 1000), POLICY_TRUSTED);
    assert_int_equal(class_of(&d, OUTSIDE, "203.0.113.51:5060", 1000), POLICY_UNKNOWN);
    assert_true(policy_is_protected(d.r.policy, &ip));
    assert_false(policy_is_protected(d.r.policy, &stranger));
    ip = rig_addr("192.0.2.1");
    assert_true(policy_is_protected(d.r.policy, &ip));
    ip = rig_addr("198.51.100.200");
    assert_true(policy_is_protected(d.r.policy, &ip));
    door_close(&d);
}

static void only_peers_with_a_narrow_source_protect_an_address(void **state)
{
    static const struct {
        const char *ip;
        bool is_protected;
    } rows[] = {{"10.9.9.9", true}, /* the first peer, of an IPv4 /8 */
                {"11.9.9.9", false},
                {"2001:db8::5", true},
                {"2a00::1", false}, /* in the ::/0 of another */
                {"192.0.2.77", true}};
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr ip = rig_addr(rows[i].ip);

        assert_int_equal(policy_is_protected(d.r.policy, &ip), rows[i].is_protected);
    }
    door_close(&d);
}

static void a_network_with_anybody_who_is_protected_in_it_is_guarded(void **state)
{
    struct policy_uri_target target = {.uri = "sip:203.0.113.50", .addr = rig_addr("203.0.113.50")};
    struct addr own = rig_addr("198.18.0.1");
    static const struct {
        const char *net;
        bool guarded;
    } rows[] = {{"203.0.113.0/24", true},  {"203.0.113.50", true},     {"203.0.113.51", false},
                {"198.18.0.0/16", true},   {"198.18.0.2", false},      {"198.51.100.9", true},
                {"198.51.0.0/16", true},   {"198.51.101.0/24", false}, {"10.1.2.0/24", true},
                {"10.0.0.0/7", true},      {"11.0.0.0/8", false},      {"2a00::/16", false},
                {"2001:db8:77::/48", true}};
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    d.r.peers[CARRIER].targets = &target;
    d.r.peers[CARRIER].n_targets = 1;
    d.r.def.security.own = &own;
    d.r.def.security.n_own = 1;
    policy_free(&d.r.policy);
    rig_compile(&d.r);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct prefix net = rig_prefix(rows[i].net);

        if (policy_guards_in(d.r.policy, &net) != rows[i].guarded) {
            fail_msg("%s", rows[i].net);
        }
    }
    door_close(&d);
}

static void targets_of_both_families_are_found(void **state)
{
    static const char *const ips[] = {"203.0.113.50",    "2001:db8:9:1::50", "203.0.113.40",
                                      "2001:db8:9:2::1", "203.0.113.60",     "2001:db8:9:1::40"};
    struct policy_uri_target targets[COUNT_OF(ips)];
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    for (size_t i = 0; i < COUNT_OF(ips); i++) {
        targets[i] = (struct policy_uri_target){.uri = "sip:x", .addr = rig_addr(ips[i])};
    }
    d.r.peers[CARRIER].targets = targets;
    d.r.peers[CARRIER].n_targets = COUNT_OF(ips);
    policy_free(&d.r.policy);
    rig_compile(&d.r);
    for (size_t i = 0; i < COUNT_OF(ips); i++) {
        struct policy_knock k = {.listener = OUTSIDE, .source = rig_addr(ips[i])};

        assert_int_equal(policy_classify(d.g, d.r.policy, &k, 1000), POLICY_TRUSTED);
    }
    door_close(&d);
}

/* Several users behind one address: it stays a home until the last of them is forgotten. */
static void a_home_lasts_as_long_as_the_longest_of_its_flows(void **state)
{
    struct addr flow = rig_addr("203.0.113.9"), other = flow;
    struct door d;

    (void)state;
    door_open(&d, 1, 1);
    addr_set_port(&other, 6000);
    assert_true(policy_prove(d.g, &flow, 90000, 1000));
    assert_true(policy_prove(d.g, &other, 31000, 1000));
    assert_false(policy_prove(d.g, &other, 32000, 2000)); /* known already */
    assert_true(policy_has_proven(d.g, &flow, 89999));
    assert_false(policy_has_proven(d.g, &flow, 90000));
    door_close(&d);
}

static void strangers_share_one_budget_and_trusted_sources_have_their_own(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 4, 0);
    assert_int_equal(admit(&d, "203.0.113.1", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.2", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.3", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.4", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.5", false, 10000), POLICY_DROP_STRANGER);
    assert_int_equal(admit(&d, "192.0.2.1", false, 10000), POLICY_ADMIT); /* the carrier */
    assert_int_equal(admit(&d, "203.0.113.5", false, 10249), POLICY_DROP_STRANGER);
    assert_int_equal(admit(&d, "203.0.113.5", false, 10250), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.5", false, 10250), POLICY_DROP_STRANGER);
    assert_int_equal(admit(&d, "203.0.113.6", true, 10250), POLICY_ADMIT); /* a connection */
    door_close(&d);
}

static void one_stranger_cannot_use_up_what_all_have(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 100, 2);
    assert_int_equal(admit(&d, "203.0.113.1:1", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.1:2", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.1:3", false, 10000), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "203.0.113.1:3", true, 10000), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "203.0.113.2", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.1:3", false, 10499), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "203.0.113.1:3", false, 10500), POLICY_ADMIT);
    assert_int_equal(admit(&d, "[2001:db8:9:9::1]:5060", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "[2001:db8:9:9::2]:5060", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "[2001:db8:9:9::3]:5060", false, 10000), POLICY_DROP_FAST);
    door_close(&d);
}

/* What one sends beyond his own share is not taken from the others'. */
static void one_stranger_beyond_his_share_costs_the_others_nothing(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 4, 2);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(admit(&d, "203.0.113.1", false, 10000),
                         i < 2 ? POLICY_ADMIT : POLICY_DROP_FAST);
    }
    assert_int_equal(admit(&d, "203.0.113.2", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.3", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.4", false, 10000), POLICY_DROP_STRANGER);
    door_close(&d);
}

/* Nor does one who is refused for the others' sake pay with his own share. */
static void a_stranger_pays_nothing_while_all_have_used_up_theirs(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 4, 2);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(admit(&d, i < 2 ? "203.0.113.1" : "203.0.113.2", false, 10000),
                         POLICY_ADMIT);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(admit(&d, "203.0.113.9", false, 10240), POLICY_DROP_STRANGER);
    }
    assert_int_equal(admit(&d, "203.0.113.9", false, 10500), POLICY_ADMIT);
    assert_int_equal(admit(&d, "203.0.113.9", false, 10500), POLICY_ADMIT);
    door_close(&d);
}

static void strangers_near_their_common_or_their_own_limit_are_told_once(void **state)
{
    struct door d;
    unsigned near = 0;

    (void)state;
    door_open(&d, 10, 0);
    d.r.def.security.warn_percent = 80;
    for (unsigned i = 0; i < 10; i++) {
        near += admit(&d, "203.0.113.1", false, 10000) == POLICY_ADMIT_NEAR;
    }
    assert_int_equal(near, 1);
    door_close(&d);
    door_open(&d, 1000, 10);
    d.r.def.security.warn_percent = 80;
    for (unsigned i = 0; i < 10; i++) {
        near += admit(&d, "203.0.113.1", false, 10000) == POLICY_ADMIT_NEAR;
    }
    assert_int_equal(near, 2);
    door_close(&d);
}

static void a_trusted_source_is_held_to_its_own_rate(void **state)
{
    struct door d;

    (void)state;
    door_open(&d, 0, 0);
    d.r.def.security.trusted_pps = 2;
    assert_int_equal(admit(&d, "192.0.2.1:5060", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "192.0.2.1:5060", false, 10000), POLICY_ADMIT);
    assert_int_equal(admit(&d, "192.0.2.1:5060", false, 10000), POLICY_DROP_FAST);
    assert_int_equal(admit(&d, "192.0.2.2:5060", false, 10000), POLICY_ADMIT);
    door_close(&d);
}

static void a_million_spoofed_sources_cost_no_memory_and_displace_no_peer(void **state)
{
    struct addr a = rig_addr("1.0.0.0");
    struct policy_knock k = {.listener = OUTSIDE};
    int64_t before, now_ms = 5000;
    unsigned admitted = 0;
    struct door d;

    (void)state;
    door_open(&d, 50, 20);
    before = mem_live();
    for (uint32_t i = 0; i < 1000000; i++) {
        a.u.in4.sin_addr.s_addr = htonl(0x01000000u + i * 97);
        k.source = a;
        admitted += policy_admit(d.g, d.r.policy, &k, now_ms + i / 1000) == POLICY_ADMIT;
    }
    assert_int_equal(mem_live(), before);
    assert_in_range(admitted, 90, 100); /* the burst of 50 and one second's 50 */
    assert_int_equal(class_of(&d, OUTSIDE, "192.0.2.1", now_ms), POLICY_TRUSTED);
    door_close(&d);
}

static void a_full_table_forgets_what_would_end_first(void **state)
{
    struct policy_marks m;
    struct policy_key k = {.bits = 32};

    (void)state;
    assert_int_equal(policy_marks_init(&m, 1), 0); /* one bucket of eight */
    for (uint64_t i = 1; i <= 9; i++) {
        k.addr = i;
        policy_marks_set(&m, &k, 10000 + (int64_t)i * 1000, 1000);
    }
    k.addr = 1;
    assert_int_equal(policy_marks_until(&m, &k, 1000), 0);
    for (uint64_t i = 2; i <= 9; i++) {
        k.addr = i;
        assert_int_equal(policy_marks_until(&m, &k, 1000), 10000 + (int64_t)i * 1000);
    }
    policy_marks_clear(&m, &k);
    assert_int_equal(policy_marks_until(&m, &k, 1000), 0);
    policy_marks_free(&m);
}

/* Two threads write the same bucket while one reads: nobody ever sees a time that was not set for
 * the key. */
struct race {
    struct policy_marks m;
    _Atomic bool stop;
};

static void *race_write(void *arg)
{
    struct race *r = arg;

    for (uint64_t i = 0; i < 200000; i++) {
        struct policy_key k = {.addr = i % 16, .bits = 32};

        policy_marks_set(&r->m, &k, (int64_t)(100 + k.addr) * 1000, 1);
        policy_marks_clear(&r->m, &k);
    }
    return NULL;
}

static void readers_never_see_half_an_entry(void **state)
{
    struct race r = {.stop = false};
    pthread_t t[2];
    unsigned wrong = 0;

    (void)state;
    assert_int_equal(policy_marks_init(&r.m, 1), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, race_write, &r), 0);
    }
    for (uint64_t i = 0; i < 400000; i++) {
        struct policy_key k = {.addr = i % 16, .bits = 32};
        int64_t until = policy_marks_until(&r.m, &k, 1);

        wrong += until != 0 && until != (int64_t)(100 + k.addr) * 1000;
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(wrong, 0);
    policy_marks_free(&r.m);
}

static void a_neighbour_in_the_64_with_the_same_port_is_not_the_flow(void **state)
{
    struct door d;
    struct policy_knock k;

    (void)state;
    door_open(&d, 0, 0);
    k = knock_at(OUTSIDE, "[2001:db8:1:2::5]:5060");
    (void)policy_prove(d.g, &k.source, 100000, 1000);
    assert_int_equal(class_of(&d, OUTSIDE, "[2001:db8:1:2::bad]:5060", 1000), POLICY_UNKNOWN);
    door_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_neighbour_in_the_64_with_the_same_port_is_not_the_flow),
        cmocka_unit_test(a_ban_holds_to_its_second_and_no_longer),
        cmocka_unit_test(networks_and_the_64_of_ipv6_are_denied_as_a_whole),
        cmocka_unit_test(each_ban_counts_what_it_dropped_and_the_narrowest_counts),
        cmocka_unit_test(peers_targets_proven_flows_and_the_allow_list_win_over_bans),
        cmocka_unit_test(a_connection_that_spoke_sip_has_a_budget_of_its_own_until_it_offends),
        cmocka_unit_test(all_connections_of_strangers_share_one_budget_whatever_they_did),
        cmocka_unit_test(whoever_else_lives_in_the_64_of_a_target_is_a_stranger),
        cmocka_unit_test(where_a_peer_is_reached_is_trusted_and_protected),
        cmocka_unit_test(only_peers_with_a_narrow_source_protect_an_address),
        cmocka_unit_test(a_network_with_anybody_who_is_protected_in_it_is_guarded),
        cmocka_unit_test(targets_of_both_families_are_found),
        cmocka_unit_test(a_home_lasts_as_long_as_the_longest_of_its_flows),
        cmocka_unit_test(strangers_share_one_budget_and_trusted_sources_have_their_own),
        cmocka_unit_test(one_stranger_cannot_use_up_what_all_have),
        cmocka_unit_test(one_stranger_beyond_his_share_costs_the_others_nothing),
        cmocka_unit_test(a_stranger_pays_nothing_while_all_have_used_up_theirs),
        cmocka_unit_test(strangers_near_their_common_or_their_own_limit_are_told_once),
        cmocka_unit_test(a_trusted_source_is_held_to_its_own_rate),
        cmocka_unit_test(a_million_spoofed_sources_cost_no_memory_and_displace_no_peer),
        cmocka_unit_test(a_full_table_forgets_what_would_end_first),
        cmocka_unit_test(readers_never_see_half_an_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
