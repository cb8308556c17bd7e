/* secure.c - the keys of a side's transport, and what they do to its packets. A packet that does
 * not authenticate is dropped and counted; however many come, they end no call. */
#include "media/secure_int.h"
#include "media/stage_int.h"

/* Hold music and transfers bring a new one each time, up to SRTP_SSRCS_MAX; most calls keep to two.
 * The table grows behind the packets: each step before it is needed. */
#define SECURE_RX_SSRCS 4
#define SECURE_RX_STEP 4  /* times as many */
#define SECURE_TX_SSRCS 8 /* one more goes on under the name of the last */
#define SECURE_OLD_KEY_MS 2000

/* Of a secure side. */
static struct media_keys *media_secure_keys(const struct media_flow *f)
{
    struct media_secure *sec = f->side->sec;

    /* Each port has a handshake of its own (RFC 5764 4.1.1); a crypto line counts for both. */
    return &sec->keys[f->is_rtcp && sec->dtls != NULL];
}

/* --- in --- */

static bool open_failed(struct media_side *s, int err, int64_t now_ms)
{
    return media_drop(s,
                      err == EALREADY  ? MEDIA_DROP_REPLAY
                      : err == EBADMSG ? MEDIA_DROP_AUTH
                      : err == ENOBUFS ? MEDIA_DROP_SSRC
                                       : MEDIA_DROP_MALFORMED,
                      now_ms);
}

static int open_with(struct srtp *ctx, struct media_pkt *pkt)
{
    return pkt->class == MEDIA_CLASS_RTCP ? srtcp_unprotect(ctx, pkt->p, &pkt->n)
                                          : srtp_unprotect(ctx, pkt->p, &pkt->n);
}

/* Their former key is heard until the new one is, as packets overtake signalling. */
static int open_with_two(struct media *m, struct media_keys *k, struct media_pkt *pkt)
{
    size_t n = pkt->n;
    int err;

    memcpy(m->scratch, pkt->p, n); /* what fails to authenticate is not left as it was */
    err = open_with(k->rx, pkt);
    if (err == 0) {
        srtp_free(&k->old_rx);
        return 0;
    }
    if (pkt->now_ms >= k->old_until_ms) {
        srtp_free(&k->old_rx);
        return err;
    }
    memcpy(pkt->p, m->scratch, n);
    pkt->n = n;
    return open_with(k->old_rx, pkt);
}

/* Packets allocate nothing: a timer does it for them, before the next wake-up. */
static void open_ask_room(struct media_side *s)
{
    struct media *m = s->stream->session->m;

    if (list_is_empty(&s->sec->wants_room)) {
        list_push_back(&m->room, &s->sec->wants_room);
        timer_start(m->p.loop, &m->room_timer, 0);
    }
}

static void room_grow(struct srtp **rx)
{
    unsigned n = SECURE_RX_SSRCS;

    if (*rx == NULL || srtp_room(*rx) > 1) {
        return;
    }
    while (n <= srtp_ssrcs(*rx, NULL, 0) + 1 && n < SRTP_SSRCS_MAX) {
        n *= SECURE_RX_STEP;
    }
    if (srtp_grow(rx, (uint8_t)n) != 0) {
        return; /* out of memory: the next packet asks again */
    }
}

void media_secure_on_room(void *media)
{
    struct media *m = media;

    for (struct list *it = list_pop_front(&m->room); it != NULL; it = list_pop_front(&m->room)) {
        struct media_secure *sec = CONTAINER_OF(it, struct media_secure, wants_room);

        room_grow(&sec->keys[0].rx);
        room_grow(&sec->keys[1].rx);
    }
}

bool media_secure_open(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *s = f->side;
    struct media_keys *k = media_secure_keys(f);
    int err;

    if (k->rx == NULL || (pkt->class != MEDIA_CLASS_RTP && pkt->class != MEDIA_CLASS_RTCP)) {
        return media_drop(s, MEDIA_DROP_NO_KEYS, pkt->now_ms);
    }
    err = LIKELY(k->old_rx == NULL) ? open_with(k->rx, pkt)
                                    : open_with_two(s->stream->session->m, k, pkt);
    if (UNLIKELY(srtp_room(k->rx) <= 1) && srtp_ssrcs(k->rx, NULL, 0) < SRTP_SSRCS_MAX - 1) {
        open_ask_room(s);
    }
    if (err != 0) {
        return open_failed(s, err, pkt->now_ms);
    }
    /* With the former key still there it was the one that opened it, which proves nothing. */
    if (UNLIKELY(s->sec->dtls != NULL) && k->old_rx == NULL) {
        media_handshake_settle(f);
    }
    return true;
}

