/* worker.c - one worker: its tables, its thread, and the reaper that checks its books. */
#include "worker/worker_int.h"

#include <sched.h>
#include <signal.h>

#define REAPER_MS 5000
#define THREAD_NAME_MAX 16 /* with its NUL, to the kernel */
#define MAILBOX_SLOTS 16384
#define TRANSACTIONS_MIN 100
#define HANDSHAKE_SOURCES 8 /* one source may have one such part of all handshakes in progress */

/* --- the reaper: every few seconds the books must balance (invariant 4) --- */

static void on_reaper(void *arg)
{
    struct worker *w = arg;
    struct media_counts media;
    uint32_t bad = call_audit(w->calls);

    media_counts(w->media, &media);
    if (media.sessions != call_media_sessions(w->calls)) {
        bad++;
        log_error(NULL, "reaper: %u media sessions for %u calls that have one", media.sessions,
                  call_media_sessions(w->calls));
    }
    if (bad != 0) {
        stat_add(STAT_REAPER_ALARM, bad);
    }
    overload_forget(&w->overload);
    worker_close_unused(w);
    timer_start(w->loop, &w->reaper, REAPER_MS);
}

/* --- building --- */

static struct tx_timers timers_of(const struct config *cfg)
{
    return (struct tx_timers){.t1_ms = cfg->t1_ms, .t2_ms = cfg->t2_ms, .t4_ms = cfg->t4_ms};
}

/* One worker's share of a limit of the node, rounded up. */
static uint32_t share_of(uint32_t limit, uint32_t n_workers)
{
    return (limit + n_workers - 1) / n_workers;
}

static uint32_t part_of(uint32_t limit, uint32_t percent)
{
    return (uint32_t)((uint64_t)limit * percent / 100);
}

static struct net_limits limits_of(const struct worker *w, const struct config *cfg)
{
    struct net_limits lim = net_limits_default;

    lim.max_conns = share_of(cfg->tcp_max, w->b->n_workers);
    lim.max_conns_per_source = share_of(cfg->tcp_per_source, w->b->n_workers);
    lim.reserved_conns = part_of(lim.max_conns, cfg->reserve_percent);
    lim.max_message = cfg->max_message;
    lim.idle_ms = cfg->tcp_idle_ms;
    lim.max_handshakes = share_of(cfg->tls_handshakes, w->b->n_workers);
    lim.reserved_handshakes = part_of(lim.max_handshakes, cfg->reserve_percent);
    lim.max_handshakes_per_source = share_of(lim.max_handshakes, HANDSHAKE_SOURCES);
    lim.handshake_ms = cfg->tls_handshake_ms;
    lim.ping_ms = cfg->keepalive_ms;
    lim.pong_ms = cfg->keepalive_answer_ms;
    lim.backoff_max_ms = cfg->reconnect_max_ms;
    return lim;
}

static int make_net(struct worker *w)
{
    struct net_limits lim = limits_of(w, w->b->cfg);

    return net_new(&w->net, &(struct net_params){.loop = w->loop,
                                                 .worker = w->index,
                                                 .limits = &lim,
                                                 .pool = w->b->pool,
                                                 .ev = &worker_net_events,
                                                 .ev_arg = w});
}

/* What is written is for all workers together. */
static uint32_t max_transactions(const struct b2bua *b, const struct config *cfg)
{
    uint32_t share = cfg->max_transactions / b->n_workers;

    return share > TRANSACTIONS_MIN ? share : TRANSACTIONS_MIN;
}

void worker_via(void *arg, const struct flow *flow, struct addr *out)
{
    const struct worker *w = arg;
    static const struct config_listener gone; /* its devices are not asked any more */
    const struct config_listener *ls =
        flow->listener < w->cfg->n_listeners ? &w->cfg->listeners[flow->listener] : &gone;

    *out = ls->advertise;
    addr_set_port(out, flow->transport < CONFIG_TRANSPORTS ? ls->port[flow->transport] : 0);
}

int worker_look(void *arg, const struct dialog *d, struct buf *b)
{
    const struct worker *w = arg;

    return call_pass_keepalive(w->calls, d, b);
}

