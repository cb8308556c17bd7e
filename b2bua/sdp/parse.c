/* parse.c - reads a session description (RFC 8866). Liberal where one reading is clear, refusing
 * where two modules could read it differently. */
#include "sdp/sdp_int.h"

struct sdp_conn {
    bool is_set, is_name;
    struct addr addr;
};

struct sdp_parser {
    struct sdp *out;
    struct sdp_stream *stream; /* NULL: session level */
    struct sdp_conn session_conn, stream_conn;
    bool has_version, has_origin, has_session_dir;
    const char *why;
};

typedef int(sdp_line_fn)(struct sdp_parser *p, struct sl value);

static int sdp_fail(struct sdp_parser *p, int err, const char *why)
{
    p->why = why;
    return err;
}

/* --- session lines --- */

static int sdp_on_version(struct sdp_parser *p, struct sl value)
{
    if (p->has_version || p->stream != NULL) {
        return sdp_fail(p, EBADMSG, "v= twice");
    }
    if (!sl_eq(sl_trim(value), SL("0"))) {
        return sdp_fail(p, EBADMSG, "v= is not 0");
    }
    p->has_version = true;
    return 0;
}

static uint64_t sdp_number(struct sl s) /* saturated; 0 when it is none */
{
    uint64_t v = 0;

    return sl_u64(s, UINT64_MAX, &v) == EMSGSIZE ? UINT64_MAX : v;
}

/* Counted from the end: the user name, which is of no use to us, holds blanks at times. */
static int sdp_on_origin(struct sdp_parser *p, struct sl value)
{
    struct sl last[6] = {SL_NULL}, rest = value, tok;
    size_t n = 0;

    if (p->has_origin || p->stream != NULL) {
        return sdp_fail(p, EBADMSG, "o= twice");
    }
    while (sdp_token(&rest, &tok)) {
        last[n++ % COUNT_OF(last)] = tok;
    }
    if (n < COUNT_OF(last)) {
        return sdp_fail(p, EBADMSG, "o= is incomplete");
    }
    p->out->o_line = value;
    p->out->o_id = sdp_number(last[(n - 5) % COUNT_OF(last)]);
    p->out->o_version = sdp_number(last[(n - 4) % COUNT_OF(last)]);
    p->has_origin = true;
    return 0;
}

/* --- addresses --- */

/* "IN IP4 192.0.2.1" at the head of rest. ENODATA: a host name; EBADMSG: anything else. */
static int sdp_net_addr(struct sl *rest, struct addr *out)
{
    struct sl net, type, host;

    if (!sdp_token(rest, &net) || !sdp_token(rest, &type) || !sdp_token(rest, &host)) {
        return EBADMSG;
    }
    if (!sl_ieq(net, SL("IN")) || !(sl_ieq(type, SL("IP4")) || sl_ieq(type, SL("IP6")))) {
        return EBADMSG;
    }
    if (sl_chr(host, '/') >= 0) { /* TTL and count of a multicast group (RFC 8866 5.7) */
        host = sl_head(host, (size_t)sl_chr(host, '/'));
    }
    if (addr_parse(host, 0, out) == 0) {
        return 0;
    }
    for (size_t i = 0; i < host.n; i++) {
        if (!sdp_is_word(sl_make(host.p + i, 1), ".-_")) {
            return EBADMSG;
        }
    }
    return host.n != 0 ? ENODATA : EBADMSG;
}

static int sdp_on_conn(struct sdp_parser *p, struct sl value)
{
    struct sdp_conn *c = p->stream != NULL ? &p->stream_conn : &p->session_conn;
    int err;

    if (c->is_set) {
        return sdp_fail(p, EBADMSG, "c= twice");
    }
    *c = (struct sdp_conn){.is_set = true};
    err = sdp_net_addr(&value, &c->addr);
    c->is_name = err == ENODATA;
    return err == EBADMSG ? sdp_fail(p, EBADMSG, "c= has no address") : 0;
}

