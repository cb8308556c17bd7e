/* test_media_bundle.c - streams of one transport on the caller's side, each with ports of its own
 * on the callee's (RFC 8843): told apart by MID, SSRC and payload type, and never two under one
 * name. */
#include "media_secure_rig.h"
#include "crypto_rig.h"

#define AUDIO 0
#define VIDEO 1
#define MID_ID 3

struct callee { /* the video's plain ports */
    int rtp, rtcp;
};

static const struct media_format audio = {.pt = 111, .out_pt = 111, .clock_hz = 48000};
static const struct media_format video = {
    .pt = 96, .out_pt = 96, .clock_hz = 90000, .kind = MEDIA_FMT_OTHER};

static void up(struct rig *r, struct callee *c)
{
    static const uint32_t ssrcs[] = {0x200};
    struct media_remote m;

    rig_up(r, MEDIA_RTP, AF_INET, AF_INET);
    c->rtp = rig_socket(rig_ip(11));
    c->rtcp = rig_socket(rig_ip(11));
    assert_int_equal(media_open(r->s, VIDEO, 1, MEDIA_RTP, 1, AF_INET), 0);
    m = r->remote[1];
    m.rtp = rig_name(c->rtp);
    m.rtcp = rig_name(c->rtcp);
    media_set_remote(r->s, VIDEO, 1, &m);
    assert_int_equal(media_bundle(r->s, AUDIO, 0, AUDIO,
                                  &(struct media_bundle_key){.mid_ext_id = MID_ID, .mid = SL("a")}),
                     0);
    assert_int_equal(media_bundle(r->s, VIDEO, 0, AUDIO,
                                  &(struct media_bundle_key){.mid_ext_id = MID_ID,
                                                             .mid = SL("v"),
                                                             .ssrcs = ssrcs,
                                                             .n = COUNT_OF(ssrcs)}),
                     0);
    m = r->remote[0];
    media_set_remote(r->s, VIDEO, 0, &m);
    assert_int_equal(media_set_formats(r->s, AUDIO, 0, &audio, 1), 0);
    assert_int_equal(media_set_formats(r->s, VIDEO, 0, &video, 1), 0);
}

static void down(struct rig *r, struct callee *c)
{
    (void)close(c->rtp);
    (void)close(c->rtcp);
    rig_down(r);
}

struct said { /* a packet of the caller */
    uint32_t ssrc;
    uint8_t pt;
    const char *mid; /* NULL: no extension */
    bool is_two;     /* two-byte form */
};

static size_t put_said(uint8_t *p, const struct said *s, uint16_t seq)
{
    size_t n = rig_rtp(p, seq);

    p[1] = s->pt;
    rtp_put32(p + 8, s->ssrc);
    if (s->mid == NULL) {
        return n;
    }
    p[0] |= 0x10;
    memset(p + 12, 0, 12);
    rtp_put16(p + 12, s->is_two ? 0x1000 : 0xbede);
    rtp_put16(p + 14, 2);
    p[16] = s->is_two ? 9 : 9 << 4; /* some other extension first */
    if (s->is_two) {
        p[17] = 0;
        p[18] = MID_ID;
        p[19] = 1;
        p[20] = (uint8_t)s->mid[0];
    } else {
        p[18] = MID_ID << 4;
        p[19] = (uint8_t)s->mid[0];
    }
    return n;
}

/* 'a', 'v', or '-': which stream it came out of. */
static char comes_out(struct rig *r, struct callee *c)
{
    bool a = rig_got(r->phone[1]), v = rig_got(c->rtp);

    return a ? (v ? '!' : 'a') : v ? 'v' : '-';
}

static void packets_are_told_apart(void **state)
{
    static const struct {
        struct said said;
        char want;
    } rows[] = {
        {{0x100, 111, NULL, false}, 'a'},                                  /* by payload type */
        {{0x101, 96, NULL, false}, 'v'},  {{0x200, 35, NULL, false}, 'v'}, /* by a=ssrc */
        {{0x300, 35, "v", false}, 'v'},                                    /* by MID */
        {{0x301, 35, "a", true}, 'a'},    {{0x300, 35, NULL, false}, 'v'}, /* as before */
        {{0x100, 96, NULL, false}, 'a'},  {{0x100, 96, "v", false}, 'v'},  /* MID is stronger */
        {{0x400, 35, NULL, false}, '-'},                                   /* nobody's */
        {{0x401, 35, "x", false}, '-'},
    };
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t p[172];
        char got;

        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, put_said(p, &rows[i].said, (uint16_t)i));
        got = comes_out(&r, &c);
        if (got != rows[i].want) {
            fail_msg("row %zu: came out of %c", i, got);
        }
    }
    assert_int_equal(rig_stats(&r, 0).malformed, 2);
    down(&r, &c);
}

