/* facade.c - b2bua.h: what the admin API may ask. Every answer is text made on the owning worker.
 */
#include "worker/worker_int.h"

#ifndef POSTERN_VERSION
#define POSTERN_VERSION "0.1.0"
#endif

const char *b2bua_version(void)
{
    return POSTERN_VERSION;
}

static struct worker *worker_of_call(struct b2bua *b, uint64_t id)
{
    uint32_t index = (uint32_t)(id >> 10) & 63;

    return index < b->n_workers ? b->workers[index] : NULL;
}

static void ask_detail(struct worker *w, struct ask *a)
{
    a->err = call_detail(w->calls, a->id, &a->out);
}

static void ask_ladder(struct worker *w, struct ask *a)
{
    a->err = call_ladder(w->calls, a->id, &a->out);
}

static void ask_hangup(struct worker *w, struct ask *a)
{
    a->err = call_hangup(w->calls, a->id);
}

static int ask_call(struct b2bua *b, uint64_t id, ask_fn *fn, struct buf *out)
{
    struct worker *w = worker_of_call(b, id);
    struct ask a;
    int err = w != NULL ? worker_ask(w, fn, id, &a) : ENOENT;

    if (w == NULL) {
        return err;
    }
    if (err == 0 && out != NULL) {
        buf_putsl(out, buf_sl(&a.out));
        err = buf_err(out);
    }
    buf_free(&a.out);
    return err;
}

int b2bua_call_detail(struct b2bua *b, uint64_t id, struct buf *json)
{
    return ask_call(b, id, ask_detail, json);
}

int b2bua_call_ladder(struct b2bua *b, uint64_t id, struct buf *bytes)
{
    return ask_call(b, id, ask_ladder, bytes);
}

int b2bua_call_hangup(struct b2bua *b, uint64_t id)
{
    return ask_call(b, id, ask_hangup, NULL);
}

static void ask_rekey_caller(struct worker *w, struct ask *a)
{
    a->err = call_rekey(w->calls, a->id, B2BUA_CALLER);
}

static void ask_rekey_callee(struct worker *w, struct ask *a)
{
    a->err = call_rekey(w->calls, a->id, B2BUA_CALLEE);
}

static void ask_rekey_both(struct worker *w, struct ask *a)
{
    a->err = call_rekey(w->calls, a->id, B2BUA_BOTH);
}

int b2bua_call_rekey(struct b2bua *b, uint64_t id, enum b2bua_side sides)
{
    static ask_fn *const asks[] = {[B2BUA_CALLER] = ask_rekey_caller,
                                   [B2BUA_CALLEE] = ask_rekey_callee,
                                   [B2BUA_BOTH] = ask_rekey_both};

    return ask_call(b, id, asks[sides], NULL);
}

int b2bua_ladder_json(struct sl bytes, struct json *j)
{
    return call_ladder_json(bytes, j);
}

struct config *worker_config(struct b2bua *b)
{
    struct config *cfg;

    pthread_mutex_lock(&b->lock);
    cfg = config_ref(b->cfg);
    pthread_mutex_unlock(&b->lock);
    return cfg;
}

static void add_counts(struct ask *sum, const struct ask *a)
{
    sum->calls.setup += a->calls.setup;
    sum->calls.ringing += a->calls.ringing;
    sum->calls.answered += a->calls.answered;
    sum->calls.zombies += a->calls.zombies;
    sum->calls.legs += a->calls.legs;
    sum->calls.relays += a->calls.relays;
    sum->tx.ict += a->tx.ict;
    sum->tx.nict += a->tx.nict;
    sum->tx.ist += a->tx.ist;
    sum->tx.nist += a->tx.nist;
    sum->tx.active += a->tx.active;
    sum->media.sessions += a->media.sessions;
    sum->media.sockets += a->media.sockets;
    sum->media.idle_sockets += a->media.idle_sockets;
    sum->media.ports_used += a->media.ports_used;
    sum->media.ports_total += a->media.ports_total;
    sum->conns += a->conns;
    sum->bindings = a->bindings > sum->bindings ? a->bindings : sum->bindings; /* replicas */
    sum->lag_ms = a->lag_ms > sum->lag_ms ? a->lag_ms : sum->lag_ms;
    worker_add_overload(sum, a);
    for (size_t i = 0; i < CONFIG_SLOTS_MAX; i++) {
        sum->listener_ports[i][0] += a->listener_ports[i][0];
        sum->listener_ports[i][1] += a->listener_ports[i][1];
    }
}

