/* relay.c - the way of one packet that io.c received:
 *
 *   classify (RFC 7983) -> source -> decrypt -> stream -> account -> payload type, DTMF -> numbers
 *                                                -> encrypt -> send            (RTP)
 *   classify -> source -> decrypt -> rtcp.c: account, filter, translate -> encrypt -> send
 *   STUN, DTLS: to the transport (checks.c, handshake.c)
 *
 * Every combination of protocols is one cell of the matrix below. SSRCs stay as they are. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define RELAY_BEHIND_MAX 128 /* as a replay window: what is further behind is a new beginning */

struct relay_way {
    bool (*open)(struct media_flow *f, struct media_pkt *pkt);
    bool (*seal)(struct media_side *to, const struct media_flow *f, struct media_pkt *pkt);
    bool is_way;   /* false: nothing passes */
    bool has_zrtp; /* ends that make their own keys (RFC 6189) are let through */
};

/* What comes in as ... and goes out as ... AVP and AVPF differ in RTCP only, see rtcp.c. */
static const struct relay_way relay_ways[MEDIA_N_WIRES][MEDIA_N_WIRES] = {
    [MEDIA_WIRE_PLAIN] = {[MEDIA_WIRE_PLAIN] = {NULL, NULL, true, true},
                          [MEDIA_WIRE_SRTP] = {NULL, media_secure_seal, true, false}},
    [MEDIA_WIRE_SRTP] = {[MEDIA_WIRE_PLAIN] = {media_secure_open, NULL, true, false},
                         [MEDIA_WIRE_SRTP] = {media_secure_open, media_secure_seal, true, false}},
    [MEDIA_WIRE_OPAQUE] = {[MEDIA_WIRE_OPAQUE] = {NULL, NULL, true, false}},
};

void media_side_rewire(struct media_side *s)
{
    if (s->sec != NULL) {
        s->wire = MEDIA_WIRE_SRTP;
    } else {
        s->wire = s->stream->kind == MEDIA_DATAGRAM ? MEDIA_WIRE_OPAQUE : MEDIA_WIRE_PLAIN;
    }
}

static const struct relay_way *relay_way(struct media_side *from)
{
    return &relay_ways[from->via->wire][media_side_other(from)->via->wire];
}

/* --- drops --- */

bool media_drop(struct media_side *s, enum media_drop why, int64_t now_ms)
{
    static const struct {
        size_t count;
        enum stat_id stat;
    } drops[MEDIA_N_DROPS] = {
#define DROP(field, stat) {offsetof(struct media_counters, field), STAT_##stat}
        [MEDIA_DROP_STRANGER] = DROP(strangers, RTP_STRANGER),
        [MEDIA_DROP_MALFORMED] = DROP(malformed, RTP_BAD),
        [MEDIA_DROP_AUTH] = DROP(auth_failed, SRTP_AUTH),
        [MEDIA_DROP_REPLAY] = DROP(replayed, SRTP_REPLAY),
        [MEDIA_DROP_SSRC] = DROP(too_many_ssrcs, SRTP_SSRC),
        [MEDIA_DROP_NO_KEYS] = DROP(no_keys, RTP_NO_KEYS),
        [MEDIA_DROP_NO_DESTINATION] = DROP(no_destination, RTP_NO_PEER),
        [MEDIA_DROP_SEND] = DROP(send_failed, RTP_SEND_FAIL),
        [MEDIA_DROP_WRONG_PT] = {0, STAT_RTP_WRONG_PT},
        [MEDIA_DROP_SWALLOWED] = {0, STAT_N},
#undef DROP
    };

    if (why <= MEDIA_DROP_SEND && why != MEDIA_DROP_WRONG_PT) {
        uint32_t *count = (uint32_t *)(void *)((char *)&s->count + drops[why].count);

        ++*count;
    }
    if (drops[why].stat != STAT_N) {
        stat_inc(drops[why].stat);
    }
    if (why == MEDIA_DROP_STRANGER) {
        s->at.stranger_ms = now_ms;
    } else if (why == MEDIA_DROP_AUTH) {
        s->at.auth_failed_ms = now_ms;
    }
    return false;
}

