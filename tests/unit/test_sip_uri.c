/* test_sip_uri.c - SIP, SIPS and tel URIs: what parses to what, what is refused, what is equal. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void assert_sl(const char *about, struct sl got, const char *want)
{
    if (!sl_eq(got, sl_str(want))) {
        fail_msg("%s: \"%.*s\" is not \"%s\"", about, SL_ARG(got), want);
    }
}

struct good {
    const char *text;
    enum sip_scheme scheme;
    const char *user, *password, *host;
    uint16_t port;
    const char *params, *headers;
};

static const struct good goods[] = {
    {"sip:example.com", SIP_SCHEME_SIP, "", "", "example.com", 0, "", ""},
    {"SIP:a@b", SIP_SCHEME_SIP, "a", "", "b", 0, "", ""},
    {"sips:a:pw@h.example.:5061;lr", SIP_SCHEME_SIPS, "a", "pw", "h.example.", 5061, "lr", ""},
    {"sip:a:@h", SIP_SCHEME_SIP, "a", "", "h", 0, "", ""},
    {"sip:%61%00@h", SIP_SCHEME_SIP, "%61%00", "", "h", 0, "", ""},
    {"sip:u;x=1?y/z&$,+=@h", SIP_SCHEME_SIP, "u;x=1?y/z&$,+=", "", "h", 0, "", ""},
    {"sip:*72#@192.0.2.1", SIP_SCHEME_SIP, "*72#", "", "192.0.2.1", 0, "", ""},
    {"sip:a_b@under_score", SIP_SCHEME_SIP, "a_b", "", "under_score", 0, "", ""},
    {"sip:h;transport=tcp;x=a=b==;y", SIP_SCHEME_SIP, "", "", "h", 0, "transport=tcp;x=a=b==;y",
     ""},
    {"sip:h?a=&b=c%20d", SIP_SCHEME_SIP, "", "", "h", 0, "", "a=&b=c%20d"},
    {"sip:h;p=[1:2]?a=b", SIP_SCHEME_SIP, "", "", "h", 0, "p=[1:2]", "a=b"},
    {"sip:h:0065535", SIP_SCHEME_SIP, "", "", "h", 65535, "", ""},
    {"sip:[2001:db8::10:5070]", SIP_SCHEME_SIP, "", "", "2001:db8::10:5070", 0, "", ""},
    {"sip:[2001:db8::10]:5070", SIP_SCHEME_SIP, "", "", "2001:db8::10", 5070, "", ""},
    {"sip:u@[::ffff:192.0.2.2]", SIP_SCHEME_SIP, "u", "", "::ffff:192.0.2.2", 0, "", ""},
    {"sip:u@[2001:db8:::192.0.2.1]", SIP_SCHEME_SIP, "u", "", "2001:db8:::192.0.2.1", 0, "", ""},
    {"sip:[::]", SIP_SCHEME_SIP, "", "", "::", 0, "", ""},
    {"tel:+1-201-555-0123", SIP_SCHEME_TEL, "+1-201-555-0123", "", "", 0, "", ""},
    {"TEL:7042;phone-context=example.com", SIP_SCHEME_TEL, "7042", "", "", 0,
     "phone-context=example.com", ""},
    {"tel:*21*(0)#", SIP_SCHEME_TEL, "*21*(0)#", "", "", 0, "", ""},
    {"urn:service:sos", SIP_SCHEME_OTHER, "", "", "", 0, "", ""},
    {"soap.beep://192.0.2.103:3002", SIP_SCHEME_OTHER, "", "", "", 0, "", ""},
    {"sipx:a@b", SIP_SCHEME_OTHER, "", "", "", 0, "", ""},
};

static void good_uris_come_apart_into_their_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        const struct good *g = &goods[i];
        struct sip_uri u;

        memset(&u, 0xa5, sizeof(u)); /* nothing may be left as it was */
        if (sip_uri_parse(sl_str(g->text), &u) != 0) {
            fail_msg("refused: %s", g->text);
        }
        assert_int_equal(u.scheme, g->scheme);
        assert_sl(g->text, u.text, g->text);
        assert_int_equal(u.scheme_name.n, strcspn(g->text, ":"));
        assert_sl(g->text, u.user, g->user);
        assert_sl(g->text, u.password, g->password);
        assert_sl(g->text, u.host, g->host);
        assert_int_equal(u.port, g->port);
        assert_sl(g->text, u.params, g->params);
        assert_sl(g->text, u.headers, g->headers);
        assert_int_equal(u.host_is_v6, strchr(g->host, ':') != NULL);
    }
}

