/* rules.c - the allow-list: which attributes of one side the other side may see, and what their
 * values must look like. What is not in this table does not exist for the other side. */
#include "sdp/sdp_int.h"

enum sdp_scope { SCOPE_ANY, SCOPE_RTP, SCOPE_PLAIN, SCOPE_AVPF, SCOPE_UDPTL };

/* How a value names payload types. */
enum sdp_numbering { NUMBER_NONE, NUMBER_FIRST, NUMBER_FMTP };

typedef bool(sdp_check_fn)(const struct sdp_stream *s, struct sl value);

static bool sdp_is_printable(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return s.n != 0;
}

/* Blank-separated words of at most SDP_WORD_MAX bytes. */
static bool sdp_are_words(struct sl s, const char *also)
{
    struct sl tok;
    bool has_any = false;

    while (sdp_token(&s, &tok)) {
        if (!sdp_is_word(tok, also)) {
            return false;
        }
        has_any = true;
    }
    return has_any;
}

/* "<payload type> <name>/<clock>[/<channels>]" (RFC 8866 6.6) */
static bool sdp_check_rtpmap(const struct sdp_stream *s, struct sl value)
{
    struct sl pt, name, clock;
    uint32_t n;

    if (!sdp_token(&value, &pt) || !sdp_has_format(s, pt) || sl_next(&value, '/', &name) != 0 ||
        sl_next(&value, '/', &clock) != 0) {
        return false;
    }
    return sdp_is_word(sl_trim(name), "-_.+!#$%&'*^`{|}~") &&
           sl_u32(sl_trim(clock), INT32_MAX, &n) == 0 && n != 0 &&
           (value.n == 0 || sdp_is_word(value, "-_"));
}

/* Parameters belong to the codec and are none of our business, except that they are printable. */
static bool sdp_check_fmtp(const struct sdp_stream *s, struct sl value)
{
    struct sl format;

    return sdp_is_printable(value) && sdp_token(&value, &format) && sdp_has_format(s, format) &&
           sl_trim(value).n != 0;
}

static bool sdp_check_rtcp_fb(const struct sdp_stream *s, struct sl value)
{
    struct sl format;

    return sdp_token(&value, &format) && (sl_eq(format, SL("*")) || sdp_has_format(s, format)) &&
           sdp_are_words(value, "-");
}

static bool sdp_check_ptime(const struct sdp_stream *s, struct sl value)
{
    uint32_t n;

    (void)s;
    return sl_u32(value, SDP_PTIME_MAX, &n) == 0 && n != 0;
}

static bool sdp_check_framerate(const struct sdp_stream *s, struct sl value)
{
    struct sl whole, part = value;
    uint32_t n = 0, frac = 0;

    (void)s;
    if (sl_next(&part, '.', &whole) != 0 || sl_u32(whole, 10000, &n) != 0 ||
        (part.n != 0 && sl_u32(part, 999999, &frac) != 0)) {
        return false;
    }
    return n != 0 || frac != 0;
}

static bool sdp_check_quality(const struct sdp_stream *s, struct sl value)
{
    uint32_t n;

    (void)s;
    return sl_u32(value, 10, &n) == 0;
}

static bool sdp_check_words(const struct sdp_stream *s, struct sl value)
{
    (void)s;
    return sdp_are_words(value, "-_,");
}

static bool sdp_check_word(const struct sdp_stream *s, struct sl value)
{
    (void)s;
    return sdp_is_word(value, "-_+");
}

/* T.38 capabilities are flags or one value; the relay believes none of the numbers. */
static bool sdp_check_t38(const struct sdp_stream *s, struct sl value)
{
    (void)s;
    return value.n == 0 || sdp_is_word(value, "-");
}

/* "1.10 <64 hex digits>" (RFC 6189 8): end to end by its nature, the packets pass through us. */
static bool sdp_check_zrtp(const struct sdp_stream *s, struct sl value)
{
    struct sl version, digits;
    uint32_t v;

    (void)s;
    if (!sdp_token(&value, &version) || !sdp_is_word(version, ".") || !sdp_token(&value, &digits) ||
        digits.n != 64 || sl_trim(value).n != 0) {
        return false;
    }
    for (size_t i = 0; i < digits.n; i++) {
        if (sl_hex32(sl_make(digits.p + i, 1), &v) != 0) {
            return false;
        }
    }
    return true;
}

