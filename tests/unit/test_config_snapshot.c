/* test_config_snapshot.c - what a good document becomes: defaults, values, references, the life of
 * a snapshot, and the table that all of it comes from. */
#include "config_rig.h"
#include "tests/unit/tls_rig.h"

#include "config/config_int.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static struct addr ip(const char *text, uint16_t port)
{
    struct addr a = {0};

    assert_int_equal(addr_parse(sl_str(text), port, &a), 0);
    return a;
}

static void assert_addr(const struct addr *a, const char *text, uint16_t port)
{
    struct addr want = ip(text, port);

    assert_true(addr_eq(a, &want));
}

static void what_is_not_written_has_its_default(void **state)
{
    struct config *c = rig_good(RIG_BASE);
    cpu_set_t cpus;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    assert_string_equal(c->node_name, "postern");
    assert_int_equal(c->node_id, 0);
    assert_int_equal(c->workers, CPU_COUNT(&cpus) < 64 ? CPU_COUNT(&cpus) : 64);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_true(c->log_json);
    assert_string_equal(c->key_file, "./postern.key");
    assert_int_equal(c->drain_ms, 30000);
    assert_string_equal(c->store_path, "./postern.db");
    assert_null(c->admin_unix);
    assert_addr(&c->admin_listen, "127.0.0.1", 8080);
    assert_string_equal(c->admin_token_file, "./admin.token");
    assert_null(c->admin_token);
    assert_int_equal(c->t1_ms, 500);
    assert_int_equal(c->t2_ms, 4000);
    assert_int_equal(c->t4_ms, 5000);
    assert_int_equal(c->max_message, 65535);
    assert_int_equal(c->tcp_max, 4096);
    assert_int_equal(c->tcp_per_source, 64);
    assert_int_equal(c->tcp_idle_ms, 600000);
    assert_int_equal(c->media_inactivity_ms, 60000);
    assert_int_equal(c->media_learn_ms, 3000);
    assert_int_equal(c->media_io, 0);
    assert_int_equal(c->media_gather_us, 250);
    assert_int_equal(c->media_quarantine_ms, 2000);
    assert_int_equal(c->media_ready, 64);
    assert_int_equal(c->setup_ms, 180000);
    assert_int_equal(c->duration_ms, 43200000);
    assert_int_equal(c->max_transactions, 200000);
    assert_int_equal(c->def.limit.calls, 20000);
    assert_int_equal(c->def.limit.calls_per_second, 2000);
    assert_int_equal(c->def.n_profiles, 1);
    assert_string_equal(c->def.profiles[0].name, "plain");
    assert_int_equal(c->def.n_peers + c->def.n_routes, 0);
    assert_false(c->def.users.present);
    assert_true(c->loaded_ms > 1500000000000);
    config_unref(&c);
    assert_null(c);
}

static void peers_users_and_routes_have_defaults_of_their_own(void **state)
{
    struct config *c = rig_good(RIG_BASE "peers: {p: {listener: a, targets: 'sip:127.0.0.2'}}\n"
                                         "users: {domain: example.test, listener: a}\n"
                                         "routes: [{name: r, refuse: {}}]\n");
    const struct policy_peer *p = &c->def.peers[0];
    const struct policy_users *u = &c->def.users;
    const struct policy_route *r = &c->def.routes[0];

    (void)state;
    assert_int_equal(p->n_sources, 0);
    assert_int_equal(p->n_targets, 1);
    assert_addr(&p->targets[0].addr, "127.0.0.2", 5060);
    assert_int_equal(p->targets[0].transport, 0);
    assert_int_equal(p->failover_ms, 2000);
    assert_int_equal(p->limit.calls + p->limit.calls_per_second, 0);
    assert_true(p->username == NULL && p->password == NULL && p->realm == NULL);
    assert_true(u->present);
    assert_false(u->sha256);
    assert_int_equal(u->expires_min_s, 60);
    assert_int_equal(u->expires_max_s, 3600);
    assert_int_equal(u->expires_default_s, 3600);
    assert_int_equal(u->max_contacts, 10);
    assert_int_equal(u->nonce_life_s, 300);
    assert_int_equal(u->n_accounts, 0);
    assert_int_equal(r->n_from + r->n_to, 0);
    assert_int_equal(r->refuse_code, 403);
    assert_null(r->refuse_reason);
    assert_true(r->called == NULL && r->calling == NULL && r->domain == NULL && r->method == NULL);
    config_unref(&c);
}

