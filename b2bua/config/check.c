/* check.c - what no single value can be wrong about: ports that overlap, names that are there
 * twice, peers that nobody could reach. */
#include "config/schema_int.h"
#include "config/tls_int.h"

const struct cfg_node *cfg_find2(const struct cfg *c, const struct cfg_node *node, struct sl key,
                                 struct sl sub)
{
    return cfg_find(c, cfg_find(c, node, key), sub);
}

const struct cfg_node *cfg_spot(const struct cfg *c, const struct cfg_node *node, struct sl key)
{
    const struct cfg_node *n = cfg_find(c, node, key);

    return n != NULL ? n : node;
}

const struct cfg_node *cfg_first(const struct cfg_node *list)
{
    return list != NULL && list->kind == CFG_SEQUENCE ? list->first : list;
}

bool cfg_is_empty(const struct cfg_node *n, enum cfg_kind kind)
{
    return !n->is_bad && (cfg_is_null(n) || (n->kind == kind && n->n == 0));
}

/* --- listeners --- */

void cfg_check_rtp(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct config_listener *l = at;

    (void)c;
    (void)node;
    l->has_rtp = true;
}

static void cfg_check_advertise(struct cfg *c, const struct cfg_node *node,
                                struct config_listener *l)
{
    const struct cfg_node *n = cfg_find(c, node, SL("advertise"));

    if (n == NULL) {
        l->advertise = l->address;
        if (addr_family(&l->address) != AF_UNSPEC && addr_is_unspecified(&l->address)) {
            cfg_error(c, cfg_spot(c, node, SL("address")),
                      "needs 'advertise': nobody can be told this address");
        }
        return;
    }
    if (addr_family(&l->advertise) == AF_UNSPEC || addr_family(&l->address) == AF_UNSPEC) {
        return; /* reported */
    }
    if (addr_is_unspecified(&l->advertise)) {
        cfg_error(c, n, "nobody can be told this address");
    } else if (addr_family(&l->advertise) != addr_family(&l->address)) {
        cfg_error(c, n, "must be of the same family as 'address'");
    }
}

void cfg_check_listener(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct config_listener *l = at;
    const struct cfg_node *sip = cfg_find(c, node, SL("sip"));
    size_t index = (size_t)(l - c->config->listeners);

    c->listener_nodes[index] = node;
    cfg_check_advertise(c, node, l);
    if (sip == NULL || cfg_is_empty(sip, CFG_MAPPING)) {
        cfg_error(c, cfg_spot(c, node, SL("sip")), "needs a SIP port: sip: {udp: 5060}");
    }
    cfg_tls_listener(c, node, l);
}

struct cfg_claim { /* ports that a listener wants for itself */
    const struct config_listener *l;
    const struct cfg_node *node;
    const char *protocol;
    uint16_t lo, hi;
};

static bool cfg_claims_meet(const struct cfg_claim *a, const struct cfg_claim *b)
{
    const struct addr *x = &a->l->address, *y = &b->l->address;
    bool is_any =
        addr_family(x) == addr_family(y) && (addr_is_unspecified(x) || addr_is_unspecified(y));

    return a->protocol == b->protocol && a->lo <= b->hi && b->lo <= a->hi &&
           (is_any || addr_eq_ip(x, y));
}

static size_t cfg_claim_all(const struct cfg *c, struct cfg_claim *claims)
{
    static const char *const udp = "UDP", *const tcp = "TCP";
    size_t n = 0;

    for (size_t i = 0; i < c->config->n_listeners; i++) {
        const struct config_listener *l = &c->config->listeners[i];
        const struct cfg_node *node = c->listener_nodes[i];
        const struct cfg_claim all[] = {
            {l, cfg_find2(c, node, SL("sip"), SL("udp")), udp, l->port[0], l->port[0]},
            {l, cfg_find2(c, node, SL("sip"), SL("tcp")), tcp, l->port[1], l->port[1]},
            {l, cfg_find2(c, node, SL("sip"), SL("tls")), tcp, l->port[2], l->port[2]},
            {l, cfg_find2(c, node, SL("rtp"), SL("ports")), udp, l->rtp_min, l->rtp_max},
        };

        for (size_t k = 0; k < COUNT_OF(all); k++) {
            if (all[k].node != NULL && all[k].lo != 0 && addr_family(&l->address) != AF_UNSPEC) {
                claims[n++] = all[k];
            }
        }
    }
    return n;
}

