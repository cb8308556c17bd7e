/* The ICE-lite agent: who may speak, who moves the endpoint, restart, consent. */
#include "stun_rig.h"
#include "media/ice.h"

#include <stdio.h>

#define THEIRS "theirUfrag"
#define THEIR_PWD "their-password-of-24-cha"
#define START_MS 1000000

static struct rig {
    struct ice *ice;
    int64_t now_ms, live;
    struct ice_verdict v;
    struct addr a, b, stranger;
} rig;

static int up(void **state)
{
    (void)state;
    rig.live = mem_live();
    rig.now_ms = START_MS;
    rig.a = rig_addr("192.0.2.1:40000");
    rig.b = rig_addr("[2001:db8::2]:50000");
    rig.stranger = rig_addr("198.51.100.66:666");
    return ice_new(&rig.ice);
}

static int down(void **state)
{
    (void)state;
    ice_free(&rig.ice);
    return mem_live() == rig.live ? 0 : -1;
}

static bool describe(const char *ufrag)
{
    const struct ice_remote r = {.ufrag = sl_str(ufrag), .pwd = SL(THEIR_PWD)};
    bool restarted = false;

    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), 0);
    return restarted;
}

struct who { /* credentials that a check is made with */
    char user[64], pwd[64];
};

static struct who who_now(const char *theirs)
{
    struct who w;
    struct sl u = ice_ufrag(rig.ice), p = ice_pwd(rig.ice);

    (void)snprintf(w.user, sizeof(w.user), "%.*s:%s", SL_ARG(u), theirs);
    (void)snprintf(w.pwd, sizeof(w.pwd), "%.*s", SL_ARG(p));
    return w;
}

static void send_on(unsigned component, const struct rig_check *c, const struct addr *src)
{
    struct rig_stun m;

    rig_stun_check(&m, c);
    ice_on_stun(rig.ice, component, rig_stun_sl(&m), src, rig.now_ms, &rig.v);
}

static enum ice_drop check_as(const struct who *w, const struct addr *src, bool nominate,
                              uint32_t priority)
{
    send_on(1,
            &(struct rig_check){.user = sl_str(w->user),
                                .password = sl_str(w->pwd),
                                .use_candidate = nominate,
                                .priority = priority},
            src);
    return rig.v.drop;
}

static enum ice_drop check(const struct addr *src, bool nominate)
{
    const struct who w = who_now(THEIRS);

    return check_as(&w, src, nominate, 100);
}

static bool is_selected(const struct addr *a)
{
    const struct addr *s = ice_selected(rig.ice, 1);

    return s != NULL && addr_eq(s, a);
}

/* The answer in hand, as a peer reads it. */
static struct stun_msg answer(const char *pwd)
{
    struct stun_msg m;

    assert_true(rig.v.answer_len != 0);
    assert_int_equal(stun_parse(sl_make(rig.v.answer, rig.v.answer_len), &m), 0);
    assert_true(m.has_fingerprint);
    assert_int_equal(stun_check_integrity(&m, sl_str(pwd)), 0);
    return m;
}

static void assert_untouched(enum ice_drop why)
{
    assert_int_equal(rig.v.drop, why);
    assert_int_equal(rig.v.answer_len, 0);
    assert_false(rig.v.validated);
    assert_false(rig.v.nominated);
}

