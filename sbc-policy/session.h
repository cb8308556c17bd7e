/* session.h - what one side of a call is held to beside its media: how often its session is
 * refreshed (RFC 4028), and whether provisional answers are acknowledged (RFC 3262). Part of
 * policy.h. */
#ifndef POSTERN_POLICY_SESSION_H
#define POSTERN_POLICY_SESSION_H

#include <stdint.h>

enum policy_reliable { POLICY_RELIABLE_OFF, POLICY_RELIABLE_SUPPORTED, POLICY_RELIABLE_REQUIRED };

struct policy_session {
    uint32_t expires_ms; /* asked for; 0: not by us */
    uint32_t min_ms;     /* shorter ones are refused with 422 */
    uint8_t reliable;    /* enum policy_reliable */
};

#endif