/* --- in --- */

/* Some send RTCP to the media port though nobody agreed to that. As RTP it would be a new source
 * each time; the payload types that it would have are kept free for this (RFC 3551 6). */
static bool relay_is_unasked_rtcp(const struct media_pkt *pkt)
{
    return pkt->p[1] >= RTCP_SR && pkt->p[1] <= RTCP_APP && media_rtcp_is_sound(pkt->p, pkt->n);
}

static enum media_class relay_classify(const struct media_flow *f, const struct media_pkt *pkt)
{
    const struct media_side *side = f->side;
    enum media_class class;

    if (pkt->n == 0 || pkt->n > MEDIA_PKT_MAX) {
        return MEDIA_CLASS_BAD;
    }
    if (side->stream->kind == MEDIA_DATAGRAM && !f->is_rtcp) {
        return MEDIA_CLASS_OPAQUE;
    }
    if (f->is_rtcp) {
        class = media_classify_rtp(pkt->p, pkt->n, true);
        return class == MEDIA_CLASS_STUN || class == MEDIA_CLASS_DTLS || class == MEDIA_CLASS_RTCP
                   ? class
                   : MEDIA_CLASS_BAD;
    }
    if (side->wire == MEDIA_WIRE_SRTP) {
        return media_classify_srtp(pkt->p, pkt->n, side->mux || side->bundle != NULL);
    }
    class = media_classify_rtp(pkt->p, pkt->n, side->mux || side->bundle != NULL);
    return class == MEDIA_CLASS_RTP && UNLIKELY(relay_is_unasked_rtcp(pkt)) ? MEDIA_CLASS_RTCP
                                                                            : class;
}

/* Goes on where the source of this flow left off: the same SSRC, the next numbers. */
static bool relay_continues(const struct media_side *s, const struct media_pkt *pkt)
{
    const struct media_track *t = &s->track;

    if (pkt->class == MEDIA_CLASS_RTCP) {
        return t->started && rtp_u32(pkt->p + 4) == t->ssrc;
    }
    return pkt->class == MEDIA_CLASS_RTP && t->started && rtp_ssrc(pkt->p) == t->ssrc &&
           (uint16_t)(rtp_seq(pkt->p) - t->max_seq + 16) < 256;
}

/* Who sent it, and does it prove so? Only then it counts, and may move the endpoint. */
static bool relay_admit(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *at = f->side;
    const struct relay_way *way = relay_way(at);
    uint32_t learn_ms = at->stream->session->m->p.learn_ms;
    uint8_t rank = 0;
    enum media_source who = media_flow_check(f, &pkt->src, pkt->now_ms, learn_ms, &rank);

    if (who == MEDIA_SOURCE_STRANGER) {
        return media_drop(at, MEDIA_DROP_STRANGER, pkt->now_ms);
    }
    if (way->open != NULL && !way->open(f, pkt)) {
        return false;
    }
    if (way->open != NULL && pkt->class == MEDIA_CLASS_RTP && !media_rtp_is_sound(pkt->p, pkt->n)) {
        return media_drop(at, MEDIA_DROP_MALFORMED, pkt->now_ms);
    }
    if (who == MEDIA_SOURCE_NEW) {
        if (way->open == NULL && media_flow_is_taken(f, rank, pkt->now_ms) &&
            !relay_continues(at, pkt)) {
            return media_drop(at, MEDIA_DROP_STRANGER, pkt->now_ms);
        }
        media_flow_learn(f, &pkt->src, rank, pkt->now_ms);
    }
    if (!f->locked) {
        f->heard_ms = pkt->now_ms;
    }
    return true;
}

/* --- what came --- */

static void relay_quality(struct media_side *s, const struct media_format *f, int64_t now_ms)
{
    struct media_listener l = {.codec = f != NULL ? f->codec : MEDIA_CODEC_OTHER,
                               .ptime_ms = f != NULL ? f->ptime_ms : 0,
                               .rtt_us = s->report.rtt_us};

    media_quality_tick(&s->quality, &s->track, &l, now_ms);
}

