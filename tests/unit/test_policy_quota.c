/* test_policy_quota.c - limits of users, sources and destinations, requests, bursts, warnings and
 * configured answers: each at its edge on explicit time, and across threads. */
#include "policy_rig.h"

#include <pthread.h>

#define MINUTE 60000

static struct policy_request user_call(int user, const char *called)
{
    struct policy_request rq = rig_call(OUTSIDE, "172.16.0.1", called);

    rq.auth_user = user;
    return rq;
}

static bool ask(const struct rig *r, struct policy_request rq, int64_t now_ms,
                struct policy_verdict *v)
{
    policy_decide(r->policy, &rq, now_ms, v);
    assert_int_equal(v->told.is_over, v->action != POLICY_ROUTE);
    assert_int_equal(v->counted, v->action == POLICY_ROUTE);
    return v->action == POLICY_ROUTE;
}

static void assert_over(const struct rig *r, const struct policy_verdict *v, const char *name,
                        uint32_t use, uint32_t max)
{
    char text[160];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    policy_put_limit(&b, r->policy, &v->told.over);
    text[b.n] = '\0';
    assert_true(v->told.is_over);
    assert_string_equal(text, name);
    assert_int_equal(v->told.over.use, use);
    assert_int_equal(v->told.over.max, max);
}

/* Rows of the walk, as "limit name use/max" lines. */
struct seen {
    const struct policy *p;
    char text[2048];
    struct buf b;
};

static bool on_row(const struct policy_limit_row *row, void *arg)
{
    struct seen *s = arg;

    policy_put_limit(&s->b, s->p, &row->hit);
    buf_putf(&s->b, " %s %u/%u\n", row->name, row->hit.use, row->hit.max);
    return true;
}

static void assert_rows(const struct rig *r, int scope, int64_t now_ms, const char *want)
{
    struct seen s = {.p = r->policy};

    buf_init_fixed(&s.b, s.text, sizeof(s.text) - 1);
    policy_limits_walk(r->policy, scope, 0, now_ms, on_row, &s);
    s.text[s.b.n] = '\0';
    assert_string_equal(s.text, want);
}

/* --- users --- */

static void each_user_has_calls_of_his_own(void **state)
{
    struct rig r;
    struct policy_verdict a, b, c;

    (void)state;
    rig_up(&r);
    r.def.users.limit = (struct policy_limit){.calls = 1, .calls_per_second = 100};
    rig_compile(&r);
    assert_true(ask(&r, user_call(0, "1002"), 1000, &a));
    assert_rows(&r, POLICY_OF_USER, 1000,
                "users.limits.calls 1001 1/1\nusers.limits.calls_per_second 1001 1/100\n");
    assert_false(ask(&r, user_call(0, "1002"), 1000, &c));
    assert_over(&r, &c, "users.limits.calls", 1, 1);
    assert_string_equal(c.reason, "User has too many calls");
    assert_true(ask(&r, user_call(1, "1001"), 1000, &b));
    policy_release(r.policy, &a);
    policy_release(r.policy, &a);
    assert_true(ask(&r, user_call(0, "1002"), 1000, &a));
    assert_false(ask(&r, user_call(1, "1001"), 1000, &c));
    policy_release(r.policy, &a);
    policy_release(r.policy, &b);
    assert_rows(&r, POLICY_OF_USER, 5000, "");
    rig_down(&r);
}

static void a_burst_and_a_pace_are_two_numbers(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.def.users.limit = (struct policy_limit){.calls_per_second = 2, .call_burst = 5};
    rig_compile(&r);
    for (int i = 0; i < 5; i++) {
        assert_true(ask(&r, user_call(0, "1002"), 1000, &v));
    }
    assert_false(ask(&r, user_call(0, "1002"), 1499, &v));
    assert_over(&r, &v, "users.limits.calls_per_second", 5, 5);
    assert_int_equal(v.retry_after_s, 1);
    assert_true(ask(&r, user_call(0, "1002"), 1500, &v));
    assert_false(ask(&r, user_call(0, "1002"), 1999, &v));
    assert_true(ask(&r, user_call(0, "1002"), 2000, &v));
    rig_down(&r);
}

