/* test_flow_tls.c - what TLS means to a call: who the caller is, which URIs are written, where
 * sips: may go, and that nothing is changed from outside. */
#include "rig.h"
#include "tests/unit/tls_rig.h"

#include <stdio.h>

#define SECRET "sips:+4930123@203.0.113.1"

static struct pki_cert ca, server;

/* The PBX at this target; the carrier proves itself by certificate, or comes from its address. */
static struct rig *tls_up(const char *target)
{
    static char yaml[4096];

    (void)snprintf(
        yaml, sizeof(yaml),
        "listeners:\n"
        "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tls: 5061},\n"
        "            rtp: {ports: 20000-20999}, tls: {certificate: %s, key: %s, client_ca: %s,\n"
        "            verify_client: optional}}\n"
        "  inside: {address: 10.1.1.1, sip: {udp: 5060, tcp: 5060, tls: 5061},\n"
        "           rtp: {ports: 30000-30999}, tls: {certificate: %s, key: %s}}\n"
        "peers:\n"
        "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: ['%s'], tls: {ca: %s}}\n"
        "  carrier: {listener: outside, sources: [192.0.2.30/32], certificates: [sip.example]}\n"
        "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n",
        server.certificate, server.key, ca.certificate, server.certificate, server.key, target,
        ca.certificate);
    return rig_up(yaml, 1);
}

/* Users outside, by TLS or UDP; the PBX calls them. */
static struct rig *users_up(void)
{
    static char yaml[4096];

    (void)snprintf(
        yaml, sizeof(yaml),
        "listeners:\n"
        "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tls: 5061},\n"
        "            rtp: {ports: 20000-20999}, tls: {certificate: %s, key: %s}}\n"
        "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
        "peers:\n  pbx: {listener: inside, sources: [10.1.1.20/32]}\n"
        "users: {domain: example.test, listener: outside,\n"
        "        accounts: [{name: \"1001\", password: one}]}\n"
        "routes:\n  - {name: home, from: pbx, to: users}\n",
        server.certificate, server.key);
    return rig_up(yaml, 1);
}

static uint32_t id_of(struct rig *r, const char *name)
{
    const struct policy *p = r->b.cfg->policy;
    int peer = policy_peer_by_name(p, sl_str(name));

    assert_true(peer >= 0);
    return policy_def(p)->peers[peer].id;
}

/* The carrier over TLS from this address, with a certificate or without. */
static void carrier_on(struct phone *p, struct rig *r, const char *at, bool certified)
{
    phone_init(p, r, 0, "+4930555", at);
    phone_on(p, 0, SIP_TLS);
    p->flow.cipher = 1;
    if (certified) {
        p->flow.certified = true;
        p->flow.peer = id_of(r, "carrier");
    }
}

static void pbx_on(struct phone *p, struct rig *r, enum sip_transport t)
{
    phone_init(p, r, 1, "+4930123", "10.1.1.20:5071");
    phone_on(p, 1, t);
}

/* INVITE to the answer; the PBX answers on the connection that the house has dialled. */
static void call_up(struct phone *a, struct phone *b, const char *ruri)
{
    phone_invite(a, ruri, phone_sdp(a, NULL));
    EXPECT(a, "100 INVITE");
    EXPECT(b, "INVITE");
    b->flow = a->r->sent[a->r->n_sent - 1].flow;
    b->flow.cipher = 2;
    talk_answer(a, b);
}

static void a_certificate_names_the_caller_wherever_it_calls_from(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b;

    (void)state;
    carrier_on(&a, r, "192.0.2.99:40001", true);
    pbx_on(&b, r, SIP_TLS);
    call_up(&a, &b, CALLED);
    HAS(a.got, ";transport=tls>"); /* our Contact */
    HAS(a.got, ":5061;");
    HAS(b.ring, "INVITE sip:+4930123@10.1.1.20:5071;transport=tls SIP/2.0\r\n");
    HAS(b.ring, "Via: SIP/2.0/TLS 10.1.1.1:5061;");
    HAS(b.ring, "@10.1.1.1:5061;transport=tls>\r\n");
    talk_bye(&a, &b);
    assert_string_equal(talk_record()->source, "peer:carrier");
    HAS(talk_record()->detail, "\"step\":\"certificate\",\"name\":\"carrier\"");
    HAS(talk_record()->detail, "\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"TLS_AES_128_GCM_"
                               "SHA256\",\"certified\":true}");
    HAS(talk_record()->detail, "TLS_AES_256_GCM_SHA384"); /* known since the answer */
    rig_down(r);
}

