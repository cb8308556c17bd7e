/* test_flow_streams.c - several streams of one call: audio, video and real-time text (RFC 4103),
 * each with ports of its own on both sides. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

static const char *with_streams(struct phone *p, unsigned video, unsigned text)
{
    static char out[3072];

    (void)snprintf(out, sizeof(out),
                   "%sm=video %u RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
                   "m=text %u RTP/AVP 98 99\r\na=rtpmap:98 t140/1000\r\na=rtpmap:99 red/1000\r\n"
                   "a=fmtp:99 98/98\r\n",
                   phone_sdp(p, NULL), video, text);
    return out;
}

/* Three lines in the order of the offer, none refused, each with another port. */
static void check_lines(const char *msg)
{
    static const char *const kinds[] = {"m=audio ", "m=video ", "m=text "};
    unsigned ports[3];
    const char *at = msg;

    for (size_t i = 0; i < 3; i++) {
        at = strstr(at, kinds[i]);
        assert_non_null(at);
        ports[i] = (unsigned)strtoul(at + strlen(kinds[i]), NULL, 10);
        assert_int_not_equal(ports[i], 0);
    }
    assert_true(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
    HAS(msg, "a=rtpmap:98 t140/1000\r\n");
}

static void audio_video_and_text_are_carried_side_by_side(void **state)
{
    static const uint16_t ports[2][2] = {{41000, 41002}, {51000, 51002}};
    struct media_session *m;
    struct pair t;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, with_streams(&t.a, ports[0][0], ports[0][1]));
    EXPECT(&t.a, "100 INVITE");
    check_lines(EXPECT(&t.b, "INVITE"));
    phone_answer_invite(&t.b, 200, with_streams(&t.b, ports[1][0], ports[1][1]));
    EXPECT(&t.b, "ACK");
    check_lines(EXPECT(&t.a, "200 INVITE"));
    phone_ack(&t.a, NULL);
    m = rig_media(t.r);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(m->streams[i].kind, MEDIA_RTP);
        for (size_t side = 0; side < 2; side++) {
            const struct fake_side *s = &m->streams[i].side[side];

            assert_true(s->is_open && s->port != 0 && s->n_described != 0);
            assert_true(i == 0 || addr_port(&s->remote.rtp) == ports[side][i - 1]);
        }
    }
    pair_bye(&t);
}

static void text_that_one_side_refuses_leaves_the_rest(void **state)
{
    char answer[3072];
    struct pair t;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, with_streams(&t.a, 41000, 41002));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    (void)snprintf(answer, sizeof(answer),
                   "%sm=video 51000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=text 0 RTP/AVP 98\r\n",
                   phone_sdp(&t.b, NULL));
    phone_answer_invite(&t.b, 200, answer);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.a, "200 INVITE");
    HAS(t.a.got, "m=text 0 RTP/AVP 98");
    LACKS(t.a.got, "m=video 0 ");
    phone_ack(&t.a, NULL);
    assert_false(rig_media(t.r)->streams[2].side[0].is_open);
    assert_true(rig_media(t.r)->streams[1].side[0].is_open);
    pair_bye(&t);
}

/* Who knows no video says nothing of it, though RFC 3264 6 has it refuse the stream. */
static void streams_that_an_answer_leaves_out_are_refused_in_their_place(void **state)
{
    struct media_session *m;
    struct pair t;

    pair_init(&t, *state);
    phone_invite(&t.a, CALLED, with_streams(&t.a, 41000, 41002));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.a, "200 INVITE"), "m=video 0 RTP/AVP 96\r\nm=text 0 RTP/AVP 98");
    phone_ack(&t.a, NULL);
    m = rig_media(t.r);
    assert_int_equal(addr_port(&m->streams[0].side[1].remote.rtp), t.b.media_port);
    /* nor when it holds the call, or is asked for an offer */
    talk_offer(&t.b, &t.a, phone_sdp(&t.b, "sendonly"));
    HAS(t.a.ring, "a=sendonly\r\nm=video 0 RTP/AVP 96\r\nm=text 0 RTP/AVP 98");
    phone_answer_invite(&t.a, 200, with_streams(&t.a, 0, 0));
    EXPECT(&t.b, "200 INVITE");
    EXPECT(&t.a, "ACK");
    phone_ack(&t.b, NULL);
    phone_reinvite(&t.a, NULL);
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.a, "200 INVITE"), "m=video 0 RTP/AVP 96\r\nm=text 0 RTP/AVP 98");
    phone_ack(&t.a, with_streams(&t.a, 0, 0));
    EXPECT(&t.b, "ACK");
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(audio_video_and_text_are_carried_side_by_side),
        FLOW_TEST(text_that_one_side_refuses_leaves_the_rest),
        FLOW_TEST(streams_that_an_answer_leaves_out_are_refused_in_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
