/* map.c - SipHash-1-3 and the chained hash map keyed with it. */
#include "base/base.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

#define HMAP_FIRST 16 /* buckets */

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline void sip_round(struct sip_state *s)
{
    s->v0 += s->v1;
    s->v1 = sip_rotl(s->v1, 13) ^ s->v0;
    s->v0 = sip_rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = sip_rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = sip_rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = sip_rotl(s->v1, 17) ^ s->v2;
    s->v2 = sip_rotl(s->v2, 32);
}

static inline uint64_t sip_word(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return le64toh(w);
}

static inline void sip_feed(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t siphash13(const void *p, size_t n, const uint8_t key[16])
{
    uint64_t k0 = sip_word(key), k1 = sip_word(key + 8);
    struct sip_state s = {k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
                          k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL};
    const uint8_t *u = p;
    uint64_t last = (uint64_t)n << 56;

    for (; n >= 8; n -= 8, u += 8) {
        sip_feed(&s, sip_word(u));
    }
    for (size_t i = 0; i < n; i++) {
        last |= (uint64_t)u[i] << (8 * i);
    }
    sip_feed(&s, last);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void hmap_init(struct hmap *m, size_t max)
{
    *m = (struct hmap){.max = max};
    if (getrandom(m->key, sizeof(m->key), 0) != (ssize_t)sizeof(m->key)) {
        abort(); /* a guessable key would open every table to collision floods */
    }
}

void hmap_free(struct hmap *m)
{
    mem_free(m->buckets);
    m->buckets = NULL;
    m->n_buckets = 0;
    m->n = 0;
}

uint64_t hmap_hash(const struct hmap *m, const void *p, size_t n)
{
    return siphash13(p, n, m->key);
}

static struct hnode **hmap_bucket(const struct hmap *m, uint64_t hash)
{
    return &m->buckets[hash & (m->n_buckets - 1)];
}

static int hmap_resize(struct hmap *m, size_t n_buckets)
{
    struct hmap wide = {.n_buckets = n_buckets};

    wide.buckets = mem_zalloc(n_buckets * sizeof(struct hnode *));
    if (wide.buckets == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < m->n_buckets; i++) {
        for (struct hnode *node = m->buckets[i], *next; node != NULL; node = next) {
            struct hnode **to = hmap_bucket(&wide, node->hash);

            next = node->next;
            node->next = *to;
            *to = node;
        }
    }
    mem_free(m->buckets);
    m->buckets = wide.buckets;
    m->n_buckets = n_buckets;
    return 0;
}

int hmap_insert(struct hmap *m, struct hnode *node, uint64_t hash)
{
    struct hnode **to;

    if (m->max != 0 && m->n >= m->max) {
        return ENOBUFS;
    }
    if (m->n >= m->n_buckets / 2) { /* a node looked at in vain is a miss of every cache */
        int err = hmap_resize(m, m->n_buckets != 0 ? m->n_buckets * 2 : HMAP_FIRST);

        if (err != 0 && m->n_buckets == 0) {
            return err;
        }
    }
    to = hmap_bucket(m, hash);
    *node = (struct hnode){.next = *to, .hash = hash, .linked = true};
    *to = node;
    m->n++;
    return 0;
}

void hmap_remove(struct hmap *m, struct hnode *node)
{
    if (!node->linked || m->n_buckets == 0) {
        return;
    }
    for (struct hnode **at = hmap_bucket(m, node->hash); *at != NULL; at = &(*at)->next) {
        if (*at == node) {
            *at = node->next;
            node->next = NULL;
            node->linked = false;
            m->n--;
            return;
        }
    }
}

struct hnode *hmap_find(const struct hmap *m, uint64_t hash, hmap_eq_fn *eq, const void *key)
{
    if (m->n_buckets == 0) {
        return NULL;
    }
    for (struct hnode *node = *hmap_bucket(m, hash); node != NULL; node = node->next) {
        if (node->hash == hash && eq(node, key)) {
            return node;
        }
    }
    return NULL;
}

void hmap_each(struct hmap *m, bool (*fn)(struct hnode *node, void *arg), void *arg)
{
    for (size_t i = 0; i < m->n_buckets; i++) {
        for (struct hnode *node = m->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            if (!fn(node, arg)) {
                return;
            }
        }
    }
}
