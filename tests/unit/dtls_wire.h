/* dtls_wire.h - the wire between the two associations of dtls_rig.h, which a test may cut, turn
 * round, double and pollute. */
#ifndef POSTERN_TEST_DTLS_WIRE_H
#define POSTERN_TEST_DTLS_WIRE_H

#include "dtls_rig.h"

#define RIG_WIRE_MAX 64

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
