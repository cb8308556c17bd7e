/* test_sip_msg.c - whole messages: fields, verdicts, limits, look-ups, memory. */
#include "sip/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define START "INVITE sip:bob@example.com SIP/2.0\r\n"
#define VIA "Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1;rport\r\n"
#define FROM "From: \"A\" <sip:alice@example.com>;tag=ft\r\n"
#define TO "To: <sip:bob@example.com>\r\n"
#define CALL_ID "Call-ID: c1@192.0.2.1\r\n"
#define CSEQ "CSeq: 7 INVITE\r\n"
#define HEAD START VIA FROM TO CALL_ID CSEQ

static struct sip_pool *pool;

static void assert_sl(struct sl got, const char *want)
{
    if (!sl_eq(got, sl_str(want))) {
        fail_msg("\"%.*s\" is not \"%s\"", SL_ARG(got), want);
    }
}

static struct sip_msg *parse(const char *text)
{
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    if (sip_msg_parse(pool, sl_str(text), &m, &bad) != 0) {
        fail_msg("%s: %s", bad.reason, text);
    }
    return m;
}

static void a_request_gives_all_its_common_fields(void **state)
{
    struct sip_msg *m = parse(HEAD "Max-Forwards: 9\r\nl: 4\r\n\r\nbodyextra");

    (void)state;
    assert_true(m->is_request);
    assert_int_equal(m->method, SIP_INVITE);
    assert_sl(m->method_name, "INVITE");
    assert_sl(m->ruri_text, "sip:bob@example.com");
    assert_sl(m->ruri.user, "bob");
    assert_sl(m->call_id, "c1@192.0.2.1");
    assert_sl(m->from.uri.user, "alice");
    assert_sl(m->from_tag, "ft");
    assert_sl(m->to.uri.user, "bob");
    assert_int_equal(m->to_tag.n, 0);
    assert_int_equal(m->cseq, 7);
    assert_int_equal(m->cseq_method, SIP_INVITE);
    assert_sl(m->via.branch, "z9hG4bK1");
    assert_true(m->via.has_rport);
    assert_int_equal(m->max_forwards, 9);
    assert_true(m->has_max_forwards);
    assert_sl(m->body, "body");
    assert_int_equal(m->n_hdrs, 7);
    sip_msg_unref(&m);
    assert_null(m);
}

static void a_response_gives_status_reason_and_the_method_of_cseq(void **state)
{
    static const struct {
        const char *line;
        uint16_t status;
        const char *reason;
    } rows[] = {{"SIP/2.0 200 OK\r\n", 200, "OK"},
                {"sip/2.0 183 \r\n", 183, ""},
                {"SIP/2.0 699\r\n", 699, ""},
                {"SIP/2.0 100  two  spaces \r\n", 100, " two  spaces "}};
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sip_msg *m;

        snprintf(text, sizeof(text), "%s" VIA FROM TO CALL_ID "CSeq: 7 BYE\r\n\r\n", rows[i].line);
        m = parse(text);
        assert_false(m->is_request);
        assert_int_equal(m->status, rows[i].status);
        assert_sl(m->reason, rows[i].reason);
        assert_int_equal(m->method, SIP_BYE);
        assert_int_equal(m->cseq_method, SIP_BYE);
        sip_msg_unref(&m);
    }
}

