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

static bool cfg_key_differs(const struct cfg_key *k, const char *a, const char *b)
{
    return k->type == CFG_STRING || k->type == CFG_NAME
               ? cfg_text_differs(cfg_text_at(a, k->at), cfg_text_at(b, k->at))
               : memcmp(a + k->at, b + k->at, k->size) != 0;
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