static int make_registrar(struct worker *w)
{
    return registrar_new(&w->registrar,
                         &(struct registrar_params){.loop = w->loop,
                                                    .tab = w->tab,
                                                    .auth = w->b->auth,
                                                    .store = w->b->store,
                                                    .worker = w->index,
                                                    .n_workers = (uint8_t)w->b->n_workers,
                                                    .publish = worker_publish,
                                                    .net = &net_real_ops,
                                                    .net_arg = w->net,
                                                    .via = worker_via,
                                                    .look = worker_look,
                                                    .hold = worker_hold,
                                                    .told = worker_told,
                                                    .arg = w});
}

static int make_tables(struct worker *w)
{
    const struct config *cfg = w->b->cfg;
    int err = tx_table_new(&w->tab, &(struct tx_table_params){.loop = w->loop,
                                                              .net = &net_real_ops,
                                                              .net_arg = w->net,
                                                              .ring = w->ring,
                                                              .node = w->node,
                                                              .worker = w->index,
                                                              .timers = timers_of(cfg),
                                                              .max = max_transactions(w->b, cfg)});

    if (err == 0) {
        err = media_new(&w->media,
                        &(struct media_params){.loop = w->loop,
                                               .worker = w->index,
                                               .n_workers = (uint8_t)w->b->n_workers,
                                               .inactivity_ms = cfg->media_inactivity_ms,
                                               .learn_ms = cfg->media_learn_ms,
                                               .io = (enum media_io)cfg->media_io,
                                               .gather_us = cfg->media_gather_us,
                                               .quarantine_ms = cfg->media_quarantine_ms,
                                               .ready = share_of(cfg->media_ready, w->b->n_workers),
                                               .rcvbuf = 65536,
                                               .dtls = w->b->dtls,
                                               .crypto = w->b->pool});
    }
    if (err == 0) {
        err = make_registrar(w);
    }
    if (err != 0) {
        return err;
    }
    return call_table_new(&w->calls,
                          &(struct call_table_params){.loop = w->loop,
                                                      .tab = w->tab,
                                                      .net = &net_real_ops,
                                                      .net_arg = w->net,
                                                      .media = w->media,
                                                      .registrar = w->registrar,
                                                      .auth = w->b->auth,
                                                      .store = w->b->store,
                                                      .ring = w->ring,
                                                      .worker = w->index,
                                                      .n_workers = (uint8_t)w->b->n_workers,
                                                      .hold = worker_hold,
                                                      .hold_arg = w,
                                                      .proven = worker_proven,
                                                      .offence = worker_offence,
                                                      .in_work = worker_in_work,
                                                      .callout = w->b->callout});
}

int worker_new(struct worker **wp, struct b2bua *b, uint8_t index)
{
    struct worker *w = mem_zalloc(sizeof(*w));
    int err;

    if (w == NULL) {
        return ENOMEM;
    }
    w->b = b;
    w->index = index;
    w->node = b->cfg->node_id;
    err = loop_new(&w->loop, &(struct loop_params){.mailbox = MAILBOX_SLOTS, .owner = w});
    if (err == 0) {
        err = token_ring_clone(&w->ring, b->ring);
    }
    if (err == 0) {
        err = sip_pool_new(&w->pool);
    }
    if (err == 0) {
        err = make_net(w);
    }
    if (err == 0) {
        err = make_tables(w);
    }
    if (err != 0) {
        worker_free(&w);
        return err;
    }
    timer_init(&w->reaper, on_reaper, w);
    timer_start(w->loop, &w->reaper, REAPER_MS);
    worker_overload_init(w);
    worker_apply_config(w, b->cfg);
    *wp = w;
    return 0;
}

static void set_realms(struct worker *w, const struct config *cfg)
{
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        const struct config_listener *ls = &cfg->listeners[i];

        if (ls->has_rtp &&
            media_set_realm(w->media, &(struct media_realm_params){.listener = (uint8_t)i,
                                                                   .address = ls->address,
                                                                   .port_min = ls->rtp_min,
                                                                   .port_max = ls->rtp_max}) != 0) {
            log_error(NULL, "media ports of listener %s could not be set up", ls->name);
        }
    }
}

static void set_certificates(struct worker *w, const struct config *cfg)
{
    if (w->net == NULL) {
        return; /* flow tests bring their own transport */
    }
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        if (cfg->listeners[i].tls.server != NULL) {
            net_set_tls(w->net, (uint8_t)i, cfg->listeners[i].tls.server);
        }
    }
    net_identify(w->net);
}

