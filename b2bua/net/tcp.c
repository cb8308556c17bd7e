/* tcp.c - TCP and TLS listeners: accepting within the limits, and dialling from a listener's
 * address. */
#include "net/net_int.h"

enum {
    TCP_ACCEPTS = 64,  /* connections accepted per wake-up */
    TCP_PAUSE_MS = 100 /* no accept for so long when descriptors are out */
};

static void source_key(const struct addr *a, uint8_t key[9])
{
    memset(key, 0, 9);
    key[0] = (uint8_t)addr_family(a);
    if (addr_family(a) == AF_INET) {
        memcpy(key + 1, &a->u.in4.sin_addr, 4);
    } else {
        memcpy(key + 1, &a->u.in6.sin6_addr, 8); /* one customer has a whole /64 */
    }
}

static bool source_eq(const struct hnode *node, const void *key)
{
    const struct source *s = CONTAINER_OF(node, struct source, node);

    return memcmp(s->key, key, sizeof(s->key)) == 0;
}

/* Counts one more connection of this source. ENOBUFS: it has enough; ENOMEM. */
static int source_take(struct net *n, const struct addr *from, struct source **sp)
{
    uint8_t key[9];
    uint64_t hash;
    struct hnode *node;
    struct source *s;
    int err;

    source_key(from, key);
    hash = hmap_hash(&n->sources, key, sizeof(key));
    node = hmap_find(&n->sources, hash, source_eq, key);
    if (node != NULL) {
        s = CONTAINER_OF(node, struct source, node);
        if (s->conns >= n->lim.max_conns_per_source) {
            return ENOBUFS;
        }
    } else {
        s = pool_get(&n->source_pool);
        if (s == NULL) {
            return ENOMEM;
        }
        memcpy(s->key, key, sizeof(key));
        err = hmap_insert(&n->sources, &s->node, hash);
        if (err != 0) {
            pool_put(&n->source_pool, s);
            return err;
        }
    }
    s->conns++;
    *sp = s;
    return 0;
}

void source_release(struct net *n, struct source **sp)
{
    struct source *s = *sp;

    *sp = NULL;
    if (s != NULL && --s->conns == 0) {
        hmap_remove(&n->sources, &s->node);
        pool_put(&n->source_pool, s);
    }
}

/* What strangers may have of a limit. */
static uint32_t strangers_part(uint32_t limit, uint32_t reserved)
{
    return limit > reserved ? limit - reserved : 0;
}

static int reserve_refuses(void)
{
    stat_inc(STAT_CONN_RESERVE);
    return ENOBUFS;
}

/* Room for one more handshake; a source cannot take all of it, and all strangers cannot. */
static int tcp_may_shake(const struct tcp_listener *l, const struct conn_from *from)
{
    const struct net *n = l->net;
    const struct net_limits *lim = &n->lim;

    if (l->transport != SIP_TLS) {
        return 0;
    }
    if (l->tls == NULL || n->n_shaking >= lim->max_handshakes ||
        from->source->shaking >= lim->max_handshakes_per_source) {
        stat_inc(STAT_TLS_LIMIT);
        return ENOBUFS;
    }
    if (!from->known &&
        n->n_strange_shaking >= strangers_part(lim->max_handshakes, lim->reserved_handshakes)) {
        stat_inc(STAT_TLS_LIMIT);
        return reserve_refuses();
    }
    return 0;
}

static int tcp_may_enter(const struct net *n, bool known)
{
    if (n->n_in >= n->lim.max_conns) {
        return ENOBUFS;
    }
    if (!known && n->n_strange >= strangers_part(n->lim.max_conns, n->lim.reserved_conns)) {
        return reserve_refuses();
    }
    return 0;
}

static int tcp_take(struct tcp_listener *l, int fd, const struct addr *remote,
                    const struct conn_from *from)
{
    struct net *n = l->net;
    struct flow flow = {.transport = l->transport,
                        .listener = l->listener,
                        .worker = n->worker,
                        .proven = true,
                        .remote = *remote};
    struct conn_tls *tls = NULL;
    struct conn *c = NULL;
    int err = tcp_may_shake(l, from);

    if (err == 0) {
        err = sock_name(fd, &flow.local);
    }
    if (err == 0 && l->transport == SIP_TLS) {
        err = conn_tls_new(&tls, n, l->tls, NULL, NULL);
    }
    if (err == 0) {
        sock_stream(fd);
        err = conn_new(&c, n, fd, &flow, from, tls);
    }
    if (err != 0) {
        conn_tls_free(n, &tls);
    }
    return err;
}

static struct flow tcp_knock(const struct tcp_listener *l, const struct addr *remote)
{
    return (struct flow){.transport = SIP_TCP,
                         .listener = l->listener,
                         .worker = l->net->worker,
                         .conn_slot = FLOW_NO_CONN,
                         .remote = *remote};
}

