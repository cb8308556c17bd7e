/* test_flow_flows.c - several flows of one device (RFC 5626): alternatives, not forks. The newest
 * is called, the next one when that is no way any more. */
#include "rig.h"

#include <stdio.h>

#define DEVICES "sip:1001@example.test"

struct flows {
    struct rig *r;
    struct phone a;
    struct phone one, two; /* the same telephone by two ways */
    struct phone other;    /* another telephone */
};

static void device(struct phone *p, struct rig *r, const char *at, const char *params)
{
    phone_init(p, r, 1, "1001", at);
    memcpy(p->password, "one", sizeof("one"));
    (void)snprintf(p->contact, sizeof(p->contact), "Contact: <sip:dev-1001-1@%s>%s\r\n", at,
                   params);
}

static void flows_init(struct flows *f, struct rig *r)
{
    f->r = r;
    phone_init(&f->a, r, 0, "alice", "192.0.2.30:5060");
    device(&f->one, r, "192.0.2.41:5062", ";+sip.instance=\"<urn:uuid:1>\";reg-id=1");
    device(&f->two, r, "192.0.2.42:5063", ";+sip.instance=\"<urn:uuid:1>\";reg-id=2");
    device(&f->other, r, "192.0.2.43:5064", ";+sip.instance=\"<urn:uuid:2>\";reg-id=1");
    talk_register(&f->one, 3600);
    talk_register(&f->two, 3600);
}

static void call(struct flows *f)
{
    phone_invite(&f->a, DEVICES, phone_sdp(&f->a, NULL));
    EXPECT(&f->a, "100 INVITE");
}

static void refuse(struct phone *p, unsigned status)
{
    phone_answer_invite(p, status, NULL);
    EXPECT(p, "ACK");
}

static void a_telephone_with_two_flows_rings_once_by_the_newest(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    QUIET(&f.one);
    talk_answer(&f.a, &f.two);
    QUIET(&f.one);
    talk_bye(&f.a, &f.two);
    talk_register(&f.one, 3600); /* now this one is the newest */
    phone_renew(&f.a);
    phone_renew(&f.one);
    call(&f);
    EXPECT(&f.one, "INVITE");
    QUIET(&f.two);
    talk_answer(&f.a, &f.one);
    talk_bye(&f.a, &f.one);
}

