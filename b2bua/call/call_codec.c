/* call_codec.c - payload types of the two sides, and the digits that travel among them: what is
 * told to whom, and what the relay is told. */
#include "call/call_int.h"

static struct sdp_codecs codecs_of(const struct policy_media_profile *p)
{
    return (struct sdp_codecs){.names = p->codecs, .n = p->n_codecs};
}

static bool speaks_info(const struct leg *l)
{
    return leg_profile(l)->dtmf == POLICY_DTMF_INFO;
}

size_t codec_map_offer(const struct leg *from, const struct leg *to, const struct sdp *s,
                       const struct sdp *known, unsigned i, struct sdp_format_map *map)
{
    return sdp_map_offer(
        &(struct sdp_map_params){.from = s,
                                 .stream = i,
                                 .known = known,
                                 .from_codecs = codecs_of(leg_profile(from)),
                                 .to_codecs = codecs_of(leg_profile(to)),
                                 .drop_events = speaks_info(to),
                                 .add_event = speaks_info(from) && !speaks_info(to)},
        map);
}

size_t codec_map_answer(const struct codec_answer *a, struct sdp_format_map *map)
{
    return sdp_map_answer(
        &(struct sdp_answer_params){.answer = a->answer,
                                    .offer = a->offer,
                                    .stream = a->stream,
                                    .offered = a->offered,
                                    .n_offered = a->n_offered,
                                    .add_event = speaks_info(a->from) && !speaks_info(a->to),
                                    .drop_events = speaks_info(a->to)},
        map);
}

/* --- for the relay --- */

static enum media_codec codec_class(struct sl name)
{
    static const struct {
        const char *name;
        enum media_codec codec;
    } rows[] = {{"PCMU", MEDIA_CODEC_G711},
                {"PCMA", MEDIA_CODEC_G711},
                {"G729", MEDIA_CODEC_G729},
                {"G723", MEDIA_CODEC_G723},
                {"opus", MEDIA_CODEC_OPUS}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (sl_ieq(sl_str(rows[i].name), name)) {
            return rows[i].codec;
        }
    }
    return MEDIA_CODEC_OTHER;
}

struct format_list {
    struct media_format f[MEDIA_FORMATS_MAX];
    size_t n;
    enum sdp_kind kind;
    uint32_t ptime_ms; /* what the other side wants to be sent */
};

static void list_add(struct format_list *list, const struct sdp_format *f, uint8_t pt,
                     uint8_t out_pt)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->f[i].pt == pt) {
            return;
        }
    }
    if (list->n == MEDIA_FORMATS_MAX) {
        return;
    }
    list->f[list->n++] = (struct media_format){.pt = pt,
                                               .out_pt = out_pt,
                                               .kind = sdp_format_is_event(f)    ? MEDIA_FMT_EVENT
                                                       : list->kind == SDP_AUDIO ? MEDIA_FMT_AUDIO
                                                                                 : MEDIA_FMT_OTHER,
                                               .codec = codec_class(f->name),
                                               .ptime_ms = (uint16_t)list->ptime_ms,
                                               .clock_hz = f->clock};
}

static const struct sdp_format *by_pt(const struct sdp_format *f, size_t n, uint8_t pt)
{
    for (size_t i = 0; i < n; i++) {
        if (f[i].pt == pt) {
            return &f[i];
        }
    }
    return NULL;
}

static const struct sdp_format_map *by_target(const struct sdp_format_map *m, size_t n, uint8_t to)
{
    for (size_t i = 0; i < n; i++) {
        if (m[i].to == to) {
            return &m[i];
        }
    }
    return NULL;
}

static const struct sdp_format_map *by_source(const struct sdp_format_map *m, size_t n,
                                              uint8_t from)
{
    for (size_t i = 0; i < n; i++) {
        if (!m[i].own && m[i].from == from) {
            return &m[i];
        }
    }
    return NULL;
}

/* What the offerer may send: its own numbers, to those that the answerer receives. */
static void list_offerer(struct format_list *list, const struct codec_answer *a,
                         const struct sdp_format_map *map, size_t n)
{
    struct sdp_format f[SDP_FORMATS_MAX];
    size_t n_f = sdp_formats(a->offer, a->stream, f);

    for (size_t i = 0; i < n; i++) {
        const struct sdp_format *o = by_pt(f, n_f, map[i].to);

        if (o != NULL) {
            list_add(list, o, map[i].to, map[i].own ? MEDIA_PT_NONE : map[i].from);
        }
    }
}

