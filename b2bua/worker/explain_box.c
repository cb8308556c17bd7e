/* explain_box.c - the house in which a request is tried out. */
#include "worker/explain_int.h"

#define SANDBOX_TRANSACTIONS 100
#define SANDBOX_MAILBOX 64

/* --- wires --- */

static struct sandbox *box_of(const struct worker *w)
{
    return CONTAINER_OF(w->b, struct sandbox, b);
}

static int on_send(void *arg, struct flow *flow, struct sl bytes)
{
    struct worker *w = arg;
    struct sandbox *s = box_of(w);
    struct sandbox_sent *sent = &s->sent[s->n_sent];

    if (flow_is_reliable(flow) && flow->conn_slot == FLOW_NO_CONN) {
        flow->conn_slot = 1;
        flow->conn_gen = 1;
        flow->worker = w->index;
        flow->dialled = true;
    }
    if (s->is_closing || s->n_sent == SANDBOX_SENT_MAX) {
        return 0;
    }
    sent->flow = *flow;
    sent->text = arena_dup(&s->arena, bytes);
    s->n_sent += sent->text.p != NULL ? 1 : 0;
    return 0;
}

static void on_hold(void *arg, const struct flow *flow, int delta)
{
    (void)arg;
    (void)flow;
    (void)delta;
}

/* --- what the calls tell --- */

static void on_decided(void *arg, const struct sip_msg *req, const struct policy_verdict *v)
{
    struct sandbox *s = box_of(arg);
    char text[POLICY_NAME_MAX * 2];
    struct sl called = SL_NULL;
    size_t n = 0;

    s->has_verdict = true;
    s->verdict = *v;
    if (sip_unescape(req->ruri.user, text, sizeof(text), &n) == 0) {
        called = sl_make(text, n);
    }
    if (sl_cstr(policy_number_text(&v->called, called), s->callee, sizeof(s->callee)) != 0) {
        s->callee[0] = '\0'; /* longer than any account's name */
    }
}

static void on_ended(void *arg, const char *by, const char *reason, uint16_t code)
{
    struct sandbox *s = box_of(arg);

    if (!s->is_closing) {
        s->end_by = by;
        s->end_reason = reason;
        s->end_code = code;
    }
}

/* --- building --- */

static int make_house(struct sandbox *s, const struct sandbox_params *p)
{
    struct b2bua *b = &s->b;
    int err = token_ring_random(&b->ring);

    b->cfg = config_ref(p->cfg);
    b->n_workers = 1;
    b->dtls = p->dtls;
    if (err == 0) {
        err = auth_new(&b->auth);
    }
    if (err == 0 && p->user.n != 0) {
        err = auth_assume(b->auth, p->user);
    }
    if (err == 0) {
        err = policy_gate_new(&b->gate);
    }
    if (err == 0) { /* offences wait in its mailbox and are thrown away with it */
        err = guard_new(&b->guard,
                        &(struct guard_params){.cfg = b->cfg, .gate = b->gate, .virt = &s->clock});
    }
    return err;
}

static int make_tables(struct sandbox *s, struct worker *w)
{
    const struct config *cfg = s->b.cfg;
    int err = tx_table_new(&w->tab,
                           &(struct tx_table_params){.loop = w->loop,
                                                     .net = &s->ops,
                                                     .net_arg = w,
                                                     .ring = w->ring,
                                                     .node = w->node,
                                                     .worker = w->index,
                                                     .timers = {cfg->t1_ms, cfg->t2_ms, cfg->t4_ms},
                                                     .max = SANDBOX_TRANSACTIONS});

    if (err == 0) {
        err = media_new(&w->media, &(struct media_params){.loop = w->loop,
                                                          .n_workers = 1,
                                                          .io = MEDIA_IO_EPOLL,
                                                          .dry = true,
                                                          .dtls = s->b.dtls});
    }
    if (err == 0) {
        err = registrar_new(&w->registrar, &(struct registrar_params){.loop = w->loop,
                                                                      .tab = w->tab,
                                                                      .auth = s->b.auth,
                                                                      .n_workers = 1,
                                                                      .hold = on_hold,
                                                                      .arg = w});
    }
    if (err != 0) {
        return err;
    }
    return call_table_new(&w->calls, &(struct call_table_params){.loop = w->loop,
                                                                 .tab = w->tab,
                                                                 .net = &s->ops,
                                                                 .net_arg = w,
                                                                 .media = w->media,
                                                                 .registrar = w->registrar,
                                                                 .auth = s->b.auth,
                                                                 .ring = w->ring,
                                                                 .hold = on_hold,
                                                                 .hold_arg = w,
                                                                 .offence = worker_offence,
                                                                 .watch = &s->watch});
}

static int make_worker(struct sandbox *s)
{
    struct worker *w = mem_zalloc(sizeof(*w));
    int err;

    if (w == NULL) {
        return ENOMEM;
    }
    s->w = s->b.workers[0] = w;
    w->b = &s->b;
    w->node = s->b.cfg->node_id;
    err = loop_new(
        &w->loop, &(struct loop_params){.virt = &s->clock, .mailbox = SANDBOX_MAILBOX, .owner = w});
    if (err == 0) {
        err = token_ring_clone(&w->ring, s->b.ring);
    }
    if (err == 0) {
        err = sip_pool_new(&w->pool);
    }
    if (err == 0) {
        err = make_tables(s, w);
    }
    if (err == 0) {
        worker_apply_config(w, s->b.cfg);
    }
    return err;
}

int sandbox_open(struct sandbox **sp, const struct sandbox_params *p)
{
    struct sandbox *s = mem_zalloc(sizeof(*s));
    int err;

    if (s == NULL) {
        return ENOMEM;
    }
    log_thread_pause(true);
    stat_thread_pause(true);
    arena_init(&s->arena, 4096, 1u << 20);
    clock_init_virtual(&s->clock, p->mono_ms, p->wall_ms);
    s->ops.send = on_send;
    s->watch = (struct call_watch){.decided = on_decided, .ended = on_ended};
    if (p->random != NULL) {
        s->random = *p->random;
        s->watch.random = &s->random;
    }
    err = make_house(s, p);
    if (err == 0) {
        err = make_worker(s);
    }
    if (err != 0) {
        sandbox_close(&s);
        return err;
    }
    if (p->bindings != NULL) {
        registrar_apply(s->w->registrar, p->bindings);
    }
    *sp = s;
    return 0;
}

void sandbox_run(struct sandbox *s, const struct flow *flow, struct sl message)
{
    s->from = *flow;
    worker_input(s->w, flow, message, 0);
    loop_advance(s->w->loop, 0);
}

void sandbox_close(struct sandbox **sp)
{
    struct sandbox *s = *sp;

    *sp = NULL;
    if (s == NULL) {
        return;
    }
    s->is_closing = true;
    worker_free(&s->w);
    token_ring_free(&s->b.ring);
    auth_free(&s->b.auth);
    guard_free(&s->b.guard);
    policy_gate_free(&s->b.gate);
    config_unref(&s->b.cfg);
    arena_free(&s->arena);
    mem_free(s);
    log_thread_pause(false);
    stat_thread_pause(false);
}
