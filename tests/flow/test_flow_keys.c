/* test_flow_keys.c - SDES: where keys may go, which ones are taken, and that nothing secure turns
 * into something clear (attacks.md 30, 31, 82, 83). */
#include "secure.h"
#include "call/call_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define UNTRUSTED "trusted_network: false"

/* A description of p's with this m-line and these lines after it. */
static const char *raw_sdp(struct phone *p, const char *proto, const char *lines)
{
    int n =
        snprintf(p->sdp, sizeof(p->sdp),
                 "v=0\r\no=owner-%s 7 %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                 "m=audio %u %s 0\r\n%s",
                 p->user, ++p->sdp_version, p->media_ip, p->media_ip, p->media_port, proto, lines);

    assert_true(n > 0 && (size_t)n < sizeof(p->sdp));
    return p->sdp;
}

static void is_refused(struct pair *t, const char *sdp, const char *reason)
{
    phone_renew(&t->a);
    phone_invite(&t->a, CALLED, sdp);
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->a, "488 INVITE");
    phone_ack_failure(&t->a);
    QUIET(&t->b);
    talk_record_is("system", reason, 488);
}

static void up(struct pair *t, enum kind a, enum kind b)
{
    phone_invite(&t->a, CALLED, secure_offer(&t->a, a, NULL));
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
    talk_accept(&t->a, &t->b, secure_answer(&t->b, t->b.ring, NULL));
    (void)b;
}

/* --- where keys may go --- */

static void keys_over_bare_udp_are_refused_with_the_reason(void **state)
{
    struct rig *r = secure_up_with("secure", "plain", "", UNTRUSTED);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    is_refused(&t, secure_offer(&t.a, KIND_SDES, NULL),
               "SRTP keys came over signalling without TLS");
    is_refused(&t, secure_offer(&t.a, KIND_OFFERED, NULL),
               "SRTP keys came over signalling without TLS");
    is_refused(&t, secure_offer(&t.a, KIND_RTP, NULL), "media without SRTP keys");
    rig_down(r);
}

static void keys_over_tls_are_taken(void **state)
{
    struct rig *r = secure_up_with("secure", "plain", "", UNTRUSTED);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_on(&t.a, 0, SIP_TLS);
    up(&t, KIND_SDES, KIND_RTP);
    assert_true(media_side(r, 0, 0)->has_tx);
    talk_bye(&t.b, &t.a);
    rig_down(r);
}

static void a_target_that_must_have_keys_but_may_not_see_them_is_not_called(void **state)
{
    struct rig *r = secure_up_with("plain", "secure", "", UNTRUSTED);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    is_refused(&t, secure_offer(&t.a, KIND_RTP, NULL),
               "SRTP keys are not offered over signalling without TLS");
    HAS(talk_record()->detail,
        "\"status\":488,\"result\":\"refused\",\"reason\":\"SRTP keys are not offered over "
        "signalling without TLS\"}");
    phone_renew(&t.a);
    phone_invite(&t.a, CALLED, NULL); /* late: what would be offered is known all the same */
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    rig_down(r);
}

static void optional_keys_stay_at_home_over_bare_udp(void **state)
{
    struct rig *r = secure_up_with("offered", "offered", "", UNTRUSTED);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_invite(&t.a, CALLED, secure_offer(&t.a, KIND_OFFERED, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), " RTP/AVP ");
    LACKS(t.b.ring, "crypto");
    phone_answer(&t.b, 200, secure_offer(&t.b, KIND_OFFERED, NULL)); /* an answer to nothing */
    LACKS(EXPECT(&t.a, "200 INVITE"), "crypto");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_false(media_side(r, 0, 0)->has_tx || media_side(r, 0, 1)->has_tx);
    pair_bye(&t);
    is_refused(&t, secure_offer(&t.a, KIND_SDES, NULL),
               "SRTP keys came over signalling without TLS");
    rig_down(r);
}

/* --- which keys are taken --- */

#define K80 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define CRYPTO "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"

