/* port.c - the loop's border to libevent and the kernel: waiting, waking, watched descriptors. */
#include "loop/loop_int.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static pthread_once_t port_once = PTHREAD_ONCE_INIT;

static void on_port_log(int severity, const char *msg)
{
    if (severity >= EVENT_LOG_WARN) {
        log_warn(NULL, "libevent: %s", msg);
    }
}

static void port_setup(void)
{
    event_set_log_callback(on_port_log);
    event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
}

static void on_port_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    loop_touch(arg);
}

static void on_port_tick(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;

    (void)fd, (void)what;
    loop_touch(l);
    l->tick_at_ms = WHEEL_NEVER; /* the timers themselves run after the descriptors */
}

static struct event_base *port_new_base(void)
{
    struct event_config *cfg = event_config_new();
    struct event_base *base = NULL;
    /* One thread owns the base, and libevent never needs the time: the timerfd keeps it. */
    const int flags = EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME;

    if (cfg != NULL && event_config_set_flag(cfg, flags) == 0) {
        base = event_base_new_with_config(cfg);
    }
    if (cfg != NULL) {
        event_config_free(cfg);
    }
    return base;
}

/* Edge triggered, so that the descriptor need never be read. */
static struct event *port_watch(struct loop *l, int fd, event_callback_fn fn)
{
    struct event *ev = event_new(l->base, fd, EV_READ | EV_PERSIST | EV_ET, fn, l);

    if (ev != NULL && event_add(ev, NULL) != 0) {
        event_free(ev);
        ev = NULL;
    }
    return ev;
}

int loop_port_open(struct loop *l)
{
    (void)pthread_once(&port_once, port_setup);
    l->tick_at_ms = WHEEL_NEVER;
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0) {
        return errno;
    }
    l->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->tick_fd < 0) {
        return errno;
    }
    l->base = port_new_base();
    if (l->base == NULL) {
        return ENOMEM;
    }
    l->wake_event = port_watch(l, l->wake_fd, on_port_wake);
    l->tick_event = port_watch(l, l->tick_fd, on_port_tick);
    return l->wake_event != NULL && l->tick_event != NULL ? 0 : ENOMEM;
}

static void port_unwatch(struct event *ev, int fd)
{
    if (ev != NULL) {
        event_free(ev);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void loop_port_close(struct loop *l)
{
    port_unwatch(l->wake_event, l->wake_fd);
    port_unwatch(l->tick_event, l->tick_fd);
    if (l->base != NULL) {
        event_base_free(l->base);
    }
}

void loop_port_start(void)
{
    /* The default of 50 us would lengthen each tick. Whoever lacks it has longer ticks. */
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
}

void loop_port_sleep(int64_t us)
{
    struct timespec ts = {.tv_nsec = us * 1000}; /* below a second: LOOP_GATHER_MAX_US */

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void loop_port_wait(struct loop *l, bool block)
{
    (void)event_base_loop(l->base, block ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

void loop_port_wake(struct loop *l)
{
    const uint64_t one = 1;
    ssize_t r = write(l->wake_fd, &one, sizeof(one));

    (void)r; /* EAGAIN after 2^64 - 2 wake-ups: out of reach */
}

void loop_port_arm(struct loop *l)
{
    int64_t at_ms = wheel_next(&l->wheel);
    struct itimerspec its = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};

    if (at_ms >= l->tick_at_ms) {
        return; /* it wakes early enough; too early costs one empty turn, not a system call here */
    }
    if (timerfd_settime(l->tick_fd, TFD_TIMER_ABSTIME, &its, NULL) == 0) {
        l->tick_at_ms = at_ms;
    }
}

struct fdw {
    struct event ev;
    struct loop *loop;
    struct grave grave;
    fd_fn *fn;
    void *arg;
    int fd;
    int what; /* LOOP_READ | LOOP_WRITE; 0: paused */
    bool closed;
    bool is_edge;
};

static void on_fdw(evutil_socket_t fd, short what, void *arg)
{
    struct fdw *w = arg;

    loop_touch(w->loop);
    if (!w->closed) {
        w->fn(fd,
              ((what & EV_READ) != 0 ? LOOP_READ : 0) | ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0),
              w->arg);
    }
}

static void fdw_pause(struct fdw *w)
{
    if (w->what != 0) {
        (void)event_del(&w->ev);
        w->what = 0;
    }
}

int fdw_set(struct fdw *w, int what)
{
    short flags = (short)(EV_PERSIST | (w->is_edge ? EV_ET : 0));

    if (what == w->what) {
        return 0;
    }
    fdw_pause(w);
    if (what == 0) {
        return 0;
    }
    flags |= (what & LOOP_READ) != 0 ? EV_READ : 0;
    flags |= (what & LOOP_WRITE) != 0 ? EV_WRITE : 0;
    errno = 0;
    if (event_assign(&w->ev, w->loop->base, w->fd, flags, on_fdw, w) != 0 ||
        event_add(&w->ev, NULL) != 0) {
        return errno != 0 ? errno : ENOMEM;
    }
    w->what = what;
    return 0;
}

static int fdw_make(struct fdw **wp, struct loop *l, int fd, bool is_edge, fd_fn *fn, void *arg)
{
    struct fdw *w;
    int err;

    if (l->virt != NULL) {
        return ENOTSUP;
    }
    w = mem_zalloc(sizeof(*w));
    if (w == NULL) {
        return ENOMEM;
    }
    w->loop = l;
    w->fn = fn;
    w->arg = arg;
    w->fd = fd;
    w->is_edge = is_edge;
    err = fdw_set(w, LOOP_READ);
    if (err != 0) {
        mem_free(w);
        return err;
    }
    *wp = w;
    return 0;
}

int fdw_new(struct fdw **wp, struct loop *l, int fd, fd_fn *fn, void *arg)
{
    return fdw_make(wp, l, fd, false, fn, arg);
}

int fdw_new_edge(struct fdw **wp, struct loop *l, int fd, fd_fn *fn, void *arg)
{
    return fdw_make(wp, l, fd, true, fn, arg);
}

void fdw_free(struct fdw **wp)
{
    struct fdw *w = *wp;

    *wp = NULL;
    if (w == NULL) {
        return;
    }
    fdw_pause(w); /* at once: the caller may close the descriptor next */
    w->closed = true;
    loop_defer(w->loop, &w->grave, mem_free, w);
}
