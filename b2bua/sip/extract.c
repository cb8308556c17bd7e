/* extract.c - the fields that every message needs, checked as RFC 3261 8.1.1, 16.3 and 20 ask. */
#include "sip/sip_int.h"

/* RFC 3261 19.3: one tag, not quoted. */
int sip_tag(struct sl params, struct sl *tag)
{
    struct sip_prm prm;
    struct sl found = SL_NULL;
    int err;

    while ((err = sip_prm_next(&params, &prm)) == 0) {
        if (!sl_ieq(prm.name, SL("tag"))) {
            continue;
        }
        if (found.n != 0 || prm.raw.n == 0 || prm.is_quoted || prm.raw.n > SIP_BRANCH_MAX) {
            return EBADMSG;
        }
        found = prm.raw;
    }
    *tag = found;
    return err == ENODATA ? 0 : EBADMSG;
}

static void extract_from_to(struct sip_msg *m, struct sip_bad *bad)
{
    struct sl from = sip_hdr_value(m, HDR_FROM), to = sip_hdr_value(m, HDR_TO);

    if (sip_nameaddr_parse(from, &m->from) != 0 || m->from.is_star ||
        sip_tag(m->from.params, &m->from_tag) != 0) {
        m->from = (struct sip_nameaddr){.is_star = false};
        sip_refuse(bad, 400, from.n != 0 ? "Malformed From" : "Missing From");
    }
    if (sip_nameaddr_parse(to, &m->to) != 0 || m->to.is_star ||
        sip_tag(m->to.params, &m->to_tag) != 0) {
        m->to = (struct sip_nameaddr){.is_star = false};
        sip_refuse(bad, 400, to.n != 0 ? "Malformed To" : "Missing To");
    }
}

/* Any visible ASCII: more than the grammar's word, as '=' and ',' are seen in the wild. */
static void extract_call_id(struct sip_msg *m, struct sip_bad *bad)
{
    struct sl v = sip_hdr_value(m, HDR_CALL_ID);

    if (v.n == 0 || v.n > SIP_BRANCH_MAX || !sip_all(v, C_PRINT)) {
        sip_refuse(bad, 400, v.n != 0 ? "Malformed Call-ID" : "Missing Call-ID");
        return;
    }
    m->call_id = v;
}

/* The method of an unknown request is beside the point: 501 for it (RFC 4475 3.1.2.18). */
static void extract_cseq_method(struct sip_msg *m, struct sl name, struct sip_bad *bad)
{
    if (LIKELY(m->is_request && sl_eq(name, m->method_name))) {
        m->cseq_method = m->method;
        return;
    }
    m->cseq_method = sip_method_of(name);
    if (!m->is_request) {
        m->method = m->cseq_method;
    } else if (m->method == SIP_METHOD_OTHER) {
        sip_refuse(bad, 501, "Not Implemented");
    } else {
        sip_refuse(bad, 400, "CSeq Method Mismatch");
    }
}

/* RFC 3261 8.1.1.5: below 2**31. */
static void extract_cseq(struct sip_msg *m, struct sip_bad *bad)
{
    struct sl v = sip_hdr_value(m, HDR_CSEQ);
    size_t digits = sip_run(v, 0, C_ALNUM), at = sip_skip_lws(v, digits);
    struct sl name = sip_from(v, at);

    if (at == digits || sl_u32(sip_head(v, digits), INT32_MAX, &m->cseq) != 0 || name.n == 0 ||
        !sip_all(name, C_TOKEN)) {
        m->cseq_method = SIP_METHOD_OTHER;
        sip_refuse(bad, 400, v.n != 0 ? "Malformed CSeq" : "Missing CSeq");
        return;
    }
    extract_cseq_method(m, name, bad);
}

static void extract_top_via(struct sip_msg *m, struct sl value, struct sip_bad *bad)
{
    if (sip_via_parse(value, &m->via) != 0) {
        m->via = (struct sip_via){.has_rport = false};
        sip_refuse(bad, 400, "Malformed Via");
    } else if (sl_eq(m->via.branch, SL(SIP_COOKIE))) { /* RFC 4475 3.2.1: identifies nothing */
        sip_refuse(bad, 400, "Empty Via Branch");
    }
}

static void extract_via(struct sip_msg *m, struct sip_bad *bad)
{
    struct sip_values it = {0};
    struct sl value;
    unsigned n = 0;
    int err;

    while ((err = sip_values_next(m, HDR_VIA, &it, &value)) == 0 && n <= SIP_VIAS_MAX) {
        if (n++ == 0) {
            extract_top_via(m, value, bad);
        }
    }
    if (n == 0 && err == ENODATA) {
        sip_refuse(bad, 400, "Missing Via");
    } else if (n > SIP_VIAS_MAX) {
        sip_refuse(bad, 400, "Too Many Via Values");
    } else if (err != ENODATA) {
        sip_refuse(bad, 400, "Malformed Via");
    }
}

static void extract_max_forwards(struct sip_msg *m)
{
    m->max_forwards = 70;
    m->has_max_forwards = sl_u32(sip_hdr_value(m, HDR_MAX_FORWARDS), 255, &m->max_forwards) == 0;
}

/* RFC 3261 18.3: what is behind Content-Length is not part of the message; without it a datagram's
 * body goes to its end. */
static void extract_body(struct sip_msg *m, size_t at, struct sip_bad *bad)
{
    const struct sip_hdr *h = sip_hdr(m, HDR_CONTENT_LENGTH);
    struct sl rest = sip_from(m->text, at);
    uint32_t n = 0;

    if (h == NULL) {
        m->body = rest;
        return;
    }
    if (sl_u32(h->value, SIP_MSG_MAX, &n) != 0) {
        sip_refuse(bad, 400, "Bad Content-Length");
    } else if (n > rest.n) {
        sip_refuse(bad, 400, "Content-Length Beyond Message");
    } else {
        m->body = sip_head(rest, n);
    }
}

/* Address lists of a request: a broken value must not surprise the dialog layer later on. */
static void extract_check_list(const struct sip_msg *m, enum hdr_id id, const char *reason,
                               struct sip_bad *bad)
{
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl value;
    unsigned n = 0;
    int err = 0;

    while (err == 0 && n++ <= SIP_VALUES_MAX) {
        err = sip_values_next(m, id, &it, &value);
        if (err == 0) {
            err = sip_nameaddr_parse(value, &na);
        }
        if (err == 0 && na.is_star && id != HDR_CONTACT) {
            err = EBADMSG;
        }
    }
    if (err != ENODATA) {
        sip_refuse(bad, 400, reason);
    }
}

static void extract_check_lists(const struct sip_msg *m, struct sip_bad *bad)
{
    static const struct {
        enum hdr_id id;
        const char *reason;
    } lists[] = {{HDR_CONTACT, "Malformed Contact"},
                 {HDR_ROUTE, "Malformed Route"},
                 {HDR_RECORD_ROUTE, "Malformed Record-Route"}};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (m->first[lists[i].id] != 0) {
            extract_check_list(m, lists[i].id, lists[i].reason, bad);
        }
    }
}

void sip_extract(struct sip_msg *m, size_t body, struct sip_bad *bad)
{
    extract_via(m, bad);
    extract_from_to(m, bad);
    extract_call_id(m, bad);
    extract_cseq(m, bad);
    extract_max_forwards(m);
    extract_body(m, body, bad);
    if (m->is_request) {
        extract_check_lists(m, bad);
    }
}
