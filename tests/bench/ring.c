/* ring.c - io_uring(7) for the RTP sockets: sends in batches, a multishot receive for each socket
 * into buffers that all share. Completions are made only while we ask for them (DEFER_TASKRUN). */
#include "ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RING_ENTRIES = 1024,
    RING_COMPLETIONS = 8192,
    RING_BUFFERS = 4096,
    RING_BUFFER_BYTES =
        sizeof(struct io_uring_recvmsg_out) + sizeof(struct sockaddr_in) + RING_PACKET_MAX,
    RING_TRIES = 100, /* of a call that the kernel puts off */
};

/* The upper half of user_data, above the number of the socket. */
enum ring_tag { RING_TAG_HEAR = 1, RING_TAG_SEND, RING_TAG_POLL, RING_TAG_MUTE };

struct ring {
    int fd;
    _Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
    uint32_t filled, handed_over; /* entries */
    uint32_t cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    struct io_uring_buf_ring *pool; /* of empty buffers */
    uint16_t pool_tail;
    uint8_t *buffers;
    int lent; /* the buffer of the last event, -1: none */
    struct msghdr hear;
    uint32_t sends; /* in the batch */
    struct sockaddr_in to[RING_SENDS];
    uint8_t packets[RING_SENDS][RING_PACKET_MAX];
};

static void *ring_map(size_t bytes, int fd, off_t at)
{
    int flags = fd >= 0 ? MAP_SHARED | MAP_POPULATE : MAP_PRIVATE | MAP_ANONYMOUS;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, at);

    return p != MAP_FAILED ? p : NULL;
}

static int ring_map_queues(struct ring *r, const struct io_uring_params *p)
{
    size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    uint8_t *sq = ring_map(sq_bytes, r->fd, IORING_OFF_SQ_RING);
    uint8_t *cq = ring_map(cq_bytes, r->fd, IORING_OFF_CQ_RING);
    uint32_t *order;

    r->sqes = ring_map(p->sq_entries * sizeof(*r->sqes), r->fd, IORING_OFF_SQES);
    if (sq == NULL || cq == NULL || r->sqes == NULL) {
        return ENOMEM;
    }
    r->sq_tail = (_Atomic uint32_t *)(void *)(sq + p->sq_off.tail);
    r->cq_head = (_Atomic uint32_t *)(void *)(cq + p->cq_off.head);
    r->cq_tail = (_Atomic uint32_t *)(void *)(cq + p->cq_off.tail);
    r->cqes = (struct io_uring_cqe *)(void *)(cq + p->cq_off.cqes);
    r->cq_mask = p->cq_entries - 1;
    order = (uint32_t *)(void *)(sq + p->sq_off.array);
    for (uint32_t i = 0; i < p->sq_entries; i++) {
        order[i] = i;
    }
    return 0;
}

static int ring_register(struct ring *r, unsigned what, void *arg, unsigned n)
{
    return syscall(SYS_io_uring_register, r->fd, what, arg, n) < 0 ? errno : 0;
}

static void ring_give_back(struct ring *r, uint16_t id)
{
    struct io_uring_buf *b = &r->pool->bufs[r->pool_tail & (RING_BUFFERS - 1)];

    b->addr = (uintptr_t)(r->buffers + (size_t)id * RING_BUFFER_BYTES);
    b->len = RING_BUFFER_BYTES;
    b->bid = id;
    r->pool_tail++;
    __atomic_store_n(&r->pool->tail, r->pool_tail, __ATOMIC_RELEASE);
}

static int ring_map_buffers(struct ring *r)
{
    struct io_uring_buf_reg reg = {.ring_entries = RING_BUFFERS};

    r->pool = ring_map(RING_BUFFERS * sizeof(struct io_uring_buf), -1, 0);
    r->buffers = ring_map((size_t)RING_BUFFERS * RING_BUFFER_BYTES, -1, 0);
    if (r->pool == NULL || r->buffers == NULL) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < RING_BUFFERS; i++) {
        ring_give_back(r, (uint16_t)i);
    }
    reg.ring_addr = (uintptr_t)r->pool;
    return ring_register(r, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static int ring_set_up(struct ring *r, uint32_t files)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = RING_COMPLETIONS};
    struct io_uring_rsrc_register table = {.nr = files, .flags = IORING_RSRC_REGISTER_SPARSE};
    int err;

    r->fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &p);
    if (r->fd < 0) {
        return errno;
    }
    err = ring_map_queues(r, &p);
    if (err == 0) {
        err = ring_map_buffers(r);
    }
    return err == 0 ? ring_register(r, IORING_REGISTER_FILES2, &table, sizeof(table)) : err;
}

int ring_open(struct ring **rp, uint32_t files)
{
    struct ring *r = calloc(1, sizeof(*r));
    int err = r != NULL ? 0 : ENOMEM;

    if (err != 0) {
        return err;
    }
    r->lent = -1;
    r->hear.msg_namelen = sizeof(struct sockaddr_in);
    err = ring_set_up(r, files);
    if (err != 0) {
        ring_free(&r);
    }
    *rp = r;
    return err;
}

/* The mappings are left to the end of the process, which has one ring. */
void ring_free(struct ring **rp)
{
    struct ring *r = *rp;

    *rp = NULL;
    if (r != NULL) {
        if (r->fd >= 0) {
            (void)close(r->fd);
        }
        free(r);
    }
}

int ring_set_file(struct ring *r, uint32_t file, int fd)
{
    struct io_uring_files_update update = {.offset = file, .fds = (uintptr_t)&fd};

    return ring_register(r, IORING_REGISTER_FILES_UPDATE, &update, 1);
}

/* --- queues --- */

