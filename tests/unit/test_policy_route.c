/* test_policy_route.c - what a route can match, what it can do, and that ten thousand of them are
 * found as if each had been looked at. */
#include "policy_rig.h"
#include "sbc-policy/policy_int.h"

#include <stdlib.h>

static struct policy_verdict decide(struct rig *r, const struct policy_request *rq)
{
    struct policy_verdict v;

    policy_decide(r->policy, rq, 1000, &v);
    policy_release(r->policy, &v);
    return v;
}

/* --- patterns --- */

static void a_pattern_fits_the_whole_and_never_runs_away(void **state)
{
    static const struct {
        const char *pattern, *text;
        enum policy_fit fit;
    } cases[] = {
        {"\\+49(1[567])\\d+", "+4915112345", POLICY_FIT_YES},
        {"\\+49(1[567])\\d+", "+49151x", POLICY_FIT_NO},
        {"49", "+49", POLICY_FIT_NO},
        {"^112$|^110$", "112", POLICY_FIT_YES},
        {"", "", POLICY_FIT_YES},
        {"(a+)+[b-d]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", POLICY_FIT_COSTLY},
        {"(a|aa)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", POLICY_FIT_COSTLY},
        {"(.*)*[x-z]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", POLICY_FIT_COSTLY},
        {"((a?){50}){50}[b-d]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", POLICY_FIT_COSTLY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy_pattern *p = NULL;
        char why[128];
        size_t at;

        assert_int_equal(policy_pattern_new(&p, sl_str(cases[i].pattern), &at, why), 0);
        if (policy_pattern_whole(p, sl_str(cases[i].text)) != cases[i].fit) {
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
        }
        policy_pattern_free(&p);
    }
}

static void a_match_takes_no_memory_from_the_heap(void **state)
{
    struct policy_pattern *p = NULL;
    struct sl groups[POLICY_PATTERN_GROUPS];
    char why[128], text[POLICY_SUBJECT_MAX + 1];
    size_t at;

    (void)state;
    memset(text, '7', sizeof(text));
    assert_int_equal(policy_pattern_new(&p, SL("(\\d)(x)?(\\d*)"), &at, why), 0);
    mem_fault_arm(1);
    assert_int_equal(policy_pattern_part(p, SL("ab12345"), groups), POLICY_FIT_YES);
    assert_int_equal(policy_pattern_whole(p, sl_make(text, POLICY_SUBJECT_MAX)), POLICY_FIT_YES);
    assert_int_equal(policy_pattern_whole(p, sl_make(text, sizeof(text))), POLICY_FIT_NO);
    assert_false(mem_fault_hit());
    mem_fault_arm(0);
    assert_true(sl_eq(groups[0], SL("12345")) && sl_eq(groups[1], SL("1")));
    assert_true(groups[2].n == 0 && sl_eq(groups[3], SL("2345")) && groups[4].n == 0);
    policy_pattern_free(&p);
}

static void a_bad_pattern_says_where(void **state)
{
    static const char *const bad[] = {"(",
                                      "a{2,1}",
                                      "[z-a]",
                                      "*",
                                      "\\C",
                                      "(*UTF)x",
                                      "((((((((((((((((((((((a))))))))))))))))))))))"};
    struct policy_pattern *p = NULL;
    char why[128], text[POLICY_PATTERN_MAX + 1];
    size_t at;
    uint64_t n = 0;
    bool is_hit;
    int err;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(policy_pattern_new(&p, sl_str(bad[i]), &at, why), EBADMSG);
        assert_null(p);
        assert_true(why[0] != '\0' && at <= strlen(bad[i]));
    }
    memset(text, 'a', sizeof(text));
    assert_int_equal(policy_pattern_new(&p, sl_make(text, sizeof(text)), &at, why), EBADMSG);
    do {
        int64_t live = mem_live();

        mem_fault_arm(++n);
        err = policy_pattern_new(&p, SL("(a|b)+c"), &at, why);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(err, is_hit ? ENOMEM : 0);
        policy_pattern_free(&p);
        assert_int_equal(mem_live(), live);
    } while (is_hit);
    assert_true(n > 3);
}

