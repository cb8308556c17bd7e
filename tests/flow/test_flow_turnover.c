/* test_flow_turnover.c - a reload comes to two workers one after the other. While one has it and
 * the other has not, every kind of message arrives on either of them, for calls of either of them:
 * nothing is lost or refused. Both listeners get other numbers by it. */
#include "rig.h"

#include <stdio.h>

#define PLACE(tcp)                                                                                 \
    "listeners:\n"                                                                                 \
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060" tcp "},\n"        \
    "            rtp: {ports: 20000-20999}}\n"                                                     \
    "  inside: {address: 10.1.1.1, sip: {udp: 5060" tcp "}, rtp: {ports: 30000-30999}}\n"
#define PEERS                                                                                      \
    "peers:\n"                                                                                     \
    "  pbx: {listener: inside, sources: [10.1.1.20/32], targets: [\"sip:10.1.1.20:5070\"]}\n"      \
    "  carrier: {listener: outside, sources: [192.0.2.30/32]}\n"
#define PEER_OF_THE_RELOAD "  late: {listener: outside, sources: [192.0.2.77/32]}\n"
#define USERS                                                                                      \
    "users:\n"                                                                                     \
    "  domain: example.test\n"                                                                     \
    "  listener: outside\n"                                                                        \
    "  accounts: [{name: \"1001\", password: one}, {name: \"1002\", password: two}]\n"             \
    "routes:\n"                                                                                    \
    "  - {name: internal, match: {called: \"1???\"}, to: users}\n"                                 \
    "  - {name: inbound, to: [pbx]}\n"
#define BEFORE PLACE("") PEERS USERS
#define AFTER PLACE(", tcp: 5060") PEERS PEER_OF_THE_RELOAD USERS

struct stage {
    struct pair t;
    struct phone u; /* user 1001, outside */
    unsigned first; /* the worker that hears of the reload first */
    unsigned at;    /* where what the phones say arrives */
};

static uint8_t number_of(const struct worker *w, const char *listener)
{
    for (size_t i = 0; i < w->cfg->n_listeners; i++) {
        if (sl_eq(sl_str(w->cfg->listeners[i].name), sl_str(listener))) {
            return (uint8_t)i;
        }
    }
    fail_msg("there is no listener %s", listener);
    return 0;
}

/* What this phone says arrives on that worker, by the socket as it is numbered there. */
static void aim(struct phone *p, unsigned at)
{
    bool inside = sl_starts(sl_str(p->at), SL("10."));

    p->worker = at;
    p->flow.listener = number_of(rig_worker(p->r, at), inside ? "inside" : "outside");
}

static void aim_all(struct stage *s)
{
    aim(&s->t.a, s->at);
    aim(&s->t.b, s->at);
    aim(&s->u, s->at);
}

static bool is_owned_by(struct rig *r, unsigned owner)
{
    struct call_counts c;

    call_counts(rig_worker(r, owner)->calls, &c);
    return c.answered != 0;
}

/* A call that this worker has. */
static void call_up(struct stage *s, unsigned owner)
{
    for (pair_up(&s->t); !is_owned_by(s->t.r, owner); pair_up(&s->t)) {
        pair_bye(&s->t);
        phone_renew(&s->t.a);
        phone_renew(&s->t.b);
    }
}

static void stage_up(struct stage *s, unsigned variant)
{
    struct rig *r = rig_up(BEFORE, 2);

    *s = (struct stage){.first = variant & 1, .at = variant >> 1 & 1};
    pair_init(&s->t, r);
    phone_init(&s->u, r, 1, "1001", "192.0.2.41:5062");
    memcpy(s->u.password, "one", sizeof("one"));
}

static void reload_first(struct stage *s, const char *text)
{
    rig_reload_on(s->t.r, text, s->first);
    aim_all(s);
}

static void reload_rest(struct stage *s)
{
    rig_reload_rest(s->t.r);
    aim_all(s);
}

#define VARIANTS 4

static void talk(struct pair *t)
{
    phone_request(&t->a, "INFO", NULL, "x");
    EXPECT(&t->b, "INFO");
    phone_answer(&t->b, 200, NULL);
    EXPECT(&t->a, "200 INFO");
    phone_request(&t->b, "INFO", NULL, "y");
    EXPECT(&t->a, "INFO");
    phone_answer(&t->a, 200, NULL);
    EXPECT(&t->b, "200 INFO");
    talk_hold(&t->a, &t->b);
    talk_hold(&t->b, &t->a);
}

