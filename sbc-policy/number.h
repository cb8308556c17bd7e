/* number.h - rewriting called and calling numbers. A list of rules works from top to bottom: each
 * that fits changes what the one before left, until one that fits says stop. Pure. Thread: any. */
#ifndef POSTERN_POLICY_NUMBER_H
#define POSTERN_POLICY_NUMBER_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_NUMBER_MAX 63 /* bytes; longer ones are never rewritten, nor made */

struct policy_number { /* n 0 and changed: rewritten to nothing */
    bool changed;      /* else the message's own stands, and p is empty */
    uint8_t n;
    char p[POLICY_NUMBER_MAX];
};

enum policy_form {
    POLICY_FORM_AS_IS,
    POLICY_FORM_E164,          /* 0…, 00…, +… become +… */
    POLICY_FORM_NATIONAL,      /* +country… becomes 0…, other +… 00… */
    POLICY_FORM_INTERNATIONAL, /* +… becomes 00… */
    POLICY_FORM_DIGITS         /* +… loses the plus */
};
struct policy_number_rule {
    const char *prefix;  /* fits numbers that begin with it; NULL: all */
    const char *replace; /* stands for the prefix then; NULL: the prefix stays */
    uint32_t strip;      /* characters cut off at the front */
    const char *prepend; /* or NULL */
    enum policy_form form;
    const char *country; /* E164, NATIONAL: "49" */
    const char *trunk;   /* "0" */
    const char *exit;    /* "00" */
    bool stop;
};
struct policy_numbers {
    struct policy_number_rule *called, *calling;
    size_t n_called, n_calling;
};
struct policy_sides {
    struct policy_numbers in;  /* of what comes from here, before routes are matched */
    struct policy_numbers out; /* of what goes there, last of all */
};

/* Applies the rules to *number (rewritten or not) whose text was `own` in the message. True: a rule
 * fitted and changed something. A result that would be too long is not taken. */
bool policy_number_apply(const struct policy_number_rule *rules, size_t n, struct sl own,
                         struct policy_number *number);
static inline struct sl policy_number_text(const struct policy_number *n, struct sl own)
{
    return n->changed ? sl_make(n->p, n->n) : own;
}

#endif
