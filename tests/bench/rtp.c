/* rtp.c - G.711-sized RTP in both directions, paced in slots of one millisecond. Each packet names
 * the stream that sent it, so that a stream which hears the wrong one is noticed. */
#include "loadgen.h"
#include "srtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    RTP_PAYLOAD = 160,
    RTP_LEN = 12 + RTP_PAYLOAD,
    RTP_KEY_TEXT = SRTP_MASTER / 3 * 4,
    RTP_MAGIC = 0x4c475254,
    RTP_REUSE_MS = 200,   /* a port rests this long, for stragglers of its last call */
    RTP_FILES_SPARE = 64, /* descriptors that are not streams */
    RTP_FILES_MAX = 20000,
    RTCP_FIRST = 50, /* packets before the first report, then one each five seconds */
    RTCP_EVERY = 250,
};

enum rtp_state { RTP_FREE, RTP_OPEN, RTP_SENDING };

struct rtp_stream {
    struct ev_src src, rtcp_src;
    struct rtp_stream *prev, *next; /* of the slot or the pool */
    int fd, rtcp_fd;
    bool listens, is_heard; /* whether packets are wanted; whether the ring reads them */
    uint32_t number;        /* index in rtp.all */
    uint32_t session;       /* counts the calls that used this stream */
    enum rtp_side side;
    enum rtp_state state;
    uint32_t port, slot;
    struct srtp *tx, *rx;       /* NULL: plain RTP */
    char key[RTP_KEY_TEXT + 1]; /* ours, in base64 */
    struct sockaddr_in to;
    int64_t stop_ns; /* 0: until told */
    int64_t freed_ns;
    uint32_t sent, received;
    uint32_t peer, peer_session; /* whom we hear; session 0 until known */
    uint32_t top_seq;            /* highest heard, and which of the 64 below were */
    uint64_t seen;
};

struct rtp_mark { /* begin of the payload */
    uint32_t magic, seed, number, session, seq, pad;
    int64_t sent_ns;
};

static void on_rtp_readable(struct lg *lg, struct ev_src *src);
static void on_rtcp_readable(struct lg *lg, struct ev_src *src);

uint32_t rtp_port(const struct rtp_stream *s)
{
    return s->port;
}

static int rtp_socket(struct lg *lg, struct sockaddr_in addr, uint32_t port, struct ev_src *src)
{
    struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = src}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    addr.sin_port = htons((uint16_t)port);
    if (fd >= 0 && (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
                    (src != NULL && epoll_ctl(lg->epfd, EPOLL_CTL_ADD, fd, &ev) != 0))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool rtp_bind(struct lg *lg, struct rtp_stream *s, uint32_t port)
{
    const struct sockaddr_in *addr = s->side == RTP_CALLER ? &lg->o.caller : &lg->o.callee;

    s->src.on_readable = on_rtp_readable;
    s->rtcp_src.on_readable = on_rtcp_readable;
    s->port = port;
    s->rtcp_fd = -1;
    s->fd = rtp_socket(lg, *addr, port, lg->rtp.ring == NULL ? &s->src : NULL);
    if (s->fd >= 0 && lg->o.rtcp) {
        s->rtcp_fd = rtp_socket(lg, *addr, port + 1, &s->rtcp_src);
        if (s->rtcp_fd < 0) {
            close(s->fd);
            s->fd = -1;
        }
    }
    return s->fd >= 0;
}

/* Packets that overtake the answer with their key wait in the socket. */
static void rtp_hear(struct lg *lg, struct rtp_stream *s, bool on)
{
    struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data = {.ptr = &s->src}};

    s->listens = on;
    if (lg->rtp.ring == NULL) {
        (void)epoll_ctl(lg->epfd, EPOLL_CTL_MOD, s->fd, &ev);
    } else if (on && !s->is_heard) {
        s->is_heard = true;
        ring_hear(lg->rtp.ring, s->number);
    } else if (!on && s->is_heard) {
        ring_mute(lg->rtp.ring, s->number);
    }
}

