/* test_flow_limits.c - every limit of the whole house at its edge: what the caller hears, what the
 * record says, and that all comes back however a call ends. Toll fraud (attacks.md D) by its rows.
 */
#include "rig.h"

#include <stdio.h>

#define HOUSE                                                                                      \
    "node: {name: rig, id: 5, log: {level: debug}}\n"                                              \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"    \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060, tcp: 5060}, rtp: {ports: 30000-30999}}\n"
#define PEERS(pbx, carrier)                                                                        \
    "peers:\n"                                                                                     \
    "  pbx: {listener: inside, sources: [10.1.1.20/32, 10.1.1.21/32],\n"                           \
    "        targets: [\"sip:10.1.1.20:5070\"]" pbx "}\n"                                          \
    "  carrier: {listener: outside, sources: [192.0.2.30/32, 192.0.2.31/32],\n"                    \
    "            targets: [\"sip:192.0.2.30:5060\"]" carrier "}\n"
#define USERS(limits)                                                                              \
    "users:\n"                                                                                     \
    "  domain: example.test\n"                                                                     \
    "  listener: outside\n" limits "  accounts:\n"                                                 \
    "    - {name: \"1001\", password: one}\n"                                                      \
    "    - {name: \"1002\", password: two}\n"
#define PEER_ROUTES                                                                                \
    "routes:\n"                                                                                    \
    "  - {name: outbound, from: pbx, match: {called: \"+*\"}, to: [carrier]}\n"                    \
    "  - {name: inbound, from: carrier, match: {called: \"+*\"}, to: [pbx]}\n"
#define ROUTES                                                                                     \
    "routes:\n"                                                                                    \
    "  - {name: outbound, from: [users, pbx], match: {called: \"+*\"}, to: [carrier]}\n"           \
    "  - {name: inbound, from: carrier, match: {called: \"+*\"}, to: [pbx]}\n"

/* --- tools --- */

static void invite(struct phone *p, const char *ruri)
{
    phone_renew(p);
    phone_invite(p, ruri, phone_sdp(p, NULL));
}

/* A call that the house refuses at once, with state. */
static const char *refused(struct phone *p, const char *ruri, const char *what)
{
    invite(p, ruri);
    EXPECT(p, "100 INVITE");
    EXPECT(p, what);
    phone_ack_failure(p);
    return p->got;
}

static void named(const char *limit, unsigned use, unsigned max)
{
    char want[256];

    (void)snprintf(want, sizeof(want),
                   "{\"step\":\"over\",\"name\":\"%s\",\"result\":\"%u of %u in use: ", limit, use,
                   max);
    HAS(talk_record()->detail, want);
}

/* A user's call to the carrier: challenged, then let through or refused. */
static void user_invite(struct phone *u, const char *ruri)
{
    u->extra[0] = '\0';
    invite(u, ruri);
    EXPECT(u, "407 INVITE");
    phone_ack_failure(u);
    phone_credentials(u, "INVITE", ruri);
    phone_invite(u, ruri, phone_sdp(u, NULL));
    u->extra[0] = '\0';
    EXPECT(u, "100 INVITE");
}

static void user_refused(struct phone *u, const char *ruri, const char *what)
{
    user_invite(u, ruri);
    EXPECT(u, what);
    phone_ack_failure(u);
}

static void user_up(struct phone *u, struct phone *carrier, const char *ruri)
{
    user_invite(u, ruri);
    phone_renew(carrier);
    EXPECT(carrier, "INVITE");
    talk_answer(u, carrier);
}

struct trio {
    struct rig *r;
    struct phone u, v, c; /* users 1001 and 1002, the carrier */
};

