/* test_flow_reinvite.c - INVITE inside an answered call, from either side: hold, resume, moves,
 * late offers, glare, failures, CANCEL. */
#include "rig.h"

#include <stdio.h>

/* x asks with its description, y accepts with its own; returns what y was offered. */
static void exchange(struct phone *x, struct phone *y, const char *asks, const char *says)
{
    talk_reinvite(x, y, phone_sdp(x, asks), phone_sdp(y, says));
}

static void hold_and_resume(struct pair *t, struct phone *x, struct phone *y)
{
    const struct fake_stream *st = &rig_media(t->r)->streams[0];

    exchange(x, y, "sendonly", "recvonly");
    HAS(y->ring, "a=sendonly");
    HAS(x->got, "a=recvonly");
    assert_false(st->side[x->side].remote.may_receive);
    assert_true(st->side[x->side].remote.may_send);
    assert_true(st->side[y->side].remote.may_receive);
    assert_false(st->side[y->side].remote.may_send);
    exchange(x, y, "inactive", "inactive");
    assert_false(st->side[x->side].remote.may_send);
    assert_false(st->side[y->side].remote.may_receive);
    exchange(x, y, "sendrecv", "sendrecv");
    assert_true(st->side[x->side].remote.may_receive && st->side[y->side].remote.may_send);
}

static void the_caller_holds_and_resumes(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    hold_and_resume(&t, &t.a, &t.b);
    pair_bye(&t);
}

static void the_callee_holds_and_resumes(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    hold_and_resume(&t, &t.b, &t.a);
    pair_bye(&t);
}

static void the_old_hold_address_stops_media_toward_the_holder(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    memcpy(t.a.media_ip, "0.0.0.0", sizeof("0.0.0.0"));
    exchange(&t.a, &t.b, "sendrecv", "sendrecv");
    LACKS(t.b.ring, "0.0.0.0");
    assert_false(rig_media(t.r)->streams[0].side[0].remote.may_receive);
    assert_int_equal(addr_family(&rig_media(t.r)->streams[0].side[0].remote.rtp), AF_UNSPEC);
    pair_bye(&t);
}

static void our_version_rises_by_one_exactly_when_something_changed(void **state)
{
    struct pair t;
    unsigned long long v;
    char first[1024];

    pair_init(&t, *state);
    pair_up(&t);
    v = msg_version(t.b.ring);
    exchange(&t.a, &t.b, "sendrecv",
             "sendrecv"); /* a refresh, though the phone raised its version */
    assert_true(msg_version(t.b.ring) == v);
    t.a.media_port += 100; /* a move: nothing that the other side sees */
    exchange(&t.a, &t.b, "sendrecv", "sendrecv");
    assert_true(msg_version(t.b.ring) == v);
    exchange(&t.a, &t.b, "sendonly", "recvonly");
    assert_true(msg_version(t.b.ring) == v + 1);
    memcpy(first, msg_body(sl_str(t.b.ring)).p, msg_body(sl_str(t.b.ring)).n + 1);
    exchange(&t.a, &t.b, "sendonly", "recvonly");
    assert_string_equal(msg_body(sl_str(t.b.ring)).p, first);
    exchange(&t.a, &t.b, "sendrecv", "sendrecv");
    assert_true(msg_version(t.b.ring) == v + 2);
    pair_bye(&t);
}

static void a_side_that_moves_is_followed_and_keeps_our_ports(void **state)
{
    struct pair t;
    unsigned port;

    pair_init(&t, *state);
    pair_up(&t);
    port = msg_port(t.b.ring);
    t.a.media_port = 45678;
    exchange(&t.a, &t.b, NULL, NULL);
    assert_int_equal(msg_port(t.b.ring), port);
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[0].remote.rtp), 45678);
    t.b.media_port = 45680;
    exchange(&t.b, &t.a, NULL, NULL);
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[1].remote.rtp), 45680);
    pair_bye(&t);
}

