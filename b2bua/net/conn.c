/* conn.c - the life of a connection: from accept or dial over its timers to its two deaths. */
#include "net/net_int.h"

enum {
    CONN_LINGER_MS = 1000, /* after a framing error: for the answer to get through */
    CONN_HALF_MS = 500     /* after the peer's FIN: for answers that are on their way */
};

/* Two peers behind one address have a connection each: what one of them has proven says nothing of
 * the other (RFC 5922 7.4). Without TLS both are 0. */
static bool conn_remote_eq(const struct hnode *node, const void *key)
{
    const struct flow *own = &CONTAINER_OF(node, struct conn, by_remote)->flow;
    const struct flow *want = key;

    return own->listener == want->listener && own->transport == want->transport &&
           own->peer == want->peer && addr_eq(&own->remote, &want->remote);
}

/* A living connection of this listener to flow->remote, or NULL. */
static struct conn *conn_find(const struct net *n, const struct flow *flow)
{
    struct hnode *node =
        hmap_find(&n->by_remote, addr_hash(&flow->remote, n->by_remote.key), conn_remote_eq, flow);

    return node != NULL ? CONTAINER_OF(node, struct conn, by_remote) : NULL;
}

void conn_to_state(struct conn *c, enum conn_state state, uint32_t deadline_ms)
{
    c->state = state;
    timer_start(c->net->loop, &c->deadline, deadline_ms);
}

static void on_conn_deadline(void *arg)
{
    struct conn *c = arg;
    bool late = c->state <= CONN_OPEN;

    if (c->state == CONN_SHAKING) {
        stat_inc(STAT_TLS_TIMEOUT);
    }
    conn_kill(c, late ? ETIMEDOUT : c->why);
}

static void on_conn_idle(void *arg)
{
    struct conn *c = arg;
    int64_t quiet_ms = loop_now_ms(c->net->loop) - c->used_ms;
    int64_t idle_ms = conn_idle_ms(c);
    int64_t left_ms = idle_ms - quiet_ms;

    if (c->standing == TLS_LOST || (c->hold == 0 && left_ms <= 0)) {
        conn_kill(c, 0);
    } else {
        timer_start(c->net->loop, &c->idle, left_ms > 0 ? left_ms : idle_ms);
    }
}

static int conn_enter(struct conn *c)
{
    struct net *n = c->net;
    int err = slots_add(&n->conns, c, &c->flow.conn_slot, &c->flow.conn_gen);

    if (err != 0) {
        c->flow.conn_slot = FLOW_NO_CONN;
        return err;
    }
    err = hmap_insert(&n->by_remote, &c->by_remote, addr_hash(&c->flow.remote, n->by_remote.key));
    return err != 0 ? err : fdw_new(&c->watch, n->loop, c->fd, on_conn, c);
}

static void conn_leave(struct conn *c)
{
    struct net *n = c->net;

    slots_del(&n->conns, c->flow.conn_slot, c->flow.conn_gen);
    hmap_remove(&n->by_remote, &c->by_remote);
    source_release(n, &c->source);
    timer_stop(n->loop, &c->deadline);
    timer_stop(n->loop, &c->idle);
    timer_stop(n->loop, &c->ping);
    fdw_free(&c->watch);
}

static void conn_begin(struct conn *c)
{
    struct net *n = c->net;

    if (!c->incoming) {
        n->n_out++;
        conn_to_state(c, CONN_CONNECTING, n->lim.connect_ms);
        conn_watch(c);
        return;
    }
    n->n_in++;
    n->n_strange += !c->known;
    if (c->tls != NULL) {
        conn_tls_begin(c);
        return;
    }
    conn_opened(c);
}

