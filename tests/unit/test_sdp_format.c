/* test_sdp_format.c - codecs by name, and the numbers that each side has for them. */
#include "sdp/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "v=0\r\no=u 7 7 IN IP4 198.51.100.1\r\ns=x\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
#define TE(pt) "a=rtpmap:" pt " telephone-event/8000\r\n"

static struct sdp from, known, offer;
static char texts[3][2048];
static struct sdp_format_map map[SDP_FORMATS_MAX], told[SDP_FORMATS_MAX];
static char shown[1024];

static struct sdp *parse(unsigned which, struct sdp *s, const char *media)
{
    const char *why = NULL;
    int n = snprintf(texts[which], sizeof(texts[which]), HEAD "%s", media);

    assert_true(n > 0 && (size_t)n < sizeof(texts[which]));
    assert_int_equal(sdp_parse(sl_make(texts[which], (size_t)n), s, &why), 0);
    return s;
}

/* "0>0 111>96 +101" */
static const char *show(const struct sdp_format_map *m, size_t n)
{
    struct buf b;

    buf_init_fixed(&b, shown, sizeof(shown) - 1);
    for (size_t i = 0; i < n; i++) {
        buf_puts(&b, i != 0 ? " " : "");
        if (m[i].own) {
            buf_putf(&b, "+%u", m[i].to);
        } else {
            buf_putf(&b, "%u>%u", m[i].from, m[i].to);
        }
    }
    shown[b.n] = '\0';
    return shown;
}

static void formats_are_told_apart_by_name_clock_and_channels(void **state)
{
    struct sdp_format f[SDP_FORMATS_MAX];

    (void)state;
    parse(0, &from,
          "m=audio 4000 RTP/AVP 0 18 111 0 101 99 77\r\na=rtpmap:111 opus/48000/2\r\n"
          "a=fmtp:111 minptime=10\r\na=fmtp:111 other=1\r\n" TE(
              "101") "a=rtpmap:99 x\r\na=rtpmap:18 G729/8000\r\na=rtpmap:111 VP8/90000\r\n");
    assert_int_equal(sdp_formats(&from, 0, f), 6); /* 0 twice counts once */
    assert_true(sl_eq(f[0].name, SL("PCMU")) && f[0].clock == 8000 && f[0].is_static);
    assert_true(sl_eq(f[1].name, SL("G729")) && !f[1].is_static);
    assert_true(sl_eq(f[2].name, SL("opus")) && f[2].clock == 48000 && f[2].channels == 2);
    assert_true(sl_eq(f[2].fmtp, SL("minptime=10"))); /* the first of each counts */
    assert_true(sdp_format_is_event(&f[3]));
    assert_true(f[4].name.n == 0 && f[5].name.n == 0);
    assert_false(sdp_format_same(&f[4], &f[5])); /* nobody knows */
    parse(0, &from, "m=image 4000 udptl t38\r\n");
    assert_int_equal(sdp_formats(&from, 0, f), 0);
}

static void offer_is(const char *source, const char *before, const char *want)
{
    struct sdp_map_params p = {.from = parse(0, &from, source),
                               .known = before != NULL ? parse(1, &known, before) : NULL};

    assert_string_equal(show(map, sdp_map_offer(&p, map)), want);
}

