/* test_flow_health.c - targets that are down, failing, slow or drained: what calls and messages do
 * about them, and how they come back. */
#include "rig.h"

#include <stdio.h>

#define LISTENERS                                                                                  \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"                 \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32]}\n"
#define ROUTE "routes: [{name: in, to: [pbx]}]\n"
/* One peer, two targets. */
#define PBX(settings)                                                                              \
    LISTENERS "  pbx: {listener: inside, sources: [10.1.1.20/32],\n"                               \
              "    targets: [\"sip:10.1.1.20:5070\", \"sip:10.1.1.21:5070\"],\n    " settings      \
              "}\n" ROUTE
/* Two peers, one target each. */
#define TWO(settings, to)                                                                          \
    LISTENERS "  pbx: {listener: inside, targets: \"sip:10.1.1.20:5070\", " settings "}\n"         \
              "  spare: {listener: inside, targets: \"sip:10.1.1.21:5070\"}\n"                     \
              "routes: [{name: in, to: " to "}]\n"
#define PROBED "probe: {every: 30s, timeout: 1s, fail_after: 3, rise_after: 2}"

struct stage {
    struct rig *r;
    struct phone a, first, second;
};

static void stage_up(struct stage *s, const char *text, unsigned workers)
{
    s->r = rig_up(text, workers);
    phone_init(&s->a, s->r, 0, "carol", "192.0.2.30:5060");
    phone_init(&s->first, s->r, 1, "bob", "10.1.1.20:5070");
    phone_init(&s->second, s->r, 1, "bob2", "10.1.1.21:5070");
}

static void stage_call(struct stage *s)
{
    phone_renew(&s->a);
    phone_invite(&s->a, CALLED, phone_sdp(&s->a, NULL));
    EXPECT(&s->a, "100 INVITE");
}

static void stage_lost(struct stage *s, const char *heard)
{
    EXPECT(&s->a, heard);
    phone_ack_failure(&s->a);
}

/* The phone gets the call and answers with this failure, which is the caller's. */
static void refused_by(struct stage *s, struct phone *p, unsigned status)
{
    char heard[32];

    EXPECT(p, "INVITE");
    phone_answer_invite(p, status, NULL);
    EXPECT(p, "ACK");
    snprintf(heard, sizeof(heard), "%u INVITE", status);
    stage_lost(s, heard);
}

static enum policy_target_state state_of(const struct stage *s, const char *peer, size_t target)
{
    const struct policy *p = s->r->b.cfg->policy;
    const struct policy_peer *e = &policy_def(p)->peers[policy_peer_by_name(p, sl_str(peer))];
    struct policy_target_report report;

    policy_target_report(e, &e->targets[target], clock_now_ms(&s->r->clocks[0]), &report);
    return report.state;
}

static const struct policy_peer *peer_of(const struct stage *s, const char *name)
{
    const struct policy *p = s->r->b.cfg->policy;

    return &policy_def(p)->peers[policy_peer_by_name(p, sl_str(name))];
}

static uint32_t waiting_of(const struct stage *s, size_t target)
{
    struct policy_target_report report;
    const struct policy_peer *pbx = peer_of(s, "pbx");

    policy_target_report(pbx, &pbx->targets[target], 0, &report);
    return report.waiting;
}

/* A new probe, not an old one once more. */
static bool is_probed(struct phone *p)
{
    static char seen[16][RIG_ID_MAX];
    static size_t n;
    struct sl id;

    if (!phone_try(p, "OPTIONS")) {
        return false;
    }
    id = msg_hdr(sl_str(p->got), "Call-ID", 0);
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        if (sl_eq(id, sl_str(seen[i]))) {
            return false;
        }
    }
    memcpy(seen[n], id.p, id.n);
    seen[n][id.n] = '\0';
    n = (n + 1) % COUNT_OF(seen);
    return true;
}

