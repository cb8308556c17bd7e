/* test_media_loop.c - the relay on the real loop, with epoll and with io_uring, gathering and not:
 * nothing is lost under a steady stream, sockets are set up as promised, and silence is noticed in
 * real time. */
#include "media_rig.h"

#include <fcntl.h>

#define PACKETS 1000
#define BURST 20
#define IN_FLIGHT 100 /* packets on their way, so that a slow machine overruns no buffer */
#define LATE 5
#define QUARANTINE_MS 30

/* How the tests of this group run. */
struct way {
    enum media_io io;
    uint32_t gather_us;
};

struct live {
    struct loop *loop;
    struct media *m;
    struct media_session *s;
    int phone[2];
    struct timer tick, guard;
    unsigned sent, silences;
    unsigned got[2];
    uint16_t next_seq[2];
    bool timed_out, all_came;
    int old_fd[2];
    struct addr old_local;
    uint64_t strangers;
    int64_t at_ms;
};

static void on_silence(struct media_session *s, unsigned stream, unsigned side, void *arg)
{
    struct live *t = arg;

    (void)s;
    (void)stream;
    (void)side;
    t->silences++;
    loop_stop(t->loop);
}

static void on_guard(void *arg)
{
    struct live *t = arg;

    t->timed_out = true;
    loop_stop(t->loop);
}

static void live_call(struct live *t)
{
    assert_int_equal(media_session_new(&t->s, t->m, on_silence, t), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct media_remote r = {.rtp = rig_name(t->phone[i]),
                                 .signalling = rig_ip(10 + i),
                                 .may_send = true,
                                 .may_receive = true};

        assert_int_equal(media_open(t->s, 0, i, MEDIA_RTP, 1, AF_INET), 0);
        media_set_remote(t->s, 0, i, &r);
    }
}

static void live_up(struct live *t, void **state, uint32_t inactivity_ms)
{
    const struct way *way = *state;
    struct loop_params lp = {.mailbox = 16};
    struct media_params mp = {.n_workers = 1,
                              .inactivity_ms = inactivity_ms,
                              .quarantine_ms = QUARANTINE_MS,
                              .io = way->io,
                              .gather_us = way->gather_us};
    struct media_realm_params rp = {
        .listener = 1, .address = rig_ip(1), .port_min = 40000, .port_max = 40999};

    memset(t, 0, sizeof(*t));
    assert_int_equal(loop_new(&t->loop, &lp), 0);
    mp.loop = t->loop;
    assert_int_equal(media_new(&t->m, &mp), 0);
    assert_true((t->m->ring != NULL) == (way->io == MEDIA_IO_URING));
    assert_int_equal(media_set_realm(t->m, &rp), 0);
    t->phone[0] = rig_socket(rig_ip(10));
    t->phone[1] = rig_socket(rig_ip(11));
    live_call(t);
    timer_init(&t->guard, on_guard, t);
    timer_start(t->loop, &t->guard, 20000);
}

static void live_down(struct live *t, int64_t live)
{
    timer_stop(t->loop, &t->guard);
    media_session_close(&t->s);
    media_free(&t->m);
    loop_free(&t->loop);
    (void)close(t->phone[0]);
    (void)close(t->phone[1]);
    assert_true(mem_live() == live);
}

static void live_drain(struct live *t, unsigned side)
{
    uint8_t p[256];

    while (rig_recv(t->phone[side], p, sizeof(p), NULL) == 172) {
        uint16_t seq = (uint16_t)(p[2] << 8 | p[3]);

        assert_int_equal(seq, t->next_seq[side]++); /* in order, none twice */
        t->got[side]++;
    }
}

static void live_send(struct live *t)
{
    for (unsigned i = 0; i < BURST && t->sent < PACKETS; i++, t->sent++) {
        for (unsigned side = 0; side < 2; side++) {
            uint8_t p[172];
            struct addr to;

            media_local(t->s, 0, side, &to);
            assert_int_equal(sendto(t->phone[side], p, rig_rtp(p, (uint16_t)t->sent), 0, &to.u.sa,
                                    addr_len(&to)),
                             172);
        }
    }
}

static void on_tick(void *arg)
{
    struct live *t = arg;

    live_drain(t, 0);
    live_drain(t, 1);
    if (t->got[0] == PACKETS && t->got[1] == PACKETS) {
        loop_stop(t->loop);
        return;
    }
    if (t->sent < t->got[0] + IN_FLIGHT && t->sent < t->got[1] + IN_FLIGHT) {
        live_send(t);
    }
    timer_start(t->loop, &t->tick, 1);
}

