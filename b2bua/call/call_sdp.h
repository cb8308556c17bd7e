/* call_sdp.h - offers and answers of a call: one side's description written for the other. */
#ifndef POSTERN_CALL_SDP_H
#define POSTERN_CALL_SDP_H

#include "base/base.h"

struct call;
struct leg;

/* Writes `body` of leg from for leg to into t->body. Offers open ports, answers commit the media.
 * 0, or a SIP status (488, 503, 500) and *why. */
uint16_t call_bridge_offer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                           const char **why);
uint16_t call_bridge_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                            const char **why);
int call_keep_offer(struct call *c, const struct leg *from, struct sl body);
void call_drop_offer(struct call *c);

#endif
