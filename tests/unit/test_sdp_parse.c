/* test_sdp_parse.c - what the SDP parser reads out of a body, and what it refuses. */
#include "sdp/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\n"
#define CONN "c=IN IP4 198.51.100.1\r\n"
#define BASE HEAD CONN "t=0 0\r\n"
#define AUDIO "m=audio 40000 RTP/AVP 0\r\n"

static struct sdp out;
static const char *why;

/* In a block of its exact size, so that a sanitizer sees every byte too far. */
static int parse_n(const char *text, size_t n)
{
    static char *copy;

    free(copy); /* the last one goes with the process */
    copy = malloc(n != 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    why = NULL;
    return sdp_parse(sl_make(copy, n), &out, &why);
}

static int parse(const char *text)
{
    return parse_n(text, strlen(text));
}

static void assert_sl(struct sl s, const char *want)
{
    if (!sl_eq(s, sl_str(want))) {
        fail_msg("got \"%.*s\", want \"%s\"", SL_ARG(s), want);
    }
}

static void assert_addr(const struct addr *a, const char *want)
{
    char text[ADDR_TEXT_MAX];

    assert_string_equal(addr_text(a, text), want);
}

static void a_plain_offer_is_read_field_by_field(void **state)
{
    struct sl value;

    (void)state;
    assert_int_equal(
        parse(
            "v=0\r\no=joe 3786543210 7 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\n"
            "b=CT:1000\r\nt=0 0\r\na=recvonly\r\nm=audio 40000 RTP/AVP 0 8 101\r\nb=AS:80\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=fmtp:8 x\r\na=ptime:20\r\n"
            "m=video 40002/1 RTP/AVPF 31\r\nc=IN IP6 2001:db8::2\r\na=sendonly\r\na=rtcp-mux\r\n"),
        0);
    assert_true(out.o_id == 3786543210u && out.o_version == 7);
    assert_int_equal(out.n_streams, 2);
    assert_int_equal(out.streams[0].kind, SDP_AUDIO);
    assert_int_equal(out.streams[0].port, 40000);
    assert_int_equal(out.streams[0].proto, SDP_RTP_AVP);
    assert_int_equal(out.streams[0].n_formats, 3);
    assert_sl(out.streams[0].formats, "0 8 101");
    assert_addr(&out.streams[0].conn, "198.51.100.10:40000");
    assert_addr(&out.streams[0].rtcp_conn, "198.51.100.10:40001");
    assert_int_equal(out.streams[0].dir, SDP_RECVONLY);
    assert_int_equal(out.streams[0].ptime, 20);
    assert_int_equal(out.streams[0].n_bw, 1);
    assert_int_equal(out.n_session_bws, 1);
    assert_int_equal(out.n_session_attrs, 1);
    assert_int_equal(out.streams[1].kind, SDP_VIDEO);
    assert_int_equal(out.streams[1].proto, SDP_RTP_AVPF);
    assert_int_equal(out.streams[1].dir, SDP_SENDONLY);
    assert_true(out.streams[1].rtcp_mux && !out.streams[0].rtcp_mux);
    assert_addr(&out.streams[1].conn, "[2001:db8::2]:40002");
    assert_true(sdp_attr(&out, 0, SL("fmtp"), &value));
    assert_sl(value, "101 0-16");
    assert_true(sdp_attr(&out, 1, SL("rtcp-mux"), &value));
    assert_int_equal(value.n, 0);
    assert_false(sdp_attr(&out, 1, SL("fmtp"), &value));
    assert_false(sdp_attr(&out, 2, SL("fmtp"), &value));
    assert_true(sdp_attr(&out, SDP_SESSION, SL("recvonly"), &value));
}

static void attributes_of_one_name_come_one_after_the_other(void **state)
{
    struct sl value;
    uint16_t pos = 0;

    (void)state;
    assert_int_equal(parse(BASE AUDIO "a=fmtp:0 a\r\na=ptime:20\r\na=FMTP: 8 b\r\n"), 0);
    assert_true(sdp_attr_next(&out, 0, SL("fmtp"), &pos, &value));
    assert_sl(value, "0 a");
    assert_true(sdp_attr_next(&out, 0, SL("fmtp"), &pos, &value));
    assert_sl(value, "8 b");
    assert_false(sdp_attr_next(&out, 0, SL("fmtp"), &pos, &value));
}

static const struct body_row {
    const char *body;
    int err;
} body_rows[] = {
    {BASE AUDIO, 0},
    {BASE "m=audio 40000 RTP/AVP 0", 0},
    {"v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 4000 RTP/AVP 0\n", 0},
    {"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\n" CONN AUDIO, 0},
    {"s=-\r\nt=0 0\r\n" CONN "o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n" AUDIO, 0},
    {BASE "y=1\r\nf=x\r\n" AUDIO "x=what\r\n", 0},
    {BASE AUDIO "\r\n", 0},
    {HEAD AUDIO CONN, 0},
    {HEAD "m=audio 0 RTP/AVP 0\r\n", 0},
    {BASE, 0},
    {BASE "m=audio  40000  RTP/AVP  0  8 \r\n", 0},
    {BASE "m=audio 40000/2 RTP/AVP 0\r\n", 0},
    {BASE "m=audio 0 RTP/AVP\r\n", 0},
    {BASE "m=video 0 RTP/AVP 999\r\n", 0},
    {BASE "m=message 40 TCP/TLS/MSRP *\r\n", 0},
    {"", ENODATA},
    {"\r\n", EBADMSG},
    {"v=1\r\no=- 1 1 IN IP4 1.2.3.4\r\n", EBADMSG},
    {"o=- 1 1 IN IP4 1.2.3.4\r\n" CONN AUDIO, EBADMSG},
    {"v=0\r\n" CONN AUDIO, EBADMSG},
    {"v=0\r\n" BASE AUDIO, EBADMSG},
    {BASE "o=- 2 2 IN IP4 1.2.3.4\r\n" AUDIO, EBADMSG},
    {BASE AUDIO "o=- 2 2 IN IP4 1.2.3.4\r\n", EBADMSG},
    {BASE AUDIO "v=0\r\n", EBADMSG},
    {BASE CONN AUDIO, EBADMSG},
    {BASE AUDIO CONN CONN, EBADMSG},
    {"v=0\r\no=- 1 1 IN IP4\r\n" CONN AUDIO, EBADMSG},
    {HEAD AUDIO, EBADMSG},
    {HEAD "c=IN IP4\r\n" AUDIO, EBADMSG},
    {HEAD "c=IN IP4 fe80::1%eth0\r\n" AUDIO, EBADMSG},
    {HEAD "c=ATM NSAP 47.0091\r\n" AUDIO, EBADMSG},
    {BASE "m=audio -1 RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio 65536 RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio 4294967296 RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio abc RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio  RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio 40000/x RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio 40000 RTP/AVP\r\n", EBADMSG},
    {BASE "m=audio 40000\r\n", EBADMSG},
    {BASE "m=audio 40000 RTP/AVP 128\r\n", EBADMSG},
    {BASE "m=audio 40000 RTP/AVP -1\r\n", EBADMSG},
    {BASE "m=audio 40000 RTP/AVP 0 abc\r\n", EBADMSG},
    {BASE "m=10.0.0.1 40000 RTP/AVP 0\r\n", EBADMSG},
    {BASE "m=audio 40000 RTP/10.0.0.1 0\r\n", EBADMSG},
    {BASE "m=image 40000 udptl 10.0.0.1\r\n", EBADMSG},
    {"v = 0\r\n", EBADMSG},
    {BASE "A=x\r\n" AUDIO, EBADMSG},
    {BASE "a\r\n" AUDIO, EBADMSG},
    {BASE AUDIO "a=fmtp:0 x\ra=b\r\n", EBADMSG},
    {BASE AUDIO "a=x:\x1b[2J\r\n", EBADMSG},
    {BASE AUDIO "a=x:\x7f\r\n", EBADMSG},
    {"v=0\ro=- 1 1 IN IP4 1.2.3.4\rc=IN IP4 1.2.3.4\rm=audio 4 RTP/AVP 0\r", EBADMSG},
};

static void bodies_are_accepted_or_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(body_rows); i++) {
        int err = parse(body_rows[i].body);

        if (err != body_rows[i].err || why == NULL || (err != 0 && *why == '\0')) {
            fail_msg("row %zu: %d (%s), want %d", i, err, why, body_rows[i].err);
        }
    }
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
    char body[] = BASE AUDIO "a=x:y\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof(body) - 1; i++) {
        char was = body[i];

        body[i] = '\0';
        assert_int_equal(parse_n(body, sizeof(body) - 1), EBADMSG);
        body[i] = was;
    }
}

