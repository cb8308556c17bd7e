/* io.c - packets in and out of the sockets. Nothing here knows what a packet is; relay.c does. */
#include "media/media_int.h"

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
