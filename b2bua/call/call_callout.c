/* call_callout.c - a call whose way an HTTP server decides: the caller has his 100 and waits, the
 * question is on its way on another thread, and the answer comes as a message to the call's worker.
 */
#include "call/call_int.h"

#define CALLOUTS_OF_CALL 4   /* questions for one call; a route beyond gets no answer */
#define CALLOUT_LATE_MS 1000 /* beyond its time limit: the answer is lost */

struct asked_out {
    struct call *call;
    struct timer late;
    uint16_t route; /* whose callout is asked now */
    bool is_waiting;
    struct policy_callout_reply replies[CALLOUTS_OF_CALL];
    size_t n;
};

void call_asked_forget(struct call *c)
{
    if (c->asked != NULL) {
        timer_stop(c->t->p.loop, &c->asked->late);
        mem_free(c->asked);
        c->asked = NULL;
    }
}

/* --- the answer --- */

/* False: a name that is no target here. */
static bool take_targets(const struct call *c, const struct callout_answer *a,
                         struct policy_callout_reply *r)
{
    const struct policy_def *def = policy_def(c->cfg->policy);

    r->kind = POLICY_REPLY_ROUTE;
    for (size_t i = 0; i < a->n_targets && i < POLICY_TARGETS_MAX; i++) {
        struct sl name = sl_str(a->targets[i]);
        int peer = policy_peer_by_name(c->cfg->policy, name);

        if (sl_eq(name, SL("users")) && def->users.present) {
            r->to[r->n_to++] = (struct policy_ref){.kind = POLICY_USERS};
        } else if (peer >= 0 && def->peers[peer].n_targets != 0) {
            r->to[r->n_to++] = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)peer};
        } else {
            return false;
        }
    }
    return r->n_to != 0;
}

static void take_answer(struct call *c, const struct callout_answer *a,
                        struct policy_callout_reply *r)
{
    const char *why = a->why;

    switch (a->result) {
    case CALLOUT_CONTINUE:
        r->kind = POLICY_REPLY_CONTINUE;
        break;
    case CALLOUT_REFUSE:
        r->kind = POLICY_REPLY_REFUSE;
        r->code = a->status;
        r->reason = a->reason[0] != '\0' ? arena_cstr(&c->arena, sl_str(a->reason)) : NULL;
        break;
    case CALLOUT_ROUTE:
        if (take_targets(c, a, r)) {
            return;
        }
        why = "it names a target that does not exist here";
        /* fall through */
    case CALLOUT_FAILED:
        r->kind = POLICY_REPLY_NONE;
        log_warn(&c->log, "callout of route %s gave no answer: %s",
                 policy_def(c->cfg->policy)->routes[r->route].name, why);
        break;
    }
}

/* One answer further: the call goes on, or the next question is put. */
static void hear(struct call *c, const struct callout_answer *a)
{
    struct asked_out *out = c->asked;

    timer_stop(c->t->p.loop, &out->late);
    out->is_waiting = false;
    out->replies[out->n] = (struct policy_callout_reply){.route = out->route};
    take_answer(c, a, &out->replies[out->n]);
    out->n++;
    call_decide_again(c, out->replies, out->n);
    if (c->verdict.action == POLICY_REFUSE && out->replies[out->n - 1].reason != NULL &&
        c->verdict.reason == out->replies[out->n - 1].reason) {
        c->phrase = c->verdict.reason; /* the server's own words, for the caller too */
    }
    if (call_fill_record(c, c->invite) != 0) {
        call_reject_a(c, 500, "system", "out of memory");
    } else if (c->verdict.action == POLICY_CALLOUT) {
        call_ask_out(c);
    } else {
        call_go_on(c);
    }
}

struct heard { /* an answer on its way to the worker */
    struct call_table *t;
    struct callout_ticket ticket;
    struct callout_answer a;
};

static void on_heard(void *owner, struct loop_msg *m)
{
    struct heard *h = m->ptr;
    struct call *c = call_find(h->t, h->ticket.id);

    (void)owner;
    if (c != NULL && c->state == CALL_SETUP && c->asked != NULL && c->asked->is_waiting &&
        h->ticket.turn == c->asked->n) { /* a late one belongs to a question before */
        hear(c, &h->a);
    }
    mem_free(h);
}

