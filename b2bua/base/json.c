/* json.c - the streaming JSON writer. */
#include "base/base.h"

#include <math.h>

void json_init(struct json *j, struct buf *b)
{
    *j = (struct json){.b = b};
}

/* Room for n bytes behind the comma that may be due, which is written; NULL: the buffer refuses. */
static char *json_room(struct json *j, size_t n)
{
    struct buf *b = j->b;
    bool is_due = false;

    if (j->after_key) {
        j->after_key = false;
    } else if (j->depth != 0 && j->depth <= JSON_DEPTH_MAX) {
        is_due = j->comma[j->depth - 1];
        j->comma[j->depth - 1] = true;
    }
    buf_reserve(b, n + is_due);
    if (b->err != 0) {
        return NULL;
    }
    if (is_due) {
        b->p[b->n++] = ',';
    }
    return b->p + b->n;
}

/* What was written into that room ends at `end`. */
static void json_took(struct json *j, const char *end)
{
    j->b->n = (size_t)(end - j->b->p);
}

static void json_open(struct json *j, char c)
{
    (void)json_room(j, 1);
    if (j->depth >= JSON_DEPTH_MAX) {
        j->b->err = j->b->err != 0 ? j->b->err : EMSGSIZE;
        return;
    }
    buf_putc(j->b, c);
    j->comma[j->depth++] = false;
}

static void json_close(struct json *j, char c)
{
    buf_putc(j->b, c);
    if (j->depth != 0) {
        j->depth--;
    }
    j->after_key = false;
}

void json_obj(struct json *j)
{
    json_open(j, '{');
}

void json_obj_end(struct json *j)
{
    json_close(j, '}');
}

void json_arr(struct json *j)
{
    json_open(j, '[');
}

void json_arr_end(struct json *j)
{
    json_close(j, ']');
}

static void json_put_special(struct buf *b, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *hit = c != 0 ? memchr(from, c, sizeof(from) - 1) : NULL;

    if (hit != NULL) {
        buf_putc(b, '\\');
        buf_putc(b, to[hit - from]);
    } else {
        BUF_LIT(b, "\\u00");
        buf_putx(b, &c, 1);
    }
}

#define JSON_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static const bool json_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

/* Writes the first character of s, whatever it is, and returns how many bytes it took. */
static size_t json_put_char(struct buf *b, struct sl s)
{
    size_t len = sl_utf8_len(s);

    if (len == 0) {
        BUF_LIT(b, "\xEF\xBF\xBD"); /* U+FFFD */
        return 1;
    }
    if (len == 1) {
        json_put_special(b, (unsigned char)s.p[0]);
    } else {
        buf_put(b, s.p, len);
    }
    return len;
}

/* From the first byte that does not stand for itself to the end. */
static void json_put_rest(struct buf *b, struct sl s)
{
    while (s.n != 0 && b->err == 0) {
        size_t run = 0;

        s = sl_from(s, json_put_char(b, s));
        while (run < s.n && json_plain[(uint8_t)s.p[run]]) {
            run++;
        }
        buf_put(b, s.p, run);
        s = sl_from(s, run);
    }
}

/* Not 0 if a byte is 0. */
static uint64_t json_zeros(uint64_t w)
{
    return (w - JSON_EACH(0x01)) & ~w & JSON_EACH(0x80);
}

/* As json_plain says of each; a carry comes only out of a byte that is none. */
static bool json_all_plain(uint64_t w)
{
    return ((w | (w + JSON_EACH(0x01)) | ((w - JSON_EACH(0x20)) & ~w)) & JSON_EACH(0x80)) == 0 &&
           (json_zeros(w ^ JSON_EACH('"')) | json_zeros(w ^ JSON_EACH('\\'))) == 0;
}

void json_str(struct json *j, struct sl s)
{
    size_t i = 0;
    char *p = json_room(j, s.n + 2);

    if (p == NULL) {
        return;
    }
    *p++ = '"';
    for (uint64_t w; s.n - i >= sizeof(w); i += sizeof(w), p += sizeof(w)) {
        memcpy(&w, s.p + i, sizeof(w));
        if (!json_all_plain(w)) {
            break;
        }
        memcpy(p, &w, sizeof(w));
    }
    while (i < s.n && json_plain[(uint8_t)s.p[i]]) { /* nearly always to the end */
        *p++ = s.p[i++];
    }
    json_took(j, p);
    json_put_rest(j->b, sl_from(s, i));
    buf_putc(j->b, '"');
}

/* Keys are words of ours, with nothing to escape. */
void json_key_n(struct json *j, const char *key, size_t n)
{
    char *p = json_room(j, n + 3);

    if (p != NULL) {
        *p++ = '"';
        memcpy(p, key, n);
        memcpy(p + n, "\":", 2);
        json_took(j, p + n + 2);
    }
    j->after_key = true;
}

void json_cstr(struct json *j, const char *s)
{
    if (s != NULL) {
        json_str(j, sl_str(s));
    } else {
        json_none(j);
    }
}

void json_int(struct json *j, int64_t v)
{
    char *p = json_room(j, 1);

    if (p != NULL && v >= 0 && v < 10) { /* most are zero */
        *p = (char)('0' + v);
        json_took(j, p + 1);
        return;
    }
    if (v < 0) {
        buf_putc(j->b, '-');
    }
    buf_putu(j->b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Up to three decimals without the C library, which takes a thousand instructions for each. */
static void json_put_decimal(struct buf *b, double v, unsigned decimals)
{
    static const uint32_t scales[] = {1, 10, 100, 1000};
    uint64_t all = (uint64_t)((v < 0 ? -v : v) * scales[decimals] + 0.5);
    uint32_t rest = (uint32_t)(all % scales[decimals]);

    if (v < 0 && all != 0) {
        buf_putc(b, '-');
    }
    buf_putu(b, all / scales[decimals]);
    if (decimals > 0) {
        buf_putc(b, '.');
    }
    for (unsigned i = decimals; i > 0; i--) {
        buf_putc(b, (char)('0' + rest / scales[i - 1] % 10));
    }
}

void json_f(struct json *j, double v, int decimals)
{
    if (!isfinite(v)) { /* JSON has no word for it */
        json_none(j);
        return;
    }
    (void)json_room(j, 1);
    if (decimals >= 0 && decimals <= 3 && v < 1e15 && v > -1e15) {
        json_put_decimal(j->b, v, (unsigned)decimals);
    } else {
        buf_putf(j->b, "%.*f", decimals, v);
    }
}

void json_bool(struct json *j, bool v)
{
    json_raw(j, v ? SL("true") : SL("false"));
}

void json_none(struct json *j)
{
    json_raw(j, SL("null"));
}

void json_raw(struct json *j, struct sl s)
{
    char *p = json_room(j, s.n);

    if (p != NULL && s.n != 0) {
        memcpy(p, s.p, s.n);
        json_took(j, p + s.n);
    }
}

void json_time(struct json *j, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];

    json_cstr(j, wall_ms != 0 ? clock_text(wall_ms, text) : NULL);
}

void json_addr(struct json *j, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    bool is_set = a != NULL && addr_len(a) != 0;

    json_cstr(j, is_set ? addr_text(a, text) : NULL);
}
