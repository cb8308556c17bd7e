/* stage_int.h - the stages of the relay (relay.c says in which order): each takes a side and the
 * packet in hand, changes it in place, and drops it with a reason or lets it pass. None allocates.
 * Thread: the worker's. */
#ifndef POSTERN_MEDIA_STAGE_INT_H
#define POSTERN_MEDIA_STAGE_INT_H

#include "media/media_int.h"

/* --- relay.c --- */
enum media_drop {
    MEDIA_DROP_STRANGER,
    MEDIA_DROP_MALFORMED,
    MEDIA_DROP_AUTH,
    MEDIA_DROP_REPLAY,
    MEDIA_DROP_SSRC, /* authentic, but of one source too many under its key */
    MEDIA_DROP_NO_KEYS,
    MEDIA_DROP_WRONG_PT, /* counts in no reason of its own: wrong_pt has it already */
    MEDIA_DROP_NO_DESTINATION,
    MEDIA_DROP_SEND,
    MEDIA_DROP_SWALLOWED, /* on purpose */
    MEDIA_N_DROPS
};
/* Counts; false, so that a stage can return it. */
bool media_drop(struct media_side *s, enum media_drop why, int64_t now_ms);
/* Encrypts as the side wants it and sends: RTP, RTCP by pkt->class. False: dropped and counted. */
bool media_send(struct media_side *to, struct media_pkt *pkt);

/* --- stats.c --- */
void media_stats_observe(const struct media_side *s); /* at its end: into the histograms */

/* --- format.c: payload types --- */
#define DTMF_LOST_MS 200 /* an event whose end does not come */
#define EVENTS_TOLD_MAX 8
struct media_event { /* RFC 4733, as received */
    bool is_open;    /* its end was not seen yet */
    bool has_any;
    uint8_t code;
    uint16_t duration; /* of the present segment */
    uint32_t ts, ssrc;
    uint32_t before; /* duration of the segments before (RFC 4733 2.5.1.3) */
    uint32_t clock_hz;
    int64_t heard_ms;
};
struct media_formats {
    uint8_t n;
    uint8_t last; /* index of the one used last */
    uint8_t n_told;
    struct {
        char digit;
        uint16_t ms;
    } told[EVENTS_TOLD_MAX]; /* for the handler, which no packet calls */
    struct media_event event;
    struct timer timer; /* tells them; and ends an event whose end packets were all lost */
    struct media_side *side;
    struct media_format f[];
};
/* NULL: not in the list, or there is none. */
const struct media_format *media_format_find(struct media_formats *fs, uint8_t pt);
/* What number and treatment the packet of this side gets. f as found. False: dropped. */
bool media_format_apply(struct media_side *s, const struct media_format *f, struct media_pkt *pkt);
const struct media_format *media_format_event(const struct media_side *s); /* NULL: none */
void media_formats_free(struct media_side *s);

/* --- dtmf.c: events received (RFC 4733) --- */
/* False: it was swallowed. The session may be gone then. */
bool media_dtmf_note(struct media_side *s, const struct media_format *f, struct media_pkt *pkt);
void media_dtmf_on_timer(void *formats);

/* --- tone.c: events that we send --- */
void media_tone_free(struct media_side *to);
/* An event is under way: audio for this side gives way. */
bool media_tone_is_on(const struct media_tone *t);

/* --- remap.c: sequence numbers and SSRCs that differ on both sides (RFC 3550 7.2) --- */
#define REMAP_SOURCES 4
#define REMAP_BOUNDS 4
struct remap_source {
    uint32_t in_ssrc, out_ssrc;
    bool has_in; /* false: a stream of our own */
    uint8_t n_bounds;
    uint32_t used;    /* media_remap.clock of its last packet */
    uint16_t in_high; /* highest number that came */
    struct {
        uint16_t from; /* first number that gets this offset */
        int16_t offset;
    } bound[REMAP_BOUNDS];   /* latest first: stragglers get the offset of their time */
    int32_t packets, octets; /* more than the source knows of; for its sender reports */
};
struct media_remap {
    uint8_t n;
    uint32_t clock; /* one tick per use of a source; the one unused for longest makes room */
    struct remap_source source[REMAP_SOURCES];
};
/* Makes room, so that no packet needs to. ENOMEM. */
MUST_USE int media_remap_want(struct media_side *from);
/* The numbers that the packet of this side gets. False: it came too late for them. */
bool media_remap_apply(struct media_remap *m, uint8_t *p);
/* The packet is not relayed; later ones close the gap. */
void media_remap_swallow(struct media_side *from, const uint8_t *p, size_t n);
/* A number for a packet of our own behind all others, with a payload of so many octets; *seq is the
 * one before the first when nothing was ever sent as out_ssrc. False: nobody wanted it. */
