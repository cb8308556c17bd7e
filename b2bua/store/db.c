/* db.c - the connection that writes: how it is set up, its statements, and what becomes of a
 * record. */
#include "store/store_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_OPEN_WAIT_MS 2000 /* another process may look at the file while we start */
#define DB_LEAVE_WAIT_MS (STORE_READ_MAX_MS + 1000) /* our own readers have ended by then */
#define DB_SQL_MAX 2048
#define DB_NAME_MAX 4096

static pthread_once_t db_once = PTHREAD_ONCE_INIT;

static void db_library_init(void)
{
    /* Without the statistics SQLite's allocator takes no process-wide lock. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_initialize();
}

void db_library_setup(void)
{
    (void)pthread_once(&db_once, db_library_init);
}

int db_errno(int rc)
{
    static const struct {
        int rc, err;
    } map[] = {
        {SQLITE_OK, 0},           {SQLITE_BUSY, EBUSY},
        {SQLITE_LOCKED, EBUSY},   {SQLITE_NOMEM, ENOMEM},
        {SQLITE_READONLY, EROFS}, {SQLITE_INTERRUPT, ETIMEDOUT},
        {SQLITE_FULL, ENOSPC},    {SQLITE_CORRUPT, EBADMSG},
        {SQLITE_NOTADB, EBADMSG}, {SQLITE_CANTOPEN, ENOENT},
        {SQLITE_PERM, EACCES},    {SQLITE_TOOBIG, EMSGSIZE},
    };

    for (size_t i = 0; i < COUNT_OF(map); i++) {
        if (map[i].rc == (rc & 0xff)) {
            return map[i].err;
        }
    }
    return EIO;
}

int db_exec(struct db *db, const char *sql)
{
    return sqlite3_exec(db->h, sql, NULL, NULL, NULL);
}

static void db_put_upsert(struct buf *b, const char *table, const struct field *f, size_t n,
                          size_t n_key)
{
    buf_putf(b, "INSERT INTO %s(", table);
    fields_put_names(b, f, n);
    buf_puts(b, ") VALUES(?");
    for (size_t i = 1; i < n; i++) {
        buf_puts(b, ",?");
    }
    buf_puts(b, ") ON CONFLICT(");
    fields_put_names(b, f, n_key);
    buf_puts(b, ") DO UPDATE SET ");
    for (size_t i = n_key; i < n; i++) {
        buf_putf(b, "%s%s=excluded.%s", i == n_key ? "" : ",", f[i].column, f[i].column);
    }
}

static void db_put_sql(struct buf *b, enum db_stmt which)
{
    switch (which) {
    case DB_BEGIN:
        buf_puts(b, "BEGIN IMMEDIATE");
        break;
    case DB_COMMIT:
        buf_puts(b, "COMMIT");
        break;
    case DB_ROLLBACK:
        buf_puts(b, "ROLLBACK");
        break;
    case DB_PUT_CALL:
        db_put_upsert(b, "calls", call_fields, CALL_ROW_FIELDS, 1);
        buf_puts(b, " WHERE calls.state<" STORE_ENDED);
        break;
    case DB_PUT_DETAIL:
        buf_puts(b, "INSERT INTO call_details(id,detail,ladder) VALUES(?,?,?)"
                    " ON CONFLICT(id) DO UPDATE SET detail=excluded.detail,ladder=excluded.ladder");
        break;
    case DB_PUT_BINDING:
        db_put_upsert(b, "bindings", binding_fields, BINDING_FIELDS, 2);
        break;
    case DB_PUT_BAN:
        db_put_upsert(b, "bans", ban_fields, BAN_FIELDS, 1);
        break;
    case DB_PUT_ASKED:
        db_put_upsert(b, "call_asked", asked_fields, ASKED_FIELDS, 1);
        break;
    case DB_DEL_BAN:
        buf_puts(b, "DELETE FROM bans WHERE prefix=?");
        break;
    default:
        buf_puts(b, "DELETE FROM bindings WHERE user=? AND contact=?");
        break;
    }
}

static int db_prepare(struct db *db)
{
    int rc = SQLITE_OK;

    for (int i = 0; i < DB_STMTS && rc == SQLITE_OK; i++) {
        char text[DB_SQL_MAX];
        struct buf b;

        buf_init_fixed(&b, text, sizeof(text));
        db_put_sql(&b, (enum db_stmt)i);
        rc = buf_err(&b) != 0 ? SQLITE_TOOBIG
                              : sqlite3_prepare_v3(db->h, text, (int)b.n, SQLITE_PREPARE_PERSISTENT,
                                                   &db->st[i], NULL);
    }
    return rc;
}

static int db_set_wal(sqlite3 *h)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(h, "PRAGMA journal_mode=WAL", -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) { /* a file system without shared memory answers "delete" */
            rc = sl_eq(sl_str((const char *)sqlite3_column_text(st, 0)), SL("wal"))
                     ? SQLITE_OK
                     : SQLITE_CANTOPEN;
        }
    }
    (void)sqlite3_finalize(st);
    return rc;
}

