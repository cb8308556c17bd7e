/* call_sdp.c - one side's description written for the other. Offers open ports; only answers change
 * where media goes and under which keys (RFC 3264 6, 8). */
#include "call/call_int.h"

/* As many streams as were looked at; the rest has been clean since before. */
static void room_wipe(struct bridge_room *room)
{
    unsigned n = room->from.n_streams;

    mem_wipe(room->asked, n * sizeof(room->asked[0]));
    mem_wipe(room->told, n * sizeof(room->told[0]));
    mem_wipe(room->crypto, n * sizeof(room->crypto[0]));
}

/* With ICE the address comes from checks, and what is written there is for others (RFC 8839 4.3.1);
 * host names are never looked up (attacks.md 33). */
static bool stream_is_ours(const struct call *c, const struct leg *from, const struct sdp_stream *s,
                           bool ice)
{
    if (s->port == 0 || (!sdp_proto_is_rtp(s->proto) && s->proto != SDP_UDPTL)) {
        return false;
    }
    return ice || (!s->conn_is_name && (s->conn_is_hold || !media_is_hostile(c, from, &s->conn)));
}

/* NULL: the leg has said nothing yet. */
static const struct sdp *what_it_said(struct bridge_room *room, const struct leg *l)
{
    const char *why;

    if (l->nego.theirs == NULL ||
        sdp_parse(sl_make(l->nego.theirs, l->nego.theirs_n), &room->known, &why) != 0) {
        return NULL;
    }
    return &room->known;
}

static void fill_stream(const struct call *c, const struct leg *to, unsigned i, bool has_rtcp,
                        struct sdp_out_stream *out)
{
    struct addr local;

    media_local(c->media, i, to->side, &local);
    out->rtp = *call_advertised(c, to->listener);
    addr_set_port(&out->rtp, addr_port(&local));
    if (has_rtcp) {
        out->rtcp_port = (uint16_t)(addr_port(&local) + 1);
    }
}

static void fill_out(const struct call *c, const struct leg *to, const struct sdp *s,
                     struct sdp_out_stream *out)
{
    for (unsigned i = 0; i < s->n_streams; i++) {
        if (!out[i].refuse) {
            fill_stream(c, to, i, s->streams[i].proto != SDP_UDPTL, &out[i]);
        }
    }
}

static uint16_t write_for(struct call *c, const struct sdp *offer, struct leg *to, const char **why)
{
    struct bridge_room *room = c->t->room;
    int err;

    buf_reset(&c->t->body);
    err = sdp_write(&c->t->body,
                    &(struct sdp_write_params){.from = &room->from,
                                               .offer = offer,
                                               .streams = room->out,
                                               .origin = *call_advertised(c, to->listener),
                                               .face = &to->face});
    if (err != 0) {
        *why = err == EPROTO ? "answer does not match the offer" : "description is too big";
        return 488;
    }
    return 0;
}

/* --- offers --- */

/* In a call whatever was carried and is no longer acceptable refuses the whole: the session stays
 * as it was (RFC 3264 8). Elsewhere a stream is refused by itself. */
static bool refuse_stream(struct call *c, const struct leg *l, unsigned i)
{
    c->t->room->out[i].refuse = true;
    return leg_security(l, i) != NEGO_OPEN && c->state == CALL_ANSWERED;
}

static uint16_t read_offer(struct call *c, const struct leg *from, const char **why)
{
    struct bridge_room *room = c->t->room;

    for (unsigned i = 0; i < room->from.n_streams; i++) {
        const struct sdp_stream *st = &room->from.streams[i];
        const char *what = NULL;

        if (st->port == 0) {
            room->out[i].refuse = true;
        } else if (!nego_take_offer(from, &room->from, i, &room->asked[i], &what)) {
            *why = *why != NULL ? *why : what;
            if (refuse_stream(c, from, i)) {
                *why = what;
                return 488;
            }
        } else if (!stream_is_ours(c, from, st, room->asked[i].ice)) {
            room->out[i].refuse = true;
        }
    }
    return 0;
}

/* Who has our offer may begin its handshake before its answer is here (RFC 5763 5): that one is
 * kept until the answer says whose it is. Not while another fork is heard early on the same port.
 */
