/* tls.c - certificates, keys and authorities that the configuration names: read with it, refused
 * with it, and replaced with it. */
#include "config/schema_int.h"
#include "config/tls_int.h"

#include <sys/stat.h>

struct cfg_tls_ref { /* freed when the snapshot dies */
    struct cfg_tls_ref *next;
    struct tls_server *server;
    struct tls_client *client;
};

struct cfg_anchors { /* many peers trust the same authorities: read once a load */
    struct cfg_anchors *next;
    const char *path; /* NULL: the system's */
    struct tls_anchors *anchors;
};

void cfg_tls_begin(struct cfg *c)
{
    hmap_init(&c->certificates, 0);
}

void cfg_tls_end(struct cfg *c)
{
    hmap_free(&c->certificates);
    for (struct cfg_anchors *a = c->anchors; a != NULL; a = a->next) {
        tls_anchors_unref(&a->anchors);
    }
}

void cfg_tls_free(struct cfg_tls_ref *refs)
{
    for (; refs != NULL; refs = refs->next) {
        tls_server_unref(&refs->server);
        tls_client_unref(&refs->client);
    }
}

static struct cfg_tls_ref *cfg_tls_ref(struct cfg *c)
{
    struct cfg_tls_ref *ref = arena_zalloc(c->arena, sizeof(*ref));

    if (ref == NULL) {
        c->err = ENOMEM;
        return NULL;
    }
    ref->next = c->tls;
    c->tls = ref;
    return ref;
}

/* --- values --- */

void cfg_read_certname(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    char *copy;
    size_t good = 0;

    if (!cfg_is_scalar(c, n)) {
        return;
    }
    while (good < n->value.n && good < POLICY_HOSTNAME_MAX) {
        unsigned char ch = (unsigned char)n->value.p[good];
        bool is_alnum = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');

        if (!is_alnum && (ch == 0 || strchr(".-_*:", ch) == NULL)) {
            break;
        }
        good++;
    }
    if (good == 0 || good != n->value.n) {
        cfg_error(c, n, "'%.*s' is not a name in a certificate such as sip.example.com",
                  SL_ARG(cfg_shown(n->value)));
        return;
    }
    copy = cfg_keep(c, n->value);
    memcpy((char *)at + k->at, &copy, sizeof(copy));
}

/* --- files --- */

/* Where a path was written: the key of this section that has it. */
static const struct cfg_node *cfg_path_node(const struct cfg *c, const struct cfg_node *section,
                                            const char *path)
{
    static const struct sl keys[] = {{"certificate", 11}, {"key", 3}, {"client_ca", 9}, {"ca", 2}};
    const struct cfg_node *more = cfg_find(c, section, SL("more"));
    const struct cfg_node *hit = NULL;

    for (size_t i = 0; path != NULL && i < COUNT_OF(keys) && hit == NULL; i++) {
        const struct cfg_node *n = cfg_find(c, section, keys[i]);

        hit = n != NULL && sl_eq(n->value, sl_str(path)) ? n : NULL;
    }
    for (const struct cfg_node *n = more != NULL ? more->first : NULL; n != NULL && hit == NULL;
         n = n->next) {
        hit = n->kind == CFG_MAPPING ? cfg_path_node(c, n, path) : NULL;
        hit = hit != n ? hit : NULL;
    }
    return hit;
}

static void cfg_refuse_file(struct cfg *c, const struct cfg_node *section,
                            const struct tls_problem *why)
{
    const struct cfg_node *n = cfg_path_node(c, section, why->path);

    if (why->path == NULL) {
        cfg_error(c, section, "the system's authorities: %s", why->text);
    } else {
        cfg_error(c, n != NULL ? n : section, "'%.*s' %s", SL_ARG(cfg_shown(sl_str(why->path))),
                  why->text);
    }
}

static void cfg_warn_key(const struct cfg *c, const struct cfg_node *section, const char *path)
{
    struct stat st;

    if (path != NULL && stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0) {
        log_warn(NULL, "%s:%u: the key in '%s' can be read by everybody", c->file, section->line,
                 path);
    }
}

static void cfg_warn_expiry(const struct cfg *c, const struct cfg_node *section, int64_t expiry_s)
{
    struct clock clock;

    clock_init_real(&clock);
    if (expiry_s != 0 && expiry_s * 1000 < clock_wall_ms(&clock)) {
        log_warn(NULL, "%s:%u: a certificate has expired", c->file, section->line);
    }
}

