/* publish.c - bindings for the other workers, who each keep a replica. One that cannot be told now,
 * because its mailbox is full, is told later how things are by then: a device that it has not heard
 * of could not be called there until it registers again. */
#include "worker/worker_int.h"

#define OWED_MAX 65536 /* users; beyond, the next REGISTER of theirs tells it */
#define OWED_MS 100

struct owed {
    struct owed *next;
    uint64_t to; /* workers, as bits */
    size_t n;
    char user[];
};

static void on_handed_update(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct reg_update *u = m->ptr;

    worker_catch_up(w);
    worker_place_bindings(w, u);
    registrar_apply(w->registrar, u);
    reg_update_free(&u);
}

static void drop_update(void *owner, struct loop_msg *m)
{
    struct reg_update *u = m->ptr;

    (void)owner;
    reg_update_free(&u);
}

static bool tell(struct worker *w, uint32_t to, const struct reg_update *u)
{
    struct reg_update *copy = reg_update_clone(u);
    struct loop_msg m = {.fn = on_handed_update, .ptr = copy, .drop = drop_update};

    if (copy != NULL && worker_post(w, to, &m) == 0) {
        return true;
    }
    reg_update_free(&copy);
    return false;
}

/* Returns those of the workers that could not be told. */
static uint64_t tell_all(struct worker *w, uint64_t to, const struct reg_update *u)
{
    uint64_t left = 0;

    for (uint32_t i = 0; i < w->b->n_workers; i++) {
        if ((to >> i & 1) != 0 && w->b->workers[i] != NULL && !tell(w, i, u)) {
            left |= (uint64_t)1 << i;
        }
    }
    return left;
}

static void on_owed(void *arg)
{
    worker_pay_owed(arg);
}

static void owe(struct worker *w, uint64_t to, struct sl user)
{
    struct owed *o = w->n_owed < OWED_MAX ? mem_alloc(sizeof(*o) + user.n) : NULL;

    if (o == NULL) {
        log_error(NULL, "other workers could not be told of a binding");
        return;
    }
    *o = (struct owed){.next = w->owed, .to = to, .n = user.n};
    memcpy(o->user, user.p, user.n);
    w->owed = o;
    if (w->n_owed++ == 0) {
        timer_init(&w->owing, on_owed, w);
        timer_start(w->loop, &w->owing, OWED_MS);
    }
}

void worker_pay_owed(struct worker *w)
{
    struct owed *next, *left = NULL;
    uint32_t n = 0;

    timer_stop(w->loop, &w->owing);
    for (struct owed *o = w->owed; o != NULL; o = next) {
        struct reg_update *u = registrar_news(w->registrar, sl_make(o->user, o->n));

        next = o->next;
        o->to = u != NULL ? tell_all(w, o->to, u) : o->to;
        reg_update_free(&u);
        if (o->to == 0) {
            mem_free(o);
            continue;
        }
        o->next = left;
        left = o;
        n++;
    }
    w->owed = left;
    w->n_owed = n;
    if (n != 0) {
        timer_start(w->loop, &w->owing, OWED_MS);
    }
}

void worker_forget_owed(struct worker *w)
{
    if (w->loop != NULL) {
        timer_stop(w->loop, &w->owing);
    }
    for (struct owed *o = w->owed, *next; o != NULL; o = next) {
        next = o->next;
        mem_free(o);
    }
    w->owed = NULL;
    w->n_owed = 0;
}

void worker_publish(void *arg, const struct reg_update *u)
{
    struct worker *w = arg;
    uint64_t left = tell_all(w, ~((uint64_t)1 << w->index), u);

    if (left != 0) {
        stat_inc(STAT_QUEUE_FULL);
        owe(w, left, reg_update_user(u));
    }
}
