/* socket.c - opens and closes pairs of sockets, and lends them to the sides of a session. */
#include "media/media_int.h"

#include <netinet/ip.h>
#include <unistd.h>

#define MEDIA_DSCP_EF (46 << 2) /* RFC 4594 4.1: telephony is Expedited Forwarding */

static void socket_options(const struct media *m, int fd, int family)
{
    int rcvbuf = (int)m->p.rcvbuf, tos = MEDIA_DSCP_EF;

    /* A kernel that refuses one of these still carries the call. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    } else {
        (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    }
}

/* EADDRINUSE: this port is not to be had, another one may be. */
static int socket_errno(int err)
{
    switch (err) {
    case EADDRINUSE:
    case EACCES:
    case EPERM:
        return EADDRINUSE;
    case EMFILE:
    case ENFILE:
        return EMFILE;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return ENOENT;
    default:
        return ENOMEM;
    }
}

static int socket_bind(const struct media *m, const struct addr *local, int *fdp)
{
    int family = m->p.dry ? AF_UNIX : addr_family(local), on = 1; /* whose port is nobody's */
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return socket_errno(errno);
    }
    if (m->p.dry) {
        *fdp = fd;
        return 0;
    }
    /* Each family has its own ports: "::" must not take those of IPv4. */
    if ((family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, &local->u.sa, addr_len(local)) != 0) {
        int err = socket_errno(errno);

        (void)close(fd);
        return err;
    }
    socket_options(m, fd, family);
    *fdp = fd;
    return 0;
}

/* --- pairs --- */

static int sock_open(struct media_pair *p, struct media_sock *s, const struct addr *ip)
{
    struct media *m = p->realm->m;
    struct addr local = *ip;
    int err;

    addr_set_port(&local, (uint16_t)(p->port + s->is_rtcp));
    err = socket_bind(m, &local, &s->fd);
    if (err != 0) {
        return err;
    }
    err = m->p.dry ? 0 : media_io_watch(m, s);
    if (err != 0 && err != ENOTSUP) { /* a virtual loop watches nothing, its test does */
        (void)close(s->fd);
        s->fd = -1;
        return err == EMFILE ? EMFILE : ENOMEM;
    }
    return 0;
}

static void sock_close(struct media *m, struct media_sock *s)
{
    if (s->fd >= 0) {
        if (!m->p.dry) {
            media_io_unwatch(m, s);
        }
        (void)close(s->fd);
        s->fd = -1;
    }
}

int media_pair_open(struct media_pair **pp, struct media_realm *r, const struct addr *ip)
{
    struct media_pair *p = pool_get(&r->m->pairs);
    int err;

    if (p == NULL) {
        return ENOMEM;
    }
    list_init(&p->node);
    p->realm = r;
    p->family = (uint16_t)addr_family(ip);
    p->rtp.fd = p->rtcp.fd = -1;
    p->rtcp.is_rtcp = true;
    p->rtp.dscp = p->rtcp.dscp = MEDIA_DSCP_DEFAULT;
    err = media_pair_take(r, &p->port);
    if (err == 0) {
        err = sock_open(p, &p->rtp, ip);
    }
    if (err != 0) {
        media_pair_close(p);
        return err;
    }
    *pp = p;
    return 0;
}

int media_pair_open_rtcp(struct media_pair *p, const struct addr *ip)
{
    return sock_open(p, &p->rtcp, ip);
}

void media_pair_close(struct media_pair *p)
{
    struct media_realm *r = p->realm;

    sock_close(r->m, &p->rtp);
    sock_close(r->m, &p->rtcp);
    media_pair_give(r, p->port); /* port 0: none was taken */
    pool_put(&r->m->pairs, p);
}

/* --- a side and its pair --- */

static void side_lend(struct media_flow *f, struct media_sock *s)
{
    if (s->fd >= 0) {
        s->flow = f;
        f->fd = s->fd;
        f->side->realm->m->n_sockets++;
    }
}

static void side_return(struct media_flow *f, struct media_sock *s)
{
    if (s->fd >= 0) {
        s->flow = NULL;
        f->fd = -1;
        f->side->realm->m->n_sockets--;
    }
    media_flow_forget(f);
}

int media_side_bind_rtcp(struct media_side *s)
{
    int err;

    if (s->rtcp.fd >= 0) {
        return 0;
    }
    err = media_pair_open_rtcp(s->pair, &s->local);
    if (err == 0) {
        side_lend(&s->rtcp, &s->pair->rtcp);
    }
    return err;
}

static struct media_pair *side_detach(struct media_side *s)
{
    struct media_pair *p = s->pair;

    side_return(&s->rtp, &p->rtp);
    side_return(&s->rtcp, &p->rtcp);
    s->realm = NULL;
    s->pair = NULL;
    s->local = (struct addr){0};
    return p;
}

void media_side_unbind(struct media_side *s)
{
    struct addr local = s->local;

    if (s->realm != NULL) {
        media_idle_put(side_detach(s), &local);
    }
}

/* Owns the pair from here on. EADDRINUSE: try another. */
static int side_attach(struct media_side *s, struct media_pair *p, const struct addr *ip)
{
    int err = 0;

    s->realm = p->realm;
    s->pair = p;
    s->local = *ip;
    addr_set_port(&s->local, p->port);
    side_lend(&s->rtp, &p->rtp);
    side_lend(&s->rtcp, &p->rtcp);
    if (s->stream->kind == MEDIA_RTP) {
        err = media_side_bind_rtcp(s);
    }
    if (err != 0) {
        media_pair_close(side_detach(s));
    }
    return err;
}

/* EADDRINUSE: none at rest (for long enough, unless any will do). */
static int side_bind_idle(struct media_side *s, struct media_realm *r, const struct addr *ip,
                          bool any)
{
    struct media_pair *p = media_idle_take(r, addr_family(ip), any);

    return p != NULL ? side_attach(s, p, ip) : EADDRINUSE;
}

/* EADDRINUSE: no port of the range is to be had. */
static int side_bind_new(struct media_side *s, struct media_realm *r, const struct addr *ip)
{
    uint32_t tries = r->n_free < MEDIA_BIND_TRIES ? r->n_free : MEDIA_BIND_TRIES;
    int err = EADDRINUSE;

    for (uint32_t i = 0; i < tries && err == EADDRINUSE; i++) {
        struct media_pair *p = NULL;

        err = media_pair_open(&p, r, ip);
        if (err == 0) {
            err = side_attach(s, p, ip);
        }
    }
    return err;
}

/* The range or the descriptors are used up: what rests, here or elsewhere, makes room. */
static int side_bind_last(struct media_side *s, struct media_realm *r, const struct addr *ip,
                          int err)
{
    if (side_bind_idle(s, r, ip, true) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < MEDIA_BIND_TRIES && (err == EADDRINUSE || err == EMFILE) &&
                         media_idle_evict(r->m, err == EMFILE ? NULL : r);
         i++) {
        err = side_bind_new(s, r, ip);
    }
    return err;
}

int media_side_bind(struct media_side *s, struct media_realm *r, int family)
{
    const struct addr *ip = media_realm_ip(r, family);
    int err;

    if (ip == NULL) {
        return ENOENT;
    }
    err = side_bind_idle(s, r, ip, false);
    if (err == EADDRINUSE) {
        err = side_bind_new(s, r, ip);
    }
    if (err == EADDRINUSE || err == EMFILE) {
        err = side_bind_last(s, r, ip, err);
    }
    if (err == EADDRINUSE) {
        stat_inc(STAT_PORTS_FULL);
        return ENOBUFS;
    }
    return err;
}
