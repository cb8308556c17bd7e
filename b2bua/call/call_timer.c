/* call_timer.c - session timers (RFC 4028). Each leg has one of its own; whoever refreshes does so
 * at half the time, by UPDATE where it is taken and by re-INVITE elsewhere, and whoever hears
 * nothing ends the call a little before the time is over. */
#include "call/call_int.h"

#define SESSION_MIN_S 90       /* RFC 4028 4: what every Min-SE is without its field */
#define SESSION_MAX_S 86400    /* what we believe */
#define SESSION_MARGIN_S 32    /* RFC 4028 10 */
#define SESSION_RETRY_MS 10000 /* after a refusal that says nothing of the dialog */
#define SESSION_RAISES_MAX 2

const struct policy_session *leg_session(const struct leg *l)
{
    const struct policy_def *def = policy_def(l->call->cfg->policy);

    return l->party.kind == POLICY_PEER ? &def->peers[l->party.peer].session : &def->users.session;
}

static uint32_t min_of(const struct leg *l)
{
    return leg_session(l)->min_ms / 1000;
}

static uint32_t wanted_of(const struct leg *l)
{
    uint32_t wanted_s = leg_session(l)->expires_ms / 1000;

    return wanted_s != 0 && wanted_s < l->timer.min_s ? l->timer.min_s : wanted_s;
}

/* --- reading --- */

struct session_said {
    bool is_there;
    uint32_t seconds;
    struct sl refresher; /* empty: not said */
};

/* Of Session-Expires or Min-SE. False: it cannot be read. */
static bool read_interval(const struct sip_msg *m, enum hdr_id id, struct session_said *out)
{
    struct sl rest = sip_hdr_value(m, id), number;
    ptrdiff_t at = sl_chr(rest, ';');

    *out = (struct session_said){.is_there = sip_hdr(m, id) != NULL};
    if (!out->is_there) {
        return true;
    }
    number = sl_trim(at >= 0 ? sl_head(rest, (size_t)at) : rest);
    if (at >= 0) {
        (void)sip_param(sl_from(rest, (size_t)at + 1), SL("refresher"), &out->refresher);
    }
    return sl_u32(number, UINT32_MAX, &out->seconds) == 0;
}

/* --- their requests --- */

/* RFC 4028 9: no more than was asked for, unless that is less than both sides can do. */
static uint32_t interval_for(const struct leg *l, const struct session_said *se, uint32_t min_s)
{
    uint32_t wanted_s = wanted_of(l);
    uint32_t s = se->is_there ? se->seconds : wanted_s;

    if (wanted_s != 0 && wanted_s < s) {
        s = wanted_s;
    }
    s = s < min_s && s != 0 ? min_s : s;
    return s < SESSION_MAX_S ? s : SESSION_MAX_S;
}

uint16_t session_hear(struct leg *l, const struct sip_msg *req)
{
    struct leg_timer *t = &l->timer;
    struct session_said se, min;

    t->asked_s = 0;
    t->is_supported = sip_has_option(req, HDR_SUPPORTED, SL("timer")) ||
                      sip_has_option(req, HDR_REQUIRE, SL("timer"));
    if (!read_interval(req, HDR_SESSION_EXPIRES, &se) || !read_interval(req, HDR_MIN_SE, &min)) {
        return 400;
    }
    if (se.is_there && se.seconds < min_of(l) && t->is_supported) {
        return 422;
    }
    if (!se.is_there && !t->is_supported) {
        return 0;
    }
    t->min_s = min.seconds < SESSION_MAX_S ? min.seconds : SESSION_MAX_S;
    t->asked_s = interval_for(l, &se, t->min_s > min_of(l) ? t->min_s : min_of(l));
    t->asked_ours = !t->is_supported || !sl_ieq(se.refresher, SL("uac"));
    return 0;
}

/* --- the time --- */

static uint32_t margin_of(uint32_t interval_s)
{
    return interval_s / 3 < SESSION_MARGIN_S ? interval_s / 3 : SESSION_MARGIN_S;
}

static int64_t left_ms(const struct leg *l)
{
    const struct leg_timer *t = &l->timer;
    int64_t life_ms = (int64_t)(t->interval_s - margin_of(t->interval_s)) * 1000;

    return t->fresh_ms + life_ms - loop_now_ms(l->call->t->p.loop);
}

/* Not now: again before the time is over. */
static void again(struct leg *l)
{
    int64_t left = left_ms(l);

    stat_inc(STAT_SESSION_REFUSED);
    timer_start(l->call->t->p.loop, &l->timer.timer,
                left < SESSION_RETRY_MS ? left : SESSION_RETRY_MS);
}

