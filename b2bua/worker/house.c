/* house.c - the process: builds the workers, starts and stops them together, gives them new
 * configurations and keys. */
#include "worker/worker_int.h"

#define KEY_LIFE_MS (24 * 3600 * 1000LL)
#define KEY_RETRY_MS (3600 * 1000LL) /* after a failure, e.g. a full disk */

static int make_workers(struct b2bua *b, const char **why)
{
    for (uint32_t i = 0; i < b->n_workers; i++) {
        int err = worker_new(&b->workers[i], b, (uint8_t)i);

        if (err == 0) {
            err = worker_listen(b->workers[i], why);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Registered flows are no strangers after a restart: they need not prove themselves all at once. */
static void prove_binding(struct b2bua *b, const struct store_binding *row)
{
    int64_t left_ms = row->expires_ms - clock_wall_ms(&b->clock);
    struct addr flow;

    if (left_ms > 0 && sl_eq(row->transport, SL("udp")) &&
        addr_parse_hostport(row->received, 0, &flow) == 0) {
        (void)policy_prove(b->gate, &flow, b->started_ms + left_ms, b->started_ms);
    }
}

static bool on_binding(const struct store_binding *row, void *arg)
{
    struct b2bua *b = arg;

    prove_binding(b, row);
    for (uint32_t i = 0; i < b->n_workers; i++) {
        registrar_load(b->workers[i]->registrar, row);
    }
    return true;
}

/* Read page by page: the cursor is the last row seen. */
struct load_page {
    struct b2bua *b;
    struct arena arena;
    struct sl user, contact;
    uint32_t n;
};

static bool on_page_row(const struct store_binding *row, void *arg)
{
    struct load_page *p = arg;

    p->n++;
    p->user = arena_dup(&p->arena, row->user);
    p->contact = arena_dup(&p->arena, row->contact);
    return on_binding(row, p->b);
}

static int load_bindings(struct b2bua *b)
{
    struct load_page p = {.b = b};
    struct store_reader *r = NULL;
    int err = store_reader_open(&r, b->cfg->store_path);

    arena_init(&p.arena, 4096, 0);
    while (err == 0) {
        p.n = 0;
        err = store_read_bindings(r,
                                  &(struct store_binding_filter){.after_user = p.user,
                                                                 .after_contact = p.contact,
                                                                 .limit = 1000},
                                  on_page_row, &p);
        if (p.n == 0) {
            break;
        }
    }
    arena_free(&p.arena);
    store_reader_close(&r);
    return err;
}

static void house_free(struct b2bua **bp)
{
    struct b2bua *b = *bp;

    *bp = NULL;
    callout_free(&b->callout); /* answers go to the workers' loops */
    for (uint32_t i = 0; i < b->n_workers; i++) {
        if (b->workers[i] != NULL) {
            worker_close(b->workers[i]);
        }
    }
    if (b->old_pool != NULL) {
        crypto_pool_stop(b->old_pool);
    }
    if (b->pool != NULL) {
        crypto_pool_stop(b->pool); /* whatever was lent comes back before its owner goes */
    }
    for (uint32_t i = 0; i < b->n_workers; i++) {
        worker_free(&b->workers[i]);
    }
    dtls_ctx_free(&b->dtls);
    crypto_pool_free(&b->pool);
    crypto_pool_free(&b->old_pool);
    crypto_pool_free(&b->next_pool);
    token_ring_free(&b->next_ring);
    token_ring_free(&b->ring);
    auth_free(&b->auth);
    guard_free(&b->guard);
    policy_gate_free(&b->gate);
    repeats_free(&b->repeats);
    config_unref(&b->cfg);
    config_unref(&b->next_cfg);
    house_free_retired(b, true);
    pthread_mutex_destroy(&b->lock);
    pthread_mutex_destroy(&b->turn);
    mem_free(b);
}

static void stop_threads(struct b2bua *b)
{
    for (uint32_t i = 0; i < b->n_workers; i++) {
        if (b->workers[i] != NULL && b->workers[i]->running) {
            loop_stop(b->workers[i]->loop);
        }
    }
    for (uint32_t i = 0; i < b->n_workers; i++) {
        if (b->workers[i] != NULL && b->workers[i]->running) {
            pthread_join(b->workers[i]->thread, NULL);
            b->workers[i]->running = false;
        }
    }
}

/* Who is let in. */
static int start_guard(struct b2bua *b, const char **why)
{
    int err = auth_new(&b->auth);

    *why = "out of memory";
    if (err == 0) {
        err = policy_gate_new(&b->gate);
    }
    if (err == 0) {
        err = repeats_new(&b->repeats);
    }
    if (err == 0) {
        *why = "the guard cannot be built";
        err = guard_new(&b->guard,
                        &(struct guard_params){.cfg = b->cfg, .gate = b->gate, .store = b->store});
    }
    if (err == 0 && b->store != NULL) {
        *why = "bans cannot be read from the store";
        err = guard_load(b->guard, b->cfg->store_path);
    }
    return err;
}

static int start_tools(struct b2bua *b, const char **why)
{
    int err = token_ring_load(&b->ring, b->cfg->key_file);

    *why = "token key file cannot be used";
    if (err == 0) {
        *why = "crypto threads cannot be started";
        err = crypto_pool_new(&b->pool, b->cfg->crypto_threads, b->cfg->crypto_queue);
    }
    if (err == 0) {
        *why = "certificate for DTLS-SRTP cannot be made";
        err = dtls_ctx_new(&b->dtls, &(struct dtls_ctx_params){0});
    }
    if (err == 0) {
        *why = "the thread for callouts cannot be started";
        err = callout_new(&b->callout);
    }
    return err;
}

static int start(struct b2bua *b, const char **why)
{
    int err = start_guard(b, why);

    if (err == 0) {
        err = start_tools(b, why);
    }
    if (err == 0) {
        *why = "workers cannot be built";
        err = make_workers(b, why);
    }
    if (err == 0 && b->store != NULL) {
        *why = "bindings cannot be read from the store";
        err = load_bindings(b);
    }
    if (err == 0) {
        *why = "threads cannot be started";
        err = guard_run(b->guard);
    }
    for (uint32_t i = 0; err == 0 && i < b->n_workers; i++) {
        *why = "threads cannot be started";
        err = worker_run(b->workers[i]);
    }
    return err;
}

int b2bua_start(struct b2bua **bp, const struct b2bua_params *p, const char **why)
{
    struct b2bua *b = mem_zalloc(sizeof(*b));
    int err;

    if (b == NULL) {
        *why = "out of memory";
        return ENOMEM;
    }
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_init(&b->turn, NULL);
    clock_init_real(&b->clock);
    b->cfg = config_ref(p->cfg);
    atomic_init(&b->in_force, b->cfg);
    b->store = p->store;
    b->n_workers = p->cfg->workers < WORKERS_MAX ? p->cfg->workers : WORKERS_MAX;
    b->started_ms = clock_now_ms(&b->clock);
    b->started_wall_ms = clock_wall_ms(&b->clock);
    b->longest_ms = b->cfg->duration_ms;
    err = start(b, why);
    if (err != 0) {
        stop_threads(b);
        house_free(&b);
        return err;
    }
    atomic_store(&b->listening, true);
    *bp = b;
    return 0;
}

/* --- news for all workers: kept until each of them has it --- */

enum news { NEWS_CONFIG, NEWS_RING, NEWS_DRAIN, NEWS_DRAIN_END };

static void on_config(void *owner, struct loop_msg *m)
{
    struct config *cfg = m->ptr;

    worker_take_config(owner, cfg);
    config_unref(&cfg);
}

static void drop_config(void *owner, struct loop_msg *m)
{
    struct config *cfg = m->ptr;

    (void)owner;
    config_unref(&cfg);
}

static int post_config(struct b2bua *b, struct worker *w)
{
    struct loop_msg m = {.fn = on_config, .ptr = config_ref(b->cfg), .drop = drop_config};
    int err = loop_post(w->loop, &m);

    if (err != 0) {
        drop_config(NULL, &m);
    }
    return err;
}

static void on_ring(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;
    struct token_ring *old = w->ring;

    w->ring = m->ptr;
    tx_table_set_ring(w->tab, w->ring);
    call_table_set_ring(w->calls, w->ring);
    token_ring_free(&old);
    atomic_store(&w->ring_seen, m->a);
}

static void drop_ring(void *owner, struct loop_msg *m)
{
    struct token_ring *r = m->ptr;

    (void)owner;
    token_ring_free(&r);
}

static int post_ring(struct b2bua *b, struct worker *w)
{
    struct token_ring *clone = NULL;
    int err = token_ring_clone(&clone, b->ring);

    if (err == 0) {
        err = loop_post(
            w->loop,
            &(struct loop_msg){.fn = on_ring, .ptr = clone, .drop = drop_ring, .a = b->ring_turn});
    }
    if (err != 0) {
        token_ring_free(&clone);
    }
    return err;
}

static void on_drain(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;

    (void)m;
    call_drain(w->calls);
}

static int post_drain(struct b2bua *b, struct worker *w)
{
    (void)b;
    return loop_post(w->loop, &(struct loop_msg){.fn = on_drain});
}

static void on_drain_end(void *owner, struct loop_msg *m)
{
    struct worker *w = owner;

    (void)m;
    call_drain_end(w->calls);
}

static int post_drain_end(struct b2bua *b, struct worker *w)
{
    (void)b;
    return loop_post(w->loop, &(struct loop_msg){.fn = on_drain_end});
}

static const struct {
    const char *name;
    int (*post)(struct b2bua *b, struct worker *w);
} news_table[] = {[NEWS_CONFIG] = {"configuration", post_config},
                  [NEWS_RING] = {"token key", post_ring},
                  [NEWS_DRAIN] = {"drain", post_drain},
                  [NEWS_DRAIN_END] = {"end of the drain time", post_drain_end}};

/* What could be posted of what the worker has not heard yet; always the newest state of it. */
static void tell(struct b2bua *b, uint32_t i)
{
    for (size_t k = 0; k < COUNT_OF(news_table); k++) {
        if ((b->news[i] & 1u << k) != 0 && news_table[k].post(b, b->workers[i]) == 0) {
            b->news[i] &= (uint8_t) ~(1u << k);
        }
    }
}

static void tell_all(struct b2bua *b, enum news what)
{
    for (uint32_t i = 0; i < b->n_workers; i++) {
        b->news[i] |= (uint8_t)(1u << what);
        tell(b, i);
        if ((b->news[i] & 1u << what) != 0) {
            log_warn(NULL, "worker %u is too busy to be told (%s); tried again soon", i,
                     news_table[what].name);
        }
    }
}

void house_tell_config(struct b2bua *b)
{
    tell_all(b, NEWS_CONFIG);
}

/* Takes ownership. It is written with as soon as every worker can read it, see begin_key(). */
void house_set_ring(struct b2bua *b, struct token_ring *r)
{
    token_ring_free(&b->ring);
    b->ring = r;
    b->ring_turn++;
    tell_all(b, NEWS_RING);
}

static void begin_key(struct b2bua *b)
{
    for (uint32_t i = 0; i < b->n_workers; i++) {
        if (atomic_load(&b->workers[i]->ring_seen) != b->ring_turn) {
            return;
        }
    }
    if (token_ring_begin(b->ring) == 0) { /* else by the next tick */
        tell_all(b, NEWS_RING);
    }
}

/* A call may last so long, and meet the key that it began with. */
int64_t house_key_life_ms(const struct b2bua *b)
{
    return b->longest_ms > KEY_LIFE_MS ? b->longest_ms : KEY_LIFE_MS;
}

static bool key_is_due(const struct b2bua *b, int64_t wall_ms)
{
    return wall_ms - token_ring_made_ms(b->ring) >= house_key_life_ms(b) &&
           clock_now_ms(&b->clock) >= b->key_retry_ms;
}

static void rotate_key(struct b2bua *b, int64_t wall_ms)
{
    const struct token_turn turn = {.wall_ms = wall_ms, .life_ms = house_key_life_ms(b)};
    struct token_ring *now = NULL;

    if (token_ring_rotate(&now, b->ring, b->cfg->key_file, &turn) != 0) {
        b->key_retry_ms = clock_now_ms(&b->clock) + KEY_RETRY_MS;
        log_error(NULL, "token key could not be renewed; the old one stays, next try in an hour");
        return;
    }
    house_set_ring(b, now);
}

void b2bua_tick(struct b2bua *b, int64_t wall_ms)
{
    tls_tickets_tick(clock_now_ms(&b->clock));
    pthread_mutex_lock(&b->turn);
    for (uint32_t i = 0; i < b->n_workers; i++) {
        tell(b, i);
    }
    if (key_is_due(b, wall_ms)) {
        rotate_key(b, wall_ms);
    }
    if (token_ring_waits(b->ring)) {
        begin_key(b);
    }
    house_free_retired(b, false);
    house_end_old_pool(b);
    pthread_mutex_unlock(&b->turn);
}

void b2bua_drain(struct b2bua *b)
{
    atomic_store(&b->draining, true);
    pthread_mutex_lock(&b->turn);
    tell_all(b, NEWS_DRAIN);
    pthread_mutex_unlock(&b->turn);
}

void b2bua_drain_end(struct b2bua *b)
{
    pthread_mutex_lock(&b->turn);
    tell_all(b, NEWS_DRAIN_END);
    pthread_mutex_unlock(&b->turn);
}

static void ask_alive(struct worker *w, struct ask *a)
{
    a->id = call_alive(w->calls);
}

static void ask_finishing(struct worker *w, struct ask *a)
{
    a->id = call_finishing(w->calls);
}

static uint32_t sum_of(struct b2bua *b, ask_fn *fn)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < b->n_workers; i++) {
        struct ask a;

        if (worker_ask(b->workers[i], fn, 0, &a) != 0) {
            return UINT32_MAX;
        }
        sum += (uint32_t)a.id;
        buf_free(&a.out);
    }
    return sum;
}

uint32_t b2bua_alive(struct b2bua *b)
{
    return sum_of(b, ask_alive);
}

uint32_t b2bua_finishing(struct b2bua *b)
{
    return sum_of(b, ask_finishing);
}

void b2bua_stop(struct b2bua **bp)
{
    if (*bp == NULL) {
        return;
    }
    atomic_store(&(*bp)->listening, false);
    stop_threads(*bp);
    house_free(bp);
}
