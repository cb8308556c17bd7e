/* Parts of the admin API without a server: times, spliced objects, the token file, the guess table,
 * and which connection makes room. */
#include "admin-http/admin_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void times_are_read_and_wrong_ones_refused(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } rows[] = {
        {"1700000000000", 1700000000000},
        {"1", 1},
        {"1970-01-01T00:00:01Z", 1000},
        {"2023-11-14T22:13:20Z", 1700000000000},
        {"2023-11-14t22:13:20.1z", 1700000000100},
        {"2023-11-14 22:13:20.1239999Z", 1700000000123},
        {"2023-11-14T23:43:20+01:30", 1700000000000},
        {"2023-11-14T23:43:20 01:30", 1700000000000},
        {"2023-11-14T20:43:20-01:30", 1700000000000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2024-12-31T23:59:60Z", 1735689600000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"", 0},
        {"0", 0},
        {"-5", 0},
        {"253402300800000", 0},
        {"2023-11-14", 0},
        {"2023-11-14T22:13:20", 0},
        {"2023-11-14T22:13:20Z ", 0},
        {"2023-11-14T22:13:20.Z", 0},
        {"2023-13-14T22:13:20Z", 0},
        {"2023-00-14T22:13:20Z", 0},
        {"2023-04-31T22:13:20Z", 0},
        {"2023-02-29T22:13:20Z", 0},
        {"2100-02-29T22:13:20Z", 0},
        {"2023-11-14T24:13:20Z", 0},
        {"2023-11-14T22:60:20Z", 0},
        {"2023-11-14T22:13:61Z", 0},
        {"2023-11-14T22:13:20+24:00", 0},
        {"2023-11-14T22:13:20+01", 0},
        {"1969-12-31T23:59:59Z", 0},
        {"23-11-14T22:13:20Z", 0},
        {"2023/11/14T22:13:20Z", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = -7;

        assert_int_equal(time_parse(sl_str(rows[i].text), &ms), rows[i].ms != 0 ? 0 : EBADMSG);
        assert_true(ms == (rows[i].ms != 0 ? rows[i].ms : -7));
    }
}

static void each_month_of_a_year_has_its_days(void **state)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    (void)state;
    for (int month = 1; month <= 12; month++) {
        char text[32];
        int64_t last, next;

        (void)snprintf(text, sizeof(text), "2023-%02d-%02dT00:00:00Z", month, days[month - 1]);
        assert_int_equal(time_parse(sl_str(text), &last), 0);
        (void)snprintf(text, sizeof(text), "%d-%02d-01T00:00:00Z", month == 12 ? 2024 : 2023,
                       month % 12 + 1);
        assert_int_equal(time_parse(sl_str(text), &next), 0);
        assert_int_equal(next - last, 86400000);
        (void)snprintf(text, sizeof(text), "2023-%02d-%02dT00:00:00Z", month, days[month - 1] + 1);
        assert_int_equal(time_parse(sl_str(text), &last), EBADMSG);
    }
}

static void members_are_spliced_but_the_skipped_ones(void **state)
{
    static const char *const skip[] = {"id", "live", NULL};
    static const char *const lists[] = {"legs", "media", NULL};
    static const struct {
        const char *object, *want;
    } rows[] = {
        {"{}", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"[1]", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"{\"live\":true,\"legs\":[1]}", "{\"x\":1,\"legs\":[1],\"media\":[]}"},
        {" { \"a\" : \"}\\\"\" , \"id\":{\"id\":1}, \"media\":[[],{}] } ",
         "{\"x\":1,\"a\" : \"}\\\"\",\"media\":[[],{}],\"legs\":[]}"},
        {"{\"a\":-1.5e3,\"b\":null}", "{\"x\":1,\"a\":-1.5e3,\"b\":null,\"legs\":[],\"media\":[]}"},
        {"{\"a\":1,", "{\"x\":1,\"a\":1,\"legs\":[],\"media\":[]}"},
        {"{\"a\":[1", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"{\"a\":\"\\", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"{\"a\"", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"{\"a\":}", "{\"x\":1,\"legs\":[],\"media\":[]}"},
        {"{a:1}", "{\"x\":1,\"legs\":[],\"media\":[]}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        struct buf b;
        struct json j;

        buf_init_fixed(&b, text, sizeof(text) - 1);
        json_init(&j, &b);
        json_obj(&j);
        json_kint(&j, "x", 1);
        splice_members(&j, sl_str(rows[i].object), skip, lists);
        json_obj_end(&j);
        text[b.n] = '\0';
        assert_string_equal(text, rows[i].want);
    }
}

static char dir[64], path[96];

static int dir_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/postern-token-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/admin.token", dir);
    log_setup(LOG_ERROR, true, "test");
    log_set_fd(-1);
    return 0;
}

