/* call_session.h - what changes a leg's session beside INVITE, and keeps it alive: UPDATE
 * (RFC 3311), session timers
 * (RFC 4028). Part of call_int.h. */
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

/* Each leg has a timer of its own (RFC 4028): what the two sides agreed on is their business. */
struct leg_timer {
    bool is_supported;   /* they said that they take part */
    bool is_ours;        /* we refresh */
    bool asked_ours;     /* the same of asked_s */
    uint8_t raises;      /* how often 422 of theirs was followed */
    uint32_t interval_s; /* in force; 0: none */
    uint32_t asked_s;    /* what our 2xx to their last request will say; 0: nothing */
    uint32_t min_s;      /* their Min-SE */
    int64_t fresh_ms;    /* loop time of the last refresh */
    struct tx *refresh;  /* our UPDATE without an offer */
    struct timer timer;
};

/* --- call_timer.c --- */
const struct policy_session *leg_session(const struct leg *l);
bool msg_has_option(const struct sip_msg *m, enum hdr_id id, struct sl option);
/* Their INVITE or UPDATE. 0, or what refuses it: 422, 400. */
uint16_t session_hear(struct leg *l, const struct sip_msg *req);
void session_put_request(struct buf *b, const struct leg *l); /* into our INVITE or UPDATE */
void session_put_answer(struct buf *b, struct leg *l);        /* into our 2xx to one of theirs */
void session_put_min(struct buf *b, const struct leg *l);     /* into our 422 */
void session_heard_answer(struct leg *l, const struct sip_msg *rsp); /* 2xx to ours */
/* Their 422: true when it asks for more than we did, which the next request will say. */
bool session_raise(struct leg *l, const struct sip_msg *rsp);
void session_init(struct leg *l);
void session_stop(struct leg *l);

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
