/* test_net_udp.c - UDP transport over loopback: batches, errors, keepalives, addresses. */
#include "tests/unit/net_rig.h"

#include <unistd.h>

static struct rig rig;

static const char ping[] = "OPTIONS sip:a@example.net SIP/2.0\r\n\r\n";
#define PING (sl_make(ping, sizeof(ping) - 1))

static void a_datagram_is_answered_in_both_families(void **state)
{
    static const char *const at[] = {"127.0.0.1:0", "[::1]:0"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(at); i++) {
        rig_up(&rig, NULL);
        rig_listen(&rig, SIP_UDP, at[i]);
        rig.on_message = rig_echo;
        rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
        rig_peer_put(rig.peer, PING);
        rig.want = PING.n;
        rig_until(&rig, rig_has_got);
        assert_memory_equal(rig.got, ping, PING.n);
        assert_true(addr_eq(&rig.flow.local, &rig.at[SIP_UDP]));
        assert_int_equal(rig.flow.listener, 1);
        assert_int_equal(rig.flow.worker, 3);
        assert_int_equal(rig.flow.conn_slot, FLOW_NO_CONN);
        assert_false(rig.flow.proven);
        assert_int_equal(stat_sum(STAT_SIP_RX), 1);
        assert_int_equal(stat_sum(STAT_SIP_TX), 1);
        rig_down(&rig);
    }
}

static void many_datagrams_arrive_in_order_and_all_are_answered(void **state)
{
    enum { N = 200 };
    char text[256];

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.on_message = rig_echo;
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < N; i++) {
        rig_peer_put(rig.peer, sl_make(text, 20 + i));
    }
    rig.want = N * 20 + N * (N - 1) / 2;
    rig_until(&rig, rig_has_got);
    assert_int_equal(rig.n_msg, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rig.msg_len[i], 20 + i);
    }
    assert_int_equal(rig.got_len, rig.want);
    rig_down(&rig);
}

static bool has_shut(struct rig *r)
{
    return r->n_shut >= r->want;
}

static void who_is_not_admitted_is_dropped_unread(void **state)
{
    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    rig.shut = true;
    rig_peer_put(rig.peer, PING);
    rig_peer_put(rig.peer, SL("\r\n\r\n"));
    rig.want = 2;
    rig_until(&rig, has_shut);
    assert_int_equal(rig.n_msg, 0);
    assert_int_equal(stat_sum(STAT_SIP_RX), 0);
    assert_int_equal(stat_sum(STAT_SIP_KEEPALIVE), 0);
    rig.shut = false;
    rig_peer_put(rig.peer, PING);
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    rig_down(&rig);
}

static void more_than_the_queue_holds_can_be_sent_in_one_turn(void **state)
{
    enum { N = 1500 };
    struct flow flow;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    flow = rig_flow(SIP_UDP, &rig.at[SIP_UDP]); /* to ourselves: the buffers are large */
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(rig_send(&rig, &flow, PING), 0);
    }
    rig.want = 64; /* not N: where the limit cannot be lifted, the receive buffer may hold less */
    rig_until(&rig, rig_has_messages);
    assert_int_equal(stat_sum(STAT_SIP_TX), N);
    assert_int_equal(stat_sum(STAT_SIP_DROP_SEND), 0);
    assert_true(addr_eq(&flow.local, &rig.at[SIP_UDP]));
    rig_down(&rig);
}

static void big_datagrams_pass_and_those_over_the_limit_do_not(void **state)
{
    static char big[60000];
    struct net_limits limits = net_limits_default;
    struct flow flow;

    (void)state;
    memset(big, 'b', sizeof(big));
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.on_message = rig_echo;
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    rig_peer_put(rig.peer, sl_make(big, sizeof(big)));
    rig.want = sizeof(big);
    rig_until(&rig, rig_has_got);
    assert_int_equal(rig.got_len, sizeof(big));
    flow = rig_flow(SIP_UDP, &rig.at[SIP_UDP]);
    assert_int_equal(rig_send(&rig, &flow, sl_make(rig.last, 65508)), EMSGSIZE);
    rig_down(&rig);

    limits.max_message = 1000;
    rig_up(&rig, &limits);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    rig_peer_put(rig.peer, sl_make(big, 1001));
    rig_peer_put(rig.peer, sl_make(big, 1000));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.msg_len[0], 1000);
    assert_int_equal(stat_sum(STAT_SIP_TOO_BIG), 1);
    rig_down(&rig);
}

