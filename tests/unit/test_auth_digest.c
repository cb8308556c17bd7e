/* test_auth_digest.c - digest authentication of users: what proves one, what does not, and that
 * nobody learns who exists. */
#include "registrar/registrar_int.h"

#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define REALM "example.test"

struct door {
    struct txrig rig;
    struct auth *auth;
    struct policy_account accounts[2];
    struct policy_def def;
    struct policy *policy;
    struct addr source;
    int64_t wall_ms;
    char nonce[64];
    int user;
};

/* What a phone says; the fields of a right answer unless a test bends them. */
struct answer {
    const char *field, *username, *password, *realm, *uri, *algorithm, *qop, *nc, *cnonce;
    const char *nonce;
    const char *method; /* that the response is computed for */
    bool upper;         /* hexadecimal in capitals */
    bool no_response;
};
static const struct answer right = {.field = "Authorization",
                                    .username = "1001",
                                    .password = "one",
                                    .realm = REALM,
                                    .uri = "sip:" REALM,
                                    .algorithm = "MD5",
                                    .qop = "auth",
                                    .nc = "00000001",
                                    .cnonce = "cafe",
                                    .method = "REGISTER"};

static int door_setup(void **state)
{
    struct door *d = test_calloc(1, sizeof(*d));

    assert_int_equal(txrig_up(&d->rig, SIP_UDP, 100), 0);
    d->accounts[0] = (struct policy_account){.name = "1001", .password = "one"};
    d->accounts[1] = (struct policy_account){.name = "1002", .password = "two"};
    d->def.users = (struct policy_users){.present = true,
                                         .domain = REALM,
                                         .nonce_life_s = 300,
                                         .accounts = d->accounts,
                                         .n_accounts = 2};
    assert_int_equal(policy_compile(&d->policy, &d->def, NULL), 0);
    assert_int_equal(auth_new(&d->auth), 0);
    assert_int_equal(addr_parse(SL("192.0.2.9"), 5060, &d->source), 0);
    d->wall_ms = 1795244888123;
    *state = d;
    return 0;
}

static int door_teardown(void **state)
{
    struct door *d = *state;

    auth_free(&d->auth);
    policy_free(&d->policy);
    assert_int_equal(txrig_down(&d->rig), 0);
    test_free(d);
    return 0;
}

/* The field that challenges; its nonce is kept in d->nonce. */
static const char *challenge(struct door *d, bool proxy, bool stale)
{
    static char text[512];
    struct sl s, nonce = SL_NULL;
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    auth_put_challenge(&b, d->auth,
                       &(struct auth_challenge){.users = &policy_def(d->policy)->users,
                                                .proxy = proxy,
                                                .stale = stale,
                                                .source = &d->source,
                                                .wall_ms = d->wall_ms});
    assert_int_equal(buf_err(&b), 0);
    text[b.n] = '\0';
    s = buf_sl(&b);
    s = sl_from(s, (size_t)sl_find(s, SL("nonce=\"")) + 7);
    assert_int_equal(sl_next(&s, '"', &nonce), 0);
    assert_int_equal(sl_cstr(nonce, d->nonce, sizeof(d->nonce)), 0);
    return text;
}

static void hash(enum crypto_digest alg, const char *text, char out[65])
{
    struct sl part = sl_str(text);
    uint8_t raw[CRYPTO_SHA256_LEN];
    struct buf b;

    assert_int_equal(crypto_digest(alg, &part, 1, raw), 0);
    buf_init_fixed(&b, out, 65);
    buf_putx(&b, raw, crypto_digest_len(alg));
    out[b.n] = '\0';
}

