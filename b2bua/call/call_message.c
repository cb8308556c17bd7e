/* call_message.c - MESSAGE outside a dialog (RFC 3428): one transaction with its sender, and what
 * the policy says of it. */
#include "call/call_egress.h"
#include "call/call_message.h"
#include "call/call_rules.h"

#define MESSAGES_MAX 10000

static void message_destroy(void *arg)
{
    struct message *m = arg;

    for (size_t i = 0; i < m->n_targets; i++) {
        digest_free(&m->targets[i].digest);
    }
    mem_free(m->targets);
    config_unref(&m->cfg);
    arena_free(&m->arena);
    sip_msg_unref(&m->req);
    mem_free(m);
}

static void message_drop_server(struct message *m)
{
    if (m->srv != NULL) {
        tx_close(m->srv);
        tx_unref(&m->srv);
    }
}

void message_close(struct message *m)
{
    if (m->closed) {
        return;
    }
    m->closed = true;
    message_judge(m, POLICY_UNTRIED);
    timer_stop(m->t->p.loop, &m->wait);
    asked_forget(&m->waits_for);
    message_drop_branches(m);
    message_drop_server(m);
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

void message_finish(struct message *m, uint16_t status)
{
    if (status == 401 || status == 407) {
        status = 502;
    }
    message_answer(m, status < 200 ? 480 : status,
                   status == 503 ? SL("Retry-After: 5\r\n") : SL_NULL);
    timer_stop(m->t->p.loop, &m->wait);
    message_drop_server(m);
    if (m->n_live == 0) {
        message_close(m);
    }
}

static void message_refuse(struct message *m)
{
    const struct policy_verdict *v = &m->verdict;
    const char *phrase = m->phrase;
    char text[48];
    struct buf b;

    if (v->told.is_over) {
        phrase = call_limit_phrase(m->cfg->policy, v);
    } else if (phrase == NULL && v->route >= 0) {
        phrase = policy_def(m->cfg->policy)->routes[v->route].refuse_reason;
    }
    buf_init_fixed(&b, text, sizeof(text));
    buf_putf(&b, "Retry-After: %u\r\n", v->told.is_over ? v->retry_after_s : 5);
    tx_refuse(
        m->t, m->srv,
        &(struct refusal){.status = v->sip_code,
                          .reason = phrase,
                          .to_tag = sl_make(m->tag, sizeof(m->tag)),
                          .extra = v->told.is_over || v->sip_code == 503 ? buf_sl(&b) : SL_NULL});
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

static void on_message_server(struct tx *tx, enum tx_server_event ev, void *arg)
{
    struct message *m = arg;

    if (tx != m->srv) {
        return; /* answered */
    }
    if (ev == TX_SRV_TRANSPORT || ev == TX_SRV_END) { /* nobody waits for the answer any more */
        message_close(m);
    }
}

static struct message *message_new(struct call_table *t, struct sip_msg *req,
                                   const struct flow *flow, const struct policy_verdict *v)
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
    timer_init(&m->wait, message_on_silence, m);
    m->cfg = config_ref(t->cfg);
    m->req = sip_msg_ref(req);
    m->verdict = *v;
    m->flow = *flow;
    arena_init(&m->arena, 256, 4096);
    token_put(
        t->p.ring,
        &(struct token){.node = t->cfg->node_id, .worker = t->p.worker, .kind = TOKEN_STATELESS},
        m->tag);
    list_push_back(&t->messages, &m->node);
    t->n_messages++;
    return m;
}

static void message_ask(struct message *m);

/* The policy has spoken. */
static void message_go_on(struct message *m)
{
    switch (m->verdict.action) {
    case POLICY_CALLOUT:
        message_ask(m);
        return;
    case POLICY_REFUSE:
        message_refuse(m);
        return;
    case POLICY_REDIRECT:
        message_redirect(m);
        return;
    default:
        break;
    }
    if (!call_may_relay_body(m->req)) {
        message_refuse_body(m);
        return;
    }
    message_collect(m);
    message_send_next(m);
}

static void on_message_heard(void *message, const char *phrase)
{
    struct message *m = message;

    m->phrase = phrase;
    message_go_on(m);
}

/* Repetitions meet the server transaction meanwhile. */
static void message_ask(struct message *m)
{
    if (asked_put(&m->waits_for, &(struct ask_for){.t = m->t,
                                                   .cfg = m->cfg,
                                                   .arena = &m->arena,
                                                   .req = m->req,
                                                   .flow = &m->flow,
                                                   .verdict = &m->verdict,
                                                   .heard = on_message_heard,
                                                   .arg = m}) != 0) {
        message_finish(m, 500);
    }
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
    m = message_new(t, req, flow, &v);
    if (m == NULL || tx_server_new(&m->srv, t->p.tab, req, flow, on_message_server, m) != 0) {
        call_answer_stateless(t, req, flow, 503, NULL, SL("Retry-After: 5\r\n"));
        if (m != NULL) {
            message_close(m);
        }
        return;
    }
    message_go_on(m);
}