static void every_setting_of_the_node_arrives(void **state)
{
    struct config *c = rig_good(
        RIG_BASE
        "node: {name: edge-1, id: 1023, workers: 64, key: /k, drain: 0s,\n"
        "       log: {level: debug, format: text}}\n"
        "store: {path: /tmp/x.db}\n"
        "admin: {listen: '[::1]:9090', token: 0123456789abcdef}\n"
        "sip: {t1: 1s, t2: 8s, t4: 10s, max_message: 8KiB, tcp_connections: 10,\n"
        "      tcp_per_source: 2, tcp_idle: 1h}\n"
        "media: {inactivity: off, learn: 500ms, io: io_uring, gather: 2ms, ready_ports: 7}\n"
        "limits: {calls: off, calls_per_second: 7, setup: 1m, duration: 7d,\n"
        "         transactions: 100}\n");

    (void)state;
    assert_string_equal(c->node_name, "edge-1");
    assert_int_equal(c->node_id, 1023);
    assert_int_equal(c->workers, 64);
    assert_string_equal(c->key_file, "/k");
    assert_int_equal(c->drain_ms, 0);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_false(c->log_json);
    assert_string_equal(c->store_path, "/tmp/x.db");
    assert_addr(&c->admin_listen, "::1", 9090);
    assert_string_equal(c->admin_token, "0123456789abcdef");
    assert_null(c->admin_token_file);
    assert_int_equal(c->t1_ms, 1000);
    assert_int_equal(c->t2_ms, 8000);
    assert_int_equal(c->t4_ms, 10000);
    assert_int_equal(c->max_message, 8192);
    assert_int_equal(c->tcp_max, 10);
    assert_int_equal(c->tcp_per_source, 2);
    assert_int_equal(c->tcp_idle_ms, 3600000);
    assert_int_equal(c->media_inactivity_ms, 0);
    assert_int_equal(c->media_learn_ms, 500);
    assert_int_equal(c->media_io, 2);
    assert_int_equal(c->media_gather_us, 2000);
    assert_int_equal(c->media_ready, 7);
    assert_int_equal(c->def.limit.calls, 0);
    assert_int_equal(c->def.limit.calls_per_second, 7);
    assert_int_equal(c->setup_ms, 60000);
    assert_int_equal(c->duration_ms, 604800000);
    assert_int_equal(c->max_transactions, 100);
    config_unref(&c);
}

static void listeners_keep_their_order_and_addresses(void **state)
{
    struct config *c =
        rig_good("listeners:\n"
                 "  z: {address: 0.0.0.0, advertise: 192.0.2.1, sip: {udp: 5060}}\n"
                 "  a: {address: '::1', sip: {tcp: 5062}, rtp: {ports: 1024-1025}}\n"
                 "  m: {address: '::', advertise: '2001:db8::1', sip: {udp: 1, tcp: 65535}}\n");
    const struct config_listener *l = c->listeners;

    (void)state;
    assert_int_equal(c->n_listeners, 3);
    assert_int_equal(c->def.n_listeners, 3);
    assert_string_equal(c->def.listeners[0], "z");
    assert_string_equal(c->def.listeners[2], "m");
    assert_addr(&l[0].address, "0.0.0.0", 0);
    assert_addr(&l[0].advertise, "192.0.2.1", 0);
    assert_true(l[0].port[0] == 5060 && l[0].port[1] == 0 && !l[0].has_rtp);
    assert_addr(&l[1].advertise, "::1", 0);
    assert_true(l[1].port[0] == 0 && l[1].port[1] == 5062 && l[1].has_rtp);
    assert_true(l[1].rtp_min == 1024 && l[1].rtp_max == 1025);
    assert_addr(&l[2].advertise, "2001:db8::1", 0);
    assert_true(l[2].port[0] == 1 && l[2].port[1] == 65535);
    config_unref(&c);
}

