/* test_media_format.c - payload types across the relay, and DTMF in both directions (RFC 4733):
 * each event once, and sequence numbers without a gap wherever packets are taken out or put in. */
#include "media_secure_rig.h"
#include "crypto_rig.h"

#define PCMU 0
#define OPUS 111
#define EVENT 101

struct told {
    unsigned n;
    char digit;
    unsigned ms, side;
    bool close;
    struct rig *rig;
};

static void on_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                    unsigned ms, void *arg)
{
    struct told *t = arg;

    assert_int_equal(stream, 0);
    assert_ptr_equal(s, t->rig->s);
    t->n++;
    t->digit = digit;
    t->ms = ms;
    t->side = side;
    if (t->close) {
        media_session_close(&t->rig->s);
    }
}

static const struct media_format audio_events[] = {
    {.pt = PCMU, .out_pt = PCMU, .kind = MEDIA_FMT_AUDIO, .codec = MEDIA_CODEC_G711},
    {.pt = EVENT, .out_pt = EVENT, .kind = MEDIA_FMT_EVENT, .clock_hz = 8000}};

static void up(struct rig *r, struct told *t)
{
    rig_up(r, MEDIA_RTP, AF_INET, AF_INET);
    *t = (struct told){.rig = r};
    media_set_dtmf_handler(r->s, on_dtmf, t);
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(media_set_formats(r->s, 0, side, audio_events, COUNT_OF(audio_events)), 0);
    }
}

/* Digits that come from that side become INFO. */
static void up_to_info(struct rig *r, struct told *t, unsigned side)
{
    up(r, t);
    assert_int_equal(media_set_dtmf(r->s, 0, side, MEDIA_DTMF_TO_INFO), 0);
}

static void send_pt(struct rig *r, unsigned side, uint8_t pt, uint16_t seq)
{
    uint8_t p[172];
    size_t n = rig_rtp(p, seq);

    p[1] = pt;
    rig_send(&rig_side(r, side)->rtp, r->phone[side], p, n);
}

/* The payload type that arrives; -1: nothing does. */
static int heard_pt(struct rig *r, unsigned side)
{
    uint8_t got[512];

    return rig_recv(r->phone[side], got, sizeof(got), NULL) > 0 ? got[1] : -1;
}

/* --- payload types --- */

static void numbers_become_those_of_the_other_side(void **state)
{
    static const struct media_format caller[] = {{.pt = OPUS, .out_pt = 96, .clock_hz = 48000},
                                                 {.pt = PCMU, .out_pt = PCMU},
                                                 {.pt = 13, .out_pt = MEDIA_PT_NONE}};
    static const struct media_format callee[] = {{.pt = 96, .out_pt = OPUS, .clock_hz = 48000},
                                                 {.pt = PCMU, .out_pt = PCMU},
                                                 {.pt = 110, .out_pt = 126}};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(media_set_formats(r.s, 0, 0, caller, COUNT_OF(caller)), 0);
    assert_int_equal(media_set_formats(r.s, 0, 1, callee, COUNT_OF(callee)), 0);
    send_pt(&r, 0, OPUS | RTP_MARKER, 1);
    assert_int_equal(heard_pt(&r, 1), 96 | RTP_MARKER); /* the marker is not part of the number */
    send_pt(&r, 0, PCMU, 2);
    assert_int_equal(heard_pt(&r, 1), PCMU);
    send_pt(&r, 0, 13, 3); /* the other side has no comfort noise */
    assert_int_equal(heard_pt(&r, 1), -1);
    send_pt(&r, 1, 96, 1);
    assert_int_equal(heard_pt(&r, 0), OPUS);
    send_pt(&r, 1, 110, 2);
    assert_int_equal(heard_pt(&r, 0), 126);
    assert_int_equal(rig_stats(&r, 0).wrong_pt + rig_stats(&r, 1).wrong_pt, 0);
    /* Not negotiated: counted; dropped when the other side takes it for something else. */
    send_pt(&r, 0, 35, 4);
    assert_int_equal(heard_pt(&r, 1), 35);
    send_pt(&r, 0, 110, 5);
    assert_int_equal(heard_pt(&r, 1), -1);
    assert_int_equal(rig_stats(&r, 0).wrong_pt, 2);
    /* Nothing negotiated: everything passes. */
    assert_int_equal(media_set_formats(r.s, 0, 0, NULL, 0), 0);
    send_pt(&r, 0, 110, 6);
    assert_int_equal(heard_pt(&r, 1), 110);
    assert_int_equal(rig_stats(&r, 0).wrong_pt, 2);
    rig_down(&r);
}

