/* The admin API as a server: tokens, methods, sizes, names of requests, sockets, many at once. */
#include "admin-http/admin_int.h"
#include "admin_rig.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

static int rig_up(void **state)
{
    (void)state;
    return rig_prepare() != 0 ? -1 : rig_start("127.0.0.1");
}

static int rig_up_unix(void **state)
{
    (void)state;
    return rig_prepare() != 0 ? -1 : rig_start(NULL);
}

static int rig_up_everywhere(void **state)
{
    (void)state;
    return rig_prepare() != 0 ? -1 : rig_start("0.0.0.0");
}

static bool has_header(const char *line)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "\r\n%s\r\n", line);
    return strstr(rig.head, text) != NULL;
}

static void a_request_without_the_token_is_refused(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        {"", 401},
        {"Authorization: Bearer\r\n", 401},
        {"Authorization: Basic " TOKEN "\r\n", 401},
        {"Authorization: " TOKEN "\r\n", 401},
        {"Authorization: Bearer " TOKEN "x\r\n", 401},
        {"Authorization: Bearer postern_test_token_012345678\r\n", 401},
        {"Authorization: Bearer qostern_test_token_0123456789\r\n", 401},
        {"Authorization: bearer   " TOKEN "  \r\n", 200},
        {WITH_TOKEN, 200},
    };
    static const char *const targets[] = {"/v1/calls", "/v1/nothing", "/", "/v1/system?x=1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(ask("GET", "/v1/calls", rows[i].headers), rows[i].status);
        assert_int_equal(has_header("WWW-Authenticate: Bearer realm=\"postern\""),
                         rows[i].status == 401);
    }
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        assert_int_equal(ask("GET", targets[i], ""), 401); /* tells nothing about what exists */
    }
    assert_int_equal(ask("DELETE", "/v1/calls/0000000000001", ""), 401);
    assert_true(rig.hung_up == 0);
}

static void guessing_the_token_is_stopped(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(ask("GET", "/v1/calls", ""), 401); /* no token is no guess */
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask("GET", "/v1/calls", "Authorization: Bearer wrong\r\n"), 401);
    }
    assert_int_equal(ask("GET", "/v1/calls", "Authorization: Bearer wrong\r\n"), 429);
    assert_non_null(strstr(rig.head, "\r\nRetry-After: "));
    assert_int_equal(get("/v1/calls"), 200); /* the right token is no guess */
    assert_int_equal(ask("GET", "/healthz", ""), 200);
}

static void every_answer_has_its_headers(void **state)
{
    (void)state;
    assert_int_equal(get("/v1/calls"), 200);
    assert_true(has_header("Content-Type: application/json"));
    assert_true(has_header("Cache-Control: no-store"));
    assert_true(has_header("X-Content-Type-Options: nosniff"));
    assert_non_null(strstr(rig.head, "\r\nX-Request-Id: "));
    assert_int_equal(ask("GET", "/v1/none", WITH_TOKEN "X-Request-Id: abc-1_2.Z\r\n"), 404);
    assert_true(has_header("Content-Type: application/problem+json"));
    assert_true(has_header("X-Request-Id: abc-1_2.Z"));
    assert_string_equal(rig.body, "{\"type\":\"urn:postern:problem:not-found\",\"title\":\"Not "
                                  "Found\",\"status\":404,\"detail\":\"no such resource; GET /v1 "
                                  "lists what there is\",\"instance\":\"/v1/none\","
                                  "\"request_id\":\"abc-1_2.Z\"}");
    assert_int_equal(ask("GET", "/v1/\"<\xff>", WITH_TOKEN "X-Request-Id: a b\r\n"), 404);
    assert_false(has_header("X-Request-Id: a b"));
    assert_string_equal(json_at("$.instance"), "/v1/\"<\xEF\xBF\xBD>");
}

