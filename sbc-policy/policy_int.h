/* policy_int.h - what the files of sbc-policy/ share. */
#ifndef POSTERN_POLICY_INT_H
#define POSTERN_POLICY_INT_H

#include "sbc-policy/health_int.h"
#include "sbc-policy/marks.h"
#include "sbc-policy/policy.h"
#include "sbc-policy/route_int.h"

#include <stdatomic.h>

#define POLICY_NODE UINT16_MAX /* the index of the node, or of nobody, in a step */
#define POLICY_RETRY_DOWN_S 30 /* until probes have found out more */
#define POLICY_RETRY_CALLS_S 5 /* a call has to end first: longer than a slot of the rate */

/* One per name and process. All workers write it: a cache line of its own. */
struct policy_counter {
    struct hnode node;
    size_t refs; /* policies that speak of it; under the book's lock */
    char name[POLICY_NAME_MAX];
    size_t name_n;
    uint32_t id; /* never given again */
    char pad_before[64];
    _Atomic uint32_t calls;
    _Atomic int64_t next_ns; /* GCRA: when the next call would be due at an even pace */
    char pad_after[64];
};

/* book.c. Thread of get and put: any (locked), never on the way of a call. */
MUST_USE int policy_book_get(struct policy_book *book, struct sl name,
                             struct policy_counter **counter);
void policy_book_put(struct policy_book *book, struct policy_counter *counter);
struct policy_counter *policy_book_node(struct policy_book *book);
struct policy_healths *policy_book_healths(struct policy_book *book);

/* What stood in the way; POLICY_ROOM: nothing, and one call was counted. */
enum policy_room { POLICY_ROOM, POLICY_FULL, POLICY_FAST };
enum policy_room policy_counter_take(struct policy_counter *c, const struct policy_limit *limit,
                                     int64_t now_ms);
/* As if take had not happened, the place in the rate included. */
void policy_counter_undo(struct policy_counter *c, const struct policy_limit *limit);
void policy_counter_release(struct policy_counter *c);

/* A rate as one number, the time at which the next one would be due. has: take would succeed now.
 */
bool policy_rate_has(const _Atomic int64_t *next_ns, uint32_t per_second, int64_t now_ms);
bool policy_rate_take(_Atomic int64_t *next_ns, uint32_t per_second, int64_t now_ms);

/* source.c: who may speak from where, by longest prefix. */
struct policy_source {
    uint8_t listener, is_v6, bits;
    uint16_t peer;
    uint8_t key[16]; /* the address in network order, IPv4 in the first four */
};
struct policy_net { /* sources of one listener, family and prefix length */
    uint8_t is_v6, bits;
    uint32_t first, n;
};
struct policy_sources {
    struct policy_source *e; /* sorted; groups of one listener from long to short prefixes */
    size_t n;
    struct policy_net *groups;
    uint32_t first_group[UINT8_MAX + 2]; /* by listener */
};
MUST_USE int policy_sources_build(struct policy_sources *s, const struct policy_def *def);
void policy_sources_free(struct policy_sources *s);
int policy_sources_find(const struct policy_sources *s, uint8_t listener, const struct addr *src);

/* gate.c: addresses of all targets, sorted */
struct policy_targets {
    struct policy_key *e;
    size_t n;
};
MUST_USE int policy_targets_build(struct policy_targets *t, const struct policy_def *def);
void policy_targets_free(struct policy_targets *t);

struct policy_name {
    struct hnode node;
    struct sl name;
    int index;
};
struct policy_names {
    struct hmap map;
    struct policy_name *e;
};

struct policy_id {
    struct hnode node;
    uint32_t id;
    int index;
};
struct policy_ids {
    struct hmap map;
    struct policy_id *e;
};

struct policy {
    struct policy_def *def;
    struct policy_book *book;
    struct policy_book *own_book; /* when the caller had none */
    struct policy_counter *node;
    struct policy_sources sources;
    struct policy_targets targets;
    struct policy_names peers, accounts;
    struct policy_names certificates; /* the listener's number, then the name in lower case */
    struct policy_ids ids;
    struct policy_match *routes;
    struct policy_index index;
    uint8_t **groups; /* a bit for each peer */
    bool wants_headers, wants_codecs;
    struct arena arena; /* patterns in lower case, conditions */
};

#endif
