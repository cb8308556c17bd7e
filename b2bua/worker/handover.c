/* handover.c - what one worker gives another: messages that arrived on the wrong one, bytes for a
 * connection elsewhere and word of its end, replicas of bindings. Copies only; live objects never
 * cross. */
#include "worker/worker_int.h"

struct parcel {
    struct flow flow;
    uint8_t from; /* worker */
    size_t n;
    char bytes[];
};

static struct parcel *parcel_new(uint8_t from, const struct flow *flow, struct sl bytes)
{
    struct parcel *p = mem_alloc(sizeof(*p) + bytes.n);

    if (p != NULL) {
        p->flow = *flow;
        p->from = from;
        p->n = bytes.n;
        if (bytes.n != 0) {
            memcpy(p->bytes, bytes.p, bytes.n);
        }
    }
    return p;
}

static void drop_parcel(void *owner, struct loop_msg *m)
{
    (void)owner;
    mem_free(m->ptr);
}

/* At the end of the process workers go one by one: ENOTCONN, nobody is there to be told. */
static int post_to(const struct worker *w, uint32_t to, const struct loop_msg *m)
{
    const struct worker *peer = to < w->b->n_workers ? w->b->workers[to] : NULL;

    return peer != NULL ? loop_post(peer->loop, m) : ENOTCONN;
}

static int post_parcel(struct worker *w, uint8_t to, loop_msg_fn *fn, const struct flow *flow,
                       struct sl bytes, uint64_t a)
{
    struct parcel *p = parcel_new(w->index, flow, bytes);
    int err =
        p != NULL
            ? post_to(w, to, &(struct loop_msg){.fn = fn, .ptr = p, .drop = drop_parcel, .a = a})
            : ENOMEM;

    if (err != 0) {
        mem_free(p);
        stat_inc(err == ENOTCONN ? STAT_SIP_DROP_SEND : STAT_QUEUE_FULL);
    }
    return err;
}

static void on_handed_message(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct parcel *p = m->ptr;

    worker_catch_up(w);
    worker_place_flow(w, &p->flow);
    w->waited_us = (uint32_t)(m->a >> 32); /* where it arrived */
    worker_input(w, &p->flow, sl_make(p->bytes, p->n), (unsigned)(m->a & UINT32_MAX));
    w->waited_us = 0;
    mem_free(p);
}

bool worker_hand_message(struct worker *w, uint8_t to, const struct flow *flow, struct sl bytes,
                         unsigned hops)
{
    stat_inc(STAT_SIP_HANDOVER);
    return post_parcel(w, to, on_handed_message, flow, bytes,
                       (uint64_t)w->waited_us << 32 | hops) == 0;
}

void worker_flow_gone(struct worker *w, const struct flow *flow, int err)
{
    tx_flow_gone(w->tab, flow, err);
    call_flow_gone(w->calls, flow);
    registrar_flow_gone(w->registrar, flow);
}

static void on_handed_gone(void *owner, struct loop_msg *m)
{
    struct parcel *p = m->ptr;

    worker_flow_gone(owner, &p->flow, (int)m->a);
    mem_free(p);
}

/* The sender took the connection for alive: it hears that it is not, else its request would wait
 * for timer B or F. An answer that is lost concerns nobody, and anybody can cause one. */
static void on_handed_send(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct parcel *p = m->ptr;
    struct sl bytes = sl_make(p->bytes, p->n);
    struct flow flow = p->flow; /* as the sender knows it: a new connection has another number */
    int err;

    worker_catch_up(w);
    worker_place_flow(w, &p->flow);
    err = net_real_ops.send(w->net, &p->flow, bytes);
    if (err != 0) {
        log_debug(NULL, "a handed message could not be sent: %s", strerror(err));
    }
    if (err != 0 && err != ENOMEM && !sl_istarts(bytes, SL("SIP/"))) {
        (void)post_parcel(w, p->from, on_handed_gone, &flow, SL_NULL, (uint64_t)err);
    }
    mem_free(p);
}

int worker_send_remote(void *arg, const struct flow *flow, struct sl bytes)
{
    struct worker *w = arg;

    return post_parcel(w, flow->worker, on_handed_send, flow, bytes, 0);
}

static void on_handed_update(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct reg_update *u = m->ptr;

    worker_catch_up(w);
    worker_place_bindings(w, u);
    registrar_apply(w->registrar, u);
    reg_update_free(&u);
}

static void drop_update(void *owner, struct loop_msg *m)
{
    struct reg_update *u = m->ptr;

    (void)owner;
    reg_update_free(&u);
}

void worker_publish(void *arg, const struct reg_update *u)
{
    struct worker *w = arg;

    for (uint32_t i = 0; i < w->b->n_workers; i++) {
        struct reg_update *copy;

        if (i == w->index || w->b->workers[i] == NULL) {
            continue;
        }
        copy = reg_update_clone(u);
        if (copy == NULL ||
            post_to(w, i,
                    &(struct loop_msg){.fn = on_handed_update, .ptr = copy, .drop = drop_update}) !=
                0) {
            reg_update_free(&copy);
            stat_inc(STAT_QUEUE_FULL);
            log_error(NULL, "worker %u could not be told of a binding", i);
        }
    }
}

/* Whoever holds a connection hears of its end, also when that came before the hold. */
static void hold_here(struct worker *w, const struct flow *flow, uint8_t who, int delta)
{
    if (!net_conn_hold(w->net, flow->conn_slot, flow->conn_gen, delta) && delta > 0) {
        (void)post_parcel(w, who, on_handed_gone, flow, SL_NULL, ENOTCONN);
    }
}

static void on_handed_hold(void *owner, struct loop_msg *m)
{
    struct parcel *p = m->ptr;

    hold_here(owner, &p->flow, p->from, (int)(int64_t)m->a);
    mem_free(p);
}

void worker_hold(void *arg, const struct flow *flow, int delta)
{
    struct worker *w = arg;

    if (flow->conn_slot == FLOW_NO_CONN) {
        return;
    }
    if (flow->worker == w->index) {
        hold_here(w, flow, w->index, delta);
        return;
    }
    (void)post_parcel(w, flow->worker, on_handed_hold, flow, SL_NULL, (uint64_t)(int64_t)delta);
}

void worker_tell_gone(struct worker *w, const struct flow *flow, int err)
{
    for (uint32_t i = 0; i < w->b->n_workers; i++) {
        if (i != w->index) {
            (void)post_parcel(w, (uint8_t)i, on_handed_gone, flow, SL_NULL, (uint64_t)err);
        }
    }
}