/* Numbers towards the other side have a history: SRTP indices, or offsets of remap.c. */
static bool relay_has_history(struct media_side *s, uint32_t ssrc)
{
    return media_side_other(s)->via->wire == MEDIA_WIRE_SRTP ||
           media_remap_by_in(s->remap, ssrc) != NULL;
}

/* A source that starts its numbers anew, backwards, would repeat indices under our key (RFC 3711
 * 9.1), or numbers of ours: it goes on where it was. Forwards nothing needs to be done. */
static void relay_restarted(struct media_side *s, uint16_t high, const uint8_t *p)
{
    const struct remap_source *src = media_remap_by_in(s->remap, rtp_ssrc(p));
    uint32_t out_ssrc = src != NULL ? src->out_ssrc : rtp_ssrc(p);

    if (!relay_has_history(s, rtp_ssrc(p)) || (uint16_t)(rtp_seq(p) - high) < 0x8000) {
        return;
    }
    high = src != NULL ? media_remap_high(src) : high;
    (void)media_remap_continue(s, rtp_ssrc(p), rtp_seq(p), out_ssrc, (uint16_t)(high + 1));
}

/* Another source took its turn meanwhile. What is but a little behind came late. */
static void relay_returned(struct media_side *s, const uint8_t *p)
{
    const struct remap_source *src = media_remap_by_in(s->remap, rtp_ssrc(p));
    uint16_t high = src != NULL ? src->in_high : 0;

    if (src == NULL && !media_secure_last(media_side_other(s), rtp_ssrc(p), &high)) {
        return;
    }
    if ((uint16_t)(high - rtp_seq(p)) >= RELAY_BEHIND_MAX) {
        relay_restarted(s, high, p);
    }
}

static enum media_seen relay_account(struct media_side *s, const struct media_format *f,
                                     const struct media_pkt *pkt)
{
    bool is_same = s->track.started && s->track.ssrc == rtp_ssrc(pkt->p);
    uint16_t high = s->track.max_seq;
    enum media_seen seen;

    if (UNLIKELY(media_quality_is_due(&s->quality, pkt->now_ms))) {
        relay_quality(s, f, pkt->now_ms);
    }
    seen = media_track_note(&s->track, pkt->p, f != NULL ? f->clock_hz : 0, pkt->now_ms);
    if (UNLIKELY(seen == MEDIA_SEEN_RESTART)) {
        if (is_same) {
            relay_restarted(s, high, pkt->p);
        } else {
            relay_returned(s, pkt->p);
        }
    }
    s->last_rx_ms = pkt->now_ms;
    return seen;
}

static void relay_rtp(struct media_side *s, struct media_pkt *pkt)
{
    struct media_side *to = media_side_other(s);
    const struct media_format *f = media_format_find(s->fmt, pkt->p[1] & RTP_PT_MASK);

    /* One stray number would put all that follow behind it: the next one has to confirm it. */
    if (UNLIKELY(relay_account(s, f, pkt) == MEDIA_SEEN_JUMP) &&
        relay_has_history(s, rtp_ssrc(pkt->p))) {
        (void)media_drop(s, MEDIA_DROP_REPLAY, pkt->now_ms);
        return;
    }
    if (s->fmt != NULL && !media_format_apply(s, f, pkt)) {
        return;
    }
    if (UNLIKELY(to->tone != NULL) && media_tone_is_on(to->tone)) {
        media_remap_swallow(s, pkt->p, pkt->n);
        return;
    }
    if (UNLIKELY(s->remap != NULL && s->remap->n != 0) && !media_remap_apply(s->remap, pkt->p)) {
        (void)media_drop(s, MEDIA_DROP_REPLAY, pkt->now_ms);
        return;
    }
    if (UNLIKELY(to->via->bundle != NULL) && !media_bundle_claim(to, pkt->p)) {
        (void)media_drop(s, MEDIA_DROP_REPLAY, pkt->now_ms);
        return;
    }
    (void)media_send(to, pkt);
}

static void relay_opaque(struct media_side *s, struct media_pkt *pkt)
{
    if (pkt->class == MEDIA_CLASS_ZRTP) {
        if (!relay_way(s)->has_zrtp) {
            (void)media_drop(s, MEDIA_DROP_MALFORMED, pkt->now_ms);
            return;
        }
        s->stream->has_zrtp = true;
    } else {
        s->last_rx_ms = pkt->now_ms;
    }
    (void)media_send(media_side_other(s), pkt);
}

