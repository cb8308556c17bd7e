/* The store when the database does not do what it is told: locked, unwritable, damaged, foreign. */
#include "store/store_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[64], path[96], pending[112];

/* write() of this program into files: the disk has room for so many bytes more. */
static _Atomic(long) disk_room = LONG_MAX;
static atomic_int disk_full; /* so often it had none */

ssize_t write(int fd, const void *p, size_t n)
{
    long room = disk_room;
    struct stat st;

    if (room == LONG_MAX || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return syscall(SYS_write, fd, p, n);
    }
    if (room == 0) {
        disk_full++;
        errno = ENOSPC;
        return -1;
    }
    n = n < (size_t)room ? n : (size_t)room;
    disk_room = room - (long)n;
    return syscall(SYS_write, fd, p, n);
}

static int rig_up(void **state)
{
    static int null_fd = -1;

    (void)state;
    null_fd = null_fd < 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : null_fd;
    (void)snprintf(dir, sizeof(dir), "/tmp/postern-fault-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/calls.db", dir);
    (void)snprintf(pending, sizeof(pending), "%s.pending", path);
    log_setup(LOG_ERROR, true, "test");
    log_set_fd(null_fd); /* the errors are wanted here */
    return 0;
}

static int rig_down(void **state)
{
    static const char *const ends[] = {"",         "-wal",         "-shm", ".lock",
                                       ".pending", ".pending.bad", ".x",   ".reserve"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char name[128];

        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    log_set_fd(1);
    return rmdir(dir);
}

static int try_open(struct store **s)
{
    struct store_params p = {.path = path, .node = "edge1", .batch_ms = 1, .backlog_max = 10};

    *s = NULL;
    return store_open(s, &p);
}

static struct store *open_store(void)
{
    struct store *s;

    assert_int_equal(try_open(&s), 0);
    return s;
}

static sqlite3 *open_raw(const char *sql)
{
    sqlite3 *h = NULL;

    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    (void)sqlite3_busy_timeout(h, 5000);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    return h;
}

static int64_t raw_number(const char *sql)
{
    sqlite3 *h = open_raw("SELECT 1");
    sqlite3_stmt *st = NULL;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(h);
    return n;
}

static void wait_health(struct store *s, bool (*is)(const struct store_health *h))
{
    struct store_health h;

    for (int i = 0; i < 5000; i++) {
        store_get_health(s, &h);
        if (is(&h)) {
            return;
        }
        (void)poll(NULL, 0, 1);
    }
    fail_msg("backlog %llu, failing since %lld: %s", (unsigned long long)h.backlog,
             (long long)h.failing_since_ms, h.error);
}

static bool is_failing(const struct store_health *h)
{
    return !h->ok && h->failing_since_ms != 0 && h->error[0] != '\0' && h->retries != 0;
}

static bool is_well(const struct store_health *h)
{
    return h->ok && h->backlog == 0 && h->failing_since_ms == 0 && h->error[0] == '\0';
}

static int post(struct store *s, uint64_t id, enum store_call_state st)
{
    struct store_call c = {.id = id,
                           .state = st,
                           .start_ms = 5,
                           .end_ms = st == STORE_CALL_ENDED ? 9 : 0,
                           .calling = SL("a\t%\n\xff"),
                           .detail = st == STORE_CALL_ENDED ? SL("{}") : SL_NULL,
                           .ladder = st == STORE_CALL_ENDED ? SL("\0\1") : SL_NULL};

    return store_put_call(s, &c);
}

static void records_wait_for_a_locked_database_and_take_no_more_memory_than_calls(void **state)
{
    struct store *s = open_store();
    sqlite3 *h = open_raw("BEGIN EXCLUSIVE");
    struct store_health health;
    int64_t live;

    (void)state;
    assert_int_equal(post(s, 1, STORE_CALL_SETUP), 0);
    wait_health(s, is_failing);
    live = mem_live();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(post(s, 1, STORE_CALL_RINGING), 0);
    }
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
    for (int i = 0; i < 5000 && mem_live() > live; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_true(mem_live() <= live);
    store_get_health(s, &health);
    assert_int_equal(health.backlog, 1);
    assert_false(health.full);
    assert_int_equal(sqlite3_exec(h, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(h);
    wait_health(s, is_well);
    assert_int_equal(raw_number("SELECT count(*) FROM calls WHERE state=3"), 1);
    assert_int_equal(store_close(&s, 5000), 0);
}

static void a_full_backlog_is_told_and_passes(void **state)
{
    struct store *s = open_store();
    sqlite3 *h = open_raw("BEGIN IMMEDIATE");

    (void)state;
    for (uint64_t id = 1; id < 10; id++) {
        assert_int_equal(post(s, id, STORE_CALL_ENDED), 0);
    }
    assert_false(store_is_full(s));
    assert_int_equal(post(s, 10, STORE_CALL_ENDED), 0);
    assert_true(store_is_full(s));
    assert_int_equal(post(s, 11, STORE_CALL_ENDED), 0); /* running calls still get their CDR */
    (void)sqlite3_exec(h, "COMMIT", NULL, NULL, NULL);
    (void)sqlite3_close(h);
    wait_health(s, is_well);
    assert_false(store_is_full(s));
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls"), 11);
}

static void what_the_end_of_the_process_left_is_written_at_the_next_start(void **state)
{
    struct store *s = open_store();
    struct store_binding b = {.user = SL("1001"),
                              .contact = SL("sip:\xc3\xa4 b"),
                              .cseq = 7,
                              .flow = SL("\0x"),
                              .expires_ms = INT64_C(4000000000000)};
    sqlite3 *h;
    struct stat st;

    (void)state;
    assert_int_equal(store_put_binding(s, &(struct store_binding){.user = SL("gone"),
                                                                  .contact = SL("c"),
                                                                  .expires_ms = b.expires_ms}),
                     0);
    wait_health(s, is_well);
    h = open_raw("BEGIN EXCLUSIVE");
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
    assert_int_equal(post(s, 2, STORE_CALL_ANSWERED), 0);
    assert_int_equal(store_put_binding(s, &b), 0);
    assert_int_equal(store_del_binding(s, SL("gone"), SL("c")), 0);
    assert_int_equal(store_close(&s, 10), EBUSY);
    assert_null(s);
    assert_int_equal(stat(pending, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    (void)sqlite3_close(h);
    s = open_store();
    assert_int_equal(stat(pending, &st), -1);
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls WHERE state=3"), 2);
    assert_int_equal(raw_number("SELECT count(*) FROM calls WHERE id=2 AND end_reason='crash'"), 1);
    assert_int_equal(raw_number("SELECT count(*) FROM calls JOIN call_details USING(id) WHERE "
                                "id=1 AND hex(calling)='6109250AFF' AND detail='{}' AND "
                                "hex(ladder)='0001' AND start_ms=5 AND end_ms=9"),
                     1);
    assert_int_equal(raw_number("SELECT count(*) FROM bindings WHERE user='1001' AND "
                                "hex(contact)='7369703AC3A42062' AND hex(flow)='0078' AND cseq=7 "
                                "AND expires_ms=4000000000000"),
                     1);
    assert_int_equal(raw_number("SELECT count(*) FROM bindings"), 1);
}

static int post_large(struct store *s, uint64_t id, char *detail, size_t n)
{
    struct store_call c = {
        .id = id, .state = STORE_CALL_ENDED, .start_ms = 5, .end_ms = 9, .detail = {detail, n}};

    return store_put_call(s, &c);
}

static void large_records_fill_the_backlog_before_many_do(void **state)
{
    static char detail[65536];
    struct store_params p = {
        .path = path, .node = "edge1", .batch_ms = 1, .backlog_bytes_max = 300000};
    struct store_health health;
    struct store *s = NULL;
    sqlite3 *h;

    (void)state;
    memset(detail, ' ', sizeof(detail));
    assert_int_equal(store_open(&s, &p), 0);
    h = open_raw("BEGIN IMMEDIATE");
    for (uint64_t id = 1; id < 5; id++) {
        assert_int_equal(post_large(s, id, detail, sizeof(detail)), 0);
    }
    assert_false(store_is_full(s));
    assert_int_equal(post_large(s, 5, detail, sizeof(detail)), 0);
    assert_true(store_is_full(s));
    store_get_health(s, &health);
    assert_true(health.full && health.backlog_bytes > 5 * sizeof(detail));
    (void)sqlite3_exec(h, "COMMIT", NULL, NULL, NULL);
    (void)sqlite3_close(h);
    wait_health(s, is_well);
    assert_false(store_is_full(s));
    store_get_health(s, &health);
    assert_int_equal(health.backlog_bytes, 0);
    assert_int_equal(store_close(&s, 5000), 0);
}

/* As another process would find it. */
static void wait_file(const char *name, bool is_there)
{
    for (int i = 0; i < 10000 && (access(name, F_OK) == 0) != is_there; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(access(name, F_OK) == 0, is_there);
}

static void records_that_wait_for_long_outlive_a_kill(void **state)
{
    struct store *s = open_store();
    sqlite3 *h = open_raw("BEGIN EXCLUSIVE");
    char kept[128];

    (void)state;
    (void)snprintf(kept, sizeof(kept), "%s.x", path);
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
    wait_file(pending, true);
    assert_int_equal(link(pending, kept), 0); /* what a kill now would leave */
    assert_int_equal(sqlite3_exec(h, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(h);
    wait_health(s, is_well);
    wait_file(pending, false); /* all of it was written */
    assert_int_equal(store_close(&s, 5000), 0);
    (void)sqlite3_close(open_raw("DELETE FROM calls"));
    assert_int_equal(rename(kept, pending), 0);
    s = open_store();
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls WHERE state=3 AND id=1"), 1);
}

static void spill_rig(struct store *s, uint64_t n)
{
    *s = (struct store){.path = path};
    list_init(&s->order);
    for (uint64_t id = 1; id <= n; id++) {
        struct store_call c = {.id = id, .state = STORE_CALL_ENDED};
        struct rec *r = NULL;

        assert_int_equal(rec_new(&r, REC_CALL, &c), 0);
        list_push_back(&s->order, &r->in_order);
    }
}

static void spill_rig_down(struct store *s)
{
    LIST_FOR_EACH_SAFE(at, &s->order)
    {
        mem_free(CONTAINER_OF(at, struct rec, in_order));
    }
}

/* Only at the end a part is better than nothing. */
static void a_full_disk_cuts_no_file_of_records_that_is_whole(void **state)
{
    struct store s;
    struct stat whole, now;
    char tmp[128];
    size_t n;

    (void)state;
    (void)snprintf(tmp, sizeof(tmp), "%s.new", pending);
    spill_rig(&s, 10);
    assert_int_equal(spill_write(&s, false, &n), 0);
    assert_int_equal(n, 10);
    assert_int_equal(stat(pending, &whole), 0);
    disk_room = whole.st_size / 2;
    assert_int_equal(spill_write(&s, false, &n), ENOSPC);
    assert_int_equal(n, 0);
    assert_int_equal(stat(pending, &now), 0);
    assert_true(now.st_ino == whole.st_ino && now.st_size == whole.st_size);
    assert_int_equal(access(tmp, F_OK), -1);
    disk_room = whole.st_size / 2;
    assert_int_equal(spill_write(&s, true, &n), ENOSPC);
    disk_room = LONG_MAX;
    assert_true(n > 0 && n < 10);
    assert_int_equal(stat(pending, &now), 0);
    assert_true(now.st_size > 0 && now.st_size < whole.st_size);
    spill_rig_down(&s);
}

/* Days later it would be written over what is newer. */
static void a_full_disk_leaves_no_part_of_the_records_behind(void **state)
{
    struct store *s = open_store();
    sqlite3 *h = open_raw("BEGIN EXCLUSIVE");
    char tmp[128];

    (void)state;
    (void)snprintf(tmp, sizeof(tmp), "%s.new", pending);
    for (uint64_t id = 1; id < 10; id++) {
        assert_int_equal(post(s, id, STORE_CALL_ENDED), 0);
    }
    wait_health(s, is_failing);
    disk_full = 0;
    disk_room = 200; /* the head and some lines */
    for (int i = 0; i < 10000 && disk_full == 0; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_true(disk_full > 0);
    wait_file(tmp, false); /* it has ended with that */
    assert_int_equal(access(pending, F_OK), -1);
    disk_room = LONG_MAX;
    assert_int_equal(sqlite3_exec(h, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(h);
    wait_health(s, is_well);
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls"), 9);
}

static bool on_count(const struct store_call *c, void *arg)
{
    (void)c;
    ++*(unsigned *)arg;
    return true;
}

static unsigned rows_seen(struct store_reader *r)
{
    struct store_call_filter f = {.live = -1, .limit = 100};
    unsigned n = 0;

    assert_int_equal(store_read_calls(r, &f, on_count, &n), 0);
    return n;
}

/* Rotated like a log: each file holds what was written while it had the name. */
static void a_database_that_is_moved_away_is_followed_by_a_new_one(void **state)
{
    struct store *s = open_store();
    struct store_reader *old = NULL, *now = NULL;
    char moved[128];

    (void)state;
    (void)snprintf(moved, sizeof(moved), "%s.x", path);
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
    wait_health(s, is_well);
    assert_int_equal(store_reader_open(&old, path), 0);
    assert_int_equal(rows_seen(old), 1);
    assert_false(store_reader_is_stale(old));
    assert_int_equal(rename(path, moved), 0);
    assert_true(store_reader_is_stale(old));
    assert_int_equal(post(s, 2, STORE_CALL_ENDED), 0);
    assert_int_equal(post(s, 3, STORE_CALL_ENDED), 0);
    wait_health(s, is_well);
    assert_int_equal(rows_seen(old), 1);
    assert_int_equal(store_reader_open(&now, path), 0);
    assert_int_equal(rows_seen(now), 2);
    store_reader_close(&old);
    assert_int_equal(unlink(path), 0);
    wait_file(path, true); /* without a record */
    assert_true(store_reader_is_stale(now));
    store_reader_close(&now);
    assert_int_equal(post(s, 4, STORE_CALL_ENDED), 0);
    wait_health(s, is_well);
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*)*10+max(id) FROM calls"), 14);
    assert_int_equal(rename(moved, path), 0);
    assert_int_equal(raw_number("SELECT count(*)*10+max(id) FROM calls"), 11);
}

static void name_left(char name[160], ino_t ino)
{
    (void)snprintf(name, 160, "%s-wal.left-%llu", path, (unsigned long long)ino);
}

static ino_t log_ino(void)
{
    char name[128];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s-wal", path);
    assert_int_equal(stat(name, &st), 0);
    return st.st_ino;
}

/* The rows of a file that was moved to <path>.x, and of its log when that was left behind. */
static int64_t moved_rows(const char *left)
{
    char name[128];

    (void)snprintf(name, sizeof(name), "%s-wal", path);
    assert_int_equal(left != NULL ? rename(left, name) : 0, 0);
    (void)snprintf(name, sizeof(name), "%s.x", path);
    assert_int_equal(rename(name, path), 0);
    return raw_number("SELECT count(*)*10+max(id) FROM calls");
}

/* Who holds an older state keeps the log from being written into the file. */
static void a_database_that_is_moved_while_it_is_read_loses_nothing(void **state)
{
    static const bool ends_soon[] = {true, false};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends_soon); i++) {
        struct store *s = open_store();
        char moved[128], left[160];
        sqlite3 *h;

        (void)snprintf(moved, sizeof(moved), "%s.x", path);
        name_left(left, log_ino());
        assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
        wait_health(s, is_well);
        h = open_raw("BEGIN;SELECT count(*) FROM calls");
        assert_int_equal(post(s, 2, STORE_CALL_ENDED), 0);
        wait_health(s, is_well);
        assert_int_equal(rename(path, moved), 0);
        assert_int_equal(post(s, 3, STORE_CALL_ENDED), 0);
        for (int k = 0; k < 200 && ends_soon[i]; k++) {
            assert_int_equal(access(path, F_OK), -1); /* it waits for the reader */
            (void)poll(NULL, 0, 1);
        }
        if (ends_soon[i]) {
            (void)sqlite3_close(h);
        }
        wait_health(s, is_well);
        assert_int_equal(access(left, F_OK), ends_soon[i] ? -1 : 0);
        if (!ends_soon[i]) {
            (void)sqlite3_close(h);
        }
        assert_int_equal(store_close(&s, 5000), 0);
        assert_int_equal(raw_number("SELECT count(*)*10+max(id) FROM calls"), 13);
        assert_int_equal(moved_rows(ends_soon[i] ? NULL : left), 22);
        assert_int_equal(unlink(path), 0);
    }
}

/* As after a kill: it is not the log of the file that is begun. */
static void the_log_of_a_database_that_was_moved_before_the_end_is_kept(void **state)
{
    struct store_call c = {.id = 1, .state = STORE_CALL_ENDED, .node = SL("edge1")};
    char moved[128], left[160];
    struct rec *r = NULL;
    struct db db;

    (void)state;
    db_library_setup();
    (void)snprintf(moved, sizeof(moved), "%s.x", path);
    assert_int_equal(db_open(&db, path), 0);
    name_left(left, log_ino());
    assert_int_equal(rec_new(&r, REC_CALL, &c), 0);
    assert_int_equal(db_put(&db, r), SQLITE_OK);
    mem_free(r);
    assert_int_equal(rename(path, moved), 0);
    db_close(&db);
    assert_int_equal(db_open(&db, path), 0);
    db_close(&db);
    assert_int_equal(raw_number("SELECT count(*) FROM calls"), 0);
    assert_int_equal(moved_rows(left), 11);
}

static void put_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void damaged_lines_are_set_aside_and_the_good_ones_are_written(void **state)
{
    static const char *const texts[] = {
        "postern-pending 1\n"
        "unbind\t1001\tsip:a\n"
        "call\tx\n"
        "unheard\t1\n"
        "\n"
        "call\t99999999999999999999\t0\n"
        "bind\t%zz\tsip:a\t\t\t0\t\t0\t0\t\t\t\t\n"
        "bind\t1002\tsip:b\t\t\t0\t\t4000000000000\t0\t\t\tudp\tin\n"
        "bind\t1003\tsip:torn",
        "something else\n",
        "",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct store *s = NULL;
        char bad[128];

        put_file(pending, texts[i]);
        s = open_store();
        assert_int_equal(store_close(&s, 5000), 0);
        assert_int_equal(access(pending, F_OK), -1);
        (void)snprintf(bad, sizeof(bad), "%s.bad", pending);
        assert_int_equal(unlink(bad), 0);
        assert_int_equal(raw_number("SELECT count(*) FROM bindings"), 1);
        assert_int_equal(raw_number("SELECT count(*) FROM calls"), 0);
    }
}

static void a_file_that_is_not_ours_is_refused_and_left_alone(void **state)
{
    static const char *const sql[] = {
        "CREATE TABLE other(x)",
        "PRAGMA user_version=3",
        "PRAGMA application_id=1",
        "PRAGMA application_id=1347375956; PRAGMA user_version=1000",
    };
    struct store *s;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sql); i++) {
        int64_t version;

        (void)sqlite3_close(open_raw(sql[i]));
        version = raw_number("PRAGMA schema_version");
        assert_int_equal(try_open(&s), EBADMSG);
        assert_null(s);
        assert_int_equal(raw_number("PRAGMA schema_version"), version);
        assert_int_equal(raw_number("SELECT count(*) FROM pragma_journal_mode WHERE "
                                    "journal_mode='delete'"),
                         1);
        assert_int_equal(unlink(path), 0);
    }
    put_file(path, "this is a text and no database, however long it may be: it has no header.....");
    assert_int_equal(try_open(&s), EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_not_equal(try_open(&s), 0);
    assert_int_equal(rmdir(path), 0);
}

static void a_damaged_database_is_told_at_the_start(void **state)
{
    struct store *s = open_store();
    char junk[16384];
    int fd;

    (void)state;
    for (uint64_t id = 1; id <= 500; id++) {
        assert_int_equal(post(s, id, STORE_CALL_ENDED), 0);
    }
    assert_int_equal(store_close(&s, 5000), 0);
    memset(junk, 0x5a, sizeof(junk));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 16384), sizeof(junk)); /* the root of calls */
    (void)close(fd);
    assert_int_equal(try_open(&s), EBADMSG);
}

static void two_processes_cannot_have_the_same_database(void **state)
{
    struct store *s = open_store(), *other;

    (void)state;
    assert_int_equal(try_open(&other), EBUSY);
    assert_int_equal(store_close(&s, 5000), 0);
    s = open_store();
    assert_int_equal(store_close(&s, 5000), 0);
}

/* As a full or broken disk: no file of this process may grow for a while. */
static void write_errors_are_survived(void **state)
{
    struct store *s = open_store();
    struct rlimit old, none = {0};

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), 0);
    wait_health(s, is_well);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(post(s, 2, STORE_CALL_ENDED), 0);
    wait_health(s, is_failing);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    wait_health(s, is_well);
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls"), 2);
}

static void without_memory_nothing_is_posted(void **state)
{
    struct store *s = open_store();
    static char large[STORE_REC_MAX];
    struct store_call c = {.id = 2, .detail = sl_make(large, sizeof(large)), .route = SL("x")};
    struct store_health h;

    (void)state;
    mem_fault_arm(1);
    assert_int_equal(post(s, 1, STORE_CALL_ENDED), ENOMEM);
    mem_fault_arm(0);
    assert_int_equal(store_put_call(s, &c), EMSGSIZE);
    store_get_health(s, &h);
    assert_int_equal(h.backlog, 0);
    assert_int_equal(store_close(&s, 5000), 0);
    assert_int_equal(raw_number("SELECT count(*) FROM calls"), 0);
}

static void opening_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 100; n++) {
        int64_t live = mem_live();
        struct store *s;
        int err;

        mem_fault_arm(n);
        err = try_open(&s);
        if (!mem_fault_hit()) {
            mem_fault_arm(0);
            assert_int_equal(err, 0);
            assert_int_equal(store_close(&s, 5000), 0);
            return;
        }
        mem_fault_arm(0);
        assert_int_equal(err, ENOMEM);
        assert_int_equal(mem_live(), live);
    }
    fail_msg("opening never succeeded");
}

static void the_tables_have_the_columns_that_the_records_have(void **state)
{
    static const struct {
        const char *table;
        const struct field *f;
        size_t n;
    } rows[] = {{"calls", call_fields, CALL_ROW_FIELDS},
                {"bindings", binding_fields, BINDING_FIELDS}};
    struct store *s = open_store();

    (void)state;
    assert_int_equal(store_close(&s, 5000), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char sql[200];

        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_info('%s')",
                       rows[i].table);
        assert_int_equal(raw_number(sql), rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++) {
            (void)snprintf(sql, sizeof(sql),
                           "SELECT count(*) FROM pragma_table_info('%s') WHERE name='%s' AND "
                           "cid=%zu",
                           rows[i].table, rows[i].f[k].column, k);
            assert_int_equal(raw_number(sql), 1);
        }
    }
    assert_int_equal(raw_number("PRAGMA user_version"), schema_version);
}