static void bad_lists_are_refused(void **state)
{
    static const struct media_format bad = {.pt = 128}, worse = {.pt = 1, .out_pt = 200};
    static const struct media_format many[MEDIA_FORMATS_MAX + 1];
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(media_set_formats(r.s, 0, 0, &bad, 1), EINVAL);
    assert_int_equal(media_set_formats(r.s, 0, 0, &worse, 1), EINVAL);
    assert_int_equal(media_set_formats(r.s, 0, 0, many, COUNT_OF(many)), EINVAL);
    assert_int_equal(media_set_formats(r.s, 7, 0, many, 1), ENOENT);
    assert_int_equal(media_set_formats(r.s, 0, 0, many, MEDIA_FORMATS_MAX), 0);
    rig_down(&r);
}

static void jitter_goes_by_the_clock_of_the_format(void **state)
{
    static const struct media_format opus = {.pt = OPUS, .out_pt = OPUS, .clock_hz = 48000};
    struct rig r;

    (void)state;
    rig_up(&r, MEDIA_RTP, AF_INET, AF_INET);
    assert_int_equal(media_set_formats(r.s, 0, 0, &opus, 1), 0);
    for (uint16_t i = 0; i < 100; i++) {
        uint8_t p[172];
        size_t n = rig_rtp(p, i);

        p[1] = OPUS;
        rtp_put32(p + 4, (uint32_t)i * 960);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
        assert_true(rig_got(r.phone[1]));
        loop_advance(r.loop, 20);
    }
    assert_int_equal(rig_stats(&r, 0).jitter_us, 0);
    rig_down(&r);
}

/* --- events that we receive --- */

static size_t event(uint8_t *p, uint16_t seq, uint32_t ts, uint8_t code, bool end, uint16_t units)
{
    (void)rig_rtp(p, seq);
    p[1] = EVENT;
    rtp_put32(p + 4, ts);
    p[12] = code;
    p[13] = (uint8_t)(10 | (end ? 0x80 : 0));
    rtp_put16(p + 14, units);
    return 16;
}

/* Packets of one event, the end three times; returns the next sequence number. */
static uint16_t press(struct rig *r, unsigned side, uint16_t seq, uint32_t ts, uint8_t code)
{
    uint8_t p[172];

    for (unsigned i = 1; i <= 5; i++) {
        rig_send(&rig_side(r, side)->rtp, r->phone[side], p,
                 event(p, seq++, ts, code, false, (uint16_t)(160 * i)));
    }
    for (unsigned i = 0; i < 3; i++) {
        rig_send(&rig_side(r, side)->rtp, r->phone[side], p, event(p, seq++, ts, code, true, 960));
    }
    return seq;
}

static void events_pass_and_are_counted_once(void **state)
{
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    (void)press(&r, 0, 1, 8000, 5);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(heard_pt(&r, 1), EVENT);
    }
    (void)press(&r, 0, 9, 16000, 5); /* the same key again */
    loop_advance(r.loop, 1000);
    assert_int_equal(rig_stats(&r, 0).dtmf_events, 2);
    assert_int_equal(t.n, 0);
    rig_down(&r);
}

