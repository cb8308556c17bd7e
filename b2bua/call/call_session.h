/* call_session.h - what changes a leg's session beside INVITE, and keeps it alive: UPDATE
 * (RFC 3311), session timers
 * (RFC 4028), reliable provisional answers (RFC 3262). Part of call_int.h. */
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

struct leg_tell { /* of our new address (call_moved.c) */
    bool is_due;
    uint8_t tries; /* that failed */
    struct timer again;
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

struct reliable_text { /* an answer as it is sent; may hold keys */
    char *text;
    size_t n;
    uint16_t status;
    bool has_sdp;
};
struct leg_reliable {
    /* The caller's leg: ours. */
    bool is_wanted, is_demanded; /* by their INVITE and the settings */
    bool is_waiting;             /* for the PRACK of `sent` */
    bool has_answer;             /* the one that counts has been told */
    bool is_outdated;            /* another one holds since */
    uint16_t refused;            /* 420, 421 or 0 */
    uint32_t rseq;               /* of `sent` */
    uint32_t step_ms, waited_ms;
    uint64_t answer_id;
    struct reliable_text sent, next, final; /* the latter two wait for the PRACK */
    struct timer timer;
    /* A callee's leg: theirs. */
    bool heard_answer;
    uint32_t heard;      /* RSeq; 0: none */
    uint64_t heard_id;   /* of the dialog */
    struct tx *prack;    /* ours for `heard`, until its answer */
    uint32_t prack_cseq; /* of the INVITE that it belongs to */
};
enum reliable_way { RELIABLE_NOT, RELIABLE_YES, RELIABLE_NEVER /* it must not be sent at all */ };

/* --- call_reliable.c --- */
uint16_t reliable_hear(struct leg *l, const struct sip_msg *req); /* 0, 420, 421 */
void reliable_put_refusal(struct buf *b, const struct leg *l, uint16_t status);
enum reliable_way reliable_way(const struct leg *l, uint16_t status);
/* What of a description may still be told to the caller. */
struct sl reliable_sdp(struct leg *l, struct sl sdp);
void reliable_put(struct buf *b, struct leg *l); /* into our 1xx */
/* Sends it now or after the PRACK that is due. */
MUST_USE int reliable_send(struct leg *l, uint16_t status, struct sl bytes, struct sl sdp);
/* A final answer of ours: true when it is kept until the PRACK. */
bool reliable_holds(struct leg *l, uint16_t status, struct sl bytes);
void call_prack(struct leg *l, struct tx *tx, struct sip_msg *req);
void reliable_put_request(struct buf *b, const struct leg *l); /* Supported, Require */
/* A 1xx of theirs: false when it is to be ignored; true: PRACK is out where it is due. */
bool reliable_take(struct leg *l, const struct sip_msg *rsp);
/* The call is answered: a caller that was told another answer before gets an offer of ours. */
void reliable_answered(struct leg *l);
bool reliable_has_answer(const struct leg *l);
void reliable_drop(struct leg *l);

/* --- call_timer.c --- */
const struct policy_session *leg_session(const struct leg *l);
/* Their INVITE or UPDATE. 0, or what refuses it: 422, 400. */
uint16_t session_hear(struct leg *l, const struct sip_msg *req);
void session_put_request(struct buf *b, const struct leg *l); /* into our INVITE or UPDATE */
void session_put_answer(struct buf *b, const struct leg *l);  /* into our 2xx to one of theirs */
void session_answered(struct leg *l); /* which has gone out: what it says holds */
void session_put_min(struct buf *b, const struct leg *l);            /* into our 422 */
void session_heard_answer(struct leg *l, const struct sip_msg *rsp); /* 2xx to ours */
/* Their 422: true when it asks for more than we did, which the next request will say. */
bool session_raise(struct leg *l, const struct sip_msg *rsp);
/* A re-INVITE of ours has failed: if it was due to refresh the session, there will be another. */
void session_missed(struct leg *l);
void session_init(struct leg *l);
void session_stop(struct leg *l);

/* --- call_update.c --- */
void call_update(struct leg *l, struct tx *tx, struct sip_msg *req);
/* What a message of theirs says of the methods that they take. */
void leg_learn_allow(struct leg *l, const struct sip_msg *m);
/* Sends our UPDATE with this offer (empty: none) in place of the one before it, if any. */
int leg_update(struct leg *l, struct sl sdp, struct sip_msg *challenge, tx_response_fn *fn);
/* Answers their UPDATE that waits. An error: the answer did not go out, and consent was refused
 * with 500 instead. */
int leg_update_answer(struct leg *l, uint16_t status, struct sl sdp);
void leg_update_done(struct leg *l); /* ours has its final answer */
void leg_update_init(struct leg *l);
/* The call or the leg has ended: who waits is told, nothing of ours comes back. */
void leg_update_drop(struct leg *l);

#endif
