/* The table of transactions: all cells of the four machines against the RFC's figures, limits, both
 * deaths, users that act inside their callbacks, and memory that runs out at every single step. */
#include "rig_tx.h"
#include "tx/tx_int.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define VIA "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK"

static const struct want {
    enum tx_kind kind;
    const char *state, *event, *next;
} wanted[] = {
    /* RFC 3261 figure 5 and RFC 6026 figure 5 */
    {TX_ICT, "Calling", "1xx", "Proceeding"},
    {TX_ICT, "Calling", "2xx", "Accepted"},
    {TX_ICT, "Calling", "300-699", "Completed"},
    {TX_ICT, "Calling", "resend", "Calling"},
    {TX_ICT, "Calling", "expire", "Terminated"},
    {TX_ICT, "Calling", "transport", "Terminated"},
    {TX_ICT, "Proceeding", "1xx", "Proceeding"},
    {TX_ICT, "Proceeding", "2xx", "Accepted"},
    {TX_ICT, "Proceeding", "300-699", "Completed"},
    {TX_ICT, "Completed", "300-699", "Completed"},
    {TX_ICT, "Completed", "expire", "Terminated"},
    {TX_ICT, "Completed", "transport", "Terminated"},
    {TX_ICT, "Accepted", "2xx", "Accepted"},
    {TX_ICT, "Accepted", "expire", "Terminated"},
    /* ours: CANCEL, users that stopped waiting, lost flows */
    {TX_ICT, "Calling", "cancel", "Held"},
    {TX_ICT, "Calling", "answer", "Zombie"},
    {TX_ICT, "Proceeding", "cancel", "Cancelled"},
    {TX_ICT, "Proceeding", "expire", "Cancelled"},
    {TX_ICT, "Proceeding", "transport", "Terminated"},
    {TX_ICT, "Completed", "cancel", "Completed"},
    {TX_ICT, "Accepted", "cancel", "Accepted"},
    {TX_ICT, "Held", "1xx", "Cancelled"},
    {TX_ICT, "Held", "2xx", "Accepted"},
    {TX_ICT, "Held", "300-699", "Completed"},
    {TX_ICT, "Held", "resend", "Held"},
    {TX_ICT, "Held", "expire", "Terminated"},
    {TX_ICT, "Held", "answer", "Zombie"},
    {TX_ICT, "Held", "cancel", "Held"},
    {TX_ICT, "Held", "transport", "Terminated"},
    {TX_ICT, "Cancelled", "1xx", "Cancelled"},
    {TX_ICT, "Cancelled", "2xx", "Accepted"},
    {TX_ICT, "Cancelled", "300-699", "Completed"},
    {TX_ICT, "Cancelled", "expire", "Late"},
    {TX_ICT, "Cancelled", "cancel", "Cancelled"},
    {TX_ICT, "Cancelled", "transport", "Terminated"},
    {TX_ICT, "Zombie", "1xx", "Cancelled"},
    {TX_ICT, "Zombie", "2xx", "Accepted"},
    {TX_ICT, "Zombie", "300-699", "Completed"},
    {TX_ICT, "Zombie", "expire", "Terminated"},
    {TX_ICT, "Zombie", "cancel", "Zombie"},
    {TX_ICT, "Late", "1xx", "Late"},
    {TX_ICT, "Late", "2xx", "Accepted"},
    {TX_ICT, "Late", "300-699", "Completed"},
    {TX_ICT, "Late", "expire", "Terminated"},
    {TX_ICT, "Late", "cancel", "Late"},
    /* RFC 3261 figure 6 */
    {TX_NICT, "Trying", "1xx", "Proceeding"},
    {TX_NICT, "Trying", "2xx", "Completed"},
    {TX_NICT, "Trying", "300-699", "Completed"},
    {TX_NICT, "Trying", "resend", "Trying"},
    {TX_NICT, "Trying", "expire", "Terminated"},
    {TX_NICT, "Trying", "transport", "Terminated"},
    {TX_NICT, "Proceeding", "1xx", "Proceeding"},
    {TX_NICT, "Proceeding", "2xx", "Completed"},
    {TX_NICT, "Proceeding", "300-699", "Completed"},
    {TX_NICT, "Proceeding", "resend", "Proceeding"},
    {TX_NICT, "Proceeding", "expire", "Terminated"},
    {TX_NICT, "Proceeding", "transport", "Terminated"},
    {TX_NICT, "Completed", "1xx", "Completed"},
    {TX_NICT, "Completed", "2xx", "Completed"},
    {TX_NICT, "Completed", "300-699", "Completed"},
    {TX_NICT, "Completed", "expire", "Terminated"},
    /* RFC 3261 figure 7 and RFC 6026 figure 7 */
    {TX_IST, "Proceeding", "request", "Proceeding"},
    {TX_IST, "Proceeding", "1xx", "Proceeding"},
    {TX_IST, "Proceeding", "2xx", "Accepted"},
    {TX_IST, "Proceeding", "300-699", "Completed"},
    {TX_IST, "Proceeding", "transport", "Proceeding"},
    {TX_IST, "Completed", "request", "Completed"},
    {TX_IST, "Completed", "resend", "Completed"},
    {TX_IST, "Completed", "ACK", "Confirmed"},
    {TX_IST, "Completed", "expire", "Terminated"},
    {TX_IST, "Completed", "transport", "Completed"},
    {TX_IST, "Confirmed", "expire", "Terminated"},
    {TX_IST, "Accepted", "request", "Accepted"},
    {TX_IST, "Accepted", "expire", "Terminated"},
    {TX_IST, "Accepted", "transport", "Accepted"},
    /* ours: what may cross the ACK, the 2xx's repetition, users that went away */
    {TX_IST, "Proceeding", "expire", "Terminated"},
    {TX_IST, "Confirmed", "request", "Confirmed"},
    {TX_IST, "Confirmed", "ACK", "Confirmed"},
    {TX_IST, "Accepted", "resend", "Accepted"},
    {TX_IST, "Accepted", "ACK", "Acked"},
    {TX_IST, "Acked", "request", "Acked"},
    {TX_IST, "Acked", "ACK", "Acked"},
    {TX_IST, "Acked", "expire", "Terminated"},
    /* RFC 3261 figure 8 */
    {TX_NIST, "Trying", "1xx", "Proceeding"},
    {TX_NIST, "Trying", "2xx", "Completed"},
    {TX_NIST, "Trying", "300-699", "Completed"},
    {TX_NIST, "Proceeding", "request", "Proceeding"},
    {TX_NIST, "Proceeding", "1xx", "Proceeding"},
    {TX_NIST, "Proceeding", "2xx", "Completed"},
    {TX_NIST, "Proceeding", "300-699", "Completed"},
    {TX_NIST, "Proceeding", "transport", "Terminated"},
    {TX_NIST, "Completed", "request", "Completed"},
    {TX_NIST, "Completed", "expire", "Terminated"},
    {TX_NIST, "Completed", "transport", "Terminated"},
    /* ours: absorbed while nothing is there to send, and users that never answer */
    {TX_NIST, "Trying", "request", "Trying"},
    {TX_NIST, "Trying", "expire", "Terminated"},
    {TX_NIST, "Proceeding", "expire", "Terminated"},
};

