/* test_media_idle.c - pairs at rest: used again after their quarantine, emptied of late packets,
 * closed when they are too many, too old, a nuisance, or in the way of a new call. */
#include "media_rig.h"

#include <sys/resource.h>

#define QUARANTINE_MS 2000
#define MANY 100

static void up(struct rig *r, uint16_t lo, uint16_t hi)
{
    rig_base(r);
    rig_realm(r, rig_ip(1), (struct addr){0}, lo, hi);
}

static uint16_t open_port(struct rig *r, unsigned stream, enum media_kind kind)
{
    struct addr local;

    assert_int_equal(media_open(r->s, stream, 0, kind, 1, AF_INET), 0);
    media_local(r->s, stream, 0, &local);
    return addr_port(&local);
}

static struct media_counts counts(struct rig *r)
{
    struct media_counts c;

    media_counts(r->m, &c);
    return c;
}

/* Opens n pairs at once and lets go of them. */
static void leave_idle(struct rig *r, unsigned n)
{
    struct media_session *s[MANY];

    assert_true(n <= MANY);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(media_session_new(&s[i], r->m, NULL, NULL), 0);
        assert_int_equal(media_open(s[i], 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    }
    for (unsigned i = 0; i < n; i++) {
        media_session_close(&s[i]);
    }
}

static struct media_pair *idle_at(struct rig *r, int family)
{
    struct list *n = list_first(&r->m->realms[1]->idle[family == AF_INET6]);

    assert_non_null(n);
    return CONTAINER_OF(n, struct media_pair, node);
}

static void throw_at(uint16_t port, unsigned n)
{
    struct addr to = rig_ip(1);
    int fd = rig_socket(rig_ip(20));

    addr_set_port(&to, port);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(sendto(fd, "junk", 4, 0, &to.u.sa, addr_len(&to)), 4);
    }
    (void)close(fd);
}

/* Can somebody else have this port? */
static bool is_free(uint16_t port)
{
    struct addr a = rig_ip(1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    addr_set_port(&a, port);
    assert_true(fd >= 0);
    ok = bind(fd, &a.u.sa, addr_len(&a)) == 0;
    (void)close(fd);
    return ok;
}

static void a_released_pair_is_used_again_when_its_quarantine_is_over(void **state)
{
    uint16_t first, other;
    struct rig r;
    int fds[2];

    (void)state;
    up(&r, 40000, 40999);
    first = open_port(&r, 0, MEDIA_RTP);
    fds[0] = rig_side(&r, 0)->rtp.fd;
    fds[1] = rig_side(&r, 0)->rtcp.fd;
    media_close(r.s, 0);
    assert_int_equal(counts(&r).sockets, 0);
    assert_int_equal(counts(&r).idle_sockets, 2);
    assert_int_equal(counts(&r).ports_used, 0);
    assert_false(is_free(first) || is_free(first + 1));
    loop_advance(r.loop, QUARANTINE_MS - 1);
    other = open_port(&r, 1, MEDIA_RTP);
    assert_int_not_equal(other, first);
    assert_int_equal(counts(&r).idle_sockets, 2);
    loop_advance(r.loop, 1);
    assert_int_equal(open_port(&r, 0, MEDIA_RTP), first);
    assert_int_equal(rig_side(&r, 0)->rtp.fd, fds[0]);
    assert_int_equal(rig_side(&r, 0)->rtcp.fd, fds[1]);
    assert_int_equal(counts(&r).sockets, 4);
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_int_equal(counts(&r).ports_used, 4);
    rig_down(&r);
}

static void the_pair_that_has_rested_longest_comes_first(void **state)
{
    uint16_t port[5];
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    for (unsigned i = 0; i < 5; i++) {
        port[i] = open_port(&r, i, MEDIA_RTP);
    }
    for (unsigned i = 0; i < 5; i++) {
        media_close(r.s, (i + 2) % 5);
        loop_advance(r.loop, 1);
    }
    loop_advance(r.loop, QUARANTINE_MS);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(open_port(&r, i, MEDIA_RTP), port[(i + 2) % 5]);
    }
    rig_down(&r);
}

