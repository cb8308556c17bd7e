/* The turn on a virtual clock: timers, deferred frees, end-of-turn work, mailbox. */
#include "base/base.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START_MS 5000
#define YEAR_MS (365LL * 86400000)

struct rig {
    struct clock clock;
    struct loop *loop;
    char trace[64]; /* one letter per thing that happened */
    size_t n;
    int64_t live;
};

static void rig_up_at(struct rig *r, int64_t mono_ms, uint32_t mailbox)
{
    struct loop_params params = {.virt = &r->clock, .mailbox = mailbox, .owner = r};

    memset(r, 0, sizeof(*r));
    r->live = mem_live();
    clock_init_virtual(&r->clock, mono_ms, 1795243697123);
    assert_int_equal(loop_new(&r->loop, &params), 0);
}

static void rig_up(struct rig *r)
{
    rig_up_at(r, START_MS, 0);
}

static void rig_down(struct rig *r)
{
    loop_free(&r->loop);
    assert_null(r->loop);
    loop_free(&r->loop);
    assert_int_equal(mem_live(), r->live);
}

static void rig_note(struct rig *r, char c)
{
    assert_true(r->n + 1 < sizeof(r->trace));
    r->trace[r->n++] = c;
}

struct probe { /* a timer that writes its letter and does one thing more */
    struct timer t;
    struct rig *rig;
    char letter;
    int64_t fired_at_ms;
    void (*then)(struct probe *p);
    struct probe *other;
    struct turn turn;
    struct grave grave;
};

static void on_probe(void *arg)
{
    struct probe *p = arg;

    assert_false(timer_is_armed(&p->t));
    rig_note(p->rig, p->letter);
    p->fired_at_ms = loop_now_ms(p->rig->loop);
    if (p->then != NULL) {
        p->then(p);
    }
}

static void probe_init(struct probe *p, struct rig *r, char letter)
{
    *p = (struct probe){.rig = r, .letter = letter};
    timer_init(&p->t, on_probe, p);
}

static void timers_fire_once_at_their_time_in_order(void **state)
{
    static const int64_t after_ms[] = {70000, 64, 1, 4096, 63, 0, 5000000, 65};
    struct probe p[COUNT_OF(after_ms)];
    struct rig r;

    (void)state;
    rig_up(&r);
    for (size_t i = 0; i < COUNT_OF(after_ms); i++) {
        probe_init(&p[i], &r, (char)('a' + i));
        timer_start(r.loop, &p[i].t, after_ms[i]);
        assert_true(timer_is_armed(&p[i].t));
    }
    loop_advance(r.loop, 4095);
    assert_string_equal(r.trace, "fcebh");
    loop_advance(r.loop, 1);
    assert_string_equal(r.trace, "fcebhd");
    loop_advance(r.loop, 10000000);
    assert_string_equal(r.trace, "fcebhdag");
    for (size_t i = 0; i < COUNT_OF(after_ms); i++) {
        assert_int_equal(p[i].fired_at_ms, START_MS + after_ms[i]);
    }
    assert_int_equal(loop_now_ms(r.loop), START_MS + 10004096);
    assert_int_equal(loop_wall_ms(r.loop), 1795243697123 + 10004096);
    rig_down(&r);
}

static void restarting_moves_and_stopping_silences(void **state)
{
    struct probe a, b;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    probe_init(&b, &r, 'b');
    timer_stop(r.loop, &a.t);
    timer_start(r.loop, &a.t, 100);
    timer_start(r.loop, &b.t, 100);
    loop_advance(r.loop, 99);
    timer_start(r.loop, &a.t, 100);
    timer_stop(r.loop, &b.t);
    timer_stop(r.loop, &b.t);
    loop_advance(r.loop, 99);
    assert_string_equal(r.trace, "");
    loop_advance(r.loop, 1);
    assert_string_equal(r.trace, "a");
    assert_int_equal(a.fired_at_ms, START_MS + 199);
    timer_start(r.loop, &b.t, -5);
    loop_advance(r.loop, 0);
    assert_string_equal(r.trace, "ab");
    rig_down(&r);
}

static void on_turn_note(void *arg)
{
    struct probe *p = arg;

    rig_note(p->rig, 'T');
}

static void then_start_other_now(struct probe *p)
{
    turn_init(&p->turn, on_turn_note, p);
    loop_end_of_turn(p->rig->loop, &p->turn);
    timer_start(p->rig->loop, &p->other->t, 0);
}

