/* The loop on real time: descriptors, timers, stopping, and messages between threads. */
#include "base/base.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUARD_MS 60000 /* ends a test that hangs; never waited for otherwise */

static void on_guard(void *arg)
{
    (void)arg;
    fail_msg("the loop hung");
}

struct rig {
    struct loop *loop;
    struct timer guard, timer;
    unsigned timer_steps;
    int fds[2][2]; /* two socket pairs: [i][0] is watched */
    struct fdw *w[2];
    int calls;
    int64_t live;
};

static void rig_up(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->live = mem_live();
    assert_int_equal(loop_new(&r->loop, &(struct loop_params){.owner = r}), 0);
    timer_init(&r->guard, on_guard, r);
    timer_start(r->loop, &r->guard, GUARD_MS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, r->fds[i]), 0);
    }
}

static void rig_down(struct rig *r)
{
    for (int i = 0; i < 2; i++) {
        fdw_free(&r->w[i]);
        (void)close(r->fds[i][0]);
        (void)close(r->fds[i][1]);
    }
    loop_free(&r->loop);
    assert_int_equal(mem_live(), r->live);
}

static void send_byte(struct rig *r, int i)
{
    assert_int_equal(write(r->fds[i][1], "x", 1), 1);
}

static void on_fd_read_and_stop(int fd, int what, void *arg)
{
    struct rig *r = arg;
    char c;

    assert_int_equal(what, LOOP_READ);
    assert_int_equal(read(fd, &c, 1), 1);
    if (++r->calls == 2) {
        loop_stop(r->loop);
    }
}

static void a_readable_descriptor_calls_until_it_is_drained(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    assert_int_equal(fdw_new(&r.w[0], r.loop, r.fds[0][0], on_fd_read_and_stop, &r), 0);
    send_byte(&r, 0);
    send_byte(&r, 0); /* one read per call: the second needs level triggering */
    loop_run(r.loop);
    assert_int_equal(r.calls, 2);
    rig_down(&r);
}

static void on_edge(int fd, int what, void *arg)
{
    struct rig *r = arg;

    (void)fd;
    assert_int_equal(what, LOOP_READ);
    r->calls++; /* reads nothing: a level triggered watch would call again and again */
}

static void on_edge_timer(void *arg)
{
    struct rig *r = arg;
    static const int calls[] = {0, 1, 1, 2};
    int step = (int)r->timer_steps++;

    assert_int_equal(r->calls, calls[step]);
    if (step == 3) {
        loop_stop(r->loop);
        return;
    }
    if (step != 1) {
        send_byte(r, 0);
    }
    timer_start(r->loop, &r->timer, 1);
}

static void an_edge_calls_once_for_each_write(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    assert_int_equal(fdw_new_edge(&r.w[0], r.loop, r.fds[0][0], on_edge, &r), 0);
    timer_init(&r.timer, on_edge_timer, &r);
    timer_start(r.loop, &r.timer, 0);
    loop_run(r.loop);
    rig_down(&r);
}

static void on_fd_write_then_read(int fd, int what, void *arg)
{
    struct rig *r = arg;

    if (r->calls++ == 0) {
        assert_int_equal(what, LOOP_WRITE);
        assert_int_equal(fdw_set(r->w[0], LOOP_READ | LOOP_WRITE), 0);
        send_byte(r, 0);
        return;
    }
    if (what == (LOOP_READ | LOOP_WRITE)) {
        char c;

        assert_int_equal(read(fd, &c, 1), 1);
        assert_int_equal(fdw_set(r->w[0], 0), 0);
        send_byte(r, 0); /* nobody listens now */
        loop_stop(r->loop);
    }
}

static void interest_in_reading_and_writing_can_change(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    assert_int_equal(fdw_new(&r.w[0], r.loop, r.fds[0][0], on_fd_write_then_read, &r), 0);
    assert_int_equal(fdw_set(r.w[0], LOOP_WRITE), 0);
    loop_run(r.loop);
    assert_in_range(r.calls, 2, 3);
    rig_down(&r);
}

static void on_stop(void *arg)
{
    loop_stop(((struct rig *)arg)->loop);
}

static void on_fd_free_both(int fd, int what, void *arg)
{
    struct rig *r = arg;

    (void)fd, (void)what;
    r->calls++;
    fdw_free(&r->w[0]); /* one of them is the one that speaks here */
    fdw_free(&r->w[1]);
}

static void a_freed_watch_never_calls_not_even_in_the_same_turn(void **state)
{
    struct timer stop;
    struct rig r;

    (void)state;
    rig_up(&r);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fdw_new(&r.w[i], r.loop, r.fds[i][0], on_fd_free_both, &r), 0);
        send_byte(&r, i);
    }
    timer_init(&stop, on_stop, &r);
    timer_start(r.loop, &stop, 5);
    loop_run(r.loop);
    assert_int_equal(r.calls, 1);
    rig_down(&r);
}

