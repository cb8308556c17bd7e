/* test_net_tls.c - the TLS transport on real sockets: both sides are struct net, or a peer that
 * does not behave. */
#include "tests/unit/net_tls_rig.h"
#include "loop/loop_int.h"

#include <stdio.h>
#include <semaphore.h>
#include <unistd.h>

static void messages_go_both_ways_and_the_connection_is_reused(void **state)
{
    struct net_conn_info info;
    struct flow flow, again;

    (void)state;
    tls_up(NULL);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    again = flow;
    assert_int_equal(request(&flow), 0); /* waits as plain text */
    assert_int_equal(request(&again), 0);
    assert_true(flow_same(&flow, &again));
    until_messages(2);
    assert_int_equal(rig.last_len, msg_len);
    assert_memory_equal(rig.last, msg, msg_len);
    assert_int_equal(rig.flow.transport, SIP_TLS);
    assert_true(flow_is_secure(&rig.flow));
    assert_int_equal(rig.flow.peer, 7); /* proven by its certificate */
    assert_true(rig.flow.certified);
    assert_false(rig.flow.dialled);
    assert_string_equal(tls_version_name((uint8_t)rig.flow.cipher), "TLSv1.3");
    again = rig.flow;
    assert_int_equal(rig_send(&rig, &again, SL("SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")), 0);
    until_messages(3);
    assert_true(rig.flow.dialled);
    assert_true(rig.flow.certified);
    assert_int_equal(net_conn_count(rig.net), 2); /* the two ends of one */
    assert_true(net_conn_get(rig.net, flow.conn_slot, flow.conn_gen, &info));
    assert_int_equal(info.transport, SIP_TLS);
    assert_int_equal(info.peer, 7);
    assert_true(info.certified);
    assert_int_not_equal(info.cipher, 0);
    assert_int_equal(stat_sum(STAT_TLS_OK), 2);
    assert_int_equal(stat_sum(STAT_TLS_RESUMED), 0);
    rig_down(&rig);
}

static void big_messages_take_many_records(void **state)
{
    struct flow flow;

    (void)state;
    tls_up(NULL);
    msg_len = rig_request(msg, sizeof(msg), "big", 39000);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(request(&flow), 0);
    }
    until_messages(20);
    assert_int_equal(rig.last_len, msg_len);
    assert_memory_equal(rig.last, msg, msg_len);
    rig_down(&rig);
}

/* RFC 5922 7.4: an authenticated connection belongs to one peer. */
static void two_peers_behind_one_address_do_not_share_a_connection(void **state)
{
    struct flow seven, eight;

    (void)state;
    tls_up(NULL);
    seven = flow_to(7, &rig.at[SIP_TLS]);
    eight = flow_to(8, &rig.at[SIP_TLS]);
    assert_int_equal(request(&seven), 0);
    assert_int_equal(request(&eight), 0);
    assert_false(flow_same(&seven, &eight));
    until_messages(2);
    assert_int_equal(net_conn_count(rig.net), 4);
    rig_down(&rig);
}

static void nobody_is_dialled_without_a_peer(void **state)
{
    struct flow flow;

    (void)state;
    tls_up(NULL);
    flow = flow_to(0, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), EHOSTUNREACH);
    flow = flow_to(9, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), EHOSTUNREACH);
    assert_int_equal(net_conn_count(rig.net), 0);
    rig_down(&rig);
}

static void the_wrong_server_gets_nothing_and_is_left_alone_for_a_while(void **state)
{
    static const char *const other[] = {"other.example.com", NULL};
    struct flow flow;

    (void)state;
    tls_up(NULL);
    set_dialler(pki_client(&ca, other, NULL));
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_gone(1);
    assert_int_equal(rig.n_msg, 0);
    assert_int_equal(stat_sum(STAT_TLS_CERT), 1);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), EHOSTDOWN);
    flow = flow_to(8, &rig.at[SIP_TLS]); /* who has nothing to do with it */
    assert_int_equal(request(&flow), 0);
    rig_down(&rig);
}

