/* call.h - calls: two legs, two dialogs, bridged. Takes what the worker dispatched, asks the
 * policy, builds the other side afresh, relays media, writes one CDR per call. Thread: the
 * worker's. */
#ifndef POSTERN_CALL_H
#define POSTERN_CALL_H

#include "call/call_asked.h"
#include "callout/callout.h"
#include "config/config.h"
#include "crypto/crypto.h"
#include "media/media.h"
#include "registrar/registrar.h"
#include "store/store.h"
#include "tx/tx.h"

struct call_table; /* of one worker */

struct call_watch { /* what is told to somebody who only tries a request out */
    /* What the policy said, also where the answer needs no state. */
    void (*decided)(void *arg, const struct sip_msg *req, const struct policy_verdict *v);
    void (*ended)(void *arg, const char *by, const char *reason, uint16_t code);
    const uint64_t *random; /* in place of a fresh one; NULL: fresh */
};
/* From now on this thread tells fn which header rules are applied; NULL: nobody any more. */
typedef void(call_rule_fn)(void *arg, const struct policy_peer *peer,
                           const struct policy_header_rule *r, size_t index);
void call_watch_rules(call_rule_fn *fn, void *arg);
struct call_table_params {
    struct loop *loop;
    struct tx_table *tab;
    const struct net_ops *net;
    void *net_arg;
    struct media *media;
    struct registrar *registrar;
    struct auth *auth;
    struct store *store;
    const struct token_ring *ring;
    uint8_t worker, n_workers; /* n_workers: who shares the probing of targets; 0: 1 */
    /* A leg lives on a stream connection: keep it open (+1) or let it go (-1). */
    void (*hold)(void *arg, const struct flow *flow, int delta);
    void *hold_arg;
    /* A user gave the right password by this flow (same arg). May be NULL. */
    void (*proven)(void *arg, const struct flow *flow);
    /* The request is held against its source; echoed: it answers a nonce of ours. May be NULL. */
    void (*offence)(void *arg, const struct flow *flow, const struct sip_msg *req,
                    enum policy_event event, bool echoed);
    /* An INVITE has a transaction and is being dealt with (same arg). May be NULL. */
    void (*in_work)(void *arg, const struct flow *flow, const struct sip_msg *req);
    struct callout *callout; /* borrowed; NULL: nobody is asked, and calls wait (trying out) */
    const struct call_watch *watch; /* kept; same arg; NULL: nobody watches */
};
MUST_USE int call_table_new(struct call_table **tp, const struct call_table_params *p);
void call_table_free(struct call_table **tp); /* every call is closed with a CDR first */
void call_table_set_config(struct call_table *t,
                           struct config *c); /* keeps a reference; new calls */
void call_table_set_ring(struct call_table *t, const struct token_ring *ring);

/* A new INVITE outside any dialog that matched no transaction. Strangers are challenged or refused
 * without state; for the others the transaction is made here. */
void call_invite(struct call_table *t, struct sip_msg *req, const struct flow *flow);
/* An out-of-dialog MESSAGE, likewise: authenticated, routed, relayed as its own transaction pair.
 */
void call_message(struct call_table *t, struct sip_msg *req, const struct flow *flow);
/* req, a CANCEL of that INVITE (its own transaction is answered by the caller of this). */
void call_cancel(struct call_table *t, struct tx *invite, const struct sip_msg *req);
/* The last look at an OPTIONS that keeps the way to a user's device open: 0, it may go, perhaps
 * masked; EACCES: it may not. */
MUST_USE int call_pass_keepalive(const struct call_table *t, const struct dialog *d, struct buf *b);
/* One new request of a known party that is neither call nor message; user -1: a peer's. False: a
 * limit stood in the way, and it was answered. */
bool call_count_request(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                        const struct policy_ref *party, int user);
/* What a decision said of limits, to the log and the counters. */
void call_tell_limits(const struct policy *p, const struct policy_verdict *v, struct log_ctx *log);
/* An answer without state, to a source that nobody has proven: never more than twice the bytes of
 * the request, never repeated (counted and dropped otherwise). extra: whole header fields or empty.
 */
void call_answer_stateless(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                           uint16_t status, const char *reason, struct sl extra);
/* The cheapest 503: nothing in it but their own words and ours, so it is not looked at. */
void call_answer_overload(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                          unsigned retry_after_s);
/* A request whose To tag is our token: finds the leg; tx NULL for ACK. Consumes the reference.
 * Answers 481 when there is no such dialog. */
void call_in_dialog(struct call_table *t, const struct token *tok, struct tx *tx,
                    struct sip_msg *req, const struct flow *flow);
/* A connection ended. */
void call_flow_gone(struct call_table *t, const struct flow *flow);

/* Admin. */
MUST_USE int call_hangup(struct call_table *t, uint64_t id); /* ENOENT */
/* New SDES keys by a re-INVITE, now or when the exchange under way is done. sides: bit 0 the
 * caller, bit 1 the callee. ENOENT; EPROTO: not answered, or no side with such keys. */
MUST_USE int call_rekey(struct call_table *t, uint64_t id, unsigned sides);
MUST_USE int call_detail(struct call_table *t, uint64_t id, struct buf *json);  /* ENOENT */
MUST_USE int call_ladder(struct call_table *t, uint64_t id, struct buf *bytes); /* ENOENT */
struct call_counts {
    uint32_t setup, ringing, answered; /* alive by state */
    uint32_t zombies;                  /* ended for everybody, transactions still finishing */
    uint32_t legs;
    uint32_t relays; /* out-of-dialog transactions being relayed */
};
void call_counts(const struct call_table *t, struct call_counts *out);

/* The reaper's look at the books: what does not balance is logged, counted and, where possible,
 * mended. Returns how many things were wrong. */
uint32_t call_audit(struct call_table *t);
uint32_t call_media_sessions(const struct call_table *t); /* calls that hold one */

/* Draining: new calls get 503; call_drain_end() ends the running ones with BYE. */
void call_drain(struct call_table *t);
void call_drain_end(struct call_table *t);
uint32_t call_alive(const struct call_table *t);     /* calls and relays */
uint32_t call_finishing(const struct call_table *t); /* ended, answers to our BYEs still awaited */

/* Ladder bytes to JSON (b2bua_ladder_json). */
MUST_USE int call_ladder_json(struct sl bytes, struct json *j);

#endif