/* attacks.md 87: one path for DTMF; what becomes an INFO is not heard as well. */
static void events_are_told_once_instead_of_relayed_and_leave_no_gap(void **state)
{
    uint8_t got[512];
    struct told t;
    uint16_t seq;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 0);
    send_pt(&r, 0, PCMU, 10);
    assert_int_equal(heard_pt(&r, 1), PCMU);
    seq = press(&r, 0, 11, 8000, 11);
    assert_false(rig_got(r.phone[1]));
    assert_int_equal(t.n, 0); /* no packet calls anybody */
    loop_advance(r.loop, 0);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.digit, '#');
    assert_int_equal(t.ms, 120);
    assert_int_equal(t.side, 0);
    loop_advance(r.loop, 1000);
    assert_int_equal(t.n, 1);
    send_pt(&r, 0, PCMU, seq);
    assert_int_equal(rig_recv(r.phone[1], got, sizeof(got), NULL), 172);
    assert_int_equal(rtp_seq(got), 11); /* the next one for the listener */
    /* A straggler of before the event keeps its old number. */
    send_pt(&r, 0, PCMU, 9);
    assert_int_equal(rig_recv(r.phone[1], got, sizeof(got), NULL), 172);
    assert_int_equal(rtp_seq(got), 9);
    rig_down(&r);
}

static void an_event_whose_end_is_lost_is_told_later(void **state)
{
    uint8_t p[172];
    struct told t;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 1);
    rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, event(p, 1, 100, 1, false, 400));
    loop_advance(r.loop, 150);
    rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, event(p, 2, 100, 1, false, 800));
    loop_advance(r.loop, 199);
    assert_int_equal(t.n, 0);
    loop_advance(r.loop, 2);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.digit, '1');
    assert_int_equal(t.ms, 100);
    assert_int_equal(t.side, 1);
    /* The next key ends the one before, too. */
    rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, event(p, 3, 9000, 2, false, 400));
    rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, event(p, 4, 18000, 3, true, 400));
    loop_advance(r.loop, 1);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.digit, '3');
    rig_down(&r);
}

/* A sender may set its clock back and keep its SSRC, as after a hold. */
static void an_older_time_is_a_straggler_only_for_a_second(void **state)
{
    uint8_t p[172];
    struct told t;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 0);
    (void)press(&r, 0, 1, 80000, 5);
    loop_advance(r.loop, 999);
    assert_int_equal(t.n, 1);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 9, 8000, 6, true, 960));
    loop_advance(r.loop, 1);
    assert_int_equal(t.n, 1);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 10, 8000, 6, true, 960));
    loop_advance(r.loop, 1);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.digit, '6');
    rig_down(&r);
}

static void a_long_event_in_segments_is_one(void **state)
{
    uint8_t p[172];
    struct told t;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 0);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 1, 100, 7, false, 0xffff));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 2, 100 + 0xffff, 7, false, 160));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 3, 100 + 0xffff, 7, true, 465));
    loop_advance(r.loop, 1);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.ms, 66000 / 8);
    assert_int_equal(rig_stats(&r, 0).dtmf_events, 1);
    rig_down(&r);
}

static void an_event_packet_that_is_too_short_or_means_nothing_is_no_digit(void **state)
{
    uint8_t p[172];
    struct told t;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 0);
    (void)event(p, 1, 100, 7, true, 160);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, 15);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, 12);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 2, 100, 99, true, 160));
    loop_advance(r.loop, 1000);
    assert_int_equal(t.n, 0);
    assert_false(rig_got(r.phone[1]));
    rig_down(&r);
}

static void the_handler_may_close_the_session(void **state)
{
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    t.close = true;
    assert_int_equal(media_set_dtmf(r.s, 0, 0, MEDIA_DTMF_TO_INFO), 0);
    (void)press(&r, 0, 1, 100, 1);
    (void)press(&r, 0, 9, 9000, 2);
    loop_advance(r.loop, 1000);
    assert_int_equal(t.n, 1);
    assert_null(r.s);
    rig_down(&r);
}

