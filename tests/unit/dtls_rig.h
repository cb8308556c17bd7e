/* dtls_rig.h - two DTLS associations that talk to each other over a wire which the test may cut,
 * turn round, double and pollute. Time is virtual: OpenSSL asks gettimeofday() for it, so the
 * program has one of its own. */
#ifndef POSTERN_TEST_DTLS_RIG_H
#define POSTERN_TEST_DTLS_RIG_H

#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/time.h>

static int64_t rig_wall_us = 1700000000000000;

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    (void)tz;
    tv->tv_sec = rig_wall_us / 1000000;
    tv->tv_usec = rig_wall_us % 1000000;
    return 0;
}

#define RIG_WIRE_MAX 64

struct rig_end {
    struct dtls_ctx *ctx;
    struct dtls_hub *hub;
    struct dtls *d;
    unsigned sent;    /* datagrams */
    unsigned flights; /* runs of them without anything from the other end in between */
    unsigned changes; /* on_change */
    size_t longest;
};

/* What becomes of a datagram: how many times it arrives. */
typedef unsigned(rig_wire_fn)(unsigned from, unsigned flight, unsigned number);

static struct rig {
    struct crypto_pool *pool;
    struct rig_end end[2]; /* 0: active */
    rig_wire_fn *wire;     /* NULL: all arrive once */
    bool reversed;         /* within each burst */
    const char *garbage;   /* arrives before each datagram */
    size_t garbage_n;
    int64_t now_ms, live;
} rig;

enum { ACTIVE, PASSIVE };

static void rig_on_change(struct dtls *d, void *arg)
{
    struct rig_end *e = arg;

    (void)d;
    e->changes++;
}

static int rig_open(unsigned i, const uint16_t *profiles, size_t n)
{
    const struct dtls_ctx_params cp = {.profiles = profiles, .n_profiles = n};
    struct rig_end *e = &rig.end[i];
    struct dtls_hub_params hp = {.pool = rig.pool};
    const struct dtls_params dp = {.active = i == ACTIVE, .on_change = rig_on_change, .arg = e};
    int err = dtls_ctx_new(&e->ctx, &cp);

    hp.ctx = e->ctx;
    err = err != 0 ? err : dtls_hub_new(&e->hub, &hp);
    return err != 0 ? err : dtls_new(&e->d, e->hub, &dp);
}

static void rig_shut(unsigned i)
{
    struct rig_end *e = &rig.end[i];

    dtls_free(&e->d);
    dtls_hub_free(&e->hub);
    dtls_ctx_free(&e->ctx);
    *e = (struct rig_end){0};
}

static int rig_up(void **state)
{
    (void)state;
    rig = (struct rig){.live = mem_live(), .now_ms = 5000};
    return crypto_pool_new(&rig.pool, 0, 16) != 0 || rig_open(ACTIVE, NULL, 0) != 0 ||
                   rig_open(PASSIVE, NULL, 0) != 0
               ? -1
               : 0;
}

static int rig_down(void **state)
{
    (void)state;
    crypto_pool_stop(rig.pool);
    rig_shut(ACTIVE);
    rig_shut(PASSIVE);
    crypto_pool_free(&rig.pool);
    return mem_live() == rig.live ? 0 : -1;
}

static struct dtls_fingerprint rig_fingerprint(unsigned of)
{
    struct dtls_fingerprint fp;

    assert_int_equal(dtls_fingerprint_parse(dtls_ctx_fingerprint(rig.end[of].ctx), &fp), 0);
    return fp;
}

static void rig_introduce(unsigned to, unsigned whom)
{
    const struct dtls_fingerprint fp = rig_fingerprint(whom);

    assert_int_equal(dtls_set_fingerprints(rig.end[to].d, &fp, 1), 0);
}

static void rig_collect(void)
{
    for (unsigned i = 0; i < 2; i++) {
        dtls_hub_collect(rig.end[i].hub, rig.now_ms);
    }
}

struct rig_datagram {
    uint8_t p[2048];
    size_t n;
    unsigned times;
};

static unsigned rig_take_burst(unsigned from, struct rig_datagram *burst)
{
    struct rig_end *e = &rig.end[from];
    unsigned n = 0;
    struct sl out;

    while (n < RIG_WIRE_MAX && e->d != NULL && dtls_next_out(e->d, &out)) {
        struct rig_datagram *g = &burst[n];

        assert_true(out.n <= sizeof(g->p));
        memcpy(g->p, out.p, out.n);
        g->n = out.n;
        e->longest = out.n > e->longest ? out.n : e->longest;
        g->times = rig.wire != NULL ? rig.wire(from, e->flights, n) : 1;
        n++;
    }
    e->sent += n;
    e->flights += n != 0;
    return n;
}

/* Moves one burst; false: nothing was said. */
static bool rig_move(unsigned from)
{
    static struct rig_datagram burst[RIG_WIRE_MAX];
    struct rig_end *to = &rig.end[1 - from];
    unsigned n;

    rig_collect();
    n = rig_take_burst(from, burst);
    for (unsigned i = 0; i < n; i++) {
        const struct rig_datagram *g = &burst[rig.reversed ? n - 1 - i : i];

        for (unsigned t = 0; t < g->times && to->d != NULL; t++) {
            if (rig.garbage != NULL) {
                dtls_feed(to->d, sl_make(rig.garbage, rig.garbage_n), rig.now_ms);
            }
            dtls_feed(to->d, sl_make(g->p, g->n), rig.now_ms);
            rig_collect();
        }
    }
    return n != 0;
}

/* Until both are silent. */
static void rig_talk(void)
{
    for (unsigned lap = 0; lap < 64; lap++) {
        bool active = rig_move(ACTIVE);

        if (!rig_move(PASSIVE) && !active) {
            return;
        }
    }
    fail_msg("they do not stop talking");
}

static void rig_advance(int64_t ms)
{
    rig.now_ms += ms;
    rig_wall_us += ms * 1000;
    for (unsigned i = 0; i < 2; i++) {
        struct dtls *d = rig.end[i].d;

        if (d != NULL && dtls_timeout_ms(d, rig.now_ms) == 0) {
            dtls_on_timeout(d, rig.now_ms);
        }
    }
    rig_talk();
}

static void rig_start(void)
{
    dtls_start(rig.end[ACTIVE].d, rig.now_ms);
    dtls_start(rig.end[PASSIVE].d, rig.now_ms);
    rig_talk();
}

/* Time goes on to each time-out until both are done or `ms` are over. */
static void rig_run(int64_t ms)
{
    const int64_t end = rig.now_ms + ms;

    rig_start();
    while (rig.now_ms < end && (dtls_state(rig.end[0].d) == DTLS_HANDSHAKE ||
                                dtls_state(rig.end[1].d) == DTLS_HANDSHAKE)) {
        int64_t next = end - rig.now_ms;

        for (unsigned i = 0; i < 2; i++) {
            int64_t at = dtls_timeout_ms(rig.end[i].d, rig.now_ms);

            next = at >= 0 && at < next ? at : next;
        }
        rig_advance(next > 0 ? next : 1);
    }
}

#endif
