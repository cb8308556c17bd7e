/* Server transactions on a virtual clock: every timer of RFC 3261 figures 7 and 8 and of RFC 6026
 * at its edge, the repetition of a 2xx, and where answers go. */
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define VIA "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone;rport"

struct call {
    struct txrig r;
    struct sip_msg *req;
    struct tx *tx;
};

static void up(struct call *c, enum sip_transport transport, const char *method)
{
    struct tx *found = NULL;

    *c = (struct call){.tx = NULL};
    assert_int_equal(txrig_up(&c->r, transport, 100), 0);
    c->r.flow.conn_slot = transport == SIP_UDP ? FLOW_NO_CONN : 5;
    c->req = txrig_request(&c->r, method, VIA, NULL);
    assert_non_null(c->req);
    assert_int_equal(tx_match_request(c->r.tab, c->req, &c->r.flow, &found), TX_MATCH_NONE);
    assert_null(found);
    assert_int_equal(txrig_server(&c->r, &c->tx, c->req), 0);
}

static void respond(struct call *c, uint16_t status)
{
    assert_int_equal(txrig_respond(&c->r, c->tx, c->req, status), 0);
}

static void down(struct call *c)
{
    sip_msg_unref(&c->req);
    tx_unref(&c->tx);
    assert_int_equal(txrig_down(&c->r), 0);
}

static void expect_sends(struct call *c, const int64_t *at_ms, size_t n)
{
    size_t before = c->r.n_sent;

    for (size_t i = 0; i < n; i++) {
        txrig_at_ms(&c->r, at_ms[i] - 1);
        assert_int_equal(c->r.n_sent, before + i);
        txrig_at_ms(&c->r, at_ms[i]);
        assert_int_equal(c->r.n_sent, before + i + 1);
    }
}

static void expect_end(struct call *c, int64_t at_ms, bool no_ack)
{
    struct txrig *r = &c->r;
    size_t sent = r->n_sent, events = r->n_events;

    txrig_at_ms(r, at_ms - 1);
    assert_int_equal(txrig_alive(r), 1);
    assert_int_equal(r->n_events, events);
    txrig_at_ms(r, at_ms);
    assert_int_equal(txrig_alive(r), 0);
    assert_int_equal(r->n_sent, sent);
    assert_int_equal(r->n_events, events + 1 + no_ack);
    assert_int_equal(txrig_last_event(r)->what, TX_SRV_END);
    if (no_ack) {
        assert_int_equal(r->events[r->n_events - 2].what, TX_SRV_NO_ACK);
    }
}

static const int64_t up_to_t2_ms[] = {500,   1500,  3500,  7500,  11500,
                                      15500, 19500, 23500, 27500, 31500};

static void failure_repeats_by_timer_g_until_timer_h(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 486);
    assert_null(tx_request(c.tx));
    expect_sends(&c, up_to_t2_ms, COUNT_OF(up_to_t2_ms));
    assert_true(sl_eq(txrig_last(&c.r), txrig_sent(&c.r, 0)));
    expect_end(&c, 32000, true);
    assert_int_equal(stat_sum(STAT_SIP_RETRANS_TX), COUNT_OF(up_to_t2_ms));
    down(&c);
}

static void failure_on_a_stream_is_sent_once_and_waits_for_its_ack(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_TCP, "INVITE");
    respond(&c, 486);
    expect_end(&c, 32000, true);
    assert_int_equal(c.r.n_sent, 1);
    down(&c);
}

static void ack_for_a_failure_stops_timer_g_and_lingers_for_timer_i(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 486);
    txrig_at_ms(&c.r, 600);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_DONE);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_DONE);
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 2);
    expect_end(&c, 5600, false);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_NONE);
    down(&c);
}

static void ack_for_a_failure_on_a_stream_ends_it_at_once(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_TCP, "INVITE");
    respond(&c, 486);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_DONE);
    assert_int_equal(txrig_alive(&c.r), 0);
    assert_int_equal(txrig_last_event(&c.r)->what, TX_SRV_END);
    down(&c);
}