/* --- numbers --- */

#define E164(t, x)                                                                                 \
    {                                                                                              \
        .form = POLICY_FORM_E164, .country = "49", .trunk = (t), .exit = (x)                       \
    }
static const struct policy_number_rule number_rules[][3] = {
    [0] = {E164("0", "00")},
    [1] = {{.form = POLICY_FORM_NATIONAL, .country = "49", .trunk = "0", .exit = "00"}},
    [2] = {{.form = POLICY_FORM_INTERNATIONAL, .exit = "00"}},
    [3] = {{.form = POLICY_FORM_DIGITS}},
    [4] = {{.prefix = "9", .replace = ""}, E164("0", "00")},
    [5] = {{.prefix = "00", .replace = "+", .stop = true}, {.prefix = "0", .replace = "+49"}},
    [6] = {{.strip = 2, .prepend = "77"}},
    [7] = {{.prepend = "123456789012345678901234567890123456789012345678901234567890"}},
    [8] = {E164("", "011")},
    [9] = {{.form = POLICY_FORM_E164, .country = "61", .trunk = "0", .exit = "0011"}},
    [10] = {{.form = POLICY_FORM_E164, .country = "1", .trunk = "1", .exit = "011"}},
};
static const struct {
    unsigned rules;
    const char *in, *out;
    bool changed;
} numbers[] = {
    {0, "030123", "+4930123", true},
    {0, "004330", "+4330", true},
    {0, "+4930", "+4930", false},
    {0, "112", "112", false},
    {0, "alice", "alice", false},
    {0, "0", "0", false},
    {0, "00", "00", false},
    {0, "000", "000", false}, /* an emergency number */
    {0, "0049", "0049", false},
    {0, "0001234", "0001234", false},
    {0, "0123", "0123", false}, /* shorter than any national number */
    {9, "000", "000", false},
    {9, "0298765432", "+61298765432", true},
    {9, "00114930123", "+4930123", true},
    {10, "112", "112", false},
    {10, "1411", "1411", false},
    {10, "12125550100", "+12125550100", true},
    {0, "", "", false},
    {1, "+4930123", "030123", true},
    {1, "+4330", "004330", true},
    {1, "030", "030", false},
    {1, "+", "+", false},
    {1, "+49", "0049", true},
    {2, "+4930", "004930", true},
    {3, "+4930", "4930", true},
    {3, "+49x", "+49x", false},
    {4, "9030123", "+4930123", true},
    {4, "030123", "+4930123", true},
    {5, "0049", "+49", true},
    {5, "0", "+49", true},
    {6, "12345", "77345", true},
    {6, "1", "1", false},
    {7, "1234", "1234", false}, /* would be too long */
    {7, "123", "123456789012345678901234567890123456789012345678901234567890123", true},
    {8, "0114930", "+4930", true},
    {8, "5551234", "5551234", false},
};

static void numbers_are_rewritten_step_by_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const struct policy_number_rule *rules = number_rules[numbers[i].rules];
        size_t n = rules[1].prefix != NULL || rules[1].form != POLICY_FORM_AS_IS ? 2 : 1;
        struct policy_number number = {0};
        struct sl own = sl_str(numbers[i].in);
        bool changed = policy_number_apply(rules, n, own, &number);

        if (changed != numbers[i].changed ||
            !sl_eq(policy_number_text(&number, own), sl_str(numbers[i].out))) {
            fail_msg("%u on %s: %.*s", numbers[i].rules, numbers[i].in,
                     SL_ARG(policy_number_text(&number, own)));
        }
    }
}

/* --- matches --- */

static const char *const texts_exact[] = {"110", "112"}, *const texts_prefix[] = {"+49", "+43"},
                         *const texts_user[] = {"1001", "2*"},
                         *const texts_header[] = {"X-Emergency", "!X-Test", "Subject: *urgent*"},
                         *const texts_codec[] = {"opus", "G722"};