static void keepalives_and_scraps_never_reach_the_house(void **state)
{
    static const char stun[20] = {0, 0x11, 0, 0, 0x21, 0x12, (char)0xa4, 0x42}; /* an indication */
    static const struct {
        struct sl bytes;
        enum stat_id counted;
    } t[] = {
        {{"\r\n\r\n", 4}, STAT_SIP_KEEPALIVE},
        {{"\r\n", 2}, STAT_SIP_KEEPALIVE},
        {{"\n", 1}, STAT_SIP_KEEPALIVE},
        {{"\0", 1}, STAT_SIP_KEEPALIVE},
        {{"\0\0\0\0", 4}, STAT_SIP_KEEPALIVE},
        {{stun, 20}, STAT_SIP_KEEPALIVE},
        {{"", 0}, STAT_SIP_KEEPALIVE},
        {{"hello", 5}, STAT_SIP_DROP_NOT_SIP},
        {{"\r\n\r\nSIP/2.0 200", 15}, STAT_SIP_DROP_NOT_SIP},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        rig_up(&rig, NULL);
        rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
        rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
        rig_peer_put(rig.peer, t[i].bytes);
        rig_peer_put(rig.peer, PING);
        rig.want = 1;
        rig_until(&rig, rig_has_messages);
        assert_int_equal(rig.n_msg, 1);
        assert_int_equal(rig.msg_len[0], PING.n);
        assert_int_equal(stat_sum(t[i].counted), 1);
        rig_peer_read(&rig);
        assert_int_equal(rig.got_len, 0);
        rig_down(&rig);
    }
}

#define STUN_HEAD(type, len) 0, (type), 0, (len), 0x21, 0x12, (char)0xa4, 0x42
#define STUN_ID 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

/* A phone at a listener; the address by which it is seen. */
static struct addr stun_up(const char *listener)
{
    struct addr me;
    socklen_t len = sizeof(me);

    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, listener);
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    assert_int_equal(getsockname(rig.peer, &me.u.sa, &len), 0);
    return me;
}

/* RFC 5626 4.4.2: the phone learns that address. */
static void a_binding_request_is_answered_with_its_source(void **state)
{
    static const char software[] = {
        STUN_HEAD(1, 8), STUN_ID, (char)0x80, 0x22, 0, 3, 'a', 'b', 'c', 0};
    static const uint8_t answer[] = {1,       1, 0,    12, 0x21, 0x12, 0xa4, 0x42,
                                     STUN_ID, 0, 0x20, 0,  8,    0,    1};
    const uint8_t *got = (const uint8_t *)rig.got;
    const struct addr me = stun_up("127.0.0.1:0");

    (void)state;
    for (size_t n = 20; n <= sizeof(software); n += 8) {
        char request[sizeof(software)];

        memcpy(request, software, n);
        request[3] = (char)(n - 20);
        rig_peer_put(rig.peer, sl_make(request, n));
        rig.want = 32;
        rig_until(&rig, rig_has_got);
        assert_int_equal(rig.got_len, 32);
        assert_memory_equal(got, answer, sizeof(answer));
        assert_int_equal((got[26] << 8 | got[27]) ^ 0x2112, addr_port(&me));
        assert_int_equal(got[28] ^ 0x21, 127);
        assert_int_equal(got[31] ^ 0x42, 1);
        rig.got_len = 0;
    }
    rig_down(&rig);
}

