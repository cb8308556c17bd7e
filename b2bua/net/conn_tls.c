/* conn_tls.c - TLS on a connection. The steps of the handshake run on the crypto pool, which has
 * the buffers for as long; messages that are to go out meanwhile wait as plain text. */
#include "net/net_int.h"

enum {
    TLS_STEP_MAX = 16384,   /* bytes taken at once; more wait in the kernel */
    TLS_READ_ROUNDS = 4,    /* reads per wake-up: pings in records of their own take 5 ms then */
    TLS_OVERHEAD = 1024,    /* more than all records of a message add to it */
    TLS_FORGIVE_MS = 60000, /* TLS_ASIDES_MAX messages of TLS itself in so long */
    TLS_RECORD_SHAKE = 0x16 /* RFC 8446 5.1: what every client begins with */
};

/* --- the step, on a thread of the pool --- */

static size_t conn_tls_out_max(const struct conn *c)
{
    return c->net->lim.max_send_queue + TLS_OVERHEAD;
}

static int conn_tls_out(void *arg, struct sl bytes)
{
    const struct conn_tls *t = arg;
    struct conn *c = t->c;
    int err = conn_buf_put(&c->out, bytes, t->lent ? t->lent_max : conn_tls_out_max(c));

    return err == EMSGSIZE ? ENOBUFS : err;
}

static void conn_tls_run(struct crypto_job *job)
{
    struct conn_tls *t = CONTAINER_OF(job, struct conn_tls, job);
    struct sl in = sl_make(t->c->in.p, t->c->in.n);

    t->result = tls_step(t->tls, &in);
    t->rest = in.n;
}

static void conn_tls_ran(struct crypto_job *job, bool ran)
{
    struct conn_tls *t = CONTAINER_OF(job, struct conn_tls, job);

    if (!ran) {
        t->result = ECANCELED;
    }
    loop_notify(t->c->net->loop, &t->note);
}

/* --- life --- */

static void on_conn_tls_ran(void *arg);

int conn_tls_new(struct conn_tls **tp, struct net *n, struct tls_server *s, struct tls_client *c,
                 const struct addr *to)
{
    struct conn_tls *t = pool_get(&n->tls_pool);
    int err;

    if (t == NULL) {
        return ENOMEM;
    }
    t->job = (struct crypto_job){.run = conn_tls_run, .done = conn_tls_ran};
    t->note = (struct loop_note){.fn = on_conn_tls_ran, .arg = t};
    err = s != NULL ? tls_accept(&t->tls, s, conn_tls_out, t)
                    : tls_dial(&t->tls, c, to, conn_tls_out, t);
    if (err != 0) {
        pool_put(&n->tls_pool, t);
        return err;
    }
    *tp = t;
    return 0;
}

void conn_tls_free(struct net *n, struct conn_tls **tp)
{
    struct conn_tls *t = *tp;

    *tp = NULL;
    if (t != NULL) {
        tls_free(&t->tls);
        mem_free(t->plain.p);
        pool_put(&n->tls_pool, t);
    }
}

/* The handshake is over, one way or the other. */
static void conn_tls_uncount(struct conn *c)
{
    if (c->tls->counted) {
        c->tls->counted = false;
        c->net->n_shaking--;
        c->net->n_strange_shaking -= !c->known;
        c->source->shaking--;
    }
}

void conn_tls_leave(struct conn *c)
{
    conn_tls_uncount(c);
}

/* --- handshake --- */

/* Lends the connection for a step over what is in c->in. */
static void conn_tls_lend(struct conn *c)
{
    struct conn_tls *t = c->tls;
    int err;

    t->lent = true;
    t->lent_max = conn_tls_out_max(c);
    err = crypto_pool_put(c->net->pool, &t->job);
    if (err != 0) {
        t->lent = false;
        stat_inc(STAT_TLS_LIMIT);
        conn_kill(c, ENOBUFS);
        return;
    }
    conn_watch(c);
}

