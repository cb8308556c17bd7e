/* loadgen.c - the load generator: one thread, one epoll set, two SIP sockets and the RTP streams.
 * Exit status: 0 clean, 1 some call or packet went wrong, 2 usage or set-up, 3 deadline. */
#include "loadgen.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

enum { LG_EVENTS = 512, LG_LIVE_MAX = 200000, LG_LIVE_MIN = 4096 };

static volatile sig_atomic_t lg_stop;

static void on_signal(int sig)
{
    (void)sig;
    lg_stop = 1;
}

/* Calls that may be up at once: all those of 40 seconds, as each may take its full time-out. */
static uint32_t lg_live_max(const struct opts *o)
{
    uint64_t n = (uint64_t)o->rate * (40 + o->hold_ms / 1000);

    if (o->mode == MODE_HELD) {
        n = o->calls;
    } else if (o->mode == MODE_CLOSED) {
        n = LG_LIVE_MAX;
    }
    n = n < LG_LIVE_MIN ? LG_LIVE_MIN : n;
    return n > LG_LIVE_MAX ? LG_LIVE_MAX : (uint32_t)n;
}

static int lg_open(struct lg *lg)
{
    uint32_t live = lg_live_max(&lg->o);
    int err = 0;

    lg->now_ns = io_clock_ns();
    if (getrandom(&lg->seed, sizeof(lg->seed), 0) != (ssize_t)sizeof(lg->seed)) {
        return errno;
    }
    lg->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (lg->epfd < 0) {
        return errno;
    }
    wheel_init(&lg->wheel, lg->now_ns / 1000000);
    lg->caller.on_msg = uac_on_msg;
    lg->callee.on_msg = uas_on_msg;
    err = io_open(lg, &lg->caller, &lg->o.caller);
    if (err == 0) {
        err = io_open(lg, &lg->callee, &lg->o.callee);
    }
    if (err == 0) {
        err = uac_init(lg, live);
    }
    if (err == 0) {
        err = uas_init(lg, live + live / 4);
    }
    if (err == 0) {
        err = rtp_init(lg);
    }
    return err == 0 ? streams_open(lg) : err;
}

static void lg_serve_epoll(struct lg *lg, int64_t wait_ns)
{
    struct epoll_event ev[LG_EVENTS];
    struct timespec ts = {0, wait_ns};
    int n = epoll_pwait2(lg->epfd, ev, LG_EVENTS, &ts, NULL);

    lg->now_ns = io_clock_ns();
    for (int i = 0; i < n; i++) {
        struct ev_src *src = ev[i].data.ptr;

        src->on_readable(lg, src);
    }
}

static void lg_serve_ring(struct lg *lg, int64_t wait_ns)
{
    struct ring *ring = lg->rtp.ring;
    struct ring_event ev;

    ring_wait(ring, wait_ns);
    lg->now_ns = io_clock_ns();
    while (ring_next(ring, &ev)) {
        if (ev.what == RING_POLLED) {
            lg_serve_epoll(lg, 0);
            ring_poll(ring, lg->epfd);
        } else {
            rtp_on_ring(lg, &ev);
        }
    }
}

static void lg_wait(struct lg *lg)
{
    int64_t left = load_next_ns(lg) - io_clock_ns();
    int64_t wait_ns = left > 0 && !lg->o.even ? left : 0;

    if (lg->rtp.ring != NULL) {
        lg_serve_ring(lg, wait_ns);
    } else {
        lg_serve_epoll(lg, wait_ns);
    }
}

static void lg_run(struct lg *lg)
{
    load_init(lg);
    while (lg->load.phase != LOAD_DONE && lg_stop == 0) {
        lg_wait(lg);
        lg->now_ns = io_clock_ns();
        wheel_advance(lg);
        load_turn(lg);
        io_flush(lg, &lg->caller);
        io_flush(lg, &lg->callee);
        rtp_tick(lg);
    }
}

int main(int argc, char **argv)
{
    struct lg *lg = calloc(1, sizeof(*lg));
    int err = ENOMEM;

    if (lg == NULL || args_parse(&lg->o, argc, argv) != 0) {
        args_usage(stderr);
        return 2;
    }
    if (lg->o.help) {
        args_usage(stdout);
        return 0;
    }
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    err = lg_open(lg);
    if (err != 0) {
        fprintf(stderr, "loadgen: %s\n", strerror(err));
        return 2;
    }
    lg_run(lg);
    bool clean = report_print(lg);

    if (lg->load.deadline_hit || lg_stop != 0) {
        fputs("loadgen: ended before its calls did\n", stderr);
        return 3;
    }
    return clean ? 0 : 1;
}