#define TEXTS(a)                                                                                   \
    {                                                                                              \
        .e = (const char **)(uintptr_t)(a), .n = COUNT_OF(a)                                       \
    }

struct match_case {
    const char *what;
    struct policy_route route;
    enum policy_step_result want[2]; /* of the plain request, and of the one with everything */
};

static void try_case(const struct match_case *c)
{
    static const struct policy_header headers[] = {{{"x-emergency", 11}, {"1", 1}},
                                                   {{"Subject", 7}, {"an urgent call", 14}}};
    static const struct sl codecs[] = {{"PCMA", 4}, {"OPUS", 4}};
    struct policy_route route = c->route;
    struct policy_request plain, full;
    struct policy_verdict v[2];
    struct rig r;

    rig_up(&r);
    route.name = "r";
    route.to[0].kind = POLICY_USERS;
    route.n_to = 1;
    r.def.routes = &route;
    r.def.n_routes = 1;
    rig_compile(&r);
    plain = rig_call(INSIDE, "10.0.0.1", "112");
    full = rig_call(OUTSIDE, "172.16.0.1", "+4930123456789012345678901234567890");
    full.auth_user = 0;
    full.calling = SL("1001");
    full.headers = headers;
    full.n_headers = COUNT_OF(headers);
    full.codecs = codecs;
    full.n_codecs = COUNT_OF(codecs);
    full.wall_ms = 9 * 3600 * 1000;
    v[0] = decide(&r, &plain);
    v[1] = decide(&r, &full);
    for (size_t k = 0; k < 2; k++) {
        uint8_t got = v[k].steps[k == 0 ? 1 : 2].result;

        if (got != c->want[k]) {
            fail_msg("%s %zu: %d", c->what, k, got);
        }
    }
    assert_int_equal(policy_wants_headers(r.policy), route.headers.n != 0);
    assert_int_equal(policy_wants_codecs(r.policy), route.codecs.n != 0);
    rig_down(&r);
}

