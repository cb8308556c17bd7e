/* tally.h - a bounded table of counts by key: a source's unanswered calls, or what one party sends
 * to one expensive destination. Exact keys, exact counts, no locks. Private to sbc-policy/.
 * Thread: any. */
#ifndef POSTERN_POLICY_TALLY_H
#define POSTERN_POLICY_TALLY_H

#include "base/base.h"

#include <stdatomic.h>

#define TALLY_NUMBERS 64 /* of one entry */

/* Held while a call counts in it. An entry that nobody holds is given to another key after
 * until_ms. Windows are numbers of periods since the clock began. */
struct tally_entry {
    _Atomic uint64_t state; /* version 32, phase 2, holders 30 */
    _Atomic uint64_t who, what;
    _Atomic int64_t until_ms;
    _Atomic uint32_t now;     /* calls at once */
    _Atomic uint32_t warned;  /* bit per kind: its episode is on */
    _Atomic uint64_t calls;   /* window 32, number 32 */
    _Atomic uint64_t seconds; /* window 32, of calls that ended 32 */
    _Atomic uint64_t running; /* answered calls 20, sum of the seconds they began at 44 */
    _Atomic uint32_t refused, warnings;
    _Atomic uint32_t max; /* of `now`, as it was asked last; for showing */
};
struct tally {
    struct tally_entry *e;
    _Atomic uint64_t *numbers; /* TALLY_NUMBERS for each entry: window 20, hash 44; or NULL */
    uint32_t n;                /* a power of two, 16 or more */
    uint8_t key[16];
};
struct tally_key {
    uint64_t who, what;
};

MUST_USE int tally_new(struct tally **tp, uint32_t n, bool with_numbers); /* ENOMEM */
void tally_free(struct tally **tp);
/* The key's entry, held. ENOBUFS: none is free where it could stand. */
MUST_USE int tally_hold(struct tally *t, const struct tally_key *key, int64_t now_ms,
                        uint32_t *index);
void tally_drop(struct tally *t, uint32_t index);
/* Of a table that nobody else uses: the key was never there. */
void tally_forget(struct tally *t, uint32_t index);
/* For showing: a copy of the key when somebody holds the entry or its time is not over. */
bool tally_peek(const struct tally *t, uint32_t index, int64_t now_ms, struct tally_key *key);
/* The key's entry as tally_peek() would show it; nothing is held or made. */
bool tally_look(const struct tally *t, const struct tally_key *key, int64_t now_ms,
                uint32_t *index);
/* While held. False: it was kept as long already. */
bool tally_keep(struct tally *t, uint32_t index, int64_t until_ms);

/* Adds n when that stays within max (0: no limit). use: afterwards, or what stands there. */
bool tally_level_take(_Atomic uint32_t *level, uint32_t max, uint32_t *use);
bool tally_window_take(_Atomic uint64_t *word, uint32_t window, uint32_t n, uint32_t max,
                       uint32_t *use);
void tally_window_undo(_Atomic uint64_t *word, uint32_t window, uint32_t n);
uint32_t tally_window_use(const _Atomic uint64_t *word, uint32_t window);
/* The number is among the first max that this window has seen, or may become one of them. */
bool tally_number_take(struct tally *t, uint32_t index, uint32_t window, struct sl number,
                       uint32_t max, uint32_t *use);
uint32_t tally_number_use(const struct tally *t, uint32_t index, uint32_t window);
/* For a copy that nobody else writes. */
void tally_copy_numbers(struct tally *to, uint32_t slot, const struct tally *from, uint32_t index);
void tally_run(struct tally_entry *e, int64_t since_s, bool on);
uint64_t tally_running_s(const struct tally_entry *e, int64_t now_s);

#endif
