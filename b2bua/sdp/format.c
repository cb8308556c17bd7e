/* format.c - the codecs of a stream by name, and the numbers that each side has for them. */
#include "sdp/sdp_int.h"

#define PT_STATIC_LAST 34
#define PT_DYNAMIC_FIRST 96
#define PT_SPARE_FIRST                                                                             \
    35 /* unassigned below the dynamic ones (RFC 3551 3, RFC 5761 4: not 64-95) */
#define PT_SPARE_LAST 63

static const struct sdp_static_row { /* RFC 3551 6 */
    uint8_t pt, channels;
    uint32_t clock;
    struct sl name;
} static_formats[] = {
    {0, 1, 8000, SL("PCMU")},   {3, 1, 8000, SL("GSM")},    {4, 1, 8000, SL("G723")},
    {5, 1, 8000, SL("DVI4")},   {6, 1, 16000, SL("DVI4")},  {7, 1, 8000, SL("LPC")},
    {8, 1, 8000, SL("PCMA")},   {9, 1, 8000, SL("G722")},   {10, 2, 44100, SL("L16")},
    {11, 1, 44100, SL("L16")},  {12, 1, 8000, SL("QCELP")}, {13, 1, 8000, SL("CN")},
    {14, 1, 90000, SL("MPA")},  {15, 1, 8000, SL("G728")},  {16, 1, 11025, SL("DVI4")},
    {17, 1, 22050, SL("DVI4")}, {18, 1, 8000, SL("G729")},  {25, 1, 90000, SL("CelB")},
    {26, 1, 90000, SL("JPEG")}, {28, 1, 90000, SL("nv")},   {31, 1, 90000, SL("H261")},
    {32, 1, 90000, SL("MPV")},  {33, 1, 90000, SL("MP2T")}, {34, 1, 90000, SL("H263")},
};

static void sdp_set_static(struct sdp_format *f)
{
    f->is_static = true;
    f->channels = 1;
    for (size_t i = 0; f->pt <= PT_STATIC_LAST && i < COUNT_OF(static_formats); i++) {
        if (static_formats[i].pt == f->pt) {
            f->name = static_formats[i].name;
            f->clock = static_formats[i].clock;
            f->channels = static_formats[i].channels;
        }
    }
}

/* "<pt> <name>/<clock>[/<channels>]" into the format of that number. */
static void sdp_set_rtpmap(struct sdp_format *by_pt[SDP_PT_MAX + 1], struct sl value)
{
    struct sl tok, name, clock;
    uint32_t pt, hz, channels = 1;
    struct sdp_format *f;

    if (!sdp_token(&value, &tok) || sl_u32(tok, SDP_PT_MAX, &pt) != 0 || (f = by_pt[pt]) == NULL ||
        !f->is_static || sl_next(&value, '/', &name) != 0 || sl_next(&value, '/', &clock) != 0 ||
        sl_u32(sl_trim(clock), INT32_MAX, &hz) != 0) {
        return;
    }
    if (value.n != 0 && sl_u32(sl_trim(value), UINT8_MAX, &channels) != 0) {
        return;
    }
    f->is_static = false;
    f->name = sl_trim(name);
    f->clock = hz;
    f->channels = (uint8_t)(channels != 0 ? channels : 1);
}

static void sdp_set_fmtp(struct sdp_format *by_pt[SDP_PT_MAX + 1], struct sl value)
{
    struct sl tok;
    uint32_t pt;

    if (sdp_token(&value, &tok) && sl_u32(tok, SDP_PT_MAX, &pt) == 0 && by_pt[pt] != NULL &&
        by_pt[pt]->fmtp.n == 0) {
        by_pt[pt]->fmtp = sl_trim(value);
    }
}