static void all_arrived(struct live *t)
{
    struct media_stats st;

    assert_false(t->timed_out);
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(t->got[side], PACKETS);
        assert_true(media_stats(t->s, 0, side, &st));
        assert_int_equal(st.rx_packets, PACKETS);
        assert_int_equal(st.tx_packets, PACKETS);
        assert_int_equal(st.tx_bytes, PACKETS * 172);
        assert_int_equal(st.lost + st.strangers + st.malformed + st.no_destination, 0);
        assert_int_equal(st.send_failed, 0);
    }
}

static void a_thousand_packets_each_way_arrive_in_order(void **state)
{
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 0);
    timer_init(&t.tick, on_tick, &t);
    timer_start(t.loop, &t.tick, 0);
    mem_fault_arm(1);
    loop_run(t.loop);
    assert_false(mem_fault_hit()); /* nothing asked for memory */
    mem_fault_arm(0);
    all_arrived(&t);
    live_down(&t, live);
}

static void send_late(struct live *t, unsigned n)
{
    uint8_t p[172];

    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(sendto(t->phone[0], p, rig_rtp(p, (uint16_t)i), 0, &t->old_local.u.sa,
                                addr_len(&t->old_local)),
                         172);
    }
}

/* The second call: on the sockets of the first, once both have rested. */
static void on_second_call(void *arg)
{
    struct live *t = arg;

    if (!t->all_came) { /* the last of them came before now */
        t->all_came = stat_sum(STAT_RTP_STRANGER) - t->strangers == LATE;
        t->at_ms = loop_now_ms(t->loop);
    }
    if (loop_now_ms(t->loop) - t->at_ms <= QUARANTINE_MS) {
        timer_start(t->loop, &t->tick, 1);
        return;
    }
    live_call(t);
    for (unsigned i = 0; i < 2; i++) {
        int fd = t->s->streams[0]->side[i].rtp.fd;

        assert_true(fd == t->old_fd[0] || fd == t->old_fd[1]);
    }
    timer_init(&t->tick, on_tick, t);
    timer_start(t->loop, &t->tick, 0);
}

static void on_hang_up(void *arg)
{
    struct live *t = arg;

    media_local(t->s, 0, 0, &t->old_local);
    for (unsigned i = 0; i < 2; i++) {
        t->old_fd[i] = t->s->streams[0]->side[i].rtp.fd;
    }
    t->strangers = stat_sum(STAT_RTP_STRANGER);
    t->at_ms = loop_now_ms(t->loop);
    send_late(t, LATE); /* on their way when the call ends */
    media_session_close(&t->s);
    timer_init(&t->tick, on_second_call, t);
    timer_start(t->loop, &t->tick, 1);
}

static void the_second_call_has_the_sockets_of_the_first_but_not_its_packets(void **state)
{
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 0);
    timer_init(&t.tick, on_hang_up, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    all_arrived(&t);
    assert_int_equal(stat_sum(STAT_RTP_STRANGER) - t.strangers, LATE);
    live_down(&t, live);
}

static void on_flood(void *arg)
{
    struct live *t = arg;
    struct media_counts c;

    media_counts(t->m, &c);
    if (c.idle_sockets == 2) { /* the other pair of the call */
        loop_stop(t->loop);
        return;
    }
    send_late(t, BURST);
    timer_start(t->loop, &t->tick, 1);
}

static void a_resting_pair_that_is_flooded_is_closed(void **state)
{
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 0);
    media_local(t.s, 0, 0, &t.old_local);
    media_session_close(&t.s);
    timer_init(&t.tick, on_flood, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    assert_false(t.timed_out);
    live_down(&t, live);
}

static void silence_is_noticed_in_real_time(void **state)
{
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 30);
    loop_run(t.loop);
    assert_false(t.timed_out);
    assert_int_equal(t.silences, 1);
    live_down(&t, live);
}

static int sock_opt(int fd, int level, int name)
{
    int v = 0;
    socklen_t len = sizeof(v);

    assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
    return v;
}

static void sockets_are_nonblocking_close_on_exec_and_marked_expedited(void **state)
{
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct media_side *s = &t.s->streams[0]->side[i];
        const int fds[] = {s->rtp.fd, s->rtcp.fd};

        for (unsigned k = 0; k < 2; k++) {
            assert_true((fcntl(fds[k], F_GETFL) & O_NONBLOCK) != 0);
            assert_true((fcntl(fds[k], F_GETFD) & FD_CLOEXEC) != 0);
            assert_int_equal(sock_opt(fds[k], IPPROTO_IP, IP_TOS), 46 << 2);
            assert_true(sock_opt(fds[k], SOL_SOCKET, SO_RCVBUF) >= 65536);
        }
    }
    live_down(&t, live);
}

