/* mailbox.h - bounded lock-free queue of messages, many senders, one receiver (Vyukov's array
 * queue). Private to b2bua/loop. */
#ifndef POSTERN_LOOP_MAILBOX_H
#define POSTERN_LOOP_MAILBOX_H

#include "loop/loop.h"

#include <stdatomic.h>

struct mail_cell {
    _Atomic uint64_t seq; /* position: free for that lap's sender; position + 1: filled */
    struct loop_msg m;
};

struct mailbox {
    struct mail_cell *cells;
    uint64_t mask;
    char pad0[64];         /* the three below are written by different threads */
    _Atomic uint64_t tail; /* senders */
    char pad1[64];
    uint64_t head; /* receiver only */
    char pad2[64];
    _Atomic bool sleeping;             /* set by the receiver, taken back by one sender */
    _Atomic(struct loop_note *) notes; /* a stack, newest first */
    char pad3[64];
};

MUST_USE int mailbox_init(struct mailbox *mb, uint32_t capacity); /* a power of two. ENOMEM */
void mailbox_free(struct mailbox *mb);
/* Any thread. ENOBUFS: full. *wake: the caller must wake the receiver. */
MUST_USE int mailbox_put(struct mailbox *mb, const struct loop_msg *m, bool *wake);
/* Receiver only. False: nothing there. */
bool mailbox_get(struct mailbox *mb, struct loop_msg *m);
bool mailbox_has(const struct mailbox *mb);
uint32_t mailbox_count(const struct mailbox *mb); /* messages; receiver only */
bool mailbox_has_any(const struct mailbox *mb);   /* messages or notes */
/* Any thread. True: the caller must wake the receiver. */
MUST_USE bool mailbox_put_note(struct mailbox *mb, struct loop_note *n);
struct loop_note *mailbox_take_notes(struct mailbox *mb); /* receiver only; oldest first */
/* Receiver only. True: every later mailbox_put() asks for a wake-up until mailbox_awake(); false:
 * there is mail, do not sleep. */
bool mailbox_may_sleep(struct mailbox *mb);
void mailbox_awake(struct mailbox *mb);

#endif
