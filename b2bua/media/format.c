/* format.c - payload types: what each side may send, and under which number the other side knows
 * it. */
#include "media/stage_int.h"

static int format_check(const struct media_format *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (f[i].pt > RTP_PT_MASK || (f[i].out_pt > RTP_PT_MASK && f[i].out_pt != MEDIA_PT_NONE)) {
            return EINVAL;
        }
    }
    return n <= MEDIA_FORMATS_MAX ? 0 : EINVAL;
}

static struct media_formats *formats_new(struct media_side *s, const struct media_format *f,
                                         size_t n)
{
    struct media_formats *fs = mem_zalloc(sizeof(*fs) + n * sizeof(*f));

    if (fs == NULL) {
        return NULL;
    }
    fs->n = (uint8_t)n;
    fs->side = s;
    memcpy(fs->f, f, n * sizeof(*f));
    for (size_t i = 0; i < n; i++) {
        fs->f[i].clock_hz = f[i].clock_hz != 0 ? f[i].clock_hz : media_rtp_clock(f[i].pt);
    }
    timer_init(&fs->timer, media_dtmf_on_timer, fs);
    return fs;
}

void media_formats_free(struct media_side *s)
{
    if (s->fmt != NULL) {
        timer_stop(s->stream->session->m->p.loop, &s->fmt->timer);
        mem_free(s->fmt);
        s->fmt = NULL;
    }
}

/* An event that is under way, and what was not told yet, survive a re-INVITE. */
static void formats_inherit(struct media_formats *fs, const struct media_formats *old,
                            struct loop *loop)
{
    fs->event = old->event;
    fs->n_told = old->n_told;
    memcpy(fs->told, old->told, sizeof(fs->told));
    if (timer_is_armed(&old->timer)) {
        timer_start(loop, &fs->timer, old->n_told != 0 ? 0 : DTMF_LOST_MS);
    }
}

int media_set_formats(struct media_session *s, unsigned stream, unsigned side,
                      const struct media_format *f, size_t n)
{
    struct media_side *sd = media_side_of(s, stream, side);
    struct media_formats *fs = NULL;

    if (sd == NULL) {
        return ENOENT;
    }
    if (n > MEDIA_FORMATS_MAX || format_check(f, n) != 0) {
        return EINVAL;
    }
    if (n != 0) {
        fs = formats_new(sd, f, n);
        if (fs == NULL) {
            return ENOMEM;
        }
        if (sd->fmt != NULL) {
            formats_inherit(fs, sd->fmt, s->m->p.loop);
        }
    }
    media_formats_free(sd);
    sd->fmt = fs;
    return 0;
}

const struct media_format *media_format_find(struct media_formats *fs, uint8_t pt)
{
    if (fs == NULL) {
        return NULL;
    }
    if (LIKELY(fs->f[fs->last].pt == pt)) {
        return &fs->f[fs->last];
    }
    for (uint8_t i = 0; i < fs->n; i++) {
        if (fs->f[i].pt == pt) {
            fs->last = i;
            return &fs->f[i];
        }
    }
    return NULL;
}

static bool format_has(const struct media_formats *fs, uint8_t pt)
{
    for (uint8_t i = 0; fs != NULL && i < fs->n; i++) {
        if (fs->f[i].pt == pt) {
            return true;
        }
    }
    return false;
}

const struct media_format *media_format_event(const struct media_side *s)
{
    const struct media_formats *fs = s->fmt;
    const struct media_format *found = NULL;
    uint32_t clock_hz = media_side_other((struct media_side *)(uintptr_t)s)->track.clock_hz;

    for (uint8_t i = 0; fs != NULL && i < fs->n; i++) {
        /* The clock of the audio that it interrupts is the right one (RFC 4733 2.1). */
        if (fs->f[i].kind == MEDIA_FMT_EVENT && (found == NULL || fs->f[i].clock_hz == clock_hz)) {
            found = &fs->f[i];
            if (found->clock_hz == clock_hz) {
                break;
            }
        }
    }
    return found;
}

bool media_format_apply(struct media_side *s, const struct media_format *f, struct media_pkt *pkt)
{
    uint8_t pt = pkt->p[1] & RTP_PT_MASK;

    if (f == NULL) {
        s->count.wrong_pt++;
        s->at.wrong_pt_ms = pkt->now_ms;
        if (format_has(media_side_other(s)->fmt, pt)) {
            return media_drop(s, MEDIA_DROP_WRONG_PT, pkt->now_ms);
        }
        return true;
    }
    s->at.right_pt_ms = pkt->now_ms;
    if (f->kind == MEDIA_FMT_EVENT && !media_dtmf_note(s, f, pkt)) {
        return false;
    }
    if (f->out_pt == MEDIA_PT_NONE) {
        media_remap_swallow(s, pkt->p, pkt->n);
        return media_drop(s, MEDIA_DROP_SWALLOWED, pkt->now_ms);
    }
    pkt->p[1] = (uint8_t)((pkt->p[1] & RTP_MARKER) | f->out_pt);
    return true;
}