static void trio_up(struct trio *t, const char *yaml)
{
    t->r = rig_up(yaml, 1);
    phone_init(&t->u, t->r, 0, "1001", "192.0.2.41:5062");
    phone_init(&t->v, t->r, 0, "1002", "192.0.2.42:5062");
    phone_init(&t->c, t->r, 1, "carrier", "192.0.2.30:5060");
    phone_on(&t->c, 0, SIP_UDP);
    memcpy(t->u.password, "one", sizeof("one"));
    memcpy(t->v.password, "two", sizeof("two"));
    t->r->is_leaky = true; /* both sides are on one listener */
}

/* --- peers --- */

static void a_peers_burst_passes_and_then_its_pace(void **state)
{
    struct rig *r =
        rig_up(HOUSE PEERS(", limits: {calls_per_second: 2, call_burst: 3}", "") PEER_ROUTES, 1);
    struct phone a;

    (void)state;
    r->is_noisy = true;
    phone_init(&a, r, 1, "bob", "10.1.1.20:5070");
    for (int i = 0; i < 3; i++) {
        invite(&a, "sip:+4930123@10.1.1.1");
        EXPECT(&a, "100 INVITE");
    }
    HAS(refused(&a, "sip:+4930123@10.1.1.1", "503 INVITE"), "Retry-After: 1\r\n");
    talk_record_is("policy", "Peer calls too fast", 503);
    named("peers.pbx.limits.calls_per_second", 3, 3);
    rig_advance(r, 499);
    refused(&a, "sip:+4930123@10.1.1.1", "503 INVITE");
    rig_advance(r, 1);
    invite(&a, "sip:+4930123@10.1.1.1");
    EXPECT(&a, "100 INVITE");
    assert_int_equal(stat_sum(STAT_LIMIT_CALL_RATE), 2);
    rig_down(r);
}

static void a_limit_answers_as_it_is_told_to_and_warns_before(void **state)
{
    struct rig *r =
        rig_up(HOUSE PEERS("", ", limits: {calls: 3, warn_at: 60, refuse: {status: "
                               "486, reason: Trunk is full, retry_after: 17s}}") PEER_ROUTES,
               1);
    struct pair t[3];
    struct phone x;

    (void)state;
    pair_init(&t[0], r);
    for (unsigned i = 0; i < 3; i++) {
        t[i] = t[0];
        phone_renew(&t[i].a);
        phone_renew(&t[i].b);
        pair_up(&t[i]);
        assert_int_equal(stat_sum(STAT_NEAR_CALLS), i >= 1 ? 1 : 0); /* 60 % of 3: the second */
    }
    x = t[0].a;
    HAS(refused(&x, CALLED, "486 INVITE"), "SIP/2.0 486 Trunk is full\r\n");
    HAS(x.got, "Retry-After: 17\r\n");
    talk_record_is("policy", "Trunk is full", 486);
    named("peers.carrier.limits.calls", 3, 3);
    assert_int_equal(stat_sum(STAT_CALL_FULL), 1);
    for (unsigned i = 0; i < 3; i++) {
        pair_bye(&t[i]);
    }
    rig_down(r);
}

static void the_limit_of_a_target_is_named_as_that_of_a_source_is(void **state)
{
    struct rig *r = rig_up(
        HOUSE PEERS(", limits: {calls: 1, refuse: {reason: PBX is full}}", "") PEER_ROUTES, 1);
    struct pair t;
    struct phone x;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    x = t.a;
    HAS(refused(&x, CALLED, "503 INVITE"), "SIP/2.0 503 PBX is full\r\n");
    talk_record_is("policy", "PBX is full", 503);
    named("peers.pbx.limits.calls", 1, 1);
    assert_int_equal(stat_sum(STAT_CALL_FULL), 1);
    pair_bye(&t);
    rig_down(r);
}

