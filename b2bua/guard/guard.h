/* guard.h - one thread that keeps score: workers report offences, it decides on bans by the
 * policy's book, marks them at the gate, keeps them in the store and writes the security log.
 * Thread: guard_report(), guard_good() and guard_set_config() any; the questions of the admin API
 * any (they wait for a lock that no worker ever takes); the rest main. */
#ifndef POSTERN_GUARD_H
#define POSTERN_GUARD_H

#include "config/config.h"
#include "store/store.h"

struct guard;
struct guard_params {
    struct config *cfg;       /* a reference is taken */
    struct policy_gate *gate; /* borrowed */
    struct store *store;      /* borrowed; NULL: bans end with the process */
    struct clock *virt;       /* tests: no thread, guard_advance() */
};
MUST_USE int guard_new(struct guard **gp, const struct guard_params *p);
/* Bans that the store remembers come into force again. Before guard_run(). */
MUST_USE int guard_load(struct guard *g, const char *store_path);
MUST_USE int guard_run(struct guard *g); /* starts the thread */
/* Stops it; the kernel's bans go, too. Accepts NULL. */
void guard_free(struct guard **gp);
void guard_set_config(struct guard *g, struct config *cfg); /* accepts NULL */
void guard_advance(struct guard *g, int64_t ms);            /* virtual clock only */

struct guard_offence {
    enum policy_event event;
    enum policy_proof proof;
    struct addr source;
    const char *transport; /* static: "udp", "tcp", ... */
    struct sl method, user, user_agent;
    struct sl evidence; /* the whole message; the beginning is kept */
};
/* Copies. Bounded: what comes while too much waits is counted and lost. */
void guard_report(struct guard *g, const struct guard_offence *o);
/* Somebody gave the right password from this address. */
void guard_good(struct guard *g, const struct addr *source);

/* --- for the admin API; all write one JSON object or list member --- */
struct guard_page {
    uint64_t before_id; /* 0: from the newest */
    uint32_t limit;
    uint64_t next_id; /* out: cursor, 0: that was all */
};
void guard_put_bans(struct guard *g, struct json *j, struct guard_page *page); /* elements */
MUST_USE int guard_put_ban(struct guard *g, struct json *j, uint64_t id);      /* ENOENT */
/* What is known of an address: ban, points, protection, and in words what would happen to it. */
void guard_put_address(struct guard *g, struct json *j, const struct addr *ip);
/* EPERM: it would hit a peer, a target or an allowed network; EINVAL; ENOBUFS; ENOMEM. */
MUST_USE int guard_add(struct guard *g, const struct prefix *at, int64_t for_ms, struct sl reason,
                       uint64_t *id);
/* Writes what was let go. ENOENT. */
MUST_USE int guard_remove(struct guard *g, uint64_t id, struct json *j);
/* The ban of this very prefix, or the widest that holds its address now; 0: none. */
uint64_t guard_ban_of(struct guard *g, const struct prefix *at, bool exact);
size_t guard_count(struct guard *g); /* in force */

/* The kernel's part, with `firewall: nftables`: a helper of its own keeps it (nft/nft.h). */
struct guard_firewall {
    bool up;                /* else the workers drop alone */
    uint64_t held, packets; /* bans in the kernel and what they dropped, when last compared */
};
struct guard_firewall guard_firewall(struct guard *g);

#endif
