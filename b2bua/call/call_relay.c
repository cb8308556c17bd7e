/* call_relay.c - requests that go from one leg to the other: INFO (RFC 6086) and MESSAGE inside a
 * dialog, also an early one. Before the answer the caller speaks with the one callee that it hears,
 * and nothing that is said about an early dialog ends the call. */
#include "call/call_egress.h"
#include "call/call_rules.h"

/* One request on its way. */
struct relay {
    struct list node;
    struct call *call;
    struct leg *from, *to;
    struct tx *srv, *cli;
    struct sip_msg *req; /* kept: the far end may ask again when nobody waits over here any more */
    enum sip_method method;
    bool is_early;               /* the call was not answered yet */
    struct digest_state *digest; /* the far end wants to know who we are; NULL: not yet */
};

/* --- who speaks with whom --- */

static bool is_early(const struct leg *l)
{
    return l->state == LEG_EARLY && l->dlg.state == DIALOG_EARLY &&
           (l->early_sdp == NULL || l->early_id == leg_dialog_id(l->dlg.remote_tag));
}

/* Whose media it hears; when nobody plays, who rang last; when that one has ended, who rings. */
static struct leg *heard_callee(struct call *c)
{
    struct leg *last = c->last_1xx_leg != 0 ? call_leg_by_index(c, c->last_1xx_leg) : NULL;

    if (c->b != NULL && c->b->early_sdp != NULL) {
        return is_early(c->b) ? c->b : NULL;
    }
    if (last != NULL) {
        return is_early(last) ? last : NULL;
    }
    LIST_FOR_EACH(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (is_early(l)) {
            return l;
        }
    }
    return NULL;
}

struct leg *call_partner(const struct leg *l)
{
    struct call *c = l->call;
    struct leg *callee;

    if (c->state == CALL_ANSWERED) {
        return call_other_leg(l);
    }
    callee = c->state != CALL_ENDED && c->a->state == LEG_EARLY ? heard_callee(c) : NULL;
    if (callee == NULL || (l != c->a && l != callee)) {
        return NULL;
    }
    return l == c->a ? callee : c->a;
}

/* --- the end of one --- */

static void relay_hang_up(struct relay *r)
{
    if (r->cli != NULL) {
        tx_close(r->cli);
        tx_unref(&r->cli);
    }
}

static void relay_free(struct relay *r)
{
    relay_hang_up(r);
    if (r->srv != NULL) {
        tx_close(r->srv);
        tx_unref(&r->srv);
    }
    digest_free(&r->digest);
    sip_msg_unref(&r->req);
    list_del(&r->node);
    r->call->n_relays--;
    mem_free(r);
}

static void relay_drop(struct relay *r, uint16_t status)
{
    if (r->srv != NULL && !tx_server_is_final(r->srv)) {
        rules_answer_leg(r->from, r->srv, status, SL_NULL, NULL);
    }
    relay_free(r);
}

void relays_drop(struct call *c)
{
    LIST_FOR_EACH_SAFE(it, &c->relays)
    {
        relay_drop(CONTAINER_OF(it, struct relay, node), 481);
    }
}

/* The sender's own dialog may live on: it is told that nobody is there, not that the dialog is
 * gone, which would end it (RFC 6086 4.2.2). */
void relays_drop_leg(struct leg *l)
{
    LIST_FOR_EACH_SAFE(it, &l->call->relays)
    {
        struct relay *r = CONTAINER_OF(it, struct relay, node);

        if (r->from == l || r->to == l) {
            relay_drop(r, r->from == l || r->from->state == LEG_ENDED ? 481 : 480);
        }
    }
}

/* --- on its way --- */

static void on_relay_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

static int relay_write(struct relay *r, const struct flow *flow, uint32_t cseq,
                       struct sip_msg *challenge)
{
    const struct sip_msg *req = r->req;
    struct buf *b = &r->call->t->out;
    struct addr via;
    int err = 0;

    leg_via_addr(r->to, flow->transport, &via);
    buf_reset(b);
    dialog_put_request(b, &r->to->dlg,
                       &(struct dialog_request){.method = r->method,
                                                .cseq = cseq,
                                                .branch = tx_branch(r->cli),
                                                .via = &via,
                                                .transport = flow->transport,
                                                .max_forwards = call_hops_left(req)});
    if (challenge != NULL) {
        err = leg_put_credentials(b, r->to, challenge, r->method, &r->digest);
    }
    if (r->method == SIP_INFO && sip_hdr(req, HDR_INFO_PACKAGE) != NULL) {
        sip_put_hdr(b, "Info-Package", sip_hdr_value(req, HDR_INFO_PACKAGE));
    }
    rules_apply(&(struct rules_out){.cfg = r->call->cfg,
                                    .to = &r->to->party,
                                    .message = {.method = sl_str(sip_method_name(r->method))},
                                    .heard = req,
                                    .heard_from = &r->from->party},
                b, b->n);
    sip_put_body(b, sip_hdr_value(req, HDR_CONTENT_TYPE), req->body);
    if (err != 0 || buf_err(b) != 0) {
        return err != 0 ? err : buf_err(b);
    }
    return egress_pass_leg(r->to, b, r->method, 0, NULL);
}

