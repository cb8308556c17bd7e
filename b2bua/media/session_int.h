/* session_int.h - the shape of a session: its streams, their two sides, and the flows of packets
 * that belong to them. What every packet touches stands first; what few calls use hangs off a side
 * and is allocated when it is first asked for, never by a packet. Thread: the worker's. */
#ifndef POSTERN_MEDIA_SESSION_INT_H
#define POSTERN_MEDIA_SESSION_INT_H

#include "media/media.h"
#include "media/rtp_int.h"

struct media_side;
struct media_pair;
struct media_realm;
struct media_secure;  /* secure_int.h */
struct media_ice;     /* secure_int.h */
struct media_formats; /* stage_int.h, and so the ones below */
struct media_remap;
struct media_bundle;
struct media_tone;
struct media_parked; /* park.c */

struct media_flow { /* one socket: the RTP or the RTCP of one side */
    struct media_side *side;
    int64_t since_ms; /* when the source was learned, or learning began anew */
    int64_t heard_ms; /* last packet from src while it may still be moved */
    struct addr src;  /* learned, or of an earlier description when has_old */
    struct addr sdp;  /* described; AF_UNSPEC: not known or not usable */
    int fd;           /* the pair's; -1: not open */
    uint8_t rank;     /* 1..5; 0: no source learned */
    bool locked;
    bool has_old;
    bool held; /* described without an address after one with; or consent was lost */
    bool is_rtcp;
    bool by_checks; /* ICE says who may speak, and pins src */
};

struct media_counters {
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rtcp_rx, rtcp_tx;
    uint32_t strangers, malformed, auth_failed, replayed, no_keys, no_destination, send_failed;
    uint32_t too_many_ssrcs;
    uint32_t wrong_pt; /* seen, dropped or not */
    uint32_t feedback_filtered, dtmf_events;
};

/* How packets of a side look on the wire: one dimension of the relay matrix (relay.c). */
enum media_wire {
    MEDIA_WIRE_PLAIN,  /* RTP/AVP, RTP/AVPF */
    MEDIA_WIRE_SRTP,   /* RTP/SAVP(F), UDP/TLS/RTP/SAVP(F); also before there are keys */
    MEDIA_WIRE_OPAQUE, /* udptl */
    MEDIA_N_WIRES
};

struct media_report { /* what the side's RTCP says, and what it was told to answer to */
    struct {
        uint32_t ntp; /* middle 32 bits of a sender report that went to this side */
        int64_t at_ms;
    } sent[4];
    uint8_t next;
    bool has_far;
    uint8_t far_fraction_lost;
    int32_t far_lost;
    uint32_t far_jitter; /* RTP units */
    uint32_t rtt_us;
    /* VoIP metrics block (RFC 3611 4.7): MOS times 10, 0: not said; of 256, discarded as too late
     */
    uint8_t far_mos_lq, far_mos_cq, far_discarded;
    bool has_metrics;
};

struct media_seen_at { /* loop time of the last of each kind; 0: never. For the diagnosis */
    int64_t stranger_ms, auth_failed_ms, wrong_pt_ms, right_pt_ms;
};

struct media_side {
    /* each packet */
    struct media_stream *stream;
    struct media_side *via; /* whose sockets, keys and ICE it uses: itself, or a bundle's leader */
    struct media_secure *sec;    /* NULL: plain */
    struct media_formats *fmt;   /* NULL: everything passes */
    struct media_remap *remap;   /* numbers of what this side sends; NULL or empty: as they are */
    struct media_bundle *bundle; /* streams that share this side's transport */
    struct media_tone *tone;     /* events that we send to this side */
    uint8_t wire;                /* enum media_wire */
    bool mux, may_send, may_receive, avpf;
    uint32_t out_ssrc; /* last one sent to this side, with has_out */
    uint16_t out_seq;  /* highest of out_ssrc */
    bool has_out;
    int64_t last_rx_ms; /* a packet that shows life; 0: none */
    struct media_flow rtp;
    struct media_track track;
    struct media_counters count;
    struct media_quality quality;
    /* now and then */
    struct media_flow rtcp;
    struct media_report report;
    struct media_seen_at at;
    int64_t expect_ms; /* since when packets are due */
    struct media_ice *ice;
    struct media_parked *parked; /* keys of parties that were displaced */
    struct media_realm *realm;   /* NULL: not open */
    struct media_pair *pair;     /* the side's own while open */
    struct addr signalling;
    struct addr local;
    uint8_t dscp;
    uint8_t dtmf; /* enum media_dtmf */
    bool has_remote, wait_for_source;
};

