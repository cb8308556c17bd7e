/* egress.h - the proof that nothing leaks: finds in an outgoing message what the one who gets it
 * may not learn. That is every address and host name of ours and of our peers that is not his own,
 * and in a call what the other side has said of itself. Pure; nothing is allocated after the build;
 * the work is bounded by the bytes. Thread: a built set is immutable and shared. */
#ifndef POSTERN_POLICY_EGRESS_H
#define POSTERN_POLICY_EGRESS_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

/* --- the hosts that one side of a call has named: its own, whatever they are --- */
#define POLICY_SAID_MAX 20

/* Hashes: the bytes are in the message where one is found again. By chance two are equal once in
 * 10^17 messages, and whoever makes it happen disturbs a call of his own. */
struct policy_said {
    uint64_t bloom; /* one bit for each hash: most look-ups end here */
    uint64_t hash[POLICY_SAID_MAX];
    uint8_t n;
    bool is_full; /* there was more */
    bool has_key; /* one of the hashes is of a key */
};
void policy_said_addr(struct policy_said *s, const struct addr *a);
/* A literal or a name with a dot in it; single labels are words like others and are left out. */
void policy_said_host(struct policy_said *s, struct sl host);
/* Addresses anywhere, names where hosts stand (o=, c=, candidates), and keys. */
void policy_said_sdp(struct policy_said *s, struct sl sdp);

/* --- what all of a configuration hides --- */
struct policy_egress;
struct policy_place { /* a listener */
    struct addr address, advertise;
};
/* places: one for each listener of the policy, which outlives the set. ENOMEM. */
MUST_USE int policy_egress_build(struct policy_egress **ep, const struct policy *policy,
                                 const struct policy_place *places, size_t n);
void policy_egress_free(struct policy_egress **ep);

/* --- looking --- */
#define POLICY_EGRESS_IDS 48
#define POLICY_EGRESS_OTHERS 16

enum policy_hit_kind { POLICY_HIT_ADDRESS, POLICY_HIT_NAME, POLICY_HIT_ID, POLICY_HIT_KEY };
struct policy_hit {
    enum policy_hit_kind kind;
    uint32_t at, n; /* in the bytes */
};
struct policy_sight {
    const struct policy_egress *set;
    struct policy_ref to; /* who gets it */
    uint8_t listener;     /* through which */
    const struct policy_said *own;
    const struct policy_said *others[POLICY_EGRESS_OTHERS];
    size_t n_others;
    struct sl ids[POLICY_EGRESS_IDS]; /* Call-IDs and tags of the others' dialogs */
    size_t n_ids;
};
/* Ids that could be found by chance (short, or few digits) are left out, and so is what is full. */
void policy_sight_id(struct policy_sight *l, struct sl id);
/* What was found, in the order of the bytes; these may be changed where they stand. */
typedef void(policy_hit_fn)(const struct policy_hit *hit, void *arg);
void policy_egress_scan(const struct policy_sight *l, struct sl bytes, policy_hit_fn *fn,
                        void *arg);
const char *policy_hit_word(enum policy_hit_kind kind);

#endif