static void a_client_certificate_that_is_not_liked_delays_the_next_try(void **state)
{
    struct pki_cert stranger;
    struct flow flow;

    (void)state;
    pki_make(&stranger, "stranger",
             &(struct pki_spec){.cn = "x", .san = "DNS:pbx.example.net", .ca = &other_ca});
    tls_up(NULL);
    tls_client_unref(&rig.dialler);
    rig.dialler = pki_client(&ca, wanted, &stranger);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_gone(2); /* the dialled end saw it open, then an alert */
    assert_int_equal(rig.n_msg, 0);
    assert_int_equal(stat_sum(STAT_TLS_CERT), 1);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), EHOSTDOWN);
    rig_down(&rig);
}

static void hang_up(struct rig *r, const struct flow *flow, struct sl bytes)
{
    (void)bytes;
    net_conn_close(r->net, flow->conn_slot, flow->conn_gen);
}

static void a_far_side_that_hangs_up_without_a_word_is_left_alone_for_a_while(void **state)
{
    struct flow flow;

    (void)state;
    tls_up(NULL);
    rig.on_message = hang_up;
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_gone(2);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), EHOSTDOWN);
    rig_down(&rig);
}

static bool is_open_again(struct rig *r)
{
    return stat_sum(STAT_TLS_OK) == 4 && r->n_msg == 2;
}

static void the_second_connection_resumes(void **state)
{
    struct net_limits limits = net_limits_default;
    struct flow flow;

    (void)state;
    limits.backoff_max_ms = 0; /* the far side hangs up without a word */
    tls_up(&limits);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_messages(1);
    net_conn_close(rig.net, rig.flow.conn_slot, rig.flow.conn_gen);
    until_gone(2);
    assert_int_equal(rig.gone_err, 0); /* it said good-bye */
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    rig_until(&rig, is_open_again);
    assert_int_equal(stat_sum(STAT_TLS_RESUMED), 2);
    assert_int_equal(rig.flow.peer, 7); /* what was proven then holds now */
    rig_down(&rig);
}

static void new_handshakes_see_the_new_certificate_and_nothing_drops(void **state)
{
    static const char *const renamed[] = {"new.example.com", NULL};
    struct pki_cert fresh;
    struct flow old, flow;

    (void)state;
    pki_make(&fresh, "fresh",
             &(struct pki_spec){.cn = "x", .san = "DNS:new.example.com", .ca = &ca});
    tls_up(NULL);
    old = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&old), 0);
    until_messages(1);
    set_server(pki_server(&fresh, &ca, TLS_VERIFY_OPTIONAL));
    tls_client_unref(&rig.dialler);
    rig.dialler = pki_client(&ca, renamed, NULL);
    flow = flow_to(8, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_messages(2);
    assert_int_equal(request(&old), 0);
    until_messages(3);
    assert_int_equal(rig.n_gone, 0);
    rig_down(&rig);
}

static void reload_limits(struct rig *r)
{
    net_set_limits(r->net, &r->limits);
}

/* Steps on the pool look at no setting that the worker may replace meanwhile. */
static void limits_may_change_during_a_handshake(void **state)
{
    struct flow flow;

    (void)state;
    tls_up(NULL);
    rig.on_poll = reload_limits;
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_messages(1);
    rig.on_poll = NULL;
    rig_down(&rig);
}

static void who_a_client_is_follows_the_configuration(void **state)
{
    struct flow flow;

    (void)state;
    tls_up(NULL);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_messages(1);
    assert_true(rig.flow.certified);
    rig.known = "another.example.net";
    net_identify(rig.net);
    assert_int_equal(request(&flow), 0);
    until_messages(2);
    assert_false(rig.flow.certified);
    assert_int_equal(rig.flow.peer, 0);
    rig_down(&rig);
}

