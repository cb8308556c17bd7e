/* TLS over memory: two ends in one thread, certificates of every kind, and what must not pass. */
#include "tests/unit/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void two_ends_meet_and_talk(void **state)
{
    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    assert_int_equal(pair.a.result, 0);
    assert_int_equal(pair.b.result, 0);
    talk(&pair.a, &pair.b, SL("OPTIONS sip:a SIP/2.0\r\n"));
    talk(&pair.b, &pair.a, SL("SIP/2.0 200 OK\r\n"));
    assert_string_equal(tls_version_name(info_of(&pair.a).cipher), "TLSv1.3");
    assert_string_not_equal(tls_cipher_name(info_of(&pair.a).cipher), "");
    assert_true(info_of(&pair.a).verified);
    assert_false(info_of(&pair.b).verified); /* the client has shown nothing */
    assert_int_equal(tls_names(pair.b.tls, NULL, 0), 0);
    pair_down();
}

static void bytes_may_come_one_by_one(void **state)
{
    static char big[40000];
    struct tls_client *c = pki_client(&ca, wanted, &client_cert);
    struct tls_server *s = pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED);

    (void)state;
    memset(big, 'x', sizeof(big));
    pair_up(c, s, 1);
    shake();
    assert_int_equal(pair.a.result, 0);
    assert_int_equal(pair.b.result, 0);
    talk(&pair.a, &pair.b, sl_make(big, sizeof(big))); /* three records */
    pair_down();
    tls_client_unref(&c);
    tls_server_unref(&s);
}

static void an_end_is_announced(void **state)
{
    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    tls_close(pair.a.tls);
    settle();
    assert_int_equal(pair.b.result, ESHUTDOWN);
    assert_int_equal(tls_write(pair.b.tls, SL("still")), 0);
    pair_down();
}

/* --- the dialler's side of RFC 5922 --- */

static const struct name_case {
    const char *san, *cn;
    const char *want; /* NULL: the address dialled */
    bool fits;
} name_cases[] = {
    {"DNS:sip.example.com", "x", "sip.example.com", true},
    {"DNS:SIP.Example.COM", "x", "sip.example.com", true},
    {"DNS:sip.example.com", "x", "sip.example.net", false},
    {"DNS:sip.example.com", "x", "example.com", false},
    {"DNS:example.com", "x", "sip.example.com", false},   /* no suffixes */
    {"DNS:*.example.com", "x", "sip.example.com", false}, /* no wildcards (7.2) */
    {"DNS:*.example.com", "x", "*.example.com", true},    /* but the operator may name one */
    {"URI:sip:example.com", "x", "example.com", true},
    {"URI:sip:example.com:5061;transport=tls", "x", "example.com", true},
    {"URI:sip:bob@example.com", "x", "example.com", false}, /* a user, not a domain */
    {"URI:https://example.com", "x", "example.com", false},
    {"URI:sip:example.com,DNS:other.example.com", "x", "other.example.com", false}, /* 7.1 */
    {"URI:https://x.example,DNS:other.example.com", "x", "other.example.com", true},
    {NULL, "sip.example.com", "sip.example.com", true},
    {"DNS:other.example.com", "sip.example.com", "sip.example.com", false}, /* CN counts alone */
    {"IP:127.0.0.1", "x", NULL, true},
    {"IP:127.0.0.2", "x", NULL, false},
    {"DNS:127.0.0.1", "x", NULL, true},
    {"IP:2001:db8::1", "x", "2001:db8::1", true},
    {"DNS:sip.example.com", "127.0.0.1", NULL, false},
    /* URI:sip:good.example, a NUL, .evil.example */
    {"DER:302086"
     "1e7369703a676f6f642e6578616d706c65"
     "002e6576696c2e6578616d706c65",
     "x", "good.example", false},
    /* DNS:good.example, a NUL, .evil.example */
    {"DER:301c821a676f6f642e6578616d706c65002e6576696c2e6578616d706c65", "x", "good.example",
     false},
};