/* RFC 7616 3.4.1, written a second time on purpose. */
static void respond(const struct answer *a, const char *nonce, char out[65])
{
    enum crypto_digest alg =
        a->algorithm != NULL && a->algorithm[0] == 'S' ? CRYPTO_SHA256 : CRYPTO_MD5;
    char text[512], ha1[65], ha2[65];

    snprintf(text, sizeof(text), "%s:%s:%s", a->username, a->realm, a->password);
    hash(alg, text, ha1);
    snprintf(text, sizeof(text), "%s:%s", a->method, a->uri);
    hash(alg, text, ha2);
    if (a->qop != NULL) {
        snprintf(text, sizeof(text), "%s:%s:%s:%s:%s:%s", ha1, nonce, a->nc, a->cnonce, a->qop,
                 ha2);
    } else {
        snprintf(text, sizeof(text), "%s:%s:%s", ha1, nonce, ha2);
    }
    hash(alg, text, out);
    for (char *c = out; a->upper && *c != '\0'; c++) {
        *c = *c >= 'a' ? (char)(*c - 32) : *c;
    }
}

static enum auth_result check_lines(struct door *d, const char *lines)
{
    struct sip_msg *m =
        txrig_msg(&d->rig,
                  "REGISTER sip:" REALM " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n"
                  "From: <sip:1001@" REALM ">;tag=1\r\nTo: <sip:1001@" REALM ">\r\nCall-ID: c\r\n"
                  "CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
                  lines);
    enum auth_result res;

    assert_non_null(m);
    d->user = -1;
    res = auth_check(d->auth,
                     &(struct auth_request){
                         .msg = m, .policy = d->policy, .source = d->source, .wall_ms = d->wall_ms},
                     &d->user);
    sip_msg_unref(&m);
    return res;
}

static void put(struct buf *b, const char *name, const char *value, bool quoted)
{
    if (value != NULL) {
        buf_putf(b, quoted ? ", %s=\"%s\"" : ", %s=%s", name, value);
    }
}

static enum auth_result check(struct door *d, const struct answer *a)
{
    const char *nonce = a->nonce != NULL ? a->nonce : d->nonce;
    char line[1024], rsp[65];
    struct buf b;

    respond(a, nonce, rsp);
    buf_init_fixed(&b, line, sizeof(line) - 1);
    buf_putf(&b, "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\"", a->field,
             a->username, a->realm, nonce, a->uri);
    put(&b, "response", a->no_response ? NULL : rsp, true);
    put(&b, "algorithm", a->algorithm, false);
    put(&b, "qop", a->qop, false);
    put(&b, "nc", a->nc, false);
    put(&b, "cnonce", a->cnonce, true);
    buf_puts(&b, "\r\n");
    line[b.n] = '\0';
    return check_lines(d, line);
}

static void the_right_answer_proves_the_user(void **state)
{
    struct door *d = *state;

    challenge(d, false, false);
    assert_int_equal(check(d, &right), AUTH_OK);
    assert_int_equal(d->user, 0);
    assert_int_equal(stat_sum(STAT_AUTH_OK), 1);
}

static void a_challenge_is_one_field_with_one_algorithm(void **state)
{
    struct door *d = *state;
    char want[256];
    const char *got = challenge(d, false, false);

    snprintf(want, sizeof(want),
             "WWW-Authenticate: Digest realm=\"" REALM
             "\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"\r\n",
             d->nonce);
    assert_string_equal(got, want);
    got = challenge(d, true, true);
    snprintf(want, sizeof(want),
             "Proxy-Authenticate: Digest realm=\"" REALM
             "\", nonce=\"%s\", algorithm=MD5, qop=\"auth\", stale=true\r\n",
             d->nonce);
    assert_string_equal(got, want);
}

static void what_phones_do_differently_is_understood(void **state)
{
    struct answer cases[7];
    struct door *d = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cases[i] = right;
    }
    cases[0].field = "Proxy-Authorization";
    cases[1].algorithm = NULL;
    cases[2].algorithm = "md5";
    cases[3].upper = true;
    cases[4].username = "1001@" REALM;
    cases[5].uri = "sip:somewhere.else.example;transport=tcp";
    cases[6].qop = cases[6].nc = cases[6].cnonce = NULL; /* RFC 2069 */
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        challenge(d, i % 2 == 0, false); /* a nonce counts for both headers */
        assert_int_equal(check(d, &cases[i]), AUTH_OK);
        assert_int_equal(d->user, 0);
    }
}

