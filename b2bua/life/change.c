/* change.c - from a text to what is in force, and back: check, prepare, write, commit. */
#include "life/life_int.h"

static void life_begin(struct life_result *out)
{
    *out = (struct life_result){.version = 0};
}

/* --- may it be? --- */

static const char *life_source_word(unsigned source)
{
    return source == CONFIG_BY_API ? "api" : "file";
}

/* Who writes, and whether it is his turn. With the lock held. */
static int life_turn(const struct life *l, const struct life_change *c, struct life_result *out)
{
    unsigned source = l->now.cfg->source;

    if (l->ops == NULL) {
        life_why(out, "the process is starting or stopping");
        return ECANCELED;
    }
    if (source != c->origin) {
        life_why(out, "config.source is %s: %s", life_source_word(source),
                 source == CONFIG_BY_FILE
                     ? "the file is what counts; change it there and send the signal HUP"
                     : "the file is not read any more; change it by PUT /v1/config");
        return EPERM;
    }
    if (c->expect != 0 && c->expect != l->now.id) {
        life_why(out, "version %llu is in force, not %llu", (unsigned long long)l->now.id,
                 (unsigned long long)c->expect);
        return ESTALE;
    }
    if (l->until_ms != 0) {
        life_why(out, "version %llu waits to be confirmed or rolled back",
                 (unsigned long long)l->now.id);
        return EALREADY;
    }
    return 0;
}

/* What only the file may say, as it is read before the store is known. */
static int life_check_api(const struct life *l, const struct life_change *c,
                          const struct config *cfg, struct life_result *out)
{
    if (c->origin != CONFIG_BY_API) {
        return 0;
    }
    if (cfg->source != CONFIG_BY_API) {
        life_why(out, "config.source: the API cannot take the writing away from itself; "
                      "write 'source: file' into the file and start again");
        return EINVAL;
    }
    if (!sl_eq(sl_str(cfg->store_path), sl_str(l->store_path))) {
        life_why(out, "store.path: the versions are in '%s'; only the file and a restart change it",
                 l->store_path);
        return EINVAL;
    }
    return 0;
}

static int life_candidate(struct life *l, const struct life_change *c, struct config **cfg,
                          struct life_result *out)
{
    int err = life_build(l, c->name, c->text, cfg, &out->errs);

    if (err == 0) {
        err = life_check_api(l, c, *cfg, out);
        if (err != 0) {
            config_unref(cfg);
        }
    }
    if (err == EBADMSG || err == EINVAL) {
        stat_inc(STAT_CONFIG_REFUSED);
    }
    return err;
}

int life_check(struct life *l, const struct life_change *c, struct life_result *out)
{
    struct config *cfg = NULL;
    int err;

    life_begin(out);
    err = life_candidate(l, c, &cfg, out);
    if (err == 0) {
        pthread_mutex_lock(&l->lock);
        life_restart_text(l, cfg, out->restart, sizeof(out->restart));
        out->version = l->now.id;
        pthread_mutex_unlock(&l->lock);
    }
    config_unref(&cfg);
    return err;
}

/* --- coming into force; with the lock held --- */

static int life_write(struct life *l, const struct life_change *c, const struct life_version *next)
{
    int64_t wall_ms = clock_wall_ms(&l->clock);
    struct store_version v = {.id = next->id,
                              .at_ms = wall_ms,
                              .confirm_until_ms = c->confirm_ms != 0 ? wall_ms + c->confirm_ms : 0,
                              .state = c->confirm_ms != 0 ? STORE_VERSION_PENDING
                                                          : STORE_VERSION_CONFIRMED,
                              .base = next->base,
                              .origin = sl_str(life_source_word(next->cfg->source)),
                              .who = sl_head(c->who, LIFE_WORDS_MAX),
                              .comment = sl_head(c->comment, LIFE_WORDS_MAX),
                              .hash = sl_str(next->hash),
                              .bytes = c->text.n,
                              .text = c->text};

    return store_save_version(l->store, &v, next->cfg->keep, LIFE_STORE_MS);
}

static int life_prepare(struct life *l, struct config *cfg, struct life_result *out)
{
    struct buf why;
    int err;

    buf_init_fixed(&why, out->why, sizeof(out->why) - 1);
    err = l->ops->prepare(l->arg, cfg, &why);
    out->why[why.n] = '\0';
    return err == 0 || err == ENOMEM ? err : EADDRNOTAVAIL;
}

