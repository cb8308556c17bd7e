/* talk.c - pieces of calls that many tests need. */
#include "rig.h"

#include <stdio.h>

void pair_init(struct pair *t, struct rig *r)
{
    t->r = r;
    phone_init(&t->a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&t->b, r, 1, "bob", "10.1.1.20:5070");
}

void talk_start(struct phone *a, struct phone *b)
{
    phone_invite(a, CALLED, phone_sdp(a, NULL));
    EXPECT(a, "100 INVITE");
    EXPECT(b, "INVITE");
}

void talk_accept(struct phone *a, struct phone *b, const char *answer)
{
    phone_answer_invite(b, 200, answer);
    EXPECT(a, "200 INVITE");
    EXPECT(b, "ACK");
    phone_ack(a, NULL);
}

void talk_answer(struct phone *a, struct phone *b)
{
    talk_accept(a, b, phone_sdp(b, NULL));
}

void talk_bye(struct phone *a, struct phone *b)
{
    phone_bye(a);
    EXPECT(a, "200 BYE");
    EXPECT(b, "BYE");
    phone_answer(b, 200, NULL);
}

void talk_cut(struct phone *a, struct phone *b)
{
    EXPECT(a, "BYE");
    phone_answer(a, 200, NULL);
    EXPECT(b, "BYE");
    phone_answer(b, 200, NULL);
}

void talk_refuse(struct phone *b, unsigned status, struct phone *a, const char *heard)
{
    phone_answer_invite(b, status, NULL);
    EXPECT(b, "ACK");
    EXPECT(a, heard);
    phone_ack_failure(a);
}

void talk_cancel(struct phone *a)
{
    phone_cancel(a);
    EXPECT(a, "200 CANCEL");
    EXPECT(a, "487 INVITE");
    phone_ack_failure(a);
}

void talk_cancelled(struct phone *b)
{
    EXPECT(b, "CANCEL");
    phone_answer(b, 200, NULL);
    phone_answer_invite(b, 487, NULL);
    EXPECT(b, "ACK");
}

void talk_offer(struct phone *x, struct phone *y, const char *offer)
{
    phone_reinvite(x, offer);
    EXPECT(x, "100 INVITE");
    EXPECT(y, "INVITE");
}

void talk_reinvite(struct phone *x, struct phone *y, const char *offer, const char *answer)
{
    talk_offer(x, y, offer);
    talk_accept(x, y, answer);
}

void talk_hold(struct phone *x, struct phone *y)
{
    talk_reinvite(x, y, phone_sdp(x, "sendonly"), phone_sdp(y, "recvonly"));
}

void pair_ring(struct pair *t)
{
    talk_start(&t->a, &t->b);
    phone_answer(&t->b, 100, NULL);
    phone_answer(&t->b, 180, NULL);
    EXPECT(&t->a, "180 INVITE");
}

void pair_answer(struct pair *t)
{
    talk_answer(&t->a, &t->b);
}

void pair_up(struct pair *t)
{
    pair_ring(t);
    pair_answer(t);
}

void pair_bye(struct pair *t)
{
    talk_bye(&t->a, &t->b);
}

/* --- a phone that needs no script --- */

static void robot_answer(struct phone *p)
{
    bool is_invite = sl_starts(sl_str(p->got), SL("INVITE ")),
         has_offer = strstr(p->got, "m=audio");

    if (sl_starts(sl_str(p->got), SL("ACK "))) {
        return;
    }
    if (sl_starts(sl_str(p->got), SL("CANCEL "))) {
        phone_answer(p, 200, NULL);
        phone_answer_invite(p, 487, NULL);
        return;
    }
    if (is_invite && msg_tag(msg_hdr(sl_str(p->got), "To", 0)).n == 0) {
        phone_answer(p, 180, NULL);
    }
    phone_answer(p, 200, is_invite ? phone_sdp(p, has_offer ? NULL : "sendrecv") : NULL);
}

static void robot_hear(struct phone *p)
{
    struct sl msg = sl_str(p->got);

    if (sl_starts(msg, SL("SIP/2.0 401 ")) && strstr(p->got, "nonce=\"") != NULL) {
        phone_credentials(p, "REGISTER", "sip:example.test");
        phone_request(p, "REGISTER", "sip:example.test", NULL);
        return;
    }
    if (!sl_ends(msg_hdr(msg, "CSeq", 0), SL("INVITE")) || msg.p[8] == '1') {
        return;
    }
    if (msg.p[8] == '2') {
        phone_ack(p, strstr(p->invite, "m=audio") != NULL ? NULL : phone_sdp(p, NULL));
    } else {
        phone_ack_failure(p);
    }
}

