/* test_flow_nodialog.c - 2xx to INVITE that make no dialog: acknowledged and ended as far as they
 * allow it, 502 for the caller, one record; nothing half open on any side. */
#include "rig.h"

#include <stdio.h>

#define REASON "answer without a usable Contact or tag"
#define NO_CONTACT "X-Nothing: here\r\n"

static void contact_is(struct phone *p, const char *lines)
{
    assert_int_equal(sl_cstr(sl_str(lines), p->contact, sizeof(p->contact)), 0);
}

static void ends_under_its_tag(struct phone *b, const char *method, const char *uri)
{
    const char *m = EXPECT(b, method);

    assert_true(sl_starts(sl_from(sl_str(m), strlen(method) + 1), sl_str(uri)));
    assert_true(sl_eq(msg_tag(msg_hdr(sl_str(m), "To", 0)), sl_str(b->tag)));
}

static const char *ruri_of(const struct phone *p, char *mem, size_t cap)
{
    struct sl line = sl_str(p->ring), word;

    assert_int_equal(sl_next(&line, ' ', &word), 0);
    assert_int_equal(sl_next(&line, ' ', &word), 0);
    assert_int_equal(sl_cstr(word, mem, cap), 0);
    return mem;
}

static void an_answer_that_makes_no_dialog_is_ended_on_both_sides(void **state)
{
    static const char *const contacts[] = {
        NO_CONTACT,
        "Contact: *\r\n",
        "Contact: <tel:+4930123>\r\n",
        "Contact: <mailto:a@b>\r\n",
        "Contact: <sip:>\r\n",
        "Contact: \"unclosed <sip:a@10.1.1.20>\r\n",
    };
    struct pair t;

    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(contacts); i++) {
        char uri[256];

        phone_renew(&t.a);
        phone_renew(&t.b);
        talk_start(&t.a, &t.b);
        ruri_of(&t.b, uri, sizeof(uri));
        contact_is(&t.b, contacts[i]);
        phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
        EXPECT(&t.a, "502 INVITE");
        phone_ack_failure(&t.a);
        ends_under_its_tag(&t.b, "ACK", uri);
        phone_answer_invite(&t.b, 200, t.b.sdp); /* as if our ACK were lost */
        ends_under_its_tag(&t.b, "BYE", uri);
        phone_answer(&t.b, 200, NULL);
        ends_under_its_tag(&t.b, "ACK", uri);
        assert_int_equal(rig_calls_now(t.r).answered, 0);
        t.b.contact[0] = '\0';
    }
}

static void the_record_says_why(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    contact_is(&t.b, NO_CONTACT);
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.b, "ACK");
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    talk_record_is("callee", REASON, 502);
}

/* RFC 2543 knew answers without a tag; what ends them has none either. */
static void an_answer_without_a_tag_is_ended_without_one(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    t.b.tag[0] = '\0';
    phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    LACKS(EXPECT(&t.b, "ACK"), "tag=\r\n");
    assert_int_equal(msg_tag(msg_hdr(sl_str(t.b.got), "To", 0)).n, 0);
    HAS(t.b.got, "ACK sip:dev-bob-1@10.1.1.20:5070 ");
    EXPECT(&t.b, "BYE");
    assert_int_equal(msg_tag(msg_hdr(sl_str(t.b.got), "To", 0)).n, 0);
    phone_answer(&t.b, 200, NULL);
    talk_record_is("callee", REASON, 502);
}

