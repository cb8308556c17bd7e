/* offence.h - what a source can do wrong, and the book of bans. Part of policy.h. Pure: time is an
 * argument, nothing is sent or written. Thread: the book belongs to one; policy_scanner() any. */
#ifndef POSTERN_POLICY_OFFENCE_H
#define POSTERN_POLICY_OFFENCE_H

#include "base/base.h"

struct policy;
struct policy_gate;

enum policy_event {
    POLICY_SCANNER,      /* looks like a tool that searches for victims */
    POLICY_AUTH_FAILED,  /* a wrong password */
    POLICY_UNKNOWN_USER, /* somebody who is not here */
    POLICY_MALFORMED,    /* no SIP, or broken SIP */
    POLICY_ACL_DENIED,   /* a stranger where only peers may call, or no route for a user */
    POLICY_TOLL_FRAUD,   /* a stranger who tries expensive numbers */
    POLICY_MANUAL,       /* a ban by the operator; never an offence */
    POLICY_EVENTS
};
extern const char *const policy_event_words[POLICY_EVENTS]; /* of log, store and API */
uint32_t policy_event_points(enum policy_event e);

/* What proves that the source is who sent this very message. */
enum policy_proof { POLICY_UNPROVEN, POLICY_BY_STREAM, POLICY_BY_DIGEST };

struct policy_offence {
    enum policy_event event;
    enum policy_proof proof;
    struct addr source;
    struct sl evidence; /* the message; at most POLICY_EVIDENCE_MAX bytes of it are kept */
};
#define POLICY_EVIDENCE_MAX 1024

/* Wrong passwords of one account, of all addresses where its owner has not shown the right one. */
struct policy_guesses {
    uint32_t failures; /* so many are let be; 0: not counted */
    uint32_t block_s;  /* the longest wait, and after so long a silence all is forgotten */
};

#define POLICY_DURATIONS_MAX 8
#define POLICY_AGENTS_MAX 64
#define POLICY_QUIET_MS 60000 /* silence for unproven sources */

struct policy_ban_rules {
    bool present;                                /* else nothing is scored */
    bool dry_run;                                /* everything but the drop */
    bool firewall;                               /* proven ones go to nftables, too */
    uint32_t threshold;                          /* points */
    uint32_t window_ms;                          /* in which so many points are forgotten */
    uint32_t durations_ms[POLICY_DURATIONS_MAX]; /* of the first ban, the second ... */
    size_t n_durations;
    uint32_t network_after; /* so many banned addresses of one IPv4 /24: the /24; 0: never */
    const char *agents[POLICY_AGENTS_MAX]; /* User-Agents beside the built-in ones */
    size_t n_agents;
};

/* What a request looks like to the eye that knows the tools. Slices are borrowed. */
struct policy_look {
    struct sl user_agent, from_display, from_user, from_host, call_id, branch;
};
bool policy_scanner(const struct policy_ban_rules *rules, const struct policy_look *look);
/* A number in the ways that thieves write expensive ones: +, 00, 011, 9011 ... and many digits. */
bool policy_looks_expensive(struct sl called);

struct policy_ban { /* read only */
    struct hnode node;
    struct list in_order;
    uint64_t id;
    struct prefix prefix;
    enum policy_event event;
    enum policy_proof proof;
    uint16_t port;  /* of the one flow that it holds, whose address is whole; 0: the prefix */
    bool quiet;     /* an unproven source or one flow: never in the firewall, never kept */
    bool dry_run;   /* nothing is dropped */
    bool firewall;  /* for nftables, too: proven or manual, and nobody known lives there */
    uint32_t level; /* bans of it before this one */
    uint32_t points;
    int64_t since_ms, until_ms; /* Unix ms; over: only remembered, for the next one's length */
    struct sl evidence;         /* raw bytes */
    char reason[64];
};

