/* stat.c - the counters: a block per thread, written by its owner only. */
#include "base/base.h"

#include <pthread.h>

#define STAT_THREADS 64

const struct stat_def stat_defs[STAT_N] = {
#define X(id, name, labels, help) [STAT_##id] = {name, labels, help},
    STAT_LIST(X)
#undef X
};

static struct stat_block {
    _Alignas(64) uint64_t v[STAT_N]; /* relaxed atomics */
    bool taken;
} blocks[STAT_THREADS], shared, nowhere;

static _Thread_local struct stat_block *mine, *paused;
static pthread_once_t stat_once = PTHREAD_ONCE_INIT;
static pthread_key_t stat_key;
static int stat_key_err;

/* The next thread goes on counting in the block: what was counted stays counted. */
static void stat_thread_end(void *arg)
{
    struct stat_block *b = arg;

    mine = NULL;
    __atomic_store_n(&b->taken, false, __ATOMIC_RELEASE);
}

static void stat_make_key(void)
{
    stat_key_err = pthread_key_create(&stat_key, stat_thread_end);
}

static struct stat_block *stat_claim(void)
{
    for (size_t i = 0; i < STAT_THREADS; i++) {
        bool is_free = false;

        if (__atomic_compare_exchange_n(&blocks[i].taken, &is_free, true, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            return &blocks[i];
        }
    }
    return NULL;
}

int stat_thread_init(void)
{
    struct stat_block *b;

    if (mine != NULL) {
        return 0;
    }
    (void)pthread_once(&stat_once, stat_make_key);
    if (stat_key_err != 0) {
        return ENOMEM;
    }
    b = stat_claim();
    if (b == NULL) {
        return ENOBUFS;
    }
    if (pthread_setspecific(stat_key, b) != 0) {
        stat_thread_end(b);
        return ENOMEM;
    }
    mine = b;
    return 0;
}

/* No question on the way of a packet: it is only another block. */
void stat_thread_pause(bool on)
{
    if (on) {
        paused = mine;
        mine = &nowhere;
    } else if (mine == &nowhere) {
        mine = paused;
    }
}

void stat_add(enum stat_id id, uint64_t n)
{
    if (LIKELY(mine != NULL)) { /* the only writer: no locked instruction needed */
        uint64_t v = __atomic_load_n(&mine->v[id], __ATOMIC_RELAXED);

        __atomic_store_n(&mine->v[id], v + n, __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_add(&shared.v[id], n, __ATOMIC_RELAXED);
    }
}

uint64_t stat_sum(enum stat_id id)
{
    uint64_t sum = __atomic_load_n(&shared.v[id], __ATOMIC_RELAXED);

    for (size_t i = 0; i < STAT_THREADS; i++) {
        sum += __atomic_load_n(&blocks[i].v[id], __ATOMIC_RELAXED);
    }
    return sum;
}

void stat_reset(void)
{
    for (size_t id = 0; id < STAT_N; id++) {
        __atomic_store_n(&shared.v[id], 0, __ATOMIC_RELAXED);
        for (size_t i = 0; i < STAT_THREADS; i++) {
            __atomic_store_n(&blocks[i].v[id], 0, __ATOMIC_RELAXED);
        }
    }
}
