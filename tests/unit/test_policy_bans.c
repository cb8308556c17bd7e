/* Who earns a ban, for how long, how wide, and who never gets one; every edge on a virtual clock.
 */
#include "policy_rig.h"

#define START_MONO 1000000
#define START_WALL 1700000000000

struct court {
    struct rig r;
    struct policy_gate *g;
    struct policy_bans *b;
    struct prefix allow[1];
    struct policy_now now;
    enum policy_change change;
    const struct policy_ban *ban;
    uint16_t port; /* where offences come from */
};

static void court_open(struct court *c)
{
    memset(c, 0, sizeof(*c));
    rig_up(&c->r);
    c->allow[0] = rig_prefix("198.51.100.0/24");
    c->r.def.security =
        (struct policy_security){.allow = c->allow,
                                 .n_allow = 1,
                                 .bans = {.present = true,
                                          .threshold = 10,
                                          .window_ms = 300000,
                                          .durations_ms = {300000, 3600000, 86400000},
                                          .n_durations = 3,
                                          .network_after = 3,
                                          .firewall = true}};
    rig_compile(&c->r);
    assert_int_equal(policy_gate_new(&c->g), 0);
    assert_int_equal(policy_bans_new(&c->b, c->g), 0);
    c->now = (struct policy_now){START_MONO, START_WALL};
}

static void court_close(struct court *c)
{
    policy_bans_free(&c->b);
    policy_gate_free(&c->g);
    rig_down(&c->r);
}

static void pass(struct court *c, int64_t ms)
{
    c->now.mono_ms += ms;
    c->now.wall_ms += ms;
}

static enum policy_change offend(struct court *c, const char *from, enum policy_event e,
                                 enum policy_proof proof)
{
    struct policy_offence o = {
        .event = e, .proof = proof, .source = rig_addr(from), .evidence = SL("OPTIONS sip:100@x")};

    addr_set_port(&o.source, c->port);
    assert_int_equal(policy_bans_note(c->b, c->r.policy, &o, &c->now, &c->change, &c->ban), 0);
    return c->change;
}

static enum policy_change offend_n(struct court *c, const char *from, enum policy_event e,
                                   enum policy_proof proof, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)offend(c, from, e, proof);
    }
    return c->change;
}

static bool is_denied(struct court *c, const char *from)
{
    struct policy_knock k = {.source = rig_addr(from), .listener = OUTSIDE};

    return policy_classify(c->g, c->r.policy, &k, c->now.mono_ms) == POLICY_DENIED;
}

static uint32_t points(struct court *c, const char *from, bool proven)
{
    struct addr a = rig_addr(from);

    return policy_bans_points(c->b, &c->r.def.security.bans, &a, proven, c->now.mono_ms);
}

#define EVIL "203.0.113.9"

static void each_offence_has_its_points_and_the_threshold_its_edge(void **state)
{
    static const struct {
        enum policy_event event;
        unsigned innocent; /* so many lead to nothing, one more does */
    } rules[] = {{POLICY_SCANNER, 0},   {POLICY_AUTH_FAILED, 4}, {POLICY_UNKNOWN_USER, 4},
                 {POLICY_MALFORMED, 9}, {POLICY_ACL_DENIED, 9},  {POLICY_TOLL_FRAUD, 4}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct court c;

        court_open(&c);
        for (unsigned k = 0; k < rules[i].innocent; k++) {
            assert_int_equal(offend(&c, EVIL, rules[i].event, POLICY_BY_STREAM), POLICY_NO_CHANGE);
            assert_false(is_denied(&c, EVIL));
        }
        assert_int_equal(offend(&c, EVIL, rules[i].event, POLICY_BY_STREAM), POLICY_BANNED);
        assert_true(is_denied(&c, EVIL));
        assert_int_equal(c.ban->event, rules[i].event);
        assert_int_equal(c.ban->points, 10);
        assert_true(sl_eq(c.ban->evidence, SL("OPTIONS sip:100@x")));
        assert_true(c.ban->firewall);
        assert_int_equal(points(&c, EVIL, true), 0); /* paid */
        court_close(&c);
    }
}

