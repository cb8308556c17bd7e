/* store.c - opening, closing, health. */
#include "store/store_int.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#define STORE_BATCH_MS 50
#define STORE_BACKLOG_MAX 200000
#define STORE_BACKLOG_BYTES_MAX (256u << 20) /* a quarter of what a spill file may have */
#define STORE_NAMES_MAX (64u << 10)          /* bytes of all names that the node had */
#define STORE_STALE_MS                                                                             \
    (24 * 3600 * INT64_C(1000)) /* a clock that was wrong for a while costs nothing */

/* Two processes on one file would close each other's calls. The lock is a file of its own: closing
 * any descriptor of the database itself would drop SQLite's locks. */
static int store_lock(struct store *s)
{
    struct buf b;
    int err;

    buf_init(&b, 8192);
    buf_putf(&b, "%s.lock", s->path);
    buf_putc(&b, '\0');
    err = buf_err(&b);
    if (err == 0) {
        s->lock_fd = open(b.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (s->lock_fd < 0) {
            err = errno;
            log_error(NULL, "store: %s cannot be made: %s", b.p, strerrordesc_np(err));
        } else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
            err = EBUSY;
            log_error(NULL, "store: another process uses %s", s->path);
        }
    }
    buf_free(&b);
    return err;
}

/* Each call that a crash left open gets its CDR; the best that is known of its end is the last
 * thing that happened to it. */
static int store_close_crashed(struct store *s)
{
    int rc = db_exec(&s->db,
                     "UPDATE calls SET state=" STORE_ENDED ", end_by='system', end_reason='crash',"
                     " end_ms=max(start_ms, ring_ms, answer_ms, end_ms)"
                     " WHERE state<" STORE_ENDED);
    int n = rc == SQLITE_OK ? sqlite3_changes(s->db.h) : 0;

    if (n != 0) {
        log_warn(NULL, "store: %d calls of the last run had no end: ended as crashed", n);
    }
    return db_errno(rc);
}

static int store_find_last_id(struct store *s)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db.h, "SELECT max(id) FROM calls", -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
    }
    if (rc == SQLITE_ROW) { /* NULL is 0 */
        int64_t id = sqlite3_column_int64(st, 0);

        s->last_id = id > 0 ? (uint64_t)id : 0;
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW ? 0 : db_errno(rc);
}

uint64_t store_last_id(const struct store *s)
{
    return s->last_id;
}

static int store_prune_bindings(struct store *s)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db.h, "DELETE FROM bindings WHERE expires_ms<?", -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(st, 1, clock_wall_ms(&s->clock) - STORE_STALE_MS);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_DONE ? 0 : db_errno(rc);
}

/* What the last run left. */
static int store_catch_up(struct store *s)
{
    int err = spill_import(s);

    if (err == 0) {
        err = store_close_crashed(s);
    }
    if (err == 0) {
        err = store_find_last_id(s);
    }
    return err == 0 ? store_prune_bindings(s) : err;
}

static int store_begin(struct store *s)
{
    int err = db_open(&s->db, s->path);

    return err == 0 ? store_catch_up(s) : err;
}

static int store_prepare(struct store *s)
{
    int err = store_lock(s);

    if (err == 0) {
        err = store_begin(s);
        if (err == ENOSPC || err == EIO) { /* a full disk, by either name: there is a reserve */
            db_close(&s->db);
            spill_use_reserve(s);
            err = store_begin(s);
        }
    }
    return err;
}

