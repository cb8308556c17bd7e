/* DTLS on a pool with threads: many associations at once, a pool that is full, and associations
 * that end while a step of theirs runs. */
#include "crypto/crypto.h"
#include "crypto_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAIRS 12
#define GUARD_TURNS 100000

struct end {
    struct dtls *d;
    struct end *other;
    bool stop; /* frees itself in its first change */
};

static struct rig {
    struct crypto_pool *pool;
    struct dtls_ctx *ctx;
    struct dtls_hub *hub;
    int bell;
    int64_t now_ms, live;
    struct end ends[2 * PAIRS];
} rig;

static void on_notify(void *arg)
{
    const uint64_t one = 1;

    (void)arg;
    assert_int_equal(write(rig.bell, &one, sizeof(one)), sizeof(one));
}

static int up_with(unsigned threads, uint32_t max_queued)
{
    const struct dtls_ctx_params cp = {0};
    struct dtls_hub_params hp = {.notify = on_notify};

    rig = (struct rig){.live = mem_live(), .now_ms = 1000};
    rig.bell = eventfd(0, EFD_CLOEXEC);
    if (crypto_pool_new(&rig.pool, threads, max_queued) != 0 || dtls_ctx_new(&rig.ctx, &cp) != 0) {
        return -1;
    }
    hp.ctx = rig.ctx;
    hp.pool = rig.pool;
    return dtls_hub_new(&rig.hub, &hp);
}

static int up(void **state)
{
    (void)state;
    return up_with(3, 256);
}

static int up_small(void **state)
{
    (void)state;
    return up_with(1, 1);
}

static int down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rig.ends); i++) {
        dtls_free(&rig.ends[i].d);
    }
    crypto_pool_stop(rig.pool);
    dtls_hub_free(&rig.hub);
    crypto_pool_free(&rig.pool);
    dtls_ctx_free(&rig.ctx);
    (void)close(rig.bell);
    return mem_live() == rig.live ? 0 : -1;
}

static void pass_on(struct end *e)
{
    struct sl out;

    while (e->d != NULL && dtls_next_out(e->d, &out)) {
        if (e->other->d != NULL) {
            dtls_feed(e->other->d, out, rig.now_ms);
        }
    }
}

static void on_change(struct dtls *d, void *arg)
{
    struct end *e = arg;

    assert_ptr_equal(d, e->d);
    if (e->stop) {
        dtls_free(&e->d);
        return;
    }
    pass_on(e);
}

static void open_pairs(unsigned n)
{
    struct dtls_fingerprint fp;

    assert_int_equal(dtls_fingerprint_parse(dtls_ctx_fingerprint(rig.ctx), &fp), 0);
    for (unsigned i = 0; i < 2 * n; i++) {
        const struct dtls_params p = {
            .active = i % 2 == 0, .on_change = on_change, .arg = &rig.ends[i]};

        rig.ends[i].other = &rig.ends[i ^ 1];
        assert_int_equal(dtls_new(&rig.ends[i].d, rig.hub, &p), 0);
        assert_int_equal(dtls_set_fingerprints(rig.ends[i].d, &fp, 1), 0);
    }
}

static void start_pairs(unsigned n)
{
    for (unsigned i = 0; i < 2 * n; i++) {
        dtls_start(rig.ends[i].d, rig.now_ms);
    }
}

static void wait_for_bell(void)
{
    struct pollfd fd = {.fd = rig.bell, .events = POLLIN};
    uint64_t rings;

    if (poll(&fd, 1, 300) > 0) {
        assert_int_equal(read(rig.bell, &rings, sizeof(rings)), sizeof(rings));
    } else { /* slow enough to make OpenSSL repeat itself: so should we */
        rig.now_ms += 300;
        for (size_t i = 0; i < COUNT_OF(rig.ends); i++) {
            if (rig.ends[i].d != NULL) {
                dtls_on_timeout(rig.ends[i].d, rig.now_ms);
            }
        }
    }
    dtls_hub_collect(rig.hub, rig.now_ms);
}

static bool is_pending(unsigned n)
{
    for (unsigned i = 0; i < 2 * n; i++) {
        if (rig.ends[i].d != NULL && dtls_state(rig.ends[i].d) == DTLS_HANDSHAKE) {
            return true;
        }
    }
    return false;
}

