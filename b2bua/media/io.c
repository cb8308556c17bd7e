/* io.c - packets in and out of the sockets, by io_uring (io_ring.c) or, here, by one system call
 * each and epoll. Nothing here knows what a packet is; relay.c does. */
#include "media/io_ring.h"

static bool io_receive(struct media *m, int fd, struct media_pkt *pkt)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(fd, m->pkt, MEDIA_PKT_MAX, MSG_TRUNC, (struct sockaddr *)&from, &len);

    if (n < 0) {
        return false;
    }
    pkt->p = m->pkt;
    pkt->n = (size_t)n; /* MSG_TRUNC: the length on the wire, which may be more than we hold */
    addr_from_sockaddr(&pkt->src, (const struct sockaddr *)&from, len);
    return true;
}

bool media_io_send(const struct media_flow *f, const struct media_pkt *pkt, const struct addr *dest)
{
    struct media *m = f->side->stream->session->m;

    if (m->rings) {
        return media_ring_send(m->ring, f, pkt, dest);
    }
    return sendto(f->fd, pkt->p, pkt->n, MSG_NOSIGNAL, &dest->u.sa, addr_len(dest)) >= 0;
}

/* One packet per event: the second receive would find nothing most of the time, and level
 * triggering brings us back when it would have found something. */
void media_on_readable(int fd, int what, void *flow)
{
    struct media_flow *f = flow;
    struct media *m = f->side->stream->session->m;
    struct media_pkt pkt = {.now_ms = loop_now_ms(m->p.loop)};

    (void)what;
    if (io_receive(m, fd, &pkt)) {
        media_relay(f, &pkt);
        loop_note_packets(m->p.loop, 1);
    }
}

void media_on_socket(int fd, int what, void *sock)
{
    struct media_sock *s = sock;

    if (s->flow != NULL) {
        media_on_readable(fd, what, s->flow);
    } else {
        media_idle_on_readable(s);
    }
}

/* The ring, unless it is there, not wanted or does not work. */
static int io_make_ring(struct media *m)
{
    int err = m->ring == NULL && m->p.io != MEDIA_IO_EPOLL ? media_ring_new(&m->ring, m) : 0;

    if (err != 0 && err != ENOMEM) {
        if (m->p.io == MEDIA_IO_URING) {
            log_warn(NULL, "media goes without io_uring, which does not work here: %s",
                     strerror(err));
        }
        err = 0;
    }
    m->rings = m->ring != NULL && m->p.io != MEDIA_IO_EPOLL;
    return err;
}

static void io_set_gather(struct media *m)
{
    loop_set_gather(m->p.loop, m->p.gather_us, m->ring != NULL ? media_ring_sleep : NULL, m->ring);
}

int media_io_open(struct media *m)
{
    int err = io_make_ring(m);

    io_set_gather(m);
    return err;
}

void media_io_change(struct media *m, enum media_io io)
{
    m->p.io = io;
    if (io_make_ring(m) != 0) {
        log_warn(NULL, "media goes on without io_uring: out of memory");
    }
    io_set_gather(m);
}

void media_io_close(struct media *m)
{
    loop_set_gather(m->p.loop, 0, NULL, NULL);
    media_ring_free(&m->ring);
}

int media_io_watch(struct media *m, struct media_sock *s)
{
    s->by_ring = m->rings;
    return s->by_ring ? media_ring_watch(m->ring, s)
                      : fdw_new(&s->watch.w, m->p.loop, s->fd, media_on_socket, s);
}

void media_io_unwatch(struct media *m, struct media_sock *s)
{
    if (s->by_ring) {
        media_ring_unwatch(m->ring, s);
    } else {
        fdw_free(&s->watch.w);
    }
}

bool media_io_is_watched(const struct media_sock *s)
{
    return s->watch.tag != 0;
}

void media_io_drain(struct media *m)
{
    if (m->ring != NULL) {
        media_ring_serve(m->ring);
    }
}
