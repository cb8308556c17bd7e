/* write.c - headers, bodies, display names, users: what goes out is written afresh, byte by byte
 * known to be harmless. */
#include "sip/sip_int.h"

#define DISPLAY_MAX 128 /* bytes between the quotes, escapes not counted */

static bool write_is_break(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

static bool write_has_break(struct sl s)
{
    return s.n != 0 && (memchr(s.p, '\r', s.n) != NULL || memchr(s.p, '\n', s.n) != NULL ||
                        memchr(s.p, '\0', s.n) != NULL);
}

/* In a quoted string the partner of a backslash cannot just vanish: the backslash would then take
 * the next byte, perhaps the closing quote. A space stands in for it. */
static void write_without_breaks(struct buf *b, struct sl s)
{
    bool is_pair = false;

    for (size_t i = 0; i < s.n; i++) {
        if (!write_is_break(s.p[i])) {
            buf_putc(b, s.p[i]);
        } else if (is_pair) {
            buf_putc(b, ' ');
        }
        is_pair = !is_pair && s.p[i] == '\\';
    }
}

void sip_put_clean(struct buf *b, struct sl s)
{
    if (LIKELY(!write_has_break(s))) {
        buf_putsl(b, s);
    } else {
        write_without_breaks(b, s);
    }
}

void sip_put_hdr(struct buf *b, const char *name, struct sl value)
{
    buf_puts(b, name);
    BUF_LIT(b, ": ");
    sip_put_clean(b, value);
    BUF_LIT(b, "\r\n");
}

void sip_put_hdr_u(struct buf *b, const char *name, uint64_t value)
{
    buf_puts(b, name);
    BUF_LIT(b, ": ");
    buf_putu(b, value);
    BUF_LIT(b, "\r\n");
}

void sip_put_body(struct buf *b, struct sl content_type, struct sl body)
{
    if (body.n != 0) {
        sip_put_hdr(b, "Content-Type", content_type);
    }
    sip_put_hdr_u(b, "Content-Length", body.n);
    BUF_LIT(b, "\r\n");
    buf_putsl(b, body);
}

/* The next character of a display name: its bytes, or empty for what must not pass. C1 controls
 * are legal UTF-8 but steer terminals. */
static struct sl display_char(struct sl *in)
{
    size_t n = sl_utf8_len(*in);
    struct sl c = sip_head(*in, n);
    unsigned char first = n != 0 ? (unsigned char)c.p[0] : 0;

    *in = sip_from(*in, n != 0 ? n : 1);
    if (n == 0 || first < 0x20 || first == 0x7f ||
        (first == 0xc2 && (unsigned char)c.p[1] < 0xa0)) {
        return SL_NULL;
    }
    return c;
}

static struct sl display_inner(struct sl s, bool *is_quoted)
{
    s = sip_trim(s);
    *is_quoted = s.n != 0 && s.p[0] == '"';
    if (!*is_quoted) {
        return s;
    }
    s = sip_from(s, 1);
    return s.n != 0 && s.p[s.n - 1] == '"' ? sip_head(s, s.n - 1) : s;
}

void sip_put_display(struct buf *b, struct sl display)
{
    bool is_quoted;
    struct sl in = display_inner(display, &is_quoted);
    size_t n = 0;

    while (in.n != 0) {
        struct sl c;

        if (is_quoted && in.p[0] == '\\') {
            in = sip_from(in, 1); /* quoted-pair: the character itself */
        }
        c = display_char(&in);
        if (c.n == 0) {
            continue;
        }
        if (n + c.n > DISPLAY_MAX) {
            break;
        }
        if (n == 0) {
            buf_putc(b, '"');
        }
        if (c.p[0] == '"' || c.p[0] == '\\') {
            buf_putc(b, '\\');
        }
        buf_putsl(b, c);
        n += c.n;
    }
    if (n != 0) {
        BUF_LIT(b, "\" ");
    }
}

static void put_escaped(struct buf *b, char c)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char u = (unsigned char)c;

    buf_putc(b, '%');
    buf_putc(b, hex[u >> 4]);
    buf_putc(b, hex[u & 15]);
}

/* Up to the next ';'; value empty: none was said. */
static bool tel_param(struct sl one, struct sl *name, struct sl *value)
{
    ptrdiff_t eq = sip_chr(one, '=');

    *name = eq < 0 ? one : sip_head(one, (size_t)eq);
    *value = eq < 0 ? SL_NULL : sip_from(one, (size_t)eq + 1);
    return eq < 0 || (value->n != 0 && sip_all(*value, C_HOST | C_TEL));
}

/* What numbering plans say of a number (RFC 3966, RFC 4694, RFC 4904). */
static bool is_tel_param(struct sl one)
{
    static const char *const names[] = {
        "rn",   "npdi", "rn-context",    "cic", "cic-context", "tgrp",          "ext",
        "isub", "oli",  "trunk-context", "cpc", "isup-oli",    "phone-context", "enumdi"};
    struct sl name, value;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (tel_param(one, &name, &value) && sl_ieq(name, sl_str(names[i]))) {
            return true;
        }
    }
    return false;
}

size_t sip_number_len(struct sl user)
{
    struct sl rest = user, number, one;

    if (sl_next(&rest, ';', &number) != 0 || number.n == 0 || !sip_all(number, C_TEL)) {
        return user.n;
    }
    while (sl_next(&rest, ';', &one) == 0) {
        if (!is_tel_param(one)) {
            return user.n;
        }
    }
    return number.n;
}

void sip_put_number(struct buf *b, struct sl user)
{
    size_t n = sip_number_len(user);

    sip_put_user(b, sl_head(user, n));
    buf_putsl(b, sl_from(user, n));
}

/* ';' and '?' are legal in a user part, but readers who cut at them before they look for the '@'
 * would find parameters and headers there: escaped. '#' is not legal, only seen. */
void sip_put_user(struct buf *b, struct sl user)
{
    for (size_t i = 0; i < user.n; i++) {
        char c = user.p[i];

        if (c == '%' && i + 2 < user.n && sip_is(user.p[i + 1], C_HEX) &&
            sip_is(user.p[i + 2], C_HEX)) {
            buf_put(b, user.p + i, 3);
            i += 2;
        } else if (sip_is(c, C_USER) && c != ';' && c != '?' && c != '#') {
            buf_putc(b, c);
        } else {
            put_escaped(b, c);
        }
    }
}
