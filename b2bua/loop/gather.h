/* gather.h - when a loop that carries packets sleeps instead of waiting for the next one. Paced
 * media costs a wake-up per packet otherwise, which is dearer than to relay it. Private to
 * b2bua/loop; pure. Thread: the owner. */
#ifndef POSTERN_LOOP_GATHER_H
#define POSTERN_LOOP_GATHER_H

#include "loop/loop.h"

#define GATHER_BLOCK (-1)

struct gather {
    int64_t tick_us;       /* how often we look for packets; 0: whenever there is one */
    int64_t woke_us;       /* when this pass began */
    int64_t ended_us;      /* when the last pass ended */
    int64_t served_us;     /* when the last pass with packets began */
    int64_t window_us;     /* when counting began */
    uint32_t windows;      /* since the other way was tried last */
    uint32_t wakes;        /* in this window */
    uint32_t rate[2];      /* wake-ups per second as last seen: waiting, ticking */
    uint32_t turn_packets; /* of this turn */
    uint32_t pass_packets; /* of the turns since woke_us, until one finds nothing */
    uint32_t window_packets;
    bool takes_turns; /* a turn may leave packets: only one that finds none ends a pass */
    bool ticks;       /* which of the two ways it is now */
    bool is_trial;    /* for this window only */
    bool has_slept;   /* this pass follows a sleep */
    bool may_follow;  /* the last pass with packets did so, too: what comes now tells how steady */
    int8_t steady;    /* above 0: a tick with packets is mostly followed by another one */
};

void gather_init(struct gather *g, int64_t tick_us, bool takes_turns, int64_t now_us);
void gather_woke(struct gather *g, int64_t now_us);
void gather_note(struct gather *g, uint32_t packets); /* served in this turn */
/* Ends the turn: GATHER_BLOCK: wait until something comes; else sleep so many us (maybe 0) and look
 * again. */
int64_t gather_next(struct gather *g, int64_t now_us);

#endif
