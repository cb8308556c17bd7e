/* test_loop_gather.c - when a loop sleeps between two looks for packets: simulated arrivals, no
 * clock and no descriptors. */
#include "loop/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TICK_US 250
#define SECOND_US 1000000

/* A loop that needs cost_us to serve a packet and wake_us to wake up, and what comes to it: `burst`
 * packets each `period_us`, `gap_us` apart. */
struct sim {
    struct gather g;
    int64_t now_us, period_us, gap_us, cost_us, wake_us;
    unsigned burst;
    unsigned most; /* packets read in one turn at most; 0: all */
    int64_t arrived, served;
    int64_t wakes, sleeps, looks; /* ends of a wait, of a sleep, and looks without either */
    int64_t worst_us;             /* longest that a packet waited */
};

static int64_t sim_arrival(const struct sim *s, int64_t i)
{
    return i / s->burst * s->period_us + i % s->burst * s->gap_us;
}

static void sim_turn(struct sim *s)
{
    unsigned n = 0;

    gather_woke(&s->g, s->now_us);
    while (sim_arrival(s, s->arrived) <= s->now_us) {
        s->arrived++;
    }
    for (; s->served < s->arrived && (s->most == 0 || n < s->most); n++, s->served++) {
        int64_t waited_us = s->now_us - sim_arrival(s, s->served);

        s->worst_us = waited_us > s->worst_us ? waited_us : s->worst_us;
    }
    gather_note(&s->g, n);
    s->now_us += n * s->cost_us;
}

static void sim_on(struct sim *s, int64_t us)
{
    int64_t end_us = s->now_us + us;

    while (s->now_us < end_us) {
        int64_t sleep_us;

        sim_turn(s);
        sleep_us = gather_next(&s->g, s->now_us);
        if (sleep_us > 0) {
            assert_true(sleep_us <= s->g.tick_us);
            s->now_us += sleep_us + s->wake_us;
            s->sleeps++;
        } else if (sleep_us == 0) {
            s->looks++;
        } else if (sim_arrival(s, s->served) > s->now_us) { /* nothing is there: waits for it */
            s->now_us = sim_arrival(s, s->served) + s->wake_us;
            s->wakes++;
        }
    }
}

static void sim_run(struct sim *s, int64_t tick_us, int64_t us)
{
    gather_init(&s->g, tick_us, s->most != 0, s->now_us);
    sim_on(s, us);
}

static void assert_near(int64_t v, int64_t want, int64_t percent)
{
    assert_in_range(v, want - want * percent / 100, want + want * percent / 100);
}

static void without_a_tick_it_always_waits(void **state)
{
    struct sim s = {.burst = 1, .period_us = 50, .cost_us = 4, .wake_us = 10};

    (void)state;
    sim_run(&s, 0, SECOND_US);
    assert_int_equal(s.sleeps + s.looks, 0);
    assert_near(s.wakes, 20000, 1);
    assert_in_range(s.worst_us, 0, 10);
}

static void slow_traffic_is_served_as_it_comes(void **state)
{
    struct sim s = {.burst = 1, .period_us = 600, .cost_us = 4, .wake_us = 10};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_int_equal(s.sleeps, 0);
    assert_in_range(s.worst_us, 0, 10);
    assert_near(s.served, SECOND_US / 600, 1);
}

static void even_traffic_is_served_tick_by_tick(void **state)
{
    struct sim s = {.burst = 1, .period_us = 50, .cost_us = 4, .wake_us = 10}; /* 200 calls */

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_in_range(s.sleeps, 3600, SECOND_US / TICK_US);
    assert_in_range(s.wakes, 0, 600); /* in the windows that try how waiting does */
    assert_in_range(s.worst_us, 0, TICK_US + 10);
    assert_near(s.served, 20000, 1);
}