static bool tcp_may_come(const struct tcp_listener *l, const struct addr *remote)
{
    const struct net *n = l->net;
    struct flow flow = tcp_knock(l, remote);

    return n->ev.admit == NULL || n->ev.admit(n->arg, &flow);
}

static bool tcp_is_known(const struct tcp_listener *l, const struct addr *remote)
{
    const struct net *n = l->net;
    struct flow flow = tcp_knock(l, remote);

    return n->ev.known == NULL || n->ev.known(n->arg, &flow);
}

/* Takes over fd, also on error. */
static int tcp_adopt(struct tcp_listener *l, int fd, const struct addr *remote)
{
    struct net *n = l->net;
    struct conn_from from = {.known = tcp_is_known(l, remote)};
    int err = tcp_may_enter(n, from.known);

    if (err == 0) {
        err = source_take(n, remote, &from.source);
    }
    if (err == 0) {
        err = tcp_take(l, fd, remote, &from);
    }
    if (err != 0) {
        source_release(n, &from.source);
        sock_close(&fd);
    }
    return err;
}

static void on_tcp_resume(void *arg)
{
    struct tcp_listener *l = arg;

    if (fdw_set(l->watch, LOOP_READ) != 0) {
        timer_start(l->net->loop, &l->pause, TCP_PAUSE_MS);
    }
}

/* Out of descriptors or memory: the queue stays readable, and asking again at once would spin. */
static void tcp_pause(struct tcp_listener *l, int err)
{
    log_warn(NULL, "accept failed (%d), pausing", err);
    stat_inc(STAT_CONN_FULL);
    if (fdw_set(l->watch, 0) == 0) {
        timer_start(l->net->loop, &l->pause, TCP_PAUSE_MS);
    }
}

static bool tcp_is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void on_tcp_accept(int fd, int what, void *arg)
{
    struct tcp_listener *l = arg;

    (void)what;
    for (int i = 0; i < TCP_ACCEPTS; i++) {
        struct sockaddr_storage ss = {0};
        socklen_t len = sizeof(ss);
        struct addr remote;
        int got = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int err = got < 0 ? errno : 0;

        if (err == EAGAIN) {
            return;
        }
        if (tcp_is_exhausted(err)) {
            tcp_pause(l, err);
            return;
        }
        if (err != 0) {
            continue; /* that connection died in the queue; accept(2) hands its error on */
        }
        addr_from_sockaddr(&remote, (const struct sockaddr *)&ss, len);
        if (!tcp_may_come(l, &remote)) {
            sock_close(&got);
            continue;
        }
        err = tcp_adopt(l, got, &remote);
        if (err != 0) {
            char text[ADDR_TEXT_MAX];

            stat_inc(STAT_CONN_FULL);
            log_info(NULL, "connection from %s refused (%d)", addr_text(&remote, text), err);
        }
    }
}

static void tcp_destroy(void *arg)
{
    struct tcp_listener *l = arg;

    tls_server_unref(&l->tls);
    mem_free(l);
}

struct tcp_listener *tcp_find(const struct net *n, uint8_t listener, uint8_t transport)
{
    LIST_FOR_EACH(it, &n->tcp)
    {
        struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        if (l->listener == listener && l->transport == transport) {
            return l;
        }
    }
    return NULL;
}

void net_set_tls(struct net *n, uint8_t listener, struct tls_server *s)
{
    LIST_FOR_EACH(it, &n->tcp)
    {
        struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        if (l->listener == listener && l->transport == SIP_TLS) {
            tls_server_unref(&l->tls);
            l->tls = tls_server_ref(s);
        }
    }
}

static void tcp_close(struct tcp_listener *l)
{
    list_del(&l->node);
    timer_stop(l->net->loop, &l->pause);
    fdw_free(&l->watch);
    sock_close(&l->fd);
}

int tcp_listen(struct net *n, uint8_t listener, enum sip_transport t, const struct addr *at,
               struct addr *bound)
{
    struct tcp_listener *l = mem_zalloc(sizeof(*l));
    int err;

    if (l == NULL) {
        return ENOMEM;
    }
    l->net = n;
    l->listener = listener;
    l->transport = (uint8_t)t;
    list_init(&l->node);
    timer_init(&l->pause, on_tcp_resume, l);
    err = sock_open(SOCK_STREAM, at, true, &l->fd);
    if (err == 0) {
        err = sock_name(l->fd, &l->bound);
    }
    if (err == 0) {
        err = fdw_new(&l->watch, n->loop, l->fd, on_tcp_accept, l);
    }
    if (err != 0) {
        tcp_close(l);
        tcp_destroy(l);
        return err;
    }
    list_push_back(&n->tcp, &l->node);
    *bound = l->bound;
    return 0;
}

