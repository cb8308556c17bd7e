/* test_flow_rekey.c - re-INVITEs of our own: new keys on demand, after a time, after packets;
 * glare, refusals, and other exchanges at the same moment. */
#include "secure.h"

struct talk {
    struct pair t;
    struct srtp_key tx_a, tx_b; /* as they were */
};
#define SIDE_A(k) media_side((k)->t.r, 0, 0)
#define SIDE_B(k) media_side((k)->t.r, 0, 1)

static void note_keys(struct talk *k)
{
    k->tx_a = SIDE_A(k)->tx;
    k->tx_b = SIDE_B(k)->tx;
}

static void talk_up(struct talk *k, const char *a, const char *b, const char *more)
{
    struct pair *t = &k->t;

    pair_init(t, secure_up(a, b, more));
    phone_invite(&t->a, CALLED,
                 secure_offer(&t->a, strcmp(a, "plain") == 0 ? KIND_RTP : KIND_SDES, NULL));
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
    talk_accept(&t->a, &t->b, secure_answer(&t->b, t->b.ring, NULL));
    note_keys(k);
}

static void talk_down(struct talk *k)
{
    pair_bye(&k->t);
    rig_down(k->t.r);
}

static int rekey(struct talk *k, unsigned sides)
{
    return call_rekey(rig_calls(k->t.r), call_id_now(), sides);
}

static void accept_new_key(struct phone *p)
{
    EXPECT(p, "INVITE");
    phone_answer(p, 200, secure_answer(p, p->ring, NULL));
    EXPECT(p, "ACK");
}

static void one_side_gets_a_new_key_and_the_other_hears_nothing(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    QUIET(&k.t.a);
    EXPECT(&k.t.b, "INVITE");
    assert_true(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b)); /* not before the answer */
    assert_false(key_is(&k.tx_b, msg_key(k.t.b.ring, 0)));
    phone_answer(&k.t.b, 200, secure_answer(&k.t.b, k.t.b.ring, NULL));
    EXPECT(&k.t.b, "ACK");
    assert_true(key_is(&SIDE_B(&k)->tx, msg_key(k.t.b.ring, 0)));
    assert_true(SIDE_B(&k)->n_keyed == 2 && SIDE_A(&k)->n_keyed == 1 &&
                srtp_key_equal(&SIDE_A(&k)->tx, &k.tx_a));
    QUIET(&k.t.a);
    assert_true(stat_sum(STAT_REKEY_OK) == 1 && stat_sum(STAT_REKEY_FAIL) == 0);
    assert_int_equal(rekey(&k, 1), 0);
    accept_new_key(&k.t.a);
    assert_true(stat_sum(STAT_REKEY_OK) == 2);
    assert_false(srtp_key_equal(&SIDE_A(&k)->tx, &k.tx_a));
    talk_down(&k);
}