int conn_new(struct conn **cp, struct net *n, int fd, const struct flow *flow,
             const struct conn_from *from, struct conn_tls *tls)
{
    struct conn *c = pool_get(&n->conn_pool);
    int err;

    if (c == NULL) {
        return ENOMEM;
    }
    c->net = n;
    c->fd = fd;
    c->flow = *flow;
    c->incoming = from != NULL;
    c->known = from != NULL && from->known;
    c->proof = n->proof;
    c->used_ms = loop_now_ms(n->loop);
    c->since_ms = loop_wall_ms(n->loop);
    list_init(&c->node);
    timer_init(&c->deadline, on_conn_deadline, c);
    timer_init(&c->idle, on_conn_idle, c);
    timer_init(&c->ping, on_conn_ping, c);
    err = conn_enter(c);
    if (err != 0) {
        conn_leave(c);
        conn_destroy(c);
        return err;
    }
    c->source = from != NULL ? from->source : NULL;
    c->tls = tls;
    if (tls != NULL) {
        tls->c = c;
    }
    conn_begin(c);
    *cp = c;
    return 0;
}

void conn_opened(struct conn *c)
{
    struct net *n = c->net;

    c->state = CONN_OPEN;
    timer_stop(n->loop, &c->deadline);
    if (c->incoming) {
        timer_start(n->loop, &c->deadline, n->lim.first_message_ms);
    } else if (c->tls == NULL) {
        backoff_clear(n, &c->flow);
    }
    timer_start(n->loop, &c->idle, conn_idle_ms(c));
}

void conn_half(struct conn *c)
{
    if (!c->incoming || !c->spoke) {
        /* What we asked for can no longer be answered: let the caller know now. Or nobody asked. */
        conn_flush(c);
        if (!c->incoming && c->tls != NULL && !c->heard && c->state == CONN_OPEN) {
            backoff_fail(c->net, &c->flow); /* it may not like our certificate (TLS 1.3) */
        }
        conn_kill(c, 0);
        return;
    }
    hmap_remove(&c->net->by_remote, &c->by_remote);
    timer_stop(c->net->loop, &c->idle);
    conn_to_state(c, CONN_HALF, CONN_HALF_MS);
    conn_watch(c);
}

void conn_drain(struct conn *c, int why)
{
    c->why = why;
    hmap_remove(&c->net->by_remote, &c->by_remote);
    timer_stop(c->net->loop, &c->idle);
    conn_to_state(c, CONN_DRAIN, CONN_LINGER_MS);
    if (c->tls != NULL) {
        tls_close(c->tls->tls);
    }
    conn_flush(c);
}

