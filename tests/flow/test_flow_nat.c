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
    assert_int_equal(sl_cstr(SL("192.168.1.5"), t.a.media_ip, sizeof(t.a.media_ip)), 0);
    pair_up(&t);
    assert_true(rig_media(r)->streams[0].side[0].remote.wait_for_source); /* nobody is there */
    assert_false(rig_media(r)->streams[0].side[1].remote.wait_for_source);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
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
    talk_bye(&a, &b);
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

/* Takes a re-INVITE and refuses it. */
static void deaf(struct phone *p, unsigned status)
{
    EXPECT(p, "INVITE");
    phone_answer_invite(p, status, NULL);
    EXPECT(p, "ACK");
    QUIET(p);
}

static void a_call_that_would_not_hear_our_new_address_is_told_again(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_advance(r, 100);
    deaf(&t.a, 503);
    rig_advance(r, 9999);
    QUIET(&t.a);
    rig_advance(r, 1);
    deaf(&t.a, 488);
    rig_advance(r, 10000);
    told_of(&t.a, "203.0.113.77");
    rig_advance(r, 60000);
    QUIET(&t.a);
    rig_reload(r, HOUSE_AT("203.0.113.78", ""));
    rig_advance(r, 100);
    for (unsigned i = 0; i < 6; i++) { /* some never will */
        deaf(&t.a, 500);
        rig_advance(r, 10000);
    }
    rig_advance(r, 60000);
    QUIET(&t.a);
    pair_bye(&t);
    rig_down(r);
}

