/* wheel.h - hierarchical timer wheel: 1 ms ticks, 64 slots on each of 6 levels, O(1) start and
 * stop. Private to b2bua/loop. Thread: the owner. */
#ifndef POSTERN_LOOP_WHEEL_H
#define POSTERN_LOOP_WHEEL_H

#include "loop/loop.h"

#define WHEEL_LEVELS 6
#define WHEEL_BITS 6
#define WHEEL_SLOTS (1 << WHEEL_BITS)
#define WHEEL_SPAN_BITS (WHEEL_LEVELS * WHEEL_BITS)
#define WHEEL_NEVER INT64_MAX

/* A timer sits on the level of the highest 6-bit digit in which its deadline differs from now_ms,
 * in the slot of that digit. So each level lies wholly before the next one, a slot is never met
 * twice, and the first set bit of the lowest occupied level is what comes next. */
struct wheel {
    int64_t now_ms;              /* all timers in slots and in `far` are later than this */
    uint64_t bits[WHEEL_LEVELS]; /* slots that may hold timers; cleared when found empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list far; /* differ above the highest level: looked at when that digit changes */
    struct list due; /* deadline reached, in order of deadline */
};

void wheel_init(struct wheel *w, int64_t now_ms);
/* t->at_ms is set and t is in no list; a deadline that has passed makes it due at once. */
void wheel_add(struct wheel *w, struct timer *t);
/* When wheel_advance() has something to do: a deadline or a cascade before it (never after it);
 * now_ms when something is due; WHEEL_NEVER when there is no timer. */
int64_t wheel_next(struct wheel *w);
/* Moves time on; timers whose deadline is reached go to `due`. */
void wheel_advance(struct wheel *w, int64_t now_ms);
/* Disarms every timer: the wheel is about to die. */
void wheel_clear(struct wheel *w);

#endif