static const char *wanted_next(enum tx_kind kind, const char *state, const char *event)
{
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        const struct want *w = &wanted[i];

        if (w->kind == kind && sl_eq(sl_str(w->state), sl_str(state)) &&
            sl_eq(sl_str(w->event), sl_str(event))) {
            return w->next;
        }
    }
    return NULL;
}

static void check_cell(enum tx_kind kind, size_t state, size_t event)
{
    const struct tx_machine *m = tx_machines[kind];
    const struct tx_cell *cell = &m->cells[state][event];
    const char *next = wanted_next(kind, m->states[state], tx_event_names[event]);

    assert_int_equal(cell->act != NULL, next != NULL);
    if (next != NULL) {
        printf("    %-10s %-10s -> %-10s  %s\n", m->states[state], tx_event_names[event],
               m->states[cell->next], cell->name);
        assert_string_equal(m->states[cell->next], next);
    }
}

static void all_cells_are_those_of_the_figures(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t kind = 0; kind < TX_KINDS; kind++) {
        const struct tx_machine *m = tx_machines[kind];

        printf("%s\n", m->name);
        for (size_t s = 0; s < m->n_states; s++) {
            for (size_t e = 0; e < TX_EV_N; e++) {
                check_cell((enum tx_kind)kind, s, e);
                n += m->cells[s][e].act != NULL;
            }
        }
    }
    assert_int_equal(n, COUNT_OF(wanted)); /* no row of the test is left over */
}

