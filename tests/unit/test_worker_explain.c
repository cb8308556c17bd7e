/* test_worker_explain.c - trying requests out: what is said of them, that nothing else happens, and
 * recorded calls under another configuration. */
#include "config_rig.h"
#include "config/versions.h"
#include "worker/worker_int.h"

#define HOUSE                                                                                      \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, sip: {udp: 5060, tcp: 5060}, rtp: {ports: 20000-20099}}\n" \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30099}}\n"
#define PEERS                                                                                      \
    "peers:\n"                                                                                     \
    "  carrier: {listener: outside, sources: [192.0.2.30/32], limits: {calls: 1}}\n"               \
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"],\n"      \
    "        headers: [{action: set, name: X-Edge, value: seen, direction: out}]}\n"               \
    "users: {domain: d.test, listener: outside, accounts: [{name: \"1001\", password: one}]}\n"
#define ROUTES                                                                                     \
    "routes:\n"                                                                                    \
    "  - {name: closed, match: {called: \"900*\"}, refuse: {status: 603, reason: Closed}}\n"       \
    "  - {name: moved, match: {called: \"800*\"}, redirect: {contact: "                            \
    "\"sip:{called}@far.test\"}}\n"                                                                \
    "  - {name: desk, match: {called: \"1???\"}, to: users}\n"                                     \
    "  - {name: in, from: [carrier, users], to: [pbx]}\n"

#define SDP                                                                                        \
    "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"                  \
    "m=audio 4000 RTP/AVP 0 8\r\n"
#define INVITE(called)                                                                             \
    "INVITE sip:" called "@198.51.100.1 SIP/2.0\r\n"                                               \
    "Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"                     \
    "From: <sip:+4940@192.0.2.30>;tag=1\r\nTo: <sip:" called "@198.51.100.1>\r\nCall-ID: c@x\r\n"  \
    "CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.30>\r\nContent-Type: application/sdp\r\n\r\n" SDP

static char answer_text[32768];
static int64_t live;

static int setup(void **state)
{
    (void)state;
    live = mem_live();
    return crypto_init();
}

static int teardown(void **state)
{
    (void)state;
    return mem_live() == live ? 0 : -1;
}

static struct addr at(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 5060, &a), 0);
    return a;
}

/* What is said of it, as JSON or lines; the error and why in *why. */
static int ask(struct config *cfg, const struct b2bua_question *q, bool as_json, const char **why)
{
    struct buf b;
    int err;

    buf_init(&b, sizeof(answer_text) - 1);
    err = explain_offline(cfg, q, as_json, &b, why);
    memcpy(answer_text, b.p != NULL ? b.p : "", b.n);
    answer_text[b.n] = '\0';
    buf_free(&b);
    return err;
}

static void says(struct config *cfg, const char *source, const char *message, const char *what)
{
    struct b2bua_question q = {.message = sl_str(message)};
    const char *why = NULL;

    if (source != NULL) {
        q.source = at(source);
    }
    assert_int_equal(ask(cfg, &q, false, &why), 0);
    if (strstr(answer_text, what) == NULL) {
        fail_msg("'%s' is not in:\n%s", what, answer_text);
    }
}

static void every_kind_of_verdict_is_told_with_its_reason(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);

    (void)state;
    says(cfg, "192.0.2.30", INVITE("+4930"), "verdict    routed by in to peer:pbx\n");
    says(cfg, "192.0.2.30", INVITE("+4930"), "  route closed: called number differs\n");
    says(cfg, "192.0.2.30", INVITE("+4930"),
         "limits\n  peers.carrier.limits.calls, carrier: 0 of 1\n");
    says(cfg, "192.0.2.30", INVITE("+4930"),
         "message to peer:pbx at 10.1.1.20:5070, UDP from listener inside\n");
    says(cfg, "192.0.2.30", INVITE("+4930"), "  X-Edge: seen\n");
    says(cfg, "192.0.2.30", INVITE("+4930"),
         "header rules\n  pbx out, rule 0: set X-Edge\nlimits\n");
    says(cfg, "192.0.2.30", INVITE("+4930"), "  c=IN IP4 10.1.1.1\n");
    says(cfg, "192.0.2.30", INVITE("9001"), "verdict    refused with 603: Closed\n");
    says(cfg, "192.0.2.30", INVITE("9001"), "answer     603 Closed\n");
    says(cfg, "192.0.2.30", INVITE("8001"), "verdict    redirected with 302");
    says(cfg, "192.0.2.30", INVITE("8001"), "  Contact: <sip:8001@far.test>\n");
    says(cfg, "192.0.2.30", INVITE("1001"), "answer     480 ");
    says(cfg, "192.0.2.30", INVITE("1001"), "ended by   system: nobody to call\n");
    says(cfg, "203.0.113.9", INVITE("+4930"), "verdict    challenged with 407");
    says(cfg, "203.0.113.9", INVITE("+4930"), "at listener outside, unknown\n");
    says(cfg, NULL, INVITE("+4930"),
         "source     192.0.2.30:5060, UDP at listener outside, trusted");
    config_unref(&cfg);
}

