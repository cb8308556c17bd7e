/* publish.c - bindings for the other workers, who each keep a replica. One that cannot be told now,
 * because its mailbox is full, is told later how things are by then: a device that it has not heard
 * of could not be called there until it registers again. */
#include "worker/worker_int.h"

#define OWED_MAX 65536 /* users; beyond, the next REGISTER of theirs tells it */
#define OWED_MS 100
#define OWED_TOLD 512   /* users told at once, and */
#define OWED_LOOKS 8192 /* looked at, most of them for a worker that is known to be full */

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

/* Every other worker. */
static uint64_t neighbours(const struct worker *w)
{
    uint64_t all = 0;

    for (uint32_t i = 0; i < w->b->n_workers; i++) {
        all |= w->b->workers[i] != NULL && i != w->index ? (uint64_t)1 << i : 0;
    }
    return all;
}

/* The next one is paid first: nobody waits behind who cannot be told. */
static void owed_append(struct worker *w, struct owed *o)
{
    o->next = NULL;
    if (w->owed != NULL) {
        w->owed_last->next = o;
    } else {
        w->owed = o;
    }
    w->owed_last = o;
    w->n_owed++;
}

static struct owed *owed_first(struct worker *w)
{
    struct owed *o = w->owed;

    w->owed = o->next;
    w->n_owed--;
    return o;
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
    *o = (struct owed){.to = to, .n = user.n};
    memcpy(o->user, user.p, user.n);
    owed_append(w, o);
    if (w->n_owed == 1) {
        timer_init(&w->owing, on_owed, w);
        timer_start(w->loop, &w->owing, OWED_MS);
    }
}

/* Those of the workers that would not have it, a full mailbox being asked only once. */
static uint64_t pay(struct worker *w, struct owed *o, uint64_t full)
{
    struct reg_update *u = registrar_news(w->registrar, sl_make(o->user, o->n));
    uint64_t left = u != NULL ? tell_all(w, o->to & ~full, u) : 0;

    o->to = u != NULL ? left | (o->to & full) : o->to;
    reg_update_free(&u);
    return left;
}

/* A worker that stalls must not stall this one: of a long list, a part at a time. */
void worker_pay_owed(struct worker *w)
{
    uint64_t full = 0, all = neighbours(w);
    uint32_t n = w->n_owed < OWED_LOOKS ? w->n_owed : OWED_LOOKS;

    timer_stop(w->loop, &w->owing);
    for (uint32_t told = 0; n != 0 && told < OWED_TOLD && (all == 0 || full != all); n--) {
        struct owed *o = owed_first(w);

        if ((o->to & ~full) != 0) {
            full |= pay(w, o, full);
            told++;
        }
        if (o->to != 0) {
            owed_append(w, o);
        } else {
            mem_free(o);
        }
    }
    if (w->n_owed != 0) {
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
