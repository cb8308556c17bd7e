/* test_worker_house.c - the house and its workers without threads and sockets: news that wait for
 * room in a mailbox, the age of the token key, and what workers tell each other about connections.
 */
#include "config_rig.h"
#include "loop/loop_int.h"
#include "registrar/registrar_int.h"
#include "tx/tx_int.h"
#include "worker/worker_int.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define H_MS (3600 * 1000LL)
#define USERS "users: {domain: d.test, listener: a, accounts: [{name: \"1\", password: one}]}\n"
#define FULL 1000000 /* no mailbox holds so many */

static struct b2bua *house; /* two workers */
static char folder[] = "/tmp/postern-house-XXXXXX";
static int64_t live;

static void give_config(const char *lines)
{
    char text[1024];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    buf_puts(&b, RIG_BASE USERS "node: {workers: 2, key: ");
    buf_puts(&b, folder);
    buf_puts(&b, "/key}\n");
    buf_puts(&b, lines);
    text[b.n] = '\0';
    house->cfg = rig_good(text);
}

static struct config *another_config(const char *lines)
{
    struct config *cfg, *old = house->cfg;

    give_config(lines);
    cfg = house->cfg;
    house->cfg = old;
    return cfg;
}

static void take_config(struct config *cfg, struct buf *why)
{
    assert_int_equal(b2bua_prepare(house, cfg, why), 0);
    b2bua_commit(house, cfg);
}

static int house_up(void **state)
{
    (void)state;
    live = mem_live();
    house = mem_zalloc(sizeof(*house));
    assert_non_null(house);
    pthread_mutex_init(&house->lock, NULL);
    clock_init_virtual(&house->clock, 1000, 100 * H_MS);
    house->n_workers = 2;
    give_config("limits: {transactions: 5000, duration: 7d}\n");
    house->longest_ms = house->cfg->duration_ms;
    assert_int_equal(token_ring_random(&house->ring), 0);
    assert_int_equal(auth_new(&house->auth), 0);
    assert_int_equal(policy_gate_new(&house->gate), 0);
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(worker_new(&house->workers[i], house, i), 0);
    }
    return 0;
}

static int house_down(void **state)
{
    (void)state;
    b2bua_stop(&house);
    assert_null(house);
    assert_int_equal(mem_live(), live);
    return 0;
}

/* --- turns of a worker, here instead of on its thread --- */

static void run(unsigned i)
{
    struct loop *l = house->workers[i]->loop;

    for (int turns = 0; loop_is_pending(l); turns++) {
        assert_true(turns < FULL);
        loop_turn(l);
    }
}

static void on_nothing(void *owner, struct loop_msg *m)
{
    (void)owner;
    (void)m;
}

static void fill_mailbox(unsigned i)
{
    for (int n = 0; loop_post(house->workers[i]->loop, &(struct loop_msg){.fn = on_nothing}) == 0;
         n++) {
        assert_true(n < FULL);
    }
}

/* --- news --- */

static void news_reach_a_worker_whose_mailbox_was_full(void **state)
{
    struct config *first = house->cfg, *second;
    struct token_ring *ring = house->workers[1]->ring;
    struct buf restart;

    (void)state;
    config_ref(first);
    give_config("limits: {transactions: 5000, duration: 7d, setup: 1m}\n");
    second = house->cfg;
    house->cfg = first; /* what the house held; `first` above is the test's */
    fill_mailbox(1);
    buf_init(&restart, 1000);
    take_config(second, &restart);
    b2bua_drain(house);
    run(0);
    assert_ptr_equal(house->workers[0]->cfg, second);
    assert_int_equal(house->news[0], 0);
    assert_ptr_equal(house->workers[1]->cfg, first);
    b2bua_tick(house, token_ring_made_ms(house->ring)); /* still full */
    assert_int_not_equal(house->news[1], 0);
    run(1);
    assert_ptr_equal(house->workers[1]->cfg, first);
    b2bua_tick(house, token_ring_made_ms(house->ring));
    assert_int_equal(house->news[1], 0);
    run(1);
    assert_ptr_equal(house->workers[1]->cfg, second);
    assert_ptr_equal(house->workers[1]->ring, ring); /* nothing new about that */
    config_unref(&first);
    config_unref(&second);
    buf_free(&restart);
}

/* --- the token key --- */

static bool key_was_renewed(int64_t after_ms)
{
    struct token_ring *before = house->ring;

    b2bua_tick(house, token_ring_made_ms(before) + after_ms);
    return house->ring != before;
}

