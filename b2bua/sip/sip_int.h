/* sip_int.h - what the files of sip/ share: byte classes, small scanners, the line walker.
 * All scanners are linear, look at each byte a fixed number of times and never allocate. */
#ifndef POSTERN_SIP_INT_H
#define POSTERN_SIP_INT_H

#include "sip/sip.h"

/* Byte classes (RFC 3261 25.1); one table look-up per byte. */
enum sip_class {
    C_TOKEN = 1 << 0,
    C_USER = 1 << 1,   /* user, bare: unreserved, user-unreserved, and '#' that phones send */
    C_PASS = 1 << 2,   /* password, bare */
    C_PARAM = 1 << 3,  /* paramchar, bare */
    C_HEADER = 1 << 4, /* header part of a URI, with its '&' and '=' */
    C_HOST = 1 << 5,   /* host names and IPv4; '_' as seen in the wild */
    C_SCHEME = 1 << 6,
    C_ALNUM = 1 << 7,
    C_HEX = 1 << 8,
    C_TEL = 1 << 9,    /* RFC 3966 digits and visual separators */
    C_PRINT = 1 << 10, /* visible ASCII */
    C_VALUE = 1 << 11, /* unquoted value of a header parameter, liberal */
    C_NAME = 1 << 12,  /* name of a parameter: token or paramchar */
    C_URI = 1 << 13,   /* anything in a URI of a scheme we do not know */
    C_LIST = 1 << 14   /* what matters to whoever cuts a list at its commas */
};
extern const uint16_t sip_classes[256];

static inline bool sip_is(char c, unsigned cls)
{
    return (sip_classes[(unsigned char)c] & cls) != 0;
}
/* Offset of the first byte at or after `at` that is not of the class. */
static inline size_t sip_run(struct sl s, size_t at, unsigned cls)
{
    while (at < s.n && sip_is(s.p[at], cls)) {
        at++;
    }
    return at;
}
static inline bool sip_is_lws(char c)
{
    return c == ' ' || c == '\t'; /* foldings have become spaces before */
}
static inline size_t sip_skip_lws(struct sl s, size_t at)
{
    while (at < s.n && sip_is_lws(s.p[at])) {
        at++;
    }
    return at;
}
static inline struct sl sip_cut(struct sl s, size_t from, size_t to)
{
    return (struct sl){s.p + from, to - from};
}
/* As sl_head(), sl_from(), sl_chr(), but inlined: the parser lives in them. */
static inline struct sl sip_head(struct sl s, size_t n)
{
    return (struct sl){s.p, n < s.n ? n : s.n};
}
static inline struct sl sip_from(struct sl s, size_t off)
{
    size_t at = off < s.n ? off : s.n;

    return s.n != 0 ? (struct sl){s.p + at, s.n - at} : s;
}
static inline ptrdiff_t sip_chr(struct sl s, char c)
{
    const char *hit = s.n != 0 ? memchr(s.p, c, s.n) : NULL;

    return hit != NULL ? hit - s.p : -1;
}
static inline struct sl sip_trim(struct sl s) /* SP and HTAB at both ends */
{
    while (s.n != 0 && sip_is_lws(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n != 0 && sip_is_lws(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}
bool sip_all(struct sl s, unsigned cls);
/* Bytes of the class or whole escapes %XX only. */
bool sip_all_escaped(struct sl s, unsigned cls);
int sip_hex(char c); /* value of a hexadecimal digit, -1: none */

/* s.p[at] is '"': offset behind the closing quote, or 0 when there is none. */
size_t sip_quoted_end(struct sl s, size_t at);
/* host or [v6] at *at, which moves behind it. EBADMSG. */
MUST_USE int sip_host_scan(struct sl s, size_t *at, struct sl *host, bool *is_v6);
/* 1..65535 in digits, the whole slice. */
MUST_USE int sip_port(struct sl s, uint16_t *port);

/* One parameter of a list without its first ';'. raw is the value as written. ENODATA: end;
 * EBADMSG: malformed, also an empty element. */
struct sip_prm {
    struct sl name;
    struct sl raw;
    struct sl value; /* without quotes */
    bool has_value;
    bool is_quoted;
};
MUST_USE int sip_prm_next(struct sl *in, struct sip_prm *out);

/* One line of a message, with its foldings, without its line end. */
enum sip_line_flag {
    LINE_LONE_LF = 1, /* ended by a bare LF, here or inside a folding */
    LINE_LONE_CR = 2,
    LINE_OPEN = 4, /* no line end at all */
    LINE_FOLDED = 8
};
struct sip_line {
    struct sl text;
    const char *next;
    unsigned flags;
};
/* p < end. with_folds false: the line ends at its first line end (start lines). */
void sip_line_scan(const char *p, const char *end, bool with_folds, struct sip_line *out);
/* Cuts "name: value" of a line whose foldings are still there (the value may then begin or end with
 * them); the name may be followed by SP and HTAB only, no folding. EBADMSG: no colon, no name. */
MUST_USE int sip_line_split(struct sl line, struct sip_hdr *out);

/* True when bytes begin with what is meant as a SIP start line (RFC 3261 7.1, 7.2), right or not.
 */
bool sip_is_start(struct sl bytes);

/* Notes the first thing that is wrong with a message; later ones are not kept. */
static inline void sip_refuse(struct sip_bad *bad, uint16_t status, const char *reason)
{
    if (bad->reason == NULL) {
        *bad = (struct sip_bad){status, reason};
    }
}
/* Header lines of m->text from `at` into m->hdrs, unfolded; *body: offset behind the empty line. */
enum sip_depth {
    SIP_WHOLLY,
    SIP_BRIEFLY /* Via, From, To, Call-ID, CSeq and perhaps others, which are hardly looked at */
};
void sip_index(struct sip_msg *m, size_t at, enum sip_depth depth, size_t *body,
               struct sip_bad *bad);
/* Everything that is parsed once, from the index. */
void sip_extract(struct sip_msg *m, size_t body, struct sip_bad *bad);

/* The tag of a From or To; empty: none. EBADMSG: more than one, empty, quoted or
 * too long, or malformed parameters. */
MUST_USE int sip_tag(struct sl params, struct sl *tag);

struct sip_msg *sip_msg_new(struct sip_pool *pool, struct sl bytes); /* NULL: ENOMEM */

/* Without CR, LF and NUL. */
void sip_put_clean(struct buf *b, struct sl s);
bool sip_hdr_is_single(enum hdr_id id);

#endif