static void methods_and_paths_are_told_apart(void **state)
{
    static const struct {
        const char *method, *target;
        int status;
        const char *allow;
    } rows[] = {
        {"POST", "/v1/calls", 405, "Allow: GET, HEAD"},
        {"OPTIONS", "/v1/calls", 405, "Allow: GET, HEAD"},
        {"DELETE", "/v1/calls", 405, "Allow: GET, HEAD"},
        {"PUT", "/v1/calls/0000000000001", 405, "Allow: GET, HEAD, DELETE"},
        {"get", "/v1/calls", 405, "Allow: GET, HEAD"},
        {"BREW", "/v1/system", 405, "Allow: GET, HEAD"},
        {"GET", "/v1/calls/", 404, NULL},
        {"GET", "/v1/calls/1/2", 404, NULL},
        {"GET", "/v1/calls/1/ladder/", 404, NULL},
        {"GET", "/v1/callsx", 404, NULL},
        {"GET", "/v2/calls", 404, NULL},
        {"GET", "//v1/calls", 404, NULL},
        {"GET", "/v1/../v1/calls", 404, NULL},
        {"POST", "/v1/none", 404, NULL},
        {"GET", "/v1/%63alls", 200, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(ask(rows[i].method, rows[i].target, WITH_TOKEN), rows[i].status);
        assert_int_equal(rows[i].allow != NULL, strstr(rig.head, "\r\nAllow:") != NULL);
        assert_true(rows[i].allow == NULL || has_header(rows[i].allow));
        check_json();
    }
}

static void head_is_get_without_the_body(void **state)
{
    char length[64];

    (void)state;
    assert_int_equal(get("/v1/system"), 200);
    (void)snprintf(length, sizeof(length), "Content-Length: %zu", rig.body_n);
    assert_int_equal(ask("HEAD", "/v1/system", WITH_TOKEN), 200);
    assert_int_equal(rig.body_n, 0);
    assert_true(has_header(length));
    assert_int_equal(ask("HEAD", "/v1/none", WITH_TOKEN), 404);
    assert_int_equal(rig.body_n, 0);
}

/* Sends `head`, then n bytes of a body as far as they are taken. */
static int ask_with_body(const char *head, size_t n)
{
    static char zeros[1 << 16];
    int fd = rig_connect();

    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
    memset(zeros, 'a', sizeof(zeros));
    while (n != 0) {
        size_t part = n < sizeof(zeros) ? n : sizeof(zeros);
        ssize_t sent = send(fd, zeros, part, MSG_NOSIGNAL);

        n = sent > 0 ? n - (size_t)sent : 0;
    }
    rig_read(fd);
    return rig.status;
}

#define DELETE_HEAD "DELETE /v1/calls/0000000000001 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

static void bodies_have_a_limit(void **state)
{
    (void)state;
    rig.live_id = 1;
    assert_int_equal(ask_with_body(DELETE_HEAD WITH_TOKEN "Content-Length: 65536\r\n\r\n", 65536),
                     202);
    assert_int_equal(ask_with_body(DELETE_HEAD WITH_TOKEN "Content-Length: 65537\r\n\r\n", 0), 413);
    check_json();
    assert_int_equal(ask_with_body(DELETE_HEAD "Content-Length: 99999999\r\n\r\n", 0), 401);
    assert_int_equal(ask_with_body(DELETE_HEAD WITH_TOKEN
                                   "Transfer-Encoding: chunked\r\n\r\n400000\r\n",
                                   0x400000),
                     0); /* not even read to its end */
}

static void addresses_have_a_limit(void **state)
{
    char target[6000];

    (void)state;
    memset(target, 'a', sizeof(target));
    memcpy(target, "/v1/", 4);
    target[4000] = '\0';
    assert_int_equal(get(target), 404);
    target[4000] = 'a';
    target[4200] = '\0';
    assert_int_equal(get(target), 414);
    check_json();
    memcpy(target, "/v1/calls?x=", 12);
    assert_int_equal(get(target), 414);
    memset(target, '&', sizeof(target));
    memcpy(target, "/v1/calls?", 10);
    target[100] = '\0';
    assert_int_equal(get(target), 400);
}

/* RFC 9112 6.3: whoever forwards such a request may see its end somewhere else. */
static void a_request_with_two_ends_is_refused_and_the_connection_closed(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        {"Content-Length: 5\r\nContent-Length: 43\r\n", 400},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 400},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 501},
        {"Transfer-Encoding: gzip, chunked\r\n", 501},
        {"Transfer-Encoding:\r\n", 501},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        const char *at = rig.body;
        int n;

        n = snprintf(text, sizeof(text),
                     "POST /v1/explain HTTP/1.1\r\nHost: localhost\r\n" WITH_TOKEN "%s\r\nhello"
                     "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     rows[i].headers);
        assert_true(n > 0 && (size_t)n < sizeof(text));
        assert_int_equal(ask_with_body(text, 0), rows[i].status);
        assert_true(has_header("Connection: close"));
        check_json(); /* one answer, and nothing behind it */
        at = rig.body;
        assert_null(strstr(at, "HTTP/1.1"));
    }
}

