/* rtp.c - what a packet on a media port is, and what its sequence says about loss and jitter
 * (RFC 3550 A.1, A.3, A.8). Nothing read here is trusted beyond the packet's own length. */
#include "media/media_int.h"

#define RTP_HEADER 12
#define RTP_DROPOUT_MAX 3000 /* RFC 3550 A.1 */
#define RTP_MISORDER_MAX 100
#define RTP_NO_BAD_SEQ 0x10000u /* no sequence number has this value */

static uint16_t rtp_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t rtp_u32(const uint8_t *p)
{
    return (uint32_t)rtp_u16(p) << 16 | rtp_u16(p + 2);
}

/* Header, sources, extension and padding all within the packet. */
static bool rtp_is_sound(const uint8_t *p, size_t n)
{
    size_t need = RTP_HEADER + 4 * (size_t)(p[0] & 15);

    if (n < RTP_HEADER || n < need) {
        return false;
    }
    if ((p[0] & 0x10) != 0) {
        if (n < need + 4) {
            return false;
        }
        need += 4 + 4 * (size_t)rtp_u16(p + need + 2);
    }
    if ((p[0] & 0x20) != 0) {
        if (n <= need || p[n - 1] == 0) {
            return false;
        }
        need += p[n - 1];
    }
    return n >= need;
}

/* RFC 6189 5: a ZRTP packet is told from RTP by its first bits and a cookie. */
static bool rtp_is_zrtp(const uint8_t *p, size_t n)
{
    return n >= RTP_HEADER + 4 && p[0] >> 4 == 1 && memcmp(p + 4, "ZRTP", 4) == 0;
}

/* RFC 5761 4: with RTCP on the same port packet types 192 to 223 are not payload types. */
static bool rtp_is_rtcp_type(uint8_t type)
{
    return type >= 192 && type <= 223;
}

enum media_class media_classify_rtcp(const uint8_t *p, size_t n)
{
    /* The first length only: what SRTCP adds behind it follows other rules. */
    if (n < 8 || p[0] >> 6 != 2 || !rtp_is_rtcp_type(p[1]) ||
        4 * ((size_t)rtp_u16(p + 2) + 1) > n) {
        return MEDIA_CLASS_BAD;
    }
    return MEDIA_CLASS_RTCP;
}

enum media_class media_classify_rtp(const uint8_t *p, size_t n, bool mux)
{
    if (n < 2) {
        return MEDIA_CLASS_BAD;
    }
    if (p[0] >> 6 != 2) { /* STUN, DTLS and TURN are nobody's here (RFC 7983 7) */
        return rtp_is_zrtp(p, n) ? MEDIA_CLASS_OPAQUE : MEDIA_CLASS_BAD;
    }
    if (mux && rtp_is_rtcp_type(p[1])) {
        return media_classify_rtcp(p, n);
    }
    return rtp_is_sound(p, n) ? MEDIA_CLASS_RTP : MEDIA_CLASS_BAD;
}

/* --- the sequence of one source --- */

static uint32_t rtp_clock(uint8_t payload_type) /* RFC 3551 tables 4 and 5; the rest unknown */
{
    static const uint32_t clocks[35] = {
        [6] = 16000,  [10] = 44100, [11] = 44100, [14] = 90000, [16] = 11025,
        [17] = 22050, [25] = 90000, [26] = 90000, [28] = 90000, [31] = 90000,
        [32] = 90000, [33] = 90000, [34] = 90000,
    };

    return payload_type < COUNT_OF(clocks) && clocks[payload_type] != 0 ? clocks[payload_type]
                                                                        : 8000;
}

static uint32_t track_lost_now(const struct media_track *t)
{
    uint32_t expected = t->cycles + t->max_seq - t->base + 1;

    /* Duplicates are counted as received, so the difference may fall below zero. */
    return t->started && (int32_t)(expected - t->received) > 0 ? expected - t->received : 0;
}

static void track_restart(struct media_track *t, uint32_t ssrc, uint16_t seq)
{
    *t = (struct media_track){.lost_before = t->lost_before + track_lost_now(t),
                              .ssrc = ssrc,
                              .base = seq,
                              .max_seq = seq,
                              .bad_seq = RTP_NO_BAD_SEQ,
                              .jitter_q4 = t->jitter_q4,
                              .payload_type = t->payload_type,
                              .started = true};
}

/* False: the packet counts for nothing yet (the first after a jump). */
static bool track_seq(struct media_track *t, uint32_t ssrc, uint16_t seq)
{
    uint16_t ahead = (uint16_t)(seq - t->max_seq);

    if (!t->started || ssrc != t->ssrc) {
        track_restart(t, ssrc, seq);
    } else if (ahead < RTP_DROPOUT_MAX) {
        t->cycles += seq < t->max_seq ? 0x10000 : 0;
        t->max_seq = seq;
    } else if (ahead <= 0x10000 - RTP_MISORDER_MAX) {
        if (seq != t->bad_seq) {
            t->bad_seq = (uint16_t)(seq + 1);
            return false;
        }
        track_restart(t, ssrc, seq); /* two in a row: the sender started anew */
    }
    t->received++;
    return true;
}

static void track_jitter(struct media_track *t, uint32_t ts, int64_t now_ms)
{
    uint32_t arrival = (uint32_t)(now_ms * rtp_clock(t->payload_type) / 1000);
    uint32_t transit = arrival - ts;
    int32_t d = (int32_t)(transit - t->transit);

    /* A frame in several packets and a DTMF event (RFC 4733 2.5.1) repeat their time stamp: only
     * the first of them was sent at that time. */
    if (t->has_transit && ts == t->last_ts) {
        return;
    }
    if (t->has_transit && d != INT32_MIN) {
        t->jitter_q4 += (uint32_t)(d < 0 ? -d : d) - ((t->jitter_q4 + 8) >> 4);
    }
    t->transit = transit;
    t->last_ts = ts;
    t->has_transit = true;
}

void media_track_note(struct media_track *t, const uint8_t *p, int64_t now_ms)
{
    uint8_t payload_type = p[1] & 0x7f;

    if (!track_seq(t, rtp_u32(p + 8), rtp_u16(p + 2))) {
        return;
    }
    if (payload_type != t->payload_type) {
        t->payload_type = payload_type;
        t->has_transit = false; /* another clock, perhaps */
    }
    track_jitter(t, rtp_u32(p + 4), now_ms);
}

uint64_t media_track_lost(const struct media_track *t)
{
    return t->lost_before + track_lost_now(t);
}

uint32_t media_track_jitter_us(const struct media_track *t)
{
    return (uint32_t)((uint64_t)t->jitter_q4 * 1000000 / 16 / rtp_clock(t->payload_type));
}