/* next becomes what is in force; what it replaces stays at hand as long as it may be asked for. */
static void life_commit(struct life *l, const struct life_change *c, struct life_version *next)
{
    l->ops->commit(l->arg, next->cfg);
    life_version_free(&l->before);
    if (c->confirm_ms != 0) {
        l->before = l->now;
        l->until_ms = clock_now_ms(&l->clock) + c->confirm_ms;
        l->until_wall_ms = clock_wall_ms(&l->clock) + c->confirm_ms;
    } else {
        life_version_free(&l->now);
    }
    l->now = *next;
    l->in_force_ms = clock_wall_ms(&l->clock);
    stat_inc(STAT_CONFIG_APPLIED);
    log_info(NULL, "configuration version %llu is in force for new calls%s%s",
             (unsigned long long)l->now.id, c->who.n != 0 ? ", by " : "", LOG_ESC(c->who));
}

static int life_replace(struct life *l, const struct life_change *c, struct life_version *next,
                        struct life_result *out)
{
    int err = life_prepare(l, next->cfg, out);

    if (err != 0) {
        stat_inc(STAT_CONFIG_REFUSED);
        return err;
    }
    if (!out->unchanged) {
        err = life_write(l, c, next);
        if (err != 0) {
            l->ops->abandon(l->arg, next->cfg);
            life_why(out, "the version could not be written to the store: %s", strerror(err));
            return EIO;
        }
        l->last_id = next->id;
    }
    life_commit(l, c, next);
    *next = (struct life_version){.cfg = NULL};
    return 0;
}

static int life_enter(struct life *l, const struct life_change *c, struct config *cfg,
                      struct life_result *out)
{
    struct life_change mine = *c;
    struct life_version next = {.cfg = config_ref(cfg), .base = l->now.id};
    int err;

    config_hash(c->text, next.hash);
    out->unchanged = life_same_hash(sl_str(next.hash), sl_str(l->now.hash));
    if (out->unchanged) { /* certificates, secrets and tables were read again: that stands */
        mine.confirm_ms = 0;
    }
    next.id = out->unchanged ? l->now.id : l->last_id + 1;
    next.base = out->unchanged ? l->now.base : l->now.id;
    cfg->version = (uint32_t)next.id;
    err = life_replace(l, &mine, &next, out);
    life_version_free(&next);
    return err;
}

int life_apply(struct life *l, const struct life_change *c, struct life_result *out)
{
    struct config *cfg = NULL;
    int err;

    life_begin(out);
    pthread_mutex_lock(&l->lock); /* whose turn it is not need not wait for its errors */
    err = life_turn(l, c, out);
    pthread_mutex_unlock(&l->lock);
    if (err == 0) {
        err = life_candidate(l, c, &cfg, out);
    }
    if (err == 0) {
        pthread_mutex_lock(&l->lock);
        err = life_turn(l, c, out); /* somebody else may have been faster */
        if (err == 0) {
            err = life_enter(l, c, cfg, out);
        }
        out->version = l->now.id;
        life_restart_text(l, l->now.cfg, out->restart, sizeof(out->restart));
        pthread_mutex_unlock(&l->lock);
    }
    config_unref(&cfg);
    return err;
}

static int life_reload_text(struct life *l, struct buf *text, struct life_result *out)
{
    struct life_change c = {.name = l->file, .origin = CONFIG_BY_FILE, .who = sl_str(l->file)};
    struct config *now = life_config(l);
    int err = life_slurp(l, text);

    if (err != 0) {
        life_why(out, "%s: %s", l->file, strerror(err));
    }
    c.text = buf_sl(text);
    c.confirm_ms = now->confirm_ms;
    config_unref(&now);
    return err == 0 ? life_apply(l, &c, out) : err;
}

int life_reload(struct life *l, struct life_result *out)
{
    struct buf text;
    int err;

    life_begin(out);
    if (l->file == NULL) {
        life_why(out, "nothing to reload: running on the embedded configuration");
        return ENOENT;
    }
    buf_init(&text, CONFIG_FILE_MAX + 65536);
    err = life_reload_text(l, &text, out);
    if (text.p != NULL) {
        mem_wipe(text.p, text.cap); /* it may hold passwords */
    }
    buf_free(&text);
    return err;
}