static void points_decay_evenly(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    offend_n(&c, EVIL, POLICY_MALFORMED, POLICY_BY_STREAM, 9);
    assert_int_equal(points(&c, EVIL, true), 9);
    pass(&c, 30000); /* a tenth of the window: one point */
    assert_int_equal(points(&c, EVIL, true), 8);
    assert_int_equal(offend(&c, EVIL, POLICY_MALFORMED, POLICY_BY_STREAM), POLICY_NO_CHANGE);
    pass(&c, 269999);
    assert_int_equal(points(&c, EVIL, true), 1);
    pass(&c, 1);
    assert_int_equal(points(&c, EVIL, true), 0);
    for (int i = 0; i < 1000; i++) { /* a phone with a wrong password that tries each minute */
        assert_int_equal(offend(&c, EVIL, POLICY_AUTH_FAILED, POLICY_BY_DIGEST), POLICY_NO_CHANGE);
        pass(&c, 60000);
    }
    court_close(&c);
}

static void a_ban_ends_on_time_and_the_next_one_is_longer(void **state)
{
    static const int64_t lengths_ms[] = {300000, 3600000, 86400000, 86400000};
    struct court c;

    (void)state;
    court_open(&c);
    for (size_t i = 0; i < COUNT_OF(lengths_ms); i++) {
        assert_int_equal(offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM), POLICY_BANNED);
        assert_int_equal(c.ban->level, i);
        assert_int_equal(c.ban->until_ms - c.ban->since_ms, lengths_ms[i]);
        pass(&c, lengths_ms[i] - 1);
        assert_true(is_denied(&c, EVIL));
        pass(&c, 1);
        assert_false(is_denied(&c, EVIL));
    }
    court_close(&c);
}

static void on_forgotten(const struct policy_ban *ban, void *arg)
{
    (void)ban;
    ++*(unsigned *)arg;
}

static void history_is_forgotten_a_day_after_the_end(void **state)
{
    unsigned n = 0;
    struct court c;

    (void)state;
    court_open(&c);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    pass(&c, 300000 + 86400000 - 1);
    policy_bans_tick(c.b, &c.now, on_forgotten, &n);
    assert_int_equal(n, 0);
    pass(&c, 1);
    policy_bans_tick(c.b, &c.now, on_forgotten, &n);
    assert_int_equal(n, 1);
    assert_int_equal(policy_bans_count(c.b), 0);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    assert_int_equal(c.ban->level, 0);
    court_close(&c);
}

static void an_unproven_source_earns_a_minute_of_silence_and_no_more(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    for (int i = 0; i < 5; i++) { /* however often: never longer, never in the firewall */
        assert_int_equal(offend(&c, EVIL, POLICY_SCANNER, POLICY_UNPROVEN), POLICY_SILENCED);
        assert_true(c.ban->quiet);
        assert_false(c.ban->firewall);
        assert_int_equal(c.ban->until_ms - c.ban->since_ms, POLICY_QUIET_MS);
        pass(&c, POLICY_QUIET_MS - 1);
        assert_true(is_denied(&c, EVIL));
        pass(&c, 1);
        assert_false(is_denied(&c, EVIL));
    }
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM); /* silences count for nothing */
    assert_int_equal(c.ban->level, 0);
    court_close(&c);
}

static void proven_and_unproven_points_are_never_added_up(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    offend_n(&c, EVIL, POLICY_AUTH_FAILED, POLICY_BY_DIGEST, 4);
    offend_n(&c, EVIL, POLICY_MALFORMED, POLICY_UNPROVEN, 9); /* forged in his name */
    assert_false(is_denied(&c, EVIL));
    assert_int_equal(points(&c, EVIL, true), 8);
    assert_int_equal(points(&c, EVIL, false), 9);
    court_close(&c);
}

static void a_forged_flood_in_the_name_of_the_carrier_bans_nobody(void **state)
{
    struct addr user = rig_addr("203.0.113.77");
    struct court c;

    (void)state;
    court_open(&c);
    for (int i = 0; i < 1000; i++) {
        enum policy_change x = offend(&c, "192.0.2.1", POLICY_SCANNER, POLICY_UNPROVEN);

        assert_int_equal(x, POLICY_SUPPRESSED);
    }
    assert_int_equal(offend(&c, "192.0.2.1", POLICY_SCANNER, POLICY_BY_STREAM), POLICY_SUPPRESSED);
    assert_int_equal(offend(&c, "198.51.100.7", POLICY_SCANNER, POLICY_BY_STREAM),
                     POLICY_SUPPRESSED); /* allowed */
    (void)policy_prove(c.g, &user, c.now.mono_ms + 60000, c.now.mono_ms);
    assert_int_equal(offend(&c, "203.0.113.77", POLICY_SCANNER, POLICY_UNPROVEN),
                     POLICY_SUPPRESSED); /* a user lives there */
    assert_int_equal(policy_bans_count(c.b), 0);
    court_close(&c);
}