static void credentials_are_long_random_and_of_allowed_characters(void **state)
{
    struct ice *other = NULL;
    struct sl u = ice_ufrag(rig.ice), p = ice_pwd(rig.ice);

    (void)state;
    assert_true(u.n >= 4 && p.n >= 22);
    for (size_t i = 0; i < p.n; i++) {
        assert_non_null(
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", p.p[i]));
    }
    assert_int_equal(ice_new(&other), 0);
    assert_false(sl_eq(u, ice_ufrag(other)));
    assert_false(sl_eq(p, ice_pwd(other)));
    ice_free(&other);
    ice_free(&other);
}

static void an_authentic_check_validates_its_source(void **state)
{
    struct stun_msg m;

    (void)state;
    describe(THEIRS);
    assert_int_equal(check(&rig.a, false), ICE_ANSWERED);
    assert_true(rig.v.validated);
    assert_false(rig.v.nominated);
    m = answer(who_now(THEIRS).pwd);
    assert_int_equal(m.cls, STUN_SUCCESS);
    assert_true(addr_eq(&m.mapped, &rig.a));
    assert_true(ice_is_valid(rig.ice, 1, &rig.a));
    assert_false(ice_is_valid(rig.ice, 2, &rig.a));
    assert_false(ice_is_valid(rig.ice, 1, &rig.b));
    assert_null(ice_selected(rig.ice, 1));
    assert_int_equal(ice_consent(rig.ice, 1, rig.now_ms), ICE_CONSENT_NONE);
}

static void use_candidate_moves_the_endpoint(void **state)
{
    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    assert_true(rig.v.nominated && is_selected(&rig.a));
    check(&rig.a, true);
    assert_false(rig.v.nominated); /* it is there already */
    check(&rig.b, false);
    assert_true(is_selected(&rig.a));
    check(&rig.b, true);
    assert_true(rig.v.nominated && is_selected(&rig.b));
    assert_true(ice_is_valid(rig.ice, 1, &rig.a));
}

static void strangers_move_nothing_and_get_no_answer(void **state)
{
    const struct who w = who_now(THEIRS);
    struct who bad = w;

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    bad.pwd[3] ^= 1;
    check_as(&bad, &rig.stranger, true, UINT32_MAX);
    assert_untouched(ICE_BAD_INTEGRITY);
    bad = w;
    bad.user[0] ^= 1;
    check_as(&bad, &rig.stranger, true, UINT32_MAX);
    assert_untouched(ICE_UNKNOWN_USER);
    bad = w;
    bad.user[strlen(bad.user) - 1] ^= 1; /* the peer's part */
    check_as(&bad, &rig.stranger, true, UINT32_MAX);
    assert_untouched(ICE_UNKNOWN_USER);
    (void)snprintf(bad.user, sizeof(bad.user), "%.*s", SL_ARG(ice_ufrag(rig.ice)));
    check_as(&bad, &rig.stranger, true, UINT32_MAX); /* no colon */
    assert_untouched(ICE_UNKNOWN_USER);
    assert_true(is_selected(&rig.a));
    assert_false(ice_is_valid(rig.ice, 1, &rig.stranger));
}

static void messages_without_user_or_integrity_are_a_strangers(void **state)
{
    const struct who w = who_now(THEIRS);
    struct rig_stun m;

    (void)state;
    describe(THEIRS);
    rig_stun_begin(&m, 0x0001);
    rig_stun_attr(&m, 0x0025, NULL, 0);
    rig_stun_fingerprint(&m);
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.stranger, rig.now_ms, &rig.v);
    assert_untouched(ICE_UNKNOWN_USER);
    rig_stun_begin(&m, 0x0001);
    rig_stun_attr(&m, 0x0006, w.user, strlen(w.user));
    rig_stun_attr(&m, 0x0025, NULL, 0);
    rig_stun_fingerprint(&m);
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.stranger, rig.now_ms, &rig.v);
    assert_untouched(ICE_BAD_INTEGRITY);
    rig_stun_begin(&m, 0x0001);
    rig_stun_integrity(&m, sl_str(w.pwd));
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.stranger, rig.now_ms, &rig.v);
    assert_untouched(ICE_UNKNOWN_USER);
}

static void what_is_no_binding_request_is_dropped(void **state)
{
    struct rig_stun m;

    (void)state;
    describe(THEIRS);
    rig_stun_begin(&m, 0x0011); /* a keepalive */
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.a, rig.now_ms, &rig.v);
    assert_untouched(ICE_NOT_REQUEST);
    rig_stun_begin(&m, 0x0101); /* an answer to nothing */
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.a, rig.now_ms, &rig.v);
    assert_untouched(ICE_NOT_REQUEST);
    rig_stun_begin(&m, 0x0003); /* TURN Allocate */
    ice_on_stun(rig.ice, 1, rig_stun_sl(&m), &rig.a, rig.now_ms, &rig.v);
    assert_untouched(ICE_MALFORMED);
    ice_on_stun(rig.ice, 1, SL("\x01"), &rig.a, rig.now_ms, &rig.v);
    assert_untouched(ICE_MALFORMED);
    ice_on_stun(rig.ice, 3, rig_stun_sl(&m), &rig.a, rig.now_ms, &rig.v);
    assert_untouched(ICE_MALFORMED);
}

