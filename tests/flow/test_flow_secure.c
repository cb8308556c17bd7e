/* test_flow_secure.c - the matrix: every pair of profiles, with the offer in INVITE, in the 200,
 * with early media, and with hold and resume from either side; own keys on each leg and direction.
 */
#include "secure.h"

#include <stdio.h>

struct talk {
    struct pair t;
    enum kind a, b;
    struct sl told[2]; /* our key in what each side was told */
    char kept[2][96];
};

static const char *const offered_protos[KIND_N] = {" RTP/AVP ", " RTP/SAVP ", " RTP/AVP ",
                                                   " UDP/TLS/RTP/SAVPF ", " UDP/TLS/RTP/SAVPF "};

static bool has_sdes(enum kind k)
{
    return k == KIND_SDES || k == KIND_OFFERED;
}

static bool has_dtls(enum kind k)
{
    return k == KIND_DTLS || k == KIND_BROWSER;
}

static void keep_key(struct talk *k, unsigned side, const char *text)
{
    assert_int_equal(sl_cstr(msg_key(text, 0), k->kept[side], sizeof(k->kept[side])), 0);
}

/* What a phone of that kind must see in an offer or an answer to it. */
static void check_told(enum kind kind, const char *text, bool is_offer)
{
    HAS(text, "m=audio ");
    if (is_offer) {
        HAS(text, offered_protos[kind]);
    }
    assert_int_equal(msg_key(text, 0).n != 0, has_sdes(kind));
    if (!has_dtls(kind)) {
        LACKS(text, "a=fingerprint");
        LACKS(text, "a=setup");
        LACKS(text, "a=ice-");
    } else {
        HAS(text, "a=fingerprint:" FAKE_FINGERPRINT "\r\n");
        HAS(text, is_offer ? "a=setup:actpass\r\n" : "a=setup:passive\r\n");
    }
    if (kind != KIND_BROWSER) {
        LACKS(text, "a=rtcp-mux");
        LACKS(text, "a=candidate");
        return;
    }
    HAS(text, "a=ice-lite\r\n");
    HAS(text, "a=ice-ufrag:fakeufrag0\r\na=ice-pwd:fakepasswordoftwentyfour\r\na=candidate:1 1 UDP "
              "2130706431 ");
    HAS(text, "a=end-of-candidates\r\n");
    HAS(text, "a=rtcp-mux\r\n");
}

static void check_side(struct talk *k, unsigned side)
{
    const struct fake_side *fs = media_side(k->t.r, 0, side);
    const struct phone *p = side == 0 ? &k->t.a : &k->t.b;
    enum kind kind = side == 0 ? k->a : k->b;
    char print[16];

    assert_int_equal(fs->has_tx && fs->has_rx, has_sdes(kind));
    assert_int_equal(fs->n_dtls != 0, has_dtls(kind));
    if (has_sdes(kind)) {
        assert_true(key_is(&fs->rx, sl_str(p->key)));
        assert_true(key_is(&fs->tx, sl_str(k->kept[side])));
    }
    if (has_dtls(kind)) {
        snprintf(print, sizeof(print), "sha-256 %02X:%02X:", p->side + 0xA0u, p->print);
        assert_int_equal(fs->dtls.role, MEDIA_DTLS_PASSIVE);
        assert_int_equal(strncmp(fs->fingerprint, print, strlen(print)), 0);
    }
    assert_int_equal(fs->ufrag[0] != '\0', kind == KIND_BROWSER);
    assert_int_equal(fs->remote.mux, kind == KIND_BROWSER);
    assert_int_equal(fs->remote.avpf, has_dtls(kind));
}

static void check_media(struct talk *k)
{
    const struct fake_side *a = media_side(k->t.r, 0, 0), *b = media_side(k->t.r, 0, 1);

    check_side(k, 0);
    check_side(k, 1);
    if (has_sdes(k->a) && has_sdes(k->b)) { /* attacks.md 82: four keys, all different */
        assert_false(srtp_key_equal(&a->tx, &b->tx) || srtp_key_equal(&a->tx, &b->rx) ||
                     srtp_key_equal(&a->rx, &b->tx) || srtp_key_equal(&a->tx, &a->rx));
    }
}

