/* test_flow_message.c - MESSAGE outside a call: to users and peers, with failover. */
#include "rig.h"

static void a_message_to_a_peer_is_carried_and_answered(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    phone_request(&t.a, "MESSAGE", CALLED, "hello there");
    QUIET(&t.a);
    m = EXPECT(&t.b, "MESSAGE");
    HAS(m, "MESSAGE sip:+4930123@10.1.1.20:5070 SIP/2.0\r\n");
    HAS(m, "From: <sip:alice@10.1.1.1>;tag=");
    HAS(m, "Max-Forwards: 69\r\n");
    HAS(m, "Content-Type: text/plain\r\n");
    HAS(m, "\r\n\r\nhello there");
    LACKS(m, "Contact:");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    assert_int_equal(fake_store.n_calls, 0);
}

static void a_message_goes_to_the_next_target_when_one_fails(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    phone_request(&t.a, "MESSAGE", CALLED, "one");
    EXPECT(&t.b, "MESSAGE");
    phone_answer(&t.b, 503, NULL);
    EXPECT(&second, "MESSAGE");
    phone_answer(&second, 202, NULL);
    EXPECT(&t.a, "202 MESSAGE");
    rig_block(t.r, "10.1.1.20:5070", EHOSTUNREACH);
    phone_request(&t.a, "MESSAGE", CALLED, "two");
    EXPECT(&second, "MESSAGE");
    phone_answer(&second, 480, NULL);
    EXPECT(&t.a, "480 MESSAGE");
    rig_block(t.r, "10.1.1.21:5070", EHOSTUNREACH);
    phone_request(&t.a, "MESSAGE", CALLED, "three");
    EXPECT(&t.a, "480 MESSAGE");
}

static void a_silent_target_of_a_message_is_left_within_two_seconds(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    phone_request(&t.a, "MESSAGE", CALLED, "one");
    EXPECT(&t.b, "MESSAGE");
    rig_advance(t.r, 1999);
    QUIET(&second);
    rig_advance(t.r, 1);
    phone_drop_mail(&t.b);
    EXPECT(&second, "MESSAGE");
    phone_answer(&second, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    phone_answer(&t.b, 200, NULL); /* too late to be news */
    QUIET(&t.a);
    phone_request(&t.a, "MESSAGE", CALLED, "two");
    EXPECT(&t.b, "MESSAGE");
    phone_answer(&t.b, 100, NULL); /* slow, not silent */
    rig_advance(t.r, 4000);
    QUIET(&second);
    phone_drop_mail(&t.b);
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
}

static void a_message_that_nobody_answers_is_a_408(void **state)
{
    struct pair t;
    struct phone second;

    pair_init(&t, *state);
    phone_init(&second, t.r, 1, "bob2", "10.1.1.21:5070");
    phone_request(&t.a, "MESSAGE", CALLED, "one");
    rig_advance(t.r, 34000);
    phone_drop_mail(&t.b);
    phone_drop_mail(&second);
    EXPECT(&t.a, "408 MESSAGE");
}

static void a_message_reaches_the_devices_of_a_user_under_the_senders_own_name(void **state)
{
    struct rig *r = *state;
    struct phone u, b;
    const char *m;

    phone_init(&u, r, 0, "1002", "192.0.2.43:5064");
    memcpy(u.password, "two", sizeof("two"));
    phone_init(&b, r, 1, "1001", "192.0.2.41:5062");
    memcpy(b.password, "one", sizeof("one"));
    talk_register(&b, 600);
    memcpy(u.local, "<sip:1003@example.test>", sizeof("<sip:1003@example.test>"));
    phone_request(&u, "MESSAGE", "sip:1001@example.test", "psst");
    EXPECT(&u, "407 MESSAGE");
    phone_credentials(&u, "MESSAGE", "sip:1001@example.test");
    phone_request(&u, "MESSAGE", "sip:1001@example.test", "psst");
    m = EXPECT(&b, "MESSAGE");
    HAS(m, "MESSAGE sip:dev-1001-1@192.0.2.41:5062 SIP/2.0\r\n");
    HAS(m, "From: <sip:1002@example.test>;tag=");
    LACKS(m, "1003");
    phone_answer(&b, 200, NULL);
    EXPECT(&u, "200 MESSAGE");
}

/* The users live elsewhere now; where their devices have registered there may be nothing left. */
static void a_message_does_not_follow_a_device_to_a_listener_that_users_have_left(void **state)
{
#define HOUSE(extra, users)                                                                        \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"               \
    "            rtp: {ports: 20000-20999}}\n" extra "peers:\n"                                    \
    "  carrier: {listener: outside, sources: [192.0.2.30/32]}\n"                                   \
    "users: {domain: example.test, listener: " users ",\n"                                         \
    "        accounts: [{name: '1001', password: one}]}\n"                                         \
    "routes: [{name: internal, to: users}]\n"
    struct rig *r = rig_up(HOUSE("  inside: {address: 10.1.1.1, sip: {udp: 5060},\n"
                                 "           rtp: {ports: 30000-30999}}\n",
                                 "inside"),
                           1);
    struct phone a, u;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&u, r, 1, "1001", "10.1.1.41:5062");
    memcpy(u.password, "one", sizeof("one"));
    talk_register(&u, 600);
    phone_request(&a, "MESSAGE", "sip:1001@example.test", "one");
    EXPECT(&u, "MESSAGE");
    phone_answer(&u, 200, NULL);
    EXPECT(&a, "200 MESSAGE");
    rig_reload(r, HOUSE("", "outside"));
    phone_renew(&a);
    phone_request(&a, "MESSAGE", "sip:1001@example.test", "two");
    EXPECT(&a, "480 MESSAGE");
    QUIET(&u);
    rig_down(r);
#undef HOUSE
}

