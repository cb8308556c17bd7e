/* test_flow_challenge.c - peers that want to know who we are: several challenges at once and one
 * after the other, the request that answers them, inside calls and outside, and where it ends. */
#include "rig.h"

#include <stdio.h>

static const char yaml_credentials[] =
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"],\n"
    "        credentials: {username: edge, password: secret}}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: [\"sip:192.0.2.30:5060\"]}\n"
    "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n"
    "  - {name: outbound, from: pbx, to: [carrier]}\n";

#define WWW(realm, nonce)                                                                          \
    "WWW-Authenticate: Digest realm=\"" realm "\", nonce=\"" nonce "\", qop=\"auth\"\r\n"
#define PROXY(realm, nonce)                                                                        \
    "Proxy-Authenticate: Digest realm=\"" realm "\", nonce=\"" nonce "\", qop=\"auth\"\r\n"

static void up(struct pair *t)
{
    pair_init(t, rig_up(yaml_credentials, 1));
}

static void challenge(struct phone *b, unsigned status, const char *lines)
{
    assert_int_equal(sl_cstr(sl_str(lines), b->extra, sizeof(b->extra)), 0);
    phone_answer(b, status, NULL);
}

static void challenge_invite(struct phone *b, unsigned status, const char *lines)
{
    challenge(b, status, lines);
    EXPECT(b, "ACK");
}

static struct sl field(const struct phone *p, const char *name)
{
    return msg_hdr(sl_str(p->got), name, 0);
}

/* RFC 3261 22.2, 8.1.3.5: the same call and tag, a higher number, another transaction, no tag of
 * the refusal. */
static void the_request_that_answers_is_the_same_call_with_a_higher_number(void **state)
{
    char first[RIG_TEXT_MAX];
    struct pair t;
    struct sl f;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    memcpy(first, t.b.got, sizeof(first));
    f = sl_str(first);
    challenge_invite(&t.b, 401, WWW("r", "n"));
    EXPECT(&t.b, "INVITE");
    assert_true(sl_eq(field(&t.b, "Call-ID"), msg_hdr(f, "Call-ID", 0)));
    assert_true(sl_eq(field(&t.b, "From"), msg_hdr(f, "From", 0)));
    assert_true(sl_eq(field(&t.b, "To"), msg_hdr(f, "To", 0)));
    assert_true(sl_eq(field(&t.b, "Contact"), msg_hdr(f, "Contact", 0)));
    assert_false(sl_eq(field(&t.b, "Via"), msg_hdr(f, "Via", 0)));
    assert_true(sl_eq(msg_hdr(f, "CSeq", 0), SL("1 INVITE")));
    assert_true(sl_eq(field(&t.b, "CSeq"), SL("2 INVITE")));
    assert_true(sl_find(field(&t.b, "Authorization"), SL("uri=\"sip:+4930123@10.1.1.20:5070\"")) >
                0);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(t.r);
}

static void a_proxy_and_who_stands_behind_it_are_both_answered(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    challenge_invite(&t.b, 401, WWW("w", "n1") PROXY("p", "n2"));
    EXPECT(&t.b, "INVITE");
    assert_true(sl_find(field(&t.b, "Authorization"), SL("nonce=\"n1\"")) > 0);
    assert_true(sl_find(field(&t.b, "Proxy-Authorization"), SL("nonce=\"n2\"")) > 0);
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
    phone_renew(&t.a);
    phone_renew(&t.b);
    talk_start(&t.a, &t.b); /* one after the other */
    challenge_invite(&t.b, 407, PROXY("p", "n3"));
    EXPECT(&t.b, "INVITE");
    assert_int_equal(field(&t.b, "Authorization").n, 0);
    challenge_invite(&t.b, 401, WWW("w", "n4"));
    EXPECT(&t.b, "INVITE");
    assert_true(sl_find(field(&t.b, "Authorization"), SL("nonce=\"n4\"")) > 0);
    assert_true(sl_find(field(&t.b, "Proxy-Authorization"), SL("nonce=\"n3\"")) > 0);
    assert_true(sl_find(field(&t.b, "Proxy-Authorization"), SL("nc=00000002")) > 0);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(t.r);
}

static void a_422_between_is_answered_with_all_that_was_asked_before(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    challenge_invite(&t.b, 401, WWW("w", "n1") PROXY("p", "n2"));
    EXPECT(&t.b, "INVITE");
    challenge_invite(&t.b, 422, "Min-SE: 3600\r\n");
    EXPECT(&t.b, "INVITE");
    assert_true(sl_find(field(&t.b, "Authorization"), SL("nc=00000002")) > 0);
    assert_true(sl_find(field(&t.b, "Proxy-Authorization"), SL("nc=00000002")) > 0);
    pair_answer(&t);
    pair_bye(&t);
    rig_down(t.r);
}

