/* limit_int.h - the state of limits, and how it is taken and given back. */
#ifndef POSTERN_POLICY_LIMIT_INT_H
#define POSTERN_POLICY_LIMIT_INT_H

#include "sbc-policy/policy.h"
#include "sbc-policy/tally.h"

#define POLICY_NODE UINT16_MAX /* the index of the node, or of nobody, in a step */
#define POLICY_RETRY_CALLS_S 5 /* a call has to end first: longer than a slot of the rate */
#define POLICY_COUNTED (POLICY_EARLY + 1) /* kinds of a counter; a destination has its own four */
#define POLICY_SOURCES 16384u             /* entries: addresses with unanswered calls */
#define POLICY_DIALLED 65536u             /* party by destination by range */
#define POLICY_DIALLED_SHARE (POLICY_DIALLED / 8) /* of one party in one destination */

/* One per party and name, and process. All workers write what stands in the middle; what stands
 * around it keeps two of them out of one cache line. */
struct policy_counter {
    struct hnode node;
    size_t refs; /* policies that speak of it; under the book's lock */
    uint8_t party;
    uint8_t name_n;
    uint32_t id; /* of its kind of party; never given again */
    char name[POLICY_NAME_MAX];
    _Atomic uint32_t calls;
    _Atomic uint32_t registrations;
    _Atomic int64_t next_ns; /* GCRA: when the next call would be due at an even pace */
    _Atomic int64_t next_request_ns;
    _Atomic uint32_t warned; /* bit per kind: its episode is on */
    _Atomic uint32_t refused[POLICY_COUNTED], warnings[POLICY_COUNTED];
    char pad_after[32];
};

/* --- book.c. Thread: any (locked), never on the way of a call --- */
/* party: POLICY_PEER, POLICY_USERS (an account), or POLICY_NOBODY (a destination). */
MUST_USE int policy_book_get(struct policy_book *book, enum policy_party party, struct sl name,
                             struct policy_counter **counter);
void policy_book_put(struct policy_book *book, struct policy_counter *counter);
struct policy_counter *policy_book_node(struct policy_book *book);
/* Made when the first policy asks; they live as long as the book. ENOMEM. */
MUST_USE int policy_book_tallies(struct policy_book *book, struct tally **sources,
                                 struct tally **dialled);

/* compile.c: the account whose counter has this number, or -1. */
int policy_user_by_id(const struct policy *p, uint32_t id);

/* --- limit.c --- */
struct policy_rate {
    uint32_t per_second, burst; /* burst 0: a second's worth */
};
/* One number is the whole state: the time at which the next one would be due. has: take would
 * succeed now. use: of the burst, afterwards. */
bool policy_rate_has(const _Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms);
bool policy_rate_take(_Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms,
                      uint32_t *use);
uint32_t policy_rate_use(const _Atomic int64_t *next_ns, struct policy_rate rate, int64_t now_ms);
uint32_t policy_rate_burst(struct policy_rate rate);

/* What limits are taken for: the setting, and the verdict that hears of it. */
struct policy_taker {
    const struct policy_limit *limit;
    struct policy_counter *counter;
    struct policy_verdict *v;
    uint8_t scope; /* enum policy_scope */
    uint16_t index;
};
/* One call and its place in the rate. False: the verdict refuses. */
bool policy_counter_take(const struct policy_taker *k, int64_t now_ms);
/* As if take had not happened, the place in the rate included. */
void policy_counter_undo(struct policy_counter *c, const struct policy_limit *limit);
void policy_counter_release(struct policy_counter *c, const struct policy_limit *limit);

uint32_t policy_warn_at(uint32_t max, uint32_t percent); /* UINT32_MAX: never */
/* A use that came near its limit: true once, until it has been well below again. */
bool policy_comes_near(_Atomic uint32_t *warned, unsigned kind, uint32_t use, uint32_t warn_at);
void policy_tell_near(struct policy_verdict *v, const struct policy_limit_hit *hit);
/* Refuses by the answer of the limit; retry_s: the usual time. */
void policy_tell_over(struct policy_verdict *v, const struct policy_limit_hit *hit,
                      const struct policy_answer *answer, uint32_t retry_s);

/* --- destination.c --- */
bool policy_early_take(const struct policy *p, const struct policy_request *rq, int64_t now_ms,
                       struct policy_verdict *v);
void policy_early_release(const struct policy *p, struct policy_verdict *v);
bool policy_destinations_take(const struct policy *p, const struct policy_request *rq,
                              int64_t now_ms, struct policy_verdict *v);
/* undo: the call was not let through after all. */
void policy_destinations_release(const struct policy *p, struct policy_verdict *v, bool undo);
/* Where a source's limit is written: its peer's, or that of all sources. */
const struct policy_limit *policy_early_limit(const struct policy *p,
                                              const struct policy_ref *source, bool *is_peers);
/* The limit of unanswered calls that the verdict's source has, without its use, and who counts. */
void policy_early_hit(const struct policy *p, const struct policy_verdict *v,
                      struct policy_limit_hit *hit, struct policy_counter **counter);
/* Keys of the tallies, made and read. */
bool policy_early_key(const struct addr *source, struct tally_key *key); /* false: no address */
struct tally_key policy_destination_key(const struct policy *p, const struct policy_destination *d,
                                        const struct policy_verdict *v, struct sl number);
#define POLICY_KEY_SOURCE ((uint64_t)1 << 60)
#define POLICY_KEY_DIALLED ((uint64_t)2 << 60)
#define POLICY_KEY_ALL_RANGES UINT64_MAX /* of one party: how many ranges it fills */

#endif