static const struct sdp_rule {
    struct sl name;
    enum sdp_scope scope;
    sdp_check_fn *check;
    enum sdp_numbering numbering;
} rules[] = {
    {SL("rtpmap"), SCOPE_RTP, sdp_check_rtpmap, NUMBER_FIRST},
    {SL("fmtp"), SCOPE_RTP, sdp_check_fmtp, NUMBER_FMTP},
    {SL("ptime"), SCOPE_RTP, sdp_check_ptime, NUMBER_NONE},
    {SL("maxptime"), SCOPE_RTP, sdp_check_ptime, NUMBER_NONE},
    {SL("rtcp-fb"), SCOPE_AVPF, sdp_check_rtcp_fb, NUMBER_FIRST},
    {SL("framerate"), SCOPE_RTP, sdp_check_framerate, NUMBER_NONE},
    {SL("quality"), SCOPE_RTP, sdp_check_quality, NUMBER_NONE},
    {SL("silenceSupp"), SCOPE_RTP, sdp_check_words, NUMBER_NONE},
    {SL("zrtp-hash"), SCOPE_PLAIN, sdp_check_zrtp, NUMBER_NONE},
    {SL("content"), SCOPE_ANY, sdp_check_words, NUMBER_NONE},
    {SL("label"), SCOPE_ANY, sdp_check_word, NUMBER_NONE},
    {SL("lang"), SCOPE_ANY, sdp_check_word, NUMBER_NONE},
    {SL("T38FaxVersion"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38MaxBitRate"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxFillBitRemoval"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxTranscodingMMR"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxTranscodingJBIG"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxRateManagement"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxMaxBuffer"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxMaxDatagram"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxMaxIFP"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxUdpEC"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38FaxUdpECDepth"), SCOPE_UDPTL, sdp_check_words, NUMBER_NONE},
    {SL("T38FaxUdpFECMaxSpan"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
    {SL("T38ModemType"), SCOPE_UDPTL, sdp_check_t38, NUMBER_NONE},
};

static const struct sdp_rule *sdp_rule_find(struct sl name)
{
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (sl_ieq(rules[i].name, name)) {
            return &rules[i];
        }
    }
    return NULL;
}

static bool sdp_rule_fits(const struct sdp_rule *r, const struct sdp_passage *p)
{
    switch (r->scope) {
    case SCOPE_RTP:
        return sdp_proto_is_rtp(p->proto);
    case SCOPE_PLAIN: /* our end of an encrypted leg is not the end that the other side meant */
        return sdp_proto_is_plain(p->proto) && sdp_proto_is_plain(p->from->proto) && !p->is_secured;
    case SCOPE_AVPF:
        return sdp_proto_has_feedback(p->proto) && sdp_proto_has_feedback(p->from->proto);
    case SCOPE_UDPTL:
        return p->proto == SDP_UDPTL;
    case SCOPE_ANY:
        break;
    }
    return true;
}

bool sdp_rule_knows(struct sl name)
{
    return sdp_rule_find(name) != NULL;
}

static bool sdp_map_number(const struct sdp_passage *p, struct sl from, uint8_t *to)
{
    uint32_t pt;

    if (sl_u32(from, SDP_PT_MAX, &pt) != 0) {
        return false;
    }
    for (size_t i = 0; i < p->n_formats; i++) {
        if (!p->formats[i].own && p->formats[i].from == pt) {
            *to = p->formats[i].to;
            return true;
        }
    }
    return false;
}

/* Parameters as they are, but for the number that rtx repeats (RFC 4588 8.1). */
static void sdp_put_params(struct buf *b, const struct sdp_passage *p, struct sl params)
{
    struct sl rest = params, apt;
    uint8_t to;

    if (sl_istarts(params, SL("apt="))) {
        rest = sl_from(params, sizeof("apt=") - 1);
        if (sl_next(&rest, ';', &apt) == 0 && sdp_map_number(p, sl_trim(apt), &to)) {
            buf_putf(b, "apt=%u", (unsigned)to);
            if (rest.n != 0) {
                buf_putc(b, ';');
                buf_putsl(b, rest);
            }
            return;
        }
    }
    buf_putsl(b, params);
}

static void sdp_put_numbered(struct buf *b, const struct sdp_passage *p, const struct sdp_rule *r,
                             struct sl value)
{
    struct sl first;
    uint8_t to = 0;

    if (!sdp_token(&value, &first)) {
        return;
    }
    if (!sl_eq(first, SL("*")) && !sdp_map_number(p, first, &to)) {
        return;
    }
    BUF_LIT(b, "a=");
    buf_putsl(b, r->name);
    buf_putc(b, ':');
    if (sl_eq(first, SL("*"))) {
        buf_putc(b, '*');
    } else {
        buf_putu(b, to);
    }
    buf_putc(b, ' ');
    if (r->numbering == NUMBER_FMTP) {
        sdp_put_params(b, p, sl_trim(value));
    } else {
        buf_putsl(b, sl_trim(value));
    }
    BUF_LIT(b, "\r\n");
}

void sdp_rule_put(struct buf *b, const struct sdp_passage *p, struct sl attr)
{
    struct sl value;
    const struct sdp_rule *r = sdp_rule_find(sdp_attr_split(attr, &value));

    if (r == NULL || !sdp_rule_fits(r, p) || !r->check(p->from, value)) {
        return;
    }
    if (r->numbering != NUMBER_NONE && p->formats != NULL) {
        sdp_put_numbered(b, p, r, value);
        return;
    }
    BUF_LIT(b, "a=");
    buf_putsl(b, r->name);
    if (value.n != 0) {
        buf_putc(b, ':');
        buf_putsl(b, value);
    }
    BUF_LIT(b, "\r\n");
}