static void of_several_the_strongest_is_answered(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    challenge_invite(&t.b, 407,
                     "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n"
                     "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n2\", qop=\"auth-int\", "
                     "algorithm=SHA-256\r\n"
                     "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n3\", qop=\"auth,auth-int\", "
                     "algorithm=SHA-256-sess\r\n");
    EXPECT(&t.b, "INVITE");
    assert_true(sl_find(field(&t.b, "Proxy-Authorization"), SL("nonce=\"n3\"")) > 0);
    HAS(t.b.got, "algorithm=SHA-256-sess");
    HAS(t.b.got, "qop=auth,");
    LACKS(t.b.got, "nonce=\"n1\"");
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
    rig_down(t.r);
}

static void who_wants_the_body_hashed_is_not_answered_and_the_record_says_so(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    challenge_invite(&t.b, 401,
                     "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"\r\n");
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    HAS(talk_record()->detail, "auth-int");
    rig_down(t.r);
}

/* attacks.md 42: with new nonces, stale ones, and by both statuses in turn. */
static void nobody_is_answered_for_ever(void **state)
{
    static const struct {
        unsigned status[8];
        const char *lines[8];
    } rows[] = {
        {{401, 401, 401}, {WWW("r", "n1"), WWW("r", "n2"), WWW("r", "n3")}},
        {{401, 401, 401},
         {"WWW-Authenticate: Digest realm=\"r\", nonce=\"s\"\r\n",
          "WWW-Authenticate: Digest realm=\"r\", nonce=\"s\", stale=true\r\n",
          "WWW-Authenticate: Digest realm=\"r\", nonce=\"s\", stale=true\r\n"}},
        {{401, 407, 401, 407, 401},
         {WWW("r", "a1"), PROXY("r", "a2"), WWW("r", "a3"), PROXY("r", "a4"), WWW("r", "a5")}}};
    struct pair t;

    (void)state;
    up(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        phone_renew(&t.a);
        phone_renew(&t.b);
        talk_start(&t.a, &t.b);
        for (size_t k = 0; rows[i].status[k] != 0; k++) {
            if (k != 0) {
                EXPECT(&t.b, "INVITE");
            }
            challenge_invite(&t.b, rows[i].status[k], rows[i].lines[k]);
        }
        QUIET(&t.b);
        EXPECT(&t.a, "502 INVITE");
        phone_ack_failure(&t.a);
    }
    rig_down(t.r);
}

/* A server that has a new nonce for each request, and says so in advance. */
static void a_nonce_for_each_request_costs_one_question_each(void **state)
{
    static const char *const methods[] = {"INFO", "MESSAGE", "INFO"};
    struct pair t;

    (void)state;
    up(&t);
    talk_start(&t.a, &t.b);
    challenge_invite(&t.b, 401, WWW("r", "m1"));
    EXPECT(&t.b, "INVITE");
    memcpy(t.b.extra, "Authentication-Info: nextnonce=\"m2\", qop=auth\r\n",
           sizeof("Authentication-Info: nextnonce=\"m2\", qop=auth\r\n"));
    talk_answer(&t.a, &t.b);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        char heard[32];

        phone_request(&t.a, methods[i], NULL, "x");
        LACKS(EXPECT(&t.b, methods[i]), "Authorization");
        challenge(&t.b, 401, i == 0 ? WWW("r", "m2") : i == 1 ? WWW("r", "m3") : WWW("r", "m4"));
        EXPECT(&t.b, methods[i]);
        HAS(t.b.got, i == 0 ? "nonce=\"m2\"" : i == 1 ? "nonce=\"m3\"" : "nonce=\"m4\"");
        HAS(t.b.got, "\r\n\r\nx");
        phone_answer(&t.b, 200, NULL);
        (void)snprintf(heard, sizeof(heard), "200 %s", methods[i]);
        EXPECT(&t.a, heard);
    }
    pair_bye(&t);
    rig_down(t.r);
}

static void a_challenge_to_a_relayed_request_ends_somewhere(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    challenge(&t.b, 407, PROXY("r", "n1"));
    EXPECT(&t.b, "INFO");
    challenge(&t.b, 407, PROXY("r", "n1"));
    EXPECT(&t.a, "502 INFO");
    QUIET(&t.b);
    phone_request(&t.b, "INFO", NULL, "x"); /* toward whom we have no password for */
    EXPECT(&t.a, "INFO");
    challenge(&t.a, 401, WWW("r", "n1"));
    QUIET(&t.a);
    EXPECT(&t.b, "502 INFO");
    pair_bye(&t);
    rig_down(t.r);
}