static void the_key_stays_as_long_as_the_longest_call_may_last(void **state)
{
    struct config *old = house->cfg, *shorter;
    struct token_ring *ring = house->workers[1]->ring;
    struct buf restart;

    (void)state;
    assert_false(key_was_renewed(25 * H_MS));
    give_config("limits: {transactions: 5000, duration: 1h}\n");
    shorter = house->cfg;
    house->cfg = old;
    buf_init(&restart, 1000);
    take_config(shorter, &restart);
    assert_false(key_was_renewed(7 * 24 * H_MS - 1)); /* older calls may still last 7 days */
    assert_true(key_was_renewed(7 * 24 * H_MS));
    run(1);
    assert_ptr_not_equal(house->workers[1]->ring, ring);
    config_unref(&shorter);
    buf_free(&restart);
}

static void what_one_worker_writes_every_other_can_read_while_the_key_changes(void **state)
{
    const struct token t = {.kind = TOKEN_TAG, .slot = 9, .gen = 1};
    char text[TOKEN_TEXT_LEN];
    struct token out;
    struct token_ring *before = house->workers[1]->ring;

    (void)state;
    house->longest_ms = H_MS;
    assert_true(key_was_renewed(24 * H_MS));
    for (unsigned step = 0; step < 6; step++) {
        for (unsigned i = 0; i < 2; i++) {
            token_put(house->workers[i]->ring, &t, text);
            assert_true(token_get(house->workers[1 - i]->ring, sl_make(text, sizeof(text)), &out));
        }
        if (step % 3 == 2) {
            b2bua_tick(house, token_ring_made_ms(house->ring));
        } else {
            run(step % 3);
        }
    }
    assert_ptr_not_equal(house->workers[1]->ring, before);
    assert_false(token_ring_waits(house->workers[0]->ring));
    assert_false(token_ring_waits(house->workers[1]->ring));
}

static void a_key_lives_a_day_at_least(void **state)
{
    (void)state;
    house->longest_ms = H_MS;
    assert_false(key_was_renewed(24 * H_MS - 1));
    assert_true(key_was_renewed(24 * H_MS));
}

static void a_key_that_cannot_be_renewed_is_tried_again_after_an_hour(void **state)
{
    char away[64];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, away, sizeof(away) - 1);
    buf_puts(&b, folder);
    buf_puts(&b, ".away");
    away[b.n] = '\0';
    house->longest_ms = H_MS;
    assert_int_equal(rename(folder, away), 0);
    assert_false(key_was_renewed(25 * H_MS));
    assert_int_equal(rename(away, folder), 0);
    clock_advance(&house->clock, H_MS - 1);
    assert_false(key_was_renewed(26 * H_MS));
    clock_advance(&house->clock, 1);
    assert_true(key_was_renewed(26 * H_MS));
}

/* --- limits --- */

static void the_limit_of_transactions_is_shared_by_the_workers(void **state)
{
    (void)state;
    assert_int_equal(house->workers[0]->tab->p.max, 2500);
    assert_int_equal(house->workers[1]->tab->p.max, 2500);
}

/* --- connections of other workers --- */

static struct flow dead_flow(void)
{
    struct flow f = {.transport = SIP_TCP, .worker = 0, .conn_slot = 7, .conn_gen = 3};

    assert_int_equal(addr_parse_hostport(SL("127.0.0.9:5060"), 0, &f.remote), 0);
    return f;
}

static void bind_one(struct registrar *r, const struct flow *flow, size_t n)
{
    struct rec tmp = {.b = {.user = SL("1"),
                            .contact = SL("sip:1@127.0.0.9"),
                            .flow = *flow,
                            .expires_ms = INT64_MAX}};
    struct reg_update u = {.name = mem_strndup("1", 1), .name_n = 1, .n = 1};

    u.n = n;
    u.recs[0] = binding_rec_new(&tmp);
    assert_true(u.name != NULL && u.recs[0] != NULL);
    registrar_apply(r, &u);
    assert_int_equal(registrar_count(r), n);
    binding_rec_free(u.recs[0]);
    mem_free(u.name);
}

/* A binding that both workers believe in. */
static void bind_both(const struct flow *flow)
{
    for (unsigned i = 0; i < 2; i++) {
        struct registrar *r = house->workers[i]->registrar;

        r->p.publish = NULL; /* each learns of the end by itself */
        r->p.hold = NULL;
        bind_one(r, flow, 1);
    }
}

