/* test_worker_listen.c - the sockets of one worker through changes of its listeners. */
#include "config_rig.h"
#include "config/versions.h"
#include "net/net_int.h"
#include "worker/worker_int.h"

#include <fcntl.h>
#include <unistd.h>

#define WAN(sip) "listeners: {wan: {address: 127.0.0.77, sip: {" sip "}}}\n"

static struct b2bua *house; /* of one worker */
static struct worker *w;
static struct config_slots *slots;
static int64_t live;

static struct config *make(const char *text)
{
    struct config *c = NULL;
    struct config_errors errs;

    assert_int_equal(
        config_build(&c, &(struct config_text){.name = "t", .text = sl_str(text), .slots = slots},
                     &errs),
        0);
    config_errors_free(&errs);
    return c;
}

static void prepare(struct config *c)
{
    char text[200];
    struct buf why;

    buf_init_fixed(&why, text, sizeof(text));
    assert_int_equal(worker_open(w, c, &why), 0);
}

/* In force; nobody but the worker keeps it. */
static void change(const char *text)
{
    struct config *c = make(text);

    prepare(c);
    worker_apply_config(w, c);
    config_unref(&house->cfg);
    house->cfg = c;
}

static int up(void **state)
{
    const char *why = NULL;

    (void)state;
    live = mem_live();
    house = mem_zalloc(sizeof(*house));
    assert_non_null(house);
    pthread_mutex_init(&house->lock, NULL);
    clock_init_virtual(&house->clock, 1000, 1700000000000);
    assert_int_equal(config_slots_new(&slots), 0);
    house->n_workers = 1;
    house->cfg = make(WAN("udp: 5060, tcp: 5060"));
    assert_int_equal(token_ring_random(&house->ring), 0);
    assert_int_equal(auth_new(&house->auth), 0);
    assert_int_equal(worker_new(&house->workers[0], house, 0), 0);
    w = house->workers[0];
    assert_int_equal(worker_listen(w, &why), 0);
    return 0;
}

static int down(void **state)
{
    (void)state;
    b2bua_stop(&house);
    config_slots_free(&slots);
    assert_int_equal(mem_live(), live);
    return 0;
}

static struct addr at(uint16_t port)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(SL("127.0.0.77"), port, &a), 0);
    return a;
}

static bool is_bound(enum sip_transport t, uint16_t port)
{
    struct addr a = at(port);

    return net_is_open(w->net, t, &a);
}

static int udp_owner(uint16_t port)
{
    struct addr a = at(port);
    struct udp_sock *s = udp_at(w->net, &a);

    return s != NULL ? s->listener : -1;
}

/* As the reaper does it, when they have been of no use long enough. */
static void close_unused(void)
{
    worker_close_unused(w);
    for (unsigned i = 0; i < CONFIG_SLOTS_MAX; i++) {
        w->unused_ms[i] -= w->unused_ms[i] != 0 ? 60000 : 0;
    }
    worker_close_unused(w);
}

static void a_call_keeps_its_socket_when_who_took_it_over_goes_first(void **state)
{
    struct config *call = config_ref(house->cfg); /* as a call that began then does */

    (void)state;
    change(WAN("udp: 5060, tcp: 5062"));
    assert_int_equal(udp_owner(5060), 1);
    change(WAN("udp: 5070"));
    close_unused();
    assert_false(is_bound(SIP_TCP, 5062));
    assert_int_equal(udp_owner(5060), 0);
    config_unref(&call);
    close_unused();
    assert_int_equal(udp_owner(5060), -1);
    assert_int_equal(udp_owner(5070), 2);
}

static void a_listener_that_comes_back_has_all_its_sockets(void **state)
{
    struct config *call = config_ref(house->cfg);

    (void)state;
    change(WAN("udp: 5062, tcp: 5060"));
    change(WAN("udp: 5070"));
    close_unused();
    assert_false(is_bound(SIP_TCP, 5060)); /* it went with the second one */
    change(WAN("udp: 5060, tcp: 5060"));
    assert_int_equal(udp_owner(5060), 0);
    assert_true(is_bound(SIP_TCP, 5060));
    config_unref(&call);
}

/* It counts on the socket of another one, which goes before it is in force. */
static struct config *prepare_and_lose(void)
{
    struct config *next = make(WAN("udp: 5060"));

    change(WAN("udp: 5070"));
    prepare(next);
    close_unused();
    assert_int_equal(udp_owner(5060), -1);
    return next;
}

static void what_was_closed_while_a_change_was_prepared_is_opened_again(void **state)
{
    struct config *next = prepare_and_lose();

    (void)state;
    worker_apply_config(w, next);
    assert_true(udp_owner(5060) >= 0);
    config_unref(&next);
}

static void what_cannot_be_opened_again_is_counted(void **state)
{
    struct config *next = prepare_and_lose();
    struct addr taken = at(5060);
    uint64_t before = stat_sum(STAT_LISTENER_DEAF);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, &taken.u.sa, sizeof(taken.u.in4)), 0);
    worker_apply_config(w, next);
    assert_int_equal(udp_owner(5060), -1);
    assert_int_equal(stat_sum(STAT_LISTENER_DEAF), before + 1);
    close(fd);
    config_unref(&next);
}

static void what_comes_into_force_unprepared_has_sockets_and_leaves_them(void **state)
{
    struct config *next = make(WAN("udp: 5070"));

    (void)state;
    prepare(next);
    worker_abandon(w);
    assert_int_equal(udp_owner(5070), -1);
    worker_apply_config(w, next);
    assert_int_equal(udp_owner(5070), 1);
    config_unref(&house->cfg);
    house->cfg = next;
    change(WAN("udp: 5060"));
    close_unused();
    assert_int_equal(udp_owner(5070), -1);
}

#define LISTEN(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTEN(a_call_keeps_its_socket_when_who_took_it_over_goes_first),
        LISTEN(a_listener_that_comes_back_has_all_its_sockets),
        LISTEN(what_was_closed_while_a_change_was_prepared_is_opened_again),
        LISTEN(what_cannot_be_opened_again_is_counted),
        LISTEN(what_comes_into_force_unprepared_has_sockets_and_leaves_them),
    };
    int failed;

    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (crypto_init() != 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_deinit();
    return failed;
}