static const char *const bads[] = {
    "",
    "sip",
    "sip:",
    ":",
    ":a",
    "a@b",
    "1sip:a",
    "sip a@b",
    "sip:@h",
    "sip::p@h",
    "sip:a@",
    "sip:a@b@c",
    "sip: a@b",
    "sip:a @b",
    "sip:a@b ",
    "sip:a b@c",
    "sip:a%@h",
    "sip:a%4@h",
    "sip:a%4g@h",
    "sip:a%",
    "sip:h%41",
    "sip:h;%",
    "sip:h;x=%1",
    "sip:h?a=%zz",
    "sip:h;",
    "sip:h;;",
    "sip:h;;a",
    "sip:h;=a",
    "sip:h;a;",
    "sip:h?",
    "sip:h?a",
    "sip:h?=a",
    "sip:h?a=b&",

    "sip:h:",
    "sip:h:0",
    "sip:h:65536",
    "sip:h:5060x",
    "sip:h:-1",
    "sip:h: 5060",
    "sip:.h",
    "sip:-h",
    "sip:h,i",
    "sip:<h>",
    "<sip:h>",
    "sip:h>",
    "sip:a\"@h",
    "sip:a\\@h",
    "sip:a<@h",
    "sip:2001:db8::10",
    "sip:[2001:db8::10",
    "sip:2001:db8::10]",
    "sip:[]",
    "sip:[192.0.2.1]",
    "sip:[::1%eth0]",
    "sip:[::::1]",
    "sip:[2001:db8:::1::2]",
    "sip:[1:2:3:4:5:6:7:8:9]",
    "sip:[::g]",
    "sip:[::1]x",
    "sip:[::1]5060",
    "sip:h/i",
    "sip:h;a b",
    "sip:h;a=\"b\"",
    "tel:",
    "tel:-()",
    "tel:hello",
    "tel:1;",
    "tel:1 2",
    "tel:1;a;;b",
    "x:",
    "x:a b",
    "x:<a>",
    "x:\"",
    "x y:z",
    "sip:a\r\n@h",
    "sip:a@h\r\nX: y",
    "sip:\xc3\xa4@h",
};

static void bad_uris_are_refused_without_a_byte_read_beyond(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bads); i++) {
        size_t n = strlen(bads[i]);
        char *exact = malloc(n != 0 ? n : 1);
        struct sip_uri u;

        assert_non_null(exact);
        memcpy(exact, bads[i], n);
        if (sip_uri_parse(sl_make(exact, n), &u) != EBADMSG) {
            fail_msg("taken: %s", bads[i]);
        }
        free(exact);
    }
    assert_int_equal(sip_uri_parse(sl_make("sip:a\0b@h", 9), &(struct sip_uri){.port = 0}),
                     EBADMSG);
}

static void a_uri_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    static char text[SIP_URI_MAX + 1];
    struct sip_uri u;

    (void)state;
    memset(text, 'u', sizeof(text));
    memcpy(text, "sip:", 4);
    text[SIP_URI_MAX - 2] = '@';
    assert_int_equal(sip_uri_parse(sl_make(text, SIP_URI_MAX), &u), 0);
    assert_int_equal(sip_uri_parse(sl_make(text, SIP_URI_MAX + 1), &u), EMSGSIZE);
    memset(text + 4, 'h', 256);
    assert_int_equal(sip_uri_parse(sl_make(text, 4 + 255), &u), 0);
    assert_int_equal(sip_uri_parse(sl_make(text, 4 + 256), &u), EBADMSG);
}

