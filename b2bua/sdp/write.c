/* write.c - writes the description for the other side, line by line from our own facts and the
 * allow-list; the source is never edited. */
#include "sdp/sdp_int.h"

#define SDP_HEAD_MAX 160 /* v= and o= with two 20-digit numbers and an address */

static void sdp_put_addr(struct buf *b, const struct addr *a)
{
    buf_puts(b, addr_family(a) == AF_INET6 ? "IN IP6 " : "IN IP4 ");
    addr_put_ip(b, a);
    BUF_LIT(b, "\r\n");
}

static void sdp_put_conn(struct buf *b, const struct addr *a)
{
    BUF_LIT(b, "c=");
    sdp_put_addr(b, a);
}

static void sdp_put_dir(struct buf *b, enum sdp_dir dir)
{
    static const char *const lines[] = {
        [SDP_SENDRECV] = "a=sendrecv\r\n",
        [SDP_SENDONLY] = "a=sendonly\r\n",
        [SDP_RECVONLY] = "a=recvonly\r\n",
        [SDP_INACTIVE] = "a=inactive\r\n",
    };

    buf_puts(b, lines[dir]);
}

static void sdp_put_bandwidth(struct buf *b, const struct sl *bws, unsigned n)
{
    static const struct sl types[] = {SL("AS"), SL("TIAS"), SL("CT"), SL("RS"), SL("RR")};

    for (unsigned i = 0; i < n; i++) {
        struct sl value = bws[i], type;
        uint64_t v;

        if (sl_split(&value, ':', 4, &type) != 0 || sl_u64(sl_trim(value), UINT32_MAX, &v) != 0) {
            continue;
        }
        for (size_t t = 0; t < COUNT_OF(types); t++) {
            if (sl_ieq(types[t], type)) {
                buf_putf(b, "b=%.*s:%u\r\n", SL_ARG(types[t]), (unsigned)v);
            }
        }
    }
}

/* --- directions --- */

static bool sdp_dir_sends(enum sdp_dir d)
{
    return d == SDP_SENDRECV || d == SDP_SENDONLY;
}

static bool sdp_dir_receives(enum sdp_dir d)
{
    return d == SDP_SENDRECV || d == SDP_RECVONLY;
}

/* RFC 3264 6.1: an answer never sends what the offer does not receive, nor the other way round,
 * whatever the far end of the bridge said. */
static enum sdp_dir sdp_dir_answer(enum sdp_dir wanted, enum sdp_dir offered)
{
    bool sends = sdp_dir_sends(wanted) && sdp_dir_receives(offered);
    bool receives = sdp_dir_receives(wanted) && sdp_dir_sends(offered);

    if (sends) {
        return receives ? SDP_SENDRECV : SDP_SENDONLY;
    }
    return receives ? SDP_RECVONLY : SDP_INACTIVE;
}

static enum sdp_dir sdp_write_dir(const struct sdp_stream *from, const struct sdp_stream *offer,
                                  const struct sdp_out_stream *out)
{
    enum sdp_dir dir = sdp_stream_dir(from);

    if (out->force_dir) {
        return out->dir;
    }
    return offer != NULL ? sdp_dir_answer(dir, sdp_stream_dir(offer)) : dir;
}

/* --- streams --- */

/* An answer repeats the offer's own words (RFC 3264 6); an offer uses the registered ones. */
static void sdp_put_media(struct buf *b, const struct sdp_stream *shape, enum sdp_proto proto,
                          bool is_answer, uint16_t port)
{
    struct sl name = sdp_proto_name(proto);

    BUF_LIT(b, "m=");
    buf_putsl(b, shape->media);
    buf_putc(b, ' ');
    buf_putu(b, port);
    buf_putc(b, ' ');
    buf_putsl(b, is_answer || name.n == 0 ? shape->proto_text : name);
}

/* The formats of a refused line mean nothing, but one has to be there (RFC 3264 6). */
static void sdp_put_refused(struct buf *b, const struct sdp_stream *shape, bool is_answer)
{
    struct sl rest = shape->formats, format;

    sdp_put_media(b, shape, shape->proto, is_answer, 0);
    if (!sdp_token(&rest, &format) || !sdp_is_word(format, "*+_-")) {
        format = sdp_proto_is_rtp(shape->proto) ? SL("0") : SL("*");
    }
    buf_putc(b, ' ');
    buf_putsl(b, format);
    BUF_LIT(b, "\r\n");
}

static void sdp_put_formats(struct buf *b, const struct sdp_passage *p)
{
    struct sl rest = p->from->formats, tok;

    for (size_t i = 0; i < p->n_formats; i++) {
        buf_putc(b, ' ');
        buf_putu(b, p->formats[i].to);
    }
    while (p->formats == NULL && sdp_token(&rest, &tok)) {
        buf_putc(b, ' ');
        buf_putsl(b, tok);
    }
    BUF_LIT(b, "\r\n");
}

