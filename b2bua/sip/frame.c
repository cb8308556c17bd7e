/* frame.c - where one message ends in a stream (RFC 3261 18.3). Anything doubtful loses the frame:
 * guessing would run somebody's body as a request. */
#include "sip/sip_int.h"

/* Before the first line is whole: can it still become SIP? A GET or a TLS hello is seen early. */
static int frame_check_prefix(struct sl in)
{
    size_t n = sip_run(in, 0, C_TOKEN);

    if (in.n == 1 && in.p[0] == '\r') {
        return ENODATA; /* half of a keep-alive */
    }
    if (n == 0 || n > SIP_BRANCH_MAX) {
        return EBADMSG;
    }
    if (n < in.n && in.p[n] != ' ' && !sl_istarts(in, SL("SIP/"))) {
        return EBADMSG;
    }
    return in.n > SIP_HDR_LINE_MAX ? EMSGSIZE : ENODATA;
}

/* Offset behind the empty line. ENODATA: not there yet; EBADMSG: a bare LF. */
static int frame_header_end(struct sl in, size_t *end)
{
    const char *p = in.p, *last = in.p + in.n, *nl;

    while ((nl = memchr(p, '\n', (size_t)(last - p))) != NULL) {
        if (nl == p || nl[-1] != '\r') {
            return EBADMSG;
        }
        if (nl == p + 1) {
            *end = (size_t)(nl + 1 - in.p);
            return 0;
        }
        p = nl + 1;
    }
    return ENODATA;
}

/* The only Content-Length among the header lines [from, end). */
static int frame_content_length(struct sl head, size_t from, uint32_t *out)
{
    const char *p = head.p + from, *end = head.p + head.n;
    struct sip_line line;
    struct sip_hdr h;
    bool is_found = false;

    while (p < end) {
        sip_line_scan(p, end, true, &line);
        if ((line.flags & (LINE_LONE_CR | LINE_LONE_LF)) != 0) {
            return EBADMSG;
        }
        if (line.text.n == 0) {
            break;
        }
        /* A malformed name may be a Content-Length for whoever is in front of us. */
        if (sip_line_split(line.text, &h) != 0) {
            return EBADMSG;
        }
        p = line.next;
        if (h.id != HDR_CONTENT_LENGTH) {
            continue;
        }
        if (is_found || sl_u32(sl_trim(h.value), INT32_MAX, out) != 0) {
            return EBADMSG;
        }
        is_found = true;
    }
    return is_found ? 0 : EBADMSG;
}

int sip_frame(struct sl in, size_t max, size_t *len)
{
    struct sip_line first;
    uint32_t body = 0;
    size_t head = 0;
    int err;

    *len = 0;
    if (in.n == 0) {
        return ENODATA;
    }
    sip_line_scan(in.p, in.p + in.n, false, &first);
    if ((first.flags & LINE_OPEN) != 0) {
        return frame_check_prefix(in);
    }
    if (!sip_is_start(in)) {
        return EBADMSG;
    }
    err = frame_header_end(in, &head);
    if (err != 0) {
        return err == ENODATA && in.n > max ? EMSGSIZE : err;
    }
    *len = head;
    if (head > max) {
        return EMSGSIZE;
    }
    err = frame_content_length(sip_head(in, head), (size_t)(first.next - in.p), &body);
    if (err != 0) {
        return err;
    }
    if (body > max - head) {
        return EMSGSIZE;
    }
    *len = head + body;
    return in.n >= *len ? 0 : ENODATA;
}
