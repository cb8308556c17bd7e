/* The store: what is posted is read back, filtered, paged, merged and closed after a crash. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64], path[96];

static int rig_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/postern-store-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/calls.db", dir);
    log_setup(LOG_ERROR, true, "test");
    return 0;
}

static int rig_down(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", ".pending", ".reserve"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char name[128];

        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    return rmdir(dir);
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct store_params p = {.path = path, .node = "edge1", .batch_ms = 1};

    assert_int_equal(store_open(&s, &p), 0);
    return s;
}

static void close_store(struct store **s)
{
    assert_int_equal(store_close(s, 5000), 0);
    assert_null(*s);
}

static void flush(struct store *s) /* waits until everything is written */
{
    struct store_health h;

    for (int i = 0; i < 5000; i++) {
        store_get_health(s, &h);
        if (h.backlog == 0) {
            assert_true(h.ok);
            return;
        }
        (void)poll(NULL, 0, 1);
    }
    fail_msg("%llu records still wait", (unsigned long long)h.backlog);
}

static struct store_reader *open_reader(void)
{
    struct store_reader *r = NULL;

    assert_int_equal(store_reader_open(&r, path), 0);
    return r;
}

/* Seen calls as "id/calling id/calling ": what lists are compared with. */
struct seen {
    char text[2048];
    struct buf b;
    size_t n, stop_after;
};

static bool see_call(const struct store_call *c, void *arg)
{
    struct seen *seen = arg;

    buf_putf(&seen->b, "%llu/%.*s ", (unsigned long long)c->id, SL_ARG(c->calling));
    return ++seen->n != seen->stop_after;
}

static const char *list_calls(struct store_reader *r, const struct store_call_filter *f,
                              struct seen *seen)
{
    seen->n = 0;
    buf_init_fixed(&seen->b, seen->text, sizeof(seen->text) - 1);
    assert_int_equal(store_read_calls(r, f, see_call, seen), 0);
    seen->text[seen->b.n] = '\0';
    return seen->text;
}

static const char odd_bytes[] = "a\0b\xff%\t\n\"";

static struct store_call full_call(void)
{
    return (struct store_call){.id = UINT64_C(0x7fffffffffffffff),
                               .state = STORE_CALL_ENDED,
                               .start_ms = 1000,
                               .ring_ms = 2000,
                               .answer_ms = 3000,
                               .end_ms = 4000,
                               .source = SL("peer:carrier"),
                               .target = SL("user:1001"),
                               .calling = SL("+4930"),
                               .called = SL(odd_bytes),
                               .route = SL("inbound"),
                               .a_remote = SL("192.0.2.1:5060"),
                               .b_remote = SL("[2001:db8::1]:5060"),
                               .a_call_id = SL("a@x"),
                               .b_call_id = SL("b@y"),
                               .end_code = 200,
                               .end_by = SL("caller"),
                               .end_reason = SL("BYE"),
                               .detail = SL("{\"legs\":[]}"),
                               .ladder = SL("\x01\x00\x00\xfe"),
                               .config_version = 4000000000u};
}

static bool check_full_call(const struct store_call *c, void *arg)
{
    struct store_call want = full_call();

    *(bool *)arg = true;
    assert_true(c->id == want.id);
    assert_int_equal(c->state, want.state);
    assert_int_equal(c->start_ms, 1000);
    assert_int_equal(c->ring_ms, 2000);
    assert_int_equal(c->answer_ms, 3000);
    assert_int_equal(c->end_ms, 4000);
    assert_int_equal(c->end_code, 200);
    assert_int_equal(c->config_version, 4000000000u);
    assert_true(sl_eq(c->node, SL("edge1")));
    const struct sl *const got[] = {&c->source,    &c->target,   &c->calling,    &c->called,
                                    &c->route,     &c->a_remote, &c->b_remote,   &c->a_call_id,
                                    &c->b_call_id, &c->end_by,   &c->end_reason, &c->detail,
                                    &c->ladder};
    const struct sl expect[] = {want.source,    want.target,   want.calling,    want.called,
                                want.route,     want.a_remote, want.b_remote,   want.a_call_id,
                                want.b_call_id, want.end_by,   want.end_reason, want.detail,
                                want.ladder};

    for (size_t i = 0; i < COUNT_OF(got); i++) {
        assert_int_equal(got[i]->n, expect[i].n);
        assert_memory_equal(got[i]->p, expect[i].p, expect[i].n);
    }
    return true;
}

