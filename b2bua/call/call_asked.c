/* call_asked.c - how a call was asked for: lines of facts, an empty line, the request. Passwords
 * and keys have no place in a record: credentials are left out, keys are blackened in place. */
#include "call/call_int.h"

#define ASKED_VERSION "postern-asked 1"

/* --- the verdict --- */

void call_put_party(struct buf *b, const struct config *cfg, const struct policy_ref *ref, int user)
{
    const struct policy_def *def = policy_def(cfg->policy);

    if (ref->kind == POLICY_PEER) {
        BUF_LIT(b, "peer:");
        buf_puts(b, def->peers[ref->peer].name);
    } else if (ref->kind == POLICY_USERS && user >= 0) {
        BUF_LIT(b, "user:");
        buf_puts(b, def->users.accounts[user].name);
    } else {
        buf_puts(b, ref->kind == POLICY_USERS ? "users" : "nobody");
    }
}

static void put_party(struct json *j, const struct config *cfg, const struct policy_ref *ref,
                      int user)
{
    char text[POLICY_NAME_MAX + 8];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    call_put_party(&b, cfg, ref, user);
    json_str(j, buf_sl(&b));
}

static void put_number(struct json *j, const char *key, const struct policy_number *n)
{
    json_key(j, key);
    if (n->changed) {
        json_str(j, policy_number_text(n, SL_NULL));
    } else {
        json_none(j);
    }
}

void call_put_verdict(struct json *j, const struct config *cfg, const struct policy_verdict *v)
{
    static const char *const actions[] = {[POLICY_REFUSE] = "refuse",
                                          [POLICY_CHALLENGE] = "challenge",
                                          [POLICY_ROUTE] = "route",
                                          [POLICY_REDIRECT] = "redirect",
                                          [POLICY_CALLOUT] = "callout"};
    const struct policy_def *def = policy_def(cfg->policy);

    json_obj(j);
    json_kcstr(j, "action", actions[v->action]);
    json_key(j, "status");
    if (v->sip_code != 0) {
        json_int(j, v->sip_code);
    } else {
        json_none(j);
    }
    json_kcstr(j, "reason", v->reason);
    json_key(j, "source");
    put_party(j, cfg, &v->source, v->user);
    json_kcstr(j, "route", v->route >= 0 ? def->routes[v->route].name : NULL);
    json_key(j, "targets");
    json_arr(j);
    for (size_t i = 0; i < v->n_to; i++) {
        put_party(j, cfg, &v->to[i], -1);
    }
    json_arr_end(j);
    put_number(j, "called", &v->called);
    put_number(j, "calling", &v->calling);
    json_obj_end(j);
}

/* --- the request without its secrets --- */

static void put_body(struct buf *b, struct sl body)
{
    size_t mark = b->n;

    buf_putsl(b, body);
    if (buf_err(b) == 0) {
        sip_blacken(b->p + mark, body.n);
    }
}

static void put_request(struct buf *b, const struct sip_msg *req)
{
    ptrdiff_t end = sl_chr(req->text, '\n');

    buf_putsl(b, sl_trim(sl_head(req->text, end < 0 ? 0 : (size_t)end)));
    BUF_LIT(b, "\r\n");
    for (uint16_t i = 0; i < req->n_hdrs; i++) {
        const struct sip_hdr *h = &req->hdrs[i];

        if (h->id == HDR_AUTHORIZATION || h->id == HDR_PROXY_AUTHORIZATION) {
            continue;
        }
        buf_putsl(b, h->name);
        BUF_LIT(b, ": ");
        buf_putsl(b, h->value);
        BUF_LIT(b, "\r\n");
    }
    BUF_LIT(b, "\r\n");
    put_body(b, req->body);
}

/* --- writing and reading --- */

static void put_fact(struct buf *b, const char *name, const char *value)
{
    buf_puts(b, name);
    buf_puts(b, value);
}

static void put_facts(struct buf *b, const struct call *c, const struct flow *flow)
{
    const struct policy_def *def = policy_def(c->cfg->policy);
    int peer = policy_peer_by_id(c->cfg->policy, flow_proven(flow));
    struct json j;

    buf_puts(b, ASKED_VERSION "\nsource ");
    addr_put(b, &flow->remote);
    put_fact(b, "\nlistener ", c->cfg->listeners[flow->listener].name);
    put_fact(b, "\ntransport ", sip_transport_name(flow->transport));
    put_fact(b, "\npeer ", peer >= 0 ? def->peers[peer].name : "");
    put_fact(b, "\nuser ", c->verdict.user >= 0 ? def->users.accounts[c->verdict.user].name : "");
    BUF_LIT(b, "\nwall ");
    buf_putu(b, (uint64_t)c->start_wall);
    BUF_LIT(b, "\nrandom ");
    buf_putu(b, c->verdict.random);
    put_fact(b, "\nlimited ", c->verdict.retry_after_s != 0 ? "1" : "0");
    BUF_LIT(b, "\nverdict ");
    json_init(&j, b);
    call_put_verdict(&j, c->cfg, &c->verdict);
    buf_puts(b, "\n\n");
}

void call_post_asked(struct call *c, const struct sip_msg *req, const struct flow *flow)
{
    struct buf *b = &c->t->json;
    int err;

    if (c->t->p.store == NULL || !c->cfg->store_requests) {
        return;
    }
    buf_reset(b);
    put_facts(b, c, flow);
    put_request(b, req);
    if (buf_err(b) != 0 || b->n > CALL_ASKED_MAX) {
        log_debug(&c->log, "the request is too long to be kept");
        return;
    }
    err = store_put_asked(c->t->p.store, &(struct store_asked){.id = c->id, .asked = buf_sl(b)});
    if (err != 0) {
        log_error(&c->log, "the request could not be kept: out of memory");
    }
}

/* The rest of the next line behind its word. */
static bool take_line(struct sl *text, const char *word, struct sl *out)
{
    struct sl line, w = sl_str(word);

    if (sl_split(text, '\n', CALL_ASKED_MAX, &line) != 0 || !sl_starts(line, w)) {
        return false;
    }
    *out = sl_from(line, w.n);
    return true;
}

struct asked_lines {
    struct sl version, source, transport, wall, random, limited, end;
};

static bool take_lines(struct sl *text, struct call_asked *out, struct asked_lines *l)
{
    const struct {
        const char *word;
        struct sl *at;
    } lines[] = {{ASKED_VERSION, &l->version},
                 {"source ", &l->source},
                 {"listener ", &out->listener},
                 {"transport ", &l->transport},
                 {"peer ", &out->peer},
                 {"user ", &out->user},
                 {"wall ", &l->wall},
                 {"random ", &l->random},
                 {"limited ", &l->limited},
                 {"verdict ", &out->verdict},
                 {"", &l->end}};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!take_line(text, lines[i].word, lines[i].at)) {
            return false;
        }
    }
    return true;
}

int call_asked_read(struct sl text, struct call_asked *out)
{
    struct asked_lines l;
    uint64_t wall_ms = 0;

    *out = (struct call_asked){0};
    if (!take_lines(&text, out, &l) || addr_parse_hostport(l.source, 0, &out->source) != 0 ||
        sl_u64(l.wall, INT64_MAX, &wall_ms) != 0 ||
        sl_u64(l.random, UINT64_MAX, &out->random) != 0) {
        return EBADMSG;
    }
    out->is_limited = sl_eq(l.limited, SL("1"));
    out->transport = sip_transport_of(l.transport);
    out->wall_ms = (int64_t)wall_ms;
    out->message = text;
    return 0;
}
