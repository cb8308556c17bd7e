/* test_flow_browser.c - DTLS, ICE and BUNDLE: roles, fingerprints, restarts, streams that share a
 * port on one side and none on the other, and payload types that have other numbers there. */
#include "secure.h"

#include <stdio.h>

#define PRINT                                                                                      \
    "a=fingerprint:sha-256 "                                                                       \
    "A0:0B:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:11:21:31:41:51:61:71:"                     \
    "81:91:A1:B1:C1:D1:E1:F1\r\n"
#define ICE "a=ice-ufrag:EsAwfrag\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"

static const char *sdp_of(struct phone *p, const char *session, const char *media)
{
    int n = snprintf(p->sdp, sizeof(p->sdp),
                     "v=0\r\no=- 71%u %u IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n%s%s", p->media_port,
                     ++p->sdp_version, session, media);

    assert_true(n > 0 && (size_t)n < sizeof(p->sdp));
    return p->sdp;
}

static void invite(struct pair *t, const char *sdp)
{
    phone_invite(&t->a, CALLED, sdp);
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
}

static void answer(struct pair *t, const char *sdp)
{
    talk_accept(&t->a, &t->b, sdp);
}

static const char *plain_answer(struct phone *p, const char *media)
{
    return sdp_of(p, "c=IN IP4 10.1.1.20\r\n", media);
}

/* --- DTLS --- */

static void role_of(const char *setup, const char *ours, enum media_dtls_role role)
{
    struct rig *r = secure_up("dtls", "plain", "");
    char media[512];
    struct pair t;

    pair_init(&t, r);
    snprintf(media, sizeof(media),
             "c=IN IP4 192.0.2.30\r\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\r\n" PRINT "%s", setup);
    invite(&t, sdp_of(&t.a, "", media));
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    HAS(t.a.got, ours);
    assert_int_equal(media_side(r, 0, 0)->dtls.role, role);
    assert_int_equal(media_side(r, 0, 0)->dtls.n, 1);
    pair_bye(&t);
    rig_down(r);
}

static void the_role_follows_what_they_say(void **state)
{
    (void)state;
    role_of("a=setup:actpass\r\n", "a=setup:passive\r\n", MEDIA_DTLS_PASSIVE);
    role_of("a=setup:active\r\n", "a=setup:passive\r\n", MEDIA_DTLS_PASSIVE);
    role_of("a=setup:passive\r\n", "a=setup:active\r\n", MEDIA_DTLS_ACTIVE);
    role_of("", "a=setup:passive\r\n", MEDIA_DTLS_PASSIVE); /* RFC 4145 4: active */
}

static void an_answer_says_who_begins(void **state)
{
    static const struct {
        const char *setup;
        enum media_dtls_role role;
    } rows[] = {{"active", MEDIA_DTLS_PASSIVE},
                {"passive", MEDIA_DTLS_ACTIVE},
                {"actpass", MEDIA_DTLS_PASSIVE}};
    char media[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = secure_up("plain", "dtls", "");
        struct pair t;

        pair_init(&t, r);
        invite(&t, secure_offer(&t.a, KIND_RTP, NULL));
        /* It may begin before it answers. */
        assert_int_equal(media_side(r, 0, 1)->n_dtls, 1);
        assert_int_equal(media_side(r, 0, 1)->dtls.n, 0);
        assert_int_equal(media_side(r, 0, 1)->dtls.role, MEDIA_DTLS_PASSIVE);
        snprintf(media, sizeof(media),
                 "m=audio 40000 UDP/TLS/RTP/SAVPF 0\r\n" PRINT "a=setup:%s\r\n", rows[i].setup);
        answer(&t, plain_answer(&t.b, media));
        assert_int_equal(media_side(r, 0, 1)->dtls.role, rows[i].role);
        pair_bye(&t);
        rig_down(r);
    }
}

