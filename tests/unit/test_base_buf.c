/* The capped writer and the JSON writer on top of it. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_text(const struct buf *b, const char *want)
{
    assert_int_equal(buf_err(b), 0);
    assert_int_equal(b->n, strlen(want));
    assert_memory_equal(b->p, want, b->n);
}

static void a_writer_grows_up_to_its_cap_and_no_further(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) {
        buf_puts(&b, "0123456789");
    }
    assert_int_equal(buf_err(&b), 0);
    assert_int_equal(b.n, 1000);
    assert_true(b.cap <= 1000);
    buf_putc(&b, 'x');
    assert_int_equal(buf_err(&b), EMSGSIZE);
    assert_int_equal(b.n, 1000);
    buf_free(&b);
}

static void a_cap_smaller_than_the_first_block_holds(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    buf_puts(&b, "01234");
    buf_puts(&b, "567890");
    assert_int_equal(buf_err(&b), EMSGSIZE);
    assert_int_equal(b.n, 5);
    assert_true(b.cap <= 10);
    buf_free(&b);
}

static void the_first_error_sticks_until_reset(void **state)
{
    char mem[4];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, mem, sizeof(mem));
    buf_puts(&b, "abc");
    buf_puts(&b, "de"); /* does not fit: nothing of it is written */
    buf_putc(&b, 'f');  /* would fit, but comes after the error */
    assert_int_equal(buf_err(&b), EMSGSIZE);
    assert_int_equal(b.n, 3);
    buf_reset(&b);
    buf_puts(&b, "abcd");
    assert_text(&b, "abcd");
    buf_free(&b);
}

static void formatting_may_fill_the_last_byte(void **state)
{
    char mem[8], big[600];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, mem, sizeof(mem));
    buf_putf(&b, "%s-%d", "abcde", 42);
    assert_text(&b, "abcde-42");
    buf_putf(&b, "%d", 1);
    assert_int_equal(buf_err(&b), EMSGSIZE);

    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    buf_init(&b, sizeof(big) - 1);
    buf_putf(&b, "%s", big);
    assert_text(&b, big);
    buf_free(&b);
}

static void numbers_and_hex_are_written(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 200);
    buf_putu(&b, 0);
    buf_putc(&b, ' ');
    buf_putu(&b, UINT64_MAX);
    buf_putc(&b, ' ');
    buf_putx(&b, "\x00\xff\x1a", 3);
    BUF_LIT(&b, "!");
    buf_putsl(&b, SL_NULL);
    assert_text(&b, "0 18446744073709551615 00ff1a!");
    buf_free(&b);
}

