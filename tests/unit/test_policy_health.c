/* test_policy_health.c - the circuit breaker cell by cell, its word, and the shelf that outlives
 * policies. */
#include "sbc-policy/policy_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct policy_breaker breaker = {.failures = 3, .retry_ms = 30000};

#define NOW 1000000

/* All cells of the table: what is left behind, and whether a call may go. */
static void every_state_meets_every_event(void **state)
{
    static const struct {
        struct circuit was;
        enum circuit_event ev;
        struct circuit is;
        bool may;
    } cells[] = {
        {{CIRCUIT_CLOSED, 0, 1, 0}, CIRCUIT_TAKE, {CIRCUIT_CLOSED, 0, 1, 0}, true},
        {{CIRCUIT_CLOSED, 0, 2, 0}, CIRCUIT_GOOD, {CIRCUIT_CLOSED, 0, 0, 0}, true},
        {{CIRCUIT_CLOSED, 0, 1, 0}, CIRCUIT_BAD, {CIRCUIT_CLOSED, 0, 2, 0}, true},
        {{CIRCUIT_CLOSED, 0, 2, 0}, CIRCUIT_BAD, {CIRCUIT_OPEN, 1, 3, NOW + 30000}, true},
        {{CIRCUIT_CLOSED, 0, 0, 0}, CIRCUIT_POOR, {CIRCUIT_OPEN, 1, 0, NOW + 30000}, true},
        {{CIRCUIT_CLOSED, 0, 2, 0}, CIRCUIT_ABANDON, {CIRCUIT_CLOSED, 0, 2, 0}, true},
        {{CIRCUIT_OPEN, 1, 3, NOW + 1}, CIRCUIT_TAKE, {CIRCUIT_OPEN, 1, 3, NOW + 1}, false},
        {{CIRCUIT_OPEN, 1, 3, NOW}, CIRCUIT_TAKE, {CIRCUIT_TRIAL, 1, 3, NOW + 30000}, true},
        {{CIRCUIT_OPEN, 2, 3, NOW + 1}, CIRCUIT_GOOD, {CIRCUIT_CLOSED, 0, 0, 0}, true},
        {{CIRCUIT_OPEN, 1, 3, NOW + 1}, CIRCUIT_BAD, {CIRCUIT_OPEN, 1, 3, NOW + 1}, true},
        {{CIRCUIT_OPEN, 1, 3, NOW + 1}, CIRCUIT_POOR, {CIRCUIT_OPEN, 1, 3, NOW + 1}, true},
        {{CIRCUIT_OPEN, 1, 3, NOW + 1}, CIRCUIT_ABANDON, {CIRCUIT_OPEN, 1, 3, NOW + 1}, true},
        {{CIRCUIT_TRIAL, 1, 3, NOW + 1}, CIRCUIT_TAKE, {CIRCUIT_TRIAL, 1, 3, NOW + 1}, false},
        {{CIRCUIT_TRIAL, 1, 3, NOW}, CIRCUIT_TAKE, {CIRCUIT_TRIAL, 1, 3, NOW + 30000}, true},
        {{CIRCUIT_TRIAL, 1, 3, NOW + 1}, CIRCUIT_GOOD, {CIRCUIT_CLOSED, 0, 0, 0}, true},
        {{CIRCUIT_TRIAL, 1, 3, NOW}, CIRCUIT_BAD, {CIRCUIT_OPEN, 2, 3, NOW + 60000}, true},
        {{CIRCUIT_TRIAL, 9, 3, NOW}, CIRCUIT_BAD, {CIRCUIT_OPEN, 10, 3, NOW + 600000}, true},
        {{CIRCUIT_TRIAL, 15, 3, NOW}, CIRCUIT_BAD, {CIRCUIT_OPEN, 15, 3, NOW + 600000}, true},
        {{CIRCUIT_TRIAL, 1, 3, NOW + 1}, CIRCUIT_POOR, {CIRCUIT_TRIAL, 1, 3, NOW + 1}, true},
        {{CIRCUIT_TRIAL, 1, 3, NOW + 1}, CIRCUIT_ABANDON, {CIRCUIT_TRIAL, 1, 3, NOW}, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cells); i++) {
        struct circuit c = cells[i].was, back;

        assert_int_equal(circuit_feed(&c, cells[i].ev, &breaker, NOW), cells[i].may);
        circuit_unpack(circuit_pack(&c), &back);
        if (c.state != cells[i].is.state || c.level != cells[i].is.level ||
            c.bad != cells[i].is.bad || c.until_ms != cells[i].is.until_ms ||
            circuit_pack(&back) != circuit_pack(&c)) {
            fail_msg("cell %zu: state %u level %u bad %u until %lld", i, c.state, c.level, c.bad,
                     (long long)c.until_ms);
        }
    }
}

