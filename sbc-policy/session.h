/* session.h - what one side of a call is held to beside its media: how often its session is
 * refreshed (RFC 4028), whether provisional answers are acknowledged (RFC 3262), and what it may
 * say of where it has moved. Part of policy.h. */
#ifndef POSTERN_POLICY_SESSION_H
#define POSTERN_POLICY_SESSION_H

#include <stdint.h>

enum policy_reliable { POLICY_RELIABLE_OFF, POLICY_RELIABLE_SUPPORTED, POLICY_RELIABLE_REQUIRED };

/* What the caller hears of a callee that has moved (301, 302). */
enum policy_redirection { POLICY_REDIRECTION_REFUSE, POLICY_REDIRECTION_PASS };

struct policy_session {
    uint32_t expires_ms; /* asked for; 0: not by us */
    uint32_t min_ms;     /* shorter ones are refused with 422 */
    uint8_t reliable;    /* enum policy_reliable */
    uint8_t redirection; /* enum policy_redirection */
};

#endif
