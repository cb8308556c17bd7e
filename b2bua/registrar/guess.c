/* guess.c - wrong passwords of one account from many addresses: counted by user name, whether it
 * exists or not, and answered by waits that grow. Addresses where the account's owner has shown
 * his password are never made to wait, and newcomers get a look each (guess_look.c). Two bounded
 * tables of one word an entry, no locks. */
#include "registrar/registrar_int.h"

#include <stdatomic.h>

#define WAYS 4
#define COUNTS 16384u /* buckets: user names */
#define HOMES 65536u  /* buckets: user name by address */
#define HOME_LIFE_S (7 * 24 * 3600u)
#define HOME_FRESH_S 3600u /* an entry is written once an hour, not with every call */
#define COUNT_MAX 255u
#define LOOKS_PER_FAILURE 10u /* of newcomers while it is held, for each failure let be */

/* counts: print 24 | failures 8 | until when strangers wait 32 (s). homes: print 32 | until 32. */
struct guess_book {
    uint8_t key[16];
    _Atomic uint64_t *counts, *homes;
    struct look_book *looks;
};

int guess_book_new(struct guess_book **bp)
{
    struct guess_book *b = mem_zalloc(sizeof(*b));

    if (b != NULL) {
        b->counts = mem_zalloc((size_t)COUNTS * WAYS * sizeof(*b->counts));
        b->homes = mem_zalloc((size_t)HOMES * WAYS * sizeof(*b->homes));
    }
    if (b == NULL || b->counts == NULL || b->homes == NULL || look_book_new(&b->looks) != 0) {
        guess_book_free(&b);
        return ENOMEM;
    }
    crypto_random(b->key, sizeof(b->key));
    *bp = b;
    return 0;
}

void guess_book_free(struct guess_book **bp)
{
    struct guess_book *b = *bp;

    *bp = NULL;
    if (b != NULL) {
        mem_free((void *)b->counts);
        mem_free((void *)b->homes);
        look_book_free(&b->looks);
        mem_free(b);
    }
}

static uint64_t hash_of(const struct guess_book *b, struct sl user)
{
    return siphash13(user.p != NULL ? user.p : "", user.n, b->key);
}

static uint32_t now_s(const struct guess_try *t)
{
    return (uint32_t)(t->wall_ms / 1000);
}

/* --- addresses --- */

/* An IPv4 address, or the /64 of an IPv6 one. */
static uint64_t home_of(const struct guess_book *b, const struct guess_try *t)
{
    uint64_t words[3] = {hash_of(b, t->user), (uint64_t)addr_family(t->source), 0};

    if (addr_family(t->source) == AF_INET6) {
        memcpy(&words[2], t->source->u.in6.sin6_addr.s6_addr, 8);
    } else {
        memcpy(&words[2], &t->source->u.in4.sin_addr.s_addr, 4);
    }
    return siphash13(words, sizeof(words), b->key);
}

/* The entry of this print, else the one that ends first. */
static _Atomic uint64_t *home_at(const struct guess_book *b, uint64_t home, uint64_t *seen)
{
    _Atomic uint64_t *bucket = &b->homes[(size_t)(home & (HOMES - 1)) * WAYS], *first = bucket;

    *seen = atomic_load(first);
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&bucket[i]);

        if (e >> 32 == home >> 32 && e != 0) {
            *seen = e;
            return &bucket[i];
        }
        if ((uint32_t)e < (uint32_t)*seen) {
            first = &bucket[i];
            *seen = e;
        }
    }
    return first;
}

bool guess_is_home(const struct guess_book *b, const struct guess_try *t)
{
    uint64_t home = home_of(b, t), e;

    (void)home_at(b, home, &e);
    return e != 0 && e >> 32 == home >> 32 && (uint32_t)e > now_s(t);
}

void guess_note_home(struct guess_book *b, const struct guess_try *t)
{
    uint64_t home = home_of(b, t), e;
    uint32_t until = now_s(t) + HOME_LIFE_S;
    _Atomic uint64_t *at = home_at(b, home, &e);

    if (e >> 32 != home >> 32 || (uint32_t)e + HOME_FRESH_S < until) {
        atomic_store(at, home >> 32 << 32 | until);
    }
}

/* --- failures --- */

static uint32_t failures_of(uint64_t e)
{
    return (uint32_t)(e >> 32) & COUNT_MAX;
}

/* Quiet for as long as the longest wait, or from before the clock was set back. */
static bool is_forgotten(uint64_t e, const struct guess_try *t)
{
    uint32_t until = (uint32_t)e, now = now_s(t);

    return e == 0 || until + t->block_s < now || until > now + t->block_s + 1;
}