/* Nobody agreed on extensions with the other side, and the mid is ours to read. */
static void the_mid_goes_no_further(void **state)
{
    struct said said = {0x300, 35, "v", false};
    uint8_t p[172], got[512];
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, put_said(p, &said, 1));
    assert_int_equal(rig_recv(c.rtp, got, sizeof(got), NULL), sizeof(p) - 12);
    assert_int_equal(got[0], 0x80);
    assert_memory_equal(got + 1, p + 1, 11);
    assert_memory_equal(got + 12, p + 24, sizeof(p) - 24);
    down(&r, &c);
}

static void followers_have_no_ports_but_the_leaders(void **state)
{
    struct media_counts n;
    struct media_stats st;
    struct addr a, v;
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    media_counts(r.m, &n);
    assert_int_equal(n.sockets, 6);
    assert_true(media_is_open(r.s, VIDEO, 0));
    media_local(r.s, AUDIO, 0, &a);
    media_local(r.s, VIDEO, 0, &v);
    assert_true(addr_eq(&a, &v));
    assert_true(media_stats(r.s, VIDEO, 0, &st));
    assert_true(addr_eq(&st.local, &a));
    assert_int_equal(media_bundle(r.s, AUDIO, 0, VIDEO, NULL), EPROTO);
    assert_int_equal(media_bundle(r.s, 2, 0, 9, NULL), ENOENT);
    assert_int_equal(media_bundle(r.s, 99, 0, AUDIO, NULL), EINVAL);
    /* Out of the bundle again. */
    assert_int_equal(media_open(r.s, VIDEO, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_local(r.s, VIDEO, 0, &v);
    assert_false(addr_eq(&a, &v));
    assert_int_equal(media_bundle(r.s, VIDEO, 0, AUDIO, NULL), 0);
    media_close(r.s, AUDIO); /* the transport stays with those that are left */
    media_local(r.s, VIDEO, 0, &v);
    assert_true(addr_eq(&a, &v));
    assert_int_equal(media_bundle_leader(r.s, VIDEO, 0), VIDEO);
    assert_int_equal(media_open(r.s, AUDIO, 0, MEDIA_RTP, 1, AF_INET), 0);
    media_close(r.s, VIDEO);
    media_counts(r.m, &n);
    assert_int_equal(n.sockets, 2);
    down(&r, &c);
}

static void both_streams_go_out_by_one_transport_under_one_key(void **state)
{
    _Alignas(8) uint8_t p[512], got[512];
    struct end e = {0};
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    rig_sdes(&r, 0, &e, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
    rig_say(&r, 1, r.phone[1]);
    assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), 172);
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p,
             put_said(p, &(struct said){.ssrc = 7, .pt = 96}, 1));
    assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), 172);
    assert_int_equal(rtp_ssrc(got), 7);
    /* And in. */
    (void)rig_rtp(p, 9);
    p[1] = 96;
    {
        size_t n = 172;

        assert_int_equal(srtp_protect(e.tx, p, &n, sizeof(p)), 0);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p, n);
    }
    assert_int_equal(comes_out(&r, &c), 'v');
    rig_end_free(&e);
    down(&r, &c);
}

/* attacks.md 82: two streams with one SSRC under one key would share its key stream. */
static void a_name_that_another_stream_has_is_changed(void **state)
{
    static const uint8_t about[32] = {0x81, 201, 0, 7, 'B', 'R', 'O', 'W'};
    _Alignas(8) uint8_t p[512], got[512], rr[64];
    struct end e = {0};
    struct callee c;
    uint32_t name;
    struct rig r;

    (void)state;
    up(&r, &c);
    rig_sdes(&r, 0, &e, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
    rig_say(&r, 1, r.phone[1]);
    assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), 172);
    for (uint16_t seq = 1; seq < 4; seq++) { /* the same numbers, too */
        rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p,
                 put_said(p, &(struct said){.ssrc = 0x53535243, .pt = 96}, seq));
        assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), 172);
        assert_int_not_equal(rtp_ssrc(got), 0x53535243);
        assert_int_equal(rtp_seq(got), seq);
    }
    name = rtp_ssrc(got);
    memcpy(rr, about, sizeof(about)); /* the browser reports on it: to the video, by its own name */
    rtp_put32(rr + 8, name);
    {
        size_t n = 32;

        r.remote[0].mux = true;
        rig_describe(&r, 0);
        assert_int_equal(srtcp_protect(e.tx, rr, &n, sizeof(rr)), 0);
        rig_send(&rig_side(&r, 0)->rtp, r.phone[0], rr, n);
    }
    assert_int_equal(rig_recv(c.rtcp, got, sizeof(got), NULL), 32);
    assert_int_equal(rtp_u32(got + 8), 0x53535243);
    assert_false(rig_got(r.phone_rtcp[1]));
    rig_end_free(&e);
    down(&r, &c);
}

