/* part.c - the parts of a multipart body: what carriers put beside a description (ISUP, PIDF). */
#include "sip/sip_int.h"

/* What stands before the parameters, and those. */
static struct sl part_word(struct sl value, struct sl *params)
{
    ptrdiff_t semi = sip_chr(value, ';');

    *params = semi < 0 ? SL_NULL : sip_from(value, (size_t)semi + 1);
    return semi < 0 ? sip_trim(value) : sip_trim(sip_head(value, (size_t)semi));
}

bool sip_type_is(struct sl value, struct sl type)
{
    struct sl params, word = part_word(value, &params);
    bool is_kind = type.n != 0 && type.p[type.n - 1] == '/';

    return is_kind ? sl_istarts(word, type) : sl_ieq(word, type);
}

/* One line without its end; false: the last one was before. */
static bool part_line(struct sl *in, struct sl *line)
{
    if (in->n == 0 || sl_next(in, '\n', line) != 0) {
        return false;
    }
    if (line->n != 0 && line->p[line->n - 1] == '\r') {
        line->n--;
    }
    return true;
}

enum part_mark { PART_TEXT, PART_BEGINS, PART_LAST };

/* Blanks may follow the boundary (RFC 2046 5.1.1). */
static enum part_mark part_mark_of(struct sl line, struct sl boundary)
{
    enum part_mark mark = PART_BEGINS;

    if (!sl_starts(line, SL("--")) || !sl_starts(sl_from(line, 2), boundary)) {
        return PART_TEXT;
    }
    line = sl_from(line, 2 + boundary.n);
    if (sl_starts(line, SL("--"))) {
        mark = PART_LAST;
        line = sl_from(line, 2);
    }
    return sip_trim(line).n == 0 ? mark : PART_TEXT;
}

int sip_parts_begin(struct sip_parts *it, struct sl type, struct sl body)
{
    struct sl params, line;

    (void)part_word(type, &params);
    params = sip_trim(params);
    while (params.n != 0 && params.p[params.n - 1] == ';') { /* seen, though nothing follows */
        params = sip_trim(sip_head(params, params.n - 1));
    }
    *it = (struct sip_parts){.rest = body};
    if (!sip_param(params, SL("boundary"), &it->boundary) || it->boundary.n == 0) {
        return EBADMSG;
    }
    while (part_line(&it->rest, &line)) { /* what stands before the first one is for nobody */
        if (part_mark_of(line, it->boundary) == PART_BEGINS) {
            return 0;
        }
    }
    return EBADMSG;
}

static void part_header(struct sip_part *out, struct sl line)
{
    ptrdiff_t colon = sip_chr(line, ':');
    struct sl name, value;

    if (colon < 0) {
        return;
    }
    name = sip_trim(sip_head(line, (size_t)colon));
    value = sip_trim(sip_from(line, (size_t)colon + 1));
    if (sl_ieq(name, SL("Content-Type")) || sl_ieq(name, SL("c"))) {
        out->type = value;
    } else if (sl_ieq(name, SL("Content-Disposition"))) {
        out->disposition = value;
    } else if (sl_ieq(name, SL("Content-Transfer-Encoding"))) {
        out->encoding = value;
    }
}

/* Header lines up to an empty one, then the body. */
static void part_split(struct sl text, struct sip_part *out)
{
    struct sl line;

    *out = (struct sip_part){.type = SL_NULL};
    while (part_line(&text, &line) && line.n != 0) {
        part_header(out, line);
    }
    out->body = text;
}

/* The line end before a boundary belongs to the boundary (RFC 2046 5.1.1). */
static struct sl part_without_end(struct sl text)
{
    if (text.n != 0 && text.p[text.n - 1] == '\n') {
        text.n--;
    }
    if (text.n != 0 && text.p[text.n - 1] == '\r') {
        text.n--;
    }
    return text;
}

int sip_parts_next(struct sip_parts *it, struct sip_part *out)
{
    const char *from = it->rest.p;
    struct sl line;

    if (it->rest.n == 0) {
        return ENODATA;
    }
    if (it->n == SIP_PARTS_MAX) {
        return EMSGSIZE;
    }
    while (part_line(&it->rest, &line)) {
        enum part_mark mark = part_mark_of(line, it->boundary);

        if (mark == PART_TEXT) {
            continue;
        }
        it->n++;
        part_split(part_without_end(sl_make(from, (size_t)(line.p - from))), out);
        if (mark == PART_LAST) {
            it->rest = SL_NULL;
        }
        return 0;
    }
    return EBADMSG;
}
