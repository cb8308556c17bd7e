/* media.c - the worker's media: its realms, and the sessions with their streams. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#include <netinet/ip.h>

#define MEDIA_LEARN_MS 3000
#define MEDIA_RCVBUF 65536
#define MEDIA_QUARANTINE_MS 2000 /* longer than the pauses of a sender that suppresses silence */
#define MEDIA_IDLE_MAX 1024
#define MEDIA_POOLED 1024 /* sessions, streams and pairs whose memory is kept */

int media_new(struct media **mp, const struct media_params *p)
{
    struct media *m;
    int err;

    if (p->n_workers == 0 || p->worker >= p->n_workers) {
        return EINVAL;
    }
    m = mem_zalloc(sizeof(*m));
    if (m == NULL) {
        return ENOMEM;
    }
    m->p = *p;
    crypto_random(m->name_key, sizeof(m->name_key));
    m->p.learn_ms = p->learn_ms != 0 ? p->learn_ms : MEDIA_LEARN_MS;
    m->p.rcvbuf = p->rcvbuf != 0 ? p->rcvbuf : MEDIA_RCVBUF;
    media_set_quarantine(m, p->quarantine_ms);
    m->p.idle_max = p->idle_max != 0 ? p->idle_max : MEDIA_IDLE_MAX;
    m->p.idle_max = m->p.idle_max > p->ready ? m->p.idle_max : p->ready;
    pool_init(&m->sessions, sizeof(struct media_session), MEDIA_POOLED);
    pool_init(&m->streams, sizeof(struct media_stream), MEDIA_POOLED);
    pool_init(&m->pairs, sizeof(struct media_pair), MEDIA_POOLED);
    media_idle_init(m);
    media_ready_init(m);
    list_init(&m->room);
    timer_init(&m->room_timer, media_secure_on_room, m);
    err = media_handshake_init(m) == 0 ? media_io_open(m) : ENOMEM;
    if (err != 0) {
        media_free(&m);
        return err;
    }
    *mp = m;
    return 0;
}

void media_free(struct media **mp)
{
    struct media *m = *mp;

    *mp = NULL;
    if (m == NULL) {
        return;
    }
    media_io_close(m);
    for (unsigned i = 0; i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL) {
            media_idle_flush(m->realms[i]);
            mem_free(m->realms[i]->ring);
            mem_free(m->realms[i]);
        }
    }
    timer_stop(m->p.loop, &m->idle_timer);
    timer_stop(m->p.loop, &m->ready_timer);
    timer_stop(m->p.loop, &m->room_timer);
    media_handshake_deinit(m);
    pool_drain(&m->sessions);
    pool_drain(&m->streams);
    pool_drain(&m->pairs);
    mem_free(m);
}

static struct media_realm *media_realm_new(struct media *m)
{
    struct media_realm *r = mem_zalloc(sizeof(*r));

    if (r != NULL) {
        r->m = m;
        list_init(&r->idle[0]);
        list_init(&r->idle[1]);
    }
    return r;
}

static bool media_params_same(const struct media_realm_params *a,
                              const struct media_realm_params *b)
{
    return a->port_min == b->port_min && a->port_max == b->port_max &&
           addr_eq(&a->address, &b->address) && addr_eq(&a->address6, &b->address6);
}

int media_set_realm(struct media *m, const struct media_realm_params *p)
{
    struct media_realm *r = m->realms[p->listener];
    bool moves;
    int err;

    if (r == NULL) {
        r = media_realm_new(m);
        if (r == NULL) {
            return ENOMEM;
        }
    }
    moves = !media_params_same(&r->p, p);
    err = media_realm_set(r, p, m->p.worker, m->p.n_workers);
    if (err != 0 && m->realms[p->listener] == NULL) {
        mem_free(r);
        return err;
    }
    m->realms[p->listener] = r;
    if (err == 0 && moves) {
        media_idle_flush(r);
        media_ready_check(r, true);
    }
    return err;
}

void media_set_inactivity(struct media *m, uint32_t ms)
{
    m->p.inactivity_ms = ms;
}

void media_set_quarantine(struct media *m, uint32_t ms)
{
    m->p.quarantine_ms = ms != 0 ? ms : MEDIA_QUARANTINE_MS;
}

int media_drop_realm(struct media *m, uint8_t listener)
{
    struct media_realm *r = m->realms[listener];

    if (r == NULL) {
        return 0;
    }
    if (r->n_used != r->n_idle) {
        return EBUSY;
    }
    media_idle_flush(r);
    m->realms[listener] = NULL;
    mem_free(r->ring);
    mem_free(r);
    return 0;
}

void media_set(struct media *m, const struct media_settings *s)
{
    bool is_other = m->p.io != s->io || m->p.gather_us != s->gather_us;

    if (m->p.dry) {
        return;
    }
    m->p.learn_ms = s->learn_ms != 0 ? s->learn_ms : MEDIA_LEARN_MS;
    m->p.ready = s->ready;
    m->p.idle_max = MEDIA_IDLE_MAX > s->ready ? MEDIA_IDLE_MAX : s->ready;
    m->p.gather_us = s->gather_us;
    if (is_other) {
        media_io_change(m, s->io);
    }
    for (unsigned i = 0; i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL) {
            media_ready_check(m->realms[i], true);
        }
    }
}

