/* call_dtmf.c - digits between SIP INFO and RTP events (RFC 4733): what a side sends in one way is
 * given to the other in the way of its profile, and only once (attacks.md 87). */
#include "call/call_int.h"
#include "call/call_rules.h"

#define DIGITS_MAX 32   /* that wait for the answer to the one before */
#define DIGIT_MS 160    /* when nobody says how long */
#define DIGIT_MS_MIN 40 /* RFC 4733 2.5.1.2: shorter ones are not recognised */
#define DIGIT_MS_MAX 5000

struct digit {
    char digit;
    uint16_t ms;
};

struct digits { /* INFOs to one leg: the next one goes when the last was answered */
    struct tx *tx;
    struct digit sent; /* by tx: the far end may want to know who we are first */
    bool is_early;     /* tx: sent before the answer */
    uint8_t n;
    struct digit q[DIGITS_MAX];
};

/* --- INFO to events --- */

static bool is_digit(char c)
{
    return (c >= '0' && c <= '9') || c == '*' || c == '#' || (c >= 'A' && c <= 'D');
}

/* "5", "*", "a", or the event number (RFC 4733 3.2) as some write it: "10" is *. */
static bool read_digit(struct sl s, char *out)
{
    static const char events[] = "0123456789*#ABCD";
    uint32_t n;

    s = sl_trim(s);
    if (s.n == 2 && sl_u32(s, sizeof(events) - 2, &n) == 0) {
        *out = events[n];
        return true;
    }
    if (s.n != 1) {
        return false;
    }
    *out = s.p[0] >= 'a' && s.p[0] <= 'd' ? (char)(s.p[0] - 'a' + 'A') : s.p[0];
    return is_digit(*out);
}

/* "Signal=5" and "Duration=160", a line each, in any order (application/dtmf-relay). */
static bool read_relay(struct sl body, char *digit, uint32_t *ms)
{
    bool has_digit = false;
    struct sl line, name;

    while (sl_next(&body, '\n', &line) == 0) {
        if (sl_next(&line, '=', &name) != 0) {
            continue;
        }
        if (sl_ieq(sl_trim(name), SL("Signal"))) {
            has_digit = read_digit(line, digit);
        } else if (sl_ieq(sl_trim(name), SL("Duration")) &&
                   sl_u32(sl_trim(line), UINT32_MAX, ms) != 0) {
            *ms = DIGIT_MS;
        }
    }
    return has_digit;
}

static bool read_info(const struct sip_msg *req, char *digit, uint32_t *ms)
{
    struct sl type = sip_content_type(req);
    bool ok = false;

    *ms = DIGIT_MS;
    if (sl_ieq(type, SL("application/dtmf-relay"))) {
        ok = read_relay(req->body, digit, ms);
    } else if (sl_ieq(type, SL("application/dtmf"))) {
        ok = sl_chr(req->body, '=') >= 0 ? read_relay(req->body, digit, ms)
                                         : read_digit(req->body, digit);
    }
    *ms = *ms < DIGIT_MS_MIN ? DIGIT_MS_MIN : *ms > DIGIT_MS_MAX ? DIGIT_MS_MAX : *ms;
    return ok;
}

static bool is_dtmf(const struct sip_msg *req)
{
    return sl_ieq(sip_content_type(req), SL("application/dtmf-relay")) ||
           sl_ieq(sip_content_type(req), SL("application/dtmf"));
}

/* The first stream that has events on this side. */
static int send_events(struct call *c, const struct leg *to, char digit, uint32_t ms)
{
    int err = ENOTSUP;

    for (unsigned i = 0; i < c->n_streams && err == ENOTSUP; i++) {
        if (media_is_open(c->media, i, to->side)) {
            err = media_send_dtmf(c->media, i, to->side, digit, ms);
        }
    }
    return err;
}

static bool wants_events(const struct leg *from, const struct leg *to)
{
    enum policy_dtmf way = leg_profile(to)->dtmf;

    return way == POLICY_DTMF_RFC4733 ||
           (way == POLICY_DTMF_PASS && leg_profile(from)->dtmf == POLICY_DTMF_INFO);
}

/* It may send events, and those are passed or converted: an INFO would be the same digit again.
 * Between two sides that take what comes nothing is converted, and each gets what the other sent.
 */
static bool sends_events(const struct call *c, const struct leg *l, const struct leg *to)
{
    if (leg_profile(l)->dtmf != POLICY_DTMF_PASS || leg_profile(to)->dtmf == POLICY_DTMF_PASS) {
        return false;
    }
    for (unsigned i = 0; i < c->n_streams && i < l->nego.n; i++) {
        if (l->nego.streams[i].has_events && media_is_open(c->media, i, l->side)) {
            return true;
        }
    }
    return false;
}

static void answer(struct leg *l, struct tx *tx, uint16_t status, struct sl extra)
{
    ladder_add(l, true, SIP_INFO, status, l->dlg.remote_cseq, false);
    rules_answer_leg(l, tx, status, extra, NULL);
    tx_close(tx);
    tx_unref(&tx);
}

