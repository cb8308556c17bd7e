/* tls.c - one connection's end: OpenSSL between a slice of what came and a writer of what goes. */
#include "crypto/tls_int.h"

#include <openssl/err.h>

/* --- the border to OpenSSL: a BIO without a buffer of its own --- */

static int on_bio_read(BIO *bio, char *dst, size_t cap, size_t *n)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (t->asides > TLS_ASIDES_MAX) {
        return 0; /* the end: one call of OpenSSL would go through all that came */
    }
    if (t->in.n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *n = cap < t->in.n ? cap : t->in.n;
    memcpy(dst, t->in.p, *n);
    t->in = sl_from(t->in, *n);
    return 1;
}

static int on_bio_write(BIO *bio, const char *p, size_t len, size_t *n)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (t->out_err == 0) {
        t->out_err = t->out(t->arg, sl_make(p, len));
    }
    *n = len;
    return t->out_err == 0 ? 1 : 0;
}

static long on_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

int tls_bio_init(void)
{
    BIO_METHOD *m;

    if (crypto_algs.tls_bio != NULL) {
        return 0;
    }
    m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "postern");
    if (m == NULL || BIO_meth_set_read_ex(m, on_bio_read) != 1 ||
        BIO_meth_set_write_ex(m, on_bio_write) != 1 || BIO_meth_set_ctrl(m, on_bio_ctrl) != 1) {
        BIO_meth_free(m);
        return ENOMEM;
    }
    crypto_algs.tls_bio = m;
    return 0;
}

struct tls *tls_of_ssl(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* --- life --- */

static int tls_new(struct tls **tp, tls_out_fn *out, void *arg)
{
    struct tls *t = mem_zalloc(sizeof(*t));

    if (t == NULL) {
        return ENOMEM;
    }
    t->out = out;
    t->arg = arg;
    t->why = "";
    *tp = t;
    return 0;
}

int tls_accept(struct tls **tp, struct tls_server *s, tls_out_fn *out, void *arg)
{
    int err = tls_new(tp, out, arg);

    if (err == 0) {
        (*tp)->server = tls_server_ref(s);
    }
    return err;
}

int tls_dial(struct tls **tp, struct tls_client *c, const struct addr *to, tls_out_fn *out,
             void *arg)
{
    int err = tls_new(tp, out, arg);

    if (err == 0) {
        (*tp)->client = tls_client_ref(c);
        (*tp)->to = *to;
    }
    return err;
}

void tls_free(struct tls **tp)
{
    struct tls *t = *tp;

    *tp = NULL;
    if (t == NULL) {
        return;
    }
    if (t->ssl != NULL && t->is_open && !t->is_broken) {
        /* Else OpenSSL takes its session for one that an attacker cut off, and forgets it. */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(t->ssl); /* with its BIO */
    tls_server_unref(&t->server);
    tls_client_unref(&t->client);
    mem_free(t->names);
    mem_free(t);
}

static int tls_make_ssl(struct tls *t)
{
    SSL *ssl = SSL_new(t->client != NULL ? t->client->ctx : t->server->ctx[0]);
    BIO *bio = ssl != NULL ? BIO_new(crypto_algs.tls_bio) : NULL;

    if (bio == NULL) {
        SSL_free(ssl);
        return ENOMEM;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, t);
    t->ssl = ssl;
    if (t->client == NULL) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    SSL_set_connect_state(ssl);
    if (t->client->server_name != NULL &&
        SSL_set_tlsext_host_name(ssl, t->client->server_name) != 1) {
        return ENOMEM;
    }
    tls_sessions_resume(t);
    return 0;
}

/* --- what went wrong --- */

/* Alerts have one byte above this offset; the reasons that all libraries share lie higher still. */
bool tls_is_alert(unsigned long e)
{
    return ERR_GET_LIB(e) == ERR_LIB_SSL && !ERR_COMMON_ERROR(e) &&
           ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET &&
           ERR_GET_REASON(e) < SSL_AD_REASON_OFFSET + 256;
}

static int tls_classify(struct tls *t)
{
    unsigned long e = ERR_peek_last_error();
    long verdict = SSL_get_verify_result(t->ssl);
    const char *text = ERR_reason_error_string(e);

    t->why = text != NULL ? text : "protocol error";
    if (t->out_err != 0) {
        t->why = "nothing can be sent";
        return t->out_err;
    }
    if (t->asides > TLS_ASIDES_MAX) {
        t->why = "too many new keys";
        stat_inc(STAT_TLS_ASIDES);
        return EPROTO;
    }
    if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE) {
        return ENOMEM;
    }
    if (tls_is_alert(e)) {
        return ECONNREFUSED;
    }
    if (ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
        t->why = X509_verify_cert_error_string(verdict);
        return EACCES;
    }
    return ERR_GET_REASON(e) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ? EACCES : EPROTO;
}

/* ENODATA, or the end of the connection. */
static int tls_result(struct tls *t, int rc)
{
    int err;

    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return ENODATA;
    case SSL_ERROR_ZERO_RETURN:
        return ESHUTDOWN;
    default:
        break;
    }
    err = tls_classify(t);
    t->is_broken = true;
    ERR_clear_error();
    return err;
}

/* --- handshake --- */

static int tls_refuse(struct tls *t, int err, const char *why)
{
    t->is_broken = true;
    t->why = why;
    return err;
}

