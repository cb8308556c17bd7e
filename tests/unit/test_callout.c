/* test_callout.c - the thread that asks HTTP servers, against a server of this test's own: answers,
 * time limits, what is not understood, the circuit breaker; and how strictly answers are read. */
#include "callout/callout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a server that says one thing --- */

static struct {
    int fd;
    char url[64];
    pthread_t thread;
    const char *status; /* "200 OK" */
    const char *body;   /* NULL: it never answers */
    unsigned served;    /* by its thread; read after an answer came */
    char asked[4096];
} server;

static void serve(int fd)
{
    char text[8192];
    ssize_t n, have = 0;

    do { /* head and body come in one or two pieces; ours end with a brace */
        n = recv(fd, server.asked + have, sizeof(server.asked) - 1 - (size_t)have, 0);
        have += n > 0 ? n : 0;
        server.asked[have] = '\0';
    } while (n > 0 && strstr(server.asked, "\r\n\r\n{") == NULL);
    if (server.body == NULL) {
        (void)recv(fd, text, sizeof(text), 0); /* until the client gives up */
        return;
    }
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", server.status,
                 strlen(server.body));
    (void)send(fd, text, (size_t)n, MSG_NOSIGNAL);
    (void)send(fd, server.body, strlen(server.body), MSG_NOSIGNAL);
}

static void *server_main(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(server.fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        server.served++;
        serve(fd);
        (void)close(fd);
    }
}

static int server_up(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);

    (void)state;
    memset(&server, 0, sizeof(server));
    server.status = "200 OK";
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.fd < 0 || bind(server.fd, (struct sockaddr *)(void *)&at, n) != 0 ||
        listen(server.fd, 16) != 0 ||
        getsockname(server.fd, (struct sockaddr *)(void *)&at, &n) != 0) {
        return -1;
    }
    (void)snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%u/x", ntohs(at.sin_port));
    return pthread_create(&server.thread, NULL, server_main, NULL);
}

static int server_down(void **state)
{
    (void)state;
    (void)shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    return close(server.fd);
}

/* --- questions --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned n;
    uint64_t id;
    struct callout_answer a;
    char why[64];
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void on_answer(void *arg, const struct callout_ticket *ticket,
                      const struct callout_answer *a)
{
    assert_ptr_equal(arg, &heard);
    pthread_mutex_lock(&heard.lock);
    heard.n++;
    heard.id = ticket->id;
    heard.a = *a;
    (void)snprintf(heard.why, sizeof(heard.why), "%s", a->why != NULL ? a->why : "");
    pthread_cond_signal(&heard.cond);
    pthread_mutex_unlock(&heard.lock);
}

static struct callout_question question(uint64_t id)
{
    return (struct callout_question){.name = SL("lnp"),
                                     .url = sl_str(server.url),
                                     .timeout_ms = 20000,
                                     .pause_ms = 3600000,
                                     .failures = 2,
                                     .waiting = 8,
                                     .body = SL("{\"called\":\"1\"}"),
                                     .fn = on_answer,
                                     .arg = &heard,
                                     .ticket = {.id = id}};
}

static void ask_and_wait(struct callout *c, const struct callout_question *q)
{
    pthread_mutex_lock(&heard.lock);
    heard.n = 0;
    pthread_mutex_unlock(&heard.lock);
    assert_int_equal(callout_ask(c, q), 0);
    pthread_mutex_lock(&heard.lock);
    while (heard.n == 0) {
        pthread_cond_wait(&heard.cond, &heard.lock);
    }
    pthread_mutex_unlock(&heard.lock);
    assert_true(heard.id == q->ticket.id);
}

static void an_answer_comes_back_with_its_question(void **state)
{
    struct callout_question q = question(7);
    struct callout *c = NULL;

    (void)state;
    server.body = "{\"action\":\"route\",\"targets\":[\"pbx\",\"users\"]}";
    assert_int_equal(callout_new(&c), 0);
    ask_and_wait(c, &q);
    assert_int_equal(heard.a.result, CALLOUT_ROUTE);
    assert_int_equal(heard.a.n_targets, 2);
    assert_string_equal(heard.a.targets[1], "users");
    assert_non_null(strstr(server.asked, "POST /x HTTP/1.1\r\n"));
    assert_non_null(strstr(server.asked, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(server.asked, "\r\n\r\n{\"called\":\"1\"}"));
    callout_free(&c);
    assert_null(c);
}

static void what_is_not_an_answer_fails_with_its_reason(void **state)
{
    static char large[CALLOUT_BODY_MAX + 2];
    const struct {
        const char *status, *body, *why;
    } cases[] = {
        {"500 Oops", "{\"action\":\"continue\"}", "its status is not 200"},
        {"302 Found", "{\"action\":\"continue\"}", "its status is not 200"},
        {"200 OK", "hello", "the answer is not understood"},
        {"200 OK", large, "the answer is too long"},
    };

    (void)state;
    memset(large, ' ', sizeof(large) - 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct callout_question q = question(i);
        struct callout *c = NULL;

        server.status = cases[i].status;
        server.body = cases[i].body;
        assert_int_equal(callout_new(&c), 0);
        ask_and_wait(c, &q);
        assert_int_equal(heard.a.result, CALLOUT_FAILED);
        assert_string_equal(heard.why, cases[i].why);
        callout_free(&c);
    }
}

static void a_server_that_is_silent_costs_its_time_limit(void **state)
{
    struct callout_question q = question(1);
    struct callout *c = NULL;

    (void)state;
    q.timeout_ms = 50;
    assert_int_equal(callout_new(&c), 0);
    ask_and_wait(c, &q);
    assert_string_equal(heard.why, "no answer in time");
    q.url = SL("http://127.0.0.1:1/");
    q.timeout_ms = 20000;
    ask_and_wait(c, &q);
    assert_string_equal(heard.why, "no connection");
    q.name = SL("files");
    q.url = SL("file:///etc/passwd");
    ask_and_wait(c, &q);
    assert_int_equal(heard.a.result, CALLOUT_FAILED);
    callout_free(&c);
}

static void failures_in_a_row_open_the_circuit_of_that_server_alone(void **state)
{
    struct callout_question q = question(1), other = question(2);
    struct callout *c = NULL;

    (void)state;
    other.name = SL("other");
    server.status = "500 Oops";
    server.body = "";
    assert_int_equal(callout_new(&c), 0);
    ask_and_wait(c, &q);
    server.status = "200 OK";
    server.body = "{\"action\":\"continue\"}";
    ask_and_wait(c, &q); /* not in a row: counts from the start */
    assert_int_equal(heard.a.result, CALLOUT_CONTINUE);
    server.status = "500 Oops";
    ask_and_wait(c, &q);
    ask_and_wait(c, &q);
    assert_string_equal(heard.why, "its status is not 200");
    server.status = "200 OK";
    ask_and_wait(c, &q);
    assert_string_equal(heard.why, "the circuit is open");
    assert_int_equal(server.served, 4);
    ask_and_wait(c, &other);
    assert_int_equal(heard.a.result, CALLOUT_CONTINUE);
    callout_free(&c);
}

