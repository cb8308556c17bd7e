/* arena.c - bump allocation out of chunks that are freed together. */
#include "base/base.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t n;   /* bytes handed out */
    size_t cap; /* bytes behind this header */
};

#define ARENA_CHUNK_MIN 64
_Static_assert(sizeof(struct arena_chunk) % 8 == 0, "chunk data must start aligned");

void arena_init(struct arena *a, size_t chunk, size_t max)
{
    *a = (struct arena){.chunk = chunk < ARENA_CHUNK_MIN ? ARENA_CHUNK_MIN : chunk, .max = max};
}

void arena_free(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_chunk *c = a->head;

        a->head = c->next;
        mem_free(c);
    }
    a->used = 0;
}

static struct arena_chunk *arena_add_chunk(struct arena *a, size_t n)
{
    bool is_large = n > a->chunk;
    size_t cap = is_large ? n : a->chunk;
    struct arena_chunk *c = mem_alloc(sizeof(*c) + cap);

    if (c == NULL) {
        return NULL;
    }
    c->n = 0;
    c->cap = cap;
    if (is_large && a->head != NULL) { /* behind the head, whose free space stays in use */
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_chunk *c = a->head;
    size_t size = (n + 7) & ~(size_t)7;
    void *p;

    if (n > SIZE_MAX / 2 || (a->max != 0 && size > a->max - a->used)) {
        return NULL;
    }
    if (c == NULL || size > c->cap - c->n) {
        c = arena_add_chunk(a, size);
        if (c == NULL) {
            return NULL;
        }
    }
    p = (char *)(c + 1) + c->n;
    c->n += size;
    a->used += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    if (p != NULL) {
        memset(p, 0, n);
    }
    return p;
}

struct sl arena_dup(struct arena *a, struct sl s)
{
    char *p;

    if (s.n == 0) {
        return (struct sl){"", 0};
    }
    p = arena_alloc(a, s.n);
    if (p == NULL) {
        return SL_NULL;
    }
    memcpy(p, s.p, s.n);
    return (struct sl){p, s.n};
}

char *arena_cstr(struct arena *a, struct sl s)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

    if (p != NULL) {
        if (s.n != 0) {
            memcpy(p, s.p, s.n);
        }
        p[s.n] = '\0';
    }
    return p;
}