static int dir_down(void **state)
{
    (void)state;
    log_set_fd(1);
    (void)unlink(path);
    return rmdir(dir); /* fails when something else was left there */
}

static void a_missing_token_is_made_once(void **state)
{
    char first[ADMIN_TOKEN_MAX + 1], again[ADMIN_TOKEN_MAX + 1], small[16];
    struct stat st;

    (void)state;
    (void)umask(0);
    assert_int_equal(admin_token_load(path, first, sizeof(first)), 0);
    assert_int_equal(strlen(first), 8 + 64);
    assert_memory_equal(first, "postern_", 8);
    assert_int_equal(strspn(first + 8, "0123456789abcdef"), 64);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(admin_token_load(path, again, sizeof(again)), 0);
    assert_string_equal(first, again);
    assert_int_equal(admin_token_load(path, small, sizeof(small)), EMSGSIZE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(admin_token_load(path, again, sizeof(again)), 0);
    assert_string_not_equal(first, again);
}

static void a_token_that_others_read_or_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        int err;
    } rows[] = {
        {"0123456789abcdef", 0600, 0},
        {"  0123456789abcdef\r\n", 0400, 0},
        {"0123456789abcdef", 0640, EPERM},
        {"0123456789abcdef", 0604, EPERM},
        {"0123456789abcde\n", 0600, EBADMSG},
        {"0123456789 abcdef", 0600, EBADMSG},
        {"", 0600, EBADMSG},
    };
    char token[ADMIN_TOKEN_MAX + 1], large[400];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        (void)close(fd);
        assert_int_equal(admin_token_load(path, token, sizeof(token)), rows[i].err);
        assert_true(rows[i].err != 0 || sl_eq(sl_str(token), SL("0123456789abcdef")));
        assert_int_equal(unlink(path), 0);
    }
    memset(large, 'a', sizeof(large));
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(admin_token_load(path, token, sizeof(token)), EBADMSG);
    assert_int_equal(rmdir(path), 0);
}

static struct addr from(const char *host)
{
    struct addr a;

    assert_int_equal(addr_parse(sl_str(host), 1, &a), 0);
    return a;
}

#define GOOD "0123456789abcdef"

static void a_source_is_forgiven_after_a_while_and_others_are_not_hurt(void **state)
{
    static struct auth au;
    struct addr bad = from("192.0.2.1"), other = from("192.0.2.2");
    struct addr v6 = from("2001:db8::1"), v6_near = from("2001:db8::2:3");
    unsigned retry_s = 0;

    (void)state;
    assert_int_equal(admin_auth_init(&au, GOOD), 0);
    for (int i = 0; i < AUTH_FAILURES_MAX; i++) {
        assert_int_equal(admin_auth_check(&au, &bad, "Bearer no", 1000 + i, &retry_s), 401);
        assert_int_equal(admin_auth_check(&au, &v6, "Bearer no", 1000 + i, &retry_s), 401);
    }
    assert_int_equal(admin_auth_check(&au, &bad, "Bearer no", 2000, &retry_s), 429);
    assert_int_equal(retry_s, 59);
    assert_int_equal(admin_auth_check(&au, &v6_near, "Bearer no", 2000, &retry_s), 429);
    assert_int_equal(admin_auth_check(&au, &bad, "Bearer " GOOD, 2000, &retry_s), 200);
    assert_int_equal(admin_auth_check(&au, &other, "Bearer " GOOD, 2000, &retry_s), 200);
    assert_int_equal(admin_auth_check(&au, &other, NULL, 2000, &retry_s), 401);
    assert_int_equal(admin_auth_check(&au, &bad, "Bearer no", 60999, &retry_s), 429);
    assert_int_equal(admin_auth_check(&au, &bad, "Bearer no", 61001, &retry_s), 401);
    assert_int_equal(admin_auth_check(&au, &bad, "Bearer no", 61002, &retry_s), 401);
    admin_auth_free(&au);
}

static void the_table_of_guessers_is_bounded(void **state)
{
    static struct auth au;
    unsigned retry_s;

    (void)state;
    assert_int_equal(admin_auth_init(&au, GOOD), 0);
    for (uint32_t i = 0; i < 3 * AUTH_SOURCES; i++) {
        char host[32];
        struct addr a;

        (void)snprintf(host, sizeof(host), "10.0.%u.%u", i >> 8, i & 255);
        a = from(host);
        assert_int_equal(admin_auth_check(&au, &a, "Bearer no", 1000 + i, &retry_s), 401);
        assert_true(au.n <= AUTH_SOURCES);
    }
    admin_auth_free(&au);
}

