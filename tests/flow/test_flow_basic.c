/* test_flow_basic.c - calls that go as calls should, and the little accidents of every day. */
#include "rig.h"

static void a_call_is_set_up_answered_and_ended_by_the_caller(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    m = EXPECT(&t.b, "INVITE");
    HAS(m, "INVITE sip:+4930123@10.1.1.20:5070 SIP/2.0\r\n");
    HAS(m, "From: <sip:alice@10.1.1.1>;tag=");
    HAS(m, "To: <sip:+4930123@10.1.1.20>\r\n");
    HAS(m, "Max-Forwards: 69\r\n");
    HAS(m, "c=IN IP4 10.1.1.1\r\n");
    assert_in_range(msg_port(m), 30000, 30999);
    phone_answer(&t.b, 100, NULL);
    QUIET(&t.a);
    phone_answer(&t.b, 180, NULL);
    m = EXPECT(&t.a, "180 INVITE");
    HAS(m, "Contact: <sip:");
    assert_int_equal(rig_calls_now(t.r).ringing, 1);
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    m = EXPECT(&t.a, "200 INVITE");
    HAS(m, "c=IN IP4 203.0.113.1\r\n");
    assert_in_range(msg_port(m), 20000, 20999);
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    rig_advance(t.r, 10000);
    pair_bye(&t);
    talk_record_is("caller", "BYE", 200);
    assert_int_equal(talk_record()->end_ms - talk_record()->answer_ms, 10000);
}

static void the_record_names_both_parties_the_numbers_and_the_route(void **state)
{
    struct pair t;
    const struct fake_call *c;

    pair_init(&t, *state);
    pair_up(&t);
    c = fake_store_last();
    assert_int_equal(c->state, STORE_CALL_ANSWERED);
    pair_bye(&t);
    c = talk_record();
    assert_string_equal(c->source, "peer:carrier");
    assert_string_equal(c->target, "peer:pbx");
    assert_string_equal(c->route, "inbound");
    assert_string_equal(c->calling, "alice");
    assert_string_equal(c->called, "+4930123");
    assert_string_equal(c->a_remote, "192.0.2.30:5060");
    assert_string_equal(c->b_remote, "10.1.1.20:5070");
    HAS(c->detail, "\"result\":\"answered\"");
    HAS(c->detail, "\"rx_packets\":10");
    HAS(c->detail, "\"live\":false");
    assert_true(c->ladder_n > 4 + 12 * 8);
    assert_int_equal(c->ladder[0], 1);
}

static void the_callee_may_hang_up_too(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_bye(&t.b, &t.a);
    talk_record_is("callee", "BYE", 200);
}

static void media_is_pointed_at_both_sides_by_the_answer_and_not_before(void **state)
{
    struct pair t;
    struct media_session *s;

    pair_init(&t, *state);
    pair_ring(&t);
    s = rig_media(t.r);
    assert_true(s->streams[0].side[0].is_open && s->streams[0].side[1].is_open);
    assert_int_equal(s->streams[0].side[0].n_described, 0);
    pair_answer(&t);
    assert_ptr_equal(rig_media(t.r), s);
    assert_int_equal(addr_port(&s->streams[0].side[0].remote.rtp), t.a.media_port);
    assert_int_equal(addr_port(&s->streams[0].side[1].remote.rtp), t.b.media_port);
    assert_true(addr_eq_ip(&s->streams[0].side[1].remote.rtp, &t.b.flow.remote));
    assert_true(s->streams[0].side[0].remote.may_send);
    pair_bye(&t);
    assert_null(rig_media(t.r));
}

static void an_answer_without_ringing_is_an_answer(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    pair_answer(&t);
    pair_bye(&t);
}

static void a_repeated_invite_gets_the_last_answer_again_and_no_second_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_again(&t.a);
    EXPECT(&t.a, "180 INVITE");
    QUIET(&t.b);
    pair_answer(&t);
    phone_again(&t.a);
    QUIET(&t.b);
    QUIET(&t.a);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

static void early_media_reaches_the_caller_and_the_answer_may_repeat_it(void **state)
{
    struct pair t;
    const char *m;
    unsigned port;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    m = EXPECT(&t.a, "183 INVITE");
    port = msg_port(m);
    assert_in_range(port, 20000, 20999);
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[1].remote.rtp), t.b.media_port);
    phone_answer_invite(&t.b, 200, t.b.sdp);
    m = EXPECT(&t.a, "200 INVITE");
    assert_int_equal(msg_port(m), port);
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

