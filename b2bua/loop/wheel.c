/* wheel.c - the timer wheel. Deadlines are cut into 6-bit digits; see wheel.h for the invariant. */
#include "loop/wheel.h"

static struct timer *wheel_timer(struct list *node)
{
    return CONTAINER_OF(node, struct timer, node);
}

void wheel_init(struct wheel *w, int64_t now_ms)
{
    *w = (struct wheel){.now_ms = now_ms};
    list_init(&w->far);
    list_init(&w->due);
    for (size_t level = 0; level < WHEEL_LEVELS; level++) {
        for (size_t i = 0; i < WHEEL_SLOTS; i++) {
            list_init(&w->slots[level][i]);
        }
    }
}

void wheel_add(struct wheel *w, struct timer *t)
{
    uint64_t differ = (uint64_t)t->at_ms ^ (uint64_t)w->now_ms;
    unsigned level, digit;

    if (t->at_ms <= w->now_ms) {
        list_push_back(&w->due, &t->node);
        return;
    }
    if (differ >> WHEEL_SPAN_BITS != 0) {
        list_push_back(&w->far, &t->node);
        return;
    }
    level = (63 - (unsigned)__builtin_clzll(differ)) / WHEEL_BITS;
    digit = (unsigned)((uint64_t)t->at_ms >> (level * WHEEL_BITS)) % WHEEL_SLOTS;
    list_push_back(&w->slots[level][digit], &t->node);
    w->bits[level] |= 1ULL << digit;
}

/* The first occupied slot of a level, or NULL; forgets bits whose timers were all stopped. */
static struct list *wheel_first(struct wheel *w, unsigned level)
{
    while (w->bits[level] != 0) {
        struct list *slot = &w->slots[level][__builtin_ctzll(w->bits[level])];

        if (!list_is_empty(slot)) {
            return slot;
        }
        w->bits[level] &= w->bits[level] - 1;
    }
    return NULL;
}

/* The earliest slot and the time at which it begins. NULL: only `far`, or nothing, is left. */
static struct list *wheel_next_slot(struct wheel *w, int64_t *at_ms)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        struct list *slot = wheel_first(w, level);
        unsigned shift = level * WHEEL_BITS;

        if (slot != NULL) {
            uint64_t digit = (uint64_t)(slot - w->slots[level]);
            uint64_t above = (uint64_t)w->now_ms >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS);

            *at_ms = (int64_t)(above | digit << shift);
            return slot;
        }
    }
    *at_ms = list_is_empty(&w->far)
                 ? WHEEL_NEVER
                 : (int64_t)((((uint64_t)w->now_ms >> WHEEL_SPAN_BITS) + 1) << WHEEL_SPAN_BITS);
    return NULL;
}

int64_t wheel_next(struct wheel *w)
{
    int64_t at_ms;

    if (!list_is_empty(&w->due)) {
        return w->now_ms;
    }
    (void)wheel_next_slot(w, &at_ms);
    return at_ms;
}

/* Files each timer of a slot anew: one level lower at least, or as due. */
static void wheel_refile(struct wheel *w, struct list *slot)
{
    struct list all;

    list_init(&all);
    list_insert_before(slot, &all); /* the ring changes hands: slot leaves it */
    list_del(slot);
    for (struct list *n = list_pop_front(&all); n != NULL; n = list_pop_front(&all)) {
        wheel_add(w, wheel_timer(n));
    }
}

void wheel_advance(struct wheel *w, int64_t now_ms)
{
    for (;;) {
        int64_t at_ms;
        struct list *slot = wheel_next_slot(w, &at_ms);

        if (at_ms == WHEEL_NEVER || at_ms > now_ms) {
            break;
        }
        w->now_ms = at_ms;
        wheel_refile(w, slot != NULL ? slot : &w->far);
    }
    if (now_ms > w->now_ms) {
        w->now_ms = now_ms;
    }
}

static void wheel_disarm(struct list *head)
{
    for (struct list *n = list_pop_front(head); n != NULL; n = list_pop_front(head)) {
        wheel_timer(n)->armed = false;
    }
}

void wheel_clear(struct wheel *w)
{
    wheel_disarm(&w->due);
    wheel_disarm(&w->far);
    for (size_t level = 0; level < WHEEL_LEVELS; level++) {
        for (size_t i = 0; i < WHEEL_SLOTS; i++) {
            wheel_disarm(&w->slots[level][i]);
        }
    }
}
