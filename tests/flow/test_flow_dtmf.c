/* test_flow_dtmf.c - digits between SIP INFO and RTP events in both directions, once each
 * (attacks.md 87). */
#include "secure.h"

#include <stdio.h>

#define MORE "  info: {dtmf: info}\n  events: {dtmf: rfc4733}\n  pass: {}\n"
#define RELAY "Content-Type: application/dtmf-relay\r\n"
#define PLAIN "Content-Type: application/dtmf\r\n"

static void up(struct pair *t, const char *a, const char *b)
{
    pair_init(t, secure_up(a, b, MORE));
    pair_up(t);
}

/* Without telephone-event, as a phone that only knows INFO. */
static const char *bare_sdp(struct phone *p)
{
    int n = snprintf(p->sdp, sizeof(p->sdp),
                     "v=0\r\no=owner-%s 5 %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                     "m=audio %u RTP/AVP 0\r\n",
                     p->user, ++p->sdp_version, p->media_ip, p->media_ip, p->media_port);

    assert_true(n > 0 && (size_t)n < sizeof(p->sdp));
    return p->sdp;
}

static void down(struct pair *t)
{
    pair_bye(t);
    rig_down(t->r);
}

static void info(struct phone *p, const char *type, const char *body)
{
    assert_int_equal(sl_cstr(sl_str(type), p->extra, sizeof(p->extra)), 0);
    phone_request(p, "INFO", NULL, body);
}

static void an_info_becomes_an_event(void **state)
{
    static const struct {
        const char *type, *body;
        char digit;
        unsigned ms;
    } rows[] = {
        {RELAY, "Signal=5\r\nDuration=200\r\n", '5', 200},
        {RELAY, "Signal= *\r\nDuration= 100\r\n", '*', 100},
        {RELAY, "duration=90\nsignal=#\n", '#', 90},
        {RELAY, "Signal=d", 'D', 160},
        {RELAY, "Signal=10\r\nDuration=1\r\n", '*', 40},
        {RELAY, "Signal=11\r\nDuration=99999999999\r\n", '#', 160},
        {RELAY, "Signal=0\r\nDuration=60000\r\n", '0', 5000},
        {PLAIN, "7", '7', 160},
        {PLAIN, "A\r\n", 'A', 160},
        {PLAIN, "Signal=3\r\n", '3', 160},
    };
    struct pair t;

    (void)state;
    up(&t, "info", "events");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_side *b = media_side(t.r, 0, 1);

        memset(b->sent_dtmf, 0, sizeof(b->sent_dtmf));
        info(&t.a, rows[i].type, rows[i].body);
        EXPECT(&t.a, "200 INFO");
        QUIET(&t.b);
        assert_true(b->sent_dtmf[0] == rows[i].digit && b->sent_dtmf[1] == '\0');
        assert_int_equal(b->sent_ms, rows[i].ms);
    }
    down(&t);
}

static void an_info_that_names_no_digit_is_a_400(void **state)
{
    static const char *const bodies[] = {
        "", "Signal=", "Signal=x\r\n", "Signal=16\r\n", "Duration=1", "Signal=555", "Tone=5"};
    struct pair t;

    (void)state;
    up(&t, "info", "events");
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        info(&t.a, RELAY, bodies[i]);
        EXPECT(&t.a, "400 INFO");
        QUIET(&t.b);
    }
    info(&t.a, PLAIN, "12");
    EXPECT(&t.a, "200 INFO"); /* the number of an event */
    info(&t.a, PLAIN, "1234");
    EXPECT(&t.a, "400 INFO");
    assert_string_equal(media_side(t.r, 0, 1)->sent_dtmf, "A");
    down(&t);
}

static void an_info_of_another_kind_is_relayed(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "pass", "events");
    info(&t.a, "Content-Type: text/plain\r\n", "Signal=5");
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    down(&t);
}

static void a_side_without_events_is_given_the_info_as_it_came(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("pass", "events", MORE));
    phone_invite(&t.a, CALLED, bare_sdp(&t.a));
    EXPECT(&t.a, "100 INVITE");
    EXPECT(&t.b, "INVITE");
    talk_accept(&t.a, &t.b, bare_sdp(&t.b));
    info(&t.a, RELAY, "Signal=5\r\nDuration=160\r\n");
    HAS(EXPECT(&t.b, "INFO"), "Signal=5\r\nDuration=160\r\n");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    down(&t);
}

static void a_full_queue_of_events_says_come_again(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "info", "events");
    memset(media_side(t.r, 0, 1)->sent_dtmf, '1', MEDIA_DTMF_QUEUE);
    info(&t.a, RELAY, "Signal=5\r\n");
    HAS(EXPECT(&t.a, "503 INFO"), "Retry-After: 2\r\n");
    down(&t);
}