static void a_peer_and_a_route_with_everything_arrive(void **state)
{
    struct config *c = rig_good(
        "listeners: {a: {address: '::1', sip: {udp: 5060, tcp: 5060}, rtp: {ports: 2000-2999}},\n"
        "            b: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 2000-2999}}}\n"
        "media_profiles: {x: {}, y: {security: rtp}}\n"
        "peers:\n"
        "  p:\n"
        "    listener: b\n"
        "    sources: [127.0.0.2, 10.0.0.0/8]\n"
        "    targets: [{uri: 'sip:127.0.0.9:7000'}, SIP:127.0.0.8;Transport=UDP]\n"
        "    media: y\n"
        "    credentials: {username: u, password: s, realm: r}\n"
        "    limits: {calls: 2, calls_per_second: 1}\n"
        "    failover: {timeout: 500ms}\n"
        "    topology: {hide: all}\n"
        "    headers: []\n"
        "  q: {listener: a, targets: 'sip:[::1]:5070;transport=tcp', media: x}\n"
        "users: {domain: example.test, listener: a, registrar: local, media: x, contacts: 16,\n"
        "        algorithm: sha-256, nonce_life: 1m, expires: {min: 5s, max: 30m},\n"
        "        accounts: [{name: '1001', password: '007'}, {name: a.b, password: no}]}\n"
        "routes:\n"
        "  - {name: one, from: [users, q, p], match: {called: '+*', calling: '1?', method: "
        "INVITE,\n"
        "     domain: '*.test'}, to: [q, users, p]}\n"
        "  - {name: two, from: p, refuse: {status: 603, reason: Not today}}\n");
    const struct policy_def *d = &c->def;
    const struct policy_peer *p = &d->peers[0];

    (void)state;
    assert_true(p->listener == 1 && p->media == 1 && p->n_sources == 2 && p->n_targets == 2);
    assert_true(p->sources[0].bits == 32 && p->sources[1].bits == 8);
    assert_string_equal(p->targets[0].uri, "sip:127.0.0.9:7000");
    assert_addr(&p->targets[0].addr, "127.0.0.9", 7000);
    assert_addr(&p->targets[1].addr, "127.0.0.8", 5060);
    assert_string_equal(p->username, "u");
    assert_string_equal(p->password, "s");
    assert_string_equal(p->realm, "r");
    assert_true(p->limit.calls == 2 && p->limit.calls_per_second == 1 && p->failover_ms == 500);
    assert_addr(&d->peers[1].targets[0].addr, "::1", 5070);
    assert_int_equal(d->peers[1].targets[0].transport, 1);
    assert_true(d->users.sha256 && d->users.max_contacts == 16 && d->users.nonce_life_s == 60);
    assert_true(d->users.expires_min_s == 5 && d->users.expires_max_s == 1800);
    assert_int_equal(d->users.expires_default_s, 1800); /* not written: it follows max */
    assert_int_equal(d->users.n_accounts, 2);
    assert_string_equal(d->users.accounts[0].password, "007");
    assert_string_equal(d->users.accounts[1].password, "no");
    assert_true(d->routes[0].n_from == 3 && d->routes[0].n_to == 3);
    assert_int_equal(d->routes[0].from[0].kind, POLICY_USERS);
    assert_true(d->routes[0].from[1].kind == POLICY_PEER && d->routes[0].from[1].peer == 1);
    assert_true(d->routes[0].to[2].kind == POLICY_PEER && d->routes[0].to[2].peer == 0);
    assert_string_equal(d->routes[0].domain, "*.test");
    assert_int_equal(d->routes[1].refuse_code, 603);
    assert_string_equal(d->routes[1].refuse_reason, "Not today");
    config_unref(&c);
}

