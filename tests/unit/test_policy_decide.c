/* test_policy_decide.c - who is asking, which route, which verdict: a table, and its edges. */
#include "policy_rig.h"

struct decision {
    const char *what;
    uint8_t listener;
    const char *source, *method, *called, *host, *calling;
    int user;
    enum policy_action action;
    uint16_t code;
    int route;
    enum policy_party source_kind;
    int source_peer;
};

#define NO_ONE POLICY_NOBODY, 0
#define FROM_USERS POLICY_USERS, 0
#define FROM(p) POLICY_PEER, p

static const struct decision decisions[] = {
    {"a stranger where no users are", INSIDE, "172.16.0.1", "INVITE", "1001", "h", "x", -1,
     POLICY_REFUSE, 403, -1, NO_ONE},
    {"a stranger of the other family", INSIDE, "192.0.2.1", "INVITE", "1001", "h", "x", -1,
     POLICY_REFUSE, 403, -1, NO_ONE},
    {"a stranger at the users' listener", OUTSIDE, "172.16.0.1", "INVITE", "1001", "h", "x", -1,
     POLICY_CHALLENGE, 407, -1, NO_ONE},
    {"a stranger who asks for a number that nobody has", OUTSIDE, "172.16.0.1", "INVITE", "zzz",
     "h", "x", -1, POLICY_CHALLENGE, 407, -1, NO_ONE},
    {"a stranger who asks for a refused number", OUTSIDE, "172.16.0.1", "INVITE", "0900", "h", "x",
     -1, POLICY_CHALLENGE, 407, -1, NO_ONE},
    {"a stranger who registers", OUTSIDE, "172.16.0.1", "REGISTER", "", "h", "x", -1,
     POLICY_CHALLENGE, 401, -1, NO_ONE},
    {"a proven user", OUTSIDE, "172.16.0.1", "INVITE", "1002", "h", "1001", 0, POLICY_ROUTE, 0,
     R_INTERNAL, FROM_USERS},
    {"the other proven user", OUTSIDE, "172.16.0.1", "MESSAGE", "1002", "h", "1001", 1,
     POLICY_ROUTE, 0, R_INTERNAL, FROM_USERS},
    {"an account that does not exist", OUTSIDE, "172.16.0.1", "INVITE", "1002", "h", "1001", 2,
     POLICY_CHALLENGE, 407, -1, NO_ONE},
    {"a proven user at a listener that is not theirs", INSIDE, "172.16.0.1", "INVITE", "1002", "h",
     "1001", 0, POLICY_REFUSE, 403, -1, NO_ONE},
    {"a user's call outside", OUTSIDE, "172.16.0.1", "INVITE", "+49", "h", "1001", 0, POLICY_ROUTE,
     0, R_OUTBOUND, FROM_USERS},
    {"a user's call that no route takes", OUTSIDE, "172.16.0.1", "INVITE", "2001", "h", "1001", 0,
     POLICY_REFUSE, 404, -1, FROM_USERS},
    {"a pattern of four is not one of five", OUTSIDE, "172.16.0.1", "INVITE", "10012", "h", "1001",
     0, POLICY_REFUSE, 404, -1, FROM_USERS},
    {"a pattern of four is not one of three", OUTSIDE, "172.16.0.1", "INVITE", "100", "h", "1001",
     0, POLICY_REFUSE, 404, -1, FROM_USERS},
    {"nobody called", OUTSIDE, "172.16.0.1", "INVITE", "", "h", "1001", 0, POLICY_REFUSE, 404, -1,
     FROM_USERS},
    {"a refused number", OUTSIDE, "172.16.0.1", "INVITE", "0900123", "h", "1001", 0, POLICY_REFUSE,
     603, R_BLOCKED, FROM_USERS},
    {"a refused number from a peer", INSIDE, "10.9.9.9", "INVITE", "0900", "h", "x", -1,
     POLICY_REFUSE, 603, R_BLOCKED, FROM(PBX)},
    {"a peer by its network", INSIDE, "10.200.0.1", "INVITE", "+1", "h", "x", -1, POLICY_ROUTE, 0,
     R_OUTBOUND, FROM(PBX)},
    {"a peer by its IPv6 network", INSIDE, "2001:db8:1::1", "INVITE", "+1", "h", "x", -1,
     POLICY_ROUTE, 0, R_OUTBOUND, FROM(PBX)},
    {"a peer by the longer prefix", INSIDE, "10.1.0.1", "INVITE", "+1", "h", "x", -1, POLICY_REFUSE,
     404, -1, FROM(OFFICE)},
    {"a peer by the longest prefix", INSIDE, "10.1.2.3", "INVITE", "+1", "h", "x", -1,
     POLICY_REFUSE, 404, -1, FROM(OFFICE)},
    {"a peer by the prefix of no bits", INSIDE, "2001:db9::1", "INVITE", "+1", "h", "x", -1,
     POLICY_REFUSE, 404, -1, FROM(OFFICE)},
    {"a peer's source on another listener", OUTSIDE, "10.1.0.1", "INVITE", "+1", "h", "x", -1,
     POLICY_CHALLENGE, 407, -1, NO_ONE},
    {"a peer at the users' listener", OUTSIDE, "192.0.2.77", "INVITE", "x", "h", "x", -1,
     POLICY_ROUTE, 0, R_INBOUND, FROM(CARRIER)},
    {"a peer stays a peer with credentials", OUTSIDE, "192.0.2.77", "INVITE", "x", "h", "x", 0,
     POLICY_ROUTE, 0, R_INBOUND, FROM(CARRIER)},
    {"a domain whose case differs", INSIDE, "10.1.0.1", "INVITE", "9", "A.eXample.test", "x", -1,
     POLICY_ROUTE, 0, R_DOMAIN, FROM(OFFICE)},
    {"a domain that does not fit", INSIDE, "10.1.0.1", "INVITE", "9", "example.test", "x", -1,
     POLICY_REFUSE, 404, -1, FROM(OFFICE)},
    {"a method", INSIDE, "10.1.0.1", "MESSAGE", "9", "h", "x", -1, POLICY_ROUTE, 0, R_METHOD,
     FROM(OFFICE)},
    {"a method in the wrong case", INSIDE, "10.1.0.1", "message", "9", "h", "x", -1, POLICY_REFUSE,
     404, -1, FROM(OFFICE)},
    {"a caller", INSIDE, "10.1.0.1", "INVITE", "5", "h", "21", -1, POLICY_ROUTE, 0, R_CALLING,
     FROM(OFFICE)},
    {"another caller", INSIDE, "10.1.0.1", "INVITE", "5", "h", "12", -1, POLICY_REFUSE, 404, -1,
     FROM(OFFICE)},
    {"a listener that there is not", 200, "10.1.0.1", "INVITE", "+1", "h", "x", -1, POLICY_REFUSE,
     403, -1, NO_ONE},
    {"the last listener number", 255, "10.1.0.1", "INVITE", "+1", "h", "x", -1, POLICY_REFUSE, 403,
     -1, NO_ONE},
};