static void stealing_hands_the_block_over(void **state)
{
    struct buf b;
    size_t n;
    char *p;

    (void)state;
    buf_init(&b, 100);
    assert_null(buf_steal(&b, &n));
    buf_puts(&b, "abc");
    p = buf_steal(&b, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(p, "abc", 3);
    mem_free(p);
    buf_puts(&b, "again");
    assert_text(&b, "again");
    buf_reserve(&b, 1000);
    assert_null(buf_steal(&b, &n));
    assert_int_equal(n, 0);
    assert_int_equal(buf_err(&b), 0);
    buf_free(&b);
}

static void json_commas_and_nesting_come_by_themselves(void **state)
{
    struct buf b;
    struct json j;

    (void)state;
    buf_init(&b, 1000);
    json_init(&j, &b);
    json_obj(&j);
    json_kint(&j, "a", -5);
    json_key(&j, "list");
    json_arr(&j);
    json_int(&j, INT64_MIN);
    json_bool(&j, true);
    json_none(&j);
    json_obj(&j);
    json_obj_end(&j);
    json_arr(&j);
    json_arr_end(&j);
    json_f(&j, 1.005, 2);
    json_f(&j, 1.0 / 0.0, 2);
    json_arr_end(&j);
    json_kbool(&j, "no", false);
    json_kcstr(&j, "none", NULL);
    json_key(&j, "raw");
    json_raw(&j, SL("[1]"));
    json_ktime(&j, "t", 1795243697123);
    json_ktime(&j, "never", 0);
    json_obj_end(&j);
    assert_text(&b, "{\"a\":-5,\"list\":[-9223372036854775808,true,null,{},[],1.00,null],"
                    "\"no\":false,\"none\":null,\"raw\":[1],\"t\":\"2026-11-21T06:48:17.123Z\","
                    "\"never\":null}");
    buf_free(&b);
}

static void json_strings_are_escaped_and_repaired(void **state)
{
    static const struct {
        struct sl in;
        const char *out;
    } rows[] = {
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\\u007f\""},
        {{"\xE2\x82\xAC", 3}, "\"\xE2\x82\xAC\""},
        {{"x\xFFy", 3}, "\"x\xEF\xBF\xBDy\""},
        {{"\xE2\x82", 2}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{NULL, 0}, "\"\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b;
        struct json j;

        buf_init(&b, 100);
        json_init(&j, &b);
        json_str(&j, rows[i].in);
        assert_text(&b, rows[i].out);
        buf_free(&b);
    }
}

/* Eight bytes are looked at in one go: each of the 256 at each of their places. */
static void json_strings_are_escaped_at_every_place(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 17; at++) {
        for (unsigned c = 0; c < 256; c++) {
            char text[17], one[8];
            struct buf b, alone;
            struct json j;
            size_t n;

            memset(text, '~', sizeof(text));
            text[at] = (char)c;
            buf_init(&b, 100);
            buf_init_fixed(&alone, one, sizeof(one));
            json_init(&j, &alone);
            json_str(&j, sl_make(text + at, 1));
            n = alone.n - 2; /* of the character, without its quotes */
            json_init(&j, &b);
            json_str(&j, sl_make(text, sizeof(text)));
            assert_int_equal(buf_err(&b), 0);
            assert_int_equal(b.n, sizeof(text) - 1 + n + 2);
            assert_memory_equal(b.p + 1 + at, one + 1, n);
            for (size_t i = 1; i < b.n - 1; i++) {
                assert_true((i >= 1 + at && i < 1 + at + n) || b.p[i] == '~');
            }
            assert_true(c == '"' || c == '\\' || c < 0x20 || c > 0x7e ? n > 1 : one[1] == (char)c);
            buf_free(&b);
        }
    }
}

static void json_addresses_are_text_or_null(void **state)
{
    struct addr a = {0};
    struct buf b;
    struct json j;

    (void)state;
    buf_init(&b, 100);
    json_init(&j, &b);
    json_obj(&j);
    json_kaddr(&j, "none", &a);
    json_kaddr(&j, "null", NULL);
    assert_int_equal(addr_parse(SL("2001:db8::1"), 5060, &a), 0);
    json_kaddr(&j, "a", &a);
    json_obj_end(&j);
    assert_text(&b, "{\"none\":null,\"null\":null,\"a\":\"[2001:db8::1]:5060\"}");
    buf_free(&b);
}

static void json_deeper_than_allowed_is_an_error_not_an_overrun(void **state)
{
    struct buf b;
    struct json j;

    (void)state;
    buf_init(&b, 1000);
    json_init(&j, &b);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_arr(&j);
    }
    assert_int_equal(buf_err(&b), 0);
    json_arr(&j);
    assert_int_equal(buf_err(&b), EMSGSIZE);
    buf_free(&b);
}

static void writers_report_memory_that_is_out(void **state)
{
    char big[400];
    int64_t live = mem_live();

    (void)state;
    memset(big, 'z', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (uint64_t nth = 1; nth < 10; nth++) {
        struct buf b;
        bool hit;

        buf_init(&b, 10000);
        mem_fault_arm(nth);
        buf_putf(&b, "%s", big);
        buf_puts(&b, big);
        if (mem_fault_hit()) {
            buf_reserve(&b, 20000); /* another error: must not replace the first */
        }
        hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_int_equal(buf_err(&b), hit ? ENOMEM : 0);
        buf_free(&b);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_grows_up_to_its_cap_and_no_further),
        cmocka_unit_test(a_cap_smaller_than_the_first_block_holds),
        cmocka_unit_test(the_first_error_sticks_until_reset),
        cmocka_unit_test(formatting_may_fill_the_last_byte),
        cmocka_unit_test(numbers_and_hex_are_written),
        cmocka_unit_test(stealing_hands_the_block_over),
        cmocka_unit_test(json_commas_and_nesting_come_by_themselves),
        cmocka_unit_test(json_strings_are_escaped_and_repaired),
        cmocka_unit_test(json_strings_are_escaped_at_every_place),
        cmocka_unit_test(json_addresses_are_text_or_null),
        cmocka_unit_test(json_deeper_than_allowed_is_an_error_not_an_overrun),
        cmocka_unit_test(writers_report_memory_that_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