static void fingerprints_that_prove_nothing_are_refused(void **state)
{
    static const struct {
        const char *lines, *reason;
    } rows[] = {
        {"a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\r\n",
         "DTLS fingerprint with a hash that proves nothing"},
        {"a=fingerprint:md5 00:11\r\n", "DTLS fingerprint with a hash that proves nothing"},
        {"a=fingerprint:sha-256 00:11\r\n", "DTLS fingerprint is malformed"},
        {"a=fingerprint:\r\n", "DTLS fingerprint is malformed"},
        {PRINT "a=fingerprint:sha-256 zz\r\n", "DTLS fingerprint is malformed"},
        {PRINT "a=setup:holdconn\r\n", "a=setup has no role that fits"},
        {PRINT "a=setup:whatever\r\n", "a=setup has no role that fits"},
        {"a=setup:actpass\r\n", "no DTLS fingerprint"},
    };
    struct rig *r = secure_up("dtls", "plain", "");
    char media[512];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(media, sizeof(media),
                 "c=IN IP4 192.0.2.30\r\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\r\n%s", rows[i].lines);
        phone_renew(&t.a);
        phone_invite(&t.a, CALLED, sdp_of(&t.a, "", media));
        EXPECT(&t.a, "100 INVITE");
        EXPECT(&t.a, "488 INVITE");
        phone_ack_failure(&t.a);
        talk_record_is("system", rows[i].reason, 488);
    }
    rig_down(r);
}

static void a_changed_fingerprint_reaches_the_relay(void **state)
{
    struct rig *r = secure_up("dtls", "plain", "");
    struct pair t;
    char first[128];

    (void)state;
    pair_init(&t, r);
    invite(&t, secure_offer(&t.a, KIND_DTLS, NULL));
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    memcpy(first, media_side(r, 0, 0)->fingerprint, sizeof(first));
    t.a.print = 0x77;
    talk_offer(&t.a, &t.b, secure_offer(&t.a, KIND_DTLS, NULL));
    assert_string_equal(media_side(r, 0, 0)->fingerprint, first); /* not before the answer */
    talk_accept(&t.a, &t.b, secure_answer(&t.b, t.b.ring, NULL));
    HAS(media_side(r, 0, 0)->fingerprint, "sha-256 A0:77:22");
    pair_bye(&t);
    rig_down(r);
}

static void without_a_certificate_of_ours_dtls_is_not_possible(void **state)
{
    struct rig *r = secure_up("dtls", "dtls", "");
    struct pair t;

    (void)state;
    fake_media_dtls(r->b.workers[0]->media, false);
    pair_init(&t, r);
    phone_invite(&t.a, CALLED, secure_offer(&t.a, KIND_DTLS, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    talk_record_is("system", "there is no DTLS here", 488);
    rig_down(r);
}

/* --- ICE --- */

static void an_ice_restart_of_theirs_restarts_ours(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, secure_offer(&t.a, KIND_BROWSER, NULL));
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    HAS(t.a.got, "a=ice-ufrag:fakeufrag0\r\n");
    t.a.ice_gen = 1;
    talk_offer(&t.a, &t.b, secure_offer(&t.a, KIND_BROWSER, NULL));
    phone_answer(&t.b, 200, secure_answer(&t.b, t.b.ring, NULL));
    HAS(EXPECT(&t.a, "200 INVITE"), "a=ice-ufrag:fakeufrag1\r\n");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    HAS(media_side(r, 0, 0)->ufrag, "uf1");
    pair_bye(&t);
    rig_down(r);
}

/* Trickle: no candidates, port 9, c=0.0.0.0 is no hold and no hostile address (RFC 8839 4.3.1). */
static void an_address_that_ice_will_find_is_no_hold(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t,
           sdp_of(&t.a, "",
                  "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n" ICE PRINT
                  "a=setup:actpass\r\na=sendrecv\r\n"));
    HAS(t.b.ring, "a=sendrecv\r\n");
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    assert_true(media_side(r, 0, 0)->remote.may_receive);
    assert_int_equal(addr_family(&media_side(r, 0, 0)->remote.rtp), AF_UNSPEC);
    assert_string_equal(media_side(r, 0, 0)->ufrag, "EsAwfrag");
    pair_bye(&t);
    rig_down(r);
}

