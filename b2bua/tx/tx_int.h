/* tx_int.h - what the files of b2bua/tx/ share: the transaction, the table, the engine. */
#ifndef POSTERN_TX_INT_H
#define POSTERN_TX_INT_H

#include "tx/machine_int.h"

#define TX_BRANCH_LEN (sizeof(SIP_COOKIE) - 1 + TOKEN_TEXT_LEN)
#define TX_NO_SLOT UINT32_MAX

struct tx_client {
    tx_response_fn *fn;
    struct list active; /* in tx_table.active while unanswered */
    struct tx *cancel;  /* INVITE: the transaction of its CANCEL, a reference */
    uint32_t slot, gen;
    uint32_t answer_ms;
    bool is_elsewhere; /* INVITE: its CANCEL says so */
    char branch[TX_BRANCH_LEN];
};

struct tx_server {
    tx_server_fn *fn;
    struct hnode node;   /* in tx_table.servers */
    struct hnode merge;  /* in tx_table.merges; only requests without a To tag */
    struct sip_msg *req; /* until the final answer */
    char *key;           /* own block, see key.c */
    uint16_t key_n;      /* bytes that a retransmission must repeat */
    uint16_t to_tag_n;   /* RFC 2543 key only: To tag behind those */
    uint16_t merge_n;    /* merge key behind that */
    uint16_t status;     /* last one sent */
    uint16_t answer_port;
    bool is_legacy; /* no magic cookie */
};

struct tx {
    struct tx_table *tab;
    uint32_t refs;
    uint8_t kind;
    uint8_t state;
    uint8_t method;
    uint8_t life_ev;   /* what `life` brings: EXPIRE or ANSWER */
    bool is_started;   /* tx_client_start() was here; servers: born so */
    bool is_linked;    /* counted, found by messages */
    bool is_active;    /* no final answer yet */
    bool is_lingering; /* only absorbs: the first to go when the table is full */
    union {
        struct timer resend; /* also brings a pending transport error */
        struct list linger;  /* in the table's queue, while resend is idle */
        struct grave grave;  /* when both timers have stopped for ever */
    } t;
    struct timer life;
    struct flow flow;
    struct tx_timers timers;
    uint32_t interval_ms; /* of resend */
    int err;              /* transport errno on its way to TP_ERR */
    uint32_t n_bytes;
    char *bytes; /* client: request, then ACK; server: last answer. Own block or NULL */
    void *arg;
    union {
        struct tx_client c;
        struct tx_server s;
    } u;
};
/* 8,000 calls a second linger for 32 s: every byte here counts a quarter million times. */
_Static_assert(sizeof(struct tx) <= 320, "struct tx has grown");

struct tx_table {
    struct tx_table_params p;
    uint16_t node_before; /* in branches of transactions that are older than a change */
    uint32_t refs;        /* the owner and each struct tx not yet freed */
    struct pool pool;
    struct slots slots;  /* clients, by the token in their branch */
    struct hmap servers; /* by RFC 3261 17.2.3 */
    struct hmap merges;  /* by RFC 3261 8.2.2.2 */
    struct list active;  /* clients without a final answer */
    struct list linger;  /* oldest first */
    uint32_t n[TX_KINDS];
    uint32_t n_active;
};

/* --- table.c --- */
enum tx_claim {
    TX_CLAIM_NEW,     /* within the limit */
    TX_CLAIM_RESERVE, /* also from what is kept for dialogs that are up: a tenth beyond */
    TX_CLAIM_CANCEL   /* always: one for each INVITE */
};
/* One reference, linked and counted, state dead. NULL and *err. */
struct tx *tx_alloc(struct tx_table *tab, enum tx_kind kind, enum tx_claim claim, int *err);
void tx_feed(struct tx *tx, enum tx_event ev, const struct tx_in *in);
/* The machine starts: it holds a reference of its own until tx_end(). */
void tx_begin(struct tx *tx);
void tx_end(struct tx *tx); /* stops, unlinks, drops all that is kept and the machine's reference */
void tx_settle(struct tx *tx); /* a final answer is there: no longer active */
bool tx_is_dead(const struct tx *tx);
static inline bool tx_is_client(const struct tx *tx)
{
    return tx->kind == TX_ICT || tx->kind == TX_NICT;
}
static inline bool tx_is_reliable(const struct tx *tx)
{
    return flow_is_reliable(&tx->flow);
}
static inline uint32_t tx_64t1(const struct tx *tx)
{
    return 64 * tx->timers.t1_ms;
}

/* --- io.c: bytes and timers of one transaction --- */
MUST_USE int tx_keep(struct tx *tx, struct sl bytes); /* replaces; ENOMEM leaves the old ones */
void tx_drop_bytes(struct tx *tx);
static inline struct sl tx_bytes(const struct tx *tx)
{
    return (struct sl){tx->bytes, tx->n_bytes};
}
/* Sends; what fails for good comes back as TP_ERR in the next turn. */
void tx_send(struct tx *tx, struct sl bytes);
void tx_resend(struct tx *tx); /* the kept bytes, counted as a retransmission */
void tx_fail_later(struct tx *tx, int err);
void tx_start_resend(struct tx *tx, uint32_t ms);
void tx_double_resend(struct tx *tx, uint32_t ceiling_ms);
void tx_stop_resend(struct tx *tx);
void tx_start_life(struct tx *tx, uint32_t ms, enum tx_event ev);
/* Last state of a machine: EXPIRE after ms, 0 at once. */
void tx_linger(struct tx *tx, uint32_t ms);
/* What only absorbs from now on may be pushed out by new work. */
void tx_queue_linger(struct tx *tx);
void tx_leave_linger(struct tx *tx);
void tx_init_timers(struct tx *tx);
void tx_act_nothing(struct tx *tx, const struct tx_in *in); /* expected, and nothing to do */
void tx_act_resend(struct tx *tx, const struct tx_in *in);
void tx_act_end(struct tx *tx, const struct tx_in *in);

/* --- client.c --- */
void tx_tell(struct tx *tx, int err, struct sip_msg *rsp);
void tx_act_pass(struct tx *tx, const struct tx_in *in);
void tx_act_timeout(struct tx *tx, const struct tx_in *in); /* tells ETIMEDOUT, ends */
void tx_act_tp_fail(struct tx *tx, const struct tx_in *in); /* tells in->err, ends */
/* A NICT for CANCEL beside its INVITE: same branch, no slot. NULL: out of memory, or not sent. */
struct tx *tx_client_sibling(const struct tx *invite, struct sl request);
void ict_start(struct tx *tx);
void nict_start(struct tx *tx);
void ict_unheard(struct tx *tx); /* nobody listens any more */

/* --- server.c --- */
void tx_inform(struct tx *tx, enum tx_server_event ev);
void tx_server_final(struct tx *tx); /* a final answer is out: the request is not needed any more */
void ist_unheard(struct tx *tx);     /* nobody listens any more */
void ist_heard(struct tx *tx);       /* somebody listens again */
void nist_start(struct tx *tx);
void tx_act_inform_end(struct tx *tx, const struct tx_in *in); /* transport failed: tells, ends */
void tx_act_send(struct tx *tx, const struct tx_in *in);

/* --- key.c --- */
MUST_USE int tx_key_link(struct tx *tx, const struct sip_msg *req); /* ENOMEM */
void tx_key_unlink(struct tx *tx);
void tx_key_unmerge(struct tx *tx); /* a failure: the same request by another way may try anew */

#endif
