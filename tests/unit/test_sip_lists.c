/* test_sip_lists.c - name-addr, Via, comma-separated values, digest fields. */
#include "sip/sip.h"
#include "exact.h"

static void assert_sl(const char *about, struct sl got, const char *want)
{
    if (!sl_eq(got, sl_str(want))) {
        fail_msg("%s: \"%.*s\" is not \"%s\"", about, SL_ARG(got), want);
    }
}

static const struct {
    const char *text, *display, *uri, *params;
    bool bracketed;
} addrs[] = {
    {"sip:a@b", "", "sip:a@b", "", false},
    {"<sip:a@b>", "", "sip:a@b", "", true},
    {"  \"A, \\\"B\\\" <x>\"  <sip:a@b;u?h=1> ; tag = 7 ", "\"A, \\\"B\\\" <x>\"", "sip:a@b;u?h=1",
     "tag = 7", true},
    {"A. Bell%'~<sip:a@b>;q=0.1;x", "A. Bell%'~", "sip:a@b", "q=0.1;x", true},
    {"\"\"<sip:a@b>", "\"\"", "sip:a@b", "", true},
    {"sip:a@b;tag=1;x=\"y;z\"", "", "sip:a@b", "tag=1;x=\"y;z\"", false},
    {"sip:a@b ;tag=1", "", "sip:a@b", "tag=1", false},
    {"sip:a@b;x=\"<sip:c@d>\"", "", "sip:a@b", "x=\"<sip:c@d>\"", false},
    {"tel:+1;tag=1", "", "tel:+1", "tag=1", false},
    {"<tel:+1;ext=2>;tag=1", "", "tel:+1;ext=2", "tag=1", true},
    {"<name:John_Smith>", "", "name:John_Smith", "", true},
    {"<sip:a@[2001:db8::1]:5070>;expires=60", "", "sip:a@[2001:db8::1]:5070", "expires=60", true},
    {"<sip:a@b>;+sip.instance=\"<urn:uuid:0>\";reg-id=1;received=[::1]", "", "sip:a@b",
     "+sip.instance=\"<urn:uuid:0>\";reg-id=1;received=[::1]", true},
    {"<sip:a@b>;x=\"\xd1\x80\"", "", "sip:a@b", "x=\"\xd1\x80\"", true},
};

static void addresses_come_apart_into_display_uri_and_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(addrs); i++) {
        struct sl text = exact(addrs[i].text);
        struct sip_nameaddr na;

        memset(&na, 0xa5, sizeof(na));
        if (sip_nameaddr_parse(text, &na) != 0) {
            fail_msg("refused: %s", addrs[i].text);
        }
        assert_sl(addrs[i].text, na.display, addrs[i].display);
        assert_sl(addrs[i].text, na.uri_text, addrs[i].uri);
        assert_sl(addrs[i].text, na.uri.text, addrs[i].uri);
        assert_sl(addrs[i].text, na.params, addrs[i].params);
        assert_int_equal(na.bracketed, addrs[i].bracketed);
        assert_false(na.is_star);
        free((char *)(uintptr_t)text.p);
    }
}

static void a_star_is_an_address_of_its_own(void **state)
{
    struct sip_nameaddr na;

    (void)state;
    assert_int_equal(sip_nameaddr_parse(SL(" * "), &na), 0);
    assert_true(na.is_star);
    assert_int_equal(sip_nameaddr_parse(SL("*;expires=0"), &na), EBADMSG);
    assert_int_equal(sip_nameaddr_parse(SL("**"), &na), EBADMSG);
}

static void malformed_addresses_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "<",
        ">",
        "<>",
        "a",
        "<a>",
        "\"",
        "\"a",
        "\"a\\\"",
        "\"a\"",
        "\"a\" ",
        "\"a\" b <sip:c>",
        "\"a\"sip:b@c",
        "Bell, A <sip:a@b>",
        "a@b <sip:c@d>",
        "(a) <sip:c@d>",
        "J\xc3\xb6rg <sip:a@b>",
        "<sip:a@b",
        "<sip:a@b>x",
        "<sip:a@b> x",
        "<sip:a@b>;",
        "<sip:a@b>;;",
        "<sip:a@b>;a;;b",
        "<sip:a@b>;a;",
        "<sip:a@b>,",
        "<sip:a@b>;=1",
        "<sip:a@b>;a b",
        "<sip:a@b>;a=b c",
        "<sip:a@b>;a=\"b",
        "<sip:a@b>;a=\"b\\\"",
        "<sip:a@b>;a=\"b\"c",
        "<sip:a@b>;a=<b>",
        "< sip:a@b>",
        "<sip:a@b >",
        "<<sip:a@b>>",
        "<sip:a@b>>",
        "sip:a@b?h=1",
        "sip:a@b,c",
        "sip:a;b@c",
        "sip:a@b c",
        "sip:a@b;",
        "sip:a@b;?",
        "<sip:a@b\r\n>",
        "<sip:a@b>;a=b\r\nX: y",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl text = exact(rows[i]);
        struct sip_nameaddr na;

        if (sip_nameaddr_parse(text, &na) != EBADMSG) {
            fail_msg("taken: %s", rows[i]);
        }
        free((char *)(uintptr_t)text.p);
    }
}

