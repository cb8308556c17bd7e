/* start.c - which version a new process begins with. */
#include "life/life_int.h"

static bool on_life_row(const struct store_version *v, void *arg)
{
    struct life_row *row = arg;

    row->found = true;
    row->v = *v;
    row->v.origin = arena_dup(&row->arena, v->origin);
    row->v.who = arena_dup(&row->arena, v->who);
    row->v.comment = arena_dup(&row->arena, v->comment);
    row->v.hash = arena_dup(&row->arena, v->hash);
    row->v.text = arena_dup(&row->arena, v->text);
    return false;
}

int life_row_read(struct life *l, uint64_t id, struct life_row *row)
{
    struct store_reader *r = NULL;
    int err = store_reader_open(&r, l->store_path);

    *row = (struct life_row){.found = false};
    arena_init(&row->arena, 1024, 0);
    if (err == 0) {
        err = store_read_version(r, id, on_life_row, row);
    }
    if (err == 0 && row->v.bytes != row->v.text.n) {
        err = ENOMEM; /* a copy did not fit */
    }
    store_reader_close(&r);
    return err;
}

void life_row_free(struct life_row *row)
{
    arena_free(&row->arena);
}

/* What the store has of earlier processes. */
struct life_past {
    uint64_t last;      /* newest of all */
    uint64_t confirmed; /* newest that counts */
    uint64_t pending;   /* newer than that, and waiting when its process died */
    uint64_t refused;   /* newer than that, and the file as it is: undone, or about to be */
    const char *file_hash;
    char confirmed_hash[CONFIG_HASH_LEN + 1];
    bool by_api; /* the one that counts came by the API, or with config.source api */
};

static void life_note_hash(char out[CONFIG_HASH_LEN + 1], struct sl hash)
{
    size_t n = hash.n < CONFIG_HASH_LEN ? hash.n : CONFIG_HASH_LEN;

    memcpy(out, n != 0 ? hash.p : "", n);
    out[n] = '\0';
}

static bool on_life_past(const struct store_version *v, void *arg)
{
    struct life_past *p = arg;

    p->last = p->last == 0 ? v->id : p->last;
    if (v->state == STORE_VERSION_CONFIRMED) {
        p->confirmed = v->id;
        p->by_api = sl_eq(v->origin, SL("api"));
        life_note_hash(p->confirmed_hash, v->hash);
        return false;
    }
    if (v->state == STORE_VERSION_PENDING) {
        p->pending = v->id;
    }
    if (p->refused == 0 && sl_eq(v->hash, sl_str(p->file_hash))) {
        p->refused = v->id;
    }
    return true;
}

static int life_past_read(struct life *l, struct life_past *past)
{
    struct store_reader *r = NULL;
    int err = store_reader_open(&r, l->store_path);

    *past = (struct life_past){.file_hash = l->now.hash};
    if (err == 0) {
        err = store_read_versions(r, 0, 100000, on_life_past, past);
    }
    store_reader_close(&r);
    return err;
}

/* The version that counts, as it is in the store. */
static int life_take_version(struct life *l, uint64_t id, struct config_errors *errs)
{
    struct life_row row;
    char name[64];
    struct buf b;
    int err = life_row_read(l, id, &row);

    buf_init_fixed(&b, name, sizeof(name) - 1);
    buf_putf(&b, "version-%llu", (unsigned long long)id);
    name[b.n] = '\0';
    if (err == 0) {
        config_unref(&l->now.cfg);
        err = life_build(l, name, row.v.text, &l->now.cfg, errs);
    }
    if (err == 0) {
        l->now.id = id;
        l->now.base = row.v.base;
        life_note_hash(l->now.hash, row.v.hash);
    }
    life_row_free(&row);
    return err;
}

/* The file as a new version: it stands, as a start is nobody's slip. */
static int life_take_file(struct life *l, const struct life_past *past)
{
    struct store_version v = {.id = past->last + 1,
                              .at_ms = clock_wall_ms(&l->clock),
                              .base = past->confirmed,
                              .origin =
                                  l->now.cfg->source == CONFIG_BY_API ? SL("api") : SL("file"),
                              .who = sl_str(l->file != NULL ? l->file : "embedded default"),
                              .comment = SL("read at the start"),
                              .hash = sl_str(l->now.hash),
                              .bytes = l->text.n,
                              .text = buf_sl(&l->text)};

    l->now.id = v.id;
    l->now.base = v.base;
    l->last_id = v.id;
    return store_save_version(l->store, &v, l->now.cfg->keep, LIFE_STORE_MS);
}

static int life_choose(struct life *l, const struct life_past *past, struct config_errors *errs)
{
    bool api = l->now.cfg->source == CONFIG_BY_API;

    l->last_id = past->last;
    if (past->confirmed != 0 && api && past->by_api) {
        return life_take_version(l, past->confirmed, errs);
    }
    if (past->confirmed != 0 && past->refused != 0) {
        log_warn(
            NULL,
            "the file is still as version %llu, which was not confirmed: version %llu is taken",
            (unsigned long long)past->refused, (unsigned long long)past->confirmed);
        return life_take_version(l, past->confirmed, errs);
    }
    if (past->confirmed != 0 && sl_eq(sl_str(past->confirmed_hash), sl_str(l->now.hash))) {
        l->now.id = past->confirmed;
        return 0;
    }
    return life_take_file(l, past);
}

int life_start(struct life *l, struct store *store, struct config_errors *errs)
{
    struct life_past past;
    int err;

    *errs = (struct config_errors){.n = 0};
    l->store = store;
    err = life_past_read(l, &past);
    if (err == 0 && past.pending != 0) {
        log_warn(NULL, "version %llu of the configuration was not confirmed: it is undone",
                 (unsigned long long)past.pending);
        err = life_save_state(l, past.pending, STORE_VERSION_ROLLED_BACK);
    }
    if (err == 0) {
        err = life_choose(l, &past, errs);
    }
    if (err == 0) {
        l->now.cfg->version = (uint32_t)l->now.id;
        l->first = (struct config){.workers = l->now.cfg->workers, .store_path = l->store_path};
        l->in_force_ms = clock_wall_ms(&l->clock);
    }
    buf_free(&l->text);
    return err;
}
