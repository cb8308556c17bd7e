/* idle.c - pairs at rest between two calls. They stay bound and watched, so that a call in steady
 * state asks the kernel for nothing. What comes for them is thrown away, and nobody gets a pair
 * before it was quiet for the quarantine: a sender that missed the end of its call must not speak
 * into the next one. Each list is in the order of rest_ms. */
#include "media/media_int.h"

#include <sys/resource.h>

/* The least quarantine. Hundreds of calls a second would need thousands of sockets to let each rest
 * for longer, and the source filter keeps a late sender out of the next call as well. */
#define IDLE_REST_MS 250
#define IDLE_FLOOR 64      /* pairs of a realm that are kept however quiet the day */
#define IDLE_AGE_MS 60000  /* after which the others are closed */
#define IDLE_CHECK_MS 1000 /* how often we look for those */
#define IDLE_TRIM_MS 10    /* between two lots of them, */
#define IDLE_TRIM_LOT 8    /* so that closing many delays no packet */
#define IDLE_FD_SHARE 2    /* one in so many of the descriptors that the process may have */
#define IDLE_READ_MAX 8    /* packets of one wake-up */
#define IDLE_DRAIN_MAX 256 /* more than a receive buffer holds */
#define IDLE_JUNK_MAX 256  /* 5 s of telephone audio; then a closed port costs us less */

static struct media_pair *idle_pair(struct list *node)
{
    return node != NULL ? CONTAINER_OF(node, struct media_pair, node) : NULL;
}

static struct list *idle_list(struct media_realm *r, int family)
{
    return &r->idle[family == AF_INET6];
}

static uint32_t idle_fds(const struct media_pair *p)
{
    return (uint32_t)(p->rtp.fd >= 0) + (uint32_t)(p->rtcp.fd >= 0);
}

static bool idle_has_rested(const struct media_pair *p, int64_t ms)
{
    return loop_now_ms(p->realm->m->p.loop) - p->rest_ms >= ms;
}

static int64_t idle_quarantine_ms(const struct media_realm *r)
{
    const struct media *m = r->m;
    bool is_crowded = r->n_idle > m->p.idle_max || m->n_idle + 2 > m->idle_fds;

    return is_crowded && m->p.quarantine_ms > IDLE_REST_MS ? IDLE_REST_MS : m->p.quarantine_ms;
}

static void idle_remove(struct media_pair *p)
{
    list_del(&p->node);
    p->realm->n_idle--;
    p->realm->m->n_idle -= idle_fds(p);
}

static void idle_close(struct media_pair *p)
{
    idle_remove(p);
    media_pair_close(p);
}

/* --- packets that nobody waits for --- */

static struct media_pair *idle_pair_of(struct media_sock *s)
{
    return s->is_rtcp ? CONTAINER_OF(s, struct media_pair, rtcp)
                      : CONTAINER_OF(s, struct media_pair, rtp);
}

static unsigned idle_read(struct media *m, int fd, unsigned max)
{
    unsigned n = 0;

    while (n < max && recv(fd, m->pkt, sizeof(m->pkt), 0) >= 0) {
        n++;
    }
    stat_add(STAT_RTP_RX, n);
    stat_add(STAT_RTP_STRANGER, n);
    return n;
}

static void idle_disturb(struct media_pair *p, unsigned n)
{
    p->junk += (uint16_t)n;
    if (p->junk > IDLE_JUNK_MAX) {
        idle_close(p);
        return;
    }
    p->rest_ms = loop_now_ms(p->realm->m->p.loop);
    list_del(&p->node);
    list_push_back(idle_list(p->realm, p->family), &p->node);
}

void media_idle_on_readable(struct media_sock *s)
{
    struct media_pair *p = idle_pair_of(s);
    unsigned n = idle_read(p->realm->m, s->fd, IDLE_READ_MAX);

    idle_disturb(p, n != 0 ? n : 1); /* a bad checksum wakes us and leaves nothing to read */
}

void media_idle_on_packet(struct media_sock *s)
{
    stat_inc(STAT_RTP_RX);
    stat_inc(STAT_RTP_STRANGER);
    idle_disturb(idle_pair_of(s), 1);
}

/* --- in and out --- */

static uint32_t idle_floor(const struct media *m)
{
    uint32_t floor = m->p.ready > IDLE_FLOOR ? m->p.ready : IDLE_FLOOR;

    return m->p.idle_max < floor ? m->p.idle_max : floor;
}