static void questions_of_a_peer_count_as_requests(void **state)
{
    struct rig *r = rig_up(HOUSE PEERS("", ", limits: {requests_per_second: 2}") PEER_ROUTES, 1);
    struct phone a;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_request(&a, "OPTIONS", "sip:203.0.113.1", NULL);
    EXPECT(&a, "200 OPTIONS");
    phone_renew(&a);
    phone_request(&a, "MESSAGE", "sip:nobody@203.0.113.1", "hello");
    EXPECT(&a, "404 MESSAGE");
    phone_renew(&a);
    phone_request(&a, "OPTIONS", "sip:203.0.113.1", NULL);
    HAS(EXPECT(&a, "503 OPTIONS"), "Retry-After: 1\r\n");
    phone_renew(&a);
    phone_request(&a, "MESSAGE", "sip:nobody@203.0.113.1", "hello");
    HAS(EXPECT(&a, "503 MESSAGE"), "Retry-After: 1\r\n");
    refused(&a, CALLED, "503 INVITE");
    talk_record_is("policy", "Peer asks too fast", 503);
    named("peers.carrier.limits.requests_per_second", 2, 2);
    assert_int_equal(stat_sum(STAT_LIMIT_REQUEST_RATE), 3);
    rig_advance(r, 500);
    phone_renew(&a);
    phone_request(&a, "OPTIONS", "sip:203.0.113.1", NULL);
    EXPECT(&a, "200 OPTIONS");
    rig_down(r);
}

static void the_node_counts_the_requests_of_all(void **state)
{
    struct rig *r = rig_up(
        HOUSE
        "limits: {requests_per_second: 1, request_burst: 2, calls_per_second: off}\n" PEERS("", "")
            PEER_ROUTES,
        1);
    struct phone a, b;

    (void)state;
    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_request(&a, "OPTIONS", "sip:203.0.113.1", NULL);
    EXPECT(&a, "200 OPTIONS");
    phone_request(&b, "OPTIONS", "sip:10.1.1.1", NULL);
    EXPECT(&b, "200 OPTIONS");
    refused(&b, "sip:+4930123@10.1.1.1", "503 INVITE");
    talk_record_is("policy", "Too many requests per second", 503);
    named("limits.requests_per_second", 2, 2);
    rig_advance(r, 1000);
    phone_renew(&a);
    phone_request(&a, "OPTIONS", "sip:203.0.113.1", NULL);
    EXPECT(&a, "200 OPTIONS");
    rig_down(r);
}

/* --- unanswered calls of a source --- */

static void cancelled(struct pair *t)
{
    talk_cancel(&t->a);
    talk_cancelled(&t->b);
}

static void unanswered_calls_of_a_source_come_back_however_they_end(void **state)
{
    struct rig *r =
        rig_up(HOUSE "limits: {sources: {early_calls: 2}}\n" PEERS("", "") PEER_ROUTES, 1);
    struct pair t, u;
    struct phone x;

    (void)state;
    pair_init(&t, r);
    u = t;
    x = t.a;
    phone_renew(&u.a);
    phone_renew(&u.b);
    pair_ring(&t);
    pair_ring(&u);
    refused(&x, CALLED, "503 INVITE");
    talk_record_is("policy", "Source has too many unanswered calls", 503);
    named("limits.sources.early_calls", 2, 2);
    assert_int_equal(stat_sum(STAT_LIMIT_EARLY), 1);
    pair_answer(&u); /* answered: one is free */
    phone_answer_invite(&t.b, 486, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "486 INVITE"); /* refused: the other one, too */
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    phone_renew(&t.b);
    pair_ring(&t);
    cancelled(&t);
    r->is_noisy = true; /* set-up has an end, and then everybody is told */
    for (int i = 0; i < 2; i++) {
        phone_renew(&t.a);
        phone_renew(&t.b);
        pair_ring(&t);
    }
    refused(&x, CALLED, "503 INVITE");
    rig_advance(r, 200000);
    phone_drop_mail(&t.a);
    phone_drop_mail(&t.b);
    phone_renew(&t.a);
    phone_renew(&t.b);
    pair_up(&t);
    pair_bye(&t);
    pair_bye(&u);
    rig_down(r);
}

/* --- users --- */