struct tcp_listener *tcp_at(const struct net *n, enum sip_transport t, const struct addr *at)
{
    LIST_FOR_EACH(it, &n->tcp)
    {
        struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        if (l->transport == t && addr_family(&l->bound) == addr_family(at) &&
            addr_eq(&l->bound, at)) {
            return l;
        }
    }
    return NULL;
}

void tcp_unlisten(struct net *n, uint8_t listener, enum sip_transport t)
{
    LIST_FOR_EACH_SAFE(it, &n->tcp)
    {
        struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        if (l->listener == listener && l->transport == t) {
            tcp_close(l);
            loop_defer(n->loop, &l->grave, tcp_destroy, l);
        }
    }
}

void tcp_free(struct net *n)
{
    LIST_FOR_EACH_SAFE(it, &n->tcp)
    {
        struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        tcp_close(l);
        tcp_destroy(l);
    }
}

/* The address that a connection of this listener starts from; false: the listener has none. */
static bool tcp_home(const struct net *n, const struct flow *flow, struct addr *out)
{
    bool has_local = addr_family(&flow->local) == addr_family(&flow->remote);
    const struct udp_sock *s;

    LIST_FOR_EACH(it, &n->tcp)
    {
        const struct tcp_listener *l = CONTAINER_OF(it, struct tcp_listener, node);

        if (l->listener == flow->listener && l->transport == flow->transport &&
            addr_family(&l->bound) == addr_family(&flow->remote)) {
            *out = has_local && addr_is_unspecified(&l->bound) ? flow->local : l->bound;
            addr_set_port(out, addr_port(&l->bound));
            return true;
        }
    }
    if (has_local) {
        *out = flow->local;
        return true;
    }
    s = udp_find(n, flow);
    if (s != NULL) {
        *out = s->bound;
    }
    return s != NULL;
}

/* Takes over fd and tls, also on error. */
static int tcp_connect(struct net *n, int fd, struct flow *flow, struct conn_tls *tls,
                       struct conn **cp)
{
    struct addr local;
    int err;

    sock_stream(fd);
    if (connect(fd, &flow->remote.u.sa, addr_len(&flow->remote)) != 0 && errno != EINPROGRESS) {
        err = EHOSTUNREACH;
        goto fail;
    }
    if (addr_is_unspecified(&flow->local) && sock_name(fd, &local) == 0) {
        addr_set_port(&local, addr_port(&flow->local)); /* where the far side can dial us */
        flow->local = local;
    }
    err = conn_new(cp, n, fd, flow, NULL, tls);
    if (err == 0) {
        return 0;
    }
fail:
    conn_tls_free(n, &tls);
    sock_close(&fd);
    return err;
}

/* What a connection to this peer needs to prove; *tls stays NULL without TLS. */
static int tcp_dialler(struct net *n, const struct flow *flow, struct conn_tls **tls)
{
    struct tls_client *client = NULL;
    int err;

    if (flow->transport != SIP_TLS) {
        return 0;
    }
    if (n->pool != NULL && n->ev.dialler != NULL) {
        client = n->ev.dialler(n->arg, flow->peer);
    }
    if (client == NULL) {
        return EHOSTUNREACH;
    }
    err = conn_tls_new(tls, n, NULL, client, &flow->remote);
    tls_client_unref(&client);
    return err;
}

static int tcp_dial_from(struct net *n, struct flow *made, struct conn **cp)
{
    struct addr from = made->local;
    struct conn_tls *tls = NULL;
    int fd;
    int err = tcp_dialler(n, made, &tls);

    if (err != 0) {
        return err;
    }
    addr_set_port(&from, 0);
    err = sock_open(SOCK_STREAM, &from, false, &fd);
    if (err != 0) {
        conn_tls_free(n, &tls);
        return err == EMFILE || err == ENFILE ? ENOBUFS : EHOSTUNREACH;
    }
    return tcp_connect(n, fd, made, tls, cp);
}

int tcp_dial(struct net *n, const struct flow *flow, struct conn **cp)
{
    struct flow made = {.transport = flow->transport,
                        .listener = flow->listener,
                        .worker = n->worker,
                        .proven = true,
                        .dialled = true,
                        .peer = flow->peer,
                        .remote = flow->remote};

    if (addr_port(&flow->remote) == 0 || addr_is_multicast(&flow->remote) ||
        addr_is_unspecified(&flow->remote) || !tcp_home(n, flow, &made.local)) {
        return EHOSTUNREACH;
    }
    if (n->n_out >= n->lim.max_conns) {
        stat_inc(STAT_CONN_FULL);
        return ENOBUFS;
    }
    return tcp_dial_from(n, &made, cp);
}
