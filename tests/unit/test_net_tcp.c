/* test_net_tcp.c - TCP transport over loopback: framing, keepalives, dialling and reuse. */
#include "tests/unit/net_rig.h"
#include "net/net_int.h"

#include <stdio.h>
#include <unistd.h>

static struct rig rig;
static char msg[80000];
static size_t msg_len;

static void tcp_up(const struct net_limits *limits)
{
    rig_up(&rig, limits);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
}

static void put_one_byte(struct rig *r)
{
    static size_t at;

    if (r->n_msg == 0 && at < msg_len) {
        rig_peer_put(r->peer, sl_make(msg + at++, 1));
    }
}

static void a_message_may_come_byte_by_byte(void **state)
{
    (void)state;
    tcp_up(NULL);
    rig.on_message = rig_echo;
    rig.on_poll = put_one_byte;
    rig.want = (unsigned)msg_len;
    rig_until(&rig, rig_has_got);
    assert_int_equal(rig.n_msg, 1);
    assert_int_equal(rig.last_len, msg_len);
    assert_memory_equal(rig.last, msg, msg_len);
    assert_memory_equal(rig.got, msg, msg_len);
    assert_true(rig.flow.proven);
    assert_false(rig.flow.dialled);
    assert_true(addr_eq(&rig.flow.local, &rig.at[SIP_TCP]));
    rig_down(&rig);
}

static struct conn *only_conn(void)
{
    uint32_t pos = 0;

    return slots_next(&rig.net->conns, &pos);
}

static bool has_come(struct rig *r)
{
    const struct conn *c = only_conn();

    return c != NULL && c->in.n >= r->want;
}

/* Or a body that drips in behind a long header would cost a scan of that header a byte. */
static void a_header_is_read_once_however_slowly_its_body_comes(void **state)
{
    (void)state;
    tcp_up(NULL);
    msg_len = rig_request(msg, sizeof(msg), "slow", 1000);
    rig.want = (unsigned)(msg_len - 900);
    rig_peer_put(rig.peer, sl_make(msg, rig.want));
    rig_until(&rig, has_come);
    memset(only_conn()->in.p, 'x', rig.want); /* whoever looks again loses the frame */
    for (size_t i = rig.want; i < msg_len - 1; i += 100) {
        size_t n = msg_len - 1 - i < 100 ? msg_len - 1 - i : 100;

        rig_peer_put(rig.peer, sl_make(msg + i, n));
        rig.want = (unsigned)(i + n);
        rig_until(&rig, has_come);
    }
    assert_int_equal(rig.n_msg, 0);
    rig_peer_put(rig.peer, sl_make(msg + msg_len - 1, 1));
    rig_peer_put(rig.peer, sl_make(msg, msg_len)); /* and the next one is read by itself */
    rig.want = 2;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.msg_len[0], msg_len);
    assert_int_equal(rig.msg_len[1], msg_len);
    assert_memory_equal(rig.last, msg, msg_len);
    rig_down(&rig);
}

static void many_messages_in_one_write_are_told_apart(void **state)
{
    enum { N = 40 };
    char *p = msg;

    (void)state;
    tcp_up(NULL);
    rig.on_message = rig_echo;
    for (size_t i = 0; i < N; i++) {
        p += rig_request(p, 1000, "many", i);
    }
    rig_peer_put(rig.peer, sl_make(msg, (size_t)(p - msg)));
    rig.want = (unsigned)(p - msg);
    rig_until(&rig, rig_has_got);
    assert_int_equal(rig.n_msg, N);
    assert_memory_equal(rig.got, msg, rig.want);
    assert_int_equal(stat_sum(STAT_SIP_RX), N);
    assert_int_equal(stat_sum(STAT_SIP_TX), N);
    rig_down(&rig);
}

static void who_is_not_admitted_is_hung_up_on_at_once(void **state)
{
    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    rig.shut = true;
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(rig.n_shut, 1);
    assert_int_equal(net_conn_count(rig.net), 0);
    assert_int_equal(rig.n_gone, 0);
    rig_down(&rig);
}

