/* sipmsg.c - reads SIP and SDP over slices; see sipmsg.h. */
#include "sipmsg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <strings.h>

bool sl_eq(struct sl a, struct sl b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool sl_is(struct sl a, const char *text)
{
    size_t n = strlen(text);

    return a.n == n && memcmp(a.p, text, n) == 0;
}

struct sl sl_trim(struct sl s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r')) {
        s.n--;
    }
    return s;
}

static struct sl sl_until(struct sl s, char stop)
{
    const char *hit = s.n != 0 ? memchr(s.p, stop, s.n) : NULL;

    return hit != NULL ? (struct sl){s.p, (size_t)(hit - s.p)} : s;
}

static struct sl sl_skip(struct sl s, size_t n)
{
    return n >= s.n ? (struct sl){s.p + s.n, 0} : (struct sl){s.p + n, s.n - n};
}

bool sl_u32(struct sl s, uint32_t *v)
{
    uint64_t x = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || x > UINT32_MAX / 10) {
            return false;
        }
        x = x * 10 + (uint64_t)(s.p[i] - '0');
    }
    *v = (uint32_t)x;
    return s.n != 0 && x <= UINT32_MAX;
}

struct sl sl_param(struct sl s, const char *name)
{
    size_t want = strlen(name);
    const char *close = s.n != 0 ? memchr(s.p, '>', s.n) : NULL;

    if (close != NULL) {
        s = sl_skip(s, (size_t)(close - s.p));
    }
    s = sl_skip(s, sl_until(s, ';').n);
    while (s.n != 0) {
        struct sl one = sl_until(sl_skip(s, 1), ';');
        struct sl key = sl_trim(sl_until(one, '='));

        if (key.n == want && strncasecmp(key.p, name, want) == 0) {
            return sl_trim(sl_skip(one, sl_until(one, '=').n + 1));
        }
        s = sl_skip(s, one.n + 1);
    }
    return (struct sl){NULL, 0};
}

struct sl sl_uri(struct sl s)
{
    struct sl before = sl_until(s, '<');

    if (before.n < s.n) {
        return sl_until(sl_skip(s, before.n + 1), '>');
    }
    return sl_trim(sl_until(s, ';'));
}

struct sl sl_list_next(struct sl *s)
{
    bool quoted = false;
    int depth = 0;
    size_t i = 0;

    for (; i < s->n; i++) {
        char c = s->p[i];

        if (c == '"' && (i == 0 || s->p[i - 1] != '\\')) {
            quoted = !quoted;
        } else if (!quoted && (c == '<' || c == '>')) {
            depth += c == '<' ? 1 : -1;
        } else if (!quoted && depth == 0 && c == ',') {
            break;
        }
    }
    struct sl one = sl_trim((struct sl){s->p, i});

    *s = sl_skip(*s, i + 1);
    return one;
}

/* Where a header goes: a single value (slice) or a list that may come on several lines. */
struct hdr_place {
    const char *name;
    size_t at;
    size_t count_at; /* 0: single */
    unsigned max;
    unsigned char len;
    char compact; /* 0: no short form */
};

#define HDR_ONE(name, compact, field)                                                              \
    {                                                                                              \
        name, offsetof(struct msg, field), 0, 1, sizeof(name) - 1, compact                         \
    }
#define HDR_MANY(name, compact, field, count, max)                                                 \
    {                                                                                              \
        name, offsetof(struct msg, field), offsetof(struct msg, count), max, sizeof(name) - 1,     \
            compact                                                                                \
    }

static const struct hdr_place hdr_places[] = {
    HDR_MANY("Via", 'v', via, nvia, MSG_VIA_MAX),
    HDR_ONE("From", 'f', from),
    HDR_ONE("To", 't', to),
    HDR_ONE("Call-ID", 'i', call_id),
    HDR_ONE("CSeq", 0, cseq),
    HDR_ONE("Contact", 'm', contact),
    HDR_ONE("Content-Length", 'l', length),
    HDR_MANY("Record-Route", 0, rr, nrr, MSG_RR_MAX),
};

static const struct hdr_place *hdr_find(struct sl name)
{
    for (size_t i = 0; i < sizeof(hdr_places) / sizeof(hdr_places[0]); i++) {
        const struct hdr_place *h = &hdr_places[i];

        if (name.n == h->len && strncasecmp(name.p, h->name, name.n) == 0) {
            return h;
        }
        if (name.n == 1 && h->compact != 0 && (name.p[0] | 0x20) == h->compact) {
            return h;
        }
    }
    return NULL;
}

static int hdr_store(struct msg *m, struct sl line)
{
    struct sl name = sl_until(line, ':');
    const struct hdr_place *h = hdr_find(sl_trim(name));
    unsigned one = 0;
    unsigned *count = &one;

    if (name.n == line.n) {
        return EBADMSG;
    }
    if (h == NULL) {
        return 0;
    }
    struct sl *dst = (struct sl *)(void *)((char *)m + h->at);

    if (h->count_at != 0) {
        count = (unsigned *)(void *)((char *)m + h->count_at);
    } else if (dst->p != NULL) {
        return EBADMSG; /* a judge does not choose between two To headers */
    }
    if (*count >= h->max) {
        return EBADMSG;
    }
    dst[(*count)++] = sl_trim(sl_skip(line, name.n + 1));
    return 0;
}

/* Cuts one header off *in, continuation lines included; an empty one is the end of the headers. */
static int hdr_cut(struct sl *in, struct sl *line)
{
    size_t at = 0;

    for (;;) {
        struct sl rest = sl_skip(*in, at);
        struct sl one = sl_until(rest, '\n');

        if (one.n == rest.n) {
            return EBADMSG;
        }
        at += one.n + 1;
        if (one.n > 1 && at < in->n && (in->p[at] == ' ' || in->p[at] == '\t')) {
            continue;
        }
        *line = sl_trim((struct sl){in->p, at - 1});
        *in = sl_skip(*in, at);
        return 0;
    }
}