static void what_belongs_to_a_call_is_served_on_either_side_of_a_reload(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2 * VARIANTS; v++) {
        struct stage s;

        stage_up(&s, v);
        call_up(&s, v >> 2);
        reload_first(&s, AFTER);
        talk(&s.t);
        reload_rest(&s);
        talk(&s.t);
        pair_bye(&s.t);
        rig_down(s.t.r);
    }
}

static void a_call_may_end_while_a_reload_goes_round(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2 * VARIANTS; v++) {
        struct stage s;

        stage_up(&s, v);
        call_up(&s, v >> 2);
        reload_first(&s, AFTER);
        phone_bye(&s.t.b);
        EXPECT(&s.t.b, "200 BYE");
        EXPECT(&s.t.a, "BYE");
        phone_answer(&s.t.a, 200, NULL);
        reload_rest(&s);
        rig_down(s.t.r);
    }
}

static void calls_begin_ring_and_are_given_up_while_a_reload_goes_round(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VARIANTS; v++) {
        struct stage s;

        stage_up(&s, v);
        pair_ring(&s.t);
        reload_first(&s, AFTER);
        talk_cancel(&s.t.a);
        talk_cancelled(&s.t.b);
        for (unsigned i = 0; i < 8; i++) { /* of either worker */
            phone_renew(&s.t.a);
            phone_renew(&s.t.b);
            pair_ring(&s.t);
            if (i % 2 != 0) {
                talk_cancel(&s.t.a);
                talk_cancelled(&s.t.b);
                continue;
            }
            pair_answer(&s.t);
            talk(&s.t);
            pair_bye(&s.t);
        }
        reload_rest(&s);
        rig_down(s.t.r);
    }
}

static void call_user(struct stage *s, const char *user, struct phone *to)
{
    for (unsigned i = 0; i < 6; i++) {
        char uri[64];

        snprintf(uri, sizeof(uri), "sip:%s@example.test", user);
        phone_renew(&s->t.a);
        phone_invite(&s->t.a, uri, phone_sdp(&s->t.a, NULL));
        EXPECT(&s->t.a, "100 INVITE");
        EXPECT(to, "INVITE");
        talk_refuse(to, 486, &s->t.a, "486 INVITE");
    }
}

static void users_register_and_are_called_while_a_reload_goes_round(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VARIANTS; v++) {
        struct stage s;
        struct phone w;

        stage_up(&s, v);
        phone_init(&w, s.t.r, 1, "1002", "192.0.2.42:5062");
        memcpy(w.password, "two", sizeof("two"));
        talk_register(&w, 600); /* before */
        reload_first(&s, AFTER);
        aim(&w, s.at);
        talk_register(&s.u, 600); /* meanwhile: with either owner */
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 8; i++) {
                struct phone *to = i % 2 != 0 ? &s.u : &w;

                phone_renew(&s.t.a);
                phone_invite(&s.t.a, i % 2 != 0 ? "sip:1001@example.test" : "sip:1002@example.test",
                             phone_sdp(&s.t.a, NULL));
                EXPECT(&s.t.a, "100 INVITE");
                EXPECT(to, "INVITE");
                talk_refuse(to, 486, &s.t.a, "486 INVITE");
            }
            if (round == 0) {
                reload_rest(&s);
                aim(&w, s.at);
            }
        }
        talk_register(&s.u, 0);
        talk_register(&w, 0);
        rig_down(s.t.r);
    }
}

static void options_are_answered_while_a_reload_goes_round(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VARIANTS; v++) {
        struct stage s;

        stage_up(&s, v);
        reload_first(&s, AFTER);
        phone_request(&s.t.a, "OPTIONS", "sip:203.0.113.1", NULL);
        EXPECT(&s.t.a, "200 OPTIONS");
        reload_rest(&s);
        rig_down(s.t.r);
    }
}

/* --- what one worker gives the other, who reads it after he has heard of the reload --- */

static void hold(struct stage *s)
{
    s->t.r->is_held = true;
}

static void release(struct stage *s)
{
    reload_first(s, AFTER);
    s->t.r->is_held = false;
    rig_settle(s->t.r);
}