/* Whoever sent it has given up by then (RFC 3261 17.2.2), and nothing of it is left. */
static void a_far_end_that_asks_again_after_the_sender_has_gone_is_not_answered(void **state)
{
    struct pair t;

    (void)state;
    up(&t);
    pair_up(&t);
    t.r->is_noisy = true; /* it is repeated */
    phone_request(&t.a, "INFO", NULL, "x");
    EXPECT(&t.b, "INFO");
    rig_advance(t.r, 10000);
    phone_drop_mail(&t.b);
    challenge(&t.b, 401, WWW("r", "n1"));
    EXPECT(&t.b, "INFO");
    rig_advance(t.r, 28000);
    phone_drop_mail(&t.b);
    challenge(&t.b, 407, PROXY("p", "n2"));
    QUIET(&t.b);
    QUIET(&t.a);
    pair_bye(&t);
    rig_down(t.r);
}

/* Two at once: each has its own count of tries. */
static void requests_that_cross_do_not_take_each_others_tries(void **state)
{
    char first[RIG_TEXT_MAX];
    struct pair t;

    (void)state;
    up(&t);
    pair_up(&t);
    phone_request(&t.a, "INFO", NULL, "one");
    EXPECT(&t.b, "INFO");
    memcpy(first, t.b.asked, sizeof(first));
    phone_request(&t.a, "INFO", NULL, "two");
    EXPECT(&t.b, "INFO");
    challenge(&t.b, 401, WWW("r", "n"));
    HAS(EXPECT(&t.b, "INFO"), "two");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    memcpy(t.b.asked, first, sizeof(first));
    challenge(&t.b, 401, WWW("r", "n"));
    HAS(EXPECT(&t.b, "INFO"), "one");
    HAS(t.b.got, "Authorization: Digest ");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    pair_bye(&t);
    rig_down(t.r);
}

/* Also what is in no call: the same Call-ID and tag, the next number. */
static void a_message_outside_a_call_is_answered_too(void **state)
{
    char first[RIG_TEXT_MAX];
    struct pair t;

    (void)state;
    up(&t);
    phone_request(&t.a, "MESSAGE", CALLED, "hello");
    EXPECT(&t.b, "MESSAGE");
    memcpy(first, t.b.got, sizeof(first));
    challenge(&t.b, 407, PROXY("p", "n1"));
    EXPECT(&t.b, "MESSAGE");
    HAS(t.b.got, "Proxy-Authorization: Digest username=\"edge\", realm=\"p\", nonce=\"n1\"");
    HAS(t.b.got, "\r\n\r\nhello");
    assert_true(sl_eq(field(&t.b, "Call-ID"), msg_hdr(sl_str(first), "Call-ID", 0)));
    assert_true(sl_eq(field(&t.b, "From"), msg_hdr(sl_str(first), "From", 0)));
    assert_true(sl_eq(field(&t.b, "CSeq"), SL("2 MESSAGE")));
    challenge(&t.b, 401, WWW("w", "n2"));
    EXPECT(&t.b, "MESSAGE");
    assert_true(field(&t.b, "Authorization").n != 0);
    assert_true(field(&t.b, "Proxy-Authorization").n != 0);
    phone_answer(&t.b, 202, NULL);
    EXPECT(&t.a, "202 MESSAGE");
    phone_renew(&t.a);
    phone_request(&t.a, "MESSAGE", CALLED, "again");
    EXPECT(&t.b, "MESSAGE");
    challenge(&t.b, 401, WWW("w", "n3"));
    EXPECT(&t.b, "MESSAGE");
    challenge(&t.b, 401, WWW("w", "n3"));
    EXPECT(&t.a, "502 MESSAGE");
    QUIET(&t.b);
    rig_down(t.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_that_answers_is_the_same_call_with_a_higher_number),
        cmocka_unit_test(a_proxy_and_who_stands_behind_it_are_both_answered),
        cmocka_unit_test(a_422_between_is_answered_with_all_that_was_asked_before),
        cmocka_unit_test(of_several_the_strongest_is_answered),
        cmocka_unit_test(who_wants_the_body_hashed_is_not_answered_and_the_record_says_so),
        cmocka_unit_test(nobody_is_answered_for_ever),
        cmocka_unit_test(a_nonce_for_each_request_costs_one_question_each),
        cmocka_unit_test(a_challenge_to_a_relayed_request_ends_somewhere),
        cmocka_unit_test(a_far_end_that_asks_again_after_the_sender_has_gone_is_not_answered),
        cmocka_unit_test(a_message_outside_a_call_is_answered_too),
        cmocka_unit_test(requests_that_cross_do_not_take_each_others_tries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
