/* arena.h - many small things with one end: freed together. Thread: the owner. */
#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H

#include "base/sl.h"

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *head;
    size_t chunk; /* size of the next chunk in bytes */
    size_t used;  /* bytes handed out in all */
    size_t max;   /* NULL beyond; 0: no limit */
};

void arena_init(struct arena *a, size_t chunk, size_t max); /* allocates nothing */
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* 8-byte aligned, not cleared; NULL: ENOMEM */
void *arena_zalloc(struct arena *a, size_t n);
/* Copy of s living as long as the arena; .p is NULL (n 0) when memory is out and s is not empty. */
struct sl arena_dup(struct arena *a, struct sl s);
char *arena_cstr(struct arena *a, struct sl s); /* NUL-terminated copy */

#endif
