/* dispatch.c - what arrives: parse, find the owner (another worker, a transaction, a dialog), or
 * start something new. Decides nothing that the policy decides. */
#include "worker/worker_int.h"

#define ALLOW_LINE                                                                                 \
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, PRACK, REGISTER\r\n"

static void answer(struct worker *w, const struct sip_msg *req, const struct flow *flow,
                   uint16_t status, struct sl extra)
{
    call_answer_stateless(w->calls, req, flow, status, NULL, extra);
}

/* --- malformed --- */

static void answer_bad(struct worker *w, const struct flow *flow, struct sip_msg *msg,
                       const struct sip_bad *bad)
{
    if (msg == NULL || bad->status == 0 || !msg->is_request || msg->method == SIP_ACK ||
        worker_hides(w, flow, NULL)) {
        return;
    }
    log_debug(NULL, "refused a malformed %s: %s", sip_method_name(msg->method), bad->reason);
    call_answer_stateless(w->calls, msg, flow, bad->status, NULL, SL_NULL);
}

/* --- responses --- */

static void on_response(struct worker *w, const struct flow *flow, struct sip_msg *msg,
                        unsigned hops)
{
    struct token tok;

    if (!tx_branch_owner(w->ring, msg, &tok) || !worker_is_node(w, tok.node) ||
        tok.worker >= w->b->n_workers) {
        stat_inc(STAT_SIP_DROP_STRAY_RSP);
        return;
    }
    if (tok.worker != w->index) {
        if (hops == 0) {
            worker_hand_message(w, tok.worker, flow, msg->text, 1);
        }
        return;
    }
    if (!tx_feed_response(w->tab, msg, flow)) {
        stat_inc(STAT_SIP_DROP_STRAY_RSP);
    }
}

/* --- requests: what must hold for any new one --- */

/* RFC 3262, RFC 4028, RFC 5626. Understood is understood: stacks repeat them in PRACK and BYE,
 * where they ask for nothing. */
static bool is_option_of_ours(const struct sip_msg *req, struct sl option)
{
    return req->method == SIP_REGISTER
               ? sl_ieq(option, SL("outbound"))
               : sl_ieq(option, SL("100rel")) || sl_ieq(option, SL("timer"));
}

static void put_unsupported(struct buf *b, const struct sip_msg *req, enum hdr_id id, bool *first)
{
    struct sip_values it = {0};
    struct sl v;

    while (sip_values_next(req, id, &it, &v) == 0) {
        if (is_option_of_ours(req, v)) {
            continue;
        }
        buf_puts(b, *first ? "Unsupported: " : ", ");
        buf_putsl(b, v);
        *first = false;
    }
}

/* RFC 3261 8.2.2.3. REGISTER is judged by the registrar. */
static bool refuse_required(struct worker *w, const struct sip_msg *req, const struct flow *flow)
{
    char mem[1024];
    struct buf b;
    bool first = true;

    if (sip_hdr(req, HDR_REQUIRE) == NULL && sip_hdr(req, HDR_PROXY_REQUIRE) == NULL) {
        return false;
    }
    buf_init_fixed(&b, mem, sizeof(mem));
    put_unsupported(&b, req, HDR_REQUIRE, &first);
    put_unsupported(&b, req, HDR_PROXY_REQUIRE, &first);
    if (first) {
        return false; /* nothing, or all of it is known */
    }
    BUF_LIT(&b, "\r\n");
    answer(w, req, flow, 420, buf_err(&b) == 0 ? buf_sl(&b) : SL_NULL);
    return true;
}

static bool refuse_early(struct worker *w, const struct sip_msg *req, const struct flow *flow)
{
    if (sl_eq(req->via.branch, SL(SIP_COOKIE))) {
        answer(w, req, flow, 400, SL_NULL); /* cookie with nothing behind it identifies nothing */
        return true;
    }
    if (req->method == SIP_METHOD_OTHER) {
        answer(w, req, flow, 501, SL(ALLOW_LINE));
        return true;
    }
    if (req->ruri.scheme == SIP_SCHEME_OTHER ||
        (req->ruri.scheme == SIP_SCHEME_SIPS && !flow_is_secure(flow))) { /* RFC 5630 3.1.1 */
        answer(w, req, flow, 416, SL_NULL);
        return true;
    }
    return refuse_required(w, req, flow);
}

