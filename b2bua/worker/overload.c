/* overload.c - see overload.h. */
#include "worker/overload.h"

static uint32_t per_limit(uint64_t value, uint64_t limit)
{
    uint64_t p = limit != 0 ? value * OVERLOAD_FULL / limit : 0;

    return p < UINT32_MAX ? (uint32_t)p : UINT32_MAX;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t pressure_of(const struct overload_limits *l, const struct overload_seen *seen)
{
    uint32_t wait = per_limit(seen->wait_us, l->wait_ms * 1000ULL);
    uint32_t late = per_limit((uint64_t)seen->late_ms, l->late_ms);

    return larger(larger(wait, late), per_limit(seen->queue, l->queue));
}

static void keep_worst(struct overload_seen *worst, const struct overload_seen *seen)
{
    worst->wait_us = larger(worst->wait_us, seen->wait_us);
    worst->late_ms = worst->late_ms > seen->late_ms ? worst->late_ms : seen->late_ms;
    worst->queue = larger(worst->queue, seen->queue);
}

void overload_look(struct overload *o, const struct overload_seen *seen, int64_t now_ms)
{
    o->pressure = pressure_of(&o->limits, seen);
    keep_worst(&o->worst, seen);
    if (o->pressure >= o->peak || now_ms - o->peak_at_ms > OVERLOAD_WINDOW_MS) {
        o->peak = o->pressure;
        o->peak_at_ms = now_ms;
    }
    if (o->peak < OVERLOAD_FULL) {
        o->above_since_ms = 0;
    } else if (o->above_since_ms == 0) {
        o->above_since_ms = now_ms;
    }
}

void overload_forget(struct overload *o)
{
    o->before = o->worst;
    o->worst = (struct overload_seen){0};
}

struct overload_seen overload_worst(const struct overload *o)
{
    struct overload_seen worst = o->before;

    keep_worst(&worst, &o->worst);
    return worst;
}

bool overload_is_pressed(const struct overload *o, int64_t now_ms)
{
    return o->above_since_ms != 0 && now_ms - o->above_since_ms >= OVERLOAD_HOLD_MS;
}

bool overload_would_refuse(const struct overload *o, enum overload_class class, int64_t now_ms)
{
    static const uint32_t from[OVERLOAD_NCLASSES] = {
        [OVERLOAD_STRANGER] = OVERLOAD_FULL,
        [OVERLOAD_USER] = OVERLOAD_FULL * 3 / 2,
        [OVERLOAD_PEER] = OVERLOAD_FULL * 2,
    };

    return overload_is_pressed(o, now_ms) && o->pressure >= from[class];
}

bool overload_refuses(struct overload *o, enum overload_class class, int64_t now_ms)
{
    if (!overload_would_refuse(o, class, now_ms)) {
        return false;
    }
    if (o->began_ms == 0) {
        o->began_ms = now_ms;
        o->refused = 0;
    }
    o->refused++;
    o->refused_at_ms[class] = now_ms;
    return true;
}

unsigned overload_level(const struct overload *o, int64_t now_ms)
{
    for (unsigned class = OVERLOAD_NCLASSES; class > 0; class --) {
        if (o->refused_at_ms[class - 1] != 0 &&
            now_ms - o->refused_at_ms[class - 1] < OVERLOAD_CALM_MS) {
            return class;
        }
    }
    return 0;
}

bool overload_calms(struct overload *o, int64_t now_ms)
{
    if (o->began_ms == 0 || overload_level(o, now_ms) != 0) {
        return false;
    }
    o->began_ms = 0;
    return true;
}
