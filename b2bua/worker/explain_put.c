/* explain_put.c - what a tried request came to: as JSON for the API, as lines for people. */
#include "worker/explain_int.h"

/* --- what both say --- */

static const char *class_of(const struct explain_view *v)
{
    static const char *const words[] = {[POLICY_DENIED] = "denied: dropped unread",
                                        [POLICY_UNKNOWN] = "unknown",
                                        [POLICY_TRUSTED] = "trusted"};
    const struct sandbox *s = v->s;
    struct policy_knock knock = {.source = s->from.remote,
                                 .listener = s->from.listener,
                                 .connected = flow_is_reliable(&s->from),
                                 .peer = flow_proven(&s->from)};

    return words[policy_classify(v->gate != NULL ? v->gate : s->b.gate, s->b.cfg->policy, &knock,
                                 v->now_ms)];
}

static bool is_response(struct sl text)
{
    return sl_starts(text, SL("SIP/2.0 "));
}

/* "404 Not Found" of the last final answer to who asked; empty: none yet. */
static struct sl final_answer(const struct sandbox *s)
{
    struct sl found = SL_NULL;

    for (size_t i = 0; i < s->n_sent; i++) {
        struct sl line, text = s->sent[i].text;

        if (is_response(text) && sl_split(&text, '\r', 512, &line) == 0 && line.n > 11 &&
            line.p[8] > '1') {
            found = sl_from(line, 8);
        }
    }
    return found;
}

/* Whose target it goes to: of the verdict's parties, in their order. */
static void put_party_of(struct buf *b, const struct sandbox *s, const struct flow *flow)
{
    const struct policy_def *def = policy_def(s->b.cfg->policy);

    for (size_t i = 0; i < s->verdict.n_to; i++) {
        const struct policy_ref *ref = &s->verdict.to[i];
        const struct policy_peer *peer = &def->peers[ref->peer];

        for (size_t k = 0; ref->kind == POLICY_PEER && k < peer->n_targets; k++) {
            if (addr_eq(&peer->targets[k].addr, &flow->remote)) {
                buf_putf(b, "peer:%s", peer->name);
                return;
            }
        }
    }
    buf_putf(b, "user:%s", s->callee);
}

/* The limits this request met or would meet: who asks, his address, destinations, node, targets. */
static void each_limit(const struct explain_view *v, policy_limit_fn *fn, void *arg)
{
    const struct sandbox *s = v->s;
    struct policy_verdict asks = {.user = -1, .route = -1}; /* no route was asked */
    int peer = policy_peer_of(s->b.cfg->policy, s->from.listener, &s->from.remote, s->from.peer);

    if (peer >= 0) {
        asks.source = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)peer};
    } else if (v->user.n != 0) {
        asks.source.kind = POLICY_USERS;
        asks.user = policy_user_by_name(s->b.cfg->policy, v->user);
    }
    policy_limits_met(v->cfg->policy,
                      &(struct policy_met){.v = s->has_verdict ? &s->verdict : &asks,
                                           .source = s->from.remote,
                                           .called = sl_str(s->callee),
                                           .is_call = s->has_verdict && v->is_call},
                      v->now_ms, fn, arg);
}

static const char *rule_word(const struct policy_header_rule *r)
{
    static const char *const words[] = {
        [POLICY_OP_ADD] = "add",         [POLICY_OP_SET] = "set",
        [POLICY_OP_REMOVE] = "remove",   [POLICY_OP_RENAME] = "rename",
        [POLICY_OP_REPLACE] = "replace", [POLICY_OP_COPY] = "copy"};

    return words[r->op];
}

/* --- JSON --- */