static void a_binding_request_by_ipv6_is_answered_too(void **state)
{
    static const char request[] = {STUN_HEAD(1, 0), STUN_ID};
    static const uint8_t head[] = {1,       1, 0,    24, 0x21, 0x12, 0xa4, 0x42,
                                   STUN_ID, 0, 0x20, 0,  20,   0,    2};
    static const uint8_t mask[] = {0x21, 0x12, 0xa4, 0x42, STUN_ID};
    const uint8_t *got = (const uint8_t *)rig.got;
    const struct addr me = stun_up("[::1]:0");

    (void)state;
    rig_peer_put(rig.peer, sl_make(request, sizeof(request)));
    rig.want = 44;
    rig_until(&rig, rig_has_got);
    assert_int_equal(rig.got_len, 44);
    assert_memory_equal(got, head, sizeof(head));
    assert_int_equal((got[26] << 8 | got[27]) ^ 0x2112, addr_port(&me));
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(got[28 + i] ^ mask[i], i == 15); /* ::1 */
    }
    rig_down(&rig);
}

static void what_is_no_plain_binding_request_is_not_answered(void **state)
{
    static const struct {
        char bytes[28];
        size_t n;
    } t[] = {
        {{STUN_HEAD(0x11, 0), STUN_ID}, 20},                              /* indication */
        {{STUN_HEAD(3, 0), STUN_ID}, 20},                                 /* TURN */
        {{1, 1, 0, 0, 0x21, 0x12, (char)0xa4, 0x42, STUN_ID}, 20},        /* an answer */
        {{STUN_HEAD(1, 8), STUN_ID}, 20},                                 /* cut */
        {{STUN_HEAD(1, 0), STUN_ID, 0, 0, 0, 0}, 24},                     /* too long */
        {{STUN_HEAD(1, 8), STUN_ID, 0, 6, 0, 4, 'u', 's', 'e', 'r'}, 28}, /* ICE */
        {{STUN_HEAD(1, 8), STUN_ID, (char)0x80, 0x22, 0, 5, 'a', 'b', 'c', 'd'}, 28}, /* beyond */
        {{STUN_HEAD(1, 8), STUN_ID, (char)0x80, 0x22, (char)255, (char)255}, 28},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        rig_up(&rig, NULL);
        rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
        rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
        rig_peer_put(rig.peer, sl_make(t[i].bytes, t[i].n));
        rig_peer_put(rig.peer, PING);
        rig.want = 1;
        rig_until(&rig, rig_has_messages);
        rig_peer_read(&rig);
        assert_int_equal(rig.got_len, 0);
        rig_down(&rig);
    }
}

static void line_ends_before_a_message_are_skipped(void **state)
{
    static const char text[] = "\r\n\r\nOPTIONS sip:a@example.net SIP/2.0\r\n\r\n";

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    rig_peer_put(rig.peer, sl_make(text, sizeof(text) - 1));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.last_len, PING.n);
    assert_memory_equal(rig.last, ping, PING.n);
    rig_down(&rig);
}

static void a_closed_port_is_reported_and_hurts_no_other_datagram(void **state)
{
    static const char *const at[] = {"127.0.0.1:0", "[::1]:0"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(at); i++) {
        struct addr nobody = rig_addr(at[i]);
        struct flow flow, good;
        struct addr bound;

        rig_up(&rig, NULL);
        rig_listen(&rig, SIP_UDP, at[i]);
        assert_int_equal(net_listen(rig.net, 2, SIP_UDP, &nobody, &bound), 0);
        net_unlisten(rig.net, 2, SIP_UDP); /* a port where nobody listens any more */
        rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
        rig_peer_put(rig.peer, PING);
        rig.want = 1;
        rig_until(&rig, rig_has_messages);
        good = rig.flow;
        flow = rig_flow(SIP_UDP, &bound);
        for (int k = 0; k < 5; k++) {
            assert_int_equal(rig_send(&rig, &flow, PING), 0);
            if (k % 2 != 0) {
                net_flush(rig.net); /* the error now waits for whoever is sent next */
            }
            assert_int_equal(rig_send(&rig, &good, PING), 0);
        }
        rig_until(&rig, rig_has_gone);
        assert_true(addr_eq(&rig.gone.remote, &bound));
        assert_int_equal(rig.gone.transport, SIP_UDP);
        assert_int_equal(rig.gone.conn_slot, FLOW_NO_CONN);
        assert_int_equal(rig.gone_err, ECONNREFUSED);
        rig.want = 5 * PING.n;
        rig_until(&rig, rig_has_got);
        assert_int_equal(rig.got_len, 5 * PING.n);
        rig_down(&rig);
    }
}

