/* test_media_quality.c - the figures an operator sees: the E-model against its check values,
 * windows, late, reordered and repeated packets, and a plain word for silence. */
#include "media_secure_rig.h"
#include "crypto_rig.h"

#define A SRTP_AES_CM_128_HMAC_SHA1_80

static void the_model_gives_the_known_values(void **state)
{
    static const struct row {
        enum media_codec codec;
        double loss, mos;
    } rows[] = {
        {MEDIA_CODEC_G711, 0, 4.38},  {MEDIA_CODEC_G711, 1, 4.30}, {MEDIA_CODEC_G711, 5, 3.87},
        {MEDIA_CODEC_G711, 10, 3.35}, {MEDIA_CODEC_G729, 0, 4.06}, {MEDIA_CODEC_G729, 5, 3.28},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double mos = media_mos(50, rows[i].loss, rows[i].codec);

        if (mos < rows[i].mos - 0.005 || mos >= rows[i].mos + 0.005) {
            fail_msg("row %zu: %f", i, mos);
        }
    }
}

static void the_model_stays_within_its_scale_and_falls_with_delay_and_loss(void **state)
{
    double last = 5;

    (void)state;
    for (int delay = 0; delay < 2000; delay += 25) {
        double mos = media_mos(delay, 0, MEDIA_CODEC_G711);

        assert_true(mos <= last && mos >= 1);
        last = mos;
    }
    last = 5;
    for (int loss = 0; loss <= 100; loss++) {
        double mos = media_mos(0, loss, MEDIA_CODEC_G723);

        assert_true(mos <= last && mos >= 1);
        last = mos;
    }
    assert_true(media_mos(0, 0, MEDIA_CODEC_OTHER) <= 4.5);
    assert_true(media_mos(0, 100, (enum media_codec)99) >= 1);
}

/* --- windows --- */

/* ms of G.711 from this side, each `skip`-th packet missing (0: none). */
static void speak(struct rig *r, unsigned side, uint16_t *seq, int ms, unsigned skip)
{
    for (int t = 0; t < ms; t += 20) {
        uint8_t p[172];
        size_t n = rig_rtp(p, *seq);

        if (skip == 0 || *seq % skip != 0) {
            rig_send(&rig_side(r, side)->rtp, r->phone[side], p, n);
            (void)rig_got(r->phone[!side]);
        }
        ++*seq;
        loop_advance(r->loop, 20);
    }
}

static void windows_of_five_seconds_give_now_min_and_average(void **state)
{
    struct media_stats st;
    uint16_t seq = 1;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    st = rig_stats(&r, 0);
    assert_int_equal(st.lq.now + st.lq.min + st.lq.avg, 0);
    speak(&r, 0, &seq, 2000, 0);
    st = rig_stats(&r, 0); /* not one window is over: what there is */
    assert_int_equal(st.lq.now, 441);
    speak(&r, 0, &seq, 8000, 0);
    speak(&r, 0, &seq, 5000, 10); /* one in ten is lost */
    speak(&r, 0, &seq, 5040, 0);
    st = rig_stats(&r, 0);
    assert_in_range(st.lq.now, 437, 441); /* the last loss shows by the first packet after it */
    assert_in_range(st.lq.min, 330, 350); /* R = 93.2 - 95 * 10 / 35.1 */
    assert_in_range(st.lq.avg, 410, 420); /* three good ones and a bad one */
    assert_int_equal(st.lost, 25);
    assert_int_equal(st.cq.now, 0); /* no round trip is known */
    assert_int_equal(rig_stats(&r, 1).lq.now, 0);
    rig_down(&r);
}