/* Lets time pass until the first target was probed exactly so often; the second one is well. */
static void probe_first(struct stage *s, unsigned n, unsigned status)
{
    unsigned seen = 0;

    for (unsigned ms = 0; ms < n * 40000 && seen < n; ms += 100) {
        rig_advance(s->r, 100);
        if (is_probed(&s->second)) {
            phone_answer(&s->second, 200, NULL);
        }
        if (is_probed(&s->first)) {
            seen++;
            if (status != 0) {
                phone_answer(&s->first, status, NULL);
            }
        }
    }
    assert_int_equal(seen, n);
}

/* Lets time pass until both targets were probed so often, one of them perhaps oftener. */
static void probe_rounds(struct stage *s, unsigned n, unsigned first, unsigned second)
{
    unsigned seen[2] = {0, 0};
    struct phone *const p[2] = {&s->first, &s->second};
    const unsigned say[2] = {first, second};

    for (unsigned ms = 0; ms < n * 40000 && (seen[0] < n || seen[1] < n); ms += 100) {
        rig_advance(s->r, 100);
        for (unsigned i = 0; i < 2; i++) {
            if (is_probed(p[i])) {
                seen[i]++;
                phone_answer(p[i], say[i], NULL);
            }
        }
    }
    assert_true(seen[0] >= n && seen[1] >= n);
}

/* Probes would go on for ever: without them the house gets quiet. */
static void stage_down(struct stage *s, const char *quiet)
{
    if (quiet != NULL) {
        rig_reload(s->r, quiet);
    }
    phone_drop_mail(&s->first);
    phone_drop_mail(&s->second);
    s->r->is_noisy = true;
    rig_down(s->r);
}

static void a_probe_is_an_options_and_an_answer_of_any_kind_is_a_sign_of_life(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED), 1);
    rig_advance(s.r, 30000);
    EXPECT(&s.first, "OPTIONS");
    HAS(s.first.got, "OPTIONS sip:10.1.1.20:5070 SIP/2.0\r\n");
    HAS(s.first.got, "From: <sip:postern@10.1.1.1>;tag=");
    HAS(s.first.got, "Max-Forwards: 70\r\n");
    phone_drop_mail(&s.first);
    phone_drop_mail(&s.second);
    probe_rounds(&s, 4, 404, 503); /* who knows no OPTIONS lives; 503 says that nobody serves */
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    assert_int_equal(state_of(&s, "pbx", 1), POLICY_TARGET_DOWN);
    stage_down(&s, PBX("drain: false"));
}

static void probes_come_once_in_each_interval_and_not_to_all_targets_at_once(void **state)
{
    unsigned n[2] = {0, 0}, together = 0;
    struct stage s;

    (void)state;
    stage_up(&s, PBX("probe: {every: 10s}"), 1);
    for (unsigned ms = 0; ms < 400000; ms += 10) {
        unsigned now = 0;

        rig_advance(s.r, 10);
        if (phone_try(&s.first, "OPTIONS")) {
            phone_answer(&s.first, 200, NULL);
            n[0]++, now++;
        }
        if (phone_try(&s.second, "OPTIONS")) {
            phone_answer(&s.second, 200, NULL);
            n[1]++, now++;
        }
        together += now == 2 ? 1 : 0;
    }
    assert_in_range(n[0], 36, 45);
    assert_in_range(n[1], 36, 45);
    assert_true(together < 20);
    stage_down(&s, PBX("drain: false"));
}

static void a_target_goes_down_after_fail_after_and_rises_after_rise_after(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED), 1);
    probe_first(&s, 1, 200);
    probe_first(&s, 2, 0);
    rig_advance(s.r, 1100);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP); /* two lost: not yet */
    probe_first(&s, 1, 0);
    rig_advance(s.r, 1100);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_DOWN);
    assert_int_equal(stat_sum(STAT_TARGET_DOWN), 1);
    phone_drop_mail(&s.first);
    phone_drop_mail(&s.second);
    stage_call(&s);
    refused_by(&s, &s.second, 486); /* at once, without waiting for the dead one */
    probe_first(&s, 1, 200);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_DOWN);
    probe_first(&s, 1, 200);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    assert_int_equal(stat_sum(STAT_TARGET_UP), 1);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, PBX("drain: false"));
}