static bool has_last_bytes(struct rig *r)
{
    return r->n_msg >= r->want;
}

static void a_message_of_the_largest_size_passes_in_pieces(void **state)
{
    size_t first = 3000;

    (void)state;
    tcp_up(NULL);
    msg_len = rig_request(msg, sizeof(msg), "big", 60000);
    msg_len = rig_request(msg, sizeof(msg), "big", SIP_MSG_MAX - (msg_len - 60000));
    assert_int_equal(msg_len, SIP_MSG_MAX);
    rig_peer_put(rig.peer, sl_make(msg, first));
    assert_false(rig_try(&rig, rig_peer_closed, 20));
    rig_peer_put(rig.peer, sl_make(msg + first, msg_len - first));
    rig.want = 1;
    rig_until(&rig, has_last_bytes);
    assert_int_equal(rig.last_len, SIP_MSG_MAX);
    assert_memory_equal(rig.last, msg, SIP_MSG_MAX);
    rig_down(&rig);
}

static void a_ping_gets_a_pong_and_a_single_line_end_gets_nothing(void **state)
{
    (void)state;
    tcp_up(NULL);
    rig_peer_put(rig.peer, SL("\r\n\r\n"));
    rig.want = 2;
    rig_until(&rig, rig_has_got);
    assert_memory_equal(rig.got, "\r\n", 2);
    assert_int_equal(stat_sum(STAT_SIP_KEEPALIVE), 1);
    rig_peer_put(rig.peer, SL("\r"));
    assert_false(rig_try(&rig, rig_peer_closed, 10));
    rig_peer_put(rig.peer, SL("\n"));
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_int_equal(rig.last_len, msg_len);
    rig_peer_read(&rig);
    assert_int_equal(rig.got_len, 2);
    assert_int_equal(stat_sum(STAT_SIP_KEEPALIVE), 1);
    assert_int_equal(stat_sum(STAT_SIP_TX), 0);
    rig_down(&rig);
}

static void other_protocols_are_closed_at_once_without_a_word(void **state)
{
    static const struct sl t[] = {
        {"GET / HTTP/1.1\r\n", 16},
        {"POST sip:a@example.net HTTP/1.1\r\nContent-Length: 99\r\n\r\n"
         "INVITE sip:a@example.net SIP/2.0\r\n\r\n",
         90},
        {"\x16\x03\x01\x02", 4}, /* TLS hello: no line to wait for */
        {" INVITE", 7},
        {"hello\n", 6},
        {"\0\0\0\0", 4},
        {"\rINVITE", 7},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        tcp_up(NULL);
        rig_peer_put(rig.peer, t[i]);
        rig_until(&rig, rig_peer_closed);
        rig.want = 1;
        rig_until(&rig, rig_has_gone);
        assert_int_equal(rig.gone_err, EBADMSG);
        assert_int_equal(rig.n_msg, 0);
        assert_int_equal(rig.n_bad, 0);
        assert_int_equal(rig.got_len, 0);
        assert_int_equal(stat_sum(STAT_SIP_DROP_NOT_SIP), 1);
        rig_down(&rig);
    }
}

static void a_first_line_without_end_is_given_up(void **state)
{
    (void)state;
    tcp_up(NULL);
    memset(msg, 'A', sizeof(msg));
    rig_peer_put(rig.peer, sl_make(msg, SIP_HDR_LINE_MAX));
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(rig.n_bad, 0);
    rig_down(&rig);
}

#define ANSWER "SIP/2.0 400 Bad Content-Length\r\nContent-Length: 0\r\n\r\n"

static void answer_400(struct rig *r, const struct flow *flow, struct sl bytes)
{
    struct flow back = *flow;

    assert_true(sl_starts(bytes, SL("MESSAGE ")));
    assert_int_equal(rig_send(r, &back, SL(ANSWER)), 0);
}

