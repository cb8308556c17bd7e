/* test_net_limits.c - what a peer may not do to the TCP transport: limits, deadlines, memory. */
#include "tests/unit/net_rig.h"

#include <sys/resource.h>
#include <unistd.h>

static struct rig rig;
static char msg[4096];
static size_t msg_len;

static void tcp_up(const struct net_limits *limits)
{
    rig_up(&rig, limits);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
}

static struct net_limits quick_limits(void)
{
    struct net_limits limits = net_limits_default;

    limits.first_message_ms = 60;
    limits.idle_ms = 60;
    limits.connect_ms = 60;
    return limits;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void connections_of_one_source_are_limited(void **state)
{
    struct net_limits limits = net_limits_default;
    int fd[4], other;

    (void)state;
    limits.max_conns_per_source = 3;
    tcp_up(&limits);
    for (size_t i = 0; i < COUNT_OF(fd); i++) {
        fd[i] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.2:0");
    }
    rig.peer = fd[3];
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(net_conn_count(rig.net), 3);
    assert_int_equal(stat_sum(STAT_CONN_FULL), 1);
    other = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.3:0"); /* others are not hurt */
    rig.want = 4;
    rig_until(&rig, rig_has_conns);
    (void)close(fd[0]); /* and a place that is given back can be taken again */
    rig.want = 3;
    rig_until(&rig, rig_has_conns);
    fd[0] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.2:0");
    rig.want = 4;
    rig_until(&rig, rig_has_conns);
    assert_false(is_closed(fd[0]));
    for (size_t i = 0; i < COUNT_OF(fd) - 1; i++) {
        (void)close(fd[i]);
    }
    (void)close(other);
    rig_down(&rig);
}

static void strangers_cannot_have_the_room_of_those_who_are_known(void **state)
{
    static const char *const rude[] = {"127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0",
                                       "127.0.0.5:0", "127.0.0.6:0", "127.0.0.7:0"};
    struct net_limits limits = net_limits_default;
    int fd[COUNT_OF(rude)], friends[3];

    (void)state;
    limits.max_conns = 6;
    limits.reserved_conns = 2;
    tcp_up(&limits);
    rig.friend = "127.0.0.9";
    for (size_t i = 0; i < COUNT_OF(rude); i++) {
        fd[i] = rig_peer_tcp(&rig.at[SIP_TCP], rude[i]);
    }
    rig.peer = fd[5];
    rig_until(&rig, rig_peer_closed);
    rig.want = 4;
    rig_until(&rig, rig_has_conns);
    assert_int_equal(stat_sum(STAT_CONN_RESERVE), 2);
    for (size_t i = 0; i < 2; i++) {
        friends[i] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.9:0");
        rig_peer_put(friends[i], sl_make(msg, msg_len));
        rig.want = (unsigned)i + 1;
        rig_until(&rig, rig_has_messages);
    }
    assert_true(addr_port(&rig.flow.remote) != 0);
    (void)close(fd[0]); /* a stranger's place may be anybody's: the limit is for all together */
    rig.want = 5;
    rig_until(&rig, rig_has_conns);
    friends[2] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.9:0");
    rig.want = 6;
    rig_until(&rig, rig_has_conns);
    (void)close(fd[1]); /* but then strangers have fewer than four: one may come again */
    rig.want = 5;
    rig_until(&rig, rig_has_conns);
    fd[1] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.8:0");
    rig.want = 6;
    rig_until(&rig, rig_has_conns);
    for (size_t i = 1; i < COUNT_OF(rude) - 1; i++) {
        (void)close(fd[i]);
    }
    for (size_t i = 0; i < COUNT_OF(friends); i++) {
        (void)close(friends[i]);
    }
    rig_down(&rig);
}

static void connections_in_all_are_limited_but_we_can_still_dial(void **state)
{
    struct net_limits limits = net_limits_default;
    struct addr far;
    struct flow flow;
    int fd[3], listener = rig_peer_listen(&far, 8);

    (void)state;
    limits.max_conns = 2;
    tcp_up(&limits);
    fd[0] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.2:0");
    fd[1] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.3:0");
    fd[2] = rig_peer_tcp(&rig.at[SIP_TCP], "127.0.0.3:0");
    rig.peer = fd[2];
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(net_conn_count(rig.net), 2);
    assert_int_equal(stat_sum(STAT_CONN_FULL), 1);
    flow = rig_flow(SIP_TCP, &far);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    assert_int_equal(net_conn_count(rig.net), 3);
    (void)close(fd[0]);
    (void)close(fd[1]);
    (void)close(listener);
    rig_down(&rig);
}

static void dialled_connections_are_limited_too(void **state)
{
    struct net_limits limits = net_limits_default;
    struct addr far[2];
    int fd[2] = {rig_peer_listen(&far[0], 8), rig_peer_listen(&far[1], 8)};
    struct flow flow;

    (void)state;
    limits.max_conns = 1;
    tcp_up(&limits);
    flow = rig_flow(SIP_TCP, &far[0]);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    flow = rig_flow(SIP_TCP, &far[1]);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), ENOBUFS);
    assert_int_equal(flow.conn_slot, FLOW_NO_CONN);
    (void)close(fd[0]);
    (void)close(fd[1]);
    rig_down(&rig);
}