/* --- inside a dialog --- */

static void in_dialog(struct worker *w, const struct flow *flow, struct sip_msg *req,
                      const struct token *tok)
{
    struct tx *tx = NULL;

    if (req->method == SIP_ACK) {
        call_in_dialog(w->calls, tok, NULL, req, flow);
        return;
    }
    if (refuse_early(w, req, flow)) {
        return;
    }
    if (tx_server_new(&tx, w->tab, req, flow, NULL, NULL) != 0) {
        stat_inc(STAT_TX_FULL);
        answer(w, req, flow, 503, SL("Retry-After: 5\r\n"));
        return;
    }
    call_in_dialog(w->calls, tok, tx, req, flow);
}

/* --- CANCEL --- */

static void on_cancel(struct worker *w, const struct flow *flow, struct sip_msg *req,
                      struct tx *invite)
{
    struct tx *tx = NULL;

    tx_ref(invite);
    if (tx_server_new(&tx, w->tab, req, flow, NULL, NULL) == 0) {
        char mem[SIP_HDR_LINE_MAX], tag[TOKEN_TEXT_LEN];
        struct token tok = {.node = w->node, .worker = w->index, .kind = TOKEN_STATELESS};
        struct buf b;

        token_put(w->ring, &tok, tag);
        buf_init_fixed(&b, mem, sizeof(mem));
        sip_put_response(&b, &(struct sip_response){.req = req,
                                                    .src = tx_server_source(tx),
                                                    .status = 200,
                                                    .to_tag = sl_make(tag, sizeof(tag))});
        sip_put_body(&b, SL_NULL, SL_NULL);
        if (buf_err(&b) != 0 || tx_server_respond(tx, 200, buf_sl(&b)) != 0) {
            stat_inc(STAT_TX_UNEXPECTED);
        }
        tx_close(tx);
        tx_unref(&tx);
    } else {
        answer(w, req, flow, 200, SL_NULL);
    }
    call_cancel(w->calls, invite, req);
    tx_unref(&invite);
}

/* --- outside a dialog --- */

/* The first question without a password is no offence, unless it is for somebody who is not here.
 */
static void hold_against(struct worker *w, const struct sip_msg *req, const struct flow *flow,
                         const struct reg_caller *caller)
{
    char user[128];
    size_t n = 0;

    if (caller->auth == AUTH_FAILED) {
        worker_offence(w, flow, req, POLICY_AUTH_FAILED, caller->echoed);
    } else if (caller->auth == AUTH_CHALLENGE &&
               (sip_unescape(req->to.uri.user, user, sizeof(user), &n) != 0 ||
                policy_user_by_name(w->cfg->policy, sl_make(user, n)) < 0)) {
        worker_offence(w, flow, req, POLICY_UNKNOWN_USER, false);
    }
}

static void on_register(struct worker *w, const struct flow *flow, struct sip_msg *req)
{
    const struct policy_users *users = &policy_def(w->cfg->policy)->users;
    char mem[512];
    struct buf challenge;
    struct reg_caller caller;
    struct tx *tx = NULL;

    if (!users->present) {
        answer(w, req, flow, 405, SL(ALLOW_LINE));
        return;
    }
    if (users->listener != flow->listener) {
        answer(w, req, flow, 403, SL_NULL); /* what strangers get: there is nobody to prove */
        return;
    }
    buf_init_fixed(&challenge, mem, sizeof(mem));
    if (!registrar_admit(w->registrar, req, &flow->remote, &caller, &challenge)) {
        answer(w, req, flow, 401, buf_err(&challenge) == 0 ? buf_sl(&challenge) : SL_NULL);
        hold_against(w, req, flow, &caller);
        return;
    }
    worker_proven(w, flow);
    if (!call_count_request(w->calls, req, flow, &(struct policy_ref){.kind = POLICY_USERS},
                            caller.user)) {
        return;
    }
    if (tx_server_new(&tx, w->tab, req, flow, NULL, NULL) != 0) {
        stat_inc(STAT_TX_FULL);
        answer(w, req, flow, 503, SL("Retry-After: 5\r\n"));
        return;
    }
    registrar_request(w->registrar, tx, req, caller.user);
    tx_close(tx);
    tx_unref(&tx);
}

