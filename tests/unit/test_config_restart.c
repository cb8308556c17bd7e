/* test_config_restart.c - which changes a reload can bring into force, and which it names. */
#include "config_rig.h"

static void assert_restart(const char *old_text, const char *new_text, const char *want)
{
    struct config *old = rig_good(old_text), *now = rig_good(new_text);
    char names[1024];
    struct buf b;
    size_t n, commas = 0;

    buf_init_fixed(&b, names, sizeof(names) - 1);
    n = config_restart_keys(old, now, &b);
    names[b.n] = '\0';
    for (size_t i = 0; i < b.n; i++) {
        commas += names[i] == ',';
    }
    assert_string_equal(names, want);
    assert_int_equal(n, want[0] != '\0' ? commas + 1 : 0);
    config_unref(&old);
    config_unref(&now);
}

static void workers_and_store_need_a_restart(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"node: {workers: 63}\n", "node.workers"},
        {"store: {path: ./other.db}\n", "store.path"},
        {"node: {workers: 63}\nstore: {path: c}\n", "node.workers, store.path"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[512];

        snprintf(text, sizeof(text), "%s%s", RIG_BASE, cases[i].text);
        assert_restart(RIG_BASE, text, cases[i].want);
        assert_restart(text, RIG_BASE, cases[i].want);
        assert_restart(text, text, "");
    }
}

static void nothing_else_does(void **state)
{
    static const char *const cases[] = {
        "node: {name: other, id: 7, key: ./other, drain: 1m, crypto_threads: 2}\n",
        "node: {log: {level: debug, format: text}}\n",
        "admin: {listen: 127.0.0.1:8081, token: 0123456789abcdef}\n",
        "admin: {listen: 'unix:/tmp/x'}\n",
        "sip: {t1: 400ms, max_message: 16KiB, tcp_idle: 5m, tls_handshakes: 9, keepalive: off}\n",
        "media: {inactivity: off, learn: 1s, io: epoll, gather: 0us, ready_ports: 0}\n",
        "limits: {calls: 5, calls_per_second: 5, setup: 1m, duration: 1h, transactions: 1000}\n",
        "config: {source: api, keep: 7}\n",
        "peers: {p: {listener: a, sources: 127.0.0.2}}\n",
        "users: {domain: x.test, listener: a, accounts: [{name: u, password: p}]}\n",
        "routes: [{name: r, refuse: {}}]\n",
        "media_profiles: {plain: {}, other: {}}\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[512];

        snprintf(text, sizeof(text), "%s%s", RIG_BASE, cases[i]);
        assert_restart(RIG_BASE, text, "");
    }
    assert_restart("listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\n",
                   "listeners: {b: {address: 127.0.0.2, sip: {tcp: 5061}}}\n", "");
}

/* --- the places of listeners --- */

static struct config *placed(struct config_slots *slots, const char *listeners)
{
    char text[1024];
    struct config_errors errs;
    struct config *c = NULL;

    snprintf(text, sizeof(text), "listeners: {%s}\npeers: {p: {listener: z, sources: 10.0.0.1}}\n",
             listeners);
    assert_int_equal(
        config_build(&c, &(struct config_text){.name = "t", .text = sl_str(text), .slots = slots},
                     &errs),
        0);
    config_errors_free(&errs);
    return c;
}

#define Z "z: {address: 127.0.0.9, sip: {udp: 5060}, rtp: {ports: 20000-20099}}"
#define A1 "a: {address: 127.0.0.1, sip: {udp: 5060}}, "
#define A2 "a: {address: 127.0.0.1, sip: {udp: 5061}}, "
#define A1_TOLD "a: {address: 127.0.0.1, advertise: 192.0.2.1, sip: {udp: 5060}}, "

