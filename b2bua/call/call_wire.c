/* call_wire.c - what a call sends: answers, INVITE, ACK, BYE, CANCEL. Every message is built here
 * from allowed parts; nothing of the other leg's message is copied. */
#include "call/call_egress.h"
#include "call/call_rules.h"

void call_via_addr(const struct config *cfg, uint8_t listener, uint8_t transport, struct addr *out)
{
    const struct config_listener *ls = &cfg->listeners[listener];

    *out = ls->advertise;
    addr_set_port(out, transport < CONFIG_TRANSPORTS ? ls->port[transport] : 0);
}

void leg_via_addr(const struct leg *l, uint8_t transport, struct addr *out)
{
    uint16_t port;

    call_via_addr(l->call->cfg, l->listener, transport, out);
    port = addr_port(out);
    *out = *call_advertised(l->call, l->listener);
    addr_set_port(out, port);
}

/* A registered Contact may carry ?headers; they never become part of a request (RFC 3261 19.1.5).
 */
struct sl call_request_uri(struct sl contact)
{
    struct sip_uri u;

    if (sip_uri_parse(contact, &u) != 0 || u.headers.p == NULL || u.headers.n == 0) {
        return contact;
    }
    return sl_head(contact, (size_t)(u.headers.p - contact.p) - 1);
}

void leg_make_token(const struct leg *l, enum token_kind kind, char out[TOKEN_TEXT_LEN])
{
    const struct call *c = l->call;
    struct token tok = {.node = c->cfg->node_id,
                        .worker = c->t->p.worker,
                        .kind = (uint8_t)kind,
                        .leg = l->index,
                        .slot = c->slot,
                        .gen = c->gen};

    token_put(c->t->p.ring, &tok, out);
}

/* sips: says it already (RFC 5630 3.1.3). */
void call_put_transport(struct buf *b, uint8_t transport, bool sips)
{
    if (transport == SIP_TCP) {
        BUF_LIT(b, ";transport=tcp");
    } else if (transport == SIP_TLS && !sips) {
        BUF_LIT(b, ";transport=tls");
    }
}

static void put_contact(struct buf *b, const struct leg *l)
{
    struct addr at;

    leg_via_addr(l, l->dlg.flow.transport, &at);
    buf_puts(b, l->sips ? "sips:" : "sip:");
    buf_put(b, l->contact, TOKEN_TEXT_LEN);
    buf_putc(b, '@');
    addr_put(b, &at);
    call_put_transport(b, l->dlg.flow.transport, l->sips);
}

static void put_contact_hdr(struct buf *b, const struct leg *l)
{
    BUF_LIT(b, "Contact: <");
    put_contact(b, l);
    BUF_LIT(b, ">\r\n");
}