static void json_rules(const struct sandbox *s, struct json *j)
{
    json_arr(j);
    for (size_t i = 0; i < s->n_rules; i++) {
        const struct sandbox_rule *r = &s->rules[i];

        json_obj(j);
        json_kcstr(j, "peer", r->peer->name);
        json_kcstr(j, "direction", r->rule->direction == POLICY_IN ? "in" : "out");
        json_kint(j, "rule", (int64_t)r->index);
        json_kcstr(j, "action", rule_word(r->rule));
        json_kcstr(j, "name", r->rule->name);
        json_obj_end(j);
    }
    json_arr_end(j);
}

struct json_rows {
    const struct policy *policy;
    struct json *j;
};

static bool on_json_limit(const struct policy_limit_row *row, void *arg)
{
    struct json_rows *rows = arg;

    worker_limit_row(rows->j, rows->policy, row);
    return true;
}

static void json_limits(const struct explain_view *v, struct json *j)
{
    json_arr(j);
    each_limit(v, on_json_limit, &(struct json_rows){v->cfg->policy, j});
    json_arr_end(j);
}

static void json_message(const struct sandbox *s, const struct sandbox_sent *m, struct json *j)
{
    char text[POLICY_NAME_MAX + 16];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    if (is_response(m->text)) {
        buf_puts(&b, "caller");
    } else {
        put_party_of(&b, s, &m->flow);
    }
    json_obj(j);
    json_kstr(j, "to", buf_sl(&b));
    json_kaddr(j, "address", &m->flow.remote);
    json_kcstr(j, "transport", sip_transport_name(m->flow.transport));
    json_kcstr(j, "listener", s->b.cfg->listeners[m->flow.listener].name);
    json_kstr(j, "text", m->text);
    json_obj_end(j);
}

static void json_end(const struct sandbox *s, struct json *j)
{
    struct sl answer = final_answer(s);

    json_key(j, "answer");
    if (answer.n != 0) {
        json_str(j, answer);
    } else {
        json_none(j);
    }
    json_key(j, "ended");
    if (s->end_by == NULL) {
        json_none(j);
        return;
    }
    json_obj(j);
    json_kcstr(j, "by", s->end_by);
    json_kcstr(j, "reason", s->end_reason);
    json_obj_end(j);
}

