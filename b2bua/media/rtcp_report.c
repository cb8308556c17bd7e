/* rtcp_report.c - what the far ends say about what we send them (RFC 3550 6.4), and the round trip
 * to each of them: a report that crossed us on its way there, and the answer that names it. */
#include "media/stage_int.h"

#define REPORT_SR_BLOCKS 28
#define REPORT_RR_BLOCKS 8
#define REPORT_BLOCK 24
#define REPORT_XR_METRICS 7
#define REPORT_XR_METRICS_BYTES 36
#define REPORT_RTT_MAX_MS 10000 /* more is no round trip but a mistake */

void media_report_sent(struct media_side *to, uint32_t ntp, int64_t now_ms)
{
    struct media_report *r = &to->report;

    r->sent[r->next].ntp = ntp;
    r->sent[r->next].at_ms = now_ms;
    r->next = (uint8_t)((r->next + 1) % COUNT_OF(r->sent));
}

static void report_rtt(struct media_report *r, uint32_t lsr, uint32_t dlsr, int64_t now_ms)
{
    for (size_t i = 0; lsr != 0 && i < COUNT_OF(r->sent); i++) {
        int64_t rtt_ms = now_ms - r->sent[i].at_ms - (int64_t)((uint64_t)dlsr * 1000 / 65536);

        if (r->sent[i].at_ms != 0 && r->sent[i].ntp == lsr && rtt_ms < REPORT_RTT_MAX_MS) {
            r->rtt_us = rtt_ms > 0 ? (uint32_t)rtt_ms * 1000 : 1;
            return;
        }
    }
}

static int32_t report_lost(const uint8_t *p) /* 24 bits, signed */
{
    uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

    return (int32_t)(v << 8) >> 8;
}

static void report_block(struct media_side *s, const uint8_t *b, int64_t now_ms)
{
    struct media_report *r = &s->report;

    if (!s->has_out || rtp_u32(b) != s->out_ssrc) {
        return;
    }
    r->has_far = true;
    r->far_fraction_lost = b[4];
    r->far_lost = report_lost(b + 5);
    r->far_jitter = rtp_u32(b + 12);
    report_rtt(r, rtp_u32(b + 16), rtp_u32(b + 20), now_ms);
}

/* 1.0 to 5.0; anything else, as 127 for "unavailable", says nothing. */
static uint8_t report_mos(uint8_t v)
{
    return v >= 10 && v <= 50 ? v : 0;
}

/* RFC 3611 4.7: what their ears have of the stream that we send, behind their jitter buffer. */
static void report_metrics(struct media_side *s, const uint8_t *b)
{
    struct media_report *r = &s->report;

    if (s->has_out && rtp_u32(b + 4) == s->out_ssrc) {
        r->has_metrics = true;
        r->far_discarded = b[9];
        r->far_mos_lq = report_mos(b[26]);
        r->far_mos_cq = report_mos(b[27]);
    }
}

static void report_extended(struct media_side *s, const struct rtcp_packet *r)
{
    size_t at = REPORT_RR_BLOCKS;

    while (at + 4 <= r->body) {
        size_t n = 4 * ((size_t)rtp_u16(r->p + at + 2) + 1);

        if (n > r->body - at) {
            return;
        }
        if (r->p[at] == REPORT_XR_METRICS && n == REPORT_XR_METRICS_BYTES) {
            report_metrics(s, r->p + at);
        }
        at += n;
    }
}

void media_report_note(struct media_side *s, const struct rtcp_packet *r, int64_t now_ms)
{
    size_t at = r->type == RTCP_SR ? REPORT_SR_BLOCKS : REPORT_RR_BLOCKS;

    if (r->type == RTCP_XR) {
        report_extended(s, r);
    }
    if (r->type != RTCP_SR && r->type != RTCP_RR) {
        return;
    }
    for (uint8_t i = 0; i < r->count && at + REPORT_BLOCK <= r->body; i++, at += REPORT_BLOCK) {
        report_block(s, r->p + at, now_ms);
    }
}
