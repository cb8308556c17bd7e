/* tls_rig.h - certificates made on the spot, for tests of TLS. Files lie in a directory that ends
 * with the test program. */
#ifndef POSTERN_TEST_TLS_RIG_H
#define POSTERN_TEST_TLS_RIG_H

#include "crypto/crypto.h"

#define PKI_PATH_MAX 256

struct pki_cert { /* PEM files */
    char certificate[PKI_PATH_MAX], key[PKI_PATH_MAX];
};

struct pki_spec {
    const char *cn;
    const char *san;              /* "DNS:a,URI:sip:b,IP:127.0.0.1" or NULL */
    const char *eku;              /* "serverAuth", or NULL */
    long from_s, to_s;            /* seconds from now; both 0: an hour ago to in a day */
    const struct pki_cert *ca;    /* NULL: a CA of its own */
    bool is_ca;                   /* with ca: an intermediate one */
    const struct pki_cert *chain; /* follows in the file; or NULL */
};

void pki_make(struct pki_cert *out, const char *name, const struct pki_spec *spec);
struct x509_st *pki_read(const struct pki_cert *c); /* OpenSSL's X509; the caller's */
/* A file beside the certificates. */
const char *pki_file(char path[PKI_PATH_MAX], const char *name, const char *text);
/* *out: the certificate of `from`, a CA, and its revocation list in one file; revoked NULL: nobody
 * is on it. */
void pki_make_crl(struct pki_cert *out, const char *name, const struct pki_cert *from,
                  const struct pki_cert *revoked);
struct tls_identity pki_identity(const struct pki_cert *c);
struct tls_anchors *pki_anchors(const struct pki_cert *ca); /* the caller's */
struct tls_server *pki_server(const struct pki_cert *c, const struct pki_cert *client_ca,
                              enum tls_verify verify);
/* names: NULL-terminated, or NULL: the address. own NULL: no client certificate. */
struct tls_client *pki_client(const struct pki_cert *ca, const char *const *names,
                              const struct pki_cert *own);

#endif
