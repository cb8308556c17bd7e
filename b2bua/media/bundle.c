/* bundle.c - several streams on one transport of a browser (RFC 8843), each with ports of its own
 * on the other side. The leader's side has the transport; what comes there is told apart by MID,
 * SSRC and payload type (RFC 8843 9.2). */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define BUNDLE_EXT_ONE 0xbede /* RFC 8285 4.2 */
#define BUNDLE_EXT_TWO 0x1000 /* RFC 8285 4.3; the low four bits are the application's */

/* --- whose packet --- */

static struct media_side *bundle_learned(const struct media_bundle *b, uint32_t ssrc)
{
    for (uint8_t i = 0; i < b->n_learned; i++) {
        if (b->learned[i].ssrc == ssrc) {
            return b->learned[i].side;
        }
    }
    return NULL;
}

/* The oldest goes: whoever sends many SSRCs only spoils its own memory. */
static void bundle_learn(struct media_bundle *b, uint32_t ssrc, struct media_side *side)
{
    for (uint8_t i = 0; i < b->n_learned; i++) {
        if (b->learned[i].ssrc == ssrc) {
            b->learned[i].side = side;
            return;
        }
    }
    b->learned[b->next_learned].ssrc = ssrc;
    b->learned[b->next_learned].side = side;
    b->next_learned = (uint8_t)((b->next_learned + 1) % BUNDLE_LEARNED_MAX);
    b->n_learned += b->n_learned < BUNDLE_LEARNED_MAX ? 1 : 0;
}

static struct media_side *bundle_by_mid(const struct media_bundle *b, uint8_t id, struct sl mid)
{
    for (uint8_t i = 0; i < b->n; i++) {
        const struct bundle_member *m = &b->member[i];

        if (m->mid_ext_id == id && sl_eq(sl_make(m->mid, m->mid_n), mid)) {
            return m->side;
        }
    }
    return NULL;
}

/* One element of a header extension (RFC 8285). False: the end, or malformed. */
static bool bundle_element(struct sl *ext, bool is_two, uint8_t *id, struct sl *value)
{
    const uint8_t *p = (const uint8_t *)ext->p;
    size_t head = is_two ? 2 : 1, n;

    if (ext->n < head) {
        return false;
    }
    if (p[0] == 0) { /* padding: one byte */
        *id = 0;
        *ext = sl_from(*ext, 1);
        return true;
    }
    *id = is_two ? p[0] : p[0] >> 4;
    n = is_two ? p[1] : (size_t)(p[0] & 15) + 1;
    if ((!is_two && *id == 15) || n > ext->n - head) {
        return false;
    }
    *value = sl_make(p + head, n);
    *ext = sl_from(*ext, head + n);
    return true;
}

/* The packet is sound: its extension lies within. */
static struct media_side *bundle_by_ext(const struct media_bundle *b, const uint8_t *p)
{
    size_t at = RTP_HEADER + 4 * (size_t)(p[0] & 15);
    uint16_t profile;
    struct sl ext, value = SL_NULL;
    uint8_t id;

    if ((p[0] & 0x10) == 0) {
        return NULL;
    }
    profile = rtp_u16(p + at);
    ext = sl_make(p + at + 4, 4 * (size_t)rtp_u16(p + at + 2));
    if (profile != BUNDLE_EXT_ONE && (profile & 0xfff0) != BUNDLE_EXT_TWO) {
        return NULL;
    }
    while (bundle_element(&ext, profile != BUNDLE_EXT_ONE, &id, &value)) {
        struct media_side *side = id != 0 ? bundle_by_mid(b, id, value) : NULL;

        if (side != NULL) {
            return side;
        }
    }
    return NULL;
}

static struct media_side *bundle_by_signalled(const struct media_bundle *b, uint32_t ssrc)
{
    for (uint8_t i = 0; i < b->n; i++) {
        for (uint8_t k = 0; k < b->member[i].n_ssrcs; k++) {
            if (b->member[i].ssrcs[k] == ssrc) {
                return b->member[i].side;
            }
        }
    }
    return NULL;
}

static struct media_side *bundle_by_pt(const struct media_bundle *b, uint8_t pt)
{
    struct media_side *found = NULL;

    for (uint8_t i = 0; i < b->n; i++) {
        if (media_format_find(b->member[i].side->fmt, pt) != NULL) {
            if (found != NULL) {
                return NULL; /* says nothing */
            }
            found = b->member[i].side;
        }
    }
    return found;
}