static void a_wildcard_socket_answers_from_the_address_that_was_asked(void **state)
{
    struct addr ask;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "0.0.0.0:0");
    rig.on_message = rig_echo;
    ask = rig_addr("127.0.0.2:0");
    addr_set_port(&ask, addr_port(&rig.at[SIP_UDP]));
    rig.peer = rig_peer_udp(&ask, "127.0.0.1:0"); /* connected: hears 127.0.0.2 only */
    rig_peer_put(rig.peer, PING);
    rig.want = PING.n;
    rig_until(&rig, rig_has_got);
    assert_true(addr_eq(&rig.flow.local, &ask));
    rig_down(&rig);

    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "[::]:0");
    rig.on_message = rig_echo;
    ask = rig_addr("[::1]:0");
    addr_set_port(&ask, addr_port(&rig.at[SIP_UDP]));
    rig.peer = rig_peer_udp(&ask, NULL);
    rig_peer_put(rig.peer, PING);
    rig.want = PING.n;
    rig_until(&rig, rig_has_got);
    assert_true(addr_eq(&rig.flow.local, &ask));
    rig_down(&rig);
}

static void two_workers_share_one_port(void **state)
{
    struct addr again;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    assert_int_equal(net_listen(rig.net, 7, SIP_UDP, &rig.at[SIP_UDP], &again), 0);
    assert_true(addr_eq(&again, &rig.at[SIP_UDP]));
    rig_down(&rig);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    static const struct {
        enum sip_transport transport;
        const char *to;
        int err;
    } t[] = {
        {SIP_UDP, "127.0.0.1:0", EHOSTUNREACH},     {SIP_UDP, "[::1]:5060", EHOSTUNREACH},
        {SIP_UDP, "224.0.1.75:5060", EHOSTUNREACH}, {SIP_UDP, "255.255.255.255:5060", EHOSTUNREACH},
        {SIP_TLS, "127.0.0.1:5061", EHOSTUNREACH},
    };
    struct addr at = rig_addr("127.0.0.1:0"), bound;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        struct addr to = rig_addr(t[i].to);
        struct flow flow = rig_flow(t[i].transport, &to);

        assert_int_equal(rig_send(&rig, &flow, PING), t[i].err);
    }
    assert_int_equal(net_listen(rig.net, 1, SIP_TLS, &at, &bound), EPROTONOSUPPORT);
    at = rig_addr("192.0.2.1:5060"); /* not ours */
    assert_int_equal(net_listen(rig.net, 1, SIP_UDP, &at, &bound), EADDRNOTAVAIL);
    rig_down(&rig);
}

static void close_listener(struct rig *r, const struct flow *flow, struct sl bytes)
{
    rig_echo(r, flow, bytes);
    net_unlisten(r->net, 1, SIP_UDP);
}

static void a_listener_may_be_closed_inside_its_own_event(void **state)
{
    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.on_message = close_listener;
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    for (int i = 0; i < 3; i++) {
        rig_peer_put(rig.peer, PING);
    }
    rig.want = PING.n;
    rig_until(&rig, rig_has_got); /* the answer was on its way already */
    assert_int_equal(rig.n_msg, 1);
    rig_down(&rig);
}

static void an_adopted_socket_goes_back_to_who_may_still_send_by_it(void **state)
{
    struct flow flow;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.on_message = rig_echo;
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    net_adopt(rig.net, 4, SIP_UDP, &rig.at[SIP_UDP]);
    rig_peer_put(rig.peer, PING);
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.flow.listener, 4);
    flow = rig.flow;
    net_unlisten(rig.net, 4, SIP_UDP);
    assert_true(net_is_open(rig.net, SIP_UDP, &rig.at[SIP_UDP]));
    assert_int_equal(rig_send(&rig, &flow, PING), EHOSTUNREACH); /* 4 has it no more */
    rig_peer_put(rig.peer, PING);
    rig.want = 2;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.flow.listener, 1);
    net_unlisten(rig.net, 1, SIP_UDP);
    assert_false(net_is_open(rig.net, SIP_UDP, &rig.at[SIP_UDP]));
    rig_down(&rig);
}