static void a_new_description_does_not_lose_an_event_under_way(void **state)
{
    uint8_t p[172];
    struct told t;
    struct rig r;

    (void)state;
    up_to_info(&r, &t, 0);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 1, 100, 7, false, 160));
    assert_int_equal(media_set_formats(r.s, 0, 0, audio_events, COUNT_OF(audio_events)), 0);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, event(p, 2, 100, 7, true, 320));
    loop_advance(r.loop, 1000);
    assert_int_equal(t.n, 1);
    assert_int_equal(rig_stats(&r, 0).dtmf_events, 1);
    rig_down(&r);
}

/* --- events that we send --- */

struct heard {
    unsigned packets, events, ends, marks;
    uint16_t first, last;
    uint32_t ts;
    uint16_t duration;
    uint8_t code;
};

/* Reads all that waits; numbers have to follow each other. */
static void hear(struct rig *r, unsigned side, const struct end *e, struct heard *h)
{
    _Alignas(8) uint8_t got[512];

    for (ssize_t n = rig_read(r->phone[side], e, got, sizeof(got)); n >= 0;
         n = rig_read(r->phone[side], e, got, sizeof(got))) {
        assert_true(h->packets == 0 || rtp_seq(got) == (uint16_t)(h->last + 1));
        assert_int_equal(rtp_ssrc(got), 0x53535243);
        h->first = h->packets == 0 ? rtp_seq(got) : h->first;
        h->last = rtp_seq(got);
        h->packets++;
        if ((got[1] & RTP_PT_MASK) != EVENT) {
            continue;
        }
        assert_int_equal(n, 16);
        assert_true(h->events == 0 || h->code != got[12] || rtp_u16(got + 14) >= h->duration);
        h->events++;
        h->marks += (got[1] & RTP_MARKER) != 0;
        h->ends += (got[13] & 0x80) != 0;
        h->code = got[12];
        h->ts = rtp_ts(got);
        h->duration = rtp_u16(got + 14);
    }
}

static void our_events_replace_audio_and_numbers_stay_without_gaps(void **state)
{
    (void)state;
    for (unsigned secure = 0; secure < 2; secure++) {
        struct end e = {0};
        struct heard h = {0};
        struct told t;
        struct rig r;

        up(&r, &t);
        if (secure != 0) {
            rig_sdes(&r, 1, &e, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
        }
        for (uint16_t i = 0; i < 50; i++) { /* a second of speech, 20 ms each */
            send_pt(&r, 0, PCMU, (uint16_t)(65500 + i));
            if (i == 10) {
                assert_int_equal(media_send_dtmf(r.s, 0, 1, '5', 100), 0);
                assert_int_equal(media_send_dtmf(r.s, 0, 1, 'd', 60), 0);
            }
            loop_advance(r.loop, 20);
            hear(&r, 1, &e, &h);
        }
        assert_int_equal(h.marks, 2);
        assert_int_equal(h.ends, 6);
        assert_int_equal(h.code, 15);
        assert_int_equal(h.duration, 480);
        assert_int_equal(h.first, 65500);
        assert_true(h.packets - h.events < 50); /* audio gave way */
        assert_true(h.packets - h.events > 30);
        assert_int_equal(rig_stats(&r, 1).send_failed, 0);
        assert_int_equal(rig_stats(&r, 0).srtp_replayed, 0);
        rig_end_free(&e);
        rig_down(&r);
    }
}

static void an_event_has_the_time_of_the_stream_it_interrupts(void **state)
{
    struct heard h = {0};
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    send_pt(&r, 0, PCMU, 3); /* time stamp 480 */
    loop_advance(r.loop, 40);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, '*', 0), 0);
    loop_advance(r.loop, 1000);
    hear(&r, 1, &(struct end){0}, &h);
    assert_int_equal(h.ts, 480 + 320);
    assert_int_equal(h.code, 10);
    assert_int_equal(h.duration, 160 * 8); /* the default: 160 ms */
    rig_down(&r);
}