/* Far apart and slow to wake up: ticks would find as many, and cost the delay. */
static void bursts_that_arrive_while_it_wakes_up_are_not_gathered(void **state)
{
    struct sim s = {.burst = 20, .period_us = 1000, .gap_us = 1, .cost_us = 4, .wake_us = 30};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_near(s.wakes, 1000, 5);
    assert_in_range(s.sleeps, 0, 50);
}

static void a_burst_that_would_wake_it_many_times_costs_one_wait_and_one_sleep(void **state)
{
    struct sim s = {.burst = 10, .period_us = 1000, .gap_us = 24, .cost_us = 2, .wake_us = 5};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_in_range(s.wakes, 900, 1500); /* and more in the windows that try how waiting does */
    assert_near(s.sleeps, 1000, 10);     /* and none that finds nothing */
    assert_in_range(s.worst_us, 0, TICK_US + 5);
    assert_near(s.served, 10000, 1);
}

static void bursts_that_become_even_are_noticed(void **state)
{
    struct sim s = {.burst = 10, .period_us = 1000, .gap_us = 24, .cost_us = 2, .wake_us = 5};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_true(s.g.steady <= 0);
    s.burst = 1;
    s.period_us = 50;
    s.arrived = s.served = s.now_us / s.period_us;
    s.sleeps = 0;
    sim_on(&s, SECOND_US);
    assert_true(s.g.steady > 0);
    assert_in_range(s.sleeps, 3500, SECOND_US / TICK_US);
}

static void a_saturated_loop_never_sleeps(void **state)
{
    struct sim s = {.burst = 1, .period_us = 4, .cost_us = 5, .wake_us = 10};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_in_range(s.sleeps + s.wakes, 0, 50); /* before the first pass got long */
    assert_near(s.served * 5, s.now_us, 2);
}

static void it_looks_again_before_it_sleeps_when_a_turn_may_leave_packets(void **state)
{
    struct sim s = {
        .burst = 10, .period_us = 1000, .gap_us = 24, .cost_us = 2, .wake_us = 5, .most = 1};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_near(s.served, 10000, 1);
    assert_true(s.looks > 5000);
    assert_in_range(s.worst_us, 0, TICK_US + 5 + 10 * 2); /* never a sleep for each */
}

static void it_stops_when_the_traffic_stops(void **state)
{
    struct sim s = {.burst = 1, .period_us = 50, .cost_us = 4, .wake_us = 10};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    assert_true(s.g.ticks);
    for (unsigned i = 0; i < 3; i++) { /* woken by something else now and then */
        s.now_us += SECOND_US;
        gather_woke(&s.g, s.now_us);
        assert_int_equal(gather_next(&s.g, s.now_us), GATHER_BLOCK);
    }
    assert_false(s.g.ticks);
}

static void what_else_wakes_it_does_not_make_it_sleep(void **state)
{
    struct sim s = {.burst = 1, .period_us = 50, .cost_us = 4, .wake_us = 10};

    (void)state;
    sim_run(&s, TICK_US, SECOND_US);
    (void)gather_next(&s.g, s.now_us);
    gather_woke(&s.g, s.now_us); /* a SIP message, no packets */
    assert_int_equal(gather_next(&s.g, s.now_us), GATHER_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_tick_it_always_waits),
        cmocka_unit_test(slow_traffic_is_served_as_it_comes),
        cmocka_unit_test(even_traffic_is_served_tick_by_tick),
        cmocka_unit_test(bursts_that_arrive_while_it_wakes_up_are_not_gathered),
        cmocka_unit_test(a_burst_that_would_wake_it_many_times_costs_one_wait_and_one_sleep),
        cmocka_unit_test(bursts_that_become_even_are_noticed),
        cmocka_unit_test(a_saturated_loop_never_sleeps),
        cmocka_unit_test(it_looks_again_before_it_sleeps_when_a_turn_may_leave_packets),
        cmocka_unit_test(it_stops_when_the_traffic_stops),
        cmocka_unit_test(what_else_wakes_it_does_not_make_it_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