static void without_it_a_stranger_stays_one(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a;

    (void)state;
    carrier_on(&a, r, "192.0.2.99:40001", false);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    EXPECT(&a, "403 INVITE");
    phone_ack_failure(&a);
    a.flow.peer = id_of(r, "carrier"); /* dialled, or said, but not proven */
    phone_renew(&a);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    EXPECT(&a, "403 INVITE");
    phone_ack_failure(&a);
    a.flow.certified = true; /* of a peer that lives on the other listener */
    a.flow.peer = id_of(r, "pbx");
    phone_renew(&a);
    phone_invite(&a, CALLED, phone_sdp(&a, NULL));
    EXPECT(&a, "403 INVITE");
    phone_ack_failure(&a);
    rig_down(r);
}

static void the_flow_to_a_peer_says_whom_it_must_reach(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:40001", false); /* known by its address */
    pbx_on(&b, r, SIP_TLS);
    talk_start(&a, &b);
    assert_int_equal(r->sent[r->n_sent - 1].flow.peer, id_of(r, "pbx"));
    assert_int_equal(r->sent[r->n_sent - 1].flow.transport, SIP_TLS);
    talk_refuse(&b, 486, &a, "486 INVITE");
    rig_down(r);
}

static void sips_is_kept_on_both_sides(void **state)
{
    static const char *const targets[] = {"sips:10.1.1.20:5071",
                                          "sip:10.1.1.20:5071;transport=tls"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct rig *r = tls_up(targets[i]);
        struct phone a, b;

        carrier_on(&a, r, "192.0.2.30:40001", false);
        pbx_on(&b, r, SIP_TLS);
        call_up(&a, &b, SECRET);
        HAS(a.got, "Contact: <sips:");
        LACKS(a.got, "transport=tls");
        HAS(b.ring, "INVITE sips:+4930123@10.1.1.20:5071 SIP/2.0\r\n");
        HAS(b.ring, "Contact: <sips:");
        HAS(b.ring, "To: <sips:+4930123@10.1.1.20>");
        talk_bye(&a, &b);
        rig_down(r);
    }
}

static void a_target_that_is_sips_is_called_so(void **state)
{
    struct rig *r = tls_up("sips:10.1.1.20:5071");
    struct phone a, b;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:40001", false);
    pbx_on(&b, r, SIP_TLS);
    call_up(&a, &b, CALLED);
    HAS(a.got, "Contact: <sip:"); /* that side did not ask for it */
    HAS(b.ring, "INVITE sips:+4930123@10.1.1.20:5071 SIP/2.0\r\n");
    HAS(b.ring, "Contact: <sips:");
    talk_bye(&a, &b);
    rig_down(r);
}

/* RFC 5630 5.1.1 */
static void sips_does_not_go_on_in_the_open(void **state)
{
    static const char *const targets[] = {"sip:10.1.1.20:5071", "sip:10.1.1.20:5071;transport=tcp"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct rig *r = tls_up(targets[i]);
        struct phone a;

        carrier_on(&a, r, "192.0.2.30:40001", false);
        phone_invite(&a, SECRET, phone_sdp(&a, NULL));
        EXPECT(&a, "100 INVITE");
        HAS(EXPECT(&a, "480 INVITE"), "Warning: 380 postern \"SIPS Not Allowed\"\r\n");
        phone_ack_failure(&a);
        phone_request(&a, "MESSAGE", SECRET, "hello");
        EXPECT(&a, "480 MESSAGE");
        assert_int_equal(rig_count_sent(r, "INVITE "), 0);
        rig_down(r);
    }
}

static void sips_that_came_in_the_open_is_refused(void **state)
{
    struct rig *r = tls_up("sips:10.1.1.20:5071");
    struct phone a;

    (void)state;
    phone_init(&a, r, 0, "+4930555", "192.0.2.30:5060");
    phone_invite(&a, SECRET, phone_sdp(&a, NULL));
    EXPECT(&a, "416 INVITE");
    phone_ack_failure(&a);
    rig_down(r);
}

static void a_message_goes_the_same_ways(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:40001", false);
    pbx_on(&b, r, SIP_TLS);
    phone_request(&a, "MESSAGE", SECRET, "hello");
    HAS(EXPECT(&b, "MESSAGE"), "MESSAGE sips:+4930123@10.1.1.20:5071 SIP/2.0\r\n");
    assert_int_equal(r->sent[r->n_sent - 1].flow.peer, id_of(r, "pbx"));
    phone_answer(&b, 200, NULL);
    EXPECT(&a, "200 MESSAGE");
    rig_down(r);
}

