/* silence.c - notices that nobody who should be sending is. One timer per session, set to the
 * moment at which the last of them is overdue; packets only write down when they came. */
#include "media/stage_int.h"

#define SILENCE_NEVER INT64_MAX

static int64_t silence_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A stream that goes one way is on hold, and few who hold play music: who sends is heard, but not
 * missed. */
static bool silence_is_due(struct media_side *s)
{
    return s->may_send && media_side_other(s)->may_send;
}

/* Before both sides have been described nobody knows where to send to. */
static int64_t silence_deadline(struct media_side *s)
{
    const struct media_side *other = media_side_other(s);
    int64_t seen;

    if (!media_side_is_open(s) || !media_side_is_open(other) || !s->has_remote ||
        !other->has_remote || !s->may_send) {
        return SILENCE_NEVER;
    }
    seen = silence_max(s->expect_ms, silence_max(s->last_rx_ms, other->expect_ms));
    if (s->stream->kind == MEDIA_DATAGRAM) { /* a fax page takes minutes in one direction */
        seen = silence_max(seen, other->last_rx_ms);
    }
    return seen + s->stream->session->inactivity_ms;
}

/* The call is dead when nobody who should send does: one side alone may be muted, or listen. */
static int64_t silence_of_all(struct media_session *s, struct media_side **out)
{
    int64_t last = SILENCE_NEVER;
    bool is_any_due = false;

    for (unsigned i = 0; i < 2 * MEDIA_STREAMS_MAX; i++) {
        struct media_stream *st = s->streams[i / 2];
        int64_t at = st != NULL ? silence_deadline(&st->side[i % 2]) : SILENCE_NEVER;

        if (at == SILENCE_NEVER) {
            continue;
        }
        is_any_due = is_any_due || silence_is_due(&st->side[i % 2]);
        if (last == SILENCE_NEVER || at > last) {
            last = at;
            *out = &st->side[i % 2];
        }
    }
    return is_any_due ? last : SILENCE_NEVER;
}

void media_silence_arm(struct media_session *s)
{
    struct media_side *side = NULL;
    int64_t at = SILENCE_NEVER;

    if (s->lost != NULL && !s->silenced) {
        timer_start(s->m->p.loop, &s->silence, 0);
        return;
    }
    if (s->inactivity_ms != 0 && !s->silenced) {
        at = silence_of_all(s, &side);
    }
    if (at == SILENCE_NEVER) {
        timer_stop(s->m->p.loop, &s->silence);
        return;
    }
    timer_start(s->m->p.loop, &s->silence, silence_max(at - loop_now_ms(s->m->p.loop), 0));
}

void media_silence_lost(struct media_side *s)
{
    s->stream->session->lost = s;
    media_silence_arm(s->stream->session); /* not from here: whoever calls us still needs it */
}

void media_silence_on_timer(void *session)
{
    struct media_session *s = session;
    struct media_side *side = s->lost;

    if (side == NULL && silence_of_all(s, &side) > loop_now_ms(s->m->p.loop)) {
        media_silence_arm(s);
        return;
    }
    s->silenced = true;
    stat_inc(STAT_MEDIA_TIMEOUT);
    if (s->on_silence != NULL) { /* last: it may close the session */
        s->on_silence(s, side->stream->index, side == &side->stream->side[1], s->arg);
    }
}
