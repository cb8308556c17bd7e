/* test_sip_part.c - multipart bodies come apart as RFC 2046 has it, or are refused. */
#include "sip/sip.h"
#include "exact.h"

/* "type|disposition|encoding|body" of each part, then how it ended. */
static void walk(struct sl type, struct sl body, struct buf *out)
{
    struct sip_parts it;
    struct sip_part p;
    int err = sip_parts_begin(&it, type, body);

    while (err == 0 && (err = sip_parts_next(&it, &p)) == 0) {
        buf_putf(out, "%.*s|%.*s|%.*s|%.*s;", SL_ARG(p.type), SL_ARG(p.disposition),
                 SL_ARG(p.encoding), SL_ARG(p.body));
    }
    buf_puts(out, err == ENODATA ? "end" : err == EBADMSG ? "bad" : err == EMSGSIZE ? "many" : "?");
}

#define MIXED "multipart/mixed;boundary=b"

static const struct {
    const char *type, *body, *want;
} cases[] = {
    {MIXED, "--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--", "a/b|||x;end"},
    {MIXED, "--b\r\nContent-Type: a/b\r\n\r\nx\r\n\r\n--b--\r\nfor nobody", "a/b|||x\r\n;end"},
    {"multipart/mixed; charset=x; boundary=\"b c\"", "--b c\r\n\r\nx\r\n--b c--", "|||x;end"},
    {MIXED, "for nobody\r\n--b  \r\nc: a/b;k=v\r\n\r\n1\r\n--b\t\r\n\r\n2\r\n--b--",
     "a/b;k=v|||1;|||2;end"},
    {MIXED,
     "--b\nCONTENT-DISPOSITION : signal; handling=optional\nContent-Transfer-Encoding: base64\n\n"
     "x\n--b--",
     "|signal; handling=optional|base64|x;end"},
    {MIXED, "--b\r\n\r\n--bc\r\n--b--x\r\n--b--", "|||--bc\r\n--b--x;end"},
    {MIXED, "--b\r\n--b\r\nno colon\r\n--b--", "|||;|||;end"},
    {MIXED, "--b\r\n\r\nx\r\n", "bad"},
    {MIXED, "--b--", "bad"},
    {MIXED, "x", "bad"},
    {MIXED, "", "bad"},
    {"multipart/mixed;boundary=b ; ", "--b\r\n\r\nx\r\n--b--", "|||x;end"},
    {"multipart/mixed", "--b\r\n\r\nx\r\n--b--", "bad"},
    {"multipart/mixed;boundary=", "--\r\n\r\nx\r\n----", "bad"},
};

static void bodies_come_apart_at_their_boundary(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sl type = exact(cases[i].type), body = exact(cases[i].body);
        char mem[512];
        struct buf b;

        buf_init_fixed(&b, mem, sizeof(mem) - 1);
        walk(type, body, &b);
        mem[b.n] = '\0';
        assert_string_equal(mem, cases[i].want);
        free((char *)type.p);
        free((char *)body.p);
    }
}

static void only_so_many_parts_are_looked_at(void **state)
{
    char text[512], mem[512];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text) - 1);
    for (unsigned i = 0; i <= SIP_PARTS_MAX; i++) {
        buf_puts(&b, "--b\r\n\r\n\r\n");
    }
    buf_puts(&b, "--b--");
    text[b.n] = '\0';
    buf_init_fixed(&b, mem, sizeof(mem) - 1);
    walk(SL(MIXED), sl_str(text), &b);
    mem[b.n] = '\0';
    assert_non_null(strstr(mem, "many"));
}

static void types_are_compared_without_their_parameters(void **state)
{
    (void)state;
    assert_true(sip_type_is(SL("Application/SDP ; level=1"), SL("application/sdp")));
    assert_true(sip_type_is(SL("MULTIPART/x"), SL("multipart/")));
    assert_false(sip_type_is(SL("application/sdpx"), SL("application/sdp")));
    assert_false(sip_type_is(SL_NULL, SL("application/sdp")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_come_apart_at_their_boundary),
        cmocka_unit_test(only_so_many_parts_are_looked_at),
        cmocka_unit_test(types_are_compared_without_their_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