/* The first time, or again with what a challenge asks for, as a transaction of its own. */
static int relay_send(struct relay *r, struct sip_msg *challenge)
{
    struct tx *old = r->cli;
    struct flow flow;
    uint32_t cseq;
    int err;

    dialog_next_hop(&r->to->dlg, &flow);
    err = tx_client_new(
        &r->cli, r->call->t->p.tab,
        &(struct tx_client_params){
            .method = r->method, .flow = flow, .on_response = on_relay_response, .arg = r});
    if (err == 0) {
        cseq = dialog_next_cseq(&r->to->dlg);
        err = relay_write(r, &flow, cseq, challenge);
        if (err == 0) {
            err = tx_client_start(r->cli, buf_sl(&r->call->t->out));
        }
        if (err == 0) {
            ladder_add(r->to, true, r->method, 0, cseq, false);
        } else {
            relay_hang_up(r);
        }
    }
    if (err != 0) {
        r->cli = old;
    } else if (old != NULL) {
        tx_close(old);
        tx_unref(&old);
    }
    return err;
}

/* A challenge of one side is no business of the other. What is said of an early dialog over there
 * does not hold for the one over here. */
static uint16_t status_for_sender(const struct relay *r, uint16_t status)
{
    if (status == 401 || status == 407) {
        return 502;
    }
    return r->is_early && status == 481 ? 480 : status;
}

/* False: it goes on. */
static bool relay_is_over(struct relay *r, struct sip_msg *rsp, uint16_t status)
{
    bool is_challenge = status == 401 || status == 407;

    if (rsp != NULL && status >= 200) {
        ladder_msg(r->to, rsp);
    }
    if (rsp == NULL || !is_challenge || tx_request(r->srv) == NULL) { /* NULL: it has ended */
        return status >= 200;
    }
    return relay_send(r, rsp) != 0;
}

static void on_relay_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct relay *r = arg;
    struct call *c = r->call;
    struct leg *to = r->to;
    uint16_t status = err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status;
    bool is_telling = !r->is_early && (status == 481 || status == 408);

    if (r->cli != tx || !relay_is_over(r, rsp, status)) {
        return;
    }
    ladder_add(r->from, true, r->method, status_for_sender(r, status), r->from->dlg.remote_cseq,
               false);
    if (status != 408) { /* too late for its sender as well (RFC 4320 4.2) */
        rules_answer_leg(r->from, r->srv, status_for_sender(r, status), SL_NULL, rsp);
    }
    relay_free(r);
    if (is_telling && c->state == CALL_ANSWERED) { /* RFC 5057 */
        to->state = status == 481 ? LEG_ENDED : to->state;
        call_end(c, to == c->a ? "caller" : "callee", "dialog is gone", 0);
    }
}

bool call_may_relay_body(const struct sip_msg *req)
{
    static const char *const types[] = {"application/dtmf-relay",
                                        "application/dtmf",
                                        "application/vnd.nortelnetworks.digits",
                                        "application/media_control+xml",
                                        "message/imdn+xml",
                                        "application/im-iscomposing+xml"};
    struct sl type = sip_content_type(req), coding = sip_hdr_value(req, HDR_CONTENT_ENCODING);

    if (req->body.n == 0) {
        return true;
    }
    if (coding.n != 0 && !sl_ieq(coding, SL("identity"))) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (sl_ieq(type, sl_str(types[i]))) {
            return true;
        }
    }
    return sl_istarts(type, SL("text/")) || sl_istarts(type, SL("image/"));
}

void call_relay(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    struct call *c = l->call;
    struct leg *to = call_partner(l);
    struct relay *r;

    if (to == NULL) {
        call_answer_mid(l, tx, 480, SL_NULL);
        return;
    }
    if (req->max_forwards <= CALL_HOPS_MIN) {
        call_answer_mid(l, tx, 483, SL_NULL);
        return;
    }
    if (!call_may_relay_body(req)) {
        call_answer_mid(l, tx, 415, SL(CALL_RELAY_ACCEPT));
        return;
    }
    r = c->n_relays < CALL_RELAYS_MAX ? mem_zalloc(sizeof(*r)) : NULL;
    if (r == NULL) {
        call_answer_mid(l, tx, 500, SL("Retry-After: 2\r\n"));
        return;
    }
    *r = (struct relay){.call = c,
                        .from = l,
                        .to = to,
                        .srv = tx,
                        .req = sip_msg_ref(req),
                        .method = req->method,
                        .is_early = c->state != CALL_ANSWERED};
    list_push_back(&c->relays, &r->node);
    c->n_relays++;
    if (relay_send(r, NULL) != 0) {
        relay_drop(r, 480);
    }
}
