/* explain_int.h - trying a request out: a house of one worker, on a clock and with wires of its
 * own, in which the code that serves calls runs as it does outside. Nothing leaves it, no counter
 * and no log line of the process hears of it. Thread: any, one at a time per sandbox; from open to
 * close the same. */
#ifndef POSTERN_EXPLAIN_INT_H
#define POSTERN_EXPLAIN_INT_H

#include "worker/worker_int.h"

#define SANDBOX_SENT_MAX 24  /* messages kept */
#define SANDBOX_RULES_MAX 64 /* header rules kept */

struct sandbox_sent {
    struct flow flow;
    struct sl text;
};
struct sandbox_rule { /* of the sandbox's configuration */
    const struct policy_peer *peer;
    const struct policy_header_rule *rule;
    size_t index;
};
struct sandbox {
    struct b2bua b; /* only what a worker asks of its house */
    struct worker *w;
    struct clock clock;
    struct net_ops ops;
    struct call_watch watch;
    uint64_t random;
    struct arena arena;
    bool is_closing;  /* what comes now is of no interest */
    struct flow from; /* by which the request came */
    struct sandbox_sent sent[SANDBOX_SENT_MAX];
    size_t n_sent;
    struct sandbox_rule rules[SANDBOX_RULES_MAX]; /* met, each once */
    size_t n_rules;
    /* what the policy said */
    bool has_verdict;
    struct policy_verdict verdict;
    char callee[POLICY_NAME_MAX + 1]; /* the number called, at the end of the routes */
    /* how the call ended, when it did at once */
    const char *end_by, *end_reason; /* static; NULL: it goes on */
    uint16_t end_code;
};
struct sandbox_params {
    struct config *cfg;    /* asked as it is: give it one with counters of its own; a reference is
                              taken */
    struct dtls_ctx *dtls; /* borrowed */
    int64_t mono_ms, wall_ms;
    struct sl user;                    /* who has proven himself; empty: nobody */
    const uint64_t *random;            /* NULL: a fresh one */
    const struct reg_update *bindings; /* of the user who is called; NULL: none */
};
MUST_USE int sandbox_open(struct sandbox **sp, const struct sandbox_params *p);
/* The request arrives. */
void sandbox_run(struct sandbox *s, const struct flow *flow, struct sl message);
void sandbox_close(struct sandbox **sp);

/* --- explain_ask.c: from a question to a flow --- */
/* EINVAL: *why (static) says what is wrong with the question. */
MUST_USE int explain_flow(const struct config *cfg, const struct b2bua_question *q,
                          struct flow *flow, const char **why);
/* The same message with the line ends of SIP; a Content-Length that was counted without them goes.
 */
void explain_put_message(struct buf *b, struct sl text);

/* --- explain_put.c: the answer --- */
struct explain_view {
    const struct sandbox *s;
    const struct config *cfg; /* whose counters are shown */
    const struct policy_gate *gate;
    const char *malformed; /* static; NULL: it could be read */
    struct sl user;        /* who is said to have proven himself; empty: nobody */
    bool is_call;          /* an INVITE */
    int64_t now_ms;        /* monotonic, of the counters */
};
void explain_put_json(const struct explain_view *v, struct json *j);
void explain_put_text(const struct explain_view *v, struct buf *b);

#endif