void tx_refuse(struct call_table *t, struct tx *tx, const struct refusal *r)
{
    struct buf *b = &t->out;
    struct sip_msg *req = tx_request(tx);

    if (req == NULL) {
        return;
    }
    buf_reset(b);
    sip_put_response(b, &(struct sip_response){.req = req,
                                               .src = tx_server_source(tx),
                                               .status = r->status,
                                               .reason = r->reason,
                                               .to_tag = r->to_tag});
    buf_putsl(b, r->extra);
    sip_put_body(b, SL_NULL, SL_NULL);
    egress_pass_answer(t->cfg, req, tx_server_flow(tx), r->status, b);
    if (buf_err(b) != 0 || tx_server_respond(tx, r->status, buf_sl(b)) != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
}

void tx_answer(struct call_table *t, struct tx *tx, uint16_t status, struct sl to_tag,
               struct sl extra)
{
    tx_refuse(t, tx, &(struct refusal){.status = status, .to_tag = to_tag, .extra = extra});
}

/* Why, and when to come again (RFC 3261 20.33, 20.43); the words are ours, never the other side's.
 */
static void put_trouble(struct buf *b, const struct call *c, uint16_t status)
{
    uint32_t after_s = c->verdict.retry_after_s != 0 ? c->verdict.retry_after_s : 5;

    if (status == 503 || (c->verdict.told.is_over && status == c->verdict.sip_code)) {
        buf_putf(b, "Retry-After: %u\r\n", after_s);
    }
    if (status >= 400 && c->warning != NULL) {
        buf_putf(b, "Warning: %u postern \"%s\"\r\n", c->sips && status == 480 ? 380 : 399,
                 c->warning); /* 380: RFC 5630 5.1.1 */
    }
}

/* The rules of who gets this response; what it answers for the other side may be copied from. */
static void put_rules_response(struct buf *b, const struct leg *l, struct sl method, size_t mark)
{
    const struct call *c = l->call;
    bool is_relayed = c->heard != NULL && c->heard_leg != l;

    rules_apply(&(struct rules_out){.cfg = c->cfg,
                                    .to = &l->party,
                                    .message = {.method = method, .is_response = true},
                                    .heard = is_relayed ? c->heard : NULL,
                                    .heard_from = is_relayed ? &c->heard_leg->party : NULL},
                b, mark);
}

static void wipe_buf(struct buf *b)
{
    if (b->p != NULL) {
        mem_wipe(b->p, b->cap);
    }
    buf_reset(b);
}

/* Its transaction has a copy. */
void call_forget_keys(struct call_table *t, struct sl sdp)
{
    if (sdp.n == 0) {
        return;
    }
    wipe_buf(&t->out);
    if (sdp.p == t->body.p) {
        wipe_buf(&t->body);
    }
}

struct answer {
    struct tx *tx;
    uint16_t status;
    struct sl sdp, extra; /* extra: whole header lines */
};

/* What we take, and what this answer says of the session. */
static void put_session(struct buf *b, struct leg *l, uint16_t status)
{
    if (status > 100 && status < 300) {
        BUF_LIT(b, "Allow: " CALL_ALLOW "\r\n");
    }
    if (reliable_way(l, status) == RELIABLE_YES) {
        reliable_put(b, l);
    }
    if (status >= 200 && status < 300) {
        session_put_answer(b, l);
    } else if (status == 422) {
        session_put_min(b, l);
    } else if (status == 415) {
        BUF_LIT(b, CALL_ACCEPT); /* RFC 3261 21.4.13 */
    } else {
        reliable_put_refusal(b, l, status);
    }
}

/* Provisional answers may have to be acknowledged, and finals may have to wait for that. */
static int send_answer(struct leg *l, struct tx *tx, uint16_t status, struct sl sdp)
{
    struct sl bytes = buf_sl(&l->call->t->out);

    if (tx == l->srv && reliable_way(l, status) == RELIABLE_YES) {
        return reliable_send(l, status, bytes, sdp);
    }
    if (tx == l->srv && status >= 200 && reliable_holds(l, status, bytes)) {
        return 0;
    }
    return tx_server_respond(tx, status, bytes);
}

/* Bare: without what rules of the operator add, and without words of others. */
static void put_response(struct buf *b, struct leg *l, const struct answer *a, bool is_bare)
{
    const struct call *c = l->call;
    struct sip_msg *req = tx_request(a->tx);
    uint16_t status = a->status;
    size_t mark;

    buf_reset(b);
    sip_put_response(b,
                     &(struct sip_response){.req = req,
                                            .src = tx_server_source(a->tx),
                                            .status = status,
                                            .reason = status >= 300 && !is_bare ? c->phrase : NULL,
                                            .to_tag = l->dlg.local_tag,
                                            .rr = status > 100 && status < 300});
    if (status > 100 && status < 300) {
        put_contact_hdr(b, l);
    }
    if (l == c->a && status >= 300 && status < 400 && c->redirect.n != 0) {
        buf_putf(b, "Contact: <%.*s>\r\n", SL_ARG(c->redirect));
    }
    mark = b->n;
    put_session(b, l, status);
    put_trouble(b, c, status);
    buf_putsl(b, a->extra);
    if (!is_bare) {
        put_rules_response(b, l, req->method_name, mark);
    }
    sip_put_body(b, a->sdp.n != 0 ? SL("application/sdp") : SL_NULL, a->sdp);
}

/* The caller holds us to the first answer that it hears in a dialog and may pass over another one
 * (RFC 3261 13.2.1). What another target or fork says is the answer of another dialog, so it comes
 * under another tag, as if a proxy had forked (12.1.2). Reliable answers have a way of their own.
 */
static void note_answer(struct leg *l, struct sl sdp)
{
    static const uint8_t key[16] = {0};
    struct call *c = l->call;
    uint64_t id = siphash13(sdp.p, sdp.n, key);
    char text[TOKEN_TEXT_LEN];
    struct sl tag;

    if (c->answer_id != 0 && c->answer_id != id) {
        leg_make_token(l, TOKEN_TAG, text);
        tag = arena_dup(&c->arena, sl_make(text, sizeof(text)));
        l->dlg.local_tag = tag.p != NULL ? tag : l->dlg.local_tag;
    }
    c->answer_id = id;
}

uint64_t leg_dialog_id(struct sl tag)
{
    static const uint8_t key[16] = {0};

    return siphash13(tag.p, tag.n, key);
}

int leg_respond(struct leg *l, uint16_t status, struct sl sdp)
{
    struct sl told;

    if (l->srv == NULL || tx_request(l->srv) == NULL) {
        return EPROTO;
    }
    status = rules_status(l->call->cfg, &l->party, POLICY_OUT, status);
    if (reliable_way(l, status) == RELIABLE_NEVER) {
        return 0;
    }
    told = l->call->state < CALL_ANSWERED ? reliable_sdp(l, sdp) : sdp;
    if (told.n != 0 && l == l->call->a && l->call->state < CALL_ANSWERED &&
        !l->reliable.is_wanted) {
        note_answer(l, told);
    }
    if (told.n == 0) {
        call_forget_keys(l->call->t, sdp);
    }
    return leg_respond_to(l, l->srv, status, told, SL_NULL);
}

int leg_respond_to(struct leg *l, struct tx *tx, uint16_t status, struct sl sdp, struct sl extra)
{
    struct answer a = {.tx = tx, .status = status, .sdp = sdp, .extra = extra};
    struct call *c = l->call;
    struct buf *b = &c->t->out;
    struct sip_msg *req = tx_request(tx);
    int err;

    if (req == NULL) {
        return EPROTO;
    }
    put_response(b, l, &a, false);
    err = egress_pass_leg(l, b, req->method, status, req);
    if (err == EACCES && status >= 300) { /* they wait for it */
        put_response(b, l, &a, true);
        egress_pass_failure(l, b, status, req);
        err = 0;
    }
    if (err == 0) {
        ladder_add(l, true, req->method, status, req->cseq, sdp.n != 0);
        err = buf_err(b);
    }
    if (err == 0) {
        err = send_answer(l, tx, status, sdp);
    }
    if (err == 0 && status >= 200 && status < 300) {
        session_answered(l);
    }
    call_forget_keys(c->t, sdp);
    return err;
}

static void put_request(struct buf *b, struct leg *l, enum sip_method m, uint32_t cseq,
                        struct sl branch, const struct flow *flow)
{
    struct addr via;
    char contact[160];
    struct buf cb;
    const struct sip_msg *inv = l->call->invite;

    leg_via_addr(l, flow->transport, &via);
    buf_init_fixed(&cb, contact, sizeof(contact));
    put_contact(&cb, l);
    dialog_put_request(
        b, &l->dlg,
        &(struct dialog_request){
            .method = m,
            .cseq = cseq,
            .branch = branch,
            .via = &via,
            .transport = flow->transport,
            .contact = m == SIP_INVITE || m == SIP_ACK || m == SIP_UPDATE ? buf_sl(&cb) : SL_NULL,
            .max_forwards = m == SIP_INVITE && inv != NULL ? call_hops_left(inv) : CALL_HOPS_MAX});
}

/* The carrier asked for credentials: its Authorization lines, built for this very request. After a
 * 422 the repeated request has to say again what they had asked for before. */
int leg_put_credentials(struct buf *b, const struct leg *l, struct sip_msg *asked,
                        enum sip_method method, struct digest_state **stp)
{
    const struct policy_def *def = policy_def(l->call->cfg->policy);
    const struct policy_peer *peer =
        l->party.kind == POLICY_PEER ? &def->peers[l->party.peer] : NULL;
    struct digest_credentials cred;
    int err;

    if (asked->status == 422 && *stp == NULL) {
        return 0; /* nothing was asked for */
    }
    if (peer == NULL || peer->username == NULL) {
        return asked->status == 422 ? 0 : ENOENT;
    }
    if (*stp == NULL && (*stp = mem_zalloc(sizeof(**stp))) == NULL) {
        return ENOMEM;
    }
    cred = (struct digest_credentials){.username = sl_str(peer->username),
                                       .password = sl_str(peer->password),
                                       .realm = sl_str(peer->realm)};
    err = digest_answer(b, asked,
                        &(struct digest_for){.cred = &cred,
                                             .method = sl_str(sip_method_name(method)),
                                             .uri = dialog_request_uri(&l->dlg)},
                        *stp);
    if (err == ENOTSUP) {
        log_warn(&l->log, "the peer wants qop=auth-int, which is not answered");
        attempt_why(l->call, l, "the peer wants qop=auth-int, which is not answered");
    }
    return err == ENOENT && asked->status == 422 ? 0 : err;
}

/* What stands in a request beside what makes it work, by the rules of who gets it. */
static void put_extra(struct buf *b, const struct leg *l, enum sip_method method)
{
    const struct call *c = l->call;
    const struct sip_msg *inv = l != c->a ? c->invite : NULL; /* while it is being routed */
    struct identity id;
    size_t mark = b->n;

    if (method == SIP_INVITE || method == SIP_UPDATE) {
        BUF_LIT(b, "Allow: " CALL_ALLOW "\r\n");
        reliable_put_request(b, l);
        session_put_request(b, l);
    }
    if (method == SIP_INVITE && inv != NULL) {
        identity_of(c->cfg, &c->verdict.source, c->verdict.user, inv, &id);
        identity_put(b, &id, c->cfg, &c->verdict.source, &l->party);
    }
    rules_apply(&(struct rules_out){.cfg = c->cfg,
                                    .to = &l->party,
                                    .message = {.method = sl_str(sip_method_name(method))},
                                    .heard = inv,
                                    .heard_from = &c->verdict.source},
                b, mark);
}

static int try_request(struct leg *l, struct tx **txp, struct out_request *r)
{
    struct buf *b = &l->call->t->out;
    struct flow flow;
    int err;

    dialog_next_hop(&l->dlg, &flow);
    err = tx_client_new(txp, l->call->t->p.tab,
                        &(struct tx_client_params){.method = r->method,
                                                   .flow = flow,
                                                   .on_response = r->fn,
                                                   .arg = l,
                                                   .answer_ms = r->answer_ms});
    if (err != 0) {
        return err;
    }
    r->cseq = dialog_next_cseq(&l->dlg);
    buf_reset(b);
    put_request(b, l, r->method, r->cseq, tx_branch(*txp), tx_flow(*txp));
    err = r->challenge != NULL ? leg_put_credentials(b, l, r->challenge, r->method, &l->digest) : 0;
    buf_putsl(b, r->extra);
    put_extra(b, l, r->method);
    sip_put_body(b, r->body.n != 0 ? r->type : SL_NULL, r->body);
    if (err == 0) {
        err = buf_err(b) != 0 ? buf_err(b) : egress_pass_leg(l, b, r->method, 0, NULL);
    }
    if (err == 0) {
        err = tx_client_start(*txp, buf_sl(b));
    }
    if (err != 0) {
        tx_close(*txp);
        tx_unref(txp);
    }
    return err;
}

/* The connection by which a peer came is gone, and peers often open one per request: its Contact or
 * first route is dialled instead (RFC 3261 12.2.1.1, 18.1.1). */
static bool redial(struct leg *l)
{
    const struct policy_peer *peers = policy_def(l->call->cfg->policy)->peers;
    struct flow flow = l->dlg.flow;
    struct sip_nameaddr na;
    struct sl hop = l->dlg.n_routes != 0 ? l->dlg.routes[0] : sl_str(l->dlg.target);
    bool is_tls = flow.transport == SIP_TLS;

    if (l->party.kind != POLICY_PEER || (flow.transport != SIP_TCP && !is_tls) ||
        sip_nameaddr_parse(hop, &na) != 0 ||
        addr_parse(na.uri.host,
                   na.uri.port != 0 ? na.uri.port
                   : is_tls         ? 5061
                                    : 5060,
                   &flow.remote) != 0) {
        return false;
    }
    flow.peer = is_tls ? peers[l->party.peer].id : 0; /* it has to prove who it is once more */
    flow.certified = false;
    flow.withdrawn = false;
    flow.cipher = 0;
    flow.conn_slot = FLOW_NO_CONN;
    flow.dialled = true;
    flow.worker = l->call->t->p.worker;
    leg_set_flow(l, &flow);
    return true;
}

int leg_send(struct leg *l, struct tx **txp, struct out_request *r)
{
    int err;

    if (r->challenge == NULL && l->digest != NULL) {
        digest_forget(l->digest);
    }
    err = try_request(l, txp, r);
    if (err == ENOTCONN && redial(l)) {
        err = try_request(l, txp, r);
    }
    if (err == 0) {
        ladder_add(l, true, r->method, 0, r->cseq,
                   sl_eq(r->type, SL("application/sdp")) && r->body.n != 0);
    }
    return err;
}

int leg_invite(struct leg *l, struct sl sdp, uint32_t answer_ms, struct sip_msg *challenge,
               tx_response_fn *fn)
{
    struct out_request r = {.method = SIP_INVITE,
                            .type = SL("application/sdp"),
                            .body = sdp,
                            .challenge = challenge,
                            .answer_ms = answer_ms,
                            .fn = fn};
    int err = leg_send(l, &l->cli, &r);

    call_forget_keys(l->call->t, sdp);
    if (err == 0) {
        l->cli_cseq = r.cseq;
        if (flow_is_reliable(&l->dlg.flow)) {
            leg_set_flow(l, tx_flow(l->cli)); /* a connection may have been opened */
        }
    }
    return err;
}

static void send_ack(struct leg *l)
{
    struct call_table *t = l->call->t;
    struct flow flow;

    int err;

    dialog_next_hop(&l->dlg, &flow);
    err = t->p.net->send(t->p.net_arg, &flow, sl_make(l->ack, l->ack_n));
    if (err == ENOTCONN && redial(l)) {
        flow = l->dlg.flow;
        err = t->p.net->send(t->p.net_arg, &flow, sl_make(l->ack, l->ack_n));
    }
    if (err != 0) {
        log_debug(&l->log, "ACK could not be sent");
    }
}

/* A new branch that belongs to no transaction: ACK for a 2xx is one of its own (13.2.2.4). */
static void free_branch(const struct leg *l, char out[sizeof(SIP_COOKIE) + TOKEN_TEXT_LEN])
{
    memcpy(out, SIP_COOKIE, sizeof(SIP_COOKIE) - 1);
    leg_make_token(l, TOKEN_STATELESS, out + sizeof(SIP_COOKIE) - 1);
}

int leg_ack(struct leg *l, struct sl sdp)
{
    struct buf *b = &l->call->t->out;
    char branch[sizeof(SIP_COOKIE) + TOKEN_TEXT_LEN];
    struct flow flow;

    free_branch(l, branch);
    dialog_next_hop(&l->dlg, &flow);
    buf_reset(b);
    put_request(b, l, SIP_ACK, l->cli_cseq,
                sl_make(branch, sizeof(SIP_COOKIE) - 1 + TOKEN_TEXT_LEN), &flow);
    sip_put_body(b, sdp.n != 0 ? SL("application/sdp") : SL_NULL, sdp);
    if (buf_err(b) != 0 || egress_pass_leg(l, b, SIP_ACK, 0, NULL) != 0) {
        return buf_err(b) != 0 ? buf_err(b) : EACCES;
    }
    call_forget_text(&l->ack, &l->ack_n);
    l->ack = mem_strndup(b->p, b->n);
    l->ack_n = l->ack != NULL ? b->n : 0;
    call_forget_keys(l->call->t, sdp);
    if (l->ack == NULL) {
        return ENOMEM;
    }
    l->owes_ack = false;
    ladder_add(l, true, SIP_ACK, 0, l->cli_cseq, sdp.n != 0);
    send_ack(l);
    return 0;
}

void leg_repeat_ack(struct leg *l)
{
    if (l->ack != NULL) {
        send_ack(l);
    }
}

static int send_bye(struct leg *l, struct sip_msg *challenge);

static void on_bye_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct leg *l = arg;
    struct tx *old = l->bye;

    if (err == 0 && rsp->status < 200) {
        return;
    }
    if (rsp != NULL) {
        ladder_msg(l, rsp);
    }
    l->bye = NULL;
    if (err == 0 && (rsp->status == 401 || rsp->status == 407) && send_bye(l, rsp) != 0) {
        log_debug(&l->log, "BYE was challenged and cannot be answered");
    }
    tx_close(tx);
    tx_unref(&old);
    call_check_done(l->call);
}

