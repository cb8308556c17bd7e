/* loop_int.h - what the files of b2bua/loop share. */
#ifndef POSTERN_LOOP_INT_H
#define POSTERN_LOOP_INT_H

#include "loop/gather.h"
#include "loop/mailbox.h"
#include "loop/wheel.h"

struct event_base;
struct event;

#define LOOP_LAG_WINDOW_S 10

struct loop {
    struct clock clock;       /* real loops */
    struct clock *virt;       /* borrowed; NULL on real loops */
    struct event_base *base;  /* this and the next four: NULL or -1 on virtual loops */
    struct event *wake_event; /* eventfd, edge triggered: written, never read */
    struct event *tick_event; /* timerfd, the same way */
    int wake_fd;
    int tick_fd;
    int64_t tick_at_ms; /* what the timerfd is set to; WHEEL_NEVER: nothing */
    void *owner;
    struct mailbox mail;
    _Atomic bool stop;
    bool in_run;    /* inside loop_run(): now_ms is cached per wake-up */
    bool now_valid; /* now_ms was read since the last sleep */
    int64_t now_ms;
    int64_t wall_ms;
    struct wheel wheel;
    struct gather gather;
    loop_sleep_fn *sleep; /* NULL: loop_port_sleep() */
    void *sleep_arg;
    struct list turns;
    struct list graves;
    struct {
        int64_t second;
        int64_t worst_ms;
    } lag[LOOP_LAG_WINDOW_S];
    int64_t late_ms;
};

/* The first thing every callback from libevent does: ends the sleep, reads the clock once. */
void loop_touch(struct loop *l);
/* One round of what follows the descriptors: timers, mail, end-of-turn work, frees. */
void loop_turn(struct loop *l);
/* True when another turn has work to do right now. */
bool loop_is_pending(struct loop *l);

/* port.c: the side of the loop that talks to libevent and the kernel. */
MUST_USE int loop_port_open(struct loop *l);
void loop_port_close(struct loop *l); /* accepts a half-opened one */
void loop_port_start(void);           /* once, on the loop's thread */
void loop_port_wait(struct loop *l, bool block);
void loop_port_sleep(int64_t us);
void loop_port_wake(struct loop *l); /* any thread */
void loop_port_arm(struct loop *l);  /* sees to it that the next deadline wakes the loop */

#endif