/* The phone on the info side needs no events in its description, the other one still has them. */
static void a_call_between_info_and_events_offers_each_side_its_own_way(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("events", "info", MORE));
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    LACKS(EXPECT(&t.b, "INVITE"), "telephone-event");
    HAS(t.b.ring, "m=audio 30000 RTP/AVP 0 8\r\n");
    phone_answer(&t.b, 200, bare_sdp(&t.b));
    HAS(EXPECT(&t.a, "200 INVITE"), "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 "
                                    "telephone-event/8000\r\na=fmtp:101 0-15\r\n");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    assert_int_equal(media_side(t.r, 0, 0)->dtmf, MEDIA_DTMF_TO_INFO);
    assert_int_equal(media_side(t.r, 0, 1)->dtmf, MEDIA_DTMF_PASS);
    info(&t.b, RELAY, "Signal=9\r\nDuration=120\r\n");
    EXPECT(&t.b, "200 INFO");
    QUIET(&t.a);
    assert_string_equal(media_side(t.r, 0, 0)->sent_dtmf, "9");
    fake_media_dtmf(rig_media(t.r), 0, 0, '4', 240);
    HAS(EXPECT(&t.b, "INFO"), "Content-Type: application/dtmf-relay\r\n");
    HAS(t.b.got, "\r\n\r\nSignal=4\r\nDuration=240\r\n");
    phone_answer(&t.b, 200, NULL);
    QUIET(&t.a);
    down(&t);
}

static void the_info_side_calls_and_the_other_is_offered_events(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up("info", "pass", MORE));
    phone_invite(&t.a, CALLED, bare_sdp(&t.a));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.b, "INVITE"), "m=audio 30000 RTP/AVP 0 101\r\n");
    HAS(t.b.ring, "a=rtpmap:101 telephone-event/8000\r\n");
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    LACKS(EXPECT(&t.a, "200 INVITE"), "telephone-event");
    EXPECT(&t.b, "ACK");
    phone_ack(&t.a, NULL);
    info(&t.a, PLAIN, "5");
    EXPECT(&t.a, "200 INFO");
    QUIET(&t.b);
    assert_string_equal(media_side(t.r, 0, 1)->sent_dtmf, "5");
    fake_media_dtmf(rig_media(t.r), 0, 1, '6', 100);
    HAS(EXPECT(&t.a, "INFO"), "Signal=6\r\nDuration=100\r\n");
    phone_answer(&t.a, 200, NULL);
    down(&t);
}

static void a_digit_is_sent_again_to_who_wants_to_know_who_we_are(void **state)
{
    struct pair t;

    (void)state;
    pair_init(&t, secure_up_with("events", "info", MORE,
                                 "trusted_network: true, credentials: {username: e, password: s}"));
    pair_up(&t);
    for (char c = '1'; c <= '2'; c++) {
        fake_media_dtmf(rig_media(t.r), 0, 0, c, 100);
    }
    HAS(EXPECT(&t.b, "INFO"), "Signal=1\r\n");
    LACKS(t.b.got, "Authorization: ");
    assert_int_equal(
        sl_cstr(SL("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n"),
                t.b.extra, sizeof(t.b.extra)),
        0);
    phone_answer(&t.b, 401, NULL);
    HAS(EXPECT(&t.b, "INFO"), "Signal=1\r\n");
    HAS(t.b.got, "\r\nAuthorization: Digest ");
    QUIET(&t.b);
    phone_answer(&t.b, 200, NULL);
    HAS(EXPECT(&t.b, "INFO"), "Signal=2\r\n");
    phone_answer(&t.b, 401, NULL); /* with nothing that could be answered: lost, no more */
    QUIET(&t.b);
    down(&t);
}

static void digits_go_one_after_the_other(void **state)
{
    struct pair t;
    char want[32];

    (void)state;
    up(&t, "events", "info");
    for (char c = '0'; c <= '9'; c++) {
        fake_media_dtmf(rig_media(t.r), 0, 0, c, 100);
    }
    for (char c = '0'; c <= '9'; c++) {
        snprintf(want, sizeof(want), "Signal=%c\r\n", c);
        HAS(EXPECT(&t.b, "INFO"), want);
        QUIET(&t.b);
        phone_answer(&t.b, c == '3' ? 500 : 200, NULL); /* one that is refused stops nothing */
    }
    QUIET(&t.b);
    for (int i = 0; i < 100; i++) { /* more than may wait: the rest is lost, the call goes on */
        fake_media_dtmf(rig_media(t.r), 0, 0, '1', 100);
    }
    for (int i = 0; i < 33; i++) {
        EXPECT(&t.b, "INFO");
        phone_answer(&t.b, 200, NULL);
    }
    QUIET(&t.b);
    fake_media_dtmf(rig_media(t.r), 0, 0, 'F', 100); /* flash is no digit */
    QUIET(&t.b);
    down(&t);
}

