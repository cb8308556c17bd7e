/* rtcp.c - RTCP across the relay: a compound is checked against its own bounds, looked at, parted
 * among the streams of a shared transport, and written anew for the other side: without feedback
 * that an AVP peer does not know (RFC 4585), with the names that side knows (rtcp_names.c) and
 * without those of people and hosts (rtcp_hide.c). A BYE is relayed and ends nothing. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define RTCP_HEADER 4
#define RTCP_BLOCK 24    /* report block */
#define RTCP_SR_FIXED 28 /* header, SSRC, sender info */
#define RTCP_RR_FIXED 8

static size_t rtcp_least(uint8_t type, uint8_t count)
{
    switch (type) {
    case RTCP_SR:
        return RTCP_SR_FIXED + RTCP_BLOCK * (size_t)count;
    case RTCP_RR:
        return RTCP_RR_FIXED + RTCP_BLOCK * (size_t)count;
    case RTCP_SDES:
    case RTCP_BYE:
        return RTCP_HEADER + 4 * (size_t)count; /* one SSRC each */
    case RTCP_APP:
    case RTCP_RTPFB:
    case RTCP_PSFB:
        return 12;
    case RTCP_XR:
        return 8;
    default:
        return RTCP_HEADER;
    }
}

/* The packet at p, of at most n bytes; 0: none. */
static size_t rtcp_len(const uint8_t *p, size_t n)
{
    size_t len = n >= RTCP_HEADER ? 4 * ((size_t)rtp_u16(p + 2) + 1) : 0;

    if (len == 0 || len > n || p[0] >> 6 != 2 || p[1] < 192 || p[1] > 223) {
        return 0;
    }
    return len;
}

bool media_rtcp_is_sound(const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t len = rtcp_len(p + at, n - at), pad = 0;

        if (len == 0) {
            return false;
        }
        if ((p[at] & RTCP_PADDED) != 0) {
            pad = p[at + len - 1];
            if (at + len != n || pad == 0 || pad % 4 != 0 || pad > len - RTCP_HEADER) {
                return false;
            }
        }
        if (len - pad < rtcp_least(p[at + 1], p[at] & 31)) {
            return false;
        }
        at += len;
    }
    return n != 0;
}

bool media_rtcp_next(uint8_t *p, size_t n, size_t *at, struct rtcp_packet *out)
{
    size_t len = *at < n ? rtcp_len(p + *at, n - *at) : 0;

    if (len == 0) {
        return false;
    }
    *out = (struct rtcp_packet){.p = p + *at, .n = len, .type = p[*at + 1], .count = p[*at] & 31};
    if ((p[*at] & RTCP_PADDED) != 0) {
        out->body = len - p[*at + len - 1];
    } else {
        out->body = len;
    }
    *at += len;
    return true;
}

/* --- what one stream sends --- */

static bool rtcp_may_go(struct media_side *to, const struct rtcp_packet *r)
{
    if (to->avpf || (r->type != RTCP_RTPFB && r->type != RTCP_PSFB)) {
        return true;
    }
    to->count.feedback_filtered++;
    return false;
}

struct rtcp_sent {
    bool has_sr;
    uint32_t ntp;
};

/* Writes in place what the other side gets. */
static void rtcp_rewrite(struct media_side *s, struct media_pkt *pkt, struct rtcp_sent *sent)
{
    struct media_side *to = media_side_other(s);
    struct rtcp_packet r;
    size_t at = 0, n = 0;

    while (media_rtcp_next(pkt->p, pkt->n, &at, &r)) {
        media_report_note(s, &r, pkt->now_ms);
        if (!rtcp_may_go(to, &r) || !media_rtcp_hide(s, &r)) {
            continue;
        }
        media_rtcp_translate(s, &r);
        memmove(pkt->p + n, r.p, r.n);
        if (r.type == RTCP_SR) {
            sent->has_sr = true;
            sent->ntp = rtp_u32(pkt->p + n + 10); /* the middle of the time stamp */
        }
        n += r.n;
    }
    pkt->n = n;
}

