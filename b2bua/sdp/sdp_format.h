/* sdp_format.h - codecs of a stream and how the payload type numbers of one side become those of
 * the other (RFC 3264 5.1, 6.1; RFC 3551). Part of sdp.h. Thread: any (pure). */
#ifndef POSTERN_SDP_FORMAT_H
#define POSTERN_SDP_FORMAT_H

#include "base/base.h"

struct sdp;

#define SDP_PT_MAX 127

struct sdp_format {
    uint8_t pt;
    uint8_t channels; /* 1 unless said */
    bool is_static;   /* the number alone says it: no rtpmap was written */
    uint32_t clock;   /* Hz; 0: not known */
    struct sl name;   /* "PCMU"; empty: not known. Of the body, or static */
    struct sl fmtp;   /* parameters of the first a=fmtp; empty: none */
};
/* The formats of an RTP stream in the order of its m-line, each number once. Returns how many; out
 * has room for SDP_FORMATS_MAX. 0 for other streams. */
size_t sdp_formats(const struct sdp *s, unsigned i, struct sdp_format *out);
bool sdp_format_same(const struct sdp_format *a,
                     const struct sdp_format *b);     /* codec, not number */
bool sdp_format_is_event(const struct sdp_format *f); /* telephone-event (RFC 4733) */

/* One format on its way from one side's description to the other's. */
struct sdp_format_map {
    uint8_t from;   /* number in the source description; own: none */
    uint8_t to;     /* number that the other side is told */
    bool own;       /* a telephone-event of ours that the source does not have */
    uint32_t clock; /* own: its clock rate */
};

struct sdp_codecs { /* names (case-insensitive), the best first; n 0: anything */
    const char *const *names;
    size_t n;
};

struct sdp_map_params {
    const struct sdp *from;
    unsigned stream;
    /* What the side that is written for said last: a codec that it knows keeps its number there,
     * and no number gets another meaning (RFC 3264 8.3.2). NULL: nothing yet. */
    const struct sdp *known;
    struct sdp_codecs from_codecs; /* audio only; telephone-event passes by events */
    struct sdp_codecs to_codecs;   /* filter and order */
    bool drop_events;              /* the other side gets its digits in another way */
    bool add_event; /* it should have a telephone-event even if the source has none */
};
/* The formats for an offer, at most SDP_FORMATS_MAX. 0: nothing is left that both sides may use.
 * Redundancy (red, rtx, ulpfec's carriers) whose inner numbers would not fit any more is left out.
 */
size_t sdp_map_offer(const struct sdp_map_params *p, struct sdp_format_map *out);

struct sdp_answer_params {
    const struct sdp *answer; /* what the answerer said */
    const struct sdp *offer;  /* what the offerer had said */
    unsigned stream;
    const struct sdp_format_map *offered; /* how the offer was told to the answerer */
    size_t n_offered;
    bool add_event;   /* offered telephone-events stay although the answerer did without */
    bool drop_events; /* the offerer gets its digits in another way */
};
/* The formats for the answer, in the answerer's order and with the offerer's numbers. An answerer
 * that uses numbers of its own for what it was offered is understood by the names. 0: the answer
 * has nothing of the offer. */
size_t sdp_map_answer(const struct sdp_answer_params *p, struct sdp_format_map *out);

#endif