static void bad_and_absent_keys_are_a_488_with_the_reason(void **state)
{
    static const struct {
        const char *lines, *reason;
    } rows[] = {
        {"", "media without SRTP keys"},
        {CRYPTO K80 "AAAA\r\n", "SRTP key is malformed"},
        {CRYPTO "WVNfX19zZW1jdGwg\r\n", "SRTP key is malformed"},
        {CRYPTO "***\r\n", "SRTP key is malformed"},
        {CRYPTO "\r\n", "SRTP key is malformed"},
        {"a=crypto:\r\n", "SRTP key is malformed"},
        {"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\n", "SRTP key is malformed"},
        {"a=crypto:1 AEAD_AES_128_GCM inline:" K80 "\r\n", "SRTP key is malformed"},
        {"a=crypto:1 F8_128_HMAC_SHA1_80 inline:" K80 "\r\n", "no SRTP suite that both sides have"},
        {"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:" K80 "\r\n",
         "no SRTP suite that both sides have"},
        {CRYPTO K80 " UNENCRYPTED_SRTP\r\n", "no SRTP suite that both sides have"},
        {CRYPTO K80 " UNAUTHENTICATED_SRTP\r\n", "no SRTP suite that both sides have"},
        {CRYPTO K80 ";inline:" K80 "\r\n", "no SRTP suite that both sides have"},
        {"a=fingerprint:sha-256 00:11\r\n", "media without SRTP keys"},
    };
    struct rig *r = secure_up("secure", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        is_refused(&t, raw_sdp(&t.a, "RTP/SAVP", rows[i].lines), rows[i].reason);
    }
    rig_down(r);
}