/* RFC 3605. A line that makes no sense is passed over: port + 1 is then what counts. */
static bool sdp_rtcp_value(struct sl value, const struct addr *conn, struct addr *out)
{
    struct sl tok;
    uint32_t port;

    if (!sdp_token(&value, &tok) || sl_u32(tok, UINT16_MAX, &port) != 0 || port == 0) {
        return false;
    }
    *out = *conn;
    if (sl_trim(value).n != 0 && (sdp_net_addr(&value, out) != 0 || addr_is_unspecified(out))) {
        return false;
    }
    addr_set_port(out, (uint16_t)port);
    return true;
}

static void sdp_set_rtcp(const struct sdp *out, unsigned i, struct sdp_stream *s)
{
    uint16_t pos = 0;
    struct sl value;

    if (addr_family(&s->conn) == AF_UNSPEC) {
        return;
    }
    while (sdp_attr_next(out, i, SL("rtcp"), &pos, &value)) {
        if (sdp_rtcp_value(value, &s->conn, &s->rtcp_conn)) {
            s->rtcp_port = addr_port(&s->rtcp_conn);
            return;
        }
    }
    if (s->port == 0 || s->port == UINT16_MAX) {
        return;
    }
    s->rtcp_port = (uint16_t)(s->port + 1);
    s->rtcp_conn = s->conn;
    addr_set_port(&s->rtcp_conn, s->rtcp_port);
}

/* --- streams --- */

/* What is only known when the last line of the stream was seen. */
static int sdp_stream_end(struct sdp_parser *p)
{
    struct sdp_stream *s = p->stream;
    const struct sdp_conn *c = p->stream_conn.is_set ? &p->stream_conn : &p->session_conn;
    unsigned i = (unsigned)p->out->n_streams - 1;
    struct sl value;

    if (s == NULL) {
        return 0;
    }
    if (!c->is_set) {
        return s->port == 0 ? 0 : sdp_fail(p, EBADMSG, "no c= for a stream");
    }
    s->conn_is_name = c->is_name;
    if (c->is_name) {
        return 0;
    }
    s->conn = c->addr;
    addr_set_port(&s->conn, s->port);
    /* Trickle ICE starts from 0.0.0.0 as well (RFC 8839 4.3.1) and is no hold. */
    s->conn_is_hold = addr_is_unspecified(&s->conn) &&
                      !sdp_attr(p->out, i, SL("ice-ufrag"), &value) &&
                      !sdp_attr(p->out, SDP_SESSION, SL("ice-ufrag"), &value);
    sdp_set_rtcp(p->out, i, s);
    return 0;
}

static int sdp_parse_port(struct sdp_parser *p, struct sl tok)
{
    ptrdiff_t slash = sl_chr(tok, '/');
    uint32_t port, count;

    /* RFC 8866 5.14 "port/count" is for layered groups; the first port is the one that matters. */
    if (slash >= 0) {
        if (sl_u32(sl_from(tok, (size_t)slash + 1), UINT16_MAX, &count) != 0) {
            return sdp_fail(p, EBADMSG, "bad port count");
        }
        tok = sl_head(tok, (size_t)slash);
    }
    if (sl_u32(tok, UINT16_MAX, &port) != 0) {
        return sdp_fail(p, EBADMSG, "bad port");
    }
    p->stream->port = (uint16_t)port;
    return 0;
}

static bool sdp_format_is_good(const struct sdp_stream *s, struct sl tok)
{
    uint32_t pt;

    if (sdp_proto_is_rtp(s->proto)) {
        return sl_u32(tok, 127, &pt) == 0;
    }
    return sdp_is_word(tok, "*+_-");
}

static int sdp_parse_formats(struct sdp_parser *p)
{
    struct sdp_stream *s = p->stream;
    struct sl rest = s->formats, tok;
    unsigned n = 0;

    while (sdp_token(&rest, &tok)) {
        if (++n > SDP_FORMATS_MAX) {
            return sdp_fail(p, EMSGSIZE, "too many formats");
        }
        if (s->port != 0 && !sdp_format_is_good(s, tok)) {
            return sdp_fail(p, EBADMSG, "bad format");
        }
    }
    s->n_formats = (uint8_t)n;
    return n == 0 && s->port != 0 ? sdp_fail(p, EBADMSG, "no formats") : 0;
}

