/* tls_ctx.c - what is read from files once: anchors, certificates, keys, and the contexts that
 * connections are made of. */
#include "crypto/tls_int.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#define TLS_SUITES_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS_CERT_CHAIN_MAX 32768 /* bytes of the other side's certificates */

/* The errors of OpenSSL of this thread as text; clears them. The reason that the first error gives
 * is the cause; the later ones say who noticed. */
static void tls_problem_set(struct tls_problem *why, const char *path, const char *what)
{
    unsigned long e = ERR_peek_error();
    const char *reason = NULL;
    struct buf b;

    if (ERR_GET_LIB(e) == ERR_LIB_SYS) {
        reason = strerror(ERR_GET_REASON(e));
    } else if (e != 0 &&
               !(ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)) {
        reason = ERR_reason_error_string(e);
    }
    ERR_clear_error();
    why->path = path;
    buf_init_fixed(&b, why->text, sizeof(why->text) - 1);
    buf_putf(&b, "%s%s%s", what, reason != NULL ? ": " : "", reason != NULL ? reason : "");
    why->text[b.n] = '\0';
}

/* --- anchors --- */

static int anchors_read(struct tls_anchors *a, const char *path, struct tls_problem *why)
{
    int ok = path != NULL ? X509_STORE_load_file(a->store, path)
                          : X509_STORE_set_default_paths(a->store);

    if (ok != 1) {
        tls_problem_set(why, path, "has no certificate that can be used");
        return EBADMSG;
    }
    return X509_STORE_set_flags(a->store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CRL_CHECK |
                                              X509_V_FLAG_CRL_CHECK_ALL) == 1
               ? 0
               : ENOMEM; /* tls_chain_verify() forgives where no list exists */
}

int tls_anchors_load(struct tls_anchors **ap, const char *path, struct tls_problem *why)
{
    struct tls_anchors *a = mem_zalloc(sizeof(*a));
    int err;

    *why = (struct tls_problem){.path = NULL};
    if (a == NULL) {
        return ENOMEM;
    }
    atomic_init(&a->refs, 1);
    a->store = X509_STORE_new();
    err = a->store != NULL ? anchors_read(a, path, why) : ENOMEM;
    if (err != 0) {
        tls_anchors_unref(&a);
        return err;
    }
    *ap = a;
    return 0;
}

void tls_anchors_unref(struct tls_anchors **ap)
{
    struct tls_anchors *a = *ap;

    *ap = NULL;
    if (a != NULL && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        X509_STORE_free(a->store);
        mem_free(a);
    }
}

/* --- what both kinds of context have in common --- */

/* Never asks on a terminal. */
static int on_passphrase(char *dst, int cap, int rw, void *arg)
{
    (void)dst, (void)cap, (void)rw, (void)arg;
    return 0;
}

static SSL_CTX *ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, TLS_SUITES_12) != 1 ||
        SSL_CTX_set_purpose(ctx, X509_PURPOSE_ANY) != 1) { /* tls_verify_cb() looks at the use */
        SSL_CTX_free(ctx);
        return NULL;
    }
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* idle connections hold none */
    SSL_CTX_set_max_cert_list(ctx, TLS_CERT_CHAIN_MAX);
    SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
    return ctx;
}

static int ctx_identity(SSL_CTX *ctx, const struct tls_identity *id, struct tls_problem *why)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, id->certificate) != 1) {
        tls_problem_set(why, id->certificate, "has no certificate that can be used");
        return EBADMSG;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, id->key, SSL_FILETYPE_PEM) != 1) {
        /* A key of another certificate is noticed here too, when it is of the same kind. */
        bool is_other = ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH ||
                        ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_TYPE_MISMATCH;

        tls_problem_set(why, id->key,
                        is_other ? "is not the key of the certificate"
                                 : "has no key that can be used (keys with a passphrase cannot)");
        return EBADMSG;
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        tls_problem_set(why, id->key, "is not the key of the certificate");
        return EBADMSG;
    }
    return 0;
}

/* Unix seconds of the end of the context's own certificate; 0: it has none. */
static int64_t ctx_expiry(const SSL_CTX *ctx)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    ASN1_TIME *epoch = cert != NULL ? ASN1_TIME_set(NULL, 0) : NULL;
    int days = 0, seconds = 0;

    if (epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) != 1) {
        days = seconds = 0;
    }
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

