/* explain.c - what would happen to a request, and to recorded calls under another configuration. */
#include "worker/explain_int.h"

#define REPLAY_APART_MS                                                                            \
    (2 * 24 * 3600 * 1000LL) /* between two calls: no pace remembers the first */

/* --- one request --- */

struct house_view { /* for whom it is asked */
    struct config *cfg;
    const struct policy_gate *gate; /* NULL: nobody is banned, nobody has proven himself */
    struct dtls_ctx *dtls;
    struct worker *live; /* knows where users are; NULL: nobody is registered */
};

struct asked_now {
    const struct b2bua_question *q;
    struct sl message;
    struct flow flow;
    int64_t mono_ms, wall_ms;
};

static int try_once(const struct house_view *h, const struct asked_now *a,
                    const struct reg_update *bindings, struct sandbox **sp)
{
    struct config *copy = NULL;
    int err = config_copy(&copy, h->cfg);

    if (err == 0) {
        err = sandbox_open(
            sp, &(struct sandbox_params){.cfg = copy,
                                         .dtls = h->dtls,
                                         .mono_ms = a->mono_ms,
                                         .wall_ms = a->wall_ms,
                                         .user = a->q->user,
                                         .random = a->q->has_random ? &a->q->random : NULL,
                                         .bindings = bindings});
        if (err == 0) {
            struct flow flow = a->flow;

            /* the copy has its own numbers for peers */
            flow.peer = 0;
            if (flow.certified) {
                flow.peer = copy->def.peers[policy_peer_by_name(copy->policy, a->q->peer)].id;
            }
            sandbox_run(*sp, &flow, a->message);
        }
        config_unref(&copy);
    }
    return err;
}

static bool calls_a_user(const struct sandbox *s)
{
    for (size_t i = 0; i < s->verdict.n_to && s->verdict.action == POLICY_ROUTE; i++) {
        if (s->verdict.to[i].kind == POLICY_USERS) {
            return s->callee[0] != '\0';
        }
    }
    return false;
}

/* Where the called user is known only once the routes were asked: then it is tried again. */
static int try_out(const struct house_view *h, const struct asked_now *a, struct sandbox **sp)
{
    struct reg_update *bindings = NULL;
    int err = try_once(h, a, NULL, sp);

    if (err != 0 || h->live == NULL || !calls_a_user(*sp)) {
        return err;
    }
    err = worker_ask_bindings(h->live, (*sp)->callee, &bindings);
    if (err == 0) {
        sandbox_close(sp);
        err = try_once(h, a, bindings, sp);
    } else if (err == ENOENT) {
        err = 0; /* not registered: that is what the first try says */
    } else {
        sandbox_close(sp);
    }
    reg_update_free(&bindings);
    return err;
}

/* What the parser says of it, and where the request says that it comes from. */
static int look_at(struct sl message, struct addr *via, const char **malformed)
{
    struct sip_pool *pool = NULL;
    struct sip_msg *msg = NULL;
    struct sip_bad bad = {0};
    int err = sip_pool_new(&pool);

    if (err != 0) {
        return err;
    }
    err = sip_msg_parse(pool, message, &msg, &bad);
    if (err != 0 && err != ENOMEM) {
        *malformed = bad.reason != NULL ? bad.reason : "this is not SIP";
    }
    if (msg != NULL &&
        addr_parse(msg->via.host, msg->via.port != 0 ? msg->via.port : 5060, via) != 0) {
        *via = (struct addr){0};
    }
    sip_msg_unref(&msg);
    sip_pool_free(&pool);
    return err == ENOMEM ? err : 0;
}

typedef void(put_fn)(const struct explain_view *v, void *out);

static int explain(const struct house_view *h, const struct b2bua_question *q, put_fn *put,
                   void *out, const char **why)
{
    struct b2bua_question mine = *q;
    struct asked_now a = {.q = &mine};
    struct explain_view v = {.cfg = h->cfg, .gate = h->gate, .user = q->user};
    struct addr via = {0};
    struct sandbox *s = NULL;
    struct clock clock;
    struct buf text;
    int err;

    clock_init_real(&clock);
    a.mono_ms = v.now_ms = clock_now_ms(&clock);
    a.wall_ms = q->wall_ms != 0 ? q->wall_ms : clock_wall_ms(&clock);
    buf_init(&text, B2BUA_EXPLAIN_MAX + B2BUA_EXPLAIN_MAX / 2);
    explain_put_message(&text, q->message);
    a.message = buf_sl(&text);
    v.is_call = sl_starts(a.message, SL("INVITE "));
    err = buf_err(&text);
    if (err == 0) {
        err = look_at(a.message, &via, &v.malformed);
    }
    if (addr_family(&mine.source) == AF_UNSPEC) {
        mine.source = via;
    }
    if (err == 0) {
        err = explain_flow(h->cfg, &mine, &a.flow, why);
    }
    if (err == 0) {
        err = try_out(h, &a, &s);
    }
    if (err == 0) {
        v.s = s;
        put(&v, out);
    }
    sandbox_close(&s);
    buf_free(&text);
    return err;
}

static void put_json(const struct explain_view *v, void *out)
{
    explain_put_json(v, out);
}

static void put_text(const struct explain_view *v, void *out)
{
    explain_put_text(v, out);
}

int b2bua_explain(struct b2bua *b, const struct b2bua_question *q, struct json *j, const char **why)
{
    struct house_view h = {
        .cfg = worker_config(b), .gate = b->gate, .dtls = b->dtls, .live = b->workers[0]};
    int err = explain(&h, q, put_json, j, why);

    config_unref(&h.cfg);
    return err != 0 ? err : buf_err(j->b);
}