static const struct via_row {
    const char *text;
    enum sip_transport transport;
    const char *host;
    uint16_t port;
    const char *branch, *received, *maddr;
    int rport; /* -1: none, 0: without value */
} vias[] = {
    {"SIP/2.0/UDP h", SIP_UDP, "h", 0, "", "", "", -1},
    {"SIP/2.0/tcp h:5061;branch=z9hG4bKx", SIP_TCP, "h", 5061, "z9hG4bKx", "", "", -1},
    {"SIP  / 2.0  / WSS \t df7jal23ls0d.invalid : 443 ; branch = b ; rport", SIP_WSS,
     "df7jal23ls0d.invalid", 443, "b", "", "", 0},
    {"SIP/2.0/TLS 192.0.2.1;rport=5060;received=192.0.2.9;ttl=1;maddr=h2;branch=b%41", SIP_TLS,
     "192.0.2.1", 0, "b%41", "192.0.2.9", "h2", 5060},
    {"SIP/2.0/UDP [2001:db8::9]:6050;received=[2001:db8::1]", SIP_UDP, "2001:db8::9", 6050, "",
     "2001:db8::1", "", -1},
    {"SIP/2.0/UDP [2001:db8::9];received=2001:db8::9:255;rport=", SIP_UDP, "2001:db8::9", 0, "",
     "2001:db8::9:255", "", 0},
    {"SIP/7.0/DCCP-X h;hidden;x=\"a;b\"", SIP_TRANSPORT_OTHER, "h", 0, "", "", "", -1},
    {"SIP/2.0/UDP h;BRANCH=a;Received=1.2.3.4", SIP_UDP, "h", 0, "a", "1.2.3.4", "", -1},
};

static void via_values_come_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vias); i++) {
        const struct via_row *r = &vias[i];
        struct sl text = exact(r->text);
        struct sip_via v;

        memset(&v, 0xa5, sizeof(v));
        if (sip_via_parse(text, &v) != 0) {
            fail_msg("refused: %s", r->text);
        }
        assert_int_equal(v.transport, r->transport);
        assert_sl(r->text, v.host, r->host);
        assert_int_equal(v.host_is_v6, strchr(r->host, ':') != NULL);
        assert_int_equal(v.port, r->port);
        assert_sl(r->text, v.branch, r->branch);
        assert_sl(r->text, v.received, r->received);
        assert_sl(r->text, v.maddr, r->maddr);
        assert_int_equal(v.has_rport, r->rport >= 0);
        assert_int_equal(v.rport, r->rport > 0 ? r->rport : 0);
        free((char *)(uintptr_t)text.p);
    }
}

static void malformed_vias_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "SIP",
        "SIP/2.0",
        "SIP/2.0/",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0/UDPh",
        "SIP/2.0/UDP[::1]",
        "SIP/2.0 UDP h",
        "SIP//UDP h",
        "/2.0/UDP h",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP :5060",
        "SIP/2.0/UDP h i",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h;;branch=a",
        "SIP/2.0/UDP h;branch",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;branch=\"a\"",
        "SIP/2.0/UDP h;branch=a;branch=a",
        "SIP/2.0/UDP h;rport;rport",
        "SIP/2.0/UDP h;rport=x",
        "SIP/2.0/UDP h;rport=65536",
        "SIP/2.0/UDP h;rport=-1",
        "SIP/2.0/UDP h;received=1.2.3.4;received=5.6.7.8",
        "SIP/2.0/UDP h;maddr=a;maddr=b",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ::1",
        "SIP/2.0/UDP [h]",
        "SIP/2.0/UDP <h>",
        "SIP/2.0/UDP h,i",
        "SIP/2.0/UDP h;a=\"b",
        "SIP/2.0/UDP h\r\n",
        "SIP/2.0/UDP h;branch=a b",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl text = exact(rows[i]);
        struct sip_via v;

        if (sip_via_parse(text, &v) != EBADMSG) {
            fail_msg("taken: %s", rows[i]);
        }
        free((char *)(uintptr_t)text.p);
    }
}

static void a_branch_over_its_limit_is_too_big(void **state)
{
    char text[64 + SIP_BRANCH_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "SIP/2.0/UDP h;branch=");
    struct sip_via v;

    (void)state;
    memset(text + n, 'b', SIP_BRANCH_MAX + 1);
    assert_int_equal(sip_via_parse(sl_make(text, n + SIP_BRANCH_MAX), &v), 0);
    assert_int_equal(v.branch.n, SIP_BRANCH_MAX);
    assert_int_equal(sip_via_parse(sl_make(text, n + SIP_BRANCH_MAX + 1), &v), EMSGSIZE);
}

