/* test_config_route.c - the words of routes, numbers, groups and tables: what they become, and
 * every way to write them wrong. */
#include "config_rig.h"

#include <stdlib.h>
#include <unistd.h>

#define PEERS                                                                                      \
    "peers:\n"                                                                                     \
    "  pbx: {listener: a, sources: 127.0.0.2, targets: \"sip:127.0.0.2\"}\n"                       \
    "  one: {listener: a, targets: \"sip:127.0.0.3\"}\n"                                           \
    "  two: {listener: a, targets: \"sip:127.0.0.4\"}\n"                                           \
    "  mute: {listener: a, sources: 127.0.0.5}\n"

static char dir[] = "/tmp/postern-route-XXXXXX";

/* A file in dir; returns its path. */
static const char *put_file(const char *name, const char *text)
{
    static char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *fill(const char *fmt, const char *path)
{
    static char text[RIG_TEXT_MAX];
    const char *at = strstr(fmt, "@FILE@");

    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - fmt), fmt, path, at + 6);
    return text;
}

static const char everything[] = RIG_BASE PEERS
    "peer_groups: {carriers: {peers: [one, two]}}\n"
    "tables: {rates: {file: @FILE@}}\n"
    "users: {domain: x.test, listener: a, numbers: {in: {called: [{form: e164, country: '49'}]}}}\n"
    "routes:\n"
    "- name: plus\n"
    "  from: [users, carriers]\n"
    "  numbers: {called: [{prefix: '00', replace: '+', stop: true}], calling: [{strip: 1}]}\n"
    "  continue: true\n"
    "- name: all\n"
    "  match:\n"
    "    listener: a\n"
    "    called: {prefix: ['+49', '+43']}\n"
    "    calling: {pattern: '1\\d+'}\n"
    "    user: ['1*']\n"
    "    headers: [X-A, '!X-B', 'X-C: y*']\n"
    "    codec: [opus, PCMA]\n"
    "    time: {zone: Europe/Berlin, days: [mon-fri, sun], hours: ['08:00-12:00', '22:00-06:00'],\n"
    "           dates: ['12-24..01-02', 2027-05-01]}\n"
    "  to: [pbx, {peer: one, weight: 70}, {peer: two}]\n"
    "  failover: {codes: [503, 5xx, 480-488]}\n"
    "- {name: table, match: {called: {table: rates, tag: de}}, to: carriers}\n"
    "- {name: any, match: {calling: {table: rates}}, redirect: {contact: 'sip:{called}@h'}}\n"
    "- {name: off, match: {called: {exact: '112'}}, to: {peer: carriers, weight: 5}, "
    "failover: {codes: []}}\n";

static void the_words_of_routes_become_what_they_say(void **state)
{
    const char *path = put_file("t.csv", "prefix,tag\n# comment\n\n+49,de\r\n \"+43\" , at\n0");
    struct config *c = rig_good(fill(everything, path));
    const struct policy_def *def = &c->def;
    const struct policy_route *r = def->routes;
    size_t matched;
    int64_t winter = 1767225600; /* 2026-01-01 */

    (void)state;
    assert_int_equal(def->n_tables, 1);
    assert_int_equal(policy_table_rows(def->tables[0].table), 3);
    assert_int_equal(policy_table_find(def->tables[0].table, SL("+4930"), &matched),
                     policy_table_tag(def->tables[0].table, SL("de")));
    assert_int_equal(def->groups[0].n_peers, 2);
    assert_int_equal(def->users.numbers.in.called[0].form, POLICY_FORM_E164);
    assert_string_equal(def->users.numbers.in.called[0].exit, "00");
    assert_true(r[0].goes_on && r[0].from[1].kind == POLICY_GROUP);
    assert_true(r[0].numbers.called[0].stop && r[0].numbers.calling[0].strip == 1);
    assert_int_equal(r[1].called_by.by, POLICY_BY_PREFIX);
    assert_int_equal(r[1].called_by.texts.n, 2);
    assert_int_equal(r[1].calling_by.by, POLICY_BY_PATTERN);
    assert_int_equal(policy_pattern_whole(r[1].calling_by.pattern, SL("123")), POLICY_FIT_YES);
    assert_int_equal(r[1].listeners[0], 0);
    assert_string_equal(r[1].headers.e[2], "X-C: y*");
    assert_string_equal(r[1].codecs.e[1], "PCMA");
    assert_int_equal(r[1].when.days, 0x5F);
    assert_int_equal(r[1].when.hours[1].from, 22 * 60);
    assert_int_equal(r[1].when.dates[0].from, 1224);
    assert_int_equal(r[1].when.dates[1].to, 20270501);
    assert_int_equal(policy_zone_offset(r[1].when.zone, winter), 3600);
    assert_int_equal(policy_zone_offset(r[1].when.zone, winter + 181 * 86400), 7200);
    assert_int_equal(policy_zone_offset(r[1].when.zone, winter + 30 * 31557600LL), 3600);
    assert_int_equal(r[1].to[0].weight, 0);
    assert_int_equal(r[1].to[1].weight, 70);
    assert_int_equal(r[1].to[2].weight, 1);
    assert_int_equal(r[1].failover.n, 3);
    assert_int_equal(r[1].failover.e[1].to, 599);
    assert_null(r[2].when.zone);
    assert_string_equal(r[2].called_by.tag, "de");
    assert_int_equal(r[3].redirect_code, 302);
    assert_true(r[4].has_failover && r[4].failover.n == 0 && !r[3].has_failover);
    config_unref(&c);
}