static void contradictory_lengths_are_answered_and_end_the_stream(void **state)
{
    static const char bad[] = "MESSAGE sip:b@example.net SIP/2.0\r\nContent-Length: 5\r\n"
                              "Content-Length: 7\r\n\r\n1234567";
    size_t n = sizeof(bad) - 1;

    (void)state;
    tcp_up(NULL);
    rig.on_bad = answer_400;
    memcpy(msg, bad, n);
    for (size_t i = 0; i < 100; i++) { /* none of these may ever be run */
        n += rig_request(msg + n, sizeof(msg) - n, "smuggled", 3);
    }
    rig_peer_put(rig.peer, sl_make(msg, n));
    rig_until(&rig, rig_peer_closed);
    assert_true(rig.peer_eof); /* not a reset: the answer would be lost with it */
    assert_int_equal(rig.got_len, sizeof(ANSWER) - 1);
    assert_memory_equal(rig.got, ANSWER, sizeof(ANSWER) - 1);
    assert_int_equal(rig.n_bad, 1);
    assert_int_equal(rig.bad_err, EBADMSG);
    assert_int_equal(rig.n_msg, 0);
    assert_int_equal(stat_sum(STAT_SIP_BAD), 1);
    rig_peer_put(rig.peer, SL("more of it")); /* read away, not run */
    (void)close(rig.peer);
    rig.peer = -1;
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, EBADMSG);
    assert_int_equal(rig.n_msg, 0);
    rig_down(&rig);
}

static void an_oversized_message_is_refused_before_it_is_stored(void **state)
{
    struct net_limits limits = net_limits_default;

    (void)state;
    limits.max_message = 2000;
    tcp_up(&limits);
    msg_len = rig_request(msg, sizeof(msg), "big", 5000);
    rig_peer_put(rig.peer, sl_make(msg, msg_len - 5000));
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(rig.n_bad, 1);
    assert_int_equal(rig.bad_err, EMSGSIZE);
    assert_int_equal(stat_sum(STAT_SIP_TOO_BIG), 1);
    rig_down(&rig);

    tcp_up(&limits); /* a header area that never ends */
    memset(msg + 60, 'h', 5000);
    rig_peer_put(rig.peer, sl_make(msg, 2000));
    rig_until(&rig, rig_peer_closed);
    assert_int_equal(rig.bad_err, EMSGSIZE);
    rig_down(&rig);
}

static void close_connection(struct rig *r, const struct flow *flow, struct sl bytes)
{
    rig_echo(r, flow, bytes);
    net_conn_close(r->net, flow->conn_slot, flow->conn_gen);
    assert_false(net_conn_get(r->net, flow->conn_slot, flow->conn_gen,
                              &(struct net_conn_info){.listener = 0}));
    assert_memory_equal(bytes.p, msg, bytes.n); /* the bytes outlive the connection */
    assert_int_equal(r->n_gone, 0);             /* told from the loop, not from inside */
}

static void a_connection_may_be_closed_inside_its_own_event(void **state)
{
    (void)state;
    for (size_t split = 0; split < 2; split++) {
        tcp_up(NULL);
        rig.on_message = close_connection;
        memcpy(msg + msg_len, msg, msg_len);
        if (split != 0) { /* the first half waits in the connection's own buffer */
            rig_peer_put(rig.peer, sl_make(msg, 20));
            assert_false(rig_try(&rig, rig_peer_closed, 10));
        }
        rig_peer_put(rig.peer, sl_make(msg + 20 * split, 2 * msg_len - 20 * split));
        rig_until(&rig, rig_peer_closed);
        assert_int_equal(rig.n_msg, 1);
        assert_int_equal(rig.got_len, msg_len);
        rig.want = 1;
        rig_until(&rig, rig_has_gone);
        assert_int_equal(rig.gone_err, 0);
        assert_true(flow_same(&rig.gone, &rig.flow));
        assert_int_equal(net_conn_count(rig.net), 0);
        assert_int_equal(rig_send(&rig, &rig.flow, SL("x")), ENOTCONN);
        rig_down(&rig);
    }
}

