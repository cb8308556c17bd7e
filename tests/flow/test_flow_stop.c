/* test_flow_stop.c - the end of the process while calls are alive: every call has its record, and
 * nothing of a call outlives the table it was in. */
#include "rig.h"

/* rig_down() would wait until nothing is left to be ended. */
static void stop(struct rig *r)
{
    rig_free(r);
    assert_int_equal(mem_live(), r->live);
}

static void nobody_can_be_told(struct rig *r)
{
    rig_block(r, "192.0.2.30:5060", EHOSTUNREACH);
    rig_block(r, "10.1.1.20:5070", EHOSTUNREACH);
}

static void an_answered_call_ends_with_the_process(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, rig_up(NULL, 1));
    pair_up(&t);
    stop(t.r);
    assert_string_equal(talk_record()->end_reason, "shutdown");
}

static void calls_end_with_the_process_although_no_bye_can_be_sent(void **state)
{
    struct pair t, u;

    (void)state;
    pair_init(&t, rig_up(NULL, 1));
    pair_up(&t);
    u = t;
    phone_init(&u.a, t.r, 0, "carol", "192.0.2.30:5064");
    phone_invite(&u.a, "sip:+4930124@203.0.113.1", phone_sdp(&u.a, NULL)); /* rings for nobody */
    nobody_can_be_told(t.r);
    stop(t.r);
    assert_int_equal(fake_store_last()->state, STORE_CALL_ENDED);
}

static void a_call_that_ended_in_the_last_turn_goes_with_its_table(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, rig_up(NULL, 1));
    pair_up(&t);
    nobody_can_be_told(t.r);
    assert_int_equal(call_hangup(rig_calls(t.r), fake_store_last()->id), 0);
    stop(t.r);
    assert_string_equal(talk_record()->end_by, "admin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answered_call_ends_with_the_process),
        cmocka_unit_test(calls_end_with_the_process_although_no_bye_can_be_sent),
        cmocka_unit_test(a_call_that_ended_in_the_last_turn_goes_with_its_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