static struct config *at_place(struct config_slots *slots, const char *text)
{
    struct config *cfg = NULL;
    struct config_errors errs;
    struct config_text t = {.name = "t", .text = sl_str(text), .slots = slots};

    assert_int_equal(config_build(&cfg, &t, &errs), 0);
    config_errors_free(&errs);
    return cfg;
}

static void the_place_of_a_listener_that_is_gone_is_nobodys(void **state)
{
    struct config_slots *slots = NULL;
    struct config *old, *cfg;

    (void)state;
    assert_int_equal(config_slots_new(&slots), 0);
    old = at_place(slots, "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\n");
    cfg = at_place(slots, "listeners: {b: {address: 127.0.0.1, sip: {udp: 5070}}}\n");
    assert_null(cfg->listeners[0].name);
    says(cfg, "192.0.2.30", INVITE("1"), "UDP at listener b, unknown\n");
    config_unref(&old);
    config_unref(&cfg);
    config_slots_free(&slots);
}

static void what_no_route_is_asked_for_is_answered_as_it_would_be(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);

    (void)state;
    says(cfg, "192.0.2.30", "not SIP at all", "malformed  not SIP\n");
    says(cfg, "192.0.2.30", "not SIP at all", "nothing would be sent\n");
    says(cfg, "192.0.2.30", "", "nothing would be sent\n");
    says(cfg, "192.0.2.30",
         "OPTIONS sip:198.51.100.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.30;branch=z9hG4bKo\nFrom: "
         "<sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: o\nCSeq: 1 OPTIONS\nMax-Forwards: 70\n",
         "answer     200 OK\n");
    config_unref(&cfg);
}

/* Files have bare line ends, and lengths that were right before they lost the others. */
static void a_message_from_a_file_is_read_to_its_last_line(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);
    char text[2048];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text) - 1);
    for (const char *p = INVITE("+4930"); *p != '\0'; p++) {
        if (p[0] == '\r' && p[2] == '\r') {
            buf_puts(&b, "\nContent-Length: 20");
        } else if (*p != '\r') {
            buf_putc(&b, *p);
        }
    }
    text[b.n] = '\0';
    says(cfg, NULL, text, "RTP/AVP 0 8\n");
    config_unref(&cfg);
}

static void wrong_questions_are_told_apart(void **state)
{
    static const struct {
        const char *listener, *transport, *user, *peer, *why;
    } cases[] = {
        {"roof", "", "", "", "there is no such listener"},
        {"", "pigeon", "", "", "the transport is none of udp, tcp and tls"},
        {"", "", "1009", "", "there is no such user"},
        {"", "tls", "", "nobody", "there is no such peer"},
        {"", "udp", "", "pbx", "a certificate proves a peer only over TLS"},
    };
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);
    struct b2bua_question q = {.message = SL("x")};
    const char *why = NULL;

    (void)state;
    assert_int_equal(ask(cfg, &q, false, &why), EINVAL);
    assert_string_equal(why, "the source is missing, and the topmost Via names no address");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        q = (struct b2bua_question){.message = SL(INVITE("1")),
                                    .source = at("192.0.2.30"),
                                    .listener = sl_str(cases[i].listener),
                                    .transport = sl_str(cases[i].transport),
                                    .user = sl_str(cases[i].user),
                                    .peer = sl_str(cases[i].peer)};
        assert_int_equal(ask(cfg, &q, true, &why), EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_string_equal(answer_text, "");
    }
    config_unref(&cfg);
}

static void who_is_said_to_have_proven_himself_is_believed(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);
    struct b2bua_question q = {
        .message = SL(INVITE("+4930")), .source = at("203.0.113.9"), .user = SL("1001")};
    const char *why = NULL;

    (void)state;
    assert_int_equal(ask(cfg, &q, true, &why), 0);
    assert_non_null(strstr(answer_text, "\"source\":\"user:1001\",\"route\":\"in\""));
    q = (struct b2bua_question){.message = SL(INVITE("+4930")),
                                .source = at("203.0.113.9"),
                                .transport = SL("tls"),
                                .peer = SL("carrier")};
    assert_int_equal(ask(cfg, &q, true, &why), 0);
    assert_non_null(strstr(answer_text, "{\"step\":\"certificate\",\"name\":\"carrier\","));
    config_unref(&cfg);
}

