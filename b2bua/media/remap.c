/* remap.c - a translator's bookkeeping (RFC 3550 7.2): where we take packets out of a stream, put
 * some in, or give it another name, the receiver still sees one stream without gaps or doubles.
 * Offsets change at a sequence number, so that stragglers get the one of their time; no number goes
 * out twice, which is what SRTP needs (RFC 3711 9.1). */
#include "media/stage_int.h"

#define REMAP_KEEP 8192 /* numbers behind the newest for which old offsets are known */

int media_remap_want(struct media_side *from)
{
    if (from->remap == NULL) {
        from->remap = mem_zalloc(sizeof(*from->remap));
    }
    return from->remap != NULL ? 0 : ENOMEM;
}

const struct remap_source *media_remap_by_in(const struct media_remap *m, uint32_t in_ssrc)
{
    for (uint8_t i = 0; m != NULL && i < m->n; i++) {
        if (m->source[i].has_in && m->source[i].in_ssrc == in_ssrc) {
            return &m->source[i];
        }
    }
    return NULL;
}

const struct remap_source *media_remap_by_out(const struct media_remap *m, uint32_t out_ssrc)
{
    for (uint8_t i = 0; m != NULL && i < m->n; i++) {
        if (m->source[i].out_ssrc == out_ssrc) {
            return &m->source[i];
        }
    }
    return NULL;
}

static struct remap_source *remap_mutable(const struct remap_source *src)
{
    return (struct remap_source *)(uintptr_t)src;
}

static struct remap_source *remap_room(struct media_remap *m)
{
    struct remap_source *oldest = &m->source[0];

    if (m->n < REMAP_SOURCES) {
        return &m->source[m->n++];
    }
    for (uint8_t i = 1; i < m->n; i++) {
        if (m->clock - m->source[i].used > m->clock - oldest->used) {
            oldest = &m->source[i];
        }
    }
    return oldest;
}

static void remap_use(struct media_remap *m, struct remap_source *src)
{
    src->used = ++m->clock;
}

/* NULL: nobody wanted it. A source that is not known yet goes out as it comes, up to `high`. */
static struct remap_source *remap_add(struct media_remap *m, uint32_t ssrc, uint16_t high)
{
    struct remap_source *src;

    if (m == NULL) {
        return NULL;
    }
    src = remap_room(m);
    *src = (struct remap_source){
        .in_ssrc = ssrc, .out_ssrc = ssrc, .has_in = true, .in_high = high, .n_bounds = 1};
    src->bound[0].from = (uint16_t)(high - REMAP_KEEP / 2);
    remap_use(m, src);
    return src;
}

static bool remap_is_before(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) < 0;
}

/* Numbers from `from` on get this offset; the bound before stays unless nothing lies between. */
static void remap_bound(struct remap_source *src, uint16_t from, int16_t offset, uint16_t between)
{
    if ((uint16_t)(from - src->bound[0].from) > between) {
        uint8_t keep = src->n_bounds < REMAP_BOUNDS ? src->n_bounds : REMAP_BOUNDS - 1;

        memmove(src->bound + 1, src->bound, keep * sizeof(src->bound[0]));
        src->n_bounds = (uint8_t)(keep + 1);
    }
    src->bound[0].from = from;
    src->bound[0].offset = offset;
}

/* Bounds far behind would, after half a turn of the numbers, seem to lie ahead. */
static void remap_age(struct remap_source *src)
{
    if ((uint16_t)(src->in_high - src->bound[0].from) > REMAP_KEEP) {
        src->bound[0].from = (uint16_t)(src->in_high - REMAP_KEEP / 2);
        src->n_bounds = 1;
    }
}

static bool remap_offset(const struct remap_source *src, uint16_t seq, int16_t *offset)
{
    for (uint8_t i = 0; i < src->n_bounds; i++) {
        if (!remap_is_before(seq, src->bound[i].from)) {
            *offset = src->bound[i].offset;
            return true;
        }
    }
    return false;
}

bool media_remap_apply(struct media_remap *m, uint8_t *p)
{
    struct remap_source *src = remap_mutable(media_remap_by_in(m, rtp_ssrc(p)));
    uint16_t seq = rtp_seq(p);
    int16_t offset;

    if (src == NULL) {
        return true;
    }
    remap_use(m, src);
    if (remap_is_before(src->in_high, seq)) {
        src->in_high = seq;
        remap_age(src);
    }
    if (!remap_offset(src, seq, &offset)) {
        return false;
    }
    rtp_put16(p + 2, (uint16_t)(seq + offset));
    rtp_put32(p + 8, src->out_ssrc);
    return true;
}

void media_remap_swallow(struct media_side *from, const uint8_t *p, size_t n)
{
    uint16_t seq = rtp_seq(p);
    struct remap_source *src;

    if (from->remap == NULL) {
        return; /* nobody asked for numbers without gaps */
    }
    src = remap_mutable(media_remap_by_in(from->remap, rtp_ssrc(p)));
    if (src == NULL) {
        src = remap_add(from->remap, rtp_ssrc(p), (uint16_t)(seq - 1));
    }
    /* Once a later one went out, the gap is there. */
    if (src == NULL || !remap_is_before(src->in_high, seq)) {
        return;
    }
    remap_use(from->remap, src);
    src->in_high = seq;
    remap_age(src);
    remap_bound(src, (uint16_t)(seq + 1), (int16_t)(src->bound[0].offset - 1), 1);
    src->packets--;
    src->octets -= (int32_t)media_rtp_payload(p, n).n;
}

bool media_remap_insert(struct media_side *from, uint32_t out_ssrc, size_t octets, uint16_t *seq)
{
    const struct media_track *t = &from->track;
    struct remap_source *src = remap_mutable(media_remap_by_out(from->remap, out_ssrc));

    if (src == NULL) {
        src =
            remap_add(from->remap, out_ssrc, t->started && t->ssrc == out_ssrc ? t->max_seq : *seq);
    }
    if (src == NULL) {
        return false;
    }
    remap_use(from->remap, src);
    remap_bound(src, (uint16_t)(src->in_high + 1), (int16_t)(src->bound[0].offset + 1), 0);
    *seq = media_remap_high(src);
    src->packets++;
    src->octets += (int32_t)octets;
    return true;
}

bool media_remap_continue(struct media_side *from, uint32_t in_ssrc, uint16_t in_seq,
                          uint32_t out_ssrc, uint16_t out_seq)
{
    struct remap_source *src = remap_mutable(media_remap_by_out(from->remap, out_ssrc));

    for (uint8_t i = 0; from->remap != NULL && i < from->remap->n; i++) {
        if (from->remap->source[i].in_ssrc == in_ssrc) {
            from->remap->source[i].has_in = false; /* what it was called before */
        }
    }
    if (src == NULL) {
        src = remap_add(from->remap, in_ssrc, (uint16_t)(in_seq - 1));
    }
    if (src == NULL) {
        return false;
    }
    remap_use(from->remap, src);
    src->in_ssrc = in_ssrc;
    src->out_ssrc = out_ssrc;
    src->has_in = true;
    src->in_high = (uint16_t)(in_seq - 1);
    src->n_bounds = 1;
    src->bound[0].from = in_seq;
    src->bound[0].offset = (int16_t)(uint16_t)(out_seq - in_seq);
    return true;
}
