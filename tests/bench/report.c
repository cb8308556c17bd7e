/* report.c - the figures of a run, a line or a JSON member each. */
#include "loadgen.h"

#include <sys/resource.h>

struct report {
    bool json;
    bool first;
};

static void report_put(struct report *r, const char *name, double value, const char *unit)
{
    int digits = value == (double)(int64_t)value ? 0 : 4;

    if (r->json) {
        printf("%s\n  \"%s\": %.*f", r->first ? "{" : ",", name, digits, value);
        r->first = false;
    } else {
        printf("%s %.*f %s\n", name, digits, value, unit);
    }
}

static void report_hist(struct report *r, const char *name, const struct hist *h)
{
    static const struct {
        const char *suffix;
        double quantile;
    } points[] = {{"p50", 0.50}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1.0}};
    char full[64];

    if (h->n == 0) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        snprintf(full, sizeof(full), "%s_%s", name, points[i].suffix);
        report_put(r, full, hist_ms(h, points[i].quantile), "ms");
    }
}

static void report_statuses(struct report *r, const struct stats *st)
{
    char name[32];

    for (unsigned i = 0; i < COUNT_OF(st->status); i++) {
        if (st->status[i] != 0) {
            snprintf(name, sizeof(name), "calls_failed_%u", i);
            report_put(r, name, (double)st->status[i], "calls");
        }
    }
}

static uint64_t report_lost(const struct stats *st)
{
    uint64_t seen = st->c[ST_RTP_RECEIVED] + st->c[ST_RTP_LATE];

    return st->c[ST_RTP_SENT] > seen ? st->c[ST_RTP_SENT] - seen : 0;
}

static void report_rates(struct report *r, const struct lg *lg)
{
    struct rusage ru;
    double wall_s = (double)(lg->load.last_end_ns - lg->load.start_ns) / 1e9;
    double done = (double)lg->st.c[ST_COMPLETED];
    double cpu_s = 0;

    getrusage(RUSAGE_SELF, &ru);
    cpu_s = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
            (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    report_put(r, "calls_per_s", wall_s > 0 ? done / wall_s : 0, "calls/s");
    report_put(r, "wall", wall_s, "s");
    if (lg->burst.total_packets != 0) {
        report_put(r, "burst_packets", (double)lg->burst.total_packets, "packets");
        report_put(r, "burst_cpu",
                   (double)lg->burst.total_cpu_ns / 1e3 / (double)lg->burst.total_packets, "us");
    }
    report_put(r, "own_cpu", cpu_s, "s");
    report_put(r, "own_cpu_per_call", done > 0 ? cpu_s * 1e6 / done : 0, "us");
    report_put(r, "own_drops", (double)io_drops(&lg->caller) + (double)io_drops(&lg->callee),
               "messages");
    report_put(r, "deadline_hit", lg->load.deadline_hit ? 1 : 0, "bool");
}

/* Prints everything; false when a figure is not that of a clean run. */
bool report_print(const struct lg *lg)
{
    static const struct {
        const char *name, *unit;
        bool bad;
    } rows[] = {
#define REPORT_ROW(id, name, unit, bad) {name, unit, bad},
        STATS_LIST(REPORT_ROW)
#undef REPORT_ROW
    };
    struct report r = {.json = lg->o.json, .first = true};
    bool clean = !lg->load.deadline_hit && report_lost(&lg->st) == 0;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        report_put(&r, rows[i].name, (double)lg->st.c[i], rows[i].unit);
        if (i == ST_RTP_RECEIVED) {
            report_put(&r, "rtp_lost", (double)report_lost(&lg->st), "packets");
        }
        clean = clean && !(rows[i].bad && lg->st.c[i] != 0);
    }
    report_statuses(&r, &lg->st);
    report_hist(&r, "setup", &lg->st.setup);
    report_hist(&r, "rtp_latency", &lg->st.relay);
    report_rates(&r, lg);
    if (r.json) {
        printf("\n}\n");
    }
    return clean;
}
