/* handshake.c - DTLS-SRTP on a side's sockets (RFC 5764): datagrams between the sockets and an
 * association, which runs on the crypto pool, and its keys into the side's transport. Who may speak
 * to an association is decided here (attacks.md 74): the address that ICE validated, or where media
 * of the side may come from. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define HANDSHAKE_EARLY_MAX 1500
#define HANDSHAKE_PIECES_MAX 4 /* of a ClientHello (RFC 6347 4.2.3) that came early */
/* An unproven source has so long for its handshake before one like it may try; less than the 1 s
 * after which a client repeats its ClientHello (RFC 6347 4.2.4.1). */
#define HANDSHAKE_TURN_MS 900

struct handshake { /* of one port */
    struct media_flow *flow;
    struct dtls *d; /* NULL: not begun */
    struct timer timer;
    struct addr peer;    /* AF_UNSPEC: not known */
    struct addr sdp;     /* what the description said when peer became known */
    struct addr refused; /* its certificate was wrong: not heard until there is a new description */
    int64_t since_ms;    /* d was made */
    bool is_proven;      /* d was made for whom the description names, or ICE has checked */
    bool is_started;     /* our ClientHello is out */
    bool is_told;        /* its end was dealt with */
    bool is_elsewhere;   /* the peer has moved since d was ready: it may begin anew */
};

struct early { /* a ClientHello that came before their description */
    struct media_flow *flow;
    struct addr src;
    unsigned n_pieces;
    size_t n[HANDSHAKE_PIECES_MAX];
    uint8_t p[HANDSHAKE_PIECES_MAX][HANDSHAKE_EARLY_MAX];
};

struct media_dtls {
    struct media_side *side;
    enum media_dtls_role role;
    size_t n_fingerprints;
    struct dtls_fingerprint fingerprints[DTLS_FINGERPRINTS_MAX];
    struct handshake port[2]; /* RTP, RTCP */
    struct early *early;
};

static struct media *handshake_media(const struct media_dtls *dtls)
{
    return dtls->side->stream->session->m;
}

static struct media_dtls *handshake_dtls(const struct handshake *h)
{
    return h->flow->side->sec->dtls;
}

static int64_t handshake_now(const struct media_dtls *dtls)
{
    return loop_now_ms(handshake_media(dtls)->p.loop);
}

/* --- the worker's hub --- */

static void on_hub_note(void *media)
{
    struct media *m = media;

    dtls_hub_collect(m->hub, loop_now_ms(m->p.loop));
}

static void hub_notify(void *media) /* on a thread of the pool */
{
    struct media *m = media;

    loop_notify(m->p.loop, &m->hub_note);
}

int media_handshake_init(struct media *m)
{
    m->hub_note = (struct loop_note){.fn = on_hub_note, .arg = m};
    if (m->p.dtls == NULL || m->p.crypto == NULL) {
        return 0;
    }
    return dtls_hub_new(&m->hub,
                        &(struct dtls_hub_params){
                            .ctx = m->p.dtls, .pool = m->p.crypto, .notify = hub_notify, .arg = m});
}

void media_handshake_deinit(struct media *m)
{
    dtls_hub_free(&m->hub);
}

void media_dtls_fingerprint(const struct media *m, struct sl *out)
{
    *out = m->hub != NULL ? dtls_ctx_fingerprint(m->p.dtls) : SL_NULL;
}

/* --- its end --- */

static bool handshake_key(const struct dtls_srtp_keys *k, const struct dtls_srtp_key *half,
                          struct srtp_key *out)
{
    static const struct {
        uint16_t profile;
        enum srtp_suite suite;
    } suites[] = {{DTLS_SRTP_AES128_CM_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_80},
                  {DTLS_SRTP_AES128_CM_SHA1_32, SRTP_AES_CM_128_HMAC_SHA1_32},
                  {DTLS_SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_128_GCM},
                  {DTLS_SRTP_AEAD_AES_256_GCM, SRTP_AEAD_AES_256_GCM}};

