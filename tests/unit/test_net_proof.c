/* test_net_proof.c - what open TLS connections have proven when the configuration changes, and what
 * handshakes are kept for those who are known. */
#include "tests/unit/net_tls_rig.h"

#include <stdio.h>
#include <unistd.h>

static struct pki_cert new_cert;
static const char *const unwanted[] = {"other.example.com", NULL};

static struct flow to_seven(void)
{
    return flow_to(7, &rig.at[SIP_TLS]);
}

static int answer(struct flow *f)
{
    return rig_send(&rig, f, SL("SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
}

static int ends(struct flow *f, const char *method)
{
    char text[256];
    int n = snprintf(text, sizeof(text),
                     "%s sip:b@example.net SIP/2.0\r\n"
                     "Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKx\r\n"
                     "Call-ID: one\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
                     method, method);

    assert_true(n > 0 && (size_t)n < sizeof(text));
    return rig_send(&rig, f, sl_make(text, (size_t)n));
}

/* Both ends are up: *out is the dialled one, *in the accepted one. */
static void connect_both(struct flow *out, struct flow *in)
{
    *out = to_seven();
    assert_int_equal(request(out), 0);
    until_messages(1);
    *in = rig.flow;
    assert_true(in->certified);
    assert_int_equal(in->peer, 7);
}

static struct net_limits quick(void)
{
    struct net_limits limits = net_limits_default;

    limits.retire_ms = 100;
    limits.backoff_max_ms = 0;
    return limits;
}

/* --- a configuration that says the same --- */

static void a_configuration_that_demands_the_same_changes_nothing(void **state)
{
    struct net_limits limits = quick();
    struct flow out, in, again = {0};

    (void)state;
    tls_up(&limits);
    connect_both(&out, &in);
    set_server(pki_server(&new_cert, &ca, TLS_VERIFY_OPTIONAL)); /* for handshakes to come */
    set_dialler(pki_client(&ca, wanted, &peer_cert));
    net_identify(rig.net);
    again = to_seven();
    assert_int_equal(request(&again), 0);
    assert_true(flow_same(&again, &out));
    until_messages(2);
    assert_true(rig.flow.certified);
    assert_false(rig.flow.withdrawn);
    assert_false(rig_try(&rig, rig_has_gone, 200) && rig.n_gone != 0);
    assert_int_equal(net_conn_count(rig.net), 2);
    assert_int_equal(stat_sum(STAT_TLS_RETIRED), 0);
    rig_down(&rig);
}

static void another_authority_that_vouches_too_keeps_it(void **state)
{
    struct net_limits limits = quick();
    struct pki_cert both;
    struct flow out, in, again;

    (void)state;
    pki_make(&both, "both", &(struct pki_spec){.cn = "Third CA", .chain = &ca});
    tls_up(&limits);
    connect_both(&out, &in);
    set_server(pki_server(&server_cert, &both, TLS_VERIFY_REQUIRED));
    set_dialler(pki_client(&both, wanted, &peer_cert));
    net_identify(rig.net);
    again = to_seven();
    assert_int_equal(request(&again), 0);
    assert_true(flow_same(&again, &out));
    until_messages(2);
    assert_true(rig.flow.certified);
    assert_int_equal(answer(&in), 0);
    until_messages(3);
    assert_true(rig.flow.dialled && rig.flow.certified);
    rig_down(&rig);
}

/* --- connections that came to us --- */

static void withdraw_authority(void)
{
    set_server(pki_server(&server_cert, &other_ca, TLS_VERIFY_OPTIONAL));
}

static void demand_certificates_of_another(void)
{
    set_server(pki_server(&server_cert, &other_ca, TLS_VERIFY_REQUIRED));
}

static void revoke_it(void)
{
    struct pki_cert list;

    pki_make_crl(&list, "list", &ca, &peer_cert);
    set_server(pki_server(&server_cert, &list, TLS_VERIFY_OPTIONAL));
}

static void comes_into_force(struct rig *r)
{
    r->before = NULL;
    withdraw_authority();
    net_identify(r->net);
}

static void what_comes_into_force_at_the_message_counts_for_it(void **state)
{
    struct net_limits limits = quick();
    struct flow out, in;

    (void)state;
    tls_up(&limits);
    connect_both(&out, &in);
    rig.before = comes_into_force;
    assert_int_equal(request(&out), 0);
    until_messages(2);
    assert_true(rig.flow.withdrawn && !rig.flow.certified);
    rig_down(&rig);
}

static void who_came_with_what_no_longer_counts_is_nobody_and_goes(void **state)
{
    static void (*const faults[])(void) = {withdraw_authority, demand_certificates_of_another,
                                           revoke_it};
    struct net_limits limits = quick();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct net_conn_info info;
        struct flow out, in;

        tls_up(&limits);
        connect_both(&out, &in);
        assert_true(net_conn_hold(rig.net, in.conn_slot, in.conn_gen, 1)); /* a call, say */
        faults[i]();
        net_identify(rig.net);
        assert_int_equal(request(&out), 0); /* before the sweep has come by, or after it */
        until_messages(2);
        assert_false(rig.flow.certified);
        assert_true(rig.flow.withdrawn);
        assert_int_equal(rig.flow.peer, 0);
        assert_int_equal(request(&in), ENOTCONN); /* nothing new goes there, */
        assert_int_equal(answer(&in), 0);         /* what it asked for is answered */
        until_messages(3);
        assert_true(net_conn_get(rig.net, in.conn_slot, in.conn_gen, &info));
        until_gone(1);
        assert_false(net_conn_get(rig.net, in.conn_slot, in.conn_gen, &info));
        assert_int_equal(stat_sum(STAT_TLS_RETIRED), 1);
        rig_down(&rig);
    }
}

static void what_was_begun_there_can_be_ended_there(void **state)
{
    static const char *const methods[] = {"ACK", "CANCEL", "BYE"};
    struct net_limits limits = quick();

    (void)state;
    for (size_t way = 0; way < 2; way++) {
        struct flow out, in, *f = way == 0 ? &in : &out;
        struct flow old;

        tls_up(&limits);
        connect_both(&out, &in);
        old = *f;
        if (way == 0) {
            withdraw_authority();
        } else {
            set_dialler(pki_client(&other_ca, wanted, &peer_cert));
        }
        net_identify(rig.net);
        for (unsigned i = 0; i < COUNT_OF(methods); i++) {
            assert_int_equal(ends(f, methods[i]), 0);
            assert_true(flow_same(f, &old));
            until_messages(2 + i);
        }
        if (way == 0) {
            assert_int_equal(ends(f, "INVITE"), ENOTCONN);
            assert_int_equal(ends(f, "BYEBYE"), ENOTCONN);
        } else {
            assert_int_equal(request(f), 0);
            assert_false(flow_same(f, &old));
        }
        rig_down(&rig);
    }
}

static void who_never_showed_a_certificate_must_go_where_one_is_demanded(void **state)
{
    struct net_limits limits = quick();
    struct flow out = {0};

    (void)state;
    tls_up(&limits);
    set_dialler(pki_client(&ca, wanted, NULL));
    out = to_seven();
    assert_int_equal(request(&out), 0);
    until_messages(1);
    assert_false(rig.flow.certified);
    set_server(pki_server(&server_cert, &ca, TLS_VERIFY_REQUIRED));
    net_identify(rig.net);
    until_gone(1);
    rig_down(&rig);
}

static void where_nobody_is_asked_nobody_has_proven_anything(void **state)
{
    struct net_limits limits = quick();
    struct flow out, in;

    (void)state;
    tls_up(&limits);
    connect_both(&out, &in);
    set_server(pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    net_identify(rig.net);
    assert_int_equal(request(&out), 0);
    until_messages(2);
    assert_false(rig.flow.certified);
    assert_false(rig.flow.withdrawn); /* it would be let in */
    assert_int_equal(stat_sum(STAT_TLS_RETIRED), 0);
    rig_down(&rig);
}

/* --- connections that we dialled --- */

static void distrust(void)
{
    set_dialler(pki_client(&other_ca, wanted, &peer_cert));
}

static void rename_it(void)
{
    set_dialler(pki_client(&ca, unwanted, &peer_cert));
}

static void forget_it(void)
{
    set_dialler(NULL);
}

static void a_far_side_that_would_not_be_taken_today_gets_nothing_new(void **state)
{
    static const struct {
        void (*fault)(void);
        int err;
    } rows[] = {{distrust, 0}, {rename_it, 0}, {forget_it, EHOSTUNREACH}};
    struct net_limits limits = quick();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct flow out, in, old, again;

        tls_up(&limits);
        connect_both(&out, &in);
        old = out;
        rows[i].fault();
        net_identify(rig.net);
        assert_int_equal(answer(&old), 0); /* to a request that came by it */
        until_messages(2);
        again = to_seven();
        assert_int_equal(request(&again), rows[i].err); /* on a connection of its own */
        assert_int_equal(request(&out), rows[i].err);   /* inside a dialog too */
        assert_false(rows[i].err == 0 && flow_same(&out, &old));
        until_gone(rows[i].err == 0 ? 3 : 1);
        assert_int_equal(rig.n_msg, 2);
        assert_int_equal(stat_sum(STAT_TLS_RETIRED), 1);
        rig_down(&rig);
    }
}

static void who_was_believed_must_prove_himself_when_it_is_demanded(void **state)
{
    struct tls_client_params lax = {.id = pki_identity(&peer_cert)};
    struct net_limits limits = quick();
    struct tls_problem why;
    struct tls_client *c;
    struct flow out, in, again;

    (void)state;
    tls_up(&limits);
    assert_int_equal(tls_client_new(&c, &lax, &why), 0);
    set_dialler(c);
    connect_both(&out, &in);
    assert_int_equal(answer(&in), 0);
    until_messages(2);
    assert_true(rig.flow.dialled && !rig.flow.certified);
    set_dialler(pki_client(&ca, wanted, &peer_cert));
    net_identify(rig.net);
    assert_int_equal(answer(&in), 0); /* its certificate was kept, and is good */
    until_messages(3);
    assert_true(rig.flow.dialled && rig.flow.certified);
    set_dialler(pki_client(&other_ca, wanted, &peer_cert));
    net_identify(rig.net);
    assert_int_equal(answer(&in), 0);
    until_messages(4);
    assert_true(rig.flow.withdrawn && !rig.flow.certified);
    again = to_seven();
    assert_int_equal(request(&again), 0);
    assert_false(flow_same(&again, &out));
    rig_down(&rig);
}

static void a_new_certificate_of_ours_is_shown_from_the_next_request_on(void **state)
{
    struct net_limits limits = quick();
    struct net_conn_info info;
    struct flow out, in, again;

    (void)state;
    tls_up(&limits);
    connect_both(&out, &in);
    assert_true(net_conn_hold(rig.net, out.conn_slot, out.conn_gen, 1));
    set_dialler(pki_client(&ca, wanted, &new_cert));
    net_identify(rig.net);
    again = to_seven();
    assert_int_equal(request(&again), 0);
    assert_false(flow_same(&again, &out));
    until_messages(2);
    assert_int_equal(rig.flow.peer, 0); /* whoever new_cert names */
    assert_int_equal(request(&out), 0); /* a call that is up stays where it is */
    until_messages(3);
    assert_int_equal(rig.flow.peer, 7);
    rig.want = 1;
    assert_false(rig_try(&rig, rig_has_gone, 300));
    assert_true(net_conn_get(rig.net, out.conn_slot, out.conn_gen, &info));
    assert_true(info.certified);
    assert_true(net_conn_hold(rig.net, out.conn_slot, out.conn_gen, -1));
    until_gone(2); /* both ends of the old one */
    assert_int_equal(net_conn_count(rig.net), 2);
    rig_down(&rig);
}

static void what_changes_during_a_handshake_counts_for_it(void **state)
{
    struct net_limits limits = quick();
    struct flow out = {0};

    (void)state;
    tls_up(&limits);
    out = to_seven();
    assert_int_equal(request(&out), 0);
    distrust();
    net_identify(rig.net);
    until_gone(2);
    assert_int_equal(rig.n_msg, 0); /* nothing was told to whom we do not trust */
    rig_down(&rig);
}

static void many_connections_are_judged_some_at_a_time(void **state)
{
    enum { N = 20 };
    struct net_limits limits = quick();
    struct flow out[N];

    (void)state;
    limits.max_conns_per_source = 64;
    tls_up(&limits);
    for (unsigned i = 0; i < N; i++) {
        struct flow f = to_seven();

        assert_int_equal(request(&f), 0);
        until_messages(i + 1);
        out[i] = f;
        set_dialler(pki_client(&ca, wanted, i % 2 != 0 ? &peer_cert : &new_cert));
        net_identify(rig.net); /* the next one gets a connection of its own */
    }
    for (unsigned i = 1; i < N; i++) {
        assert_false(flow_same(&out[i - 1], &out[i]));
    }
    distrust();
    net_identify(rig.net);
    until_gone(2 * N);
    assert_int_equal(net_conn_count(rig.net), 0);
    rig_down(&rig);
}

/* --- handshakes of those who are known --- */

static bool has_refusals(struct rig *r)
{
    return stat_sum(STAT_CONN_RESERVE) >= r->want;
}

static void half_handshakes_of_strangers_leave_room_for_those_who_are_known(void **state)
{
    static const char *const rude[] = {"127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0", "127.0.0.5:0"};
    struct net_limits limits = quick();
    int fd[COUNT_OF(rude)], friends;
    struct flow out;

    (void)state;
    limits.max_handshakes = 4;
    limits.reserved_handshakes = 2;
    tls_up(&limits);
    rig.friend = "127.0.0.9";
    for (size_t i = 0; i < COUNT_OF(rude); i++) {
        fd[i] = rig_peer_tcp(&rig.at[SIP_TLS], rude[i]);
    }
    rig.want = 2;
    rig_until(&rig, has_refusals);
    assert_int_equal(net_conn_count(rig.net), 2);
    friends = rig_peer_tcp(&rig.at[SIP_TLS], "127.0.0.9:0");
    rig.want = 3;
    rig_until(&rig, rig_has_conns);
    rig.friend = "127.0.0.1"; /* and a whole one, to its end */
    out = to_seven();
    assert_int_equal(request(&out), 0);
    until_messages(1);
    assert_int_equal(stat_sum(STAT_CONN_RESERVE), 2);
    for (size_t i = 0; i < COUNT_OF(rude); i++) {
        (void)close(fd[i]);
    }
    (void)close(friends);
    rig_down(&rig);
}

static int setup(void **state)
{
    int err = net_tls_setup(state);

    pki_make(&new_cert, "new",
             &(struct pki_spec){.cn = "new", .san = "DNS:new.example.net", .ca = &ca});
    return err;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_that_demands_the_same_changes_nothing),
        cmocka_unit_test(another_authority_that_vouches_too_keeps_it),
        cmocka_unit_test(what_comes_into_force_at_the_message_counts_for_it),
        cmocka_unit_test(who_came_with_what_no_longer_counts_is_nobody_and_goes),
        cmocka_unit_test(what_was_begun_there_can_be_ended_there),
        cmocka_unit_test(who_never_showed_a_certificate_must_go_where_one_is_demanded),
        cmocka_unit_test(where_nobody_is_asked_nobody_has_proven_anything),
        cmocka_unit_test(a_far_side_that_would_not_be_taken_today_gets_nothing_new),
        cmocka_unit_test(who_was_believed_must_prove_himself_when_it_is_demanded),
        cmocka_unit_test(a_new_certificate_of_ours_is_shown_from_the_next_request_on),
        cmocka_unit_test(what_changes_during_a_handshake_counts_for_it),
        cmocka_unit_test(many_connections_are_judged_some_at_a_time),
        cmocka_unit_test(half_handshakes_of_strangers_leave_room_for_those_who_are_known),
    };

    return cmocka_run_group_tests(tests, setup, net_tls_teardown);
}