static void an_event_needs_no_stream_beside_it(void **state)
{
    uint8_t got[512];
    unsigned n = 0;
    uint16_t last = 0;
    uint32_t ssrc = 0;
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, '1', 60), 0);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, '2', 60), 0);
    loop_advance(r.loop, 1000);
    while (rig_recv(r.phone[1], got, sizeof(got), NULL) == 16) {
        assert_true(n == 0 || (rtp_seq(got) == (uint16_t)(last + 1) && rtp_ssrc(got) == ssrc));
        last = rtp_seq(got);
        ssrc = rtp_ssrc(got);
        n++;
    }
    assert_in_range(n, 8, 12);
    rig_down(&r);
}

/* What side 1 wants to be sent is in the list of side 0, which sends it. */
static void an_event_goes_as_often_as_the_side_asks_for_packets(void **state)
{
    static const struct {
        uint16_t ptime_ms;
        int step_ms;
    } rows[] = {{0, 20}, {10, 10}, {20, 20}, {30, 30}, {60, 60}, {1, 10}, {100, 60}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct media_format f[COUNT_OF(audio_events)];
        _Alignas(8) uint8_t got[512];
        int step = rows[i].step_ms, next = 0, n = 0;
        struct told t;
        struct rig r;

        up(&r, &t);
        memcpy(f, audio_events, sizeof(f));
        for (size_t k = 0; k < COUNT_OF(f); k++) {
            f[k].ptime_ms = rows[i].ptime_ms;
        }
        assert_int_equal(media_set_formats(r.s, 0, 0, f, COUNT_OF(f)), 0);
        assert_int_equal(media_send_dtmf(r.s, 0, 1, '7', 240), 0);
        loop_advance(r.loop, 0);
        for (int ms = 0; ms < 600; ms++) {
            if (rig_recv(r.phone[1], got, sizeof(got), NULL) == 16) {
                int lasted = next + step < 240 ? next + step : 240;

                assert_int_equal(ms, next);
                assert_int_equal(rtp_u16(got + 14), lasted * 8);
                next += step;
                n++;
            }
            loop_advance(r.loop, 1);
        }
        assert_int_equal(n, 240 / step + 2); /* the last one three times */
        rig_down(&r);
    }
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, 'x', 0), EINVAL);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, 0, 0), EINVAL);
    assert_int_equal(media_send_dtmf(r.s, 5, 1, '1', 0), ENOENT);
    for (unsigned i = 0; i < MEDIA_DTMF_QUEUE; i++) {
        assert_int_equal(media_send_dtmf(r.s, 0, 1, '1', 0), 0);
    }
    assert_int_equal(media_send_dtmf(r.s, 0, 1, '1', 0), ENOBUFS);
    assert_int_equal(media_set_formats(r.s, 0, 1, audio_events, 1), 0);
    assert_int_equal(media_send_dtmf(r.s, 0, 1, '1', 0), ENOTSUP);
    loop_advance(r.loop, 1000); /* and the ones that wait are given up */
    assert_false(rig_got(r.phone[1]));
    rig_down(&r);
}

/* --- numbers (remap.c) --- */

static uint16_t mapped(struct media_remap *m, uint16_t seq)
{
    uint8_t p[172];

    (void)rig_rtp(p, seq);
    return media_remap_apply(m, p) ? rtp_seq(p) : 0xffff;
}

static void swallow(struct media_side *s, uint16_t seq)
{
    uint8_t p[172];

    media_remap_swallow(s, p, rig_rtp(p, seq));
}

static void stragglers_get_the_offset_of_their_time(void **state)
{
    struct told t;
    struct media_side *s;
    struct media_remap *m;
    uint16_t seq = 0;
    struct rig r;

    (void)state;
    up(&r, &t);
    s = rig_side(&r, 0);
    assert_int_equal(media_remap_want(s), 0);
    m = s->remap;
    assert_int_equal(mapped(m, 10), 10);
    swallow(s, 11);
    swallow(s, 12);
    assert_int_equal(mapped(m, 13), 11);
    assert_true(media_remap_insert(s, 0x53535243, 4, &seq));
    assert_int_equal(seq, 12);
    assert_int_equal(mapped(m, 14), 13);
    assert_int_equal(mapped(m, 16), 15);
    assert_int_equal(mapped(m, 15), 14);
    assert_int_equal(mapped(m, 9), 9);
    assert_int_equal(mapped(m, 13), 11);
    swallow(s, 8); /* long gone: the listener has noticed */
    assert_int_equal(mapped(m, 17), 16);
    assert_int_equal(m->source[0].packets, -1);
    for (uint32_t i = 18; i < 70000; i += 100) { /* more than a whole turn */
        assert_int_equal(mapped(m, (uint16_t)i), (uint16_t)(i - 1));
    }
    rig_down(&r);
}

