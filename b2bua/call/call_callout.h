/* call_callout.h - a request that waits for somebody else's decision. Part of call_int.h. */
#ifndef POSTERN_CALL_CALLOUT_H
#define POSTERN_CALL_CALLOUT_H

#include "call/call.h"

#define CALL_NUMBER_MAX 128

struct call;

/* Who waits: all borrowed, and alive until asked_forget(). */
struct ask_for {
    struct call_table *t;
    struct config *cfg; /* the snapshot that decides */
    struct arena *arena;
    struct log_ctx *log; /* NULL: nobody's */
    const struct sip_msg *req;
    const struct flow *flow;
    struct policy_verdict *verdict; /* POLICY_CALLOUT; replaced by the answer's */
    uint64_t call_id;               /* 0: none */
    /* The verdict is new, and may ask again: asked_put(). phrase: the server's, in the arena; or
     * NULL. May forget the question. */
    void (*heard)(void *arg, const char *phrase);
    void *arg;
};

/* --- call_in.c --- */
/* Once more, with what callouts have said, for the same request. */
void call_decide_again(const struct ask_for *f, const struct policy_callout_reply *replies,
                       size_t n);
/* Of the verdict, else of the request; unescaped; they borrow from mem or from what is asked. */
void call_numbers(const struct ask_for *f, char mem[2][CALL_NUMBER_MAX], struct sl *calling,
                  struct sl *called);
MUST_USE int call_fill_record(struct call *c, const struct sip_msg *req);
void call_go_on(struct call *c); /* the verdict is final */

/* --- call_callout.c --- */
struct asked_out;
/* Asks the callout of the verdict's route; heard() may run before it returns when that cannot be
 * done. ENOMEM; ENOBUFS: asked too often. Nobody is heard then. */
MUST_USE int asked_put(struct asked_out **op, const struct ask_for *f);
void asked_forget(struct asked_out **op); /* accepts NULL */
void call_ask_out(struct call *c); /* the verdict is POLICY_CALLOUT: asks, or takes the fallback */

#endif
