/* test_media_rtp.c - which packets are RTP and RTCP, and what loss and jitter come to. */
#include "media_rig.h"

#define SSRC "\x11\x22\x33\x44"
#define REST "\x00\x01\x00\x00\x00\x01" SSRC /* sequence, time stamp, source */

static void packets_are_classified_by_their_own_length_only(void **state)
{
    static const struct row {
        const char *what;
        struct sl bytes;
        enum media_class plain, mux;
    } rows[] = {
        {"bare header", SL("\x80\x00" REST), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"one byte short", SL("\x80\x00\x00\x01\x00\x00\x00\x01\x11\x22\x33"), MEDIA_CLASS_BAD,
         MEDIA_CLASS_BAD},
        {"one byte", SL("\x80"), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"nothing", SL(""), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"version 1", SL("\x40\x00" REST), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"version 3", SL("\xc0\x00" REST), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"one source", SL("\x81\x00" REST "AAAA"), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"one source, cut", SL("\x81\x00" REST "AAA"), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"15 sources in none", SL("\x8f\x00" REST), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"extension", SL("\x90\x00" REST "\xbe\xde\x00\x01XXXX"), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"extension, no header", SL("\x90\x00" REST "\xbe\xde\x00"), MEDIA_CLASS_BAD,
         MEDIA_CLASS_BAD},
        {"extension too long", SL("\x90\x00" REST "\xbe\xde\x00\x02XXXX"), MEDIA_CLASS_BAD,
         MEDIA_CLASS_BAD},
        {"extension of 65535", SL("\x90\x00" REST "\xbe\xde\xff\xffXXXX"), MEDIA_CLASS_BAD,
         MEDIA_CLASS_BAD},
        {"padding", SL("\xa0\x00" REST "ab\x00\x02"), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"padding is all", SL("\xa0\x00" REST "\x00\x02"), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"padding of none", SL("\xa0\x00" REST "ab\x00\x00"), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"padding too long", SL("\xa0\x00" REST "\x00\x03"), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"padding in the header", SL("\xa0\x00" REST), MEDIA_CLASS_BAD, MEDIA_CLASS_BAD},
        {"STUN", SL("\x00\x01\x00\x00\x21\x12\xa4\x42" REST), MEDIA_CLASS_STUN, MEDIA_CLASS_STUN},
        {"DTLS", SL("\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00"),
         MEDIA_CLASS_DTLS, MEDIA_CLASS_DTLS},
        {"ZRTP", SL("\x10\x00\x00\x01ZRTP" SSRC "\x50\x5a\x00\x03"), MEDIA_CLASS_ZRTP,
         MEDIA_CLASS_ZRTP},
        {"not quite ZRTP", SL("\x10\x00\x00\x01ZRTX" SSRC "\x50\x5a\x00\x03"), MEDIA_CLASS_BAD,
         MEDIA_CLASS_BAD},
        {"receiver report", SL("\x80\xc9\x00\x01" SSRC), MEDIA_CLASS_BAD, MEDIA_CLASS_RTCP},
        {"first RTCP type", SL("\x80\xc0" REST), MEDIA_CLASS_RTP, MEDIA_CLASS_RTCP},
        {"last RTCP type", SL("\x80\xdf" REST), MEDIA_CLASS_RTP, MEDIA_CLASS_RTCP},
        {"before the types", SL("\x80\xbf" REST), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
        {"behind the types", SL("\x80\xe0" REST), MEDIA_CLASS_RTP, MEDIA_CLASS_RTP},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *p = malloc(rows[i].bytes.n != 0 ? rows[i].bytes.n : 1); /* exact size */

        assert_non_null(p);
        memcpy(p, rows[i].bytes.p, rows[i].bytes.n);
        if (media_classify_rtp(p, rows[i].bytes.n, false) != rows[i].plain ||
            media_classify_rtp(p, rows[i].bytes.n, true) != rows[i].mux) {
            fail_msg("%s", rows[i].what);
        }
        free(p);
    }
}

static void rtcp_is_checked_up_to_its_first_length(void **state)
{
    static const struct row {
        struct sl bytes;
        enum media_class class;
    } rows[] = {
        {SL("\x80\xc9\x00\x01" SSRC), MEDIA_CLASS_RTCP},
        {SL("\x80\xc9\x00\x01" SSRC "trailer"), MEDIA_CLASS_RTCP},
        {SL("\x80\xc9\x00\x02" SSRC), MEDIA_CLASS_BAD},
        {SL("\x80\xc9\xff\xff" SSRC), MEDIA_CLASS_BAD},
        {SL("\x80\xc9\x00\x00\x11\x22\x33"), MEDIA_CLASS_BAD},
        {SL("\x40\xc9\x00\x01" SSRC), MEDIA_CLASS_BAD},
        {SL("\x80\x00\x00\x01" SSRC), MEDIA_CLASS_BAD},
        {SL(""), MEDIA_CLASS_BAD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(media_classify_rtcp((const uint8_t *)rows[i].bytes.p, rows[i].bytes.n),
                         rows[i].class);
    }
}

static void note(struct media_track *t, const char *ssrc, uint16_t seq, uint32_t ts, int64_t now_ms)
{
    uint8_t p[12] = {0x80, 0};

    p[2] = (uint8_t)(seq >> 8);
    p[3] = (uint8_t)seq;
    p[4] = (uint8_t)(ts >> 24);
    p[5] = (uint8_t)(ts >> 16);
    p[6] = (uint8_t)(ts >> 8);
    p[7] = (uint8_t)ts;
    memcpy(p + 8, ssrc, 4);
    (void)media_track_note(t, p, 0, now_ms);
}

static void losses_are_counted_over_wraps_and_misorder(void **state)
{
    static const struct row {
        const char *what;
        uint16_t seq[8];
        unsigned n;
        uint64_t lost;
    } rows[] = {
        {"nothing", {0}, 0, 0},
        {"one", {7}, 1, 0},
        {"in order", {7, 8, 9}, 3, 0},
        {"one missing", {7, 9}, 2, 1},
        {"late, not lost", {7, 9, 8}, 3, 0},
        {"over the wrap", {65534, 65535, 0, 1}, 4, 0},
        {"lost at the wrap", {65534, 1}, 2, 2},
        {"misordered at the wrap", {65535, 1, 0}, 3, 0},
        {"duplicates never go below zero", {7, 7, 7, 8}, 4, 0},
        {"before the first", {7, 6}, 2, 0},
        {"a jump alone counts for nothing", {7, 30000, 8}, 3, 0},
        {"a jump that goes on is a new start", {7, 9, 30000, 30001, 30003}, 5, 2},
        {"one packet out of nowhere, twice", {7, 30000, 40000, 8}, 4, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct media_track t = {0};

        for (unsigned k = 0; k < rows[i].n; k++) {
            note(&t, SSRC, rows[i].seq[k], 0, 1);
        }
        if (media_track_lost(&t) != rows[i].lost) {
            fail_msg("%s: %llu", rows[i].what, (unsigned long long)media_track_lost(&t));
        }
    }
}

static void another_source_starts_anew_and_keeps_what_was_lost(void **state)
{
    struct media_track t = {0};

    (void)state;
    note(&t, SSRC, 1, 0, 1);
    note(&t, SSRC, 4, 0, 1);
    note(&t, "abcd", 60000, 0, 1);
    note(&t, "abcd", 60002, 0, 1);
    assert_int_equal(media_track_lost(&t), 3);
    assert_int_equal(t.ssrc, 0x61626364);
}

static void an_even_stream_has_no_jitter(void **state)
{
    struct media_track t = {0};

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        note(&t, SSRC, (uint16_t)i, i * 160, 5000 + 20 * (int64_t)i);
    }
    assert_int_equal(media_track_jitter_us(&t), 0);
}

static void jitter_settles_at_the_mean_deviation(void **state)
{
    struct media_track t = {0};

    (void)state;
    for (unsigned i = 0; i < 400; i++) { /* each second packet 10 ms late */
        note(&t, SSRC, (uint16_t)i, i * 160, 5000 + 20 * (int64_t)i + (i % 2) * 10);
    }
    assert_in_range(media_track_jitter_us(&t), 9000, 10500);
}

static void time_stamps_may_wrap(void **state)
{
    struct media_track t = {0};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        note(&t, SSRC, (uint16_t)i, 0xffffff00u + i * 160, 5000 + 20 * (int64_t)i);
    }
    assert_int_equal(media_track_jitter_us(&t), 0);
}

static void an_event_that_repeats_its_time_stamp_is_no_jitter(void **state)
{
    struct media_track t = {0};

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        note(&t, SSRC, (uint16_t)i, i < 10 ? i * 160 : 1600, 5000 + 20 * (int64_t)i);
    }
    assert_int_equal(media_track_jitter_us(&t), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_classified_by_their_own_length_only),
        cmocka_unit_test(rtcp_is_checked_up_to_its_first_length),
        cmocka_unit_test(losses_are_counted_over_wraps_and_misorder),
        cmocka_unit_test(another_source_starts_anew_and_keeps_what_was_lost),
        cmocka_unit_test(an_even_stream_has_no_jitter),
        cmocka_unit_test(jitter_settles_at_the_mean_deviation),
        cmocka_unit_test(time_stamps_may_wrap),
        cmocka_unit_test(an_event_that_repeats_its_time_stamp_is_no_jitter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