static void on_options(struct worker *w, const struct flow *flow, struct sip_msg *req)
{
    int peer = policy_peer_of(w->cfg->policy, flow->listener, &flow->remote, flow_proven(flow));

    if (peer >= 0 && !call_count_request(
                         w->calls, req, flow,
                         &(struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)peer}, -1)) {
        return;
    }
    if (atomic_load_explicit(&w->b->draining, memory_order_relaxed)) {
        answer(w, req, flow, 503, SL("Retry-After: 30\r\n"));
        return;
    }
    answer(w, req, flow, 200, SL(ALLOW_LINE "Accept: application/sdp, multipart/mixed\r\n"));
}

/* For want of a listener, or of time. */
static bool refuse_new_work(struct worker *w, const struct sip_msg *req, const struct flow *flow)
{
    if (!worker_serves(w, flow->listener)) { /* left by a reload: what runs may end, no more */
        stat_inc(STAT_SIP_LISTENER_LEFT);
        answer(w, req, flow, 503, SL("Retry-After: 5\r\n"));
        return true;
    }
    return req->to_tag.n == 0 && worker_sheds(w, req, flow);
}

static void on_new_request(struct worker *w, const struct flow *flow, struct sip_msg *req)
{
    if (refuse_new_work(w, req, flow)) {
        return;
    }
    if (refuse_early(w, req, flow)) {
        return;
    }
    if (flow->withdrawn) {
        answer(w, req, flow, 403, SL_NULL); /* it would not get a connection today */
        return;
    }
    if (req->to_tag.n != 0 && req->method != SIP_REGISTER) {
        answer(w, req, flow, 481, SL_NULL); /* a dialog, but none of ours */
        return;
    }
    if (tx_is_merged(w->tab, req)) {
        answer(w, req, flow, 482, SL_NULL); /* forked upstream (RFC 3261 8.2.2.2) */
        return;
    }
    switch (req->method) {
    case SIP_INVITE:
        call_invite(w->calls, req, flow);
        break;
    case SIP_MESSAGE:
        call_message(w->calls, req, flow);
        break;
    case SIP_OPTIONS:
        on_options(w, flow, req);
        break;
    case SIP_REGISTER:
        on_register(w, flow, req);
        break;
    case SIP_BYE:
    case SIP_INFO:
    case SIP_UPDATE:
    case SIP_PRACK:
        answer(w, req, flow, 481, SL_NULL);
        break;
    default:
        answer(w, req, flow, 405, SL(ALLOW_LINE));
        break;
    }
}

/* INVITE and its CANCEL carry nothing of ours: their Call-ID says whose they are. One carrier
 * speaks from one address, and the kernel gives all of that to one worker; so its calls still use
 * every core, and a CANCEL or a repetition from another port finds its INVITE. */
static uint8_t owner_by_call_id(const struct worker *w, struct sl call_id)
{
    static const uint8_t key[16] = "postern calls 1";

    return (uint8_t)(siphash13(call_id.p, call_id.n, key) % w->b->n_workers);
}

/* A stranger's INVITE is answered without state, so it may be answered anywhere: a flood of them
 * fills no other worker's mailbox. */
static bool may_begin_a_call(const struct worker *w, const struct sip_msg *req,
                             const struct flow *flow)
{
    return sip_hdr(req, HDR_PROXY_AUTHORIZATION) != NULL ||
           sip_hdr(req, HDR_AUTHORIZATION) != NULL ||
           policy_peer_of(w->cfg->policy, flow->listener, &flow->remote, flow_proven(flow)) >= 0;
}

/* Who must see this request: the worker in our To tag, the owner of the user who registers, or of
 * the call that begins. */
