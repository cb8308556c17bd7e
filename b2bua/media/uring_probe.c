/* uring_probe.c - does io_uring work here? A kernel may lack it or a part of it, an administrator
 * or a container may forbid it; the one sure way to know is to let a packet pass. */
#include "media/uring.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_WAIT_MS 200
#define PROBE_BYTES 256
#define PROBE_TEXT "postern"

static int probe_socket(int *fdp, struct sockaddr_in *name)
{
    socklen_t len = sizeof(*name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0) {
        return errno;
    }
    *fdp = fd;
    return bind(fd, (struct sockaddr *)name, len) != 0 ||
                   getsockname(fd, (struct sockaddr *)name, &len) != 0
               ? errno
               : 0;
}

static int probe_start(struct uring *u, int fd, const struct sockaddr_in *name, struct msghdr *hdr)
{
    struct io_uring_sqe *e = uring_entry(u);

    if (e == NULL) {
        return EINVAL;
    }
    e->opcode = IORING_OP_RECVMSG;
    e->ioprio = IORING_RECV_MULTISHOT;
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = URING_GROUP;
    e->fd = fd;
    e->addr = (uintptr_t)hdr;
    e->len = 1;
    e->user_data = 1;
    e = uring_entry(u);
    if (e == NULL) {
        return EINVAL;
    }
    e->opcode = IORING_OP_SEND;
    e->flags = IOSQE_CQE_SKIP_SUCCESS;
    e->fd = fd;
    e->addr = (uintptr_t)PROBE_TEXT;
    e->len = sizeof(PROBE_TEXT);
    e->msg_flags = MSG_DONTWAIT;
    e->addr2 = (uintptr_t)name;
    e->addr_len = sizeof(*name);
    e->user_data = 2;
    uring_enter(u, 0, 0);
    return 0;
}

/* The event has to come by itself, as the loop waits for nothing else. */
static int probe_check(struct uring *u, size_t head)
{
    struct pollfd p = {.fd = u->event_fd, .events = POLLIN};
    const struct io_uring_cqe *c;
    struct io_uring_recvmsg_out out;
    const uint8_t *buf;

    if (poll(&p, 1, PROBE_WAIT_MS) != 1) {
        return ETIMEDOUT;
    }
    uring_enter(u, 0, 0);
    c = uring_peek(u);
    if (c == NULL || c->res < 0) {
        return c == NULL ? ETIMEDOUT : -c->res;
    }
    if ((c->flags & IORING_CQE_F_BUFFER) == 0 || (c->flags & IORING_CQE_F_MORE) == 0) {
        return EINVAL;
    }
    buf = uring_buffer(u, (uint16_t)(c->flags >> IORING_CQE_BUFFER_SHIFT));
    memcpy(&out, buf, sizeof(out));
    return out.payloadlen == sizeof(PROBE_TEXT) &&
                   memcmp(buf + head, PROBE_TEXT, sizeof(PROBE_TEXT)) == 0
               ? 0
               : EINVAL;
}

int uring_probe(void)
{
    const struct uring_params params = {
        .sends = 4, .completions = 8, .buffers = 4, .buffer_bytes = PROBE_BYTES};
    struct msghdr hdr = {.msg_namelen = sizeof(struct sockaddr_in)};
    struct sockaddr_in name;
    struct uring u;
    int fd = -1, err = uring_open(&u, &params);

    if (err == 0) {
        err = probe_socket(&fd, &name);
    }
    if (err == 0) {
        err = probe_start(&u, fd, &name, &hdr);
    }
    if (err == 0) {
        err = probe_check(&u, sizeof(struct io_uring_recvmsg_out) + sizeof(name));
    }
    uring_close(&u);
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}