static void every_request_counts_whatever_becomes_of_it(void **state)
{
    const struct policy_ref users = {.kind = POLICY_USERS};
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = user_call(0, "nowhere");

    (void)state;
    rig_up(&r);
    r.def.users.limit = (struct policy_limit){.requests_per_second = 3};
    r.def.limit.requests_per_second = 4;
    rig_compile(&r);
    policy_decide(r.policy, &rq, 1000, &v);
    assert_int_equal(v.sip_code, 404);
    rq.new_call = false;
    rq.called = SL("1002");
    policy_decide(r.policy, &rq, 1000, &v);
    assert_int_equal(v.action, POLICY_ROUTE);
    assert_true(policy_take_request(r.policy, &users, 0, 1000, &v));
    assert_false(policy_take_request(r.policy, &users, 0, 1000, &v));
    assert_over(&r, &v, "users.limits.requests_per_second", 3, 3);
    assert_true(policy_take_request(r.policy, &users, 1, 1000, &v));
    assert_false(policy_take_request(r.policy, &users, 1, 1000, &v));
    assert_over(&r, &v, "limits.requests_per_second", 4, 4);
    assert_int_equal(v.sip_code, 503);
    rig_down(&r);
}

static void one_device_more_is_refused_and_fewer_never_are(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.def.users.limit = (struct policy_limit){
        .registrations = 2, .warn_percent = 100, .answer = {.status = 403, .reason = "Two it is"}};
    rig_compile(&r);
    assert_true(policy_take_registrations(r.policy, 0, 0, 1, &v));
    assert_int_equal(v.told.n_near, 0);
    assert_true(policy_take_registrations(r.policy, 0, 1, 2, &v));
    assert_int_equal(v.told.n_near, 1);
    assert_false(policy_take_registrations(r.policy, 0, 2, 3, &v));
    assert_over(&r, &v, "users.limits.registrations", 2, 2);
    assert_int_equal(v.sip_code, 403);
    assert_string_equal(v.reason, "Two it is");
    assert_true(policy_take_registrations(r.policy, 0, 5, 4, &v)); /* from before the limit */
    policy_note_registrations(r.policy, 0, 1);
    assert_rows(&r, POLICY_OF_USER, 0, "users.limits.registrations 1001 1/2\n");
    assert_true(policy_take_registrations(r.policy, 0, 1, 2, &v));
    assert_int_equal(v.told.n_near, 1); /* another episode */
    rig_down(&r);
}

/* --- warnings, answers --- */

static void a_limit_warns_once_until_the_use_has_gone_down(void **state)
{
    struct rig r;
    struct policy_verdict v[10], once;

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit = (struct policy_limit){.calls = 10, .warn_percent = 75};
    rig_compile(&r);
    for (int i = 0; i < 10; i++) {
        assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v[i]));
        assert_int_equal(v[i].told.n_near, i == 7 ? 1 : 0); /* 75 % of 10: the eighth */
    }
    assert_int_equal(v[7].told.near[0].kind, POLICY_CALLS);
    assert_int_equal(v[7].told.near[0].use, 8);
    policy_release(r.policy, &v[0]);
    policy_release(r.policy, &v[1]);
    policy_release(r.policy, &v[2]); /* seven: just below is the same episode */
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &once));
    assert_int_equal(once.told.n_near, 0);
    policy_release(r.policy, &once);
    policy_release(r.policy, &v[3]); /* six */
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v[0]));
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v[1]));
    assert_int_equal(v[0].told.n_near, 0);
    assert_int_equal(v[1].told.n_near, 1);
    rig_down(&r);
}

static void a_refusal_is_answered_as_the_limit_says(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit = (struct policy_limit){
        .calls = 1, .answer = {.status = 486, .retry_after_s = 17, .reason = "Trunk is full"}};
    r.def.limit = (struct policy_limit){.calls = 1, .answer = {.status = 500}};
    rig_compile(&r);
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v));
    assert_false(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v));
    assert_int_equal(v.sip_code, 486);
    assert_int_equal(v.retry_after_s, 17);
    assert_string_equal(v.reason, "Trunk is full");
    assert_false(ask(&r, rig_call(OUTSIDE, "192.0.2.1", "x"), 1000, &v));
    assert_over(&r, &v, "limits.calls", 1, 1);
    assert_int_equal(v.sip_code, 500);
    assert_int_equal(v.retry_after_s, 5);
    rig_down(&r);
}

