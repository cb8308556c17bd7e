/* test_flow_guard.c - the edge of the whole house: floods of strangers, proof by a password, what a
 * flood in somebody's name can do. */
#include "edge.h"

static const char yaml_tight[] =
    LISTENERS PARTIES "security: {unknown_sources: {packets_per_second: 4, each: off}}\n";

/* Strangers that nobody waits for: OPTIONS from a hundred addresses. */
static void flood(struct rig *r, unsigned n)
{
    struct flow flow = {.transport = SIP_UDP, .conn_slot = FLOW_NO_CONN};

    r->is_noisy = true;
    assert_int_equal(addr_parse(SL("198.51.100.1"), 5060, &flow.local), 0);
    for (unsigned i = 0; i < n; i++) {
        char text[512];
        struct buf b;

        buf_init_fixed(&b, text, sizeof(text));
        buf_putf(&b, "192.0.2.%u", 100 + i % 100);
        assert_int_equal(addr_parse(buf_sl(&b), 5060, &flow.remote), 0);
        buf_reset(&b);
        buf_putf(&b,
                 "OPTIONS sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.%u;branch=z9hG4bK%u"
                 "\r\nFrom: <sip:a@b>;tag=%u\r\nTo: <sip:c@d>\r\nCall-ID: %u\r\n"
                 "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                 100 + i % 100, i, i, i);
        assert_int_equal(buf_err(&b), 0);
        rig_input(r, 0, &flow, buf_sl(&b));
    }
}

static void a_flood_of_strangers_is_dropped_and_the_carrier_calls_on(void **state)
{
    struct rig *r = rig_up(yaml_tight, 1);
    struct pair t;

    (void)state;
    flood(r, 100);
    assert_int_equal(stat_sum(STAT_SIP_DROP_STRANGER), 96);
    pair_init(&t, r);
    pair_up(&t);
    flood(r, 100);
    pair_bye(&t);
    talk_record_is("caller", "BYE", 200);
    assert_int_equal(stat_sum(STAT_SIP_DROP_STRANGER), 196);
    rig_down(r);
}

static void who_gave_his_password_is_no_stranger_any_more(void **state)
{
    struct rig *r = rig_up(yaml_tight, 1);
    struct phone p;

    (void)state;
    phone_init(&p, r, 0, "1001", "192.0.2.50:5060");
    memcpy(p.password, "one", sizeof("one"));
    talk_register(&p, 3600);
    flood(r, 20);
    for (int i = 0; i < 10; i++) { /* his flow has no share in the strangers' budget */
        phone_renew(&p);
        phone_request(&p, "OPTIONS", "sip:198.51.100.1", NULL);
        EXPECT(&p, "200 OPTIONS");
    }
    phone_init(&p, r, 0, "1001", "192.0.2.50:5061"); /* another port: somebody else */
    phone_request(&p, "OPTIONS", "sip:198.51.100.1", NULL);
    QUIET(&p);
    rig_down(r);
}

static void a_banned_source_hears_nothing_and_costs_no_parsing(void **state)
{
    struct rig *r = rig_up(NULL, 1);
    struct prefix p = {0};
    struct phone s;

    (void)state;
    assert_int_equal(prefix_parse(SL("192.0.2.99"), &p), 0);
    policy_deny(r->b.gate, &p, loop_now_ms(rig_worker(r, 0)->loop) + 5000,
                loop_now_ms(rig_worker(r, 0)->loop));
    phone_init(&s, r, 0, "stranger", "192.0.2.99:5060");
    phone_invite(&s, "sip:1001@example.test", phone_sdp(&s, NULL));
    phone_send_raw(&s, "no SIP at all\r\n\r\n");
    QUIET(&s);
    assert_int_equal(stat_sum(STAT_SIP_DROP_DENIED), 2);
    assert_int_equal(stat_sum(STAT_SIP_BAD), 0);
    rig_advance(r, 5000);
    phone_renew(&s);
    phone_invite(&s, "sip:1001@example.test", phone_sdp(&s, NULL));
    EXPECT(&s, "407 INVITE");
    phone_ack_failure(&s);
    rig_down(r);
}

static void answers_of_a_target_that_is_no_source_are_let_in(void **state)
{
    static const char text[] =
        LISTENERS "peers:\n"
                  "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: "
                  "[\"sip:10.1.1.20:5070\"]}\n"
                  "  carrier: {listener: outside, sources: [192.0.2.30/32], targets: "
                  "[\"sip:192.0.2.30:5060\"]}\n"
                  "  away: {listener: outside, targets: [\"sip:192.0.2.77:5060\"]}\n"
                  "routes:\n"
                  "  - {name: out, from: pbx, to: [away]}\n"
                  "security: {unknown_sources: {packets_per_second: 1}}\n";
    struct rig *r = rig_up(text, 1);
    struct phone a, b;

    (void)state;
    phone_init(&a, r, 0, "pbx", "10.1.1.20:5070");
    phone_init(&b, r, 1, "away", "192.0.2.77:5060");
    flood(r, 5);
    phone_invite(&a, "sip:+4930@10.1.1.1", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    phone_answer(&b, 180, NULL);
    EXPECT(&a, "180 INVITE");
    talk_answer(&a, &b);
    talk_bye(&a, &b);
    rig_down(r);
}

/* --- bans --- */

static const char yaml_bans[] = LISTENERS PARTIES
    "security: {allow: [192.0.2.200/32],\n"
    "           bans: {threshold: 10, window: 5m, durations: [5m, 1h], networks: off}}\n";
static const char yaml_dry[] = LISTENERS PARTIES "security: {bans: {dry_run: true}}\n";

static void a_scanner_by_udp_hears_nothing_for_a_minute_and_earns_no_ban(void **state)
{
    struct rig *r = rig_up(yaml_bans, 2);
    struct phone s;

    (void)state;
    scan(&s, "192.0.2.99:5060", SIP_UDP, r);
    QUIET(&s);
    asks_in_vain(&s);
    rig_advance(r, POLICY_QUIET_MS + 1000);
    asks(&s);
    assert_int_equal(fake_store.n_bans_put, 0);
    assert_int_equal(stat_sum(STAT_BAN_SILENCED), 1);
    rig_down(r);
}

static void bans_say(struct rig *r, const char *what)
{
    struct guard_page page = {.limit = 10};
    char text[2048];
    struct json j;
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    json_init(&j, &b);
    json_arr(&j);
    guard_put_bans(r->b.guard, &j, &page);
    json_arr_end(&j);
    text[b.n] = '\0';
    HAS(text, what);
}

static void a_scanner_by_tcp_is_banned_longer_each_time_and_it_is_kept(void **state)
{
    struct rig *r = rig_up(yaml_bans, 2);
    struct phone s;

    (void)state;
    scan(&s, "192.0.2.99:5060", SIP_TCP, r);
    QUIET(&s);
    assert_string_equal(fake_store.last_ban, "192.0.2.99/32 scanner");
    bans_say(r, "\"packets_dropped\":0}");
    asks_in_vain(&s);
    bans_say(r, "\"packets_dropped\":1}");
    rig_advance(r, 300000 - 2000);
    asks_in_vain(&s);
    rig_advance(r, 3000);
    asks(&s);
    scan(&s, "192.0.2.99:5060", SIP_TCP, r);
    rig_advance(r, 3600000 - 2000);
    asks_in_vain(&s);
    rig_advance(r, 3000);
    asks(&s);
    assert_int_equal(fake_store.n_bans_put, 2);
    rig_down(r);
}

static void guessing_passwords_by_udp_is_banned_as_the_nonce_came_back(void **state)
{
    struct rig *r = rig_up(yaml_bans, 2);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "1001", "192.0.2.99:5060");
    memcpy(s.password, "wrong", sizeof("wrong"));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
        guess(&s, "1001", true);
    }
    assert_string_equal(fake_store.last_ban, "192.0.2.99/32 auth_failed");
    asks_in_vain(&s);
    rig_down(r);
}

