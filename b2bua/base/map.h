/* map.h - intrusive hash map with chained buckets, keyed SipHash-1-3, growing by doubling.
 * The map never owns what is in it. Thread: the owner. */
#ifndef POSTERN_BASE_MAP_H
#define POSTERN_BASE_MAP_H

#include "base/sl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 of p[0..n) under the 16-byte key. */
uint64_t siphash13(const void *p, size_t n, const uint8_t key[16]);

struct hnode {
    struct hnode *next;
    uint64_t hash; /* set by hmap_insert */
    bool linked;
};

/* True when the node's key equals `key`; the bytes decide, never the hash alone. */
typedef bool(hmap_eq_fn)(const struct hnode *node, const void *key);

struct hmap {
    struct hnode **buckets;
    size_t n_buckets; /* a power of two; 0 before the first insert */
    size_t n;
    size_t max; /* 0: no limit */
    uint8_t key[16];
};

/* The key is random per map (getrandom); max 0 = unlimited. Allocates nothing. */
void hmap_init(struct hmap *m, size_t max);
void hmap_free(struct hmap *m); /* buckets only; nodes are the caller's */
uint64_t hmap_hash(const struct hmap *m, const void *p, size_t n);
/* ENOMEM (first bucket array only: growth failures are harmless) or ENOBUFS at max. */
__attribute__((warn_unused_result)) int hmap_insert(struct hmap *m, struct hnode *node,
                                                    uint64_t hash);
void hmap_remove(struct hmap *m, struct hnode *node); /* harmless when it is not in the map */
struct hnode *hmap_find(const struct hmap *m, uint64_t hash, hmap_eq_fn *eq, const void *key);
/* Walks all nodes; fn may remove the node it was given. Stops when fn returns false. */
void hmap_each(struct hmap *m, bool (*fn)(struct hnode *node, void *arg), void *arg);

#endif
