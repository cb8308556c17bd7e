/* tx.h - RFC 3261/6026 transactions; the only header of b2bua/tx/ that others may include.
 * Thread: every call comes from the loop thread that owns the table. */
#ifndef POSTERN_TX_H
#define POSTERN_TX_H

#include "crypto/crypto.h"
#include "loop/loop.h"
#include "net/net.h"
#include "sip/sip.h"

struct tx; /* opaque: fields live in tx_int.h */
struct tx_table;

struct tx_timers {  /* RFC 3261 17.1.1.1, 17.1.2.1; milliseconds */
    uint32_t t1_ms; /* 500 */
    uint32_t t2_ms; /* 4000 */
    uint32_t t4_ms; /* 5000 */
};

struct tx_table_params {
    struct loop *loop;             /* kept */
    const struct net_ops *net;     /* kept */
    void *net_arg;                 /* kept */
    const struct token_ring *ring; /* kept; replace with tx_table_set_ring */
    uint16_t node;
    uint8_t worker;
    struct tx_timers timers;
    /* Transactions at once: ENOBUFS beyond. A tenth more is kept for our BYEs and for requests with
     * a To tag, so that new work never keeps calls from ending. */
    uint32_t max;
};
MUST_USE int tx_table_new(struct tx_table **tp, const struct tx_table_params *params);
void tx_table_free(struct tx_table **tp); /* silently ends everything */
void tx_table_set_ring(struct tx_table *tab, const struct token_ring *ring);
void tx_table_set_timers(struct tx_table *tab, const struct tx_timers *timers); /* new ones only */
void tx_table_set_max(struct tx_table *tab, uint32_t max);
void tx_table_set_node(struct tx_table *tab, uint16_t node); /* in what is sent from now on */
struct tx_counts {
    uint32_t ict, nict, ist, nist; /* alive, lingering ones included */
    uint32_t active; /* not yet answered (client) or not yet answered by us (server) */
};
void tx_table_counts(const struct tx_table *tab, struct tx_counts *out);

/* --- client --- */

/* A response, or the end of the road: err is 0 or an errno (ETIMEDOUT: timer B/F or no answer after
 * CANCEL; else a transport errno) and rsp is NULL when err != 0. Provisional answers and every 2xx
 * (retransmissions too: the user answers each with its ACK) are passed; a failure once. rsp is
 * borrowed (sip_msg_ref() to keep it). Never runs before tx_client_start() returns. After a final
 * failure, an error, or (INVITE) the end of timer M the transaction is gone by itself. */