/* Sum over all workers; ETIMEDOUT when one does not answer. */
static int all_counts(struct b2bua *b, struct ask *sum)
{
    *sum = (struct ask){0};
    for (uint32_t i = 0; i < b->n_workers; i++) {
        struct ask a;
        int err = worker_ask(b->workers[i], ask_counts, 0, &a);

        if (err != 0) {
            return err;
        }
        buf_free(&a.out);
        add_counts(sum, &a);
    }
    return 0;
}

static void put_calls(struct json *j, const struct ask *s)
{
    json_key(j, "calls");
    json_obj(j);
    json_kint(j, "setup", s->calls.setup);
    json_kint(j, "ringing", s->calls.ringing);
    json_kint(j, "answered", s->calls.answered);
    json_kint(j, "ending", s->calls.zombies);
    json_kint(j, "legs", s->calls.legs);
    json_kint(j, "message_relays", s->calls.relays);
    json_obj_end(j);
    json_key(j, "transactions");
    json_obj(j);
    json_kint(j, "invite_client", s->tx.ict);
    json_kint(j, "client", s->tx.nict);
    json_kint(j, "invite_server", s->tx.ist);
    json_kint(j, "server", s->tx.nist);
    json_kint(j, "unanswered", s->tx.active);
    json_obj_end(j);
    json_key(j, "media");
    json_obj(j);
    json_kint(j, "sessions", s->media.sessions);
    json_kint(j, "sockets", s->media.sockets);
    json_kint(j, "idle_sockets", s->media.idle_sockets);
    json_kint(j, "ports_used", s->media.ports_used);
    json_kint(j, "ports_total", s->media.ports_total);
    json_obj_end(j);
}

static void put_store(struct json *j, struct store *store)
{
    struct store_health h;

    store_get_health(store, &h);
    json_key(j, "store");
    json_obj(j);
    json_kbool(j, "ok", h.ok);
    json_kbool(j, "full", h.full);
    json_kint(j, "backlog", (int64_t)h.backlog);
    json_kint(j, "backlog_bytes", (int64_t)h.backlog_bytes);
    json_kint(j, "rows_written", (int64_t)h.rows_written);
    json_kint(j, "retries", (int64_t)h.retries);
    json_ktime(j, "failing_since", h.failing_since_ms);
    json_kcstr(j, "error", h.error[0] != '\0' ? h.error : NULL);
    json_obj_end(j);
}

/* Not zero: something of ours, or a rule, writes what it should not (topology.on_leak). */
static void put_leaks(struct json *j)
{
    json_key(j, "topology_leaks");
    json_obj(j);
    json_kint(j, "masked", (int64_t)stat_sum(STAT_LEAK_MASKED));
    json_kint(j, "refused", (int64_t)stat_sum(STAT_LEAK_REFUSED));
    json_kint(j, "reported", (int64_t)stat_sum(STAT_LEAK_REPORTED));
    json_obj_end(j);
}

int b2bua_system_json(struct b2bua *b, struct json *j)
{
    struct config *cfg = worker_config(b);
    struct ask s;
    int err = all_counts(b, &s);

    if (err == 0) {
        json_kcstr(j, "node", cfg->node_name);
        json_kcstr(j, "version", b2bua_version());
        json_ktime(j, "started", b->started_wall_ms);
        json_kint(j, "uptime_s", (clock_now_ms(&b->clock) - b->started_ms) / 1000);
        json_kint(j, "config_version", cfg->version);
        json_ktime(j, "config_loaded", cfg->loaded_ms);
        json_kint(j, "workers", b->n_workers);
        json_kbool(j, "draining", atomic_load(&b->draining));
        put_calls(j, &s);
        json_kint(j, "bindings", s.bindings);
        json_kint(j, "connections", s.conns);
        json_kint(j, "loop_lag_ms", s.lag_ms);
        worker_put_overload(j, &s);
        put_store(j, b->store);
        put_leaks(j);
        json_key(j, "limits");
        json_obj(j);
        json_kint(j, "calls", cfg->def.limit.calls);
        json_kint(j, "calls_now", policy_calls_now(cfg->policy, -1));
        json_kint(j, "calls_per_second", cfg->def.limit.calls_per_second);
        json_obj_end(j);
    }
    config_unref(&cfg);
    return err != 0 ? err : buf_err(j->b);
}