size_t sdp_formats(const struct sdp *s, unsigned i, struct sdp_format *out)
{
    struct sdp_format *by_pt[SDP_PT_MAX + 1] = {NULL};
    const struct sdp_stream *st = &s->streams[i];
    struct sl rest = st->formats, tok, value;
    uint32_t pt;
    size_t n = 0;

    if (!sdp_proto_is_rtp(st->proto)) {
        return 0;
    }
    while (n < SDP_FORMATS_MAX && sdp_token(&rest, &tok)) {
        if (sl_u32(tok, SDP_PT_MAX, &pt) == 0 && by_pt[pt] == NULL) {
            by_pt[pt] = &out[n];
            out[n] = (struct sdp_format){.pt = (uint8_t)pt};
            sdp_set_static(&out[n++]);
        }
    }
    for (unsigned k = 0; k < st->n_attrs; k++) {
        struct sl name = sdp_attr_split(s->attrs[st->first_attr + k], &value);

        if (sl_ieq(name, SL("rtpmap"))) {
            sdp_set_rtpmap(by_pt, value);
        } else if (sl_ieq(name, SL("fmtp"))) {
            sdp_set_fmtp(by_pt, value);
        }
    }
    return n;
}

bool sdp_format_same(const struct sdp_format *a, const struct sdp_format *b)
{
    return a->name.n != 0 && sl_ieq(a->name, b->name) && a->clock == b->clock &&
           a->channels == b->channels;
}

bool sdp_format_is_event(const struct sdp_format *f)
{
    return sl_ieq(f->name, SL("telephone-event"));
}

static const struct sdp_format *sdp_format_by_pt(const struct sdp_format *f, size_t n, uint8_t pt)
{
    for (size_t i = 0; i < n; i++) {
        if (f[i].pt == pt) {
            return &f[i];
        }
    }
    return NULL;
}

/* --- an offer --- */

struct sdp_mapper {
    struct sdp_format from[SDP_FORMATS_MAX], known[SDP_FORMATS_MAX];
    size_t n_from, n_known;
    bool is_taken[SDP_PT_MAX + 1]; /* told to the other side, or of another meaning there */
    bool known_is_used[SDP_FORMATS_MAX];
    struct sdp_format_map *out;
    size_t n;
};

static int sdp_codec_rank(struct sdp_codecs codecs, struct sl name)
{
    for (size_t i = 0; i < codecs.n; i++) {
        if (sl_ieq(sl_str(codecs.names[i]), name)) {
            return (int)i;
        }
    }
    return codecs.n == 0 ? 0 : -1;
}

/* The number that the other side has for the same codec: under the same number if possible, then
 * with the same parameters, then any that is not used up (there may be several, as of H264). */
static int sdp_known_number(struct sdp_mapper *m, const struct sdp_format *f)
{
    int best = -1, score = -1;

    for (size_t i = 0; i < m->n_known; i++) {
        const struct sdp_format *k = &m->known[i];
        int s = k->pt == f->pt ? 2 : sl_eq(k->fmtp, f->fmtp) ? 1 : 0;

        if (!m->known_is_used[i] && sdp_format_same(k, f) && s > score) {
            best = (int)i;
            score = s;
        }
    }
    if (best < 0) {
        return -1;
    }
    m->known_is_used[best] = true;
    return m->known[best].pt;
}

static bool sdp_is_free(const struct sdp_mapper *m, unsigned pt)
{
    return !m->is_taken[pt] && sdp_format_by_pt(m->known, m->n_known, (uint8_t)pt) == NULL &&
           sdp_format_by_pt(m->from, m->n_from, (uint8_t)pt) == NULL;
}

static int sdp_free_number(const struct sdp_mapper *m, unsigned wanted)
{
    if (wanted <= SDP_PT_MAX && sdp_is_free(m, wanted)) {
        return (int)wanted;
    }
    for (unsigned pt = PT_DYNAMIC_FIRST; pt <= SDP_PT_MAX; pt++) {
        if (sdp_is_free(m, pt)) {
            return (int)pt;
        }
    }
    for (unsigned pt = PT_SPARE_FIRST; pt <= PT_SPARE_LAST; pt++) {
        if (sdp_is_free(m, pt)) {
            return (int)pt;
        }
    }
    return -1;
}

static void sdp_map_one(struct sdp_mapper *m, const struct sdp_format *f)
{
    const struct sdp_format *other = sdp_format_by_pt(m->known, m->n_known, f->pt);
    int to = f->is_static ? -1 : sdp_known_number(m, f);

    if (to < 0 && !m->is_taken[f->pt] && (other == NULL || sdp_format_same(other, f))) {
        to = f->pt;
    }
    if (to < 0 && !f->is_static) { /* a static number cannot be another one without an rtpmap */
        to = sdp_free_number(m, SDP_PT_MAX + 1);
    }
    if (to < 0 || m->is_taken[to]) {
        return;
    }
    m->is_taken[to] = true;
    m->out[m->n++] = (struct sdp_format_map){.from = f->pt, .to = (uint8_t)to};
}