/* RFC 4733 events that the source does not know of: we make them, or make something of them. */
static void sdp_put_own_formats(struct buf *b, const struct sdp_passage *p)
{
    for (size_t i = 0; i < p->n_formats; i++) {
        const struct sdp_format_map *m = &p->formats[i];

        if (m->own) {
            buf_putf(b, "a=rtpmap:%u telephone-event/%u\r\na=fmtp:%u 0-15\r\n", (unsigned)m->to,
                     (unsigned)m->clock, (unsigned)m->to);
        }
    }
}

static void sdp_put_rtcp(struct buf *b, const struct sdp_out_stream *out)
{
    uint16_t port = addr_port(&out->rtp);

    if (out->rtcp_port != 0 && out->rtcp_port != (uint32_t)port + 1) {
        buf_putf(b, "a=rtcp:%u\r\n", (unsigned)out->rtcp_port);
    }
    if (out->rtcp_mux) {
        BUF_LIT(b, "a=rtcp-mux\r\n");
    }
}

/* A lite agent has one host candidate for each component (RFC 8445 5.2, 5.1.2.2 for the
 * priorities). */
static void sdp_put_candidate(struct buf *b, unsigned component, const struct addr *at,
                              uint16_t port)
{
    buf_putf(b, "a=candidate:1 %u UDP %u ", component,
             (126u << 24 | 65535u << 8) + 256 - component);
    addr_put_ip(b, at);
    buf_putf(b, " %u typ host\r\n", (unsigned)port);
}

static void sdp_put_ice(struct buf *b, const struct sdp_out_stream *out)
{
    if (out->ufrag.n == 0) {
        return;
    }
    buf_putf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", SL_ARG(out->ufrag), SL_ARG(out->pwd));
    sdp_put_candidate(b, 1, &out->rtp, addr_port(&out->rtp));
    if (out->rtcp_port != 0) {
        sdp_put_candidate(b, 2, &out->rtp, out->rtcp_port);
    }
    BUF_LIT(b, "a=end-of-candidates\r\n");
}

static void sdp_put_keys(struct buf *b, const struct sdp_out_stream *out)
{
    static const char *const setups[] = {
        [SDP_ACTIVE] = "active", [SDP_PASSIVE] = "passive", [SDP_ACTPASS] = "actpass"};

    for (size_t i = 0; i < out->n_crypto; i++) {
        sdp_put_crypto(b, &out->crypto[i]);
    }
    if (out->fingerprint.n != 0) {
        buf_putf(b, "a=fingerprint:%.*s\r\na=setup:%s\r\n", SL_ARG(out->fingerprint),
                 setups[out->setup]);
    }
}

static bool sdp_is_refused(const struct sdp_stream *s, const struct sdp_stream *shape,
                           const struct sdp_out_stream *out)
{
    return out->refuse || s->port == 0 || shape->port == 0 || addr_port(&out->rtp) == 0 ||
           (out->formats != NULL && out->n_formats == 0);
}

static void sdp_put_stream(struct buf *b, const struct sdp_write_params *p, unsigned i)
{
    const struct sdp_stream *s = &p->from->streams[i];
    const struct sdp_stream *offer = p->offer != NULL ? &p->offer->streams[i] : NULL;
    const struct sdp_stream *shape = offer != NULL ? offer : s;
    const struct sdp_out_stream *out = &p->streams[i];
    struct sdp_passage pass = {.from = s,
                               .proto = offer == NULL && out->set_proto ? out->proto : shape->proto,
                               .is_secured = out->n_crypto != 0 || out->fingerprint.n != 0,
                               .formats = out->formats,
                               .n_formats = out->n_formats};

    if (sdp_is_refused(s, shape, out)) {
        sdp_put_refused(b, shape, offer != NULL);
        return;
    }
    sdp_put_media(b, shape, pass.proto, offer != NULL, addr_port(&out->rtp));
    sdp_put_formats(b, &pass);
    if (!addr_eq_ip(&out->rtp, &p->origin)) {
        sdp_put_conn(b, &out->rtp);
    }
    sdp_put_bandwidth(b, p->from->bws + s->first_bw, s->n_bw);
    for (unsigned k = 0; k < s->n_attrs; k++) {
        sdp_rule_put(b, &pass, p->from->attrs[s->first_attr + k]);
    }
    sdp_put_own_formats(b, &pass);
    sdp_put_dir(b, sdp_write_dir(s, offer, out));
    if (sdp_proto_is_rtp(pass.proto)) {
        sdp_put_rtcp(b, out);
    }
    sdp_put_keys(b, out);
    sdp_put_ice(b, out);
    if (out->mid.n != 0) {
        buf_putf(b, "a=mid:%.*s\r\n", SL_ARG(out->mid));
        if (out->mid_ext != 0) {
            buf_putf(b, "a=extmap:%u/recvonly " SDP_MID_EXT_URI "\r\n", (unsigned)out->mid_ext);
        }
    }
}

/* --- the whole --- */

