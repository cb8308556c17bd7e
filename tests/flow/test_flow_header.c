/* test_flow_header.c - header rules, status codes and identity on real messages: in what order,
 * from which side to which, and that framing is never theirs. */
#include "rig.h"

#include <stdio.h>

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
#define HOUSE(carrier, pbx)                                                                        \
    LISTENERS "peers:\n"                                                                           \
              "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: "                 \
              "[\"sip:192.0.2.30:5060\"]" carrier "}\n"                                            \
              "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: "                       \
              "[\"sip:10.1.1.20:5070\", \"sip:10.1.1.21:5070\"]" pbx "}\n"                         \
              "routes:\n"                                                                          \
              "  - {name: gold, match: {headers: [X-Class]}, to: pbx}\n"                           \
              "  - {name: in, from: carrier, match: {method: MESSAGE}, to: pbx}\n"

static void invite_with(struct pair *t, const char *extra)
{
    phone_renew(&t->a);
    memcpy(t->a.extra, extra, strlen(extra) + 1);
    phone_invite(&t->a, "sip:+4930123@203.0.113.1", phone_sdp(&t->a, NULL));
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
}

static void refuse_with(struct pair *t, unsigned status, const char *extra, const char *heard)
{
    memcpy(t->b.extra, extra, strlen(extra) + 1);
    talk_refuse(&t->b, status, &t->a, heard);
}

#define CARRIER_RULES                                                                              \
    ", headers: [{direction: in, action: rename, name: X-Old, to: X-Class},\n"                     \
    "    {direction: in, action: replace, name: X-Class, pattern: '^g(.*)$', value: 'G\\1'},\n"    \
    "    {action: copy, name: X-Why, to: X-Reason, messages: responses},\n"                        \
    "    {action: set, name: Server, value: edge, messages: responses}]"
#define PBX_RULES                                                                                  \
    ", headers: [{action: copy, name: X-Class, methods: [INVITE, MESSAGE]},\n"                     \
    "    {action: set, name: X-Edge, value: '1', messages: requests},\n"                           \
    "    {action: add, name: X-Gold, value: 'yes', if: 'X-Class: Gold'},\n"                        \
    "    {direction: in, action: set, name: X-Why, value: seen, if: X-Cause}]"

static void fields_go_through_both_sides_in_order(void **state)
{
    struct rig *r = rig_up(HOUSE(CARRIER_RULES, PBX_RULES), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, "X-Old: gold\r\nX-Other: no\r\n"); /* the route wants X-Class: `in` was first */
    HAS(t.b.got, "\r\nX-Class: Gold\r\nX-Edge: 1\r\nX-Gold: yes\r\n");
    LACKS(t.b.got, "X-Old");
    LACKS(t.b.got, "X-Other");
    HAS(t.b.got, "\r\nAllow: INVITE, ACK");
    refuse_with(&t, 486, "X-Cause: busy\r\n", "486 INVITE");
    HAS(t.a.got, "\r\nX-Reason: seen\r\nServer: edge\r\nContent-Length: 0\r\n");
    LACKS(t.a.got, "X-Cause");
    t.b.extra[0] = '\0';
    invite_with(&t, "X-Old: silver\r\n");
    HAS(t.b.got, "\r\nX-Class: silver\r\nX-Edge: 1\r\n");
    LACKS(t.b.got, "X-Gold");
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    HAS(t.a.got, "Server: edge\r\n");
    pair_answer(&t);
    HAS(t.a.ring[0] == '\0' ? t.a.got : t.a.ring, "Server: edge\r\n");
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.b, "BYE");
    HAS(t.b.got, "\r\nX-Edge: 1\r\nContent-Length: 0\r\n");
    phone_answer(&t.b, 200, NULL);
    rig_down(r);
}

