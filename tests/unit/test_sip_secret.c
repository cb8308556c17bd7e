/* test_sip_secret.c - what is left of credentials and keys in a message that is kept. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static const char *blackened(const char *text)
{
    static char copy[512];

    (void)snprintf(copy, sizeof(copy), "%s", text);
    sip_blacken(copy, strlen(copy));
    return copy;
}

static void answers_to_challenges_can_not_be_guessed_at(void **state)
{
    (void)state;
    assert_string_equal(blackened("Authorization: Digest username=\"1001\", nonce=\"aB3+/9==\", "
                                  "response=\"0123456789abcdef\"\r\nTo: <sip:a@b>\r\n"),
                        "Authorization: Digest username=\"1001\", nonce=\"AAAAAA==\", "
                        "response=\"AAAAAAAAAAAAAAAA\"\r\nTo: <sip:a@b>\r\n");
    assert_string_equal(blackened("proxy-authorization: Basic dXNlcjpwdw==\r\nx"),
                        "proxy-authorization: Basic AAAAAAAAAA==\r\nx");
}

static void keys_of_a_description_are_no_keys_any_more(void **state)
{
    (void)state;
    assert_string_equal(blackened("a=crypto:1 X inline:abc+/|2^20|1:4;inline:def|2^20\r\n"
                                  "k=clear:word\r\na=ice-pwd:secret0"),
                        "a=crypto:1 X inline:AAAAA|2^20|1:4;inline:AAA|2^20\r\n"
                        "k=clear:AAAA\r\na=ice-pwd:AAAAAAA");
}

static void what_is_cut_off_or_no_secret_stays_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(blackened("INVITE sip:response=\"a\"@b SIP/2.0\r\nX: inline:abc\r\n"),
                        "INVITE sip:response=\"a\"@b SIP/2.0\r\nX: inline:abc\r\n");
    assert_string_equal(blackened("Authorization: Digest respon"), "Authorization: Digest respon");
    assert_string_equal(blackened(""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_to_challenges_can_not_be_guessed_at),
        cmocka_unit_test(keys_of_a_description_are_no_keys_any_more),
        cmocka_unit_test(what_is_cut_off_or_no_secret_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
