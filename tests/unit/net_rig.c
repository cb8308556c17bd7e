/* net_rig.c - see net_rig.h. */
#include "tests/unit/net_rig.h"

#include <stdio.h>
#include <unistd.h>

static void on_rig_before(void *arg)
{
    struct rig *r = arg;

    if (r->before != NULL) {
        r->before(r);
    }
}

static void on_rig_message(void *arg, const struct flow *flow, struct sl bytes)
{
    struct rig *r = arg;

    if (r->n_msg < RIG_SEEN) {
        r->msg_len[r->n_msg] = bytes.n;
    }
    r->n_msg++;
    r->flow = *flow;
    assert_true(bytes.n <= sizeof(r->last));
    memcpy(r->last, bytes.p, bytes.n);
    r->last_len = bytes.n;
    if (r->on_message != NULL) {
        r->on_message(r, flow, bytes);
    }
}

static void on_rig_bad(void *arg, const struct flow *flow, struct sl bytes, int err)
{
    struct rig *r = arg;

    r->n_bad++;
    r->bad_err = err;
    r->flow = *flow;
    if (r->on_bad != NULL) {
        r->on_bad(r, flow, bytes);
    }
}

static void on_rig_gone(void *arg, const struct flow *flow, int err)
{
    struct rig *r = arg;

    r->n_gone++;
    r->gone = *flow;
    r->gone_err = err;
}

static int on_rig_remote(void *arg, const struct flow *flow, struct sl bytes)
{
    struct rig *r = arg;

    (void)flow, (void)bytes;
    r->n_remote++;
    return 0;
}

static void on_rig_poll(void *arg)
{
    struct rig *r = arg;

    if (r->on_poll != NULL) {
        r->on_poll(r);
    }
    r->timed_out = --r->turns <= 0;
    if (r->cond(r) || r->timed_out) {
        loop_stop(r->loop);
    } else {
        timer_start(r->loop, &r->poll, 1);
    }
}

static bool on_rig_admit(void *arg, const struct flow *flow)
{
    struct rig *r = arg;

    assert_int_not_equal(addr_port(&flow->remote), 0);
    r->n_shut += r->shut;
    return !r->shut;
}

static bool on_rig_known(void *arg, const struct flow *flow)
{
    const struct rig *r = arg;
    struct addr a;

    return r->friend == NULL ||
           (addr_parse(sl_str(r->friend), 0, &a) == 0 && addr_eq_ip(&a, &flow->remote));
}

static uint32_t on_rig_identify(void *arg, uint8_t listener, const struct sl *names, size_t n)
{
    const struct rig *r = arg;

    assert_int_equal(listener, 1);
    for (size_t i = 0; i < n; i++) {
        if (r->known != NULL && sl_eq(names[i], sl_str(r->known))) {
            return 7;
        }
    }
    return 0;
}

static struct tls_client *on_rig_dialler(void *arg, uint32_t peer)
{
    const struct rig *r = arg;

    return r->dialler != NULL && (peer == 7 || peer == 8) ? tls_client_ref(r->dialler) : NULL;
}

static void rig_open(struct rig *r, const struct net_limits *limits, struct crypto_pool *pool)
{
    static const struct net_events events = {.admit = on_rig_admit,
                                             .known = on_rig_known,
                                             .before = on_rig_before,
                                             .message = on_rig_message,
                                             .bad_frame = on_rig_bad,
                                             .gone = on_rig_gone,
                                             .send_remote = on_rig_remote,
                                             .identify = on_rig_identify,
                                             .dialler = on_rig_dialler};
    struct loop_params params = {.mailbox = 64};

    memset(r, 0, sizeof(*r));
    r->peer = -1;
    r->pool = pool;
    r->limits = limits != NULL ? *limits : net_limits_default;
    stat_reset();
    timer_init(&r->poll, on_rig_poll, r);
    assert_int_equal(loop_new(&r->loop, &params), 0);
    assert_int_equal(net_new(&r->net, &(struct net_params){.loop = r->loop,
                                                           .worker = 3,
                                                           .limits = &r->limits,
                                                           .pool = r->pool,
                                                           .ev = &events,
                                                           .ev_arg = r}),
                     0);
}

void rig_up(struct rig *r, const struct net_limits *limits)
{
    rig_open(r, limits, NULL);
}

void rig_up_tls(struct rig *r, const struct net_limits *limits)
{
    struct crypto_pool *pool = NULL;

    assert_int_equal(crypto_pool_new(&pool, 1, RIG_POOL_QUEUE), 0);
    rig_open(r, limits, pool);
}

