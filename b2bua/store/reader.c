/* reader.c - read-only connections, one per thread: calls by filter and by id, and the bindings. */
#include "store/store_int.h"

#define READER_BUSY_MS 250
#define READER_CHECK_OPS                                                                           \
    20000 /* SQLite instructions between two looks at the clock: about 1 ms                        \
           */
#define READER_SQL_MAX 2048
#define READER_LIMIT_MAX 1001
/* Ids sort by start time as long as the wall clock runs forward; this much set back loses no row.
 */
#define READER_SLACK_MS (3600 * INT64_C(1000))

struct store_reader {
    sqlite3 *h;
    struct clock clock;
    int64_t deadline_ms;
};

struct value {
    bool is_text;
    struct sl text;
    int64_t num;
};
struct query {
    char text[READER_SQL_MAX];
    struct buf sql;
    struct value v[20];
    unsigned n;
};

static int on_reader_progress(void *arg)
{
    struct store_reader *r = arg;

    return clock_now_ms(&r->clock) > r->deadline_ms;
}

static int reader_prepare(struct store_reader *r)
{
    sqlite3_stmt *st = NULL;
    int rc;

    (void)sqlite3_busy_timeout(r->h, READER_BUSY_MS);
    sqlite3_progress_handler(r->h, READER_CHECK_OPS, on_reader_progress, r);
    r->deadline_ms = clock_now_ms(&r->clock) + STORE_READ_MAX_MS;
    rc = sqlite3_exec(r->h, "PRAGMA query_only=ON;PRAGMA trusted_schema=OFF", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_prepare_v2(r->h, "PRAGMA application_id", -1, &st, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        rc = rc != SQLITE_ROW                              ? rc
             : sqlite3_column_int64(st, 0) == STORE_APP_ID ? SQLITE_OK
                                                           : SQLITE_NOTADB;
    }
    (void)sqlite3_finalize(st);
    return rc;
}

int store_reader_open(struct store_reader **rp, const char *path)
{
    struct store_reader *r = mem_zalloc(sizeof(*r));
    int rc;

    if (r == NULL) {
        return ENOMEM;
    }
    db_library_setup();
    clock_init_real(&r->clock);
    rc = sqlite3_open_v2(path, &r->h, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        rc = reader_prepare(r);
    }
    if (rc != SQLITE_OK) {
        store_reader_close(&r);
        return db_errno(rc);
    }
    *rp = r;
    return 0;
}

void store_reader_close(struct store_reader **rp)
{
    if (*rp != NULL) {
        (void)sqlite3_close((*rp)->h);
        mem_free(*rp);
        *rp = NULL;
    }
}

bool store_reader_is_stale(struct store_reader *r)
{
    return db_has_moved(r->h);
}

/* --- composing --- */

static void query_init(struct query *q)
{
    buf_init_fixed(&q->sql, q->text, sizeof(q->text));
    q->n = 0;
}

static unsigned query_value(struct query *q, struct value v)
{
    q->v[q->n++] = v;
    return q->n;
}

static unsigned query_text(struct query *q, struct sl s)
{
    return query_value(q, (struct value){.is_text = true, .text = s});
}

static unsigned query_num(struct query *q, int64_t n)
{
    return query_value(q, (struct value){.num = n});
}

static void query_equal(struct query *q, const char *column, struct sl s)
{
    if (s.n != 0) {
        buf_putf(&q->sql, " AND %s=?%u", column, query_text(q, s));
    }
}

/* "peer:carrier", or the bare name of a peer or user. */
static void query_party(struct query *q, const char *column, struct sl s)
{
    if (s.n != 0) {
        unsigned at = query_text(q, s);

        buf_putf(&q->sql, " AND %s IN (?%u,'peer:'||?%u,'user:'||?%u)", column, at, at, at);
    }
}

static void query_compare(struct query *q, const char *left, int64_t v, bool is_used)
{
    if (is_used) {
        buf_putf(&q->sql, " AND %s?%u", left, query_num(q, v));
    }
}

/* --- running --- */

static struct rows query_start(struct store_reader *r, const struct query *q)
{
    sqlite3_stmt *st = NULL;
    int rc = buf_err(&q->sql) != 0 ? SQLITE_TOOBIG
                                   : sqlite3_prepare_v2(r->h, q->text, (int)q->sql.n, &st, NULL);

    for (unsigned i = 0; i < q->n && rc == SQLITE_OK; i++) {
        const struct value *v = &q->v[i];

        rc = v->is_text ? sqlite3_bind_text(st, (int)i + 1, v->text.p != NULL ? v->text.p : "",
                                            (int)v->text.n, SQLITE_STATIC)
                        : sqlite3_bind_int64(st, (int)i + 1, v->num);
    }
    return (struct rows){.st = st, .rc = rc};
}

/* The end of a query for one row. ENOENT: there was none. */
static int query_end(struct rows *rows, bool has)
{
    int err = rows_end(rows);

    return err == 0 && !has ? ENOENT : err;
}

static void reader_arm(struct store_reader *r)
{
    r->deadline_ms = clock_now_ms(&r->clock) + STORE_READ_MAX_MS;
}

sqlite3 *reader_begin(struct store_reader *r)
{
    reader_arm(r);
    return r->h;
}

/* First column of the first row; ENOENT: no row. */
static int reader_num(struct store_reader *r, const struct query *q, int64_t *out)
{
    struct rows rows = query_start(r, q);
    bool has = rows_step(&rows);

    if (has) {
        *out = sqlite3_column_int64(rows.st, 0);
    }
    return query_end(&rows, has);
}

static int reader_edge(struct store_reader *r, const char *sql, int64_t *id)
{
    struct query q;

    query_init(&q);
    buf_puts(&q.sql, sql);
    return reader_num(r, &q, id);
}

/* The first id at or after `at`, and when its call started. */
static int reader_probe(struct store_reader *r, int64_t at, int64_t *start_ms)
{
    struct query q;

    query_init(&q);
    buf_putf(&q.sql, "SELECT start_ms FROM calls WHERE id>=?%u ORDER BY id LIMIT 1",
             query_num(&q, at));
    return reader_num(r, &q, start_ms);
}

/* Smallest id whose call started at t_ms or later, found by halving the range of ids: no index on
 * the time is needed. INT64_MAX when all are older. */
static int reader_seek(struct store_reader *r, int64_t t_ms, int64_t *id)
{
    int64_t lo = 0, hi = 0;
    int err = reader_edge(r, "SELECT min(id) FROM calls", &lo);

    if (err == 0) {
        err = reader_edge(r, "SELECT max(id) FROM calls", &hi);
    }
    hi = err == 0 ? hi + 1 : 0;
    while (err == 0 && lo < hi) {
        int64_t mid = lo + (hi - lo) / 2, start_ms = INT64_MAX;

        err = reader_probe(r, mid, &start_ms);
        if (err == 0 && start_ms < t_ms) {
            lo = mid + 1;
        } else if (err == 0 || err == ENOENT) {
            hi = mid;
            err = 0;
        }
    }
    *id = lo;
    return err;
}

/* A clock that stood far ahead for a while left an id that later calls have to follow: then a call
 * of now may be behind one of long after. */
static bool reader_is_in_order(struct store_reader *r)
{
    int64_t id = 0, start_ms = 0;
    int err = reader_edge(r, "SELECT max(id) FROM calls", &id);

    if (err == 0) {
        err = reader_probe(r, id, &start_ms);
    }
    return err == 0 && (id >> STORE_ID_SHIFT) + STORE_ID_EPOCH_MS - start_ms < READER_SLACK_MS;
}

static int query_times(struct store_reader *r, struct query *q, const struct store_call_filter *f)
{
    int64_t id;
    int err = 0;

    query_compare(q, "start_ms>=", f->since_ms, f->since_ms != 0);
    query_compare(q, "start_ms<=", f->until_ms, f->until_ms != 0);
    if (f->since_ms != 0) {
        err = reader_seek(r, f->since_ms - READER_SLACK_MS, &id);
        query_compare(q, "id>=", err == 0 ? id : 0, true);
    }
    if (err == 0 && f->until_ms != 0 && reader_is_in_order(r)) {
        err = reader_seek(r, f->until_ms + READER_SLACK_MS, &id);
        query_compare(q, "id<=", err == 0 ? id : 0, true);
    }
    return err;
}

static int query_calls(struct store_reader *r, struct query *q, const struct store_call_filter *f)
{
    uint32_t limit = f->limit == 0 ? 1 : f->limit > READER_LIMIT_MAX ? READER_LIMIT_MAX : f->limit;
    int err;

    query_init(q);
    buf_puts(&q->sql, "SELECT ");
    fields_put_names(&q->sql, call_fields, CALL_ROW_FIELDS);
    /* Live ones are few and may be old: their own small index beats a walk over all. */
    buf_puts(&q->sql, f->live > 0    ? " FROM calls INDEXED BY calls_live WHERE state<" STORE_ENDED
                      : f->live == 0 ? " FROM calls WHERE state=" STORE_ENDED
                                     : " FROM calls WHERE 1");
    query_party(q, "source", f->source);
    query_party(q, "target", f->target);
    query_equal(q, "calling", f->calling);
    query_equal(q, "called", f->called);
    query_equal(q, "route", f->route);
    if (f->party.n != 0) {
        unsigned at = query_text(q, f->party);

        buf_putf(&q->sql, " AND ?%u IN (calling,called)", at);
    }
    query_compare(q, "end_code=", f->end_code, f->end_code != 0);
    query_compare(q, "id<", (int64_t)f->before_id, f->before_id != 0);
    err = query_times(r, q, f);
    buf_putf(&q->sql, " ORDER BY id DESC LIMIT %u", limit);
    return err;
}

int store_read_calls(struct store_reader *r, const struct store_call_filter *f, store_call_fn *fn,
                     void *arg)
{
    struct store_call c;
    struct rows rows;
    struct query q;
    int err;

    reader_arm(r);
    err = query_calls(r, &q, f);
    if (err != 0) {
        return err;
    }
    rows = query_start(r, &q);
    while (rows_next(&rows, call_fields, CALL_ROW_FIELDS, &c, sizeof(c)) && fn(&c, arg)) {
    }
    return rows_end(&rows);
}

int store_read_call(struct store_reader *r, uint64_t id, store_call_fn *fn, void *arg)
{
    struct rows rows;
    struct store_call c;
    struct query q;
    bool has;

    reader_arm(r);
    query_init(&q);
    buf_puts(&q.sql, "SELECT ");
    fields_put_names(&q.sql, call_fields, CALL_FIELDS);
    buf_putf(&q.sql, " FROM calls LEFT JOIN call_details USING(id) WHERE id=?%u",
             query_num(&q, (int64_t)id));
    rows = query_start(r, &q);
    has = rows_next(&rows, call_fields, CALL_FIELDS, &c, sizeof(c));
    if (has) {
        (void)fn(&c, arg);
    }
    return query_end(&rows, has);
}

int store_read_asked(struct store_reader *r, uint64_t id, struct buf *asked)
{
    struct store_asked a;
    struct rows rows;
    struct query q;
    bool has;
    int err;

    reader_arm(r);
    query_init(&q);
    buf_puts(&q.sql, "SELECT ");
    fields_put_names(&q.sql, asked_fields, ASKED_FIELDS);
    buf_putf(&q.sql, " FROM call_asked WHERE id=?%u", query_num(&q, (int64_t)id));
    rows = query_start(r, &q);
    has = rows_next(&rows, asked_fields, ASKED_FIELDS, &a, sizeof(a));
    if (has) {
        buf_putsl(asked, a.asked);
    }
    err = query_end(&rows, has);
    return err != 0 ? err : buf_err(asked);
}

int store_read_bindings(struct store_reader *r, const struct store_binding_filter *f,
                        store_binding_fn *fn, void *arg)
{
    uint32_t limit = f->limit == 0 ? UINT32_MAX : f->limit;
    struct store_binding b;
    struct rows rows;
    struct query q;

    reader_arm(r);
    query_init(&q);
    buf_puts(&q.sql, "SELECT ");
    fields_put_names(&q.sql, binding_fields, BINDING_FIELDS);
    buf_puts(&q.sql, " FROM bindings WHERE 1");
    query_equal(&q, "user", f->user);
    query_compare(&q, "expires_ms>", f->now_ms, f->now_ms != 0);
    if (f->after_user.n != 0) {
        unsigned at = query_text(&q, f->after_user);

        buf_putf(&q.sql, " AND (user,contact)>(?%u,?%u)", at, query_text(&q, f->after_contact));
    }
    buf_putf(&q.sql, " ORDER BY user,contact LIMIT %u", limit);
    rows = query_start(r, &q);
    while (rows_next(&rows, binding_fields, BINDING_FIELDS, &b, sizeof(b)) && fn(&b, arg)) {
    }
    return rows_end(&rows);
}

int store_reader_ping(struct store_reader *r)
{
    struct query q;
    int64_t one = 0;

    reader_arm(r);
    query_init(&q);
    buf_puts(&q.sql,
             "SELECT 1 FROM sqlite_schema LIMIT 1"); /* reads the file, not only the parser */
    return reader_num(r, &q, &one);
}

int store_read_bans(struct store_reader *r, struct sl after, uint32_t limit, store_ban_fn *fn,
                    void *arg)
{
    struct store_ban b;
    struct rows rows;
    struct query q;

    reader_arm(r);
    query_init(&q);
    buf_puts(&q.sql, "SELECT ");
    fields_put_names(&q.sql, ban_fields, BAN_FIELDS);
    buf_putf(&q.sql, " FROM bans WHERE prefix>?%u", query_text(&q, after));
    buf_putf(&q.sql, " ORDER BY prefix LIMIT %u", limit);
    rows = query_start(r, &q);
    while (rows_next(&rows, ban_fields, BAN_FIELDS, &b, sizeof(b)) && fn(&b, arg)) {
    }
    return rows_end(&rows);
}