static void an_empty_section_is_as_good_as_none(void **state)
{
    struct config *c = rig_good(RIG_BASE "node:\nstore: ~\nadmin: {}\nsip: null\nmedia:\nlimits:\n"
                                         "security: {}\nmedia_profiles:\npeers:\nroutes: []\n");

    (void)state;
    assert_string_equal(c->node_name, "postern");
    assert_string_equal(c->def.profiles[0].name, "plain");
    assert_int_equal(c->def.n_peers + c->def.n_routes, 0);
    config_unref(&c);
}

static void the_embedded_default_is_a_house_with_two_sides(void **state)
{
    struct config *c = NULL;
    struct config_errors errs;

    (void)state;
    assert_int_equal(config_load(&c, NULL, NULL, &errs), 0);
    assert_int_equal(c->n_listeners, 2);
    assert_string_equal(c->listeners[0].name, "outside");
    assert_addr(&c->listeners[0].address, "127.0.0.1", 0);
    assert_addr(&c->listeners[1].address, "127.0.0.2", 0);
    for (size_t i = 0; i < 2; i++) {
        assert_true(c->listeners[i].port[0] == 5060 && c->listeners[i].port[1] == 5060);
    }
    assert_true(c->listeners[0].rtp_min == 20000 && c->listeners[0].rtp_max == 29999);
    assert_true(c->listeners[1].rtp_min == 30000 && c->listeners[1].rtp_max == 39999);
    assert_int_equal(c->def.n_peers, 2);
    assert_string_equal(c->def.peers[0].name, "pbx");
    assert_addr(&c->def.peers[0].targets[0].addr, "127.0.0.2", 5070);
    assert_addr(&c->def.peers[1].targets[0].addr, "127.0.0.3", 5060);
    assert_string_equal(c->def.users.domain, "example.test");
    assert_int_equal(c->def.users.n_accounts, 0);
    assert_int_equal(c->def.n_routes, 3);
    assert_string_equal(c->def.routes[1].called, "+*");
    config_unref(&c);
}

static void the_snapshot_carries_a_policy_that_decides(void **state)
{
    struct config *c = NULL;
    struct config_errors errs;
    struct policy_verdict v;
    struct policy_request rq = {.method = SL("INVITE"),
                                .listener = 1,
                                .source = ip("127.0.0.2", 5070),
                                .called = SL("+4930123"),
                                .called_host = SL("example.test"),
                                .calling = SL("1001"),
                                .auth_user = -1,
                                .new_call = true};

    (void)state;
    assert_int_equal(config_load(&c, NULL, NULL, &errs), 0);
    policy_decide(c->policy, &rq, 1000, &v);
    assert_int_equal(v.action, POLICY_ROUTE);
    assert_string_equal(c->def.routes[v.route].name, "outbound");
    assert_true(v.n_to == 1 && v.to[0].kind == POLICY_PEER && v.to[0].peer == 1);
    policy_release(c->policy, &v);
    config_unref(&c);
}

static void each_load_has_the_next_version_and_lives_while_somebody_holds_it(void **state)
{
    int64_t live = mem_live();
    struct config *a = rig_good(RIG_BASE), *b = rig_good(RIG_BASE);
    struct config *again = config_ref(a);

    (void)state;
    assert_int_equal(b->version, a->version + 1);
    config_unref(&a);
    assert_string_equal(again->node_name, "postern");
    config_unref(&again);
    config_unref(&b);
    config_unref(&b); /* NULL by now */
    assert_int_equal(mem_live(), live);
}

