/* gather.c - the rate is measured over some ticks; a tick pays when it serves more than one packet.
 * Packets that come one by one are served tick after tick. Those that come in bursts are gathered
 * once: the tick behind a burst would find nothing, so it becomes an ordinary wait. Which of the
 * two it is, is learned from what followed. A turn as long as a tick is followed by no sleep at
 * all. */
#include "loop/gather.h"

#define GATHER_WINDOW_US 10000
#define GATHER_START 2 /* packets per tick at least; */
#define GATHER_STOP 1  /* fewer end it again */
#define GATHER_STEADY_MAX 8

void gather_init(struct gather *g, int64_t tick_us, bool takes_turns, int64_t now_us)
{
    *g = (struct gather){
        .tick_us = tick_us, .takes_turns = takes_turns, .woke_us = now_us, .window_us = now_us};
}

void gather_woke(struct gather *g, int64_t now_us)
{
    if (g->pass_packets == 0) {
        g->woke_us = now_us;
    }
}

void gather_note(struct gather *g, uint32_t packets)
{
    g->turn_packets += packets;
}

static void gather_measure(struct gather *g, int64_t now_us)
{
    int64_t elapsed_us = now_us - g->window_us;
    int64_t wanted = g->is_worth_it ? GATHER_STOP : GATHER_START;

    g->window_packets += g->pass_packets;
    if (elapsed_us >= GATHER_WINDOW_US) {
        g->is_worth_it = g->window_packets * g->tick_us >= wanted * elapsed_us;
        g->window_us = now_us;
        g->window_packets = 0;
    }
}

/* Did packets come within a tick of a tick that had some, whether we slept or waited for them? */
static void gather_learn(struct gather *g)
{
    bool came = g->pass_packets != 0 && g->woke_us - g->served_us < 2 * g->tick_us;

    if (!g->may_follow || (g->pass_packets == 0 && !g->has_ticked)) {
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

    gather_measure(g, now_us);
    gather_learn(g);
    if (found) {
        g->may_follow = g->has_ticked;
        g->served_us = g->woke_us;
    }
    sleeps = found && g->is_worth_it && (!g->has_ticked || g->steady > 0);
    g->has_ticked = sleeps;
    g->pass_packets = 0;
    if (!sleeps) {
        return GATHER_BLOCK;
    }
    return left_us > 0 ? left_us : 0;
}

int64_t gather_next(struct gather *g, int64_t now_us)
{
    bool may_have_more = g->takes_turns && g->is_worth_it && g->turn_packets != 0;

    if (g->tick_us == 0) {
        return GATHER_BLOCK;
    }
    g->pass_packets += g->turn_packets;
    g->turn_packets = 0;
    return may_have_more ? 0 : gather_end_pass(g, now_us);
}
