/* Digest answers: the RFCs' examples, the choice among challenges, nonce counting, and values that
 * want to leave their quotes. */
#include "dialog/dialog_int.h"
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void examples_of_the_rfcs_come_out(void **state)
{
    static const struct {
        enum crypto_digest alg;
        const char *realm, *password, *nonce, *cnonce, *response;
    } cases[] = {
        /* RFC 2617 3.5 */
        {CRYPTO_MD5, "testrealm@host.com", "Circle Of Life", "dcd98b7102dd2f0e8b11d0f600bfb0c093",
         "0a4f113b", "6629fae49393a05397450978507c4ef1"},
        /* the same without qop, RFC 2069 2.4 as corrected by its errata */
        {CRYPTO_MD5, "testrealm@host.com", "Circle Of Life", "dcd98b7102dd2f0e8b11d0f600bfb0c093",
         NULL, "670fd8c2df070c60b045671b8b24ff02"},
        /* RFC 7616 3.9.1 */
        {CRYPTO_MD5, "http-auth@example.org", "Circle of Life",
         "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
         "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec"},
        {CRYPTO_SHA256, "http-auth@example.org", "Circle of Life",
         "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
         "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
    };

    (void)state;
    assert_int_equal(crypto_init(), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct digest_credentials cred = {.username = SL("Mufasa"),
                                          .password = sl_str(cases[i].password)};
        struct digest_job job = {.alg = cases[i].alg,
                                 .has_qop = cases[i].cnonce != NULL,
                                 .cnonce = sl_str(cases[i].cnonce),
                                 .nc_text = SL("00000001")};
        struct digest_hex out;

        job.auth.realm = sl_str(cases[i].realm);
        job.auth.nonce = sl_str(cases[i].nonce);
        assert_int_equal(digest_response(&job, &cred, SL("GET"), SL("/dir/index.html"), &out), 0);
        assert_int_equal(out.n, strlen(cases[i].response));
        assert_memory_equal(out.p, cases[i].response, out.n);
    }
}

struct answer {
    struct txrig r;
    struct digest_state st;
    struct digest_credentials cred;
    char text[2048];
    struct sl line;
    struct sip_auth auth;
};

static void up(struct answer *a)
{
    *a = (struct answer){.cred = {.username = SL("bob"), .password = SL("secret")}};
    assert_int_equal(txrig_up(&a->r, SIP_UDP, 1), 0);
}

static void down(struct answer *a)
{
    digest_forget(&a->st);
    assert_int_equal(txrig_down(&a->r), 0);
}

/* lines: whole header fields, each with its CRLF */
static int ask_both(struct answer *a, uint16_t status, const char *lines, const char *uri)
{
    struct sip_msg *m =
        txrig_msg(&a->r,
                  "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
                  "From: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
                  "%sContent-Length: 0\r\n\r\n",
                  status, lines);
    struct buf b;
    int err;

    assert_non_null(m);
    buf_init_fixed(&b, a->text, sizeof(a->text));
    err = digest_answer(
        &b, m, &(struct digest_for){.cred = &a->cred, .method = SL("BYE"), .uri = sl_str(uri)},
        &a->st);
    sip_msg_unref(&m);
    a->line = buf_sl(&b);
    return err;
}

/* The same where one field is due. */
static int ask(struct answer *a, uint16_t status, const char *lines, const char *uri)
{
    int err = ask_both(a, status, lines, uri);

    a->auth = (struct sip_auth){.stale = false};
    if (err == 0) {
        struct sl value = sl_trim(sl_from(a->line, (size_t)sl_chr(a->line, ':') + 1));

        assert_true(sl_ends(a->line, SL("\r\n")));
        assert_int_equal(sip_auth_parse(value, &a->auth), 0);
    } else {
        assert_int_equal(a->line.n, 0);
    }
    return err;
}

/* What a server would compute from the answer's own words. */
static void check_response(struct answer *a, enum crypto_digest alg)
{
    struct digest_job job = {
        .alg = alg, .has_qop = a->auth.qop.n != 0, .cnonce = a->auth.cnonce, .nc_text = a->auth.nc};
    struct digest_hex out;

    job.auth.realm = a->auth.realm;
    job.auth.nonce = a->auth.nonce;
    assert_int_equal(digest_response(&job, &a->cred, SL("BYE"), a->auth.uri, &out), 0);
    assert_true(sl_eq(a->auth.response, sl_make(out.p, out.n)));
    assert_true(sl_eq(a->auth.username, a->cred.username));
}

static void answer_to_a_401_is_complete(void **state)
{
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(
        ask(&a, 401,
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth,auth-int\", "
            "algorithm=MD5, opaque=\"o\"\r\n",
            "sip:b@y"),
        0);
    assert_true(sl_starts(a.line, SL("Authorization: Digest username=\"bob\", realm=\"r\", ")));
    check_response(&a, CRYPTO_MD5);
    assert_true(sl_eq(a.auth.qop, SL("auth")));
    assert_true(sl_eq(a.auth.nc, SL("00000001")));
    assert_true(sl_eq(a.auth.opaque, SL("o")));
    assert_true(sl_eq(a.auth.algorithm, SL("MD5")));
    assert_true(sl_eq(a.auth.uri, SL("sip:b@y")));
    assert_int_equal(a.auth.cnonce.n, 16);
    assert_true(sl_find(a.line, SL("qop=auth, nc=")) > 0); /* RFC 7616: neither is quoted */
    down(&a);
}

static void answer_to_a_407_without_qop_has_no_client_nonce(void **state)
{
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(
        ask(&a, 407, "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n", "sip:b@y"), 0);
    assert_true(sl_starts(a.line, SL("Proxy-Authorization: Digest ")));
    check_response(&a, CRYPTO_MD5);
    assert_int_equal(a.auth.cnonce.n + a.auth.nc.n + a.auth.qop.n + a.auth.algorithm.n, 0);
    down(&a);
}

static void the_strongest_challenge_that_suits_is_taken(void **state)
{
    static const struct {
        const char *lines;
        const char *want_realm; /* of the answer */
        const char *name_realm; /* of the credentials */
        int err;
    } cases[] = {
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", algorithm=SHA-512-256\r\n"
         "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\", algorithm=MD5-sess\r\n"
         "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n"
         "WWW-Authenticate: Digest realm=\"d\", nonce=\"n\", algorithm=MD5\r\n",
         "c", NULL, 0},
        {"WWW-Authenticate: Basic realm=\"a\"\r\n"
         "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\", qop=\"auth-int\"\r\n"
         "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\"\r\n",
         "c", NULL, 0},
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\"\r\n"
         "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\"\r\n",
         "b", "b", 0},
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\"\r\n", NULL, "b", ENOENT},
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", qop=\"auth-int\"\r\n", NULL, NULL,
         ENOTSUP},
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", algorithm=MD5-sess\r\n", NULL, NULL,
         ENOENT},
        {"WWW-Authenticate: Basic realm=\"a\"\r\n", NULL, NULL, ENOENT},
        /* a proxy that forked gathers both kinds in one answer (RFC 3261 16.7) */
        {"Proxy-Authenticate: Digest realm=\"a\", nonce=\"n\"\r\n", "a", NULL, 0},
        /* the strongest, wherever it stands; of equals the first */
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", qop=\"auth\", algorithm=MD5-sess\r\n"
         "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n"
         "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n",
         "b", NULL, 0},
        {"WWW-Authenticate: Digest realm=\"a\", nonce=\"n\"\r\n"
         "WWW-Authenticate: Digest realm=\"b\", nonce=\"n\", qop=\"auth\"\r\n"
         "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\", algorithm=SHA-512\r\n",
         "b", NULL, 0},
        {"", NULL, NULL, ENOENT},
        {"WWW-Authenticate: Digest realm=\"a\r\n", NULL, NULL, EBADMSG},
        {"WWW-Authenticate: Digest realm=\"a\"\r\n", NULL, NULL, EBADMSG}, /* no nonce */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer a;

        up(&a);
        a.cred.realm = sl_str(cases[i].name_realm);
        assert_int_equal(ask(&a, 401, cases[i].lines, "sip:b@y"), cases[i].err);
        assert_true(sl_eq(a.auth.realm, sl_str(cases[i].want_realm)));
        assert_int_equal(a.st.at[DIGEST_WWW].tries + a.st.at[DIGEST_PROXY].tries,
                         cases[i].err == 0);
        if (cases[i].err == 0) {
            check_response(&a, sl_eq(a.auth.algorithm, SL("SHA-256")) ? CRYPTO_SHA256 : CRYPTO_MD5);
        }
        down(&a);
    }
}

