/* callout.h - questions to HTTP servers: one thread of the process asks, with a time limit and a
 * circuit breaker for each server, so that a slow or dead one costs a call no more than its limit.
 * The only user of libcurl and jansson. Thread: callout_ask() any, the rest main. */
#ifndef POSTERN_CALLOUT_H
#define POSTERN_CALLOUT_H

#include "base/base.h"

#define CALLOUT_TARGETS_MAX 8
#define CALLOUT_NAME_MAX 64
#define CALLOUT_BODY_MAX (16u << 10) /* bytes of a question, and of an answer */

struct callout;
MUST_USE int callout_new(struct callout **cp); /* starts the thread. ENOMEM */
void callout_free(struct callout **cp); /* what still waits is never answered; accepts NULL */

enum callout_result { CALLOUT_FAILED, CALLOUT_CONTINUE, CALLOUT_REFUSE, CALLOUT_ROUTE };
struct callout_answer {
    enum callout_result result;
    const char *why;                                         /* FAILED: static words */
    uint16_t status;                                         /* REFUSE: 400 to 699 */
    char reason[CALLOUT_NAME_MAX + 1];                       /* REFUSE: printable; may be empty */
    char targets[CALLOUT_TARGETS_MAX][CALLOUT_NAME_MAX + 1]; /* ROUTE: names, at least one */
    size_t n_targets;
};
struct callout_ticket { /* the asker's, to know the question again */
    uint64_t id;
    uint32_t turn;
};
/* On the callout's thread, once per question; t and a are borrowed. */
typedef void(callout_fn)(void *arg, const struct callout_ticket *t, const struct callout_answer *a);

struct callout_question {
    struct sl name, url;           /* of the server: the breaker's key */
    uint32_t timeout_ms, pause_ms; /* of one question; of an open circuit */
    uint32_t failures;             /* in a row, that open it */
    uint32_t waiting;              /* questions to this server at once; beyond: FAILED */
    struct sl body;                /* JSON */
    callout_fn *fn;
    void *arg;
    struct callout_ticket ticket;
};
/* Copies; never blocks. ENOBUFS: too many wait; ENOMEM, EMSGSIZE. fn is not called then. */
MUST_USE int callout_ask(struct callout *c, const struct callout_question *q);

/* {"action": "continue"}, {"action": "refuse", "status": 486, "reason": "..."} or
 * {"action": "route", "targets": ["pbx", ...]}; anything else is EBADMSG. Pure. */
MUST_USE int callout_answer_read(struct sl json, struct callout_answer *a);

#endif