/* --- who makes room --- */

static struct {
    struct admin a;
    int ours[ADMIN_CONNECTIONS]; /* the clients' ends; -1: none */
} crowd;

static int crowd_up(void **state)
{
    (void)state;
    memset(&crowd, 0, sizeof(crowd));
    clock_init_virtual(&crowd.a.clock, 1000, 1000);
    conns_init(&crowd.a);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        crowd.ours[i] = -1;
    }
    return 0;
}

static int crowd_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (crowd.ours[i] >= 0) {
            (void)close(crowd.ours[i]);
            (void)close(crowd.a.conns[i].fd);
        }
    }
    conns_free(&crowd.a);
    return 0;
}

/* As many more connections, each with a request; their clients showed the token or did not. */
static void join(size_t n, bool has_passed)
{
    for (; n != 0; n--) {
        size_t i = crowd.a.n_conns++;
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        crowd.ours[i] = ends[0];
        crowd.a.conns[i].fd = ends[1];
        conns_note_request(&crowd.a, &crowd.a.conns[i]);
        if (has_passed) {
            conns_note_passed(&crowd.a, &crowd.a.conns[i]);
        }
    }
}

static bool is_cut(size_t i)
{
    char c;

    return recv(crowd.ours[i], &c, 1, MSG_DONTWAIT) == 0;
}

/* How many of them were cut. */
static size_t n_cut(size_t from, size_t to)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++) {
        n += is_cut(i) ? 1 : 0;
    }
    return n;
}

static void one_comes(void)
{
    assert_int_equal(on_http_accept(&crowd.a, NULL, 0), MHD_YES);
}

static void a_request_in_work_makes_no_room_while_others_idle(void **state)
{
    (void)state;
    join(1, true); /* the oldest */
    clock_advance(&crowd.a.clock, 10);
    join(31, false);
    clock_advance(&crowd.a.clock, 999);
    one_comes();
    assert_int_equal(n_cut(0, 32), 0);
    clock_advance(&crowd.a.clock, 1);
    one_comes();
    assert_false(is_cut(0));
    assert_true(is_cut(1));
    assert_int_equal(n_cut(0, 32), 1);
    conns_note_done(&crowd.a, &crowd.a.conns[0]);
    clock_advance(&crowd.a.clock, 999);
    one_comes();
    assert_false(is_cut(0)); /* it idles since just now */
}

static void a_crowd_of_strangers_pushes_nobody_out_but_strangers(void **state)
{
    (void)state;
    join(8, true);
    clock_advance(&crowd.a.clock, 1);
    join(60, false);
    for (unsigned i = 0; i < 100; i++) {
        one_comes();
    }
    assert_int_equal(n_cut(0, 8), 0);
    assert_int_equal(n_cut(8, 68), 60);
}

static void an_answer_that_nobody_reads_makes_room_after_ten_seconds(void **state)
{
    (void)state;
    join(1, true);
    clock_advance(&crowd.a.clock, 1);
    join(63, true);
    clock_advance(&crowd.a.clock, 9998);
    one_comes();
    assert_int_equal(n_cut(0, 64), 0);
    clock_advance(&crowd.a.clock, 1);
    one_comes();
    assert_true(is_cut(0));
    assert_int_equal(n_cut(0, 64), 1);
}

#define CROWD(f) cmocka_unit_test_setup_teardown(f, crowd_up, crowd_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_and_wrong_ones_refused),
        cmocka_unit_test(each_month_of_a_year_has_its_days),
        cmocka_unit_test(members_are_spliced_but_the_skipped_ones),
        cmocka_unit_test_setup_teardown(a_missing_token_is_made_once, dir_up, dir_down),
        cmocka_unit_test_setup_teardown(a_token_that_others_read_or_that_is_none_is_refused, dir_up,
                                        dir_down),
        cmocka_unit_test(a_source_is_forgiven_after_a_while_and_others_are_not_hurt),
        cmocka_unit_test(the_table_of_guessers_is_bounded),
        CROWD(a_request_in_work_makes_no_room_while_others_idle),
        CROWD(a_crowd_of_strangers_pushes_nobody_out_but_strangers),
        CROWD(an_answer_that_nobody_reads_makes_room_after_ten_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
