/* circuit.c - the breaker on live calls: closed, open after too many failures, half-open for one
 * call at a time. The whole state is one word, so that one exchange is one step. */
#include "health_int.h"

enum {
    CIRCUIT_STATE_BITS = 2,
    CIRCUIT_LEVEL_BITS = 4,
    CIRCUIT_BAD_BITS = 18,
    CIRCUIT_UNTIL_BITS = 40 /* ms: 34 years of monotonic time */
};
#define CIRCUIT_LEVEL_MAX ((1u << CIRCUIT_LEVEL_BITS) - 1)
#define CIRCUIT_BAD_MAX ((1u << CIRCUIT_BAD_BITS) - 1)
#define CIRCUIT_UNTIL_MAX ((1ULL << CIRCUIT_UNTIL_BITS) - 1)

uint64_t circuit_pack(const struct circuit *c)
{
    uint64_t until =
        (uint64_t)c->until_ms <= CIRCUIT_UNTIL_MAX ? (uint64_t)c->until_ms : CIRCUIT_UNTIL_MAX;
    uint64_t word = until;

    word = word << CIRCUIT_BAD_BITS | (c->bad < CIRCUIT_BAD_MAX ? c->bad : CIRCUIT_BAD_MAX);
    word = word << CIRCUIT_LEVEL_BITS | (c->level & CIRCUIT_LEVEL_MAX);
    return word << CIRCUIT_STATE_BITS | (c->state & ((1u << CIRCUIT_STATE_BITS) - 1));
}

void circuit_unpack(uint64_t word, struct circuit *c)
{
    c->state = word & ((1u << CIRCUIT_STATE_BITS) - 1);
    word >>= CIRCUIT_STATE_BITS;
    c->level = word & CIRCUIT_LEVEL_MAX;
    word >>= CIRCUIT_LEVEL_BITS;
    c->bad = word & CIRCUIT_BAD_MAX;
    c->until_ms = (int64_t)(word >> CIRCUIT_BAD_BITS);
}

static void circuit_open(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    int64_t wait_ms = (int64_t)b->retry_ms << c->level;

    c->state = CIRCUIT_OPEN;
    c->until_ms = now_ms + (wait_ms < POLICY_RETRY_MAX_MS ? wait_ms : POLICY_RETRY_MAX_MS);
    c->level = c->level < CIRCUIT_LEVEL_MAX ? c->level + 1 : c->level;
}

typedef bool(circuit_act)(struct circuit *c, const struct policy_breaker *b, int64_t now_ms);

static bool circuit_pass(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    (void)c, (void)b, (void)now_ms;
    return true;
}

static bool circuit_well(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    (void)b, (void)now_ms;
    c->bad = 0;
    return true;
}

static bool circuit_count(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    c->bad += c->bad < CIRCUIT_BAD_MAX ? 1 : 0;
    if (b->failures != 0 && c->bad >= b->failures) {
        circuit_open(c, b, now_ms);
    }
    return true;
}

static bool circuit_trip(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    circuit_open(c, b, now_ms);
    return true;
}

/* A trial of which nothing was heard ends with its time, else the target would be lost for good. */
static bool circuit_try(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    if (now_ms < c->until_ms) {
        return false;
    }
    c->state = CIRCUIT_TRIAL;
    c->until_ms = now_ms + b->retry_ms;
    return true;
}

static bool circuit_close(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    (void)b, (void)now_ms;
    *c = (struct circuit){.state = CIRCUIT_CLOSED};
    return true;
}

static bool circuit_next(struct circuit *c, const struct policy_breaker *b, int64_t now_ms)
{
    (void)b;
    c->until_ms = now_ms; /* it proved nothing: the next call is the trial */
    return true;
}

/* Empty cell: old news of calls that were on their way when it opened. */
static circuit_act *const circuit_table[CIRCUIT_NSTATES][CIRCUIT_NEVENTS] = {
    [CIRCUIT_CLOSED] = {circuit_pass, circuit_well, circuit_count, circuit_trip, NULL},
    [CIRCUIT_OPEN] = {circuit_try, circuit_close, NULL, NULL, NULL},
    [CIRCUIT_TRIAL] = {circuit_try, circuit_close, circuit_trip, NULL, circuit_next},
};

bool circuit_feed(struct circuit *c, enum circuit_event ev, const struct policy_breaker *b,
                  int64_t now_ms)
{
    circuit_act *act = circuit_table[c->state][ev];

    return act == NULL || act(c, b, now_ms);
}