static void a_route_from_a_group_of_users_is_theirs_alone(void **state)
{
    struct config *c =
        rig_good(RIG_BASE PEERS "users: {domain: x.test, listener: a, accounts: [\n"
                                "  {name: '1001', password: p}, {name: '1002', password: p},\n"
                                "  {name: '2001', password: p}, {name: '2002', password: p}]}\n"
                                "user_groups: {sales: {users: ['10*', '2002']}}\n"
                                "routes: [{name: r, from: [sales, one], to: pbx}]\n");
    struct policy_request rq = {.method = SL("INVITE"), .called = SL("5"), .calling = SL("1")};
    static const bool is_in[] = {true, true, false, true};

    (void)state;
    assert_int_equal(addr_parse(SL("127.0.0.9"), 5060, &rq.source), 0);
    for (int i = 0; i < 4; i++) {
        struct policy_verdict v;

        rq.auth_user = i;
        policy_decide(c->policy, &rq, 1000, &v);
        assert_int_equal(v.action, is_in[i] ? POLICY_ROUTE : POLICY_REFUSE);
        policy_release(c->policy, &v);
    }
    assert_int_equal(addr_parse(SL("127.0.0.2"), 5060, &rq.source), 0); /* a peer is no user */
    rq.auth_user = -1;
    {
        struct policy_verdict v;

        policy_decide(c->policy, &rq, 1000, &v);
        assert_int_equal(v.action, POLICY_REFUSE);
        policy_release(c->policy, &v);
    }
    config_unref(&c);
}

