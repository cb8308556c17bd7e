/* sdp_write.h - one side's description written for the other, afresh, from an allow-list and our
 * own facts. Part of sdp.h. Thread: any (pure). */
#ifndef POSTERN_SDP_WRITE_H
#define POSTERN_SDP_WRITE_H

#include "base/base.h"
#include "sdp/sdp_format.h"
#include "sdp/sdp_secure.h"

struct sdp;

/* What one side of a call has been told by us: origin and version (RFC 3264 8: the version rises by
 * one exactly when the rest changed). */
struct sdp_face {
    uint64_t o_id;
    uint64_t o_version;
    uint64_t last_hash; /* of the last description, version left out; 0: none */
};
void sdp_face_init(struct sdp_face *f, uint64_t random_id);

struct sdp_out_stream {
    bool refuse;        /* m-line stays with port 0 */
    struct addr rtp;    /* our address and port for this side */
    uint16_t rtcp_port; /* our RTCP port; rtp + 1 is not written, 0: none (mux) */
    bool rtcp_mux;      /* write a=rtcp-mux */
    bool force_dir;     /* write dir instead of the source's */
    enum sdp_dir dir;
    bool set_proto; /* an offer: proto instead of the source's */
    enum sdp_proto proto;
    /* Formats in order with their numbers; NULL: as the source has them. n 0 with a map refuses. */
    const struct sdp_format_map *formats;
    size_t n_formats;
    const struct sdp_crypto *crypto; /* a=crypto lines of ours */
    size_t n_crypto;
    struct sl fingerprint; /* "sha-256 AB:CD:..."; empty: no DTLS */
    enum sdp_setup setup;  /* with a fingerprint */
    struct sl ufrag, pwd;  /* of our ICE-lite agent: one host candidate for each component */
    struct sl mid;         /* empty: none */
    uint8_t mid_ext;       /* with a mid: we read it from this RTP header extension; 0: no */
    bool is_bundled;       /* in a BUNDLE group with all streams of the same leader */
    uint8_t leader;
};
struct sdp_write_params {
    const struct sdp *from;  /* the other side's description */
    const struct sdp *offer; /* when writing an answer: the offer this side made (m-line count and
                                order must match); NULL: an offer is written */
    const struct sdp_out_stream *streams; /* one per m-line of from */
    struct addr origin;                   /* our address for o= and c= */
    struct sdp_face *face;                /* read and advanced */
};
/* Writes the description for the other side: o= s= c= t= of our own (with a=ice-lite where a stream
 * has ICE, a=group:BUNDLE where streams are bundled); per m-line: media, our port, profile, formats
 * (mapped), b=, attributes of the source on the allow-list (rtpmap fmtp ptime maxptime direction
 * rtcp-fb (AVPF on both sides) framerate quality silenceSupp zrtp-hash (plain on both sides); T38*;
 * content label lang) and our own (rtcp, rtcp-mux, crypto, fingerprint, setup, ice-ufrag, ice-pwd,
 * candidate, mid, extmap of the mid alone). Nothing else of the source appears. An answer repeats
 * the offer's media and profile words, its direction stays within what the offer allows, and a
 * stream without a port of ours (rtp) is refused. EPROTO: count or order of m-lines differs from
 * offer. On error the face is as it was. */
MUST_USE int sdp_write(struct buf *b, const struct sdp_write_params *p);

#endif
