/* test_sip_torture.c - every torture message by its index: what the parser says, seen through the
 * plainest possible user agent, must be what the index asks for. Two sets: RFC 4475 and RFC 5118
 * (POSTERN_TORTURE, beside the repository), and our own in tests/data/sip. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define OWN_DIR "tests/data/sip"
#define FILES_MAX 256
#define COLS_MAX 16

struct sample {
    char name[64];
    char expect[40], also_ok[40], must_not[40];
    char *bytes; /* exactly n bytes, so that a sanitizer sees the first one behind */
    size_t n;
};

struct set {
    struct sample s[FILES_MAX];
    size_t n;
};

static struct set rfc, own;

static const char *rfc_dir(void)
{
    const char *dir = getenv("POSTERN_TORTURE");

    return dir != NULL ? dir : "../shared/torture";
}

static char *slurp(const char *dir, const char *name, size_t *n)
{
    static char whole[SIP_MSG_MAX * 2];
    char path[512];
    FILE *f;
    char *p = NULL;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    if (f == NULL) {
        return NULL;
    }
    *n = fread(whole, 1, sizeof(whole), f);
    fclose(f);
    p = malloc(*n != 0 ? *n : 1);
    if (p != NULL) {
        memcpy(p, whole, *n);
    }
    return p;
}

static size_t columns(struct sl line, struct sl cols[COLS_MAX])
{
    size_t n = 0;

    while (n < COLS_MAX && sl_next(&line, '\t', &cols[n]) == 0) {
        n++;
    }
    return n;
}

static size_t column_of(const struct sl *cols, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (sl_eq(sl_trim(cols[i]), sl_str(name))) {
            return i;
        }
    }
    fail_msg("the index has no column %s", name);
    return 0;
}

/* False: no such directory. */
static bool set_load(struct set *set, const char *dir)
{
    size_t n = 0, head_n, file, expect, also, not ;
    struct sl cols[COLS_MAX], line = SL_NULL, rest;
    char *index = slurp(dir, "index.tsv", &n);

    if (index == NULL) {
        return false;
    }
    rest = sl_make(index, n);
    assert_int_equal(sl_next(&rest, '\n', &line), 0);
    head_n = columns(line, cols);
    file = column_of(cols, head_n, "file");
    expect = column_of(cols, head_n, "expect");
    also = column_of(cols, head_n, "also_ok");
    not = column_of(cols, head_n, "must_not");
    while (sl_next(&rest, '\n', &line) == 0) {
        struct sample *s = &set->s[set->n++];

        assert_true(set->n < FILES_MAX);
        assert_int_equal(columns(line, cols), head_n);
        assert_int_equal(sl_cstr(cols[file], s->name, sizeof(s->name)), 0);
        assert_int_equal(sl_cstr(cols[expect], s->expect, sizeof(s->expect)), 0);
        assert_int_equal(sl_cstr(cols[also], s->also_ok, sizeof(s->also_ok)), 0);
        assert_int_equal(sl_cstr(cols[not ], s->must_not, sizeof(s->must_not)), 0);
        s->bytes = slurp(dir, s->name, &s->n);
        assert_non_null(s->bytes);
    }
    free(index);
    return true;
}

static void set_free(struct set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->s[i].bytes);
    }
}

/* --- the plainest user agent --- */

static const char *answer_body(const struct sip_msg *m)
{
    struct sl type = sip_content_type(m);

    if (m->body.n != 0 && !sl_ieq(type, SL("application/sdp"))) {
        return "415";
    }
    if (sip_hdr(m, HDR_ACCEPT) != NULL &&
        !sip_hdr_has_token(m, HDR_ACCEPT, SL("application/sdp"))) {
        return "406";
    }
    return "accept";
}

static const char *answer(const struct sip_msg *m)
{
    if (!m->is_request) {
        return "drop"; /* no transaction of ours */
    }
    if (m->method == SIP_METHOD_OTHER) {
        return "501";
    }
    if (m->ruri.scheme == SIP_SCHEME_OTHER) {
        return "416";
    }
    if (sip_hdr(m, HDR_REQUIRE) != NULL || sip_hdr(m, HDR_PROXY_REQUIRE) != NULL) {
        return "420";
    }
    if (m->max_forwards == 0) {
        return "483";
    }
    if (m->method == SIP_BYE) {
        return "481";
    }
    return m->method == SIP_INVITE ? answer_body(m) : "accept";
}