static void a_posted_call_is_read_back_with_every_byte(void **state)
{
    struct store *s = open_store();
    struct store_call c = full_call();
    struct store_reader *r;
    bool found = false;

    (void)state;
    assert_int_equal(store_put_call(s, &c), 0);
    flush(s);
    r = open_reader();
    assert_int_equal(store_reader_ping(r), 0);
    assert_int_equal(store_read_call(r, c.id, check_full_call, &found), 0);
    assert_true(found);
    assert_int_equal(store_read_call(r, 1, check_full_call, &found), ENOENT);
    store_reader_close(&r);
    close_store(&s);
}

static void post(struct store *s, uint64_t id, enum store_call_state st, const char *calling)
{
    struct store_call c = {.id = id,
                           .state = st,
                           .start_ms = (int64_t)id * 10,
                           .calling = sl_str(calling),
                           .detail = sl_str(calling)};

    assert_int_equal(store_put_call(s, &c), 0);
}

static bool copy_detail(const struct store_call *c, void *arg)
{
    char *text = arg;

    return sl_cstr(c->detail, text, 32) == 0;
}

/* Once merged in memory, once with a transaction between the posts. */
static void the_last_post_wins_and_an_ended_call_is_final(void **state)
{
    (void)state;
    for (int written_between = 0; written_between < 2; written_between++) {
        struct store *s = open_store();
        uint64_t id = 5 + (uint64_t)written_between;
        char want[32], detail[32];
        struct seen seen = {0};
        struct store_reader *r = open_reader();
        static const struct {
            enum store_call_state st;
            const char *calling;
        } posts[] = {{STORE_CALL_SETUP, "one"},
                     {STORE_CALL_ANSWERED, "two"},
                     {STORE_CALL_ENDED, "three"},
                     {STORE_CALL_RINGING, "late"},
                     {STORE_CALL_ENDED, "again"}};

        for (size_t i = 0; i < COUNT_OF(posts); i++) {
            post(s, id, posts[i].st, posts[i].calling);
            if (written_between) {
                flush(s);
            }
        }
        flush(s);
        (void)snprintf(want, sizeof(want), "%llu/three ", (unsigned long long)id);
        assert_string_equal(
            list_calls(r, &(struct store_call_filter){.live = 0, .before_id = id + 1, .limit = 1},
                       &seen),
            want);
        assert_int_equal(store_read_call(r, id, copy_detail, detail), 0);
        assert_string_equal(detail, "three");
        store_reader_close(&r);
        close_store(&s);
    }
}

static void put_many(struct store *s)
{
    static const struct store_call calls[] = {
        {.id = 10,
         .state = STORE_CALL_ENDED,
         .start_ms = 100,
         .source = SL("peer:carrier"),
         .target = SL("user:1001"),
         .calling = SL("1"),
         .called = SL("9"),
         .route = SL("in"),
         .end_code = 486},
        {.id = 20,
         .state = STORE_CALL_ANSWERED,
         .start_ms = 200,
         .source = SL("user:1001"),
         .target = SL("peer:carrier"),
         .calling = SL("2"),
         .called = SL("1"),
         .route = SL("out")},
        {.id = 30,
         .state = STORE_CALL_ENDED,
         .start_ms = 300,
         .source = SL("peer:pbx"),
         .target = SL("carrier"),
         .calling = SL("3"),
         .called = SL("4"),
         .route = SL("out"),
         .end_code = 200},
        {.id = 40,
         .state = STORE_CALL_SETUP,
         .start_ms = 400,
         .source = SL("peer:1001"),
         .calling = SL("4"),
         .called = SL("' OR 1=1 --")},
    };

    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        assert_int_equal(store_put_call(s, &calls[i]), 0);
    }
    flush(s);
}

