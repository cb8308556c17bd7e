/* route.c - from who asks to where it goes: numbers made one form, the first route that fits, its
 * targets in their order; and the numbers as each target gets them. */
#include "policy_int.h"

static const struct policy_sides *policy_sides_of(const struct policy *p,
                                                  const struct policy_ref *ref)
{
    return ref->kind == POLICY_PEER ? &p->def->peers[ref->peer].numbers : &p->def->users.numbers;
}

/* index: the route whose rules these are, or POLICY_NODE for the source's. */
static void policy_rewrite(const struct policy_numbers *rules, const struct policy_request *rq,
                           size_t index, struct policy_verdict *v)
{
    if (policy_number_apply(rules->called, rules->n_called, rq->called, &v->called)) {
        policy_note(v, POLICY_STEP_CALLED, POLICY_REWRITTEN, index);
    }
    if (policy_number_apply(rules->calling, rules->n_calling, rq->calling, &v->calling)) {
        policy_note(v, POLICY_STEP_CALLING, POLICY_REWRITTEN, index);
    }
}

/* The first route from `from` on that matches, or -1. Those that could not match at all are only
 * counted. */
static int policy_first_match(const struct policy *p, struct policy_facts *f, size_t from,
                              struct policy_verdict *v)
{
    size_t n = p->def->n_routes, i = from;
    struct policy_ways ways;
    bool is_indexed = policy_ways_find(&ways, p, f, from);

    for (;; i++) {
        size_t next = is_indexed ? policy_ways_next(&ways) : i;
        enum policy_step_result result;

        next = next < n ? next : n;
        v->n_steps =
            (uint16_t)(v->n_steps + (next - i) < UINT16_MAX ? v->n_steps + (next - i) : UINT16_MAX);
        if (next == n) {
            return -1;
        }
        i = next;
        result = policy_try(p, i, f);
        if (result == POLICY_HIT) {
            return (int)i;
        }
        policy_note(v, POLICY_STEP_ROUTE, result, i);
    }
}

/* --- targets --- */

/* Draws one of n by weight; consumes the random number. */
static size_t policy_draw(const struct policy_ref *refs, size_t n, uint64_t *random)
{
    uint64_t sum = 0, at;

    for (size_t i = 0; i < n; i++) {
        sum += refs[i].weight;
    }
    at = *random % sum;
    *random = (*random / sum) ^ (*random * 0x9E3779B97F4A7C15ULL); /* other bits for the next */
    for (size_t i = 0; i < n; i++) {
        if (at < refs[i].weight) {
            return i;
        }
        at -= refs[i].weight;
    }
    return n - 1;
}

/* Neighbours with weights are drawn one after the other; targets without stay where they are. */
static void policy_order(const struct policy_match *m, uint64_t random, struct policy_verdict *v)
{
    v->n_to = m->n_to;
    memcpy(v->to, m->to, sizeof(v->to));
    for (size_t i = 0; i < v->n_to; i++) {
        struct policy_ref drawn;
        size_t n = 0, k;

        while (i + n < v->n_to && v->to[i + n].weight != 0) {
            n++;
        }
        if (n > 1) {
            k = i + policy_draw(v->to + i, n, &random);
            drawn = v->to[k];
            memmove(&v->to[i + 1], &v->to[i], (k - i) * sizeof(v->to[0]));
            v->to[i] = drawn;
        }
    }
}

static bool policy_follow(const struct policy *p, const struct policy_request *rq,
                          struct policy_verdict *v)
{
    const struct policy_route *r = &p->def->routes[v->route];

    if (r->redirect != NULL) {
        v->action = POLICY_REDIRECT;
        v->sip_code = r->redirect_code != 0 ? r->redirect_code : 302;
        v->reason = "Redirected by a route";
        return true;
    }
    if (r->n_to == 0) {
        policy_refuse(v, r->refuse_code != 0 ? r->refuse_code : 403,
                      r->refuse_reason != NULL ? r->refuse_reason : "Refused by a route");
        return false;
    }
    policy_order(&p->routes[v->route], rq->random, v);
    v->action = POLICY_ROUTE;
    return true;
}

bool policy_find_route(const struct policy *p, const struct policy_request *rq,
                       struct policy_verdict *v)
{
    enum policy_heard heard = POLICY_HEARD_GO_ON;
    struct policy_facts facts;
    size_t from = 0;

    policy_rewrite(&policy_sides_of(p, &v->source)->in, rq, POLICY_NODE, v);
    for (;;) {
        int found;

        policy_facts_init(&facts, p, rq, v);
        found = policy_first_match(p, &facts, from, v);
        if (found < 0) {
            policy_note(v, POLICY_STEP_ROUTE, POLICY_NOT_FOUND, POLICY_NODE);
            policy_refuse(v, 404, "No route");
            v->route = -1;
            return false;
        }
        v->route = found;
        policy_note(v, POLICY_STEP_ROUTE,
                    p->def->routes[found].goes_on ? POLICY_GOES_ON : POLICY_HIT, (size_t)found);
        policy_rewrite(&p->def->routes[found].numbers, rq, (size_t)found, v);
        if (p->def->routes[found].callout != 0) {
            heard = policy_hear(p, rq, (size_t)found, v);
        } else if (!p->def->routes[found].goes_on) {
            return policy_follow(p, rq, v);
        }
        if (heard != POLICY_HEARD_GO_ON) {
            return heard == POLICY_HEARD_ROUTE;
        }
        from = (size_t)found + 1;
    }
}

/* --- afterwards --- */

bool policy_fails_over(const struct policy *p, const struct policy_verdict *v, uint16_t status)
{
    const struct policy_route *r = v->route >= 0 ? &p->def->routes[v->route] : NULL;

    return r != NULL && r->has_failover ? policy_codes_has(&r->failover, status) : status == 503;
}

void policy_numbers_out(const struct policy *p, const struct policy_verdict *v,
                        const struct policy_ref *to, const struct policy_request *own,
                        struct policy_number out[2])
{
    const struct policy_numbers *rules = &policy_sides_of(p, to)->out;

    out[0] = v->called;
    out[1] = v->calling;
    (void)policy_number_apply(rules->called, rules->n_called, own->called, &out[0]);
    (void)policy_number_apply(rules->calling, rules->n_calling, own->calling, &out[1]);
}

/* RFC 3261 25.1 user: unreserved and user-unreserved. */
static void policy_put_user(struct buf *b, struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (is_alnum || (ch != 0 && strchr("-_.!~*'()&=+$,;?/", ch) != NULL)) {
            buf_putc(b, (char)ch);
        } else {
            buf_putf(b, "%%%02X", ch);
        }
    }
}

void policy_put_redirect(struct buf *b, const struct policy *p, const struct policy_verdict *v,
                         struct sl own_called)
{
    static const struct sl word = {"{called}", 8};
    struct sl rest = sl_str(p->def->routes[v->route].redirect);
    ptrdiff_t at;

    while ((at = sl_find(rest, word)) >= 0) {
        buf_putsl(b, sl_head(rest, (size_t)at));
        policy_put_user(b, policy_number_text(&v->called, own_called));
        rest = sl_from(rest, (size_t)at + word.n);
    }
    buf_putsl(b, rest);
}
