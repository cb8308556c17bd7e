/* test_flow_nat.c - far ends and ourselves behind address translation: where requests go, and what
 * happens to calls when our own public address changes. */
#include "rig.h"

#include <stdio.h>

#define HOUSE_AT(public, carrier)                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: " public ", sip: {udp: 5060, tcp: 5060},\n"     \
                                                            "            rtp: {ports: "            \
                                                            "20000-20999}}\n"                      \
                                                            "  inside: {address: 10.1.1.1, sip: "  \
                                                            "{udp: 5060}, rtp: {ports: "           \
                                                            "30000-30999}}\n"                      \
                                                            "peers:\n"                             \
                                                            "  carrier: {listener: outside, "      \
                                                            "sources: [192.0.2.30/32], targets: "  \
                                                            "[\"sip:192.0.2.30:5060\"]" carrier    \
                                                            "}\n"                                  \
                                                            "  pbx: {listener: inside, sources: "  \
                                                            "[10.1.1.0/24], targets: "             \
                                                            "[\"sip:10.1.1.20:5070\"]}\n"          \
                                                            "routes:\n"                            \
                                                            "  - {name: in, from: carrier, to: "   \
                                                            "pbx}\n"                               \
                                                            "  - {name: out, from: pbx, to: "      \
                                                            "carrier}\n"
#define HOUSE(carrier) HOUSE_AT("203.0.113.1", carrier)

/* The phone calls itself something else than where its packets come from; the port stays. */
static void call_itself(struct phone *p, const char *at)
{
    assert_int_equal(sl_cstr(sl_str(at), p->at, sizeof(p->at)), 0);
}

static void up_and_down(struct pair *t)
{
    pair_up(t);
    phone_bye(&t->b);
    EXPECT(&t->b, "200 BYE");
}

static void a_private_contact_seen_from_outside_is_not_followed(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_itself(&t.a, "192.168.1.5:5060");
    up_and_down(&t); /* BYE to the caller */
    EXPECT(&t.a, "BYE");
    HAS(t.a.got, "BYE sip:dev-alice-0@192.168.1.5:5060 SIP/2.0\r\n");
    phone_answer(&t.a, 200, NULL);
    HAS(talk_record()->detail, "\"remote\":\"192.0.2.30:5060\",\"by_flow\":true");
    rig_down(r);
}

static void an_answer_with_a_private_contact_is_acknowledged_by_its_flow(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct phone a, b;

    (void)state;
    phone_init(&a, r, 0, "alice", "10.1.1.20:5070");
    phone_on(&a, 1, SIP_UDP);
    phone_init(&b, r, 1, "bob", "192.0.2.30:5060");
    call_itself(&b, "100.64.7.7:5060");
    phone_invite(&a, "sip:+4930123@10.1.1.1", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    phone_answer_invite(&b, 200, phone_sdp(&b, NULL));
    EXPECT(&b, "ACK");
    HAS(b.got, "ACK sip:dev-bob-1@100.64.7.7:5060 SIP/2.0\r\n");
    EXPECT(&a, "200 INVITE");
    phone_ack(&a, NULL);
    phone_bye(&a);
    EXPECT(&a, "200 BYE");
    EXPECT(&b, "BYE");
    phone_answer(&b, 200, NULL);
    rig_down(r);
}

static size_t sent_to(const struct rig *r, const char *start, const char *to)
{
    struct addr at;
    size_t n = 0;

    assert_int_equal(addr_parse_hostport(sl_str(to), 0, &at), 0);
    for (size_t i = 0; i < r->n_sent; i++) {
        n += strncmp(r->sent[i].text, start, strlen(start)) == 0 &&
             addr_eq(&r->sent[i].flow.remote, &at);
    }
    return n;
}

static void bye_goes_to(const char *yaml, const char *contact, const char *to)
{
    struct rig *r = rig_up(yaml, 1);
    struct pair t;

    pair_init(&t, r);
    call_itself(&t.a, contact);
    up_and_down(&t);
    assert_int_equal(sent_to(r, "BYE", to), 1);
    r->is_noisy = true; /* nobody lives there */
    rig_advance(r, 40000);
    rig_down(r);
}

static void other_contacts_are_followed(void **state)
{
    (void)state;
    bye_goes_to(HOUSE(""), "192.0.2.31:5060", "192.0.2.31:5060"); /* a node beside it */
    bye_goes_to(HOUSE(", nat: off"), "192.168.1.5:5060", "192.168.1.5:5060");
    bye_goes_to(HOUSE(", nat: on"), "192.0.2.31:5060", "192.0.2.30:5060");
}

/* --- our own address --- */

static void told_of(struct phone *p, const char *address)
{
    char text[64];

    EXPECT(p, "INVITE");
    assert_true(snprintf(text, sizeof(text), "Via: SIP/2.0/UDP %s:5060;", address) > 0);
    HAS(p->got, text);
    assert_true(snprintf(text, sizeof(text), "@%s:5060>\r\n", address) > 0);
    HAS(p->got, text);
    assert_true(snprintf(text, sizeof(text), "\r\nc=IN IP4 %s\r\n", address) > 0);
    HAS(p->got, text);
    phone_answer_invite(p, 200, phone_sdp(p, NULL));
    EXPECT(p, "ACK");
}

static void a_call_is_told_our_new_address(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_settle(r);
    rig_advance(r, 100);
    told_of(&t.a, "203.0.113.77");
    LACKS(t.a.got, "203.0.113.1\r");
    QUIET(&t.b); /* its side has not changed */
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_advance(r, 100);
    QUIET(&t.a); /* told once */
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    EXPECT(&t.a, "BYE");
    HAS(t.a.got, "Via: SIP/2.0/UDP 203.0.113.77:5060;");
    phone_answer(&t.a, 200, NULL);
    rig_down(r);
}

static void a_call_that_rings_is_told_when_it_is_up(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_ring(&t);
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_advance(r, 100);
    QUIET(&t.a);
    pair_answer(&t);
    told_of(&t.a, "203.0.113.77");
    pair_bye(&t);
    rig_down(r);
}

static void a_new_call_has_the_new_address_from_the_start(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    pair_up(&t);
    rig_advance(r, 100);
    QUIET(&t.a);
    pair_bye(&t);
    rig_down(r);
}

/* The change waits for what is under way: their re-INVITE first, then ours. */
static void the_change_waits_its_turn(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    phone_reinvite(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_advance(r, 100);
    QUIET(&t.a);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "200 INVITE");
    HAS(t.a.got, "\r\nc=IN IP4 203.0.113.77\r\n"); /* what is said now is true now */
    phone_ack(&t.a, NULL);
    told_of(&t.a, "203.0.113.77");
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_private_contact_seen_from_outside_is_not_followed),
        cmocka_unit_test(an_answer_with_a_private_contact_is_acknowledged_by_its_flow),
        cmocka_unit_test(other_contacts_are_followed),
        cmocka_unit_test(a_call_is_told_our_new_address),
        cmocka_unit_test(a_call_that_rings_is_told_when_it_is_up),
        cmocka_unit_test(a_new_call_has_the_new_address_from_the_start),
        cmocka_unit_test(the_change_waits_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
