/* test_flow_policy.c - who may call: strangers, users, limits, refusing routes; and our own
 * credentials at a peer that asks for them. */
#include "rig.h"

#include <stdio.h>

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
#define CARRIER                                                                                    \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]"
#define PBX "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"]"
#define INBOUND "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n"

static const char yaml_credentials[] =
    LISTENERS "peers:\n" PBX ", credentials: {username: edge, password: secret}}\n" CARRIER
              "}\n" INBOUND "  - {name: outbound, from: pbx, to: [carrier]}\n";
static const char yaml_limits[] =
    LISTENERS "limits: {calls: 3, calls_per_second: off}\n"
              "peers:\n" PBX "}\n" CARRIER ", limits: {calls: 2}}\n" INBOUND;
static const char yaml_target_limit[] =
    LISTENERS "peers:\n" PBX ", limits: {calls: 1}}\n" CARRIER "}\n" INBOUND;
static const char yaml_no_users[] = LISTENERS "peers:\n" PBX "}\n" CARRIER "}\n" INBOUND;

static void refused(struct phone *p, const char *what)
{
    phone_renew(p);
    phone_invite(p, CALLED, phone_sdp(p, NULL));
    EXPECT(p, what);
    phone_ack_failure(p);
}

static void strangers_are_refused_without_a_trace_where_there_are_no_users(void **state)
{
    struct rig *r = rig_up(yaml_no_users, 1);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "stranger", "192.0.2.99:5060");
    refused(&s, "403 INVITE");
    phone_init(&s, r, 0, "stranger", "10.9.9.9:5060");
    refused(&s, "403 INVITE");
    phone_request(&s, "REGISTER", "sip:10.1.1.1", NULL);
    EXPECT(&s, "405 REGISTER");
    assert_int_equal(fake_store.n_calls, 0);
    assert_int_equal(rig_tx_now(r), 0); /* no state either, but for the REGISTER's, if any */
    rig_down(r);
}

static void strangers_on_the_users_listener_are_challenged_whatever_they_ask(void **state)
{
    struct rig *r = *state;
    struct phone s;
    const char *m;

    phone_init(&s, r, 0, "stranger", "192.0.2.99:5060");
    phone_invite(&s, "sip:1001@example.test", phone_sdp(&s, NULL));
    m = EXPECT(&s, "407 INVITE");
    HAS(m, "Proxy-Authenticate: Digest realm=\"example.test\", nonce=\"");
    HAS(m, "algorithm=MD5, qop=\"auth\"\r\n");
    phone_ack_failure(&s);
    refused(&s, "407 INVITE");
    phone_request(&s, "MESSAGE", "sip:nobody@example.test", "hello");
    EXPECT(&s, "407 MESSAGE");
    assert_int_equal(fake_store.n_calls, 0);
    assert_int_equal(rig_tx_now(r), 0);
    phone_init(&s, r, 0, "stranger", "10.9.9.9:5060"); /* another listener */
    refused(&s, "403 INVITE");
}

static void a_challenge_is_not_repeated_and_never_twice_the_request(void **state)
{
    struct rig *r = *state;
    struct phone s;
    size_t asked;

    phone_init(&s, r, 0, "s", "192.0.2.99:5060");
    phone_invite(&s, "sip:1@a", NULL);
    asked = strlen(s.invite);
    EXPECT(&s, "407 INVITE");
    assert_true(strlen(s.got) <= 2 * asked);
    rig_advance(r, 32000);
    QUIET(&s);
    phone_send_raw(&s, "INVITE sip:a@b SIP/2.0\r\nv:SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx\r\n"
                       "f:<sip:a@b>;tag=1\r\nt:<sip:a@b>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n");
    QUIET(&s);
    assert_int_equal(stat_sum(STAT_SIP_DROP_AMPLIFY), 1);
}