static void ping_now_and_then(struct rig *r)
{
    if (r->turns % 10 == 0) {
        (void)send(r->peer, "\r\n\r\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void a_connection_without_a_message_is_closed_in_spite_of_pings(void **state)
{
    struct net_limits limits = quick_limits();

    (void)state;
    limits.idle_ms = 60000;
    tcp_up(&limits);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig.on_poll = ping_now_and_then;
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    assert_true(stat_sum(STAT_SIP_KEEPALIVE) > 0);
    rig_down(&rig);
}

static void drip(struct rig *r)
{
    if (r->turns % 5 == 0) {
        (void)send(r->peer, "A: b\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void a_message_that_drips_in_is_cut_off(void **state)
{
    struct net_limits limits = quick_limits();

    (void)state;
    limits.idle_ms = 60000;
    tcp_up(&limits);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len)); /* a good one first: no credit for it */
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    rig_peer_put(rig.peer, sl_make(msg, 60));
    rig.on_poll = drip;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    assert_int_equal(rig.n_msg, 1);
    rig_down(&rig);
}

static void an_idle_connection_is_closed_unless_it_is_held(void **state)
{
    struct net_limits limits = quick_limits();

    (void)state;
    tcp_up(&limits);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, 2);
    net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, -1);
    assert_false(rig_try(&rig, rig_has_gone, 200));
    net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, -1);
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, 0);
    rig_until(&rig, rig_peer_closed);
    rig_down(&rig);
}

static void pings_count_as_use(void **state)
{
    struct net_limits limits = quick_limits();

    (void)state;
    tcp_up(&limits);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.on_poll = ping_now_and_then;
    rig.want = 1;
    assert_false(rig_try(&rig, rig_has_gone, 200));
    rig.on_poll = NULL;
    rig_until(&rig, rig_has_gone);
    rig_down(&rig);
}

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct rlimit old, none;

    (void)state;
    tcp_up(NULL);
    rig.on_message = rig_echo;
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rig.want = 1;
    assert_false(rig_try(&rig, rig_has_conns, 30));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(stat_sum(STAT_CONN_FULL), 1); /* asked once, not once a turn */
    rig.want = (unsigned)msg_len;
    rig_until(&rig, rig_has_got);
    rig_down(&rig);
}

static void a_far_side_that_does_not_answer_is_given_up(void **state)
{
    struct net_limits limits = quick_limits();
    struct addr far;
    int listener = rig_peer_listen(&far, 0);
    int first = rig_peer_tcp(&far, NULL); /* fills the queue: the next SYN is dropped */
    struct flow flow = rig_flow(SIP_TCP, &far);

    (void)state;
    tcp_up(&limits);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    assert_true(flow_same(&rig.gone, &flow));
    (void)close(first);
    (void)close(listener);
    rig_down(&rig);
}

static void a_peer_that_does_not_read_is_closed_at_the_cap(void **state)
{
    struct net_limits limits = net_limits_default;
    int err = 0;

    (void)state;
    limits.max_send_queue = 8192;
    tcp_up(&limits);
    msg_len = rig_request(msg, sizeof(msg), "one", 3000);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    for (int i = 0; i < 20000 && err == 0; i++) {
        err = rig_send(&rig, &rig.flow, sl_make(msg, msg_len));
    }
    assert_int_equal(err, ENOBUFS);
    assert_int_equal(rig.n_gone, 0);
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ENOBUFS);
    assert_int_equal(rig_send(&rig, &rig.flow, sl_make(msg, msg_len)), ENOTCONN);
    rig_down(&rig);
}

/* The next bytes at the peer continue the endless repetition of msg. */
static size_t check_stream(struct rig *r, size_t total)
{
    r->got_len = 0;
    rig_peer_read(r);
    for (size_t i = 0; i < r->got_len; i++) {
        if (r->got[i] != msg[(total + i) % msg_len]) {
            fail_msg("byte %zu differs", total + i);
        }
    }
    return total + r->got_len;
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
    enum { N = 4000 }; /* more than the kernel's buffers hold */
    struct net_limits limits = net_limits_default;
    size_t total = 0;

    (void)state;
    limits.max_send_queue = 64u << 20;
    tcp_up(&limits);
    msg_len = rig_request(msg, sizeof(msg), "one", 3000);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    for (int i = 0; i < N; i++) {
        assert_int_equal(rig_send(&rig, &rig.flow, sl_make(msg, msg_len)), 0);
    }
    assert_false(rig_try(&rig, rig_has_gone, 5)); /* it stalls here */
    for (int i = 0; i < 20000 && total < N * msg_len; i++) {
        total = check_stream(&rig, total);
        if (rig.got_len < sizeof(rig.got)) {
            assert_false(rig_try(&rig, rig_has_gone, 1));
        }
    }
    assert_int_equal(total, N * msg_len);
    rig_down(&rig);
}