/* Whoever takes digits of this leg as media: before the answer a callee that plays. */
static struct leg *digits_go_to(const struct leg *l)
{
    struct call *c = l->call;
    struct leg *to = c->media != NULL ? call_partner(l) : NULL;

    if (to != NULL && c->state != CALL_ANSWERED && (to == c->a ? l : to)->early_sdp == NULL) {
        return NULL;
    }
    return to;
}

bool call_info_digit(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    struct call *c = l->call;
    struct leg *to = digits_go_to(l);
    char digit = '\0';
    uint32_t ms;
    int err;

    if (!is_dtmf(req) || to == NULL) {
        return false;
    }
    if (leg_profile(l)->dtmf == POLICY_DTMF_RFC4733) { /* its digits come as events */
        answer(l, tx, 415, SL("Accept: text/plain\r\n"));
        return true;
    }
    if (sends_events(c, l, to)) { /* attacks.md 87 */
        answer(l, tx, 200, SL_NULL);
        return true;
    }
    if (!wants_events(l, to)) {
        return false;
    }
    if (!read_info(req, &digit, &ms)) {
        answer(l, tx, 400, SL_NULL);
        return true;
    }
    err = send_events(c, to, digit, ms);
    if (err == ENOTSUP) {
        return false; /* that side has no events: as it came */
    }
    answer(l, tx,
           err == 0         ? 200
           : err == ENOBUFS ? 503
                            : 500,
           err == ENOBUFS ? SL("Retry-After: 2\r\n") : SL_NULL);
    return true;
}

/* --- events to INFO --- */

static void on_digit_answered(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

/* The first time, or again with what a challenge asks for. */
static bool send_digit(struct leg *l, struct sip_msg *challenge)
{
    struct digits *d = l->digits;
    struct out_request r = {.method = SIP_INFO,
                            .type = SL("application/dtmf-relay"),
                            .fn = on_digit_answered,
                            .challenge = challenge};
    char text[64];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    buf_putf(&b, "Signal=%c\r\nDuration=%u\r\n", d->sent.digit, (unsigned)d->sent.ms);
    r.body = buf_sl(&b);
    return leg_send(l, &d->tx, &r) == 0;
}

static void send_next(struct leg *l)
{
    struct digits *d = l->digits;

    while (d->tx == NULL && d->n != 0) {
        d->sent = d->q[0];
        d->is_early = l->call->state != CALL_ANSWERED;
        d->n--;
        memmove(&d->q[0], &d->q[1], d->n * sizeof(d->q[0]));
        if (!send_digit(l, NULL)) {
            log_info(&l->log, "a digit could not be sent");
        }
    }
}

/* What was said of the digit is done with. */
static void go_on(struct leg *l, uint16_t status, struct sip_msg *rsp)
{
    struct call *c = l->call;

    if (l->state >= LEG_CANCELLING || call_partner(l) == NULL) {
        return; /* it has ended, or is not heard any more */
    }
    if ((status == 401 || status == 407) && send_digit(l, rsp)) {
        return;
    }
    if ((status == 481 || status == 408) && !l->digits->is_early) { /* RFC 5057 */
        l->state = status == 481 ? LEG_ENDED : l->state;
        call_end(c, l == c->a ? "caller" : "callee", "dialog is gone", 0);
        return;
    }
    send_next(l);
}

static void on_digit_answered(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    uint16_t status = err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status;

    if (status < 200 || l->digits == NULL || l->digits->tx != tx) {
        return;
    }
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    tx_close(tx);
    tx_unref(&l->digits->tx);
    go_on(l, status, rsp);
}

/* From inside the relay: the digit has ended on its side. */
void call_on_digit(struct media_session *s, unsigned stream, unsigned side, char digit,
                   unsigned duration_ms, void *arg)
{
    struct call *c = arg;
    const struct leg *from = side == 0 ? c->a : c->b;
    struct leg *to = from != NULL ? digits_go_to(from) : NULL;

    (void)s;
    (void)stream;
    if (to == NULL || (c->state == CALL_ANSWERED && to->state != LEG_CONFIRMED) ||
        !is_digit(digit)) {
        return;
    }
    if (to->digits == NULL && (to->digits = mem_zalloc(sizeof(*to->digits))) == NULL) {
        return;
    }
    if (to->digits->n == DIGITS_MAX) {
        log_info(&to->log, "a digit is lost: too many wait");
        return;
    }
    to->digits->q[to->digits->n].digit = digit;
    to->digits->q[to->digits->n++].ms =
        (uint16_t)(duration_ms > DIGIT_MS_MAX ? DIGIT_MS_MAX : duration_ms);
    send_next(to);
}

void leg_digits_drop(struct leg *l)
{
    if (l->digits != NULL && l->digits->tx != NULL) {
        tx_close(l->digits->tx);
        tx_unref(&l->digits->tx);
    }
    mem_free(l->digits);
    l->digits = NULL;
}