static const char *outcome(struct sip_pool *pool, struct sl bytes)
{
    static char code[8];
    struct sip_msg *m = NULL;
    struct sip_bad bad;
    int err = sip_msg_parse(pool, bytes, &m, &bad);
    const char *what;

    if (err == 0) {
        assert_null(bad.reason);
        what = answer(m);
    } else if (bad.status == 0) {
        assert_null(m);
        what = "drop";
    } else {
        assert_non_null(m); /* an answer needs what it copies */
        snprintf(code, sizeof(code), "%u", bad.status);
        what = code;
    }
    if (err != 0) {
        assert_non_null(bad.reason);
        assert_true(err == EBADMSG || err == EMSGSIZE || err == ENODATA);
    }
    sip_msg_unref(&m);
    return what;
}

static bool cell_has(const char *cell, const char *what)
{
    struct sl list = sl_str(cell), one;

    while (sl_next(&list, ',', &one) == 0) {
        if (sl_eq(one, sl_str(what)) || (sl_eq(one, SL("any")) && strcmp(what, "drop") != 0)) {
            return true;
        }
    }
    return false;
}

static void set_check(const struct set *set)
{
    struct sip_pool *pool = NULL;
    int wrong = 0;

    assert_int_equal(sip_pool_new(&pool), 0);
    for (size_t i = 0; i < set->n; i++) {
        const struct sample *s = &set->s[i];
        const char *what = outcome(pool, sl_make(s->bytes, s->n));

        if (cell_has(s->must_not, what) ||
            (!cell_has(s->expect, what) && !cell_has(s->also_ok, what))) {
            print_error("%s: %s, expected %s or %s, not %s\n", s->name, what, s->expect, s->also_ok,
                        s->must_not);
            wrong++;
        }
    }
    sip_pool_free(&pool);
    assert_int_equal(wrong, 0);
}

static void each_rfc_message_is_answered_as_its_index_says(void **state)
{
    (void)state;
    if (rfc.n == 0) {
        assert_null(getenv("POSTERN_TORTURE")); /* who names a folder wants it looked at */
        print_message("skipped: no torture directory\n");
        skip();
    }
    assert_true(rfc.n >= 60);
    set_check(&rfc);
}

static void each_of_our_own_messages_is_answered_as_its_index_says(void **state)
{
    (void)state;
    assert_true(own.n >= 100);
    set_check(&own);
}

/* --- the response that goes out for a message --- */

static void check_response(const struct sample *s, const struct sip_msg *m)
{
    static char out[SIP_MSG_MAX];
    struct addr src;
    struct buf b;
    struct sl text;

    assert_int_equal(addr_parse(SL("192.0.2.200"), 5999, &src), 0);
    buf_init_fixed(&b, out, sizeof(out));
    sip_put_response(&b,
                     &(struct sip_response){
                         .req = m, .src = &src, .status = 400, .to_tag = SL("our"), .rr = true});
    sip_put_body(&b, SL_NULL, SL_NULL);
    assert_int_equal(buf_err(&b), 0);
    text = buf_sl(&b);
    for (size_t i = 0; i < text.n; i++) {
        bool is_line_end = text.p[i] == '\n' && i > 0 && text.p[i - 1] == '\r';

        if ((text.p[i] == '\n' && !is_line_end) || text.p[i] == '\0' ||
            (text.p[i] == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'))) {
            fail_msg("%s: a line end or NUL of the peer's went out", s->name);
        }
    }
    assert_int_equal(sl_find(text, SL("\r\n\r\n")), (ptrdiff_t)text.n - 4);
}

static void set_respond(struct sip_pool *pool, const struct set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct sip_msg *m = NULL;
        struct sip_bad bad;
        int err = sip_msg_parse(pool, sl_make(set->s[i].bytes, set->s[i].n), &m, &bad);

        if (m != NULL && m->is_request) {
            check_response(&set->s[i], m);
        }
        assert_true(err != 0 || m != NULL);
        sip_msg_unref(&m);
    }
}

static void a_response_holds_no_line_end_of_the_request(void **state)
{
    struct sip_pool *pool = NULL;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    set_respond(pool, &rfc);
    set_respond(pool, &own);
    sip_pool_free(&pool);
}

/* --- the short look --- */

static void put_refusal(struct buf *b, const struct sip_msg *m)
{
    struct addr src;

    assert_int_equal(addr_parse(SL("192.0.2.200"), 5999, &src), 0);
    sip_put_response(
        b, &(struct sip_response){.req = m, .src = &src, .status = 503, .to_tag = SL("our")});
    assert_int_equal(buf_err(b), 0);
}

