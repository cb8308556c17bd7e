/* Client transactions on a virtual clock: every timer of RFC 3261 figures 5 and 6 and of RFC 6026
 * at its edge, on unreliable and reliable transports. */
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void up(struct txrig *r, enum sip_transport transport)
{
    assert_int_equal(txrig_up(r, transport, 100), 0);
}

static void down(struct txrig *r)
{
    assert_int_equal(txrig_down(r), 0);
}

/* Sends are expected at exactly these times, each 1 ms before not yet. */
static void expect_sends(struct txrig *r, const int64_t *at_ms, size_t n)
{
    size_t before = r->n_sent;

    for (size_t i = 0; i < n; i++) {
        txrig_at_ms(r, at_ms[i] - 1);
        assert_int_equal(r->n_sent, before + i);
        txrig_at_ms(r, at_ms[i]);
        assert_int_equal(r->n_sent, before + i + 1);
    }
}

/* Nothing more is sent, and the end comes at at_ms with err (0: without a word). */
static void expect_end(struct txrig *r, int64_t at_ms, int err)
{
    size_t sent = r->n_sent, events = r->n_events;

    txrig_at_ms(r, at_ms - 1);
    assert_int_equal(txrig_alive(r), 1);
    assert_int_equal(r->n_events, events);
    txrig_at_ms(r, at_ms);
    assert_int_equal(txrig_alive(r), 0);
    assert_int_equal(r->n_sent, sent);
    assert_int_equal(r->n_events, events + (err != 0));
    if (err != 0) {
        assert_int_equal(txrig_last_event(r)->err, err);
    }
}

static void invite_repeats_by_timer_a_without_ceiling_until_timer_b(void **state)
{
    static const int64_t at_ms[] = {500, 1500, 3500, 7500, 15500, 31500};
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_int_equal(r.n_sent, 1);
    assert_int_equal(r.n_events, 0);
    expect_sends(&r, at_ms, COUNT_OF(at_ms));
    assert_true(sl_eq(txrig_last(&r), txrig_sent(&r, 0)));
    assert_int_equal(stat_sum(STAT_SIP_RETRANS_TX), COUNT_OF(at_ms));
    expect_end(&r, 32000, ETIMEDOUT);
    assert_int_equal(stat_sum(STAT_TX_TIMEOUT), 1);
    tx_unref(&tx);
    down(&r);
}

static void invite_on_a_stream_is_sent_once_and_ends_by_timer_b(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    expect_end(&r, 32000, ETIMEDOUT);
    assert_int_equal(r.n_sent, 1);
    tx_unref(&tx);
    down(&r);
}

static void provisional_answer_stops_timers_a_and_b(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 2000), 0);
    txrig_at_ms(&r, 499);
    assert_true(txrig_answer(&r, tx, 100, NULL));
    txrig_at_ms(&r, 600000);
    assert_int_equal(r.n_sent, 1);
    assert_int_equal(r.n_events, 1);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    assert_int_equal(txrig_last_event(&r)->status, 180);
    assert_int_equal(txrig_counts(&r).active, 1);
    assert_true(txrig_answer(&r, tx, 486, NULL));
    assert_int_equal(txrig_counts(&r).active, 0);
    tx_unref(&tx);
    down(&r);
}

static void failure_is_acknowledged_each_time_told_once_and_kept_for_timer_d(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_true(txrig_answer(&r, tx, 486, NULL));
    assert_int_equal(r.n_sent, 2);
    assert_true(txrig_last_is(&r, "ACK sip:bob@192.0.2.9 SIP/2.0\r\n"));
    assert_true(sl_find(txrig_last(&r), tx_branch(tx)) > 0);
    assert_true(sl_find(txrig_last(&r), SL("To: <sip:bob@192.0.2.9>;tag=t486\r\n")) > 0);
    assert_true(sl_find(txrig_last(&r), SL("CSeq: 1 ACK\r\n")) > 0);
    assert_true(sl_find(txrig_last(&r), SL("Route: <sip:192.0.2.9;lr>\r\n")) > 0);
    for (int i = 0; i < 3; i++) {
        assert_true(txrig_answer(&r, tx, 486, NULL));
    }
    assert_int_equal(r.n_sent, 5);
    assert_true(sl_eq(txrig_last(&r), txrig_sent(&r, 1)));
    assert_int_equal(r.n_events, 1);
    assert_int_equal(stat_sum(STAT_SIP_RETRANS_RX), 3);
    expect_end(&r, 32000, 0);
    assert_false(txrig_answer(&r, tx, 486, NULL));
    tx_unref(&tx);
    down(&r);
}