    *out = (struct srtp_key){.suite = SRTP_SUITE_NONE};
    for (size_t i = 0; i < COUNT_OF(suites); i++) {
        out->suite = suites[i].profile == k->profile ? suites[i].suite : out->suite;
    }
    memcpy(out->key, half->key, sizeof(half->key));
    memcpy(out->salt, half->salt, sizeof(half->salt));
    return out->suite != SRTP_SUITE_NONE;
}

static int handshake_install(struct handshake *h)
{
    struct media_side *s = h->flow->side;
    struct dtls_srtp_keys k;
    struct srtp_key tx, rx;
    int err = dtls_take_keys(h->d, &k);

    if (err != 0) {
        return err;
    }
    err = handshake_key(&k, &k.local, &tx) && handshake_key(&k, &k.remote, &rx)
              ? media_secure_install(s, &s->sec->keys[h->flow->is_rtcp], &tx, &rx)
              : ENOTSUP;
    crypto_wipe(&k, sizeof(k));
    crypto_wipe(&tx, sizeof(tx));
    crypto_wipe(&rx, sizeof(rx));
    return err;
}

static void handshake_done(struct handshake *h)
{
    h->is_told = true;
    if (handshake_install(h) == 0) {
        stat_inc(STAT_DTLS_OK);
    } else {
        stat_inc(STAT_DTLS_FAIL);
    }
}

static void handshake_drop(struct handshake *h)
{
    timer_stop(handshake_media(handshake_dtls(h))->p.loop, &h->timer);
    dtls_free(&h->d);
    h->is_started = h->is_told = h->is_elsewhere = false;
}

/* A neighbour of the peer, behind the same NAT or proxy, must not end its call: what fails with one
 * whom nothing proves to be the peer is forgotten (attacks.md 74). False: it was. */
static bool handshake_failed(struct handshake *h)
{
    bool is_mismatch = dtls_error(h->d) == EACCES; /* somebody else holds the other end */

    h->is_told = true;
    stat_inc(STAT_DTLS_FAIL);
    if (h->is_proven || dtls_is_active(h->d)) {
        if (is_mismatch) {
            media_silence_lost(h->flow->side);
        }
        return true;
    }
    if (is_mismatch) {
        h->refused = h->peer;
    }
    h->peer = (struct addr){0};
    handshake_drop(h);
    return false;
}

/* --- its way --- */

static void handshake_send(struct handshake *h, int64_t now_ms)
{
    struct sl out;

    while (dtls_next_out(h->d, &out)) {
        struct media_pkt pkt = {.p = (uint8_t *)(uintptr_t)out.p,
                                .n = out.n,
                                .now_ms = now_ms,
                                .class = MEDIA_CLASS_DTLS};

        if (addr_family(&h->peer) == AF_UNSPEC || h->flow->fd < 0 ||
            !media_io_send(h->flow, &pkt, &h->peer)) {
            (void)media_drop(h->flow->side, MEDIA_DROP_SEND, now_ms);
        }
    }
}

/* After anything that may have moved the association. */
static void handshake_pump(struct handshake *h)
{
    struct media_dtls *dtls = handshake_dtls(h);
    struct loop *loop = handshake_media(dtls)->p.loop;
    int64_t now_ms = loop_now_ms(loop), wait_ms;

    handshake_send(h, now_ms);
    if (!h->is_told && dtls_state(h->d) == DTLS_READY) {
        handshake_done(h);
    } else if (!h->is_told && dtls_state(h->d) == DTLS_FAILED && !handshake_failed(h)) {
        return;
    }
    wait_ms = dtls_timeout_ms(h->d, now_ms);
    if (wait_ms >= 0) {
        timer_start(loop, &h->timer, wait_ms);
    } else {
        timer_stop(loop, &h->timer);
    }
}

static void handshake_on_timer(void *arg)
{
    struct handshake *h = arg;

    dtls_on_timeout(h->d, handshake_now(handshake_dtls(h)));
    handshake_pump(h);
    if (h->d != NULL && dtls_state(h->d) == DTLS_FAILED && dtls_error(h->d) == ETIMEDOUT &&
        handshake_dtls(h)->role == MEDIA_DTLS_PASSIVE) {
        handshake_drop(h); /* who began and went away may begin again */
    }
}

