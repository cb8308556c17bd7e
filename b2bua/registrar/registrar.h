/* registrar.h - digest authentication of users, their bindings (RFC 3261 10), and where they can be
 * reached. Each user belongs to one worker (registrar_owner) which alone changes its bindings;
 * every worker holds a replica for look-ups. Thread: the worker's, except struct auth (any). */
#ifndef POSTERN_REGISTRAR_H
#define POSTERN_REGISTRAR_H

#include "net/net.h"
#include "sbc-policy/policy.h"
#include "store/store.h"
#include "tx/tx.h"

/* --- digest (RFC 3261 22, 7616): stateless HMAC nonces, one shared nc table --- */
struct auth; /* one per process; thread-safe without locks */
MUST_USE int auth_new(struct auth **ap);
void auth_free(struct auth **ap);
/* From here on whoever asks is taken for this account, without a password: for requests that are
 * only tried out. */
MUST_USE int auth_assume(struct auth *a, struct sl user);

enum auth_result {
    AUTH_OK,        /* *user is proven */
    AUTH_CHALLENGE, /* no (usable) credentials: challenge */
    AUTH_STALE,     /* right answer to an old or used nonce: challenge with stale=true */
    AUTH_FAILED,    /* wrong: challenge again; the caller counts it */
    AUTH_HELD       /* not looked at, as too many have guessed: challenge again, say nothing */
};
struct auth_request {
    const struct sip_msg *msg; /* Authorization and Proxy-Authorization are both looked at */
    const struct policy *policy;
    struct addr source; /* nonces are bound to the IP address */
    int64_t wall_ms;
    bool *echoed; /* out, may be NULL: wrong answer, but to a nonce that we gave to this address */
};
/* Work and answer are the same for known and unknown users. Accepts qop=auth and no qop (RFC 2069
 * style, nonce used once), any digest uri, a nonce across 401 and 407, nc rising. */
enum auth_result auth_check(struct auth *a, const struct auth_request *rq, int *user);
/* The whole WWW-Authenticate (or Proxy-Authenticate) field: exactly one, MD5 qop="auth" by default.
 */
struct auth_challenge {
    const struct policy_users *users;
    bool proxy, stale;
    const struct addr *source;
    int64_t wall_ms;
};
void auth_put_challenge(struct buf *b, struct auth *a, const struct auth_challenge *c);
/* The user's password was shown from there before this process began. */
void auth_note_home(struct auth *a, struct sl user, const struct addr *source, int64_t wall_ms);
/* Wrong passwords of this account from strange addresses by now (struct policy_guesses); held_s:
 * how long those still wait. */
uint32_t auth_guessed(const struct auth *a, const struct policy *p, int user, int64_t wall_ms,
                      uint32_t *held_s);

/* --- bindings --- */
struct registrar; /* of one worker */
struct binding {
    struct sl user;     /* account name */
    struct sl contact;  /* URI as registered: Request-URI toward the phone */
    struct sl instance; /* +sip.instance, or empty */
    uint32_t reg_id;    /* which flow of that device (RFC 5626); 0: none */
    struct flow flow;   /* by which it is reached */
    int64_t expires_ms; /* Unix ms */
};
/* The bindings of one user, immutable, on its way to the other workers. */
struct reg_update;
struct reg_update *reg_update_clone(const struct reg_update *u); /* NULL: ENOMEM */
void reg_update_free(struct reg_update **up);
struct sl reg_update_user(const struct reg_update *u);
void reg_update_each_flow(struct reg_update *u, void (*fn)(void *arg, struct flow *flow),
                          void *arg);

struct dialog;
struct registrar_params {
    struct loop *loop;
    struct tx_table *tab;
    struct auth *auth;
    struct store *store; /* NULL: not kept (tests) */
    uint8_t worker, n_workers;
    /* Gives every other worker its own copy (reg_update_clone); takes nothing. */
    void (*publish)(void *arg, const struct reg_update *u);
    /* Keepalives to devices behind NAT (users.keepalive); net NULL: none. via: our address as it
     * stands in the Via of a request on this flow; NULL: no OPTIONS. */
    const struct net_ops *net;
    void *net_arg;
    void (*via)(void *arg, const struct flow *flow, struct addr *out);
    /* The last look at such an OPTIONS before it goes; EACCES: it may not. NULL: none. */
    int (*look)(void *arg, const struct dialog *d, struct buf *b);
    /* A binding came (+1) or went (-1) on a connection of this or another worker: keep it open. */
    void (*hold)(void *arg, const struct flow *flow, int delta);
    /* What the policy said of the user's devices. May be NULL. */
    void (*told)(void *arg, const struct policy_verdict *v);
    void *arg;
};
MUST_USE int registrar_new(struct registrar **rp, const struct registrar_params *p);
void registrar_free(struct registrar **rp);
void registrar_set_policy(struct registrar *r, const struct policy *p,
                          const char *const *listener_names, size_t n_listeners); /* borrowed */

/* Which worker owns the user of this request (REGISTER: To), same answer on every worker. */
uint8_t registrar_owner(const struct registrar *r, struct sl user);
/* Who sends this REGISTER. Asked before there is a transaction, so that strangers make no state.
 * False: to be answered 401 with the field written into challenge. */
struct reg_caller {
    int user; /* account when admitted */
    enum auth_result auth;
    bool echoed; /* see struct auth_request */
};
bool registrar_admit(struct registrar *r, const struct sip_msg *req, const struct addr *source,
                     struct reg_caller *caller, struct buf *challenge);
/* A REGISTER of that user on its owner, with its server transaction: changes bindings, answers. */
void registrar_request(struct registrar *r, struct tx *tx, struct sip_msg *req, int user);
/* From another worker. */
void registrar_apply(struct registrar *r, const struct reg_update *u);
/* A connection is gone: its bindings go too (call on every worker; the owner tells the store). */
void registrar_flow_gone(struct registrar *r, const struct flow *flow);
/* A listener has another number: its bindings go by that one. On every worker. */
void registrar_move(struct registrar *r, uint8_t from, uint8_t to);
/* At start, on every worker, before traffic: rows from the store. Streams are gone and dropped. */
void registrar_load(struct registrar *r, const struct store_binding *row);

#define REG_BINDINGS_MAX 16
/* Live bindings of a user, newest first; borrowed until the next call into the registrar. */
size_t registrar_lookup(const struct registrar *r, struct sl user,
                        const struct binding *out[REG_BINDINGS_MAX]);
/* The bindings of one user, for another registrar to apply. NULL: none, or ENOMEM. */
struct reg_update *registrar_copy(const struct registrar *r, struct sl user);
/* The same for who has none, so that another registrar forgets him. NULL: ENOMEM. */
struct reg_update *registrar_news(const struct registrar *r, struct sl user);
size_t registrar_count(const struct registrar *r); /* bindings in the replica */

#endif
