/* latch.c - which source may speak for a side. The ranks keep strangers out from the first packet
 * on (RFC 7362 5), the lock keeps them out afterwards. */
#include "media/media_int.h"

bool media_addr_is_usable(const struct addr *a)
{
    uint32_t net;

    if (addr_port(a) == 0 || addr_is_unspecified(a) || addr_is_multicast(a)) {
        return false;
    }
    if (addr_family(a) != AF_INET) {
        return true;
    }
    net = ntohl(a->u.in4.sin_addr.s_addr) >> 24;
    return net != 0 && net < 240; /* RFC 6890: "this network" and the reserved block */
}

void media_flow_expect(struct media_flow *f, const struct addr *sdp, int64_t now_ms)
{
    bool is_usable = media_addr_is_usable(sdp);

    /* Nothing goes to a held peer (RFC 3264 8.4), but when it comes back with the address it had,
     * it is where it was: a phone behind NAT need not be learned again. */
    f->held = !is_usable && addr_family(&f->sdp) != AF_UNSPEC;
    if (!is_usable || addr_eq(sdp, &f->sdp)) {
        return;
    }
    f->sdp = *sdp;
    f->has_old = f->has_old || f->rank != 0;
    f->rank = 0;
    f->locked = false;
    f->since_ms = now_ms;
}

void media_flow_forget(struct media_flow *f)
{
    f->rank = 0;
    f->locked = false;
    f->has_old = false;
    f->held = false;
}

static bool latch_same_ip(const struct addr *known, const struct addr *src)
{
    return addr_family(known) != AF_UNSPEC && addr_eq_ip(known, src);
}

static uint8_t latch_rank(const struct media_flow *f, const struct addr *src)
{
    if (latch_same_ip(&f->sdp, src)) {
        return addr_port(&f->sdp) == addr_port(src) ? 1 : 2;
    }
    return latch_same_ip(&f->side->signalling, src) ? 3 : 0;
}

static void latch_learn(struct media_flow *f, const struct addr *src, uint8_t rank, int64_t now_ms)
{
    if (f->rank == 0) {
        f->since_ms = now_ms; /* a better source later on does not open the window again */
    }
    f->src = *src;
    f->rank = rank;
    f->locked = rank == 1;
    f->has_old = false;
}

bool media_flow_accept(struct media_flow *f, const struct addr *src, int64_t now_ms,
                       uint32_t learn_ms)
{
    bool is_old = f->has_old && addr_eq(src, &f->src);
    uint8_t rank;

    if (f->rank != 0) {
        f->locked = f->locked || now_ms - f->since_ms >= (int64_t)learn_ms;
        if (addr_eq(src, &f->src)) {
            return true;
        }
        if (f->locked) {
            return false;
        }
    }
    rank = addr_port(src) != 0 ? latch_rank(f, src) : 0;
    /* What is still on its way from the old place must not shut the new one out. */
    if (is_old && rank != 1 && now_ms - f->since_ms < (int64_t)learn_ms) {
        return true;
    }
    if (rank != 0 && (f->rank == 0 || rank < f->rank)) {
        latch_learn(f, src, rank, now_ms);
        return true;
    }
    return is_old;
}

/* Whoever writes a victim's address into a description must not make us send there: it counts once
 * packets came from it, be it RTP or RTCP. */
static bool latch_is_proven(const struct media_flow *f)
{
    const struct media_flow *twin = f->is_rtcp ? &f->side->rtp : &f->side->rtcp;

    return !f->side->wait_for_source || (twin->rank != 0 && latch_same_ip(&f->sdp, &twin->src));
}

const struct addr *media_flow_dest(const struct media_flow *f)
{
    if (f->held) {
        return NULL;
    }
    if (f->rank != 0) {
        return &f->src;
    }
    return addr_family(&f->sdp) != AF_UNSPEC && latch_is_proven(f) ? &f->sdp : NULL;
}