static int send_bye(struct leg *l, struct sip_msg *challenge)
{
    struct out_request r = {.method = SIP_BYE, .challenge = challenge, .fn = on_bye_response};

    return leg_send(l, &l->bye, &r);
}

/* A 2xx whose ACK is still owed (late offer) is acknowledged before the BYE (13.2.2.4). */
static void hang_up_confirmed(struct leg *l)
{
    if (l->owes_ack && leg_ack(l, SL_NULL) != 0) {
        log_warn(&l->log, "no memory for the ACK");
    }
    if (l->srv != NULL && tx_server_is_final(l->srv)) {
        tx_server_acked(l->srv); /* our BYE ends the wait for their ACK */
    } else if (l->srv != NULL) {
        (void)leg_respond(l, 487, SL_NULL); /* a re-INVITE of theirs was waiting */
    }
    l->state = LEG_ENDED;
    l->dlg.state = DIALOG_ENDED;
    if (l->bye == NULL && send_bye(l, NULL) != 0) {
        log_warn(&l->log, "BYE could not be sent");
    }
}

void leg_hang_up(struct leg *l)
{
    timer_stop(l->call->t->p.loop, &l->retry);
    leg_tell_stop(l);
    switch (l->state) {
    case LEG_CONFIRMED:
        hang_up_confirmed(l);
        break;
    case LEG_CALLING:
    case LEG_EARLY:
        relays_drop_leg(l);
        if (l->cli != NULL) {
            l->state = LEG_CANCELLING;
            ladder_add(l, true, SIP_CANCEL, 0, l->cli_cseq, false);
            if (l->call->is_taken) {
                tx_client_elsewhere(l->cli);
            }
            tx_client_cancel(l->cli);
        } else {
            l->state = LEG_ENDED;
        }
        break;
    default:
        break;
    }
}

