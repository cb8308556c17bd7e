/* test_flow_early.c - INFO before the answer (RFC 6086): digits for who plays, in both directions,
 * through forks, and across the final answer. */
#include "secure.h"

#include <stdio.h>

#define RELAY "Content-Type: application/dtmf-relay\r\n"
#define DIGIT "Signal=5\r\nDuration=160\r\n"
#define PROFILES "  info: {dtmf: info}\n  events: {dtmf: rfc4733}\n  pass: {}\n"

static void info(struct phone *p)
{
    memcpy(p->extra, RELAY, sizeof(RELAY));
    phone_request(p, "INFO", NULL, DIGIT);
}

static void play(struct pair *t)
{
    talk_start(&t->a, &t->b);
    phone_answer(&t->b, 183, phone_sdp(&t->b, NULL));
    HAS(EXPECT(&t->a, "183 INVITE"), "m=audio");
}

/* An INFO that is taken and not answered yet; and its answer at last, for whoever still waits. */
static void take_info(struct phone *from, struct phone *to, char asked[RIG_TEXT_MAX])
{
    info(from);
    EXPECT(to, "INFO");
    memcpy(asked, to->asked, RIG_TEXT_MAX);
}

static void answer_info(struct phone *p, const char *asked, unsigned status)
{
    memcpy(p->asked, asked, RIG_TEXT_MAX);
    phone_answer(p, status, NULL);
}

static void passes(struct phone *from, struct phone *to)
{
    const char *m;

    info(from);
    m = EXPECT(to, "INFO");
    HAS(m, RELAY);
    HAS(m, "\r\n\r\n" DIGIT);
    HAS(m, "Max-Forwards: 69\r\n");
    phone_answer(to, 200, NULL);
    EXPECT(from, "200 INFO");
}

static void digits_reach_an_ivr_that_plays_before_it_answers(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    play(&t);
    passes(&t.a, &t.b);
    passes(&t.b, &t.a);
    pair_answer(&t);
    passes(&t.a, &t.b);
    pair_bye(&t);
}

static void a_refusal_of_the_far_end_is_told_and_ends_nothing(void **state)
{
    static const struct {
        unsigned said;
        const char *heard;
    } cases[] = {{415, "415 INFO"}, {481, "480 INFO"}, {401, "502 INFO"}, {500, "500 INFO"}};
    struct pair t;

    pair_init(&t, *state);
    play(&t);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        info(&t.a);
        EXPECT(&t.b, "INFO");
        phone_answer(&t.b, cases[i].said, NULL);
        EXPECT(&t.a, cases[i].heard);
    }
    pair_answer(&t);
    pair_bye(&t);
}

static void a_digit_that_crosses_the_answer_is_answered(void **state)
{
    struct pair t;
    char asked[RIG_TEXT_MAX];

    pair_init(&t, *state);
    play(&t);
    take_info(&t.a, &t.b, asked);
    phone_answer_invite(&t.b, 200, t.b.sdp); /* before its answer to the INFO */
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    answer_info(&t.b, asked, 481); /* of a dialog that was early when it was asked */
    EXPECT(&t.a, "480 INFO");
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void a_silent_far_end_of_an_early_digit_does_not_end_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    play(&t);
    info(&t.a);
    EXPECT(&t.b, "INFO");
    pair_answer(&t);
    t.r->is_noisy = true; /* it is repeated */
    rig_advance(t.r, 40000);
    phone_drop_mail(&t.b);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void a_digit_on_its_way_when_the_call_is_refused_or_cancelled_is_answered(void **state)
{
    char asked[RIG_TEXT_MAX];
    struct pair t;

    pair_init(&t, *state);
    play(&t);
    take_info(&t.a, &t.b, asked);
    phone_answer_invite(&t.b, 486, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "480 INFO");
    EXPECT(&t.a, "486 INVITE");
    phone_ack_failure(&t.a);
    answer_info(&t.b, asked, 200);
    QUIET(&t.a);
    phone_renew(&t.a);
    phone_renew(&t.b);
    play(&t);
    take_info(&t.a, &t.b, asked);
    phone_cancel(&t.a);
    EXPECT(&t.a, "200 CANCEL");
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.a, "481 INFO");
    talk_cancelled(&t.b);
    answer_info(&t.b, asked, 481);
    QUIET(&t.a);
}

static void an_unknown_early_dialog_is_a_481(void **state)
{
    struct pair t;
    char tag[RIG_ID_MAX];

    pair_init(&t, *state);
    play(&t);
    memcpy(tag, t.b.tag, sizeof(tag));
    memcpy(t.b.tag, "nobody-there", sizeof("nobody-there"));
    info(&t.b);
    EXPECT(&t.b, "481 INFO");
    memcpy(t.b.tag, tag, sizeof(tag));
    memcpy(tag, t.a.tag, sizeof(tag));
    memcpy(t.a.tag, "nobody-here", sizeof("nobody-here"));
    info(&t.a);
    EXPECT(&t.a, "481 INFO");
    memcpy(t.a.tag, tag, sizeof(tag));
    pair_answer(&t);
    pair_bye(&t);
}