static void a_dialler_takes_the_name_it_wants_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(name_cases); i++) {
        const struct name_case *nc = &name_cases[i];
        const char *names[] = {nc->want, NULL};
        struct pki_cert leaf;

        pki_make(&leaf, "leaf", &(struct pki_spec){.cn = nc->cn, .san = nc->san, .ca = &ca});
        meet(pki_client(&ca, nc->want != NULL ? names : NULL, NULL),
             pki_server(&leaf, NULL, TLS_VERIFY_OFF));
        if (pair.a.result != (nc->fits ? 0 : EACCES)) {
            fail_msg("%s / %s wanted %s: %d %s", nc->san, nc->cn, nc->want, pair.a.result,
                     tls_why(pair.a.tls));
        }
        if (!nc->fits) {
            assert_string_equal(tls_why(pair.a.tls), "hostname mismatch");
            assert_int_equal(pair.b.result, ECONNREFUSED); /* it heard an alert */
        }
        pair_down();
    }
}

static void a_dialler_without_verification_takes_anybody(void **state)
{
    (void)state;
    meet(pki_client(NULL, NULL, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    assert_int_equal(pair.a.result, 0);
    assert_false(info_of(&pair.a).verified);
    pair_down();
}

static const struct bad_case {
    const char *why;
    long from_s, to_s;
    const char *eku;
    bool other_ca;
} bad_cases[] = {
    {"certificate has expired", -7200, -3600, NULL, false},
    {"certificate is not yet valid", 3600, 7200, NULL, false},
    {"unable to get local issuer certificate", 0, 0, NULL, true},
    {"unsuitable certificate purpose", 0, 0, "codeSigning", false},
};

static void a_dialler_refuses_a_bad_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_cases); i++) {
        const struct bad_case *bc = &bad_cases[i];
        struct pki_cert leaf;

        pki_make(&leaf, "leaf",
                 &(struct pki_spec){.cn = "x",
                                    .san = "DNS:sip.example.com",
                                    .from_s = bc->from_s,
                                    .to_s = bc->to_s,
                                    .eku = bc->eku,
                                    .ca = bc->other_ca ? &other_ca : &ca});
        meet(pki_client(&ca, wanted, NULL), pki_server(&leaf, NULL, TLS_VERIFY_OFF));
        assert_int_equal(pair.a.result, EACCES);
        assert_string_equal(tls_why(pair.a.tls), bc->why);
        assert_int_equal(pair.b.result, ECONNREFUSED);
        pair_down();
    }
}

static void every_use_that_sip_knows_will_do(void **state)
{
    static const char *const uses[] = {"serverAuth", "clientAuth", "1.3.6.1.5.5.7.3.20",
                                       "anyExtendedKeyUsage", "codeSigning,serverAuth"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(uses); i++) {
        struct pki_cert leaf;

        pki_make(
            &leaf, "leaf",
            &(struct pki_spec){.cn = "x", .san = "DNS:sip.example.com", .eku = uses[i], .ca = &ca});
        meet(pki_client(&ca, wanted, &leaf), pki_server(&leaf, &ca, TLS_VERIFY_REQUIRED));
        assert_int_equal(pair.a.result, 0);
        assert_int_equal(pair.b.result, 0);
        pair_down();
    }
}

/* --- the listener's side --- */

static void a_client_is_known_by_its_certificate(void **state)
{
    struct sl names[TLS_NAMES_MAX];

    (void)state;
    meet(pki_client(&ca, wanted, &client_cert), pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL));
    assert_int_equal(pair.b.result, 0);
    assert_true(info_of(&pair.b).verified);
    assert_int_equal(tls_names(pair.b.tls, names, COUNT_OF(names)), 2);
    assert_true(sl_eq(names[0], SL("pbx.example.net")));
    assert_true(sl_eq(names[1], SL("192.0.2.7")));
    assert_int_equal(tls_names(pair.b.tls, names, 1), 1);
    pair_down();
}