struct media_stream {
    struct media_session *session;
    enum media_kind kind;
    uint8_t index;
    bool has_zrtp; /* keys that only the ends know: RTCP may be encrypted without looking so */
    struct media_side side[2];
};

struct media_session {
    struct media *m;
    media_silence_fn *on_silence;
    void *arg;
    media_dtmf_fn *on_dtmf;
    void *dtmf_arg;
    struct timer silence;
    uint32_t inactivity_ms;
    uint64_t serial;         /* tells it from others, for names in RTCP */
    bool silenced;           /* told once */
    struct media_side *lost; /* for good; told by the silence timer */
    struct media_stream *streams[MEDIA_STREAMS_MAX];
};

static inline struct media_side *media_side_other(struct media_side *s)
{
    return &s->stream->side[s == &s->stream->side[0]];
}
static inline unsigned media_side_index(const struct media_side *s)
{
    return s == &s->stream->side[1];
}
static inline bool media_side_is_open(const struct media_side *s)
{
    return s->via->realm != NULL;
}
/* NULL: there is no such stream. */
static inline struct media_side *media_side_of(const struct media_session *s, unsigned stream,
                                               unsigned side)
{
    return stream < MEDIA_STREAMS_MAX && side < 2 && s->streams[stream] != NULL
               ? &s->streams[stream]->side[side]
               : NULL;
}
/* Makes the stream if it is not there. EINVAL, ENOMEM. */
MUST_USE int media_stream_want(struct media_session *s, unsigned index);
/* The wire again, after kind or keys changed. */
void media_side_rewire(struct media_side *s);

/* --- latch.c: who may send to a flow, and where its packets go. Pure. --- */
#define LATCH_RANK_EXACT 1 /* the described address and port */
enum media_source {
    MEDIA_SOURCE_STRANGER,
    MEDIA_SOURCE_KNOWN,
    MEDIA_SOURCE_NEW /* may be learned, once its packet has proved itself */
};
bool media_addr_is_usable(const struct addr *a); /* a destination for packets */
/* A new description; an address that is not usable counts as none: on hold, or not known yet. */
void media_flow_expect(struct media_flow *f, const struct addr *sdp, int64_t now_ms);
/* May this source speak? Locks on the way, learns nothing. rank: with MEDIA_SOURCE_NEW. */
enum media_source media_flow_check(struct media_flow *f, const struct addr *src, int64_t now_ms,
                                   uint32_t learn_ms, uint8_t *rank);
/* On a plain side: would this new source take over from another one that still sends? Then it has
 * to go on where that one left off. */
bool media_flow_is_taken(const struct media_flow *f, uint8_t rank, int64_t now_ms);
void media_flow_learn(struct media_flow *f, const struct addr *src, uint8_t rank, int64_t now_ms);
/* ICE moves the endpoint: no rank, no lock but its own. */
void media_flow_pin(struct media_flow *f, const struct addr *src);
uint8_t media_flow_rank(const struct media_flow *f, const struct addr *src); /* 0: a stranger */
const struct addr *media_flow_dest(const struct media_flow *f);              /* NULL: nowhere */
void media_flow_forget(struct media_flow *f);

/* --- silence.c --- */
void media_silence_arm(struct media_session *s); /* after each change of what is expected */
void media_silence_on_timer(void *session);
void media_silence_lost(struct media_side *s); /* for good: tells as soon as possible */

#endif
