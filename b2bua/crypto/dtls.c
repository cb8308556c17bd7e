/* dtls.c - the owner's side of DTLS associations: lends steps to the pool, takes them back, checks
 * fingerprints, hands out keys. */
#include "crypto/dtls_int.h"

#include <pthread.h>

#define DTLS_DEADLINE_MS 20000
#define DTLS_RATE 64           /* datagrams a second, and as many at once */
#define DTLS_BUSY_MS 20        /* the pool was full: ask again */
#define DTLS_RETRY_MAX_MS 4000 /* if the wall clock was set back meanwhile */

struct dtls_hub {
    struct dtls_hub_params p;
    pthread_mutex_t lock; /* done and notified */
    struct list done;     /* associations whose step has ended */
    bool notified;
};

struct dtls {
    struct list node; /* in hub->done */
    struct dtls_hub *hub;
    struct dtls_step step; /* the pool's while lent */
    bool lent;
    bool orphan; /* freed by its owner while lent */
    bool started;
    bool holds; /* OpenSSL's memory, as far as known here */
    enum dtls_state state;
    int err;
    uint32_t deadline_ms;
    dtls_change_fn *on_change;
    void *arg;
    int64_t deadline_at_ms; /* 0: none */
    int64_t retry_at_ms;    /* 0: none */
    int64_t linger_at_ms;   /* 0: none */
    bool timeout;           /* to be in the next step */
    bool settled;           /* to be noted when the step is back */
    int64_t tokens_ms;
    uint32_t tokens;
    struct dtls_queue in, out;
    struct dtls_datagram sent; /* what dtls_next_out() lent */
    struct dtls_expect expect;
    struct dtls_peer peer;
    struct dtls_srtp_keys keys;
    bool has_keys;
    struct dtls_counts counts;
};

/* --- hub --- */

int dtls_hub_new(struct dtls_hub **hp, const struct dtls_hub_params *p)
{
    struct dtls_hub *h = mem_zalloc(sizeof(*h));

    if (h == NULL) {
        return ENOMEM;
    }
    h->p = *p;
    list_init(&h->done);
    pthread_mutex_init(&h->lock, NULL);
    *hp = h;
    return 0;
}

/* On a pool thread: after the lock d is its owner's. */
static void dtls_hub_put(struct dtls_hub *h, struct dtls *d)
{
    bool tell;

    pthread_mutex_lock(&h->lock);
    list_push_back(&h->done, &d->node);
    tell = !h->notified && h->p.notify != NULL;
    h->notified = true;
    pthread_mutex_unlock(&h->lock);
    if (tell) {
        h->p.notify(h->p.arg);
    }
}

static struct dtls *dtls_hub_take(struct dtls_hub *h)
{
    struct list *n;

    pthread_mutex_lock(&h->lock);
    h->notified = false;
    n = list_pop_front(&h->done);
    pthread_mutex_unlock(&h->lock);
    return n != NULL ? CONTAINER_OF(n, struct dtls, node) : NULL;
}

/* --- the life of an association --- */

static void dtls_on_run(struct crypto_job *j)
{
    dtls_step_run(CONTAINER_OF(j, struct dtls_step, job));
}

static void dtls_on_done(struct crypto_job *j, bool ran)
{
    struct dtls *d = CONTAINER_OF(j, struct dtls, step.job);

    (void)ran; /* what was left out stays in the step, and no pool will ever take it */
    dtls_hub_put(d->hub, d);
}

int dtls_new(struct dtls **dp, struct dtls_hub *h, const struct dtls_params *p)
{
    struct dtls *d = mem_zalloc(sizeof(*d));

    if (d == NULL) {
        return ENOMEM;
    }
    list_init(&d->node);
    d->hub = h;
    d->step.job.run = dtls_on_run;
    d->step.job.done = dtls_on_done;
    d->step.ctx = h->p.ctx;
    d->step.active = p->active;
    d->step.retry_ms = -1;
    d->deadline_ms = p->deadline_ms != 0 ? p->deadline_ms : DTLS_DEADLINE_MS;
    d->on_change = p->on_change;
    d->arg = p->arg;
    d->tokens = DTLS_RATE;
    *dp = d;
    return 0;
}

static void dtls_destroy(struct dtls *d)
{
    dtls_step_clear(&d->step);
    dtls_queue_cut(&d->in, 0);
    dtls_queue_cut(&d->out, 0);
    mem_free(d->sent.p);
    mem_wipe(d, sizeof(*d));
    mem_free(d);
}

void dtls_free(struct dtls **dp)
{
    struct dtls *d = *dp;

    *dp = NULL;
    if (d == NULL) {
        return;
    }
    if (d->lent) {
        d->orphan = true; /* dtls_hub_collect() ends it */
        mem_wipe(&d->keys, sizeof(d->keys));
    } else {
        dtls_destroy(d);
    }
}

/* --- lending --- */

