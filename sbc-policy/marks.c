/* marks.c - buckets of eight entries; each entry is three words under a version, as a seqlock does
 * it: a writer takes the entry by its tag, a reader reads the tag twice. */
#include "sbc-policy/marks.h"

#define MARK_WAYS 8u
#define MARK_VER_BITS 11
#define MARK_VER_MASK ((1u << MARK_VER_BITS) - 1)
#define MARK_ID_BITS 25 /* port, bits, stream, family */
#define MARK_ID_MASK (((uint64_t)1 << MARK_ID_BITS) - 1)
#define MARK_UNTIL_SHIFT (MARK_VER_BITS + MARK_ID_BITS)
#define MARK_UNTIL_MAX (((uint64_t)1 << 28) - 1) /* eight years */
#define MARK_TRIES 4

bool policy_key_of(const struct addr *a, uint8_t bits, uint16_t port, struct policy_key *out)
{
    uint64_t addr = 0, low = 0;
    uint8_t width = addr_family(a) == AF_INET6 ? 64 : 32;
    const uint8_t *p = addr_family(a) == AF_INET6 ? a->u.in6.sin6_addr.s6_addr
                                                  : (const uint8_t *)&a->u.in4.sin_addr.s_addr;

    if (addr_family(a) != AF_INET && addr_family(a) != AF_INET6) {
        return false;
    }
    for (unsigned i = 0; i < width / 8u; i++) {
        addr = addr << 8 | p[i];
    }
    for (unsigned i = 8; i < 16 && width == 64 && port != 0; i++) {
        low = low << 8 | p[i];
    }
    bits = bits < width ? bits : width;
    addr = bits == 0 ? 0 : addr >> (width - bits) << (width - bits);
    *out = (struct policy_key){
        .addr = addr, .low = low, .port = port, .bits = bits, .is_v6 = addr_family(a) == AF_INET6};
    return true;
}

bool policy_key_eq(const struct policy_key *a, const struct policy_key *b)
{
    return a->addr == b->addr && a->low == b->low && a->bits == b->bits && a->is_v6 == b->is_v6 &&
           a->port == b->port && a->stream == b->stream;
}

int policy_marks_init(struct policy_marks *m, uint32_t n_buckets)
{
    struct hmap random;

    hmap_init(&random, 0); /* its key comes from the kernel */
    memcpy(m->key, random.key, sizeof(m->key));
    m->n_buckets = n_buckets;
    m->e = mem_zalloc((size_t)n_buckets * MARK_WAYS * sizeof(*m->e));
    return m->e != NULL ? 0 : ENOMEM;
}

void policy_marks_free(struct policy_marks *m)
{
    mem_free(m->e);
    m->e = NULL;
}

static uint64_t mark_id(const struct policy_key *k)
{
    return (uint64_t)k->port << 9 | (uint64_t)k->bits << 2 | (uint64_t)k->stream << 1 | k->is_v6;
}

static uint64_t mark_tag(const struct policy_key *k, uint64_t until_s, uint64_t version)
{
    return until_s << MARK_UNTIL_SHIFT | mark_id(k) << MARK_VER_BITS | (version & MARK_VER_MASK);
}

static uint64_t mark_until_s(uint64_t tag)
{
    return tag >> MARK_UNTIL_SHIFT;
}

static struct policy_mark *mark_bucket(const struct policy_marks *m, const struct policy_key *k)
{
    uint64_t words[3] = {k->addr, k->low, mark_id(k)};
    uint64_t hash = siphash13(words, sizeof(words), m->key);

    return &m->e[(hash & (m->n_buckets - 1)) * MARK_WAYS];
}

/* The entry's tag when it is this key's, else 0. */
static uint64_t mark_read(struct policy_mark *e, const struct policy_key *k)
{
    uint64_t tag = atomic_load_explicit(&e->tag, memory_order_acquire);

    if (mark_until_s(tag) == 0 || (tag >> MARK_VER_BITS & MARK_ID_MASK) != mark_id(k) ||
        atomic_load_explicit(&e->addr, memory_order_acquire) != k->addr ||
        atomic_load_explicit(&e->low, memory_order_acquire) != k->low ||
        atomic_load_explicit(&e->tag, memory_order_relaxed) != tag) {
        return 0;
    }
    return tag;
}

int64_t policy_marks_until(const struct policy_marks *m, const struct policy_key *k, int64_t now_ms)
{
    struct policy_mark *bucket = mark_bucket(m, k);

    for (unsigned i = 0; i < MARK_WAYS; i++) {
        int64_t until_ms = (int64_t)mark_until_s(mark_read(&bucket[i], k)) * 1000;

        if (until_ms > now_ms) {
            return until_ms;
        }
    }
    return 0;
}