static void messages_without_anybody_to_go_to_are_refused(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_request(&t.a, "MESSAGE", "sip:1001@example.test", "x");
    EXPECT(&t.a, "480 MESSAGE");
    phone_renew(&t.a);
    phone_request(&t.a, "MESSAGE", "sip:1999@example.test", "x");
    EXPECT(&t.a, "404 MESSAGE");
    phone_renew(&t.a);
    phone_request(&t.a, "MESSAGE", "sip:777@example.test", "x");
    EXPECT(&t.a, "404 MESSAGE");
    phone_renew(&t.a);
    t.a.hops = 0;
    phone_request(&t.a, "MESSAGE", CALLED, "x");
    EXPECT(&t.a, "483 MESSAGE");
    phone_renew(&t.a);
    t.a.hops = 70;
    call_drain(rig_calls(t.r));
    phone_request(&t.a, "MESSAGE", CALLED, "x");
    EXPECT(&t.a, "503 MESSAGE");
}

static void a_repeated_message_is_carried_once(void **state)
{
    struct pair t;
    char text[RIG_TEXT_MAX] = "MESSAGE " CALLED " SIP/2.0\r\n"
                              "Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK-once;rport\r\n"
                              "Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.30>;tag=once-1\r\n"
                              "To: <" CALLED ">\r\nCall-ID: once-0001\r\nCSeq: 1 MESSAGE\r\n"
                              "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    pair_init(&t, *state);
    phone_send_raw(&t.a, text);
    EXPECT(&t.b, "MESSAGE");
    phone_send_raw(&t.a, text);
    QUIET(&t.b);
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    phone_send_raw(&t.a, text);
    EXPECT(&t.a, "200 MESSAGE");
    QUIET(&t.b);
}

static void what_is_in_no_dialog_of_ours_is_refused_by_method(void **state)
{
    static const struct {
        const char *method, *heard;
    } cases[] = {{"OPTIONS", "200 OPTIONS"}, {"BYE", "481 BYE"},
                 {"INFO", "481 INFO"},       {"REFER", "405 REFER"},
                 {"NOTIFY", "405 NOTIFY"},   {"SUBSCRIBE", "405 SUBSCRIBE"},
                 {"PRACK", "481 PRACK"},     {"UPDATE", "481 UPDATE"},
                 {"DANCE", "501 DANCE"},     {"CANCEL", "481 CANCEL"}};
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        phone_renew(&t.a);
        phone_request(&t.a, cases[i].method, CALLED, NULL);
        EXPECT(&t.a, cases[i].heard);
    }
    memcpy(t.a.remote_tag, "unknown-tag", sizeof("unknown-tag"));
    phone_request(&t.a, "INVITE", CALLED, NULL);
    EXPECT(&t.a, "481 INVITE");
    phone_send_raw(&t.a, "ACK " CALLED " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.30;branch=z9hG4bKq\r\n"
                         "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\n"
                         "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n");
    QUIET(&t.a);
    assert_int_equal(stat_sum(STAT_SIP_DROP_ACK), 1);
    assert_int_equal(fake_store.n_calls, 0);
}

static void the_same_call_by_two_ways_is_a_482(void **state)
{
    struct pair t;
    char *at, twin[RIG_TEXT_MAX];

    pair_init(&t, *state);
    pair_ring(&t);
    memcpy(twin, t.a.invite, sizeof(twin));
    at = strstr(twin, "branch=z9hG4bK-");
    assert_non_null(at);
    memcpy(at + 15, "twin", 4);
    phone_send_raw(&t.a, twin);
    EXPECT(&t.a, "482 INVITE");
    QUIET(&t.b);
    pair_answer(&t);
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_message_to_a_peer_is_carried_and_answered),
        FLOW_TEST(a_message_goes_to_the_next_target_when_one_fails),
        FLOW_TEST(a_silent_target_of_a_message_is_left_within_two_seconds),
        FLOW_TEST(a_message_that_nobody_answers_is_a_408),
        FLOW_TEST(a_message_reaches_the_devices_of_a_user_under_the_senders_own_name),
        cmocka_unit_test(a_message_does_not_follow_a_device_to_a_listener_that_users_have_left),
        FLOW_TEST(messages_without_anybody_to_go_to_are_refused),
        FLOW_TEST(a_repeated_message_is_carried_once),
        FLOW_TEST(what_is_in_no_dialog_of_ours_is_refused_by_method),
        FLOW_TEST(the_same_call_by_two_ways_is_a_482),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