/* --- unanswered calls of a source --- */

static void unanswered_calls_count_by_address_until_somebody_answers(void **state)
{
    struct rig r;
    struct policy_verdict a, b, c;

    (void)state;
    rig_up(&r);
    r.def.source_limit.early = 2;
    rig_compile(&r);
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &a));
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &b));
    assert_false(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &c));
    assert_over(&r, &c, "limits.sources.early_calls", 2, 2);
    assert_int_equal(policy_calls_now(r.policy, PBX), 2);
    assert_int_equal(policy_calls_now(r.policy, -1), 2);
    assert_rows(&r, POLICY_OF_SOURCE, 1000, "limits.sources.early_calls 10.0.0.1 2/2\n");
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.2", "+49"), 1000, &c)); /* his neighbour */
    policy_release(r.policy, &c);
    policy_answered(r.policy, &a, 2000);
    policy_answered(r.policy, &a, 2000);
    assert_rows(&r, POLICY_OF_SOURCE, 2000, "limits.sources.early_calls 10.0.0.1 1/2\n");
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 2000, &c));
    policy_release(r.policy, &a); /* the answered one gives back nothing more */
    assert_false(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 2000, &a));
    policy_release(r.policy, &b);
    policy_release(r.policy, &c);
    assert_rows(&r, POLICY_OF_SOURCE, 2000, "");
    rig_down(&r);
}

static void addresses_of_one_ipv6_network_are_one_source(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.def.source_limit.early = 1;
    rig_compile(&r);
    assert_true(ask(&r, rig_call(INSIDE, "[2001:db8::1]", "+49"), 1000, &v));
    assert_false(ask(&r, rig_call(INSIDE, "[2001:db8::2]", "+49"), 1000, &v));
    assert_true(ask(&r, rig_call(INSIDE, "[2001:db8:0:1::2]", "+49"), 1000, &v));
    rig_down(&r);
}

static void a_peer_may_have_its_own_number_for_each_address(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.def.source_limit.early = 1;
    r.peers[PBX].limit.early = 2;
    rig_compile(&r);
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v));
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v));
    assert_false(ask(&r, rig_call(INSIDE, "10.0.0.1", "+49"), 1000, &v));
    assert_over(&r, &v, "peers.pbx.limits.early_calls", 2, 2);
    rig_down(&r);
}

/* --- destinations --- */

static const char *const dear[] = {"+900", "+882"};

static struct policy_destination premium(void)
{
    return (struct policy_destination){
        .name = "premium",
        .called_by = {.by = POLICY_BY_PREFIX, .texts = {(const char **)(uintptr_t)dear, 2}},
        .window_s = 3600};
}

static void rig_premium(struct rig *r, struct policy_destination *d)
{
    rig_up(r);
    r->def.destinations = d;
    r->def.n_destinations = 1;
    rig_compile(r);
}

static void calls_to_a_destination_have_a_number_for_each_window(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict v;
    struct rig r;

    (void)state;
    d.calls = 2;
    rig_premium(&r, &d);
    for (int i = 0; i < 2; i++) {
        assert_true(ask(&r, user_call(0, "+90012"), 1000, &v));
        policy_release(r.policy, &v); /* it counts although it is over */
    }
    assert_false(ask(&r, user_call(0, "+88212"), 1000, &v));
    assert_over(&r, &v, "limits.destinations.premium.calls", 2, 2);
    assert_string_equal(v.reason, "Too many calls to this destination");
    assert_int_equal(v.retry_after_s, 3599);                /* the rest of the window */
    assert_true(ask(&r, user_call(0, "+49"), 1000, &v));    /* another destination */
    assert_true(ask(&r, user_call(1, "+90012"), 1000, &v)); /* another user */
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+900"), 1000, &v));
    assert_false(ask(&r, user_call(0, "+90012"), 3599999, &v));
    assert_true(ask(&r, user_call(0, "+90012"), 3600000, &v));
    rig_down(&r);
}

