/* line.c - lines of a message: where they end, what is a start line, where a header's name ends.
 * The parser, the stream framing and the writers of ACK and CANCEL all use this one tokenizer. */
#include "sip/sip_int.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* The first CR or LF if it is a CRLF, as nearly always; NULL: it is none, or nobody has looked. */
static const char *line_crlf(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p > (ptrdiff_t)sizeof(__m128i); p += sizeof(__m128i)) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')),
                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')));
        unsigned at = (unsigned)_mm_movemask_epi8(hits);

        if (at != 0) {
            p += __builtin_ctz(at);
            return p[0] == '\r' && p[1] == '\n' ? p : NULL;
        }
    }
#else
    (void)p;
    (void)end;
#endif
    return NULL;
}

/* The piece up to the next LF; returns where the text of the piece ends, *nl is the LF or NULL. */
static const char *line_piece_any(const char *p, const char *end, const char **nl, unsigned *flags)
{
    const char *stop = memchr(p, '\n', (size_t)(end - p));

    *nl = stop;
    if (stop == NULL) {
        stop = end;
        *flags |= LINE_OPEN;
    } else if (stop > p && stop[-1] == '\r') {
        stop--;
    } else {
        *flags |= LINE_LONE_LF;
    }
    if (memchr(p, '\r', (size_t)(stop - p)) != NULL) {
        *flags |= LINE_LONE_CR;
    }
    return stop;
}

static inline const char *line_piece(const char *p, const char *end, const char **nl,
                                     unsigned *flags)
{
    const char *stop = line_crlf(p, end);

    if (LIKELY(stop != NULL)) {
        *nl = stop + 1;
        return stop;
    }
    return line_piece_any(p, end, nl, flags);
}

void sip_line_scan(const char *p, const char *end, bool with_folds, struct sip_line *out)
{
    unsigned flags = 0;
    const char *nl;
    const char *stop = line_piece(p, end, &nl, &flags);

    if (stop > p && with_folds) { /* behind the empty line no white space continues anything */
        while (nl != NULL && nl + 1 < end && sip_is_lws(nl[1])) {
            flags |= LINE_FOLDED;
            stop = line_piece(nl + 1, end, &nl, &flags);
        }
    }
    out->text = sl_make(p, (size_t)(stop - p));
    out->next = nl != NULL ? nl + 1 : end;
    out->flags = flags;
}

int sip_line_split(struct sl line, struct sip_hdr *out)
{
    ptrdiff_t colon = sip_chr(line, ':');
    size_t n;

    if (colon <= 0) {
        return EBADMSG;
    }
    for (n = (size_t)colon; n > 0 && sip_is_lws(line.p[n - 1]); n--) {
    }
    out->name = sip_head(line, n);
    out->id = hdr_id(out->name);
    if (n == 0 || (out->id == HDR_OTHER && !sip_all(out->name, C_TOKEN))) {
        return EBADMSG;
    }
    out->value = sip_trim(sip_from(line, (size_t)colon + 1));
    return 0;
}

static bool start_is_request(struct sl line)
{
    static const struct sl schemes[] = {{"sip:", 4}, {"sips:", 5}, {"tel:", 4}};
    size_t method = sip_run(line, 0, C_TOKEN);
    ptrdiff_t space = sl_rchr(line, ' ');
    struct sl uri;

    if (method == 0 || method == line.n || line.p[method] != ' ') {
        return false;
    }
    if (sl_istarts(sip_from(line, (size_t)space + 1), SL("SIP/"))) {
        return true;
    }
    uri = sip_trim(sip_from(line, method));
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (sl_istarts(uri, schemes[i])) {
            return true; /* the version is missing or somewhere else: wrong, but meant as SIP */
        }
    }
    return false;
}

bool sip_is_start(struct sl bytes)
{
    struct sip_line line;

    if (bytes.n == 0) {
        return false;
    }
    sip_line_scan(bytes.p, bytes.p + bytes.n, false, &line);
    while (line.text.n != 0 && sip_is_lws(line.text.p[line.text.n - 1])) {
        line.text.n--; /* RFC 4475 3.1.2.10: wrong, but SIP */
    }
    return sl_istarts(line.text, SL("SIP/")) || start_is_request(line.text);
}