static void a_peer_that_sends_no_more_still_gets_its_answer(void **state)
{
    (void)state;
    tcp_up(NULL);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
    assert_false(rig_try(&rig, rig_peer_closed, 20));
    assert_int_equal(rig.n_msg, 1);
    assert_int_equal(rig_send(&rig, &rig.flow, sl_make(msg, msg_len)), 0);
    rig_until(&rig, rig_peer_closed);
    assert_true(rig.peer_eof);
    assert_int_equal(rig.got_len, msg_len);
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_int_equal(rig.gone_err, 0);
    rig_down(&rig);
}

static int far_fd; /* accepted end of what the net dialled */
static int far_listener;

static bool far_accepted(struct rig *r)
{
    (void)r;
    if (far_fd < 0) {
        far_fd = accept4(far_listener, NULL, NULL, SOCK_CLOEXEC);
    }
    return far_fd >= 0;
}

/* A net that dialled a plain listener; the first message is already on its way. */
static struct flow dial_up(const char *from)
{
    struct addr far;
    struct flow flow;

    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_TCP, from);
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
    far_fd = -1;
    far_listener = rig_peer_listen(&far, 8);
    flow = rig_flow(SIP_TCP, &far);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    assert_int_not_equal(flow.conn_slot, FLOW_NO_CONN);
    return flow;
}

static void dial_down(void)
{
    if (far_fd >= 0 && far_fd != rig.peer) {
        (void)close(far_fd);
    }
    (void)close(far_listener);
    rig_down(&rig);
}

static void messages_wait_for_the_connection_and_later_ones_reuse_it(void **state)
{
    struct flow flow = dial_up("127.0.0.1:0");
    struct flow again = rig_flow(SIP_TCP, &flow.remote);
    struct net_conn_info info;

    (void)state;
    assert_int_equal(rig_send(&rig, &again, sl_make(msg, msg_len)), 0);
    assert_true(flow_same(&flow, &again));
    rig_until(&rig, far_accepted);
    rig.peer = far_fd;
    rig.want = (unsigned)(2 * msg_len);
    rig_until(&rig, rig_has_got);
    again = rig_flow(SIP_TCP, &flow.remote);
    assert_int_equal(rig_send(&rig, &again, sl_make(msg, msg_len)), 0);
    rig.want = (unsigned)(3 * msg_len);
    rig_until(&rig, rig_has_got);
    assert_true(flow_same(&flow, &again));
    assert_int_equal(net_conn_count(rig.net), 1);
    assert_true(net_conn_get(rig.net, flow.conn_slot, flow.conn_gen, &info));
    assert_false(info.incoming);
    assert_true(addr_eq(&info.remote, &flow.remote));
    assert_true(info.since_ms > 0);
    assert_true(addr_eq(&flow.local, &rig.at[SIP_TCP])); /* where the far side can dial us */
    again.listener = 2; /* another listener has its own connections, if it has an address */
    again.conn_slot = FLOW_NO_CONN;
    again.local = (struct addr){0};
    assert_int_equal(rig_send(&rig, &again, sl_make(msg, msg_len)), EHOSTUNREACH);
    dial_down();
}

/* The kernel takes 0.0.0.0 for this very machine. */
static void what_is_nobodys_address_is_not_dialled(void **state)
{
    char own[32];
    const char *const at[] = {own, "224.0.0.5:5060", "127.0.0.1:0"};

    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    (void)snprintf(own, sizeof(own), "0.0.0.0:%u", (unsigned)addr_port(&rig.at[SIP_TCP]));
    msg_len = rig_request(msg, sizeof(msg), "one", 10);
    for (size_t i = 0; i < COUNT_OF(at); i++) {
        struct addr to = rig_addr(at[i]);
        struct flow flow = rig_flow(SIP_TCP, &to);

        assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), EHOSTUNREACH);
        assert_int_equal(net_conn_count(rig.net), 0);
    }
    rig_down(&rig);
}

