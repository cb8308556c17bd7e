/* b2bua.h - what the admin API may ask of the running house. Implemented in b2bua/worker/.
 * Thread: any admin thread; each call posts a message to the owner and waits at most 2 s
 * (ETIMEDOUT). Live objects never leave their worker: answers are text. */
#ifndef POSTERN_B2BUA_H
#define POSTERN_B2BUA_H

#include "base/base.h"

struct b2bua;

#define B2BUA_WAIT_MS 2000

/* Detail of a live call as one JSON object (same shape as the stored detail, with "live": true and
 * current media counters), or its ladder as the stored opaque bytes. ENOENT: not alive. */
MUST_USE int b2bua_call_detail(struct b2bua *b, uint64_t id, struct buf *json);
MUST_USE int b2bua_call_ladder(struct b2bua *b, uint64_t id, struct buf *bytes);
/* Hangs up: BYE on both legs, or CANCEL and a failure when not yet answered. ENOENT: not alive. */
MUST_USE int b2bua_call_hangup(struct b2bua *b, uint64_t id);

/* New SRTP keys by a re-INVITE on the sides of the call that have SDES keys (RFC 4568): at once, or
 * when the exchange under way is done. ENOENT: not alive; EPROTO: not answered yet, or no such side
 * has keys to change. */
enum b2bua_side { B2BUA_CALLER = 1, B2BUA_CALLEE = 2, B2BUA_BOTH = 3 };
MUST_USE int b2bua_call_rekey(struct b2bua *b, uint64_t id, enum b2bua_side sides);

/* Writes ladder bytes (live or stored) as JSON array of
 * {"t_ms","leg","dir","message","cseq","note"} into j. EBADMSG. Pure. */
MUST_USE int b2bua_ladder_json(struct sl bytes, struct json *j);

/* JSON object members for /v1/system (node, version, workers, calls, transactions, ports, sockets,
 * lag, store, draining) and array for /v1/peers (name, listener, targets, calls now, limits,
 * counters). */
MUST_USE int b2bua_system_json(struct b2bua *b, struct json *j);
MUST_USE int b2bua_peers_json(struct b2bua *b, struct json *j);

/* No new calls to a peer, or to one of its targets (uri as written; NULL: all of it), until undone
 * or the process ends. ENOENT: no such peer or target. */
MUST_USE int b2bua_peer_drain(struct b2bua *b, struct sl name, struct sl uri, bool on);
/* Limits: members "packets_per_second" and "items", a row for each limit that is set (users',
 * sources' and destinations' while something is in use). */
struct b2bua_limits {
    int scope;      /* enum policy_scope; -1: all */
    uint64_t after; /* 0: from the start */
    uint32_t limit; /* rows */
    uint64_t next;  /* out: where to go on; 0: nowhere */
};
MUST_USE int b2bua_limits_json(struct b2bua *b, struct b2bua_limits *q, struct json *j);

/* Bans. json: elements of a list, newest first, from below an id (0: all); *next_id: where to go
 * on, 0: nowhere. One ban with its evidence; what would happen to an address and why. ENOENT. */
MUST_USE int b2bua_bans_json(struct b2bua *b, uint64_t before_id, uint32_t limit, struct json *j,
                             uint64_t *next_id);
MUST_USE int b2bua_ban_json(struct b2bua *b, uint64_t id, struct json *j);
MUST_USE int b2bua_ban_explain(struct b2bua *b, const struct addr *ip, struct json *j);
/* EPERM: a peer, a target or an allowed network lies there; EINVAL: too wide; ENOBUFS: full. */
MUST_USE int b2bua_ban_add(struct b2bua *b, const struct prefix *at, int64_t for_ms,
                           struct sl reason, uint64_t *id);
/* json: the ban that was lifted. ENOENT. */
MUST_USE int b2bua_ban_remove(struct b2bua *b, uint64_t id, struct json *j);
/* The ban of this very prefix, or the widest that holds its address. 0: none. */
uint64_t b2bua_ban_of(struct b2bua *b, const struct prefix *at, bool exact);

/* --- trying out: nothing is sent, counted or remembered --- */
#define B2BUA_EXPLAIN_MAX (64u << 10) /* bytes of a message */
struct b2bua_question {               /* a request, and how it would come; borrowed */
    struct sl message;                /* line ends may be bare */
    struct addr source;               /* AF_UNSPEC: what the topmost Via says */
    struct sl listener;               /* name; empty: where the source belongs */
    struct sl transport;              /* udp, tcp, tls; empty: udp */
    struct sl peer;                   /* proven by a certificate; empty: nobody */
    struct sl user;                   /* account that has proven itself; empty: none */
    int64_t wall_ms;                  /* Unix time of its coming; 0: now */
    bool has_random;                  /* else a fresh one */
    uint64_t random;                  /* of a recorded call: it decides between weights */
};
/* What would become of it: verdict, trace, limits, and every message that would go out. EINVAL:
 * *why (static) says what is wrong with the question; EMSGSIZE, ENOMEM, ETIMEDOUT. */
MUST_USE int b2bua_explain(struct b2bua *b, const struct b2bua_question *q, struct json *j,
                           const char **why);
/* The question that a recorded call was (store_read_asked); borrows from it. EBADMSG. */
MUST_USE int b2bua_recall(struct sl asked, struct b2bua_question *q);

/* Recorded calls under a candidate configuration, each as if it were alone. */
struct b2bua_replay;
/* EBADMSG: the candidate is wrong, and errors got an array of texts; ENOMEM. */
MUST_USE int b2bua_replay_open(struct b2bua_replay **rp, struct sl yaml, struct json *errors);
enum b2bua_replay_result {
    B2BUA_REPLAY_SAME,
    B2BUA_REPLAY_CHANGED,
    B2BUA_REPLAY_LIMITED /* a limit decided then: that tells nothing about the configuration */
};
/* CHANGED: the members old, new, trace and why are written into the open object. EBADMSG. */
MUST_USE int b2bua_replay(struct b2bua_replay *r, struct sl asked, struct json *j,
                          enum b2bua_replay_result *result);
void b2bua_replay_close(struct b2bua_replay **rp); /* accepts NULL */

struct b2bua_ready {
    bool ready;     /* all of the following */
    bool listeners; /* bound */
    bool store;     /* writing, reading */
    bool not_draining;
    bool workers;        /* every worker answered in time */
    bool not_overloaded; /* no worker refuses everybody's new calls */
    char why[128];
};
void b2bua_get_ready(struct b2bua *b, struct b2bua_ready *out);

/* Gauges for /metrics in Prometheus text (calls by state, transactions, ports, bindings,
 * connections, lag, backlog, peers). Counters come from stat_sum(). */
MUST_USE int b2bua_metrics(struct b2bua *b, struct buf *text);
const char *b2bua_version(void);

#endif
