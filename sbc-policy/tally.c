/* tally.c - a key may stand in either of two buckets, and goes into the emptier one: with half of
 * the entries in use it practically never finds both full. It stands in one entry at most: whoever
 * brings a new one shows it first and looks around, as in Dekker's algorithm; of two that bring the
 * same one, the one in front stays. */
#include "sbc-policy/tally.h"

#include <sched.h>

#define TALLY_BUCKET 8u /* entries */
#define TALLY_PLACES (2 * TALLY_BUCKET)
#define TALLY_TRIES 10000u
#define TALLY_SPINS 100u /* then the other one seems to have lost its core: it gets ours */

enum { TALLY_FREE, TALLY_WRITING, TALLY_SHOWN, TALLY_LIVE }; /* phase of an entry */

#define TALLY_HOLDERS_BITS 30
#define TALLY_HOLDERS_MASK (((uint64_t)1 << TALLY_HOLDERS_BITS) - 1)
#define TALLY_VERSION ((uint64_t)1 << 32)
#define TALLY_RUN_SHIFT 44
#define TALLY_HASH_BITS 44

int tally_new(struct tally **tp, uint32_t n, bool with_numbers)
{
    struct tally *t = mem_zalloc(sizeof(*t));
    struct hmap random;

    if (t == NULL) {
        return ENOMEM;
    }
    hmap_init(&random, 0); /* its key comes from the kernel */
    memcpy(t->key, random.key, sizeof(t->key));
    t->n = n;
    t->e = mem_zalloc(n * sizeof(*t->e));
    if (with_numbers) {
        t->numbers = mem_zalloc((size_t)n * TALLY_NUMBERS * sizeof(*t->numbers));
    }
    if (t->e == NULL || (with_numbers && t->numbers == NULL)) {
        tally_free(&t);
        return ENOMEM;
    }
    *tp = t;
    return 0;
}

void tally_free(struct tally **tp)
{
    struct tally *t = *tp;

    *tp = NULL;
    if (t != NULL) {
        mem_free(t->e);
        mem_free((void *)t->numbers);
        mem_free(t);
    }
}

static unsigned tally_phase(uint64_t state)
{
    return (unsigned)(state >> TALLY_HOLDERS_BITS & 3);
}

/* The same version moved on, so that nobody who looked before can change anything. */
static uint64_t tally_next(uint64_t state, unsigned phase, uint64_t holders)
{
    return ((state & ~(TALLY_VERSION - 1)) + TALLY_VERSION) |
           (uint64_t)phase << TALLY_HOLDERS_BITS | holders;
}

/* Place i of the two buckets of a key, which are never the same one. */
static struct tally_entry *tally_at(const struct tally *t, uint64_t home, unsigned i)
{
    uint64_t buckets = t->n / TALLY_BUCKET, bucket = home & (buckets - 1);

    if (i >= TALLY_BUCKET) {
        bucket = (bucket + 1 + (home >> 32) % (buckets - 1)) & (buckets - 1);
    }
    return &t->e[bucket * TALLY_BUCKET + i % TALLY_BUCKET];
}

/* Looked at in one piece: an entry that changes meanwhile, from shown to live, say, is looked at
 * again, or its key would be missed and given a second entry. */
static bool tally_is(struct tally_entry *e, const struct tally_key *key, uint64_t *state)
{
    uint64_t seen = atomic_load(&e->state);
    bool is_it;

    do {
        *state = seen;
        is_it = tally_phase(seen) >= TALLY_SHOWN && atomic_load(&e->who) == key->who &&
                atomic_load(&e->what) == key->what;
        seen = atomic_load(&e->state);
    } while (seen != *state);
    return is_it;
}

enum tally_found { TALLY_NONE, TALLY_HELD, TALLY_COMING }; /* COMING: somebody brings it now */