static void each_kind_of_match_says_what_differs(void **state)
{
    static uint16_t inside[] = {INSIDE};
    static struct policy_shift none = {INT64_MIN, 0};
    static struct policy_zone zone = {1, &none};
    static struct policy_hours hours = {8 * 60, 18 * 60};
    struct policy_pattern *pattern = NULL, *costly = NULL;
    char why[128];
    size_t at;

    (void)state;
    assert_int_equal(policy_pattern_new(&pattern, SL("\\+4\\d\\d+"), &at, why), 0);
    assert_int_equal(policy_pattern_new(&costly, SL("\\+(\\d+)+[x-z]"), &at, why), 0);
    const struct match_case cases[] = {
        {"listener", {.listeners = inside, .n_listeners = 1}, {POLICY_HIT, POLICY_MISS_LISTENER}},
        {"user", {.users = TEXTS(texts_user)}, {POLICY_MISS_USER, POLICY_HIT}},
        {"exact",
         {.called_by = {.by = POLICY_BY_EXACT, .texts = TEXTS(texts_exact)}},
         {POLICY_HIT, POLICY_MISS_CALLED}},
        {"prefix",
         {.called_by = {.by = POLICY_BY_PREFIX, .texts = TEXTS(texts_prefix)}},
         {POLICY_MISS_CALLED, POLICY_HIT}},
        {"pattern",
         {.called_by = {.by = POLICY_BY_PATTERN, .pattern = pattern}},
         {POLICY_MISS_CALLED, POLICY_HIT}},
        {"calling",
         {.calling_by = {.by = POLICY_BY_EXACT, .texts = TEXTS(texts_user)}},
         {POLICY_MISS_CALLING, POLICY_HIT}},
        {"headers", {.headers = TEXTS(texts_header)}, {POLICY_MISS_HEADER, POLICY_HIT}},
        {"codec", {.codecs = TEXTS(texts_codec)}, {POLICY_MISS_CODEC, POLICY_HIT}},
        {"time",
         {.when = {.zone = &zone, .hours = &hours, .n_hours = 1}},
         {POLICY_MISS_TIME, POLICY_HIT}},
        {"costly",
         {.called_by = {.by = POLICY_BY_PATTERN, .pattern = costly}},
         {POLICY_MISS_CALLED, POLICY_MISS_COSTLY}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        try_case(&cases[i]);
    }
    policy_pattern_free(&pattern);
    policy_pattern_free(&costly);
}

static void conditions_are_read_and_held(void **state)
{
    static const struct policy_header h[] = {{{"X-A", 3}, {"one", 3}}, {{"X-A", 3}, {"two", 3}}};
    static const struct {
        const char *text;
        int err;
        bool holds;
    } cases[] = {{"X-A", 0, true},        {"x-a", 0, true},         {"!X-A", 0, false},
                 {"X-B", 0, false},       {"!X-B", 0, true},        {"X-A: t*", 0, true},
                 {"X-A:three", 0, false}, {"!X-A: three", 0, true}, {"X-A:", 0, false},
                 {"", EBADMSG, false},    {"!", EBADMSG, false},    {"X A", EBADMSG, false},
                 {": x", EBADMSG, false}, {"X\rA", EBADMSG, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy_cond c = {.absent = false};

        assert_int_equal(policy_cond_parse(sl_str(cases[i].text), &c), cases[i].err);
        if (cases[i].err == 0 && policy_conds_hold(&c, 1, h, 2) != cases[i].holds) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_true(policy_conds_hold(NULL, 0, h, 2));
}

/* --- actions --- */

static void a_group_stands_for_its_peers(void **state)
{
    struct policy_ref members[] = {{.kind = POLICY_PEER, .peer = CARRIER},
                                   {.kind = POLICY_PEER, .peer = OFFICE}};
    struct policy_group group = {.name = "g", .peers = members, .n_peers = 2};
    struct policy_ref from = {.kind = POLICY_GROUP};
    struct policy_route route = {.name = "r", .from = &from, .n_from = 1, .n_to = 2};
    struct policy_verdict v;
    struct rig r;

    (void)state;
    rig_up(&r);
    route.to[0] = (struct policy_ref){.kind = POLICY_PEER, .peer = PBX};
    route.to[1] = (struct policy_ref){.kind = POLICY_GROUP};
    r.def.groups = &group;
    r.def.n_groups = 1;
    r.def.routes = &route;
    r.def.n_routes = 1;
    rig_compile(&r);
    v = decide(&r, &(struct policy_request){.method = SL("INVITE"),
                                            .listener = OUTSIDE,
                                            .source = rig_addr("192.0.2.1"),
                                            .auth_user = -1});
    assert_int_equal(v.action, POLICY_ROUTE);
    assert_int_equal(v.n_to, 3);
    assert_int_equal(v.to[0].peer, PBX);
    assert_int_equal(v.to[1].peer, CARRIER);
    assert_int_equal(v.to[2].peer, OFFICE);
    v = decide(&r, &(struct policy_request){.method = SL("INVITE"),
                                            .listener = INSIDE,
                                            .source = rig_addr("10.0.0.1"),
                                            .auth_user = -1});
    assert_int_equal(v.action, POLICY_REFUSE);
    rig_down(&r);
}

static void weights_draw_and_the_rest_stays(void **state)
{
    struct policy_route route = {.name = "r", .n_to = 4};
    unsigned first[3] = {0};
    struct rig r;

    (void)state;
    rig_up(&r);
    route.to[0] = (struct policy_ref){.kind = POLICY_USERS};
    route.to[1] = (struct policy_ref){.kind = POLICY_PEER, .peer = PBX, .weight = 70};
    route.to[2] = (struct policy_ref){.kind = POLICY_PEER, .peer = CARRIER, .weight = 20};
    route.to[3] = (struct policy_ref){.kind = POLICY_PEER, .peer = OFFICE, .weight = 10};
    r.def.routes = &route;
    r.def.n_routes = 1;
    rig_compile(&r);
    for (uint64_t i = 0; i < 1000; i++) {
        struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "1");
        struct policy_verdict v, again;

        rq.random = i;
        v = decide(&r, &rq);
        again = decide(&r, &rq);
        assert_memory_equal(v.to, again.to, sizeof(v.to)); /* the same number, the same order */
        assert_int_equal(v.to[0].kind, POLICY_USERS);
        assert_int_equal(v.to[1].peer + v.to[2].peer + v.to[3].peer, PBX + CARRIER + OFFICE);
        first[v.to[1].peer]++;
    }
    assert_int_equal(first[PBX], 700);
    assert_int_equal(first[CARRIER], 200);
    assert_int_equal(first[OFFICE], 100);
    rig_down(&r);
}

static void a_route_that_goes_on_rewrites_for_the_next_ones(void **state)
{
    static struct policy_number_rule plus[] = {{.prefix = "00", .replace = "+"}},
                                     strip[] = {{.strip = 1}}, mark[] = {{.prepend = "A"}};
    struct policy_ref to = {.kind = POLICY_PEER, .peer = CARRIER};
    struct policy_route routes[] = {
        {.name = "plus", .numbers = {.called = plus, .n_called = 1}, .goes_on = true},
        {.name = "zero", .called = "0*", .refuse_code = 484},
        {.name = "out", .called = "+*", .to = {to}, .n_to = 1}};
    struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "90049301");
    struct policy_number out[2];
    struct policy_verdict v;
    char text[2048];
    struct buf b;
    struct json j;
    struct rig r;

    (void)state;
    rig_up(&r);
    r.peers[PBX].numbers.in = (struct policy_numbers){.called = strip, .n_called = 1};
    r.peers[CARRIER].numbers.out = (struct policy_numbers){.calling = mark, .n_calling = 1};
    r.def.routes = routes;
    r.def.n_routes = COUNT_OF(routes);
    rig_compile(&r);
    v = decide(&r, &rq);
    assert_int_equal(v.route, 2);
    assert_true(sl_eq(policy_number_text(&v.called, rq.called), SL("+49301")));
    policy_numbers_out(r.policy, &v, &v.to[0], &rq, out);
    assert_true(sl_eq(policy_number_text(&out[0], rq.called), SL("+49301")));
    assert_true(sl_eq(policy_number_text(&out[1], rq.calling), SL("A100")));
    buf_init_fixed(&b, text, sizeof(text) - 1);
    json_init(&j, &b);
    policy_trace_json(r.policy, &v, &j);
    text[b.n] = '\0';
    assert_string_equal(
        text, "[{\"step\":\"source\",\"name\":\"pbx\",\"result\":\"matched\"},"
              "{\"step\":\"called\",\"name\":\"pbx\",\"result\":\"rewritten\"},"
              "{\"step\":\"route\",\"name\":\"plus\",\"result\":\"matched, goes on\"},"
              "{\"step\":\"called\",\"name\":\"plus\",\"result\":\"rewritten\"},"
              "{\"step\":\"route\",\"name\":\"zero\",\"result\":\"called number differs\"},"
              "{\"step\":\"route\",\"name\":\"out\",\"result\":\"matched\"},"
              "{\"step\":\"limit\",\"name\":\"pbx\",\"result\":\"within the limit\"},"
              "{\"step\":\"limit\",\"name\":\"node\",\"result\":\"within the limit\"},"
              "{\"step\":\"called\",\"name\":\"+49301\",\"result\":\"number used\"}]");
    rig_down(&r);
}

static void a_redirection_carries_the_number_and_no_limit(void **state)
{
    struct policy_route route = {.name = "r", .redirect = "sip:{called}@x.test;p={called}"};
    struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "a b>@\r");
    struct policy_verdict v;
    char text[128];
    struct buf b;
    struct rig r;

    (void)state;
    rig_up(&r);
    r.def.routes = &route;
    r.def.n_routes = 1;
    rig_compile(&r);
    v = decide(&r, &rq);
    assert_int_equal(v.action, POLICY_REDIRECT);
    assert_int_equal(v.sip_code, 302);
    assert_false(v.counted);
    buf_init_fixed(&b, text, sizeof(text));
    policy_put_redirect(&b, r.policy, &v, rq.called);
    assert_true(sl_eq(buf_sl(&b), SL("sip:a%20b%3E%40%0D@x.test;p=a%20b%3E%40%0D")));
    rig_down(&r);
}

