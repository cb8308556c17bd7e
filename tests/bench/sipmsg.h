/* sipmsg.h - just enough SIP for a judge: a one-pass reader over slices and a capped writer. */
#ifndef POSTERN_BENCH_SIPMSG_H
#define POSTERN_BENCH_SIPMSG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MSG_VIA_MAX = 8, MSG_RR_MAX = 8 };

struct sl { /* borrowed bytes, not NUL-terminated */
    const char *p;
    size_t n;
};

/* One message; every slice points into the datagram. */
struct msg {
    int status;       /* 0 for a request */
    struct sl method; /* of the request line, or of CSeq */
    struct sl ruri;   /* requests only */
    struct sl via[MSG_VIA_MAX];
    struct sl rr[MSG_RR_MAX];
    unsigned nvia, nrr;
    struct sl from, to, call_id, cseq, contact, length, body;
    struct sl branch, from_tag, to_tag;
    uint32_t cseq_num;
};

/* 0, or EBADMSG: not SIP, a mandatory header is missing, or a length lies. */
int msg_parse(struct msg *m, const char *p, size_t n);

bool sl_eq(struct sl a, struct sl b);
bool sl_is(struct sl a, const char *text);
struct sl sl_trim(struct sl s);
/* Value of a ;name=value parameter; empty and p == NULL when absent. */
struct sl sl_param(struct sl s, const char *name);
struct sl sl_uri(struct sl s); /* the URI of a name-addr or addr-spec */
struct sl
sl_list_next(struct sl *s); /* next element of a comma separated list, outside <> and "" */
bool sl_u32(struct sl s, uint32_t *v);

/* 0, or EBADMSG: only sip: URIs with a dotted quad can be dialled here. */
int uri_addr(struct sl uri, struct sockaddr_in *sa);
int sdp_audio(struct sl body, struct sockaddr_in *rtp);
/* Key and salt in base64 of the first AES_CM_128_HMAC_SHA1_80 (RFC 4568); empty: there is none. */
struct sl sdp_key(struct sl body);

struct out { /* capped writer with a sticky mark of overflow */
    char *p;
    size_t n, cap;
    bool full;
};

static inline void out_mem(struct out *o, const char *p, size_t n)
{
    if (n > o->cap - o->n) {
        o->full = true;
        return;
    }
    memcpy(o->p + o->n, p, n);
    o->n += n;
}

static inline void out_sl(struct out *o, struct sl s)
{
    out_mem(o, s.p, s.n);
}

static inline void out_str(struct out *o, const char *s)
{
    out_mem(o, s, strlen(s));
}

void out_u32(struct out *o, uint32_t v);
void out_hex8(struct out *o, uint32_t v);
void sdp_put_key(struct out *o, struct sl key); /* nothing when empty */

#endif