static int msg_start_line(struct msg *m, struct sl line)
{
    struct sl first = sl_until(line, ' ');
    struct sl second = sl_until(sl_skip(line, first.n + 1), ' ');
    uint32_t status = 0;

    if (sl_is(first, "SIP/2.0")) {
        if (!sl_u32(second, &status) || second.n != 3 || status < 100 || status > 699) {
            return EBADMSG;
        }
        m->status = (int)status;
        return 0;
    }
    m->method = first;
    m->ruri = second;
    return sl_is(sl_skip(line, first.n + second.n + 2), "SIP/2.0") ? 0 : EBADMSG;
}

static int msg_finish(struct msg *m)
{
    struct sl num = sl_until(m->cseq, ' ');
    struct sl method = sl_trim(sl_skip(m->cseq, num.n));
    struct sl vias = m->via[0];
    uint32_t len = 0;

    if (m->nvia == 0 || m->from.n == 0 || m->to.n == 0 || m->call_id.n == 0 ||
        !sl_u32(num, &m->cseq_num)) {
        return EBADMSG;
    }
    if (m->status != 0) {
        m->method = method;
    } else if (!sl_eq(m->method, method)) {
        return EBADMSG;
    }
    if (m->length.p != NULL) {
        if (!sl_u32(m->length, &len) || len > m->body.n) {
            return EBADMSG;
        }
        m->body.n = len;
    }
    m->branch = sl_param(sl_list_next(&vias), "branch");
    m->from_tag = sl_param(m->from, "tag");
    m->to_tag = sl_param(m->to, "tag");
    return 0;
}

int msg_parse(struct msg *m, const char *p, size_t n)
{
    struct sl in = {p, n};
    struct sl line;
    int err = hdr_cut(&in, &line);

    memset(m, 0, sizeof(*m));
    if (err == 0) {
        err = msg_start_line(m, line);
    }
    while (err == 0) {
        err = hdr_cut(&in, &line);
        if (err == 0 && line.n == 0) {
            m->body = in;
            return msg_finish(m);
        }
        if (err == 0) {
            err = hdr_store(m, line);
        }
    }
    return err;
}

static int host_addr(struct sl host, uint32_t port, struct sockaddr_in *sa)
{
    char text[INET_ADDRSTRLEN];

    if (host.n >= sizeof(text) || port > 65535) {
        return EBADMSG;
    }
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    *sa = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, text, &sa->sin_addr) == 1 ? 0 : EBADMSG;
}

int uri_addr(struct sl uri, struct sockaddr_in *sa)
{
    uint32_t port = 5060;

    if (uri.n < 4 || strncasecmp(uri.p, "sip:", 4) != 0) {
        return EBADMSG;
    }
    uri = sl_until(sl_skip(uri, 4), ';');
    struct sl user = sl_until(uri, '@');

    if (user.n < uri.n) {
        uri = sl_skip(uri, user.n + 1);
    }
    struct sl host = sl_until(uri, ':');

    if (host.n < uri.n && !sl_u32(sl_skip(uri, host.n + 1), &port)) {
        return EBADMSG;
    }
    return host_addr(host, port, sa);
}

int sdp_audio(struct sl body, struct sockaddr_in *rtp)
{
    struct sl addr = {NULL, 0};
    uint32_t port = 0;
    bool in_audio = false;

    while (body.n != 0) {
        struct sl raw = sl_until(body, '\n');
        struct sl line = sl_trim(raw);

        body = sl_skip(body, raw.n + 1);
        if (line.n > 8 && memcmp(line.p, "m=audio ", 8) == 0 && port == 0) {
            in_audio = true;
            if (!sl_u32(sl_until(sl_skip(line, 8), ' '), &port)) {
                return EBADMSG;
            }
        } else if (line.n > 2 && line.p[0] == 'm') {
            in_audio = false;
        } else if (line.n > 9 && memcmp(line.p, "c=IN IP4 ", 9) == 0 && (in_audio || port == 0)) {
            addr = sl_skip(line, 9);
        }
    }
    return port == 0 || addr.p == NULL ? EBADMSG : host_addr(addr, port, rtp);
}

struct sl sdp_key(struct sl body)
{
    static const char suite[] = " AES_CM_128_HMAC_SHA1_80 inline:";

    while (body.n != 0) {
        struct sl line = sl_until(body, '\n');
        const char *at = line.n > 9 && memcmp(line.p, "a=crypto:", 9) == 0
                             ? memmem(line.p, line.n, suite, sizeof(suite) - 1)
                             : NULL;

        body = sl_skip(body, line.n + 1);
        if (at != NULL) {
            struct sl key = sl_trim(sl_skip(line, (size_t)(at - line.p) + sizeof(suite) - 1));

            return sl_until(sl_until(key, '|'), ' ');
        }
    }
    return (struct sl){NULL, 0};
}

void sdp_put_key(struct out *o, struct sl key)
{
    if (key.n != 0) {
        out_str(o, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:");
        out_sl(o, key);
        out_str(o, "\r\n");
    }
}

void out_u32(struct out *o, uint32_t v)
{
    char text[10];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    out_mem(o, text + at, sizeof(text) - at);
}

void out_hex8(struct out *o, uint32_t v)
{
    static const char digits[] = "0123456789abcdef";
    char text[8];

    for (int i = 7; i >= 0; i--) {
        text[i] = digits[v & 15];
        v >>= 4;
    }
    out_mem(o, text, sizeof(text));
}
