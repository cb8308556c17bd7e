/* io.h - the SIP sockets: batched receive, batched send, and the clock of the loop. */
#ifndef POSTERN_BENCH_IO_H
#define POSTERN_BENCH_IO_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sipmsg.h"

enum {
    IO_BATCH = 32,       /* datagrams per recvmmsg/sendmmsg */
    IO_RX_MAX = 4096,    /* longer datagrams are counted and dropped */
    IO_TX_MAX = 2048,    /* longest message that we write */
    IO_RCVBUF = 4 << 20, /* bytes asked for on SIP sockets */
};

struct lg;

/* First member of whatever sits behind a descriptor in the epoll set. */
struct ev_src {
    void (*on_readable)(struct lg *lg, struct ev_src *src);
};

struct io_rx {
    struct mmsghdr hdr[IO_BATCH];
    struct iovec iov[IO_BATCH];
    struct sockaddr_in from[IO_BATCH];
    char buf[IO_BATCH][IO_RX_MAX];
};

struct io_tx {
    struct mmsghdr hdr[IO_BATCH];
    struct iovec iov[IO_BATCH];
    struct sockaddr_in to[IO_BATCH];
    char buf[IO_BATCH][IO_TX_MAX];
    unsigned n;
};

/* One SIP socket with its batches. */
struct io {
    struct ev_src src;
    int fd;
    struct sockaddr_in addr;
    char host[16];     /* our address in text, */
    char hostport[24]; /* and with the port */
    void (*on_msg)(struct lg *lg, const struct msg *m, const struct sockaddr_in *from);
    struct io_rx rx;
    struct io_tx tx;
    struct out out; /* the message in work, see io_begin() */
};

int64_t io_clock_ns(void);
int io_open(struct lg *lg, struct io *io, const struct sockaddr_in *addr);
/* Starts a message; io_send() queues it, io_flush() sends what is queued. */
struct out *io_begin(struct lg *lg, struct io *io);
void io_send(struct lg *lg, struct io *io, const struct sockaddr_in *to);
void io_flush(struct lg *lg, struct io *io);
uint32_t io_drops(const struct io *io); /* datagrams the kernel threw away for want of room */

#endif
