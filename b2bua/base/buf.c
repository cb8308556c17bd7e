/* buf.c - the capped writer with the sticky error. */
#include "base/base.h"

#include <stdio.h>

#define BUF_FIRST 256 /* bytes of the first heap block */

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_init_fixed(struct buf *b, void *mem, size_t cap)
{
    *b = (struct buf){.p = mem, .cap = cap, .max = cap, .fixed = true};
}

void buf_free(struct buf *b)
{
    if (!b->fixed) {
        mem_free(b->p);
    }
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->err = 0;
}

static void buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
    char *p;

    while (cap < need && cap <= b->max / 2) {
        cap *= 2;
    }
    if (cap < need || cap > b->max) {
        cap = b->max;
    }
    p = mem_realloc(b->p, cap);
    if (p == NULL) {
        b->err = ENOMEM;
        return;
    }
    b->p = p;
    b->cap = cap;
}

void buf_reserve_slow(struct buf *b, size_t n)
{
    if (n > b->max - b->n) {
        b->err = EMSGSIZE;
        return;
    }
    buf_grow(b, b->n + n);
}

void buf_put_slow(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (b->err == 0 && n != 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

void buf_putu(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);

    if (v < 10) {
        buf_putc(b, (char)('0' + v));
        return;
    }
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    buf_put(b, digits + at, sizeof(digits) - at);
}

void buf_putx(struct buf *b, const void *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *u = p;

    if (n > SIZE_MAX / 2) {
        b->err = b->err != 0 ? b->err : EMSGSIZE;
    }
    buf_reserve(b, 2 * n);
    if (b->err != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        b->p[b->n++] = hex[u[i] >> 4];
        b->p[b->n++] = hex[u[i] & 15];
    }
}

void buf_putf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_putv(b, fmt, ap);
    va_end(ap);
}

/* The C library writes a NUL that a writer filled to its last byte has no room for, hence the
 * detour over a scratch block. */
__attribute__((format(printf, 2, 0))) static void buf_put_long(struct buf *b, const char *fmt,
                                                               va_list ap, size_t n)
{
    char *scratch;

    buf_reserve(b, n);
    if (b->err != 0) {
        return;
    }
    scratch = mem_alloc(n + 1);
    if (scratch == NULL) {
        b->err = ENOMEM;
        return;
    }
    (void)vsnprintf(scratch, n + 1, fmt, ap);
    buf_put(b, scratch, n);
    mem_free(scratch);
}

void buf_putv(struct buf *b, const char *fmt, va_list ap)
{
    char scratch[256];
    va_list again;
    int n;

    if (b->err != 0) {
        return;
    }
    va_copy(again, ap);
    n = vsnprintf(scratch, sizeof(scratch), fmt, ap);
    if (n < 0) {
        b->err = EMSGSIZE; /* only a result beyond INT_MAX gets here */
    } else if ((size_t)n < sizeof(scratch)) {
        buf_put(b, scratch, (size_t)n);
    } else {
        buf_put_long(b, fmt, again, (size_t)n);
    }
    va_end(again);
}

char *buf_steal(struct buf *b, size_t *n)
{
    char *p = NULL;

    *n = 0;
    if (b->err == 0 && b->n != 0 && !b->fixed) {
        p = b->p;
        *n = b->n;
        b->p = NULL;
    }
    if (!b->fixed) {
        mem_free(b->p);
        b->p = NULL;
        b->cap = 0;
    }
    buf_reset(b);
    return p;
}
