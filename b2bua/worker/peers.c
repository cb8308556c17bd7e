/* peers.c - b2bua.h's questions about peers: their targets, how those are, and drain. */
#include "worker/worker_int.h"

/* Monotonic to Unix time; 0 stays "never". */
static int64_t wall_of(const struct b2bua *b, int64_t at_ms)
{
    return at_ms != 0 ? clock_wall_ms(&b->clock) - clock_now_ms(&b->clock) + at_ms : 0;
}

static void put_target(struct json *j, const struct b2bua *b, const struct policy_peer *p,
                       const struct policy_uri_target *t)
{
    struct policy_target_report r;

    policy_target_report(p, t, clock_now_ms(&b->clock), &r);
    json_obj(j);
    json_kcstr(j, "uri", t->uri);
    json_kaddr(j, "address", &t->addr);
    json_kcstr(j, "transport", sip_transport_name(t->transport));
    json_kint(j, "priority", t->priority);
    json_kint(j, "weight", t->weight);
    json_kcstr(j, "state", policy_target_state_word(r.state));
    json_kbool(j, "drained", r.is_drained);
    json_kbool(j, "probed", r.is_probed);
    json_ktime(j, "probe_state_since", wall_of(b, r.since_ms));
    json_kint(j, "probes_answered", (int64_t)r.probes);
    json_kint(j, "probes_lost", (int64_t)r.probes_lost);
    json_kint(j, "failures_in_a_row", r.failures);
    json_ktime(j, "retry_after", wall_of(b, r.retry_ms));
    json_kint(j, "waiting_for_answer", r.waiting);
    json_kint(j, "calls", (int64_t)r.calls);
    json_kint(j, "calls_answered", (int64_t)r.answered);
    json_kint(j, "calls_failed", (int64_t)r.failed);
    json_obj_end(j);
}

static void put_peer(struct json *j, const struct b2bua *b, const struct config *cfg, unsigned i)
{
    const struct policy_peer *p = &cfg->def.peers[i];

    json_obj(j);
    json_kcstr(j, "name", p->name);
    json_kcstr(j, "listener", cfg->listeners[p->listener].name);
    json_kcstr(j, "media", cfg->def.profiles[p->media].name);
    json_kbool(j, "drained", policy_peer_is_drained(p));
    json_key(j, "targets");
    json_arr(j);
    for (size_t k = 0; k < p->n_targets; k++) {
        put_target(j, b, p, &p->targets[k]);
    }
    json_arr_end(j);
    json_kint(j, "calls_now", policy_calls_now(cfg->policy, (int)i));
    json_kint(j, "calls_limit", p->limit.calls);
    json_kint(j, "calls_per_second_limit", p->limit.calls_per_second);
    json_obj_end(j);
}

int b2bua_peers_json(struct b2bua *b, struct json *j)
{
    struct config *cfg = worker_config(b);

    json_arr(j);
    for (size_t i = 0; i < cfg->def.n_peers; i++) {
        put_peer(j, b, cfg, (unsigned)i);
    }
    json_arr_end(j);
    config_unref(&cfg);
    return buf_err(j->b);
}

static int drain(const struct policy_peer *p, struct sl uri, bool on)
{
    int err = ENOENT;

    if (uri.n == 0) {
        policy_drain(p, NULL, on);
        return 0;
    }
    for (size_t i = 0; i < p->n_targets; i++) {
        if (sl_eq(sl_str(p->targets[i].uri), uri)) {
            policy_drain(p, &p->targets[i], on);
            err = 0;
        }
    }
    return err;
}

int b2bua_peer_drain(struct b2bua *b, struct sl name, struct sl uri, bool on)
{
    struct config *cfg = worker_config(b);
    int peer = policy_peer_by_name(cfg->policy, name);
    int err = peer >= 0 ? drain(&cfg->def.peers[peer], uri, on) : ENOENT;

    if (err == 0) {
        /* Two switches: what is said of the whole leaves what was said of one target. */
        log_info(NULL, "peer %s: %s%s %s", cfg->def.peers[peer].name,
                 uri.n != 0 ? "target " : "as a whole", uri.n != 0 ? LOG_ESC(uri) : "",
                 on ? "drained: no new calls" : "no longer drained");
    }
    config_unref(&cfg);
    return err;
}

void worker_peer_metrics(struct buf *t, struct b2bua *b, const struct config *cfg)
{
    buf_puts(t, "# HELP postern_peer_calls Calls of a peer now\n# TYPE postern_peer_calls gauge\n");
    for (size_t i = 0; i < cfg->def.n_peers; i++) {
        buf_putf(t, "postern_peer_calls{peer=\"%s\"} %u\n", cfg->def.peers[i].name,
                 policy_calls_now(cfg->policy, (int)i));
    }
    buf_puts(t,
             "# HELP postern_target_up 0 when a target is passed over: down, suspect or drained\n"
             "# TYPE postern_target_up gauge\n");
    for (size_t i = 0; i < cfg->def.n_peers; i++) {
        const struct policy_peer *p = &cfg->def.peers[i];

        for (size_t k = 0; k < p->n_targets; k++) {
            char where[ADDR_TEXT_MAX];
            struct policy_target_report r;

            policy_target_report(p, &p->targets[k], clock_now_ms(&b->clock), &r);
            buf_putf(t, "postern_target_up{peer=\"%s\",target=\"%s;%s\"} %d\n", p->name,
                     addr_text(&p->targets[k].addr, where),
                     sip_transport_name(p->targets[k].transport),
                     r.state == POLICY_TARGET_UP || r.state == POLICY_TARGET_TRIAL);
        }
    }
}
