/* conn_io.c - bytes in and out of a connection: bounded reads, the send queue, readiness. */
#include "net/net_int.h"

enum {
    CONN_ROUNDS = 4,      /* reads per wake-up */
    CONN_IN_MIN = 4096,   /* first size of a receive buffer */
    CONN_OUT_MIN = 2048,  /* first size of a send buffer */
    CONN_OUT_KEEP = 16384 /* an empty send buffer of this size or less is kept */
};

/* Makes room for `more` bytes behind n, with at most max waiting in all. EMSGSIZE, ENOMEM. */
static int conn_buf_room(struct conn_buf *b, size_t more, size_t min, size_t max)
{
    size_t cap = b->cap != 0 ? b->cap : min;
    char *p;

    if (b->off != 0 && b->n + more > b->cap) {
        memmove(b->p, b->p + b->off, b->n - b->off);
        b->n -= b->off;
        b->off = 0;
    }
    if (b->n - b->off + more > max) {
        return EMSGSIZE;
    }
    while (cap < b->n + more) {
        cap *= 2;
    }
    cap = cap < max ? cap : max;
    if (cap > b->cap) {
        p = mem_realloc(b->p, cap);
        if (p == NULL) {
            return ENOMEM;
        }
        b->p = p;
        b->cap = cap;
    }
    return 0;
}

void conn_buf_clear(struct conn_buf *b, size_t keep)
{
    b->n = b->off = 0;
    if (b->cap > keep) {
        mem_free(b->p);
        *b = (struct conn_buf){0};
    }
}

int conn_buf_put(struct conn_buf *b, struct sl bytes, size_t max)
{
    int err = conn_buf_room(b, bytes.n, CONN_OUT_MIN, max);

    if (err == 0) {
        memcpy(b->p + b->n, bytes.p, bytes.n);
        b->n += bytes.n;
    }
    return err;
}

void conn_watch(struct conn *c)
{
    static const int reads[] = {[CONN_SHAKING] = LOOP_READ,
                                [CONN_OPEN] = LOOP_READ,
                                [CONN_DRAIN] = LOOP_READ,
                                [CONN_DEAD] = 0};
    int what = reads[c->state];
    int err;

    if (conn_is_lent(c)) {
        what = 0; /* what comes waits in the kernel, as far as its buffer goes */
    } else if (c->state == CONN_CONNECTING || c->out.n != 0) {
        what |= LOOP_WRITE;
    }
    err = fdw_set(c->watch, what); /* costs nothing when it is so already */
    if (err != 0) {
        conn_kill(c, err);
    }
}

static void conn_flushed(struct conn *c)
{
    conn_buf_clear(&c->out, CONN_OUT_KEEP);
    if (c->state == CONN_DRAIN && !c->fin_sent) {
        /* Not close(): with unread bytes that is a reset, which would overtake the answer. */
        c->fin_sent = true;
        (void)shutdown(c->fd, SHUT_WR);
    }
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_DEAD || c->state == CONN_CONNECTING || conn_is_lent(c)) {
        return;
    }
    while (c->out.off < c->out.n) {
        ssize_t sent =
            send(c->fd, c->out.p + c->out.off, c->out.n - c->out.off, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent > 0) {
            c->out.off += (size_t)sent;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            conn_kill(c, errno);
            return;
        }
    }
    if (c->out.off == c->out.n) {
        conn_flushed(c);
    }
    conn_watch(c);
}

int conn_queue_room(struct conn *c, size_t more)
{
    struct net *n = c->net;

    if (c->out.n - c->out.off + more > n->lim.max_send_queue) {
        conn_flush(c); /* maybe all of it came in this turn */
    }
    if (c->state == CONN_DEAD) {
        return ENOTCONN;
    }
    if (c->out.n - c->out.off + more > n->lim.max_send_queue) {
        stat_inc(STAT_QUEUE_FULL);
        conn_kill(c, ENOBUFS);
        return ENOBUFS;
    }
    return 0;
}

void conn_dirty(struct conn *c)
{
    if (c->state != CONN_CONNECTING && list_is_empty(&c->node)) {
        list_push_back(&c->net->dirty, &c->node);
        net_wake_flush(c->net);
    }
}

int conn_put(struct conn *c, struct sl bytes)
{
    int err;

    if (c->tls != NULL) {
        return conn_tls_put(c, bytes);
    }
    err = conn_queue_room(c, bytes.n);
    if (err == 0) {
        err = conn_buf_put(&c->out, bytes, c->net->lim.max_send_queue);
    }
    if (err == 0) {
        conn_dirty(c);
    }
    return err;
}

