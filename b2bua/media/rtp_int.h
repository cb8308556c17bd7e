/* rtp_int.h - RTP as the files of media/ see it: what a packet is, the sequence of one source, and
 * what a listener would make of it. Pure. */
#ifndef POSTERN_MEDIA_RTP_INT_H
#define POSTERN_MEDIA_RTP_INT_H

#include "base/base.h"
#include "media/media_stats.h"
#include "media/media_stream.h"

#define RTP_HEADER 12
#define RTP_PT_MASK 0x7f
#define RTP_MARKER 0x80

static inline uint16_t rtp_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t rtp_u32(const uint8_t *p)
{
    return (uint32_t)rtp_u16(p) << 16 | rtp_u16(p + 2);
}
static inline void rtp_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void rtp_put32(uint8_t *p, uint32_t v)
{
    rtp_put16(p, (uint16_t)(v >> 16));
    rtp_put16(p + 2, (uint16_t)v);
}
static inline uint16_t rtp_seq(const uint8_t *p)
{
    return rtp_u16(p + 2);
}
static inline uint32_t rtp_ts(const uint8_t *p)
{
    return rtp_u32(p + 4);
}
static inline uint32_t rtp_ssrc(const uint8_t *p)
{
    return rtp_u32(p + 8);
}

/* --- rtp.c --- */
enum media_class {
    MEDIA_CLASS_BAD,
    MEDIA_CLASS_RTP,
    MEDIA_CLASS_RTCP,
    MEDIA_CLASS_OPAQUE, /* a datagram of a stream that is not RTP */
    MEDIA_CLASS_ZRTP,
    MEDIA_CLASS_STUN, /* this and the next serve the transport, not the other side */
    MEDIA_CLASS_DTLS
};
enum media_class media_classify_rtp(const uint8_t *p, size_t n, bool mux);
/* The same for SRTP: what its padding is, only the plain text tells; see media_rtp_is_sound(). */
enum media_class media_classify_srtp(const uint8_t *p, size_t n, bool mux);
/* Header, sources, extension and padding all lie within the packet. */
bool media_rtp_is_sound(const uint8_t *p, size_t n);
enum media_class media_classify_rtcp(const uint8_t *p, size_t n);
/* Behind header, sources and extension, without padding; nothing when the padding is a lie. */
struct sl media_rtp_payload(const uint8_t *p, size_t n);
uint32_t media_rtp_clock(uint8_t payload_type); /* RFC 3551 tables 4 and 5; 8000 for the rest */

/* --- track.c: the sequence of one source (RFC 3550 A.1, A.3, A.8) --- */
enum media_seen {
    MEDIA_SEEN_NEXT,      /* ahead of all others */
    MEDIA_SEEN_REORDERED, /* fills a hole, in time */
    MEDIA_SEEN_LATE,      /* too late to be heard */
    MEDIA_SEEN_DUPLICATE,
    MEDIA_SEEN_JUMP,   /* far off: counts for nothing unless the next one confirms it */
    MEDIA_SEEN_RESTART /* it did, or another SSRC */
};
struct media_track {
    uint64_t seen; /* bit i: max_seq - i came */
    uint32_t ssrc;
    uint32_t cycles;   /* 65536 for each wrap */
    uint32_t base;     /* first sequence number */
    uint32_t received; /* of this source, without duplicates */
    uint32_t bad_seq;  /* the number that would confirm a jump */
    uint32_t last_ts;
    uint32_t transit;
    uint32_t jitter_q4; /* RTP units times 16 */
    uint32_t clock_hz;
    uint16_t max_seq;
    uint8_t payload_type;
    bool started, has_transit;
    uint32_t reordered, late, duplicates;
    /* of earlier sources */
    uint32_t expected_before, received_before, lost_before;
};
/* clock_hz 0: by RFC 3551. */
enum media_seen media_track_note(struct media_track *t, const uint8_t *p, uint32_t clock_hz,
                                 int64_t now_ms);
uint64_t media_track_lost(const struct media_track *t);
uint32_t media_track_jitter_us(const struct media_track *t);
uint32_t media_track_expected(const struct media_track *t); /* packets, of all sources */
uint32_t media_track_in_time(const struct media_track *t);  /* of these, what came in time */

/* --- quality.c: the E-model, in windows --- */
#define MEDIA_WINDOW_MS 5000

/* ITU-T G.107 narrowband with the figures of G.113: mouth-to-ear delay in ms, packets lost per
 * hundred. 1 to 4.5. */
double media_mos(double delay_ms, double loss_percent, enum media_codec codec);

struct media_mos_sum {
    uint16_t now, min; /* times 100 */
    uint32_t n;
    uint64_t sum;
};
struct media_quality {
    int64_t end_ms;             /* of the window; 0: none has begun */
    uint32_t expected, in_time; /* at its begin */
    struct media_mos_sum lq, cq;
};
struct media_listener { /* what a window needs to know beside the sequence */
    enum media_codec codec;
    uint32_t rtt_us; /* 0: not known */
    uint32_t ptime_ms;
};
/* Ends the window when it is over. Before the packet of now_ms is noted. */
static inline bool media_quality_is_due(const struct media_quality *q, int64_t now_ms)
{
    return now_ms >= q->end_ms;
}
void media_quality_tick(struct media_quality *q, const struct media_track *t,
                        const struct media_listener *l, int64_t now_ms);
/* Before the first window has ended: as if it ended now. */
void media_quality_read(const struct media_quality *q, const struct media_track *t,
                        const struct media_listener *l, struct media_mos *lq, struct media_mos *cq);

#endif