static void a_profile_takes_only_its_own_kind_of_protection(void **state)
{
    static const struct {
        const char *profile;
        enum kind offer;
        const char *reason;
    } rows[] = {
        {"plain", KIND_SDES, "media is encrypted, but the media profile is plain RTP"},
        {"plain", KIND_BROWSER, "media is encrypted, but the media profile is plain RTP"},
        {"secure", KIND_RTP, "media without SRTP keys"},
        {"secure", KIND_DTLS, "media without SRTP keys"},
        {"offered", KIND_DTLS, "media without SRTP keys"},
        {"dtls", KIND_RTP, "no DTLS fingerprint"},
        {"dtls", KIND_SDES, "no DTLS fingerprint"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = secure_up(rows[i].profile, "plain", "");
        struct pair t;

        pair_init(&t, r);
        is_refused(&t, secure_offer(&t.a, rows[i].offer, NULL), rows[i].reason);
        rig_down(r);
    }
}

static void the_best_suite_of_the_profile_is_answered_with_its_tag(void **state)
{
    static const char more[] = "  gcm: {security: sdes, suites: [AEAD_AES_256_GCM, "
                               "AES_CM_128_HMAC_SHA1_32, AES_CM_128_HMAC_SHA1_80]}\n";
    struct rig *r = secure_up("gcm", "gcm", more);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_invite(&t.a, CALLED,
                 raw_sdp(&t.a, "RTP/SAVP",
                         "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\n"
                         "a=crypto:2 F8_128_HMAC_SHA1_80 inline:" K80 "\r\n"
                         "a=crypto:11 AES_CM_128_HMAC_SHA1_32 inline:"
                         "PS1uQCVeeCFCanVmcjkpPj9dJz1cNSlvQmVkJjQ0|2^20|1:4\r\n"));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    HAS(t.b.ring, "a=crypto:1 AEAD_AES_256_GCM inline:");
    HAS(t.b.ring, "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:");
    HAS(t.b.ring, "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:");
    phone_answer(&t.b, 200, secure_answer(&t.b, t.b.ring, NULL));
    HAS(EXPECT(&t.a, "200 INVITE"), "a=crypto:11 AES_CM_128_HMAC_SHA1_32 inline:");
    assert_null(msg_key(t.a.got, 1).p);
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_int_equal(media_side(r, 0, 0)->rx.suite, SRTP_AES_CM_128_HMAC_SHA1_32);
    assert_int_equal(media_side(r, 0, 0)->rx.mki_len, 4);
    assert_memory_equal(media_side(r, 0, 0)->rx.mki, "\0\0\0\1", 4);
    assert_int_equal(media_side(r, 0, 1)->rx.suite, SRTP_AEAD_AES_256_GCM);
    pair_bye(&t);
    rig_down(r);
}

static void an_answer_that_takes_no_key_of_ours_ends_the_call_in_order(void **state)
{
    static const struct {
        const char *proto, *lines, *reason;
    } rows[] = {
        {"RTP/SAVP", "", "the answer has no SRTP key"},
        {"RTP/AVP", "", "the answer has no SRTP key"},
        {"RTP/SAVP", "a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\n",
         "the answer takes an SRTP key that was not offered"},
        {"RTP/SAVP", "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" K80 "\r\n",
         "the answer takes an SRTP key that was not offered"},
        {"RTP/SAVP", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n", "SRTP key is malformed"},
        {"RTP/SAVP", "a=crypto:2 NULL_HMAC_SHA1_80 inline:AAAA\r\n",
         "the answer has a suite not offered"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = secure_up("plain", "secure", "");
        struct pair t;

        pair_init(&t, r);
        pair_ring(&t);
        phone_answer_invite(&t.b, 200, raw_sdp(&t.b, rows[i].proto, rows[i].lines));
        EXPECT(&t.a, "502 INVITE");
        phone_ack_failure(&t.a);
        EXPECT(&t.b, "ACK");
        EXPECT(&t.b, "BYE");
        phone_answer(&t.b, 200, NULL);
        talk_record_is("callee", rows[i].reason, 502);
        rig_down(r);
    }
}

static void a_callee_that_sends_our_own_key_back_is_hung_up(void **state)
{
    struct rig *r = secure_up("plain", "secure", "");
    char line[256];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_ring(&t);
    snprintf(line, sizeof(line), "a=crypto:1 AEAD_AES_128_GCM inline:%.*s\r\n",
             SL_ARG(msg_key(t.b.ring, 0)));
    r->is_leaky = true; /* it told us what we had told it */
    phone_answer_invite(&t.b, 200, raw_sdp(&t.b, "RTP/SAVP", line));
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    talk_record_is("callee", "SRTP key is used twice, or media turned from secure to plain", 502);
    rig_down(r);
}

/* --- inside the call --- */

/* x asks with this and is told 488; y hears nothing, and the call goes on as it was. */
static void is_refused_inside(struct pair *t, struct phone *x, const char *sdp)
{
    struct fake_side before[2] = {*media_side(t->r, 0, 0), *media_side(t->r, 0, 1)};

    phone_reinvite(x, sdp);
    EXPECT(x, "100 INVITE");
    EXPECT(x, "488 INVITE");
    phone_ack_failure(x);
    QUIET(x == &t->a ? &t->b : &t->a);
    for (unsigned i = 0; i < 2; i++) {
        assert_memory_equal(&before[i], media_side(t->r, 0, i), sizeof(before[i]));
    }
}

static void no_side_gets_from_srtp_to_rtp_inside_a_call(void **state)
{
    static const enum kind kinds[] = {KIND_SDES, KIND_OFFERED, KIND_DTLS, KIND_BROWSER};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct rig *r = secure_up(kind_names[kinds[i]], kind_names[kinds[i]], "");
        struct pair t;

        pair_init(&t, r);
        up(&t, kinds[i], kinds[i]);
        is_refused_inside(&t, &t.a, secure_offer(&t.a, KIND_RTP, NULL));
        is_refused_inside(&t, &t.b, secure_offer(&t.b, KIND_RTP, NULL));
        is_refused_inside(&t, &t.a, raw_sdp(&t.a, "RTP/SAVP", ""));
        is_refused_inside(&t, &t.a, raw_sdp(&t.a, "RTP/SAVP", CRYPTO "AAAA\r\n"));
        pair_bye(&t);
        rig_down(r);
    }
}

static void reinvite(struct pair *t, struct phone *x, struct phone *y, enum kind k)
{
    talk_offer(x, y, secure_offer(x, k, NULL));
    talk_accept(x, y, secure_answer(y, y->ring, NULL));
    (void)t;
}

/* The nth m-line of a message has port 0. */
static bool is_refused_stream(const char *msg, unsigned nth)
{
    const char *at = strstr(msg, "\nm=");

    while (at != NULL && nth-- != 0) {
        at = strstr(at + 1, "\nm=");
    }
    at = at != NULL ? strchr(at, ' ') : NULL;
    return at != NULL && strncmp(at, " 0 ", 3) == 0;
}

#define DOWN(ip)                                                                                   \
    "v=0\r\no=z 7 9 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip "\r\nt=0 0\r\n"                          \
    "m=audio 0 RTP/AVP 0\r\n"

/* attacks.md 31: port 0 does not lift the lock. */
static void a_stream_that_was_secure_does_not_come_back_in_clear_after_port_0(void **state)
{
    struct rig *r = secure_up("offered", "offered", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_OFFERED, KIND_OFFERED);
    talk_reinvite(&t.a, &t.b, DOWN("192.0.2.30"), DOWN("10.1.1.20"));
    assert_false(media_side(r, 0, 0)->is_open);
    talk_reinvite(&t.a, &t.b, secure_offer(&t.a, KIND_RTP, NULL), DOWN("10.1.1.20"));
    assert_true(is_refused_stream(t.b.ring, 0) && is_refused_stream(t.a.got, 0));
    assert_false(media_side(r, 0, 0)->is_open || media_side(r, 0, 1)->is_open);
    phone_reinvite(&t.b, secure_offer(&t.b, KIND_RTP, NULL)); /* nor for the other side */
    EXPECT(&t.b, "100 INVITE");
    EXPECT(&t.a, "INVITE");
    assert_true(is_refused_stream(t.a.ring, 0));
    talk_accept(&t.b, &t.a, DOWN("192.0.2.30"));
    reinvite(&t, &t.a, &t.b, KIND_OFFERED); /* with keys it may */
    assert_true(media_side(r, 0, 0)->has_tx && media_side(r, 0, 1)->has_tx);
    HAS(t.b.ring, " RTP/SAVP ");
    pair_bye(&t);
    rig_down(r);
}

static void a_stream_added_to_a_secure_call_is_not_clear(void **state)
{
    static const char video[] = "m=video 40100 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    struct rig *r = secure_up("offered", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_OFFERED, KIND_RTP);
    (void)secure_offer(&t.a, KIND_OFFERED, NULL);
    memcpy(t.a.sdp + strlen(t.a.sdp), video, sizeof(video));
    talk_offer(&t.a, &t.b, t.a.sdp);
    assert_true(is_refused_stream(t.b.ring, 1) && !is_refused_stream(t.b.ring, 0));
    (void)secure_answer(&t.b, t.b.ring, NULL);
    memcpy(t.b.sdp + strlen(t.b.sdp), "m=video 0 RTP/AVP 96\r\n",
           sizeof("m=video 0 RTP/AVP 96\r\n"));
    phone_answer(&t.b, 200, t.b.sdp);
    assert_true(is_refused_stream(EXPECT(&t.a, "200 INVITE"), 1));
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_false(media_side(r, 1, 0)->is_open);
    pair_bye(&t);
    rig_down(r);
}

/* The relay begins anew at index 0: under the old key that would be a two-time pad. */
static void a_stream_that_an_offer_left_out_comes_back_under_another_key(void **state)
{
    static const char video[] = "m=video 50002 RTP/AVP 31\r\n",
                      no_video[] = "m=video 0 RTP/AVP 31\r\n";
    static const char secure_video[] =
        "m=video 40002 RTP/SAVP 31\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
        "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    struct rig *r = secure_up("secure", "plain", "");
    struct srtp_key first;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    for (unsigned i = 0; i < 3; i++) {
        (void)secure_offer(&t.a, KIND_SDES, NULL);
        if (i != 1) {
            memcpy(t.a.sdp + strlen(t.a.sdp), secure_video, sizeof(secure_video));
        }
        if (i == 0) {
            phone_invite(&t.a, CALLED, t.a.sdp);
            EXPECT(&t.a, "100 INVITE");
            EXPECT(&t.b, "INVITE");
        } else {
            talk_offer(&t.a, &t.b, t.a.sdp);
        }
        (void)phone_sdp(&t.b, NULL);
        memcpy(t.b.sdp + strlen(t.b.sdp), i != 1 ? video : no_video,
               i != 1 ? sizeof(video) : sizeof(no_video));
        talk_accept(&t.a, &t.b, t.b.sdp);
        first = i == 0 ? media_side(r, 1, 0)->tx : first;
    }
    assert_true(media_side(r, 1, 0)->has_tx);
    assert_false(srtp_key_equal(&media_side(r, 1, 0)->tx, &first));
    pair_bye(&t);
    rig_down(r);
}

static void an_answer_in_clear_to_a_secure_reinvite_ends_the_call(void **state)
{
    struct rig *r = secure_up("offered", "offered", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_OFFERED, KIND_OFFERED);
    talk_offer(&t.a, &t.b, secure_offer(&t.a, KIND_OFFERED, "sendonly"));
    phone_answer(&t.b, 200, secure_offer(&t.b, KIND_RTP, "recvonly"));
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "500 INVITE");
    phone_ack_failure(&t.a);
    talk_cut(&t.a, &t.b);
    talk_record_is("callee", "no change from SRTP to RTP inside a call", 200);
    rig_down(r);
}

static void the_same_key_goes_on_and_a_new_one_changes_one_direction(void **state)
{
    struct rig *r = secure_up("secure", "secure", "");
    struct srtp_key tx;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_SDES, KIND_SDES);
    tx = media_side(r, 0, 0)->tx;
    reinvite(&t, &t.a, &t.b, KIND_SDES);
    reinvite(&t, &t.b, &t.a, KIND_SDES);
    assert_true(media_side(r, 0, 0)->n_keyed == 1 && media_side(r, 0, 1)->n_keyed == 1);
    secure_new_key(&t.a);
    reinvite(&t, &t.a, &t.b, KIND_SDES);
    assert_true(media_side(r, 0, 0)->n_keyed == 2 && media_side(r, 0, 1)->n_keyed == 1);
    assert_true(key_is(&media_side(r, 0, 0)->rx, sl_str(t.a.key)) &&
                srtp_key_equal(&media_side(r, 0, 0)->tx, &tx));
    pair_bye(&t);
    rig_down(r);
}

