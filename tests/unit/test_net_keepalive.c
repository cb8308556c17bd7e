/* test_net_keepalive.c - RFC 5626 keepalive from our side, and when a far side that is down is
 * tried again. */
#include "tests/unit/net_rig.h"
#include "tests/unit/tls_rig.h"

#include <limits.h>
#include <unistd.h>

static struct rig rig;
static char msg[1000];
static size_t msg_len;

static struct net_limits quick_pings(void)
{
    struct net_limits limits = net_limits_default;

    limits.ping_ms = 40;
    limits.pong_ms = 40;
    return limits;
}

static bool has_no_conns(struct rig *r)
{
    return net_conn_count(r->net) == 0;
}

/* A client that has sent one message, on a connection that is held. */
static void held_up(const struct net_limits *limits)
{
    rig_up(&rig, limits);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_true(net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, 1));
}

static void until_got(unsigned bytes)
{
    rig.want = bytes;
    rig_until(&rig, rig_has_got);
}

static void a_held_connection_is_pinged(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    until_got(8); /* twice; who never answers is not held to it */
    assert_memory_equal(rig.got, "\r\n\r\n\r\n\r\n", 8);
    assert_int_equal(net_conn_count(rig.net), 1);
    assert_true(stat_sum(STAT_SIP_PING) >= 2);
    assert_int_equal(stat_sum(STAT_SIP_PING_LOST), 0);
    rig_down(&rig);
}

static void who_has_answered_and_stops_is_closed(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    for (unsigned i = 1; i <= 3; i++) {
        until_got(4 * i);
        rig_peer_put(rig.peer, SL("\r\n"));
    }
    until_got(20); /* two pings that are not answered */
    rig_until(&rig, has_no_conns);
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    assert_false(rig.gone.unused);
    assert_int_equal(stat_sum(STAT_SIP_PING_LOST), 1);
    assert_int_equal(stat_sum(STAT_SIP_KEEPALIVE), 0); /* a pong is no ping */
    rig_down(&rig);
}

static void an_odd_line_end_is_no_promise(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    until_got(4);
    rig_peer_put(rig.peer, SL("\r\n"));
    until_got(20);
    assert_int_equal(net_conn_count(rig.net), 1);
    assert_int_equal(stat_sum(STAT_SIP_PING_LOST), 0);
    rig_down(&rig);
}

static void answer_pings(struct rig *r)
{
    size_t n = r->got_len;

    rig_peer_read(r);
    if (r->got_len / 4 > n / 4) {
        (void)send(r->peer, "\r\n", 2, MSG_NOSIGNAL);
    }
}

static void who_answers_stays(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    rig.on_poll = answer_pings;
    rig.want = 20;
    rig_until(&rig, rig_has_got);
    assert_int_equal(net_conn_count(rig.net), 1);
    assert_int_equal(stat_sum(STAT_SIP_PING_LOST), 0);
    rig_down(&rig);
}

static bool has_keepalives(struct rig *r)
{
    rig_peer_read(r);
    return stat_sum(STAT_SIP_KEEPALIVE) >= r->want;
}

static void a_ping_that_crosses_ours_is_answered(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    until_got(4);
    rig_peer_put(rig.peer, SL("\r\n\r\n\r\n")); /* our pong and their ping in one */
    rig.want = 1;
    rig_until(&rig, has_keepalives);
    until_got(6);
    assert_memory_equal(rig.got, "\r\n\r\n\r\n", 6);
    rig_down(&rig);
}

static void a_connection_that_nothing_hangs_on_is_not_pinged(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    held_up(&limits);
    assert_true(net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, -1));
    rig.want = 1;
    assert_false(rig_try(&rig, rig_has_got, 600));
    assert_int_equal(stat_sum(STAT_SIP_PING), 0);
    rig_down(&rig);
}

static void pings_can_be_switched_off(void **state)
{
    struct net_limits limits = quick_pings();

    (void)state;
    limits.ping_ms = 0;
    held_up(&limits);
    rig.want = 1;
    assert_false(rig_try(&rig, rig_has_got, 600));
    rig_down(&rig);
}

static unsigned pings(void)
{
    return (unsigned)stat_sum(STAT_SIP_PING);
}

static bool pinged_twice(struct rig *r)
{
    (void)r;
    return pings() >= 2;
}

