/* test_flow_route.c - routes at work: numbers rewritten on both sides, weights, failover codes,
 * redirection, refusal in the operator's words, and matches on what the message holds. */
#include "rig.h"

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
#define PEERS                                                                                      \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: "                           \
    "[\"sip:192.0.2.30:5060\"],\n"                                                                 \
    "    numbers: {in: {called: [{form: e164, country: '49'}], calling: [{form: e164, country: "   \
    "'49'}]}}}\n"                                                                                  \
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"],\n"      \
    "    numbers: {out: {called: [{prefix: '+4930', replace: ''}], calling: [{form: national, "    \
    "country: '49'}]}}}\n"                                                                         \
    "  spare: {listener: inside, targets: [\"sip:10.1.1.21:5070\"]}\n"
#define INBOUND LISTENERS PEERS "routes:\n"

/* extra: header field lines, or "". */
static void call_with(struct pair *t, const char *called, const char *extra, const char *heard)
{
    phone_renew(&t->a);
    memcpy(t->a.extra, extra, strlen(extra) + 1);
    phone_invite(&t->a, called, phone_sdp(&t->a, NULL));
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->a, heard);
    phone_ack_failure(&t->a);
}

static void call_and_refuse(struct pair *t, const char *called, const char *heard)
{
    call_with(t, called, "", heard);
}

static void numbers_change_on_the_way_in_and_on_the_way_out(void **state)
{
    struct rig *r = rig_up(INBOUND "  - {name: in, match: {called: {prefix: '+49'}, calling: "
                                   "{exact: '+4940555'}}, to: [pbx, spare]}\n",
                           1);
    struct phone a, b, spare;

    (void)state;
    phone_init(&a, r, 0, "040555", "192.0.2.30:5060");
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_init(&spare, r, 1, "bob2", "10.1.1.21:5070");
    phone_invite(&a, "sip:030123@203.0.113.1", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    HAS(b.got, "INVITE sip:123@10.1.1.20:5070 SIP/2.0\r\n");
    HAS(b.got, "<sip:040555@10.1.1.1>;tag=");
    phone_answer_invite(&b, 503, NULL);
    EXPECT(&b, "ACK");
    EXPECT(&spare, "INVITE"); /* each target by the rules of its own side */
    HAS(spare.got, "INVITE sip:+4930123@10.1.1.21:5070 SIP/2.0\r\n");
    HAS(spare.got, "<sip:+4940555@10.1.1.1>;tag=");
    talk_refuse(&spare, 486, &a, "486 INVITE");
    assert_string_equal(talk_record()->called, "+4930123");
    assert_string_equal(talk_record()->calling, "+4940555");
    HAS(talk_record()->detail, "\"step\":\"called\",\"name\":\"carrier\",\"result\":\"rewritten\"");
    HAS(talk_record()->detail, "\"name\":\"+4930123\",\"result\":\"number used\"");
    rig_down(r);
}

static void only_the_codes_of_the_route_go_on(void **state)
{
    struct rig *r =
        rig_up(INBOUND "  - {name: in, to: [pbx, spare], failover: {codes: [480, 6xx]}}\n", 1);
    static const struct {
        unsigned status;
        bool goes_on;
        const char *heard;
    } cases[] = {{480, true, NULL},
                 {603, true, NULL},
                 {503, false, "503 INVITE"},
                 {486, false, "486 INVITE"}};
    struct pair t;
    struct phone spare;

    (void)state;
    pair_init(&t, r);
    phone_init(&spare, r, 1, "bob2", "10.1.1.21:5070");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        phone_renew(&t.a);
        phone_invite(&t.a, "sip:030123@203.0.113.1", phone_sdp(&t.a, NULL));
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.b, "INVITE");
        phone_answer_invite(&t.b, cases[i].status, NULL);
        EXPECT(&t.b, "ACK");
        if (cases[i].goes_on) {
            EXPECT(&spare, "INVITE");
            phone_answer_invite(&spare, 404, NULL);
            EXPECT(&spare, "ACK");
        }
        EXPECT(&t.a, cases[i].status == 603 ? "603 INVITE"
                     : cases[i].goes_on     ? "480 INVITE"
                                            : cases[i].heard);
        phone_ack_failure(&t.a);
        QUIET(&spare);
    }
    rig_down(r);
}

