/* dtls_step.c - one step of a handshake, on a thread of the pool: what waits is read, what OpenSSL
 * has to say is put in a queue. Thread: whoever the step is lent to. */
#include "crypto/dtls_int.h"

#include <openssl/err.h>
#include <openssl/srtp.h>
#include <sys/time.h>

#define RETRY_FIRST_US 250000u
#define RETRY_MAX_US 4000000u
#define EXPORT_LABEL "EXTRACTOR-dtls_srtp"

/* RFC 6347 4.2.4.1: doubling. Shorter than its second, as somebody is waiting to hear a voice. */
static unsigned dtls_on_timer(SSL *ssl, unsigned us)
{
    (void)ssl;
    if (us == 0) {
        return RETRY_FIRST_US;
    }
    return us < RETRY_MAX_US / 2 ? us * 2 : RETRY_MAX_US;
}

static int dtls_step_open(struct dtls_step *s)
{
    BIO *bio = dtls_bio_new(s->ctx->bio, s);

    s->ssl = bio != NULL ? SSL_new(s->ctx->ssl) : NULL;
    if (s->ssl == NULL) {
        BIO_free(bio);
        return ENOMEM;
    }
    SSL_set_bio(s->ssl, bio, bio); /* bio is the SSL's from here on */
    DTLS_set_timer_cb(s->ssl, dtls_on_timer);
    if (s->active) {
        SSL_set_connect_state(s->ssl);
    } else {
        SSL_set_accept_state(s->ssl);
    }
    s->peer.known = s->mismatch = s->has_hello = false;
    return SSL_set_app_data(s->ssl, s) == 1 && SSL_set_mtu(s->ssl, DTLS_MTU) == DTLS_MTU ? 0
                                                                                         : ENOMEM;
}

void dtls_step_close(struct dtls_step *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    mem_free(s->current.p);
    s->current = (struct dtls_datagram){0};
}

void dtls_step_clear(struct dtls_step *s)
{
    dtls_step_close(s);
    dtls_queue_cut(&s->in, 0);
    dtls_queue_cut(&s->out, 0);
    mem_wipe(s, sizeof(*s));
}

/* --- the end of a handshake --- */

static bool dtls_profile_lengths(uint16_t profile, struct dtls_srtp_keys *k)
{
    static const struct {
        uint16_t profile;
        uint8_t key_len, salt_len;
    } rows[] = {
        /* RFC 5764 4.1.2, RFC 7714 12 */
        {DTLS_SRTP_AES128_CM_SHA1_80, 16, 14},
        {DTLS_SRTP_AES128_CM_SHA1_32, 16, 14},
        {DTLS_SRTP_AEAD_AES_128_GCM, 16, 12},
        {DTLS_SRTP_AEAD_AES_256_GCM, 32, 12},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].profile == profile) {
            k->profile = profile;
            k->key_len = rows[i].key_len;
            k->salt_len = rows[i].salt_len;
            return true;
        }
    }
    return false;
}

static void dtls_take(uint8_t *to, const uint8_t **from, size_t n)
{
    memcpy(to, *from, n);
    *from += n;
}

/* RFC 5764 4.2: client key, server key, client salt, server salt. */
static int dtls_step_export(struct dtls_step *s)
{
    const SRTP_PROTECTION_PROFILE *p = SSL_get_selected_srtp_profile(s->ssl);
    struct dtls_srtp_keys *k = &s->keys;
    struct dtls_srtp_key *client = s->active ? &k->local : &k->remote;
    struct dtls_srtp_key *server = s->active ? &k->remote : &k->local;
    uint8_t block[2 * (DTLS_SRTP_KEY_MAX + DTLS_SRTP_SALT_MAX)];
    const uint8_t *at = block;
    int err = 0;

    if (p == NULL || !dtls_profile_lengths((uint16_t)p->id, k)) {
        return ENOTSUP;
    }
    if (SSL_export_keying_material(s->ssl, block, 2 * ((size_t)k->key_len + k->salt_len),
                                   EXPORT_LABEL, sizeof(EXPORT_LABEL) - 1, NULL, 0, 0) != 1) {
        err = ENOMEM;
    } else {
        dtls_take(client->key, &at, k->key_len);
        dtls_take(server->key, &at, k->key_len);
        dtls_take(client->salt, &at, k->salt_len);
        dtls_take(server->salt, &at, k->salt_len);
    }
    mem_wipe(block, sizeof(block));
    return err;
}

/* The server's flight was the last one: a client is done for good, a server may have to repeat it.
 */
static void dtls_step_finish(struct dtls_step *s)
{
    s->err = dtls_step_export(s);
    s->done = s->err == 0;
    if (s->err != 0) {
        (void)SSL_shutdown(s->ssl); /* tells the peer; what it returns changes nothing */
    }
    if (s->err != 0 || s->active) {
        dtls_step_close(s);
    }
}

