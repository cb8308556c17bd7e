/* worker_int.h - inside worker/: the process object, one worker, and the questions put to it. */
#ifndef POSTERN_WORKER_INT_H
#define POSTERN_WORKER_INT_H

#include "call/call.h"
#include "guard/guard.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKERS_MAX 64

struct worker {
    struct b2bua *b;
    uint8_t index;
    uint16_t node;
    pthread_t thread;
    bool running;
    struct loop *loop;
    struct net *net;
    struct sip_pool *pool;
    struct tx_table *tab;
    struct media *media;
    struct registrar *registrar;
    struct call_table *calls;
    struct token_ring *ring; /* own clone */
    struct config *cfg;
    struct timer reaper;
};

struct b2bua {
    struct config *cfg; /* guarded by lock for admin threads */
    pthread_mutex_t lock;
    struct store *store;
    struct auth *auth;
    struct policy_gate *gate; /* atomic inside */
    struct guard *guard;
    struct token_ring *ring;
    struct crypto_pool *pool; /* of all workers; stopped after their threads, before they go */
    struct dtls_ctx *dtls;    /* our certificate for DTLS-SRTP; immutable */
    uint32_t n_workers;
    struct worker *workers[WORKERS_MAX];
    _Atomic bool draining;
    _Atomic bool listening;
    int64_t started_wall_ms;
    int64_t started_ms;
    struct clock clock;
    /* main only */
    uint8_t news[WORKERS_MAX]; /* bits of enum news: what a worker has not been told yet */
    int64_t longest_ms;        /* limits.duration, the longest of all configurations so far */
    int64_t key_retry_ms;      /* monotonic; after a failure */
};

/* --- dispatch.c --- */
extern const struct net_events worker_net_events; /* arg: struct worker */
/* A message from the wire or from another worker. hops: how many workers have looked at it. */
void worker_input(struct worker *w, const struct flow *flow, struct sl bytes, unsigned hops);

/* --- admit.c: the door --- */
bool worker_admit(void *arg, const struct flow *flow); /* net_events.admit */
/* A message on a connection that was let in: false drops it; the source may be banned by now. */
bool worker_admit_message(struct worker *w, const struct flow *flow);
/* Somebody gave the right password by this flow: trusted as long as a registration may last. */
void worker_proven(void *arg, const struct flow *flow);

/* offence of struct call_table_params, arg: struct worker. */
void worker_offence(void *arg, const struct flow *flow, const struct sip_msg *req,
                    enum policy_event event, bool echoed);
/* What could not be parsed; msg NULL: nothing of it. */
void worker_malformed(struct worker *w, const struct flow *flow, struct sl bytes);
/* A known tool of attackers: reported, and not to be answered. */
bool worker_is_scanner(struct worker *w, const struct flow *flow, const struct sip_msg *req);

/* --- handover.c: to other workers --- */
/* False: the mailbox is full or memory is out; counted. */
bool worker_hand_message(struct worker *w, uint8_t to, const struct flow *flow, struct sl bytes,
                         unsigned hops);
int worker_send_remote(void *arg, const struct flow *flow, struct sl bytes);
void worker_publish(void *arg, const struct reg_update *u);
void worker_hold(void *arg, const struct flow *flow, int delta);
/* A flow has ended: for this worker's calls, transactions and bindings; for the other workers'. */
void worker_flow_gone(struct worker *w, const struct flow *flow, int err);
void worker_tell_gone(struct worker *w, const struct flow *flow, int err);

/* --- ask.c: a question from any thread, answered on the worker --- */
struct ask;
typedef void(ask_fn)(struct worker *w, struct ask *a);
struct ask {
    ask_fn *fn;
    uint64_t id;
    int err;
    struct buf out;
    struct call_counts calls;
    struct tx_counts tx;
    struct media_counts media;
    uint32_t bindings, conns;
    int64_t lag_ms;
    uint32_t listener_ports[CONFIG_LISTENERS_MAX][2]; /* used, total */
};
/* Runs fn on the worker and waits at most B2BUA_WAIT_MS. On 0 the answer is in *out (out->out is
 * the caller's to free). ETIMEDOUT, ENOBUFS, ENOMEM. */
int worker_ask(struct worker *w, ask_fn *fn, uint64_t id, struct ask *out);
void ask_counts(struct worker *w, struct ask *a);

/* --- worker.c --- */
int worker_new(struct worker **wp, struct b2bua *b, uint8_t index);
int worker_listen(struct worker *w, const char **why);
int worker_run(struct worker *w);
/* Ends calls and bindings: of every worker before the first one is freed, because they reach out
 * for each other's connections. Idempotent. */
void worker_close(struct worker *w);
void worker_free(struct worker **wp);
/* registrar_params.via */
void worker_via(void *arg, const struct flow *flow, struct addr *out);
void worker_apply_config(struct worker *w, struct config *cfg);

#endif