static void empty_cells_are_counted_and_change_nothing(void **state)
{
    uint64_t n = 0;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    for (size_t kind = 0; kind < TX_KINDS; kind++) {
        const struct tx_machine *m = tx_machines[kind];
        int err = 0;
        struct tx *tx = tx_alloc(r.tab, (enum tx_kind)kind, false, &err);

        assert_non_null(tx);
        for (size_t i = 0; i < (size_t)m->n_states * TX_EV_N; i++) {
            if (m->cells[i / TX_EV_N][i % TX_EV_N].act == NULL) {
                tx->state = (uint8_t)(i / TX_EV_N);
                tx_feed(tx, (enum tx_event)(i % TX_EV_N), &(struct tx_in){0});
                assert_int_equal(tx->state, i / TX_EV_N);
                assert_int_equal(stat_sum(STAT_TX_UNEXPECTED), ++n);
            }
        }
        tx_unref(&tx);
    }
    assert_int_equal(r.n_sent, 0);
    assert_int_equal(txrig_down(&r), 0);
}

static void full_table_refuses_and_counts_until_something_ends(void **state)
{
    struct tx *one = NULL, *two = NULL, *three = NULL;
    struct sip_msg *m;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 2), 0);
    m = txrig_request(&r, "OPTIONS", VIA "a", NULL);
    assert_non_null(m);
    assert_int_equal(txrig_client(&r, &one, SIP_BYE, 0), 0);
    assert_int_equal(txrig_server(&r, &two, m), 0);
    assert_int_equal(txrig_client(&r, &three, SIP_BYE, 0), ENOBUFS);
    assert_int_equal(txrig_server(&r, &three, m), ENOBUFS);
    assert_int_equal(stat_sum(STAT_TX_FULL), 2);
    assert_null(three);
    assert_true(txrig_answer(&r, one, 200, "BYE"));
    txrig_at_ms(&r, 5000);
    assert_int_equal(txrig_client(&r, &three, SIP_BYE, 0), 0);
    tx_unref(&one);
    tx_unref(&two);
    tx_unref(&three);
    sip_msg_unref(&m);
    assert_int_equal(txrig_down(&r), 0);
}

/* Sustained load: what only absorbs repetitions goes before new work is refused, oldest first. */
static void full_table_forgets_what_lingers_before_it_refuses(void **state)
{
    struct tx *tx[5] = {NULL};
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 4), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(txrig_client(&r, &tx[i], SIP_BYE, 0), 0);
    }
    assert_true(txrig_answer(&r, tx[1], 200, "BYE"));
    txrig_at_ms(&r, 10);
    assert_true(txrig_answer(&r, tx[0], 200, "BYE"));
    assert_int_equal(txrig_client(&r, &tx[4], SIP_BYE, 0), 0); /* in the place of 1, not of 0 */
    assert_false(txrig_answer(&r, tx[1], 200, "BYE"));
    assert_true(txrig_answer(&r, tx[0], 200, "BYE"));
    assert_int_equal(stat_sum(STAT_TX_PUSHED_OUT), 1);
    assert_int_equal(stat_sum(STAT_TX_FULL), 0);
    tx_unref(&tx[1]);
    assert_int_equal(txrig_client(&r, &tx[1], SIP_BYE, 0), 0); /* in the place of 0 */
    tx_unref(&tx[0]);
    assert_int_equal(txrig_client(&r, &tx[0], SIP_BYE, 0), ENOBUFS); /* the rest is in work */
    for (unsigned i = 0; i < 5; i++) {
        tx_unref(&tx[i]);
    }
    assert_int_equal(txrig_down(&r), 0);
}