/* Needs its number. False: the stream cannot be used, and stays behind unused. */
static bool rtp_join_ring(struct lg *lg, struct rtp_stream *s)
{
    if (lg->rtp.ring == NULL) {
        return true;
    }
    if (ring_set_file(lg->rtp.ring, s->number, s->fd) != 0) {
        return false;
    }
    rtp_hear(lg, s, true);
    return true;
}

static struct rtp_stream *rtp_make(struct lg *lg, enum rtp_side side)
{
    struct rtp *r = &lg->rtp;
    struct rtp_pool *pool = &r->pool[side];
    struct rtp_stream *s = r->nall < r->max ? calloc(1, sizeof(*s)) : NULL;

    if (s == NULL) {
        return NULL;
    }
    s->side = side;
    while (pool->next_port + 1 <= lg->o.rtp_last) {
        uint32_t port = pool->next_port;

        pool->next_port += 2;
        if (rtp_bind(lg, s, port)) {
            s->number = r->nall;
            r->all[r->nall++] = s;
            return rtp_join_ring(lg, s) ? s : NULL;
        }
    }
    free(s);
    return NULL;
}

static struct rtp_stream *rtp_pool_pop(struct rtp_pool *pool)
{
    struct rtp_stream *s = pool->first;

    if (s != NULL) {
        pool->first = s->next;
        pool->last = s->next != NULL ? pool->last : NULL;
        s->next = NULL;
    }
    return s;
}

struct sl rtp_key(const struct rtp_stream *s)
{
    return (struct sl){s->key, strlen(s->key)};
}

bool rtp_set_key(struct rtp_stream *s, bool ours, struct sl base64)
{
    struct srtp **ctx = ours ? &s->tx : &s->rx;
    uint8_t master[SRTP_MASTER];

    if (base64.n != RTP_KEY_TEXT ||
        EVP_DecodeBlock(master, (const unsigned char *)base64.p, RTP_KEY_TEXT) != SRTP_MASTER) {
        return false;
    }
    srtp_free(ctx);
    *ctx = srtp_new(master);
    return *ctx != NULL;
}

static bool rtp_make_key(struct lg *lg, struct rtp_stream *s)
{
    uint8_t master[SRTP_MASTER];

    s->key[0] = '\0';
    if (!(s->side == RTP_CALLER ? lg->o.srtp_caller : lg->o.srtp_callee) || lg->o.streams != NULL) {
        return true;
    }
    if (getrandom(master, sizeof(master), 0) != (ssize_t)sizeof(master)) {
        return false;
    }
    (void)EVP_EncodeBlock((unsigned char *)s->key, master, SRTP_MASTER);
    rtp_hear(lg, s, false);
    return rtp_set_key(s, true, rtp_key(s));
}

struct rtp_stream *rtp_take(struct lg *lg, enum rtp_side side)
{
    struct rtp_pool *pool = &lg->rtp.pool[side];
    struct rtp_stream *s = NULL;

    if (pool->first == NULL || lg->now_ns - pool->first->freed_ns < RTP_REUSE_MS * 1000000ll) {
        s = rtp_make(lg, side);
    }
    if (s == NULL) {
        s = rtp_pool_pop(pool);
    }
    if (s != NULL) {
        s->state = RTP_OPEN;
        s->session++;
        s->sent = 0;
        s->received = 0;
        s->peer_session = 0;
        s->top_seq = 0;
        s->seen = 0;
        if (!rtp_make_key(lg, s)) {
            rtp_release(lg, s);
            s = NULL;
        }
    }
    return s;
}

void rtp_start(struct lg *lg, struct rtp_stream *s, const struct sockaddr_in *to)
{
    struct rtp *r = &lg->rtp;
    int64_t quiet_ms = lg->o.hold_ms / 4 < RTP_QUIET_MS ? lg->o.hold_ms / 4 : RTP_QUIET_MS;

    if (s->tx != NULL) {
        rtp_hear(lg, s, true);
    }
    s->to = *to;
    s->state = RTP_SENDING;
    s->stop_ns = lg->o.held ? 0 : lg->now_ns + ((int64_t)lg->o.hold_ms - quiet_ms) * 1000000;
    s->slot = r->next_slot++ % r->slots;
    s->prev = NULL;
    s->next = r->heads[s->slot];
    if (s->next != NULL) {
        s->next->prev = s;
    }
    r->heads[s->slot] = s;
}