static bool sdp_stream_matches(const struct sdp_stream *answer, const struct sdp_stream *offer)
{
    if (!sl_ieq(answer->media, offer->media)) {
        return false;
    }
    return answer->port == 0 || offer->port == 0 ||
           (sdp_proto_is_rtp(answer->proto) == sdp_proto_is_rtp(offer->proto) &&
            (answer->proto == SDP_UDPTL) == (offer->proto == SDP_UDPTL));
}

static bool sdp_answer_matches(const struct sdp *answer, const struct sdp *offer)
{
    if (answer->n_streams != offer->n_streams) {
        return false;
    }
    for (unsigned i = 0; i < answer->n_streams; i++) {
        if (!sdp_stream_matches(&answer->streams[i], &offer->streams[i])) {
            return false;
        }
    }
    return true;
}

static bool sdp_writes(const struct sdp_write_params *p, unsigned i)
{
    const struct sdp *shape = p->offer != NULL ? p->offer : p->from;

    return !sdp_is_refused(&p->from->streams[i], &shape->streams[i], &p->streams[i]);
}

/* The leader first: whose address and credentials count is told by the first mid (RFC 9143 7.1). */
static void sdp_put_group(struct buf *b, const struct sdp_write_params *p, unsigned leader)
{
    unsigned n = p->from->n_streams;
    bool has_any = false;

    for (unsigned k = 0; k < n; k++) {
        unsigned i = (leader + k) % n;
        const struct sdp_out_stream *out = &p->streams[i];

        if (out->is_bundled && out->leader == leader && sdp_writes(p, i)) {
            buf_putf(b, "%s %.*s", has_any ? "" : "a=group:BUNDLE", SL_ARG(out->mid));
            has_any = true;
        }
    }
    if (has_any) {
        BUF_LIT(b, "\r\n");
    }
}

/* a=ice-lite and a=group:BUNDLE, one group for each leader (RFC 8839 5.3, RFC 9143 7). */
static void sdp_put_session(struct buf *b, const struct sdp_write_params *p)
{
    unsigned n = p->from->n_streams, i = 0;

    while (i < n && (p->streams[i].ufrag.n == 0 || !sdp_writes(p, i))) {
        i++;
    }
    if (i < n) {
        BUF_LIT(b, "a=ice-lite\r\n");
    }
    for (unsigned leader = 0; leader < n; leader++) {
        sdp_put_group(b, p, leader);
    }
}

/* All that follows o=, which is what the version depends on. */
static void sdp_put_tail(struct buf *b, const struct sdp_write_params *p)
{
    BUF_LIT(b, "s=-\r\n");
    sdp_put_conn(b, &p->origin);
    sdp_put_bandwidth(b, p->from->bws, p->from->n_session_bws);
    BUF_LIT(b, "t=0 0\r\n");
    sdp_put_session(b, p);
    for (unsigned i = 0; i < p->from->n_streams; i++) {
        sdp_put_stream(b, p, i);
    }
}

static uint64_t sdp_tail_hash(const struct sdp_face *f, struct sl tail)
{
    uint8_t key[16];
    uint64_t h;

    memcpy(key, &f->o_id, 8);
    memcpy(key + 8, &f->o_id, 8);
    h = siphash13(tail.p, tail.n, key);
    return h != 0 ? h : 1;
}

/* The head is set before the tail that is already there: its version depends on the tail. */
static int sdp_put_head(struct buf *b, size_t start, const struct sdp_face *f,
                        const struct addr *origin)
{
    char mem[SDP_HEAD_MAX];
    struct buf head;

    buf_init_fixed(&head, mem, sizeof(mem));
    BUF_LIT(&head, "v=0\r\no=- ");
    buf_putu(&head, f->o_id);
    buf_putc(&head, ' ');
    buf_putu(&head, f->o_version);
    buf_putc(&head, ' ');
    sdp_put_addr(&head, origin);
    buf_reserve(b, head.n);
    if (buf_err(b) != 0 || buf_err(&head) != 0) {
        return buf_err(b) != 0 ? buf_err(b) : buf_err(&head);
    }
    memmove(b->p + start + head.n, b->p + start, b->n - start);
    memcpy(b->p + start, head.p, head.n);
    b->n += head.n;
    return 0;
}

int sdp_write(struct buf *b, const struct sdp_write_params *p)
{
    struct sdp_face f = *p->face;
    size_t start = b->n;
    int err;

    if (p->offer != NULL && !sdp_answer_matches(p->from, p->offer)) {
        return EPROTO;
    }
    sdp_put_tail(b, p);
    if (buf_err(b) != 0) {
        return buf_err(b);
    }
    f.last_hash = sdp_tail_hash(&f, sl_from(buf_sl(b), start));
    if (p->face->last_hash != 0 && f.last_hash != p->face->last_hash) {
        f.o_version++;
    }
    err = sdp_put_head(b, start, &f, &p->origin);
    if (err == 0) {
        *p->face = f;
    }
    return err;
}