static void limits_are_errors_and_not_truncations(void **state)
{
    static const struct row {
        const char *head, *unit;
        unsigned fits;
    } rows[] = {
        {BASE, AUDIO, SDP_STREAMS_MAX},
        {BASE AUDIO, "a=x\r\n", SDP_ATTRS_MAX},
        {BASE AUDIO, "b=AS:1\r\n", 64},
        {BASE "m=audio 4000 RTP/AVP", " 8", SDP_FORMATS_MAX},
        {BASE AUDIO "a=fmtp:0 ", "x", 1024 - 7},
        {BASE AUDIO "a=x:", "x", SDP_BODY_MAX - sizeof(BASE AUDIO "a=x:") + 1},
    };
    static char body[SDP_BODY_MAX + 64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned over = 0; over < 2; over++) {
            struct buf b;

            buf_init_fixed(&b, body, sizeof(body));
            buf_puts(&b, rows[i].head);
            for (unsigned k = 0; k < rows[i].fits + over; k++) {
                buf_puts(&b, rows[i].unit);
            }
            assert_int_equal(buf_err(&b), 0);
            if (parse_n(b.p, b.n) != (over != 0 ? EMSGSIZE : 0)) {
                fail_msg("row %zu over %u: %s", i, over, why);
            }
        }
    }
    assert_int_equal(parse_n(body, SDP_BODY_MAX + 1), EMSGSIZE);
}

