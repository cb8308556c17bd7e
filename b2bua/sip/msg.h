/* msg.h - one received message: its bytes (an own copy, unfolded in place), an index of its header
 * fields, and the fields that every message needs, parsed once. Refcounted as a whole; all slices
 * point into it. Thread: the worker that parsed it. */
#ifndef POSTERN_SIP_MSG_H
#define POSTERN_SIP_MSG_H

#ifndef POSTERN_SIP_H
#error "include sip/sip.h"
#endif

enum hdr_id { /* long and compact forms have the same id */
              HDR_OTHER,
              HDR_VIA,
              HDR_FROM,
              HDR_TO,
              HDR_CALL_ID,
              HDR_CSEQ,
              HDR_CONTACT,
              HDR_MAX_FORWARDS,
              HDR_ROUTE,
              HDR_RECORD_ROUTE,
              HDR_CONTENT_TYPE,
              HDR_CONTENT_LENGTH,
              HDR_CONTENT_ENCODING,
              HDR_CONTENT_DISPOSITION,
              HDR_CONTENT_LANGUAGE,
              HDR_MIME_VERSION,
              HDR_ACCEPT,
              HDR_ACCEPT_ENCODING,
              HDR_ACCEPT_LANGUAGE,
              HDR_ALLOW,
              HDR_SUPPORTED,
              HDR_REQUIRE,
              HDR_PROXY_REQUIRE,
              HDR_UNSUPPORTED,
              HDR_EXPIRES,
              HDR_MIN_EXPIRES,
              HDR_AUTHORIZATION,
              HDR_PROXY_AUTHORIZATION,
              HDR_WWW_AUTHENTICATE,
              HDR_PROXY_AUTHENTICATE,
              HDR_USER_AGENT,
              HDR_SERVER,
              HDR_DATE,
              HDR_SUBJECT,
              HDR_RETRY_AFTER,
              HDR_REASON,
              HDR_WARNING,
              HDR_PRIVACY,
              HDR_PAI,
              HDR_PPI,
              HDR_RPID,
              HDR_DIVERSION,
              HDR_HISTORY_INFO,
              HDR_REFER_TO,
              HDR_REFERRED_BY,
              HDR_REPLACES,
              HDR_EVENT,
              HDR_ALLOW_EVENTS,
              HDR_SUBSCRIPTION_STATE,
              HDR_SESSION_EXPIRES,
              HDR_MIN_SE,
              HDR_RACK,
              HDR_RSEQ,
              HDR_PATH,
              HDR_SERVICE_ROUTE,
              HDR_IDENTITY,
              HDR_ALERT_INFO,
              HDR_CALL_INFO,
              HDR_ORGANIZATION,
              HDR_TIMESTAMP,
              HDR_INFO_PACKAGE,
              HDR_RECV_INFO,
              HDR_SIP_ETAG,
              HDR_SIP_IF_MATCH,
              HDR_IN_REPLY_TO,
              HDR_ERROR_INFO,
              HDR_REPLY_TO,
              HDR_N
};
enum hdr_id hdr_id(struct sl name);   /* case-insensitive, decided by bytes */
const char *hdr_name(enum hdr_id id); /* canonical long form; "" for HDR_OTHER */

struct sip_hdr {
    enum hdr_id id;
    struct sl name;
    struct sl value; /* trimmed, unfolded */
};

struct sip_msg {
    uint32_t refs;
    bool is_request;
    enum sip_method method; /* requests: start line; responses: CSeq */
    struct sl method_name;  /* requests: start line */
    struct sl ruri_text;
    struct sip_uri ruri; /* requests; scheme OTHER when not sip/sips/tel */
    uint16_t status;     /* responses */
    struct sl reason;
    struct sl call_id;
    struct sip_nameaddr from, to;
    struct sl from_tag, to_tag; /* empty: none */
    uint32_t cseq;
    enum sip_method cseq_method;
    struct sip_via via;    /* topmost */
    uint32_t max_forwards; /* 70 when absent or not readable */
    bool has_max_forwards;
    struct sl body; /* bounded by Content-Length */
    struct sl text; /* all bytes, after unfolding */
    uint16_t n_hdrs;
    uint16_t first[HDR_N]; /* index + 1 of the first field with this id; 0: none */
    struct sip_hdr hdrs[SIP_HDRS_MAX];
    struct sip_pool *pool;
    char *mem;
};

