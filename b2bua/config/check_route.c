/* check_route.c - routes, groups and number rules that make no sense as a whole. */
#include "config/schema_int.h"

void cfg_check_group(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_group *g = at;
    int64_t peer = g->name != NULL ? cfg_names_find(&c->peers, sl_str(g->name)) : -1;

    if (peer >= 0 || sl_eq(node->key, SL("users"))) {
        cfg_error_key(c, node, NULL, "a group cannot have this name: there is %s of that name",
                      peer >= 0 ? "a peer" : "the section 'users', and routes mean it");
    }
}

static bool cfg_fits_account(const struct cfg *c, struct sl member)
{
    const struct policy_users *users = &c->config->def.users;

    if (cfg_names_find(&c->accounts, member) >= 0) {
        return true;
    }
    for (size_t i = 0; i < users->n_accounts; i++) {
        if (users->accounts[i].name != NULL && sl_glob(member, sl_str(users->accounts[i].name))) {
            return true;
        }
    }
    return false;
}

void cfg_check_user_group(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_user_group *g = at;
    const struct cfg_node *list = cfg_find(c, node, SL("users")), *n = cfg_first(list);
    struct sl name = sl_str(g->name);

    if (g->name != NULL && (sl_eq(name, SL("users")) || cfg_names_find(&c->peers, name) >= 0 ||
                            cfg_names_find(&c->groups, name) >= 0)) {
        cfg_error_key(c, node, NULL, "a group cannot have this name: %s",
                      sl_eq(name, SL("users")) ? "routes mean all users by it"
                                               : "there is a peer or a group of that name");
    }
    if (list != NULL && cfg_is_empty(list, CFG_SEQUENCE)) {
        cfg_error(c, list, "must name at least one");
    }
    for (size_t i = 0; cfg_errors_room(c) && n != NULL && i < g->users.n; i++, n = n->next) {
        if (g->users.e[i] != NULL && !cfg_fits_account(c, sl_str(g->users.e[i]))) {
            cfg_error(c, n, "no account fits '%s'", g->users.e[i]);
        }
    }
}

void cfg_check_number_rule(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_number_rule *r = at;
    bool needs_country = r->form == POLICY_FORM_E164 || r->form == POLICY_FORM_NATIONAL;

    if (r->replace == NULL && r->strip == 0 && r->prepend == NULL && r->form == POLICY_FORM_AS_IS &&
        !r->stop) {
        cfg_error(c, node, "changes nothing: needs 'replace', 'strip', 'prepend' or 'form'");
    }
    if (r->replace != NULL && r->prefix == NULL) {
        cfg_error(c, cfg_spot(c, node, SL("replace")), "needs 'prefix': what would it replace?");
    }
    if (r->replace != NULL && r->strip != 0) {
        cfg_error(c, cfg_spot(c, node, SL("strip")), "a rule has either 'replace' or 'strip'");
    }
    if (needs_country && sl_str(r->country).n == 0) {
        cfg_error(c, cfg_spot(c, node, SL("form")), "needs 'country', as in country: \"49\"");
    } else if (r->country != NULL && r->country[strspn(r->country, "0123456789")] != '\0') {
        cfg_error(c, cfg_spot(c, node, SL("country")), "may hold only digits");
    }
}

void cfg_check_number(struct cfg *c, const struct cfg_node *node, void *at)
{
    static const struct {
        struct sl key;
        enum policy_by by;
    } ways[] = {{{"exact", 5}, POLICY_BY_EXACT},
                {{"prefix", 6}, POLICY_BY_PREFIX},
                {{"pattern", 7}, POLICY_BY_PATTERN},
                {{"table", 5}, POLICY_BY_TABLE}};
    struct policy_number_match *m = at;
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const struct cfg_node *way = cfg_find(c, node, ways[i].key);

        if (way != NULL) {
            m->by = ways[i].by;
            n++;
            if (i < 2 && cfg_is_empty(way, CFG_SEQUENCE)) {
                cfg_error(c, way, "must name at least one");
            }
        }
    }
    if (n != 1) {
        cfg_error(c, node, "needs one of 'exact', 'prefix', 'pattern' and 'table'");
    } else if (m->tag != NULL && m->by != POLICY_BY_TABLE) {
        cfg_error(c, cfg_find(c, node, SL("tag")), "belongs to 'table'");
    }
}

void cfg_check_failover(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_route *r = at;

    (void)c;
    (void)node;
    r->has_failover = true;
}

void cfg_check_redirect(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_route *r = at;
    struct sl s = sl_str(r->redirect);
    const struct cfg_node *n = cfg_spot(c, node, SL("contact"));

    if (r->redirect == NULL) {
        return;
    }
    if (!sl_istarts(s, SL("sip:")) && !sl_istarts(s, SL("sips:")) && !sl_istarts(s, SL("tel:"))) {
        cfg_error(c, n, "'%.*s' is not a URI such as sip:{called}@192.0.2.1", SL_ARG(cfg_shown(s)));
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"') {
            cfg_error(c, n, "a URI holds no spaces, quotes, angle brackets or control characters");
            return;
        }
    }
}

