/* media_rig.h - a worker's media on a virtual clock with real loopback sockets: two phones, a relay
 * session between them, and packets that move only when the test says so. Loopback delivers within
 * sendto(), so nothing here waits. */
#ifndef POSTERN_TEST_MEDIA_RIG_H
#define POSTERN_TEST_MEDIA_RIG_H

#include "media_net.h"
#include "media/secure_int.h"
#include "media/stage_int.h"

#define RIG_LEARN_MS 3000
#define RIG_INACTIVITY_MS 30000

struct rig {
    struct clock clock;
    struct loop *loop;
    struct media *m;
    struct media_session *s;
    int phone[2], phone_rtcp[2], stranger;
    struct media_remote remote[2];
    unsigned silences, silent_stream, silent_side;
    bool close_on_silence;
    int64_t live; /* blocks before */
};

/* A source whose packet proves itself. */
static inline bool rig_accept(struct media_flow *f, const struct addr *src, int64_t now_ms)
{
    uint8_t rank = 0;
    enum media_source who = media_flow_check(f, src, now_ms, RIG_LEARN_MS, &rank);

    if (who == MEDIA_SOURCE_NEW) {
        media_flow_learn(f, src, rank, now_ms);
    }
    return who != MEDIA_SOURCE_STRANGER;
}

static inline void rig_on_silence(struct media_session *s, unsigned stream, unsigned side,
                                  void *arg)
{
    struct rig *r = arg;

    assert_ptr_equal(s, r->s);
    r->silences++;
    r->silent_stream = stream;
    r->silent_side = side;
    if (r->close_on_silence) {
        media_session_close(&r->s);
    }
}

static inline void rig_realm(struct rig *r, struct addr a, struct addr a6, uint16_t lo, uint16_t hi)
{
    struct media_realm_params p = {
        .listener = 1, .address = a, .address6 = a6, .port_min = lo, .port_max = hi};

    assert_int_equal(media_set_realm(r->m, &p), 0);
}

static inline void rig_base(struct rig *r)
{
    struct loop_params lp = {.virt = &r->clock, .mailbox = 16};
    struct media_params mp = {.n_workers = 1,
                              .inactivity_ms = RIG_INACTIVITY_MS,
                              .learn_ms = RIG_LEARN_MS,
                              .rcvbuf = 65536};

    memset(r, 0, sizeof(*r));
    r->live = mem_live();
    r->phone[0] = r->phone[1] = r->phone_rtcp[0] = r->phone_rtcp[1] = r->stranger = -1;
    clock_init_virtual(&r->clock, 1000000, 1);
    assert_int_equal(loop_new(&r->loop, &lp), 0);
    mp.loop = r->loop;
    assert_int_equal(media_new(&r->m, &mp), 0);
    assert_int_equal(media_session_new(&r->s, r->m, rig_on_silence, r), 0);
}

static inline void rig_describe(struct rig *r, unsigned side)
{
    media_set_remote(r->s, 0, side, &r->remote[side]);
}

/* Stream 0 open and described on both sides; family[i] is that of side i. */
static inline void rig_up(struct rig *r, enum media_kind kind, int family0, int family1)
{
    const int family[2] = {family0, family1};

    rig_base(r);
    rig_realm(r, rig_ip(1), rig_addr("::1"), 40000, 40999);
    r->stranger = rig_socket(rig_ip(99));
    for (unsigned i = 0; i < 2; i++) {
        struct addr ip = family[i] == AF_INET ? rig_ip(10 + i) : rig_addr("::1");

        r->phone[i] = rig_socket(ip);
        r->phone_rtcp[i] = rig_socket(ip);
        assert_int_equal(media_open(r->s, 0, i, kind, 1, family[i]), 0);
        r->remote[i] = (struct media_remote){.rtp = rig_name(r->phone[i]),
                                             .rtcp = rig_name(r->phone_rtcp[i]),
                                             .signalling = ip,
                                             .may_send = true,
                                             .may_receive = true};
        rig_describe(r, i);
    }
}

static inline void rig_down(struct rig *r)
{
    struct media_counts c;

    media_session_close(&r->s);
    media_counts(r->m, &c);
    assert_int_equal(c.sessions, 0);
    assert_int_equal(c.sockets, 0);
    assert_int_equal(c.ports_used, 0);
    media_free(&r->m);
    loop_free(&r->loop);
    for (unsigned i = 0; i < 2; i++) {
        (void)close(r->phone[i]);
        (void)close(r->phone_rtcp[i]);
    }
    (void)close(r->stranger);
    assert_true(mem_live() == r->live);
}

static inline struct media_side *rig_side(struct rig *r, unsigned side)
{
    return &r->s->streams[0]->side[side];
}

/* Sends n bytes from fd to the flow and lets the relay handle what came. */
static inline void rig_send(struct media_flow *to, int fd, const void *p, size_t n)
{
    struct addr dest = to->side->local;

    if (to->is_rtcp) {
        addr_set_port(&dest, (uint16_t)(addr_port(&dest) + 1));
    }
    assert_int_equal(sendto(fd, p, n, 0, &dest.u.sa, addr_len(&dest)), n);
    media_on_readable(to->fd, LOOP_READ, to);
}

static inline void rig_say(struct rig *r, unsigned side, int fd)
{
    uint8_t p[172];

    rig_send(&rig_side(r, side)->rtp, fd, p, rig_rtp(p, 1));
}

static inline struct media_stats rig_stats(struct rig *r, unsigned side)
{
    struct media_stats st;

    assert_true(media_stats(r->s, 0, side, &st));
    return st;
}

#endif
