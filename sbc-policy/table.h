/* table.h - tables of number prefixes: a million rows, the longest prefix wins. A read-only trie of
 * 8 bytes a node, one symbol (0-9 + * #) a step; a stretch that leads to one row only is kept as
 * packed symbols instead of nodes. A million random E.164 prefixes take 15 bytes a row (make
 * bench-policy), dense ones 8 to 9. Thread: building and freeing one; looking up any (immutable).
 */
#ifndef POSTERN_POLICY_TABLE_H
#define POSTERN_POLICY_TABLE_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_PREFIX_MAX 32       /* symbols of a row */
#define POLICY_TAGS_MAX 65534      /* different tags of one table */
#define POLICY_TABLE_MAX 10000000u /* rows */
#define POLICY_TAG_NONE 0          /* no row fits */

struct policy_table;
struct policy_table_draft;

MUST_USE int policy_table_draft_new(struct policy_table_draft **dp);
void policy_table_draft_free(struct policy_table_draft **dp); /* accepts NULL */
/* Adds a row; both slices are copied. tag may be empty. EBADMSG: a byte that is no symbol (its
 * offset in *bad), or no symbol at all; EMSGSIZE: longer than POLICY_PREFIX_MAX; ENOBUFS: too many
 * rows or tags; ENOMEM. */
MUST_USE int policy_table_add(struct policy_table_draft *d, struct sl prefix, struct sl tag,
                              uint32_t line, size_t *bad);
/* Two rows with the same prefix, by their lines; the first one in the file is `first`. */
typedef void(policy_table_twice_fn)(void *arg, uint32_t line, uint32_t first);
/* Makes the table and ends the draft, whatever happens. EEXIST: rows stood there twice, twice() was
 * told of each; ENOMEM. */
MUST_USE int policy_table_build(struct policy_table **tp, struct policy_table_draft **dp,
                                policy_table_twice_fn *twice, void *arg);
void policy_table_free(struct policy_table **tp); /* accepts NULL */

/* Tag of the longest row that the number begins with, POLICY_TAG_NONE when there is none; *matched
 * gets the symbols of that row. At most POLICY_PREFIX_MAX steps. */
uint16_t policy_table_find(const struct policy_table *t, struct sl number, size_t *matched);
uint16_t policy_table_tag(const struct policy_table *t, struct sl tag); /* POLICY_TAG_NONE: none */
size_t policy_table_rows(const struct policy_table *t);
size_t policy_table_bytes(const struct policy_table *t); /* memory of the trie and its tails */

#endif
