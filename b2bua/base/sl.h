/* sl.h - slices: borrowed bytes, never NUL-terminated, never outliving their message.
 * Every scanner is bounded and leaves its arguments untouched on error. Thread: any (pure). */
#ifndef POSTERN_BASE_SL_H
#define POSTERN_BASE_SL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sl {
    const char *p; /* may be NULL only when n is 0 */
    size_t n;
};

#define SL(lit) ((struct sl){(lit), sizeof(lit) - 1})
#define SL_NULL ((struct sl){NULL, 0})
/* For printf: "%.*s" with SL_ARG(s). Not for peer bytes in logs, see log.h. */
#define SL_ARG(s) ((int)(s).n), ((s).p != NULL ? (s).p : "")

static inline struct sl sl_make(const void *p, size_t n)
{
    return (struct sl){(const char *)p, n};
}
/* NULL gives the empty slice. */
static inline struct sl sl_str(const char *s)
{
    return s != NULL ? (struct sl){s, strlen(s)} : SL_NULL;
}

static inline bool sl_eq(struct sl a, struct sl b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* ASCII case-insensitive, n bytes at both. */
bool sl_same_icase(const char *a, const char *b, size_t n);
/* Nearly all that differ do so in the first byte, which must be there. */
static inline bool sl_may_be_icase(const char *a, const char *b)
{
    return ((unsigned char)(*a ^ *b) & ~0x20u) == 0;
}
static inline bool sl_ieq(struct sl a, struct sl b) /* ASCII case-insensitive */
{
    return a.n == b.n && (a.n == 0 || (sl_may_be_icase(a.p, b.p) && sl_same_icase(a.p, b.p, a.n)));
}
static inline bool sl_starts(struct sl s, struct sl prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool sl_istarts(struct sl s, struct sl prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || (sl_may_be_icase(s.p, prefix.p) &&
                                                 sl_same_icase(s.p, prefix.p, prefix.n)));
}
bool sl_ends(struct sl s, struct sl suffix);
struct sl sl_trim_ends(struct sl s); /* sl_trim, where something may have to go */
/* Drops SP, HTAB, CR, LF at both ends. */
static inline struct sl sl_trim(struct sl s)
{
    bool is_clean = s.n == 0 || ((unsigned char)s.p[0] > ' ' && (unsigned char)s.p[s.n - 1] > ' ');

    return is_clean ? s : sl_trim_ends(s);
}
/* The rest from off; empty beyond the end. */
static inline struct sl sl_from(struct sl s, size_t off)
{
    if (s.n == 0) {
        return s;
    }
    return off < s.n ? (struct sl){s.p + off, s.n - off} : (struct sl){s.p + s.n, 0};
}
static inline struct sl sl_head(struct sl s, size_t n) /* at most the first n bytes */
{
    return (struct sl){s.p, n < s.n ? n : s.n};
}

/* Offset of the byte, or -1. sl_find looks for a needle (bytes). */
static inline ptrdiff_t sl_chr(struct sl s, char c)
{
    const char *hit = s.n != 0 ? memchr(s.p, c, s.n) : NULL;

    return hit != NULL ? hit - s.p : -1;
}
ptrdiff_t sl_rchr(struct sl s, char c);
ptrdiff_t sl_find(struct sl s, struct sl needle);

/* Moves the bytes before `stop` into tok and `in` past it. ENODATA: no `stop` yet; EMSGSIZE: the
 * token exceeds `max`. On error both are untouched. */
__attribute__((warn_unused_result)) int sl_split(struct sl *in, char stop, size_t max,
                                                 struct sl *tok);
/* As sl_split, but the last token needs no `stop`; ENODATA only when `in` is empty. */
__attribute__((warn_unused_result)) static inline int sl_next(struct sl *in, char stop,
                                                              struct sl *tok)
{
    ptrdiff_t at;

    if (in->n == 0) {
        return ENODATA;
    }
    at = sl_chr(*in, stop);
    if (at < 0) {
        *tok = *in;
        *in = (struct sl){in->p + in->n, 0};
        return 0;
    }
    *tok = (struct sl){in->p, (size_t)at};
    *in = (struct sl){in->p + at + 1, in->n - (size_t)at - 1};
    return 0;
}

/* Decimal digits only, whole slice, 1.. digits, value <= max. EBADMSG no number, EMSGSIZE > max.
 * Leading zeros are allowed (RFC 4475 3.1.1.1). */
__attribute__((warn_unused_result)) int sl_u32(struct sl s, uint32_t max, uint32_t *out);
__attribute__((warn_unused_result)) int sl_u64(struct sl s, uint64_t max, uint64_t *out);
/* Hexadecimal, either case. */
__attribute__((warn_unused_result)) int sl_hex32(struct sl s, uint32_t *out);

/* Copies into dst with a NUL; EMSGSIZE when it does not fit (cap counts the NUL), EBADMSG when
 * the slice holds a NUL. */
__attribute__((warn_unused_result)) int sl_cstr(struct sl s, char *dst, size_t cap);

/* Glob with '*' (any bytes, also none) and '?' (one byte). No recursion; the work is at most the
 * length of the pattern times the length of s, and linear for a pattern without inner '*'. */
bool sl_glob(struct sl pattern, struct sl s);

/* Length (1 to 4) of the well-formed UTF-8 sequence that s begins with; 0 when there is none. */
size_t sl_utf8_len(struct sl s);
/* True when the slice is well-formed UTF-8 (RFC 3629). */
bool sl_is_utf8(struct sl s);

#endif