static void failover_follows_the_route(void **state)
{
    struct policy_verdict v = {.route = 0};
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    assert_true(policy_fails_over(r.policy, &v, 503));
    assert_false(policy_fails_over(r.policy, &v, 500));
    r.routes[0].has_failover = true;
    assert_false(policy_fails_over(r.policy, &v, 503));
    r.routes[0].failover = (struct policy_codes){.e = {{500, 599}, {480, 480}}, .n = 2};
    assert_true(policy_fails_over(r.policy, &v, 599));
    assert_true(policy_fails_over(r.policy, &v, 480));
    assert_false(policy_fails_over(r.policy, &v, 486));
    v.route = -1;
    assert_false(policy_fails_over(r.policy, &v, 486));
    rig_down(&r);
}

/* --- the index --- */

enum { MANY = 600 };

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

struct many {
    struct policy_route routes[MANY];
    struct policy_ref from[MANY][2];
    char globs[MANY][8];
    char texts[MANY][2][8];
    const char *lists[MANY][2];
    struct policy_ref members[2];
    struct policy_group group;
    struct policy_table_ref table;
};

static void random_front(char *dst, size_t cap, uint64_t *x)
{
    size_t n = next_random(x) % (cap - 1);

    for (size_t i = 0; i < n; i++) {
        dst[i] = "012"[next_random(x) % 3];
    }
    dst[n] = '\0';
}