bool robot_turn(struct phone *p)
{
    if (!phone_try(p, "")) {
        return false;
    }
    if (sl_starts(sl_str(p->got), SL("SIP/2.0 "))) {
        robot_hear(p);
    } else {
        robot_answer(p);
    }
    return true;
}

void robot_talk(struct phone *const *phones, size_t n)
{
    bool busy = true;

    for (int turns = 0; busy && turns < 100; turns++) {
        busy = false;
        for (size_t i = 0; i < n; i++) {
            busy = robot_turn(phones[i]) || busy;
        }
    }
}

const struct fake_call *talk_record(void)
{
    const struct fake_call *last = fake_store_last();
    unsigned n = 0;

    assert_non_null(last);
    last = fake_store_ended(last->id, &n);
    assert_int_equal(n, 1);
    return last;
}

void talk_record_is(const char *by, const char *reason, unsigned code)
{
    const struct fake_call *c = talk_record();

    assert_string_equal(c->end_by, by);
    assert_string_equal(c->end_reason, reason);
    assert_int_equal(c->end_code, code);
}

/* --- digest as a phone does it --- */

static struct sl quoted(struct sl value, const char *name)
{
    ptrdiff_t at = sl_find(value, sl_str(name));
    struct sl rest = at >= 0 ? sl_from(value, (size_t)at + strlen(name)) : SL_NULL, out = SL_NULL;

    return sl_next(&rest, '"', &out) == 0 ? out : SL_NULL;
}

static void md5(const char *text, char out[33])
{
    struct sl part = sl_str(text);
    uint8_t raw[CRYPTO_MD5_LEN];
    struct buf b;

    assert_int_equal(crypto_digest(CRYPTO_MD5, &part, 1, raw), 0);
    buf_init_fixed(&b, out, 33);
    buf_putx(&b, raw, sizeof(raw));
    out[32] = '\0';
}

void phone_credentials(struct phone *p, const char *method, const char *uri)
{
    struct sl proxy = msg_hdr(sl_str(p->got), "Proxy-Authenticate", 0);
    struct sl v = proxy.n != 0 ? proxy : msg_hdr(sl_str(p->got), "WWW-Authenticate", 0);
    struct sl realm = quoted(v, "realm=\""), nonce = quoted(v, "nonce=\"");
    char text[512], ha1[33], ha2[33], rsp[33];
    int n;

    assert_true(realm.n != 0 && nonce.n != 0);
    snprintf(text, sizeof(text), "%s:%.*s:%s", p->user, SL_ARG(realm), p->password);
    md5(text, ha1);
    snprintf(text, sizeof(text), "%s:%s", method, uri);
    md5(text, ha2);
    snprintf(text, sizeof(text), "%s:%.*s:00000001:cafe:auth:%s", ha1, SL_ARG(nonce), ha2);
    md5(text, rsp);
    n = snprintf(p->extra + strlen(p->extra), sizeof(p->extra) - strlen(p->extra),
                 "%s: Digest username=\"%s\", realm=\"%.*s\", nonce=\"%.*s\", uri=\"%s\", "
                 "response=\"%s\", algorithm=MD5, cnonce=\"cafe\", qop=auth, nc=00000001\r\n",
                 proxy.n != 0 ? "Proxy-Authorization" : "Authorization", p->user, SL_ARG(realm),
                 SL_ARG(nonce), uri, rsp);
    assert_true(n > 0 && strlen(p->extra) < sizeof(p->extra) - 1);
}

void talk_register(struct phone *p, unsigned expires_s)
{
    struct phone reg = *p; /* a registration is a dialog of its own */
    char expires[32];

    snprintf(expires, sizeof(expires), "Expires: %u\r\n", expires_s);
    phone_renew(&reg);
    snprintf(reg.local, sizeof(reg.local), "<sip:%s@example.test>", p->user);
    snprintf(reg.remote, sizeof(reg.remote), "<sip:%s@example.test>", p->user);
    memcpy(reg.extra, expires, sizeof(expires));
    phone_request(&reg, "REGISTER", "sip:example.test", NULL);
    EXPECT(&reg, "401 REGISTER");
    memcpy(reg.extra, expires, sizeof(expires));
    phone_credentials(&reg, "REGISTER", "sip:example.test");
    phone_request(&reg, "REGISTER", "sip:example.test", NULL);
    EXPECT(&reg, "200 REGISTER");
}