static void when_all_targets_are_down_the_call_is_refused_at_once_with_the_reason(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED), 1);
    probe_rounds(&s, 4, 503, 503);
    stage_call(&s);
    EXPECT(&s.a, "503 INVITE");
    HAS(s.a.got, "Retry-After: 30\r\n");
    phone_ack_failure(&s.a);
    talk_record_is("policy", "All targets are down", 503);
    stage_down(&s, PBX("drain: false"));
}

static void the_operator_may_have_them_tried_all_the_same(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED ", failover: {last_resort: try}"), 1);
    probe_rounds(&s, 4, 503, 503);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, PBX("drain: false"));
}

static void what_is_known_of_a_target_outlives_a_reload_that_keeps_it(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED), 1);
    probe_rounds(&s, 4, 503, 200);
    rig_reload(s.r, PBX(PROBED ", limits: {calls: 5}"));
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_DOWN);
    phone_drop_mail(&s.first);
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    rig_reload(s.r, PBX("drain: false")); /* nobody asks any more: nobody says that it is down */
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    stage_down(&s, NULL);
}

static void one_worker_asks_and_all_of_them_know(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX(PROBED), 2);
    probe_rounds(&s, 4, 503, 200);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_DOWN);
    phone_drop_mail(&s.first);
    phone_drop_mail(&s.second);
    for (unsigned w = 0; w < 4; w++) { /* Call-IDs of both workers */
        s.a.worker = w % 2;
        stage_call(&s);
        refused_by(&s, &s.second, 486);
    }
    QUIET(&s.first);
    stage_down(&s, PBX("drain: false"));
}

/* --- the breaker --- */

/* The first target says 503, the second takes the call and declines it. */
static void failed_over(struct stage *s, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        stage_call(s);
        EXPECT(&s->first, "INVITE");
        phone_answer_invite(&s->first, 503, NULL);
        EXPECT(&s->first, "ACK");
        refused_by(s, &s->second, 486);
    }
}

static void failures_in_a_row_put_a_target_behind_the_others_until_a_trial_is_answered(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 3, retry: 30s}"), 1);
    failed_over(&s, 2);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    failed_over(&s, 1);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    QUIET(&s.first);
    rig_advance(s.r, 29999);
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    rig_advance(s.r, 1);
    stage_call(&s); /* the trial */
    EXPECT(&s.first, "INVITE");
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_TRIAL);
    phone_answer_invite(&s.first, 503, NULL);
    EXPECT(&s.first, "ACK");
    refused_by(&s, &s.second, 486);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    rig_advance(s.r, 59999); /* twice as long */
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    rig_advance(s.r, 1);
    stage_call(&s);
    refused_by(&s, &s.first, 486); /* busy is an answer: it lives */
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    assert_int_equal(stat_sum(STAT_BREAKER_OPEN), 1);
    assert_int_equal(stat_sum(STAT_BREAKER_CLOSED), 1);
    stage_down(&s, NULL);
}

static void only_one_call_at_a_time_tries_and_the_others_go_where_it_is_safe(void **state)
{
    struct stage s;
    struct phone other;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 1}"), 1);
    failed_over(&s, 1);
    rig_advance(s.r, 30000);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    phone_answer_invite(&s.first, 180, NULL);
    EXPECT(&s.a, "180 INVITE");
    phone_init(&other, s.r, 0, "dora", "192.0.2.30:5060");
    talk_start(&other, &s.second);
    talk_refuse(&s.second, 486, &other, "486 INVITE");
    phone_answer_invite(&s.first, 486, NULL);
    EXPECT(&s.first, "ACK");
    stage_lost(&s, "486 INVITE");
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    stage_down(&s, NULL);
}

static void a_trial_that_its_caller_gives_up_lets_the_next_call_try(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 1}"), 1);
    failed_over(&s, 1);
    rig_advance(s.r, 30000);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    phone_answer_invite(&s.first, 180, NULL);
    EXPECT(&s.a, "180 INVITE");
    phone_cancel(&s.a);
    EXPECT(&s.a, "200 CANCEL");
    stage_lost(&s, "487 INVITE");
    talk_cancelled(&s.first);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, NULL);
}

