/* test_media_ports.c - port pairs: shares of workers, order, rest before reuse, exhaustion. */
#include "media_rig.h"

static void no_port_is_shared_between_workers_and_none_is_forgotten(void **state)
{
    static uint8_t seen[65536];
    const struct media_realm_params p = {.port_min = 20001, .port_max = 20050};

    (void)state;
    memset(seen, 0, sizeof(seen));
    for (unsigned w = 0; w < 3; w++) {
        struct media_realm r = {0};
        uint16_t port = 0;

        assert_int_equal(media_realm_set(&r, &p, w, 3), 0);
        while (media_pair_take(&r, &port) == 0) {
            assert_int_equal(port % 2, 0);
            assert_true(port >= 20002 && port + 1 <= 20050);
            assert_int_equal(seen[port]++, 0);
        }
        mem_free(r.ring);
    }
    for (unsigned port = 20002; port + 1 <= 20050; port += 2) {
        assert_int_equal(seen[port], 1);
    }
}

static void ranges_without_a_pair_are_refused_and_change_nothing(void **state)
{
    static const uint16_t bad[][2] = {
        {0, 100}, {20000, 20000}, {20001, 20002}, {300, 200}, {65535, 65535}};
    const struct media_realm_params good = {.port_min = 20000, .port_max = 20003};
    struct media_realm r = {0};

    (void)state;
    assert_int_equal(media_realm_set(&r, &good, 0, 1), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct media_realm_params p = {.port_min = bad[i][0], .port_max = bad[i][1]};

        assert_int_equal(media_realm_set(&r, &p, 0, 1), EINVAL);
        assert_int_equal(media_realm_set(&(struct media_realm){0}, &good, 1, 1), EINVAL);
        assert_int_equal(r.n_free, 2);
        assert_int_equal(r.p.port_min, 20000);
    }
    mem_free(r.ring);
}

static void the_whole_range_up_to_65535_can_be_dealt(void **state)
{
    const struct media_realm_params p = {.port_min = 1, .port_max = 65535};
    struct media_realm r = {0};
    uint16_t port = 0;
    unsigned n = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    while (media_pair_take(&r, &port) == 0) {
        n++;
    }
    assert_int_equal(n, 32767); /* 2/3 to 65534/65535 */
    mem_free(r.ring);
}

static void the_first_order_is_not_the_order_of_numbers(void **state)
{
    const struct media_realm_params p = {.port_min = 20000, .port_max = 20999};
    struct media_realm r = {0};
    uint16_t port = 0, last = 0;
    unsigned rising = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    while (media_pair_take(&r, &port) == 0) {
        rising += port > last;
        last = port;
    }
    assert_in_range(rising, 150, 350); /* 500 pairs: half of the steps rise in a random order */
    mem_free(r.ring);
}

static void the_last_one_returned_is_the_last_one_reused(void **state)
{
    const struct media_realm_params p = {.port_min = 20000, .port_max = 20019};
    struct media_realm r = {0};
    uint16_t first = 0, port = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    assert_int_equal(media_pair_take(&r, &first), 0);
    media_pair_give(&r, first);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(media_pair_take(&r, &port), 0);
        assert_int_not_equal(port, first);
        media_pair_give(&r, port);
    }
    assert_int_equal(media_pair_take(&r, &port), 0);
    assert_int_equal(port, first);
    mem_free(r.ring);
}

static void returning_a_port_twice_does_not_deal_it_twice(void **state)
{
    const struct media_realm_params p = {.port_min = 20000, .port_max = 20003};
    struct media_realm r = {0};
    uint16_t a = 0, b = 0, c = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    assert_int_equal(media_pair_take(&r, &a), 0);
    media_pair_give(&r, a);
    media_pair_give(&r, a);
    assert_int_equal(media_pair_take(&r, &a), 0);
    assert_int_equal(media_pair_take(&r, &b), 0);
    assert_int_not_equal(a, b);
    assert_int_equal(media_pair_take(&r, &c), ENOBUFS);
    assert_int_equal(r.n_used, 2);
    mem_free(r.ring);
}