static void routes_that_cannot_be_followed_end_the_call(void **state)
{
    char many[1024] = "Contact: <sip:dev-bob-1@10.1.1.20:5070>\r\n";
    const char *const rows[] = {
        "Contact: <sip:dev-bob-1@10.1.1.20:5070>\r\nRecord-Route: sip:bare@10.1.1.20\r\n",
        "Contact: <sip:dev-bob-1@10.1.1.20:5070>\r\nRecord-Route: <sip:@@@\r\n", many};
    struct pair t;

    for (int i = 0; i < 13; i++) { /* one more than are kept */
        memcpy(many + strlen(many), "Record-Route: <sip:10.1.1.20;lr>\r\n",
               sizeof("Record-Route: <sip:10.1.1.20;lr>\r\n"));
    }
    pair_init(&t, *state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        phone_renew(&t.a);
        phone_renew(&t.b);
        talk_start(&t.a, &t.b);
        contact_is(&t.b, rows[i]);
        phone_answer(&t.b, 200, phone_sdp(&t.b, NULL));
        EXPECT(&t.a, "502 INVITE");
        phone_ack_failure(&t.a);
        ends_under_its_tag(&t.b, "ACK", "sip:dev-bob-1@10.1.1.20:5070");
        ends_under_its_tag(&t.b, "BYE", "sip:dev-bob-1@10.1.1.20:5070");
        phone_answer(&t.b, 200, NULL);
        t.b.contact[0] = '\0';
    }
}

static void it_is_ended_under_the_tag_of_the_answer_and_not_of_who_rang(void **state)
{
    struct pair t;
    struct phone fork;
    char uri[256];

    pair_init(&t, *state);
    talk_start(&t.a, &t.b);
    ruri_of(&t.b, uri, sizeof(uri));
    phone_fork(&fork, &t.b);
    phone_answer(&t.b, 180, NULL);
    EXPECT(&t.a, "180 INVITE");
    contact_is(&fork, NO_CONTACT);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, NULL));
    EXPECT(&t.a, "502 INVITE");
    phone_ack_failure(&t.a);
    ends_under_its_tag(&fork, "ACK", uri);
    ends_under_its_tag(&fork, "BYE", uri);
    phone_answer(&fork, 200, NULL);
}

static void one_that_crosses_our_cancel_is_ended_too(void **state)
{
    struct pair t;
    const char *uri = "sip:dev-bob-1@10.1.1.20:5070"; /* where it was when it rang */

    pair_init(&t, *state);
    pair_ring(&t);
    talk_cancel(&t.a);
    EXPECT(&t.b, "CANCEL");
    phone_answer(&t.b, 200, NULL);
    contact_is(&t.b, NO_CONTACT);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    ends_under_its_tag(&t.b, "ACK", uri);
    ends_under_its_tag(&t.b, "BYE", uri);
    phone_answer(&t.b, 200, NULL);
    talk_record_is("caller", "cancelled by the caller", 487);
}

static void one_of_another_fork_is_ended_and_the_call_goes_on(void **state)
{
    struct pair t;
    struct phone fork;
    char uri[256];

    pair_init(&t, *state);
    pair_ring(&t);
    ruri_of(&t.b, uri, sizeof(uri));
    phone_fork(&fork, &t.b);
    pair_answer(&t);
    contact_is(&fork, NO_CONTACT);
    phone_answer_invite(&fork, 200, phone_sdp(&fork, NULL));
    ends_under_its_tag(&fork, "ACK", uri);
    ends_under_its_tag(&fork, "BYE", uri);
    phone_answer(&fork, 200, NULL);
    QUIET(&t.a);
    assert_int_equal(rig_calls_now(t.r).answered, 1);
    pair_bye(&t);
}

/* A re-INVITE only refreshes: without a Contact the target stays (RFC 3261 12.2.1.2). */
static void within_the_call_an_answer_without_contact_changes_nothing(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    pair_up(&t);
    contact_is(&t.b, NO_CONTACT);
    talk_offer(&t.a, &t.b, phone_sdp(&t.a, "sendonly"));
    talk_accept(&t.a, &t.b, phone_sdp(&t.b, "recvonly"));
    pair_bye(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(an_answer_that_makes_no_dialog_is_ended_on_both_sides),
        FLOW_TEST(the_record_says_why),
        FLOW_TEST(an_answer_without_a_tag_is_ended_without_one),
        FLOW_TEST(routes_that_cannot_be_followed_end_the_call),
        FLOW_TEST(it_is_ended_under_the_tag_of_the_answer_and_not_of_who_rang),
        FLOW_TEST(one_that_crosses_our_cancel_is_ended_too),
        FLOW_TEST(one_of_another_fork_is_ended_and_the_call_goes_on),
        FLOW_TEST(within_the_call_an_answer_without_contact_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
