/* test_flow_workers.c - two workers: whatever arrives on the wrong one finds its owner. */
#include "rig.h"

#define TWO(f) cmocka_unit_test_setup_teardown(f, two_setup, rig_teardown)

static int two_setup(void **state)
{
    *state = rig_up(NULL, 2);
    return 0;
}

/* The call's worker, by its Call-ID. */
static unsigned owner_of_the_call(struct rig *r)
{
    struct call_counts c;

    call_counts(rig_worker(r, 1)->calls, &c);
    return c.answered;
}

static void requests_on_the_wrong_worker_reach_the_call(void **state)
{
    uint64_t before;
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    before = stat_sum(STAT_SIP_HANDOVER);
    t.a.worker = t.b.worker = 1 - owner_of_the_call(t.r);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    talk_hold(&t.b, &t.a);
    pair_bye(&t);
    assert_true(stat_sum(STAT_SIP_HANDOVER) - before >= 7); /* each of them crossed over */
    talk_record_is("caller", "BYE", 200);
}

static void a_call_comes_up_whatever_worker_its_packets_arrive_on(void **state)
{
    uint64_t crossed[2];

    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = stat_sum(STAT_SIP_HANDOVER);
        struct pair t;

        pair_init(&t, *state);
        t.a.worker = t.b.worker = i;
        pair_up(&t);
        crossed[i] = stat_sum(STAT_SIP_HANDOVER) - before;
        assert_true(crossed[i] == 0 || crossed[i] >= 4); /* INVITE, 180, 200, ACK */
        pair_bye(&t);
        rig_advance(t.r, 40000);
    }
}

static void calls_of_one_source_use_every_worker(void **state)
{
    bool seen[2] = {false, false};
    struct pair t;

    pair_init(&t, *state);
    for (unsigned i = 0; i < 24; i++) {
        pair_up(&t); /* from worker 0's socket each time, with another Call-ID */
        seen[owner_of_the_call(t.r)] = true;
        pair_bye(&t);
        rig_advance(t.r, 40000);
        phone_renew(&t.a);
        phone_renew(&t.b);
    }
    assert_true(seen[0] && seen[1]);
}

static void a_cancel_on_the_wrong_worker_finds_its_invite(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    t.a.worker = 1;
    phone_cancel(&t.a);
    EXPECT(&t.a, "200 CANCEL");
    EXPECT(&t.a, "487 INVITE");
    t.a.worker = 0;
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
}

static void a_cancel_that_no_worker_knows_is_one_481(void **state)
{
    struct phone a;

    phone_init(&a, *state, 0, "alice", "192.0.2.30:5060");
    for (a.worker = 0; a.worker < 2; a.worker++) {
        phone_renew(&a);
        phone_request(&a, "CANCEL", CALLED, NULL);
        EXPECT(&a, "481 CANCEL");
        QUIET(&a);
    }
}

static void the_ack_of_a_failure_on_the_wrong_worker_stops_its_repetition(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_answer_invite(&t.b, 486, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "486 INVITE");
    t.a.worker = 1;
    phone_ack_failure(&t.a); /* our tag in it names the owner */
    rig_advance(t.r, 1000);
    QUIET(&t.a);
}

static void bindings_are_known_on_every_worker(void **state)
{
    struct rig *r = *state;
    struct phone u;

    phone_init(&u, r, 1, "1001", "192.0.2.41:5062");
    memcpy(u.password, "one", sizeof("one"));
    for (u.worker = 0; u.worker < 2; u.worker++) {
        talk_register(&u, 600);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(registrar_count(rig_worker(r, i)->registrar), 1);
        }
        talk_register(&u, 0);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(registrar_count(rig_worker(r, i)->registrar), 0);
        }
    }
    assert_int_equal(fake_store_rows(), 0);
}

static void a_call_to_a_user_may_start_on_any_worker(void **state)
{
    struct rig *r = *state;
    struct phone a, u;

    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&u, r, 1, "1001", "192.0.2.41:5062");
    memcpy(u.password, "one", sizeof("one"));
    talk_register(&u, 600);
    for (a.worker = 0; a.worker < 2; a.worker++) {
        phone_renew(&a);
        phone_invite(&a, "sip:1001@example.test", phone_sdp(&a, NULL));
        EXPECT(&a, "100 INVITE");
        EXPECT(&u, "INVITE");
        talk_refuse(&u, 486, &a, "486 INVITE");
    }
}