static void components_have_endpoints_of_their_own(void **state)
{
    const struct who w = who_now(THEIRS);

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    send_on(2,
            &(struct rig_check){
                .user = sl_str(w.user), .password = sl_str(w.pwd), .use_candidate = true},
            &rig.b);
    assert_true(rig.v.nominated);
    assert_true(is_selected(&rig.a));
    assert_true(addr_eq(ice_selected(rig.ice, 2), &rig.b));
}

/* RFC 8445 7.3.1.1: we cannot control, so the peer has to. */
static void a_peer_that_wants_to_be_controlled_is_told_to_control(void **state)
{
    const struct who w = who_now(THEIRS);
    struct stun_msg m;

    (void)state;
    describe(THEIRS);
    send_on(1,
            &(struct rig_check){.user = sl_str(w.user),
                                .password = sl_str(w.pwd),
                                .use_candidate = true,
                                .controlled = true},
            &rig.a);
    assert_int_equal(rig.v.drop, ICE_ANSWERED);
    assert_int_equal(rig.v.code, 487);
    assert_false(rig.v.validated || rig.v.nominated);
    m = answer(w.pwd);
    assert_int_equal(m.cls, STUN_ERROR);
    assert_int_equal(m.error_code, 487);
    assert_null(ice_selected(rig.ice, 1));
    check(&rig.a, true); /* as the peer does next */
    assert_true(rig.v.nominated);
}

static void unknown_required_attributes_get_420(void **state)
{
    const struct who w = who_now(THEIRS);
    struct rig_check c = {.user = sl_str(w.user),
                          .password = sl_str(w.pwd),
                          .use_candidate = true,
                          .strange = 0x7777};

    (void)state;
    describe(THEIRS);
    send_on(1, &c, &rig.a);
    assert_int_equal(rig.v.code, 420);
    assert_int_equal(answer(w.pwd).error_code, 420);
    assert_false(rig.v.validated);
    assert_null(ice_selected(rig.ice, 1));
    c.strange = 0xc057; /* libwebrtc sends this one: it may be ignored */
    send_on(1, &c, &rig.a);
    assert_true(rig.v.nominated);
}

/* RFC 5245 agents may nominate every pair: the best of the first seconds wins. */
static void among_early_nominations_the_best_priority_wins(void **state)
{
    const struct who w = who_now(THEIRS);

    (void)state;
    describe(THEIRS);
    check_as(&w, &rig.a, true, 50);
    check_as(&w, &rig.b, true, 200);
    assert_true(rig.v.nominated && is_selected(&rig.b));
    rig.now_ms += 2999;
    check_as(&w, &rig.a, true, 50);
    assert_true(rig.v.validated && !rig.v.nominated);
    assert_true(is_selected(&rig.b));
    rig.now_ms += 1; /* afterwards the latest one: another network was chosen */
    check_as(&w, &rig.a, true, 50);
    assert_true(rig.v.nominated && is_selected(&rig.a));
}

static void validated_sources_are_bounded_and_the_oldest_goes(void **state)
{
    struct addr src = rig_addr("192.0.2.200:1000");

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    for (unsigned i = 0; i < ICE_PAIRS_MAX; i++) {
        rig.now_ms += 100;
        addr_set_port(&src, (uint16_t)(1000 + i));
        check(&src, false);
        assert_true(rig.v.validated);
    }
    addr_set_port(&src, 1000);
    assert_false(ice_is_valid(rig.ice, 1, &src));
    for (unsigned i = 1; i < ICE_PAIRS_MAX; i++) {
        addr_set_port(&src, (uint16_t)(1000 + i));
        assert_true(ice_is_valid(rig.ice, 1, &src));
    }
    assert_true(ice_is_valid(rig.ice, 1, &rig.a) && is_selected(&rig.a)); /* heard longest ago */
}

static void answers_are_bounded_by_rate(void **state)
{
    (void)state;
    describe(THEIRS);
    for (unsigned i = 0; i < ICE_ANSWERS_PER_S; i++) {
        assert_int_equal(check(&rig.a, false), ICE_ANSWERED);
    }
    check(&rig.b, true);
    assert_untouched(ICE_RATE);
    assert_null(ice_selected(rig.ice, 1));
    rig.now_ms += 1000 / ICE_ANSWERS_PER_S;
    assert_int_equal(check(&rig.b, true), ICE_ANSWERED);
    assert_int_equal(check(&rig.b, true), ICE_RATE);
}

