/* uring.h - the little of io_uring that media/ needs, on bare system calls: one ring with one ring
 * of receive buffers. Bare, because liburing of Debian 12 would add a dependency for two hundred
 * lines. Linux 6.1 or later. Thread: open and close on any, the rest on the one that called first.
 */
#ifndef POSTERN_MEDIA_URING_H
#define POSTERN_MEDIA_URING_H

#include "base/base.h"

#include <linux/io_uring.h>
#include <stdatomic.h>

#define URING_GROUP 0 /* of the receive buffers */

struct uring_params {
    uint32_t sends, completions; /* room in the queues; powers of two */
    uint32_t buffers;            /* a power of two */
    uint32_t buffer_bytes;
};
struct uring {
    int fd;       /* -1: not open */
    int event_fd; /* written when there is something to serve: watch it edge triggered */
    bool enabled;
    struct uring_params p;
    _Atomic uint32_t *sq_tail, *sq_flags; /* shared with the kernel */
    struct io_uring_sqe *sqes;
    uint32_t sq_next, sq_sent; /* filled, and of these handed over */
    _Atomic uint32_t *cq_head, *cq_tail;
    struct io_uring_cqe *cqes;
    struct io_uring_buf_ring *ring; /* of buffers */
    uint8_t *buffers;
    uint16_t ring_tail;
    void *maps[4];
    size_t map_bytes[4];
};

/* ENOSYS, EPERM: the kernel or a container forbids it; EINVAL: too old; ENOMEM. Closed on error. */
/* Sends a packet to itself and tells whether all that we need works here: 0, or why not. */
MUST_USE int uring_probe(void);
MUST_USE int uring_open(struct uring *u, const struct uring_params *p);
void uring_close(struct uring *u); /* ends what is under way; harmless when not open */

/* An empty entry, handed over by the next uring_enter(). Hands over what waits when there is no
 * room; NULL: even then. */
struct io_uring_sqe *uring_entry(struct uring *u);
static inline bool uring_has_entries(const struct uring *u) /* that wait to be handed over */
{
    return u->sq_next != u->sq_sent;
}
/* Hands over all entries; then waits up to us for `wanted` completions (0 of both: does not wait).
 */
void uring_enter(struct uring *u, uint32_t wanted, int64_t us);
/* True: the kernel has work left for us: uring_enter() before anything else, and ask again, as it
 * does not always end in a completion and nothing else tells of it. */
bool uring_take_work(struct uring *u);
/* The oldest completion, NULL: none. It is gone after uring_next(). */
const struct io_uring_cqe *uring_peek(const struct uring *u);
void uring_next(struct uring *u);

static inline uint8_t *uring_buffer(const struct uring *u, uint16_t id)
{
    return u->buffers + (size_t)id * u->p.buffer_bytes;
}
void uring_give(struct uring *u, uint16_t id); /* the kernel may fill this buffer again */
/* Ends the request with this user_data, if it is under way. Its completion still comes. */
void uring_cancel(struct uring *u, uint64_t user_data);

#endif
