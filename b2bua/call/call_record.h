/* call_record.h - what is written down of a call: attempts, ladder, the record (call_cdr.c,
 * call_ladder.c). */
#ifndef POSTERN_CALL_RECORD_H
#define POSTERN_CALL_RECORD_H

#include "call/call.h"

#define CALL_ATTEMPTS_MAX 24 /* kept for the record */
#define CALL_LADDER_MAX 96   /* messages kept */

struct call;
struct leg;
struct egress_notes; /* call_egress.h */

struct attempt {
    struct policy_ref to;
    struct addr addr;
    uint16_t status; /* 0: none */
    int err;         /* errno of a timeout or transport failure */
    const char *why; /* static; why it was not even tried; NULL: it was */
    uint8_t leg;
    int32_t start_ms, end_ms; /* since the call's start; end -1: running */
};

struct ladder_event { /* 12 bytes, also the stored form (little endian) */
    uint32_t t_ms;
    uint32_t cseq;
    uint16_t status; /* 0: request */
    uint8_t method;  /* enum sip_method */
    uint8_t leg_dir; /* leg index << 2 | has SDP << 1 | out */
};

struct stream_figures { /* of a stream that ended before its call */
    uint8_t stream;
    enum media_diagnosis diagnosis[2];
    struct media_stats side[2]; /* caller, callee */
};
/* Before stream i ends in mid-call: what came and went stays in the record. Out of memory, or
 * MEDIA_STREAMS_MAX of them: it does not. */
void figures_keep(struct call *c, unsigned i);

void attempt_add(struct call *c, struct leg *l);
void attempt_done(struct call *c, const struct leg *l, uint16_t status, int err);
void attempt_why(struct call *c, const struct leg *l, const char *why); /* static */
/* Our INVITE did not go out: the leg is over. */
void attempt_failed(struct leg *l, uint16_t status, int err, const char **why);
void call_post(struct call *c);
/* Keeps the request, once, at the start. */
void call_post_asked(struct call *c, const struct sip_msg *req, const struct flow *flow);
void call_put_detail(struct call *c, struct json *j, bool live);
void ladder_add(const struct leg *l, bool out, enum sip_method m, uint16_t status, uint32_t cseq,
                bool sdp);
void ladder_msg(const struct leg *l, const struct sip_msg *m);
void ladder_put(const struct call *c, struct buf *b);
/* --- call_limits.c --- */
/* A place in the limits of a peer that the call goes to; a refusal stands in the call's verdict. */
bool call_target_take(struct call *c, unsigned peer);
/* The limit of a target was why nobody could be asked: answered as it says. False: none was. */
bool call_refuse_for_limit(struct call *c);
/* The reason that the configuration gives, for the answer; NULL: the usual one of the status. */
const char *call_limit_phrase(const struct policy *p, const struct policy_verdict *v);
void call_put_ref(const struct call *c, struct buf *b, const struct policy_ref *ref, int user);

/* --- call_failure.c --- */
unsigned call_rank(uint16_t status); /* of several failures the highest is told; 0: none */
void call_note_failure(struct call *c, uint16_t status); /* the worse one counts */
uint16_t call_status_for_caller(uint16_t status);
uint16_t call_best_for_caller(const struct call *c); /* of all that it had */
/* Keeps where a callee has moved to, if its side may say so. */
void call_note_moved(struct leg *l, const struct sip_msg *rsp);
uint16_t call_status_of_error(int err);

#endif
