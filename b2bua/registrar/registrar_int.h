/* registrar_int.h - inside registrar/: records of bindings, users, and the nonce keeper. */
#ifndef POSTERN_REGISTRAR_INT_H
#define POSTERN_REGISTRAR_INT_H

#include "crypto/crypto.h"
#include "registrar/registrar.h"

#define REG_CONTACT_MAX 511 /* bytes of a Contact URI: 400 beyond */
#define REG_USERS_MAX 1000000u

/* One binding with what ordering and the store need; one block, never changed once made. */
struct rec {
    struct binding b;
    struct sl call_id;
    uint32_t cseq;
    struct sl user_agent;
    int64_t updated_ms;
};
/* Copies every slice of from. NULL: ENOMEM. */
struct rec *binding_rec_new(const struct rec *from);
static inline void binding_rec_free(struct rec *r)
{
    mem_free(r);
}

struct reg_user {
    struct hnode node;
    struct registrar *r;
    char *name;
    size_t name_n;
    struct timer expiry; /* runs on the owner only; so does: */
    struct timer keep;
    uint32_t keep_ms, keep_good_ms; /* pause now; longest that was answered, 0: none */
    bool keep_known;                /* one was not: it gets no longer */
    uint8_t n_pings;
    struct list pings;
    size_t n;
    struct rec *recs[REG_BINDINGS_MAX]; /* newest first */
};

struct reg_update {
    char *name;
    size_t name_n;
    size_t n;
    struct rec *recs[REG_BINDINGS_MAX];
};

struct registrar {
    struct registrar_params p;
    const struct policy *policy;
    const char *const *listeners;
    size_t n_listeners;
    struct hmap users;
    size_t n_bindings;
};

/* --- bindings.c --- */
struct reg_user *reg_user_find(const struct registrar *r, struct sl name);
struct reg_user *reg_user_get(struct registrar *r,
                              struct sl name); /* makes it; NULL: ENOMEM or full */
bool reg_is_owner(const struct registrar *r, struct sl name);
/* The user's bindings become recs[0..n): takes those over, frees the ones left out. On the owner:
 * tells the store, the other workers and the connections. An empty user is removed. */
void reg_user_set(struct reg_user *u, struct rec **recs, size_t n);

/* --- keep.c --- */
void reg_keep_init(struct reg_user *u);
void reg_keep_start(struct reg_user *u); /* whenever bindings have changed */
void reg_keep_stop(struct reg_user *u);

/* --- persist.c --- */
void reg_store_put(struct registrar *r, const struct rec *rec);
void reg_store_del(struct registrar *r, const struct rec *rec);

/* --- guess.c: thread: any --- */
struct guess_book;
MUST_USE int guess_book_new(struct guess_book **bp);
void guess_book_free(struct guess_book **bp);
struct guess_try {  /* an answer to a challenge */
    struct sl user; /* account name as it was written, without the domain */
    const struct addr *source;
    int64_t wall_ms;
    uint32_t failures, block_s; /* struct policy_guesses */
};
enum guess {
    GUESS_COUNTED,
    GUESS_BEGINS, /* counted, and from now on strangers wait */
    GUESS_HELD    /* not looked at: strangers wait, and he is no newcomer */
};
/* The account's owner has shown his password from there within a week. */
bool guess_is_home(const struct guess_book *b, const struct guess_try *t);
void guess_note_home(struct guess_book *b, const struct guess_try *t);
/* Both of strangers only: is a right one held (if not, it may have taken a look), and a wrong one.
 */
bool guess_holds(struct guess_book *b, const struct guess_try *t);
enum guess guess_wrong(struct guess_book *b, const struct guess_try *t);
void guess_right(struct guess_book *b, const struct guess_try *t); /* what was counted is gone */
/* Failures by now; held_s: how long strangers still wait. */
uint32_t guess_look(const struct guess_book *b, const struct guess_try *t, uint32_t *held_s);

/* --- guess_look.c: thread: any --- */
struct look_book;
MUST_USE int look_book_new(struct look_book **bp);
void look_book_free(struct look_book **bp);
struct look {
    uint64_t account, place; /* keyed hashes of the user name, and of it with the address */
    int64_t wall_ms;
    uint32_t each_s; /* an address has one in that time */
    uint32_t max;    /* of all addresses in that time; not 0 */
};
/* There is one for this newcomer; it is taken. */
bool look_take(struct look_book *b, const struct look *l);
/* A wrong password from there: no newcomer for each_s. False: it was none before. */
bool look_fails(struct look_book *b, const struct look *l);

/* --- nonce.c --- */
#define NONCE_TEXT_LEN 48
struct nonce_keeper;
int nonce_keeper_new(struct nonce_keeper **kp);
void nonce_keeper_free(struct nonce_keeper **kp);
void nonce_make(struct nonce_keeper *k, struct sl realm, const struct addr *source, int64_t wall_ms,
                char out[NONCE_TEXT_LEN]);
/* Ours, for this source? age_s: may be negative, after the clock was set back. */
bool nonce_is_ours(struct nonce_keeper *k, struct sl nonce, struct sl realm,
                   const struct addr *source, int64_t wall_ms, int64_t *age_s);
/* Takes this count of a good nonce: false = used before (or no longer known). nc 0: use it up. */
bool nonce_take(struct nonce_keeper *k, struct sl nonce, uint32_t nc, int64_t wall_ms,
                uint32_t life_s);

/* digest_uri.c: the answer was made for the Request-URI of msg (RFC 7616 3.4.6), as phones write
 * it. */
bool auth_uri_fits(struct sl uri, const struct sip_msg *msg, struct sl domain);

#endif
