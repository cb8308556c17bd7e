/* worker.h - the running house: workers with their tables, the messages between them, start,
 * reload, drain and stop. b2bua.h is the part of it that the admin API sees. Thread: main, unless
 * said otherwise. */
#ifndef POSTERN_WORKER_H
#define POSTERN_WORKER_H

#include "b2bua/b2bua.h"
#include "config/config.h"
#include "store/store.h"

struct b2bua_params {
    struct config *cfg;  /* a reference is taken */
    struct store *store; /* open; kept */
};
/* Loads or makes the token key, builds every worker, binds all sockets, loads bindings, starts the
 * threads. On error nothing runs and *why (static or thread-local text) says what failed. */
MUST_USE int b2bua_start(struct b2bua **bp, const struct b2bua_params *p, const char **why);
/* New snapshot for new calls; running ones keep theirs. First all that may fail: new sockets are
 * bound, and *why says what was not to be had; then abandon, or commit, which cannot fail and takes
 * a reference. One change at a time. Thread: any. */
MUST_USE int b2bua_prepare(struct b2bua *b, struct config *cfg, struct buf *why);
void b2bua_commit(struct b2bua *b, struct config *cfg);
void b2bua_abandon(struct b2bua *b);
/* To be called every few hundred ms. Tells workers what did not fit into their mailboxes before. A
 * fresh token key once the current one is older than a day and than the longest call; the one
 * before stays valid. */
void b2bua_tick(struct b2bua *b, int64_t wall_ms);
void b2bua_drain(struct b2bua *b);     /* new calls and /readyz: 503 */
void b2bua_drain_end(struct b2bua *b); /* running calls end with BYE */
/* Running calls; ended ones whose last answers are awaited. UINT32_MAX: a worker does not answer.
 */
uint32_t b2bua_alive(struct b2bua *b);
uint32_t b2bua_finishing(struct b2bua *b);
/* Without a running house: nobody is registered, banned or in a call. Text or one JSON object.
 * EINVAL: *why (static) says what is wrong with the question. Thread: any. */
MUST_USE int explain_offline(struct config *cfg, const struct b2bua_question *q, bool as_json,
                             struct buf *out, const char **why);
void b2bua_stop(struct b2bua **bp); /* joins the threads, frees everything but the store */

#endif
