/* store_int.h - what the files of this folder share: records, the table of columns, the database
 * connection and the writer. SQLite codes are turned into errno here and never leave the folder. */
#ifndef POSTERN_STORE_INT_H
#define POSTERN_STORE_INT_H

#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define STORE_APP_ID 0x504f5354  /* "POST", PRAGMA application_id */
#define STORE_REC_MAX (4u << 20) /* bytes of all slices of one record */
#define STORE_BATCH_ROWS 1000    /* records per transaction */
#define STORE_READ_MAX_MS 2000   /* a read that takes longer ends */
#define STORE_ENDED "3"          /* STORE_CALL_ENDED inside SQL */

/* --- fields.c: one table per record says how it is copied, bound, read and spilled --- */
enum field_type { FIELD_I64, FIELD_U64, FIELD_U32, FIELD_U16, FIELD_STATE, FIELD_TEXT, FIELD_BLOB };
struct field {
    const char *column;
    enum field_type type;
    size_t at; /* offset in the struct of the record */
};
#define CALL_FIELDS 22
#define CALL_ROW_FIELDS 20 /* the rest lives in call_details */
#define BINDING_FIELDS 12
#define BAN_FIELDS 10
#define ASKED_FIELDS 2
extern const struct field call_fields[CALL_FIELDS];
extern const struct field binding_fields[BINDING_FIELDS];
extern const struct field ban_fields[BAN_FIELDS];
extern const struct field asked_fields[ASKED_FIELDS];

static inline bool field_is_slice(const struct field *f)
{
    return f->type == FIELD_TEXT || f->type == FIELD_BLOB;
}
struct sl *field_slice(const struct field *f, void *rec);
int64_t field_int(const struct field *f, const void *rec);
void field_set_int(const struct field *f, void *rec, int64_t v);
void fields_put_names(struct buf *b, const struct field *f, size_t n); /* "a,b,c" */
/* Binds n fields as parameters 1..n; the record must outlive the step. SQLite's code. */
int fields_bind(sqlite3_stmt *st, const struct field *f, size_t n, const void *rec);
/* What a query finds, row by row. The caller prepares and binds st, and sets rc to how that went.
 */
struct rows {
    sqlite3_stmt *st;
    int rc;
};
/* To the next row. False: there is none, or an error. */
bool rows_step(struct rows *rows);
/* The same, and reads its columns 0.. into rec, which is zeroed before. */
bool rows_next(struct rows *rows, const struct field *f, size_t n, void *rec, size_t bytes);
MUST_USE int rows_end(struct rows *rows); /* 0 unless it failed, also before the last row */

/* --- record.c: posted records, one heap block each --- */
enum rec_kind { REC_CALL, REC_BIND, REC_UNBIND, REC_BAN, REC_UNBAN, REC_ASKED, REC_KINDS };
struct rec {
    struct rec *next; /* on the stack of posted records */
    struct hnode node;
    struct list in_order; /* in store.order or store.held */
    int64_t since_ms;     /* when its key came into the set */
    size_t size;          /* bytes of the block */
    enum rec_kind kind;
    union {
        struct store_call call;
        struct store_binding binding;
        struct store_ban ban;
        struct store_asked asked;
    } u; /* slices point into bytes[] */
    char bytes[];
};
struct rec_def {
    const char *name; /* in the spill file */
    const struct field *fields;
    size_t n_fields;
    size_t size; /* of the struct in u */
};
extern const struct rec_def rec_defs[REC_KINDS];
/* Copies *src (the struct of that kind). ENOMEM, EMSGSIZE. */
MUST_USE int rec_new(struct rec **rp, enum rec_kind kind, const void *src);

/* --- db.c: a connection that writes --- */
/* --- version.c: versions of the configuration, written while somebody waits --- */
struct version_job {
    const struct store_version *v;
    uint32_t keep;
    bool taken, done;
    int err;
};
void version_init(struct store *s);
void version_write(struct store *s); /* writer thread: the job that waits, if any */

