/* worker_int.h - inside worker/: the process object, one worker, and the questions put to it. */
#ifndef POSTERN_WORKER_INT_H
#define POSTERN_WORKER_INT_H

#include "call/call.h"
#include "guard/guard.h"
#include "worker/ask.h"
#include "worker/turnover.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKERS_MAX 64
#define HIDDEN_SEEN 256

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
    _Atomic uint64_t ring_seen;
    struct config *cfg;
    struct config *next; /* prepared; see worker_catch_up(). NULL: none */
    struct heir heirs[CONFIG_SLOTS_MAX];
    struct owed *owed, *owed_last; /* users of whom somebody has not been told, see publish.c */
    uint32_t n_owed;
    struct timer owing;
    struct timer reaper;
    struct overload overload;
    uint64_t hidden[HIDDEN_SEEN]; /* requests that got no answer and may come again, by hash */
    struct timer calm;            /* armed while new work is refused */
    uint32_t waited_us;   /* how long the datagram at hand lay in its socket; 0: no datagram */
    uint64_t open_slots;  /* listeners that have sockets here, as bits */
    uint64_t fresh_slots; /* of these, bound for a configuration that is not in force yet */
    int64_t unused_ms[CONFIG_SLOTS_MAX]; /* since when nobody needs them; 0: somebody does */
    uint64_t nodes[1024 / 64];           /* numbers that this node has or had, as bits */
    _Atomic(struct crypto_pool *) pool_seen;
    _Atomic uint32_t pause_us; /* how long the last configuration kept it from everything else */
};
#define RETIRED_MAX 64

struct b2bua {
    struct config *cfg;                /* guarded by lock for admin threads */
    _Atomic(struct config *) in_force; /* the same for workers, to compare with only */
    pthread_mutex_t lock;
    struct store *store;
    struct auth *auth;
    struct policy_gate *gate; /* atomic inside */
    struct guard *guard;
    struct repeats *repeats; /* atomic inside; NULL: none are known */
    struct callout *callout;
    struct token_ring *ring;
    uint64_t ring_turn; /* how many keys there have been; turn's */
    /* Of all workers; stopped after their threads, before they go. Admin threads: with the lock. */
    _Atomic(struct crypto_pool *) pool;
    struct dtls_ctx *dtls; /* our certificate for DTLS-SRTP; immutable */
    uint32_t n_workers;
    struct worker *workers[WORKERS_MAX];
    _Atomic bool draining;
    _Atomic bool listening;
    int64_t started_wall_ms;
    int64_t started_ms;
    struct clock clock;
    /* turn's: one change at a time, by main or an admin thread */
    pthread_mutex_t turn;
    struct config *next_cfg;                  /* prepared; NULL: none. So are: */
    struct token_ring *next_ring;             /* NULL: as it is */
    struct crypto_pool *next_pool, *old_pool; /* prepared; left, but still used */
    struct config *retired[RETIRED_MAX]; /* snapshots that were in force, as long as calls go on */
    uint32_t n_retired;
    uint8_t news[WORKERS_MAX]; /* bits of enum news: what a worker has not been told yet */
    int64_t longest_ms;        /* limits.duration, the longest of all configurations so far */
    int64_t key_retry_ms;      /* monotonic; after a failure */
};

/* --- facade.c --- */
struct config *worker_config(struct b2bua *b); /* what is in force; a reference for the caller */

/* --- dispatch.c --- */
extern const struct net_events worker_net_events; /* arg: struct worker */
/* A message from the wire or from another worker. hops: how many workers have looked at it. */
void worker_input(struct worker *w, const struct flow *flow, struct sl bytes, unsigned hops);

/* --- admit.c: the door --- */
bool worker_admit(void *arg, const struct flow *flow); /* net_events.admit */
/* A peer, or somebody who lives where a user proved himself, by whatever port. */
bool worker_known(void *arg, const struct flow *flow); /* net_events.known */
/* A message on a connection that was let in: false drops it; the source may be banned by now. */
bool worker_admit_message(struct worker *w, const struct flow *flow);
/* Somebody gave the right password by this flow: trusted as long as a registration may last. */
void worker_met(struct worker *w, const struct flow *flow); /* valid SIP came by it */
/* The sender is a stranger and shall hear nothing to this (NULL: it is broken). It is held against
 * him like one that is answered. */
bool worker_hides(struct worker *w, const struct flow *flow, const struct sip_msg *req);
void worker_proven(void *arg, const struct flow *flow);

