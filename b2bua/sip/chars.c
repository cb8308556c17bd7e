/* chars.c - byte classes and the smallest scanners. */
#include "sip/sip_int.h"

#define EVERY (C_PRINT | C_URI)
#define ALL_OF                                                                                     \
    (EVERY | C_TOKEN | C_USER | C_PASS | C_PARAM | C_HEADER | C_HOST | C_SCHEME | C_ALNUM |        \
     C_VALUE | C_NAME)
#define MARK (EVERY | C_USER | C_PASS | C_PARAM | C_HEADER | C_VALUE | C_NAME) /* "unreserved" */

const uint16_t sip_classes[256] = {
    ['0' ... '9'] = ALL_OF | C_HEX | C_TEL,
    ['A' ... 'F'] = ALL_OF | C_HEX | C_TEL,
    ['G' ... 'Z'] = ALL_OF,
    ['a' ... 'f'] = ALL_OF | C_HEX | C_TEL,
    ['g' ... 'z'] = ALL_OF,
    ['-'] = MARK | C_TOKEN | C_HOST | C_SCHEME | C_TEL,
    ['.'] = MARK | C_TOKEN | C_HOST | C_SCHEME | C_TEL,
    ['_'] = MARK | C_TOKEN | C_HOST,
    ['!'] = MARK | C_TOKEN,
    ['~'] = MARK | C_TOKEN,
    ['\''] = MARK | C_TOKEN,
    ['*'] = MARK | C_TOKEN | C_TEL,
    ['('] = MARK | C_TEL | C_LIST,
    [')'] = MARK | C_TEL,
    ['%'] = EVERY | C_TOKEN | C_VALUE | C_NAME,
    ['+'] = MARK | C_TOKEN | C_SCHEME | C_TEL,
    ['`'] = EVERY | C_TOKEN | C_VALUE | C_NAME,
    ['&'] = MARK,
    ['='] = EVERY | C_USER | C_PASS | C_HEADER | C_VALUE,
    ['$'] = MARK,
    [','] = EVERY | C_USER | C_PASS | C_LIST,
    [';'] = EVERY | C_USER,
    ['?'] = EVERY | C_USER | C_HEADER | C_VALUE,
    ['/'] = EVERY | C_USER | C_PARAM | C_HEADER | C_VALUE | C_NAME,
    [':'] = EVERY | C_PARAM | C_HEADER | C_VALUE | C_NAME,
    ['['] = EVERY | C_PARAM | C_HEADER | C_VALUE | C_NAME,
    [']'] = EVERY | C_PARAM | C_HEADER | C_VALUE | C_NAME,
    ['#'] = EVERY | C_USER | C_VALUE | C_TEL,
    ['@'] = EVERY | C_VALUE,
    ['\\'] = EVERY,
    ['^'] = EVERY | C_VALUE,
    ['{'] = EVERY | C_VALUE,
    ['|'] = EVERY | C_VALUE,
    ['}'] = EVERY | C_VALUE,
    ['"'] = C_PRINT | C_LIST,
    ['<'] = C_PRINT | C_LIST,
    ['>'] = C_PRINT,
    [0x80 ... 0xff] = C_VALUE,
};

bool sip_all(struct sl s, unsigned cls)
{
    return sip_run(s, 0, cls) == s.n;
}

int sip_hex(char c)
{
    if (!sip_is(c, C_HEX)) {
        return -1;
    }
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

bool sip_all_escaped(struct sl s, unsigned cls)
{
    size_t at = sip_run(s, 0, cls);

    while (at < s.n) {
        if (s.p[at] != '%' || s.n - at < 3 || sip_hex(s.p[at + 1]) < 0 ||
            sip_hex(s.p[at + 2]) < 0) {
            return false;
        }
        at = sip_run(s, at + 3, cls);
    }
    return true;
}

size_t sip_quoted_end(struct sl s, size_t at)
{
    for (at++; at < s.n; at++) {
        if (s.p[at] == '"') {
            return at + 1;
        }
        if (s.p[at] == '\\') {
            at++;
        }
    }
    return 0;
}

/* RFC 5118 4.10: senders that followed the faulty ABNF write three colons; read as two. */
static bool sip_is_v6(struct sl s)
{
    char text[48];
    ptrdiff_t three = sl_find(s, SL(":::"));
    size_t skip = three >= 0 ? 1 : 0;
    size_t head = three >= 0 ? (size_t)three : s.n;
    struct addr a;

    if (s.n < 2 || s.n >= sizeof(text) || sip_chr(s, ':') < 0) {
        return false;
    }
    memcpy(text, s.p, head);
    memcpy(text + head, s.p + head + skip, s.n - head - skip);
    return addr_parse(sl_make(text, s.n - skip), 0, &a) == 0;
}

static int sip_v6_scan(struct sl s, size_t *at, struct sl *host)
{
    struct sl rest = sip_from(s, *at + 1);
    ptrdiff_t close = sip_chr(rest, ']');

    if (close < 0 || !sip_is_v6(sip_head(rest, (size_t)close))) {
        return EBADMSG;
    }
    *host = sip_head(rest, (size_t)close);
    *at += (size_t)close + 2;
    return 0;
}

int sip_host_scan(struct sl s, size_t *at, struct sl *host, bool *is_v6)
{
    size_t end;

    *is_v6 = *at < s.n && s.p[*at] == '[';
    if (*is_v6) {
        return sip_v6_scan(s, at, host);
    }
    end = sip_run(s, *at, C_HOST);
    if (end == *at || end - *at > 255 || s.p[*at] == '.' || s.p[*at] == '-') {
        return EBADMSG;
    }
    *host = sip_cut(s, *at, end);
    *at = end;
    return 0;
}

int sip_port(struct sl s, uint16_t *port)
{
    uint32_t v;

    if (sl_u32(s, UINT16_MAX, &v) != 0 || v == 0) {
        return EBADMSG;
    }
    *port = (uint16_t)v;
    return 0;
}
