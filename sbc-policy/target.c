/* target.c - in which order the targets of one peer are tried: lower priorities first, and among
 * equals a draw by weight (RFC 2782). Pure: the same random number gives the same order. */
#include "policy_int.h"

/* Other bits for each draw, and for each place of a peer in the verdict (splitmix64). */
static uint64_t target_mix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

/* By priority, then those without a weight before the others: RFC 2782 wants that of each draw, and
 * taking one out keeps it so. Otherwise as they are written. */
static bool target_is_before(const struct policy_uri_target *a, const struct policy_uri_target *b)
{
    if (a->priority != b->priority) {
        return a->priority < b->priority;
    }
    return a->weight == 0 && b->weight != 0;
}

static void target_sort(const struct policy_peer *peer, size_t n, uint8_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        for (; at > 0 && target_is_before(&peer->targets[i], &peer->targets[order[at - 1]]); at--) {
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)i;
    }
}

/* The first whose running sum reaches a number from 0 to the sum of all. */
static size_t target_draw(const struct policy_peer *peer, const uint8_t *order, size_t n,
                          uint64_t random)
{
    uint64_t sum = 0, run = 0;
    size_t i = 0;

    for (size_t k = 0; k < n; k++) {
        sum += peer->targets[order[k]].weight;
    }
    random %= sum + 1;
    for (; i + 1 < n; i++) {
        run += peer->targets[order[i]].weight;
        if (run >= random) {
            break;
        }
    }
    return i;
}

size_t policy_target_order(const struct policy_peer *peer, const struct policy_verdict *v,
                           size_t to_i, uint8_t *order)
{
    size_t n = peer->n_targets < POLICY_TARGETS_MAX ? peer->n_targets : POLICY_TARGETS_MAX;
    uint64_t state = v->random + to_i;

    target_sort(peer, n, order);
    for (size_t i = 0; i < n; i++) {
        size_t equals = 1, k;
        uint8_t drawn;

        while (i + equals < n &&
               peer->targets[order[i + equals]].priority == peer->targets[order[i]].priority) {
            equals++;
        }
        k = i + target_draw(peer, order + i, equals, target_mix(&state));
        drawn = order[k];
        memmove(&order[i + 1], &order[i], k - i);
        order[i] = drawn;
    }
    return n;
}
