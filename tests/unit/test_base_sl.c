/* Slices: comparing, cutting, numbers, globs, UTF-8. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ASSERT_SL(got, want)                                                                       \
    do {                                                                                           \
        struct sl got_ = (got);                                                                    \
        assert_int_equal(got_.n, strlen(want));                                                    \
        assert_memory_equal(got_.p, (want), got_.n);                                               \
    } while (0)

static void comparing_ignores_case_only_where_asked(void **state)
{
    (void)state;
    assert_true(sl_eq(SL("Via"), SL("Via")));
    assert_false(sl_eq(SL("Via"), SL("via")));
    assert_true(sl_ieq(SL("VIA"), SL("vIa")));
    assert_false(sl_ieq(SL("Via"), SL("Vi")));
    assert_false(sl_ieq(SL("a["), SL("a{"))); /* 0x5b and 0x7b differ in the case bit only */
    assert_false(sl_ieq(SL("@"), SL("`")));
    assert_true(sl_eq(SL_NULL, SL("")));
    assert_true(sl_ieq(SL_NULL, SL_NULL));
}

/* Eight bytes are looked at in one go. */
static void a_difference_is_seen_wherever_it_is(void **state)
{
    static const char text[] = "Content-Disposition-Of-All";
    const size_t n = sizeof(text) - 1;

    (void)state;
    for (size_t len = 1; len <= n; len++) {
        for (size_t at = 0; at < len; at++) {
            char other[sizeof(text)];

            memcpy(other, text, sizeof(text));
            other[at] ^= 0x20; /* a hyphen becomes CR */
            assert_int_equal(sl_ieq(sl_make(text, len), sl_make(other, len)), text[at] != '-');
            other[at] ^= 0x21;
            assert_false(sl_ieq(sl_make(text, len), sl_make(other, len)));
            assert_false(sl_istarts(sl_make(text, n), sl_make(other, len)));
        }
    }
}

static void prefixes_and_suffixes_are_found(void **state)
{
    (void)state;
    assert_true(sl_starts(SL("sip:a"), SL("sip:")));
    assert_false(sl_starts(SL("SIP:a"), SL("sip:")));
    assert_true(sl_istarts(SL("SIP:a"), SL("sip:")));
    assert_false(sl_istarts(SL("si"), SL("sip:")));
    assert_true(sl_ends(SL("a.wav"), SL(".wav")));
    assert_false(sl_ends(SL("wav"), SL(".wav")));
    assert_true(sl_starts(SL_NULL, SL_NULL) && sl_ends(SL_NULL, SL_NULL));
}

static void cutting_stays_inside(void **state)
{
    (void)state;
    ASSERT_SL(sl_trim(SL(" \t\r\n a b \r\n")), "a b");
    ASSERT_SL(sl_trim(SL(" \t ")), "");
    ASSERT_SL(sl_from(SL("abc"), 1), "bc");
    ASSERT_SL(sl_from(SL("abc"), 99), "");
    ASSERT_SL(sl_head(SL("abc"), 2), "ab");
    ASSERT_SL(sl_head(SL("abc"), 99), "abc");
    assert_int_equal(sl_from(SL_NULL, 5).n, 0);
    assert_int_equal(sl_str(NULL).n, 0);
    ASSERT_SL(sl_str("xy"), "xy");
}

static void bytes_and_needles_are_found_at_their_offset(void **state)
{
    (void)state;
    assert_int_equal(sl_chr(SL("a:b:c"), ':'), 1);
    assert_int_equal(sl_rchr(SL("a:b:c"), ':'), 3);
    assert_int_equal(sl_chr(SL("abc"), ':'), -1);
    assert_int_equal(sl_chr(SL_NULL, 'a'), -1);
    assert_int_equal(sl_rchr(SL_NULL, 'a'), -1);
    assert_int_equal(sl_find(SL("a\r\n\r\nb"), SL("\r\n\r\n")), 1);
    assert_int_equal(sl_find(SL("ab"), SL("abc")), -1);
    assert_int_equal(sl_find(SL("ab"), SL("")), 0);
    assert_int_equal(sl_find(SL_NULL, SL("a")), -1);
}