/* Behind one address: the offender on two connections, a user, and one who has yet to register. */
static void who_offends_where_users_are_proven_is_demoted_and_shut_out_alone(void **state)
{
    static const enum policy_proof proofs[] = {POLICY_BY_STREAM, POLICY_BY_DIGEST};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(proofs); i++) {
        struct addr bad = rig_addr(EVIL), user = bad, other = bad;
        struct policy_knock k = {.listener = OUTSIDE, .connected = proofs[i] == POLICY_BY_STREAM};
        struct court c;

        court_open(&c);
        addr_set_port(&bad, 5060);
        addr_set_port(&user, 6000);
        addr_set_port(&other, 7000);
        (void)policy_prove(c.g, &bad, c.now.mono_ms + 3600000, c.now.mono_ms);
        (void)policy_prove(c.g, &user, c.now.mono_ms + 3600000, c.now.mono_ms);
        for (int n = 0; n < 9; n++) { /* others' points are not his */
            c.port = 7001;
            (void)offend(&c, EVIL, POLICY_MALFORMED, proofs[i]);
            c.port = 5060;
            (void)offend(&c, EVIL, POLICY_MALFORMED, proofs[i]);
        }
        assert_int_equal(c.change, POLICY_NO_CHANGE);
        assert_int_equal(offend(&c, EVIL, POLICY_MALFORMED, proofs[i]), POLICY_SHUT);
        assert_int_equal(c.ban->port, 5060);
        assert_int_equal(c.ban->until_ms - c.ban->since_ms, POLICY_QUIET_MS);
        assert_false(c.ban->firewall);
        assert_true(c.ban->quiet);
        k.source = bad;
        assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_DENIED);
        k.source = user;
        assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_TRUSTED);
        k.source = other;
        assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_UNKNOWN);
        pass(&c, POLICY_QUIET_MS);
        k.source = bad; /* his proof is gone for good */
        assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_UNKNOWN);
        (void)offend(&c, EVIL, POLICY_SCANNER, proofs[i]);
        assert_true(policy_bans_remove(c.b, c.ban->id));
        assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_UNKNOWN);
        court_close(&c);
    }
}

static enum policy_class class_of(struct court *c, const char *from, uint16_t port, bool connected)
{
    struct policy_knock k = {.source = rig_addr(from), .listener = OUTSIDE, .connected = connected};

    addr_set_port(&k.source, port);
    return policy_classify(c->g, c->r.policy, &k, c->now.mono_ms);
}

/* The same port in the other transport, another host of the same /64 with the same port. */
static void a_flow_is_shut_out_by_its_whole_address_port_and_transport(void **state)
{
    static const enum policy_proof proofs[] = {POLICY_BY_STREAM, POLICY_BY_DIGEST};
    static const char *const places[][2] = {{"2001:db9:77:2::9", "2001:db9:77:2::8"},
                                            {"203.0.113.9", "203.0.113.8"}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *bad = places[i / 2][0], *next = places[i / 2][1];
        bool stream = proofs[i % 2] == POLICY_BY_STREAM;
        struct addr user = rig_addr(bad), neighbour = rig_addr(next);
        struct court c;

        court_open(&c);
        addr_set_port(&user, 6000);
        addr_set_port(&neighbour, 5060);
        (void)policy_prove(c.g, &user, c.now.mono_ms + 3600000, c.now.mono_ms);
        (void)policy_prove(c.g, &neighbour, c.now.mono_ms + 3600000, c.now.mono_ms);
        c.port = 5060;
        (void)offend_n(&c, next, POLICY_MALFORMED, proofs[i % 2], 9); /* not his points */
        assert_int_equal(offend(&c, bad, POLICY_MALFORMED, proofs[i % 2]), POLICY_NO_CHANGE);
        assert_int_equal(offend_n(&c, bad, POLICY_MALFORMED, proofs[!(i % 2)], 8),
                         POLICY_NO_CHANGE); /* nor those of the other transport */
        assert_int_equal(offend(&c, bad, POLICY_SCANNER, proofs[i % 2]), POLICY_SHUT);
        assert_true(addr_eq_ip(&c.ban->prefix.addr, &user));
        assert_int_equal(class_of(&c, bad, 5060, stream), POLICY_DENIED);
        assert_int_equal(class_of(&c, bad, 5060, !stream), POLICY_UNKNOWN);
        assert_int_equal(class_of(&c, bad, 5061, stream), POLICY_UNKNOWN);
        assert_int_equal(class_of(&c, next, 5060, stream), POLICY_TRUSTED);
        policy_demote(c.g, &neighbour);
        assert_int_equal(class_of(&c, next, 5060, stream), POLICY_UNKNOWN);
        assert_true(policy_bans_remove(c.b, c.ban->id));
        assert_int_equal(class_of(&c, bad, 5060, stream), POLICY_UNKNOWN);
        court_close(&c);
    }
}

