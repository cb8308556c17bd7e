/* test_flow_moved.c - callees that answer 301 or 302: refused, or told to the caller as a number at
 * our own address. */
#include "rig.h"

#include <stdio.h>

#define PASS "reliable_provisional: off, redirection: pass"

static struct rig *house(const char *pbx, const char *users)
{
    static char yaml[2048];

    (void)snprintf(
        yaml, sizeof(yaml),
        "listeners:\n"
        "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5062},\n"
        "            rtp: {ports: 20000-20999}}\n"
        "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
        "peers:\n"
        "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: ['sip:192.0.2.30']}\n"
        "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: ['sip:10.1.1.20:5070'], %s}\n"
        "users:\n  domain: example.test\n  listener: outside\n  %s\n"
        "  accounts: [{name: \"1001\", password: one}, {name: \"1002\", password: two}]\n"
        "routes:\n"
        "  - {name: internal, from: [users, carrier], match: {called: \"1???\"}, to: users}\n"
        "  - {name: inbound, from: [carrier, users], to: [pbx]}\n",
        pbx, users);
    return rig_up(yaml, 1);
}

/* b answers the call with this and that Contact; a hears what. */
static const char *move(struct pair *t, unsigned status, const char *contacts, const char *heard)
{
    const char *m;

    talk_start(&t->a, &t->b);
    memcpy(t->b.contact, contacts, strlen(contacts) + 1);
    phone_answer_invite(&t->b, status, NULL);
    EXPECT(&t->b, "ACK");
    m = EXPECT(&t->a, heard);
    LACKS(m, "10.1.1.");
    LACKS(m, "Bob");
    phone_ack_failure(&t->a);
    phone_renew(&t->a);
    phone_renew(&t->b);
    t->b.contact[0] = '\0';
    return m;
}

#define ELSEWHERE "Contact: \"Bob\" <sip:+4930555;rn=+49301@10.1.1.99:5070;x=y>;q=0.7\r\n"

static void a_callee_that_moved_is_not_there(void **state)
{
    struct rig *r = house("drain: false", "redirection: refuse");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    LACKS(move(&t, 302, ELSEWHERE, "480 INVITE"), "Contact:");
    rig_down(r);
}

static void the_caller_is_told_the_number_and_nothing_else(void **state)
{
    static const char *const nothing[] = {"Subject: none\r\n", "Contact: <sip:10.1.1.99>\r\n",
                                          "Contact: *\r\n", "Contact: <sip:\r\n"};
    struct rig *r = house(PASS, "redirection: pass");
    struct pair t;

    (void)state;
    r->is_leaky = true; /* the number is told on purpose */
    pair_init(&t, r);
    HAS(move(&t, 302, ELSEWHERE, "302 INVITE"),
        "\r\nContact: <sip:+4930555;rn=+49301@203.0.113.1:5060>\r\n");
    HAS(move(&t, 301, "Contact: tel:+4930556\r\n" ELSEWHERE, "301 INVITE"),
        "\r\nContact: <sip:+4930556@203.0.113.1:5060>\r\n");
    LACKS(move(&t, 300, ELSEWHERE, "480 INVITE"), "Contact:");
    LACKS(move(&t, 305, ELSEWHERE, "480 INVITE"), "Contact:");
    for (size_t i = 0; i < COUNT_OF(nothing); i++) {
        LACKS(move(&t, 302, nothing[i], "480 INVITE"), "Contact:");
    }
    rig_down(r);
}

static void a_caller_by_connection_is_told_how_to_come_back(void **state)
{
    struct rig *r = house(PASS, "redirection: pass");
    struct pair t;

    (void)state;
    r->is_leaky = true; /* the number is told on purpose */
    pair_init(&t, r);
    phone_on(&t.a, 0, SIP_TCP);
    HAS(move(&t, 302, ELSEWHERE, "302 INVITE"),
        "\r\nContact: <sip:+4930555;rn=+49301@203.0.113.1:5062;transport=tcp>\r\n");
    rig_down(r);
}

/* As long as another device rings nobody is sent away; what is best is told at the end. */
static void a_device_that_moved_waits_for_the_others(void **state)
{
    static const struct {
        unsigned last;
        const char *heard;
    } rows[] = {{486, "302 INVITE"}, {404, "302 INVITE"}, {603, "603 INVITE"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = house(PASS, "redirection: pass");
        struct phone a, b, c;

        phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
        phone_init(&b, r, 1, "1001", "192.0.2.41:5062");
        phone_init(&c, r, 1, "1001", "192.0.2.42:5062");
        memcpy(b.password, "one", sizeof("one"));
        memcpy(c.password, "one", sizeof("one"));
        talk_register(&b, 600);
        talk_register(&c, 600);
        phone_invite(&a, "sip:1001@example.test", phone_sdp(&a, NULL));
        EXPECT(&a, "100 INVITE");
        EXPECT(&b, "INVITE");
        EXPECT(&c, "INVITE");
        memcpy(b.contact, "Contact: <sip:1002@192.0.2.99>\r\n",
               sizeof("Contact: <sip:1002@192.0.2.99>\r\n"));
        phone_answer_invite(&b, 302, NULL);
        EXPECT(&b, "ACK");
        QUIET(&a);
        phone_answer_invite(&c, rows[i].last, NULL);
        EXPECT(&c, "ACK");
        EXPECT(&a, rows[i].heard);
        phone_ack_failure(&a);
        rig_down(r);
    }
}

/* Users know us by our domain. */
static void a_user_is_told_of_the_domain(void **state)
{
    struct rig *r = house(PASS, "redirection: pass");
    struct phone a, b;

    (void)state;
    phone_init(&a, r, 0, "1002", "192.0.2.51:5062");
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    memcpy(a.password, "two", sizeof("two"));
    phone_invite(&a, "sip:+4930123@example.test", phone_sdp(&a, NULL));
    EXPECT(&a, "407 INVITE");
    phone_ack_failure(&a);
    phone_credentials(&a, "INVITE", "sip:+4930123@example.test");
    phone_invite(&a, "sip:+4930123@example.test", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    memcpy(b.contact, "Contact: <sip:1001@10.1.1.20>\r\n",
           sizeof("Contact: <sip:1001@10.1.1.20>\r\n"));
    phone_answer_invite(&b, 302, NULL);
    EXPECT(&b, "ACK");
    HAS(EXPECT(&a, "302 INVITE"), "\r\nContact: <sip:1001@example.test>\r\n");
    phone_ack_failure(&a);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callee_that_moved_is_not_there),
        cmocka_unit_test(the_caller_is_told_the_number_and_nothing_else),
        cmocka_unit_test(a_caller_by_connection_is_told_how_to_come_back),
        cmocka_unit_test(a_device_that_moved_waits_for_the_others),
        cmocka_unit_test(a_user_is_told_of_the_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
