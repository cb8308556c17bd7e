/* test_flow_attack.c - known attacks at the level of calls: hashes fished for by the callee, floods
 * around a running call, banners. tests/attacks.md says which test stands for which attack. */
#include "rig.h"

#include <stdio.h>

static const char yaml_realm[] =
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"],\n"
    "        credentials: {username: edge, password: secret, realm: pbx.example}}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]}\n"
    "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n";
static const char yaml_tight[] =
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"]}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]}\n"
    "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n"
    "security: {unknown_sources: {packets_per_second: 1, each: off}}\n";

static void challenge(struct phone *b, unsigned status, const char *realm)
{
    struct buf w;

    buf_init_fixed(&w, b->extra, sizeof(b->extra) - 1);
    buf_putf(&w, "%s: Digest realm=\"%s\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n",
             status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", realm);
    b->extra[w.n] = '\0';
    phone_answer(b, status, NULL);
}

/* SIP digest leak: whoever is called asks for the password in the middle of the call. */
static void a_callee_that_challenges_us_within_the_call_learns_no_hash(void **state)
{
    struct rig *r = *state;
    struct pair t;

    pair_init(&t, r);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    challenge(&t.b, 401, "example.test");
    LACKS(EXPECT(&t.b, "ACK"), "Authorization");
    phone_drop_mail(&t.a);
    phone_ack_failure(&t.a);
    QUIET(&t.b); /* no second try */
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    LACKS(EXPECT(&t.b, "BYE"), "Authorization");
    challenge(&t.b, 407, "example.test");
    QUIET(&t.b);
    assert_int_equal(rig_calls_now(r).answered, 0);
}

static void the_password_is_for_its_realm_alone(void **state)
{
    struct rig *r = rig_up(yaml_realm, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    challenge(&t.b, 407, "carrier.example");
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    phone_renew(&t.a);
    phone_renew(&t.b);
    talk_start(&t.a, &t.b);
    challenge(&t.b, 407, "pbx.example");
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.b, "INVITE"), "realm=\"pbx.example\"");
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
    rig_down(r);
}

/* Ten thousand sources, each once: no budget of a single one would bite. */
static void flood(struct rig *r, unsigned n)
{
    struct flow flow = {.transport = SIP_UDP, .conn_slot = FLOW_NO_CONN};
    char text[512];

    r->is_noisy = true;
    assert_int_equal(addr_parse(SL("198.51.100.1"), 5060, &flow.local), 0);
    for (unsigned i = 0; i < n; i++) {
        struct buf b;

        buf_init_fixed(&b, text, sizeof(text));
        buf_putf(&b, "100.64.%u.%u", i / 250, 1 + i % 250);
        assert_int_equal(addr_parse(buf_sl(&b), 5060, &flow.remote), 0);
        buf_reset(&b);
        buf_putf(&b,
                 "INVITE sip:+4930123@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch="
                 "z9hG4bK%u\r\nFrom: <sip:a@b>;tag=%u\r\nTo: <sip:c@d>\r\nCall-ID: f%u\r\n"
                 "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@b>\r\n"
                 "Content-Length: 0\r\n\r\n",
                 i, i, i);
        assert_int_equal(buf_err(&b), 0);
        rig_input(r, 0, &flow, buf_sl(&b));
    }
}

static void a_running_call_goes_on_through_a_flood_from_everywhere(void **state)
{
    struct rig *r = rig_up(yaml_tight, 1);
    uint32_t transactions;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    transactions = rig_tx_now(r);
    flood(r, 10000);
    assert_true(stat_sum(STAT_SIP_DROP_STRANGER) >= 9999);
    assert_int_equal(rig_tx_now(r), transactions); /* nobody of them got state */
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 INVITE");
    phone_ack(&t.a, NULL);
    EXPECT(&t.b, "ACK");
    flood(r, 1000);
    pair_bye(&t);
    talk_record_is("caller", "BYE", 200);
    rig_down(r);
}

/* Who asks what runs here is told what he can use, not what it is called. */
static void nothing_that_we_say_names_the_product(void **state)
{
    static const char *const questions[] = {"OPTIONS",   "REGISTER", "INVITE", "MESSAGE",
                                            "SUBSCRIBE", "PUBLISH",  "FOO"};
    struct rig *r = *state;
    struct phone s;
    struct pair t;

    phone_init(&s, r, 0, "stranger", "192.0.2.99:5060");
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        phone_renew(&s);
        phone_request(&s, questions[i], "sip:example.test", NULL);
        phone_drop_mail(&s);
    }
    pair_init(&t, r);
    pair_up(&t);
    pair_bye(&t);
    assert_true(r->n_sent > COUNT_OF(questions));
    for (size_t i = 0; i < r->n_sent; i++) {
        struct sl m = sl_make(r->sent[i].text, r->sent[i].n);

        assert_null(strcasestr(r->sent[i].text, "postern"));
        assert_int_equal(msg_hdr(m, "Server", 0).n, 0);
        assert_int_equal(msg_hdr(m, "User-Agent", 0).n, 0);
    }
    r->is_noisy = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_callee_that_challenges_us_within_the_call_learns_no_hash),
        cmocka_unit_test(the_password_is_for_its_realm_alone),
        cmocka_unit_test(a_running_call_goes_on_through_a_flood_from_everywhere),
        FLOW_TEST(nothing_that_we_say_names_the_product),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
