/* schema_session.c - session timers of a peer or of the users. */
#include "config/schema_int.h"

static const char *const words_off[] = {"off", NULL};
const char *const cfg_words_reliable[] = {
    [POLICY_RELIABLE_OFF] = "off",
    [POLICY_RELIABLE_SUPPORTED] = "supported",
    [POLICY_RELIABLE_REQUIRED] = "required",
    NULL,
};

const char *const cfg_words_redirection[] = {
    [POLICY_REDIRECTION_REFUSE] = "refuse",
    [POLICY_REDIRECTION_PASS] = "pass",
    NULL,
};

static void cfg_check_session(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_session *s = at;

    if (s->expires_ms != 0 && s->expires_ms < s->min_ms) {
        cfg_error(c, cfg_spot(c, node, SL("expires")), "'expires' is shorter than 'min'");
    }
}

static const struct cfg_key cfg_session_timer_keys[] = {
    {.key = "expires",
     .type = CFG_DURATION,
     AT(policy_session, expires_ms),
     .dflt = "30m",
     .min = 90 * MS_S,
     .max = MS_D,
     .words = words_off,
     .help = "A call whose session was not refreshed for this long is over (RFC 4028), where the "
             "other side takes part; off: only when it asks."},
    {.key = "min",
     .type = CFG_DURATION,
     AT(policy_session, min_ms),
     .dflt = "90s",
     .min = 90 * MS_S,
     .max = MS_H,
     .help = "Shorter sessions that are asked for are refused with 422."},
};
OBJECT_PUBLIC(cfg_session_timer, policy_session, cfg_check_session);