static void timer_d_is_at_least_32_s_and_64_t1(void **state)
{
    static const struct {
        uint32_t t1_ms;
        int64_t d_ms;
    } cases[] = {{100, 32000}, {1000, 64000}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tx_timers timers = {cases[i].t1_ms, 4000, 5000};
        struct tx *tx = NULL;
        struct txrig r;

        up(&r, SIP_UDP);
        tx_table_set_timers(r.tab, &timers);
        assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
        assert_true(txrig_answer(&r, tx, 486, NULL));
        expect_end(&r, cases[i].d_ms, 0);
        tx_unref(&tx);
        down(&r);
    }
}

static void failure_on_a_stream_leaves_nothing_behind(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_true(txrig_answer(&r, tx, 503, NULL));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(txrig_last_event(&r)->status, 503);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    down(&r);
}

static void accepted_invite_passes_every_2xx_until_timer_m(void **state)
{
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct tx *tx = NULL;
        struct txrig r;

        up(&r, transports[i]);
        assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
        txrig_at_ms(&r, 100);
        assert_true(txrig_answer(&r, tx, 200, NULL));
        txrig_at_ms(&r, 600);
        assert_true(txrig_answer(&r, tx, 200, NULL));
        txrig_at_ms(&r, 32099);
        assert_true(txrig_answer(&r, tx, 200, NULL));
        assert_int_equal(r.n_events, 3);
        assert_int_equal(r.n_sent, 1); /* the user writes the ACK */
        expect_end(&r, 32100, 0);
        assert_false(txrig_answer(&r, tx, 200, NULL));
        tx_unref(&tx);
        down(&r);
    }
}

static void provisional_and_failure_after_a_2xx_are_counted_and_ignored(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_true(txrig_answer(&r, tx, 200, NULL));
    assert_true(txrig_answer(&r, tx, 180, NULL));
    assert_true(txrig_answer(&r, tx, 486, NULL));
    assert_int_equal(r.n_events, 1);
    assert_int_equal(r.n_sent, 1);
    assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 2);
    tx_unref(&tx);
    down(&r);
}

static void request_repeats_by_timer_e_up_to_t2_until_timer_f(void **state)
{
    static const int64_t at_ms[] = {500,   1500,  3500,  7500,  11500,
                                    15500, 19500, 23500, 27500, 31500};
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_BYE, 0), 0);
    expect_sends(&r, at_ms, COUNT_OF(at_ms));
    expect_end(&r, 32000, ETIMEDOUT);
    tx_unref(&tx);
    down(&r);
}

static void provisional_answer_slows_timer_e_to_t2(void **state)
{
    static const int64_t at_ms[] = {500, 4500, 8500, 12500, 16500, 20500, 24500, 28500};
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_OPTIONS, 0), 0);
    txrig_at_ms(&r, 200);
    assert_true(txrig_answer(&r, tx, 100, "OPTIONS"));
    expect_sends(&r, at_ms, COUNT_OF(at_ms));
    expect_end(&r, 32000, ETIMEDOUT);
    tx_unref(&tx);
    down(&r);
}

static void final_answer_to_a_request_is_told_once_and_kept_for_timer_k(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_BYE, 0), 0);
    txrig_at_ms(&r, 10);
    assert_true(txrig_answer(&r, tx, 200, "BYE"));
    assert_true(txrig_answer(&r, tx, 200, "BYE"));
    assert_true(txrig_answer(&r, tx, 481, "BYE"));
    assert_int_equal(r.n_events, 1);
    expect_end(&r, 5010, 0);
    assert_int_equal(r.n_sent, 1);
    tx_unref(&tx);
    down(&r);
}

