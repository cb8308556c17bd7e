/* test_flow_egress.c - the last look at what goes out: what one side's messages say of the other is
 * masked, held back or reported, counted and recorded; and what is said on purpose goes through. */
#include "rig.h"

#include <stdio.h>

#define PLACES(carrier, pbx)                                                                       \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: "                           \
    "[\"sip:192.0.2.30:5060\"]" carrier "}\n"                                                      \
    "  pbx: {listener: inside, sources: [10.1.0.0/16], targets: "                                  \
    "[\"sip:10.1.1.20:5070\"]" pbx "}\n"
#define HOUSE(carrier, pbx)                                                                        \
    PLACES(carrier, pbx)                                                                           \
    "routes:\n"                                                                                    \
    "  - {name: in, from: carrier, to: pbx}\n"                                                     \
    "  - {name: out, from: pbx, to: carrier}\n"

/* The caller's name in From says where he sits. */
static void call_as(struct pair *t, const char *display)
{
    int n = snprintf(t->a.local, sizeof(t->a.local), "\"%s\" <sip:alice@example.net>", display);

    assert_true(n > 0 && (size_t)n < sizeof(t->a.local));
    phone_invite(&t->a, "sip:+4930123@203.0.113.1", phone_sdp(&t->a, NULL));
    EXPECT(&t->a, "100 INVITE");
}

static void busy(struct pair *t, const char *heard)
{
    talk_refuse(&t->b, 486, &t->a, heard);
}

static void what_names_the_caller_is_masked_and_recorded(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_as(&t, "Office 192.0.2.30, old");
    EXPECT(&t.b, "INVITE");
    HAS(t.b.got, "From: \"Office 000.0.0.00, old\" <sip:alice@10.1.1.1>;tag=");
    busy(&t, "486 INVITE"); /* ACK of the failure repeats the same From */
    LACKS(t.b.got, "192.0.2.30");
    HAS(talk_record()->detail, "\"topology_leaks\":[{\"leg\":\"b\",\"method\":\"INVITE\","
                               "\"status\":0,\"field\":\"From\",\"kind\":\"address\","
                               "\"found\":\"192.0.2.30\",\"action\":\"masked\"}]");
    r->leaks_due = 1;
    rig_down(r);
}

static void every_message_of_the_dialog_is_masked_alike(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_as(&t, "192.0.2.30");
    EXPECT(&t.b, "INVITE");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    HAS(t.b.got, "From: \"000.0.0.00\" <sip:");
    EXPECT(&t.a, "200 INVITE");
    phone_ack(&t.a, NULL);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.b, "BYE");
    HAS(t.b.got, "From: \"000.0.0.00\" <sip:");
    phone_answer(&t.b, 200, NULL);
    r->leaks_due = 3;
    rig_down(r);
}

