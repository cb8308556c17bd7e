/* call_asked.h - how a call was asked for and what was decided: written at its start, read when the
 * question is put again. Part of call.h. Thread: any (pure), but call_post_asked(). */
#ifndef POSTERN_CALL_ASKED_H
#define POSTERN_CALL_ASKED_H

#include "config/config.h"
#include "net/net.h"
#include "sip/sip.h"

#define CALL_ASKED_MAX (24u << 10) /* bytes; a call that needs more is not kept */

struct call_asked {
    struct addr source;
    struct sl listener;           /* name */
    enum sip_transport transport; /* UDP, TCP or TLS */
    struct sl peer;               /* name of who a certificate proved; empty: nobody */
    struct sl user;               /* account that had proven itself; empty: none */
    int64_t wall_ms;
    uint64_t random;
    bool is_limited;   /* refused by a limit, which is no matter of the request alone */
    struct sl verdict; /* JSON, as call_put_verdict() writes it */
    struct sl message; /* the request without passwords and keys */
};
/* Borrows from text. EBADMSG. */
MUST_USE int call_asked_read(struct sl text, struct call_asked *out);

/* What was decided, as a JSON object; the same decision gives the same bytes. */
void call_put_verdict(struct json *j, const struct config *cfg, const struct policy_verdict *v);
/* "peer:NAME", "user:NAME", "users" or "nobody". */
void call_put_party(struct buf *b, const struct config *cfg, const struct policy_ref *ref,
                    int user);

#endif
