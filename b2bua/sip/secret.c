/* secret.c - what a message may not carry into a record: digests that can be guessed at, and keys.
 */
#include "sip/sip.h"

static bool is_key_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* Another key that can be read as one. */
static void blacken(char *p, size_t n)
{
    for (size_t i = 0; i < n && p[i] != ' ' && p[i] != '|' && p[i] != ';' && p[i] != '\r'; i++) {
        p[i] = is_key_byte(p[i]) ? 'A' : p[i];
    }
}

/* RFC 4568 6.1: every inline: of a line. */
static void blacken_inline(char *line, size_t n)
{
    struct sl text = sl_make(line, n);
    size_t at = 0;

    while (at < n) {
        ptrdiff_t found = sl_find(sl_from(text, at), SL("inline:"));

        if (found < 0) {
            return;
        }
        at += (size_t)found + 7;
        blacken(line + at, n - at);
    }
}

/* Credentials of RFC 7616: nonce and response are what a password is guessed by. */
static void blacken_credentials(char *line, size_t n)
{
    struct sl text = sl_make(line, n);
    static const char *const parts[] = {"response=\"", "nonce=\"", "response=", "Basic "};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        ptrdiff_t found = sl_find(text, sl_str(parts[i]));

        if (found >= 0) {
            size_t at = (size_t)found + strlen(parts[i]);

            blacken(line + at, n - at);
        }
    }
}

/* RFC 4566 5.12, RFC 8839 5.4. */
static void blacken_line(char *line, size_t n)
{
    static const char *const whole[] = {"k=clear:", "k=base64:", "k=uri:", "a=ice-pwd:"};
    struct sl text = sl_make(line, n);

    for (size_t i = 0; i < COUNT_OF(whole); i++) {
        if (sl_istarts(text, sl_str(whole[i]))) {
            blacken(line + strlen(whole[i]), n - strlen(whole[i]));
        }
    }
    if (sl_istarts(text, SL("a=crypto:"))) {
        blacken_inline(line, n);
    }
    if (sl_istarts(text, SL("Authorization")) || sl_istarts(text, SL("Proxy-Authorization"))) {
        blacken_credentials(line, n);
    }
}

void sip_blacken(char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        ptrdiff_t end = sl_chr(sl_make(p + at, n - at), '\n');
        size_t len = end < 0 ? n - at : (size_t)end + 1;

        blacken_line(p + at, len);
        at += len;
    }
}
