/* test_flow_reliable.c - provisional answers that are acknowledged (RFC 3262): to a caller, from a
 * callee, each leg by itself; what waits for a PRACK, and what happens without one. */
#include "rig.h"

#include <stdio.h>

#define TAKES "Supported: 100rel\r\n"
#define DEMANDS "Require: 100rel\r\n"

static void say(struct phone *p, const char *fields)
{
    (void)snprintf(p->extra, sizeof(p->extra), "%s", fields);
}

static void invite(struct pair *t, const char *says, const char *sdp)
{
    say(&t->a, says);
    phone_invite(&t->a, CALLED, sdp);
    EXPECT(&t->a, "100 INVITE");
    EXPECT(&t->b, "INVITE");
}

static unsigned rseq_of(const struct phone *p)
{
    uint32_t n = 0;

    assert_int_equal(sl_u32(msg_hdr(sl_str(p->got), "RSeq", 0), UINT32_MAX, &n), 0);
    HAS(p->got, "Require: 100rel\r\n");
    return n;
}

/* A call that rings, which the caller is told so that it must say PRACK; RSeq. */
static unsigned ring(struct pair *t)
{
    invite(t, TAKES, phone_sdp(&t->a, NULL));
    phone_answer(&t->b, 180, NULL);
    EXPECT(&t->a, "180 INVITE");
    return rseq_of(&t->a);
}

static void prack(struct phone *p, unsigned rseq, const char *body, const char *heard)
{
    char rack[64];

    (void)snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq);
    say(p, rack);
    phone_request(p, "PRACK", NULL, body);
    EXPECT(p, heard);
}

/* 183 of the callee, reliable; what it says of the session. */
static void progress(struct phone *p, unsigned rseq, const char *sdp)
{
    char fields[64];

    (void)snprintf(fields, sizeof(fields), DEMANDS "RSeq: %u\r\n", rseq);
    say(p, fields);
    phone_answer_invite(p, 183, sdp);
}

static void up(struct pair *t, bool b_again)
{
    talk_accept(&t->a, &t->b, b_again ? phone_sdp(&t->b, NULL) : NULL);
    pair_bye(t);
}

/* --- to the caller --- */

static void a_caller_that_takes_it_acknowledges_what_rings(void **state)
{
    struct pair t;
    unsigned rseq;

    pair_init(&t, *state);
    rseq = ring(&t);
    rig_advance(t.r, 499);
    QUIET(&t.a);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "180 INVITE");
    assert_int_equal(rseq_of(&t.a), rseq);
    rig_advance(t.r, 1000);
    EXPECT(&t.a, "180 INVITE");
    prack(&t.a, rseq, NULL, "200 PRACK");
    rig_advance(t.r, 40000);
    QUIET(&t.a);
    up(&t, true);
}

static void a_caller_that_says_nothing_hears_common_ones(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, "", phone_sdp(&t.a, NULL));
    phone_answer(&t.b, 180, NULL);
    LACKS(EXPECT(&t.a, "180 INVITE"), "RSeq");
    prack(&t.a, 1, NULL, "481 PRACK");
    up(&t, true);
}

static void what_acknowledges_nothing_is_481(void **state)
{
    struct pair t;
    unsigned rseq;

    pair_init(&t, *state);
    rseq = ring(&t);
    prack(&t.a, rseq + 1, NULL, "481 PRACK");
    say(&t.a, "RAck: nonsense\r\n");
    phone_request(&t.a, "PRACK", NULL, NULL);
    EXPECT(&t.a, "481 PRACK");
    rig_advance(t.r, 500);
    EXPECT(&t.a, "180 INVITE");
    prack(&t.a, rseq, NULL, "200 PRACK");
    prack(&t.a, rseq, NULL, "481 PRACK");
    up(&t, true);
}

static void an_offer_in_a_prack_is_refused_and_the_prack_counts(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    (void)ring(&t);
    prack(&t.a, rseq_of(&t.a), phone_sdp(&t.a, NULL), "488 PRACK");
    rig_advance(t.r, 40000);
    QUIET(&t.a);
    up(&t, true);
}