static void a_compound_about_both_streams_is_parted(void **state)
{
    static const char all[] = "\x81\xc9\x00\x07"
                              "BROWSSRC0123456789abcdefghij" /* RR about the audio */
                              "\x81\xca\x00\x03"
                              "\x00\x00\x01\x01\x01\x02me\x00\x00\x00\x00" /* SDES of the video */
                              "\x81\xce\x00\x02"
                              "BROW\x00\x00\x00\x07"; /* PLI to the video */
    uint8_t p[512], got[512];
    struct callee c;
    struct media_remote m;
    struct rig r;

    (void)state;
    up(&r, &c);
    m = r.remote[1];
    m.rtp = rig_name(c.rtp);
    m.rtcp = rig_name(c.rtcp);
    m.avpf = true;
    media_set_remote(r.s, VIDEO, 1, &m);
    rig_say(&r, 1, r.phone[1]);
    assert_true(rig_got(r.phone[0]));
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p,
             put_said(p, &(struct said){.ssrc = 7, .pt = 96}, 1));
    assert_true(rig_got(r.phone[0]));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], p,
             put_said(p, &(struct said){.ssrc = 0x101, .pt = 96}, 1));
    assert_int_equal(comes_out(&r, &c), 'v');
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], all, sizeof(all) - 1);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), 32);
    assert_memory_equal(got, all, 32);
    assert_int_equal(rig_recv(c.rtcp, got, sizeof(got), NULL), 8 + 16 + 12);
    assert_memory_equal(got, "\x80\xc9\x00\x01\x00\x00\x01\x01", 8); /* begins with a report */
    assert_memory_equal(got + 8, all + 32, 10); /* without the name: nobody hears that */
    assert_memory_equal(got + 8 + 12, all + 32 + 12, 16);
    down(&r, &c);
}

/* One report of the browser about both, and the quality of the second (RFC 3611): each far end
 * gets the blocks about its own stream. */
static void the_blocks_of_one_report_are_parted(void **state)
{
    static const char report[] = "\x82\xc9\x00\x0d"
                                 "BROWSSRC0123456789abcdefghij" /* the audio */
                                 "\x00\x00\x00\x07"
                                 "0123456789abcdefghij" /* the video */
                                 "\x81\xcf\x00\x0a"
                                 "BROW"
                                 "\x07\x00\x00\x08"
                                 "\x00\x00\x00\x07"
                                 "0123456789abcdefghijABCDEFGH";
    uint8_t p[512], got[512];
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    rig_say(&r, 1, r.phone[1]);
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p,
             put_said(p, &(struct said){.ssrc = 7, .pt = 96}, 1));
    rig_send(&rig_side(&r, 0)->rtp, r.phone[0], report, sizeof(report) - 1);
    assert_int_equal(rig_recv(r.phone_rtcp[1], got, sizeof(got), NULL), 32);
    assert_memory_equal(got,
                        "\x81\xc9\x00\x07"
                        "BROWSSRC",
                        12);
    assert_int_equal(rig_recv(c.rtcp, got, sizeof(got), NULL), 32 + 44);
    assert_memory_equal(got,
                        "\x81\xc9\x00\x07"
                        "BROW\x00\x00\x00\x07",
                        12);
    assert_memory_equal(got + 32, report + 56, 44);
    down(&r, &c);
}

/* All names are taken by one stream; the other one has been silent so far. */
static void a_silent_stream_finds_a_name_when_it_speaks(void **state)
{
    uint8_t p[512];
    struct callee c;
    struct rig r;

    (void)state;
    up(&r, &c);
    for (uint32_t k = 0; k < BUNDLE_LEARNED_MAX; k++) {
        size_t n = rig_rtp(p, 5);

        rtp_put32(p + 8, 1000 + k);
        rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, n);
        assert_true(rig_got(r.phone[0]));
    }
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p,
             put_said(p, &(struct said){.ssrc = 7, .pt = 96}, 1));
    assert_int_equal(rig_recv(r.phone[0], p, sizeof(p), NULL), 172);
    assert_int_equal(rtp_ssrc(p), 7);
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p, /* nor a name of the other's */
             put_said(p, &(struct said){.ssrc = 1015, .pt = 96}, 1));
    assert_int_equal(rig_recv(r.phone[0], p, sizeof(p), NULL), 172);
    assert_int_not_equal(rtp_ssrc(p), 1015);
    down(&r, &c);
}

