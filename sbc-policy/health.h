/* health.h - whether a peer's targets are worth a call: what OPTIONS probes found, a circuit
 * breaker on live calls, drain, and how many answers a target owes. State lies in the book, one
 * entry per peer, listener, transport and address, so it outlives snapshots that keep the target.
 * Thread: any; the state is atomic, only policy_target_probed() is one thread's per target. */
#ifndef POSTERN_POLICY_HEALTH_H
#define POSTERN_POLICY_HEALTH_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

struct policy_health; /* of one target, or of a peer as a whole */

struct policy_probe { /* as enum names of the settings */
    bool present;
    uint32_t every_ms, timeout_ms;
    uint16_t fail_after, rise_after; /* in a row */
};
struct policy_breaker {
    uint32_t failures;         /* in a row open it; 0: they never do */
    struct policy_codes codes; /* answers that are failures, beside silence and no connection */
    uint32_t answer_ratio;     /* percent; less opens it; 0: any will do */
    uint32_t seizures;         /* calls that the ratio is taken of */
    uint32_t retry_ms;         /* until one call may try again; doubles up to POLICY_RETRY_MAX_MS */
};
#define POLICY_RETRY_MAX_MS 600000

/* What becomes of targets that are not well when nothing better is left. AUTO tries those with an
 * open breaker, whose calls may have failed for reasons of their own, and refuses those whose
 * probes fail. A drained target is never tried. */
enum policy_last_resort { POLICY_LAST_AUTO, POLICY_LAST_TRY, POLICY_LAST_REFUSE };

enum policy_target_state {
    POLICY_TARGET_UP,
    POLICY_TARGET_TRIAL,   /* half-open: one call is trying */
    POLICY_TARGET_SUSPECT, /* the breaker is open */
    POLICY_TARGET_DOWN,    /* probes fail */
    POLICY_TARGET_DRAINED,
    POLICY_TARGET_NSTATES
};
const char *policy_target_state_word(enum policy_target_state s);

struct policy_peer;
struct policy_uri_target;
struct policy_verdict;

/* In which order the targets of the peer v->to[to_i] are tried, as indices (POLICY_TARGETS_MAX at
 * most); returns how many. Pure: the same verdict gives the same order. */
size_t policy_target_order(const struct policy_peer *peer, const struct policy_verdict *v,
                           size_t to_i, uint8_t *order);

/* May a call go there? OK: it is counted as waiting until policy_target_heard(). */
enum policy_welcome {
    POLICY_WELCOME_OK,
    POLICY_WELCOME_LATER, /* only when nothing better is left */
    POLICY_WELCOME_CLOSED,
    POLICY_WELCOME_BUSY /* it owes too many answers */
};
/* last: nothing better is left. */
enum policy_welcome policy_target_enter(const struct policy_peer *peer,
                                        const struct policy_uri_target *t, bool last,
                                        int64_t now_ms);
/* The first answer came, or none will; once per OK. */
void policy_target_heard(const struct policy_uri_target *t);

enum policy_outcome {
    POLICY_ANSWERED,
    POLICY_DECLINED, /* a final answer that says: I live */
    POLICY_FAILED,
    POLICY_ABANDONED, /* the caller gave up while it rang */
    POLICY_ALIVE,     /* it answered something that is no call */
    POLICY_UNTRIED    /* nothing was sent, for reasons of ours */
};
enum policy_news { /* for the log */
                   POLICY_NO_NEWS,
                   POLICY_WENT_DOWN,
                   POLICY_CAME_UP,
                   POLICY_BREAKER_OPENED,
                   POLICY_BREAKER_CLOSED
};
MUST_USE enum policy_news policy_target_result(const struct policy_peer *peer,
                                               const struct policy_uri_target *t,
                                               enum policy_outcome outcome, int64_t now_ms);
MUST_USE enum policy_news policy_target_probed(const struct policy_peer *peer,
                                               const struct policy_uri_target *t, bool is_alive,
                                               int64_t now_ms);
/* When the next probe of it is due (monotonic ms; 0: never yet); the prober's, kept over reloads.
 */
int64_t policy_probe_due(const struct policy_uri_target *t);
void policy_probe_set_due(const struct policy_uri_target *t, int64_t at_ms);

/* No new calls; running ones go on. t NULL: all of the peer. Until undone or the process ends. */
void policy_drain(const struct policy_peer *peer, const struct policy_uri_target *t, bool on);
bool policy_peer_is_drained(const struct policy_peer *peer);

struct policy_target_report {
    enum policy_target_state state;
    bool is_drained;   /* by hand, itself */
    bool is_probed;    /* a probe has an answer, or had none in time */
    int64_t since_ms;  /* monotonic: the state of its probes; 0: never changed */
    int64_t retry_ms;  /* monotonic: when an open breaker lets a call try; 0: closed */
    uint32_t failures; /* in a row */
    uint32_t waiting;
    uint64_t calls, answered, failed, probes, probes_lost;
};
void policy_target_report(const struct policy_peer *peer, const struct policy_uri_target *t,
                          int64_t now_ms, struct policy_target_report *out);

#endif
