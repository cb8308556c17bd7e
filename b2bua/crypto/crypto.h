/* crypto.h - the only user of OpenSSL: digests, HMAC, random numbers, and the token (design
 * section 3). Algorithms are fetched once per process (crypto_init). */
#ifndef POSTERN_CRYPTO_H
#define POSTERN_CRYPTO_H

#include "base/base.h"
#include "crypto/pool.h"
#include "crypto/dtls.h"
#include "crypto/srtp.h"
#include "crypto/tls.h"

#define CRYPTO_MD5_LEN 16
#define CRYPTO_SHA1_LEN 20
#define CRYPTO_SHA256_LEN 32

MUST_USE int crypto_init(void); /* once, before threads; ENOTSUP when an algorithm is missing */
void crypto_deinit(void);

/* Digest over the concatenation of parts. out: CRYPTO_*_LEN bytes. Thread: any. */
enum crypto_digest { CRYPTO_MD5, CRYPTO_SHA256 };
MUST_USE int crypto_digest(enum crypto_digest alg, const struct sl *parts, size_t n_parts,
                           uint8_t *out);
size_t crypto_digest_len(enum crypto_digest alg);
MUST_USE int crypto_hmac_sha256(struct sl key, const struct sl *parts, size_t n_parts,
                                uint8_t out[CRYPTO_SHA256_LEN]);
/* For STUN (RFC 8489 14.5). Allocates on a thread's first call only. */
MUST_USE int crypto_hmac_sha1(struct sl key, const struct sl *parts, size_t n_parts,
                              uint8_t out[CRYPTO_SHA1_LEN]);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
void crypto_wipe(void *p, size_t n); /* for keys; never optimised away. Accepts n 0 */
/* Random bytes from a buffered per-thread source; cannot fail (aborts when the kernel's source is
 * broken at start). */
void crypto_random(void *out, size_t n);
uint32_t crypto_random_u32(void);

/* --- tokens --- */
enum token_kind {
    TOKEN_NONE = 0,
    TOKEN_TX,       /* branch of a client transaction */
    TOKEN_TAG,      /* our tag of a leg */
    TOKEN_CALLID,   /* Call-ID of a leg that we started */
    TOKEN_CONTACT,  /* user part of our Contact */
    TOKEN_STATELESS /* To tag of an answer without state */
};
struct token {
    uint16_t node;  /* 10 bits */
    uint8_t worker; /* 6 bits */
    uint8_t kind;   /* enum token_kind */
    uint8_t leg;    /* index of the leg within its call; 5 bits */
    uint32_t slot;  /* 24 bits */
    uint32_t gen;
};
#define TOKEN_TEXT_LEN 26 /* base32 lower case (a-z2-7) of one AES block */

/* The current key and up to TOKEN_OLDER_MAX before it, as long as calls of theirs may live.
 * Immutable once in use: replace the whole ring. */
#define TOKEN_OLDER_MAX 7
struct token_ring;
/* Reads the key file, or makes it (mode 0600, atomically) when it is missing. EBADMSG: not ours;
 * EPERM: readable by others; else the errno of the file. Thread: main. */
MUST_USE int token_ring_load(struct token_ring **rp, const char *path);
MUST_USE int token_ring_random(struct token_ring **rp); /* tests: not kept anywhere */
struct token_turn { /* now, and how long a key is accepted after it ceased to be the current one */
    int64_t wall_ms, life_ms;
};
/* New current key, the old current one is accepted on; written back to path (NULL: kept in memory
 * only). ENOBUFS: TOKEN_OLDER_MAX older ones are needed still. The new ring reads the new key but
 * goes on writing as r does, until token_ring_begin(): the threads take over one after the other,
 * and none may be given what it cannot read yet. */
MUST_USE int token_ring_rotate(struct token_ring **out, const struct token_ring *r,
                               const char *path, const struct token_turn *turn);
/* The key of another file, read or made, as the current one; otherwise likewise. */
MUST_USE int token_ring_follow(struct token_ring **out, const struct token_ring *r,
                               const char *path, const struct token_turn *turn);
bool token_ring_waits(const struct token_ring *r); /* it does not write with its current key yet */
MUST_USE int token_ring_begin(struct token_ring *r);    /* ENOMEM: as before */
int64_t token_ring_made_ms(const struct token_ring *r); /* Unix ms of the current key */
void token_ring_free(struct token_ring **rp);

/* Writes TOKEN_TEXT_LEN characters; each call gives another text (24 random bits inside). The
 * ring is not shared between threads unless through token_ring_clone(). */
void token_put(const struct token_ring *r, const struct token *t, char out[TOKEN_TEXT_LEN]);
/* False: not ours. Accepts exactly TOKEN_TEXT_LEN characters, either case. */
bool token_get(const struct token_ring *r, struct sl text, struct token *out);
MUST_USE int token_ring_clone(struct token_ring **out, const struct token_ring *r);

#endif
