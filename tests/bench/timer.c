/* timer.c - timing wheel with millisecond slots, and the ids that calls carry in messages. */
#include "loadgen.h"

void wheel_init(struct wheel *w, int64_t now_ms)
{
    w->now_ms = now_ms;
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        w->slots[i].prev = &w->slots[i];
        w->slots[i].next = &w->slots[i];
    }
}

void timer_stop(struct timer *t)
{
    if (t->next != NULL) {
        t->prev->next = t->next;
        t->next->prev = t->prev;
        t->next = NULL;
        t->prev = NULL;
    }
}

void timer_start(struct lg *lg, struct timer *t, uint32_t delay_ms)
{
    struct timer *head;

    timer_stop(t);
    t->due_ms = lg->now_ns / 1000000 + delay_ms;
    if (t->due_ms <= lg->wheel.now_ms) {
        t->due_ms = lg->wheel.now_ms + 1; /* its slot of this turn has been served */
    }
    head = &lg->wheel.slots[t->due_ms % WHEEL_SLOTS];
    t->prev = head->prev;
    t->next = head;
    head->prev->next = t;
    head->prev = t;
}

/* The due ones move to a list of their own first: a callback may stop or start any timer. */
static void wheel_serve(struct lg *lg, struct timer *head)
{
    struct timer due = {.prev = &due, .next = &due};
    struct timer *next = NULL;

    for (struct timer *t = head->next; t != head; t = next) {
        next = t->next;
        if (t->due_ms <= lg->wheel.now_ms) {
            timer_stop(t);
            t->prev = due.prev;
            t->next = &due;
            due.prev->next = t;
            due.prev = t;
        }
    }
    while (due.next != &due) {
        struct timer *t = due.next;

        timer_stop(t);
        t->on_due(lg, t);
    }
}

void wheel_advance(struct lg *lg)
{
    int64_t now_ms = lg->now_ns / 1000000;

    while (lg->wheel.now_ms < now_ms) {
        lg->wheel.now_ms++;
        wheel_serve(lg, &lg->wheel.slots[lg->wheel.now_ms % WHEEL_SLOTS]);
    }
}

void id_put(struct out *o, uint32_t seed, struct call_id id)
{
    out_hex8(o, seed);
    out_hex8(o, id.slot);
    out_hex8(o, id.gen);
}

static bool id_hex8(const char *p, uint32_t *v)
{
    uint32_t x = 0;

    for (int i = 0; i < 8; i++) {
        unsigned c = (unsigned char)p[i];

        if (c - '0' <= 9) {
            x = x << 4 | (c - '0');
        } else if (c - 'a' <= 5) {
            x = x << 4 | (c - 'a' + 10);
        } else {
            return false;
        }
    }
    *v = x;
    return true;
}

bool id_get(struct sl text, uint32_t seed, struct call_id *id)
{
    uint32_t found = 0;

    return text.n >= 24 && id_hex8(text.p, &found) && found == seed &&
           id_hex8(text.p + 8, &id->slot) && id_hex8(text.p + 16, &id->gen);
}