static void the_end_of_a_connection_ends_its_bindings_on_every_worker(void **state)
{
    struct flow f = dead_flow();

    (void)state;
    bind_both(&f);
    f.unused = true; /* nobody was ever told of it: nobody is told now */
    worker_net_events.gone(house->workers[0], &f, 0);
    run(1);
    assert_int_equal(registrar_count(house->workers[0]->registrar), 1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 1);
    f.unused = false;
    worker_net_events.gone(house->workers[0], &f, 0);
    assert_int_equal(registrar_count(house->workers[0]->registrar), 0);
    run(1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 0);
}

static void a_worker_that_was_too_busy_hears_of_a_binding_later(void **state)
{
    unsigned owner = registrar_owner(house->workers[0]->registrar, SL("1"));
    struct registrar *there = house->workers[1 - owner]->registrar;
    struct flow f = dead_flow();

    (void)state;
    f.transport = SIP_UDP;
    for (size_t n = 1; n <= 2; n++) { /* it comes, and it goes */
        fill_mailbox(1 - owner);
        bind_one(house->workers[owner]->registrar, &f, 2 - n);
        worker_pay_owed(house->workers[owner]); /* still full */
        run(1 - owner);
        assert_int_equal(registrar_count(there), n - 1);
        worker_pay_owed(house->workers[owner]);
        run(1 - owner);
        assert_int_equal(registrar_count(there), 2 - n);
        assert_int_equal(house->workers[owner]->n_owed, 0);
    }
}

static void tell_of(const char *user)
{
    struct reg_update u = {.name = mem_strndup(user, strlen(user)), .name_n = strlen(user)};

    assert_non_null(u.name);
    worker_publish(house->workers[0], &u);
    mem_free(u.name);
}

#define MANY 600

/* What it costs is counted in blocks of memory: some for each user who is told to somebody. */
static void what_a_stalled_worker_is_owed_does_not_stall_its_neighbour(void **state)
{
    struct worker *w = house->workers[0];

    (void)state;
    fill_mailbox(1);
    for (unsigned i = 0; i < MANY; i++) {
        char user[8];

        snprintf(user, sizeof(user), "u%u", i);
        tell_of(user);
    }
    mem_fault_arm(MANY);
    worker_pay_owed(w);
    assert_false(mem_fault_hit()); /* the first refusal is enough */
    mem_fault_arm(0);
    assert_int_equal(w->n_owed, MANY);
    run(1);
    worker_pay_owed(w);
    assert_int_equal(w->n_owed, MANY - 512); /* and not all of it at once */
    run(1);
    worker_pay_owed(w);
    assert_int_equal(w->n_owed, 0);
    run(1);
}

static void a_stalled_worker_keeps_nothing_from_the_others(void **state)
{
    (void)state;
    house->n_workers = 3;
    assert_int_equal(worker_new(&house->workers[2], house, 2), 0);
    fill_mailbox(1);
    tell_of("first");
    run(2);
    fill_mailbox(2);
    tell_of("second");
    run(2);
    worker_pay_owed(house->workers[0]);
    assert_true(loop_is_pending(house->workers[2]->loop));
    run(2);
    assert_int_equal(house->workers[0]->n_owed, 2);
    worker_pay_owed(house->workers[0]);
    assert_false(loop_is_pending(house->workers[2]->loop)); /* once */
    run(1);
    worker_pay_owed(house->workers[0]);
    assert_int_equal(house->workers[0]->n_owed, 0);
    run(1);
}

static void a_request_for_a_connection_that_is_gone_is_told_back(void **state)
{
    struct flow f = dead_flow();

    (void)state;
    bind_both(&f);
    assert_int_equal(worker_send_remote(house->workers[1], &f, SL("SIP/2.0 403 Forbidden\r\n")), 0);
    run(0);
    run(1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 1); /* an answer: no news */
    assert_int_equal(worker_send_remote(house->workers[1], &f, SL("INVITE sip:1 SIP/2.0\r\n")), 0);
    run(0);
    run(1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 0);
}

static void a_hold_of_a_connection_that_is_gone_is_told_back(void **state)
{
    struct flow f = dead_flow();

    (void)state;
    bind_both(&f);
    worker_hold(house->workers[1], &f, -1);
    run(0);
    run(1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 1);
    worker_hold(house->workers[1], &f, 1);
    run(0);
    run(1);
    assert_int_equal(registrar_count(house->workers[1]->registrar), 0);
    worker_hold(house->workers[0], &f, 1); /* its own */
    run(0);
    assert_int_equal(registrar_count(house->workers[0]->registrar), 0);
}

