/* call_rules.h - header rules, status codes and identity, where messages come in and go out.
 *
 * Order, always: what comes from a peer meets its `in` rules once, in the list's order, before
 * routes are matched and before anything is copied. What goes to a peer is composed: framing
 * fields, credentials, Allow, Retry-After, Warning, identity; then its `out` rules, in the list's
 * order; then the body. Status codes: `in` of the peer that answered, failover, `out` of the peer
 * that is answered. Rules work on INVITE, UPDATE, PRACK, BYE, INFO and MESSAGE, on answers to them,
 * and, where they name it, on OPTIONS of ours. ACK, CANCEL, 100 and answers without state are ours
 * alone. What only ends here (BYE, UPDATE, PRACK) has no use for `in` rules. */
#ifndef POSTERN_CALL_RULES_H
#define POSTERN_CALL_RULES_H

#include "call/call_int.h"

/* The fields of a message from this party after its `in` rules. */
void rules_view(const struct config *cfg, const struct policy_ref *from, const struct sip_msg *m,
                struct policy_fields *f);

struct rules_out {
    const struct config *cfg;
    const struct policy_ref *to;
    struct policy_message message;
    const struct sip_msg *heard; /* what the other side said, to copy from; NULL: nothing */
    const struct policy_ref *heard_from;
};
/* Applies the `out` rules to what stands in b behind `mark`. */
void rules_apply(const struct rules_out *o, struct buf *b, size_t mark);

/* The same, but only by rules that name the method. */
void rules_apply_named(const struct rules_out *o, struct buf *b, size_t mark);
/* Answers a request of o->to by tx with these lines after its rules; see tx_answer(). */
void rules_answer(struct call_table *t, struct tx *tx, uint16_t status, struct sl to_tag,
                  struct sl extra, const struct rules_out *o);
/* The same for one of this leg; heard: what the other leg answered, or NULL. */
void rules_answer_leg(const struct leg *l, struct tx *tx, uint16_t status, struct sl extra,
                      const struct sip_msg *heard);

uint16_t rules_status(const struct config *cfg, const struct policy_ref *party,
                      enum policy_direction direction, uint16_t status);

/* Who calls, as RFC 3325 has it, from the request that came from this party. */
struct identity {
    bool is_private;   /* RFC 3323: the caller asks for it */
    bool is_asserted;  /* by somebody that we trust, or proven by digest */
    struct sl display; /* as parsed */
    struct sl user;    /* escaped as on the wire */
    struct sl privacy; /* value of Privacy */
};
void identity_of(const struct config *cfg, const struct policy_ref *from, int user,
                 const struct sip_msg *m, struct identity *out);
/* May this party not be told who calls? */
bool identity_is_hidden(const struct identity *id, const struct config *cfg,
                        const struct policy_ref *to);
#define IDENTITY_ANONYMOUS "\"Anonymous\" <sip:anonymous@anonymous.invalid>"
/* P-Asserted-Identity and Privacy for a trusted peer. The host is ours, the number goes by the
 * rules of both sides. */
void identity_put(struct buf *b, const struct identity *id, const struct config *cfg,
                  const struct policy_ref *from, const struct policy_ref *to);

#endif