static void parameters_are_found_by_whole_names(void **state)
{
    static const struct {
        const char *params, *name, *want; /* want NULL: absent */
    } rows[] = {
        {"a=1;b;c=\"x;a=2\"", "a", "1"},
        {"a=1;b;c=\"x;a=2\"", "B", ""},
        {"a=1;b;c=\"x;a=2\"", "c", "x;a=2"},
        {"ab=1", "a", NULL},
        {"a=1", "ab", NULL},
        {" tag = x ; q", "tag", "x"},
        {"", "a", NULL},
        {"tag=", "tag", ""},
        {"a=\"open", "a", NULL},
        {"%74ag=x", "tag", NULL},
        {"x=1;tag=2;tag=3", "tag", "2"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl v = SL("untouched");
        bool is_there = sip_param(sl_str(rows[i].params), sl_str(rows[i].name), &v);

        assert_int_equal(is_there, rows[i].want != NULL);
        assert_sl(rows[i].params, v, rows[i].want != NULL ? rows[i].want : "untouched");
    }
}

static void uri_parameters_are_found_in_spite_of_escapes(void **state)
{
    struct sip_uri u;
    struct sl v;

    (void)state;
    assert_int_equal(sip_uri_parse(SL("sip:h;%6C%72;Transport=T%43P;x=%zz"), &u), EBADMSG);
    assert_int_equal(sip_uri_parse(SL("sip:h;%6C%72;Transport=tcp;x=y"), &u), 0);
    assert_true(sip_uri_param(&u, SL("lr"), &v));
    assert_int_equal(v.n, 0);
    assert_true(sip_uri_param(&u, SL("X"), &v));
    assert_sl("x", v, "y");
    assert_false(sip_uri_param(&u, SL("l"), &v));
    assert_int_equal(sip_uri_transport(&u, SIP_UDP), SIP_TCP);
    assert_int_equal(sip_uri_parse(SL("sip:h;transport=pigeon"), &u), 0);
    assert_int_equal(sip_uri_transport(&u, SIP_UDP), SIP_TRANSPORT_OTHER);
    assert_int_equal(sip_uri_parse(SL("sip:h"), &u), 0);
    assert_int_equal(sip_uri_transport(&u, SIP_WSS), SIP_WSS);
}

/* The first block is RFC 3261 19.1.4's own list of cases in other words. */
static const struct {
    const char *a, *b;
    bool want;
} pairs[] = {
    {"sip:%61lice@atlanta.example;transport=TCP", "sip:alice@AtLanTa.Example;Transport=tcp", true},
    {"sip:carol@chi.example", "sip:carol@chi.example;newparam=5", true},
    {"sip:carol@chi.example;security=on", "sip:carol@chi.example;newparam=5", true},
    {"sip:b@x;transport=tcp?to=a%40x&subject=s", "sip:b@x;transport=tcp?subject=s&to=a%40x", true},
    {"sip:Alice@x", "sip:alice@x", false},
    {"sip:bob@x", "sip:bob@x:5060", false},
    {"sip:bob@x", "sip:bob@x;transport=udp", false},
    {"sip:bob@x:6000", "sip:bob@x:6000;transport=tcp", false},
    {"sip:carol@x", "sip:carol@x?Subject=next", false},
    {"sip:carol@x;security=on", "sip:carol@x;security=off", false},
    {"sip:a@x", "sips:a@x", false},
    {"sip:a@x", "sip:x", false},
    {"sip:a:p@x", "sip:a@x", false},
    {"sip:a:@x", "sip:a@x", false},
    {"sip:a:p@x", "sip:a:P@x", false},
    {"sip:a%3bb@x", "sip:a;b@x", false}, /* reserved bytes differ from their escapes */
    {"sip:a%3Bb@x", "sip:a%3bb@x", true},
    {"sip:n%00@x", "sip:n%00%00@x", false},
    {"sip:n%00@x", "sip:n@x", false},
    {"sip:a@x;method=INVITE", "sip:a@x", false},
    {"sip:a@x;maddr=1.2.3.4", "sip:a@x", false},
    {"sip:a@x;ttl=1", "sip:a@x", false},
    {"sip:a@x;user=phone", "sip:a@x", false},
    {"sip:a@x;%75ser=phone", "sip:a@x;user=phone", true},
    {"sip:a@x;b;c", "sip:a@x;c;b", true},
    {"sip:a@x?h=1", "sip:a@x?h=2", false},
    {"sip:a@x?h=1&h=2", "sip:a@x?h=1&h=2", true},
    {"sip:a@x?h=1&i=2", "sip:a@x?h=1", false},
    {"sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]", true},
    {"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false},
    {"sip:a@[::ffff:192.0.2.1]", "sip:a@192.0.2.1", true},
    {"sip:a@[2001:db8::1]", "sip:a@h", false},
    {"tel:+1-201-555", "TEL:+1201(555)", true},
    {"tel:+1201555", "tel:1201555", false},
    {"tel:1;phone-context=+1", "tel:1", false},
    {"tel:1;b=2;a=1", "tel:1;A=1;B=2", true},
    {"urn:a:b", "urn:a:b", true},
    {"urn:a:b", "urn:a:B", false},
};

static void uris_are_equal_as_the_rfc_says_whichever_comes_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct sip_uri a, b;

        assert_int_equal(sip_uri_parse(sl_str(pairs[i].a), &a), 0);
        assert_int_equal(sip_uri_parse(sl_str(pairs[i].b), &b), 0);
        assert_true(sip_uri_equal(&a, &a) && sip_uri_equal(&b, &b));
        if (sip_uri_equal(&a, &b) != pairs[i].want || sip_uri_equal(&b, &a) != pairs[i].want) {
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
        }
    }
}

