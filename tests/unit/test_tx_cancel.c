/* CANCEL of an INVITE client transaction, before and after a provisional answer and against every
 * answer that may cross it (RFC 3261 9.1). */
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void up(struct txrig *r, enum sip_transport transport, struct tx **txp)
{
    assert_int_equal(txrig_up(r, transport, 100), 0);
    assert_int_equal(txrig_client(r, txp, SIP_INVITE, 0), 0);
}

static void down(struct txrig *r, struct tx **txp)
{
    tx_unref(txp);
    assert_int_equal(txrig_down(r), 0);
}

static void cancel_after_a_provisional_answer_goes_out_at_once(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;
    char via[128];
    struct buf b;

    (void)state;
    up(&r, SIP_UDP, &tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_client_cancel(tx);
    tx_client_cancel(tx);
    assert_int_equal(r.n_sent, 2);
    assert_true(txrig_last_is(&r, "CANCEL sip:bob@192.0.2.9 SIP/2.0\r\n"));
    buf_init_fixed(&b, via, sizeof(via));
    buf_putf(&b, "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=%.*s;rport\r\n", SL_ARG(tx_branch(tx)));
    assert_true(sl_find(txrig_last(&r), buf_sl(&b)) > 0);
    assert_true(sl_find(txrig_last(&r), SL("CSeq: 1 CANCEL\r\n")) > 0);
    assert_true(sl_find(txrig_last(&r), SL("Route: <sip:192.0.2.9;lr>\r\n")) > 0);
    assert_int_equal(txrig_counts(&r).nict, 1);
    assert_true(txrig_answer(&r, tx, 200, "CANCEL"));
    assert_true(txrig_answer(&r, tx, 487, NULL));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(txrig_last_event(&r)->status, 487);
    assert_int_equal(r.n_events, 2); /* 180 and 487: the CANCEL's own 200 is nobody's business */
    down(&r, &tx);
}

static void cancel_before_any_answer_waits_while_the_invite_repeats(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP, &tx);
    tx_client_cancel(tx);
    txrig_at_ms(&r, 1500);
    assert_int_equal(r.n_sent, 3);
    assert_true(txrig_last_is(&r, "INVITE "));
    assert_true(txrig_answer(&r, tx, 100, NULL));
    assert_int_equal(r.n_sent, 4);
    assert_true(txrig_last_is(&r, "CANCEL "));
    assert_int_equal(txrig_last_event(&r)->status, 100);
    assert_true(txrig_answer(&r, tx, 200, "CANCEL"));
    txrig_at_ms(&r, 20000);
    assert_int_equal(r.n_sent, 4); /* neither is repeated any more */
    down(&r, &tx);
}

static void cancel_that_never_gets_its_turn_ends_with_timer_b(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP, &tx);
    txrig_at_ms(&r, 700);
    tx_client_cancel(tx);
    txrig_at_ms(&r, 31999);
    assert_int_equal(r.n_events, 0);
    txrig_at_ms(&r, 32000);
    assert_int_equal(txrig_last_event(&r)->err, ETIMEDOUT);
    assert_int_equal(txrig_alive(&r), 0);
    assert_int_equal(r.n_sent, 7);
    down(&r, &tx);
}

static void cancel_is_repeated_by_timer_e_of_its_own(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP, &tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_client_cancel(tx);
    txrig_at_ms(&r, 499);
    assert_int_equal(r.n_sent, 2);
    txrig_at_ms(&r, 500);
    assert_int_equal(r.n_sent, 3);
    txrig_at_ms(&r, 1500);
    assert_int_equal(r.n_sent, 4);
    assert_true(sl_eq(txrig_last(&r), txrig_sent(&r, 1)));
    assert_true(txrig_answer(&r, tx, 200, "CANCEL"));
    txrig_at_ms(&r, 10000);
    assert_int_equal(r.n_sent, 4);
    down(&r, &tx);
}

static void invite_without_a_final_answer_ends_64_t1_after_its_cancel(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP, &tx);
    txrig_at_ms(&r, 10000);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    txrig_at_ms(&r, 50000);
    tx_client_cancel(tx);
    assert_true(txrig_answer(&r, tx, 200, "CANCEL"));
    txrig_at_ms(&r, 81999);
    assert_int_equal(r.n_events, 1);
    txrig_at_ms(&r, 82000);
    assert_int_equal(txrig_last_event(&r)->err, ETIMEDOUT);
    assert_int_equal(txrig_counts(&r).active, 0);
    assert_true(txrig_answer(&r, tx, 180, NULL)); /* absorbed: one CANCEL is enough */
    assert_true(txrig_answer(&r, tx, 487, NULL));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(r.n_events, 3); /* the failure is told, late as it is */
    txrig_at_ms(&r, 200000);
    assert_int_equal(txrig_alive(&r), 0);
    down(&r, &tx);
}