static void pings_can_be_switched_off_and_on_while_it_is_held(void **state)
{
    struct net_limits limits = quick_pings();
    unsigned before;

    (void)state;
    held_up(&limits);
    rig_until(&rig, pinged_twice);
    limits.ping_ms = 0;
    net_set_limits(rig.net, &limits);
    before = pings();
    rig.want = UINT_MAX;
    assert_false(rig_try(&rig, rig_has_got, 600));
    assert_int_equal(pings(), before);
    limits.ping_ms = quick_pings().ping_ms;
    net_set_limits(rig.net, &limits);
    rig.want = (unsigned)rig.got_len + 4;
    rig_until(&rig, rig_has_got);
    rig_down(&rig);
}

/* --- back-off --- */

/* An address where nobody listens. */
static struct addr nobody(void)
{
    struct addr at;
    int fd = rig_peer_listen(&at, 1);

    (void)close(fd);
    return at;
}

static int try_to(const struct addr *at)
{
    struct flow flow = rig_flow(SIP_TCP, at);

    return rig_send(&rig, &flow, sl_make(msg, msg_len));
}

static bool may_try(struct rig *r)
{
    struct flow flow = rig_flow(SIP_TCP, &r->gone.remote);

    return rig_send(r, &flow, sl_make(msg, msg_len)) == 0;
}

static void down_up(uint32_t backoff_max_ms)
{
    struct net_limits limits = net_limits_default;

    limits.backoff_max_ms = backoff_max_ms;
    rig_up(&rig, &limits);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
}

static void until_gone(unsigned n)
{
    rig.want = n;
    rig_until(&rig, rig_has_gone);
}

static void a_far_side_that_is_down_is_left_alone_for_a_while(void **state)
{
    struct addr at = nobody(), other = nobody();

    (void)state;
    down_up(30);
    assert_int_equal(try_to(&at), 0);
    until_gone(1);
    assert_int_equal(rig.gone_err, ECONNREFUSED);
    assert_int_equal(try_to(&at), EHOSTDOWN);
    assert_int_equal(try_to(&other), 0); /* others are not meant */
    until_gone(2);
    rig.gone.remote = at;
    rig_until(&rig, may_try); /* and it is tried again */
    until_gone(3);
    rig_down(&rig);
}

static void the_wait_is_forgotten_once_it_is_reached(void **state)
{
    struct addr at = nobody();
    int listener, on = 1;

    (void)state;
    down_up(30);
    assert_int_equal(try_to(&at), 0);
    until_gone(1);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(listener, &at.u.sa, addr_len(&at)), 0);
    assert_int_equal(listen(listener, 8), 0);
    rig_until(&rig, may_try);
    rig.peer = accept(listener, NULL, NULL);
    assert_true(rig.peer >= 0);
    until_got((unsigned)msg_len);
    (void)close(rig.peer); /* in good order: nothing was left unread */
    rig.peer = -1;
    until_gone(2);
    assert_int_equal(try_to(&at), 0);
    (void)close(listener);
    rig_down(&rig);
}

static void waiting_can_be_switched_off(void **state)
{
    struct addr at = nobody();

    (void)state;
    down_up(0);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(try_to(&at), 0);
        until_gone(i);
    }
    rig_down(&rig);
}

static void only_so_many_far_sides_are_remembered(void **state)
{
    struct addr first = nobody(), at;
    unsigned n = 0;

    (void)state;
    down_up(600000);
    assert_int_equal(try_to(&first), 0);
    until_gone(++n);
    assert_int_equal(try_to(&first), EHOSTDOWN);
    for (unsigned i = 0; i < 1024; i++) { /* the whole of 127.9/16 listens to nothing */
        at = rig_addr("127.9.0.1:9");
        at.u.in4.sin_addr.s_addr = htonl(0x7f090001u + i);
        assert_int_equal(try_to(&at), 0);
        until_gone(++n);
    }
    assert_int_equal(try_to(&at), EHOSTDOWN);
    assert_int_equal(try_to(&first), 0); /* the oldest one had to go */
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_connection_is_pinged),
        cmocka_unit_test(who_has_answered_and_stops_is_closed),
        cmocka_unit_test(an_odd_line_end_is_no_promise),
        cmocka_unit_test(who_answers_stays),
        cmocka_unit_test(a_ping_that_crosses_ours_is_answered),
        cmocka_unit_test(a_connection_that_nothing_hangs_on_is_not_pinged),
        cmocka_unit_test(pings_can_be_switched_off),
        cmocka_unit_test(pings_can_be_switched_off_and_on_while_it_is_held),
        cmocka_unit_test(a_far_side_that_is_down_is_left_alone_for_a_while),
        cmocka_unit_test(the_wait_is_forgotten_once_it_is_reached),
        cmocka_unit_test(waiting_can_be_switched_off),
        cmocka_unit_test(only_so_many_far_sides_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
