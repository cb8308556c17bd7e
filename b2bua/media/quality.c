/* quality.c - what a listener would make of a stream: the E-model of ITU-T G.107 with the figures
 * of G.113, over windows of five seconds. LQ looks at loss alone, CQ at the delay as well, which is
 * known only when RTCP told the round trip. */
#include "media/rtp_int.h"

#define QUALITY_R0 93.2
#define QUALITY_BURST 1.0      /* BurstR: losses come by chance */
#define QUALITY_BUFFER_MIN 40u /* ms in a listener's jitter buffer, or twice the jitter */
#define QUALITY_MIN_PACKETS 25 /* fewer in a window say nothing */

double media_mos(double delay_ms, double loss_percent, enum media_codec codec)
{
    static const struct {
        double ie, bpl;
    } codecs[] = {
        [MEDIA_CODEC_OTHER] = {0, 25.1}, [MEDIA_CODEC_G711] = {0, 25.1},
        [MEDIA_CODEC_G729] = {11, 19},   [MEDIA_CODEC_G723] = {15, 16.1},
        [MEDIA_CODEC_OPUS] = {0, 25.1}, /* none published: it conceals no worse than G.711 */
    };
    unsigned k = (unsigned)codec < COUNT_OF(codecs) ? (unsigned)codec : MEDIA_CODEC_OTHER;
    double id = 0.024 * delay_ms + (delay_ms > 177.3 ? 0.11 * (delay_ms - 177.3) : 0);
    double ie = codecs[k].ie +
                (95 - codecs[k].ie) * loss_percent / (loss_percent / QUALITY_BURST + codecs[k].bpl);
    double r = QUALITY_R0 - id - ie;
    double mos;

    r = r < 0 ? 0 : r;
    mos = 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r);
    return mos < 1 ? 1 : mos > 4.5 ? 4.5 : mos;
}

static uint16_t quality_of(double delay_ms, double loss_percent, enum media_codec codec)
{
    return (uint16_t)(100 * media_mos(delay_ms, loss_percent, codec) + 0.5);
}

static void quality_add(struct media_mos_sum *s, uint16_t mos)
{
    s->now = mos;
    s->min = s->n == 0 || mos < s->min ? mos : s->min;
    s->n++;
    s->sum += mos;
}

/* Half the round trip, the jitter buffer, and the frame itself. */
static double quality_delay(const struct media_track *t, const struct media_listener *l)
{
    uint32_t buffer = 2 * media_track_jitter_us(t) / 1000;

    buffer = buffer > QUALITY_BUFFER_MIN ? buffer : QUALITY_BUFFER_MIN;
    return l->rtt_us / 2000.0 + buffer + (l->ptime_ms != 0 ? l->ptime_ms : 20);
}

static void quality_close(struct media_quality *q, const struct media_track *t,
                          const struct media_listener *l)
{
    uint32_t expected = media_track_expected(t) - q->expected;
    uint32_t came = media_track_in_time(t) - q->in_time;
    double loss;

    if (expected < QUALITY_MIN_PACKETS || expected > INT32_MAX) {
        return;
    }
    loss = came < expected ? 100.0 * (expected - came) / expected : 0;
    quality_add(&q->lq, quality_of(0, loss, l->codec));
    if (l->rtt_us != 0) {
        quality_add(&q->cq, quality_of(quality_delay(t, l), loss, l->codec));
    }
}

void media_quality_tick(struct media_quality *q, const struct media_track *t,
                        const struct media_listener *l, int64_t now_ms)
{
    /* A window in which the source was silent to its end says nothing about loss. */
    if (q->end_ms != 0 && now_ms - q->end_ms < MEDIA_WINDOW_MS) {
        quality_close(q, t, l);
    }
    q->end_ms = now_ms + MEDIA_WINDOW_MS;
    q->expected = media_track_expected(t);
    q->in_time = media_track_in_time(t);
}

static struct media_mos quality_sum(const struct media_mos_sum *s)
{
    return (struct media_mos){
        .now = s->now, .min = s->min, .avg = (uint16_t)(s->n != 0 ? s->sum / s->n : 0)};
}

void media_quality_read(const struct media_quality *q, const struct media_track *t,
                        const struct media_listener *l, struct media_mos *lq, struct media_mos *cq)
{
    struct media_quality as_of_now = *q;

    if (q->end_ms != 0 && q->lq.n == 0) { /* a call that is shorter than one window */
        quality_close(&as_of_now, t, l);
    }
    *lq = quality_sum(&as_of_now.lq);
    *cq = quality_sum(&as_of_now.cq);
}
