/* test_flow_fork.c - users: registered devices ring together, the first answer wins. */
#include "rig.h"

#define DEVICES "sip:1001@example.test"

struct forks {
    struct rig *r;
    struct phone a;    /* the carrier calls */
    struct phone b, c; /* two devices of 1001 */
};

static void device(struct phone *p, struct rig *r, const char *at)
{
    phone_init(p, r, 1, "1001", at);
    memcpy(p->password, "one", sizeof("one"));
}

static void forks_init(struct forks *f, struct rig *r)
{
    f->r = r;
    phone_init(&f->a, r, 0, "alice", "192.0.2.30:5060");
    device(&f->b, r, "192.0.2.41:5062");
    device(&f->c, r, "192.0.2.42:5063");
    talk_register(&f->b, 3600);
    talk_register(&f->c, 3600);
}

static void ring(struct forks *f)
{
    phone_invite(&f->a, DEVICES, phone_sdp(&f->a, NULL));
    EXPECT(&f->a, "100 INVITE");
    EXPECT(&f->b, "INVITE");
    EXPECT(&f->c, "INVITE");
}

static void answer(struct forks *f, struct phone *p)
{
    talk_answer(&f->a, p);
}

static void bye(struct forks *f, struct phone *p)
{
    talk_bye(&f->a, p);
}

static void all_devices_of_a_user_ring_and_the_first_answer_wins(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    HAS(f.b.ring, "INVITE sip:dev-1001-1@192.0.2.41:5062 SIP/2.0\r\n");
    HAS(f.b.ring, "To: <sip:1001@example.test>\r\n");
    HAS(f.b.ring, "From: <sip:alice@example.test>;tag=");
    assert_false(
        sl_eq(msg_hdr(sl_str(f.b.ring), "Call-ID", 0), msg_hdr(sl_str(f.c.ring), "Call-ID", 0)));
    phone_answer(&f.b, 180, NULL);
    phone_answer(&f.c, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    QUIET(&f.a);
    answer(&f, &f.c);
    talk_cancelled(&f.b);
    bye(&f, &f.c);
    talk_record_is("caller", "BYE", 200);
    assert_string_equal(talk_record()->target, "user:1001");
    assert_string_equal(talk_record()->b_remote, "192.0.2.42:5063");
}

static void the_same_news_of_several_devices_is_told_once(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    phone_answer(&f.c, 180, NULL);
    phone_answer(&f.c, 181, NULL);
    phone_answer(&f.b, 180, NULL);
    QUIET(&f.a);
    phone_answer(&f.b, 183, phone_sdp(&f.b, NULL));
    HAS(EXPECT(&f.a, "183 INVITE"), "m=audio");
    phone_answer(&f.c, 183, phone_sdp(&f.c, NULL)); /* one early media is enough */
    QUIET(&f.a);
    answer(&f, &f.b);
    talk_cancelled(&f.c);
    bye(&f, &f.b);
}

static void the_device_that_answers_gets_the_media_whoever_played_before(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 183, phone_sdp(&f.b, NULL));
    EXPECT(&f.a, "183 INVITE");
    phone_answer(&f.c, 180, NULL);
    answer(&f, &f.c);
    talk_cancelled(&f.b);
    assert_int_equal(addr_port(&rig_media(f.r)->streams[0].side[1].remote.rtp), f.c.media_port);
    bye(&f, &f.c);
}

static void a_second_200_of_another_device_is_acknowledged_and_ended(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    answer(&f, &f.c);
    phone_answer_invite(&f.b, 200, phone_sdp(&f.b, NULL)); /* crosses the CANCEL */
    EXPECT(&f.b, "CANCEL");
    phone_answer(&f.b, 200, NULL);
    EXPECT(&f.b, "ACK");
    EXPECT(&f.b, "BYE");
    phone_answer(&f.b, 200, NULL);
    QUIET(&f.a);
    bye(&f, &f.c);
}

static void a_second_200_of_a_fork_behind_one_target_is_acknowledged_and_ended(void **state)
{
    struct pair t;
    struct phone fork;
    const char *m;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_fork(&fork, &t.b);
    pair_answer(&t);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, NULL));
    m = EXPECT(&fork, "ACK");
    HAS(m, fork.tag);
    m = EXPECT(&fork, "BYE");
    HAS(m, fork.tag);
    phone_answer(&fork, 200, NULL);
    QUIET(&t.a);
    phone_answer_invite(&t.b, 200, t.b.sdp); /* ours again: its own ACK */
    HAS(EXPECT(&t.b, "ACK"), t.b.tag);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    HAS(EXPECT(&t.b, "BYE"), t.b.tag);
    LACKS(t.b.got, "CSeq: 1 BYE"); /* the number rises in our dialog with the first one */
    phone_answer(&t.b, 200, NULL);
}