static void each_request_gets_its_verdict(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    for (size_t i = 0; i < COUNT_OF(decisions); i++) {
        const struct decision *d = &decisions[i];
        struct policy_request rq = rig_call(d->listener, d->source, d->called);
        struct policy_verdict v;

        rq.method = sl_str(d->method);
        rq.called_host = sl_str(d->host);
        rq.calling = sl_str(d->calling);
        rq.auth_user = d->user;
        policy_decide(r.policy, &rq, 1000, &v);
        if (v.action != d->action || v.sip_code != d->code || v.route != d->route ||
            v.source.kind != d->source_kind || v.source.peer != d->source_peer) {
            fail_msg("%s: action %d code %d route %d source %d/%d", d->what, v.action, v.sip_code,
                     v.route, v.source.kind, v.source.peer);
        }
        assert_int_equal(v.user, d->source_kind == POLICY_USERS ? d->user : -1);
        assert_int_equal(v.counted, d->action == POLICY_ROUTE);
        assert_true((v.n_to != 0) == (d->action == POLICY_ROUTE));
        assert_non_null(v.reason);
        policy_release(r.policy, &v);
    }
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    rig_down(&r);
}

static void the_verdict_carries_all_targets_in_order(void **state)
{
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.2.0.1", "+49");

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.n_to, 2);
    assert_true(v.to[0].kind == POLICY_PEER && v.to[0].peer == CARRIER);
    assert_true(v.to[1].kind == POLICY_PEER && v.to[1].peer == PBX);
    rig_down(&r);
}

static void a_refusal_says_the_words_of_its_route(void **state)
{
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.2.0.1", "0900");

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    policy_decide(r.policy, &rq, 0, &v);
    assert_string_equal(v.reason, "Not for us");
    r.routes[R_BLOCKED].refuse_code = 0; /* not set: the default */
    r.routes[R_BLOCKED].refuse_reason = NULL;
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.sip_code, 403);
    assert_string_equal(v.reason, "Refused by a route");
    rig_down(&r);
}

static void without_users_a_stranger_is_refused_everywhere(void **state)
{
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(OUTSIDE, "172.16.0.1", "1001");

    (void)state;
    rig_up(&r);
    r.def.users = (struct policy_users){0};
    rig_compile(&r);
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.action, POLICY_REFUSE);
    assert_int_equal(v.sip_code, 403);
    rq.auth_user = 0;
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.sip_code, 403);
    rig_down(&r);
}

static void an_empty_policy_refuses_everything(void **state)
{
    struct policy_def def = {0};
    struct policy *p = NULL;
    struct policy_verdict v;
    struct policy_request rq = rig_call(0, "10.0.0.1", "1001");

    (void)state;
    assert_int_equal(policy_compile(&p, &def, NULL), 0);
    policy_decide(p, &rq, 0, &v);
    assert_int_equal(v.sip_code, 403);
    assert_int_equal(policy_peer_by_source(p, 0, &rq.source), -1);
    assert_int_equal(policy_peer_by_name(p, SL("x")), -1);
    assert_int_equal(policy_user_by_name(p, SL("x")), -1);
    assert_ptr_equal(policy_def(p), &def);
    policy_free(&p);
    policy_free(&p); /* NULL by now */
}

