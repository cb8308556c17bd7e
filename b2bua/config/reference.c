/* reference.c - all settings as text, for the manual page and for `postern help`. */
#include "config/schema_int.h"

static const char *const cfg_type_words[CFG_NTYPES] = {
    [CFG_INT] = "number",
    [CFG_DURATION] = "duration",
    [CFG_SECONDS] = "duration",
    [CFG_MICROS] = "duration",
    [CFG_SIZE] = "size",
    [CFG_ENUM] = "word",
    [CFG_STRING] = "text",
    [CFG_NAME] = "name",
    [CFG_USER] = "user",
    [CFG_HOST] = "host",
    [CFG_GLOB] = "pattern",
    [CFG_SECRET] = "secret",
    [CFG_TOKEN] = "secret",
    [CFG_LISTEN] = "address:port or unix:PATH",
    [CFG_ADDRESS] = "address",
    [CFG_PREFIX] = "network",
    [CFG_PORTS] = "range of ports",
    [CFG_TARGET] = "SIP URI",
    [CFG_URI] = "SIP URI",
    [CFG_LISTENER] = "name of a listener",
    [CFG_PROFILE] = "name of a media profile",
    [CFG_CERTNAME] = "name in a certificate",
    [CFG_PARTY] = "users, a peer, or a group of peers or of users",
    [CFG_TO] = "users, a peer, or a group of peers or of users",
    [CFG_PEER] = "name of a peer",
    [CFG_NUMBER] = "pattern",
    [CFG_PATTERN] = "regular expression",
    [CFG_TABLE] = "name of a table",
    [CFG_CALLOUT] = "name of a callout",
    [CFG_COND] = "condition",
    [CFG_CODE] = "status code, class or range",
    [CFG_ZONE] = "time zone",
    [CFG_DAYS] = "days of the week",
    [CFG_HOURS] = "range of hours",
    [CFG_DATES] = "date or range of dates",
    [CFG_OBJECT] = "section",
    [CFG_MAP] = "map of names",
    [CFG_ITEMS] = "list",
    [CFG_LIST] = "list",
    [CFG_EMPTY] = "empty list",
    [CFG_LATER] = "not supported by this version",
};

static void cfg_put_range(struct buf *b, const struct cfg_key *k,
                          void (*put)(struct buf *b, uint64_t v))
{
    BUF_LIT(b, " ");
    put(b, (uint64_t)k->min);
    BUF_LIT(b, " to ");
    put(b, (uint64_t)k->max);
}

static void cfg_put_words(struct buf *b, const struct cfg_key *k)
{
    if (k->type == CFG_ENUM) {
        BUF_LIT(b, ":");
    } else if (k->words != NULL) {
        BUF_LIT(b, " or");
    }
    for (int i = 0; k->words != NULL && k->words[i] != NULL; i++) {
        buf_putf(b, "%s %s", i != 0 ? "," : "", k->words[i]);
    }
}

static void cfg_put_type(struct buf *b, const struct cfg_key *k)
{
    buf_puts(b, cfg_type_words[k->type]);
    if (k->type == CFG_LIST) {
        buf_putf(b, " of %s", cfg_type_words[k->of]);
    } else if (k->type == CFG_INT) {
        cfg_put_range(b, k, buf_putu);
    } else if (k->type == CFG_DURATION || k->type == CFG_SECONDS) {
        cfg_put_range(b, k, cfg_put_duration);
    } else if (k->type == CFG_MICROS) {
        cfg_put_range(b, k, cfg_put_micros);
    } else if (k->type == CFG_SIZE) {
        cfg_put_range(b, k, cfg_put_size);
    }
    cfg_put_words(b, k);
}

static void cfg_put_key(struct buf *b, const struct cfg_key *k, struct sl path)
{
    buf_putsl(b, path);
    BUF_LIT(b, "\n    ");
    cfg_put_type(b, k);
    if ((k->flags & CFG_REQUIRED) != 0) {
        BUF_LIT(b, "; required");
    } else if (k->dflt != NULL) {
        buf_putf(b, k->type == CFG_TOKEN ? "; default {file: %s}" : "; default %s", k->dflt);
    }
    if ((k->flags & CFG_RESTART) != 0) {
        BUF_LIT(b, "; needs a restart");
    }
    buf_putf(b, "\n    %s\n", k->help);
}

static void cfg_put_object(struct buf *b, const struct cfg_object *o, struct sl up)
{
    for (size_t i = 0; i < o->n_keys; i++) {
        const struct cfg_key *k = &o->keys[i];
        const char *below = k->type == CFG_MAP ? ".NAME" : k->type == CFG_ITEMS ? "[]" : "";
        char path[256];
        struct buf p;

        buf_init_fixed(&p, path, sizeof(path));
        buf_putsl(&p, up);
        buf_puts(&p, up.n != 0 ? "." : "");
        buf_puts(&p, k->key);
        cfg_put_key(b, k, buf_sl(&p));
        if (k->sub != NULL) { /* tables nest four deep: no loop is possible */
            buf_puts(&p, below);
            cfg_put_object(b, k->sub, buf_sl(&p));
        }
    }
}

void config_put_reference(struct buf *b)
{
    cfg_put_object(b, &cfg_root, SL_NULL);
}
