/* uri.c - SIP, SIPS and tel URIs (RFC 3261 19.1, 25.1; RFC 3966; RFC 5118). */
#include "sip/sip_int.h"

/* ";name=value" pieces of a URI: no white space, no quotes, escapes whole. '=' inside a value is
 * not in the grammar, but base64 values in the wild have it. */
static bool uri_params_ok(struct sl params)
{
    struct sl piece;

    if (params.n == 0 || params.p[params.n - 1] == ';') {
        return false;
    }
    while (sl_next(&params, ';', &piece) == 0) {
        ptrdiff_t eq = sip_chr(piece, '=');
        size_t name_n = eq < 0 ? piece.n : (size_t)eq;

        if (name_n == 0 || !sip_all_escaped(sip_head(piece, name_n), C_PARAM) ||
            !sip_all_escaped(sip_from(piece, name_n), C_PARAM | C_HEADER)) {
            return false;
        }
    }
    return true;
}

/* hname "=" hvalue *("&" …) */
static bool uri_headers_ok(struct sl headers)
{
    struct sl piece;

    if (headers.n == 0 || headers.p[headers.n - 1] == '&') {
        return false;
    }
    while (sl_next(&headers, '&', &piece) == 0) {
        if (sip_chr(piece, '=') < 1 || !sip_all_escaped(piece, C_HEADER)) {
            return false;
        }
    }
    return true;
}

/* user [":" password] */
static int uri_userinfo(struct sl s, struct sip_uri *u)
{
    ptrdiff_t colon = sip_chr(s, ':');

    u->user = colon < 0 ? s : sip_head(s, (size_t)colon);
    u->password = colon < 0 ? SL_NULL : sip_from(s, (size_t)colon + 1);
    if (u->user.n == 0 || !sip_all_escaped(u->user, C_USER) ||
        !sip_all_escaped(u->password, C_PASS)) {
        return EBADMSG;
    }
    return 0;
}

/* [":" port] [";" params] ["?" headers] */
static int uri_tail(struct sl s, struct sip_uri *u)
{
    size_t at = 0, end;
    ptrdiff_t q;

    if (at < s.n && s.p[at] == ':') {
        end = sip_run(s, 1, C_ALNUM);
        if (sip_port(sip_cut(s, 1, end), &u->port) != 0) {
            return EBADMSG;
        }
        at = end;
    }
    q = sip_chr(sip_from(s, at), '?');
    end = q < 0 ? s.n : at + (size_t)q;
    if (at < end) {
        u->params = sip_cut(s, at + 1, end);
        if (s.p[at] != ';' || !uri_params_ok(u->params)) {
            return EBADMSG;
        }
    }
    if (q >= 0) {
        u->headers = sip_from(s, end + 1);
        return uri_headers_ok(u->headers) ? 0 : EBADMSG;
    }
    return 0;
}

static int uri_sip(struct sl rest, struct sip_uri *u)
{
    ptrdiff_t at_sign = sip_chr(rest, '@'); /* ';' and '?' are legal in a user part: '@' decides */
    size_t at = 0;
    int err;

    if (at_sign >= 0) {
        err = uri_userinfo(sip_head(rest, (size_t)at_sign), u);
        if (err != 0) {
            return err;
        }
        at = (size_t)at_sign + 1;
    }
    err = sip_host_scan(rest, &at, &u->host, &u->host_is_v6);
    return err != 0 ? err : uri_tail(sip_from(rest, at), u);
}

static bool uri_has_digit(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (sip_is(s.p[i], C_HEX) || s.p[i] == '*' || s.p[i] == '#') {
            return true;
        }
    }
    return false;
}

static int uri_tel(struct sl rest, struct sip_uri *u)
{
    ptrdiff_t semi = sip_chr(rest, ';');

    u->user = semi < 0 ? rest : sip_head(rest, (size_t)semi);
    if (!uri_has_digit(u->user) || !sip_all_escaped(u->user, C_TEL)) {
        return EBADMSG;
    }
    if (semi >= 0) {
        u->params = sip_from(rest, (size_t)semi + 1);
        return uri_params_ok(u->params) ? 0 : EBADMSG;
    }
    return 0;
}

static enum sip_scheme uri_scheme(struct sl name)
{
    if (sl_ieq(name, SL("sip"))) {
        return SIP_SCHEME_SIP;
    }
    if (sl_ieq(name, SL("sips"))) {
        return SIP_SCHEME_SIPS;
    }
    return sl_ieq(name, SL("tel")) ? SIP_SCHEME_TEL : SIP_SCHEME_OTHER;
}

/* RFC 3986 3.1 */
static int uri_split_scheme(struct sl s, struct sip_uri *u, struct sl *rest)
{
    size_t n = 3;

    if (LIKELY(s.n > 4 && memcmp(s.p, "sip:", 4) == 0)) {
        u->scheme = SIP_SCHEME_SIP;
    } else {
        n = sip_run(s, 0, C_SCHEME);
        if (n == 0 || n + 1 >= s.n || s.p[n] != ':' || (s.p[0] | 0x20) < 'a' ||
            (s.p[0] | 0x20) > 'z') {
            return EBADMSG;
        }
        u->scheme = uri_scheme(sip_head(s, n));
    }
    u->text = s;
    u->scheme_name = sip_head(s, n);
    *rest = sip_from(s, n + 1);
    return 0;
}

/* Field by field: as one assignment it becomes a `rep stos`, a fifth of the parser's time. */
static void uri_clear(struct sip_uri *u)
{
    u->user = SL_NULL;
    u->password = SL_NULL;
    u->host = SL_NULL;
    u->host_is_v6 = false;
    u->port = 0;
    u->params = SL_NULL;
    u->headers = SL_NULL;
}

int sip_uri_parse(struct sl s, struct sip_uri *out)
{
    struct sl rest;
    int err;

    uri_clear(out);
    if (s.n > SIP_URI_MAX) {
        return EMSGSIZE;
    }
    err = uri_split_scheme(s, out, &rest);
    if (err != 0) {
        return err;
    }
    switch (out->scheme) {
    case SIP_SCHEME_SIP:
    case SIP_SCHEME_SIPS:
        return uri_sip(rest, out);
    case SIP_SCHEME_TEL:
        return uri_tel(rest, out);
    case SIP_SCHEME_OTHER:
        break;
    }
    return sip_all(rest, C_URI) ? 0 : EBADMSG;
}

int sip_unescape(struct sl s, char *dst, size_t cap, size_t *n)
{
    size_t len = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '%') {
            int hi = i + 2 < s.n ? sip_hex(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? sip_hex(s.p[i + 2]) : -1;

            if (hi < 0 || lo < 0) {
                return EBADMSG;
            }
            c = (unsigned char)(hi << 4 | lo);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            return EBADMSG;
        }
        if (len == cap) {
            return EMSGSIZE;
        }
        dst[len++] = (char)c;
    }
    *n = len;
    return 0;
}