/* Strangers that fill the table must not keep calls from ending. */
static void a_tenth_beyond_the_limit_is_for_byes_and_dialogs(void **state)
{
    enum { MAX = 20, RESERVE = 2 };
    struct tx *tx[MAX + RESERVE + 1] = {NULL};
    struct sip_msg *fresh, *inside;
    size_t n = 0;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, MAX), 0);
    fresh = txrig_request(&r, "MESSAGE", VIA "a", NULL);
    inside = txrig_request(&r, "INFO", VIA "b", "ours");
    assert_true(fresh != NULL && inside != NULL);
    while (n < MAX) {
        assert_int_equal(txrig_client(&r, &tx[n++], SIP_MESSAGE, 0), 0);
    }
    assert_int_equal(txrig_client(&r, &tx[n], SIP_MESSAGE, 0), ENOBUFS);
    assert_int_equal(txrig_client(&r, &tx[n], SIP_INVITE, 0), ENOBUFS);
    assert_int_equal(txrig_server(&r, &tx[n], fresh), ENOBUFS);
    assert_int_equal(txrig_client(&r, &tx[n++], SIP_BYE, 0), 0);
    assert_int_equal(txrig_server(&r, &tx[n++], inside), 0);
    assert_int_equal(txrig_client(&r, &tx[n], SIP_BYE, 0), ENOBUFS); /* bounded all the same */
    assert_true(txrig_answer(&r, tx[0], 200, "MESSAGE"));
    /* Its room is the reserve's, not that of new work. */
    assert_int_equal(txrig_client(&r, &tx[n], SIP_MESSAGE, 0), ENOBUFS);
    assert_int_equal(txrig_client(&r, &tx[n], SIP_BYE, 0), 0);
    for (size_t i = 0; i < COUNT_OF(tx); i++) {
        tx_unref(&tx[i]);
    }
    sip_msg_unref(&fresh);
    sip_msg_unref(&inside);
    assert_int_equal(txrig_down(&r), 0);
}

static void counts_tell_the_kinds_and_the_unanswered(void **state)
{
    struct tx *tx[4] = {NULL};
    struct sip_msg *invite, *bye;
    struct tx_counts c;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    invite = txrig_request(&r, "INVITE", VIA "a", NULL);
    bye = txrig_request(&r, "BYE", VIA "b", "x");
    assert_non_null(invite);
    assert_non_null(bye);
    assert_int_equal(txrig_client(&r, &tx[0], SIP_INVITE, 0), 0);
    assert_int_equal(txrig_client(&r, &tx[1], SIP_BYE, 0), 0);
    assert_int_equal(txrig_server(&r, &tx[2], invite), 0);
    assert_int_equal(txrig_server(&r, &tx[3], bye), 0);
    c = txrig_counts(&r);
    assert_int_equal(c.ict, 1);
    assert_int_equal(c.nict, 1);
    assert_int_equal(c.ist, 1);
    assert_int_equal(c.nist, 1);
    assert_int_equal(c.active, 4);
    assert_int_equal(txrig_respond(&r, tx[2], invite, 180), 0);
    assert_int_equal(txrig_counts(&r).active, 4);
    assert_int_equal(txrig_respond(&r, tx[2], invite, 200), 0);
    assert_int_equal(txrig_respond(&r, tx[3], bye, 200), 0);
    assert_true(txrig_answer(&r, tx[0], 200, NULL));
    assert_int_equal(txrig_counts(&r).active, 1);
    assert_int_equal(txrig_alive(&r), 4);
    sip_msg_unref(&invite);
    sip_msg_unref(&bye);
    for (size_t i = 0; i < COUNT_OF(tx); i++) {
        tx_unref(&tx[i]);
    }
    assert_int_equal(txrig_down(&r), 0); /* silently ends everything */
    assert_int_equal(r.n_events, 1);
}

