/* part.h - the parts of a multipart body (RFC 2046 5.1, RFC 5621); included by sip.h. */
#ifndef POSTERN_SIP_PART_H
#define POSTERN_SIP_PART_H

#include "base/base.h"

#define SIP_PARTS_MAX 16 /* of one body: EMSGSIZE beyond */

/* What a body is and what it is for; slices into the message. Empty: not said. */
struct sip_part {
    struct sl type;        /* value of Content-Type with its parameters */
    struct sl disposition; /* value of Content-Disposition with its parameters */
    struct sl encoding;    /* of Content-Transfer-Encoding, for a part of a body */
    struct sl body;
};

/* A walk over the parts of a body: sip_parts_begin(), then sip_parts_next() until it says ENODATA.
 */
struct sip_parts {
    struct sl boundary; /* without the dashes */
    struct sl rest;
    unsigned n;
};
/* EBADMSG: there is no boundary in the type, or none in the body. */
MUST_USE int sip_parts_begin(struct sip_parts *it, struct sl type, struct sl body);
/* ENODATA: that was the last one. EBADMSG: its end is missing. EMSGSIZE: too many. */
MUST_USE int sip_parts_next(struct sip_parts *it, struct sip_part *out);

/* Is this the media type ("multipart/mixed"), whatever its parameters? Any case; a type that ends
 * in a slash stands for all of its kind ("multipart/"). */
bool sip_type_is(struct sl value, struct sl type);

#endif
