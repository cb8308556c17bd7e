/* uring.c - set-up and queues of an io_uring (io_uring(7)). Completions are made only while we ask
 * for them (DEFER_TASKRUN), so a packet that comes while we work costs no interruption. */
#include "media/uring.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define URING_TRIES 100 /* of a call that the kernel puts off */

static int uring_setup(uint32_t entries, struct io_uring_params *p)
{
    return (int)syscall(SYS_io_uring_setup, entries, p);
}

static int uring_register(int fd, unsigned what, void *arg, unsigned n)
{
    return syscall(SYS_io_uring_register, fd, what, arg, n) < 0 ? errno : 0;
}

/* --- set-up --- */

static void *uring_map(struct uring *u, unsigned i, size_t n, int flags, int fd, off_t at)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, fd, at);

    if (p == MAP_FAILED) {
        return NULL;
    }
    u->maps[i] = p;
    u->map_bytes[i] = n;
    return p;
}

static int uring_map_queues(struct uring *u, const struct io_uring_params *p)
{
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    const int flags = MAP_SHARED | MAP_POPULATE;
    uint8_t *q = uring_map(u, 0, sq > cq ? sq : cq, flags, u->fd, IORING_OFF_SQ_RING);
    uint32_t *array;

    u->sqes = uring_map(u, 1, p->sq_entries * sizeof(*u->sqes), flags, u->fd, IORING_OFF_SQES);
    if (q == NULL || u->sqes == NULL) {
        return ENOMEM;
    }
    u->sq_tail = (_Atomic uint32_t *)(void *)(q + p->sq_off.tail);
    u->sq_flags = (_Atomic uint32_t *)(void *)(q + p->sq_off.flags);
    u->cq_head = (_Atomic uint32_t *)(void *)(q + p->cq_off.head);
    u->cq_tail = (_Atomic uint32_t *)(void *)(q + p->cq_off.tail);
    u->cqes = (struct io_uring_cqe *)(void *)(q + p->cq_off.cqes);
    array = (uint32_t *)(void *)(q + p->sq_off.array);
    for (uint32_t i = 0; i < p->sq_entries; i++) {
        array[i] = i; /* entries are handed over in their order */
    }
    return 0;
}

static int uring_map_buffers(struct uring *u)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    struct io_uring_buf_reg reg = {.ring_entries = u->p.buffers, .bgid = URING_GROUP};

    u->ring = uring_map(u, 2, u->p.buffers * sizeof(struct io_uring_buf), flags, -1, 0);
    u->buffers = uring_map(u, 3, (size_t)u->p.buffers * u->p.buffer_bytes, flags, -1, 0);
    if (u->ring == NULL || u->buffers == NULL) {
        return ENOMEM;
    }
    reg.ring_addr = (uintptr_t)u->ring;
    for (uint32_t i = 0; i < u->p.buffers; i++) {
        uring_give(u, (uint16_t)i);
    }
    return uring_register(u->fd, IORING_REGISTER_PBUF_RING, &reg, 1);
}

/* The ring itself becomes readable with completions only, and those are made when we ask. */
static int uring_open_event(struct uring *u)
{
    u->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return u->event_fd >= 0 ? uring_register(u->fd, IORING_REGISTER_EVENTFD, &u->event_fd, 1)
                            : errno;
}

int uring_open(struct uring *u, const struct uring_params *p)
{
    /* Disabled at first, as the thread that enables it is the only one that may use it. */
    struct io_uring_params par = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                           IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                           IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
                                  .cq_entries = p->completions};
    int err;

    *u = (struct uring){.fd = -1, .event_fd = -1, .p = *p};
    u->fd = uring_setup(p->sends, &par);
    if (u->fd < 0) {
        return errno;
    }
    err = (par.features & IORING_FEAT_SINGLE_MMAP) != 0 ? uring_map_queues(u, &par) : EINVAL;
    if (err == 0) {
        err = uring_map_buffers(u);
    }
    if (err == 0) {
        err = uring_open_event(u);
    }
    if (err != 0) {
        uring_close(u);
    }
    return err;
}