static void reserved_transaction_that_never_starts_gives_its_slot_back(void **state)
{
    struct tx_client_params params = {.method = SIP_INVITE};
    struct tx *tx = NULL;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 1), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tx_client_new(&tx, r.tab, &params), 0);
        assert_int_equal(tx_branch(tx).n, sizeof(SIP_COOKIE) - 1 + TOKEN_TEXT_LEN);
        assert_true(sl_starts(tx_branch(tx), SL(SIP_COOKIE)));
        tx_client_cancel(tx);
        tx_close(tx);
        tx_unref(&tx);
        assert_null(tx);
    }
    txrig_at_ms(&r, 0);
    assert_int_equal(txrig_alive(&r), 0);
    tx_unref(&tx);
    assert_int_equal(txrig_down(&r), 0);
}

static void reference_outlives_the_table(void **state)
{
    struct tx *started = NULL, *reserved = NULL;
    struct tx_client_params params = {.method = SIP_BYE};
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    assert_int_equal(txrig_client(&r, &started, SIP_INVITE, 0), 0);
    assert_int_equal(tx_client_new(&reserved, r.tab, &params), 0);
    tx_table_free(&r.tab);
    assert_null(r.tab);
    tx_client_cancel(started);
    assert_int_equal(tx_client_start(reserved, SL("BYE sip:x SIP/2.0\r\n\r\n")), EPROTO);
    assert_true(tx_branch(started).n != 0);
    tx_unref(&started);
    tx_unref(&reserved);
    loop_advance(r.loop, 60000);
    assert_int_equal(r.n_events, 0);
    assert_int_equal(txrig_down(&r), 0);
}

static void new_timers_and_a_new_ring_concern_new_transactions(void **state)
{
    struct tx_timers fast = {.t1_ms = 100, .t2_ms = 200, .t4_ms = 300};
    struct tx *old = NULL, *fresh = NULL;
    struct token_ring *ring = NULL;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    assert_int_equal(txrig_client(&r, &old, SIP_BYE, 0), 0);
    tx_table_set_timers(r.tab, &fast);
    assert_int_equal(token_ring_random(&ring), 0);
    tx_table_set_ring(r.tab, ring);
    assert_int_equal(txrig_client(&r, &fresh, SIP_BYE, 0), 0);
    txrig_at_ms(&r, 499);
    assert_int_equal(r.n_sent, 4); /* fresh again at 100 and 300 */
    txrig_at_ms(&r, 500);
    assert_int_equal(r.n_sent, 6); /* both */
    assert_true(txrig_answer(&r, fresh, 200, "BYE"));
    txrig_at_ms(&r, 799);
    assert_int_equal(txrig_alive(&r), 2);
    txrig_at_ms(&r, 800);
    assert_int_equal(txrig_alive(&r), 1);
    tx_unref(&old);
    tx_unref(&fresh);
    tx_table_free(&r.tab);
    token_ring_free(&ring);
    assert_int_equal(txrig_down(&r), 0);
}

/* --- users that act inside their callback --- */

struct user {
    struct txrig *r;
    struct tx *tx;
    int calls;
    bool cancel;
    bool free_table;
};

static void on_response_let_go(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct user *u = arg;

    (void)err;
    (void)rsp;
    u->calls++;
    if (u->cancel) {
        tx_client_cancel(tx);
    }
    tx_close(tx);
    tx_unref(&u->tx);
    if (u->free_table) {
        tx_table_free(&u->r->tab);
    }
}

static void on_server_let_go(struct tx *tx, enum tx_server_event ev, void *arg)
{
    struct user *u = arg;

    (void)ev;
    u->calls++;
    tx_server_acked(tx);
    if (tx_server_respond(tx, 500, SL("SIP/2.0 500 X\r\n\r\n")) == 0) {
        u->calls += 100;
    }
    tx_close(tx);
    tx_unref(&u->tx);
    if (u->free_table) {
        tx_table_free(&u->r->tab);
    }
}