void b2bua_get_ready(struct b2bua *b, struct b2bua_ready *out)
{
    struct store_health h = {.ok = true};
    struct ask s;
    struct buf why;

    *out = (struct b2bua_ready){.listeners = atomic_load(&b->listening),
                                .not_draining = !atomic_load(&b->draining),
                                .workers = all_counts(b, &s) == 0};
    out->not_overloaded = s.overload_level < OVERLOAD_NCLASSES;
    if (b->store != NULL) {
        store_get_health(b->store, &h);
    }
    out->store = h.ok && !h.full;
    out->ready =
        out->listeners && out->store && out->not_draining && out->workers && out->not_overloaded;
    buf_init_fixed(&why, out->why, sizeof(out->why) - 1);
    if (!out->store) {
        buf_putf(&why, "store: %s; %llu records wait",
                 h.error[0] != '\0' ? h.error : "backlog is full", (unsigned long long)h.backlog);
    } else if (!out->ready) {
        buf_puts(&why, !out->not_draining ? "draining"
                       : !out->listeners  ? "not listening"
                       : !out->workers    ? "a worker does not answer"
                                          : "overload: new calls of everybody are refused");
    }
    out->why[why.n < sizeof(out->why) ? why.n : 0] = '\0';
}

static void gauge(struct buf *t, const char *name, const char *help)
{
    buf_putf(t, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void gauge1(struct buf *t, const char *name, const char *help, uint64_t v)
{
    gauge(t, name, help);
    buf_putf(t, "%s %llu\n", name, (unsigned long long)v);
}

static void metrics_ports(struct buf *t, const struct config *cfg, const struct ask *s)
{
    gauge(t, "postern_rtp_ports", "Media ports by listener and state");
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        const char *name = cfg->listeners[i].name;

        if (name == NULL) {
            continue;
        }
        buf_putf(t, "postern_rtp_ports{listener=\"%s\",state=\"used\"} %u\n", name,
                 s->listener_ports[i][0]);
        buf_putf(t, "postern_rtp_ports{listener=\"%s\",state=\"total\"} %u\n", name,
                 s->listener_ports[i][1]);
    }
}

static void put_expiry(struct buf *t, const char *kind, const char *name, int64_t expiry_s)
{
    if (expiry_s != 0) {
        buf_putf(t, "postern_tls_cert_expiry_timestamp_seconds{cert=\"%s:%s\"} %lld\n", kind, name,
                 (long long)expiry_s);
    }
}

static void metrics_crypto(struct buf *t, struct b2bua *b, const struct config *cfg)
{
    struct crypto_pool_counts c;

    crypto_pool_counts(b->pool, &c);
    gauge1(t, "postern_crypto_queue", "Handshake steps that wait for a thread", c.queued);
    gauge1(t, "postern_crypto_queue_peak", "The most that ever waited", c.queued_peak);
    gauge(t, "postern_tls_cert_expiry_timestamp_seconds",
          "Unix time when a certificate of ours ends, by where it is used");
    for (size_t i = 0; i < cfg->n_listeners; i++) {
        if (cfg->listeners[i].tls.server != NULL) {
            put_expiry(t, "listener", cfg->listeners[i].name,
                       tls_server_expiry(cfg->listeners[i].tls.server));
        }
    }
    for (size_t i = 0; cfg->peer_tls != NULL && i < cfg->def.n_peers; i++) {
        if (cfg->peer_tls[i] != NULL) {
            put_expiry(t, "peer", cfg->def.peers[i].name, tls_client_expiry(cfg->peer_tls[i]));
        }
    }
}

static uint32_t worst_pause_us(const struct b2bua *b)
{
    uint32_t worst = 0;

    for (uint32_t i = 0; i < b->n_workers; i++) {
        uint32_t us = atomic_load_explicit(&b->workers[i]->pause_us, memory_order_relaxed);

        worst = us > worst ? us : worst;
    }
    return worst;
}

static void put_firewall(struct b2bua *b, struct buf *t)
{
    struct guard_firewall f = guard_firewall(b->guard);

    gauge1(t, "postern_firewall_up", "1 when the kernel drops what is banned", f.up ? 1 : 0);
    gauge1(t, "postern_firewall_bans", "Bans in the kernel, when last compared", f.held);
    gauge1(t, "postern_firewall_packets", "Packets that these bans dropped, when last compared",
           f.packets);
}

int b2bua_metrics(struct b2bua *b, struct buf *t)
{
    struct config *cfg = worker_config(b);
    struct store_health h = {.ok = true};
    struct ask s;
    int err = all_counts(b, &s);

    if (err == 0) {
        if (b->store != NULL) {
            store_get_health(b->store, &h);
        }
        gauge(t, "postern_build_info", "Version of this build");
        buf_putf(t, "postern_build_info{version=\"%s\"} 1\n", b2bua_version());
        gauge1(t, "postern_start_time_seconds", "Unix time of the start",
               (uint64_t)(b->started_wall_ms / 1000));
        gauge(t, "postern_calls", "Calls by state");
        buf_putf(t, "postern_calls{state=\"setup\"} %u\n", s.calls.setup);
        buf_putf(t, "postern_calls{state=\"ringing\"} %u\n", s.calls.ringing);
        buf_putf(t, "postern_calls{state=\"answered\"} %u\n", s.calls.answered);
        buf_putf(t, "postern_calls{state=\"ending\"} %u\n", s.calls.zombies);
        gauge(t, "postern_sip_transactions", "Transactions by machine");
        buf_putf(t, "postern_sip_transactions{machine=\"ict\"} %u\n", s.tx.ict);
        buf_putf(t, "postern_sip_transactions{machine=\"nict\"} %u\n", s.tx.nict);
        buf_putf(t, "postern_sip_transactions{machine=\"ist\"} %u\n", s.tx.ist);
        buf_putf(t, "postern_sip_transactions{machine=\"nist\"} %u\n", s.tx.nist);
        gauge1(t, "postern_registrations", "Bindings", s.bindings);
        gauge1(t, "postern_bans", "Bans and silences in force", guard_count(b->guard));
        put_firewall(b, t);
        gauge1(t, "postern_connections", "Stream connections", s.conns);
        gauge1(t, "postern_media_sessions", "Calls with media", s.media.sessions);
        gauge1(t, "postern_media_sockets", "Open media sockets", s.media.sockets);
        gauge1(t, "postern_store_backlog", "Records that wait to be written", h.backlog);
        gauge1(t, "postern_store_backlog_bytes", "Memory of these records", h.backlog_bytes);
        gauge1(t, "postern_store_ok", "1 when the last batch was written", h.ok ? 1 : 0);
        gauge(t, "postern_event_loop_lag_seconds", "Latest timer of the last ten seconds");
        buf_putf(t, "postern_event_loop_lag_seconds %.3f\n", (double)s.lag_ms / 1000);
        worker_overload_metrics(t, &s);
        gauge(t, "postern_config_pause_seconds",
              "How long the last configuration kept the slowest worker");
        buf_putf(t, "postern_config_pause_seconds %.6f\n", (double)worst_pause_us(b) / 1e6);
        gauge1(t, "postern_config_version", "Version of the configuration in force", cfg->version);
        gauge1(t, "postern_media_idle_sockets", "Media sockets at rest, open for the next call",
               s.media.idle_sockets);
        metrics_ports(t, cfg, &s);
        hist_put(t);
        worker_peer_metrics(t, b, cfg);
        metrics_crypto(t, b, cfg);
        worker_limit_metrics(b, cfg, t);
    }
    config_unref(&cfg);
    return err != 0 ? err : buf_err(t);
}
