/* loop.c - the turn: descriptors, then timers, mail, end-of-turn work and frees. The same turn
 * runs on the real clock (loop_run) and on a virtual one (loop_advance). */
#include "loop/loop_int.h"

#define LOOP_MAILBOX 16384  /* messages */
#define LOOP_MAIL_BATCH 256 /* messages of one turn, so that descriptors get theirs */

static const struct clock *loop_clock(const struct loop *l)
{
    return l->virt != NULL ? l->virt : &l->clock;
}

static bool loop_is_cached(const struct loop *l)
{
    return l->in_run && l->virt == NULL;
}

void loop_touch(struct loop *l)
{
    if (!l->now_valid || !loop_is_cached(l)) {
        int64_t now_us = clock_now_us(loop_clock(l));

        mailbox_awake(&l->mail);
        gather_woke(&l->gather, now_us);
        l->now_ms = now_us >= 1000 ? now_us / 1000 : 1; /* 0 means "never" in many structs */
        l->wall_ms = clock_wall_ms(loop_clock(l));
        l->now_valid = true;
    }
}

int64_t loop_now_ms(const struct loop *l)
{
    return loop_is_cached(l) ? l->now_ms : clock_now_ms(loop_clock(l));
}

int64_t loop_wall_ms(const struct loop *l)
{
    return loop_is_cached(l) ? l->wall_ms : clock_wall_ms(loop_clock(l));
}

int loop_new(struct loop **lp, const struct loop_params *params)
{
    uint32_t capacity = params->mailbox != 0 ? params->mailbox : LOOP_MAILBOX;
    struct loop *l = NULL;
    int err = 0;

    if ((capacity & (capacity - 1)) != 0 || capacity < 2) {
        return EINVAL;
    }
    l = mem_zalloc(sizeof(*l));
    if (l == NULL) {
        return ENOMEM;
    }
    l->virt = params->virt;
    l->owner = params->owner;
    l->wake_fd = l->tick_fd = -1;
    list_init(&l->turns);
    list_init(&l->graves);
    clock_init_real(&l->clock);
    wheel_init(&l->wheel, clock_now_ms(loop_clock(l)));
    err = mailbox_init(&l->mail, capacity);
    if (err == 0 && l->virt == NULL) {
        err = loop_port_open(l);
    }
    if (err != 0) {
        loop_free(&l);
        return err;
    }
    loop_touch(l);
    *lp = l;
    return 0;
}

static void loop_bury(struct loop *l)
{
    for (struct list *n = list_pop_front(&l->graves); n != NULL; n = list_pop_front(&l->graves)) {
        struct grave *g = CONTAINER_OF(n, struct grave, node);

        g->fn(g->arg); /* frees the object that g lives in, and may dig further graves */
    }
}

static void loop_drop_mail(struct loop *l)
{
    struct loop_msg m;

    while (l->mail.cells != NULL && mailbox_get(&l->mail, &m)) {
        if (m.drop != NULL) {
            m.drop(l->owner, &m);
        }
    }
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    if (l == NULL) {
        return;
    }
    loop_drop_mail(l);
    loop_bury(l);
    while (!list_is_empty(&l->turns)) {
        turn_cancel(CONTAINER_OF(list_first(&l->turns), struct turn, node));
    }
    wheel_clear(&l->wheel);
    loop_port_close(l);
    mailbox_free(&l->mail);
    mem_free(l);
    *lp = NULL;
}

static void loop_note_lag(struct loop *l, int64_t late_ms)
{
    int64_t second = l->now_ms / 1000;
    size_t i = (size_t)second % LOOP_LAG_WINDOW_S;

    l->late_ms = late_ms > l->late_ms ? late_ms : l->late_ms;
    if (l->lag[i].second != second) {
        l->lag[i].second = second;
        l->lag[i].worst_ms = 0;
    }
    if (late_ms > l->lag[i].worst_ms) {
        l->lag[i].worst_ms = late_ms;
    }
}