static void rtp_stop(struct lg *lg, struct rtp_stream *s)
{
    if (s->state != RTP_SENDING) {
        return;
    }
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        lg->rtp.heads[s->slot] = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->next = NULL;
    s->prev = NULL;
    s->state = RTP_OPEN;
}

void rtp_release(struct lg *lg, struct rtp_stream *s)
{
    struct rtp_pool *pool;

    if (s == NULL) {
        return;
    }
    rtp_stop(lg, s);
    if (s->tx != NULL) {
        rtp_hear(lg, s, true);
    }
    srtp_free(&s->tx);
    srtp_free(&s->rx);
    if (s->sent > 10 && s->received == 0) {
        lg->st.c[ST_RTP_ONE_WAY]++;
    }
    pool = &lg->rtp.pool[s->side];
    s->state = RTP_FREE;
    s->freed_ns = lg->now_ns;
    s->next = NULL;
    if (pool->last != NULL) {
        pool->last->next = s;
    } else {
        pool->first = s;
    }
    pool->last = s;
}

static void rtp_put_be32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof(v));
}

static uint32_t rtp_ssrc(const struct lg *lg, const struct rtp_stream *s)
{
    return (lg->seed ^ s->number * 2654435761u) + s->session;
}

/* Sender report of no reports (RFC 3550 6.4.1): enough to see that RTCP passes. */
static void rtp_send_report(struct lg *lg, struct rtp_stream *s)
{
    struct sockaddr_in to = s->to;
    uint8_t p[28] = {0x80, 200, 0, 6};

    rtp_put_be32(p + 4, rtp_ssrc(lg, s));
    rtp_put_be32(p + 8, (uint32_t)(lg->now_ns / 1000000000));
    rtp_put_be32(p + 16, s->sent * RTP_PAYLOAD);
    rtp_put_be32(p + 20, s->sent);
    rtp_put_be32(p + 24, s->sent * RTP_PAYLOAD);
    to.sin_port = htons((uint16_t)(ntohs(to.sin_port) + 1));
    if (sendto(s->rtcp_fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) > 0) {
        lg->st.c[ST_RTCP_SENT]++;
    }
}

static size_t rtp_write(struct lg *lg, struct rtp_stream *s, uint8_t p[RTP_LEN + SRTP_TAG])
{
    struct rtp_mark mark = {.magic = RTP_MAGIC,
                            .seed = lg->seed,
                            .number = s->number,
                            .session = s->session,
                            .seq = ++s->sent,
                            .sent_ns = io_clock_ns()};

    memset(p, 0xff, RTP_LEN); /* silence in G.711 mu-law */
    p[0] = 0x80;
    p[1] = s->sent == 1 ? 0x80 : 0;
    p[2] = (uint8_t)(s->sent >> 8);
    p[3] = (uint8_t)s->sent;
    rtp_put_be32(p + 4, s->sent * RTP_PAYLOAD);
    rtp_put_be32(p + 8, rtp_ssrc(lg, s));
    memcpy(p + 12, &mark, sizeof(mark));
    return s->tx != NULL ? srtp_protect(s->tx, p, RTP_LEN) : RTP_LEN;
}

static void rtp_send(struct lg *lg, struct rtp_stream *s)
{
    uint8_t p[RTP_LEN + SRTP_TAG];

    if (lg->rtp.ring != NULL) {
        size_t n = rtp_write(lg, s, ring_packet(lg->rtp.ring));

        ring_send(lg->rtp.ring, s->number, n, &s->to);
        lg->st.c[ST_RTP_SENT]++; /* until the ring says otherwise */
    } else if (sendto(s->fd, p, rtp_write(lg, s, p), MSG_DONTWAIT, (struct sockaddr *)&s->to,
                      sizeof(s->to)) > 0) {
        lg->st.c[ST_RTP_SENT]++;
    } else {
        lg->st.c[ST_RTP_SEND_ERRORS]++;
    }
    if (s->rtcp_fd >= 0 && s->sent % RTCP_EVERY == RTCP_FIRST) {
        rtp_send_report(lg, s);
    }
}

