/* index.c - the one pass over the header area: lines, foldings undone in place, name, id, value. */
#include "sip/sip_int.h"

/* Each CRLF inside becomes two spaces: the length stays, and later scanners see no line ends. */
static void index_unfold(char *p, size_t n)
{
    char *end = p + n;

    while (n != 0 && (p = memchr(p, '\n', n)) != NULL) {
        if (p[-1] == '\r') { /* a value is never the first byte of a message */
            p[-1] = ' ';
        }
        *p++ = ' ';
        n = (size_t)(end - p);
    }
}

static void index_check_line(const struct sip_line *line, struct sip_bad *bad)
{
    if (UNLIKELY(line->text.n > SIP_HDR_LINE_MAX)) {
        sip_refuse(bad, 513, "Header Field Too Long");
    }
    if (LIKELY((line->flags & ~(unsigned)LINE_FOLDED) == 0)) {
        return;
    }
    sip_refuse(bad, 400,
               (line->flags & LINE_OPEN) != 0 ? "Header Section Not Terminated"
                                              : "Bare CR or LF in Header Section");
}

/* h stands in its place already, unless there is none left. */
static void index_add(struct sip_msg *m, const struct sip_hdr *h, struct sip_bad *bad)
{
    if (UNLIKELY(m->n_hdrs == SIP_HDRS_MAX)) {
        sip_refuse(bad, 513, "Too Many Header Fields");
        return;
    }
    m->n_hdrs++;
    if (LIKELY(m->first[h->id] == 0)) {
        m->first[h->id] = m->n_hdrs;
    } else if (sip_hdr_is_single(h->id)) {
        sip_refuse(bad, 400, "Header Field Given Twice");
    }
}

/* RFC 3261 25.1: a NUL is legal as the second byte of a quoted-pair and nowhere else. */
static bool index_nul_ok(struct sl value)
{
    bool is_quoted = false;

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\0') {
            return false;
        }
        if (value.p[i] == '"') {
            is_quoted = !is_quoted;
        } else if (value.p[i] == '\\' && is_quoted) {
            i++;
        }
    }
    return true;
}

/* A NUL anywhere else ends the message for readers of C strings. */
static void index_check_nul(const struct sip_msg *m, size_t n, struct sip_bad *bad)
{
    size_t nuls = 0, legal = 0;

    if (LIKELY(memchr(m->text.p, '\0', n) == NULL)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        nuls += m->text.p[i] == '\0';
    }
    for (uint16_t i = 0; i < m->n_hdrs; i++) {
        struct sl v = m->hdrs[i].value;
        bool is_ok = index_nul_ok(v);

        for (size_t k = 0; k < v.n; k++) {
            legal += is_ok && v.p[k] == '\0';
        }
    }
    if (legal != nuls) {
        sip_refuse(bad, 400, "NUL in Header Section");
    }
}

/* Of Via, From, To, Call-ID, CSeq and their short forms; and of some others. */
static bool index_is_answered(char first)
{
    char c = (char)(first | 0x20);

    return c == 'v' || c == 'f' || c == 't' || c == 'c' || c == 'i';
}

/* A field that no answer repeats, and that is not obviously none. */
static bool index_may_skip(struct sl line)
{
    return line.n != 0 && !index_is_answered(line.p[0]) && !sip_is_lws(line.p[0]) &&
           sip_chr(line, ':') > 0;
}

void sip_index(struct sip_msg *m, size_t at, enum sip_depth depth, size_t *body,
               struct sip_bad *bad)
{
    const char *p = m->text.p + at, *end = m->text.p + m->text.n;
    struct sip_line line;
    struct sip_hdr spare = {.id = HDR_OTHER}, *h;
    bool is_ended = false;

    while (p < end && !is_ended) {
        sip_line_scan(p, end, true, &line);
        index_check_line(&line, bad);
        is_ended = line.text.n == 0;
        if (depth == SIP_BRIEFLY && index_may_skip(line.text)) {
            p = line.next;
            continue;
        }
        h = m->n_hdrs < SIP_HDRS_MAX ? &m->hdrs[m->n_hdrs] : &spare;
        if (LIKELY(!is_ended && sip_line_split(line.text, h) == 0)) {
            if (UNLIKELY((line.flags & LINE_FOLDED) != 0)) {
                index_unfold(m->mem + (h->value.p - m->text.p), h->value.n);
                h->value = sip_trim(h->value);
            }
            index_add(m, h, bad);
        } else if (!is_ended) {
            sip_refuse(bad, 400, "Malformed Header Line");
        }
        p = line.next;
    }
    if (!is_ended) {
        sip_refuse(bad, 400, "Header Section Not Terminated");
    }
    *body = (size_t)(p - m->text.p);
    index_check_nul(m, *body, bad);
}
