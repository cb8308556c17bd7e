/* call_message.c - MESSAGE outside a dialog (RFC 3428): a transaction on each side, targets one
 * after the other until one takes it. */
#include "call/call_egress.h"
#include "call/call_rules.h"

#define MESSAGES_MAX 10000
#define MESSAGE_TARGETS_MAX 16
#define MESSAGE_USER_MS 2000 /* a device that says nothing: the next one of that user */

struct message_target {
    struct flow flow;
    char uri[512];
    struct policy_ref to;
    bool is_user, is_later;
    const struct policy_peer *peer; /* and its target; NULL: a user's device */
    const struct policy_uri_target *aim;
    uint32_t failover_ms; /* nothing heard within it: the next target; 0: no such limit */
};

struct message {
    struct list node;
    struct grave grave;
    struct call_table *t;
    struct config *cfg;
    struct tx *srv, *cli;
    struct timer wait; /* failover_ms */
    struct sip_msg *req;
    struct policy_verdict verdict;
    struct message_target *targets;
    size_t n_targets, next;
    struct message_target *asked; /* a peer's, of whom nothing is known yet */
    const struct sip_msg *heard;  /* what is being answered with; NULL: something of ours */
    const struct policy_ref *heard_from;
    uint16_t best;
    bool closed, waits, is_last;
    char tag[TOKEN_TEXT_LEN];
};

static void message_destroy(void *arg)
{
    struct message *m = arg;

    mem_free(m->targets);
    config_unref(&m->cfg);
    sip_msg_unref(&m->req);
    mem_free(m);
}

static int64_t now_of(const struct message *m)
{
    return loop_now_ms(m->t->p.loop);
}

static void message_heard(struct message *m)
{
    if (m->waits) {
        m->waits = false;
        policy_target_heard(m->asked->aim);
    }
}

static void message_judge(struct message *m, enum policy_outcome outcome)
{
    if (m->asked == NULL) {
        return;
    }
    message_heard(m);
    call_tell_health(m->asked->peer, m->asked->aim,
                     policy_target_result(m->asked->peer, m->asked->aim, outcome, now_of(m)));
    m->asked = NULL;
}

static void message_close(struct message *m)
{
    if (m->closed) {
        return;
    }
    m->closed = true;
    message_judge(m, POLICY_UNTRIED);
    timer_stop(m->t->p.loop, &m->wait);
    if (m->cli != NULL) {
        tx_close(m->cli);
        tx_unref(&m->cli);
    }
    if (m->srv != NULL) {
        tx_close(m->srv);
        tx_unref(&m->srv);
    }
    list_del(&m->node);
    m->t->n_messages--;
    loop_defer(m->t->p.loop, &m->grave, message_destroy, m);
}

void call_messages_drop(struct call_table *t)
{
    LIST_FOR_EACH_SAFE(it, &t->messages)
    {
        message_close(CONTAINER_OF(it, struct message, node));
    }
}

static void message_answer(struct message *m, uint16_t status, struct sl extra)
{
    rules_answer(m->t, m->srv, status, sl_make(m->tag, sizeof(m->tag)), extra,
                 &(struct rules_out){.cfg = m->cfg,
                                     .to = &m->verdict.source,
                                     .message = {.method = SL("MESSAGE"), .is_response = true},
                                     .heard = m->heard,
                                     .heard_from = m->heard_from});
}

static void message_finish(struct message *m, uint16_t status)
{
    if (status == 401 || status == 407) {
        status = 502;
    }
    message_answer(m, status < 200 ? 480 : status,
                   status == 503 ? SL("Retry-After: 5\r\n") : SL_NULL);
    message_close(m);
}

static void message_refuse(struct message *m)
{
    const struct policy_verdict *v = &m->verdict;
    char text[48];
    struct buf b;

    if (!v->told.is_over) {
        message_finish(m, v->sip_code);
        return;
    }
    buf_init_fixed(&b, text, sizeof(text));
    buf_putf(&b, "Retry-After: %u\r\n", v->retry_after_s);
    tx_refuse(m->t, m->srv,
              &(struct refusal){.status = v->sip_code,
                                .reason = call_limit_phrase(m->cfg->policy, v),
                                .to_tag = sl_make(m->tag, sizeof(m->tag)),
                                .extra = buf_sl(&b)});
    message_close(m);
}