/* --- listeners --- */

static int hash_anchor(const X509_OBJECT *o, EVP_MD_CTX *md)
{
    const X509 *cert = X509_OBJECT_get0_X509(o);
    X509_CRL *crl = X509_OBJECT_get0_X509_CRL(o);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    int ok = 1;

    if (cert != NULL) {
        ok = X509_digest(cert, EVP_sha256(), digest, &n);
    } else if (crl != NULL) {
        ok = X509_CRL_digest(crl, EVP_sha256(), digest, &n);
    }
    return ok == 1 ? EVP_DigestUpdate(md, digest, n) : ok;
}

/* Revocation lists too: a session may be one that they end. */
static int hash_anchors(const STACK_OF(X509_OBJECT) * all, EVP_MD_CTX *md)
{
    int ok = 1;

    for (int i = 0; ok == 1 && i < sk_X509_OBJECT_num(all); i++) {
        ok = hash_anchor(sk_X509_OBJECT_value(all, i), md);
    }
    return ok;
}

/* What the other side is asked to prove, and before whom. */
static int trust_digest(uint8_t out[TLS_TRUST], uint8_t verify, const struct tls_anchors *ca,
                        struct tls_client *c)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(md, &verify, sizeof(verify)) == 1;

    if (ok == 1 && verify != TLS_VERIFY_OFF) {
        ok = hash_anchors(X509_STORE_get0_objects(ca->store), md);
    }
    for (size_t i = 0; ok == 1 && c != NULL && i < c->n_names; i++) {
        ok = EVP_DigestUpdate(md, c->names[i], strlen(c->names[i]) + 1);
    }
    ok = ok == 1 && EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return ok == 1 ? 0 : ENOMEM;
}

/* A session is resumed only where the same authorities are asked for in the same manner. */
static int ctx_session_id(SSL_CTX *ctx, struct tls_server *s, const struct tls_server_params *p)
{
    int err = trust_digest(s->trust, (uint8_t)p->verify, p->client_ca, NULL);

    return err == 0 && SSL_CTX_set_session_id_context(ctx, s->trust, TLS_TRUST) != 1 ? ENOMEM : err;
}

/* Clients choose a certificate by the names that we send. */
static int ctx_client_names(SSL_CTX *ctx, X509_STORE *store)
{
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

        if (cert != NULL && SSL_CTX_add_client_CA(ctx, cert) != 1) {
            return ENOMEM;
        }
    }
    return 0;
}

static int ctx_ask_clients(SSL_CTX *ctx, const struct tls_server_params *p)
{
    int mode = SSL_VERIFY_PEER;

    if (p->verify == TLS_VERIFY_OFF) {
        return 0;
    }
    if (p->verify == TLS_VERIFY_REQUIRED) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ctx, mode, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, tls_verify_cb, NULL);
    SSL_CTX_set1_cert_store(ctx, p->client_ca->store);
    return ctx_client_names(ctx, p->client_ca->store);
}

/* RFC 6066 3: the certificate by the name that the client asks for. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *s = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name != NULL && i < s->n; i++) {
        if (X509_check_host(SSL_CTX_get0_certificate(s->ctx[i]), name, 0, 0, NULL) == 1) {
            (void)SSL_set_SSL_CTX(ssl, s->ctx[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_OK; /* the first one: many clients send what they were told to call */
}

static int server_add(struct tls_server *s, const struct tls_server_params *p, size_t i,
                      struct tls_problem *why)
{
    SSL_CTX *ctx = ctx_new(TLS_server_method());
    int err = ctx != NULL ? ctx_identity(ctx, &p->ids[i], why) : ENOMEM;

    if (err == 0) {
        err = ctx_ask_clients(ctx, p);
    }
    if (err == 0) {
        err = ctx_session_id(ctx, s, p);
    }
    if (err != 0) {
        SSL_CTX_free(ctx);
        return err;
    }
    tls_tickets_use(ctx);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, s);
    s->ctx[s->n++] = ctx;
    if (s->expiry_s == 0 || ctx_expiry(ctx) < s->expiry_s) {
        s->expiry_s = ctx_expiry(ctx);
    }
    return 0;
}