/* The entry of this user, else the one that says least. seen: 0 when it speaks of nobody. */
static _Atomic uint64_t *count_at(const struct guess_book *b, const struct guess_try *t,
                                  uint64_t hash, uint64_t *seen)
{
    _Atomic uint64_t *bucket = &b->counts[(size_t)(hash & (COUNTS - 1)) * WAYS], *least = bucket;
    uint32_t least_n = UINT32_MAX;

    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t e = atomic_load(&bucket[i]);
        uint32_t n = is_forgotten(e, t) ? 0 : failures_of(e);

        if (e >> 40 == hash >> 40 && e != 0) {
            *seen = e;
            return &bucket[i];
        }
        if (n < least_n) {
            least_n = n;
            least = &bucket[i];
            *seen = e;
        }
    }
    return least;
}

static uint32_t known_failures(uint64_t e, uint64_t hash, const struct guess_try *t)
{
    return e >> 40 == hash >> 40 && !is_forgotten(e, t) ? failures_of(e) : 0;
}

static bool is_held(uint64_t e, uint64_t hash, const struct guess_try *t)
{
    return known_failures(e, hash, t) >= t->failures && now_s(t) < (uint32_t)e;
}

static struct look look_of(const struct guess_book *b, const struct guess_try *t, uint64_t hash)
{
    return (struct look){.account = hash,
                         .place = home_of(b, t),
                         .wall_ms = t->wall_ms,
                         .each_s = t->block_s,
                         .max = t->failures * LOOKS_PER_FAILURE};
}

bool guess_holds(struct guess_book *b, const struct guess_try *t)
{
    uint64_t hash = hash_of(b, t->user), e = 0;
    const struct look look = look_of(b, t, hash);

    (void)count_at(b, t, hash, &e);
    return is_held(e, hash, t) && !look_take(b->looks, &look);
}

/* 1 s after the last one that is let be, then twice as long each time. */
static uint32_t wait_s(const struct guess_try *t, uint32_t failures)
{
    uint32_t more = failures - t->failures;
    uint32_t wait = more < 20 ? 1u << more : t->block_s;

    return failures < t->failures ? 0 : wait < t->block_s ? wait : t->block_s;
}

/* A newcomer's failure leaves the wait of the others as it is: who guesses with ever new addresses
 * does not keep them waiting. */
static uint64_t after(uint64_t e, uint64_t hash, const struct guess_try *t, bool held)
{
    uint32_t failures = known_failures(e, hash, t), until = (uint32_t)e;

    failures += failures < COUNT_MAX ? 1 : 0;
    if (!held) {
        until = (uint32_t)((t->wall_ms + 999) / 1000) + wait_s(t, failures);
    }
    return hash >> 40 << 40 | (uint64_t)failures << 32 | until;
}

enum guess guess_wrong(struct guess_book *b, const struct guess_try *t)
{
    uint64_t hash = hash_of(b, t->user), e = 0, next;
    const struct look look = look_of(b, t, hash);
    bool held, has_look = false;
    _Atomic uint64_t *at;

    do {
        at = count_at(b, t, hash, &e);
        held = is_held(e, hash, t);
        if (held && !has_look) { /* two at once from one address: one of them is looked at */
            has_look = look_take(b->looks, &look) && look_fails(b->looks, &look);
            if (!has_look) {
                return GUESS_HELD;
            }
        }
        next = after(e, hash, t, held);
    } while (!atomic_compare_exchange_weak(at, &e, next));
    if (!has_look) {
        (void)look_fails(b->looks, &look);
    }
    return !held && failures_of(next) == t->failures ? GUESS_BEGINS : GUESS_COUNTED;
}

void guess_right(struct guess_book *b, const struct guess_try *t)
{
    uint64_t hash = hash_of(b, t->user), e = 0;
    _Atomic uint64_t *at = count_at(b, t, hash, &e);

    if (e != 0 && e >> 40 == hash >> 40) {
        (void)atomic_compare_exchange_strong(at, &e, 0); /* else a failure came in between */
    }
}

uint32_t guess_look(const struct guess_book *b, const struct guess_try *t, uint32_t *held_s)
{
    uint64_t hash = hash_of(b, t->user), e = 0;
    uint32_t failures;

    (void)count_at(b, t, hash, &e);
    failures = known_failures(e, hash, t);
    *held_s = failures >= t->failures && (uint32_t)e > now_s(t) ? (uint32_t)e - now_s(t) : 0;
    return failures;
}