static int sdp_parse_media(struct sdp_parser *p, struct sl value)
{
    struct sdp_stream *s = p->stream;
    struct sl port;
    int err;

    if (value.n > SDP_LINE_MAX) {
        return sdp_fail(p, EMSGSIZE, "m= is too long");
    }
    if (!sdp_token(&value, &s->media) || !sdp_token(&value, &port) ||
        !sdp_token(&value, &s->proto_text)) {
        return sdp_fail(p, EBADMSG, "m= is incomplete");
    }
    if (!sdp_is_word(s->media, "-") || !sdp_is_word(s->proto_text, "/-")) {
        return sdp_fail(p, EBADMSG, "m= has a bad name");
    }
    s->kind = sdp_kind_of(s->media);
    s->proto = sdp_proto_of(s->proto_text);
    s->formats = sl_trim(value);
    err = sdp_parse_port(p, port);
    return err != 0 ? err : sdp_parse_formats(p);
}

static int sdp_on_media(struct sdp_parser *p, struct sl value)
{
    struct sdp *out = p->out;
    int err = sdp_stream_end(p);

    if (err != 0) {
        return err;
    }
    if (out->n_streams == SDP_STREAMS_MAX) {
        return sdp_fail(p, EMSGSIZE, "too many streams");
    }
    p->stream = &out->streams[out->n_streams++];
    *p->stream = (struct sdp_stream){.first_attr = out->n_attrs,
                                     .first_bw = out->n_bws,
                                     .dir = out->dir,
                                     .dir_explicit = p->has_session_dir};
    p->stream_conn = (struct sdp_conn){0};
    return sdp_parse_media(p, value);
}

/* --- attributes and bandwidth --- */

static bool sdp_parse_dir(struct sl name, enum sdp_dir *dir)
{
    static const struct sl names[] = {
        [SDP_SENDRECV] = SL("sendrecv"),
        [SDP_SENDONLY] = SL("sendonly"),
        [SDP_RECVONLY] = SL("recvonly"),
        [SDP_INACTIVE] = SL("inactive"),
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (sl_ieq(names[i], name)) {
            *dir = (enum sdp_dir)i;
            return true;
        }
    }
    return false;
}

static void sdp_note_attr(struct sdp_parser *p, struct sl name, struct sl value)
{
    struct sdp_stream *s = p->stream;
    enum sdp_dir dir;
    uint32_t ms;

    if (sdp_parse_dir(name, &dir)) {
        if (s != NULL) {
            s->dir = dir;
            s->dir_explicit = true;
        } else {
            p->out->dir = dir;
            p->has_session_dir = true;
        }
        return;
    }
    if (s == NULL) {
        return;
    }
    if (sl_ieq(name, SL("rtcp-mux"))) {
        s->rtcp_mux = true;
    } else if (sl_ieq(name, SL("bundle-only")) && s->port == 0) {
        s->bundle_only = true;
    } else if (sl_ieq(name, SL("ptime")) && sl_u32(value, SDP_PTIME_MAX, &ms) == 0 && ms != 0) {
        s->ptime = ms;
    } else if (sl_ieq(name, SL("maxptime")) && sl_u32(value, SDP_PTIME_MAX, &ms) == 0 && ms != 0) {
        s->maxptime = ms;
    }
}

static int sdp_on_attr(struct sdp_parser *p, struct sl value)
{
    struct sdp *out = p->out;
    struct sl name, v;

    if (out->n_attrs == SDP_ATTRS_MAX) {
        return sdp_fail(p, EMSGSIZE, "too many attributes");
    }
    name = sdp_attr_split(value, &v);
    /* Refused rather than dropped: a codec without its parameters is another codec. */
    if (value.n > SDP_LINE_MAX && sdp_rule_knows(name)) {
        return sdp_fail(p, EMSGSIZE, "an attribute is too long");
    }
    out->attrs[out->n_attrs++] = value;
    if (p->stream != NULL) {
        p->stream->n_attrs++;
    } else {
        out->n_session_attrs++;
    }
    sdp_note_attr(p, name, v);
    return 0;
}

