/* test_flow_overload.c - a worker with too much to do: who is sent away first, who never, and how
 * it ends. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_US 50000 /* limits.overload.wait */

/* What comes now waited so long in the socket. */
static void wait_us(struct rig *r, uint32_t us)
{
    r->b.workers[0]->waited_us = us;
}

/* Something that waited so long comes, and again after the time that a stall may take. */
static void press(struct rig *r, struct phone *p, uint32_t us)
{
    wait_us(r, us);
    phone_request(p, "OPTIONS", CALLED, NULL);
    EXPECT(p, "200 OPTIONS"); /* costs little, and says that we live */
    rig_advance(r, OVERLOAD_HOLD_MS);
    phone_renew(p);
    phone_request(p, "OPTIONS", CALLED, NULL);
    EXPECT(p, "200 OPTIONS");
    phone_renew(p);
}

static void refused(struct phone *p, const char *heard)
{
    unsigned after_s;

    EXPECT(p, heard);
    after_s = (unsigned)strtoul(msg_hdr(sl_str(p->got), "Retry-After", 0).p, NULL, 10);
    assert_in_range(after_s, 5, 15);
}

static void strangers_go_first_then_users_then_peers(void **state)
{
    static const struct {
        uint32_t us;
        bool stranger, user, peer; /* is sent away */
    } steps[] = {
        {LIMIT_US - 1, false, false, false},        {LIMIT_US, true, false, false},
        {LIMIT_US / 2 * 3 - 1, true, false, false}, {LIMIT_US / 2 * 3, true, true, false},
        {LIMIT_US * 2 - 1, true, true, false},      {LIMIT_US * 2, true, true, true},
    };
    struct rig *r = *state;
    struct phone a, b, user, stranger;

    phone_init(&a, r, 0, "carol", "192.0.2.30:5060");
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_init(&user, r, 0, "1001", "192.0.2.101:5060");
    phone_init(&stranger, r, 0, "1002", "192.0.2.66:5060");
    memcpy(user.password, "one", 4);
    talk_register(&user, 3600);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        press(r, &a, steps[i].us);
        phone_renew(&stranger);
        phone_invite(&stranger, CALLED, phone_sdp(&stranger, NULL));
        if (steps[i].stranger) {
            refused(&stranger, "503 INVITE");
        } else {
            EXPECT(&stranger, "407 INVITE");
        }
        phone_renew(&user);
        phone_request(&user, "REGISTER", "sip:example.test", NULL);
        if (steps[i].user) {
            refused(&user, "503 REGISTER");
        } else {
            EXPECT(&user, "401 REGISTER");
        }
        phone_renew(&a);
        phone_invite(&a, CALLED, phone_sdp(&a, NULL));
        if (steps[i].peer) {
            refused(&a, "503 INVITE");
            continue;
        }
        EXPECT(&a, "100 INVITE");
        EXPECT(&b, "INVITE");
        talk_refuse(&b, 486, &a, "486 INVITE");
    }
    assert_int_equal(stat_sum(STAT_SHED_STRANGER), 5);
    assert_int_equal(stat_sum(STAT_SHED_USER), 3);
    assert_int_equal(stat_sum(STAT_SHED_PEER), 1);
    wait_us(r, 0);
}

static void a_stall_that_ends_by_itself_sends_nobody_away(void **state)
{
    struct rig *r = *state;
    struct pair t;

    pair_init(&t, r);
    wait_us(r, 900000); /* the first message after a pause of 900 ms */
    phone_request(&t.a, "OPTIONS", CALLED, NULL);
    EXPECT(&t.a, "200 OPTIONS");
    phone_renew(&t.a);
    rig_advance(r, OVERLOAD_HOLD_MS - 1);
    pair_up(&t); /* all of it waited, none of it for long enough */
    wait_us(r, 0);
    pair_bye(&t);
}

static void pressure_that_has_gone_is_forgotten(void **state)
{
    struct rig *r = *state;
    struct pair t;

    pair_init(&t, r);
    press(r, &t.a, LIMIT_US * 2);
    wait_us(r, 0);
    rig_advance(r, OVERLOAD_WINDOW_MS + 1);
    phone_request(&t.a, "OPTIONS", CALLED, NULL);
    EXPECT(&t.a, "200 OPTIONS");
    phone_renew(&t.a);
    wait_us(r, LIMIT_US * 2); /* a new one has to last, too */
    pair_up(&t);
    wait_us(r, 0);
    pair_bye(&t);
}

static void whatever_belongs_to_a_dialog_is_served(void **state)
{
    struct rig *r = *state;
    struct pair t;
    struct phone other;

    pair_init(&t, r);
    pair_up(&t);
    phone_init(&other, r, 0, "dora", "192.0.2.30:5060");
    press(r, &other, LIMIT_US * 4);
    talk_hold(&t.a, &t.b);
    pair_bye(&t);
    wait_us(r, 0);
}

static void a_repetition_of_an_invite_in_work_is_dropped_and_nothing_else(void **state)
{
    struct rig *r = *state;
    struct pair t;
    struct phone other;

    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    phone_again(&t.a); /* without pressure it is answered */
    EXPECT(&t.a, "100 INVITE");
    phone_init(&other, r, 0, "dora", "192.0.2.30:5060");
    press(r, &other, LIMIT_US);
    phone_again(&t.a);
    QUIET(&t.a);
    assert_int_equal(stat_sum(STAT_SIP_DROP_REPEAT), 1);
    talk_cancel(&t.a);
    phone_answer_invite(&t.b, 180, NULL);
    talk_cancelled(&t.b);
    wait_us(r, 0);
}

