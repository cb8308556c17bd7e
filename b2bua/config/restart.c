/* restart.c - what a reload cannot bring into force. */
#include "config/config_int.h"

static const char *cfg_text_at(const void *at, size_t offset)
{
    const char *text;

    memcpy(&text, (const char *)at + offset, sizeof(text));
    return text;
}

static bool cfg_text_differs(const char *a, const char *b)
{
    return !sl_eq(sl_str(a), sl_str(b));
}

static bool cfg_object_differs(const struct cfg_object *o, const char *a, const char *b);

static bool cfg_map_differs(const struct cfg_key *k, const char *a, const char *b)
{
    const char *x = cfg_text_at(a, k->at), *y = cfg_text_at(b, k->at);
    size_t n, m;

    memcpy(&n, a + k->n_at, sizeof(n));
    memcpy(&m, b + k->n_at, sizeof(m));
    for (size_t i = 0; n == m && i < n; i++) {
        if (cfg_text_differs(cfg_text_at(x, 0), cfg_text_at(y, 0)) ||
            cfg_object_differs(k->sub, x, y)) {
            return true;
        }
        x += k->sub->size;
        y += k->sub->size;
    }
    return n != m;
}

static bool cfg_addr_differs(const struct addr *a, const struct addr *b)
{
    return addr_family(a) != addr_family(b) || (addr_family(a) != AF_UNSPEC && !addr_eq(a, b));
}

static bool cfg_admin_differs(const struct cfg_key *k, const struct config *a,
                              const struct config *b)
{
    if (k->type == CFG_LISTEN) {
        return cfg_text_differs(a->admin_unix, b->admin_unix) ||
               cfg_addr_differs(&a->admin_listen, &b->admin_listen);
    }
    return cfg_text_differs(a->admin_token, b->admin_token) ||
           cfg_text_differs(a->admin_token_file, b->admin_token_file);
}

/* For the types that keys with CFG_RESTART have. */
static bool cfg_key_differs(const struct cfg_key *k, const char *a, const char *b)
{
    switch ((enum cfg_type)k->type) {
    case CFG_LISTEN:
    case CFG_TOKEN:
        return cfg_admin_differs(k, (const struct config *)(const void *)a,
                                 (const struct config *)(const void *)b);
    case CFG_MAP:
        return cfg_map_differs(k, a, b);
    case CFG_OBJECT:
        return cfg_object_differs(k->sub, a + k->at, b + k->at);
    case CFG_STRING:
    case CFG_NAME:
        return cfg_text_differs(cfg_text_at(a, k->at), cfg_text_at(b, k->at));
    case CFG_ADDRESS:
        return cfg_addr_differs((const struct addr *)(const void *)(a + k->at),
                                (const struct addr *)(const void *)(b + k->at));
    case CFG_PORTS:
        return memcmp(a + k->at, b + k->at, sizeof(uint16_t)) != 0 ||
               memcmp(a + k->n_at, b + k->n_at, sizeof(uint16_t)) != 0;
    default:
        return memcmp(a + k->at, b + k->at, k->size) != 0;
    }
}

static bool cfg_object_differs(const struct cfg_object *o, const char *a, const char *b)
{
    for (size_t i = 0; i < o->n_keys; i++) {
        if ((o->keys[i].flags & CFG_LIVE) == 0 && cfg_key_differs(&o->keys[i], a, b)) {
            return true;
        }
    }
    return false;
}

/* All sections that hold such keys lie in struct config itself. */
static size_t cfg_restart_walk(const struct cfg_object *o, const char *section,
                               const struct config *pair[2], struct buf *names)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_keys; i++) {
        const struct cfg_key *k = &o->keys[i];
        char path[128];
        struct buf b;

        buf_init_fixed(&b, path, sizeof(path) - 1);
        buf_putf(&b, "%s%s%s", section, section[0] != '\0' ? "." : "", k->key);
        path[b.n] = '\0';
        if ((k->flags & CFG_RESTART) != 0) {
            if (cfg_key_differs(k, (const char *)pair[0], (const char *)pair[1])) {
                buf_putf(names, "%s%s", names->n != 0 ? ", " : "", path);
                n++;
            }
        } else if (k->type == CFG_OBJECT && k->at == 0) {
            n += cfg_restart_walk(k->sub, path, pair, names);
        }
    }
    return n;
}

size_t config_restart_keys(const struct config *old, const struct config *now, struct buf *names)
{
    const struct config *pair[2] = {old, now};

    return cfg_restart_walk(&cfg_root, "", pair, names);
}
