/* test_policy_limits.c - calls at once and calls per second, of the node and of peers, each at its
 * edge, on explicit time and across threads. */
#include "policy_rig.h"

#include <pthread.h>
#include <stdatomic.h>

/* True: routed (and counted). */
static bool ask(const struct rig *r, struct policy_request rq, int64_t now_ms,
                struct policy_verdict *v)
{
    policy_decide(r->policy, &rq, now_ms, v);
    assert_true(v->action == POLICY_ROUTE || v->sip_code == 503);
    assert_int_equal(v->counted, v->action == POLICY_ROUTE);
    assert_true(v->action == POLICY_ROUTE ? v->n_to != 0 : v->n_to == 0 && v->retry_after_s != 0);
    return v->action == POLICY_ROUTE;
}

#define PBX_CALL rig_call(INSIDE, "10.0.0.1", "+49")
#define CARRIER_CALL rig_call(OUTSIDE, "192.0.2.1", "x")

static void the_call_after_the_last_one_gets_503(void **state)
{
    struct rig r;
    struct policy_verdict v[4];

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls = 3;
    rig_compile(&r);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&r, PBX_CALL, 1000, &v[i]));
    }
    assert_false(ask(&r, PBX_CALL, 1000, &v[3]));
    assert_string_equal(v[3].reason, "Peer has too many calls");
    assert_int_equal(v[3].retry_after_s, 5);
    assert_int_equal(policy_calls_now(r.policy, PBX), 3);
    assert_int_equal(policy_calls_now(r.policy, -1), 3);
    assert_true(ask(&r, CARRIER_CALL, 1000, &v[3])); /* the others are not touched */
    policy_release(r.policy, &v[0]);
    policy_release(r.policy, &v[0]); /* once is once */
    assert_int_equal(policy_calls_now(r.policy, PBX), 2);
    assert_int_equal(policy_calls_now(r.policy, -1), 3);
    assert_true(ask(&r, PBX_CALL, 1000, &v[0]));
    assert_false(ask(&r, PBX_CALL, 1000, &v[0]));
    rig_down(&r);
}

static void the_node_counts_the_calls_of_all(void **state)
{
    struct rig r;
    struct policy_verdict v, first;
    struct policy_request user = rig_call(OUTSIDE, "172.16.0.1", "1002");

    (void)state;
    user.auth_user = 0;
    rig_up(&r);
    r.def.limit.calls = 3;
    rig_compile(&r);
    assert_true(ask(&r, PBX_CALL, 1000, &first));
    assert_true(ask(&r, CARRIER_CALL, 1000, &v));
    assert_true(ask(&r, user, 1000, &v));
    assert_false(ask(&r, PBX_CALL, 1000, &v));
    assert_string_equal(v.reason, "Too many calls");
    assert_false(ask(&r, user, 1000, &v));
    assert_int_equal(policy_calls_now(r.policy, PBX), 1); /* the refused one gave its place back */
    assert_int_equal(policy_calls_now(r.policy, -1), 3);
    policy_release(r.policy, &first);
    assert_true(ask(&r, user, 1000, &v));
    policy_release(r.policy, &v);
    assert_int_equal(policy_calls_now(r.policy, -1), 2);
    rig_down(&r);
}

static void what_is_no_new_call_takes_nothing(void **state)
{
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = PBX_CALL;

    (void)state;
    rq.new_call = false;
    rig_up(&r);
    r.def.limit = (struct policy_limit){.calls = 1, .calls_per_second = 1};
    rig_compile(&r);
    for (int i = 0; i < 3; i++) {
        policy_decide(r.policy, &rq, 1000, &v);
        assert_true(v.action == POLICY_ROUTE && !v.counted);
        policy_release(r.policy, &v);
    }
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    rig_down(&r);
}

static void a_refusal_by_a_route_takes_nothing(void **state)
{
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "0900");

    (void)state;
    rig_up(&r);
    r.def.limit.calls_per_second = 1;
    rig_compile(&r);
    policy_decide(r.policy, &rq, 1000, &v);
    assert_int_equal(v.sip_code, 603);
    assert_false(v.counted);
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    assert_true(ask(&r, PBX_CALL, 1000, &v));
    rig_down(&r);
}

