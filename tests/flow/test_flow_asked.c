/* test_flow_asked.c - how a call was asked for is kept once, at its start, with what was decided
 * and without its secrets. */
#include "rig.h"

#include <stdio.h>

#define KEY "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define ALL_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SECRET_SDP                                                                                 \
    "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nk=clear:hunter2\r\n"        \
    "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"                                                          \
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY "|2^20|1:4;inline:" KEY                       \
    "|2^20|2:4 UNAUTH\r\n"                                                                         \
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl"

static struct call_asked read_kept(void)
{
    struct call_asked a;

    assert_int_equal(call_asked_read(sl_str(fake_store.asked), &a), 0);
    return a;
}

static void refused(struct pair *t, const char *called, const char *heard)
{
    phone_renew(&t->a);
    phone_invite(&t->a, called, phone_sdp(&t->a, NULL));
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->a, heard);
    phone_ack_failure(&t->a);
}

static void a_call_is_kept_with_its_facts_and_its_verdict(void **state)
{
    struct pair t;
    struct call_asked a;

    pair_init(&t, *state);
    pair_up(&t);
    assert_int_equal(fake_store.n_asked, 1);
    pair_bye(&t);
    assert_int_equal(fake_store.n_asked, 1);
    assert_true(fake_store.asked_id == talk_record()->id);
    a = read_kept();
    assert_true(sl_eq(a.listener, SL("outside")) && a.transport == SIP_UDP && !a.is_limited);
    assert_true(a.peer.n == 0 && a.user.n == 0 && a.wall_ms == RIG_WALL_MS);
    assert_true(addr_port(&a.source) == 5060 && sl_starts(a.message, SL("INVITE sip:")));
    assert_non_null(
        strstr(talk_record()->detail, "\"verdict\":{\"action\":\"route\",\"status\":null"));
    assert_true(sl_find(sl_str(talk_record()->detail), a.verdict) >= 0);
}

static void a_refused_call_is_kept_too(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    refused(&t, "sip:9001@203.0.113.1", "603 INVITE");
    assert_true(sl_starts(read_kept().verdict,
                          SL("{\"action\":\"refuse\",\"status\":603,\"reason\":\"Closed\"")));
}

static void passwords_and_keys_are_not_kept(void **state)
{
    struct pair t;
    struct call_asked a;

    pair_init(&t, *state);
    (void)snprintf(t.a.extra, sizeof(t.a.extra),
                   "Authorization: Digest username=\"x\", response=\"0123456789\"\r\n"
                   "Proxy-Authorization: Digest username=\"y\", response=\"9876543210\"\r\n");
    phone_invite(&t.a, "sip:9001@203.0.113.1", SECRET_SDP);
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "603 INVITE");
    phone_ack_failure(&t.a);
    a = read_kept();
    assert_null(strstr(fake_store.asked, "Authorization"));
    assert_null(strstr(fake_store.asked, KEY));
    assert_null(strstr(fake_store.asked, "hunter2"));
    assert_true(sl_find(a.message,
                        SL("inline:" ALL_A "|2^20|1:4;inline:" ALL_A "|2^20|2:4 UNAUTH\r\n")) > 0);
    assert_true(sl_find(a.message, SL("\r\nk=clear:AAAAAAA\r\n")) > 0);
    assert_true(sl_ends(a.message, SL("a=ice-ufrag:abcd\r\na=ice-pwd:AAAAAAAAAAAAAAAAAAAAAA")));
}

/* Whether a limit had room is no matter of the request: it is not compared later. */
static void what_a_limit_refused_says_so(void **state)
{
    static char text[8192];
    struct pair t;
    struct rig *r;

    (void)state;
    (void)snprintf(text, sizeof(text), "%slimits: {calls: 1}\n", rig_yaml);
    r = rig_up(text, 1);
    pair_init(&t, r);
    pair_up(&t);
    assert_false(read_kept().is_limited);
    {
        struct phone other;

        phone_init(&other, r, 0, "carol", "192.0.2.30:5062");
        phone_invite(&other, "sip:+15550101@203.0.113.1", phone_sdp(&other, NULL));
        EXPECT(&other, "100 INVITE");
        EXPECT(&other, "503 INVITE");
        phone_ack_failure(&other);
    }
    assert_true(read_kept().is_limited);
    pair_bye(&t);
    rig_down(r);
}

static void nothing_is_kept_where_it_is_not_wanted(void **state)
{
    static char text[8192];
    struct pair t;
    struct rig *r;

    (void)state;
    (void)snprintf(text, sizeof(text), "%sstore: {requests: false}\n", rig_yaml);
    r = rig_up(text, 1);
    pair_init(&t, r);
    refused(&t, "sip:9001@203.0.113.1", "603 INVITE");
    assert_int_equal(fake_store.n_asked, 0);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_call_is_kept_with_its_facts_and_its_verdict),
        FLOW_TEST(a_refused_call_is_kept_too),
        FLOW_TEST(passwords_and_keys_are_not_kept),
        cmocka_unit_test(what_a_limit_refused_says_so),
        cmocka_unit_test(nothing_is_kept_where_it_is_not_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