/* What the answerer may send: the numbers of our offer (RFC 3264 6.1), but its own ones are
 * understood as well, because many send what they receive. */
static void list_answerer(struct format_list *list, const struct codec_answer *a,
                          const struct sdp_format_map *map, size_t n)
{
    struct sdp_format f[SDP_FORMATS_MAX];
    size_t n_f = sdp_formats(a->answer, a->stream, f);

    for (size_t i = 0; i < n_f; i++) {
        const struct sdp_format_map *m = by_source(map, n, f[i].pt);

        if (m != NULL) {
            list_add(list, &f[i], f[i].pt, m->to);
        } else if (sdp_format_is_event(&f[i]) && by_target(a->offered, a->n_offered, f[i].pt)) {
            list_add(list, &f[i], f[i].pt, MEDIA_PT_NONE);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct sdp_format_map *o =
            map[i].own ? NULL : by_source(a->offered, a->n_offered, map[i].to);
        const struct sdp_format *k = by_pt(f, n_f, map[i].from);

        if (o != NULL && k != NULL) {
            list_add(list, k, o->to, map[i].to);
        }
    }
}

_Static_assert(MEDIA_FORMATS_MAX >= SDP_FORMATS_MAX, "no list is cut short");

static int set_formats(struct call *c, unsigned stream, struct leg *l,
                       const struct format_list *list)
{
    bool has_events = false;

    for (size_t k = 0; k < list->n; k++) {
        has_events = has_events || list->f[k].kind == MEDIA_FMT_EVENT;
    }
    l->nego.streams[stream].has_events = has_events;
    return media_set_formats(c->media, stream, l->side, list->f, list->n);
}

static int set_digits(struct call *c, unsigned stream, const struct leg *l, const struct leg *other)
{
    return media_set_dtmf(c->media, stream, l->side,
                          speaks_info(other) && !speaks_info(l) ? MEDIA_DTMF_TO_INFO
                                                                : MEDIA_DTMF_PASS);
}

/* How long packets are to be for whom st describes, ms; 0: he does not say. */
static uint32_t wanted_ptime(const struct sdp_stream *st)
{
    uint32_t usual = st->ptime != 0 ? st->ptime : 20; /* RFC 3551 4.2 */

    return st->maxptime != 0 && st->maxptime < usual ? st->maxptime : st->ptime;
}

int codec_set_media(struct call *c, const struct codec_answer *a, const struct sdp_format_map *map,
                    size_t n)
{
    const struct sdp_stream *st = &a->offer->streams[a->stream];
    struct format_list list = {.kind = st->kind,
                               .ptime_ms = wanted_ptime(&a->answer->streams[a->stream])};
    int err;

    list_offerer(&list, a, map, n);
    err = set_formats(c, a->stream, a->to, &list);
    if (err == 0) {
        list.n = 0;
        list.ptime_ms = wanted_ptime(st);
        list_answerer(&list, a, map, n);
        err = set_formats(c, a->stream, a->from, &list);
    }
    if (err == 0) {
        err = set_digits(c, a->stream, a->to, a->from);
    }
    return err == 0 ? set_digits(c, a->stream, a->from, a->to) : err;
}

void codec_names(const struct sdp *s, unsigned i, const struct sdp_format_map *map, size_t n,
                 char out[NEGO_CODECS_MAX])
{
    struct sdp_format f[SDP_FORMATS_MAX];
    size_t n_f = sdp_formats(s, i, f), used = 0;

    for (size_t k = 0; k < n; k++) {
        const struct sdp_format *o = map[k].own ? NULL : by_pt(f, n_f, map[k].from);

        if (o == NULL || o->name.n == 0 || used + o->name.n + 2 > NEGO_CODECS_MAX) {
            continue;
        }
        if (used != 0) {
            out[used++] = ',';
        }
        memcpy(out + used, o->name.p, o->name.n);
        used += o->name.n;
    }
    out[used] = '\0';
}