static void a_timer_started_by_a_timer_waits_for_the_next_turn(void **state)
{
    struct probe a, b;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    probe_init(&b, &r, 'b');
    a.then = then_start_other_now;
    a.other = &b;
    timer_start(r.loop, &a.t, 10);
    loop_advance(r.loop, 10);
    assert_string_equal(r.trace, "aTb");
    assert_int_equal(b.fired_at_ms, START_MS + 10);
    rig_down(&r);
}

static void then_stop_other(struct probe *p)
{
    timer_stop(p->rig->loop, &p->other->t);
}

static void a_due_timer_can_still_be_stopped_by_one_before_it(void **state)
{
    struct probe a, b, c;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    probe_init(&b, &r, 'b');
    probe_init(&c, &r, 'c');
    a.then = then_stop_other;
    a.other = &b;
    timer_start(r.loop, &a.t, 10);
    timer_start(r.loop, &b.t, 10);
    timer_start(r.loop, &c.t, 10);
    loop_advance(r.loop, 20);
    assert_string_equal(r.trace, "ac");
    rig_down(&r);
}

static void then_free_self(struct probe *p)
{
    mem_free(p);
}

static void a_timer_may_free_its_own_object(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    for (int i = 0; i < 3; i++) {
        struct probe *p = mem_alloc(sizeof(*p));

        probe_init(p, &r, 'x');
        p->then = then_free_self;
        timer_start(r.loop, &p->t, 7);
    }
    loop_advance(r.loop, 7);
    assert_string_equal(r.trace, "xxx");
    rig_down(&r);
}

static void deadlines_beyond_the_wheel_still_work(void **state)
{
    static const int64_t starts_ms[] = {1, START_MS, (1LL << 36) - 3, (1LL << 42) - 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(starts_ms); i++) {
        struct probe a, b, c, d;
        struct rig r;

        rig_up_at(&r, starts_ms[i], 0);
        probe_init(&a, &r, 'a');
        probe_init(&b, &r, 'b');
        probe_init(&c, &r, 'c');
        probe_init(&d, &r, 'd');
        timer_start(r.loop, &a.t, 7 * YEAR_MS + 1);
        timer_start(r.loop, &b.t, 7 * YEAR_MS);
        timer_start(r.loop, &c.t, 5);
        timer_start(r.loop, &d.t, INT64_MAX);
        loop_advance(r.loop, 7 * YEAR_MS - 1);
        assert_string_equal(r.trace, "c");
        assert_int_equal(c.fired_at_ms, starts_ms[i] + 5);
        loop_advance(r.loop, 2);
        assert_string_equal(r.trace, "cba");
        assert_int_equal(b.fired_at_ms, starts_ms[i] + 7 * YEAR_MS);
        assert_int_equal(a.fired_at_ms, starts_ms[i] + 7 * YEAR_MS + 1);
        assert_true(timer_is_armed(&d.t));
        rig_down(&r);
    }
}

static void timers_left_over_are_disarmed_with_the_loop(void **state)
{
    struct probe a, b, c;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    probe_init(&b, &r, 'b');
    probe_init(&c, &r, 'c');
    timer_start(r.loop, &a.t, 0);
    timer_start(r.loop, &b.t, 1000);
    timer_start(r.loop, &c.t, 7 * YEAR_MS);
    rig_down(&r);
    assert_false(timer_is_armed(&a.t) || timer_is_armed(&b.t) || timer_is_armed(&c.t));
}

/* A long random walk against the plain rule: a timer fires exactly at its deadline, unless it was
 * stopped or restarted before. */
struct walker {
    struct timer t;
    struct loop *loop;
    int64_t want_ms; /* 0: idle */
    int64_t *last_ms;
};

static void on_walker(void *arg)
{
    struct walker *w = arg;

    assert_int_equal(loop_now_ms(w->loop), w->want_ms);
    assert_true(w->want_ms >= *w->last_ms);
    *w->last_ms = w->want_ms;
    w->want_ms = 0;
}

static uint64_t walk_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void walk(struct rig *r, struct walker *w, size_t n, uint64_t seed)
{
    static const int64_t spans[] = {1, 70, 5000, 300000, 20000000, 80000000000};

    for (int step = 0; step < 3000; step++) {
        struct walker *one = &w[walk_random(&seed) % n];
        uint64_t span = (uint64_t)spans[walk_random(&seed) % COUNT_OF(spans)];
        int64_t ms = (int64_t)(walk_random(&seed) % span);

        switch (walk_random(&seed) % 8) {
        case 0:
            timer_stop(r->loop, &one->t);
            one->want_ms = 0;
            break;
        case 1:
            loop_advance(r->loop, ms);
            break;
        default:
            timer_start(r->loop, &one->t, ms);
            one->want_ms = loop_now_ms(r->loop) + ms;
        }
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(timer_is_armed(&w[i].t), w[i].want_ms != 0);
            assert_true(w[i].want_ms == 0 || w[i].want_ms >= loop_now_ms(r->loop));
        }
    }
}