static bool idle_is_welcome(const struct media_pair *p, const struct addr *local)
{
    const struct media_realm *r = p->realm;
    const struct addr *ip = media_realm_ip(r, p->family);

    return ip != NULL && addr_eq_ip(ip, local) && media_pair_is_ours(r, p->port) &&
           r->m->n_idle + idle_fds(p) <= r->m->idle_fds;
}

void media_idle_put(struct media_pair *p, const struct addr *local)
{
    struct media_realm *r = p->realm;
    struct media *m = r->m;

    if (!idle_is_welcome(p, local)) {
        media_pair_close(p);
        return;
    }
    p->rest_ms = loop_now_ms(m->p.loop);
    p->junk = 0;
    list_push_back(idle_list(r, p->family), &p->node);
    r->n_idle++;
    m->n_idle += idle_fds(p);
    if (r->n_idle > idle_floor(m) && !timer_is_armed(&m->idle_timer)) {
        timer_start(m->p.loop, &m->idle_timer, IDLE_CHECK_MS);
    }
}

void media_idle_add(struct media_pair *p)
{
    struct media_realm *r = p->realm;

    p->rest_ms = 0; /* longer than all */
    list_push_front(idle_list(r, p->family), &p->node);
    r->n_idle++;
    r->m->n_idle += idle_fds(p);
}

struct media_pair *media_idle_take(struct media_realm *r, int family, bool any)
{
    struct media_pair *p = idle_pair(list_first(idle_list(r, family)));
    bool has_rested = p != NULL && idle_has_rested(p, idle_quarantine_ms(r));

    if (any && !has_rested) {
        media_io_drain(r->m); /* another one may be the first now */
        p = idle_pair(list_first(idle_list(r, family)));
    }
    if (p == NULL || (!has_rested && !any)) {
        return NULL;
    }
    idle_remove(p);
    media_ready_check(r, false);
    /* What came to a watched pair has woken us before its rest was over. */
    if (!has_rested || !media_io_is_watched(&p->rtp)) {
        (void)idle_read(r->m, p->rtp.fd, IDLE_DRAIN_MAX);
        if (p->rtcp.fd >= 0) {
            (void)idle_read(r->m, p->rtcp.fd, IDLE_DRAIN_MAX);
        }
    }
    return p;
}

/* --- too many --- */

static struct media_pair *idle_older(struct media_pair *a, struct media_pair *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    return a->rest_ms <= b->rest_ms ? a : b;
}

static struct media_pair *idle_oldest(const struct media_realm *r)
{
    return idle_older(idle_pair(list_first(&r->idle[0])), idle_pair(list_first(&r->idle[1])));
}

bool media_idle_evict(struct media *m, struct media_realm *r)
{
    struct media_pair *p = r != NULL ? idle_oldest(r) : NULL;

    for (unsigned i = 0; r == NULL && i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL) {
            p = idle_older(p, idle_oldest(m->realms[i]));
        }
    }
    if (p != NULL) {
        idle_close(p);
    }
    return p != NULL;
}

void media_idle_flush(struct media_realm *r)
{
    while (media_idle_evict(r->m, r)) {
    }
}

/* A pair in quarantine is no surplus: without it the next call would open another one. */
static struct media_pair *idle_surplus(const struct media_realm *r)
{
    const struct media *m = r->m;
    struct media_pair *p = idle_oldest(r);

    if (r->n_idle <= idle_floor(m)) {
        return NULL;
    }
    return idle_has_rested(p, r->n_idle > m->p.idle_max ? m->p.quarantine_ms : IDLE_AGE_MS) ? p
                                                                                            : NULL;
}

/* True: some are left that may become a surplus. */
static bool idle_trim(struct media_realm *r, unsigned *left)
{
    struct media_pair *p = idle_surplus(r);

    for (; p != NULL && *left != 0; p = idle_surplus(r), --*left) {
        idle_close(p);
    }
    return r->n_idle > idle_floor(r->m);
}

static void on_idle_timer(void *media)
{
    struct media *m = media;
    unsigned left = IDLE_TRIM_LOT;
    bool again = false;

    for (unsigned i = 0; i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL && idle_trim(m->realms[i], &left)) {
            again = true;
        }
    }
    if (again) {
        timer_start(m->p.loop, &m->idle_timer, left == 0 ? IDLE_TRIM_MS : IDLE_CHECK_MS);
    }
}

void media_idle_init(struct media *m)
{
    struct rlimit lim = {.rlim_cur = 0};

    timer_init(&m->idle_timer, on_idle_timer, m);
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        rlim_t share = lim.rlim_cur / IDLE_FD_SHARE / m->p.n_workers;

        m->idle_fds = share < UINT32_MAX ? (uint32_t)share : UINT32_MAX;
    }
}
