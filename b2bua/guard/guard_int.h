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
    struct clock clock;       /* real time */
    const struct clock *virt; /* or this one; then there are no descriptors, so no helper */
    struct store *store;
    struct policy_gate *gate;
    struct timer tick;
    pthread_mutex_t lock; /* all below; no worker takes it */
    struct config *cfg;
    struct policy_bans *bans;
    struct firewall *firewall;
};

static inline const struct clock *guard_clock(const struct guard *g)
{
    return g->virt != NULL ? g->virt : &g->clock;
}
struct policy_now guard_now(const struct guard *g); /* any thread */

/* --- helper.c --- */
struct helper {
    char program[256];
    char node[64];
    bool is_json;
    int fd; /* our end of the pair; -1: there is none */
    pid_t pid;
    struct fdw *watch;
};
MUST_USE int helper_find(struct helper *h); /* program: beside this one */
MUST_USE int helper_start(struct helper *h, struct loop *loop, fd_fn *fn, void *arg);
MUST_USE int helper_watch(struct helper *h, int what); /* LOOP_READ, LOOP_WRITE */
void helper_say_goodbye(struct helper *h); /* the table goes; waits for it a bounded time */
void helper_end(struct helper *h);         /* kills; idempotent */

/* --- firewall.c: the helper that keeps bans in the kernel. Thread: the loop's, but for those
 * marked "any"; all under guard.lock --- */
struct firewall_params {
    struct loop *loop;
    const struct clock *clock; /* of any thread */
    pthread_mutex_t *lock;
    const char *node; /* copied; how the helper's log lines look */
    bool is_json;
    /* Calls firewall_ban() for each ban in force, the networks that cover others alone. */
    void (*fill)(void *arg);
    void *arg;
};
MUST_USE int firewall_new(struct firewall **fp, const struct firewall_params *p);
/* The loop does not run any more. The helper is asked to remove its table, and waited for. */
void firewall_free(struct firewall **fp);
void firewall_want(struct firewall *f, bool on); /* any: starts or ends the helper, soon */
void firewall_resync(struct firewall *f);        /* any: soon all is compared */
/* Any. Without a helper nothing happens: it asks for everything when it comes. */
void firewall_ban(struct firewall *f, const struct policy_ban *ban);
void firewall_unban(struct firewall *f, const struct policy_ban *ban);
bool firewall_is_up(const struct firewall *f); /* any: the kernel drops what is banned */
struct guard_firewall firewall_figures(const struct firewall *f); /* any */

/* --- rows.c: bans as the store keeps them --- */
void guard_keep(struct guard *g, const struct policy_ban *ban);
void guard_forget(const struct policy_ban *ban, void *arg); /* struct guard; policy_ban_fn */

/* --- words.c --- */
extern const char *const guard_proof_words[];
void guard_put_prefix(struct buf *b, const struct prefix *p); /* 203.0.113.9/32 */
/* conventions: trusted fields first, the peer's words quoted and last. is_shared: users have proven
 * themselves behind the address, so the line says of no proof. */
void guard_log_offence(const struct guard_offence *o, bool is_shared);
void guard_log_ban(const struct policy_ban *ban, const char *what);
void guard_put_ban_members(const struct guard *g, struct json *j, const struct policy_ban *ban);

#endif