static const struct sdp_format_map *sdp_map_find(const struct sdp_format_map *map, size_t n,
                                                 uint32_t from)
{
    for (size_t i = 0; i < n; i++) {
        if (!map[i].own && map[i].from == from) {
            return &map[i];
        }
    }
    return NULL;
}

/* red carries the numbers of what it repeats inside each packet (RFC 2198), where no relay changes
 * them; rtx names what it repeats (RFC 4588). */
static bool sdp_inner_fits(const struct sdp_format_map *map, size_t n, const struct sdp_format *f)
{
    struct sl rest = f->fmtp, tok;
    uint32_t pt;

    if (sl_ieq(f->name, SL("rtx")) && sl_istarts(rest, SL("apt="))) {
        rest = sl_from(rest, sizeof("apt=") - 1);
        return sl_next(&rest, ';', &tok) == 0 && sl_u32(sl_trim(tok), SDP_PT_MAX, &pt) == 0 &&
               sdp_map_find(map, n, pt) != NULL;
    }
    if (!sl_ieq(f->name, SL("red"))) {
        return true;
    }
    while (sl_next(&rest, '/', &tok) == 0) {
        const struct sdp_format_map *inner =
            sl_u32(sl_trim(tok), SDP_PT_MAX, &pt) == 0 ? sdp_map_find(map, n, pt) : NULL;

        if (inner == NULL || inner->to != inner->from) {
            return false;
        }
    }
    return true;
}

static size_t sdp_drop_misfits(const struct sdp_format *from, size_t n_from,
                               struct sdp_format_map *map, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sdp_format *f =
            map[i].own ? NULL : sdp_format_by_pt(from, n_from, map[i].from);

        if (f == NULL || sdp_inner_fits(map, n, f)) {
            map[kept++] = map[i]; /* behind the reader: what counts is still there */
        }
    }
    return kept;
}

/* Something that carries sound or pictures, not only digits and noise. */
static bool sdp_is_media(const struct sdp_format *f)
{
    return !sdp_format_is_event(f) && !sl_ieq(f->name, SL("CN"));
}

static void sdp_add_event(struct sdp_mapper *m)
{
    int to;

    for (size_t i = 0; i < m->n_known; i++) {
        if (sdp_format_is_event(&m->known[i]) && !m->is_taken[m->known[i].pt]) {
            m->is_taken[m->known[i].pt] = true;
            m->out[m->n++] = (struct sdp_format_map){
                .to = m->known[i].pt, .own = true, .clock = m->known[i].clock};
            return;
        }
    }
    to = sdp_free_number(m, 101);
    if (to >= 0) {
        m->is_taken[to] = true;
        m->out[m->n++] = (struct sdp_format_map){.to = (uint8_t)to, .own = true, .clock = 8000};
    }
}

/* The formats of one rank of the list; without a list all of them, where they stand. */
static void sdp_map_rank(struct sdp_mapper *m, const struct sdp_map_params *p, int rank,
                         size_t *n_media)
{
    bool is_audio = p->from->streams[p->stream].kind == SDP_AUDIO;

    for (size_t i = 0; i < m->n_from; i++) {
        const struct sdp_format *f = &m->from[i];
        bool is_event = is_audio && sdp_format_is_event(f);
        bool fits = is_audio && !is_event ? sdp_codec_rank(p->to_codecs, f->name) == rank &&
                                                sdp_codec_rank(p->from_codecs, f->name) >= 0
                                          : rank == 0;

        if (!fits || (is_event && (p->drop_events || p->to_codecs.n != 0))) {
            continue;
        }
        *n_media += sdp_is_media(f) ? 1 : 0;
        sdp_map_one(m, f);
    }
}