static void silence_and_a_dead_connection_are_failures_too(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 2}"), 1);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    rig_advance(s.r, 2000); /* failover.timeout */
    refused_by(&s, &s.second, 486);
    assert_int_equal(waiting_of(&s, 0), 0);
    phone_drop_mail(&s.first);
    rig_block(s.r, "10.1.1.20:5070", EHOSTUNREACH);
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    rig_block(s.r, "10.1.1.20:5070", 0);
    stage_down(&s, NULL);
}

/* What a caller writes into its own name is no trouble of those who shall not hear it. */
static void a_caller_that_names_itself_too_well_blames_no_target(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 2}"), 1);
    for (unsigned i = 0; i < 4; i++) {
        bool is_call = i < 2;

        phone_renew(&s.a);
        assert_true(snprintf(s.a.local, sizeof(s.a.local), "\"%s\" <sip:carol@example.net>",
                             s.a.tag) < (int)sizeof(s.a.local));
        phone_request(&s.a, is_call ? "INVITE" : "MESSAGE", CALLED,
                      is_call ? phone_sdp(&s.a, NULL) : "hello");
        if (is_call) {
            EXPECT(&s.a, "100 INVITE");
            stage_lost(&s, "500 INVITE");
        } else {
            EXPECT(&s.a, "480 MESSAGE");
        }
    }
    QUIET(&s.first);
    QUIET(&s.second);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    assert_int_equal(state_of(&s, "pbx", 1), POLICY_TARGET_UP);
    s.r->leaks_due = 8;
    stage_down(&s, NULL);
}

static void a_peer_whose_calls_fail_is_tried_when_nothing_else_is_left(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, TWO("breaker: {failures: 1}", "pbx"), 1);
    stage_call(&s);
    refused_by(&s, &s.first, 503);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    stage_call(&s); /* an ordinary peer is never worse off than without a breaker */
    refused_by(&s, &s.first, 503);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    stage_down(&s, NULL);
}

static void a_suspect_target_is_tried_after_the_healthy_one_has_failed(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 1}"), 1);
    failed_over(&s, 1);
    stage_call(&s);
    EXPECT(&s.second, "INVITE");
    phone_answer_invite(&s.second, 503, NULL);
    EXPECT(&s.second, "ACK");
    refused_by(&s, &s.first, 486);
    stage_down(&s, NULL);
}

static void too_few_answered_calls_open_the_breaker_when_it_is_asked_for(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: off, answer_ratio: 20, seizures: 10}"), 1);
    for (unsigned i = 0; i < 9; i++) {
        stage_call(&s);
        refused_by(&s, &s.first, 486);
    }
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    stage_down(&s, NULL);
}

static void by_default_busy_callees_and_a_few_503_change_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("drain: false"), 1);
    for (unsigned i = 0; i < 30; i++) {
        stage_call(&s);
        refused_by(&s, &s.first, 486);
    }
    failed_over(&s, 9);
    stage_call(&s);
    refused_by(&s, &s.first, 404);
    failed_over(&s, 9);
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    stage_down(&s, NULL);
}

/* --- a slow target --- */

static void a_target_that_owes_too_many_answers_gets_no_more_calls(void **state)
{
    struct stage s;
    struct phone other;

    (void)state;
    stage_up(&s, PBX("failover: {waiting: 1, timeout: 10s}"), 1);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    assert_int_equal(waiting_of(&s, 0), 1);
    phone_init(&other, s.r, 0, "dora", "192.0.2.30:5060");
    phone_invite(&other, CALLED, phone_sdp(&other, NULL));
    EXPECT(&other, "100 INVITE");
    EXPECT(&s.second, "INVITE"); /* without waiting for the slow one */
    talk_refuse(&s.second, 486, &other, "486 INVITE");
    assert_int_equal(stat_sum(STAT_TARGET_WAITING), 1);
    phone_answer_invite(&s.first, 100, NULL); /* slow, but there: it owes nothing now */
    assert_int_equal(waiting_of(&s, 0), 0);
    phone_answer_invite(&s.first, 486, NULL);
    EXPECT(&s.first, "ACK");
    stage_lost(&s, "486 INVITE");
    stage_down(&s, NULL);
}

