/* io.c - UDP sockets of the two SIP sides: batched receive, batched send, deep buffers. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int64_t io_clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void on_sip_readable(struct lg *lg, struct ev_src *src)
{
    struct io *io = (struct io *)(void *)src;
    int n = recvmmsg(io->fd, io->rx.hdr, IO_BATCH, MSG_DONTWAIT, NULL);

    lg->now_ns = io_clock_ns();
    for (int i = 0; i < n; i++) {
        struct msghdr *h = &io->rx.hdr[i].msg_hdr;
        unsigned len = io->rx.hdr[i].msg_len;
        struct msg m;

        lg->st.c[ST_SIP_RECEIVED]++;
        if (len <= 4) {
            /* a keep-alive, RFC 5626 3.5.1 */
        } else if ((h->msg_flags & MSG_TRUNC) != 0 || msg_parse(&m, io->rx.buf[i], len) != 0) {
            lg->st.c[ST_SIP_MALFORMED]++;
        } else {
            io->on_msg(lg, &m, &io->rx.from[i]);
        }
        h->msg_namelen = sizeof(io->rx.from[i]);
    }
}

static void io_wire_batches(struct io *io)
{
    for (unsigned i = 0; i < IO_BATCH; i++) {
        io->rx.iov[i] = (struct iovec){io->rx.buf[i], IO_RX_MAX};
        io->rx.hdr[i].msg_hdr = (struct msghdr){.msg_name = &io->rx.from[i],
                                                .msg_namelen = sizeof(io->rx.from[i]),
                                                .msg_iov = &io->rx.iov[i],
                                                .msg_iovlen = 1};
        io->tx.iov[i] = (struct iovec){io->tx.buf[i], 0};
        io->tx.hdr[i].msg_hdr = (struct msghdr){.msg_name = &io->tx.to[i],
                                                .msg_namelen = sizeof(io->tx.to[i]),
                                                .msg_iov = &io->tx.iov[i],
                                                .msg_iovlen = 1};
    }
}

int io_open(struct lg *lg, struct io *io, const struct sockaddr_in *addr)
{
    int size = IO_RCVBUF;
    struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = &io->src}};

    io->addr = *addr;
    io->src.on_readable = on_sip_readable;
    io_wire_batches(io);
    inet_ntop(AF_INET, &addr->sin_addr, io->host, sizeof(io->host));
    snprintf(io->hostport, sizeof(io->hostport), "%s:%u", io->host, ntohs(addr->sin_port));
    io->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (io->fd < 0) {
        return errno;
    }
    /* Default buffers hold some hundred datagrams: one stall of 30 ms would drop a burst. */
    if (setsockopt(io->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) {
        (void)setsockopt(io->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    (void)setsockopt(io->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (bind(io->fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 ||
        epoll_ctl(lg->epfd, EPOLL_CTL_ADD, io->fd, &ev) != 0) {
        return errno;
    }
    return 0;
}

struct out *io_begin(struct lg *lg, struct io *io)
{
    if (io->tx.n == IO_BATCH) {
        io_flush(lg, io);
    }
    io->out = (struct out){.p = io->tx.buf[io->tx.n], .cap = IO_TX_MAX};
    return &io->out;
}

void io_send(struct lg *lg, struct io *io, const struct sockaddr_in *to)
{
    if (io->out.full) {
        lg->st.c[ST_SIP_SEND_ERRORS]++;
        return;
    }
    io->tx.iov[io->tx.n].iov_len = io->out.n;
    io->tx.to[io->tx.n] = *to;
    io->tx.n++;
}

void io_flush(struct lg *lg, struct io *io)
{
    unsigned at = 0;

    while (at < io->tx.n) {
        int n = sendmmsg(io->fd, io->tx.hdr + at, io->tx.n - at, 0);

        if (n > 0) {
            at += (unsigned)n;
            lg->st.c[ST_SIP_SENT] += (unsigned)n;
        } else if (errno != EINTR) {
            at++; /* this one is lost; its timer sends it again */
            lg->st.c[ST_SIP_SEND_ERRORS]++;
        }
    }
    io->tx.n = 0;
}

uint32_t io_drops(const struct io *io)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    return getsockopt(io->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}
