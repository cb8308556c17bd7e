/* fuzz_uri.c - any bytes as a URI, an address, a Via, a list, credentials, a display name. */
#include "sip/sip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_require(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static bool fuzz_within(struct sl whole, struct sl part)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* A user that we write again stays one user. */
static void fuzz_user(struct sl user)
{
    struct sip_uri u;
    struct buf b;

    if (user.n > SIP_URI_MAX) {
        return;
    }
    buf_init(&b, 4 * SIP_URI_MAX);
    BUF_LIT(&b, "sip:");
    sip_put_user(&b, user);
    BUF_LIT(&b, "@host.invalid");
    fuzz_require(buf_err(&b) == 0);
    if (user.n != 0 && b.n <= SIP_URI_MAX) {
        fuzz_require(sip_uri_parse(buf_sl(&b), &u) == 0);
        fuzz_require(sl_eq(u.host, SL("host.invalid")) && u.params.n == 0 && u.headers.n == 0);
        fuzz_require(u.password.n == 0 && sl_chr(u.user, ';') < 0 && sl_chr(u.user, '?') < 0);
    }
    buf_free(&b);
}

static void fuzz_uri(struct sl in)
{
    struct sip_uri u;
    char plain[64];
    struct sl v;
    size_t len;

    if (sip_uri_parse(in, &u) != 0) {
        return;
    }
    fuzz_require(fuzz_within(in, u.user) && fuzz_within(in, u.password) && fuzz_within(in, u.host));
    fuzz_require(fuzz_within(in, u.params) && fuzz_within(in, u.headers));
    fuzz_require(u.scheme > SIP_SCHEME_SIPS || u.host.n != 0);
    fuzz_require(sip_uri_equal(&u, &u));
    (void)sip_uri_param(&u, SL("lr"), &v);
    (void)sip_param(u.params, SL("lr"), &v);
    (void)sip_uri_transport(&u, SIP_UDP);
    if (sip_unescape(u.user, plain, sizeof(plain), &len) == 0) {
        fuzz_require(len <= sizeof(plain) && len <= u.user.n);
    }
    fuzz_user(u.user);
}

/* A display name that we write again is one quoted string. */
static void fuzz_display(struct sl in)
{
    struct sip_nameaddr na;
    struct buf b;

    buf_init(&b, 4096);
    sip_put_display(&b, in);
    BUF_LIT(&b, "<sip:a@b>");
    fuzz_require(buf_err(&b) == 0);
    fuzz_require(sip_nameaddr_parse(buf_sl(&b), &na) == 0);
    fuzz_require(sl_eq(na.uri_text, SL("sip:a@b")) && na.params.n == 0);
    fuzz_require(sl_is_utf8(na.display));
    buf_free(&b);
}

static void fuzz_list(struct sl in)
{
    struct sl whole = in, v;

    while (sip_value_next(&in, &v) == 0) {
        fuzz_require(v.n != 0 && fuzz_within(whole, v) && fuzz_within(whole, in));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sl in = sl_make(data, n), v;
    struct sip_nameaddr na;
    struct sip_via via;
    struct sip_auth auth;

    fuzz_uri(in);
    fuzz_user(in);
    fuzz_display(in);
    fuzz_list(in);
    if (sip_nameaddr_parse(in, &na) == 0) {
        fuzz_require(fuzz_within(in, na.display) && fuzz_within(in, na.uri_text));
        fuzz_require(fuzz_within(in, na.params));
        (void)sip_param(na.params, SL("tag"), &v);
        fuzz_display(na.display);
    }
    if (sip_via_parse(in, &via) == 0) {
        fuzz_require(via.host.n != 0 && via.branch.n <= SIP_BRANCH_MAX);
        fuzz_require(fuzz_within(in, via.params) && fuzz_within(in, via.received));
    }
    if (sip_auth_parse(in, &auth) == 0) {
        fuzz_require(auth.scheme.n != 0 && fuzz_within(in, auth.response));
    }
    return 0;
}