/* NULL: reported. */
static struct tls_anchors *cfg_anchors_get(struct cfg *c, const struct cfg_node *section,
                                           const char *path)
{
    struct tls_problem why;
    struct cfg_anchors *a;
    int err;

    for (a = c->anchors; a != NULL; a = a->next) {
        if (sl_eq(sl_str(a->path), sl_str(path))) {
            return a->anchors;
        }
    }
    a = arena_zalloc(&c->scratch, sizeof(*a));
    if (a == NULL) {
        c->err = ENOMEM;
        return NULL;
    }
    a->path = path;
    err = tls_anchors_load(&a->anchors, path, &why);
    if (err == EBADMSG) {
        cfg_refuse_file(c, section, &why);
    } else if (err != 0) {
        c->err = err;
    }
    if (err != 0) {
        return NULL;
    }
    a->next = c->anchors;
    c->anchors = a;
    return a->anchors;
}

/* A certificate without its key or the other way round; true: both or neither. */
static bool cfg_is_pair(struct cfg *c, const struct cfg_node *section,
                        const struct tls_identity *id)
{
    if ((id->certificate == NULL) != (id->key == NULL)) {
        cfg_error(c, section, "needs both 'certificate' and 'key'");
        return false;
    }
    return true;
}

/* --- listeners --- */

void cfg_check_listener_tls(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct config_listener *l = at;

    (void)c;
    (void)node;
    l->tls.present = true;
}

/* The identities in one array, the first one first. NULL: reported. */
static struct tls_identity *cfg_identities(struct cfg *c, const struct cfg_node *section,
                                           const struct config_tls *t)
{
    struct tls_identity *ids = arena_zalloc(&c->scratch, (t->n_more + 1) * sizeof(*ids));
    bool is_good = cfg_is_pair(c, section, &t->own);

    if (ids == NULL) {
        c->err = ENOMEM;
        return NULL;
    }
    if (is_good && t->own.certificate == NULL) {
        cfg_error(c, section, "needs 'certificate' and 'key'");
        return NULL;
    }
    ids[0] = t->own;
    for (size_t i = 0; i < t->n_more; i++) {
        ids[i + 1] = t->more[i];
        if (t->more[i].certificate == NULL || t->more[i].key == NULL) {
            cfg_error(c, cfg_find(c, section, SL("more")), "each needs 'certificate' and 'key'");
            return NULL;
        }
    }
    return is_good ? ids : NULL;
}

static void cfg_tls_serve(struct cfg *c, const struct cfg_node *section, struct config_tls *t)
{
    const struct tls_identity *ids = cfg_identities(c, section, t);
    struct cfg_tls_ref *ref = cfg_tls_ref(c);
    struct tls_server_params p = {
        .ids = ids, .n_ids = t->n_more + 1, .verify = (enum tls_verify)t->verify_client};
    struct tls_problem why;
    int err;

    if (ids == NULL || ref == NULL) {
        return;
    }
    if (p.verify != TLS_VERIFY_OFF) {
        p.client_ca = cfg_anchors_get(c, section, t->client_ca);
        if (p.client_ca == NULL) {
            return;
        }
    }
    err = tls_server_new(&ref->server, &p, &why);
    if (err == EBADMSG) {
        cfg_refuse_file(c, section, &why);
        return;
    }
    c->err = err != 0 ? err : c->err;
    t->server = ref->server;
    for (size_t i = 0; i < p.n_ids; i++) {
        cfg_warn_key(c, section, ids[i].key);
    }
    if (err == 0) {
        cfg_warn_expiry(c, section, tls_server_expiry(t->server));
    }
}

void cfg_tls_listener(struct cfg *c, const struct cfg_node *node, struct config_listener *l)
{
    const struct cfg_node *section = cfg_find(c, node, SL("tls"));
    const struct cfg_node *port = cfg_find(c, cfg_find(c, node, SL("sip")), SL("tls"));

    if (section == NULL) {
        if (port != NULL) {
            cfg_error(c, port, "needs 'tls: {certificate: ..., key: ...}' of the listener");
        }
        return;
    }
    if (section->is_bad || !l->tls.present) {
        return; /* reported */
    }
    if (l->tls.verify_client != TLS_VERIFY_OFF && l->tls.client_ca == NULL) {
        cfg_error(c, section, "'verify_client' needs 'client_ca'");
        return;
    }
    cfg_tls_serve(c, section, &l->tls);
}