static void very_many_parameters_are_compared_as_text(void **state)
{
    static char a[SIP_URI_MAX], b[SIP_URI_MAX];
    struct sip_uri x, y;
    size_t n = 5;

    (void)state;
    memcpy(a, "sip:h", 5);
    while (n + 2 < 400) {
        a[n++] = ';';
        a[n++] = 'p';
    }
    memcpy(b, a, n);
    assert_int_equal(sip_uri_parse(sl_make(a, n), &x), 0);
    assert_int_equal(sip_uri_parse(sl_make(b, n), &y), 0);
    assert_true(sip_uri_equal(&x, &y));
    b[n - 1] = 'P';
    assert_false(sip_uri_equal(&x, &y));
}

static void escapes_are_undone_for_look_ups_and_controls_refused(void **state)
{
    static const struct {
        const char *in, *out;
        size_t cap;
        int err;
    } rows[] = {
        {"", "", 0, 0},
        {"alice", "alice", 5, 0},
        {"%61l%69ce", "alice", 5, 0},
        {"alice", NULL, 4, EMSGSIZE},
        {"%2B49", "+49", 8, 0},
        {"a%", NULL, 8, EBADMSG},
        {"a%4", NULL, 8, EBADMSG},
        {"a%4x", NULL, 8, EBADMSG},
        {"%00", NULL, 8, EBADMSG},
        {"%0d%0a", NULL, 8, EBADMSG},
        {"%7f", NULL, 8, EBADMSG},
        {"a\nb", NULL, 8, EBADMSG},
        {"%c3%a4", "\xc3\xa4", 8, 0},
        {"%25%32%35", "%25", 8, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char dst[8];
        size_t n = 99;

        assert_int_equal(sip_unescape(sl_str(rows[i].in), dst, rows[i].cap, &n), rows[i].err);
        if (rows[i].err == 0) {
            assert_sl(rows[i].in, sl_make(dst, n), rows[i].out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_uris_come_apart_into_their_pieces),
        cmocka_unit_test(bad_uris_are_refused_without_a_byte_read_beyond),
        cmocka_unit_test(a_uri_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(parameters_are_found_by_whole_names),
        cmocka_unit_test(uri_parameters_are_found_in_spite_of_escapes),
        cmocka_unit_test(uris_are_equal_as_the_rfc_says_whichever_comes_first),
        cmocka_unit_test(very_many_parameters_are_compared_as_text),
        cmocka_unit_test(escapes_are_undone_for_look_ups_and_controls_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