static void a_queue_for_a_connection_in_the_making_is_bounded(void **state)
{
    struct net_limits limits = net_limits_default;
    struct addr far;
    int listener = rig_peer_listen(&far, 0);
    int first = rig_peer_tcp(&far, NULL);
    struct flow flow = rig_flow(SIP_TCP, &far);

    (void)state;
    limits.max_send_queue = (uint32_t)sizeof(msg);
    tcp_up(&limits);
    for (size_t n = msg_len; n <= sizeof(msg); n += msg_len) {
        assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    }
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), ENOBUFS);
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ENOBUFS);
    (void)close(first);
    (void)close(listener);
    rig_down(&rig);
}

/* --- memory --- */
static bool is_over(struct rig *r)
{
    rig_peer_read(r);
    return r->got_len >= msg_len || r->peer_eof || r->peer_reset || r->n_gone != 0;
}

static void echo_if_possible(struct rig *r, const struct flow *flow, struct sl bytes)
{
    struct flow back = *flow;

    (void)rig_send(r, &back, bytes);
}

/* One connection in with a message in two pieces and an answer, one out; allocation nth fails. */
static bool walk_step(uint64_t nth)
{
    struct net_limits limits = quick_limits();
    struct addr far;
    struct flow flow;
    int listener = rig_peer_listen(&far, 8);
    bool hit;

    tcp_up(&limits);
    rig.on_message = echo_if_possible;
    flow = rig_flow(SIP_TCP, &far);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    mem_fault_arm(nth);
    rig_peer_put(rig.peer, sl_make(msg, 50));
    (void)rig_send(&rig, &flow, sl_make(msg, msg_len));
    rig.want = 99;
    (void)rig_try(&rig, is_over, 10);
    (void)send(rig.peer, msg + 50, msg_len - 50, MSG_NOSIGNAL);
    (void)rig_try(&rig, is_over, 150); /* without memory the deadline ends it */
    hit = mem_fault_hit();
    mem_fault_arm(0);
    assert_true(is_over(&rig) || hit);
    (void)close(listener);
    rig_down(&rig);
    return hit;
}

static void every_allocation_may_fail_and_nothing_stays_behind(void **state)
{
    int64_t before = mem_live();
    uint64_t nth = 1;

    (void)state;
    while (walk_step(nth)) {
        assert_int_equal(mem_live(), before);
        nth++;
    }
    assert_int_equal(mem_live(), before);
    assert_true(nth > 8); /* it did walk through something */
}

static void a_loop_that_ends_takes_living_connections_along(void **state)
{
    int64_t before = mem_live();

    (void)state;
    tcp_up(NULL);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, 50)); /* half a message waits */
    rig.want = 1;
    rig_until(&rig, rig_has_conns);
    assert_false(rig_try(&rig, rig_has_gone, 10));
    rig_down(&rig);
    assert_int_equal(rig.n_gone, 0);
    assert_int_equal(mem_live(), before);
}

static void making_a_net_without_memory_fails_cleanly(void **state)
{
    static const struct net_events events;
    struct loop_params params = {.mailbox = 64};
    struct addr at = rig_addr("127.0.0.1:0"), bound;
    struct loop *loop = NULL;
    int64_t before = mem_live();
    int err = ENOMEM;

    (void)state;
    assert_int_equal(loop_new(&loop, &params), 0);
    for (uint64_t nth = 1; err == ENOMEM; nth++) {
        struct net *n = NULL;

        mem_fault_arm(nth);
        err = net_new(
            &n, &(struct net_params){.loop = loop, .limits = &net_limits_default, .ev = &events});
        err = err != 0 ? err : net_listen(n, 0, SIP_UDP, &at, &bound);
        err = err != 0 ? err : net_listen(n, 0, SIP_TCP, &at, &bound);
        mem_fault_arm(0);
        net_free(&n);
        assert_true(nth < 100);
    }
    assert_int_equal(err, 0);
    loop_free(&loop);
    assert_int_equal(mem_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_of_one_source_are_limited),
        cmocka_unit_test(strangers_cannot_have_the_room_of_those_who_are_known),
        cmocka_unit_test(connections_in_all_are_limited_but_we_can_still_dial),
        cmocka_unit_test(dialled_connections_are_limited_too),
        cmocka_unit_test(a_connection_without_a_message_is_closed_in_spite_of_pings),
        cmocka_unit_test(a_message_that_drips_in_is_cut_off),
        cmocka_unit_test(an_idle_connection_is_closed_unless_it_is_held),
        cmocka_unit_test(pings_count_as_use),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(a_far_side_that_does_not_answer_is_given_up),
        cmocka_unit_test(a_peer_that_does_not_read_is_closed_at_the_cap),
        cmocka_unit_test(a_slow_reader_gets_everything_in_order),
        cmocka_unit_test(a_queue_for_a_connection_in_the_making_is_bounded),
        cmocka_unit_test(every_allocation_may_fail_and_nothing_stays_behind),
        cmocka_unit_test(a_loop_that_ends_takes_living_connections_along),
        cmocka_unit_test(making_a_net_without_memory_fails_cleanly),
    };

    return cmocka_run_group_tests_name("net_limits", tests, NULL, NULL);
}