static uint8_t owner_of(const struct worker *w, const struct sip_msg *req, const struct flow *flow,
                        const struct token *tok, bool ours)
{
    char user[128];
    size_t n = 0;

    if (ours) {
        return tok->worker;
    }
    if (req->method == SIP_REGISTER &&
        sip_unescape(req->to.uri.user, user, sizeof(user), &n) == 0) {
        return registrar_owner(w->registrar, sl_make(user, n));
    }
    /* Of a copy that comes by another port, or by another way, the same worker must hear. */
    if (req->method == SIP_CANCEL || ((req->method == SIP_INVITE || req->method == SIP_MESSAGE) &&
                                      may_begin_a_call(w, req, flow))) {
        return owner_by_call_id(w, req->call_id);
    }
    return w->index;
}

static bool is_our_token(const struct worker *w, struct sl tag, struct token *tok)
{
    return tag.n == TOKEN_TEXT_LEN && token_get(w->ring, tag, tok) &&
           worker_is_node(w, tok->node) && tok->worker < w->b->n_workers;
}

static void on_request(struct worker *w, const struct flow *flow, struct sip_msg *req,
                       unsigned hops)
{
    struct token tok = {0};
    bool ours = is_our_token(w, req->to_tag, &tok);
    uint8_t owner = owner_of(w, req, flow, &tok, ours);
    struct tx *tx = NULL;

    if (owner != w->index && hops == 0) {
        worker_hand_message(w, owner, flow, req->text, 1);
        return;
    }
    switch (tx_match_request(w->tab, req, flow, &tx)) {
    case TX_MATCH_DONE:
        return;
    case TX_MATCH_CANCEL:
        if (addr_eq_ip(tx_server_source(tx), &flow->remote)) {
            on_cancel(w, flow, req, tx);
        } else {
            answer(w, req, flow, 481, SL_NULL); /* somebody else's INVITE (attacks.md 40) */
        }
        return;
    case TX_MATCH_NONE:
        break;
    }
    if (!(ours && tok.kind == TOKEN_TAG) && worker_hides(w, flow, req)) {
        return;
    }
    worker_met(w, flow); /* an offence in it takes that back */
    if (req->method == SIP_CANCEL) {
        answer(w, req, flow, 481, SL_NULL);
    } else if (ours && tok.kind == TOKEN_TAG) {
        in_dialog(w, flow, req, &tok);
    } else if (req->method == SIP_ACK) {
        stat_inc(STAT_SIP_DROP_ACK); /* for an answer we gave without state */
    } else {
        on_new_request(w, flow, req);
    }
}

/* --- with too much to do: what is refused, and the ACK for that, are not read to their end --- */

static bool skim_invite(struct worker *w, const struct flow *flow, struct sl bytes)
{
    struct sip_msg *req = NULL;
    struct tx *tx = NULL;
    bool is_done;

    if (sip_msg_skim(w->pool, bytes, &req) != 0) {
        return false;
    }
    is_done =
        req->to_tag.n == 0 && worker_serves(w, flow->listener) &&
        owner_by_call_id(w, req->call_id) == w->index &&
        (tx_match_request(w->tab, req, flow, &tx) == TX_MATCH_DONE || worker_sheds(w, req, flow));
    sip_msg_unref(&req);
    return is_done;
}

static bool skim_ack(struct worker *w, struct sl bytes)
{
    struct token tok = {0};
    struct sl tag;

    if (sip_skim_to_tag(bytes, &tag) != 0 || !is_our_token(w, tag, &tok) ||
        tok.kind != TOKEN_STATELESS) {
        return false;
    }
    stat_inc(STAT_SIP_DROP_ACK);
    return true;
}

/* Of peers only: for the others there is more to judge than time. True: done with. */
static bool skim(struct worker *w, const struct flow *flow, struct sl bytes)
{
    bool is_ack = sl_starts(bytes, SL("ACK "));
    int64_t now_ms = loop_now_ms(w->loop);

    if (flow_is_reliable(flow) || !overload_is_pressed(&w->overload, now_ms) ||
        (!is_ack && (!sl_starts(bytes, SL("INVITE ")) ||
                     !overload_would_refuse(&w->overload, OVERLOAD_PEER, now_ms))) ||
        policy_peer_of(w->cfg->policy, flow->listener, &flow->remote, flow_proven(flow)) < 0) {
        return false;
    }
    return is_ack ? skim_ack(w, bytes) : skim_invite(w, flow, bytes);
}