static void rtcp_forward(struct media_side *s, struct media_pkt *pkt)
{
    struct media_side *to = media_side_other(s);
    struct rtcp_sent sent = {0};

    s->count.rtcp_rx++;
    if (s->stream->has_zrtp) { /* their SRTCP: only its first header is to be read */
        (void)media_send(to, pkt);
        return;
    }
    rtcp_rewrite(s, pkt, &sent);
    if (pkt->n != 0 && media_send(to, pkt) && sent.has_sr) {
        media_report_sent(to, sent.ntp, pkt->now_ms);
    }
}

/* --- which stream --- */

static bool rtcp_is_report(const uint8_t *p)
{
    return p[1] == RTCP_SR || p[1] == RTCP_RR;
}

/* Of a report's blocks those about one stream, as each far end knows its own only. Whose stream the
 * sender's is has its sender information, too. Returns what was written; 0: nothing is its own. */
static size_t rtcp_part_report(struct media_side *at, const struct media_side *whose,
                               const struct rtcp_packet *r, uint8_t *dst)
{
    bool is_owner = media_bundle_find_rtcp(at, r) == whose;
    size_t from = r->type == RTCP_SR ? RTCP_SR_FIXED : RTCP_RR_FIXED;
    size_t n = is_owner ? from : RTCP_RR_FIXED, head = n;
    uint8_t count = 0;

    for (size_t i = from; i < from + (size_t)r->count * RTCP_BLOCK && i + RTCP_BLOCK <= r->body;
         i += RTCP_BLOCK) {
        const struct media_side *about = media_bundle_receiver(at->bundle, rtp_u32(r->p + i));

        if (about == whose || (about == NULL && is_owner)) {
            memcpy(dst + n, r->p + i, RTCP_BLOCK);
            n += RTCP_BLOCK;
            count++;
        }
    }
    if (is_owner && count == r->count) { /* all of it, with what a profile may have added */
        memcpy(dst, r->p, r->n);
        return r->n;
    }
    if (!is_owner && count == 0) {
        return 0;
    }
    memcpy(dst, r->p, head);
    dst[0] = (uint8_t)(0x80 | count);
    dst[1] = head == RTCP_SR_FIXED ? RTCP_SR : RTCP_RR;
    rtp_put16(dst + 2, (uint16_t)(n / 4 - 1));
    return n;
}

/* Copies what belongs to one stream. A compound begins with a report (RFC 3550 6.1): if none is
 * left, an empty one. */
static size_t rtcp_gather(struct media_side *at, const struct media_side *whose,
                          const struct media_pkt *pkt, uint8_t *dst)
{
    struct rtcp_packet r;
    size_t i = 0, n = 0;

    while (media_rtcp_next(pkt->p, pkt->n, &i, &r)) {
        if (rtcp_is_report(r.p)) {
            n += rtcp_part_report(at, whose, &r, dst + n);
            continue;
        }
        if (media_bundle_find_rtcp(at, &r) != whose) {
            continue;
        }
        if (n == 0 && r.n >= RTCP_RR_FIXED) {
            memcpy(dst, "\x80\xc9\x00\x01", RTCP_HEADER);
            memcpy(dst + RTCP_HEADER, r.p + RTCP_HEADER, 4);
            n = RTCP_RR_FIXED;
        }
        memcpy(dst + n, r.p, r.n);
        n += r.n;
    }
    return n;
}

static void rtcp_part(struct media_side *at, const struct media_pkt *pkt)
{
    _Alignas(8) uint8_t part[MEDIA_PKT_ROOM + RTCP_RR_FIXED];

    for (uint8_t i = 0; i < at->bundle->n; i++) {
        struct media_side *s = at->bundle->member[i].side;
        struct media_pkt one = *pkt;

        one.p = part;
        one.n = rtcp_gather(at, s, pkt, part);
        if (one.n != 0 && one.n <= MEDIA_PKT_MAX) {
            rtcp_forward(s, &one);
        }
    }
}

void media_rtcp_relay(struct media_side *at, struct media_pkt *pkt)
{
    if (!at->stream->has_zrtp && !media_rtcp_is_sound(pkt->p, pkt->n)) {
        (void)media_drop(at, MEDIA_DROP_MALFORMED, pkt->now_ms);
        return;
    }
    if (at->bundle != NULL) {
        rtcp_part(at, pkt);
    } else {
        rtcp_forward(at, pkt);
    }
}