ptrdiff_t policy_marks_index(const struct policy_marks *m, const struct policy_key *k,
                             int64_t now_ms)
{
    struct policy_mark *bucket = mark_bucket(m, k);

    for (unsigned i = 0; i < MARK_WAYS; i++) {
        if ((int64_t)mark_until_s(mark_read(&bucket[i], k)) * 1000 > now_ms) {
            return &bucket[i] - m->e;
        }
    }
    return -1;
}

size_t policy_marks_size(const struct policy_marks *m)
{
    return (size_t)m->n_buckets * MARK_WAYS;
}

bool policy_marks_any_in(const struct policy_marks *m, const struct policy_key *net, int64_t now_ms)
{
    unsigned width = net->is_v6 ? 64 : 32;
    uint64_t mask = net->bits == 0 ? 0 : ~(uint64_t)0 << (width - net->bits);

    for (size_t i = 0; i < (size_t)m->n_buckets * MARK_WAYS; i++) {
        uint64_t tag = atomic_load_explicit(&m->e[i].tag, memory_order_acquire);
        uint64_t addr = atomic_load_explicit(&m->e[i].addr, memory_order_acquire);
        bool is_v6 = (tag >> MARK_VER_BITS & 1) != 0;

        if ((int64_t)mark_until_s(tag) * 1000 > now_ms && is_v6 == net->is_v6 &&
            (addr & mask) == net->addr &&
            atomic_load_explicit(&m->e[i].tag, memory_order_relaxed) == tag) {
            return true;
        }
    }
    return false;
}

/* While an entry is written its version is odd: readers pass by, and no other writer takes it. */
static bool mark_is_busy(uint64_t tag)
{
    return (tag & 1) != 0;
}

static bool mark_write(struct policy_mark *e, uint64_t seen, const struct policy_key *k,
                       uint64_t until_s)
{
    uint64_t busy = (seen + 1) & MARK_VER_MASK;

    if (!atomic_compare_exchange_strong_explicit(&e->tag, &seen, busy, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return false;
    }
    atomic_store_explicit(&e->addr, k->addr, memory_order_release);
    atomic_store_explicit(&e->low, k->low, memory_order_release);
    atomic_store_explicit(&e->tag, mark_tag(k, until_s, busy + 1), memory_order_release);
    return true;
}

/* The key's own entry, else the one that ends first: free and expired ones before all others. NULL:
 * others write all of them. */
static struct policy_mark *mark_place(struct policy_mark *bucket, const struct policy_key *k,
                                      uint64_t *seen)
{
    struct policy_mark *place = NULL;
    uint64_t first = UINT64_MAX;

    for (unsigned i = 0; i < MARK_WAYS; i++) {
        uint64_t tag = mark_read(&bucket[i], k);

        if (tag != 0) {
            *seen = tag;
            return &bucket[i];
        }
        tag = atomic_load_explicit(&bucket[i].tag, memory_order_relaxed);
        if (!mark_is_busy(tag) && mark_until_s(tag) < first) {
            first = mark_until_s(tag);
            *seen = tag;
            place = &bucket[i];
        }
    }
    return place;
}

void policy_marks_set(struct policy_marks *m, const struct policy_key *k, int64_t until_ms,
                      int64_t now_ms)
{
    struct policy_mark *bucket = mark_bucket(m, k);
    uint64_t until_s = until_ms > now_ms ? ((uint64_t)until_ms + 999) / 1000 : 0;

    if (until_s == 0) {
        return;
    }
    until_s = until_s < MARK_UNTIL_MAX ? until_s : MARK_UNTIL_MAX;
    for (int i = 0; i < MARK_TRIES; i++) { /* a lost race: somebody marked here just now */
        uint64_t seen = 0;
        struct policy_mark *e = mark_place(bucket, k, &seen);

        if (e != NULL && mark_write(e, seen, k, until_s)) {
            return;
        }
    }
}

void policy_marks_clear(struct policy_marks *m, const struct policy_key *k)
{
    struct policy_mark *bucket = mark_bucket(m, k);

    for (unsigned i = 0; i < MARK_WAYS; i++) {
        uint64_t tag = mark_read(&bucket[i], k);

        if (tag != 0) {
            uint64_t none = (tag + 2) & MARK_VER_MASK;

            (void)atomic_compare_exchange_strong(&bucket[i].tag, &tag, none);
        }
    }
}