static void two_lite_agents_use_the_addresses_of_their_descriptions(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, "a=ice-lite\r\n",
                      "m=audio 40000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.30\r\n" ICE PRINT
                      "a=setup:actpass\r\n"));
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    assert_string_equal(media_side(r, 0, 0)->ufrag, "");
    assert_int_equal(addr_port(&media_side(r, 0, 0)->remote.rtp), 40000);
    HAS(t.a.got, "a=candidate:1 2 UDP 2130706430 203.0.113.1 ");
    pair_bye(&t);
    rig_down(r);
}

static void a_peer_without_ice_gets_none_from_a_profile_that_has_it(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, secure_offer(&t.a, KIND_DTLS, NULL));
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    LACKS(t.a.got, "a=ice");
    LACKS(t.a.got, "candidate");
    assert_string_equal(media_side(r, 0, 0)->ufrag, "");
    pair_bye(&t);
    rig_down(r);
}

/* --- BUNDLE --- */

static const char browser_av[] =
    "a=group:BUNDLE 0 v\r\na=msid-semantic: WMS d1c2a7e4\r\n"
    "m=audio 46154 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 192.0.2.30\r\n"
    "a=candidate:1 1 udp 1677729535 192.0.2.30 46154 typ srflx raddr 192.168.1.23 rport "
    "46154\r\n" ICE PRINT
    "a=setup:actpass\r\na=mid:0\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:126 "
    "telephone-event/8000\r\n"
    "a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\na=ssrc:3570614608 msid:d1c2a7e4-6b1f x\r\n"
    "m=video 46154 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 192.0.2.30\r\n" ICE PRINT
    "a=setup:actpass\r\na=mid:v\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"
    "a=ssrc:11 cname:4TOk42mSjXCkVIa6\r\na=ssrc:12 cname:4TOk42mSjXCkVIa6\r\n";

static const char pbx_av[] = "m=audio 50000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
                             "m=video 50002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";

