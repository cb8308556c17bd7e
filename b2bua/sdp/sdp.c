/* sdp.c - the small questions about a session description: directions, profiles, attributes.
 * Nothing here parses a whole body or writes one. */
#include "sdp/sdp_int.h"

static const struct sdp_proto_row {
    struct sl name;
    bool is_rtp, is_plain, has_feedback;
} proto_rows[] = {
    [SDP_RTP_AVP] = {SL("RTP/AVP"), true, true, false},
    [SDP_RTP_AVPF] = {SL("RTP/AVPF"), true, true, true},
    [SDP_RTP_SAVP] = {SL("RTP/SAVP"), true, false, false},
    [SDP_RTP_SAVPF] = {SL("RTP/SAVPF"), true, false, true},
    [SDP_DTLS_SAVP] = {SL("UDP/TLS/RTP/SAVP"), true, false, false},
    [SDP_DTLS_SAVPF] = {SL("UDP/TLS/RTP/SAVPF"), true, false, true},
    [SDP_UDPTL] = {SL("udptl"), false, false, false},
    [SDP_PROTO_OTHER] = {SL(""), false, false, false},
};

static const struct sl kind_names[] = {
    [SDP_AUDIO] = SL("audio"),
    [SDP_VIDEO] = SL("video"),
    [SDP_TEXT] = SL("text"),
    [SDP_IMAGE] = SL("image"),
    [SDP_APPLICATION] = SL("application"),
    [SDP_MESSAGE] = SL("message"),
};

enum sdp_dir sdp_stream_dir(const struct sdp_stream *s)
{
    /* RFC 3264 8.4: the old hold says "do not send to me" and leaves the rest to the attribute. */
    if (!s->conn_is_hold) {
        return s->dir;
    }
    return s->dir == SDP_SENDRECV || s->dir == SDP_SENDONLY ? SDP_SENDONLY : SDP_INACTIVE;
}

bool sdp_proto_is_rtp(enum sdp_proto p)
{
    return proto_rows[p].is_rtp;
}

bool sdp_proto_is_plain(enum sdp_proto p)
{
    return proto_rows[p].is_plain;
}

bool sdp_proto_is_dtls(enum sdp_proto p)
{
    return p == SDP_DTLS_SAVP || p == SDP_DTLS_SAVPF;
}

bool sdp_proto_has_feedback(enum sdp_proto p)
{
    return proto_rows[p].has_feedback;
}

const char *sdp_proto_word(enum sdp_proto p)
{
    return proto_rows[p].name.p;
}

struct sl sdp_proto_name(enum sdp_proto p)
{
    return proto_rows[p].name;
}

enum sdp_proto sdp_proto_of(struct sl text)
{
    for (size_t i = 0; i < SDP_PROTO_OTHER; i++) {
        if (sl_ieq(proto_rows[i].name, text)) {
            return (enum sdp_proto)i;
        }
    }
    return SDP_PROTO_OTHER;
}

enum sdp_kind sdp_kind_of(struct sl media)
{
    for (size_t i = 0; i < COUNT_OF(kind_names); i++) {
        if (sl_ieq(kind_names[i], media)) {
            return (enum sdp_kind)i;
        }
    }
    return SDP_KIND_OTHER;
}

bool sdp_token(struct sl *in, struct sl *tok)
{
    struct sl rest = sl_trim(*in);
    size_t n = 0;

    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\t') {
        n++;
    }
    if (n == 0) {
        return false;
    }
    *tok = sl_head(rest, n);
    *in = sl_from(rest, n);
    return true;
}

bool sdp_is_word(struct sl s, const char *also)
{
    if (s.n == 0 || s.n > SDP_WORD_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!is_alnum && (c == '\0' || strchr(also, c) == NULL)) {
            return false;
        }
    }
    return true;
}

struct sl sdp_attr_split(struct sl attr, struct sl *value)
{
    ptrdiff_t colon = sl_chr(attr, ':');

    if (colon < 0) {
        *value = SL_NULL;
        return sl_trim(attr);
    }
    *value = sl_trim(sl_from(attr, (size_t)colon + 1));
    return sl_head(attr, (size_t)colon);
}

bool sdp_has_format(const struct sdp_stream *s, struct sl format)
{
    struct sl rest = s->formats, tok;

    while (sdp_token(&rest, &tok)) {
        if (sl_eq(tok, format)) {
            return true;
        }
    }
    return false;
}

bool sdp_attr_next(const struct sdp *s, unsigned i, struct sl name, uint16_t *pos, struct sl *value)
{
    unsigned first = 0, n = s->n_session_attrs;

    if (i != SDP_SESSION) {
        if (i >= s->n_streams) {
            return false;
        }
        first = s->streams[i].first_attr;
        n = s->streams[i].n_attrs;
    }
    while (*pos < n) {
        struct sl v;
        struct sl key = sdp_attr_split(s->attrs[first + *pos], &v);

        (*pos)++;
        if (sl_ieq(key, name)) {
            *value = v;
            return true;
        }
    }
    return false;
}

bool sdp_attr(const struct sdp *s, unsigned i, struct sl name, struct sl *value)
{
    uint16_t pos = 0;

    return sdp_attr_next(s, i, name, &pos, value);
}

void sdp_fill_up(struct sdp *s, const struct sdp *before)
{
    for (; s->n_streams < before->n_streams; s->n_streams++) {
        const struct sdp_stream *b = &before->streams[s->n_streams];

        s->streams[s->n_streams] = (struct sdp_stream){.kind = b->kind,
                                                       .media = b->media,
                                                       .proto = b->proto,
                                                       .proto_text = b->proto_text,
                                                       .formats = b->formats,
                                                       .first_attr = s->n_attrs,
                                                       .first_bw = s->n_bws};
    }
}

bool sdp_addr_is_usable(const struct addr *a)
{
    if (addr_family(a) == AF_UNSPEC || addr_is_unspecified(a) || addr_is_multicast(a)) {
        return false;
    }
    if (addr_family(a) == AF_INET) {
        uint32_t net = ntohl(a->u.in4.sin_addr.s_addr) >> 24;

        return net != 0 && net < 240; /* RFC 6890: "this network" and the reserved block */
    }
    return true;
}

void sdp_face_init(struct sdp_face *f, uint64_t random_id)
{
    /* 62 bits: peers that keep the number in a signed 64-bit integer are still right. */
    *f = (struct sdp_face){.o_id = (random_id >> 2) | 1, .o_version = 1};
}