static void message_refuse_body(struct message *m)
{
    message_answer(m, 415, SL(CALL_RELAY_ACCEPT));
    message_close(m);
}

static void message_redirect(struct message *m)
{
    char text[512], user[128];
    struct sl called = SL_NULL;
    struct buf b;
    size_t n = 0;

    if (sip_unescape(m->req->ruri.user, user, sizeof(user), &n) == 0) {
        called = sl_make(user, n);
    }
    buf_init_fixed(&b, text, sizeof(text));
    BUF_LIT(&b, "Contact: <");
    policy_put_redirect(&b, m->cfg->policy, &m->verdict, called);
    BUF_LIT(&b, ">\r\n");
    message_answer(m, buf_err(&b) == 0 ? m->verdict.sip_code : 500,
                   buf_err(&b) == 0 ? buf_sl(&b) : SL_NULL);
    message_close(m);
}

/* --- targets --- */

static struct message_target *target_add(struct message *m, const struct flow *flow)
{
    struct message_target *tg;
    bool is_secret = m->req->ruri.scheme == SIP_SCHEME_SIPS; /* no way on but TLS */

    if (m->n_targets == MESSAGE_TARGETS_MAX || (is_secret && !flow_is_secure(flow))) {
        return NULL;
    }
    tg = &m->targets[m->n_targets];
    tg->flow = *flow;
    return tg;
}

static void message_numbers(const struct message *m, const struct policy_ref *to,
                            struct policy_number out[2])
{
    char called[128], calling[128];
    struct policy_request own = {0};
    size_t n = 0;

    if (sip_unescape(m->req->ruri.user, called, sizeof(called), &n) == 0) {
        own.called = sl_make(called, n);
    }
    if (m->verdict.source.kind == POLICY_USERS) {
        own.calling = sl_str(policy_def(m->cfg->policy)->users.accounts[m->verdict.user].name);
    } else if (sip_unescape(m->req->from.uri.user, calling, sizeof(calling), &n) == 0) {
        own.calling = sl_make(calling, n);
    }
    policy_numbers_out(m->cfg->policy, &m->verdict, to, &own, out);
}

static void add_peer(struct message *m, size_t to_i)
{
    const struct policy_ref *to = &m->verdict.to[to_i];
    const struct policy_peer *peer = &policy_def(m->cfg->policy)->peers[to->peer];
    struct policy_number numbers[2];
    uint8_t order[POLICY_TARGETS_MAX];
    size_t n = policy_target_order(peer, &m->verdict, to_i, order);

    message_numbers(m, to, numbers);
    for (size_t i = 0; i < n; i++) {
        const struct policy_uri_target *pt = &peer->targets[order[i]];
        bool sips = pt->sips || m->req->ruri.scheme == SIP_SCHEME_SIPS;
        struct flow flow = {.transport = pt->transport,
                            .listener = peer->listener,
                            .peer = pt->transport == SIP_TLS ? peer->id : 0,
                            .worker = m->t->p.worker,
                            .proven = true,
                            .conn_slot = FLOW_NO_CONN,
                            .remote = pt->addr,
                            .local = m->cfg->listeners[peer->listener].address};
        struct message_target *tg = target_add(m, &flow);
        struct buf b;
        size_t scheme;

        if (tg == NULL) {
            continue;
        }
        buf_init_fixed(&b, tg->uri, sizeof(tg->uri));
        buf_puts(&b, sips ? "sips:" : "sip:");
        scheme = b.n;
        call_put_called(&b, numbers, m->req);
        buf_puts(&b, b.n != scheme ? "@" : "");
        addr_put(&b, &pt->addr);
        buf_putc(&b, 0);
        tg->to = *to;
        tg->peer = peer;
        tg->aim = pt;
        tg->failover_ms = peer->failover_ms;
        m->n_targets += buf_err(&b) == 0 ? 1 : 0;
    }
}