void media_set_crypto(struct media *m, struct crypto_pool *pool)
{
    m->p.crypto = pool;
    if (m->hub != NULL) {
        dtls_hub_set_pool(m->hub, pool);
    }
}

void media_counts(const struct media *m, struct media_counts *out)
{
    *out = (struct media_counts){
        .sessions = m->n_sessions, .sockets = m->n_sockets, .idle_sockets = m->n_idle};
    for (unsigned i = 0; i < MEDIA_LISTENERS; i++) {
        if (m->realms[i] != NULL) {
            out->ports_used += 2 * (m->realms[i]->n_used - m->realms[i]->n_idle);
            out->ports_total += 2 * m->realms[i]->cap;
        }
    }
}

uint32_t media_ports_in_use(const struct media *m, uint8_t listener, uint32_t *total)
{
    const struct media_realm *r = m->realms[listener];

    *total = r != NULL ? 2 * r->cap : 0;
    return r != NULL ? 2 * (r->n_used - r->n_idle) : 0;
}

/* --- sessions --- */

int media_session_new(struct media_session **sp, struct media *m, media_silence_fn *on_silence,
                      void *arg)
{
    struct media_session *s = pool_get(&m->sessions);

    if (s == NULL) {
        return ENOMEM;
    }
    s->m = m;
    s->on_silence = on_silence;
    s->arg = arg;
    s->serial = ++m->last_serial;
    s->inactivity_ms = m->p.inactivity_ms;
    timer_init(&s->silence, media_silence_on_timer, s);
    m->n_sessions++;
    *sp = s;
    return 0;
}

void media_session_close(struct media_session **sp)
{
    struct media_session *s = *sp;

    *sp = NULL;
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < MEDIA_STREAMS_MAX; i++) {
        media_close(s, i);
    }
    timer_stop(s->m->p.loop, &s->silence);
    s->m->n_sessions--;
    pool_put(&s->m->sessions, s);
}

/* --- streams --- */

static void media_side_init(struct media_side *side, struct media_stream *st)
{
    side->stream = st;
    side->rtp.side = side->rtcp.side = side;
    side->rtp.fd = side->rtcp.fd = -1;
    side->rtcp.is_rtcp = true;
    side->via = side;
    side->dscp = MEDIA_DSCP_DEFAULT;
    media_side_rewire(side);
}

int media_stream_want(struct media_session *s, unsigned index)
{
    struct media_stream *st;

    if (index >= MEDIA_STREAMS_MAX) {
        return EINVAL;
    }
    if (s->streams[index] != NULL) {
        return 0;
    }
    st = pool_get(&s->m->streams);
    if (st == NULL) {
        return ENOMEM;
    }
    st->session = s;
    st->index = (uint8_t)index;
    media_side_init(&st->side[0], st);
    media_side_init(&st->side[1], st);
    s->streams[index] = st;
    return 0;
}

/* --- DSCP --- */