static int sdp_on_bandwidth(struct sdp_parser *p, struct sl value)
{
    struct sdp *out = p->out;

    if (out->n_bws == COUNT_OF(out->bws)) {
        return sdp_fail(p, EMSGSIZE, "too many b= lines");
    }
    out->bws[out->n_bws++] = value;
    if (p->stream != NULL) {
        p->stream->n_bw++;
    } else {
        out->n_session_bws++;
    }
    return 0;
}

/* --- lines --- */

static sdp_line_fn *const line_fns['z' - 'a' + 1] = {
    ['v' - 'a'] = sdp_on_version, ['o' - 'a'] = sdp_on_origin,    ['c' - 'a'] = sdp_on_conn,
    ['m' - 'a'] = sdp_on_media,   ['b' - 'a'] = sdp_on_bandwidth, ['a' - 'a'] = sdp_on_attr,
};

static int sdp_parse_line(struct sdp_parser *p, struct sl line)
{
    sdp_line_fn *fn;

    if (line.n != 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    if (line.n == 0) {
        return 0;
    }
    /* A CR that ends no line would end one for somebody else. */
    if (sl_chr(line, '\r') >= 0) {
        return sdp_fail(p, EBADMSG, "CR inside a line");
    }
    if (line.n < 2 || line.p[0] < 'a' || line.p[0] > 'z' || line.p[1] != '=') {
        return sdp_fail(p, EBADMSG, "not a type=value line");
    }
    fn = line_fns[line.p[0] - 'a'];
    return fn != NULL ? fn(p, sl_from(line, 2)) : 0; /* RFC 8866 5: unknown types are ignored */
}

/* RFC 9143 6: port 0 with a=bundle-only refuses nothing, the stream lives where its leader lives.
 */
static int sdp_settle_bundles(struct sdp_parser *p)
{
    uint8_t leader[SDP_STREAMS_MAX];
    struct sdp *out = p->out;
    int err = 0;

    sdp_bundle(out, leader);
    for (unsigned i = 0; i < out->n_streams && err == 0; i++) {
        struct sdp_stream *s = &out->streams[i];
        const struct sdp_stream *l = &out->streams[leader[i]];

        if (!s->bundle_only || l == s || s->n_formats == 0) {
            continue;
        }
        s->port = l->port;
        s->conn = l->conn;
        s->conn_is_hold = l->conn_is_hold;
        s->conn_is_name = l->conn_is_name;
        s->rtcp_port = l->rtcp_port;
        s->rtcp_conn = l->rtcp_conn;
        p->stream = s;
        err = sdp_parse_formats(p);
    }
    return err;
}

static bool sdp_has_controls(struct sl body)
{
    for (size_t i = 0; i < body.n; i++) {
        unsigned char c = (unsigned char)body.p[i];

        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static int sdp_parse_lines(struct sdp_parser *p)
{
    struct sl rest = p->out->body, line;
    int err;

    while (sl_next(&rest, '\n', &line) == 0) {
        err = sdp_parse_line(p, line);

        if (err != 0) {
            return err;
        }
    }
    if (!p->has_version || !p->has_origin) {
        return sdp_fail(p, EBADMSG, p->has_version ? "no o=" : "no v=");
    }
    err = sdp_stream_end(p);
    return err != 0 ? err : sdp_settle_bundles(p);
}

/* The large tables stay as they are: their counts say what is valid in them. */
static void sdp_clear(struct sdp *out, struct sl body)
{
    out->body = body;
    out->o_id = 0;
    out->o_version = 0;
    out->o_line = SL_NULL;
    out->dir = SDP_SENDRECV;
    out->n_streams = 0;
    out->n_session_attrs = 0;
    out->n_attrs = 0;
    out->n_bws = 0;
    out->n_session_bws = 0;
}

int sdp_parse(struct sl body, struct sdp *out, const char **why)
{
    struct sdp_parser p = {.out = out, .why = ""};
    int err;

    sdp_clear(out, body);
    if (body.n == 0) {
        err = sdp_fail(&p, ENODATA, "empty");
    } else if (body.n > SDP_BODY_MAX) {
        err = sdp_fail(&p, EMSGSIZE, "too long");
    } else if (sdp_has_controls(body)) {
        err = sdp_fail(&p, EBADMSG, "control characters");
    } else {
        err = sdp_parse_lines(&p);
    }
    *why = p.why;
    return err;
}
