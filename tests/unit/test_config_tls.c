/* test_config_tls.c - certificates in the configuration: what a good one becomes, and how a bad
 * file is refused, by its place in the document. */
#include "config_rig.h"
#include "crypto/tls_int.h"
#include "tests/unit/tls_rig.h"

#include <unistd.h>

static struct pki_cert ca, server_cert, other_cert;
static char junk[PKI_PATH_MAX];

/* The document with C, K, A, X, Y and J for the paths. */
static const char *with_paths(const char *text)
{
    static char out[8192];
    const char *const paths[][2] = {{"$C", server_cert.certificate}, {"$K", server_cert.key},
                                    {"$A", ca.certificate},          {"$X", other_cert.certificate},
                                    {"$Y", other_cert.key},          {"$J", junk}};
    struct buf b;

    buf_init_fixed(&b, out, sizeof(out) - 1);
    while (*text != '\0') {
        size_t i = 0;

        while (i < COUNT_OF(paths) && strncmp(text, paths[i][0], 2) != 0) {
            i++;
        }
        if (i < COUNT_OF(paths)) {
            buf_puts(&b, paths[i][1]);
            text += 2;
        } else {
            buf_putc(&b, *text++);
        }
    }
    out[b.n] = '\0';
    return out;
}

static struct config *good(const char *text)
{
    return rig_good(with_paths(text));
}

static void refused(const char *text, const char *want)
{
    static char lines[4096];
    const char *got;
    struct config *c;

    (void)snprintf(lines, sizeof(lines), "%s", with_paths(want));
    c = rig_parse(with_paths(text), &got);
    assert_string_equal(got, lines);
    assert_null(c);
}

#define LISTENER(tls)                                                                              \
    "listeners: {a: {address: 127.0.0.1, sip: {tls: 5061}, rtp: {ports: 20000-20099}, tls: " tls   \
    "}}\n"
#define WITH_CA LISTENER("{certificate: $C, key: $K, client_ca: $A, verify_client: optional}")

static void a_listener_has_what_it_presents(void **state)
{
    struct config *c = good(LISTENER("{certificate: $C, key: $K}"));

    (void)state;
    assert_int_equal(c->listeners[0].port[CONFIG_TLS], 5061);
    assert_non_null(c->listeners[0].tls.server);
    assert_int_equal(c->listeners[0].tls.verify_client, TLS_VERIFY_OFF);
    assert_true(tls_server_expiry(c->listeners[0].tls.server) > 0);
    config_unref(&c);
    c = good(LISTENER("{certificate: $C, key: $K, more: [{certificate: $X, key: $Y}],"
                      " client_ca: $A, verify_client: required}"));
    assert_non_null(c->listeners[0].tls.server);
    assert_int_equal(c->listeners[0].tls.n_more, 1);
    assert_int_equal(c->listeners[0].tls.verify_client, TLS_VERIFY_REQUIRED);
    assert_null(c->peer_tls);
    config_unref(&c);
}

static void a_peer_has_how_it_is_dialled(void **state)
{
    struct config *c =
        good(WITH_CA "peers:\n"
                     "  pbx: {listener: a, certificates: PBX.example.net}\n"
                     "  one: {listener: a, targets: 'sips:127.0.0.2', tls: {ca: $A}}\n"
                     "  two: {listener: a, targets: ['sip:127.0.0.3;transport=tls'],\n"
                     "        tls: {ca: $A, names: [sip.two.example, '*.two.example'],\n"
                     "              certificate: $C, key: $K}}\n"
                     "  lax: {listener: a, targets: 'sip:127.0.0.4:5062;transport=TLS',\n"
                     "        tls: {verify: off}}\n"
                     "  sys: {listener: a, targets: 'sips:127.0.0.5;transport=tcp'}\n");
    const struct policy_peer *peers = c->def.peers;

    (void)state;
    assert_int_equal(peers[0].n_certificates, 1);
    assert_non_null(c->peer_tls[0]); /* its connection may end during a call */
    assert_non_null(c->peer_tls[1]);
    assert_true(peers[1].targets[0].sips);
    assert_int_equal(peers[1].targets[0].transport, CONFIG_TLS);
    assert_int_equal(addr_port(&peers[1].targets[0].addr), 5061);
    assert_int_equal(tls_client_expiry(c->peer_tls[1]), 0);
    assert_int_equal(peers[2].tls.n_names, 2);
    assert_false(peers[2].targets[0].sips);
    assert_int_equal(addr_port(&peers[2].targets[0].addr), 5061);
    assert_true(tls_client_expiry(c->peer_tls[2]) > 0);
    assert_true(tls_client_verifies(c->peer_tls[2]));
    assert_false(tls_client_verifies(c->peer_tls[3]));
    assert_int_equal(addr_port(&peers[3].targets[0].addr), 5062);
    assert_true(tls_client_verifies(c->peer_tls[4])); /* by the system's authorities */
    config_unref(&c);
}

/* Which names a dialled peer must have: those of `tls`, else those that prove it as a caller, else
 * its address. */