static void one_port_of_the_browser_is_two_plain_streams_for_the_pbx(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    const char *video;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    HAS(t.b.ring, "m=audio 30000 RTP/AVP 111 0 126\r\n");
    HAS(t.b.ring, "m=video 30002 RTP/AVP 96\r\n");
    LACKS(t.b.ring, "BUNDLE");
    LACKS(t.b.ring, "a=mid");
    LACKS(t.b.ring, "rtcp-fb");
    LACKS(t.b.ring, "extmap");
    LACKS(t.b.ring, "rtcp-mux");
    answer(&t, plain_answer(&t.b, pbx_av));
    HAS(t.a.got, "a=group:BUNDLE 0 v\r\n");
    HAS(t.a.got, "m=audio 20000 UDP/TLS/RTP/SAVPF 0 126\r\n");
    video = strstr(t.a.got, "m=video ");
    assert_non_null(video);
    HAS(t.a.got, "a=mid:0\r\na=extmap:4/recvonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    LACKS(video, "extmap"); /* it was not offered there */
    HAS(video, "m=video 20000 UDP/TLS/RTP/SAVPF 96\r\n");
    HAS(video, "a=mid:v\r\n");
    assert_true(media_side(r, 1, 0)->is_bundled && media_side(r, 1, 0)->leader == 0);
    assert_false(media_side(r, 1, 1)->is_bundled);
    assert_int_equal(addr_port(&media_side(r, 1, 1)->remote.rtp), 50002);
    phone_reinvite(&t.b,
                   plain_answer(&t.b, pbx_av)); /* our offer to a browser keeps them together */
    EXPECT(&t.b, "100 INVITE");
    EXPECT(&t.a, "INVITE");
    HAS(t.a.ring, "a=group:BUNDLE 0 v\r\n");
    HAS(t.a.ring, "a=extmap:4/recvonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    HAS(t.a.ring, "m=video 20000 UDP/TLS/RTP/SAVPF 96\r\n");
    talk_accept(&t.b, &t.a, sdp_of(&t.a, browser_av, ""));
    assert_true(media_side(r, 1, 0)->is_bundled);
    pair_bye(&t);
    rig_down(r);
}

/* Chrome takes no answer that leaves a stream out of the group it is in. */
static void the_last_one_stays_in_its_group(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    char fewer[sizeof(browser_av)];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    answer(&t, plain_answer(&t.b, pbx_av));
    memcpy(fewer, browser_av, sizeof(fewer));
    memcpy(strstr(fewer, "BUNDLE 0 v"), "BUNDLE 0  ", 10);
    memcpy(strstr(fewer, "m=video 46154"), "m=video 00000", 13);
    talk_reinvite(&t.a, &t.b, sdp_of(&t.a, fewer, ""),
                  plain_answer(&t.b, "m=audio 50000 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n"));
    HAS(t.a.got, "a=group:BUNDLE 0\r\n");
    HAS(t.a.got, "m=audio 20000 ");
    LACKS(t.a.got, "extmap"); /* nothing is to be told apart */
    assert_false(media_side(r, 1, 0)->is_open);
    pair_bye(&t);
    rig_down(r);
}

/* A track that takes another one's place in the m-line has other SSRCs. */
static void new_names_of_bundled_streams_reach_the_relay(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    char renamed[sizeof(browser_av)];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    answer(&t, plain_answer(&t.b, pbx_av));
    assert_int_equal(media_side(r, 0, 0)->ssrc, 3570614608);
    assert_int_equal(media_side(r, 1, 0)->ssrc, 11);
    memcpy(renamed, browser_av, sizeof(renamed));
    memcpy(strstr(renamed, "a=ssrc:11"), "a=ssrc:77", 9);
    talk_reinvite(&t.a, &t.b, sdp_of(&t.a, renamed, ""), plain_answer(&t.b, pbx_av));
    assert_int_equal(media_side(r, 1, 0)->ssrc, 77);
    assert_true(media_side(r, 1, 0)->is_bundled && media_side(r, 1, 0)->leader == 0);
    pair_bye(&t);
    rig_down(r);
}

static void a_leader_that_is_refused_leaves_the_other_stream_alone(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    answer(&t, plain_answer(&t.b, "m=audio 0 RTP/AVP 0\r\nm=video 50002 RTP/AVP 96\r\n"
                                  "a=rtpmap:96 VP8/90000\r\n"));
    HAS(t.a.got, "a=group:BUNDLE v\r\n");
    HAS(t.a.got, "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n");
    HAS(t.a.got, "m=video 20002 UDP/TLS/RTP/SAVPF 96\r\n");
    assert_false(media_side(r, 1, 0)->is_bundled);
    assert_int_equal(media_side(r, 1, 0)->ssrc, 0); /* the relay need not look at its packets */
    pair_bye(&t);
    rig_down(r);
}

static const char pbx_video[] =
    "m=audio 0 RTP/AVP 0\r\nm=video 50002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";

/* The video has the port that it had with the sound, and nothing else that would be new to a
 * browser. */
static void video_goes_on(struct rig *r, const char *said)
{
    const char *video = strstr(said, "m=video ");

    HAS(said, "a=group:BUNDLE v\r\n");
    assert_non_null(video);
    HAS(video, "m=video 20000 ");
    HAS(video, "a=ice-ufrag:fakeufrag0\r\n");
    assert_true(media_side(r, 1, 0)->is_open && media_side(r, 1, 0)->port == 20000);
    assert_false(media_side(r, 1, 0)->is_bundled || media_side(r, 0, 0)->is_open);
}

/* In a call: whoever ends the sound, the video goes on with the transport that both had. */
static void a_leader_that_ends_in_a_call_leaves_its_transport_to_the_next(void **state)
{
    char back[sizeof(browser_av)], alone[sizeof(browser_av)];
    struct pair t;

    (void)state;
    memcpy(alone, browser_av, sizeof(alone));
    memcpy(strstr(alone, "BUNDLE 0 v"), "BUNDLE v  ", 10);
    memcpy(strstr(alone, "m=audio 46154"), "m=audio 00000", 13);
    for (unsigned i = 0; i < 3; i++) { /* the pbx as it answers; the browser; the pbx */
        struct rig *r = secure_up("browser", "plain", "");

        pair_init(&t, r);
        invite(&t, sdp_of(&t.a, browser_av, ""));
        answer(&t, plain_answer(&t.b, pbx_av));
        if (i < 2) {
            talk_reinvite(&t.a, &t.b, sdp_of(&t.a, i == 0 ? browser_av : alone, ""),
                          plain_answer(&t.b, pbx_video));
            video_goes_on(r, t.a.got);
        } else {
            talk_reinvite(&t.b, &t.a, plain_answer(&t.b, pbx_video), sdp_of(&t.a, alone, ""));
            video_goes_on(r, t.a.ring);
        }
        /* And back: the sound comes to the video. */
        memcpy(back, browser_av, sizeof(back));
        memcpy(strstr(back, "BUNDLE 0 v"), i == 0 ? "BUNDLE v 0" : "BUNDLE 0 v", 10);
        for (unsigned k = 0; k < 2; k++) { /* and as it is then, once more */
            talk_reinvite(&t.a, &t.b, sdp_of(&t.a, back, ""), plain_answer(&t.b, pbx_av));
            HAS(t.a.got, "a=group:BUNDLE v 0\r\n");
            HAS(t.a.got, "m=audio 20000 ");
            HAS(t.a.got, "m=video 20000 ");
            assert_true(media_side(r, 0, 0)->is_bundled && media_side(r, 0, 0)->leader == 1);
        }
        pair_bye(&t);
        rig_down(r);
    }
}

/* Text from the first `begin` to the next `end`. */
static void copy_between(char *out, size_t cap, const char *msg, const char *begin, const char *end)
{
    const char *from = strstr(msg, begin), *to = from != NULL ? strstr(from, end) : NULL;

    assert_true(to != NULL && (size_t)(to - from) < cap);
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
}

/* The answer of one dialog, whatever is bundled in it, stays one answer. */
static void an_early_answer_is_repeated_as_it_was(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    char tag[2][128], body[2][4096];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    for (unsigned i = 0; i < 2; i++) {
        const char *got;

        if (i == 0) {
            phone_answer(&t.b, 183, plain_answer(&t.b, pbx_av));
            got = EXPECT(&t.a, "183 INVITE");
        } else {
            phone_answer_invite(&t.b, 200, plain_answer(&t.b, pbx_av));
            got = EXPECT(&t.a, "200 INVITE");
        }
        copy_between(tag[i], sizeof(tag[i]), got, "\r\nTo: ", "\r\nCall-ID");
        assert_non_null(strstr(got, "\r\no="));
        snprintf(body[i], sizeof(body[i]), "%s", strstr(got, "\r\no="));
    }
    assert_string_equal(tag[0], tag[1]);
    assert_string_equal(body[0], body[1]);
    phone_ack(&t.a, NULL);
    EXPECT(&t.b, "ACK");
    pair_bye(&t);
    rig_down(r);
}

static void an_offer_to_part_that_is_refused_leaves_the_bundle_as_it_was(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    char alone[sizeof(browser_av)];
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    answer(&t, plain_answer(&t.b, pbx_av));
    memcpy(alone, browser_av, sizeof(alone));
    memcpy(strstr(alone, "BUNDLE 0 v"), "BUNDLE 0  ", 10);
    talk_offer(&t.a, &t.b, sdp_of(&t.a, alone, ""));
    assert_true(media_side(r, 1, 0)->is_bundled); /* not before the answer */
    talk_refuse(&t.b, 488, &t.a, "488 INVITE");
    assert_true(media_side(r, 1, 0)->is_bundled);
    talk_reinvite(&t.a, &t.b, sdp_of(&t.a, alone, ""), plain_answer(&t.b, pbx_av));
    assert_false(media_side(r, 1, 0)->is_bundled);
    assert_true(media_side(r, 1, 0)->is_open && media_side(r, 1, 0)->n_dtls != 0);
    pair_bye(&t);
    rig_down(r);
}

/* --- numbers --- */

static const struct media_format *format(const struct fake_side *fs, unsigned pt)
{
    for (size_t i = 0; i < fs->n_formats; i++) {
        if (fs->formats[i].pt == pt) {
            return &fs->formats[i];
        }
    }
    fail_msg("no format %u", pt);
    return NULL;
}

static void numbers_that_differ_are_mapped_in_both_directions(void **state)
{
    struct rig *r = secure_up("browser", "plain", "");
    const struct fake_side *a, *b;
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, browser_av, ""));
    answer(&t, plain_answer(&t.b, pbx_av)); /* 101 for what was offered as 126 */
    a = media_side(r, 0, 0);
    b = media_side(r, 0, 1);
    assert_int_equal(format(a, 126)->out_pt, 101);
    assert_int_equal(format(a, 126)->kind, MEDIA_FMT_EVENT);
    assert_int_equal(format(a, 0)->out_pt, 0);
    assert_int_equal(format(a, 0)->codec, MEDIA_CODEC_G711);
    assert_int_equal(format(b, 101)->out_pt, 126);
    assert_int_equal(format(b, 126)->out_pt, 126); /* as the offer had it (RFC 3264 6.1) */
    phone_reinvite(&t.b, plain_answer(&t.b, pbx_av));
    EXPECT(&t.b, "100 INVITE");
    HAS(EXPECT(&t.a, "INVITE"), " UDP/TLS/RTP/SAVPF 0 126\r\n"); /* its number, not 101 */
    HAS(t.a.ring, "a=rtpmap:126 telephone-event/8000\r\n");
    LACKS(t.a.ring, ":101 ");
    phone_answer(&t.a, 200, sdp_of(&t.a, browser_av, ""));
    HAS(EXPECT(&t.b, "200 INVITE"), "RTP/AVP 0 101\r\n");
    EXPECT(&t.a, "ACK");
    phone_ack(&t.b, NULL);
    assert_int_equal(format(media_side(r, 0, 0), 126)->out_pt, 101);
    pair_bye(&t);
    rig_down(r);
}

