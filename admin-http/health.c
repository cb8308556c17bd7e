/* health.c - /healthz (the process lives), /readyz (it may be given calls), /metrics (Prometheus).
 */
#include "admin-http/admin_int.h"

void resource_healthz(struct request *rq)
{
    json_obj(&rq->json);
    json_kcstr(&rq->json, "status", "ok");
    json_obj_end(&rq->json);
}

static bool health_can_read(struct admin *a)
{
    struct store_reader *r = NULL;
    int err = reader_take(a, &r);

    if (err == 0) {
        err = store_reader_ping(r);
        reader_give(a, r, err);
    }
    return err == 0;
}

void resource_readyz(struct request *rq)
{
    bool can_read = health_can_read(rq->admin);
    struct json *j = &rq->json;
    struct b2bua_ready ready;
    bool is_ready;

    b2bua_get_ready(rq->admin->b2bua, &ready);
    is_ready = ready.ready && can_read;
    rq->status = is_ready ? 200 : 503;
    rq->retry_after_s = is_ready ? 0 : 1;
    json_obj(j);
    json_kcstr(j, "status", is_ready ? "ready" : "not_ready");
    json_key(j, "checks");
    json_obj(j);
    json_kbool(j, "listeners", ready.listeners);
    json_kbool(j, "store", ready.store);
    json_kbool(j, "store_read", can_read);
    json_kbool(j, "not_draining", ready.not_draining);
    json_kbool(j, "workers", ready.workers);
    json_kbool(j, "not_overloaded", ready.not_overloaded);
    json_obj_end(j);
    json_kcstr(j, "why",
               ready.why[0] != '\0' ? ready.why
               : !can_read          ? "the database cannot be read"
                                    : NULL);
    json_obj_end(j);
}

/* --- metrics: names repeat in stat_defs once per set of labels --- */

static bool metric_is_first(size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (sl_eq(sl_str(stat_defs[i].name), sl_str(stat_defs[at].name))) {
            return false;
        }
    }
    return true;
}

static void metric_put_value(struct buf *b, size_t at)
{
    const struct stat_def *d = &stat_defs[at];

    buf_puts(b, d->name);
    if (d->labels[0] != '\0') {
        buf_putf(b, "{%s}", d->labels);
    }
    buf_putf(b, " %llu\n", (unsigned long long)stat_sum((enum stat_id)at));
}

static void metric_put_family(struct buf *b, size_t first)
{
    struct sl name = sl_str(stat_defs[first].name);

    buf_putf(b, "# HELP %s %s\n# TYPE %s %s\n", stat_defs[first].name, stat_defs[first].help,
             stat_defs[first].name, sl_ends(name, SL("_total")) ? "counter" : "gauge");
    for (size_t i = first; i < STAT_N; i++) {
        if (sl_eq(sl_str(stat_defs[i].name), name)) {
            metric_put_value(b, i);
        }
    }
}

/* As /readyz says it. */
static void health_put_ready(struct request *rq)
{
    struct b2bua_ready ready;

    b2bua_get_ready(rq->admin->b2bua, &ready);
    buf_putf(&rq->body,
             "# HELP postern_ready 1 when calls may be sent here\n# TYPE postern_ready gauge\n"
             "postern_ready %d\n",
             ready.ready && health_can_read(rq->admin));
}

void resource_metrics(struct request *rq)
{
    size_t counters;
    int err;

    rq->type = "text/plain; version=0.0.4; charset=utf-8";
    for (size_t i = 0; i < STAT_N; i++) {
        if (metric_is_first(i)) {
            metric_put_family(&rq->body, i);
        }
    }
    counters = rq->body.n;
    err = b2bua_metrics(rq->admin->b2bua, &rq->body);
    if (err == 0) {
        health_put_ready(rq);
    } else { /* half of the gauges would look like zeros: the counters alone then */
        rq->body.n = counters;
        rq->body.err = 0;
    }
    process_metrics(&rq->body);
    buf_putf(&rq->body,
             "# HELP postern_scrape_complete 0 when the workers did not answer in time\n"
             "# TYPE postern_scrape_complete gauge\npostern_scrape_complete %d\n",
             err == 0);
}