static void a_file_is_read_from_its_path(void **state)
{
    char path[] = "/tmp/postern-config-XXXXXX";
    int fd = mkstemp(path);
    struct config *c = NULL;
    struct config_errors errs;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, RIG_BASE, strlen(RIG_BASE)), (ssize_t)strlen(RIG_BASE));
    assert_int_equal(config_load(&c, path, NULL, &errs), 0);
    assert_int_equal(c->n_listeners, 1);
    config_unref(&c);
    assert_int_equal(write(fd, "nod: {}\n", 8), 8);
    assert_int_equal(config_load(&c, path, NULL, &errs), EBADMSG);
    assert_null(c);
    assert_int_equal(errs.n, 1);
    assert_non_null(strstr(errs.e[0].text, ":2:1: nod: unknown setting; did you mean 'node'?"));
    assert_int_equal(strncmp(errs.e[0].text, path, strlen(path)), 0);
    config_errors_free(&errs);
    close(fd);
    unlink(path);
    assert_int_equal(config_load(&c, path, NULL, &errs), ENOENT);
    assert_int_equal(errs.n_total, 0);
    assert_int_equal(config_load(&c, "/tmp", NULL, &errs), EISDIR);
}

static void a_file_over_4_mib_is_refused_and_one_below_is_not(void **state)
{
    char path[] = "/tmp/postern-config-XXXXXX";
    int fd = mkstemp(path);
    struct config *c = NULL;
    struct config_errors errs;
    size_t base = strlen(RIG_BASE);
    char *text = malloc(CONFIG_FILE_MAX + 1);

    (void)state;
    assert_true(fd >= 0);
    if (text == NULL) {
        fail_msg("no memory");
        return;
    }
    memset(text, '#', CONFIG_FILE_MAX + 1);
    memcpy(text, RIG_BASE, base);
    assert_int_equal(write(fd, text, CONFIG_FILE_MAX), CONFIG_FILE_MAX);
    assert_int_equal(config_load(&c, path, NULL, &errs), 0);
    config_unref(&c);
    assert_int_equal(write(fd, "#", 1), 1);
    assert_int_equal(config_load(&c, path, NULL, &errs), EBADMSG);
    assert_non_null(strstr(errs.e[0].text, ":1:1: larger than 4194304 bytes"));
    config_errors_free(&errs);
    close(fd);
    unlink(path);
    free(text);
}

static void at_most_a_hundred_errors_are_kept_and_all_are_counted(void **state)
{
    struct config *c = NULL;
    struct config_errors errs;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    BUF_LIT(&b, RIG_BASE "node:\n");
    for (int i = 0; i < 150; i++) {
        buf_putf(&b, "  zz%d: x\n", i);
    }
    assert_int_equal(buf_err(&b), 0);
    assert_int_equal(config_parse(&c, "t", buf_sl(&b), NULL, &errs), EBADMSG);
    assert_int_equal(errs.n, CONFIG_ERRORS_MAX);
    assert_int_equal(errs.n_total, 150);
    assert_string_equal(errs.e[99].text, "t:102:3: node.zz99: unknown setting");
    config_errors_free(&errs);
    assert_int_equal(errs.n + errs.n_total, 0);
    buf_free(&b);
}

static void nesting_has_an_end_at_32_levels(void **state)
{
    const char *lines;
    char text[256];

    (void)state;
    memset(text, '[', sizeof(text));
    memcpy(text, "zz: ", 4);
    memset(text + 4 + 31, ']', 31);
    text[4 + 62] = '\0';
    assert_null(rig_parse(text, &lines)); /* the root and 31 lists: still read */
    assert_null(strstr(lines, "nested"));
    assert_non_null(strstr(lines, "zz: unknown setting"));
    memset(text, '[', sizeof(text));
    memcpy(text, "zz: ", 4);
    text[4 + 32] = '\0';
    assert_null(rig_parse(text, &lines));
    assert_string_equal(lines, "t:1:36: nested deeper than 32 levels\n");
}