static void the_names_of_a_dialled_peer_have_their_defaults(void **state)
{
    struct config *c =
        good(WITH_CA "peers:\n"
                     "  own: {listener: a, targets: 'sips:127.0.0.2', certificates: X.example,\n"
                     "        tls: {ca: $A, names: y.example}}\n"
                     "  certs: {listener: a, targets: 'sips:127.0.0.3', tls: {ca: $A},\n"
                     "          certificates: [pbx.example, '*.example']}\n"
                     "  bare: {listener: a, targets: 'sips:127.0.0.4', tls: {ca: $A}}\n");
    const struct tls_client *const *dial = (const struct tls_client *const *)c->peer_tls;

    (void)state;
    assert_int_equal(dial[0]->n_names, 1);
    assert_string_equal(dial[0]->names[0], "y.example");
    assert_int_equal(dial[1]->n_names, 2);
    assert_string_equal(dial[1]->names[0], "pbx.example");
    assert_string_equal(dial[1]->server_name, "pbx.example");
    assert_int_equal(dial[2]->n_names, 0);
    assert_null(dial[2]->server_name);
    config_unref(&c);
}

static void the_policy_knows_peers_by_certificate(void **state)
{
    struct policy_book *book = NULL;
    struct config *c = NULL, *later = NULL;
    struct config_errors errs;
    const struct sl names[] = {{"other.example", 13}, {"pbx.example.net", 15}};
    struct addr stranger;
    struct policy_verdict v;
    struct policy_request rq = {.method = SL("INVITE"), .auth_user = -1};
    const char *text =
        with_paths(WITH_CA "peers:\n  x: {listener: a, sources: 10.0.0.0/8}\n"
                           "  pbx: {listener: a, certificates: [PBX.example.net]}\n"
                           "routes: [{name: r, from: pbx, refuse: {status: 486}}]\n");

    (void)state;
    assert_int_equal(policy_book_new(&book), 0);
    assert_int_equal(config_parse(&c, "t", sl_str(text), book, &errs), 0);
    assert_int_equal(policy_peer_by_certificate(c->policy, 0, names, 2), 1);
    assert_int_equal(policy_peer_by_certificate(c->policy, 0, names, 1), -1);
    assert_int_equal(policy_peer_by_certificate(c->policy, 1, names, 2), -1);
    assert_int_equal(addr_parse(SL("192.0.2.9"), 5060, &stranger), 0);
    rq.source = stranger;
    rq.proven = c->def.peers[1].id;
    policy_decide(c->policy, &rq, 1, &v);
    assert_int_equal(v.source.kind, POLICY_PEER);
    assert_int_equal(v.source.peer, 1);
    assert_int_equal(v.sip_code, 486);
    assert_int_equal(v.steps[0].kind, POLICY_STEP_CERTIFICATE);
    rq.proven = 0;
    policy_decide(c->policy, &rq, 1, &v);
    assert_int_equal(v.source.kind, POLICY_NOBODY);
    /* The number is the name's, wherever it stands in a later document. */
    text = with_paths(WITH_CA "peers:\n  pbx: {listener: a, certificates: [PBX.example.net]}\n"
                              "  z: {listener: a, sources: 10.0.0.0/8}\n");
    assert_int_equal(config_parse(&later, "t", sl_str(text), book, &errs), 0);
    assert_int_equal(later->def.peers[0].id, c->def.peers[1].id);
    assert_int_not_equal(later->def.peers[1].id, c->def.peers[0].id);
    assert_int_equal(policy_peer_by_id(later->policy, c->def.peers[1].id), 0);
    assert_int_equal(policy_peer_by_id(later->policy, c->def.peers[0].id), -1);
    assert_int_equal(policy_peer_by_id(later->policy, 0), -1);
    config_unref(&c);
    config_unref(&later);
    policy_book_free(&book);
}

static void a_bad_file_is_refused_where_it_is_named(void **state)
{
    (void)state;
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $J\n      key: $K\n",
            "t:6:20: listeners.a.tls.certificate: '$J' has no certificate that can be used\n");
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $C\n      key: $Y\n",
            "t:7:12: listeners.a.tls.key: '$Y' is not the key of the certificate: key values "
            "mismatch\n");
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $C\n      key: $K\n"
            "      more:\n        - {certificate: $X, key: $K}\n",
            "t:7:12: listeners.a.tls.key: '$K' is not the key of the certificate: key values "
            "mismatch\n");
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $C\n      key: /nonexistent\n",
            "t:7:12: listeners.a.tls.key: '/nonexistent' has no key that can be used (keys with a "
            "passphrase cannot): No such file or directory\n");
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $C\n      key: $K\n      client_ca: $J\n"
            "      verify_client: optional\n",
            "t:8:18: listeners.a.tls.client_ca: '$J' has no certificate that can be used: no "
            "certificate or crl found\n");
    refused(WITH_CA "peers:\n  p:\n    listener: a\n    targets: sips:127.0.0.2\n"
                    "    tls:\n      ca: $J\n",
            "t:7:11: peers.p.tls.ca: '$J' has no certificate that can be used: no certificate or "
            "crl found\n");
    refused(WITH_CA "peers:\n  p:\n    listener: a\n    targets: sips:127.0.0.2\n"
                    "    tls:\n      ca: $A\n      certificate: $J\n      key: $K\n",
            "t:8:20: peers.p.tls.certificate: '$J' has no certificate that can be used\n");
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    refused(LISTENER("{}"), "t:1:87: listeners.a.tls: needs 'certificate' and 'key'\n");
    refused(LISTENER("{certificate: $C, key: $K, verify_client: required}"),
            "t:1:87: listeners.a.tls: 'verify_client' needs 'client_ca'\n");
    refused("listeners:\n  a:\n    address: 127.0.0.1\n    sip: {tls: 5061}\n    tls:\n"
            "      certificate: $C\n      key: $K\n      more: [{certificate: $X}]\n",
            "t:8:13: listeners.a.tls.more: each needs 'certificate' and 'key'\n");
}

