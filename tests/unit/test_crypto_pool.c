/* The crypto pool: jobs run elsewhere, come back by note, and none is lost when it is full or
 * stops. */
#include "crypto/crypto.h"
#include "loop/loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct work {
    struct crypto_job job;
    struct loop_note note;
    struct loop *loop;
    pthread_t by;
    unsigned ran, dropped, noted;
    sem_t *hold; /* run() waits for it */
    sem_t *began;
    unsigned *left; /* notes to come before the loop stops */
};

static void work_run(struct crypto_job *j)
{
    struct work *w = CONTAINER_OF(j, struct work, job);

    w->by = pthread_self();
    if (w->began != NULL) {
        sem_post(w->began);
    }
    if (w->hold != NULL) {
        sem_wait(w->hold);
    }
}

static void work_done(struct crypto_job *j, bool ran)
{
    struct work *w = CONTAINER_OF(j, struct work, job);

    w->ran += ran;
    w->dropped += !ran;
    if (w->loop != NULL) {
        loop_notify(w->loop, &w->note);
    }
}

static void on_work(void *arg)
{
    struct work *w = arg;

    w->noted++;
    if (--*w->left == 0) {
        loop_stop(w->loop);
    }
}

static struct work work_of(struct loop *loop)
{
    return (struct work){.job = {.run = work_run, .done = work_done}, .loop = loop};
}

static void jobs_run_elsewhere_and_come_back_to_the_loop(void **state)
{
    enum { N = 500 };
    static struct work work[N];
    struct crypto_pool *pool = NULL;
    struct crypto_pool_counts counts;
    struct loop *loop = NULL;
    unsigned left = N;

    (void)state;
    if (loop_new(&loop, &(struct loop_params){.mailbox = 2}) != 0) {
        return; /* out of memory, on purpose */
    }
    if (crypto_pool_new(&pool, 2, N) == 0) {
        for (unsigned i = 0; i < N; i++) {
            work[i] = work_of(loop);
            work[i].note = (struct loop_note){.fn = on_work, .arg = &work[i]};
            work[i].left = &left;
            assert_int_equal(crypto_pool_put(pool, &work[i].job), 0);
        }
        loop_run(loop); /* more notes than the mailbox holds messages: none is lost */
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(work[i].ran, 1);
            assert_int_equal(work[i].noted, 1);
            assert_false(pthread_equal(work[i].by, pthread_self()));
        }
        crypto_pool_stop(pool);
        crypto_pool_counts(pool, &counts);
        assert_int_equal(counts.ran, N);
        assert_int_equal(counts.queued, 0);
        assert_int_equal(counts.running, 0);
        assert_int_equal(counts.refused, 0);
    }
    crypto_pool_free(&pool);
    loop_free(&loop);
}

static void a_full_queue_refuses_and_counts(void **state)
{
    struct crypto_pool *pool = NULL;
    struct crypto_pool_counts counts;
    struct work work[4] = {work_of(NULL), work_of(NULL), work_of(NULL), work_of(NULL)};
    sem_t hold, began;
    uint64_t before = stat_sum(STAT_CRYPTO_FULL);

    (void)state;
    sem_init(&hold, 0, 0);
    sem_init(&began, 0, 0);
    if (crypto_pool_new(&pool, 1, 2) != 0) {
        return;
    }
    work[0].hold = &hold;
    work[0].began = &began;
    assert_int_equal(crypto_pool_put(pool, &work[0].job), 0);
    sem_wait(&began); /* it is on the thread, no longer in the queue */
    assert_int_equal(crypto_pool_put(pool, &work[1].job), 0);
    assert_int_equal(crypto_pool_put(pool, &work[2].job), 0);
    assert_int_equal(crypto_pool_put(pool, &work[3].job), ENOBUFS);
    crypto_pool_counts(pool, &counts);
    assert_int_equal(counts.queued, 2);
    assert_int_equal(counts.queued_peak, 2);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.refused, 1);
    assert_int_equal(counts.threads, 1);
    assert_int_equal(stat_sum(STAT_CRYPTO_FULL) - before, 1);
    sem_post(&hold);
    crypto_pool_free(&pool);
    assert_int_equal(work[0].ran, 1);
    assert_int_equal(work[3].ran + work[3].dropped, 0);
}

static void *let_go(void *arg)
{
    sem_post(arg);
    return NULL;
}

static void a_stop_gives_back_what_waits(void **state)
{
    struct crypto_pool *pool = NULL;
    struct work work[3] = {work_of(NULL), work_of(NULL), work_of(NULL)};
    sem_t hold, began;
    pthread_t helper;

    (void)state;
    sem_init(&hold, 0, 0);
    sem_init(&began, 0, 0);
    if (crypto_pool_new(&pool, 1, 8) != 0) {
        return;
    }
    work[0].hold = &hold;
    work[0].began = &began;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(crypto_pool_put(pool, &work[i].job), 0);
    }
    sem_wait(&began);
    assert_int_equal(pthread_create(&helper, NULL, let_go, &hold), 0);
    crypto_pool_stop(pool);
    pthread_join(helper, NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(work[i].ran + work[i].dropped, 1); /* each comes back once */
    }
    assert_int_equal(work[0].ran, 1);
    assert_int_equal(crypto_pool_put(pool, &work[0].job), ECANCELED);
    crypto_pool_stop(pool);
    crypto_pool_free(&pool);
    crypto_pool_free(&pool);
}

static void without_threads_the_caller_runs_the_job(void **state)
{
    struct crypto_pool *pool = NULL;
    struct work work = work_of(NULL);

    (void)state;
    assert_int_equal(crypto_pool_new(&pool, CRYPTO_POOL_THREADS_MAX + 1, 1), EINVAL);
    assert_int_equal(crypto_pool_new(&pool, 1, 0), EINVAL);
    if (crypto_pool_new(&pool, 0, 1) != 0) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(crypto_pool_put(pool, &work.job), 0);
    }
    assert_int_equal(work.ran, 3);
    assert_true(pthread_equal(work.by, pthread_self()));
    crypto_pool_free(&pool);
}

struct order {
    struct loop_note note;
    unsigned *next;
    unsigned at;
};

static void on_order(void *arg)
{
    struct order *o = arg;

    o->at = (*o->next)++;
}

static void notes_arrive_in_order_and_may_be_sent_again(void **state)
{
    struct clock clock;
    struct loop *loop = NULL;
    struct order o[3];
    unsigned next = 0;

    (void)state;
    clock_init_virtual(&clock, 1000, 1000);
    if (loop_new(&loop, &(struct loop_params){.virt = &clock}) != 0) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        o[i] = (struct order){.note = {.fn = on_order, .arg = &o[i]}, .next = &next};
        loop_notify(loop, &o[i].note);
    }
    loop_advance(loop, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(o[i].at, i);
    }
    loop_notify(loop, &o[0].note);
    loop_advance(loop, 0);
    assert_int_equal(o[0].at, 3);
    loop_notify(loop, &o[1].note); /* forgotten with the loop */
    loop_free(&loop);
    assert_int_equal(next, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_elsewhere_and_come_back_to_the_loop),
        cmocka_unit_test(a_full_queue_refuses_and_counts),
        cmocka_unit_test(a_stop_gives_back_what_waits),
        cmocka_unit_test(without_threads_the_caller_runs_the_job),
        cmocka_unit_test(notes_arrive_in_order_and_may_be_sent_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