static void talk_up(struct talk *k, enum kind a, enum kind b)
{
    *k = (struct talk){.a = a, .b = b};
    pair_init(&k->t, secure_up(kind_names[a], kind_names[b], ""));
}

static void talk_down(struct talk *k)
{
    pair_bye(&k->t);
    rig_down(k->t.r);
}

static void ring(struct talk *k)
{
    struct pair *t = &k->t;

    phone_invite(&t->a, "sip:+4930123@203.0.113.1", secure_offer(&t->a, k->a, NULL));
    EXPECT(&t->a, "100 INVITE");
    check_told(k->b, EXPECT(&t->b, "INVITE"), true);
    keep_key(k, 1, t->b.ring);
}

static void pick_up(struct talk *k)
{
    struct pair *t = &k->t;

    phone_answer_invite(&t->b, 200, secure_answer(&t->b, t->b.ring, NULL));
    check_told(k->a, EXPECT(&t->a, "200 INVITE"), false);
    keep_key(k, 0, t->a.got);
    EXPECT(&t->b, "ACK");
    phone_ack(&t->a, NULL);
    check_media(k);
}

/* x offers, y answers; all keys stay. */
static void exchange(struct talk *k, struct phone *x, struct phone *y, const char *dir,
                     const char *back)
{
    enum kind kx = x->side == 0 ? k->a : k->b, ky = y->side == 0 ? k->a : k->b;

    phone_reinvite(x, secure_offer(x, kx, dir));
    EXPECT(x, "100 INVITE");
    check_told(ky, EXPECT(y, "INVITE"), true);
    phone_answer(y, 200, secure_answer(y, y->ring, back));
    check_told(kx, EXPECT(x, "200 INVITE"), false);
    EXPECT(y, "ACK");
    phone_ack(x, NULL);
    check_media(k);
}

static void one_cell(enum kind a, enum kind b)
{
    struct talk k;
    struct phone *pa = &k.t.a, *pb = &k.t.b;

    talk_up(&k, a, b);
    ring(&k);
    pick_up(&k);
    exchange(&k, pa, pb, "sendonly", "recvonly");
    assert_false(media_side(k.t.r, 0, 0)->remote.may_receive);
    exchange(&k, pa, pb, "sendrecv", "sendrecv");
    exchange(&k, pb, pa, "inactive", "inactive");
    exchange(&k, pb, pa, NULL, NULL);
    assert_int_equal(media_side(k.t.r, 0, 0)->n_keyed, has_sdes(a) ? 1 : 0);
    assert_int_equal(media_side(k.t.r, 0, 1)->n_keyed, has_sdes(b) ? 1 : 0);
    assert_int_equal(media_side(k.t.r, 0, 0)->ice_gen, 0);
    talk_down(&k);
}

static void every_pair_of_profiles_talks_holds_and_resumes_from_either_side(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KIND_N * KIND_N; i++) {
        one_cell((enum kind)(i / KIND_N), (enum kind)(i % KIND_N));
    }
}

static void late_cell(enum kind a, enum kind b)
{
    struct talk k;
    struct pair *t = &k.t;

    talk_up(&k, a, b);
    phone_invite(&t->a, "sip:+4930123@203.0.113.1", NULL);
    EXPECT(&t->a, "100 INVITE");
    LACKS(EXPECT(&t->b, "INVITE"), "m=audio");
    phone_answer(&t->b, 200, secure_offer(&t->b, b, NULL));
    check_told(a, EXPECT(&t->a, "200 INVITE"), true);
    keep_key(&k, 0, t->a.got);
    QUIET(&t->b);
    phone_ack(&t->a, secure_answer(&t->a, t->a.got, NULL));
    check_told(b, EXPECT(&t->b, "ACK"), false);
    keep_key(&k, 1, t->b.got);
    check_media(&k);
    exchange(&k, &t->b, &t->a, "sendonly", "recvonly");
    talk_down(&k);
}

static void every_pair_talks_when_the_offer_comes_with_the_answer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KIND_N * KIND_N; i++) {
        late_cell((enum kind)(i / KIND_N), (enum kind)(i % KIND_N));
    }
}