static void when_every_target_owes_too_much_the_caller_hears_503_and_why(void **state)
{
    struct stage s;
    struct phone other;

    (void)state;
    stage_up(&s, TWO("failover: {waiting: 1, timeout: 10s}", "pbx"), 1);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    phone_init(&other, s.r, 0, "dora", "192.0.2.30:5060");
    phone_invite(&other, CALLED, phone_sdp(&other, NULL));
    EXPECT(&other, "100 INVITE");
    EXPECT(&other, "503 INVITE");
    HAS(other.got, "Retry-After: 5\r\n");
    phone_ack_failure(&other);
    talk_record_is("system", "the target owes too many answers", 503);
    phone_answer_invite(&s.first, 486, NULL);
    EXPECT(&s.first, "ACK");
    stage_lost(&s, "486 INVITE");
    stage_down(&s, NULL);
}

/* --- drain --- */

static void a_drained_peer_gets_no_new_calls_and_keeps_its_running_ones(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, TWO("drain: false", "[pbx, spare]"), 1);
    stage_call(&s);
    EXPECT(&s.first, "INVITE");
    talk_answer(&s.a, &s.first);
    policy_drain(peer_of(&s, "pbx"), NULL, true);
    phone_bye(&s.a);
    EXPECT(&s.first, "BYE");
    phone_answer(&s.first, 200, NULL);
    EXPECT(&s.a, "200 BYE");
    rig_reload(s.r, TWO("limits: {calls: 9}", "[pbx, spare]")); /* the order stands */
    stage_call(&s);
    refused_by(&s, &s.second, 486);
    policy_drain(peer_of(&s, "pbx"), NULL, false);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, NULL);
}

static void a_drained_target_is_passed_over_even_as_a_last_resort(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("failover: {last_resort: try}"), 1);
    policy_drain(peer_of(&s, "pbx"), &peer_of(&s, "pbx")->targets[0], true);
    stage_call(&s);
    EXPECT(&s.second, "INVITE");
    phone_answer_invite(&s.second, 503, NULL);
    EXPECT(&s.second, "ACK");
    stage_lost(&s, "503 INVITE");
    QUIET(&s.first);
    policy_drain(peer_of(&s, "pbx"), &peer_of(&s, "pbx")->targets[0], false);
    stage_down(&s, NULL);
}

static void a_configuration_can_drain_and_says_so(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, TWO("drain: true", "pbx"), 1);
    stage_call(&s);
    stage_lost(&s, "503 INVITE");
    talk_record_is("policy", "All targets are drained", 503);
    rig_reload(s.r, TWO("drain: false", "pbx"));
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, NULL);
}

static void weights_share_out_among_those_that_are_well(void **state)
{
    static const char to[] = "[{peer: pbx, weight: 1000}, {peer: spare, weight: 1}]";
    char text[2048];
    struct stage s;

    (void)state;
    snprintf(text, sizeof(text), TWO("drain: true", "%s"), to);
    stage_up(&s, text, 1);
    for (unsigned i = 0; i < 8; i++) {
        stage_call(&s);
        refused_by(&s, &s.second, 486);
    }
    stage_down(&s, NULL);
}

/* --- messages --- */