/* telephone-event stays whatever the list of codecs says. */
static void sdp_map_events(struct sdp_mapper *m, const struct sdp_map_params *p)
{
    bool has_event = false;

    if (p->from->streams[p->stream].kind != SDP_AUDIO || p->drop_events) {
        return;
    }
    for (size_t i = 0; i < m->n_from; i++) {
        if (!sdp_format_is_event(&m->from[i])) {
            continue;
        }
        has_event = true;
        if (p->to_codecs.n != 0) {
            sdp_map_one(m, &m->from[i]);
        }
    }
    if (!has_event && p->add_event) {
        sdp_add_event(m);
    }
}

size_t sdp_map_offer(const struct sdp_map_params *p, struct sdp_format_map *out)
{
    struct sdp_mapper m;
    size_t ranks = p->to_codecs.n != 0 ? p->to_codecs.n : 1, n_media = 0, n;

    m.n = 0;
    m.out = out;
    memset(m.is_taken, 0, sizeof(m.is_taken));
    memset(m.known_is_used, 0, sizeof(m.known_is_used));
    m.n_from = sdp_formats(p->from, p->stream, m.from);
    m.n_known = p->known != NULL && p->stream < p->known->n_streams
                    ? sdp_formats(p->known, p->stream, m.known)
                    : 0;
    for (size_t rank = 0; rank < ranks; rank++) {
        sdp_map_rank(&m, p, (int)rank, &n_media);
    }
    if (n_media == 0 && (p->from_codecs.n != 0 || p->to_codecs.n != 0)) {
        return 0; /* the lists left no codec */
    }
    sdp_map_events(&m, p);
    do {
        n = m.n;
        m.n = sdp_drop_misfits(m.from, m.n_from, out, n);
    } while (m.n != n);
    return m.n;
}

/* --- an answer --- */

/* Which of the offered formats the answerer means: its number as it was offered, unless it calls
 * that number something else; else the name. */
static const struct sdp_format_map *sdp_meant(const struct sdp_answer_params *p,
                                              const struct sdp_format *offer, size_t n_offer,
                                              const struct sdp_format *f)
{
    const struct sdp_format_map *by_name = NULL;

    for (size_t i = 0; i < p->n_offered; i++) {
        const struct sdp_format_map *m = &p->offered[i];
        const struct sdp_format *o = m->own ? NULL : sdp_format_by_pt(offer, n_offer, m->from);

        if (o == NULL) {
            continue;
        }
        if (m->to == f->pt && (f->is_static || sdp_format_same(o, f) || o->is_static)) {
            return m;
        }
        if (by_name == NULL && sdp_format_same(o, f)) {
            by_name = m;
        }
    }
    return by_name;
}

static bool sdp_has_target(const struct sdp_format_map *map, size_t n, uint8_t to)
{
    for (size_t i = 0; i < n; i++) {
        if (map[i].to == to) {
            return true;
        }
    }
    return false;
}

static size_t sdp_keep_events(const struct sdp_format *offer, size_t n_offer,
                              struct sdp_format_map *out, size_t n)
{
    for (size_t i = 0; i < n_offer; i++) {
        if (sdp_format_is_event(&offer[i]) && n < SDP_FORMATS_MAX &&
            !sdp_has_target(out, n, offer[i].pt)) {
            out[n++] =
                (struct sdp_format_map){.to = offer[i].pt, .own = true, .clock = offer[i].clock};
        }
    }
    return n;
}

size_t sdp_map_answer(const struct sdp_answer_params *p, struct sdp_format_map *out)
{
    struct sdp_format offer[SDP_FORMATS_MAX], answer[SDP_FORMATS_MAX];
    size_t n_offer = sdp_formats(p->offer, p->stream, offer);
    size_t n_answer = sdp_formats(p->answer, p->stream, answer), n = 0, kept;

    for (size_t i = 0; i < n_answer; i++) {
        const struct sdp_format_map *m = sdp_meant(p, offer, n_offer, &answer[i]);

        if (m != NULL && !sdp_has_target(out, n, m->from) &&
            !(p->drop_events && sdp_format_is_event(&answer[i]))) {
            out[n++] = (struct sdp_format_map){.from = answer[i].pt, .to = m->from};
        }
    }
    do {
        kept = n;
        n = sdp_drop_misfits(answer, n_answer, out, kept);
    } while (n != kept);
    if (n != 0 && p->add_event && p->offer->streams[p->stream].kind == SDP_AUDIO) {
        n = sdp_keep_events(offer, n_offer, out, n);
    }
    return n;
}