static void a_reader_finds_no_database(void **state)
{
    struct store_reader *r = NULL;

    (void)state;
    assert_int_equal(store_reader_open(&r, path), ENOENT);
    assert_null(r);
    (void)sqlite3_close(open_raw("CREATE TABLE other(x)"));
    assert_int_equal(store_reader_open(&r, path), EBADMSG);
    assert_null(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_wait_for_a_locked_database_and_take_no_more_memory_than_calls),
        TEST(a_full_backlog_is_told_and_passes),
        TEST(what_the_end_of_the_process_left_is_written_at_the_next_start),
        TEST(large_records_fill_the_backlog_before_many_do),
        TEST(records_that_wait_for_long_outlive_a_kill),
        TEST(a_full_disk_cuts_no_file_of_records_that_is_whole),
        TEST(a_full_disk_leaves_no_part_of_the_records_behind),
        TEST(a_database_that_is_moved_away_is_followed_by_a_new_one),
        TEST(a_database_that_is_moved_while_it_is_read_loses_nothing),
        TEST(the_log_of_a_database_that_was_moved_before_the_end_is_kept),
        TEST(damaged_lines_are_set_aside_and_the_good_ones_are_written),
        TEST(a_file_that_is_not_ours_is_refused_and_left_alone),
        TEST(a_damaged_database_is_told_at_the_start),
        TEST(two_processes_cannot_have_the_same_database),
        TEST(write_errors_are_survived),
        TEST(without_memory_nothing_is_posted),
        TEST(opening_without_memory_leaves_nothing_behind),
        TEST(the_tables_have_the_columns_that_the_records_have),
        TEST(a_reader_finds_no_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
