/* test_sdp_samples.c - every sample of tests/data/sdp: is it read or refused as its index says, and
 * does nothing of it reach the other side that must not? */
#include "sdp/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIR "tests/data/sdp/"
#define OUR_IP "192.0.2.200"
#define FACE_ID 9090909090u

enum fate {
    PASS,   /* all streams can be carried */
    SOME,   /* read; at least one stream has to be refused by its profile or address */
    REFUSED /* sdp_parse() says 488 */
};

static const struct sample {
    const char *file;
    enum fate fate;
    unsigned n_streams;
    unsigned live; /* bit i: stream i can be carried as plain RTP or UDPTL */
} samples[] = {
    {"add_media_line.sdp", PASS, 2, 3},
    {"altc_dual_stack.sdp", PASS, 1, 1},
    {"basic_no_rtpmap.sdp", PASS, 1, 1},
    {"basic_pcmu_pcma.sdp", PASS, 1, 1},
    {"bfcp_presentation.sdp", SOME, 5, 0x17},
    {"capability_neg_5939.sdp", PASS, 1, 1},
    {"carrier_trunk_style.sdp", PASS, 1, 1},
    {"clearmode_data.sdp", PASS, 1, 1},
    {"disabled_then_reused.sdp", SOME, 2, 2},
    {"g729_annexb.sdp", PASS, 1, 1},
    {"hold_inactive.sdp", PASS, 1, 1},
    {"hold_recvonly.sdp", PASS, 1, 1},
    {"hold_rfc2543_zero.sdp", PASS, 1, 1},
    {"hold_sendonly.sdp", PASS, 1, 1},
    {"hold_session_level.sdp", PASS, 2, 3},
    {"hold_zero_inactive.sdp", PASS, 1, 1},
    {"ice_candidate_flood.sdp", PASS, 1, 1},
    {"ice_candidate_malformed.sdp", PASS, 1, 1},
    {"ice_lite_peer.sdp", PASS, 1, 1},
    {"ipv6.sdp", PASS, 1, 1},
    {"ipv6_mapped.sdp", PASS, 1, 1},
    {"ipv6_media_ipv4_session.sdp", PASS, 2, 3},
    {"ipv6_scope_zone.sdp", REFUSED, 0, 0},
    {"media_rejected_port0.sdp", SOME, 2, 1},
    {"odd_all_line_types.sdp", PASS, 1, 1},
    {"odd_bad_ports.sdp", REFUSED, 0, 0},
    {"odd_cr_only.sdp", REFUSED, 0, 0},
    {"odd_dup_session_lines.sdp", REFUSED, 0, 0},
    {"odd_empty.sdp", REFUSED, 0, 0},
    {"odd_fqdn_connection.sdp", SOME, 1, 0},
    {"odd_group_mid_bad.sdp", PASS, 2, 3},
    {"odd_lf_only.sdp", PASS, 1, 1},
    {"odd_long_line.sdp", REFUSED, 0, 0},
    {"odd_loopback_self.sdp", SOME, 2, 1},
    {"odd_many_mlines.sdp", REFUSED, 0, 0},
    {"odd_many_payloads.sdp", PASS, 1, 1},
    {"odd_missing_s_t.sdp", PASS, 1, 1},
    {"odd_multicast_ttl.sdp", SOME, 1, 0},
    {"odd_no_c_at_all.sdp", REFUSED, 0, 0},
    {"odd_no_final_newline.sdp", PASS, 1, 1},
    {"odd_no_media.sdp", PASS, 0, 0},
    {"odd_nul_and_controls.sdp", REFUSED, 0, 0},
    {"odd_o_version_64bit.sdp", PASS, 1, 1},
    {"odd_only_media_c.sdp", PASS, 2, 3},
    {"odd_payload_types.sdp", REFUSED, 0, 0},
    {"odd_port_65535_odd.sdp", PASS, 1, 1},
    {"odd_port_count.sdp", PASS, 1, 1},
    {"odd_ptime_zero.sdp", PASS, 1, 1},
    {"odd_reflection_dns_port.sdp", PASS, 2, 3},
    {"odd_rtcp_attr_bad.sdp", PASS, 1, 1},
    {"odd_unknown_types.sdp", REFUSED, 0, 0},
    {"odd_utf8_latin1.sdp", PASS, 1, 1},
    {"odd_version1.sdp", REFUSED, 0, 0},
    {"odd_whitespace.sdp", REFUSED, 0, 0},
    {"odd_wrong_order.sdp", PASS, 1, 1},
    {"port_change.sdp", PASS, 1, 1},
    {"rtcp_explicit.sdp", PASS, 1, 1},
    {"rtcp_mux.sdp", PASS, 1, 1},
    {"same_version_refresh.sdp", PASS, 1, 1},
    {"sdes_aes80.sdp", SOME, 1, 0},
    {"sdes_bad_base64.sdp", SOME, 1, 0},
    {"sdes_crypto_no_inline.sdp", SOME, 1, 0},
    {"sdes_long_key.sdp", SOME, 1, 0},
    {"sdes_multi_suite.sdp", SOME, 1, 0},
    {"sdes_no_crypto.sdp", SOME, 1, 0},
    {"sdes_optional_avp.sdp", PASS, 1, 1},
    {"sdes_short_key.sdp", SOME, 1, 0},
    {"sdes_two_mlines_avp_savp.sdp", SOME, 2, 2},
    {"sdes_unknown_suite.sdp", SOME, 1, 0},
    {"simulcast_rid.sdp", PASS, 1, 1},
    {"t38_audio_and_image.sdp", SOME, 2, 2},
    {"t38_huge_values.sdp", PASS, 1, 1},
    {"t38_odd_case.sdp", PASS, 1, 1},
    {"t38_reinvite.sdp", PASS, 1, 1},
    {"tcp_media_and_msrp.sdp", SOME, 3, 1},
    {"teams_direct_routing_style.sdp", SOME, 1, 0},
    {"unhold.sdp", PASS, 1, 1},
    {"video_audio_h264_vp8.sdp", PASS, 2, 3},
    {"video_only.sdp", PASS, 1, 1},
    {"webrtc_chrome_audio_only.sdp", SOME, 1, 0},
    {"webrtc_chrome_av_bundle.sdp", SOME, 2, 0},
    {"webrtc_chrome_trickle_nocand.sdp", SOME, 1, 0},
    {"webrtc_dtls_setup_active.sdp", SOME, 1, 0},
    {"webrtc_fingerprint_malformed.sdp", SOME, 1, 0},
    {"webrtc_firefox.sdp", SOME, 2, 0},
    {"webrtc_safari_plan_b_legacy.sdp", SOME, 2, 0},
    {"webrtc_setup_holdconn_bad.sdp", SOME, 1, 0},
    {"wideband_opus_g722_amrwb.sdp", PASS, 1, 1},
};