/* Twelve connections, each closed before it has the points for a ban. */
static void new_ports_do_not_wash_an_address_clean(void **state)
{
    struct addr user = rig_addr(EVIL), other = user;
    struct policy_knock k = {.listener = OUTSIDE};
    struct court c;
    unsigned n = 0;

    (void)state;
    court_open(&c);
    addr_set_port(&user, 6000);
    addr_set_port(&other, 7000);
    (void)policy_prove(c.g, &user, c.now.mono_ms + 3600000, c.now.mono_ms);
    do {
        c.port = (uint16_t)(10000 + n / 4);
        n++;
    } while (offend(&c, EVIL, POLICY_AUTH_FAILED, POLICY_BY_STREAM) == POLICY_NO_CHANGE && n < 100);
    assert_in_range(n, 46, 50); /* ten times what one party may do, points being whole ones */
    assert_int_equal(c.change, POLICY_SILENCED);
    assert_int_equal(c.ban->port, 0);
    assert_int_equal(c.ban->until_ms - c.ban->since_ms, POLICY_QUIET_MS);
    assert_false(c.ban->firewall);
    k.source = other;
    assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_DENIED);
    k.source = user;
    assert_int_equal(policy_classify(c.g, c.r.policy, &k, c.now.mono_ms), POLICY_TRUSTED);
    court_close(&c);
}

static void a_right_password_clears_what_came_before_it_unproven(void **state)
{
    struct addr a = rig_addr(EVIL);
    struct court c;

    (void)state;
    court_open(&c);
    offend_n(&c, EVIL, POLICY_TOLL_FRAUD, POLICY_UNPROVEN, 4);
    policy_bans_forgive(c.b, &a);
    assert_int_equal(offend_n(&c, EVIL, POLICY_TOLL_FRAUD, POLICY_UNPROVEN, 4), POLICY_NO_CHANGE);
    court_close(&c);
}

static void enough_distinct_members_ban_their_24(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    (void)offend(&c, "203.0.113.1", POLICY_SCANNER, POLICY_BY_STREAM);
    (void)offend(&c, "203.0.113.2", POLICY_SCANNER, POLICY_BY_STREAM);
    (void)offend(&c, "203.0.114.3", POLICY_SCANNER, POLICY_BY_STREAM); /* next door */
    assert_int_equal(c.ban->prefix.bits, 32);
    offend_n(&c, "203.0.113.4", POLICY_SCANNER, POLICY_UNPROVEN, 3); /* forged: does not count */
    assert_false(is_denied(&c, "203.0.113.200"));
    (void)offend(&c, "203.0.113.3", POLICY_SCANNER, POLICY_BY_STREAM);
    assert_int_equal(c.ban->prefix.bits, 24);
    assert_true(is_denied(&c, "203.0.113.200"));
    assert_false(is_denied(&c, "203.0.112.255"));
    court_close(&c);
}

static void a_network_with_somebody_known_in_it_is_not_banned_as_a_whole(void **state)
{
    struct addr user = rig_addr("203.0.113.77");
    struct court c;

    (void)state;
    court_open(&c);
    (void)policy_prove(c.g, &user, c.now.mono_ms + 60000, c.now.mono_ms);
    for (int i = 1; i <= 9; i++) {
        char at[32];

        snprintf(at, sizeof(at), "203.0.113.%d", i);
        (void)offend(&c, at, POLICY_SCANNER, POLICY_BY_STREAM);
        assert_int_equal(c.ban->prefix.bits, 32);
    }
    assert_false(is_denied(&c, "203.0.113.200"));
    court_close(&c);
}