static void request_on_a_stream_is_sent_once_and_gone_with_its_answer(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP);
    assert_int_equal(txrig_client(&r, &tx, SIP_BYE, 0), 0);
    txrig_at_ms(&r, 31999);
    assert_int_equal(r.n_sent, 1);
    assert_true(txrig_answer(&r, tx, 200, "BYE"));
    assert_int_equal(txrig_last_event(&r)->status, 200);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    down(&r);
}

static void first_send_that_fails_is_the_result_of_start(void **state)
{
    static const enum sip_method methods[] = {SIP_INVITE, SIP_BYE};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct tx *tx = NULL;
        struct txrig r;

        up(&r, SIP_UDP);
        r.send_err = EHOSTUNREACH;
        assert_int_equal(txrig_client(&r, &tx, methods[i], 0), EHOSTUNREACH);
        txrig_at_ms(&r, 60000);
        assert_int_equal(r.n_events, 0);
        assert_int_equal(txrig_alive(&r), 0);
        down(&r);
    }
}

static void resend_that_fails_is_told_in_the_next_turn(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    r.send_err = EHOSTUNREACH;
    txrig_at_ms(&r, 500);
    assert_int_equal(r.n_events, 1);
    assert_int_equal(txrig_last_event(&r)->err, EHOSTUNREACH);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    down(&r);
}

static void full_send_queue_counts_as_a_lost_datagram(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    r.send_err = ENOBUFS;
    txrig_at_ms(&r, 3000);
    r.send_err = 0;
    txrig_at_ms(&r, 3500);
    assert_int_equal(r.n_sent, 2);
    assert_int_equal(r.n_events, 0);
    tx_unref(&tx);
    down(&r);
}

static void lost_flow_fails_its_unanswered_transactions_only(void **state)
{
    struct tx *mine = NULL, *other = NULL, *answered = NULL;
    struct flow gone;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &answered, SIP_INVITE, 0), 0);
    assert_true(txrig_answer(&r, answered, 200, NULL));
    assert_int_equal(txrig_client(&r, &mine, SIP_INVITE, 0), 0);
    gone = r.flow;
    addr_set_port(&r.flow.remote, 5070);
    assert_int_equal(txrig_client(&r, &other, SIP_INVITE, 0), 0);
    tx_flow_gone(r.tab, &gone, ECONNREFUSED);
    assert_int_equal(r.n_events, 1); /* the 200: nothing is told inside the call */
    txrig_at_ms(&r, 0);
    assert_int_equal(r.n_events, 2);
    assert_int_equal(txrig_last_event(&r)->err, ECONNREFUSED);
    assert_int_equal(txrig_counts(&r).ict, 2);
    assert_int_equal(txrig_counts(&r).active, 1);
    tx_unref(&mine);
    tx_unref(&other);
    tx_unref(&answered);
    down(&r);
}

