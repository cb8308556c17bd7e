/* TLS over memory: what outlives a connection (resumption), and what an error of OpenSSL means. */
#include "tests/unit/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One connection between them; true when it was resumed. */
static bool resumes(struct tls_client *c, struct tls_server *s)
{
    bool resumed;

    meet(tls_client_ref(c), tls_server_ref(s));
    assert_int_equal(pair.a.result, 0);
    assert_int_equal(pair.b.result, 0);
    resumed = info_of(&pair.a).resumed;
    assert_int_equal(info_of(&pair.b).resumed, resumed);
    talk(&pair.a, &pair.b, SL("x"));
    pair_down();
    return resumed;
}

static void a_session_is_resumed_with_what_was_proven(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, &client_cert);
    struct tls_server *s = pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED);
    struct tls_server *reloaded = pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED);
    struct sl names[TLS_NAMES_MAX];

    (void)state;
    assert_false(resumes(c, s));
    assert_true(resumes(c, s));
    assert_true(resumes(c, s));        /* each time with a fresh ticket */
    assert_true(resumes(c, reloaded)); /* tickets outlive configurations */
    meet(tls_client_ref(c), tls_server_ref(s));
    assert_true(info_of(&pair.b).resumed);
    assert_true(info_of(&pair.b).verified);
    assert_true(tls_names(pair.b.tls, names, 1) == 1 && sl_eq(names[0], SL("pbx.example.net")));
    pair_down();
    tls_client_unref(&c);
    tls_server_unref(&s);
    tls_server_unref(&reloaded);
}

static void no_session_crosses_to_other_authorities(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, &client_cert);
    struct tls_server *lax = pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL);
    struct tls_server *strict = pki_server(&server_cert, &other_ca, TLS_VERIFY_REQUIRED);

    (void)state;
    assert_false(resumes(c, lax));
    assert_true(resumes(c, lax));
    meet(tls_client_ref(c), tls_server_ref(strict)); /* the ticket is not worth anything there */
    assert_int_equal(pair.b.result, EACCES);
    pair_down();
    tls_client_unref(&c);
    tls_server_unref(&lax);
    tls_server_unref(&strict);
}

static void a_revoked_certificate_is_not_resumed(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, &client_cert);
    struct pki_cert none, some;
    struct tls_server *before, *after;

    (void)state;
    pki_make_crl(&none, "none", &ca, NULL);
    pki_make_crl(&some, "some", &ca, &client_cert);
    before = pki_server(&server_cert, &none, TLS_VERIFY_REQUIRED);
    after = pki_server(&server_cert, &some, TLS_VERIFY_REQUIRED);
    assert_false(resumes(c, before));
    assert_true(resumes(c, before));
    meet(tls_client_ref(c), tls_server_ref(after));
    assert_int_equal(pair.b.result, EACCES);
    assert_string_equal(tls_why(pair.b.tls), "certificate revoked");
    pair_down();
    tls_client_unref(&c);
    tls_server_unref(&before);
    tls_server_unref(&after);
}

/* The check behind a resumed session; waiting for a real one to end would take seconds. */
/* What the house takes for the time of day; OpenSSL's own clock goes on as it was. */
static time_t ahead_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t which, struct timespec *at)
{
    int rc = (int)syscall(SYS_clock_gettime, which, at);

    at->tv_sec += which == CLOCK_REALTIME ? ahead_s : 0;
    return rc;
}

static void a_session_of_a_certificate_that_has_ended_is_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) { /* one end's certificate after the other's */
        struct tls_client *c = pki_client(i == 0 ? &ca : NULL, wanted, &client_cert);
        struct tls_server *s =
            pki_server(&server_cert, &ca, i == 0 ? TLS_VERIFY_OFF : TLS_VERIFY_REQUIRED);

        pair_up(c, s, WIRE_MAX);
        shake();
        assert_int_equal(pair.a.result, 0);
        pair_down();
        ahead_s = 2 * 86400;
        pair_up(c, s, WIRE_MAX);
        shake();
        assert_int_equal(i == 0 ? pair.a.result : pair.b.result, EACCES);
        pair_down();
        ahead_s = 0;
        tls_server_unref(&s);
        tls_client_unref(&c);
    }
}

/* In TLS 1.2 a session may be resumed many times: a refused one must not bar the way for ever. */
static void after_a_refused_session_comes_a_whole_handshake(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, NULL);
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);
    static const int wants[] = {0, EACCES, 0};

    (void)state;
    assert_int_equal(SSL_CTX_set_max_proto_version(c->ctx, TLS1_2_VERSION), 1);
    for (unsigned i = 0; i < COUNT_OF(wants); i++) {
        ahead_s = i == 1 ? 2 * 86400 : 0;
        pair_up(c, s, WIRE_MAX);
        shake();
        assert_int_equal(pair.a.result, wants[i]);
        assert_int_equal(info_of(&pair.a).resumed, i == 1);
        pair_down();
    }
    tls_server_unref(&s);
    tls_client_unref(&c);
}

