/* call_message_to.c - where a MESSAGE goes, and what it looks like there. */
#include "call/call_egress.h"
#include "call/call_message.h"
#include "call/call_rules.h"

#define MESSAGE_USER_MS 2000 /* devices that say nothing: the next target of the route */

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
    tg->m = m;
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
        call_put_called(&b, numbers, &m->verdict.source, m->req);
        buf_puts(&b, b.n != scheme ? "@" : "");
        addr_put(&b, &pt->addr);
        buf_putc(&b, 0);
        tg->to = *to;
        tg->group = m->n_groups++;
        tg->peer = peer;
        tg->aim = pt;
        tg->failover_ms = peer->failover_ms;
        m->n_targets += buf_err(&b) == 0 ? 1 : 0;
    }
}

/* Somewhere among those that are asked at once with it. */
static bool has_device(const struct message *m, const struct message_target *tg)
{
    for (size_t i = 0; i < m->n_targets; i++) {
        if (m->targets[i].is_user && m->targets[i].group == m->n_groups && tg->device != 0 &&
            m->targets[i].device == tg->device) {
            return true;
        }
    }
    return false;
}

static void add_user(struct message *m, struct sl user)
{
    const struct binding *list[REG_BINDINGS_MAX];
    size_t n;

    if (policy_user_by_name(m->cfg->policy, user) < 0) {
        m->if_none = 404;
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
            tg->device = call_device(list[i]);
            tg->is_spare = has_device(m, tg);
            tg->group = m->n_groups;
            tg->to.kind = POLICY_USERS;
            tg->failover_ms = MESSAGE_USER_MS;
            m->n_targets++;
        }
    }
    m->n_groups++;
}

void message_collect(struct message *m)
{
    char text[128];
    size_t n = 0;

    m->if_none = 480;
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

/* --- the request --- */

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
        sip_put_number(b, user);
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

/* With our credentials at the peer, if it asks for them. */
static int put_credentials(struct buf *b, struct message_target *tg)
{
    const struct policy_peer *p = tg->peer;
    struct digest_credentials cred;

    if (tg->challenge == NULL) {
        return 0;
    }
    if (p == NULL || p->username == NULL) {
        return ENOENT;
    }
    if (tg->digest == NULL && (tg->digest = mem_zalloc(sizeof(*tg->digest))) == NULL) {
        return ENOMEM;
    }
    cred = (struct digest_credentials){.username = sl_str(p->username),
                                       .password = sl_str(p->password),
                                       .realm = sl_str(p->realm)};
    return digest_answer(
        b, tg->challenge,
        &(struct digest_for){.cred = &cred, .method = SL("MESSAGE"), .uri = sl_str(tg->uri)},
        tg->digest);
}

static void name_once(const struct message *m, struct message_target *tg)
{
    struct token tok = {.node = m->cfg->node_id, .worker = m->t->p.worker, .kind = TOKEN_STATELESS};

    if (tg->cseq == 0) {
        token_put(m->t->p.ring, &tok, tg->call_id);
        token_put(m->t->p.ring, &tok, tg->tag);
    }
    tg->cseq++;
}

static int put_message(const struct message *m, struct message_target *tg, struct buf *b)
{
    char from[512], to[520];
    struct dialog d = {0};
    struct arena arena;
    struct buf fb, tb;
    struct addr via;
    int err;

    name_once(m, tg);
    buf_init_fixed(&fb, from, sizeof(from));
    put_from(&fb, m, tg);
    buf_init_fixed(&tb, to, sizeof(to));
    buf_putf(&tb, "<%s>", tg->uri);
    arena_init(&arena, 1024, 8192);
    err = dialog_init_uac(&d, &arena,
                          &(struct dialog_uac){.call_id = sl_make(tg->call_id, sizeof(tg->call_id)),
                                               .local_tag = sl_make(tg->tag, sizeof(tg->tag)),
                                               .local = buf_sl(&fb),
                                               .remote = buf_sl(&tb),
                                               .target = sl_str(tg->uri),
                                               .flow = &tg->flow,
                                               .pin_flow = true});
    if (err == 0) {
        call_via_addr(m->cfg, tg->flow.listener, tg->flow.transport, &via);
        dialog_put_request(b, &d,
                           &(struct dialog_request){.method = SIP_MESSAGE,
                                                    .cseq = tg->cseq,
                                                    .branch = tx_branch(tg->cli),
                                                    .via = &via,
                                                    .transport = tg->flow.transport,
                                                    .max_forwards = call_hops_left(m->req)});
        err = put_credentials(b, tg);
        put_extra(b, m, tg);
        sip_put_body(b, sip_hdr_value(m->req, HDR_CONTENT_TYPE), m->req->body);
        err = err != 0 ? err : buf_err(b);
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

int message_write(const struct message *m, struct message_target *tg, struct buf *b)
{
    int err = put_message(m, tg, b);

    return err != 0 ? err : pass_message(m, tg, b);
}