static void all_parties_may_share_one_count(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict v;
    struct rig r;

    (void)state;
    d.calls = 2;
    d.together = true;
    rig_premium(&r, &d);
    assert_true(ask(&r, user_call(0, "+90012"), 1000, &v));
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+900"), 1000, &v));
    assert_false(ask(&r, user_call(1, "+90012"), 1000, &v));
    assert_rows(&r, POLICY_OF_DESTINATION, 1000, "limits.destinations.premium.calls premium 2/2\n");
    rig_down(&r);
}

static void a_rule_counts_only_for_those_it_names(void **state)
{
    const struct policy_ref pbx = {.kind = POLICY_PEER, .peer = PBX};
    struct policy_destination d = premium();
    struct policy_verdict v;
    struct rig r;

    (void)state;
    d.calls = 1;
    d.from = (struct policy_ref *)(uintptr_t)&pbx;
    d.n_from = 1;
    rig_premium(&r, &d);
    assert_true(ask(&r, rig_call(INSIDE, "10.0.0.1", "+900"), 1000, &v));
    assert_false(ask(&r, rig_call(INSIDE, "10.0.0.1", "+900"), 1000, &v));
    assert_true(ask(&r, user_call(0, "+900"), 1000, &v));
    assert_true(ask(&r, user_call(0, "+900"), 1000, &v));
    rig_down(&r);
}

static void minutes_count_calls_that_ended_and_those_under_way(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict a, b, v;
    struct rig r;

    (void)state;
    d.minutes = 10;
    d.warn_percent = 80;
    rig_premium(&r, &d);
    assert_true(ask(&r, user_call(0, "+9001"), 0, &a));
    assert_true(ask(&r, user_call(0, "+9002"), 0, &b));
    policy_answered(r.policy, &a, MINUTE);
    policy_answered(r.policy, &b, MINUTE);
    policy_ended(r.policy, &a, 5 * MINUTE); /* four minutes, and four under way */
    assert_int_equal(a.told.n_near, 1);
    assert_int_equal(a.told.near[0].kind, POLICY_DEST_MINUTES);
    assert_int_equal(a.told.near[0].use, 8);
    assert_true(ask(&r, user_call(0, "+9003"), 7 * MINUTE - 1, &v)); /* rings, costs nothing */
    policy_release(r.policy, &v);
    assert_false(ask(&r, user_call(0, "+9003"), 7 * MINUTE, &v));
    assert_over(&r, &v, "limits.destinations.premium.minutes", 10, 10);
    policy_ended(r.policy, &b, 7 * MINUTE);
    policy_ended(r.policy, &b, 9 * MINUTE);
    assert_false(ask(&r, user_call(0, "+9003"), 59 * MINUTE, &v));
    assert_true(ask(&r, user_call(0, "+9003"), 60 * MINUTE, &v));
    rig_down(&r);
}

static void different_numbers_are_told_from_repeated_ones(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict v;
    struct rig r;

    (void)state;
    d.numbers = 2;
    rig_premium(&r, &d);
    for (int i = 0; i < 5; i++) {
        assert_true(ask(&r, user_call(0, i % 2 == 0 ? "+9001" : "+9002"), 1000, &v));
    }
    assert_false(ask(&r, user_call(0, "+9003"), 1000, &v));
    assert_over(&r, &v, "limits.destinations.premium.numbers", 2, 2);
    assert_true(ask(&r, user_call(0, "+9001"), 1000, &v));
    assert_true(ask(&r, user_call(0, "+9003"), 3600000 * 2, &v));
    rig_down(&r);
}

static void calls_at_once_to_one_range_do_not_touch_the_next(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict a, b, v;
    struct rig r;

    (void)state;
    d.parallel = 2;
    d.range = 6;
    rig_premium(&r, &d);
    assert_true(ask(&r, user_call(0, "+9001234"), 1000, &a));
    assert_true(ask(&r, user_call(0, "+9001299"), 1000, &b));
    assert_false(ask(&r, user_call(0, "+9001200"), 1000, &v));
    assert_over(&r, &v, "limits.destinations.premium.parallel", 2, 2);
    assert_int_equal(v.retry_after_s, 5);
    assert_true(ask(&r, user_call(0, "+9001300"), 1000, &v));
    policy_release(r.policy, &v);
    policy_release(r.policy, &a);
    assert_rows(&r, POLICY_OF_DESTINATION, 1000 + 3600000,
                "limits.destinations.premium.parallel premium user:1001 +90012 1/2\n");
    assert_int_equal(policy_destination_calls(r.policy, 0), 1);
    assert_true(ask(&r, user_call(0, "+9001200"), 1000, &v));
    rig_down(&r);
}

