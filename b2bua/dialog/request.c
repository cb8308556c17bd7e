/* request.c - requests inside a dialog: where they go and what they begin with
 * (RFC 3261 12.2.1.1). */
#include "dialog/dialog.h"

#define SIP_PORT 5060
#define MAX_FORWARDS 70

/* Values partly come from the peer; whatever they hold, one field stays one field. */
static void put_clean(struct buf *b, struct sl s)
{
    if (s.n == 0 || (memchr(s.p, '\r', s.n) == NULL && memchr(s.p, '\n', s.n) == NULL &&
                     memchr(s.p, '\0', s.n) == NULL)) {
        buf_putsl(b, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0') {
            buf_putc(b, s.p[i]);
        }
    }
}

static bool first_route(const struct dialog *d, struct sip_uri *uri)
{
    struct sip_nameaddr na;

    if (d->n_routes == 0 || sip_nameaddr_parse(d->routes[0], &na) != 0) {
        return false;
    }
    *uri = na.uri;
    return true;
}

static bool is_strict(const struct dialog *d, struct sip_uri *first)
{
    struct sl value;

    return first_route(d, first) && !sip_param(first->params, SL("lr"), &value);
}

void dialog_next_hop(const struct dialog *d, struct flow *out)
{
    struct sip_uri uri;
    struct addr to;

    *out = d->flow;
    if (d->pin_flow || flow_is_reliable(&d->flow)) {
        return;
    }
    if (!first_route(d, &uri) && sip_uri_parse(sl_str(d->target), &uri) != 0) {
        return;
    }
    /* Our socket speaks UDP of one family: what asks for anything else is reached as before. */
    if (uri.scheme != SIP_SCHEME_SIP || sip_uri_transport(&uri, SIP_UDP) != SIP_UDP ||
        addr_parse(uri.host, uri.port != 0 ? uri.port : SIP_PORT, &to) != 0 ||
        addr_family(&to) != addr_family(&d->flow.remote) || addr_is_unspecified(&to) ||
        addr_is_multicast(&to)) {
        return;
    }
    out->remote = to;
}

uint32_t dialog_next_cseq(struct dialog *d)
{
    return ++d->local_cseq;
}

void dialog_put_via(struct buf *b, enum sip_transport t, const struct addr *via, struct sl branch)
{
    BUF_LIT(b, "Via: SIP/2.0/");
    buf_puts(b, sip_transport_name(t));
    buf_putc(b, ' ');
    addr_put(b, via);
    BUF_LIT(b, ";branch=");
    put_clean(b, branch);
    if (t == SIP_UDP) {
        BUF_LIT(b, ";rport"); /* RFC 3581 */
    }
    BUF_LIT(b, "\r\n");
}

/* Headers are not allowed in a Request-URI (19.1.1, table 1). */
static struct sl without_headers(struct sl text)
{
    struct sip_uri uri;
    const char *end = text.p + text.n;

    if (sip_uri_parse(text, &uri) != 0 || uri.host.p == NULL) {
        return text;
    }
    for (const char *p = uri.host.p + uri.host.n; p < end; p++) {
        if (*p == '?') {
            return sl_make(text.p, (size_t)(p - text.p));
        }
    }
    return text;
}

struct sl dialog_request_uri(const struct dialog *d)
{
    struct sip_uri first;

    return without_headers(is_strict(d, &first) ? first.text : sl_str(d->target));
}

static void put_party(struct buf *b, const char *name, struct sl party, struct sl tag)
{
    buf_puts(b, name);
    put_clean(b, party);
    if (tag.n != 0) {
        BUF_LIT(b, ";tag=");
        put_clean(b, tag);
    }
    BUF_LIT(b, "\r\n");
}

static void put_routes(struct buf *b, const struct dialog *d, bool strict)
{
    for (uint8_t i = strict ? 1 : 0; i < d->n_routes; i++) {
        BUF_LIT(b, "Route: ");
        put_clean(b, d->routes[i]);
        BUF_LIT(b, "\r\n");
    }
    if (strict) { /* the target would be lost: it goes last */
        BUF_LIT(b, "Route: <");
        put_clean(b, sl_str(d->target));
        BUF_LIT(b, ">\r\n");
    }
}

void dialog_put_request(struct buf *b, const struct dialog *d, const struct dialog_request *r)
{
    struct sip_uri first;
    bool strict = is_strict(d, &first);
    const char *method = sip_method_name(r->method);

    buf_puts(b, method);
    buf_putc(b, ' ');
    put_clean(b, dialog_request_uri(d));
    BUF_LIT(b, " SIP/2.0\r\n");
    dialog_put_via(b, r->transport, r->via, r->branch);
    sip_put_hdr_u(b, "Max-Forwards", r->max_forwards != 0 ? r->max_forwards : MAX_FORWARDS);
    put_party(b, "From: ", d->local, d->local_tag);
    put_party(b, "To: ", d->remote, d->remote_tag);
    sip_put_hdr(b, "Call-ID", d->call_id);
    BUF_LIT(b, "CSeq: ");
    buf_putu(b, r->cseq);
    buf_putc(b, ' ');
    buf_puts(b, method);
    BUF_LIT(b, "\r\n");
    put_routes(b, d, strict);
    if (r->contact.n != 0) {
        BUF_LIT(b, "Contact: <");
        put_clean(b, r->contact);
        BUF_LIT(b, ">\r\n");
    }
}