void cfg_check_callout(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_callout *o = at;
    struct sl url = sl_str(o->url);
    const struct cfg_node *n = cfg_spot(c, node, SL("url"));

    if (o->url == NULL) {
        return;
    }
    if (!sl_starts(url, SL("http://")) && !sl_starts(url, SL("https://"))) {
        cfg_error(c, n, "must begin with http:// or https://");
        return;
    }
    for (size_t i = 0; i < url.n; i++) {
        if (url.p[i] <= ' ' || url.p[i] > '~') {
            cfg_error(c, n, "a URL holds no spaces, control characters or bytes beyond ASCII");
            return;
        }
    }
}

static size_t cfg_count_targets(const struct cfg *c, const struct policy_route *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_to; i++) {
        n += r->to[i].kind == POLICY_GROUP ? c->config->def.groups[r->to[i].peer].n_peers : 1;
    }
    return n;
}

static void cfg_check_to(struct cfg *c, const struct cfg_node *to, const struct policy_route *r)
{
    const struct policy_def *def = &c->config->def;
    const struct cfg_node *n = cfg_first(to);

    if (cfg_is_empty(to, CFG_SEQUENCE)) {
        cfg_error(c, to, "must name at least one");
    } else if (cfg_count_targets(c, r) > POLICY_TARGETS_MAX) {
        cfg_error(c, to, "with the members of its groups these are too many; at most %d",
                  POLICY_TARGETS_MAX);
    }
    for (size_t i = 0; n != NULL && i < r->n_to; i++, n = n->next) {
        const struct policy_ref *ref = &r->to[i], *refs = ref;
        size_t n_refs = 1;

        if (ref->kind == POLICY_USER_GROUP) {
            cfg_error(c, n, "a group of users is none that can be called: 'users' calls who it is");
            continue;
        }
        if (ref->kind == POLICY_GROUP) {
            refs = def->groups[ref->peer].peers;
            n_refs = def->groups[ref->peer].n_peers;
        }
        for (size_t k = 0; k < n_refs; k++) {
            if (refs[k].kind == POLICY_PEER && def->peers[refs[k].peer].n_targets == 0) {
                cfg_error(c, n, "peer '%s' has no targets", def->peers[refs[k].peer].name);
            }
        }
    }
}

/* What becomes of the request: one way out, and one only. */
static void cfg_check_way_out(struct cfg *c, const struct cfg_node *node,
                              const struct policy_route *r)
{
    static const struct sl ways[] = {{"to", 2}, {"redirect", 8}, {"refuse", 6}, {"callout", 7}};
    const struct cfg_node *failover = cfg_find(c, node, SL("failover"));
    const struct cfg_node *first = r->goes_on ? cfg_find(c, node, SL("continue")) : NULL;

    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const struct cfg_node *way = cfg_find(c, node, ways[i]);

        if (way == NULL) {
            continue;
        }
        if (first != NULL) {
            cfg_error_key(c, way, NULL, "a route has either '%.*s' or '%s'", SL_ARG(first->key),
                          ways[i].p);
        }
        first = first != NULL ? first : way;
    }
    if (first == NULL) {
        cfg_error(c, node, "needs 'to', 'redirect', 'refuse', 'callout' or 'continue: true'");
    }
    if (cfg_find(c, node, SL("to")) != NULL) {
        cfg_check_to(c, cfg_find(c, node, SL("to")), r);
    } else if (failover != NULL && r->callout == 0) {
        cfg_error_key(c, failover, NULL, "is of no use without 'to' or 'callout'");
    }
}

void cfg_check_route(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_route *r = at;
    const struct cfg_node *name = cfg_spot(c, node, SL("name"));
    const struct cfg_node *from = cfg_find(c, node, SL("from"));
    const struct cfg_node *method = cfg_find2(c, node, SL("match"), SL("method"));
    uint32_t index = (uint32_t)(r - c->config->def.routes);
    uint32_t line = name->line;

    if (r->name != NULL && !cfg_names_add(c, &c->routes, sl_str(r->name), index, &line) &&
        c->err == 0) {
        cfg_error(c, name, "route '%s' is there twice; the first is on line %u", r->name, line);
    }
    if (r->method != NULL && method != NULL && !sl_glob(sl_str(r->method), SL("INVITE")) &&
        !sl_glob(sl_str(r->method), SL("MESSAGE"))) {
        cfg_error(c, method, "fits neither INVITE nor MESSAGE");
    }
    if (from != NULL && cfg_is_empty(from, CFG_SEQUENCE)) {
        cfg_error(c, from, "must name at least one; without 'from' anybody known may come");
    }
    cfg_check_way_out(c, node, r);
}
