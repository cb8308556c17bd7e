/* checks.c - connectivity checks on a side's sockets (ICE lite, RFC 8445; consent, RFC 7675): who
 * has proved to know our password may send media, and what they nominate is where it goes. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define CHECKS_LOOK_MS 5000 /* at consent */
#define CHECKS_GIVE_UP_MS 30000

static unsigned checks_component(const struct media_flow *f)
{
    return f->is_rtcp ? 2 : 1;
}

bool media_checks_allow(const struct media_flow *f, const struct addr *src)
{
    const struct media_ice *ice = f->side->ice;

    return ice != NULL && ice_is_valid(ice->agent, checks_component(f), src);
}

/* --- the watch --- */

static void checks_lose(struct media_ice *ice)
{
    ice->failed = true;
    if (ice_consent_expired(ice->agent, 1, loop_now_ms(ice->side->stream->session->m->p.loop))) {
        ice->side->rtp.held = ice->side->rtcp.held = true; /* RFC 7675 5.1: stop sending */
        media_silence_lost(ice->side);
    }
}

static void checks_on_timer(void *arg)
{
    struct media_ice *ice = arg;
    struct loop *loop = ice->side->stream->session->m->p.loop;
    int64_t now_ms = loop_now_ms(loop);
    bool is_late = ice_consent(ice->agent, 1, now_ms) == ICE_CONSENT_NONE &&
                   now_ms - ice->since_ms >= CHECKS_GIVE_UP_MS;

    if (!ice->failed && (is_late || ice_consent_expired(ice->agent, 1, now_ms))) {
        checks_lose(ice);
    }
    if (ice_consent_expired(ice->agent, 2, now_ms)) {
        ice->side->rtcp.held = true; /* no more reports; media is another component's */
    }
    timer_start_lazy(loop, &ice->timer, CHECKS_LOOK_MS);
}

/* --- a check --- */

static void checks_move(struct media_flow *f, const struct ice_verdict *v, const struct addr *src)
{
    const struct addr *selected = ice_selected(f->side->ice->agent, checks_component(f));

    if (v->nominated && selected != NULL) {
        media_flow_pin(f, selected);
        f->side->ice->failed = false;
    } else if (v->validated && f->rank == 0) { /* until they decide */
        media_flow_pin(f, src);
    } else if (v->validated && f->is_rtcp && f->held && addr_eq(&f->src, src)) {
        f->held = false; /* they let us send again */
    } else {
        return;
    }
    media_handshake_go(f->side);
}

static void checks_count(struct media_side *s, enum ice_drop drop, int64_t now_ms)
{
    switch (drop) {
    case ICE_MALFORMED:
        (void)media_drop(s, MEDIA_DROP_MALFORMED, now_ms);
        break;
    case ICE_UNKNOWN_USER:
    case ICE_BAD_INTEGRITY:
        (void)media_drop(s, MEDIA_DROP_STRANGER, now_ms);
        break;
    default:
        break;
    }
}

void media_checks_packet(struct media_flow *f, struct media_pkt *pkt)
{
    struct media_side *s = f->side;
    struct ice_verdict v;

    if (s->ice == NULL) {
        (void)media_drop(s, MEDIA_DROP_MALFORMED, pkt->now_ms);
        return;
    }
    ice_on_stun(s->ice->agent, checks_component(f), sl_make(pkt->p, pkt->n), &pkt->src, pkt->now_ms,
                &v);
    checks_count(s, v.drop, pkt->now_ms);
    if (v.answer_len != 0) {
        struct media_pkt answer = {
            .p = v.answer, .n = v.answer_len, .now_ms = pkt->now_ms, .class = MEDIA_CLASS_STUN};

        if (!media_io_send(f, &answer, &pkt->src)) {
            (void)media_drop(s, MEDIA_DROP_SEND, pkt->now_ms);
        }
    }
    if (f->by_checks) {
        checks_move(f, &v, &pkt->src);
    }
}

/* --- what signalling says --- */

