/* call_sdp.h - offers and answers of a call: one side's description written for the other. */
#ifndef POSTERN_CALL_SDP_H
#define POSTERN_CALL_SDP_H

#include "call/call_nego.h"

struct call;
struct leg;

/* Where descriptions are taken apart: one for each table, because it is too big for a stack. It
 * holds keys only while a function of this header runs. */
struct bridge_room {
    struct sdp from, offer, known;
    const struct sdp *before; /* what the answerer said before; NULL: nothing */
    struct sdp_out_stream out[SDP_STREAMS_MAX];
    struct nego_take asked[SDP_STREAMS_MAX]; /* of the offerer */
    struct nego_take told[SDP_STREAMS_MAX];  /* of the answerer */
    struct sdp_crypto crypto[SDP_STREAMS_MAX][POLICY_SUITES_MAX];
    struct sdp_format_map offered[SDP_STREAMS_MAX][SDP_FORMATS_MAX];
    struct sdp_format_map map[SDP_STREAMS_MAX][SDP_FORMATS_MAX];
    size_t n_offered[SDP_STREAMS_MAX], n_map[SDP_STREAMS_MAX];
};

/* Writes `body` of leg from for leg to into t->body. Offers open ports, answers commit the media.
 * 0, or a SIP status (488, 503, 500) and *why. */
uint16_t call_bridge_offer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                           const char **why);
uint16_t call_bridge_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                            const char **why);
/* The answer of `from` to an offer that we made from what `to` said last: nothing is written, the
 * media is committed. */
uint16_t call_take_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                          const char **why);
int call_keep_offer(struct call *c, const struct leg *from, struct sl body);
void call_drop_offer(struct call *c); /* and the keys in what was made of it */
/* The offer was refused: streams that only it had go, everything else is as it was. */
void call_undo_offer(struct call *c);

/* --- call_media.c: what the relay is told --- */
bool media_is_hostile(const struct call *c, const struct leg *from, const struct addr *a);
/* 0 or a SIP status and *why. */
uint16_t media_open_stream(struct call *c, unsigned i, const struct leg *from, const struct leg *to,
                           const char **why);
/* Before the answer is written to leg `to`: a stream that shared the ports of another one and no
 * longer does gets some of its own. 0 or as media_open(). */
MUST_USE int media_part_stream(struct call *c, unsigned i, const struct leg *to);
uint16_t media_commit(struct call *c, struct leg *from, struct leg *to, bool early,
                      const char **why);

#endif
