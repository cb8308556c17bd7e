/* test_sdp_write.c - what the other side is told: exact words, directions, refusals, versions. */
#include "sdp/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "v=0\r\no=u 7 7 IN IP4 198.51.100.1\r\ns=x\r\n"
#define BASE HEAD "c=IN IP4 198.51.100.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 40000 RTP/AVP 0\r\n"
#define OUR_HEAD "v=0\r\no=- 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

struct rig {
    struct sdp from, offer;
    struct sdp_out_stream streams[SDP_STREAMS_MAX];
    struct sdp_face face;
    struct sdp_write_params p;
    struct buf b;
};

static struct rig rig;

static struct addr make_addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 0, &a), 0);
    return a;
}

static void rig_up(const char *from, const char *offer)
{
    const char *why = NULL;

    memset(&rig, 0, sizeof(rig));
    rig.face = (struct sdp_face){.o_id = 5, .o_version = 1};
    assert_int_equal(sdp_parse(sl_str(from), &rig.from, &why), 0);
    rig.p = (struct sdp_write_params){.from = &rig.from,
                                      .streams = rig.streams,
                                      .origin = make_addr("192.0.2.1"),
                                      .face = &rig.face};
    if (offer != NULL) {
        assert_int_equal(sdp_parse(sl_str(offer), &rig.offer, &why), 0);
        rig.p.offer = &rig.offer;
    }
    for (unsigned i = 0; i < SDP_STREAMS_MAX; i++) {
        rig.streams[i].rtp = make_addr("192.0.2.1:20000");
        addr_set_port(&rig.streams[i].rtp, (uint16_t)(20000 + 2 * i));
    }
    buf_init(&rig.b, SDP_BODY_MAX);
}

static int rig_write(void)
{
    buf_reset(&rig.b);
    return sdp_write(&rig.b, &rig.p);
}

static void assert_written(const char *want)
{
    assert_int_equal(rig_write(), 0);
    if (!sl_eq(buf_sl(&rig.b), sl_str(want))) {
        fail_msg("got\n%.*swant\n%s", SL_ARG(buf_sl(&rig.b)), want);
    }
    buf_free(&rig.b);
}

static void an_offer_is_written_in_our_own_words(void **state)
{
    (void)state;
    rig_up("v=0\r\no=joe 1 2 IN IP4 198.51.100.1\r\ns=secret\r\ni=i\r\nu=u\r\ne=e\r\np=p\r\n"
           "c=IN IP4 198.51.100.1\r\nb=AS:64\r\nb=X-YZ:12\r\nt=5 6\r\nk=clear:x\r\na=tool:x\r\n"
           "m=audio 40000/1 rtp/avp  0   101\r\ni=x\r\nc=IN IP4 198.51.100.2\r\nb=RS:0\r\n"
           "k=prompt\r\na=rtpmap:0 PCMU/8000\r\na=RTPMAP:101 telephone-event/8000/1\r\n"
           "a=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:60\r\na=x-secret:1\r\na=mid:0\r\n"
           "a=silenceSupp:off - - - -\r\na=rtcp-fb:0 nack\r\na=sendonly\r\na=lang:en-GB\r\n",
           NULL);
    assert_written("v=0\r\no=- 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nb=AS:64\r\n"
                   "t=0 0\r\nm=audio 20000 RTP/AVP 0 101\r\nb=RS:0\r\na=rtpmap:0 PCMU/8000\r\n"
                   "a=rtpmap:101 telephone-event/8000/1\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"
                   "a=maxptime:60\r\na=silenceSupp:off - - - -\r\na=lang:en-GB\r\na=sendonly\r\n");
}

static void a_stream_on_another_address_has_its_own_c_line(void **state)
{
    (void)state;
    rig_up(BASE AUDIO AUDIO, NULL);
    rig.streams[1].rtp = make_addr("[2001:db8::5]:30000");
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n"
                            "m=audio 30000 RTP/AVP 0\r\nc=IN IP6 2001:db8::5\r\na=sendrecv\r\n");
}