int tls_server_new(struct tls_server **sp, const struct tls_server_params *p,
                   struct tls_problem *why)
{
    struct tls_server *s = mem_zalloc(sizeof(*s));
    int err = 0;

    *why = (struct tls_problem){.path = NULL};
    if (s == NULL) {
        return ENOMEM;
    }
    atomic_init(&s->refs, 1);
    s->verify = p->verify;
    s->ctx = mem_zalloc(p->n_ids * sizeof(SSL_CTX *));
    if (s->ctx == NULL) {
        err = ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < p->n_ids; i++) {
        err = server_add(s, p, i, why);
    }
    if (err != 0) {
        tls_server_unref(&s);
        ERR_clear_error();
        return err;
    }
    *sp = s;
    return 0;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void tls_server_unref(struct tls_server **sp)
{
    struct tls_server *s = *sp;

    *sp = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        SSL_CTX_free(s->ctx[i]);
    }
    mem_free(s->ctx);
    mem_free(s);
}

int64_t tls_server_expiry(const struct tls_server *s)
{
    return s->expiry_s;
}

/* --- diallers --- */

/* SNI carries a host name, never an address or a wildcard (RFC 6066 3). */
static bool name_fits_sni(const char *name)
{
    struct addr a;

    return strchr(name, '*') == NULL && addr_parse(sl_str(name), 0, &a) != 0;
}

static int client_names(struct tls_client *c, const struct tls_client_params *p)
{
    c->names = mem_zalloc((p->n_names != 0 ? p->n_names : 1) * sizeof(char *));
    if (c->names == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < p->n_names; i++) {
        char *copy = mem_strndup(p->names[i], strlen(p->names[i]));

        if (copy == NULL) {
            return ENOMEM;
        }
        c->names[c->n_names++] = copy;
        if (c->server_name == NULL && name_fits_sni(copy)) {
            c->server_name = copy;
        }
    }
    return 0;
}

/* Whether the certificate that we show is another one. */
static int client_own(struct tls_client *c)
{
    const X509 *cert = SSL_CTX_get0_certificate(c->ctx);

    return cert == NULL || X509_digest(cert, EVP_sha256(), c->own, NULL) == 1 ? 0 : ENOMEM;
}

static int client_ctx(struct tls_client *c, const struct tls_client_params *p,
                      struct tls_problem *why)
{
    c->ctx = ctx_new(TLS_client_method());
    if (c->ctx == NULL) {
        return ENOMEM;
    }
    tls_sessions_use(c->ctx);
    if (p->verify) {
        SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(c->ctx, tls_verify_cb, c);
        SSL_CTX_set1_cert_store(c->ctx, p->ca->store);
    }
    return p->id.certificate != NULL ? ctx_identity(c->ctx, &p->id, why) : 0;
}

int tls_client_new(struct tls_client **cp, const struct tls_client_params *p,
                   struct tls_problem *why)
{
    struct tls_client *c = mem_zalloc(sizeof(*c));
    int err;

    *why = (struct tls_problem){.path = NULL};
    if (c == NULL) {
        return ENOMEM;
    }
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->verify = p->verify;
    err = client_names(c, p);
    if (err == 0) {
        err = client_ctx(c, p, why);
    }
    if (err == 0) {
        err = trust_digest(c->trust, p->verify ? TLS_VERIFY_REQUIRED : TLS_VERIFY_OFF, p->ca, c);
    }
    if (err == 0) {
        err = client_own(c);
    }
    if (err != 0) {
        tls_client_unref(&c);
        ERR_clear_error();
        return err;
    }
    c->expiry_s = ctx_expiry(c->ctx);
    *cp = c;
    return 0;
}

struct tls_client *tls_client_ref(struct tls_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_client_unref(struct tls_client **cp)
{
    struct tls_client *c = *cp;

    *cp = NULL;
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    tls_sessions_free(c);
    SSL_CTX_free(c->ctx);
    for (size_t i = 0; i < c->n_names; i++) {
        mem_free(c->names[i]);
    }
    mem_free(c->names);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

int64_t tls_client_expiry(const struct tls_client *c)
{
    return c->expiry_s;
}

bool tls_client_verifies(const struct tls_client *c)
{
    return c->verify;
}
