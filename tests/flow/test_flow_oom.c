/* test_flow_oom.c - whole conversations, again and again, each time with another allocation
 * failing: no crash, no leak, nothing left over, never two records for a call. */
#include "rig.h"

#define WALK_MAX 3000

struct cast { /* who may take part */
    struct rig *r;
    struct phone a, b, c, u, v, w;
    struct phone *all[6];
};

static void talk(struct cast *k)
{
    robot_talk(k->all, COUNT_OF(k->all));
}

/* What is not answered is said again, as phones do. */
static void insist(struct cast *k, struct phone *p)
{
    for (int i = 0; i < 3; i++) {
        talk(k);
        rig_advance(k->r, 500);
        talk(k);
        if (!sl_eq(msg_hdr(sl_str(p->got), "CSeq", 0), msg_hdr(sl_str(p->last), "CSeq", 0)) &&
            !sl_starts(sl_str(p->last), SL("ACK "))) {
            phone_send_raw(p, p->last);
        }
    }
}

static void a_call_with_hold_and_info(struct cast *k)
{
    phone_invite(&k->a, CALLED, phone_sdp(&k->a, NULL));
    insist(k, &k->a);
    if (k->a.target[0] == '\0') {
        return;
    }
    phone_reinvite(&k->a, phone_sdp(&k->a, "sendonly"));
    insist(k, &k->a);
    phone_reinvite(&k->a, NULL);
    insist(k, &k->a);
    phone_request(&k->a, "INFO", NULL, "Signal=1");
    insist(k, &k->a);
    phone_bye(&k->a);
    insist(k, &k->a);
}

static void a_late_offer_and_a_hang_up_of_the_callee(struct cast *k)
{
    phone_invite(&k->a, CALLED, NULL);
    insist(k, &k->a);
    if (k->b.target[0] != '\0') {
        phone_bye(&k->b);
        insist(k, &k->b);
    }
}

static void a_cancelled_call_that_failed_over(struct cast *k)
{
    rig_block(k->r, "10.1.1.20:5070", EHOSTUNREACH);
    phone_invite(&k->a, CALLED, phone_sdp(&k->a, NULL));
    if (phone_try(&k->c, "INVITE")) {
        phone_answer(&k->c, 183, phone_sdp(&k->c, NULL));
    }
    phone_drop_mail(&k->a);
    phone_cancel(&k->a);
    memcpy(k->a.last, k->a.invite, sizeof(k->a.last));
    insist(k, &k->a);
}

static void two_messages(struct cast *k)
{
    phone_request(&k->a, "MESSAGE", CALLED, "good day");
    insist(k, &k->a);
    phone_request(&k->a, "MESSAGE", CALLED, "good bye");
    insist(k, &k->a);
}

static void refusals_of_all_kinds(struct cast *k)
{
    phone_invite(&k->a, "sip:777@203.0.113.1", phone_sdp(&k->a, NULL));
    insist(k, &k->a);
    phone_renew(&k->a);
    phone_invite(&k->a, "sip:1003@203.0.113.1", phone_sdp(&k->a, NULL));
    insist(k, &k->a);
    phone_renew(&k->a);
    phone_invite(&k->a, CALLED, "v=0 nonsense");
    insist(k, &k->a);
    phone_renew(&k->a);
    phone_request(&k->a, "REFER", CALLED, NULL);
    insist(k, &k->a);
}

static void a_registration_and_its_end(struct cast *k)
{
    static const char *const times[] = {"Expires: 600\r\n", "Expires: 0\r\n"};

    memcpy(k->v.password, "two", sizeof("two"));
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        memcpy(k->v.extra, times[i], strlen(times[i]) + 1);
        memcpy(k->v.local, "<sip:1002@example.test>", sizeof("<sip:1002@example.test>"));
        memcpy(k->v.remote, k->v.local, sizeof(k->v.remote));
        phone_request(&k->v, "REGISTER", "sip:example.test", NULL);
        insist(k, &k->v);
    }
}

static void a_call_to_two_devices(struct cast *k)
{
    phone_invite(&k->a, "sip:1001@203.0.113.1", phone_sdp(&k->a, NULL));
    insist(k, &k->a);
    if (k->a.target[0] != '\0') {
        phone_bye(&k->a);
        insist(k, &k->a);
    }
}