static void a_new_contact_is_where_the_next_request_goes(void **state)
{
    struct pair t;
    struct phone moved;

    pair_init(&t, *state);
    phone_init(&moved, t.r, 0, "alice", "192.0.2.30:5066");
    pair_up(&t);
    memcpy(t.a.at, "192.0.2.30:5066", sizeof("192.0.2.30:5066"));
    exchange(&t.a, &t.b, NULL, NULL);
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    HAS(EXPECT(&moved, "BYE"), "BYE sip:dev-alice-0@192.0.2.30:5066 SIP/2.0");
    phone_answer(&moved, 200, NULL);
}

static void late_offer(struct phone *x, struct phone *y, struct rig *r)
{
    phone_reinvite(x, NULL);
    EXPECT(x, "100 INVITE");
    LACKS(EXPECT(y, "INVITE"), "m=audio");
    phone_answer(y, 200, phone_sdp(y, NULL));
    HAS(EXPECT(x, "200 INVITE"), "m=audio");
    QUIET(y);
    x->media_port += 10;
    phone_ack(x, phone_sdp(x, NULL));
    HAS(EXPECT(y, "ACK"), "m=audio");
    assert_int_equal(addr_port(&rig_media(r)->streams[0].side[x->side].remote.rtp), x->media_port);
}

static void a_reinvite_without_offer_is_answered_in_the_ack_from_both_sides(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    late_offer(&t.a, &t.b, t.r);
    late_offer(&t.b, &t.a, t.r);
    exchange(&t.a, &t.b, "sendonly", "recvonly"); /* and the way is free again */
    pair_bye(&t);
}

static void a_repeated_200_before_the_late_answer_is_not_acknowledged_yet(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, NULL);
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "200 INVITE");
    phone_answer(&t.b, 200, t.b.sdp);
    QUIET(&t.b);
    phone_ack(&t.a, phone_sdp(&t.a, NULL));
    EXPECT(&t.b, "ACK");
    phone_answer_invite(&t.b, 200, t.b.sdp);
    HAS(EXPECT(&t.b, "ACK"), "m=audio");
    pair_bye(&t);
}

/* x asks, and before y answered it asks as well: 491 for y, and x is served. */
static void collide(struct phone *x, struct phone *y)
{
    talk_offer(x, y, phone_sdp(x, "sendonly"));
    phone_reinvite(y, phone_sdp(y, "inactive"));
    EXPECT(y, "491 INVITE");
    phone_ack_failure(y);
    talk_accept(x, y, phone_sdp(y, "recvonly"));
}

static void glare_is_a_491_for_the_second_one_whichever_side_it_is(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    collide(&t.a, &t.b);
    collide(&t.b, &t.a);
    exchange(&t.b, &t.a, NULL, NULL);
    pair_bye(&t);
}

static void a_reinvite_before_the_ack_of_the_answer_before_it_is_a_491(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    phone_reinvite(&t.b, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "491 INVITE");
    phone_ack_failure(&t.b);
    phone_ack(&t.a, NULL);
    exchange(&t.b, &t.a, NULL, NULL);
    pair_bye(&t);
}

static void a_second_reinvite_of_the_same_side_is_a_500(void **state)
{
    struct pair t;
    char first[RIG_TEXT_MAX];

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    memcpy(first, t.a.invite, sizeof(first));
    phone_reinvite(&t.a, phone_sdp(&t.a, "sendrecv"));
    HAS(EXPECT(&t.a, "500 INVITE"), "Retry-After: ");
    phone_ack_failure(&t.a);
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    memcpy(t.a.invite, first, sizeof(first)); /* the ACK is for the first one */
    phone_ack(&t.a, NULL);
    pair_bye(&t);
}

/* y says 491: it is asked again by us, x hears nothing of it. */
static void far_glare(struct pair *t, struct phone *x, struct phone *y, int64_t least, int64_t most)
{
    int64_t before = t->r->now_ms;

    talk_offer(x, y, phone_sdp(x, "sendonly"));
    phone_answer(y, 491, NULL);
    EXPECT(y, "ACK");
    QUIET(x);
    rig_advance(t->r, most);
    EXPECT(y, "INVITE");
    assert_in_range(y->got_ms - before, least, most);
    QUIET(x);
    while (phone_try(y, "INVITE")) { /* it took us a while to look */
    }
    talk_accept(x, y, phone_sdp(y, "recvonly"));
}