void rig_down(struct rig *r)
{
    if (r->peer >= 0) {
        (void)close(r->peer);
    }
    if (r->pool != NULL) {
        crypto_pool_stop(r->pool);
    }
    net_free(&r->net);
    loop_free(&r->loop);
    crypto_pool_free(&r->pool);
    tls_client_unref(&r->dialler);
}

struct addr rig_addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 0, &a), 0);
    return a;
}

void rig_listen(struct rig *r, enum sip_transport t, const char *at)
{
    struct addr a = rig_addr(at);

    assert_int_equal(net_listen(r->net, 1, t, &a, &r->at[t]), 0);
    assert_int_not_equal(addr_port(&r->at[t]), 0);
}

bool rig_try(struct rig *r, rig_cond *cond, int turns)
{
    r->cond = cond;
    r->turns = turns;
    timer_start(r->loop, &r->poll, 0);
    loop_run(r->loop);
    timer_stop(r->loop, &r->poll);
    return cond(r);
}

void rig_until(struct rig *r, rig_cond *cond)
{
    assert_true(rig_try(r, cond, RIG_TURNS));
}

int rig_send(struct rig *r, struct flow *flow, struct sl bytes)
{
    return net_real_ops.send(r->net, flow, bytes);
}

void rig_echo(struct rig *r, const struct flow *flow, struct sl bytes)
{
    struct flow back = *flow;

    assert_int_equal(rig_send(r, &back, bytes), 0);
}

bool rig_has_messages(struct rig *r)
{
    return r->n_msg >= r->want;
}

bool rig_has_gone(struct rig *r)
{
    return r->n_gone >= r->want;
}

bool rig_has_got(struct rig *r)
{
    rig_peer_read(r);
    return r->got_len >= r->want;
}

bool rig_peer_closed(struct rig *r)
{
    rig_peer_read(r);
    return r->peer_eof || r->peer_reset;
}

bool rig_has_conns(struct rig *r)
{
    return net_conn_count(r->net) == r->want;
}

static int peer_socket(int type, const struct addr *to, const char *from)
{
    int fd = socket(addr_family(to), type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (from != NULL) {
        struct addr a = rig_addr(from);

        assert_int_equal(bind(fd, &a.u.sa, addr_len(&a)), 0);
    }
    assert_int_equal(connect(fd, &to->u.sa, addr_len(to)), 0);
    return fd;
}

int rig_peer_udp(const struct addr *to, const char *from)
{
    return peer_socket(SOCK_DGRAM, to, from);
}

int rig_peer_tcp(const struct addr *to, const char *from)
{
    return peer_socket(SOCK_STREAM, to, from);
}

int rig_peer_listen(struct addr *bound, int backlog)
{
    struct addr a = rig_addr("127.0.0.1:0");
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &a.u.sa, addr_len(&a)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    addr_from_sockaddr(bound, (const struct sockaddr *)&ss, len);
    return fd;
}

void rig_peer_put(int fd, struct sl bytes)
{
    assert_int_equal(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
}

void rig_peer_read(struct rig *r)
{
    while (!r->peer_eof && !r->peer_reset && r->got_len < sizeof(r->got)) {
        ssize_t n = recv(r->peer, r->got + r->got_len, sizeof(r->got) - r->got_len, MSG_DONTWAIT);

        if (n < 0) {
            r->peer_reset = errno != EAGAIN;
            return;
        }
        r->peer_eof = n == 0;
        r->got_len += (size_t)n;
    }
}

struct flow rig_flow(enum sip_transport t, const struct addr *to)
{
    return (struct flow){.transport = (uint8_t)t,
                         .listener = 1,
                         .worker = 3,
                         .conn_slot = FLOW_NO_CONN,
                         .remote = *to};
}

size_t rig_request(char *dst, size_t cap, const char *call_id, size_t n)
{
    int head = snprintf(dst, cap,
                        "MESSAGE sip:b@example.net SIP/2.0\r\n"
                        "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\n"
                        "Max-Forwards: 70\r\nFrom: <sip:a@example.net>;tag=1\r\n"
                        "To: <sip:b@example.net>\r\nCall-ID: %s\r\nCSeq: 1 MESSAGE\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        call_id, n);

    assert_true(head > 0 && (size_t)head + n <= cap);
    memset(dst + head, 'x', n);
    return (size_t)head + n;
}