static void a_user_with_the_wrong_password_is_challenged_again_and_counted(void **state)
{
    struct phone u;

    phone_init(&u, *state, 0, "1002", "192.0.2.43:5064");
    memcpy(u.password, "wrong", sizeof("wrong"));
    phone_invite(&u, "sip:+49@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "407 INVITE");
    phone_ack_failure(&u);
    phone_credentials(&u, "INVITE", "sip:+49@example.test");
    phone_invite(&u, "sip:+49@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "407 INVITE");
    phone_ack_failure(&u);
    assert_int_equal(stat_sum(STAT_AUTH_FAIL), 1);
    assert_int_equal(fake_store.n_calls, 0);
}

static void a_known_source_without_a_route_is_a_404_with_a_record(void **state)
{
    struct phone a;

    phone_init(&a, *state, 0, "alice", "192.0.2.30:5060");
    phone_invite(&a, "sip:777@203.0.113.1", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&a, "404 INVITE");
    phone_ack_failure(&a);
    talk_record_is("policy", "No route", 404);
    assert_int_equal(fake_store.n_calls, 1);
    assert_string_equal(talk_record()->source, "peer:carrier");
    HAS(talk_record()->detail, "\"trace\":[{");
    phone_renew(&a);
    phone_invite(&a, "sip:9001@203.0.113.1", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&a, "603 INVITE");
    phone_ack_failure(&a);
    talk_record_is("policy", "Closed", 603);
    assert_string_equal(talk_record()->route, "closed");
}

static void the_limits_of_peer_and_node_are_a_503_and_come_back(void **state)
{
    struct rig *r = rig_up(yaml_limits, 1);
    struct pair t[3];

    (void)state;
    pair_init(&t[0], r);
    t[1] = t[0];
    t[2] = t[0];
    phone_renew(&t[1].a);
    phone_renew(&t[2].a);
    pair_up(&t[0]);
    pair_up(&t[1]);
    phone_invite(&t[2].a, CALLED, phone_sdp(&t[2].a, NULL));
    EXPECT(&t[2].a, "100 INVITE");
    HAS(EXPECT(&t[2].a, "503 INVITE"), "Retry-After: ");
    phone_ack_failure(&t[2].a);
    talk_record_is("policy", "Peer has too many calls", 503);
    assert_int_equal(stat_sum(STAT_CALL_FULL), 1);
    pair_bye(&t[0]);
    phone_renew(&t[2].a);
    pair_up(&t[2]);
    pair_bye(&t[1]);
    pair_bye(&t[2]);
    rig_down(r);
}

static void the_limit_of_a_target_is_a_503_for_those_who_call_it(void **state)
{
    struct rig *r = rig_up(yaml_target_limit, 1);
    struct pair t, u;

    (void)state;
    pair_init(&t, r);
    u = t;
    phone_renew(&u.a);
    pair_up(&t);
    phone_invite(&u.a, CALLED, phone_sdp(&u.a, NULL));
    EXPECT(&u.a, "100 INVITE");
    EXPECT(&u.a, "503 INVITE");
    phone_ack_failure(&u.a);
    pair_bye(&t);
    phone_renew(&u.a);
    pair_up(&u);
    pair_bye(&u);
    rig_down(r);
}

static void a_full_store_refuses_new_calls(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    fake_store.is_full = true;
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "503 INVITE");
    phone_ack_failure(&t.a);
    fake_store.is_full = false;
    phone_renew(&t.a);
    pair_up(&t);
    pair_bye(&t);
}

/* --- our credentials --- */

static void challenge(struct phone *b, unsigned status, const char *nonce)
{
    char line[256];
    struct buf w;

    buf_init_fixed(&w, line, sizeof(line));
    buf_putf(&w, "%s: Digest realm=\"pbx\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"\r\n",
             status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", nonce);
    memcpy(b->extra, line, w.n);
    b->extra[w.n] = '\0';
    phone_answer(b, status, NULL);
}

static void asked_for_credentials_we_give_them_and_the_caller_hears_nothing(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;
    const char *m;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    challenge(&t.b, 407, "n1");
    EXPECT(&t.b, "ACK");
    m = EXPECT(&t.b, "INVITE");
    HAS(m, "Proxy-Authorization: Digest ");
    HAS(m, "username=\"edge\"");
    HAS(m, "nonce=\"n1\"");
    LACKS(m, "secret");
    QUIET(&t.a);
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    pair_answer(&t);
    phone_bye(&t.a); /* and again for the BYE */
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.b, "BYE");
    challenge(&t.b, 401, "n2");
    HAS(EXPECT(&t.b, "BYE"), "Authorization: Digest ");
    phone_answer(&t.b, 200, NULL);
    rig_down(r);
}

static void credentials_that_are_refused_are_a_502(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    challenge(&t.b, 401, "n1");
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.b, "INVITE"), "nonce=\"n1\"");
    challenge(&t.b, 401, "n1");
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    rig_down(r);
}