static void handshake_on_change(struct dtls *d, void *arg)
{
    (void)d;
    handshake_pump(arg);
}

/* Is this the peer, and not only somebody near it? Before the description nobody knows. */
static bool handshake_is_proven(const struct handshake *h, const struct addr *src)
{
    const struct media_flow *f = h->flow;

    return f->side->has_remote && (f->by_checks || media_flow_rank(f, src) == LATCH_RANK_EXACT);
}

static int handshake_make(struct media_dtls *dtls, struct handshake *h, const struct addr *peer)
{
    int err = dtls_new(&h->d, handshake_media(dtls)->hub,
                       &(struct dtls_params){.active = dtls->role == MEDIA_DTLS_ACTIVE,
                                             .on_change = handshake_on_change,
                                             .arg = h});

    h->since_ms = handshake_now(dtls);
    h->is_proven = handshake_is_proven(h, peer);
    if (err == 0 && dtls->n_fingerprints != 0) {
        err = dtls_set_fingerprints(h->d, dtls->fingerprints, dtls->n_fingerprints);
    }
    return err;
}

static void handshake_set_peer(struct handshake *h, const struct addr *peer)
{
    h->peer = *peer;
    h->sdp = h->flow->sdp;
}

/* RTCP has a handshake of its own only while it has a port of its own. */
static bool handshake_has_port(const struct media_dtls *dtls, const struct handshake *h)
{
    const struct media_side *s = dtls->side;

    return h->flow->fd >= 0 &&
           (!h->flow->is_rtcp || (s->has_remote && !s->mux && s->bundle == NULL));
}

/* RFC 6347 4.1, 4.2.2: a handshake record whose first message is one. */
static bool handshake_is_hello(struct sl datagram)
{
    return datagram.n > 13 && (uint8_t)datagram.p[0] == 22 && (uint8_t)datagram.p[13] == 1;
}

/* Of one in several datagrams (RFC 6347 4.2.3), any but the first. */
static bool handshake_is_further_piece(struct sl datagram)
{
    return handshake_is_hello(datagram) && datagram.n > 21 &&
           memcmp(datagram.p + 19, "\0\0\0", 3) != 0;
}

/* Somebody else begins: that is no part of what the former one began. One certificate may serve
 * many ends, as behind a relay: at another place the same may be another end (RFC 5763 6.6). */
static bool handshake_begins_anew(const struct handshake *h, struct sl datagram,
                                  const struct addr *src)
{
    if (h->d == NULL || dtls_is_active(h->d) || !handshake_is_hello(datagram)) {
        return false;
    }
    if (dtls_state(h->d) == DTLS_READY) {
        return h->is_elsewhere;
    }
    return !h->flow->by_checks && addr_family(&h->peer) != AF_UNSPEC && !addr_eq(&h->peer, src);
}

static void handshake_feed(struct handshake *h, struct sl datagram, const struct addr *src)
{
    struct media_dtls *dtls = handshake_dtls(h);

    if (handshake_begins_anew(h, datagram, src)) {
        handshake_drop(h); /* its keys stay until there are others */
    }
    if (h->d == NULL && handshake_make(dtls, h, src) != 0) {
        return; /* out of memory: they will repeat it */
    }
    handshake_set_peer(h, src);
    dtls_feed(h->d, datagram, handshake_now(dtls));
    handshake_pump(h);
}

/* --- from the sockets --- */

/* Another address takes part in a handshake if the description speaks for it more than for the one
 * that does already; if it speaks for both alike, they take turns until one comes to an end. */
static bool handshake_is_better(const struct handshake *h, const struct media_pkt *pkt)
{
    uint8_t now, rank = media_flow_rank(h->flow, &pkt->src);

    if (addr_eq(&h->refused, &pkt->src)) {
        return false;
    }
    if (h->d == NULL || addr_family(&h->peer) == AF_UNSPEC || addr_eq(&h->peer, &pkt->src)) {
        return true;
    }
    now = media_flow_rank(h->flow, &h->peer);
    if (rank == now && dtls_state(h->d) == DTLS_HANDSHAKE && !dtls_is_active(h->d) &&
        handshake_is_hello(sl_make(pkt->p, pkt->n))) {
        return pkt->now_ms - h->since_ms >= HANDSHAKE_TURN_MS;
    }
    return rank != 0 && (now == 0 || rank < now);
}