static void a_forged_answer_to_a_nonce_of_somebody_else_proves_nothing(void **state)
{
    struct rig *r = rig_up(yaml_bans, 1);
    struct phone s, victim;
    char stolen[sizeof(s.extra)];

    (void)state;
    phone_init(&s, r, 0, "1001", "192.0.2.99:5060");
    memcpy(s.password, "wrong", sizeof("wrong"));
    guess(&s, "1001", false);
    phone_credentials(&s, "REGISTER", "sip:example.test");
    memcpy(stolen, s.extra, sizeof(stolen));
    phone_init(&victim, r, 0, "1001", "192.0.2.98:5060");
    for (int i = 0; i < 20; i++) { /* sent in the victim's name */
        phone_renew(&victim);
        memcpy(victim.extra, stolen, sizeof(stolen));
        phone_request(&victim, "REGISTER", "sip:example.test", NULL);
        phone_drop_mail(&victim);
    }
    assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
    assert_int_equal(fake_store.n_bans_put, 0);
    rig_down(r);
}

/* --- one account, many sources --- */

static const char yaml_guesses[] = LISTENERS
    "peers:\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32],\n"
    "            targets: [\"sip:192.0.2.30:5060\"]}\n"
    "users: {domain: example.test, listener: outside, guesses: {failures: 5, block: 1m},\n"
    "        accounts: [{name: \"1001\", password: one}]}\n"
    "routes: [{name: outbound, from: users, to: [carrier]}]\n"
    "security: {bans: {threshold: 10, window: 5m, durations: [5m], networks: off}}\n";

