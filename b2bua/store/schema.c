/* schema.c - the numbered migrations, and the question whether a file is ours at all.
 * A migration is never changed once it was released; the next one is added below it. */
#include "store/store_int.h"

/* The large parts of a call lie apart: rows of `calls` are rewritten at each change of state and
 * scanned by lists, the details are written once and read one at a time. */
static const char *const migrations[] = {
    "CREATE TABLE calls("
    " id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
    " start_ms INTEGER NOT NULL, ring_ms INTEGER NOT NULL, answer_ms INTEGER NOT NULL,"
    " end_ms INTEGER NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, calling TEXT NOT NULL,"
    " called TEXT NOT NULL, route TEXT NOT NULL, a_remote TEXT NOT NULL, b_remote TEXT NOT NULL,"
    " a_call_id TEXT NOT NULL, b_call_id TEXT NOT NULL, end_code INTEGER NOT NULL,"
    " end_by TEXT NOT NULL, end_reason TEXT NOT NULL, config_version INTEGER NOT NULL,"
    " node TEXT NOT NULL) STRICT;"
    "CREATE INDEX calls_live ON calls(id) WHERE state < " STORE_ENDED ";"
    "CREATE TABLE call_details("
    " id INTEGER PRIMARY KEY, detail TEXT NOT NULL, ladder BLOB NOT NULL) STRICT;"
    "CREATE TABLE bindings("
    " user TEXT NOT NULL, contact TEXT NOT NULL, instance TEXT NOT NULL, call_id TEXT NOT NULL,"
    " cseq INTEGER NOT NULL, user_agent TEXT NOT NULL, expires_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL, flow BLOB NOT NULL, received TEXT NOT NULL,"
    " transport TEXT NOT NULL, listener TEXT NOT NULL,"
    " PRIMARY KEY(user, contact)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE bans("
    " prefix TEXT NOT NULL PRIMARY KEY, event TEXT NOT NULL, proof TEXT NOT NULL,"
    " reason TEXT NOT NULL, level INTEGER NOT NULL, points INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " evidence BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE call_asked(id INTEGER PRIMARY KEY, asked BLOB NOT NULL) STRICT;",
    "CREATE TABLE config_versions("
    " id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, confirm_until_ms INTEGER NOT NULL,"
    " state INTEGER NOT NULL, base INTEGER NOT NULL, origin TEXT NOT NULL, who TEXT NOT NULL,"
    " comment TEXT NOT NULL, hash TEXT NOT NULL, bytes INTEGER NOT NULL, text TEXT NOT NULL)"
    " STRICT;",
};
const unsigned schema_version = COUNT_OF(migrations);

/* quick_check reads the whole file; a larger one is checked page by page as it is used. */
#define SCHEMA_CHECK_MAX_PAGES 8192

static int schema_int(sqlite3 *h, const char *sql, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(h, sql, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            *out = sqlite3_column_int64(st, 0);
            rc = SQLITE_OK;
        }
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int schema_check_damage(sqlite3 *h, const char *path)
{
    sqlite3_stmt *st = NULL;
    int64_t pages = 0;
    int rc = schema_int(h, "PRAGMA page_count", &pages);
    bool is_good = true;

    if (rc != SQLITE_OK || pages > SCHEMA_CHECK_MAX_PAGES) {
        return rc;
    }
    rc = sqlite3_prepare_v2(h, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        is_good =
            rc == SQLITE_ROW && sl_eq(sl_str((const char *)sqlite3_column_text(st, 0)), SL("ok"));
        if (rc == SQLITE_ROW && !is_good) {
            log_error(NULL, "store: %s is damaged: %s", path,
                      LOG_ESC(sl_str((const char *)sqlite3_column_text(st, 0))));
        }
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW ? (is_good ? SQLITE_OK : SQLITE_CORRUPT) : rc;
}

int schema_check(sqlite3 *h, const char *path, unsigned *version)
{
    int64_t app = 0, v = 0, tables = 0;
    int rc = schema_int(h, "PRAGMA application_id", &app);

    if (rc == SQLITE_OK) {
        rc = schema_int(h, "PRAGMA user_version", &v);
    }
    if (rc == SQLITE_OK) {
        rc = schema_int(h, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (rc == SQLITE_OK && app != STORE_APP_ID && (app != 0 || v != 0 || tables != 0)) {
        log_error(NULL, "store: %s is a database of another program", path);
        return EBADMSG;
    }
    if (rc == SQLITE_OK && (v < 0 || v > (int64_t)schema_version)) {
        log_error(NULL, "store: %s has schema version %lld, this program knows up to %u", path,
                  (long long)v, schema_version);
        return EBADMSG;
    }
    if (rc == SQLITE_OK) {
        rc = schema_check_damage(h, path);
    }
    if (rc != SQLITE_OK) {
        log_error(NULL, "store: %s cannot be used: %s", path, sqlite3_errstr(rc));
    }
    *version = (unsigned)v;
    return db_errno(rc);
}

int schema_migrate(sqlite3 *h, const char *path, unsigned from)
{
    int rc = SQLITE_OK;

    for (unsigned v = from; v < schema_version && rc == SQLITE_OK; v++) {
        char text[4096];
        struct buf b;

        buf_init_fixed(&b, text, sizeof(text));
        buf_puts(&b, "BEGIN EXCLUSIVE;");
        buf_puts(&b, migrations[v]);
        buf_putf(&b, "PRAGMA application_id=%d;PRAGMA user_version=%u;COMMIT;", STORE_APP_ID,
                 v + 1);
        buf_putc(&b, '\0');
        rc = buf_err(&b) == 0 ? sqlite3_exec(h, text, NULL, NULL, NULL) : SQLITE_TOOBIG;
        if (rc != SQLITE_OK) {
            (void)sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
            log_error(NULL, "store: %s cannot be brought to version %u: %s", path, v + 1,
                      sqlite3_errstr(rc));
        } else {
            log_info(NULL, "store: schema is now version %u", v + 1);
        }
    }
    return db_errno(rc);
}
