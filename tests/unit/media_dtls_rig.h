/* media_dtls_rig.h - phones that do DTLS-SRTP, with associations of their own, against the relay.
 * The pool has no threads: each step runs at once. */
#ifndef POSTERN_TEST_MEDIA_DTLS_RIG_H
#define POSTERN_TEST_MEDIA_DTLS_RIG_H

#include "media_secure_rig.h"

struct handset { /* a phone's half of DTLS */
    struct dtls_ctx *ctx;
    struct dtls_hub *hub;
    struct dtls *d;
    struct end end;
    int fd;
};

static struct {
    struct crypto_pool *pool;
    struct dtls_ctx *ctx; /* the relay's */
} house;

static inline int house_up(void **state)
{
    (void)state;
    return crypto_init() != 0 || crypto_pool_new(&house.pool, 0, 16) != 0 ||
                   dtls_ctx_new(&house.ctx, &(struct dtls_ctx_params){0}) != 0
               ? -1
               : 0;
}

static inline int house_down(void **state)
{
    (void)state;
    dtls_ctx_free(&house.ctx);
    crypto_pool_free(&house.pool);
    crypto_deinit();
    return 0;
}

/* As rig_up(), with DTLS. */
static inline void dtls_up(struct rig *r)
{
    rig_up(r, MEDIA_RTP, AF_INET, AF_INET);
    r->m->p.dtls = house.ctx;
    r->m->p.crypto = house.pool;
    assert_int_equal(media_handshake_init(r->m), 0);
}

static inline void handset_up(struct handset *h, bool active, int fd)
{
    *h = (struct handset){.fd = fd};
    assert_int_equal(dtls_ctx_new(&h->ctx, &(struct dtls_ctx_params){0}), 0);
    assert_int_equal(
        dtls_hub_new(&h->hub, &(struct dtls_hub_params){.ctx = h->ctx, .pool = house.pool}), 0);
    assert_int_equal(dtls_new(&h->d, h->hub, &(struct dtls_params){.active = active}), 0);
}

/* Another association of the same phone. */
static inline void handset_again(struct handset *h, bool active)
{
    dtls_free(&h->d);
    assert_int_equal(dtls_new(&h->d, h->hub, &(struct dtls_params){.active = active}), 0);
}

static inline void handset_down(struct handset *h)
{
    dtls_free(&h->d);
    dtls_hub_free(&h->hub);
    dtls_ctx_free(&h->ctx);
    rig_end_free(&h->end);
}

/* The end of a test with one phone, or two. */
static inline void dtls_down(struct rig *r, struct handset *h, struct handset *other)
{
    media_session_close(&r->s);
    handset_down(h);
    if (other != NULL) {
        handset_down(other);
    }
    rig_down(r);
}

/* The phone knows the relay's fingerprint. */
static inline void handset_introduce(struct handset *h)
{
    struct dtls_fingerprint fp;

    assert_int_equal(dtls_fingerprint_parse(dtls_ctx_fingerprint(house.ctx), &fp), 0);
    assert_int_equal(dtls_set_fingerprints(h->d, &fp, 1), 0);
}

/* The relay knows the phone's. */
static inline int relay_dtls(struct rig *r, unsigned side, enum media_dtls_role role,
                             const struct handset *h)
{
    struct media_dtls_params p = {.role = role};

    if (h != NULL) {
        p.fingerprints[p.n++] = dtls_ctx_fingerprint(h->ctx);
    }
    return media_set_dtls(r->s, 0, side, &p);
}

/* What the phone has to say goes to the flow. */
static inline bool handset_send(struct handset *h, struct media_flow *to)
{
    bool any = false;
    struct sl out;

    dtls_hub_collect(h->hub, 1);
    while (dtls_next_out(h->d, &out)) {
        rig_send(to, h->fd, out.p, out.n);
        any = true;
    }
    return any;
}

/* The DTLS datagrams that wait for the phone; others are dropped. */
static inline bool handset_receive(struct handset *h, int64_t now_ms)
{
    uint8_t p[2048];
    bool any = false;

    for (ssize_t n = rig_recv(h->fd, p, sizeof(p), NULL); n >= 0;
         n = rig_recv(h->fd, p, sizeof(p), NULL)) {
        if (p[0] >= 20 && p[0] <= 63) {
            dtls_feed(h->d, sl_make(p, (size_t)n), now_ms);
            any = true;
        }
    }
    dtls_hub_collect(h->hub, now_ms);
    return any;
}

/* Until both are silent. */
static inline void handset_talk(struct rig *r, struct handset *h, struct media_flow *f)
{
    for (unsigned lap = 0; lap < 32; lap++) {
        bool said = handset_send(h, f);

        loop_advance(r->loop, 0);
        if (!handset_receive(h, clock_now_ms(&r->clock)) && !said) {
            return;
        }
    }
    fail_msg("they do not stop talking");
}

/* The handshake on this side comes to its end. */
static inline void handset_finish(struct rig *r, struct handset *h, unsigned side)
{
    handset_talk(r, h, &rig_side(r, side)->rtp);
    assert_int_equal(rig_stats(r, side).dtls, MEDIA_DTLS_DONE);
}

static inline struct srtp_key handset_key(uint16_t profile, const struct dtls_srtp_key *k)
{
    struct srtp_key out = {.suite = profile == DTLS_SRTP_AEAD_AES_128_GCM ? SRTP_AEAD_AES_128_GCM
                                    : profile == DTLS_SRTP_AEAD_AES_256_GCM
                                        ? SRTP_AEAD_AES_256_GCM
                                        : SRTP_AES_CM_128_HMAC_SHA1_80};

    memcpy(out.key, k->key, sizeof(k->key));
    memcpy(out.salt, k->salt, sizeof(k->salt));
    return out;
}

/* The phone's keys come into use. */
static inline void handset_take_keys(struct handset *h)
{
    struct dtls_srtp_keys k;
    struct srtp_key tx, rx;

    assert_int_equal(dtls_take_keys(h->d, &k), 0);
    rig_end_free(&h->end);
    tx = handset_key(k.profile, &k.local);
    rx = handset_key(k.profile, &k.remote);
    h->end.tx = rig_context(&tx, SRTP_PROTECT);
    h->end.rx = rig_context(&rx, SRTP_UNPROTECT);
}

#endif