static int expect_handshake(struct call *c, const struct leg *to, unsigned i,
                            const struct sdp_out_stream *out)
{
    static const struct media_dtls_params anybody = {.role = MEDIA_DTLS_PASSIVE};
    bool is_met = to->side == 1 && c->described != 0 && c->state != CALL_ANSWERED;

    if (out->fingerprint.n == 0 || is_met || leg_security(to, i) != NEGO_OPEN) {
        return 0;
    }
    return media_set_dtls(c->media, i, to->side, &anybody);
}

/* One stream as leg `to` is offered it. 0, or a status that refuses the whole. */
static uint16_t make_offer(struct call *c, const struct leg *from, struct leg *to, unsigned i,
                           const struct sdp *known, const char **why)
{
    struct bridge_room *room = c->t->room;
    struct sdp_out_stream *out = &room->out[i];
    const char *what = NULL;
    int err = nego_offer(to, &room->from, i, out, room->crypto[i], &what);

    if (err == 0 && sdp_proto_is_rtp(out->proto)) {
        out->n_formats = codec_map_offer(from, to, &room->from, known, i, room->offered[i]);
        out->formats = room->offered[i];
        if (out->n_formats == 0) {
            what = "no codec that the media profiles allow";
            err = EPERM;
        }
    }
    if (err == 0) {
        err = expect_handshake(c, to, i, out);
    }
    if (err == ENOMEM) {
        *why = "out of memory";
        return 503;
    }
    if (err != 0) {
        *why = what;
        return refuse_stream(c, to, i) ? 488 : 0;
    }
    return 0;
}

static unsigned count_usable(const struct bridge_room *room)
{
    unsigned n = 0;

    for (unsigned i = 0; i < room->from.n_streams; i++) {
        n += room->out[i].refuse ? 0 : 1;
    }
    return n;
}

static uint16_t open_streams(struct call *c, struct leg *from, struct leg *to, const char **why)
{
    struct bridge_room *room = c->t->room;

    for (unsigned i = 0; i < room->from.n_streams; i++) {
        uint16_t status = room->out[i].refuse ? 0 : media_open_stream(c, i, from, to, why);

        if (status != 0) {
            return status;
        }
    }
    return 0;
}

static uint16_t bridge_offer(struct call *c, struct leg *from, struct leg *to, const char **why)
{
    static const char *const nothing = "no media stream that we can carry";
    struct bridge_room *room = c->t->room;
    const struct sdp *known = what_it_said(room, to);
    uint16_t status;

    if (known != NULL) {
        sdp_fill_up(&room->from, known); /* some leave out what was refused before */
    }
    status = read_offer(c, from, why);
    if (status != 0) {
        return status;
    }
    if (count_usable(room) == 0 && c->state != CALL_ANSWERED) {
        *why = *why != NULL ? *why : nothing;
        return 488;
    }
    status = open_streams(c, from, to, why);
    if (status != 0) {
        return status;
    }
    fill_out(c, to, &room->from, room->out);
    for (unsigned i = 0; i < room->from.n_streams && status == 0; i++) {
        status = room->out[i].refuse ? 0 : make_offer(c, from, to, i, known, why);
    }
    if (status == 0 && count_usable(room) == 0 && c->state != CALL_ANSWERED) {
        *why = *why != NULL ? *why : nothing;
        status = 488;
    }
    return status != 0 ? status : write_for(c, NULL, to, why);
}

uint16_t call_bridge_offer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                           const char **why)
{
    struct bridge_room *room = c->t->room;
    uint16_t status;

    *why = NULL;
    memset(room->out, 0, sizeof(room->out));
    if (sdp_parse(body, &room->from, why) != 0) {
        return 488;
    }
    *why = NULL;
    if (c->media == NULL) {
        if (media_session_new(&c->media, c->t->p.media, call_on_silence, c) != 0) {
            *why = "out of memory";
            return 503;
        }
        media_set_dtmf_handler(c->media, call_on_digit, c);
    }
    status = bridge_offer(c, from, to, why);
    room_wipe(room);
    return status;
}

/* --- answers --- */

/* Devices that know no video leave its line out instead of refusing it. What is missing at the end
 * is written as they should have (RFC 3264 6): port 0. In offers sdp_fill_up() does that. */
static struct sl refuse_missing(struct call *c, struct sl body, unsigned n, const struct sdp *like)
{
    struct buf *b = &c->t->padded;

    buf_reset(b);
    buf_putsl(b, body);
    buf_puts(b, sl_ends(body, SL("\n")) ? "" : "\r\n");
    for (unsigned i = n; i < like->n_streams; i++) {
        const struct sdp_stream *s = &like->streams[i];

        buf_putf(b, "m=%.*s 0 %.*s %.*s\r\n", SL_ARG(s->media), SL_ARG(s->proto_text),
                 SL_ARG(s->formats));
    }
    return buf_err(b) == 0 ? buf_sl(b) : body;
}

