/* sip.h - the pure SIP layer: messages in (lazy, zero-copy, bounded) and messages out.
 * Knows bytes only: no sockets, no transactions, no clock. */
#ifndef POSTERN_SIP_H
#define POSTERN_SIP_H

#include "base/base.h"

/* Limits (config may lower, never raise them). Beyond: EMSGSIZE and the status in struct sip_bad.
 */
#define SIP_MSG_MAX 65535     /* bytes of one message */
#define SIP_HDRS_MAX 128      /* header fields of one message: 513 */
#define SIP_HDR_LINE_MAX 8192 /* bytes of one header field with its foldings: 513 */
#define SIP_URI_MAX 1024      /* bytes of one URI: 414 for the Request-URI, else 400 */
#define SIP_VIAS_MAX 70       /* Via values: 400 */
#define SIP_VALUES_MAX 256    /* values of one list header */
#define SIP_BRANCH_MAX 256    /* bytes of a branch, tag or Call-ID: 400 */
#define SIP_COOKIE "z9hG4bK"

enum sip_method {
    SIP_INVITE,
    SIP_ACK,
    SIP_BYE,
    SIP_CANCEL,
    SIP_REGISTER,
    SIP_OPTIONS,
    SIP_REFER,
    SIP_SUBSCRIBE,
    SIP_NOTIFY,
    SIP_MESSAGE,
    SIP_INFO,
    SIP_UPDATE,
    SIP_PRACK,
    SIP_PUBLISH,
    SIP_METHOD_OTHER,
    SIP_METHOD_N
};
const char *sip_method_name(enum sip_method m); /* "INVITE"; "OTHER" */
enum sip_method sip_method_of(struct sl name);  /* case-sensitive, by bytes */

enum sip_scheme { SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL, SIP_SCHEME_OTHER };

enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS, SIP_WS, SIP_WSS, SIP_TRANSPORT_OTHER };
const char *sip_transport_name(enum sip_transport t); /* "UDP" as in Via */
enum sip_transport sip_transport_of(struct sl name);  /* case-insensitive */

/* In place, so that lengths stay true: answers to challenges, nonces, keys and passwords of ICE in
 * the header lines and the description of a message that is kept. Lines may be cut off. */
void sip_blacken(char *p, size_t n);

#include "sip/uri.h"
#include "sip/msg.h"
#include "sip/write.h"
#include "sip/part.h"

#endif
