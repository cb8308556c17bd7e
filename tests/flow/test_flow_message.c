/* test_flow_message.c - MESSAGE outside a call: to users and peers, with failover. */
#include "rig.h"

#define HOUSE_OF(to, limits)                                                                       \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32]" limits "}\n"                         \
    "  pbx: {listener: inside, targets: [\"sip:10.1.1.20:5070\"]}\n"                               \
    "users: {domain: example.test, listener: outside,\n"                                           \
    "        accounts: [{name: '1001', password: one}]}\n"                                         \
    "routes: [{name: internal, to: [" to "]}]\n"
#define HOUSE_TCP HOUSE_OF("users, pbx", "")
#define HOUSE_LAST HOUSE_OF("pbx, users", "")
#define HOUSE_LIMITED HOUSE_OF("users", ", limits: {requests_per_second: 2, request_burst: 2}")

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

/* The first target answers so; the second has the message now. */
static void first_target_fails(struct pair *t, struct phone *second, struct rig *r, unsigned status)
{
    pair_init(t, r);
    phone_init(second, r, 1, "bob2", "10.1.1.21:5070");
    phone_request(&t->a, "MESSAGE", CALLED, "one");
    EXPECT(&t->b, "MESSAGE");
    phone_answer(&t->b, status, NULL);
    EXPECT(second, "MESSAGE");
}

static void a_message_goes_to_the_next_target_when_one_fails(void **state)
{
    struct pair t;
    struct phone second;

    first_target_fails(&t, &second, *state, 503);
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

/* --- a user with two devices --- */

struct home {
    struct rig *r;
    struct phone a, desk, cell; /* a: the carrier; the others: 1001 */
};

static void device(struct phone *p, struct rig *r, const char *at, enum sip_transport t)
{
    phone_init(p, r, 1, "1001", at);
    memcpy(p->password, "one", sizeof("one"));
    phone_on(p, 0, t);
    talk_register(p, 600);
}

static void home_up(struct home *h, struct rig *r, enum sip_transport cell)
{
    h->r = r;
    phone_init(&h->a, r, 0, "alice", "192.0.2.30:5060");
    device(&h->desk, r, "192.0.2.41:5062", SIP_UDP);
    device(&h->cell, r, "192.0.2.44:5066", cell);
}

static void home_message(struct home *h)
{
    char branch[2][64];
    struct phone *to[2] = {&h->desk, &h->cell};

    phone_request(&h->a, "MESSAGE", "sip:1001@203.0.113.1", "psst");
    for (size_t i = 0; i < 2; i++) {
        const char *m = EXPECT(to[i], "MESSAGE");
        const char *at = strstr(m, "branch=");

        HAS(m, "\r\n\r\npsst");
        assert_non_null(at);
        memcpy(branch[i], at, sizeof(branch[i]) - 1);
        branch[i][strcspn(branch[i], ";\r")] = '\0';
    }
    assert_string_not_equal(branch[0], branch[1]); /* transactions of their own */
    QUIET(&h->a);
}

static void all_devices_of_a_user_get_a_message_and_the_first_2xx_answers_it(void **state)
{
    struct home h;

    home_up(&h, *state, SIP_UDP);
    home_message(&h);
    phone_answer(&h.cell, 486, NULL);
    QUIET(&h.a); /* another one may take it */
    phone_answer(&h.desk, 202, NULL);
    EXPECT(&h.a, "202 MESSAGE");
    home_message(&h);
    phone_answer(&h.desk, 200, NULL);
    EXPECT(&h.a, "200 MESSAGE");
    phone_answer(&h.cell, 200, NULL);
    QUIET(&h.a);
    assert_int_equal(rig_count_sent(h.r, "MESSAGE "), 4);
}

static void a_silent_device_is_asked_on_after_another_has_taken_the_message(void **state)
{
    struct home h;

    home_up(&h, *state, SIP_UDP);
    home_message(&h);
    phone_answer(&h.desk, 200, NULL);
    EXPECT(&h.a, "200 MESSAGE");
    rig_advance(h.r, 500);
    EXPECT(&h.cell, "MESSAGE"); /* Timer E: it may just have been away */
    rig_advance(h.r, 40000);
    phone_drop_mail(&h.cell);
    QUIET(&h.desk);
    QUIET(&h.a);
}

static void a_message_over_tcp_and_udp_reaches_both(void **state)
{
    struct rig *r = rig_up(HOUSE_TCP, 1);
    struct home h;

    (void)state;
    home_up(&h, r, SIP_TCP);
    home_message(&h);
    rig_advance(r, 500);
    EXPECT(&h.desk, "MESSAGE");
    QUIET(&h.cell); /* TCP repeats by itself */
    phone_answer(&h.cell, 200, NULL);
    EXPECT(&h.a, "200 MESSAGE");
    phone_answer(&h.desk, 200, NULL);
    rig_down(r);
}

static void the_best_failure_answers_when_no_device_takes_a_message(void **state)
{
    static const struct {
        unsigned desk, cell;
        const char *heard;
    } cases[] = {{486, 503, "486 MESSAGE"}, {503, 486, "486 MESSAGE"}, {404, 603, "603 MESSAGE"},
                 {603, 404, "603 MESSAGE"}, {401, 500, "502 MESSAGE"}, {302, 302, "480 MESSAGE"}};
    struct home h;

    home_up(&h, *state, SIP_UDP);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        home_message(&h);
        phone_answer(&h.desk, cases[i].desk, NULL);
        QUIET(&h.a);
        phone_answer(&h.cell, cases[i].cell, NULL);
        EXPECT(&h.a, cases[i].heard);
    }
    home_message(&h);
    phone_answer(&h.desk, 603, NULL);
    phone_answer(&h.cell, 200, NULL); /* a person elsewhere may still want it */
    EXPECT(&h.a, "200 MESSAGE");
}

