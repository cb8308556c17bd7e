/* call_facts.h - what the policy asks of a request beyond its addresses and fields. */
#ifndef POSTERN_CALL_FACTS_H
#define POSTERN_CALL_FACTS_H

#include "call/call_int.h"

#define CALL_CODECS_MAX 64

/* Names of the codecs offered; slices into the message, at most max. */
size_t call_gather_codecs(const struct sip_msg *m, struct sl *out, size_t max);

#endif