static void repeated_invite_gets_the_last_answer_again(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 0);
    respond(&c, 100);
    respond(&c, 180);
    assert_int_equal(tx_server_status(c.tx), 180);
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 3);
    assert_true(txrig_last_is(&c.r, "SIP/2.0 180 "));
    respond(&c, 404);
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 5);
    assert_true(txrig_last_is(&c.r, "SIP/2.0 404 "));
    assert_int_equal(stat_sum(STAT_SIP_RETRANS_RX), 3);
    down(&c);
}

static void invite_may_ring_as_long_as_it_likes(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 180);
    txrig_at_ms(&c.r, 3600000);
    assert_int_equal(txrig_counts(&c.r).active, 1);
    assert_int_equal(c.r.n_sent, 1);
    respond(&c, 200);
    assert_int_equal(txrig_counts(&c.r).active, 0);
    down(&c);
}

static void unacknowledged_2xx_repeats_up_to_t2_until_64_t1(void **state)
{
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct call c;

        up(&c, transports[i], "INVITE");
        respond(&c, 200);
        expect_sends(&c, up_to_t2_ms, COUNT_OF(up_to_t2_ms));
        expect_end(&c, 32000, true);
        down(&c);
    }
}

static void acknowledged_2xx_rests_and_absorbs_until_timer_l(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 200);
    txrig_at_ms(&c.r, 499);
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    tx_server_acked(c.tx);
    tx_server_acked(c.tx);
    assert_int_equal(txrig_match(&c.r, "INVITE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 1); /* RFC 6026: an accepted INVITE is absorbed */
    expect_end(&c, 32000, false);
    assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 0);
    down(&c);
}

static void acknowledged_2xx_on_a_stream_leaves_nothing_behind(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_TCP, "INVITE");
    respond(&c, 200);
    tx_server_acked(c.tx);
    assert_int_equal(txrig_alive(&c.r), 0);
    assert_int_equal(txrig_last_event(&c.r)->what, TX_SRV_END);
    tx_server_acked(c.tx);
    down(&c);
}

static void ack_for_a_2xx_is_left_to_the_dialog(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 200);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_NONE);
    tx_server_acked(c.tx);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_NONE);
    down(&c);
}

static void ack_before_any_final_answer_is_dropped(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 180);
    assert_int_equal(txrig_match(&c.r, "ACK", VIA, "ours"), TX_MATCH_DONE);
    assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), 1);
    respond(&c, 486);
    down(&c);
}

static void second_final_answer_is_refused(void **state)
{
    static const char *const methods[] = {"INVITE", "BYE"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct call c;

        up(&c, SIP_UDP, methods[i]);
        assert_false(tx_server_is_final(c.tx));
        respond(&c, 200);
        assert_true(tx_server_is_final(c.tx));
        assert_int_equal(txrig_respond(&c.r, c.tx, c.req, 486), EPROTO);
        assert_int_equal(txrig_respond(&c.r, c.tx, c.req, 180), EPROTO);
        txrig_at_ms(&c.r, 100000);
        assert_int_equal(txrig_respond(&c.r, c.tx, c.req, 200), EPROTO);
        assert_int_equal(tx_server_status(c.tx), 200);
        down(&c);
    }
}

