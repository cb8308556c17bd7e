/* test_flow_hostile.c - peers and users that lie, overdo, or come at the wrong moment. */
#include "rig.h"

static const char yaml_calling[] =
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"],\n"
    "        credentials: {username: edge, password: secret}}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]}\n"
    "users: {domain: example.test, listener: outside,\n"
    "        accounts: [{name: \"1001\", password: one}, {name: \"1002\", password: two}]}\n"
    "routes:\n"
    "  - {name: boss, from: users, match: {calling: \"1002\"}, to: [pbx]}\n"
    "  - {name: staff, from: users, match: {calling: \"1001\"}, refuse: {status: 603}}\n"
    "  - {name: inbound, from: carrier, to: [pbx]}\n";

static void a_forged_from_does_not_choose_the_route(void **state)
{
    struct rig *r = rig_up(yaml_calling, 1);
    struct phone u, b;

    (void)state;
    phone_init(&u, r, 0, "1001", "192.0.2.43:5064");
    memcpy(u.password, "one", sizeof("one"));
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    memcpy(u.local, "<sip:1002@example.test>", sizeof("<sip:1002@example.test>"));
    phone_invite(&u, CALLED, phone_sdp(&u, NULL));
    EXPECT(&u, "407 INVITE");
    phone_ack_failure(&u);
    phone_credentials(&u, "INVITE", CALLED);
    phone_invite(&u, CALLED, phone_sdp(&u, NULL));
    EXPECT(&u, "100 INVITE");
    EXPECT(&u, "603 INVITE");
    phone_ack_failure(&u);
    QUIET(&b);
    assert_string_equal(talk_record()->route, "staff");
    rig_down(r);
}

static void registrations_of_strangers_leave_no_state(void **state)
{
    struct rig *r = *state;
    struct phone s;

    phone_init(&s, r, 0, "1001", "192.0.2.99:5060");
    for (int i = 0; i < 10; i++) {
        phone_renew(&s);
        phone_request(&s, "REGISTER", "sip:example.test", NULL);
        EXPECT(&s, "401 REGISTER");
    }
    assert_int_equal(rig_tx_now(r), 0);
}

static void registrations_on_another_listener_than_the_users_are_refused(void **state)
{
    struct rig *r = *state;
    struct phone s;

    phone_init(&s, r, 0, "1001", "10.9.9.9:5060");
    memcpy(s.password, "one", sizeof("one"));
    phone_request(&s, "REGISTER", "sip:example.test", NULL);
    assert_true(phone_try(&s, "403 REGISTER"));
    LACKS(s.got, "Authenticate");
}

static void challenge(struct phone *b, const char *nonce)
{
    char line[256];
    struct buf w;

    buf_init_fixed(&w, line, sizeof(line) - 1);
    buf_putf(
        &w,
        "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"\r\n",
        nonce);
    line[w.n] = '\0';
    memcpy(b->extra, line, w.n + 1);
    phone_answer(b, 407, NULL);
}

static void ask_each_time(struct pair *t, const char *const *nonces)
{
    for (int i = 0; i < 5; i++) {
        talk_offer(&t->a, &t->b, phone_sdp(&t->a, i % 2 == 0 ? "sendonly" : "sendrecv"));
        if (strstr(t->b.got, "Proxy-Authorization") == NULL) {
            challenge(&t->b, nonces[i]);
            EXPECT(&t->b, "ACK");
            HAS(EXPECT(&t->b, "INVITE"), "Proxy-Authorization: Digest ");
        }
        talk_accept(&t->a, &t->b, phone_sdp(&t->b, i % 2 == 0 ? "recvonly" : "sendrecv"));
    }
    phone_bye(&t->a);
    EXPECT(&t->a, "200 BYE");
    EXPECT(&t->b, "BYE");
    challenge(&t->b, nonces[5]);
    HAS(EXPECT(&t->b, "BYE"), "Proxy-Authorization: Digest ");
    phone_answer(&t->b, 200, NULL);
}

