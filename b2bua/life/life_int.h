/* life_int.h - inside life/. */
#ifndef POSTERN_LIFE_INT_H
#define POSTERN_LIFE_INT_H

#include "life/life.h"

#include <pthread.h>

#define LIFE_STORE_MS 5000 /* how long the store may take for a version */
#define LIFE_UNDO_MS 10000 /* how long going back is tried before it is done as far as it goes */

struct life_version { /* a snapshot and what is known of it */
    struct config *cfg;
    uint64_t id, base;
    char hash[CONFIG_HASH_LEN + 1];
};

struct life {
    pthread_mutex_t lock;
    struct clock clock;
    char *file; /* NULL: the embedded default */
    struct policy_book *book;
    struct config_slots *slots;
    struct store *store;
    struct config first; /* only what a reload cannot change; of the start */
    char *store_path;
    const struct life_ops *ops; /* NULL: no changes */
    void *arg;
    /* lock's */
    struct buf text; /* of the file, between life_read() and life_start() */
    struct life_version now, before;
    int64_t in_force_ms;
    int64_t until_ms; /* monotonic: `now` is undone unless confirmed; 0: it stands */
    int64_t until_wall_ms;
    int64_t undo_by_ms; /* monotonic: being undone, at the latest then as far as it goes; 0: not */
    uint64_t last_id;
    uint64_t unwritten; /* a version that the store still has as pending, although it was undone */
    int64_t retry_ms;
};

static inline bool life_same_hash(struct sl a, struct sl b)
{
    return a.n != 0 && sl_eq(a, b);
}

/* life.c */
MUST_USE int life_build(struct life *l, const char *name, struct sl text, struct config **cfg,
                        struct config_errors *errs);
void life_version_free(struct life_version *v);
void life_restart_text(const struct life *l, const struct config *cfg, char *out, size_t cap);
/* With the lock held: writes it, at least tries to. */
MUST_USE int life_save_state(struct life *l, uint64_t id, enum store_version_state state);
MUST_USE int life_slurp(struct life *l, struct buf *text); /* the file as it is now */
/* change.c: with the lock held, while a window is open: the version before comes back. An error: it
 * cannot be prepared now (out->why), `now` stays in force meanwhile, and life_tick() goes on. */
int life_undo(struct life *l, struct life_result *out);
void life_why(struct life_result *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* start.c: what life_rollback() needs of the store, too. */
struct life_row {
    struct store_version v;
    struct arena arena; /* of its slices; freed by the caller */
    bool found;
};
MUST_USE int life_row_read(struct life *l, uint64_t id, struct life_row *row);
void life_row_free(struct life_row *row);

#endif
