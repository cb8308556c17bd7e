/* egress_text.c - addresses and runs of letters in any bytes. */
#include "egress_int.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#define ALNUM (EGRESS_ALNUM | EGRESS_HOST)

const uint8_t egress_classes[256] = {
    ['0' ... '9'] = ALNUM | EGRESS_DIGIT | EGRESS_HEX,
    ['a' ... 'f'] = ALNUM | EGRESS_HEX,
    ['A' ... 'F'] = ALNUM | EGRESS_HEX,
    ['g' ... 'z'] = ALNUM,
    ['G' ... 'Z'] = ALNUM,
    ['.'] = EGRESS_HOST,
    ['-'] = EGRESS_HOST,
    ['_'] = EGRESS_HOST,
};

struct egress_marks egress_marks_each(struct sl text)
{
    struct egress_marks m = {0, 0};
    uint64_t colons = 0, spaces = 0;

    for (size_t i = 0; i < text.n && i < EGRESS_BLOCK; i++) {
        m.alnum |= (uint64_t)egress_is_alnum(text.p[i]) << i;
        m.dots |= (uint64_t)(text.p[i] == '.') << i;
        colons |= (uint64_t)(text.p[i] == ':') << i;
        spaces |= (uint64_t)(text.p[i] == ' ') << i;
    }
    m.dots |= colons & ~(spaces >> 1);
    return m;
}

#ifdef __SSE2__
/* All ones where a byte is one of `n` from `first` on. */
static inline __m128i among(__m128i bytes, char first, char n)
{
    __m128i at = _mm_sub_epi8(bytes, _mm_set1_epi8(first));

    return _mm_cmpeq_epi8(_mm_min_epu8(at, _mm_set1_epi8((char)(n - 1))), at);
}

static inline uint64_t mask_of(__m128i bytes)
{
    return (uint32_t)_mm_movemask_epi8(bytes);
}

struct egress_marks egress_marks(struct sl text)
{
    struct egress_marks m = {0, 0};
    uint64_t colons = 0, spaces = 0;
    char tail[EGRESS_BLOCK] = {0};

    if (text.n < EGRESS_BLOCK) {
        if (text.n != 0) {
            memcpy(tail, text.p, text.n);
        }
        text.p = tail;
    }
    for (unsigned i = 0; i < EGRESS_BLOCK; i += sizeof(__m128i)) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.p + i));
        __m128i low = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        __m128i alnum = _mm_or_si128(among(low, 'a', 26), among(bytes, '0', 10));

        m.alnum |= mask_of(alnum) << i;
        m.dots |= mask_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))) << i;
        colons |= mask_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(':'))) << i;
        spaces |= mask_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '))) << i;
    }
    m.dots |= colons & ~(spaces >> 1);
    return m;
}
#else
struct egress_marks egress_marks(struct sl text)
{
    return egress_marks_each(text);
}
#endif

static bool is_hex(char c)
{
    return (egress_classes[(uint8_t)c] & EGRESS_HEX) != 0;
}

/* How many digits; 0: no octet. Leading zeros are read as decimal: whoever writes them means that.
 */
static inline size_t octet(const char *p, size_t left, uint32_t *v)
{
    size_t n = 0;

    *v = 0;
    while (n < left && n < 4 && (unsigned char)(p[n] - '0') < 10) {
        *v = *v * 10 + (uint32_t)(p[n++] - '0');
    }
    return n > 3 || *v > 255 ? 0 : n;
}

/* A longer number or more parts: a version, an object identifier. */
static bool goes_on(struct sl text, size_t at)
{
    return (at < text.n && egress_is_digit(text.p[at])) ||
           (at + 1 < text.n && text.p[at] == '.' && egress_is_digit(text.p[at + 1]));
}

size_t egress_quad(struct sl text, size_t at, struct addr *out)
{
    uint32_t ip = 0, v;
    size_t i = at;

    for (unsigned part = 0; part < 4; part++) {
        size_t n;

        if (part != 0 && (i >= text.n || text.p[i++] != '.')) {
            return 0;
        }
        n = octet(text.p + i, text.n - i, &v);
        if (n == 0) {
            return 0;
        }
        ip = ip << 8 | v;
        i += n;
    }
    if (goes_on(text, i)) {
        return 0;
    }
    *out = (struct addr){.u.in4 = {.sin_family = AF_INET, .sin_addr = {htonl(ip)}}};
    return i - at;
}

static bool is_six(char c)
{
    return is_hex(c) || c == ':' || c == '.';
}

/* Without the end of a sentence, as in "address:". */
static size_t six_end(struct sl text, size_t from, size_t to)
{
    while (to > from && (text.p[to - 1] == '.' ||
                         (text.p[to - 1] == ':' && (to < from + 2 || text.p[to - 2] != ':')))) {
        to--;
    }
    return to;
}

bool egress_six(struct sl text, size_t at, size_t *begin, size_t *end, struct addr *out)
{
    size_t from = at, to = at, colons = 0;

    if (at + 1 == text.n || !is_six(text.p[at + 1])) {
        return false; /* no address ends in a single colon: that of a header's name */
    }
    while (from > 0 && at - from < 5 && is_hex(text.p[from - 1])) {
        from--;
    }
    while (to < text.n && to - from <= INET6_ADDRSTRLEN && is_six(text.p[to])) {
        colons += text.p[to++] == ':' ? 1 : 0;
    }
    *begin = from;
    *end = six_end(text, from, to);
    return colons >= 2 && at - from <= 4 && to - from <= INET6_ADDRSTRLEN &&
           addr_parse(sl_make(text.p + from, *end - from), 0, out) == 0;
}

struct sl egress_longest_run(struct sl text)
{
    struct sl best = SL_NULL;

    for (size_t i = 0; i < text.n; i++) {
        size_t first = i;

        while (i < text.n && egress_is_alnum(text.p[i])) {
            i++;
        }
        if (i - first > best.n) {
            best = sl_make(text.p + first, i - first);
        }
    }
    return best;
}
