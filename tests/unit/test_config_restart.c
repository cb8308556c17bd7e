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

static void each_fixed_setting_is_named_when_it_changes(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"node: {name: other}\n", "node.name"},
        {"node: {id: 7}\n", "node.id"},
        {"node: {workers: 63}\n", "node.workers"},
        {"node: {key: ./other}\n", "node.key"},
        {"node: {log: {format: text}}\n", "node.log.format"},
        {"store: {path: ./other.db}\n", "store.path"},
        {"admin: {listen: 127.0.0.1:8081}\n", "admin.listen"},
        {"admin: {listen: '[::1]:8080'}\n", "admin.listen"},
        {"admin: {listen: 'unix:/tmp/x'}\n", "admin.listen"},
        {"admin: {token: 0123456789abcdef}\n", "admin.token"},
        {"admin: {token: {file: other}}\n", "admin.token"},
        {"sip: {t1: 400ms}\n", "sip.t1"},
        {"sip: {max_message: 16KiB}\n", "sip.max_message"},
        {"sip: {tcp_idle: 5m}\n", "sip.tcp_idle"},
        {"limits: {transactions: 1000}\n", "limits.transactions"},
        {"node: {id: 1, name: b}\nstore: {path: c}\nadmin: {listen: 127.0.0.1:1}\n",
         "node.name, node.id, store.path, admin.listen"},
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

static void what_is_live_is_not_named(void **state)
{
    static const char *const cases[] = {
        "node: {drain: 1m}\n",
        "node: {log: {level: debug}}\n",
        "media: {inactivity: off, learn: 1s}\n",
        "limits: {calls: 5, calls_per_second: 5, setup: 1m, duration: 1h}\n",
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
}

static void any_change_of_a_listener_is_named(void **state)
{
    static const char one[] = "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\n";
    static const char *const others[] = {
        "listeners: {b: {address: 127.0.0.1, sip: {udp: 5060}}}\n",
        "listeners: {a: {address: 127.0.0.2, sip: {udp: 5060}}}\n",
        "listeners: {a: {address: '::1', sip: {udp: 5060}}}\n",
        "listeners: {a: {address: 127.0.0.1, sip: {udp: 5061}}}\n",
        "listeners: {a: {address: 127.0.0.1, sip: {tcp: 5060}}}\n",
        "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 2000-2001}}}\n",
        ("listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}},\n"
         "            b: {address: 127.0.0.1, sip: {udp: 5061}}}\n"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_restart(one, others[i], "listeners");
        assert_restart(others[i], others[i], "");
    }
    assert_restart(one,
                   "listeners: {a: {sip: {udp: 5060}, advertise: 127.0.0.1, "
                   "address: 127.0.0.1}}\n",
                   "");
    assert_restart(one,
                   "listeners: {a: {address: 127.0.0.1, advertise: 192.0.2.1, sip: {udp: 5060}}}\n",
                   ""); /* calls are told of it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fixed_setting_is_named_when_it_changes),
        cmocka_unit_test(what_is_live_is_not_named),
        cmocka_unit_test(any_change_of_a_listener_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