static void an_answer_for_another_number_is_none(void **state)
{
    static const struct {
        const char *uri;
        bool fits;
    } rows[] = {
        {"sip:+49301@" REALM, true},
        {"sip:%2b49301@192.0.2.1:5060;transport=udp", true}, /* baresip, and who resolved us */
        {"sip:" REALM, true},                                /* SIPp */
        {"sip:house.example", true},
        {"sip:+49302@" REALM, false},
        {"sip:elsewhere.example", false},
        {"*", false},
    };
    struct door *d = *state;
    struct sip_msg *m =
        txrig_msg(&d->rig, "INVITE sip:+49301@house.example SIP/2.0\r\n"
                           "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb\r\n"
                           "From: <sip:1001@" REALM ">;tag=1\r\nTo: <sip:+49301@" REALM ">\r\n"
                           "Call-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
                           "Content-Length: 0\r\n\r\n");

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(auth_uri_fits(sl_str(rows[i].uri), m, SL(REALM)), rows[i].fits);
    }
    sip_msg_unref(&m);
}

static void answers_without_qop_are_taken_by_setting(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    a.qop = a.nc = a.cnonce = NULL;
    d->def.users.needs_qop = true;
    policy_free(&d->policy);
    assert_int_equal(policy_compile(&d->policy, &d->def, NULL), 0);
    challenge(d, false, false);
    assert_int_equal(check(d, &a), AUTH_CHALLENGE);
    assert_int_equal(check(d, &right), AUTH_OK);
}

static void wrong_answers_fail(void **state)
{
    struct answer cases[4];
    struct door *d = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cases[i] = right;
    }
    cases[0].password = "two";
    cases[1].username = "1002";
    cases[2].method = "INVITE";
    cases[3].password = "";
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        challenge(d, false, false);
        assert_int_equal(check(d, &cases[i]), AUTH_FAILED);
        assert_int_equal(d->user, -1);
    }
}

static void an_unknown_user_fails_exactly_like_a_wrong_password(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    challenge(d, false, false);
    a.username = "1999";
    assert_int_equal(check(d, &a), AUTH_FAILED);
    a.password = "";
    assert_int_equal(check(d, &a), AUTH_FAILED);
}

static void credentials_that_cannot_be_used_are_challenged(void **state)
{
    struct answer cases[6];
    struct door *d = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cases[i] = right;
    }
    cases[0].realm = "another.example";
    cases[1].algorithm = "SHA-256";
    cases[2].qop = "auth-int";
    cases[3].cnonce = NULL;
    cases[4].no_response = true;
    cases[5].username = "";
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        challenge(d, false, false);
        if (cases[i].cnonce == NULL) {
            assert_int_equal(
                check_lines(d, "Authorization: Digest username=\"1001\", realm=\"" REALM
                               "\", nonce=\"x\", uri=\"sip:a\", response=\"1\", qop=auth\r\n"),
                AUTH_CHALLENGE);
        } else {
            assert_int_equal(check(d, &cases[i]), AUTH_CHALLENGE);
        }
    }
    assert_int_equal(check_lines(d, ""), AUTH_CHALLENGE);
    assert_int_equal(check_lines(d, "Authorization: Basic Zm9vOmJhcg==\r\n"), AUTH_CHALLENGE);
    assert_int_equal(check_lines(d, "Authorization: Digest\r\n"), AUTH_CHALLENGE);
}

