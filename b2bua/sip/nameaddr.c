/* nameaddr.c - one value of From, To, Contact, Route … (RFC 3261 20.10, 25.1). */
#include "sip/sip_int.h"

/* ";a=b;c" up to the end, or nothing. */
static int nameaddr_params(struct sl s, size_t at, struct sl *params)
{
    struct sip_prm prm;
    struct sl rest;
    int err;

    at = sip_skip_lws(s, at);
    if (at == s.n) {
        *params = SL_NULL;
        return 0;
    }
    if (s.p[at] != ';') {
        return EBADMSG;
    }
    rest = sip_trim(sip_from(s, at + 1));
    if (rest.n == 0) {
        return EBADMSG;
    }
    *params = rest;
    do {
        err = sip_prm_next(&rest, &prm);
    } while (err == 0);
    return err == ENODATA ? 0 : err;
}

/* s.p[at] is '<'. */
static int nameaddr_bracketed(struct sl s, size_t at, struct sip_nameaddr *na)
{
    ptrdiff_t close = sip_chr(sip_from(s, at), '>');
    int err;

    if (close < 0) {
        return EBADMSG;
    }
    na->bracketed = true;
    na->uri_text = sip_cut(s, at + 1, at + (size_t)close);
    err = sip_uri_parse(na->uri_text, &na->uri);
    return err != 0 ? err : nameaddr_params(s, at + (size_t)close + 1, &na->params);
}

/* RFC 3261 20: without <> everything from the first ';' on belongs to the header, and a URI with
 * ',' or '?' may not stand like that. */
static int nameaddr_plain(struct sl s, struct sip_nameaddr *na)
{
    ptrdiff_t semi = sip_chr(s, ';');
    size_t end = semi < 0 ? s.n : (size_t)semi;
    int err;

    na->uri_text = sip_trim(sip_head(s, end));
    if (sip_chr(na->uri_text, '?') >= 0 || sip_chr(na->uri_text, ',') >= 0) {
        return EBADMSG;
    }
    err = sip_uri_parse(na->uri_text, &na->uri);
    return err != 0 ? err : nameaddr_params(s, end, &na->params);
}

static int nameaddr_quoted(struct sl s, struct sip_nameaddr *na)
{
    size_t end = sip_quoted_end(s, 0);
    size_t at = sip_skip_lws(s, end);

    if (end == 0 || at == s.n || s.p[at] != '<') {
        return EBADMSG;
    }
    na->display = sip_head(s, end);
    return nameaddr_bracketed(s, at, na);
}

static int nameaddr_any(struct sl s, struct sip_nameaddr *na)
{
    size_t at = 0;

    if (s.p[0] == '"') {
        return nameaddr_quoted(s, na);
    }
    while (at < s.n && (sip_is(s.p[at], C_TOKEN) || sip_is_lws(s.p[at]))) {
        at++;
    }
    if (at < s.n && s.p[at] == '<') {
        na->display = sip_trim(sip_head(s, at));
        return nameaddr_bracketed(s, at, na);
    }
    return nameaddr_plain(s, na); /* also where a display name has bytes that need quotes */
}

int sip_nameaddr_parse(struct sl s, struct sip_nameaddr *out)
{
    out->display = SL_NULL; /* uri is cleared by its own parser */
    out->params = SL_NULL;
    out->is_star = false;
    out->bracketed = false;
    s = sip_trim(s);
    if (s.n == 0) {
        return EBADMSG;
    }
    if (s.n == 1 && s.p[0] == '*') {
        *out = (struct sip_nameaddr){.is_star = true};
        return 0;
    }
    return nameaddr_any(s, out);
}
