/* call_sdp.c - one side's description written for the other, and what it means for the relay.
 * Offers open ports; only answers change where media goes (RFC 3264 6, 8). */
#include "call/call_int.h"

#define MEDIA_PORT_FLOOR 1024 /* attacks.md 32: no media to well-known services */

/* An address that would make us talk to ourselves. */
static bool is_own_media(const struct call *c, const struct addr *a)
{
    for (size_t i = 0; i < c->cfg->n_listeners; i++) {
        const struct config_listener *ls = &c->cfg->listeners[i];
        bool ours = addr_eq_ip(a, &ls->address) || addr_eq_ip(a, &ls->advertise);

        if (ours && addr_port(a) >= ls->rtp_min && addr_port(a) <= ls->rtp_max) {
            return true;
        }
    }
    return false;
}

static bool is_hostile(const struct call *c, const struct leg *from, const struct addr *a)
{
    if (!sdp_addr_is_usable(a) || is_own_media(c, a) || addr_port(a) < MEDIA_PORT_FLOOR) {
        return true;
    }
    return addr_is_loopback(a) && !addr_is_loopback(&from->dlg.flow.remote);
}

static bool stream_is_ours(const struct call *c, const struct leg *from, const struct sdp_stream *s)
{
    if (s->port == 0 || s->conn_is_name) {
        return false;
    }
    if (!sdp_proto_is_plain(s->proto) && s->proto != SDP_UDPTL) {
        return false;
    }
    return s->conn_is_hold || !is_hostile(c, from, &s->conn);
}

static int family_of(const struct call *c, const struct leg *l)
{
    return addr_family(&c->cfg->listeners[l->listener].address);
}

static enum media_kind kind_of(const struct sdp_stream *s)
{
    return s->proto == SDP_UDPTL ? MEDIA_DATAGRAM : MEDIA_RTP;
}

static void on_silence(struct media_session *s, unsigned stream, unsigned side, void *arg)
{
    struct call *c = arg;

    (void)s;
    log_info(&c->log, "no media on stream %u from the %s", stream, side == 0 ? "caller" : "callee");
    call_end(c, "media", "no media", 0);
}