static void another_suite_in_a_reinvite_gets_another_key_of_ours(void **state)
{
    struct rig *r = secure_up("secure", "plain", "");
    struct srtp_key tx;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_SDES, KIND_RTP);
    tx = media_side(r, 0, 0)->tx;
    phone_reinvite(&t.a, raw_sdp(&t.a, "RTP/SAVP",
                                 "a=crypto:4 AEAD_AES_128_GCM inline:"
                                 "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3Bxcg==\r\n"));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    talk_accept(&t.a, &t.b, secure_answer(&t.b, t.b.ring, NULL));
    assert_true(media_side(r, 0, 0)->rx.suite == SRTP_AEAD_AES_128_GCM &&
                media_side(r, 0, 0)->tx.suite == SRTP_AEAD_AES_128_GCM);
    assert_false(srtp_key_equal(&media_side(r, 0, 0)->tx, &tx));
    pair_bye(&t);
    rig_down(r);
}

static void a_refused_reinvite_leaves_everything_as_it_was(void **state)
{
    static const unsigned answers[] = {488, 500, 603};
    struct rig *r = secure_up("secure", "secure", "");
    struct fake_side before[2];
    unsigned total;
    uint32_t ports;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_SDES, KIND_SDES);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct media_counts c;

        before[0] = *media_side(r, 0, 0);
        before[1] = *media_side(r, 0, 1);
        media_counts(r->b.workers[0]->media, &c);
        ports = c.ports_used;
        secure_new_key(&t.a);
        (void)secure_offer(&t.a, KIND_SDES, "sendonly");
        total = (unsigned)strlen(t.a.sdp);
        snprintf(t.a.sdp + total, sizeof(t.a.sdp) - total,
                 "m=video 40100 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\na=crypto:1 "
                 "AES_CM_128_HMAC_SHA1_80 inline:" K80 "\r\n");
        phone_reinvite(&t.a, t.a.sdp);
        EXPECT(&t.a, "100 INVITE");
        HAS(EXPECT(&t.b, "INVITE"), "m=video ");
        phone_answer(&t.b, answers[i], NULL);
        EXPECT(&t.b, "ACK");
        assert_true(sl_starts(sl_str(EXPECT(&t.a, "")), SL("SIP/2.0 ")));
        phone_ack_failure(&t.a);
        assert_memory_equal(&before[0], media_side(r, 0, 0), sizeof(before[0]));
        assert_memory_equal(&before[1], media_side(r, 0, 1), sizeof(before[1]));
        media_counts(r->b.workers[0]->media, &c);
        assert_int_equal(c.ports_used, ports);
    }
    reinvite(&t, &t.b, &t.a, KIND_SDES); /* and the keys are still the first ones */
    assert_int_equal(media_side(r, 0, 1)->n_keyed, 1);
    pair_bye(&t);
    rig_down(r);
}

