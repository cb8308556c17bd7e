/* admin_rig.h - for the tests of the admin API: a store in a temporary folder, a house that answers
 * as it is told, the API on a free port, and a client that speaks HTTP in plain text. */
#ifndef POSTERN_TEST_ADMIN_RIG_H
#define POSTERN_TEST_ADMIN_RIG_H

#include "admin_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TOKEN "postern_test_token_0123456789"
#define WITH_TOKEN "Authorization: Bearer " TOKEN "\r\n"

/* --- up and down --- */

static inline int rig_start(const char *host)
{
    struct store_params sp = {.path = rig.db, .node = "edge1", .batch_ms = 1};
    struct admin_params ap = {.token = TOKEN, .store_path = rig.db, .unix_path = rig.unix_path};

    if (host != NULL && addr_parse(sl_str(host), 0, &ap.listen) != 0) {
        return -1;
    }
    return store_open(&rig.store, &sp) != 0 || admin_start(&rig.admin, &ap) != 0 ? -1 : 0;
}

static int rig_prepare(void)
{
    memset(&rig, 0, sizeof(rig));
    rig.ready = true;
    rig.detail = "{}";
    log_setup(LOG_ERROR, true, "test");
    (void)snprintf(rig.dir, sizeof(rig.dir), "/tmp/postern-admin-XXXXXX");
    if (mkdtemp(rig.dir) == NULL) {
        return -1;
    }
    (void)snprintf(rig.db, sizeof(rig.db), "%s/calls.db", rig.dir);
    (void)snprintf(rig.unix_path, sizeof(rig.unix_path), "%s/admin.sock", rig.dir);
    return 0;
}

static int rig_down(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", ".reserve"};

    (void)state;
    admin_stop(&rig.admin);
    if (store_close(&rig.store, 5000) != 0) {
        return -1;
    }
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char name[128];

        (void)snprintf(name, sizeof(name), "%s%s", rig.db, ends[i]);
        (void)unlink(name);
    }
    mem_free(rig.kept);
    return rmdir(rig.dir);
}

/* --- the client --- */

static int rig_connect(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct addr at;
    bool is_unix = admin_port(rig.admin) == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", rig.unix_path);
    assert_int_equal(addr_parse(SL("127.0.0.1"), admin_port(rig.admin), &at), 0);
    assert_int_equal(is_unix ? connect(fd, (struct sockaddr *)(void *)&un, sizeof(un))
                             : connect(fd, &at.u.sa, addr_len(&at)),
                     0);
    return fd;
}

static void rig_forget(void)
{
    mem_free(rig.kept);
    rig.kept = NULL;
    rig.body = "";
    rig.body_n = 0;
}

/* Reads to the end of the connection; status 0: it ended without an answer. */
static void rig_read(int fd)
{
    struct buf b;
    char chunk[4096];
    ssize_t n;
    ptrdiff_t end;
    uint32_t status = 0;

    buf_init(&b, 64u << 20);
    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
        buf_put(&b, chunk, (size_t)n);
    }
    (void)close(fd);
    rig_forget();
    end = sl_find(buf_sl(&b), SL("\r\n\r\n"));
    (void)snprintf(rig.head, sizeof(rig.head), "%.*s\r\n", (int)(end < 0 ? 0 : end), b.p);
    if (end >= 0) {
        rig.kept = mem_strndup(b.p + end + 4, b.n - (size_t)end - 4);
        assert_non_null(rig.kept);
        rig.body = rig.kept;
        rig.body_n = b.n - (size_t)end - 4;
    }
    (void)(end < 0 ? 0 : sl_u32(sl_make(rig.head + 9, 3), 999, &status));
    rig.status = (int)status;
    buf_free(&b);
}

static int ask(const char *method, const char *target, const char *headers)
{
    char text[8192];
    int n = snprintf(text, sizeof(text),
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method,
                     target, headers);
    int fd = rig_connect();

    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    rig_read(fd);
    return rig.status;
}

static int get(const char *target)
{
    return ask("GET", target, WITH_TOKEN);
}

/* --- reading JSON: SQLite can --- */

/* One value of a query over the body (?1); "(null)" for SQL NULL. */
static const char *json_query(const char *sql)
{
    static char text[1024];
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;
    const char *got;

    assert_int_equal(sqlite3_open(":memory:", &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    (void)sqlite3_bind_text(st, 1, rig.body, (int)rig.body_n, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_ROW) {
        fail_msg("%s in %s", sqlite3_errmsg(h), rig.body);
    }
    got = (const char *)sqlite3_column_text(st, 0);
    (void)snprintf(text, sizeof(text), "%s", got != NULL ? got : "(null)");
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(h);
    return text;
}

/* Well-formed, and no object has a name twice. */
static void check_json(void)
{
    assert_string_equal(json_query("SELECT json_valid(?1)"), "1");
    assert_string_equal(json_query("SELECT count(*) FROM (SELECT 1 FROM json_tree(?1) WHERE "
                                   "typeof(key)='text' GROUP BY parent,key HAVING count(*)>1)"),
                        "0");
}

static const char *json_at(const char *json_path)
{
    char sql[128];

    check_json();
    (void)snprintf(sql, sizeof(sql), "SELECT json_extract(?1,'%s')", json_path);
    return json_query(sql);
}

#endif