static void what_was_handed_over_before_a_reload_is_served_after_it(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2 * VARIANTS; v++) {
        struct stage s;

        stage_up(&s, v);
        call_up(&s, v >> 2);
        aim_all(&s);
        hold(&s);
        phone_request(&s.t.a, "INFO", NULL, "x");
        phone_request(&s.t.b, "INFO", NULL, "y");
        release(&s);
        EXPECT(&s.t.b, "INFO");
        phone_answer(&s.t.b, 200, NULL);
        EXPECT(&s.t.a, "INFO");
        phone_answer(&s.t.a, 200, NULL);
        EXPECT(&s.t.a, "200 INFO");
        EXPECT(&s.t.b, "200 INFO");
        reload_rest(&s);
        pair_bye(&s.t);
        rig_down(s.t.r);
    }
}

static void a_call_that_was_handed_over_before_a_reload_begins_after_it(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 4 * VARIANTS; v++) { /* more than one Call-ID: of either worker */
        struct stage s;

        stage_up(&s, v);
        for (unsigned i = 0; i < v / VARIANTS; i++) {
            phone_renew(&s.t.a);
        }
        aim_all(&s);
        hold(&s);
        phone_invite(&s.t.a, CALLED, phone_sdp(&s.t.a, NULL));
        release(&s);
        EXPECT(&s.t.a, "100 INVITE");
        EXPECT(&s.t.b, "INVITE");
        phone_answer_invite(&s.t.b, 180, NULL);
        EXPECT(&s.t.a, "180 INVITE");
        hold(&s);
        phone_cancel(&s.t.a);
        s.t.r->is_held = false;
        reload_rest(&s);
        rig_settle(s.t.r);
        EXPECT(&s.t.a, "200 CANCEL");
        EXPECT(&s.t.a, "487 INVITE");
        phone_ack_failure(&s.t.a);
        talk_cancelled(&s.t.b);
        rig_down(s.t.r);
    }
}

/* Both the REGISTER itself and the news of it, one of which crosses the reload. */
static void a_device_that_registered_before_a_reload_is_called_after_it(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VARIANTS; v++) {
        struct stage s;
        struct phone reg;

        stage_up(&s, v);
        aim_all(&s);
        reg = s.u;
        phone_renew(&reg);
        snprintf(reg.local, sizeof(reg.local), "<sip:1001@example.test>");
        snprintf(reg.remote, sizeof(reg.remote), "<sip:1001@example.test>");
        phone_request(&reg, "REGISTER", "sip:example.test", NULL);
        EXPECT(&reg, "401 REGISTER");
        memset(reg.extra, 0, sizeof(reg.extra));
        phone_credentials(&reg, "REGISTER", "sip:example.test");
        hold(&s);
        phone_request(&reg, "REGISTER", "sip:example.test", NULL);
        release(&s);
        EXPECT(&reg, "200 REGISTER");
        call_user(&s, "1001", &s.u);
        reload_rest(&s);
        call_user(&s, "1001", &s.u);
        talk_register(&s.u, 0);
        rig_down(s.t.r);
    }
}

/* The reload was announced as done before he called. */
static void a_peer_of_the_reload_is_known_on_every_worker_at_once(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VARIANTS; v++) {
        struct stage s;
        struct phone late;

        stage_up(&s, v);
        phone_init(&late, s.t.r, 0, "late", "192.0.2.77:5060");
        reload_first(&s, AFTER);
        for (unsigned i = 0; i < 8; i++) {
            phone_renew(&late);
            aim(&late, s.at);
            phone_invite(&late, "sip:+4930@203.0.113.1", phone_sdp(&late, NULL));
            EXPECT(&late, "100 INVITE");
            EXPECT(&s.t.b, "INVITE");
            talk_refuse(&s.t.b, 486, &late, "486 INVITE");
        }
        reload_rest(&s);
        rig_down(s.t.r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_belongs_to_a_call_is_served_on_either_side_of_a_reload),
        cmocka_unit_test(a_call_may_end_while_a_reload_goes_round),
        cmocka_unit_test(calls_begin_ring_and_are_given_up_while_a_reload_goes_round),
        cmocka_unit_test(users_register_and_are_called_while_a_reload_goes_round),
        cmocka_unit_test(options_are_answered_while_a_reload_goes_round),
        cmocka_unit_test(what_was_handed_over_before_a_reload_is_served_after_it),
        cmocka_unit_test(a_call_that_was_handed_over_before_a_reload_begins_after_it),
        cmocka_unit_test(a_device_that_registered_before_a_reload_is_called_after_it),
        cmocka_unit_test(a_peer_of_the_reload_is_known_on_every_worker_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