static void dtls_lend(struct dtls *d, int64_t now_ms)
{
    struct dtls_step *s = &d->step;

    if (d->lent || d->state == DTLS_FAILED) {
        return;
    }
    d->counts.dropped += dtls_queue_move(&s->in, &d->in);
    s->timeout = s->timeout || d->timeout;
    d->timeout = false;
    if (s->in.n == 0 && !s->begin && !s->timeout) {
        return;
    }
    s->expect = d->expect;
    d->lent = true;
    d->retry_at_ms = 0;
    if (crypto_pool_put(d->hub->p.pool, &s->job) != 0) {
        d->lent = false; /* what is to be done stays in the step */
        d->retry_at_ms = now_ms + DTLS_BUSY_MS;
    }
}

static void dtls_fail(struct dtls *d, int err)
{
    d->state = DTLS_FAILED;
    d->err = err;
    d->deadline_at_ms = d->retry_at_ms = d->linger_at_ms = 0;
    mem_wipe(&d->keys, sizeof(d->keys));
    d->has_keys = false;
    dtls_queue_cut(&d->in, 0);
    if (!d->lent) {
        dtls_step_close(&d->step);
        d->holds = false;
    }
}

static void dtls_verify(struct dtls *d)
{
    if (d->state != DTLS_UNVERIFIED || d->expect.n == 0) {
        return;
    }
    if (dtls_peer_matches(&d->peer, d->expect.fp, d->expect.n)) {
        d->state = DTLS_READY;
    } else {
        dtls_fail(d, EACCES);
    }
}

static void dtls_note_done(struct dtls *d, int64_t now_ms)
{
    struct dtls_step *s = &d->step;

    if (!s->done || d->state != DTLS_HANDSHAKE) {
        return;
    }
    d->state = DTLS_UNVERIFIED;
    d->keys = s->keys;
    d->has_keys = true;
    d->peer = s->peer;
    d->deadline_at_ms = 0;
    d->linger_at_ms = s->ssl != NULL ? now_ms + DTLS_LINGER_MS : 0;
    mem_wipe(&s->keys, sizeof(s->keys));
    dtls_verify(d);
}

static void dtls_note_retry(struct dtls *d, int64_t now_ms)
{
    int64_t ms = d->step.retry_ms;

    if (d->state == DTLS_HANDSHAKE && ms >= 0) {
        d->retry_at_ms = now_ms + (ms < DTLS_RETRY_MAX_MS ? ms : DTLS_RETRY_MAX_MS);
    }
}

static void dtls_collect(struct dtls *d, int64_t now_ms)
{
    struct dtls_step *s = &d->step;

    d->lent = false;
    if (d->orphan) {
        dtls_destroy(d);
        return;
    }
    d->holds = s->ssl != NULL;
    d->counts.dropped += s->lost + dtls_queue_move(&d->out, &s->out);
    s->lost = 0;
    d->counts.restarts = s->restarts;
    d->counts.steps = s->steps;
    if (d->state != DTLS_FAILED && s->err != 0) {
        dtls_fail(d, s->err);
    } else if (d->state == DTLS_FAILED) {
        dtls_step_close(s); /* it failed while the step ran */
    } else if (d->settled) {
        dtls_settle(d);
    } else {
        dtls_note_done(d, now_ms);
        dtls_note_retry(d, now_ms);
        dtls_lend(d, now_ms);
    }
    if (d->on_change != NULL) {
        d->on_change(d, d->arg);
    }
}

void dtls_hub_collect(struct dtls_hub *h, int64_t now_ms)
{
    for (struct dtls *d = dtls_hub_take(h); d != NULL; d = dtls_hub_take(h)) {
        dtls_collect(d, now_ms);
    }
}

void dtls_hub_set_pool(struct dtls_hub *h, struct crypto_pool *pool)
{
    h->p.pool = pool;
}

void dtls_hub_free(struct dtls_hub **hp)
{
    struct dtls_hub *h = *hp;

    *hp = NULL;
    if (h != NULL) {
        dtls_hub_collect(h, 0); /* only orphans are left */
        pthread_mutex_destroy(&h->lock);
        mem_free(h);
    }
}

/* --- what the owner says --- */

static void dtls_expect_end(struct dtls *d, int64_t now_ms)
{
    if (d->deadline_at_ms == 0 && d->state == DTLS_HANDSHAKE) {
        d->deadline_at_ms = now_ms + d->deadline_ms;
    }
}

void dtls_start(struct dtls *d, int64_t now_ms)
{
    if (d->started || !d->step.active) {
        return;
    }
    d->started = true;
    d->step.begin = true;
    dtls_expect_end(d, now_ms);
    dtls_lend(d, now_ms);
}