static void a_491_of_the_far_side_is_retried_there_in_the_time_of_our_role(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    far_glare(&t, &t.a, &t.b, 2100, 4000); /* we called b: owner of the Call-ID */
    far_glare(&t, &t.b, &t.a, 0, 2000);
    pair_bye(&t);
}

static void a_491_is_never_mirrored_even_when_it_does_not_stop(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_reinvite(&t.a, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.a, "100 INVITE");
    for (int i = 0; i < 4; i++) {
        EXPECT(&t.b, "INVITE");
        while (phone_try(&t.b, "INVITE")) {
        }
        phone_answer(&t.b, 491, NULL);
        EXPECT(&t.b, "ACK");
        rig_advance(t.r, i < 3 ? 4000 : 0);
    }
    EXPECT(&t.a, "500 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    exchange(&t.a, &t.b, NULL, NULL);
    pair_bye(&t);
}

static void a_refused_reinvite_leaves_the_call_as_it_was(void **state)
{
    static const struct {
        unsigned said;
        const char *heard;
    } cases[] = {{488, "488 INVITE"}, {500, "500 INVITE"}, {401, "502 INVITE"},
                 {407, "502 INVITE"}, {606, "606 INVITE"}, {503, "503 INVITE"}};
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsigned n = rig_media(t.r)->streams[0].side[0].n_described;

        t.a.media_port += 2;
        talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
        phone_answer(&t.b, cases[i].said, NULL);
        EXPECT(&t.b, "ACK");
        EXPECT(&t.a, cases[i].heard);
        phone_ack_failure(&t.a);
        assert_int_equal(rig_media(t.r)->streams[0].side[0].n_described, n);
    }
    exchange(&t.b, &t.a, NULL, NULL);
    pair_bye(&t);
}

static void a_481_to_a_reinvite_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    talk_refuse(&t.b, 481, &t.a, "481 INVITE");
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    QUIET(&t.b); /* it has no dialog to end */
    talk_record_is("callee", "dialog is gone", 200);
}

static void a_reinvite_that_nobody_answers_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_reinvite(&t.b, phone_sdp(&t.b, "sendonly"));
    EXPECT(&t.b, "100 INVITE");
    rig_advance(t.r, 32000);
    while (phone_try(&t.a, "INVITE")) {
    }
    EXPECT(&t.b, "408 INVITE");
    phone_ack_failure(&t.b);
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 481, NULL);
    talk_record_is("caller", "dialog is gone", 200);
}

static void a_reinvite_may_be_cancelled(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_answer(&t.b, 180, NULL);
    talk_cancel(&t.a);
    talk_cancelled(&t.b);
    exchange(&t.a, &t.b, "sendonly", "recvonly");
    exchange(&t.b, &t.a, NULL, NULL);
    pair_bye(&t);
}

static void a_reinvite_that_waits_for_its_retry_may_be_cancelled(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_answer(&t.b, 491, NULL);
    EXPECT(&t.b, "ACK");
    talk_cancel(&t.a);
    rig_advance(t.r, 5000);
    QUIET(&t.b);
    exchange(&t.b, &t.a, NULL, NULL);
    pair_bye(&t);
}

static void a_cancel_that_crosses_the_200_of_a_reinvite_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    talk_cancel(&t.a);
    phone_answer(&t.b, 200, phone_sdp(&t.b, "recvonly"));
    EXPECT(&t.b, "ACK");
    talk_cut(&t.a, &t.b);
    talk_record_is("system", "re-INVITE was cancelled too late", 200);
}

static void a_bye_of_the_asked_side_ends_a_pending_reinvite(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_bye(&t.b);
    EXPECT(&t.b, "200 BYE");
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    phone_answer_invite(&t.b, 487, NULL);
    EXPECT(&t.b, "ACK");
    talk_record_is("callee", "BYE", 200);
}

static void a_bye_of_the_asking_side_ends_its_pending_reinvite(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    phone_bye(&t.a);
    EXPECT(&t.a, "200 BYE");
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    phone_answer_invite(&t.b, 487, NULL);
    EXPECT(&t.b, "ACK");
    talk_record_is("caller", "BYE", 200);
}

