/* egress_text.c - addresses and runs of letters in any bytes. */
#include "egress_int.h"

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

static bool is_hex(char c)
{
    return (egress_classes[(uint8_t)c] & EGRESS_HEX) != 0;
}

/* Leading zeros are read as decimal: whoever writes them means that. */
size_t egress_quad(struct sl text, size_t at, struct addr *out)
{
    uint32_t ip = 0;
    size_t i = at;

    for (unsigned part = 0; part < 4; part++) {
        uint32_t v = 0;
        size_t first;

        if (part != 0 && (i >= text.n || text.p[i++] != '.')) {
            return 0;
        }
        first = i;
        while (i < text.n && i - first < 4 && egress_is_digit(text.p[i])) {
            v = v * 10 + (uint32_t)(text.p[i++] - '0');
        }
        if (i == first || i - first > 3 || v > 255) {
            return 0;
        }
        ip = ip << 8 | v;
    }
    if (i < text.n && (egress_is_digit(text.p[i]) ||
                       (text.p[i] == '.' && i + 1 < text.n && egress_is_digit(text.p[i + 1])))) {
        return 0; /* a longer number or more parts: a version, an object identifier */
    }
    *out = (struct addr){.u.in4 = {.sin_family = AF_INET, .sin_addr = {htonl(ip)}}};
    return i - at;
}

static bool is_six(char c)
{
    return is_hex(c) || c == ':' || c == '.';
}

bool egress_six(struct sl text, size_t at, size_t *begin, size_t *end, struct addr *out)
{
    size_t from = at, to = at, colons = 0;

    while (from > 0 && at - from < 5 && is_hex(text.p[from - 1])) {
        from--;
    }
    while (to < text.n && to - from <= INET6_ADDRSTRLEN && is_six(text.p[to])) {
        colons += text.p[to++] == ':' ? 1 : 0;
    }
    *begin = from;
    *end = to;
    if (colons < 2 || at - from > 4 || to - from > INET6_ADDRSTRLEN) {
        return false;
    }
    while (to > from && (text.p[to - 1] == '.' ||
                         (text.p[to - 1] == ':' && (to < from + 2 || text.p[to - 2] != ':')))) {
        to--; /* the end of a sentence, "address:" */
    }
    *end = to;
    return addr_parse(sl_make(text.p + from, to - from), 0, out) == 0;
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
