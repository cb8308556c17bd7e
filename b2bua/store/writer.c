/* writer.c - the only thread that writes: sleeps until something is posted, gathers for a moment,
 * merges, writes batches. When the database refuses, it keeps everything and tries again. */
#include "store/store_int.h"

#include <poll.h>
#include <unistd.h>

#define WRITER_FEW 100    /* records in a batch: */
#define WRITER_MORE 3     /* fewer wait so many batch_ms for others, as each transaction is dear */
#define WRITER_BUSY_MS 50 /* how long SQLite itself waits for a lock */
#define WRITER_BACKOFF_MIN_MS 100
#define WRITER_BACKOFF_MAX_MS 2000
#define WRITER_STOP_RETRY_MS 50
#define WRITER_LOOK_MS 2000  /* nothing is posted: whether the file is still there */
#define WRITER_SPILL_MS 2000 /* the database refuses for so long: what waits may outlive us */
#define WRITER_SPILL_PART 20 /* of the writer's time at most one part in so many */

static bool writer_has_posts(struct store *s)
{
    return atomic_load_explicit(&s->posted, memory_order_relaxed) != NULL;
}

/* Somebody waits for it, so nothing is gathered before. */
static bool writer_has_job(struct store *s)
{
    return atomic_load(&s->has_version_job);
}

static int64_t writer_stop_left_ms(struct store *s)
{
    return atomic_load(&s->stop_at_ms) - clock_now_ms(&s->clock);
}

static bool writer_is_done(struct store *s)
{
    if (!atomic_load(&s->stopping)) {
        return false;
    }
    return (s->pending.n == 0 && list_is_empty(&s->order) && !writer_has_posts(s) &&
            !writer_has_job(s)) ||
           writer_stop_left_ms(s) <= 0;
}

/* Until stop_fd says stop, for ms, or until something is posted when the caller says so. */
static void writer_poll(struct store *s, int ms, bool for_posts)
{
    struct pollfd fds[2] = {{.fd = s->stop_fd, .events = POLLIN},
                            {.fd = for_posts ? s->wake_fd : -1, .events = POLLIN}};
    uint64_t n;
    ssize_t got;

    (void)poll(fds, 2, ms);
    if ((fds[1].revents & POLLIN) != 0) {
        got = read(s->wake_fd, &n, sizeof(n));
        (void)got; /* non-blocking; a count of nothing means the same */
    }
}

static void writer_wait(struct store *s)
{
    if (atomic_load(&s->stopping)) {
        int64_t left = writer_stop_left_ms(s);

        if (s->backoff_ms != 0) { /* stop_fd stays ready, so it cannot be waited for */
            (void)poll(NULL, 0, (int)(left < WRITER_STOP_RETRY_MS ? left : WRITER_STOP_RETRY_MS));
        }
        return;
    }
    if (s->backoff_ms != 0) {
        writer_poll(s, (int)s->backoff_ms, false);
        return;
    }
    if (!writer_has_posts(s) && !writer_has_job(s)) {
        int64_t due_ms = pending_due_ms(s, clock_now_ms(&s->clock));

        writer_poll(s, due_ms >= 0 ? (int)due_ms : WRITER_LOOK_MS, true);
    }
    if (writer_has_posts(s) && !writer_has_job(s)) {
        writer_poll(s, (int)s->batch_ms, false);
        if (atomic_load_explicit(&s->backlog, memory_order_relaxed) < WRITER_FEW &&
            !atomic_load(&s->stopping)) {
            writer_poll(s, (int)s->batch_ms * WRITER_MORE, false);
        }
    }
}

static void writer_set_health(struct store *s, int64_t since_ms, const char *error)
{
    struct buf b;

    (void)pthread_mutex_lock(&s->health_lock);
    s->failing_since_ms = since_ms;
    buf_init_fixed(&b, s->error, sizeof(s->error) - 1);
    buf_putsl(&b, sl_head(sl_str(error), sizeof(s->error) - 1));
    s->error[b.n] = '\0';
    (void)pthread_mutex_unlock(&s->health_lock);
}

/* A kill would lose what waits in memory. A full disk has no room for it, and what was set aside is
 * for the end. */
