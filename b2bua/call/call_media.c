/* call_media.c - what an agreement means for the relay: ports, addresses, keys, payload types. */
#include "call/call_int.h"

#define MEDIA_PORT_FLOOR 1024 /* attacks.md 32: no media to well-known services */

/* Nothing of ours is a place for media, whatever its port: SIP, the API and the relay would hear it
 * from ourselves (attacks.md 32, 84). A peer on this very host, also by loopback, may have its
 * media there as well, but not on ports of the relay. */
static bool is_own_media(const struct call *c, const struct leg *from, const struct addr *a)
{
    bool is_neighbour = addr_is_loopback(a) || addr_eq_ip(a, &from->dlg.flow.remote);

    for (size_t i = 0; i < c->cfg->n_listeners; i++) {
        const struct config_listener *ls = &c->cfg->listeners[i];
        bool ours = addr_eq_ip(a, &ls->address) || addr_eq_ip(a, &ls->advertise) ||
                    addr_eq_ip(a, call_advertised(c, (uint8_t)i));

        if (ours &&
            (!is_neighbour || (addr_port(a) >= ls->rtp_min && addr_port(a) <= ls->rtp_max))) {
            return true;
        }
    }
    return false;
}

bool media_is_hostile(const struct call *c, const struct leg *from, const struct addr *a)
{
    if (!sdp_addr_is_usable(a) || addr_is_link_local(a) || is_own_media(c, from, a) ||
        addr_port(a) < MEDIA_PORT_FLOOR) {
        return true;
    }
    return addr_is_loopback(a) && !addr_is_loopback(&from->dlg.flow.remote);
}

static enum media_kind media_kind_of(enum sdp_proto p)
{
    return p == SDP_UDPTL ? MEDIA_DATAGRAM : MEDIA_RTP;
}

static int family_of(const struct call *c, const struct leg *l)
{
    return addr_family(&c->cfg->listeners[l->listener].address);
}

void call_on_silence(struct media_session *s, unsigned stream, unsigned side, void *arg)
{
    struct call *c = arg;

    (void)s;
    log_info(&c->log, "no media on stream %u from the %s: %s", stream,
             side == 0 ? "caller" : "callee",
             media_diagnosis_text(media_diagnose(c->media, stream, side)));
    call_end(c, "media", "no media", 0);
}

/* --- ports --- */

/* It has no ports of its own while it shares those of another stream. */
static bool is_follower(const struct leg *l, unsigned i)
{
    return media_bundle_leader(l->call->media, i, l->side) != i;
}

static int open_side(struct call *c, unsigned i, const struct leg *l, enum media_kind kind)
{
    return media_open(c->media, i, l->side, kind, l->listener, family_of(c, l));
}

/* The kind changes with the answer: an offer that is refused must leave the old one running. */
static enum media_kind kind_for_now(const struct leg *l, unsigned i, enum sdp_proto offered)
{
    return leg_security(l, i) != NEGO_OPEN ? media_kind_of(l->nego.streams[i].proto)
                                           : media_kind_of(offered);
}

uint16_t media_open_stream(struct call *c, unsigned i, const struct leg *from, const struct leg *to,
                           const char **why)
{
    const struct sdp *s = &c->t->room->from;
    enum media_kind kind = kind_for_now(from, i, s->streams[i].proto);
    int err = is_follower(from, i) ? 0 : open_side(c, i, from, kind);

    if (err == 0 && !is_follower(to, i)) {
        err = open_side(c, i, to, kind);
    }
    if (err == 0) {
        return 0;
    }
    *why = err == ENOBUFS                   ? "media port range exhausted"
           : err == EMFILE || err == ENFILE ? "out of descriptors"
                                            : "media ports cannot be opened";
    if (err == ENOBUFS) {
        log_warn(&c->log, "media port range of listener %s or %s is exhausted",
                 c->cfg->listeners[from->listener].name, c->cfg->listeners[to->listener].name);
    }
    return 503;
}

