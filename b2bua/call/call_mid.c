/* call_mid.c - requests inside a dialog: the bridging table says for each method whether it is
 * relayed, answered here, or refused. */
#include "call/call_egress.h"
#include "call/call_rules.h"

typedef void(mid_fn)(struct leg *l, struct tx *tx, struct sip_msg *req);

static struct leg *peer_of(const struct leg *l)
{
    struct call *c = l->call;

    return l == c->a ? c->b : c->a;
}

static void answer_and_drop(struct leg *l, struct tx *tx, uint16_t status, struct sl extra)
{
    ladder_add(l, true, tx_request(tx)->method, status, l->dlg.remote_cseq, false);
    rules_answer_leg(l, tx, status, extra, NULL);
    tx_close(tx);
    tx_unref(&tx);
}

/* --- answered here --- */

static void mid_invite(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    call_reinvite(l, tx, req);
}

static void mid_bye(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    struct call *c = l->call;
    bool is_caller = l == c->a;

    (void)req;
    answer_and_drop(l, tx, 200, SL_NULL);
    if (c->state != CALL_ANSWERED && is_caller) {
        call_reject_a(c, 487, "caller", "BYE before the answer"); /* RFC 3261 15.1.2 */
        return;
    }
    if (l->srv != NULL && tx_server_is_final(l->srv)) {
        tx_server_acked(l->srv);
    } else if (l->srv != NULL) {
        (void)leg_respond(l, 487, SL_NULL); /* a re-INVITE of theirs was waiting */
    }
    l->state = LEG_ENDED;
    l->dlg.state = DIALOG_ENDED;
    call_end(c, is_caller ? "caller" : "callee", "BYE", 0);
}

static void mid_options(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    (void)req;
    answer_and_drop(l, tx, 200, SL("Allow: " CALL_ALLOW "\r\n" CALL_ACCEPT));
}

/* --- relayed --- */

static void relay_free(struct relay *r)
{
    if (r->cli != NULL) {
        tx_close(r->cli);
        tx_unref(&r->cli);
    }
    if (r->srv != NULL) {
        tx_close(r->srv);
        tx_unref(&r->srv);
    }
    list_del(&r->node);
    r->call->n_relays--;
    mem_free(r);
}

void relays_drop(struct call *c)
{
    LIST_FOR_EACH_SAFE(it, &c->relays)
    {
        struct relay *r = CONTAINER_OF(it, struct relay, node);

        if (r->srv != NULL && !tx_server_is_final(r->srv)) {
            rules_answer_leg(r->from, r->srv, 481, SL_NULL, NULL);
        }
        relay_free(r);
    }
}