static const struct rig_case bad_routes[] = {
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: "
     "{pbx: {users: u1}}\n",
     "t:8:15: user_groups.pbx: a group cannot have this name: there is a peer or a group of that "
     "name\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: "
     "{users: {users: u1}}\n",
     "t:8:15: user_groups.users: a group cannot have this name: routes mean all users by it\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: {g: "
     "{users: [u1, nope]}}\n",
     "t:8:31: user_groups.g.users[1]: no account fits 'nope'\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: {g: "
     "{users: 'x*'}}\n",
     "t:8:26: user_groups.g.users: no account fits 'x*'\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: {g: "
     "{users: []}}\n",
     "t:8:26: user_groups.g.users: must name at least one\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: {g: "
     "{users: u1}}\nroutes: [{name: r, to: g}]\n",
     "t:9:24: routes[0].to: a group of users is none that can be called: 'users' calls who it "
     "is\n"},
    {"users: {domain: x.test, listener: a, accounts: [{name: u1, password: p}]}\nuser_groups: "
     "{sales: {users: u1}}\nroutes: [{name: r, from: slaes, to: pbx}]\n",
     "t:9:26: routes[0].from: there is no peer 'slaes'; did you mean 'sales'?\n"},
    {"peer_groups: {pbx: {peers: one}}\n",
     "t:7:15: peer_groups.pbx: a group cannot have this name: there is a peer of that name\n"},
    {"peer_groups: {g: {peers: [one, tow]}}\n",
     "t:7:32: peer_groups.g.peers[1]: there is no peer 'tow'; did you mean 'two'?\n"},
    {"peer_groups: {g: {}}\n", "t:7:18: peer_groups.g.peers: is missing\n"},
    {"peer_groups: {g: {peers: mute}}\nroutes: [{name: r, to: g}]\n",
     "t:8:24: routes[0].to: peer 'mute' has no targets\n"},
    {"peer_groups: {g: {peers: [one, two]}}\nroutes: [{name: r, to: [g, g, g, g, one]}]\n",
     "t:8:24: routes[0].to: with the members of its groups these are too many; at most 8\n"},
    {"routes: [{name: r, refuse: {}, continue: true}]\n",
     "t:7:20: routes[0].refuse: a route has either 'continue' or 'refuse'\n"},
    {"routes: [{name: r, to: one, redirect: {contact: 'sip:h'}}]\n",
     "t:7:29: routes[0].redirect: a route has either 'to' or 'redirect'\n"},
    {"routes: [{name: r, continue: false}]\n",
     "t:7:10: routes[0]: needs 'to', 'redirect', 'refuse', 'callout' or 'continue: true'\n"},
    {"routes: [{name: r, continue: yes}]\n",
     "t:7:10: routes[0]: needs 'to', 'redirect', 'refuse', 'callout' or 'continue: true'\n"
     "t:7:30: routes[0].continue: 'yes' is not one of false, true\n"},
    {"routes: [{name: r, refuse: {}, failover: {codes: []}}]\n",
     "t:7:32: routes[0].failover: is of no use without 'to' or 'callout'\n"},
    {"routes: [{name: r, to: one, failover: {codes: [200, 50, 5x, 480-470, 4xx]}}]\n",
     "t:7:48: routes[0].failover.codes[0]: '200' is not a failure such as 503, 5xx or 480-488\n"
     "t:7:53: routes[0].failover.codes[1]: '50' is not a failure such as 503, 5xx or 480-488\n"
     "t:7:57: routes[0].failover.codes[2]: '5x' is not a failure such as 503, 5xx or 480-488\n"
     "t:7:61: routes[0].failover.codes[3]: '480-470' is not a failure such as 503, 5xx or "
     "480-488\n"},
    {"callouts: {h: {url: 'http://h'}}\nroutes: [{name: r, callout: x}]\n",
     "t:8:29: routes[0].callout: there is no callout 'x'\n"},
    {"callouts: {here: {url: 'http://h'}}\nroutes: [{name: r, callout: her}]\n",
     "t:8:29: routes[0].callout: there is no callout 'her'; did you mean 'here'?\n"},
    {"callouts: {h: {url: 'http://h'}}\nroutes: [{name: r, callout: h, to: one}]\n",
     "t:8:20: routes[0].callout: a route has either 'to' or 'callout'\n"},
    {"callouts: {h: {url: 'ftp://host/'}}\n",
     "t:7:21: callouts.h.url: must begin with http:// or https://\n"},
    {"callouts: {h: {url: 'http://a b'}}\n",
     "t:7:21: callouts.h.url: a URL holds no spaces, control characters or bytes beyond ASCII\n"},
    {"callouts: {h: {url: 'http://h', fallback: 200}}\n",
     "t:7:43: callouts.h.fallback: '200' is out of range: 400 to 699, or continue\n"},
    {"callouts: {h: {timeout: 20s}}\n",
     "t:7:15: callouts.h.url: is missing\n"
     "t:7:25: callouts.h.timeout: '20s' is out of range: 50ms to 10s\n"},
    {"routes: [{name: r, redirect: {}}]\n", "t:7:30: routes[0].redirect.contact: is missing\n"},
    {"routes: [{name: r, redirect: {contact: 'http://h'}}]\n",
     "t:7:40: routes[0].redirect.contact: 'http://h' is not a URI such as "
     "sip:{called}@192.0.2.1\n"},
    {"routes: [{name: r, redirect: {contact: 'sip:a>;b'}}]\n",
     "t:7:40: routes[0].redirect.contact: a URI holds no spaces, quotes, angle brackets or control "
     "characters\n"},
    {"routes: [{name: r, redirect: {contact: 'sip:a', status: 400}}]\n",
     "t:7:57: routes[0].redirect.status: '400' is out of range: 300 to 399\n"},
    {"routes: [{name: r, to: {peer: one, weight: 0}}]\n",
     "t:7:44: routes[0].to.weight: '0' is out of range: 1 to 1000\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {}}}]\n",
     "t:7:48: routes[0].match.called: needs one of 'exact', 'prefix', 'pattern' and 'table'\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {exact: '1', prefix: '2'}}}]\n",
     "t:7:48: routes[0].match.called: needs one of 'exact', 'prefix', 'pattern' and 'table'\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {exact: []}}}]\n",
     "t:7:56: routes[0].match.called.exact: must name at least one\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {exact: '1', tag: x}}}]\n",
     "t:7:66: routes[0].match.called.tag: belongs to 'table'\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {table: rates}}}]\n",
     "t:7:56: routes[0].match.called.table: there is no table 'rates'\n"},
    {"routes: [{name: r, refuse: {}, match: {called: {pattern: 'a(b'}}}]\n",
     "t:7:58: routes[0].match.called.pattern: is no regular expression: missing closing "
     "parenthesis, at character 4\n"},
    {"routes: [{name: r, refuse: {}, match: {headers: ['X A', '', X-A]}}]\n",
     "t:7:50: routes[0].match.headers[0]: 'X A' is not NAME, !NAME or \"NAME: PATTERN\"\n"
     "t:7:57: routes[0].match.headers[1]: '' is not NAME, !NAME or \"NAME: PATTERN\"\n"},
    {"routes: [{name: r, refuse: {}, match: {listener: b}}]\n",
     "t:7:50: routes[0].match.listener: there is no listener 'b'\n"},
    {"routes: [{name: r, refuse: {}, match: {time: {zone: Mars/Base}}}]\n",
     "t:7:53: routes[0].match.time.zone: 'Mars/Base' is neither an offset such as +02:00 nor a "
     "zone in /usr/share/zoneinfo/\n"},
    {"routes: [{name: r, refuse: {}, match: {time: {zone: ../../etc/passwd}}}]\n",
     "t:7:53: routes[0].match.time.zone: '../../etc/passwd' is neither an offset such as +02:00 "
     "nor a zone in /usr/share/zoneinfo/\n"},
    {"routes: [{name: r, refuse: {}, match: {time: {days: [], hours: 8-18, dates: 02-30}}}]\n",
     "t:7:53: routes[0].match.time.days: must name at least one\n"
     "t:7:64: routes[0].match.time.hours: '8-18' is not a range of hours such as 08:00-18:00\n"
     "t:7:77: routes[0].match.time.dates: '02-30' is not a date or range such as 12-24, "
     "2027-05-01 or 12-24..12-26\n"},
    {"routes: [{name: r, refuse: {}, match: {time: {days: weekend, hours: ['24:00-01:00'], "
     "dates: 2027-05-01..12-24}}}]\n",
     "t:7:53: routes[0].match.time.days: 'weekend' is not a day or a range of days such as "
     "mon-fri\n"
     "t:7:70: routes[0].match.time.hours[0]: '24:00-01:00' is not a range of hours such as "
     "08:00-18:00\n"
     "t:7:93: routes[0].match.time.dates: '2027-05-01..12-24' is not a date or range such as "
     "12-24, 2027-05-01 or 12-24..12-26\n"},
    {"routes: [{name: r, continue: true, numbers: {called: [{}, {replace: x}, {prefix: a, "
     "replace: b, strip: 1}, {form: e164}, {form: national, country: +49}]}}]\n",
     "t:7:55: routes[0].numbers.called[0]: changes nothing: needs 'replace', 'strip', 'prepend' or "
     "'form'\n"
     "t:7:69: routes[0].numbers.called[1].replace: needs 'prefix': what would it replace?\n"
     "t:7:104: routes[0].numbers.called[2].strip: a rule has either 'replace' or 'strip'\n"
     "t:7:115: routes[0].numbers.called[3].form: needs 'country', as in country: \"49\"\n"
     "t:7:148: routes[0].numbers.called[4].country: may hold only digits\n"},
    {"tables: {t: {}}\n", "t:7:13: tables.t.file: is missing\n"},
    {"tables: {t: {file: /nonexistent/x.csv}}\n",
     "t:7:20: tables.t.file: '/nonexistent/x.csv': No such file or directory\n"},
};