static void a_user_has_his_own_calls_and_rates(void **state)
{
    struct trio t;

    (void)state;
    trio_up(&t, HOUSE PEERS("", "") USERS("  limits: {calls: 1, calls_per_second: 2}\n") ROUTES);
    user_up(&t.u, &t.c, "sip:+491@example.test");
    {
        struct phone second = t.u;

        user_refused(&second, "sip:+492@example.test", "503 INVITE");
        talk_record_is("policy", "User has too many calls", 503);
        named("users.limits.calls", 1, 1);
    }
    {
        struct phone callee = t.c;

        user_up(&t.v, &t.c, "sip:+493@example.test"); /* the other one is not touched */
        talk_bye(&t.v, &t.c);
        t.c = callee;
    }
    talk_bye(&t.u, &t.c);
    user_up(&t.u, &t.c, "sip:+494@example.test");
    talk_bye(&t.u, &t.c);
    user_refused(&t.u, "sip:+495@example.test", "503 INVITE");
    talk_record_is("policy", "User calls too fast", 503);
    rig_advance(t.r, 500);
    user_up(&t.u, &t.c, "sip:+495@example.test");
    talk_bye(&t.u, &t.c);
    rig_down(t.r);
}

static void register_as(struct phone *p, const char *what)
{
    phone_renew(p);
    (void)snprintf(p->local, sizeof(p->local), "<sip:%s@example.test>", p->user);
    (void)snprintf(p->remote, sizeof(p->remote), "<sip:%s@example.test>", p->user);
    p->extra[0] = '\0';
    phone_request(p, "REGISTER", "sip:example.test", NULL);
    EXPECT(p, "401 REGISTER");
    phone_credentials(p, "REGISTER", "sip:example.test");
    (void)snprintf(p->extra + strlen(p->extra), sizeof(p->extra) - strlen(p->extra),
                   "Expires: 600\r\n");
    phone_request(p, "REGISTER", "sip:example.test", NULL);
    EXPECT(p, what);
    p->extra[0] = '\0';
}

static void a_device_too_many_is_refused_and_the_old_ones_stay(void **state)
{
    struct trio t;
    struct phone more[2];

    (void)state;
    trio_up(&t, HOUSE PEERS("", "") USERS("  limits: {registrations: 2, refuse: {status: 403, "
                                          "reason: Two devices at most}}\n") ROUTES);
    phone_init(&more[0], t.r, 0, "1001", "192.0.2.44:5062");
    phone_init(&more[1], t.r, 0, "1001", "192.0.2.45:5062");
    memcpy(more[0].password, "one", sizeof("one"));
    memcpy(more[1].password, "one", sizeof("one"));
    register_as(&t.u, "200 REGISTER");
    assert_int_equal(stat_sum(STAT_NEAR_REGISTRATIONS), 0);
    register_as(&more[0], "200 REGISTER");
    assert_int_equal(stat_sum(STAT_NEAR_REGISTRATIONS), 1);
    register_as(&more[1], "403 REGISTER");
    HAS(more[1].got, "SIP/2.0 403 Two devices at most\r\n");
    assert_int_equal(stat_sum(STAT_LIMIT_REGISTRATIONS), 1);
    register_as(&t.u, "200 REGISTER"); /* the same device again is no new one */
    assert_int_equal(registrar_count(rig_worker(t.r, 0)->registrar), 2);
    rig_advance(t.r, 601000);
    register_as(&more[1], "200 REGISTER");
    rig_advance(t.r, 601000);
    rig_down(t.r);
}

static void a_phone_that_registers_without_end_is_held_up(void **state)
{
    struct trio t;

    (void)state;
    trio_up(&t, HOUSE PEERS("", "") USERS("  limits: {requests_per_second: 2}\n") ROUTES);
    register_as(&t.u, "200 REGISTER");
    register_as(&t.u, "200 REGISTER");
    register_as(&t.u, "503 REGISTER");
    HAS(t.u.got, "Retry-After: 1\r\n");
    rig_advance(t.r, 500);
    register_as(&t.u, "200 REGISTER");
    rig_advance(t.r, 601000);
    rig_down(t.r);
}

