/* write.h - composing messages: only CRLF, only canonical names, nothing copied that was not
 * asked for. CR, LF and NUL never pass from a value into the output. Thread: any. */
#ifndef POSTERN_SIP_WRITE_H
#define POSTERN_SIP_WRITE_H

#ifndef POSTERN_SIP_H
#error "include sip/sip.h"
#endif

const char *sip_reason(uint16_t status); /* the standard phrase; by class for unknown codes */

/* "Name: value CRLF". A value with CR, LF or NUL inside has those bytes left out, or made a space
 * where a backslash precedes them. */
void sip_put_hdr(struct buf *b, const char *name, struct sl value);
void sip_put_hdr_u(struct buf *b, const char *name, uint64_t value);
/* Content-Type (when body.n) + Content-Length + empty line + body. */
void sip_put_body(struct buf *b, struct sl content_type, struct sl body);
/* Quoted display name and a space, or nothing: printable UTF-8 only, quotes and backslashes
 * escaped, at most 128 bytes. The argument is as parsed (with or without quotes). */
void sip_put_display(struct buf *b, struct sl display);
/* User part of a URI taken from the wire: bytes that RFC 3261 25.1 does not allow bare are
 * percent-escaped, %XX is kept, headers and parameters never pass. */
void sip_put_user(struct buf *b, struct sl user);
/* The same, but what numbering plans say of a telephone number passes as it is: escaped it would be
 * another number (RFC 3966, RFC 4694). Carriers route by it, so only of whom may say where to. */
void sip_put_number(struct buf *b, struct sl user);
/* Of that, the number alone: bytes before its parameters; all of any other user. */
size_t sip_number_len(struct sl user);

/* All Via fields of the request in order; the topmost gets received/rport by RFC 3261 18.2.1 and
 * RFC 3581 from src. NULL src: as they came. */
void sip_put_vias(struct buf *b, const struct sip_msg *req, const struct addr *src);

/* A response's start line and the fields that RFC 3261 8.2.6 copies: Via, From, To (+ our tag when
 * the request's To has none and to_tag is not empty; never for 100), Call-ID, CSeq, and
 * Record-Route when rr is set (12.1.1). The caller goes on with sip_put_hdr and sip_put_body.
 * Works on half-readable requests: what is missing is left out. */
struct sip_response {
    const struct sip_msg *req;
    const struct addr *src;
    uint16_t status;
    const char *reason; /* NULL: the standard phrase */
    struct sl to_tag;
    bool rr;
};
void sip_put_response(struct buf *b, const struct sip_response *r);

/* ACK for a failure response (RFC 3261 17.1.1.3) and CANCEL (9.1), both written from the bytes of
 * the INVITE as it was sent: same Request-URI, Via, From, Call-ID, CSeq number, Route. to is the
 * To of the response (ACK) or empty (CANCEL: the request's own); extra are whole header lines.
 * EBADMSG: invite is no request. */
MUST_USE int sip_write_ack_failure(struct buf *b, struct sl invite, struct sl to);
MUST_USE int sip_write_cancel(struct buf *b, struct sl invite, struct sl extra);

#endif