static void a_carrier_that_challenges_everything_gets_its_answers(void **state)
{
    static const char *const fresh[] = {"n1", "n2", "n3", "n4", "n5", "n6"};
    static const char *const same[] = {"n", "n", "n", "n", "n", "n"};
    struct rig *r = rig_up(yaml_calling, 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    ask_each_time(&t, fresh);
    phone_renew(&t.a);
    pair_up(&t);
    ask_each_time(&t, same);
    rig_down(r);
}

static void an_ack_of_the_invite_before_is_not_taken_for_the_newest(void **state)
{
    struct pair t;
    char first[RIG_TEXT_MAX], second[RIG_TEXT_MAX];

    pair_init(&t, *state);
    pair_up(&t);
    memcpy(first, t.a.invite, sizeof(first));
    phone_reinvite(&t.a, NULL);
    memcpy(second, t.a.invite, sizeof(second));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    memcpy(t.a.invite, first, sizeof(first));
    phone_ack(&t.a, NULL); /* repeated, held up on the way */
    QUIET(&t.b);
    QUIET(&t.a);
    memcpy(t.a.invite, second, sizeof(second));
    phone_ack(&t.a, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.b, "ACK"), "m=audio");
    pair_bye(&t);
}

static void rtcp_is_not_sent_where_somebody_else_lives(void **state)
{
    static const char *const lines[] = {"a=rtcp:9999 IN IP4 127.0.0.1\r\n", "a=rtcp:53\r\n",
                                        "a=rtcp:9999 IN IP4 203.0.113.77\r\n"};
    struct rig *r = *state;
    struct phone u, b;

    phone_init(&u, r, 1, "1001", "192.0.2.43:5064");
    memcpy(u.password, "one", sizeof("one"));
    phone_init(&b, r, 0, "alice", "192.0.2.30:5060");
    talk_register(&u, 600);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const struct addr *rtcp;

        phone_renew(&b);
        phone_invite(&b, "sip:1001@example.test", phone_sdp(&b, NULL));
        EXPECT(&b, "100 INVITE");
        EXPECT(&u, "INVITE");
        phone_sdp(&u, NULL);
        memcpy(u.sdp + strlen(u.sdp), lines[i], strlen(lines[i]) + 1);
        talk_accept(&b, &u, u.sdp);
        rtcp = &rig_media(r)->streams[0].side[1].remote.rtcp;
        assert_true(addr_family(rtcp) == AF_UNSPEC ||
                    (addr_eq_ip(rtcp, &u.flow.remote) && addr_port(rtcp) >= 1024));
        talk_bye(&b, &u);
    }
}

static void a_stream_refused_in_early_media_may_be_taken_by_the_one_who_answers(void **state)
{
    static const char offer[] =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 31\r\n";
    static const char no_video[] =
        "v=0\r\no=- 1 1 IN IP4 10.1.1.20\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n"
        "m=audio 41000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n";
    static const char video[] =
        "v=0\r\no=- 2 1 IN IP4 10.1.1.20\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n"
        "m=audio 41000 RTP/AVP 0\r\nm=video 41002 RTP/AVP 31\r\n";
    struct pair t;
    struct phone fork;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, offer);
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    phone_answer(&t.b, 183, no_video);
    EXPECT(&t.a, "183 INVITE");
    phone_fork(&fork, &t.b);
    phone_answer_invite(&fork, 200, video);
    LACKS(EXPECT(&t.a, "200 INVITE"), "m=video 0");
    EXPECT(&fork, "ACK");
    phone_ack(&t.a, NULL);
    t.b = fork;
    pair_bye(&t);
}

/* attacks.md 32, 84: ours at any port, and what is only on the link. */
static void no_media_to_ourselves_or_along_the_link(void **state)
{
    static const char *const at[][2] = {
        {"203.0.113.1", "20010"},    {"203.0.113.1", "5060"}, {"198.51.100.1", "40000"},
        {"10.1.1.1", "30010"},       {"10.1.1.1", "8080"},    {"169.254.1.1", "40000"},
        {"169.254.169.254", "4000"}, {"127.0.0.1", "40000"},
    };
    char sdp[256];
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(at); i++) {
        struct buf b;

        buf_init_fixed(&b, sdp, sizeof(sdp));
        buf_putf(&b,
                 "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                 "m=audio %s RTP/AVP 0\r\n",
                 at[i][0], at[i][0], at[i][1]);
        buf_putc(&b, '\0');
        assert_int_equal(buf_err(&b), 0);
        phone_renew(&t.a);
        phone_invite(&t.a, CALLED, sdp);
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.a, "488 INVITE");
        phone_ack_failure(&t.a);
        QUIET(&t.b);
    }
}

static void no_media_to_the_ports_of_well_known_services(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    t.a.media_port = 1023;
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    t.a.media_port = 1024;
    talk_start(&t.a, &t.b);
    pair_answer(&t);
    pair_bye(&t);
}