static void a_new_range_keeps_ports_in_use_and_forgets_old_ones(void **state)
{
    const struct media_realm_params old = {.port_min = 20000, .port_max = 20007};
    const struct media_realm_params next = {.port_min = 20004, .port_max = 20011};
    struct media_realm r = {0};
    uint16_t held[4] = {0}, port = 0;
    unsigned n = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &old, 0, 1), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(media_pair_take(&r, &held[i]), 0);
    }
    assert_int_equal(media_realm_set(&r, &next, 0, 1), 0);
    assert_int_equal(r.n_free, 2); /* 20008 and 20010: 20004 and 20006 are out */
    assert_int_equal(r.n_used, 4);
    for (unsigned i = 0; i < 4; i++) {
        media_pair_give(&r, held[i]);
    }
    assert_int_equal(r.n_used, 0);
    while (media_pair_take(&r, &port) == 0) {
        assert_true(port >= 20004);
        n++;
    }
    assert_int_equal(n, 4);
    mem_free(r.ring);
}

/* What was dealt before says nothing about where the new range begins. */
static void a_new_range_is_dealt_from_its_own_ports_only(void **state)
{
    const struct media_realm_params old = {.port_min = 20000, .port_max = 20015};
    const struct media_realm_params next = {.port_min = 30000, .port_max = 30007};
    struct media_realm r = {0};
    uint16_t held[5] = {0}, port = 0;
    unsigned n = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &old, 0, 1), 0);
    for (unsigned i = 0; i < COUNT_OF(held); i++) {
        assert_int_equal(media_pair_take(&r, &held[i]), 0);
    }
    assert_int_equal(media_realm_set(&r, &next, 0, 1), 0);
    for (; media_pair_take(&r, &port) == 0; n++) {
        assert_in_range(port, 30000, 30006);
    }
    assert_int_equal(n, 4);
    for (unsigned i = 0; i < COUNT_OF(held); i++) {
        media_pair_give(&r, held[i]);
    }
    assert_int_equal(r.n_free, 0);
    mem_free(r.ring);
}

static void every_worker_gets_back_what_it_dealt(void **state)
{
    const struct media_realm_params p = {.port_min = 20001, .port_max = 20013};

    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        struct media_realm r = {0};
        uint16_t first = 0;

        assert_int_equal(media_realm_set(&r, &p, w, 2), 0);
        assert_int_equal(r.n_free, 3); /* 20002 to 20012: six pairs */
        assert_int_equal(media_pair_take(&r, &first), 0);
        media_pair_give(&r, first);
        assert_int_equal(r.n_free, 3);
        assert_false(media_pair_is_ours(&r, 20000));
        assert_false(media_pair_is_ours(&r, 20014));
        mem_free(r.ring);
    }
    {
        struct media_realm r = {0};
        const struct media_realm_params q = {.port_min = 20000, .port_max = 20004};

        assert_int_equal(media_realm_set(&r, &q, 0, 1), 0);
        assert_true(media_pair_is_ours(&r, 20002));
        assert_false(media_pair_is_ours(&r, 20004)); /* its second port is not of the range */
        mem_free(r.ring);
    }
}

static void the_same_range_again_leaves_the_order_alone(void **state)
{
    const struct media_realm_params p = {.port_min = 20000, .port_max = 20999};
    struct media_realm r = {0};
    uint16_t first, port = 0;

    (void)state;
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    first = r.ring[0];
    assert_int_equal(media_realm_set(&r, &p, 0, 1), 0);
    assert_int_equal(media_pair_take(&r, &port), 0);
    assert_int_equal(port, first);
    mem_free(r.ring);
}