/* Memory for messages of one thread; keeps a few for reuse. */
struct sip_pool;
MUST_USE int sip_pool_new(struct sip_pool **pp);
void sip_pool_free(struct sip_pool **pp); /* all messages must be gone */

/* Why a message was refused: what a request may be answered with, 0 = drop silently. */
struct sip_bad {
    uint16_t status;    /* 400, 414, 501, 505, 513 or 0 */
    const char *reason; /* static text: what is wrong */
};

/* Parses one whole message (a datagram, or what sip_frame() cut from a stream). Copies the bytes.
 * 0: *mp is valid. EBADMSG/EMSGSIZE: refused; *bad says how to answer, and *mp is either NULL (no
 * answer possible) or holds what could be read (Via, From, To, Call-ID, CSeq as found) for
 * sip_write_response(). ENODATA: not SIP at all. ENOMEM. RFC 3261 7, 8.1.1, 18.3, 20; RFC 4475. */
MUST_USE int sip_msg_parse(struct sip_pool *pool, struct sl bytes, struct sip_msg **mp,
                           struct sip_bad *bad);
/* Reads of a request only what a refusal without state needs: method, index of Via, From, To,
 * Call-ID and CSeq (no other field is surely there), Call-ID, top Via, To tag and the text of its
 * URI; nothing else is set or checked: of what is wrong in other fields only a line that is none is
 * noticed. Copies the bytes. EBADMSG: it is not as simple as that (no request, malformed, RFC 2543
 * branch, To without <>): ask sip_msg_parse(). ENOMEM. */
MUST_USE int sip_msg_skim(struct sip_pool *pool, struct sl bytes, struct sip_msg **mp);
/* The tag of the first To (empty: none), borrowed from bytes, of which nothing else is looked at.
 * EBADMSG: there is no To, or none as simple as above. */
MUST_USE int sip_skim_to_tag(struct sl bytes, struct sl *tag);
struct sip_msg *sip_msg_ref(struct sip_msg *m);
void sip_msg_unref(struct sip_msg **mp); /* accepts NULL */

/* First field of that kind, NULL: none. */
const struct sip_hdr *sip_hdr(const struct sip_msg *m, enum hdr_id id);
struct sl sip_hdr_value(const struct sip_msg *m, enum hdr_id id); /* empty: none */
/* Next field of that kind at or after *pos (start with 0); *pos moves behind it. NULL: no more. */
const struct sip_hdr *sip_hdr_next(const struct sip_msg *m, enum hdr_id id, uint16_t *pos);
/* True when a list header (Supported, Require, Allow, Accept …) holds the token, any case. */
bool sip_hdr_has_token(const struct sip_msg *m, enum hdr_id id, struct sl token);
/* Walks all values of a list header over all its fields: state is {0}. ENODATA: no more. */
struct sip_values {
    uint16_t pos;
    struct sl rest;
};
MUST_USE int sip_values_next(const struct sip_msg *m, enum hdr_id id, struct sip_values *it,
                             struct sl *value);
/* Is this option tag among the values: of Supported, Require or Proxy-Require (RFC 3261 20.32)? */
bool sip_has_option(const struct sip_msg *m, enum hdr_id id, struct sl option);
/* Media type before any ';', lower-casing is the caller's: compare with sl_ieq. Empty: none. */
struct sl sip_content_type(const struct sip_msg *m);

/* Stream framing (RFC 3261 18.3): how many bytes of `in` are one message. ENODATA: need more;
 * EMSGSIZE: header area or message over max; EBADMSG: first line is not SIP, Content-Length bad,
 * missing or contradictory: answer if you can and close. Leading CRLFs are the caller's.
 * ENODATA: *len is the size of the whole message once the header area is complete (no need to ask
 * before that many bytes are there), else 0. Other errors: *len is the size of the header area, 0:
 * not known; sip_msg_parse() of those bytes gives what an answer needs. */
MUST_USE int sip_frame(struct sl in, size_t max, size_t *len);

#endif