/* The callee's dialog is early as long as it rings: who only rings has no call to end or change
 * (RFC 3261 15). */
static void who_only_rings_cannot_end_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    QUIET(&t.a);
    pair_answer(&t);
    pair_bye(&t);
}

/* Everything on one host, as in a laboratory or with a PBX next to us. */
static void a_neighbour_on_our_host_has_its_media_there(void **state)
{
    static const char yaml[] =
        "listeners:\n"
        "  one: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-20999}}\n"
        "  two: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
        "peers:\n"
        "  pbx: {listener: two, sources: [10.1.1.1/32], targets: [\"sip:10.1.1.1:5070\"]}\n"
        "  carrier: {listener: one, sources: [127.0.0.1/32], targets: [\"sip:127.0.0.1:5080\"]}\n"
        "routes:\n"
        "  - {name: inbound, from: carrier, to: [pbx]}\n";
    struct rig *r = rig_up(yaml, 1);
    struct pair t;

    (void)state;
    t.r = r;
    phone_init(&t.a, r, 0, "alice", "127.0.0.1:5080");
    phone_init(&t.b, r, 1, "bob", "10.1.1.1:5070");
    talk_start(&t.a, &t.b);
    pair_answer(&t);
    pair_bye(&t);
    phone_renew(&t.a);
    t.a.media_port = 20010; /* but not where the relay has its own */
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    rig_down(r);
}

static void a_refusal_carries_our_tag(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_send_raw(&t.a, "INVITE " CALLED " SIP/2.0\r\n"
                         "Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK-nocontact;rport\r\n"
                         "From: <sip:alice@192.0.2.30>;tag=nocontact\r\nTo: <" CALLED ">\r\n"
                         "Call-ID: nocontact-1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
                         "Content-Length: 0\r\n\r\n");
    EXPECT(&t.a, "400 INVITE");
    assert_true(msg_tag(msg_hdr(sl_str(t.a.got), "To", 0)).n != 0);
    t.r->is_noisy = true; /* it repeats, as nobody acknowledges it */
}

static void hop_counts_are_never_raised(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    t.a.hops = 255;
    pair_up(&t);
    HAS(t.b.ring, "Max-Forwards: 69\r\n");
    pair_bye(&t);
}

static void messages_outside_a_call_keep_the_other_sides_secrets_too(void **state)
{
    static const char *const types[] = {"application/sdp", "message/sipfrag", "multipart/mixed"};
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct buf w;

        buf_init_fixed(&w, t.a.extra, sizeof(t.a.extra) - 1);
        buf_putf(&w, "Content-Type: %s\r\n", types[i]);
        t.a.extra[w.n] = '\0';
        phone_request(&t.a, "MESSAGE", CALLED, "c=IN IP4 192.0.2.30");
        EXPECT(&t.a, "415 MESSAGE");
        QUIET(&t.b);
    }
}

static void a_retry_with_credentials_is_a_request_outside_the_early_dialog(void **state)
{
    struct rig *r = rig_up(yaml_calling, 1);
    struct pair t;
    const char *m;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    challenge(&t.b, "n1");
    EXPECT(&t.b, "ACK");
    m = EXPECT(&t.b, "INVITE");
    assert_int_equal(msg_tag(msg_hdr(sl_str(m), "To", 0)).n, 0);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forged_from_does_not_choose_the_route),
        FLOW_TEST(registrations_of_strangers_leave_no_state),
        FLOW_TEST(registrations_on_another_listener_than_the_users_are_refused),
        cmocka_unit_test(a_carrier_that_challenges_everything_gets_its_answers),
        FLOW_TEST(an_ack_of_the_invite_before_is_not_taken_for_the_newest),
        FLOW_TEST(rtcp_is_not_sent_where_somebody_else_lives),
        FLOW_TEST(a_stream_refused_in_early_media_may_be_taken_by_the_one_who_answers),
        FLOW_TEST(no_media_to_ourselves_or_along_the_link),
        FLOW_TEST(no_media_to_the_ports_of_well_known_services),
        FLOW_TEST(who_only_rings_cannot_end_the_call),
        cmocka_unit_test(a_neighbour_on_our_host_has_its_media_there),
        FLOW_TEST(a_refusal_carries_our_tag),
        FLOW_TEST(hop_counts_are_never_raised),
        FLOW_TEST(messages_outside_a_call_keep_the_other_sides_secrets_too),
        cmocka_unit_test(a_retry_with_credentials_is_a_request_outside_the_early_dialog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