static void on_fd_look_at_time(int fd, int what, void *arg)
{
    static int64_t first_ms, first_wall_ms;
    struct rig *r = arg;
    struct clock real;

    (void)fd, (void)what;
    if (r->calls++ == 0) {
        first_ms = loop_now_ms(r->loop);
        first_wall_ms = loop_wall_ms(r->loop);
    }
    clock_init_real(&real);
    assert_true(first_ms <= clock_now_ms(&real));
    while (clock_now_ms(&real) < first_ms + 3) { /* time goes on, the turn's time does not */
    }
    assert_int_equal(loop_now_ms(r->loop), first_ms);
    assert_int_equal(loop_wall_ms(r->loop), first_wall_ms);
    if (r->calls == 2) {
        loop_stop(r->loop);
    }
}

static void time_stands_still_within_a_turn(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fdw_new(&r.w[i], r.loop, r.fds[i][0], on_fd_look_at_time, &r), 0);
        send_byte(&r, i);
    }
    loop_run(r.loop);
    assert_int_equal(r.calls, 2);
    rig_down(&r);
}

struct series {
    struct rig *rig;
    struct timer t;
    int64_t due_ms;
    int left;
};

static void on_series(void *arg)
{
    struct series *s = arg;

    assert_true(loop_now_ms(s->rig->loop) >= s->due_ms); /* never early */
    if (--s->left == 0) {
        loop_stop(s->rig->loop);
        return;
    }
    s->due_ms = loop_now_ms(s->rig->loop) + s->left % 4;
    timer_start(s->rig->loop, &s->t, s->left % 4);
}

static void on_fd_start_timer(int fd, int what, void *arg)
{
    struct series *s = arg;

    (void)fd, (void)what;
    fdw_free(&s->rig->w[0]);
    timer_start(s->rig->loop, &s->t, 2);
}

static void an_earlier_deadline_shortens_a_sleep_that_was_set(void **state)
{
    const int64_t month_ms =
        30LL * 86400000; /* so long that the wheel has nothing to sort before */
    struct series s = {.left = 1};
    struct timer later;
    struct rig r;

    (void)state;
    rig_up(&r);
    s.rig = &r;
    timer_stop(r.loop, &r.guard);
    (void)alarm(GUARD_MS / 1000);
    timer_init(&later, on_guard, &r);
    timer_start(r.loop, &later, month_ms);
    timer_init(&s.t, on_series, &s);
    assert_int_equal(fdw_new(&r.w[0], r.loop, r.fds[0][0], on_fd_start_timer, &s), 0);
    send_byte(&r, 0);
    loop_run(r.loop); /* sleeps first with the month set */
    (void)alarm(0);
    assert_int_equal(s.left, 0);
    rig_down(&r);
}

static void timers_wake_a_sleeping_loop_and_never_come_early(void **state)
{
    struct series s = {.left = 40};
    struct timer later;
    struct rig r;

    (void)state;
    rig_up(&r);
    s.rig = &r;
    timer_init(&s.t, on_series, &s);
    timer_init(&later, on_guard, &r);
    timer_start(r.loop, &later, 50000); /* a later deadline is set first, then an earlier one */
    timer_start(r.loop, &s.t, 2);
    loop_run(r.loop);
    assert_int_equal(s.left, 0);
    rig_down(&r);
}

static void a_stop_before_the_run_is_not_lost_and_the_loop_can_run_again(void **state)
{
    struct timer stop;
    struct rig r;

    (void)state;
    rig_up(&r);
    loop_stop(r.loop);
    loop_run(r.loop);
    timer_init(&stop, on_stop, &r);
    timer_start(r.loop, &stop, 1);
    loop_run(r.loop);
    rig_down(&r);
}

static void a_loop_without_memory_is_no_loop(void **state)
{
    int64_t live = mem_live();
    uint64_t nth;
    bool hit = true;

    (void)state;
    for (nth = 1; hit; nth++) {
        struct loop *l = NULL;
        int err;

        mem_fault_arm(nth);
        err = loop_new(&l, &(struct loop_params){.mailbox = 16});
        hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(err != 0, l == NULL);
        assert_true(err == 0 || hit);
        loop_free(&l);
        assert_int_equal(mem_live(), live);
    }
    assert_true(nth > 4); /* the ring, the loop and libevent's blocks were all among them */
}

static void a_watch_without_memory_is_no_watch(void **state)
{
    bool hit = true;
    struct rig r;

    (void)state;
    rig_up(&r);
    for (uint64_t nth = 1; hit; nth++) {
        int err;

        mem_fault_arm(nth);
        err = fdw_new(&r.w[0], r.loop, r.fds[0][0], on_fd_read_and_stop, &r);
        hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(err, hit ? ENOMEM : 0);
        assert_int_equal(r.w[0] == NULL, hit);
    }
    rig_down(&r);
}

