/* media_stream.h - what a stream carries: payload types, DTMF, shared transports, DSCP; part of
 * media.h's face. SSRCs and CNAMEs cross the relay as they are: only an SSRC that would collide on
 * a shared transport, or that would be one too many under one SRTP key, is translated, in RTP and
 * RTCP alike (RFC 3550 7.2). Thread: the worker's. Sides and streams as in media.h. ENOENT: the
 * side was never opened. */
#ifndef POSTERN_MEDIA_STREAM_H
#define POSTERN_MEDIA_STREAM_H

#include "base/base.h"

struct media_session;

/* --- payload types --- */

#define MEDIA_FORMATS_MAX 128 /* every payload type once */
#define MEDIA_PT_NONE 0xff    /* the other side has no number for it: dropped there */

enum media_format_kind { MEDIA_FMT_AUDIO, MEDIA_FMT_EVENT /* RFC 4733 */, MEDIA_FMT_OTHER };
enum media_codec { /* what loss does to it (ITU-T G.113); MEDIA_CODEC_OTHER counts as G.711 */
                   MEDIA_CODEC_OTHER,
                   MEDIA_CODEC_G711,
                   MEDIA_CODEC_G729,
                   MEDIA_CODEC_G723,
                   MEDIA_CODEC_OPUS
};
struct media_format {
    uint8_t pt;
    uint8_t out_pt;    /* the number on the other side; == pt when equal; MEDIA_PT_NONE */
    uint8_t kind;      /* enum media_format_kind */
    uint8_t codec;     /* enum media_codec */
    uint16_t ptime_ms; /* as the other side wants it; the same in the whole list; 0: 20 */
    uint32_t clock_hz; /* of the rtpmap; 0: by RFC 3551 */
};
/* What this side may send, in the order of its description; replaces the former list; copied. Our
 * own events (media_send_dtmf) to this side use a number of this list too: RFC 3264 gives both
 * directions of a format the same number unless the peer says otherwise.
 * n == 0: everything passes as it is, clocks by RFC 3551. A number that is not in the list is
 * counted (wrong_pt); it is dropped only when the other side has that number for something else.
 * Payloads are not read: a format that names others inside itself (RED, RFC 2198) needs equal
 * numbers on both sides. EINVAL: n > MEDIA_FORMATS_MAX, pt > 127; ENOMEM: the former list stays. */
MUST_USE int media_set_formats(struct media_session *s, unsigned stream, unsigned side,
                               const struct media_format *f, size_t n);

/* --- DTMF (RFC 4733) --- */

enum media_dtmf {
    MEDIA_DTMF_PASS,   /* event packets are relayed like any other; the default */
    MEDIA_DTMF_TO_INFO /* they are not: the handler is told instead */
};
/* How events that this side sends are treated. Numbers of the outgoing stream stay without a gap.
 * ENOMEM. */
MUST_USE int media_set_dtmf(struct media_session *s, unsigned stream, unsigned side,
                            enum media_dtmf how);
/* Once per event (0-9 * # A-D and 'F' for flash) received from a side that says TO_INFO: at its
 * end, or 200 ms after its last packet when all end packets were lost. duration_ms by the clock of
 * the format. May close the session. Each event of any side counts in media_stats.dtmf_events. */
typedef void(media_dtmf_fn)(struct media_session *s, unsigned stream, unsigned side, char digit,
                            unsigned duration_ms, void *arg);
void media_set_dtmf_handler(struct media_session *s, media_dtmf_fn *fn, void *arg);

#define MEDIA_DTMF_QUEUE 32
/* Our own event packets TO this side: marker at the first, one each ptime_ms of what the other side
 * sends it (10 to 60; 20), the end three times, 50 ms
 * of pause to the next digit; in the SSRC of the stream that goes there, with continuous sequence
 * numbers; audio gives way meanwhile. Returns at once. ms is clamped to 40..5000 and to what 16
 * bits of the clock hold; 0: 160. ENOTSUP: the side has no event format; EINVAL: no such digit (0-9
 * * # A-D, either case, F); ENOBUFS: MEDIA_DTMF_QUEUE digits wait; ENOMEM. */
MUST_USE int media_send_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                             unsigned ms);

/* --- one transport for several streams (RFC 8843) --- */

#define MEDIA_BUNDLE_SSRCS_MAX 16
#define MEDIA_MID_MAX 32

/* How packets of this stream are told from those of the others, in this order: MID, SSRC (also of
 * packets that were told before), payload type (media_set_formats; only one stream may have it). */
struct media_bundle_key {
    uint8_t mid_ext_id;    /* header extension of RFC 8843 15, one- or two-byte form; 0: none.
                              Between them and us: the other side gets no header extension */
    struct sl mid;         /* copied; longer than MEDIA_MID_MAX counts as none */
    const uint32_t *ssrcs; /* of a=ssrc; copied */
    size_t n;              /* more than MEDIA_BUNDLE_SSRCS_MAX: the first ones */
};
/* This stream's side uses the sockets, addresses, ICE, DTLS and SRTP of `leader`'s same side from
 * here on; the leader is called with its own number as leader, for its key, before the others. Its
 * own ports, if it had some, go to rest; media_is_open() is true, media_local() and the security
 * words of media_stats() are the leader's; media_set_remote() still says may_send, may_receive and
 * avpf. RTCP is muxed. Undone by media_open() of this side: if the transport was secure, the side
 * stays so, without keys, until it is given some of its own. When the leader's stream closes, the
 * transport goes on as it is and the lowest of the others leads.
 * What is nobody's is dropped and counted as malformed at the leader.
 * ENOENT: the leader's side is not open; EPROTO: it follows another one itself, or is itself
 * followed; EINVAL; ENOMEM. */
MUST_USE int media_bundle(struct media_session *s, unsigned stream, unsigned side, unsigned leader,
                          const struct media_bundle_key *key);
/* The stream whose transport this side uses: its own number unless it follows another one. */
unsigned media_bundle_leader(const struct media_session *s, unsigned stream, unsigned side);

/* --- the network --- */

#define MEDIA_DSCP_DEFAULT 46 /* EF (RFC 4594 4.1) */
/* DSCP (0 to 63) of what goes to this side, RTP and RTCP, from now on. EINVAL; errno of
 * setsockopt(): the old value stays. */
MUST_USE int media_set_dscp(struct media_session *s, unsigned stream, unsigned side, uint8_t dscp);

#endif