static void padded_wipe(struct call *c)
{
    struct buf *b = &c->t->padded;

    if (b->n != 0) {
        mem_wipe(b->p, b->n);
    }
    buf_reset(b);
}

static uint16_t parse_answer(struct call *c, struct sl body, const char **why)
{
    struct bridge_room *room = c->t->room;

    memset(room->out, 0, sizeof(room->out));
    if (c->offer == NULL) {
        *why = "no offer to answer";
        return 488;
    }
    if (sdp_parse(sl_make(c->offer, c->offer_n), &room->offer, why) != 0 ||
        sdp_parse(body, &room->from, why) != 0) {
        return 488;
    }
    if (room->from.n_streams != 0 && room->from.n_streams < room->offer.n_streams) {
        body = refuse_missing(c, body, room->from.n_streams, &room->offer);
        return sdp_parse(body, &room->from, why) == 0 ? 0 : 488;
    }
    return 0;
}

/* As many m-lines as there were in the offer, and refused ones where we filled it up. */
static uint16_t match_answer(struct bridge_room *room, const char **why)
{
    struct sdp *answer = &room->from;
    unsigned n = room->offer.n_streams, most = n;
    bool fits;

    if (room->before != NULL && room->before->n_streams > n) {
        most = room->before->n_streams;
    }
    fits = answer->n_streams >= n && answer->n_streams <= most;
    for (unsigned i = n; fits && i < answer->n_streams; i++) {
        fits = answer->streams[i].port == 0;
    }
    if (!fits) {
        *why = "answer does not match the offer";
        return 488;
    }
    answer->n_streams = (uint8_t)n;
    return 0;
}

/* What both sides said of one stream. 0 or a status; out.refuse: there is no such stream. */
static uint16_t read_answer(struct call *c, struct leg *from, struct leg *to, unsigned i,
                            const char **why)
{
    struct bridge_room *room = c->t->room;
    const struct sdp_stream *o = &room->offer.streams[i], *a = &room->from.streams[i];
    const char *ignored;

    if (o->port == 0 || a->port == 0 || !media_is_open(c->media, i, to->side) ||
        !nego_take_offer(to, &room->offer, i, &room->asked[i], &ignored) ||
        !stream_is_ours(c, to, o, room->asked[i].ice)) {
        room->out[i].refuse = true;
        return 0;
    }
    if (!nego_take_answer(from, &room->from, i, &room->told[i], why)) {
        return 488;
    }
    room->out[i].refuse = !stream_is_ours(c, from, a, room->told[i].ice);
    return 0;
}

static uint16_t map_answer(struct call *c, struct leg *from, struct leg *to, unsigned i,
                           const char **why)
{
    struct bridge_room *room = c->t->room;
    struct sdp_out_stream *out = &room->out[i];

    if (out->refuse || !sdp_proto_is_rtp(room->from.streams[i].proto)) {
        return 0;
    }
    room->n_offered[i] = codec_map_offer(to, from, &room->offer, room->before, i, room->offered[i]);
    room->n_map[i] = codec_map_answer(&(struct codec_answer){.from = from,
                                                             .to = to,
                                                             .answer = &room->from,
                                                             .offer = &room->offer,
                                                             .stream = i,
                                                             .offered = room->offered[i],
                                                             .n_offered = room->n_offered[i]},
                                      room->map[i]);
    out->formats = room->map[i];
    out->n_formats = room->n_map[i];
    *why = "the answer has no codec that was offered";
    return room->n_map[i] != 0 ? 0 : 488;
}

/* A peer that starts ICE anew gets new credentials of ours (RFC 8839 4.4.1.1.1). */
static int restart_ice(struct call *c, const struct leg *to, unsigned i)
{
    const struct bridge_room *room = c->t->room;

    if (i >= to->nego.n || !to->nego.streams[i].ice || !room->asked[i].ice ||
        to->nego.streams[i].ice_id == nego_ice_id(&room->offer, i)) {
        return 0;
    }
    return media_ice_restart(c->media, i, to->side);
}

