/* mem.c - allocation with a tap for tests, and pools of equal blocks. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define MEM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_ASAN 1
#endif
#endif
#ifdef MEM_ASAN
#include <sanitizer/asan_interface.h>
#define POOL_HIDE(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define POOL_SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POOL_HIDE(p, n) ((void)(p), (void)(n))
#define POOL_SHOW(p, n) ((void)(p), (void)(n))
#endif

#define MEM_STRIPES 32

/* How many blocks there are, in parts: threads that allocate would contend for one number. What one
 * of them allocated another may free, so only the sum says something. */
static struct mem_stripe {
    _Alignas(64) _Atomic int64_t blocks;
} mem_stripes[MEM_STRIPES];
static atomic_uint mem_threads;
static _Thread_local struct mem_stripe *mem_mine;
static _Thread_local uint64_t fault_left;
static _Thread_local bool fault_hit;

static bool mem_is_refused(void)
{
    if (LIKELY(fault_left == 0)) {
        return false;
    }
    if (--fault_left != 0) {
        return false;
    }
    fault_hit = true;
    return true;
}

static void mem_count(int n)
{
    if (UNLIKELY(mem_mine == NULL)) {
        mem_mine = &mem_stripes[atomic_fetch_add(&mem_threads, 1) % MEM_STRIPES];
    }
    atomic_fetch_add_explicit(&mem_mine->blocks, n, memory_order_relaxed);
}

static void *mem_counted(void *p)
{
    if (LIKELY(p != NULL)) {
        mem_count(1);
    }
    return p;
}

void *mem_alloc(size_t n)
{
    return mem_is_refused() ? NULL : mem_counted(malloc(n != 0 ? n : 1));
}

void *mem_zalloc(size_t n)
{
    return mem_is_refused() ? NULL : mem_counted(calloc(1, n != 0 ? n : 1));
}

void *mem_realloc(void *p, size_t n)
{
    if (p == NULL) {
        return mem_alloc(n);
    }
    return mem_is_refused() ? NULL : realloc(p, n != 0 ? n : 1);
}

void mem_free(void *p)
{
    if (p != NULL) {
        mem_count(-1);
        free(p);
    }
}

char *mem_strndup(const char *p, size_t n)
{
    char *s = n < SIZE_MAX ? mem_alloc(n + 1) : NULL;

    if (s != NULL) {
        if (n != 0) {
            memcpy(s, p, n);
        }
        s[n] = '\0';
    }
    return s;
}

/* jemalloc reads this before main(), if the program is linked with it. Large pages: a call's memory
 * is new to the processor's caches and tables, and what is taken page by page costs a fault each.
 * An arena that is in use keeps what calls gave back for a minute. At rest the process is 20 MB
 * larger for it. */
__attribute__((visibility("default"))) const char *malloc_conf =
    "thp:always,metadata_thp:auto,dirty_decay_ms:60000";

void mem_wipe(void *p, size_t n)
{
    if (n != 0) {
        explicit_bzero(p, n);
    }
}

void mem_fault_arm(uint64_t nth)
{
    fault_left = nth;
    fault_hit = false;
}

bool mem_fault_hit(void)
{
    return fault_hit;
}

int64_t mem_live(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < MEM_STRIPES; i++) {
        sum += atomic_load_explicit(&mem_stripes[i].blocks, memory_order_relaxed);
    }
    return sum;
}

void pool_init(struct pool *p, size_t size, size_t max_free)
{
    *p = (struct pool){.size = size < sizeof(void *) ? sizeof(void *) : size, .max_free = max_free};
}

static void *pool_pop(struct pool *p)
{
    void *block = p->free_head;

    POOL_SHOW(block, p->size);
    memcpy(&p->free_head, block, sizeof(p->free_head));
    p->n_free--;
    return block;
}

void *pool_get(struct pool *p)
{
    void *block;

    if (p->free_head == NULL) {
        block = mem_zalloc(p->size);
    } else if (mem_is_refused()) { /* a kept block counts as an allocation for the tests */
        block = NULL;
    } else {
        block = pool_pop(p);
        memset(block, 0, p->size);
    }
    p->n_used += block != NULL;
    return block;
}

void pool_put(struct pool *p, void *block)
{
    if (block == NULL) {
        return;
    }
    p->n_used--;
    if (p->n_free >= p->max_free) {
        mem_free(block);
        return;
    }
    memcpy(block, &p->free_head, sizeof(p->free_head));
    p->free_head = block;
    p->n_free++;
    POOL_HIDE(block, p->size);
}

void pool_drain(struct pool *p)
{
    while (p->free_head != NULL) {
        mem_free(pool_pop(p));
    }
}