void media_bundle_strip(const struct media_side *at, struct media_pkt *pkt)
{
    size_t head = RTP_HEADER + 4 * (size_t)(pkt->p[0] & 15), ext;

    if ((pkt->p[0] & 0x10) == 0 || !at->bundle->has_mid_ext) {
        return;
    }
    ext = 4 + 4 * (size_t)rtp_u16(pkt->p + head + 2);
    memmove(pkt->p + head, pkt->p + head + ext, pkt->n - head - ext);
    pkt->n -= ext;
    pkt->p[0] &= (uint8_t)~0x10;
}

struct media_side *media_bundle_find(struct media_side *at, const uint8_t *p)
{
    struct media_bundle *b = at->bundle;
    uint32_t ssrc = rtp_ssrc(p);
    struct media_side *side = bundle_by_ext(b, p);

    if (side != NULL) {
        bundle_learn(b, ssrc, side);
        return side;
    }
    side = bundle_learned(b, ssrc);
    if (side != NULL) {
        return side;
    }
    side = bundle_by_signalled(b, ssrc);
    side = side != NULL ? side : bundle_by_pt(b, p[1] & RTP_PT_MASK);
    if (side != NULL) {
        bundle_learn(b, ssrc, side);
    }
    return side;
}

/* --- RTCP --- */

struct media_side *media_bundle_receiver(const struct media_bundle *b, uint32_t ssrc)
{
    for (uint8_t i = 0; i < b->n_out; i++) {
        if (b->out[i].ssrc == ssrc) {
            return b->out[i].side;
        }
    }
    return NULL;
}

/* Feedback and reports are about a stream that we send: that tells more than who speaks, as one
 * receiver of a browser speaks for all. */
struct media_side *media_bundle_find_rtcp(struct media_side *at, const struct rtcp_packet *r)
{
    const struct media_bundle *b = at->bundle;
    struct media_side *side = NULL;
    uint32_t sender = r->body >= 8 ? rtp_u32(r->p + 4) : 0;

    if (r->type == RTCP_RTPFB || r->type == RTCP_PSFB) {
        side = media_bundle_receiver(b, rtp_u32(r->p + 8));
    } else if (r->type == RTCP_RR && r->count != 0) {
        side = media_bundle_receiver(b, rtp_u32(r->p + 8));
    } else if (r->type == RTCP_XR && r->body >= 16) { /* its first block (RFC 3611 4) */
        side = media_bundle_receiver(b, rtp_u32(r->p + 12));
    }
    side = side != NULL ? side : bundle_learned(b, sender);
    side = side != NULL ? side : bundle_by_signalled(b, sender);
    return side != NULL ? side : b->member[0].side;
}

/* --- what goes out --- */

static bool bundle_is_free(const struct media_bundle *b, uint32_t ssrc)
{
    return media_bundle_receiver(b, ssrc) == NULL;
}

static bool bundle_add_out(struct media_bundle *b, uint32_t ssrc, struct media_side *to)
{
    if (b->n_out == BUNDLE_LEARNED_MAX) {
        return false;
    }
    b->out[b->n_out].ssrc = ssrc;
    b->out[b->n_out++].side = to;
    return true;
}

/* A stream that was silent so far gets the name that has been out of use for longest: what its
 * stream sends now has another one. */
static bool bundle_replace_out(struct media_bundle *b, uint32_t ssrc, struct media_side *to)
{
    for (uint8_t i = 0; i < b->n_out; i++) {
        const struct media_side *owner = b->out[i].side;

        if (!owner->has_out || owner->out_ssrc != b->out[i].ssrc) {
            b->n_out--;
            memmove(&b->out[i], &b->out[i + 1], (size_t)(b->n_out - i) * sizeof(b->out[0]));
            return bundle_add_out(b, ssrc, to);
        }
    }
    return false;
}

/* No more names fit: the new source goes on as the last one of its stream. */
static bool bundle_rename(struct media_side *to, uint8_t *p)
{
    struct media_side *from = media_side_other(to);
    const struct remap_source *src = media_remap_by_out(from->remap, rtp_ssrc(p));
    uint32_t in_ssrc = src != NULL ? src->in_ssrc : rtp_ssrc(p);
    uint16_t seq = (uint16_t)(to->out_seq + 1);

    if (!to->has_out || !media_remap_continue(from, in_ssrc, rtp_seq(p), to->out_ssrc, seq)) {
        return false;
    }
    rtp_put16(p + 2, seq);
    rtp_put32(p + 8, to->out_ssrc);
    return true;
}