bool media_remap_insert(struct media_side *from, uint32_t out_ssrc, size_t octets, uint16_t *seq);
/* What comes as in_ssrc, beginning with in_seq, goes on in out_ssrc with out_seq. False: nobody
 * wanted it. */
bool media_remap_continue(struct media_side *from, uint32_t in_ssrc, uint16_t in_seq,
                          uint32_t out_ssrc, uint16_t out_seq);
static inline uint16_t media_remap_high(const struct remap_source *src) /* highest that went out */
{
    return (uint16_t)(src->in_high + src->bound[0].offset);
}
/* NULL: none; m may be NULL. */
const struct remap_source *media_remap_by_in(const struct media_remap *m, uint32_t in_ssrc);
const struct remap_source *media_remap_by_out(const struct media_remap *m, uint32_t out_ssrc);

/* --- rtcp.c, rtcp_report.c, rtcp_names.c, rtcp_hide.c --- */
#define RTCP_PADDED 0x20
struct rtcp_packet { /* one of a compound */
    uint8_t *p;
    size_t n, body; /* body: without padding */
    uint8_t type, count;
};
enum rtcp_type {
    RTCP_SR = 200,
    RTCP_RR = 201,
    RTCP_SDES = 202,
    RTCP_BYE = 203,
    RTCP_APP = 204,
    RTCP_RTPFB = 205,
    RTCP_PSFB = 206,
    RTCP_XR = 207
};
/* Every packet of the compound within its bounds, and its fixed parts within itself; padding at
 * the end only (RFC 3550 A.2). */
bool media_rtcp_is_sound(const uint8_t *p, size_t n);
/* Moves *at behind the next one. Of a sound compound. False: no more. */
bool media_rtcp_next(uint8_t *p, size_t n, size_t *at, struct rtcp_packet *out);
/* The whole way of a compound that came for a transport, decrypted. */
void media_rtcp_relay(struct media_side *at, struct media_pkt *pkt);
/* What a packet of this side says about the stream that we send to it. */
void media_report_note(struct media_side *s, const struct rtcp_packet *r, int64_t now_ms);
/* A sender report went to this side; ntp: the middle 32 bits of its time. */
void media_report_sent(struct media_side *to, uint32_t ntp, int64_t now_ms);
/* SSRCs and numbers of the side that sent it become those that the other side knows. */
void media_rtcp_translate(struct media_side *from, struct rtcp_packet *r);
/* In place: SDES in names of our own, BYE without its reason. False: its items leave their bounds,
 * and nothing of it may go on. */
bool media_rtcp_hide(struct media_side *from, struct rtcp_packet *r);

/* --- bundle.c: one transport, several streams --- */
#define BUNDLE_LEARNED_MAX 16
struct bundle_member {
    struct media_side *side;
    struct media_secure *spare; /* a follower's, for when it leaves: nothing can fail then */
    uint8_t mid_ext_id, mid_n, n_ssrcs;
    char mid[MEDIA_MID_MAX];
    uint32_t ssrcs[MEDIA_BUNDLE_SSRCS_MAX];
};
struct media_bundle {
    uint8_t n, n_learned, next_learned;
    bool has_mid_ext; /* of some member */
    struct {
        uint32_t ssrc;
        struct media_side *side;
    } learned[BUNDLE_LEARNED_MAX]; /* told apart by packets */
    struct {
        uint32_t ssrc;
        struct media_side *side;
    } out[BUNDLE_LEARNED_MAX]; /* SSRCs that we send, and on whose behalf */
    uint8_t n_out;
    struct bundle_member member[MEDIA_STREAMS_MAX];
};
/* Whose packet it is; NULL: nobody's. */
struct media_side *media_bundle_find(struct media_side *at, const uint8_t *p); /* sound RTP */
/* What the extension said was for us: nobody agreed on one with the other side. */
void media_bundle_strip(const struct media_side *at, struct media_pkt *pkt);
struct media_side *media_bundle_find_rtcp(struct media_side *at, const struct rtcp_packet *r);
/* To whom we send as ssrc; NULL: to nobody. */
struct media_side *media_bundle_receiver(const struct media_bundle *b, uint32_t ssrc);
/* An SSRC that another stream already has on this transport gets another name; with no name left it
 * goes on under the last one of its stream. False: the stream has none. */
bool media_bundle_claim(struct media_side *to, uint8_t *p);
void media_bundle_leave(struct media_side *s); /* as follower and as leader; harmless */
/* The transport goes on with the next stream of the bundle, if there is one: to a browser it is one
 * transport before and after, with one association and one pair (RFC 9143 7.4). */
void media_bundle_hand_over(struct media_side *leader);

#endif