/* told of struct registrar_params, arg: struct worker. */
void worker_told(void *arg, const struct policy_verdict *v);
/* offence of struct call_table_params, arg: struct worker. */
void worker_offence(void *arg, const struct flow *flow, const struct sip_msg *req,
                    enum policy_event event, bool echoed);
/* What could not be parsed; msg NULL: nothing of it. */
void worker_malformed(struct worker *w, const struct flow *flow, struct sl bytes);
/* A known tool of attackers: reported, and not to be answered. */
bool worker_is_scanner(struct worker *w, const struct flow *flow, const struct sip_msg *req);

/* --- shed.c: too much to do --- */
MUST_USE int repeats_new(struct repeats **rp);
void repeats_free(struct repeats **rp); /* accepts NULL inside */
void worker_overload_init(struct worker *w);
void worker_overload_config(struct worker *w, const struct config *cfg);
/* Before anything is read of a message. False: dropped (counted). */
bool worker_may_read(struct worker *w, const struct flow *flow, struct sl bytes);
/* A new request, known to be none in work. True: refused. */
bool worker_sheds(struct worker *w, const struct sip_msg *req, const struct flow *flow);
/* in_work of struct call_table_params, arg: struct worker. */
void worker_in_work(void *arg, const struct flow *flow, const struct sip_msg *req);

/* --- handover.c: to other workers --- */
/* False: the mailbox is full or memory is out; counted. */
bool worker_hand_message(struct worker *w, uint8_t to, const struct flow *flow, struct sl bytes,
                         unsigned hops);
int worker_send_remote(void *arg, const struct flow *flow, struct sl bytes);
/* ENOTCONN: it has ended. */
int worker_post(const struct worker *w, uint32_t to, const struct loop_msg *m);
void worker_hold(void *arg, const struct flow *flow, int delta);
/* A flow has ended: for this worker's calls, transactions and bindings; for the other workers'. */
void worker_flow_gone(struct worker *w, const struct flow *flow, int err);
void worker_tell_gone(struct worker *w, const struct flow *flow, int err);

/* --- publish.c --- */
void worker_publish(void *arg, const struct reg_update *u); /* registrar_params.publish */
void worker_pay_owed(struct worker *w); /* what could not be told before; also runs by itself */
void worker_forget_owed(struct worker *w);

/* --- limits.c --- */
void worker_limit_row(struct json *j, const struct policy *p, const struct policy_limit_row *row);
void worker_limit_metrics(struct b2bua *b, const struct config *cfg, struct buf *t);
/* --- shed.c, peers.c --- */
void worker_add_overload(struct ask *sum, const struct ask *a); /* shed.c: the worst of all */
void worker_put_overload(struct json *j, const struct ask *s);
void worker_overload_metrics(struct buf *t, const struct ask *s);
void worker_peer_metrics(struct buf *t, struct b2bua *b, const struct config *cfg);
/* --- listen.c --- */
/* Sockets for the listeners that have none yet; they are abandoned unless the configuration comes
 * into force. The errno of bind, with words. */
int worker_open(struct worker *w, struct config *cfg, struct buf *why);
void worker_abandon(struct worker *w);
void worker_take_sockets(struct worker *w, const struct config *old, const struct config *cfg);
void worker_close_unused(struct worker *w);
bool worker_serves(const struct worker *w, uint8_t listener); /* new calls may begin there */

/* --- house.c, reload.c --- */
void house_tell_config(struct b2bua *b);
void house_set_ring(struct b2bua *b, struct token_ring *r); /* takes ownership; turn held */
int64_t house_key_life_ms(const struct b2bua *b);
void house_free_retired(struct b2bua *b, bool all);
void house_end_old_pool(struct b2bua *b);

/* --- worker.c --- */
static inline bool worker_is_node(const struct worker *w, uint16_t node)
{
    return node < 1024 && (w->nodes[node / 64] >> node % 64 & 1) != 0;
}
void worker_be_node(struct worker *w, uint16_t node);
int worker_new(struct worker **wp, struct b2bua *b, uint8_t index);
int worker_listen(struct worker *w, const char **why);
int worker_run(struct worker *w);
/* Ends calls and bindings: of every worker before the first one is freed, because they reach out
 * for each other's connections. Idempotent. */
void worker_close(struct worker *w);
void worker_free(struct worker **wp);
/* registrar_params.via */
void worker_via(void *arg, const struct flow *flow, struct addr *out);
int worker_look(void *arg, const struct dialog *d, struct buf *b);
void worker_apply_config(struct worker *w, struct config *cfg);

#endif