static void calls_in_steady_state_open_no_socket(void **state)
{
    struct rig r;
    uint16_t seen[64];
    unsigned n_seen = 0;

    (void)state;
    up(&r, 40000, 40999);
    for (unsigned i = 0; i < 500; i++) { /* a call each 100 ms: 21 pairs are busy or rest */
        uint16_t port = open_port(&r, 0, MEDIA_RTP);
        unsigned k = 0;

        while (k < n_seen && seen[k] != port) {
            k++;
        }
        if (k == n_seen) {
            assert_true(n_seen < COUNT_OF(seen));
            seen[n_seen++] = port;
        }
        loop_advance(r.loop, 50);
        media_close(r.s, 0);
        loop_advance(r.loop, 50);
    }
    assert_in_range(n_seen, 20, 22);
    assert_int_equal(counts(&r).idle_sockets, 2 * n_seen);
    rig_down(&r);
}

static void late_packets_do_not_reach_the_next_call(void **state)
{
    uint64_t strangers;
    uint16_t port;
    struct rig r;

    (void)state;
    up(&r, 40000, 40001); /* the only pair: it is taken before its rest is over, too */
    for (unsigned rest_ms = 0; rest_ms <= QUARANTINE_MS; rest_ms += QUARANTINE_MS) {
        port = open_port(&r, 0, MEDIA_RTP);
        media_close(r.s, 0);
        throw_at(port, 100);
        throw_at(port + 1, 50);
        strangers = stat_sum(STAT_RTP_STRANGER);
        loop_advance(r.loop, rest_ms);
        assert_int_equal(open_port(&r, 0, MEDIA_RTP), port);
        assert_int_equal(stat_sum(STAT_RTP_STRANGER) - strangers, 150);
        assert_false(rig_got(rig_side(&r, 0)->rtp.fd));
        assert_false(rig_got(rig_side(&r, 0)->rtcp.fd));
        media_close(r.s, 0);
    }
    rig_down(&r);
}

static void a_sender_that_goes_on_starts_the_quarantine_again(void **state)
{
    uint16_t first, second;
    uint64_t strangers, rx;
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    first = open_port(&r, 0, MEDIA_RTP);
    second = open_port(&r, 1, MEDIA_RTP);
    media_close(r.s, 0);
    media_close(r.s, 1);
    strangers = stat_sum(STAT_RTP_STRANGER);
    rx = stat_sum(STAT_RTP_RX);
    loop_advance(r.loop, QUARANTINE_MS - 1);
    throw_at(first + 1, 3);
    media_on_socket(idle_at(&r, AF_INET)->rtcp.fd, LOOP_READ, &idle_at(&r, AF_INET)->rtcp);
    assert_int_equal(stat_sum(STAT_RTP_STRANGER) - strangers, 3);
    assert_int_equal(stat_sum(STAT_RTP_RX) - rx, 3);
    loop_advance(r.loop, 1);
    assert_int_equal(open_port(&r, 0, MEDIA_RTP), second);
    assert_true(open_port(&r, 1, MEDIA_RTP) != first);
    loop_advance(r.loop, QUARANTINE_MS - 1);
    assert_int_equal(open_port(&r, 2, MEDIA_RTP), first);
    rig_down(&r);
}

static void a_pair_that_only_gets_junk_is_closed(void **state)
{
    struct media_pair *p;
    unsigned wakes = 0;
    uint16_t port;
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    port = open_port(&r, 0, MEDIA_RTP);
    media_close(r.s, 0);
    for (; counts(&r).idle_sockets != 0; wakes++) {
        assert_true(wakes < 100);
        p = idle_at(&r, AF_INET);
        throw_at(port, 20);
        media_on_socket(p->rtp.fd, LOOP_READ, &p->rtp);
    }
    assert_int_equal(wakes, 256 / 8 + 1); /* 8 packets each: bounded */
    assert_true(is_free(port) && is_free(port + 1));
    assert_int_equal(counts(&r).ports_used, 0);
    assert_int_equal(r.m->realms[1]->n_free, 500);
    (void)open_port(&r, 0, MEDIA_RTP);
    media_close(r.s, 0);
    for (wakes = 0; counts(&r).idle_sockets != 0; wakes++) { /* wake-ups for nothing */
        assert_true(wakes < 1000);
        p = idle_at(&r, AF_INET);
        media_on_socket(p->rtp.fd, LOOP_READ, &p->rtp);
    }
    rig_down(&r);
}