/* The number of range n: nine symbols. */
static struct policy_request range_call(int user, unsigned n, char text[16])
{
    (void)snprintf(text, 16, "+900%05u1", n);
    return user_call(user, text);
}

/* More ranges than there are entries, all within the window: the table is as empty as before. */
static void calls_at_once_leave_nothing_behind(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict v;
    struct rig r;
    char text[16];

    (void)state;
    d.parallel = 10;
    d.range = 9;
    rig_premium(&r, &d);
    for (unsigned i = 0; i < 100000; i++) {
        assert_true(ask(&r, range_call(0, i, text), 1000, &v));
        policy_answered(r.policy, &v, 1000);
        policy_ended(r.policy, &v, 2000);
    }
    assert_true(ask(&r, range_call(1, 0, text), 2000, &v));
    policy_release(r.policy, &v);
    assert_rows(&r, POLICY_OF_DESTINATION, 2000, "");
    rig_down(&r);
}

static void one_party_fills_its_share_and_no_more(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict v;
    unsigned good = 0;
    struct rig r;
    char text[16];

    (void)state;
    d.calls = 100;
    d.range = 9;
    rig_premium(&r, &d);
    for (unsigned i = 0; i < 100000; i++) {
        if (ask(&r, range_call(0, i, text), 1000, &v)) {
            policy_release(r.policy, &v);
            good++;
        } else {
            assert_over(&r, &v, "limits.destinations.premium.calls", 8192, 8192);
            assert_string_equal(v.reason, "Too many ranges in this destination");
        }
    }
    assert_int_equal(good, 8192);
    assert_true(ask(&r, range_call(0, 8191, text), 1000, &v)); /* one that he has */
    policy_release(r.policy, &v);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(ask(&r, range_call(1, i, text), 1000, &v)); /* another user */
        policy_release(r.policy, &v);
    }
    assert_true(ask(&r, range_call(0, 99999, text), 3600000, &v)); /* the next window */
    rig_down(&r);
}

static void calls_at_once_have_the_same_share(void **state)
{
    enum { N = 8192 };
    struct policy_verdict *held = mem_zalloc(N * sizeof(*held)), v;
    struct policy_destination d = premium();
    struct rig r;
    char text[16];

    (void)state;
    assert_non_null(held);
    d.parallel = 10;
    d.range = 9;
    rig_premium(&r, &d);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            assert_true(ask(&r, range_call(0, i, text), 1000, &held[i]));
        }
        assert_false(ask(&r, range_call(0, N, text), 1000, &v));
        assert_over(&r, &v, "limits.destinations.premium.parallel", 8192, 8192);
        assert_true(ask(&r, range_call(0, 1, text), 1000, &v)); /* one that he has */
        policy_release(r.policy, &v);
        assert_true(ask(&r, range_call(1, N, text), 1000, &v));
        policy_release(r.policy, &v);
        for (unsigned i = 0; i < N; i++) {
            policy_release(r.policy, &held[i]);
        }
    }
    rig_down(&r);
    mem_free(held);
}