enum db_stmt {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_PUT_CALL,
    DB_PUT_DETAIL,
    DB_PUT_BINDING,
    DB_DEL_BINDING,
    DB_PUT_BAN,
    DB_DEL_BAN,
    DB_PUT_ASKED,
    DB_STMTS
};
struct db {
    sqlite3 *h; /* NULL: closed */
    sqlite3_stmt *st[DB_STMTS];
    ino_t beside[2]; /* of the files that SQLite keeps beside it */
};
int db_errno(int rc); /* SQLite result to errno */
/* Creates the file (0600) when missing, migrates, prepares. Logs what is wrong. */
MUST_USE int db_open(struct db *db, const char *path);
void db_close(struct db *db);
/* The name stands for another file, or for none. */
bool db_has_moved(sqlite3 *h);
/* Closes it when that is so; its last rows go with it, or, when somebody reads it for longer than
 * our own readers may, into a file beside the name. May take 3 s. An errno: it was, but its log is
 * in the way of the next one; it stays open. */
MUST_USE int db_leave_moved(struct db *db, const char *path);
int db_exec(struct db *db, const char *sql);    /* SQLite's code */
int db_step(struct db *db, enum db_stmt which); /* SQLITE_OK when done */
int db_put(struct db *db, const struct rec *r); /* inside a transaction; SQLite's code */
void db_library_setup(void);                    /* once per process, before any connection */

/* --- reader.c --- */
sqlite3 *reader_begin(struct store_reader *r); /* for one more read: its time begins now */

/* --- schema.c --- */
extern const unsigned schema_version; /* the newest one we know */
/* Whose file is it? Changes nothing. EBADMSG: not ours, damaged or newer. */
MUST_USE int schema_check(sqlite3 *h, const char *path, unsigned *version);
MUST_USE int schema_migrate(sqlite3 *h, const char *path, unsigned from);

/* --- the store itself --- */
struct store {
    struct clock clock;
    char *path;
    _Atomic(const char *) node;
    struct arena names; /* of the node: old ones may still be read */
    uint64_t last_id;   /* of a call, at the start */
    uint32_t batch_ms, backlog_max;
    uint64_t backlog_bytes_max;
    int lock_fd, wake_fd, stop_fd;
    pthread_t thread;
    bool has_thread;
    _Atomic(struct rec *) posted; /* newest first */
    atomic_uint_fast64_t backlog, backlog_bytes, rows, retries;
    atomic_bool stopping;
    atomic_int_fast64_t stop_at_ms; /* monotonic; set before stopping */
    /* the writer's */
    struct db db;
    struct hmap pending;
    struct list order;   /* of these, what is to be written, oldest first */
    struct list held;    /* of these, young live calls, oldest first: most change again soon */
    uint32_t backoff_ms; /* 0: not failing */
    bool has_spilled;    /* what waits is in <path>.pending, too, as it was for a while */
    int64_t spill_at_ms; /* when that is written next */
    /* version_lock's */
    pthread_mutex_t version_lock;
    pthread_cond_t version_cond;
    struct version_job *version_job;
    atomic_bool has_version_job;
    /* health_lock's */
    pthread_mutex_t health_lock;
    int64_t failing_since_ms;
    char error[128];
};

/* --- pending.c: what waits, one record per key. Writer thread. --- */
#define PENDING_HOLD_BATCHES 3 /* a live call waits so many batch_ms for its next state */
void pending_init(struct store *s);
void pending_take(struct store *s); /* moves what was posted into the set */
int64_t pending_due_ms(const struct store *s, int64_t now_ms); /* -1: nothing is held */
void pending_release(struct store *s, bool all); /* held for long enough: to be written now */
void pending_done(struct store *s, size_t n);    /* the n oldest were written: frees them */
void pending_free(struct store *s);

/* --- writer.c --- */
void *writer_main(void *arg);              /* struct store */
MUST_USE int writer_open(struct store *s); /* the connection, if there is none */

/* --- spill.c: what could not be written outlives the process in <path>.pending --- */
/* At the end of the process, ENOSPC: only *n records fitted. Before, an error changes nothing: the
 * file of the last time is worth more than a part of one. */
MUST_USE int spill_write(struct store *s, bool is_end, size_t *n);
void spill_reserve(struct store *s); /* room for that on a disk that is full by then */
void spill_use_reserve(const struct store *s);
void spill_forget(const struct store *s);   /* all of it was written after all */
MUST_USE int spill_import(struct store *s); /* 0 also when there is no such file */

#endif