static void the_count_of_junk_starts_anew_with_each_rest(void **state)
{
    struct rig r;

    (void)state;
    up(&r, 40000, 40001);
    for (unsigned i = 0; i < 10; i++) {
        uint16_t port = open_port(&r, 0, MEDIA_RTP);

        media_close(r.s, 0);
        for (unsigned k = 0; k < 20; k++) {
            throw_at(port, 8);
            media_on_socket(idle_at(&r, AF_INET)->rtp.fd, LOOP_READ, &idle_at(&r, AF_INET)->rtp);
        }
        assert_int_equal(counts(&r).idle_sockets, 2);
    }
    rig_down(&r);
}

static void resting_pairs_of_the_other_family_make_room(void **state)
{
    uint64_t full = stat_sum(STAT_PORTS_FULL);
    struct rig r;

    (void)state;
    if (!rig_has_v6()) {
        skip();
    }
    rig_base(&r);
    rig_realm(&r, rig_ip(1), rig_addr("::1"), 40000, 40003);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET6), 0);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET6), 0);
    assert_int_equal(media_open(r.s, 1, 0, MEDIA_RTP, 1, AF_INET), ENOBUFS);
    media_close(r.s, 0);
    assert_int_equal(counts(&r).idle_sockets, 4);
    assert_int_equal(media_open(r.s, 1, 0, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(counts(&r).idle_sockets, 2);
    assert_int_equal(media_open(r.s, 1, 1, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(media_open(r.s, 2, 1, MEDIA_RTP, 1, AF_INET), ENOBUFS);
    assert_int_equal(stat_sum(STAT_PORTS_FULL) - full, 2);
    rig_down(&r);
}

/* --- descriptors --- */

static void limit_files(rlim_t n)
{
    struct rlimit lim;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
}

static rlim_t file_limit(void)
{
    struct rlimit lim;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    return lim.rlim_cur;
}

static rlim_t next_fd(void)
{
    int fd = dup(0);

    assert_true(fd >= 0);
    (void)close(fd);
    return (rlim_t)fd;
}

static void the_last_descriptors_are_those_of_resting_pairs(void **state)
{
    const rlim_t usual = file_limit();
    struct media_realm_params second = {
        .listener = 2, .address = rig_ip(2), .port_min = 40000, .port_max = 40999};
    struct media_session *more = NULL;
    uint16_t port;
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    assert_int_equal(media_set_realm(r.m, &second), 0);
    assert_int_equal(media_session_new(&more, r.m, NULL, NULL), 0);
    limit_files(next_fd() + 4);
    port = open_port(&r, 0, MEDIA_RTP);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 2, AF_INET), 0);
    assert_int_equal(media_open(more, 0, 0, MEDIA_RTP, 1, AF_INET), EMFILE);
    assert_int_equal(counts(&r).sockets, 4);
    media_close(r.s, 0);
    assert_int_equal(counts(&r).idle_sockets, 4);
    assert_int_equal(open_port(&r, 1, MEDIA_RTP), port); /* not rested, but the only one */
    assert_int_equal(counts(&r).idle_sockets, 2);
    assert_int_equal(media_open(more, 0, 0, MEDIA_RTP, 1, AF_INET), 0); /* from the other realm */
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_int_equal(media_open(more, 0, 1, MEDIA_RTP, 1, AF_INET), EMFILE);
    assert_int_equal(counts(&r).sockets, 4);
    limit_files(usual);
    media_session_close(&more);
    rig_down(&r);
}

static void back_to_audio_finds_a_descriptor_as_well(void **state)
{
    const rlim_t usual = file_limit();
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    limit_files(next_fd() + 3);
    (void)open_port(&r, 0, MEDIA_DATAGRAM);
    (void)open_port(&r, 1, MEDIA_RTP);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), EMFILE);
    media_close(r.s, 1);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(counts(&r).sockets, 2);
    assert_int_equal(counts(&r).idle_sockets, 0);
    limit_files(usual);
    rig_down(&r);
}

static void at_most_half_of_the_descriptors_rests(void **state)
{
    const rlim_t usual = file_limit();
    struct rig r;

    (void)state;
    assert_true(usual >= 300);
    limit_files(300);
    up(&r, 40000, 40999);
    limit_files(usual);
    leave_idle(&r, 80); /* 160 sockets at once */
    assert_int_equal(counts(&r).idle_sockets, 150);
    assert_int_equal(counts(&r).ports_used, 0);
    rig_down(&r);
}