static void split_takes_whole_tokens_or_nothing(void **state)
{
    struct sl in = SL("one,two,three"), tok = SL("untouched");

    (void)state;
    assert_int_equal(sl_split(&in, ',', 3, &tok), 0);
    ASSERT_SL(tok, "one");
    assert_int_equal(sl_split(&in, ',', 2, &tok), EMSGSIZE);
    ASSERT_SL(tok, "one");
    ASSERT_SL(in, "two,three");
    assert_int_equal(sl_split(&in, ',', 3, &tok), 0);
    ASSERT_SL(tok, "two");
    assert_int_equal(sl_split(&in, ',', 5, &tok), ENODATA);
    assert_int_equal(sl_split(&in, ',', 4, &tok), EMSGSIZE);
    ASSERT_SL(in, "three");
}

static void next_gives_the_last_token_without_a_stop(void **state)
{
    struct sl in = SL("a,,b"), tok;

    (void)state;
    assert_int_equal(sl_next(&in, ',', &tok), 0);
    ASSERT_SL(tok, "a");
    assert_int_equal(sl_next(&in, ',', &tok), 0);
    ASSERT_SL(tok, "");
    assert_int_equal(sl_next(&in, ',', &tok), 0);
    ASSERT_SL(tok, "b");
    assert_int_equal(sl_next(&in, ',', &tok), ENODATA);
    ASSERT_SL(tok, "b");
}

static void numbers_are_whole_bounded_and_decimal(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int err;
        uint64_t v;
    } rows[] = {
        {"0", 9, 0, 0},
        {"0000000000000000000000042", 99, 0, 42},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, EMSGSIZE, 0},
        {"184467440737095516160", UINT64_MAX, EMSGSIZE, 0}, /* wraps to 0 on its way */
        {"99999999999999999999999", UINT64_MAX, EMSGSIZE, 0},
        {"99999999999999999999999x", UINT64_MAX, EBADMSG, 0},
        {"10", 9, EMSGSIZE, 0},
        {"", 9, EBADMSG, 0},
        {"-1", 9, EBADMSG, 0},
        {"+1", 9, EBADMSG, 0},
        {" 1", 9, EBADMSG, 0},
        {"1 ", 9, EBADMSG, 0},
        {"1:", 9, EBADMSG, 0},
        {"1/", 9, EBADMSG, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t v = 7;

        assert_int_equal(sl_u64(sl_str(rows[i].text), rows[i].max, &v), rows[i].err);
        assert_int_equal(v, rows[i].err != 0 ? 7 : rows[i].v);
    }
}

static void thirty_two_bit_numbers_keep_their_bounds(void **state)
{
    uint32_t v = 7;

    (void)state;
    assert_int_equal(sl_u32(SL("4294967295"), UINT32_MAX, &v), 0);
    assert_int_equal(v, UINT32_MAX);
    assert_int_equal(sl_u32(SL("4294967296"), UINT32_MAX, &v), EMSGSIZE);
    assert_int_equal(sl_hex32(SL("fFfFfFfF"), &v), 0);
    assert_int_equal(v, UINT32_MAX);
    assert_int_equal(sl_hex32(SL("0000000001a"), &v), 0);
    assert_int_equal(v, 0x1a);
    assert_int_equal(sl_hex32(SL("100000000"), &v), EMSGSIZE);
    assert_int_equal(sl_hex32(SL("1g"), &v), EBADMSG);
    assert_int_equal(sl_hex32(SL(""), &v), EBADMSG);
    assert_int_equal(sl_hex32(SL("\x11"), &v), EBADMSG);
    assert_int_equal(v, 0x1a);
}

