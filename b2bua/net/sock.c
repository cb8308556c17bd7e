/* sock.c - opening sockets and setting their options; the only place that knows the options. */
#include "net/net_int.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TCP_BACKLOG = 1024, TCP_USER_TIMEOUT_MS = 30000 };

/* An option that the kernel may lack or refuse is no reason not to serve. */
static void sock_opt(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void sock_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void sock_options(int fd, int type, int family)
{
    if (family == AF_INET6) {
        sock_opt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (type == SOCK_DGRAM) {
        /* Fragments rather than lost messages where a router between is narrow. */
        sock_opt(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        sock_opt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
                 family == AF_INET6 ? IPV6_RECVERR : IP_RECVERR, 1);
    }
}

static int sock_bind(int fd, int type, const struct addr *at, bool listens)
{
    if (listens) {
        sock_opt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (type == SOCK_STREAM) {
        /* Listeners: start again over TIME_WAIT. Dialling: the port is chosen at connect(). */
        sock_opt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (!listens) {
            sock_opt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        }
    }
    if (bind(fd, &at->u.sa, addr_len(at)) != 0) {
        return errno;
    }
    return listens && type == SOCK_STREAM && listen(fd, TCP_BACKLOG) != 0 ? errno : 0;
}

int sock_open(int type, const struct addr *bind_to, bool listens, int *fd)
{
    int err;

    *fd = socket(addr_family(bind_to), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    sock_options(*fd, type, addr_family(bind_to));
    err = sock_bind(*fd, type, bind_to, listens);
    if (err != 0) {
        sock_close(fd);
    }
    return err;
}

void sock_buffers(int fd, uint32_t rcv_bytes)
{
    int bytes = (int)rcv_bytes;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0) {
        sock_opt(fd, SOL_SOCKET, SO_RCVBUF, bytes);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0) {
        sock_opt(fd, SOL_SOCKET, SO_SNDBUF, bytes);
    }
}

void sock_stream(int fd)
{
    sock_opt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    sock_opt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    sock_opt(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    sock_opt(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    sock_opt(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    sock_opt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS);
}

int sock_name(int fd, struct addr *out)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0) {
        return errno;
    }
    addr_from_sockaddr(out, (const struct sockaddr *)&ss, len);
    return 0;
}
