/* hist.c - histograms with bounds of their own, fixed when we were built: what an operator compares
 * has the same buckets everywhere. */
#include "base/base.h"

#define HIST_BOUNDS_MAX 8

static const struct hist_def {
    const char *name, *help;
    uint32_t scale; /* a value of so much is 1 outside */
    uint32_t bounds[HIST_BOUNDS_MAX];
} hist_defs[HIST_N] = {
    [HIST_MOS] = {"postern_media_mos",
                  "Listening quality (E-model) of streams that ended, average of each",
                  100,
                  {150, 200, 250, 300, 350, 400, 430, 440}},
    [HIST_JITTER_US] = {"postern_media_jitter_seconds",
                        "Interarrival jitter (RFC 3550) at the end of streams",
                        1000000,
                        {1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000}},
    [HIST_LOSS] = {"postern_media_loss_ratio",
                   "Packets lost of those expected, of streams that ended",
                   10000,
                   {1, 10, 50, 100, 200, 500, 1000, 2000}},
};

static struct {
    uint64_t bucket[HIST_BOUNDS_MAX + 1], sum; /* relaxed atomics */
} hists[HIST_N];

void hist_observe(enum hist_id id, uint64_t v)
{
    unsigned i = 0;

    while (i < HIST_BOUNDS_MAX && v > hist_defs[id].bounds[i]) {
        i++;
    }
    __atomic_fetch_add(&hists[id].bucket[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&hists[id].sum, v, __ATOMIC_RELAXED);
}

uint64_t hist_count(enum hist_id id)
{
    uint64_t n = 0;

    for (unsigned i = 0; i <= HIST_BOUNDS_MAX; i++) {
        n += __atomic_load_n(&hists[id].bucket[i], __ATOMIC_RELAXED);
    }
    return n;
}

static void hist_put_one(struct buf *b, enum hist_id id)
{
    const struct hist_def *d = &hist_defs[id];
    unsigned long long n = 0;
    double sum = (double)__atomic_load_n(&hists[id].sum, __ATOMIC_RELAXED);

    buf_putf(b, "# HELP %s %s\n# TYPE %s histogram\n", d->name, d->help, d->name);
    for (unsigned i = 0; i < HIST_BOUNDS_MAX; i++) {
        n += __atomic_load_n(&hists[id].bucket[i], __ATOMIC_RELAXED);
        buf_putf(b, "%s_bucket{le=\"%g\"} %llu\n", d->name, (double)d->bounds[i] / d->scale, n);
    }
    n += __atomic_load_n(&hists[id].bucket[HIST_BOUNDS_MAX], __ATOMIC_RELAXED);
    buf_putf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.4f\n%s_count %llu\n", d->name, n, d->name,
             sum / d->scale, d->name, n);
}

void hist_put(struct buf *b)
{
    for (unsigned id = 0; id < HIST_N; id++) {
        hist_put_one(b, (enum hist_id)id);
    }
}

void hist_reset(void)
{
    memset(hists, 0, sizeof(hists));
}