static void a_reinvite_with_another_body_is_a_415(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    phone_reinvite(&t.a, "hello");
    EXPECT(&t.a, "415 INVITE");
    phone_ack_failure(&t.a);
    QUIET(&t.b);
    pair_bye(&t);
}

static void a_stream_may_be_added_and_refused_and_turned_into_fax(void **state)
{
    static const char audio[] =
        "v=0\r\no=- 1 2 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n";
    struct pair t;
    char offer[512];
    struct media_session *s;

    pair_init(&t, *state);
    pair_up(&t);
    s = rig_media(t.r);
    memcpy(offer, audio, sizeof(audio));
    memcpy(offer + strlen(offer), "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 31\r\n", 52);
    phone_reinvite(&t.a, offer);
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), "m=video 3");
    assert_true(s->streams[1].side[0].is_open);
    phone_answer(&t.b, 200,
                 "v=0\r\no=- 1 2 IN IP4 10.1.1.20\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n"
                 "m=audio 41000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n");
    HAS(EXPECT(&t.a, "200 INVITE"), "m=video 0");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_false(s->streams[1].side[0].is_open || s->streams[1].side[1].is_open);
    memcpy(offer, audio, sizeof(audio));
    memcpy(offer + strlen(offer), "m=image 40000 udptl t38\r\nm=video 0 RTP/AVP 31\r\n", 48);
    phone_reinvite(&t.a, offer);
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), "m=image 3");
    phone_answer(&t.b, 200,
                 "v=0\r\no=- 1 3 IN IP4 10.1.1.20\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n"
                 "m=image 41000 udptl t38\r\nm=video 0 RTP/AVP 31\r\n");
    EXPECT(&t.a, "200 INVITE");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_int_equal(s->streams[0].kind, MEDIA_DATAGRAM);
    pair_bye(&t);
}

/* One re-INVITE from a to b with these m-lines on either side. */
static void exchange_lines(struct pair *t, const char *offer, const char *answer)
{
    char text[512];

    snprintf(text, sizeof(text),
             "v=0\r\no=- 1 2 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n%s",
             offer);
    talk_offer(&t->a, &t->b, text);
    snprintf(text, sizeof(text),
             "v=0\r\no=- 1 2 IN IP4 10.1.1.20\r\ns=-\r\nc=IN IP4 10.1.1.20\r\nt=0 0\r\n%s", answer);
    talk_accept(&t->a, &t->b, text);
}

static const char video_gone[] = "v=0\r\no=- 1 3 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 "
                                 "192.0.2.30\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
                                 "m=video 0 RTP/AVP 31\r\n";

/* Simple phones leave out what was refused before. The other side, which may not take an offer
 * with fewer m-lines (RFC 3264 8), sees them refused, and as many as came are answered. */
static void an_offer_with_fewer_lines_refuses_the_others(void **state)
{
    const struct fake_stream *video;
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    exchange_lines(&t, "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 31\r\n",
                   "m=audio 41000 RTP/AVP 0\r\nm=video 41002 RTP/AVP 31\r\n");
    video = &rig_media(t.r)->streams[1];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(video->side[0].is_open && video->side[1].is_open, i == 0);
        talk_offer(&t.b, &t.a, phone_sdp(&t.b, NULL));
        HAS(t.a.ring, "m=video 0 RTP/AVP 31\r\n");
        phone_answer(&t.a, 200, video_gone);
        LACKS(EXPECT(&t.b, "200 INVITE"), "m=video");
        EXPECT(&t.a, "ACK");
        phone_ack(&t.b, NULL);
    }
    pair_bye(&t);
}