static void many_handshakes_end_on_their_owners_thread(void **state)
{
    (void)state;
    open_pairs(PAIRS);
    start_pairs(PAIRS);
    for (unsigned turn = 0; turn < GUARD_TURNS && is_pending(PAIRS); turn++) {
        wait_for_bell();
    }
    for (unsigned i = 0; i < 2 * PAIRS; i += 2) {
        struct dtls_srtp_keys a, p;

        assert_int_equal(dtls_take_keys(rig.ends[i].d, &a), 0);
        assert_int_equal(dtls_take_keys(rig.ends[i + 1].d, &p), 0);
        assert_memory_equal(&a.local, &p.remote, sizeof(a.local));
        assert_memory_equal(&a.remote, &p.local, sizeof(a.local));
    }
}

static void associations_may_end_while_their_step_runs(void **state)
{
    (void)state;
    open_pairs(PAIRS);
    start_pairs(PAIRS);
    for (unsigned i = 0; i < 2 * PAIRS; i++) { /* active ones are lent now */
        if (i % 3 == 0) {
            dtls_free(&rig.ends[i].d);
        } else {
            rig.ends[i].stop = i % 4 == 1;
        }
    }
    wait_for_bell();
    dtls_settle(rig.ends[4].d); /* not ready: means nothing */
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        dtls_free(&rig.ends[i].d); /* whatever they are doing; down() looks for what was lost */
    }
}

/* --- a pool that has no time --- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void gate_run(struct crypto_job *j)
{
    (void)j;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void gate_done(struct crypto_job *j, bool ran)
{
    (void)j;
    (void)ran;
}

static void a_full_pool_is_asked_again(void **state)
{
    struct crypto_job busy = {.run = gate_run, .done = gate_done};
    struct crypto_job waiting = busy;
    struct crypto_pool_counts c = {0};

    (void)state;
    open_pairs(1);
    pthread_mutex_lock(&gate);
    assert_int_equal(crypto_pool_put(rig.pool, &busy), 0);
    while (c.running == 0) { /* its only thread has taken it */
        crypto_pool_counts(rig.pool, &c);
    }
    assert_int_equal(crypto_pool_put(rig.pool, &waiting), 0);
    start_pairs(1);
    assert_int_equal(dtls_timeout_ms(rig.ends[0].d, rig.now_ms), 20);
    rig.now_ms += 20;
    dtls_on_timeout(rig.ends[0].d, rig.now_ms);
    assert_int_equal(dtls_timeout_ms(rig.ends[0].d, rig.now_ms), 20);
    pthread_mutex_unlock(&gate);
    while (c.queued + c.running != 0) {
        crypto_pool_counts(rig.pool, &c);
    }
    rig.now_ms += 20;
    dtls_on_timeout(rig.ends[0].d, rig.now_ms);
    for (unsigned turn = 0; turn < GUARD_TURNS && is_pending(1); turn++) {
        wait_for_bell();
    }
    assert_int_equal(dtls_state(rig.ends[0].d), DTLS_READY);
    assert_int_equal(dtls_state(rig.ends[1].d), DTLS_READY);
}

static void a_stopped_pool_loses_nothing(void **state)
{
    (void)state;
    open_pairs(PAIRS);
    start_pairs(PAIRS);
    crypto_pool_stop(rig.pool);
    dtls_hub_collect(rig.hub, rig.now_ms);
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        if (i % 2 == 0) {
            assert_true(dtls_timeout_ms(rig.ends[i].d, rig.now_ms) <= 250);
        }
        rig.ends[i].stop = true;
    }
    rig.now_ms += 20000;
    for (unsigned i = 0; i < 2 * PAIRS; i += 2) {
        dtls_on_timeout(rig.ends[i].d, rig.now_ms);
        assert_int_equal(dtls_error(rig.ends[i].d), ETIMEDOUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_handshakes_end_on_their_owners_thread, up, down),
        cmocka_unit_test_setup_teardown(associations_may_end_while_their_step_runs, up, down),
        cmocka_unit_test_setup_teardown(a_full_pool_is_asked_again, up_small, down),
        cmocka_unit_test_setup_teardown(a_stopped_pool_loses_nothing, up, down),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