static void cfg_check_overlaps(struct cfg *c)
{
    struct cfg_claim claims[CONFIG_LISTENERS_MAX * 4];
    size_t n = cfg_claim_all(c, claims);

    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct cfg_claim *old = &claims[j];

            if (!cfg_claims_meet(old, &claims[i])) {
                continue;
            }
            if (old->lo == old->hi) {
                cfg_error(c, claims[i].node, "overlaps %s port %u of listener '%s'", old->protocol,
                          old->lo, old->l->name);
            } else {
                cfg_error(c, claims[i].node, "overlaps %s ports %u-%u of listener '%s'",
                          old->protocol, old->lo, old->hi, old->l->name);
            }
        }
    }
}

/* --- who uses a listener --- */

/* NULL when the name led nowhere: that was reported. */
static const struct config_listener *cfg_used_listener(struct cfg *c, const struct cfg_node *node)
{
    const struct cfg_node *n = cfg_find(c, node, SL("listener"));
    int64_t index = n != NULL ? cfg_names_find(&c->listeners, n->value) : -1;
    const struct config_listener *l;

    if (index < 0) {
        return NULL;
    }
    l = &c->config->listeners[index];
    if (cfg_find(c, c->listener_nodes[index], SL("rtp")) == NULL) {
        cfg_error(c, n, "listener '%s' has no 'rtp': calls through it need ports for media",
                  l->name);
    }
    return l;
}

static bool cfg_other_family(const struct config_listener *l, const struct addr *a)
{
    return addr_family(a) != AF_UNSPEC && addr_family(&l->address) != AF_UNSPEC &&
           addr_family(a) != addr_family(&l->address);
}

static void cfg_check_targets(struct cfg *c, const struct cfg_node *node,
                              const struct policy_peer *peer, const struct config_listener *l)
{
    static const struct sl names[] = {{"udp", 3}, {"tcp", 3}, {"tls", 3}};
    const struct cfg_node *sip =
        cfg_find(c, c->listener_nodes[l - c->config->listeners], SL("sip"));
    const struct cfg_node *n = cfg_first(cfg_find(c, node, SL("targets")));

    for (size_t i = 0; n != NULL && i < peer->n_targets; i++, n = n->next) {
        const struct policy_uri_target *t = &peer->targets[i];

        if (addr_family(&t->addr) == AF_UNSPEC) {
            continue;
        }
        if (cfg_other_family(l, &t->addr)) {
            cfg_error(c, n, "listener '%s' is of the other IP family", l->name);
        } else if (cfg_find(c, sip, names[t->transport]) == NULL) {
            cfg_error(c, n, "listener '%s' does not open %s", l->name, names[t->transport].p);
        }
    }
}

static struct sl cfg_source_key(const struct policy_peer *peer, const struct prefix *p,
                                char key[20])
{
    bool is_v6 = addr_family(&p->addr) == AF_INET6;

    memset(key, 0, 20);
    key[0] = (char)peer->listener;
    key[1] = (char)is_v6;
    key[2] = (char)p->bits;
    if (is_v6) {
        memcpy(key + 4, &p->addr.u.in6.sin6_addr, 16);
    } else {
        memcpy(key + 4, &p->addr.u.in4.sin_addr, 4);
    }
    return sl_make(key, 20);
}

static void cfg_check_sources(struct cfg *c, const struct cfg_node *node,
                              const struct policy_peer *peer, const struct config_listener *l)
{
    const struct cfg_node *n = cfg_first(cfg_find(c, node, SL("sources")));
    uint32_t index = (uint32_t)(peer - c->config->def.peers);

    for (size_t i = 0; n != NULL && c->err == 0 && i < peer->n_sources; i++, n = n->next) {
        const struct prefix *p = &peer->sources[i];
        uint32_t line = n->line;
        char key[20];

        if (addr_family(&p->addr) == AF_UNSPEC) {
            continue;
        }
        if (cfg_other_family(l, &p->addr)) {
            cfg_error(c, n, "listener '%s' is of the other IP family", l->name);
        } else if (!cfg_names_add(c, &c->sources, cfg_source_key(peer, p, key), index, &line) &&
                   c->err == 0) {
            cfg_error(c, n, "is a source of listener '%s' twice; the first is on line %u", l->name,
                      line);
        }
    }
}

