/* tls_int.h - what the files of TLS share. */
#ifndef POSTERN_CRYPTO_TLS_INT_H
#define POSTERN_CRYPTO_TLS_INT_H

#include "crypto/crypto_int.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#define TLS_NAMES_TEXT 2048 /* bytes of all names of a certificate that are kept */
#define TLS_TRUST 32        /* bytes of a digest of what the other side must prove */
#define TLS_SESSIONS 16     /* that one dialler keeps, one for each address */

struct tls_anchors {
    atomic_uint refs;
    X509_STORE *store;
};

struct tls_server {
    atomic_uint refs;
    size_t n;
    SSL_CTX **ctx; /* one for each identity */
    int64_t expiry_s;
    enum tls_verify verify;
    uint8_t trust[TLS_TRUST];
};

struct tls_session {
    struct addr to;
    SSL_SESSION *session; /* NULL: free */
    uint64_t used;
};

struct tls_client {
    atomic_uint refs;
    SSL_CTX *ctx;
    int64_t expiry_s;
    bool verify;
    uint8_t trust[TLS_TRUST];
    uint8_t own[TLS_TRUST]; /* of our certificate; zeros: none */
    char **names;
    size_t n_names;
    const char *server_name; /* one of names, for SNI; or NULL */
    pthread_mutex_t lock;    /* the two below: the pool's threads resume and keep sessions */
    struct tls_session sessions[TLS_SESSIONS];
    uint64_t clock;
};

struct tls_names {
    bool is_cut; /* there are more than are kept */
    size_t n;
    struct sl name[TLS_NAMES_MAX];
    size_t used;
    char text[TLS_NAMES_TEXT];
};

struct tls {
    SSL *ssl; /* made by the first step */
    struct tls_server *server;
    struct tls_client *client;
    struct addr to; /* dialled */
    tls_out_fn *out;
    void *arg;
    struct sl in; /* during a call: what came from the wire */
    int out_err;  /* what out gave */
    bool is_open; /* handshake done */
    bool is_broken;
    unsigned asides; /* messages of TLS itself that came since tls_forgive() */
    const char *why; /* static */
    uint8_t cipher;  /* 1 + index in tls_suites */
    bool resumed;
    struct tls_names *names;                  /* NULL: the other side has proven nothing */
    uint8_t trust[TLS_TRUST], own[TLS_TRUST]; /* of the configuration that it was judged by last */
};

/* tls_verify.c */
void tls_names_of(const X509 *cert, struct tls_names *out);
/* Builds and checks the chain of ctx by its store: dates, signatures, revocation where the issuer
 * has a list, the use of every link, and with c the name. The error is in ctx. */
bool tls_chain_verify(X509_STORE_CTX *ctx, const struct tls_client *c, const struct addr *to);
/* SSL_CTX_set_cert_verify_callback: the chain, its use, and for a dialler the name. arg: NULL or
 * the struct tls_client. */
int tls_verify_cb(X509_STORE_CTX *ctx, void *arg);

/* tls_session.c */
void tls_tickets_use(SSL_CTX *ctx);  /* server: tickets under the process's keys */
void tls_sessions_use(SSL_CTX *ctx); /* dialler: what the other side hands out is kept */
void tls_sessions_resume(struct tls *t);
void tls_sessions_free(struct tls_client *c);

/* tls.c */
struct tls *tls_of_ssl(const SSL *ssl);
bool tls_is_alert(unsigned long e); /* an OpenSSL error that the other side has sent */
bool tls_has_ended(const X509 *cert, time_t now);
bool tls_is_over(const X509 *cert); /* by now */

#endif