static void late_2xx_after_a_cancel_without_answer_is_left_to_the_user(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP, &tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_client_cancel(tx);
    txrig_at_ms(&r, 32000);
    assert_int_equal(txrig_last_event(&r)->err, ETIMEDOUT);
    assert_int_equal(r.n_events, 2);
    assert_true(txrig_answer(&r, tx, 200, NULL));
    assert_int_equal(r.n_events, 3);
    assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 0);
    down(&r, &tx);
}

static void cancel_that_crosses_a_200_leaves_the_200_to_the_user(void **state)
{
    static const char *const order[][2] = {{"INVITE", "CANCEL"}, {"CANCEL", "INVITE"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct tx *tx = NULL;
        struct txrig r;

        up(&r, SIP_UDP, &tx);
        assert_true(txrig_answer(&r, tx, 180, NULL));
        tx_client_cancel(tx);
        assert_true(txrig_answer(&r, tx, 200, order[i][0]));
        assert_true(txrig_answer(&r, tx, 200, order[i][1]));
        assert_int_equal(r.n_events, 2);
        assert_int_equal(txrig_last_event(&r)->status, 200);
        assert_int_equal(r.n_sent, 2);
        assert_true(txrig_answer(&r, tx, 200, NULL)); /* it repeats, the user's ACK was lost */
        assert_int_equal(r.n_events, 3);
        txrig_at_ms(&r, 32000);
        assert_int_equal(txrig_alive(&r), 0);
        down(&r, &tx);
    }
}

static void cancel_before_any_answer_is_forgotten_when_the_first_is_final(void **state)
{
    static const uint16_t status[] = {200, 486};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status); i++) {
        struct tx *tx = NULL;
        struct txrig r;

        up(&r, SIP_UDP, &tx);
        tx_client_cancel(tx);
        assert_true(txrig_answer(&r, tx, status[i], NULL));
        assert_int_equal(txrig_last_event(&r)->status, status[i]);
        assert_false(txrig_last_is(&r, "CANCEL "));
        assert_int_equal(txrig_counts(&r).nict, 0);
        down(&r, &tx);
    }
}

static void cancel_after_a_final_answer_is_harmless(void **state)
{
    static const uint16_t status[] = {200, 486};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status); i++) {
        struct tx *tx = NULL;
        size_t sent;
        struct txrig r;

        up(&r, SIP_UDP, &tx);
        assert_true(txrig_answer(&r, tx, status[i], NULL));
        sent = r.n_sent;
        tx_client_cancel(tx);
        txrig_at_ms(&r, 40000);
        tx_client_cancel(tx);
        assert_int_equal(r.n_sent, sent);
        assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 0);
        down(&r, &tx);
    }
}

static void unanswered_cancel_ends_with_its_invite(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP, &tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_client_cancel(tx);
    assert_int_equal(txrig_alive(&r), 2);
    assert_true(txrig_answer(&r, tx, 487, NULL));
    assert_int_equal(txrig_alive(&r), 0);
    assert_false(txrig_answer(&r, tx, 200, "CANCEL"));
    down(&r, &tx);
}

static void cancel_goes_out_although_the_table_is_full(void **state)
{
    struct tx *tx = NULL, *more = NULL;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 1), 0);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_int_equal(txrig_client(&r, &more, SIP_INVITE, 0), ENOBUFS);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_client_cancel(tx);
    assert_true(txrig_last_is(&r, "CANCEL "));
    down(&r, &tx);
}

static void lost_connection_while_cancelling_is_told(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP, &tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    r.send_err = ENOTCONN;
    tx_client_cancel(tx);
    assert_int_equal(r.n_events, 1);
    txrig_at_ms(&r, 0);
    assert_int_equal(txrig_last_event(&r)->err, ENOTCONN);
    assert_int_equal(txrig_alive(&r), 0);
    down(&r, &tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_after_a_provisional_answer_goes_out_at_once),
        cmocka_unit_test(cancel_before_any_answer_waits_while_the_invite_repeats),
        cmocka_unit_test(cancel_that_never_gets_its_turn_ends_with_timer_b),
        cmocka_unit_test(cancel_is_repeated_by_timer_e_of_its_own),
        cmocka_unit_test(invite_without_a_final_answer_ends_64_t1_after_its_cancel),
        cmocka_unit_test(late_2xx_after_a_cancel_without_answer_is_left_to_the_user),
        cmocka_unit_test(cancel_that_crosses_a_200_leaves_the_200_to_the_user),
        cmocka_unit_test(cancel_before_any_answer_is_forgotten_when_the_first_is_final),
        cmocka_unit_test(cancel_after_a_final_answer_is_harmless),
        cmocka_unit_test(unanswered_cancel_ends_with_its_invite),
        cmocka_unit_test(cancel_goes_out_although_the_table_is_full),
        cmocka_unit_test(lost_connection_while_cancelling_is_told),
    };

    return cmocka_run_group_tests_name("tx_cancel", tests, NULL, NULL);
}
