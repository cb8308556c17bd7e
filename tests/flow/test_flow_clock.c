/* test_flow_clock.c - the wall clock is set while calls are up, or between two runs. */
#include "rig.h"

#define HOUR_MS INT64_C(3600000)

/* Both the worker and whoever asks it. */
static void set_clock(struct rig *r, int64_t by_ms)
{
    r->clocks[0].wall_ms += by_ms;
}

static void a_call_is_as_long_as_it_was_whatever_the_clock_is_set_to(void **state)
{
    static const int64_t steps_ms[] = {-HOUR_MS, HOUR_MS, 24 * HOUR_MS, -24 * 365 * HOUR_MS};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(steps_ms); i++) {
        const struct fake_call *rec;
        struct pair t;

        pair_init(&t, rig_up(NULL, 1));
        pair_ring(&t);
        rig_advance(t.r, 1000);
        set_clock(t.r, steps_ms[i]);
        pair_answer(&t);
        rig_advance(t.r, 20000);
        set_clock(t.r, steps_ms[i]);
        rig_advance(t.r, 10000);
        pair_bye(&t);
        rec = talk_record();
        assert_int_equal(rec->answer_ms - rec->start_ms, 1000);
        assert_int_equal(rec->end_ms - rec->answer_ms, 30000);
        rig_down(t.r); /* looks for alarms of the reaper, too */
    }
}

/* What has ended and waits for its last answer is no call that was forgotten. */
static void the_reaper_takes_no_step_of_the_clock_for_time(void **state)
{
    uint64_t alarms = stat_sum(STAT_REAPER_ALARM);
    struct pair t;

    (void)state;
    pair_init(&t, rig_up(NULL, 1));
    pair_up(&t);
    phone_bye(&t.a);
    set_clock(t.r, HOUR_MS);
    assert_int_equal(call_audit(rig_calls(t.r)), 0);
    rig_advance(t.r, 10);
    assert_int_equal(stat_sum(STAT_REAPER_ALARM), alarms);
    rig_free(t.r);
}

/* The clock was ahead in the last run: its ids are taken. */
static void ids_go_on_behind_those_of_the_store(void **state)
{
    struct rig *r = rig_up(NULL, 1);
    uint64_t first, last;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    pair_bye(&t);
    first = talk_record()->id;
    rig_down(r);
    last = first + (UINT64_C(7200000) << 22); /* two hours ahead of the clock */
    fake_store.last_id = last;
    r = rig_up(NULL, 1);
    pair_init(&t, r);
    pair_up(&t);
    pair_bye(&t);
    /* Whose id it is, is not known: ours may have had higher counts in the same ms. */
    assert_true(talk_record()->id >> STORE_ID_SHIFT > last >> STORE_ID_SHIFT);
    rig_down(r);
    fake_store.last_id = 0;
}

/* A machine without a battery starts in 1970. */
static void a_clock_before_all_calls_makes_ids_that_have_names(void **state)
{
    char text[STORE_ID_LEN + 1];
    uint64_t id = 0;
    struct pair t;

    (void)state;
    pair_init(&t, rig_up(NULL, 1));
    t.r->clocks[0].wall_ms = 5000;
    pair_up(&t);
    pair_bye(&t);
    store_id_text(talk_record()->id, text);
    assert_true(store_id_parse(sl_str(text), &id));
    assert_int_equal(id, talk_record()->id);
    rig_down(t.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_as_long_as_it_was_whatever_the_clock_is_set_to),
        cmocka_unit_test(the_reaper_takes_no_step_of_the_clock_for_time),
        cmocka_unit_test(ids_go_on_behind_those_of_the_store),
        cmocka_unit_test(a_clock_before_all_calls_makes_ids_that_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
