/* call_body.h - bodies, and what is relayed as it is. Part of call_int.h. */
#ifndef POSTERN_CALL_BODY_H
#define POSTERN_CALL_BODY_H

#include "call/call.h"

/* --- call_mid.c, call_message.c --- */
/* May this body go to the other side as it is? Only kinds that name no address and no dialog. */
bool call_may_relay_body(const struct sip_msg *req);
#define CALL_RELAY_ACCEPT "Accept: application/dtmf-relay, application/dtmf, text/plain\r\n"
void call_messages_drop(struct call_table *t);
void relays_drop(struct call *c);

static inline bool msg_has_sdp(const struct sip_msg *m)
{
    return m->body.n != 0 && sl_ieq(sip_content_type(m), SL("application/sdp"));
}
static inline uint8_t call_hops_left(const struct sip_msg *m)
{
    return (uint8_t)((m->max_forwards < CALL_HOPS_MAX ? m->max_forwards : CALL_HOPS_MAX) - 1);
}
static inline struct sl msg_sdp(const struct sip_msg *m)
{
    return msg_has_sdp(m) ? m->body : SL_NULL;
}

#endif