static void drop_heard(void *owner, struct loop_msg *m)
{
    (void)owner;
    mem_free(m->ptr);
}

/* On the callout's thread. What cannot be told is missed by the call's own timer. */
static void on_answer(void *arg, const struct callout_ticket *ticket,
                      const struct callout_answer *a)
{
    struct call_table *t = arg;
    struct heard *h = mem_alloc(sizeof(*h));

    if (h == NULL) {
        return;
    }
    *h = (struct heard){.t = t, .ticket = *ticket, .a = *a};
    if (loop_post(t->p.loop, &(struct loop_msg){.fn = on_heard, .ptr = h, .drop = drop_heard}) !=
        0) {
        mem_free(h);
        stat_inc(STAT_QUEUE_FULL);
    }
}

static void on_late(void *arg)
{
    struct asked_out *out = arg;

    hear(out->call, &(struct callout_answer){.why = "no answer in time"});
}

/* --- the question --- */

static void put_question(struct json *j, const struct call *c, const struct policy_callout *to)
{
    const struct flow *flow = &c->a->dlg.flow;
    char id[STORE_ID_LEN + 1];

    store_id_text(c->id, id);
    json_obj(j);
    json_kcstr(j, "callout", to->name);
    json_kstr(j, "route", c->route);
    json_kcstr(j, "call", id);
    json_kstr(j, "source", c->source);
    json_kcstr(j, "listener", c->cfg->listeners[flow->listener].name);
    json_kaddr(j, "address", &flow->remote);
    json_kcstr(j, "transport", sip_transport_name(flow->transport));
    json_kstr(j, "calling", c->calling);
    json_kstr(j, "called", c->called);
    json_kstr(j, "domain", c->invite->ruri.host);
    json_kstr(j, "sip_call_id", c->invite->call_id);
    json_kstr(j, "user_agent", sip_hdr_value(c->invite, HDR_USER_AGENT));
    json_obj_end(j);
}

static int ask(struct call *c, const struct policy_callout *to)
{
    struct buf *b = &c->t->json;
    struct json j;

    buf_reset(b);
    json_init(&j, b);
    put_question(&j, c, to);
    return buf_err(b) != 0
               ? buf_err(b)
               : callout_ask(c->t->p.callout,
                             &(struct callout_question){.name = sl_str(to->name),
                                                        .url = sl_str(to->url),
                                                        .timeout_ms = to->timeout_ms,
                                                        .pause_ms = to->pause_ms,
                                                        .failures = to->failures,
                                                        .waiting = to->waiting,
                                                        .body = buf_sl(b),
                                                        .fn = on_answer,
                                                        .arg = c->t,
                                                        .ticket = {c->id, (uint32_t)c->asked->n}});
}

static bool make_asked(struct call *c)
{
    if (c->asked == NULL) {
        c->asked = mem_zalloc(sizeof(*c->asked));
    }
    if (c->asked == NULL) {
        return false;
    }
    c->asked->call = c;
    timer_init(&c->asked->late, on_late, c->asked);
    return true;
}

void call_ask_out(struct call *c)
{
    const struct policy_def *def = policy_def(c->cfg->policy);
    const struct policy_route *route = &def->routes[c->verdict.route];
    const struct policy_callout *to = &def->callouts[route->callout - 1];
    int err;

    if (c->t->p.callout == NULL) {
        return; /* only tried out: that it is asked is the answer */
    }
    if (!make_asked(c)) {
        call_reject_a(c, 500, "system", "out of memory");
        return;
    }
    if (c->asked->n == CALLOUTS_OF_CALL) {
        call_reject_a(c, 500, "policy", "too many callouts for one call");
        return;
    }
    c->asked->route = (uint16_t)c->verdict.route;
    c->asked->is_waiting = true;
    err = ask(c, to);
    if (err != 0) {
        stat_inc(STAT_CALLOUT_FAILED);
        hear(c, &(struct callout_answer){.why = err == ENOBUFS ? "too many questions wait"
                                                               : strerrordesc_np(err)});
        return;
    }
    timer_start(c->t->p.loop, &c->asked->late, (int64_t)to->timeout_ms + CALLOUT_LATE_MS);
}
