/* srtp.c - what all engines have in common: the frame of a packet, the table of SSRCs, which index
 * a packet has and whether it may be used. The engines do the cryptography. */
#include "media/srtp.h"

#include "media/srtp_int.h"

int srtp_engine_start(enum srtp_engine engine)
{
    return engine == SRTP_ENGINE_LIBSRTP ? srtp_lib_start() : 0;
}

void srtp_engine_stop(void)
{
    srtp_lib_stop();
}

static const struct srtp_engine_ops *srtp_ops(const struct srtp_params *p)
{
    if (p->engine == SRTP_ENGINE_LIBSRTP) {
        return &srtp_lib_ops;
    }
    return srtp_suite_is_aead(p->key->suite) ? &srtp_gcm_ops : &srtp_cm_ops;
}

int srtp_new(struct srtp **sp, const struct srtp_params *p)
{
    uint8_t max = p->max_ssrcs != 0 ? p->max_ssrcs : SRTP_SSRCS;
    enum srtp_suite suite = p->key->suite;
    struct srtp *s;
    int err;

    if (suite <= SRTP_SUITE_NONE || suite >= SRTP_N_SUITES || p->key->mki_len > SRTP_MKI_MAX ||
        max > SRTP_SSRCS_MAX) {
        return EINVAL;
    }
    s = mem_zalloc(sizeof(*s) + max * sizeof(s->streams[0]));
    if (s == NULL) {
        return ENOMEM;
    }
    s->ops = srtp_ops(p);
    s->key = *p->key;
    s->protects = p->direction == SRTP_PROTECT;
    s->is_aead = srtp_suite_is_aead(suite);
    s->mki = p->key->mki_len;
    s->tag = (uint8_t)srtp_tag_len(suite, false);
    s->rtcp_tag = (uint8_t)srtp_tag_len(suite, true);
    s->max_streams = max;
    err = s->ops->open(s);
    if (err != 0) {
        srtp_free(&s);
        return err;
    }
    *sp = s;
    return 0;
}

void srtp_free(struct srtp **sp)
{
    struct srtp *s = *sp;

    *sp = NULL;
    if (s != NULL) {
        s->ops->close(s);
        crypto_wipe(s, sizeof(*s));
        mem_free(s);
    }
}

/* Not by realloc(), which may leave a copy of the keys behind. */
int srtp_grow(struct srtp **sp, uint8_t max)
{
    struct srtp *s = *sp, *big;
    size_t n = sizeof(*s) + s->n_streams * sizeof(s->streams[0]);

    if (max <= s->max_streams || max > SRTP_SSRCS_MAX) {
        return 0;
    }
    big = mem_zalloc(sizeof(*big) + max * sizeof(big->streams[0]));
    if (big == NULL) {
        return ENOMEM;
    }
    memcpy(big, s, n);
    big->max_streams = max;
    crypto_wipe(s, n);
    mem_free(s);
    *sp = big;
    return 0;
}

unsigned srtp_room(const struct srtp *s)
{
    return (unsigned)(s->max_streams - s->n_streams);
}

/* --- the table --- */

static struct srtp_stream *srtp_find(struct srtp *s, uint32_t ssrc)
{
    if (LIKELY(s->last < s->n_streams && s->streams[s->last].ssrc == ssrc)) {
        return &s->streams[s->last];
    }
    for (uint8_t i = 0; i < s->n_streams; i++) {
        if (s->streams[i].ssrc == ssrc) {
            s->last = i;
            return &s->streams[i];
        }
    }
    return NULL;
}

static int srtp_add(struct srtp *s, uint32_t ssrc, struct srtp_stream **st)
{
    if (s->n_streams == s->max_streams) {
        return ENOBUFS;
    }
    s->last = s->n_streams++;
    *st = &s->streams[s->last];
    **st = (struct srtp_stream){.ssrc = ssrc};
    return 0;
}

/* The stream of a packet that passed. Only here does one come to be by a packet. */
static int srtp_settle(struct srtp *s, const struct srtp_pkt *pkt, struct srtp_stream **st)
{
    int err = 0;

    if (UNLIKELY(*st == NULL)) {
        err = srtp_add(s, pkt->ssrc, st);
        if (err != 0 && s->ops->refuse != NULL) {
            s->ops->refuse(s, pkt->ssrc);
        }
    }
    s->packets += err == 0;
    return err;
}

/* --- frames --- */