static char file_mem[1 << 17];
static struct sdp in, again;

static struct sl read_file(const char *name)
{
    char path[256];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), DIR "%s", name);
    f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s is missing", path);
        return SL_NULL;
    }
    n = fread(file_mem, 1, sizeof(file_mem), f);
    (void)fclose(f);
    return sl_make(file_mem, n);
}

static bool carries(const struct sdp_stream *s)
{
    return s->port != 0 && (sdp_proto_is_plain(s->proto) || s->proto == SDP_UDPTL) &&
           (s->conn_is_hold || sdp_addr_is_usable(&s->conn));
}

static unsigned live_mask(const struct sdp *s)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < s->n_streams; i++) {
        mask |= carries(&s->streams[i]) ? 1u << i : 0;
    }
    return mask;
}

/* refuse_unknown: as call/ does for plain profiles; else every line is written in full, which no
 * caller does, to see that the writer alone leaks nothing. */
static void write_out(struct buf *b, const struct sdp *offer, bool refuse_unknown)
{
    struct sdp_out_stream streams[SDP_STREAMS_MAX] = {{0}};
    struct sdp_face face = {.o_id = FACE_ID, .o_version = 1};
    struct sdp_write_params p = {.from = &in, .offer = offer, .streams = streams, .face = &face};

    assert_int_equal(addr_parse(SL(OUR_IP), 0, &p.origin), 0);
    for (unsigned i = 0; i < in.n_streams; i++) {
        streams[i].refuse = refuse_unknown && !carries(&in.streams[i]);
        streams[i].rtp = p.origin;
        streams[i].rtcp_mux = true;
        addr_set_port(&streams[i].rtp, (uint16_t)(23456 + 2 * i));
    }
    buf_init(b, SDP_BODY_MAX);
    assert_int_equal(sdp_write(b, &p), 0);
}