/* --- out --- */

static bool seal_last_seq(const struct srtp *tx, uint32_t ssrc, uint16_t *seq)
{
    struct srtp_ssrc st[SECURE_TX_SSRCS];
    size_t n = srtp_ssrcs(tx, st, COUNT_OF(st));

    for (size_t i = 0; i < n && i < COUNT_OF(st); i++) {
        if (st[i].ssrc == ssrc && st[i].has_rtp) {
            *seq = st[i].seq;
            return true;
        }
    }
    return false;
}

bool media_secure_last(const struct media_side *to, uint32_t ssrc, uint16_t *seq)
{
    const struct media_secure *sec = to->via->sec;

    return sec != NULL && sec->keys[0].tx != NULL && seal_last_seq(sec->keys[0].tx, ssrc, seq);
}

/* No more names fit under this key: the new source goes on as the last one. */
static bool seal_rename(struct media_side *to, const struct srtp *tx, uint8_t *p)
{
    struct media_side *from = media_side_other(to);
    const struct remap_source *src = media_remap_by_out(from->remap, rtp_ssrc(p));
    uint32_t in_ssrc = src != NULL ? src->in_ssrc : rtp_ssrc(p);
    uint16_t seq;

    if (!to->has_out || !seal_last_seq(tx, to->out_ssrc, &seq) ||
        !media_remap_continue(from, in_ssrc, rtp_seq(p), to->out_ssrc, (uint16_t)(seq + 1))) {
        return false;
    }
    rtp_put16(p + 2, (uint16_t)(seq + 1));
    rtp_put32(p + 8, to->out_ssrc);
    return true;
}

static int seal_with(struct srtp *tx, struct media_side *to, struct media_pkt *pkt)
{
    int err;

    if (pkt->class == MEDIA_CLASS_RTCP) {
        return srtcp_protect(tx, pkt->p, &pkt->n, pkt->n + SRTP_TRAILER_MAX);
    }
    err = srtp_protect(tx, pkt->p, &pkt->n, pkt->n + SRTP_TRAILER_MAX);
    if (UNLIKELY(err == ENOBUFS) && seal_rename(to, tx, pkt->p)) {
        err = srtp_protect(tx, pkt->p, &pkt->n, pkt->n + SRTP_TRAILER_MAX);
    }
    return err;
}

bool media_secure_seal(struct media_side *to, const struct media_flow *f, struct media_pkt *pkt)
{
    struct media_keys *k = media_secure_keys(f);
    struct media_side *from = media_side_other(to);
    int err;

    if (k->tx == NULL || (pkt->class != MEDIA_CLASS_RTP && pkt->class != MEDIA_CLASS_RTCP)) {
        return media_drop(from, MEDIA_DROP_NO_KEYS, pkt->now_ms);
    }
    err = seal_with(k->tx, to, pkt);
    if (LIKELY(err == 0)) {
        return true;
    }
    if (err == EPROTO) {
        return media_drop(from, MEDIA_DROP_REPLAY, pkt->now_ms);
    }
    return err == EKEYEXPIRED ? media_drop(from, MEDIA_DROP_NO_KEYS, pkt->now_ms)
                              : media_drop(to, MEDIA_DROP_SEND, pkt->now_ms);
}

/* --- keys --- */

struct media_secure *media_secure_new(void)
{
    struct media_secure *sec = mem_zalloc(sizeof(*sec));

    if (sec != NULL) {
        list_init(&sec->wants_room);
    }
    return sec;
}

int media_secure_want(struct media_side *s)
{
    if (media_remap_want(media_side_other(s)) != 0) {
        return ENOMEM;
    }
    if (s->sec == NULL) {
        s->sec = media_secure_new();
        if (s->sec == NULL) {
            return ENOMEM;
        }
    }
    s->stream->has_zrtp = false;
    media_side_rewire(s);
    return 0;
}

