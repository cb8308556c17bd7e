/* test_config_oom.c - a load with allocation n failing, for every n: ENOMEM, nothing half-made,
 * nothing left behind, and the same load right afterwards succeeds. */
#include "config_rig.h"

#include <stdlib.h>

/* The allocations of one load; each of them has failed once. */
static uint64_t walk(struct sl text, struct policy_book *book, int want)
{
    struct config_errors errs;
    uint64_t n = 0;
    bool is_hit;

    do {
        struct config *c = NULL;
        int64_t live = mem_live();
        int err;

        mem_fault_arm(++n);
        err = config_parse(&c, "t", text, book, &errs);
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        if (is_hit && err == ENOMEM) {
            assert_null(c);
            assert_int_equal(errs.n + errs.n_total, 0);
        } else { /* or one that can do without: a table that did not grow */
            assert_int_equal(err, want);
            assert_true((c != NULL) == (want == 0));
        }
        config_errors_free(&errs);
        config_unref(&c);
        assert_int_equal(mem_live(), live);
        assert_true(n < 10000);
    } while (is_hit);
    return n;
}

static void a_good_load_survives_every_failing_allocation(void **state)
{
    struct policy_book *book = NULL;
    struct config *c = NULL;
    struct config_errors errs;

    (void)state;
    assert_int_equal(policy_book_new(&book), 0);
    assert_int_equal(config_load(&c, NULL, book, &errs), 0); /* the book has its table now */
    config_unref(&c);
    assert_true(walk(config_default_text(), book, 0) > 10);
    assert_true(walk(config_default_text(), NULL, 0) > 10);
    policy_book_free(&book);
}

static void a_bad_load_survives_every_failing_allocation(void **state)
{
    static const char text[] = RIG_BASE "nod: {}\nnode: {id: x, log: {levle: y}}\nroutes: [{}]\n"
                                        "peers: {p: {listener: b}, p: {}}\n"
                                        "users: {domain: x.test, listener: a, accounts: [\n"
                                        "  {name: u, password: {env: HOME}}]}\n";

    (void)state;
    setenv("HOME", "/", 1);
    assert_true(walk(sl_str(text), NULL, EBADMSG) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_load_survives_every_failing_allocation),
        cmocka_unit_test(a_bad_load_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
