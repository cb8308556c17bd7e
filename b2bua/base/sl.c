/* sl.c - slices: comparing, cutting, scanning. No allocation, no locale. */
#include "base/base.h"

#define SL_DIGITS_SAFE 19 /* so many fit into 64 bits, whatever they are */

static unsigned char sl_lower(char c)
{
    unsigned char u = (unsigned char)c;

    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool sl_same_icase(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    for (uint64_t x, y; n - i >= sizeof(x); i += sizeof(x)) { /* mostly the case is the same, too */
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b + i, sizeof(y));
        if (x != y) {
            break;
        }
    }
    for (; i < n; i++) {
        unsigned differ = (unsigned char)(a[i] ^ b[i]);

        if (differ != 0 && (differ != 0x20 || sl_lower(a[i]) != sl_lower(b[i]))) {
            return false;
        }
    }
    return true;
}

bool sl_ends(struct sl s, struct sl suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool sl_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct sl sl_trim_ends(struct sl s)
{
    while (s.n != 0 && sl_is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n != 0 && sl_is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

ptrdiff_t sl_rchr(struct sl s, char c)
{
    const char *hit = s.n != 0 ? memrchr(s.p, c, s.n) : NULL;

    return hit != NULL ? hit - s.p : -1;
}

ptrdiff_t sl_find(struct sl s, struct sl needle)
{
    const char *hit;

    if (needle.n == 0) {
        return 0;
    }
    hit = s.n != 0 ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit != NULL ? hit - s.p : -1;
}

int sl_split(struct sl *in, char stop, size_t max, struct sl *tok)
{
    const char *hit = in->n != 0 ? memchr(in->p, stop, in->n) : NULL;
    size_t len = hit != NULL ? (size_t)(hit - in->p) : in->n;

    if (len > max || hit == NULL) {
        return len > max ? EMSGSIZE : ENODATA;
    }
    *tok = (struct sl){in->p, len};
    *in = (struct sl){hit + 1, in->n - len - 1};
    return 0;
}

int sl_u64(struct sl s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    bool big = false;
    size_t i = 0;

    if (s.n == 0) {
        return EBADMSG;
    }
    for (; i < s.n && i < SL_DIGITS_SAFE; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

        if (d > 9) {
            return EBADMSG;
        }
        v = v * 10 + d;
    }
    for (; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

        if (d > 9) {
            return EBADMSG;
        }
        /* The rest is still looked at: "99999999999x" is no number, however large. */
        big = big || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v);
    }
    if (big || v > max) {
        return EMSGSIZE;
    }
    *out = v;
    return 0;
}

int sl_u32(struct sl s, uint32_t max, uint32_t *out)
{
    uint64_t v;
    int err = sl_u64(s, max, &v);

    if (err == 0) {
        *out = (uint32_t)v;
    }
    return err;
}

static int sl_hex_digit(char c) /* -1: none */
{
    unsigned char u = sl_lower(c);

    if (u >= '0' && u <= '9') {
        return u - '0';
    }
    return u >= 'a' && u <= 'f' ? u - 'a' + 10 : -1;
}

int sl_hex32(struct sl s, uint32_t *out)
{
    uint32_t v = 0;
    bool big = false;

    if (s.n == 0) {
        return EBADMSG;
    }
    for (size_t i = 0; i < s.n; i++) {
        int d = sl_hex_digit(s.p[i]);

        if (d < 0) {
            return EBADMSG;
        }
        big = big || (v >> 28) != 0;
        v = (v << 4) | (uint32_t)d;
    }
    if (big) {
        return EMSGSIZE;
    }
    *out = v;
    return 0;
}

int sl_cstr(struct sl s, char *dst, size_t cap)
{
    if (s.n >= cap) {
        return EMSGSIZE;
    }
    if (s.n != 0) {
        if (memchr(s.p, '\0', s.n) != NULL) {
            return EBADMSG;
        }
        memcpy(dst, s.p, s.n);
    }
    dst[s.n] = '\0';
    return 0;
}

bool sl_glob(struct sl pattern, struct sl s)
{
    size_t p = 0, i = 0;
    size_t star = SIZE_MAX, mark = 0; /* after the last '*', and where its run ends in s */

    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = ++p;
            mark = i;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star; /* only the last '*' ever needs to be widened */
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

/* RFC 3629 section 4: what the second byte may be decides about overlong forms, surrogates and
 * the end of Unicode; all later bytes are 80..BF. */
static const struct utf8_row {
    uint8_t lo, hi, lo2, hi2, len;
} utf8_rows[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static bool sl_utf8_fits(const struct utf8_row *r, const uint8_t *u, size_t n)
{
    if (u[0] < r->lo || u[0] > r->hi || n < r->len || u[1] < r->lo2 || u[1] > r->hi2) {
        return false;
    }
    for (size_t i = 2; i < r->len; i++) {
        if ((u[i] & 0xC0) != 0x80) {
            return false;
        }
    }
    return true;
}

size_t sl_utf8_len(struct sl s)
{
    const uint8_t *u = (const uint8_t *)s.p;

    if (s.n == 0) {
        return 0;
    }
    if (u[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(utf8_rows); i++) {
        if (sl_utf8_fits(&utf8_rows[i], u, s.n)) {
            return utf8_rows[i].len;
        }
    }
    return 0;
}

bool sl_is_utf8(struct sl s)
{
    while (s.n != 0) {
        size_t len = sl_utf8_len(s);

        if (len == 0) {
            return false;
        }
        s = sl_from(s, len);
    }
    return true;
}
