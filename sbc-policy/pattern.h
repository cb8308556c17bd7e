/* pattern.h - regular expressions in bounded time (PCRE2 syntax, bytes, no callouts). The library
 * backtracks, so each match has a budget of steps and of memory, whatever the pattern and the text
 * are: beyond it the answer is POLICY_FIT_COSTLY, which counts as "does not fit". Matching takes
 * its memory from a block of the thread and never from the heap.
 * Thread: making and freeing one; matching any (immutable). */
#ifndef POSTERN_POLICY_PATTERN_H
#define POSTERN_POLICY_PATTERN_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_PATTERN_MAX 256     /* bytes of a pattern */
#define POLICY_PATTERN_STEPS 20000 /* of one match: some 200 us at the very worst */
#define POLICY_PATTERN_GROUPS 10   /* \0 to \9 in a replacement */
#define POLICY_SUBJECT_MAX 1024    /* bytes that are looked at; longer texts never fit */

struct policy_pattern;

/* EBADMSG: *why (the caller's, in words) and *at (offset) say what is wrong; ENOMEM. */
MUST_USE int policy_pattern_new(struct policy_pattern **pp, struct sl text, size_t *at,
                                char why[128]);
void policy_pattern_free(struct policy_pattern **pp);           /* accepts NULL */
unsigned policy_pattern_groups(const struct policy_pattern *p); /* beside the whole */

enum policy_fit { POLICY_FIT_NO, POLICY_FIT_YES, POLICY_FIT_COSTLY };
/* Does the whole of s fit? As globs do: no ^ and $ needed. */
enum policy_fit policy_pattern_whole(const struct policy_pattern *p, struct sl s);
/* Is there a part of s that fits, and where; groups[0] is that part, groups that took no part are
 * empty. */
enum policy_fit policy_pattern_part(const struct policy_pattern *p, struct sl s,
                                    struct sl groups[POLICY_PATTERN_GROUPS]);

#endif