static uint64_t all_counted(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < STAT_N; i++) {
        sum += stat_sum((enum stat_id)i);
    }
    return sum;
}

static void nothing_is_counted_and_limits_stay_where_they_are(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);
    int carrier = policy_peer_by_name(cfg->policy, SL("carrier"));
    uint64_t before = all_counted();

    (void)state;
    for (int i = 0; i < 3; i++) {
        says(cfg, "192.0.2.30", INVITE("+4930"), "verdict    routed");
    }
    assert_int_equal(policy_calls_now(cfg->policy, carrier), 0);
    assert_true(policy_peer_take(cfg->policy, (unsigned)carrier, 1));
    says(cfg, "192.0.2.30", INVITE("+4930"), "refused with 503: Peer has too many calls\n");
    says(cfg, "192.0.2.30", INVITE("+4930"), "  peers.carrier.limits.calls, carrier: 1 of 1\n");
    assert_int_equal(policy_calls_now(cfg->policy, carrier), 1);
    policy_peer_release(cfg->policy, (unsigned)carrier);
    assert_int_equal(all_counted(), before);
    stat_inc(STAT_HTTP_REQ); /* and counting goes on afterwards */
    assert_int_equal(all_counted(), before + 1);
    assert_true(log_enabled(LOG_ERROR));
    config_unref(&cfg);
}

/* What is known of targets lies in the book of the running configuration, which is not touched. */
static void what_is_known_of_targets_is_heeded_and_left_alone(void **state)
{
    struct config *cfg = rig_good(HOUSE PEERS ROUTES);
    int pbx = policy_peer_by_name(cfg->policy, SL("pbx"));
    const struct policy_peer *peer = &cfg->def.peers[pbx];
    const struct policy_health *health = peer->targets[0].health, *whole = peer->health;

    (void)state;
    assert_non_null(health);
    says(cfg, "192.0.2.30", INVITE("+4930"), "verdict    routed by in to peer:pbx\n");
    assert_true(peer->targets[0].health == health && peer->health == whole);
    policy_drain(peer, NULL, true);
    says(cfg, "192.0.2.30", INVITE("+4930"), "verdict    refused with 503");
    assert_true(peer->targets[0].health == health && peer->health == whole);
    policy_drain(peer, NULL, false);
    says(cfg, "192.0.2.30", INVITE("+4930"), "verdict    routed by in to peer:pbx\n");
    config_unref(&cfg);
}

/* --- recorded calls --- */

#define VERDICT                                                                                    \
    "{\"action\":\"route\",\"status\":null,\"reason\":\"Routed\",\"source\":\"peer:carrier\","     \
    "\"route\":\"in\",\"targets\":[\"peer:pbx\"],\"called\":null,\"calling\":null}"
#define ASKED(listener, peer, user, limited)                                                       \
    "postern-asked 1\nsource 192.0.2.30:5060\nlistener " listener "\ntransport UDP\npeer " peer    \
    "\nuser " user "\nwall 1795244888123\nrandom 7\nlimited " limited "\nverdict " VERDICT         \
    "\n\n" INVITE("+4930")

static enum b2bua_replay_result replay(const char *yaml, const char *asked)
{
    struct b2bua_replay *r = NULL;
    enum b2bua_replay_result result = B2BUA_REPLAY_SAME;
    struct json j;
    struct buf b;

    buf_init(&b, sizeof(answer_text) - 1);
    json_init(&j, &b);
    assert_int_equal(b2bua_replay_open(&r, sl_str(yaml), &j), 0);
    json_obj(&j);
    for (int i = 0; i < 3; i++) { /* a limit of one call: the first one is forgotten */
        b.n = 1;
        j.comma[j.depth - 1] = false;
        assert_int_equal(b2bua_replay(r, sl_str(asked), &j, &result), 0);
    }
    json_obj_end(&j);
    memcpy(answer_text, b.p, b.n);
    answer_text[b.n] = '\0';
    buf_free(&b);
    b2bua_replay_close(&r);
    assert_null(r);
    return result;
}

static void a_recorded_call_under_the_same_configuration_is_the_same(void **state)
{
    (void)state;
    assert_int_equal(replay(HOUSE PEERS ROUTES, ASKED("outside", "", "", "0")), B2BUA_REPLAY_SAME);
    assert_string_equal(answer_text, "{}");
    assert_int_equal(replay(HOUSE PEERS ROUTES, ASKED("outside", "", "", "1")),
                     B2BUA_REPLAY_LIMITED);
    assert_string_equal(answer_text, "{}");
}