/* In good order: what waits and TLS's own word of the end, as far as the kernel takes them. */
static void conn_farewell(struct conn *c)
{
    if (c->tls == NULL || c->state < CONN_OPEN || conn_is_lent(c)) {
        return;
    }
    tls_close(c->tls->tls);
    if (c->out.n != c->out.off) {
        (void)send(c->fd, c->out.p + c->out.off, c->out.n - c->out.off,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* We could not get in, and that was not our own doing. A client certificate that is not liked shows
 * only after TLS 1.3 was up: as an alert, a reset or a plain end. */
static bool conn_was_refused(const struct conn *c, int err)
{
    bool is_ours = err == 0 || err == ENOMEM || err == ENOBUFS || err == ECANCELED;

    return !c->incoming && !is_ours && (c->state < CONN_OPEN || (c->tls != NULL && !c->heard));
}

void conn_kill(struct conn *c, int err)
{
    struct net *n = c->net;

    if (c->state == CONN_DEAD) {
        return;
    }
    if (err == 0) {
        conn_farewell(c);
    }
    if (conn_was_refused(c, err)) {
        backoff_fail(n, &c->flow);
    }
    c->state = CONN_DEAD;
    c->why = err;
    if (c->incoming) {
        n->n_in--;
        n->n_strange -= !c->known;
    } else {
        n->n_out--;
    }
    if (c->tls != NULL) {
        conn_tls_leave(c);
    }
    conn_leave(c);
    sock_close(&c->fd);
    list_del(&c->node);
    list_push_back(&n->dying, &c->node);
    timer_start(n->loop, &n->report, 0);
}

/* The buffers live until here: a message event may kill the connection whose bytes it reads. */
void conn_destroy(struct conn *c)
{
    conn_tls_free(c->net, &c->tls);
    mem_free(c->in.p);
    mem_free(c->out.p);
    pool_put(&c->net->conn_pool, c);
}

/* Asks for something. ACK, CANCEL and BYE only end what was begun. */
static bool conn_is_new(struct sl bytes)
{
    return !sl_istarts(bytes, SL("SIP/")) && !sl_starts(bytes, SL("ACK ")) &&
           !sl_starts(bytes, SL("CANCEL ")) && !sl_starts(bytes, SL("BYE "));
}

/* What is new needs a far side that is who it was; an answer goes back to whoever asked, and
 * whoever is in a call hears of its end. */
static bool conn_carries(struct conn *c, bool is_new)
{
    conn_prove(c);
    return !is_new || c->standing != TLS_LOST;
}

static bool conn_is_usable(const struct conn *c)
{
    /* After a FIN only answers to the peer's own requests make sense (its own connection). */
    return c != NULL && c->state != CONN_DRAIN && (c->state != CONN_HALF || c->incoming);
}

/* The connection for flow, found or dialled. */
static int conn_of(struct net *n, struct flow *flow, bool is_new, struct conn **cp)
{
    struct conn *c = NULL;
    int err = 0;

    if (flow->conn_slot != FLOW_NO_CONN) {
        c = slots_get(&n->conns, flow->conn_slot, flow->conn_gen);
        if (conn_is_usable(c) && conn_carries(c, is_new)) {
            *cp = c;
            return 0;
        }
        if (!flow->dialled) {
            return ENOTCONN; /* the far side's port was its own choice: nobody listens there */
        }
    }
    c = conn_find(n, flow);
    if (c != NULL) {
        conn_prove(c);
        c = c->standing == TLS_HOLDS ? c : conn_find(n, flow);
    }
    if (c == NULL) {
        err = backoff_blocks(n, flow) ? EHOSTDOWN : tcp_dial(n, flow, &c);
    }
    if (err == 0) {
        *flow = c->flow;
        *cp = c;
    }
    return err;
}

int conn_send(struct net *n, struct flow *flow, struct sl bytes)
{
    bool is_request = !sl_istarts(bytes, SL("SIP/"));
    struct conn *c;
    int err;

    if (flow->conn_slot != FLOW_NO_CONN && flow->worker != n->worker) {
        return n->ev.send_remote(n->arg, flow, bytes);
    }
    err = conn_of(n, flow, conn_is_new(bytes), &c);
    if (err == 0) {
        err = conn_put(c, bytes);
    }
    if (err == 0) {
        c->used_ms = loop_now_ms(n->loop);
        c->of_use = c->of_use || is_request;
        stat_inc(STAT_SIP_TX);
    }
    return err;
}

bool net_conn_get(const struct net *n, uint32_t slot, uint32_t gen, struct net_conn_info *out)
{
    const struct conn *c = slots_get(&n->conns, slot, gen);

    if (c == NULL) {
        return false;
    }
    *out = (struct net_conn_info){.remote = c->flow.remote,
                                  .listener = c->flow.listener,
                                  .transport = c->flow.transport,
                                  .incoming = c->incoming,
                                  .certified = c->flow.certified,
                                  .cipher = c->flow.cipher,
                                  .peer = c->flow.peer,
                                  .since_ms = c->since_ms};
    return true;
}

void net_conn_close(struct net *n, uint32_t slot, uint32_t gen)
{
    struct conn *c = slots_get(&n->conns, slot, gen);

    if (c != NULL) {
        conn_flush(c); /* the last answer, as far as the kernel takes it */
        conn_kill(c, 0);
    }
}

bool net_conn_hold(struct net *n, uint32_t slot, uint32_t gen, int delta)
{
    struct conn *c = slots_get(&n->conns, slot, gen);

    if (c == NULL) {
        return false;
    }
    c->of_use = true;
    if (delta < 0 && (uint32_t)-delta >= c->hold) {
        c->hold = 0;
        c->used_ms = loop_now_ms(n->loop); /* a whole idle time from its last user */
    } else {
        c->hold += (uint32_t)delta;
        conn_ping_start(c);
    }
    return true;
}

uint32_t net_conn_count(const struct net *n)
{
    return n->n_in + n->n_out;
}