static void a_device_that_lost_and_hangs_up_does_not_end_the_call_of_the_winner(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    answer(&f, &f.c);
    phone_answer_invite(&f.b, 200, phone_sdp(&f.b, NULL)); /* answered at the same moment */
    phone_bye(&f.b);                                       /* and hung up as fast */
    EXPECT(&f.b, "ACK");
    EXPECT(&f.b, "BYE");
    phone_answer(&f.b, 200, NULL);
    EXPECT(&f.b, "200 BYE");
    QUIET(&f.a);
    QUIET(&f.c);
    phone_reinvite(&f.b, phone_sdp(&f.b, NULL));
    EXPECT(&f.b, "481 INVITE");
    phone_ack_failure(&f.b);
    QUIET(&f.a);
    assert_int_equal(rig_calls_now(f.r).answered, 1);
    bye(&f, &f.c);
}

static void a_device_that_says_bye_while_it_rings_is_out_and_the_others_ring_on(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    phone_bye(&f.b);
    EXPECT(&f.b, "200 BYE");
    phone_answer_invite(&f.b, 487, NULL);
    f.r->is_noisy = true; /* whether it gets a CANCEL before is not important */
    phone_drop_mail(&f.b);
    QUIET(&f.a);
    answer(&f, &f.c);
    bye(&f, &f.c);
}

static void the_answering_fork_behind_one_target_need_not_be_the_one_that_rang(void **state)
{
    struct pair t;
    struct phone fork;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_fork(&fork, &t.b);
    t.b = fork;
    pair_answer(&t);
    HAS(t.b.got, fork.tag);
    pair_bye(&t);
}

static void a_busy_device_does_not_stop_the_others(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 486, NULL);
    EXPECT(&f.b, "ACK");
    QUIET(&f.a);
    phone_answer(&f.c, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    answer(&f, &f.c);
    bye(&f, &f.c);
}

static void all_devices_busy_is_the_best_of_their_failures(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 486, NULL);
    EXPECT(&f.b, "ACK");
    talk_refuse(&f.c, 500, &f.a, "486 INVITE");
    talk_record_is("callee", "refused by the callee", 486);
}

static void a_603_of_one_device_stops_them_all(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.c, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    talk_refuse(&f.b, 603, &f.a, "603 INVITE");
    talk_cancelled(&f.c);
    talk_record_is("callee", "declined", 603);
}

static void a_caller_that_gives_up_cancels_all_devices(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    phone_answer(&f.c, 180, NULL);
    talk_cancel(&f.a);
    talk_cancelled(&f.b);
    talk_cancelled(&f.c);
}

#define ELSEWHERE "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"

static void cancelled(struct phone *p, bool is_taken)
{
    const char *m = EXPECT(p, "CANCEL");

    assert_int_equal(is_taken, strstr(m, ELSEWHERE) != NULL);
    assert_int_equal(is_taken, strstr(m, "Reason:") != NULL);
    phone_answer(p, 200, NULL);
    phone_answer_invite(p, 487, NULL);
    EXPECT(p, "ACK");
}

/* RFC 3326: else every telephone but one has a missed call. */
static void a_call_taken_by_another_is_no_missed_call(void **state)
{
    struct forks f;

    forks_init(&f, *state);
    ring(&f);
    phone_answer(&f.b, 180, NULL);
    EXPECT(&f.a, "180 INVITE");
    answer(&f, &f.b);
    QUIET(&f.c); /* it has not said a word yet */
    phone_answer(&f.c, 180, NULL);
    cancelled(&f.c, true);
    bye(&f, &f.b);
}

static void a_call_that_nobody_took_is_one_unless_the_caller_knows_better(void **state)
{
    static const struct {
        const char *reason;
        bool is_taken;
    } rows[] = {{"", false},
                {"Reason: SIP;cause=487\r\n", false},
                {"Reason: Q.850;cause=200\r\n", false},
                {"Reason: Q.850 ;cause=26, sip ; cause=200;text=\"x;y\"\r\n", true}};
    struct forks f;

    forks_init(&f, *state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        phone_renew(&f.a);
        phone_renew(&f.b);
        phone_renew(&f.c);
        ring(&f);
        phone_answer(&f.b, 180, NULL);
        EXPECT(&f.a, "180 INVITE");
        phone_answer(&f.c, 180, NULL);
        memcpy(f.a.extra, rows[i].reason, strlen(rows[i].reason) + 1);
        talk_cancel(&f.a);
        cancelled(&f.b, rows[i].is_taken);
        cancelled(&f.c, rows[i].is_taken);
    }
}

static void a_user_without_a_device_is_a_480_and_an_unknown_one_a_404(void **state)
{
    struct phone a;

    phone_init(&a, *state, 0, "alice", "192.0.2.30:5060");
    phone_invite(&a, "sip:1002@example.test", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&a, "480 INVITE");
    phone_ack_failure(&a);
    talk_record_is("system", "nobody to call", 480);
    phone_renew(&a);
    phone_invite(&a, "sip:1999@example.test", phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&a, "404 INVITE");
    phone_ack_failure(&a);
}

