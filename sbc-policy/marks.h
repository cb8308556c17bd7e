/* marks.h - a bounded table of sources that are marked until some time. Exact keys, no locks: a
 * reader sees a whole entry or none. Private to sbc-policy/. Thread: any. */
#ifndef POSTERN_POLICY_MARKS_H
#define POSTERN_POLICY_MARKS_H

#include "base/base.h"

#include <stdatomic.h>

struct policy_key {
    uint64_t addr; /* IPv4 in the low 32 bits, or the upper half of IPv6; host bits are 0 */
    uint64_t low;  /* of a flow: the lower half of IPv6, as a /64 is many hosts */
    uint16_t port; /* of a flow; 0: any */
    uint8_t bits;  /* of the prefix: up to 32 or 64 */
    bool is_v6;
    bool stream; /* a flow that is a connection, where those are told from datagrams */
};
bool policy_key_eq(const struct policy_key *a, const struct policy_key *b);
/* bits beyond the family's are cut to it; with a port it is a flow. False: neither IPv4 nor IPv6.
 */
bool policy_key_of(const struct addr *a, uint8_t bits, uint16_t port, struct policy_key *out);
#define POLICY_KEY_WHOLE 255 /* the whole address, or the /64 */

struct policy_mark {
    _Atomic uint64_t addr, low;
    _Atomic uint64_t tag; /* until 28 bits (s), port 16, bits 7, stream 1, is_v6 1, version 11;
                           * 0: free */
};
struct policy_marks {
    struct policy_mark *e;
    uint32_t n_buckets; /* a power of two */
    uint8_t key[16];
};
MUST_USE int policy_marks_init(struct policy_marks *m, uint32_t n_buckets); /* ENOMEM */
void policy_marks_free(struct policy_marks *m);
/* Until when, in ms; 0: not marked now. */
int64_t policy_marks_until(const struct policy_marks *m, const struct policy_key *k,
                           int64_t now_ms);
/* Where it stands, below policy_marks_size(); -1: it is not marked now. It may stand for another
 * key by the time it is used. */
ptrdiff_t policy_marks_index(const struct policy_marks *m, const struct policy_key *k,
                             int64_t now_ms);
size_t policy_marks_size(const struct policy_marks *m);
void policy_marks_set(struct policy_marks *m, const struct policy_key *k, int64_t until_ms,
                      int64_t now_ms);
/* Is any address in the prefix (its port is not looked at) marked now? Walks the whole table. */
bool policy_marks_any_in(const struct policy_marks *m, const struct policy_key *net,
                         int64_t now_ms);
void policy_marks_clear(struct policy_marks *m, const struct policy_key *k);

#endif