/* A forged or late ICMP error must not end what the peer has spoken on. */
static void refused_datagram_fails_only_what_has_heard_nothing(void **state)
{
    static const struct {
        enum sip_method method;
        uint16_t heard; /* 0: nothing */
        bool cancelled;
        unsigned told;
    } cases[] = {
        {SIP_INVITE, 0, false, 1},  {SIP_INVITE, 0, true, 1}, {SIP_INVITE, 180, false, 0},
        {SIP_INVITE, 180, true, 0}, {SIP_BYE, 0, false, 1},   {SIP_MESSAGE, 100, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tx *tx = NULL;
        size_t before;
        struct txrig r;

        up(&r, SIP_UDP);
        assert_int_equal(txrig_client(&r, &tx, cases[i].method, 0), 0);
        if (cases[i].heard != 0) {
            assert_true(txrig_answer(&r, tx, cases[i].heard, sip_method_name(cases[i].method)));
        }
        if (cases[i].cancelled) {
            tx_client_cancel(tx);
        }
        before = r.n_events;
        tx_flow_gone(r.tab, &r.flow, ECONNREFUSED);
        txrig_at_ms(&r, 1);
        assert_int_equal(r.n_events - before, cases[i].told);
        assert_true(cases[i].told == 0 || txrig_last_event(&r)->err == ECONNREFUSED);
        tx_unref(&tx);
        down(&r);
    }
}

static void lost_connection_is_known_by_its_number_not_by_its_address(void **state)
{
    struct tx *tx = NULL;
    struct flow gone;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    gone = *tx_flow(tx);
    assert_int_not_equal(gone.conn_slot, FLOW_NO_CONN);
    gone.conn_gen++;
    tx_flow_gone(r.tab, &gone, ECONNRESET);
    txrig_at_ms(&r, 0);
    assert_int_equal(r.n_events, 0);
    gone.conn_gen--;
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_flow_gone(r.tab, &gone, ECONNRESET);
    txrig_at_ms(&r, 1);
    assert_int_equal(txrig_last_event(&r)->err, ECONNRESET);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    down(&r);
}

static void silent_peer_is_given_up_after_answer_ms(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 2000), 0);
    txrig_at_ms(&r, 1999);
    assert_int_equal(r.n_events, 0);
    assert_int_equal(r.n_sent, 3);
    txrig_at_ms(&r, 2000);
    assert_int_equal(txrig_last_event(&r)->err, ETIMEDOUT);
    assert_int_equal(txrig_counts(&r).active, 0);
    assert_true(tx_client_may_answer_late(tx));
    expect_end(&r, 32000, ETIMEDOUT); /* stays for late answers, sends nothing, says when it goes */
    assert_false(tx_client_may_answer_late(tx));
    tx_unref(&tx);
    down(&r);
}

static void answer_ms_beyond_timer_b_changes_nothing(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_TCP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 32000), 0);
    expect_end(&r, 32000, ETIMEDOUT);
    tx_unref(&tx);
    down(&r);
}

static void late_provisional_answer_after_giving_up_is_cancelled(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 2000), 0);
    txrig_at_ms(&r, 2500);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    assert_true(txrig_last_is(&r, "CANCEL sip:bob@192.0.2.9 SIP/2.0\r\n"));
    assert_true(txrig_answer(&r, tx, 200, "CANCEL"));
    assert_true(txrig_answer(&r, tx, 487, NULL));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(r.n_events, 3); /* ETIMEDOUT, then what came late: 180 and 487 */
    txrig_at_ms(&r, 2500 + 32000);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    down(&r);
}

static void late_2xx_after_giving_up_is_left_to_the_user(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 2000), 0);
    txrig_at_ms(&r, 2500);
    assert_true(txrig_answer(&r, tx, 200, NULL));
    assert_int_equal(r.n_events, 2); /* it has to be acknowledged and ended */
    assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 0);
    expect_end(&r, 2500 + 32000, 0);
    tx_unref(&tx);
    down(&r);
}

static void late_failure_after_giving_up_is_acknowledged(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 2000), 0);
    txrig_at_ms(&r, 2500);
    assert_true(txrig_answer(&r, tx, 503, NULL));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(r.n_events, 2);
    tx_unref(&tx);
    down(&r);
}

static void closed_invite_that_rings_for_nobody_is_cancelled_in_the_end(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    tx_close(tx);
    tx_close(tx);
    tx_unref(&tx);
    txrig_at_ms(&r, 31999);
    assert_int_equal(r.n_sent, 1);
    txrig_at_ms(&r, 32000);
    assert_true(txrig_last_is(&r, "CANCEL "));
    txrig_at_ms(&r, 32000 * 4);
    assert_int_equal(txrig_alive(&r), 0);
    assert_int_equal(r.n_events, 1);
    down(&r);
}

static void closed_transaction_is_silent_but_still_acknowledges(void **state)
{
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    tx_close(tx);
    assert_true(txrig_answer(&r, tx, 180, NULL));
    assert_true(txrig_answer(&r, tx, 486, NULL));
    assert_int_equal(r.n_events, 0);
    assert_true(txrig_last_is(&r, "ACK "));
    tx_unref(&tx);
    down(&r);
}