static void a_message_follows_the_rules_too(void **state)
{
    struct rig *r = rig_up(HOUSE(CARRIER_RULES, PBX_RULES), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    memcpy(t.a.extra, "X-Class: gold\r\n", sizeof("X-Class: gold\r\n"));
    phone_request(&t.a, "MESSAGE", "sip:+4930123@203.0.113.1", "hello");
    EXPECT(&t.b, "MESSAGE");
    HAS(t.b.got, "\r\nX-Class: Gold\r\nX-Edge: 1\r\nX-Gold: yes\r\nContent-Type: text/plain\r\n");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    rig_down(r);
}

#define ANSWER_RULES                                                                               \
    ", headers: [{action: set, name: Server, value: edge, messages: responses,\n"                  \
    "      methods: [INFO, BYE, UPDATE, MESSAGE]},\n"                                              \
    "    {action: copy, name: X-Why, to: X-Reason, messages: responses,\n"                         \
    "      methods: [INFO, MESSAGE]}]"

static void answers_within_a_call_follow_the_rules_too(void **state)
{
    struct rig *r = rig_up(HOUSE(ANSWER_RULES, ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, "X-Class: any\r\n");
    pair_answer(&t);
    LACKS(t.a.got, "Server: edge"); /* INVITE is not named */
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    memcpy(t.b.extra, "X-Why: asked\r\n", sizeof("X-Why: asked\r\n"));
    phone_answer(&t.b, 200, NULL);
    t.b.extra[0] = '\0';
    EXPECT(&t.a, "200 INFO");
    HAS(t.a.got, "\r\nServer: edge\r\nX-Reason: asked\r\nContent-Length: 0\r\n");
    phone_request(&t.b, "INFO", NULL, "y"); /* the other side has no such rules */
    EXPECT(&t.a, "INFO");
    phone_answer(&t.a, 200, NULL);
    EXPECT(&t.b, "200 INFO");
    LACKS(t.b.got, "Server");
    phone_request(&t.a, "UPDATE", NULL, NULL);
    EXPECT(&t.a, "200 UPDATE");
    HAS(t.a.got, "\r\nServer: edge\r\n");
    LACKS(t.a.got, "X-Reason");
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    HAS(t.a.got, "\r\nServer: edge\r\n");
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    rig_down(r);
}

static void the_answer_to_a_message_follows_the_rules_too(void **state)
{
    struct rig *r = rig_up(HOUSE(ANSWER_RULES, ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_request(&t.a, "MESSAGE", "sip:+4930123@203.0.113.1", "hello");
    EXPECT(&t.b, "MESSAGE");
    memcpy(t.b.extra, "X-Why: read\r\n", sizeof("X-Why: read\r\n"));
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 MESSAGE");
    HAS(t.a.got, "\r\nServer: edge\r\nX-Reason: read\r\nContent-Length: 0\r\n");
    rig_down(r);
}

static void probes_follow_only_rules_that_name_options(void **state)
{
    struct rig *r =
        rig_up(HOUSE("", ", probe: {every: 10s, timeout: 1s},\n"
                         "    headers: [{action: set, name: X-All, value: us},\n"
                         "      {action: set, name: X-Probe, value: us, methods: [OPTIONS]}]"),
               1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    rig_advance(r, 10000);
    EXPECT(&t.b, "OPTIONS");
    HAS(t.b.got, "\r\nX-Probe: us\r\nContent-Length: 0\r\n");
    LACKS(t.b.got, "X-All");
    rig_reload(r, HOUSE("", ""));
    phone_drop_mail(&t.b);
    r->is_noisy = true;
    rig_down(r);
}

static void codes_are_translated_before_failover_and_before_the_caller(void **state)
{
    struct rig *r =
        rig_up(HOUSE(", replies: [{direction: out, codes: 404, status: 410}]",
                     ", replies: [{codes: 480, status: 503}, {codes: 486, status: 404}]"),
               1);
    struct pair t;
    struct phone second;

    (void)state;
    pair_init(&t, r);
    phone_init(&second, r, 1, "bob2", "10.1.1.21:5070");
    invite_with(&t, "X-Class: x\r\n");
    phone_answer_invite(&t.b, 480, NULL); /* 503 by the rule: the next target */
    EXPECT(&t.b, "ACK");
    EXPECT(&second, "INVITE");
    phone_answer_invite(&second, 486, NULL); /* 404, which the caller gets as 410 */
    EXPECT(&second, "ACK");
    EXPECT(&t.a, "410 INVITE");
    phone_ack_failure(&t.a);
    HAS(talk_record()->detail, "480"); /* as it was said */
    rig_down(r);
}

/* --- identity --- */

#define NAMED "X-Class: x\r\nP-Asserted-Identity: \"A\" <sip:030777@192.0.2.30>, <tel:+49>\r\n"

static void who_is_not_trusted_is_neither_believed_nor_told(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, NAMED);
    LACKS(t.b.got, "P-Asserted-Identity");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    invite_with(&t, NAMED "Privacy: id;critical\r\n");
    LACKS(t.b.got, "alice");
    LACKS(t.b.got, "Privacy");
    HAS(t.b.got, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    invite_with(&t, NAMED "Privacy: none\r\n");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
}

static void trusted_peers_tell_each_other(void **state)
{
    struct rig *r =
        rig_up(HOUSE(", identity: {trust: true}, numbers: {in: {calling: [{form: e164, country: "
                     "'49'}]}}",
                     ", identity: {trust: true}"),
               1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, NAMED "Privacy: id\r\n");
    HAS(t.b.got, "\r\nP-Asserted-Identity: \"A\" <sip:+4930777@10.1.1.1>\r\nPrivacy: id\r\n");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    LACKS(t.b.got, "192.0.2.30");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
}

static void the_trust_of_one_side_is_not_that_of_the_other(void **state)
{
    struct rig *r = rig_up(HOUSE("", ", identity: {trust: true}"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, NAMED "Privacy: id\r\n"); /* nobody vouches for it, but the wish goes on */
    LACKS(t.b.got, "P-Asserted-Identity");
    HAS(t.b.got, "\r\nPrivacy: id\r\n");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
    r = rig_up(HOUSE(", identity: {trust: true}", ", identity: {privacy: ignore}"), 1);
    pair_init(&t, r);
    invite_with(&t, NAMED "Privacy: user; id\r\n");
    LACKS(t.b.got, "P-Asserted-Identity");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
}

/* The first that names somebody counts (RFC 3325 9.1). */
static void an_identity_without_a_user_is_passed_over(void **state)
{
    struct rig *r = rig_up(HOUSE(", identity: {trust: true}", ", identity: {trust: true}"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, "X-Class: x\r\nP-Asserted-Identity: <sip:192.0.2.30>, <mailto:a@b.test>\r\n"
                    "P-Asserted-Identity: <tel:+4930777>\r\n");
    HAS(t.b.got, "\r\nP-Asserted-Identity: <sip:+4930777@10.1.1.1>\r\n");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
}

/* RFC 3323 4.2: "none" is the wish not to be hidden, whatever stands beside it. */
static void none_wins_over_other_wishes_for_privacy(void **state)
{
    struct rig *r = rig_up(HOUSE("", ""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, "X-Class: x\r\nPrivacy: id;none\r\n");
    HAS(t.b.got, "<sip:alice@10.1.1.1>;tag=");
    refuse_with(&t, 486, "", "486 INVITE");
    rig_down(r);
}

/* Who a user is says his account, never his From; a trusted side is told so. */
static void a_users_identity_is_his_account(void **state)
{
    struct rig *r = rig_up(LISTENERS "users: {domain: example.test, listener: outside,\n"
                                     "        accounts: [{name: \"1001\", password: one}]}\n"
                                     "peers:\n"
                                     "  pbx: {listener: inside, sources: [10.1.1.20/32],\n"
                                     "        targets: [\"sip:10.1.1.20:5070\"],\n"
                                     "        identity: {trust: true}}\n"
                                     "routes: [{name: out, from: users, to: pbx}]\n",
                           1);
    const char *uri = "sip:+4930123@example.test";
    struct phone a, b;

    (void)state;
    phone_init(&b, r, 1, "pbx", "10.1.1.20:5070");
    phone_init(&a, r, 0, "1001", "192.0.2.50:5060");
    memcpy(a.password, "one", sizeof("one"));
    (void)snprintf(a.local, sizeof(a.local), "\"Boss\" <sip:1000@example.test>");
    phone_invite(&a, uri, phone_sdp(&a, NULL));
    EXPECT(&a, "407 INVITE");
    phone_ack_failure(&a);
    phone_credentials(&a, "INVITE", uri);
    (void)snprintf(a.extra + strlen(a.extra), sizeof(a.extra) - strlen(a.extra),
                   "P-Asserted-Identity: <sip:1000@example.test>\r\n");
    phone_invite(&a, uri, phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    HAS(b.got, "\r\nP-Asserted-Identity: \"Boss\" <sip:1001@10.1.1.1>\r\n");
    talk_refuse(&b, 486, &a, "486 INVITE");
    rig_settle(r);
    rig_down(r);
}

/* What a rule copies into an answer is what its giver's own `in` rules left of it. */
static void an_answer_is_read_by_the_rules_of_who_gave_it(void **state)
{
    struct rig *r = rig_up(
        HOUSE(", headers: [{action: copy, name: X-Why, messages: responses, methods: [INFO]},\n"
              "    {direction: in, action: set, name: X-Why, value: carrier}]",
              ", headers: [{direction: in, action: set, name: X-Why, value: pbx}]"),
        1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite_with(&t, "X-Class: any\r\n");
    pair_answer(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    memcpy(t.b.extra, "X-Why: asked\r\n", sizeof("X-Why: asked\r\n"));
    phone_answer(&t.b, 200, NULL);
    t.b.extra[0] = '\0';
    EXPECT(&t.a, "200 INFO");
    HAS(t.a.got, "\r\nX-Why: pbx\r\n");
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_go_through_both_sides_in_order),
        cmocka_unit_test(a_message_follows_the_rules_too),
        cmocka_unit_test(answers_within_a_call_follow_the_rules_too),
        cmocka_unit_test(the_answer_to_a_message_follows_the_rules_too),
        cmocka_unit_test(probes_follow_only_rules_that_name_options),
        cmocka_unit_test(codes_are_translated_before_failover_and_before_the_caller),
        cmocka_unit_test(who_is_not_trusted_is_neither_believed_nor_told),
        cmocka_unit_test(trusted_peers_tell_each_other),
        cmocka_unit_test(the_trust_of_one_side_is_not_that_of_the_other),
        cmocka_unit_test(an_identity_without_a_user_is_passed_over),
        cmocka_unit_test(none_wins_over_other_wishes_for_privacy),
        cmocka_unit_test(a_users_identity_is_his_account),
        cmocka_unit_test(an_answer_is_read_by_the_rules_of_who_gave_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