void cfg_check_peer(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_peer *peer = at;
    const struct config_listener *l = cfg_used_listener(c, node);
    const struct cfg_node *sources = cfg_find(c, node, SL("sources"));
    const struct cfg_node *targets = cfg_find(c, node, SL("targets"));
    const struct cfg_node *certificates = cfg_find(c, node, SL("certificates"));

    if (sl_eq(node->key, SL("users"))) {
        cfg_error_key(c, node, NULL, "a peer cannot have this name: routes mean the users by it");
    }
    if ((sources == NULL || cfg_is_empty(sources, CFG_SEQUENCE)) &&
        (certificates == NULL || cfg_is_empty(certificates, CFG_SEQUENCE)) &&
        (targets == NULL || cfg_is_empty(targets, CFG_SEQUENCE))) {
        cfg_error(c, node, "needs 'sources', 'targets' or both");
    }
    if (l != NULL) {
        cfg_check_targets(c, node, peer, l);
        cfg_check_sources(c, node, peer, l);
        cfg_tls_peer(c, node, peer, l);
    }
}

/* --- users --- */

void cfg_check_expires(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct cfg_node *dflt = cfg_find(c, node, SL("default"));
    struct policy_users *u = at;

    if (u->expires_min_s == 0 || u->expires_max_s == 0 || u->expires_default_s == 0) {
        return; /* reported */
    }
    if (u->expires_min_s > u->expires_max_s) {
        cfg_error(c, cfg_spot(c, node, SL("min")), "'min' is longer than 'max'");
    } else if (dflt != NULL && (u->expires_default_s < u->expires_min_s ||
                                u->expires_default_s > u->expires_max_s)) {
        cfg_error(c, dflt, "'default' must be from 'min' to 'max'");
    } else if (u->expires_default_s > u->expires_max_s) {
        u->expires_default_s = u->expires_max_s; /* nobody wrote it: it follows */
    } else if (u->expires_default_s < u->expires_min_s) {
        u->expires_default_s = u->expires_min_s;
    }
}

void cfg_check_account(struct cfg *c, const struct cfg_node *node, void *at)
{
    const struct policy_account *a = at;
    const struct cfg_node *n = cfg_spot(c, node, SL("name"));
    uint32_t index = (uint32_t)(a - c->config->def.users.accounts);
    uint32_t line = n->line;

    if (a->name != NULL && !cfg_names_add(c, &c->accounts, sl_str(a->name), index, &line) &&
        c->err == 0) {
        cfg_error(c, n, "account '%s' is there twice; the first is on line %u", a->name, line);
    }
}

void cfg_check_users(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_users *u = at;

    u->present = true;
    (void)cfg_used_listener(c, node);
}

/* --- the whole --- */

/* Our own addresses: nobody bans those. */
static void cfg_note_own(struct cfg *c, struct policy_security *security)
{
    size_t n = c->config->n_listeners, n_own = 0;
    struct addr *own = arena_zalloc(c->arena, 2 * (n + 1) * sizeof(*own));

    if (own == NULL) {
        c->err = ENOMEM;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->config->listeners[i].name != NULL) {
            own[n_own++] = c->config->listeners[i].address;
            own[n_own++] = c->config->listeners[i].advertise;
        }
    }
    security->own = own;
    security->n_own = n_own;
}

void cfg_check_root(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct config *config = at;
    const struct cfg_node *listeners = cfg_find(c, node, SL("listeners"));

    if (listeners != NULL && cfg_is_empty(listeners, CFG_MAPPING)) {
        cfg_error_key(c, listeners, NULL, "at least one listener is needed");
    }
    if (config->t1_ms != 0 && config->t2_ms != 0 && config->t2_ms < config->t1_ms) {
        const struct cfg_node *sip = cfg_find(c, node, SL("sip"));

        cfg_error(c, cfg_spot(c, sip, SL("t2")), "'t2' is shorter than 't1'");
    }
    cfg_check_overlaps(c);
    cfg_note_own(c, &config->def.security);
}