int media_part_stream(struct call *c, unsigned i, const struct leg *to)
{
    return is_follower(to, i)
               ? open_side(c, i, to, media_kind_of(c->t->room->offer.streams[i].proto))
               : 0;
}

/* --- addresses --- */

/* early: nobody is bound to send before the call is answered, so silence means nothing yet. */
static void point_media(struct call *c, unsigned i, const struct leg *l, const struct sdp_stream *s,
                        const struct nego_take *t, bool early)
{
    struct media_remote r = {
        .rtp = s->conn,
        .rtcp = s->rtcp_conn,
        .signalling = l->dlg.flow.remote,
        .mux = t->mux,
        .avpf = sdp_proto_has_feedback(s->proto),
        .may_send = !early && (s->dir == SDP_SENDRECV || s->dir == SDP_SENDONLY),
        .may_receive = (s->dir == SDP_SENDRECV || s->dir == SDP_RECVONLY) && !s->conn_is_hold};
    bool is_user = l->party.kind == POLICY_USERS;
    bool is_hidden = addr_is_private(&s->conn) && !addr_is_private(&l->dlg.flow.remote);

    if (media_is_hostile(c, l, &s->rtcp_conn) ||
        (is_user && !addr_eq_ip(&s->rtcp_conn, &s->conn))) {
        r.rtcp.u.sa.sa_family = AF_UNSPEC; /* a=rtcp must not aim us at a third party */
    }
    if (s->conn_is_hold || (t->ice && media_is_hostile(c, l, &s->conn))) {
        r.rtp.u.sa.sa_family = AF_UNSPEC;
        r.rtcp.u.sa.sa_family = AF_UNSPEC;
    }
    /* A device behind NAT writes an address that is not its own to reach: nothing is sent to an
     * address of an untrusted party that is not where its signalling comes from (attacks.md 32). */
    r.wait_for_source = is_hidden || (is_user && !addr_eq_ip(&s->conn, &l->dlg.flow.remote));
    media_set_remote(c->media, i, l->side, &r);
}

/* --- keys and ICE --- */

static int set_dtls(struct call *c, const struct leg *l, const struct sdp *s, unsigned i,
                    const struct nego_take *t)
{
    struct media_dtls_params p = {.role = t->setup == SDP_ACTIVE ? MEDIA_DTLS_ACTIVE
                                                                 : MEDIA_DTLS_PASSIVE};
    int err = sdp_fingerprints(s, i, p.fingerprints, &p.n);

    return err != 0 ? err : media_set_dtls(c->media, i, l->side, &p);
}

static int set_ice(struct call *c, const struct leg *l, const struct sdp *s, unsigned i,
                   const struct nego_take *t)
{
    struct sdp_ice ice;

    if (t->ice && sdp_ice(s, i, &ice)) {
        return media_set_ice(c->media, i, l->side, ice.ufrag, ice.pwd);
    }
    return i < l->nego.n && l->nego.streams[i].ice
               ? media_set_ice(c->media, i, l->side, SL_NULL, SL_NULL)
               : 0;
}

static int set_keys(struct call *c, const struct leg *l, const struct sdp *s, unsigned i,
                    const struct nego_take *t)
{
    switch (t->security) {
    case NEGO_SDES:
        return media_set_sdes(c->media, i, l->side, &t->tx, &t->rx);
    case NEGO_DTLS:
        return set_dtls(c, l, s, i, t);
    default:
        return media_set_sdes(c->media, i, l->side, NULL, NULL);
    }
}

/* --- one leg's part of an agreement --- */

struct side_plan {
    struct leg *leg;
    const struct sdp *said; /* theirs */
    const struct nego_take *takes;
    bool is_offerer;
};

static bool follows(const struct bridge_room *room, const struct side_plan *p, unsigned i)
{
    return p->is_offerer ? room->out[i].is_bundled && room->out[i].leader != i
                         : is_follower(p->leg, i);
}