static void a_whole_address_is_asked_as_its_path_is(void **state)
{
    (void)state;
    assert_int_equal(get("http://localhost:8080/v1/calls?limit=1"), 200);
    assert_int_equal(get("HTTP://localhost/v1/none"), 404);
    assert_string_equal(json_at("$.instance"), "/v1/none");
    assert_int_equal(get("http://localhost"), 200);
    assert_int_equal(get("ftp://localhost/v1/calls"), 404);
}

/* A page in a browser may have its own name lead here, but has no token. */
static void what_needs_no_token_needs_a_name_of_this_machine(void **state)
{
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"127.0.0.1", 200},
        {"127.0.0.1:8080", 200},
        {"[::1]:8080", 200},
        {"localhost", 200},
        {"LocalHost:8080", 200},
        {"localhost.", 200},
        {"localhost.:8080", 200},
        {"ip6-localhost", 200},
        {"ip6-localhost:8080", 200},
        {"localhost..", 401},
        {".", 401},
        {"ip6-localhost.evil.example", 401},
        {"evil.example", 401},
        {"evil.example:8080", 401},
        {"localhost.evil.example", 401},
        {"127.0.0.1.evil.example", 401},
    };
    static const char *const targets[] = {"/healthz", "/readyz", "/metrics"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t k = 0; k < COUNT_OF(targets); k++) {
            char text[512];

            (void)snprintf(text, sizeof(text),
                           "GET %s HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n", targets[k],
                           rows[i].host);
            assert_int_equal(ask_with_body(text, 0), rows[i].status);
        }
    }
    assert_int_equal(ask_with_body("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n" WITH_TOKEN
                                   "Connection: close\r\n\r\n",
                                   0),
                     200);
    assert_int_equal(ask_with_body("GET /healthz HTTP/1.0\r\n\r\n", 0), 200);
}

static void a_body_that_nobody_reads_is_of_no_type_wanted(void **state)
{
    (void)state;
    rig.live_id = 4;
    assert_int_equal(ask_with_body("POST /v1/calls/0000000000004/rekey HTTP/1.1\r\nHost: x\r\n"
                                   "Connection: close\r\nContent-Length: 1\r\n" WITH_TOKEN "\r\n",
                                   1),
                     415);
    assert_string_equal(json_at("$.title"), "Unsupported Media Type");
    assert_int_equal(rig.rekeyed, 0);
}

/* Who changes something, or tries to with the token, is in the log; the token is not. */
static void what_changes_something_is_logged_also_when_it_is_refused(void **state)
{
    static const struct {
        const char *method, *target, *headers, *want;
    } rows[] = {
        {"DELETE", "/v1/calls/0000000000004", WITH_TOKEN, "DELETE /v1/calls/0000000000004"},
        {"DELETE", "/v1/calls/0000000000009", WITH_TOKEN, "DELETE /v1/calls/0000000000009"},
        {"DELETE", "/v1/calls/0000000000004", "", NULL},
        {"GET", "/v1/calls", WITH_TOKEN, NULL},
    };

    (void)state;
    rig.live_id = 4;
    log_setup(LOG_INFO, true, "test");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[4096] = "";
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        log_set_fd(ends[1]);
        (void)ask(rows[i].method, rows[i].target, rows[i].headers);
        log_set_fd(1);
        (void)close(ends[1]);
        assert_true(read(ends[0], text, sizeof(text) - 1) >= 0);
        (void)close(ends[0]);
        assert_true(rows[i].want == NULL || strstr(text, rows[i].want) != NULL);
        assert_int_equal(strstr(text, "admin: DELETE") != NULL, rows[i].want != NULL);
        assert_null(strstr(text, TOKEN));
    }
    log_setup(LOG_ERROR, true, "test");
}

/* Whoever opens connections and says nothing is pushed out by whoever asks. */
static void silent_connections_keep_nobody_out(void **state)
{
    int fds[300];
    int status = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        ssize_t n;

        fds[i] = rig_connect();
        n = send(fds[i], "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL);
        (void)n; /* it may be pushed out already */
    }
    for (int i = 0; i < 200 && status != 200; i++) { /* they have a second each */
        (void)poll(NULL, 0, 20);
        status = ask_with_body("GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\n\r\n",
                               0);
    }
    assert_int_equal(status, 200);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(get("/v1/calls"), 200);
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        (void)close(fds[i]);
    }
}

