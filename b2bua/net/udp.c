/* udp.c - UDP sockets of one worker: opening, receiving in batches, the kernel's error queue. */
#include "net/net_int.h"

#include <linux/errqueue.h>

enum {
    UDP_ROUNDS = 4,       /* batches per wake-up, so that other descriptors get a turn */
    UDP_ERRQ_ROUNDS = 64, /* ICMP errors read per wake-up */
    UDP_WAITED_MAX_US = 60000000,
    UDP_MIN = 12 /* shortest datagram that could be SIP */
};

/* Family-independent view of IP_PKTINFO: our address of a datagram that came to a wildcard. */
static void udp_local(const struct udp_sock *s, struct msghdr *m, struct addr *local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local->u.in4.sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local->u.in6.sin6_addr = info.ipi6_addr;
        }
    }
    addr_set_port(local, addr_port(&s->bound));
}

/* Wall clocks are set now and then: what cannot be is taken for no wait at all. */
static uint32_t udp_waited_us(struct msghdr *m, int64_t now_us)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            int64_t us;

            memcpy(&at, CMSG_DATA(c), sizeof(at));
            us = now_us - ((int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000);
            return us > 0 && us <= UDP_WAITED_MAX_US ? (uint32_t)us : 0;
        }
    }
    return 0;
}

static bool udp_all_of(struct sl s, const char *set, size_t n_set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(set, s.p[i], n_set) == NULL) {
            return false;
        }
    }
    return true;
}

/* What phones and NAT helpers send to keep a binding open, beside STUN: CRLFs, one or four zero
 * bytes. */
static bool udp_is_keepalive(struct sl s)
{
    return udp_all_of(s, "\r\n", 2) || (s.n <= 4 && udp_all_of(s, "", 1));
}

static void udp_deliver(struct udp_sock *s, struct mmsghdr *h, int64_t now_us)
{
    struct net *n = s->net;
    struct sl bytes = sl_make(h->msg_hdr.msg_iov->iov_base, h->msg_len);
    struct flow flow = {.transport = SIP_UDP,
                        .listener = s->listener,
                        .worker = n->worker,
                        .conn_slot = FLOW_NO_CONN,
                        .local = s->bound};

    addr_from_sockaddr(&flow.remote, h->msg_hdr.msg_name, h->msg_hdr.msg_namelen);
    if (n->ev.admit != NULL && !n->ev.admit(n->arg, &flow)) {
        return;
    }
    if (s->wild) {
        udp_local(s, &h->msg_hdr, &flow.local);
    }
    if (udp_is_keepalive(bytes) || udp_is_stun(bytes)) {
        stat_inc(STAT_SIP_KEEPALIVE);
        if (udp_is_stun(bytes)) {
            udp_stun(n, &flow, bytes);
        }
        return;
    }
    while (bytes.n != 0 && (*bytes.p == '\r' || *bytes.p == '\n')) {
        bytes = sl_from(bytes, 1); /* RFC 3261 7.5 */
    }
    if (bytes.n < UDP_MIN || addr_port(&flow.remote) == 0) {
        stat_inc(STAT_SIP_DROP_NOT_SIP);
        return;
    }
    if (bytes.n > n->lim.max_message) {
        stat_inc(STAT_SIP_TOO_BIG);
        return;
    }
    stat_inc(STAT_SIP_RX);
    n->waited_us = udp_waited_us(&h->msg_hdr, now_us);
    n->ev.message(n->arg, &flow, bytes);
}

/* Number of datagrams in rx_batch, or -1. */
static int udp_recv(struct udp_sock *s)
{
    struct net *n = s->net;
    struct udp_batch *b = &n->rx_batch;

    for (int i = 0; i < UDP_BATCH; i++) {
        b->iov[i] = (struct iovec){n->rx + (size_t)i * UDP_SLOT, UDP_SLOT};
        b->hdr[i].msg_hdr = (struct msghdr){.msg_name = &b->name[i],
                                            .msg_namelen = sizeof(b->name[i]),
                                            .msg_iov = &b->iov[i],
                                            .msg_iovlen = 1,
                                            .msg_control = &b->ctl[i],
                                            .msg_controllen = UDP_CTL};
    }
    return recvmmsg(s->fd, b->hdr, UDP_BATCH, MSG_DONTWAIT, NULL);
}

static void on_udp(int fd, int what, void *arg)
{
    struct udp_sock *s = arg;

    (void)fd, (void)what;
    for (int round = 0; round < UDP_ROUNDS && !s->closed; round++) {
        int got = udp_recv(s);
        int64_t now_us;

        if (got < 0) {
            /* Nothing to read, or an ICMP error that stands in its way: the error queue alone
             * keeps a socket readable, so it must be emptied here. */
            udp_errors(s);
            return;
        }
        now_us = clock_stamp_us();
        for (int i = 0; i < got && !s->closed; i++) { /* an event may close the socket */
            udp_deliver(s, &s->net->rx_batch.hdr[i], now_us);
        }
        if (got < UDP_BATCH) {
            return;
        }
    }
}

static bool udp_means_gone(int err)
{
    return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH || err == EACCES ||
           err == ENOPROTOOPT;
}