static int bundle_stream(struct call *c, const struct side_plan *p, unsigned i, unsigned leader)
{
    uint32_t ssrcs[SDP_SSRCS_MAX];
    struct media_bundle_key key = {
        .ssrcs = ssrcs, .n = sdp_ssrcs(p->said, i, ssrcs), .mid_ext_id = sdp_mid_ext(p->said, i)};

    if (!sdp_mid(p->said, i, &key.mid)) {
        key.mid = SL_NULL;
    }
    return media_bundle(c->media, i, p->leg->side, leader, &key);
}

/* Who is alone in its group has nobody to be told from. */
static bool has_others(const struct bridge_room *room, unsigned leader)
{
    for (unsigned i = 0; i < room->from.n_streams; i++) {
        if (i != leader && !room->out[i].refuse && room->out[i].is_bundled &&
            room->out[i].leader == leader) {
            return true;
        }
    }
    return false;
}

/* Leaders first: the others follow what must be there. Who follows already may have new names. */
static int bundle_streams(struct call *c, const struct side_plan *p)
{
    const struct bridge_room *room = c->t->room;
    int err = 0;

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < p->said->n_streams && err == 0; i++) {
            const struct sdp_out_stream *out = &room->out[i];

            if (!out->refuse && out->is_bundled && (out->leader == i) == (pass == 0) &&
                has_others(room, out->leader)) {
                err = bundle_stream(c, p, i, out->leader);
            }
        }
    }
    return err;
}

static void remember_stream(const struct bridge_room *room, const struct side_plan *p, unsigned i)
{
    struct nego_stream *n = &p->leg->nego.streams[i];
    const struct nego_take *t = &p->takes[i];
    struct sl mid;

    n->security = t->security;
    p->leg->nego.was_secure = p->leg->nego.was_secure || t->security > NEGO_CLEAR;
    n->proto = p->said->streams[i].proto;
    n->setup = t->setup;
    n->mux = t->mux;
    n->ice = t->ice;
    n->ice_id = t->ice ? nego_ice_id(p->said, i) : 0;
    n->tag = t->tag;
    n->tx = t->tx;
    n->rx = t->rx;
    codec_names(&room->from, i, room->map[i], room->n_map[i], n->codecs);
    if (!p->is_offerer) {
        return; /* BUNDLE is theirs to offer */
    }
    n->mid_n = 0;
    if (sdp_mid(p->said, i, &mid)) {
        n->mid_n = (uint8_t)mid.n;
        memcpy(n->mid, mid.p, mid.n);
    }
    n->is_bundled = room->out[i].is_bundled;
    n->mid_ext = room->out[i].mid_ext;
    n->leader = room->out[i].leader;
}

/* Addresses first, so that a handshake begins at the new ones. What fails half-way is silent: it
 * must not go on in clear. */
static int describe_side(struct call *c, const struct side_plan *p, unsigned i, bool early)
{
    const struct nego_take *t = &p->takes[i];
    int err = set_ice(c, p->leg, p->said, i, t);

    if (err != 0) {
        return err;
    }
    point_media(c, i, p->leg, &p->said->streams[i], t, early);
    err = set_keys(c, p->leg, p->said, i, t);
    if (err != 0) {
        media_side_reset(c->media, i, p->leg->side);
    }
    return err;
}

static int commit_stream(struct call *c, const struct side_plan *p, unsigned i, bool early)
{
    const struct bridge_room *room = c->t->room;
    uint8_t dscp = leg_profile(p->leg)->dscp;
    bool rekeyed = p->takes[i].security == NEGO_SDES &&
                   (leg_security(p->leg, i) != NEGO_SDES ||
                    !srtp_key_equal(&p->leg->nego.streams[i].tx, &p->takes[i].tx));
    int err = 0;

    if (!follows(room, p, i)) {
        err = open_side(c, i, p->leg, media_kind_of(p->said->streams[i].proto));
        if (err == 0) {
            err = describe_side(c, p, i, early);
        }
        if (err == 0 && media_set_dscp(c->media, i, p->leg->side, dscp) != 0) {
            log_debug(&p->leg->log, "DSCP could not be set");
        }
    } else {
        point_media(c, i, p->leg, &p->said->streams[i], &p->takes[i], early);
    }
    if (err != 0) {
        return err;
    }
    remember_stream(room, p, i);
    if (rekeyed) {
        leg_keyed(p->leg);
    }
    return 0;
}