static int n_passed(void)
{
    int n = 0;

    (void)pthread_mutex_lock(&rig.admin->conns_lock);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        const struct conn_slot *slot = &rig.admin->conns[i];

        n += slot->fd >= 0 && atomic_load(&slot->has_passed) ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&rig.admin->conns_lock);
    return n;
}

/* Within a bounded time: the server's threads get to it when they may. */
static bool passed_become(int n)
{
    for (int i = 0; i < 30000 && n_passed() != n; i++) {
        (void)poll(NULL, 0, 1);
    }
    return n_passed() == n;
}

static atomic_int seen_passed;

static void look_who_passed(void)
{
    atomic_store(&seen_passed, n_passed());
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Only who may be answered is spared when room is made, and only until he has been. */
static void who_may_be_answered_is_noted_until_it_is_done(void **state)
{
    int fd = rig_connect();
    char answer[4096];

    (void)state;
    rig.on_asked = look_who_passed;
    say(fd, "GET /v1/system HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN "\r\n");
    assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
    assert_int_equal(atomic_load(&seen_passed), 1);
    assert_true(passed_become(0)); /* and the connection stays */
    say(fd, "POST /v1/explain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n" WITH_TOKEN "\r\n{");
    assert_true(passed_become(1)); /* the rest of the body may take its time */
    (void)close(fd);
    assert_true(passed_become(0));
    atomic_store(&seen_passed, 0);
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    assert_int_equal(atomic_load(&seen_passed), 1);
    atomic_store(&seen_passed, 0);
    assert_int_equal(ask("GET", "/v1/system", ""), 401);
    assert_int_equal(atomic_load(&seen_passed), 0);
}

/* Some of it could still become a request, so the server waits: nobody else may notice. */
static void rubbish_hurts_nobody_else(void **state)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n\r\n", "GET\r\n\r\n",
        "GET / HT",         "INVITE sip:x SIP/2.0\r\nVia: x\r\n\r\n",
        "\x16\x03\x01\x02", "GET / HTTP/1.1\r\nA: b\r\n"};
    int fds[COUNT_OF(texts)], many = rig_connect();
    char names[6000];

    (void)state;
    (void)snprintf(names, sizeof(names), "GET /?%05000d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    memset(names + 6, '&', 5000); /* more names than a connection has memory for */
    assert_true(send(many, names, strlen(names), MSG_NOSIGNAL) > 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        fds[i] = rig_connect();
        assert_true(send(fds[i], texts[i], strlen(texts[i]), MSG_NOSIGNAL) > 0);
    }
    assert_int_equal(get("/v1/calls"), 200);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        (void)close(fds[i]);
    }
    (void)close(many);
    assert_int_equal(ask_with_body("GET /v1/calls HTTP/1.1\r\nConnection: close\r\n\r\n", 0), 400);
    assert_int_equal(get("/v1/calls"), 200);
}

/* The server's blocks are as many as before, within a bounded time: it sees an end when it may. */
static bool nothing_is_left(int64_t blocks)
{
    for (int i = 0; i < 30000 && mem_live() > blocks; i++) {
        (void)poll(NULL, 0, 1);
    }
    return mem_live() <= blocks;
}

/* Until the server has something of it, if it ever will: with the end at hand already when it reads
 * for the first time, the library looks for the end only after its time limit. */
static void until_begun(int64_t blocks)
{
    for (int i = 0; i < 200 && mem_live() <= blocks; i++) {
        (void)poll(NULL, 0, 1);
    }
}

/* The library says that a request begins and, where it answers for itself, not that it is over:
 * what it began with goes with its connection, whoever ends that, and when. */