static void a_failure_is_told_while_the_sender_still_waits_for_it(void **state)
{
    struct home h;

    home_up(&h, *state, SIP_UDP);
    home_message(&h);
    phone_answer(&h.desk, 486, NULL);
    rig_advance(h.r, 15999);
    QUIET(&h.a);
    rig_advance(h.r, 1);
    EXPECT(&h.a, "486 MESSAGE");
    phone_answer(&h.cell, 200, NULL); /* too late to be news */
    QUIET(&h.a);
    phone_drop_mail(&h.cell);
    home_message(&h);
    rig_advance(h.r, 34000);
    phone_drop_mail(&h.desk);
    phone_drop_mail(&h.cell);
    EXPECT(&h.a, "408 MESSAGE");
}

static void a_device_that_cannot_be_reached_leaves_the_message_to_the_other(void **state)
{
    struct home h;

    home_up(&h, *state, SIP_UDP);
    rig_block(h.r, "192.0.2.44:5066", EHOSTUNREACH);
    phone_request(&h.a, "MESSAGE", "sip:1001@203.0.113.1", "psst");
    EXPECT(&h.desk, "MESSAGE");
    phone_answer(&h.desk, 486, NULL);
    EXPECT(&h.a, "486 MESSAGE");
    rig_block(h.r, "192.0.2.41:5062", EHOSTUNREACH);
    phone_request(&h.a, "MESSAGE", "sip:1001@203.0.113.1", "psst");
    EXPECT(&h.a, "480 MESSAGE");
}

static void devices_that_say_nothing_leave_the_message_to_the_next_target(void **state)
{
    struct rig *r = rig_up(HOUSE_TCP, 1);
    struct phone pbx;
    struct home h;

    (void)state;
    home_up(&h, r, SIP_UDP);
    phone_init(&pbx, r, 1, "bob", "10.1.1.20:5070");
    home_message(&h);
    phone_answer(&h.desk, 486, NULL);
    rig_advance(r, 1999);
    QUIET(&pbx);
    rig_advance(r, 1);
    EXPECT(&pbx, "MESSAGE");
    phone_answer(&pbx, 200, NULL);
    EXPECT(&h.a, "200 MESSAGE");
    phone_drop_mail(&h.cell);
    phone_answer(&h.cell, 200, NULL); /* too late to be news */
    QUIET(&h.a);
    rig_down(r);
}