static void a_failed_flow_is_followed_by_the_next_one(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    refuse(&f.two, 430);
    EXPECT(&f.one, "INVITE");
    QUIET(&f.a);
    phone_answer(&f.one, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    talk_answer(&f.a, &f.one);
    talk_bye(&f.a, &f.one);
    assert_int_equal(stat_sum(STAT_FLOW_NEXT), 1);
}

static void a_flow_that_cannot_be_sent_on_is_followed_by_the_next_one(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    rig_block(f.r, "192.0.2.42:5063", EHOSTUNREACH);
    call(&f);
    EXPECT(&f.one, "INVITE");
    talk_answer(&f.a, &f.one);
    talk_bye(&f.a, &f.one);
    rig_block(f.r, "192.0.2.42:5063", 0);
}

static void a_silent_flow_is_followed_by_the_next_one(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    f.r->is_noisy = true; /* it is repeated */
    rig_advance(f.r, 1999);
    QUIET(&f.one);
    rig_advance(f.r, 1);
    EXPECT(&f.one, "INVITE");
    phone_drop_mail(&f.two);
    talk_answer(&f.a, &f.one);
    talk_bye(&f.a, &f.one);
}

static void the_last_flow_has_the_time_that_any_device_has(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    refuse(&f.two, 430);
    EXPECT(&f.one, "INVITE");
    f.r->is_noisy = true; /* it is repeated */
    rig_advance(f.r, 20000);
    phone_drop_mail(&f.one);
    talk_answer(&f.a, &f.one);
    talk_bye(&f.a, &f.one);
}

/* Who plays to the caller stays the one that the caller speaks with. */
static void a_next_flow_takes_nothing_from_who_plays(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    talk_register(&f.other, 3600);
    call(&f);
    EXPECT(&f.other, "INVITE");
    EXPECT(&f.two, "INVITE");
    phone_answer(&f.other, 183, phone_sdp(&f.other, NULL));
    EXPECT(&f.a, "183 INVITE");
    refuse(&f.two, 430);
    EXPECT(&f.one, "INVITE");
    phone_answer(&f.one, 183, phone_sdp(&f.one, NULL)); /* not heard: one plays already */
    QUIET(&f.a);
    phone_request(&f.a, "INFO", NULL, "x");
    EXPECT(&f.other, "INFO");
    QUIET(&f.one);
    phone_answer(&f.other, 200, NULL);
    EXPECT(&f.a, "200 INFO");
    talk_cancel(&f.a);
    talk_cancelled(&f.other);
    talk_cancelled(&f.one);
}

static void what_the_telephone_itself_says_is_not_asked_again_by_its_next_flow(void **state)
{
    static const struct {
        unsigned said;
        const char *heard;
    } cases[] = {
        {486, "486 INVITE"}, {480, "480 INVITE"}, {603, "603 INVITE"}, {500, "500 INVITE"}};
    struct flows f;

    flows_init(&f, *state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        phone_renew(&f.a);
        phone_renew(&f.two);
        call(&f);
        EXPECT(&f.two, "INVITE");
        refuse(&f.two, cases[i].said);
        EXPECT(&f.a, cases[i].heard);
        phone_ack_failure(&f.a);
        QUIET(&f.one);
    }
}

static void when_no_flow_is_left_the_telephone_is_unavailable(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    refuse(&f.two, 430);
    EXPECT(&f.one, "INVITE");
    refuse(&f.one, 430);
    EXPECT(&f.a, "480 INVITE"); /* how it is reached is nobody's business */
    phone_ack_failure(&f.a);
    QUIET(&f.two);
}

static void another_telephone_rings_beside_it(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    talk_register(&f.other, 3600);
    call(&f);
    EXPECT(&f.other, "INVITE");
    EXPECT(&f.two, "INVITE");
    QUIET(&f.one);
    phone_answer(&f.other, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    refuse(&f.two, 430);
    EXPECT(&f.one, "INVITE");
    phone_answer_invite(&f.other, 200, phone_sdp(&f.other, NULL));
    EXPECT(&f.a, "200 INVITE");
    EXPECT(&f.other, "ACK");
    phone_ack(&f.a, NULL);
    phone_answer_invite(&f.one, 180, NULL); /* a CANCEL waits for it (RFC 3261 9.1) */
    talk_cancelled(&f.one);
    talk_bye(&f.a, &f.other);
}

static void a_caller_that_gives_up_meets_no_new_flow(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    phone_answer(&f.two, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    talk_cancel(&f.a);
    EXPECT(&f.two, "CANCEL");
    phone_answer(&f.two, 200, NULL);
    refuse(&f.two, 430);
    QUIET(&f.one);
}

/* From one network to another in the middle of a call: its password is its proof, and only its. */
static void a_telephone_that_moved_and_registered_goes_on_with_its_call(void **state)
{
    struct flows f;
    struct phone moved;
    struct flow old;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    talk_answer(&f.a, &f.two);
    device(&moved, f.r, "192.0.2.77:5099", ";+sip.instance=\"<urn:uuid:1>\";reg-id=2");
    old = f.two.flow;
    f.two.flow = moved.flow; /* the same dialog by another way */
    memcpy(f.two.at, moved.at, sizeof(moved.at));
    phone_request(&f.two, "INFO", NULL, "x");
    EXPECT(&f.two, "481 INFO");
    QUIET(&f.a);
    f.two.flow = old;
    talk_register(&moved, 3600);
    f.two.flow = moved.flow;
    phone_request(&f.two, "INFO", NULL, "x");
    EXPECT(&f.a, "INFO");
    phone_answer(&f.a, 200, NULL);
    EXPECT(&f.two, "200 INFO");
    talk_bye(&f.a, &f.two); /* what we send goes there as well */
}

static void nobody_else_goes_on_with_it(void **state)
{
    struct flows f;
    struct phone thief;

    flows_init(&f, *state);
    call(&f);
    EXPECT(&f.two, "INVITE");
    talk_answer(&f.a, &f.two);
    phone_init(&thief, f.r, 1, "1002", "192.0.2.78:5099");
    memcpy(thief.password, "two", sizeof("two"));
    talk_register(&thief, 3600);
    thief = f.two;
    assert_int_equal(addr_parse(SL("192.0.2.78"), 5099, &thief.flow.remote), 0);
    phone_bye(&thief);
    EXPECT(&thief, "481 BYE");
    QUIET(&f.a);
    talk_bye(&f.a, &f.two);
}

static void a_message_to_a_silent_flow_goes_by_the_next_one_in_time(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    phone_request(&f.a, "MESSAGE", DEVICES, "hello");
    EXPECT(&f.two, "MESSAGE");
    f.r->is_noisy = true; /* it is repeated */
    rig_advance(f.r, 1999);
    QUIET(&f.one);
    rig_advance(f.r, 1);
    HAS(EXPECT(&f.one, "MESSAGE"), "hello");
    phone_drop_mail(&f.two);
    phone_answer(&f.one, 200, NULL);
    EXPECT(&f.a, "200 MESSAGE");
    rig_advance(f.r, 40000);
    phone_drop_mail(&f.two);
}

static void a_message_goes_by_one_flow_too(void **state)
{
    struct flows f;

    flows_init(&f, *state);
    phone_request(&f.a, "MESSAGE", DEVICES, "hello");
    EXPECT(&f.two, "MESSAGE");
    QUIET(&f.one);
    phone_answer(&f.two, 430, NULL);
    HAS(EXPECT(&f.one, "MESSAGE"), "hello");
    phone_answer(&f.one, 200, NULL);
    EXPECT(&f.a, "200 MESSAGE");
    rig_block(f.r, "192.0.2.42:5063", EHOSTUNREACH);
    phone_renew(&f.a);
    phone_request(&f.a, "MESSAGE", DEVICES, "again");
    HAS(EXPECT(&f.one, "MESSAGE"), "again");
    phone_answer(&f.one, 486, NULL);
    EXPECT(&f.a, "486 MESSAGE");
    rig_block(f.r, "192.0.2.42:5063", 0);
    phone_renew(&f.a);
    phone_request(&f.a, "MESSAGE", DEVICES, "no");
    EXPECT(&f.two, "MESSAGE");
    phone_answer(&f.two, 486, NULL); /* that was the telephone */
    EXPECT(&f.a, "486 MESSAGE");
    QUIET(&f.one);
}

/* RFC 5626 6: the phone may count on it only where it is kept to. */
static void outbound_is_said_where_it_is_kept_to(void **state)
{
    static const struct {
        const char *params, *lines;
        bool is_said;
    } cases[] = {
        {";+sip.instance=\"<urn:uuid:1>\";reg-id=1", "Supported: path, outbound\r\n", true},
        {";+sip.instance=\"<urn:uuid:1>\";reg-id=1", "Require: outbound\r\n", false},
        {";+sip.instance=\"<urn:uuid:1>\"", "Supported: outbound\r\n", false},
        {";reg-id=1", "Supported: outbound\r\n", false},
        {";+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=0", "Supported: outbound\r\n", false},
        {";+sip.instance=\"<urn:uuid:1>\";reg-id=1",
         "Via: SIP/2.0/UDP 203.0.113.99;branch=z9hG4bKbehind\r\nSupported: outbound\r\n", false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct phone p;

        device(&p, *state, "192.0.2.41:5062", cases[i].params);
        memcpy(p.local, "<sip:1001@example.test>", sizeof("<sip:1001@example.test>"));
        memcpy(p.remote, "<sip:1001@example.test>", sizeof("<sip:1001@example.test>"));
        phone_request(&p, "REGISTER", "sip:example.test", NULL);
        EXPECT(&p, "401 REGISTER");
        assert_int_equal(sl_cstr(sl_str(cases[i].lines), p.extra, sizeof(p.extra)), 0);
        phone_credentials(&p, "REGISTER", "sip:example.test");
        phone_request(&p, "REGISTER", "sip:example.test", NULL);
        EXPECT(&p, "200 REGISTER");
        assert_int_equal(strstr(p.got, "\r\nRequire: outbound\r\n") != NULL, cases[i].is_said);
        LACKS(p.got, "Flow-Timer");
    }
}

static void a_telephone_may_demand_outbound_and_nothing_else(void **state)
{
    struct phone p;

    device(&p, *state, "192.0.2.41:5062", ";+sip.instance=\"<urn:uuid:1>\";reg-id=1");
    memcpy(p.local, "<sip:1001@example.test>", sizeof("<sip:1001@example.test>"));
    memcpy(p.remote, "<sip:1001@example.test>", sizeof("<sip:1001@example.test>"));
    memcpy(p.extra, "Require: outbound\r\n", sizeof("Require: outbound\r\n"));
    phone_request(&p, "REGISTER", "sip:example.test", NULL);
    EXPECT(&p, "401 REGISTER");
    memcpy(p.extra, "Require: outbound, path\r\n", sizeof("Require: outbound, path\r\n"));
    phone_request(&p, "REGISTER", "sip:example.test", NULL);
    HAS(EXPECT(&p, "420 REGISTER"), "Unsupported: path\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_telephone_with_two_flows_rings_once_by_the_newest),
        FLOW_TEST(a_failed_flow_is_followed_by_the_next_one),
        FLOW_TEST(a_flow_that_cannot_be_sent_on_is_followed_by_the_next_one),
        FLOW_TEST(a_silent_flow_is_followed_by_the_next_one),
        FLOW_TEST(the_last_flow_has_the_time_that_any_device_has),
        FLOW_TEST(a_next_flow_takes_nothing_from_who_plays),
        FLOW_TEST(what_the_telephone_itself_says_is_not_asked_again_by_its_next_flow),
        FLOW_TEST(when_no_flow_is_left_the_telephone_is_unavailable),
        FLOW_TEST(another_telephone_rings_beside_it),
        FLOW_TEST(a_caller_that_gives_up_meets_no_new_flow),
        FLOW_TEST(a_telephone_that_moved_and_registered_goes_on_with_its_call),
        FLOW_TEST(nobody_else_goes_on_with_it),
        FLOW_TEST(a_message_to_a_silent_flow_goes_by_the_next_one_in_time),
        FLOW_TEST(a_message_goes_by_one_flow_too),
        FLOW_TEST(outbound_is_said_where_it_is_kept_to),
        FLOW_TEST(a_telephone_may_demand_outbound_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