static void ring_enter(struct ring *r, unsigned wanted, unsigned flags, int64_t ns)
{
    struct __kernel_timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};

    atomic_store_explicit(r->sq_tail, r->filled, memory_order_release);
    for (unsigned i = 0; i < RING_TRIES; i++) {
        long n = syscall(SYS_io_uring_enter, r->fd, r->filled - r->handed_over, wanted,
                         flags | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));

        if (n >= 0) {
            r->handed_over += (uint32_t)n;
        }
        if (n < 0 ? errno != EAGAIN && errno != EBUSY : r->handed_over == r->filled) {
            break; /* with ETIME or EINTR everything was handed over */
        }
    }
    r->sends = 0; /* they never wait: sent or failed */
}

static struct io_uring_sqe *ring_entry(struct ring *r)
{
    struct io_uring_sqe *e;

    if (r->filled - r->handed_over == RING_ENTRIES) {
        ring_enter(r, 0, 0, 0);
    }
    e = &r->sqes[r->filled++ & (RING_ENTRIES - 1)];
    memset(e, 0, sizeof(*e));
    return e;
}

static uint64_t ring_tag(enum ring_tag tag, uint32_t file)
{
    return (uint64_t)tag << 32 | file;
}

uint8_t *ring_packet(struct ring *r)
{
    return r->packets[r->sends];
}

void ring_send(struct ring *r, uint32_t file, size_t n, const struct sockaddr_in *to)
{
    struct io_uring_sqe *e = ring_entry(r);

    r->to[r->sends] = *to;
    e->opcode = IORING_OP_SEND;
    e->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    e->fd = (int32_t)file;
    e->addr = (uintptr_t)r->packets[r->sends];
    e->len = (uint32_t)n;
    e->addr2 = (uintptr_t)&r->to[r->sends];
    e->addr_len = sizeof(r->to[r->sends]);
    e->msg_flags = MSG_DONTWAIT;
    e->user_data = ring_tag(RING_TAG_SEND, file);
    if (++r->sends == RING_SENDS) {
        ring_enter(r, 0, 0, 0);
    }
}

void ring_flush(struct ring *r)
{
    if (r->sends != 0) {
        ring_enter(r, 0, 0, 0);
    }
}

void ring_hear(struct ring *r, uint32_t file)
{
    struct io_uring_sqe *e = ring_entry(r);

    e->opcode = IORING_OP_RECVMSG;
    e->flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    e->ioprio = IORING_RECV_MULTISHOT;
    e->fd = (int32_t)file;
    e->addr = (uintptr_t)&r->hear;
    e->user_data = ring_tag(RING_TAG_HEAR, file);
}

void ring_mute(struct ring *r, uint32_t file)
{
    struct io_uring_sqe *e = ring_entry(r);

    e->opcode = IORING_OP_ASYNC_CANCEL;
    e->fd = -1;
    e->addr = ring_tag(RING_TAG_HEAR, file);
    e->user_data = ring_tag(RING_TAG_MUTE, file);
}

void ring_poll(struct ring *r, int fd)
{
    struct io_uring_sqe *e = ring_entry(r);

    e->opcode = IORING_OP_POLL_ADD;
    e->fd = fd;
    e->poll32_events = 1; /* POLLIN */
    e->user_data = ring_tag(RING_TAG_POLL, 0);
}

void ring_wait(struct ring *r, int64_t ns)
{
    ring_enter(r, ns > 0 ? 1 : 0, IORING_ENTER_GETEVENTS, ns);
}

/* --- events --- */

static void ring_read_packet(struct ring *r, const struct io_uring_cqe *c, struct ring_event *ev)
{
    struct io_uring_recvmsg_out out;
    uint8_t *p;

    ev->what = RING_HEARD;
    ev->last = (c->flags & IORING_CQE_F_MORE) == 0;
    ev->p = NULL;
    if ((c->flags & IORING_CQE_F_BUFFER) == 0) {
        return;
    }
    r->lent = (int)(c->flags >> IORING_CQE_BUFFER_SHIFT);
    p = r->buffers + (size_t)r->lent * RING_BUFFER_BYTES;
    if (c->res < (int)(sizeof(out) + sizeof(ev->from))) {
        return;
    }
    memcpy(&out, p, sizeof(out));
    memcpy(&ev->from, p + sizeof(out), sizeof(ev->from));
    ev->p = p + sizeof(out) + sizeof(ev->from);
    ev->n = out.payloadlen < RING_PACKET_MAX ? out.payloadlen : RING_PACKET_MAX;
}

/* False: nothing that anybody wants to know. */
static bool ring_read(struct ring *r, const struct io_uring_cqe *c, struct ring_event *ev)
{
    ev->file = (uint32_t)c->user_data;
    switch ((enum ring_tag)(c->user_data >> 32)) {
    case RING_TAG_HEAR:
        ring_read_packet(r, c, ev);
        return true;
    case RING_TAG_SEND:
        ev->what = RING_SEND_FAILED;
        return c->res < 0;
    case RING_TAG_POLL:
        ev->what = RING_POLLED;
        return true;
    case RING_TAG_MUTE:
        break;
    }
    return false;
}

bool ring_next(struct ring *r, struct ring_event *ev)
{
    uint32_t head = atomic_load_explicit(r->cq_head, memory_order_relaxed);

    for (bool found = false; !found; head++) {
        if (r->lent >= 0) {
            ring_give_back(r, (uint16_t)r->lent);
            r->lent = -1;
        }
        if (head == atomic_load_explicit(r->cq_tail, memory_order_acquire)) {
            return false;
        }
        found = ring_read(r, &r->cqes[head & r->cq_mask], ev);
        atomic_store_explicit(r->cq_head, head + 1, memory_order_release);
    }
    return true;
}
