/* call_reliable.c - provisional answers that are acknowledged (RFC 3262), on each leg by itself:
 * ours to a caller that takes them wait for its PRACK, a callee's get one from us. Descriptions in
 * PRACK are refused: there is nothing left to answer with. */
#include "call/call_int.h"
#include "call/call_rules.h"

#define RSEQ_MAX 0x7FFFFFFFu /* RFC 3262 7.1 */
#define REPEAT_FOR_T1 64     /* RFC 3262 3 */

static enum policy_reliable mode_of(const struct leg *l)
{
    return (enum policy_reliable)leg_session(l)->reliable;
}

static bool put_text(char **textp, size_t *n, struct sl bytes)
{
    call_forget_text(textp, n);
    *textp = mem_strndup(bytes.p, bytes.n);
    *n = *textp != NULL ? bytes.n : 0;
    return *textp != NULL;
}

static void prack_done(struct leg_reliable *r)
{
    if (r->prack != NULL) {
        tx_close(r->prack); /* the transaction goes on to repeat it */
        tx_unref(&r->prack);
    }
}

void reliable_drop(struct leg *l)
{
    struct leg_reliable *r = &l->reliable;

    timer_stop(l->call->t->p.loop, &r->timer);
    r->is_waiting = false;
    call_forget_text(&r->sent.text, &r->sent.n);
    call_forget_text(&r->next.text, &r->next.n);
    call_forget_text(&r->final.text, &r->final.n);
    prack_done(r);
}

/* --- ours, to the caller --- */

uint16_t reliable_hear(struct leg *l, const struct sip_msg *req)
{
    struct leg_reliable *r = &l->reliable;
    bool is_required = sip_has_option(req, HDR_REQUIRE, SL("100rel"));
    bool is_supported = is_required || sip_has_option(req, HDR_SUPPORTED, SL("100rel"));

    if (is_required && mode_of(l) == POLICY_RELIABLE_OFF) {
        r->refused = 420;
    } else if (!is_supported && mode_of(l) == POLICY_RELIABLE_REQUIRED) {
        r->refused = 421;
    }
    r->is_demanded = is_required;
    r->is_wanted = is_supported && mode_of(l) != POLICY_RELIABLE_OFF;
    return r->refused;
}

void reliable_put_refusal(struct buf *b, const struct leg *l, uint16_t status)
{
    if (l->reliable.refused == status) {
        buf_puts(b, status == 420 ? "Unsupported: 100rel\r\n" : "Require: 100rel\r\n");
    }
}

/* The first one would have to carry an offer, and there is none yet (RFC 3262 5). */
static bool has_nothing_to_offer(const struct leg *l)
{
    return l->call->late_offer;
}

enum reliable_way reliable_way(const struct leg *l, uint16_t status)
{
    const struct leg_reliable *r = &l->reliable;

    if (l->call->state >= CALL_ANSWERED || l != l->call->a || status <= 100 || status >= 200 ||
        !r->is_wanted) {
        return RELIABLE_NOT;
    }
    if (has_nothing_to_offer(l)) {
        return r->is_demanded ? RELIABLE_NEVER : RELIABLE_NOT;
    }
    return RELIABLE_YES;
}

static uint64_t hash_of(struct sl s)
{
    static const uint8_t key[16] = {0};

    return siphash13(s.p, s.n, key);
}

struct sl reliable_sdp(struct leg *l, struct sl sdp)
{
    struct leg_reliable *r = &l->reliable;

    if (!r->has_answer || sdp.n == 0) {
        return sdp;
    }
    r->is_outdated = r->answer_id != hash_of(sdp);
    return SL_NULL; /* one answer to one offer; what differs follows as an offer of ours */
}

void reliable_put(struct buf *b, struct leg *l)
{
    struct leg_reliable *r = &l->reliable;

    if (r->rseq == 0) {
        r->rseq = crypto_random_u32() % (RSEQ_MAX / 2);
    }
    buf_putf(b, "Require: 100rel\r\nRSeq: %u\r\n", r->rseq + 1);
}

