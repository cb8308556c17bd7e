/* test_policy_trace.c - the steps of a verdict, and how they read. */
#include "policy_rig.h"

#define STEP(step, name, result)                                                                   \
    "{\"step\":\"" step "\",\"name\":" name ",\"result\":\"" result "\"}"

#define OVER(name, reason) STEP("over", "\"" name "\"", "1 of 1 in use: " reason)

static void assert_trace(const struct policy *p, const struct policy_verdict *v, const char *want)
{
    char text[8192];
    struct buf b;
    struct json j;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    json_init(&j, &b);
    policy_trace_json(p, v, &j);
    assert_int_equal(buf_err(&b), 0);
    text[b.n] = '\0';
    assert_string_equal(text, want);
}

static const struct {
    uint8_t listener;
    const char *source, *method, *called, *host, *calling;
    int user;
    const char *want;
} ways[] = {
    {INSIDE, "172.16.0.1", "INVITE", "1", "h", "x", -1,
     "[" STEP("source", "null", "none found") "]"},
    {OUTSIDE, "172.16.0.1", "INVITE", "1", "h", "x", -1,
     "[" STEP("source", "null", "none found") "," STEP("auth", "null", "none found") "]"},
    {OUTSIDE, "172.16.0.1", "INVITE", "1002", "h", "x", 1,
     "[" STEP("source", "null", "none found") "," STEP("auth", "\"1002\"", "matched") "," STEP(
         "route", "\"internal\"", "matched") "," STEP("limit", "\"node\"", "within the limit") "]"},
    {INSIDE, "10.0.0.1", "INVITE", "0900", "h", "x", -1,
     "[" STEP("source", "\"pbx\"", "matched") "," STEP(
         "route", "\"internal\"",
         "not from this source") "," STEP("route", "\"outbound\"",
                                          "called number differs") "," STEP("route", "\"blocked\"",
                                                                            "matched") "]"},
    {INSIDE, "10.1.0.1", "INVITE", "5", "h", "1", -1,
     "[" STEP("source", "\"office\"", "matched") "," STEP("route", "\"internal\"", "not from this source") "," STEP("route", "\"outbound\"", "not from this source") "," STEP(
         "route", "\"blocked\"",
         "called number differs") "," STEP("route", "\"domain\"",
                                           "domain differs") "," STEP("route", "\"method\"",
                                                                      "method differs") "," STEP("r"
                                                                                                 "o"
                                                                                                 "u"
                                                                                                 "t"
                                                                                                 "e",
                                                                                                 "\"calling\"",
                                                                                                 "c"
                                                                                                 "a"
                                                                                                 "l"
                                                                                                 "l"
                                                                                                 "i"
                                                                                                 "n"
                                                                                                 "g"
                                                                                                 " "
                                                                                                 "n"
                                                                                                 "u"
                                                                                                 "m"
                                                                                                 "b"
                                                                                                 "e"
                                                                                                 "r"
                                                                                                 " "
                                                                                                 "d"
                                                                                                 "i"
                                                                                                 "f"
                                                                                                 "f"
                                                                                                 "e"
                                                                                                 "r"
                                                                                                 "s") "," STEP("route",
                                                                                                               "\"inbound\"",
                                                                                                               "not from this source") "," STEP("route",
                                                                                                                                                "null",
                                                                                                                                                "none found") "]"},
    {OUTSIDE, "192.0.2.1", "MESSAGE", "0900", "h", "x", -1,
     "[" STEP("source", "\"carrier\"", "matched") "," STEP(
         "route", "\"internal\"",
         "not from this source") "," STEP("route", "\"outbound\"",
                                          "not from this source") "," STEP("route", "\"blocked\"",
                                                                           "matched") "]"},
};

static void each_way_through_the_house_reads_as_it_went(void **state)
{
    struct rig r;

    (void)state;
    rig_up(&r);
    rig_compile(&r);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct policy_request rq = rig_call(ways[i].listener, ways[i].source, ways[i].called);
        struct policy_verdict v;

        rq.method = sl_str(ways[i].method);
        rq.called_host = sl_str(ways[i].host);
        rq.calling = sl_str(ways[i].calling);
        rq.auth_user = ways[i].user;
        policy_decide(r.policy, &rq, 1000, &v);
        assert_int_equal(v.n_steps, v.n_kept);
        assert_trace(r.policy, &v, ways[i].want);
    }
    rig_down(&r);
}