/* How many messages the short look was enough for. */
static size_t set_skim(struct sip_pool *pool, const struct set *set)
{
    static char mem[2][SIP_MSG_MAX];
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        struct sl bytes = sl_make(set->s[i].bytes, set->s[i].n);
        struct sip_msg *whole = NULL, *skimmed = NULL;
        struct sl tag;
        struct buf a, b;
        struct sip_bad bad;

        if (sip_msg_parse(pool, bytes, &whole, &bad) == 0 &&
            sip_msg_skim(pool, bytes, &skimmed) == 0) {
            assert_true(whole->is_request && skimmed->method == whole->method);
            assert_true(sl_eq(skimmed->to_tag, whole->to_tag));
            assert_int_equal(sip_skim_to_tag(bytes, &tag), 0);
            assert_true(sl_eq(tag, whole->to_tag));
            assert_true(sl_eq(skimmed->call_id, whole->call_id));
            assert_true(sl_eq(skimmed->via.branch, whole->via.branch));
            buf_init_fixed(&a, mem[0], sizeof(mem[0]));
            buf_init_fixed(&b, mem[1], sizeof(mem[1]));
            put_refusal(&a, whole);
            put_refusal(&b, skimmed);
            assert_true(sl_eq(buf_sl(&a), buf_sl(&b)));
            n++;
        }
        sip_msg_unref(&whole);
        sip_msg_unref(&skimmed);
    }
    return n;
}

static void a_short_look_says_the_same_as_a_long_one(void **state)
{
    struct sip_pool *pool = NULL;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    (void)set_skim(pool, &rfc);
    assert_true(set_skim(pool, &own) >= 20);
    sip_pool_free(&pool);
}

/* --- no byte beyond, no memory lost --- */

static void cut_everywhere(struct sip_pool *pool, const struct sample *s)
{
    size_t step = s->n > 2000 ? 97 : 1;

    for (size_t n = 0; n < s->n; n += step) {
        char *part = malloc(n != 0 ? n : 1);
        struct sip_msg *m = NULL;
        struct sip_bad bad;
        struct sl tag;
        size_t len;
        int err;

        if (part == NULL) {
            return;
        }
        memcpy(part, s->bytes, n);
        err = sip_msg_parse(pool, sl_make(part, n), &m, &bad);
        assert_true(err == 0 || bad.reason != NULL);
        sip_msg_unref(&m);
        if (sip_msg_skim(pool, sl_make(part, n), &m) == 0) {
            sip_msg_unref(&m);
        }
        if (sip_skim_to_tag(sl_make(part, n), &tag) == 0) {
            assert_true(tag.n <= n);
        }
        err = sip_frame(sl_make(part, n), SIP_MSG_MAX, &len);
        assert_true(err != 0 || len <= n);
        free(part);
    }
}

static void no_message_cut_anywhere_is_read_beyond_its_end(void **state)
{
    struct sip_pool *pool = NULL;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    for (size_t i = 0; i < rfc.n; i++) {
        cut_everywhere(pool, &rfc.s[i]);
    }
    for (size_t i = 0; i < own.n; i++) {
        cut_everywhere(pool, &own.s[i]);
    }
    sip_pool_free(&pool);
}

/* True: allocation number nth was refused while s was parsed with a new pool. */
static bool parse_without(const struct sample *s, uint64_t nth)
{
    struct sip_pool *pool = NULL;
    struct sip_msg *m = NULL;
    struct sip_bad bad;
    int err;

    mem_fault_arm(nth);
    err = sip_pool_new(&pool);
    if (err == 0) {
        err = sip_msg_parse(pool, sl_make(s->bytes, s->n), &m, &bad);
    }
    mem_fault_arm(0);
    sip_msg_unref(&m);
    sip_pool_free(&pool);
    return err == ENOMEM;
}

static void want_of_memory_is_told_and_leaves_nothing_behind(void **state)
{
    const struct set *sets[] = {&rfc, &own};
    int64_t live = mem_live();

    (void)state;
    for (size_t k = 0; k < COUNT_OF(sets); k++) {
        for (size_t i = 0; i < sets[k]->n; i++) {
            uint64_t nth = 1;

            while (parse_without(&sets[k]->s[i], nth)) {
                nth++;
            }
            assert_true(nth >= 2 && nth <= 4);
            assert_int_equal(mem_live(), live);
        }
    }
}

/* --- what is in some of them --- */

static const struct sample *find(const struct set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->s[i].name, name) == 0) {
            return &set->s[i];
        }
    }
    fail_msg("no file %s", name);
    return NULL;
}

