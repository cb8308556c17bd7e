/* test_flow_reload.c - settings that take effect at a reload, with calls up that began before. */
#include "rig.h"

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"               \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32]}\n"                                   \
    "  pbx: {listener: inside, targets: \"sip:10.1.1.20:5070\", failover: {timeout: 10s}}\n"       \
    "routes: [{name: in, to: [pbx]}]\n"
#define WITHOUT_INSIDE                                                                             \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"               \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: \"sip:192.0.2.30:5060\"}\n" \
    "routes: [{name: in, to: [carrier]}]\n"

struct stage {
    struct rig *r;
    struct phone a, b;
};

static void stage_up(struct stage *s, const char *text)
{
    s->r = rig_up(text, 1);
    phone_init(&s->a, s->r, 0, "carol", "192.0.2.30:5060");
    phone_init(&s->b, s->r, 1, "bob", "10.1.1.20:5070");
}

static void stage_call(struct stage *s)
{
    phone_renew(&s->a);
    phone_invite(&s->a, CALLED, phone_sdp(&s->a, NULL));
    EXPECT(&s->a, "100 INVITE");
    EXPECT(&s->b, "INVITE");
}

static void stage_busy(struct stage *s)
{
    phone_answer_invite(&s->b, 486, NULL);
    EXPECT(&s->b, "ACK");
    EXPECT(&s->a, "486 INVITE");
    phone_ack_failure(&s->a);
}

/* The node that the message in hand was written by, as its Call-ID says. */
static unsigned node_of(const struct stage *s)
{
    struct token tok;

    assert_true(token_get(s->r->b.ring, msg_hdr(sl_str(s->b.got), "Call-ID", 0), &tok));
    return tok.node;
}

static void a_new_number_of_the_node_is_in_new_calls_and_the_old_one_still_ours(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, "node: {id: 5}\n" LISTENERS);
    stage_call(&s);
    assert_int_equal(node_of(&s), 5);
    rig_reload(s.r, "node: {id: 7}\n" LISTENERS);
    phone_answer_invite(&s.b, 486, NULL); /* the branch and the tag name the node of before */
    EXPECT(&s.b, "ACK");
    EXPECT(&s.a, "486 INVITE");
    phone_ack_failure(&s.a);
    stage_call(&s);
    assert_int_equal(node_of(&s), 7);
    stage_busy(&s);
    rig_down(s.r);
}

static void timers_of_sip_are_those_of_the_reload(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, "sip: {t1: 500ms}\n" LISTENERS);
    stage_call(&s);
    rig_advance(s.r, 499);
    assert_false(phone_try(&s.b, "INVITE"));
    rig_advance(s.r, 1);
    EXPECT(&s.b, "INVITE"); /* once more */
    stage_busy(&s);
    rig_reload(s.r, "sip: {t1: 200ms}\n" LISTENERS);
    stage_call(&s);
    rig_advance(s.r, 199);
    assert_false(phone_try(&s.b, "INVITE"));
    rig_advance(s.r, 1);
    EXPECT(&s.b, "INVITE");
    stage_busy(&s);
    rig_down(s.r);
}

static void the_silence_that_ends_a_call_is_that_of_the_reload(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, "media: {inactivity: 1m}\n" LISTENERS);
    assert_int_equal(fake_media_inactivity(rig_worker(s.r, 0)->media), 60000);
    rig_reload(s.r, "media: {inactivity: 90s}\n" LISTENERS);
    assert_int_equal(fake_media_inactivity(rig_worker(s.r, 0)->media), 90000);
    rig_down(s.r);
}

/* Its socket stays open for the calls that began there: they are to go on, and to end. */
static void a_call_goes_on_by_a_listener_that_a_reload_has_taken_away(void **state)
{
    struct pair t;

    (void)state;
    t.r = rig_up(LISTENERS, 1);
    pair_init(&t, t.r);
    pair_up(&t);
    rig_reload(t.r, WITHOUT_INSIDE);
    phone_request(&t.b, "INFO", NULL, "x");
    EXPECT(&t.a, "INFO");
    phone_answer(&t.a, 200, NULL);
    EXPECT(&t.b, "200 INFO");
    talk_hold(&t.b, &t.a);
    talk_hold(&t.a, &t.b);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    phone_renew(&t.b);
    phone_invite(&t.b, "sip:+4930@10.1.1.1", phone_sdp(&t.b, NULL)); /* no new one */
    EXPECT(&t.b, "503 INVITE");
    phone_ack_failure(&t.b);
    rig_down(t.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_number_of_the_node_is_in_new_calls_and_the_old_one_still_ours),
        cmocka_unit_test(timers_of_sip_are_those_of_the_reload),
        cmocka_unit_test(the_silence_that_ends_a_call_is_that_of_the_reload),
        cmocka_unit_test(a_call_goes_on_by_a_listener_that_a_reload_has_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