static void client_may_let_go_inside_any_answer(void **state)
{
    static const uint16_t status[] = {100, 180, 200, 486};
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status) * COUNT_OF(transports) * 4; i++) {
        struct txrig r;
        struct user u = {.r = &r, .cancel = (i & 1) != 0, .free_table = (i & 2) != 0};
        struct tx *copy;

        assert_int_equal(txrig_up(&r, transports[i / 4 % 2], 10), 0);
        assert_int_equal(txrig_client(&r, &u.tx, SIP_INVITE, 0), 0);
        u.tx->u.c.fn = on_response_let_go;
        u.tx->arg = &u;
        copy = tx_ref(u.tx);
        assert_true(txrig_answer(&r, copy, status[i / 8], NULL));
        assert_int_equal(u.calls, 1);
        if (r.tab != NULL) {
            (void)txrig_answer(&r, copy, 200, NULL);
            txrig_at_ms(&r, 200000);
            assert_int_equal(txrig_alive(&r), 0);
        }
        assert_int_equal(u.calls, 1);
        tx_unref(&copy);
        assert_int_equal(txrig_down(&r), 0);
    }
}

static void client_may_let_go_inside_its_end(void **state)
{
    static const uint32_t answer_ms[] = {0, 2000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(answer_ms) * 2; i++) {
        struct txrig r;
        struct user u = {.r = &r, .cancel = true, .free_table = (i & 1) != 0};

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        assert_int_equal(txrig_client(&r, &u.tx, SIP_INVITE, answer_ms[i / 2]), 0);
        u.tx->u.c.fn = on_response_let_go;
        u.tx->arg = &u;
        loop_advance(r.loop, 100000);
        assert_int_equal(u.calls, 1);
        assert_null(u.tx);
        assert_int_equal(txrig_down(&r), 0);
    }
}

static void server_may_answer_and_let_go_inside_any_event(void **state)
{
    static const uint16_t status[] = {180, 200, 486};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(status) * 4; i++) {
        struct txrig r;
        struct user u = {.r = &r, .free_table = (i & 1) != 0};
        struct sip_msg *m;

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        m = txrig_request(&r, "INVITE", VIA "a", NULL);
        assert_non_null(m);
        assert_int_equal(tx_server_new(&u.tx, r.tab, m, &r.flow, on_server_let_go, &u), 0);
        r.send_err = (i & 2) != 0 ? EHOSTUNREACH : 0;
        assert_int_equal(txrig_respond(&r, u.tx, m, status[i / 4]), 0);
        loop_advance(r.loop, 100000);
        if (status[i / 4] != 180 || r.send_err != 0) {
            assert_int_equal(u.calls, r.send_err != 0 && status[i / 4] == 180 ? 101 : 1);
        }
        tx_unref(&u.tx);
        sip_msg_unref(&m);
        assert_int_equal(txrig_down(&r), 0);
    }
}

/* --- memory --- */

/* A call through one house: INVITE in, INVITE out, answers back, CANCEL, ends. Any step may fail;
 * what was made is given back. */
static void walk(struct txrig *r)
{
    struct sip_msg *req = txrig_request(r, "INVITE", VIA "walk", NULL);
    struct tx *server = NULL, *client = NULL;

    if (req != NULL && txrig_server(r, &server, req) == 0) {
        (void)!txrig_respond(r, server, req, 100);
        if (txrig_client(r, &client, SIP_INVITE, 2000) == 0) {
            txrig_at_ms(r, 600);
            (void)txrig_answer(r, client, 180, NULL);
            (void)!txrig_respond(r, server, req, 180);
            (void)txrig_match(r, "INVITE", VIA "walk", NULL);
            (void)txrig_match(r, "CANCEL", VIA "walk", NULL);
            tx_client_cancel(client);
            (void)txrig_answer(r, client, 200, "CANCEL");
            (void)txrig_answer(r, client, 487, NULL);
            (void)txrig_answer(r, client, 487, NULL);
        }
        (void)!txrig_respond(r, server, req, 487);
        (void)txrig_match(r, "ACK", VIA "walk", "ours");
    }
    tx_unref(&server);
    tx_unref(&client);
    sip_msg_unref(&req);
}