bool tls_has_ended(const X509 *cert, time_t now)
{
    return X509_cmp_time(X509_get0_notAfter(cert), &now) <= 0; /* 0: it cannot be read */
}

bool tls_is_over(const X509 *cert)
{
    struct clock clock;

    clock_init_real(&clock);
    return tls_has_ended(cert, (time_t)(clock_wall_ms(&clock) / 1000));
}

/* A resumed session brings the certificate of its first handshake, which may have ended since. */
static int tls_take_peer(struct tls *t)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    if (cert == NULL || SSL_get_verify_mode(t->ssl) == SSL_VERIFY_NONE ||
        SSL_get_verify_result(t->ssl) != X509_V_OK) {
        return 0;
    }
    if (t->resumed && tls_is_over(cert)) {
        return tls_refuse(t, EACCES, "certificate has expired");
    }
    t->names = mem_alloc(sizeof(*t->names));
    if (t->names == NULL) {
        return tls_refuse(t, ENOMEM, "out of memory");
    }
    tls_names_of(cert, t->names);
    return 0;
}

/* What TLS_SUITES_12 and TLS 1.3 can choose. */
static const struct tls_suite {
    uint16_t id;
    const char *name;
} tls_suites[] = {
    {0x1301, "TLS_AES_128_GCM_SHA256"},
    {0x1302, "TLS_AES_256_GCM_SHA384"},
    {0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
    {0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
};

static uint8_t tls_suite_of(const SSL *ssl)
{
    uint16_t id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));

    for (size_t i = 0; i < COUNT_OF(tls_suites); i++) {
        if (tls_suites[i].id == id) {
            return (uint8_t)(i + 1);
        }
    }
    return 1; /* none but these are offered */
}

static void on_message(int is_ours, int version, int type, const void *p, size_t n, SSL *ssl,
                       void *arg)
{
    struct tls *t = arg;

    (void)version, (void)p, (void)n, (void)ssl;
    t->asides += is_ours == 0 && type == SSL3_RT_HANDSHAKE;
}

void tls_forgive(struct tls *t)
{
    t->asides = 0;
}

static int tls_opened(struct tls *t)
{
    SSL_set_msg_callback(t->ssl, on_message);
    SSL_set_msg_callback_arg(t->ssl, t);
    t->cipher = tls_suite_of(t->ssl);
    t->resumed = SSL_session_reused(t->ssl) == 1;
    t->is_open = true;
    memcpy(t->trust, t->client != NULL ? t->client->trust : t->server->trust, TLS_TRUST);
    if (t->client != NULL) {
        memcpy(t->own, t->client->own, TLS_TRUST);
    }
    return tls_take_peer(t);
}

int tls_step(struct tls *t, struct sl *in)
{
    int err = t->ssl == NULL ? tls_make_ssl(t) : 0;
    int rc;

    if (err != 0) {
        ERR_clear_error();
        return tls_refuse(t, err, "out of memory");
    }
    t->in = *in;
    ERR_clear_error();
    rc = SSL_do_handshake(t->ssl);
    err = rc == 1 ? tls_opened(t) : tls_result(t, rc);
    *in = t->in;
    t->in = SL_NULL;
    return err;
}

/* --- the open connection --- */

int tls_read(struct tls *t, struct sl *in, void *dst, size_t cap, size_t *n)
{
    int rc;

    if (t->is_broken || !t->is_open) {
        return EPROTO;
    }
    *n = 0;
    t->in = *in;
    ERR_clear_error();
    rc = SSL_read_ex(t->ssl, dst, cap, n);
    *in = t->in;
    t->in = SL_NULL;
    return rc == 1 ? 0 : tls_result(t, rc);
}

int tls_write(struct tls *t, struct sl bytes)
{
    size_t n = 0;
    int rc;

    if (t->is_broken || !t->is_open) {
        return EPROTO;
    }
    if (bytes.n == 0) {
        return 0;
    }
    ERR_clear_error();
    rc = SSL_write_ex(t->ssl, bytes.p, bytes.n, &n);
    if (rc == 1) {
        return 0;
    }
    rc = tls_result(t, rc);
    return rc == ENODATA || rc == ESHUTDOWN ? EPROTO : rc;
}

void tls_close(struct tls *t)
{
    if (t->is_open && !t->is_broken) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl); /* the other side's answer is not waited for */
        ERR_clear_error();
    }
}

const char *tls_why(const struct tls *t)
{
    return t->why;
}

void tls_info(const struct tls *t, struct tls_info *out)
{
    *out =
        (struct tls_info){.cipher = t->cipher, .resumed = t->resumed, .verified = t->names != NULL};
}

size_t tls_names(const struct tls *t, struct sl *names, size_t max)
{
    size_t n = 0;

    while (t->names != NULL && n < t->names->n && n < max) {
        names[n] = t->names->name[n];
        n++;
    }
    return n;
}

const char *tls_cipher_name(uint8_t cipher)
{
    return cipher != 0 && cipher <= COUNT_OF(tls_suites) ? tls_suites[cipher - 1].name : "";
}

const char *tls_version_name(uint8_t cipher)
{
    if (cipher == 0 || cipher > COUNT_OF(tls_suites)) {
        return "";
    }
    return tls_suites[cipher - 1].id >> 8 == 0x13 ? "TLSv1.3" : "TLSv1.2";
}