static void add_user(struct message *m, struct sl user)
{
    const struct binding *list[REG_BINDINGS_MAX];
    size_t n;

    if (policy_user_by_name(m->cfg->policy, user) < 0) {
        m->best = 404;
        return;
    }
    n = registrar_lookup(m->t->p.registrar, user, list);
    for (size_t i = 0; i < n; i++) {
        struct message_target *tg = NULL;

        if (list[i]->flow.listener == policy_def(m->cfg->policy)->users.listener) {
            tg = target_add(m, &list[i]->flow); /* no other is sure to be there still */
        }
        if (tg != NULL &&
            sl_cstr(call_request_uri(list[i]->contact), tg->uri, sizeof(tg->uri)) == 0) {
            tg->is_user = true;
            tg->to.kind = POLICY_USERS;
            tg->failover_ms = MESSAGE_USER_MS;
            m->n_targets++;
        }
    }
}

static void collect_targets(struct message *m)
{
    char text[128];
    size_t n = 0;

    m->best = 480;
    for (size_t i = 0; i < m->verdict.n_to; i++) {
        if (m->verdict.to[i].kind == POLICY_PEER) {
            add_peer(m, i);
        } else if (m->verdict.called.changed) {
            add_user(m, policy_number_text(&m->verdict.called, SL_NULL));
        } else if (sip_unescape(m->req->ruri.user, text, sizeof(text), &n) == 0) {
            add_user(m, sl_make(text, n));
        }
    }
}

/* --- sending --- */

static void put_from(struct buf *b, const struct message *m, const struct message_target *tg)
{
    const struct policy_def *def = policy_def(m->cfg->policy);

    struct policy_number numbers[2];
    struct identity id;
    struct sl user = m->verdict.source.kind == POLICY_USERS /* attacks.md 48 */
                         ? sl_str(def->users.accounts[m->verdict.user].name)
                         : m->req->from.uri.user;

    identity_of(m->cfg, &m->verdict.source, m->verdict.user, m->req, &id);
    if (identity_is_hidden(&id, m->cfg, &tg->to)) {
        BUF_LIT(b, IDENTITY_ANONYMOUS);
        return;
    }
    message_numbers(m, &tg->to, numbers);
    user = policy_number_text(&numbers[1], user);
    sip_put_display(b, m->req->from.display);
    BUF_LIT(b, "<sip:");
    if (user.n != 0) {
        sip_put_user(b, user);
        buf_putc(b, '@');
    }
    if (tg->is_user) {
        buf_puts(b, def->users.domain);
    } else {
        addr_put_host(b, &m->cfg->listeners[tg->flow.listener].advertise);
    }
    buf_putc(b, '>');
}

static void put_extra(struct buf *b, const struct message *m, const struct message_target *tg)
{
    struct identity id;
    size_t mark = b->n;

    identity_of(m->cfg, &m->verdict.source, m->verdict.user, m->req, &id);
    identity_put(b, &id, m->cfg, &m->verdict.source, &tg->to);
    rules_apply(&(struct rules_out){.cfg = m->cfg,
                                    .to = &tg->to,
                                    .message = {.method = SL("MESSAGE")},
                                    .heard = m->req,
                                    .heard_from = &m->verdict.source},
                b, mark);
}

static void on_message_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

