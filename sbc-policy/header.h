/* header.h - header rules: what a side's messages may say beyond what makes them work. A list works
 * from top to bottom; each rule sees what the ones before left. Fields that hold a message, its
 * transaction or its dialog together belong to us and no rule touches them. Pure; all work is on a
 * block of the caller's. Thread: any. */
#ifndef POSTERN_POLICY_HEADER_H
#define POSTERN_POLICY_HEADER_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_FIELDS_MAX 128  /* fields of one message */
#define POLICY_FIELDS_MEM 8192 /* bytes that rules made or copied */
#define POLICY_VALUE_MAX 1024  /* bytes of a value that a rule made or copied */

enum policy_direction { POLICY_IN, POLICY_OUT };
enum policy_action_on { POLICY_ON_ALL, POLICY_ON_REQUESTS, POLICY_ON_RESPONSES };
enum policy_header_op {
    POLICY_OP_ADD,     /* one more field */
    POLICY_OP_SET,     /* this one instead of all of that name */
    POLICY_OP_REMOVE,  /* all of that name */
    POLICY_OP_RENAME,  /* all of that name: to */
    POLICY_OP_REPLACE, /* in all of that name: the part that fits the pattern, by value */
    POLICY_OP_COPY     /* all of that name, again as `to`; out: from the other side's message */
};
struct policy_header_rule {
    enum policy_direction direction;
    enum policy_header_op op;
    enum policy_action_on on;
    const char *name, *value, *to;
    const struct policy_pattern *pattern;
    bool reveal;                 /* what it leaves may name the other side */
    struct policy_texts methods; /* none: all */
    struct policy_texts conds_text;
    struct policy_cond *conds; /* conds_text.n of them */
};
struct policy_reply_rule { /* failures made other failures */
    enum policy_direction direction;
    uint16_t from, to; /* of the range */
    uint16_t status;   /* becomes this one */
};

struct policy_identity { /* RFC 3323, RFC 3325 */
    bool trust;          /* of our trust domain: its P-Asserted-Identity counts, and it gets ours */
    bool ignore_privacy; /* From is told although the caller asked that it be not */
};

/* Why no rule may touch this field; NULL: it may. Compact names are known, case does not matter. */
const char *policy_field_is_ours(struct sl name);
bool policy_is_field_name(struct sl name); /* an RFC 3261 token */

struct policy_fields {
    struct policy_header e[POLICY_FIELDS_MAX];
    size_t n;
    size_t used;
    uint32_t lost; /* what there was no room for */
    char mem[POLICY_FIELDS_MEM];
};
void policy_fields_init(struct policy_fields *f);
/* Borrows both. */
void policy_fields_add(struct policy_fields *f, struct sl name, struct sl value);
/* Copies what a buffer holds from `mark` on, lines "Name: value CRLF" of our own making. */
void policy_fields_read(struct policy_fields *f, struct sl lines);
/* Writes them; control characters never get into the output. */
void policy_fields_put(struct buf *b, const struct policy_fields *f);

struct policy_message {
    struct sl method;
    bool is_response;
};
/* other: what POLICY_OP_COPY of outgoing messages draws from; NULL: nothing. */
void policy_headers_apply(const struct policy_header_rule *rules, size_t n,
                          enum policy_direction direction, const struct policy_message *m,
                          struct policy_fields *f, const struct policy_fields *other);
uint16_t policy_reply_status(const struct policy_reply_rule *rules, size_t n,
                             enum policy_direction direction, uint16_t status);

#endif
