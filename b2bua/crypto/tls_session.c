/* tls_session.c - resumption: tickets that we hand out under rotating keys, sessions that others
 * hand to us. */
#include "crypto/tls_int.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#define TICKET_NAME_LEN 16
#define TICKET_KEY_LEN 32
#define TICKET_IV_LEN 16 /* what OpenSSL's callback has room for at least; AES blocks */
#define TICKET_TIMEOUT_S (TLS_TICKET_LIFE_MS / 1000)

struct ticket_key {
    uint8_t name[TICKET_NAME_LEN];
    uint8_t aes[TICKET_KEY_LEN];
    uint8_t mac[TICKET_KEY_LEN];
    bool valid;
};

/* Of the process: tickets outlive configurations, and a client may come back to another worker. */
static struct {
    pthread_mutex_t lock;
    struct ticket_key now, before;
    int64_t made_ms;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void ticket_key_make(struct ticket_key *k)
{
    crypto_random(k->name, sizeof(k->name));
    crypto_random(k->aes, sizeof(k->aes));
    crypto_random(k->mac, sizeof(k->mac));
    k->valid = true;
}

void tls_tickets_tick(int64_t now_ms)
{
    pthread_mutex_lock(&tickets.lock);
    if (!tickets.now.valid || now_ms - tickets.made_ms >= TLS_TICKET_LIFE_MS) {
        tickets.before = tickets.now;
        ticket_key_make(&tickets.now);
        tickets.made_ms = now_ms;
    }
    pthread_mutex_unlock(&tickets.lock);
}

/* 0: no such key; 1: the one in use; 2: the one before. name NULL: the one in use. */
static int ticket_key_get(const uint8_t *name, struct ticket_key *out)
{
    int found = 0;

    pthread_mutex_lock(&tickets.lock);
    if (!tickets.now.valid) {
        ticket_key_make(&tickets.now);
    }
    if (name == NULL || crypto_equal(name, tickets.now.name, TICKET_NAME_LEN)) {
        *out = tickets.now;
        found = 1;
    } else if (tickets.before.valid && crypto_equal(name, tickets.before.name, TICKET_NAME_LEN)) {
        *out = tickets.before;
        found = 2;
    }
    pthread_mutex_unlock(&tickets.lock);
    return found;
}

static bool ticket_mac_set(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it: -1 broken, 0 unknown key, 1 good, 2 good but
 * to be renewed. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int enc)
{
    struct ticket_key k;
    int found = ticket_key_get(enc != 0 ? NULL : name, &k);
    bool ok = found != 0;

    if (ok && enc != 0) {
        memcpy(name, k.name, sizeof(k.name));
        crypto_random(iv, TICKET_IV_LEN);
    }
    ok = ok && EVP_CipherInit_ex(cipher, crypto_algs.aes_cbc, NULL, k.aes, iv, enc) == 1 &&
         ticket_mac_set(mac, &k);
    mem_wipe(&k, sizeof(k));
    if (enc == 0 && found != 0 && SSL_version(ssl) >= TLS1_3_VERSION) {
        found = 2; /* a ticket is used once: the client gets another one */
    }
    return found != 0 && !ok ? -1 : found;
}

/* A ticket carries the name of the key that was in use at its session's full handshake. */
static int on_ticket_make(SSL *ssl, void *arg)
{
    struct ticket_key k;
    int ok = 1;

    (void)arg;
    if (SSL_session_reused(ssl) != 1) {
        (void)ticket_key_get(NULL, &k);
        ok = SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), k.name, sizeof(k.name));
        mem_wipe(&k, sizeof(k));
    }
    return ok;
}

/* That key must still be good, or a chain of renewed tickets would never again have to show a
 * certificate. */
static bool ticket_is_young(SSL_SESSION *session)
{
    struct ticket_key k;
    void *name = NULL;
    size_t n = 0;
    bool young = SSL_SESSION_get0_ticket_appdata(session, &name, &n) == 1 && name != NULL &&
                 n == TICKET_NAME_LEN && ticket_key_get(name, &k) != 0;

    mem_wipe(&k, sizeof(k));
    return young;
}

static SSL_TICKET_RETURN on_ticket_use(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t n, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)n, (void)arg;
    if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
        !ticket_is_young(session)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void tls_tickets_use(SSL_CTX *ctx)
{
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* the client keeps them */
    (void)SSL_CTX_set_timeout(ctx, TICKET_TIMEOUT_S);
    (void)SSL_CTX_set_num_tickets(ctx, 1); /* each costs a tenth of a handshake */
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
    (void)SSL_CTX_set_session_ticket_cb(ctx, on_ticket_make, on_ticket_use, NULL);
}

/* --- dialler --- */

static void session_drop(struct tls_session *s)
{
    SSL_SESSION_free(s->session);
    s->session = NULL;
}

/* The place for this address: its own, a free one, or the one that was not used for longest. */
static struct tls_session *session_place(struct tls_client *c, const struct addr *to)
{
    struct tls_session *best = &c->sessions[0];

    for (size_t i = 0; i < TLS_SESSIONS; i++) {
        struct tls_session *s = &c->sessions[i];

        if (s->session != NULL && addr_eq(&s->to, to)) {
            return s;
        }
        if (best->session != NULL && (s->session == NULL || s->used < best->used)) {
            best = s;
        }
    }
    return best;
}

/* 1: the reference is ours. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of_ssl(ssl);
    struct tls_client *c = t->client;
    struct tls_session *s;

    if (pthread_mutex_trylock(&c->lock) != 0) {
        return 0; /* this may be the worker's thread, and one session less is no loss */
    }
    s = session_place(c, &t->to);
    session_drop(s);
    *s = (struct tls_session){.to = t->to, .session = session, .used = ++c->clock};
    pthread_mutex_unlock(&c->lock);
    return 1;
}

void tls_sessions_use(SSL_CTX *ctx)
{
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

void tls_sessions_resume(struct tls *t)
{
    struct tls_client *c = t->client;
    struct tls_session *s;

    pthread_mutex_lock(&c->lock);
    s = session_place(c, &t->to);
    if (s->session != NULL && addr_eq(&s->to, &t->to)) {
        (void)SSL_set_session(t->ssl, s->session); /* one that is too old is left aside by itself */
        if (SSL_SESSION_get_protocol_version(s->session) >= TLS1_3_VERSION) {
            session_drop(s); /* a ticket is used once (RFC 8446 C.4) */
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void tls_sessions_free(struct tls_client *c)
{
    for (size_t i = 0; i < TLS_SESSIONS; i++) {
        session_drop(&c->sessions[i]);
    }
}