static void on_repeat(void *arg)
{
    struct leg *l = arg;
    struct leg_reliable *r = &l->reliable;
    struct call *c = l->call;

    if (!r->is_waiting || l->srv == NULL) {
        return;
    }
    if (r->waited_ms >= c->cfg->t1_ms * REPEAT_FOR_T1) {
        stat_inc(STAT_PRACK_MISSING);
        reliable_drop(l);
        if (c->state == CALL_ANSWERED) {
            call_end(c, "timeout", "no PRACK for our answer", 0);
        } else {
            call_reject_a(c, 504, "timeout", "no PRACK for our answer");
        }
        return;
    }
    if (tx_server_respond(l->srv, r->sent.status, sl_make(r->sent.text, r->sent.n)) != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
    r->step_ms = r->waited_ms + 2 * r->step_ms < c->cfg->t1_ms * REPEAT_FOR_T1
                     ? 2 * r->step_ms
                     : c->cfg->t1_ms * REPEAT_FOR_T1 - r->waited_ms;
    r->waited_ms += r->step_ms;
    timer_start(c->t->p.loop, &r->timer, r->step_ms);
}

static void await_prack(struct leg *l)
{
    struct leg_reliable *r = &l->reliable;

    r->rseq++;
    r->is_waiting = true;
    r->step_ms = r->waited_ms = l->call->cfg->t1_ms;
    timer_init(&r->timer, on_repeat, l);
    timer_start(l->call->t->p.loop, &r->timer, r->step_ms);
}

static int send_now(struct leg *l)
{
    struct leg_reliable *r = &l->reliable;
    int err = tx_server_respond(l->srv, r->sent.status, sl_make(r->sent.text, r->sent.n));

    if (err == 0) {
        await_prack(l);
    }
    return err;
}

/* One at a time; the newest waits, unless it would take the place of the answer: that is told only
 * once. */
int reliable_send(struct leg *l, uint16_t status, struct sl bytes, struct sl sdp)
{
    struct leg_reliable *r = &l->reliable;
    struct reliable_text *at = r->is_waiting ? &r->next : &r->sent;
    int err;

    if (r->is_waiting && r->next.text != NULL && r->next.has_sdp && sdp.n == 0) {
        return 0;
    }
    if (!put_text(&at->text, &at->n, bytes)) {
        return ENOMEM;
    }
    at->status = status;
    at->has_sdp = sdp.n != 0;
    err = r->is_waiting ? 0 : send_now(l);
    if (err == 0 && sdp.n != 0) {
        r->has_answer = true;
        r->answer_id = hash_of(sdp);
    }
    return err;
}

bool reliable_holds(struct leg *l, uint16_t status, struct sl bytes)
{
    struct leg_reliable *r = &l->reliable;

    if (!r->is_waiting || l != l->call->a) {
        return false;
    }
    if (status < 300 && (r->sent.has_sdp || r->next.has_sdp)) {
        r->final.status = status; /* RFC 3262 3: not before the answer in the 1xx has arrived */
        return put_text(&r->final.text, &r->final.n, bytes);
    }
    reliable_drop(l);
    return false;
}

/* --- their PRACK --- */

static bool fits(const struct leg *l, const struct sip_msg *req)
{
    struct sl rest = sip_hdr_value(req, HDR_RACK), word = SL_NULL;
    uint32_t rseq = 0, cseq = 0;

    return sl_next(&rest, ' ', &word) == 0 && sl_u32(word, UINT32_MAX, &rseq) == 0 &&
           sl_next(&rest, ' ', &word) == 0 && sl_u32(word, UINT32_MAX, &cseq) == 0 &&
           sl_eq(sl_trim(rest), SL("INVITE")) && rseq == l->reliable.rseq && cseq == l->srv_cseq &&
           l->reliable.is_waiting && l->srv != NULL;
}

/* What had to wait for the PRACK. */
static void go_on(struct leg *l)
{
    struct leg_reliable *r = &l->reliable;
    int err = 0;

    if (r->next.text != NULL) {
        call_forget_text(&r->sent.text, &r->sent.n);
        r->sent = r->next;
        r->next = (struct reliable_text){0};
        if (r->final.text == NULL || r->sent.has_sdp) {
            err = send_now(l);
        }
        if (err != 0 && r->sent.has_sdp) { /* what was written since counts on it: it is repeated */
            await_prack(l);
        }
    }
    if (!r->is_waiting && r->final.text != NULL) {
        err = tx_server_respond(l->srv, r->final.status, sl_make(r->final.text, r->final.n));
        reliable_drop(l);
    }
    if (err != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
}

void call_prack(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    bool is_it = fits(l, req);
    uint16_t status = !is_it ? 481 : msg_is_strange(req) ? 415 : msg_has_sdp(req) ? 488 : 200;

    ladder_add(l, true, SIP_PRACK, status, req->cseq, false);
    rules_answer_leg(l, tx, status, status == 415 ? SL(CALL_ACCEPT) : SL_NULL, NULL);
    tx_close(tx);
    tx_unref(&tx);
    if (is_it) { /* also with a body that we do not take: it has heard us */
        timer_stop(l->call->t->p.loop, &l->reliable.timer);
        l->reliable.is_waiting = false;
        go_on(l);
    }
}

/* --- the callee's --- */

void reliable_put_request(struct buf *b, const struct leg *l)
{
    bool is_first = l->dlg.state != DIALOG_CONFIRMED && l != l->call->a;
    enum policy_reliable mode = is_first ? mode_of(l) : POLICY_RELIABLE_OFF;

    if (has_nothing_to_offer(l)) {
        mode = POLICY_RELIABLE_OFF; /* an offer in a 1xx would have to be answered in our PRACK */
    }
    buf_puts(b, mode == POLICY_RELIABLE_SUPPORTED ? "Supported: timer, 100rel\r\n"
                                                  : "Supported: timer\r\n");
    if (mode == POLICY_RELIABLE_REQUIRED) {
        BUF_LIT(b, "Require: 100rel\r\n");
    }
}

static int send_prack(struct leg *l, uint32_t rseq, uint32_t cseq, struct sip_msg *challenge);

/* Challenged: again with credentials, unless its dialog is no longer the one that we are in. */
static void on_prack_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    struct leg_reliable *r = &l->reliable;

    if (r->prack != tx || (err == 0 && rsp->status < 200)) {
        return;
    }
    if (err == 0 && (rsp->status == 401 || rsp->status == 407) && l->state != LEG_ENDED &&
        r->heard_id == hash_of(l->dlg.remote_tag)) {
        ladder_msg(l, rsp);
        if (send_prack(l, r->heard, r->prack_cseq, rsp) == 0) {
            return;
        }
        log_debug(&l->log, "PRACK was challenged and cannot be answered");
    }
    prack_done(r);
}

static int send_prack(struct leg *l, uint32_t rseq, uint32_t cseq, struct sip_msg *challenge)
{
    char mem[64];
    struct out_request r = {.method = SIP_PRACK, .challenge = challenge, .fn = on_prack_response};
    struct tx *tx = NULL;
    struct buf b;
    int err;

    buf_init_fixed(&b, mem, sizeof(mem));
    buf_putf(&b, "RAck: %u %u INVITE\r\n", rseq, cseq);
    r.extra = buf_sl(&b);
    err = leg_send(l, &tx, &r);
    if (err == 0) {
        prack_done(&l->reliable);
        l->reliable.prack = tx;
        l->reliable.prack_cseq = cseq;
    }
    return err;
}

bool reliable_take(struct leg *l, const struct sip_msg *rsp)
{
    struct leg_reliable *r = &l->reliable;
    uint64_t id = hash_of(rsp->to_tag);
    uint32_t rseq = 0;

    if (mode_of(l) == POLICY_RELIABLE_OFF || has_nothing_to_offer(l) ||
        !sip_has_option(rsp, HDR_REQUIRE, SL("100rel"))) {
        return true; /* as if it were a common one: we have not promised anything */
    }
    if (rsp->to_tag.n == 0 || sl_u32(sip_hdr_value(rsp, HDR_RSEQ), RSEQ_MAX, &rseq) != 0 ||
        rseq == 0) {
        return false;
    }
    if (r->heard != 0 && r->heard_id == id && rseq != r->heard + 1) {
        return false; /* a repetition, or one before it is missing (RFC 3262 4) */
    }
    r->heard_answer = r->heard_answer || msg_has_sdp(rsp);
    if (send_prack(l, rseq, l->cli_cseq, NULL) == 0) {
        r->heard = rseq;
        r->heard_id = id;
    } else { /* what it says holds; its repetition brings the PRACK */
        log_debug(&l->log, "PRACK could not be sent");
    }
    return true;
}

void reliable_answered(struct leg *l)
{
    if (l->reliable.is_outdated) {
        call_want_reinvite(l, false); /* as soon as it has acknowledged the 2xx */
    }
}

/* RFC 3311 5.1: an offer may come in UPDATE as soon as the first one has an answer that counts. */
bool reliable_has_answer(const struct leg *l)
{
    const struct leg_reliable *r = &l->reliable;

    return l == l->call->a ? r->has_answer && !r->is_waiting : r->heard_answer;
}
