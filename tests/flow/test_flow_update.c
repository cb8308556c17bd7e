/* test_flow_update.c - UPDATE inside a dialog (RFC 3311): refreshes, offers to a side that takes
 * UPDATE and to one that does not, glare, early dialogs, and our own new keys by UPDATE. */
#include "secure.h"

#define ALLOWS "Allow: INVITE, ACK, CANCEL, BYE, UPDATE\r\n"

/* An answered call; which sides say that they take UPDATE. */
static void up(struct pair *t, struct rig *r, bool a_takes_it, bool b_takes_it)
{
    pair_init(t, r);
    if (a_takes_it) {
        memcpy(t->a.extra, ALLOWS, sizeof(ALLOWS));
    }
    pair_ring(t);
    if (b_takes_it) {
        memcpy(t->b.extra, ALLOWS, sizeof(ALLOWS));
    }
    pair_answer(t);
}

static void update(struct phone *x, const char *sdp)
{
    phone_request(x, "UPDATE", NULL, sdp);
}

/* --- without a description --- */

static void an_update_without_offer_is_answered_here_and_moves_the_target(void **state)
{
    struct pair t;
    struct phone moved;

    up(&t, *state, false, false);
    phone_init(&moved, t.r, 0, "alice", "192.0.2.30:5066");
    memcpy(t.a.at, "192.0.2.30:5066", sizeof("192.0.2.30:5066"));
    update(&t.a, NULL);
    HAS(EXPECT(&t.a, "200 UPDATE"), "Contact: <sip:");
    HAS(t.a.got, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE");
    LACKS(t.a.got, "m=audio");
    QUIET(&t.b);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    HAS(EXPECT(&moved, "BYE"), "BYE sip:dev-alice-0@192.0.2.30:5066 SIP/2.0");
    phone_answer(&moved, 200, NULL);
}

static void a_body_that_is_no_description_is_refused(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, "hello");
    EXPECT(&t.a, "415 UPDATE");
    QUIET(&t.b);
    pair_bye(&t);
}

/* --- with an offer --- */

static void hold(struct pair *t, struct phone *x, struct phone *y)
{
    const struct fake_stream *st = &rig_media(t->r)->streams[0];

    update(x, phone_sdp(x, "sendonly"));
    QUIET(x); /* no 100: it is no INVITE */
    HAS(EXPECT(y, "UPDATE"), "a=sendonly");
    HAS(y->got, "Contact: <sip:");
    phone_answer(y, 200, phone_sdp(y, "recvonly"));
    HAS(EXPECT(x, "200 UPDATE"), "a=recvonly");
    QUIET(y); /* and no ACK */
    assert_false(st->side[x->side].remote.may_receive);
    assert_false(st->side[y->side].remote.may_send);
    update(x, phone_sdp(x, NULL));
    EXPECT(y, "UPDATE");
    phone_answer(y, 200, phone_sdp(y, NULL));
    EXPECT(x, "200 UPDATE");
    assert_true(st->side[x->side].remote.may_receive && st->side[y->side].remote.may_send);
}

static void an_offer_is_bridged_like_that_of_a_reinvite(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    hold(&t, &t.a, &t.b);
    hold(&t, &t.b, &t.a);
    pair_bye(&t);
}

static void a_side_that_does_not_say_it_takes_update_gets_a_reinvite(void **state)
{
    struct pair t;

    up(&t, *state, true, false);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    HAS(EXPECT(&t.b, "INVITE"), "a=sendonly");
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.a, "200 UPDATE"), "a=recvonly");
    QUIET(&t.a);
    memcpy(t.b.extra, ALLOWS, sizeof(ALLOWS)); /* what it says later counts too */
    phone_request(&t.b, "OPTIONS", NULL, NULL);
    EXPECT(&t.b, "200 OPTIONS");
    update(&t.a, phone_sdp(&t.a, NULL));
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 UPDATE");
    pair_bye(&t);
}

