/* call_body.h - bodies, and what is relayed as it is. Part of call_int.h. */
#ifndef POSTERN_CALL_BODY_H
#define POSTERN_CALL_BODY_H

#include "call/call.h"

struct call;
struct leg;

/* --- call_relay.c, call_mid.c, call_message.c --- */
/* May this body go to the other side as it is? Only kinds that name no address and no dialog. */
bool call_may_relay_body(const struct sip_msg *req);
#define CALL_RELAY_ACCEPT "Accept: application/dtmf-relay, application/dtmf, text/plain\r\n"
void call_messages_drop(struct call_table *t);
void relays_drop(struct call *c);
void relays_drop_leg(struct leg *l); /* its early dialog is over: what goes to and from it is */
/* Whom requests of this leg go to now; NULL: nobody, the caller does not hear it (yet). */
struct leg *call_partner(const struct leg *l);
/* Takes a request to the other side; tx is consumed. */
void call_relay(struct leg *l, struct tx *tx, struct sip_msg *req);
void call_answer_mid(struct leg *l, struct tx *tx, uint16_t status, struct sl extra);
struct leg *call_leg_by_index(struct call *c, uint8_t index);

/* --- call_body.c --- */
#define CALL_ACCEPT "Accept: application/sdp, multipart/mixed\r\n"
/* The description of the session, which may be one part of several (RFC 5621); empty: there is
 * none. Points into the message. */
struct sl msg_sdp(const struct sip_msg *m);
/* Has it a body, or a part of one, that has to be understood and is not: 415. */
bool msg_is_strange(const struct sip_msg *m);

static inline bool msg_has_sdp(const struct sip_msg *m)
{
    return msg_sdp(m).n != 0;
}
static inline uint8_t call_hops_left(const struct sip_msg *m)
{
    return (uint8_t)((m->max_forwards < CALL_HOPS_MAX ? m->max_forwards : CALL_HOPS_MAX) - 1);
}

#endif