static void other_status_codes_are_no_challenge(void **state)
{
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(
        ask(&a, 403, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n", "sip:b@y"), ENOENT);
    down(&a);
}

static void refusal_of_the_same_nonce_is_final_unless_it_is_stale(void **state)
{
    static const char same[] =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"\r\n";
    static const char stale[] =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", stale=true\r\n";
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(ask(&a, 401, same, "sip:b@y"), 0);
    assert_int_equal(ask(&a, 401, same, "sip:b@y"), EACCES);
    assert_int_equal(ask(&a, 401, stale, "sip:b@y"), 0);
    assert_true(sl_eq(a.auth.nc, SL("00000002")));
    check_response(&a, CRYPTO_MD5);
    down(&a);
}

static void peer_that_challenges_for_ever_gets_two_answers(void **state)
{
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(
        ask(&a, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n", "sip:b@y"), 0);
    assert_int_equal(
        ask(&a, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n", "sip:b@y"), 0);
    assert_int_equal(
        ask(&a, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n3\"\r\n", "sip:b@y"), EACCES);
    assert_int_equal(a.st.at[DIGEST_WWW].tries, 2);
    digest_forget(&a.st); /* the next request of the chain: a new nonce begins at 1 */
    assert_int_equal(ask(&a, 401,
                         "WWW-Authenticate: Digest realm=\"r\", nonce=\"n4\", qop=\"auth\"\r\n",
                         "sip:b@y"),
                     0);
    assert_true(sl_eq(a.auth.nc, SL("00000001")));
    down(&a);
}

static void client_nonces_differ(void **state)
{
    static const char lines[] =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    char mem[64];
    struct answer a;
    struct buf first;

    (void)state;
    up(&a);
    buf_init_fixed(&first, mem, sizeof(mem));
    assert_int_equal(ask(&a, 401, lines, "sip:b@y"), 0);
    buf_putsl(&first, a.auth.cnonce);
    assert_int_equal(first.n, 16);
    digest_forget(&a.st);
    assert_int_equal(ask(&a, 401, lines, "sip:b@y"), 0);
    assert_int_equal(a.auth.cnonce.n, 16);
    assert_false(sl_eq(buf_sl(&first), a.auth.cnonce));
    down(&a);
}

static void nothing_leaves_its_quotes(void **state)
{
    struct answer a;

    (void)state;
    up(&a);
    a.cred.username = SL("b\"o\\b");
    assert_int_equal(ask(&a, 401,
                         "WWW-Authenticate: Digest realm=\"a \\\"quoted\\\" b\", nonce=\"n\"\r\n",
                         "sip:b@y"),
                     0);
    assert_true(sl_find(a.line, SL("username=\"b\\\"o\\\\b\", realm=\"a \\\"quoted\\\" b\", ")) >
                0);
    digest_forget(&a.st);
    assert_int_equal(ask(&a, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
                         "sip:b@y\", realm=\"x"),
                     EBADMSG);
    a.cred.username = SL("b\r\nX: y");
    assert_int_equal(
        ask(&a, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "sip:b@y"), EBADMSG);
    down(&a);
}

static void nonce_that_we_could_not_remember_is_refused(void **state)
{
    static const struct {
        size_t n;
        int err;
    } cases[] = {{127, 0}, {128, EBADMSG}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char lines[256];
        struct answer a;
        struct buf b;

        up(&a);
        buf_init_fixed(&b, lines, sizeof(lines));
        BUF_LIT(&b, "WWW-Authenticate: Digest realm=\"r\", nonce=\"");
        for (size_t k = 0; k < cases[i].n; k++) {
            buf_putc(&b, 'n');
        }
        BUF_LIT(&b, "\"\r\n\0");
        assert_int_equal(ask(&a, 401, lines, "sip:b@y"), cases[i].err);
        down(&a);
    }
}

static void answer_that_does_not_fit_leaves_the_state_alone(void **state)
{
    struct sip_msg *m;
    struct answer a;
    char small[40];
    struct buf b;

    (void)state;
    up(&a);
    m = txrig_msg(&a.r,
                  "SIP/2.0 401 X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
                  "From: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
                  "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n");
    assert_non_null(m);
    buf_init_fixed(&b, small, sizeof(small));
    assert_int_equal(
        digest_answer(
            &b, m, &(struct digest_for){.cred = &a.cred, .method = SL("BYE"), .uri = SL("sip:b@y")},
            &a.st),
        EMSGSIZE);
    assert_int_equal(a.st.at[DIGEST_WWW].tries, 0);
    sip_msg_unref(&m);
    down(&a);
}

/* RFC 7616 3.4.2: the session key is made of the nonces as well. */
static void a_session_key_is_made_of_both_nonces(void **state)
{
    static const struct {
        const char *name;
        enum crypto_digest alg;
    } cases[] = {{"MD5-sess", CRYPTO_MD5}, {"SHA-256-sess", CRYPTO_SHA256}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct digest_job job = {.alg = cases[i].alg, .has_qop = true, .is_sess = true};
        struct digest_hex out;
        char line[160];
        struct answer a;
        struct buf b;

        up(&a);
        buf_init_fixed(&b, line, sizeof(line));
        buf_putf(&b,
                 "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", "
                 "algorithm=%s\r\n",
                 cases[i].name);
        buf_putc(&b, 0);
        assert_int_equal(ask(&a, 401, line, "sip:b@y"), 0);
        assert_true(sl_eq(a.auth.algorithm, sl_str(cases[i].name)));
        job.auth = a.auth;
        job.cnonce = a.auth.cnonce;
        job.nc_text = a.auth.nc;
        assert_int_equal(digest_response(&job, &a.cred, SL("BYE"), a.auth.uri, &out), 0);
        assert_true(sl_eq(a.auth.response, sl_make(out.p, out.n)));
        job.is_sess = false;
        assert_int_equal(digest_response(&job, &a.cred, SL("BYE"), a.auth.uri, &out), 0);
        assert_false(sl_eq(a.auth.response, sl_make(out.p, out.n)));
        down(&a);
    }
}

/* A proxy that asks first and the server behind it: the second answer repeats the first. */
static void who_was_answered_before_is_answered_again(void **state)
{
    static const char proxy[] =
        "Proxy-Authenticate: Digest realm=\"p\", nonce=\"np\", qop=\"auth\"\r\n";
    static const char www[] =
        "WWW-Authenticate: Digest realm=\"w\", nonce=\"nw\", qop=\"auth\"\r\n";
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(ask(&a, 407, proxy, "sip:b@y"), 0);
    assert_true(sl_starts(a.line, SL("Proxy-Authorization: ")));
    assert_true(sl_find(a.line, SL("\r\nAuthorization: ")) < 0);
    assert_int_equal(ask_both(&a, 401, www, "sip:b@y"), 0);
    assert_true(sl_starts(a.line, SL("Authorization: ")));
    assert_true(sl_find(a.line, SL("realm=\"w\", nonce=\"nw\"")) > 0);
    assert_true(sl_find(a.line, SL("\r\nProxy-Authorization: Digest ")) > 0);
    assert_true(sl_find(a.line, SL("nc=00000002")) > 0);
    assert_int_equal(ask_both(&a, 407, proxy, "sip:b@y"), EACCES); /* it had its answer, twice */
    down(&a);
    up(&a);
    assert_int_equal(ask_both(&a, 401,
                              "WWW-Authenticate: Digest realm=\"w\", nonce=\"nw\"\r\n"
                              "Proxy-Authenticate: Digest realm=\"p\", nonce=\"np\"\r\n",
                              "sip:b@y"),
                     0);
    assert_true(sl_find(a.line, SL("realm=\"w\", nonce=\"nw\"")) > 0);
    assert_true(sl_find(a.line, SL("realm=\"p\", nonce=\"np\"")) > 0);
    down(&a);
}

/* Another request, the same nonce: its count goes on, or it looks like a replay (RFC 7616 3.4). */
static void the_count_of_a_nonce_goes_on_with_the_next_request(void **state)
{
    static const char lines[] =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    struct answer a;

    (void)state;
    up(&a);
    assert_int_equal(ask(&a, 401, lines, "sip:b@y"), 0);
    digest_forget(&a.st);
    assert_int_equal(ask(&a, 401, lines, "sip:b@y"), 0);
    assert_true(sl_eq(a.auth.nc, SL("00000002")));
    assert_int_equal(ask(&a, 401, lines, "sip:b@y"), EACCES);
    down(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfcs_come_out),
        cmocka_unit_test(answer_to_a_401_is_complete),
        cmocka_unit_test(answer_to_a_407_without_qop_has_no_client_nonce),
        cmocka_unit_test(the_strongest_challenge_that_suits_is_taken),
        cmocka_unit_test(other_status_codes_are_no_challenge),
        cmocka_unit_test(refusal_of_the_same_nonce_is_final_unless_it_is_stale),
        cmocka_unit_test(peer_that_challenges_for_ever_gets_two_answers),
        cmocka_unit_test(client_nonces_differ),
        cmocka_unit_test(a_session_key_is_made_of_both_nonces),
        cmocka_unit_test(who_was_answered_before_is_answered_again),
        cmocka_unit_test(the_count_of_a_nonce_goes_on_with_the_next_request),
        cmocka_unit_test(nothing_leaves_its_quotes),
        cmocka_unit_test(nonce_that_we_could_not_remember_is_refused),
        cmocka_unit_test(answer_that_does_not_fit_leaves_the_state_alone),
    };

    return cmocka_run_group_tests_name("dialog_digest", tests, NULL, NULL);
}