static void a_client_without_certificate_passes_only_where_it_is_optional(void **state)
{
    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL));
    assert_int_equal(pair.b.result, 0);
    assert_false(info_of(&pair.b).verified);
    pair_down();
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED));
    assert_int_equal(pair.b.result, EACCES);
    assert_string_equal(tls_why(pair.b.tls), "peer did not return a certificate");
    assert_int_equal(pair.a.result, ECONNREFUSED); /* TLS 1.3: it thought that it was through */
    assert_int_equal(tls_write(pair.a.tls, SL("x")), EPROTO);
    pair_down();
}

static void a_client_of_a_strange_authority_is_refused(void **state)
{
    static const enum tls_verify modes[] = {TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED};
    struct pki_cert stranger;

    (void)state;
    pki_make(&stranger, "stranger",
             &(struct pki_spec){.cn = "x", .san = "DNS:pbx.example.net", .ca = &other_ca});
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        meet(pki_client(&ca, wanted, &stranger), pki_server(&server_cert, &ca, modes[i]));
        assert_int_equal(pair.b.result, EACCES);
        assert_int_equal(tls_names(pair.b.tls, NULL, 0), 0);
        pair_down();
    }
}

static void the_certificate_follows_the_name_asked_for(void **state)
{
    static const struct {
        const char *want;
        int result;
    } cases[] = {{"one.example", 0}, {"sub.two.example", 0}, {"three.example", EACCES}};
    struct pki_cert one, two;
    struct tls_identity ids[2];
    struct tls_server *s = NULL;
    struct tls_problem why;

    (void)state;
    pki_make(&one, "one", &(struct pki_spec){.cn = "x", .san = "DNS:one.example", .ca = &ca});
    pki_make(&two, "two",
             &(struct pki_spec){.cn = "x",
                                .san = "DNS:two.example,DNS:*.two.example,DNS:sub.two.example",
                                .to_s = 1800,
                                .from_s = -60,
                                .ca = &ca});
    ids[0] = pki_identity(&one);
    ids[1] = pki_identity(&two);
    assert_int_equal(tls_server_new(&s, &(struct tls_server_params){.ids = ids, .n_ids = 2}, &why),
                     0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *names[] = {cases[i].want, NULL};

        meet(pki_client(&ca, names, NULL), tls_server_ref(s));
        assert_int_equal(pair.a.result, cases[i].result);
        pair_down();
    }
    tls_server_unref(&s);
}

/* --- rude ends --- */

static void garbage_is_refused(void **state)
{
    static const char *const rude[] = {"OPTIONS sip:a SIP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                       "\x16\x03\x01\xff\xff\x01\x02\x03",
                                       "\x16\x03\x01\x00\x04\x02\x00\x00\x00"};
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rude); i++) {
        struct end e = {.n = 0};
        struct sl in = sl_make(rude[i], i < 2 ? strlen(rude[i]) : i == 2 ? 8 : 9);

        assert_int_equal(tls_accept(&e.tls, s, end_out, &e), 0);
        assert_int_equal(tls_step(e.tls, &in), EPROTO);
        assert_string_not_equal(tls_why(e.tls), "");
        assert_int_equal(tls_write(e.tls, SL("x")), EPROTO);
        tls_close(e.tls);
        tls_free(&e.tls);
    }
    tls_server_unref(&s);
}

static void a_flipped_bit_ends_the_connection(void **state)
{
    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    assert_int_equal(tls_write(pair.a.tls, SL("INVITE")), 0);
    pair.a.wire[pair.a.n - 3] ^= 1;
    settle();
    assert_int_equal(pair.b.result, EPROTO);
    assert_int_equal(pair.b.plain_n, 0);
    pair_down();
}

static int end_full(void *arg, struct sl bytes)
{
    (void)arg, (void)bytes;
    return ENOBUFS;
}