static void the_newest_waits_until_the_one_before_is_acknowledged(void **state)
{
    struct pair t;
    unsigned rseq;

    pair_init(&t, *state);
    rseq = ring(&t);
    phone_answer(&t.b, 182, NULL);
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    QUIET(&t.a);
    prack(&t.a, rseq, NULL, "200 PRACK");
    HAS(EXPECT(&t.a, "183 INVITE"), "m=audio");
    assert_int_equal(rseq_of(&t.a), rseq + 1);
    prack(&t.a, rseq + 1, NULL, "200 PRACK");
    up(&t, true);
}

static void ringing_again(struct pair *t)
{
    phone_answer_invite(&t->b, 180, NULL);
}

static void progress_again(struct pair *t)
{
    phone_answer_invite(&t->b, 183, t->b.sdp);
}

static void the_answer_that_waits_keeps_its_place(void **state)
{
    static void (*const rows[])(struct pair * t) = {ringing_again, progress_again};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = rig_up(NULL, 1);
        struct pair t;
        unsigned rseq;

        pair_init(&t, r);
        rseq = ring(&t);
        phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
        rows[i](&t);
        prack(&t.a, rseq, NULL, "200 PRACK");
        HAS(EXPECT(&t.a, "183 INVITE"), "m=audio");
        prack(&t.a, rseq_of(&t.a), NULL, "200 PRACK");
        QUIET(&t.a);
        up(&t, true);
        rig_down(r);
    }
}

/* Takes what comes to the caller up to the 200, acknowledging it; was there an answer? */
static bool hears_an_answer(struct pair *t)
{
    bool is_told = false;

    for (int i = 0; i < 20; i++) {
        while (phone_try(&t->a, "")) {
            char rack[64];
            bool is_prov = sl_starts(sl_str(t->a.got), SL("SIP/2.0 1"));

            is_told = is_told || strstr(t->a.got, "m=audio") != NULL;
            if (is_prov) {
                (void)snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq_of(&t->a));
                say(&t->a, rack);
                phone_request(&t->a, "PRACK", NULL, NULL);
            } else if (sl_ends(msg_hdr(sl_str(t->a.got), "CSeq", 0), SL("INVITE"))) {
                assert_true(sl_starts(sl_str(t->a.got), SL("SIP/2.0 200 ")));
                phone_ack(&t->a, NULL);
                phone_drop_mail(&t->a);
                return is_told;
            }
        }
        rig_advance(t->r, 500);
    }
    fail_msg("no 200");
    return false;
}

static void fault_at_the_answer(struct pair *t, uint64_t nth)
{
    (void)phone_sdp(&t->b, NULL);
    mem_fault_arm(nth);
    phone_answer(&t->b, 183, t->b.sdp);
}

static void fault_at_the_prack(struct pair *t, uint64_t nth)
{
    unsigned rseq;
    char rack[64];

    phone_answer(&t->b, 180, NULL);
    EXPECT(&t->a, "180 INVITE");
    rseq = rseq_of(&t->a);
    phone_answer(&t->b, 183, phone_sdp(&t->b, NULL));
    (void)snprintf(rack, sizeof(rack), "RAck: %u 1 INVITE\r\n", rseq);
    say(&t->a, rack);
    mem_fault_arm(nth);
    phone_request(&t->a, "PRACK", NULL, NULL);
}

static void an_answer_that_could_not_be_sent_is_told_later(void **state)
{
    static void (*const rows[])(struct pair * t, uint64_t nth) = {fault_at_the_answer,
                                                                  fault_at_the_prack};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool is_hit = true;

        for (uint64_t nth = 1; is_hit; nth++) {
            struct rig *r = rig_up(NULL, 1);
            struct pair t;

            pair_init(&t, r);
            invite(&t, TAKES, phone_sdp(&t.a, NULL));
            rows[i](&t, nth);
            is_hit = mem_fault_hit();
            mem_fault_arm(0);
            phone_answer_invite(&t.b, 200, t.b.sdp);
            EXPECT(&t.b, "ACK");
            assert_true(hears_an_answer(&t));
            pair_bye(&t);
            rig_down(r);
        }
    }
}

