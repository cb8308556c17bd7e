/* relay.c - the way of one packet that io.c received: classify, latch, account, send. A stage that
 * changes packets (encryption) belongs between account and send and works in place. */
#include "media/media_int.h"

static enum media_class relay_classify(const struct media_flow *f, const struct media_pkt *pkt)
{
    if (pkt->n == 0 || pkt->n > MEDIA_PKT_MAX) {
        return MEDIA_CLASS_BAD;
    }
    if (f->is_rtcp) {
        return media_classify_rtcp(pkt->p, pkt->n);
    }
    if (f->side->stream->kind == MEDIA_DATAGRAM) {
        return MEDIA_CLASS_OPAQUE;
    }
    return media_classify_rtp(pkt->p, pkt->n, f->side->mux);
}

static void relay_account(struct media_side *s, const struct media_pkt *pkt)
{
    if (pkt->class == MEDIA_CLASS_RTCP) {
        s->count.rtcp_rx++;
        return; /* RTCP alone is no sign that somebody speaks */
    }
    s->count.rx_packets++;
    s->count.rx_bytes += pkt->n;
    if (pkt->class == MEDIA_CLASS_RTP) {
        media_track_note(&s->track, pkt->p, pkt->now_ms);
    }
    if (pkt->class == MEDIA_CLASS_RTP || s->stream->kind == MEDIA_DATAGRAM) {
        s->last_rx_ms = pkt->now_ms;
    }
}

/* The socket and address that reach this side; NULL: none. Direction attributes bind RTP only,
 * RTCP goes on (RFC 3264 5.1). */
static const struct addr *relay_dest(const struct media_side *to, enum media_class class,
                                     const struct media_flow **out)
{
    const struct media_flow *f = class == MEDIA_CLASS_RTCP && !to->mux ? &to->rtcp : &to->rtp;
    const struct addr *dest = media_flow_dest(f);

    if (f->fd < 0 || dest == NULL || addr_family(dest) != addr_family(&to->local) ||
        (!to->may_receive && class != MEDIA_CLASS_RTCP)) {
        return NULL;
    }
    *out = f;
    return dest;
}

static void relay_send(struct media_side *to, const struct media_pkt *pkt)
{
    const struct media_flow *f = NULL;
    const struct addr *dest = relay_dest(to, pkt->class, &f);

    if (dest == NULL) {
        to->count.no_destination++;
        stat_inc(STAT_RTP_NO_PEER);
        return;
    }
    if (!media_io_send(f, pkt, dest)) {
        to->count.send_failed++;
        stat_inc(STAT_RTP_SEND_FAIL);
        return;
    }
    if (pkt->class == MEDIA_CLASS_RTCP) {
        to->count.rtcp_tx++;
    } else {
        to->count.tx_packets++;
        to->count.tx_bytes += pkt->n;
    }
    stat_inc(STAT_RTP_TX);
}

void media_relay(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *side = f->side;
    struct media *m = side->stream->session->m;

    stat_inc(STAT_RTP_RX);
    pkt->class = relay_classify(f, pkt);
    if (pkt->class == MEDIA_CLASS_BAD) {
        side->count.malformed++;
        stat_inc(STAT_RTP_BAD);
        return;
    }
    if (!media_flow_accept(f, &pkt->src, pkt->now_ms, m->p.learn_ms)) {
        side->count.strangers++;
        stat_inc(STAT_RTP_STRANGER);
        return;
    }
    relay_account(side, pkt);
    relay_send(media_side_other(side), pkt);
}