static void an_ipv6_origin_is_written_as_one(void **state)
{
    (void)state;
    rig_up(BASE AUDIO, NULL);
    rig.p.origin = make_addr("2001:db8::5");
    rig.streams[0].rtp = make_addr("[2001:db8::5]:30000");
    assert_written("v=0\r\no=- 5 1 IN IP6 2001:db8::5\r\ns=-\r\nc=IN IP6 2001:db8::5\r\nt=0 0\r\n"
                   "m=audio 30000 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void refused_lines_keep_their_place_with_port_zero(void **state)
{
    (void)state;
    rig_up(BASE AUDIO "a=rtpmap:0 PCMU/8000\r\n"
                      "m=video 40002 RTP/SAVP 97 98\r\na=crypto:1 x y\r\n"
                      "m=video 0 RTP/AVP 10.0.0.1\r\n"
                      "m=application 40004 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                      "m=message 0 TCP/MSRP\r\n" AUDIO,
           NULL);
    rig.streams[1].refuse = rig.streams[3].refuse = true;
    rig.streams[5].rtp = (struct addr){0}; /* no port of ours: nothing to accept with */
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
                            "m=video 0 RTP/SAVP 97\r\n"
                            "m=video 0 RTP/AVP 0\r\n"
                            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                            "m=message 0 TCP/MSRP *\r\n"
                            "m=audio 0 RTP/AVP 0\r\n");
}

static void an_answer_repeats_the_words_of_its_offer(void **state)
{
    (void)state;
    rig_up(BASE "m=audio 40000 RTP/AVPF 8\r\na=rtpmap:8 PCMA/8000\r\na=rtcp-fb:8 nack\r\n"
                "m=image 40002 UDPTL t38\r\nm=video 0 RTP/AVP 31\r\n",
           BASE "m=audio 50000 RTP/AVPF 0 8\r\nm=image 50002 UdpTL t38\r\n"
                "m=video 50004 RTP/AVP 99 98\r\n");
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVPF 8\r\na=rtpmap:8 PCMA/8000\r\n"
                            "a=rtcp-fb:8 nack\r\na=sendrecv\r\n"
                            "m=image 20002 UdpTL t38\r\na=sendrecv\r\n"
                            "m=video 0 RTP/AVP 99\r\n");
}