static const struct {
    const char *text;
    const char *want[4]; /* "!": EBADMSG here */
} lists[] = {
    {"", {NULL}},
    {" \t", {NULL}},
    {"a", {"a", NULL}},
    {" a , b,c ", {"a", "b", "c", NULL}},
    {"\"a,b\\\",\" <sip:x,y@z>, c", {"\"a,b\\\",\" <sip:x,y@z>", "c", NULL}},
    {"a (x, (y, \\), z)), b", {"a (x, (y, \\), z))", "b", NULL}},
    {"sip:(a)@b, sip:c@d", {"sip:(a)@b", "sip:c@d", NULL}},
    {"a, sip:(b@c, d", {"a", "!"}},
    {"a (b (c)", {"!"}},
    {"a;b=\"<\", c", {"a;b=\"<\"", "c", NULL}},
    {",", {"!"}},
    {"a,", {"!"}},
    {"a, ", {"!"}},
    {",a", {"!"}},
    {"a,,b", {"a", "!"}},
    {"a, \"b", {"a", "!"}},
    {"\"a\\", {"!"}},
    {"a, <b", {"a", "!"}},
};

static void lists_are_cut_at_commas_outside_quotes_brackets_and_comments(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct sl whole = exact(lists[i].text), in = whole, v = SL_NULL;
        int err = 0;

        for (size_t k = 0; err == 0; k++) {
            const char *want = lists[i].want[k];
            struct sl before = in;

            err = sip_value_next(&in, &v);
            if (want == NULL) {
                assert_int_equal(err, ENODATA);
            } else if (want[0] == '!') {
                assert_int_equal(err, EBADMSG);
                assert_true(in.p == before.p && in.n == before.n);
            } else {
                assert_int_equal(err, 0);
                assert_sl(lists[i].text, v, want);
            }
        }
        free((char *)(uintptr_t)whole.p);
    }
}

static void digest_credentials_come_apart(void **state)
{
    struct sip_auth a;

    (void)state;
    assert_int_equal(
        sip_auth_parse(
            SL("digest username=\"bo\\\"b\" ,realm = \"a, b=c\",nonce=\"n\",uri=\"sip:h;x=\\\\\","
               "response=\"r\",algorithm=SHA-256, cnonce=\"c\",opaque=\"\",qop=auth,nc=00000001,"
               "x-else=\"1\",STALE=TRUE"),
            &a),
        0);
    assert_sl("scheme", a.scheme, "digest");
    assert_sl("username", a.username, "bo\\\"b");
    assert_sl("realm", a.realm, "a, b=c");
    assert_sl("nonce", a.nonce, "n");
    assert_sl("uri", a.uri, "sip:h;x=\\\\");
    assert_sl("response", a.response, "r");
    assert_sl("algorithm", a.algorithm, "SHA-256");
    assert_sl("cnonce", a.cnonce, "c");
    assert_sl("opaque", a.opaque, "");
    assert_sl("qop", a.qop, "auth");
    assert_sl("nc", a.nc, "00000001");
    assert_true(a.stale);
    assert_int_equal(
        sip_auth_parse(SL("Digest realm=\"r\", qop=\"auth,auth-int\",, stale=false"), &a), 0);
    assert_sl("qop", a.qop, "auth,auth-int");
    assert_false(a.stale);
    assert_int_equal(a.username.n, 0);
    assert_int_equal(sip_auth_parse(SL("Digest"), &a), 0);
    assert_int_equal(a.realm.n, 0);
}

static void other_schemes_give_their_name_only(void **state)
{
    static const char *const rows[] = {"NoOneKnows opaque-data=here",
                                       "Basic QWxhZA==", "Bearer \"x"};
    struct sip_auth a;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sip_auth_parse(sl_str(rows[i]), &a), 0);
        assert_int_equal(a.scheme.n, strcspn(rows[i], " "));
        assert_int_equal(a.realm.n + a.username.n + a.nonce.n, 0);
    }
}

static void malformed_credentials_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        ",",
        "=",
        "\"Digest\"",
        "Digest,a=b",
        "Digest realm",
        "Digest realm=\"x",
        "Digest =x",
        "Digest realm=\"x\\\"",
        "Digest realm=\"x\"y",
        "Digest realm=x y",
        "Digest realm=x\"y\"",
        "Digest realm=\"a\",realm=\"b\"",
        "Digest nonce=a, Digest realm=b",
        "Digest a=b;c=d\x01",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sl text = exact(rows[i]);
        struct sip_auth a;

        if (sip_auth_parse(text, &a) != EBADMSG) {
            fail_msg("taken: %s", rows[i]);
        }
        free((char *)(uintptr_t)text.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_apart_into_display_uri_and_parameters),
        cmocka_unit_test(a_star_is_an_address_of_its_own),
        cmocka_unit_test(malformed_addresses_are_refused),
        cmocka_unit_test(via_values_come_apart),
        cmocka_unit_test(malformed_vias_are_refused),
        cmocka_unit_test(a_branch_over_its_limit_is_too_big),
        cmocka_unit_test(lists_are_cut_at_commas_outside_quotes_brackets_and_comments),
        cmocka_unit_test(digest_credentials_come_apart),
        cmocka_unit_test(other_schemes_give_their_name_only),
        cmocka_unit_test(malformed_credentials_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