static void a_digit_that_meets_no_dialog_ends_the_call(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "events", "info");
    fake_media_dtmf(rig_media(t.r), 0, 0, '1', 100);
    EXPECT(&t.b, "INFO");
    phone_answer(&t.b, 481, NULL);
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 200, NULL);
    talk_record_is("callee", "dialog is gone", 200);
    rig_down(t.r);
}

static void a_hang_up_while_digits_wait_leaves_nothing(void **state)
{
    struct phone late;
    struct pair t;

    (void)state;
    up(&t, "events", "info");
    for (int i = 0; i < 5; i++) {
        fake_media_dtmf(rig_media(t.r), 0, 0, '1', 100);
    }
    EXPECT(&t.b, "INFO");
    late = t.b;
    pair_bye(&t);
    phone_answer(&late, 200, NULL);
    rig_down(t.r);
}

static void a_side_that_speaks_events_has_no_second_way(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "events", "pass");
    info(&t.a, RELAY, "Signal=5\r\nDuration=160\r\n");
    EXPECT(&t.a, "415 INFO");
    QUIET(&t.b);
    down(&t);
}

/* attacks.md 87: what it also sends as events would be there twice. */
static void an_info_beside_events_is_taken_and_goes_no_further(void **state)
{
    static const char *const others[] = {"events", "info"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct pair t;

        up(&t, "pass", others[i]);
        info(&t.a, RELAY, "Signal=5\r\nDuration=160\r\n");
        EXPECT(&t.a, "200 INFO");
        QUIET(&t.b);
        assert_string_equal(media_side(t.r, 0, 1)->sent_dtmf, "");
        down(&t);
        up(&t, others[i], "pass"); /* the other way round */
        info(&t.b, PLAIN, "5");
        EXPECT(&t.b, "200 INFO");
        QUIET(&t.a);
        assert_string_equal(media_side(t.r, 0, 0)->sent_dtmf, "");
        down(&t);
    }
}

/* Nothing is converted here: both ways come from the caller, as it sent them. */
static void an_info_between_two_sides_that_take_all_is_relayed(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "pass", "pass");
    info(&t.a, RELAY, "Signal=5\r\nDuration=160\r\n");
    HAS(EXPECT(&t.b, "INFO"), "Signal=5\r\nDuration=160\r\n");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    down(&t);
}

static void between_two_info_sides_it_is_relayed(void **state)
{
    struct pair t;

    (void)state;
    up(&t, "info", "info");
    info(&t.a, RELAY, "Signal=5\r\nDuration=160\r\n");
    HAS(EXPECT(&t.b, "INFO"), "Signal=5\r\nDuration=160\r\n");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "200 INFO");
    down(&t);
}

static void an_info_of_a_stranger_or_outside_a_dialog_does_nothing(void **state)
{
    struct phone x, copy;
    struct pair t;

    (void)state;
    up(&t, "pass", "events");
    phone_init(&x, t.r, 0, "mallory", "192.0.2.66:5060");
    copy = t.a; /* knows everything, but stands elsewhere */
    copy.flow = x.flow;
    memcpy(copy.at, x.at, sizeof(copy.at));
    info(&copy, RELAY, "Signal=5\r\n");
    EXPECT(&copy, "481 INFO");
    t.r->is_noisy = true;
    info(&x, RELAY, "Signal=5\r\n");
    assert_string_equal(media_side(t.r, 0, 1)->sent_dtmf, "");
    t.r->is_leaky = true;
    down(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_info_becomes_an_event),
        cmocka_unit_test(an_info_that_names_no_digit_is_a_400),
        cmocka_unit_test(an_info_of_another_kind_is_relayed),
        cmocka_unit_test(a_side_without_events_is_given_the_info_as_it_came),
        cmocka_unit_test(a_full_queue_of_events_says_come_again),
        cmocka_unit_test(a_call_between_info_and_events_offers_each_side_its_own_way),
        cmocka_unit_test(the_info_side_calls_and_the_other_is_offered_events),
        cmocka_unit_test(a_digit_is_sent_again_to_who_wants_to_know_who_we_are),
        cmocka_unit_test(digits_go_one_after_the_other),
        cmocka_unit_test(a_digit_that_meets_no_dialog_ends_the_call),
        cmocka_unit_test(a_hang_up_while_digits_wait_leaves_nothing),
        cmocka_unit_test(a_side_that_speaks_events_has_no_second_way),
        cmocka_unit_test(an_info_beside_events_is_taken_and_goes_no_further),
        cmocka_unit_test(an_info_between_two_sides_that_take_all_is_relayed),
        cmocka_unit_test(between_two_info_sides_it_is_relayed),
        cmocka_unit_test(an_info_of_a_stranger_or_outside_a_dialog_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