static bool handshake_allows(struct media_flow *f, const struct media_pkt *pkt)
{
    struct media_side *s = f->side;
    uint8_t rank = 0;
    enum media_source who;

    if (s->ice != NULL && (f->by_checks || !s->has_remote)) {
        return media_checks_allow(f, &pkt->src);
    }
    who = media_flow_check(f, &pkt->src, pkt->now_ms, s->stream->session->m->p.learn_ms, &rank);
    /* Rank 4 is for what authenticates, and nothing has yet. */
    return (who == MEDIA_SOURCE_KNOWN || (who == MEDIA_SOURCE_NEW && rank <= 3)) &&
           handshake_is_better(&s->sec->dtls->port[f->is_rtcp], pkt);
}

static void handshake_keep(struct media_flow *f, const struct media_pkt *pkt)
{
    struct media_dtls *dtls = f->side->sec->dtls;

    struct early *e;

    if (pkt->n > HANDSHAKE_EARLY_MAX) {
        return;
    }
    if (dtls->early == NULL) {
        dtls->early = mem_zalloc(sizeof(*dtls->early));
    }
    e = dtls->early;
    if (e == NULL) {
        return;
    }
    if (!handshake_is_further_piece(sl_make(pkt->p, pkt->n))) {
        e->n_pieces = 0; /* the last one counts */
        e->flow = f;
        e->src = pkt->src;
    } else if (e->n_pieces == 0 || e->n_pieces == HANDSHAKE_PIECES_MAX || e->flow != f ||
               !addr_eq(&e->src, &pkt->src)) {
        return;
    }
    e->n[e->n_pieces] = pkt->n;
    memcpy(e->p[e->n_pieces++], pkt->p, pkt->n);
}

void media_handshake_packet(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *s = f->side;
    struct media_dtls *dtls = s->sec != NULL ? s->sec->dtls : NULL;

    if (dtls == NULL || !handshake_has_port(dtls, &dtls->port[f->is_rtcp])) {
        (void)media_drop(s, MEDIA_DROP_MALFORMED, pkt->now_ms);
    } else if (handshake_allows(f, pkt)) {
        handshake_feed(&dtls->port[f->is_rtcp], sl_make(pkt->p, pkt->n), &pkt->src);
    } else if (!s->has_remote) {
        handshake_keep(f, pkt);
    } else {
        (void)media_drop(s, MEDIA_DROP_STRANGER, pkt->now_ms);
    }
}

static void handshake_early(struct media_dtls *dtls)
{
    struct early *e = dtls->early;

    if (e == NULL || !dtls->side->has_remote) {
        return;
    }
    dtls->early = NULL;
    for (unsigned i = 0; i < e->n_pieces; i++) {
        struct handshake *h = &dtls->port[e->flow->is_rtcp];
        struct media_pkt pkt = {
            .p = e->p[i], .n = e->n[i], .src = e->src, .now_ms = handshake_now(dtls)};

        if (handshake_has_port(dtls, h) && handshake_allows(e->flow, &pkt)) {
            handshake_feed(h, sl_make(pkt.p, pkt.n), &e->src);
        }
    }
    mem_free(e);
}

/* The description names another place: what is under way goes on there, and what nobody has
 * answered yet begins anew, so that our ClientHello need not wait to be repeated. */
static void handshake_move(struct handshake *h, const struct addr *dest)
{
    struct dtls_counts c = {0};

    if (addr_eq(&h->sdp, &h->flow->sdp) || addr_eq(&h->peer, dest)) {
        return;
    }
    if (h->d != NULL) {
        dtls_counts(h->d, &c);
    }
    if (h->is_started && c.datagrams_in == 0) {
        handshake_drop(h);
    }
    handshake_set_peer(h, dest);
}