static void random_route(struct many *m, size_t i, uint64_t *x)
{
    struct policy_route *route = &m->routes[i];

    *route = (struct policy_route){.name = "r", .from = m->from[i], .n_from = next_random(x) % 3};
    for (size_t k = 0; k < 2; k++) {
        m->from[i][k] =
            (struct policy_ref){.kind = (enum policy_party)(POLICY_USERS + next_random(x) % 3),
                                .peer = (uint16_t)(next_random(x) % 3)};
        if (m->from[i][k].kind == POLICY_GROUP) {
            m->from[i][k].peer = 0;
        }
        random_front(m->texts[i][k], 7, x);
        m->lists[i][k] = m->texts[i][k];
    }
    route->called_by.texts = (struct policy_texts){.e = m->lists[i], .n = 2};
    switch (next_random(x) % 5) {
    case 0:
        route->called_by.by = POLICY_BY_EXACT;
        break;
    case 1:
        route->called_by.by = POLICY_BY_PREFIX;
        break;
    case 2:
        route->called_by = (struct policy_number_match){.by = POLICY_BY_TABLE,
                                                        .tag = next_random(x) % 2 != 0 ? "a" : "b"};
        break;
    default:
        route->called_by.texts.n = 0;
        random_front(m->globs[i], 5, x);
        if (next_random(x) % 8 != 0) { /* else exactly that */
            memcpy(m->globs[i] + strlen(m->globs[i]), next_random(x) % 2 != 0 ? "*" : "?", 2);
        }
        route->called = m->globs[i];
        break;
    }
}

static int first_by_walk(const struct policy *p, struct policy_facts *f)
{
    for (size_t i = 0; i < MANY; i++) {
        if (policy_try(p, i, f) == POLICY_HIT) {
            return (int)i;
        }
    }
    return -1;
}

static void no_twice(void *arg, uint32_t line, uint32_t first)
{
    (void)arg;
    (void)line;
    (void)first;
}

