/* call_in.c - a new INVITE: who asks, what the policy says, and the caller's leg. */
#include "call/call_egress.h"
#include "call/call_facts.h"
#include "call/call_rules.h"

/* Written to t->out. */
static void put_stateless(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                          uint16_t status, const char *reason)
{
    char tag[TOKEN_TEXT_LEN];
    struct token tok = {.node = t->cfg->node_id, .worker = t->p.worker, .kind = TOKEN_STATELESS};

    token_put(t->p.ring, &tok, tag);
    buf_reset(&t->out);
    sip_put_response(&t->out, &(struct sip_response){.req = req,
                                                     .src = &flow->remote,
                                                     .status = status,
                                                     .reason = reason,
                                                     .to_tag = sl_make(tag, sizeof(tag))});
}

static void send_stateless(struct call_table *t, const struct sip_msg *req, const struct flow *flow)
{
    const struct buf *b = &t->out;
    struct flow to;

    if (buf_err(b) != 0) {
        return;
    }
    if (!flow->proven && flow->transport == SIP_UDP && b->n > 2 * req->text.n) {
        stat_inc(STAT_SIP_DROP_AMPLIFY); /* a spoofed source must not be hit harder than we are */
        return;
    }
    tx_answer_flow(req, flow, &to);
    if (t->p.net->send(t->p.net_arg, &to, buf_sl(b)) != 0) {
        stat_inc(STAT_TX_UNEXPECTED);
    }
}

void call_answer_stateless(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                           uint16_t status, const char *reason, struct sl extra)
{
    put_stateless(t, req, flow, status, reason);
    buf_putsl(&t->out, extra);
    sip_put_body(&t->out, SL_NULL, SL_NULL);
    egress_pass_answer(t->cfg, req, flow, status, &t->out);
    send_stateless(t, req, flow);
}

void call_answer_overload(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                          unsigned retry_after_s)
{
    put_stateless(t, req, flow, 503, NULL);
    sip_put_hdr_u(&t->out, "Retry-After", retry_after_s);
    sip_put_body(&t->out, SL_NULL, SL_NULL);
    send_stateless(t, req, flow);
}

/* The user part without escapes, in the arena or on the caller's memory; "" when it has none. */
static struct sl plain_user(const struct sip_uri *u, char *dst, size_t cap)
{
    size_t n = 0;

    if (sip_unescape(u->user, dst, cap, &n) != 0) {
        return SL_NULL;
    }
    return sl_make(dst, sip_number_len(sl_make(dst, n))); /* rules are about the number */
}

struct asker {
    const struct config *cfg;
    struct policy_request rq;
    char called[128], calling[128];
    struct policy_fields fields;
    struct sl codecs[CALL_CODECS_MAX];
    enum auth_result auth;
    bool echoed;
};

/* What only some rules ask for. */
static void gather(struct call_table *t, const struct sip_msg *req, struct asker *a)
{
    const struct config *cfg = a->cfg;

    a->rq.wall_ms = loop_wall_ms(t->p.loop);
    crypto_random(&a->rq.random, sizeof(a->rq.random));
    if (t->p.watch != NULL && t->p.watch->random != NULL) {
        a->rq.random = *t->p.watch->random;
    }
    if (policy_wants_headers(cfg->policy)) {
        int peer = policy_peer_by_source(cfg->policy, a->rq.listener, &a->rq.source);
        struct policy_ref from = {.kind = peer >= 0 ? POLICY_PEER : POLICY_NOBODY,
                                  .peer = peer >= 0 ? (uint16_t)peer : 0};

        rules_view(cfg, &from, req, &a->fields);
        a->rq.headers = a->fields.e;
        a->rq.n_headers = a->fields.n;
    }
    if (policy_wants_codecs(cfg->policy)) {
        a->rq.codecs = a->codecs;
        a->rq.n_codecs = call_gather_codecs(req, a->codecs, COUNT_OF(a->codecs));
    }
}