static void what_cannot_be_sent_ends_the_handshake(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, NULL);
    struct addr to = at_peer("127.0.0.1:5061");
    struct sl none = SL_NULL;
    struct tls *t = NULL;

    (void)state;
    assert_int_equal(tls_dial(&t, c, &to, end_full, NULL), 0);
    assert_int_equal(tls_step(t, &none), ENOBUFS);
    tls_free(&t);
    tls_client_unref(&c);
}

/* A plain OpenSSL client, to do what ours never does. */
struct rude {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    struct end e;
};

static void rude_up(struct rude *r, struct tls_server *s, int version, const char *ciphers)
{
    memset(r, 0, sizeof(*r));
    r->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(r->ctx, 0);
    (void)SSL_CTX_set_min_proto_version(r->ctx, version);
    (void)SSL_CTX_set_max_proto_version(r->ctx, version);
    if (ciphers != NULL) {
        assert_int_equal(SSL_CTX_set_cipher_list(r->ctx, ciphers), 1);
    }
    r->ssl = SSL_new(r->ctx);
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    SSL_set_bio(r->ssl, r->in, r->out);
    SSL_set_connect_state(r->ssl);
    r->e.result = ENODATA;
    assert_int_equal(tls_accept(&r->e.tls, s, end_out, &r->e), 0);
}

static void rude_exchange(struct rude *r)
{
    char wire[65536];
    char plain[512];

    for (int i = 0; i < 8; i++) {
        int n;
        struct sl in;

        (void)SSL_do_handshake(r->ssl);
        (void)SSL_read(r->ssl, plain, sizeof(plain));
        n = BIO_read(r->out, wire, sizeof(wire));
        in = sl_make(wire, n > 0 ? (size_t)n : 0);
        if (in.n != 0 && r->e.result == ENODATA) {
            r->e.result = tls_step(r->e.tls, &in);
        }
        if (in.n != 0 && r->e.result == 0) {
            end_read(&r->e, &in);
        }
        if (r->e.n != 0) {
            assert_int_equal(BIO_write(r->in, r->e.wire, (int)r->e.n), r->e.n);
            r->e.n = 0;
        }
    }
    ERR_clear_error();
}

static void rude_down(struct rude *r)
{
    tls_free(&r->e.tls);
    SSL_free(r->ssl);
    SSL_CTX_free(r->ctx);
}