/* Pages of 16 KiB: several details fit into one, and each page is two system calls on its way to
 * the disk. Checkpoints run on this connection only, at the end of a commit, every 16 MiB of log: a
 * page that changes with each batch is then copied into the file once. */
static int db_setup(struct db *db, const char *path)
{
    unsigned version = 0;
    int rc, err;

    (void)sqlite3_busy_timeout(db->h, DB_OPEN_WAIT_MS);
    err = schema_check(db->h, path, &version); /* before anything is changed in a stranger's file */
    if (err != 0) {
        return err;
    }
    rc = db_exec(db, "PRAGMA page_size=16384;PRAGMA synchronous=NORMAL;PRAGMA temp_store=MEMORY;"
                     "PRAGMA cache_size=-8192;PRAGMA wal_autocheckpoint=1024;"
                     "PRAGMA journal_size_limit=67108864;PRAGMA trusted_schema=OFF");
    if (rc == SQLITE_OK) {
        rc = db_set_wal(db->h);
    }
    err = rc == SQLITE_OK ? schema_migrate(db->h, path, version) : 0;
    if (rc == SQLITE_OK && err == 0) {
        rc = db_prepare(db);
    }
    if (rc != SQLITE_OK) {
        log_error(NULL, "store: %s cannot be used: %s", path, sqlite3_errstr(rc));
        err = db_errno(rc);
    }
    return err;
}

/* SQLite would create it readable for all; the log and shared-memory files take its mode. */
static int db_create_file(const char *path, bool *is_new)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err;

    *is_new = fd >= 0;
    if (fd < 0 && errno == EEXIST) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    err = fd < 0 ? errno : 0;

    if (fd >= 0) {
        (void)close(fd);
    } else {
        log_error(NULL, "store: %s cannot be opened: %s", path, strerrordesc_np(err));
    }
    return err;
}

enum { DB_WAL, DB_SHM };
static const char *const db_beside[] = {[DB_WAL] = "-wal", [DB_SHM] = "-shm"};

static ino_t db_beside_ino(const char *path, size_t which, char name[DB_NAME_MAX])
{
    struct stat st;
    struct buf b;

    buf_init_fixed(&b, name, DB_NAME_MAX);
    buf_puts(&b, path);
    buf_puts(&b, db_beside[which]);
    buf_putc(&b, '\0');
    return buf_err(&b) == 0 && stat(name, &st) == 0 ? st.st_ino : 0;
}

static void db_note_beside(struct db *db, const char *path)
{
    char name[DB_NAME_MAX];

    for (size_t i = 0; i < COUNT_OF(db_beside); i++) {
        db->beside[i] = db_beside_ino(path, i, name);
    }
}

/* Under a name that no other such log can have. */
static int db_keep_log(const char *path, const char *name, ino_t ino)
{
    char kept[DB_NAME_MAX];
    struct buf b;

    buf_init_fixed(&b, kept, sizeof(kept));
    buf_putf(&b, "%s.left-%llu", name, (unsigned long long)ino);
    buf_putc(&b, '\0');
    if (buf_err(&b) != 0 || rename(name, kept) != 0) {
        return buf_err(&b) != 0 ? buf_err(&b) : errno;
    }
    log_error(NULL,
              "store: the last rows of the %s that was moved are in %s: before anybody opens that "
              "file, put this one beside it, under its new name with -wal behind",
              path, kept);
    return 0;
}

/* Left under the name, SQLite would take them for those of the next file, and our readers, who
 * still have the shared memory, would lose it under their feet. */