static void the_wheel_keeps_every_deadline_of_a_random_walk(void **state)
{
    static const int64_t starts_ms[] = {1, (1LL << 36) - 40000, (1LL << 30) - 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(starts_ms); i++) {
        struct walker w[50];
        int64_t last_ms = 0;
        struct rig r;

        rig_up_at(&r, starts_ms[i], 0);
        for (size_t k = 0; k < COUNT_OF(w); k++) {
            w[k] = (struct walker){.loop = r.loop, .last_ms = &last_ms};
            timer_init(&w[k].t, on_walker, &w[k]);
        }
        walk(&r, w, COUNT_OF(w), 88172645463325252ULL + i);
        rig_down(&r);
    }
}

static void lag_is_the_worst_of_the_last_ten_seconds(void **state)
{
    struct probe a;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    assert_int_equal(loop_lag_ms(r.loop), 0);
    timer_start(r.loop, &a.t, 10);
    clock_advance(&r.clock, 260); /* as if the thread had been held up */
    loop_advance(r.loop, 0);
    assert_int_equal(loop_lag_ms(r.loop), 250);
    timer_start(r.loop, &a.t, 10);
    loop_advance(r.loop, 8000);
    assert_int_equal(loop_lag_ms(r.loop), 250);
    loop_advance(r.loop, 3000);
    assert_int_equal(loop_lag_ms(r.loop), 0);
    rig_down(&r);
}

static void on_bury(void *arg)
{
    struct probe *p = arg;
    struct probe *other = p->other;

    rig_note(p->rig, p->letter);
    if (other != NULL) { /* the last reference to another object goes with this one */
        loop_defer(p->rig->loop, &other->grave, on_bury, other);
    }
    mem_free(p);
}

static void then_die(struct probe *p)
{
    turn_init(&p->turn, on_turn_note, p);
    loop_defer(p->rig->loop, &p->grave, on_bury, p);
    loop_end_of_turn(p->rig->loop, &p->turn);
    loop_end_of_turn(p->rig->loop, &p->turn);
    rig_note(p->rig, '-'); /* still alive in this frame */
}

static struct probe *probe_new(struct rig *r, char letter)
{
    struct probe *p = mem_alloc(sizeof(*p));

    probe_init(p, r, letter);
    return p;
}

static void frees_come_after_end_of_turn_work_and_may_chain(void **state)
{
    struct probe *a, *b;
    struct rig r;

    (void)state;
    rig_up(&r);
    a = probe_new(&r, 'a');
    b = probe_new(&r, 'b');
    a->other = b;
    a->then = then_die;
    timer_start(r.loop, &a->t, 1);
    loop_advance(r.loop, 1);
    assert_string_equal(r.trace, "a-Tab");
    rig_down(&r);
}

static void the_loop_buries_what_is_left_when_it_ends(void **state)
{
    struct probe *a;
    struct turn turn;
    struct rig r;

    (void)state;
    rig_up(&r);
    a = probe_new(&r, 'a');
    turn_init(&turn, on_turn_note, a);
    loop_end_of_turn(r.loop, &turn); /* not run any more: what it would flush is going away */
    loop_defer(r.loop, &a->grave, on_bury, a);
    rig_down(&r);
    assert_string_equal(r.trace, "a");
    assert_false(turn.armed);
}

static int turns_left;

static void on_turn_again(void *arg)
{
    struct probe *p = arg;

    rig_note(p->rig, 'T');
    if (--turns_left > 0) {
        loop_end_of_turn(p->rig->loop, &p->turn);
        loop_end_of_turn(p->rig->loop, &p->other->turn);
        turn_cancel(&p->other->turn);
        turn_cancel(&p->other->turn);
    }
}

static void end_of_turn_work_may_ask_for_another_turn_or_be_cancelled(void **state)
{
    struct probe a, b;
    struct rig r;

    (void)state;
    rig_up(&r);
    probe_init(&a, &r, 'a');
    probe_init(&b, &r, 'b');
    a.other = &b;
    turn_init(&a.turn, on_turn_again, &a);
    turn_init(&b.turn, on_turn_again, &b);
    turns_left = 3;
    loop_end_of_turn(r.loop, &a.turn);
    loop_advance(r.loop, 0);
    assert_string_equal(r.trace, "TTT");
    rig_down(&r);
}