/* By checks, or by a description that names another place. */
static bool handshake_has_moved(const struct handshake *h, const struct addr *dest)
{
    bool is_said = h->flow->by_checks || !addr_eq(&h->sdp, &h->flow->sdp);

    return h->d != NULL && dtls_state(h->d) == DTLS_READY && is_said && !addr_eq(&h->peer, dest);
}

static void handshake_begin(struct media_dtls *dtls, struct handshake *h)
{
    const struct addr *dest = handshake_has_port(dtls, h) ? media_flow_dest(h->flow) : NULL;

    if (dest == NULL || addr_family(dest) != addr_family(&dtls->side->local)) {
        return;
    }
    h->is_elsewhere = h->is_elsewhere || handshake_has_moved(h, dest);
    if (h->flow->by_checks || addr_family(&h->peer) == AF_UNSPEC) {
        handshake_set_peer(h, dest);
    } else {
        handshake_move(h, dest);
    }
    if (dtls->role != MEDIA_DTLS_ACTIVE || h->is_started ||
        (h->d == NULL && handshake_make(dtls, h, dest) != 0)) {
        return;
    }
    handshake_set_peer(h, dest);
    h->is_started = true;
    dtls_start(h->d, handshake_now(dtls));
    handshake_pump(h);
}

void media_handshake_go(struct media_side *s)
{
    struct media_dtls *dtls = s->sec != NULL ? s->sec->dtls : NULL;

    if (dtls == NULL) {
        return;
    }
    handshake_early(dtls);
    handshake_begin(dtls, &dtls->port[0]);
    handshake_begin(dtls, &dtls->port[1]);
}

void media_handshake_settle(const struct media_flow *f)
{
    struct handshake *h = &f->side->sec->dtls->port[f->is_rtcp];

    if (h->d != NULL && !h->flow->held && h->is_told) {
        dtls_settle(h->d);
    }
}

/* --- what signalling says --- */

bool media_handshake_is_agreed(const struct media_secure *sec)
{
    return sec->dtls != NULL && sec->dtls->n_fingerprints != 0;
}

void media_handshake_free(struct media_secure *sec)
{
    if (sec->dtls == NULL) {
        return;
    }
    handshake_drop(&sec->dtls->port[0]);
    handshake_drop(&sec->dtls->port[1]);
    mem_free(sec->dtls->early);
    mem_free(sec->dtls);
    sec->dtls = NULL;
}

void media_handshake_move(struct media_secure *sec, struct media_side *to)
{
    struct media_dtls *dtls = sec->dtls;

    if (dtls == NULL) {
        return;
    }
    dtls->side = to;
    dtls->port[0].flow = &to->rtp;
    dtls->port[1].flow = &to->rtcp;
    if (dtls->early != NULL && dtls->early->flow != NULL) {
        dtls->early->flow = dtls->early->flow->is_rtcp ? &to->rtcp : &to->rtp;
    }
}

static int dtls_want(struct media_side *s, enum media_dtls_role role)
{
    struct media_dtls *dtls;

    if (media_secure_want(s) != 0) {
        return ENOMEM;
    }
    if (s->sec->dtls != NULL) {
        return 0;
    }
    dtls = mem_zalloc(sizeof(*dtls));
    if (dtls == NULL) {
        return ENOMEM;
    }
    dtls->side = s;
    dtls->role = role;
    dtls->port[0].flow = &s->rtp;
    dtls->port[1].flow = &s->rtcp;
    for (unsigned i = 0; i < 2; i++) {
        timer_init(&dtls->port[i].timer, handshake_on_timer, &dtls->port[i]);
    }
    s->sec->dtls = dtls;
    return 0;
}

static int dtls_parse(const struct media_dtls_params *p, struct dtls_fingerprint *out, size_t *n)
{
    *n = 0;
    if (p->n > MEDIA_FINGERPRINTS_MAX) {
        return EINVAL;
    }
    for (size_t i = 0; i < p->n; i++) {
        *n += dtls_fingerprint_parse(p->fingerprints[i], &out[*n]) == 0 ? 1 : 0;
    }
    return p->n != 0 && *n == 0 ? EBADMSG : 0;
}