/* Wrong passwords, each from another address, so that no source is banned for it. */
static void guess_from_everywhere(struct rig *r, const char *user, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct phone s;
        char at[32];

        snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + i);
        phone_init(&s, r, 0, user, at);
        memcpy(s.password, "wrong", sizeof("wrong"));
        guess(&s, user, true);
    }
}

static void many_who_guess_one_password_make_strangers_wait_but_not_the_owner(void **state)
{
    struct rig *r = rig_up(yaml_guesses, 2);
    struct phone owner, far;

    (void)state;
    phone_init(&owner, r, 0, "1001", "192.0.2.50:5060");
    memcpy(owner.password, "one", sizeof("one"));
    talk_register(&owner, 3600);
    guess_from_everywhere(r, "1001", 4);
    assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 0);
    guess_from_everywhere(r, "1001", 1);
    assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 1);
    phone_init(&far, r, 0, "1001", "192.0.2.103:5062"); /* whence somebody has guessed */
    memcpy(far.password, "one", sizeof("one"));
    for (int i = 0; i < 6; i++) { /* a right password is answered as a wrong one, and no offence */
        guess(&far, "1001", true);
    }
    assert_int_equal(stat_sum(STAT_AUTH_HELD), 6);
    assert_int_equal(stat_sum(STAT_OFFENCE), 5);
    assert_int_equal(stat_sum(STAT_BAN_MADE) + stat_sum(STAT_BAN_SILENCED), 0);
    talk_register(&owner, 3600);
    phone_init(&owner, r, 0, "1001", "192.0.2.50:5062"); /* another device behind the same door */
    memcpy(owner.password, "one", sizeof("one"));
    talk_register(&owner, 3600);
    rig_advance(r, 2000);
    talk_register(&far, 3600); /* his time has come */
    guess_from_everywhere(r, "1001", 4);
    assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 1); /* he reset the count */
    rig_down(r);
}

