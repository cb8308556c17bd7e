/* io_ring.c - one multishot receive per socket, into buffers that all share; what a pass relays is
 * sent with one system call at its end. A buffer is given back only then. */
#include "media/io_ring.h"

#include "media/stage_int.h"
#include "media/uring.h"

#define RING_SENDS 512        /* of one system call */
#define RING_BUFFERS 512      /* received packets in hand */
#define RING_COMPLETIONS 2048 /* all buffers, and an error from each of many sockets */
#define RING_WORK 256         /* rounds of kernel work that complete nothing */
#define RING_PASS 512         /* completions served before other descriptors get a turn */
#define RING_ENOUGH 128       /* packets that end a sleep early */
#define RING_COPIES 32        /* packets of our own making in one pass */
#define RING_LOOK_MS 250      /* after packets: does one wait that nobody told us of? */
#define RING_NONE UINT32_MAX
#define RING_NAME 32 /* room for a source address */
#define RING_HEAD (sizeof(struct io_uring_recvmsg_out) + RING_NAME)

/* What a completion belongs to: slot of the socket, its generation, bytes and class of what was
 * sent. */
enum ring_kind { RING_RECEIVE = 1, RING_SENT };
#define RING_TAG(kind, class, n, gen, slot)                                                        \
    ((uint64_t)(kind) << 62 | (uint64_t)(class) << 60 | (uint64_t)(n) << 48 |                      \
     (uint64_t)(gen) << 32 | (slot))

struct ring_slot {
    struct media_sock *sock; /* NULL: free, or about to be */
    uint32_t next;           /* in one of the two lists below */
    uint16_t gen;
    bool is_deaf; /* in r->deaf: its receive ended, or was never started */
};

struct media_ring {
    struct media *m;
    struct fdw *w;
    struct uring u;
    struct ring_slot *slots;
    uint32_t n_slots;
    uint32_t free, deaf, deaf_last; /* lists of slots, the second in order; RING_NONE: empty */
    struct msghdr hdr;              /* what the kernel is to tell about each packet */
    struct turn turn;               /* asks for what came up outside a pass, or did not fit in it */
    struct timer look;
    bool in_pass;
    uint32_t n_sends, n_used, n_copies;
    struct addr to[RING_SENDS];
    uint16_t used[RING_BUFFERS]; /* to be given back once their packets are sent */
    uint8_t copies[RING_COPIES][MEDIA_PKT_ROOM];
};

/* --- slots --- */

static struct media_sock *ring_sock(const struct media_ring *r, uint64_t tag)
{
    uint32_t slot = (uint32_t)tag;

    return slot < r->n_slots && r->slots[slot].gen == (uint16_t)(tag >> 32) ? r->slots[slot].sock
                                                                            : NULL;
}

static void ring_slot_free(struct media_ring *r, uint32_t i)
{
    r->slots[i].next = r->free;
    r->free = i;
}

static void ring_slot_deafen(struct media_ring *r, uint32_t i)
{
    if (r->slots[i].is_deaf) {
        return;
    }
    r->slots[i].is_deaf = true;
    r->slots[i].next = RING_NONE;
    if (r->deaf != RING_NONE) {
        r->slots[r->deaf_last].next = i;
    } else {
        r->deaf = i;
    }
    r->deaf_last = i;
}

/* False: the kernel takes nothing for the moment. */
static bool ring_receive(struct media_ring *r, const struct media_sock *s)
{
    struct io_uring_sqe *e = uring_entry(&r->u);

    if (e == NULL) {
        return false;
    }
    e->opcode = IORING_OP_RECVMSG;
    e->ioprio = IORING_RECV_MULTISHOT;
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = URING_GROUP;
    e->fd = s->fd;
    e->addr = (uintptr_t)&r->hdr;
    e->len = 1;
    e->msg_flags = MSG_TRUNC;
    e->user_data = s->watch.tag;
    return true;
}

/* Lets those hear that do not, the longest first, as many as there are buffers: more would only
 * fail once more. */
static void ring_listen(struct media_ring *r)
{
    for (unsigned n = 0; r->deaf != RING_NONE && n < RING_BUFFERS; n++) {
        uint32_t i = r->deaf;
        struct ring_slot *slot = &r->slots[i];

        if (slot->sock != NULL && !ring_receive(r, slot->sock)) {
            break;
        }
        r->deaf = slot->next;
        slot->is_deaf = false;
        if (slot->sock == NULL) {
            ring_slot_free(r, i);
        }
    }
    if (r->deaf != RING_NONE) {
        loop_end_of_turn(r->m->p.loop, &r->turn);
    }
}

/* --- sending --- */

static void ring_hand_over(struct media_ring *r)
{
    if (uring_has_entries(&r->u)) {
        uring_enter(&r->u, 0, 0);
    }
    r->n_sends = r->n_copies = 0;
}