static int keys_make(struct media_side *s, enum srtp_direction direction,
                     const struct srtp_key *key, const struct srtp *now, struct srtp **out)
{
    struct srtp_params p = {.key = key,
                            .direction = direction,
                            .engine = (enum srtp_engine)s->stream->session->m->srtp_engine,
                            .max_ssrcs =
                                direction == SRTP_PROTECT ? SECURE_TX_SSRCS : SECURE_RX_SSRCS};

    if (key == NULL || (now != NULL && srtp_same_key(now, key))) {
        return 0; /* rollover counters and replay windows go on */
    }
    return srtp_new(out, &p);
}

int media_secure_install(struct media_side *s, struct media_keys *k, const struct srtp_key *tx,
                         const struct srtp_key *rx)
{
    struct srtp *new_tx = NULL, *new_rx = NULL;
    int err = keys_make(s, SRTP_PROTECT, tx, k->tx, &new_tx);

    if (err == 0) {
        err = keys_make(s, SRTP_UNPROTECT, rx, k->rx, &new_rx);
    }
    if (err != 0) {
        srtp_free(&new_tx);
        return err;
    }
    if (new_tx != NULL) {
        srtp_free(&k->tx);
        k->tx = new_tx;
    }
    if (new_rx != NULL) {
        srtp_free(&k->old_rx);
        k->old_rx = k->rx;
        k->old_until_ms = loop_now_ms(s->stream->session->m->p.loop) + SECURE_OLD_KEY_MS;
        k->rx = new_rx;
    }
    s->sec->was_up = s->sec->was_up || (k->tx != NULL && k->rx != NULL);
    return 0;
}

void media_secure_free(struct media_side *s)
{
    if (s->sec == NULL) {
        return;
    }
    media_handshake_free(s->sec);
    list_del(&s->sec->wants_room);
    for (unsigned i = 0; i < 2; i++) {
        srtp_free(&s->sec->keys[i].rx);
        srtp_free(&s->sec->keys[i].tx);
        srtp_free(&s->sec->keys[i].old_rx);
    }
    mem_free(s->sec);
    s->sec = NULL;
    media_side_rewire(s);
}

/* Two sources under one key share its key stream (RFC 3711 9.1). */
static bool sdes_is_used_elsewhere(const struct media_side *s, const struct srtp_key *tx)
{
    const struct media_session *session = s->stream->session;

    for (unsigned i = 0; i < 2 * MEDIA_STREAMS_MAX; i++) {
        const struct media_side *o = media_side_of(session, i / 2, i % 2);

        if (o == NULL || o == s || o->sec == NULL) {
            continue;
        }
        for (unsigned k = 0; k < 2; k++) {
            if (o->sec->keys[k].tx != NULL && srtp_same_key(o->sec->keys[k].tx, tx)) {
                return true;
            }
        }
    }
    return false;
}

static int sdes_check(const struct media_side *s, const struct srtp_key *tx,
                      const struct srtp_key *rx)
{
    if (tx == NULL) {
        if (rx != NULL) {
            return EINVAL;
        }
        return s->sec != NULL && (s->sec->was_up || media_handshake_is_agreed(s->sec)) ? EPROTO : 0;
    }
    if ((rx != NULL && srtp_key_equal(tx, rx)) || sdes_is_used_elsewhere(s, tx)) {
        return EPROTO;
    }
    return 0;
}

int media_set_sdes(struct media_session *s, unsigned stream, unsigned side,
                   const struct srtp_key *tx, const struct srtp_key *rx)
{
    struct media_side *sd = media_side_of(s, stream, side);
    int err = sd != NULL ? sdes_check(sd, tx, rx) : ENOENT;
    bool is_new;

    if (err != 0) {
        return err;
    }
    if (tx == NULL) {
        media_secure_free(sd);
        return 0;
    }
    is_new = sd->sec == NULL;
    err = media_secure_want(sd);
    if (err == 0) {
        media_unpark(sd, tx, rx);
        err = media_secure_install(sd, &sd->sec->keys[0], tx, rx);
    }
    if (err != 0 && is_new) {
        media_secure_free(sd);
    } else if (err == 0) {
        media_handshake_free(sd->sec);
    }
    return err;
}

uint64_t media_tx_packets_under_key(const struct media_session *s, unsigned stream, unsigned side)
{
    const struct media_side *sd = media_side_of(s, stream, side);
    const struct media_secure *sec = sd != NULL ? sd->via->sec : NULL;

    return sec != NULL && sec->keys[0].tx != NULL ? srtp_packets(sec->keys[0].tx) : 0;
}
