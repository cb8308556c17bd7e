/* call_probe.c - OPTIONS to targets. Each target has one worker that asks; what it finds lies where
 * all workers look. The first question comes at a random moment of the interval, each next one a
 * tenth earlier or later, so that neither targets nor nodes are asked in step. */
#include "call/call_egress.h"

#define PROBE_FROM "postern"
#define PROBE_AGAIN_MS 1000 /* a reload took away a probe under way, or there was no room */

struct probe {
    struct call_table *t;
    const struct policy_peer *peer; /* of probes->cfg */
    const struct policy_uri_target *target;
    struct timer timer; /* the next probe; while tx runs: its deadline */
    struct tx *tx;
};

struct probes {
    struct config *cfg;
    size_t n;
    struct probe e[];
};

static uint32_t draw(uint32_t below)
{
    uint64_t r;

    crypto_random(&r, sizeof(r));
    return below != 0 ? (uint32_t)(r % below) : 0;
}

static void schedule(struct probe *p, int64_t after_ms)
{
    policy_probe_set_due(p->target, loop_now_ms(p->t->p.loop) + after_ms);
    timer_start(p->t->p.loop, &p->timer, after_ms);
}

static void schedule_next(struct probe *p)
{
    uint32_t every = p->peer->probe.every_ms;

    schedule(p, (int64_t)every - every / 10 + draw(every / 5 + 1));
}

static void finish(struct probe *p, bool is_alive)
{
    stat_inc(is_alive ? STAT_PROBE_OK : STAT_PROBE_LOST);
    call_tell_health(p->peer, p->target,
                     policy_target_probed(p->peer, p->target, is_alive, loop_now_ms(p->t->p.loop)));
    schedule_next(p);
}

static void drop_tx(struct probe *p)
{
    if (p->tx != NULL) {
        tx_close(p->tx);
        tx_unref(&p->tx);
    }
}

/* Whoever answers lives, also with 404 or 405; these say that nobody is behind it, or soon. */
static bool is_alive(uint16_t status)
{
    return status != 408 && status != 503 && status != 504;
}