/* Rate 4: a burst of four, then one each 250 ms; after a second of silence four again. */
static void the_rate_lets_pass_a_burst_and_then_an_even_pace(void **state)
{
    static const struct {
        int64_t now_ms;
        int passes; /* of eight tries at this time */
    } steps[] = {{1000, 4}, {1249, 0}, {1250, 1}, {1251, 0}, {1499, 0}, {1500, 1}, {2000, 2},
                 {2249, 0}, {2250, 1}, {3250, 4}, {9000, 4}, {9001, 0}, {9500, 2}};
    struct rig r;

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls_per_second = 4;
    rig_compile(&r);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        int passed = 0;

        for (int k = 0; k < 8; k++) {
            struct policy_verdict v;

            if (ask(&r, PBX_CALL, steps[i].now_ms, &v)) {
                passed++;
                policy_release(r.policy, &v);
            } else {
                assert_string_equal(v.reason, "Peer calls too fast");
                assert_int_equal(v.retry_after_s, 1);
            }
        }
        if (passed != steps[i].passes) {
            fail_msg("at %lld ms: %d passed", (long long)steps[i].now_ms, passed);
        }
    }
    assert_int_equal(policy_calls_now(r.policy, PBX), 0);
    rig_down(&r);
}

/* A third of a second is no whole number of ns: what is rounded goes to the safe side. */
static void a_rate_that_does_not_divide_a_second_is_rounded_down(void **state)
{
    static const int64_t times_ms[] = {0, 1000, 1001, 1333, 1334};
    static const int passes[] = {3, 2, 1, 0, 1};
    struct rig r;

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls_per_second = 3;
    rig_compile(&r);
    for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
        int passed = 0;

        for (int k = 0; k < 5; k++) {
            passed += policy_peer_take(r.policy, PBX, times_ms[i]);
        }
        assert_int_equal(passed, passes[i]);
    }
    rig_down(&r);
}

static void no_rate_is_exceeded_over_a_minute(void **state)
{
    static const uint32_t rates[] = {1, 3, 7, 999, 1000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct rig r;
        uint32_t passed = 0;

        rig_up(&r);
        r.def.limit.calls_per_second = rates[i];
        rig_compile(&r);
        for (int64_t t = 0; t < 60000; t++) {
            struct policy_verdict v;

            for (int k = 0; k < 2; k++) {
                if (ask(&r, PBX_CALL, t, &v)) {
                    passed++;
                    policy_release(r.policy, &v);
                }
            }
        }
        assert_true(passed <= 61 * rates[i]); /* a minute and the burst */
        assert_true(passed >= 61 * rates[i] - rates[i] / 100 - 2);
        rig_down(&r);
    }
}

/* What the peer's rate gave is given back when the node has no room. */
static void a_refusal_by_the_node_leaves_the_peer_as_it_was(void **state)
{
    struct rig r;
    struct policy_verdict v, held;

    (void)state;
    rig_up(&r);
    r.def.limit.calls = 1;
    r.peers[PBX].limit = (struct policy_limit){.calls = 5, .calls_per_second = 2};
    rig_compile(&r);
    assert_true(ask(&r, CARRIER_CALL, 1000, &held));
    for (int i = 0; i < 10; i++) {
        assert_false(ask(&r, PBX_CALL, 1000, &v));
        assert_string_equal(v.reason, "Too many calls");
    }
    policy_release(r.policy, &held);
    assert_int_equal(policy_calls_now(r.policy, PBX), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(ask(&r, PBX_CALL, 1000, &v));
        policy_release(r.policy, &v);
    }
    assert_false(ask(&r, PBX_CALL, 1000, &v));
    assert_string_equal(v.reason, "Peer calls too fast");
    rig_down(&r);
}

static void the_nodes_rate_is_one_for_all(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.def.limit.calls_per_second = 2;
    rig_compile(&r);
    assert_true(ask(&r, CARRIER_CALL, 1000, &v));
    assert_true(ask(&r, PBX_CALL, 1000, &v));
    assert_false(ask(&r, PBX_CALL, 1499, &v));
    assert_string_equal(v.reason, "Too many calls per second");
    assert_true(ask(&r, PBX_CALL, 1500, &v));
    rig_down(&r);
}

