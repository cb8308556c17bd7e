/* latch.c - which source may speak for a side. The ranks keep strangers out from the first packet
 * on (RFC 7362 5), the lock keeps them out afterwards; with ICE the checks do both. */
#include "media/secure_int.h"

#define LATCH_RANK_AUTHENTIC 4 /* named nowhere, but its packets authenticate */
#define LATCH_RANK_CHECKED 5   /* by ICE */
#define LATCH_QUIET_MS 500     /* a source that sends nothing for so long may be replaced */

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

    if (f->by_checks) { /* addresses of the description are one candidate among others */
        f->sdp = is_usable ? *sdp : f->sdp;
        return;
    }
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

uint8_t media_flow_rank(const struct media_flow *f, const struct addr *src)
{
    const struct media_side *side = f->side;

    if (addr_port(src) == 0) {
        return 0;
    }
    if (latch_same_ip(&f->sdp, src)) {
        return addr_port(&f->sdp) == addr_port(src) ? LATCH_RANK_EXACT : 2;
    }
    if (latch_same_ip(&side->signalling, src)) {
        return 3;
    }
    /* Before the peer was described nobody can tell whose the packets would be. */
    return side->wire == MEDIA_WIRE_SRTP && side->has_remote ? LATCH_RANK_AUTHENTIC : 0;
}

void media_flow_learn(struct media_flow *f, const struct addr *src, uint8_t rank, int64_t now_ms)
{
    if (f->rank == 0) {
        f->since_ms = now_ms; /* a better source later on does not open the window again */
    }
    f->src = *src;
    f->rank = rank;
    f->locked = rank == LATCH_RANK_EXACT;
    f->has_old = false;
}

void media_flow_pin(struct media_flow *f, const struct addr *src)
{
    f->src = *src;
    f->rank = LATCH_RANK_CHECKED;
    f->locked = true;
    f->has_old = false;
    f->held = false;
}

/* Not learned yet, or not for good. */
static enum media_source latch_check(const struct media_flow *f, const struct addr *src,
                                     int64_t now_ms, uint32_t learn_ms, uint8_t *rank)
{
    bool is_old = f->has_old && addr_eq(src, &f->src);

    *rank = media_flow_rank(f, src);
    /* What is still on its way from the old place must not shut the new one out. */
    if (is_old && *rank != LATCH_RANK_EXACT && now_ms - f->since_ms < (int64_t)learn_ms) {
        return MEDIA_SOURCE_KNOWN;
    }
    if (*rank != 0 && (f->rank == 0 || *rank < f->rank)) {
        return MEDIA_SOURCE_NEW;
    }
    return is_old ? MEDIA_SOURCE_KNOWN : MEDIA_SOURCE_STRANGER;
}

enum media_source media_flow_check(struct media_flow *f, const struct addr *src, int64_t now_ms,
                                   uint32_t learn_ms, uint8_t *rank)
{
    if (f->rank != 0) {
        f->locked = f->locked || now_ms - f->since_ms >= (int64_t)learn_ms;
        if (addr_eq(src, &f->src)) {
            return MEDIA_SOURCE_KNOWN;
        }
    }
    if (f->by_checks) {
        return media_checks_allow(f, src) ? MEDIA_SOURCE_KNOWN : MEDIA_SOURCE_STRANGER;
    }
    if (f->rank != 0 && f->locked) {
        return MEDIA_SOURCE_STRANGER;
    }
    return latch_check(f, src, now_ms, learn_ms, rank);
}

/* Whoever shares an address with the peer (the same NAT, or its signalling) could otherwise take a
 * call over while its endpoint may move. The exact address was told by the peer itself. */
bool media_flow_is_taken(const struct media_flow *f, uint8_t rank, int64_t now_ms)
{
    return rank != LATCH_RANK_EXACT && (f->rank != 0 || f->has_old) && f->heard_ms != 0 &&
           now_ms - f->heard_ms < LATCH_QUIET_MS;
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
    if (f->by_checks) {
        return NULL;
    }
    return addr_family(&f->sdp) != AF_UNSPEC && latch_is_proven(f) ? &f->sdp : NULL;
}