static void c_strings_need_room_for_their_end(void **state)
{
    char dst[4] = "zzz";

    (void)state;
    assert_int_equal(sl_cstr(SL("abcd"), dst, sizeof(dst)), EMSGSIZE);
    assert_int_equal(sl_cstr(SL("a\0b"), dst, sizeof(dst)), EBADMSG);
    assert_string_equal(dst, "zzz");
    assert_int_equal(sl_cstr(SL("abc"), dst, sizeof(dst)), 0);
    assert_string_equal(dst, "abc");
    assert_int_equal(sl_cstr(SL_NULL, dst, sizeof(dst)), 0);
    assert_string_equal(dst, "");
    assert_int_equal(sl_cstr(SL_NULL, dst, 0), EMSGSIZE);
}

static void globs_match_what_they_should(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } rows[] = {
        {"", "", true},           {"*", "", true},           {"**", "abc", true},
        {"?", "", false},         {"?", "a", true},          {"+49*", "+4930123", true},
        {"+49*", "+48", false},   {"*23", "0123", true},     {"*23", "01234", false},
        {"a*b*c", "aXbYc", true}, {"a*b*c", "abYcX", false}, {"a*b?c", "abbxc", true},
        {"*ab", "aaab", true},    {"*aab*", "aaaaab", true}, {"a", "A", false},
        {"abc", "ab", false},     {"ab", "abc", false},      {"a*", "a", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sl_glob(sl_str(rows[i].pattern), sl_str(rows[i].text)), rows[i].match);
    }
}

static void hostile_globs_end_in_time(void **state)
{
    static char text[20000];

    (void)state;
    memset(text, 'a', sizeof(text)); /* exponential for a matcher that backtracks into each '*' */
    assert_false(sl_glob(SL("*a*a*a*a*a*a*a*a*a*a*a*a*b"), sl_make(text, sizeof(text))));
}

static void utf8_follows_rfc_3629(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"", true},
        {"plain", true},
        {"\xC3\xA9", true},
        {"\xE2\x82\xAC", true},
        {"\xF0\x9F\x93\x9E", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xED\x9F\xBF", true},
        {"\xEE\x80\x80", true},
        {"\xC0\xAF", false},         /* overlong '/' */
        {"\xC1\xBF", false},         /* overlong */
        {"\xE0\x80\xAF", false},     /* overlong */
        {"\xF0\x80\x80\xAF", false}, /* overlong */
        {"\xED\xA0\x80", false},     /* surrogate */
        {"\xF4\x90\x80\x80", false}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", false},
        {"\x80", false},
        {"\xE2\x82", false}, /* cut */
        {"\xE2\x82X", false},
        {"\xF0\x9F\x93", false},
        {"ok\xFF", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sl_is_utf8(sl_str(rows[i].text)), rows[i].ok);
    }
    assert_int_equal(sl_utf8_len(SL("\xE2\x82\xACx")), 3);
    assert_int_equal(sl_utf8_len(SL_NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_ignores_case_only_where_asked),
        cmocka_unit_test(a_difference_is_seen_wherever_it_is),
        cmocka_unit_test(prefixes_and_suffixes_are_found),
        cmocka_unit_test(cutting_stays_inside),
        cmocka_unit_test(bytes_and_needles_are_found_at_their_offset),
        cmocka_unit_test(split_takes_whole_tokens_or_nothing),
        cmocka_unit_test(next_gives_the_last_token_without_a_stop),
        cmocka_unit_test(numbers_are_whole_bounded_and_decimal),
        cmocka_unit_test(thirty_two_bit_numbers_keep_their_bounds),
        cmocka_unit_test(c_strings_need_room_for_their_end),
        cmocka_unit_test(globs_match_what_they_should),
        cmocka_unit_test(hostile_globs_end_in_time),
        cmocka_unit_test(utf8_follows_rfc_3629),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
