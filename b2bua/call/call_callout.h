/* call_callout.h - a call that waits for somebody else's decision. Part of call_int.h. */
#ifndef POSTERN_CALL_CALLOUT_H
#define POSTERN_CALL_CALLOUT_H

#include "call/call.h"

struct call;

/* --- call_in.c --- */
/* Once more, with what callouts have said, for the same request. */
void call_decide_again(struct call *c, const struct policy_callout_reply *replies, size_t n);
MUST_USE int call_fill_record(struct call *c, const struct sip_msg *req);
void call_go_on(struct call *c); /* the verdict is final */

/* --- call_callout.c --- */
void call_ask_out(struct call *c); /* the verdict is POLICY_CALLOUT: asks, or takes the fallback */
void call_asked_forget(struct call *c);

#endif