static void a_worker_that_is_gone_already_is_not_told_any_more(void **state)
{
    struct flow f = dead_flow();
    struct reg_update u = {.name = mem_strndup("1", 1), .name_n = 1};

    (void)state;
    worker_free(&house->workers[0]);
    assert_int_equal(worker_send_remote(house->workers[1], &f, SL("BYE sip:1 SIP/2.0\r\n")),
                     ENOTCONN);
    worker_hold(house->workers[1], &f, -1);
    worker_publish(house->workers[1], &u);
    worker_tell_gone(house->workers[1], &f, 0);
    assert_false(worker_hand_message(house->workers[1], 0, &f, SL("x"), 1));
    mem_free(u.name);
}

#define HOUSE(f) cmocka_unit_test_setup_teardown(f, house_up, house_down)

/* --- questions --- */

struct asking {
    struct config *cfg;
    struct ask answer;
    int err;
    _Atomic bool is_done;
};

static void refuse(struct worker *w, struct ask *a)
{
    (void)w;
    assert_non_null(a->cfg);
    a->err = ENOBUFS; /* as the kernel may say, or a mailbox */
}

static void *ask_there(void *arg)
{
    struct asking *q = arg;

    q->err = worker_ask_config(house->workers[0], refuse, q->cfg, &q->answer);
    atomic_store(&q->is_done, true);
    return NULL;
}