static void the_index_finds_what_a_walk_would_find(void **state)
{
    static struct many m;
    struct policy_table_draft *d = NULL;
    uint64_t x = 0x2545F4914F6CDD1DULL;
    unsigned hits = 0;
    struct rig r;
    size_t bad;

    (void)state;
    m.members[0] = (struct policy_ref){.kind = POLICY_PEER, .peer = PBX};
    m.members[1] = (struct policy_ref){.kind = POLICY_PEER, .peer = OFFICE};
    m.group = (struct policy_group){.name = "g", .peers = m.members, .n_peers = 2};
    assert_int_equal(policy_table_draft_new(&d), 0);
    assert_int_equal(policy_table_add(d, SL("01"), SL("a"), 1, &bad), 0);
    assert_int_equal(policy_table_add(d, SL("012"), SL("b"), 2, &bad), 0);
    assert_int_equal(policy_table_build(&m.table.table, &d, no_twice, NULL), 0);
    for (size_t round = 0; round < 20; round++) {
        rig_up(&r);
        for (size_t i = 0; i < MANY; i++) {
            random_route(&m, i, &x);
        }
        r.def.groups = &m.group;
        r.def.n_groups = 1;
        r.def.tables = &m.table;
        r.def.n_tables = 1;
        r.def.routes = m.routes;
        r.def.n_routes = MANY;
        rig_compile(&r);
        assert_non_null(r.policy->index.buckets);
        for (size_t k = 0; k < 200; k++) {
            static const char *const sources[] = {"10.0.0.1", "10.1.0.1"};
            char number[8];
            struct policy_request rq = rig_call(INSIDE, sources[k % 2], number);
            struct policy_verdict v;
            struct policy_facts f;

            random_front(number, sizeof(number), &x);
            rq.called = sl_str(number);
            v = decide(&r, &rq);
            policy_facts_init(&f, r.policy, &rq, &v);
            assert_int_equal(v.route, first_by_walk(r.policy, &f));
            assert_int_equal(v.n_steps >= 2, 1);
            hits += v.route >= 0;
        }
        rig_down(&r);
    }
    assert_true(hits > 1000);
    policy_table_free(&m.table.table);
}

static void compiling_many_routes_survives_every_failing_allocation(void **state)
{
    static struct many m;
    uint64_t x = 88172645463325252ULL, n = 0;
    struct rig r;
    bool is_hit;

    (void)state;
    rig_up(&r);
    for (size_t i = 0; i < MANY; i++) {
        random_route(&m, i, &x);
        if (m.routes[i].called_by.by == POLICY_BY_TABLE) {
            m.routes[i].called_by.by = POLICY_BY_ANY;
        }
    }
    m.group = (struct policy_group){.name = "g", .peers = m.members};
    r.def.groups = &m.group;
    r.def.n_groups = 1;
    r.def.routes = m.routes;
    r.def.n_routes = MANY;
    do {
        int64_t live = mem_live();
        int err;

        mem_fault_arm(++n);
        err = policy_compile(&r.policy, &r.def, NULL);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_true(err == 0 || (is_hit && err == ENOMEM));
        policy_free(&r.policy);
        assert_int_equal(mem_live(), live);
    } while (is_hit);
    assert_true(n > 10);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_fits_the_whole_and_never_runs_away),
        cmocka_unit_test(a_match_takes_no_memory_from_the_heap),
        cmocka_unit_test(a_bad_pattern_says_where),
        cmocka_unit_test(numbers_are_rewritten_step_by_step),
        cmocka_unit_test(each_kind_of_match_says_what_differs),
        cmocka_unit_test(conditions_are_read_and_held),
        cmocka_unit_test(a_group_stands_for_its_peers),
        cmocka_unit_test(weights_draw_and_the_rest_stays),
        cmocka_unit_test(a_route_that_goes_on_rewrites_for_the_next_ones),
        cmocka_unit_test(a_redirection_carries_the_number_and_no_limit),
        cmocka_unit_test(failover_follows_the_route),
        cmocka_unit_test(the_index_finds_what_a_walk_would_find),
        cmocka_unit_test(compiling_many_routes_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