/* --- toll fraud: attacks.md 38, 55, 56 --- */

#define FRAUD(what)                                                                                \
    HOUSE "limits: {destinations: [{name: premium, called: {prefix: [\"+900\", \"+882\"]}, " what  \
          "}]}\n" PEERS("", "") USERS("") ROUTES

static void a_stolen_account_dials_only_so_many_numbers(void **state)
{
    struct trio t;

    (void)state;
    trio_up(&t, FRAUD("numbers: 2, warn_at: 100"));
    user_up(&t.u, &t.c, "sip:+9001@example.test");
    talk_bye(&t.u, &t.c);
    user_up(&t.u, &t.c, "sip:+9001@example.test"); /* the same one again */
    talk_bye(&t.u, &t.c);
    assert_int_equal(stat_sum(STAT_NEAR_DEST_NUMBERS), 0);
    user_up(&t.u, &t.c, "sip:+8822@example.test");
    talk_bye(&t.u, &t.c);
    assert_int_equal(stat_sum(STAT_NEAR_DEST_NUMBERS), 1);
    user_refused(&t.u, "sip:+9003@example.test", "503 INVITE");
    talk_record_is("policy", "Too many different numbers of this destination", 503);
    named("limits.destinations.premium.numbers", 2, 2);
    assert_int_equal(stat_sum(STAT_LIMIT_DEST_NUMBERS), 1);
    user_up(&t.u, &t.c, "sip:+49@example.test"); /* all else goes on */
    talk_bye(&t.u, &t.c);
    user_up(&t.v, &t.c, "sip:+9003@example.test"); /* and so do others */
    talk_bye(&t.v, &t.c);
    rig_advance(t.r, 3600000);
    user_up(&t.u, &t.c, "sip:+9003@example.test");
    talk_bye(&t.u, &t.c);
    rig_down(t.r);
}

static void calls_in_a_window_are_counted_also_when_they_were_short(void **state)
{
    struct trio t;

    (void)state;
    trio_up(&t, FRAUD("calls: 2, refuse: {status: 403}"));
    for (int i = 0; i < 2; i++) {
        user_up(&t.u, &t.c, "sip:+9001@example.test");
        talk_bye(&t.u, &t.c);
    }
    user_refused(&t.u, "sip:+9001@example.test", "403 INVITE");
    talk_record_is("policy", "Too many calls to this destination", 403);
    named("limits.destinations.premium.calls", 2, 2);
    assert_int_equal(stat_sum(STAT_LIMIT_DEST_CALLS), 1);
    rig_down(t.r);
}

static void minutes_are_used_up_by_long_calls_too(void **state)
{
    struct trio t;
    struct phone second, callee;

    (void)state;
    trio_up(&t, FRAUD("minutes: 10"));
    user_up(&t.u, &t.c, "sip:+9001@example.test");
    callee = t.c;
    rig_advance(t.r, 599000);
    second = t.u;
    user_up(&second, &t.c, "sip:+9002@example.test");
    talk_bye(&second, &t.c);
    rig_advance(t.r, 1000); /* ten minutes, and the first call still goes on */
    user_refused(&second, "sip:+9003@example.test", "503 INVITE");
    talk_record_is("policy", "Minutes to this destination used up", 503);
    named("limits.destinations.premium.minutes", 10, 10);
    assert_int_equal(stat_sum(STAT_LIMIT_DEST_MINUTES), 1);
    talk_bye(&t.u, &callee);
    user_refused(&second, "sip:+9003@example.test", "503 INVITE");
    rig_advance(t.r, 3600000);
    user_up(&second, &t.c, "sip:+9003@example.test");
    talk_bye(&second, &t.c);
    rig_down(t.r);
}

