/* Which server transaction a request belongs to: RFC 3261 17.2.3 with the cookie, the RFC 2543
 * rules without, CANCEL (9.2) and requests that came twice (8.2.2.2). */
#include "rig_tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define VIA "SIP/2.0/UDP Host.Example:5060;branch=z9hG4bKone"
#define OLD_VIA "SIP/2.0/UDP 192.0.2.9:5060;branch=1"

/* A request by its parts; what is NULL is as in the first one. */
struct parts {
    const char *method, *via, *to_tag, *ruri, *call_id, *from_tag, *cseq;
};

static const char * or (const char *s, const char *dflt)
{
    return s != NULL ? s : dflt;
}

static struct sip_msg *request(struct txrig *r, const struct parts *p, const char *via)
{
    const char *method = or (p->method, "INVITE");

    return txrig_msg(r,
                     "%s %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: <sip:b@x>;tag=%s\r\n"
                     "To: <sip:100@y>%s%s\r\nCall-ID: %s\r\nCSeq: %s %s\r\n"
                     "Contact: <sip:b@192.0.2.9>\r\nContent-Length: 0\r\n\r\n",
                     method, or (p->ruri, "sip:100@y"), or (p->via, via),
                     or (p->from_tag, "theirs"), p->to_tag != NULL ? ";tag=" : "",
                     or (p->to_tag, ""), or (p->call_id, "call"), or (p->cseq, "1"), method);
}

static void expect(struct txrig *r, const struct parts *p, const char *via, enum tx_match want)
{
    struct sip_msg *m = request(r, p, via);
    struct tx *found = NULL;

    assert_non_null(m);
    assert_int_equal(tx_match_request(r->tab, m, &r->flow, &found), want);
    assert_int_equal(found != NULL, want == TX_MATCH_CANCEL);
    sip_msg_unref(&m);
}

static void start(struct txrig *r, const struct parts *p, const char *via, uint16_t status)
{
    struct sip_msg *m = request(r, p, via);
    struct tx *tx = NULL;

    assert_non_null(m);
    assert_int_equal(txrig_server(r, &tx, m), 0);
    if (status != 0) {
        assert_int_equal(txrig_respond(r, tx, m, status), 0);
    }
    tx_unref(&tx);
    sip_msg_unref(&m);
}