/* --- the leak check --- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '-' || c == '@';
}

static bool next_word(struct sl *in_out, struct sl *word)
{
    size_t from = 0, to;

    while (from < in_out->n && !is_word_byte(in_out->p[from])) {
        from++;
    }
    for (to = from; to < in_out->n && is_word_byte(in_out->p[to]); to++) {
    }
    *word = sl_make(in_out->p + from, to - from);
    *in_out = sl_from(*in_out, to);
    return word->n != 0;
}

static bool has_word(struct sl text, struct sl word)
{
    struct sl w;

    while (next_word(&text, &w)) {
        if (sl_eq(w, word)) {
            return true;
        }
    }
    return false;
}

static bool may_pass(struct sl line)
{
    static const char *const allowed[] = {
        "a=rtpmap:", "a=fmtp:",  "a=ptime:",       "a=maxptime:",  "a=rtcp-fb:", "a=framerate:",
        "a=quality", "a=label:", "a=silenceSupp:", "a=zrtp-hash:", "a=content:", "a=lang:",
        "a=T38",     "b=AS:",    "b=TIAS:",        "b=CT:",        "b=RS:",      "b=RR:",
        "a=send",    "a=recv",   "a=inactive",     "a=rtcp-mux",   "v=",         "t=",
        "m="};

    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        if (sl_istarts(line, sl_str(allowed[i]))) {
            return true;
        }
    }
    return false;
}

/* Is the word in a line of the source that may pass, so that it may be in the output? */
static bool is_public(struct sl body, struct sl word)
{
    struct sl line;

    while (sl_next(&body, '\n', &line) == 0) {
        if (may_pass(line) && has_word(line, word)) {
            return true;
        }
    }
    return false;
}

static void check_line(const char *file, struct sl body, struct sl line, struct sl written)
{
    struct sl rest = sl_from(line, 2), word;
    ptrdiff_t colon = sl_chr(rest, ':');

    if (sl_starts(line, SL("a=")) && colon >= 0) { /* names are looked for by themselves */
        rest = sl_from(rest, (size_t)colon + 1);
    }
    while (next_word(&rest, &word)) {
        if (word.n >= 4 && !is_public(body, word) && has_word(written, word)) {
            fail_msg("%s: \"%.*s\" of \"%.*s\" is in the output:\n%.*s", file, SL_ARG(word),
                     SL_ARG(line), SL_ARG(written));
        }
    }
}

static void check_port(const char *file, struct sl line, struct sl written)
{
    struct sl port;

    line = sl_from(line, 2);
    if (sl_split(&line, ' ', 64, &port) == 0 && next_word(&line, &port) && port.n >= 4 &&
        sl_find(written, port) >= 0) {
        fail_msg("%s: port %.*s is in the output", file, SL_ARG(port));
    }
}

static void check_no_leak(const char *file, struct sl body, struct sl written)
{
    static const char *const never[] = {
        "crypto",     "candidate", "ice-",   "fingerprint", "setup", "mid:",   "msid",
        "ssrc",       "group",     "extmap", "altc",        "cname", "rid:",   "simulcast",
        "a=x-",       "a=rtcp:",   "k=",     "u=",          "e=",    "p=",     "i=",
        "key-mgmt",   "pcfg",      "acap",   "tcap",        "path",  "a=tool", "a=charset",
        "imageattr:", "a=curr",    "a=des"};
    struct sl rest = body, line;

    for (size_t i = 0; i < COUNT_OF(never); i++) {
        struct buf b;
        char mem[32];

        buf_init_fixed(&b, mem, sizeof(mem));
        buf_puts(&b, never[i]);
        if (never[i][1] == '=' && never[i][0] != 'a') { /* a line type: at the start of a line */
            buf_reset(&b);
            buf_putf(&b, "\n%s", never[i]);
        }
        if (sl_find(written, buf_sl(&b)) >= 0) {
            fail_msg("%s: %s is in the output", file, never[i]);
        }
    }
    while (sl_next(&rest, '\n', &line) == 0) {
        line = sl_trim(line);
        if (sl_starts(line, SL("m="))) {
            check_port(file, line, written);
        } else if (!may_pass(line)) {
            check_line(file, body, line, written);
        }
    }
}

/* --- what the output must be --- */

static void check_shape(const char *file, struct sl written, unsigned live)
{
    const char *why = NULL;

    if (sdp_parse(written, &again, &why) != 0) {
        fail_msg("%s: we do not read our own words: %s", file, why);
    }
    assert_int_equal(again.n_streams, in.n_streams);
    for (unsigned i = 0; i < in.n_streams; i++) {
        const struct sdp_stream *a = &again.streams[i], *s = &in.streams[i];

        assert_true(sl_eq(a->media, s->media));
        assert_int_equal(a->proto, s->proto);
        assert_int_equal(a->port, (live >> i & 1) != 0 ? 23456 + 2 * i : 0);
        if (a->port != 0) {
            assert_int_equal(a->n_formats, s->n_formats);
            assert_int_equal(a->dir, sdp_stream_dir(s));
            assert_true(a->dir_explicit);
            assert_false(a->conn_is_hold);
        } else {
            assert_int_equal(a->n_formats, 1);
            assert_int_equal(a->n_attrs, 0);
        }
    }
}