static void the_answer_waits_while_its_description_is_not_acknowledged(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, DEMANDS, phone_sdp(&t.a, NULL));
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.a, "183 INVITE"), "m=audio");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    QUIET(&t.a);
    prack(&t.a, rseq_of(&t.a), NULL, "200 PRACK");
    LACKS(EXPECT(&t.a, "200 INVITE"), "m=audio"); /* it has its answer */
    phone_ack(&t.a, NULL);
    rig_advance(t.r, 40000);
    QUIET(&t.a);
    pair_bye(&t);
}

static void refused(struct phone *p, const char *invite, const char *update)
{
    phone_request(p, "UPDATE", NULL, phone_sdp(p, "sendonly"));
    EXPECT(p, update);
    phone_reinvite(p, phone_sdp(p, "sendonly"));
    EXPECT(p, invite);
    phone_ack_failure(p);
}

static void nobody_asks_for_more_while_the_answer_waits(void **state)
{
    static char first[RIG_TEXT_MAX];
    struct pair t;
    unsigned rseq;

    pair_init(&t, *state);
    invite(&t, DEMANDS, phone_sdp(&t.a, NULL));
    memcpy(first, t.a.invite, sizeof(first));
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    rseq = rseq_of(&t.a);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    refused(&t.b, "491 INVITE", "491 UPDATE");
    refused(&t.a, "500 INVITE", "500 UPDATE");
    QUIET(&t.b);
    memcpy(t.a.invite, first, sizeof(first));
    prack(&t.a, rseq, NULL, "200 PRACK");
    EXPECT(&t.a, "200 INVITE");
    refused(&t.b, "491 INVITE", "491 UPDATE");
    phone_ack(&t.a, NULL);
    talk_hold(&t.b, &t.a);
    pair_bye(&t);
}

static void the_answer_does_not_wait_for_a_mere_ringing(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    (void)ring(&t);
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    HAS(EXPECT(&t.a, "200 INVITE"), "m=audio");
    phone_ack(&t.a, NULL);
    rig_advance(t.r, 40000);
    QUIET(&t.a);
    pair_bye(&t);
}

static void without_a_prack_the_call_is_refused(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    (void)ring(&t);
    rig_advance(t.r, 31999);
    while (phone_try(&t.a, "180 INVITE")) {
    }
    QUIET(&t.b);
    rig_advance(t.r, 1);
    EXPECT(&t.a, "504 INVITE");
    phone_ack_failure(&t.a);
    talk_cancelled(&t.b);
    talk_record_is("timeout", "no PRACK for our answer", 504);
    assert_int_equal(stat_sum(STAT_PRACK_MISSING), 1);
}

static void an_answer_that_waits_in_vain_ends_on_both_sides(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, TAKES, phone_sdp(&t.a, NULL));
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "ACK");
    rig_advance(t.r, 32000);
    while (phone_try(&t.a, "183 INVITE")) {
    }
    EXPECT(&t.a, "487 INVITE");
    phone_ack_failure(&t.a);
    EXPECT(&t.a, "BYE");
    phone_answer(&t.a, 481, NULL);
    EXPECT(&t.b, "BYE");
    phone_answer(&t.b, 200, NULL);
    talk_record_is("timeout", "no PRACK for our answer", 200);
}

static void a_caller_that_cancels_hears_nothing_more_of_it(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    (void)ring(&t);
    talk_cancel(&t.a);
    talk_cancelled(&t.b);
    rig_advance(t.r, 40000);
    QUIET(&t.a);
}

/* A description in a 1xx that counts cannot be taken back by another target. */
static void another_target_that_says_something_else_brings_an_offer_of_ours(void **state)
{
    struct pair t;
    struct phone c;

    pair_init(&t, *state);
    phone_init(&c, t.r, 1, "carol", "10.1.1.21:5070");
    invite(&t, TAKES, phone_sdp(&t.a, NULL));
    phone_answer(&t.b, 183, phone_sdp(&t.b, NULL));
    EXPECT(&t.a, "183 INVITE");
    prack(&t.a, rseq_of(&t.a), NULL, "200 PRACK");
    phone_answer_invite(&t.b, 503, NULL);
    EXPECT(&t.b, "ACK");
    EXPECT(&c, "INVITE");
    phone_answer(&c, 200, phone_sdp(&c, "sendonly"));
    EXPECT(&c, "ACK");
    LACKS(EXPECT(&t.a, "200 INVITE"), "m=audio");
    QUIET(&t.a);
    phone_ack(&t.a, NULL);
    HAS(EXPECT(&t.a, "INVITE"), "a=sendonly");
    phone_answer(&t.a, 200, phone_sdp(&t.a, "recvonly"));
    EXPECT(&t.a, "ACK");
    talk_bye(&c, &t.a);
}

