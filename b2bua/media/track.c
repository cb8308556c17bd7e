/* track.c - the sequence of one source: what was lost, what came late, again or out of order, and
 * how evenly (RFC 3550 A.1, A.3, A.8). */
#include "media/rtp_int.h"

#define TRACK_DROPOUT_MAX 3000 /* RFC 3550 A.1 */
#define TRACK_MISORDER_MAX 100
#define TRACK_NO_BAD_SEQ 0x10000u /* no sequence number has this value */
#define TRACK_SEEN 64             /* bits that remember which numbers came */
#define TRACK_LATE_PER_S 10       /* a tenth of a second behind: no jitter buffer waits longer */

static uint32_t track_expected_now(const struct media_track *t)
{
    return t->started ? t->cycles + t->max_seq - t->base + 1 : 0;
}

static uint32_t track_lost_now(const struct media_track *t)
{
    uint32_t expected = track_expected_now(t);

    return expected > t->received ? expected - t->received : 0;
}

static void track_restart(struct media_track *t, uint32_t ssrc, uint16_t seq)
{
    struct media_track was = *t;

    *t = (struct media_track){.ssrc = ssrc,
                              .base = seq,
                              .max_seq = seq,
                              .seen = 1,
                              .received = 1,
                              .bad_seq = TRACK_NO_BAD_SEQ,
                              .jitter_q4 = was.jitter_q4,
                              .clock_hz = was.clock_hz,
                              .payload_type = was.payload_type,
                              .started = true,
                              .reordered = was.reordered,
                              .late = was.late,
                              .duplicates = was.duplicates,
                              .expected_before = media_track_expected(&was),
                              .received_before = was.received_before + was.received,
                              .lost_before = was.lost_before + track_lost_now(&was)};
}

static enum media_seen track_ahead(struct media_track *t, uint16_t seq, uint16_t ahead)
{
    t->cycles += seq < t->max_seq ? 0x10000 : 0;
    t->max_seq = seq;
    t->seen = ahead < TRACK_SEEN ? t->seen << ahead | 1 : 1;
    t->received++;
    return MEDIA_SEEN_NEXT;
}

static enum media_seen track_behind(struct media_track *t, uint16_t behind, uint32_t ts)
{
    uint64_t bit = behind < TRACK_SEEN ? (uint64_t)1 << behind : 0;
    uint32_t expected = track_expected_now(t);

    if ((t->seen & bit) != 0) {
        t->duplicates++;
        return MEDIA_SEEN_DUPLICATE;
    }
    t->seen |= bit;
    if (behind < expected) { /* what came before the first was never expected */
        t->received++;
    }
    if (bit == 0 || (int32_t)(t->last_ts - ts) > (int32_t)(t->clock_hz / TRACK_LATE_PER_S)) {
        t->late++;
        return MEDIA_SEEN_LATE;
    }
    t->reordered++;
    return MEDIA_SEEN_REORDERED;
}

static enum media_seen track_seq(struct media_track *t, const uint8_t *p)
{
    uint16_t seq = rtp_seq(p), ahead = (uint16_t)(seq - t->max_seq);

    if (!t->started || rtp_ssrc(p) != t->ssrc) {
        track_restart(t, rtp_ssrc(p), seq);
        return MEDIA_SEEN_RESTART;
    }
    if (ahead == 0 || ahead > 0x10000 - TRACK_MISORDER_MAX) {
        return track_behind(t, (uint16_t)-ahead, rtp_ts(p));
    }
    if (ahead < TRACK_DROPOUT_MAX) {
        return track_ahead(t, seq, ahead);
    }
    if (seq != t->bad_seq) {
        t->bad_seq = (uint16_t)(seq + 1);
        return MEDIA_SEEN_JUMP;
    }
    track_restart(t, t->ssrc, seq); /* two in a row: the sender started anew */
    return MEDIA_SEEN_RESTART;
}

static void track_jitter(struct media_track *t, uint32_t ts, int64_t now_ms)
{
    uint32_t arrival = (uint32_t)(now_ms * t->clock_hz / 1000);
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
    t->has_transit = true;
}

/* Another clock: what was measured by the old one is turned into its units. */
static void track_set_format(struct media_track *t, uint8_t payload_type, uint32_t clock_hz)
{
    if (payload_type != t->payload_type) {
        t->payload_type = payload_type;
        t->has_transit = false;
    }
    if (clock_hz != t->clock_hz) {
        t->jitter_q4 = t->clock_hz != 0
                           ? (uint32_t)((uint64_t)t->jitter_q4 * clock_hz / t->clock_hz)
                           : t->jitter_q4;
        t->clock_hz = clock_hz;
        t->has_transit = false;
    }
}

enum media_seen media_track_note(struct media_track *t, const uint8_t *p, uint32_t clock_hz,
                                 int64_t now_ms)
{
    uint8_t payload_type = p[1] & RTP_PT_MASK;
    enum media_seen seen;

    if (UNLIKELY(t->clock_hz == 0)) {
        t->clock_hz = clock_hz != 0 ? clock_hz : media_rtp_clock(payload_type);
    }
    seen = track_seq(t, p);
    if (seen == MEDIA_SEEN_JUMP || seen == MEDIA_SEEN_DUPLICATE) {
        return seen;
    }
    if (seen == MEDIA_SEEN_NEXT || seen == MEDIA_SEEN_RESTART) {
        track_set_format(t, payload_type, clock_hz != 0 ? clock_hz : media_rtp_clock(payload_type));
        track_jitter(t, rtp_ts(p), now_ms);
        t->last_ts = rtp_ts(p);
    } else {
        track_jitter(t, rtp_ts(p), now_ms);
    }
    return seen;
}

uint64_t media_track_lost(const struct media_track *t)
{
    return t->lost_before + track_lost_now(t);
}

uint32_t media_track_expected(const struct media_track *t)
{
    return t->expected_before + track_expected_now(t);
}

uint32_t media_track_in_time(const struct media_track *t)
{
    uint32_t received = t->received_before + t->received;

    return received > t->late ? received - t->late : 0;
}

uint32_t media_track_jitter_us(const struct media_track *t)
{
    return t->clock_hz != 0 ? (uint32_t)((uint64_t)t->jitter_q4 * 1000000 / 16 / t->clock_hz) : 0;
}
