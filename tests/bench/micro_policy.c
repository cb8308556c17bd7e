/* micro_policy.c - what a decision costs: looking up one of a million prefixes, and a verdict over
 * ten thousand routes with that table. One figure a line: NAME VALUE UNIT. */
#include "sbc-policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 1000000, ROUTES = 10000, PEERS = 200, NUMBERS = 1 << 16 };

/* CPU time: others use the machine, too. */
static double cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t state = 0x9E3779B97F4A7C15ULL;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* An E.164 number or prefix of n digits. */
static struct sl put_number(char *dst, size_t n)
{
    dst[0] = '+';
    dst[1] = (char)('1' + next_random() % 9);
    for (size_t i = 2; i <= n; i++) {
        dst[i] = (char)('0' + next_random() % 10);
    }
    return sl_make(dst, n + 1);
}

static void on_twice(void *arg, uint32_t line, uint32_t first)
{
    (void)arg;
    (void)line;
    (void)first;
}

static void must(int err)
{
    if (err != 0) {
        fprintf(stderr, "bench: %s\n", strerror(err));
        exit(1);
    }
}

/* Random rows collide; a row that is there already is drawn again. */
static struct policy_table *make_table(void)
{
    struct policy_table_draft *d = NULL;
    struct policy_table *t = NULL;
    double start = cpu_us();
    size_t bad;

    must(policy_table_draft_new(&d));
    for (uint32_t i = 0; i < ROWS; i++) {
        char text[32], tag[16];
        struct sl prefix = put_number(text, 5 + next_random() % 2);
        uint32_t tail = i; /* the row's own number makes it unique */

        prefix.n += (size_t)snprintf(text + prefix.n, 8, "%06u", tail);
        snprintf(tag, sizeof(tag), "t%u", (unsigned)(next_random() % ROUTES));
        must(policy_table_add(d, prefix, sl_str(tag), i, &bad));
    }
    must(policy_table_build(&t, &d, on_twice, NULL));
    printf("prefix_build %.0f ms\n", (cpu_us() - start) / 1000);
    printf("prefix_memory %.1f bytes/row\n",
           (double)policy_table_bytes(t) / (double)policy_table_rows(t));
    return t;
}

/* Numbers that mostly have a row: the first rows are drawn again with the same random numbers. */
static void make_numbers(char (*numbers)[32], size_t *lengths)
{
    state = 0x9E3779B97F4A7C15ULL;
    for (size_t i = 0; i < NUMBERS; i++) {
        struct sl s = put_number(numbers[i], 5 + next_random() % 2);

        (void)next_random();
        lengths[i] = s.n + (size_t)snprintf(numbers[i] + s.n, 16, "%06u%03u", (unsigned)i,
                                            (unsigned)i % 1000);
    }
}

static void bench_lookup(const struct policy_table *t)
{
    static char numbers[NUMBERS][32];
    static size_t lengths[NUMBERS];
    size_t found = 0, matched;
    double start;

    make_numbers(numbers, lengths);
    start = cpu_us();
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < NUMBERS; i++) {
            found += policy_table_find(t, sl_make(numbers[i], lengths[i]), &matched) != 0;
        }
    }
    printf("prefix_lookup %.0f ns\n", (cpu_us() - start) * 1000 / (20.0 * NUMBERS));
    printf("prefix_found %.1f %%\n", (double)found * 100 / (20.0 * NUMBERS));
}

/* Of each hundred routes: 40 by tag of the table from anybody, 40 by prefix, 20 by a glob. */
static void make_routes(struct policy_route *routes, struct policy_ref *from, char (*texts)[32])
{
    static const char *lists[ROUTES];

    for (size_t i = 0; i < ROUTES; i++) {
        from[i] = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)(i % PEERS)};
        routes[i] = (struct policy_route){.name = "r", .from = &from[i], .n_from = 1, .n_to = 1};
        routes[i].to[0] = (struct policy_ref){.kind = POLICY_PEER, .peer = 0};
        lists[i] = texts[i];
        if (i % 100 < 40) {
            snprintf(texts[i], sizeof(texts[i]), "t%zu", i);
            routes[i].n_from = 0;
            routes[i].called_by =
                (struct policy_number_match){.by = POLICY_BY_TABLE, .tag = texts[i]};
        } else if (i % 100 < 80) {
            texts[i][put_number(texts[i], 6).n] = '\0';
            routes[i].called_by = (struct policy_number_match){.by = POLICY_BY_PREFIX,
                                                               .texts = {.e = &lists[i], .n = 1}};
        } else {
            size_t n = put_number(texts[i], 5).n;

            memcpy(texts[i] + n, "*", 2);
            routes[i].called = texts[i];
        }
    }
    routes[ROUTES - 1].n_from = 0; /* what nobody else takes */
    routes[ROUTES - 1].called = NULL;
    routes[ROUTES - 1].called_by.by = POLICY_BY_ANY;
}

static void bench_decide(struct policy_def *def)
{
    static char numbers[NUMBERS][32];
    static size_t lengths[NUMBERS];
    struct policy *p = NULL;
    size_t routed = 0, last = 0;
    double start = cpu_us();

    must(policy_compile(&p, def, NULL));
    printf("policy_compile %.1f ms\n", (cpu_us() - start) / 1000);
    make_numbers(numbers, lengths);
    start = cpu_us();
    for (size_t i = 0; i < 5 * NUMBERS; i++) {
        size_t k = next_random() % NUMBERS;
        struct policy_request rq = {.method = SL("INVITE"),
                                    .called = sl_make(numbers[k], lengths[k]),
                                    .called_host = SL("192.0.2.1"),
                                    .calling = SL("+4930123"),
                                    .auth_user = -1,
                                    .new_call = true,
                                    .random = k};
        struct policy_verdict v;

        rq.source = def->peers[k % PEERS].sources[0].addr;
        policy_decide(p, &rq, (int64_t)i, &v);
        routed += v.action == POLICY_ROUTE;
        last += v.route == ROUTES - 1;
        policy_release(p, &v);
    }
    printf("policy_decide %.2f us\n", (cpu_us() - start) / (5.0 * NUMBERS));
    printf("policy_routed %.1f %%\n", (double)routed * 100 / (5.0 * NUMBERS));
    printf("policy_last_resort %.1f %%\n", (double)last * 100 / (5.0 * NUMBERS));
    policy_free(&p);
}

int main(void)
{
    static struct policy_route routes[ROUTES];
    static struct policy_ref from[ROUTES];
    static char texts[ROUTES][32], names[PEERS][8];
    static struct policy_peer peers[PEERS];
    static struct prefix sources[PEERS];
    static const char *const listeners[] = {"a"};
    struct policy_table_ref table = {.name = "t"};
    struct policy_def def = {.listeners = listeners,
                             .n_listeners = 1,
                             .peers = peers,
                             .n_peers = PEERS,
                             .tables = &table,
                             .n_tables = 1,
                             .routes = routes,
                             .n_routes = ROUTES};

    for (size_t i = 0; i < PEERS; i++) {
        char text[32];

        snprintf(names[i], sizeof(names[i]), "p%zu", i);
        snprintf(text, sizeof(text), "10.0.%zu.0/24", i);
        must(prefix_parse(sl_str(text), &sources[i]));
        peers[i] = (struct policy_peer){.name = names[i], .sources = &sources[i], .n_sources = 1};
    }
    table.table = make_table();
    bench_lookup(table.table);
    make_routes(routes, from, texts);
    bench_decide(&def);
    policy_table_free(&table.table);
    return 0;
}