static const struct {
    const char *text;
    int err;
    uint16_t status;
} refused[] = {
    /* not SIP: nothing to answer */
    {"", ENODATA, 0},
    {"\r\n\r\n", ENODATA, 0},
    {"GET / HTTP/1.1\r\n\r\n", ENODATA, 0},
    {"hello\r\n\r\n", ENODATA, 0},
    {" INVITE sip:a SIP/2.0\r\n" VIA "\r\n", ENODATA, 0},
    {"{\"a\": 1}", ENODATA, 0},
    {"SIP/2.0 099 Early\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    /* never answered: responses, ACK, no Via */
    {"SIP/2.0 2000 OK\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/2.0 20 OK\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/2.0 -20 OK\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/3.0 200 OK\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/2.0 200 OK\r\n" VIA FROM TO CALL_ID "\r\n", EBADMSG, 0},
    {"SIP/2.0 200 OK\r\n" FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/2.0 200 OK\r\n" VIA VIA FROM FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"SIP/2.0 200 OK\r\n" VIA "From: x\r\n" TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    {"ACK sip:a SIP/2.0\r\n" VIA TO CALL_ID "CSeq: 7 ACK\r\n\r\n", EBADMSG, 0},
    {"ACK sip:a SIP/9.0\r\n" VIA FROM TO CALL_ID "CSeq: 7 ACK\r\n\r\n", EBADMSG, 0},
    {START FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 0},
    /* requests */
    {START VIA TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM TO CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "\r\n", EBADMSG, 400},
    {START "Via:\r\n" FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {HEAD, EBADMSG, 400},
    {START "Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n" FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a?b=c SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE <sip:a> SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE  sip:a SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a SIP/2.0 \r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a; lr SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {HEAD "Subject: open", EBADMSG, 400},
    {HEAD "Subject: open\r", EBADMSG, 400},
    {HEAD CSEQ "\r\n", EBADMSG, 400},
    {HEAD "f: <sip:x@y>;tag=ft\r\n\r\n", EBADMSG, 400},
    {HEAD "l: 0\r\nContent-Length: 0\r\n\r\n", EBADMSG, 400},
    {HEAD "l: 1\r\n\r\n", EBADMSG, 400},
    {HEAD "l: 0x0\r\n\r\n", EBADMSG, 400},
    {HEAD "l:\r\n\r\n", EBADMSG, 400},
    {HEAD "l: 0, 0\r\n\r\n", EBADMSG, 400},
    {HEAD "Contact: *, <sip:a\r\n\r\n", EBADMSG, 400},
    {HEAD "Contact: <sip:a@b>, <sip:c@d>;;\r\n\r\n", EBADMSG, 400},
    {HEAD "m: <sip:a@b>\r\nm: sip:a@b?c=d\r\n\r\n", EBADMSG, 400},
    {HEAD "Route: *\r\n\r\n", EBADMSG, 400},
    {HEAD "Route: <sip:a;lr>, x\r\n\r\n", EBADMSG, 400},
    {HEAD "Record-Route: <sip:a;lr>,\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: 7INVITE\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: 7\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: INVITE 7\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: 7 INVITE x\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: 7 invite\r\n\r\n", EBADMSG, 400},
    {START VIA FROM TO CALL_ID "CSeq: 2147483648 INVITE\r\n\r\n", EBADMSG, 400},
    {START VIA FROM "To: <sip:a@b>;tag=\r\n" CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM "To: <sip:a@b>;tag=\"x\"\r\n" CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM "To: <sip:a@b>;tag=1;TAG=1\r\n" CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM "To: *\r\n" CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM TO "Call-ID: a b\r\n" CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM TO "Call-ID:\r\n" CSEQ "\r\n", EBADMSG, 400},
    {START VIA FROM TO "Call-ID: \xc3\xa4\r\n" CSEQ "\r\n", EBADMSG, 400},
    {START " x: y\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a SIP/2.0\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a\rb SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a SIP/2.\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 400},
    {"INVITE sip:a SIP/1.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 505},
    {"INVITE sip:a SIP/2.1\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 505},
    {"invite sip:a SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ "\r\n", EBADMSG, 501},
    {HEAD "X: a\nY: b\r\n\r\n", EBADMSG, 400},
    {HEAD "X: a\n b\r\n\r\n", EBADMSG, 400},
    {HEAD "X: a\r b\r\n\r\n", EBADMSG, 400},
    {HEAD "X\r\n : a\r\n\r\n", EBADMSG, 400},
};

static void each_fault_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        size_t n = strlen(refused[i].text);
        char *exact = malloc(n != 0 ? n : 1);
        struct sip_msg *m = NULL;
        struct sip_bad bad;
        int err;

        assert_non_null(exact);
        memcpy(exact, refused[i].text, n);
        err = sip_msg_parse(pool, sl_make(exact, n), &m, &bad);
        if (err != refused[i].err || bad.status != refused[i].status || bad.reason == NULL ||
            (m != NULL) != (bad.status != 0)) {
            fail_msg("%d %u %s: %s", err, bad.status, bad.reason, refused[i].text);
        }
        sip_msg_unref(&m);
        free(exact);
    }
}

static void what_could_be_read_of_a_bad_request_is_there_for_the_answer(void **state)
{
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    (void)state;
    assert_int_equal(
        sip_msg_parse(pool, SL(START VIA "To: \"x\r\n" CALL_ID CSEQ "l: 5\r\n\r\n"), &m, &bad),
        EBADMSG);
    assert_true(m->is_request);
    assert_sl(m->via.branch, "z9hG4bK1");
    assert_sl(m->call_id, "c1@192.0.2.1");
    assert_int_equal(m->cseq, 7);
    assert_int_equal(m->to.uri_text.n, 0);
    assert_int_equal(m->from.uri_text.n, 0);
    assert_sl(sip_hdr_value(m, HDR_TO), "\"x");
    assert_null(sip_hdr(m, HDR_FROM));
    assert_int_equal(m->body.n, 0);
    sip_msg_unref(&m);
}

static void a_nul_passes_in_a_quoted_pair_only(void **state)
{
    static const struct {
        struct sl line;
        bool ok;
    } rows[] = {
        {{"X: \"\\\0\"\r\n", 9}, true}, {{"X: \"\0\"\r\n", 8}, false},
        {{"X: \\\0\r\n", 7}, false},    {{"X: \"\\\\\0\"\r\n", 10}, false},
        {{"X\0: 1\r\n", 7}, false},     {{"X: \"\" \\\0\r\n", 10}, false},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t n = sizeof(HEAD) - 1;
        struct sip_msg *m = NULL;
        struct sip_bad bad;
        int err;

        memcpy(text, HEAD, n);
        memcpy(text + n, rows[i].line.p, rows[i].line.n);
        n += rows[i].line.n;
        memcpy(text + n, "\r\n\0", 3); /* in the body it is nobody's business */
        err = sip_msg_parse(pool, sl_make(text, n + 3), &m, &bad);
        if ((err == 0) != rows[i].ok) {
            fail_msg("row %zu", i);
        }
        sip_msg_unref(&m);
    }
}

/* Builds HEAD, `count` times `unit`, `tail` and the empty line. */
static int parse_many(const char *unit, size_t count, const char *tail, uint16_t *status)
{
    static char text[4 * SIP_MSG_MAX];
    struct buf b;
    struct sip_msg *m = NULL;
    struct sip_bad bad;
    int err;

    buf_init_fixed(&b, text, sizeof(text));
    BUF_LIT(&b, HEAD);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&b, unit);
    }
    buf_puts(&b, tail);
    BUF_LIT(&b, "\r\n");
    assert_int_equal(buf_err(&b), 0);
    err = sip_msg_parse(pool, buf_sl(&b), &m, &bad);
    *status = bad.status;
    sip_msg_unref(&m);
    return err;
}

static void each_limit_holds_to_the_last_unit(void **state)
{
    static const struct {
        const char *unit;
        size_t at_limit;
        const char *tail;
        int err;
        uint16_t status;
        size_t over;
    } rows[] = {
        {"X: y\r\n", SIP_HDRS_MAX - 5, "", EMSGSIZE, 513, 1},
        {"v: SIP/2.0/UDP h\r\n", SIP_VIAS_MAX - 1, "", EBADMSG, 400, 1},
        {"m: <sip:a>, <sip:b>, <sip:c>, <sip:d>\r\n", SIP_VALUES_MAX / 4, "", EBADMSG, 400, 1},
        {"Route: <sip:a>, <sip:b>, <sip:c>, <sip:d>\r\n", SIP_VALUES_MAX / 4, "", EBADMSG, 400, 1},
    };
    uint16_t status;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (parse_many(rows[i].unit, rows[i].at_limit, rows[i].tail, &status) != 0) {
            fail_msg("%s at its limit: %u", rows[i].unit, status);
        }
        assert_int_equal(
            parse_many(rows[i].unit, rows[i].at_limit + rows[i].over, rows[i].tail, &status),
            rows[i].err);
        assert_int_equal(status, rows[i].status);
    }
}

static void one_value_too_many_in_an_address_list_is_refused(void **state)
{
    static const char four[] = "m: <sip:a>, <sip:b>, <sip:c>, <sip:d>\r\n";
    uint16_t status;

    (void)state;
    assert_int_equal(parse_many(four, SIP_VALUES_MAX / 4 - 1, four, &status), 0);
    assert_int_equal(parse_many(four, SIP_VALUES_MAX / 4, "m: <sip:e>\r\n", &status), EBADMSG);
    assert_int_equal(status, 400);
}

static void long_lines_identifiers_and_messages_are_refused(void **state)
{
    static char big[2 * SIP_MSG_MAX];
    char line[SIP_HDR_LINE_MAX + 16];
    uint16_t status;

    (void)state;
    memset(line, 'a', sizeof(line));
    memcpy(line, "X: ", 3);
    memcpy(line + SIP_HDR_LINE_MAX, "\r\n", 3);
    assert_int_equal(parse_many(line, 1, "", &status), 0);
    memset(line + 3, 'a', sizeof(line) - 3);
    memcpy(line + SIP_HDR_LINE_MAX + 1, "\r\n", 3);
    assert_int_equal(parse_many(line, 1, "", &status), EMSGSIZE);
    assert_int_equal(status, 513);
    memset(big, 'b', sizeof(big) - 1);
    assert_int_equal(parse_many("", 0, "\r\n", &status), 0);
    big[SIP_MSG_MAX - (sizeof(HEAD) - 1) - 4] = '\0';
    memcpy(big, "\r\n", 2);
    assert_int_equal(parse_many(big, 1, "\r\n", &status), 0);
    assert_int_equal(parse_many(big, 1, "x\r\n", &status), EMSGSIZE);
    assert_int_equal(status, 513);
}

static void look_ups_walk_all_fields_of_a_kind(void **state)
{
    struct sip_msg *m =
        parse(HEAD "Supported:\r\nAllow: INVITE,ACK,,\r\nk: timer , 100rel;x=1\r\n"
                   "X-A: 1\r\nSUPPORTED: gruu\r\nc: application/SDP ; charset=x\r\n\r\n");
    const struct sip_hdr *h;
    struct sip_values it = {0};
    struct sl v;
    uint16_t pos = 0;

    (void)state;
    assert_sl(sip_content_type(m), "application/SDP");
    assert_null(sip_hdr(m, HDR_REQUIRE));
    assert_int_equal(sip_hdr_value(m, HDR_REQUIRE).n, 0);
    assert_null(sip_hdr_next(m, HDR_REQUIRE, &pos));
    h = sip_hdr_next(m, HDR_SUPPORTED, &pos);
    assert_int_equal(h->value.n, 0);
    h = sip_hdr_next(m, HDR_SUPPORTED, &pos);
    assert_sl(h->value, "timer , 100rel;x=1");
    h = sip_hdr_next(m, HDR_SUPPORTED, &pos);
    assert_sl(h->value, "gruu");
    assert_null(sip_hdr_next(m, HDR_SUPPORTED, &pos));
    assert_int_equal(sip_values_next(m, HDR_SUPPORTED, &it, &v), 0);
    assert_sl(v, "timer");
    assert_int_equal(sip_values_next(m, HDR_SUPPORTED, &it, &v), 0);
    assert_sl(v, "100rel;x=1");
    assert_int_equal(sip_values_next(m, HDR_SUPPORTED, &it, &v), 0);
    assert_sl(v, "gruu");
    assert_int_equal(sip_values_next(m, HDR_SUPPORTED, &it, &v), ENODATA);
    assert_int_equal(sip_values_next(m, HDR_SUPPORTED, &it, &v), ENODATA);
    assert_true(sip_hdr_has_token(m, HDR_SUPPORTED, SL("TIMER")));
    assert_true(sip_hdr_has_token(m, HDR_SUPPORTED, SL("100rel")));
    assert_true(sip_hdr_has_token(m, HDR_SUPPORTED, SL("gruu")));
    assert_true(sip_hdr_has_token(m, HDR_ALLOW, SL("ack")));
    assert_false(sip_hdr_has_token(m, HDR_ALLOW, SL("AC")));
    assert_false(sip_hdr_has_token(m, HDR_REQUIRE, SL("timer")));
    it = (struct sip_values){0};
    assert_int_equal(sip_values_next(m, HDR_ALLOW, &it, &v), 0);
    assert_int_equal(sip_values_next(m, HDR_ALLOW, &it, &v), 0);
    assert_sl(v, "ACK");
    assert_int_equal(sip_values_next(m, HDR_ALLOW, &it, &v), EBADMSG);
    assert_int_equal(sip_values_next(m, HDR_ALLOW, &it, &v), ENODATA);
    sip_msg_unref(&m);
}

static void a_response_with_a_bad_contact_is_left_to_its_dialog(void **state)
{
    struct sip_msg *m = parse("SIP/2.0 200 OK\r\n" VIA FROM TO CALL_ID CSEQ "m: <sip:\r\n\r\n");

    (void)state;
    assert_sl(sip_hdr_value(m, HDR_CONTACT), "<sip:");
    sip_msg_unref(&m);
}

static void a_message_lives_as_long_as_somebody_holds_it_and_its_block_is_reused(void **state)
{
    char text[] = HEAD "\r\n";
    struct sip_msg *m = parse(text), *other, *kept;
    int64_t live = mem_live();

    (void)state;
    memset(text, 'x', sizeof(text)); /* the message has its own copy */
    kept = sip_msg_ref(m);
    sip_msg_unref(&m);
    assert_null(m);
    assert_sl(kept->call_id, "c1@192.0.2.1");
    other = kept;
    sip_msg_unref(&kept);
    sip_msg_unref(&kept); /* NULL by now */
    mem_fault_arm(1);
    m = parse(HEAD "\r\n"); /* needs no memory */
    assert_false(mem_fault_hit());
    mem_fault_arm(0);
    assert_ptr_equal(m, other);
    assert_int_equal(mem_live(), live);
    assert_int_equal(m->refs, 1);
    sip_msg_unref(&m);
}

static void a_short_look_declines_what_is_not_simple(void **state)
{
    static const char *const declined[] = {
        "",
        "SIP/2.0 200 OK\r\n" VIA FROM TO CALL_ID CSEQ "\r\n",
        "PING sip:bob@example.com SIP/2.0\r\n" VIA FROM TO CALL_ID "CSeq: 7 PING\r\n\r\n",
        START FROM TO CALL_ID CSEQ "\r\n",
        START VIA TO CALL_ID CSEQ "\r\n",
        START VIA FROM CALL_ID CSEQ "\r\n",
        START VIA FROM TO CSEQ "\r\n",
        START VIA FROM TO CALL_ID "\r\n",
        START VIA FROM TO CALL_ID CSEQ,
        START VIA VIA FROM FROM TO CALL_ID CSEQ "\r\n",
        START VIA FROM TO CALL_ID CSEQ "Nonsense\r\n\r\n",
        START VIA FROM TO CALL_ID CSEQ ": none\r\n\r\n",
        START " Lead: 1\r\n" VIA FROM TO CALL_ID CSEQ "\r\n",
        START "Via: SIP/2.0/UDP 192.0.2.1;branch=old\r\n" FROM TO CALL_ID CSEQ "\r\n",
        START "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\r\n" FROM TO CALL_ID CSEQ "\r\n",
        START "Via: SIP/2.0/UDP\r\n" FROM TO CALL_ID CSEQ "\r\n",
        START VIA FROM "To: sip:bob@example.com;tag=x\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: <sip:bob@example.com\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: \"a <sip:bob@example.com>\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: <sip:bob@example.com>;\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: <sip:bob@example.com>;;tag=x\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: <sip:bob@example.com>;tag=x;tag=y\r\n" CALL_ID CSEQ "\r\n",
        START VIA FROM "To: <sip:bob@example.com>tag=x\r\n" CALL_ID CSEQ "\r\n",
    };
    struct sip_msg *m;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(declined); i++) {
        if (sip_msg_skim(pool, sl_str(declined[i]), &m) != EBADMSG) {
            fail_msg("%s", declined[i]);
        }
        assert_null(m);
    }
}

static void a_short_look_finds_the_tag_where_it_is(void **state)
{
    static const struct {
        const char *to, *tag;
    } rows[] = {{"<sip:bob@example.com>", ""},
                {"<sip:bob@example.com>;tag=x1", "x1"},
                {"\"<;tag=no>\" <sip:bob@example.com;tag=no> ; a=b ;TAG = x2", "x2"},
                {"Bob <sip:bob@example.com>;tag=x3;a", "x3"}};
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sip_msg *m = NULL;
        struct sl tag;

        snprintf(text, sizeof(text), START VIA FROM "t: %s\r\n" CALL_ID CSEQ "\r\n", rows[i].to);
        assert_int_equal(sip_msg_skim(pool, sl_str(text), &m), 0);
        assert_sl(m->to_tag, rows[i].tag);
        assert_sl(m->call_id, "c1@192.0.2.1");
        assert_sl(m->via.branch, "z9hG4bK1");
        sip_msg_unref(&m);
        assert_int_equal(sip_skim_to_tag(sl_str(text), &tag), 0);
        assert_sl(tag, rows[i].tag);
    }
}

static void the_tag_alone_is_found_only_where_it_is_plain(void **state)
{
    static const char *const declined[] = {
        "",
        START,
        START VIA FROM "\r\n",
        START VIA FROM "\r\n" TO, /* in the body */
        START VIA FROM "To: sip:bob@example.com;tag=x\r\n\r\n",
        START VIA FROM "To: <sip:bob@example.com>;tag=x\r\n ;tag=y\r\n\r\n",
        START VIA FROM "To: <sip:bob@example.com>;tag=x;tag=y\r\n\r\n",
        START VIA FROM "To <sip:bob@example.com>;tag=x\r\n\r\n",
        START VIA FROM "To: <sip:bob@example.com>;tag=x\n\r\n",
        START VIA FROM "To: <sip:bob@example.com>;tag=x",
    };
    struct sl tag;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(declined); i++) {
        if (sip_skim_to_tag(sl_str(declined[i]), &tag) != EBADMSG) {
            fail_msg("%s", declined[i]);
        }
    }
    assert_int_equal(
        sip_skim_to_tag(SL(START "Timestamp: 1\r\nTO : <sip:b@x.example>;tag=q\r\n\r\n"), &tag), 0);
    assert_sl(tag, "q");
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
    sip_pool_free(&pool);
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gives_all_its_common_fields),
        cmocka_unit_test(a_response_gives_status_reason_and_the_method_of_cseq),
        cmocka_unit_test(each_fault_has_its_verdict),
        cmocka_unit_test(what_could_be_read_of_a_bad_request_is_there_for_the_answer),
        cmocka_unit_test(a_nul_passes_in_a_quoted_pair_only),
        cmocka_unit_test(each_limit_holds_to_the_last_unit),
        cmocka_unit_test(one_value_too_many_in_an_address_list_is_refused),
        cmocka_unit_test(long_lines_identifiers_and_messages_are_refused),
        cmocka_unit_test(look_ups_walk_all_fields_of_a_kind),
        cmocka_unit_test(a_response_with_a_bad_contact_is_left_to_its_dialog),
        cmocka_unit_test(a_short_look_declines_what_is_not_simple),
        cmocka_unit_test(a_short_look_finds_the_tag_where_it_is),
        cmocka_unit_test(the_tag_alone_is_found_only_where_it_is_plain),
        cmocka_unit_test(a_message_lives_as_long_as_somebody_holds_it_and_its_block_is_reused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