/* Looks for the key in all entries but `own`. */
static enum tally_found tally_find(struct tally *t, uint64_t home, const struct tally_key *key,
                                   const struct tally_entry *own, unsigned *place)
{
    for (unsigned i = 0; i < TALLY_PLACES; i++) {
        struct tally_entry *e = tally_at(t, home, i);
        uint64_t state;

        while (e != own && tally_is(e, key, &state)) {
            *place = i;
            if (tally_phase(state) == TALLY_SHOWN) {
                return TALLY_COMING;
            }
            if (atomic_compare_exchange_strong(
                    &e->state, &state,
                    tally_next(state, TALLY_LIVE, (state & TALLY_HOLDERS_MASK) + 1))) {
                return TALLY_HELD;
            }
        }
    }
    return TALLY_NONE;
}

static void tally_clear(struct tally *t, struct tally_entry *e)
{
    size_t first = (size_t)(e - t->e) * TALLY_NUMBERS;

    atomic_store(&e->until_ms, 0);
    atomic_store(&e->now, 0);
    atomic_store(&e->warned, 0);
    atomic_store(&e->calls, 0);
    atomic_store(&e->seconds, 0);
    atomic_store(&e->running, 0);
    atomic_store(&e->refused, 0);
    atomic_store(&e->warnings, 0);
    for (size_t i = 0; t->numbers != NULL && i < TALLY_NUMBERS; i++) {
        atomic_store(&t->numbers[first + i], 0);
    }
}

/* By a state that was read before: who claims it must have judged the very one it exchanges. */
static bool tally_is_spare(const struct tally_entry *e, uint64_t state, int64_t now_ms)
{
    return tally_phase(state) == TALLY_FREE ||
           (tally_phase(state) == TALLY_LIVE && (state & TALLY_HOLDERS_MASK) == 0 &&
            atomic_load(&e->until_ms) <= now_ms);
}

/* The first place to look for a spare entry: that of the emptier bucket. */
static unsigned tally_emptier(const struct tally *t, uint64_t home, int64_t now_ms)
{
    unsigned spare[2] = {0, 0};

    for (unsigned i = 0; i < TALLY_PLACES; i++) {
        const struct tally_entry *e = tally_at(t, home, i);

        spare[i / TALLY_BUCKET] += tally_is_spare(e, atomic_load(&e->state), now_ms) ? 1 : 0;
    }
    return spare[1] > spare[0] ? TALLY_BUCKET : 0;
}

/* An entry that nobody needs any more becomes this key's, for all to see but not yet in use. */
static struct tally_entry *tally_claim(struct tally *t, uint64_t home, const struct tally_key *key,
                                       int64_t now_ms, unsigned *place)
{
    unsigned first = tally_emptier(t, home, now_ms);

    for (unsigned i = 0; i < TALLY_PLACES; i++) {
        unsigned at = (first + i) % TALLY_PLACES;
        struct tally_entry *e = tally_at(t, home, at);
        uint64_t state = atomic_load(&e->state);

        if (!tally_is_spare(e, state, now_ms) ||
            !atomic_compare_exchange_strong(&e->state, &state,
                                            tally_next(state, TALLY_WRITING, 0))) {
            continue;
        }
        tally_clear(t, e);
        atomic_store(&e->who, key->who);
        atomic_store(&e->what, key->what);
        state = atomic_load(&e->state);
        atomic_store(&e->state, tally_next(state, TALLY_SHOWN, 0));
        *place = at;
        return e;
    }
    return NULL;
}

static void tally_wait(unsigned tries)
{
    if (tries >= TALLY_SPINS) {
        (void)sched_yield();
    }
}

static void tally_set(struct tally_entry *e, unsigned phase, uint64_t holders)
{
    atomic_store(&e->state, tally_next(atomic_load(&e->state), phase, holders));
}

/* Nobody else has it: it is ours. Somebody else shows the same: the one in front stays. */
static enum tally_found tally_settle(struct tally *t, uint64_t home, const struct tally_key *key,
                                     struct tally_entry *own, unsigned place)
{
    unsigned other = 0;

