/* dtls_int.h - what the files of DTLS share. dtls.c is the owner's side of an association,
 * dtls_step.c what runs on the pool, dtls_bio.c the way of datagrams in and out of OpenSSL,
 * dtls_ctx.c certificate and settings, dtls_peer.c fingerprints and what a datagram is. */
#ifndef POSTERN_DTLS_INT_H
#define POSTERN_DTLS_INT_H

#include "crypto/crypto_int.h"

#include <openssl/ssl.h>

#define DTLS_RESTARTS_MAX 4
#define DTLS_HELLO_RANDOM 32

struct dtls_ctx {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    char fingerprint[DTLS_FINGERPRINT_TEXT];
};

/* Datagrams in their order; each is a block of its own. */
struct dtls_datagram {
    uint8_t *p;
    size_t n;
};
struct dtls_queue {
    struct dtls_datagram d[DTLS_QUEUE_MAX];
    unsigned head, n;
};
bool dtls_queue_put(struct dtls_queue *q, const void *p, size_t n);       /* copies; false: lost */
bool dtls_queue_take(struct dtls_queue *q, struct dtls_datagram *out);    /* the caller frees */
unsigned dtls_queue_move(struct dtls_queue *to, struct dtls_queue *from); /* how many were lost */
void dtls_queue_cut(struct dtls_queue *q, unsigned n);                    /* drops all but n */

/* --- dtls_peer.c: pure --- */
struct dtls_expect {
    size_t n; /* 0: not known */
    struct dtls_fingerprint fp[DTLS_FINGERPRINTS_MAX];
};
enum { DTLS_HASH_SHA256, DTLS_HASH_SHA384, DTLS_HASH_SHA512, DTLS_HASHES };
struct dtls_peer { /* the peer's certificate under each hash function */
    bool known;
    struct dtls_fingerprint fp[DTLS_HASHES];
};
const EVP_MD *dtls_hash(unsigned which);
bool dtls_peer_matches(const struct dtls_peer *peer, const struct dtls_fingerprint *fp, size_t n);
/* Whole DTLS records and nothing else; *type is that of the first. */
bool dtls_is_records(struct sl datagram, uint8_t *type);
#define DTLS_TYPE_CCS 20
#define DTLS_TYPE_ALERT 21
#define DTLS_TYPE_HANDSHAKE 22
#define DTLS_TYPE_LAST 25 /* connection ids (RFC 9146) */
/* The client's random of a datagram that begins with a first ClientHello; NULL: it does not. */
const uint8_t *dtls_hello_random(struct sl datagram);

/* --- dtls_step.c: what is lent to the pool, all of it --- */
struct dtls_step {
    struct crypto_job job;
    struct dtls_ctx *ctx;
    SSL *ssl; /* NULL: not begun, or over and done with */
    bool active;
    /* in */
    bool begin, timeout;
    struct dtls_queue in;
    struct dtls_expect expect;
    /* within */
    struct dtls_datagram current; /* what the BIO reads next; .p NULL: nothing */
    unsigned said;                /* in `out` before this call of OpenSSL */
    bool mismatch;                /* the certificate was refused */
    bool has_hello;
    uint8_t hello[DTLS_HELLO_RANDOM];
    int last_err; /* of a handshake that was begun anew */
    /* out */
    struct dtls_queue out;
    bool done;
    int err;          /* for good */
    int64_t retry_ms; /* until a flight has to be repeated; -1: none */
    struct dtls_peer peer;
    struct dtls_srtp_keys keys;
    uint32_t restarts, steps, lost;
};
void dtls_step_run(struct dtls_step *s);
void dtls_step_close(struct dtls_step *s); /* gives OpenSSL's memory back */
void dtls_step_clear(struct dtls_step *s); /* all of it, wiped */

/* --- dtls_bio.c --- */
BIO_METHOD *dtls_bio_method(void);                           /* NULL: ENOMEM */
BIO *dtls_bio_new(const BIO_METHOD *m, struct dtls_step *s); /* NULL: ENOMEM */

#endif