/* Whatever the answer, the worker gives back what it was lent, once. */
static void a_configuration_that_was_asked_about_is_given_back(void **state)
{
    struct asking q = {.err = -1};
    pthread_t thread;

    (void)state;
    q.cfg = another_config("limits: {setup: 1m}\n");
    assert_int_equal(pthread_create(&thread, NULL, ask_there, &q), 0);
    while (!atomic_load(&q.is_done)) {
        run(0);
        sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(q.err, ENOBUFS);
    buf_free(&q.answer.out);
    assert_true(config_is_mine(q.cfg));
    config_unref(&q.cfg);
}

/* The loop of the worker that is behind has not turned: it learns it from what it is given. */
static void a_configuration_is_taken_once_and_an_older_one_not_at_all(void **state)
{
    struct config *first = config_ref(house->cfg), *second;
    struct worker *w = house->workers[1];
    struct buf why;

    (void)state;
    give_config("limits: {transactions: 5000, duration: 7d, setup: 1m}\n");
    second = house->cfg;
    house->cfg = first; /* what the house held; the reference above is the test's */
    buf_init(&why, 1000);
    assert_int_equal(b2bua_prepare(house, second, &why), 0);
    worker_catch_up(w);
    assert_ptr_equal(w->cfg, first); /* it may yet be abandoned */
    b2bua_commit(house, second);
    worker_catch_up(w);
    assert_ptr_equal(w->cfg, second);
    worker_take_config(w, first);
    assert_ptr_equal(w->cfg, second);
    run(1);
    assert_ptr_equal(w->cfg, second);
    assert_null(w->next);
    assert_int_equal(b2bua_prepare(house, first, &why), 0);
    b2bua_abandon(house);
    assert_null(w->next);
    run(0);
    config_unref(&first);
    config_unref(&second);
    buf_free(&why);
}

/* In force for the house, but its message found no room at worker 1. */
static struct config *commit_untold(const char *lines)
{
    struct config *cfg = another_config(lines);
    struct buf why;

    buf_init(&why, 1000);
    assert_int_equal(b2bua_prepare(house, cfg, &why), 0);
    fill_mailbox(1);
    b2bua_commit(house, cfg);
    run(0);
    run(1);
    assert_ptr_equal(house->workers[0]->cfg, cfg);
    assert_ptr_not_equal(house->workers[1]->cfg, cfg);
    buf_free(&why);
    return cfg;
}

static void *prepare_there(void *arg)
{
    struct asking *q = arg;
    struct buf why;

    buf_init(&why, 1000);
    q->err = b2bua_prepare(house, q->cfg, &why);
    buf_free(&why);
    atomic_store(&q->is_done, true);
    return NULL;
}

static void what_is_in_force_is_taken_before_the_next_is_prepared(void **state)
{
    struct config *cfg = commit_untold("limits: {setup: 1m}\n");
    struct asking q = {.err = -1, .cfg = another_config("limits: {setup: 2m}\n")};
    struct worker *w = house->workers[1];
    pthread_t thread;

    (void)state;
    w->running = true; /* as far as questions go: this is its thread */
    assert_int_equal(pthread_create(&thread, NULL, prepare_there, &q), 0);
    while (!atomic_load(&q.is_done)) {
        run(1);
        sched_yield();
    }
    pthread_join(thread, NULL);
    w->running = false;
    assert_int_equal(q.err, 0);
    assert_ptr_equal(w->cfg, cfg);
    assert_ptr_equal(w->next, q.cfg);
    b2bua_abandon(house);
    config_unref(&q.cfg);
    config_unref(&cfg);
}

static void what_is_in_force_is_taken_before_the_next_is_abandoned(void **state)
{
    struct config *cfg = commit_untold("limits: {setup: 1m}\n");
    struct worker *w = house->workers[1];

    (void)state;
    w->running = true;
    b2bua_abandon(house);
    w->running = false;
    run(1);
    assert_ptr_equal(w->cfg, cfg);
    assert_null(w->next);
    config_unref(&cfg);
}

/* --- the crypto pool --- */

struct slow_job {
    struct crypto_job job;
    struct crypto_pool *pool;
    _Atomic bool may_end, has_begun, is_full, ran, is_done;
};

/* When the pool is full, there is no room for one more until it is told to stop. */
static void job_run(struct crypto_job *j)
{
    struct slow_job *s = CONTAINER_OF(j, struct slow_job, job);
    struct crypto_job more = *j;

    atomic_store(&s->has_begun, true);
    while (!atomic_load(&s->may_end) &&
           (!atomic_load(&s->is_full) || crypto_pool_put(s->pool, &more) == ENOBUFS)) {
        sched_yield();
    }
}

static void job_done(struct crypto_job *j, bool ran)
{
    struct slow_job *s = CONTAINER_OF(j, struct slow_job, job);

    atomic_store(&s->ran, ran);
    atomic_store(&s->is_done, true);
}

static void put_job(struct slow_job *s, struct crypto_pool *pool)
{
    *s = (struct slow_job){.job = {job_run, job_done}, .pool = pool};
    assert_int_equal(crypto_pool_put(pool, &s->job), 0);
}

static void until(_Atomic bool *what)
{
    while (!atomic_load(what)) {
        sched_yield();
    }
}

/* One is at work and one waits when a reload changes the pool. */
static void what_waits_in_the_pool_of_before_is_still_done(void **state)
{
    static struct slow_job first, second;
    struct crypto_pool *pool = NULL;
    struct config *cfg = another_config("limits: {setup: 1m}\n");

    (void)state;
    assert_int_equal(crypto_pool_new(&pool, 1, 1), 0);
    house->pool = pool;
    put_job(&first, pool);
    until(&first.has_begun);
    put_job(&second, pool);
    atomic_store(&first.is_full, true);
    assert_int_equal(crypto_pool_new(&house->next_pool, 1, 8), 0);
    b2bua_commit(house, cfg);
    config_unref(&cfg);
    run(0);
    run(1);
    b2bua_tick(house, token_ring_made_ms(house->ring));
    atomic_store(&first.is_full, false);
    atomic_store(&second.may_end, true);
    atomic_store(&first.may_end, true);
    until(&second.is_done);
    assert_true(atomic_load(&second.ran));
    b2bua_tick(house, token_ring_made_ms(house->ring));
    assert_null(house->old_pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE(news_reach_a_worker_whose_mailbox_was_full),
        HOUSE(the_key_stays_as_long_as_the_longest_call_may_last),
        HOUSE(what_one_worker_writes_every_other_can_read_while_the_key_changes),
        HOUSE(a_key_lives_a_day_at_least),
        HOUSE(what_waits_in_the_pool_of_before_is_still_done),
        HOUSE(a_configuration_that_was_asked_about_is_given_back),
        HOUSE(a_configuration_is_taken_once_and_an_older_one_not_at_all),
        HOUSE(what_is_in_force_is_taken_before_the_next_is_prepared),
        HOUSE(what_is_in_force_is_taken_before_the_next_is_abandoned),
        HOUSE(a_key_that_cannot_be_renewed_is_tried_again_after_an_hour),
        HOUSE(the_limit_of_transactions_is_shared_by_the_workers),
        HOUSE(the_end_of_a_connection_ends_its_bindings_on_every_worker),
        HOUSE(a_worker_that_was_too_busy_hears_of_a_binding_later),
        HOUSE(what_a_stalled_worker_is_owed_does_not_stall_its_neighbour),
        HOUSE(a_stalled_worker_keeps_nothing_from_the_others),
        HOUSE(a_request_for_a_connection_that_is_gone_is_told_back),
        HOUSE(a_hold_of_a_connection_that_is_gone_is_told_back),
        HOUSE(a_worker_that_is_gone_already_is_not_told_any_more),
    };
    char key[64];
    int failed;

    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (mkdtemp(folder) == NULL || crypto_init() != 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(key, sizeof(key), "%s/key", folder);
    (void)unlink(key);
    (void)rmdir(folder);
    crypto_deinit();
    return failed;
}
