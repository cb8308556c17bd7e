/* test_sip_names.c - methods, transports, header names, reason phrases. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void each_method_is_known_by_its_exact_name_only(void **state)
{
    (void)state;
    for (unsigned m = 0; m < SIP_METHOD_OTHER; m++) {
        struct sl name = sl_str(sip_method_name((enum sip_method)m));
        char lower[16];

        assert_int_equal(sip_method_of(name), m);
        for (size_t i = 0; i < name.n; i++) {
            lower[i] = (char)(name.p[i] | 0x20);
        }
        assert_int_equal(sip_method_of(sl_make(lower, name.n)), SIP_METHOD_OTHER);
        assert_int_equal(sip_method_of(sl_head(name, name.n - 1)), SIP_METHOD_OTHER);
    }
    assert_int_equal(sip_method_of(SL_NULL), SIP_METHOD_OTHER);
    assert_int_equal(sip_method_of(SL("OTHER")), SIP_METHOD_OTHER);
    assert_int_equal(sip_method_of(SL("INVITES")), SIP_METHOD_OTHER);
    assert_string_equal(sip_method_name(SIP_INVITE), "INVITE");
    assert_string_equal(sip_method_name(SIP_METHOD_OTHER), "OTHER");
}

static void transports_are_known_in_any_case(void **state)
{
    static const struct {
        const char *name;
        enum sip_transport want;
    } rows[] = {{"UDP", SIP_UDP},
                {"udp", SIP_UDP},
                {"Tcp", SIP_TCP},
                {"tls", SIP_TLS},
                {"ws", SIP_WS},
                {"WSS", SIP_WSS},
                {"SCTP", SIP_TRANSPORT_OTHER},
                {"", SIP_TRANSPORT_OTHER},
                {"other", SIP_TRANSPORT_OTHER},
                {"UDPX", SIP_TRANSPORT_OTHER}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sip_transport_of(sl_str(rows[i].name)), rows[i].want);
    }
    assert_string_equal(sip_transport_name(SIP_WSS), "WSS");
    assert_string_equal(sip_transport_name(SIP_TRANSPORT_OTHER), "OTHER");
}

static void each_header_is_found_by_its_own_name_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = HDR_OTHER + 1; id < HDR_N; id++) {
        struct sl name = sl_str(hdr_name((enum hdr_id)id));
        char other[32];

        assert_true(name.n >= 2 && name.n < sizeof(other));
        assert_int_equal(hdr_id(name), id);
        for (size_t i = 0; i < name.n; i++) {
            bool is_letter = (name.p[i] | 0x20) >= 'a' && (name.p[i] | 0x20) <= 'z';

            other[i] = is_letter ? (char)(name.p[i] ^ 0x20) : name.p[i];
        }
        assert_int_equal(hdr_id(sl_make(other, name.n)), id);
        other[name.n - 1] = '!';
        assert_int_equal(hdr_id(sl_make(other, name.n)), HDR_OTHER);
    }
    assert_string_equal(hdr_name(HDR_OTHER), "");
}

static void compact_names_mean_the_same_header(void **state)
{
    static const struct {
        char c;
        enum hdr_id id;
    } rows[] = {{'i', HDR_CALL_ID},
                {'m', HDR_CONTACT},
                {'e', HDR_CONTENT_ENCODING},
                {'l', HDR_CONTENT_LENGTH},
                {'c', HDR_CONTENT_TYPE},
                {'f', HDR_FROM},
                {'s', HDR_SUBJECT},
                {'k', HDR_SUPPORTED},
                {'t', HDR_TO},
                {'v', HDR_VIA},
                {'u', HDR_ALLOW_EVENTS},
                {'o', HDR_EVENT},
                {'r', HDR_REFER_TO},
                {'b', HDR_REFERRED_BY},
                {'x', HDR_SESSION_EXPIRES},
                {'y', HDR_IDENTITY}};
    unsigned known = 0;

    (void)state;
    for (int c = 0; c < 256; c++) {
        char name = (char)c;
        enum hdr_id want = HDR_OTHER;

        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            if (rows[i].c == name || rows[i].c - 0x20 == name) {
                want = rows[i].id;
                known++;
            }
        }
        assert_int_equal(hdr_id(sl_make(&name, 1)), want);
    }
    assert_int_equal(known, 2 * COUNT_OF(rows));
}

static void names_that_only_look_like_a_header_are_others(void **state)
{
    static const char *const rows[] = {"",
                                       "Gda",
                                       "Xnh",
                                       "Vi",
                                       "Vias",
                                       "To:",
                                       "T0",
                                       "Call ID",
                                       "Call_ID",
                                       "From ",
                                       "C%6Fntact",
                                       "Content-Lengths",
                                       "X-Content-Length-Long-Name",
                                       "Conten\xf4-Length",
                                       "@ia",
                                       "\x16ia"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(hdr_id(sl_str(rows[i])), HDR_OTHER);
    }
    assert_int_equal(hdr_id(sl_make("To\0", 3)), HDR_OTHER);
}

static void each_status_has_its_phrase_or_that_of_its_class(void **state)
{
    static const struct {
        uint16_t status;
        const char *phrase;
    } rows[] = {{100, "Trying"},
                {200, "OK"},
                {302, "Moved Temporarily"},
                {416, "Unsupported URI Scheme"},
                {487, "Request Terminated"},
                {503, "Service Unavailable"},
                {608, "Rejected"},
                {199, "Early Dialog Terminated"},
                {299, "Success"},
                {499, "Request Failure"},
                {599, "Server Failure"},
                {699, "Global Failure"},
                {0, "Unknown"},
                {65535, "Unknown"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(sip_reason(rows[i].status), rows[i].phrase);
    }
    for (unsigned s = 0; s < 1000; s++) {
        assert_non_null(sip_reason((uint16_t)s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_is_known_by_its_exact_name_only),
        cmocka_unit_test(transports_are_known_in_any_case),
        cmocka_unit_test(each_header_is_found_by_its_own_name_in_any_case),
        cmocka_unit_test(compact_names_mean_the_same_header),
        cmocka_unit_test(names_that_only_look_like_a_header_are_others),
        cmocka_unit_test(each_status_has_its_phrase_or_that_of_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