/* Signals are main's business, but the thread's own faults. */
static int store_start_thread(struct store *s)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t all, old;
    int err;

    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0 || s->stop_fd < 0) {
        return errno;
    }
    (void)sigfillset(&all);
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        (void)sigdelset(&all, own[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&s->thread, NULL, writer_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    s->has_thread = err == 0;
    return err;
}

static void store_free(struct store **sp)
{
    struct store *s = *sp;
    const int fds[] = {s->wake_fd, s->stop_fd, s->lock_fd};

    *sp = NULL;
    pending_free(s);
    db_close(&s->db);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    (void)pthread_mutex_destroy(&s->health_lock);
    (void)pthread_mutex_destroy(&s->version_lock);
    (void)pthread_cond_destroy(&s->version_cond);
    mem_free(s->path);
    arena_free(&s->names);
    mem_free(s);
}

static struct store *store_new(const struct store_params *p)
{
    struct store *s = mem_zalloc(sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    clock_init_real(&s->clock);
    s->batch_ms = p->batch_ms != 0 ? p->batch_ms : STORE_BATCH_MS;
    s->backlog_max = p->backlog_max != 0 ? p->backlog_max : STORE_BACKLOG_MAX;
    s->backlog_bytes_max =
        p->backlog_bytes_max != 0 ? p->backlog_bytes_max : STORE_BACKLOG_BYTES_MAX;
    s->lock_fd = s->wake_fd = s->stop_fd = -1;
    (void)pthread_mutex_init(&s->health_lock, NULL);
    version_init(s);
    pending_init(s);
    s->path = mem_strndup(p->path, strlen(p->path));
    arena_init(&s->names, 256, STORE_NAMES_MAX);
    s->node = arena_cstr(&s->names, sl_str(p->node));
    if (s->path == NULL || s->node == NULL) {
        store_free(&s);
    }
    return s;
}

void store_set_node(struct store *s, const char *node)
{
    const char *name = arena_cstr(&s->names, sl_str(node));

    if (name != NULL) {
        s->node = name;
    } else {
        log_warn(NULL, "store: the node keeps its name until a restart: it changed too often");
    }
}

int store_open(struct store **sp, const struct store_params *p)
{
    struct store *s;
    int err;

    db_library_setup();
    s = store_new(p);
    if (s == NULL) {
        return ENOMEM;
    }
    err = store_prepare(s);
    if (err == 0) {
        spill_reserve(s);
        err = store_start_thread(s);
    }
    if (err != 0) {
        store_free(&s);
        return err;
    }
    *sp = s;
    return 0;
}

static void store_stop_thread(struct store *s, int64_t wait_ms)
{
    uint64_t one = 1;
    ssize_t n;

    atomic_store(&s->stop_at_ms, clock_now_ms(&s->clock) + wait_ms);
    atomic_store(&s->stopping, true);
    n = write(s->stop_fd, &one, sizeof(one));
    (void)n; /* an empty eventfd takes a one */
    (void)pthread_join(s->thread, NULL);
}

int store_close(struct store **sp, int64_t wait_ms)
{
    struct store *s = *sp;
    size_t n = 0;
    int err = 0;

    if (s == NULL) {
        return 0;
    }
    store_stop_thread(s, wait_ms);
    pending_take(s);
    pending_release(s, true);
    if (!list_is_empty(&s->order)) {
        spill_use_reserve(s);
        err = spill_write(s, true, &n);
        if (err == 0) {
            log_warn(NULL, "store: %zu records wait in %s.pending for the next start", n, s->path);
            err = EBUSY;
        } else {
            log_error(NULL, "store: %zu of %zu records are lost, %s.pending holds the others: %s",
                      list_len(&s->order) - n, list_len(&s->order), s->path, strerrordesc_np(err));
        }
    }
    store_free(sp);
    return err;
}

void store_get_health(struct store *s, struct store_health *out)
{
    *out = (struct store_health){.full = store_is_full(s),
                                 .backlog = atomic_load(&s->backlog),
                                 .backlog_bytes = atomic_load(&s->backlog_bytes),
                                 .rows_written = atomic_load(&s->rows),
                                 .retries = atomic_load(&s->retries)};
    (void)pthread_mutex_lock(&s->health_lock);
    out->failing_since_ms = s->failing_since_ms;
    memcpy(out->error, s->error, sizeof(out->error));
    (void)pthread_mutex_unlock(&s->health_lock);
    out->ok = out->failing_since_ms == 0;
}

bool store_is_full(const struct store *s)
{
    return atomic_load_explicit(&s->backlog, memory_order_relaxed) >= s->backlog_max ||
           atomic_load_explicit(&s->backlog_bytes, memory_order_relaxed) >= s->backlog_bytes_max;
}
