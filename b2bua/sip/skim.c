/* skim.c - a new request read only as far as a refusal for want of time needs it. */
#include "sip/sip_int.h"

/* The part of a name-addr behind its <URI>; false: there is no <URI>, or not where it should be. */
static bool skim_behind_uri(struct sl value, struct sl *uri, struct sl *params)
{
    size_t at = 0;
    ptrdiff_t open, close;

    if (value.n != 0 && value.p[0] == '"') {
        at = sip_quoted_end(value, 0);
        if (at == 0) {
            return false;
        }
    }
    open = sip_chr(sip_from(value, at), '<');
    if (open < 0) {
        return false;
    }
    at += (size_t)open + 1;
    close = sip_chr(sip_from(value, at), '>');
    if (close <= 0) {
        return false;
    }
    *uri = sip_cut(value, at, at + (size_t)close);
    *params = sip_trim(sip_from(value, at + (size_t)close + 1));
    return true;
}

static bool skim_to(struct sl value, struct sl *uri, struct sl *tag)
{
    struct sl params = SL_NULL;

    *tag = SL_NULL;
    if (!skim_behind_uri(value, uri, &params)) {
        return false;
    }
    if (params.n == 0) {
        return true;
    }
    return params.p[0] == ';' && params.n != 1 && sip_tag(sip_from(params, 1), tag) == 0;
}

/* An RFC 2543 branch says too little about the transaction. */
static bool skim_via(struct sip_msg *m)
{
    struct sl rest = sip_hdr_value(m, HDR_VIA), top;

    return sip_value_next(&rest, &top) == 0 && sip_via_parse(top, &m->via) == 0 &&
           m->via.branch.n > sizeof(SIP_COOKIE) - 1 && sl_starts(m->via.branch, SL(SIP_COOKIE));
}

static bool skim_all(struct sip_msg *m)
{
    const char *end = m->text.p + m->text.n;
    struct sip_bad bad = {0, NULL};
    struct sip_line line;
    size_t body;

    sip_line_scan(m->text.p, end, false, &line);
    m->is_request = true;
    m->method_name = sip_head(line.text, sip_run(line.text, 0, C_TOKEN));
    m->method = sip_method_of(m->method_name);
    sip_index(m, (size_t)(line.next - m->text.p), SIP_BRIEFLY, &body, &bad);
    m->call_id = sip_hdr_value(m, HDR_CALL_ID);
    return line.flags == 0 && bad.reason == NULL && m->method != SIP_METHOD_OTHER &&
           m->call_id.n != 0 && m->first[HDR_FROM] != 0 && m->first[HDR_CSEQ] != 0 && skim_via(m) &&
           skim_to(sip_hdr_value(m, HDR_TO), &m->to.uri_text, &m->to_tag);
}

int sip_msg_skim(struct sip_pool *pool, struct sl bytes, struct sip_msg **mp)
{
    struct sip_msg *m;

    *mp = NULL;
    if (bytes.n > SIP_MSG_MAX) {
        return EBADMSG;
    }
    m = sip_msg_new(pool, bytes);
    if (m == NULL) {
        return ENOMEM;
    }
    if (!skim_all(m)) {
        sip_msg_unref(&m);
        return EBADMSG;
    }
    *mp = m;
    return 0;
}

int sip_skim_to_tag(struct sl bytes, struct sl *tag)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;
    struct sip_hdr to = {.id = HDR_OTHER};
    bool is_ended = false;
    struct sip_line line;
    struct sl uri;

    while (p < end && !is_ended && to.id != HDR_TO) {
        sip_line_scan(p, end, true, &line);
        is_ended = line.text.n == 0;
        if (!is_ended && (line.text.p[0] | 0x20) == 't' &&
            (line.flags != 0 || sip_line_split(line.text, &to) != 0)) {
            return EBADMSG;
        }
        p = line.next;
    }
    return to.id == HDR_TO && skim_to(to.value, &uri, tag) ? 0 : EBADMSG;
}