static void a_new_phone_is_let_in_at_once_while_others_go_on_guessing(void **state)
{
    struct rig *r = rig_up(yaml_guesses, 2);
    struct phone far, bad;

    (void)state;
    guess_from_everywhere(r, "1001", 5);
    phone_init(&bad, r, 0, "1001", "192.0.2.61:5060");
    memcpy(bad.password, "wrong", sizeof("wrong"));
    guess(&bad, "1001", true); /* looked at, as he is new */
    assert_int_equal(stat_sum(STAT_AUTH_HELD), 0);
    guess(&bad, "1001", true); /* no more, and the answer is the same */
    assert_int_equal(stat_sum(STAT_AUTH_HELD), 1);
    phone_init(&far, r, 0, "1001", "192.0.2.60:5060");
    memcpy(far.password, "one", sizeof("one"));
    talk_register(&far, 3600);
    rig_down(r);
}

static void calls_and_messages_of_strangers_wait_like_their_registrations(void **state)
{
    struct rig *r = rig_up(yaml_guesses, 1);
    struct phone far;

    (void)state;
    guess_from_everywhere(r, "1001", 5);
    phone_init(&far, r, 0, "1001", "192.0.2.103:5062");
    memcpy(far.password, "one", sizeof("one"));
    phone_invite(&far, "sip:+4930@example.test", phone_sdp(&far, NULL));
    EXPECT(&far, "407 INVITE");
    phone_ack_failure(&far);
    phone_credentials(&far, "INVITE", "sip:+4930@example.test");
    phone_invite(&far, "sip:+4930@example.test", phone_sdp(&far, NULL));
    EXPECT(&far, "407 INVITE");
    phone_ack_failure(&far);
    assert_int_equal(stat_sum(STAT_AUTH_HELD), 1);
    rig_down(r);
}

/* The fields in their order, with what is new in each challenge left out. */
static void put_shape(char shape[2048], const char *text)
{
    struct sl all = sl_str(text), line;
    struct buf b;

    buf_init_fixed(&b, shape, 2047);
    while (sl_next(&all, '\n', &line) == 0) {
        buf_putsl(&b, sl_starts(line, SL("WWW-")) ? sl_from(line, (size_t)sl_find(line, SL("algo")))
                                                  : sl_head(line, 4));
        buf_putc(&b, '\n');
    }
    shape[b.n] = '\0';
}

static void a_name_that_is_nobodys_makes_strangers_wait_with_the_same_words(void **state)
{
    static const char *const names[] = {"1001", "1999"};
    char said[2][2048];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct rig *r = rig_up(yaml_guesses, 1);
        struct phone s;

        guess_from_everywhere(r, names[i], 5);
        phone_init(&s, r, 0, names[i], "192.0.2.103:5062");
        memcpy(s.password, "wrong", sizeof("wrong"));
        guess(&s, names[i], true);
        assert_int_equal(stat_sum(STAT_AUTH_HELD), 1);
        assert_int_equal(stat_sum(STAT_AUTH_GUARDED), 1);
        put_shape(said[i], s.got);
        rig_down(r);
    }
    assert_non_null(strstr(said[0], "algorithm=MD5, qop=\"auth\"\r\n"));
    assert_string_equal(said[0], said[1]);
}

static void looking_for_users_is_silenced_and_a_known_phone_is_not(void **state)
{
    struct rig *r = rig_up(yaml_bans, 2);
    struct phone s, p;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    for (int i = 0; i < 5; i++) {
        char user[16];

        snprintf(user, sizeof(user), "%d", 100 + i);
        guess(&s, user, false);
    }
    asks_in_vain(&s);
    phone_init(&p, r, 0, "1001", "192.0.2.50:5060");
    memcpy(p.password, "one", sizeof("one"));
    for (int i = 0; i < 50; i++) { /* each time without a password first */
        talk_register(&p, 3600);
    }
    asks(&p);
    rig_down(r);
}

static void trying_expensive_numbers_is_silenced(void **state)
{
    struct rig *r = rig_up(yaml_bans, 1);
    struct phone s;

    (void)state;
    phone_init(&s, r, 0, "100", "192.0.2.99:5060");
    for (int i = 0; i < 5; i++) {
        phone_renew(&s);
        phone_invite(&s, "sip:00972592277524@198.51.100.1", phone_sdp(&s, NULL));
        EXPECT(&s, "407 INVITE");
        phone_ack_failure(&s);
    }
    asks_in_vain(&s);
    rig_down(r);
}

