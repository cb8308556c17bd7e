/* tls_standing.c - what an open connection has proven, judged again by a configuration that came
 * after its handshake. */
#include "crypto/tls_int.h"

#include <openssl/err.h>

/* The chain that came with the handshake, which a resumed session of a client has not kept. */
static bool proves_again(const struct tls *t, X509_STORE *store, const struct tls_client *c)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool is_good = ctx != NULL &&
                   X509_STORE_CTX_init(ctx, store, cert, SSL_get_peer_cert_chain(t->ssl)) == 1 &&
                   tls_chain_verify(ctx, c, &t->to);

    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return is_good;
}

static void forget_names(struct tls *t)
{
    mem_free(t->names);
    t->names = NULL;
}

static bool keep_names(struct tls *t)
{
    if (t->names == NULL) {
        t->names = mem_alloc(sizeof(*t->names));
    }
    if (t->names == NULL) {
        return false;
    }
    tls_names_of(SSL_get0_peer_certificate(t->ssl), t->names);
    return true;
}

static bool is_still_good(struct tls *t, const struct tls_server *s, const struct tls_client *c)
{
    enum tls_verify verify = TLS_VERIFY_OFF;
    X509_STORE *store = SSL_CTX_get_cert_store(c != NULL ? c->ctx : s->ctx[0]);

    if (c == NULL) {
        verify = s->verify;
    } else if (c->verify) {
        verify = TLS_VERIFY_REQUIRED;
    }
    if (verify == TLS_VERIFY_OFF) {
        forget_names(t);
        return true;
    }
    if (SSL_get0_peer_certificate(t->ssl) == NULL) {
        return verify == TLS_VERIFY_OPTIONAL;
    }
    return proves_again(t, store, c) && keep_names(t);
}

enum tls_standing tls_recheck(struct tls *t, const struct tls_server *s, const struct tls_client *c)
{
    const uint8_t *trust = c != NULL ? c->trust : s->trust;

    if (!t->is_open) {
        return TLS_LOST;
    }
    if (t->names != NULL && tls_is_over(SSL_get0_peer_certificate(t->ssl))) {
        forget_names(t);
        return TLS_LOST;
    }
    if (memcmp(t->trust, trust, TLS_TRUST) != 0) {
        if (!is_still_good(t, s, c)) {
            forget_names(t);
            return TLS_LOST;
        }
        memcpy(t->trust, trust, TLS_TRUST);
    }
    return c != NULL && memcmp(t->own, c->own, TLS_TRUST) != 0 ? TLS_OUTDATED : TLS_HOLDS;
}