static void answered_request_is_kept_for_timer_j(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "BYE");
    assert_int_equal(txrig_match(&c.r, "BYE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 0);
    txrig_at_ms(&c.r, 100);
    respond(&c, 200);
    assert_null(tx_request(c.tx));
    txrig_at_ms(&c.r, 32099);
    assert_int_equal(txrig_match(&c.r, "BYE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 2);
    expect_end(&c, 32100, false);
    assert_int_equal(txrig_match(&c.r, "BYE", VIA, NULL), TX_MATCH_NONE);
    down(&c);
}

static void answered_request_on_a_stream_leaves_nothing_behind(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_TCP, "OPTIONS");
    respond(&c, 200);
    assert_int_equal(txrig_alive(&c.r), 0);
    assert_int_equal(c.r.n_sent, 1);
    assert_int_equal(c.r.n_events, 1);
    assert_int_equal(txrig_last_event(&c.r)->what, TX_SRV_END);
    down(&c);
}

static void provisional_answer_to_a_request_is_repeated_when_asked(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "MESSAGE");
    respond(&c, 100);
    assert_int_equal(txrig_match(&c.r, "MESSAGE", VIA, NULL), TX_MATCH_DONE);
    assert_int_equal(c.r.n_sent, 2);
    respond(&c, 202);
    assert_int_equal(txrig_match(&c.r, "MESSAGE", VIA, NULL), TX_MATCH_DONE);
    assert_true(txrig_last_is(&c.r, "SIP/2.0 202 "));
    down(&c);
}

static void request_that_nobody_answers_is_forgotten(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INFO");
    expect_end(&c, 37000, false);
    down(&c);
}

static void closed_invite_without_an_answer_is_forgotten(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    respond(&c, 180);
    tx_close(c.tx);
    txrig_at_ms(&c.r, 31999);
    assert_int_equal(txrig_alive(&c.r), 1);
    txrig_at_ms(&c.r, 32000);
    assert_int_equal(txrig_alive(&c.r), 0);
    assert_int_equal(c.r.n_events, 0);
    down(&c);
}

static void new_listener_takes_over_and_may_ring_on(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    tx_close(c.tx);
    tx_server_listen(c.tx, txrig_on_server, &c.r);
    txrig_at_ms(&c.r, 100000);
    assert_int_equal(txrig_alive(&c.r), 1);
    respond(&c, 486);
    txrig_at_ms(&c.r, 200000);
    assert_int_equal(c.r.n_events, 2);
    down(&c);
}

/* RFC 6026: the transaction goes on, the user decides. */
static void invite_answer_that_cannot_be_sent_is_told_in_the_next_turn(void **state)
{
    static const uint16_t status[] = {180, 200, 486};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status); i++) {
        struct call c;

        up(&c, SIP_TCP, "INVITE");
        c.r.send_err = ENOTCONN;
        respond(&c, status[i]);
        assert_int_equal(c.r.n_events, 0);
        txrig_at_ms(&c.r, 0);
        assert_int_equal(c.r.n_events, 1);
        assert_int_equal(txrig_last_event(&c.r)->what, TX_SRV_TRANSPORT);
        assert_int_equal(txrig_alive(&c.r), 1);
        down(&c);
    }
}

static void invite_answer_goes_on_repeating_after_a_transport_error(void **state)
{
    struct call c;

    (void)state;
    up(&c, SIP_UDP, "INVITE");
    c.r.send_err = EHOSTUNREACH;
    respond(&c, 486);
    txrig_at_ms(&c.r, 100);
    assert_int_equal(c.r.n_events, 1);
    c.r.send_err = 0;
    txrig_at_ms(&c.r, 500);
    assert_int_equal(c.r.n_sent, 1);
    expect_sends(&c, up_to_t2_ms + 1, COUNT_OF(up_to_t2_ms) - 1);
    expect_end(&c, 32000, true);
    down(&c);
}

static void other_answer_that_cannot_be_sent_ends_the_transaction(void **state)
{
    static const uint16_t status[] = {100, 200};
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status) * COUNT_OF(transports); i++) {
        struct call c;

        up(&c, transports[i / 2], "OPTIONS");
        c.r.send_err = EHOSTUNREACH;
        respond(&c, status[i % 2]);
        assert_int_equal(c.r.n_events, 0);
        txrig_at_ms(&c.r, 0);
        assert_int_equal(c.r.n_events, 2);
        assert_int_equal(c.r.events[0].what, TX_SRV_TRANSPORT);
        assert_int_equal(c.r.events[1].what, TX_SRV_END);
        assert_int_equal(txrig_alive(&c.r), 0);
        down(&c);
    }
}

