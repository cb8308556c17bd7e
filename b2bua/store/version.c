/* version.c - versions of the configuration. Unlike calls they are not posted: what was not written
 * must not come into force, so whoever changes it waits for the disk. */
#include "store/store_int.h"

#include <time.h>
#include <unistd.h>

#define VERSION(type, member)                                                                      \
    {                                                                                              \
#member, FIELD_##type, offsetof(struct store_version, member)                              \
    }

#define VERSION_FIELDS 11
static const struct field version_fields[VERSION_FIELDS] = {
    VERSION(U64, id),    VERSION(I64, at_ms),    VERSION(I64, confirm_until_ms),
    VERSION(U32, state), VERSION(U64, base),     VERSION(TEXT, origin),
    VERSION(TEXT, who),  VERSION(TEXT, comment), VERSION(TEXT, hash),
    VERSION(U64, bytes), VERSION(TEXT, text),
};

void version_init(struct store *s)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&s->version_lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->version_cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* --- writer thread --- */

static int version_run(struct db *db, const char *sql, const struct store_version *v,
                       const int64_t *nums, int n)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);

    if (rc == SQLITE_OK && v != NULL) {
        rc = fields_bind(st, version_fields, VERSION_FIELDS, v);
    }
    for (int i = 0; rc == SQLITE_OK && i < n; i++) {
        rc = sqlite3_bind_int64(st, i + 1, nums[i]);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
    (void)sqlite3_finalize(st);
    return rc;
}

/* The newest `keep`, and whatever a start may need: the newest that counts and all above it. */
static int version_prune(struct db *db, uint32_t keep)
{
    const int64_t n[] = {keep};

    return version_run(db,
                       "DELETE FROM config_versions WHERE id<=("
                       "SELECT id FROM config_versions ORDER BY id DESC LIMIT 1 OFFSET ?)"
                       " AND id<(SELECT max(id) FROM config_versions WHERE state=0)",
                       NULL, n, 1);
}

static int version_put(struct db *db, const struct version_job *job)
{
    const struct store_version *v = job->v;
    const int64_t nums[] = {v->state, v->confirm_until_ms, (int64_t)v->id};
    int rc;

    if (v->text.n == 0) {
        return version_run(db, "UPDATE config_versions SET state=?,confirm_until_ms=? WHERE id=?",
                           NULL, nums, 3);
    }
    rc = version_run(db,
                     "INSERT INTO config_versions(id,at_ms,confirm_until_ms,state,base,origin,who,"
                     "comment,hash,bytes,text) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                     v, NULL, 0);
    return rc == SQLITE_OK ? version_prune(db, job->keep) : rc;
}

/* Calls may be lost with the power, as they say; a version that was acknowledged may not. */
static int version_transact(struct store *s, const struct version_job *job)
{
    int rc;

    if (writer_open(s) != 0) {
        return SQLITE_CANTOPEN;
    }
    (void)db_exec(&s->db, "PRAGMA synchronous=FULL");
    rc = db_step(&s->db, DB_BEGIN);
    if (rc == SQLITE_OK) {
        rc = version_put(&s->db, job);
    }
    if (rc == SQLITE_OK) {
        rc = db_step(&s->db, DB_COMMIT);
    }
    if (rc != SQLITE_OK && sqlite3_get_autocommit(s->db.h) == 0) {
        (void)db_step(&s->db, DB_ROLLBACK);
    }
    (void)db_exec(&s->db, "PRAGMA synchronous=NORMAL");
    return rc;
}

void version_write(struct store *s)
{
    struct version_job *job;

    if (!atomic_load(&s->has_version_job)) {
        return;
    }
    (void)pthread_mutex_lock(&s->version_lock);
    job = s->version_job;
    if (job != NULL) {
        job->taken = true; /* from here on its poster waits, however long it takes */
    }
    (void)pthread_mutex_unlock(&s->version_lock);
    if (job == NULL) {
        return;
    }
    job->err = db_errno(version_transact(s, job));
    (void)pthread_mutex_lock(&s->version_lock);
    job->done = true;
    s->version_job = NULL;
    atomic_store(&s->has_version_job, false);
    (void)pthread_cond_broadcast(&s->version_cond);
    (void)pthread_mutex_unlock(&s->version_lock);
}

/* --- any other thread --- */

static void version_await(struct store *s, struct version_job *job, int64_t wait_ms)
{
    int64_t until_ms = clock_now_ms(&s->clock) + wait_ms;
    struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = (until_ms % 1000) * 1000000};
    int err = 0;

    while (!job->done && (err == 0 || job->taken)) {
        err = job->taken ? pthread_cond_wait(&s->version_cond, &s->version_lock)
                         : pthread_cond_timedwait(&s->version_cond, &s->version_lock, &ts);
    }
    if (!job->done) { /* the writer never saw it */
        s->version_job = NULL;
        atomic_store(&s->has_version_job, false);
        job->err = EBUSY;
    }
}

int store_save_version(struct store *s, const struct store_version *v, uint32_t keep,
                       int64_t wait_ms)
{
    struct version_job job = {.v = v, .keep = keep};
    uint64_t one = 1;
    ssize_t n;

    if (v->text.n > STORE_VERSION_MAX) {
        return EMSGSIZE;
    }
    (void)pthread_mutex_lock(&s->version_lock);
    if (s->version_job != NULL) {
        (void)pthread_mutex_unlock(&s->version_lock);
        return EBUSY;
    }
    s->version_job = &job;
    atomic_store(&s->has_version_job, true);
    n = write(s->wake_fd, &one, sizeof(one));
    (void)n; /* an eventfd that cannot count further is awake already */
    version_await(s, &job, wait_ms);
    (void)pthread_mutex_unlock(&s->version_lock);
    return job.err;
}

/* --- reading --- */

static int version_read(struct store_reader *r, const char *sql, const int64_t *nums,
                        store_version_fn *fn, void *arg, unsigned *rows)
{
    sqlite3 *h = reader_begin(r);
    struct rows found = {.st = NULL};
    struct store_version v;

    *rows = 0;
    found.rc = sqlite3_prepare_v2(h, sql, -1, &found.st, NULL);
    for (int i = 0; i < 2 && found.rc == SQLITE_OK; i++) {
        found.rc = sqlite3_bind_int64(found.st, i + 1, nums[i]);
    }
    while (rows_next(&found, version_fields, VERSION_FIELDS, &v, sizeof(v))) {
        ++*rows;
        if (!fn(&v, arg)) {
            break;
        }
    }
    return rows_end(&found);
}

int store_read_versions(struct store_reader *r, uint64_t before_id, uint32_t limit,
                        store_version_fn *fn, void *arg)
{
    const int64_t nums[2] = {before_id == 0 ? INT64_MAX : (int64_t)before_id, limit};
    unsigned rows;

    return version_read(r,
                        "SELECT id,at_ms,confirm_until_ms,state,base,origin,who,comment,hash,bytes,"
                        "'' FROM config_versions WHERE id<? ORDER BY id DESC LIMIT ?",
                        nums, fn, arg, &rows);
}

int store_read_version(struct store_reader *r, uint64_t id, store_version_fn *fn, void *arg)
{
    const int64_t nums[2] = {(int64_t)id, 1};
    unsigned rows;
    int err = version_read(r,
                           "SELECT id,at_ms,confirm_until_ms,state,base,origin,who,comment,hash,"
                           "bytes,text FROM config_versions WHERE id=? LIMIT ?",
                           nums, fn, arg, &rows);

    return err == 0 && rows == 0 ? ENOENT : err;
}
