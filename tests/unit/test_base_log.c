/* Log lines and counters, also from several threads at once. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4
#define COUNTS 20000

static int log_fds[2]; /* [0] is read by the tests; datagrams show that a line is one write */

static int log_up(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, log_fds) != 0) {
        return -1;
    }
    (void)unsetenv("JOURNAL_STREAM");
    log_setup(LOG_INFO, true, "sbc-1");
    log_set_fd(log_fds[1]);
    stat_reset();
    return 0;
}

static int log_down(void **state)
{
    (void)state;
    log_set_fd(1);
    (void)close(log_fds[0]);
    (void)close(log_fds[1]);
    return 0;
}

static const char *read_line(char *dst, size_t cap) /* "" when there is none */
{
    ssize_t n = read(log_fds[0], dst, cap - 1);

    dst[n > 0 ? n : 0] = '\0';
    return dst;
}

static const char *read_after_time(char *dst, size_t cap, size_t skip)
{
    (void)read_line(dst, cap);
    assert_true(strlen(dst) > skip);
    return dst + skip;
}

#define JSON_TIME_LEN (sizeof("{\"ts\":\"2026-11-21T06:48:17.123Z\"") - 1)
#define TEXT_TIME_LEN (sizeof("2026-11-21T06:48:17.123Z ") - 1)

static const struct log_ctx call_ctx = {.kind = "call", .id = "8f21"};
static const struct log_ctx leg_ctx = {.kind = "leg", .id = "b\"\n", .up = &call_ctx};

static void a_line_is_one_json_object_with_its_context(void **state)
{
    char line[12000];

    (void)state;
    log_info(&leg_ctx, "180 after %d, \"ignored\"\n", 200);
    assert_string_equal(read_after_time(line, sizeof(line), JSON_TIME_LEN),
                        ",\"level\":\"info\",\"msg\":\"180 after 200, \\\"ignored\\\"\\n\","
                        "\"call\":\"8f21\",\"leg\":\"b\\\"\\n\",\"node\":\"sbc-1\"}\n");
    assert_memory_equal(line, "{\"ts\":\"20", 9);
}

static void text_lines_cannot_be_forged_by_what_is_in_them(void **state)
{
    char line[12000];

    (void)state;
    log_setup(LOG_INFO, false, NULL);
    log_warn(&leg_ctx, "a\nb\x1b[31m");
    assert_string_equal(read_after_time(line, sizeof(line), TEXT_TIME_LEN),
                        "warn  call=8f21 leg=b\"\\x0a a\\x0ab\\x1b[31m\n");
}

static void journald_gets_the_priority_first(void **state)
{
    char line[12000];

    (void)state;
    (void)setenv("JOURNAL_STREAM", "8:1", 1);
    log_setup(LOG_INFO, true, "x");
    (void)unsetenv("JOURNAL_STREAM");
    log_error(NULL, "e");
    assert_memory_equal(read_line(line, sizeof(line)), "<3>{\"ts\"", 8);
    log_info(NULL, "i");
    assert_memory_equal(read_line(line, sizeof(line)), "<6>{\"ts\"", 8);
}

static void levels_are_filtered_and_can_change(void **state)
{
    char line[12000];

    (void)state;
    log_debug(NULL, "hidden");
    assert_string_equal(read_line(line, sizeof(line)), "");
    log_set_level(LOG_DEBUG);
    log_debug(NULL, "shown");
    assert_non_null(strstr(read_line(line, sizeof(line)), "shown"));
    log_set_level(LOG_ERROR);
    assert_false(log_enabled(LOG_WARN));
    assert_true(log_enabled(LOG_ERROR));
}

static int flood(struct log_site *site) /* returns how many of 100 lines came through */
{
    char line[12000];
    int lines = 0;

    for (int i = 0; i < 100; i++) {
        log_line(site, LOG_INFO, NULL, "flood %d", i);
        while (read_line(line, sizeof(line))[0] != '\0') {
            lines++;
        }
    }
    return lines;
}

static void a_flood_is_cut_counted_and_told(void **state)
{
    struct log_site site;
    struct clock real;
    char line[12000];
    int64_t second;
    int lines;

    (void)state;
    clock_init_real(&real);
    do { /* once more when a second ended meanwhile */
        site = (struct log_site){0};
        stat_reset();
        second = clock_now_ms(&real) / 1000;
        lines = flood(&site);
    } while (clock_now_ms(&real) / 1000 != second);
    assert_int_equal(lines, 20);
    assert_int_equal(stat_sum(STAT_LOG_DROPPED), 80);
    site.window_s--; /* as if the second were over */
    log_line(&site, LOG_INFO, NULL, "after");
    assert_non_null(strstr(read_line(line, sizeof(line)), "\"suppressed\":80}"));
    log_line(&site, LOG_INFO, NULL, "told once");
    assert_null(strstr(read_line(line, sizeof(line)), "suppressed"));
}

static void the_longest_line_is_still_whole(void **state)
{
    struct log_ctx chain[3]; /* call, leg, tx: it gets no deeper */
    char big[3000], line[12000];

    (void)state;
    memset(big, 1, sizeof(big) - 1); /* each byte becomes six */
    big[sizeof(big) - 1] = '\0';
    for (size_t i = 0; i < COUNT_OF(chain); i++) {
        chain[i] = (struct log_ctx){.kind = "ctx", .up = i != 0 ? &chain[i - 1] : NULL};
        memset(chain[i].id, 1, sizeof(chain[i].id)); /* not even terminated */
    }
    log_setup(LOG_INFO, true, big);
    log_info(&chain[2], "%s", big);
    (void)read_line(line, sizeof(line));
    assert_true(strlen(line) > 3500);
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
}