static void rtp_serve_slot(struct lg *lg, unsigned slot)
{
    struct rtp_stream *next = NULL;

    for (struct rtp_stream *s = lg->rtp.heads[slot]; s != NULL; s = next) {
        bool has_enough = lg->o.packets != 0 && s->sent >= lg->o.packets;

        next = s->next;
        if (lg->rtp.silent || (has_enough && lg->o.burst == 0) ||
            (s->stop_ns != 0 && lg->now_ns >= s->stop_ns)) {
            rtp_stop(lg, s);
        } else if (!has_enough || lg->load.phase == LOAD_HOLD) { /* bursts come on top */
            rtp_send(lg, s);
        }
    }
    if (lg->rtp.ring != NULL) {
        ring_flush(lg->rtp.ring);
    }
}

void rtp_send_all(struct lg *lg)
{
    for (unsigned slot = 0; slot < lg->rtp.slots; slot++) {
        rtp_serve_slot(lg, slot);
    }
}

void rtp_tick(struct lg *lg)
{
    struct rtp *r = &lg->rtp;
    int64_t behind_ms = (lg->now_ns - r->tick_ns) / 1000000;

    if (!lg->o.media || (lg->o.burst != 0 && lg->load.phase == LOAD_HOLD)) {
        r->tick_ns = lg->now_ns;
        return;
    }
    /* After a stall of ours a burst would only measure itself: the time is skipped instead. */
    if (behind_ms > 5 * RTP_FRAME_MS) {
        lg->st.c[ST_RTP_SLOTS_SKIPPED] += (uint64_t)behind_ms;
        r->tick_ns += behind_ms * 1000000;
    }
    while (r->tick_ns <= lg->now_ns) {
        rtp_serve_slot(lg, (unsigned)(r->tick++ % r->slots));
        r->tick_ns += r->slot_ns;
    }
}

/* Whether the sender may be heard here. The first packet pairs both ends of the call, so either end
 * notices a third party afterwards. */
static bool rtp_pair(struct lg *lg, struct rtp_stream *s, const struct rtp_mark *m)
{
    struct rtp_stream *from = m->number < lg->rtp.nall ? lg->rtp.all[m->number] : NULL;

    if (s->peer_session != 0) {
        return s->peer == m->number && s->peer_session == m->session;
    }
    if (from == NULL || from->side == s->side || from->session != m->session) {
        return false;
    }
    if (from->peer_session != 0 && (from->peer != s->number || from->peer_session != s->session)) {
        return false;
    }
    s->peer = m->number;
    s->peer_session = m->session;
    from->peer = s->number;
    from->peer_session = s->session;
    return true;
}

static void rtp_account(struct lg *lg, struct rtp_stream *s, uint32_t seq)
{
    uint32_t ahead = seq - s->top_seq;
    uint32_t back = s->top_seq - seq;

    if (ahead != 0 && ahead < 0x80000000u) {
        s->seen = ahead < 64 ? s->seen << ahead | 1 : 1;
        s->top_seq = seq;
    } else if (back < 64 && (s->seen >> back & 1) != 0) {
        lg->st.c[ST_RTP_DUPLICATE]++;
        return;
    } else {
        s->seen |= back < 64 ? 1ull << back : 0;
        lg->st.c[ST_RTP_REORDERED]++;
    }
    s->received++;
    lg->st.c[ST_RTP_RECEIVED]++;
}

/* p has room for RTP_LEN bytes at least, and is changed. */
static void rtp_receive(struct lg *lg, struct rtp_stream *s, uint8_t *p, size_t n,
                        const struct sockaddr_in *from)
{
    struct rtp_mark m;

    lg->rtp.heard_ns = lg->now_ns;
    if (s->state == RTP_FREE) { /* its key is gone */
        lg->st.c[ST_RTP_LATE]++;
        return;
    }
    if (s->rx != NULL) {
        n = srtp_unprotect(s->rx, p, n);
    }
    memcpy(&m, p + 12, sizeof(m));
    if (n != RTP_LEN || p[0] >> 6 != 2 || (p[1] & 0x7f) != 0 || m.magic != RTP_MAGIC ||
        m.seed != lg->seed) {
        lg->st.c[ST_RTP_MALFORMED]++;
    } else if (!rtp_pair(lg, s, &m)) {
        lg->st.c[ST_RTP_WRONG_STREAM]++;
    } else {
        hist_add(&lg->st.relay, io_clock_ns() - m.sent_ns);
        rtp_account(lg, s, m.seq);
        if (s->to.sin_port != 0 && s->state == RTP_SENDING &&
            (from->sin_port != s->to.sin_port || from->sin_addr.s_addr != s->to.sin_addr.s_addr)) {
            lg->st.c[ST_RTP_WRONG_SOURCE]++; /* symmetric RTP, RFC 4961 */
        }
    }
}