/* --- surplus --- */

static void pairs_above_the_maximum_are_closed_little_by_little(void **state)
{
    uint32_t before;
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    r.m->p.idle_max = 10;
    leave_idle(&r, 80);
    assert_int_equal(counts(&r).idle_sockets, 160);
    loop_advance(r.loop, 999);
    assert_int_equal(counts(&r).idle_sockets, 160);
    for (unsigned i = 0; counts(&r).idle_sockets != 20; i++) {
        assert_true(i < 2000);
        before = counts(&r).idle_sockets;
        loop_advance(r.loop, 1);
        assert_in_range(before - counts(&r).idle_sockets, 0, 16);
    }
    loop_advance(r.loop, 600000);
    assert_int_equal(counts(&r).idle_sockets, 20);
    assert_false(timer_is_armed(&r.m->idle_timer)); /* nothing left to look after */
    rig_down(&r);
}

static void pairs_in_quarantine_are_no_surplus(void **state)
{
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    r.m->p.idle_max = 10;
    r.m->p.quarantine_ms = 5000;
    leave_idle(&r, 40);
    loop_advance(r.loop, 4999);
    assert_int_equal(counts(&r).idle_sockets, 80);
    loop_advance(r.loop, 2000);
    assert_int_equal(counts(&r).idle_sockets, 20);
    rig_down(&r);
}

/* A burst of calls: more rest than are kept, so 250 ms have to do. */
static void a_crowd_rests_for_less(void **state)
{
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    r.m->p.idle_max = 9;
    leave_idle(&r, 10);
    loop_advance(r.loop, 249);
    (void)open_port(&r, 0, MEDIA_RTP);
    assert_int_equal(counts(&r).idle_sockets, 20);
    loop_advance(r.loop, 1);
    (void)open_port(&r, 1, MEDIA_RTP);
    assert_int_equal(counts(&r).idle_sockets, 18);
    (void)open_port(&r, 2, MEDIA_RTP); /* a crowd no longer */
    assert_int_equal(counts(&r).idle_sockets, 18);
    media_set_quarantine(r.m, 250);
    (void)open_port(&r, 3, MEDIA_RTP);
    assert_int_equal(counts(&r).idle_sockets, 16);
    rig_down(&r);
}

static void old_pairs_are_closed_down_to_a_floor(void **state)
{
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    leave_idle(&r, 90);
    loop_advance(r.loop, 59999);
    assert_int_equal(counts(&r).idle_sockets, 180);
    loop_advance(r.loop, 2000);
    assert_int_equal(counts(&r).idle_sockets, 128);
    loop_advance(r.loop, 3600000);
    assert_int_equal(counts(&r).idle_sockets, 128);
    assert_false(timer_is_armed(&r.m->idle_timer));
    leave_idle(&r, 70); /* 64 of them are old acquaintances */
    assert_int_equal(counts(&r).idle_sockets, 140);
    loop_advance(r.loop, 62000);
    assert_int_equal(counts(&r).idle_sockets, 128);
    rig_down(&r);
}

/* --- the realm moves --- */

static void a_realm_that_moves_closes_what_rests(void **state)
{
    struct addr local, next = rig_ip(2);
    uint16_t port;
    struct rig r;

    (void)state;
    up(&r, 40000, 40999);
    port = open_port(&r, 0, MEDIA_RTP);
    (void)open_port(&r, 1, MEDIA_RTP);
    media_close(r.s, 0);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999); /* nothing changed */
    assert_int_equal(counts(&r).idle_sockets, 2);
    rig_realm(&r, next, (struct addr){0}, 40000, 40999);
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_true(is_free(port) && is_free(port + 1));
    assert_int_equal(counts(&r).sockets, 2);
    media_close(r.s, 1); /* of the old address: of no use to anybody */
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_int_equal(r.m->realms[1]->n_free, 500);
    (void)open_port(&r, 0, MEDIA_RTP);
    media_local(r.s, 0, 0, &local);
    assert_true(addr_eq_ip(&local, &next));
    rig_down(&r);
}