static void after_its_pause_one_question_tries(void **state)
{
    struct callout_question q = question(1);
    struct callout *c = NULL;

    (void)state;
    q.failures = 1;
    q.pause_ms = 1;
    server.status = "500 Oops";
    server.body = "{\"action\":\"continue\"}";
    assert_int_equal(callout_new(&c), 0);
    ask_and_wait(c, &q);
    server.status = "200 OK";
    do {
        ask_and_wait(c, &q);
    } while (heard.a.result == CALLOUT_FAILED && strcmp(heard.why, "the circuit is open") == 0);
    assert_int_equal(heard.a.result, CALLOUT_CONTINUE);
    callout_free(&c);
}

static void what_still_waits_at_the_end_is_never_answered(void **state)
{
    struct callout_question q = question(1);
    struct callout *c = NULL;

    (void)state;
    heard.n = 0;
    q.waiting = 1;
    assert_int_equal(callout_new(&c), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(callout_ask(c, &q), 0); /* one of them waits, the others are too many */
    }
    callout_free(&c);
    assert_true(heard.n <= 3);
    assert_int_equal(
        callout_ask(NULL, &(struct callout_question){.body = {"", CALLOUT_BODY_MAX + 1}}),
        EMSGSIZE);
}

static void answers_are_read_strictly(void **state)
{
    static const char *const good[] = {
        "{\"action\":\"continue\"}",
        " {\"action\":\"refuse\",\"status\":404}\n",
        "{\"action\":\"refuse\",\"reason\":\"Gone away\",\"status\":699}",
        "{\"action\":\"route\",\"targets\":[\"a\"]}",
        "{\"action\":\"route\",\"targets\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}",
    };
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"action\":\"Continue\"}",
        "{\"action\":\"continue\",\"x\":1}",
        "{\"action\":\"continue\",\"action\":\"continue\"}",
        "{\"action\":\"continue\"} {}",
        "{\"action\":\"refuse\"}",
        "{\"action\":\"refuse\",\"status\":399}",
        "{\"action\":\"refuse\",\"status\":700}",
        "{\"action\":\"refuse\",\"status\":\"404\"}",
        "{\"action\":\"refuse\",\"status\":404.5}",
        "{\"action\":\"refuse\",\"status\":404,\"reason\":\"\"}",
        "{\"action\":\"refuse\",\"status\":404,\"reason\":\"a\\r\\nVia: x\"}",
        "{\"action\":\"refuse\",\"status\":404,\"reason\":\"a\\u0000b\"}",
        "{\"action\":\"refuse\",\"status\":404,\"targets\":[\"a\"]}",
        "{\"action\":\"route\"}",
        "{\"action\":\"route\",\"targets\":[]}",
        "{\"action\":\"route\",\"targets\":\"a\"}",
        "{\"action\":\"route\",\"targets\":[1]}",
        "{\"action\":\"route\",\"targets\":[\"\"]}",
        "{\"action\":\"route\",\"targets\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]"
        "}",
        "{\"action\":\"route\",\"targets\":["
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaa\"]}",
    };
    struct callout_answer a;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(callout_answer_read(sl_str(good[i]), &a), 0);
    }
    assert_int_equal(a.n_targets, 8);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (callout_answer_read(sl_str(bad[i]), &a) != EBADMSG || a.result != CALLOUT_FAILED) {
            fail_msg("%s", bad[i]);
        }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, server_up, server_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_answer_comes_back_with_its_question),
        T(what_is_not_an_answer_fails_with_its_reason),
        T(a_server_that_is_silent_costs_its_time_limit),
        T(failures_in_a_row_open_the_circuit_of_that_server_alone),
        T(after_its_pause_one_question_tries),
        T(what_still_waits_at_the_end_is_never_answered),
        cmocka_unit_test(answers_are_read_strictly),
    };

    log_setup(LOG_ERROR, true, "test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