/* user: who has proven himself, or -1. */
static void state_facts(const struct sip_msg *req, const struct flow *flow, int user,
                        struct asker *a)
{
    a->rq = (struct policy_request){
        .method = req->method_name,
        .listener = flow->listener,
        .source = flow->remote,
        .proven = flow_proven(flow),
        .called = plain_user(&req->ruri, a->called, sizeof(a->called)),
        .called_host = req->ruri.host,
        .calling = user >= 0 /* the account is proven, From is only a claim */
                       ? sl_str(policy_def(a->cfg->policy)->users.accounts[user].name)
                       : plain_user(&req->from.uri, a->calling, sizeof(a->calling)),
        .auth_user = user,
        .new_call = req->method == SIP_INVITE};
}

static void identify(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                     struct asker *a)
{
    int user = -1;

    a->cfg = t->cfg;
    a->auth = AUTH_CHALLENGE;
    a->echoed = false;
    if (policy_peer_of(t->cfg->policy, flow->listener, &flow->remote, flow_proven(flow)) < 0) {
        a->auth = auth_check(t->p.auth,
                             &(struct auth_request){.msg = req,
                                                    .policy = t->cfg->policy,
                                                    .source = flow->remote,
                                                    .wall_ms = loop_wall_ms(t->p.loop),
                                                    .echoed = &a->echoed},
                             &user);
    }
    if (a->auth == AUTH_OK && t->p.proven != NULL) {
        t->p.proven(t->p.hold_arg, flow);
    }
    state_facts(req, flow, a->auth == AUTH_OK ? user : -1, a);
}

static void challenge(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                      enum auth_result auth)
{
    char mem[512];
    struct buf b;

    buf_init_fixed(&b, mem, sizeof(mem));
    auth_put_challenge(&b, t->p.auth,
                       &(struct auth_challenge){.users = &policy_def(t->cfg->policy)->users,
                                                .proxy = true,
                                                .stale = auth == AUTH_STALE,
                                                .source = &flow->remote,
                                                .wall_ms = loop_wall_ms(t->p.loop)});
    stat_inc(auth == AUTH_FAILED ? STAT_AUTH_FAIL : STAT_AUTH_CHALLENGE);
    if (buf_err(&b) == 0) {
        call_answer_stateless(t, req, flow, 407, NULL, buf_sl(&b));
    }
}

/* What a refusal says of the one who asked. A first question without a password says nothing, but
 * for expensive numbers: nobody's phone dials those before it has registered. Nor does a number
 * that a user may not dial say anything of the address that he shares with others: it is in his
 * record, and `limits.destinations` holds who dials for thieves. */
static void hold_against(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                         const struct asker *a, const struct policy_verdict *v)
{
    bool is_dear = req->method == SIP_INVITE && policy_looks_expensive(a->rq.called);

    if (v->action == POLICY_REFUSE && a->auth == AUTH_OK) {
        stat_inc(is_dear ? STAT_USER_REFUSED_DEAR : STAT_USER_REFUSED);
        return;
    }
    if (t->p.offence == NULL || v->action == POLICY_ROUTE || v->source.kind == POLICY_PEER) {
        return;
    }
    if (v->action == POLICY_CHALLENGE) {
        if (a->auth == AUTH_FAILED) {
            t->p.offence(t->p.hold_arg, flow, req, POLICY_AUTH_FAILED, a->echoed);
        } else if (a->auth == AUTH_CHALLENGE && is_dear) {
            t->p.offence(t->p.hold_arg, flow, req, POLICY_TOLL_FRAUD, false);
        }
    } else if (!v->told.is_over) {
        t->p.offence(t->p.hold_arg, flow, req, is_dear ? POLICY_TOLL_FRAUD : POLICY_ACL_DENIED,
                     false);
    }
}

bool call_decide(struct call_table *t, const struct sip_msg *req, const struct flow *flow,
                 struct policy_verdict *v)
{
    struct asker a;

    identify(t, req, flow, &a);
    gather(t, req, &a);
    policy_decide(t->cfg->policy, &a.rq, loop_now_ms(t->p.loop), v);
    call_tell_limits(t->cfg->policy, v, NULL);
    if (t->p.watch != NULL) {
        t->p.watch->decided(t->p.hold_arg, req, v);
    }
    hold_against(t, req, flow, &a, v);
    if (v->action == POLICY_CHALLENGE) {
        challenge(t, req, flow, a.auth);
        return false;
    }
    if (v->action == POLICY_REFUSE && v->source.kind == POLICY_NOBODY) {
        stat_inc(STAT_CALL_REFUSED);
        call_answer_stateless(t, req, flow, v->sip_code, NULL, SL_NULL);
        return false;
    }
    return true;
}