static void a_range_that_moves_closes_what_rests(void **state)
{
    struct rig r;

    (void)state;
    up(&r, 40000, 40019);
    (void)open_port(&r, 0, MEDIA_RTP);
    (void)open_port(&r, 1, MEDIA_RTP);
    media_close(r.s, 0);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 41000, 41019);
    assert_int_equal(counts(&r).idle_sockets, 0);
    media_close(r.s, 1);
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_int_equal(r.m->realms[1]->n_free, 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(open_port(&r, i, MEDIA_RTP) >= 41000);
    }
    assert_int_equal(media_open(r.s, 10, 0, MEDIA_RTP, 1, AF_INET), ENOBUFS);
    rig_down(&r);
}

static void a_realm_that_cannot_move_stays_as_it_was(void **state)
{
    const struct media_realm_params bad = {
        .listener = 1, .address = rig_ip(2), .port_min = 300, .port_max = 200};
    struct rig r;

    (void)state;
    up(&r, 40000, 40019);
    (void)open_port(&r, 0, MEDIA_RTP);
    media_close(r.s, 0);
    assert_int_equal(media_set_realm(r.m, &bad), EINVAL);
    assert_int_equal(counts(&r).idle_sockets, 2);
    rig_down(&r);
}

/* --- one socket or two --- */

static void a_fax_pair_gets_its_second_socket_when_audio_takes_it(void **state)
{
    struct addr odd = rig_ip(1);
    uint16_t port;
    struct rig r;
    int squatter;

    (void)state;
    up(&r, 40000, 40999);
    port = open_port(&r, 0, MEDIA_DATAGRAM);
    media_close(r.s, 0);
    assert_int_equal(counts(&r).idle_sockets, 1);
    loop_advance(r.loop, QUARANTINE_MS);
    assert_int_equal(open_port(&r, 0, MEDIA_RTP), port);
    assert_int_equal(counts(&r).sockets, 2);
    assert_int_equal(counts(&r).idle_sockets, 0);
    media_close(r.s, 0);
    media_idle_flush(r.m->realms[1]);
    port = open_port(&r, 0, MEDIA_DATAGRAM);
    media_close(r.s, 0);
    addr_set_port(&odd, port + 1);
    squatter = rig_socket(odd); /* took the odd port meanwhile */
    loop_advance(r.loop, QUARANTINE_MS);
    assert_true(open_port(&r, 0, MEDIA_RTP) != port);
    assert_int_equal(counts(&r).sockets, 2);
    assert_int_equal(counts(&r).idle_sockets, 0);
    assert_true(is_free(port));
    (void)close(squatter);
    rig_down(&r);
}

static void the_next_call_inherits_nothing(void **state)
{
    struct media_stats st;
    struct rig r;
    uint16_t port;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_say(&r, 0, r.phone[0]);
    rig_say(&r, 0, r.stranger);
    port = addr_port(&rig_side(&r, 0)->local);
    media_session_close(&r.s);
    loop_advance(r.loop, QUARANTINE_MS);
    assert_int_equal(media_session_new(&r.s, r.m, NULL, NULL), 0);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    st = rig_stats(&r, 0);
    assert_int_equal(addr_port(&st.local), port);
    assert_int_equal(st.rx_packets + st.strangers + st.rank + st.last_rx_ms, 0);
    assert_int_equal(addr_family(&st.remote), AF_UNSPEC);
    rig_say(&r, 0, r.phone[0]); /* nobody is known to this call */
    assert_int_equal(rig_stats(&r, 0).strangers, 1);
    assert_int_equal(rig_stats(&r, 0).rx_packets, 0);
    rig_down(&r);
}

/* --- the books --- */

static void books_balance(struct rig *r)
{
    const struct media_realm *realm = r->m->realms[1];
    struct media_counts c = counts(r);
    uint32_t idle = 0, sockets = 0, used = 0;
    int64_t last_ms = 0;

    LIST_FOR_EACH(it, &realm->idle[0])
    {
        const struct media_pair *p = CONTAINER_OF(it, struct media_pair, node);

        assert_true(p->rest_ms >= last_ms && p->rtp.flow == NULL && p->rtcp.flow == NULL);
        last_ms = p->rest_ms;
        idle += (p->rtp.fd >= 0) + (p->rtcp.fd >= 0);
    }
    for (unsigned i = 0; i < MEDIA_STREAMS_MAX; i++) {
        if (media_is_open(r->s, i, 0)) {
            const struct media_side *sd = &r->s->streams[i]->side[0];

            assert_ptr_equal(sd->pair->rtp.flow, &sd->rtp);
            assert_int_equal(sd->pair->rtp.fd, sd->rtp.fd);
            assert_int_equal(sd->pair->rtcp.fd, sd->rtcp.fd);
            sockets += 1u + (sd->rtcp.fd >= 0);
            used += 2;
        }
    }
    assert_int_equal(c.idle_sockets, idle);
    assert_int_equal(c.sockets, sockets);
    assert_int_equal(c.ports_used, used);
    assert_int_equal(realm->n_free + realm->n_used, realm->cap);
    assert_int_equal(realm->n_idle, list_len(&realm->idle[0]));
}