static void what_would_change_is_told_with_both_verdicts_and_the_reason(void **state)
{
    (void)state;
    assert_int_equal(replay(HOUSE PEERS "routes:\n  - {name: no, refuse: {status: 480}}\n",
                            ASKED("outside", "", "", "0")),
                     B2BUA_REPLAY_CHANGED);
    assert_non_null(
        strstr(answer_text, "{\"old\":" VERDICT ",\"new\":{\"action\":\"refuse\",\"status\":480,"));
    assert_non_null(
        strstr(answer_text, "{\"step\":\"route\",\"name\":\"no\",\"result\":\"matched\"}"));
    assert_int_equal(replay(HOUSE PEERS ROUTES, ASKED("roof", "", "", "0")), B2BUA_REPLAY_CHANGED);
    assert_non_null(
        strstr(answer_text, "\"new\":null,\"trace\":[],\"why\":\"there is no such listener\""));
    assert_int_equal(replay(HOUSE PEERS ROUTES, ASKED("outside", "gone", "", "0")),
                     B2BUA_REPLAY_SAME); /* its address is known as well */
}

/* Windows are longer than what lies between two calls. */
static void calls_before_it_do_not_count_for_a_limit_of_destinations(void **state)
{
    static const char *const rules[] = {"{name: dear, called: \"+*\", calls: 1, window: 31d}",
                                        "{name: dear, called: \"+*\", range: 4, calls: 1, "
                                        "window: 31d}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        char text[4096];

        (void)snprintf(text, sizeof(text), "%slimits: {destinations: [%s]}\n", HOUSE PEERS ROUTES,
                       rules[i]);
        assert_int_equal(replay(text, ASKED("outside", "", "", "0")), B2BUA_REPLAY_SAME);
    }
}

#define REGISTER                                                                                   \
    "REGISTER sip:d.test SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKr\r\n"              \
    "Max-Forwards: 70\r\nFrom: <sip:1001@d.test>;tag=1\r\nTo: <sip:1001@d.test>\r\n"               \
    "Call-ID: r\r\nCSeq: 1 REGISTER\r\nContact: <sip:1001@203.0.113.9>\r\n\r\n"

static void a_user_says(struct config *cfg, const char *message, const char *what)
{
    struct b2bua_question q = {
        .message = sl_str(message), .source = at("203.0.113.9"), .user = SL("1001")};
    const char *why = NULL;

    assert_int_equal(ask(cfg, &q, false, &why), 0);
    if (strstr(answer_text, what) == NULL) {
        fail_msg("'%s' is not in:\n%s", what, answer_text);
    }
}

/* Of the user, the source, the destination, the node and the target, as they stand at that time. */
static void the_limits_that_a_request_meets_are_shown_with_their_use(void **state)
{
    static const char rules[] =
        HOUSE "peers:\n"
              "  pbx: {listener: inside, targets: [\"sip:10.1.1.20:5070\"], limits: {calls: 9}}\n"
              "  other: {listener: inside, targets: [\"sip:10.1.1.21:5070\"], limits: {calls: 8}}\n"
              "users: {domain: d.test, listener: outside, accounts: [{name: \"1001\", password: "
              "one}], limits: {calls: 3, registrations: 4}}\n"
              "routes: [{name: in, to: [pbx]}]\n"
              "limits: {calls: 7, calls_per_second: off, sources: {early_calls: 5}, destinations: ["
              "{name: dear, called: \"+*\", range: 3, parallel: 6, numbers: 2}, "
              "{name: cheap, called: \"0*\", parallel: 6}]}\n";
    struct config *cfg = rig_good(rules);
    struct policy_verdict v;
    struct policy_request rq = {.method = SL("INVITE"),
                                .source = at("203.0.113.9"),
                                .called = SL("+4930"),
                                .auth_user = 0,
                                .new_call = true};
    struct clock clock;

    (void)state;
    a_user_says(cfg, INVITE("+4931"),
                "limits\n  users.limits.calls, 1001: 0 of 3\n"
                "  users.limits.registrations, 1001: 0 of 4\n"
                "  limits.sources.early_calls, 203.0.113.9: 0 of 5\n"
                "  limits.destinations.dear.numbers, dear user:1001 +49: 0 of 2\n"
                "  limits.destinations.dear.parallel, dear user:1001 +49: 0 of 6\n"
                "  limits.calls: 0 of 7\n"
                "  peers.pbx.limits.calls, pbx: 0 of 9\n\nanswer to");
    clock_init_real(&clock);
    policy_decide(cfg->policy, &rq, clock_now_ms(&clock), &v);
    assert_int_equal(v.action, POLICY_ROUTE);
    policy_note_registrations(cfg->policy, 0, 2);
    a_user_says(cfg, INVITE("+4931"),
                "limits\n  users.limits.calls, 1001: 1 of 3\n"
                "  users.limits.registrations, 1001: 2 of 4\n"
                "  limits.sources.early_calls, 203.0.113.9: 1 of 5\n"
                "  limits.destinations.dear.numbers, dear user:1001 +49: 1 of 2\n"
                "  limits.destinations.dear.parallel, dear user:1001 +49: 1 of 6\n"
                "  limits.calls: 1 of 7\n");
    a_user_says(cfg, INVITE("+5931"), "dear user:1001 +59: 0 of 6\n"); /* another range */
    a_user_says(cfg, REGISTER,
                "limits\n  users.limits.calls, 1001: 1 of 3\n"
                "  users.limits.registrations, 1001: 2 of 4\n"
                "  limits.calls: 1 of 7\nanswer");
    policy_release(cfg->policy, &v);
    config_unref(&cfg);
}

