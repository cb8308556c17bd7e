/* dtls_rig.h - two DTLS associations on a pool without threads. Time is virtual: OpenSSL asks
 * gettimeofday() for it, so the program has one of its own. */
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

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict tv,
                                                        void *restrict tz)
{
    (void)tz;
    tv->tv_sec = rig_wall_us / 1000000;
    tv->tv_usec = rig_wall_us % 1000000;
    return 0;
}

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

#endif