/* Such a 1xx would have to carry the offer, and nobody has made one yet. */
static void a_call_without_offer_rings_in_common_ones_or_not_at_all(void **state)
{
    static const char *const says[] = {TAKES, DEMANDS};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(says); i++) {
        struct rig *r = rig_up(NULL, 1);
        struct pair t;

        pair_init(&t, r);
        invite(&t, says[i], NULL);
        LACKS(t.b.ring, "100rel");
        phone_answer(&t.b, 180, NULL);
        if (i == 0) {
            LACKS(EXPECT(&t.a, "180 INVITE"), "RSeq");
        }
        QUIET(&t.a);
        phone_answer_invite(&t.b, 200, phone_sdp(&t.b, NULL));
        EXPECT(&t.a, "200 INVITE");
        phone_ack(&t.a, phone_sdp(&t.a, NULL));
        EXPECT(&t.b, "ACK");
        pair_bye(&t);
        rig_down(r);
    }
}

/* --- from the callee --- */

static void a_callee_gets_its_prack_and_the_caller_hears_nothing_of_it(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, "", phone_sdp(&t.a, NULL));
    HAS(t.b.ring, "Supported: timer, 100rel\r\n");
    progress(&t.b, 77, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.b, "PRACK"), "RAck: 77 1 INVITE\r\n");
    phone_answer(&t.b, 200, NULL);
    HAS(EXPECT(&t.a, "183 INVITE"), "m=audio");
    LACKS(t.a.got, "RSeq");
    progress(&t.b, 77, t.b.sdp); /* repeated: its PRACK was on the way */
    progress(&t.b, 79, NULL);    /* the one before it was lost: not yet (RFC 3262 4) */
    QUIET(&t.b);
    QUIET(&t.a);
    progress(&t.b, 78, NULL);
    HAS(EXPECT(&t.b, "PRACK"), "RAck: 78 1 INVITE\r\n");
    phone_answer(&t.b, 200, NULL);
    progress(&t.b, 79, NULL);
    HAS(EXPECT(&t.b, "PRACK"), "RAck: 79 1 INVITE\r\n");
    phone_answer(&t.b, 200, NULL);
    up(&t, false); /* the 200 has no description: it was given */
}

static void one_without_a_number_or_a_dialog_is_not_believed(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, "", phone_sdp(&t.a, NULL));
    say(&t.b, DEMANDS);
    phone_answer_invite(&t.b, 183, NULL);
    say(&t.b, DEMANDS "RSeq: 0\r\n");
    phone_answer_invite(&t.b, 183, NULL);
    say(&t.b, DEMANDS "RSeq: 2147483648\r\n");
    phone_answer_invite(&t.b, 183, NULL);
    QUIET(&t.b);
    QUIET(&t.a);
    up(&t, true);
}

static void a_prack_that_could_not_go_out_goes_with_the_repetition(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, "", phone_sdp(&t.a, NULL));
    rig_block(t.r, "10.1.1.20:5070", EHOSTUNREACH);
    progress(&t.b, 77, phone_sdp(&t.b, NULL));
    HAS(EXPECT(&t.a, "183 INVITE"), "m=audio");
    QUIET(&t.b);
    rig_block(t.r, "10.1.1.20:5070", 0);
    progress(&t.b, 77, t.b.sdp);
    HAS(EXPECT(&t.b, "PRACK"), "RAck: 77 1 INVITE\r\n");
    phone_answer(&t.b, 200, NULL);
    progress(&t.b, 77, t.b.sdp);
    QUIET(&t.b);
    phone_drop_mail(&t.a);
    progress(&t.b, 78, NULL);
    HAS(EXPECT(&t.b, "PRACK"), "RAck: 78 1 INVITE\r\n");
    phone_answer(&t.b, 200, NULL);
    phone_drop_mail(&t.a);
    up(&t, false);
}