static void assert_sl(struct sl got, const char *want)
{
    if (!sl_eq(got, sl_str(want))) {
        fail_msg("\"%.*s\" is not \"%s\"", SL_ARG(got), want);
    }
}

static struct sip_msg *parse_good(struct sip_pool *pool, const struct sample *s)
{
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    if (sip_msg_parse(pool, sl_make(s->bytes, s->n), &m, &bad) != 0) {
        fail_msg("%s: %s", s->name, bad.reason);
    }
    return m;
}

static void a_folded_message_means_what_its_plain_form_means(void **state)
{
    struct sip_pool *pool = NULL;
    struct sip_msg *m;
    struct sip_values it = {0};
    struct sip_nameaddr na;
    struct sl v;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    m = parse_good(pool, find(&own, "folds.sip"));
    assert_int_equal(m->max_forwards, 42);
    assert_int_equal(m->cseq, 71);
    assert_int_equal(m->cseq_method, SIP_INVITE);
    assert_sl(m->via.branch, "z9hG4bK.own-folds");
    assert_sl(m->via.host, "198.51.100.7");
    assert_int_equal(m->via.port, 5062);
    assert_sl(m->from.display, "\"Desk \\\"one\\\\\"");
    assert_sl(m->from_tag, "f-folds");
    assert_int_equal(m->to_tag.n, 0);
    assert_true(sip_hdr_has_token(m, HDR_SUPPORTED, SL("timer")));
    assert_int_equal(sip_values_next(m, HDR_VIA, &it, &v), 0);
    assert_int_equal(sip_values_next(m, HDR_VIA, &it, &v), 0);
    assert_sl(v, "SIP / 2.0 / TCP hop.lab.invalid ; branch=z9hG4bK.lower");
    assert_int_equal(sip_values_next(m, HDR_VIA, &it, &v), ENODATA);
    assert_int_equal(sip_nameaddr_parse(sip_hdr_value(m, HDR_CONTACT), &na), 0);
    assert_true(sip_param(na.params, SL("HIDDEN"), &v));
    assert_sl(v, "x;y,z");
    assert_true(sip_param(na.params, SL("q"), &v));
    assert_sl(v, "0.4");
    for (uint16_t i = 0; i < m->n_hdrs; i++) {
        assert_int_equal(sl_chr(m->hdrs[i].value, '\n'), -1);
        assert_int_equal(sl_chr(m->hdrs[i].value, '\r'), -1);
    }
    sip_msg_unref(&m);
    sip_pool_free(&pool);
}

static void only_content_length_decides_where_a_body_ends(void **state)
{
    struct sip_pool *pool = NULL;
    struct sip_msg *m;

    (void)state;
    assert_int_equal(sip_pool_new(&pool), 0);
    m = parse_good(pool, find(&own, "binarybody.sip"));
    assert_int_equal(m->body.n, 12);
    assert_memory_equal(m->body.p, "\0\n\r\0\r\n\r\n\xff\xfe\0\x01", 12);
    sip_msg_unref(&m);
    m = parse_good(pool, find(&own, "twoinone.sip"));
    assert_int_equal(m->body.n, 0);
    sip_msg_unref(&m);
    m = parse_good(pool, find(&own, "old2543.sip"));
    assert_true(sl_starts(m->body, SL("v=0")) && sl_ends(m->body, SL("8000\r\n")));
    assert_int_equal(m->via.branch.n, 0);
    assert_int_equal(m->from_tag.n, 0);
    assert_int_equal(m->max_forwards, 70);
    assert_false(m->has_max_forwards);
    sip_msg_unref(&m);
    sip_pool_free(&pool);
}

static int load(void **state)
{
    (void)state;
    (void)set_load(&rfc, rfc_dir());
    return set_load(&own, OWN_DIR) ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    set_free(&rfc);
    set_free(&own);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rfc_message_is_answered_as_its_index_says),
        cmocka_unit_test(each_of_our_own_messages_is_answered_as_its_index_says),
        cmocka_unit_test(a_short_look_says_the_same_as_a_long_one),
        cmocka_unit_test(a_response_holds_no_line_end_of_the_request),
        cmocka_unit_test(no_message_cut_anywhere_is_read_beyond_its_end),
        cmocka_unit_test(want_of_memory_is_told_and_leaves_nothing_behind),
        cmocka_unit_test(a_folded_message_means_what_its_plain_form_means),
        cmocka_unit_test(only_content_length_decides_where_a_body_ends),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