/* However long the connection lasts: whoever came today with it would not be let in. */
static void an_open_connection_outlives_no_certificate_at_a_reload(void **state)
{
    struct tls_server *s = pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL);
    struct tls_client *c = pki_client(&ca, wanted, &client_cert);

    (void)state;
    pair_up(c, s, WIRE_MAX);
    shake();
    assert_int_equal(tls_recheck(pair.b.tls, s, NULL), TLS_HOLDS);
    assert_int_equal(tls_recheck(pair.a.tls, NULL, c), TLS_HOLDS);
    assert_true(info_of(&pair.b).verified);
    ahead_s = 2 * 86400;
    assert_int_equal(tls_recheck(pair.b.tls, s, NULL), TLS_LOST);
    assert_int_equal(tls_recheck(pair.a.tls, NULL, c), TLS_LOST);
    assert_false(info_of(&pair.b).verified);
    ahead_s = 0;
    pair_down();
    tls_server_unref(&s);
    tls_client_unref(&c);
}

/* Who has shown none has none that could end. */
static void a_connection_without_a_certificate_goes_on(void **state)
{
    struct tls_server *s = pki_server(&server_cert, &ca, TLS_VERIFY_OPTIONAL);
    struct tls_client *c = pki_client(&ca, wanted, NULL);

    (void)state;
    pair_up(c, s, WIRE_MAX);
    shake();
    ahead_s = 2 * 86400;
    assert_int_equal(tls_recheck(pair.b.tls, s, NULL), TLS_HOLDS);
    ahead_s = 0;
    pair_down();
    tls_server_unref(&s);
    tls_client_unref(&c);
}

static void a_certificate_ends_when_it_says(void **state)
{
    struct clock clock;
    FILE *f = fopen(server_cert.certificate, "r");
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    time_t now;

    (void)state;
    (void)fclose(f);
    clock_init_real(&clock);
    now = (time_t)(clock_wall_ms(&clock) / 1000);
    assert_false(tls_has_ended(cert, now));
    assert_false(tls_has_ended(cert, now + 86000));
    assert_true(tls_has_ended(cert, now + 86401));
    X509_free(cert);
}

static void ticket_keys_rotate_and_the_one_before_stays_good(void **state)
{
    struct tls_client *c = pki_client(&ca, wanted, NULL);
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);

    (void)state;
    tls_tickets_tick(1);
    assert_false(resumes(c, s));
    tls_tickets_tick(TLS_TICKET_LIFE_MS - 1); /* too early for new ones */
    assert_true(resumes(c, s));
    tls_tickets_tick(TLS_TICKET_LIFE_MS + 1);
    assert_true(resumes(c, s)); /* under the key before; the new ticket is under the new key */
    assert_true(resumes(c, s));
    tls_tickets_tick(2 * TLS_TICKET_LIFE_MS + 1);
    assert_false(resumes(c, s)); /* that key is good, but not the one of the full handshake */
    assert_true(resumes(c, s));
    tls_tickets_tick(3 * TLS_TICKET_LIFE_MS + 1);
    tls_tickets_tick(4 * TLS_TICKET_LIFE_MS + 1);
    assert_false(resumes(c, s)); /* two changes later */
    tls_client_unref(&c);
    tls_server_unref(&s);
}

static void sessions_are_kept_by_address(void **state)
{
    struct tls_client *c = pki_client(NULL, NULL, NULL);
    struct tls_server *s = pki_server(&server_cert, NULL, TLS_VERIFY_OFF);

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20; i++) { /* more than are kept */
            char text[32];
            struct addr to;

            (void)snprintf(text, sizeof(text), "127.0.0.1:%u", 6000 + i);
            to = at_peer(text);
            pair_up(c, s, WIRE_MAX);
            tls_free(&pair.a.tls);
            assert_int_equal(tls_dial(&pair.a.tls, c, &to, end_out, &pair.a), 0);
            shake();
            assert_int_equal(pair.a.result, 0);
            assert_false(round == 0 && info_of(&pair.a).resumed);
            pair_down();
        }
    }
    tls_client_unref(&c);
    tls_server_unref(&s);
}

static void only_alerts_count_as_a_refusal(void **state)
{
    (void)state;
    assert_true(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE)));
    assert_true(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + 255)));
    assert_false(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH)));
    assert_false(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + 256)));
    assert_false(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR)));
    assert_false(tls_is_alert(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_EVP_LIB)));
    assert_false(tls_is_alert(ERR_PACK(ERR_LIB_X509, 0, SSL_AD_REASON_OFFSET + 42)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_resumed_with_what_was_proven),
        cmocka_unit_test(no_session_crosses_to_other_authorities),
        cmocka_unit_test(a_revoked_certificate_is_not_resumed),
        cmocka_unit_test(a_session_of_a_certificate_that_has_ended_is_refused),
        cmocka_unit_test(after_a_refused_session_comes_a_whole_handshake),
        cmocka_unit_test(an_open_connection_outlives_no_certificate_at_a_reload),
        cmocka_unit_test(a_connection_without_a_certificate_goes_on),
        cmocka_unit_test(a_certificate_ends_when_it_says),
        cmocka_unit_test(ticket_keys_rotate_and_the_one_before_stays_good),
        cmocka_unit_test(sessions_are_kept_by_address),
        cmocka_unit_test(only_alerts_count_as_a_refusal),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