bool media_bundle_claim(struct media_side *to, uint8_t *p)
{
    struct media_bundle *b = to->via->bundle;
    uint32_t ssrc = rtp_ssrc(p), name;
    struct media_side *owner;

    if (LIKELY(to->has_out && to->out_ssrc == ssrc)) {
        return true;
    }
    owner = media_bundle_receiver(b, ssrc);
    if (owner == to) {
        return true;
    }
    if (b->n_out == BUNDLE_LEARNED_MAX && to->has_out) {
        return bundle_rename(to, p);
    }
    if (b->n_out == BUNDLE_LEARNED_MAX && owner == NULL) {
        return bundle_replace_out(b, ssrc, to);
    }
    if (owner == NULL) {
        return bundle_add_out(b, ssrc, to);
    }
    /* Two streams under one name and one key would share their key stream (RFC 3711 9.1). */
    do {
        name = crypto_random_u32();
    } while (!bundle_is_free(b, name));
    if (!media_remap_continue(media_side_other(to), ssrc, rtp_seq(p), name, rtp_seq(p))) {
        return false;
    }
    rtp_put32(p + 8, name);
    return b->n_out < BUNDLE_LEARNED_MAX ? bundle_add_out(b, name, to)
                                         : bundle_replace_out(b, name, to);
}

/* --- members --- */

static struct bundle_member *bundle_member(struct media_bundle *b, const struct media_side *s)
{
    for (uint8_t i = 0; i < b->n; i++) {
        if (b->member[i].side == s) {
            return &b->member[i];
        }
    }
    return NULL;
}

static void bundle_forget(struct media_bundle *b, const struct media_side *s)
{
    uint8_t n = 0;

    for (uint8_t i = 0; i < b->n; i++) {
        if (b->member[i].side != s) {
            b->member[n++] = b->member[i];
        }
    }
    b->n = n;
    b->n_learned = b->next_learned = 0; /* the others are told anew by their next packet */
    n = 0;
    for (uint8_t i = 0; i < b->n_out; i++) {
        if (b->out[i].side != s) {
            b->out[n++] = b->out[i];
        }
    }
    b->n_out = n;
}

/* Who shared a secure transport stays secure, without keys: it neither hears nor is heard until
 * it gets some. */
static void bundle_part(struct bundle_member *m, const struct media_side *leader)
{
    struct media_side *s = m->side;

    s->via = s;
    if (s == leader) {
        return;
    }
    if (leader->sec != NULL && s->sec == NULL) {
        s->sec = m->spare;
        s->sec->was_up = leader->sec->was_up || leader->sec->dtls != NULL;
        media_side_rewire(s);
    } else {
        mem_free(m->spare);
    }
    m->spare = NULL;
}

void media_bundle_leave(struct media_side *s)
{
    struct media_side *leader = s->via;

    if (leader != s) {
        bundle_part(bundle_member(leader->bundle, s), leader);
        bundle_forget(leader->bundle, s);
        return;
    }
    if (s->bundle == NULL) {
        return;
    }
    for (uint8_t i = 0; i < s->bundle->n; i++) {
        bundle_part(&s->bundle->member[i], s);
    }
    mem_free(s->bundle);
    s->bundle = NULL;
}

/* --- a leader that goes --- */

static struct media_side *bundle_heir(const struct media_bundle *b, const struct media_side *leader)
{
    struct media_side *heir = NULL;

    for (uint8_t i = 0; b != NULL && i < b->n; i++) {
        struct media_side *s = b->member[i].side;

        if (s != leader && (heir == NULL || s->stream->index < heir->stream->index)) {
            heir = s;
        }
    }
    return heir;
}

static void bundle_move_flow(struct media_flow *to, struct media_flow *from, struct media_sock *s)
{
    struct media_side *side = to->side;

    *to = *from;
    to->side = side;
    from->fd = -1;
    if (s->fd >= 0) {
        s->flow = to;
    }
}

static void bundle_move_transport(struct media_side *to, struct media_side *from)
{
    bundle_move_flow(&to->rtp, &from->rtp, &from->pair->rtp);
    bundle_move_flow(&to->rtcp, &from->rtcp, &from->pair->rtcp);
    to->realm = from->realm;
    to->pair = from->pair;
    to->local = from->local;
    from->realm = NULL;
    from->pair = NULL;
    from->local = (struct addr){0};
    to->ice = from->ice;
    from->ice = NULL;
    if (to->ice != NULL) {
        to->ice->side = to;
    }
    to->sec = from->sec;
    from->sec = NULL;
    if (to->sec != NULL) {
        media_handshake_move(to->sec, to);
    }
}

