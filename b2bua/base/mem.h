/* mem.h - the only door to malloc, so that tests can close it.
 * Thread: any; the fault counter is per thread. */
#ifndef POSTERN_BASE_MEM_H
#define POSTERN_BASE_MEM_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

/* NULL when memory is out (or a test said so). mem_zalloc clears. The caller owns the block. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);       /* on NULL the old block is untouched */
void mem_free(void *p);                     /* accepts NULL */
char *mem_strndup(const char *p, size_t n); /* NUL-terminated copy */

/* Overwrites before release: for keys and passwords; never optimised away. */
void mem_wipe(void *p, size_t n);

/* Tests: the n-th allocation of this thread from now fails (1 = next); 0 disarms.
 * mem_fault_hit() tells whether it happened since arming. */
void mem_fault_arm(uint64_t nth);
bool mem_fault_hit(void);
/* Tests: blocks alive of the whole process (allocations minus frees), exactly while other threads
 * rest. */
int64_t mem_live(void);

/* Pool of equal blocks for one thread: freed blocks are kept for the next one.
 * Blocks come back cleared. pool_free() accepts NULL blocks. */
struct pool {
    size_t size;     /* bytes of one block, at least sizeof(void *) */
    size_t max_free; /* how many are kept */
    size_t n_free;
    size_t n_used;   /* alive outside the pool */
    void *free_head; /* singly linked through the first word */
};
void pool_init(struct pool *p, size_t size, size_t max_free);
void *pool_get(struct pool *p); /* NULL: out of memory */
void pool_put(struct pool *p, void *block);
void pool_drain(struct pool *p); /* frees what is kept */

#endif
