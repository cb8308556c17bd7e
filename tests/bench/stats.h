/* stats.h - counters and histograms of one run, all of fixed size. */
#ifndef POSTERN_BENCH_STATS_H
#define POSTERN_BENCH_STATS_H

#include <stdint.h>

/* One list for the enum and the report: enum name, printed name, unit, whether it spoils the run.
 */
#define STATS_LIST(X)                                                                              \
    X(ATTEMPTED, "calls_attempted", "calls", 0)                                                    \
    X(ESTABLISHED, "calls_established", "calls", 0)                                                \
    X(COMPLETED, "calls_completed", "calls", 0)                                                    \
    X(FAILED, "calls_failed", "calls", 1)                                                          \
    X(TIMED_OUT, "calls_timed_out", "calls", 1)                                                    \
    X(CUT, "calls_cut_by_peer", "calls", 1)                                                        \
    X(SKIPPED, "calls_skipped", "calls", 1)                                                        \
    X(BYE_FAILED, "byes_failed", "calls", 1)                                                       \
    X(UAS_CALLS, "callee_calls", "calls", 0)                                                       \
    X(UAS_ENDED, "callee_ended", "calls", 0)                                                       \
    X(UAS_NO_ACK, "callee_no_ack", "calls", 1)                                                     \
    X(UAS_LEFT, "callee_left", "calls", 1)                                                         \
    X(UAS_REFUSED, "callee_refused", "calls", 1)                                                   \
    X(RETR_SENT, "retransmissions_sent", "messages", 0)                                            \
    X(RETR_SEEN, "retransmissions_seen", "messages", 0)                                            \
    X(SIP_SENT, "sip_sent", "messages", 0)                                                         \
    X(SIP_RECEIVED, "sip_received", "messages", 0)                                                 \
    X(SIP_MALFORMED, "sip_malformed", "messages", 1)                                               \
    X(SIP_STRAY, "sip_stray", "messages", 1)                                                       \
    X(SIP_LATE, "sip_late", "messages", 0)                                                         \
    X(SIP_WRONG_DIALOG, "sip_wrong_dialog", "messages", 1)                                         \
    X(SIP_BAD_TARGET, "sip_bad_target", "messages", 1)                                             \
    X(SIP_BAD_SDP, "sip_bad_sdp", "messages", 1)                                                   \
    X(SIP_UNEXPECTED, "sip_unexpected", "messages", 1)                                             \
    X(SIP_SEND_ERRORS, "sip_send_errors", "messages", 1)                                           \
    X(OPTIONS_SEEN, "options_answered", "messages", 0)                                             \
    X(RTP_SENT, "rtp_sent", "packets", 0)                                                          \
    X(RTP_RECEIVED, "rtp_received", "packets", 0)                                                  \
    X(RTP_DUPLICATE, "rtp_duplicate", "packets", 1)                                                \
    X(RTP_REORDERED, "rtp_reordered", "packets", 0)                                                \
    X(RTP_LATE, "rtp_late", "packets", 0)                                                          \
    X(RTP_WRONG_STREAM, "rtp_wrong_stream", "packets", 1)                                          \
    X(RTP_WRONG_SOURCE, "rtp_wrong_source", "packets", 1)                                          \
    X(RTP_MALFORMED, "rtp_malformed", "packets", 1)                                                \
    X(RTP_SEND_ERRORS, "rtp_send_errors", "packets", 1)                                            \
    X(RTP_SLOTS_SKIPPED, "rtp_slots_skipped", "slots", 0)                                          \
    X(RTP_ONE_WAY, "rtp_one_way", "streams", 1)                                                    \
    X(RTCP_SENT, "rtcp_sent", "packets", 0)                                                        \
    X(RTCP_RECEIVED, "rtcp_received", "packets", 0)

enum stat_id {
#define STATS_ENUM(id, name, unit, bad) ST_##id,
    STATS_LIST(STATS_ENUM)
#undef STATS_ENUM
        ST_COUNT
};

enum { HIST_SUB_BITS = 7, HIST_SIZE = (64 - HIST_SUB_BITS) << HIST_SUB_BITS };

struct hist { /* of nanoseconds, within 0.8 percent */
    uint64_t n, max;
    uint32_t bucket[HIST_SIZE];
};

struct stats {
    uint64_t c[ST_COUNT];
    uint64_t status[700]; /* final failures of INVITE by code */
    struct hist setup, relay;
};

void hist_add(struct hist *h, int64_t ns);
double hist_ms(const struct hist *h, double quantile);

#endif