    for (unsigned tries = 0; tries < TALLY_TRIES; tries++) {
        enum tally_found found = tally_find(t, home, key, own, &other);

        if (found == TALLY_NONE) {
            tally_set(own, TALLY_LIVE, 1);
            return TALLY_HELD;
        }
        if (found == TALLY_HELD) {
            tally_drop(t, (uint32_t)(tally_at(t, home, other) - t->e)); /* held again below */
            break;
        }
        if (other < place) {
            break;
        }
        tally_wait(tries);
    }
    tally_set(own, TALLY_FREE, 0);
    return TALLY_COMING;
}

int tally_hold(struct tally *t, const struct tally_key *key, int64_t now_ms, uint32_t *index)
{
    uint64_t home = siphash13(key, sizeof(*key), t->key);

    for (unsigned tries = 0; tries < TALLY_TRIES; tries++) {
        unsigned place = 0;
        enum tally_found found = tally_find(t, home, key, NULL, &place);

        if (found == TALLY_NONE) {
            struct tally_entry *e = tally_claim(t, home, key, now_ms, &place);

            if (e == NULL) {
                return ENOBUFS;
            }
            found = tally_settle(t, home, key, e, place);
        }
        if (found == TALLY_HELD) {
            *index = (uint32_t)(tally_at(t, home, place) - t->e);
            return 0;
        }
        tally_wait(tries);
    }
    return ENOBUFS;
}

void tally_forget(struct tally *t, uint32_t index)
{
    tally_set(&t->e[index], TALLY_FREE, 0);
}

void tally_drop(struct tally *t, uint32_t index)
{
    atomic_fetch_sub(&t->e[index].state, 1);
}

bool tally_keep(struct tally *t, uint32_t index, int64_t until_ms)
{
    int64_t have = atomic_load_explicit(&t->e[index].until_ms, memory_order_relaxed);

    while (have < until_ms &&
           !atomic_compare_exchange_weak(&t->e[index].until_ms, &have, until_ms)) {
    }
    return have < until_ms;
}

bool tally_peek(const struct tally *t, uint32_t index, int64_t now_ms, struct tally_key *key)
{
    struct tally_entry *e = &t->e[index];
    uint64_t state = atomic_load(&e->state);

    *key = (struct tally_key){atomic_load(&e->who), atomic_load(&e->what)};
    return tally_phase(state) == TALLY_LIVE &&
           ((state & TALLY_HOLDERS_MASK) != 0 || atomic_load(&e->until_ms) > now_ms) &&
           (atomic_load(&e->state) ^ state) < TALLY_VERSION;
}

bool tally_look(const struct tally *t, const struct tally_key *key, int64_t now_ms, uint32_t *index)
{
    uint64_t home = siphash13(key, sizeof(*key), t->key);

    for (unsigned i = 0; i < TALLY_PLACES; i++) {
        struct tally_key here;

        *index = (uint32_t)(tally_at(t, home, i) - t->e);
        if (tally_peek(t, *index, now_ms, &here) && here.who == key->who &&
            here.what == key->what) {
            return true;
        }
    }
    return false;
}

/* --- counts --- */