static void a_long_word_is_quoted_in_part_and_never_in_the_middle_of_a_character(void **state)
{
    const char *lines;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    BUF_LIT(&b, RIG_BASE "node: {id: a");
    for (int i = 0; i < 100; i++) {
        BUF_LIT(&b, "\xC3\xA9");
    }
    BUF_LIT(&b, "}\n");
    buf_putc(&b, '\0');
    assert_null(rig_parse(b.p, &lines));
    assert_true(sl_is_utf8(sl_str(lines)));
    assert_true(strlen(lines) < 120);
    buf_free(&b);
}

static void peers_and_accounts_by_the_thousand_are_read(void **state)
{
    struct config *c = NULL;
    struct config_errors errs;
    struct buf b;

    (void)state;
    buf_init(&b, CONFIG_FILE_MAX);
    BUF_LIT(&b, RIG_BASE "peers:\n");
    for (int i = 0; i < 5000; i++) {
        buf_putf(&b, "  p%d: {listener: a, sources: 10.0.%d.%d}\n", i, i / 256, i % 256);
    }
    BUF_LIT(&b, "users:\n  domain: x.test\n  listener: a\n  accounts:\n");
    for (int i = 0; i < 20000; i++) {
        buf_putf(&b, "    - {name: '%d', password: x}\n", i);
    }
    assert_int_equal(buf_err(&b), 0);
    assert_int_equal(config_parse(&c, "t", buf_sl(&b), NULL, &errs), 0);
    assert_int_equal(policy_user_by_name(c->policy, SL("19999")), 19999);
    assert_int_equal(policy_peer_by_name(c->policy, SL("p4999")), 4999);
    config_unref(&c);
    buf_free(&b);
}

/* --- the table --- */

static size_t each_key(const struct cfg_object *o, void (*fn)(const struct cfg_key *k))
{
    size_t n = o->n_keys;

    for (size_t i = 0; i < o->n_keys; i++) {
        fn(&o->keys[i]);
        n += o->keys[i].sub != NULL ? each_key(o->keys[i].sub, fn) : 0;
    }
    return n;
}

static const char *reference;

static void key_is_explained(const struct cfg_key *k)
{
    size_t n = strlen(k->help);

    assert_true(n > 8 && k->help[n - 1] == '.');
    assert_non_null(strstr(reference, k->help));
}

static void the_reference_names_every_key_with_its_help(void **state)
{
    static const char *const paths[] = {
        "node.workers\n    number 1 to 64 or auto; default auto; needs a restart\n",
        "listeners.NAME.rtp.ports\n    range of ports; required\n",
        "peers.NAME.failover.timeout\n    duration 100ms to 32s; default 2s\n",
        "users.accounts[].password\n    secret; required\n",
        "routes[].match.called\n    pattern\n",
        "admin.token\n    secret; default {file: ./admin.token}; needs a restart\n",
        "sip.max_message\n    size 4KiB to 64KiB; default 64KiB; needs a restart\n",
        "node.log.level\n    word: error, warn, info, debug; default info\n",
        "security.bans\n    section\n",
    };
    struct buf b;
    size_t lines = 0;

    (void)state;
    buf_init(&b, 1 << 20);
    config_put_reference(&b);
    buf_putc(&b, '\0');
    assert_int_equal(buf_err(&b), 0);
    reference = b.p;
    for (size_t i = 0; i + 1 < b.n; i++) {
        lines += b.p[i] == '\n';
    }
    assert_int_equal(each_key(&cfg_root, key_is_explained) * 3, lines);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_non_null(strstr(reference, paths[i]));
    }
    buf_free(&b);
}

