/* book.c - the counters that outlive configurations: those of the node, of peers, users and
 * destinations by their names, and the tallies. Counting is lock-free; the lock guards only who is
 * in the book. */
#include "policy_int.h"

#include <pthread.h>

struct policy_book {
    pthread_mutex_t lock; /* map and refs */
    struct hmap map;
    uint32_t last_id[POLICY_GROUP]; /* by kind of party */
    struct tally *sources, *dialled;
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
    tally_free(&book->sources);
    tally_free(&book->dialled);
    policy_healths_free(&book->healths);
    pthread_mutex_destroy(&book->lock);
    mem_free(book);
}

struct policy_book_key {
    uint8_t party;
    struct sl name;
};

static bool policy_counter_is(const struct hnode *node, const void *arg)
{
    const struct policy_counter *c = CONTAINER_OF(node, struct policy_counter, node);
    const struct policy_book_key *key = arg;

    return c->party == key->party && sl_eq(sl_make(c->name, c->name_n), key->name);
}

static int policy_book_add(struct policy_book *book, const struct policy_book_key *key,
                           uint64_t hash, struct policy_counter **counter)
{
    uint32_t *last_id = &book->last_id[key->party];
    struct policy_counter *c;
    int err;

    if (*last_id == (key->party == POLICY_USERS ? UINT32_MAX : POLICY_ID_MAX)) {
        return ENOBUFS;
    }
    c = mem_zalloc(sizeof(*c));
    if (c == NULL) {
        return ENOMEM;
    }
    c->party = key->party;
    c->id = ++*last_id;
    c->name_n = (uint8_t)key->name.n;
    memcpy(c->name, key->name.p, key->name.n);
    err = hmap_insert(&book->map, &c->node, hash);
    if (err != 0) {
        mem_free(c);
        return err;
    }
    *counter = c;
    return 0;
}

int policy_book_get(struct policy_book *book, enum policy_party party, struct sl name,
                    struct policy_counter **counter)
{
    const struct policy_book_key key = {.party = (uint8_t)party, .name = name};
    uint64_t hash;
    struct hnode *node;
    int err = 0;

    if (name.n == 0 || name.n > POLICY_NAME_MAX) {
        return EMSGSIZE;
    }
    pthread_mutex_lock(&book->lock);
    hash = hmap_hash(&book->map, name.p, name.n) + party;
    node = hmap_find(&book->map, hash, policy_counter_is, &key);
    if (node != NULL) {
        *counter = CONTAINER_OF(node, struct policy_counter, node);
    } else {
        err = policy_book_add(book, &key, hash, counter);
    }
    if (err == 0) {
        (*counter)->refs++;
    }
    pthread_mutex_unlock(&book->lock);
    return err;
}

int policy_book_tallies(struct policy_book *book, struct tally **sources, struct tally **dialled)
{
    int err = 0;

    pthread_mutex_lock(&book->lock);
    if (sources != NULL && book->sources == NULL) {
        err = tally_new(&book->sources, POLICY_SOURCES, false);
    }
    if (dialled != NULL && book->dialled == NULL && err == 0) {
        err = tally_new(&book->dialled, POLICY_DIALLED, true);
    }
    if (sources != NULL) {
        *sources = book->sources;
    }
    if (dialled != NULL) {
        *dialled = book->dialled;
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