static void nobody_gets_in_before_there_is_a_certificate(void **state)
{
    (void)state;
    rig_up_tls(&rig, NULL);
    rig_listen(&rig, SIP_TLS, "127.0.0.1:0");
    rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL);
    rig_until(&rig, rig_peer_closed);
    rig_down(&rig);
}

static void without_a_pool_there_is_no_tls(void **state)
{
    struct addr a = rig_addr("127.0.0.1:0"), bound;

    (void)state;
    rig_up(&rig, NULL);
    assert_int_equal(net_listen(rig.net, 1, SIP_TLS, &a, &bound), EPROTONOSUPPORT);
    rig_down(&rig);
}

/* --- rude clients --- */

static void other_protocols_are_closed_before_they_cost_anything(void **state)
{
    static const char *const rude[] = {"GET / HTTP/1.1\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\n\r\n",
                                       "\r\n\r\n", "\x15\x03\x01\x00\x02\x01\x00"};
    struct crypto_pool_counts counts;

    (void)state;
    tls_up(NULL);
    for (size_t i = 0; i < COUNT_OF(rude); i++) {
        rig.peer_eof = rig.peer_reset = false;
        rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL);
        rig_peer_put(rig.peer, sl_make(rude[i], i == 3 ? 7 : strlen(rude[i])));
        rig_until(&rig, rig_peer_closed);
        (void)close(rig.peer);
        rig.peer = -1;
    }
    until_gone(COUNT_OF(rude));
    crypto_pool_counts(rig.pool, &counts);
    assert_int_equal(counts.ran, 0);
    assert_int_equal(stat_sum(STAT_TLS_ERROR), COUNT_OF(rude));
    rig_down(&rig);
}

static void garbage_in_a_record_gets_an_alert(void **state)
{
    static const char rude[] = "\x16\x03\x01\x00\x08\x01\x00\x00\x04junk";

    (void)state;
    tls_up(NULL);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL);
    rig_peer_put(rig.peer, sl_make(rude, sizeof(rude) - 1));
    rig_until(&rig, rig_peer_closed);
    assert_true(rig.got_len >= 7 && rig.got[0] == 0x15); /* RFC 8446 5.1: alert */
    assert_int_equal(stat_sum(STAT_TLS_ERROR), 1);
    rig_down(&rig);
}