static void a_listener_keeps_its_place_while_it_stays_as_it_is(void **state)
{
    struct config_slots *slots;
    struct config *first, *second, *third;

    (void)state;
    assert_int_equal(config_slots_new(&slots), 0);
    first = placed(slots, A1 Z);
    assert_int_equal(first->n_listeners, 2);
    second = placed(slots, A2 Z);
    assert_int_equal(second->n_listeners, 3); /* a moved, and left a gap */
    assert_null(second->listeners[0].name);
    assert_string_equal(second->listeners[1].name, "z");
    assert_string_equal(second->listeners[2].name, "a");
    assert_int_equal(second->def.peers[0].listener, 1);
    assert_int_equal(policy_peer_by_name(second->policy, SL("p")), 0);
    third = placed(slots, A1_TOLD Z); /* what it advertises is not where it is */
    assert_string_equal(third->listeners[0].name, "a");
    assert_true(config_slots_in_use(slots, 0));
    config_unref(&first);
    config_unref(&third);
    assert_false(config_slots_in_use(slots, 0));
    config_slots_hold(slots, 0); /* sockets are still there */
    third = placed(slots, "b: {address: 127.0.0.3, sip: {udp: 5060}}, " Z);
    assert_string_equal(third->listeners[3].name, "b");
    config_unref(&third);
    config_slots_drop(slots, 0);
    third = placed(slots, "b: {address: 127.0.0.3, sip: {udp: 5060}}, " Z);
    assert_string_equal(third->listeners[0].name, "b");
    config_unref(&third);
    config_unref(&second);
    config_slots_free(&slots);
}

static void a_snapshot_is_mine_when_nobody_else_has_it(void **state)
{
    struct config *c = rig_good(RIG_BASE), *other = config_ref(c);

    (void)state;
    assert_false(config_is_mine(c));
    config_unref(&other);
    assert_true(config_is_mine(c));
    config_unref(&c);
}

/* --- differences --- */

static void note_change(const struct config_change *c, void *arg)
{
    static const char signs[] = {'+', '-', '!', '~'};

    buf_putf(arg, "%c%.*s(%.*s|%.*s) ", signs[c->op], SL_ARG(c->path), SL_ARG(c->old),
             SL_ARG(c->now));
}

static void assert_diff(const char *old, const char *now, const char *want)
{
    char text[1024];
    struct buf b;
    size_t n;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    assert_int_equal(config_diff(sl_str(old), sl_str(now), note_change, &b, &n), 0);
    text[b.n] = '\0';
    assert_string_equal(text, want);
}

static void a_difference_is_one_of_meaning(void **state)
{
    struct buf none;
    size_t n;

    (void)state;
    assert_diff("a: {b: 1, c: 2}\n", "a:\n  c: 2 # same\n  b: \"1\"\n", "");
    assert_diff("", "a: 1\n", "+a(|1) ");
    assert_diff("a: {b: 1}\n", "a: {b: 2, c: [x, y]}\n", "!a.b(1|2) +a.c(|[x, y]) ");
    assert_diff("a: [1, 2]\n", "a: [1]\n", "-a[1](2|) ");
    assert_diff("r: [{name: x, to: a}, {name: y}]\n",
                "r: [{name: n}, {name: x, to: b}, {name: y}]\n",
                "!r[x].to(a|b) +r[n](|{name: n}) ");
    assert_diff("r: [{name: x}, {name: y}]\n", "r: [{name: y}, {name: x}]\n", "~r(|) ");
    assert_diff("p: {password: old}\n", "p: {password: new}\n", "!p.password((secret)|(secret)) ");
    assert_diff("p: {password: {file: a}}\n", "p: {password: {file: b}}\n",
                "!p.password.file(a|b) ");
    assert_diff("a: {n: 1, password: x}\n", "b: 1\n", "-a({n: 1, password: (secret)}|) +b(|1) ");
    buf_init(&none, 1);
    assert_int_equal(config_diff(SL("a: ["), SL(""), note_change, &none, &n), EBADMSG);
    assert_int_equal(n, 0);
    buf_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_and_store_need_a_restart),
        cmocka_unit_test(nothing_else_does),
        cmocka_unit_test(a_listener_keeps_its_place_while_it_stays_as_it_is),
        cmocka_unit_test(a_snapshot_is_mine_when_nobody_else_has_it),
        cmocka_unit_test(a_difference_is_one_of_meaning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