static void what_the_node_refuses_is_not_counted_anywhere(void **state)
{
    struct policy_destination d = premium();
    struct policy_verdict a, v;
    struct rig r;

    (void)state;
    d.calls = 2;
    d.parallel = 9;
    rig_up(&r);
    r.def.destinations = &d;
    r.def.n_destinations = 1;
    r.def.source_limit.early = 9;
    r.def.users.limit.calls = 9;
    r.def.limit.calls = 1;
    rig_compile(&r);
    assert_true(ask(&r, user_call(0, "+900"), 1000, &a));
    for (int i = 0; i < 5; i++) {
        assert_false(ask(&r, user_call(0, "+900"), 1000, &v));
        assert_over(&r, &v, "limits.calls", 1, 1);
    }
    assert_rows(&r, POLICY_OF_DESTINATION, 1000,
                "limits.destinations.premium.calls premium user:1001 1/2\n"
                "limits.destinations.premium.parallel premium user:1001 1/9\n");
    assert_rows(&r, POLICY_OF_SOURCE, 1000, "limits.sources.early_calls 172.16.0.1 1/9\n");
    assert_rows(&r, POLICY_OF_USER, 1000, "users.limits.calls 1001 1/9\n");
    policy_release(r.policy, &a);
    assert_true(ask(&r, user_call(0, "+900"), 1000, &a));
    assert_false(ask(&r, user_call(0, "+900"), 1000, &v));
    assert_over(&r, &v, "limits.destinations.premium.calls", 2, 2);
    policy_release(r.policy, &a);
    rig_down(&r);
}

static void counts_of_destinations_survive_a_new_policy(void **state)
{
    struct policy_destination d = premium(), e;
    struct policy_verdict a, v;
    struct rig old, now;
    struct policy_book *spare;

    (void)state;
    d.calls = 2;
    e = d;
    rig_premium(&old, &d);
    rig_up(&now);
    spare = now.book;
    now.book = old.book;
    now.def.destinations = &e;
    now.def.n_destinations = 1;
    rig_compile(&now);
    assert_true(ask(&old, user_call(0, "+900"), 1000, &a));
    assert_true(ask(&now, user_call(0, "+900"), 1000, &v));
    assert_false(ask(&now, user_call(0, "+900"), 1000, &v));
    policy_release(old.policy, &a);
    policy_free(&old.policy);
    assert_false(ask(&now, user_call(0, "+900"), 1000, &v));
    assert_int_equal(policy_destination_calls(now.policy, 0), 1);
    policy_free(&now.policy);
    policy_book_free(&old.book);
    policy_book_free(&spare);
}

/* --- pages --- */

static bool one_row(const struct policy_limit_row *row, void *arg)
{
    *(uint64_t *)arg = row->at;
    return false;
}

struct all_rows {
    uint64_t last;
    unsigned n, named;
};

static bool any_row(const struct policy_limit_row *row, void *arg)
{
    struct all_rows *all = arg;

    all->last = row->at;
    all->n++;
    all->named += strncmp(row->name, "premium user:u", 14) == 0;
    return all->n % 100 != 0; /* a page */
}

static void rig_many(struct rig *r, struct policy_destination *d, char (*names)[12], unsigned n)
{
    static struct policy_account accounts[100000];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "u%u", i);
        accounts[i].name = names[i];
    }
    rig_up(r);
    r->def.users.accounts = accounts;
    r->def.users.n_accounts = n;
    r->def.destinations = d;
    r->def.n_destinations = 1;
    rig_compile(r);
}

/* Showing and copying what many users have in the table takes about as long as counting it. */
static void many_users_are_shown_and_copied(void **state)
{
    enum { ALL = 100000, CALLING = 20000 };
    char(*names)[12] = mem_zalloc((size_t)ALL * sizeof(*names));
    struct policy_destination d = premium(), e;
    struct all_rows all = {0};
    struct policy_verdict v;
    struct rig r, copy;

    (void)state;
    assert_non_null(names);
    d.calls = 2;
    e = d;
    rig_many(&r, &d, names, ALL);
    rig_many(&copy, &e, names, ALL);
    for (int i = 0; i < CALLING; i++) {
        assert_true(ask(&r, user_call(ALL - 1 - i, "+9001"), 1000, &v));
        policy_release(r.policy, &v);
    }
    for (unsigned n = 1; n != all.n;) {
        n = all.n;
        policy_limits_walk(r.policy, POLICY_OF_DESTINATION, all.last, 1000, any_row, &all);
    }
    policy_copy_counts(copy.policy, r.policy);
    assert_int_equal(all.named, CALLING);
    assert_true(ask(&copy, user_call(ALL - 1, "+9001"), 1000, &v));
    assert_false(ask(&copy, user_call(ALL - 1, "+9001"), 1000, &v)); /* the first was copied */
    rig_down(&copy);
    rig_down(&r);
    mem_free(names);
}