void uring_close(struct uring *u)
{
    if (u->fd >= 0) {
        (void)close(u->fd);
    }
    if (u->event_fd >= 0) {
        (void)close(u->event_fd);
    }
    for (unsigned i = 0; i < COUNT_OF(u->maps); i++) {
        if (u->maps[i] != NULL) {
            (void)munmap(u->maps[i], u->map_bytes[i]);
        }
    }
    *u = (struct uring){.fd = -1, .event_fd = -1};
}

/* --- queues --- */

struct io_uring_sqe *uring_entry(struct uring *u)
{
    struct io_uring_sqe *e;

    if (u->sq_next - u->sq_sent == u->p.sends) {
        uring_enter(u, 0, 0);
        if (u->sq_next - u->sq_sent == u->p.sends) {
            return NULL;
        }
    }
    e = &u->sqes[u->sq_next++ & (u->p.sends - 1)];
    *e = (struct io_uring_sqe){0};
    return e;
}

static void uring_enable(struct uring *u)
{
    u->enabled = true;
    if (uring_register(u->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0) {
        log_error(NULL, "io_uring cannot be enabled: %s", strerror(errno));
    }
}

void uring_enter(struct uring *u, uint32_t wanted, int64_t us)
{
    struct __kernel_timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};

    if (!u->enabled) {
        uring_enable(u);
    }
    atomic_store_explicit(u->sq_tail, u->sq_next, memory_order_release);
    for (unsigned i = 0; i < URING_TRIES; i++) {
        long n = syscall(SYS_io_uring_enter, u->fd, u->sq_next - u->sq_sent, wanted,
                         IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));

        if (n >= 0) {
            u->sq_sent += (uint32_t)n;
        }
        if (n < 0 ? errno != EAGAIN && errno != EINTR && errno != EBUSY
                  : u->sq_sent == u->sq_next) {
            return; /* with ETIME nothing was left to hand over */
        }
    }
}

/* The kernel sets the flag after it queued the work, maybe after we have done it already, and
 * clears it only when it finds some: it is ours to clear, or a late one would look like work for
 * ever. */
bool uring_take_work(struct uring *u)
{
    uint32_t flags = atomic_load_explicit(u->sq_flags, memory_order_relaxed);

    if ((flags & IORING_SQ_TASKRUN) != 0) {
        atomic_fetch_and_explicit(u->sq_flags, ~(uint32_t)IORING_SQ_TASKRUN, memory_order_acq_rel);
    }
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

const struct io_uring_cqe *uring_peek(const struct uring *u)
{
    uint32_t head = atomic_load_explicit(u->cq_head, memory_order_relaxed);

    return head != atomic_load_explicit(u->cq_tail, memory_order_acquire)
               ? &u->cqes[head & (u->p.completions - 1)]
               : NULL;
}

void uring_next(struct uring *u)
{
    uint32_t head = atomic_load_explicit(u->cq_head, memory_order_relaxed);

    atomic_store_explicit(u->cq_head, head + 1, memory_order_release);
}

void uring_give(struct uring *u, uint16_t id)
{
    struct io_uring_buf *b = &u->ring->bufs[u->ring_tail & (u->p.buffers - 1)];

    b->addr = (uintptr_t)uring_buffer(u, id);
    b->len = u->p.buffer_bytes;
    b->bid = id;
    u->ring_tail++;
    __atomic_store_n(&u->ring->tail, u->ring_tail, __ATOMIC_RELEASE);
}

void uring_cancel(struct uring *u, uint64_t user_data)
{
    struct io_uring_sync_cancel_reg reg = {
        .addr = user_data, .fd = -1, .timeout = {.tv_sec = -1, .tv_nsec = -1}};

    uring_enter(u, 0, 0); /* it may not have been handed over yet */
    (void)uring_register(u->fd, IORING_REGISTER_SYNC_CANCEL, &reg, 1);
    uring_enter(u, 0, 0); /* lets go of the descriptor */
}
