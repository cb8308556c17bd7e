/* pool.c - the crypto pool: a bounded ring of jobs without a lock (Vyukov's array queue, many
 * senders, many receivers), a semaphore that counts them, a few threads. */
#include "crypto/crypto_int.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

/* A worker that wakes up for packets goes first where both share a core. */
#define POOL_NICE 5

struct pool_cell {
    _Atomic uint64_t seq; /* position: free for that lap's sender; position + 1: filled */
    struct crypto_job *job;
};

struct crypto_pool {
    struct pool_cell *cells;
    uint64_t mask;
    uint32_t max_queued;
    unsigned n_threads;
    pthread_t threads[CRYPTO_POOL_THREADS_MAX];
    sem_t ready; /* jobs in the ring, and one for each thread when the pool stops */
    char pad0[64];
    _Atomic uint64_t tail; /* senders */
    char pad1[64];
    _Atomic uint64_t head; /* receivers */
    char pad2[64];
    _Atomic bool stopping;
    _Atomic uint32_t queued;
    _Atomic uint32_t queued_peak;
    _Atomic uint32_t running;
    _Atomic uint64_t ran;
    _Atomic uint64_t refused;
};

static void pool_run(struct crypto_pool *p, struct crypto_job *j)
{
    j->run(j);
    j->done(j, true); /* j is its owner's again */
    atomic_fetch_add_explicit(&p->ran, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&p->running, 1, memory_order_relaxed);
}

/* The oldest job; NULL: the ring is empty. */
static struct crypto_job *pool_pop(struct crypto_pool *p)
{
    uint64_t pos = atomic_load_explicit(&p->head, memory_order_relaxed);

    for (;;) {
        struct pool_cell *c = &p->cells[pos & p->mask];
        uint64_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);

        if (seq == pos + 1) {
            if (atomic_compare_exchange_weak_explicit(&p->head, &pos, pos + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                struct crypto_job *j = c->job;

                atomic_store_explicit(&c->seq, pos + p->mask + 1, memory_order_release);
                atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
                return j;
            }
        } else if ((int64_t)(seq - (pos + 1)) < 0) {
            return NULL;
        } else {
            pos = atomic_load_explicit(&p->head, memory_order_relaxed);
        }
    }
}

/* False: a receiver that stopped in the middle still has the cell that is due. */
static bool pool_push(struct crypto_pool *p, struct crypto_job *j)
{
    uint64_t pos = atomic_load_explicit(&p->tail, memory_order_relaxed);

    for (;;) {
        struct pool_cell *c = &p->cells[pos & p->mask];
        uint64_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);

        if (seq == pos) {
            if (atomic_compare_exchange_weak_explicit(&p->tail, &pos, pos + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                c->job = j;
                atomic_store_explicit(&c->seq, pos + 1, memory_order_release);
                return true;
            }
        } else if ((int64_t)(seq - pos) < 0) {
            return false;
        } else {
            pos = atomic_load_explicit(&p->tail, memory_order_relaxed);
        }
    }
}

static void *pool_main(void *arg)
{
    struct crypto_pool *p = arg;

    (void)pthread_setname_np(pthread_self(), "crypto");
    if (stat_thread_init() != 0 || setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE) != 0) {
        log_debug(NULL, "a crypto thread runs without counters or priority of its own");
    }
    for (;;) {
        struct crypto_job *j = NULL;

        while (sem_wait(&p->ready) != 0) {
        }
        while (!atomic_load_explicit(&p->stopping, memory_order_acquire) &&
               (j = pool_pop(p)) == NULL) {
            (void)sched_yield(); /* an older job is being written this very moment */
        }
        if (j == NULL) {
            return NULL;
        }
        atomic_fetch_add_explicit(&p->running, 1, memory_order_relaxed);
        pool_run(p, j);
    }
}

static int pool_alloc(struct crypto_pool *p, uint32_t max_queued)
{
    uint64_t n = 2;

    while (n < 2ull * max_queued) { /* far from where pool_push() could fail */
        n *= 2;
    }
    p->cells = mem_zalloc(n * sizeof(*p->cells));
    if (p->cells == NULL) {
        return ENOMEM;
    }
    for (uint64_t i = 0; i < n; i++) {
        atomic_init(&p->cells[i].seq, i);
    }
    p->mask = n - 1;
    p->max_queued = max_queued;
    return 0;
}

int crypto_pool_new(struct crypto_pool **pp, unsigned threads, uint32_t max_queued)
{
    struct crypto_pool *p;
    int err;

    if (threads > CRYPTO_POOL_THREADS_MAX || max_queued == 0 || max_queued > 1u << 24) {
        return EINVAL;
    }
    p = mem_zalloc(sizeof(*p));
    if (p == NULL) {
        return ENOMEM;
    }
    (void)sem_init(&p->ready, 0, 0);
    err = pool_alloc(p, max_queued);
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

static void pool_note_peak(struct crypto_pool *p, uint32_t queued)
{
    uint32_t peak = atomic_load_explicit(&p->queued_peak, memory_order_relaxed);

    while (queued > peak &&
           !atomic_compare_exchange_weak_explicit(&p->queued_peak, &peak, queued,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

int crypto_pool_put(struct crypto_pool *p, struct crypto_job *j)
{
    uint32_t before;

    if (atomic_load_explicit(&p->stopping, memory_order_acquire)) {
        return ECANCELED;
    }
    if (p->n_threads == 0) {
        atomic_fetch_add_explicit(&p->running, 1, memory_order_relaxed);
        pool_run(p, j);
        return 0;
    }
    before = atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed);
    if (before >= p->max_queued || !pool_push(p, j)) {
        atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&p->refused, 1, memory_order_relaxed);
        stat_inc(STAT_CRYPTO_FULL);
        return ENOBUFS;
    }
    pool_note_peak(p, before + 1);
    (void)sem_post(&p->ready);
    return 0;
}

void crypto_pool_stop(struct crypto_pool *p)
{
    atomic_store_explicit(&p->stopping, true, memory_order_release);
    for (unsigned i = 0; i < p->n_threads; i++) {
        (void)sem_post(&p->ready);
    }
    while (p->n_threads != 0) {
        pthread_join(p->threads[--p->n_threads], NULL);
    }
    for (struct crypto_job *j = p->cells != NULL ? pool_pop(p) : NULL; j != NULL; j = pool_pop(p)) {
        j->done(j, false);
    }
}

void crypto_pool_free(struct crypto_pool **pp)
{
    struct crypto_pool *p = *pp;

    *pp = NULL;
    if (p == NULL) {
        return;
    }
    crypto_pool_stop(p);
    (void)sem_destroy(&p->ready);
    mem_free(p->cells);
    mem_free(p);
}

void crypto_pool_counts(struct crypto_pool *p, struct crypto_pool_counts *out)
{
    uint32_t queued = atomic_load_explicit(&p->queued, memory_order_relaxed);

    *out = (struct crypto_pool_counts){
        .queued = queued < p->max_queued ? queued : p->max_queued, /* one may be on its way out */
        .queued_peak = atomic_load_explicit(&p->queued_peak, memory_order_relaxed),
        .running = atomic_load_explicit(&p->running, memory_order_relaxed),
        .threads = p->n_threads,
        .ran = atomic_load_explicit(&p->ran, memory_order_relaxed),
        .refused = atomic_load_explicit(&p->refused, memory_order_relaxed)};
}
