/* tone.c - DTMF events that we send (RFC 4733 2.5): one at a time, from a bounded queue, in the
 * stream that goes to the side anyway. Audio gives way while an event lasts. */
#include "crypto/crypto.h"
#include "media/stage_int.h"

#define TONE_STEP_MS 20 /* unless the side asks for another packet time, within: */
#define TONE_STEP_MIN_MS 10
#define TONE_STEP_MAX_MS 60
#define TONE_PAUSE_MS 50
#define TONE_DEFAULT_MS 160
#define TONE_MIN_MS 40
#define TONE_MAX_MS 5000
#define TONE_ENDS 3    /* RFC 4733 2.5.1.4 */
#define TONE_VOLUME 10 /* -10 dBm0 */
#define TONE_PAYLOAD 4
#define TONE_ROOM 64 /* for encryption */

enum tone_state { TONE_IDLE, TONE_ON, TONE_PAUSE };

struct media_tone {
    struct media_side *to;
    struct timer timer;
    enum tone_state state;
    uint8_t n, code, ends, pt;
    uint16_t ms, step_ms;
    uint32_t clock_hz, ts;
    int64_t begin_ms;
    bool has_own;
    uint32_t own_ssrc, own_ts; /* when nothing else is sent to this side */
    uint16_t own_seq;
    struct {
        uint8_t code;
        uint16_t ms;
    } queue[MEDIA_DTMF_QUEUE];
};

bool media_tone_is_on(const struct media_tone *t)
{
    return t->state == TONE_ON;
}

void media_tone_free(struct media_side *to)
{
    if (to->tone != NULL) {
        timer_stop(to->stream->session->m->p.loop, &to->tone->timer);
        mem_free(to->tone);
        to->tone = NULL;
    }
}

static void tone_make_own(struct media_tone *t)
{
    if (!t->has_own) {
        t->own_ssrc = crypto_random_u32();
        t->own_ts = crypto_random_u32();
        t->own_seq = (uint16_t)(crypto_random_u32() & 0x7fff); /* RFC 3711 3.3.1: far from a wrap */
        t->has_own = true;
    }
}

/* When the event begins, by the clock of the stream that it interrupts. */
static uint32_t tone_time(struct media_tone *t, int64_t now_ms)
{
    const struct media_side *from = media_side_other(t->to);

    if (from->track.started) {
        return from->track.last_ts + (uint32_t)((now_ms - from->last_rx_ms) * t->clock_hz / 1000);
    }
    return t->own_ts + (uint32_t)(now_ms * t->clock_hz / 1000);
}

static void tone_put(struct media_tone *t, uint8_t *p, uint16_t seq, uint32_t ssrc,
                     uint32_t duration)
{
    p[0] = 0x80;
    p[1] = t->pt;
    rtp_put16(p + 2, seq);
    rtp_put32(p + 4, t->ts);
    rtp_put32(p + 8, ssrc);
    p[12] = t->code;
    p[13] = (uint8_t)(TONE_VOLUME | (t->ends != 0 ? 0x80 : 0));
    rtp_put16(p + 14, (uint16_t)duration);
}

static void tone_send(struct media_tone *t, bool is_first, int64_t now_ms)
{
    _Alignas(8) uint8_t p[RTP_HEADER + TONE_PAYLOAD + TONE_ROOM];
    struct media_side *to = t->to;
    uint32_t ssrc = to->has_out ? to->out_ssrc : t->own_ssrc;
    uint32_t ms = (uint32_t)(now_ms - t->begin_ms) + t->step_ms;
    uint16_t seq = t->own_seq;
    struct media_pkt pkt = {
        .p = p, .n = RTP_HEADER + TONE_PAYLOAD, .now_ms = now_ms, .class = MEDIA_CLASS_RTP};

    if (!media_remap_insert(media_side_other(to), ssrc, TONE_PAYLOAD, &seq)) {
        (void)media_drop(to, MEDIA_DROP_SEND, now_ms); /* a digit that is lost is counted */
        return;
    }
    t->own_seq = ssrc == t->own_ssrc ? seq : t->own_seq; /* goes on there, known or forgotten */
    ms = t->ends != 0 || ms > t->ms ? t->ms : ms;
    tone_put(t, p, seq, ssrc, (uint32_t)((uint64_t)ms * t->clock_hz / 1000));
    p[1] |= is_first ? RTP_MARKER : 0;
    if (to->via->bundle == NULL || media_bundle_claim(to, p)) {
        (void)media_send(to, &pkt);
    } else {
        (void)media_drop(to, MEDIA_DROP_SEND, now_ms);
    }
}