/* The caller knows of no dialog yet, so nothing can be asked in it. */
static void before_the_caller_has_heard_of_it_a_callee_gets_480(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    info(&t.b);
    assert_true(phone_try(&t.b, "480 INFO") || phone_try(&t.b, "481 INFO"));
    QUIET(&t.a);
    phone_answer_invite(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    passes(&t.a, &t.b);
    pair_answer(&t);
    pair_bye(&t);
}

/* --- forks --- */

struct forks {
    struct phone a, b, c;
};

static void forks_init(struct forks *f, struct rig *r)
{
    struct phone *const devices[] = {&f->b, &f->c};

    phone_init(&f->a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&f->b, r, 1, "1001", "192.0.2.41:5062");
    phone_init(&f->c, r, 1, "1001", "192.0.2.42:5063");
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        memcpy(devices[i]->password, "one", sizeof("one"));
        talk_register(devices[i], 3600);
    }
    phone_invite(&f->a, "sip:1001@example.test", phone_sdp(&f->a, NULL));
    EXPECT(&f->a, "100 INVITE");
    EXPECT(&f->b, "INVITE");
    EXPECT(&f->c, "INVITE");
}

static void of_several_that_ring_the_one_that_plays_gets_the_digits(void **state)
{
    char asked[RIG_TEXT_MAX];
    struct forks f;

    forks_init(&f, *state);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    phone_answer(&f.c, 183, phone_sdp(&f.c, NULL));
    EXPECT(&f.a, "183 INVITE");
    phone_answer(&f.b, 183, phone_sdp(&f.b, NULL)); /* not heard: one plays already */
    passes(&f.a, &f.c);
    passes(&f.c, &f.a);
    info(&f.b);
    EXPECT(&f.b, "480 INFO");
    QUIET(&f.a);
    take_info(&f.a, &f.c, asked); /* on its way to the one that loses */
    phone_answer_invite(&f.b, 200, f.b.sdp);
    EXPECT(&f.a, "480 INFO");
    EXPECT(&f.a, "200 INVITE");
    EXPECT(&f.b, "ACK");
    phone_ack(&f.a, NULL);
    talk_cancelled(&f.c);
    answer_info(&f.c, asked, 481);
    QUIET(&f.a);
    talk_bye(&f.a, &f.b);
}

static void when_who_rang_last_is_gone_the_digits_go_to_who_still_rings(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    phone_answer(&f.c, 180, NULL);
    passes(&f.a, &f.b);
    phone_answer_invite(&f.b, 486, NULL);
    EXPECT(&f.b, "ACK");
    passes(&f.a, &f.c);
    talk_answer(&f.a, &f.c);
    talk_bye(&f.a, &f.c);
}

/* A fork behind one target rings silently: the digits are for the one that plays. */
static void a_quiet_fork_behind_the_target_does_not_take_the_digits(void **state)
{
    struct pair t;
    struct phone fork;
    const char *m;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_fork(&fork, &t.b);
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    phone_answer_invite(&fork, 180, NULL);
    if (phone_has_mail(&t.a)) {
        EXPECT(&t.a, "180 INVITE");
    }
    info(&t.a);
    m = EXPECT(&t.b, "INFO");
    HAS(m, t.b.tag);
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    t.b = fork;
    pair_answer(&t);
    pair_bye(&t);
}

/* --- digits as media --- */

static void an_early_digit_is_converted_as_after_the_answer(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("info", "events", PROFILES));
    play(&t);
    info(&t.a);
    EXPECT(&t.a, "200 INFO");
    QUIET(&t.b);
    assert_string_equal(rig_media(t.r)->streams[0].side[1].sent_dtmf, "5");
    fake_media_dtmf(rig_media(t.r), 0, 1, '7', 120); /* and what the callee sends as events */
    HAS(EXPECT(&t.a, "INFO"), "Signal=7\r\n");
    phone_answer(&t.a, 200, NULL);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(t.r);
}

static void where_nobody_plays_an_early_digit_goes_as_it_came(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("info", "events", PROFILES));
    pair_ring(&t);
    passes(&t.a, &t.b);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(t.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(digits_reach_an_ivr_that_plays_before_it_answers),
        FLOW_TEST(a_refusal_of_the_far_end_is_told_and_ends_nothing),
        FLOW_TEST(a_digit_that_crosses_the_answer_is_answered),
        FLOW_TEST(a_silent_far_end_of_an_early_digit_does_not_end_the_call),
        FLOW_TEST(a_digit_on_its_way_when_the_call_is_refused_or_cancelled_is_answered),
        FLOW_TEST(an_unknown_early_dialog_is_a_481),
        FLOW_TEST(before_the_caller_has_heard_of_it_a_callee_gets_480),
        FLOW_TEST(of_several_that_ring_the_one_that_plays_gets_the_digits),
        FLOW_TEST(when_who_rang_last_is_gone_the_digits_go_to_who_still_rings),
        FLOW_TEST(a_quiet_fork_behind_the_target_does_not_take_the_digits),
        cmocka_unit_test(an_early_digit_is_converted_as_after_the_answer),
        cmocka_unit_test(where_nobody_plays_an_early_digit_goes_as_it_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