static void answers_come_back_on_the_connection_we_dialled(void **state)
{
    struct flow flow = dial_up("127.0.0.1:0");

    (void)state;
    rig_until(&rig, far_accepted);
    rig_peer_put(far_fd, sl_make(msg, msg_len));
    rig.want = 1;
    rig_until(&rig, rig_has_messages);
    assert_true(flow_same(&flow, &rig.flow));
    assert_true(rig.flow.dialled);
    assert_true(rig.flow.proven);
    dial_down();
}

static void dialling_starts_from_the_address_of_the_listener(void **state)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct addr from, want = rig_addr("127.0.0.5:0");

    (void)state;
    (void)dial_up("127.0.0.5:0");
    rig_until(&rig, far_accepted);
    assert_int_equal(getpeername(far_fd, (struct sockaddr *)&ss, &len), 0);
    addr_from_sockaddr(&from, (const struct sockaddr *)&ss, len);
    assert_true(addr_eq_ip(&from, &want));
    assert_int_not_equal(addr_port(&from), addr_port(&rig.at[SIP_TCP]));
    dial_down();
}

static void a_dialled_connection_that_ended_is_dialled_again(void **state)
{
    struct flow flow = dial_up("127.0.0.1:0");
    struct flow old = flow;

    (void)state;
    rig_until(&rig, far_accepted);
    (void)close(far_fd);
    far_fd = -1;
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_true(flow_same(&rig.gone, &old));
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    assert_false(flow_same(&flow, &old));
    rig_until(&rig, far_accepted);
    rig.peer = far_fd;
    rig.want = (unsigned)msg_len;
    rig_until(&rig, rig_has_got);
    dial_down();
}

static void a_refused_connection_is_reported(void **state)
{
    struct flow flow = dial_up("127.0.0.1:0");
    struct addr nobody = flow.remote;

    (void)state;
    rig_until(&rig, far_accepted);
    dial_down(); /* now nobody listens there */
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_TCP, "127.0.0.1:0");
    flow = rig_flow(SIP_TCP, &nobody);
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    rig.want = 1;
    rig_until(&rig, rig_has_gone);
    assert_true(flow_same(&rig.gone, &flow));
    assert_true(addr_eq(&rig.gone.remote, &nobody));
    assert_int_equal(rig.gone_err, ECONNREFUSED);
    assert_int_equal(net_conn_count(rig.net), 0);
    rig_down(&rig);
}

static void nothing(struct rig *r)
{
    (void)r;
}

static void answer_it(struct rig *r)
{
    assert_int_equal(rig_send(r, &r->flow, SL("SIP/2.0 403 Forbidden\r\n\r\n")), 0);
}

static void ask_it(struct rig *r)
{
    assert_int_equal(rig_send(r, &r->flow, sl_make(msg, msg_len)), 0);
}

static void hold_it(struct rig *r)
{
    assert_true(net_conn_hold(r->net, r->flow.conn_slot, r->flow.conn_gen, 1));
    assert_true(net_conn_hold(r->net, r->flow.conn_slot, r->flow.conn_gen, -1));
}

/* Whoever only connects, is refused and leaves must not cost everybody a walk through his tables.
 */
