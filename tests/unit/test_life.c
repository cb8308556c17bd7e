/* test_life.c - versions of the configuration: one writer at a time, the window, the way back, and
 * what a new process takes up; with a real store and a house that only notes what it is told. */
#include "config_rig.h"
#include "life/life_int.h"

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#define LISTENERS "listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\n"

static struct {
    char dir[64], db[96], file[96];
    struct store *store;
    struct life *life;
    struct config_errors errs;
    struct life_result out;
    int refuse; /* what prepare says */
    unsigned prepared, committed, abandoned;
    uint32_t in_force; /* version of the last commit */
} r;

static int on_prepare(void *arg, struct config *cfg, struct buf *why)
{
    (void)arg;
    (void)cfg;
    r.prepared++;
    if (r.refuse != 0) {
        buf_puts(why, "no such address here");
    }
    return r.refuse;
}

static void on_commit(void *arg, struct config *cfg)
{
    (void)arg;
    r.committed++;
    r.in_force = cfg->version;
}

static void on_abandon(void *arg, struct config *cfg)
{
    (void)arg;
    (void)cfg;
    r.abandoned++;
}

static const struct life_ops ops = {on_prepare, on_commit, on_abandon};

static void write_file(const char *text)
{
    FILE *f = fopen(r.file, "w");

    assert_non_null(f);
    fprintf(f, "store: {path: %s}\n%s", r.db, text);
    assert_int_equal(fclose(f), 0);
}

/* A new process. */
static int begin(void)
{
    struct life_params p = {.file = r.file};
    int err;

    clock_init_virtual(&p.clock, 1000, 1700000000000);
    assert_int_equal(life_new(&r.life, &p), 0);
    err = life_read(r.life, &r.errs);
    if (err == 0) {
        assert_int_equal(
            store_open(&r.store, &(struct store_params){.path = r.db, .node = "n", .batch_ms = 1}),
            0);
        err = life_start(r.life, r.store, &r.errs);
    }
    life_attach(r.life, &ops, NULL);
    return err;
}

/* The process ends, or dies: nothing is told to anybody. */
static void end(void)
{
    life_free(&r.life);
    assert_int_equal(store_close(&r.store, 5000), 0);
}

static void begin_with(const char *text)
{
    write_file(text);
    assert_int_equal(begin(), 0);
}

static int up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof(r));
    snprintf(r.dir, sizeof(r.dir), "/tmp/postern-life-XXXXXX");
    if (mkdtemp(r.dir) == NULL) {
        return -1;
    }
    snprintf(r.db, sizeof(r.db), "%s/x.db", r.dir);
    snprintf(r.file, sizeof(r.file), "%s/x.yaml", r.dir);
    log_setup(LOG_ERROR, true, "t");
    return 0;
}

static int down(void **state)
{
    static const char *const ends[] = {"x.db",      "x.db-wal",     "x.db-shm",
                                       "x.db.lock", "x.db.reserve", "x.yaml"};

    (void)state;
    end();
    config_errors_free(&r.errs);
    config_errors_free(&r.out.errs);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", r.dir, ends[i]);
        (void)unlink(path);
    }
    return rmdir(r.dir);
}

static uint64_t version(void)
{
    struct life_status s;

    life_get(r.life, &s);
    return s.version;
}

/* A text with this drain time, so that every number is another version. */
static int put(unsigned drain_s, uint64_t expect, uint32_t confirm_ms)
{
    char text[512];
    struct life_change c = {.name = "request",
                            .origin = CONFIG_BY_API,
                            .who = SL("al"),
                            .expect = expect,
                            .confirm_ms = confirm_ms};

    snprintf(text, sizeof(text),
             "store: {path: %s}\nconfig: {source: api}\nnode: {drain: %us}\n" LISTENERS, r.db,
             drain_s);
    c.text = sl_str(text);
    config_errors_free(&r.out.errs);
    return life_apply(r.life, &c, &r.out);
}

static int rollback(uint64_t to)
{
    struct life_change c = {.origin = CONFIG_BY_API, .who = SL("al"), .to = to};

    config_errors_free(&r.out.errs);
    return life_rollback(r.life, &c, &r.out);
}

static unsigned drain_s(void)
{
    struct config *c = life_config(r.life);
    unsigned s = c->drain_ms / 1000;

    config_unref(&c);
    return s;
}

static enum store_version_state state_of(uint64_t id)
{
    struct life_row row;
    enum store_version_state s;

    assert_int_equal(life_row_read(r.life, id, &row), 0);
    s = (enum store_version_state)row.v.state;
    life_row_free(&row);
    return s;
}

/* --- one writer --- */