static void what_is_written_wrong_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE PEERS, bad_routes, COUNT_OF(bad_routes));
}

static void every_mistake_of_a_table_is_told_with_its_place(void **state)
{
    const char *path = put_file("bad.csv", "+49,de\n"
                                           "+4a,de\n"
                                           ",de\n"
                                           "1,d e\n"
                                           "2,x,y\n"
                                           "\"3\"4,x\n"
                                           "  +49 ,de\n"
                                           "123456789012345678901234567890123,x\n");
    char want[2048];
    const char *lines;
    struct config *c;

    (void)state;
    snprintf(want, sizeof(want),
             "t:2:1: nod: unknown setting; did you mean 'node'?\n"
             "%s:2:3: a prefix may hold only digits, +, * and #\n"
             "%s:3:1: a prefix is missing\n"
             "%s:4:4: a tag may hold only letters, digits and ._-\n"
             "%s:5:5: a row has two fields, PREFIX,TAG\n"
             "%s:6:1: a quote inside a field\n"
             "%s:7:1: this prefix is there twice; the first is on line 1\n"
             "%s:8:1: a prefix has at most 32 characters\n",
             path, path, path, path, path, path, path);
    c = rig_parse(fill(RIG_BASE "nod: {}\ntables: {t: {file: @FILE@}}\n", path), &lines);
    assert_null(c);
    assert_string_equal(lines, want);
}