void media_bundle_hand_over(struct media_side *leader)
{
    struct media_bundle *b = leader->bundle;
    struct media_side *heir = bundle_heir(b, leader);
    struct media_session *session = leader->stream->session;
    struct bundle_member *m;

    if (heir == NULL || leader->realm == NULL) {
        return;
    }
    m = bundle_member(b, heir);
    mem_free(m->spare);
    m->spare = NULL;
    media_checks_free(heir);
    bundle_move_transport(heir, leader);
    heir->bundle = b;
    leader->bundle = NULL;
    bundle_forget(b, leader);
    for (uint8_t i = 0; i < b->n; i++) {
        b->member[i].side->via = heir;
    }
    media_side_rewire(heir);
    media_side_rewire(leader);
    session->lost = session->lost == leader ? heir : session->lost;
}

/* --- */

static void bundle_put(struct media_bundle *b, struct media_side *s, struct media_secure *spare,
                       const struct media_bundle_key *key)
{
    struct bundle_member *m = bundle_member(b, s);

    m = m != NULL ? m : &b->member[b->n++];
    *m = (struct bundle_member){.side = s, .spare = spare};
    if (key == NULL) {
        return;
    }
    if (key->mid.n != 0 && key->mid.n <= MEDIA_MID_MAX) {
        m->mid_ext_id = key->mid_ext_id;
        b->has_mid_ext = b->has_mid_ext || key->mid_ext_id != 0;
        m->mid_n = (uint8_t)key->mid.n;
        memcpy(m->mid, key->mid.p, key->mid.n);
    }
    m->n_ssrcs = (uint8_t)(key->n < MEDIA_BUNDLE_SSRCS_MAX ? key->n : MEDIA_BUNDLE_SSRCS_MAX);
    if (m->n_ssrcs != 0) {
        memcpy(m->ssrcs, key->ssrcs, m->n_ssrcs * sizeof(m->ssrcs[0]));
    }
}

static int bundle_want(struct media_side *leader)
{
    if (leader->bundle == NULL) {
        leader->bundle = mem_zalloc(sizeof(*leader->bundle));
        if (leader->bundle == NULL) {
            return ENOMEM;
        }
        bundle_put(leader->bundle, leader, NULL, NULL);
    }
    return media_remap_want(media_side_other(leader));
}

/* sd has no ports and no keys of its own from here on. ENOMEM: nothing changed. */
static int bundle_follow(struct media_side *sd, struct media_side *lead,
                         const struct media_bundle_key *key)
{
    struct media_secure *spare;

    if (sd->via == lead) {
        bundle_put(lead->bundle, sd, bundle_member(lead->bundle, sd)->spare, key);
        return 0;
    }
    spare = media_secure_new();
    if (spare == NULL) {
        return ENOMEM;
    }
    media_bundle_leave(sd);
    media_side_unbind(sd);
    media_secure_free(sd);
    media_checks_free(sd);
    sd->via = lead;
    bundle_put(lead->bundle, sd, spare, key);
    return 0;
}

int media_bundle(struct media_session *s, unsigned stream, unsigned side, unsigned leader,
                 const struct media_bundle_key *key)
{
    struct media_side *lead = media_side_of(s, leader, side), *sd = NULL;
    int err;

    if (lead == NULL || lead->realm == NULL) {
        return lead != NULL && lead->via != lead ? EPROTO : ENOENT;
    }
    err = media_stream_want(s, stream);
    if (err != 0) {
        return err;
    }
    sd = media_side_of(s, stream, side);
    if (sd == NULL) {
        return EINVAL;
    }
    if (sd != lead && sd->bundle != NULL && sd->bundle->n > 1) {
        return EPROTO;
    }
    err = bundle_want(lead);
    if (err == 0) {
        err = media_remap_want(media_side_other(sd));
    }
    if (err == 0 && sd != lead) {
        err = bundle_follow(sd, lead, key);
    } else if (err == 0) {
        bundle_put(lead->bundle, sd, NULL, key);
    }
    if (err == 0) {
        media_silence_arm(s);
    }
    return err;
}

unsigned media_bundle_leader(const struct media_session *s, unsigned stream, unsigned side)
{
    const struct media_side *sd = media_side_of(s, stream, side);

    return sd != NULL ? sd->via->stream->index : stream;
}