static void the_file_writes_until_it_says_otherwise(void **state)
{
    (void)state;
    begin_with(LISTENERS);
    assert_int_equal(version(), 1);
    assert_int_equal(put(1, 0, 0), EPERM);
    assert_non_null(strstr(r.out.why, "config.source is file"));
    assert_int_equal(r.prepared, 0);
    write_file("config: {source: api}\n" LISTENERS);
    assert_int_equal(life_reload(r.life, &r.out), 0);
    assert_int_equal(version(), 2);
    assert_int_equal(life_reload(r.life, &r.out), EPERM);
    assert_non_null(strstr(r.out.why, "config.source is api"));
    assert_int_equal(put(1, 2, 0), 0);
    assert_int_equal(r.in_force, 3);
}

static void of_two_writers_the_second_is_told(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(1, 1, 0), 0);
    assert_int_equal(put(2, 1, 0), ESTALE);
    assert_int_equal(drain_s(), 1);
    assert_int_equal(put(2, 2, 0), 0);
    assert_int_equal(drain_s(), 2);
}

static void what_is_wrong_or_cannot_be_prepared_changes_nothing(void **state)
{
    struct life_change bad = {
        .name = "request", .origin = CONFIG_BY_API, .text = SL("peers: {x: {listner: a}}\n")};
    struct life_change file = {.name = "request", .origin = CONFIG_BY_API, .text = SL(LISTENERS)};

    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(life_apply(r.life, &bad, &r.out), EBADMSG);
    assert_int_equal(r.out.errs.n, 4);
    config_errors_free(&r.out.errs);
    assert_int_equal(life_apply(r.life, &file, &r.out), EINVAL); /* it says source: file */
    r.refuse = EADDRINUSE;
    assert_int_equal(put(1, 0, 0), EADDRNOTAVAIL);
    assert_string_equal(r.out.why, "no such address here");
    assert_int_equal(r.committed, 0);
    assert_int_equal(version(), 1);
    r.refuse = 0;
    assert_int_equal(put(1, 0, 0), 0); /* and its number was not used up */
    assert_int_equal(version(), 2);
}

static void the_same_text_is_the_same_version(void **state)
{
    (void)state;
    begin_with(LISTENERS);
    assert_int_equal(life_reload(r.life, &r.out), 0);
    assert_true(r.out.unchanged);
    assert_int_equal(r.committed, 1); /* what it names is read again */
    assert_int_equal(version(), 1);
    end();
    assert_int_equal(begin(), 0);
    assert_int_equal(version(), 1);
}

/* --- the window --- */

static void what_is_not_confirmed_in_time_is_undone(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(7, 0, 60000), 0);
    assert_int_equal(drain_s(), 7);
    assert_int_equal(put(8, 0, 0), EALREADY);
    clock_advance(&r.life->clock, 59999);
    life_tick(r.life);
    assert_int_equal(version(), 2);
    clock_advance(&r.life->clock, 1);
    life_tick(r.life);
    assert_int_equal(version(), 1);
    assert_int_equal(r.in_force, 1);
    assert_int_equal(drain_s(), 30);
    assert_int_equal(state_of(2), STORE_VERSION_ROLLED_BACK);
    assert_int_equal(life_confirm(r.life, 2, SL("al")), ENOENT);
    assert_int_equal(put(9, 0, 0), 0);
    assert_int_equal(version(), 3);
}

static void what_cannot_be_prepared_is_tried_again_before_it_is_in_force(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(7, 0, 60000), 0);
    r.refuse = EBUSY;
    assert_int_equal(rollback(0), EADDRNOTAVAIL);
    assert_string_equal(r.out.why, "no such address here");
    assert_int_equal(version(), 2);
    assert_int_equal(r.committed, 1);
    assert_int_equal(life_confirm(r.life, 2, SL("al")), ENOENT);
    assert_int_equal(put(8, 0, 0), EALREADY);
    r.refuse = 0;
    life_tick(r.life);
    assert_int_equal(version(), 1);
    assert_int_equal(r.in_force, 1);
    assert_int_equal(put(9, 0, 60000), 0);
    r.refuse = EBUSY;
    clock_advance(&r.life->clock, 60000);
    life_tick(r.life);
    clock_advance(&r.life->clock, LIFE_UNDO_MS - 1);
    life_tick(r.life);
    assert_int_equal(version(), 3);
    clock_advance(&r.life->clock, 1);
    life_tick(r.life); /* it will not be better: what can be is in force */
    assert_int_equal(version(), 1);
    assert_int_equal(state_of(3), STORE_VERSION_ROLLED_BACK);
}