static void a_refusing_side_gets_no_such_call(void **state)
{
    struct rig *r = rig_up(HOUSE("", ", topology: {hide: all, on_leak: refuse}"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_as(&t, "192.0.2.30");
    EXPECT(&t.a, "500 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    HAS(talk_record()->detail, "\"action\":\"refused\"");
    HAS(talk_record()->detail, "\"reason\":\"the request would have named the other side\"");
    r->leaks_due = 1;
    rig_down(r);
}

static void a_reporting_side_gets_it_all(void **state)
{
    struct rig *r = rig_up(HOUSE("", ", topology: {on_leak: report}"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_as(&t, "192.0.2.30");
    EXPECT(&t.b, "INVITE");
    HAS(t.b.got, "From: \"192.0.2.30\" <sip:alice@10.1.1.1>;tag=");
    busy(&t, "486 INVITE");
    HAS(talk_record()->detail, "\"action\":\"reported\"");
    r->is_leaky = true;
    r->leaks_due = 1;
    rig_down(r);
}

/* A refusal has to come, and its words may be anybody's: a callout's, too. */
static void words_of_a_refusal_that_say_too_much_are_left_out(void **state)
{
    static const char *const modes[] = {"mask", "refuse"};
    char text[2048];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct rig *r;
        struct pair t;

        assert_true(
            snprintf(text, sizeof(text),
                     PLACES(", topology: {on_leak: %s}",
                            "") "routes:\n"
                                "  - {name: no, refuse: {status: 603, reason: Ask 10.1.1.20}}\n",
                     modes[i]) < (int)sizeof(text));
        r = rig_up(text, 1);
        pair_init(&t, r);
        call_as(&t, "Alice");
        EXPECT(&t.a, "603 INVITE");
        HAS(t.a.got, "SIP/2.0 603 Decline\r\n");
        LACKS(t.a.got, "10.1.1.20");
        phone_ack_failure(&t.a);
        r->leaks_due = 1;
        rig_down(r);
    }
}

/* --- rules --- */

#define WHY "{action: copy, name: X-Why, messages: responses"

static void copy_of(const char *carrier, const char *extra, const char *heard, const char *value,
                    unsigned leaks)
{
    struct rig *r = rig_up(carrier, 1);
    struct pair t;

    pair_init(&t, r);
    call_as(&t, "Alice");
    EXPECT(&t.b, "INVITE");
    assert_int_equal(sl_cstr(sl_str(extra), t.b.extra, sizeof(t.b.extra)), 0);
    busy(&t, heard);
    if (value != NULL) {
        HAS(t.a.got, value);
    } else {
        LACKS(t.a.got, "X-Why");
    }
    r->leaks_due = leaks;
    r->is_leaky = leaks == 0; /* on purpose */
    rig_down(r);
}

static void what_a_rule_copies_is_looked_at(void **state)
{
    (void)state;
    copy_of(HOUSE(", headers: [" WHY "}]", ""), "X-Why: at 10.1.77.8:99\r\n", "486 INVITE",
            "X-Why: at 00.0.00.0:99\r\n", 1); /* any host of the PBX's network */
    copy_of(HOUSE(", headers: [" WHY "}], topology: {on_leak: refuse}", ""),
            "X-Why: at 10.1.77.8:99\r\n", "486 INVITE", NULL, 1); /* the answer must come */
    copy_of(HOUSE(", headers: [" WHY "}]", ""), "X-Why: 10.1.77.8.9 7.10.1.77.8, 110.1.77.8\r\n",
            "486 INVITE", "X-Why: 10.1.77.8.9 7.10.1.77.8, 110.1.77.8\r\n", 0);
}

static void what_a_rule_says_on_purpose_goes_out(void **state)
{
    (void)state;
    copy_of(HOUSE(", headers: [" WHY ", reveal: true}]", ""), "X-Why: 10.1.1.20\r\n", "486 INVITE",
            "X-Why: 10.1.1.20\r\n", 0);
    copy_of(HOUSE(", headers: [{action: set, name: X-Why, value: 10.1.1.20}]", ""), "",
            "486 INVITE", "X-Why: 10.1.1.20\r\n", 0);
}

static void identifiers_of_the_other_dialog_are_found(void **state)
{
    struct rig *r =
        rig_up(HOUSE("", ", headers: [{action: copy, name: Call-Info, messages: requests}]"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_renew(&t.a);
    assert_true(strlen(t.a.call_id) >= 6 && strlen(t.a.tag) >= 6);
    assert_true(snprintf(t.a.extra, sizeof(t.a.extra), "Call-Info: <id:%s>;t=%s;u=x%s\r\n",
                         t.a.call_id, t.a.tag, t.a.tag) > 0);
    phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    HAS(t.b.got, "Call-Info: <id:");
    LACKS(t.b.got, t.a.call_id);
    busy(&t, "486 INVITE");
    r->is_leaky = true; /* the third is another word that ends alike */
    r->leaks_due = 2;
    rig_down(r);
}

/* Names that belong to no listener and no peer: only the message itself says that they are his. */
static void what_the_caller_calls_himself_is_not_told(void **state)
{
    static const char *const hosts[] = {"home.lab.test", "box.lab.test", "near.lab.test"};
    struct rig *r =
        rig_up(HOUSE("", ", headers: [{action: copy, name: X-Note, messages: requests}]"), 1);
    struct pair t;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        pair_init(&t, r);
        phone_renew(&t.a);
        if (i == 0) {
            (void)snprintf(t.a.local, sizeof(t.a.local), "<sip:alice@%s>", hosts[i]);
        } else if (i == 1) {
            (void)snprintf(t.a.contact, sizeof(t.a.contact), "Contact: <sip:a@%s>\r\n", hosts[i]);
        }
        (void)snprintf(t.a.extra, sizeof(t.a.extra), "X-Note: I am %s\r\n%s%s%s", hosts[i],
                       i == 2 ? "Record-Route: <sip:" : "", i == 2 ? hosts[i] : "",
                       i == 2 ? ";lr>\r\n" : "");
        phone_invite(&t.a, "sip:+4930123@203.0.113.1", phone_sdp(&t.a, NULL));
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.b, "INVITE");
        HAS(t.b.got, "X-Note: I am xxx");
        LACKS(t.b.got, hosts[i]);
        t.b.extra[0] = '\0';
        busy(&t, "486 INVITE");
    }
    r->leaks_due = COUNT_OF(hosts);
    rig_down(r);
}

/* --- bodies, and what is outside of calls --- */

/* There is no call that knows them: they are read from the message as it goes. */
static void a_message_does_not_tell_what_its_sender_calls_himself(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;
    char text[512];

    (void)state;
    pair_init(&t, r);
    phone_renew(&t.a);
    (void)snprintf(t.a.local, sizeof(t.a.local), "<sip:alice@home.lab.test>");
    (void)snprintf(text, sizeof(text), "home.lab.test %s %s", t.a.call_id, t.a.tag);
    phone_request(&t.a, "MESSAGE", "sip:+4930123@203.0.113.1", text);
    EXPECT(&t.b, "MESSAGE");
    HAS(t.b.got, "\r\n\r\nxxxx.xxx.xxxx ");
    LACKS(t.b.got, t.a.call_id);
    LACKS(t.b.got, t.a.tag);
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    r->leaks_due = 3;
    rig_down(r);
}

static void bodies_are_searched_too(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_request(&t.a, "MESSAGE", "sip:+4930123@203.0.113.1", "I sit at 192.0.2.30, and you?");
    EXPECT(&t.b, "MESSAGE");
    HAS(t.b.got, "\r\n\r\nI sit at 000.0.0.00, and you?");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    pair_up(&t);
    memcpy(t.b.extra, "Content-Type: message/imdn+xml\r\n",
           sizeof("Content-Type: message/imdn+xml\r\n"));
    phone_request(&t.b, "INFO", NULL, "<a h=\"10.1.1.1\" v='1.0'/>");
    EXPECT(&t.a, "INFO");
    HAS(t.a.got, "<a h=\"00.0.0.0\" v='1.0'/>");
    phone_answer(&t.a, 200, NULL);
    EXPECT(&t.b, "200 INFO");
    t.b.extra[0] = '\0';
    pair_bye(&t);
    r->leaks_due = 2;
    rig_down(r);
}

/* Who asked by UPDATE hears something in any case, and the call ends as the sides differ. */
static void consent_that_may_not_go_out_is_a_refusal(void **state)
{
    struct rig *r = rig_up(HOUSE(", topology: {hide: all, on_leak: refuse}", ""), 1);
    struct pair t;
    char sdp[1024];

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    phone_request(&t.a, "UPDATE", NULL, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "INVITE");
    assert_true(
        snprintf(sdp, sizeof(sdp), "%sa=fmtp:8 at=10.1.1.20\r\n", phone_sdp(&t.b, "recvonly")) > 0);
    phone_answer(&t.b, 200, sdp);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "500 UPDATE");
    talk_cut(&t.a, &t.b);
    talk_record_is("callee", "answer could not be sent", 200);
    r->leaks_due = 1;
    rig_down(r);
}

/* What we hide cannot be found out by asking: the guess comes back as it was, right or wrong. */
static void guesses_come_back_unchanged(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct phone p;

    (void)state;
    phone_init(&p, r, 0, "mallory", "198.51.100.99:5060");
    phone_request(&p, "OPTIONS", "sip:10.1.1.20", NULL);
    EXPECT(&p, "200 OPTIONS");
    HAS(p.got, "To: <sip:10.1.1.20>");
    phone_renew(&p);
    phone_request(&p, "OPTIONS", "sip:10.9.9.9", NULL);
    EXPECT(&p, "200 OPTIONS");
    HAS(p.got, "To: <sip:10.9.9.9>");
    rig_down(r);
}

/* Everything in one place, as in a demonstration on one machine: one address everywhere. */
static void one_address_on_both_sides_is_no_secret(void **state)
{
    struct rig *r = rig_up("listeners:\n"
                           "  outside: {address: 127.0.0.1, sip: {udp: 5060},\n"
                           "            rtp: {ports: 20000-20999}}\n"
                           "  inside: {address: 127.0.0.1, sip: {udp: 5080},\n"
                           "           rtp: {ports: 30000-30999}}\n"
                           "peers:\n"
                           "  carrier: {listener: outside, sources: [127.0.0.1/32],\n"
                           "            targets: [\"sip:127.0.0.1:6000\"]}\n"
                           "  pbx: {listener: inside, sources: [127.0.0.1/32],\n"
                           "        targets: [\"sip:127.0.0.1:7000\"]}\n"
                           "routes: [{name: in, from: carrier, to: pbx}]\n",
                           1);
    struct phone a, b;
    struct pair t;

    (void)state;
    phone_init(&a, r, 0, "alice", "127.0.0.1:6000");
    phone_init(&b, r, 1, "bob", "127.0.0.1:7000");
    phone_on(&b, 1, SIP_UDP);
    t = (struct pair){.r = r, .a = a, .b = b};
    phone_invite(&t.a, "sip:+4930123@127.0.0.1", phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    busy(&t, "486 INVITE");
    r->is_leaky = true; /* the scanner of the tests takes addresses for secrets */
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_names_the_caller_is_masked_and_recorded),
        cmocka_unit_test(every_message_of_the_dialog_is_masked_alike),
        cmocka_unit_test(a_refusing_side_gets_no_such_call),
        cmocka_unit_test(a_reporting_side_gets_it_all),
        cmocka_unit_test(words_of_a_refusal_that_say_too_much_are_left_out),
        cmocka_unit_test(what_a_rule_copies_is_looked_at),
        cmocka_unit_test(what_a_rule_says_on_purpose_goes_out),
        cmocka_unit_test(identifiers_of_the_other_dialog_are_found),
        cmocka_unit_test(what_the_caller_calls_himself_is_not_told),
        cmocka_unit_test(a_message_does_not_tell_what_its_sender_calls_himself),
        cmocka_unit_test(bodies_are_searched_too),
        cmocka_unit_test(consent_that_may_not_go_out_is_a_refusal),
        cmocka_unit_test(guesses_come_back_unchanged),
        cmocka_unit_test(one_address_on_both_sides_is_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