static void response_with_a_strange_branch_is_nobodys(void **state)
{
    static const char form[] =
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s\r\nFrom: <sip:a@x>;tag=1\r\n"
        "To: <sip:b@y>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    static const char *const branches[] = {"z9hG4bKx", "z9hG4bKabc", "abc",
                                           "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    for (size_t i = 0; i < COUNT_OF(branches); i++) {
        struct sip_msg *m = txrig_msg(&r, form, branches[i]);

        assert_non_null(m);
        assert_false(tx_feed_response(r.tab, m, &r.flow));
        sip_msg_unref(&m);
    }
    assert_false(txrig_answer(&r, tx, 200, "BYE")); /* 17.1.3: the CSeq method counts */
    assert_false(txrig_answer(&r, tx, 200, "CANCEL"));
    assert_int_equal(r.n_events, 0);
    tx_unref(&tx);
    down(&r);
}

/* Another token for the same slot: right owner, wrong random bits. */
static void branch_is_decided_by_bytes(void **state)
{
    char text[TOKEN_TEXT_LEN + 1] = {0};
    struct token token;
    struct tx *tx = NULL;
    struct sip_msg *m;
    struct txrig r;

    (void)state;
    up(&r, SIP_UDP);
    assert_int_equal(txrig_client(&r, &tx, SIP_BYE, 0), 0);
    assert_true(token_get(r.ring, sl_from(tx_branch(tx), 7), &token));
    assert_int_equal(token.node, 3);
    assert_int_equal(token.worker, 1);
    assert_int_equal(token.kind, TOKEN_TX);
    token_put(r.ring, &token, text);
    m = txrig_msg(&r,
                  "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%s\r\n"
                  "From: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
                  "Content-Length: 0\r\n\r\n",
                  text);
    assert_non_null(m);
    assert_true(tx_branch_owner(r.ring, m, &token));
    assert_false(tx_feed_response(r.tab, m, &r.flow));
    sip_msg_unref(&m);
    tx_unref(&tx);
    down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invite_repeats_by_timer_a_without_ceiling_until_timer_b),
        cmocka_unit_test(invite_on_a_stream_is_sent_once_and_ends_by_timer_b),
        cmocka_unit_test(provisional_answer_stops_timers_a_and_b),
        cmocka_unit_test(failure_is_acknowledged_each_time_told_once_and_kept_for_timer_d),
        cmocka_unit_test(timer_d_is_at_least_32_s_and_64_t1),
        cmocka_unit_test(failure_on_a_stream_leaves_nothing_behind),
        cmocka_unit_test(accepted_invite_passes_every_2xx_until_timer_m),
        cmocka_unit_test(provisional_and_failure_after_a_2xx_are_counted_and_ignored),
        cmocka_unit_test(request_repeats_by_timer_e_up_to_t2_until_timer_f),
        cmocka_unit_test(provisional_answer_slows_timer_e_to_t2),
        cmocka_unit_test(final_answer_to_a_request_is_told_once_and_kept_for_timer_k),
        cmocka_unit_test(request_on_a_stream_is_sent_once_and_gone_with_its_answer),
        cmocka_unit_test(first_send_that_fails_is_the_result_of_start),
        cmocka_unit_test(resend_that_fails_is_told_in_the_next_turn),
        cmocka_unit_test(full_send_queue_counts_as_a_lost_datagram),
        cmocka_unit_test(lost_flow_fails_its_unanswered_transactions_only),
        cmocka_unit_test(refused_datagram_fails_only_what_has_heard_nothing),
        cmocka_unit_test(lost_connection_is_known_by_its_number_not_by_its_address),
        cmocka_unit_test(silent_peer_is_given_up_after_answer_ms),
        cmocka_unit_test(answer_ms_beyond_timer_b_changes_nothing),
        cmocka_unit_test(late_provisional_answer_after_giving_up_is_cancelled),
        cmocka_unit_test(late_2xx_after_giving_up_is_left_to_the_user),
        cmocka_unit_test(late_failure_after_giving_up_is_acknowledged),
        cmocka_unit_test(closed_invite_that_rings_for_nobody_is_cancelled_in_the_end),
        cmocka_unit_test(closed_transaction_is_silent_but_still_acknowledges),
        cmocka_unit_test(response_with_a_strange_branch_is_nobodys),
        cmocka_unit_test(branch_is_decided_by_bytes),
    };

    return cmocka_run_group_tests_name("tx_client", tests, NULL, NULL);
}