static void lists_are_newest_first_and_filtered(void **state)
{
    static const struct {
        struct store_call_filter f;
        const char *want;
    } rows[] = {
        {{.live = -1}, "40/4 30/3 20/2 10/1 "},
        {{.live = 1}, "40/4 20/2 "},
        {{.live = 0}, "30/3 10/1 "},
        {{.live = -1, .source = SL("peer:carrier")}, "10/1 "},
        {{.live = -1, .source = SL("carrier")}, "10/1 "},
        {{.live = -1, .source = SL("1001")}, "40/4 20/2 "},
        {{.live = -1, .source = SL("user:1001")}, "20/2 "},
        {{.live = -1, .source = SL("peer:carr")}, ""},
        {{.live = -1, .target = SL("carrier")}, "30/3 20/2 "},
        {{.live = -1, .calling = SL("4")}, "40/4 "},
        {{.live = -1, .called = SL("4")}, "30/3 "},
        {{.live = -1, .called = SL("' OR 1=1 --")}, "40/4 "},
        {{.live = -1, .party = SL("4")}, "40/4 30/3 "},
        {{.live = 0, .party = SL("4")}, "30/3 "},
        {{.live = -1, .route = SL("out")}, "30/3 20/2 "},
        {{.live = -1, .end_code = 486}, "10/1 "},
        {{.live = -1, .since_ms = 200}, "40/4 30/3 20/2 "},
        {{.live = -1, .until_ms = 200}, "20/2 10/1 "},
        {{.live = -1, .since_ms = 150, .until_ms = 399}, "30/3 20/2 "},
        {{.live = 1, .since_ms = 201, .until_ms = 399}, ""},
        {{.live = -1, .before_id = 30}, "20/2 10/1 "},
        {{.live = -1, .before_id = 40, .limit = 2}, "30/3 20/2 "},
        {{.live = 0, .route = SL("out"), .end_code = 200, .party = SL("3")}, "30/3 "},
    };
    struct store *s = open_store();
    struct store_reader *r;
    struct seen seen = {0};

    (void)state;
    put_many(s);
    r = open_reader();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_call_filter f = rows[i].f;

        f.limit = f.limit != 0 ? f.limit : 1000;
        assert_string_equal(list_calls(r, &f, &seen), rows[i].want);
    }
    seen.stop_after = 1;
    assert_string_equal(list_calls(r, &(struct store_call_filter){.live = -1, .limit = 9}, &seen),
                        "40/4 ");
    store_reader_close(&r);
    close_store(&s);
}

/* Ids of calls an hour apart: the range of ids must be found from the times alone. */
static void times_are_found_among_many_calls_without_an_index(void **state)
{
    enum { CALLS = 3000, HOUR_MS = 3600000 };
    struct store *s = open_store();
    struct store_reader *r;
    struct seen seen = {0};

    (void)state;
    for (uint64_t i = 1; i <= CALLS; i++) {
        int64_t after_ms = (int64_t)i * HOUR_MS;
        struct store_call c = {.id = (uint64_t)after_ms << STORE_ID_SHIFT,
                               .start_ms = STORE_ID_EPOCH_MS + after_ms,
                               .state = STORE_CALL_ENDED};

        assert_int_equal(store_put_call(s, &c), 0);
    }
    flush(s);
    r = open_reader();
    for (int64_t i = 1; i < CALLS - 3; i += 97) {
        struct store_call_filter f = {.live = -1,
                                      .since_ms = STORE_ID_EPOCH_MS + i * HOUR_MS - 1,
                                      .until_ms = STORE_ID_EPOCH_MS + (i + 2) * HOUR_MS,
                                      .limit = 1000};

        (void)list_calls(r, &f, &seen);
        assert_int_equal(seen.n, 3);
    }
    store_reader_close(&r);
    close_store(&s);
}