/* What Chrome writes for sound and four pictures: each with a dozen codecs, their parameters, five
 * kinds of feedback and the retransmission of each, a dozen extensions and some candidates. */
static void a_browser_may_show_several_pictures(void **state)
{
    static char body[SDP_BODY_MAX];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, body, sizeof(body));
    buf_puts(&b, BASE AUDIO);
    for (unsigned i = 0; i < 4; i++) {
        buf_puts(&b, "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n");
        for (unsigned k = 0; k < 160; k++) {
            buf_puts(&b, "a=rtcp-fb:96 transport-cc\r\n");
        }
    }
    assert_int_equal(buf_err(&b), 0);
    assert_int_equal(parse_n(b.p, b.n), 0);
    assert_int_equal(out.n_streams, 5);
}

static void directions_are_inherited_and_overridden(void **state)
{
    (void)state;
    assert_int_equal(parse(BASE "a=sendonly\r\n" AUDIO AUDIO "a=inactive\r\n"), 0);
    assert_int_equal(out.dir, SDP_SENDONLY);
    assert_int_equal(out.streams[0].dir, SDP_SENDONLY);
    assert_true(out.streams[0].dir_explicit);
    assert_int_equal(out.streams[1].dir, SDP_INACTIVE);
    assert_int_equal(parse(BASE AUDIO), 0);
    assert_int_equal(out.streams[0].dir, SDP_SENDRECV);
    assert_false(out.streams[0].dir_explicit);
}

