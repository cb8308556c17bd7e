/* dtmf.c - DTMF events that a side sends (RFC 4733): each is noticed once, however often its
 * packets say so, and either relayed or told to the handler instead. */
#include "media/stage_int.h"

#define EVENT_LEN 4
#define EVENT_END 0x80
#define EVENT_FLASH 16
#define EVENT_SEGMENT_MIN 0x8000u /* a shorter one is no segment of a long event */
#define EVENT_STRAGGLE_MS 1000    /* later, an older time is that of a clock set back */

static char event_digit(uint8_t code)
{
    static const char digits[EVENT_FLASH + 1] = "0123456789*#ABCDF";

    return code <= EVENT_FLASH ? digits[code] : 0;
}

static bool dtmf_is_told(const struct media_side *s)
{
    return s->dtmf == MEDIA_DTMF_TO_INFO;
}

static uint32_t event_ms(const struct media_event *e)
{
    uint64_t ms =
        ((uint64_t)e->before + e->duration) * 1000 / (e->clock_hz != 0 ? e->clock_hz : 8000);

    return ms < UINT16_MAX ? (uint32_t)ms : UINT16_MAX;
}

static void event_end(struct media_formats *fs)
{
    struct media_event *e = &fs->event;
    char digit = event_digit(e->code);

    e->is_open = false;
    if (digit != 0 && dtmf_is_told(fs->side) && fs->n_told < EVENTS_TOLD_MAX) {
        fs->told[fs->n_told].digit = digit;
        fs->told[fs->n_told++].ms = (uint16_t)event_ms(e);
    }
}

static bool event_is_next_segment(const struct media_event *e, uint8_t code, uint32_t ts)
{
    return e->is_open && e->code == code && e->duration >= EVENT_SEGMENT_MIN &&
           ts == e->ts + e->duration;
}

static void event_begin(struct media_formats *fs, const struct media_format *f,
                        const struct media_pkt *pkt, uint8_t code)
{
    struct media_event *e = &fs->event;
    uint32_t ts = rtp_ts(pkt->p);

    if (event_is_next_segment(e, code, ts)) {
        e->before += e->duration;
        e->duration = 0;
        e->ts = ts;
        return;
    }
    if (e->is_open) { /* its end was lost */
        event_end(fs);
    }
    *e = (struct media_event){.is_open = true,
                              .has_any = true,
                              .code = code,
                              .ts = ts,
                              .ssrc = rtp_ssrc(pkt->p),
                              .clock_hz = f->clock_hz};
    fs->side->count.dtmf_events++;
    stat_inc(STAT_DTMF_EVENTS);
}

static void event_note(struct media_formats *fs, const struct media_format *f,
                       const struct media_pkt *pkt, const uint8_t *payload)
{
    struct media_event *e = &fs->event;
    uint32_t ts = rtp_ts(pkt->p);
    bool is_same = e->has_any && e->ssrc == rtp_ssrc(pkt->p);

    if (is_same && e->ts != ts && (int32_t)(ts - e->ts) < 0 &&
        pkt->now_ms - e->heard_ms < EVENT_STRAGGLE_MS) {
        return; /* a straggler of an event before */
    }
    if (!is_same || e->ts != ts) {
        event_begin(fs, f, pkt, payload[0]);
    }
    e->heard_ms = pkt->now_ms;
    if (!e->is_open) {
        return; /* the end is said three times */
    }
    if (rtp_u16(payload + 2) > e->duration) {
        e->duration = rtp_u16(payload + 2);
    }
    if ((payload[1] & EVENT_END) != 0) {
        event_end(fs);
    }
}

static void dtmf_arm(struct media_formats *fs)
{
    struct loop *loop = fs->side->stream->session->m->p.loop;

    if (fs->n_told != 0) {
        timer_start(loop, &fs->timer, 0);
    } else if (fs->event.is_open && !timer_is_armed(&fs->timer)) {
        timer_start(loop, &fs->timer, DTMF_LOST_MS);
    }
}

bool media_dtmf_note(struct media_side *s, const struct media_format *f, struct media_pkt *pkt)
{
    struct sl payload = media_rtp_payload(pkt->p, pkt->n);

    if (payload.n >= EVENT_LEN) {
        event_note(s->fmt, f, pkt, (const uint8_t *)payload.p);
        dtmf_arm(s->fmt);
    }
    if (!dtmf_is_told(s)) {
        return true;
    }
    media_remap_swallow(s, pkt->p, pkt->n);
    return media_drop(s, MEDIA_DROP_SWALLOWED, pkt->now_ms);
}

/* The handler may close the session: what it is told is read before, and nothing afterwards. */
static void dtmf_tell(struct media_formats *fs)
{
    struct media_side *s = fs->side;
    struct media_session *session = s->stream->session;
    char digit = fs->told[0].digit;
    uint16_t ms = fs->told[0].ms;

    fs->n_told--;
    memmove(fs->told, fs->told + 1, fs->n_told * sizeof(fs->told[0]));
    dtmf_arm(fs); /* the others, one a turn */
    if (session->on_dtmf != NULL) {
        session->on_dtmf(session, s->stream->index, media_side_index(s), digit, ms,
                         session->dtmf_arg);
    }
}

void media_dtmf_on_timer(void *formats)
{
    struct media_formats *fs = formats;
    struct loop *loop = fs->side->stream->session->m->p.loop;
    int64_t left = fs->event.heard_ms + DTMF_LOST_MS - loop_now_ms(loop);

    if (fs->n_told == 0 && fs->event.is_open && left > 0) {
        timer_start(loop, &fs->timer, left);
        return;
    }
    if (fs->n_told == 0 && fs->event.is_open) {
        event_end(fs);
    }
    if (fs->n_told != 0) {
        dtmf_tell(fs);
    }
}

int media_set_dtmf(struct media_session *s, unsigned stream, unsigned side, enum media_dtmf how)
{
    struct media_side *sd = media_side_of(s, stream, side);
    int err;

    if (sd == NULL) {
        return ENOENT;
    }
    err = how == MEDIA_DTMF_TO_INFO ? media_remap_want(sd) : 0;
    if (err == 0) {
        sd->dtmf = (uint8_t)how;
    }
    return err;
}

void media_set_dtmf_handler(struct media_session *s, media_dtmf_fn *fn, void *arg)
{
    s->on_dtmf = fn;
    s->dtmf_arg = arg;
}