static bool dtls_may_feed(struct dtls *d, int64_t now_ms)
{
    int64_t earned = (now_ms - d->tokens_ms) * DTLS_RATE / 1000;

    if (earned > 0) {
        d->tokens = earned + d->tokens > DTLS_RATE ? DTLS_RATE : d->tokens + (uint32_t)earned;
        d->tokens_ms = now_ms;
    }
    if (d->tokens == 0) {
        return false;
    }
    d->tokens--;
    return true;
}

/* After the handshake only a repeated last flight is of interest, to a server that still can. */
static bool dtls_is_wanted(const struct dtls *d, uint8_t type)
{
    if (d->state == DTLS_FAILED || (d->step.active && !d->started)) {
        return false;
    }
    return d->state == DTLS_HANDSHAKE ||
           ((d->lent || d->holds) && (type == DTLS_TYPE_HANDSHAKE || type == DTLS_TYPE_CCS));
}

void dtls_feed(struct dtls *d, struct sl datagram, int64_t now_ms)
{
    uint8_t type = 0;

    d->counts.datagrams_in++;
    if (datagram.n > DTLS_DATAGRAM_MAX || !dtls_is_records(datagram, &type) ||
        !dtls_is_wanted(d, type) || !dtls_may_feed(d, now_ms) ||
        !dtls_queue_put(&d->in, datagram.p, datagram.n)) {
        d->counts.dropped++;
        return;
    }
    dtls_expect_end(d, now_ms);
    dtls_lend(d, now_ms);
}

int dtls_set_fingerprints(struct dtls *d, const struct dtls_fingerprint *fp, size_t n)
{
    if (n == 0 || n > DTLS_FINGERPRINTS_MAX) {
        return EINVAL;
    }
    if (d->state == DTLS_READY || d->state == DTLS_FAILED) {
        return EPROTO;
    }
    memcpy(d->expect.fp, fp, n * sizeof(*fp));
    d->expect.n = n;
    dtls_verify(d);
    return 0;
}

bool dtls_matches(const struct dtls *d, const struct dtls_fingerprint *fp, size_t n)
{
    return d->state == DTLS_READY && dtls_peer_matches(&d->peer, fp, n);
}

bool dtls_next_out(struct dtls *d, struct sl *datagram)
{
    mem_free(d->sent.p);
    d->sent = (struct dtls_datagram){0};
    if (!dtls_queue_take(&d->out, &d->sent)) {
        return false;
    }
    d->counts.datagrams_out++;
    *datagram = sl_make(d->sent.p, d->sent.n);
    return true;
}

int64_t dtls_timeout_ms(const struct dtls *d, int64_t now_ms)
{
    const int64_t at[] = {d->deadline_at_ms, d->retry_at_ms, d->linger_at_ms};
    int64_t first = 0;

    for (size_t i = 0; i < COUNT_OF(at); i++) {
        if (at[i] != 0 && (first == 0 || at[i] < first)) {
            first = at[i];
        }
    }
    if (first == 0) {
        return -1;
    }
    return first > now_ms ? first - now_ms : 0;
}

/* A lent step is left alone: its end says what is next. */
static bool dtls_is_due(int64_t *at_ms, int64_t now_ms)
{
    if (*at_ms == 0 || now_ms < *at_ms) {
        return false;
    }
    *at_ms = 0;
    return true;
}

void dtls_on_timeout(struct dtls *d, int64_t now_ms)
{
    if (dtls_is_due(&d->deadline_at_ms, now_ms)) {
        dtls_fail(d, !d->lent && d->step.last_err != 0 ? d->step.last_err : ETIMEDOUT);
        return;
    }
    if (dtls_is_due(&d->linger_at_ms, now_ms)) {
        dtls_settle(d);
    }
    if (dtls_is_due(&d->retry_at_ms, now_ms)) {
        d->timeout = d->state == DTLS_HANDSHAKE;
        dtls_lend(d, now_ms);
    }
}

void dtls_settle(struct dtls *d)
{
    if (d->state != DTLS_READY && d->state != DTLS_UNVERIFIED) {
        return;
    }
    d->linger_at_ms = 0;
    d->settled = d->lent;
    if (d->lent) {
        return;
    }
    dtls_step_close(&d->step);
    dtls_queue_cut(&d->step.in, 0);
    d->holds = false;
}

enum dtls_state dtls_state(const struct dtls *d)
{
    return d->state;
}

int dtls_error(const struct dtls *d)
{
    return d->err;
}

bool dtls_is_active(const struct dtls *d)
{
    return d->step.active;
}

int dtls_take_keys(struct dtls *d, struct dtls_srtp_keys *out)
{
    if (d->state == DTLS_FAILED) {
        return d->err;
    }
    if (d->state != DTLS_READY) {
        return EAGAIN;
    }
    if (!d->has_keys) {
        return ENOENT;
    }
    *out = d->keys;
    mem_wipe(&d->keys, sizeof(d->keys));
    d->has_keys = false;
    return 0;
}

void dtls_counts(const struct dtls *d, struct dtls_counts *out)
{
    *out = d->counts;
}