static void the_old_hold_takes_the_receiving_half_away(void **state)
{
    static const struct row {
        const char *attr;
        enum sdp_dir dir;
    } rows[] = {{"", SDP_SENDONLY},
                {"a=sendonly\r\n", SDP_SENDONLY},
                {"a=recvonly\r\n", SDP_INACTIVE},
                {"a=inactive\r\n", SDP_INACTIVE}};
    char body[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)snprintf(body, sizeof(body), HEAD "c=IN IP4 0.0.0.0\r\n" AUDIO "%s", rows[i].attr);
        assert_int_equal(parse(body), 0);
        assert_true(out.streams[0].conn_is_hold);
        assert_int_equal(sdp_stream_dir(&out.streams[0]), rows[i].dir);
    }
    assert_int_equal(parse(HEAD "c=IN IP6 ::\r\n" AUDIO), 0);
    assert_true(out.streams[0].conn_is_hold);
}

static void trickle_ice_at_address_zero_is_no_hold(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD "c=IN IP4 0.0.0.0\r\n" AUDIO "a=ice-ufrag:x\r\n"), 0);
    assert_false(out.streams[0].conn_is_hold);
    assert_int_equal(parse(HEAD "c=IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\n" AUDIO), 0);
    assert_false(out.streams[0].conn_is_hold);
}

static void rtcp_addresses_fall_back_to_the_next_port(void **state)
{
    static const struct row {
        const char *port, *attr;
        uint16_t want_port;
        const char *want;
    } rows[] = {
        {"40000", "", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:53020\r\n", 53020, "198.51.100.1:53020"},
        {"40000", "a=rtcp:53020 IN IP4 198.51.100.11\r\n", 53020, "198.51.100.11:53020"},
        {"40000", "a=rtcp:53020 IN IP6 2001:db8::9\r\n", 53020, "[2001:db8::9]:53020"},
        {"40000", "a=rtcp:70000\r\n", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:0\r\n", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:abc IN IP4 x\r\na=rtcp:\r\na=rtcp\r\n", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:1 IN IP4 1.2.3.4.5.6\r\n", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:9 IN IP4 0.0.0.0\r\n", 40001, "198.51.100.1:40001"},
        {"40000", "a=rtcp:1 IN\r\na=rtcp:41000\r\n", 41000, "198.51.100.1:41000"},
        {"65535", "", 0, "-"},
        {"65535", "a=rtcp:65534\r\n", 65534, "198.51.100.1:65534"},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)snprintf(body, sizeof(body), BASE "m=audio %s RTP/AVP 0\r\n%s", rows[i].port,
                       rows[i].attr);
        assert_int_equal(parse(body), 0);
        assert_int_equal(out.streams[0].rtcp_port, rows[i].want_port);
        assert_addr(&out.streams[0].rtcp_conn, rows[i].want);
    }
}

static void a_host_name_is_named_as_one_and_never_an_address(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD "c=IN IP4 media.example.com\r\n" AUDIO), 0);
    assert_true(out.streams[0].conn_is_name);
    assert_int_equal(addr_family(&out.streams[0].conn), AF_UNSPEC);
    assert_int_equal(out.streams[0].rtcp_port, 0);
    assert_int_equal(parse(HEAD "c=IN IP4 1.2.3.4.5\r\n" AUDIO), 0);
    assert_true(out.streams[0].conn_is_name);
}

static void mapped_addresses_are_read_as_ipv4(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD "c=IN IP6 ::ffff:198.51.100.1\r\n" AUDIO), 0);
    assert_addr(&out.streams[0].conn, "198.51.100.1:40000");
}

