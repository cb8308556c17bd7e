/* policy_int.h - what the files of sbc-policy/ share. */
#ifndef POSTERN_POLICY_INT_H
#define POSTERN_POLICY_INT_H

#include "sbc-policy/health_int.h"
#include "sbc-policy/limit_int.h"
#include "sbc-policy/marks.h"
#include "sbc-policy/policy.h"
#include "sbc-policy/route_int.h"

#include <stdatomic.h>

#define POLICY_RETRY_DOWN_S 30 /* until probes have found out more */

/* limit.c, beside what limit_int.h says: who is asking, and all of his requests. */
bool policy_taker_party(const struct policy *p, struct policy_taker *k); /* false: no counter */
void policy_taker_node(const struct policy *p, struct policy_taker *k);
bool policy_requests_take(const struct policy *p, int64_t now_ms, struct policy_verdict *v);

/* book.c */
struct policy_healths *policy_book_healths(struct policy_book *book);

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

/* gate.c: a prefix, or a flow whose proof is gone (demote) */
struct policy_gate;
void policy_gate_deny(struct policy_gate *g, const struct policy_key *k, int64_t until_ms,
                      int64_t now_ms);
void policy_gate_undeny(struct policy_gate *g, const struct policy_key *k);
uint64_t policy_gate_dropped(const struct policy_gate *g, const struct policy_key *k,
                             int64_t now_ms);

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
    struct policy_counter **users; /* by account; NULL: nothing counts what a user does */
    struct policy_match *dialled;  /* of the destinations */
    struct tally *callers, *spent; /* the book's: by source, by destination; NULL: no limit */
    struct policy_sources sources;
    struct policy_targets targets;
    struct policy_names peers, accounts;
    struct policy_names certificates; /* the listener's number, then the name in lower case */
    struct policy_ids ids, user_ids;  /* from the book's numbers; users' where a table has them */
    struct policy_match *routes;
    struct policy_index index;
    uint8_t **groups;      /* a bit for each peer */
    uint8_t **user_groups; /* a bit for each account */
    bool wants_headers, wants_codecs;
    struct arena arena; /* patterns in lower case, conditions */
};

#endif
