/* call_attempt.c - what is written down of each target that a call was offered to. */
#include "call/call_int.h"

/* Most calls need one. False: no more are written down. */
static bool attempt_grow(struct call *c)
{
    uint8_t cap = c->cap_attempts == 0 ? 1 : (uint8_t)(c->cap_attempts * 4);
    struct attempt *a;

    cap = cap < CALL_ATTEMPTS_MAX ? cap : CALL_ATTEMPTS_MAX;
    a = cap > c->n_attempts ? mem_realloc(c->attempts, cap * sizeof(*a)) : NULL;
    if (a == NULL) {
        return false;
    }
    c->attempts = a;
    c->cap_attempts = cap;
    return true;
}

void attempt_add(struct call *c, struct leg *l)
{
    struct attempt *at;

    if (c->n_attempts == c->cap_attempts && !attempt_grow(c)) {
        return;
    }
    l->attempt = c->n_attempts;
    at = &c->attempts[c->n_attempts++];
    *at = (struct attempt){.to = l->party,
                           .addr = l->dlg.flow.remote,
                           .leg = l->index,
                           .start_ms = (int32_t)(loop_now_ms(c->t->p.loop) - c->start_ms),
                           .end_ms = -1};
}

void attempt_done(struct call *c, const struct leg *l, uint16_t status, int err)
{
    struct attempt *at = l->attempt != UINT8_MAX ? &c->attempts[l->attempt] : NULL;

    if (at != NULL && at->end_ms < 0) {
        at->status = status;
        at->err = err;
        at->end_ms = (int32_t)(loop_now_ms(c->t->p.loop) - c->start_ms);
    }
}

void attempt_why(struct call *c, const struct leg *l, const char *why)
{
    if (l->attempt != UINT8_MAX) {
        c->attempts[l->attempt].why = why;
    }
}
