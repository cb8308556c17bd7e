/* trace.c - the steps of a verdict in words. */
#include "policy_int.h"

static const char *const policy_step_words[] = {
    [POLICY_STEP_SOURCE] = "source",
    [POLICY_STEP_AUTH] = "auth",
    [POLICY_STEP_ROUTE] = "route",
    [POLICY_STEP_LIMIT] = "limit",
    [POLICY_STEP_CERTIFICATE] = "certificate",
    [POLICY_STEP_CALLED] = "called",
    [POLICY_STEP_CALLING] = "calling",
    [POLICY_STEP_HEALTH] = "health",
};

static const char *const policy_result_words[] = {
    [POLICY_HIT] = "matched",
    [POLICY_MISS_FROM] = "not from this source",
    [POLICY_MISS_CALLED] = "called number differs",
    [POLICY_MISS_CALLING] = "calling number differs",
    [POLICY_MISS_DOMAIN] = "domain differs",
    [POLICY_MISS_METHOD] = "method differs",
    [POLICY_MISS_LISTENER] = "listener differs",
    [POLICY_MISS_USER] = "user differs",
    [POLICY_MISS_HEADER] = "header fields differ",
    [POLICY_MISS_TIME] = "time differs",
    [POLICY_MISS_CODEC] = "codec is not offered",
    [POLICY_MISS_COSTLY] = "pattern takes too many steps",
    [POLICY_NOT_FOUND] = "none found",
    [POLICY_OVER] = "over the limit",
    [POLICY_WITHIN] = "within the limit",
    [POLICY_GOES_ON] = "matched, goes on",
    [POLICY_REWRITTEN] = "rewritten",
    [POLICY_DOWN] = "all targets are down",
    [POLICY_DRAINED] = "drained",
    [POLICY_LAST] = "failing, kept for last",
};

static const char *policy_peer_name(const struct policy_def *def, uint16_t index)
{
    return index < def->n_peers ? def->peers[index].name : NULL;
}

/* NULL where a step speaks of nobody. */
static const char *policy_step_name(const struct policy_def *def, const struct policy_verdict *v,
                                    const struct policy_step *step)
{
    switch ((enum policy_step_kind)step->kind) {
    case POLICY_STEP_SOURCE:
    case POLICY_STEP_CERTIFICATE:
    case POLICY_STEP_HEALTH:
        return policy_peer_name(def, step->index);
    case POLICY_STEP_AUTH:
        return v->user >= 0 && (size_t)v->user < def->users.n_accounts
                   ? def->users.accounts[v->user].name
                   : NULL;
    case POLICY_STEP_ROUTE:
        return step->index < def->n_routes ? def->routes[step->index].name : NULL;
    case POLICY_STEP_CALLED:
    case POLICY_STEP_CALLING:
        if (step->index < def->n_routes) {
            return def->routes[step->index].name;
        }
        return v->source.kind == POLICY_USERS ? "users" : policy_peer_name(def, v->source.peer);
    case POLICY_STEP_LIMIT:
        return step->index == POLICY_NODE ? "node" : policy_peer_name(def, step->index);
    }
    return NULL;
}

static const char *policy_number_cstr(const struct policy_number *n, char *text)
{
    memcpy(text, n->p, n->n);
    text[n->n] = '\0';
    return text;
}

struct policy_teller {
    policy_told_fn *fn;
    void *arg;
};

static void policy_tell(const struct policy_teller *t, const char *step, const char *name,
                        const char *result)
{
    t->fn(t->arg, step, name, result);
}

/* What the rewriting came to; the rules above say who did it. */
static void policy_tell_numbers(const struct policy_teller *t, const struct policy_verdict *v)
{
    char text[POLICY_NUMBER_MAX + 4];

    if (v->called.changed) {
        policy_tell(t, "called", policy_number_cstr(&v->called, text), "number used");
    }
    if (v->calling.changed) {
        policy_tell(t, "calling", policy_number_cstr(&v->calling, text), "number used");
    }
}

/* Stands where the routes are that were tried but not kept. */
static void policy_tell_gap(const struct policy_teller *t, const struct policy_verdict *v)
{
    char text[48];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    buf_putf(&b, "%u more did not match", (unsigned)(v->n_steps - v->n_kept));
    text[b.n] = '\0';
    policy_tell(t, "route", NULL, text);
}

void policy_trace_each(const struct policy *p, const struct policy_verdict *v, policy_told_fn *fn,
                       void *arg)
{
    const struct policy_teller t = {.fn = fn, .arg = arg};
    bool is_gap = v->n_steps > v->n_kept;

    for (size_t i = 0; i < v->n_kept; i++) {
        const struct policy_step *step = &v->steps[i];

        if (is_gap && step->kind == POLICY_STEP_ROUTE && !policy_is_miss(step->result)) {
            policy_tell_gap(&t, v);
            is_gap = false;
        }
        policy_tell(&t, policy_step_words[step->kind], policy_step_name(p->def, v, step),
                    policy_result_words[step->result]);
    }
    policy_tell_numbers(&t, v);
}

static void policy_put_step(void *arg, const char *step, const char *name, const char *result)
{
    struct json *j = arg;

    json_obj(j);
    json_kcstr(j, "step", step);
    json_kcstr(j, "name", name);
    json_kcstr(j, "result", result);
    json_obj_end(j);
}

void policy_trace_json(const struct policy *p, const struct policy_verdict *v, struct json *j)
{
    json_arr(j);
    policy_trace_each(p, v, policy_put_step, j);
    json_arr_end(j);
}
