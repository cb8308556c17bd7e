/* fake_callout.c - callout/callout.h without threads and HTTP: questions wait until a test answers.
 */
#include "fakes.h"

struct callout fake_callout;

int callout_new(struct callout **cp)
{
    *cp = &fake_callout;
    return 0;
}

void callout_free(struct callout **cp)
{
    *cp = NULL;
}

int callout_ask(struct callout *c, const struct callout_question *q)
{
    struct fake_question *mine;
    size_t n = q->body.n < sizeof(mine->body) - 1 ? q->body.n : sizeof(mine->body) - 1;

    if (c->fail != 0) {
        return c->fail;
    }
    mine = &c->asked[c->n_asked++ % FAKE_QUESTIONS_MAX];
    *mine = (struct fake_question){
        .fn = q->fn, .arg = q->arg, .ticket = q->ticket, .timeout_ms = q->timeout_ms};
    memcpy(mine->body, q->body.p, n);
    return 0;
}

void fake_callout_answer(size_t i, const struct callout_answer *a)
{
    const struct fake_question *q = &fake_callout.asked[i];

    q->fn(q->arg, &q->ticket, a);
}