int64_t loop_lag_ms(const struct loop *l)
{
    int64_t oldest = loop_now_ms(l) / 1000 - LOOP_LAG_WINDOW_S;
    int64_t worst = 0;

    for (size_t i = 0; i < LOOP_LAG_WINDOW_S; i++) {
        if (l->lag[i].second > oldest && l->lag[i].worst_ms > worst) {
            worst = l->lag[i].worst_ms;
        }
    }
    return worst;
}

int64_t loop_late_ms(const struct loop *l)
{
    return l->late_ms;
}

uint32_t loop_mail_count(const struct loop *l)
{
    return mailbox_count(&l->mail);
}

/* Takes the whole ring of nodes off one head and gives it to another, empty one. */
static void loop_take_list(struct list *from, struct list *to)
{
    list_init(to);
    list_insert_before(from, to);
    list_del(from);
}

static void loop_fire(struct loop *l)
{
    struct list firing; /* apart from `due`: what a callback starts waits for the next turn */

    wheel_advance(&l->wheel, l->now_ms);
    loop_take_list(&l->wheel.due, &firing);
    l->late_ms = list_is_empty(&firing) ? l->late_ms : 0;
    for (struct list *n = list_pop_front(&firing); n != NULL; n = list_pop_front(&firing)) {
        struct timer *t = CONTAINER_OF(n, struct timer, node);

        t->armed = false;
        loop_note_lag(l, l->now_ms - t->at_ms);
        t->fn(t->arg); /* may free the object that t lives in */
    }
}

static void loop_deliver(struct loop *l)
{
    struct loop_msg m;

    for (int i = 0; i < LOOP_MAIL_BATCH && mailbox_get(&l->mail, &m); i++) {
        m.fn(l->owner, &m);
    }
    for (struct loop_note *n = mailbox_take_notes(&l->mail), *next; n != NULL; n = next) {
        next = n->next; /* fn may send the note again, or free it */
        n->fn(n->arg);
    }
}

static void loop_end_turns(struct loop *l)
{
    struct list ending; /* what the work arms again waits for the next turn */

    loop_take_list(&l->turns, &ending);
    for (struct list *n = list_pop_front(&ending); n != NULL; n = list_pop_front(&ending)) {
        struct turn *t = CONTAINER_OF(n, struct turn, node);

        t->armed = false;
        t->fn(t->arg);
    }
}

void loop_turn(struct loop *l)
{
    loop_touch(l);
    loop_fire(l);
    loop_deliver(l);
    loop_end_turns(l);
    loop_bury(l);
}

bool loop_is_pending(struct loop *l)
{
    return !list_is_empty(&l->turns) || !list_is_empty(&l->graves) || mailbox_has_any(&l->mail) ||
           wheel_next(&l->wheel) <= l->now_ms;
}

void loop_set_gather(struct loop *l, uint32_t tick_us, loop_sleep_fn *sleep, void *arg)
{
    gather_init(&l->gather, tick_us < LOOP_GATHER_MAX_US ? tick_us : LOOP_GATHER_MAX_US,
                sleep == NULL, clock_now_us(loop_clock(l)));
    l->sleep = sleep;
    l->sleep_arg = arg;
}

void loop_note_packets(struct loop *l, uint32_t n)
{
    gather_note(&l->gather, n);
}

/* False: the next packets are to be waited for. */
static bool loop_gather(struct loop *l)
{
    int64_t us = gather_next(&l->gather, clock_now_us(&l->clock));

    if (us > 0 && l->sleep != NULL) {
        l->sleep(l->sleep_arg, us);
    } else if (us > 0) {
        loop_port_sleep(us);
    }
    return us != GATHER_BLOCK;
}