static void ipv6_sockets_are_ipv6_only_and_marked_expedited(void **state)
{
    struct rig r;

    (void)state;
    if (!rig_has_v6()) {
        skip();
    }
    rig_up(&r, MEDIA_RTP, AF_INET6, AF_INET6);
    assert_int_equal(sock_opt(rig_side(&r, 0)->rtp.fd, IPPROTO_IPV6, IPV6_TCLASS), 46 << 2);
    assert_int_equal(sock_opt(rig_side(&r, 0)->rtp.fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    rig_down(&r);
}

/* --- what only one of the two has --- */

/* More at once than the ring has buffers: what does not fit waits in the sockets. */
#define FLOOD_ROUNDS 40

static void on_all_sent(void *arg)
{
    struct live *t = arg;

    live_drain(t, 0);
    live_drain(t, 1);
    if (t->got[0] == t->sent && t->got[1] == t->sent) {
        loop_stop(t->loop);
        return;
    }
    timer_start(t->loop, &t->tick, 1);
}

static void on_send_all(void *arg)
{
    struct live *t = arg;

    for (unsigned i = 0; i < FLOOD_ROUNDS; i++) {
        live_send(t);
    }
    timer_init(&t->tick, on_all_sent, t);
    timer_start(t->loop, &t->tick, 1);
}

static void a_flood_beyond_all_buffers_waits_in_the_sockets(void **state)
{
    const int big = 4 << 20;
    int64_t live = mem_live();
    struct live t;

    live_up(&t, state, 0);
    for (unsigned i = 0; i < 2; i++) {
        int fd = t.s->streams[0]->side[i].rtp.fd;

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
        (void)setsockopt(t.phone[i], SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
    }
    if (sock_opt(t.phone[0], SOL_SOCKET, SO_RCVBUF) < big) {
        live_down(&t, live);
        skip();
    }
    timer_init(&t.tick, on_send_all, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    assert_int_equal(t.sent, FLOOD_ROUNDS * BURST);
    assert_false(t.timed_out);
    live_down(&t, live);
}

/* --- a worker that stood still --- */

#define CROWD 120
#define CROWD_PACKETS 40 /* in each socket: more than a receive takes at once */
#define CROWD_ROUNDS 3

struct crowd {
    struct live *t;
    struct media_session *s[CROWD];
    int phone[CROWD][2];
    uint16_t sent;
    unsigned got, rounds;
};

static void crowd_send(struct crowd *c)
{
    for (unsigned n = 0; n < CROWD_PACKETS; n++, c->sent++) {
        for (unsigned i = 0; i < 2 * CROWD; i++) {
            uint8_t p[172];
            struct addr to;

            media_local(c->s[i / 2], 0, i % 2, &to);
            assert_int_equal(
                sendto(c->phone[i / 2][i % 2], p, rig_rtp(p, c->sent), 0, &to.u.sa, addr_len(&to)),
                172);
        }
    }
}

static void on_crowd(void *arg)
{
    struct crowd *c = arg;
    uint8_t p[256];

    for (unsigned i = 0; i < 2 * CROWD; i++) {
        while (rig_recv(c->phone[i / 2][i % 2], p, sizeof(p), NULL) == 172) {
            c->got++;
        }
    }
    if (c->got == 2u * CROWD * c->sent) {
        if (c->rounds++ == CROWD_ROUNDS) {
            loop_stop(c->t->loop);
            return;
        }
        crowd_send(c); /* all at once, and nothing is read meanwhile */
    }
    timer_start(c->t->loop, &c->t->tick, 1);
}

static void crowd_join(struct crowd *c, unsigned i)
{
    assert_int_equal(media_session_new(&c->s[i], c->t->m, NULL, NULL), 0);
    for (unsigned side = 0; side < 2; side++) {
        struct media_remote r = {.may_send = true, .may_receive = true};

        c->phone[i][side] = rig_socket(rig_ip(10 + side));
        r.rtp = rig_name(c->phone[i][side]);
        r.signalling = rig_ip(10 + side);
        assert_int_equal(media_open(c->s[i], 0, side, MEDIA_RTP, 1, AF_INET), 0);
        media_set_remote(c->s[i], 0, side, &r);
    }
}

static void a_worker_that_stood_still_loses_nothing(void **state)
{
    int64_t live = mem_live();
    struct crowd c = {0};
    struct live t;

    live_up(&t, state, 0);
    c.t = &t;
    for (unsigned i = 0; i < CROWD; i++) {
        crowd_join(&c, i);
    }
    timer_init(&t.tick, on_crowd, &c);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    assert_false(t.timed_out);
    for (unsigned i = 0; i < CROWD; i++) {
        media_session_close(&c.s[i]);
        (void)close(c.phone[i][0]);
        (void)close(c.phone[i][1]);
    }
    live_down(&t, live);
}

static void on_unsendable(void *arg)
{
    struct live *t = arg;
    struct media_stats st;

    assert_true(media_stats(t->s, 0, 1, &st));
    if (st.send_failed == 1) {
        loop_stop(t->loop);
        return;
    }
    timer_start(t->loop, &t->tick, 1);
}

/* The kernel says so during the call with epoll and afterwards with io_uring. */
static void a_packet_that_the_kernel_refuses_is_counted_as_failed_and_not_as_sent(void **state)
{
    int64_t live = mem_live();
    struct addr nowhere = {0}, to;
    struct media_remote r = {.may_receive = true, .may_send = true};
    struct media_stats st;
    struct live t;
    uint8_t p[172];

    live_up(&t, state, 0);
    /* a socket bound to a loopback address cannot reach what is not on this machine */
    assert_int_equal(addr_parse(sl_str("192.0.2.1"), 9, &nowhere), 0);
    r.rtp = r.signalling = nowhere;
    media_set_remote(t.s, 0, 1, &r);
    media_local(t.s, 0, 0, &to);
    assert_int_equal(sendto(t.phone[0], p, rig_rtp(p, 1), 0, &to.u.sa, addr_len(&to)), 172);
    timer_init(&t.tick, on_unsendable, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    assert_false(t.timed_out);
    assert_true(media_stats(t.s, 0, 1, &st));
    assert_int_equal(st.tx_packets + st.tx_bytes, 0);
    live_down(&t, live);
}

static void on_ready(void *arg)
{
    struct live *t = arg;
    struct media_counts c;

    media_counts(t->m, &c);
    if (c.idle_sockets == 20) {
        loop_stop(t->loop);
        return;
    }
    timer_start(t->loop, &t->tick, 1);
}

static void pairs_are_opened_before_they_are_asked_for(void **state)
{
    int64_t live = mem_live();
    struct media_counts c;
    struct live t;

    live_up(&t, state, 0);
    media_session_close(&t.s);
    media_idle_flush(t.m->realms[1]);
    t.m->p.ready = 10;
    media_ready_check(t.m->realms[1], true);
    timer_init(&t.tick, on_ready, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    assert_false(t.timed_out);
    live_call(&t); /* takes two pairs without a rest, */
    media_counts(t.m, &c);
    assert_int_equal(c.idle_sockets, 16);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop); /* which are made up for */
    assert_false(t.timed_out);
    timer_init(&t.tick, on_tick, &t);
    timer_start(t.loop, &t.tick, 0);
    loop_run(t.loop);
    all_arrived(&t);
    live_down(&t, live);
}

#define LIVE(test, way)                                                                            \
    {                                                                                              \
#test " " #way, test, NULL, NULL, &way                                                     \
    }
#define EACH_WAY(test)                                                                             \
    LIVE(test, by_epoll), LIVE(test, by_epoll_gathered), LIVE(test, by_ring),                      \
        LIVE(test, by_ring_gathered)

int main(void)
{
    static struct way by_epoll = {MEDIA_IO_EPOLL, 0}, by_epoll_gathered = {MEDIA_IO_EPOLL, 250},
                      by_ring = {MEDIA_IO_URING, 0}, by_ring_gathered = {MEDIA_IO_URING, 2000};
    const struct CMUnitTest tests[] = {
        EACH_WAY(a_thousand_packets_each_way_arrive_in_order),
        EACH_WAY(the_second_call_has_the_sockets_of_the_first_but_not_its_packets),
        EACH_WAY(a_resting_pair_that_is_flooded_is_closed),
        EACH_WAY(a_flood_beyond_all_buffers_waits_in_the_sockets),
        EACH_WAY(a_worker_that_stood_still_loses_nothing),
        EACH_WAY(a_packet_that_the_kernel_refuses_is_counted_as_failed_and_not_as_sent),
        EACH_WAY(pairs_are_opened_before_they_are_asked_for),
        EACH_WAY(silence_is_noticed_in_real_time),
        LIVE(sockets_are_nonblocking_close_on_exec_and_marked_expedited, by_ring),
        cmocka_unit_test(ipv6_sockets_are_ipv6_only_and_marked_expedited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
