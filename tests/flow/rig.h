/* rig.h - a whole house on a virtual clock and without sockets: workers with their real tables,
 * fake transport, media and store. Phones talk to it; what it sends waits until a phone takes it.
 * rig_down() proves that nothing is left and that nothing of one side was told to the other. */
#ifndef POSTERN_FLOW_RIG_H
#define POSTERN_FLOW_RIG_H

#include "config/versions.h"
#include "worker/worker_int.h"

#include "fakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RIG_WORKERS_MAX 2
#define RIG_SENT_MAX 1024
#define RIG_TEXT_MAX 6144
#define RIG_PHONES_MAX 12
#define RIG_IDS_MAX 512
#define RIG_ID_MAX 128
#define RIG_BLOCKS_MAX 4
#define RIG_WALL_MS 1795244888123

struct phone;

struct rig_sent { /* one message that the house sent */
    char text[RIG_TEXT_MAX];
    size_t n;
    struct flow flow;
    int64_t at_ms; /* since rig_up() */
    bool is_taken;
};

struct rig_ids { /* what only one side may know */
    char id[RIG_IDS_MAX][RIG_ID_MAX];
    size_t n;
};

struct rig {
    struct b2bua b;
    struct clock clocks[RIG_WORKERS_MAX];
    struct net_ops ops;
    struct policy_book *book;
    struct config_slots *slots;
    struct rig_sent sent[RIG_SENT_MAX];
    size_t n_sent;
    struct { /* who sits where; a phone of a test is gone before rig_down() */
        struct addr at;
        uint8_t side, listener;
    } seats[RIG_PHONES_MAX];
    size_t n_seats;
    struct rig_ids ids[2];
    uint64_t sockets[RIG_WORKERS_MAX]; /* listeners by which a worker can send, as bits */
    struct {                           /* where sending fails */
        struct addr to;
        int err;
    } blocks[RIG_BLOCKS_MAX];
    size_t n_blocks;
    struct clock guard_clock;
    int64_t now_ms;
    int64_t live;       /* blocks alive before */
    int holds;          /* connections kept open, net_conn_hold() */
    uint32_t next_conn; /* connections that the house dialled */
    uint32_t next_name; /* for Call-IDs, tags, branches */
    bool is_noisy;      /* untaken messages are not the test's business */
    bool is_held;       /* the workers read nothing of each other until rig_settle() */
    bool is_leaky;      /* one side calls itself: nothing can leak */
    uint64_t leaks;     /* that the house itself has found, before; and is to find */
    unsigned leaks_due;
};

/* The house of most tests: carrier (outside, 192.0.2.30) and pbx (inside, 10.1.1.20 and 10.1.1.21,
 * by UDP) call each other, users 1001 to 1003 of example.test live outside. Extra lines are
 * appended at top level. */
extern const char rig_yaml[];
/* text NULL: rig_yaml. Fails the test when it cannot be built. */
struct rig *rig_up(const char *text, uint32_t n_workers);
/* Waits until every transaction must be over, then checks all books and frees the house. */
void rig_down(struct rig *r);
void rig_free(struct rig *r); /* without looking */
int rig_setup(void **state);  /* cmocka fixtures: rig_up(NULL, 1) and rig_down() */
int rig_teardown(void **state);
#define FLOW_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

struct worker *rig_worker(struct rig *r, unsigned i);
struct call_table *rig_calls(struct rig *r); /* of the first worker */
struct media_session *rig_media(struct rig *r);
void rig_advance(struct rig *r, int64_t ms);
void rig_settle(struct rig *r); /* mailboxes and deferred frees, no time passes */
void rig_reload(struct rig *r, const char *text);
/* In two parts: all are prepared and it is in force, and this worker takes it; then the others. */
void rig_reload_on(struct rig *r, const char *text, unsigned worker);
void rig_reload_rest(struct rig *r);
void rig_input(struct rig *r, unsigned worker, const struct flow *flow, struct sl bytes);
/* Sending to ip:port gives err from now on; 0: works again. */
void rig_block(struct rig *r, const char *to, int err);
bool rig_has_untaken(const struct rig *r);
void rig_print_untaken(const struct rig *r);
size_t rig_count_sent(const struct rig *r, const char *start); /* all, taken or not */
struct call_counts rig_calls_now(const struct rig *r);
uint32_t rig_tx_now(const struct rig *r);

/* What is left, in words; empty: nothing. */
const char *rig_leftovers(struct rig *r);

/* The side that sits at an address; -1: nobody. */
int rig_side_of(const struct rig *r, const struct addr *at);

/* --- leak.c --- */
void leak_note(struct rig *r, unsigned side, struct sl msg, bool is_ours);
/* The first identifier of the other side found in what a side was told; NULL: none. */
const char *leak_find(struct rig *r, const struct rig_sent **where);

#include "phone.h"

/* --- talk.c: pieces of calls that many tests need --- */
struct pair {
    struct rig *r;
    struct phone a, b; /* carrier outside, pbx inside */
};
void pair_init(struct pair *t, struct rig *r);
void pair_ring(struct pair *t);   /* INVITE, 100, 180 on both sides */
void pair_answer(struct pair *t); /* 200 and ACK on both sides */
void pair_up(struct pair *t);     /* both */
void pair_bye(struct pair *t);    /* the caller hangs up */
/* The same between any two phones. */
#define CALLED "sip:+4930123@203.0.113.1"
void talk_start(struct phone *a, struct phone *b);  /* INVITE to CALLED, 100; b has it */
void talk_answer(struct phone *a, struct phone *b); /* b's 200, a's ACK */
void talk_accept(struct phone *a, struct phone *b, const char *answer); /* with this answer */
void talk_bye(struct phone *a, struct phone *b);                        /* a hangs up */
void talk_cut(struct phone *a, struct phone *b); /* the house hangs up on both */
/* b says status and has the ACK; a hears this. */
void talk_refuse(struct phone *b, unsigned status, struct phone *a, const char *heard);
void talk_cancel(struct phone *a);    /* a gives up: 200 and 487 */
void talk_cancelled(struct phone *b); /* the same as the callee knows it */
/* Inside a call: x offers, y has it; and answers. */
void talk_offer(struct phone *x, struct phone *y, const char *offer);
void talk_reinvite(struct phone *x, struct phone *y, const char *offer, const char *answer);
void talk_hold(struct phone *x, struct phone *y); /* x offers sendonly */
/* Takes what waits for the phone and does what a phone would: answers, acknowledges. False: nothing
 * waited. */
bool robot_turn(struct phone *p);
/* All of them, until nobody has anything to say. */
void robot_talk(struct phone *const *phones, size_t n);
/* The one ended record; fails when there is none or more. */
const struct fake_call *talk_record(void);
void talk_record_is(const char *by, const char *reason, unsigned code);
/* A user's phone registers; it must have its password. */
void talk_register(struct phone *p, unsigned expires_s);

#endif