static void an_offer_keeps_the_numbers_that_the_other_side_knows(void **state)
{
    (void)state;
    offer_is("m=audio 4 RTP/AVP 0 8 101\r\n" TE("101"), NULL, "0>0 8>8 101>101");
    offer_is("m=audio 4 RTP/AVP 0 8 101\r\n" TE("101"), "m=audio 4 RTP/AVP 0 126\r\n" TE("126"),
             "0>0 8>8 101>126");
    /* 96 means something else over there, and may not change its meaning */
    offer_is("m=audio 4 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n",
             "m=audio 4 RTP/AVP 96 97\r\na=rtpmap:96 speex/16000\r\na=rtpmap:97 iLBC/8000\r\n",
             "96>98");
    /* the other side has the number for another codec that is offered, too */
    offer_is("m=audio 4 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 speex/16000\r\n",
             "m=audio 4 RTP/AVP 96 97\r\na=rtpmap:96 speex/16000\r\na=rtpmap:97 opus/48000/2\r\n",
             "96>97 97>96");
    /* several of one name: by number, then by parameters */
    offer_is("m=video 4 RTP/AVP 102 104\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 x=1\r\n"
             "a=rtpmap:104 H264/90000\r\na=fmtp:104 x=2\r\n",
             "m=video 4 RTP/AVP 110 111\r\na=rtpmap:110 H264/90000\r\na=fmtp:110 x=2\r\n"
             "a=rtpmap:111 H264/90000\r\na=fmtp:111 x=1\r\n",
             "102>111 104>110");
    /* clocks differ: another codec */
    offer_is("m=audio 4 RTP/AVP 0 110\r\na=rtpmap:110 telephone-event/48000\r\n",
             "m=audio 4 RTP/AVP 0 126\r\n" TE("126"), "0>0 110>110");
    /* a known side that had no such stream yet */
    offer_is("m=audio 4 RTP/AVP 96\r\na=rtpmap:96 x/8000\r\n", "m=image 4 udptl t38\r\n", "96>96");
}

static void redundancy_goes_where_its_inner_numbers_would_not_fit(void **state)
{
    (void)state;
    offer_is("m=audio 4 RTP/AVP 111 63\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
             "a=fmtp:63 111/111\r\n",
             NULL, "111>111 63>63");
    offer_is("m=audio 4 RTP/AVP 111 63\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
             "a=fmtp:63 111/111\r\n",
             "m=audio 4 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n", "111>96");
    offer_is(
        "m=video 4 RTP/AVP 96 97 98 99\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n"
        "a=fmtp:97 apt=96\r\na=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=77\r\na=rtpmap:99 rtx/90000"
        "\r\na=fmtp:99 apt=98;rtx-time=3\r\n",
        NULL, "96>96 97>97");
}

static void lists_of_codecs_filter_and_order_audio(void **state)
{
    static const char *const few[] = {"opus", "pcma", "PCMU"}, *const one[] = {"PCMU"};
    static const char media[] = "m=audio 4 RTP/AVP 9 101 0 8 18 111 13\r\na=rtpmap:111 opus/48000/2"
                                "\r\n" TE("101");
    struct sdp_map_params p = {.from = parse(0, &from, media)};

    (void)state;
    p.to_codecs = (struct sdp_codecs){few, 3};
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "111>111 8>8 0>0 101>101");
    p.from_codecs = (struct sdp_codecs){one, 1};
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0 101>101");
    p.to_codecs.n = 0;
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "101>101 0>0");
    p.from_codecs = (struct sdp_codecs){few, 1};
    p.to_codecs = (struct sdp_codecs){one, 1};
    assert_int_equal(sdp_map_offer(&p, map), 0); /* nothing that both may */
    p.from = parse(0, &from, "m=audio 4 RTP/AVP 101 13\r\n" TE("101"));
    p.from_codecs.n = 0;
    assert_int_equal(sdp_map_offer(&p, map), 0); /* digits alone are no codec */
    p.from = parse(0, &from, "m=video 4 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n");
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "96>96");
}

static void events_are_added_and_dropped(void **state)
{
    struct sdp_map_params p = {.from = parse(0, &from, "m=audio 4 RTP/AVP 0\r\n"),
                               .add_event = true};

    (void)state;
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0 +101");
    p.from = parse(0, &from, "m=audio 4 RTP/AVP 0 101\r\na=rtpmap:101 opus/48000/2\r\n");
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0 101>101 +96");
    p.known = parse(1, &known, "m=audio 4 RTP/AVP 0 126\r\n" TE("126"));
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0 101>101 +126");
    p.from = parse(0, &from, "m=audio 4 RTP/AVP 0 99\r\n" TE("99"));
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0 99>126");
    p.drop_events = true;
    p.add_event = false;
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "0>0");
    p.from = parse(0, &from, "m=video 4 RTP/AVP 31\r\n");
    p.drop_events = false;
    p.add_event = true;
    assert_string_equal(show(map, sdp_map_offer(&p, map)), "31>31");
}

