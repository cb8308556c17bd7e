/* call_health.h - what calls learn of their targets and what that means for the next ones; the
 * probes between them. Part of call_int.h. */
#ifndef POSTERN_CALL_HEALTH_H
#define POSTERN_CALL_HEALTH_H

#include "call/call.h"

struct call;
struct leg;
struct probes; /* of one worker, call_probe.c */

struct leg_target { /* the target that a leg calls; uri NULL: none, or its fate is told */
    const struct policy_uri_target *uri; /* of the call's snapshot */
    bool waits;                          /* nothing at all was heard from it */
};

struct call_tries { /* targets passed over, to be tried when nothing better is left */
    uint64_t later; /* a bit for each target of each peer of the verdict */
    bool is_last;
    const char *why; /* static; why the latest was not even asked */
};

/* 0: go on and launch; then call_target_tried(). EAGAIN: passed over, maybe for later. ESHUTDOWN,
 * EBUSY: not this one. */
MUST_USE int call_target_enter(struct call *c, uint16_t peer, const struct policy_uri_target *t);
/* Launched when status and err are 0: the leg is c->b. */
void call_target_tried(struct call *c, uint16_t peer, const struct policy_uri_target *t,
                       uint16_t status, int err);
/* All have been tried: is there somebody left who was passed over? Starts from the top then. */
bool call_turn_back(struct call *c);
/* Something came from the leg's target, or nothing will. */
void leg_target_heard(struct leg *l);
/* Its INVITE ended with this answer or error; only the first time counts. */
void leg_target_judge(struct leg *l, uint16_t status, int err);
/* Nothing more will be learnt. */
void leg_target_leave(struct leg *l);

/* What an answer, or none, says of a target. */
enum policy_outcome call_outcome(const struct policy_peer *peer, uint16_t status, int err);
/* The same of a request that did not leave; EACCES: it would have said too much. */
enum policy_outcome call_outcome_unsent(const struct policy_peer *peer, int err);
/* Counts and logs a change; NO_NEWS is fine. */
void call_tell_health(const struct policy_peer *peer, const struct policy_uri_target *t,
                      enum policy_news news);

/* --- call_probe.c: OPTIONS to this worker's part of all targets --- */
/* Drops what runs and starts what the table's configuration asks for. */
void probes_apply(struct call_table *t);
void probes_free(struct call_table *t);

#endif
