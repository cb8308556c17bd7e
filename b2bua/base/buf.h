/* buf.h - a writer that is capped at birth and whose first error sticks: composing a message is
 * a straight line with one check at the end. Thread: the owner. */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include "base/sl.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *p;
    size_t n;   /* bytes written */
    size_t cap; /* bytes allocated */
    size_t max; /* never grows beyond */
    int err;    /* 0, ENOMEM or EMSGSIZE: the first one sticks */
    bool fixed; /* memory is the caller's */
};

void buf_init(struct buf *b, size_t max);                  /* grows on the heap up to max */
void buf_init_fixed(struct buf *b, void *mem, size_t cap); /* never allocates */
void buf_free(struct buf *b);  /* releases the memory, zeroes; accepts a fixed one */
void buf_reset(struct buf *b); /* n = 0, err = 0, memory kept */
void buf_reserve_slow(struct buf *b, size_t n);         /* buf_reserve, where room may lack */
static inline void buf_reserve(struct buf *b, size_t n) /* n more bytes fit then, or err is set */
{
    if (__builtin_expect(b->err == 0 && n > b->cap - b->n, 0)) {
        buf_reserve_slow(b, n);
    }
}

void buf_put_slow(struct buf *b, const void *p, size_t n); /* buf_put, where room may lack */
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    if (__builtin_expect(b->err != 0 || n > b->cap - b->n, 0)) {
        buf_put_slow(b, p, n);
    } else if (n != 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}
static inline void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}
static inline void buf_putsl(struct buf *b, struct sl s)
{
    buf_put(b, s.p, s.n);
}
static inline void buf_putc(struct buf *b, char c)
{
    if (__builtin_expect(b->err == 0 && b->n < b->cap, 1)) {
        b->p[b->n++] = c;
    } else {
        buf_put(b, &c, 1);
    }
}
void buf_putu(struct buf *b, uint64_t v);              /* decimal */
void buf_putx(struct buf *b, const void *p, size_t n); /* lower-case hex of bytes */
void buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_putv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
#define BUF_LIT(b, lit) buf_put((b), (lit), sizeof(lit) - 1)

static inline struct sl buf_sl(const struct buf *b)
{
    return (struct sl){b->p, b->n};
}
static inline int buf_err(const struct buf *b)
{
    return b->err;
}
/* Hands the heap block over (the caller frees it with mem_free) and empties the writer. NULL and
 * *n = 0 after an error or when nothing was written. Not for fixed writers. */
char *buf_steal(struct buf *b, size_t *n);

#endif
