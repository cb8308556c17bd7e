/* egress_int.h - what the set of hidden hosts and the search share. */
#ifndef POSTERN_POLICY_EGRESS_INT_H
#define POSTERN_POLICY_EGRESS_INT_H

#include "sbc-policy/policy.h"

#define EGRESS_OWNERS_MAX 8 /* of one host; what more have is nobody's secret */
#define EGRESS_NOBODY 0xFFFFu
#define EGRESS_KEY_MIN 8 /* letters and digits of a key, at least */

enum egress_mark { EGRESS_EMPTY, EGRESS_OWNED, EGRESS_PUBLIC };
struct egress_host {
    uint64_t hash;
    enum egress_mark mark;
    uint8_t owners;   /* entries of the same host, in the first of them */
    uint8_t listener; /* whose address it is, or 0xFF */
    uint16_t peer;    /* or EGRESS_NOBODY */
    const char *name; /* NULL: an address */
    struct addr addr;
};
struct policy_egress {
    const struct policy *policy;
    struct egress_host *hosts; /* open addressing, at most half full */
    size_t cap;                /* a power of two */
    size_t n_listeners;
};

/* Of a name: without case. */
uint64_t egress_hash_name(struct sl name);
uint64_t egress_hash_addr(const struct addr *a);
/* Of a run of letters and digits; of what is longer than 16 bytes the ends decide. */
uint64_t egress_hash_run(struct sl run);

enum egress_answer { EGRESS_UNKNOWN, EGRESS_OWN, EGRESS_HIDDEN };
/* What the configuration says of a host to the one who is looked at. */
enum egress_answer egress_ask_name(const struct policy_sight *l, struct sl name, uint64_t hash);
enum egress_answer egress_ask_addr(const struct policy_sight *l, const struct addr *a,
                                   uint64_t hash);
/* By the networks that peers speak from. */
enum egress_answer egress_ask_source(const struct policy_sight *l, const struct addr *a);

static inline bool egress_said(const struct policy_said *s, uint64_t hash)
{
    if (s == NULL || (s->bloom >> (hash & 63) & 1) == 0) {
        return false;
    }
    for (unsigned i = 0; i < s->n; i++) {
        if (s->hash[i] == hash) {
            return true;
        }
    }
    return false;
}

/* --- egress_text.c: where in bytes such things stand --- */
enum { EGRESS_ALNUM = 1, EGRESS_DIGIT = 2, EGRESS_HEX = 4, EGRESS_HOST = 8 };
extern const uint8_t egress_classes[256];
static inline bool egress_is_alnum(char c)
{
    return (egress_classes[(uint8_t)c] & EGRESS_ALNUM) != 0;
}
static inline bool egress_is_digit(char c)
{
    return (egress_classes[(uint8_t)c] & EGRESS_DIGIT) != 0;
}
static inline bool egress_is_host(char c) /* letters, digits, dot, hyphen, underscore */
{
    return (egress_classes[(uint8_t)c] & EGRESS_HOST) != 0;
}
/* Of up to 64 bytes, the lowest bit for the first: letters and digits, and dots and those colons
 * that no space follows within the block (that of a header's name stands in no address). */
#define EGRESS_BLOCK 64
struct egress_marks {
    uint64_t alnum, dots;
};
struct egress_marks egress_marks(struct sl text);
struct egress_marks egress_marks_each(struct sl text); /* the same, byte by byte */
/* The dotted quad that begins at `at`: its length, or 0. */
size_t egress_quad(struct sl text, size_t at, struct addr *out);
/* The IPv6 address around the colon at `at`: where it begins; *end: where what was looked at ends.
 * False: it is none. */
bool egress_six(struct sl text, size_t at, size_t *begin, size_t *end, struct addr *out);
/* The longest run of letters and digits. */
struct sl egress_longest_run(struct sl text);

#endif
