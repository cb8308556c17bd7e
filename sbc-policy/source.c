/* source.c - the table of sources: groups of equal prefix length, longest first, each searched by
 * bisection. */
#include "policy_int.h"

#include <stdlib.h>

static bool policy_source_key(const struct addr *a, uint8_t key[16])
{
    memset(key, 0, 16);
    if (addr_family(a) == AF_INET6) {
        memcpy(key, &a->u.in6.sin6_addr, 16);
        return true;
    }
    memcpy(key, &a->u.in4.sin_addr, 4);
    return false;
}

static void policy_mask(uint8_t key[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

        if (keep < 8) {
            key[i] &= (uint8_t)(0xFF00u >> keep);
        }
    }
}

/* The order of the table; equal but for the peer is 0. Longer prefixes come first. */
static int policy_source_order(const struct policy_source *a, const struct policy_source *b)
{
    if (a->listener != b->listener) {
        return a->listener < b->listener ? -1 : 1;
    }
    if (a->is_v6 != b->is_v6) {
        return a->is_v6 < b->is_v6 ? -1 : 1;
    }
    if (a->bits != b->bits) {
        return a->bits > b->bits ? -1 : 1;
    }
    return memcmp(a->key, b->key, sizeof(a->key));
}

static int policy_source_cmp(const void *x, const void *y)
{
    const struct policy_source *a = x, *b = y;
    int order = policy_source_order(a, b);

    return order != 0 ? order : (a->peer > b->peer) - (a->peer < b->peer);
}

static void policy_sources_fill(struct policy_sources *s, const struct policy_def *def)
{
    for (size_t p = 0; p < def->n_peers; p++) {
        const struct policy_peer *peer = &def->peers[p];

        for (size_t i = 0; i < peer->n_sources; i++) {
            struct policy_source *e = &s->e[s->n++];

            *e = (struct policy_source){
                .listener = peer->listener, .bits = peer->sources[i].bits, .peer = (uint16_t)p};
            e->is_v6 = policy_source_key(&peer->sources[i].addr, e->key);
            policy_mask(e->key, e->bits);
        }
    }
}

/* The same prefix twice: the peer that stands first has it. */
static void policy_sources_unique(struct policy_sources *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (kept == 0 || policy_source_order(&s->e[kept - 1], &s->e[i]) != 0) {
            s->e[kept++] = s->e[i];
        }
    }
    s->n = kept;
}

static void policy_sources_group(struct policy_sources *s)
{
    uint32_t n = 0;
    unsigned listener = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        const struct policy_source *e = &s->e[i];
        struct policy_net *last = n != 0 ? &s->groups[n - 1] : NULL;

        if (last == NULL || s->e[last->first].listener != e->listener || last->is_v6 != e->is_v6 ||
            last->bits != e->bits) {
            while (listener <= e->listener) {
                s->first_group[listener++] = n;
            }
            s->groups[n] = (struct policy_net){.is_v6 = e->is_v6, .bits = e->bits, .first = i};
            last = &s->groups[n++];
        }
        last->n++;
    }
    while (listener < COUNT_OF(s->first_group)) {
        s->first_group[listener++] = n;
    }
}

int policy_sources_build(struct policy_sources *s, const struct policy_def *def)
{
    size_t total = 0;

    for (size_t p = 0; p < def->n_peers; p++) {
        total += def->peers[p].n_sources;
    }
    if (total == 0) {
        return 0;
    }
    s->e = mem_zalloc(total * sizeof(*s->e));
    s->groups = mem_zalloc(total * sizeof(*s->groups));
    if (s->e == NULL || s->groups == NULL) {
        policy_sources_free(s);
        return ENOMEM;
    }
    policy_sources_fill(s, def);
    qsort(s->e, s->n, sizeof(*s->e), policy_source_cmp);
    policy_sources_unique(s);
    policy_sources_group(s);
    return 0;
}

void policy_sources_free(struct policy_sources *s)
{
    mem_free(s->e);
    mem_free(s->groups);
    s->e = NULL;
    s->groups = NULL;
    s->n = 0;
}

static int policy_net_find(const struct policy_source *e, size_t n, const uint8_t key[16])
{
    size_t lo = 0;

    while (n != 0) {
        size_t half = n / 2;
        int order = memcmp(key, e[lo + half].key, 16);

        if (order == 0) {
            return e[lo + half].peer;
        }
        if (order > 0) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return -1;
}

int policy_sources_find(const struct policy_sources *s, uint8_t listener, const struct addr *src)
{
    uint8_t key[16];
    bool is_v6;

    if (addr_family(src) != AF_INET && addr_family(src) != AF_INET6) {
        return -1;
    }
    is_v6 = policy_source_key(src, key);
    for (uint32_t i = s->first_group[listener]; i < s->first_group[listener + 1u]; i++) {
        const struct policy_net *g = &s->groups[i];
        int peer = -1;

        if (g->is_v6 == is_v6) {
            policy_mask(key, g->bits); /* prefixes only get shorter on the way */
            peer = policy_net_find(&s->e[g->first], g->n, key);
        }
        if (peer >= 0) {
            return peer;
        }
    }
    return -1;
}