static void both_sides_have_their_own(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, DEMANDS, phone_sdp(&t.a, NULL));
    progress(&t.b, 5, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "PRACK");
    phone_answer(&t.b, 200, NULL);
    EXPECT(&t.a, "183 INVITE");
    prack(&t.a, rseq_of(&t.a), NULL, "200 PRACK");
    QUIET(&t.b);
    phone_request(&t.a, "UPDATE", NULL, phone_sdp(&t.a, "sendonly"));
    EXPECT(&t.a, "488 UPDATE"); /* the answer counts: it may ask, and is refused for good */
    phone_request(&t.b, "UPDATE", NULL, phone_sdp(&t.b, "sendonly"));
    EXPECT(&t.b, "488 UPDATE");
    up(&t, false);
}

/* --- settings --- */

static struct rig *house(const char *carrier, const char *pbx)
{
    static char yaml[2048];

    (void)snprintf(
        yaml, sizeof(yaml),
        "listeners:\n"
        "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060},\n"
        "            rtp: {ports: 20000-20999}}\n"
        "  inside: {address: 10.1.1.1, sip: {udp: 5060}, rtp: {ports: 30000-30999}}\n"
        "peers:\n"
        "  carrier: {listener: outside, sources: [192.0.2.30/32], reliable_provisional: %s}\n"
        "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: ['sip:10.1.1.20:5070'],\n"
        "        reliable_provisional: %s}\n"
        "routes:\n  - {name: inbound, from: carrier, to: [pbx]}\n",
        carrier, pbx);
    return rig_up(yaml, 1);
}

static void challenge(struct phone *p, unsigned status)
{
    (void)snprintf(p->extra, sizeof(p->extra),
                   "%s: Digest realm=\"pbx\", nonce=\"n%u\", algorithm=MD5, qop=\"auth\"\r\n",
                   status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", status);
    phone_answer(p, status, NULL);
}

static void a_callee_that_challenges_the_prack_gets_it_again(void **state)
{
    static const struct {
        unsigned status;
        const char *field;
    } rows[] = {{401, "\r\nAuthorization: Digest "}, {407, "\r\nProxy-Authorization: Digest "}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig *r = house("off", "supported, credentials: {username: edge, password: secret}");
        struct pair t;

        pair_init(&t, r);
        invite(&t, "", phone_sdp(&t.a, NULL));
        progress(&t.b, 77, phone_sdp(&t.b, NULL));
        LACKS(EXPECT(&t.b, "PRACK"), "Authorization");
        challenge(&t.b, rows[i].status);
        HAS(EXPECT(&t.b, "PRACK"), rows[i].field);
        HAS(t.b.got, "RAck: 77 1 INVITE\r\n");
        EXPECT(&t.a, "183 INVITE");
        if (i == 0) {
            phone_answer(&t.b, 200, NULL);
        } else {
            challenge(&t.b, rows[i].status); /* wrong, it says: no second time */
        }
        rig_advance(t.r, 500);
        QUIET(&t.b);
        up(&t, false);
        rig_down(r);
    }
}

static void without_credentials_a_challenged_prack_stays_as_it_is(void **state)
{
    struct pair t;

    pair_init(&t, *state);
    invite(&t, "", phone_sdp(&t.a, NULL));
    progress(&t.b, 77, phone_sdp(&t.b, NULL));
    EXPECT(&t.b, "PRACK");
    challenge(&t.b, 407);
    QUIET(&t.b);
    EXPECT(&t.a, "183 INVITE");
    up(&t, false);
}

static void off_means_off_on_both_sides(void **state)
{
    struct rig *r = house("off", "off");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    say(&t.a, DEMANDS);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.a, "420 INVITE"), "Unsupported: 100rel\r\n");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    invite(&t, TAKES, phone_sdp(&t.a, NULL));
    HAS(t.b.ring, "Supported: timer\r\n");
    progress(&t.b, 9, NULL); /* though it was not offered */
    QUIET(&t.b);
    LACKS(EXPECT(&t.a, "183 INVITE"), "RSeq");
    up(&t, true);
    rig_down(r);
}