static void a_refusal_leaves_the_session_as_it_was(void **state)
{
    static const struct {
        unsigned says;
        const char *heard;
    } rows[] = {{488, "488 UPDATE"}, {500, "500 UPDATE"}, {403, "403 UPDATE"}, {401, "502 UPDATE"}};
    struct pair t;

    up(&t, *state, true, true);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        update(&t.a, phone_sdp(&t.a, "sendonly"));
        EXPECT(&t.b, "UPDATE");
        phone_answer(&t.b, rows[i].says, NULL);
        EXPECT(&t.a, rows[i].heard);
        assert_true(rig_media(t.r)->streams[0].side[0].remote.may_receive);
    }
    hold(&t, &t.a, &t.b); /* and the way is free again */
    pair_bye(&t);
}

static void what_cannot_be_carried_is_refused_here(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, "v=0\r\nnonsense\r\n");
    EXPECT(&t.a, "488 UPDATE");
    QUIET(&t.b);
    pair_bye(&t);
}

static void a_dialog_that_is_gone_over_there_ends_the_call(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 481, NULL);
    EXPECT(&t.a, "481 UPDATE");
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    talk_record_is("callee", "dialog is gone", 200);
}

static void a_side_that_never_answers_does_not_keep_the_other_waiting(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "UPDATE");
    rig_advance(t.r, 19999);
    QUIET(&t.a);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "504 UPDATE"); /* before its sender gives up by itself */
    update(&t.a, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.a, "500 UPDATE"), "Retry-After: "); /* the other one is still out */
    phone_drop_mail(&t.b);
    rig_advance(t.r, 13000); /* 64*T1 over there */
    phone_drop_mail(&t.b);
    hold(&t, &t.a, &t.b);
    pair_bye(&t);
}

static void a_person_who_is_asked_too_long_is_asked_no_more(void **state)
{
    struct pair t;

    up(&t, *state, true, false);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "INVITE");
    phone_answer(&t.b, 180, NULL);
    rig_advance(t.r, 20000);
    EXPECT(&t.a, "504 UPDATE");
    talk_cancelled(&t.b);
    assert_true(rig_media(t.r)->streams[0].side[0].remote.may_receive);
    pair_bye(&t);
}

static void who_hangs_up_while_it_waits_hears_of_both(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "UPDATE");
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.a, "481 UPDATE");
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    talk_record_is("caller", "BYE", 200);
    t.r->is_noisy = true; /* the UPDATE over there is repeated until its time is over */
}

/* Once its transaction is there, repeating it brings nothing new. */
static bool is_answered(struct phone *p)
{
    phone_drop_mail(p);
    if (sl_starts(sl_str(p->got), SL("SIP/2.0 ")) &&
        sl_ends(msg_hdr(sl_str(p->got), "CSeq", 0), SL("UPDATE"))) {
        return true;
    }
    phone_send_raw(p, p->last);
    return phone_try(p, "200 UPDATE") || phone_try(p, "500 UPDATE");
}

static void without_memory_it_is_answered_all_the_same(void **state)
{
    bool is_hit = true;

    (void)state;
    for (uint64_t nth = 1; is_hit; nth++) {
        struct rig *r = rig_up(NULL, 1);
        struct pair t;

        up(&t, r, true, true);
        mem_fault_arm(nth);
        update(&t.a, NULL);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_true(is_answered(&t.a));
        phone_drop_mail(&t.a);
        pair_bye(&t);
        rig_down(r);
    }
}

/* --- glare (RFC 3311 5.2) --- */

static void two_at_once_from_one_side_get_500_and_a_time(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    update(&t.a, phone_sdp(&t.a, NULL));
    HAS(EXPECT(&t.a, "500 UPDATE"), "Retry-After: ");
    update(&t.a, NULL); /* one without an offer is in nobody's way */
    EXPECT(&t.a, "200 UPDATE");
    talk_accept(&t.a, &t.b, phone_sdp(&t.b, "recvonly"));
    pair_bye(&t);
}

static void one_from_each_side_gets_491(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "UPDATE");
    update(&t.b, phone_sdp(&t.b, "inactive"));
    EXPECT(&t.b, "491 UPDATE");
    phone_reinvite(&t.b, phone_sdp(&t.b, "inactive"));
    EXPECT(&t.b, "491 INVITE");
    phone_ack_failure(&t.b);
    QUIET(&t.a);
    phone_request(&t.a, "INFO", NULL, NULL); /* other things go on */
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    rig_advance(t.r, 500);
    EXPECT(&t.b, "UPDATE"); /* repeated: it has no answer yet */
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 UPDATE");
    pair_bye(&t);
}