static void a_fax_is_refused_where_media_must_be_secure(void **state)
{
    static const char fax[] = "v=0\r\no=a 1 9 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\n"
                              "t=0 0\r\nm=image 40000 udptl t38\r\na=T38FaxVersion:0\r\n";
    struct rig *r = secure_up("secure", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    up(&t, KIND_SDES, KIND_RTP);
    is_refused_inside(&t, &t.a, fax);
    pair_bye(&t);
    rig_down(r);
}

/* --- forks --- */

static void each_device_that_rings_has_keys_of_its_own(void **state)
{
    struct rig *r = secure_up("secure", "plain", "");
    struct phone a, u, v;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&u, r, 1, "1001", "198.51.100.7:5064");
    phone_init(&v, r, 1, "1001", "198.51.100.8:5066");
    memcpy(u.password, "one", sizeof("one"));
    memcpy(v.password, "one", sizeof("one"));
    talk_register(&u, 600);
    talk_register(&v, 600);
    phone_invite(&a, "sip:1001@203.0.113.1", secure_offer(&a, KIND_SDES, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&u, "INVITE");
    EXPECT(&v, "INVITE");
    HAS(u.ring, " RTP/AVP ");
    for (unsigned i = 0; i < 3; i++) {
        assert_true(msg_key(u.ring, i).n != 0);
        assert_false(sl_eq(msg_key(u.ring, i), msg_key(v.ring, i)));
    }
    phone_answer(&u, 183, secure_answer(&u, u.ring, NULL));
    EXPECT(&a, "183 INVITE");
    assert_true(key_is(&media_side(r, 0, 1)->tx, msg_key(u.ring, 0)));
    phone_answer(&v, 200, secure_answer(&v, v.ring, NULL));
    EXPECT(&v, "ACK");
    assert_true(key_is(&media_side(r, 0, 1)->tx, msg_key(v.ring, 0)));
    assert_true(key_is(&media_side(r, 0, 1)->rx, sl_str(v.key)));
    EXPECT(&a, "200 INVITE");
    phone_ack(&a, NULL);
    talk_cancelled(&u);
    talk_bye(&a, &v);
    r->is_leaky = true; /* both listen on the users' listener */
    rig_down(r);
}

/* The first one's early answer was secure, the second one's is not, and may be so. */
static void nothing_of_an_early_answer_binds_the_next_device(void **state)
{
    struct rig *r = secure_up("plain", "plain", "");
    struct phone a, u, v;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&u, r, 1, "1001", "198.51.100.7:5064");
    phone_init(&v, r, 1, "1001", "198.51.100.8:5066");
    memcpy(u.password, "one", sizeof("one"));
    memcpy(v.password, "one", sizeof("one"));
    talk_register(&u, 600);
    talk_register(&v, 600);
    phone_invite(&a, "sip:1001@203.0.113.1", secure_offer(&a, KIND_RTP, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&u, "INVITE");
    EXPECT(&v, "INVITE");
    assert_true(msg_key(u.ring, 0).n != 0);
    phone_answer(&u, 183, secure_answer(&u, u.ring, NULL));
    EXPECT(&a, "183 INVITE");
    assert_true(media_side(r, 0, 1)->is_secure);
    talk_accept(&a, &v, secure_offer(&v, KIND_RTP, NULL));
    assert_false(media_side(r, 0, 1)->is_secure);
    assert_int_equal(media_side(r, 0, 1)->dscp, MEDIA_DSCP_DEFAULT);
    talk_cancelled(&u);
    talk_bye(&a, &v);
    r->is_leaky = true; /* both listen on the users' listener */
    rig_down(r);
}

/* --- nobody else is told --- */

static void keys_are_in_no_log_line(void **state)
{
    static char log_text[1 << 18];
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    struct rig *r = secure_up("secure", "secure", "");
    char kept[4][96];
    struct pair t;
    ssize_t n;

    (void)state;
    assert_true(fd >= 0);
    log_set_fd(fd);
    pair_init(&t, r);
    up(&t, KIND_SDES, KIND_SDES);
    assert_int_equal(sl_cstr(msg_key(t.b.ring, 0), kept[0], sizeof(kept[0])), 0);
    assert_int_equal(sl_cstr(sl_str(t.a.key), kept[1], sizeof(kept[1])), 0);
    assert_int_equal(sl_cstr(sl_str(t.b.key), kept[2], sizeof(kept[2])), 0);
    is_refused_inside(&t, &t.a, raw_sdp(&t.a, "RTP/SAVP", CRYPTO K80 "AAAA\r\n"));
    memcpy(kept[3], K80, sizeof(K80));
    pair_bye(&t);
    n = pread(fd, log_text, sizeof(log_text) - 1, 0);
    assert_true(n > 100);
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        LACKS(log_text, kept[i]);
    }
    LACKS(log_text, "inline");
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    close(fd);
    rig_down(r);
}

