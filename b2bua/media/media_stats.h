/* media_stats.h - what is known about one side of a stream, live and for the record; part of
 * media.h's face. Thread: the worker's. */
#ifndef POSTERN_MEDIA_STATS_H
#define POSTERN_MEDIA_STATS_H

#include "media/media_secure.h"

struct media_mos { /* times 100; 0: none yet. Of windows of 5 s in which packets came */
    uint16_t now, min, avg;
};

struct media_stats {               /* what came from this side, and what was sent to it */
    uint64_t rx_packets, rx_bytes; /* authenticated, when secure; bytes as on the wire */
    uint64_t tx_packets, tx_bytes;
    uint64_t rtcp_rx, rtcp_tx;
    /* Received and dropped, by reason; each packet counts once. */
    uint64_t strangers;        /* not from where this side may send */
    uint64_t malformed;        /* neither RTP, RTCP nor anything else that belongs here */
    uint64_t srtp_auth_failed; /* wrong key, or not encrypted */
    uint64_t srtp_replayed;    /* also what is too old to tell, either way */
    uint64_t srtp_ssrc_limit;  /* authentic, but of a 65th SSRC under one key */
    uint64_t no_keys;  /* secure, but keys (of this or of the other side) are not there yet */
    uint64_t wrong_pt; /* payload type that was not negotiated; dropped or not */
    /* For this side, and not sent. */
    uint64_t no_destination, send_failed;
    uint64_t feedback_filtered; /* RTCP feedback packets (RFC 4585) taken out towards this side */
    /* The sequence of what came (RFC 3550 A.1, A.3). */
    uint64_t lost;       /* numbers that never came; never negative */
    uint64_t reordered;  /* came after a later one, in time */
    uint64_t late;       /* came more than 100 ms of media after a later one: of no use */
    uint64_t duplicates; /* came again */
    uint32_t jitter_us;  /* RFC 3550 6.4.1, by the clock of the negotiated format */
    uint32_t ssrc;
    uint8_t payload_type; /* of the last packet */
    /* What this side's RTCP says about the stream that we send to it. */
    uint32_t rtt_us; /* between us and them, from LSR and DLSR of a report that crossed us, to the
                        millisecond; 0: not known */
    uint32_t far_jitter_us;
    int32_t far_lost;          /* cumulative, as reported */
    uint8_t far_fraction_lost; /* of 256, in their last report */
    bool has_far;              /* at least one report came */
    /* E-model (ITU-T G.107) of what came; lq: loss alone, cq: with the delay; only when RTT is
     * known. */
    struct media_mos lq, cq;
    uint32_t dtmf_events;
    bool learned;       /* a source is in use */
    uint8_t rank;       /* 1..5, 0: none; see media_set_remote() */
    struct addr remote; /* where we send RTP */
    struct addr local;
    int64_t last_rx_ms; /* loop time of the last RTP packet that counted; 0: never */
    struct sl suite;    /* srtp_suite_name() of what we receive; "none": plain RTP */
    enum media_dtls_state dtls;
    enum media_ice_state ice;
};
/* Borrows nothing that ends with the session. False: stream not open. */
bool media_stats(const struct media_session *s, unsigned stream, unsigned side,
                 struct media_stats *out);

/* Why this side is not heard, from what came in the last 5 s (from the beginning, before that). */
enum media_diagnosis {
    MEDIA_DIAG_OK,            /* heard, or nothing is due yet */
    MEDIA_DIAG_ON_HOLD,       /* its description says that it does not send */
    MEDIA_DIAG_NO_PACKETS,    /* nothing comes at all */
    MEDIA_DIAG_OTHER_ADDRESS, /* packets come, but not from where they may */
    MEDIA_DIAG_AUTH_FAILING,  /* from the right place, but not under the key */
    MEDIA_DIAG_WRONG_PT,      /* heard, but in a payload type that was not negotiated */
    MEDIA_DIAG_ICE_FAILED,
    MEDIA_DIAG_DTLS_PENDING,
    MEDIA_DIAG_DTLS_FAILED,
    MEDIA_DIAG_N
};
enum media_diagnosis media_diagnose(const struct media_session *s, unsigned stream, unsigned side);
const char *media_diagnosis_text(enum media_diagnosis d); /* one English phrase; static */
const char *media_diagnosis_word(enum media_diagnosis d); /* snake_case for JSON; static */
const char *media_dtls_word(enum media_dtls_state d);     /* as above */
const char *media_ice_word(enum media_ice_state i);

#endif