static void one_name_too_many_goes_on_under_the_last(void **state)
{
    uint8_t p[512];
    struct callee c;
    uint32_t last = 0;
    uint16_t seq = 0;
    struct rig r;

    (void)state;
    up(&r, &c);
    for (uint32_t k = 0; k < 3 * BUNDLE_LEARNED_MAX; k++) {
        size_t n = rig_rtp(p, 5);

        rtp_put32(p + 8, 1000 + k);
        rig_send(&rig_side(&r, 1)->rtp, r.phone[1], p, n);
        assert_int_equal(rig_recv(r.phone[0], p, sizeof(p), NULL), 172);
        assert_true(rtp_ssrc(p) != last || rtp_seq(p) == (uint16_t)(seq + 1));
        last = rtp_ssrc(p);
        seq = rtp_seq(p);
    }
    assert_int_equal(last, 1000 + BUNDLE_LEARNED_MAX - 1);
    down(&r, &c);
}

/* Its neighbour has keys, it has none yet: nothing goes out in clear, and nothing clear comes in.
 */
static void who_leaves_a_secure_transport_stays_secure(void **state)
{
    uint8_t p[512];
    struct end e = {0};
    struct media_remote m;
    struct callee c;
    struct rig r;
    size_t n;

    (void)state;
    up(&r, &c);
    rig_sdes(&r, 0, &e, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
    assert_int_equal(media_bundle_leader(r.s, VIDEO, 0), AUDIO);
    assert_int_equal(media_open(r.s, VIDEO, 0, MEDIA_RTP, 1, AF_INET), 0);
    assert_int_equal(media_bundle_leader(r.s, VIDEO, 0), VIDEO);
    m = r.remote[0];
    media_set_remote(r.s, VIDEO, 0, &m);
    n = put_said(p, &(struct said){.ssrc = 7, .pt = 96}, 1);
    rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p, n);
    assert_false(rig_got(r.phone[0]));
    rig_send(&r.s->streams[VIDEO]->side[0].rtp, r.phone[0], p, n);
    assert_false(rig_got(c.rtp));
    assert_int_equal(media_set_sdes(r.s, VIDEO, 0, NULL, NULL), EPROTO);
    rig_end_free(&e);
    down(&r, &c);
}

/* Keys, rollover counters and names of the others go on; three streams, so that one still follows.
 */
static void with_its_leader_gone_a_bundle_goes_on(void **state)
{
    _Alignas(8) uint8_t p[512], got[512];
    struct end e = {0};
    struct callee c;
    struct rig r;
    size_t n;

    (void)state;
    up(&r, &c);
    assert_int_equal(media_bundle(r.s, 2, 0, AUDIO, &(struct media_bundle_key){.mid = SL("t")}), 0);
    rig_sdes(&r, 0, &e, SRTP_AES_CM_128_HMAC_SHA1_80, 1);
    for (uint16_t seq = 1; seq < 4; seq++) {
        if (seq == 2) {
            media_close(r.s, AUDIO);
            assert_int_equal(media_bundle_leader(r.s, VIDEO, 0), VIDEO);
            assert_int_equal(media_bundle_leader(r.s, 2, 0), VIDEO);
        }
        n = put_said(p, &(struct said){.ssrc = 7, .pt = 96}, seq);
        rig_send(&r.s->streams[VIDEO]->side[1].rtp, c.rtp, p, n);
        assert_int_equal(rig_read(r.phone[0], &e, got, sizeof(got)), n);
        n = put_said(p, &(struct said){.ssrc = 0x200, .pt = 96}, seq);
        assert_int_equal(srtp_protect(e.tx, p, &n, sizeof(p)), 0);
        rig_send(&r.s->streams[seq == 1 ? AUDIO : VIDEO]->side[0].rtp, r.phone[0], p, n);
        assert_int_equal(rig_recv(c.rtp, got, sizeof(got), NULL), 172);
    }
    rig_end_free(&e);
    down(&r, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_told_apart),
        cmocka_unit_test(the_mid_goes_no_further),
        cmocka_unit_test(followers_have_no_ports_but_the_leaders),
        cmocka_unit_test(both_streams_go_out_by_one_transport_under_one_key),
        cmocka_unit_test(a_name_that_another_stream_has_is_changed),
        cmocka_unit_test(the_blocks_of_one_report_are_parted),
        cmocka_unit_test(a_silent_stream_finds_a_name_when_it_speaks),
        cmocka_unit_test(one_name_too_many_goes_on_under_the_last),
        cmocka_unit_test(a_compound_about_both_streams_is_parted),
        cmocka_unit_test(who_leaves_a_secure_transport_stays_secure),
        cmocka_unit_test(with_its_leader_gone_a_bundle_goes_on),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