/* What each side asks for is what goes to it, our own events (RFC 4733) included. */
static void each_side_is_sent_packets_as_long_as_it_asks_for(void **state)
{
    static const struct {
        const char *lines;
        unsigned ms;
    } rows[] = {{"", 0},
                {"a=ptime:10\r\n", 10},
                {"a=ptime:30\r\n", 30},
                {"a=maxptime:10\r\n", 10},
                {"a=maxptime:60\r\n", 0},
                {"a=ptime:40\r\na=maxptime:30\r\n", 30}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = secure_up("plain", "few", "  few: {codecs: [PCMA]}\n");
        char own[256];
        struct pair t;

        pair_init(&t, r);
        (void)snprintf(own, sizeof(own), "c=IN IP4 192.0.2.30\r\nm=audio 40000 RTP/AVP 8\r\n%s",
                       rows[i].lines);
        invite(&t, sdp_of(&t.a, "", own));
        answer(&t, plain_answer(&t.b, "m=audio 50000 RTP/AVP 8\r\na=ptime:10\r\n"));
        assert_int_equal(format(media_side(r, 0, 1), 8)->ptime_ms, rows[i].ms);
        assert_int_equal(format(media_side(r, 0, 0), 8)->ptime_ms, 10);
        pair_bye(&t);
        rig_down(r);
    }
}