static void a_host_longer_than_any_name_fits_no_domain_pattern(void **state)
{
    static char host[300];
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.1.0.1", "9");

    (void)state;
    rig_up(&r);
    r.routes[R_DOMAIN].domain = "*";
    rig_compile(&r);
    memset(host, 'a', sizeof(host));
    rq.called_host = sl_make(host, 256);
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.route, R_DOMAIN);
    rq.called_host = sl_make(host, 257);
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.sip_code, 404);
    rq.called_host = SL_NULL;
    policy_decide(r.policy, &rq, 0, &v);
    assert_int_equal(v.route, R_DOMAIN); /* * fits nothing, too */
    rig_down(&r);
}

static void names_are_found_by_their_exact_bytes(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    assert_int_equal(policy_peer_by_name(r.policy, SL("pbx")), PBX);
    assert_int_equal(policy_peer_by_name(r.policy, SL("office")), OFFICE);
    assert_int_equal(policy_peer_by_name(r.policy, SL("Office")), -1);
    assert_int_equal(policy_peer_by_name(r.policy, SL("")), -1);
    assert_int_equal(policy_user_by_name(r.policy, SL("1002")), 1);
    assert_int_equal(policy_user_by_name(r.policy, SL("1002\0")), -1);
    assert_int_equal(policy_user_by_name(r.policy, SL("100")), -1);
    rig_down(&r);
}

/* The table against the plain definition, for many prefixes and addresses. */
static void the_longest_prefix_wins_as_a_plain_search_says(void **state)
{
    enum { N = 300 };
    static struct prefix sources[N];
    static struct policy_peer peers[N];
    static char names[N][8];
    struct policy_def def = {.peers = peers, .n_peers = N};
    struct policy *p = NULL;
    uint32_t x = 12345;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        sources[i] = (struct prefix){.bits = (uint8_t)(x >> 16) % 33};
        sources[i].addr.u.in4.sin_family = AF_INET;
        sources[i].addr.u.in4.sin_addr.s_addr =
            htonl(sources[i].bits == 0
                      ? 0
                      : (0x0A000000u | (x & 0x030303u)) & (~0u << (32 - sources[i].bits)));
        snprintf(names[i], sizeof(names[i]), "p%zu", i);
        peers[i] = (struct policy_peer){
            .name = names[i], .listener = i % 2, .sources = &sources[i], .n_sources = 1};
    }
    assert_int_equal(policy_compile(&p, &def, NULL), 0);
    for (int round = 0; round < 5000; round++) {
        struct addr a = {0};
        int want = -1;

        x = x * 1664525u + 1013904223u;
        a.u.in4.sin_family = AF_INET;
        a.u.in4.sin_addr.s_addr = htonl((round % 16 ? 0x0A000000u : 0) | (x & 0x030303u));
        for (int i = 0; i < N; i++) {
            if (peers[i].listener == (x >> 31) && prefix_has(&sources[i], &a) &&
                (want < 0 || sources[i].bits > sources[want].bits)) {
                want = i;
            }
        }
        assert_int_equal(policy_peer_by_source(p, (uint8_t)(x >> 31), &a), want);
    }
    policy_free(&p);
}

static void compiling_survives_every_failing_allocation(void **state)
{
    struct rig r;
    int64_t live;
    uint64_t n = 0;
    bool is_hit;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    policy_free(&r.policy); /* the book has its table now */
    live = mem_live();
    do {
        int err;

        mem_fault_arm(++n);
        err = policy_compile(&r.policy, &r.def, n % 2 ? r.book : NULL);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(err, is_hit ? ENOMEM : 0);
        assert_true(is_hit == (r.policy == NULL));
        policy_free(&r.policy);
        assert_int_equal(mem_live(), live);
    } while (is_hit || n < 16);
    rig_down(&r);
}

static void a_name_that_no_counter_can_hold_is_refused(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    r.peers[0].name = "12345678901234567890123456789012345678901234567890123456789012345";
    assert_int_equal(policy_compile(&r.policy, &r.def, r.book), EMSGSIZE);
    assert_null(r.policy);
    r.peers[0].name++; /* 64 bytes */
    rig_compile(&r);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_its_verdict),
        cmocka_unit_test(the_verdict_carries_all_targets_in_order),
        cmocka_unit_test(a_refusal_says_the_words_of_its_route),
        cmocka_unit_test(without_users_a_stranger_is_refused_everywhere),
        cmocka_unit_test(an_empty_policy_refuses_everything),
        cmocka_unit_test(a_host_longer_than_any_name_fits_no_domain_pattern),
        cmocka_unit_test(names_are_found_by_their_exact_bytes),
        cmocka_unit_test(the_longest_prefix_wins_as_a_plain_search_says),
        cmocka_unit_test(compiling_survives_every_failing_allocation),
        cmocka_unit_test(a_name_that_no_counter_can_hold_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
