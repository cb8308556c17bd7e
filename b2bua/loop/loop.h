/* loop.h - the only user of libevent: descriptors, timers, end-of-turn work, mailbox.
 * Thread: every call comes from the thread that runs the loop, except loop_post() and loop_stop()
 * (any thread). A loop made with params.virt runs on a virtual clock and has no descriptors. */
#ifndef POSTERN_LOOP_H
#define POSTERN_LOOP_H

#include "base/base.h"

struct loop;

struct loop_params {
    struct clock *virt; /* borrowed virtual clock, or NULL for real time */
    uint32_t mailbox;   /* capacity in messages, a power of two; 0: 16384 */
    void *owner;        /* given to mailbox messages, e.g. the worker */
};

MUST_USE int loop_new(struct loop **lp, const struct loop_params *params);
void loop_free(struct loop **lp); /* runs deferred frees and drops undelivered messages first */
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Virtual loops: moves the clock in steps to each due timer, running timers, mailbox and deferred
 * frees as the real loop would. ms may be 0. */
void loop_advance(struct loop *l, int64_t ms);
/* Time of this wake-up: monotonic ms and Unix ms. Read once per wake-up. */
int64_t loop_now_ms(const struct loop *l);
int64_t loop_wall_ms(const struct loop *l);

/* --- timers: hierarchical wheel of 1 ms, O(1) start and stop, embedded in their object --- */
typedef void(timer_fn)(void *arg);
struct timer {
    struct list node;
    int64_t at_ms; /* monotonic */
    timer_fn *fn;
    void *arg;
    bool armed;
};
void timer_init(struct timer *t, timer_fn *fn, void *arg);
/* (Re)starts to fire once, at now + after_ms (0 fires in the next turn). */
void timer_start(struct loop *l, struct timer *t, int64_t after_ms);
/* For what only has to happen some time after: at most LOOP_SLACK_MS later, together with others,
 * so that it costs no wake-up of its own. Exact on virtual loops. */
#define LOOP_SLACK_MS 256
void timer_start_lazy(struct loop *l, struct timer *t, int64_t after_ms);
void timer_stop(struct loop *l, struct timer *t); /* harmless when idle */
static inline bool timer_is_armed(const struct timer *t)
{
    return t->armed;
}

/* --- end of turn: frees wait until no frame above can hold the object. Cannot fail. --- */
typedef void(defer_fn)(void *arg);
struct grave {
    struct list node;
    defer_fn *fn;
    void *arg;
};
void loop_defer(struct loop *l, struct grave *g, defer_fn *fn, void *arg); /* once per object */
/* Work that must run once at the end of this turn, before the frees (e.g. flush of a send queue).
 * Re-arming an armed one is harmless. */
struct turn {
    struct list node;
    defer_fn *fn;
    void *arg;
    bool armed;
};
void turn_init(struct turn *t, defer_fn *fn, void *arg);
void loop_end_of_turn(struct loop *l, struct turn *t);
void turn_cancel(struct turn *t);

/* --- descriptors (not on virtual loops) --- */
#define LOOP_READ 1
#define LOOP_WRITE 2
typedef void(fd_fn)(int fd, int what, void *arg); /* what: LOOP_READ | LOOP_WRITE */
struct fdw;                                       /* one watched descriptor, level triggered */
MUST_USE int fdw_new(struct fdw **wp, struct loop *l, int fd, fd_fn *fn,
                     void *arg); /* watches READ */
/* The same, edge triggered: an eventfd that is written and never read. */
MUST_USE int fdw_new_edge(struct fdw **wp, struct loop *l, int fd, fd_fn *fn, void *arg);
MUST_USE int fdw_set(struct fdw *w, int what); /* 0 pauses */
void fdw_free(struct fdw **wp); /* stops watching; does not close fd. Safe inside its callback. */

/* --- mailbox: bounded, lock-free, any thread to this loop --- */
struct loop_msg;
typedef void(loop_msg_fn)(void *owner, struct loop_msg *m);
struct loop_msg {
    loop_msg_fn *fn;   /* runs on the loop's thread; takes ownership of ptr */
    void *ptr;         /* heap object handed over, or NULL */
    loop_msg_fn *drop; /* frees ptr if the loop ends before delivery; NULL: nothing to free */
    uint64_t a, b;
};
/* Copies *m. ENOBUFS: the ring is full, the caller keeps ptr. Wakes the loop by eventfd when it
 * sleeps. */
MUST_USE int loop_post(struct loop *l, const struct loop_msg *m);

/* A message that lives inside the object it is about, so that delivery cannot fail: for what has to
 * come back from another thread whatever happens. */
struct loop_note {
    struct loop_note *next; /* the loop's, from loop_notify() until fn */
    void (*fn)(void *arg);  /* on the loop's thread; may free the object */
    void *arg;
};
/* Any thread; not again before fn was called. In the order of sending. What is not delivered when
 * the loop ends is forgotten: the objects are their owners'. */
void loop_notify(struct loop *l, struct loop_note *n);

/* --- gathering: a loop that carries media looks for packets once in a tick and serves all that
 * came, instead of waking up for each. Everything else waits for the tick as well, so it bounds the
 * delay of all. Slow traffic is served as it comes. --- */
#define LOOP_GATHER_MAX_US 2000
/* Sleeps for at most us; may end early when many packets wait. */
typedef void(loop_sleep_fn)(void *arg, int64_t us);
/* tick_us 0: no gathering. sleep NULL: the loop sleeps by itself, and looks again before it does,
 * as there may be more packets than a descriptor was read for. */
void loop_set_gather(struct loop *l, uint32_t tick_us, loop_sleep_fn *sleep, void *arg);
void loop_note_packets(struct loop *l, uint32_t n); /* served just now */

/* Counters for /v1/system: milliseconds that timers ran late at worst in the last 10 s. */
int64_t loop_lag_ms(const struct loop *l);
/* How late the timers of the last turn that had any were; how many messages wait. */
int64_t loop_late_ms(const struct loop *l);
uint32_t loop_mail_count(const struct loop *l);

#endif