static int keep_description(struct leg *l, const struct sdp *s)
{
    char *copy = mem_strndup(s->body.p, s->body.n);

    if (copy == NULL) {
        return ENOMEM;
    }
    nego_forget(&l->nego);
    l->nego.theirs = copy;
    l->nego.theirs_n = s->body.n;
    return 0;
}

static int commit_side(struct call *c, const struct side_plan *p, bool early)
{
    const struct bridge_room *room = c->t->room;
    int err = nego_grow(&p->leg->nego, p->said->n_streams);

    if (err == 0 && p->is_offerer) {
        err = bundle_streams(c, p);
    }
    for (unsigned i = 0; i < p->said->n_streams && err == 0; i++) {
        if (!room->out[i].refuse) {
            err = commit_stream(c, p, i, early);
        } else if (!early) {
            p->leg->nego.streams[i].security = NEGO_OPEN;
        }
    }
    for (unsigned i = p->said->n_streams; i < p->leg->nego.n && !early; i++) {
        p->leg->nego.streams[i].security = NEGO_OPEN;
    }
    /* Only what is final: other forks may still answer the same offer. */
    return err == 0 && !early ? keep_description(p->leg, p->said) : err;
}

static int commit_formats(struct call *c, struct leg *from, struct leg *to)
{
    const struct bridge_room *room = c->t->room;
    int err = 0;

    for (unsigned i = 0; i < room->from.n_streams && err == 0; i++) {
        if (room->out[i].refuse || !sdp_proto_is_rtp(room->from.streams[i].proto)) {
            continue;
        }
        err = codec_set_media(c,
                              &(struct codec_answer){.from = from,
                                                     .to = to,
                                                     .answer = &room->from,
                                                     .offer = &room->offer,
                                                     .stream = i,
                                                     .offered = room->offered[i],
                                                     .n_offered = room->n_offered[i]},
                              room->map[i], room->n_map[i]);
    }
    return err;
}

/* Another device answers than the one that answered early: nothing of that one's is left. */
static void meet(struct call *c, const struct leg *callee)
{
    bool is_other = c->described != 0 && c->described != callee->index;

    for (unsigned i = 0; is_other && i < MEDIA_STREAMS_MAX; i++) {
        media_side_reset(c->media, i, callee->side);
    }
    c->described = callee->index;
}

uint16_t media_commit(struct call *c, struct leg *from, struct leg *to, bool early,
                      const char **why)
{
    struct bridge_room *room = c->t->room;
    struct side_plan offerer = {to, &room->offer, room->asked, true};
    struct side_plan answerer = {from, &room->from, room->told, false};
    int err;

    for (unsigned i = 0; i < MEDIA_STREAMS_MAX && !early; i++) {
        if (i >= room->from.n_streams || room->out[i].refuse) {
            figures_keep(c, i);
            media_close(c->media, i);
        }
    } /* an early refusal binds no other fork */
    meet(c, from->side == 1 ? from : to);
    err = commit_side(c, &offerer, early);
    if (err == 0) {
        err = commit_side(c, &answerer, early);
    }
    if (err == 0) {
        err = commit_formats(c, from, to);
    }
    c->n_streams = room->from.n_streams;
    *why = err == 0        ? *why
           : err == EPROTO ? "SRTP key is used twice, or media turned from secure to plain"
                           : "media cannot be set up";
    return err == 0 ? 0 : err == EPROTO ? 488 : 500;
}
