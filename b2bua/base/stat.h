/* stat.h - counters: one cache-padded block per thread, relaxed atomics, summed when asked.
 * Each thread that counts calls stat_thread_init() once. Thread: stat_inc any, own block. */
#ifndef POSTERN_BASE_STAT_H
#define POSTERN_BASE_STAT_H

#include "base/stat_auth.h"
#include "base/stat_guard.h"
#include "base/stat_limits.h"

#include <stdint.h>

/* X(id, prometheus name, labels or "", help). Names end in _total unless gauges (STAT_GAUGE). */
#define STAT_LIST(X)                                                                               \
    X(SIP_RX, "postern_sip_messages_total", "direction=\"rx\"", "SIP messages by direction")       \
    X(SIP_TX, "postern_sip_messages_total", "direction=\"tx\"", "SIP messages by direction")       \
    X(SIP_BAD, "postern_sip_parse_errors_total", "reason=\"syntax\"", "Messages refused unparsed") \
    X(SIP_TOO_BIG, "postern_sip_parse_errors_total", "reason=\"limit\"",                           \
      "Messages refused unparsed")                                                                 \
    X(SIP_KEEPALIVE, "postern_sip_keepalives_total", "", "CRLF keepalives received")               \
    X(SIP_PING, "postern_sip_pings_total", "result=\"sent\"", "CRLF keepalives sent")              \
    X(SIP_PING_LOST, "postern_sip_pings_total", "result=\"lost\"", "CRLF keepalives sent")         \
    X(NAT_SENT, "postern_nat_keepalives_total", "result=\"sent\"",                                 \
      "Keepalives to devices behind NAT")                                                          \
    X(NAT_FAILED, "postern_nat_keepalives_total", "result=\"failed\"",                             \
      "Keepalives to devices behind NAT")                                                          \
    X(NAT_ANSWERED, "postern_nat_keepalives_total", "result=\"answered\"",                         \
      "Keepalives to devices behind NAT")                                                          \
    X(NAT_LOST, "postern_nat_keepalives_total", "result=\"lost\"",                                 \
      "Keepalives to devices behind NAT")                                                          \
    X(TLS_OK, "postern_tls_handshakes_total", "result=\"ok\"", "TLS handshakes by result")         \
    X(TLS_ERROR, "postern_tls_handshakes_total", "result=\"error\"", "TLS handshakes by result")   \
    X(TLS_CERT, "postern_tls_handshakes_total", "result=\"certificate\"",                          \
      "TLS handshakes by result")                                                                  \
    X(TLS_REFUSED, "postern_tls_handshakes_total", "result=\"refused\"",                           \
      "TLS handshakes by result")                                                                  \
    X(TLS_CLOSED, "postern_tls_handshakes_total", "result=\"closed\"", "TLS handshakes by result") \
    X(TLS_TIMEOUT, "postern_tls_handshakes_total", "result=\"timeout\"",                           \
      "TLS handshakes by result")                                                                  \
    X(TLS_LIMIT, "postern_tls_handshakes_total", "result=\"limit\"", "TLS handshakes by result")   \
    X(TLS_RESUMED, "postern_tls_resumed_total", "", "TLS handshakes that resumed a session")       \
    X(TLS_NAMES, "postern_tls_names_cut_total", "",                                                \
      "Certificates with more names than are kept: only the first ones count")                     \
    X(TLS_ASIDES, "postern_tls_rekey_floods_total", "",                                            \
      "TLS connections ended for more new keys than anybody needs")                                \
    X(TLS_RETIRED, "postern_tls_retired_total", "",                                                \
      "TLS connections that a new configuration no longer vouches for")                            \
    X(CONN_RESERVE, "postern_conn_reserve_total", "",                                              \
      "Strangers' connections refused to keep room for known sources")                             \
    X(SIP_DROP_STRAY_RSP, "postern_dropped_packets_total", "reason=\"stray_response\"",            \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_AMPLIFY, "postern_dropped_packets_total", "reason=\"amplification\"",               \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_ACK, "postern_dropped_packets_total", "reason=\"stray_ack\"",                       \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_NOT_SIP, "postern_dropped_packets_total", "reason=\"not_sip\"",                     \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_SEND, "postern_dropped_packets_total", "reason=\"send_failed\"",                    \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_DENIED, "postern_dropped_packets_total", "reason=\"banned\"",                       \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_STRANGER, "postern_dropped_packets_total", "reason=\"strangers_budget\"",           \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_HIDDEN, "postern_dropped_packets_total", "reason=\"unexpected\"",                   \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_FAST, "postern_dropped_packets_total", "reason=\"source_rate\"",                    \
      "Messages dropped by reason")                                                                \
    X(SIP_DROP_REPEAT, "postern_dropped_packets_total", "reason=\"repeated_invite\"",              \
      "Messages dropped by reason")                                                                \
    X(SHED_STRANGER, "postern_overload_refused_total", "class=\"stranger\"",                       \
      "New requests refused for overload, by class of source")                                     \
    X(SHED_USER, "postern_overload_refused_total", "class=\"user\"",                               \
      "New requests refused for overload, by class of source")                                     \
    X(SHED_PEER, "postern_overload_refused_total", "class=\"peer\"",                               \
      "New requests refused for overload, by class of source")                                     \
    X(SIP_HANDOVER, "postern_sip_handovers_total", "", "Messages handed to another worker")        \
    X(SIP_RETRANS_RX, "postern_sip_retransmissions_total", "direction=\"rx\"", "Retransmissions")  \
    X(SIP_RETRANS_TX, "postern_sip_retransmissions_total", "direction=\"tx\"", "Retransmissions")  \
    X(TX_UNEXPECTED, "postern_sip_unexpected_events_total", "", "Events a state has no cell for")  \
    X(TX_TIMEOUT, "postern_sip_transaction_timeouts_total", "", "Transactions that timed out")     \
    X(TX_FULL, "postern_limit_reached_total", "limit=\"transactions\"", "Limits that bit")         \
    X(TX_PUSHED_OUT, "postern_sip_transactions_pushed_out_total", "",                              \
      "Finished transactions forgotten early for want of room")                                    \
    X(SIP_LISTENER_LEFT, "postern_sip_listener_left_total", "",                                    \
      "Requests refused on listeners that a reload took away")                                     \
    X(CALL_FULL, "postern_limit_reached_total", "limit=\"calls\"", "Limits that bit")              \
    STAT_LIST_LIMITS(X)                                                                            \
    X(PORTS_FULL, "postern_limit_reached_total", "limit=\"rtp_ports\"", "Limits that bit")         \
    X(CONN_FULL, "postern_limit_reached_total", "limit=\"connections\"", "Limits that bit")        \
    X(QUEUE_FULL, "postern_limit_reached_total", "limit=\"mailbox\"", "Limits that bit")           \
    X(CRYPTO_FULL, "postern_limit_reached_total", "limit=\"crypto_queue\"", "Limits that bit")     \
    X(CONFIG_APPLIED, "postern_config_changes_total", "result=\"applied\"",                        \
      "Configurations by what became of them")                                                     \
    X(CONFIG_REFUSED, "postern_config_changes_total", "result=\"refused\"",                        \
      "Configurations by what became of them")                                                     \
    X(CONFIG_EXPIRED, "postern_config_changes_total", "result=\"not_confirmed\"",                  \
      "Configurations by what became of them")                                                     \
    X(LISTENER_DEAF, "postern_listener_unbound_total", "",                                         \
      "Sockets of listeners that could not be bound although their configuration is in force")     \
    X(CALL_STARTED, "postern_call_attempts_total", "", "Calls that got past the policy")           \
    X(CALL_ANSWERED, "postern_calls_answered_total", "", "Calls that were answered")               \
    X(CALL_ENDED, "postern_calls_ended_total", "", "Calls that ended")                             \
    X(CALL_REFUSED, "postern_calls_refused_total", "", "Calls that the policy refused")            \
    X(LEAK_MASKED, "postern_topology_leaks_total", "action=\"masked\"",                            \
      "Names and addresses of one side found in messages to the other")                            \
    X(LEAK_REFUSED, "postern_topology_leaks_total", "action=\"refused\"",                          \
      "Names and addresses of one side found in messages to the other")                            \
    X(LEAK_REPORTED, "postern_topology_leaks_total", "action=\"reported\"",                        \
      "Names and addresses of one side found in messages to the other")                            \
    X(REAPER_ALARM, "postern_reaper_alarms_total", "", "Books that did not balance")               \
    STAT_LIST_GUARD(X)                                                                             \
    X(PROBE_OK, "postern_probes_total", "result=\"alive\"", "OPTIONS probes of targets by result") \
    X(PROBE_LOST, "postern_probes_total", "result=\"lost\"",                                       \
      "OPTIONS probes of targets by result")                                                       \
    X(PROBE_UNSENT, "postern_probes_total", "result=\"unsent\"",                                   \
      "OPTIONS probes of targets by result")                                                       \
    X(TARGET_DOWN, "postern_target_changes_total", "to=\"down\"", "Changes of targets by kind")    \
    X(TARGET_UP, "postern_target_changes_total", "to=\"up\"", "Changes of targets by kind")        \
    X(BREAKER_OPEN, "postern_target_changes_total", "to=\"suspect\"",                              \
      "Changes of targets by kind")                                                                \
    X(BREAKER_CLOSED, "postern_target_changes_total", "to=\"trusted\"",                            \
      "Changes of targets by kind")                                                                \
    X(TARGET_PASSED, "postern_target_passed_over_total", "reason=\"down\"",                        \
      "Targets that a call passed over")                                                           \
    X(TARGET_LATER, "postern_target_passed_over_total", "reason=\"suspect\"",                      \
      "Targets that a call passed over")                                                           \
    X(TARGET_WAITING, "postern_limit_reached_total", "limit=\"target_waiting\"",                   \
      "Limits that bit")                                                                           \
    X(FIREWALL_DOWN, "postern_firewall_helper_failures_total", "",                                 \
      "Times that postern-nft ended or could not be started")                                      \
    X(FIREWALL_FAILED, "postern_firewall_errors_total", "",                                        \
      "Changes that the packet filter refused")                                                    \
    X(REG_OK, "postern_registrations_total", "result=\"ok\"", "REGISTER requests by result")       \
    X(REG_FAIL, "postern_registrations_total", "result=\"refused\"",                               \
      "REGISTER requests by result")                                                               \
    STAT_LIST_AUTH(X)                                                                              \
    X(RTP_RX, "postern_rtp_packets_total", "direction=\"rx\"", "RTP and RTCP packets")             \
    X(RTP_TX, "postern_rtp_packets_total", "direction=\"tx\"", "RTP and RTCP packets")             \
    X(RTP_STRANGER, "postern_rtp_dropped_total", "reason=\"stranger\"", "Media packets dropped")   \
    X(RTP_BAD, "postern_rtp_dropped_total", "reason=\"malformed\"", "Media packets dropped")       \
    X(RTP_NO_PEER, "postern_rtp_dropped_total", "reason=\"no_destination\"",                       \
      "Media packets dropped")                                                                     \
    X(RTP_SEND_FAIL, "postern_rtp_dropped_total", "reason=\"send_failed\"",                        \
      "Media packets dropped")                                                                     \
    X(RTP_NO_KEYS, "postern_rtp_dropped_total", "reason=\"no_keys\"", "Media packets dropped")     \
    X(RTP_WRONG_PT, "postern_rtp_dropped_total", "reason=\"payload_type\"",                        \
      "Media packets dropped")                                                                     \
    X(RTP_LOST, "postern_rtp_lost_packets_total", "", "RTP packets that never came")               \
    X(SRTP_AUTH, "postern_srtp_errors_total", "reason=\"auth\"", "SRTP packets dropped")           \
    X(SRTP_REPLAY, "postern_srtp_errors_total", "reason=\"replay\"", "SRTP packets dropped")       \
    X(SRTP_SSRC, "postern_srtp_errors_total", "reason=\"ssrc_limit\"", "SRTP packets dropped")     \
    X(DTLS_OK, "postern_dtls_handshakes_total", "result=\"ok\"", "DTLS-SRTP handshakes")           \
    X(DTLS_FAIL, "postern_dtls_handshakes_total", "result=\"failed\"", "DTLS-SRTP handshakes")     \
    X(DTMF_EVENTS, "postern_dtmf_events_total", "", "RFC 4733 events received")                    \
    X(MEDIA_TIMEOUT, "postern_media_timeouts_total", "", "Calls ended for want of media")          \
    X(PRACK_MISSING, "postern_reliable_unacknowledged_total", "",                                  \
      "Calls ended because a reliable provisional answer of ours got no PRACK")                    \
    X(SESSION_REFRESH, "postern_session_refreshes_total", "result=\"ok\"",                         \
      "Session refreshes of ours by UPDATE")                                                       \
    X(SESSION_REFUSED, "postern_session_refreshes_total", "result=\"failed\"",                     \
      "Session refreshes of ours by UPDATE")                                                       \
    X(SESSION_EXPIRED, "postern_sessions_expired_total", "",                                       \
      "Calls ended because a side did not refresh its session")                                    \
    X(REKEY_OK, "postern_rekeys_total", "result=\"ok\"", "Legs that got new SRTP keys of ours")    \
    X(REKEY_FAIL, "postern_rekeys_total", "result=\"refused\"",                                    \
      "Legs that got new SRTP keys of ours")                                                       \
    X(CALLOUT_ANSWERED, "postern_callouts_total", "result=\"answered\"",                           \
      "Questions to HTTP servers, by result")                                                      \
    X(CALLOUT_FAILED, "postern_callouts_total", "result=\"failed\"",                               \
      "Questions to HTTP servers, by result")                                                      \
    X(STORE_ROWS, "postern_store_rows_total", "", "Rows written")                                  \
    X(STORE_RETRY, "postern_store_retries_total", "", "Batches that could not be written yet")     \
    X(LOG_DROPPED, "postern_log_lines_dropped_total", "", "Log lines over the rate limit")         \
    X(HTTP_REQ, "postern_http_requests_total", "", "Admin API requests")

enum stat_id {
#define X(id, name, labels, help) STAT_##id,
    STAT_LIST(X)
#undef X
        STAT_N
};

struct stat_def {
    const char *name, *labels, *help;
};
extern const struct stat_def stat_defs[STAT_N];

int stat_thread_init(
    void); /* ENOMEM, ENOBUFS (64 threads); a thread without a block counts into a shared one */
/* on: what this thread counts from here on is forgotten, for work that is only tried out. Off again
 * by the same thread. Not nested. */
void stat_thread_pause(bool on);
void stat_add(enum stat_id id, uint64_t n);
static inline void stat_inc(enum stat_id id)
{
    stat_add(id, 1);
}
uint64_t stat_sum(enum stat_id id); /* any thread */
void stat_reset(void);              /* tests */

#endif
