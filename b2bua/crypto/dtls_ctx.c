/* dtls_ctx.c - our certificate, made at start and never written down, and how we do DTLS. */
#include "crypto/dtls_int.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/x509.h>

#define DAY_S 86400L
#define CERT_BEFORE_S (-DAY_S)          /* peers whose clocks are late */
#define CERT_AFTER_S (10 * 365 * DAY_S) /* no process lives longer */
#define CERT_CHAIN_MAX 16384            /* bytes that a peer may send */

/* RFC 8827 6.5 asks for the first; those with CBC are for what is older. No static RSA, no DHE. */
static const char dtls_ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA";

static const struct {
    uint16_t profile;
    const char *name;
} dtls_profiles[] = {
    {DTLS_SRTP_AES128_CM_SHA1_80, "SRTP_AES128_CM_SHA1_80"},
    {DTLS_SRTP_AES128_CM_SHA1_32, "SRTP_AES128_CM_SHA1_32"},
    {DTLS_SRTP_AEAD_AES_128_GCM, "SRTP_AEAD_AES_128_GCM"},
    {DTLS_SRTP_AEAD_AES_256_GCM, "SRTP_AEAD_AES_256_GCM"},
};

static const uint16_t dtls_default_profiles[] = {
    DTLS_SRTP_AEAD_AES_128_GCM, DTLS_SRTP_AEAD_AES_256_GCM, DTLS_SRTP_AES128_CM_SHA1_80};

static const char *dtls_profile_name(uint16_t profile)
{
    for (size_t i = 0; i < COUNT_OF(dtls_profiles); i++) {
        if (dtls_profiles[i].profile == profile) {
            return dtls_profiles[i].name;
        }
    }
    return NULL;
}

/* The subject names nobody: all that counts of the certificate is its fingerprint. */
static bool dtls_cert_fill(X509 *x, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(x);
    uint64_t serial;

    crypto_random(&serial, sizeof(serial));
    return X509_set_version(x, 2) == 1 && /* that is v3 */
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1 | 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), CERT_BEFORE_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), CERT_AFTER_S) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"dtls-srtp",
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

static bool dtls_fingerprint_text(const X509 *x, char *out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf b;

    if (X509_digest(x, EVP_sha256(), digest, &n) != 1) {
        return false;
    }
    buf_init_fixed(&b, out, DTLS_FINGERPRINT_TEXT - 1);
    buf_puts(&b, "sha-256 ");
    for (unsigned i = 0; i < n; i++) {
        buf_putf(&b, i != 0 ? ":%02X" : "%02X", digest[i]);
    }
    out[b.n] = '\0';
    return buf_err(&b) == 0;
}

static bool dtls_ctx_certify(struct dtls_ctx *c)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    bool ok = key != NULL && x != NULL && dtls_cert_fill(x, key) &&
              SSL_CTX_use_certificate(c->ssl, x) == 1 && SSL_CTX_use_PrivateKey(c->ssl, key) == 1 &&
              dtls_fingerprint_text(x, c->fingerprint);

    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

static bool dtls_ctx_set_srtp(struct dtls_ctx *c, const uint16_t *profiles, size_t n)
{
    char text[128];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    for (size_t i = 0; i < n; i++) {
        buf_puts(&b, i != 0 ? ":" : "");
        buf_puts(&b, dtls_profile_name(profiles[i]));
    }
    text[b.n] = '\0';
    return buf_err(&b) == 0 && SSL_CTX_set_tlsext_use_srtp(c->ssl, text) == 0; /* 0 is success */
}

/* Every certificate is taken down under each hash function; who the peer is its fingerprint says,
 * not a chain (RFC 5763 5). One that is known to be wrong ends the handshake with an alert. */
static int dtls_on_certificate(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct dtls_step *s = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    X509 *x = X509_STORE_CTX_get0_cert(store);

    (void)arg;
    if (s == NULL || x == NULL) {
        return 0;
    }
    s->peer = (struct dtls_peer){.known = true};
    for (unsigned i = 0; i < DTLS_HASHES; i++) {
        unsigned n = 0;

        if (X509_digest(x, dtls_hash(i), s->peer.fp[i].digest, &n) != 1) {
            s->peer.known = false;
        }
        s->peer.fp[i].n = (uint8_t)n;
    }
    s->mismatch = s->peer.known && s->expect.n != 0 &&
                  !dtls_peer_matches(&s->peer, s->expect.fp, s->expect.n);
    X509_STORE_CTX_set_error(store, s->mismatch ? X509_V_ERR_CERT_REJECTED : X509_V_OK);
    return !s->mismatch && s->peer.known;
}

static bool dtls_ctx_configure(struct dtls_ctx *c)
{
    static const unsigned char session_ctx[] = "dtls-srtp";

    SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_QUERY_MTU |
                                    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(c->ssl, CERT_CHAIN_MAX);
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(c->ssl, dtls_on_certificate, NULL);
    return SSL_CTX_set_min_proto_version(c->ssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(c->ssl, dtls_ciphers) == 1 &&
           SSL_CTX_set1_groups_list(c->ssl, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set_session_id_context(c->ssl, session_ctx, sizeof(session_ctx) - 1) == 1;
}

static int dtls_ctx_build(struct dtls_ctx *c, const uint16_t *profiles, size_t n)
{
    c->bio = dtls_bio_method();
    c->ssl = SSL_CTX_new(DTLS_method());
    if (c->bio == NULL || c->ssl == NULL) {
        return ENOMEM;
    }
    return dtls_ctx_configure(c) && dtls_ctx_set_srtp(c, profiles, n) && dtls_ctx_certify(c)
               ? 0
               : ENOTSUP;
}

int dtls_ctx_new(struct dtls_ctx **cp, const struct dtls_ctx_params *p)
{
    bool is_default = p->profiles == NULL;
    const uint16_t *profiles = is_default ? dtls_default_profiles : p->profiles;
    size_t n = is_default ? COUNT_OF(dtls_default_profiles) : p->n_profiles;
    struct dtls_ctx *c;
    int err;

    if (n == 0 || n > DTLS_PROFILES_MAX) {
        return EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        if (dtls_profile_name(profiles[i]) == NULL) {
            return EINVAL;
        }
    }
    c = mem_zalloc(sizeof(*c));
    if (c == NULL) {
        return ENOMEM;
    }
    err = dtls_ctx_build(c, profiles, n);
    ERR_clear_error();
    if (err != 0) {
        dtls_ctx_free(&c);
        return err;
    }
    *cp = c;
    return 0;
}

void dtls_ctx_free(struct dtls_ctx **cp)
{
    struct dtls_ctx *c = *cp;

    *cp = NULL;
    if (c != NULL) {
        SSL_CTX_free(c->ssl);
        BIO_meth_free(c->bio);
        mem_free(c);
    }
}

struct sl dtls_ctx_fingerprint(const struct dtls_ctx *c)
{
    return sl_str(c->fingerprint);
}
