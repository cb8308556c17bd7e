/* limits.c - b2bua.h's questions about limits: what is in use of each. Read straight from the
 * policy's counters, which are atomic; no worker is asked. */
#include "worker/worker_int.h"

struct limit_page {
    struct b2bua_limits *q;
    const struct policy *policy;
    struct json *j;
    uint64_t last;
    uint32_t n;
};

void worker_limit_row(struct json *j, const struct policy *p, const struct policy_limit_row *row)
{
    char text[2 * POLICY_NAME_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    policy_put_limit(&b, p, &row->hit);
    json_obj(j);
    json_kstr(j, "limit", buf_sl(&b));
    json_kcstr(j, "scope", policy_scope_word(row->hit.scope));
    json_kcstr(j, "name", row->name[0] != '\0' ? row->name : NULL);
    json_kint(j, "use", row->hit.use);
    json_kint(j, "max", row->hit.max);
    json_key(j, "warn_at");
    if (row->warn_at != UINT32_MAX) {
        json_int(j, row->warn_at);
    } else {
        json_none(j);
    }
    json_kbool(j, "near", row->is_near);
    json_kint(j, "warnings", (int64_t)row->warned);
    json_kint(j, "refused", (int64_t)row->refused);
    json_obj_end(j);
}

static bool on_row(const struct policy_limit_row *row, void *arg)
{
    struct limit_page *page = arg;

    if (page->n == page->q->limit) {
        page->q->next = page->last;
        return false;
    }
    page->n++;
    page->last = row->at;
    worker_limit_row(page->j, page->policy, row);
    return buf_err(page->j->b) == 0;
}

/* The budgets at the door, which no policy counts. */
static void put_packets(struct b2bua *b, struct json *j, const struct policy *p)
{
    const struct policy_security *s = &policy_def(p)->security;

    json_key(j, "packets_per_second");
    json_obj(j);
    json_kint(j, "strangers_use", policy_strangers_now(b->gate, p, clock_now_ms(&b->clock)));
    json_kint(j, "strangers_max", s->unknown_pps);
    json_kint(j, "stranger_max", s->unknown_each_pps);
    json_kint(j, "trusted_source_max", s->trusted_pps);
    json_kint(j, "warn_at_percent", s->warn_percent);
    json_kint(j, "warnings", (int64_t)stat_sum(STAT_NEAR_PACKETS));
    json_kint(j, "dropped_strangers", (int64_t)stat_sum(STAT_SIP_DROP_STRANGER));
    json_kint(j, "dropped_sources", (int64_t)stat_sum(STAT_SIP_DROP_FAST));
    json_obj_end(j);
}

#define GUESSED_SHOWN 100

/* Accounts that strangers guess at. Their names are in the configuration; others are counted the
 * same way and shown to nobody. */
static void put_guesses(struct b2bua *b, struct json *j, const struct policy *p)
{
    const struct policy_users *users = &policy_def(p)->users;
    size_t n = 0;

    json_key(j, "password_guesses");
    json_obj(j);
    json_kint(j, "max", users->guesses.failures);
    json_kint(j, "block_s", users->guesses.block_s);
    json_kint(j, "held", (int64_t)stat_sum(STAT_AUTH_HELD));
    json_kint(j, "guessed", (int64_t)stat_sum(STAT_AUTH_GUARDED));
    json_key(j, "accounts");
    json_arr(j);
    for (size_t i = 0; i < users->n_accounts && n < GUESSED_SHOWN; i++) {
        uint32_t held_s,
            failures = auth_guessed(b->auth, p, (int)i, clock_wall_ms(&b->clock), &held_s);

        if (failures != 0) {
            n++;
            json_obj(j);
            json_kcstr(j, "user", users->accounts[i].name);
            json_kint(j, "failures", failures);
            json_kint(j, "strangers_wait_s", held_s);
            json_obj_end(j);
        }
    }
    json_arr_end(j);
    json_obj_end(j);
}

int b2bua_limits_json(struct b2bua *b, struct b2bua_limits *q, struct json *j)
{
    struct config *cfg = worker_config(b);
    struct limit_page page = {.q = q, .policy = cfg->policy, .j = j};

    q->next = 0;
    put_packets(b, j, cfg->policy);
    put_guesses(b, j, cfg->policy);
    json_key(j, "items");
    json_arr(j);
    policy_limits_walk(cfg->policy, q->scope, q->after, clock_now_ms(&b->clock), on_row, &page);
    json_arr_end(j);
    config_unref(&cfg);
    return buf_err(j->b);
}

/* --- metrics: of the node and the peers; users, sources and ranges would be labels without end ---
 */

struct limit_metrics {
    struct buf *t;
    bool max;
};

static bool on_metric(const struct policy_limit_row *row, void *arg)
{
    struct limit_metrics *m = arg;

    if (row->hit.scope > POLICY_OF_PEER) {
        return false;
    }
    buf_putf(m->t, "postern_limit_%s{scope=\"%s\",name=\"%s\",limit=\"%s\"} %u\n",
             m->max ? "max" : "use", policy_scope_word(row->hit.scope), row->name,
             policy_limit_word(row->hit.kind), m->max ? row->hit.max : row->hit.use);
    return true;
}

void worker_limit_metrics(struct b2bua *b, const struct config *cfg, struct buf *t)
{
    struct limit_metrics m = {.t = t};
    int64_t now_ms = clock_now_ms(&b->clock);

    buf_puts(t, "# HELP postern_limit_use What is in use of a limit of the node or a peer\n"
                "# TYPE postern_limit_use gauge\n");
    policy_limits_walk(cfg->policy, -1, 0, now_ms, on_metric, &m);
    m.max = true;
    buf_puts(t, "# HELP postern_limit_max Such a limit\n# TYPE postern_limit_max gauge\n");
    policy_limits_walk(cfg->policy, -1, 0, now_ms, on_metric, &m);
    buf_puts(t, "# HELP postern_destination_calls Calls now that a limit of destinations counts\n"
                "# TYPE postern_destination_calls gauge\n");
    for (size_t i = 0; i < cfg->def.n_destinations; i++) {
        buf_putf(t, "postern_destination_calls{destination=\"%s\"} %u\n",
                 cfg->def.destinations[i].name, policy_destination_calls(cfg->policy, i));
    }
}