static struct flow make_flow(enum sip_transport t, const char *remote, uint32_t slot, uint32_t gen)
{
    struct addr a = rig_addr(remote);
    struct flow f = rig_flow(t, &a);

    f.local = rig_addr("192.0.2.9:5060");
    f.conn_slot = slot;
    f.conn_gen = gen;
    return f;
}

static void flows_are_the_same_by_pair_or_by_connection(void **state)
{
    struct flow udp = make_flow(SIP_UDP, "192.0.2.1:5060", FLOW_NO_CONN, 0);
    struct flow tcp = make_flow(SIP_TCP, "192.0.2.1:5060", 4, 2);
    struct flow other;

    (void)state;
    other = make_flow(SIP_UDP, "192.0.2.1:5060", FLOW_NO_CONN, 0);
    other.worker = 0; /* any worker may send */
    assert_true(flow_same(&udp, &other));
    other = make_flow(SIP_UDP, "192.0.2.1:5061", FLOW_NO_CONN, 0);
    assert_false(flow_same(&udp, &other));
    assert_false(flow_same(&udp, &tcp));
    other = make_flow(SIP_TCP, "192.0.2.7:9", 4, 2); /* the connection is what counts */
    assert_true(flow_same(&tcp, &other));
    other.conn_gen = 3;
    assert_false(flow_same(&tcp, &other));
    other = make_flow(SIP_TCP, "192.0.2.1:5060", FLOW_NO_CONN, 0);
    assert_false(flow_same(&tcp, &other));
}

static void udp_leaves_no_memory_behind(void **state)
{
    int64_t before = mem_live();

    a_closed_port_is_reported_and_hurts_no_other_datagram(state);
    a_listener_may_be_closed_inside_its_own_event(state);
    assert_int_equal(mem_live(), before);
}

static void no_memory_is_asked_for_per_datagram(void **state)
{
    int64_t live;

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_UDP, "127.0.0.1:0");
    rig.on_message = rig_echo;
    rig.peer = rig_peer_udp(&rig.at[SIP_UDP], NULL);
    live = mem_live();
    for (int i = 0; i < 10; i++) {
        rig_peer_put(rig.peer, PING);
    }
    mem_fault_arm(1);
    rig.want = 10 * PING.n;
    rig_until(&rig, rig_has_got);
    assert_false(mem_fault_hit());
    mem_fault_arm(0);
    assert_int_equal(mem_live(), live);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_is_answered_in_both_families),
        cmocka_unit_test(many_datagrams_arrive_in_order_and_all_are_answered),
        cmocka_unit_test(who_is_not_admitted_is_dropped_unread),
        cmocka_unit_test(more_than_the_queue_holds_can_be_sent_in_one_turn),
        cmocka_unit_test(big_datagrams_pass_and_those_over_the_limit_do_not),
        cmocka_unit_test(keepalives_and_scraps_never_reach_the_house),
        cmocka_unit_test(a_binding_request_is_answered_with_its_source),
        cmocka_unit_test(a_binding_request_by_ipv6_is_answered_too),
        cmocka_unit_test(what_is_no_plain_binding_request_is_not_answered),
        cmocka_unit_test(line_ends_before_a_message_are_skipped),
        cmocka_unit_test(a_closed_port_is_reported_and_hurts_no_other_datagram),
        cmocka_unit_test(a_wildcard_socket_answers_from_the_address_that_was_asked),
        cmocka_unit_test(two_workers_share_one_port),
        cmocka_unit_test(what_cannot_be_sent_is_refused_at_once),
        cmocka_unit_test(a_listener_may_be_closed_inside_its_own_event),
        cmocka_unit_test(an_adopted_socket_goes_back_to_who_may_still_send_by_it),
        cmocka_unit_test(flows_are_the_same_by_pair_or_by_connection),
        cmocka_unit_test(udp_leaves_no_memory_behind),
        cmocka_unit_test(no_memory_is_asked_for_per_datagram),
    };

    return cmocka_run_group_tests_name("net_udp", tests, NULL, NULL);
}