static void the_walk_goes_on_where_it_stopped(void **state)
{
    struct rig r;
    uint64_t at = 0, before = 0;
    unsigned n = 0;

    (void)state;
    rig_up(&r);
    r.def.limit = (struct policy_limit){.calls = 1, .calls_per_second = 1};
    r.peers[PBX].limit = r.peers[OFFICE].limit = r.def.limit;
    rig_compile(&r);
    do {
        before = at;
        policy_limits_walk(r.policy, -1, before, 1000, one_row, &at);
        n += at != before ? 1 : 0;
    } while (at != before);
    assert_int_equal(n, 6);
    rig_down(&r);
}

/* --- threads --- */

enum { THREADS = 3, ROUNDS = 20000 };

static void *race(void *arg)
{
    const struct rig *r = arg;
    struct policy_verdict held[4] = {0};
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct policy_verdict *v = &held[i % 4];

        if (v->counted && i % 3 == 0) {
            policy_answered(r->policy, v, 1000);
        }
        policy_ended(r->policy, v, 2000);
        *v = (struct policy_verdict){.n_to = 0};
        (void)policy_decide(r->policy,
                            &(struct policy_request){.method = SL("INVITE"),
                                                     .listener = OUTSIDE,
                                                     .source = rig_addr("172.16.0.1"),
                                                     .called = SL("+9001"),
                                                     .auth_user = (int)(i % 2),
                                                     .new_call = true},
                            1000, v);
        wrong |= policy_destination_calls(r->policy, 0) > 5;
    }
    for (unsigned i = 0; i < 4; i++) {
        policy_ended(r->policy, &held[i], 2000);
    }
    return (void *)wrong;
}

/* More want in than there is room, everywhere at once: never more are in, and all come back. */
static void threads_share_every_limit_exactly(void **state)
{
    struct policy_destination d = premium();
    pthread_t threads[THREADS];
    struct rig r;

    (void)state;
    d.parallel = 5;
    d.together = true;
    d.minutes = 1000000;
    rig_up(&r);
    r.def.destinations = &d;
    r.def.n_destinations = 1;
    r.def.users.limit.calls = 4;
    r.def.source_limit.early = 6;
    r.def.limit.calls = 6;
    rig_compile(&r);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, &r), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    assert_int_equal(policy_destination_calls(r.policy, 0), 0);
    assert_rows(&r, POLICY_OF_SOURCE, 2000, "");
    assert_rows(&r, POLICY_OF_USER, 2000, "");
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_user_has_calls_of_his_own),
        cmocka_unit_test(a_burst_and_a_pace_are_two_numbers),
        cmocka_unit_test(every_request_counts_whatever_becomes_of_it),
        cmocka_unit_test(one_device_more_is_refused_and_fewer_never_are),
        cmocka_unit_test(a_limit_warns_once_until_the_use_has_gone_down),
        cmocka_unit_test(a_refusal_is_answered_as_the_limit_says),
        cmocka_unit_test(unanswered_calls_count_by_address_until_somebody_answers),
        cmocka_unit_test(addresses_of_one_ipv6_network_are_one_source),
        cmocka_unit_test(a_peer_may_have_its_own_number_for_each_address),
        cmocka_unit_test(calls_to_a_destination_have_a_number_for_each_window),
        cmocka_unit_test(all_parties_may_share_one_count),
        cmocka_unit_test(a_rule_counts_only_for_those_it_names),
        cmocka_unit_test(minutes_count_calls_that_ended_and_those_under_way),
        cmocka_unit_test(different_numbers_are_told_from_repeated_ones),
        cmocka_unit_test(calls_at_once_to_one_range_do_not_touch_the_next),
        cmocka_unit_test(calls_at_once_leave_nothing_behind),
        cmocka_unit_test(one_party_fills_its_share_and_no_more),
        cmocka_unit_test(calls_at_once_have_the_same_share),
        cmocka_unit_test(what_the_node_refuses_is_not_counted_anywhere),
        cmocka_unit_test(counts_of_destinations_survive_a_new_policy),
        cmocka_unit_test(many_users_are_shown_and_copied),
        cmocka_unit_test(the_walk_goes_on_where_it_stopped),
        cmocka_unit_test(threads_share_every_limit_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