static void certificates_of_peers_need_a_listener_that_asks(void **state)
{
    (void)state;
    refused(LISTENER("{certificate: $C, key: $K}") "peers: {p: {listener: a, certificates: [x]}}\n",
            "t:2:40: peers.p.certificates: listener 'a' asks nobody for a certificate: it needs a "
            "TLS port and 'verify_client'\n");
    refused(RIG_BASE "peers: {p: {listener: a, certificates: [x]}}\n",
            "t:2:40: peers.p.certificates: listener 'a' asks nobody for a certificate: it needs a "
            "TLS port and 'verify_client'\n");
    refused(WITH_CA "peers:\n  p: {listener: a, certificates: [x.example]}\n"
                    "  q: {listener: a, certificates: [y.example, X.example]}\n",
            "t:4:46: peers.q.certificates[1]: proves a peer of listener 'a' already; the first is "
            "on line 3\n");
    refused(WITH_CA "peers:\n  p: {listener: a, certificates: ['a b']}\n",
            "t:3:35: peers.p.certificates[0]: 'a b' is not a name in a certificate such as "
            "sip.example.com\n");
}

static void sips_is_tls_and_nothing_else(void **state)
{
    (void)state;
    refused(WITH_CA "peers: {p: {listener: a, targets: 'sips:127.0.0.2;transport=udp'}}\n",
            "t:2:35: peers.p.targets: 'transport=udp' is not for sips, which is TLS\n");
    refused(WITH_CA "peers: {p: {listener: a, targets: 'sip:127.0.0.2;transport=wss'}}\n",
            "t:2:35: peers.p.targets: 'transport=wss' is not supported by this version\n");
}

static void certificates_change_without_a_restart(void **state)
{
    struct config *old = good(LISTENER("{certificate: $C, key: $K}"));
    struct config *now =
        good(LISTENER("{certificate: $X, key: $Y, client_ca: $A, verify_client: optional}"));
    struct config *port = good("listeners: {a: {address: 127.0.0.1, sip: {tls: 5062}, "
                               "rtp: {ports: 20000-20099}, tls: {certificate: $C, key: $K}}}\n");
    char names[256];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, names, sizeof(names));
    assert_int_equal(config_restart_keys(old, now, &b), 0);
    assert_int_equal(config_restart_keys(old, port, &b), 0);
    config_unref(&old);
    config_unref(&now);
    config_unref(&port);
}

static void a_load_survives_every_failing_allocation(void **state)
{
    const char *text = with_paths(
        WITH_CA "peers:\n  p: {listener: a, certificates: [x.example], targets: sips:127.0.0.2,\n"
                "      tls: {ca: $A, names: [y.example], certificate: $C, key: $K}}\n");
    bool is_hit = true;

    (void)state;
    for (uint64_t n = 1; is_hit; n++) {
        int64_t live = mem_live();
        struct config *c = NULL;
        struct config_errors errs;
        int err;

        mem_fault_arm(n);
        err = config_parse(&c, "t", sl_str(text), NULL, &errs);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_true(err == 0 || err == ENOMEM);
        config_errors_free(&errs);
        config_unref(&c);
        assert_int_equal(mem_live(), live);
    }
}

static int setup(void **state)
{
    (void)state;
    pki_make(&ca, "ca", &(struct pki_spec){.cn = "Test CA"});
    pki_make(&server_cert, "server",
             &(struct pki_spec){.cn = "server", .san = "DNS:sip.example.com", .ca = &ca});
    pki_make(&other_cert, "other",
             &(struct pki_spec){.cn = "other", .san = "DNS:other.example.com", .ca = &ca});
    (void)pki_file(junk, "junk", "nothing\n");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_has_what_it_presents),
        cmocka_unit_test(a_peer_has_how_it_is_dialled),
        cmocka_unit_test(the_names_of_a_dialled_peer_have_their_defaults),
        cmocka_unit_test(the_policy_knows_peers_by_certificate),
        cmocka_unit_test(a_bad_file_is_refused_where_it_is_named),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(certificates_of_peers_need_a_listener_that_asks),
        cmocka_unit_test(sips_is_tls_and_nothing_else),
        cmocka_unit_test(certificates_change_without_a_restart),
        cmocka_unit_test(a_load_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