static void a_line_that_was_offered_with_port_zero_is_answered_with_it(void **state)
{
    (void)state;
    rig_up(BASE AUDIO AUDIO, BASE "m=audio 0 RTP/AVP 0\r\n" AUDIO);
    assert_written(OUR_HEAD "m=audio 0 RTP/AVP 0\r\nm=audio 20002 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void an_answer_of_another_shape_is_a_protocol_error(void **state)
{
    static const struct row {
        const char *answer, *offer;
        int err;
    } rows[] = {
        {BASE AUDIO, BASE AUDIO AUDIO, EPROTO},
        {BASE AUDIO AUDIO, BASE AUDIO, EPROTO},
        {BASE "m=video 4 RTP/AVP 0\r\n", BASE AUDIO, EPROTO},
        {BASE "m=video 0 RTP/AVP 0\r\n", BASE AUDIO, EPROTO},
        {BASE "m=audio 4 udptl t38\r\n", BASE AUDIO, EPROTO},
        {BASE "m=audio 4 RTP/AVP 0\r\n", BASE "m=audio 4 TCP/X 0\r\n", EPROTO},
        {BASE "m=audio 0 udptl t38\r\n", BASE AUDIO, 0},
        {BASE "m=AUDIO 4 RTP/AVP 0\r\n", BASE AUDIO, 0},
        {BASE, BASE, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rig_up(rows[i].answer, rows[i].offer);
        if (rig_write() != rows[i].err) {
            fail_msg("row %zu", i);
        }
        assert_int_equal(rig.face.last_hash == 0, rows[i].err != 0);
        buf_free(&rig.b);
    }
}

static const char *const dir_names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};

static enum sdp_dir written_dir(void)
{
    static struct sdp again;
    const char *why = NULL;

    assert_int_equal(rig_write(), 0);
    assert_int_equal(sdp_parse(buf_sl(&rig.b), &again, &why), 0);
    assert_true(again.streams[0].dir_explicit);
    buf_free(&rig.b);
    return again.streams[0].dir;
}

static void an_answer_stays_within_the_direction_of_its_offer(void **state)
{
    /* [offered][answered by the far side], RFC 3264 6.1 */
    static const enum sdp_dir want[4][4] = {
        {SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE},
        {SDP_RECVONLY, SDP_INACTIVE, SDP_RECVONLY, SDP_INACTIVE},
        {SDP_SENDONLY, SDP_SENDONLY, SDP_INACTIVE, SDP_INACTIVE},
        {SDP_INACTIVE, SDP_INACTIVE, SDP_INACTIVE, SDP_INACTIVE},
    };
    char offer[512], answer[512];

    (void)state;
    for (unsigned o = 0; o < 4; o++) {
        for (unsigned a = 0; a < 4; a++) {
            (void)snprintf(offer, sizeof(offer), BASE AUDIO "a=%s\r\n", dir_names[o]);
            (void)snprintf(answer, sizeof(answer), BASE AUDIO "a=%s\r\n", dir_names[a]);
            rig_up(answer, offer);
            assert_int_equal(written_dir(), want[o][a]);
            rig_up(answer, NULL);
            assert_int_equal(written_dir(), a);
            rig_up(answer, offer);
            rig.streams[0].force_dir = true;
            rig.streams[0].dir = SDP_RECVONLY;
            assert_int_equal(written_dir(), SDP_RECVONLY);
        }
    }
}

static void the_old_hold_becomes_a_direction_at_our_own_address(void **state)
{
    (void)state;
    rig_up(HEAD "c=IN IP4 0.0.0.0\r\nt=0 0\r\n" AUDIO "a=sendrecv\r\n", NULL);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendonly\r\n");
    rig_up(HEAD "c=IN IP4 0.0.0.0\r\nt=0 0\r\n" AUDIO "a=inactive\r\n", NULL);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=inactive\r\n");
    rig_up(BASE AUDIO, HEAD "c=IN IP4 0.0.0.0\r\nt=0 0\r\n" AUDIO);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=recvonly\r\n");
}

static void rtcp_lines_are_ours(void **state)
{
    (void)state;
    rig_up(BASE AUDIO "a=rtcp:53020 IN IP4 198.51.100.11\r\na=rtcp-mux\r\n", NULL);
    rig.streams[0].rtcp_port = 20001;
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n");
    rig_up(BASE AUDIO "a=rtcp:53020\r\n", NULL);
    rig.streams[0].rtcp_port = 20077;
    rig.streams[0].rtcp_mux = true;
    assert_written(OUR_HEAD
                   "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\na=rtcp:20077\r\na=rtcp-mux\r\n");
    rig_up(BASE "m=image 40000 udptl t38\r\n", NULL);
    rig.streams[0].rtcp_port = 20077;
    rig.streams[0].rtcp_mux = true;
    assert_written(OUR_HEAD "m=image 20000 udptl t38\r\na=sendrecv\r\n");
}

static const struct attr_row {
    const char *attr; /* of a line with the formats given */
    const char *media;
    const char *written; /* NULL: nothing */
} attr_rows[] = {
#define AVP "m=audio 4 RTP/AVP 0 97\r\n"
#define AVPF "m=video 4 RTP/AVPF 97\r\n"
#define T38 "m=image 4 udptl t38\r\n"
    {"rtpmap:97 opus/48000/2", AVP, "rtpmap:97 opus/48000/2"},
    {"rtpmap:97 x-foo.bar/90000", AVP, "rtpmap:97 x-foo.bar/90000"},
    {"rtpmap:98 opus/48000/2", AVP, NULL},
    {"rtpmap:97", AVP, NULL},
    {"rtpmap:", AVP, NULL},
    {"rtpmap", AVP, NULL},
    {"rtpmap:97 opus", AVP, NULL},
    {"rtpmap:97 opus/0", AVP, NULL},
    {"rtpmap:97 opus/x", AVP, NULL},
    {"rtpmap:97 op us/8000", AVP, NULL},
    {"rtpmap:97 opus/48000/2/10.0.0.1", AVP, NULL},
    {"rtpmap:97 opus/48000/10.0.0.1", AVP, NULL},
    {"rtpmap:999999999999 Y/8000", AVP, NULL},
    {"rtpmap:97 opus/48000", T38, NULL},
    {"fmtp:97 a=b;c=d,e", AVP, "fmtp:97 a=b;c=d,e"},
    {"fmtp:98 a=b", AVP, NULL},
    {"fmtp:97", AVP, NULL},
    {"fmtp:", AVP, NULL},
    {"fmtp:97 caf\xe9", AVP, NULL},
    {"ptime:20", AVP, "ptime:20"},
    {"ptime:0", AVP, NULL},
    {"ptime:-20", AVP, NULL},
    {"ptime:99999999999999", AVP, NULL},
    {"maxptime:240", AVP, "maxptime:240"},
    {"maxptime:-20", AVP, NULL},
    {"ptime:20", T38, NULL},
    {"framerate:29.97", AVPF, "framerate:29.97"},
    {"framerate:30", AVPF, "framerate:30"},
    {"framerate:0", AVPF, NULL},
    {"framerate:1.2.3.4", AVPF, NULL},
    {"quality:10", AVPF, "quality:10"},
    {"quality:11", AVPF, NULL},
    {"rtcp-fb:97 nack pli", AVPF, "rtcp-fb:97 nack pli"},
    {"rtcp-fb:* ccm fir", AVPF, "rtcp-fb:* ccm fir"},
    {"rtcp-fb:98 nack", AVPF, NULL},
    {"rtcp-fb:97", AVPF, NULL},
    {"rtcp-fb:97 10.0.0.1", AVPF, NULL},
    {"rtcp-fb:97 nack", AVP, NULL},
    {"silenceSupp:on 1 2 g711 fxnoise", AVP, "silenceSupp:on 1 2 g711 fxnoise"},
    {"silenceSupp:10.0.0.1", AVP, NULL},
    {"content:slides,main", AVPF, "content:slides,main"},
    {"content:10.0.0.1", AVPF, NULL},
    {"label:11", AVPF, "label:11"},
    {"label:10.0.0.1", AVPF, NULL},
    {"label:a b", AVPF, NULL},
    {"lang:de", AVPF, "lang:de"},
    {"zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df", AVP,
     "zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df"},
    {"zrtp-hash:1.10 10.0.0.1", AVP, NULL},
    {"zrtp-hash:1.10 ge30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df", AVP, NULL},
    {"T38FaxVersion:3", T38, "T38FaxVersion:3"},
    {"T38FaxMaxBuffer:-1", T38, "T38FaxMaxBuffer:-1"},
    {"T38FaxFillBitRemoval", T38, "T38FaxFillBitRemoval"},
    {"t38faxudpec: t38UDPRedundancy", T38, "T38FaxUdpEC:t38UDPRedundancy"},
    {"T38FaxUdpECDepth:1 3", T38, "T38FaxUdpECDepth:1 3"},
    {"T38FaxUdpEC:10.0.0.1", T38, NULL},
    {"T38VendorInfo:0xb5 4 5", T38, NULL},
    {"T38FaxVersion:3", AVP, NULL},
    {"mid:0", AVP, NULL},
    {"rtcp-xr:rcvr-rtt=all", AVP, NULL},
    {"unknown", AVP, NULL},
    {"", AVP, NULL},
    {":", AVP, NULL},
};

static void attribute_values_must_be_what_their_names_promise(void **state)
{
    char body[512], want[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(attr_rows); i++) {
        (void)snprintf(body, sizeof(body), BASE "%sa=%s\r\n", attr_rows[i].media,
                       attr_rows[i].attr);
        (void)snprintf(want, sizeof(want), "\r\na=%s\r\na=sendrecv\r\n",
                       attr_rows[i].written != NULL ? attr_rows[i].written : "");
        rig_up(body, NULL);
        assert_int_equal(rig_write(), 0);
        if ((attr_rows[i].written != NULL) != (sl_find(buf_sl(&rig.b), sl_str(want)) >= 0) ||
            sl_find(buf_sl(&rig.b), SL("10.0.0.1")) >= 0) {
            fail_msg("%s:\n%.*s", attr_rows[i].attr, SL_ARG(buf_sl(&rig.b)));
        }
        if (attr_rows[i].written == NULL) { /* the direction follows the m-line at once */
            struct sl out = buf_sl(&rig.b);
            struct sl tail = sl_from(out, (size_t)sl_find(out, SL("m=")));
            struct sl line;

            assert_int_equal(sl_split(&tail, '\n', 256, &line), 0);
            assert_true(sl_eq(tail, SL("a=sendrecv\r\n")));
        }
        buf_free(&rig.b);
    }
}

static void bandwidth_lines_are_numbers_of_known_types(void **state)
{
    (void)state;
    rig_up(BASE AUDIO "b=AS:64\r\nb=tias:64000\r\nb=CT:007\r\nb=RS:512\r\nb=RR:1\r\nb=AS:x\r\n"
                      "b=AS:10.0.0.1\r\nb=AS:\r\nb=AS\r\nb=X-HOST:1\r\nb=AS:99999999999\r\nb=\r\n",
           NULL);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\nb=AS:64\r\nb=TIAS:64000\r\nb=CT:7\r\n"
                            "b=RS:512\r\nb=RR:1\r\na=sendrecv\r\n");
}

static void the_version_rises_by_one_exactly_when_the_rest_changed(void **state)
{
    const char *why = NULL;

    (void)state;
    rig_up(BASE AUDIO, NULL);
    rig.face.o_version = 9; /* the number of digits changes on the way */
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 9);
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 9);
    rig.streams[0].force_dir = true;
    rig.streams[0].dir = SDP_SENDONLY;
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 10);
    assert_true(sl_starts(buf_sl(&rig.b), SL("v=0\r\no=- 5 10 IN IP4 192.0.2.1\r\ns=-\r\n")));
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 10);
    /* What only the source's own origin line changes is no change for the other side. */
    assert_int_equal(sdp_parse(SL("v=0\r\no=u 8 99 IN IP4 198.51.100.77\r\nc=IN IP4 198.51.100.77"
                                  "\r\n" AUDIO),
                               &rig.from, &why),
                     0);
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 10);
    addr_set_port(&rig.streams[0].rtp, 20008);
    assert_int_equal(rig_write(), 0);
    assert_int_equal(rig.face.o_version, 11);
    buf_free(&rig.b);
}