static void ipv6_counts_by_the_64(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    for (int i = 1; i <= 5; i++) {
        char at[32];

        snprintf(at, sizeof(at), "2a00:1:2:3::%d", i);
        (void)offend(&c, at, POLICY_AUTH_FAILED, POLICY_BY_DIGEST);
    }
    assert_non_null(c.ban);
    assert_int_equal(c.ban->prefix.bits, 64);
    assert_true(is_denied(&c, "2a00:1:2:3:ffff::1"));
    assert_false(is_denied(&c, "2a00:1:2:4::1"));
    court_close(&c);
}

static void a_dry_run_says_what_would_be_and_drops_nothing(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    c.r.def.security.bans.dry_run = true;
    assert_int_equal(offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM), POLICY_BANNED);
    assert_true(c.ban->dry_run);
    assert_false(c.ban->firewall);
    assert_false(is_denied(&c, EVIL));
    assert_int_equal(offend(&c, EVIL, POLICY_SCANNER, POLICY_UNPROVEN), POLICY_NO_CHANGE);
    court_close(&c);
}

static void without_bans_nothing_is_held_against_anybody(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    c.r.def.security.bans.present = false;
    assert_int_equal(offend_n(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM, 50), POLICY_NO_CHANGE);
    assert_int_equal(points(&c, EVIL, true), 0);
    court_close(&c);
}

static int add(struct court *c, const char *prefix, int64_t ms)
{
    struct policy_order order = {.at = rig_prefix(prefix), .for_ms = ms, .reason = SL("because")};

    return policy_bans_add(c->b, c->r.policy, &order, &c->now, &c->ban);
}

static void the_operator_bans_anybody_but_those_who_are_protected(void **state)
{
    struct court c;
    uint64_t id;

    (void)state;
    court_open(&c);
    assert_int_equal(add(&c, "192.0.2.1", 1000), EPERM);      /* the carrier */
    assert_int_equal(add(&c, "192.0.0.0/16", 1000), EPERM);   /* he lives in there */
    assert_int_equal(add(&c, "192.0.2.128/25", 1000), EPERM); /* his network reaches so far */
    assert_int_equal(add(&c, "198.51.100.9", 1000), EPERM);   /* allowed */
    assert_int_equal(add(&c, "32.0.0.0/3", 1000), EINVAL);    /* an eighth of the world */
    assert_int_equal(add(&c, "203.0.113.0/24", 0), EINVAL);
    assert_int_equal(add(&c, "203.0.113.0/24", 60000), 0);
    assert_string_equal(c.ban->reason, "because");
    assert_true(is_denied(&c, EVIL));
    id = c.ban->id;
    assert_true(policy_bans_remove(c.b, id));
    assert_false(policy_bans_remove(c.b, id));
    assert_false(is_denied(&c, EVIL));
    court_close(&c);
}

static void lifting_a_ban_clears_points_and_history(void **state)
{
    struct court c;

    (void)state;
    court_open(&c);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    assert_true(policy_bans_remove(c.b, c.ban->id));
    assert_false(is_denied(&c, EVIL));
    offend_n(&c, EVIL, POLICY_MALFORMED, POLICY_BY_STREAM, 9);
    assert_false(is_denied(&c, EVIL));
    (void)offend(&c, EVIL, POLICY_MALFORMED, POLICY_BY_STREAM);
    assert_int_equal(c.ban->level, 0);
    court_close(&c);
}

