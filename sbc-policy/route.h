/* route.h - what a route matches and what it does then, as the configuration says it. All strings
 * and arrays belong to the snapshot. */
#ifndef POSTERN_POLICY_ROUTE_H
#define POSTERN_POLICY_ROUTE_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

#define POLICY_TARGETS_MAX 8 /* of one route, groups of peers counted by their members */
#define POLICY_TABLES_MAX 64
#define POLICY_CODES_MAX 16 /* ranges of status codes in one list */

enum policy_party {
    POLICY_NOBODY,
    POLICY_USERS,
    POLICY_PEER,
    POLICY_GROUP,     /* of peers; only in from and to */
    POLICY_USER_GROUP /* only in from */
};
struct policy_ref {
    enum policy_party kind;
    uint16_t peer;   /* index of the peer, or of the group */
    uint16_t weight; /* in a route's to: 0 stays where it is */
};
struct policy_group {
    const char *name;
    struct policy_ref *peers;
    size_t n_peers;
};

struct policy_table_ref { /* owned by the snapshot */
    const char *name;
    const char *file;
    struct policy_table *table;
};

struct policy_texts {
    const char **e;
    size_t n;
};
struct policy_user_group {
    const char *name;
    struct policy_texts users; /* names of accounts, or globs that fit some */
};
enum policy_by {
    POLICY_BY_ANY,
    POLICY_BY_EXACT,
    POLICY_BY_PREFIX,
    POLICY_BY_PATTERN,
    POLICY_BY_TABLE
};
struct policy_number_match { /* beside the glob */
    enum policy_by by;
    struct policy_texts texts; /* EXACT, PREFIX: one of them */
    const struct policy_pattern *pattern;
    uint16_t table;
    const char *tag; /* TABLE: of the longest row; NULL: any row */
};

#define POLICY_CALLOUTS_MAX 64
struct policy_callout { /* an HTTP server that decides for routes */
    const char *name, *url;
    uint32_t timeout_ms, pause_ms; /* of a question; of an open circuit */
    uint32_t failures, waiting;
    uint16_t fallback_code; /* without an answer: refuse with it; 0: the next routes */
};
enum policy_callout_kind {
    POLICY_REPLY_NONE, /* it failed */
    POLICY_REPLY_CONTINUE,
    POLICY_REPLY_REFUSE,
    POLICY_REPLY_ROUTE
};
struct policy_callout_reply { /* what was heard for a route */
    uint16_t route;
    enum policy_callout_kind kind;
    uint16_t code;      /* REFUSE */
    const char *reason; /* REFUSE; NULL: the usual one. Lives as long as the verdict */
    struct policy_ref to[POLICY_TARGETS_MAX]; /* ROUTE */
    size_t n_to;
};

struct policy_codes { /* inclusive ranges of status codes */
    struct {
        uint16_t from, to;
    } e[POLICY_CODES_MAX];
    size_t n;
};
bool policy_codes_has(const struct policy_codes *c, uint16_t status);

struct policy_route {
    const char *name;
    struct policy_ref *from; /* empty: anybody known */
    size_t n_from;
    /* what must fit, all of it */
    const char *called, *calling, *domain, *method; /* globs; NULL: any */
    struct policy_number_match called_by, calling_by;
    uint16_t *listeners;
    size_t n_listeners;          /* 0: any */
    struct policy_texts users;   /* globs of account names; 0: any, and peers too */
    struct policy_texts headers; /* "Name", "!Name" (absent) or "Name: glob" */
    struct policy_texts codecs;  /* the offer holds one of them */
    struct policy_when when;
    /* what happens: n_to != 0 routes, redirect redirects, goes_on looks further, else refuse */
    struct policy_numbers numbers; /* applied when the route matches */
    struct policy_ref to[POLICY_TARGETS_MAX];
    size_t n_to;
    bool has_failover;            /* else 503 goes on to the next target */
    struct policy_codes failover; /* beside no answer and no connection, which always do */
    uint16_t callout;             /* index + 1 of who decides; 0: nobody else */
    const char *redirect;         /* Contact; {called} stands for the number */
    uint16_t redirect_code;       /* 302 unless set */
    bool goes_on;
    uint16_t refuse_code; /* 403 unless set */
    const char *refuse_reason;
};

/* --- conditions on header fields: "Name", "!Name", "Name: glob", "!Name: glob" --- */
struct policy_header {
    struct sl name, value; /* the long name */
};
struct policy_cond {
    struct sl name, glob; /* glob.p NULL: any value */
    bool absent;
};
MUST_USE int policy_cond_parse(struct sl text, struct policy_cond *out); /* EBADMSG: no name */
/* Do all of them hold for these header fields? Names without regard to case. */
bool policy_conds_hold(const struct policy_cond *conds, size_t n, const struct policy_header *h,
                       size_t n_headers);

/* --- what follows from a verdict --- */
struct policy;
struct policy_verdict;
struct policy_request;
/* Does this failure of a target go on to the next one? */
bool policy_fails_over(const struct policy *p, const struct policy_verdict *v, uint16_t status);
/* The numbers as this target gets them: v's, by the rules of its side. own_* as in the request. */
void policy_numbers_out(const struct policy *p, const struct policy_verdict *v,
                        const struct policy_ref *to, const struct policy_request *own,
                        struct policy_number out[2]);
/* POLICY_REDIRECT: the Contact's URI. Bytes that no URI takes bare are percent-escaped. */
void policy_put_redirect(struct buf *b, const struct policy *p, const struct policy_verdict *v,
                         struct sl own_called);

#endif