static int media_mark(struct media_sock *s, int family, uint8_t dscp)
{
    int tos = dscp << 2;
    int err = 0;

    if (s->fd < 0 || s->dscp == dscp) {
        return 0;
    }
    if (family == AF_INET6) {
        err = setsockopt(s->fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    } else {
        err = setsockopt(s->fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    }
    if (err != 0) {
        return errno;
    }
    s->dscp = dscp;
    return 0;
}

/* Sockets come from a pool, marked as their last call wanted it. */
static int media_side_mark(struct media_side *s)
{
    int family = addr_family(&s->local);
    int err;

    if (s->pair == NULL || s->stream->session->m->p.dry) {
        return 0;
    }
    err = media_mark(&s->pair->rtp, family, s->dscp);
    return err == 0 ? media_mark(&s->pair->rtcp, family, s->dscp) : err;
}

int media_set_dscp(struct media_session *s, unsigned stream, unsigned side, uint8_t dscp)
{
    struct media_side *sd = media_side_of(s, stream, side);
    uint8_t was;
    int err;

    if (sd == NULL || dscp > 63) {
        return sd == NULL ? ENOENT : EINVAL;
    }
    sd = sd->via;
    was = sd->dscp;
    sd->dscp = dscp;
    err = media_side_mark(sd);
    if (err != 0) {
        sd->dscp = was;
        (void)media_side_mark(sd);
    }
    return err;
}

/* --- open and close --- */

/* The same ports go on with another kind: a refused change to fax leaves the call as it was. */
static int media_reopen(struct media_side *side)
{
    int err = side->stream->kind == MEDIA_RTP ? media_side_bind_rtcp(side) : 0;

    if (err == EMFILE && media_idle_evict(side->realm->m, NULL)) {
        err = media_side_bind_rtcp(side);
    }
    return err == EADDRINUSE ? ENOBUFS : err;
}

int media_open(struct media_session *s, unsigned stream, unsigned side, enum media_kind kind,
               uint8_t listener, int family)
{
    struct media_realm *r = s->m->realms[listener];
    struct media_side *sd;
    int err;

    if (side > 1) {
        return EINVAL;
    }
    err = media_stream_want(s, stream);
    if (err != 0) {
        return err;
    }
    sd = &s->streams[stream]->side[side];
    sd->stream->kind = kind;
    media_side_rewire(sd);
    media_side_rewire(media_side_other(sd));
    if (sd->realm != NULL && sd->realm == r && addr_family(&sd->local) == family) {
        err = media_reopen(sd);
    } else {
        if (sd->via != sd) {
            media_bundle_leave(sd);
        }
        media_side_unbind(sd);
        err = r != NULL ? media_side_bind(sd, r, family) : ENOENT;
    }
    if (err == 0) {
        (void)media_side_mark(sd); /* a call without its DSCP is better than none */
    }
    media_silence_arm(s);
    return err;
}

static void media_side_end(struct media_side *s)
{
    struct media_session *session = s->stream->session;

    media_stats_observe(s);
    media_bundle_hand_over(s);
    media_bundle_leave(s);
    media_side_unbind(s);
    media_secure_free(s);
    media_park_empty(s);
    media_checks_free(s);
    media_tone_free(s);
    media_formats_free(s);
    mem_free(s->remap);
    s->remap = NULL;
    if (session->lost == s) {
        session->lost = NULL;
    }
    stat_add(STAT_RTP_LOST, media_track_lost(&s->track));
}

void media_close(struct media_session *s, unsigned stream)
{
    struct media_stream *st = stream < MEDIA_STREAMS_MAX ? s->streams[stream] : NULL;

    if (st == NULL) {
        return;
    }
    media_side_end(&st->side[0]);
    media_side_end(&st->side[1]);
    s->streams[stream] = NULL;
    pool_put(&s->m->streams, st);
    media_silence_arm(s);
}

bool media_is_open(const struct media_session *s, unsigned stream, unsigned side)
{
    const struct media_side *sd = media_side_of(s, stream, side);

    return sd != NULL && media_side_is_open(sd);
}

void media_local(const struct media_session *s, unsigned stream, unsigned side, struct addr *rtp)
{
    const struct media_side *sd = media_side_of(s, stream, side);

    *rtp = sd != NULL ? sd->via->local : (struct addr){0};
}

/* --- what the other end says --- */

/* A description that names our own port would send packets in circles. */
static bool media_is_own(const struct media_session *s, const struct addr *a)
{
    struct addr even = *a;

    addr_set_port(&even, addr_port(a) & 0xfffe);
    for (unsigned i = 0; i < 2 * MEDIA_STREAMS_MAX; i++) {
        const struct media_side *sd = media_side_of(s, i / 2, i % 2);

        if (sd != NULL && sd->realm != NULL && addr_eq(&even, &sd->local)) {
            return true;
        }
    }
    return false;
}

static struct addr media_clean(const struct media_session *s, const struct addr *a)
{
    static const struct addr none;

    return media_is_own(s, a) ? none : *a;
}

static void media_flow_reset(struct media_flow *f)
{
    media_flow_forget(f);
    f->sdp = (struct addr){0};
    f->heard_ms = 0;
}

void media_side_reset(struct media_session *s, unsigned stream, unsigned side)
{
    struct media_side *sd = media_side_of(s, stream, side);

    if (sd == NULL) {
        return;
    }
    media_bundle_leave(sd);
    media_park(sd);
    media_secure_free(sd);
    media_checks_reset(sd);
    media_flow_reset(&sd->rtp);
    media_flow_reset(&sd->rtcp);
    sd->signalling = (struct addr){0};
    sd->mux = sd->may_send = sd->may_receive = sd->avpf = false;
    sd->wait_for_source = sd->has_remote = false;
    if (s->lost == sd) {
        s->lost = NULL;
    }
    media_silence_arm(s);
}

void media_set_remote(struct media_session *s, unsigned stream, unsigned side,
                      const struct media_remote *r)
{
    struct media_side *sd = media_side_of(s, stream, side);
    int64_t now_ms = loop_now_ms(s->m->p.loop);
    struct addr rtp, rtcp;

    if (sd == NULL) {
        return;
    }
    rtp = media_clean(s, &r->rtp);
    rtcp = media_clean(s, &r->rtcp);
    if (addr_family(&rtcp) == AF_UNSPEC && addr_port(&rtp) < UINT16_MAX) {
        rtcp = rtp; /* RFC 3550 11 */
        addr_set_port(&rtcp, (uint16_t)(addr_port(&rtp) + 1));
    }
    media_flow_expect(&sd->rtp, &rtp, now_ms);
    media_flow_expect(&sd->rtcp, &rtcp, now_ms);
    if (!sd->has_remote || (r->may_send && !sd->may_send)) {
        sd->expect_ms = now_ms;
    }
    sd->signalling = r->signalling;
    sd->mux = r->mux;
    sd->may_send = r->may_send;
    sd->may_receive = r->may_receive;
    sd->wait_for_source = r->wait_for_source;
    sd->avpf = r->avpf;
    sd->has_remote = true;
    media_handshake_go(sd);
    media_silence_arm(s);
}
