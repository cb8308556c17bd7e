/* response.c - what a response copies from its request (RFC 3261 8.2.6), half-readable ones too. */
#include "sip/sip_int.h"

/* RFC 3261 18.2.1: received when sent-by is not literally the source; RFC 3581 4: always with
 * rport. */
static void put_source(struct buf *b, const struct sip_via *via, const struct addr *src)
{
    struct addr sent_by;

    if (via->has_rport || addr_parse(via->host, 0, &sent_by) != 0 || !addr_eq_ip(&sent_by, src)) {
        BUF_LIT(b, ";received=");
        addr_put_ip(b, src);
    }
    if (via->has_rport) {
        BUF_LIT(b, ";rport=");
        buf_putu(b, addr_port(src));
    }
}

/* The topmost value without what the client may have put into received and rport itself. */
static void put_top_via(struct buf *b, const struct sip_via *via, const struct addr *src)
{
    struct sl params = via->params, value = via->text;
    size_t head = params.n != 0 ? (size_t)(params.p - value.p) - 1 : value.n;
    struct sip_prm prm;

    sip_put_clean(b, sip_trim(sip_head(value, head)));
    while (sip_prm_next(&params, &prm) == 0) {
        if (sl_ieq(prm.name, SL("received")) || sl_ieq(prm.name, SL("rport"))) {
            continue;
        }
        buf_putc(b, ';');
        sip_put_clean(b, prm.name);
        if (prm.has_value) {
            buf_putc(b, '=');
            sip_put_clean(b, prm.raw);
        }
    }
    put_source(b, via, src);
}

static void put_first_via(struct buf *b, struct sl field, const struct sip_via *via,
                          const struct addr *src)
{
    struct sl rest;

    if (src == NULL || via->text.n == 0) {
        sip_put_clean(b, field); /* nothing known about it: as it came */
        return;
    }
    put_top_via(b, via, src);
    rest = sip_trim(sip_from(field, (size_t)(via->text.p + via->text.n - field.p)));
    if (rest.n != 0) { /* its ',' and what follows */
        BUF_LIT(b, ", ");
        sip_put_clean(b, sip_trim(sip_from(rest, 1)));
    }
}

void sip_put_vias(struct buf *b, const struct sip_msg *req, const struct addr *src)
{
    const struct sip_hdr *h;
    uint16_t pos = 0;
    bool is_first = true;

    while ((h = sip_hdr_next(req, HDR_VIA, &pos)) != NULL) {
        BUF_LIT(b, "Via: ");
        if (is_first) {
            put_first_via(b, h->value, &req->via, src);
        } else {
            sip_put_clean(b, h->value);
        }
        BUF_LIT(b, "\r\n");
        is_first = false;
    }
}

static void put_copy(struct buf *b, const struct sip_msg *req, enum hdr_id id)
{
    const struct sip_hdr *h = sip_hdr(req, id);

    if (h != NULL) {
        sip_put_hdr(b, hdr_name(id), h->value);
    }
}

static void put_to(struct buf *b, const struct sip_response *r)
{
    const struct sip_hdr *h = sip_hdr(r->req, HDR_TO);

    if (h == NULL) {
        return;
    }
    BUF_LIT(b, "To: ");
    sip_put_clean(b, h->value);
    /* A To that could not be read takes no tag: where it would land is anybody's guess. */
    if (r->status != 100 && r->to_tag.n != 0 && r->req->to_tag.n == 0 &&
        r->req->to.uri_text.n != 0) {
        BUF_LIT(b, ";tag=");
        sip_put_clean(b, r->to_tag);
    }
    BUF_LIT(b, "\r\n");
}

void sip_put_response(struct buf *b, const struct sip_response *r)
{
    const struct sip_hdr *h;
    uint16_t pos = 0;

    BUF_LIT(b, "SIP/2.0 ");
    buf_putu(b, r->status);
    buf_putc(b, ' ');
    sip_put_clean(b, sl_str(r->reason != NULL ? r->reason : sip_reason(r->status)));
    BUF_LIT(b, "\r\n");
    sip_put_vias(b, r->req, r->src);
    while (r->rr && (h = sip_hdr_next(r->req, HDR_RECORD_ROUTE, &pos)) != NULL) {
        sip_put_hdr(b, "Record-Route", h->value);
    }
    put_copy(b, r->req, HDR_FROM);
    put_to(b, r);
    put_copy(b, r->req, HDR_CALL_ID);
    put_copy(b, r->req, HDR_CSEQ);
    if (r->status == 100) { /* RFC 3261 8.2.6.1 */
        put_copy(b, r->req, HDR_TIMESTAMP);
    }
}
