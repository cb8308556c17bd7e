/* sdp.h - session descriptions: parse (RFC 8866, liberal where the field is), offer/answer rules
 * (RFC 3264) and writing one side's description for the other side afresh from an allow-list.
 * Pure: slices into the body; no ports, no sockets. Thread: any. */
#ifndef POSTERN_SDP_H
#define POSTERN_SDP_H

#include "base/base.h"

#include <limits.h>

#define SDP_STREAMS_MAX 16  /* m-lines: EMSGSIZE beyond */
#define SDP_FORMATS_MAX 128 /* formats of an m-line, one per payload type: EMSGSIZE beyond */
#define SDP_ATTRS_MAX                                                                              \
    1024 /* attribute lines in all; a browser's picture alone has 150 and more                     \
          */
#define SDP_BODY_MAX 32768
#define SDP_PTIME_MAX 1000   /* ms; larger ones are ignored */
#define SDP_SESSION UINT_MAX /* instead of a stream's index: the session level */

enum sdp_dir { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };

/* What the m-line's third field says. */
enum sdp_proto {
    SDP_RTP_AVP,
    SDP_RTP_AVPF,
    SDP_RTP_SAVP,
    SDP_RTP_SAVPF,
    SDP_DTLS_SAVP,
    SDP_DTLS_SAVPF,
    SDP_UDPTL,
    SDP_PROTO_OTHER
};
bool sdp_proto_is_rtp(enum sdp_proto p);
const char *sdp_proto_word(enum sdp_proto p);  /* as registered; "" for SDP_PROTO_OTHER */
bool sdp_proto_is_plain(enum sdp_proto p);     /* RTP/AVP and RTP/AVPF */
bool sdp_proto_is_dtls(enum sdp_proto p);      /* UDP/TLS/RTP/... */
bool sdp_proto_has_feedback(enum sdp_proto p); /* RFC 4585: ...F */

enum sdp_kind {
    SDP_AUDIO,
    SDP_VIDEO,
    SDP_TEXT,
    SDP_IMAGE,
    SDP_APPLICATION,
    SDP_MESSAGE,
    SDP_KIND_OTHER
};

struct sdp_stream {
    enum sdp_kind kind;
    struct sl media; /* "audio" */
    uint16_t port;   /* 0: rejected or disabled */
    enum sdp_proto proto;
    struct sl proto_text;
    struct sl formats; /* the rest of the m-line */
    uint8_t n_formats;
    struct addr conn;  /* media address with port; AF_UNSPEC: a host name or none */
    bool conn_is_hold; /* c=0.0.0.0 or :: (RFC 3264 8.4) */
    bool conn_is_name;
    enum sdp_dir dir; /* session level applied */
    bool dir_explicit;
    bool rtcp_mux;
    bool bundle_only;             /* came with port 0: port and conn are its leader's (RFC 9143) */
    uint16_t rtcp_port;           /* a=rtcp or port + 1; 0: none fits */
    struct addr rtcp_conn;        /* a=rtcp with an address, else conn's with rtcp_port */
    uint16_t first_attr, n_attrs; /* in sdp.attrs */
    uint16_t first_bw, n_bw;      /* in sdp.bws */
    uint32_t ptime, maxptime;     /* ms; 0: none */
};

/* What the stream's owner does: its direction, without "receive" under the old hold. */
enum sdp_dir sdp_stream_dir(const struct sdp_stream *s);

struct sdp {
    struct sl body;
    uint64_t o_id, o_version; /* saturated when larger */
    struct sl o_line;         /* value of o= */
    enum sdp_dir dir;         /* session level */
    uint8_t n_streams;
    struct sdp_stream streams[SDP_STREAMS_MAX];
    uint16_t n_session_attrs; /* attrs[0 .. n) are the session's */
    uint16_t n_attrs;
    struct sl attrs[SDP_ATTRS_MAX]; /* after "a=" */
    uint16_t n_bws, n_session_bws;
    struct sl bws[64]; /* after "b=" */
};

/* 0; EBADMSG: not acceptable (488); EMSGSIZE: over a limit (488); ENODATA: empty. *why (static)
 * says what. The body must outlive *out. Accepts LF alone, no final line end, missing s=/t=, odd
 * order where one reading is clear. */
MUST_USE int sdp_parse(struct sl body, struct sdp *out, const char **why);
/* m-lines that `before` has and s lacks, as refused ones: none ever goes (RFC 3264 8). They borrow
 * from before's body. */
void sdp_fill_up(struct sdp *s, const struct sdp *before);
/* Value of an attribute of stream i ("fmtp" gives the first one) or of SDP_SESSION; false: absent.
 * A flag gives an empty value. */
bool sdp_attr(const struct sdp *s, unsigned i, struct sl name, struct sl *value);
/* Next attribute with that name: *pos starts at 0. */
bool sdp_attr_next(const struct sdp *s, unsigned i, struct sl name, uint16_t *pos,
                   struct sl *value);
/* Is the address (its port is not looked at) one that media may be sent to? Not unspecified,
 * multicast, broadcast, 0.0.0.0/8 or 240.0.0.0/4. */
bool sdp_addr_is_usable(const struct addr *a);

#include "sdp/sdp_secure.h"
#include "sdp/sdp_format.h"
#include "sdp/sdp_write.h"

#endif
