/* call_egress.h - the last look at each message before it goes: whatever wrote it, nothing of one
 * side is in what the other gets (design, invariant 2). What is found is masked, or the message is
 * held back, or it is only reported, as `topology.on_leak` of who would get it says; it is counted,
 * logged and written into the call's record whatever is done. Answers to REGISTER are not looked
 * at: beside what the request said they hold only the user's own contacts; nor is the 503 of an
 * overload, which holds nothing but what the request said. */
#ifndef POSTERN_CALL_EGRESS_H
#define POSTERN_CALL_EGRESS_H

#include "call/call_int.h"

#define EGRESS_NOTES_MAX 4 /* kept for the record of a call */

struct egress_note {
    char field[32]; /* header field, or the kind of body and its line */
    char text[64];  /* what was found, cut */
    uint8_t leg, kind, done;
    uint8_t method;  /* enum sip_method */
    uint16_t status; /* 0: a request */
};
struct egress_notes {
    struct egress_note e[EGRESS_NOTES_MAX];
    uint32_t n_total;
};

struct egress {
    const struct config *cfg;
    struct leg *leg; /* of a call; NULL: outside of one */
    struct policy_ref to;
    uint8_t listener;
    enum sip_method method;
    uint16_t status;               /* 0: a request */
    const struct sip_msg *request; /* that is answered: its own words may come back */
    const struct dialog *dlg;      /* of a request: what its other end has called itself */
    const struct policy_said *own; /* outside of a call */
    const struct sip_msg *other;   /* likewise: the message that is passed on */
    bool is_due; /* never held back: ACK, BYE, failures; the dialog over there would not end */
};
/* 0: it may go, perhaps masked. EACCES: it may not. */
MUST_USE int egress_pass(const struct egress *e, struct buf *b);
MUST_USE int egress_pass_leg(struct leg *l, struct buf *b, enum sip_method m, uint16_t status,
                             const struct sip_msg *request);
/* A failure in place of an answer that was held back: it goes, masked where that can be. */
void egress_pass_failure(struct leg *l, struct buf *b, uint16_t status,
                         const struct sip_msg *request);
/* The answers that are given outside of calls. */
void egress_pass_answer(const struct config *cfg, const struct sip_msg *req,
                        const struct flow *flow, uint16_t status, struct buf *b);

/* Our own OPTIONS, to targets and devices: EACCES as above. d->flow: by which it goes. */
MUST_USE int egress_pass_options(const struct config *cfg, const struct policy_ref *to,
                                 const struct dialog *d, struct buf *b);

/* What the sender of this message has called itself. */
void egress_hear(struct policy_said *said, const struct sip_msg *m);
void egress_put(const struct call *c, struct json *j); /* the notes, an array */

#endif