static int write_message(struct message *m, const struct message_target *tg, struct buf *b)
{
    char from[512], to[520], call_id[TOKEN_TEXT_LEN], tag[TOKEN_TEXT_LEN];
    struct token tok = {.node = m->cfg->node_id, .worker = m->t->p.worker, .kind = TOKEN_STATELESS};
    struct dialog d = {0};
    struct arena arena;
    struct buf fb, tb;
    struct addr via;
    int err;

    token_put(m->t->p.ring, &tok, call_id);
    token_put(m->t->p.ring, &tok, tag);
    buf_init_fixed(&fb, from, sizeof(from));
    put_from(&fb, m, tg);
    buf_init_fixed(&tb, to, sizeof(to));
    buf_putf(&tb, "<%s>", tg->uri);
    arena_init(&arena, 1024, 8192);
    err = dialog_init_uac(&d, &arena,
                          &(struct dialog_uac){.call_id = sl_make(call_id, sizeof(call_id)),
                                               .local_tag = sl_make(tag, sizeof(tag)),
                                               .local = buf_sl(&fb),
                                               .remote = buf_sl(&tb),
                                               .target = sl_str(tg->uri),
                                               .flow = &tg->flow,
                                               .pin_flow = true});
    if (err == 0) {
        call_via_addr(m->cfg, tg->flow.listener, tg->flow.transport, &via);
        dialog_put_request(b, &d,
                           &(struct dialog_request){.method = SIP_MESSAGE,
                                                    .cseq = dialog_next_cseq(&d),
                                                    .branch = tx_branch(m->cli),
                                                    .via = &via,
                                                    .transport = tg->flow.transport,
                                                    .max_forwards = call_hops_left(m->req)});
        put_extra(b, m, tg);
        sip_put_body(b, sip_hdr_value(m->req, HDR_CONTENT_TYPE), m->req->body);
        err = buf_err(b);
    }
    dialog_deinit(&d);
    arena_free(&arena);
    return err;
}

static int pass_message(const struct message *m, const struct message_target *tg, struct buf *b)
{
    struct policy_said own = {.n = 0};
    struct sip_uri uri;

    policy_said_addr(&own, &tg->flow.remote);
    if (sip_uri_parse(sl_str(tg->uri), &uri) == 0) {
        policy_said_host(&own, uri.host);
    }
    return egress_pass(&(struct egress){.cfg = m->cfg,
                                        .to = tg->to,
                                        .listener = tg->flow.listener,
                                        .method = SIP_MESSAGE,
                                        .own = &own,
                                        .other = m->req},
                       b);
}

static int send_to(struct message *m, const struct message_target *tg)
{
    struct buf *b = &m->t->out;
    int err = tx_client_new(
        &m->cli, m->t->p.tab,
        &(struct tx_client_params){
            .method = SIP_MESSAGE, .flow = tg->flow, .on_response = on_message_response, .arg = m});

    if (err != 0) {
        return err;
    }
    buf_reset(b);
    err = write_message(m, tg, b);
    if (err == 0) {
        err = pass_message(m, tg, b);
    }
    if (err == 0) {
        err = tx_client_start(m->cli, buf_sl(b));
    }
    if (err != 0) {
        tx_close(m->cli);
        tx_unref(&m->cli);
    } else if (tg->failover_ms != 0 && m->next < m->n_targets) {
        timer_start(m->t->p.loop, &m->wait, tg->failover_ms);
    }
    return err;
}

/* False: passed over, because it is down, or for now. */
static bool message_enter(struct message *m, struct message_target *tg)
{
    enum policy_welcome welcome;

    if (tg->peer == NULL || (m->is_last && !tg->is_later)) {
        return !m->is_last;
    }
    welcome = policy_target_enter(tg->peer, tg->aim, m->is_last, now_of(m));
    if (welcome == POLICY_WELCOME_OK) {
        m->asked = tg;
        m->waits = true;
        return true;
    }
    tg->is_later = welcome == POLICY_WELCOME_LATER;
    m->best = tg->is_later ? m->best : 503;
    stat_inc(welcome == POLICY_WELCOME_BUSY ? STAT_TARGET_WAITING
             : tg->is_later                 ? STAT_TARGET_LATER
                                            : STAT_TARGET_PASSED);
    return false;
}

static bool send_one(struct message *m, struct message_target *tg)
{
    int err;

    if (!message_enter(m, tg)) {
        return false;
    }
    err = send_to(m, tg);
    if (err != 0 && tg->peer != NULL) {
        message_judge(m, call_outcome_unsent(tg->peer, err));
    }
    return err == 0;
}

/* Targets whose calls fail come last. */
static void send_next(struct message *m)
{
    for (;;) {
        while (m->next < m->n_targets) {
            if (send_one(m, &m->targets[m->next++])) {
                return;
            }
        }
        if (m->is_last) {
            break;
        }
        m->is_last = true;
        m->next = 0;
    }
    message_finish(m, m->best);
}