static void a_target_has_the_same_limits_as_a_source(void **state)
{
    struct rig r;
    struct policy_verdict v;

    (void)state;
    rig_up(&r);
    r.peers[CARRIER].limit.calls = 2;
    rig_compile(&r);
    assert_true(policy_peer_take(r.policy, CARRIER, 1000));
    assert_true(ask(&r, CARRIER_CALL, 1000, &v));
    assert_false(policy_peer_take(r.policy, CARRIER, 1000));
    assert_int_equal(policy_calls_now(r.policy, CARRIER), 2);
    policy_peer_release(r.policy, CARRIER);
    assert_true(policy_peer_take(r.policy, CARRIER, 1000));
    policy_peer_release(r.policy, CARRIER);
    policy_peer_release(r.policy, CARRIER);
    policy_peer_release(r.policy, CARRIER); /* one too many stays at zero */
    assert_int_equal(policy_calls_now(r.policy, CARRIER), 0);
    rig_down(&r);
}

static void a_targets_rate_gives_its_call_back_when_it_refuses(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    r.peers[CARRIER].limit.calls_per_second = 1;
    rig_compile(&r);
    assert_true(policy_peer_take(r.policy, CARRIER, 1000));
    assert_false(policy_peer_take(r.policy, CARRIER, 1999));
    assert_int_equal(policy_calls_now(r.policy, CARRIER), 1);
    assert_true(policy_peer_take(r.policy, CARRIER, 2000));
    rig_down(&r);
}

/* --- the book --- */

static void counters_survive_a_new_policy(void **state)
{
    struct rig old, now;
    struct policy_verdict held;
    struct policy_book *spare;

    (void)state;
    rig_up(&old);
    rig_up(&now);
    spare = now.book;
    now.book = old.book;
    old.peers[PBX].limit.calls_per_second = 2;
    rig_compile(&old);
    assert_true(ask(&old, PBX_CALL, 1000, &held));
    now.peers[PBX] = old.peers[CARRIER]; /* the peers changed places and limits */
    now.peers[CARRIER] = old.peers[PBX];
    now.peers[CARRIER].sources = now.sources;
    now.peers[CARRIER].limit = (struct policy_limit){.calls = 2, .calls_per_second = 2};
    rig_compile(&now);
    assert_int_equal(policy_calls_now(now.policy, CARRIER), 1); /* "pbx" stands there now */
    assert_int_equal(policy_calls_now(now.policy, PBX), 0);
    assert_int_equal(policy_calls_now(now.policy, -1), 1);
    assert_true(policy_peer_take(now.policy, CARRIER, 1000));
    assert_false(policy_peer_take(now.policy, CARRIER, 1000)); /* calls: old and new together */
    policy_release(old.policy, &held); /* the old call ends on its snapshot */
    assert_int_equal(policy_calls_now(now.policy, CARRIER), 1);
    assert_int_equal(policy_calls_now(now.policy, -1), 0);
    assert_false(policy_peer_take(now.policy, CARRIER, 1000)); /* and so does the rate */
    policy_free(&old.policy);
    assert_int_equal(policy_calls_now(now.policy, CARRIER), 1);
    assert_true(policy_peer_take(now.policy, CARRIER, 2000));
    policy_free(&now.policy);
    policy_book_free(&old.book);
    policy_book_free(&spare);
}

static void the_book_forgets_names_that_no_policy_speaks_of(void **state)
{
    struct rig r;
    int64_t live;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    policy_free(&r.policy);
    live = mem_live();
    for (int i = 0; i < 100; i++) { /* a reload with a new name each time */
        char name[32];

        snprintf(name, sizeof(name), "peer-%d", i);
        r.peers[0].name = name;
        rig_compile(&r);
        policy_free(&r.policy);
        assert_int_equal(mem_live(), live);
    }
    rig_down(&r);
}

/* --- threads --- */

enum { ROUNDS = 50000, HELD = 7, CALLS_MAX = 10 };
struct worker {
    const struct rig *r;
    atomic_uint *most, *inside;
    unsigned taken, refused;
};