static void check_sample(const struct sample *s)
{
    struct sl body = read_file(s->file);
    const char *why = NULL;
    int err = sdp_parse(body, &in, &why);
    struct buf b;

    if ((err != 0) != (s->fate == REFUSED)) {
        fail_msg("%s: %d (%s)", s->file, err, why);
    }
    if (err != 0) {
        return;
    }
    if (in.n_streams != s->n_streams || live_mask(&in) != s->live ||
        (s->fate == PASS) != (s->live == (1u << s->n_streams) - 1)) {
        fail_msg("%s: %u streams, live %#x", s->file, in.n_streams, live_mask(&in));
    }
    write_out(&b, NULL, true);
    check_shape(s->file, buf_sl(&b), s->live);
    check_no_leak(s->file, body, buf_sl(&b));
    buf_free(&b);
    write_out(&b, NULL, false);
    check_no_leak(s->file, body, buf_sl(&b));
    buf_free(&b);
    write_out(&b, &in, true);
    check_no_leak(s->file, body, buf_sl(&b));
    buf_free(&b);
}

static void every_sample_is_read_or_refused_and_leaks_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        check_sample(&samples[i]);
    }
}

static void every_sample_of_the_index_is_in_the_table(void **state)
{
    static char index_mem[1 << 15];
    struct sl rest = read_file("index.tsv"), line, name;
    size_t n = 0;

    (void)state;
    assert_true(rest.n != 0 && rest.n < sizeof(index_mem));
    memcpy(index_mem, file_mem, rest.n);
    rest.p = index_mem;
    assert_int_equal(sl_next(&rest, '\n', &line), 0); /* the heading */
    while (sl_next(&rest, '\n', &line) == 0) {
        if (sl_split(&line, '\t', 64, &name) != 0) {
            continue;
        }
        if (n >= COUNT_OF(samples) || !sl_eq(name, sl_str(samples[n].file))) {
            fail_msg("%.*s has no row", SL_ARG(name));
        }
        n++;
    }
    assert_int_equal(n, COUNT_OF(samples));
}

static void no_sample_breaks_the_parser_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct sl body = read_file(samples[i].file);
        size_t step = body.n > 4000 ? 97 : 1;

        for (size_t n = 0; n < body.n; n += step) {
            char *copy = malloc(n != 0 ? n : 1); /* exact: the sanitizer sees the byte after */
            const char *why = NULL;
            struct buf b;

            assert_non_null(copy);
            memcpy(copy, file_mem, n);
            if (sdp_parse(sl_make(copy, n), &in, &why) == 0) {
                write_out(&b, &in, n % 2 == 0);
                buf_free(&b);
            }
            free(copy);
        }
    }
}

static void bandwidth_and_codec_lines_of_video_survive(void **state)
{
    static const char *const kept[] = {
        "\r\nb=CT:1024\r\n",
        "m=audio 23456 RTP/AVP 0 8\r\nb=AS:80\r\na=rtpmap:0 PCMU/8000\r\n",
        "m=video 23458 RTP/AVPF 96 97 98\r\nb=AS:768\r\nb=TIAS:768000\r\n",
        "a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;max-mbps=108000\r\n",
        "a=rtcp-fb:* ccm fir\r\na=rtcp-fb:97 nack pli\r\n",
        "a=content:main\r\na=label:11\r\na=sendrecv\r\n",
    };
    const char *why = NULL;
    struct buf b;

    (void)state;
    assert_int_equal(sdp_parse(read_file("video_audio_h264_vp8.sdp"), &in, &why), 0);
    write_out(&b, NULL, true);
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        if (sl_find(buf_sl(&b), sl_str(kept[i])) < 0) {
            fail_msg("%s is not in\n%.*s", kept[i], (int)b.n, b.p);
        }
    }
    buf_free(&b);
}

static void all_128_payload_types_pass_with_their_names(void **state)
{
    const char *why = NULL;
    char line[64];
    struct buf b;

    (void)state;
    assert_int_equal(sdp_parse(read_file("odd_many_payloads.sdp"), &in, &why), 0);
    assert_int_equal(in.streams[0].n_formats, 128);
    write_out(&b, NULL, true);
    for (unsigned i = 0; i < 128; i++) {
        (void)snprintf(line, sizeof(line), "\r\na=rtpmap:%u X%u/8000\r\n", i, i);
        assert_true(sl_find(buf_sl(&b), sl_str(line)) >= 0);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_of_the_index_is_in_the_table),
        cmocka_unit_test(every_sample_is_read_or_refused_and_leaks_nothing),
        cmocka_unit_test(no_sample_breaks_the_parser_wherever_it_is_cut),
        cmocka_unit_test(bandwidth_and_codec_lines_of_video_survive),
        cmocka_unit_test(all_128_payload_types_pass_with_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