static void the_credentials_for_our_realm_are_found_among_others(void **state)
{
    struct door *d = *state;
    char lines[1024], rsp[65];

    challenge(d, false, false);
    respond(&right, d->nonce, rsp);
    snprintf(lines, sizeof(lines),
             "Authorization: Digest username=\"x\", realm=\"other\", nonce=\"n\", uri=\"u\", "
             "response=\"r\"\r\n"
             "Proxy-Authorization: Digest username=\"1001\", realm=\"" REALM
             "\", nonce=\"%s\", uri=\"sip:" REALM
             "\", response=\"%s\", qop=auth, nc=00000001, cnonce=\"cafe\"\r\n",
             d->nonce, rsp);
    assert_int_equal(check_lines(d, lines), AUTH_OK);
}

static void sha256_is_asked_for_and_taken_by_setting(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    d->def.users.sha256 = true;
    assert_non_null(strstr(challenge(d, false, false), "algorithm=SHA-256"));
    a.algorithm = "SHA-256";
    assert_int_equal(check(d, &a), AUTH_OK);
    assert_int_equal(check(d, &right), AUTH_CHALLENGE);
}

static void a_nonce_is_counted_and_each_count_is_good_once(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    challenge(d, false, false);
    assert_int_equal(check(d, &a), AUTH_OK);
    assert_int_equal(check(d, &a), AUTH_STALE); /* replayed */
    a.nc = "00000002";
    assert_int_equal(check(d, &a), AUTH_OK);
    a.nc = "00000005"; /* some were lost */
    assert_int_equal(check(d, &a), AUTH_OK);
    a.nc = "00000003";
    assert_int_equal(check(d, &a), AUTH_STALE);
    a.nc = "00000000";
    assert_int_equal(check(d, &a), AUTH_STALE);
    a.nc = "zz";
    assert_int_equal(check(d, &a), AUTH_STALE);
}

static void a_nonce_without_qop_is_good_once(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    challenge(d, false, false);
    a.qop = a.nc = a.cnonce = NULL;
    assert_int_equal(check(d, &a), AUTH_OK);
    assert_int_equal(check(d, &a), AUTH_STALE);
    assert_int_equal(check(d, &right), AUTH_STALE);
}

static void a_nonce_grows_old(void **state)
{
    struct door *d = *state;

    challenge(d, false, false);
    d->wall_ms += 300 * 1000;
    assert_int_equal(check(d, &right), AUTH_OK);
    challenge(d, false, false);
    d->wall_ms += 301 * 1000;
    assert_int_equal(check(d, &right), AUTH_STALE);
    challenge(d, false, false);
    d->wall_ms -= 2000; /* from the future: not ours in this run of the clock */
    assert_int_equal(check(d, &right), AUTH_STALE);
}

static void a_nonce_is_good_for_its_source_only_but_for_any_port(void **state)
{
    struct answer a = right;
    struct door *d = *state;

    challenge(d, false, false);
    addr_set_port(&d->source, 6000);
    assert_int_equal(check(d, &a), AUTH_OK);
    assert_int_equal(addr_parse(SL("192.0.2.10"), 5060, &d->source), 0);
    a.nc = "00000002";
    assert_int_equal(check(d, &a), AUTH_STALE);
}

static void a_nonce_that_we_did_not_make_is_stale_for_those_who_know_the_password(void **state)
{
    static const char *const made_up[] = {"", "abc",
                                          "0123456789abcdef0123456789abcdef0123456789abcdef"};
    struct answer a = right;
    struct door *d = *state;

    challenge(d, false, false);
    d->nonce[20] = d->nonce[20] == '0' ? '1' : '0';
    assert_int_equal(check(d, &a), AUTH_STALE);
    for (size_t i = 1; i < COUNT_OF(made_up); i++) {
        a.nonce = made_up[i];
        assert_int_equal(check(d, &a), AUTH_STALE);
    }
    a.nonce = made_up[0];
    assert_int_equal(check(d, &a), AUTH_CHALLENGE);
}