static void an_answer_that_takes_what_was_refused_ends_the_call(void **state)
{
    char taken[sizeof(video_gone) + 8];
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    exchange_lines(&t, "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 31\r\n",
                   "m=audio 41000 RTP/AVP 0\r\nm=video 41002 RTP/AVP 31\r\n");
    talk_offer(&t.b, &t.a, phone_sdp(&t.b, NULL));
    snprintf(taken, sizeof(taken), "%.*sm=video 40002 RTP/AVP 31\r\n",
             (int)(strstr(video_gone, "m=video") - video_gone), video_gone);
    phone_answer_invite(&t.a, 200, taken);
    EXPECT(&t.a, "ACK");
    EXPECT(&t.b, "500 INVITE");
    phone_ack_failure(&t.b);
    talk_cut(&t.b, &t.a);
}

static void what_a_removed_stream_carried_stays_in_the_record(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    exchange_lines(&t, "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 31\r\n",
                   "m=audio 41000 RTP/AVP 0\r\nm=video 41002 RTP/AVP 31\r\n");
    exchange_lines(&t, "m=audio 40000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n",
                   "m=audio 41000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n");
    assert_false(rig_media(t.r)->streams[1].side[0].is_open);
    pair_bye(&t);
    HAS(talk_record()->detail, "{\"stream\":1,\"ended\":true,\"caller\":{\"remote\":");
    HAS(talk_record()->detail, "{\"stream\":0,\"ended\":false,\"caller\":{\"remote\":");
}

static void an_unusable_answer_to_a_reinvite_ends_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    talk_refuse(&t.b, 200, &t.a, "500 INVITE");
    talk_cut(&t.a, &t.b);
    assert_string_equal(talk_record()->end_by, "callee");
}

static void reinvites_go_over_connections_as_well(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    phone_on(&t.a, 0, SIP_TCP);
    pair_up(&t);
    hold_and_resume(&t, &t.a, &t.b);
    hold_and_resume(&t, &t.b, &t.a);
    late_offer(&t.a, &t.b, t.r);
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(the_caller_holds_and_resumes),
        FLOW_TEST(the_callee_holds_and_resumes),
        FLOW_TEST(the_old_hold_address_stops_media_toward_the_holder),
        FLOW_TEST(our_version_rises_by_one_exactly_when_something_changed),
        FLOW_TEST(a_side_that_moves_is_followed_and_keeps_our_ports),
        FLOW_TEST(a_new_contact_is_where_the_next_request_goes),
        FLOW_TEST(a_reinvite_without_offer_is_answered_in_the_ack_from_both_sides),
        FLOW_TEST(a_repeated_200_before_the_late_answer_is_not_acknowledged_yet),
        FLOW_TEST(glare_is_a_491_for_the_second_one_whichever_side_it_is),
        FLOW_TEST(a_reinvite_before_the_ack_of_the_answer_before_it_is_a_491),
        FLOW_TEST(a_second_reinvite_of_the_same_side_is_a_500),
        FLOW_TEST(a_491_of_the_far_side_is_retried_there_in_the_time_of_our_role),
        FLOW_TEST(a_491_is_never_mirrored_even_when_it_does_not_stop),
        FLOW_TEST(a_refused_reinvite_leaves_the_call_as_it_was),
        FLOW_TEST(a_481_to_a_reinvite_ends_the_call),
        FLOW_TEST(a_reinvite_that_nobody_answers_ends_the_call),
        FLOW_TEST(a_reinvite_may_be_cancelled),
        FLOW_TEST(a_reinvite_that_waits_for_its_retry_may_be_cancelled),
        FLOW_TEST(a_cancel_that_crosses_the_200_of_a_reinvite_ends_the_call),
        FLOW_TEST(a_bye_of_the_asked_side_ends_a_pending_reinvite),
        FLOW_TEST(a_bye_of_the_asking_side_ends_its_pending_reinvite),
        FLOW_TEST(a_reinvite_with_another_body_is_a_415),
        FLOW_TEST(what_a_removed_stream_carried_stays_in_the_record),
        FLOW_TEST(a_stream_may_be_added_and_refused_and_turned_into_fax),
        FLOW_TEST(an_offer_with_fewer_lines_refuses_the_others),
        FLOW_TEST(an_answer_that_takes_what_was_refused_ends_the_call),
        FLOW_TEST(an_unusable_answer_to_a_reinvite_ends_the_call),
        FLOW_TEST(reinvites_go_over_connections_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
