/* pool.c - the crypto pool: one queue, one lock, a few threads. */
#include "crypto/crypto_int.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

/* A worker that wakes up for packets goes first where both share a core. */
#define POOL_NICE 5

struct crypto_pool {
    pthread_mutex_t lock; /* all below, but for what pool_new writes */
    pthread_cond_t work;
    struct list queue;
    uint32_t max_queued;
    bool stopping;
    struct crypto_pool_counts counts;
    unsigned n_threads;
    pthread_t threads[CRYPTO_POOL_THREADS_MAX];
};

static void pool_run(struct crypto_pool *p, struct crypto_job *j)
{
    j->run(j);
    j->done(j, true); /* j is its owner's again */
    pthread_mutex_lock(&p->lock);
    p->counts.running--;
    p->counts.ran++;
    pthread_mutex_unlock(&p->lock);
}

/* The next job, or NULL when the pool stops. */
static struct crypto_job *pool_next(struct crypto_pool *p)
{
    struct list *n = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping && list_is_empty(&p->queue)) {
        pthread_cond_wait(&p->work, &p->lock);
    }
    if (!p->stopping) {
        n = list_pop_front(&p->queue);
        p->counts.queued--;
        p->counts.running++;
    }
    pthread_mutex_unlock(&p->lock);
    return n != NULL ? CONTAINER_OF(n, struct crypto_job, node) : NULL;
}

static void *pool_main(void *arg)
{
    struct crypto_pool *p = arg;

    if (stat_thread_init() != 0 || setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE) != 0) {
        log_debug(NULL, "a crypto thread runs without counters or priority of its own");
    }
    for (struct crypto_job *j = pool_next(p); j != NULL; j = pool_next(p)) {
        pool_run(p, j);
    }
    return NULL;
}

int crypto_pool_new(struct crypto_pool **pp, unsigned threads, uint32_t max_queued)
{
    struct crypto_pool *p;
    int err = 0;

    if (threads > CRYPTO_POOL_THREADS_MAX || max_queued == 0) {
        return EINVAL;
    }
    p = mem_zalloc(sizeof(*p));
    if (p == NULL) {
        return ENOMEM;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    list_init(&p->queue);
    p->max_queued = max_queued;
    while (err == 0 && p->n_threads < threads) {
        err = pthread_create(&p->threads[p->n_threads], NULL, pool_main, p);
        p->n_threads += err == 0;
    }
    if (err != 0) {
        crypto_pool_free(&p);
        return err;
    }
    *pp = p;
    return 0;
}

int crypto_pool_put(struct crypto_pool *p, struct crypto_job *j)
{
    struct crypto_pool_counts *c = &p->counts;
    bool is_inline = p->n_threads == 0;
    int err = 0;

    pthread_mutex_lock(&p->lock);
    if (p->stopping) {
        err = ECANCELED;
    } else if (is_inline) {
        c->running++;
    } else if (c->queued >= p->max_queued) {
        c->refused++;
        err = ENOBUFS;
    } else {
        list_push_back(&p->queue, &j->node);
        c->queued++;
        c->queued_peak = c->queued > c->queued_peak ? c->queued : c->queued_peak;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (err == ENOBUFS) {
        stat_inc(STAT_CRYPTO_FULL);
    }
    if (err == 0 && is_inline) {
        pool_run(p, j);
    }
    return err;
}

void crypto_pool_stop(struct crypto_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    while (p->n_threads != 0) {
        pthread_join(p->threads[--p->n_threads], NULL);
    }
    /* Nobody is left to share the queue with, and nothing enters it any more. */
    for (struct list *n = list_pop_front(&p->queue); n != NULL; n = list_pop_front(&p->queue)) {
        struct crypto_job *j = CONTAINER_OF(n, struct crypto_job, node);

        j->done(j, false);
    }
    pthread_mutex_lock(&p->lock);
    p->counts.queued = 0;
    pthread_mutex_unlock(&p->lock);
}

void crypto_pool_free(struct crypto_pool **pp)
{
    struct crypto_pool *p = *pp;

    *pp = NULL;
    if (p == NULL) {
        return;
    }
    crypto_pool_stop(p);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

void crypto_pool_counts(struct crypto_pool *p, struct crypto_pool_counts *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->counts;
    out->threads = p->n_threads;
    pthread_mutex_unlock(&p->lock);
}
