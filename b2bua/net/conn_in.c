/* conn_in.c - cutting SIP messages from a stream (RFC 3261 18.3), keepalives (RFC 5626 4.4.1)
 * and the first look that sends other protocols away. */
#include "net/net_int.h"

/* RFC 3261 25.1 token: what a method or "SIP/2.0" can begin with. */
static bool stream_is_token_char(char ch)
{
    static const char marks[] = "-.!%*_+`'~";

    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           (ch != '\0' && memchr(marks, ch, sizeof(marks)) != NULL);
}

/* A start line begins or ends with SIP-Version. Which version is the parser's business. */
static bool stream_is_sip_line(struct sl line)
{
    ptrdiff_t sp;

    line = sl_trim(line);
    sp = sl_rchr(line, ' ');
    return sl_istarts(line, SL("SIP/")) ||
           (sp >= 0 && sl_istarts(sl_from(line, (size_t)sp + 1), SL("SIP/")));
}

/* EPROTO: another protocol. It is never searched for SIP further on: a web browser can be made to
 * send a request whose body is a SIP message. */
static int stream_check_line(struct sl in)
{
    ptrdiff_t end = sl_chr(sl_head(in, SIP_HDR_LINE_MAX), '\n');

    if (!stream_is_token_char(*in.p)) {
        return EPROTO;
    }
    if (end < 0) {
        return in.n < SIP_HDR_LINE_MAX ? ENODATA : EPROTO;
    }
    return stream_is_sip_line(sl_head(in, (size_t)end)) ? 0 : EPROTO;
}

/* True when an empty line is in the message. *scanned remembers what need not be looked at again,
 * so that a message that arrives byte by byte is scanned once, not once a byte. */
static bool stream_has_head(struct sl in, size_t *scanned)
{
    while (*scanned < in.n) {
        struct sl rest = sl_from(in, *scanned);
        ptrdiff_t nl = sl_chr(rest, '\n');

        if (nl < 0) {
            *scanned = in.n;
            return false;
        }
        rest = sl_from(rest, (size_t)nl + 1);
        if (sl_starts(rest, SL("\n")) || sl_starts(rest, SL("\r\n"))) {
            return true;
        }
        *scanned += (size_t)nl;
        if (rest.n < 2) {
            return false; /* the bytes behind this LF decide */
        }
        *scanned += 1;
    }
    return false;
}

/* Length of the message at the start of in. ENODATA, EPROTO (not SIP), EBADMSG, EMSGSIZE. */
static int conn_cut(struct conn *c, struct sl in, size_t *len)
{
    size_t max = c->net->lim.max_message;
    int err;

    if (c->whole != 0) {
        *len = c->whole;
        return in.n >= *len ? 0 : ENODATA;
    }
    if (!c->line_ok) {
        err = stream_check_line(in);
        if (err != 0) {
            return err;
        }
        c->line_ok = true;
    }
    c->head_ok = c->head_ok || stream_has_head(in, &c->scanned);
    err = c->head_ok ? sip_frame(in, max, len) : ENODATA;
    c->whole = err == ENODATA ? *len : 0;
    return err == ENODATA && in.n >= max ? EMSGSIZE : err;
}

/* CRLFs between messages. Two are a ping and get one back (RFC 5626 3.5.1). */
static void conn_skip_crlf(struct conn *c, struct sl *in)
{
    unsigned crlfs = 0;

    while (in->n != 0 && !c->line_ok) {
        size_t n = sl_starts(*in, SL("\r\n")) ? 2 : (*in->p == '\n' ? 1 : 0);

        if (n == 0) {
            break;
        }
        *in = sl_from(*in, n);
        crlfs++;
    }
    if (crlfs == 0) {
        return;
    }
    conn_ping_crlf(c, &crlfs);
    crlfs += c->crlfs;
    c->crlfs = (uint8_t)(crlfs % 2);
    stat_add(STAT_SIP_KEEPALIVE, crlfs / 2);
    if (crlfs >= 2 && conn_put(c, SL("\r\n")) == ENOMEM) { /* one answers all pings of a read */
        conn_kill(c, ENOMEM);
    }
}

static void conn_refuse(struct conn *c, struct sl in, int err)
{
    if (err == EPROTO) {
        stat_inc(STAT_SIP_DROP_NOT_SIP);
        conn_kill(c, EBADMSG);
        return;
    }
    stat_inc(err == EMSGSIZE ? STAT_SIP_TOO_BIG : STAT_SIP_BAD);
    c->net->ev.bad_frame(c->net->arg, &c->flow, sl_head(in, c->net->lim.max_message), err);
    if (c->state == CONN_OPEN) { /* the event may have closed it */
        conn_drain(c, err);
    }
}

static void conn_deliver(struct conn *c, struct sl bytes)
{
    c->line_ok = c->head_ok = false;
    c->scanned = c->whole = 0;
    c->crlfs = 0;
    stat_inc(STAT_SIP_RX);
    if (c->net->ev.before != NULL) {
        c->net->ev.before(c->net->arg);
    }
    conn_prove(c);
    c->net->ev.message(c->net->arg, &c->flow, bytes);
}

size_t conn_consume(struct conn *c, struct sl *in)
{
    size_t cut = 0;

    while (c->state == CONN_OPEN) {
        size_t len = 0;
        int err;

        conn_skip_crlf(c, in);
        /* A CR alone may be the first half of a keepalive. */
        if (c->state != CONN_OPEN || in->n == 0 || (in->n == 1 && *in->p == '\r')) {
            break;
        }
        err = conn_cut(c, *in, &len);
        if (err == ENODATA) {
            break;
        }
        if (err != 0) {
            conn_refuse(c, *in, err);
            break;
        }
        conn_deliver(c, sl_head(*in, len));
        *in = sl_from(*in, len);
        cut++;
    }
    return cut;
}
