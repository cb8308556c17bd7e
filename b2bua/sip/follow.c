/* follow.c - ACK for a failure and CANCEL, written from the INVITE as it was sent (RFC 3261 9.1,
 * 17.1.1.3): they must match it byte for byte where it counts. */
#include "sip/sip_int.h"

struct invite {
    struct sl ruri, via, from, to, call_id;
    uint32_t cseq;
    struct sl lines; /* header lines, for the Route fields */
};

static struct sl *invite_slot(struct invite *inv, enum hdr_id id, struct sl *cseq)
{
    switch (id) {
    case HDR_VIA:
        return &inv->via;
    case HDR_FROM:
        return &inv->from;
    case HDR_TO:
        return &inv->to;
    case HDR_CALL_ID:
        return &inv->call_id;
    case HDR_CSEQ:
        return cseq;
    default:
        return NULL;
    }
}

/* Next header line of in; ENODATA: the empty line or the end. */
static int invite_line(struct sl *in, struct sip_hdr *h)
{
    struct sip_line line;

    if (in->n == 0) {
        return ENODATA;
    }
    sip_line_scan(in->p, in->p + in->n, true, &line);
    if (line.text.n == 0) {
        return ENODATA;
    }
    *in = sip_from(*in, (size_t)(line.next - in->p));
    return sip_line_split(line.text, h);
}

/* "INVITE uri SIP/2.0" */
static int invite_start(struct sl bytes, struct invite *inv)
{
    struct sip_line line;
    ptrdiff_t space;

    if (!sl_starts(bytes, SL("INVITE "))) {
        return EBADMSG;
    }
    sip_line_scan(bytes.p, bytes.p + bytes.n, false, &line);
    space = sl_rchr(line.text, ' ');
    if (space < 8 || !sl_eq(sip_from(line.text, (size_t)space + 1), SL("SIP/2.0"))) {
        return EBADMSG;
    }
    inv->ruri = sip_cut(line.text, 7, (size_t)space);
    inv->lines = sip_from(bytes, (size_t)(line.next - bytes.p));
    return 0;
}

static int invite_read(struct sl bytes, struct invite *inv)
{
    struct sl rest, cseq = SL_NULL;
    struct sip_hdr h;
    int err = invite_start(bytes, inv);

    for (rest = inv->lines; err == 0;) {
        struct sl *slot;

        err = invite_line(&rest, &h);
        slot = err == 0 ? invite_slot(inv, h.id, &cseq) : NULL;
        if (slot != NULL && slot->n == 0) {
            *slot = h.value;
        }
    }
    if (err != ENODATA || inv->via.n == 0 || inv->from.n == 0 || inv->to.n == 0 ||
        inv->call_id.n == 0) {
        return EBADMSG;
    }
    cseq = sip_head(cseq, sip_run(cseq, 0, C_ALNUM));
    return sl_u32(cseq, INT32_MAX, &inv->cseq) == 0 ? 0 : EBADMSG;
}

static void invite_put_routes(struct buf *b, const struct invite *inv)
{
    struct sl rest = inv->lines;
    struct sip_hdr h;

    while (invite_line(&rest, &h) == 0) {
        if (h.id == HDR_ROUTE) {
            sip_put_hdr(b, "Route", h.value);
        }
    }
}

static int write_follow(struct buf *b, const char *method, struct sl invite, struct sl to,
                        struct sl extra)
{
    struct invite inv = {.cseq = 0};
    struct sl top;

    if (invite_read(invite, &inv) != 0 || sip_value_next(&inv.via, &top) != 0) {
        return EBADMSG;
    }
    buf_puts(b, method);
    buf_putc(b, ' ');
    sip_put_clean(b, inv.ruri);
    BUF_LIT(b, " SIP/2.0\r\n");
    sip_put_hdr(b, "Via", top);
    BUF_LIT(b, "Max-Forwards: 70\r\n");
    invite_put_routes(b, &inv);
    sip_put_hdr(b, "From", inv.from);
    sip_put_hdr(b, "To", to.n != 0 ? to : inv.to);
    sip_put_hdr(b, "Call-ID", inv.call_id);
    BUF_LIT(b, "CSeq: ");
    buf_putu(b, inv.cseq);
    buf_putc(b, ' ');
    buf_puts(b, method);
    BUF_LIT(b, "\r\n");
    buf_putsl(b, extra);
    sip_put_body(b, SL_NULL, SL_NULL);
    return buf_err(b);
}

int sip_write_ack_failure(struct buf *b, struct sl invite, struct sl to)
{
    return write_follow(b, "ACK", invite, to, SL_NULL);
}

int sip_write_cancel(struct buf *b, struct sl invite, struct sl extra)
{
    return write_follow(b, "CANCEL", invite, SL_NULL, extra);
}