static void answer_goes_where_the_via_and_the_source_say(void **state)
{
    static const struct {
        enum sip_transport transport;
        const char *via;
        const char *source, *answer;
    } cases[] = {
        {SIP_UDP, "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKa;rport", "192.0.2.9:1024",
         "192.0.2.9:1024"},
        {SIP_UDP, "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKa", "192.0.2.9:1024", "192.0.2.9:5070"},
        {SIP_UDP, "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa", "192.0.2.9:1024", "192.0.2.9:5060"},
        {SIP_UDP, "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKa;maddr=203.0.113.1", "192.0.2.9:1024",
         "192.0.2.9:5070"},
        {SIP_UDP, "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKa;received=203.0.113.1",
         "[2001:db8::9]:1024", "[2001:db8::9]:5070"},
        {SIP_TCP, "SIP/2.0/TCP 10.0.0.9:5070;branch=z9hG4bKa", "192.0.2.9:1024", "192.0.2.9:5070"},
        {SIP_TLS, "SIP/2.0/TLS 10.0.0.9;branch=z9hG4bKa", "192.0.2.9:1024", "192.0.2.9:5061"},
        {SIP_WS, "SIP/2.0/WS x.invalid;branch=z9hG4bKa", "192.0.2.9:1024", "192.0.2.9:1024"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct flow out;
        struct addr answer;
        struct call c = {.tx = NULL};

        assert_int_equal(txrig_up(&c.r, cases[i].transport, 10), 0);
        c.r.flow.conn_slot = cases[i].transport == SIP_UDP ? FLOW_NO_CONN : 5;
        assert_int_equal(addr_parse_hostport(sl_str(cases[i].source), 0, &c.r.flow.remote), 0);
        assert_int_equal(addr_parse_hostport(sl_str(cases[i].answer), 0, &answer), 0);
        c.req = txrig_request(&c.r, "OPTIONS", cases[i].via, NULL);
        assert_non_null(c.req);
        assert_int_equal(txrig_server(&c.r, &c.tx, c.req), 0);
        tx_answer_flow(c.req, &c.r.flow, &out);
        respond(&c, 200);
        assert_true(addr_eq(&c.r.sent[0].flow.remote, &answer));
        assert_true(addr_eq(&out.remote, &answer));
        assert_int_equal(c.r.sent[0].flow.conn_slot, c.r.flow.conn_slot);
        assert_true(addr_eq(tx_server_source(c.tx), &c.r.flow.remote));
        assert_true(addr_eq(&tx_server_flow(c.tx)->remote, &c.r.flow.remote));
        down(&c);
    }
}

static void ack_has_no_transaction(void **state)
{
    struct tx *tx = NULL;
    struct sip_msg *m;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    m = txrig_request(&r, "ACK", VIA, "x");
    assert_non_null(m);
    assert_int_equal(txrig_server(&r, &tx, m), EPROTO);
    sip_msg_unref(&m);
    assert_int_equal(txrig_down(&r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_repeats_by_timer_g_until_timer_h),
        cmocka_unit_test(failure_on_a_stream_is_sent_once_and_waits_for_its_ack),
        cmocka_unit_test(ack_for_a_failure_stops_timer_g_and_lingers_for_timer_i),
        cmocka_unit_test(ack_for_a_failure_on_a_stream_ends_it_at_once),
        cmocka_unit_test(repeated_invite_gets_the_last_answer_again),
        cmocka_unit_test(invite_may_ring_as_long_as_it_likes),
        cmocka_unit_test(unacknowledged_2xx_repeats_up_to_t2_until_64_t1),
        cmocka_unit_test(acknowledged_2xx_rests_and_absorbs_until_timer_l),
        cmocka_unit_test(acknowledged_2xx_on_a_stream_leaves_nothing_behind),
        cmocka_unit_test(ack_for_a_2xx_is_left_to_the_dialog),
        cmocka_unit_test(ack_before_any_final_answer_is_dropped),
        cmocka_unit_test(second_final_answer_is_refused),
        cmocka_unit_test(answered_request_is_kept_for_timer_j),
        cmocka_unit_test(answered_request_on_a_stream_leaves_nothing_behind),
        cmocka_unit_test(provisional_answer_to_a_request_is_repeated_when_asked),
        cmocka_unit_test(request_that_nobody_answers_is_forgotten),
        cmocka_unit_test(closed_invite_without_an_answer_is_forgotten),
        cmocka_unit_test(new_listener_takes_over_and_may_ring_on),
        cmocka_unit_test(invite_answer_that_cannot_be_sent_is_told_in_the_next_turn),
        cmocka_unit_test(invite_answer_goes_on_repeating_after_a_transport_error),
        cmocka_unit_test(other_answer_that_cannot_be_sent_ends_the_transaction),
        cmocka_unit_test(answer_goes_where_the_via_and_the_source_say),
        cmocka_unit_test(ack_has_no_transaction),
    };

    return cmocka_run_group_tests_name("tx_server", tests, NULL, NULL);
}