bool tally_level_take(_Atomic uint32_t *level, uint32_t max, uint32_t *use)
{
    uint32_t n = atomic_load_explicit(level, memory_order_relaxed);

    do {
        *use = n;
        if (max != 0 && n >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(level, &n, n + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    *use = n + 1;
    return true;
}

static uint64_t tally_word(uint32_t window, uint64_t n)
{
    return (uint64_t)window << 32 | (n < UINT32_MAX ? n : UINT32_MAX);
}

/* What an older window counted is nobody's any more; a clock of another worker may be a little
 * behind, and counts in the window that is there. */
static uint32_t tally_count(uint64_t word, uint32_t window)
{
    return (uint32_t)(word >> 32) >= window ? (uint32_t)word : 0;
}

bool tally_window_take(_Atomic uint64_t *word, uint32_t window, uint32_t n, uint32_t max,
                       uint32_t *use)
{
    uint64_t have = atomic_load_explicit(word, memory_order_relaxed), want;

    do {
        uint32_t in = (uint32_t)(have >> 32) > window ? (uint32_t)(have >> 32) : window;

        *use = tally_count(have, window);
        if (max != 0 && *use >= max) {
            return false;
        }
        want = tally_word(in, (uint64_t)*use + n);
    } while (!atomic_compare_exchange_weak_explicit(word, &have, want, memory_order_relaxed,
                                                    memory_order_relaxed));
    *use = (uint32_t)want;
    return true;
}

void tally_window_undo(_Atomic uint64_t *word, uint32_t window, uint32_t n)
{
    uint64_t have = atomic_load_explicit(word, memory_order_relaxed);

    while (have >> 32 == window && (uint32_t)have >= n &&
           !atomic_compare_exchange_weak_explicit(word, &have, have - n, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

uint32_t tally_window_use(const _Atomic uint64_t *word, uint32_t window)
{
    return tally_count(atomic_load_explicit(word, memory_order_relaxed), window);
}

#define TALLY_STAMP_MASK ((1u << (64 - TALLY_HASH_BITS)) - 1)

/* The place belongs to this window, or to the next one by the clock of another worker. */
static bool tally_is_taken(uint64_t place, uint32_t window)
{
    return place != 0 && (((uint32_t)(place >> TALLY_HASH_BITS) - window) & TALLY_STAMP_MASK) <= 1;
}

/* Places are only ever taken within a window, and in order, so two threads cannot bring the same
 * number to two of them. */
bool tally_number_take(struct tally *t, uint32_t index, uint32_t window, struct sl number,
                       uint32_t max, uint32_t *use)
{
    const uint64_t hash_mask = ((uint64_t)1 << TALLY_HASH_BITS) - 1;
    _Atomic uint64_t *places = &t->numbers[(size_t)index * TALLY_NUMBERS];
    uint64_t hash = (siphash13(number.p, number.n, t->key) & hash_mask) | 1;

    max = max < TALLY_NUMBERS ? max : TALLY_NUMBERS;
    for (uint32_t i = 0; i < max; i++) {
        uint64_t have = atomic_load(&places[i]);

        while (!tally_is_taken(have, window)) {
            if (atomic_compare_exchange_weak(&places[i], &have,
                                             (uint64_t)window << TALLY_HASH_BITS | hash)) {
                *use = i + 1;
                return true;
            }
        }
        if ((have & hash_mask) == hash) {
            *use = 0; /* nothing new */
            return true;
        }
    }
    *use = max;
    return false;
}

uint32_t tally_number_use(const struct tally *t, uint32_t index, uint32_t window)
{
    const _Atomic uint64_t *places = &t->numbers[(size_t)index * TALLY_NUMBERS];
    uint32_t n = 0;

    while (n < TALLY_NUMBERS && tally_is_taken(atomic_load(&places[n]), window)) {
        n++;
    }
    return n;
}

void tally_copy_numbers(struct tally *to, uint32_t slot, const struct tally *from, uint32_t index)
{
    for (uint32_t i = 0; to->numbers != NULL && from->numbers != NULL && i < TALLY_NUMBERS; i++) {
        atomic_store(&to->numbers[(size_t)slot * TALLY_NUMBERS + i],
                     atomic_load(&from->numbers[(size_t)index * TALLY_NUMBERS + i]));
    }
}

void tally_run(struct tally_entry *e, int64_t since_s, bool on)
{
    uint64_t one = ((uint64_t)1 << TALLY_RUN_SHIFT) + (uint64_t)since_s;

    if (on) {
        atomic_fetch_add_explicit(&e->running, one, memory_order_relaxed);
    } else {
        atomic_fetch_sub_explicit(&e->running, one, memory_order_relaxed);
    }
}

uint64_t tally_running_s(const struct tally_entry *e, int64_t now_s)
{
    uint64_t word = atomic_load_explicit(&e->running, memory_order_relaxed);
    uint64_t n = word >> TALLY_RUN_SHIFT, sum = word & (((uint64_t)1 << TALLY_RUN_SHIFT) - 1);
    uint64_t all = n * (uint64_t)now_s;

    return all > sum ? all - sum : 0;
}
