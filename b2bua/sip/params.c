/* params.c - lists: ";name=value" parameters and comma-separated values (RFC 3261 7.3.1, 25.1). */
#include "sip/sip_int.h"

static int prm_quoted(struct sl in, size_t *at, struct sip_prm *prm)
{
    size_t end = sip_quoted_end(in, *at);

    if (end == 0) {
        return EBADMSG;
    }
    prm->raw = sip_cut(in, *at, end);
    prm->value = sip_cut(in, *at + 1, end - 1);
    prm->is_quoted = true;
    *at = end;
    return 0;
}

/* What follows the '='; nothing at all is tolerated, those who need a value look at its length. */
static int prm_value(struct sl in, size_t *at, struct sip_prm *prm)
{
    size_t from = sip_skip_lws(in, *at + 1);

    prm->has_value = true;
    *at = from;
    if (from < in.n && in.p[from] == '"') {
        return prm_quoted(in, at, prm);
    }
    *at = sip_run(in, from, C_VALUE);
    prm->raw = sip_cut(in, from, *at);
    prm->value = prm->raw;
    return 0;
}

int sip_prm_next(struct sl *in, struct sip_prm *out)
{
    size_t from = sip_skip_lws(*in, 0);
    size_t at = sip_run(*in, from, C_NAME);

    if (in->n == 0) {
        return ENODATA;
    }
    if (at == from) {
        return EBADMSG;
    }
    out->name = sip_cut(*in, from, at);
    out->raw = SL_NULL;
    out->value = SL_NULL;
    out->has_value = false;
    out->is_quoted = false;
    at = sip_skip_lws(*in, at);
    if (at < in->n && in->p[at] == '=') {
        if (prm_value(*in, &at, out) != 0) {
            return EBADMSG;
        }
        at = sip_skip_lws(*in, at);
    }
    if (at == in->n) {
        *in = sip_from(*in, at);
        return 0;
    }
    if (in->p[at] != ';' || sip_skip_lws(*in, at + 1) == in->n) {
        return EBADMSG;
    }
    *in = sip_from(*in, at + 1);
    return 0;
}

bool sip_param(struct sl params, struct sl name, struct sl *value)
{
    struct sip_prm prm;

    while (sip_prm_next(&params, &prm) == 0) {
        if (sl_ieq(prm.name, name)) {
            *value = prm.value;
            return true;
        }
    }
    return false;
}

/* Offset behind a (comment), which may nest; 0 when it is never closed. */
static size_t value_comment(struct sl s, size_t at)
{
    size_t depth = 0;

    while (at < s.n) {
        switch (s.p[at++]) {
        case '(':
            depth++;
            break;
        case ')':
            if (--depth == 0) {
                return at;
            }
            break;
        case '\\':
            at++;
            break;
        default:
            break;
        }
    }
    return 0;
}

/* Where the construct that begins at s.p[at] ends; 0: never. An open '(' could be part of a user in
 * a URI without <>, but to look for its end once per value would take quadratic time. */
static size_t value_skip(struct sl s, size_t at)
{
    ptrdiff_t close;

    switch (s.p[at]) {
    case '"':
        return sip_quoted_end(s, at);
    case '<':
        close = sip_chr(sip_from(s, at), '>');
        return close < 0 ? 0 : at + (size_t)close + 1;
    case '(':
        return value_comment(s, at);
    default:
        return at + 1;
    }
}

int sip_value_next(struct sl *in, struct sl *value)
{
    size_t at = 0;
    struct sl rest, v;

    if (sip_skip_lws(*in, 0) == in->n) {
        return ENODATA;
    }
    for (;;) {
        while (at < in->n && !sip_is(in->p[at], C_LIST)) {
            at++;
        }
        if (at >= in->n || in->p[at] == ',') {
            break;
        }
        at = value_skip(*in, at);
        if (at == 0) {
            return EBADMSG;
        }
    }
    v = sip_trim(sip_head(*in, at));
    rest = sip_from(*in, at < in->n ? at + 1 : at);
    if (v.n == 0 || (at < in->n && sip_skip_lws(rest, 0) == rest.n)) {
        return EBADMSG;
    }
    *value = v;
    *in = rest;
    return 0;
}