static void bindings_end_on_every_worker_when_they_expire_or_their_connection_goes(void **state)
{
    struct rig *r = *state;
    struct phone u, v;

    phone_init(&u, r, 1, "1001", "192.0.2.41:5062");
    memcpy(u.password, "one", sizeof("one"));
    phone_init(&v, r, 1, "1002", "192.0.2.42:5063");
    memcpy(v.password, "two", sizeof("two"));
    phone_on(&v, 0, SIP_TCP);
    talk_register(&u, 60);
    talk_register(&v, 600);
    assert_int_equal(registrar_count(rig_worker(r, 0)->registrar), 2);
    rig_advance(r, 61000);
    assert_int_equal(registrar_count(rig_worker(r, 0)->registrar), 1);
    assert_int_equal(registrar_count(rig_worker(r, 1)->registrar), 1);
    worker_net_events.gone(rig_worker(r, v.flow.worker), &v.flow, 0);
    rig_settle(r);
    assert_int_equal(registrar_count(rig_worker(r, 0)->registrar), 0);
    assert_int_equal(registrar_count(rig_worker(r, 1)->registrar), 0);
    assert_int_equal(fake_store_rows(), 0);
    assert_int_equal(r->holds, 0);
}

static void a_callers_connection_on_another_worker_that_goes_ends_its_set_up(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_on(&t.a, 0, SIP_TCP);
    t.a.flow.worker = 1; /* the connection lives there, the call here */
    pair_ring(&t);
    rig_block(t.r, "192.0.2.30:5060", ENOTCONN);
    worker_net_events.gone(rig_worker(t.r, 1), &t.a.flow, ECONNRESET);
    rig_settle(t.r);
    talk_cancelled(&t.b);
    assert_string_equal(talk_record()->end_by, "caller");
}

static void call_ids_of_two_workers_never_meet(void **state)
{
    struct pair t, u;

    pair_init(&t, *state);
    u.r = t.r;
    phone_init(&u.a, t.r, 0, "carol", "192.0.2.30:5064");
    u.a.worker = 1;
    pair_up(&t);
    u.b = t.b;
    pair_up(&u);
    assert_true(fake_store.calls[0].id != fake_store_last()->id);
    pair_bye(&t);
    pair_bye(&u);
}

static void an_answer_that_nobody_waits_for_is_dropped_and_counted(void **state)
{
    struct pair t;
    char ringing[RIG_TEXT_MAX];

    pair_init(&t, *state);
    pair_up(&t);
    memcpy(ringing, t.b.ring, sizeof(ringing));
    pair_bye(&t);
    rig_advance(t.r, 70000);
    memcpy(t.b.ring, ringing, sizeof(ringing));
    phone_answer_invite(&t.b, 200, t.b.sdp);
    t.b.worker = 1;
    phone_answer_invite(&t.b, 200, t.b.sdp);
    QUIET(&t.b);
    assert_int_equal(stat_sum(STAT_SIP_DROP_STRAY_RSP), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWO(requests_on_the_wrong_worker_reach_the_call),
        TWO(a_call_comes_up_whatever_worker_its_packets_arrive_on),
        TWO(calls_of_one_source_use_every_worker),
        TWO(a_cancel_on_the_wrong_worker_finds_its_invite),
        TWO(a_cancel_that_no_worker_knows_is_one_481),
        TWO(the_ack_of_a_failure_on_the_wrong_worker_stops_its_repetition),
        TWO(bindings_are_known_on_every_worker),
        TWO(a_call_to_a_user_may_start_on_any_worker),
        TWO(bindings_end_on_every_worker_when_they_expire_or_their_connection_goes),
        TWO(a_callers_connection_on_another_worker_that_goes_ends_its_set_up),
        TWO(call_ids_of_two_workers_never_meet),
        TWO(an_answer_that_nobody_waits_for_is_dropped_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