/* A new configuration would not let it in: what runs may end, nothing begins. */
static void a_connection_that_lost_its_proof_begins_nothing_new(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b, c;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:40001", true);
    pbx_on(&b, r, SIP_TLS);
    call_up(&a, &b, CALLED);
    a.flow.certified = false;
    a.flow.withdrawn = true;
    a.flow.peer = 0;
    c = a;
    phone_renew(&c);
    phone_invite(&c, CALLED, phone_sdp(&c, NULL)); /* its address alone would do elsewhere */
    EXPECT(&c, "403 INVITE");
    phone_ack_failure(&c);
    phone_renew(&c);
    phone_request(&c, "OPTIONS", CALLED, NULL);
    EXPECT(&c, "403 OPTIONS");
    talk_bye(&b, &a);
    rig_down(r);
}

/* A phone that registered with a sips: Contact is called so. */
static void a_phone_with_a_secret_contact_is_called_so(void **state)
{
    static const char *const contacts[] = {"", "Contact: <sips:dev@192.0.2.40:5061>\r\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(contacts); i++) {
        bool is_sips = i != 0;
        struct rig *r = users_up();
        struct phone a, u;

        phone_init(&a, r, 1, "+4930555", "10.1.1.20:5071");
        phone_init(&u, r, 0, "1001", "192.0.2.40:40001");
        phone_on(&u, 0, SIP_TLS);
        u.flow.cipher = 1;
        memcpy(u.password, "one", sizeof("one"));
        snprintf(u.contact, sizeof(u.contact), "%s", contacts[i]);
        talk_register(&u, 600);
        u.contact[0] = '\0';
        phone_invite(&a, "sip:1001@10.1.1.1", phone_sdp(&a, NULL));
        EXPECT(&a, "100 INVITE");
        HAS(EXPECT(&u, "INVITE"), is_sips ? "INVITE sips:dev@" : "INVITE sip:dev-1001-0@");
        HAS(u.got, is_sips ? "Contact: <sips:" : "Contact: <sip:");
        HAS(u.got, "To: <sip:1001@example.test>");
        talk_refuse(&u, 486, &a, "486 INVITE");
        rig_down(r);
    }
}

static void nobody_changes_a_secure_dialog_in_the_open(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b, spoof;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:40001", true);
    pbx_on(&b, r, SIP_TLS);
    call_up(&a, &b, CALLED);
    spoof = a; /* knows everything, and writes the carrier's address on a datagram */
    spoof.flow.transport = SIP_UDP;
    spoof.flow.certified = false;
    spoof.flow.peer = 0;
    spoof.flow.conn_slot = FLOW_NO_CONN;
    phone_bye(&spoof);
    EXPECT(&spoof, "481 BYE");
    QUIET(&b);
    talk_bye(&a, &b);
    rig_down(r);
}

/* Its connection is gone and so is every other one: it is dialled, and proves itself again. */
static void a_peer_whose_connection_is_gone_is_dialled_with_its_name(void **state)
{
    struct rig *r = tls_up("sip:10.1.1.20:5071;transport=tls");
    struct phone a, b;
    struct flow flow;

    (void)state;
    carrier_on(&a, r, "192.0.2.30:5061", true);
    pbx_on(&b, r, SIP_TLS);
    addr_set_port(&a.flow.remote, 40001);
    call_up(&a, &b, CALLED);
    rig_block(r, "192.0.2.30:40001", ENOTCONN);
    phone_bye(&b);
    EXPECT(&b, "200 BYE");
    addr_set_port(&a.flow.remote, 5061); /* its Contact */
    EXPECT(&a, "BYE");
    flow = r->sent[r->n_sent - 1].flow;
    assert_int_equal(flow.peer, id_of(r, "carrier"));
    assert_int_equal(flow.transport, SIP_TLS);
    assert_false(flow.certified); /* not before it has shaken hands */
    a.flow = flow;
    phone_answer(&a, 200, NULL);
    rig_down(r);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), 0);
    pki_make(&ca, "ca", &(struct pki_spec){.cn = "Test CA"});
    pki_make(&server, "server", &(struct pki_spec){.cn = "x", .san = "IP:10.1.1.1", .ca = &ca});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_names_the_caller_wherever_it_calls_from),
        cmocka_unit_test(without_it_a_stranger_stays_one),
        cmocka_unit_test(the_flow_to_a_peer_says_whom_it_must_reach),
        cmocka_unit_test(sips_is_kept_on_both_sides),
        cmocka_unit_test(a_target_that_is_sips_is_called_so),
        cmocka_unit_test(sips_does_not_go_on_in_the_open),
        cmocka_unit_test(sips_that_came_in_the_open_is_refused),
        cmocka_unit_test(a_message_goes_the_same_ways),
        cmocka_unit_test(a_connection_that_lost_its_proof_begins_nothing_new),
        cmocka_unit_test(a_phone_with_a_secret_contact_is_called_so),
        cmocka_unit_test(nobody_changes_a_secure_dialog_in_the_open),
        cmocka_unit_test(a_peer_whose_connection_is_gone_is_dialled_with_its_name),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