/* A stream follows no longer: it gets ports now, not with the offer, which may be refused. */
static int part_stream(struct call *c, struct leg *to, unsigned i)
{
    struct bridge_room *room = c->t->room;
    struct sdp_out_stream *out = &room->out[i];
    int err = media_part_stream(c, i, to);

    fill_stream(c, to, i, !room->asked[i].mux && room->from.streams[i].proto != SDP_UDPTL, out);
    return err != 0 ? err : nego_answer_ice(to, &room->offer, i, out);
}

/* Who leads, who follows, and who follows no longer. A transport whose leader ends now goes on with
 * the next one, see media_close(). 0 or as media_open(). */
static int answer_bundles(struct call *c, struct leg *to, bool early)
{
    struct bridge_room *room = c->t->room;
    bool has_heir[SDP_STREAMS_MAX] = {false};
    int err = 0;

    nego_answer_bundles(to, &room->offer, room->asked, room->out);
    for (unsigned i = 0; i < room->offer.n_streams && err == 0; i++) {
        struct sdp_out_stream *out = &room->out[i];
        unsigned led_by = media_bundle_leader(c->media, i, to->side);

        if (out->refuse || (out->is_bundled && out->leader != i) || led_by == i) {
            continue;
        }
        if (early || !room->out[led_by].refuse || has_heir[led_by]) {
            err = part_stream(c, to, i);
        } else {
            has_heir[led_by] = true;
        }
    }
    for (unsigned i = 0; i < room->offer.n_streams; i++) {
        struct sdp_out_stream *out = &room->out[i];

        if (!out->refuse && out->is_bundled) {
            out->rtp = room->out[out->leader].rtp;
            out->ufrag = room->out[out->leader].ufrag;
            out->pwd = room->out[out->leader].pwd;
        }
    }
    return err;
}

static uint16_t answer_streams(struct call *c, struct leg *to, bool early, const char **why)
{
    struct bridge_room *room = c->t->room;

    fill_out(c, to, &room->from, room->out);
    for (unsigned i = 0; i < room->offer.n_streams; i++) {
        int err = room->out[i].refuse ? 0 : restart_ice(c, to, i);

        if (err == 0 && !room->out[i].refuse) {
            err = nego_answer(to, &room->offer, i, &room->asked[i], &room->out[i], room->crypto[i]);
        }
        if (err != 0) {
            *why = "out of memory";
            return 500;
        }
    }
    if (answer_bundles(c, to, early) != 0) {
        *why = "media ports cannot be opened";
        return 500;
    }
    return 0;
}

static uint16_t read_both(struct call *c, struct leg *from, struct leg *to, struct sl body,
                          const char **why)
{
    uint16_t status = parse_answer(c, body, why);

    c->t->room->before = what_it_said(c->t->room, from);
    status = status == 0 ? match_answer(c->t->room, why) : status;
    for (unsigned i = 0; status == 0 && i < c->t->room->offer.n_streams; i++) {
        status = read_answer(c, from, to, i, why);
        if (status == 0) {
            status = map_answer(c, from, to, i, why);
        }
    }
    return status;
}

uint16_t call_bridge_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                            const char **why)
{
    bool early = from->state < LEG_CONFIRMED;
    uint16_t status = read_both(c, from, to, body, why);

    if (status == 0) {
        status = answer_streams(c, to, early, why);
    }
    if (status == 0) {
        status = write_for(c, &c->t->room->offer, to, why);
    }
    if (status == 0) {
        status = media_commit(c, from, to, early, why);
    }
    room_wipe(c->t->room);
    padded_wipe(c);
    return status;
}

uint16_t call_take_answer(struct call *c, struct leg *from, struct leg *to, struct sl body,
                          const char **why)
{
    uint16_t status = read_both(c, from, to, body, why);

    if (status == 0) {
        status =
            answer_streams(c, to, false, why); /* as if it were told: it knows all of it already */
    }
    if (status == 0) {
        status = media_commit(c, from, to, false, why);
    }
    room_wipe(c->t->room);
    padded_wipe(c);
    return status;
}

/* --- the offer that waits --- */

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
    call_forget_text(&c->offer, &c->offer_n);
    if (c->a != NULL) {
        nego_drop_offer(&c->a->nego);
    }
    LIST_FOR_EACH(it, &c->forks)
    {
        nego_drop_offer(&CONTAINER_OF(it, struct leg, node)->nego);
    }
}

void call_undo_offer(struct call *c)
{
    for (unsigned i = c->n_streams; c->media != NULL && i < MEDIA_STREAMS_MAX; i++) {
        media_close(c->media, i);
    }
    call_drop_offer(c);
}