/* RFC 8445 7.3: checks may be faster than the answer in signalling. */
static void early_checks_count_when_the_description_fits(void **state)
{
    (void)state;
    check(&rig.a, true);
    assert_int_equal(rig.v.drop, ICE_ANSWERED);
    assert_true(rig.v.validated && rig.v.nominated);
    assert_false(describe(THEIRS));
    assert_true(is_selected(&rig.a));
}

static void early_checks_of_another_branch_are_forgotten(void **state)
{
    const struct who other = who_now("another");

    (void)state;
    check(&rig.a, true);
    assert_int_equal(check_as(&other, &rig.b, true, 1000), ICE_ANSWERED);
    assert_false(rig.v.validated); /* the first one is heard */
    assert_true(is_selected(&rig.a));
    assert_false(describe("another"));
    assert_null(ice_selected(rig.ice, 1));
    assert_false(ice_is_valid(rig.ice, 1, &rig.a));
    assert_int_equal(check(&rig.a, true), ICE_UNKNOWN_USER);
    check_as(&other, &rig.b, true, 1);
    assert_true(is_selected(&rig.b));
}

static void descriptions_are_checked_and_change_nothing_when_wrong(void **state)
{
    static char long_ufrag[258];
    struct ice_remote r = {.ufrag = SL("abc"), .pwd = SL(THEIR_PWD)};
    bool restarted = false;

    (void)state;
    memset(long_ufrag, 'x', sizeof(long_ufrag) - 1);
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), EBADMSG);
    r.ufrag = sl_str(long_ufrag);
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), EBADMSG);
    r.ufrag = SL("ab:cd");
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), EBADMSG);
    r.ufrag = SL("ab\ncd");
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), EBADMSG);
    r.ufrag = SL(THEIRS);
    r.pwd = SL("123456789012345678901");
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), EBADMSG);
    r.pwd = SL("1234567890123456789012");
    r.ufrag = sl_make(long_ufrag, ICE_REMOTE_UFRAG_MAX);
    assert_int_equal(ice_set_remote(rig.ice, &r, &restarted), 0);
}

static void the_same_description_again_changes_nothing(void **state)
{
    const struct who w = who_now(THEIRS);

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    assert_false(describe(THEIRS));
    assert_string_equal(who_now(THEIRS).user, w.user);
    assert_true(is_selected(&rig.a));
}

/* RFC 8445 9 */
static void a_restart_keeps_the_old_endpoint_until_a_new_nomination(void **state)
{
    const struct who old = who_now(THEIRS);
    struct who new;

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    check(&rig.b, false);
    assert_true(describe("otherUfrag"));
    new = who_now("otherUfrag");
    assert_string_not_equal(new.pwd, old.pwd);
    assert_true(is_selected(&rig.a));
    assert_true(ice_is_valid(rig.ice, 1, &rig.a));
    assert_false(ice_is_valid(rig.ice, 1, &rig.b));
    /* Old credentials are answered and renew consent, but nominate and validate nobody. */
    rig.now_ms += 20000;
    assert_int_equal(check_as(&old, &rig.a, true, 100), ICE_ANSWERED);
    assert_int_equal(answer(old.pwd).cls, STUN_SUCCESS);
    assert_true(rig.v.validated && !rig.v.nominated);
    assert_int_equal(ice_consent(rig.ice, 1, rig.now_ms + ICE_CONSENT_MS - 1), ICE_CONSENT_FRESH);
    assert_int_equal(check_as(&old, &rig.b, true, 900), ICE_ANSWERED);
    assert_true(!rig.v.validated && is_selected(&rig.a));
    /* A new check alone does not move it either; a nomination does, whatever its priority. */
    assert_int_equal(check_as(&new, &rig.b, false, 1), ICE_ANSWERED);
    assert_true(rig.v.validated && is_selected(&rig.a));
    assert_int_equal(check_as(&new, &rig.b, true, 1), ICE_ANSWERED);
    assert_true(rig.v.nominated && is_selected(&rig.b));
    assert_int_equal(check_as(&old, &rig.a, true, 100), ICE_UNKNOWN_USER);
}

static void our_own_restart_waits_for_the_answer(void **state)
{
    const struct who old = who_now(THEIRS);
    struct who new;

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    ice_restart(rig.ice);
    new = who_now("newUfrag");
    assert_string_not_equal(new.user, old.user);
    assert_true(is_selected(&rig.a));
    assert_int_equal(check_as(&old, &rig.a, false, 1), ICE_ANSWERED);
    assert_int_equal(check_as(&new, &rig.b, true, 1), ICE_ANSWERED); /* before the answer */
    assert_true(is_selected(&rig.b));
    assert_false(describe("newUfrag"));
    assert_string_equal(who_now("newUfrag").user, new.user);
    assert_true(is_selected(&rig.b));
}