/* Two devices of 1001, before anything fails. */
static void register_devices(struct cast *k)
{
    memcpy(k->u.password, "one", sizeof("one"));
    talk_register(&k->u, 86400);
    memcpy(k->w.password, "one", sizeof("one"));
    talk_register(&k->w, 86400);
}

static void cast_up(struct cast *k)
{
    k->r = rig_up(NULL, 1);
    k->r->is_noisy = true;
    phone_init(&k->a, k->r, 0, "alice", "192.0.2.30:5060");
    phone_init(&k->b, k->r, 1, "bob", "10.1.1.20:5070");
    phone_init(&k->c, k->r, 1, "bob2", "10.1.1.21:5070");
    k->all[0] = &k->a;
    k->all[1] = &k->b;
    phone_init(&k->u, k->r, 1, "1001", "192.0.2.41:5062");
    phone_init(&k->v, k->r, 1, "1002", "192.0.2.42:5063");
    k->all[2] = &k->c;
    k->all[3] = &k->u;
    k->all[4] = &k->v;
    phone_init(&k->w, k->r, 1, "1001", "192.0.2.45:5065");
    k->all[5] = &k->w;
    register_devices(k);
}

static void cast_down(struct cast *k, unsigned long n)
{
    const char *left;

    talk(k);
    if (rig_calls_now(k->r).answered != 0 && k->a.target[0] != '\0') {
        phone_bye(&k->a); /* the scene could not be played to its end */
    }
    for (int i = 0; i < 40; i++) { /* repetitions find listeners */
        rig_advance(k->r, 1000);
        talk(k);
    }
    rig_advance(k->r, 4 * 60 * 1000); /* set-up limit and all timers */
    talk(k);
    rig_advance(k->r, 70000);
    left = rig_leftovers(k->r);
    if (left[0] != '\0') {
        fail_msg("allocation %lu failing leaves: %s", n, left);
    }
    for (size_t i = 0; i < fake_store.n_calls && i < FAKE_CALLS_MAX; i++) {
        unsigned ended;

        (void)fake_store_ended(fake_store.calls[i].id, &ended);
        assert_in_range(ended + fake_store.n_lost, 1, 2);
        assert_in_range(ended, 0, 1);
    }
    rig_free(k->r);
    if (mem_live() != k->r->live) {
        fail_msg("allocation %lu failing loses %lld blocks", n,
                 (long long)(mem_live() - k->r->live));
    }
}

static void walk(void (*scene)(struct cast *k))
{
    static struct cast k;
    bool hit = true;
    unsigned long n;

    for (n = 1; hit && n < WALK_MAX; n++) {
        cast_up(&k);
        mem_fault_arm(n);
        scene(&k);
        hit = mem_fault_hit();
        mem_fault_arm(0);
        cast_down(&k, n);
    }
    assert_true(n > 10 && !hit);
}

static void a_call_survives_each_allocation_failing(void **state)
{
    (void)state;
    walk(a_call_with_hold_and_info);
}

static void a_late_offer_survives_each_allocation_failing(void **state)
{
    (void)state;
    walk(a_late_offer_and_a_hang_up_of_the_callee);
}

static void failover_and_cancel_survive_each_allocation_failing(void **state)
{
    (void)state;
    walk(a_cancelled_call_that_failed_over);
}

static void messages_survive_each_allocation_failing(void **state)
{
    (void)state;
    walk(two_messages);
}

static void registrations_survive_each_allocation_failing(void **state)
{
    (void)state;
    walk(a_registration_and_its_end);
}

static void ringing_devices_survive_each_allocation_failing(void **state)
{
    (void)state;
    walk(a_call_to_two_devices);
}

static void refusals_survive_each_allocation_failing(void **state)
{
    (void)state;
    walk(refusals_of_all_kinds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_survives_each_allocation_failing),
        cmocka_unit_test(a_late_offer_survives_each_allocation_failing),
        cmocka_unit_test(failover_and_cancel_survive_each_allocation_failing),
        cmocka_unit_test(messages_survive_each_allocation_failing),
        cmocka_unit_test(registrations_survive_each_allocation_failing),
        cmocka_unit_test(ringing_devices_survive_each_allocation_failing),
        cmocka_unit_test(refusals_survive_each_allocation_failing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