static void a_reinvite_is_answered_with_credentials_too(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    challenge(&t.b, 407, "n3");
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.b, "INVITE"), "Proxy-Authorization: Digest ");
    talk_accept(&t.a, &t.b, phone_sdp(&t.b, "recvonly"));
    pair_bye(&t);
    rig_down(r);
}

/* The INVITE or UPDATE that waits is challenged, then called too short: the third has both. */
static void challenged_then_too_short(struct phone *b, const char *method, const char *nonce,
                                      unsigned min_s)
{
    char nonce_is[64], expires[64];
    bool is_invite = strcmp(method, "INVITE") == 0;

    snprintf(nonce_is, sizeof(nonce_is), "nonce=\"%s\"", nonce);
    snprintf(expires, sizeof(expires), "\r\nSession-Expires: %u", min_s);
    EXPECT(b, method);
    LACKS(b->got, "Authorization");
    challenge(b, 407, nonce);
    if (is_invite) {
        EXPECT(b, "ACK");
    }
    HAS(EXPECT(b, method), "nc=00000001");
    HAS(b->got, nonce_is);
    snprintf(b->extra, sizeof(b->extra), "Min-SE: %u\r\n", min_s);
    phone_answer(b, 422, NULL);
    if (is_invite) {
        EXPECT(b, "ACK");
    }
    HAS(EXPECT(b, method), "Proxy-Authorization: Digest ");
    HAS(b->got, nonce_is);
    HAS(b->got, "nc=00000002");
    HAS(b->got, expires);
}

static void a_request_that_is_made_longer_keeps_its_credentials(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    challenged_then_too_short(&t.b, "INVITE", "n1", 3600);
    memcpy(t.b.extra, "Session-Expires: 3600;refresher=uac\r\n",
           sizeof("Session-Expires: 3600;refresher=uac\r\n"));
    pair_answer(&t);
    rig_advance(r, 1800000);
    challenged_then_too_short(&t.b, "INVITE", "n2", 4000);
    memcpy(t.b.extra, "Allow: INVITE, ACK, BYE, UPDATE\r\nSession-Expires: 4000;refresher=uac\r\n",
           sizeof("Allow: INVITE, ACK, BYE, UPDATE\r\nSession-Expires: 4000;refresher=uac\r\n"));
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    QUIET(&t.a);
    pair_bye(&t);
    rig_down(r);
}

static void a_refresh_that_is_made_longer_keeps_its_credentials(void **state)
{
    static const char says[] =
        "Allow: INVITE, ACK, BYE, UPDATE\r\nSession-Expires: 600;refresher=uac\r\n";
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_ring(&t);
    memcpy(t.b.extra, says, sizeof(says));
    pair_answer(&t);
    rig_advance(r, 300000);
    challenged_then_too_short(&t.b, "UPDATE", "n1", 900);
    memcpy(t.b.extra, says, sizeof(says));
    phone_answer(&t.b, 200, NULL);
    pair_bye(&t);
    rig_down(r);
}

static void a_call_cancelled_while_credentials_are_fetched_ends_cleanly(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    challenge(&t.b, 407, "n1");
    EXPECT(&t.b, "ACK");
    EXPECT(&t.b, "INVITE");
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    talk_cancel(&t.a);
    talk_cancelled(&t.b);
    rig_down(r);
}

static void a_running_call_keeps_the_configuration_that_decided(void **state)
{
    struct rig *r = rig_up(yaml_credentials, 1);
    struct pair t, u;

    (void)state;
    pair_init(&t, r);
    u = t;
    pair_up(&t);
    rig_reload(r, yaml_no_users);
    phone_renew(&u.a);
    pair_up(&u);
    talk_hold(&t.a, &t.b);
    pair_bye(&u);
    assert_int_equal(talk_record()->config_version, fake_store.calls[0].config_version + 1);
    pair_bye(&t);
    rig_down(r);
}

static void a_sips_contact_is_not_registered_in_the_open(void **state)
{
    static const char secret[] = "Contact: <sips:dev@10.1.1.20:5061>\r\n";
    struct rig *r = *state;
    struct phone u;

    phone_init(&u, r, 1, "1001", "192.0.2.43:5064");
    memcpy(u.password, "one", sizeof("one"));
    snprintf(u.local, sizeof(u.local), "<sip:1001@example.test>");
    snprintf(u.remote, sizeof(u.remote), "<sip:1001@example.test>");
    phone_request(&u, "REGISTER", "sip:example.test", NULL);
    EXPECT(&u, "401 REGISTER");
    phone_credentials(&u, "REGISTER", "sip:example.test");
    snprintf(u.extra + strlen(u.extra), sizeof(u.extra) - strlen(u.extra), "%s", secret);
    phone_request(&u, "REGISTER", "sip:example.test", NULL);
    EXPECT(&u, "403 REGISTER");
}

