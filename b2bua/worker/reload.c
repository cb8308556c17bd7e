/* reload.c - another configuration for the running house: what may fail is done first, then every
 * worker is told. Snapshots are freed here, not on the workers: a large one takes a while. */
#include "worker/worker_int.h"

/* What is in force, but could not be told yet, would be forgotten for what is prepared now. */
static void ask_open(struct worker *w, struct ask *a)
{
    worker_catch_up(w);
    a->err = worker_open(w, a->cfg, &a->out);
}

/* Without a thread (before the start, tests) there is nobody to ask. */
static int open_on(struct worker *w, struct config *cfg, struct buf *why)
{
    struct ask a;
    int err;

    if (!w->running) {
        return worker_open(w, cfg, why);
    }
    err = worker_ask_config(w, ask_open, cfg, &a);
    if (err != 0) {
        buf_putf(why, "%.*s",
                 SL_ARG(a.out.n != 0 ? buf_sl(&a.out) : SL("a worker gave no answer in time")));
    }
    buf_free(&a.out);
    return err;
}

/* --- snapshots that were left --- */

static void retire(struct b2bua *b, struct config *cfg)
{
    if (b->n_retired == RETIRED_MAX) {
        config_unref(&cfg); /* whoever has it last frees it, be it a worker */
        return;
    }
    b->retired[b->n_retired++] = cfg;
}

void house_free_retired(struct b2bua *b, bool all)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n_retired; i++) {
        if (all || config_is_mine(b->retired[i])) {
            config_unref(&b->retired[i]);
        } else {
            b->retired[n++] = b->retired[i];
        }
    }
    b->n_retired = n;
}

/* The workers may still have it: none of them shall be the last. */
static void leave_prepared(struct b2bua *b)
{
    if (b->next_cfg != NULL) {
        retire(b, b->next_cfg);
        b->next_cfg = NULL;
    }
}

/* --- what is the whole house's --- */

static int prepare_ring(struct b2bua *b, const struct config *cfg, struct buf *why)
{
    const struct token_turn turn = {.wall_ms = clock_wall_ms(&b->clock),
                                    .life_ms = house_key_life_ms(b)};
    int err;

    token_ring_free(&b->next_ring);
    if (sl_eq(sl_str(cfg->key_file), sl_str(b->cfg->key_file))) {
        return 0;
    }
    err = token_ring_follow(&b->next_ring, b->ring, cfg->key_file, &turn);
    if (err == ENOBUFS) {
        buf_putf(why, "node.key: calls may still know the last %d keys; it cannot change again yet",
                 1 + TOKEN_OLDER_MAX);
    } else if (err != 0) {
        buf_putf(why, "node.key: %s: %s", cfg->key_file, strerror(err));
    }
    return err;
}

static int prepare_pool(struct b2bua *b, const struct config *cfg, struct buf *why)
{
    int err = 0;

    crypto_pool_free(&b->next_pool);
    if (b->pool == NULL || (cfg->crypto_threads == b->cfg->crypto_threads &&
                            cfg->crypto_queue == b->cfg->crypto_queue)) {
        return 0;
    }
    if (b->old_pool != NULL) {
        buf_puts(why, "node.crypto_threads: the last change is still under way");
        return EBUSY;
    }
    err = crypto_pool_new(&b->next_pool, cfg->crypto_threads, cfg->crypto_queue);
    if (err != 0) {
        buf_putf(why, "node.crypto_threads: %s", strerror(err));
    }
    return err;
}

int b2bua_prepare(struct b2bua *b, struct config *cfg, struct buf *why)
{
    int err;

    pthread_mutex_lock(&b->turn);
    leave_prepared(b);
    b->next_cfg = config_ref(cfg);
    err = prepare_ring(b, cfg, why);
    if (err == 0) {
        err = prepare_pool(b, cfg, why);
    }
    for (uint32_t i = 0; err == 0 && i < b->n_workers; i++) {
        err = open_on(b->workers[i], cfg, why);
    }
    pthread_mutex_unlock(&b->turn);
    if (err != 0) {
        b2bua_abandon(b);
    }
    return err;
}

static void on_abandon(void *owner, struct loop_msg *m)
{
    (void)m;
    worker_catch_up(owner);
    worker_abandon(owner);
}

void b2bua_abandon(struct b2bua *b)
{
    pthread_mutex_lock(&b->turn);
    leave_prepared(b);
    token_ring_free(&b->next_ring);
    crypto_pool_free(&b->next_pool);
    for (uint32_t i = 0; i < b->n_workers; i++) {
        struct worker *w = b->workers[i];

        if (!w->running) {
            worker_abandon(w);
        } else if (loop_post(w->loop, &(struct loop_msg){.fn = on_abandon}) != 0) {
            log_warn(NULL, "worker %u is too busy to close what it opened in vain", i);
        }
    }
    pthread_mutex_unlock(&b->turn);
}

/* The pool before is of no use once no worker puts anything into it, and what it was given has been
 * begun: what still waits would be given back undone, and each is a handshake. */
void house_end_old_pool(struct b2bua *b)
{
    struct crypto_pool_counts counts;

    if (b->old_pool == NULL) {
        return;
    }
    for (uint32_t i = 0; i < b->n_workers; i++) {
        if (atomic_load(&b->workers[i]->pool_seen) != b->pool) {
            return;
        }
    }
    crypto_pool_counts(b->old_pool, &counts);
    if (counts.queued == 0) {
        crypto_pool_free(&b->old_pool);
    }
}

static void take_prepared(struct b2bua *b)
{
    if (b->next_ring != NULL) {
        house_set_ring(b, b->next_ring);
        b->next_ring = NULL;
    }
    if (b->next_pool != NULL) {
        b->old_pool = b->pool;
        pthread_mutex_lock(&b->lock);
        b->pool = b->next_pool;
        pthread_mutex_unlock(&b->lock);
        b->next_pool = NULL;
    }
}

static void take_log(struct b2bua *b, const struct config *old, const struct config *cfg)
{
    log_set_level(cfg->log_level);
    if (old->log_json != cfg->log_json || !sl_eq(sl_str(old->node_name), sl_str(cfg->node_name))) {
        log_setup(cfg->log_level, cfg->log_json, cfg->node_name);
        if (b->store != NULL) {
            store_set_node(b->store, cfg->node_name);
        }
    }
}

void b2bua_commit(struct b2bua *b, struct config *cfg)
{
    struct config *old = b->cfg;

    pthread_mutex_lock(&b->turn);
    take_prepared(b);
    pthread_mutex_lock(&b->lock);
    b->cfg = config_ref(cfg);
    pthread_mutex_unlock(&b->lock);
    guard_set_config(b->guard, cfg);
    b->longest_ms = cfg->duration_ms > b->longest_ms ? cfg->duration_ms : b->longest_ms;
    atomic_store_explicit(&b->in_force, cfg, memory_order_release); /* all of it is there */
    house_tell_config(b);
    config_unref(&b->next_cfg);
    take_log(b, old, cfg);
    retire(b, old);
    pthread_mutex_unlock(&b->turn);
}