void call_decide_again(const struct ask_for *f, const struct policy_callout_reply *replies,
                       size_t n)
{
    struct asker a = {.cfg = f->cfg};
    uint64_t random = f->verdict->random;

    state_facts(f->req, f->flow, f->verdict->user, &a);
    gather(f->t, f->req, &a);
    a.rq.random = random;
    a.rq.replies = replies;
    a.rq.n_replies = n;
    policy_decide(f->cfg->policy, &a.rq, loop_now_ms(f->t->p.loop), f->verdict);
    call_tell_limits(f->cfg->policy, f->verdict, f->log);
}

void a_on_server(struct tx *tx, enum tx_server_event ev, void *arg)
{
    struct leg *l = arg;
    struct call *c = l->call;
    bool ours = l->srv == tx;

    if (ev == TX_SRV_END || !ours) {
        if (ours) {
            tx_unref(&l->srv);
        }
        return;
    }
    if (c->state == CALL_ENDED) {
        return;
    }
    if (ev == TX_SRV_NO_ACK) {
        call_end(c, "timeout", "no ACK for our answer", 0);
    } else if (c->state != CALL_ANSWERED) {
        call_end(c, "caller", "answer could not be sent to the caller", 0);
    }
}

static void name_party(struct call *c, const struct policy_ref *ref, int user, struct sl *out)
{
    char text[POLICY_NAME_MAX + 8];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    call_put_ref(c, &b, ref, user);
    *out = arena_dup(&c->arena, buf_sl(&b));
}

void call_name_target(struct call *c, const struct leg *l)
{
    name_party(c, &l->party, l->user, &c->target);
}

void call_numbers(const struct ask_for *f, char mem[2][CALL_NUMBER_MAX], struct sl *calling,
                  struct sl *called)
{
    const struct policy_verdict *v = f->verdict;
    struct sl own;

    *called = policy_number_text(&v->called, plain_user(&f->req->ruri, mem[0], CALL_NUMBER_MAX));
    own = v->source.kind == POLICY_USERS && v->user >= 0 /* proven, not claimed */
              ? sl_str(policy_def(f->cfg->policy)->users.accounts[v->user].name)
              : plain_user(&f->req->from.uri, mem[1], CALL_NUMBER_MAX);
    *calling = policy_number_text(&v->calling, own);
}

int call_fill_record(struct call *c, const struct sip_msg *req)
{
    const struct policy_def *def = policy_def(c->cfg->policy);
    char mem[2][CALL_NUMBER_MAX];

    call_numbers(&(struct ask_for){.cfg = c->cfg, .req = req, .verdict = &c->verdict}, mem,
                 &c->calling, &c->called);
    c->called = arena_dup(&c->arena, c->called);
    c->calling = arena_dup(&c->arena, c->calling);
    if (c->verdict.route >= 0) {
        c->route = sl_str(def->routes[c->verdict.route].name);
    }
    name_party(c, &c->verdict.source, c->verdict.user, &c->source);
    return c->source.p != NULL ? 0 : ENOMEM;
}

/* RFC 3261 12.1.1: the Request-URI, or where they want to be called back. */
static bool is_sips(const struct dialog *d, const struct sip_msg *req)
{
    struct sip_nameaddr first;
    bool has_route = d->n_routes != 0 && sip_nameaddr_parse(d->routes[0], &first) == 0;

    return req->ruri.scheme == SIP_SCHEME_SIPS ||
           (has_route ? first.uri.scheme == SIP_SCHEME_SIPS
                      : sl_istarts(sl_str(d->target), SL("sips:")));
}