static bool dtls_same_prints(const struct media_dtls *dtls, const struct dtls_fingerprint *fp,
                             size_t n)
{
    if (n != dtls->n_fingerprints) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (fp[i].n != dtls->fingerprints[i].n ||
            memcmp(fp[i].digest, dtls->fingerprints[i].digest, fp[i].n) != 0) {
            return false;
        }
    }
    return true;
}

/* Goes on with the association, or, when it is with somebody else, drops it for a new one. */
static void dtls_apply(struct media_dtls *dtls, struct handshake *h, bool is_renewed)
{
    int err;

    if (h->d == NULL) {
        return;
    }
    if (is_renewed) {
        handshake_drop(h);
        return;
    }
    err = dtls_set_fingerprints(h->d, dtls->fingerprints, dtls->n_fingerprints);
    if (err == EPROTO && (dtls_state(h->d) == DTLS_FAILED ||
                          !dtls_matches(h->d, dtls->fingerprints, dtls->n_fingerprints))) {
        handshake_drop(h);
        return;
    }
    handshake_pump(h);
}

/* Described again: what came to nothing is begun anew, but not with a stranger's certificate. */
static void dtls_retry(struct handshake *h)
{
    if (h->d != NULL && dtls_state(h->d) == DTLS_FAILED && dtls_error(h->d) != EACCES) {
        handshake_drop(h);
    }
}

int media_set_dtls(struct media_session *s, unsigned stream, unsigned side,
                   const struct media_dtls_params *p)
{
    struct media_side *sd = media_side_of(s, stream, side);
    struct dtls_fingerprint fp[DTLS_FINGERPRINTS_MAX];
    struct media_dtls *dtls;
    bool is_renewed;
    size_t n = 0;
    int err;

    if (sd == NULL || s->m->hub == NULL) {
        return sd == NULL ? ENOENT : ENOTSUP;
    }
    err = dtls_parse(p, fp, &n);
    if (err == 0) {
        err = dtls_want(sd, p->role);
    }
    if (err != 0) {
        return err;
    }
    dtls = sd->sec->dtls;
    dtls->port[0].refused = dtls->port[1].refused = (struct addr){0};
    is_renewed = dtls->role != p->role;
    if (n != 0 && (is_renewed || !dtls_same_prints(dtls, fp, n))) {
        memcpy(dtls->fingerprints, fp, n * sizeof(*fp));
        dtls->n_fingerprints = n;
        dtls->role = p->role;
        dtls_apply(dtls, &dtls->port[0], is_renewed);
        dtls_apply(dtls, &dtls->port[1], is_renewed);
    } else if (is_renewed) {
        dtls->role = p->role;
        dtls_apply(dtls, &dtls->port[0], true);
        dtls_apply(dtls, &dtls->port[1], true);
    } else {
        dtls_retry(&dtls->port[0]);
        dtls_retry(&dtls->port[1]);
    }
    media_handshake_go(sd);
    return 0;
}

enum media_dtls_state media_handshake_state(const struct media_side *s)
{
    const struct media_dtls *dtls = s->sec != NULL ? s->sec->dtls : NULL;
    const struct dtls *d = dtls != NULL ? dtls->port[0].d : NULL;
    struct dtls_counts c;

    if (dtls == NULL) {
        return MEDIA_DTLS_NONE;
    }
    if (d == NULL || dtls_state(d) == DTLS_UNVERIFIED) {
        return MEDIA_DTLS_WAITING;
    }
    if (dtls_state(d) == DTLS_HANDSHAKE) {
        dtls_counts(d, &c);
        return c.datagrams_in + c.datagrams_out != 0 ? MEDIA_DTLS_HANDSHAKE : MEDIA_DTLS_WAITING;
    }
    return dtls_state(d) == DTLS_READY && s->sec->keys[0].rx != NULL ? MEDIA_DTLS_DONE
                                                                     : MEDIA_DTLS_FAILED;
}
