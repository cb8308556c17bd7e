/* match.c - does this route fit that request? The cheap questions first. */
#include "policy_int.h"

/* --- compiling --- */

/* Hosts are compared without regard to case (RFC 3261 19.1.4), so the pattern is lowered once. */
static int policy_lower(struct policy *p, const char *text, struct sl *out)
{
    struct sl s = sl_str(text);
    char *copy;

    if (text == NULL) {
        return 0;
    }
    copy = arena_cstr(&p->arena, s);
    if (copy == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
    }
    *out = sl_make(copy, s.n);
    return 0;
}

static int policy_conds_build(struct policy *p, const struct policy_texts *texts,
                              struct policy_cond **out)
{
    if (texts->n == 0) {
        return 0;
    }
    *out = arena_zalloc(&p->arena, texts->n * sizeof(**out));
    if (*out == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < texts->n; i++) {
        int err = policy_cond_parse(sl_str(texts->e[i]), &(*out)[i]);

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static uint16_t policy_wanted_tag(const struct policy *p, const struct policy_number_match *m)
{
    return m->by == POLICY_BY_TABLE && m->tag != NULL
               ? policy_table_tag(p->def->tables[m->table].table, sl_str(m->tag))
               : POLICY_TAG_NONE;
}

const struct policy_ref *policy_ref_spell(const struct policy_def *def,
                                          const struct policy_ref *ref, size_t *n)
{
    if (ref->kind != POLICY_GROUP) {
        *n = 1;
        return ref;
    }
    *n = def->groups[ref->peer].n_peers;
    return def->groups[ref->peer].peers;
}

static void policy_targets_spell(const struct policy_def *def, const struct policy_route *r,
                                 struct policy_match *m)
{
    for (size_t i = 0; i < r->n_to && i < POLICY_TARGETS_MAX; i++) {
        size_t n = 0;
        const struct policy_ref *refs = policy_ref_spell(def, &r->to[i], &n);

        for (size_t k = 0; k < n && m->n_to < POLICY_TARGETS_MAX; k++) {
            m->to[m->n_to] = refs[k];
            m->to[m->n_to++].weight = r->to[i].weight;
        }
    }
}

static int policy_groups_build(struct policy *p)
{
    const struct policy_def *def = p->def;

    if (def->n_groups == 0) {
        return 0;
    }
    p->groups = arena_zalloc(&p->arena, def->n_groups * sizeof(uint8_t *));
    for (size_t i = 0; p->groups != NULL && i < def->n_groups; i++) {
        p->groups[i] = arena_zalloc(&p->arena, def->n_peers / 8 + 1);
        if (p->groups[i] == NULL) {
            return ENOMEM;
        }
        for (size_t k = 0; k < def->groups[i].n_peers; k++) {
            uint16_t peer = def->groups[i].peers[k].peer;

            p->groups[i][peer / 8] |= (uint8_t)(1u << peer % 8);
        }
    }
    return p->groups != NULL ? 0 : ENOMEM;
}

int policy_matches_build(struct policy *p)
{
    const struct policy_def *def = p->def;
    int err = policy_groups_build(p);

    if (err != 0 || def->n_routes == 0) {
        return err;
    }
    p->routes = mem_zalloc(def->n_routes * sizeof(*p->routes));
    if (p->routes == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < def->n_routes; i++) {
        const struct policy_route *r = &def->routes[i];
        struct policy_match *m = &p->routes[i];

        m->called = sl_str(r->called);
        m->calling = sl_str(r->calling);
        m->method = sl_str(r->method);
        m->called_tag = policy_wanted_tag(p, &r->called_by);
        m->calling_tag = policy_wanted_tag(p, &r->calling_by);
        policy_targets_spell(def, r, m);
        p->wants_headers = p->wants_headers || r->headers.n != 0;
        p->wants_codecs = p->wants_codecs || r->codecs.n != 0;
        err = policy_lower(p, r->domain, &m->domain);
        if (err == 0) {
            err = policy_conds_build(p, &r->headers, &m->conds);
        }
    }
    return err;
}

int policy_dialled_build(struct policy *p)
{
    const struct policy_def *def = p->def;

    if (def->n_destinations == 0) {
        return 0;
    }
    p->dialled = arena_zalloc(&p->arena, def->n_destinations * sizeof(*p->dialled));
    if (p->dialled == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i < def->n_destinations; i++) {
        p->dialled[i].called = sl_str(def->destinations[i].called);
        p->dialled[i].called_tag = policy_wanted_tag(p, &def->destinations[i].called_by);
    }
    return 0;
}

bool policy_wants_headers(const struct policy *p)
{
    return p->wants_headers;
}

bool policy_wants_codecs(const struct policy *p)
{
    return p->wants_codecs;
}

/* --- the request --- */

void policy_facts_init(struct policy_facts *f, const struct policy *p,
                       const struct policy_request *rq, const struct policy_verdict *v)
{
    f->rq = rq;
    f->source = &v->source;
    f->called = policy_number_text(&v->called, rq->called);
    f->calling = policy_number_text(&v->calling, rq->calling);
    f->user = v->user >= 0 ? sl_str(p->def->users.accounts[v->user].name) : SL_NULL;
    f->host = SL_NULL;
    f->known[0] = f->known[1] = 0;
    if (rq->called_host.n > sizeof(f->text)) {
        return;
    }
    for (size_t i = 0; i < rq->called_host.n; i++) {
        char c = rq->called_host.p[i];

        f->text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    f->host = sl_make(f->text, rq->called_host.n);
}

uint16_t policy_facts_tag(const struct policy *p, struct policy_facts *f, bool calling,
                          uint16_t table)
{
    size_t matched;

    if ((f->known[calling] >> table & 1) == 0) {
        f->known[calling] |= (uint64_t)1 << table;
        f->tags[calling][table] = policy_table_find(p->def->tables[table].table,
                                                    calling ? f->calling : f->called, &matched);
    }
    return f->tags[calling][table];
}

/* --- the questions --- */

static bool policy_in_group(const struct policy *p, uint16_t group, uint16_t peer)
{
    return (p->groups[group][peer / 8] >> peer % 8 & 1) != 0;
}

static bool policy_is_from(const struct policy *p, const struct policy_ref *list, size_t n,
                           const struct policy_ref *source)
{
    for (size_t i = 0; i < n; i++) {
        const struct policy_ref *from = &list[i];

        if (from->kind == POLICY_GROUP) {
            if (source->kind == POLICY_PEER && policy_in_group(p, from->peer, source->peer)) {
                return true;
            }
        } else if (from->kind == source->kind &&
                   (source->kind != POLICY_PEER || from->peer == source->peer)) {
            return true;
        }
    }
    return n == 0;
}

static bool policy_has_listener(const struct policy_route *r, uint8_t listener)
{
    for (size_t i = 0; i < r->n_listeners; i++) {
        if (r->listeners[i] == listener) {
            return true;
        }
    }
    return r->n_listeners == 0;
}

static bool policy_has_user(const struct policy_route *r, struct sl user)
{
    for (size_t i = 0; user.p != NULL && i < r->users.n; i++) {
        if (sl_glob(sl_str(r->users.e[i]), user)) {
            return true;
        }
    }
    return r->users.n == 0;
}

static bool policy_has_codec(const struct policy_route *r, const struct policy_request *rq)
{
    for (size_t i = 0; i < r->codecs.n; i++) {
        for (size_t k = 0; k < rq->n_codecs; k++) {
            if (sl_ieq(sl_str(r->codecs.e[i]), rq->codecs[k])) {
                return true;
            }
        }
    }
    return r->codecs.n == 0;
}

static bool policy_in_texts(const struct policy_number_match *m, struct sl number)
{
    for (size_t i = 0; i < m->texts.n; i++) {
        struct sl text = sl_str(m->texts.e[i]);

        if (m->by == POLICY_BY_EXACT ? sl_eq(text, number) : sl_starts(number, text)) {
            return true;
        }
    }
    return false;
}

static bool policy_in_table(const struct policy *p, const struct policy_number_match *m,
                            struct policy_facts *f, bool calling, uint16_t want)
{
    uint16_t tag = policy_facts_tag(p, f, calling, m->table);

    if (m->tag != NULL) {
        return want != POLICY_TAG_NONE && tag == want;
    }
    return tag != POLICY_TAG_NONE;
}

struct policy_wanted { /* of a number */
    struct sl glob;    /* p NULL: any */
    const struct policy_number_match *by;
    uint16_t tag;
};

static enum policy_fit policy_number_fits(const struct policy *p, struct policy_facts *f,
                                          const struct policy_wanted *w, bool calling)
{
    struct sl number = calling ? f->calling : f->called;

    if (w->glob.p != NULL && !sl_glob(w->glob, number)) {
        return POLICY_FIT_NO;
    }
    if (w->by->by == POLICY_BY_TABLE) {
        return policy_in_table(p, w->by, f, calling, w->tag) ? POLICY_FIT_YES : POLICY_FIT_NO;
    }
    if (w->by->by == POLICY_BY_PATTERN) {
        return policy_pattern_whole(w->by->pattern, number);
    }
    return w->by->by == POLICY_BY_ANY || policy_in_texts(w->by, number) ? POLICY_FIT_YES
                                                                        : POLICY_FIT_NO;
}

static enum policy_step_result policy_try_number(const struct policy *p, struct policy_facts *f,
                                                 size_t route, bool calling)
{
    const struct policy_route *r = &p->def->routes[route];
    const struct policy_match *c = &p->routes[route];
    const struct policy_wanted want = {.glob = calling ? c->calling : c->called,
                                       .by = calling ? &r->calling_by : &r->called_by,
                                       .tag = calling ? c->calling_tag : c->called_tag};
    enum policy_fit fit = policy_number_fits(p, f, &want, calling);

    if (fit == POLICY_FIT_COSTLY) {
        return POLICY_MISS_COSTLY;
    }
    return fit == POLICY_FIT_YES ? POLICY_HIT : calling ? POLICY_MISS_CALLING : POLICY_MISS_CALLED;
}

/* A pattern that gives up fits: what may be expensive is counted. */
bool policy_is_dialled(const struct policy *p, size_t destination, struct policy_facts *f)
{
    const struct policy_destination *d = &p->def->destinations[destination];
    const struct policy_wanted want = {.glob = p->dialled[destination].called,
                                       .by = &d->called_by,
                                       .tag = p->dialled[destination].called_tag};

    return policy_is_from(p, d->from, d->n_from, f->source) &&
           policy_number_fits(p, f, &want, false) != POLICY_FIT_NO;
}

static enum policy_step_result policy_try_rest(const struct policy_route *r,
                                               const struct policy_match *m,
                                               const struct policy_facts *f)
{
    if (m->domain.p != NULL && (f->host.p == NULL || !sl_glob(m->domain, f->host))) {
        return POLICY_MISS_DOMAIN;
    }
    if (!policy_conds_hold(m->conds, r->headers.n, f->rq->headers, f->rq->n_headers)) {
        return POLICY_MISS_HEADER;
    }
    if (!policy_has_codec(r, f->rq)) {
        return POLICY_MISS_CODEC;
    }
    return policy_when_holds(&r->when, f->rq->wall_ms / 1000) ? POLICY_HIT : POLICY_MISS_TIME;
}

enum policy_step_result policy_try(const struct policy *p, size_t route, struct policy_facts *f)
{
    const struct policy_route *r = &p->def->routes[route];
    const struct policy_match *m = &p->routes[route];
    enum policy_step_result result;

    if (!policy_is_from(p, r->from, r->n_from, f->source)) {
        return POLICY_MISS_FROM;
    }
    if (!policy_has_listener(r, f->rq->listener)) {
        return POLICY_MISS_LISTENER;
    }
    if (!policy_has_user(r, f->user)) {
        return POLICY_MISS_USER;
    }
    if (m->method.p != NULL && !sl_glob(m->method, f->rq->method)) {
        return POLICY_MISS_METHOD;
    }
    result = policy_try_number(p, f, route, false);
    if (result == POLICY_HIT) {
        result = policy_try_number(p, f, route, true);
    }
    return result == POLICY_HIT ? policy_try_rest(r, m, f) : result;
}