static int make_leg_a(struct call *c, struct sip_msg *req, const struct flow *flow)
{
    struct call_table *t = c->t;
    char tag[TOKEN_TEXT_LEN];
    struct leg *l = leg_new(c, 0);
    int err;

    if (l == NULL) {
        return ENOMEM;
    }
    c->a = l;
    l->listener = flow->listener;
    l->party = c->verdict.source;
    l->user = c->verdict.user;
    leg_make_token(l, TOKEN_TAG, tag);
    err = tx_server_new(&l->srv, t->p.tab, req, flow, a_on_server, l);
    if (err != 0) {
        return err;
    }
    if (t->p.in_work != NULL) {
        t->p.in_work(t->p.hold_arg, flow, req);
    }
    l->srv_cseq = req->cseq;
    err = dialog_init_uas(&l->dlg, &c->arena, req, sl_make(tag, sizeof(tag)), flow);
    if (l->dlg.local_tag.n == 0) { /* the refusal needs a tag too (RFC 3261 8.2.6.2) */
        l->dlg.local_tag = arena_dup(&c->arena, sl_make(tag, sizeof(tag)));
    }
    l->dlg.flow.proven = true;
    policy_said_addr(&l->said, &flow->remote);
    egress_hear(&l->said, req);
    l->sips = flow_is_secure(flow) && is_sips(&l->dlg, req);
    l->dlg.pin_flow = l->party.kind == POLICY_USERS;
    l->told = *call_advertised(c, l->listener);
    if (err == 0) {
        leg_note_nat(l);
    }
    return err;
}

void call_reject_a(struct call *c, uint16_t status, const char *by, const char *reason)
{
    if (c->state == CALL_ENDED) {
        return;
    }
    if (c->a != NULL && c->a->srv != NULL && !tx_server_is_final(c->a->srv)) {
        if (leg_respond(c->a, status, SL_NULL) != 0) {
            log_warn(&c->log, "failure %u could not be sent", status);
        }
        c->a->state = LEG_ENDED;
        c->a->dlg.state = DIALOG_ENDED;
    }
    call_end(c, by, reason, status);
}

static bool accepts_sdp(const struct sip_msg *req)
{
    struct sip_values it = {0};
    struct sl v;

    while (sip_values_next(req, HDR_ACCEPT, &it, &v) == 0) {
        struct sl type = v, tok;

        if (sl_next(&type, ';', &tok) == 0) {
            v = sl_trim(tok);
        }
        if (sl_ieq(v, SL("application/sdp")) || sl_ieq(v, SL("application/*")) ||
            sl_eq(v, SL("*/*"))) {
            return true;
        }
    }
    return false;
}

/* What the body must be for us to anchor its media (RFC 3261 8.2.3). */
static uint16_t check_body(const struct sip_msg *req, const char **why)
{
    if (msg_is_strange(req)) {
        *why = "body is not application/sdp, or encoded";
        return 415;
    }
    if (sip_hdr(req, HDR_ACCEPT) != NULL && !accepts_sdp(req)) {
        *why = "caller does not accept application/sdp";
        return 406;
    }
    return 0;
}

static uint16_t check_extensions(struct leg *l, const struct sip_msg *req, const char **why)
{
    uint16_t status = session_hear(l, req);

    if (status != 0) {
        *why = status == 422 ? "session interval is too short" : "Session-Expires cannot be read";
        return status;
    }
    *why = "reliable provisional answers are off, or demanded";
    return reliable_hear(l, req);
}

static void redirect(struct call *c)
{
    char text[512];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    policy_put_redirect(&b, c->cfg->policy, &c->verdict, c->called);
    if (buf_err(&b) == 0) {
        c->redirect = arena_dup(&c->arena, buf_sl(&b));
    }
    if (c->redirect.n == 0) {
        call_reject_a(c, 500, "system", "Contact of the redirection is too long");
        return;
    }
    call_reject_a(c, c->verdict.sip_code, "policy", c->verdict.reason);
}

static void refuse(struct call *c)
{
    const struct policy_verdict *v = &c->verdict;

    stat_inc(STAT_CALL_REFUSED);
    if (v->told.is_over) {
        c->phrase = call_limit_phrase(c->cfg->policy, v);
    } else if (v->route >= 0 && c->phrase == NULL) {
        c->phrase = policy_def(c->cfg->policy)->routes[v->route].refuse_reason;
    }
    call_reject_a(c, v->sip_code, "policy", v->reason != NULL ? v->reason : "refused");
}