/* Header, CSRCs and extension lie within the first n bytes (RFC 3550 5.1, 5.3.1). */
static int srtp_frame_rtp(struct srtp_pkt *pkt, size_t n)
{
    const uint8_t *p = pkt->p;

    if (n < SRTP_RTP_HEADER || p[0] >> 6 != 2) {
        return EBADMSG;
    }
    pkt->ssrc = srtp_get32(p + 8);
    pkt->header = SRTP_RTP_HEADER + (size_t)4 * (p[0] & 0x0f);
    if ((p[0] & 0x10) != 0) {
        if (n < pkt->header + 4) {
            return EBADMSG;
        }
        pkt->header += 4 + (size_t)4 * (p[pkt->header + 2] << 8 | p[pkt->header + 3]);
    }
    return n < pkt->header ? EBADMSG : 0;
}

static int srtp_frame_rtcp(struct srtp_pkt *pkt, size_t n)
{
    if (n < SRTP_RTCP_HEADER || pkt->p[0] >> 6 != 2) {
        return EBADMSG;
    }
    pkt->ssrc = srtp_get32(pkt->p + 4);
    pkt->header = SRTP_RTCP_HEADER;
    return 0;
}

static uint16_t srtp_seq(const struct srtp_pkt *pkt)
{
    return (uint16_t)(pkt->p[2] << 8 | pkt->p[3]);
}

/* --- protect --- */

static int srtp_protect_index(const struct srtp_stream *st, struct srtp_pkt *pkt)
{
    pkt->index = srtp_seq(pkt);
    if (st == NULL) {
        return 0;
    }
    pkt->index = srtp_window_guess(st, srtp_seq(pkt));
    if (pkt->index >= SRTP_INDEX_END) {
        return EKEYEXPIRED;
    }
    /* Before the first cycle: the receiver would take it for another index than we do. */
    return pkt->index < 0 || srtp_window_check(st, pkt->index) != 0 ? EPROTO : 0;
}

int srtp_protect(struct srtp *s, uint8_t *p, size_t *n, size_t cap)
{
    struct srtp_pkt pkt = {.p = p, .n = *n};
    struct srtp_stream *st;
    int err = srtp_frame_rtp(&pkt, *n);

    if (err != 0) {
        return err;
    }
    if (*n > SRTP_PACKET_MAX || cap < *n + s->tag + s->mki) {
        return EMSGSIZE;
    }
    st = srtp_find(s, pkt.ssrc);
    if (st == NULL && s->n_streams == s->max_streams) {
        return ENOBUFS;
    }
    err = srtp_protect_index(st, &pkt);
    err = err != 0 ? err : s->ops->protect(s, &pkt);
    err = err != 0 ? err : srtp_settle(s, &pkt, &st);
    if (err != 0) {
        return err;
    }
    srtp_window_commit(st, pkt.index);
    *n = pkt.n;
    return 0;
}

int srtcp_protect(struct srtp *s, uint8_t *p, size_t *n, size_t cap)
{
    struct srtp_pkt pkt = {.p = p, .n = *n};
    struct srtp_stream *st;
    int err = srtp_frame_rtcp(&pkt, *n);

    if (err != 0) {
        return err;
    }
    if (*n > SRTP_PACKET_MAX || cap < *n + SRTP_RTCP_TRAILER + s->rtcp_tag + s->mki) {
        return EMSGSIZE;
    }
    st = srtp_find(s, pkt.ssrc);
    if (st == NULL && s->n_streams == s->max_streams) {
        return ENOBUFS;
    }
    /* RFC 3711 3.2.1: zero before the first packet, one more after each */
    pkt.index = st != NULL && st->has_rtcp ? (int64_t)st->rtcp_index + 1 : 0;
    if (pkt.index >= SRTP_RTCP_INDEX_END) {
        return EKEYEXPIRED;
    }
    err = s->ops->protect_rtcp(s, &pkt);
    err = err != 0 ? err : srtp_settle(s, &pkt, &st);
    if (err != 0) {
        return err;
    }
    srtcp_window_commit(st, (uint32_t)pkt.index);
    *n = pkt.n;
    return 0;
}

/* --- unprotect --- */

/* p: where the MKI belongs. No secret: compared as it is. */
static bool srtp_has_mki(const struct srtp *s, const uint8_t *p)
{
    return s->mki == 0 || memcmp(p, s->key.mki, s->mki) == 0;
}

