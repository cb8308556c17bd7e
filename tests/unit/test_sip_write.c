/* test_sip_write.c - what goes out: headers, names, users, responses, ACK and CANCEL; and that no
 * byte of a peer becomes a line end, a header or a parameter. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct sip_pool *pool;
static char out[SIP_MSG_MAX];

static struct buf writer(void)
{
    struct buf b;

    buf_init_fixed(&b, out, sizeof(out));
    return b;
}

static void assert_written(const struct buf *b, const char *want)
{
    assert_int_equal(buf_err(b), 0);
    if (!sl_eq(buf_sl(b), sl_str(want))) {
        fail_msg("wrote:\n%.*s\nwanted:\n%s", SL_ARG(buf_sl(b)), want);
    }
}

static void a_header_is_one_line_whatever_its_value(void **state)
{
    struct buf b = writer();

    (void)state;
    sip_put_hdr(&b, "Subject", SL("plain"));
    sip_put_hdr(&b, "Subject", SL("a\r\nEvil: 1\r\n\r\nb\0c\nd\re"));
    sip_put_hdr(&b, "Subject", SL_NULL);
    sip_put_hdr(&b, "To", SL("\"a\\\0\" <sip:b\0@c>")); /* the quote must stay a closing one */
    sip_put_hdr_u(&b, "Max-Forwards", 70);
    assert_written(&b, "Subject: plain\r\nSubject: aEvil: 1bcde\r\nSubject: \r\nTo: \"a\\ \" "
                       "<sip:b@c>\r\nMax-Forwards: 70\r\n");
}