static void a_refused_invite_that_is_sent_again_is_refused_again(void **state)
{
    struct rig *r = *state;
    struct phone a;

    phone_init(&a, r, 0, "carol", "192.0.2.30:5060");
    press(r, &a, LIMIT_US * 2);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    refused(&a, "503 INVITE");
    phone_again(&a); /* our answer was lost: it is in nobody's work */
    refused(&a, "503 INVITE");
    phone_ack_failure(&a);
    assert_int_equal(fake_store.n_calls, 0);
    assert_int_equal(rig_tx_now(r), 0);
    wait_us(r, 0);
}

/* An INVITE that the short memory of those in work has lost is still found in its transaction. */
static void an_invite_in_work_is_never_refused(void **state)
{
    struct rig *r = *state;
    struct repeats *kept = r->b.repeats;
    struct pair t;
    struct phone other;

    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    phone_init(&other, r, 0, "dora", "192.0.2.30:5060");
    press(r, &other, LIMIT_US * 2);
    r->b.repeats = NULL;
    phone_again(&t.a);
    r->b.repeats = kept;
    EXPECT(&t.a, "100 INVITE");
    assert_int_equal(stat_sum(STAT_SHED_PEER), 0);
    talk_cancel(&t.a);
    phone_answer_invite(&t.b, 180, NULL);
    talk_cancelled(&t.b);
    wait_us(r, 0);
}

static void the_ack_for_a_refusal_is_dropped_and_that_for_a_call_is_not(void **state)
{
    struct rig *r = *state;
    struct pair t;
    struct phone a;

    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "200 INVITE");
    phone_init(&a, r, 0, "dora", "192.0.2.30:5060");
    press(r, &a, LIMIT_US * 2);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    refused(&a, "503 INVITE");
    phone_ack_failure(&a);
    assert_int_equal(stat_sum(STAT_SIP_DROP_ACK), 1);
    phone_ack(&t.a, NULL); /* or the 200 would be sent again */
    rig_advance(r, 1000);
    QUIET(&t.a);
    assert_int_equal(stat_sum(STAT_SIP_DROP_ACK), 1);
    wait_us(r, 0);
    pair_bye(&t);
}

static void the_level_says_who_is_refused_and_falls_when_it_is_calm(void **state)
{
    struct rig *r = *state;
    struct overload *o = &r->b.workers[0]->overload;
    struct phone a;

    phone_init(&a, r, 0, "carol", "192.0.2.30:5060");
    press(r, &a, LIMIT_US * 2);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    refused(&a, "503 INVITE");
    assert_int_equal(overload_level(o, r->now_ms + 1000000), 3);
    assert_true(o->began_ms != 0);
    assert_int_equal(overload_worst(o).wait_us, LIMIT_US * 2);
    wait_us(r, 0);
    rig_advance(r, OVERLOAD_CALM_MS - 1);
    assert_true(o->began_ms != 0);
    rig_advance(r, 1);
    assert_int_equal(overload_level(o, r->now_ms + 1000000), 0);
    assert_int_equal(o->began_ms, 0);
    assert_int_equal(o->refused, 1);
}

static void what_waited_at_the_worker_that_read_it_is_told_to_the_owner(void **state)
{
    struct rig *r = rig_up(NULL, 2);
    struct phone p;
    size_t refusals;

    (void)state;
    phone_init(&p, r, 0, "carol", "192.0.2.30:5060");
    for (unsigned n = 0; n < 12; n++) { /* Call-IDs of both workers, all read by the first */
        r->b.workers[0]->waited_us = LIMIT_US * 2;
        phone_renew(&p);
        phone_invite(&p, CALLED, phone_sdp(&p, NULL));
        rig_advance(r, 20);
    }
    refusals = rig_count_sent(r, "SIP/2.0 503");
    assert_true(stat_sum(STAT_SIP_HANDOVER) > 0);
    assert_true(refusals >= 2 && stat_sum(STAT_SHED_PEER) == refusals);
    assert_true(r->b.workers[1]->overload.refused > 0);
    r->is_noisy = true;
    r->b.workers[0]->waited_us = 0;
    rig_advance(r, 200000);
    rig_down(r);
}

static void each_measure_can_be_switched_off(void **state)
{
    struct rig *r = *state;
    static char text[8192];
    struct pair t;

    pair_init(&t, r);
    assert_true(snprintf(text, sizeof(text), "%slimits: {overload: {wait: off}}\n", rig_yaml) <
                (int)sizeof(text));
    rig_reload(r, text);
    press(r, &t.a, LIMIT_US * 100);
    pair_up(&t);
    wait_us(r, 0);
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(strangers_go_first_then_users_then_peers),
        FLOW_TEST(a_stall_that_ends_by_itself_sends_nobody_away),
        FLOW_TEST(pressure_that_has_gone_is_forgotten),
        FLOW_TEST(whatever_belongs_to_a_dialog_is_served),
        FLOW_TEST(a_repetition_of_an_invite_in_work_is_dropped_and_nothing_else),
        FLOW_TEST(a_refused_invite_that_is_sent_again_is_refused_again),
        FLOW_TEST(an_invite_in_work_is_never_refused),
        FLOW_TEST(the_ack_for_a_refusal_is_dropped_and_that_for_a_call_is_not),
        FLOW_TEST(the_level_says_who_is_refused_and_falls_when_it_is_calm),
        cmocka_unit_test(what_waited_at_the_worker_that_read_it_is_told_to_the_owner),
        FLOW_TEST(each_measure_can_be_switched_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