static void writer_spill(struct store *s, int rc)
{
    int64_t start_ms = clock_now_ms(&s->clock), took_ms;
    size_t n;
    int err;

    if (atomic_load(&s->stopping) || (rc & 0xff) == SQLITE_FULL || start_ms < s->spill_at_ms) {
        return;
    }
    err = spill_write(s, false, &n);
    s->has_spilled = s->has_spilled || err == 0;
    took_ms = clock_now_ms(&s->clock) - start_ms;
    s->spill_at_ms = start_ms + WRITER_SPILL_MS + took_ms * WRITER_SPILL_PART;
}

static void writer_failed(struct store *s, int rc, const char *error)
{
    if (s->backoff_ms == 0) {
        writer_set_health(s, clock_wall_ms(&s->clock), error);
        log_error(NULL, "store: %s cannot be written: %s; records wait", s->path, error);
        s->spill_at_ms = clock_now_ms(&s->clock) + WRITER_SPILL_MS;
    }
    writer_spill(s, rc);
    s->backoff_ms = s->backoff_ms == 0 ? WRITER_BACKOFF_MIN_MS : s->backoff_ms * 2;
    if (s->backoff_ms > WRITER_BACKOFF_MAX_MS) {
        s->backoff_ms = WRITER_BACKOFF_MAX_MS;
    }
    atomic_fetch_add(&s->retries, 1);
    stat_inc(STAT_STORE_RETRY);
}

static void writer_worked(struct store *s, size_t n)
{
    if (s->backoff_ms != 0) {
        writer_set_health(s, 0, "");
        log_info(NULL, "store: %s is written again", s->path);
        s->backoff_ms = 0;
    }
    atomic_fetch_add(&s->rows, n);
    stat_add(STAT_STORE_ROWS, n);
    pending_done(s, n);
    if (s->has_spilled && list_is_empty(&s->order)) {
        spill_forget(s);
        s->has_spilled = false;
    }
}

int writer_open(struct store *s)
{
    int err = db_leave_moved(&s->db, s->path);

    return err != 0 || s->db.h != NULL ? err : db_open(&s->db, s->path);
}

/* One transaction of the oldest records; *n says how many. SQLite's code. */
static int writer_transact(struct store *s, size_t *n)
{
    int rc = db_step(&s->db, DB_BEGIN);

    *n = 0;
    if (rc != SQLITE_OK) {
        return rc;
    }
    LIST_FOR_EACH(at, &s->order)
    {
        rc = db_put(&s->db, CONTAINER_OF(at, struct rec, in_order));
        if (rc != SQLITE_OK || ++*n == STORE_BATCH_ROWS) {
            break;
        }
    }
    if (rc == SQLITE_OK) {
        rc = db_step(&s->db, DB_COMMIT);
    }
    if (rc != SQLITE_OK && sqlite3_get_autocommit(s->db.h) == 0) {
        (void)db_step(&s->db, DB_ROLLBACK);
    }
    return rc;
}

/* A lock or a full disk passes by itself; after anything else the connection is made anew. */
static bool writer_may_keep(int rc)
{
    int primary = rc & 0xff;

    return primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_FULL;
}

static bool writer_write(struct store *s)
{
    size_t n = 0;
    int rc;

    if (writer_open(s) != 0) {
        writer_failed(s, SQLITE_CANTOPEN, "the database cannot be opened");
        return false;
    }
    (void)sqlite3_busy_timeout(s->db.h, WRITER_BUSY_MS);
    rc = writer_transact(s, &n);
    if (rc != SQLITE_OK) {
        writer_failed(s, rc, sqlite3_errstr(rc));
        if (!writer_may_keep(rc)) {
            db_close(&s->db);
        }
        return false;
    }
    writer_worked(s, n);
    return true;
}

/* Who asks /readyz sends us no call as long as the file is missing, so no record would bring it
 * back. */
static void writer_look(struct store *s)
{
    if (!list_is_empty(&s->order) || (s->db.h != NULL && !db_has_moved(s->db.h))) {
        return;
    }
    if (writer_open(s) == 0) {
        writer_worked(s, 0);
    } else {
        writer_failed(s, SQLITE_CANTOPEN, "the database cannot be opened");
    }
}

void *writer_main(void *arg)
{
    struct store *s = arg;
    int err = stat_thread_init();

    (void)pthread_setname_np(pthread_self(), "store");
    (void)err; /* without a block of its own it counts in the shared one */
    while (!writer_is_done(s)) {
        writer_wait(s);
        version_write(s);
        pending_take(s);
        pending_release(s, atomic_load(&s->stopping));
        writer_look(s);
        while (!list_is_empty(&s->order) && writer_write(s)) {
            continue;
        }
    }
    return NULL;
}