static void calls_at_once_to_one_range_are_few(void **state)
{
    struct trio t;
    struct phone second, callee;

    (void)state;
    trio_up(&t, FRAUD("parallel: 1, range: 6"));
    user_up(&t.u, &t.c, "sip:+9001211@example.test");
    callee = t.c;
    second = t.u;
    user_refused(&second, "sip:+9001299@example.test", "503 INVITE");
    talk_record_is("policy", "Too many calls at once to this destination", 503);
    named("limits.destinations.premium.parallel", 1, 1);
    user_up(&second, &t.c, "sip:+9001311@example.test"); /* the next range */
    talk_bye(&second, &t.c);
    talk_bye(&t.u, &callee);
    user_up(&second, &t.c, "sip:+9001299@example.test");
    talk_bye(&second, &t.c);
    rig_down(t.r);
}

/* attacks.md 55, 56: prefixes are guessed without an account. Nothing reaches the trunk, nothing is
 * counted against it, no guess is answered otherwise than another. */
static void a_stranger_guessing_prefixes_reaches_no_trunk(void **state)
{
    static const char *const guesses[] = {"sip:900123@203.0.113.1", "sip:00900123@203.0.113.1",
                                          "sip:011900123@203.0.113.1", "sip:+900123@203.0.113.1",
                                          "sip:1001@203.0.113.1"};
    struct trio t;
    struct phone s, inside;

    (void)state;
    trio_up(&t, FRAUD("calls: 1"));
    phone_init(&s, t.r, 0, "100", "192.0.2.99:5060");
    phone_init(&inside, t.r, 1, "100", "10.9.9.9:5060");
    for (size_t i = 0; i < COUNT_OF(guesses); i++) {
        invite(&s, guesses[i]);
        EXPECT(&s, "407 INVITE");
        phone_ack_failure(&s);
        invite(&inside, guesses[i]);
        EXPECT(&inside, "403 INVITE");
        phone_ack_failure(&inside);
    }
    QUIET(&t.c);
    assert_int_equal(fake_store.n_calls, 0);
    user_up(&t.u, &t.c, "sip:+9001@example.test");
    talk_bye(&t.u, &t.c);
    rig_down(t.r);
}

