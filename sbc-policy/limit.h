/* limit.h - how much of everything: calls, requests and registrations of the node, a peer or a
 * user, unanswered calls of a source, and what goes to expensive destinations. What the
 * configuration says, what a decision says of it, and what is in use. Part of policy.h.
 * Thread: any; the state is atomic and lives in the book, so counts are exact across workers. */
#ifndef POSTERN_POLICY_LIMIT_H
#define POSTERN_POLICY_LIMIT_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_DESTINATIONS_MAX 64 /* rules */
#define POLICY_DESTINATION_FITS 8  /* rules that count one call; the rest is not asked */
#define POLICY_NUMBERS_MAX 64      /* different numbers that one rule can tell apart */
#define POLICY_RANGE_MAX 14        /* symbols of a range */
#define POLICY_TOLD_MAX 4          /* warnings that one decision carries */

enum policy_limit_kind {
    POLICY_CALLS,         /* at once */
    POLICY_CALL_RATE,     /* new ones per second */
    POLICY_REQUEST_RATE,  /* requests outside dialogs per second */
    POLICY_REGISTRATIONS, /* devices of one user */
    POLICY_EARLY,         /* calls of one source that nobody has answered yet */
    POLICY_DEST_CALLS,    /* in a window, as the other three */
    POLICY_DEST_MINUTES,
    POLICY_DEST_NUMBERS,
    POLICY_DEST_PARALLEL, /* at once */
    POLICY_LIMIT_KINDS
};
enum policy_scope {
    POLICY_OF_NODE,
    POLICY_OF_PEER,
    POLICY_OF_USER,
    POLICY_OF_SOURCE,
    POLICY_OF_DESTINATION,
    POLICY_SCOPES
};

struct policy_answer { /* to what is over a limit; 0, NULL: the usual */
    uint16_t status;   /* 503 */
    uint32_t retry_after_s;
    const char *reason;
};
struct policy_limit { /* 0: no limit */
    uint32_t calls;
    uint32_t calls_per_second; /* sustained */
    uint32_t call_burst;       /* at once after a silence; 0: a second's worth */
    uint32_t requests_per_second, request_burst;
    uint32_t registrations;
    uint32_t early;        /* a peer's own for each of its addresses; 0: that of all sources */
    uint32_t warn_percent; /* of a limit in use: a warning; 0: none */
    struct policy_answer answer;
};

struct policy_ref;
struct policy_destination { /* what may go to numbers that cost money */
    const char *name;
    struct policy_ref *from; /* whose calls; empty: everybody's */
    size_t n_from;
    const char *called; /* glob; NULL: any */
    struct policy_number_match called_by;
    bool together;     /* one count for all; else each peer and each user has its own */
    uint32_t range;    /* a count for each range of numbers that share so many symbols; 0: one */
    uint32_t window_s; /* calls, minutes and numbers begin anew after it */
    uint32_t calls, minutes, numbers, parallel; /* 0: no limit */
    uint32_t warn_percent;
    struct policy_answer answer;
    struct policy_counter *counter; /* filled in by policy_compile: its number in the book */
};

/* --- what a decision says of limits --- */
struct policy_limit_hit {
    uint8_t scope, kind; /* enum policy_scope, policy_limit_kind */
    uint16_t index;      /* peer or destination */
    uint32_t use, max;
};
struct policy_told {
    struct policy_limit_hit over; /* what stood in the way, when is_over */
    bool is_over;
    uint8_t n_near;
    struct policy_limit_hit near[POLICY_TOLD_MAX]; /* just came near: once per episode */
};
struct policy;
struct policy_verdict;
/* The setting's name, "peers.carrier.limits.calls"; an account's is not told. */
void policy_put_limit(struct buf *b, const struct policy *p, const struct policy_limit_hit *hit);
const char *policy_limit_word(enum policy_limit_kind kind); /* "calls_per_second" */
const char *policy_scope_word(enum policy_scope scope);     /* "peer" */

/* --- beside policy_decide() --- */
/* One new request of a known party that is not decided on (REGISTER, OPTIONS); user -1: the peer's.
 * False: v says how to answer. */
bool policy_take_request(const struct policy *p, const struct policy_ref *party, int user,
                         int64_t now_ms, struct policy_verdict *v);
/* A user's devices become `now` from `before`. False: too many, nothing changed; v says how to
 * answer. Only the worker that owns the user asks. */
bool policy_take_registrations(const struct policy *p, int user, uint32_t before, uint32_t now,
                               struct policy_verdict *v);
void policy_note_registrations(const struct policy *p, int user, uint32_t now); /* fewer by now */
/* The verdict's call was answered: no early call any more, its minutes begin. */
void policy_answered(const struct policy *p, struct policy_verdict *v, int64_t now_ms);
/* It is over: its minutes are written down, and all goes back as policy_release() does. */
void policy_ended(const struct policy *p, struct policy_verdict *v, int64_t now_ms);
/* Of a policy that is only asked, once the call is over: windows, too, know nothing of it. */
void policy_forget(const struct policy *p, const struct policy_verdict *v);
/* Limits of a peer as target: false = over, nothing taken. */
bool policy_peer_take(const struct policy *p, unsigned peer, int64_t now_ms);
void policy_peer_release(const struct policy *p, unsigned peer);
uint32_t policy_calls_now(const struct policy *p, int peer); /* -1: the node */
/* policy_peer_take() that leaves its step, warnings and refusal in the verdict. */
bool policy_target_take(const struct policy *p, unsigned peer, int64_t now_ms,
                        struct policy_verdict *v);

/* --- what is in use --- */
struct policy_limit_row {
    uint64_t at; /* where the walk goes on: pass it to policy_limits_walk() */
    struct policy_limit_hit hit;
    char name[96]; /* peer, account, address or "peer carrier 49900"; empty: the node */
    uint32_t warn_at;
    bool is_near;
    uint64_t refused, warned;
};
typedef bool(policy_limit_fn)(const struct policy_limit_row *row, void *arg);  /* false: enough */
uint32_t policy_destination_calls(const struct policy *p, size_t destination); /* now */
/* Limits that are set, from the first one after `after` on (0: all): the node's, peers', rules'
 * always, users' and sources' while they use something. scope -1: all. */
void policy_limits_walk(const struct policy *p, int scope, uint64_t after, int64_t now_ms,
                        policy_limit_fn *fn, void *arg);
struct policy_met {                 /* a request, as far as limits are concerned */
    const struct policy_verdict *v; /* who asks, and where to; need not be of this policy's time */
    struct addr source;
    struct sl called; /* at the end of the routes */
    bool is_call;     /* unanswered calls and destinations count it, too */
};
/* Limits that are set and that such a request meets, in the order of the decision: those of who
 * asks, its address, the destinations, the node, the targets. Nothing is taken. */
void policy_limits_met(const struct policy *p, const struct policy_met *m, int64_t now_ms,
                       policy_limit_fn *fn, void *arg);

#endif
