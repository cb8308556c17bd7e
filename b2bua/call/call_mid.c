/* call_mid.c - requests inside a dialog: the bridging table says for each method whether it is
 * relayed, answered here, or refused. */
#include "call/call_egress.h"
#include "call/call_rules.h"

typedef void(mid_fn)(struct leg *l, struct tx *tx, struct sip_msg *req);

void call_answer_mid(struct leg *l, struct tx *tx, uint16_t status, struct sl extra)
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
    call_answer_mid(l, tx, 200, SL_NULL);
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
    call_answer_mid(l, tx, 200, SL("Allow: " CALL_ALLOW "\r\n" CALL_ACCEPT));
}

/* --- relayed: call_relay.c --- */

static void mid_info(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    if (!call_info_digit(l, tx, req)) {
        call_relay(l, tx, req);
    }
}

/* --- refused --- */

static void mid_refuse(struct leg *l, struct tx *tx, struct sip_msg *req)
{
    call_answer_mid(l, tx, req->method == SIP_METHOD_OTHER ? 501 : 405,
                    SL("Allow: " CALL_ALLOW "\r\n"));
}

/* The bridging table. ACK and CANCEL never get here. */
static mid_fn *const mid_table[SIP_METHOD_N] = {
    [SIP_INVITE] = mid_invite,       [SIP_BYE] = mid_bye,          [SIP_OPTIONS] = mid_options,
    [SIP_INFO] = mid_info,           [SIP_MESSAGE] = call_relay,   [SIP_REGISTER] = mid_refuse,
    [SIP_REFER] = mid_refuse,        [SIP_SUBSCRIBE] = mid_refuse, [SIP_NOTIFY] = mid_refuse,
    [SIP_UPDATE] = call_update,      [SIP_PRACK] = call_prack,     [SIP_PUBLISH] = mid_refuse,
    [SIP_METHOD_OTHER] = mid_refuse,
};

struct leg *call_leg_by_index(struct call *c, uint8_t index)
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

/* A phone that moved to another network during the call and has shown its password from there. */
static bool is_registered_at(const struct leg *l, const struct addr *source)
{
    const struct policy_users *users = &policy_def(l->call->cfg->policy)->users;
    const struct binding *list[REG_BINDINGS_MAX];
    size_t n = 0;

    if (l->party.kind == POLICY_USERS && l->user >= 0) {
        n = registrar_lookup(l->call->t->p.registrar, sl_str(users->accounts[l->user].name), list);
    }
    for (size_t i = 0; i < n; i++) {
        if (addr_eq_ip(&list[i]->flow.remote, source)) {
            return true;
        }
    }
    return false;
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
    if (addr_eq_ip(&flow->remote, &l->dlg.flow.remote) || is_registered_at(l, &flow->remote)) {
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
    struct leg *l = c != NULL ? call_leg_by_index(c, tok->leg) : NULL;
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
        call_answer_mid(l, tx, req->method == SIP_BYE ? 200 : 481, SL_NULL);
        return;
    }
    mid_table[req->method](l, tx, req);
}