static void memory_may_run_out_at_any_step(void **state)
{
    bool hit = true;
    uint64_t n;

    (void)state;
    for (n = 1; hit && n < 1000; n++) {
        struct txrig r;
        int64_t live = mem_live();
        int err;

        mem_fault_arm(n);
        err = txrig_up(&r, SIP_UDP, 10);
        if (err == 0) {
            walk(&r);
        }
        hit = mem_fault_hit();
        mem_fault_arm(0);
        if (err == 0) {
            txrig_at_ms(&r, 600000);
            if (txrig_alive(&r) !=
                0) { /* an IST may wait for its user, who had no memory to answer */
                assert_int_equal(txrig_counts(&r).ist, txrig_alive(&r));
            }
            assert_int_equal(txrig_down(&r), 0);
        }
        assert_int_equal(mem_live(), live);
    }
    assert_false(hit);
    assert_true(n > 20);
}

static void ack_is_written_again_when_memory_is_back(void **state)
{
    struct tx *tx = NULL;
    struct sip_msg *m;
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    assert_int_equal(txrig_client(&r, &tx, SIP_INVITE, 0), 0);
    m = txrig_msg(&r,
                  "SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%.*s\r\n"
                  "From: <sip:a@192.0.2.1>;tag=f1\r\nTo: <sip:bob@192.0.2.9>;tag=t\r\n"
                  "Call-ID: c0\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
                  SL_ARG(tx_branch(tx)));
    assert_non_null(m);
    mem_fault_arm(1);
    assert_true(tx_feed_response(r.tab, m, &r.flow));
    assert_true(mem_fault_hit());
    mem_fault_arm(0);
    assert_int_equal(r.n_sent, 1);
    assert_int_equal(txrig_last_event(&r)->status, 486);
    assert_true(tx_feed_response(r.tab, m, &r.flow));
    assert_true(txrig_last_is(&r, "ACK "));
    assert_int_equal(r.n_events, 1);
    sip_msg_unref(&m);
    tx_unref(&tx);
    assert_int_equal(txrig_down(&r), 0);
}

/* What 8,000 calls a second leave behind for 32 s: the structure and a small block, no message. */
static void lingering_transaction_keeps_little(void **state)
{
    struct tx *client = NULL, *server = NULL;
    struct sip_msg *m;
    struct txrig r;

    (void)state;
    printf("sizeof(struct tx) = %zu\n", sizeof(struct tx));
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    m = txrig_request(&r, "INVITE", VIA "a", NULL);
    assert_non_null(m);
    assert_int_equal(m->refs, 1);
    assert_int_equal(txrig_server(&r, &server, m), 0);
    assert_int_equal(m->refs, 2);
    assert_int_equal(txrig_respond(&r, server, m, 200), 0);
    assert_int_equal(m->refs, 1);
    assert_non_null(server->bytes);
    tx_server_acked(server);
    assert_null(server->bytes);
    assert_int_equal(txrig_client(&r, &client, SIP_INVITE, 0), 0);
    assert_non_null(client->bytes);
    assert_true(txrig_answer(&r, client, 200, NULL));
    assert_null(client->bytes);
    sip_msg_unref(&m);
    tx_unref(&client);
    tx_unref(&server);
    assert_int_equal(txrig_down(&r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cells_are_those_of_the_figures),
        cmocka_unit_test(empty_cells_are_counted_and_change_nothing),
        cmocka_unit_test(full_table_refuses_and_counts_until_something_ends),
        cmocka_unit_test(full_table_forgets_what_lingers_before_it_refuses),
        cmocka_unit_test(a_tenth_beyond_the_limit_is_for_byes_and_dialogs),
        cmocka_unit_test(counts_tell_the_kinds_and_the_unanswered),
        cmocka_unit_test(reserved_transaction_that_never_starts_gives_its_slot_back),
        cmocka_unit_test(reference_outlives_the_table),
        cmocka_unit_test(new_timers_and_a_new_ring_concern_new_transactions),
        cmocka_unit_test(client_may_let_go_inside_any_answer),
        cmocka_unit_test(client_may_let_go_inside_its_end),
        cmocka_unit_test(server_may_answer_and_let_go_inside_any_event),
        cmocka_unit_test(memory_may_run_out_at_any_step),
        cmocka_unit_test(ack_is_written_again_when_memory_is_back),
        cmocka_unit_test(lingering_transaction_keeps_little),
    };

    return cmocka_run_group_tests_name("tx_table", tests, NULL, NULL);
}
