/* guess_look.c - looks at the passwords of newcomers while an account is held: one for each address
 * that has not failed there lately, and so many of an account in all. Two bounded tables of one
 * word an entry, no locks. */
#include "registrar/registrar_int.h"

#include <stdatomic.h>

#define WAYS 4
#define FAILED 65536u /* buckets: user name by address */
#define SPENT 16384u  /* buckets: user names */
#define SPENT_MS_BITS 40

/* failed: print 32 | until 32 (s). spent: print 24 | when all looks are there again 40 (ms).
 * A full bucket forgets the entry that ends first: what is forgotten in one table is bounded by
 * the other. */
struct look_book {
    _Atomic uint64_t *failed, *spent;
};

int look_book_new(struct look_book **bp)
{
    struct look_book *b = mem_zalloc(sizeof(*b));

    if (b != NULL) {
        b->failed = mem_zalloc((size_t)FAILED * WAYS * sizeof(*b->failed));
        b->spent = mem_zalloc((size_t)SPENT * WAYS * sizeof(*b->spent));
    }
    if (b == NULL || b->failed == NULL || b->spent == NULL) {
        look_book_free(&b);
        return ENOMEM;
    }
    *bp = b;
    return 0;
}

void look_book_free(struct look_book **bp)
{
    struct look_book *b = *bp;

    *bp = NULL;
    if (b != NULL) {
        mem_free((void *)b->failed);
        mem_free((void *)b->spent);
        mem_free(b);
    }
}

/* The entry with this print, above `bits` bits of time, else the one that ends first. */
static _Atomic uint64_t *entry_at(_Atomic uint64_t *bucket, uint64_t print, unsigned bits,
                                  uint64_t *seen)
{
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    _Atomic uint64_t *first = bucket;

    *seen = atomic_load(first);
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&bucket[i]);

        if (e >> bits == print >> bits && e != 0) {
            *seen = e;
            return &bucket[i];
        }
        if ((e & mask) < (*seen & mask)) {
            first = &bucket[i];
            *seen = e;
        }
    }
    return first;
}

static _Atomic uint64_t *failed_at(const struct look_book *b, uint64_t place, uint64_t *seen)
{
    return entry_at(&b->failed[(size_t)(place & (FAILED - 1)) * WAYS], place, 32, seen);
}

/* Not when the entry is from before the clock was set back. */
static bool has_failed(uint64_t e, const struct look *l)
{
    uint32_t now = (uint32_t)(l->wall_ms / 1000);

    return e != 0 && e >> 32 == l->place >> 32 && (uint32_t)e > now &&
           (uint32_t)e <= now + l->each_s + 1;
}

bool look_fails(struct look_book *b, const struct look *l)
{
    uint64_t until = (uint64_t)((l->wall_ms + 999) / 1000) + l->each_s, e;
    _Atomic uint64_t *at;

    do {
        at = failed_at(b, l->place, &e);
    } while (!atomic_compare_exchange_weak(at, &e, l->place >> 32 << 32 | (uint32_t)until));
    return !has_failed(e, l);
}

/* Takes one of the account's looks: they come back one by one within each_s. */
static bool is_spent(struct look_book *b, const struct look *l)
{
    const uint64_t mask = (UINT64_C(1) << SPENT_MS_BITS) - 1, now = (uint64_t)l->wall_ms & mask;
    const uint64_t whole_ms = (uint64_t)l->each_s * 1000, one_ms = whole_ms / l->max;
    _Atomic uint64_t *bucket = &b->spent[(size_t)(l->account & (SPENT - 1)) * WAYS], *at;
    uint64_t e, until;

    do {
        at = entry_at(bucket, l->account, SPENT_MS_BITS, &e);
        until = e >> SPENT_MS_BITS == l->account >> SPENT_MS_BITS ? e & mask : 0;
        if (until < now || until > now + whole_ms) { /* all there, or the clock was set back */
            until = now;
        }
        until += one_ms;
        if (until > now + whole_ms) {
            return true;
        }
    } while (!atomic_compare_exchange_weak(
        at, &e, l->account >> SPENT_MS_BITS << SPENT_MS_BITS | (until & mask)));
    return false;
}

bool look_take(struct look_book *b, const struct look *l)
{
    uint64_t e;

    (void)failed_at(b, l->place, &e);
    return !has_failed(e, l) && !is_spent(b, l);
}