static void messages_pass_over_what_is_down_and_tell_what_they_find(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, PBX("breaker: {failures: 1}"), 1);
    phone_renew(&s.a);
    phone_request(&s.a, "MESSAGE", CALLED, "one");
    EXPECT(&s.first, "MESSAGE");
    phone_answer(&s.first, 503, NULL);
    EXPECT(&s.second, "MESSAGE");
    phone_answer(&s.second, 200, NULL);
    EXPECT(&s.a, "200 MESSAGE");
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_SUSPECT);
    phone_renew(&s.a);
    phone_request(&s.a, "MESSAGE", CALLED, "two");
    EXPECT(&s.second, "MESSAGE");
    phone_answer(&s.second, 500, NULL);
    EXPECT(&s.first, "MESSAGE"); /* nothing better is left */
    phone_answer(&s.first, 200, NULL);
    EXPECT(&s.a, "200 MESSAGE");
    assert_int_equal(state_of(&s, "pbx", 0), POLICY_TARGET_UP);
    assert_int_equal(waiting_of(&s, 0) + waiting_of(&s, 1), 0);
    stage_down(&s, NULL);
}

#define RANKED                                                                                     \
    LISTENERS "  pbx:\n    listener: inside\n    targets:\n"                                       \
              "      - {uri: \"sip:10.1.1.20:5070\", priority: 20, weight: 9}\n"                   \
              "      - {priority: 10, uri: \"sip:10.1.1.21:5070\"}\n" ROUTE

static void targets_of_lower_priority_are_tried_first(void **state)
{
    struct stage s;

    (void)state;
    stage_up(&s, RANKED, 1);
    stage_call(&s);
    EXPECT(&s.second, "INVITE");
    phone_answer_invite(&s.second, 503, NULL);
    EXPECT(&s.second, "ACK");
    refused_by(&s, &s.first, 486);
    policy_drain(peer_of(&s, "pbx"), &peer_of(&s, "pbx")->targets[1], true);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    rig_reload(s.r, PBX("drain: false")); /* what is written first is first again */
    policy_drain(peer_of(&s, "pbx"), &peer_of(&s, "pbx")->targets[1], false);
    stage_call(&s);
    refused_by(&s, &s.first, 486);
    stage_down(&s, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_of_lower_priority_are_tried_first),
        cmocka_unit_test(a_probe_is_an_options_and_an_answer_of_any_kind_is_a_sign_of_life),
        cmocka_unit_test(probes_come_once_in_each_interval_and_not_to_all_targets_at_once),
        cmocka_unit_test(a_target_goes_down_after_fail_after_and_rises_after_rise_after),
        cmocka_unit_test(when_all_targets_are_down_the_call_is_refused_at_once_with_the_reason),
        cmocka_unit_test(the_operator_may_have_them_tried_all_the_same),
        cmocka_unit_test(what_is_known_of_a_target_outlives_a_reload_that_keeps_it),
        cmocka_unit_test(one_worker_asks_and_all_of_them_know),
        cmocka_unit_test(
            failures_in_a_row_put_a_target_behind_the_others_until_a_trial_is_answered),
        cmocka_unit_test(only_one_call_at_a_time_tries_and_the_others_go_where_it_is_safe),
        cmocka_unit_test(a_trial_that_its_caller_gives_up_lets_the_next_call_try),
        cmocka_unit_test(silence_and_a_dead_connection_are_failures_too),
        cmocka_unit_test(a_caller_that_names_itself_too_well_blames_no_target),
        cmocka_unit_test(a_peer_whose_calls_fail_is_tried_when_nothing_else_is_left),
        cmocka_unit_test(a_suspect_target_is_tried_after_the_healthy_one_has_failed),
        cmocka_unit_test(too_few_answered_calls_open_the_breaker_when_it_is_asked_for),
        cmocka_unit_test(by_default_busy_callees_and_a_few_503_change_nothing),
        cmocka_unit_test(a_target_that_owes_too_many_answers_gets_no_more_calls),
        cmocka_unit_test(when_every_target_owes_too_much_the_caller_hears_503_and_why),
        cmocka_unit_test(a_drained_peer_gets_no_new_calls_and_keeps_its_running_ones),
        cmocka_unit_test(a_drained_target_is_passed_over_even_as_a_last_resort),
        cmocka_unit_test(a_configuration_can_drain_and_says_so),
        cmocka_unit_test(weights_share_out_among_those_that_are_well),
        cmocka_unit_test(messages_pass_over_what_is_down_and_tell_what_they_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