static int udp_errno_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;

            memcpy(&e, CMSG_DATA(c), sizeof(e));
            return (int)e.ee_errno;
        }
    }
    return 0;
}

void udp_errors(struct udp_sock *s)
{
    for (int i = 0; i < UDP_ERRQ_ROUNDS && !s->closed; i++) {
        char first[64]; /* the datagram's beginning comes back; only its destination matters */
        struct sockaddr_storage to = {0};
        union {
            char bytes[256];
            struct cmsghdr align;
        } ctl;
        struct iovec iov = {first, sizeof(first)};
        struct msghdr m = {.msg_name = &to,
                           .msg_namelen = sizeof(to),
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &ctl,
                           .msg_controllen = sizeof(ctl)};
        struct flow flow = {.transport = SIP_UDP,
                            .listener = s->listener,
                            .worker = s->net->worker,
                            .conn_slot = FLOW_NO_CONN,
                            .local = s->bound};

        if (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            return;
        }
        addr_from_sockaddr(&flow.remote, (const struct sockaddr *)&to, m.msg_namelen);
        if (addr_family(&flow.remote) != AF_UNSPEC && udp_means_gone(udp_errno_of(&m))) {
            net_report_lost(s->net, &flow, udp_errno_of(&m));
        }
    }
}

static void udp_destroy(void *arg)
{
    struct udp_sock *s = arg;

    mem_free(s->data);
    mem_free(s);
}

static void udp_close(struct udp_sock *s)
{
    s->closed = true;
    list_del(&s->node);
    timer_stop(s->net->loop, &s->retry);
    fdw_free(&s->watch);
    sock_close(&s->fd);
}

static int udp_start(struct udp_sock *s, const struct addr *at)
{
    const int one = 1;
    bool v6 = addr_family(at) == AF_INET6;
    int err = sock_open(SOCK_DGRAM, at, true, &s->fd);

    if (err != 0) {
        return err;
    }
    sock_buffers(s->fd, s->net->lim.udp_rcvbuf);
    if (setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) != 0) {
        log_warn(NULL, "no time stamps of datagrams: %s", strerror(errno)); /* waits read as 0 */
    }
    if (s->wild && setsockopt(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                              v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &one, sizeof(one)) != 0) {
        return errno;
    }
    err = sock_name(s->fd, &s->bound);
    return err != 0 ? err : fdw_new(&s->watch, s->net->loop, s->fd, on_udp, s);
}

int udp_listen(struct net *n, uint8_t listener, const struct addr *at, struct addr *bound)
{
    struct udp_sock *s = mem_zalloc(sizeof(*s));
    int err = ENOMEM;

    if (s == NULL) {
        return ENOMEM;
    }
    s->net = n;
    s->fd = -1;
    s->listener = listener;
    s->wild = addr_is_unspecified(at);
    list_init(&s->node);
    timer_init(&s->retry, on_udp_retry, s);
    s->data = mem_alloc(UDP_TXQ_BYTES);
    if (s->data != NULL) {
        err = udp_start(s, at);
    }
    if (err != 0) {
        udp_close(s);
        udp_destroy(s);
        return err;
    }
    list_push_back(&n->udp, &s->node);
    *bound = s->bound;
    return 0;
}

static uint8_t udp_heir(const struct udp_sock *s)
{
    return (uint8_t)__builtin_ctzll(s->also);
}

void udp_unlisten(struct net *n, uint8_t listener)
{
    LIST_FOR_EACH_SAFE(it, &n->udp)
    {
        struct udp_sock *s = CONTAINER_OF(it, struct udp_sock, node);

        if (s->listener != listener) {
            s->also &= ~net_bit(listener);
        } else if (s->also != 0) { /* one that had it before still has calls by it */
            s->listener = udp_heir(s);
            s->also &= ~net_bit(s->listener);
        } else {
            udp_flush(s);
            udp_close(s);
            loop_defer(n->loop, &s->grave, udp_destroy, s); /* maybe inside its own event */
        }
    }
}

void udp_free(struct net *n)
{
    LIST_FOR_EACH_SAFE(it, &n->udp)
    {
        struct udp_sock *s = CONTAINER_OF(it, struct udp_sock, node);

        udp_close(s);
        udp_destroy(s);
    }
}

struct udp_sock *udp_at(const struct net *n, const struct addr *at)
{
    LIST_FOR_EACH(it, &n->udp)
    {
        struct udp_sock *s = CONTAINER_OF(it, struct udp_sock, node);

        if (addr_family(&s->bound) == addr_family(at) && addr_eq(&s->bound, at)) {
            return s;
        }
    }
    return NULL;
}

struct udp_sock *udp_find(const struct net *n, const struct flow *flow)
{
    struct udp_sock *found = NULL;

    LIST_FOR_EACH(it, &n->udp)
    {
        struct udp_sock *s = CONTAINER_OF(it, struct udp_sock, node);

        if ((s->listener != flow->listener && (s->also & net_bit(flow->listener)) == 0) ||
            addr_family(&s->bound) != addr_family(&flow->remote)) {
            continue;
        }
        if (addr_eq(&s->bound, &flow->local)) {
            return s;
        }
        found = found != NULL ? found : s;
    }
    return found;
}
