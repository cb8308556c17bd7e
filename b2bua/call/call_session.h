/* call_session.h - what changes a leg's session beside INVITE, and keeps it alive: UPDATE
 * (RFC 3311). Part of call_int.h. */
#ifndef POSTERN_CALL_SESSION_H
#define POSTERN_CALL_SESSION_H

#include "call/call.h"

struct leg;

struct leg_update {
    bool is_allowed;       /* their Allow names it */
    struct tx *srv;        /* theirs, with an offer that the other side has not answered yet */
    struct tx *cli;        /* ours */
    struct timer patience; /* of srv */
};

/* --- call_update.c --- */
void call_update(struct leg *l, struct tx *tx, struct sip_msg *req);
/* What a message of theirs says of the methods that they take. */
void leg_learn_allow(struct leg *l, const struct sip_msg *m);
/* Sends our UPDATE with this offer (empty: none) in place of the one before it, if any. */
int leg_update(struct leg *l, struct sl sdp, struct sip_msg *challenge, tx_response_fn *fn);
/* Answers their UPDATE that waits. */
int leg_update_answer(struct leg *l, uint16_t status, struct sl sdp);
void leg_update_done(struct leg *l); /* ours has its final answer */
void leg_update_init(struct leg *l);
/* The call or the leg has ended: who waits is told, nothing of ours comes back. */
void leg_update_drop(struct leg *l);

#endif