static uint16_t open_stream(struct call *c, unsigned i, const struct sdp_stream *s,
                            const struct leg *from, const struct leg *to, const char **why)
{
    int err = media_open(c->media, i, from->side, kind_of(s), from->listener, family_of(c, from));

    if (err == 0) {
        err = media_open(c->media, i, to->side, kind_of(s), to->listener, family_of(c, to));
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

static void fill_out(const struct call *c, const struct leg *to, const struct sdp *s,
                     struct sdp_out_stream *out)
{
    const struct config_listener *ls = &c->cfg->listeners[to->listener];

    for (unsigned i = 0; i < s->n_streams; i++) {
        struct addr local;

        if (out[i].refuse) {
            continue;
        }
        media_local(c->media, i, to->side, &local);
        out[i].rtp = ls->advertise;
        addr_set_port(&out[i].rtp, addr_port(&local));
        if (s->streams[i].proto != SDP_UDPTL) {
            out[i].rtcp_port = (uint16_t)(addr_port(&local) + 1);
        }
    }
}

static uint16_t write_for(struct call *c, const struct sdp *s, const struct sdp *offer,
                          struct leg *to, const struct sdp_out_stream *out, const char **why)
{
    int err;

    buf_reset(&c->t->body);
    err = sdp_write(&c->t->body,
                    &(struct sdp_write_params){.from = s,
                                               .offer = offer,
                                               .streams = out,
                                               .origin = c->cfg->listeners[to->listener].advertise,
                                               .face = &to->face});
    if (err != 0) {
        *why = err == EPROTO ? "answer does not match the offer" : "description is too big";
        return 488;
    }
    return 0;
}

uint16_t call_bridge_offer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                           const char **why)
{
    struct sdp s;
    struct sdp_out_stream out[SDP_STREAMS_MAX] = {0};
    unsigned usable = 0;

    if (sdp_parse(body, &s, why) != 0) {
        return 488;
    }
    if (c->media == NULL && media_session_new(&c->media, c->t->p.media, on_silence, c) != 0) {
        *why = "out of memory";
        return 503;
    }
    for (unsigned i = 0; i < s.n_streams; i++) {
        out[i].refuse = !stream_is_ours(c, from, &s.streams[i]);
        usable += out[i].refuse ? 0 : 1;
    }
    if (usable == 0 && c->state != CALL_ANSWERED) {
        *why = "no media stream that we can carry";
        return 488;
    }
    for (unsigned i = 0; i < s.n_streams; i++) {
        uint16_t status = out[i].refuse ? 0 : open_stream(c, i, &s.streams[i], from, to, why);

        if (status != 0) {
            return status;
        }
    }
    fill_out(c, to, &s, out);
    return write_for(c, &s, NULL, to, out, why);
}

/* early: nobody is bound to send before the call is answered, so silence means nothing yet. */
static void point_media(struct call *c, unsigned i, const struct leg *l, const struct sdp_stream *s,
                        bool early)
{
    struct media_remote r = {
        .rtp = s->conn,
        .rtcp = s->rtcp_conn,
        .signalling = l->dlg.flow.remote,
        .mux = false,
        .may_send = !early && (s->dir == SDP_SENDRECV || s->dir == SDP_SENDONLY),
        .may_receive = (s->dir == SDP_SENDRECV || s->dir == SDP_RECVONLY) && !s->conn_is_hold};

    if (is_hostile(c, l, &s->rtcp_conn) ||
        (l->party.kind == POLICY_USERS && !addr_eq_ip(&s->rtcp_conn, &s->conn))) {
        r.rtcp.u.sa.sa_family = AF_UNSPEC; /* a=rtcp must not aim us at a third party */
    }
    if (s->conn_is_hold) {
        r.rtp.u.sa.sa_family = AF_UNSPEC;
        r.rtcp.u.sa.sa_family = AF_UNSPEC;
    }
    /* A device behind NAT writes an address that is not its own to reach: nothing is sent to an
     * address of an untrusted party that is not where its signalling comes from (attacks.md 32). */
    r.wait_for_source = l->party.kind == POLICY_USERS && !addr_eq_ip(&s->conn, &l->dlg.flow.remote);
    media_set_remote(c->media, i, l->side, &r);
}

uint16_t call_bridge_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                            const char **why)
{
    struct sdp answer, offer;
    struct sdp_out_stream out[SDP_STREAMS_MAX] = {0};
    uint16_t status;

    if (c->offer == NULL || sdp_parse(sl_make(c->offer, c->offer_n), &offer, why) != 0 ||
        sdp_parse(body, &answer, why) != 0) {
        *why = *why != NULL ? *why : "no offer to answer";
        return 488;
    }
    for (unsigned i = 0; i < answer.n_streams; i++) {
        out[i].refuse = i >= offer.n_streams || offer.streams[i].port == 0 ||
                        !stream_is_ours(c, from, &answer.streams[i]) ||
                        !media_is_open(c->media, i, to->side);
    }
    fill_out(c, to, &answer, out);
    status = write_for(c, &answer, &offer, to, out, why);
    if (status != 0) {
        return status;
    }
    for (unsigned i = 0; i < answer.n_streams; i++) {
        if (out[i].refuse) {
            if (from->state >= LEG_CONFIRMED) { /* an early refusal binds no other fork */
                media_close(c->media, i);
            }
            continue;
        }
        point_media(c, i, to, &offer.streams[i], from->state < LEG_CONFIRMED);
        point_media(c, i, from, &answer.streams[i], from->state < LEG_CONFIRMED);
    }
    c->n_streams = answer.n_streams;
    return 0;
}

int call_keep_offer(struct call *c, const struct leg *from, struct sl body)
{
    call_drop_offer(c);
    c->offer = mem_strndup(body.p, body.n);
    c->offer_n = c->offer != NULL ? body.n : 0;
    c->offer_side = from->side;
    return c->offer != NULL ? 0 : ENOMEM;
}

void call_drop_offer(struct call *c)
{
    mem_free(c->offer);
    c->offer = NULL;
    c->offer_n = 0;
}