/* --- peers --- */

static void cfg_check_certificates(struct cfg *c, const struct cfg_node *node,
                                   const struct policy_peer *peer, const struct config_listener *l)
{
    const struct cfg_node *list = cfg_find(c, node, SL("certificates"));
    const struct cfg_node *n = list != NULL && list->kind == CFG_SEQUENCE ? list->first : list;

    if (peer->n_certificates != 0 &&
        (l->tls.verify_client == TLS_VERIFY_OFF || l->port[CONFIG_TLS] == 0)) {
        cfg_error(c, list,
                  "listener '%s' asks nobody for a certificate: it needs a TLS port and "
                  "'verify_client'",
                  l->name);
        return;
    }
    for (size_t i = 0; n != NULL && c->err == 0 && i < peer->n_certificates; i++, n = n->next) {
        char key[POLICY_HOSTNAME_MAX + 2];
        uint32_t line = n->line;
        struct buf b;

        if (peer->certificates[i] == NULL) {
            continue; /* reported */
        }
        buf_init_fixed(&b, key, sizeof(key));
        buf_putc(&b, (char)peer->listener);
        for (const char *p = peer->certificates[i]; *p != '\0'; p++) {
            buf_putc(&b, (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p));
        }
        if (!cfg_names_add(c, &c->certificates, buf_sl(&b), 0, &line) && c->err == 0) {
            cfg_error(c, n, "proves a peer of listener '%s' already; the first is on line %u",
                      l->name, line);
        }
    }
}

static bool cfg_dials_tls(const struct policy_peer *peer)
{
    for (size_t i = 0; i < peer->n_targets; i++) {
        if (peer->targets[i].transport == CONFIG_TLS) {
            return true;
        }
    }
    return false;
}

static void cfg_tls_keep_client(struct cfg *c, const struct policy_peer *peer,
                                struct tls_client *client)
{
    struct config *config = c->config;

    if (config->peer_tls == NULL) {
        config->peer_tls =
            arena_zalloc(c->arena, config->def.n_peers * sizeof(struct tls_client *));
        if (config->peer_tls == NULL) {
            c->err = ENOMEM;
            return;
        }
    }
    config->peer_tls[peer - config->def.peers] = client;
}

static void cfg_tls_call(struct cfg *c, const struct cfg_node *section,
                         const struct policy_peer *peer)
{
    const struct policy_peer_tls *t = &peer->tls;
    struct tls_client_params p = {.id = {t->certificate, t->key},
                                  .verify = t->verify,
                                  .names = t->n_names != 0 ? t->names : peer->certificates,
                                  .n_names = t->n_names != 0 ? t->n_names : peer->n_certificates};
    struct cfg_tls_ref *ref;
    struct tls_problem why;
    int err;

    if (!cfg_is_pair(c, section, &p.id)) {
        return;
    }
    p.ca = p.verify ? cfg_anchors_get(c, section, t->ca) : NULL;
    ref = cfg_tls_ref(c);
    if ((p.verify && p.ca == NULL) || ref == NULL) {
        return;
    }
    err = tls_client_new(&ref->client, &p, &why);
    if (err == EBADMSG) {
        cfg_refuse_file(c, section, &why);
        return;
    }
    if (err != 0) {
        c->err = err;
        return;
    }
    cfg_warn_key(c, section, t->key);
    cfg_warn_expiry(c, section, tls_client_expiry(ref->client));
    cfg_tls_keep_client(c, peer, ref->client);
}

void cfg_tls_peer(struct cfg *c, const struct cfg_node *node, const struct policy_peer *peer,
                  const struct config_listener *l)
{
    const struct cfg_node *section = cfg_find(c, node, SL("tls"));

    for (size_t i = 0; i < peer->tls.n_names; i++) {
        if (peer->tls.names[i] == NULL) {
            return; /* reported */
        }
    }
    cfg_check_certificates(c, node, peer, l);
    for (size_t i = 0; i < peer->n_certificates; i++) {
        if (peer->certificates[i] == NULL) {
            return; /* reported */
        }
    }
    /* Who only calls us is dialled too, when its connection has ended during a call. */
    if (section != NULL || cfg_dials_tls(peer) || (l != NULL && l->port[CONFIG_TLS] != 0)) {
        cfg_tls_call(c, section != NULL ? section : node, peer);
    }
}