static void what_is_confirmed_stays(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(7, 0, 60000), 0);
    assert_int_equal(life_confirm(r.life, 9, SL("al")), ESTALE);
    assert_int_equal(life_confirm(r.life, 2, SL("al")), 0);
    clock_advance(&r.life->clock, 60000);
    life_tick(r.life);
    assert_int_equal(version(), 2);
    end();
    assert_int_equal(begin(), 0);
    assert_int_equal(version(), 2);
    assert_int_equal(drain_s(), 7);
}

static void a_process_that_dies_in_the_window_wakes_up_before_it(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(7, 0, 0), 0);
    assert_int_equal(put(8, 0, 60000), 0);
    assert_int_equal(state_of(3), STORE_VERSION_PENDING);
    end();
    assert_int_equal(begin(), 0);
    assert_int_equal(version(), 2);
    assert_int_equal(drain_s(), 7);
    assert_int_equal(state_of(3), STORE_VERSION_ROLLED_BACK);
}

static void so_it_does_with_a_file(void **state)
{
    (void)state;
    begin_with(LISTENERS);
    write_file("config: {confirm_within: 60s}\nnode: {drain: 7s}\n" LISTENERS);
    assert_int_equal(life_reload(r.life, &r.out), 0); /* the running one asks for no window */
    write_file("config: {confirm_within: 60s}\nnode: {drain: 8s}\n" LISTENERS);
    assert_int_equal(life_reload(r.life, &r.out), 0);
    assert_int_equal(drain_s(), 8);
    for (int i = 0; i < 2; i++) { /* and not only the first time */
        end();
        assert_int_equal(begin(), 0);
        assert_int_equal(version(), 2);
        assert_int_equal(drain_s(), 7);
    }
    assert_int_equal(life_reload(r.life, &r.out), 0); /* asked for anew */
    assert_int_equal(drain_s(), 8);
    assert_int_equal(version(), 4);
}

/* --- the way back --- */

static void a_rollback_is_a_new_version_with_an_old_text(void **state)
{
    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    assert_int_equal(put(7, 0, 0), 0);
    assert_int_equal(put(8, 0, 0), 0);
    assert_int_equal(rollback(2), 0);
    assert_int_equal(version(), 4);
    assert_int_equal(drain_s(), 7);
    assert_int_equal(rollback(0), 0); /* to the one before */
    assert_int_equal(drain_s(), 8);
    assert_int_equal(rollback(99), ENOENT);
    assert_int_equal(put(9, 0, 60000), 0);
    assert_int_equal(rollback(0), 0); /* at once, without waiting for the end of the window */
    assert_int_equal(version(), 5);
    assert_int_equal(state_of(6), STORE_VERSION_ROLLED_BACK);
}

static bool count_row(const struct store_version *v, void *arg)
{
    uint64_t *n = arg;

    n[0]++;
    n[1] = v->id; /* the oldest, in the end */
    return true;
}

static void old_versions_are_forgotten(void **state)
{
    struct store_reader *reader = NULL;
    uint64_t n[2] = {0, 0};

    (void)state;
    begin_with("config: {source: api}\n" LISTENERS);
    for (unsigned i = 1; i <= 105; i++) {
        assert_int_equal(put(i, i, 0), 0);
    }
    assert_int_equal(store_reader_open(&reader, r.db), 0);
    assert_int_equal(store_read_versions(reader, 0, 1000, count_row, n), 0);
    store_reader_close(&reader);
    assert_int_equal(n[0], 100);
    assert_int_equal(n[1], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_writes_until_it_says_otherwise, up, down),
        cmocka_unit_test_setup_teardown(of_two_writers_the_second_is_told, up, down),
        cmocka_unit_test_setup_teardown(what_is_wrong_or_cannot_be_prepared_changes_nothing, up,
                                        down),
        cmocka_unit_test_setup_teardown(the_same_text_is_the_same_version, up, down),
        cmocka_unit_test_setup_teardown(what_is_not_confirmed_in_time_is_undone, up, down),
        cmocka_unit_test_setup_teardown(
            what_cannot_be_prepared_is_tried_again_before_it_is_in_force, up, down),
        cmocka_unit_test_setup_teardown(what_is_confirmed_stays, up, down),
        cmocka_unit_test_setup_teardown(a_process_that_dies_in_the_window_wakes_up_before_it, up,
                                        down),
        cmocka_unit_test_setup_teardown(so_it_does_with_a_file, up, down),
        cmocka_unit_test_setup_teardown(a_rollback_is_a_new_version_with_an_old_text, up, down),
        cmocka_unit_test_setup_teardown(old_versions_are_forgotten, up, down),
    };

    int failed;

    if (crypto_init() != 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_deinit();
    return failed;
}
