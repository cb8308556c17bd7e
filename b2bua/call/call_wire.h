/* call_wire.h - what a call sends: answers and requests, each built from allowed parts. Part of
 * call_int.h. */
#ifndef POSTERN_CALL_WIRE_H
#define POSTERN_CALL_WIRE_H

#include "call/call.h"
#include "dialog/dialog.h"

struct leg;

struct sl call_request_uri(struct sl contact);

void call_via_addr(const struct config *cfg, uint8_t listener, uint8_t transport, struct addr *out);
void leg_via_addr(const struct leg *l, uint8_t transport, struct addr *out); /* as of now */
void call_put_transport(struct buf *b, uint8_t transport, bool sips);
void leg_make_token(const struct leg *l, enum token_kind kind, char out[TOKEN_TEXT_LEN]);
/* Answers their INVITE on this leg (any status), body may be empty. */
int leg_respond(struct leg *l, uint16_t status, struct sl sdp);
/* The same for INVITE or UPDATE by its transaction; extra: whole field lines. */
int leg_respond_to(struct leg *l, struct tx *tx, uint16_t status, struct sl sdp, struct sl extra);
/* The description is out: no keys stay behind in what all calls share. */
void call_forget_keys(struct call_table *t, struct sl sdp);
/* Answers any request inside or outside a dialog through its transaction. */
void tx_answer(struct call_table *t, struct tx *tx, uint16_t status, struct sl to_tag,
               struct sl extra);
struct refusal {
    uint16_t status;
    const char *reason; /* NULL: the standard phrase */
    struct sl to_tag, extra;
};
void tx_refuse(struct call_table *t, struct tx *tx, const struct refusal *r);
/* Sends our INVITE or re-INVITE with this body; fills l->cli. challenge: answer it, or NULL. */
int leg_invite(struct leg *l, struct sl sdp, uint32_t answer_ms, struct sip_msg *challenge,
               tx_response_fn *fn);
int leg_ack(struct leg *l, struct sl sdp);
void leg_repeat_ack(struct leg *l);
/* Sends a request of ours inside the dialog; *txp is its transaction. */
struct out_request {
    enum sip_method method;
    struct sl type, body;
    struct sip_msg *challenge; /* 401/407 to be answered, or NULL */
    uint32_t answer_ms;
    struct sl extra; /* whole field lines */
    tx_response_fn *fn;
    uint32_t cseq; /* out */
};
int leg_send(struct leg *l, struct tx **txp, struct out_request *r);
/* Answers a challenge (or, for a 422, those before) in the request being written; *stp is made when
 * it is needed. ENOENT: the leg is of nobody that we have a password for. */
int leg_put_credentials(struct buf *b, const struct leg *l, struct sip_msg *asked,
                        enum sip_method method, struct digest_state **stp);
/* BYE when confirmed, CANCEL when we are calling it; what is pending finishes by itself. */
void leg_hang_up(struct leg *l);
void leg_ack_and_bye_other(struct leg *l, const struct sip_msg *rsp);

#endif
