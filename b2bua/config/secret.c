/* secret.c - passwords and the admin token: written out, in a file or in the environment. Nothing
 * here is ever printed; copies in the snapshot are wiped when it dies. */
#include "config/schema_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CFG_TOKEN_MIN 16

struct cfg_secret_ref { /* where a secret comes from */
    enum { CFG_FROM_TEXT, CFG_FROM_FILE, CFG_FROM_ENV } from;
    struct sl text; /* the secret, the path or the name */
    const struct cfg_node *node;
};

/* False: neither text nor {file: PATH} nor {env: NAME}, reported. */
static bool cfg_secret_ref(struct cfg *c, const struct cfg_node *n, struct cfg_secret_ref *out)
{
    const struct cfg_node *one = n->kind == CFG_MAPPING && n->n == 1 ? n->first : NULL;

    *out = (struct cfg_secret_ref){.from = CFG_FROM_TEXT, .text = n->value, .node = n};
    if (n->kind == CFG_SCALAR) {
        return cfg_is_scalar(c, n);
    }
    if (one == NULL || (!sl_eq(one->key, SL("file")) && !sl_eq(one->key, SL("env")))) {
        cfg_error(c, n, "must be text, {file: PATH} or {env: NAME}");
        return false;
    }
    if (one->is_bad || !cfg_is_scalar(c, one)) {
        return false;
    }
    out->from = sl_eq(one->key, SL("file")) ? CFG_FROM_FILE : CFG_FROM_ENV;
    out->text = one->value;
    out->node = one;
    if (one->value.n > CFG_TEXT_MAX) {
        cfg_error(c, one, "is too long");
        return false;
    }
    return true;
}

/* A copy that is wiped at the end. Empty secrets are refused. */
static const char *cfg_secret_keep(struct cfg *c, const struct cfg_node *n, struct sl s)
{
    struct cfg_secret *entry;
    char *copy;

    if (s.n == 0 || memchr(s.p, 0, s.n) != NULL || s.n > CFG_TEXT_MAX) {
        cfg_error(c, n, s.n == 0 ? "is empty" : "is not a secret: too long or not text");
        return NULL;
    }
    copy = cfg_keep(c, s);
    entry = arena_zalloc(c->arena, sizeof(*entry));
    if (copy == NULL || entry == NULL) {
        c->err = ENOMEM;
        return NULL;
    }
    *entry = (struct cfg_secret){.next = c->secrets, .p = copy, .n = s.n};
    c->secrets = entry;
    return copy;
}

static struct sl cfg_chomp(struct sl s)
{
    while (s.n != 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r')) {
        s.n--;
    }
    return s;
}

static int cfg_secret_open(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
        close(fd);
        return -EINVAL;
    }
    return fd;
}

static const char *cfg_secret_file(struct cfg *c, const struct cfg_secret_ref *ref)
{
    char path[CFG_TEXT_MAX + 1], text[CFG_TEXT_MAX + 1];
    const char *kept = NULL;
    struct stat st = {0};
    ssize_t n;
    int fd;

    memcpy(path, ref->text.p, ref->text.n);
    path[ref->text.n] = '\0';
    fd = cfg_secret_open(path, &st);
    if (fd < 0) {
        cfg_error(c, ref->node, "cannot read '%.*s': %s", SL_ARG(cfg_shown(ref->text)),
                  fd == -EINVAL ? "not a plain file" : strerror(-fd));
        return NULL;
    }
    if ((st.st_mode & S_IROTH) != 0) {
        log_warn(NULL, "%s:%u: the secret in '%.*s' can be read by everybody", c->file,
                 ref->node->line, SL_ARG(cfg_shown(ref->text)));
    }
    n = read(fd, text, sizeof(text));
    if (n < 0) {
        cfg_error(c, ref->node, "cannot read '%.*s': %s", SL_ARG(cfg_shown(ref->text)),
                  strerror(errno));
    } else {
        kept = cfg_secret_keep(c, ref->node, cfg_chomp(sl_make(text, (size_t)n)));
    }
    close(fd);
    mem_wipe(text, sizeof(text));
    return kept;
}

static const char *cfg_secret_env(struct cfg *c, const struct cfg_secret_ref *ref)
{
    char name[CFG_TEXT_MAX + 1];
    const char *value;

    memcpy(name, ref->text.p, ref->text.n);
    name[ref->text.n] = '\0';
    value = getenv(name);
    if (value == NULL) {
        cfg_error(c, ref->node, "the environment has no '%.*s'", SL_ARG(cfg_shown(ref->text)));
        return NULL;
    }
    return cfg_secret_keep(c, ref->node, sl_str(value));
}

static const char *cfg_secret_get(struct cfg *c, const struct cfg_secret_ref *ref)
{
    switch (ref->from) {
    case CFG_FROM_FILE:
        return cfg_secret_file(c, ref);
    case CFG_FROM_ENV:
        return cfg_secret_env(c, ref);
    case CFG_FROM_TEXT:
        break;
    }
    return cfg_secret_keep(c, ref->node, ref->text);
}

void cfg_read_secret(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct cfg_secret_ref ref;
    const char *secret;

    if (!cfg_secret_ref(c, n, &ref)) {
        return;
    }
    secret = cfg_secret_get(c, &ref);
    memcpy((char *)at + k->at, &secret, sizeof(secret));
}

/* The default is a path, as written {file: PATH}: the one secret that is made when missing. */
void cfg_read_token(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    struct cfg_secret_ref ref;
    const char *token;

    (void)at;
    if (n->kind == CFG_SCALAR && n->value.p == k->dflt) {
        c->config->admin_token_file = cfg_keep(c, n->value);
        return;
    }
    if (!cfg_secret_ref(c, n, &ref)) {
        return;
    }
    if (ref.from == CFG_FROM_FILE) {
        c->config->admin_token_file = cfg_keep(c, ref.text);
        return;
    }
    token = cfg_secret_get(c, &ref);
    if (token != NULL && strlen(token) < CFG_TOKEN_MIN) {
        cfg_error(c, ref.node, "a token has at least %d characters", CFG_TOKEN_MIN);
        return;
    }
    c->config->admin_token = token;
}