void loop_run(struct loop *l)
{
    if (l->virt != NULL) {
        return;
    }
    loop_port_start();
    l->in_run = true;
    l->now_valid = false;
    loop_touch(l);
    while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
        bool block = !loop_is_pending(l) && !loop_gather(l) && mailbox_may_sleep(&l->mail);

        if (block) {
            loop_port_arm(l);
        }
        l->now_valid = false;
        loop_port_wait(l, block);
        loop_turn(l);
    }
    l->in_run = false;
    atomic_store_explicit(&l->stop, false, memory_order_relaxed);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    if (l->virt == NULL) {
        loop_port_wake(l);
    }
}

static void loop_settle(struct loop *l)
{
    do {
        loop_turn(l);
    } while (loop_is_pending(l));
}

void loop_advance(struct loop *l, int64_t ms)
{
    int64_t end_ms, next_ms;

    if (l->virt == NULL) {
        return;
    }
    end_ms = clock_now_ms(l->virt) + ms;
    loop_settle(l);
    for (next_ms = wheel_next(&l->wheel); next_ms <= end_ms; next_ms = wheel_next(&l->wheel)) {
        if (next_ms > clock_now_ms(l->virt)) { /* a callback may have moved the clock itself */
            clock_advance(l->virt, next_ms - clock_now_ms(l->virt));
        }
        loop_settle(l);
    }
    if (end_ms > clock_now_ms(l->virt)) {
        clock_advance(l->virt, end_ms - clock_now_ms(l->virt));
    }
    loop_touch(l);
}

void timer_init(struct timer *t, timer_fn *fn, void *arg)
{
    *t = (struct timer){.fn = fn, .arg = arg};
    list_init(&t->node);
}

void timer_start(struct loop *l, struct timer *t, int64_t after_ms)
{
    int64_t now_ms = loop_now_ms(l);

    timer_stop(l, t);
    if (after_ms < 0) {
        after_ms = 0;
    }
    t->at_ms = after_ms < WHEEL_NEVER - 1 - now_ms ? now_ms + after_ms : WHEEL_NEVER - 1;
    t->armed = true;
    wheel_add(&l->wheel, t);
}

void timer_start_lazy(struct loop *l, struct timer *t, int64_t after_ms)
{
    int64_t at_ms = loop_now_ms(l) + after_ms;

    if (l->virt == NULL) {
        at_ms = (at_ms + LOOP_SLACK_MS - 1) / LOOP_SLACK_MS * LOOP_SLACK_MS;
    }
    timer_start(l, t, at_ms - loop_now_ms(l));
}

void timer_stop(struct loop *l, struct timer *t)
{
    (void)l; /* the wheel forgets emptied slots by itself */
    if (t->armed) {
        t->armed = false;
        list_del(&t->node);
    }
}

void loop_defer(struct loop *l, struct grave *g, defer_fn *fn, void *arg)
{
    g->fn = fn;
    g->arg = arg;
    list_push_back(&l->graves, &g->node);
}

void turn_init(struct turn *t, defer_fn *fn, void *arg)
{
    *t = (struct turn){.fn = fn, .arg = arg};
    list_init(&t->node);
}

void loop_end_of_turn(struct loop *l, struct turn *t)
{
    if (!t->armed) {
        t->armed = true;
        list_push_back(&l->turns, &t->node);
    }
}

void turn_cancel(struct turn *t)
{
    if (t->armed) {
        t->armed = false;
        list_del(&t->node);
    }
}

int loop_post(struct loop *l, const struct loop_msg *m)
{
    bool wake;
    int err = mailbox_put(&l->mail, m, &wake);

    if (err != 0) {
        stat_inc(STAT_QUEUE_FULL);
        return err;
    }
    if (wake && l->virt == NULL) {
        loop_port_wake(l);
    }
    return 0;
}

void loop_notify(struct loop *l, struct loop_note *n)
{
    if (mailbox_put_note(&l->mail, n) && l->virt == NULL) {
        loop_port_wake(l);
    }
}