static void an_exhausted_range_is_reported_counted_and_recovers(void **state)
{
    struct media_session *more = NULL;
    struct media_counts c;
    uint32_t total = 0;
    struct rig r;
    uint64_t before;

    (void)state;
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40003);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(media_ports_in_use(r.m, 1, &total), 4);
    assert_int_equal(total, 4);
    before = stat_sum(STAT_PORTS_FULL);
    assert_int_equal(media_session_new(&more, r.m, NULL, NULL), 0);
    assert_int_equal(media_open(more, 0, 0, MEDIA_RTP, 1, AF_INET), ENOBUFS);
    assert_false(media_is_open(more, 0, 0));
    assert_true(stat_sum(STAT_PORTS_FULL) == before + 1);
    media_close(r.s, 0);
    assert_int_equal(media_ports_in_use(r.m, 1, &total), 0);
    assert_int_equal(media_open(more, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_counts(r.m, &c);
    assert_int_equal(c.sessions, 2);
    assert_int_equal(c.sockets, 2);
    assert_int_equal(c.ports_used, 2);
    assert_int_equal(c.ports_total, 4);
    media_session_close(&more);
    assert_null(more);
    media_session_close(&more);
    rig_down(&r);
}

static void ports_that_somebody_else_holds_are_skipped(void **state)
{
    struct addr taken = rig_ip(1), local;
    int rtp, rtcp;
    struct rig r;

    (void)state;
    addr_set_port(&taken, 40000);
    rtp = rig_socket(taken);
    addr_set_port(&taken, 40003);
    rtcp = rig_socket(taken);
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40005);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 0, 0, &local);
    assert_int_equal(addr_port(&local), 40004);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), ENOBUFS);
    (void)close(rtp);
    assert_int_equal(media_open(r.s, 0, 1, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 0, 1, &local);
    assert_int_equal(addr_port(&local), 40000);
    (void)close(rtcp);
    rig_down(&r);
}

static void opening_again_changes_nothing_and_moving_returns_the_old_pair(void **state)
{
    struct addr first, local;
    uint32_t total = 0;
    struct rig r;

    (void)state;
    if (!rig_has_v6()) {
        skip();
    }
    rig_base(&r);
    rig_realm(&r, rig_ip(1), rig_addr("::1"), 40000, 40999);
    assert_int_equal(media_open(r.s, 3, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 3, 0, &first);
    assert_int_equal(media_open(r.s, 3, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, 3, 0, &local);
    assert_true(addr_eq(&local, &first));
    assert_int_equal(media_open(r.s, 3, 0, MEDIA_RTP, 1, AF_INET6), 0);
    media_local(r.s, 3, 0, &local);
    assert_int_equal(addr_family(&local), AF_INET6);
    assert_int_equal(media_ports_in_use(r.m, 1, &total), 2);
    rig_down(&r);
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct addr local = rig_addr("1.2.3.4:5");
    struct media_stats st;
    struct rig r;

    (void)state;
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 2, AF_INET), ENOENT);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET6), ENOENT);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_UNSPEC), ENOENT);
    assert_int_equal(media_open(r.s, MEDIA_STREAMS_MAX, 0, MEDIA_RTP, 1, AF_INET), EINVAL);
    assert_int_equal(media_open(r.s, 0, 2, MEDIA_RTP, 1, AF_INET), EINVAL);
    media_local(r.s, 0, 0, &local);
    assert_int_equal(addr_family(&local), AF_UNSPEC);
    assert_false(media_stats(r.s, 0, 0, &st));
    assert_false(media_is_open(r.s, 7, 1));
    media_close(r.s, 7);
    media_close(r.s, 700);
    rig_realm(&r, rig_addr("203.0.113.1"), (struct addr){0}, 40000, 40999); /* not our address */
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), ENOENT);
    rig_down(&r);
}

