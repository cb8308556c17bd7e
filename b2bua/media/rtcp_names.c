/* rtcp_names.c - RTCP in the names of the other side (RFC 3550 7.2): where remap.c gave a stream
 * another SSRC or other sequence numbers, what is said about it has to agree. */
#include "media/stage_int.h"

#define NAMES_NACK 1 /* RTPFB formats (RFC 4585 6.2.1, RFC 5104 4.2) */
#define NAMES_TMMBR 3
#define NAMES_TMMBN 4
#define NAMES_FIR 4 /* a PSFB format (RFC 5104 4.3.1) */

struct names {
    const struct media_remap *own; /* of streams that the sender of the packet sends */
    const struct media_remap *far; /* of those that it receives */
};

static void names_own(const struct names *m, uint8_t *ssrc)
{
    const struct remap_source *src = media_remap_by_in(m->own, rtp_u32(ssrc));

    if (src != NULL) {
        rtp_put32(ssrc, src->out_ssrc);
    }
}

/* Returns how much its numbers were raised. */
static int16_t names_far(const struct names *m, uint8_t *ssrc)
{
    const struct remap_source *src = media_remap_by_out(m->far, rtp_u32(ssrc));

    if (src == NULL) {
        return 0;
    }
    rtp_put32(ssrc, src->in_ssrc);
    return src->bound[0].offset;
}

static void names_blocks(const struct names *m, struct rtcp_packet *r, size_t at)
{
    for (uint8_t i = 0; i < r->count && at + 24 <= r->body; i++, at += 24) {
        int16_t offset = names_far(m, r->p + at);

        rtp_put32(r->p + at + 8, rtp_u32(r->p + at + 8) - (uint32_t)(int32_t)offset);
    }
}

static void names_sender(const struct names *m, struct rtcp_packet *r)
{
    const struct remap_source *src = media_remap_by_in(m->own, rtp_u32(r->p + 4));

    if (src != NULL) { /* counts of what the other side was sent */
        rtp_put32(r->p + 20, rtp_u32(r->p + 20) + (uint32_t)src->packets);
        rtp_put32(r->p + 24, rtp_u32(r->p + 24) + (uint32_t)src->octets);
    }
}

/* Behind the items of a chunk and its padding (RFC 3550 6.5); 0: malformed. */
static size_t names_chunk_end(const struct rtcp_packet *r, size_t at)
{
    at += 4;
    while (at + 1 < r->body && r->p[at] != 0) {
        at += 2 + (size_t)r->p[at + 1];
    }
    return at < r->body ? (at + 4) & ~(size_t)3 : 0;
}

static void names_sdes(const struct names *m, struct rtcp_packet *r)
{
    size_t at = 4;

    for (uint8_t i = 0; i < r->count && at != 0 && at + 4 <= r->body; i++) {
        names_own(m, r->p + at);
        at = names_chunk_end(r, at);
    }
}

static void names_bye(const struct names *m, struct rtcp_packet *r)
{
    for (uint8_t i = 0; i < r->count && 8 + 4 * (size_t)i <= r->body; i++) {
        names_own(m, r->p + 4 + 4 * (size_t)i);
    }
}

static void names_feedback(const struct names *m, struct rtcp_packet *r)
{
    int16_t offset;

    names_own(m, r->p + 4);
    offset = names_far(m, r->p + 8);
    for (size_t at = 12; r->type == RTCP_RTPFB && r->count == NAMES_NACK && at + 4 <= r->body;
         at += 4) {
        rtp_put16(r->p + at, (uint16_t)(rtp_u16(r->p + at) - offset));
    }
    if ((r->type == RTCP_RTPFB && (r->count == NAMES_TMMBR || r->count == NAMES_TMMBN)) ||
        (r->type == RTCP_PSFB && r->count == NAMES_FIR)) {
        for (size_t at = 12; at + 8 <= r->body; at += 8) {
            (void)names_far(m, r->p + at);
        }
    }
}

static void names_xr_block(const struct names *m, uint8_t *p, size_t n)
{
    switch (p[0]) {
    case 1: /* RFC 3611 4.1 to 4.3: run lengths and receipt times of one source */
    case 2:
    case 3:
    case 6: /* statistics, VoIP metrics */
    case 7:
        if (n >= 8) {
            (void)names_far(m, p + 4);
        }
        break;
    case 5: /* DLRR: of several */
        for (size_t at = 4; at + 12 <= n; at += 12) {
            (void)names_far(m, p + at);
        }
        break;
    default:
        break;
    }
}

static void names_xr(const struct names *m, struct rtcp_packet *r)
{
    size_t at = 8;

    names_own(m, r->p + 4);
    while (at + 4 <= r->body) {
        size_t n = 4 * ((size_t)rtp_u16(r->p + at + 2) + 1);

        if (n > r->body - at) {
            return;
        }
        names_xr_block(m, r->p + at, n);
        at += n;
    }
}

void media_rtcp_translate(struct media_side *from, struct rtcp_packet *r)
{
    struct names m = {.own = from->remap, .far = media_side_other(from)->remap};

    if ((m.own == NULL || m.own->n == 0) && (m.far == NULL || m.far->n == 0)) {
        return;
    }
    switch (r->type) {
    case RTCP_SR:
        names_sender(&m, r);
        names_own(&m, r->p + 4);
        names_blocks(&m, r, 28);
        break;
    case RTCP_RR:
        names_own(&m, r->p + 4);
        names_blocks(&m, r, 8);
        break;
    case RTCP_SDES:
        names_sdes(&m, r);
        break;
    case RTCP_BYE:
        names_bye(&m, r);
        break;
    case RTCP_APP:
        names_own(&m, r->p + 4);
        break;
    case RTCP_RTPFB:
    case RTCP_PSFB:
        names_feedback(&m, r);
        break;
    case RTCP_XR:
        names_xr(&m, r);
        break;
    default:
        break;
    }
}