/* The end of a pass. Sends first: their buffers are the ones that the next receives need. */
static void ring_flush(struct media_ring *r)
{
    ring_hand_over(r);
    for (uint32_t i = 0; i < r->n_used; i++) {
        uring_give(&r->u, r->used[i]);
    }
    r->n_used = 0;
    if (r->deaf != RING_NONE) {
        ring_listen(r);
        ring_hand_over(r);
    }
}

static const uint8_t *ring_keep(struct media_ring *r, const struct media_pkt *pkt)
{
    size_t n = (size_t)r->u.p.buffers * r->u.p.buffer_bytes;

    if (pkt->p >= r->u.buffers && pkt->p < r->u.buffers + n) {
        return pkt->p;
    }
    return memcpy(r->copies[r->n_copies++], pkt->p, pkt->n);
}

bool media_ring_send(struct media_ring *r, const struct media_flow *f, const struct media_pkt *pkt,
                     const struct addr *dest)
{
    const struct media_sock *s =
        f->is_rtcp ? &f->side->pair->rtcp : &f->side->pair->rtp; /* who owns f->fd */
    struct addr *to = &r->to[r->n_sends];
    struct io_uring_sqe *e = uring_entry(&r->u);

    if (e == NULL) {
        return false;
    }
    *to = *dest;
    e->opcode = IORING_OP_SEND;
    e->flags = IOSQE_CQE_SKIP_SUCCESS;
    e->fd = f->fd;
    e->addr = (uintptr_t)ring_keep(r, pkt);
    e->len = (uint32_t)pkt->n;
    e->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    e->addr2 = (uintptr_t)&to->u.sa;
    e->addr_len = (uint16_t)addr_len(to);
    e->user_data = RING_TAG(RING_SENT, pkt->class == MEDIA_CLASS_RTCP, pkt->n, 0, 0) |
                   (s->watch.tag & ((uint64_t)UINT32_MAX << 16 | UINT32_MAX));
    r->n_sends++;
    if (r->n_sends == RING_SENDS || r->n_copies == RING_COPIES) {
        ring_hand_over(r);
    } else if (!r->in_pass) {
        loop_end_of_turn(r->m->p.loop, &r->turn);
    }
    return true;
}

/* --- completions --- */

/* The kernel refused what relay.c has counted as sent. */
static void ring_on_unsent(struct media_ring *r, uint64_t tag)
{
    const struct media_sock *s = ring_sock(r, tag);
    struct media_side *side = s != NULL && s->flow != NULL ? s->flow->side : NULL;

    if (side == NULL) {
        stat_inc(STAT_RTP_SEND_FAIL);
        return;
    }
    (void)media_drop(side, MEDIA_DROP_SEND, loop_now_ms(r->m->p.loop));
    if ((tag >> 60 & 3) != 0) {
        side->count.rtcp_tx--;
    } else {
        side->count.tx_packets--;
        side->count.tx_bytes -= tag >> 48 & 0xfff;
    }
}

static void ring_on_packet(struct media_ring *r, struct media_sock *s, uint8_t *buf)
{
    struct media_pkt pkt = {.p = buf + RING_HEAD, .now_ms = loop_now_ms(r->m->p.loop)};
    struct io_uring_recvmsg_out out;

    if (s->flow == NULL) {
        media_idle_on_packet(s);
        return;
    }
    memcpy(&out, buf, sizeof(out));
    pkt.n = out.payloadlen; /* on the wire, which may be more than we hold */
    addr_from_sockaddr(&pkt.src, (const struct sockaddr *)(const void *)(buf + sizeof(out)),
                       out.namelen);
    media_relay(s->flow, &pkt);
}

static bool ring_may_go_on(int err)
{
    return err != EBADF && err != ENOTSOCK && err != ECANCELED && err != EINVAL;
}

static void ring_on_receive(struct media_ring *r, const struct io_uring_cqe *c)
{
    struct media_sock *s = ring_sock(r, c->user_data);

    if ((c->flags & IORING_CQE_F_BUFFER) != 0) {
        uint16_t id = (uint16_t)(c->flags >> IORING_CQE_BUFFER_SHIFT);

        r->used[r->n_used++] = id;
        if (s != NULL && c->res >= 0) {
            ring_on_packet(r, s, uring_buffer(&r->u, id));
            s = ring_sock(r, c->user_data); /* one that gets junk only may be closed now */
        }
    }
    if (s != NULL && (c->flags & IORING_CQE_F_MORE) == 0 &&
        (c->res >= 0 || ring_may_go_on(-c->res))) {
        ring_slot_deafen(r, (uint32_t)c->user_data); /* out of buffers: more waits in the socket */
    }
}

static const struct io_uring_cqe *ring_completion(struct media_ring *r)
{
    const struct io_uring_cqe *c = uring_peek(&r->u);

    for (unsigned i = 0; c == NULL && uring_take_work(&r->u); i++) {
        if (i == RING_WORK) {
            loop_end_of_turn(r->m->p.loop, &r->turn);
            break;
        }
        uring_enter(&r->u, 0, 0); /* sends what waits, too */
        c = uring_peek(&r->u);
    }
    return c;
}

