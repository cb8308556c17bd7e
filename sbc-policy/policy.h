/* policy.h - who may pass, and where to. Pure: a decision is a function of (policy, request facts,
 * limit state, time); it does no I/O, allocates nothing, cannot fail, and carries its trace.
 * Thread: a compiled policy is immutable and shared; the book's counters are atomic. */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "base/base.h"
#include "sbc-policy/guard.h"
#include "sbc-policy/policy_media.h"

#define POLICY_NAME_MAX 64 /* bytes of any name in the configuration */
#define POLICY_HOSTNAME_MAX 253

#include "sbc-policy/table.h"
#include "sbc-policy/pattern.h"
#include "sbc-policy/zone.h"
#include "sbc-policy/number.h"
#include "sbc-policy/route.h"
#include "sbc-policy/header.h"

struct policy_counter; /* what a party uses now */
#include "sbc-policy/limit.h"
#include "sbc-policy/session.h"
#include "sbc-policy/verdict.h"
#include "sbc-policy/edge.h"
#include "sbc-policy/health.h"

struct policy_uri_target {        /* where a peer is reached */
    const char *uri;              /* as written: sip:host:port;transport=… */
    struct addr addr;             /* numeric host and port (default 5060, 5061 for TLS) */
    uint8_t transport;            /* 0 UDP, 1 TCP, 2 TLS: as enum sip_transport */
    bool sips;                    /* sips: is written, so sips: is what it is asked for */
    struct policy_health *health; /* by policy_compile */
};

struct policy_peer_tls { /* how the peer is dialled; files are the configuration's business */
    bool verify;
    const char *ca;                /* NULL: the system's */
    const char *certificate, *key; /* ours; NULL: none */
    const char **names; /* one of them must be in its certificate; none: the target's address */
    size_t n_names;
};

struct policy_peer {
    const char *name;
    uint8_t listener;
    struct prefix *sources;
    size_t n_sources;
    const char **certificates; /* names that prove the peer; either these or a source is enough */
    size_t n_certificates;
    struct policy_peer_tls tls;
    struct policy_uri_target *targets;
    size_t n_targets;
    uint8_t media;        /* index of the media profile */
    bool trusted_network; /* SDES keys may go there without TLS */
    struct policy_limit limit;
    struct policy_sides numbers;
    struct policy_header_rule *headers;
    struct policy_reply_rule *replies;
    size_t n_headers, n_replies;
    struct policy_identity identity;
    struct policy_topology topology;
    uint8_t nat;          /* enum policy_nat */
    uint32_t failover_ms; /* no answer at all within it: next target; 2000 */
    uint32_t waiting_max; /* calls without any answer, per target; 0: any */
    struct policy_probe probe;
    struct policy_breaker breaker;
    uint8_t last_resort; /* enum policy_last_resort */
    bool drain;          /* no new calls to it */
    struct policy_session session;
    const char *username, *password, *realm; /* for challenges from the peer; NULL: none */
    /* Filled in by policy_compile. The number is the name's as long as any policy of the book has
     * it, and never another's: it may outlive a policy. 1 to POLICY_ID_MAX. */
    uint32_t id;
    struct policy_counter *counter;
    struct policy_health *health;
};
#define POLICY_ID_MAX 0xFFFFFFu

struct policy_account {
    const char *name;
    const char *password;
};
struct policy_users {
    bool present;
    const char *domain;
    uint8_t listener;
    uint8_t media;
    bool trusted_network;
    bool sha256; /* challenge with SHA-256 instead of MD5 */
    uint32_t expires_min_s, expires_max_s, expires_default_s;
    uint32_t max_contacts; /* bindings per user */
    uint32_t nonce_life_s;
    struct policy_guesses guesses;
    uint8_t keepalive; /* enum policy_keep; to devices behind NAT, over UDP */
    uint32_t keepalive_ms, keepalive_max_ms;
    struct policy_account *accounts;
    size_t n_accounts;
    struct policy_sides numbers;
    struct policy_limit limit; /* of each */
    struct policy_topology topology;
    struct policy_session session;
};

struct policy_table_ref { /* owned by the snapshot */
    const char *name;
    const char *file;
    struct policy_table *table;
};