static void a_bad_descriptor_is_refused(void **state)
{
    struct rig r;
    struct fdw *w = NULL;

    (void)state;
    rig_up(&r);
    (void)close(r.fds[0][0]);
    assert_int_equal(fdw_new(&w, r.loop, r.fds[0][0], on_fd_read_and_stop, &r), EBADF);
    assert_null(w);
    rig_down(&r);
}

/* Two loops on two threads play ping-pong, so that each sleeps between any two messages: one lost
 * wake-up and the game stands still. */
struct player {
    struct loop *loop;
    struct player *peer;
    struct timer guard;
    uint64_t rounds;
};

#define ROUNDS 5000

static void on_ball(void *owner, struct loop_msg *m)
{
    struct player *p = owner;
    struct loop_msg back = {.fn = on_ball, .a = m->a + 1};

    assert_int_equal(m->a / 2, p->rounds);
    p->rounds++;
    if (back.a < 2 * ROUNDS) {
        assert_int_equal(loop_post(p->peer->loop, &back), 0);
    }
    if (p->rounds == ROUNDS) {
        loop_stop(p->loop);
    }
}

static void *play(void *arg)
{
    struct player *p = arg;

    timer_init(&p->guard, on_guard, p);
    timer_start(p->loop, &p->guard, GUARD_MS);
    loop_run(p->loop);
    return NULL;
}

static void no_wake_up_is_lost_between_two_threads(void **state)
{
    struct player p[2];
    pthread_t t[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        p[i] = (struct player){.peer = &p[1 - i]};
        assert_int_equal(loop_new(&p[i].loop, &(struct loop_params){.owner = &p[i]}), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, play, &p[i]), 0);
    }
    assert_int_equal(loop_post(p[0].loop, &(struct loop_msg){.fn = on_ball}), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(p[i].rounds, ROUNDS);
    }
    loop_free(&p[0].loop);
    loop_free(&p[1].loop);
}

#define SENDERS 4
#define PER_SENDER 20000

struct crowd {
    struct loop *loop;
    struct timer guard;
    uint64_t next[SENDERS]; /* what each sender's next message must say */
    uint64_t total;
};

struct sender {
    struct crowd *crowd;
    uint64_t id;
    uint64_t full;
};

static void on_crowd(void *owner, struct loop_msg *m)
{
    struct crowd *c = owner;

    assert_int_equal(m->b, c->next[m->a]);
    c->next[m->a]++;
    if (++c->total == SENDERS * PER_SENDER) {
        loop_stop(c->loop);
    }
}

static void *send_many(void *arg)
{
    struct sender *s = arg;

    for (uint64_t i = 0; i < PER_SENDER; i++) {
        struct loop_msg m = {.fn = on_crowd, .a = s->id, .b = i};

        while (loop_post(s->crowd->loop, &m) != 0) {
            s->full++;
            (void)sched_yield();
        }
    }
    return NULL;
}

static void many_senders_keep_their_order_through_a_small_ring(void **state)
{
    struct crowd c = {0};
    struct sender s[SENDERS];
    pthread_t t[SENDERS];

    (void)state;
    assert_int_equal(loop_new(&c.loop, &(struct loop_params){.owner = &c, .mailbox = 8}), 0);
    timer_init(&c.guard, on_guard, &c);
    timer_start(c.loop, &c.guard, GUARD_MS);
    for (uint64_t i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){.crowd = &c, .id = i};
        assert_int_equal(pthread_create(&t[i], NULL, send_many, &s[i]), 0);
    }
    loop_run(c.loop);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(c.next[i], PER_SENDER);
    }
    loop_free(&c.loop);
}

static void *stop_from_outside(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void any_thread_may_stop_the_loop(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    for (int i = 0; i < 20; i++) {
        pthread_t t;

        assert_int_equal(pthread_create(&t, NULL, stop_from_outside, r.loop), 0);
        loop_run(r.loop);
        assert_int_equal(pthread_join(t, NULL), 0);
    }
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_readable_descriptor_calls_until_it_is_drained),
        cmocka_unit_test(an_edge_calls_once_for_each_write),
        cmocka_unit_test(interest_in_reading_and_writing_can_change),
        cmocka_unit_test(a_freed_watch_never_calls_not_even_in_the_same_turn),
        cmocka_unit_test(time_stands_still_within_a_turn),
        cmocka_unit_test(timers_wake_a_sleeping_loop_and_never_come_early),
        cmocka_unit_test(an_earlier_deadline_shortens_a_sleep_that_was_set),
        cmocka_unit_test(a_stop_before_the_run_is_not_lost_and_the_loop_can_run_again),
        cmocka_unit_test(a_loop_without_memory_is_no_loop),
        cmocka_unit_test(a_watch_without_memory_is_no_watch),
        cmocka_unit_test(a_bad_descriptor_is_refused),
        cmocka_unit_test(no_wake_up_is_lost_between_two_threads),
        cmocka_unit_test(many_senders_keep_their_order_through_a_small_ring),
        cmocka_unit_test(any_thread_may_stop_the_loop),
    };

    log_set_level(LOG_ERROR); /* the faults below make warnings */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