/* A reader that stopped reading must not stop whoever logs. */
static void a_full_pipe_loses_the_line_and_blocks_nobody(void **state)
{
    uint64_t dropped = stat_sum(STAT_LOG_DROPPED);
    char junk[4096] = {0};
    int fd[2];

    (void)state;
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    while (write(fd[1], junk, sizeof(junk)) > 0) {
    }
    assert_int_equal(fcntl(fd[1], F_SETFL, 0), 0); /* blocking, as standard output is */
    log_set_fd(fd[1]);
    log_info(NULL, "nobody reads this");
    assert_int_equal(stat_sum(STAT_LOG_DROPPED), dropped + 1);
    while (read(fd[0], junk, sizeof(junk)) > 0) {
    }
    log_info(NULL, "but this");
    assert_true(read(fd[0], junk, sizeof(junk)) > 0);
    assert_int_equal(close(fd[0]) | close(fd[1]), 0);
}

static void peer_bytes_are_escaped_and_cut(void **state)
{
    char dst[LOG_ESC_MAX * 4 + 4], want[LOG_ESC_MAX * 4 + 4];
    static char evil[LOG_ESC_MAX + 1];

    (void)state;
    assert_string_equal(LOG_ESC(SL("a b\"c\\\r\n\x80")), "a b\\x22c\\x5c\\x0d\\x0a\\x80");
    assert_string_equal(log_esc(SL_NULL, dst), "");
    memset(evil, 0xff, sizeof(evil));
    for (size_t i = 0; i < LOG_ESC_MAX; i++) {
        memcpy(want + 4 * i, "\\xff", 5);
    }
    assert_string_equal(log_esc(sl_make(evil, LOG_ESC_MAX), dst), want);
    memcpy(want + (size_t)LOG_ESC_MAX * 4, "...", 4);
    assert_string_equal(log_esc(sl_make(evil, LOG_ESC_MAX + 1), dst), want);
}

static void errno_survives_a_log_line(void **state)
{
    (void)state;
    log_set_fd(-1);
    errno = ENOENT;
    log_info(NULL, "nowhere to go");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(stat_sum(STAT_LOG_DROPPED), 1);
}

static void *count_much(void *arg)
{
    if (arg != NULL) {
        assert_int_equal(stat_thread_init(), 0);
        assert_int_equal(stat_thread_init(), 0);
    }
    for (int i = 0; i < COUNTS; i++) {
        stat_inc(STAT_SIP_RX);
        stat_add(STAT_RTP_RX, 2);
    }
    log_info(NULL, "thread done");
    return NULL;
}

static void run_threads(void *arg)
{
    pthread_t t[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, count_much, arg), 0);
    }
    while (stat_sum(STAT_SIP_RX) < COUNTS / 2) { /* summing while others count */
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
}

static void counters_add_up_over_threads_with_and_without_blocks(void **state)
{
    (void)state;
    run_threads(state);
    assert_int_equal(stat_sum(STAT_SIP_RX), THREADS * COUNTS);
    stat_reset();
    run_threads(NULL);
    assert_int_equal(stat_sum(STAT_SIP_RX), THREADS * COUNTS);
    assert_int_equal(stat_sum(STAT_RTP_RX), 2 * THREADS * COUNTS);
    assert_int_equal(stat_sum(STAT_SIP_TX), 0);
}

static void blocks_of_ended_threads_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) { /* 160 threads in all, 64 blocks */
        run_threads(state);
    }
    assert_int_equal(stat_sum(STAT_SIP_RX), 40 * THREADS * COUNTS);
}

static void every_counter_has_a_name_and_a_help_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAT_N; i++) {
        assert_memory_equal(stat_defs[i].name, "postern_", 8);
        assert_non_null(stat_defs[i].labels);
        assert_true(strlen(stat_defs[i].help) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_one_json_object_with_its_context, log_up,
                                        log_down),
        cmocka_unit_test_setup_teardown(text_lines_cannot_be_forged_by_what_is_in_them, log_up,
                                        log_down),
        cmocka_unit_test_setup_teardown(journald_gets_the_priority_first, log_up, log_down),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_the_line_and_blocks_nobody, log_up,
                                        log_down),
        cmocka_unit_test_setup_teardown(levels_are_filtered_and_can_change, log_up, log_down),
        cmocka_unit_test_setup_teardown(a_flood_is_cut_counted_and_told, log_up, log_down),
        cmocka_unit_test_setup_teardown(the_longest_line_is_still_whole, log_up, log_down),
        cmocka_unit_test_setup_teardown(peer_bytes_are_escaped_and_cut, log_up, log_down),
        cmocka_unit_test_setup_teardown(errno_survives_a_log_line, log_up, log_down),
        cmocka_unit_test_setup_teardown(counters_add_up_over_threads_with_and_without_blocks,
                                        log_up, log_down),
        cmocka_unit_test_setup_teardown(blocks_of_ended_threads_are_used_again, log_up, log_down),
        cmocka_unit_test(every_counter_has_a_name_and_a_help_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