static void the_identity_of_a_user_replaces_a_forged_from(void **state)
{
    struct rig *r = *state;
    struct phone u, b;
    const char *m;

    phone_init(&u, r, 0, "1002", "192.0.2.43:5064");
    memcpy(u.password, "two", sizeof("two"));
    phone_init(&b, r, 1, "bob", "192.0.2.30:5060");
    memcpy(u.local, "\"The Boss\" <sip:1001@example.test>",
           sizeof("\"The Boss\" <sip:1001@example.test>"));
    phone_invite(&u, "sip:+4930999@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "407 INVITE");
    phone_ack_failure(&u);
    phone_credentials(&u, "INVITE", "sip:+4930999@example.test");
    phone_invite(&u, "sip:+4930999@example.test", phone_sdp(&u, NULL));
    EXPECT(&u, "100 INVITE");
    m = EXPECT(&b, "INVITE");
    HAS(m, "<sip:1002@203.0.113.1>;tag=");
    LACKS(m, "1001");
    LACKS(m, "Proxy-Authorization");
    talk_refuse(&b, 486, &u, "486 INVITE");
    assert_string_equal(talk_record()->calling, "1002");
    assert_string_equal(talk_record()->source, "user:1002");
}

static void users_are_reached_where_their_registration_came_from(void **state)
{
    struct rig *r = *state;
    struct phone a, b;

    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    device(&b, r, "192.0.2.44:6000");
    memcpy(b.at, "192.168.7.7:5060", sizeof("192.168.7.7:5060")); /* what it believes, behind NAT */
    talk_register(&b, 3600);
    phone_invite(&a, DEVICES, phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    HAS(EXPECT(&b, "INVITE"), "INVITE sip:dev-1001-1@192.168.7.7:5060 SIP/2.0\r\n");
    memcpy(b.media_ip, "192.168.7.7", sizeof("192.168.7.7"));
    phone_answer(&b, 200, phone_sdp(&b, NULL));
    EXPECT(&a, "200 INVITE");
    EXPECT(&b, "ACK"); /* by the flow, not to its Contact */
    phone_ack(&a, NULL);
    assert_true(rig_media(r)->streams[0].side[1].remote.wait_for_source);
    assert_true(addr_eq_ip(&rig_media(r)->streams[0].side[1].remote.signalling, &b.flow.remote));
    talk_bye(&a, &b);
}

static void a_device_on_a_connection_is_called_on_it_and_held(void **state)
{
    struct rig *r = *state;
    struct phone a, b;

    phone_init(&a, r, 0, "alice", "192.0.2.30:5060");
    device(&b, r, "192.0.2.45:33333");
    phone_on(&b, 0, SIP_TCP);
    talk_register(&b, 3600);
    assert_int_equal(r->holds, 1);
    phone_invite(&a, DEVICES, phone_sdp(&a, NULL));
    EXPECT(&a, "100 INVITE");
    EXPECT(&b, "INVITE");
    assert_int_equal(r->holds, 2);
    assert_int_equal(r->sent[r->n_sent - 1].flow.conn_slot, b.flow.conn_slot);
    talk_refuse(&b, 486, &a, "486 INVITE");
    assert_int_equal(r->holds, 1);
    worker_net_events.gone(rig_worker(r, 0), &b.flow, 0);
    rig_settle(r);
    assert_int_equal(r->holds, 0);
    assert_int_equal(registrar_count(rig_worker(r, 0)->registrar), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(all_devices_of_a_user_ring_and_the_first_answer_wins),
        FLOW_TEST(the_same_news_of_several_devices_is_told_once),
        FLOW_TEST(the_device_that_answers_gets_the_media_whoever_played_before),
        FLOW_TEST(a_second_200_of_another_device_is_acknowledged_and_ended),
        FLOW_TEST(a_second_200_of_a_fork_behind_one_target_is_acknowledged_and_ended),
        FLOW_TEST(a_device_that_lost_and_hangs_up_does_not_end_the_call_of_the_winner),
        FLOW_TEST(a_device_that_says_bye_while_it_rings_is_out_and_the_others_ring_on),
        FLOW_TEST(the_answering_fork_behind_one_target_need_not_be_the_one_that_rang),
        FLOW_TEST(a_busy_device_does_not_stop_the_others),
        FLOW_TEST(all_devices_busy_is_the_best_of_their_failures),
        FLOW_TEST(a_603_of_one_device_stops_them_all),
        FLOW_TEST(a_caller_that_gives_up_cancels_all_devices),
        FLOW_TEST(a_call_taken_by_another_is_no_missed_call),
        FLOW_TEST(a_call_that_nobody_took_is_one_unless_the_caller_knows_better),
        FLOW_TEST(a_user_without_a_device_is_a_480_and_an_unknown_one_a_404),
        FLOW_TEST(the_identity_of_a_user_replaces_a_forged_from),
        FLOW_TEST(users_are_reached_where_their_registration_came_from),
        FLOW_TEST(a_device_on_a_connection_is_called_on_it_and_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