static void two_nonces_of_one_second_differ_and_work_side_by_side(void **state)
{
    struct answer a = right;
    struct door *d = *state;
    char first[64];

    challenge(d, false, false);
    memcpy(first, d->nonce, sizeof(first));
    challenge(d, false, false);
    assert_string_not_equal(first, d->nonce);
    assert_int_equal(check(d, &a), AUTH_OK);
    a.nonce = first;
    assert_int_equal(check(d, &a), AUTH_OK);
    assert_int_equal(check(d, &a), AUTH_STALE);
}

static void memory_of_used_nonces_never_forgets_in_the_wrong_direction(void **state)
{
    struct answer a = right;
    struct door *d = *state;
    char first[64];
    unsigned ok = 0;

    challenge(d, false, false);
    memcpy(first, d->nonce, sizeof(first));
    assert_int_equal(check(d, &a), AUTH_OK);
    for (int i = 0; i < 20000; i++) { /* more than the buckets there are */
        challenge(d, false, false);
        ok += check(d, &a) == AUTH_OK ? 1 : 0;
    }
    assert_true(ok > 19000);
    a.nonce = first;
    assert_int_equal(check(d, &a), AUTH_STALE);
}

/* --- many addresses, one account --- */

static void guesses_are_counted(struct door *d)
{
    d->def.users.guesses = (struct policy_guesses){.failures = 5, .block_s = 60};
}

/* One answer with a fresh nonce of its own from 192.0.2.host. */
static enum auth_result answer_from(struct door *d, unsigned host, const char *user,
                                    const char *password)
{
    struct answer a = right;
    char text[32];

    snprintf(text, sizeof(text), "192.0.2.%u", host);
    assert_int_equal(addr_parse(sl_str(text), 5060, &d->source), 0);
    challenge(d, false, false);
    a.username = user;
    a.password = password;
    return check(d, &a);
}

static void guess_from_many(struct door *d, const char *user, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(answer_from(d, 100 + i, user, "wrong"), AUTH_FAILED);
    }
}

static void after_so_many_failures_strangers_wait_and_the_owner_does_not(void **state)
{
    struct door *d = *state;

    guesses_are_counted(d);
    assert_int_equal(answer_from(d, 9, "1001", "one"), AUTH_OK);
    guess_from_many(d, "1001", 4);
    assert_int_equal(answer_from(d, 80, "1001", "one"), AUTH_OK); /* one below: still let in */
    guess_from_many(d, "1001", 5);                                /* from the beginning */
    assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 1);
    assert_int_equal(answer_from(d, 101, "1001", "wrong"), AUTH_HELD);
    assert_int_equal(answer_from(d, 101, "1001", "one"), AUTH_HELD); /* and cannot tell */
    assert_int_equal(d->user, -1);
    assert_int_equal(stat_sum(STAT_AUTH_HELD), 2);
    assert_int_equal(answer_from(d, 9, "1001", "one"), AUTH_OK);
    assert_int_equal(answer_from(d, 80, "1001", "one"), AUTH_OK);
    assert_int_equal(answer_from(d, 9, "1001", "wrong"), AUTH_FAILED);      /* is told at home */
    assert_int_equal(answer_from(d, 101, "1001@" REALM, "one"), AUTH_HELD); /* the same account */
    assert_int_equal(answer_from(d, 101, "1002", "two"), AUTH_OK);          /* another one */
}

static void waits_grow_to_the_block_and_silence_ends_it(void **state)
{
    static const int64_t wait_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct door *d = *state;

    guesses_are_counted(d);
    d->wall_ms = d->wall_ms / 1000 * 1000;
    guess_from_many(d, "1001", 5);
    for (size_t i = 0; i < COUNT_OF(wait_s); i++) {
        uint32_t held_s;

        assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 5 + i);
        assert_int_equal(held_s, wait_s[i]);
        d->wall_ms += wait_s[i] * 1000 - 1;
        assert_int_equal(answer_from(d, 100, "1001", "one"), AUTH_HELD);
        d->wall_ms += 1;
        assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_FAILED);
    }
    d->wall_ms += 120 * 1000; /* the wait, and as long again: not yet forgotten */
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_FAILED);
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_HELD);
    d->wall_ms += 121 * 1000;
    guess_from_many(d, "1001", 5);
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_HELD);
    d->wall_ms -= 600 * 1000; /* a clock that is set back makes nobody wait longer */
    assert_int_equal(answer_from(d, 100, "1001", "one"), AUTH_OK);
}