static void glare_without_end_and_an_unknown_update_are_no_end_either(void **state)
{
    static const char allow[] = "Allow: INVITE, ACK, BYE, UPDATE\r\n";
    struct rig *r = rig_up(HOUSE(""), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    memcpy(t.a.extra, allow, sizeof(allow));
    pair_up(&t);
    rig_reload(r, HOUSE_AT("203.0.113.77", ""));
    rig_advance(r, 100);
    EXPECT(&t.a, "UPDATE");
    phone_answer(&t.a, 405, NULL);
    rig_advance(r, 10000);
    while (phone_try(&t.a, "INVITE")) {
        phone_answer_invite(&t.a, 491, NULL);
        EXPECT(&t.a, "ACK");
        for (int ms = 0; ms < 2000 && !phone_has_mail(&t.a); ms += 20) {
            rig_advance(r, 20);
        }
    }
    rig_advance(r, 8000);
    told_of(&t.a, "203.0.113.77");
    pair_bye(&t);
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
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
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

/* --- devices behind NAT --- */

#define USERS(keepalive)                                                                           \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "users: {domain: example.test, listener: outside" keepalive ",\n"                              \
    "        accounts: [{name: '1001', password: one}]}\n"                                         \
    "routes: []\n"
#define USERS_AND_PBX                                                                              \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"               \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  pbx: {listener: inside, sources: [10.1.1.0/24]}\n"                                          \
    "users: {domain: example.test, listener: outside,\n"                                           \
    "        accounts: [{name: '1001', password: one}]}\n"                                         \
    "routes: [{name: in, from: pbx, to: users}]\n"
#define PING "\r\n\r\n"
#define HOME "192.0.2.99:40123"

static struct rig *registered(struct phone *p, const char *yaml, const char *contact)
{
    struct rig *r = rig_up(yaml, 1);

    phone_init(p, r, 0, "1001", HOME);
    memcpy(p->password, "one", sizeof("one"));
    call_itself(p, contact);
    talk_register(p, 600);
    return r;
}

static void pings_come(const char *yaml, const char *contact, int64_t ms, size_t min, size_t max)
{
    struct phone p;
    struct rig *r = registered(&p, yaml, contact);
    size_t n;

    rig_advance(r, ms);
    n = sent_to(r, PING, HOME);
    assert_in_range(n, min, max);
    phone_drop_mail(&p);
    r->is_noisy = true;
    rig_advance(r, 600000); /* the registration has run out: no more */
    n = r->n_sent;
    rig_advance(r, 600000);
    assert_int_equal(r->n_sent, n);
    rig_down(r);
}

static void line_ends_keep_a_hidden_device_reachable(void **state)
{
    (void)state;
    pings_come(USERS(""), "192.168.1.5:40123", 23999, 0, 0); /* a fifth of 30 s is drawn by lot */
    pings_come(USERS(""), "192.168.1.5:40123", 30000, 1, 1);
    pings_come(USERS(""), "192.168.1.5:40123", 300000, 10, 12);
    pings_come(USERS(", keepalive: {interval: 60s}"), "192.168.1.5:40123", 47999, 0, 0);
    pings_come(USERS(", keepalive: {interval: 60s}"), "192.168.1.5:40123", 60000, 1, 1);
    pings_come(USERS(", keepalive: {method: off}"), "192.168.1.5:40123", 300000, 0, 0);
    pings_come(USERS(""), HOME, 300000, 0, 0); /* nothing stands between */
}

/* Answers the OPTIONS that comes at this time, and no earlier. */
static void asked_at(struct phone *p, int64_t after_ms, bool answers)
{
    struct rig *r = p->r;

    rig_advance(r, after_ms - 1);
    QUIET(p);
    rig_advance(r, 1);
    EXPECT(p, "OPTIONS");
    HAS(p->got, "OPTIONS sip:dev-1001-0@192.168.1.5:40123 SIP/2.0\r\nVia: SIP/2.0/UDP "
                "203.0.113.1:5060;");
    if (answers) {
        phone_answer(p, 404, NULL); /* whatever it says: it was reached */
        rig_settle(r);
    }
}

#define LEARN USERS(", keepalive: {method: options, interval: 40s, max: 100s}")

static void answered_pauses_grow_to_the_longest(void **state)
{
    struct phone p;
    struct rig *r = registered(&p, LEARN, "192.168.1.5:40123");

    (void)state;
    asked_at(&p, 40000, true);
    asked_at(&p, 60000, true);
    asked_at(&p, 90000, true);
    asked_at(&p, 100000, true);
    asked_at(&p, 100000, true);
    r->is_noisy = true;
    rig_advance(r, 1200000);
    rig_down(r);
}

static void an_unanswered_pause_is_the_last_that_was_tried(void **state)
{
    struct phone p;
    struct rig *r = registered(&p, LEARN, "192.168.1.5:40123");

    (void)state;
    asked_at(&p, 40000, true);
    asked_at(&p, 60000, true);
    asked_at(&p, 90000, false);
    rig_advance(r, 32000); /* repeated until nobody waits any more */
    phone_drop_mail(&p);
    for (int i = 0; i < 4; i++) { /* back to what is known to be good, for ever */
        asked_at(&p, 60000, true);
    }
    r->is_noisy = true;
    rig_advance(r, 1200000);
    rig_down(r);
}

/* --- gateways that rewrite half of a message --- */

/* What the phone would have sent, with one word of it changed on the way, as often as it stands
 * there; the length of the body as it was. */
static void send_mangled(struct phone *p, const char *text, const char *from, const char *to)
{
    char out[RIG_TEXT_MAX];
    struct buf b;

    buf_init_fixed(&b, out, sizeof(out) - 1);
    assert_non_null(strstr(text, from));
    for (const char *at = strstr(text, from); at != NULL; at = strstr(text, from)) {
        buf_putsl(&b, sl_make(text, (size_t)(at - text)));
        buf_puts(&b, to);
        text = at + strlen(from);
    }
    buf_puts(&b, text);
    assert_int_equal(buf_err(&b), 0);
    out[b.n] = '\0';
    phone_send_raw(p, out);
}

/* The header rewritten, the description forgotten, and the other way round. */
static void half_a_rewriting_does_not_hurt_a_call(void **state)
{
    static const struct {
        const char *contact, *media;
        bool is_hidden; /* its media will come from somewhere else */
    } rows[] = {{"192.0.2.30:5060", "192.168.1.5", true},
                {"192.168.1.5:5060", "192.0.2.30", false},
                {"192.168.1.5:5060", "10.99.1.2", true}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = rig_up(HOUSE(""), 1);
        struct pair t;

        pair_init(&t, r);
        call_itself(&t.a, rows[i].contact);
        assert_int_equal(sl_cstr(sl_str(rows[i].media), t.a.media_ip, sizeof(t.a.media_ip)), 0);
        pair_up(&t);
        assert_int_equal(rig_media(r)->streams[0].side[0].remote.wait_for_source,
                         rows[i].is_hidden);
        phone_bye(&t.b);
        EXPECT(&t.b, "200 BYE");
        EXPECT(&t.a, "BYE"); /* where it is, whatever it says */
        phone_answer(&t.a, 200, NULL);
        rig_down(r);
    }
}

/* Of a peer, the Contact's own address counts unless the configuration says that it cannot. */
static void a_wrong_port_in_a_contact_is_not_followed(void **state)
{
    struct phone u, b;
    struct rig *r = registered(&u, USERS_AND_PBX, "192.0.2.99:1024");

    (void)state;
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_invite(&b, "sip:1001@10.1.1.1", phone_sdp(&b, NULL));
    EXPECT(&b, "100 INVITE");
    EXPECT(&u, "INVITE"); /* by the way it has registered on */
    phone_answer_invite(&u, 200, phone_sdp(&u, NULL));
    EXPECT(&u, "ACK");
    EXPECT(&b, "200 INVITE");
    phone_ack(&b, NULL);
    phone_bye(&b);
    EXPECT(&b, "200 BYE");
    EXPECT(&u, "BYE");
    phone_answer(&u, 200, NULL);
    rig_down(r);
    bye_goes_to(HOUSE(", nat: on"), "192.0.2.30:1024", "192.0.2.30:5060");
    bye_goes_to(HOUSE(""), "192.0.2.30:1024", "192.0.2.30:1024");
}

/* Our branch says whose answer it is, not the address that somebody wrote over ours. */
static void answers_count_with_another_host_in_their_via(void **state)
{
    static const char *const hosts[] = {"10.1.1.254:1024", "192.168.1.1", "alg.invalid:5060"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct rig *r = rig_up(HOUSE(""), 1);
        char answer[RIG_TEXT_MAX], via[64];
        struct pair t;
        struct sl line;

        pair_init(&t, r);
        pair_ring(&t);
        line = msg_hdr(sl_str(t.b.ring), "Via", 0);
        (void)snprintf(
            answer, sizeof(answer),
            "SIP/2.0 486 Busy Here\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: <sip:x@y>;tag=b1\r\n"
            "Call-ID: %.*s\r\nCSeq: %.*s\r\nContent-Length: 0\r\n\r\n",
            SL_ARG(line), SL_ARG(msg_hdr(sl_str(t.b.ring), "From", 0)),
            SL_ARG(msg_hdr(sl_str(t.b.ring), "Call-ID", 0)),
            SL_ARG(msg_hdr(sl_str(t.b.ring), "CSeq", 0)));
        (void)snprintf(via, sizeof(via), "Via: SIP/2.0/UDP %s;", hosts[i]);
        send_mangled(&t.b, answer, "Via: SIP/2.0/UDP 10.1.1.1:5060;", via);
        EXPECT(&t.b, "ACK");
        EXPECT(&t.a, "486 INVITE");
        phone_ack_failure(&t.a);
        rig_down(r);
    }
}

/* A call that leads to nothing; what the phone sent for it. */
static void note_invite(struct pair *t, char invite[RIG_TEXT_MAX])
{
    phone_invite(&t->a, "sip:+4930123@203.0.113.1", phone_sdp(&t->a, NULL));
    memcpy(invite, t->a.invite, RIG_TEXT_MAX);
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
    phone_answer_invite(&t->b, 486, NULL);
    EXPECT(&t->b, "ACK");
    EXPECT(&t->a, "486 INVITE");
    phone_ack_failure(&t->a);
}

/* A body that has grown or shrunk under its old Content-Length, by UDP. RFC 3261 18.3 leaves no
 * choice: what is missing is a 400, what is too much is no part of the message. */
static void a_length_that_a_rewriting_has_left_is_not_trusted_blindly(void **state)
{
    struct rig *r = rig_up(HOUSE(""), 1);
    char invite[RIG_TEXT_MAX];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    assert_int_equal(sl_cstr(SL("192.168.1.5"), t.a.media_ip, sizeof(t.a.media_ip)), 0);
    note_invite(&t, invite);
    memcpy(strstr(invite, "branch=z9hG4bK-") + 15, "shrk", 4);
    memcpy(strstr(invite, "Call-ID: ") + 9, "shrk", 4);
    send_mangled(&t.a, invite, "IP4 192.168.1.5", "IP4 9.9.9.9");
    EXPECT(&t.a, "400 INVITE");
    QUIET(&t.b);
    memcpy(strstr(invite, "branch=z9hG4bK-") + 15, "grwn", 4);
    memcpy(strstr(invite, "Call-ID: ") + 9, "grwn", 4);
    send_mangled(&t.a, invite, "IP4 192.168.1.5", "IP4 198.51.100.77");
    EXPECT(&t.a, "100 INVITE"); /* what was cut off is the end of the last attribute */
    EXPECT(&t.b, "INVITE");
    LACKS(t.b.got, "198.51.100.77");
    HAS(t.b.got, "m=audio 30");
    phone_answer_invite(&t.b, 486, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "486 INVITE");
    r->is_noisy = true; /* repeated: the ACK would be that of the first call */
    rig_down(r);
}

/* The domain is an address of the inside: what nobody may learn stands in the From of an OPTIONS.
 */
#define INSIDE_DOMAIN(on_leak)                                                                     \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "users: {domain: 10.1.1.1, listener: outside, topology: {hide: all, on_leak: " on_leak "},\n"  \
    "        keepalive: {method: options, interval: 40s, max: 100s},\n"                            \
    "        accounts: [{name: '1001', password: one}]}\n"                                         \
    "routes: []\n"

/* The device was registered before the house was started. */
static struct rig *loaded(struct phone *p, const char *yaml, int64_t expires_ms)
{
    struct rig *r = rig_up(yaml, 1);
    struct store_binding row = {.user = SL("1001"),
                                .contact = SL("sip:dev-1001-0@192.168.1.5:40123"),
                                .call_id = SL("c"),
                                .cseq = 1,
                                .flow = SL("1 " HOME " 198.51.100.1:5060"),
                                .received = SL(HOME),
                                .transport = SL("udp"),
                                .listener = SL("outside")};

    phone_init(p, r, 0, "1001", HOME);
    row.updated_ms = loop_wall_ms(rig_worker(r, 0)->loop);
    row.expires_ms = row.updated_ms + expires_ms;
    registrar_load(rig_worker(r, 0)->registrar, &row);
    return r;
}

static void a_device_that_is_known_from_before_is_kept_reachable_from_the_start(void **state)
{
    struct phone p;
    struct rig *r = loaded(&p, LEARN, 600000);

    (void)state;
    asked_at(&p, 40000, true);
    asked_at(&p, 60000, true);
    r->is_noisy = true;
    rig_advance(r, 1200000);
    rig_down(r);
}

static void our_own_options_are_looked_at_before_they_go(void **state)
{
    struct phone p;
    struct rig *r = loaded(&p, INSIDE_DOMAIN("mask"), 45000);

    (void)state;
    asked_at(&p, 40000, true);
    HAS(p.got, "From: <sip:00.0.0.0>;tag=");
    r->leaks_due = 1;
    r->is_noisy = true;
    rig_down(r);
    r = loaded(&p, INSIDE_DOMAIN("refuse"), 45000);
    rig_advance(r, 40000);
    QUIET(&p);
    assert_int_equal(stat_sum(STAT_NAT_FAILED), 1);
    r->leaks_due = 1;
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_private_contact_seen_from_outside_is_not_followed),
        cmocka_unit_test(an_answer_with_a_private_contact_is_acknowledged_by_its_flow),
        cmocka_unit_test(other_contacts_are_followed),
        cmocka_unit_test(a_call_is_told_our_new_address),
        cmocka_unit_test(a_call_that_would_not_hear_our_new_address_is_told_again),
        cmocka_unit_test(glare_without_end_and_an_unknown_update_are_no_end_either),
        cmocka_unit_test(a_call_that_rings_is_told_when_it_is_up),
        cmocka_unit_test(a_new_call_has_the_new_address_from_the_start),
        cmocka_unit_test(the_change_waits_its_turn),
        cmocka_unit_test(line_ends_keep_a_hidden_device_reachable),
        cmocka_unit_test(answered_pauses_grow_to_the_longest),
        cmocka_unit_test(an_unanswered_pause_is_the_last_that_was_tried),
        cmocka_unit_test(half_a_rewriting_does_not_hurt_a_call),
        cmocka_unit_test(a_wrong_port_in_a_contact_is_not_followed),
        cmocka_unit_test(answers_count_with_another_host_in_their_via),
        cmocka_unit_test(a_length_that_a_rewriting_has_left_is_not_trusted_blindly),
        cmocka_unit_test(a_device_that_is_known_from_before_is_kept_reachable_from_the_start),
        cmocka_unit_test(our_own_options_are_looked_at_before_they_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