static void the_books_balance_whatever_comes(void **state)
{
    uint32_t x = 12345;
    struct rig r;

    (void)state;
    up(&r, 40000, 40023); /* twelve pairs for sixteen streams */
    r.m->p.idle_max = 4;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned stream, what;

        x = x * 1664525 + 1013904223;
        stream = x >> 16 & 15;
        what = x >> 24 & 7;
        if (what < 4) {
            enum media_kind kind = what == 0 ? MEDIA_DATAGRAM : MEDIA_RTP;
            int err = media_open(r.s, stream, 0, kind, 1, AF_INET);

            assert_true(err == 0 || (err == ENOBUFS && counts(&r).ports_used == 24));
        } else if (what < 6) {
            media_close(r.s, stream);
        } else if (what == 6) {
            loop_advance(r.loop, x >> 8 & 255);
        } else if (counts(&r).idle_sockets != 0) {
            struct media_pair *p = idle_at(&r, AF_INET);

            media_on_socket(p->rtp.fd, LOOP_READ, &p->rtp);
        }
        books_balance(&r);
    }
    rig_down(&r);
}

static void running_out_of_memory_leaves_a_pair_at_rest_or_closed(void **state)
{
    int err = ENOMEM;

    (void)state;
    for (uint64_t n = 1; err != 0; n++) {
        struct rig r;

        assert_true(n < 10);
        up(&r, 40000, 40999);
        leave_idle(&r, 1);
        loop_advance(r.loop, QUARANTINE_MS);
        mem_fault_arm(n);
        err = media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET);
        err = err != 0 ? err : media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET);
        mem_fault_arm(0);
        assert_true(err == 0 || err == ENOMEM);
        media_close(r.s, 0);
        assert_int_equal(counts(&r).ports_used + counts(&r).sockets, 0);
        rig_down(&r);
    }
}

static void a_pair_is_small(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct media_pair), 1, 96);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_released_pair_is_used_again_when_its_quarantine_is_over),
        cmocka_unit_test(the_pair_that_has_rested_longest_comes_first),
        cmocka_unit_test(calls_in_steady_state_open_no_socket),
        cmocka_unit_test(late_packets_do_not_reach_the_next_call),
        cmocka_unit_test(a_sender_that_goes_on_starts_the_quarantine_again),
        cmocka_unit_test(a_pair_that_only_gets_junk_is_closed),
        cmocka_unit_test(the_count_of_junk_starts_anew_with_each_rest),
        cmocka_unit_test(resting_pairs_of_the_other_family_make_room),
        cmocka_unit_test(the_last_descriptors_are_those_of_resting_pairs),
        cmocka_unit_test(back_to_audio_finds_a_descriptor_as_well),
        cmocka_unit_test(at_most_half_of_the_descriptors_rests),
        cmocka_unit_test(pairs_above_the_maximum_are_closed_little_by_little),
        cmocka_unit_test(pairs_in_quarantine_are_no_surplus),
        cmocka_unit_test(a_crowd_rests_for_less),
        cmocka_unit_test(old_pairs_are_closed_down_to_a_floor),
        cmocka_unit_test(a_realm_that_moves_closes_what_rests),
        cmocka_unit_test(a_range_that_moves_closes_what_rests),
        cmocka_unit_test(a_realm_that_cannot_move_stays_as_it_was),
        cmocka_unit_test(a_fax_pair_gets_its_second_socket_when_audio_takes_it),
        cmocka_unit_test(the_next_call_inherits_nothing),
        cmocka_unit_test(the_books_balance_whatever_comes),
        cmocka_unit_test(running_out_of_memory_leaves_a_pair_at_rest_or_closed),
        cmocka_unit_test(a_pair_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
