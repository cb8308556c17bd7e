/* guard.h - the edge: how far a source is trusted before a byte of it is parsed, and how much of it
 * is let in. Part of policy.h. Pure: state and time are arguments.
 * Thread: any; the gate is one per process and its state is atomic, so counts are exact across
 * workers and nobody waits. */
#ifndef POSTERN_POLICY_GUARD_H
#define POSTERN_POLICY_GUARD_H

#include "base/base.h"
#include "sbc-policy/offence.h"

struct policy;

/* What the configuration says of hostile sources. */
struct policy_security {
    struct policy_ban_rules bans;
    struct prefix *allow; /* never denied */
    size_t n_allow;
    const struct addr *own; /* ourselves: bound and advertised addresses */
    size_t n_own;
    uint32_t unknown_pps;      /* packets per second of all strangers together; 0: no limit */
    uint32_t unknown_each_pps; /* of one of them (IPv6: a /64); 0: no limit */
    uint32_t met_pps;          /* of one connection that has spoken SIP; 0: no limit */
    bool hides;                /* strangers' packets that nobody expects get no answer */
    uint32_t trusted_pps;      /* of one peer's address or one user's flow; 0: no limit */
    uint32_t warn_percent;     /* of a budget in use: a warning; 0: none */
};

/* Who is where. Sources are exact: address and prefix length, IPv6 by /64; a flow is its whole
 * address and port. */
struct policy_gate;
MUST_USE int policy_gate_new(struct policy_gate **gp);
void policy_gate_free(struct policy_gate **gp);

enum policy_class {
    POLICY_DENIED,  /* under a ban: dropped without a look */
    POLICY_UNKNOWN, /* nothing is known: all of them share one budget */
    POLICY_MET,     /* a stranger whose connection has carried valid SIP: a budget of its own */
    POLICY_TRUSTED  /* a peer's source or target, or a flow by which a user proved himself */
};
struct policy_knock { /* somebody at the door */
    struct addr source;
    uint8_t listener;
    bool connected; /* a stream: the handshake proved the address */
    bool stream;    /* one that is just made: a datagram's flow is another one */
    uint32_t peer;  /* policy_peer.id that a certificate proved; 0: none */
};
/* First of: peer, proven flow, ban (unless the address is in `allow`), met, stranger. */
enum policy_class policy_classify(const struct policy_gate *g, const struct policy *p,
                                  const struct policy_knock *k, int64_t now_ms);

enum policy_admission {
    POLICY_ADMIT,
    POLICY_ADMIT_NEAR, /* let in, and some budget comes near its end: once per episode */
    POLICY_DROP_DENIED,
    POLICY_DROP_STRANGER, /* the strangers' budget is used up */
    POLICY_DROP_FAST      /* this source alone sends too fast */
};
/* Class and budgets: one packet, message or connection. A stranger with a connection is held to his
 * own rate only: he cannot pretend to be many. Budgets allow a burst of one second's worth. */
enum policy_admission policy_admit(struct policy_gate *g, const struct policy *p,
                                   const struct policy_knock *k, int64_t now_ms);

/* How much of the strangers' budget (a second's worth) is used up. */
uint32_t policy_strangers_now(const struct policy_gate *g, const struct policy *p, int64_t now_ms);

/* The flow (address and port) has proven itself until then; demote: no longer. Whoever sends to an
 * address that no configuration names marks it like that, for the answers. The tables are
 * bounded: what would end first makes room. Times are monotonic, rounded up to whole seconds. */
/* True: it had not. */
bool policy_prove(struct policy_gate *g, const struct addr *flow, int64_t until_ms, int64_t now_ms);
void policy_demote(struct policy_gate *g, const struct addr *flow);
/* A proven flow comes from this address (any port, IPv6: the /64). */
bool policy_has_proven(const struct policy_gate *g, const struct addr *ip, int64_t now_ms);
/* The same of any address in a network: walks a table of 65,536, not for each packet. */
bool policy_proven_in(const struct policy_gate *g, const struct prefix *net, int64_t now_ms);
/* A connection brought valid SIP: it is met, unless it fell; it offended: it falls, as long as it
 * lives; it is gone: forgotten. An hour of silence ends either. */
void policy_meet(struct policy_gate *g, const struct addr *flow, int64_t now_ms);
void policy_fall(struct policy_gate *g, const struct addr *flow, int64_t now_ms);
void policy_part(struct policy_gate *g, const struct addr *flow);
/* IPv6 prefixes longer than /64 count as their /64; ports do not count. */
void policy_deny(struct policy_gate *g, const struct prefix *p, int64_t until_ms, int64_t now_ms);
void policy_undeny(struct policy_gate *g, const struct prefix *p);
/* Packets and messages that this mark has dropped since it was set; the longest prefix counts. */
uint64_t policy_denied_packets(const struct policy_gate *g, const struct prefix *p, int64_t now_ms);

/* The address is in `allow`, or a peer's target or source on any listener (sources wider than /8,
 * IPv6 /16, mean anybody and protect nobody): nobody may ban it. */
bool policy_is_protected(const struct policy *p, const struct addr *ip);
/* Somebody whom nobody may ban lives in there, or it lies within such a network. */
bool policy_guards_in(const struct policy *p, const struct prefix *net);

#endif