static void old_versions_and_weak_suites_are_refused(void **state)
{
    static const struct {
        int version;
        const char *ciphers;
        int result;
    } cases[] = {{TLS1_2_VERSION, NULL, 0},
                 {TLS1_3_VERSION, NULL, 0},
                 {TLS1_1_VERSION, NULL, EPROTO},
                 {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", EPROTO},
                 {TLS1_2_VERSION, "AES128-GCM-SHA256", EPROTO},
                 {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", 0}};
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rude r;

        rude_up(&r, s, cases[i].version, cases[i].ciphers);
        rude_exchange(&r);
        assert_int_equal(r.e.result, cases[i].result);
        rude_down(&r);
    }
    tls_server_unref(&s);
}

static void nobody_renegotiates(void **state)
{
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);
    struct rude r;

    (void)state;
    rude_up(&r, s, TLS1_2_VERSION, NULL);
    rude_exchange(&r);
    assert_int_equal(r.e.result, 0);
    assert_string_equal(tls_version_name(info_of(&r.e).cipher), "TLSv1.2");
    (void)SSL_renegotiate(r.ssl);
    rude_exchange(&r);
    assert_int_equal(SSL_write(r.ssl, "x", 1), -1); /* it was told no, and gives up */
    rude_down(&r);
    tls_server_unref(&s);
}

/* --- files --- */

static void a_bad_file_is_named_with_its_fault(void **state)
{
    struct pki_cert rsa_free;
    char empty[PKI_PATH_MAX], junk[PKI_PATH_MAX], locked[PKI_PATH_MAX];
    struct tls_identity ids[6];
    static const char *const what[] = {"No such file",       "has no certificate",
                                       "has no certificate", "is not the key of the certificate",
                                       "has no key",         "No such file"};
    struct tls_anchors *a = NULL;
    struct tls_problem why;

    (void)state;
    pki_make(&rsa_free, "third", &(struct pki_spec){.cn = "x", .ca = &ca});
    pki_file(empty, "empty", "");
    pki_file(junk, "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    pki_file(locked, "locked",
             "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEF\n"
             "-----END ENCRYPTED PRIVATE KEY-----\n");
    ids[0] = (struct tls_identity){"/nonexistent/cert", server_cert.key};
    ids[1] = (struct tls_identity){empty, server_cert.key};
    ids[2] = (struct tls_identity){junk, server_cert.key};
    ids[3] = (struct tls_identity){server_cert.certificate, rsa_free.key};
    ids[4] = (struct tls_identity){server_cert.certificate, locked};
    ids[5] = (struct tls_identity){server_cert.certificate, "/nonexistent/key"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct tls_server *s = NULL;
        struct tls_client *c = NULL;

        assert_int_equal(
            tls_server_new(&s, &(struct tls_server_params){.ids = &ids[i], .n_ids = 1}, &why),
            EBADMSG);
        assert_ptr_equal(why.path, i < 3 ? ids[i].certificate : ids[i].key);
        if (strstr(why.text, what[i]) == NULL) {
            fail_msg("%zu: %s", i, why.text);
        }
        assert_int_equal(tls_client_new(&c, &(struct tls_client_params){.id = ids[i]}, &why),
                         EBADMSG);
        assert_null(s);
        assert_null(c);
    }
    assert_int_equal(tls_anchors_load(&a, empty, &why), EBADMSG);
    assert_ptr_equal(why.path, empty);
    assert_int_equal(tls_anchors_load(&a, "/nonexistent/ca", &why), EBADMSG);
    assert_non_null(strstr(why.text, "No such file"));
    assert_int_equal(tls_anchors_load(&a, NULL, &why), 0);
    tls_anchors_unref(&a);
}

static void the_first_certificate_to_end_is_told(void **state)
{
    struct pki_cert soon;
    struct tls_server *s;
    struct tls_client *c;
    struct clock clock;
    int64_t now_s;

    (void)state;
    clock_init_real(&clock);
    now_s = clock_wall_ms(&clock) / 1000;
    pki_make(&soon, "soon", &(struct pki_spec){.cn = "x", .from_s = -10, .to_s = 1000, .ca = &ca});
    s = pki_server(&soon, NULL, TLS_VERIFY_OFF);
    c = pki_client(NULL, NULL, &soon);
    assert_in_range(tls_server_expiry(s), now_s + 990, now_s + 1100);
    assert_int_equal(tls_client_expiry(c), tls_server_expiry(s));
    tls_server_unref(&s);
    tls_client_unref(&c);
    c = pki_client(NULL, NULL, NULL);
    assert_int_equal(tls_client_expiry(c), 0);
    tls_client_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_meet_and_talk),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(an_end_is_announced),
        cmocka_unit_test(a_dialler_takes_the_name_it_wants_and_no_other),
        cmocka_unit_test(a_dialler_without_verification_takes_anybody),
        cmocka_unit_test(a_dialler_refuses_a_bad_certificate),
        cmocka_unit_test(every_use_that_sip_knows_will_do),
        cmocka_unit_test(a_client_is_known_by_its_certificate),
        cmocka_unit_test(a_client_without_certificate_passes_only_where_it_is_optional),
        cmocka_unit_test(a_client_of_a_strange_authority_is_refused),
        cmocka_unit_test(the_certificate_follows_the_name_asked_for),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_flipped_bit_ends_the_connection),
        cmocka_unit_test(what_cannot_be_sent_ends_the_handshake),
        cmocka_unit_test(old_versions_and_weak_suites_are_refused),
        cmocka_unit_test(nobody_renegotiates),
        cmocka_unit_test(a_bad_file_is_named_with_its_fault),
        cmocka_unit_test(the_first_certificate_to_end_is_told),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