/* --- the window --- */

int life_confirm(struct life *l, uint64_t version, struct sl who)
{
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (l->until_ms == 0 || l->undo_by_ms != 0) {
        err = ENOENT;
    } else if (version != 0 && version != l->now.id) {
        err = ESTALE;
    } else if (life_save_state(l, l->now.id, STORE_VERSION_CONFIRMED) != 0) {
        err = EIO; /* it goes on waiting: confirmed and forgotten would be worse */
    } else {
        l->until_ms = l->until_wall_ms = 0;
        life_version_free(&l->before);
        log_info(NULL, "configuration version %llu is confirmed by %s",
                 (unsigned long long)l->now.id, LOG_ESC(who));
    }
    pthread_mutex_unlock(&l->lock);
    return err;
}

static void life_undone(struct life *l)
{
    uint64_t undone = l->now.id;

    l->ops->commit(l->arg, l->before.cfg);
    life_version_free(&l->now);
    l->now = l->before;
    l->before = (struct life_version){.cfg = NULL};
    l->until_ms = l->until_wall_ms = l->undo_by_ms = 0;
    l->in_force_ms = clock_wall_ms(&l->clock);
    if (life_save_state(l, undone, STORE_VERSION_ROLLED_BACK) != 0) {
        l->unwritten = undone; /* a start would undo it as well; told again later */
    }
    log_warn(NULL, "configuration version %llu is rolled back, version %llu is in force again",
             (unsigned long long)undone, (unsigned long long)l->now.id);
}

/* With the lock held, and something to undo. What was in force still has its sockets: its snapshot
 * kept their places. What it has lost nevertheless may be free again in a while. */
int life_undo(struct life *l, struct life_result *out)
{
    int64_t now_ms = clock_now_ms(&l->clock);
    int err = life_prepare(l, l->before.cfg, out);
    bool is_first = l->undo_by_ms == 0;

    l->undo_by_ms = is_first ? now_ms + LIFE_UNDO_MS : l->undo_by_ms;
    if (err != 0 && now_ms < l->undo_by_ms) {
        if (is_first) {
            log_warn(NULL, "going back to version %llu is tried again: %s",
                     (unsigned long long)l->before.id, out->why);
        }
        return err;
    }
    if (err != 0) {
        log_error(NULL, "going back to version %llu: %s; the rest is in force",
                  (unsigned long long)l->before.id, out->why);
    }
    life_undone(l);
    return 0;
}

/* ENOENT: nothing waits that this could undo. */
static int life_undo_pending(struct life *l, const struct life_change *c, struct life_result *out)
{
    int err = ENOENT;

    pthread_mutex_lock(&l->lock);
    if (l->until_ms != 0 && (c->to == 0 || c->to == l->now.base)) {
        err = l->ops == NULL ? ECANCELED : c->expect != 0 && c->expect != l->now.id ? ESTALE : 0;
        if (err == 0) {
            err = life_undo(l, out);
        }
    }
    out->version = l->now.id;
    pthread_mutex_unlock(&l->lock);
    return err;
}

int life_rollback(struct life *l, const struct life_change *c, struct life_result *out)
{
    struct life_change back = *c;
    struct life_row row = {.found = false};
    char name[64];
    struct buf b;
    int err;

    life_begin(out);
    err = life_undo_pending(l, c, out);
    if (err != ENOENT) {
        return err;
    }
    pthread_mutex_lock(&l->lock);
    back.to = c->to != 0 ? c->to : l->now.base;
    pthread_mutex_unlock(&l->lock);
    buf_init_fixed(&b, name, sizeof(name) - 1);
    buf_putf(&b, "version-%llu", (unsigned long long)back.to);
    name[b.n] = '\0';
    err = life_row_read(l, back.to, &row);
    if (err == 0) {
        back.name = name;
        back.text = row.v.text;
        err = life_apply(l, &back, out);
    } else if (err == ENOENT) {
        life_why(out, "there is no version %llu", (unsigned long long)back.to);
    } else {
        life_why(out, "the store does not answer: %s", strerror(err));
        err = EIO;
    }
    life_row_free(&row);
    return err;
}