static void what_was_already_in_the_buffer_stays_in_front(void **state)
{
    (void)state;
    rig_up(BASE AUDIO, NULL);
    buf_puts(&rig.b, "before:");
    assert_int_equal(sdp_write(&rig.b, &rig.p), 0);
    assert_true(
        sl_eq(buf_sl(&rig.b), SL("before:" OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n")));
    buf_free(&rig.b);
}

static void a_full_buffer_leaves_the_face_as_it_was(void **state)
{
    size_t whole;

    (void)state;
    rig_up(BASE AUDIO, NULL);
    assert_int_equal(rig_write(), 0);
    whole = rig.b.n;
    buf_free(&rig.b);
    for (size_t cap = 0; cap <= whole; cap++) {
        rig_up(BASE AUDIO, NULL);
        buf_init(&rig.b, cap);
        assert_int_equal(rig_write(), cap < whole ? EMSGSIZE : 0);
        assert_int_equal(rig.face.last_hash != 0, cap == whole);
        buf_free(&rig.b);
    }
}

static void running_out_of_memory_is_an_error_and_no_leak(void **state)
{
    int64_t before = mem_live();

    (void)state;
    for (uint64_t n = 1; n < 50; n++) {
        int err;

        rig_up(BASE AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO, NULL);
        mem_fault_arm(n);
        err = rig_write();
        mem_fault_arm(0);
        assert_int_equal(rig.face.last_hash != 0, err == 0);
        buf_free(&rig.b);
        if (err == 0) {
            assert_true(n > 1);
            assert_true(mem_live() == before);
            return;
        }
        assert_int_equal(err, ENOMEM);
    }
    fail_msg("it never ended");
}

static void a_new_face_has_an_origin_that_fits_63_bits(void **state)
{
    struct sdp_face f;

    (void)state;
    sdp_face_init(&f, UINT64_MAX);
    assert_true(f.o_id <= INT64_MAX && f.o_id != 0 && f.last_hash == 0);
    sdp_face_init(&f, 0);
    assert_true(f.o_id != 0);
}

/* --- our own security --- */

static void an_offer_takes_the_profile_of_the_side_it_is_for(void **state)
{
    static const struct sdp_crypto keys[] = {
        {.tag = 1, .suite = SDP_AEAD_AES_128_GCM, .n = 28},
        {.tag = 2, .suite = SDP_AES_CM_128_HMAC_SHA1_80, .n = 30}};

    (void)state;
    rig_up(BASE AUDIO "a=zrtp-hash:1.10 "
                      "fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df\r\n",
           NULL);
    rig.streams[0].set_proto = true;
    rig.streams[0].proto = SDP_RTP_SAVP;
    rig.streams[0].crypto = keys;
    rig.streams[0].n_crypto = 2;
    assert_written(OUR_HEAD
                   "m=audio 20000 RTP/SAVP 0\r\na=sendrecv\r\n"
                   "a=crypto:1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\r\n"
                   "a=crypto:2 AES_CM_128_HMAC_SHA1_80 "
                   "inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n");
}

static void zrtp_hash_passes_only_from_plain_to_plain(void **state)
{
#define ZRTP "a=zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df\r\n"
    static const struct sdp_crypto key = {.tag = 1, .suite = SDP_AES_CM_128_HMAC_SHA1_80, .n = 30};

    (void)state;
    rig_up(BASE AUDIO ZRTP, NULL);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\n" ZRTP "a=sendrecv\r\n");
    rig_up(BASE AUDIO ZRTP, NULL);
    rig.streams[0].crypto = &key; /* keys in RTP/AVP */
    rig.streams[0].n_crypto = 1;
    assert_written(OUR_HEAD
                   "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\na=crypto:1 "
                   "AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n");
    rig_up(BASE "m=audio 40000 RTP/SAVP 0\r\n" ZRTP, BASE AUDIO);
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void a_browser_gets_ice_lite_a_fingerprint_and_its_mid(void **state)
{
    (void)state;
    rig_up(BASE AUDIO "a=ice-ufrag:theirs\r\na=mid:theirs\r\n", NULL);
    rig.streams[0] = (struct sdp_out_stream){.rtp = make_addr("192.0.2.1:20000"),
                                             .rtcp_port = 20001,
                                             .rtcp_mux = true,
                                             .set_proto = true,
                                             .proto = SDP_DTLS_SAVPF,
                                             .fingerprint = SL("sha-256 00:11"),
                                             .setup = SDP_ACTPASS,
                                             .ufrag = SL("abcd"),
                                             .pwd = SL("secret"),
                                             .mid = SL("m1")};
    assert_written(OUR_HEAD "a=ice-lite\r\nm=audio 20000 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n"
                            "a=rtcp-mux\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\n"
                            "a=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n"
                            "a=candidate:1 1 UDP 2130706431 192.0.2.1 20000 typ host\r\n"
                            "a=candidate:1 2 UDP 2130706430 192.0.2.1 20001 typ host\r\n"
                            "a=end-of-candidates\r\na=mid:m1\r\n");
    rig_up(BASE AUDIO, BASE "m=audio 50000 UDP/TLS/RTP/SAVP 0\r\n");
    rig.streams[0].fingerprint = SL("sha-256 00:11");
    rig.streams[0].setup = SDP_PASSIVE;
    rig.streams[0].rtcp_mux = true;
    assert_written(OUR_HEAD "m=audio 20000 UDP/TLS/RTP/SAVP 0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                            "a=fingerprint:sha-256 00:11\r\na=setup:passive\r\n");
}

static void bundled_streams_are_one_group_for_each_leader(void **state)
{
    (void)state;
    rig_up(BASE AUDIO AUDIO AUDIO AUDIO, NULL);
    for (unsigned i = 0; i < 4; i++) {
        static const char names[] = "abcd";

        rig.streams[i].is_bundled = true;
        rig.streams[i].leader = i % 2 != 0 ? 1 : 0;
        rig.streams[i].mid = sl_make(names + i, 1);
    }
    rig.streams[3].refuse = true;
    assert_written("v=0\r\no=- 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
                   "a=group:BUNDLE a c\r\na=group:BUNDLE b\r\n"
                   "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\na=mid:a\r\n"
                   "m=audio 20002 RTP/AVP 0\r\na=sendrecv\r\na=mid:b\r\n"
                   "m=audio 20004 RTP/AVP 0\r\na=sendrecv\r\na=mid:c\r\n"
                   "m=audio 0 RTP/AVP 0\r\n");
}

static void payload_types_are_written_with_the_numbers_of_the_other_side(void **state)
{
    static const struct sdp_format_map map[] = {
        {.from = 96, .to = 100}, {.from = 97, .to = 101}, {.to = 102, .own = true, .clock = 8000}};

    (void)state;
    rig_up(BASE "m=video 40000 RTP/AVPF 96 97 98\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack "
                "pli\r\na=rtcp-fb:* ccm fir\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 "
                "apt=96;rtx-time=3000\r\na=rtpmap:98 H264/90000\r\na=fmtp:98 x=1\r\n",
           NULL);
    rig.streams[0].formats = map;
    rig.streams[0].n_formats = COUNT_OF(map);
    assert_written(OUR_HEAD "m=video 20000 RTP/AVPF 100 101 102\r\na=rtpmap:100 VP8/90000\r\n"
                            "a=rtcp-fb:100 nack pli\r\na=rtcp-fb:* ccm fir\r\n"
                            "a=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100;rtx-time=3000\r\n"
                            "a=rtpmap:102 telephone-event/8000\r\na=fmtp:102 0-15\r\n"
                            "a=sendrecv\r\n");
    rig_up(BASE AUDIO, NULL);
    rig.streams[0].formats = map;
    rig.streams[0].n_formats = 0; /* nothing is left */
    assert_written(OUR_HEAD "m=audio 0 RTP/AVP 0\r\n");
}

static void feedback_lines_pass_only_between_sides_that_both_have_them(void **state)
{
#define FB "a=rtcp-fb:0 nack\r\n"
    (void)state;
    rig_up(BASE "m=audio 40000 RTP/AVPF 0\r\n" FB, NULL);
    rig.streams[0].set_proto = true;
    rig.streams[0].proto = SDP_RTP_AVP;
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n");
    rig_up(BASE AUDIO FB, NULL);
    rig.streams[0].set_proto = true;
    rig.streams[0].proto = SDP_RTP_AVPF;
    assert_written(OUR_HEAD "m=audio 20000 RTP/AVPF 0\r\na=sendrecv\r\n");
    rig_up(BASE "m=audio 40000 UDP/TLS/RTP/SAVPF 0\r\n" FB, NULL);
    rig.streams[0].set_proto = true;
    rig.streams[0].proto = SDP_RTP_SAVPF;
    assert_written(OUR_HEAD "m=audio 20000 RTP/SAVPF 0\r\n" FB "a=sendrecv\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_is_written_in_our_own_words),
        cmocka_unit_test(a_stream_on_another_address_has_its_own_c_line),
        cmocka_unit_test(an_ipv6_origin_is_written_as_one),
        cmocka_unit_test(refused_lines_keep_their_place_with_port_zero),
        cmocka_unit_test(an_answer_repeats_the_words_of_its_offer),
        cmocka_unit_test(a_line_that_was_offered_with_port_zero_is_answered_with_it),
        cmocka_unit_test(an_answer_of_another_shape_is_a_protocol_error),
        cmocka_unit_test(an_answer_stays_within_the_direction_of_its_offer),
        cmocka_unit_test(the_old_hold_becomes_a_direction_at_our_own_address),
        cmocka_unit_test(rtcp_lines_are_ours),
        cmocka_unit_test(attribute_values_must_be_what_their_names_promise),
        cmocka_unit_test(bandwidth_lines_are_numbers_of_known_types),
        cmocka_unit_test(the_version_rises_by_one_exactly_when_the_rest_changed),
        cmocka_unit_test(what_was_already_in_the_buffer_stays_in_front),
        cmocka_unit_test(a_full_buffer_leaves_the_face_as_it_was),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_no_leak),
        cmocka_unit_test(a_new_face_has_an_origin_that_fits_63_bits),
        cmocka_unit_test(an_offer_takes_the_profile_of_the_side_it_is_for),
        cmocka_unit_test(zrtp_hash_passes_only_from_plain_to_plain),
        cmocka_unit_test(a_browser_gets_ice_lite_a_fingerprint_and_its_mid),
        cmocka_unit_test(bundled_streams_are_one_group_for_each_leader),
        cmocka_unit_test(payload_types_are_written_with_the_numbers_of_the_other_side),
        cmocka_unit_test(feedback_lines_pass_only_between_sides_that_both_have_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