static void on_rtp_readable(struct lg *lg, struct ev_src *src)
{
    struct rtp_stream *s = (struct rtp_stream *)(void *)src;
    uint8_t p[RTP_LEN + 64] = {0};
    struct sockaddr_in from = {0};
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(s->fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

    if (n >= 0) {
        rtp_receive(lg, s, p, (size_t)n, &from);
    }
}

void rtp_on_ring(struct lg *lg, const struct ring_event *ev)
{
    struct rtp_stream *s = lg->rtp.all[ev->file];

    if (ev->what == RING_SEND_FAILED) {
        lg->st.c[ST_RTP_SENT]--;
        lg->st.c[ST_RTP_SEND_ERRORS]++;
        return;
    }
    if (ev->p != NULL) {
        rtp_receive(lg, s, ev->p, ev->n, &ev->from);
    }
    if (ev->last) {
        s->is_heard = false;
        if (s->listens) { /* again: it ended for want of room, or was muted and is wanted now */
            rtp_hear(lg, s, true);
        }
    }
}

static void on_rtcp_readable(struct lg *lg, struct ev_src *src)
{
    struct rtp_stream *s =
        (struct rtp_stream *)(void *)((char *)src - offsetof(struct rtp_stream, rtcp_src));
    uint8_t p[512];
    ssize_t n = recv(s->rtcp_fd, p, sizeof(p), MSG_DONTWAIT);

    if (n >= 8 && p[0] >> 6 == 2 && p[1] >= 200 && p[1] <= 207) {
        lg->st.c[ST_RTCP_RECEIVED]++;
    } else if (n >= 0) {
        lg->st.c[ST_RTP_MALFORMED]++;
    }
}

/* One ring for all sockets. Where it is not allowed the figures are the same, for more CPU. */
static void rtp_open_ring(struct lg *lg)
{
    int err = lg->o.epoll ? 0 : ring_open(&lg->rtp.ring, lg->rtp.max);

    if (err != 0) {
        fprintf(stderr, "loadgen: io_uring: %s; each packet is a system call\n", strerror(err));
    }
    if (lg->rtp.ring != NULL) {
        ring_poll(lg->rtp.ring, lg->epfd);
    }
}

int rtp_init(struct lg *lg)
{
    struct rtp *r = &lg->rtp;
    struct rlimit lim = {0, 0};
    uint32_t per_stream = lg->o.rtcp ? 2 : 1;

    if (!lg->o.media) {
        return 0;
    }
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0) {
        return errno;
    }
    lim.rlim_cur = lim.rlim_max < RTP_FILES_MAX ? lim.rlim_max : RTP_FILES_MAX;
    if (setrlimit(RLIMIT_NOFILE, &lim) != 0) {
        return errno;
    }
    if (lim.rlim_cur <= RTP_FILES_SPARE) {
        return EMFILE;
    }
    r->max = ((uint32_t)lim.rlim_cur - RTP_FILES_SPARE) / per_stream;
    r->all = calloc(r->max, sizeof(struct rtp_stream *));
    r->pool[RTP_CALLER].next_port = (lg->o.rtp_first + 1) & ~1u;
    r->pool[RTP_CALLEE].next_port = r->pool[RTP_CALLER].next_port;
    r->tick_ns = lg->now_ns;
    r->slots = lg->o.even ? RTP_SLOTS_EVEN : RTP_SLOTS;
    r->slot_ns = RTP_FRAME_MS * 1000000 / r->slots;
    if (r->all == NULL) {
        return ENOMEM;
    }
    rtp_open_ring(lg);
    return 0;
}