static void a_limit_in_the_way_is_the_last_step(void **state)
{
    static const char start[] = "[" STEP("source", "\"pbx\"", "matched") "," STEP(
        "route", "\"internal\"", "not from this source") "," STEP("route", "\"outbound\"",
                                                                  "matched") ",";
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "+49");
    char want[1024];

    (void)state;
    rig_up(&r);
    r.peers[PBX].limit.calls = 1;
    r.def.limit.calls = 1;
    rig_compile(&r);
    policy_decide(r.policy, &rq, 1000, &v);
    snprintf(want, sizeof(want), "%s%s,%s]", start, STEP("limit", "\"pbx\"", "within the limit"),
             STEP("limit", "\"node\"", "within the limit"));
    assert_trace(r.policy, &v, want);
    policy_decide(r.policy, &rq, 1000, &v);
    snprintf(want, sizeof(want), "%s%s,%s]", start, STEP("limit", "\"pbx\"", "over the limit"),
             OVER("peers.pbx.limits.calls", "Peer has too many calls"));
    assert_trace(r.policy, &v, want);
    r.peers[PBX].limit.calls = 0;
    policy_decide(r.policy, &rq, 1000, &v);
    snprintf(want, sizeof(want), "%s%s,%s,%s]", start, STEP("limit", "\"pbx\"", "within the limit"),
             STEP("limit", "\"node\"", "over the limit"), OVER("limits.calls", "Too many calls"));
    assert_trace(r.policy, &v, want);
    rig_down(&r);
}

/* What decided is kept, however many routes were tried before. */
static void a_long_way_keeps_its_start_and_its_end(void **state)
{
    enum { N = 100 };
    static struct policy_route routes[N];
    struct rig r;
    struct policy_verdict v;
    struct policy_request rq = rig_call(INSIDE, "10.0.0.1", "7");
    char text[8192];
    struct buf b;
    struct json j;

    (void)state;
    rig_up(&r);
    for (size_t i = 0; i < N; i++) {
        routes[i] = r.routes[R_OUTBOUND];
        routes[i].name = i < N - 1 ? "miss" : "hit";
        routes[i].called = i < N - 1 ? "8" : "7";
    }
    r.def.routes = routes;
    r.def.n_routes = N;
    rig_compile(&r);
    policy_decide(r.policy, &rq, 1000, &v);
    assert_int_equal(v.route, N - 1);
    assert_int_equal(v.n_steps, 1 + N + 2);
    assert_int_equal(v.n_kept, POLICY_TRACE_MAX - 1);
    buf_init_fixed(&b, text, sizeof(text) - 1);
    json_init(&j, &b);
    policy_trace_json(r.policy, &v, &j);
    text[b.n] = '\0';
    assert_non_null(strstr(
        text,
        STEP("route", "\"miss\"", "called number differs") "," STEP(
            "route", "null",
            "80 more did not match") "," STEP("route", "\"hit\"",
                                              "matched") "," STEP("limit", "\"pbx\"",
                                                                  "within the limit") "," STEP("lim"
                                                                                               "it",
                                                                                               "\"n"
                                                                                               "ode"
                                                                                               "\"",
                                                                                               "wit"
                                                                                               "hin"
                                                                                               " th"
                                                                                               "e "
                                                                                               "lim"
                                                                                               "it") "]"));
    routes[N - 1].called = "8";
    policy_free(&r.policy);
    rig_compile(&r);
    policy_decide(r.policy, &rq, 1000, &v);
    assert_int_equal(v.sip_code, 404);
    assert_int_equal(v.steps[v.n_kept - 1].result, POLICY_NOT_FOUND);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_through_the_house_reads_as_it_went),
        cmocka_unit_test(a_limit_in_the_way_is_the_last_step),
        cmocka_unit_test(a_long_way_keeps_its_start_and_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