/* A second 2xx from another fork: its own dialog is acknowledged and ended at once
 * (RFC 3261 13.2.2.4). */
void leg_ack_and_bye_other(struct leg *l, const struct sip_msg *rsp)
{
    struct dialog mine = l->dlg;
    char *ack = l->ack;
    size_t ack_n = l->ack_n;
    struct tx *bye = l->bye;
    bool owes_ack = l->owes_ack;

    l->dlg.target = NULL;
    l->ack = NULL;
    l->bye = NULL;
    l->dlg.n_routes = 0;
    l->dlg.state = DIALOG_NONE;
    if (dialog_learn(&l->dlg, rsp) != 0) {
        log_debug(&l->log, "2xx of another fork that makes no dialog");
    }
    if (l->dlg.target != NULL && leg_ack(l, SL_NULL) == 0 && send_bye(l, NULL) == 0) {
        tx_close(l->bye); /* nobody waits for its answer */
        tx_unref(&l->bye);
    }
    call_forget_text(&l->ack, &l->ack_n);
    mine.local_cseq = l->dlg.local_cseq; /* one CSeq space for what we sent under this Call-ID */
    dialog_deinit(&l->dlg);
    l->dlg = mine;
    l->owes_ack = owes_ack;
    l->ack = ack;
    l->ack_n = ack_n;
    l->bye = bye;
}