int explain_offline(struct config *cfg, const struct b2bua_question *q, bool as_json,
                    struct buf *out, const char **why)
{
    struct house_view h = {.cfg = cfg};
    int err = dtls_ctx_new(&h.dtls, &(struct dtls_ctx_params){0});
    struct json j;

    json_init(&j, out);
    if (err == 0) {
        err = as_json ? explain(&h, q, put_json, &j, why) : explain(&h, q, put_text, out, why);
    }
    dtls_ctx_free(&h.dtls);
    return err != 0 ? err : buf_err(out);
}

/* --- recorded calls --- */

static struct b2bua_question question_of(const struct call_asked *a)
{
    return (struct b2bua_question){.message = a->message,
                                   .source = a->source,
                                   .listener = a->listener,
                                   .transport = sl_str(sip_transport_name(a->transport)),
                                   .peer = a->peer,
                                   .user = a->user,
                                   .wall_ms = a->wall_ms,
                                   .has_random = true,
                                   .random = a->random};
}

int b2bua_recall(struct sl asked, struct b2bua_question *q)
{
    struct call_asked a;
    int err = call_asked_read(asked, &a);

    if (err == 0) {
        *q = question_of(&a);
    }
    return err;
}

struct b2bua_replay {
    struct config *cfg; /* the candidate, with counters of its own */
    int64_t mono_ms;
    struct buf verdict;
};

static void put_errors(struct json *j, const struct config_errors *errs)
{
    json_arr(j);
    for (size_t i = 0; i < errs->n; i++) {
        json_cstr(j, errs->e[i].text);
    }
    json_arr_end(j);
}

int b2bua_replay_open(struct b2bua_replay **rp, struct sl yaml, struct json *errors)
{
    struct b2bua_replay *r = mem_zalloc(sizeof(*r));
    struct config_errors errs = {0};
    struct clock clock;
    int err;

    if (r == NULL) {
        return ENOMEM;
    }
    clock_init_real(&clock);
    r->mono_ms = clock_now_ms(&clock);
    buf_init(&r->verdict, CALL_ASKED_MAX);
    err = config_parse(&r->cfg, "candidate", yaml, NULL, &errs);
    if (err == EBADMSG) {
        put_errors(errors, &errs);
    }
    config_errors_free(&errs);
    if (err != 0) {
        b2bua_replay_close(&r);
        return err;
    }
    *rp = r;
    return 0;
}

void b2bua_replay_close(struct b2bua_replay **rp)
{
    struct b2bua_replay *r = *rp;

    *rp = NULL;
    if (r != NULL) {
        config_unref(&r->cfg);
        buf_free(&r->verdict);
        mem_free(r);
    }
}

static void put_change(struct json *j, const struct b2bua_replay *r, const struct call_asked *a,
                       const struct sandbox *s)
{
    json_key(j, "old");
    json_raw(j, a->verdict);
    json_key(j, "new");
    json_raw(j, buf_sl(&r->verdict));
    json_key(j, "trace");
    policy_trace_json(r->cfg->policy, &s->verdict, j);
    json_kcstr(j, "why", s->verdict.reason);
}

/* The candidate has no place where this request could arrive. */
static void put_homeless(struct json *j, const struct call_asked *a, const char *why)
{
    json_key(j, "old");
    json_raw(j, a->verdict);
    json_key(j, "new");
    json_none(j);
    json_key(j, "trace");
    json_raw(j, SL("[]"));
    json_kcstr(j, "why", why);
}

static int replay(struct b2bua_replay *r, const struct call_asked *a, const struct flow *flow,
                  struct sandbox **sp)
{
    struct json j;
    int err;

    r->mono_ms += REPLAY_APART_MS;
    err = sandbox_open(sp, &(struct sandbox_params){.cfg = r->cfg,
                                                    .mono_ms = r->mono_ms,
                                                    .wall_ms = a->wall_ms,
                                                    .user = a->user,
                                                    .random = &a->random});
    if (err != 0) {
        return err;
    }
    sandbox_run(*sp, flow, a->message);
    buf_reset(&r->verdict);
    json_init(&j, &r->verdict);
    if ((*sp)->has_verdict) {
        call_put_verdict(&j, r->cfg, &(*sp)->verdict);
    } else {
        json_none(&j);
    }
    return buf_err(&r->verdict);
}

int b2bua_replay(struct b2bua_replay *r, struct sl asked, struct json *j,
                 enum b2bua_replay_result *result)
{
    struct b2bua_question q;
    struct call_asked a = {0};
    struct policy_verdict verdict = {0};
    struct sandbox *s = NULL;
    const char *why = NULL;
    struct flow flow;
    int err = call_asked_read(asked, &a);

    if (err != 0) {
        return err;
    }
    *result = B2BUA_REPLAY_LIMITED;
    if (a.is_limited) {
        return 0;
    }
    q = question_of(&a);
    q.user = SL_NULL; /* who is gone is challenged, and a peer who is gone has proven nothing */
    q.peer = policy_peer_by_name(r->cfg->policy, a.peer) >= 0 ? a.peer : SL_NULL;
    *result = B2BUA_REPLAY_CHANGED;
    if (explain_flow(r->cfg, &q, &flow, &why) != 0) {
        put_homeless(j, &a, why);
        return buf_err(j->b);
    }
    err = replay(r, &a, &flow, &s);
    if (err == 0 && sl_eq(buf_sl(&r->verdict), a.verdict)) {
        *result = B2BUA_REPLAY_SAME;
    } else if (err == 0) {
        put_change(j, r, &a, s);
        err = buf_err(j->b);
    }
    verdict = s != NULL ? s->verdict : verdict;
    sandbox_close(&s);
    policy_forget(r->cfg->policy, &verdict);
    return err;
}