static void a_right_answer_of_a_stranger_in_time_resets_what_was_counted(void **state)
{
    struct door *d = *state;
    uint32_t held_s;

    guesses_are_counted(d);
    guess_from_many(d, "1001", 5);
    d->wall_ms += 2000;
    assert_int_equal(answer_from(d, 81, "1001", "one"), AUTH_OK);
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 0);
    guess_from_many(d, "1001", 5);
    assert_int_equal(answer_from(d, 104, "1001", "one"), AUTH_HELD);
    assert_int_equal(answer_from(d, 81, "1001", "one"), AUTH_OK); /* at home: resets nothing */
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 5);
}

static void a_user_who_does_not_exist_is_counted_like_one_who_does(void **state)
{
    static const char *const users[] = {"1001", "1999"};
    struct door *d = *state;

    guesses_are_counted(d);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        int64_t begin_ms = d->wall_ms;

        guess_from_many(d, users[i], 5);
        assert_int_equal(answer_from(d, 81, users[i], "wrong"), AUTH_FAILED); /* a newcomer */
        assert_int_equal(answer_from(d, 81, users[i], "wrong"), AUTH_HELD);
        d->wall_ms += 2000;
        assert_int_equal(answer_from(d, 81, users[i], "wrong"), AUTH_FAILED);
        assert_int_equal(answer_from(d, 81, users[i], "wrong"), AUTH_HELD);
        d->wall_ms = begin_ms;
    }
}

/* A nonce that was not given to him proves no address: what he says counts for nothing, so that
 * nobody makes others wait in a false name, and tells nothing. */
static void an_answer_to_a_nonce_of_somebody_else_neither_counts_nor_tells(void **state)
{
    struct answer a = right;
    struct door *d = *state;
    uint32_t held_s;

    guesses_are_counted(d);
    a.nonce = "0123456789abcdef0123456789abcdef0123456789abcdef";
    for (int i = 0; i < 20; i++) {
        a.password = "wrong";
        assert_int_equal(check(d, &a), AUTH_FAILED);
        a.password = "one";
        assert_int_equal(check(d, &a), AUTH_FAILED);
    }
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 0);
    assert_int_equal(answer_from(d, 9, "1001", "one"), AUTH_OK);
    assert_int_equal(check(d, &a), AUTH_STALE); /* at home he is told */
    challenge(d, false, false);
    d->wall_ms += 301 * 1000;
    a = right;
    assert_int_equal(check(d, &a), AUTH_STALE);
    assert_int_equal(addr_parse(SL("192.0.2.77"), 5060, &d->source), 0);
    challenge(d, false, false);
    d->wall_ms += 301 * 1000; /* too old, but his: counts */
    a.password = "wrong";
    assert_int_equal(check(d, &a), AUTH_FAILED);
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 1);
}