static void a_user_who_is_gone_is_challenged(void **state)
{
    static const char nobody[] = HOUSE
        "peers: {pbx: {listener: inside, targets: [\"sip:10.1.1.20:5070\"]}}\n"
        "users: {domain: d.test, listener: outside, accounts: [{name: \"1002\", password: x}]}\n"
        "routes: [{name: in, to: [pbx]}]\n";

    (void)state;
    assert_int_equal(replay(nobody, ASKED("outside", "", "1001", "0")), B2BUA_REPLAY_CHANGED);
    assert_non_null(strstr(answer_text, "\"new\":{\"action\":\"challenge\",\"status\":407"));
    assert_int_equal(replay(nobody, ASKED("outside", "", "1002", "0")), B2BUA_REPLAY_CHANGED);
    assert_non_null(strstr(answer_text, "\"source\":\"user:1002\""));
}

static void a_wrong_candidate_is_refused_with_all_that_is_wrong(void **state)
{
    struct b2bua_replay *r = NULL;
    struct json j;
    struct buf b;

    (void)state;
    buf_init(&b, 8192);
    json_init(&j, &b);
    assert_int_equal(b2bua_replay_open(&r, SL("nonsense: 1\n"), &j), EBADMSG);
    assert_null(r);
    assert_true(sl_starts(buf_sl(&b), SL("[\"candidate:1:1: ")));
    buf_free(&b);
}

static void what_cannot_be_read_is_no_recorded_call(void **state)
{
    static const char good[] = ASKED("outside", "", "", "0");
    static const char *const bad[] = {"", "postern-asked 1\n",
                                      "postern-asked 2\nsource 1.2.3.4:5\n"};
    struct b2bua_question q;
    struct sl text = sl_str(good);

    (void)state;
    assert_int_equal(b2bua_recall(text, &q), 0);
    assert_true(sl_eq(q.listener, SL("outside")) && sl_starts(q.message, SL("INVITE ")));
    assert_true(q.wall_ms == 1795244888123 && q.has_random && q.random == 7);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(b2bua_recall(sl_str(bad[i]), &q), EBADMSG);
    }
    for (size_t n = 0; n < (size_t)sl_find(text, SL("\n\nINVITE")) + 2; n++) { /* cut anywhere */
        assert_int_equal(b2bua_recall(sl_head(text, n), &q), EBADMSG);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_kind_of_verdict_is_told_with_its_reason),
        T(the_place_of_a_listener_that_is_gone_is_nobodys),
        T(what_no_route_is_asked_for_is_answered_as_it_would_be),
        T(a_message_from_a_file_is_read_to_its_last_line),
        T(wrong_questions_are_told_apart),
        T(who_is_said_to_have_proven_himself_is_believed),
        T(nothing_is_counted_and_limits_stay_where_they_are),
        T(what_is_known_of_targets_is_heeded_and_left_alone),
        T(a_recorded_call_under_the_same_configuration_is_the_same),
        T(what_would_change_is_told_with_both_verdicts_and_the_reason),
        T(calls_before_it_do_not_count_for_a_limit_of_destinations),
        T(the_limits_that_a_request_meets_are_shown_with_their_use),
        T(a_user_who_is_gone_is_challenged),
        T(a_wrong_candidate_is_refused_with_all_that_is_wrong),
        T(what_cannot_be_read_is_no_recorded_call),
    };

    log_setup(LOG_ERROR, true, "test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