static void codecs_are_filtered_and_ordered_by_the_profiles(void **state)
{
    static const char more[] =
        "  few: {codecs: [opus, PCMA, PCMU]}\n  one: {codecs: [pcmu, G729]}\n";
    static const char many[] =
        "c=IN IP4 192.0.2.30\r\nm=audio 40000 RTP/AVP 9 0 101 8 18 111\r\na=rtpmap:111 "
        "opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:18 annexb=no\r\na=ptime:30\r\n";
    struct rig *r = secure_up("plain", "few", more);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, "", many));
    HAS(t.b.ring, "m=audio 30000 RTP/AVP 111 8 0 101\r\n");
    HAS(t.b.ring, "a=fmtp:111 useinbandfec=1\r\n");
    HAS(t.b.ring, "a=ptime:30\r\n");
    LACKS(t.b.ring, ":18 ");
    answer(&t, plain_answer(&t.b, "m=audio 50000 RTP/AVP 0 8 101\r\na=rtpmap:101 "
                                  "telephone-event/8000\r\na=ptime:20\r\n"));
    HAS(t.a.got, "m=audio 20000 RTP/AVP 0 8 101\r\n");
    assert_int_equal(format(media_side(r, 0, 1), 0)->ptime_ms, 30);
    assert_int_equal(format(media_side(r, 0, 0), 0)->ptime_ms, 20);
    pair_bye(&t);
    rig_down(r);

    r = secure_up("one", "few", more);
    pair_init(&t, r);
    invite(&t, sdp_of(&t.a, "", many));
    HAS(t.b.ring, "m=audio 30000 RTP/AVP 0 101\r\n");
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
    phone_renew(&t.a);
    phone_invite(&t.a, CALLED,
                 sdp_of(&t.a, "",
                        "c=IN IP4 192.0.2.30\r\nm=audio 40000 RTP/AVP 9 101\r\n"
                        "a=rtpmap:101 telephone-event/8000\r\n"));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "488 INVITE");
    phone_ack_failure(&t.a);
    talk_record_is("system", "no codec that the media profiles allow", 488);
    rig_down(r);
}