static void failures_do_not_open_a_breaker_that_is_off(void **state)
{
    static const struct policy_breaker off = {.failures = 0, .retry_ms = 1000};
    struct circuit c = {0};

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        (void)circuit_feed(&c, CIRCUIT_BAD, &off, NOW);
    }
    assert_int_equal(c.state, CIRCUIT_CLOSED);
    assert_int_equal(c.bad, (1u << 18) - 1); /* and the count does not run over */
}

static void a_word_holds_what_is_put_in_up_to_its_limits(void **state)
{
    struct circuit c = {CIRCUIT_TRIAL, 15, 0x3FFFF, (1LL << 40) - 1}, back;

    (void)state;
    circuit_unpack(circuit_pack(&c), &back);
    assert_int_equal(back.state, c.state);
    assert_int_equal(back.level, c.level);
    assert_int_equal(back.bad, c.bad);
    assert_int_equal(back.until_ms, c.until_ms);
    c.until_ms = INT64_MAX;
    circuit_unpack(circuit_pack(&c), &back);
    assert_int_equal(back.until_ms, (1LL << 40) - 1);
    assert_int_equal(back.state, CIRCUIT_TRIAL);
}

/* --- the shelf --- */

struct two {
    struct policy_uri_target targets[2];
    struct policy_peer peer;
    struct policy_def def;
    struct policy *policy;
};

static void two_fill(struct two *t, const char *second)
{
    memset(t, 0, sizeof(*t));
    assert_int_equal(addr_parse(SL("10.0.0.1"), 5060, &t->targets[0].addr), 0);
    assert_int_equal(addr_parse(sl_str(second), 5060, &t->targets[1].addr), 0);
    t->peer = (struct policy_peer){.name = "pbx",
                                   .targets = t->targets,
                                   .n_targets = 2,
                                   .probe = {true, 30000, 1000, 2, 2},
                                   .breaker = breaker};
    t->def = (struct policy_def){.peers = &t->peer, .n_peers = 1};
}

static void two_up(struct two *t, struct policy_book *book, const char *second)
{
    two_fill(t, second);
    assert_int_equal(policy_compile(&t->policy, &t->def, book), 0);
}

static enum policy_target_state two_state(const struct two *t, size_t i)
{
    struct policy_target_report r;

    policy_target_report(&t->peer, &t->targets[i], NOW, &r);
    return r.state;
}

static void a_target_is_known_by_what_it_is_as_long_as_any_policy_has_it(void **state)
{
    struct policy_book *book = NULL;
    struct two a, b, c;

    (void)state;
    assert_int_equal(policy_book_new(&book), 0);
    two_up(&a, book, "10.0.0.2");
    for (unsigned i = 0; i < 4; i++) {
        enum policy_news news = policy_target_probed(&a.peer, &a.targets[i % 2], false, NOW);

        assert_int_equal(news, i < 2 ? POLICY_NO_NEWS : POLICY_WENT_DOWN);
    }
    two_up(&b, book, "10.0.0.3");
    policy_free(&a.policy);
    assert_int_equal(two_state(&b, 0), POLICY_TARGET_DOWN);
    assert_int_equal(two_state(&b, 1), POLICY_TARGET_UP); /* another one */
    policy_free(&b.policy);
    two_up(&c, book, "10.0.0.2"); /* nobody had kept it */
    assert_int_equal(two_state(&c, 0), POLICY_TARGET_UP);
    policy_free(&c.policy);
    policy_book_free(&book);
}

/* A transport more gives the listeners behind it other numbers; they stay what they are. */
static void a_target_is_known_by_its_listeners_name(void **state)
{
    static const char *const one[] = {"outside", "inside"}, *const more[] = {"outside", "outside",
                                                                             "inside"};
    struct policy_book *book = NULL;
    struct two a, b;

    (void)state;
    assert_int_equal(policy_book_new(&book), 0);
    two_fill(&a, "10.0.0.2");
    a.def.listeners = one;
    a.def.n_listeners = 2;
    a.peer.listener = 1;
    assert_int_equal(policy_compile(&a.policy, &a.def, book), 0);
    policy_drain(&a.peer, &a.targets[0], true);
    for (uint8_t listener = 0; listener < 3; listener++) {
        two_fill(&b, "10.0.0.2");
        b.def.listeners = more;
        b.def.n_listeners = 3;
        b.peer.listener = listener;
        assert_int_equal(policy_compile(&b.policy, &b.def, book), 0);
        assert_int_equal(two_state(&b, 0),
                         listener == 2 ? POLICY_TARGET_DRAINED : POLICY_TARGET_UP);
        policy_free(&b.policy);
    }
    policy_free(&a.policy);
    policy_book_free(&book);
}

