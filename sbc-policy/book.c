/* book.c - the counters that outlive configurations: calls at once and the rate, per peer and for
 * the node. Counting is lock-free; the lock guards only who is in the book. */
#include "policy_int.h"

#include <pthread.h>

struct policy_book {
    pthread_mutex_t lock; /* map and refs */
    struct hmap map;
    uint32_t last_id;
    struct policy_counter node;
    struct policy_healths healths;
};

int policy_book_new(struct policy_book **bp)
{
    struct policy_book *book = mem_zalloc(sizeof(*book));

    if (book == NULL) {
        return ENOMEM;
    }
    if (pthread_mutex_init(&book->lock, NULL) != 0) {
        mem_free(book);
        return ENOMEM;
    }
    hmap_init(&book->map, 0);
    if (policy_healths_init(&book->healths) != 0) {
        pthread_mutex_destroy(&book->lock);
        mem_free(book);
        return ENOMEM;
    }
    *bp = book;
    return 0;
}

static bool policy_book_drop(struct hnode *node, void *arg)
{
    struct policy_book *book = arg;

    hmap_remove(&book->map, node);
    mem_free(CONTAINER_OF(node, struct policy_counter, node));
    return true;
}

void policy_book_free(struct policy_book **bp)
{
    struct policy_book *book = *bp;

    *bp = NULL;
    if (book == NULL) {
        return;
    }
    hmap_each(&book->map, policy_book_drop, book);
    hmap_free(&book->map);
    policy_healths_free(&book->healths);
    pthread_mutex_destroy(&book->lock);
    mem_free(book);
}

static bool policy_counter_is(const struct hnode *node, const void *key)
{
    const struct policy_counter *c = CONTAINER_OF(node, struct policy_counter, node);

    return sl_eq(sl_make(c->name, c->name_n), *(const struct sl *)key);
}

static int policy_book_add(struct policy_book *book, struct sl name, uint64_t hash,
                           struct policy_counter **counter)
{
    struct policy_counter *c = book->last_id < POLICY_ID_MAX ? mem_zalloc(sizeof(*c)) : NULL;
    int err;

    if (c == NULL) {
        return book->last_id < POLICY_ID_MAX ? ENOMEM : ENOBUFS;
    }
    c->id = ++book->last_id;
    c->name_n = name.n;
    memcpy(c->name, name.p, name.n);
    err = hmap_insert(&book->map, &c->node, hash);
    if (err != 0) {
        mem_free(c);
        return err;
    }
    *counter = c;
    return 0;
}

int policy_book_get(struct policy_book *book, struct sl name, struct policy_counter **counter)
{
    uint64_t hash;
    struct hnode *node;
    int err = 0;

    if (name.n == 0 || name.n > POLICY_NAME_MAX) {
        return EMSGSIZE;
    }
    pthread_mutex_lock(&book->lock);
    hash = hmap_hash(&book->map, name.p, name.n);
    node = hmap_find(&book->map, hash, policy_counter_is, &name);
    if (node != NULL) {
        *counter = CONTAINER_OF(node, struct policy_counter, node);
    } else {
        err = policy_book_add(book, name, hash, counter);
    }
    if (err == 0) {
        (*counter)->refs++;
    }
    pthread_mutex_unlock(&book->lock);
    return err;
}

void policy_book_put(struct policy_book *book, struct policy_counter *counter)
{
    pthread_mutex_lock(&book->lock);
    if (--counter->refs == 0) {
        hmap_remove(&book->map, &counter->node);
        mem_free(counter);
    }
    pthread_mutex_unlock(&book->lock);
}

struct policy_counter *policy_book_node(struct policy_book *book)
{
    return &book->node;
}

struct policy_healths *policy_book_healths(struct policy_book *book)
{
    return &book->healths;
}

/* Rounded up, so that the rate is never above what was set. */
static int64_t policy_interval_ns(uint32_t per_second)
{
    return (1000000000LL + per_second - 1) / per_second;
}

static bool policy_take_call(struct policy_counter *c, uint32_t max)
{
    uint32_t n = atomic_load_explicit(&c->calls, memory_order_relaxed);

    do {
        if (max != 0 && n >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&c->calls, &n, n + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* How far ahead of now the next call may be due: a burst of per_second passes after a second of
 * silence. */
static int64_t policy_slack_ns(uint32_t per_second)
{
    return policy_interval_ns(per_second) * (int64_t)(per_second - 1);
}

bool policy_rate_has(const _Atomic int64_t *next_ns, uint32_t per_second, int64_t now_ms)
{
    return atomic_load_explicit(next_ns, memory_order_relaxed) - now_ms * 1000000 <=
           policy_slack_ns(per_second);
}

/* Generic cell rate algorithm: one number holds the whole state, so one CAS is the whole step. */
bool policy_rate_take(_Atomic int64_t *next_ns, uint32_t per_second, int64_t now_ms)
{
    const int64_t step = policy_interval_ns(per_second), slack = policy_slack_ns(per_second);
    const int64_t now_ns = now_ms * 1000000;
    int64_t next = atomic_load_explicit(next_ns, memory_order_relaxed);
    int64_t from;

    do {
        from = next > now_ns ? next : now_ns;
        if (from - now_ns > slack) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(next_ns, &next, from + step,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

enum policy_room policy_counter_take(struct policy_counter *c, const struct policy_limit *limit,
                                     int64_t now_ms)
{
    if (!policy_take_call(c, limit->calls)) {
        return POLICY_FULL;
    }
    if (limit->calls_per_second != 0 &&
        !policy_rate_take(&c->next_ns, limit->calls_per_second, now_ms)) {
        policy_counter_release(c);
        return POLICY_FAST;
    }
    return POLICY_ROOM;
}

/* Subtracting commutes with what other threads added meanwhile. */
void policy_counter_undo(struct policy_counter *c, const struct policy_limit *limit)
{
    policy_counter_release(c);
    if (limit->calls_per_second != 0) {
        atomic_fetch_sub_explicit(&c->next_ns, policy_interval_ns(limit->calls_per_second),
                                  memory_order_relaxed);
    }
}

/* Never below zero: a double release must not turn into four thousand million calls. */
void policy_counter_release(struct policy_counter *c)
{
    uint32_t n = atomic_load_explicit(&c->calls, memory_order_relaxed);

    while (n != 0 && !atomic_compare_exchange_weak_explicit(
                         &c->calls, &n, n - 1, memory_order_relaxed, memory_order_relaxed)) {
    }
}
