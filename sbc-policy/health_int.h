/* health_int.h - the circuit breaker of one target as one word, and the shelf of all targets. */
#ifndef POSTERN_POLICY_HEALTH_INT_H
#define POSTERN_POLICY_HEALTH_INT_H

#include "sbc-policy/policy.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- circuit.c: pure --- */
enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_TRIAL, CIRCUIT_NSTATES };
enum circuit_event {
    CIRCUIT_TAKE,    /* a call wants to go there */
    CIRCUIT_GOOD,    /* a call got an answer */
    CIRCUIT_BAD,     /* a call failed */
    CIRCUIT_POOR,    /* too few calls are answered */
    CIRCUIT_ABANDON, /* a call ended without proof of anything */
    CIRCUIT_NEVENTS
};
struct circuit {
    uint8_t state;
    uint8_t level;    /* how often in a row it was opened, less one */
    uint32_t bad;     /* failures in a row */
    int64_t until_ms; /* OPEN: when a trial may begin; TRIAL: when it counts as lost */
};
uint64_t circuit_pack(const struct circuit *c);
void circuit_unpack(uint64_t word, struct circuit *c);
/* False: a call may not go there. */
bool circuit_feed(struct circuit *c, enum circuit_event ev, const struct policy_breaker *b,
                  int64_t now_ms);

/* --- health.c --- */
struct policy_healths {   /* in the book */
    pthread_mutex_t lock; /* map and refs */
    struct hmap map;
};
MUST_USE int policy_healths_init(struct policy_healths *h);
void policy_healths_free(struct policy_healths *h);

struct policy_def;
MUST_USE int policy_health_attach(struct policy_healths *h, struct policy_def *def);
void policy_health_detach(struct policy_healths *h, struct policy_def *def);

/* What the health of its peers makes of a verdict. False: it was refused. */
bool policy_heed(const struct policy *p, struct policy_verdict *v, int64_t now_ms);

#endif