/* attacks.md 27, RFC 3261 13.2.1: within one dialog the first answer counts. */
static void another_answer_in_the_same_dialog_changes_nothing(void **state)
{
    static const unsigned again[] = {180, 183, 200};
    struct pair t;
    uint16_t first;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    first = t.b.media_port;
    for (size_t i = 0; i < COUNT_OF(again); i++) {
        const struct fake_side *b = &rig_media(t.r)->streams[0].side[1];

        t.b.media_port = (uint16_t)(first + 100 * (i + 1));
        phone_answer_invite(&t.b, again[i], phone_sdp(&t.b, "sendonly"));
        LACKS(EXPECT(&t.a, ""), "a=sendonly");
        assert_int_equal(addr_port(&b->remote.rtp), first);
        assert_true(b->remote.may_receive);
    }
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

/* A device that rang first and another one behind the same INVITE that took the call. */
static void the_answer_of_another_dialog_counts_for_itself(void **state)
{
    struct pair t;
    struct phone fork;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    phone_fork(&fork, &t.b);
    fork.media_port = (uint16_t)(t.b.media_port + 100);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, NULL));
    EXPECT(&t.a, "200 INVITE");
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[1].remote.rtp), fork.media_port);
    EXPECT(&fork, "ACK");
    phone_ack(&t.a, NULL);
    t.b = fork;
    pair_bye(&t);
}

/* The one who called holds us to the first answer in a dialog (RFC 3261 13.2.1): what differs comes
 * in another one, and only that. */
static void another_answer_reaches_the_caller_in_a_dialog_of_its_own(void **state)
{
    struct pair t;
    struct phone fork;
    char first[RIG_ID_MAX];

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    memcpy(first, t.a.remote_tag, sizeof(first));
    phone_answer_invite(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    assert_string_equal(t.a.remote_tag, first);
    phone_fork(&fork, &t.b);
    phone_answer_invite(&fork, 183, phone_sdp(&fork, NULL)); /* the same to the caller */
    EXPECT(&t.a, "183 INVITE");
    assert_string_equal(t.a.remote_tag, first);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, NULL));
    EXPECT(&t.a, "200 INVITE");
    assert_string_equal(t.a.remote_tag, first);
    EXPECT(&fork, "ACK");
    phone_ack(&t.a, NULL);
    talk_bye(&t.a, &fork);

    phone_renew(&t.a);
    phone_renew(&t.b);
    talk_start(&t.a, &t.b);
    phone_answer_invite(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    memcpy(first, t.a.remote_tag, sizeof(first));
    phone_fork(&fork, &t.b);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, "sendonly"));
    EXPECT(&t.a, "200 INVITE");
    assert_string_not_equal(t.a.remote_tag, first);
    EXPECT(&fork, "ACK");
    phone_ack(&t.a, NULL);
    rig_advance(t.r, 1000);
    QUIET(&t.a); /* the ACK in the new dialog was understood */
    talk_bye(&t.a, &fork);
}

static void put_many_formats(struct buf *b, const struct phone *p, unsigned n)
{
    buf_reset(b);
    buf_putf(b, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP",
             p->media_ip, p->media_ip, p->media_port);
    for (unsigned i = 0; i < n; i++) {
        buf_putf(b, " %u", 40 + i);
    }
    for (unsigned i = 0; i < n; i++) {
        buf_putf(b, "\r\na=rtpmap:%u x%u/8000", 40 + i, i);
    }
    BUF_LIT(b, "\r\n");
    buf_putc(b, '\0');
    assert_int_equal(buf_err(b), 0);
}

/* Without a list the relay would let numbers through that mean something else over there. */
static void the_relay_is_told_of_every_format(void **state)
{
    static const unsigned counts[] = {1, 64, 66};
    char text[3072];
    struct pair t;
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        phone_renew(&t.a);
        put_many_formats(&b, &t.a, counts[i]);
        phone_invite(&t.a, CALLED, text);
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.b, "INVITE");
        put_many_formats(&b, &t.b, counts[i]);
        talk_accept(&t.a, &t.b, text);
        assert_int_equal(rig_media(t.r)->streams[0].side[0].n_formats, counts[i]);
        assert_int_equal(rig_media(t.r)->streams[0].side[1].n_formats, counts[i]);
        pair_bye(&t);
    }
}

static void ringing_with_a_description_carries_early_media_as_well(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 180, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.a, "180 INVITE"), "m=audio 2");
    pair_answer(&t);
    pair_bye(&t);
}