static int checks_want(struct media_side *s)
{
    int err;

    if (s->ice != NULL) {
        return 0;
    }
    s->ice = mem_zalloc(sizeof(*s->ice));
    if (s->ice == NULL) {
        return ENOMEM;
    }
    err = ice_new(&s->ice->agent);
    if (err != 0) {
        mem_free(s->ice);
        s->ice = NULL;
        return err;
    }
    s->ice->side = s;
    timer_init(&s->ice->timer, checks_on_timer, s->ice);
    return 0;
}

void media_checks_free(struct media_side *s)
{
    if (s->ice != NULL) {
        timer_stop(s->stream->session->m->p.loop, &s->ice->timer);
        ice_free(&s->ice->agent);
        mem_free(s->ice);
        s->ice = NULL;
    }
    s->rtp.by_checks = s->rtcp.by_checks = false;
}

/* From here on checks decide; what was learned by other means counts no more. */
static void checks_take_over(struct media_flow *f)
{
    const struct addr *selected = ice_selected(f->side->ice->agent, checks_component(f));

    if (!f->by_checks) {
        media_flow_forget(f);
        f->by_checks = true;
    }
    if (selected != NULL) {
        media_flow_pin(f, selected);
    }
}

static void checks_leave(struct media_side *s)
{
    struct media_flow *const flows[] = {&s->rtp, &s->rtcp};

    for (unsigned i = 0; i < COUNT_OF(flows); i++) {
        if (flows[i]->by_checks) {
            flows[i]->by_checks = false;
            media_flow_forget(flows[i]);
        }
    }
    if (s->ice != NULL) {
        timer_stop(s->stream->session->m->p.loop, &s->ice->timer);
        s->ice->since_ms = 0;
        s->ice->failed = false;
    }
}

void media_checks_reset(struct media_side *s)
{
    checks_leave(s);
    if (s->ice != NULL) {
        ice_forget_remote(s->ice->agent);
    }
}

int media_set_ice(struct media_session *s, unsigned stream, unsigned side, struct sl ufrag,
                  struct sl pwd)
{
    struct media_side *sd = media_side_of(s, stream, side);
    struct ice_remote r = {.ufrag = ufrag, .pwd = pwd};
    bool restarted = false;
    int err;

    if (sd == NULL) {
        return ENOENT;
    }
    if (ufrag.n == 0 && pwd.n == 0) {
        checks_leave(sd);
        return 0;
    }
    err = checks_want(sd);
    if (err == 0) {
        err = ice_set_remote(sd->ice->agent, &r, &restarted);
    }
    if (err != 0) {
        return err;
    }
    if (sd->ice->since_ms == 0 || restarted) {
        sd->ice->since_ms = loop_now_ms(s->m->p.loop);
    }
    sd->ice->failed = false;
    checks_take_over(&sd->rtp);
    checks_take_over(&sd->rtcp);
    timer_start_lazy(s->m->p.loop, &sd->ice->timer, CHECKS_LOOK_MS);
    media_handshake_go(sd);
    return 0;
}

int media_ice_local(struct media_session *s, unsigned stream, unsigned side,
                    struct media_ice_local *out)
{
    struct media_side *sd = media_side_of(s, stream, side);
    int err = sd != NULL ? checks_want(sd->via) : ENOENT;

    if (err == 0) {
        sd = sd->via;
        *out = (struct media_ice_local){.ufrag = ice_ufrag(sd->ice->agent),
                                        .pwd = ice_pwd(sd->ice->agent)};
    }
    return err;
}

int media_ice_restart(struct media_session *s, unsigned stream, unsigned side)
{
    struct media_side *sd = media_side_of(s, stream, side);
    int err = sd != NULL ? checks_want(sd->via) : ENOENT;

    if (err == 0) {
        ice_restart(sd->via->ice->agent);
    }
    return err;
}

enum media_ice_state media_checks_state(const struct media_side *s)
{
    const struct media_ice *ice = s->ice;

    if (ice == NULL || !s->rtp.by_checks) {
        return MEDIA_ICE_NONE;
    }
    if (ice->failed) {
        return MEDIA_ICE_FAILED;
    }
    return ice_selected(ice->agent, 1) != NULL ? MEDIA_ICE_CONNECTED : MEDIA_ICE_CHECKING;
}