static int db_clear_beside(const struct db *db, const char *path, bool is_log_written)
{
    char name[DB_NAME_MAX];
    int err = 0;

    for (size_t i = 0; i < COUNT_OF(db_beside) && err == 0; i++) {
        if (db->beside[i] == 0 || db_beside_ino(path, i, name) != db->beside[i]) {
            continue; /* it went with the file, or is another's */
        }
        if (i == DB_WAL && !is_log_written) {
            err = db_keep_log(path, name, db->beside[i]);
        } else if (unlink(name) != 0) {
            err = errno;
        }
        if (err != 0) {
            log_error(NULL, "store: %s belongs to a file that was moved and is in the way: %s",
                      name, strerrordesc_np(err));
        }
    }
    return err;
}

/* A process that ended before it saw that its file was moved left the log of that one. */
static int db_begin_file(struct db *db, const char *path)
{
    bool is_new;
    int err = db_create_file(path, &is_new);

    if (err == 0 && is_new) {
        db_note_beside(db, path);
        err = db_clear_beside(db, path, false);
        if (err != 0) {
            (void)unlink(path); /* the next try is to find the same */
        }
    }
    return err;
}

int db_open(struct db *db, const char *path)
{
    int rc, err;

    *db = (struct db){0};
    err = db_begin_file(db, path);
    if (err != 0) {
        return err;
    }
    rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    err = rc == SQLITE_OK ? db_setup(db, path) : db_errno(rc);
    if (err != 0) {
        db_close(db);
    }
    if (err == 0) {
        db_note_beside(db, path);
    }
    return err;
}

bool db_has_moved(sqlite3 *h)
{
    int moved = 0;

    return sqlite3_file_control(h, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved != 0;
}

/* The log is written into the file that it belongs to, wherever that lies now. Who reads an older
 * state of it, or a disk that is full, keeps it from that: then it is kept, too. */
int db_leave_moved(struct db *db, const char *path)
{
    int rc, err;

    if (db->h == NULL || !db_has_moved(db->h)) {
        return 0;
    }
    log_error(NULL,
              "store: %s was moved or removed while in use: what was written stays with that file, "
              "and another one is begun",
              path);
    (void)sqlite3_busy_timeout(db->h, DB_LEAVE_WAIT_MS);
    rc = sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    err = db_clear_beside(db, path, rc == SQLITE_OK);
    if (err == 0) {
        db_close(db);
    }
    return err;
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < DB_STMTS; i++) {
        (void)sqlite3_finalize(db->st[i]);
    }
    (void)sqlite3_close(db->h);
    *db = (struct db){0};
}

int db_step(struct db *db, enum db_stmt which)
{
    int rc = sqlite3_step(db->st[which]);

    (void)sqlite3_reset(db->st[which]);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int db_put_call(struct db *db, const struct store_call *c)
{
    int rc = fields_bind(db->st[DB_PUT_CALL], call_fields, CALL_ROW_FIELDS, c);

    if (rc == SQLITE_OK) {
        rc = db_step(db, DB_PUT_CALL);
    }
    /* No change: the row had ended already, so its detail stays, too. */
    if (rc != SQLITE_OK || (c->detail.n == 0 && c->ladder.n == 0) || sqlite3_changes(db->h) == 0) {
        return rc;
    }
    rc = sqlite3_bind_int64(db->st[DB_PUT_DETAIL], 1, (int64_t)c->id);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text(db->st[DB_PUT_DETAIL], 2, c->detail.n != 0 ? c->detail.p : "",
                               (int)c->detail.n, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob(db->st[DB_PUT_DETAIL], 3, c->ladder.n != 0 ? c->ladder.p : "",
                               (int)c->ladder.n, SQLITE_STATIC);
    }
    return rc == SQLITE_OK ? db_step(db, DB_PUT_DETAIL) : rc;
}

int db_put(struct db *db, const struct rec *r)
{
    static const enum db_stmt statements[REC_KINDS] = {[REC_BIND] = DB_PUT_BINDING,
                                                       [REC_UNBIND] = DB_DEL_BINDING,
                                                       [REC_BAN] = DB_PUT_BAN,
                                                       [REC_UNBAN] = DB_DEL_BAN,
                                                       [REC_ASKED] = DB_PUT_ASKED};
    enum db_stmt which = statements[r->kind];
    const struct rec_def *def = &rec_defs[r->kind];
    int rc;

    if (r->kind == REC_CALL) {
        return db_put_call(db, &r->u.call);
    }
    rc = fields_bind(db->st[which], def->fields, def->n_fields, &r->u);
    return rc == SQLITE_OK ? db_step(db, which) : rc;
}
