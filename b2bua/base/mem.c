/* mem.c - allocation with a tap for tests, and pools of equal blocks. */
#include "base/base.h"

#include <malloc.h>
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

static int64_t mem_blocks; /* relaxed atomic */
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

static void *mem_counted(void *p)
{
    if (LIKELY(p != NULL)) {
        __atomic_fetch_add(&mem_blocks, 1, __ATOMIC_RELAXED);
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
        __atomic_fetch_sub(&mem_blocks, 1, __ATOMIC_RELAXED);
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

#define MEM_KEEP_BYTES (64 << 20) /* of one arena, before anything goes back */
#define MEM_STEP_BYTES (1 << 20)  /* the main arena grows by */
#define MEM_PIECE_BYTES (8 << 20) /* what is larger has a mapping of its own */
#define MEM_PIECES 3              /* of address space that a thread begins with */

void mem_keep(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, MEM_KEEP_BYTES);
    (void)mallopt(M_TOP_PAD, MEM_STEP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MEM_PIECE_BYTES);
}

void mem_reserve(void)
{
#ifndef MEM_ASAN
    void *volatile pieces[MEM_PIECES];

    for (unsigned i = 0; i < MEM_PIECES; i++) {
        pieces[i] = malloc(MEM_PIECE_BYTES - MEM_STEP_BYTES);
    }
    for (unsigned i = 0; i < MEM_PIECES; i++) {
        free(pieces[i]);
    }
#endif
}

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
    return __atomic_load_n(&mem_blocks, __ATOMIC_RELAXED);
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