enum policy_change {
    POLICY_NO_CHANGE,
    POLICY_BANNED,
    POLICY_SILENCED,  /* quiet */
    POLICY_SHUT,      /* one flow of an address where users have proven themselves */
    POLICY_SUPPRESSED /* would be banned, but nobody may ban it */
};
struct policy_now { /* both clocks, read once */
    int64_t mono_ms, wall_ms;
};

struct policy_bans;
MUST_USE int policy_bans_new(struct policy_bans **bp, struct policy_gate *gate); /* gate borrowed */
void policy_bans_free(struct policy_bans **bp);
/* Scores an offence, of the address; where users have proven themselves, one with a proof of its
 * own is scored and punished by its flow alone, until there are many at one address. *out: the ban
 * that it led to (or that grew to a network), else NULL. ENOMEM: scored, but the ban could not be
 * kept. */
MUST_USE int policy_bans_note(struct policy_bans *b, const struct policy *p,
                              const struct policy_offence *o, const struct policy_now *now,
                              enum policy_change *change, const struct policy_ban **out);
/* The source has shown a right password: what it did unproven is forgotten. */
void policy_bans_forgive(struct policy_bans *b, const struct addr *source);
/* By the operator, whatever the score. EPERM: protected; EINVAL: a prefix of less than 8 (IPv4) or
 * 16 bits; ENOBUFS: the book is full; ENOMEM. */
struct policy_order {
    struct prefix at;
    int64_t for_ms;
    struct sl reason; /* borrowed */
};
MUST_USE int policy_bans_add(struct policy_bans *b, const struct policy *p,
                             const struct policy_order *order, const struct policy_now *now,
                             const struct policy_ban **out);
/* From the store, at start. Times in it are Unix ms. Not for the firewall before
 * policy_bans_recheck(): who has proven himself is not known yet. ENOBUFS, ENOMEM. */
MUST_USE int policy_bans_load(struct policy_bans *b, const struct policy_ban *row,
                              const struct policy_now *now);
/* Lifts the ban and forgets score and history. false: there is none. */
bool policy_bans_remove(struct policy_bans *b, uint64_t id);
/* What the configuration protects by now is let go: fn hears of each. Of the others, each is asked
 * again whether it is one for the firewall. */
typedef void(policy_ban_fn)(const struct policy_ban *ban, void *arg);
void policy_bans_recheck(struct policy_bans *b, const struct policy *p,
                         const struct policy_now *now, policy_ban_fn *fn, void *arg);
/* A wider ban for the firewall is in force there: this one adds nothing. */
bool policy_bans_is_covered(const struct policy_bans *b, const struct policy_ban *ban,
                            int64_t wall_ms);
/* Forgets what is over and no longer counts: fn hears of each. */
void policy_bans_tick(struct policy_bans *b, const struct policy_now *now, policy_ban_fn *fn,
                      void *arg);
/* The ban that meets this address now (the widest), or NULL. */
const struct policy_ban *policy_bans_find(const struct policy_bans *b, const struct addr *ip,
                                          int64_t wall_ms);
/* The one of this very prefix, now. */
const struct policy_ban *policy_bans_at(const struct policy_bans *b, const struct prefix *at,
                                        int64_t wall_ms);
const struct policy_ban *policy_bans_by_id(const struct policy_bans *b, uint64_t id);
/* Those that are not over, the newest first, from below an id (0: all), until fn returns false. */
void policy_bans_each(const struct policy_bans *b, uint64_t before_id, int64_t wall_ms,
                      bool (*fn)(const struct policy_ban *ban, void *arg), void *arg);
size_t policy_bans_count(const struct policy_bans *b);
/* Packets and messages that the workers have dropped for it since it came into force. */
uint64_t policy_bans_packets(const struct policy_bans *b, const struct policy_ban *ban,
                             int64_t mono_ms);
/* Points that the source has now, proven or unproven. */
uint32_t policy_bans_points(const struct policy_bans *b, const struct policy_ban_rules *rules,
                            const struct addr *ip, bool proven, int64_t mono_ms);

#endif