void conn_tls_begin(struct conn *c)
{
    struct net *n = c->net;

    conn_to_state(c, CONN_SHAKING, n->lim.handshake_ms);
    if (!c->incoming) {
        conn_tls_lend(c); /* we speak first */
        return;
    }
    c->tls->counted = true;
    n->n_shaking++;
    n->n_strange_shaking += !c->known;
    c->source->shaking++;
    conn_watch(c);
}

static void conn_tls_failed(struct conn *c, int err)
{
    static const struct {
        int err;
        enum stat_id stat;
    } stats[] = {{EACCES, STAT_TLS_CERT}, {ECONNREFUSED, STAT_TLS_REFUSED}};
    enum stat_id stat = STAT_TLS_ERROR;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < COUNT_OF(stats); i++) {
        stat = stats[i].err == err ? stats[i].stat : stat;
    }
    stat_inc(stat);
    log_info(NULL, "TLS %s %s failed: %s%s", c->incoming ? "from" : "to",
             addr_text(&c->flow.remote, text), err == ECONNREFUSED ? "the far side says: " : "",
             tls_why(c->tls->tls));
    conn_tls_uncount(c);
    if (!c->incoming) {
        conn_flush(c);
        conn_kill(c, err);
    } else if (c->out.n != 0) {
        conn_drain(c, err); /* our alert says why */
    } else {
        conn_kill(c, err);
    }
}

void conn_tls_identify(struct conn *c)
{
    struct net *n = c->net;
    struct sl names[TLS_NAMES_MAX];
    size_t n_names = tls_names(c->tls->tls, names, COUNT_OF(names));

    c->flow.peer = 0;
    if (n_names != 0 && n->ev.identify != NULL) {
        c->flow.peer = n->ev.identify(n->arg, c->flow.listener, names, n_names);
    }
    c->flow.certified = c->flow.peer != 0;
}

static void conn_tls_take(struct conn *c, struct sl in);

static void conn_tls_done(struct conn *c)
{
    struct conn_tls *t = c->tls;
    struct conn_buf in = c->in;
    struct conn_buf plain = t->plain;
    struct tls_info info;
    int err = 0;

    c->in = t->plain = (struct conn_buf){0};
    tls_info(t->tls, &info);
    stat_inc(STAT_TLS_OK);
    stat_add(STAT_TLS_RESUMED, info.resumed);
    conn_tls_uncount(c);
    c->flow.cipher = info.cipher;
    if (c->incoming) {
        conn_tls_identify(c);
    } else {
        c->flow.certified = info.verified && c->flow.peer != 0;
    }
    conn_opened(c);
    conn_prove(c);
    if (c->standing == TLS_LOST) {
        err = EACCES; /* the configuration changed meanwhile */
    } else if (plain.n != 0) {
        err = tls_write(t->tls, sl_make(plain.p, plain.n));
    }
    if (err == 0) {
        conn_tls_take(c, sl_make(in.p + (in.n - t->rest), t->rest));
    } else {
        conn_kill(c, err);
    }
    mem_free(in.p);
    mem_free(plain.p);
    conn_flush(c);
}

static void on_conn_tls_ran(void *arg)
{
    struct conn_tls *t = arg;
    struct conn *c = t->c;

    t->lent = false;
    if (t->orphan) {
        list_del(&c->node);
        conn_destroy(c);
        return;
    }
    if (c->state == CONN_DEAD) {
        return; /* `gone` is on its way, and the end with it */
    }
    if (t->result == 0) {
        conn_tls_done(c);
    } else if (t->result == ENODATA) {
        conn_buf_clear(&c->in, 0);
        conn_flush(c); /* and watches again */
    } else {
        conn_tls_failed(c, t->result);
    }
}

/* --- bytes in --- */

static void conn_tls_broken(struct conn *c, int err)
{
    if (err == ESHUTDOWN) {
        conn_half(c);
        return;
    }
    log_info(NULL, "TLS with %s ended: %s", addr_text(&c->flow.remote, (char[ADDR_TEXT_MAX]){0}),
             tls_why(c->tls->tls));
    conn_flush(c); /* an alert */
    conn_kill(c, err);
}