static void a_message_to_two_devices_counts_once(void **state)
{
    struct rig *r = rig_up(HOUSE_LIMITED, 1);
    struct home h;

    (void)state;
    home_up(&h, r, SIP_UDP);
    rig_advance(r, 10000);
    for (size_t i = 0; i < 2; i++) {
        home_message(&h);
        phone_answer(&h.desk, 200, NULL);
        phone_answer(&h.cell, 200, NULL);
        EXPECT(&h.a, "200 MESSAGE");
    }
    phone_request(&h.a, "MESSAGE", "sip:1001@203.0.113.1", "one too many");
    EXPECT(&h.a, "503 MESSAGE");
    rig_down(r);
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

static const char once[] = "MESSAGE " CALLED " SIP/2.0\r\n"
                           "Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK-once;rport\r\n"
                           "Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.30>;tag=once-1\r\n"
                           "To: <" CALLED ">\r\nCall-ID: once-0001\r\nCSeq: 1 MESSAGE\r\n"
                           "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

/* The kernel gives what comes by another port to either worker. */
static void carried_once(struct rig *r, unsigned n_workers)
{
    char text[sizeof(once)];
    struct pair t;

    pair_init(&t, r);
    memcpy(text, once, sizeof(once));
    phone_send_raw(&t.a, text);
    EXPECT(&t.b, "MESSAGE");
    t.a.worker = n_workers - 1;
    phone_send_raw(&t.a, text);
    QUIET(&t.b);
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    phone_send_raw(&t.a, text);
    EXPECT(&t.a, "200 MESSAGE");
    QUIET(&t.b);
    memcpy(strstr(text, "z9hG4bK-once"), "z9hG4bK-twin", 12); /* RFC 3261 8.2.2.2 */
    phone_send_raw(&t.a, text);
    EXPECT(&t.a, "482 MESSAGE");
    QUIET(&t.b);
}

static void a_repeated_message_is_carried_once(void **state)
{
    carried_once(*state, 1);
}

static void a_message_repeated_to_another_worker_is_carried_once(void **state)
{
    struct rig *r = rig_up(NULL, 2);

    (void)state;
    carried_once(r, 2);
    rig_down(r);
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

static void the_best_failure_of_all_targets_is_told(void **state)
{
    struct pair t;
    struct phone second;

    first_target_fails(&t, &second, *state, 404);
    phone_answer(&second, 500, NULL);
    EXPECT(&t.a, "404 MESSAGE");
}

/* Also when the last targets are devices, of which one says nothing. */
static void the_best_failure_is_told_though_a_device_is_silent(void **state)
{
    struct rig *r = rig_up(HOUSE_LAST, 1);
    struct phone a, pbx, says, silent;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&pbx, r, 1, "1001", "10.1.1.20:5070");
    device(&says, r, "192.0.2.41:5062", SIP_UDP);
    device(&silent, r, "192.0.2.44:5066", SIP_UDP);
    phone_request(&a, "MESSAGE", "sip:1001@203.0.113.1", "psst");
    EXPECT(&pbx, "MESSAGE");
    phone_answer(&pbx, 486, NULL);
    EXPECT(&says, "MESSAGE");
    phone_answer(&says, 500, NULL);
    r->is_noisy = true; /* repetitions for the other one */
    rig_advance(r, 17000);
    EXPECT(&a, "486 MESSAGE");
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(the_best_failure_of_all_targets_is_told),
        cmocka_unit_test(the_best_failure_is_told_though_a_device_is_silent),
        FLOW_TEST(a_message_to_a_peer_is_carried_and_answered),
        FLOW_TEST(a_message_goes_to_the_next_target_when_one_fails),
        FLOW_TEST(a_silent_target_of_a_message_is_left_within_two_seconds),
        FLOW_TEST(a_message_that_nobody_answers_is_a_408),
        FLOW_TEST(a_message_reaches_the_devices_of_a_user_under_the_senders_own_name),
        FLOW_TEST(all_devices_of_a_user_get_a_message_and_the_first_2xx_answers_it),
        FLOW_TEST(a_silent_device_is_asked_on_after_another_has_taken_the_message),
        cmocka_unit_test(a_message_over_tcp_and_udp_reaches_both),
        FLOW_TEST(the_best_failure_answers_when_no_device_takes_a_message),
        FLOW_TEST(a_failure_is_told_while_the_sender_still_waits_for_it),
        FLOW_TEST(a_device_that_cannot_be_reached_leaves_the_message_to_the_other),
        cmocka_unit_test(devices_that_say_nothing_leave_the_message_to_the_next_target),
        cmocka_unit_test(a_message_to_two_devices_counts_once),
        cmocka_unit_test(a_message_does_not_follow_a_device_to_a_listener_that_users_have_left),
        FLOW_TEST(messages_without_anybody_to_go_to_are_refused),
        FLOW_TEST(a_repeated_message_is_carried_once),
        cmocka_unit_test(a_message_repeated_to_another_worker_is_carried_once),
        FLOW_TEST(what_is_in_no_dialog_of_ours_is_refused_by_method),
        FLOW_TEST(the_same_call_by_two_ways_is_a_482),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