void explain_put_json(const struct explain_view *v, struct json *j)
{
    const struct sandbox *s = v->s;

    json_obj(j);
    json_kaddr(j, "source", &s->from.remote);
    json_kcstr(j, "listener", s->b.cfg->listeners[s->from.listener].name);
    json_kcstr(j, "transport", sip_transport_name(s->from.transport));
    json_kcstr(j, "class", class_of(v));
    json_kcstr(j, "malformed", v->malformed);
    json_key(j, "verdict");
    if (s->has_verdict) {
        call_put_verdict(j, s->b.cfg, &s->verdict);
    } else {
        json_none(j);
    }
    json_key(j, "trace");
    if (s->has_verdict) {
        policy_trace_json(s->b.cfg->policy, &s->verdict, j);
    } else {
        json_raw(j, SL("[]"));
    }
    json_key(j, "headers");
    json_rules(s, j);
    json_key(j, "limits");
    json_limits(v, j);
    json_end(s, j);
    json_key(j, "messages");
    json_arr(j);
    for (size_t i = 0; i < s->n_sent; i++) {
        json_message(s, &s->sent[i], j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

/* --- lines --- */

static void text_step(void *arg, const char *step, const char *name, const char *result)
{
    buf_putf(arg, "  %s%s%s: %s\n", step, name != NULL ? " " : "", name != NULL ? name : "",
             result);
}

static void text_verdict(const struct sandbox *s, struct buf *b)
{
    static const char *const words[] = {[POLICY_REFUSE] = "refused",
                                        [POLICY_CHALLENGE] = "challenged",
                                        [POLICY_ROUTE] = "routed",
                                        [POLICY_REDIRECT] = "redirected",
                                        [POLICY_CALLOUT] = "decided by a callout, of route"};
    const struct policy_verdict *v = &s->verdict;
    const struct policy_def *def = policy_def(s->b.cfg->policy);

    if (!s->has_verdict) {
        BUF_LIT(b, "verdict    none: no route is asked for such a request\n");
        return;
    }
    buf_putf(b, "verdict    %s", words[v->action]);
    if (v->action == POLICY_ROUTE) {
        buf_putf(b, " by %s to", def->routes[v->route].name);
    } else if (v->action == POLICY_CALLOUT) {
        buf_putf(b, " %s", def->routes[v->route].name);
    } else {
        buf_putf(b, " with %u: %s", v->sip_code, v->reason);
    }
    for (size_t i = 0; i < v->n_to; i++) {
        buf_puts(b, i == 0 ? " " : ", then ");
        call_put_party(b, s->b.cfg, &v->to[i], -1);
    }
    BUF_LIT(b, "\nbecause\n");
    policy_trace_each(s->b.cfg->policy, v, text_step, b);
}

struct text_rows {
    const struct policy *policy;
    struct buf *b;
};

static bool on_text_limit(const struct policy_limit_row *row, void *arg)
{
    struct text_rows *rows = arg;

    BUF_LIT(rows->b, "  ");
    policy_put_limit(rows->b, rows->policy, &row->hit);
    buf_putf(rows->b, "%s%s: %u of %u\n", row->name[0] != '\0' ? ", " : "", row->name, row->hit.use,
             row->hit.max);
    return true;
}

static void text_limits(const struct explain_view *v, struct buf *b)
{
    BUF_LIT(b, "limits\n");
    each_limit(v, on_text_limit, &(struct text_rows){v->cfg->policy, b});
}

static void text_rules(const struct sandbox *s, struct buf *b)
{
    buf_puts(b, s->n_rules != 0 ? "header rules\n" : "");
    for (size_t i = 0; i < s->n_rules; i++) {
        const struct sandbox_rule *r = &s->rules[i];

        buf_putf(b, "  %s %s, rule %zu: %s %s\n", r->peer->name,
                 r->rule->direction == POLICY_IN ? "in" : "out", r->index, rule_word(r->rule),
                 r->rule->name);
    }
}

static void text_message(const struct sandbox *s, const struct sandbox_sent *m, struct buf *b)
{
    struct sl text = m->text, line;

    buf_puts(b, is_response(m->text) ? "\nanswer to " : "\nmessage to ");
    if (!is_response(m->text)) {
        put_party_of(b, s, &m->flow);
        BUF_LIT(b, " at ");
    }
    addr_put(b, &m->flow.remote);
    buf_putf(b, ", %s from listener %s\n", sip_transport_name(m->flow.transport),
             s->b.cfg->listeners[m->flow.listener].name);
    while (sl_next(&text, '\n', &line) == 0) {
        line = sl_trim(line);
        buf_puts(b, line.n != 0 ? "  " : "");
        buf_putsl(b, line);
        BUF_LIT(b, "\n");
    }
}

void explain_put_text(const struct explain_view *v, struct buf *b)
{
    const struct sandbox *s = v->s;
    struct sl answer = final_answer(s);

    BUF_LIT(b, "source     ");
    addr_put(b, &s->from.remote);
    buf_putf(b, ", %s at listener %s, %s\n", sip_transport_name(s->from.transport),
             s->b.cfg->listeners[s->from.listener].name, class_of(v));
    if (v->malformed != NULL) {
        buf_putf(b, "malformed  %s\n", v->malformed);
    }
    text_verdict(s, b);
    text_rules(s, b);
    text_limits(v, b);
    if (answer.n != 0) {
        buf_putf(b, "answer     %.*s\n", SL_ARG(answer));
    }
    if (s->end_by != NULL) {
        buf_putf(b, "ended by   %s: %s\n", s->end_by, s->end_reason);
    }
    if (s->n_sent == 0) {
        BUF_LIT(b, "nothing would be sent\n");
    }
    for (size_t i = 0; i < s->n_sent; i++) {
        text_message(s, &s->sent[i], b);
    }
}