static void addresses_are_usable_or_not(void **state)
{
    static const struct row {
        const char *ip;
        bool usable;
    } rows[] = {
        {"198.51.100.1", true}, {"127.0.0.1", true},        {"2001:db8::1", true},
        {"0.0.0.0", false},     {"0.0.0.1", false},         {"233.252.0.1", false},
        {"239.1.2.3", false},   {"255.255.255.255", false}, {"240.0.0.1", false},
        {"::", false},          {"ff02::1", false},         {"::ffff:224.0.0.1", false},
    };
    struct addr a;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(addr_parse(sl_str(rows[i].ip), 4000, &a), 0);
        if (sdp_addr_is_usable(&a) != rows[i].usable) {
            fail_msg("%s", rows[i].ip);
        }
    }
    a = (struct addr){0};
    assert_false(sdp_addr_is_usable(&a));
}

static void origin_numbers_saturate_and_user_names_may_hold_blanks(void **state)
{
    (void)state;
    assert_int_equal(parse("v=0\r\no=a phone 18446744073709551615 99999999999999999999 IN IP4 "
                           "1.2.3.4\r\n" CONN AUDIO),
                     0);
    assert_true(out.o_id == UINT64_MAX && out.o_version == UINT64_MAX);
    assert_int_equal(parse("v=0\r\no=- abc 5 IN IP4 1.2.3.4\r\n" CONN AUDIO), 0);
    assert_true(out.o_id == 0 && out.o_version == 5);
}

static void profiles_are_told_apart(void **state)
{
    static const struct row {
        const char *text;
        enum sdp_proto proto;
        bool is_rtp, is_plain;
    } rows[] = {
        {"RTP/AVP", SDP_RTP_AVP, true, true},
        {"rtp/avpf", SDP_RTP_AVPF, true, true},
        {"RTP/SAVP", SDP_RTP_SAVP, true, false},
        {"RTP/SAVPF", SDP_RTP_SAVPF, true, false},
        {"UDP/TLS/RTP/SAVP", SDP_DTLS_SAVP, true, false},
        {"UDP/TLS/RTP/SAVPF", SDP_DTLS_SAVPF, true, false},
        {"UDPTL", SDP_UDPTL, false, false},
        {"TCP/RTP/AVP", SDP_PROTO_OTHER, false, false},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)snprintf(body, sizeof(body), BASE "m=audio 9 %s 0\r\n", rows[i].text);
        assert_int_equal(parse(body), 0);
        assert_int_equal(out.streams[0].proto, rows[i].proto);
        assert_int_equal(sdp_proto_is_rtp(rows[i].proto), rows[i].is_rtp);
        assert_int_equal(sdp_proto_is_plain(rows[i].proto), rows[i].is_plain);
    }
}

static void impossible_packet_times_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(parse(BASE AUDIO "a=ptime:0\r\na=ptime:99999999999999\r\na=ptime:-1\r\n"), 0);
    assert_int_equal(out.streams[0].ptime, 0);
    assert_int_equal(parse(BASE AUDIO "a=ptime:30\r\na=ptime:0\r\na=ptime:99999\r\n"), 0);
    assert_int_equal(out.streams[0].ptime, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_offer_is_read_field_by_field),
        cmocka_unit_test(attributes_of_one_name_come_one_after_the_other),
        cmocka_unit_test(bodies_are_accepted_or_refused_with_a_reason),
        cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(limits_are_errors_and_not_truncations),
        cmocka_unit_test(a_browser_may_show_several_pictures),
        cmocka_unit_test(directions_are_inherited_and_overridden),
        cmocka_unit_test(the_old_hold_takes_the_receiving_half_away),
        cmocka_unit_test(trickle_ice_at_address_zero_is_no_hold),
        cmocka_unit_test(rtcp_addresses_fall_back_to_the_next_port),
        cmocka_unit_test(a_host_name_is_named_as_one_and_never_an_address),
        cmocka_unit_test(mapped_addresses_are_read_as_ipv4),
        cmocka_unit_test(addresses_are_usable_or_not),
        cmocka_unit_test(origin_numbers_saturate_and_user_names_may_hold_blanks),
        cmocka_unit_test(profiles_are_told_apart),
        cmocka_unit_test(impossible_packet_times_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