/* One call of a clock that stood a year ahead, and then those that have to follow its id. */
static void a_clock_that_was_ahead_hides_no_call(void **state)
{
    enum { HOUR_MS = 3600000 };
    const int64_t year_ms = INT64_C(365) * 24 * HOUR_MS;
    uint64_t ahead = (uint64_t)(year_ms + HOUR_MS) << STORE_ID_SHIFT;
    struct store *s = open_store();
    struct store_reader *r;
    struct seen seen = {0};

    (void)state;
    assert_int_equal(store_last_id(s), 0);
    for (unsigned i = 0; i < 9; i++) {
        int64_t after_ms = i == 3 ? year_ms + HOUR_MS : (int64_t)i * 1000;
        struct store_call c = {.id = i < 3 ? (uint64_t)(after_ms + 1) << STORE_ID_SHIFT : ahead + i,
                               .start_ms = STORE_ID_EPOCH_MS + after_ms,
                               .state = STORE_CALL_ENDED};

        assert_int_equal(store_put_call(s, &c), 0);
    }
    close_store(&s);
    s = open_store();
    assert_int_equal(store_last_id(s), ahead + 8);
    r = open_reader();
    (void)list_calls(r,
                     &(struct store_call_filter){.live = -1,
                                                 .since_ms = STORE_ID_EPOCH_MS,
                                                 .until_ms = STORE_ID_EPOCH_MS + HOUR_MS,
                                                 .limit = 1000},
                     &seen);
    assert_int_equal(seen.n, 8);
    store_reader_close(&r);
    close_store(&s);
}

static bool see_binding(const struct store_binding *b, void *arg)
{
    struct seen *seen = arg;

    buf_putf(&seen->b, "%.*s>%.*s#%u ", SL_ARG(b->user), SL_ARG(b->contact), b->cseq);
    seen->n++;
    return true;
}

static const char *list_bindings(struct store_reader *r, struct store_binding_filter f,
                                 struct seen *seen)
{
    seen->n = 0;
    buf_init_fixed(&seen->b, seen->text, sizeof(seen->text) - 1);
    f.limit = f.limit != 0 ? f.limit : 1000;
    assert_int_equal(store_read_bindings(r, &f, see_binding, seen), 0);
    seen->text[seen->b.n] = '\0';
    return seen->text;
}

static void bind_one(struct store *s, const char *user, const char *contact, uint32_t cseq)
{
    struct store_binding b = {.user = sl_str(user),
                              .contact = sl_str(contact),
                              .cseq = cseq,
                              .flow = SL("\x00\x01"),
                              .expires_ms = INT64_C(4000000000000) + cseq};

    assert_int_equal(store_put_binding(s, &b), 0);
}

static void bindings_are_replaced_deleted_and_paged(void **state)
{
    struct store *s = open_store();
    struct store_reader *r = open_reader();
    struct seen seen = {0};

    (void)state;
    bind_one(s, "1001", "sip:b", 1);
    bind_one(s, "1001", "sip:a", 2);
    bind_one(s, "1001", "sip:b", 3); /* replaces */
    bind_one(s, "1002", "sip:a", 4);
    bind_one(s, "100", "1sip:a", 5); /* the same bytes side by side, another key */
    bind_one(s, "1003", "sip:x", 6);
    assert_int_equal(store_del_binding(s, SL("1003"), SL("sip:x")), 0);
    flush(s);
    assert_string_equal(list_bindings(r, (struct store_binding_filter){0}, &seen),
                        "100>1sip:a#5 1001>sip:a#2 1001>sip:b#3 1002>sip:a#4 ");
    assert_string_equal(list_bindings(r, (struct store_binding_filter){.user = SL("1001")}, &seen),
                        "1001>sip:a#2 1001>sip:b#3 ");
    assert_string_equal(list_bindings(r, (struct store_binding_filter){.limit = 2}, &seen),
                        "100>1sip:a#5 1001>sip:a#2 ");
    assert_string_equal(list_bindings(r,
                                      (struct store_binding_filter){.after_user = SL("1001"),
                                                                    .after_contact = SL("sip:a")},
                                      &seen),
                        "1001>sip:b#3 1002>sip:a#4 ");
    assert_string_equal(
        list_bindings(r, (struct store_binding_filter){.now_ms = INT64_C(4000000000003)}, &seen),
        "100>1sip:a#5 1002>sip:a#4 ");
    assert_int_equal(store_del_binding(s, SL("1001"), SL("sip:b")), 0);
    flush(s);
    bind_one(s, "1001", "sip:b", 7); /* deleted and made again */
    flush(s);
    assert_string_equal(list_bindings(r, (struct store_binding_filter){.user = SL("1001")}, &seen),
                        "1001>sip:a#2 1001>sip:b#7 ");
    store_reader_close(&r);
    close_store(&s);
}