int srtp_unprotect(struct srtp *s, uint8_t *p, size_t *n)
{
    size_t trailer = (size_t)s->tag + s->mki;
    struct srtp_pkt pkt = {.p = p, .n = *n};
    struct srtp_stream *st;
    size_t mki_at;
    int err;

    if (*n < trailer || *n > SRTP_PACKET_MAX || srtp_frame_rtp(&pkt, *n - trailer) != 0) {
        return EBADMSG;
    }
    mki_at = *n - (s->is_aead ? s->mki : trailer);
    if (!srtp_has_mki(s, p + mki_at)) {
        return EBADMSG;
    }
    st = srtp_find(s, pkt.ssrc);
    pkt.index = st != NULL ? srtp_window_guess(st, srtp_seq(&pkt)) : srtp_seq(&pkt);
    if (pkt.index < 0) {
        pkt.index = srtp_seq(&pkt); /* a leap within the first cycle; authentication decides */
    }
    if (pkt.index >= SRTP_INDEX_END) {
        return EKEYEXPIRED;
    }
    err = st != NULL ? srtp_window_check(st, pkt.index) : 0;
    err = err != 0 ? err : s->ops->unprotect(s, &pkt);
    err = err != 0 ? err : srtp_settle(s, &pkt, &st);
    if (err != 0) {
        return err;
    }
    srtp_window_commit(st, pkt.index);
    *n = pkt.n;
    return 0;
}

int srtcp_unprotect(struct srtp *s, uint8_t *p, size_t *n)
{
    size_t trailer = (size_t)SRTP_RTCP_TRAILER + s->rtcp_tag + s->mki;
    struct srtp_pkt pkt = {.p = p, .n = *n};
    struct srtp_stream *st;
    uint32_t word;
    int err;

    if (*n < trailer || *n > SRTP_PACKET_MAX || srtp_frame_rtcp(&pkt, *n - trailer) != 0) {
        return EBADMSG;
    }
    word = srtp_get32(p + *n - s->mki - SRTP_RTCP_TRAILER - (s->is_aead ? 0 : s->rtcp_tag));
    if ((word & SRTP_RTCP_E_BIT) == 0 ||
        !srtp_has_mki(s, p + *n - s->mki - (s->is_aead ? 0 : s->rtcp_tag))) {
        return EBADMSG;
    }
    pkt.index = word & ~SRTP_RTCP_E_BIT;
    st = srtp_find(s, pkt.ssrc);
    err = st != NULL ? srtcp_window_check(st, (uint32_t)pkt.index) : 0;
    err = err != 0 ? err : s->ops->unprotect_rtcp(s, &pkt);
    err = err != 0 ? err : srtp_settle(s, &pkt, &st);
    if (err != 0) {
        return err;
    }
    srtcp_window_commit(st, (uint32_t)pkt.index);
    *n = pkt.n;
    return 0;
}

/* --- what others may know --- */

bool srtp_same_key(const struct srtp *s, const struct srtp_key *k)
{
    return srtp_key_equal(&s->key, k);
}

enum srtp_suite srtp_suite_of(const struct srtp *s)
{
    return s->key.suite;
}

uint64_t srtp_packets(const struct srtp *s)
{
    return s->packets;
}

size_t srtp_ssrcs(const struct srtp *s, struct srtp_ssrc *out, size_t cap)
{
    for (size_t i = 0; i < s->n_streams && i < cap; i++) {
        const struct srtp_stream *st = &s->streams[i];

        out[i] = (struct srtp_ssrc){.ssrc = st->ssrc,
                                    .roc = st->roc,
                                    .rtcp_index = st->rtcp_index,
                                    .seq = st->seq,
                                    .has_rtp = st->has_rtp,
                                    .has_rtcp = st->has_rtcp};
    }
    return s->n_streams;
}

/* Protecting, the past cannot come back. */
static bool srtp_is_back(const struct srtp *s, const struct srtp_stream *st,
                         const struct srtp_ssrc *set)
{
    bool rtp_back = st->has_rtp && set->has_rtp &&
                    (set->roc < st->roc || (set->roc == st->roc && set->seq < st->seq));
    bool rtcp_back = st->has_rtcp && set->has_rtcp && set->rtcp_index < st->rtcp_index;

    return s->protects && (rtp_back || rtcp_back);
}

int srtp_set_ssrc(struct srtp *s, const struct srtp_ssrc *set)
{
    struct srtp_stream *st = srtp_find(s, set->ssrc);
    unsigned slot = st != NULL ? (unsigned)(st - s->streams) : s->n_streams;
    int err = st == NULL && s->n_streams == s->max_streams ? ENOBUFS : 0;

    if (st != NULL && srtp_is_back(s, st, set)) {
        return EPROTO;
    }
    if (err == 0 && s->ops->set != NULL) {
        err = s->ops->set(s, set->ssrc, slot, set->has_rtcp);
    }
    if (err == 0 && st == NULL) {
        err = srtp_add(s, set->ssrc, &st);
    }
    if (err != 0) {
        return err;
    }
    if (set->has_rtp) {
        srtp_window_set(st, set->roc, set->seq);
    }
    if (set->has_rtcp) {
        srtcp_window_set(st, set->rtcp_index);
    }
    return 0;
}
