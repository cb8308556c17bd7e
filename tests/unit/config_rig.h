/* config_rig.h - what the configuration tests share: a document in, its error lines out. */
#ifndef POSTERN_TEST_CONFIG_RIG_H
#define POSTERN_TEST_CONFIG_RIG_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* One line: a fragment that follows it begins on line 2. */
#define RIG_BASE                                                                                   \
    "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-20099}}}\n"
#define RIG_TEXT_MAX 65536

/* The lines of errs, each with its newline. */
static inline const char *rig_lines(const struct config_errors *errs)
{
    static char text[RIG_TEXT_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    for (size_t i = 0; i < errs->n; i++) {
        buf_puts(&b, errs->e[i].text);
        buf_putc(&b, '\n');
    }
    text[b.n] = '\0';
    return text;
}

/* Parses under the name "t"; NULL and the lines of errors when it is refused. */
static inline struct config *rig_parse(const char *text, const char **lines)
{
    struct config *c = NULL;
    struct config_errors errs;
    int err = config_parse(&c, "t", sl_str(text), NULL, &errs);

    assert_true(err == 0 || err == EBADMSG || err == ENOMEM);
    assert_true((err == 0) == (c != NULL));
    assert_true((err == EBADMSG) == (errs.n != 0));
    *lines = rig_lines(&errs);
    config_errors_free(&errs);
    return c;
}

static inline struct config *rig_good(const char *text)
{
    const char *lines;
    struct config *c = rig_parse(text, &lines);

    assert_string_equal(lines, "");
    assert_non_null(c);
    return c;
}

struct rig_case {
    const char *text;
    const char *lines;
};

/* Every document is refused with exactly these lines, and nothing is left behind. */
static inline void rig_refused(const char *base, const struct rig_case *cases, size_t n)
{
    static char text[RIG_TEXT_MAX];
    int64_t live = mem_live();

    for (size_t i = 0; i < n; i++) {
        const char *lines;
        struct config *c;

        snprintf(text, sizeof(text), "%s%s", base, cases[i].text);
        c = rig_parse(text, &lines);
        if (c != NULL || strcmp(lines, cases[i].lines) != 0) {
            fail_msg("%s\nwanted:\n%sgot:\n%s", text, cases[i].lines, lines);
        }
        assert_int_equal(mem_live(), live);
    }
}

#endif