static void answer_is(const char *asked, const char *said, const char *want)
{
    struct sdp_map_params p = {.from = parse(2, &offer, asked)};
    struct sdp_answer_params a = {
        .offer = &offer, .answer = parse(0, &from, said), .offered = told};

    a.n_offered = sdp_map_offer(&p, told);
    assert_string_equal(show(map, sdp_map_answer(&a, map)), want);
}

static void an_answer_gets_the_numbers_of_its_offer(void **state)
{
    static const char asked[] =
        "m=audio 4 RTP/AVP 111 0 8 126\r\na=rtpmap:111 opus/48000/2\r\n" TE("126");

    (void)state;
    answer_is(asked, "m=audio 4 RTP/AVP 8 126\r\n" TE("126"), "8>8 126>126");
    answer_is(asked, "m=audio 4 RTP/AVP 8 101\r\n" TE("101"), "8>8 101>126");
    answer_is(asked, "m=audio 4 RTP/AVP 8 126\r\n", "8>8 126>126"); /* without a word: as offered */
    answer_is(asked, "m=audio 4 RTP/AVP 111\r\na=rtpmap:111 speex/16000\r\n", "");
    answer_is(asked,
              "m=audio 4 RTP/AVP 96 111\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:111 x/8000\r\n",
              "96>111");
    answer_is(asked, "m=audio 4 RTP/AVP 0 100\r\na=rtpmap:100 PCMU/8000\r\n", "0>0"); /* once */
    answer_is(asked, "m=audio 4 RTP/AVP 18\r\n", "");
    answer_is("m=audio 4 RTP/AVP 0 63\r\na=rtpmap:63 red/8000\r\na=fmtp:63 0/0\r\n",
              "m=audio 4 RTP/AVP 0 63\r\na=rtpmap:63 red/8000\r\na=fmtp:63 0/0\r\n", "0>0 63>63");
}

static void answers_keep_or_lose_their_events(void **state)
{
    struct sdp_map_params p = {.from = parse(2, &offer,
                                             "m=audio 4 RTP/AVP 0 126 110\r\n" TE(
                                                 "126") "a=rtpmap:110 telephone-event/48000\r\n"),
                               .drop_events = true};
    struct sdp_answer_params a = {.offer = &offer,
                                  .answer = parse(0, &from, "m=audio 4 RTP/AVP 0\r\n"),
                                  .offered = told,
                                  .add_event = true};

    (void)state;
    a.n_offered = sdp_map_offer(&p, told);
    assert_string_equal(show(map, sdp_map_answer(&a, map)), "0>0 +126 +110");
    assert_int_equal(map[2].clock, 48000);
    p.drop_events = false;
    a.n_offered = sdp_map_offer(&p, told);
    a.answer = parse(0, &from, "m=audio 4 RTP/AVP 0 126\r\n" TE("126"));
    a.add_event = false;
    a.drop_events = true;
    assert_string_equal(show(map, sdp_map_answer(&a, map)), "0>0");
}

static void a_full_house_of_payload_types_finds_no_free_number(void **state)
{
    char media[4096];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, media, sizeof(media) - 1);
    buf_puts(&b, "m=audio 4 RTP/AVP");
    for (unsigned i = 0; i < 128; i++) {
        buf_putf(&b, " %u", i);
    }
    buf_puts(&b, "\r\n");
    media[b.n] = '\0';
    {
        struct sdp_map_params p = {.from = parse(0, &from, media), .add_event = true};

        assert_int_equal(sdp_map_offer(&p, map), 128);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_told_apart_by_name_clock_and_channels),
        cmocka_unit_test(an_offer_keeps_the_numbers_that_the_other_side_knows),
        cmocka_unit_test(redundancy_goes_where_its_inner_numbers_would_not_fit),
        cmocka_unit_test(lists_of_codecs_filter_and_order_audio),
        cmocka_unit_test(events_are_added_and_dropped),
        cmocka_unit_test(an_answer_gets_the_numbers_of_its_offer),
        cmocka_unit_test(answers_keep_or_lose_their_events),
        cmocka_unit_test(a_full_house_of_payload_types_finds_no_free_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