static void a_request_that_ends_early_leaves_nothing(void **state)
{
    static char many[6000];
    const char *const texts[] = {
        many, /* more names than a connection has memory for */
        "GET /v1/calls HTTP/1.1\r\n",
        "GET /v1/calls HTTP/1.1\r\nHost: x\r\nAuthoriz",
        "GET /v1/calls HTTP/1.1\r\nConnection: close\r\n\r\n", /* refused by the library */
        "POST /v1/explain HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        "POST /v1/explain HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN "Content-Length: 100\r\n\r\n",
        "POST /v1/explain HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN "Content-Length: 100\r\n\r\n{\"a",
        "POST /v1/explain HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN
        "Transfer-Encoding: chunked\r\n\r\n20\r\n{\"a",
        "POST /v1/explain HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN
        "Transfer-Encoding: chunked\r\n\r\nnone\r\n",
    };
    int64_t blocks;

    (void)state;
    (void)snprintf(many, sizeof(many), "GET /?%05000d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    memset(many + 6, '&', 5000);
    assert_int_equal(get("/v1/calls"), 200);
    rig_forget();
    blocks = mem_live();
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (int whole = 0; whole < 2; whole++) { /* we are gone, or listen to what it says */
            int fd = rig_connect();

            assert_int_equal(send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL), strlen(texts[i]));
            until_begun(blocks);
            if (whole) {
                assert_int_equal(shutdown(fd, SHUT_WR), 0);
                rig_read(fd);
                rig_forget();
            } else {
                (void)close(fd);
            }
            assert_true(nothing_is_left(blocks));
        }
    }
}

static void a_listener_for_all_wants_the_token_for_metrics_too(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/metrics", ""), 401);
    assert_int_equal(ask("GET", "/readyz", ""), 401);
    assert_int_equal(get("/metrics"), 200);
}

static void a_unix_socket_is_for_its_group_and_leaves_no_file(void **state)
{
    struct stat st;
    struct admin_params p = {.token = TOKEN, .store_path = rig.db, .unix_path = rig.unix_path};
    struct admin *other = NULL;

    (void)state;
    assert_int_equal(admin_port(rig.admin), 0);
    assert_int_equal(stat(rig.unix_path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(get("/v1/calls"), 200);
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    log_setup(LOG_ERROR, true, "test");
    log_set_fd(-1);
    assert_int_equal(admin_start(&other, &p), EADDRINUSE);
    log_set_fd(1);
    admin_stop(&rig.admin);
    assert_int_equal(stat(rig.unix_path, &st), -1);
}

static void a_socket_file_that_a_crash_left_is_taken_over(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct admin_params p = {.token = TOKEN, .store_path = rig.db, .unix_path = rig.unix_path};
    FILE *f;

    (void)state;
    admin_stop(&rig.admin);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", rig.unix_path);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&un, sizeof(un)), 0);
    (void)close(fd);
    assert_int_equal(admin_start(&rig.admin, &p), 0);
    assert_int_equal(get("/v1/calls"), 200);
    admin_stop(&rig.admin);
    f = fopen(rig.unix_path, "w"); /* another kind of file is not ours to remove */
    assert_non_null(f);
    (void)fclose(f);
    log_set_fd(-1);
    assert_int_equal(admin_start(&rig.admin, &p), EEXIST);
    log_set_fd(1);
    assert_int_equal(unlink(rig.unix_path), 0);
}

static void a_start_without_token_or_address_is_refused(void **state)
{
    struct admin *a = NULL;
    struct admin_params p = {.token = TOKEN, .store_path = "x"};

    (void)state;
    assert_int_equal(admin_start(&a, &p), EINVAL);
    p.unix_path = "x";
    p.token = NULL;
    assert_int_equal(admin_start(&a, &p), EINVAL);
    p.token = "short";
    assert_int_equal(admin_start(&a, &p), EINVAL);
    assert_null(a);
    admin_stop(&a);
}

static void without_the_database_the_answer_is_503(void **state)
{
    (void)state;
    assert_int_equal(store_close(&rig.store, 5000), 0);
    assert_int_equal(unlink(rig.db), 0);
    assert_int_equal(get("/v1/calls"), 503);
    assert_int_equal(get("/v1/calls/0000000000001"), 503);
    assert_int_equal(get("/v1/registrations"), 503);
    assert_int_equal(ask("POST", "/v1/explain?call=0000000000001", WITH_TOKEN), 503);
    assert_int_equal(get("/v1/config/versions/1"), 503);
    assert_int_equal(ask("GET", "/readyz", ""), 503);
    assert_string_equal(json_at("$.why"), "the database cannot be read");
    assert_true(has_header("Retry-After: 1"));
}

#define CLIENTS 4
#define ASKS 25

struct client {
    pthread_t thread;
    int fd;
    size_t good;
};

static void *ask_often(void *arg)
{
    static const char text[] = "GET /v1/calls HTTP/1.1\r\nHost: x\r\n" WITH_TOKEN "\r\n";
    struct client *c = arg;
    char answer[4096];

    for (int i = 0; i < ASKS; i++) { /* on one connection, which is kept */
        ssize_t n;

        if (send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(text) - 1) {
            break;
        }
        n = recv(c->fd, answer, sizeof(answer), 0);
        c->good += n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
    }
    (void)close(c->fd);
    return NULL;
}

/* Nothing is asserted while the clients run: a test that ends early would take the server away. */
static void many_clients_are_served_while_calls_are_written(void **state)
{
    struct client c[CLIENTS];
    int err = 0;

    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        c[i] = (struct client){.fd = rig_connect()};
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&c[i].thread, NULL, ask_often, &c[i]), 0);
    }
    for (uint64_t id = 1; id < 500; id++) {
        struct store_call call = {.id = 1 + id % 3, .start_ms = 1, .state = STORE_CALL_RINGING};
        int e = store_put_call(rig.store, &call);

        err = e != 0 ? e : err;
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)pthread_join(c[i].thread, NULL);
    }
    assert_int_equal(err, 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(c[i].good, ASKS);
    }
}