static void a_body_comes_with_its_type_and_exact_length(void **state)
{
    struct buf b = writer();

    (void)state;
    sip_put_body(&b, SL("application/sdp"), SL("v=0\r\n"));
    assert_written(&b, "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
    b = writer();
    sip_put_body(&b, SL("application/sdp"), SL_NULL);
    assert_written(&b, "Content-Length: 0\r\n\r\n");
    b = writer();
    sip_put_body(&b, SL("x"), SL("a\0b"));
    assert_int_equal(b.n, strlen("Content-Type: x\r\nContent-Length: 3\r\n\r\n") + 3);
}

static void display_names_are_quoted_afresh(void **state)
{
    static const struct {
        struct sl in;
        const char *want;
    } rows[] = {
        {{"", 0}, ""},
        {{"\"\"", 2}, ""},
        {{"Bob", 3}, "\"Bob\" "},
        {{"\"Bob\"", 5}, "\"Bob\" "},
        {{"\"B\\\"o\\\\b\\x\"", 11}, "\"B\\\"o\\\\bx\" "},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\" "},
        {{"\"a\r\nX: y\"", 9}, "\"aX: y\" "},
        {{"\"a\\\r\\\n\\\0b\"", 10}, "\"ab\" "},
        {{"\"a\\", 3}, "\"a\" "},
        {{"\"\\\"", 3}, ""},
        {{"\x01\x7f\t", 3}, ""},
        {{"\"J\xc3\xb6rg \xe6\xbc\xa2\"", 11}, "\"J\xc3\xb6rg \xe6\xbc\xa2\" "},
        {{"a\xff\xc3(\xc2\x85"
          "b",
          7},
         "\"a(b\" "},
        {{"a> <sip:evil@x>", 15}, "\"a> <sip:evil@x>\" "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = writer();

        sip_put_display(&b, rows[i].in);
        assert_written(&b, rows[i].want);
    }
}

static void a_long_display_name_is_cut_between_characters(void **state)
{
    char name[200];
    struct buf b = writer();

    (void)state;
    memset(name, 'a', sizeof(name));
    memcpy(name + 127, "\xc3\xa4", 2);
    sip_put_display(&b, sl_make(name, sizeof(name)));
    assert_int_equal(b.n, 127 + 3);
    b = writer();
    memset(name, '"', sizeof(name)); /* the first is taken for the opening quote */
    sip_put_display(&b, sl_make(name, sizeof(name)));
    assert_int_equal(b.n, 128 * 2 + 3);
}

static void users_hold_nothing_that_ends_them(void **state)
{
    static const struct {
        struct sl in;
        const char *want;
    } rows[] = {
        {{"", 0}, ""},
        {{"+49-30.(5)!~*'_&=$,/", 20}, "+49-30.(5)!~*'_&=$,/"},
        {{"a%41%zz%4", 9}, "a%41%25zz%254"},
        {{"a@evil", 6}, "a%40evil"},
        {{"a:p", 3}, "a%3Ap"},
        {{"a;lr?Route=x", 12}, "a%3Blr%3FRoute=x"},
        {{"*72#", 4}, "*72%23"},
        {{"+1;npdi", 7}, "+1%3Bnpdi"},
        {{"a\r\nb\0c", 6}, "a%0D%0Ab%00c"},
        {{"<\"\\> \xc3\xa4", 7}, "%3C%22%5C%3E%20%C3%A4"},
        {{"a%0d%0a", 7}, "a%0d%0a"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = writer();

        sip_put_user(&b, rows[i].in);
        assert_written(&b, rows[i].want);
    }
}

static void numbers_keep_what_is_said_of_them(void **state)
{
    static const struct {
        struct sl in;
        const char *want;
        size_t n;
    } rows[] = {
        {SL("+1415"), "+1415", 5},
        {SL("+14155550100;npdi;RN=+14155550199;cic=+1288"),
         "+14155550100;npdi;RN=+14155550199;cic=+1288", 12},
        {SL("5550100;phone-context=+1415"), "5550100;phone-context=+1415", 7},
        {SL("5550100;phone-context=a@b"), "5550100%3Bphone-context=a%40b", 25},
        {SL("+1;npdi;lr"), "+1%3Bnpdi%3Blr", 10},
        {SL("+1;rn="), "+1%3Brn=", 6},
        {SL("+1;;npdi"), "+1%3B%3Bnpdi", 8},
        {SL(";npdi"), "%3Bnpdi", 5},
        {SL("alice;npdi"), "alice%3Bnpdi", 10},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = writer();

        sip_put_number(&b, rows[i].in);
        assert_written(&b, rows[i].want);
        assert_int_equal(sip_number_len(rows[i].in), rows[i].n);
    }
}

static struct sip_msg *request(const char *vias, const char *rest)
{
    char text[2048];
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    snprintf(text, sizeof(text), "INVITE sip:b@h SIP/2.0\r\n%s%s\r\n", vias, rest);
    (void)!sip_msg_parse(pool, sl_str(text), &m, &bad);
    assert_non_null(m);
    return m;
}

#define REST "f: <sip:a@h>;tag=f\r\nt: <sip:b@h>\r\ni: c\r\nCSeq: 5 INVITE\r\n"

static void the_topmost_via_tells_where_the_request_came_from(void **state)
{
    static const struct {
        const char *in, *src, *want;
    } rows[] = {
        /* sent-by is the source: nothing to add */
        {"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n", "192.0.2.9",
         "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n"},
        {"v: SIP / 2.0 / UDP h.example ; branch = z9hG4bK1\r\n", "192.0.2.9",
         "Via: SIP / 2.0 / UDP h.example;branch=z9hG4bK1;received=192.0.2.9\r\n"},
        {"Via: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1\r\n", "192.0.2.9",
         "Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;received=192.0.2.9;rport=5999\r\n"},
        {"Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1\r\n", "192.0.2.9",
         "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;received=192.0.2.9;rport=5999\r\n"},
        /* what the client wrote there itself does not pass */
        {"Via: SIP/2.0/UDP h;received=203.0.113.1;rport=53;branch=z9hG4bK1;x=\"y;z\"\r\n",
         "192.0.2.9",
         "Via: SIP/2.0/UDP h;branch=z9hG4bK1;x=\"y;z\";received=192.0.2.9;rport=5999\r\n"},
        {"Via: SIP/2.0/UDP 192.0.2.9;received=203.0.113.1;branch=z9hG4bK1\r\n", "192.0.2.9",
         "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n"},
        {"Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1\r\n", "2001:db8::2",
         "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;received=2001:db8::2\r\n"},
        {"Via: SIP/2.0/UDP [2001:db8:0::1];branch=z9hG4bK1\r\n", "2001:db8::1",
         "Via: SIP/2.0/UDP [2001:db8:0::1];branch=z9hG4bK1\r\n"},
        /* the others as they came, in order */
        {"Via: SIP/2.0/UDP h;branch=z9hG4bK1 ,\r\n SIP/2.0/X i;rport;received=1.1.1.1\r\nv: "
         "SIP/2.0/TCP j\r\n",
         "192.0.2.9",
         "Via: SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/X "
         "i;rport;received=1.1.1.1\r\n"
         "Via: SIP/2.0/TCP j\r\n"},
        /* unreadable: as it came */
        {"Via: SIP/2.0/UDP h;;branch=1,,\r\n", "192.0.2.9", "Via: SIP/2.0/UDP h;;branch=1,,\r\n"},
        {"Via: SIP/2.0/UDP h;rport\r\n", NULL, "Via: SIP/2.0/UDP h;rport\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sip_msg *m = request(rows[i].in, REST);
        struct buf b = writer();
        struct addr src;

        if (rows[i].src != NULL) {
            assert_int_equal(addr_parse(sl_str(rows[i].src), 5999, &src), 0);
        }
        sip_put_vias(&b, m, rows[i].src != NULL ? &src : NULL);
        assert_written(&b, rows[i].want);
        sip_msg_unref(&m);
    }
}

#define VIA "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"

static void a_response_copies_what_the_rfc_lists_and_no_more(void **state)
{
    struct sip_msg *m = request(VIA, REST "Subject: x\r\nRecord-Route: <sip:p;lr>, <sip:q;lr>\r\n"
                                          "Record-Route: <sip:r;lr>\r\nTimestamp: 5.1\r\n");
    struct buf b = writer();

    (void)state;
    sip_put_response(
        &b, &(struct sip_response){.req = m, .status = 180, .to_tag = SL("our"), .rr = true});
    assert_written(
        &b, "SIP/2.0 180 Ringing\r\n" VIA
            "Record-Route: <sip:p;lr>, <sip:q;lr>\r\nRecord-Route: <sip:r;lr>\r\n"
            "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=our\r\nCall-ID: c\r\nCSeq: 5 INVITE\r\n");
    b = writer();
    sip_put_response(&b, &(struct sip_response){.req = m, .status = 100, .to_tag = SL("our")});
    assert_written(&b, "SIP/2.0 100 Trying\r\n" VIA
                       "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n"
                       "CSeq: 5 INVITE\r\nTimestamp: 5.1\r\n");
    sip_msg_unref(&m);
}

static void a_tag_that_is_there_stays_and_an_unreadable_to_gets_none(void **state)
{
    struct sip_msg *m =
        request(VIA, "f: <sip:a@h>\r\nt: sip:b@h;tag=theirs\r\ni: c\r\nCSeq: 5 INVITE\r\n");
    struct buf b = writer();

    (void)state;
    sip_put_response(&b, &(struct sip_response){
                             .req = m, .status = 486, .reason = "No\r\nway", .to_tag = SL("our")});
    assert_written(&b, "SIP/2.0 486 Noway\r\n" VIA
                       "From: <sip:a@h>\r\nTo: sip:b@h;tag=theirs\r\nCall-ID: c\r\n"
                       "CSeq: 5 INVITE\r\n");
    sip_msg_unref(&m);
    m = request(VIA, "t: \"open\rquote <sip:b@h>\r\nCSeq: 5 INVITE\r\n");
    b = writer();
    sip_put_response(&b, &(struct sip_response){.req = m, .status = 400, .to_tag = SL("our")});
    assert_written(&b, "SIP/2.0 400 Bad Request\r\n" VIA
                       "To: \"openquote <sip:b@h>\r\nCSeq: 5 INVITE\r\n");
    sip_msg_unref(&m);
}

#define INVITE                                                                                     \
    "INVITE sip:b@192.0.2.4;x=y SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKtok;rport\r\n"        \
    "Max-Forwards: 12\r\nRoute: <sip:p1;lr>, <sip:p2;lr>\r\nRoute: <sip:p3;lr>\r\n"                \
    "From: \"A\" <sip:a@us>;tag=ft\r\nTo: <sip:b@them>\r\nCall-ID: cid\r\nCSeq: 4711 INVITE\r\n"   \
    "Contact: <sip:x@us>\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"

static void ack_for_a_failure_matches_its_invite(void **state)
{
    struct buf b = writer();

    (void)state;
    assert_int_equal(sip_write_ack_failure(&b, SL(INVITE), SL("<sip:b@them>;tag=tt")), 0);
    assert_written(
        &b, "ACK sip:b@192.0.2.4;x=y SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKtok;rport\r\n"
            "Max-Forwards: 70\r\nRoute: <sip:p1;lr>, <sip:p2;lr>\r\nRoute: <sip:p3;lr>\r\n"
            "From: \"A\" <sip:a@us>;tag=ft\r\nTo: <sip:b@them>;tag=tt\r\nCall-ID: cid\r\n"
            "CSeq: 4711 ACK\r\nContent-Length: 0\r\n\r\n");
    b = writer();
    assert_int_equal(sip_write_ack_failure(&b, SL(INVITE), SL("<sip:b>\r\nX: y\r\n")), 0);
    assert_true(sl_find(buf_sl(&b), SL("To: <sip:b>X: y\r\nCall-ID")) > 0);
}

static void cancel_matches_its_invite(void **state)
{
    struct buf b = writer();
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    (void)state;
    assert_int_equal(sip_write_cancel(&b, SL(INVITE), SL_NULL), 0);
    assert_written(
        &b, "CANCEL sip:b@192.0.2.4;x=y SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKtok;rport\r\n"
            "Max-Forwards: 70\r\nRoute: <sip:p1;lr>, <sip:p2;lr>\r\nRoute: <sip:p3;lr>\r\n"
            "From: \"A\" <sip:a@us>;tag=ft\r\nTo: <sip:b@them>\r\nCall-ID: cid\r\n"
            "CSeq: 4711 CANCEL\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(sip_msg_parse(pool, buf_sl(&b), &m, &bad), 0);
    assert_int_equal(m->method, SIP_CANCEL);
    sip_msg_unref(&m);
}

static void what_is_no_invite_gives_no_ack_and_no_cancel(void **state)
{
    static const char *const rows[] = {
        "",
        "INVITE",
        "INVITE \r\n\r\n",
        "INVITE sip:a\r\n\r\n",
        "INVITE sip:a SIP/2.0",
        "INVITE sip:a SIP/2.0\r\n\r\n",
        "BYE sip:a SIP/2.0\r\n" VIA REST "\r\n",
        "SIP/2.0 200 OK\r\n" VIA REST "\r\n",
        "INVITE sip:a SIP/2.0\r\n" REST "\r\n",
        "INVITE sip:a SIP/2.0\r\n" VIA "bad line\r\n" REST "\r\n",
        "INVITE sip:a SIP/2.0\r\n" VIA "f: a\r\nt: b\r\ni: c\r\nCSeq: x INVITE\r\n\r\n",
        "INVITE sip:a SIP/2.0\r\n" VIA "f: a\r\nt: b\r\ni: c\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = writer();

        assert_int_equal(sip_write_ack_failure(&b, sl_str(rows[i]), SL("x")), EBADMSG);
        assert_int_equal(sip_write_cancel(&b, sl_str(rows[i]), SL_NULL), EBADMSG);
        assert_int_equal(b.n, 0);
    }
}

static void a_full_writer_reports_and_never_overruns(void **state)
{
    struct sip_msg *m = request(VIA, REST);
    size_t whole;
    struct buf b = writer();

    (void)state;
    assert_int_equal(sip_write_cancel(&b, SL(INVITE), SL_NULL), 0);
    whole = b.n;
    for (size_t cap = 0; cap < whole; cap++) {
        char *small = malloc(cap != 0 ? cap : 1);

        assert_non_null(small);
        buf_init_fixed(&b, small, cap);
        assert_int_equal(sip_write_cancel(&b, SL(INVITE), SL_NULL), EMSGSIZE);
        buf_init_fixed(&b, small, cap);
        sip_put_response(&b, &(struct sip_response){.req = m, .status = 200, .to_tag = SL("our")});
        free(small);
    }
    sip_msg_unref(&m);
}

static int setup(void **state)
{
    (void)state;
    return sip_pool_new(&pool);
}

static int teardown(void **state)
{
    (void)state;
    sip_pool_free(&pool);
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_one_line_whatever_its_value),
        cmocka_unit_test(a_body_comes_with_its_type_and_exact_length),
        cmocka_unit_test(display_names_are_quoted_afresh),
        cmocka_unit_test(a_long_display_name_is_cut_between_characters),
        cmocka_unit_test(users_hold_nothing_that_ends_them),
        cmocka_unit_test(numbers_keep_what_is_said_of_them),
        cmocka_unit_test(the_topmost_via_tells_where_the_request_came_from),
        cmocka_unit_test(a_response_copies_what_the_rfc_lists_and_no_more),
        cmocka_unit_test(a_tag_that_is_there_stays_and_an_unreadable_to_gets_none),
        cmocka_unit_test(ack_for_a_failure_matches_its_invite),
        cmocka_unit_test(cancel_matches_its_invite),
        cmocka_unit_test(what_is_no_invite_gives_no_ack_and_no_cancel),
        cmocka_unit_test(a_full_writer_reports_and_never_overruns),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