static void a_redirected_caller_gets_the_contact(void **state)
{
    struct rig *r = rig_up(
        INBOUND "  - {name: moved, redirect: {contact: 'sip:{called}@new.example:5080'}}\n", 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_and_refuse(&t, "sip:030123@203.0.113.1", "302 INVITE");
    HAS(t.a.got, "Contact: <sip:+4930123@new.example:5080>\r\n");
    talk_record_is("policy", "Redirected by a route", 302);
    phone_request(&t.a, "MESSAGE", "sip:030124@203.0.113.1", "hello");
    EXPECT(&t.a, "302 MESSAGE");
    HAS(t.a.got, "Contact: <sip:+4930124@new.example:5080>\r\n");
    QUIET(&t.b);
    rig_down(r);
}

static void a_refusal_speaks_in_the_words_of_the_route(void **state)
{
    struct rig *r =
        rig_up(INBOUND "  - {name: no, refuse: {status: 603, reason: Not from this number}}\n", 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_and_refuse(&t, "sip:030123@203.0.113.1", "603 INVITE");
    HAS(t.a.got, "SIP/2.0 603 Not from this number\r\n");
    talk_record_is("policy", "Not from this number", 603);
    rig_down(r);
}

static void fields_codecs_and_the_time_choose_the_route(void **state)
{
    /* RIG_WALL_MS is Saturday, 21 November 2026, 07:08 in Berlin. */
    struct rig *r =
        rig_up(INBOUND "  - {name: fields, match: {headers: [X-Lift, '!X-Test']}, refuse: "
                       "{status: 480}}\n"
                       "  - {name: codec, match: {codec: [opus]}, refuse: {status: 488}}\n"
                       "  - {name: day, match: {time: {zone: Europe/Berlin, days: sat, hours: "
                       "08:00-08:30}, method: INVITE}, refuse: {status: 486}}\n",
               1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    call_with(&t, "sip:030@203.0.113.1", "X-Lift: 7\r\n", "480 INVITE");
    call_with(&t, "sip:030@203.0.113.1", "x-lift: 7\r\nX-TEST:\r\n", "486 INVITE");
    phone_renew(&t.a);
    phone_invite(&t.a, "sip:030@203.0.113.1",
                 "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
                 "m=audio 40000 RTP/AVP 8 96\r\na=rtpmap:96 OPUS/48000/2\r\n");
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    rig_advance(r, 30 * 60 * 1000);
    call_and_refuse(&t, "sip:030@203.0.113.1", "404 INVITE");
    rig_down(r);
}

static void weights_send_calls_to_both(void **state)
{
    struct rig *r = rig_up(INBOUND "  - {name: in, to: [{peer: pbx, weight: 1}, {peer: spare}], "
                                   "failover: {codes: []}}\n",
                           1);
    unsigned seen[2] = {0};
    struct pair t;
    struct phone spare;

    (void)state;
    pair_init(&t, r);
    phone_init(&spare, r, 1, "bob2", "10.1.1.21:5070");
    for (int i = 0; i < 64; i++) { /* all on one side: once in 2^63 runs */
        struct phone *b;

        phone_renew(&t.a);
        phone_invite(&t.a, "sip:030123@203.0.113.1", phone_sdp(&t.a, NULL));
        EXPECT(&t.a, "100 INVITE");
        b = phone_has_mail(&t.b) ? &t.b : &spare;
        seen[b == &spare]++;
        EXPECT(b, "INVITE");
        talk_refuse(b, 503, &t.a, "503 INVITE");
    }
    assert_true(seen[0] != 0 && seen[1] != 0);
    rig_down(r);
}

static void a_message_is_rewritten_and_fails_over_likewise(void **state)
{
    struct rig *r =
        rig_up(INBOUND "  - {name: in, to: [pbx, spare], failover: {codes: [486]}}\n", 1);
    struct phone a, b, spare;

    (void)state;
    phone_init(&a, r, 0, "040555", "192.0.2.30:5060");
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_init(&spare, r, 1, "bob2", "10.1.1.21:5070");
    phone_request(&a, "MESSAGE", "sip:030123@203.0.113.1", "hello");
    EXPECT(&b, "MESSAGE");
    HAS(b.got, "MESSAGE sip:123@10.1.1.20:5070 SIP/2.0\r\n");
    HAS(b.got, "From: <sip:040555@10.1.1.1>");
    phone_answer(&b, 486, NULL);
    EXPECT(&spare, "MESSAGE");
    HAS(spare.got, "MESSAGE sip:+4930123@10.1.1.21:5070 SIP/2.0\r\n");
    phone_answer(&spare, 500, NULL);
    EXPECT(&a, "486 MESSAGE"); /* the best failure */
    phone_request(&a, "MESSAGE", "sip:030123@203.0.113.1", "hello");
    EXPECT(&b, "MESSAGE");
    phone_answer(&b, 500, NULL); /* not among the codes */
    EXPECT(&a, "500 MESSAGE");
    QUIET(&spare);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_change_on_the_way_in_and_on_the_way_out),
        cmocka_unit_test(only_the_codes_of_the_route_go_on),
        cmocka_unit_test(a_redirected_caller_gets_the_contact),
        cmocka_unit_test(a_refusal_speaks_in_the_words_of_the_route),
        cmocka_unit_test(fields_codecs_and_the_time_choose_the_route),
        cmocka_unit_test(weights_send_calls_to_both),
        cmocka_unit_test(a_message_is_rewritten_and_fails_over_likewise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
