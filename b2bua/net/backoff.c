/* backoff.c - far sides that could not be reached: the next try waits, twice as long each time, and
 * until then a call goes on to its next target at once. */
#include "net/net_int.h"

enum {
    BACKOFF_FIRST_MS = 500,
    BACKOFF_DOUBLINGS = 16, /* beyond any backoff_max_ms */
    BACKOFFS_MAX = 1024     /* the oldest one is forgotten for a new one */
};

static bool backoff_eq(const struct hnode *node, const void *key)
{
    const struct backoff *b = CONTAINER_OF(node, struct backoff, node);
    const struct flow *flow = key;

    return b->listener == flow->listener && b->transport == flow->transport &&
           b->peer == flow->peer && addr_eq(&b->remote, &flow->remote);
}

static struct backoff *backoff_find(const struct net *n, const struct flow *flow)
{
    struct hnode *node = NULL;

    if (n->backoffs.n != 0) {
        node = hmap_find(&n->backoffs, addr_hash(&flow->remote, n->backoffs.key), backoff_eq, flow);
    }
    return node != NULL ? CONTAINER_OF(node, struct backoff, node) : NULL;
}

static void backoff_forget(struct net *n, struct backoff *b)
{
    hmap_remove(&n->backoffs, &b->node);
    list_del(&b->age);
    pool_put(&n->backoff_pool, b);
}

static struct backoff *backoff_new(struct net *n, const struct flow *flow)
{
    struct backoff *b;

    if (n->backoffs.n >= BACKOFFS_MAX) {
        backoff_forget(n, CONTAINER_OF(list_first(&n->backoff_age), struct backoff, age));
    }
    b = pool_get(&n->backoff_pool);
    if (b == NULL) {
        return NULL;
    }
    *b = (struct backoff){.remote = flow->remote,
                          .peer = flow->peer,
                          .listener = flow->listener,
                          .transport = flow->transport};
    list_init(&b->age);
    if (hmap_insert(&n->backoffs, &b->node, addr_hash(&flow->remote, n->backoffs.key)) != 0) {
        pool_put(&n->backoff_pool, b);
        return NULL;
    }
    return b;
}

bool backoff_blocks(struct net *n, const struct flow *flow)
{
    const struct backoff *b = backoff_find(n, flow);

    return b != NULL && loop_now_ms(n->loop) < b->until_ms;
}

/* Three quarters to five quarters of the time: workers and nodes do not come back together. */
static int64_t backoff_wait(const struct net *n, unsigned fails)
{
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << (fails - 1);

    ms = ms < n->lim.backoff_max_ms ? ms : n->lim.backoff_max_ms;
    return (int64_t)(ms * 3 / 4 + crypto_random_u32() % (ms / 2 + 1));
}

void backoff_fail(struct net *n, const struct flow *flow)
{
    struct backoff *b = backoff_find(n, flow);

    if (n->lim.backoff_max_ms == 0) {
        return;
    }
    if (b == NULL) {
        b = backoff_new(n, flow);
        if (b == NULL) {
            return; /* no memory: the next try comes too early, no more */
        }
    }
    b->fails = b->fails < BACKOFF_DOUBLINGS ? (uint8_t)(b->fails + 1) : BACKOFF_DOUBLINGS;
    b->until_ms = loop_now_ms(n->loop) + backoff_wait(n, b->fails);
    list_del(&b->age);
    list_push_back(&n->backoff_age, &b->age);
}

void backoff_clear(struct net *n, const struct flow *flow)
{
    struct backoff *b = backoff_find(n, flow);

    if (b != NULL) {
        backoff_forget(n, b);
    }
}

void backoff_free(struct net *n)
{
    while (!list_is_empty(&n->backoff_age)) {
        backoff_forget(n, CONTAINER_OF(list_first(&n->backoff_age), struct backoff, age));
    }
    hmap_free(&n->backoffs);
    pool_drain(&n->backoff_pool);
}