/* The library crashes when it refuses a request itself while it is being stopped; so the requests
 * are refused before. Many rounds, since it takes luck. */
static void stopping_ends_whatever_is_open_at_once(void **state)
{
    static const char *const texts[] = {"",
                                        "GET / HT",
                                        "GET / HTTP/1.1\r\nA",
                                        "GET\r\n\r\n",
                                        "GET / HTTP/1.1\r\n\r\n",
                                        "\x16\x03\x01\r\n\r\n",
                                        "INVITE sip:x SIP/2.0\r\nVia: x\r\n\r\n"};
    struct admin_params p = {.token = TOKEN, .store_path = rig.db};
    struct clock clock;
    int64_t start_ms;

    (void)state;
    assert_int_equal(addr_parse(SL("127.0.0.1"), 0, &p.listen), 0);
    clock_init_real(&clock);
    for (int round = 0; round < 20; round++) {
        int fds[COUNT_OF(texts)];

        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            fds[i] = rig_connect();
            assert_int_equal(send(fds[i], texts[i], strlen(texts[i]), MSG_NOSIGNAL),
                             strlen(texts[i]));
        }
        start_ms = clock_now_ms(&clock);
        admin_stop(&rig.admin);
        assert_true(clock_now_ms(&clock) - start_ms < 8000);
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            (void)close(fds[i]);
        }
        assert_int_equal(admin_start(&rig.admin, &p), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_without_the_token_is_refused),
        TEST(guessing_the_token_is_stopped),
        TEST(every_answer_has_its_headers),
        TEST(methods_and_paths_are_told_apart),
        TEST(head_is_get_without_the_body),
        TEST(bodies_have_a_limit),
        TEST(addresses_have_a_limit),
        TEST(a_request_with_two_ends_is_refused_and_the_connection_closed),
        TEST(a_whole_address_is_asked_as_its_path_is),
        TEST(what_needs_no_token_needs_a_name_of_this_machine),
        TEST(a_body_that_nobody_reads_is_of_no_type_wanted),
        TEST(what_changes_something_is_logged_also_when_it_is_refused),
        TEST(silent_connections_keep_nobody_out),
        TEST(who_may_be_answered_is_noted_until_it_is_done),
        TEST(rubbish_hurts_nobody_else),
        TEST(a_request_that_ends_early_leaves_nothing),
        TEST(without_the_database_the_answer_is_503),
        TEST(many_clients_are_served_while_calls_are_written),
        TEST(stopping_ends_whatever_is_open_at_once),
        cmocka_unit_test_setup_teardown(a_listener_for_all_wants_the_token_for_metrics_too,
                                        rig_up_everywhere, rig_down),
        cmocka_unit_test_setup_teardown(a_unix_socket_is_for_its_group_and_leaves_no_file,
                                        rig_up_unix, rig_down),
        cmocka_unit_test_setup_teardown(a_socket_file_that_a_crash_left_is_taken_over, rig_up_unix,
                                        rig_down),
        cmocka_unit_test(a_start_without_token_or_address_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
