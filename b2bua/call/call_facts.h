/* call_facts.h - what the policy asks of a request beyond its addresses. Slices into the message;
 * at most max of them. */
#ifndef POSTERN_CALL_FACTS_H
#define POSTERN_CALL_FACTS_H

#include "call/call_int.h"

#define CALL_CODECS_MAX 64

size_t call_gather_headers(const struct sip_msg *m, struct policy_header *out, size_t max);
size_t call_gather_codecs(const struct sip_msg *m, struct sl *out, size_t max);

#endif