/* 491 of one leg's dialog is no business of the other leg, which has no glare. */
static void a_491_is_tried_again_here(void **state)
{
    struct pair t;

    up(&t, *state, true, true);
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 491, NULL);
    QUIET(&t.a);
    rig_advance(t.r, 4000); /* RFC 3261 14.1: whoever began the dialog waits 2.1 to 4 s */
    EXPECT(&t.b, "UPDATE");
    phone_drop_mail(&t.b);
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 UPDATE");
    pair_bye(&t);
}

/* --- before the answer --- */

static void in_an_early_dialog_only_the_target_can_be_updated(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_ring(&t);
    update(&t.a, NULL);
    EXPECT(&t.a, "200 UPDATE");
    update(&t.a, phone_sdp(&t.a, "sendonly"));
    HAS(EXPECT(&t.a, "500 UPDATE"), "Retry-After: "); /* its first offer has no answer */
    t.b.extra[0] = '\0';
    update(&t.b, phone_sdp(&t.b, "sendonly"));
    EXPECT(&t.b, "491 UPDATE"); /* ours has none */
    update(&t.b, NULL);
    EXPECT(&t.b, "200 UPDATE");
    pair_answer(&t);
    pair_bye(&t);
}

/* --- of our own --- */

static void new_keys_go_out_by_update_where_it_is_taken(void **state)
{
    struct srtp_key before;
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("secure", "secure", ""));
    phone_invite(&t.a, CALLED, secure_offer(&t.a, KIND_SDES, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    memcpy(t.b.extra, ALLOWS, sizeof(ALLOWS));
    talk_accept(&t.a, &t.b, secure_answer(&t.b, t.b.ring, NULL));
    before = media_side(t.r, 0, 1)->tx;
    assert_int_equal(call_rekey(rig_calls(t.r), call_id_now(), 3), 0);
    EXPECT(&t.a, "INVITE"); /* which did not say that it takes UPDATE */
    phone_answer(&t.a, 200, secure_answer(&t.a, t.a.ring, NULL));
    EXPECT(&t.a, "ACK");
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 200, secure_answer(&t.b, t.b.asked, NULL));
    QUIET(&t.b);
    assert_true(key_is(&media_side(t.r, 0, 1)->tx, msg_key(t.b.asked, 0)));
    assert_false(srtp_key_equal(&media_side(t.r, 0, 1)->tx, &before));
    assert_int_equal(stat_sum(STAT_REKEY_OK), 2);
    before = media_side(t.r, 0, 1)->tx;
    assert_int_equal(call_rekey(rig_calls(t.r), call_id_now(), 2), 0);
    EXPECT(&t.b, "UPDATE");
    phone_answer(&t.b, 488, NULL);
    assert_true(srtp_key_equal(&media_side(t.r, 0, 1)->tx, &before));
    assert_int_equal(stat_sum(STAT_REKEY_FAIL), 1);
    pair_bye(&t);
    rig_down(t.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(an_update_without_offer_is_answered_here_and_moves_the_target),
        FLOW_TEST(a_body_that_is_no_description_is_refused),
        FLOW_TEST(an_offer_is_bridged_like_that_of_a_reinvite),
        FLOW_TEST(a_side_that_does_not_say_it_takes_update_gets_a_reinvite),
        FLOW_TEST(a_refusal_leaves_the_session_as_it_was),
        FLOW_TEST(what_cannot_be_carried_is_refused_here),
        FLOW_TEST(a_dialog_that_is_gone_over_there_ends_the_call),
        FLOW_TEST(a_side_that_never_answers_does_not_keep_the_other_waiting),
        FLOW_TEST(a_person_who_is_asked_too_long_is_asked_no_more),
        FLOW_TEST(who_hangs_up_while_it_waits_hears_of_both),
        cmocka_unit_test(without_memory_it_is_answered_all_the_same),
        FLOW_TEST(two_at_once_from_one_side_get_500_and_a_time),
        FLOW_TEST(one_from_each_side_gets_491),
        FLOW_TEST(a_491_is_tried_again_here),
        FLOW_TEST(in_an_early_dialog_only_the_target_can_be_updated),
        cmocka_unit_test(new_keys_go_out_by_update_where_it_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
