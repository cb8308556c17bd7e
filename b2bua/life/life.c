/* life.c - what is in force: reading, the windows that end, and what is told of it. */
#include "life/life_int.h"

#include <stdarg.h>

#define LIFE_RETRY_MS 5000 /* until the store is asked again to note what was undone */

int life_new(struct life **lp, const struct life_params *p)
{
    struct life *l = mem_zalloc(sizeof(*l));
    int err;

    if (l == NULL) {
        return ENOMEM;
    }
    pthread_mutex_init(&l->lock, NULL);
    l->clock = p->clock;
    l->book = p->book;
    buf_init(&l->text, CONFIG_FILE_MAX + 65536);
    err = config_slots_new(&l->slots);
    if (err == 0 && p->file != NULL) {
        l->file = mem_strndup(p->file, strlen(p->file));
        err = l->file != NULL ? 0 : ENOMEM;
    }
    if (err != 0) {
        life_free(&l);
        return err;
    }
    *lp = l;
    return 0;
}

void life_version_free(struct life_version *v)
{
    config_unref(&v->cfg);
    *v = (struct life_version){.cfg = NULL};
}

void life_free(struct life **lp)
{
    struct life *l = *lp;

    *lp = NULL;
    if (l == NULL) {
        return;
    }
    life_version_free(&l->now);
    life_version_free(&l->before);
    config_slots_free(&l->slots);
    buf_free(&l->text);
    mem_free(l->file);
    mem_free(l->store_path);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

void life_why(struct life_result *out, const char *fmt, ...)
{
    struct buf b;
    va_list ap;

    buf_init_fixed(&b, out->why, sizeof(out->why) - 1);
    va_start(ap, fmt);
    buf_putv(&b, fmt, ap);
    va_end(ap);
    out->why[b.n] = '\0';
}

int life_build(struct life *l, const char *name, struct sl text, struct config **cfg,
               struct config_errors *errs)
{
    return config_build(
        cfg, &(struct config_text){.name = name, .text = text, .book = l->book, .slots = l->slots},
        errs);
}

int life_slurp(struct life *l, struct buf *text)
{
    if (l->file != NULL) {
        return config_slurp(text, l->file);
    }
    buf_putsl(text, config_default_text());
    return buf_err(text);
}

int life_read(struct life *l, struct config_errors *errs)
{
    int err = life_slurp(l, &l->text);

    *errs = (struct config_errors){.n = 0};
    if (err == 0) {
        err = life_build(l, l->file != NULL ? l->file : "default.yaml", buf_sl(&l->text),
                         &l->now.cfg, errs);
    }
    if (err == 0) {
        config_hash(buf_sl(&l->text), l->now.hash);
        l->store_path = mem_strndup(l->now.cfg->store_path, strlen(l->now.cfg->store_path));
        err = l->store_path != NULL ? 0 : ENOMEM;
    }
    return err;
}

const struct config *life_file(const struct life *l)
{
    return l->now.cfg;
}

void life_attach(struct life *l, const struct life_ops *ops, void *arg)
{
    pthread_mutex_lock(&l->lock);
    l->ops = ops;
    l->arg = arg;
    pthread_mutex_unlock(&l->lock);
}

void life_detach(struct life *l)
{
    life_attach(l, NULL, NULL);
}

struct config *life_config(struct life *l)
{
    struct config *cfg;

    pthread_mutex_lock(&l->lock);
    cfg = config_ref(l->now.cfg);
    pthread_mutex_unlock(&l->lock);
    return cfg;
}

void life_restart_text(const struct life *l, const struct config *cfg, char *out, size_t cap)
{
    struct buf b;

    buf_init_fixed(&b, out, cap - 1);
    (void)config_restart_keys(&l->first, cfg, &b);
    out[b.n] = '\0';
}

void life_get(struct life *l, struct life_status *out)
{
    pthread_mutex_lock(&l->lock);
    *out = (struct life_status){.version = l->now.id,
                                .base = l->now.base,
                                .source = (enum config_source)l->now.cfg->source,
                                .in_force_ms = l->in_force_ms,
                                .confirm_until_ms = l->until_wall_ms};
    memcpy(out->hash, l->now.hash, sizeof(out->hash));
    life_restart_text(l, l->now.cfg, out->restart, sizeof(out->restart));
    pthread_mutex_unlock(&l->lock);
}

int life_save_state(struct life *l, uint64_t id, enum store_version_state state)
{
    return store_save_version(l->store, &(struct store_version){.id = id, .state = state}, 0,
                              LIFE_STORE_MS);
}

/* --- the time that goes by --- */

static void life_expire(struct life *l, int64_t now_ms)
{
    struct life_result out = {.version = 0};
    bool is_undoing = l->undo_by_ms != 0;

    if (l->until_ms == 0 || l->ops == NULL || (!is_undoing && now_ms < l->until_ms)) {
        return;
    }
    if (!is_undoing) {
        log_warn(NULL, "version %llu of the configuration was not confirmed in time",
                 (unsigned long long)l->now.id);
        stat_inc(STAT_CONFIG_EXPIRED);
    }
    (void)life_undo(l, &out); /* if not now, then in one of the next ticks */
}

static void life_note_undone(struct life *l, int64_t now_ms)
{
    if (l->unwritten == 0 || now_ms < l->retry_ms) {
        return;
    }
    if (life_save_state(l, l->unwritten, STORE_VERSION_ROLLED_BACK) == 0) {
        l->unwritten = 0;
    }
    l->retry_ms = now_ms + LIFE_RETRY_MS;
}

void life_tick(struct life *l)
{
    int64_t now_ms = clock_now_ms(&l->clock);

    if (pthread_mutex_trylock(&l->lock) != 0) {
        return; /* a change is under way: next time */
    }
    life_expire(l, now_ms);
    life_note_undone(l, now_ms);
    pthread_mutex_unlock(&l->lock);
}