void worker_input(struct worker *w, const struct flow *flow, struct sl bytes, unsigned hops)
{
    struct sip_msg *msg = NULL;
    struct sip_bad bad = {0};
    int err;

    if (!worker_may_read(w, flow, bytes) || skim(w, flow, bytes)) {
        return;
    }
    err = sip_msg_parse(w->pool, bytes, &msg, &bad);
    if (err != 0) {
        stat_inc(err == EMSGSIZE ? STAT_SIP_TOO_BIG : STAT_SIP_BAD);
        answer_bad(w, flow, msg, &bad);
        worker_malformed(w, flow, bytes);
    } else if (msg->is_request) {
        if (hops != 0 || !worker_is_scanner(w, flow, msg)) {
            on_request(w, flow, msg, hops);
        }
    } else {
        on_response(w, flow, msg, hops);
    }
    sip_msg_unref(&msg);
}

static void on_before_message(void *arg)
{
    worker_catch_up(arg);
}

static void on_net_message(void *arg, const struct flow *at, struct sl bytes)
{
    struct worker *w = arg;
    struct flow flow = *at;

    worker_catch_up(w);
    worker_place_flow(w, &flow);
    if (!flow_is_reliable(&flow) || worker_admit_message(w, &flow)) {
        w->waited_us = flow_is_reliable(&flow) ? 0 : net_waited_us(w->net);
        worker_input(w, &flow, bytes, 0);
        w->waited_us = 0;
    }
}

/* Framing is lost: what arrived is answered if it can be read, and never run as a request. */
static void on_bad_frame(void *arg, const struct flow *flow, struct sl bytes, int err)
{
    struct worker *w = arg;
    struct sip_msg *msg = NULL;
    struct sip_bad bad = {0};
    int perr = sip_msg_parse(w->pool, bytes, &msg, &bad);

    if (perr == 0 && msg->is_request) {
        bad = (struct sip_bad){.status = err == EMSGSIZE ? 513 : 400, .reason = "framing"};
        perr = err;
    }
    if (perr != 0) {
        answer_bad(w, flow, msg, &bad); /* counted where the frame broke */
        worker_malformed(w, flow, bytes);
    }
    sip_msg_unref(&msg);
}

static void on_gone(void *arg, const struct flow *flow, int err)
{
    struct worker *w = arg;

    if (flow_is_reliable(flow)) {
        policy_part(w->b->gate, &flow->remote);
    }
    if (flow->unused) {
        return; /* strangers that connect and leave cost nobody a walk through his tables */
    }
    worker_flow_gone(w, flow, err);
    if (flow_is_reliable(flow)) {
        worker_tell_gone(w, flow, err);
    }
}

static uint32_t on_identify(void *arg, uint8_t listener, const struct sl *names, size_t n)
{
    const struct worker *w = arg;
    int peer = policy_peer_by_certificate(w->cfg->policy, listener, names, n);

    return peer >= 0 ? policy_def(w->cfg->policy)->peers[peer].id : 0;
}

static struct tls_client *on_dialler(void *arg, uint32_t id)
{
    const struct worker *w = arg;
    int peer = w->cfg->peer_tls != NULL ? policy_peer_by_id(w->cfg->policy, id) : -1;

    return peer >= 0 && w->cfg->peer_tls[peer] != NULL ? tls_client_ref(w->cfg->peer_tls[peer])
                                                       : NULL;
}

const struct net_events worker_net_events = {.admit = worker_admit,
                                             .known = worker_known,
                                             .identify = on_identify,
                                             .dialler = on_dialler,
                                             .before = on_before_message,
                                             .message = on_net_message,
                                             .bad_frame = on_bad_frame,
                                             .gone = on_gone,
                                             .send_remote = worker_send_remote};
