/* call_callout.c - a request whose way an HTTP server decides: it waits, the question is on its way
 * on another thread, and the answer comes as a message to the worker of the request. */
#include "call/call_int.h"

#define CALLOUTS_OF_ONE 4    /* questions for one request; a route beyond gets no answer */
#define CALLOUT_LATE_MS 1000 /* beyond its time limit: the answer is lost */

struct asked_out {
    struct ask_for f;
    struct hnode by_id;
    uint64_t id; /* of the question's ticket; not the call's: a MESSAGE has none */
    struct timer late;
    uint16_t route; /* whose callout is asked now */
    bool is_waiting;
    struct policy_callout_reply replies[CALLOUTS_OF_ONE];
    size_t n;
};

void asked_forget(struct asked_out **op)
{
    struct asked_out *out = *op;

    *op = NULL;
    if (out != NULL) {
        timer_stop(out->f.t->p.loop, &out->late);
        hmap_remove(&out->f.t->asked, &out->by_id);
        mem_free(out);
    }
}

static bool id_eq(const struct hnode *n, const void *key)
{
    return CONTAINER_OF(n, struct asked_out, by_id)->id == *(const uint64_t *)key;
}

static struct asked_out *asked_find(struct call_table *t, uint64_t id)
{
    struct hnode *n = hmap_find(&t->asked, hmap_hash(&t->asked, &id, sizeof(id)), id_eq, &id);

    return n != NULL ? CONTAINER_OF(n, struct asked_out, by_id) : NULL;
}

/* --- the answer --- */

/* False: a name that is no target here. */
static bool take_targets(const struct config *cfg, const struct callout_answer *a,
                         struct policy_callout_reply *r)
{
    const struct policy_def *def = policy_def(cfg->policy);

    r->kind = POLICY_REPLY_ROUTE;
    for (size_t i = 0; i < a->n_targets && i < POLICY_TARGETS_MAX; i++) {
        struct sl name = sl_str(a->targets[i]);
        int peer = policy_peer_by_name(cfg->policy, name);

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

static void take_answer(const struct ask_for *f, const struct callout_answer *a,
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
        r->reason = a->reason[0] != '\0' ? arena_cstr(f->arena, sl_str(a->reason)) : NULL;
        break;
    case CALLOUT_ROUTE:
        if (take_targets(f->cfg, a, r)) {
            return;
        }
        why = "it names a target that does not exist here";
        /* fall through */
    case CALLOUT_FAILED:
        r->kind = POLICY_REPLY_NONE;
        log_warn(f->log, "callout of route %s gave no answer: %s",
                 policy_def(f->cfg->policy)->routes[r->route].name, why);
        break;
    }
}

/* One answer further: the request goes on, or asks once more. */
static void hear(struct asked_out *out, const struct callout_answer *a)
{
    const struct ask_for *f = &out->f;
    const char *phrase = NULL;

    timer_stop(f->t->p.loop, &out->late);
    out->is_waiting = false;
    out->replies[out->n] = (struct policy_callout_reply){.route = out->route};
    take_answer(f, a, &out->replies[out->n]);
    out->n++;
    call_decide_again(f, out->replies, out->n);
    if (f->verdict->action == POLICY_REFUSE && out->replies[out->n - 1].reason != NULL &&
        f->verdict->reason == out->replies[out->n - 1].reason) {
        phrase = f->verdict->reason; /* the server's own words, for the caller too */
    }
    f->heard(f->arg, phrase);
}

struct heard { /* an answer on its way to the worker */
    struct call_table *t;
    struct callout_ticket ticket;
    struct callout_answer a;
};

static void on_heard(void *owner, struct loop_msg *m)
{
    struct heard *h = m->ptr;
    struct asked_out *out = asked_find(h->t, h->ticket.id);

    (void)owner;
    if (out != NULL && out->is_waiting &&
        h->ticket.turn == out->n) { /* a late one belongs to a question before */
        hear(out, &h->a);
    }
    mem_free(h);
}

static void drop_heard(void *owner, struct loop_msg *m)
{
    (void)owner;
    mem_free(m->ptr);
}

/* On the callout's thread. What cannot be told is missed by the timer here. */
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
    hear(arg, &(struct callout_answer){.why = "no answer in time"});
}

/* --- the question --- */

static void put_source(struct json *j, const struct ask_for *f)
{
    char text[POLICY_NAME_MAX + 8];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    call_put_party(&b, f->cfg, &f->verdict->source, f->verdict->user);
    json_kstr(j, "source", buf_sl(&b));
}

