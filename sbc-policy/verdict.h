/* verdict.h - what a decision says: what to do with a request, where to, and the steps that led
 * there. Thread: any. */
#ifndef POSTERN_POLICY_VERDICT_H
#define POSTERN_POLICY_VERDICT_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_TRACE_MAX 24 /* steps kept; the rest is counted */

enum policy_action {
    POLICY_REFUSE,
    POLICY_CHALLENGE,
    POLICY_ROUTE,
    POLICY_REDIRECT,
    POLICY_CALLOUT /* the callout of `route` is to be asked first */
};
enum policy_step_kind {
    POLICY_STEP_SOURCE,
    POLICY_STEP_AUTH,
    POLICY_STEP_ROUTE,
    POLICY_STEP_LIMIT,
    POLICY_STEP_CERTIFICATE,
    POLICY_STEP_CALLED, /* the number was rewritten; index: a route, or the node for the source */
    POLICY_STEP_CALLING,
    POLICY_STEP_HEALTH /* a peer was passed over */
};
enum policy_step_result {
    POLICY_HIT,
    POLICY_MISS_FROM,
    POLICY_MISS_CALLED,
    POLICY_MISS_CALLING,
    POLICY_MISS_DOMAIN,
    POLICY_MISS_METHOD,
    POLICY_MISS_LISTENER,
    POLICY_MISS_USER,
    POLICY_MISS_HEADER,
    POLICY_MISS_TIME,
    POLICY_MISS_CODEC,
    POLICY_MISS_COSTLY, /* a pattern gave up: too many steps */
    POLICY_NOT_FOUND,
    POLICY_OVER,
    POLICY_WITHIN,
    POLICY_GOES_ON, /* a route that matched and lets the next ones see its numbers */
    POLICY_REWRITTEN,
    POLICY_ASKS, /* a route's callout: to be asked, has answered, has not */
    POLICY_TOLD,
    POLICY_UNANSWERED,
    POLICY_DOWN, /* its targets */
    POLICY_DRAINED,
    POLICY_LAST /* its breakers are open: only when nothing else is left */
};
struct policy_step {
    uint8_t kind, result;
    uint16_t index; /* route, peer or destination; UINT16_MAX: the node, or nobody */
    uint8_t scope;  /* LIMIT: enum policy_scope */
};
struct policy_held { /* an entry of a tally that a call counts in */
    uint16_t destination;
    uint32_t slot;
    uint32_t share;   /* entry, from 1, that counts the ranges of the party; 0: it has but one */
    uint32_t window;  /* in which the call was counted */
    uint32_t since_s; /* 0: not answered */
};
struct policy_verdict {
    enum policy_action action;
    uint16_t sip_code;                    /* refuse */
    const char *reason;                   /* static or the configuration's; why in words */
    struct policy_ref source;             /* who is asking */
    int user;                             /* account index or -1 */
    int route;                            /* index or -1; the last one that matched */
    struct policy_number called, calling; /* as the routes saw them at the end */
    struct policy_ref to[POLICY_TARGETS_MAX];
    size_t n_to;
    uint32_t retry_after_s; /* 503: 0 = none */
    uint64_t random;        /* the request's: with it the same question gets the same answer */
    struct policy_told told;
    bool counted;      /* limits were taken: policy_release() gives them back */
    bool user_counted; /* the user's, too */
    uint8_t n_held;
    uint32_t early; /* entry of the source, from 1; 0: none */
    struct policy_held held[POLICY_DESTINATION_FITS];
    uint16_t n_steps; /* steps gone through, may exceed POLICY_TRACE_MAX */
    uint8_t n_kept;   /* in steps[]: the first ones and always those that decided */
    struct policy_step steps[POLICY_TRACE_MAX];
};

#endif