static void a_stream_that_ends_is_in_the_histograms(void **state)
{
    uint16_t seq = 1;
    char text[4096];
    struct buf b;
    struct rig r;

    (void)state;
    hist_reset();
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    speak(&r, 0, &seq, 6000, 0);
    media_session_close(&r.s);
    assert_int_equal(hist_count(HIST_MOS), 1); /* the other side was silent */
    assert_int_equal(hist_count(HIST_JITTER_US), 1);
    assert_int_equal(hist_count(HIST_LOSS), 1);
    buf_init_fixed(&b, text, sizeof(text) - 1);
    hist_put(&b);
    assert_int_equal(buf_err(&b), 0);
    text[b.n] = '\0';
    assert_non_null(strstr(text, "# TYPE postern_media_mos histogram\n"));
    assert_non_null(strstr(text, "postern_media_mos_bucket{le=\"4.3\"} 0\n"
                                 "postern_media_mos_bucket{le=\"4.4\"} 0\n"
                                 "postern_media_mos_bucket{le=\"+Inf\"} 1\n"));
    assert_non_null(strstr(text, "postern_media_jitter_seconds_bucket{le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text, "postern_media_loss_ratio_count 1\n"));
    rig_down(&r);
}

static void with_a_round_trip_the_delay_counts_as_well(void **state)
{
    struct media_stats st;
    uint16_t seq = 1;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_side(&r, 0)->report.rtt_us = 400000;
    speak(&r, 0, &seq, 5100, 0);
    st = rig_stats(&r, 0);
    assert_int_equal(st.lq.now, 441);
    /* 200 ms of way, 40 of buffer, 20 of frame */
    assert_int_equal(st.cq.now, (int)(100 * media_mos(260, 0, MEDIA_CODEC_OTHER) + 0.5));
    assert_int_equal(st.cq.min, st.cq.now);
    rig_down(&r);
}

static void a_pause_is_no_loss(void **state)
{
    struct media_stats st;
    uint16_t seq = 1;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    speak(&r, 0, &seq, 5100, 0);
    loop_advance(r.loop, 20000);
    speak(&r, 0, &seq, 5100, 0);
    st = rig_stats(&r, 0);
    assert_int_equal(st.lq.min, 441);
    assert_int_equal(st.lost, 0);
    rig_down(&r);
}

/* --- the sequence --- */

static void late_reordered_and_repeated_packets_are_told_from_lost_ones(void **state)
{
    static const struct row {
        const char *what;
        uint16_t seq[12];
        unsigned n;
        uint32_t lost, reordered, late, duplicates;
    } rows[] = {
        {"in order", {1, 2, 3}, 3, 0, 0, 0, 0},
        {"one lost", {1, 3}, 2, 1, 0, 0, 0},
        {"in time", {1, 3, 2}, 3, 0, 1, 0, 0},
        {"five behind is 100 ms: in time", {1, 2, 8, 3}, 4, 4, 1, 0, 0},
        {"six behind is late, but not lost", {1, 2, 9, 3}, 4, 5, 0, 1, 0},
        {"twice", {1, 2, 2, 3, 3, 3}, 6, 0, 0, 0, 3},
        {"twice and out of order", {1, 3, 2, 2}, 4, 0, 1, 0, 1},
        {"repeated over the wrap", {65535, 0, 65535}, 3, 0, 0, 0, 1},
        {"65 behind: late, whatever it was", {1, 66, 1}, 3, 64, 0, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct media_track t = {0};

        for (unsigned k = 0; k < rows[i].n; k++) {
            uint8_t p[172];

            (void)rig_rtp(p, rows[i].seq[k]);
            rtp_put32(p + 4, 160 * (uint32_t)rows[i].seq[k]);
            (void)media_track_note(&t, p, 8000, 1000);
        }
        if ((i < 8 && media_track_lost(&t) != rows[i].lost) || t.reordered != rows[i].reordered ||
            t.late != rows[i].late || t.duplicates != rows[i].duplicates) {
            fail_msg("%s: %u lost, %u reordered, %u late, %u again", rows[i].what,
                     (unsigned)media_track_lost(&t), t.reordered, t.late, t.duplicates);
        }
    }
}

/* --- diagnosis --- */

static enum media_diagnosis diagnosis(struct rig *r, unsigned side)
{
    return media_diagnose(r->s, 0, side);
}

static void silence_is_explained(void **state)
{
    static const struct media_format pcmu = {.pt = 0, .out_pt = 0};
    uint8_t p[172];
    size_t n;
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_NO_PACKETS);
    rig_say(&r, 0, r.stranger);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_OTHER_ADDRESS);
    rig_say(&r, 0, r.phone[0]);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_OK);
    loop_advance(r.loop, 5001);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_NO_PACKETS);
    assert_int_equal(media_set_formats(r.s, 0, 0, &pcmu, 1), 0);
    n = rig_rtp(p, 2);
    p[1] = 18;
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_WRONG_PT);
    rig_say(&r, 0, r.phone[0]);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_OK);
    loop_advance(r.loop, 6000);
    r.remote[0].may_send = false;
    rig_describe(&r, 0);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_ON_HOLD);
    assert_int_equal(diagnosis(&r, 1), MEDIA_DIAG_NO_PACKETS);
    assert_int_equal(media_diagnose(r.s, 5, 0), MEDIA_DIAG_OK);
    rig_down(&r);
}

static void failing_keys_are_named(void **state)
{
    struct end e = {0};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    rig_sdes(&r, 0, &e, A, 1);
    rig_say(&r, 0, r.stranger);
    assert_int_equal(diagnosis(&r, 0), MEDIA_DIAG_AUTH_FAILING);
    rig_end_free(&e);
    rig_down(&r);
}

static void every_word_is_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= MEDIA_DIAG_N; i++) {
        assert_true(strlen(media_diagnosis_text((enum media_diagnosis)i)) > 4);
        assert_true(strlen(media_diagnosis_word((enum media_diagnosis)i)) > 1);
    }
    assert_string_equal(media_dtls_word(MEDIA_DTLS_FAILED), "failed");
    assert_string_equal(media_ice_word(MEDIA_ICE_FAILED), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_gives_the_known_values),
        cmocka_unit_test(the_model_stays_within_its_scale_and_falls_with_delay_and_loss),
        cmocka_unit_test(windows_of_five_seconds_give_now_min_and_average),
        cmocka_unit_test(a_stream_that_ends_is_in_the_histograms),
        cmocka_unit_test(with_a_round_trip_the_delay_counts_as_well),
        cmocka_unit_test(a_pause_is_no_loss),
        cmocka_unit_test(late_reordered_and_repeated_packets_are_told_from_lost_ones),
        cmocka_unit_test(silence_is_explained),
        cmocka_unit_test(failing_keys_are_named),
        cmocka_unit_test(every_word_is_there),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