static void dscp_and_feedback_follow_the_profile(void **state)
{
    static const char more[] = "  low: {dscp: 10, avpf: true}\n";
    struct rig *r = secure_up("plain", "low", more);
    struct pair t;

    (void)state;
    pair_init(&t, r);
    invite(&t, secure_offer(&t.a, KIND_RTP, NULL));
    HAS(t.b.ring, " RTP/AVPF ");
    answer(&t, secure_answer(&t.b, t.b.ring, NULL));
    assert_int_equal(media_side(r, 0, 1)->dscp, 10);
    assert_true(media_side(r, 0, 1)->remote.avpf);
    assert_false(media_side(r, 0, 0)->remote.avpf);
    pair_bye(&t);
    rig_down(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_role_follows_what_they_say),
        cmocka_unit_test(an_answer_says_who_begins),
        cmocka_unit_test(fingerprints_that_prove_nothing_are_refused),
        cmocka_unit_test(a_changed_fingerprint_reaches_the_relay),
        cmocka_unit_test(without_a_certificate_of_ours_dtls_is_not_possible),
        cmocka_unit_test(an_ice_restart_of_theirs_restarts_ours),
        cmocka_unit_test(an_address_that_ice_will_find_is_no_hold),
        cmocka_unit_test(two_lite_agents_use_the_addresses_of_their_descriptions),
        cmocka_unit_test(a_peer_without_ice_gets_none_from_a_profile_that_has_it),
        cmocka_unit_test(one_port_of_the_browser_is_two_plain_streams_for_the_pbx),
        cmocka_unit_test(the_last_one_stays_in_its_group),
        cmocka_unit_test(new_names_of_bundled_streams_reach_the_relay),
        cmocka_unit_test(a_leader_that_is_refused_leaves_the_other_stream_alone),
        cmocka_unit_test(a_leader_that_ends_in_a_call_leaves_its_transport_to_the_next),
        cmocka_unit_test(an_early_answer_is_repeated_as_it_was),
        cmocka_unit_test(an_offer_to_part_that_is_refused_leaves_the_bundle_as_it_was),
        cmocka_unit_test(numbers_that_differ_are_mapped_in_both_directions),
        cmocka_unit_test(each_side_is_sent_packets_as_long_as_it_asks_for),
        cmocka_unit_test(codecs_are_filtered_and_ordered_by_the_profiles),
        cmocka_unit_test(dscp_and_feedback_follow_the_profile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