static void a_stored_ban_comes_back_for_what_is_left_of_it(void **state)
{
    struct court c;
    struct policy_ban row = {.prefix = rig_prefix(EVIL),
                             .event = POLICY_SCANNER,
                             .level = 1,
                             .since_ms = START_WALL - 3000000,
                             .until_ms = START_WALL + 600000,
                             .reason = "rude",
                             .evidence = SL("OPTIONS")};
    const struct addr ip = rig_addr(EVIL);
    const struct policy_ban *ban;

    (void)state;
    court_open(&c);
    assert_int_equal(policy_bans_load(c.b, &row, &c.now), 0);
    pass(&c, 599999);
    assert_true(is_denied(&c, EVIL));
    ban = policy_bans_find(c.b, &ip, c.now.wall_ms);
    assert_ptr_equal(ban, policy_bans_at(c.b, &row.prefix, c.now.wall_ms));
    assert_non_null(ban);
    assert_string_equal(ban->reason, "rude");
    assert_true(sl_eq(ban->evidence, SL("OPTIONS")));
    pass(&c, 1);
    assert_false(is_denied(&c, EVIL));
    assert_null(policy_bans_find(c.b, &ip, c.now.wall_ms)); /* but for what is remembered of it */
    assert_null(policy_bans_at(c.b, &row.prefix, c.now.wall_ms));
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    assert_int_equal(c.ban->level, 2);
    court_close(&c);
}

static void a_new_configuration_lets_go_whom_it_protects(void **state)
{
    unsigned n = 0;
    struct court c;

    (void)state;
    court_open(&c);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    (void)offend(&c, "203.0.114.9", POLICY_SCANNER, POLICY_BY_STREAM);
    c.allow[0] = rig_prefix("203.0.113.0/24");
    policy_bans_recheck(c.b, c.r.policy, &c.now, on_forgotten, &n);
    assert_int_equal(n, 1);
    assert_false(is_denied(&c, EVIL));
    assert_true(is_denied(&c, "203.0.114.9"));
    court_close(&c);
}

static const struct policy_ban *manual(struct court *c, const char *at)
{
    struct policy_order order = {.at = rig_prefix(at), .for_ms = 3600000};
    const struct policy_ban *ban = NULL;

    assert_int_equal(policy_bans_add(c->b, c->r.policy, &order, &c->now, &ban), 0);
    return ban;
}

static void the_firewall_is_no_place_where_somebody_known_lives(void **state)
{
    struct addr user = rig_addr("203.0.113.77"), far = rig_addr("2001:dbf:5:6::7");
    struct court c;

    (void)state;
    court_open(&c);
    (void)policy_prove(c.g, &user, c.now.mono_ms + 60000, c.now.mono_ms);
    (void)policy_prove(c.g, &far, c.now.mono_ms + 60000, c.now.mono_ms);
    assert_false(manual(&c, "203.0.113.77/32")->firewall);
    assert_false(manual(&c, "203.0.113.0/24")->firewall);
    assert_false(manual(&c, "203.0.112.0/22")->firewall);
    assert_false(manual(&c, "2001:dbf:5:6::/64")->firewall);
    assert_false(manual(&c, "2001:dbf::/32")->firewall);
    assert_true(manual(&c, "203.0.113.76/32")->firewall);
    assert_true(manual(&c, "203.0.113.0/26")->firewall);
    assert_true(manual(&c, "2001:dbf:5:7::/64")->firewall);
    pass(&c, 60000);
    assert_true(manual(&c, "203.0.113.0/24")->firewall);
    assert_true(manual(&c, "2001:dbf::/32")->firewall);
    court_close(&c);
}

static void a_new_configuration_says_again_what_is_for_the_firewall(void **state)
{
    struct addr user = rig_addr("203.0.114.9");
    const struct policy_ban *forged, *real, *home, *order;
    unsigned n = 0;
    struct court c;

    (void)state;
    court_open(&c);
    c.r.def.security.bans.firewall = false;
    (void)offend(&c, "203.0.115.9", POLICY_SCANNER, POLICY_UNPROVEN);
    forged = c.ban;
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    real = c.ban;
    (void)offend(&c, "203.0.114.9", POLICY_SCANNER, POLICY_BY_STREAM);
    home = c.ban;
    order = manual(&c, "203.0.116.0/24");
    assert_false(real->firewall || order->firewall);
    (void)policy_prove(c.g, &user, c.now.mono_ms + 60000, c.now.mono_ms);
    c.r.def.security.bans.firewall = true;
    policy_bans_recheck(c.b, c.r.policy, &c.now, on_forgotten, &n);
    assert_true(real->firewall && order->firewall);
    assert_false(forged->firewall || home->firewall);
    c.r.def.security.bans.firewall = false;
    policy_bans_recheck(c.b, c.r.policy, &c.now, on_forgotten, &n);
    assert_false(real->firewall || order->firewall);
    assert_int_equal(n, 0);
    court_close(&c);
}