static uint64_t mail_sum;
static const struct rig *mail_owner;

static void on_mail(void *owner, struct loop_msg *m)
{
    assert_ptr_equal(owner, mail_owner);
    assert_int_equal(m->b, ~m->a);
    mail_sum += m->a;
    mem_free(m->ptr);
}

static void on_drop(void *owner, struct loop_msg *m)
{
    rig_note(owner, 'd');
    mem_free(m->ptr);
}

static int post(struct rig *r, uint64_t a, void *ptr)
{
    struct loop_msg m = {.fn = on_mail, .drop = on_drop, .ptr = ptr, .a = a, .b = ~a};

    mail_owner = r;
    return loop_post(r->loop, &m);
}

static void messages_arrive_in_order_and_the_ring_is_bounded(void **state)
{
    struct rig r;

    (void)state;
    rig_up_at(&r, START_MS, 512);
    stat_reset();
    for (int lap = 0; lap < 3; lap++) {
        mail_sum = 0;
        for (uint64_t i = 0; i < 512; i++) {
            assert_int_equal(post(&r, i, NULL), 0);
        }
        assert_int_equal(post(&r, 1, NULL), ENOBUFS);
        loop_advance(r.loop, 0); /* more than one batch */
        assert_int_equal(mail_sum, 511 * 512 / 2);
    }
    assert_int_equal(stat_sum(STAT_QUEUE_FULL), 3);
    rig_down(&r);
}

static void undelivered_messages_are_dropped_with_what_they_own(void **state)
{
    struct rig r;

    (void)state;
    rig_up_at(&r, START_MS, 4);
    assert_int_equal(post(&r, 1, mem_alloc(10)), 0);
    loop_advance(r.loop, 0);
    assert_int_equal(post(&r, 1, mem_alloc(10)), 0);
    assert_int_equal(post(&r, 2, mem_alloc(10)), 0);
    assert_int_equal(loop_post(r.loop, &(struct loop_msg){.fn = on_mail}), 0);
    rig_down(&r);
    assert_string_equal(r.trace, "dd");
}

static void odd_ring_sizes_are_refused(void **state)
{
    static const uint32_t sizes[] = {1, 3, 100, 16383};
    struct clock clock;
    struct loop *l = NULL;

    (void)state;
    clock_init_virtual(&clock, 1, 1);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct loop_params params = {.virt = &clock, .mailbox = sizes[i]};

        assert_int_equal(loop_new(&l, &params), EINVAL);
    }
    assert_null(l);
}

static void on_never(int fd, int what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    fail();
}

static void virtual_loops_have_no_descriptors_and_do_not_run(void **state)
{
    struct fdw *w = NULL;
    struct rig r;

    (void)state;
    rig_up(&r);
    assert_int_equal(fdw_new(&w, r.loop, 0, on_never, NULL), ENOTSUP);
    assert_null(w);
    fdw_free(&w);
    loop_run(r.loop);
    loop_stop(r.loop);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_at_their_time_in_order),
        cmocka_unit_test(restarting_moves_and_stopping_silences),
        cmocka_unit_test(a_timer_started_by_a_timer_waits_for_the_next_turn),
        cmocka_unit_test(a_due_timer_can_still_be_stopped_by_one_before_it),
        cmocka_unit_test(a_timer_may_free_its_own_object),
        cmocka_unit_test(deadlines_beyond_the_wheel_still_work),
        cmocka_unit_test(timers_left_over_are_disarmed_with_the_loop),
        cmocka_unit_test(the_wheel_keeps_every_deadline_of_a_random_walk),
        cmocka_unit_test(lag_is_the_worst_of_the_last_ten_seconds),
        cmocka_unit_test(frees_come_after_end_of_turn_work_and_may_chain),
        cmocka_unit_test(the_loop_buries_what_is_left_when_it_ends),
        cmocka_unit_test(end_of_turn_work_may_ask_for_another_turn_or_be_cancelled),
        cmocka_unit_test(messages_arrive_in_order_and_the_ring_is_bounded),
        cmocka_unit_test(undelivered_messages_are_dropped_with_what_they_own),
        cmocka_unit_test(odd_ring_sizes_are_refused),
        cmocka_unit_test(virtual_loops_have_no_descriptors_and_do_not_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