/* Makes (on) or removes the files that the example speaks of. */
static void example_files(bool on)
{
    static const char *const names[] = {"server.crt", "server.key", "ca.pem"};
    static struct pki_cert ca, server;
    const char *const paths[] = {server.certificate, server.key, ca.certificate};

    if (on) {
        pki_make(&ca, "ca", &(struct pki_spec){.cn = "Test CA"});
        pki_make(&server, "server",
                 &(struct pki_spec){.cn = "x", .san = "IP:127.0.0.1", .ca = &ca});
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(on ? symlink(paths[i], names[i]) : unlink(names[i]), 0);
    }
    for (int i = 1001; i <= 1002; i++) {
        char name[16];
        FILE *f;

        snprintf(name, sizeof(name), "%d.pw", i);
        if (!on) {
            unlink(name);
            continue;
        }
        f = fopen(name, "w");
        assert_non_null(f);
        fputs("secret\n", f);
        fclose(f);
    }
}

/* Listed in full by name, so that a capability cannot appear or vanish unnoticed. */
static void the_example_is_refused_for_exactly_what_is_not_supported(void **state)
{
    static const char want[] = "listeners.outside.sip.ws: 'ws'\n"
                               "listeners.outside.sip.wss: 'wss'\n";
    static const char tail[] = " is not supported by this version";
    static char text[RIG_TEXT_MAX], got[RIG_TEXT_MAX], dir[] = "/tmp/postern-example-XXXXXX";
    char old[4096];
    struct config *c = NULL;
    struct config_errors errs;
    struct buf b;
    FILE *f = fopen("../shared/postern.example.yaml", "r");
    size_t n;

    (void)state;
    f = f != NULL ? f : fopen("tests/data/postern.example.yaml", "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_non_null(getcwd(old, sizeof(old)));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    example_files(true);
    setenv("CARRIER_PASSWORD", "secret", 1);
    assert_int_equal(config_parse(&c, "t", sl_make(text, n), NULL, &errs), EBADMSG);
    example_files(false);
    assert_int_equal(chdir(old), 0);
    rmdir(dir);
    buf_init_fixed(&b, got, sizeof(got) - 1);
    for (size_t i = 0; i < errs.n; i++) {
        const char *what = strstr(errs.e[i].text, ": ");
        const char *end = strstr(errs.e[i].text, tail);

        assert_true(what != NULL && end != NULL && end[sizeof(tail) - 1] == '\0');
        buf_putf(&b, "%.*s\n", (int)(end - what - 2), what + 2);
    }
    got[b.n] = '\0';
    assert_string_equal(got, want);
    config_errors_free(&errs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(peers_users_and_routes_have_defaults_of_their_own),
        cmocka_unit_test(every_setting_of_the_node_arrives),
        cmocka_unit_test(listeners_keep_their_order_and_addresses),
        cmocka_unit_test(a_peer_and_a_route_with_everything_arrive),
        cmocka_unit_test(an_empty_section_is_as_good_as_none),
        cmocka_unit_test(the_embedded_default_is_a_house_with_two_sides),
        cmocka_unit_test(the_snapshot_carries_a_policy_that_decides),
        cmocka_unit_test(each_load_has_the_next_version_and_lives_while_somebody_holds_it),
        cmocka_unit_test(a_file_is_read_from_its_path),
        cmocka_unit_test(a_file_over_4_mib_is_refused_and_one_below_is_not),
        cmocka_unit_test(at_most_a_hundred_errors_are_kept_and_all_are_counted),
        cmocka_unit_test(nesting_has_an_end_at_32_levels),
        cmocka_unit_test(a_long_word_is_quoted_in_part_and_never_in_the_middle_of_a_character),
        cmocka_unit_test(peers_and_accounts_by_the_thousand_are_read),
        cmocka_unit_test(the_reference_names_every_key_with_its_help),
        cmocka_unit_test(the_example_is_refused_for_exactly_what_is_not_supported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