static void every_slot_of_waiting_comes_back(void **state)
{
    struct two t;

    (void)state;
    two_up(&t, NULL, "10.0.0.2");
    t.peer.waiting_max = 2;
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_OK);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_OK);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_BUSY);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[1], false, NOW), POLICY_WELCOME_OK);
    policy_target_heard(&t.targets[0]);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_OK);
    for (unsigned i = 0; i < 5; i++) {
        policy_target_heard(&t.targets[0]); /* never below zero */
    }
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_OK);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_OK);
    assert_int_equal(policy_target_enter(&t.peer, &t.targets[0], false, NOW), POLICY_WELCOME_BUSY);
    policy_free(&t.policy);
}

/* The share is of the last calls: after many good ones it takes as many bad ones as are asked for,
 * not as many as there ever were. */
static void the_answer_ratio_forgets(void **state)
{
    struct two t;
    unsigned bad = 0;

    (void)state;
    two_up(&t, NULL, "10.0.0.2");
    t.peer.breaker.answer_ratio = 50;
    t.peer.breaker.seizures = 100;
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(policy_target_result(&t.peer, &t.targets[0], POLICY_ANSWERED, NOW),
                         POLICY_NO_NEWS);
    }
    while (policy_target_result(&t.peer, &t.targets[0], POLICY_DECLINED, NOW) == POLICY_NO_NEWS) {
        assert_true(++bad < 1000);
    }
    assert_in_range(bad, 100, 250);
    assert_int_equal(two_state(&t, 0), POLICY_TARGET_SUSPECT);
    policy_free(&t.policy);
}

/* --- the order of a peer's targets --- */

#define DRAWS 20000

/* Draws often; first[i]: how often target i came first. Each order holds every target once. */
static void draw_orders(const struct policy_peer *peer, size_t to_i, unsigned *first)
{
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct policy_verdict v = {.random = i * 0x2545F4914F6CDD1DULL};
        uint8_t order[POLICY_TARGETS_MAX], again[POLICY_TARGETS_MAX];
        unsigned seen = 0;

        assert_int_equal(policy_target_order(peer, &v, to_i, order), peer->n_targets);
        for (size_t k = 0; k < peer->n_targets; k++) {
            seen |= 1u << order[k];
            assert_true(k == 0 ||
                        peer->targets[order[k - 1]].priority <= peer->targets[order[k]].priority);
        }
        assert_int_equal(seen, (1u << peer->n_targets) - 1);
        assert_int_equal(policy_target_order(peer, &v, to_i, again), peer->n_targets);
        assert_memory_equal(order, again, peer->n_targets);
        first[order[0]]++;
    }
}

static void targets_without_weights_are_tried_as_they_are_written(void **state)
{
    struct policy_uri_target targets[] = {{.priority = 7}, {.priority = 2}, {.priority = 2}};
    struct policy_peer peer = {.targets = targets, .n_targets = 3};
    unsigned first[3] = {0};

    (void)state;
    draw_orders(&peer, 0, first);
    assert_int_equal(first[1], DRAWS);
}

static void targets_of_one_priority_share_by_weight(void **state)
{
    struct policy_uri_target targets[] = {
        {.weight = 10}, {.weight = 30}, {.weight = 60}, {.priority = 1, .weight = 65535}};
    struct policy_peer peer = {.targets = targets, .n_targets = 4};

    (void)state;
    for (size_t to_i = 0; to_i < 2; to_i++) {
        unsigned first[4] = {0};

        draw_orders(&peer, to_i, first);
        assert_in_range(first[0], DRAWS / 100 * 9, DRAWS / 100 * 13);
        assert_in_range(first[1], DRAWS / 100 * 27, DRAWS / 100 * 33);
        assert_in_range(first[2], DRAWS / 100 * 56, DRAWS / 100 * 63);
        assert_int_equal(first[3], 0);
    }
}

static void a_target_of_weight_nothing_is_seldom_first_beside_others(void **state)
{
    struct policy_uri_target targets[] = {{.weight = 49}, {.weight = 0}, {.weight = 50}};
    struct policy_peer peer = {.targets = targets, .n_targets = 3};
    unsigned first[3] = {0};

    (void)state;
    draw_orders(&peer, 0, first);
    assert_in_range(first[1], 1, DRAWS / 100 * 2); /* one in a hundred */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_without_weights_are_tried_as_they_are_written),
        cmocka_unit_test(targets_of_one_priority_share_by_weight),
        cmocka_unit_test(a_target_of_weight_nothing_is_seldom_first_beside_others),
        cmocka_unit_test(every_state_meets_every_event),
        cmocka_unit_test(failures_do_not_open_a_breaker_that_is_off),
        cmocka_unit_test(a_word_holds_what_is_put_in_up_to_its_limits),
        cmocka_unit_test(a_target_is_known_by_what_it_is_as_long_as_any_policy_has_it),
        cmocka_unit_test(a_target_is_known_by_its_listeners_name),
        cmocka_unit_test(every_slot_of_waiting_comes_back),
        cmocka_unit_test(the_answer_ratio_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
