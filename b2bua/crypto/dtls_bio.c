/* dtls_bio.c - queues of datagrams, and a BIO on top of them in which one write is one datagram.
 * (OpenSSL 3.0 has none; its memory BIOs run datagrams together.) */
#include "crypto/dtls_int.h"

bool dtls_queue_put(struct dtls_queue *q, const void *p, size_t n)
{
    struct dtls_datagram *d = &q->d[(q->head + q->n) % DTLS_QUEUE_MAX];

    if (q->n == DTLS_QUEUE_MAX || n == 0) {
        return false;
    }
    d->p = mem_alloc(n);
    if (d->p == NULL) {
        return false;
    }
    memcpy(d->p, p, n);
    d->n = n;
    q->n++;
    return true;
}

/* RFC 6347 4.1.1: several records may share a datagram. A ClientHello stays alone: OpenSSL drops a
 * late one with all that follows it, as its record says DTLS 1.0. */
static bool dtls_queue_extend(struct dtls_queue *q, const void *p, size_t n)
{
    struct dtls_datagram *d = &q->d[(q->head + q->n - 1) % DTLS_QUEUE_MAX];
    uint8_t *grown;

    if (d->n + n > DTLS_MTU || dtls_hello_random(sl_make(d->p, d->n)) != NULL) {
        return false;
    }
    grown = mem_realloc(d->p, d->n + n);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown + d->n, p, n);
    d->p = grown;
    d->n += n;
    return true;
}

bool dtls_queue_take(struct dtls_queue *q, struct dtls_datagram *out)
{
    if (q->n == 0) {
        return false;
    }
    *out = q->d[q->head];
    q->head = (q->head + 1) % DTLS_QUEUE_MAX;
    q->n--;
    return true;
}

unsigned dtls_queue_move(struct dtls_queue *to, struct dtls_queue *from)
{
    struct dtls_datagram d;
    unsigned lost = 0;

    while (dtls_queue_take(from, &d)) {
        if (to->n == DTLS_QUEUE_MAX) {
            mem_free(d.p);
            lost++;
        } else {
            to->d[(to->head + to->n++) % DTLS_QUEUE_MAX] = d;
        }
    }
    return lost;
}

void dtls_queue_cut(struct dtls_queue *q, unsigned n)
{
    while (q->n > n) {
        mem_free(q->d[(q->head + --q->n) % DTLS_QUEUE_MAX].p);
    }
}

/* A datagram is read whole or, where the reader has less room, cut off, as from a socket. */
static int dtls_bio_read(BIO *b, char *to, int cap)
{
    struct dtls_step *s = BIO_get_data(b);
    size_t n = s->current.n;

    BIO_clear_retry_flags(b);
    if (s->current.p == NULL || cap <= 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    n = n < (size_t)cap ? n : (size_t)cap;
    memcpy(to, s->current.p, n);
    mem_free(s->current.p);
    s->current = (struct dtls_datagram){0};
    return (int)n;
}

/* A flight that is repeated comes message by message: what belongs together goes together, so that
 * it is lost less often. What does not fit at all is lost like a datagram on the way. */
static int dtls_bio_write(BIO *b, const char *from, int n)
{
    struct dtls_step *s = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (n <= 0 || (s->out.n > s->said && dtls_queue_extend(&s->out, from, (size_t)n))) {
        return n;
    }
    if (n > DTLS_MTU || !dtls_queue_put(&s->out, from, (size_t)n)) {
        s->lost++;
    }
    return n;
}

static long dtls_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_DGRAM_QUERY_MTU: /* 0 would cut the handshake into datagrams of 228 bytes */
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
    case BIO_CTRL_DGRAM_GET_MTU:
    case BIO_CTRL_DGRAM_SET_MTU:
        return DTLS_MTU;
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        return 1;
    default: /* also: nothing pending, MTU not exceeded, no overhead of ours */
        return 0;
    }
}

/* Thread: main. */
BIO_METHOD *dtls_bio_method(void)
{
    static int index; /* there are few in a process */
    BIO_METHOD *m;

    if (index <= 0) {
        index = BIO_get_new_index();
    }
    m = index > 0 ? BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "datagrams") : NULL;

    if (m != NULL &&
        (BIO_meth_set_read(m, dtls_bio_read) != 1 || BIO_meth_set_write(m, dtls_bio_write) != 1 ||
         BIO_meth_set_ctrl(m, dtls_bio_ctrl) != 1)) {
        BIO_meth_free(m);
        m = NULL;
    }
    return m;
}

BIO *dtls_bio_new(const BIO_METHOD *m, struct dtls_step *s)
{
    BIO *b = BIO_new(m);

    if (b != NULL) {
        BIO_set_data(b, s);
        BIO_set_init(b, 1);
    }
    return b;
}
