/* net.c - one worker's transports as a whole: making, flushing, telling who is gone. */
#include "net/net_int.h"

const struct net_limits net_limits_default = {
    .max_conns = 4096,
    .max_conns_per_source = 64,
    .max_message = SIP_MSG_MAX,
    .max_send_queue = 1u << 20,
    .idle_ms = 600000,
    .first_message_ms = 10000,
    .connect_ms = 5000,
    .udp_rcvbuf = 4u << 20,
    .max_handshakes = 512,
    .max_handshakes_per_source = 32,
    .handshake_ms = 10000,
    .ping_ms = 60000,
    .pong_ms = 10000,
    .retire_ms = 32000, /* RFC 3261 17.1.1.2, 64*T1: the longest that a transaction lasts */
    .backoff_max_ms = 30000,
};

bool flow_same(const struct flow *a, const struct flow *b)
{
    if (a->transport != b->transport) {
        return false;
    }
    if (flow_is_reliable(a) && (a->conn_slot != FLOW_NO_CONN || b->conn_slot != FLOW_NO_CONN)) {
        return a->worker == b->worker && a->conn_slot == b->conn_slot && a->conn_gen == b->conn_gen;
    }
    return a->listener == b->listener && addr_eq(&a->remote, &b->remote) &&
           addr_eq(&a->local, &b->local);
}

void net_flush(struct net *n)
{
    LIST_FOR_EACH(it, &n->udp)
    {
        udp_flush(CONTAINER_OF(it, struct udp_sock, node));
    }
    for (struct list *it = list_pop_front(&n->dirty); it != NULL; it = list_pop_front(&n->dirty)) {
        conn_flush(CONTAINER_OF(it, struct conn, node));
    }
}

static void on_net_turn(void *arg)
{
    net_flush(arg);
}

void net_wake_flush(struct net *n)
{
    loop_end_of_turn(n->loop, &n->turn);
}

void net_report_lost(struct net *n, const struct flow *flow, int err)
{
    for (uint32_t i = 0; i < n->n_lost; i++) {
        if (addr_eq(&n->lost[i].flow.remote, &flow->remote) &&
            n->lost[i].flow.listener == flow->listener) {
            return; /* one report a turn and destination is enough */
        }
    }
    if (n->n_lost == NET_LOST_MAX) {
        stat_inc(STAT_QUEUE_FULL); /* the sender's own timer will notice in the end */
        return;
    }
    n->lost[n->n_lost++] = (struct net_lost){*flow, err};
    timer_start(n->loop, &n->report, 0);
}

/* Events may make more of both kinds: those wait for the next turn. */
static void on_net_report(void *arg)
{
    struct net *n = arg;
    struct net_lost lost[NET_LOST_MAX];
    uint32_t n_lost = n->n_lost;

    memcpy(lost, n->lost, n_lost * sizeof(lost[0]));
    n->n_lost = 0;
    for (uint32_t i = 0; i < n_lost; i++) {
        n->ev.gone(n->arg, &lost[i].flow, lost[i].err);
    }
    for (size_t left = list_len(&n->dying); left > 0; left--) {
        struct conn *c = CONTAINER_OF(list_pop_front(&n->dying), struct conn, node);

        c->flow.unused = !c->of_use;
        n->ev.gone(n->arg, &c->flow, c->why);
        if (conn_is_lent(c)) {
            c->tls->orphan = true; /* its note buries it */
            list_push_back(&n->orphans, &c->node);
        } else {
            conn_destroy(c); /* a timer's turn: no frame of the connection is above us */
        }
    }
}

static void net_init_tables(struct net *n)
{
    list_init(&n->udp);
    list_init(&n->tcp);
    list_init(&n->dirty);
    list_init(&n->dying);
    list_init(&n->orphans);
    list_init(&n->backoff_age);
    slots_init(&n->conns, 2 * n->lim.max_conns);
    hmap_init(&n->by_remote, 0);
    hmap_init(&n->sources, n->lim.max_conns);
    hmap_init(&n->backoffs, 0);
    pool_init(&n->conn_pool, sizeof(struct conn), 64);
    pool_init(&n->source_pool, sizeof(struct source), 64);
    pool_init(&n->tls_pool, sizeof(struct conn_tls), 64);
    pool_init(&n->backoff_pool, sizeof(struct backoff), 64);
}