/* --- what is said of a number --- */

static const char yaml_ported[] = LISTENERS
    "users: {domain: example.test, listener: outside,\n"
    "        accounts: [{name: \"1001\", password: one}]}\n"
    "peers:\n" PBX "}\n" CARRIER "}\n"
    "routes:\n"
    "  - {name: dear, from: [carrier, users], match: {called: \"+49900\"}, refuse: {status: 603}}\n"
    "  - {name: inbound, from: [carrier, users], to: [pbx]}\n";

#define PORTED(number, host) "sip:" number ";npdi;rn=+49301;cic=+49010@" host

static void a_peer_may_say_where_a_ported_number_is_but_no_user(void **state)
{
    struct rig *r = rig_up(yaml_ported, 2);
    struct phone a, b;
    const char *uri = PORTED("+4930123", "example.test");

    (void)state;
    phone_init(&b, r, 1, "pbx", "10.1.1.20:5070");
    phone_init(&a, r, 0, "carrier", "192.0.2.30:5060");
    phone_invite(&a, PORTED("+4930123", "203.0.113.1"), phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    HAS(EXPECT(&b, "INVITE"), "INVITE " PORTED("+4930123", "10.1.1.20"));
    phone_answer_invite(&b, 486, NULL);
    EXPECT(&b, "ACK");
    EXPECT(&a, "486 INVITE");
    phone_ack_failure(&a);
    phone_renew(&a);
    phone_invite(&a, PORTED("+49900", "203.0.113.1"), phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&a, "603 INVITE"); /* rules are about the number */
    phone_ack_failure(&a);
    phone_init(&a, r, 0, "1001", "192.0.2.50:5060");
    memcpy(a.password, "one", sizeof("one"));
    snprintf(a.local, sizeof(a.local), "<sip:1001@example.test>");
    phone_invite(&a, uri, phone_sdp(&a, NULL));
    EXPECT(&a, "407 INVITE");
    phone_ack_failure(&a);
    phone_credentials(&a, "INVITE", uri);
    phone_invite(&a, uri, phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    HAS(EXPECT(&b, "INVITE"), "INVITE sip:+4930123%3Bnpdi%3Brn=+49301%3Bcic=+49010@10.1.1.20");
    phone_answer_invite(&b, 486, NULL);
    EXPECT(&b, "ACK");
    EXPECT(&a, "486 INVITE");
    phone_ack_failure(&a);
    rig_settle(r);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_may_say_where_a_ported_number_is_but_no_user),
        cmocka_unit_test(strangers_are_refused_without_a_trace_where_there_are_no_users),
        FLOW_TEST(strangers_on_the_users_listener_are_challenged_whatever_they_ask),
        FLOW_TEST(a_challenge_is_not_repeated_and_never_twice_the_request),
        FLOW_TEST(a_user_with_the_wrong_password_is_challenged_again_and_counted),
        FLOW_TEST(a_known_source_without_a_route_is_a_404_with_a_record),
        cmocka_unit_test(the_limits_of_peer_and_node_are_a_503_and_come_back),
        cmocka_unit_test(the_limit_of_a_target_is_a_503_for_those_who_call_it),
        FLOW_TEST(a_sips_contact_is_not_registered_in_the_open),
        FLOW_TEST(a_full_store_refuses_new_calls),
        cmocka_unit_test(asked_for_credentials_we_give_them_and_the_caller_hears_nothing),
        cmocka_unit_test(credentials_that_are_refused_are_a_502),
        cmocka_unit_test(a_reinvite_is_answered_with_credentials_too),
        cmocka_unit_test(a_request_that_is_made_longer_keeps_its_credentials),
        cmocka_unit_test(a_refresh_that_is_made_longer_keeps_its_credentials),
        cmocka_unit_test(a_call_cancelled_while_credentials_are_fetched_ends_cleanly),
        cmocka_unit_test(a_running_call_keeps_the_configuration_that_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
