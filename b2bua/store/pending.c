/* pending.c - what waits to be written: one record per call or binding, the latest one. While the
 * database refuses, repeated updates of the same call therefore take no further memory. */
#include "store/store_int.h"

/* Records of one family replace each other: what is written and what is deleted. */
static enum rec_kind rec_family(const struct rec *r)
{
    return r->kind == REC_UNBIND ? REC_BIND : r->kind == REC_UNBAN ? REC_BAN : r->kind;
}

static bool rec_eq(const struct hnode *node, const void *key)
{
    const struct rec *a = CONTAINER_OF(node, const struct rec, node), *b = key;

    if (rec_family(a) != rec_family(b)) {
        return false;
    }
    if (rec_family(a) == REC_BAN) {
        return sl_eq(a->u.ban.prefix, b->u.ban.prefix);
    }
    if (a->kind == REC_ASKED) {
        return a->u.asked.id == b->u.asked.id;
    }
    if (a->kind == REC_CALL) {
        return a->u.call.id == b->u.call.id;
    }
    return sl_eq(a->u.binding.user, b->u.binding.user) &&
           sl_eq(a->u.binding.contact, b->u.binding.contact);
}

static uint64_t rec_hash(const struct store *s, const struct rec *r)
{
    const struct store_binding *b = &r->u.binding;

    if (r->kind == REC_CALL) {
        return hmap_hash(&s->pending, &r->u.call.id, sizeof(r->u.call.id));
    }
    if (r->kind == REC_ASKED) {
        return hmap_hash(&s->pending, &r->u.asked.id, sizeof(r->u.asked.id));
    }
    if (rec_family(r) == REC_BAN) {
        return hmap_hash(&s->pending, r->u.ban.prefix.p, r->u.ban.prefix.n);
    }
    /* user and contact are the first two slices of the block and lie side by side in it */
    return hmap_hash(&s->pending, b->user.p, b->user.n + b->contact.n);
}

void pending_init(struct store *s)
{
    hmap_init(&s->pending, 0);
    list_init(&s->order);
    list_init(&s->held);
}

static void pending_drop(struct store *s, struct rec *r)
{
    hmap_remove(&s->pending, &r->node);
    list_del(&r->in_order);
    atomic_fetch_sub_explicit(&s->backlog, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->backlog_bytes, r->size, memory_order_relaxed);
    mem_free(r);
}

static bool rec_is_ended(const struct rec *r)
{
    return r->kind == REC_CALL && r->u.call.state == STORE_CALL_ENDED;
}

/* Where a new record waits. A live call keeps the place of the one before it: updates do not put
 * off its writing. */
static void pending_queue(struct store *s, struct rec *r, struct rec *old)
{
    if (old != NULL && !rec_is_ended(r)) {
        r->since_ms = old->since_ms;
        list_insert_before(&old->in_order, &r->in_order);
    } else {
        list_push_back(r->kind == REC_CALL && !rec_is_ended(r) ? &s->held : &s->order,
                       &r->in_order);
    }
}

static void pending_add(struct store *s, struct rec *r, int64_t now_ms)
{
    uint64_t hash = rec_hash(s, r);
    struct hnode *node = hmap_find(&s->pending, hash, rec_eq, r);
    struct rec *old = node != NULL ? CONTAINER_OF(node, struct rec, node) : NULL;
    int err;

    if (old != NULL && rec_is_ended(old)) {
        pending_drop(s, r); /* the CDR is written: nothing changes it */
        return;
    }
    r->since_ms = now_ms;
    pending_queue(s, r, old);
    if (old != NULL) {
        pending_drop(s, old);
    }
    err = hmap_insert(&s->pending, &r->node, hash);
    if (err != 0) { /* no memory for the table: written without being merged, so in its turn */
        list_del(&r->in_order);
        list_push_back(&s->order, &r->in_order);
    }
}

static struct rec *rec_reverse(struct rec *newest)
{
    struct rec *oldest = NULL;

    while (newest != NULL) {
        struct rec *r = newest;

        newest = r->next;
        r->next = oldest;
        oldest = r;
    }
    return oldest;
}

void pending_take(struct store *s)
{
    struct rec *r = rec_reverse(atomic_exchange_explicit(&s->posted, NULL, memory_order_acquire));
    int64_t now_ms = clock_now_ms(&s->clock);

    while (r != NULL) {
        struct rec *next = r->next;

        pending_add(s, r, now_ms);
        r = next;
    }
}

int64_t pending_due_ms(const struct store *s, int64_t now_ms)
{
    const struct list *first = list_first(&s->held);
    int64_t left;

    if (first == NULL) {
        return -1;
    }
    left = CONTAINER_OF(first, const struct rec, in_order)->since_ms +
           (int64_t)s->batch_ms * PENDING_HOLD_BATCHES - now_ms;
    return left > 0 ? left : 0;
}

void pending_release(struct store *s, bool all)
{
    int64_t now_ms = clock_now_ms(&s->clock);

    while (!list_is_empty(&s->held) && (all || pending_due_ms(s, now_ms) == 0)) {
        list_push_back(&s->order, list_pop_front(&s->held));
    }
}

void pending_done(struct store *s, size_t n)
{
    while (n-- != 0) {
        pending_drop(s, CONTAINER_OF(list_first(&s->order), struct rec, in_order));
    }
}

void pending_free(struct store *s)
{
    pending_take(s);
    pending_release(s, true);
    while (!list_is_empty(&s->order)) {
        pending_done(s, 1);
    }
    hmap_free(&s->pending);
}
