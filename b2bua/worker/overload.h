/* overload.h - has this worker more to do than it can? Three measures, each with a limit: how long
 * a datagram lay in its socket before it was read, how late timers run, how many messages of other
 * workers wait. Pure; one per worker, the time is an argument.
 *
 * A stall that ends by itself is no overload: new work is refused only when some measure has been
 * over its limit for OVERLOAD_HOLD_MS, and only what itself waited: strangers' from the limit on,
 * users' from one and a half of it, peers' from twice the limit on. So a queue settles where the
 * least trusted class that is left is just thinned out enough. */
#ifndef POSTERN_WORKER_OVERLOAD_H
#define POSTERN_WORKER_OVERLOAD_H

#include "base/base.h"

#define OVERLOAD_HOLD_MS 100
#define OVERLOAD_WINDOW_MS 20 /* what was measured so long ago still counts */
#define OVERLOAD_CALM_MS 2000 /* nothing refused for so long: it is over */
#define OVERLOAD_FULL 1000    /* pressure at the limit, in thousandths */

enum overload_class { OVERLOAD_STRANGER, OVERLOAD_USER, OVERLOAD_PEER, OVERLOAD_NCLASSES };

struct overload_limits { /* 0: that measure does not count */
    uint32_t wait_ms, late_ms, queue;
};
struct overload_seen {
    uint32_t wait_us;
    int64_t late_ms;
    uint32_t queue;
};

struct overload {
    struct overload_limits limits;
    uint32_t pressure; /* of what is being looked at */
    uint32_t peak;     /* of the last OVERLOAD_WINDOW_MS */
    int64_t peak_at_ms;
    int64_t above_since_ms;             /* the peak has been over the limit; 0: it is not */
    struct overload_seen worst, before; /* since overload_forget(); of the time before it */
    /* the spell: from the first refusal until nothing was refused for OVERLOAD_CALM_MS */
    int64_t began_ms; /* 0: none */
    int64_t refused_at_ms[OVERLOAD_NCLASSES];
    uint64_t refused; /* in this spell */
};

/* Takes note of what was measured for the message at hand. */
void overload_look(struct overload *o, const struct overload_seen *seen, int64_t now_ms);
/* Every few seconds: old peaks are no news. */
void overload_forget(struct overload *o);
struct overload_seen overload_worst(const struct overload *o); /* of the last seconds */
/* Is there pressure that has lasted? */
bool overload_is_pressed(const struct overload *o, int64_t now_ms);
/* Would overload_refuses() say so? */
bool overload_would_refuse(const struct overload *o, enum overload_class class, int64_t now_ms);
/* Is new work of this class to be refused? True begins or prolongs a spell. */
bool overload_refuses(struct overload *o, enum overload_class class, int64_t now_ms);
/* The classes refused lately as a number: 0 none, 1 strangers, 2 users too, 3 everybody. */
unsigned overload_level(const struct overload *o, int64_t now_ms);
/* Ends a spell that is over; true: it was one, and *o still tells of it until the next refusal. */
bool overload_calms(struct overload *o, int64_t now_ms);

#endif