/* attacks.md 38: the called side sends the call to a number of its own choice. */
static void a_redirection_to_a_premium_number_is_not_followed(void **state)
{
    struct rig *r = rig_up(FRAUD("calls: 1"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    talk_start(&t.a, &t.b);
    memcpy(t.b.extra, "Contact: <sip:+900123@10.1.1.20>\r\n",
           sizeof("Contact: <sip:+900123@10.1.1.20>\r\n"));
    talk_refuse(&t.b, 302, &t.a, "480 INVITE");
    rig_down(r);
}

static void an_answered_party_cannot_refer_a_call_to_a_premium_number(void **state)
{
    struct rig *r = rig_up(FRAUD("calls: 1"), 1);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    pair_up(&t);
    memcpy(t.b.extra, "Refer-To: <sip:+900123@10.1.1.1>\r\n",
           sizeof("Refer-To: <sip:+900123@10.1.1.1>\r\n"));
    phone_request(&t.b, "REFER", NULL, NULL);
    t.b.extra[0] = '\0';
    assert_true(phone_try(&t.b, ""));
    assert_true(sl_starts(sl_str(t.b.got), SL("SIP/2.0 ")) && t.b.got[8] >= '4');
    QUIET(&t.a);
    pair_bye(&t);
    rig_down(r);
}

/* --- several workers --- */

static void two_workers_share_one_limit(void **state)
{
    struct rig *r = rig_up(
        HOUSE "limits: {sources: {early_calls: 5}}\n" PEERS("", ", limits: {calls: 6}") PEER_ROUTES,
        2);
    struct pair t[6];
    struct phone x;

    (void)state;
    pair_init(&t[0], r);
    x = t[0].a;
    for (unsigned i = 0; i < 6; i++) { /* each has its Call-ID, and so its worker */
        t[i] = t[0];
        phone_renew(&t[i].a);
        phone_renew(&t[i].b);
        t[i].a.worker = i % 2;
        pair_ring(&t[i]);
        if (i < 4) {
            pair_answer(&t[i]);
        }
    }
    refused(&x, CALLED, "503 INVITE");
    talk_record_is("policy", "Peer has too many calls", 503);
    for (unsigned i = 0; i < 4; i++) {
        pair_bye(&t[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        phone_renew(&t[i].a);
        phone_renew(&t[i].b);
        pair_ring(&t[i]);
    }
    x.worker = 1;
    refused(&x, CALLED, "503 INVITE");
    talk_record_is("policy", "Source has too many unanswered calls", 503);
    r->is_noisy = true;
    rig_advance(r, 200000);
    rig_down(r);
}

/* One that is full is passed over; what then becomes of the call is another's doing. */
static void a_limit_that_was_passed_over_is_not_the_verdict(void **state)
{
    struct rig *r =
        rig_up(HOUSE "peers:\n"
                     "  pbx: {listener: inside, targets: [\"sip:10.1.1.20:5070\"],\n"
                     "        limits: {calls: 1, refuse: {status: 486, reason: PBX is full}}}\n"
                     "  pbx2: {listener: inside, targets: [\"sip:10.1.1.21:5070\"]}\n"
                     "  carrier: {listener: outside, sources: [192.0.2.30/32]}\n"
                     "routes: [{name: inbound, from: carrier, to: [pbx, pbx2]}]\n",
               1);
    struct phone a[3], b, b2;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        phone_init(&a[i], r, 0, "alice", "192.0.2.30:5060");
    }
    phone_init(&b, r, 1, "bob", "10.1.1.20:5070");
    phone_init(&b2, r, 1, "bob2", "10.1.1.21:5070");
    talk_start(&a[0], &b);
    talk_answer(&a[0], &b);
    talk_start(&a[1], &b2);
    talk_answer(&a[1], &b2);
    talk_bye(&a[1], &b2);
    HAS(fake_store_last()->detail, "\"verdict\":{\"action\":\"route\"");
    HAS(fake_store_last()->detail, "\"name\":\"pbx\",\"result\":\"over the limit\"");
    talk_start(&a[2], &b2);
    phone_answer_invite(&b2, 486, NULL);
    EXPECT(&b2, "ACK");
    LACKS(EXPECT(&a[2], "486 INVITE"), "Retry-After");
    phone_ack_failure(&a[2]);
    talk_bye(&a[0], &b);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peers_burst_passes_and_then_its_pace),
        cmocka_unit_test(a_limit_answers_as_it_is_told_to_and_warns_before),
        cmocka_unit_test(the_limit_of_a_target_is_named_as_that_of_a_source_is),
        cmocka_unit_test(a_limit_that_was_passed_over_is_not_the_verdict),
        cmocka_unit_test(questions_of_a_peer_count_as_requests),
        cmocka_unit_test(the_node_counts_the_requests_of_all),
        cmocka_unit_test(unanswered_calls_of_a_source_come_back_however_they_end),
        cmocka_unit_test(a_user_has_his_own_calls_and_rates),
        cmocka_unit_test(a_device_too_many_is_refused_and_the_old_ones_stay),
        cmocka_unit_test(a_phone_that_registers_without_end_is_held_up),
        cmocka_unit_test(a_stolen_account_dials_only_so_many_numbers),
        cmocka_unit_test(calls_in_a_window_are_counted_also_when_they_were_short),
        cmocka_unit_test(minutes_are_used_up_by_long_calls_too),
        cmocka_unit_test(calls_at_once_to_one_range_are_few),
        cmocka_unit_test(a_stranger_guessing_prefixes_reaches_no_trunk),
        cmocka_unit_test(a_redirection_to_a_premium_number_is_not_followed),
        cmocka_unit_test(an_answered_party_cannot_refer_a_call_to_a_premium_number),
        cmocka_unit_test(two_workers_share_one_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
