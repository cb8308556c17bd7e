/* route_int.h - how routes are found: compiled matches, the index over them, the facts of a
 * request.
 */
#ifndef POSTERN_POLICY_ROUTE_INT_H
#define POSTERN_POLICY_ROUTE_INT_H

#include "sbc-policy/policy.h"

#define POLICY_HOST_MAX 256 /* a longer host matches no domain pattern */

struct policy_match { /* a route as match.c wants it; p NULL: any */
    struct sl called, calling, method;
    struct sl domain; /* in lower case */
    struct policy_cond *conds;
    uint16_t called_tag, calling_tag;         /* of the table; POLICY_TAG_NONE: any row */
    struct policy_ref to[POLICY_TARGETS_MAX]; /* groups spelled out */
    size_t n_to;
};

/* index.c: which routes can match at all, by who asks and by the front of the called number. Saves
 * looking at each of ten thousand; never leaves one out that would match. */
struct policy_bucket {
    uint64_t key; /* 0: empty */
    uint32_t first, n;
};
struct policy_index {
    struct policy_bucket *buckets; /* open addressing; n_buckets a power of two */
    size_t n_buckets;
    uint16_t *routes; /* rising within a bucket */
    uint64_t lengths; /* bit n: there are fronts of n bytes */
    uint64_t tables;  /* bit n: table n is asked for */
    uint8_t key[16];
};
#define POLICY_SCAN_MAX 100 /* with fewer routes each is looked at, and each leaves its trace */

struct policy_facts { /* of the request, made ready once */
    const struct policy_request *rq;
    const struct policy_ref *source;
    struct sl called, calling; /* as they are now */
    struct sl user;            /* account; p NULL: a peer */
    struct sl host;            /* in lower case; p NULL: too long for any pattern */
    char text[POLICY_HOST_MAX];
    uint64_t known[2]; /* tables asked already, for called and calling */
    uint16_t tags[2][POLICY_TABLES_MAX];
};

#define POLICY_WAYS_MAX 256 /* lists that one request can draw from; two for each front */
struct policy_ways {
    struct {
        const uint16_t *at, *end;
    } e[POLICY_WAYS_MAX];
    size_t n;
};
MUST_USE int policy_index_build(struct policy_index *x, const struct policy *p);
void policy_index_free(struct policy_index *x);
/* The routes from `from` on that may match; false: every one is to be tried. */
bool policy_ways_find(struct policy_ways *w, const struct policy *p, struct policy_facts *f,
                      size_t from);
size_t policy_ways_next(struct policy_ways *w); /* SIZE_MAX: no more */

/* match.c */
MUST_USE int policy_matches_build(struct policy *p);
void policy_facts_init(struct policy_facts *f, const struct policy *p,
                       const struct policy_request *rq, const struct policy_verdict *v);
enum policy_step_result policy_try(const struct policy *p, size_t route, struct policy_facts *f);
/* Is this call one that a destination counts? */
bool policy_is_dialled(const struct policy *p, size_t destination, struct policy_facts *f);
MUST_USE int policy_dialled_build(struct policy *p);
uint16_t policy_facts_tag(const struct policy *p, struct policy_facts *f, bool calling,
                          uint16_t table);
/* What a reference stands for: itself, or the members of its group. */
const struct policy_ref *policy_ref_spell(const struct policy_def *def,
                                          const struct policy_ref *ref, size_t *n);

/* route.c: from a source to a route. True: the verdict has targets or a redirection. */
bool policy_find_route(const struct policy *p, const struct policy_request *rq,
                       struct policy_verdict *v);

/* decide.c */
void policy_note(struct policy_verdict *v, enum policy_step_kind kind,
                 enum policy_step_result result, size_t index);
void policy_note_scope(struct policy_verdict *v, enum policy_step_result result,
                       enum policy_scope scope, size_t index); /* a limit's step */
void policy_refuse(struct policy_verdict *v, uint16_t code, const char *reason);
/* callout.c: what becomes of a request at a route with a callout. */
enum policy_heard { POLICY_HEARD_GO_ON, POLICY_HEARD_ROUTE, POLICY_HEARD_END };
enum policy_heard policy_hear(const struct policy *p, const struct policy_request *rq, size_t route,
                              struct policy_verdict *v);

static inline bool policy_is_miss(unsigned result)
{
    return result >= POLICY_MISS_FROM && result <= POLICY_MISS_COSTLY;
}

#endif
