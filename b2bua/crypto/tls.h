/* tls.h - TLS 1.2 and 1.3 over memory: what a listener or a peer's dialler is made of, and one end
 * of a connection, fed with bytes of the wire. Part of crypto.h's face; knows no sockets.
 * Suites with forward secrecy and AEAD only, no renegotiation, no compression, no early data. */
#ifndef POSTERN_CRYPTO_TLS_H
#define POSTERN_CRYPTO_TLS_H

#include "base/base.h"

/* Which file is to blame, and what is wrong with it, for file:line:col messages. */
struct tls_problem {
    const char *path; /* one of the paths given; NULL: none in particular */
    char text[160];
};

/* --- whom we trust. Immutable, counted; any thread --- */
struct tls_anchors;
/* CA certificates of a PEM file, intermediate ones may stand alone; revocation lists in the file
 * are honoured for whom their issuer signed, and for nobody else. path NULL: the system's. EBADMSG
 * (*why), ENOMEM. */
MUST_USE int tls_anchors_load(struct tls_anchors **ap, const char *path, struct tls_problem *why);
void tls_anchors_unref(struct tls_anchors **ap); /* accepts NULL */

/* --- what a listener presents and asks for, what a dialler demands. Immutable, counted; any
 * thread. Connections keep a reference, so a reload replaces the whole. --- */
struct tls_server;
struct tls_client;

struct tls_identity { /* PEM files; the certificate's chain follows it. A key has no passphrase */
    const char *certificate, *key;
};

enum tls_verify { TLS_VERIFY_OFF, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED };
struct tls_server_params {
    const struct tls_identity *ids; /* the first one is for clients that name none of them (SNI) */
    size_t n_ids;
    struct tls_anchors *client_ca; /* needed unless verify is off; a reference is taken */
    enum tls_verify verify;        /* optional: a client may have none, but no bad one */
};
/* Reads the files. EBADMSG (*why), ENOMEM. Thread: main. */
MUST_USE int tls_server_new(struct tls_server **sp, const struct tls_server_params *p,
                            struct tls_problem *why);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server **sp);         /* accepts NULL */
int64_t tls_server_expiry(const struct tls_server *s); /* Unix s: the first certificate to end */

struct tls_client_params {
    struct tls_anchors *ca;   /* a reference is taken; may be NULL without verify */
    struct tls_identity id;   /* our client certificate; certificate NULL: none */
    bool verify;              /* false: whoever answers is taken for the peer */
    const char *const *names; /* copied; one of them must be in the certificate (RFC 5922 7.2) */
    size_t n_names;           /* 0: the address that is dialled */
};
MUST_USE int tls_client_new(struct tls_client **cp, const struct tls_client_params *p,
                            struct tls_problem *why);
struct tls_client *tls_client_ref(struct tls_client *c);
void tls_client_unref(struct tls_client **cp);         /* accepts NULL */
int64_t tls_client_expiry(const struct tls_client *c); /* Unix s; 0: no certificate */
bool tls_client_verifies(const struct tls_client *c);

/* New ticket keys when the ones in use are old; those before stay valid for as long again. To be
 * called now and then, from any one thread. Resumption, also time and again, is possible until the
 * full handshake is about twice that old. */
#define TLS_TICKET_LIFE_MS (6 * 3600 * 1000LL)
void tls_tickets_tick(int64_t now_ms);

/* --- one connection's end. Thread: its owner's, one at a time: it may be lent to the crypto pool
 * for a step. --- */
struct tls;

/* Where bytes for the wire go, from inside the calls below. 0 or an errno, which ends the
 * connection. bytes are borrowed. */
typedef int(tls_out_fn)(void *arg, struct sl bytes);

/* Takes a reference to s or c. Cheap: OpenSSL's part is made by the first step. ENOMEM. */
MUST_USE int tls_accept(struct tls **tp, struct tls_server *s, tls_out_fn *out, void *arg);
/* to: the address dialled; sessions are resumed by it (copied). */
MUST_USE int tls_dial(struct tls **tp, struct tls_client *c, const struct addr *to, tls_out_fn *out,
                      void *arg);
void tls_free(struct tls **tp); /* accepts NULL */

/* One step of the handshake over *in, which is moved past what was used; a dialler's first step
 * needs no bytes. 0: done, the rest of *in is for tls_read(). ENODATA: all was used, more must
 * come. Else it has failed, tls_why() says how and an alert may have gone out: EACCES we refuse the
 * other side's certificate, ECONNREFUSED the other side refused us, EPROTO, ENOMEM, or what out
 * gave. Costs up to a millisecond: for a thread of the crypto pool. */
MUST_USE int tls_step(struct tls *t, struct sl *in);
/* Plain bytes of what came, at most cap; moves *in. ENODATA: all was used. ESHUTDOWN: the other
 * side says that nothing follows. EPROTO, ECONNREFUSED, ENOMEM: broken. Call until not 0. */
MUST_USE int tls_read(struct tls *t, struct sl *in, void *dst, size_t cap, size_t *n);
MUST_USE int tls_write(struct tls *t, struct sl bytes); /* all of it; EPROTO, ENOMEM, or of out */
void tls_close(struct tls *t); /* says that nothing follows; harmless when broken or not open */
/* Messages of TLS itself on an open connection, such as new keys (RFC 8446 4.6.3: 27 bytes that
 * cost 17 us here). More than these since the last tls_forgive() break it: tls_read() gives EPROTO
 * (counted). */
#define TLS_ASIDES_MAX 32
void tls_forgive(struct tls *t);

const char *tls_why(const struct tls *t); /* static text; "" before a failure */
struct tls_info {                         /* once the handshake is done */
    uint8_t cipher;                       /* for the two names below; never 0 */
    bool resumed;
    bool verified; /* the other side has proven a certificate that our anchors vouch for */
};
void tls_info(const struct tls *t, struct tls_info *out);
/* Whom the other side's verified certificate names (RFC 5922 7.1), in lower case: hosts of its sip
 * URIs, else its DNS names; its IP addresses; without any subjectAltName its CN. Borrowed from t.
 * Returns how many of at most max.
 * A certificate with more than TLS_NAMES_MAX names is known by the first of them (counted); what a
 * dialler looks for is looked for in all. */
#define TLS_NAMES_MAX 32
size_t tls_names(const struct tls *t, struct sl *names, size_t max);

/* A configuration has come after the handshake: s for an accepted connection, c for a dialled one.
 * Costs nothing when it demands what the last one did, else up to a third of a millisecond. */
enum tls_standing {
    TLS_HOLDS,    /* tls_info() and tls_names() say what is proven now */
    TLS_OUTDATED, /* the same, but a new connection would show another certificate of ours */
    TLS_LOST      /* nothing is proven, and it would not be let in today */
};
enum tls_standing tls_recheck(struct tls *t, const struct tls_server *s,
                              const struct tls_client *c);

/* Of struct tls_info.cipher: "TLSv1.3" and "TLS_AES_128_GCM_SHA256"; "" for 0. */
const char *tls_version_name(uint8_t cipher);
const char *tls_cipher_name(uint8_t cipher);

#endif