static void early_cell(enum kind a, enum kind b)
{
    struct talk k;
    struct pair *t = &k.t;
    struct sl key;
    char early[96];

    talk_up(&k, a, b);
    ring(&k);
    phone_answer(&t->b, 183, secure_answer(&t->b, t->b.ring, NULL));
    check_told(a, EXPECT(&t->a, "183 INVITE"), false);
    key = msg_key(t->a.got, 0);
    assert_int_equal(sl_cstr(key, early, sizeof(early)), 0);
    keep_key(&k, 0, t->a.got);
    check_media(&k);
    pick_up(&k);
    assert_string_equal(early, k.kept[0]); /* what was told once stays */
    talk_down(&k);
}

static void early_media_has_the_keys_of_the_call(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KIND_N * KIND_N; i++) {
        early_cell((enum kind)(i / KIND_N), (enum kind)(i % KIND_N));
    }
}

static void a_plain_phone_gets_a_plain_answer_from_a_side_that_does_not_insist(void **state)
{
    static const enum kind others[] = {KIND_RTP, KIND_SDES, KIND_OFFERED, KIND_BROWSER};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct talk k;
        struct pair *t = &k.t;

        talk_up(&k, KIND_OFFERED, others[i]);
        k.a = KIND_RTP; /* the phone */
        ring(&k);
        pick_up(&k);
        phone_reinvite(&t->b, secure_offer(&t->b, others[i], "sendonly"));
        EXPECT(&t->b, "100 INVITE");
        LACKS(EXPECT(&t->a, "INVITE"), "a=crypto"); /* it did without: it is not asked again */
        talk_accept(&t->b, &t->a, secure_answer(&t->a, t->a.ring, "recvonly"));
        talk_down(&k);
    }
}

static void a_callee_may_leave_what_was_only_offered(void **state)
{
    struct talk k;
    struct pair *t = &k.t;

    (void)state;
    talk_up(&k, KIND_SDES, KIND_OFFERED);
    ring(&k);
    phone_answer_invite(&t->b, 200, secure_offer(&t->b, KIND_RTP, NULL));
    check_told(KIND_SDES, EXPECT(&t->a, "200 INVITE"), false);
    EXPECT(&t->b, "ACK");
    phone_ack(&t->a, NULL);
    assert_false(media_side(t->r, 0, 1)->has_tx);
    assert_true(media_side(t->r, 0, 0)->has_tx);
    talk_down(&k);
}

static void the_record_tells_suites_and_codecs_but_no_keys(void **state)
{
    struct talk k;
    struct pair *t = &k.t;
    const struct fake_call *c;
    struct buf json;

    (void)state;
    talk_up(&k, KIND_SDES, KIND_BROWSER);
    ring(&k);
    pick_up(&k);
    buf_init(&json, 1 << 16);
    assert_int_equal(call_detail(rig_calls(t->r), call_id_now(), &json), 0);
    buf_putc(&json, '\0');
    LACKS(json.p, t->a.key);
    LACKS(json.p, k.kept[0]);
    LACKS(json.p, "inline");
    buf_free(&json);
    pair_bye(t);
    c = talk_record();
    HAS(c->detail,
        "\"media_profile\":\"secure\",\"streams\":[{\"stream\":0,\"security\":\"AES_CM_128_"
        "HMAC_SHA1_80\",\"keys\":\"sdes\",\"profile\":\"RTP/SAVP\",\"ice\":false,\"rtcp_"
        "mux\":false,\"codecs\":[\"PCMU\",\"PCMA\",\"telephone-event\"]}]");
    HAS(c->detail, "\"media_profile\":\"browser\",\"streams\":[{\"stream\":0,\"security\":\"dtls\","
                   "\"keys\":\"dtls\",\"profile\":\"UDP/TLS/RTP/SAVPF\",\"ice\":true,\"rtcp_mux\":"
                   "true,");
    LACKS(c->detail, t->a.key);
    LACKS(c->detail, k.kept[0]);
    LACKS(c->detail, "A1:00:22");
    LACKS(c->detail, "fakeufrag");
    rig_down(t->r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_profiles_talks_holds_and_resumes_from_either_side),
        cmocka_unit_test(every_pair_talks_when_the_offer_comes_with_the_answer),
        cmocka_unit_test(early_media_has_the_keys_of_the_call),
        cmocka_unit_test(a_plain_phone_gets_a_plain_answer_from_a_side_that_does_not_insist),
        cmocka_unit_test(a_callee_may_leave_what_was_only_offered),
        cmocka_unit_test(the_record_tells_suites_and_codecs_but_no_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