static void both_sides_are_done_one_after_the_other(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 3), 0);
    QUIET(&k.t.b);
    accept_new_key(&k.t.a);
    accept_new_key(&k.t.b);
    QUIET(&k.t.a);
    assert_false(srtp_key_equal(&SIDE_A(&k)->tx, &k.tx_a) ||
                 srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    note_keys(&k);
    assert_int_equal(rekey(&k, 3), 0); /* and again */
    accept_new_key(&k.t.a);
    accept_new_key(&k.t.b);
    assert_false(srtp_key_equal(&SIDE_A(&k)->tx, &k.tx_a) ||
                 srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

static void only_the_side_that_has_keys_is_asked(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "plain", "secure", "");
    assert_int_equal(rekey(&k, 1), EPROTO);
    assert_int_equal(rekey(&k, 3), 0);
    QUIET(&k.t.a);
    accept_new_key(&k.t.b);
    talk_down(&k);
}

static void a_call_that_is_not_there_or_not_answered_has_no_keys_to_change(void **state)
{
    struct talk k;

    (void)state;
    pair_init(&k.t, secure_up("secure", "secure", ""));
    assert_int_equal(call_rekey(rig_calls(k.t.r), 77, 3), ENOENT);
    phone_invite(&k.t.a, CALLED, secure_offer(&k.t.a, KIND_SDES, NULL));
    EXPECT(&k.t.a, "100 INVITE");
    EXPECT(&k.t.b, "INVITE");
    assert_int_equal(rekey(&k, 3), EPROTO);
    talk_refuse(&k.t.b, 486, &k.t.a, "486 INVITE");
    rig_down(k.t.r);
}

static void wait_for_mail(struct phone *p)
{
    for (int i = 0; i < 200 && !phone_has_mail(p); i++) {
        rig_advance(p->r, 50);
    }
}

static void a_491_is_tried_again_with_the_same_key(void **state)
{
    char first[96];
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    EXPECT(&k.t.b, "INVITE");
    assert_int_equal(sl_cstr(msg_key(k.t.b.ring, 0), first, sizeof(first)), 0);
    phone_answer(&k.t.b, 491, NULL);
    EXPECT(&k.t.b, "ACK");
    QUIET(&k.t.b);
    wait_for_mail(&k.t.b);
    EXPECT(&k.t.b, "INVITE");
    assert_true(sl_eq(msg_key(k.t.b.ring, 0), sl_str(first)));
    phone_answer(&k.t.b, 200, secure_answer(&k.t.b, k.t.b.ring, NULL));
    EXPECT(&k.t.b, "ACK");
    assert_false(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

static void a_side_that_always_says_491_keeps_its_key(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    for (int i = 0; i < 4; i++) {
        EXPECT(&k.t.b, "INVITE");
        phone_answer(&k.t.b, 491, NULL);
        EXPECT(&k.t.b, "ACK");
        wait_for_mail(&k.t.b);
    }
    QUIET(&k.t.b);
    assert_true(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

static void their_reinvites_meanwhile_get_a_491(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    EXPECT(&k.t.b, "INVITE");
    phone_reinvite(&k.t.a, secure_offer(&k.t.a, KIND_SDES, "sendonly"));
    EXPECT(&k.t.a, "491 INVITE");
    phone_ack_failure(&k.t.a);
    phone_reinvite(&k.t.b, secure_offer(&k.t.b, KIND_SDES, "sendonly"));
    EXPECT(&k.t.b, "491 INVITE");
    phone_ack_failure(&k.t.b);
    phone_answer_invite(&k.t.b, 200, secure_answer(&k.t.b, k.t.b.ring, NULL));
    EXPECT(&k.t.b, "ACK");
    assert_false(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

static void an_exchange_under_way_is_waited_for(void **state)
{
    struct talk k;
    struct pair *t = &k.t;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    talk_offer(&t->a, &t->b, secure_offer(&t->a, KIND_SDES, "sendonly"));
    assert_int_equal(rekey(&k, 3), 0);
    QUIET(&t->a);
    QUIET(&t->b);
    phone_answer(&t->b, 200, secure_answer(&t->b, t->b.ring, "recvonly"));
    EXPECT(&t->a, "200 INVITE");
    EXPECT(&t->b, "ACK");
    QUIET(&t->a);
    phone_ack(&t->a, NULL);
    HAS(EXPECT(&t->a, "INVITE"), "a=recvonly\r\n"); /* what it was told last */
    phone_answer(&t->a, 200, secure_answer(&t->a, t->a.ring, "sendonly"));
    EXPECT(&t->a, "ACK");
    HAS(EXPECT(&t->b, "INVITE"), "a=sendonly\r\n");
    phone_answer(&t->b, 200, secure_answer(&t->b, t->b.ring, "recvonly"));
    EXPECT(&t->b, "ACK");
    assert_false(SIDE_A(&k)->remote.may_receive);
    talk_down(&k);
}

static void a_refused_exchange_lets_the_waiting_one_go(void **state)
{
    struct talk k;
    struct pair *t = &k.t;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    talk_offer(&t->b, &t->a, secure_offer(&t->b, KIND_SDES, "sendonly"));
    assert_int_equal(rekey(&k, 2), 0);
    talk_refuse(&t->a, 488, &t->b, "488 INVITE");
    accept_new_key(&t->b);
    talk_down(&k);
}

static void a_refusal_leaves_the_old_key_and_the_call(void **state)
{
    static const unsigned answers[] = {488, 500, 501};
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        assert_int_equal(rekey(&k, 2), 0);
        EXPECT(&k.t.b, "INVITE");
        phone_answer(&k.t.b, answers[i], NULL);
        EXPECT(&k.t.b, "ACK");
        assert_true(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    }
    assert_true(stat_sum(STAT_REKEY_FAIL) == COUNT_OF(answers));
    assert_int_equal(rekey(&k, 2), 0);
    accept_new_key(&k.t.b);
    assert_false(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

static void an_answer_without_a_key_ends_the_call(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    EXPECT(&k.t.b, "INVITE");
    phone_answer(&k.t.b, 200, secure_offer(&k.t.b, KIND_RTP, NULL));
    EXPECT(&k.t.b, "ACK");
    talk_cut(&k.t.b, &k.t.a);
    talk_record_is("callee", "the answer has no SRTP key", 200);
    rig_down(k.t.r);
}

static void a_dialog_that_is_gone_ends_the_call(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    EXPECT(&k.t.b, "INVITE");
    phone_answer(&k.t.b, 481, NULL);
    EXPECT(&k.t.b, "ACK");
    EXPECT(&k.t.a, "BYE");
    phone_answer(&k.t.a, 200, NULL);
    talk_record_is("callee", "dialog is gone", 200);
    rig_down(k.t.r);
}

static void a_bye_in_the_middle_is_served(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 3), 0);
    EXPECT(&k.t.a, "INVITE");
    talk_bye(&k.t.b, &k.t.a);
    phone_answer_invite(&k.t.a, 200, secure_answer(&k.t.a, k.t.a.ring, NULL)); /* too late */
    phone_drop_mail(&k.t.a);
    rig_advance(k.t.r, 40000);
    phone_drop_mail(&k.t.a);
    rig_down(k.t.r);
}

static void keys_change_after_the_time_of_the_profile(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "plain", "timed", "  timed: {security: sdes, rekey: {after: 1m}}\n");
    rig_advance(k.t.r, 59000);
    QUIET(&k.t.b);
    for (int i = 0; i < 3; i++) {
        rig_advance(k.t.r, 1000);
        accept_new_key(&k.t.b);
        assert_false(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
        note_keys(&k);
        rig_advance(k.t.r, 59000);
        QUIET(&k.t.b);
    }
    QUIET(&k.t.a);
    talk_down(&k);
}

static void keys_change_after_the_packets_of_the_profile(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "plain", "counted", "  counted: {security: sdes, rekey: {packets: 5000}}\n");
    SIDE_B(&k)->tx_packets = 4999;
    rig_advance(k.t.r, 60000);
    QUIET(&k.t.b);
    SIDE_B(&k)->tx_packets = 5000;
    rig_advance(k.t.r, 5000);
    SIDE_B(&k)->tx_packets = 0;
    accept_new_key(&k.t.b);
    assert_false(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    rig_advance(k.t.r, 60000);
    QUIET(&k.t.b);
    talk_down(&k);
}

static void refuse_new_key(struct phone *p)
{
    EXPECT(p, "INVITE");
    phone_answer(p, 488, NULL);
    EXPECT(p, "ACK");
}

static void a_refusal_is_not_asked_again_before_as_many_packets(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "plain", "counted", "  counted: {security: sdes, rekey: {packets: 5000}}\n");
    SIDE_B(&k)->tx_packets = 5000;
    rig_advance(k.t.r, 5000);
    refuse_new_key(&k.t.b);
    rig_advance(k.t.r, 60000);
    QUIET(&k.t.b);
    SIDE_B(&k)->tx_packets = 9999;
    rig_advance(k.t.r, 60000);
    QUIET(&k.t.b);
    SIDE_B(&k)->tx_packets = 10000;
    rig_advance(k.t.r, 5000);
    SIDE_B(&k)->tx_packets = 0;
    accept_new_key(&k.t.b);
    SIDE_B(&k)->tx_packets = 5000; /* a new key: counted from nought */
    rig_advance(k.t.r, 5000);
    accept_new_key(&k.t.b);
    talk_down(&k);
}

static void a_refusal_is_not_asked_again_before_as_much_time(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "plain", "both",
            "  both: {security: sdes, rekey: {after: 1m, packets: 1000000}}\n");
    rig_advance(k.t.r, 60000);
    refuse_new_key(&k.t.b);
    rig_advance(k.t.r, 55000);
    QUIET(&k.t.b);
    rig_advance(k.t.r, 5000);
    accept_new_key(&k.t.b);
    talk_down(&k);
}

static void a_challenge_is_answered_with_the_same_key(void **state)
{
    struct talk k;

    (void)state;
    talk_up(&k, "secure", "secure", "");
    assert_int_equal(rekey(&k, 2), 0);
    EXPECT(&k.t.b, "INVITE");
    memcpy(k.t.b.extra, "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n",
           sizeof("Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n"));
    phone_answer(&k.t.b, 407, NULL); /* we have no name there: all stays as it was */
    EXPECT(&k.t.b, "ACK");
    QUIET(&k.t.b);
    assert_true(srtp_key_equal(&SIDE_B(&k)->tx, &k.tx_b));
    talk_down(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_gets_a_new_key_and_the_other_hears_nothing),
        cmocka_unit_test(both_sides_are_done_one_after_the_other),
        cmocka_unit_test(only_the_side_that_has_keys_is_asked),
        cmocka_unit_test(a_call_that_is_not_there_or_not_answered_has_no_keys_to_change),
        cmocka_unit_test(a_491_is_tried_again_with_the_same_key),
        cmocka_unit_test(a_side_that_always_says_491_keeps_its_key),
        cmocka_unit_test(their_reinvites_meanwhile_get_a_491),
        cmocka_unit_test(an_exchange_under_way_is_waited_for),
        cmocka_unit_test(a_refused_exchange_lets_the_waiting_one_go),
        cmocka_unit_test(a_refusal_leaves_the_old_key_and_the_call),
        cmocka_unit_test(an_answer_without_a_key_ends_the_call),
        cmocka_unit_test(a_dialog_that_is_gone_ends_the_call),
        cmocka_unit_test(a_bye_in_the_middle_is_served),
        cmocka_unit_test(keys_change_after_the_time_of_the_profile),
        cmocka_unit_test(keys_change_after_the_packets_of_the_profile),
        cmocka_unit_test(a_refusal_is_not_asked_again_before_as_many_packets),
        cmocka_unit_test(a_refusal_is_not_asked_again_before_as_much_time),
        cmocka_unit_test(a_challenge_is_answered_with_the_same_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