static void required_means_nothing_else(void **state)
{
    struct rig *r = house("required", "required");
    struct pair t;

    (void)state;
    pair_init(&t, r);
    phone_invite(&t.a, CALLED, phone_sdp(&t.a, NULL));
    EXPECT(&t.a, "100 INVITE");
    HAS(EXPECT(&t.a, "421 INVITE"), "Require: 100rel\r\n");
    phone_ack_failure(&t.a);
    phone_renew(&t.a);
    invite(&t, TAKES, phone_sdp(&t.a, NULL));
    HAS(t.b.ring, "Require: 100rel\r\n");
    up(&t, true);
    rig_down(r);
}

/* A caller that opens a connection for each request, as some do. */
static struct flow pracked_by_another(struct pair *t, struct rig *r)
{
    struct flow first;

    pair_init(t, r);
    phone_on(&t->a, 0, SIP_TCP);
    first = t->a.flow;
    invite(t, DEMANDS, phone_sdp(&t->a, NULL));
    phone_answer(&t->b, 180, NULL);
    EXPECT(&t->a, "180 INVITE");
    (void)snprintf(t->a.extra, sizeof(t->a.extra), "RAck: %u 1 INVITE\r\n", rseq_of(&t->a));
    t->a.flow.conn_slot += 50;
    phone_request(&t->a, "PRACK", NULL, NULL);
    EXPECT(&t->a, "200 PRACK");
    return first;
}

/* RFC 3261 18.2.2: the answer goes by the connection that the INVITE came by. */
static void the_call_hangs_on_the_connection_of_its_invite(void **state)
{
    struct pair t;
    struct flow first = pracked_by_another(&t, *state), second = t.a.flow;

    worker_flow_gone(rig_worker(t.r, 0), &second, 0);
    rig_settle(t.r);
    QUIET(&t.b);
    assert_int_equal(rig_calls_now(t.r).ringing, 1);
    worker_flow_gone(rig_worker(t.r, 0), &first, 0);
    rig_settle(t.r);
    EXPECT(&t.b, "CANCEL");
    phone_answer(&t.b, 200, NULL);
    phone_answer_invite(&t.b, 487, NULL);
    EXPECT(&t.b, "ACK");
    talk_record_is("caller", "connection of the caller is gone", 480);
    t.r->is_noisy = true; /* the caller's answer, which nobody hears any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(a_caller_that_takes_it_acknowledges_what_rings),
        FLOW_TEST(a_caller_that_says_nothing_hears_common_ones),
        FLOW_TEST(what_acknowledges_nothing_is_481),
        FLOW_TEST(an_offer_in_a_prack_is_refused_and_the_prack_counts),
        FLOW_TEST(the_newest_waits_until_the_one_before_is_acknowledged),
        cmocka_unit_test(the_answer_that_waits_keeps_its_place),
        cmocka_unit_test(an_answer_that_could_not_be_sent_is_told_later),
        FLOW_TEST(the_answer_waits_while_its_description_is_not_acknowledged),
        FLOW_TEST(nobody_asks_for_more_while_the_answer_waits),
        FLOW_TEST(the_answer_does_not_wait_for_a_mere_ringing),
        FLOW_TEST(without_a_prack_the_call_is_refused),
        FLOW_TEST(an_answer_that_waits_in_vain_ends_on_both_sides),
        FLOW_TEST(a_caller_that_cancels_hears_nothing_more_of_it),
        FLOW_TEST(another_target_that_says_something_else_brings_an_offer_of_ours),
        cmocka_unit_test(a_call_without_offer_rings_in_common_ones_or_not_at_all),
        FLOW_TEST(a_callee_gets_its_prack_and_the_caller_hears_nothing_of_it),
        FLOW_TEST(one_without_a_number_or_a_dialog_is_not_believed),
        FLOW_TEST(a_prack_that_could_not_go_out_goes_with_the_repetition),
        FLOW_TEST(both_sides_have_their_own),
        cmocka_unit_test(a_callee_that_challenges_the_prack_gets_it_again),
        FLOW_TEST(without_credentials_a_challenged_prack_stays_as_it_is),
        cmocka_unit_test(off_means_off_on_both_sides),
        cmocka_unit_test(required_means_nothing_else),
        FLOW_TEST(the_call_hangs_on_the_connection_of_its_invite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