static void put_question(struct json *j, const struct ask_for *f, const struct policy_callout *to)
{
    char id[STORE_ID_LEN + 1] = "", mem[2][CALL_NUMBER_MAX];
    struct sl calling, called;

    if (f->call_id != 0) {
        store_id_text(f->call_id, id);
    }
    call_numbers(f, mem, &calling, &called);
    json_obj(j);
    json_kcstr(j, "callout", to->name);
    json_kcstr(j, "route", policy_def(f->cfg->policy)->routes[f->verdict->route].name);
    json_kcstr(j, "call", f->call_id != 0 ? id : NULL);
    put_source(j, f);
    json_kcstr(j, "listener", f->cfg->listeners[f->flow->listener].name);
    json_kaddr(j, "address", &f->flow->remote);
    json_kcstr(j, "transport", sip_transport_name(f->flow->transport));
    json_kstr(j, "calling", calling);
    json_kstr(j, "called", called);
    json_kstr(j, "domain", f->req->ruri.host);
    json_kstr(j, "method", f->req->method_name);
    json_kstr(j, "sip_call_id", f->req->call_id);
    json_kstr(j, "user_agent", sip_hdr_value(f->req, HDR_USER_AGENT));
    json_obj_end(j);
}

static int ask(const struct asked_out *out, const struct policy_callout *to)
{
    const struct ask_for *f = &out->f;
    struct buf *b = &f->t->json;
    struct json j;

    buf_reset(b);
    json_init(&j, b);
    put_question(&j, f, to);
    return buf_err(b) != 0
               ? buf_err(b)
               : callout_ask(f->t->p.callout,
                             &(struct callout_question){.name = sl_str(to->name),
                                                        .url = sl_str(to->url),
                                                        .timeout_ms = to->timeout_ms,
                                                        .pause_ms = to->pause_ms,
                                                        .failures = to->failures,
                                                        .waiting = to->waiting,
                                                        .body = buf_sl(b),
                                                        .fn = on_answer,
                                                        .arg = f->t,
                                                        .ticket = {out->id, (uint32_t)out->n}});
}

static int make_asked(struct asked_out **op, const struct ask_for *f)
{
    struct asked_out *out;
    int err;

    if (*op != NULL) {
        return 0;
    }
    out = mem_zalloc(sizeof(*out));
    if (out == NULL) {
        return ENOMEM;
    }
    out->id = ++f->t->last_asked;
    err =
        hmap_insert(&f->t->asked, &out->by_id, hmap_hash(&f->t->asked, &out->id, sizeof(out->id)));
    if (err != 0) {
        mem_free(out);
        return err;
    }
    timer_init(&out->late, on_late, out);
    *op = out;
    return 0;
}

int asked_put(struct asked_out **op, const struct ask_for *f)
{
    const struct policy_def *def = policy_def(f->cfg->policy);
    const struct policy_callout *to;
    struct asked_out *out;
    int err;

    if (f->t->p.callout == NULL) {
        return 0; /* only tried out: that it is asked is the answer */
    }
    to = &def->callouts[def->routes[f->verdict->route].callout - 1];
    err = make_asked(op, f);
    out = *op;
    if (err != 0 || out->n == CALLOUTS_OF_ONE) {
        return err != 0 ? err : ENOBUFS;
    }
    out->f = *f;
    out->route = (uint16_t)f->verdict->route;
    out->is_waiting = true;
    err = ask(out, to);
    if (err != 0) {
        stat_inc(STAT_CALLOUT_FAILED);
        hear(out, &(struct callout_answer){.why = err == ENOBUFS ? "too many questions wait"
                                                                 : strerrordesc_np(err)});
        return 0;
    }
    timer_start(f->t->p.loop, &out->late, (int64_t)to->timeout_ms + CALLOUT_LATE_MS);
    return 0;
}

/* --- a call --- */

static void on_call_heard(void *call, const char *phrase)
{
    struct call *c = call;

    c->phrase = phrase != NULL ? phrase : c->phrase;
    if (call_fill_record(c, c->invite) != 0) {
        call_reject_a(c, 500, "system", "out of memory");
    } else if (c->verdict.action == POLICY_CALLOUT) {
        call_ask_out(c);
    } else {
        call_go_on(c);
    }
}

void call_ask_out(struct call *c)
{
    int err = asked_put(&c->asked, &(struct ask_for){.t = c->t,
                                                     .cfg = c->cfg,
                                                     .arena = &c->arena,
                                                     .log = &c->log,
                                                     .req = c->invite,
                                                     .flow = &c->a->dlg.flow,
                                                     .verdict = &c->verdict,
                                                     .call_id = c->id,
                                                     .heard = on_call_heard,
                                                     .arg = c});

    if (err != 0) {
        call_reject_a(c, 500, err == ENOBUFS ? "policy" : "system",
                      err == ENOBUFS ? "too many callouts for one call" : "out of memory");
    }
}
