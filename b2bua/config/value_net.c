/* value_net.c - readers of addresses, ports, targets and of references by name. */
#include "config/schema_int.h"

#include <sys/un.h>

void cfg_read_address(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct addr a = {0};

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (addr_parse(n->value, 0, &a) != 0) {
        cfg_error(c, n, "'%.*s' is not an IP address", SL_ARG(cfg_shown(n->value)));
        return;
    }
    if (addr_is_multicast(&a)) {
        cfg_error(c, n, "'%.*s' is a multicast address", SL_ARG(cfg_shown(n->value)));
        return;
    }
    memcpy((char *)at + k->at, &a, sizeof(a));
}

void cfg_read_prefix(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct prefix p = {0};

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (prefix_parse(n->value, &p) != 0) {
        cfg_error(c, n, "'%.*s' is not a network such as 192.0.2.0/24 or 2001:db8::/32",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    memcpy((char *)at + k->at, &p, sizeof(p));
}

void cfg_read_ports(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct sl rest = n->value, first;
    uint32_t lo, hi;
    uint16_t port;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (sl_split(&rest, '-', 5, &first) != 0 || sl_u32(first, UINT16_MAX, &lo) != 0 ||
        sl_u32(rest, UINT16_MAX, &hi) != 0) {
        cfg_error(c, n, "'%.*s' is not a range of ports such as 20000-29999",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    if (lo < (uint32_t)k->min) {
        cfg_error(c, n, "ports below %lld are not for media", (long long)k->min);
    } else if (lo % 2 != 0) {
        cfg_error(c, n, "the first port must be even: RTP has the even port, RTCP the next");
    } else if (hi < lo + 1) {
        cfg_error(c, n, "must hold at least two ports, for RTP and RTCP");
    } else {
        port = (uint16_t)lo;
        memcpy((char *)at + k->at, &port, sizeof(port));
        port = (uint16_t)hi;
        memcpy((char *)at + k->n_at, &port, sizeof(port));
    }
}

static void cfg_read_unix(struct cfg *c, const struct cfg_node *n, struct sl path)
{
    if (path.n == 0 || path.n >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        cfg_error(c, n, "the path of a socket has 1 to %zu characters",
                  sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
        return;
    }
    c->config->admin_unix = cfg_keep(c, path);
}

void cfg_read_listen(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct addr a = {0};

    (void)k;
    (void)at;
    if (!cfg_is_scalar(c, n)) {
        return;
    }
    if (sl_starts(n->value, SL("unix:"))) {
        cfg_read_unix(c, n, sl_from(n->value, 5));
        return;
    }
    if (addr_parse_hostport(n->value, 0, &a) != 0) {
        cfg_error(c, n, "'%.*s' is not an address such as 127.0.0.1:8080, [::1]:8080 or unix:PATH",
                  SL_ARG(cfg_shown(n->value)));
    } else if (addr_port(&a) == 0) {
        cfg_error(c, n, "'%.*s' has no port", SL_ARG(cfg_shown(n->value)));
    } else if (!addr_is_loopback(&a)) {
        cfg_error(c, n,
                  "'%.*s' is not a loopback address: the token would cross the network in plain "
                  "text, and TLS is not supported by this version",
                  SL_ARG(cfg_shown(n->value)));
    } else {
        c->config->admin_listen = a;
    }
}

/* --- targets: the part of RFC 3261 19.1 that names where, and nothing else --- */

static bool cfg_target_scheme(struct cfg *c, const struct cfg_node *n, struct sl *rest,
                              struct policy_uri_target *t)
{
    t->sips = sl_istarts(*rest, SL("sips:"));
    if (!t->sips && !sl_istarts(*rest, SL("sip:"))) {
        cfg_error(c, n, "'%.*s' is not a URI such as sip:192.0.2.1:5060;transport=udp",
                  SL_ARG(cfg_shown(n->value)));
        return false;
    }
    t->transport = t->sips ? CONFIG_TLS : CONFIG_UDP;
    *rest = sl_from(*rest, t->sips ? 5 : 4);
    return true;
}

static bool cfg_target_address(struct cfg *c, const struct cfg_node *n, struct sl hostport,
                               struct policy_uri_target *t)
{
    struct sl shown = cfg_shown(hostport);

    if (sl_chr(hostport, '@') >= 0) {
        cfg_error(c, n, "a target has no user part");
    } else if (addr_parse_hostport(hostport, t->transport == CONFIG_TLS ? 5061 : 5060, &t->addr) !=
               0) {
        cfg_error(
            c, n,
            "'%.*s' is not a numeric address with a port: host names are not supported by this "
            "version",
            SL_ARG(shown));
    } else if (addr_port(&t->addr) == 0 || addr_is_unspecified(&t->addr) ||
               addr_is_multicast(&t->addr)) {
        cfg_error(c, n, "'%.*s' cannot be called", SL_ARG(shown));
    } else {
        return true;
    }
    t->addr = (struct addr){0};
    return false;
}

static bool cfg_target_param(struct cfg *c, const struct cfg_node *n, struct sl param,
                             struct policy_uri_target *t)
{
    static const char *const transports[] = {"udp", "tcp", "tls", NULL};
    static const char *const later[] = {"ws", "wss", "sctp", NULL};
    struct sl name, value = param;

    if (sl_split(&value, '=', CFG_TEXT_MAX, &name) != 0 || !sl_ieq(name, SL("transport"))) {
        cfg_error(c, n, "';%.*s' is not a parameter of a target; transport is the only one",
                  SL_ARG(cfg_shown(param)));
        return false;
    }
    if (t->sips && (sl_ieq(value, SL("tcp")) || sl_ieq(value, SL("tls")))) {
        return true; /* TLS over TCP (RFC 5630 3.1.3) */
    }
    for (uint8_t i = 0; transports[i] != NULL && !t->sips; i++) {
        if (sl_ieq(value, sl_str(transports[i]))) {
            t->transport = i;
            return true;
        }
    }
    cfg_error(c, n, "'transport=%.*s' is not %s", SL_ARG(cfg_shown(value)),
              cfg_is_later(later, value) ? "supported by this version"
              : t->sips                  ? "for sips, which is TLS"
                                         : "one of udp, tcp, tls");
    return false;
}

void cfg_read_uri(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct policy_uri_target t = {0};
    struct sl rest = n->value, hostport, param;
    bool is_good = true;

    if (!cfg_is_scalar(c, n) || !cfg_target_scheme(c, n, &rest, &t)) {
        return;
    }
    if (sl_next(&rest, ';', &hostport) != 0) {
        hostport = SL_NULL;
    }
    while (is_good && sl_next(&rest, ';', &param) == 0) {
        is_good = cfg_target_param(c, n, param, &t);
    }
    is_good = is_good && cfg_target_address(c, n, hostport, &t);
    t.uri = cfg_keep(c, n->value);
    if (is_good) {
        memcpy((char *)at + k->at, &t, sizeof(t));
    }
}

void cfg_read_target(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    static const struct cfg_key keys[] = {
        {.key = "uri",
         .type = CFG_URI,
         .flags = CFG_REQUIRED,
         .help = "Where the peer is reached."},
        {.key = "weight", .type = CFG_LATER, .help = "Share among targets of equal priority."},
        {.key = "priority", .type = CFG_LATER, .help = "Lower values are tried first."},
    };
    static const struct cfg_object target = {
        .keys = keys, .n_keys = COUNT_OF(keys), .size = sizeof(struct policy_uri_target)};

    if (n->kind == CFG_MAPPING) {
        cfg_read_object(c, &target, n, (char *)at + k->at);
    } else {
        cfg_read_uri(c, k, n, at);
    }
}

/* --- references --- */

struct cfg_named { /* what may be referred to, in the order of its indices */
    const char *what;
    const struct hmap *names;
    const void *first;
    size_t n, size, name_at;
};
#define NAMED(what_, map, type, array, count)                                                      \
    &(const struct cfg_named)                                                                      \
    {                                                                                              \
        .what = (what_), .names = &c->map, .first = c->config->array, .n = c->config->count,       \
        .size = sizeof(struct type), .name_at = offsetof(struct type, name)                        \
    }

/* Stores the index plus base. */
static void cfg_refer(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *to,
                      const struct cfg_named *in, uint64_t base)
{
    struct cfg_nearest near = {.want = n->value};
    int64_t index;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    index = cfg_names_find(in->names, n->value);
    if (index >= 0) {
        cfg_store(k, to, (uint64_t)index + base);
        return;
    }
    for (size_t i = 0; i < in->n; i++) {
        const char *name;

        memcpy(&name, (const char *)in->first + i * in->size + in->name_at, sizeof(name));
        if (name != NULL) { /* no gap among the listeners */
            cfg_nearest_try(&near, name);
        }
    }
    cfg_error_value(c, n, &near, "there is no %s '%.*s'", in->what, SL_ARG(cfg_shown(n->value)));
}

void cfg_read_listener(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_refer(c, k, n, at, NAMED("listener", listeners, config_listener, listeners, n_listeners),
              0);
}

void cfg_read_profile(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_refer(c, k, n, at,
              NAMED("media profile", profiles, policy_media_profile, def.profiles, def.n_profiles),
              0);
}

void cfg_read_table(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_refer(c, k, n, at, NAMED("table", tables, policy_table_ref, def.tables, def.n_tables), 0);
}

void cfg_read_callout(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_refer(c, k, n, at, NAMED("callout", callouts, policy_callout, def.callouts, def.n_callouts),
              1); /* 0: none */
}
