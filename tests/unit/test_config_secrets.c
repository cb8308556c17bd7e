/* test_config_secrets.c - every form of a secret, what each refuses, and that no error line ever
 * shows one. */
#include "config_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/postern-secrets-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    return chdir("/") != 0 || rmdir(dir) != 0;
}

static void write_file(const char *name, const char *text, size_t n, unsigned mode)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

#define ACCOUNT(secret)                                                                            \
    RIG_BASE "users: {domain: x.test, listener: a, accounts: [{name: u, password: " secret "}]}\n"

static void assert_password(const char *text, const char *want)
{
    struct config *c = rig_good(text);

    assert_string_equal(c->def.users.accounts[0].password, want);
    config_unref(&c);
}

static void a_secret_may_be_text_a_file_or_in_the_environment(void **state)
{
    (void)state;
    setenv("POSTERN_TEST_SECRET", "from the environment", 1);
    write_file("pw", "from a file", 11, 0600);
    assert_password(ACCOUNT("from text"), "from text");
    assert_password(ACCOUNT("'{file: pw}'"), "{file: pw}"); /* quoted: it is the secret itself */
    assert_password(ACCOUNT("{file: pw}"), "from a file");
    assert_password(ACCOUNT("{env: POSTERN_TEST_SECRET}"), "from the environment");
    unlink("pw");
}

static void line_ends_after_a_secret_are_dropped_and_nothing_else_is(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a", "a"},           {"a\n", "a"},       {"a\r\n", "a"}, {"a\n\n", "a"},
        {" a b \n", " a b "}, {"a\nb\n", "a\nb"}, {"\na", "\na"}, {"\xC3\xA9\n", "\xC3\xA9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_file("pw", cases[i].text, strlen(cases[i].text), 0600);
        assert_password(ACCOUNT("{file: pw}"), cases[i].want);
    }
    unlink("pw");
}

static void assert_refused(const char *text, const char *what)
{
    const char *lines;

    assert_null(rig_parse(text, &lines));
    if (strstr(lines, what) == NULL) {
        fail_msg("wanted '%s', got %s", what, lines);
    }
}

static void a_file_that_holds_no_secret_is_refused(void **state)
{
    static char big[5000];

    (void)state;
    memset(big, 'x', sizeof(big));
    write_file("pw", "", 0, 0600);
    assert_refused(ACCOUNT("{file: pw}"), "password.file: is empty");
    write_file("pw", "\r\n", 2, 0600);
    assert_refused(ACCOUNT("{file: pw}"), "password.file: is empty");
    write_file("pw", "a\0b", 3, 0600);
    assert_refused(ACCOUNT("{file: pw}"), "password.file: is not a secret");
    write_file("pw", big, 4096, 0600);
    big[4096] = '\0';
    assert_password(ACCOUNT("{file: pw}"), big);
    write_file("pw", big, 4097, 0600);
    big[4096] = 'x';
    write_file("pw", big, 4097, 0600);
    assert_refused(ACCOUNT("{file: pw}"), "password.file: is not a secret");
    unlink("pw");
    assert_refused(ACCOUNT("{file: pw}"), "cannot read 'pw': No such file or directory");
}

/* A named pipe would hold up the start for ever. */
static void a_pipe_is_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_refused(ACCOUNT("{file: pipe}"), "cannot read 'pipe': not a plain file");
    unlink("pipe");
}

static void a_file_that_everybody_can_read_is_taken_with_a_warning(void **state)
{
    int pipes[2];
    char text[4096];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    log_set_fd(pipes[1]);
    log_set_level(LOG_WARN);
    write_file("pw", "open secret", 11, 0604);
    assert_password(ACCOUNT("{file: pw}"), "open secret");
    n = read(pipes[0], text, sizeof(text) - 1);
    log_set_level(LOG_ERROR);
    log_set_fd(1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "the secret in 'pw' can be read by everybody"));
    assert_null(strstr(text, "open secret"));
    write_file("pw", "secret", 6, 0640);
    log_set_fd(pipes[1]);
    log_set_level(LOG_WARN);
    assert_password(ACCOUNT("{file: pw}"), "secret");
    log_set_level(LOG_ERROR);
    log_set_fd(1);
    assert_int_equal(read(pipes[0], text, sizeof(text)), -1); /* nothing was said */
    close(pipes[0]);
    close(pipes[1]);
    unlink("pw");
}

static void an_empty_or_missing_variable_is_refused(void **state)
{
    (void)state;
    unsetenv("POSTERN_TEST_SECRET");
    assert_refused(ACCOUNT("{env: POSTERN_TEST_SECRET}"),
                   "password.env: the environment has no 'POSTERN_TEST_SECRET'");
    setenv("POSTERN_TEST_SECRET", "", 1);
    assert_refused(ACCOUNT("{env: POSTERN_TEST_SECRET}"), "password.env: is empty");
}

#define ADMIN(token) RIG_BASE "admin: {token: " token "}\n"

static void the_admin_token_may_be_a_file_that_is_not_there_yet(void **state)
{
    struct config *c = rig_good(ADMIN("{file: ./there/is/none}"));

    (void)state;
    assert_string_equal(c->admin_token_file, "./there/is/none");
    assert_null(c->admin_token);
    config_unref(&c);
}

static void the_admin_token_has_at_least_16_characters(void **state)
{
    struct config *c;

    (void)state;
    assert_refused(ADMIN("123456789012345"), "a token has at least 16 characters");
    c = rig_good(ADMIN("1234567890123456"));
    assert_string_equal(c->admin_token, "1234567890123456");
    assert_null(c->admin_token_file);
    config_unref(&c);
    setenv("POSTERN_TEST_SECRET", "123456789012345", 1);
    assert_refused(ADMIN("{env: POSTERN_TEST_SECRET}"), "a token has at least 16 characters");
    setenv("POSTERN_TEST_SECRET", "1234567890123456", 1);
    c = rig_good(ADMIN("{env: POSTERN_TEST_SECRET}"));
    assert_string_equal(c->admin_token, "1234567890123456");
    config_unref(&c);
}

static void no_error_line_shows_a_secret(void **state)
{
    static const char *const documents[] = {
        ACCOUNT("hush, extra: 1"),
        ACCOUNT("{file: a, env: hush}"),
        ADMIN("hush"),
        RIG_BASE "peers: {p: {listener: a, sources: 10.0.0.1, credentials: {username: u,\n"
                 "            password: hush, realm: ''}}}\n",
        RIG_BASE "users: {domain: x.test, listener: a, accounts: [{name: u, password: [hush]}]}\n",
        RIG_BASE "users: {domain: x.test, listener: a, accounts: [{name: u, password: &x hush}]}\n",
        RIG_BASE "users: {domain: x.test, listener: a, accounts: [{password: \"hush\\n\"}]}\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        const char *lines;

        assert_null(rig_parse(documents[i], &lines));
        assert_true(lines[0] != '\0');
        assert_null(strstr(lines, "hush"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_may_be_text_a_file_or_in_the_environment),
        cmocka_unit_test(line_ends_after_a_secret_are_dropped_and_nothing_else_is),
        cmocka_unit_test(a_file_that_holds_no_secret_is_refused),
        cmocka_unit_test(a_pipe_is_not_waited_for),
        cmocka_unit_test(a_file_that_everybody_can_read_is_taken_with_a_warning),
        cmocka_unit_test(an_empty_or_missing_variable_is_refused),
        cmocka_unit_test(the_admin_token_may_be_a_file_that_is_not_there_yet),
        cmocka_unit_test(the_admin_token_has_at_least_16_characters),
        cmocka_unit_test(no_error_line_shows_a_secret),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