static void request_with_a_cookie_is_known_by_branch_sent_by_and_method(void **state)
{
    static const struct {
        struct parts p;
        enum tx_match want;
    } cases[] = {
        {{0}, TX_MATCH_DONE},
        {{.call_id = "other", .cseq = "7", .from_tag = "z", .ruri = "sip:q@z"}, TX_MATCH_DONE},
        {{.via = "SIP/2.0/UDP HOST.example:5060;branch=z9hG4bKone"}, TX_MATCH_DONE},
        {{.via = "SIP/2.0/UDP host.example:5060;branch=z9hG4bKone;rport"}, TX_MATCH_DONE},
        {{.method = "ACK", .to_tag = "any"}, TX_MATCH_DONE},
        {{.method = "CANCEL"}, TX_MATCH_CANCEL},
        {{.method = "BYE"}, TX_MATCH_NONE},
        {{.method = "OPTIONS"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP host.example:5060;branch=z9hG4bKON"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP host.example:5060;branch=z9hG4bKtwo"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP host.example:5070;branch=z9hG4bKone"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP host.example;branch=z9hG4bKone"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP host2.example:5060;branch=z9hG4bKone"}, TX_MATCH_NONE},
        {{.method = "CANCEL", .via = "SIP/2.0/UDP host.example:5060;branch=z9hG4bKtwo"},
         TX_MATCH_NONE},
        {{.method = "ACK", .via = "SIP/2.0/UDP host.example:5060;branch=z9hG4bKtwo"},
         TX_MATCH_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct txrig r;

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        start(&r, &(struct parts){0}, VIA, 486);
        expect(&r, &cases[i].p, VIA, cases[i].want);
        assert_int_equal(txrig_down(&r), 0);
    }
}

static void request_without_a_cookie_is_known_by_all_of_rfc_2543(void **state)
{
    static const struct {
        struct parts p;
        enum tx_match want;
    } cases[] = {
        {{0}, TX_MATCH_DONE},
        {{.call_id = "other"}, TX_MATCH_NONE},
        {{.cseq = "2"}, TX_MATCH_NONE},
        {{.from_tag = "z"}, TX_MATCH_NONE},
        {{.ruri = "sip:101@y"}, TX_MATCH_NONE},
        {{.to_tag = "some"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP 192.0.2.9:5060;branch=2"}, TX_MATCH_NONE},
        {{.via = "SIP/2.0/UDP 192.0.2.9:5060;branch=1, SIP/2.0/UDP 10.0.0.1"}, TX_MATCH_DONE},
        {{.method = "CANCEL"}, TX_MATCH_CANCEL},
        {{.method = "CANCEL", .cseq = "2"}, TX_MATCH_NONE},
        {{.method = "CANCEL", .to_tag = "some"}, TX_MATCH_NONE},
        {{.method = "BYE"}, TX_MATCH_NONE},
        {{.method = "ACK", .to_tag = "ours"}, TX_MATCH_DONE}, /* the tag of our answer */
        {{.method = "ACK"}, TX_MATCH_NONE},
        {{.method = "ACK", .to_tag = "other"}, TX_MATCH_NONE},
        {{.method = "ACK", .to_tag = "ours", .ruri = "sip:101@y"}, TX_MATCH_NONE},
        {{.method = "ACK", .to_tag = "ours", .cseq = "2"}, TX_MATCH_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct txrig r;

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        start(&r, &(struct parts){0}, OLD_VIA, 486);
        expect(&r, &cases[i].p, OLD_VIA, cases[i].want);
        assert_int_equal(txrig_down(&r), 0);
    }
}

static void ack_without_a_cookie_stops_the_repetition_and_may_come_again(void **state)
{
    const struct parts ack = {.method = "ACK", .to_tag = "ours"};
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    start(&r, &(struct parts){0}, "SIP/2.0/UDP 192.0.2.9", 404); /* not even a branch */
    expect(&r, &ack, "SIP/2.0/UDP 192.0.2.9", TX_MATCH_DONE);
    expect(&r, &ack, "SIP/2.0/UDP 192.0.2.9", TX_MATCH_DONE);
    txrig_at_ms(&r, 4999);
    assert_int_equal(r.n_sent, 1);
    assert_int_equal(txrig_counts(&r).ist, 1);
    txrig_at_ms(&r, 5000);
    assert_int_equal(txrig_counts(&r).ist, 0);
    assert_int_equal(txrig_down(&r), 0);
}

static void old_and_new_keys_never_meet(void **state)
{
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    start(&r, &(struct parts){0}, OLD_VIA, 0);
    expect(&r, &(struct parts){0}, VIA, TX_MATCH_NONE);
    start(&r, &(struct parts){0}, VIA, 0);
    assert_int_equal(txrig_counts(&r).ist, 2);
    assert_int_equal(txrig_counts(&r).active, 2);
    assert_int_equal(txrig_down(&r), 0);
}

static void unknown_methods_are_told_apart_by_name(void **state)
{
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    start(&r, &(struct parts){.method = "FETCH"}, VIA, 200);
    expect(&r, &(struct parts){.method = "FETCH"}, VIA, TX_MATCH_DONE);
    expect(&r, &(struct parts){.method = "STORE"}, VIA, TX_MATCH_NONE);
    assert_int_equal(txrig_down(&r), 0);
}

static void cancel_finds_its_invite_and_its_own_transaction(void **state)
{
    const struct parts cancel = {.method = "CANCEL"};
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    expect(&r, &cancel, VIA, TX_MATCH_NONE);
    start(&r, &(struct parts){0}, VIA, 180);
    expect(&r, &cancel, VIA, TX_MATCH_CANCEL);
    start(&r, &cancel, VIA, 200);
    expect(&r, &cancel, VIA, TX_MATCH_DONE);
    assert_true(txrig_last_is(&r, "SIP/2.0 200 "));
    assert_int_equal(r.n_sent, 3);
    assert_int_equal(txrig_down(&r), 0);
}

static bool is_merged(struct txrig *r, const struct parts *p, const char *via)
{
    struct sip_msg *m = request(r, p, via);
    bool merged;

    assert_non_null(m);
    merged = tx_is_merged(r->tab, m);
    sip_msg_unref(&m);
    return merged;
}

static void request_that_came_by_two_ways_is_merged(void **state)
{
    static const char other[] = "SIP/2.0/UDP proxy.example;branch=z9hG4bKother";
    static const struct parts different[] = {
        {.cseq = "2"},         {.call_id = "c2"}, {.from_tag = "f2"},
        {.method = "MESSAGE"}, {.to_tag = "in"},  {.method = "CANCEL"},
    };
    struct txrig r;

    (void)state;
    assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
    assert_false(is_merged(&r, &(struct parts){0}, VIA));
    start(&r, &(struct parts){0}, VIA, 180);
    expect(&r, &(struct parts){0}, other, TX_MATCH_NONE);
    assert_true(is_merged(&r, &(struct parts){0}, other));
    for (size_t i = 0; i < COUNT_OF(different); i++) {
        assert_false(is_merged(&r, &different[i], other));
    }
    assert_int_equal(txrig_down(&r), 0);
}

static void failed_request_may_come_again_by_another_way(void **state)
{
    static const char other[] = "SIP/2.0/UDP proxy.example;branch=z9hG4bKother";
    static const char *const methods[] = {"INVITE", "MESSAGE"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        const struct parts p = {.method = methods[i]};
        struct txrig r;

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        start(&r, &p, VIA, 503);
        assert_false(is_merged(&r, &p, other));
        assert_int_equal(txrig_down(&r), 0);
    }
}

static void answered_request_still_counts_as_the_same(void **state)
{
    static const char other[] = "SIP/2.0/UDP proxy.example;branch=z9hG4bKother";
    static const char *const methods[] = {"INVITE", "MESSAGE"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        const struct parts p = {.method = methods[i]};
        struct txrig r;

        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        start(&r, &p, VIA, 200);
        assert_true(is_merged(&r, &p, other));
        txrig_at_ms(&r, 32000);
        assert_false(is_merged(&r, &p, other));
        assert_int_equal(txrig_down(&r), 0);
    }
}

/* Everything that a key takes from the wire at its limit: nothing is cut so that two would meet. */
static void longest_identifiers_still_decide(void **state)
{
    static char call_id[SIP_BRANCH_MAX + 1], branch[SIP_BRANCH_MAX + 1], via[SIP_BRANCH_MAX + 64];
    static const char *const cookies[] = {"z9hG4bK", "old"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cookies); i++) {
        struct parts p = {.call_id = call_id};
        struct txrig r;
        struct buf b;

        memset(call_id, 'c', SIP_BRANCH_MAX);
        memset(branch, 'b', SIP_BRANCH_MAX);
        memcpy(branch, cookies[i], strlen(cookies[i]));
        buf_init_fixed(&b, via, sizeof(via));
        buf_putf(&b, "SIP/2.0/UDP 192.0.2.9;branch=%s", branch);
        buf_putc(&b, '\0');
        assert_int_equal(txrig_up(&r, SIP_UDP, 10), 0);
        start(&r, &p, via, 486);
        expect(&r, &p, via, TX_MATCH_DONE);
        via[strlen(via) - 1] = 'x';
        expect(&r, &p, via, TX_MATCH_NONE);
        assert_int_equal(txrig_down(&r), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_with_a_cookie_is_known_by_branch_sent_by_and_method),
        cmocka_unit_test(request_without_a_cookie_is_known_by_all_of_rfc_2543),
        cmocka_unit_test(ack_without_a_cookie_stops_the_repetition_and_may_come_again),
        cmocka_unit_test(old_and_new_keys_never_meet),
        cmocka_unit_test(unknown_methods_are_told_apart_by_name),
        cmocka_unit_test(cancel_finds_its_invite_and_its_own_transaction),
        cmocka_unit_test(request_that_came_by_two_ways_is_merged),
        cmocka_unit_test(failed_request_may_come_again_by_another_way),
        cmocka_unit_test(answered_request_still_counts_as_the_same),
        cmocka_unit_test(longest_identifiers_still_decide),
    };

    return cmocka_run_group_tests_name("tx_match", tests, NULL, NULL);
}
