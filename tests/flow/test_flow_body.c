/* test_flow_body.c - bodies of several parts, as carriers send them: the description counts, what
 * stands beside it stays here. */
#include "rig.h"

#include <stdio.h>

#define EXTRA(p, text) memcpy((p)->extra, (text), sizeof(text))
#define MIXED "Content-Type: multipart/mixed;boundary=\"unique-1\"\r\n"
#define ISUP(handling)                                                                             \
    "--unique-1\r\nContent-Type: application/isup;version=itu-t92+;base=itu-t92+\r\n"              \
    "Content-Disposition: signal;handling=" handling "\r\n\r\n\001\021\002\r\n"

/* The description between ISUP and a location that says nothing of how it is to be handled. */
static const char *mixed(struct phone *p, const char *isup)
{
    static char text[4096];

    snprintf(text, sizeof(text),
             "%s--unique-1\r\nContent-Type: application/sdp\r\n"
             "Content-Disposition: session;handling=required\r\n\r\n%s\r\n"
             "--unique-1\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
             "--unique-1--\r\n",
             isup, phone_sdp(p, NULL));
    return text;
}

static void only_the_description(const char *text)
{
    HAS(text, "Content-Type: application/sdp\r\n");
    HAS(text, "m=audio");
    LACKS(text, "unique-1");
    LACKS(text, "pidf");
    LACKS(text, "isup");
}

static void a_description_among_other_parts_is_carried_alone_both_ways(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    EXTRA(&t.a, MIXED);
    phone_invite(&t.a, CALLED, mixed(&t.a, ISUP("optional")));
    EXPECT(&t.a, "100 INVITE");
    only_the_description(EXPECT(&t.b, "INVITE"));
    EXTRA(&t.b, MIXED);
    phone_answer(&t.b, 183, mixed(&t.b, ISUP("required")));
    only_the_description(EXPECT(&t.a, "183 INVITE"));
    EXTRA(&t.b, MIXED);
    phone_answer(&t.b, 200, mixed(&t.b, ISUP("optional")));
    only_the_description(EXPECT(&t.a, "200 INVITE"));
    phone_ack(&t.a, NULL);
    EXPECT(&t.b, "ACK");
    assert_int_equal(addr_port(&rig_media(t.r)->streams[0].side[1].remote.rtp), t.b.media_port);
    pair_bye(&t);
}

static void so_it_is_within_the_call(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    EXTRA(&t.a, MIXED);
    talk_offer(&t.a, &t.b, mixed(&t.a, ""));
    only_the_description(t.b.ring);
    EXTRA(&t.b, MIXED);
    phone_answer(&t.b, 200, mixed(&t.b, ""));
    only_the_description(EXPECT(&t.a, "200 INVITE"));
    phone_ack(&t.a, NULL);
    EXPECT(&t.b, "ACK");
    phone_reinvite(&t.b, NULL); /* and in an ACK */
    EXPECT(&t.b, "100 INVITE");
    EXPECT(&t.a, "INVITE");
    phone_answer(&t.a, 200, phone_sdp(&t.a, NULL));
    EXPECT(&t.b, "200 INVITE");
    EXTRA(&t.b, MIXED);
    phone_ack(&t.b, mixed(&t.b, ""));
    only_the_description(EXPECT(&t.a, "ACK"));
    pair_bye(&t);
}

static void what_must_be_understood_and_is_not_is_a_415_that_says_what_is(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    EXTRA(&t.a, MIXED);
    phone_invite(&t.a, CALLED, mixed(&t.a, ISUP("required")));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.a, "415 INVITE"), "Accept: application/sdp, multipart/mixed\r\n");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    EXTRA(&t.a, "Content-Type: multipart/mixed\r\n"); /* without a boundary */
    phone_invite(&t.a, CALLED, mixed(&t.a, ""));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "415 INVITE");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    EXTRA(&t.a, "Content-Disposition: early-session\r\n");
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.a, "415 INVITE");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    pair_up(&t);
    EXTRA(&t.a, MIXED);
    phone_reinvite(&t.a, mixed(&t.a, ISUP("required")));
    HAS(EXPECT(&t.a, "415 INVITE"), "Accept: application/sdp, multipart/mixed\r\n");
    phone_ack_failure(&t.a);
    pair_bye(&t);
}

/* RFC 3261 20.11: a body that may be passed over leaves an INVITE without an offer. */
static void a_body_that_may_be_passed_over_is(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    EXTRA(&t.a, "Content-Type: application/xml\r\n"
                "Content-Disposition: render; handling=optional\r\n");
    phone_invite(&t.a, CALLED, "<x/>");
    EXPECT(&t.a, "100 INVITE");
    LACKS(EXPECT(&t.b, "INVITE"), "m=audio");
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
}

/* RFC 2046 5.1.4: the last alternative is the best one; SDP that describes no session is none. */
static void of_alternatives_the_last_counts(void **state)
{
    char text[4096], first[2048];
    struct pair t;

    pair_init(&t, *state);
    snprintf(first, sizeof(first), "%s", phone_sdp(&t.a, "sendonly"));
    snprintf(text, sizeof(text),
             "--o\r\nContent-Type: multipart/alternative;boundary=i\r\n\r\n"
             "--i\r\nContent-Type: application/sdp\r\n\r\n%s\r\n"
             "--i\r\nContent-Type: application/sdp\r\n\r\n%s\r\n"
             "--i\r\nContent-Type: application/sdp\r\nContent-Disposition: early-session\r\n\r\n"
             "v=0\r\n--i--\r\n--o--",
             first, phone_sdp(&t.a, "recvonly"));
    EXTRA(&t.a, "Content-Type: multipart/mixed;boundary=o\r\n");
    phone_invite(&t.a, CALLED, text);
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), "a=recvonly");
    talk_refuse(&t.b, 486, &t.a, "486 INVITE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_description_among_other_parts_is_carried_alone_both_ways),
        FLOW_TEST(so_it_is_within_the_call),
        FLOW_TEST(what_must_be_understood_and_is_not_is_a_415_that_says_what_is),
        FLOW_TEST(a_body_that_may_be_passed_over_is),
        FLOW_TEST(of_alternatives_the_last_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