static bool check_crashed(const struct store_call *c, void *arg)
{
    bool was_ended = c->id == 3;

    (void)arg;
    assert_int_equal(c->state, STORE_CALL_ENDED);
    assert_true(sl_eq(c->end_by, was_ended ? SL("callee") : SL("system")));
    assert_true(sl_eq(c->end_reason, was_ended ? SL("BYE") : SL("crash")));
    assert_int_equal(c->end_ms, c->id == 1 ? 111 : c->id == 2 ? 333 : 444);
    return true;
}

static void calls_that_a_crash_left_open_are_ended_at_the_next_start(void **state)
{
    struct store *s = open_store();
    struct store_call c[] = {
        {.id = 1, .state = STORE_CALL_SETUP, .start_ms = 111},
        {.id = 2, .state = STORE_CALL_ANSWERED, .start_ms = 111, .ring_ms = 222, .answer_ms = 333},
        {.id = 3,
         .state = STORE_CALL_ENDED,
         .start_ms = 111,
         .end_ms = 444,
         .end_by = SL("callee"),
         .end_reason = SL("BYE")}};
    struct store_reader *r;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(c); i++) {
        assert_int_equal(store_put_call(s, &c[i]), 0);
    }
    close_store(&s);
    s = open_store();
    r = open_reader();
    for (uint64_t id = 1; id <= COUNT_OF(c); id++) {
        assert_int_equal(store_read_call(r, id, check_crashed, NULL), 0);
    }
    store_reader_close(&r);
    close_store(&s);
}

#define POSTERS 4
#define POSTS 2000

static void *post_from_thread(void *arg)
{
    struct store *s = arg;
    static atomic_uint next;
    uint64_t base = (uint64_t)(atomic_fetch_add(&next, 1) + 1) << 32;

    for (uint64_t i = 0; i < POSTS; i++) {
        struct store_call c = {.id = base + i / 2, .state = STORE_CALL_ENDED, .start_ms = 1};

        if (store_put_call(s, &c) != 0) {
            return NULL;
        }
    }
    return s;
}

static void nothing_is_lost_when_threads_post_at_once(void **state)
{
    struct store *s = open_store();
    pthread_t t[POSTERS];
    void *res;
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;

    (void)state;
    for (size_t i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, post_from_thread, s), 0);
    }
    for (size_t i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(t[i], &res), 0);
        assert_non_null(res);
    }
    close_store(&s);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "SELECT count(*) FROM calls", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), POSTERS * POSTS / 2);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(h);
}

static void ids_have_thirteen_letters_that_sort_like_the_numbers(void **state)
{
    static const struct {
        uint64_t id;
        const char *text;
    } rows[] = {{0, "0000000000000"},
                {31, "000000000000z"},
                {32, "0000000000010"},
                {UINT64_C(0x7fffffffffffffff), "7zzzzzzzzzzzz"}};
    static const char *const bad[] = {"",
                                      "000000000000",
                                      "00000000000000",
                                      "8000000000000",
                                      "000000000000u",
                                      "00000000000 0",
                                      "000000000000-"};
    char text[STORE_ID_LEN + 1];
    uint64_t id = 77;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        store_id_text(rows[i].id, text);
        assert_string_equal(text, rows[i].text);
        assert_true(store_id_parse(sl_str(text), &id));
        assert_true(id == rows[i].id);
    }
    assert_true(store_id_parse(SL("7ZZZZZZZZZZZZ"), &id));
    assert_true(id == rows[3].id);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(store_id_parse(sl_str(bad[i]), &id));
    }
    assert_false(store_id_parse(SL("00000000000\0"
                                   "0"),
                                &id));
}