static void a_second_restart_still_knows_the_endpoint(void **state)
{
    const struct who old = who_now(THEIRS);
    struct who new;

    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    assert_true(describe("second"));
    assert_true(describe("third"));
    assert_true(is_selected(&rig.a));
    rig.now_ms += 5000;
    assert_int_equal(check_as(&old, &rig.a, false, 1), ICE_ANSWERED);
    assert_true(rig.v.validated);
    assert_int_equal(ice_consent(rig.ice, 1, rig.now_ms + ICE_CONSENT_MS - 1), ICE_CONSENT_FRESH);
    new = who_now("third");
    check_as(&new, &rig.a, true, 1); /* the same address under new credentials */
    assert_true(rig.v.nominated && is_selected(&rig.a));
    assert_int_equal(check_as(&old, &rig.a, false, 1), ICE_UNKNOWN_USER);
}

/* RFC 7675 5.1 */
static void consent_ends_thirty_seconds_after_the_last_renewal(void **state)
{
    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    for (int i = 0; i < 20; i++) {
        rig.now_ms += 5000;
        check(&rig.a, false);
        assert_int_equal(ice_consent(rig.ice, 1, rig.now_ms), ICE_CONSENT_FRESH);
    }
    rig.now_ms += ICE_CONSENT_MS - 1;
    check(&rig.b, false); /* another pair renews nothing */
    assert_false(ice_consent_expired(rig.ice, 1, rig.now_ms));
    rig.now_ms += 1;
    assert_true(ice_consent_expired(rig.ice, 1, rig.now_ms));
    assert_false(ice_consent_expired(rig.ice, 2, rig.now_ms));
    check(&rig.a, false);
    assert_false(ice_consent_expired(rig.ice, 1, rig.now_ms));
}

/* RFC 5245 agents check once and then send indications: their silence proves nothing. */
static void a_peer_that_never_renews_is_not_held_to_consent(void **state)
{
    (void)state;
    describe(THEIRS);
    check(&rig.a, true);
    rig.now_ms += 500;
    check(&rig.a, true); /* repeated, as the answer was lost */
    rig.now_ms += ICE_CONSENT_MS;
    assert_int_equal(ice_consent(rig.ice, 1, rig.now_ms), ICE_CONSENT_SILENT);
    assert_false(ice_consent_expired(rig.ice, 1, rig.now_ms));
}

static void running_out_of_memory_is_said(void **state)
{
    struct ice *other = NULL;

    (void)state;
    mem_fault_arm(1);
    assert_int_equal(ice_new(&other), ENOMEM);
    mem_fault_arm(0);
    assert_null(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
    const struct CMUnitTest tests[] = {
        T(credentials_are_long_random_and_of_allowed_characters),
        T(an_authentic_check_validates_its_source),
        T(use_candidate_moves_the_endpoint),
        T(strangers_move_nothing_and_get_no_answer),
        T(messages_without_user_or_integrity_are_a_strangers),
        T(what_is_no_binding_request_is_dropped),
        T(components_have_endpoints_of_their_own),
        T(a_peer_that_wants_to_be_controlled_is_told_to_control),
        T(unknown_required_attributes_get_420),
        T(among_early_nominations_the_best_priority_wins),
        T(validated_sources_are_bounded_and_the_oldest_goes),
        T(answers_are_bounded_by_rate),
        T(early_checks_count_when_the_description_fits),
        T(early_checks_of_another_branch_are_forgotten),
        T(descriptions_are_checked_and_change_nothing_when_wrong),
        T(the_same_description_again_changes_nothing),
        T(a_restart_keeps_the_old_endpoint_until_a_new_nomination),
        T(our_own_restart_waits_for_the_answer),
        T(a_second_restart_still_knows_the_endpoint),
        T(consent_ends_thirty_seconds_after_the_last_renewal),
        T(a_peer_that_never_renews_is_not_held_to_consent),
        T(running_out_of_memory_is_said),
    };

    return cmocka_run_group_tests(tests, rig_crypto_up, rig_crypto_down);
}