static void a_wider_ban_covers_until_it_ends(void **state)
{
    const struct policy_ban *one, *net;
    struct court c;

    (void)state;
    court_open(&c);
    one = manual(&c, "203.0.113.9/32");
    assert_false(policy_bans_is_covered(c.b, one, c.now.wall_ms));
    net = manual(&c, "203.0.113.0/24");
    assert_true(policy_bans_is_covered(c.b, one, c.now.wall_ms));
    assert_false(policy_bans_is_covered(c.b, net, c.now.wall_ms));
    assert_true(policy_bans_is_covered(c.b, one, net->until_ms - 1));
    assert_false(policy_bans_is_covered(c.b, one, net->until_ms));
    c.r.def.security.bans.firewall = false; /* one that is not in the firewall covers nothing */
    (void)manual(&c, "203.0.113.0/24");
    assert_false(policy_bans_is_covered(c.b, one, c.now.wall_ms));
    court_close(&c);
}

/* A source in 1.0.0.0/8 by number; n of 2^20. */
static struct addr nth_addr(uint32_t n)
{
    struct addr a = rig_addr("1.0.0.0");

    a.u.in4.sin_addr.s_addr = htonl(0x01000000u + n * 16);
    return a;
}

static void a_million_forged_sources_fill_nothing_and_push_out_no_ban(void **state)
{
    struct policy_offence o = {.proof = POLICY_UNPROVEN};
    struct court c;
    int64_t most;

    (void)state;
    court_open(&c);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_BY_STREAM);
    most = mem_live() + 3 * 1024 + 64;
    for (uint32_t i = 0; i < 1000000; i++) {
        o.event = i < 5000 ? POLICY_SCANNER : POLICY_MALFORMED;
        o.source = nth_addr(i);
        assert_int_equal(policy_bans_note(c.b, c.r.policy, &o, &c.now, &c.change, &c.ban), 0);
    }
    assert_true(mem_live() <= most);
    assert_in_range(policy_bans_count(c.b), 1, 1025);
    assert_true(is_denied(&c, EVIL));
    court_close(&c);
}

static void known_tools_are_recognised_and_phones_are_not(void **state)
{
    static const struct policy_look tools[] = {
        {.user_agent = SL("friendly-scanner")},
        {.user_agent = SL("SIPVicious/0.3")},
        {.user_agent = SL("sipcli/v1.8")},
        {.user_agent = SL("own tool 3")},
        {.from_display = SL("sipvicious"), .from_user = SL("100")},
        {.from_user = SL("100"), .from_host = SL("1.1.1.1"), .user_agent = SL("Linphone")},
        {.call_id = SL("283746192837461928374"), .branch = SL("z9hG4bK-2837461")},
    };
    static const struct policy_look phones[] = {
        {.user_agent = SL("Asterisk PBX 20")},
        {.user_agent = SL("Linphone/5 (friendly)")},
        {.user_agent = SL("sipp")},
        {.call_id = SL("283746192837461928374"), .branch = SL("z9hG4bK-28a7461")},
        {.call_id = SL("283746192837461928374@10.0.0.1"), .branch = SL("z9hG4bK-2837461")},
        {.call_id = SL("12345"), .branch = SL("z9hG4bK-2837461")},
        {.from_user = SL("100"), .from_host = SL("192.0.2.1")},
        {.from_user = SL("")},
    };
    struct policy_ban_rules rules = {.agents = {"Own Tool"}, .n_agents = 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        assert_true(policy_scanner(&rules, &tools[i]));
    }
    for (size_t i = 0; i < COUNT_OF(phones); i++) {
        assert_false(policy_scanner(&rules, &phones[i]));
    }
    assert_true(policy_looks_expensive(SL("+442079460000")));
    assert_true(policy_looks_expensive(SL("00442079460000")));
    assert_true(policy_looks_expensive(SL("9011442079460000")));
    assert_true(policy_looks_expensive(SL("99900972592345678")));
    assert_true(policy_looks_expensive(SL("*9011972592345678")));
    assert_true(policy_looks_expensive(SL("8+972592345678")));
    assert_false(policy_looks_expensive(SL("15005550100"))); /* at home, with a 00 in it */
    assert_false(policy_looks_expensive(SL("0300123456789")));
    assert_false(policy_looks_expensive(SL("999900")));
    assert_false(policy_looks_expensive(SL("1001")));
    assert_false(policy_looks_expensive(SL("0301234567")));
    assert_false(policy_looks_expensive(SL("+49")));
}