void media_ring_serve(struct media_ring *r)
{
    const struct io_uring_cqe *c;
    uint32_t n = 0;

    if (r->in_pass) {
        return;
    }
    r->in_pass = true;
    for (c = ring_completion(r); c != NULL && n < RING_PASS; c = ring_completion(r), n++) {
        const struct io_uring_cqe done = *c;

        uring_next(&r->u);
        if (done.user_data >> 62 == RING_SENT) {
            ring_on_unsent(r, done.user_data);
        } else {
            ring_on_receive(r, &done);
        }
    }
    if (c != NULL) {
        loop_end_of_turn(r->m->p.loop, &r->turn);
    }
    if (n != 0 && !timer_is_armed(&r->look)) {
        timer_start_lazy(r->m->p.loop, &r->look, RING_LOOK_MS);
    }
    loop_note_packets(r->m->p.loop, r->n_used);
    ring_flush(r);
    r->in_pass = false;
}

static void on_ring_turn(void *ring)
{
    ring_hand_over(ring);
    media_ring_serve(ring);
}

/* No event is known to get lost. If a kernel lost one, calls would fall silent for good. */
static void on_ring_look(void *ring)
{
    media_ring_serve(ring);
}

static void on_ring(int fd, int what, void *ring)
{
    (void)fd, (void)what;
    media_ring_serve(ring);
}

void media_ring_sleep(void *ring, int64_t us)
{
    struct media_ring *r = ring;

    uring_enter(&r->u, RING_ENOUGH, us);
}

int media_ring_new(struct media_ring **rp, struct media *m)
{
    const struct uring_params p = {.sends = RING_SENDS,
                                   .completions = RING_COMPLETIONS,
                                   .buffers = RING_BUFFERS,
                                   .buffer_bytes = RING_HEAD + MEDIA_PKT_ROOM};
    struct media_ring *r = mem_zalloc(sizeof(*r));
    int err;

    if (r == NULL) {
        return ENOMEM;
    }
    r->m = m;
    r->u.fd = -1;
    r->free = r->deaf = RING_NONE;
    r->hdr = (struct msghdr){.msg_namelen = RING_NAME};
    turn_init(&r->turn, on_ring_turn, r);
    timer_init(&r->look, on_ring_look, r);
    err = uring_probe();
    if (err == 0) {
        err = uring_open(&r->u, &p);
    }
    if (err == 0) {
        err = fdw_new_edge(&r->w, m->p.loop, r->u.event_fd, on_ring, r);
    }
    if (err != 0) {
        media_ring_free(&r);
        return err;
    }
    *rp = r;
    return 0;
}

void media_ring_free(struct media_ring **rp)
{
    struct media_ring *r = *rp;

    *rp = NULL;
    if (r == NULL) {
        return;
    }
    turn_cancel(&r->turn);
    timer_stop(r->m->p.loop, &r->look);
    fdw_free(&r->w);
    for (uint32_t i = 0; i < r->n_slots; i++) {
        if (r->slots[i].sock != NULL) {
            r->slots[i].sock->watch.tag = 0;
        }
    }
    uring_close(&r->u);
    mem_free(r->slots);
    mem_free(r);
}

/* --- sockets --- */

static int ring_more_slots(struct media_ring *r)
{
    uint32_t n = r->n_slots != 0 ? r->n_slots * 2 : 64;
    struct ring_slot *slots = mem_realloc(r->slots, n * sizeof(*slots));

    if (slots == NULL) {
        return ENOMEM;
    }
    for (uint32_t i = r->n_slots; i < n; i++) {
        slots[i] = (struct ring_slot){.next = i + 1 < n ? i + 1 : RING_NONE};
    }
    r->slots = slots;
    r->free = r->n_slots;
    r->n_slots = n;
    return 0;
}

int media_ring_watch(struct media_ring *r, struct media_sock *s)
{
    int err = r->free == RING_NONE ? ring_more_slots(r) : 0;
    uint32_t i = r->free;

    if (err != 0) {
        return err;
    }
    r->free = r->slots[i].next;
    r->slots[i].sock = s;
    r->slots[i].gen++;
    s->watch.tag = RING_TAG(RING_RECEIVE, 0, 0, r->slots[i].gen, i);
    ring_slot_deafen(r, i);
    loop_end_of_turn(r->m->p.loop, &r->turn);
    return 0;
}

void media_ring_unwatch(struct media_ring *r, struct media_sock *s)
{
    uint32_t i = (uint32_t)s->watch.tag;

    if (s->watch.tag == 0) {
        return;
    }
    uring_cancel(&r->u, s->watch.tag); /* also sends what it has still to send */
    r->slots[i].sock = NULL;
    r->slots[i].gen++; /* what was read already is nobody's */
    if (!r->slots[i].is_deaf) {
        ring_slot_free(r, i);
    }
    s->watch.tag = 0;
}
