/* handover.c - what one worker gives another: messages that arrived on the wrong one, bytes for a
 * connection elsewhere, replicas of bindings. Copies only; live objects never cross. */
#include "worker/worker_int.h"

struct parcel {
    struct flow flow;
    size_t n;
    char bytes[];
};

static struct parcel *parcel_new(const struct flow *flow, struct sl bytes)
{
    struct parcel *p = mem_alloc(sizeof(*p) + bytes.n);

    if (p != NULL) {
        p->flow = *flow;
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

static int post_parcel(struct worker *w, uint8_t to, loop_msg_fn *fn, const struct flow *flow,
                       struct sl bytes, uint64_t a)
{
    struct parcel *p = parcel_new(flow, bytes);
    int err = p != NULL
                  ? loop_post(w->b->workers[to]->loop,
                              &(struct loop_msg){.fn = fn, .ptr = p, .drop = drop_parcel, .a = a})
                  : ENOMEM;

    if (err != 0) {
        mem_free(p);
        stat_inc(STAT_QUEUE_FULL);
    }
    return err;
}

static void on_handed_message(void *owner, struct loop_msg *m)
{
    struct parcel *p = m->ptr;

    worker_input(owner, &p->flow, sl_make(p->bytes, p->n), (unsigned)m->a);
    mem_free(p);
}

bool worker_hand_message(struct worker *w, uint8_t to, const struct flow *flow, struct sl bytes,
                         unsigned hops)
{
    stat_inc(STAT_SIP_HANDOVER);
    return post_parcel(w, to, on_handed_message, flow, bytes, hops) == 0;
}

static void on_handed_send(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct parcel *p = m->ptr;

    if (net_real_ops.send(w->net, &p->flow, sl_make(p->bytes, p->n)) != 0) {
        log_debug(NULL, "a handed message could not be sent");
    }
    mem_free(p);
}

int worker_send_remote(void *arg, const struct flow *flow, struct sl bytes)
{
    struct worker *w = arg;

    if (flow->worker >= w->b->n_workers) {
        return ENOTCONN;
    }
    return post_parcel(w, flow->worker, on_handed_send, flow, bytes, 0);
}

static void on_handed_update(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct reg_update *u = m->ptr;

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

        if (i == w->index) {
            continue;
        }
        copy = reg_update_clone(u);
        if (copy == NULL ||
            loop_post(w->b->workers[i]->loop, &(struct loop_msg){.fn = on_handed_update,
                                                                 .ptr = copy,
                                                                 .drop = drop_update}) != 0) {
            reg_update_free(&copy);
            stat_inc(STAT_QUEUE_FULL);
            log_error(NULL, "worker %u could not be told of a binding", i);
        }
    }
}

static void on_handed_hold(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;

    net_conn_hold(w->net, (uint32_t)(m->a >> 32), (uint32_t)m->a, (int)(int64_t)m->b);
}

void worker_hold(void *arg, const struct flow *flow, int delta)
{
    struct worker *w = arg;

    if (flow->conn_slot == FLOW_NO_CONN) {
        return;
    }
    if (flow->worker == w->index) {
        net_conn_hold(w->net, flow->conn_slot, flow->conn_gen, delta);
        return;
    }
    if (flow->worker >= w->b->n_workers ||
        loop_post(w->b->workers[flow->worker]->loop,
                  &(struct loop_msg){.fn = on_handed_hold,
                                     .a = (uint64_t)flow->conn_slot << 32 | flow->conn_gen,
                                     .b = (uint64_t)(int64_t)delta}) != 0) {
        stat_inc(STAT_QUEUE_FULL);
    }
}

static void on_handed_gone(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct parcel *p = m->ptr;

    tx_flow_gone(w->tab, &p->flow, (int)m->a);
    call_flow_gone(w->calls, &p->flow);
    registrar_flow_gone(w->registrar, &p->flow);
    mem_free(p);
}

void worker_tell_gone(struct worker *w, const struct flow *flow, int err)
{
    for (uint8_t i = 0; i < w->b->n_workers; i++) {
        if (i != w->index) {
            (void)post_parcel(w, i, on_handed_gone, flow, SL_NULL, (uint64_t)err);
        }
    }
}