/* A transport that several streams share says by its packets which one they belong to. */
static void relay_media(struct media_side *at, struct media_pkt *pkt, size_t wire_n)
{
    struct media_side *s = at;

    if (UNLIKELY(at->bundle != NULL) && pkt->class == MEDIA_CLASS_RTP) {
        s = media_bundle_find(at, pkt->p);
        if (s == NULL) {
            (void)media_drop(at, MEDIA_DROP_MALFORMED, pkt->now_ms);
            return;
        }
        media_bundle_strip(at, pkt);
    }
    s->count.rx_packets++;
    s->count.rx_bytes += wire_n;
    if (pkt->class == MEDIA_CLASS_RTP) {
        relay_rtp(s, pkt);
    } else {
        relay_opaque(s, pkt);
    }
}

void media_relay(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *at = f->side;
    size_t wire_n = pkt->n;

    stat_inc(STAT_RTP_RX);
    pkt->class = relay_classify(f, pkt);
    switch (pkt->class) {
    case MEDIA_CLASS_BAD:
        (void)media_drop(at, MEDIA_DROP_MALFORMED, pkt->now_ms);
        return;
    case MEDIA_CLASS_STUN:
        media_checks_packet(f, pkt);
        return;
    case MEDIA_CLASS_DTLS:
        media_handshake_packet(f, pkt);
        return;
    default:
        break;
    }
    if (!relay_admit(f, pkt)) {
        return;
    }
    if (pkt->class == MEDIA_CLASS_RTCP) {
        media_rtcp_relay(at, pkt);
    } else {
        relay_media(at, pkt, wire_n);
    }
}

/* --- out --- */

/* The socket and address that reach this side; NULL: none. Direction attributes bind RTP only,
 * RTCP goes on (RFC 3264 5.1). */
static const struct addr *relay_dest(const struct media_side *to, enum media_class class,
                                     const struct media_flow **out)
{
    const struct media_side *via = to->via;
    const struct media_flow *f =
        class == MEDIA_CLASS_RTCP && !via->mux && via->bundle == NULL ? &via->rtcp : &via->rtp;
    const struct addr *dest = media_flow_dest(f);

    if (f->fd < 0 || dest == NULL || addr_family(dest) != addr_family(&via->local) ||
        (!to->may_receive && class != MEDIA_CLASS_RTCP)) {
        return NULL;
    }
    *out = f;
    return dest;
}

static void relay_note_out(struct media_side *to, const uint8_t *p)
{
    bool is_same = to->has_out && to->out_ssrc == rtp_ssrc(p);

    if (!is_same || (uint16_t)(rtp_seq(p) - to->out_seq) < 0x8000) {
        to->out_seq = rtp_seq(p);
    }
    to->out_ssrc = rtp_ssrc(p);
    to->has_out = true;
}

bool media_send(struct media_side *to, struct media_pkt *pkt)
{
    const struct media_flow *f = NULL;
    const struct addr *dest = relay_dest(to, pkt->class, &f);
    const struct relay_way *way = relay_way(media_side_other(to));

    if (dest == NULL) {
        return media_drop(to, MEDIA_DROP_NO_DESTINATION, pkt->now_ms);
    }
    if (!way->is_way) {
        return media_drop(media_side_other(to), MEDIA_DROP_NO_KEYS, pkt->now_ms);
    }
    if (way->seal != NULL && !way->seal(to, f, pkt)) {
        return false;
    }
    if (pkt->class == MEDIA_CLASS_RTP) {
        relay_note_out(to, pkt->p);
    }
    if (!media_io_send(f, pkt, dest)) {
        return media_drop(to, MEDIA_DROP_SEND, pkt->now_ms);
    }
    if (pkt->class == MEDIA_CLASS_RTCP) {
        to->count.rtcp_tx++;
    } else {
        to->count.tx_packets++;
        to->count.tx_bytes += pkt->n;
    }
    stat_inc(STAT_RTP_TX);
    return true;
}