static void an_ipv6_owner_is_at_home_in_his_64(void **state)
{
    struct answer wrong = right;
    struct door *d = *state;

    guesses_are_counted(d);
    assert_int_equal(addr_parse(SL("2001:db8:1:2::9"), 5060, &d->source), 0);
    challenge(d, false, false);
    assert_int_equal(check(d, &right), AUTH_OK);
    guess_from_many(d, "1001", 5);
    assert_int_equal(addr_parse(SL("2001:db8:1:2:f::1"), 5060, &d->source), 0);
    challenge(d, false, false);
    assert_int_equal(check(d, &right), AUTH_OK);
    assert_int_equal(addr_parse(SL("2001:db8:1:3::9"), 5060, &d->source), 0);
    challenge(d, false, false);
    wrong.password = "wrong";
    assert_int_equal(check(d, &wrong), AUTH_FAILED); /* a newcomer */
    assert_int_equal(addr_parse(SL("2001:db8:1:3:f::1"), 5060, &d->source), 0);
    challenge(d, false, false);
    assert_int_equal(check(d, &right), AUTH_HELD);
    d->wall_ms += 7LL * 24 * 3600 * 1000; /* nothing was counted for long: anybody is looked at */
    challenge(d, false, false);
    assert_int_equal(check(d, &right), AUTH_OK);
}

static void the_owner_at_a_new_place_is_let_in_while_others_guess(void **state)
{
    struct door *d = *state;
    uint32_t held_s;

    guesses_are_counted(d);
    d->wall_ms = d->wall_ms / 1000 * 1000;
    for (int i = 0; i < 4; i++) { /* waits up to 8 s */
        guess_from_many(d, "1001", 1);
        (void)answer_from(d, 100, "1001", "wrong");
        d->wall_ms += 8000;
    }
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_FAILED);
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_HELD);
    assert_int_equal(answer_from(d, 80, "1001", "one"), AUTH_OK);
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 0);
}

/* What a newcomer may: one wrong password, and the next when the block is over. His failures are
 * counted but make nobody wait longer. */
static void a_newcomer_has_one_look_in_a_block(void **state)
{
    struct door *d = *state;
    uint32_t before_s, held_s;

    guesses_are_counted(d);
    d->wall_ms = d->wall_ms / 1000 * 1000;
    guess_from_many(d, "1001", 5);
    for (int i = 0; i < 6; i++) { /* 1 + 2 + 4 + 8 + 16 + 32 s */
        d->wall_ms += 1000LL << i;
        assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_FAILED);
    }
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &before_s), 11);
    assert_int_equal(before_s, 60);
    assert_int_equal(answer_from(d, 81, "1001", "wrong"), AUTH_FAILED);
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 12);
    assert_int_equal(held_s, before_s);
    assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 1);
    d->wall_ms += 59999;
    assert_int_equal(answer_from(d, 81, "1001", "one"), AUTH_HELD);
    d->wall_ms += 1;
    assert_int_equal(answer_from(d, 100, "1001", "wrong"), AUTH_FAILED); /* held once more */
    assert_int_equal(answer_from(d, 100, "1001", "one"), AUTH_HELD);
    assert_int_equal(answer_from(d, 81, "1001", "one"), AUTH_OK); /* a newcomer again */
}

static void a_right_answer_in_vain_uses_up_no_newcomer(void **state)
{
    struct door *d = *state;

    guesses_are_counted(d);
    guess_from_many(d, "1001", 5);
    assert_int_equal(addr_parse(SL("192.0.2.82"), 5060, &d->source), 0);
    challenge(d, false, false);
    d->wall_ms += 301 * 1000; /* his nonce has grown old */
    guess_from_many(d, "1001", 5);
    assert_int_equal(addr_parse(SL("192.0.2.82"), 5060, &d->source), 0);
    assert_int_equal(answer_from(d, 82, "1001", "one"), AUTH_OK);
}

/* Ten looks for each failure that is let be: then newcomers wait, too, and one comes back at a
 * time. All the same for a name that is nobody's. */