static void an_answer_without_description_uses_the_one_of_the_early_media(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    phone_answer_invite(&t.b, 200, NULL);
    HAS(EXPECT(&t.a, "200 INVITE"), "m=audio 2");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

static void a_late_offer_goes_out_in_our_200_and_its_answer_in_our_ack(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, NULL);
    EXPECT(&t.a, "100 INVITE");
    m = EXPECT(&t.b, "INVITE");
    LACKS(m, "application/sdp\r\nContent-Length: 1");
    LACKS(m, "m=audio");
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    m = EXPECT(&t.a, "200 INVITE");
    assert_in_range(msg_port(m), 20000, 20999);
    QUIET(&t.b); /* its ACK waits for the caller's */
    phone_ack(&t.a, phone_sdp(&t.a, NULL));
    m = EXPECT(&t.b, "ACK");
    assert_in_range(msg_port(m), 30000, 30999);
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[0].remote.rtp), t.a.media_port);
    pair_bye(&t);
}

/* Answered, and the caller has the callee's offer. */
static void late_offer(struct pair *t, struct rig *r)
{
    pair_init(t, r);
    phone_invite(&t->a, CALLED, NULL);
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
    phone_answer_invite(&t->b, 200, phone_sdp(&t->b, NULL));
    EXPECT(&t->a, "200 INVITE");
}

/* RFC 3261 13.2.2.4: it is the same answer. */
static void a_late_offer_that_comes_again_waits_for_the_callers_answer(void **state)
{
    struct pair t;

    late_offer(&t, *state);
    rig_advance(t.r, 500);
    phone_answer_invite(&t.b, 200, t.b.sdp);
    QUIET(&t.b);
    EXPECT(&t.a, "200 INVITE"); /* repeated by us */
    phone_ack(&t.a, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.b, "ACK"), "m=audio");
    phone_answer_invite(&t.b, 200, t.b.sdp);
    HAS(EXPECT(&t.b, "ACK"), "m=audio");
    pair_bye(&t);
}

static void a_late_offer_that_the_caller_does_not_answer_ends_the_call(void **state)
{
    struct pair t;

    late_offer(&t, *state);
    phone_ack(&t.a, NULL);
    EXPECT(&t.b, "ACK");
    talk_cut(&t.a, &t.b);
    talk_record_is("caller", "no answer in the ACK", 200);
}

static void a_lost_ack_repeats_our_200_and_ends_the_call_at_64_t1(void **state)
{
    struct pair t;
    int n = 1;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    rig_advance(t.r, 31999);
    while (phone_try(&t.a, "200 INVITE")) {
        n++;
    }
    assert_int_equal(n, 11); /* 0, .5, 1.5, 3.5, 7.5, then every 4 s until 31.5 */
    rig_advance(t.r, 1);
    talk_cut(&t.a, &t.b);
    talk_record_is("timeout", "no ACK for our answer", 200);
}

