/* via.c - one Via value (RFC 3261 20.42, 18.2; RFC 3581; RFC 5118 4.5). */
#include "sip/sip_int.h"

/* LWS token LWS */
static int via_token(struct sl s, size_t *at, struct sl *tok)
{
    size_t from = sip_skip_lws(s, *at);
    size_t end = sip_run(s, from, C_TOKEN);

    if (end == from) {
        return EBADMSG;
    }
    *tok = sip_cut(s, from, end);
    *at = sip_skip_lws(s, end);
    return 0;
}

static int via_slash(struct sl s, size_t *at)
{
    if (*at == s.n || s.p[*at] != '/') {
        return EBADMSG;
    }
    (*at)++;
    return 0;
}

/* "SIP / 2.0 / UDP " - other names and versions are legal below the topmost value. */
static int via_protocol(struct sl s, size_t *at, struct sip_via *via)
{
    struct sl name, version;
    size_t before;

    if (sl_starts(s, SL("SIP/2.0/"))) {
        *at = 8;
    } else if (via_token(s, at, &name) != 0 || via_slash(s, at) != 0 ||
               via_token(s, at, &version) != 0 || via_slash(s, at) != 0) {
        return EBADMSG;
    }
    if (via_token(s, at, &via->transport_name) != 0) {
        return EBADMSG;
    }
    before = (size_t)(via->transport_name.p - s.p) + via->transport_name.n;
    via->transport = sip_transport_of(via->transport_name);
    return *at > before ? 0 : EBADMSG;
}

/* host [ LWS ":" LWS port ] */
static int via_sent_by(struct sl s, size_t *at, struct sip_via *via)
{
    size_t from, end;

    if (sip_host_scan(s, at, &via->host, &via->host_is_v6) != 0) {
        return EBADMSG;
    }
    *at = sip_skip_lws(s, *at);
    if (*at == s.n || s.p[*at] != ':') {
        return 0;
    }
    from = sip_skip_lws(s, *at + 1);
    end = sip_run(s, from, C_ALNUM);
    *at = sip_skip_lws(s, end);
    return sip_port(sip_cut(s, from, end), &via->port);
}

static struct sl via_unbracket(struct sl s)
{
    bool is_bracketed = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';

    return is_bracketed ? sip_cut(s, 1, s.n - 1) : s;
}

/* The parameters that steer responses may stand once, and branch is a token. */
static int via_known(const struct sip_prm *prm, struct sip_via *via)
{
    uint32_t port = 0;

    if (sl_ieq(prm->name, SL("branch"))) {
        bool is_ok = via->branch.n == 0 && prm->raw.n != 0 && !prm->is_quoted;

        via->branch = prm->value;
        return is_ok ? 0 : EBADMSG;
    }
    if (sl_ieq(prm->name, SL("rport"))) {
        bool is_ok =
            !via->has_rport && (prm->value.n == 0 || sl_u32(prm->value, UINT16_MAX, &port) == 0);

        via->has_rport = true;
        via->rport = (uint16_t)port;
        return is_ok ? 0 : EBADMSG;
    }
    if (sl_ieq(prm->name, SL("received"))) {
        bool is_ok = via->received.n == 0;

        via->received = via_unbracket(prm->value);
        return is_ok ? 0 : EBADMSG;
    }
    if (sl_ieq(prm->name, SL("maddr"))) {
        bool is_ok = via->maddr.n == 0;

        via->maddr = via_unbracket(prm->value);
        return is_ok ? 0 : EBADMSG;
    }
    return 0;
}

static int via_params(struct sl s, size_t at, struct sip_via *via)
{
    struct sip_prm prm;
    struct sl rest;
    int err;

    if (at == s.n) {
        return 0;
    }
    rest = sip_from(s, at + 1);
    if (s.p[at] != ';' || rest.n == 0) {
        return EBADMSG;
    }
    via->params = rest;
    for (;;) {
        err = sip_prm_next(&rest, &prm);
        if (err != 0) {
            return err == ENODATA ? 0 : err;
        }
        if (via_known(&prm, via) != 0) {
            return EBADMSG;
        }
    }
}

int sip_via_parse(struct sl value, struct sip_via *out)
{
    size_t at = 0;

    value = sip_trim(value);
    *out = (struct sip_via){.text = value};
    if (via_protocol(value, &at, out) != 0 || via_sent_by(value, &at, out) != 0 ||
        via_params(value, at, out) != 0) {
        return EBADMSG;
    }
    return out->branch.n <= SIP_BRANCH_MAX ? 0 : EMSGSIZE;
}