static void malformed_messages_in_the_name_of_the_carrier_ban_nobody(void **state)
{
    struct rig *r = rig_up(yaml_bans, 2);
    struct phone carrier, s, allowed;

    (void)state;
    phone_init(&carrier, r, 0, "carrier", "192.0.2.30:5060");
    phone_init(&allowed, r, 0, "boss", "192.0.2.200:5060");
    phone_init(&s, r, 0, "stranger", "192.0.2.99:5060");
    for (int i = 0; i < 50; i++) {
        phone_send_raw(&carrier, "INVITE nothing SIP/2.0\r\n\r\n");
        phone_send_raw(&allowed, "INVITE nothing SIP/2.0\r\n\r\n");
    }
    for (int i = 0; i < 10; i++) {
        phone_send_raw(&s, "INVITE nothing SIP/2.0\r\n\r\n");
    }
    asks(&carrier);
    asks(&allowed);
    asks_in_vain(&s);
    assert_int_equal(stat_sum(STAT_BAN_MADE), 0);
    assert_int_equal(stat_sum(STAT_BAN_SILENCED), 1);
    assert_true(stat_sum(STAT_BAN_SUPPRESSED) >= 50);
    rig_down(r);
}

static void a_dry_run_answers_everybody(void **state)
{
    struct rig *r = rig_up(yaml_dry, 1);
    struct phone s;

    (void)state;
    scan(&s, "192.0.2.99:5060", SIP_TCP, r);
    EXPECT(&s, "200 OPTIONS");
    asks(&s);
    assert_int_equal(stat_sum(STAT_BAN_MADE), 1);
    assert_string_equal(fake_store.last_ban, "192.0.2.99/32 scanner");
    rig_down(r);
}

static void a_reload_that_allows_a_banned_network_lets_it_go(void **state)
{
    static const char after[] =
        LISTENERS PARTIES "security: {allow: [192.0.2.96/28], bans: {threshold: 10}}\n";
    struct rig *r = rig_up(yaml_bans, 1);
    struct phone s;

    (void)state;
    scan(&s, "192.0.2.99:5060", SIP_TCP, r);
    asks_in_vain(&s);
    rig_reload(r, after);
    asks(&s);
    assert_int_equal(fake_store.n_bans_del, 1);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_strangers_is_dropped_and_the_carrier_calls_on),
        cmocka_unit_test(who_gave_his_password_is_no_stranger_any_more),
        cmocka_unit_test(a_banned_source_hears_nothing_and_costs_no_parsing),
        cmocka_unit_test(a_scanner_by_udp_hears_nothing_for_a_minute_and_earns_no_ban),
        cmocka_unit_test(a_scanner_by_tcp_is_banned_longer_each_time_and_it_is_kept),
        cmocka_unit_test(guessing_passwords_by_udp_is_banned_as_the_nonce_came_back),
        cmocka_unit_test(a_new_phone_is_let_in_at_once_while_others_go_on_guessing),
        cmocka_unit_test(many_who_guess_one_password_make_strangers_wait_but_not_the_owner),
        cmocka_unit_test(calls_and_messages_of_strangers_wait_like_their_registrations),
        cmocka_unit_test(a_name_that_is_nobodys_makes_strangers_wait_with_the_same_words),
        cmocka_unit_test(a_forged_answer_to_a_nonce_of_somebody_else_proves_nothing),
        cmocka_unit_test(looking_for_users_is_silenced_and_a_known_phone_is_not),
        cmocka_unit_test(trying_expensive_numbers_is_silenced),
        cmocka_unit_test(malformed_messages_in_the_name_of_the_carrier_ban_nobody),
        cmocka_unit_test(a_dry_run_answers_everybody),
        cmocka_unit_test(a_reload_that_allows_a_banned_network_lets_it_go),
        cmocka_unit_test(answers_of_a_target_that_is_no_source_are_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