static void the_firewall_never_holds_a_64_with_somebody_protected_in_it(void **state)
{
    struct court c;
    struct prefix net;

    (void)state;
    court_open(&c);
    c.allow[0] = rig_prefix("2a02:77:1:2::5/128");
    net = rig_prefix("2a02:77:1:2::5/128");
    assert_true(policy_guards_in(c.r.policy, &net));
    (void)offend(&c, "2a02:77:1:2::bad", POLICY_SCANNER, POLICY_BY_STREAM);
    assert_false(c.ban != NULL && c.ban->firewall && policy_guards_in(c.r.policy, &c.ban->prefix));
    court_close(&c);
}

static void an_order_counts_as_the_64_that_it_becomes(void **state)
{
    struct court c;
    const struct policy_ban *ban = NULL;
    struct policy_order o = {.for_ms = 86400000};

    (void)state;
    court_open(&c);
    c.allow[0] = rig_prefix("2a02:77:1:2::5/128");
    o.at = rig_prefix("2a02:77:1:2::bad/128");
    assert_int_equal(policy_bans_add(c.b, c.r.policy, &o, &c.now, &ban), EPERM);
    court_close(&c);
}

static void an_offence_shortens_no_order_of_the_operator(void **state)
{
    struct court c;
    const struct policy_ban *ban = NULL;
    struct policy_order o = {.for_ms = 86400000};

    (void)state;
    court_open(&c);
    o.at = rig_prefix(EVIL "/32");
    assert_int_equal(policy_bans_add(c.b, c.r.policy, &o, &c.now, &ban), 0);
    (void)offend(&c, EVIL, POLICY_SCANNER, POLICY_UNPROVEN);
    pass(&c, 61000);
    assert_true(is_denied(&c, EVIL));
    court_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offence_shortens_no_order_of_the_operator),
        cmocka_unit_test(an_order_counts_as_the_64_that_it_becomes),
        cmocka_unit_test(the_firewall_never_holds_a_64_with_somebody_protected_in_it),
        cmocka_unit_test(each_offence_has_its_points_and_the_threshold_its_edge),
        cmocka_unit_test(points_decay_evenly),
        cmocka_unit_test(a_ban_ends_on_time_and_the_next_one_is_longer),
        cmocka_unit_test(history_is_forgotten_a_day_after_the_end),
        cmocka_unit_test(an_unproven_source_earns_a_minute_of_silence_and_no_more),
        cmocka_unit_test(proven_and_unproven_points_are_never_added_up),
        cmocka_unit_test(a_forged_flood_in_the_name_of_the_carrier_bans_nobody),
        cmocka_unit_test(who_offends_where_users_are_proven_is_demoted_and_shut_out_alone),
        cmocka_unit_test(a_flow_is_shut_out_by_its_whole_address_port_and_transport),
        cmocka_unit_test(new_ports_do_not_wash_an_address_clean),
        cmocka_unit_test(the_firewall_is_no_place_where_somebody_known_lives),
        cmocka_unit_test(a_new_configuration_says_again_what_is_for_the_firewall),
        cmocka_unit_test(a_wider_ban_covers_until_it_ends),
        cmocka_unit_test(a_right_password_clears_what_came_before_it_unproven),
        cmocka_unit_test(enough_distinct_members_ban_their_24),
        cmocka_unit_test(a_network_with_somebody_known_in_it_is_not_banned_as_a_whole),
        cmocka_unit_test(ipv6_counts_by_the_64),
        cmocka_unit_test(a_dry_run_says_what_would_be_and_drops_nothing),
        cmocka_unit_test(without_bans_nothing_is_held_against_anybody),
        cmocka_unit_test(the_operator_bans_anybody_but_those_who_are_protected),
        cmocka_unit_test(lifting_a_ban_clears_points_and_history),
        cmocka_unit_test(a_stored_ban_comes_back_for_what_is_left_of_it),
        cmocka_unit_test(a_new_configuration_lets_go_whom_it_protects),
        cmocka_unit_test(a_million_forged_sources_fill_nothing_and_push_out_no_ban),
        cmocka_unit_test(known_tools_are_recognised_and_phones_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
