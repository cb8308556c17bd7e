/* gather.c - waiting costs a wake-up for each packet, or for each group that came close together;
 * ticking costs one per tick. Which is cheaper depends on how packets come and how fast the machine
 * wakes up, so it is counted rather than reckoned: now and then the other way is tried for a
 * window. Slow traffic is never made to wait. Between bursts a tick would find nothing: that is
 * learned from what followed before, and the loop waits instead. A pass as long as a tick is
 * followed by no sleep at all. */
#include "loop/gather.h"

#define GATHER_WINDOW_US 10000
#define GATHER_TRIAL_WINDOWS 100 /* between two trials */
#define GATHER_PACKETS_MIN 2000  /* a second: below, waiting is good enough */
#define GATHER_NAP_US 15         /* whoever is back sooner did not sleep */
#define GATHER_STEADY_MAX 8

void gather_init(struct gather *g, int64_t tick_us, bool takes_turns, int64_t now_us)
{
    *g = (struct gather){.tick_us = tick_us,
                         .takes_turns = takes_turns,
                         .woke_us = now_us,
                         .ended_us = now_us,
                         .window_us = now_us,
                         .windows = GATHER_TRIAL_WINDOWS};
}

void gather_woke(struct gather *g, int64_t now_us)
{
    if (g->pass_packets == 0) {
        g->woke_us = now_us;
        g->wakes += now_us - g->ended_us >= GATHER_NAP_US;
    }
}

void gather_note(struct gather *g, uint32_t packets)
{
    g->turn_packets += packets;
}

static uint32_t gather_per_second(uint32_t n, int64_t us)
{
    return (uint32_t)((uint64_t)n * 1000000 / (uint64_t)us);
}

/* The packets' delay must buy a quarter of the wake-ups at least. */
static bool gather_ticks_are_cheaper(const struct gather *g)
{
    return (uint64_t)g->rate[true] * 4 < (uint64_t)g->rate[false] * 3;
}

static void gather_choose(struct gather *g, bool is_busy)
{
    if (!is_busy) {
        g->ticks = g->is_trial = false;
        g->windows = GATHER_TRIAL_WINDOWS; /* the next burst of work begins with a trial */
        return;
    }
    g->is_trial = !g->is_trial && g->windows >= GATHER_TRIAL_WINDOWS;
    if (g->is_trial) {
        g->ticks = !g->ticks;
        g->windows = 0;
    } else {
        g->ticks = gather_ticks_are_cheaper(g);
        g->windows++;
    }
}

static void gather_count(struct gather *g, int64_t now_us)
{
    int64_t elapsed_us = now_us - g->window_us;

    g->window_packets += g->pass_packets;
    if (elapsed_us >= GATHER_WINDOW_US) {
        g->rate[g->ticks] = gather_per_second(g->wakes, elapsed_us);
        gather_choose(g, gather_per_second(g->window_packets, elapsed_us) >= GATHER_PACKETS_MIN);
        g->window_us = now_us;
        g->wakes = g->window_packets = 0;
    }
}

/* Did packets come within a tick of a tick that had some, whether we slept or waited for them? */
static void gather_learn(struct gather *g)
{
    bool came = g->pass_packets != 0 && g->woke_us - g->served_us < 2 * g->tick_us;

    if (!g->may_follow || (g->pass_packets == 0 && !g->has_slept)) {
        return; /* woken for something else: the answer is still to come */
    }
    if (came && g->steady < GATHER_STEADY_MAX) {
        g->steady++;
    } else if (!came && g->steady > -GATHER_STEADY_MAX) {
        g->steady--;
    }
    g->may_follow = false;
}

static int64_t gather_end_pass(struct gather *g, int64_t now_us)
{
    int64_t left_us = g->woke_us + g->tick_us - now_us;
    bool found = g->pass_packets != 0, sleeps;

    gather_count(g, now_us);
    gather_learn(g);
    if (found) {
        g->may_follow = g->has_slept;
        g->served_us = g->woke_us;
    }
    sleeps = g->ticks && found && (!g->has_slept || g->steady > 0);
    g->has_slept = sleeps;
    g->pass_packets = 0;
    g->ended_us = now_us;
    if (!sleeps) {
        return GATHER_BLOCK;
    }
    return left_us > 0 ? left_us : 0;
}

int64_t gather_next(struct gather *g, int64_t now_us)
{
    bool may_have_more = g->takes_turns && g->ticks && g->turn_packets != 0;

    if (g->tick_us == 0) {
        return GATHER_BLOCK;
    }
    g->pass_packets += g->turn_packets;
    g->turn_packets = 0;
    return may_have_more ? 0 : gather_end_pass(g, now_us);
}