static void on_relay_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct relay *r = arg;
    struct call *c = r->call;
    struct leg *to = r->to;
    uint16_t status = err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status;

    (void)tx;
    if (status < 200) {
        return;
    }
    if (rsp != NULL) {
        ladder_msg(to, rsp);
    }
    if (status == 401 || status == 407) {
        status = 502; /* a challenge of one side is no business of the other */
    }
    ladder_add(r->from, true, r->method, status, r->from->dlg.remote_cseq, false);
    if (status != 408) { /* too late for its sender as well (RFC 4320 4.2) */
        rules_answer_leg(r->from, r->srv, status, SL_NULL, rsp);
    }
    relay_free(r);
    if ((status == 481 || status == 408) && c->state == CALL_ANSWERED) { /* RFC 5057 */
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

static int relay_send(struct relay *r, struct sip_msg *req)
{
    struct call_table *t = r->call->t;
    struct buf *b = &t->out;
    struct flow flow;
    struct addr via;
    uint32_t cseq;
    int err;

    dialog_next_hop(&r->to->dlg, &flow);
    err = tx_client_new(
        &r->cli, t->p.tab,
        &(struct tx_client_params){
            .method = r->method, .flow = flow, .on_response = on_relay_response, .arg = r});
    if (err != 0) {
        return err;
    }
    leg_via_addr(r->to, flow.transport, &via);
    cseq = dialog_next_cseq(&r->to->dlg);
    buf_reset(b);
    dialog_put_request(b, &r->to->dlg,
                       &(struct dialog_request){.method = r->method,
                                                .cseq = cseq,
                                                .branch = tx_branch(r->cli),
                                                .via = &via,
                                                .transport = flow.transport,
                                                .max_forwards = call_hops_left(req)});
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
    err = buf_err(b) != 0 ? buf_err(b) : egress_pass_leg(r->to, b, r->method, 0, NULL);
    if (err == 0) {
        err = tx_client_start(r->cli, buf_sl(b));
    }
    if (err == 0) {
        ladder_add(r->to, true, r->method, 0, cseq, false);
    }
    return err;
}

static void mid_relay(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    struct call *c = l->call;
    struct leg *to = peer_of(l);
    struct relay *r;

    if (c->state != CALL_ANSWERED || to == NULL) {
        answer_and_drop(l, tx, 480, SL_NULL);
        return;
    }
    if (req->max_forwards <= CALL_HOPS_MIN) {
        answer_and_drop(l, tx, 483, SL_NULL);
        return;
    }
    if (!call_may_relay_body(req)) {
        answer_and_drop(l, tx, 415, SL(CALL_RELAY_ACCEPT));
        return;
    }
    r = c->n_relays < CALL_RELAYS_MAX ? mem_zalloc(sizeof(*r)) : NULL;
    if (r == NULL) {
        answer_and_drop(l, tx, 500, SL("Retry-After: 2\r\n"));
        return;
    }
    *r = (struct relay){.call = c, .from = l, .to = to, .srv = tx, .method = req->method};
    list_push_back(&c->relays, &r->node);
    c->n_relays++;
    if (relay_send(r, req) != 0) {
        rules_answer_leg(l, tx, 480, SL_NULL, NULL);
        relay_free(r);
    }
}

static void mid_info(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    if (!call_info_digit(l, tx, req)) {
        mid_relay(l, tx, req);
    }
}

/* --- refused --- */

static void mid_refuse(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    answer_and_drop(l, tx, req->method == SIP_METHOD_OTHER ? 501 : 405,
                    SL("Allow: " CALL_ALLOW "\r\n"));
}

/* The bridging table. ACK and CANCEL never get here. */
static mid_fn *const mid_table[SIP_METHOD_N] = {
    [SIP_INVITE] = mid_invite,       [SIP_BYE] = mid_bye,          [SIP_OPTIONS] = mid_options,
    [SIP_INFO] = mid_info,           [SIP_MESSAGE] = mid_relay,    [SIP_REGISTER] = mid_refuse,
    [SIP_REFER] = mid_refuse,        [SIP_SUBSCRIBE] = mid_refuse, [SIP_NOTIFY] = mid_refuse,
    [SIP_UPDATE] = call_update,      [SIP_PRACK] = call_prack,     [SIP_PUBLISH] = mid_refuse,
    [SIP_METHOD_OTHER] = mid_refuse,
};

static struct leg *leg_by_index(struct call *c, uint8_t index)
{
    if (c->a != NULL && c->a->index == index) {
        return c->a;
    }
    LIST_FOR_EACH(it, &c->forks)
    {
        struct leg *l = CONTAINER_OF(it, struct leg, node);

        if (l->index == index) {
            return l;
        }
    }
    return NULL;
}

/* A listener that was changed since gives its socket another number, which this call's own
 * configuration does not know: the one that the leg began on is meant. */
static uint8_t listener_for(const struct leg *l, const struct flow *flow)
{
    const struct config *cfg = l->call->cfg;
    bool known = flow->listener < cfg->n_listeners && cfg->listeners[flow->listener].name != NULL;

    return known ? flow->listener : l->listener;
}

/* A request inside a dialog must come from where the dialog lives: over UDP anybody can write any
 * source, but not receive there (attacks.md 40). */
static bool source_fits(const struct leg *l, const struct flow *flow)
{
    if (flow_is_secure(&l->dlg.flow) && !flow_is_secure(flow)) {
        return false; /* what began in secret is not changed in the open */
    }
    if (l->dlg.flow.certified && !l->dlg.flow.dialled) { /* who proved it once can do so again */
        return flow_same(flow, &l->dlg.flow) || flow_proven(flow) == l->dlg.flow.peer;
    }
    if (addr_eq_ip(&flow->remote, &l->dlg.flow.remote)) {
        return true;
    }
    return l->party.kind == POLICY_PEER &&
           policy_peer_of(l->call->cfg->policy, listener_for(l, flow), &flow->remote,
                          flow_proven(flow)) == l->party.peer;
}

/* The caller until the end, and the one callee that answered; losing forks and targets that were
 * left have no say in the call. */
static bool leg_is_of_call(const struct leg *l)
{
    const struct call *c = l->call;

    if (c->state == CALL_ENDED || l->state == LEG_ENDED || l->state == LEG_CANCELLING) {
        return false;
    }
    return l == c->a || (l == c->b && c->state == CALL_ANSWERED);
}

/* A callee that still rings has an early dialog: it may ask, but neither end nor change the call.
 */
static bool may_ask_early(const struct leg *l, const struct sip_msg *req)
{
    return (l->state == LEG_CALLING || l->state == LEG_EARLY) && l->call->state < CALL_ANSWERED &&
           req->method != SIP_BYE && req->method != SIP_INVITE;
}

static void answer_no_dialog(struct call_table *t, struct tx *tx, uint16_t status)
{
    if (tx != NULL) {
        tx_answer(t, tx, status, SL_NULL, SL_NULL);
        tx_close(tx);
        tx_unref(&tx);
    } else {
        stat_inc(STAT_SIP_DROP_ACK);
    }
}

static void follow_source(struct leg *l, const struct flow *flow)
{
    if (l->dlg.pin_flow || flow_is_reliable(flow)) {
        leg_set_flow(l, flow); /* NAT bindings and connections change under a dialog */
    }
}

void call_in_dialog(struct call_table *t, const struct token *tok, struct tx *tx,
                    struct sip_msg *req, const struct flow *flow)
{
    struct call *c = slots_get(&t->slots, tok->slot, tok->gen);
    struct leg *l = c != NULL ? leg_by_index(c, tok->leg) : NULL;
    int err;

    if (l == NULL || l->dlg.call_id.n == 0 || !source_fits(l, flow)) {
        answer_no_dialog(t, tx, 481);
        return;
    }
    err = dialog_check_request(&l->dlg, req);
    if (err != 0) {
        answer_no_dialog(t, tx, err == EPROTO ? 481 : err == ERANGE ? 500 : 400);
        return;
    }
    follow_source(l, flow);
    policy_said_addr(&l->said, &flow->remote);
    egress_hear(&l->said, req);
    leg_note_nat(l);
    if (tx == NULL) {
        call_ack(l, req);
        return;
    }
    ladder_msg(l, req);
    leg_learn_allow(l, req);
    if (!leg_is_of_call(l) &&
        !may_ask_early(l, req)) { /* both hung up at once: each BYE is answered (RFC 3261 15) */
        answer_and_drop(l, tx, req->method == SIP_BYE ? 200 : 481, SL_NULL);
        return;
    }
    mid_table[req->method](l, tx, req);
}
