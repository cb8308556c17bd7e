/* ring.h - the RTP sockets of the load generator on one io_uring: a system call for a batch of
 * packets instead of one for each. On bare system calls, as liburing would be a dependency for two
 * hundred lines; not the daemon's code, which is what is judged here. Linux 6.1 or later. */
#ifndef POSTERN_BENCH_RING_H
#define POSTERN_BENCH_RING_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Packets of a batch bear the time when they were made: few, so that it is nearly right. */
    RING_SENDS = 16,
    RING_PACKET_MAX = 256,
};

struct ring;

enum ring_what { RING_HEARD, RING_SEND_FAILED, RING_POLLED };

/* What the kernel has done; the packet is good until the next call of ring_next(). */
struct ring_event {
    enum ring_what what;
    uint32_t file;
    bool last;  /* nothing more is heard there, until ring_hear() */
    uint8_t *p; /* the packet, maybe NULL when it is the last event */
    size_t n;   /* at most RING_PACKET_MAX, longer ones are cut */
    struct sockaddr_in from;
};

/* Room for so many sockets, numbered from 0. EPERM, ENOSYS: not allowed here; EINVAL: too old. */
int ring_open(struct ring **rp, uint32_t files);
void ring_free(struct ring **rp);
int ring_set_file(struct ring *r, uint32_t file, int fd);
/* A packet to fill with up to RING_PACKET_MAX bytes; ring_send() queues it, and sends all when the
 * batch is full. Queued packets go out with ring_flush() at the latest. */
uint8_t *ring_packet(struct ring *r);
void ring_send(struct ring *r, uint32_t file, size_t n, const struct sockaddr_in *to);
void ring_flush(struct ring *r);
void ring_hear(struct ring *r, uint32_t file); /* packets of this socket from now on, */
void ring_mute(struct ring *r, uint32_t file); /* until its last event, which this one asks for */
void ring_poll(struct ring *r, int fd);        /* RING_POLLED, once, when fd can be read */
/* Sends what is queued and waits up to ns for something that came. */
void ring_wait(struct ring *r, int64_t ns);
bool ring_next(struct ring *r, struct ring_event *ev); /* false: nothing more */

#endif