static void conn_tls_forgive(struct conn *c)
{
    int64_t now_ms = loop_now_ms(c->net->loop);

    if (now_ms - c->tls->forgiven_ms >= TLS_FORGIVE_MS) {
        c->tls->forgiven_ms = now_ms;
        tls_forgive(c->tls->tls);
    }
}

/* What came from the wire, to the last whole record. */
static void conn_tls_take(struct conn *c, struct sl in)
{
    conn_tls_forgive(c);
    while (c->state == CONN_OPEN) {
        struct iovec room;
        size_t got = 0;
        int err = conn_room(c, &room);

        if (err != 0) {
            conn_kill(c, err);
            return;
        }
        err = tls_read(c->tls->tls, &in, room.iov_base, room.iov_len, &got);
        if (err == ENODATA) {
            break;
        }
        if (err != 0) {
            conn_tls_broken(c, err);
            return;
        }
        conn_was_heard(c);
        conn_took(c, room, got);
    }
    if (c->out.n != 0) {
        conn_dirty(c); /* TLS itself may have had something to say (RFC 8446 4.6.3) */
    }
}

/* Bytes for the handshake. A browser, a scanner or a phone on the wrong port is sent away before it
 * costs anything. */
static void conn_tls_shake(struct conn *c, struct sl in)
{
    struct conn_tls *t = c->tls;
    int err;

    if (!t->began && c->incoming && *in.p != TLS_RECORD_SHAKE) {
        stat_inc(STAT_TLS_ERROR);
        conn_kill(c, EBADMSG);
        return;
    }
    t->began = true;
    err = conn_buf_put(&c->in, in, TLS_STEP_MAX);
    if (err != 0) {
        conn_kill(c, err);
        return;
    }
    conn_tls_lend(c);
}

static void conn_tls_eof(struct conn *c)
{
    if (c->state == CONN_SHAKING) {
        stat_inc(STAT_TLS_CLOSED);
        conn_kill(c, ECONNRESET);
    } else {
        conn_half(c);
    }
}

void conn_tls_readable(struct conn *c)
{
    char *wire = c->net->rx + UDP_SLOT; /* the first slot is for the plain bytes */

    for (int i = 0; i < TLS_READ_ROUNDS && !conn_is_lent(c); i++) {
        ssize_t got;

        if (c->state != CONN_SHAKING && c->state != CONN_OPEN) {
            return;
        }
        got = recv(c->fd, wire, TLS_STEP_MAX, MSG_DONTWAIT);
        if (got == 0) {
            conn_tls_eof(c);
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                conn_kill(c, errno);
            }
            return;
        }
        if (c->state == CONN_SHAKING) {
            conn_tls_shake(c, sl_make(wire, (size_t)got));
        } else {
            conn_tls_take(c, sl_make(wire, (size_t)got));
        }
        if (got < TLS_STEP_MAX) {
            return;
        }
    }
}

/* --- bytes out --- */

static int conn_tls_hold_back(struct conn *c, struct sl bytes)
{
    size_t max = c->net->lim.max_send_queue;
    int err = conn_buf_put(&c->tls->plain, bytes, max - max / 256); /* its records add less */

    if (err == EMSGSIZE) {
        stat_inc(STAT_QUEUE_FULL);
        conn_kill(c, ENOBUFS);
        return ENOBUFS;
    }
    return err;
}

int conn_tls_put(struct conn *c, struct sl bytes)
{
    int err;

    if (c->state < CONN_OPEN) {
        return conn_tls_hold_back(c, bytes);
    }
    err = conn_queue_room(c, bytes.n);
    if (err != 0) {
        return err;
    }
    err = tls_write(c->tls->tls, bytes);
    if (err != 0) {
        conn_kill(c, err == ENOMEM ? ENOMEM : EPROTO); /* half a record helps nobody */
        return err == ENOMEM ? ENOMEM : ENOTCONN;
    }
    conn_dirty(c);
    return 0;
}