int net_new(struct net **np, const struct net_params *p)
{
    struct net *n = mem_zalloc(sizeof(*n));

    if (n == NULL) {
        return ENOMEM;
    }
    n->rx = mem_alloc((size_t)UDP_BATCH * UDP_SLOT);
    if (n->rx == NULL) {
        mem_free(n);
        return ENOMEM;
    }
    n->loop = p->loop;
    n->pool = p->pool;
    n->worker = p->worker;
    n->lim = *p->limits;
    if (n->lim.max_message > SIP_MSG_MAX) {
        n->lim.max_message = SIP_MSG_MAX;
    }
    n->ev = *p->ev;
    n->arg = p->ev_arg;
    turn_init(&n->turn, on_net_turn, n);
    timer_init(&n->report, on_net_report, n);
    timer_init(&n->prove, on_net_prove, n);
    net_init_tables(n);
    *np = n;
    return 0;
}

static void net_free_conns(struct net *n)
{
    uint32_t pos = 0;

    for (struct conn *c = slots_next(&n->conns, &pos); c != NULL; c = slots_next(&n->conns, &pos)) {
        conn_kill(c, 0);
    }
    for (struct list *it = list_pop_front(&n->dying); it != NULL; it = list_pop_front(&n->dying)) {
        conn_destroy(CONTAINER_OF(it, struct conn, node));
    }
    for (struct list *it = list_pop_front(&n->orphans); it != NULL;
         it = list_pop_front(&n->orphans)) {
        conn_destroy(CONTAINER_OF(it, struct conn, node));
    }
}

void net_free(struct net **np)
{
    struct net *n = *np;

    *np = NULL;
    if (n == NULL) {
        return;
    }
    net_flush(n); /* the last answers, as far as the kernel takes them */
    udp_free(n);
    tcp_free(n);
    net_free_conns(n);
    turn_cancel(&n->turn);
    timer_stop(n->loop, &n->report);
    timer_stop(n->loop, &n->prove);
    slots_free(&n->conns);
    hmap_free(&n->by_remote);
    hmap_free(&n->sources);
    pool_drain(&n->conn_pool);
    pool_drain(&n->source_pool);
    pool_drain(&n->tls_pool);
    backoff_free(n);
    mem_free(n->rx);
    mem_free(n);
}

int net_listen(struct net *n, uint8_t listener, enum sip_transport t, const struct addr *at,
               struct addr *bound)
{
    switch (t) {
    case SIP_UDP:
        return udp_listen(n, listener, at, bound);
    case SIP_TLS:
        if (n->pool == NULL) {
            return EPROTONOSUPPORT;
        }
        return tcp_listen(n, listener, t, at, bound);
    case SIP_TCP:
        return tcp_listen(n, listener, t, at, bound);
    default:
        return EPROTONOSUPPORT;
    }
}

void net_unlisten(struct net *n, uint8_t listener, enum sip_transport t)
{
    if (t == SIP_UDP) {
        udp_unlisten(n, listener);
    } else {
        tcp_unlisten(n, listener, t);
    }
}

static int net_send(void *arg, struct flow *flow, struct sl bytes)
{
    struct net *n = arg;

    if (bytes.n == 0 || bytes.n > SIP_MSG_MAX) {
        return EMSGSIZE;
    }
    switch (flow->transport) {
    case SIP_UDP:
        return udp_send(n, flow, bytes);
    case SIP_TCP:
    case SIP_TLS:
        return conn_send(n, flow, bytes);
    default:
        return EHOSTUNREACH;
    }
}

const struct net_ops net_real_ops = {net_send};