/* What the configuration says; strings and arrays belong to its snapshot and outlive the policy. */
struct policy_def {
    const char *const *listeners;
    size_t n_listeners;
    struct policy_media_profile *profiles;
    size_t n_profiles;
    struct policy_peer *peers;
    size_t n_peers;
    struct policy_users users;
    struct policy_group *groups;
    size_t n_groups;
    struct policy_table_ref *tables;
    size_t n_tables;
    struct policy_callout *callouts;
    size_t n_callouts;
    struct policy_route *routes;
    size_t n_routes;
    struct policy_limit limit;        /* of the node */
    struct policy_limit source_limit; /* early, of each address that calls come from */
    struct policy_destination *destinations;
    size_t n_destinations;
    struct policy_security security;
};
/* Counters by name that outlive snapshots; one per process, freed after all policies. */
struct policy_book;
MUST_USE int policy_book_new(struct policy_book **bp);
void policy_book_free(struct policy_book **bp);
struct policy;
/* Builds the look-up tables. def is kept by reference. book NULL: counters of its own. ENOMEM;
 * EMSGSIZE: a peer's name; ENOBUFS: no numbers are left. */
MUST_USE int policy_compile(struct policy **pp, struct policy_def *def, struct policy_book *book);
void policy_free(struct policy **pp);
const struct policy_def *policy_def(const struct policy *p);
/* The peer that may speak from this address on this listener, or -1; longest prefix wins. */
int policy_peer_by_source(const struct policy *p, uint8_t listener, const struct addr *src);
/* The peer of this listener that one of the names (of a verified certificate) proves, or -1. */
int policy_peer_by_certificate(const struct policy *p, uint8_t listener, const struct sl *names,
                               size_t n);
int policy_peer_by_id(const struct policy *p, uint32_t id); /* or -1 */
/* Who speaks: the peer whose id was proven (0: nobody's) on its listener, else the source's. -1. */
int policy_peer_of(const struct policy *p, uint8_t listener, const struct addr *src,
                   uint32_t proven);
int policy_peer_by_name(const struct policy *p, struct sl name); /* or -1 */
int policy_user_by_name(const struct policy *p, struct sl name); /* exact bytes; or -1 */

struct policy_request { /* facts; slices are borrowed; numbers and users are unescaped */
    struct sl method;
    uint8_t listener;
    struct addr source;
    uint32_t proven; /* policy_peer.id that a certificate has proven; 0: none */
    struct sl called, called_host;
    struct sl calling;
    int auth_user;                       /* proven account, or -1 */
    bool new_call;                       /* INVITE: limits count */
    int64_t wall_ms;                     /* Unix time, for routes with a time of day */
    uint64_t random;                     /* for routes with weights */
    const struct policy_header *headers; /* when policy_wants_headers() */
    size_t n_headers;
    const struct policy_callout_reply *replies; /* heard so far; none: POLICY_CALLOUT asks */
    size_t n_replies;
    const struct sl *codecs; /* of the offer, when policy_wants_codecs() */
    size_t n_codecs;
};
/* Do any routes look at them? */
bool policy_wants_headers(const struct policy *p);
bool policy_wants_codecs(const struct policy *p);

/* First match wins, no match refuses (404 for known sources, 403 for strangers on listeners without
 * users). Strangers on the users' listener get POLICY_CHALLENGE whatever they ask for, so that
 * nothing distinguishes known from unknown. Every request of a known party counts in its rate;
 * with new_call and POLICY_ROUTE so does the call: in that of the peer or user, its source, the
 * destinations, and the node, in this order. The first that is over refuses and is named in
 * out->told; nothing stays counted then but the rate, and numbers among those tried. */
void policy_decide(const struct policy *p, const struct policy_request *rq, int64_t now_ms,
                   struct policy_verdict *out);
/* Gives back what the verdict took; once per verdict (clears counted). */
void policy_release(const struct policy *p, struct policy_verdict *v);
/* Of the same definition: `to` goes on from where `from` stands now. */
void policy_copy_counts(const struct policy *to, const struct policy *from);
/* The trace in words, step by step; name may be NULL. */
typedef void(policy_told_fn)(void *arg, const char *step, const char *name, const char *result);
void policy_trace_each(const struct policy *p, const struct policy_verdict *v, policy_told_fn *fn,
                       void *arg);
/* The trace as JSON array of {step, name, result} in words. */
void policy_trace_json(const struct policy *p, const struct policy_verdict *v, struct json *j);

#include "sbc-policy/egress.h"

#endif