static void drip(struct rig *r)
{
    static const char hello[] = "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03";
    static size_t at;

    if (r->turns % 5 == 0) {
        (void)send(r->peer, hello + at++ % 11, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void a_handshake_has_one_deadline_from_its_accept(void **state)
{
    struct net_limits limits = net_limits_default;

    (void)state;
    limits.handshake_ms = 80;
    tls_up(&limits);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL); /* says nothing at all */
    rig_until(&rig, rig_peer_closed);
    until_gone(1);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    (void)close(rig.peer);
    rig.peer_eof = rig.peer_reset = false;
    rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL);
    rig.on_poll = drip; /* a byte now and then buys nothing */
    rig_until(&rig, rig_peer_closed);
    rig.on_poll = NULL;
    until_gone(2);
    assert_int_equal(stat_sum(STAT_TLS_TIMEOUT), 2);
    rig_down(&rig);
}

static void who_leaves_during_the_handshake_is_counted(void **state)
{
    (void)state;
    tls_up(NULL);
    rig.peer = rig_peer_tcp(&rig.at[SIP_TLS], NULL);
    rig.want = 1;
    rig_until(&rig, rig_has_conns);
    (void)close(rig.peer);
    rig.peer = -1;
    until_gone(1);
    assert_int_equal(stat_sum(STAT_TLS_CLOSED), 1);
    rig_down(&rig);
}

static void a_dialled_far_side_that_says_nothing_is_given_up(void **state)
{
    struct net_limits limits = net_limits_default;
    struct addr far;
    struct flow flow;
    int listener = rig_peer_listen(&far, 8);

    (void)state;
    limits.handshake_ms = 60;
    tls_up(&limits);
    flow = flow_to(7, &far);
    assert_int_equal(request(&flow), 0);
    until_gone(1);
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    assert_true(flow_same(&rig.gone, &flow));
    (void)close(listener);
    rig_down(&rig);
}

static bool has_limit_hits(struct rig *r)
{
    return stat_sum(STAT_TLS_LIMIT) >= r->want;
}

static void handshakes_in_progress_are_limited(void **state)
{
    struct net_limits limits = net_limits_default;
    struct flow flow;
    int fd[6];

    (void)state;
    limits.max_handshakes = 4;
    limits.max_handshakes_per_source = 2;
    tls_up(&limits);
    for (size_t i = 0; i < 3; i++) { /* the third of one source is too many */
        fd[i] = rig_peer_tcp(&rig.at[SIP_TLS], "127.0.0.2:0");
    }
    rig.want = 1;
    rig_until(&rig, has_limit_hits);
    assert_int_equal(net_conn_count(rig.net), 2);
    fd[3] = rig_peer_tcp(&rig.at[SIP_TLS], "127.0.0.3:0");
    fd[4] = rig_peer_tcp(&rig.at[SIP_TLS], "127.0.0.4:0");
    fd[5] = rig_peer_tcp(&rig.at[SIP_TLS], "127.0.0.5:0"); /* the fifth in all */
    rig.want = 2;
    rig_until(&rig, has_limit_hits);
    assert_int_equal(net_conn_count(rig.net), 4);
    (void)close(fd[0]);
    (void)close(fd[1]);
    rig.want = 2;
    rig_until(&rig, rig_has_conns);
    flow = flow_to(7, &rig.at[SIP_TLS]); /* what ended has made room */
    assert_int_equal(request(&flow), 0);
    until_messages(1);
    for (size_t i = 2; i < COUNT_OF(fd); i++) {
        (void)close(fd[i]);
    }
    rig_down(&rig);
}

/* --- what happens while a step is on the pool --- */

struct stopper { /* keeps the only thread of the pool busy, also when its test has failed: static */
    struct crypto_job job;
    sem_t go;
};

static void stopper_run(struct crypto_job *j)
{
    sem_wait(&CONTAINER_OF(j, struct stopper, job)->go);
}

static void stopper_done(struct crypto_job *j, bool ran)
{
    (void)j, (void)ran;
}

static void a_connection_may_die_while_it_is_lent(void **state)
{
    struct net_limits limits = net_limits_default;
    static struct stopper stop = {.job = {.run = stopper_run, .done = stopper_done}};
    struct flow flow;

    (void)state;
    sem_init(&stop.go, 0, 0);
    limits.handshake_ms = 60;
    tls_up(&limits);
    assert_int_equal(crypto_pool_put(rig.pool, &stop.job), 0);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_gone(1); /* its deadline came, the step has not */
    assert_int_equal(rig.gone_err, ETIMEDOUT);
    sem_post(&stop.go); /* the step runs on what is left of it */
    until_gone(2);
    assert_int_equal(rig.n_msg, 0);
    rig_down(&rig);
}

static void the_house_may_end_while_a_connection_is_lent(void **state)
{
    static struct stopper stop = {.job = {.run = stopper_run, .done = stopper_done}};
    struct flow flow;

    (void)state;
    sem_init(&stop.go, 0, 0);
    tls_up(NULL);
    assert_int_equal(crypto_pool_put(rig.pool, &stop.job), 0);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    rig.want = 2;
    rig_until(&rig, rig_has_conns);
    sem_post(&stop.go);
    rig_down(&rig);
}

/* The step is done and its note waits in the loop, which never turns again. */
static void the_house_may_end_with_a_step_that_has_come_back(void **state)
{
    static struct stopper stop = {.job = {.run = stopper_run, .done = stopper_done}};
    struct crypto_pool_counts counts;
    struct flow flow;

    (void)state;
    sem_init(&stop.go, 0, 0);
    tls_up(NULL);
    assert_int_equal(crypto_pool_put(rig.pool, &stop.job), 0);
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    rig.want = 2;
    rig_until(&rig, rig_has_conns);
    sem_post(&stop.go);
    do {
        crypto_pool_counts(rig.pool, &counts);
    } while (counts.ran < 2);
    crypto_pool_stop(rig.pool);
    assert_true(loop_is_pending(rig.loop));
    rig_down(&rig);
}

static void a_full_pool_refuses_handshakes(void **state)
{
    static struct stopper stop = {.job = {.run = stopper_run, .done = stopper_done}};
    static struct stopper fill[RIG_POOL_QUEUE];
    struct crypto_pool_counts counts = {0};
    struct flow flow;

    (void)state;
    sem_init(&stop.go, 0, 0);
    tls_up(NULL);
    assert_int_equal(crypto_pool_put(rig.pool, &stop.job), 0);
    do {
        crypto_pool_counts(rig.pool, &counts);
    } while (counts.running == 0);
    for (size_t i = 0; i < COUNT_OF(fill); i++) {
        fill[i].job = stop.job;
        sem_init(&fill[i].go, 0, 1);
        assert_int_equal(crypto_pool_put(rig.pool, &fill[i].job), 0);
    }
    flow = flow_to(7, &rig.at[SIP_TLS]);
    assert_int_equal(request(&flow), 0);
    until_gone(2); /* both ends of it */
    assert_int_equal(stat_sum(STAT_TLS_LIMIT), 1);
    assert_int_equal(stat_sum(STAT_CRYPTO_FULL), 1);
    flow = flow_to(7, &rig.at[SIP_TLS]); /* that was our own doing: no reason to wait */
    assert_int_equal(request(&flow), 0);
    sem_post(&stop.go);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways_and_the_connection_is_reused),
        cmocka_unit_test(big_messages_take_many_records),
        cmocka_unit_test(two_peers_behind_one_address_do_not_share_a_connection),
        cmocka_unit_test(nobody_is_dialled_without_a_peer),
        cmocka_unit_test(the_wrong_server_gets_nothing_and_is_left_alone_for_a_while),
        cmocka_unit_test(a_client_certificate_that_is_not_liked_delays_the_next_try),
        cmocka_unit_test(a_far_side_that_hangs_up_without_a_word_is_left_alone_for_a_while),
        cmocka_unit_test(the_second_connection_resumes),
        cmocka_unit_test(new_handshakes_see_the_new_certificate_and_nothing_drops),
        cmocka_unit_test(limits_may_change_during_a_handshake),
        cmocka_unit_test(who_a_client_is_follows_the_configuration),
        cmocka_unit_test(nobody_gets_in_before_there_is_a_certificate),
        cmocka_unit_test(without_a_pool_there_is_no_tls),
        cmocka_unit_test(other_protocols_are_closed_before_they_cost_anything),
        cmocka_unit_test(garbage_in_a_record_gets_an_alert),
        cmocka_unit_test(a_handshake_has_one_deadline_from_its_accept),
        cmocka_unit_test(who_leaves_during_the_handshake_is_counted),
        cmocka_unit_test(a_dialled_far_side_that_says_nothing_is_given_up),
        cmocka_unit_test(handshakes_in_progress_are_limited),
        cmocka_unit_test(a_connection_may_die_while_it_is_lent),
        cmocka_unit_test(the_house_may_end_while_a_connection_is_lent),
        cmocka_unit_test(the_house_may_end_with_a_step_that_has_come_back),
        cmocka_unit_test(a_full_pool_refuses_handshakes),
    };

    return cmocka_run_group_tests(tests, net_tls_setup, net_tls_teardown);
}