static bool see_ban(const struct store_ban *b, void *arg)
{
    struct seen *seen = arg;

    buf_putf(&seen->b, "%.*s %.*s %u %lld %.*s;", SL_ARG(b->prefix), SL_ARG(b->event), b->level,
             (long long)b->until_ms, SL_ARG(b->evidence));
    seen->n++;
    return true;
}

static const char *list_bans(struct store_reader *r, const char *after, struct seen *seen)
{
    seen->n = 0;
    buf_init_fixed(&seen->b, seen->text, sizeof(seen->text) - 1);
    assert_int_equal(store_read_bans(r, sl_str(after), 1000, see_ban, seen), 0);
    seen->text[seen->b.n] = '\0';
    return seen->text;
}

static void bans_are_kept_replaced_and_deleted(void **state)
{
    struct store *s = open_store();
    struct store_reader *r = open_reader();
    struct store_ban b = {.prefix = SL("203.0.113.9/32"),
                          .event = SL("scanner"),
                          .proof = SL("stream"),
                          .until_ms = 5,
                          .evidence = SL("OPTIONS \"x\"")};
    struct seen seen = {0};

    (void)state;
    assert_int_equal(store_put_ban(s, &b), 0);
    b.level = 2;
    assert_int_equal(store_put_ban(s, &b), 0);
    b.prefix = SL("2001:db8::/64");
    assert_int_equal(store_put_ban(s, &b), 0);
    flush(s);
    assert_string_equal(list_bans(r, "", &seen), "2001:db8::/64 scanner 2 5 OPTIONS \"x\";"
                                                 "203.0.113.9/32 scanner 2 5 OPTIONS \"x\";");
    assert_string_equal(list_bans(r, "2001:db8::/64", &seen),
                        "203.0.113.9/32 scanner 2 5 OPTIONS \"x\";");
    assert_int_equal(store_put_ban(s, &b), 0);
    assert_int_equal(store_del_ban(s, SL("2001:db8::/64")), 0); /* in the same batch */
    flush(s);
    assert_string_equal(list_bans(r, "", &seen), "203.0.113.9/32 scanner 2 5 OPTIONS \"x\";");
    store_reader_close(&r);
    close_store(&s);
}

static void how_a_call_was_asked_for_is_kept_beside_its_record(void **state)
{
    struct store *s = open_store();
    struct store_reader *r = open_reader();
    struct store_call c = {.id = 7, .state = STORE_CALL_SETUP, .start_ms = 5};
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(store_put_asked(s, &(struct store_asked){.id = 7, .asked = SL("INVITE\0x")}),
                     0);
    assert_int_equal(store_put_call(s, &c), 0); /* the same key, another table */
    c.state = STORE_CALL_ENDED;
    assert_int_equal(store_put_call(s, &c), 0);
    flush(s);
    assert_int_equal(store_read_asked(r, 7, &b), 0);
    assert_true(sl_eq(buf_sl(&b), SL("INVITE\0x")));
    assert_int_equal(store_read_asked(r, 8, &b), ENOENT);
    buf_free(&b);
    buf_init(&b, 3);
    assert_int_equal(store_read_asked(r, 7, &b), EMSGSIZE);
    buf_free(&b);
    store_reader_close(&r);
    close_store(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_posted_call_is_read_back_with_every_byte),
        TEST(the_last_post_wins_and_an_ended_call_is_final),
        TEST(lists_are_newest_first_and_filtered),
        TEST(times_are_found_among_many_calls_without_an_index),
        TEST(a_clock_that_was_ahead_hides_no_call),
        TEST(bans_are_kept_replaced_and_deleted),
        TEST(how_a_call_was_asked_for_is_kept_beside_its_record),
        TEST(bindings_are_replaced_deleted_and_paged),
        TEST(calls_that_a_crash_left_open_are_ended_at_the_next_start),
        TEST(nothing_is_lost_when_threads_post_at_once),
        cmocka_unit_test(ids_have_thirteen_letters_that_sort_like_the_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
