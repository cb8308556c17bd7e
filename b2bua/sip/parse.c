/* parse.c - one message: is it SIP, its start line, the index, the fields that everybody needs, and
 * the verdict. Goes on after an error, as the answer needs what can still be read. */
#include "sip/sip_int.h"

static void parse_version(struct sl version, struct sip_bad *bad)
{
    size_t major, minor;

    if (LIKELY(sl_ieq(version, SL("SIP/2.0")))) { /* 7.1: case-insensitive */
        return;
    }
    major = sip_run(version, 4, C_ALNUM);
    minor = sip_run(version, major + 1, C_ALNUM);
    if (sl_istarts(version, SL("SIP/")) && major > 4 && major < version.n &&
        version.p[major] == '.' && minor > major + 1 && minor == version.n) {
        sip_refuse(bad, 505, "Version Not Supported");
        return;
    }
    sip_refuse(bad, 400, "Malformed Request-Line");
}

static void parse_ruri(struct sip_msg *m, struct sip_bad *bad)
{
    int err = sip_uri_parse(m->ruri_text, &m->ruri);

    if (err != 0) {
        m->ruri = (struct sip_uri){.port = 0};
    }
    switch (err) {
    case 0:
        if (m->ruri.headers.n != 0) { /* RFC 3261 19.1.1: not allowed in a Request-URI */
            sip_refuse(bad, 400, "Header Part in Request-URI");
        }
        break;
    case EMSGSIZE:
        sip_refuse(bad, 414, "Request-URI Too Long");
        break;
    default:
        sip_refuse(bad, 400, "Malformed Request-URI");
        break;
    }
}

/* RFC 3261 7.1: single spaces between the three parts, none around them. */
static void parse_request_line(struct sip_msg *m, struct sl line, struct sip_bad *bad)
{
    size_t method = sip_run(line, 0, C_TOKEN);
    ptrdiff_t space = sl_rchr(line, ' ');

    m->is_request = true;
    m->method_name = sip_head(line, method);
    m->method = sip_method_of(m->method_name);
    if (space <= (ptrdiff_t)method || method > SIP_BRANCH_MAX) {
        sip_refuse(bad, 400, "Malformed Request-Line");
        return;
    }
    m->ruri_text = sip_cut(line, method + 1, (size_t)space);
    parse_version(sip_from(line, (size_t)space + 1), bad);
    parse_ruri(m, bad);
}

/* "SIP/2.0 200 reason"; the last space may be missing (seen), the reason be empty. */
static void parse_status_line(struct sip_msg *m, struct sl line, struct sip_bad *bad)
{
    uint32_t status = 0;

    if (!sl_istarts(line, SL("SIP/2.0 ")) || line.n < 11 ||
        sl_u32(sip_cut(line, 8, 11), 699, &status) != 0 || status < 100 ||
        (line.n > 11 && line.p[11] != ' ')) {
        sip_refuse(bad, 0, "malformed status line");
        return;
    }
    m->status = (uint16_t)status;
    m->reason = sip_from(line, 12);
}

/* Offset behind the start line. */
static size_t parse_start_line(struct sip_msg *m, struct sip_bad *bad)
{
    struct sip_line line;

    sip_line_scan(m->text.p, m->text.p + m->text.n, false, &line);
    if (sl_istarts(line.text, SL("SIP/"))) {
        parse_status_line(m, line.text, bad);
    } else {
        parse_request_line(m, line.text, bad);
    }
    if (line.flags != 0) {
        sip_refuse(bad, 400, "Malformed Start Line");
    }
    return (size_t)(line.next - m->text.p);
}

/* RFC 3261 7.5: line ends in front of a message are not part of it. */
static struct sl parse_skip_crlf(struct sl s)
{
    while (s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n') {
        s = sip_from(s, 2);
    }
    return s;
}

/* No answer to a response or an ACK, ever, nor without a Via to send it by. */
static int parse_verdict(struct sip_msg **mp, struct sip_msg *m, struct sip_bad *bad)
{
    int err = bad->status == 513 || bad->status == 414 ? EMSGSIZE : EBADMSG;

    if (LIKELY(bad->reason == NULL)) {
        *mp = m;
        return 0;
    }
    if (m->is_request && m->method != SIP_ACK && m->first[HDR_VIA] != 0) {
        *mp = m;
        return err;
    }
    bad->status = 0;
    sip_msg_unref(&m);
    return err;
}

int sip_msg_parse(struct sip_pool *pool, struct sl bytes, struct sip_msg **mp, struct sip_bad *bad)
{
    struct sip_msg *m;
    size_t at, body;

    *mp = NULL;
    *bad = (struct sip_bad){0, NULL};
    bytes = parse_skip_crlf(bytes);
    if (!sip_is_start(bytes)) {
        bad->reason = "not SIP";
        return ENODATA;
    }
    if (bytes.n > SIP_MSG_MAX) {
        sip_refuse(bad, 513, "Message Too Large");
        bytes = sip_head(bytes, SIP_MSG_MAX);
    }
    m = sip_msg_new(pool, bytes);
    if (m == NULL) {
        *bad = (struct sip_bad){0, "out of memory"};
        return ENOMEM;
    }
    at = parse_start_line(m, bad);
    sip_index(m, at, SIP_WHOLLY, &body, bad);
    sip_extract(m, body, bad);
    return parse_verdict(mp, m, bad);
}