/* How often the side wants packets (RFC 4733 2.5.1.2): its ptime, as those who send to it know it.
 */
static uint16_t tone_step_ms(struct media_side *to)
{
    const struct media_formats *fs = media_side_other(to)->fmt;
    uint16_t ms =
        fs != NULL && fs->n != 0 && fs->f[0].ptime_ms != 0 ? fs->f[0].ptime_ms : TONE_STEP_MS;

    return ms < TONE_STEP_MIN_MS ? TONE_STEP_MIN_MS : ms > TONE_STEP_MAX_MS ? TONE_STEP_MAX_MS : ms;
}

/* False: nothing waits, or the side has no event format any more. */
static bool tone_next(struct media_tone *t, int64_t now_ms)
{
    const struct media_format *f = media_format_event(t->to);
    uint32_t longest;

    if (t->n == 0 || f == NULL) {
        t->n = 0;
        return false;
    }
    tone_make_own(t);
    longest = (uint32_t)((uint64_t)UINT16_MAX * 1000 / f->clock_hz);
    t->code = t->queue[0].code;
    t->ms = t->queue[0].ms < longest ? t->queue[0].ms : (uint16_t)longest;
    t->n--;
    memmove(t->queue, t->queue + 1, t->n * sizeof(t->queue[0]));
    t->pt = f->pt;
    t->clock_hz = f->clock_hz;
    t->step_ms = tone_step_ms(t->to);
    t->ts = tone_time(t, now_ms);
    t->begin_ms = now_ms;
    t->ends = 0;
    t->state = TONE_ON;
    tone_send(t, true, now_ms);
    return true;
}

static void tone_step(struct media_tone *t, int64_t now_ms)
{
    if (now_ms - t->begin_ms + t->step_ms >= t->ms || t->ends != 0) {
        t->ends++;
    }
    tone_send(t, false, now_ms);
    if (t->ends == TONE_ENDS) {
        t->state = TONE_PAUSE;
    }
}

static void tone_on_timer(void *tone)
{
    struct media_tone *t = tone;
    struct loop *loop = t->to->stream->session->m->p.loop;
    int64_t now_ms = loop_now_ms(loop);

    if (t->state == TONE_ON) {
        tone_step(t, now_ms);
    } else if (!tone_next(t, now_ms)) {
        t->state = TONE_IDLE;
        return;
    }
    timer_start(loop, &t->timer, t->state == TONE_PAUSE ? TONE_PAUSE_MS : t->step_ms);
}

static int tone_code(char digit, uint8_t *code)
{
    static const char digits[] = "0123456789*#ABCDF";

    for (uint8_t i = 0; digits[i] != 0; i++) {
        if (digits[i] == digit || (digit >= 'a' && digits[i] == digit - 'a' + 'A')) {
            *code = i;
            return 0;
        }
    }
    return EINVAL;
}

static int tone_want(struct media_side *to)
{
    if (to->tone == NULL) {
        to->tone = mem_zalloc(sizeof(*to->tone));
        if (to->tone == NULL) {
            return ENOMEM;
        }
        to->tone->to = to;
        timer_init(&to->tone->timer, tone_on_timer, to->tone);
    }
    return media_remap_want(media_side_other(to));
}

int media_send_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                    unsigned ms)
{
    struct media_side *to = media_side_of(s, stream, side);
    struct media_tone *t;
    uint8_t code;

    if (to == NULL) {
        return ENOENT;
    }
    if (tone_code(digit, &code) != 0) {
        return EINVAL;
    }
    if (media_format_event(to) == NULL) {
        return ENOTSUP;
    }
    if (tone_want(to) != 0) {
        return ENOMEM;
    }
    t = to->tone;
    if (t->n == MEDIA_DTMF_QUEUE) {
        return ENOBUFS;
    }
    ms = ms == 0 ? TONE_DEFAULT_MS : ms;
    t->queue[t->n].code = code;
    t->queue[t->n++].ms = (uint16_t)(ms < TONE_MIN_MS   ? TONE_MIN_MS
                                     : ms > TONE_MAX_MS ? TONE_MAX_MS
                                                        : ms);
    if (t->state == TONE_IDLE) {
        t->state = TONE_PAUSE;
        timer_start(s->m->p.loop, &t->timer, 0);
    }
    return 0;
}