static void on_answer(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct probe *p = arg;

    if (tx != p->tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    drop_tx(p);
    finish(p, err == 0 && is_alive(rsp->status));
}

static int write_options(const struct probe *p, struct buf *b)
{
    const struct config *cfg = p->t->cfg;
    char from[300], to[300], uri[300], call_id[TOKEN_TEXT_LEN], tag[TOKEN_TEXT_LEN];
    struct token tok = {.node = cfg->node_id, .worker = p->t->p.worker, .kind = TOKEN_STATELESS};
    struct addr via;
    struct buf f, r, u;
    struct dialog d = {.local_cseq = 1, .target = uri, .flow = *tx_flow(p->tx), .pin_flow = true};

    token_put(p->t->p.ring, &tok, call_id);
    token_put(p->t->p.ring, &tok, tag);
    buf_init_fixed(&f, from, sizeof(from));
    buf_init_fixed(&r, to, sizeof(to));
    buf_init_fixed(&u, uri, sizeof(uri) - 1);
    BUF_LIT(&f, "<sip:" PROBE_FROM "@");
    addr_put_host(&f, &cfg->listeners[p->peer->listener].advertise);
    buf_putc(&f, '>');
    BUF_LIT(&r, "<sip:");
    addr_put_host(&r, &p->target->addr);
    buf_putc(&r, '>');
    buf_puts(&u, p->target->sips ? "sips:" : "sip:");
    addr_put(&u, &p->target->addr);
    call_put_transport(&u, p->target->transport, p->target->sips);
    uri[u.n] = '\0';
    d.call_id = sl_make(call_id, sizeof(call_id));
    d.local_tag = sl_make(tag, sizeof(tag));
    d.local = buf_sl(&f);
    d.remote = buf_sl(&r);
    call_via_addr(cfg, p->peer->listener, p->target->transport, &via);
    dialog_put_request(b, &d,
                       &(struct dialog_request){.method = SIP_OPTIONS,
                                                .cseq = 1,
                                                .branch = tx_branch(p->tx),
                                                .via = &via,
                                                .transport = p->target->transport});
    BUF_LIT(b, "Accept: application/sdp\r\n");
    sip_put_body(b, SL_NULL, SL_NULL);
    if (buf_err(&f) != 0 || buf_err(&r) != 0 || buf_err(&u) != 0 || buf_err(b) != 0) {
        return EMSGSIZE;
    }
    return egress_pass_options(
        cfg,
        &(struct policy_ref){.kind = POLICY_PEER,
                             .peer = (uint16_t)(p->peer - policy_def(cfg->policy)->peers)},
        &d, b);
}

static int ask(struct probe *p)
{
    struct call_table *t = p->t;
    struct flow flow = {.transport = p->target->transport,
                        .listener = p->peer->listener,
                        .worker = t->p.worker,
                        .proven = true,
                        .peer = p->target->transport == SIP_TLS ? p->peer->id : 0,
                        .conn_slot = FLOW_NO_CONN,
                        .remote = p->target->addr,
                        .local = t->cfg->listeners[p->peer->listener].address};
    int err =
        tx_client_new(&p->tx, t->p.tab,
                      &(struct tx_client_params){
                          .method = SIP_OPTIONS, .flow = flow, .on_response = on_answer, .arg = p});

    if (err != 0) {
        return err;
    }
    buf_reset(&t->out);
    err = write_options(p, &t->out) == 0 ? 0 : EPERM; /* ours to mend: not the target's */
    if (err == 0) {
        err = tx_client_start(p->tx, buf_sl(&t->out));
    }
    if (err != 0) {
        drop_tx(p);
    }
    return err;
}

static void on_timer(void *arg)
{
    struct probe *p = arg;
    int err;

    if (p->tx != NULL) { /* nothing came in time */
        drop_tx(p);
        finish(p, false);
        return;
    }
    err = ask(p);
    if (err == 0) {
        timer_start(p->t->p.loop, &p->timer, p->peer->probe.timeout_ms);
    } else if (call_outcome(p->peer, 0, err) == POLICY_FAILED) {
        finish(p, false);
    } else { /* for want of room or leave on our side: it says nothing of the target */
        stat_inc(STAT_PROBE_UNSENT);
        schedule(p, err == EPERM ? p->peer->probe.every_ms : PROBE_AGAIN_MS);
    }
}

void probes_free(struct call_table *t)
{
    struct probes *all = t->probes;

    t->probes = NULL;
    if (all == NULL) {
        return;
    }
    for (size_t i = 0; i < all->n; i++) {
        if (all->e[i].tx != NULL) { /* asked again soon after a reload */
            policy_probe_set_due(all->e[i].target, loop_now_ms(t->p.loop) + PROBE_AGAIN_MS);
        }
        drop_tx(&all->e[i]);
        timer_stop(t->p.loop, &all->e[i].timer);
    }
    config_unref(&all->cfg);
    mem_free(all);
}

/* Which worker asks: by address, so that a reload that keeps a target keeps its prober. */
static bool is_mine(const struct call_table *t, const struct policy_uri_target *target)
{
    static const uint8_t key[16] = "postern probes ";
    char text[ADDR_TEXT_MAX];
    const char *at = addr_text(&target->addr, text);

    return t->p.n_workers <= 1 || siphash13(at, strlen(at), key) % t->p.n_workers == t->p.worker;
}

static void start(struct probe *p)
{
    int64_t now_ms = loop_now_ms(p->t->p.loop), due_ms = policy_probe_due(p->target);

    timer_init(&p->timer, on_timer, p);
    if (due_ms > now_ms && due_ms - now_ms <= 2LL * p->peer->probe.every_ms) {
        timer_start(p->t->p.loop, &p->timer, due_ms - now_ms); /* as before the reload */
    } else {
        schedule(p, draw(p->peer->probe.every_ms));
    }
}

/* Visits the targets that this worker probes; with a NULL array it only counts. */
static size_t collect(struct call_table *t, const struct policy_def *def, struct probe *e)
{
    size_t n = 0;

    for (size_t i = 0; i < def->n_peers; i++) {
        const struct policy_peer *peer = &def->peers[i];

        for (size_t k = 0; peer->probe.present && k < peer->n_targets; k++) {
            if (!is_mine(t, &peer->targets[k])) {
                continue;
            }
            if (e != NULL) {
                e[n] = (struct probe){.t = t, .peer = peer, .target = &peer->targets[k]};
            }
            n++;
        }
    }
    return n;
}

void probes_apply(struct call_table *t)
{
    const struct policy_def *def = policy_def(t->cfg->policy);
    size_t n = collect(t, def, NULL);
    struct probes *all;

    probes_free(t);
    if (t->p.watch != NULL) {
        return; /* only a request is tried out */
    }
    if (n == 0) {
        return;
    }
    all = mem_zalloc(sizeof(*all) + n * sizeof(all->e[0]));
    if (all == NULL) {
        log_error(NULL, "out of memory: no target is probed until the next reload");
        return;
    }
    all->cfg = config_ref(t->cfg);
    all->n = n;
    (void)collect(t, def, all->e);
    for (size_t i = 0; i < n; i++) {
        start(&all->e[i]);
    }
    t->probes = all;
}