static void the_source_unused_for_longest_makes_room(void **state)
{
    struct told t;
    struct media_side *s;
    uint16_t seq = 7;
    struct rig r;

    (void)state;
    up(&r, &t);
    s = rig_side(&r, 0);
    assert_false(media_remap_insert(s, 1, 4, &seq)); /* nobody asked for it */
    assert_int_equal(media_remap_want(s), 0);
    for (uint32_t k = 0; k < REMAP_SOURCES; k++) {
        seq = 7;
        assert_true(media_remap_insert(s, k, 4, &seq));
        assert_int_equal(seq, 8);
    }
    assert_true(media_remap_insert(s, 0, 4, &seq));
    assert_true(media_remap_insert(s, 99, 4, &seq));
    assert_null(media_remap_by_out(s->remap, 1));
    assert_true(media_remap_continue(s, 97, 1, 96, 1));
    assert_null(media_remap_by_out(s->remap, 2));
    assert_int_equal(s->remap->n, REMAP_SOURCES);
    assert_true(media_remap_continue(s, 98, 1, 0, 9)); /* a source's successor */
    assert_null(media_remap_by_in(s->remap, 0));
    assert_int_equal(media_remap_by_in(s->remap, 98)->out_ssrc, 0);
    rig_down(&r);
}

static void a_digit_goes_out_however_often_the_source_changes(void **state)
{
    uint8_t p[512];
    struct told t;
    struct rig r;

    (void)state;
    up(&r, &t);
    for (uint32_t k = 0; k < 3 * REMAP_SOURCES; k++) {
        size_t n = rig_rtp(p, 100);
        unsigned events = 0;

        rtp_put32(p + 8, 1000 + k);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
        assert_int_equal(rig_recv(r.phone[1], p, sizeof(p), NULL), 172);
        assert_int_equal(media_send_dtmf(r.s, 0, 1, '5', 100), 0);
        for (unsigned i = 0; i < 20; i++) {
            loop_advance(r.loop, 20);
            for (; rig_recv(r.phone[1], p, sizeof(p), NULL) >= 0; events++) {
                assert_int_equal(rtp_ssrc(p), 1000 + k);
                assert_int_equal(rtp_seq(p), 101 + events);
            }
        }
        assert_true(events > 3);
    }
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_those_of_the_other_side),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(jitter_goes_by_the_clock_of_the_format),
        cmocka_unit_test(events_pass_and_are_counted_once),
        cmocka_unit_test(events_are_told_once_instead_of_relayed_and_leave_no_gap),
        cmocka_unit_test(an_event_whose_end_is_lost_is_told_later),
        cmocka_unit_test(an_older_time_is_a_straggler_only_for_a_second),
        cmocka_unit_test(a_long_event_in_segments_is_one),
        cmocka_unit_test(an_event_packet_that_is_too_short_or_means_nothing_is_no_digit),
        cmocka_unit_test(the_handler_may_close_the_session),
        cmocka_unit_test(a_new_description_does_not_lose_an_event_under_way),
        cmocka_unit_test(our_events_replace_audio_and_numbers_stay_without_gaps),
        cmocka_unit_test(an_event_has_the_time_of_the_stream_it_interrupts),
        cmocka_unit_test(an_event_needs_no_stream_beside_it),
        cmocka_unit_test(an_event_goes_as_often_as_the_side_asks_for_packets),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(stragglers_get_the_offset_of_their_time),
        cmocka_unit_test(the_source_unused_for_longest_makes_room),
        cmocka_unit_test(a_digit_goes_out_however_often_the_source_changes),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