/* As a reload does it: each load reads the file again, and the old snapshot keeps its own. */
static void a_table_is_read_anew_by_each_load(void **state)
{
    static const char text[] = RIG_BASE "tables: {t: {file: @FILE@}}\n";
    struct config *old = rig_good(fill(text, put_file("r.csv", "1,a\n"))), *now;
    size_t matched;

    (void)state;
    now = rig_good(fill(text, put_file("r.csv", "2,a\n3,b\n")));
    assert_int_equal(policy_table_rows(old->def.tables[0].table), 1);
    assert_int_equal(policy_table_rows(now->def.tables[0].table), 2);
    assert_int_equal(policy_table_find(old->def.tables[0].table, SL("2"), &matched),
                     POLICY_TAG_NONE);
    config_unref(&old);
    assert_true(policy_table_find(now->def.tables[0].table, SL("2"), &matched) != 0);
    config_unref(&now);
}

static void a_load_survives_every_failing_allocation(void **state)
{
    const char *text = fill(everything, put_file("o.csv", "+49,de\n1,x\n"));
    struct config_errors errs;
    uint64_t n = 0;
    bool is_hit;

    (void)state;
    do {
        struct config *c = NULL;
        int64_t live = mem_live();
        int err;

        mem_fault_arm(++n);
        err = config_parse(&c, "t", sl_str(text), NULL, &errs);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_true(err == 0 || (is_hit && err == ENOMEM && errs.n_total == 0));
        config_errors_free(&errs);
        config_unref(&c);
        assert_int_equal(mem_live(), live);
    } while (is_hit);
    assert_true(n > 30);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"t.csv", "bad.csv", "r.csv", "o.csv"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_from_a_group_of_users_is_theirs_alone),
        cmocka_unit_test(the_words_of_routes_become_what_they_say),
        cmocka_unit_test(what_is_written_wrong_is_refused_line_by_line),
        cmocka_unit_test(every_mistake_of_a_table_is_told_with_its_place),
        cmocka_unit_test(a_table_is_read_anew_by_each_load),
        cmocka_unit_test(a_load_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