typedef void(tx_response_fn)(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

struct tx_client_params {
    enum sip_method method;
    struct flow flow; /* copied */
    tx_response_fn *on_response;
    void *arg;
    uint32_t answer_ms; /* INVITE: no response at all within it is ETIMEDOUT; 0: timer B only */
};
/* Reserves a transaction and its branch. The caller gets one reference. ENOMEM or ENOBUFS. */
MUST_USE int tx_client_new(struct tx **txp, struct tx_table *tab,
                           const struct tx_client_params *params);
struct sl tx_branch(const struct tx *tx); /* with the magic cookie; lives as long as tx */
const struct flow *tx_flow(const struct tx *tx);
/* Sends the request (copied and kept while it may have to be sent again) and runs the machine.
 * Errors: what net_ops.send gives; nothing was sent, the caller still has to drop its reference. */
MUST_USE int tx_client_start(struct tx *tx, struct sl request);
/* Asked when on_response said ETIMEDOUT: the machine still waits for late answers, and will call
 * once more, with the answer or with ETIMEDOUT at the very end (INVITE with answer_ms or after
 * CANCEL). */
bool tx_client_may_answer_late(const struct tx *tx);
/* INVITE only: CANCEL now, or as soon as a provisional answer is there (RFC 3261 9.1); harmless
 * when a final answer has come. The final answer still arrives at on_response; ETIMEDOUT after
 * 64*T1 without one. */
void tx_client_cancel(struct tx *tx);
/* INVITE only, before tx_client_cancel(): its CANCEL says that somebody else took the call, so that
 * no telephone counts it as missed (RFC 3326). */
void tx_client_elsewhere(struct tx *tx);

/* --- server --- */

enum tx_server_event {
    TX_SRV_NO_ACK,    /* INVITE: 64*T1 without ACK for our 2xx or failure */
    TX_SRV_TRANSPORT, /* our answer could not be sent */
    TX_SRV_END        /* gone; last call */
};
typedef void(tx_server_fn)(struct tx *tx, enum tx_server_event ev, void *arg);

enum tx_match {
    TX_MATCH_NONE,  /* new request, ACK for a 2xx, or a CANCEL without its INVITE */
    TX_MATCH_DONE,  /* retransmission answered, or ACK for a failure taken */
    TX_MATCH_CANCEL /* *txp borrows the INVITE's server transaction */
};
/* Finds what a request belongs to (17.2.3, RFC 2543 rules without the cookie). */
enum tx_match tx_match_request(struct tx_table *tab, const struct sip_msg *req,
                               const struct flow *flow, struct tx **txp);
/* Asked after TX_MATCH_NONE and before tx_server_new(): the same request without a To tag is in
 * work under another branch, i.e. it was forked and came by two ways: 482 (RFC 3261 8.2.2.2). */
bool tx_is_merged(const struct tx_table *tab, const struct sip_msg *req);
/* True: the response belongs here and was fed. False: nobody's (dropped and counted by caller). */
bool tx_feed_response(struct tx_table *tab, struct sip_msg *rsp, const struct flow *flow);
/* Who owns a response or an answer to our request, by the token in the top Via's branch. */
bool tx_branch_owner(const struct token_ring *ring, const struct sip_msg *rsp, struct token *out);
/* A connection or UDP destination is gone: unanswered client transactions on it fail with err (UDP:
 * those that have heard nothing at all). */
void tx_flow_gone(struct tx_table *tab, const struct flow *flow, int err);

/* New server transaction for req (takes a reference until the final answer) that came by flow.
 * The caller gets one reference. ENOMEM, ENOBUFS; EPROTO: an ACK has no transaction. fn may be NULL
 * (nobody listens). What is not INVITE and not answered 64*T1 + T4 later ends by itself. */
MUST_USE int tx_server_new(struct tx **txp, struct tx_table *tab, struct sip_msg *req,
                           const struct flow *flow, tx_server_fn *fn, void *arg);
/* Changes who listens (a request that became a call). */
void tx_server_listen(struct tx *tx, tx_server_fn *fn, void *arg);
void *tx_arg(const struct tx *tx);               /* of the listener; NULL when nobody listens */
struct sip_msg *tx_request(const struct tx *tx); /* borrowed; NULL after the final answer */
/* Sends an answer written by the caller (sip_put_response). A 2xx to INVITE is repeated (T1
 * doubling to T2, RFC 3261 13.3.1.4) until tx_server_acked() or TX_SRV_NO_ACK; a failure by timers
 * G/H on unreliable transports. EPROTO: a final answer was given before; ENOMEM: nothing was sent,
 * try again. What the transport refuses is told as TX_SRV_TRANSPORT in the next turn: an INVITE
 * goes on (RFC 6026), anything else ends. */
MUST_USE int tx_server_respond(struct tx *tx, uint16_t status, struct sl bytes);
void tx_server_acked(struct tx *tx); /* the ACK for our 2xx has come */
bool tx_server_is_final(const struct tx *tx);
const struct flow *tx_server_flow(const struct tx *tx); /* as it came; answers follow 18.2.2 */
const struct addr *tx_server_source(const struct tx *tx);
uint16_t tx_server_status(const struct tx *tx); /* last status we sent, 0: none */

/* INVITE, before tx_close(): whoever repeats the 2xx that this ACK, which is copied, is for gets it
 * again by that flow (RFC 3261 13.2.2.4). Without memory nobody does. */
void tx_client_leave_ack(struct tx *tx, const struct flow *flow, struct sl ack);
/* No callback after this returns; the machine goes on by itself (absorbs, repeats). Idempotent. An
 * unanswered INVITE does not stay for ever: ours is cancelled, the peer's forgotten 64*T1 later. */
void tx_close(struct tx *tx);
struct tx *tx_ref(struct tx *tx);
void tx_unref(struct tx **txp); /* accepts NULL */

/* Where an answer to a request goes: the connection it came by, or its source address with the
 * port of rport, else of sent-by (RFC 3261 18.2.2, RFC 3581). Never anywhere else. */
void tx_answer_flow(const struct sip_msg *req, const struct flow *in, struct flow *out);

#endif