static void conn_connected(struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) {
        err = errno;
    }
    if (err != 0) {
        conn_kill(c, err);
        return;
    }
    if (c->tls != NULL) {
        conn_tls_begin(c);
        return;
    }
    conn_opened(c);
    conn_flush(c);
}

/* Where the next bytes go: a whole message usually never needs a buffer of its own. */
int conn_room(struct conn *c, struct iovec *room)
{
    struct conn_buf *b = &c->in;
    int err = 0;

    if (b->n == 0) {
        *room = (struct iovec){c->net->rx, UDP_SLOT};
        return 0;
    }
    if (b->n == b->cap) {
        err = conn_buf_room(b, 1, CONN_IN_MIN, c->net->lim.max_message);
    }
    *room = (struct iovec){b->p + b->n, b->cap - b->n};
    return err;
}

/* Keeps the beginning of a message until the rest comes. */
static int conn_keep(struct conn *c, struct sl rest)
{
    struct conn_buf *b = &c->in;
    int err;

    if (rest.n == 0) {
        conn_buf_clear(b, 0); /* idle connections hold no memory */
        return 0;
    }
    if (b->n == 0) {
        err = conn_buf_room(b, rest.n, CONN_IN_MIN, c->net->lim.max_message);
        if (err != 0) {
            return err;
        }
    }
    if (rest.p != b->p) { /* a piece more costs that piece, not all that came before */
        memmove(b->p, rest.p, rest.n);
    }
    b->n = rest.n;
    return 0;
}

/* One whole message within first_message_ms of accept, and of its own first byte: sending a byte
 * now and then keeps nothing open. */
static void conn_set_deadline(struct conn *c, size_t cut)
{
    struct net *n = c->net;

    c->spoke = c->spoke || cut != 0;
    if (c->in.n == 0) {
        if (c->spoke || !c->incoming) {
            timer_stop(n->loop, &c->deadline);
        }
    } else if (cut != 0 || !timer_is_armed(&c->deadline)) {
        timer_start(n->loop, &c->deadline, n->lim.first_message_ms);
    }
}

void conn_took(struct conn *c, struct iovec room, size_t got)
{
    struct sl in = c->in.n == 0 ? sl_make(room.iov_base, got) : sl_make(c->in.p, c->in.n + got);
    size_t cut = conn_consume(c, &in);
    int err;

    if (c->state != CONN_OPEN) {
        return;
    }
    err = conn_keep(c, in);
    if (err != 0) {
        conn_kill(c, err);
        return;
    }
    conn_set_deadline(c, cut);
}

void conn_was_heard(struct conn *c)
{
    if (!c->heard && !c->incoming) {
        backoff_clear(c->net, &c->flow);
    }
    c->heard = true;
    c->heard_ms = c->used_ms = loop_now_ms(c->net->loop);
}

static void conn_read(struct conn *c)
{
    for (int i = 0; i < CONN_ROUNDS && c->state == CONN_OPEN; i++) {
        struct iovec room;
        int err = conn_room(c, &room);
        ssize_t got;

        if (err != 0) {
            conn_kill(c, err);
            return;
        }
        got = recv(c->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
        if (got == 0) {
            conn_half(c);
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                conn_kill(c, errno);
            }
            return;
        }
        conn_was_heard(c);
        conn_took(c, room, (size_t)got);
        if ((size_t)got < room.iov_len) {
            return;
        }
    }
}

/* Reads the rest away, so that the close that follows is no reset. */
static void conn_discard(struct conn *c)
{
    for (int i = 0; i < CONN_ROUNDS; i++) {
        ssize_t got = recv(c->fd, c->net->rx, UDP_SLOT, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            conn_kill(c, c->why);
            return;
        }
        if (got < UDP_SLOT) {
            return;
        }
    }
}

void on_conn(int fd, int what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    if (c->state == CONN_CONNECTING) {
        conn_connected(c);
        return;
    }
    if ((what & LOOP_WRITE) != 0) {
        conn_flush(c);
    }
    if ((what & LOOP_READ) == 0 || conn_is_lent(c)) {
        return;
    }
    if (c->state == CONN_DRAIN) {
        conn_discard(c);
    } else if (c->state == CONN_SHAKING || (c->state == CONN_OPEN && c->tls != NULL)) {
        conn_tls_readable(c);
    } else if (c->state == CONN_OPEN) {
        conn_read(c);
    }
}