static void has_no_keys(const struct buf *b)
{
    assert_non_null(b->p);
    assert_null(memmem(b->p, b->cap, "inline:", strlen("inline:")));
}

static void keys_do_not_stay_where_messages_are_written(void **state)
{
    struct rig *r = secure_up("secure", "secure", "");
    const struct call_table *calls = rig_calls(r);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_invite(&t.a, CALLED, secure_offer(&t.a, KIND_SDES, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), "inline:");
    has_no_keys(&calls->out);
    has_no_keys(&calls->body);
    phone_answer(&t.b, 200, secure_answer(&t.b, t.b.ring, NULL));
    HAS(EXPECT(&t.a, "200 INVITE"), "inline:");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    has_no_keys(&calls->out);
    has_no_keys(&calls->body);
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_over_bare_udp_are_refused_with_the_reason),
        cmocka_unit_test(keys_over_tls_are_taken),
        cmocka_unit_test(a_target_that_must_have_keys_but_may_not_see_them_is_not_called),
        cmocka_unit_test(optional_keys_stay_at_home_over_bare_udp),
        cmocka_unit_test(bad_and_absent_keys_are_a_488_with_the_reason),
        cmocka_unit_test(a_profile_takes_only_its_own_kind_of_protection),
        cmocka_unit_test(the_best_suite_of_the_profile_is_answered_with_its_tag),
        cmocka_unit_test(an_answer_that_takes_no_key_of_ours_ends_the_call_in_order),
        cmocka_unit_test(a_callee_that_sends_our_own_key_back_is_hung_up),
        cmocka_unit_test(no_side_gets_from_srtp_to_rtp_inside_a_call),
        cmocka_unit_test(a_stream_that_was_secure_does_not_come_back_in_clear_after_port_0),
        cmocka_unit_test(a_stream_added_to_a_secure_call_is_not_clear),
        cmocka_unit_test(a_stream_that_an_offer_left_out_comes_back_under_another_key),
        cmocka_unit_test(an_answer_in_clear_to_a_secure_reinvite_ends_the_call),
        cmocka_unit_test(the_same_key_goes_on_and_a_new_one_changes_one_direction),
        cmocka_unit_test(another_suite_in_a_reinvite_gets_another_key_of_ours),
        cmocka_unit_test(a_refused_reinvite_leaves_everything_as_it_was),
        cmocka_unit_test(a_fax_is_refused_where_media_must_be_secure),
        cmocka_unit_test(each_device_that_rings_has_keys_of_its_own),
        cmocka_unit_test(nothing_of_an_early_answer_binds_the_next_device),
        cmocka_unit_test(keys_are_in_no_log_line),
        cmocka_unit_test(keys_do_not_stay_where_messages_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