static void a_datagram_stream_takes_a_pair_and_opens_one_socket(void **state)
{
    struct media_counts c;
    struct addr before, after;
    struct rig r;

    (void)state;
    rig_base(&r);
    rig_realm(&r, rig_ip(1), (struct addr){0}, 40000, 40999);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_DATAGRAM, 1, AF_INET), 0);
    media_local(r.s, 0, 0, &before);
    media_counts(r.m, &c);
    assert_int_equal(c.sockets, 1);
    assert_int_equal(c.ports_used, 2);
    assert_int_equal(media_open(r.s, 0, 0, MEDIA_RTP, 1, AF_INET), 0); /* back to audio */
    media_local(r.s, 0, 0, &after);
    assert_true(addr_eq(&before, &after));
    media_counts(r.m, &c);
    assert_int_equal(c.sockets, 2);
    rig_down(&r);
}

static int open_everything(struct media *m, struct media_session **s)
{
    const struct media_realm_params p = {
        .listener = 1, .address = rig_ip(1), .port_min = 40000, .port_max = 40999};
    int err = media_set_realm(m, &p);

    err = err != 0 ? err : media_session_new(s, m, NULL, NULL);
    err = err != 0 ? err : media_open(*s, 0, 0, MEDIA_RTP, 1, AF_INET);
    err = err != 0 ? err : media_open(*s, 0, 1, MEDIA_RTP, 1, AF_INET);
    return err != 0 ? err : media_open(*s, 5, 1, MEDIA_DATAGRAM, 1, AF_INET);
}

/* On a real loop, so that the watchers are allocated too. */
static void running_out_of_memory_leaves_no_port_and_no_block_behind(void **state)
{
    struct loop_params lp = {.mailbox = 16};
    int err = ENOMEM;

    (void)state;
    for (uint64_t n = 1; err != 0; n++) {
        int64_t live = mem_live();
        struct media_session *s = NULL;
        struct media_counts c = {0};
        struct media *m = NULL;
        struct loop *l = NULL;

        assert_true(n < 100);
        assert_int_equal(loop_new(&l, &lp), 0);
        mem_fault_arm(n);
        err = media_new(&m, &(struct media_params){.loop = l, .n_workers = 1});
        err = err != 0 ? err : open_everything(m, &s);
        mem_fault_arm(0);
        assert_true(err == 0 || err == ENOMEM);
        assert_true(err != 0 || n > 6);
        media_session_close(&s);
        if (m != NULL) {
            media_counts(m, &c);
        }
        assert_int_equal(c.sockets + c.ports_used + c.sessions, 0);
        media_free(&m);
        loop_free(&l);
        assert_true(mem_live() == live);
    }
}

static void a_session_with_one_stream_is_small(void **state)
{
    (void)state;
    /* Four watchers of the loop come to at most 250 bytes each. */
    assert_in_range(sizeof(struct media_session) + sizeof(struct media_stream), 1, 3072 - 4 * 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_port_is_shared_between_workers_and_none_is_forgotten),
        cmocka_unit_test(ranges_without_a_pair_are_refused_and_change_nothing),
        cmocka_unit_test(the_whole_range_up_to_65535_can_be_dealt),
        cmocka_unit_test(the_first_order_is_not_the_order_of_numbers),
        cmocka_unit_test(the_last_one_returned_is_the_last_one_reused),
        cmocka_unit_test(returning_a_port_twice_does_not_deal_it_twice),
        cmocka_unit_test(a_new_range_keeps_ports_in_use_and_forgets_old_ones),
        cmocka_unit_test(a_new_range_is_dealt_from_its_own_ports_only),
        cmocka_unit_test(every_worker_gets_back_what_it_dealt),
        cmocka_unit_test(the_same_range_again_leaves_the_order_alone),
        cmocka_unit_test(an_exhausted_range_is_reported_counted_and_recovers),
        cmocka_unit_test(ports_that_somebody_else_holds_are_skipped),
        cmocka_unit_test(opening_again_changes_nothing_and_moving_returns_the_old_pair),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_datagram_stream_takes_a_pair_and_opens_one_socket),
        cmocka_unit_test(running_out_of_memory_leaves_no_port_and_no_block_behind),
        cmocka_unit_test(a_session_with_one_stream_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