void worker_be_node(struct worker *w, uint16_t node)
{
    w->nodes[node / 64 % COUNT_OF(w->nodes)] |= (uint64_t)1 << node % 64;
}

static void set_tables(struct worker *w, const struct config *cfg)
{
    struct tx_timers timers = timers_of(cfg);

    tx_table_set_timers(w->tab, &timers);
    tx_table_set_max(w->tab, max_transactions(w->b, cfg));
    w->node = cfg->node_id;
    worker_be_node(w, w->node);
    tx_table_set_node(w->tab, w->node);
    media_set_inactivity(w->media, cfg->media_inactivity_ms);
    media_set_quarantine(w->media, cfg->media_quarantine_ms);
    media_set(w->media,
              &(struct media_settings){.learn_ms = cfg->media_learn_ms,
                                       .io = (enum media_io)cfg->media_io,
                                       .gather_us = cfg->media_gather_us,
                                       .ready = share_of(cfg->media_ready, w->b->n_workers)});
}

static void set_net(struct worker *w, const struct config *cfg)
{
    struct net_limits lim = limits_of(w, cfg);
    struct crypto_pool *pool = w->b->pool;

    if (w->net != NULL) {
        net_set_limits(w->net, &lim);
        net_set_pool(w->net, pool);
    }
    media_set_crypto(w->media, pool);
    atomic_store(&w->pool_seen, pool);
}

void worker_apply_config(struct worker *w, struct config *cfg)
{
    struct config *old = w->cfg;

    w->cfg = config_ref(cfg);
    worker_overload_config(w, cfg);
    set_tables(w, cfg);
    set_net(w, cfg);
    set_realms(w, cfg);
    worker_take_sockets(w, old, cfg);
    registrar_set_policy(w->registrar, cfg->policy, cfg->def.listeners, cfg->def.n_listeners);
    call_table_set_config(w->calls, cfg);
    set_certificates(w, cfg);
    config_unref(&old);
    if (w->next == cfg) {
        config_unref(&w->next);
    }
}

int worker_listen(struct worker *w, const char **why)
{
    static _Thread_local char text[160];
    struct buf b;
    int err;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    err = worker_open(w, w->b->cfg, &b);
    worker_expect(w, NULL);
    text[b.n] = '\0';
    if (err != 0) {
        *why = text;
        return err;
    }
    w->fresh_slots = 0;
    set_certificates(w, w->b->cfg);
    return 0;
}

/* --- running --- */

static void pin(const struct worker *w)
{
    cpu_set_t have, one;
    unsigned n = 0;

    if (sched_getaffinity(0, sizeof(have), &have) != 0 ||
        (unsigned)CPU_COUNT(&have) < w->b->n_workers || CPU_COUNT(&have) < 2) {
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &have) && n++ == w->index) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof(one), &one) != 0) {
                log_debug(NULL, "worker %u could not be pinned", w->index);
            }
            return;
        }
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    char name[THREAD_NAME_MAX];
    struct buf b;

    buf_init_fixed(&b, name, sizeof(name));
    buf_putf(&b, "worker %u", w->index);
    buf_putc(&b, 0);
    (void)pthread_setname_np(pthread_self(), name);
    if (stat_thread_init() != 0) {
        log_warn(NULL, "worker %u counts into the shared block", w->index);
    }
    pin(w);
    loop_run(w->loop);
    return NULL;
}

int worker_run(struct worker *w)
{
    int err = pthread_create(&w->thread, NULL, worker_main, w);

    w->running = err == 0;
    return err;
}

void worker_close(struct worker *w)
{
    if (w->loop != NULL) {
        timer_stop(w->loop, &w->reaper);
        timer_stop(w->loop, &w->calm);
    }
    call_table_free(&w->calls);
    registrar_free(&w->registrar);
    worker_forget_owed(w);
}

void worker_free(struct worker **wp)
{
    struct worker *w = *wp;

    *wp = NULL;
    if (w == NULL) {
        return;
    }
    worker_close(w);
    tx_table_free(&w->tab);
    media_free(&w->media);
    net_free(&w->net);
    loop_free(&w->loop);
    sip_pool_free(&w->pool);
    token_ring_free(&w->ring);
    config_unref(&w->next);
    config_unref(&w->cfg);
    mem_free(w);
}