static void on_refresh(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

static int send_refresh(struct leg *l, struct sip_msg *challenge)
{
    struct out_request r = {.method = SIP_UPDATE, .challenge = challenge, .fn = on_refresh};

    return leg_send(l, &l->timer.refresh, &r);
}

static void refresh(struct leg *l)
{
    if (!l->update.is_allowed) {
        call_want_reinvite(l, false);
    } else if (l->timer.refresh == NULL && send_refresh(l, NULL) != 0) {
        again(l);
    }
}

static bool is_up(const struct leg *l)
{
    const struct call *c = l->call;

    return c->state == CALL_ANSWERED && (l == c->a || l == c->b) && l->timer.interval_s != 0;
}

void session_missed(struct leg *l)
{
    const struct leg_timer *t = &l->timer;
    int64_t age_ms = loop_now_ms(l->call->t->p.loop) - t->fresh_ms;

    if (is_up(l) && t->is_ours && age_ms >= (int64_t)t->interval_s * 500) {
        again(l);
    }
}

static void on_session(void *arg)
{
    struct leg *l = arg;
    struct call *c = l->call;
    int64_t left = left_ms(l);

    if (!is_up(l)) {
        return;
    }
    if (left <= 0) {
        stat_inc(STAT_SESSION_EXPIRED);
        call_end(c, "timeout",
                 l == c->a ? "session timer of the caller expired"
                           : "session timer of the callee expired",
                 0);
        return;
    }
    timer_start(c->t->p.loop, &l->timer.timer, left);
    if (l->timer.is_ours) {
        refresh(l);
    }
}

/* A new interval begins: both sides have just said so. */
static void begin(struct leg *l, uint32_t interval_s, bool is_ours)
{
    struct leg_timer *t = &l->timer;
    struct loop *loop = l->call->t->p.loop;

    t->interval_s = interval_s;
    t->is_ours = is_ours;
    t->fresh_ms = loop_now_ms(loop);
    timer_stop(loop, &t->timer);
    if (interval_s != 0) {
        timer_start(loop, &t->timer, is_ours ? (int64_t)interval_s * 500 : left_ms(l));
    }
}

void session_init(struct leg *l)
{
    timer_init(&l->timer.timer, on_session, l);
}

void session_stop(struct leg *l)
{
    timer_stop(l->call->t->p.loop, &l->timer.timer);
    if (l->timer.refresh != NULL) {
        tx_close(l->timer.refresh);
        tx_unref(&l->timer.refresh);
    }
}

/* --- what is written --- */

void session_put_request(struct buf *b, const struct leg *l)
{
    const struct leg_timer *t = &l->timer;
    uint32_t interval_s = t->interval_s != 0 ? t->interval_s : wanted_of(l);

    if (interval_s == 0) {
        return;
    }
    interval_s = interval_s < t->min_s ? t->min_s : interval_s;
    buf_putf(b, "Session-Expires: %u%s\r\n", interval_s,
             t->interval_s == 0 ? ""
             : t->is_ours       ? ";refresher=uac"
                                : ";refresher=uas");
    if (t->min_s > SESSION_MIN_S || min_of(l) > SESSION_MIN_S) {
        buf_putf(b, "Min-SE: %u\r\n", t->min_s > min_of(l) ? t->min_s : min_of(l));
    }
}

/* RFC 4028 9, table 2: only who can refresh may be required to. */
void session_put_answer(struct buf *b, const struct leg *l)
{
    const struct leg_timer *t = &l->timer;

    if (t->asked_s != 0) {
        buf_putf(b, "%sSession-Expires: %u;refresher=%s\r\n",
                 t->is_supported ? "Require: timer\r\n" : "", t->asked_s,
                 t->asked_ours ? "uas" : "uac");
    }
}

void session_answered(struct leg *l)
{
    if (l->call->state != CALL_ENDED) { /* which sending may have come to */
        begin(l, l->timer.asked_s, l->timer.asked_ours);
    }
}

void session_put_min(struct buf *b, const struct leg *l)
{
    buf_putf(b, "Min-SE: %u\r\n", min_of(l));
}

/* --- their answers --- */

/* RFC 4028 7.2: without the field nothing expires. A time below our least would have us refresh
 * without end. */
void session_heard_answer(struct leg *l, const struct sip_msg *rsp)
{
    struct session_said se;

    if (!read_interval(rsp, HDR_SESSION_EXPIRES, &se) || !se.is_there) {
        begin(l, 0, false);
        return;
    }
    if (se.seconds < min_of(l)) {
        se.seconds = min_of(l);
    }
    begin(l, se.seconds < SESSION_MAX_S ? se.seconds : SESSION_MAX_S,
          !sl_ieq(se.refresher, SL("uas")));
}

bool session_raise(struct leg *l, const struct sip_msg *rsp)
{
    struct leg_timer *t = &l->timer;
    struct session_said min;

    if (rsp == NULL || rsp->status != 422 || t->raises >= SESSION_RAISES_MAX ||
        !read_interval(rsp, HDR_MIN_SE, &min) || min.seconds <= t->min_s ||
        min.seconds > SESSION_MAX_S) {
        return false;
    }
    t->raises++;
    t->min_s = min.seconds;
    return true;
}

/* The far side does not want it now, or not in this way. */
static void refused(struct leg *l, uint16_t status)
{
    if (status == 405 || status == 501) {
        stat_inc(STAT_SESSION_REFUSED);
        l->update.is_allowed = false;
        refresh(l);
    } else {
        again(l);
    }
}

static void refresh_failed(struct leg *l, uint16_t status, struct sip_msg *rsp)
{
    struct call *c = l->call;
    bool again = status == 401 || status == 407 || session_raise(l, rsp);

    if (again && send_refresh(l, rsp) == 0) {
        return;
    }
    if (status == 481 || status == 408) { /* RFC 5057 */
        stat_inc(STAT_SESSION_REFUSED);
        l->state = status == 481 ? LEG_ENDED : l->state;
        call_end(c, l == c->a ? "caller" : "callee", "dialog is gone", 0);
        return;
    }
    refused(l, status);
}

static void on_refresh(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;

    if (l->timer.refresh != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    tx_close(l->timer.refresh);
    tx_unref(&l->timer.refresh);
    if (!is_up(l)) {
        return;
    }
    if (err != 0 || rsp->status >= 300) {
        refresh_failed(l, err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status, rsp);
        return;
    }
    stat_inc(STAT_SESSION_REFRESH);
    leg_learn_allow(l, rsp);
    if (dialog_learn(&l->dlg, rsp) != 0) {
        log_debug(&l->log, "UPDATE answered without a usable Contact");
    }
    session_heard_answer(l, rsp);
}