static void worker_note(struct worker *w, unsigned inside)
{
    unsigned most = atomic_load(w->most);

    while (inside > most && !atomic_compare_exchange_weak(w->most, &most, inside)) {
    }
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct policy_verdict held[HELD] = {0};
    struct policy_request rq = PBX_CALL;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct policy_verdict *v = &held[i % HELD];

        if (v->counted) {
            atomic_fetch_sub(w->inside, 1);
            policy_release(w->r->policy, v);
        }
        policy_decide(w->r->policy, &rq, 1000, v);
        if (v->counted) {
            worker_note(w, atomic_fetch_add(w->inside, 1) + 1);
            w->taken++;
        } else {
            w->refused++;
        }
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i].counted) {
            atomic_fetch_sub(w->inside, 1);
            policy_release(w->r->policy, &held[i]);
        }
    }
    return NULL;
}

static void run_two(struct rig *r, struct worker w[2])
{
    static atomic_uint most, inside;
    pthread_t t[2];

    atomic_store(&most, 0);
    atomic_store(&inside, 0);
    for (int i = 0; i < 2; i++) {
        w[i] = (struct worker){.r = r, .most = &most, .inside = &inside};
        assert_int_equal(pthread_create(&t[i], NULL, worker_run, &w[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(w[i].taken + w[i].refused, ROUNDS);
    }
    assert_true(atomic_load(&most) <= CALLS_MAX);
}

/* Two threads want 14 places and there are 10: never more are taken, all come back. */
static void two_threads_never_take_more_than_there_is(void **state)
{
    struct rig r;
    struct worker w[2];

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls = CALLS_MAX;
    r.def.limit.calls = CALLS_MAX + 1;
    rig_compile(&r);
    run_two(&r, w);
    assert_int_equal(policy_calls_now(r.policy, PBX), 0);
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    rig_down(&r);
}

/* The node has less room than the peer, so that the undo is in the race, too. */
static void two_threads_give_back_what_the_node_refused(void **state)
{
    struct rig r;
    struct worker w[2];

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit = (struct policy_limit){.calls = 1000, .calls_per_second = 1000000};
    r.def.limit.calls = CALLS_MAX;
    rig_compile(&r);
    run_two(&r, w);
    assert_int_equal(policy_calls_now(r.policy, PBX), 0);
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    rig_down(&r);
}

/* All at one instant: exactly the burst passes, however the threads meet. */
static void two_threads_share_one_burst_exactly(void **state)
{
    struct rig r;
    struct worker w[2];

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls = CALLS_MAX;
    r.def.limit.calls_per_second = 1000;
    rig_compile(&r);
    run_two(&r, w);
    assert_int_equal(w[0].taken + w[1].taken, 1000);
    assert_int_equal(policy_calls_now(r.policy, -1), 0);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_call_after_the_last_one_gets_503),
        cmocka_unit_test(the_node_counts_the_calls_of_all),
        cmocka_unit_test(what_is_no_new_call_takes_nothing),
        cmocka_unit_test(a_refusal_by_a_route_takes_nothing),
        cmocka_unit_test(the_rate_lets_pass_a_burst_and_then_an_even_pace),
        cmocka_unit_test(a_rate_that_does_not_divide_a_second_is_rounded_down),
        cmocka_unit_test(no_rate_is_exceeded_over_a_minute),
        cmocka_unit_test(a_refusal_by_the_node_leaves_the_peer_as_it_was),
        cmocka_unit_test(the_nodes_rate_is_one_for_all),
        cmocka_unit_test(a_target_has_the_same_limits_as_a_source),
        cmocka_unit_test(a_targets_rate_gives_its_call_back_when_it_refuses),
        cmocka_unit_test(counters_survive_a_new_policy),
        cmocka_unit_test(the_book_forgets_names_that_no_policy_speaks_of),
        cmocka_unit_test(two_threads_never_take_more_than_there_is),
        cmocka_unit_test(two_threads_give_back_what_the_node_refused),
        cmocka_unit_test(two_threads_share_one_burst_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
