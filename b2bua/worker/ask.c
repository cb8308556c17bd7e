/* ask.c - a question from an admin thread to a worker: posted as a message, answered into a block
 * that both hold, so that neither a late worker nor an impatient asker meets freed memory. */
#include "worker/worker_int.h"

#include <time.h>

struct ask_box {
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    unsigned refs; /* guarded by lock */
    bool done;
    struct ask a;
};

static void box_unref(struct ask_box *box)
{
    bool last;

    pthread_mutex_lock(&box->lock);
    last = --box->refs == 0;
    pthread_mutex_unlock(&box->lock);
    if (last) {
        buf_free(&box->a.out);
        reg_update_free(&box->a.where);
        config_unref(&box->a.cfg);
        pthread_cond_destroy(&box->done_cond);
        pthread_mutex_destroy(&box->lock);
        mem_free(box);
    }
}

static struct ask_box *box_new(const struct ask *question)
{
    struct ask_box *box = mem_zalloc(sizeof(*box));
    pthread_condattr_t attr;

    if (box == NULL) {
        return NULL;
    }
    pthread_mutex_init(&box->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->done_cond, &attr);
    pthread_condattr_destroy(&attr);
    box->refs = 2;
    box->a = *question;
    box->a.cfg = question->cfg != NULL ? config_ref(question->cfg) : NULL;
    buf_init(&box->a.out, 1u << 20);
    return box;
}

static void on_ask(void *owner, struct loop_msg *m)
{
    struct ask_box *box = m->ptr;

    box->a.fn(owner, &box->a);
    pthread_mutex_lock(&box->lock);
    box->done = true;
    pthread_cond_signal(&box->done_cond);
    pthread_mutex_unlock(&box->lock);
    box_unref(box);
}

static void drop_ask(void *owner, struct loop_msg *m)
{
    (void)owner;
    box_unref(m->ptr);
}

static bool wait_done(struct ask_box *box, int64_t until_ms)
{
    struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = (until_ms % 1000) * 1000000};
    bool done;

    pthread_mutex_lock(&box->lock);
    while (!box->done && pthread_cond_timedwait(&box->done_cond, &box->lock, &ts) == 0) {
    }
    done = box->done;
    pthread_mutex_unlock(&box->lock);
    return done;
}

/* The question in *a makes room for the answer. */
static int ask(struct worker *w, struct ask *a)
{
    struct ask_box *box = box_new(a);
    struct clock clock;
    int err;

    if (box == NULL) {
        return ENOMEM;
    }
    clock_init_real(&clock);
    err = loop_post(w->loop, &(struct loop_msg){.fn = on_ask, .ptr = box, .drop = drop_ask});
    if (err != 0) {
        box_unref(box);
        box_unref(box);
        return err;
    }
    if (wait_done(box, clock_now_ms(&clock) + B2BUA_WAIT_MS)) {
        *a = box->a; /* the text is handed over */
        a->cfg = NULL;
        buf_init(&box->a.out, 1);
        box->a.where = NULL;
        err = a->err;
    } else {
        err = ETIMEDOUT;
    }
    box_unref(box);
    return err;
}

int worker_ask(struct worker *w, ask_fn *fn, uint64_t id, struct ask *out)
{
    *out = (struct ask){.fn = fn, .id = id};
    return ask(w, out);
}

int worker_ask_config(struct worker *w, ask_fn *fn, struct config *cfg, struct ask *out)
{
    *out = (struct ask){.fn = fn, .cfg = cfg};
    return ask(w, out);
}

static void ask_bindings(struct worker *w, struct ask *a)
{
    a->where = registrar_copy(w->registrar, sl_str(a->user));
    a->err = a->where != NULL ? 0 : ENOENT;
}

int worker_ask_bindings(struct worker *w, const char *user, struct reg_update **bindings)
{
    struct ask a = {.fn = ask_bindings};
    int err = sl_cstr(sl_str(user), a.user, sizeof(a.user));

    if (err == 0) {
        err = ask(w, &a);
        buf_free(&a.out);
        *bindings = a.where;
    }
    return err;
}

void ask_counts(struct worker *w, struct ask *a)
{
    call_counts(w->calls, &a->calls);
    tx_table_counts(w->tab, &a->tx);
    media_counts(w->media, &a->media);
    a->bindings = (uint32_t)registrar_count(w->registrar);
    a->conns = net_conn_count(w->net);
    a->lag_ms = loop_lag_ms(w->loop);
    a->worst = overload_worst(&w->overload);
    a->overload_level = overload_level(&w->overload, loop_now_ms(w->loop));
    for (size_t i = 0; i < w->cfg->n_listeners && i < CONFIG_SLOTS_MAX; i++) {
        a->listener_ports[i][0] =
            media_ports_in_use(w->media, (uint8_t)i, &a->listener_ports[i][1]);
    }
}
