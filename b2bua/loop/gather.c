/* gather.c - the rate is measured over some ticks; a tick pays when it serves more than one packet.
 * A tick that finds nothing ends in an ordinary wait, so that pauses cost no wake-ups, and one that
 * takes as long as the next is away does not sleep at all. */
#include "loop/gather.h"

#define GATHER_WINDOW_US 10000
#define GATHER_START 2 /* packets per tick at least; */
#define GATHER_STOP 1  /* fewer end it again */

void gather_init(struct gather *g, int64_t tick_us, int64_t now_us)
{
    *g = (struct gather){.tick_us = tick_us, .woke_us = now_us, .window_us = now_us};
}

void gather_woke(struct gather *g, int64_t now_us)
{
    g->woke_us = now_us;
}

void gather_note(struct gather *g, uint32_t packets)
{
    g->turn_packets += packets;
}

static void gather_measure(struct gather *g, int64_t now_us)
{
    int64_t elapsed_us = now_us - g->window_us;
    int64_t wanted = g->ticking ? GATHER_STOP : GATHER_START;

    g->window_packets += g->turn_packets;
    if (elapsed_us >= GATHER_WINDOW_US) {
        g->ticking = g->window_packets * g->tick_us >= wanted * elapsed_us;
        g->window_us = now_us;
        g->window_packets = 0;
    }
}

int64_t gather_next(struct gather *g, int64_t now_us)
{
    int64_t left_us = g->woke_us + g->tick_us - now_us;
    bool found = g->turn_packets != 0;

    gather_measure(g, now_us);
    g->turn_packets = 0;
    if (g->tick_us == 0 || !g->ticking || !found) {
        return GATHER_BLOCK;
    }
    return left_us > 0 ? left_us : 0;
}