void call_go_on(struct call *c)
{
    const struct sip_msg *req = c->invite;
    const char *why = NULL;
    uint16_t status;

    if (c->verdict.action == POLICY_REFUSE) {
        refuse(c);
        return;
    }
    if (c->verdict.action == POLICY_REDIRECT) {
        redirect(c);
        return;
    }
    status = check_extensions(c->a, req, &why);
    if (status == 0) {
        status = check_body(req, &why);
    }
    if (status != 0) {
        call_reject_a(c, status, "system", why);
        return;
    }
    c->late_offer = !msg_has_sdp(req);
    if (!c->late_offer && call_keep_offer(c, c->a, msg_sdp(req)) != 0) {
        call_reject_a(c, 500, "system", "out of memory");
        return;
    }
    stat_inc(STAT_CALL_STARTED);
    leg_hold(c->a, true);
    log_info(&c->log, "call from %.*s to %s, route %.*s", SL_ARG(c->source), LOG_ESC(c->called),
             SL_ARG(c->route));
    call_post(c);
    call_try_next(c);
}

static void begin(struct call *c, struct sip_msg *req)
{
    ladder_msg(c->a, req);
    leg_learn_allow(c->a, req);
    tx_answer(c->t, c->a->srv, 100, SL_NULL, SL_NULL);
    ladder_add(c->a, true, SIP_INVITE, 100, req->cseq, false);
    if (c->verdict.action == POLICY_CALLOUT) {
        call_ask_out(c);
    } else {
        call_go_on(c);
    }
}

static void start_call(struct call_table *t, struct sip_msg *req, const struct flow *flow,
                       struct policy_verdict *v)
{
    struct call *c = call_new(t, req);
    int err;

    if (c == NULL) {
        policy_release(t->cfg->policy, v);
        call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 5\r\n"));
        return;
    }
    c->verdict = *v;
    c->sips = req->ruri.scheme == SIP_SCHEME_SIPS;
    err = call_fill_record(c, req);
    if (err == 0) {
        err = make_leg_a(c, req, flow);
    }
    call_post_asked(c, req, flow);
    if (err == 0) {
        begin(c, req);
        return;
    }
    if (c->a != NULL && c->a->srv != NULL) {
        call_reject_a(c, err == EBADMSG ? 400 : 500, "system",
                      err == EBADMSG ? "no usable Contact" : "out of memory");
        return;
    }
    call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 5\r\n"));
    call_end(c, "system", "no room for the call", 503);
}

void call_invite(struct call_table *t, struct sip_msg *req, const struct flow *flow)
{
    struct policy_verdict v;

    if (t->draining || (t->p.store != NULL && store_is_full(t->p.store))) {
        stat_inc(STAT_CALL_REFUSED);
        call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 30\r\n"));
        return;
    }
    if (!call_decide(t, req, flow, &v)) {
        return;
    }
    if (req->max_forwards <= CALL_HOPS_MIN) {
        policy_release(t->cfg->policy, &v);
        call_answer_stateless(t, req, flow, 483, NULL, SL_NULL);
        return;
    }
    start_call(t, req, flow, &v);
}

/* Somebody else whom the caller's side had ring took the call (RFC 3326 3.1). */
static bool says_elsewhere(const struct sip_msg *cancel)
{
    struct sip_values it = {0};
    struct sl v, word, cause;

    while (sip_values_next(cancel, HDR_REASON, &it, &v) == 0) {
        if (sl_next(&v, ';', &word) == 0 && sl_ieq(sl_trim(word), SL("SIP")) &&
            sip_param(v, SL("cause"), &cause) && sl_eq(cause, SL("200"))) {
            return true;
        }
    }
    return false;
}

void call_cancel(struct call_table *t, struct tx *invite, const struct sip_msg *req)
{
    struct leg *l = tx_arg(invite);
    struct call *c;

    (void)t;
    if (l == NULL || l->srv != invite || tx_server_is_final(invite)) {
        return; /* answered already: CANCEL has no effect (RFC 3261 9.2) */
    }
    c = l->call;
    ladder_add(l, false, SIP_CANCEL, 0, l->dlg.remote_cseq, false);
    if (c->reinvite_from == l) {
        (void)leg_respond(l, 487, SL_NULL);
        reinvite_abandon(l);
        return;
    }
    c->is_taken = says_elsewhere(req);
    call_reject_a(c, 487, "caller", "cancelled by the caller");
}