static void a_repeated_200_of_the_callee_gets_the_same_ack_again(void **state)
{
    struct pair t;
    char first[RIG_TEXT_MAX];

    pair_init(&t, *state);
    pair_ring(&t);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    memcpy(first, EXPECT(&t.b, "ACK"), sizeof(first));
    phone_answer_invite(&t.b, 200, t.b.sdp);
    assert_string_equal(EXPECT(&t.b, "ACK"), first);
    QUIET(&t.a);
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

/* RFC 3261 13.2.2.4: PBXs re-INVITE at once, and the first ACK may still be on its way. */
static void a_lost_ack_comes_again_though_a_reinvite_is_under_way(void **state)
{
    struct pair t;
    char ack[RIG_TEXT_MAX], first[sizeof(t.b.ring)], second[sizeof(t.b.ring)];

    pair_init(&t, *state);
    pair_ring(&t);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    memcpy(ack, EXPECT(&t.b, "ACK"), sizeof(ack));
    memcpy(first, t.b.ring, sizeof(first));
    phone_ack(&t.a, NULL);
    phone_reinvite(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    memcpy(second, t.b.ring, sizeof(second));
    memcpy(t.b.ring, first, sizeof(first));
    phone_answer_invite(&t.b, 200, t.b.sdp);
    assert_string_equal(EXPECT(&t.b, "ACK"), ack);
    memcpy(t.b.ring, second, sizeof(second));
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

static void both_may_hang_up_at_once(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.b, "BYE");
    phone_bye(&t.b); /* sent before it saw ours */
    EXPECT(&t.b, "200 BYE");
    t.b.asked[0] = '\0';
    rig_advance(t.r, 500);
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 481, NULL);
    talk_record_is("caller", "BYE", 200);
}

static void a_bye_in_the_early_dialog_is_a_487(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    talk_record_is("caller", "BYE before the answer", 487);
}

static void an_unanswered_bye_is_given_up_and_the_call_is_gone(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    rig_advance(t.r, 40000);
    phone_drop_mail(&t.b);
    assert_int_equal(rig_calls_now(t.r).zombies, 0);
}

static void calls_over_tcp_keep_to_their_connections(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    phone_on(&t.a, 0, SIP_TCP);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    assert_int_equal(t.r->sent[0].flow.conn_slot, t.a.flow.conn_slot);
    assert_int_equal(t.r->holds, 1);
    EXPECT(&t.b, "INVITE");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    m = EXPECT(&t.a, "200 INVITE");
    HAS(m, ":5060;transport=tcp>");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    EXPECT(&t.a, "BYE");
    assert_int_equal(t.r->sent[t.r->n_sent - 1].flow.conn_slot, t.a.flow.conn_slot);
    phone_answer(&t.a, 200, NULL);
    assert_int_equal(t.r->holds, 0);
}

static void a_call_through_proxies_follows_their_record_routes(void **state)
{
    struct pair t;
    const char *m;

    pair_init(&t, *state);
    memcpy(t.a.extra, SL("Record-Route: <sip:192.0.2.30:5060;lr>\r\n").p,
           sizeof("Record-Route: <sip:192.0.2.30:5060;lr>\r\n"));
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    m = EXPECT(&t.b, "INVITE");
    LACKS(m, "Route:");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.a, "200 INVITE"), "Record-Route: <sip:192.0.2.30:5060;lr>");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    HAS(EXPECT(&t.a, "BYE"), "Route: <sip:192.0.2.30:5060;lr>");
    phone_answer(&t.a, 200, NULL);
}

static void the_books_of_two_calls_at_once_are_kept_apart(void **state)
{
    struct pair t, u;

    pair_init(&t, *state);
    u.r = t.r;
    phone_init(&u.a, t.r, 0, "carol", "192.0.2.30:5064");
    phone_init(&u.b, t.r, 1, "dave", "10.1.1.20:5074");
    pair_up(&t);
    u.b = t.b;
    pair_up(&u);
    assert_int_equal(rig_calls_now(t.r).answered, 2);
    pair_bye(&t);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&u);
    assert_true(fake_store.calls[0].id != fake_store_last()->id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_call_is_set_up_answered_and_ended_by_the_caller),
        FLOW_TEST(the_record_names_both_parties_the_numbers_and_the_route),
        FLOW_TEST(the_callee_may_hang_up_too),
        FLOW_TEST(media_is_pointed_at_both_sides_by_the_answer_and_not_before),
        FLOW_TEST(an_answer_without_ringing_is_an_answer),
        FLOW_TEST(a_repeated_invite_gets_the_last_answer_again_and_no_second_call),
        FLOW_TEST(early_media_reaches_the_caller_and_the_answer_may_repeat_it),
        FLOW_TEST(another_answer_in_the_same_dialog_changes_nothing),
        FLOW_TEST(the_answer_of_another_dialog_counts_for_itself),
        FLOW_TEST(another_answer_reaches_the_caller_in_a_dialog_of_its_own),
        FLOW_TEST(the_relay_is_told_of_every_format),
        FLOW_TEST(ringing_with_a_description_carries_early_media_as_well),
        FLOW_TEST(an_answer_without_description_uses_the_one_of_the_early_media),
        FLOW_TEST(a_late_offer_goes_out_in_our_200_and_its_answer_in_our_ack),
        FLOW_TEST(a_late_offer_that_comes_again_waits_for_the_callers_answer),
        FLOW_TEST(a_late_offer_that_the_caller_does_not_answer_ends_the_call),
        FLOW_TEST(a_lost_ack_repeats_our_200_and_ends_the_call_at_64_t1),
        FLOW_TEST(a_repeated_200_of_the_callee_gets_the_same_ack_again),
        FLOW_TEST(a_lost_ack_comes_again_though_a_reinvite_is_under_way),
        FLOW_TEST(both_may_hang_up_at_once),
        FLOW_TEST(a_bye_in_the_early_dialog_is_a_487),
        FLOW_TEST(an_unanswered_bye_is_given_up_and_the_call_is_gone),
        FLOW_TEST(calls_over_tcp_keep_to_their_connections),
        FLOW_TEST(a_call_through_proxies_follows_their_record_routes),
        FLOW_TEST(the_books_of_two_calls_at_once_are_kept_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
