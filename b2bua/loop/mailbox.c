/* mailbox.c - the queue between threads. A sender publishes its cell and then reads `sleeping`;
 * the receiver sets `sleeping` and then reads the cell. All four are sequentially consistent, so
 * at least one side sees the other: no wake-up is lost, and a busy receiver costs no system call.
 */
#include "loop/mailbox.h"

int mailbox_init(struct mailbox *mb, uint32_t capacity)
{
    mb->cells = mem_zalloc(capacity * sizeof(struct mail_cell));
    if (mb->cells == NULL) {
        return ENOMEM;
    }
    mb->mask = capacity - 1;
    mb->head = 0;
    atomic_init(&mb->tail, 0);
    atomic_init(&mb->sleeping, false);
    atomic_init(&mb->notes, NULL);
    for (uint64_t i = 0; i < capacity; i++) {
        atomic_init(&mb->cells[i].seq, i);
    }
    return 0;
}

void mailbox_free(struct mailbox *mb)
{
    mem_free(mb->cells);
    mb->cells = NULL;
}

/* The cell that is now this sender's alone, and its position; NULL when the ring is full. */
static struct mail_cell *mailbox_claim(struct mailbox *mb, uint64_t *pos)
{
    *pos = atomic_load_explicit(&mb->tail, memory_order_relaxed);
    for (;;) {
        struct mail_cell *c = &mb->cells[*pos & mb->mask];
        uint64_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);

        if (seq == *pos) {
            if (atomic_compare_exchange_weak_explicit(&mb->tail, pos, *pos + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                return c;
            }
        } else if ((int64_t)(seq - *pos) < 0) {
            return NULL;
        } else {
            *pos = atomic_load_explicit(&mb->tail, memory_order_relaxed);
        }
    }
}

int mailbox_put(struct mailbox *mb, const struct loop_msg *m, bool *wake)
{
    uint64_t pos;
    struct mail_cell *c = mailbox_claim(mb, &pos);

    *wake = false;
    if (c == NULL) {
        return ENOBUFS;
    }
    c->m = *m;
    atomic_store_explicit(&c->seq, pos + 1, memory_order_seq_cst);
    if (atomic_load_explicit(&mb->sleeping, memory_order_seq_cst)) {
        *wake = atomic_exchange_explicit(&mb->sleeping, false, memory_order_seq_cst);
    }
    return 0;
}

bool mailbox_has(const struct mailbox *mb)
{
    return atomic_load_explicit(&mb->cells[mb->head & mb->mask].seq, memory_order_seq_cst) ==
           mb->head + 1;
}

uint32_t mailbox_count(const struct mailbox *mb)
{
    return (uint32_t)(atomic_load_explicit(&mb->tail, memory_order_relaxed) - mb->head);
}

bool mailbox_has_any(const struct mailbox *mb)
{
    return mailbox_has(mb) || atomic_load_explicit(&mb->notes, memory_order_seq_cst) != NULL;
}

bool mailbox_put_note(struct mailbox *mb, struct loop_note *n)
{
    n->next = atomic_load_explicit(&mb->notes, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&mb->notes, &n->next, n, memory_order_seq_cst,
                                                  memory_order_relaxed)) {
    }
    return atomic_load_explicit(&mb->sleeping, memory_order_seq_cst) &&
           atomic_exchange_explicit(&mb->sleeping, false, memory_order_seq_cst);
}

struct loop_note *mailbox_take_notes(struct mailbox *mb)
{
    struct loop_note *n, *next, *out = NULL;

    if (atomic_load_explicit(&mb->notes, memory_order_relaxed) == NULL) {
        return NULL;
    }
    for (n = atomic_exchange_explicit(&mb->notes, NULL, memory_order_acquire); n != NULL;
         n = next) {
        next = n->next;
        n->next = out;
        out = n;
    }
    return out;
}

bool mailbox_get(struct mailbox *mb, struct loop_msg *m)
{
    struct mail_cell *c = &mb->cells[mb->head & mb->mask];

    if (!mailbox_has(mb)) {
        return false;
    }
    *m = c->m;
    atomic_store_explicit(&c->seq, mb->head + mb->mask + 1, memory_order_release);
    mb->head++;
    return true;
}

bool mailbox_may_sleep(struct mailbox *mb)
{
    atomic_store_explicit(&mb->sleeping, true, memory_order_seq_cst);
    if (!mailbox_has_any(mb)) {
        return true;
    }
    mailbox_awake(mb);
    return false;
}

void mailbox_awake(struct mailbox *mb)
{
    if (atomic_load_explicit(&mb->sleeping, memory_order_relaxed)) {
        atomic_store_explicit(&mb->sleeping, false, memory_order_relaxed);
    }
}
