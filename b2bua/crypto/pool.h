/* pool.h - the crypto pool: a few threads that run what would hold up a worker for a hundred
 * packets (a TLS or DTLS handshake step, a key). One per process; part of crypto.h's face.
 * Thread: any, unless said otherwise. */
#ifndef POSTERN_CRYPTO_POOL_H
#define POSTERN_CRYPTO_POOL_H

#include "base/base.h"

#define CRYPTO_POOL_THREADS_MAX 16

/* Embedded in the object that the work is about. From crypto_pool_put() until done() the job, and
 * whatever run() touches, is lent to the pool: nobody else may use it. */
struct crypto_job {
    /* On a pool thread. */
    void (*run)(struct crypto_job *j);
    /* After run(), on the same thread; ran false: the pool is being stopped and run() was left out
     * (then on the thread that stops it). Gives the object back to its owner, normally by
     * loop_notify(), which cannot fail. The job may be put again as soon as done() has been called;
     * the pool does not touch it any more. */
    void (*done)(struct crypto_job *j, bool ran);
};

struct crypto_pool;
/* threads: at most CRYPTO_POOL_THREADS_MAX; 0: no threads, crypto_pool_put() runs the job and
 * done() before it returns (tests). max_queued: jobs that wait for a thread. ENOMEM, EINVAL, errno
 * of pthread_create. */
MUST_USE int crypto_pool_new(struct crypto_pool **pp, unsigned threads, uint32_t max_queued);
/* First in, first out. ENOBUFS: as many wait as may (counted); ECANCELED: the pool is stopping. On
 * an error neither run() nor done() is called. Takes no lock: the pool's threads have less weight
 * than the workers, and one that is not scheduled must not hold up the other. */
MUST_USE int crypto_pool_put(struct crypto_pool *p, struct crypto_job *j);
/* Refuses new jobs, lets those that run come to their end, gives back those that wait (done() with
 * ran false) and joins the threads. Idempotent. Thread: the one that made the pool, when nobody
 * else puts jobs any more, and while those that done() reports to are still there (their loops need
 * not run). */
void crypto_pool_stop(struct crypto_pool *p);
void crypto_pool_free(struct crypto_pool **pp); /* stops it first; accepts NULL */

struct crypto_pool_counts {
    uint32_t queued;      /* waiting now */
    uint32_t queued_peak; /* since the start */
    uint32_t running;     /* on a thread now */
    uint32_t threads;
    uint64_t ran; /* since the start */
    uint64_t refused;
};
void crypto_pool_counts(struct crypto_pool *p, struct crypto_pool_counts *out);

#endif
