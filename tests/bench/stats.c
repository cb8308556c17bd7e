/* stats.c - log-linear histogram of fixed size. */
#include "stats.h"

static unsigned hist_index(uint64_t v)
{
    unsigned shift = 0;

    if (v >> HIST_SUB_BITS != 0) {
        shift = 63u - (unsigned)__builtin_clzll(v) - HIST_SUB_BITS;
        shift += 1;
    }
    /* Above the linear part each power of two owns half of the sub-buckets' range. */
    return (shift << HIST_SUB_BITS) + (unsigned)(v >> shift);
}

static double hist_value(unsigned index)
{
    unsigned shift = index >> HIST_SUB_BITS;
    uint64_t low = (uint64_t)(index & ((1u << HIST_SUB_BITS) - 1)) << shift;

    return (double)low + (double)(1ull << shift) / 2;
}

void hist_add(struct hist *h, int64_t ns)
{
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    unsigned index = hist_index(v);

    h->bucket[index < HIST_SIZE ? index : HIST_SIZE - 1]++;
    h->n++;
    h->max = v > h->max ? v : h->max;
}

double hist_ms(const struct hist *h, double quantile)
{
    uint64_t want = (uint64_t)((double)h->n * quantile);
    uint64_t seen = 0;

    for (unsigned i = 0; i < HIST_SIZE; i++) {
        seen += h->bucket[i];
        if (seen > want) {
            double v = hist_value(i);

            return (v > (double)h->max ? (double)h->max : v) / 1e6;
        }
    }
    return (double)h->max / 1e6;
}