static void on_silent_target(void *arg)
{
    struct message *m = arg;

    tx_close(m->cli);
    tx_unref(&m->cli);
    m->best = 408;
    message_judge(m, POLICY_FAILED);
    send_next(m);
}

/* Any failure but 6xx, unless the route says which. */
static bool message_goes_on(const struct message *m, uint16_t status)
{
    if (policy_def(m->cfg->policy)->routes[m->verdict.route].has_failover) {
        return policy_fails_over(m->cfg->policy, &m->verdict, status);
    }
    return status >= 300 && status < 600;
}

/* Whatever it says of the message: the target lives. */
static void message_judge_answer(struct message *m, int err, uint16_t status)
{
    enum policy_outcome outcome;

    if (m->asked != NULL) {
        outcome = call_outcome(m->asked->peer, status, err);
        message_judge(m, outcome == POLICY_FAILED ? outcome : POLICY_ALIVE);
    }
}

static void on_message_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct message *m = arg;

    timer_stop(m->t->p.loop, &m->wait);
    message_heard(m);
    if (err == 0 && rsp->status < 200) {
        return;
    }
    message_judge_answer(m, err, err == 0 ? rsp->status : 0);
    tx_close(tx);
    tx_unref(&m->cli);
    if (err == 0 && !message_goes_on(m, rsp->status)) {
        m->heard = rsp;
        m->heard_from = &m->targets[m->next - 1].to;
        message_finish(m, rsp->status == 202   ? 202
                          : rsp->status < 300  ? 200
                          : rsp->status >= 400 ? rsp->status
                                               : 480);
        m->heard = NULL;
        return;
    }
    m->best = err == ETIMEDOUT ? 408 : err != 0 ? 480 : rsp->status < 400 ? 480 : rsp->status;
    send_next(m);
}

static void on_message_server(struct tx *tx, enum tx_server_event ev, void *arg)
{
    struct message *m = arg;

    (void)tx;
    if (ev == TX_SRV_TRANSPORT || ev == TX_SRV_END) { /* nobody waits for the answer any more */
        message_close(m);
    }
}

static struct message *message_new(struct call_table *t, struct sip_msg *req,
                                   const struct policy_verdict *v)
{
    struct message *m = t->n_messages < MESSAGES_MAX ? mem_zalloc(sizeof(*m)) : NULL;

    if (m == NULL) {
        return NULL;
    }
    m->targets = mem_zalloc(MESSAGE_TARGETS_MAX * sizeof(*m->targets));
    if (m->targets == NULL) {
        mem_free(m);
        return NULL;
    }
    m->t = t;
    timer_init(&m->wait, on_silent_target, m);
    m->cfg = config_ref(t->cfg);
    m->req = sip_msg_ref(req);
    m->verdict = *v;
    token_put(
        t->p.ring,
        &(struct token){.node = t->cfg->node_id, .worker = t->p.worker, .kind = TOKEN_STATELESS},
        m->tag);
    list_push_back(&t->messages, &m->node);
    t->n_messages++;
    return m;
}

void call_message(struct call_table *t, struct sip_msg *req, const struct flow *flow)
{
    struct policy_verdict v;
    struct message *m;

    if (t->draining) {
        call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 30\r\n"));
        return;
    }
    if (!call_decide(t, req, flow, &v)) {
        return;
    }
    if (req->max_forwards <= CALL_HOPS_MIN) {
        call_answer_stateless(t, req, flow, 483, NULL, SL_NULL);
        return;
    }
    m = message_new(t, req, &v);
    if (m == NULL || tx_server_new(&m->srv, t->p.tab, req, flow, on_message_server, m) != 0) {
        call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 5\r\n"));
        if (m != NULL) {
            message_close(m);
        }
        return;
    }
    if (v.action == POLICY_REFUSE) {
        message_refuse(m);
        return;
    }
    if (v.action == POLICY_REDIRECT) {
        message_redirect(m);
        return;
    }
    if (!call_may_relay_body(req)) {
        message_refuse_body(m);
        return;
    }
    collect_targets(m);
    send_next(m);
}
