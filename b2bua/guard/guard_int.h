/* guard_int.h - what the files of guard/ share. */
#ifndef POSTERN_GUARD_INT_H
#define POSTERN_GUARD_INT_H

#include "guard/guard.h"
#include "loop/loop.h"

#include <pthread.h>

struct guard {
    struct loop *loop;
    pthread_t thread;
    bool running;
    struct store *store;
    struct policy_gate *gate;
    struct timer tick;
    pthread_mutex_t lock; /* all below; no worker takes it */
    struct config *cfg;
    struct policy_bans *bans;
};

/* --- rows.c: bans as the store keeps them --- */
void guard_keep(struct guard *g, const struct policy_ban *ban);
void guard_forget(const struct policy_ban *ban, void *arg); /* struct guard; policy_ban_fn */

/* --- words.c --- */
extern const char *const guard_proof_words[];
void guard_put_prefix(struct buf *b, const struct prefix *p); /* 203.0.113.9/32 */
/* conventions: trusted fields first, the peer's words quoted and last. */
void guard_log_offence(const struct guard_offence *o);
void guard_log_ban(const struct policy_ban *ban, const char *what);
void guard_put_ban_members(struct json *j, const struct policy_ban *ban, int64_t wall_ms);

#endif
