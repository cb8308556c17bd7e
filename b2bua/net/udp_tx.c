/* udp_tx.c - the send queue of a UDP socket: datagrams are copied in during the turn and go out
 * in batches at its end. */
#include "net/net_int.h"

enum {
    UDP_PAYLOAD_MAX = 65507, /* what an IPv4 datagram can hold */
    UDP_RETRY_MS = 5,        /* pause after EAGAIN or ENOBUFS */
    UDP_RETRIES = 40         /* then what waits is dropped: SIP will retransmit by itself */
};

static void udp_reset(struct udp_sock *s)
{
    s->head = s->tail = s->used = s->retries = 0;
    timer_stop(s->net->loop, &s->retry);
}

/* Our address for the answer, so that it leaves from where the question came to. */
static void udp_set_local(struct msghdr *m, const struct addr *from)
{
    struct cmsghdr *c = m->msg_control;

    if (addr_family(from) == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = from->u.in6.sin6_addr};

        *c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
    } else {
        struct in_pktinfo info = {.ipi_spec_dst = from->u.in4.sin_addr};

        *c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
    }
}

/* Number of datagrams the kernel took from the head of the queue, or -1. */
static int udp_send_batch(struct udp_sock *s)
{
    struct udp_batch *b = &s->net->tx_batch;
    uint32_t n = s->tail - s->head;

    n = n < UDP_BATCH ? n : UDP_BATCH;
    for (uint32_t i = 0; i < n; i++) {
        struct udp_out *o = &s->out[s->head + i];

        b->iov[i] = (struct iovec){s->data + o->off, o->len};
        b->hdr[i].msg_hdr = (struct msghdr){.msg_name = &o->to,
                                            .msg_namelen = addr_len(&o->to),
                                            .msg_iov = &b->iov[i],
                                            .msg_iovlen = 1};
        if (addr_family(&o->from) != AF_UNSPEC) {
            b->hdr[i].msg_hdr.msg_control = &b->ctl[i];
            udp_set_local(&b->hdr[i].msg_hdr, &o->from);
        }
    }
    return sendmmsg(s->fd, b->hdr, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void udp_lose_head(struct udp_sock *s, int err)
{
    struct udp_out *o = &s->out[s->head++];
    struct flow flow = {.transport = SIP_UDP,
                        .listener = s->listener,
                        .worker = s->net->worker,
                        .conn_slot = FLOW_NO_CONN,
                        .remote = o->to,
                        .local = s->bound};

    stat_inc(STAT_SIP_DROP_SEND);
    net_report_lost(s->net, &flow, err);
}

/* ENOBUFS never becomes "writable", so a pause serves both errors. */
static void udp_stall(struct udp_sock *s)
{
    if (s->retries >= UDP_RETRIES) {
        stat_add(STAT_SIP_DROP_SEND, s->tail - s->head);
        udp_reset(s);
    } else if (!timer_is_armed(&s->retry)) {
        timer_start(s->net->loop, &s->retry, UDP_RETRY_MS);
    }
}

void on_udp_retry(void *arg)
{
    struct udp_sock *s = arg;

    s->retries++;
    udp_flush(s);
}

void udp_flush(struct udp_sock *s)
{
    bool again = false; /* the head met an error already, maybe another datagram's */

    while (s->head != s->tail && !s->closed) {
        int sent = udp_send_batch(s);

        if (sent > 0) {
            stat_add(STAT_SIP_TX, (uint64_t)sent);
            s->head += (uint32_t)sent;
            s->retries = 0;
            again = false;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            udp_stall(s);
            return;
        } else if (errno != EINTR) {
            /* With IP_RECVERR the kernel reports the ICMP error of an earlier datagram on the next
             * call, whoever that one is for: only a second error is the head's own. */
            int err = errno;

            udp_errors(s);
            if (again) {
                udp_lose_head(s, err);
            }
            again = !again;
        }
    }
    if (s->head == s->tail) {
        udp_reset(s);
    }
}

int udp_send(struct net *n, struct flow *flow, struct sl bytes)
{
    struct udp_sock *s = udp_find(n, flow);
    struct udp_out *o;

    if (s == NULL || addr_port(&flow->remote) == 0 || addr_is_multicast(&flow->remote)) {
        return EHOSTUNREACH;
    }
    if (bytes.n > UDP_PAYLOAD_MAX) {
        return EMSGSIZE;
    }
    if (s->tail - s->head >= UDP_BATCH || s->tail == UDP_TXQ || bytes.n > UDP_TXQ_BYTES - s->used) {
        if (!timer_is_armed(&s->retry)) {
            udp_flush(s); /* a whole batch waits: no gain in waiting longer */
        }
        if (s->tail == UDP_TXQ || bytes.n > UDP_TXQ_BYTES - s->used) {
            stat_inc(STAT_SIP_DROP_SEND);
            return ENOBUFS;
        }
    }
    if (addr_family(&flow->local) == AF_UNSPEC) {
        flow->local = s->bound;
    }
    o = &s->out[s->tail++];
    *o = (struct udp_out){.to = flow->remote, .off = s->used, .len = (uint32_t)bytes.n};
    if (s->wild && addr_family(&flow->local) == addr_family(&s->bound) &&
        !addr_is_unspecified(&flow->local)) {
        o->from = flow->local;
    }
    memcpy(s->data + s->used, bytes.p, bytes.n);
    s->used += (uint32_t)bytes.n;
    net_wake_flush(n);
    return 0;
}