static void the_end_of_a_connection_tells_whether_it_was_of_any_use(void **state)
{
    static const struct {
        void (*use)(struct rig *r);
        bool unused;
    } cases[] = {{nothing, true}, {answer_it, true}, {ask_it, false}, {hold_it, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        tcp_up(NULL);
        rig_peer_put(rig.peer, sl_make(msg, msg_len));
        rig.want = 1;
        rig_until(&rig, rig_has_messages);
        cases[i].use(&rig);
        assert_false(rig.flow.unused);
        net_conn_close(rig.net, rig.flow.conn_slot, rig.flow.conn_gen);
        assert_false(net_conn_hold(rig.net, rig.flow.conn_slot, rig.flow.conn_gen, 1));
        rig_until(&rig, rig_has_gone);
        assert_int_equal(rig.gone.unused, cases[i].unused);
        rig_down(&rig);
    }
}

static void a_flow_of_another_worker_is_handed_over(void **state)
{
    struct flow flow;

    (void)state;
    tcp_up(NULL);
    flow = rig_flow(SIP_TCP, &rig.at[SIP_TCP]);
    flow.worker = 1;
    flow.conn_slot = 0;
    assert_int_equal(rig_send(&rig, &flow, sl_make(msg, msg_len)), 0);
    assert_int_equal(rig.n_remote, 1);
    assert_int_equal(net_conn_count(rig.net), 0);
    rig_down(&rig);
}

static void a_closed_listener_accepts_no_more_but_its_connections_live(void **state)
{
    struct addr a;
    int fd;

    (void)state;
    tcp_up(NULL);
    rig.on_message = rig_echo;
    rig.want = 1;
    rig_until(&rig, rig_has_conns);
    a = rig.at[SIP_TCP];
    net_unlisten(rig.net, 1, SIP_TCP);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &a.u.sa, addr_len(&a)), -1);
    (void)close(fd);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = (unsigned)msg_len;
    rig_until(&rig, rig_has_got);
    rig_down(&rig);
}

static void tcp_works_over_ipv6(void **state)
{
    (void)state;
    rig_up(&rig, NULL);
    rig_listen(&rig, SIP_TCP, "[::1]:0");
    rig.on_message = rig_echo;
    rig.peer = rig_peer_tcp(&rig.at[SIP_TCP], NULL);
    msg_len = rig_request(msg, sizeof(msg), "six", 1);
    rig_peer_put(rig.peer, sl_make(msg, msg_len));
    rig.want = (unsigned)msg_len;
    rig_until(&rig, rig_has_got);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_may_come_byte_by_byte),
        cmocka_unit_test(a_header_is_read_once_however_slowly_its_body_comes),
        cmocka_unit_test(many_messages_in_one_write_are_told_apart),
        cmocka_unit_test(who_is_not_admitted_is_hung_up_on_at_once),
        cmocka_unit_test(a_message_of_the_largest_size_passes_in_pieces),
        cmocka_unit_test(a_ping_gets_a_pong_and_a_single_line_end_gets_nothing),
        cmocka_unit_test(other_protocols_are_closed_at_once_without_a_word),
        cmocka_unit_test(a_first_line_without_end_is_given_up),
        cmocka_unit_test(contradictory_lengths_are_answered_and_end_the_stream),
        cmocka_unit_test(an_oversized_message_is_refused_before_it_is_stored),
        cmocka_unit_test(a_connection_may_be_closed_inside_its_own_event),
        cmocka_unit_test(a_peer_that_sends_no_more_still_gets_its_answer),
        cmocka_unit_test(messages_wait_for_the_connection_and_later_ones_reuse_it),
        cmocka_unit_test(what_is_nobodys_address_is_not_dialled),
        cmocka_unit_test(answers_come_back_on_the_connection_we_dialled),
        cmocka_unit_test(dialling_starts_from_the_address_of_the_listener),
        cmocka_unit_test(a_dialled_connection_that_ended_is_dialled_again),
        cmocka_unit_test(a_refused_connection_is_reported),
        cmocka_unit_test(the_end_of_a_connection_tells_whether_it_was_of_any_use),
        cmocka_unit_test(a_flow_of_another_worker_is_handed_over),
        cmocka_unit_test(a_closed_listener_accepts_no_more_but_its_connections_live),
        cmocka_unit_test(tcp_works_over_ipv6),
    };

    return cmocka_run_group_tests_name("net_tcp", tests, NULL, NULL);
}