static void newcomers_without_end_have_so_many_looks_in_all(void **state)
{
    static const char *const users[] = {"1001", "1999"};
    struct door *d = *state;

    guesses_are_counted(d);
    for (size_t u = 0; u < COUNT_OF(users); u++) {
        d->wall_ms = d->wall_ms / 1000 * 1000;
        guess_from_many(d, users[u], 5);
        for (int i = 0; i < 9; i++) { /* until they wait for the whole block */
            d->wall_ms += 60000;
            assert_int_equal(answer_from(d, 100, users[u], "wrong"), AUTH_FAILED);
        }
        for (unsigned i = 0; i < 50; i++) {
            assert_int_equal(answer_from(d, 150 + i, users[u], "wrong"), AUTH_FAILED);
        }
        assert_int_equal(answer_from(d, 230, users[u], "wrong"), AUTH_HELD);
        assert_int_equal(answer_from(d, 231, users[u], "one"), AUTH_HELD); /* and learns nothing */
        d->wall_ms += 1199;
        assert_int_equal(answer_from(d, 230, users[u], "wrong"), AUTH_HELD);
        d->wall_ms += 1;
        assert_int_equal(answer_from(d, 230, users[u], "wrong"), AUTH_FAILED);
        assert_int_equal(answer_from(d, 231, users[u], "wrong"), AUTH_HELD);
    }
    d->wall_ms += 1200; /* who was not looked at is a newcomer still */
    assert_int_equal(answer_from(d, 231, "1001", "one"), AUTH_OK);
}

static void names_without_end_do_not_push_out_an_account_that_is_guessed_at(void **state)
{
    struct door *d = *state;
    uint32_t held_s;

    guesses_are_counted(d);
    guess_from_many(d, "1001", 5);
    for (unsigned i = 0; i < 100000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "x%u", i);
        (void)answer_from(d, 81, name, "wrong");
    }
    assert_int_equal(auth_guessed(d->auth, d->policy, 0, d->wall_ms, &held_s), 5);
    d->def.users.guesses.failures = 0; /* off */
    assert_int_equal(answer_from(d, 81, "1001", "one"), AUTH_OK);
}

#define DOOR(f) cmocka_unit_test_setup_teardown(f, door_setup, door_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOOR(the_right_answer_proves_the_user),
        DOOR(a_challenge_is_one_field_with_one_algorithm),
        DOOR(what_phones_do_differently_is_understood),
        DOOR(an_answer_for_another_number_is_none),
        DOOR(answers_without_qop_are_taken_by_setting),
        DOOR(wrong_answers_fail),
        DOOR(an_unknown_user_fails_exactly_like_a_wrong_password),
        DOOR(credentials_that_cannot_be_used_are_challenged),
        DOOR(the_credentials_for_our_realm_are_found_among_others),
        DOOR(sha256_is_asked_for_and_taken_by_setting),
        DOOR(a_nonce_is_counted_and_each_count_is_good_once),
        DOOR(a_nonce_without_qop_is_good_once),
        DOOR(a_nonce_grows_old),
        DOOR(a_nonce_is_good_for_its_source_only_but_for_any_port),
        DOOR(a_nonce_that_we_did_not_make_is_stale_for_those_who_know_the_password),
        DOOR(two_nonces_of_one_second_differ_and_work_side_by_side),
        DOOR(memory_of_used_nonces_never_forgets_in_the_wrong_direction),
        DOOR(after_so_many_failures_strangers_wait_and_the_owner_does_not),
        DOOR(waits_grow_to_the_block_and_silence_ends_it),
        DOOR(a_right_answer_of_a_stranger_in_time_resets_what_was_counted),
        DOOR(a_user_who_does_not_exist_is_counted_like_one_who_does),
        DOOR(an_answer_to_a_nonce_of_somebody_else_neither_counts_nor_tells),
        DOOR(an_ipv6_owner_is_at_home_in_his_64),
        DOOR(the_owner_at_a_new_place_is_let_in_while_others_guess),
        DOOR(a_newcomer_has_one_look_in_a_block),
        DOOR(a_right_answer_in_vain_uses_up_no_newcomer),
        DOOR(newcomers_without_end_have_so_many_looks_in_all),
        DOOR(names_without_end_do_not_push_out_an_account_that_is_guessed_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