static int dtls_step_error(const struct dtls_step *s, int ret)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);

    if (s->mismatch) {
        return EACCES;
    }
    if (reason == ERR_R_MALLOC_FAILURE) {
        return ENOMEM;
    }
    return ret == SSL_ERROR_ZERO_RETURN || reason > SSL_AD_REASON_OFFSET ? ECONNRESET : EPROTO;
}

/* Nobody has proved anything yet, so whoever spoiled this attempt shall not have spoiled the
 * association: back to waiting, and not a word of what went wrong (a stranger who forges the
 * peer's address would make us tell the peer to give up). */
static void dtls_step_restart(struct dtls_step *s, int why)
{
    s->last_err = why;
    if (why == EACCES || why == ENOMEM || s->active || s->restarts == DTLS_RESTARTS_MAX) {
        s->err = why;
        dtls_step_close(s);
        return;
    }
    s->restarts++;
    dtls_queue_cut(&s->out, s->said);
    dtls_step_close(s);
}

/* --- steps --- */

static void dtls_step_enter(struct dtls_step *s) /* before each call of OpenSSL */
{
    ERR_clear_error();
    s->said = s->out.n;
}

static void dtls_step_handshake(struct dtls_step *s)
{
    int ret;

    dtls_step_enter(s);
    ret = SSL_do_handshake(s->ssl);
    if (ret == 1) {
        dtls_step_finish(s);
        return;
    }
    ret = SSL_get_error(s->ssl, ret);
    if (ret != SSL_ERROR_WANT_READ && ret != SSL_ERROR_WANT_WRITE) {
        dtls_step_restart(s, dtls_step_error(s, ret));
    }
}

/* Lets OpenSSL see that the peer repeats its flight, which makes it repeat ours. */
static void dtls_step_linger(struct dtls_step *s)
{
    char ignored[256];

    dtls_step_enter(s);
    while (SSL_read(s->ssl, ignored, sizeof(ignored)) > 0) {
    }
}

/* Another ClientHello than the one in work: the peer has begun anew, or the first was forged. */
static int dtls_step_hello(struct dtls_step *s)
{
    const uint8_t *hello =
        s->active || s->done ? NULL : dtls_hello_random(sl_make(s->current.p, s->current.n));

    if (hello == NULL) {
        return 0;
    }
    if (s->has_hello && memcmp(hello, s->hello, DTLS_HELLO_RANDOM) != 0 &&
        s->restarts < DTLS_RESTARTS_MAX) {
        struct dtls_datagram kept = s->current;
        int err;

        s->current = (struct dtls_datagram){0};
        s->restarts++;
        dtls_step_close(s);
        err = dtls_step_open(s);
        s->current = kept;
        if (err != 0) {
            return err;
        }
    }
    if (!s->has_hello) {
        memcpy(s->hello, hello, DTLS_HELLO_RANDOM);
        s->has_hello = true;
    }
    return 0;
}

static void dtls_step_datagram(struct dtls_step *s)
{
    struct sl datagram = sl_make(s->current.p, s->current.n);

    /* Only a ClientHello is worth the memory of a handshake. */
    if (s->ssl == NULL && !s->done && dtls_hello_random(datagram) != NULL) {
        s->err = dtls_step_open(s);
    }
    if (s->err == 0 && s->ssl != NULL && !s->done) {
        s->err = dtls_step_hello(s);
    }
    if (s->err == 0 && s->ssl != NULL) {
        if (s->done) {
            dtls_step_linger(s);
        } else {
            dtls_step_handshake(s);
        }
    }
    mem_free(s->current.p); /* when OpenSSL did not get to it */
    s->current = (struct dtls_datagram){0};
}

static void dtls_step_begin(struct dtls_step *s)
{
    s->err = dtls_step_open(s);
    if (s->err == 0) {
        dtls_step_handshake(s);
    }
}

static void dtls_step_timeout(struct dtls_step *s)
{
    dtls_step_enter(s);
    if (s->ssl != NULL && !s->done && DTLSv1_handle_timeout(s->ssl) < 0) {
        dtls_step_restart(s, ETIMEDOUT);
    }
}

static int64_t dtls_step_retry(struct dtls_step *s)
{
    struct timeval tv;

    if (s->ssl == NULL || s->done || DTLSv1_get_timeout(s->ssl, &tv) != 1) {
        return -1;
    }
    return (int64_t)tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000;
}

void dtls_step_run(struct dtls_step *s)
{
    s->steps++;
    if (s->begin) {
        dtls_step_begin(s);
    } else if (s->timeout) {
        dtls_step_timeout(s);
    }
    s->begin = s->timeout = false;
    while (s->err == 0 && dtls_queue_take(&s->in, &s->current)) {
        dtls_step_datagram(s);
    }
    dtls_queue_cut(&s->in, 0);
    if (s->err != 0) {
        dtls_step_close(s);
    }
    s->retry_ms = dtls_step_retry(s);
    ERR_clear_error();
}
