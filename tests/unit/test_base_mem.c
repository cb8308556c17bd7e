/* Allocation with faults, pools, arenas. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdint.h>
#include <cmocka.h>

static void the_nth_allocation_fails_once(void **state)
{
    void *a, *b, *c;

    (void)state;
    mem_fault_arm(2);
    a = mem_alloc(10);
    assert_false(mem_fault_hit());
    b = mem_zalloc(10);
    assert_true(mem_fault_hit());
    c = mem_alloc(10);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    mem_fault_arm(0);
    assert_false(mem_fault_hit());
    mem_free(a);
    mem_free(c);
}

static void live_blocks_are_counted(void **state)
{
    int64_t live = mem_live();
    void *a = mem_alloc(0), *b = mem_zalloc(100);
    void *c = mem_realloc(NULL, 5);
    char *s = mem_strndup("abc", 2);

    (void)state;
    assert_int_equal(mem_live(), live + 4);
    b = mem_realloc(b, 200);
    assert_int_equal(mem_live(), live + 4);
    assert_string_equal(s, "ab");
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(s);
    mem_free(NULL);
    assert_int_equal(mem_live(), live);
    s = mem_strndup(NULL, 0);
    assert_string_equal(s, "");
    mem_free(s);
}

static void *free_two_and_take_one(void *arg)
{
    void **blocks = arg;

    mem_free(blocks[0]);
    mem_free(blocks[1]);
    return mem_alloc(10);
}

/* More threads than there are places to count in. */
static void live_blocks_are_counted_across_threads(void **state)
{
    int64_t live = mem_live();
    void *taken;

    (void)state;
    for (unsigned i = 0; i < 70; i++) {
        void *blocks[] = {mem_alloc(10), mem_zalloc(10)};
        pthread_t t;

        assert_int_equal(pthread_create(&t, NULL, free_two_and_take_one, blocks), 0);
        assert_int_equal(pthread_join(t, &taken), 0);
        assert_int_equal(mem_live(), live + 1);
        mem_free(taken);
        assert_int_equal(mem_live(), live);
    }
}

static void a_failed_realloc_leaves_the_block(void **state)
{
    char *p = mem_strndup("keep", 4), *q;

    (void)state;
    mem_fault_arm(1);
    q = mem_realloc(p, 100000);
    mem_fault_arm(0);
    assert_null(q);
    assert_string_equal(p, "keep");
    mem_free(p);
}

static void wiping_clears_every_byte(void **state)
{
    char secret[] = "password";
    static const char zero[sizeof(secret)];

    (void)state;
    mem_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zero, sizeof(secret));
    mem_wipe(NULL, 0);
}

static void pools_reuse_cleared_blocks_and_keep_few(void **state)
{
    static const char zero[40];
    int64_t live = mem_live();
    struct pool p;
    char *a, *b, *c;

    (void)state;
    pool_init(&p, 40, 2);
    a = pool_get(&p);
    b = pool_get(&p);
    c = pool_get(&p);
    assert_int_equal(p.n_used, 3);
    memset(a, 'x', 40);
    memset(b, 'x', 40);
    pool_put(&p, a);
    pool_put(&p, b);
    pool_put(&p, c); /* one more than it keeps */
    pool_put(&p, NULL);
    assert_int_equal(p.n_used, 0);
    assert_int_equal(p.n_free, 2);
    assert_int_equal(mem_live(), live + 2);
    a = pool_get(&p);
    assert_int_equal(mem_live(), live + 2);
    assert_memory_equal(a, zero, 40);
    pool_put(&p, a);
    pool_drain(&p);
    assert_int_equal(p.n_free, 0);
    assert_int_equal(mem_live(), live);
}

static void pools_can_run_out_of_memory_even_with_kept_blocks(void **state)
{
    struct pool p;
    void *a, *b;

    (void)state;
    pool_init(&p, 1, 4); /* a block holds at least the link of the free list */
    assert_int_equal(p.size, sizeof(void *));
    pool_put(&p, pool_get(&p));
    mem_fault_arm(1);
    a = pool_get(&p);
    mem_fault_arm(0);
    b = pool_get(&p);
    assert_null(a);
    assert_non_null(b);
    assert_int_equal(p.n_used, 1);
    pool_put(&p, b);
    pool_drain(&p);
}

static void arenas_align_cap_and_free_together(void **state)
{
    int64_t live = mem_live();
    struct arena a;
    char *one, *big, *two;

    (void)state;
    arena_init(&a, 256, 2000);
    assert_int_equal(mem_live(), live);
    one = arena_alloc(&a, 3);
    big = arena_zalloc(&a, 1000); /* a chunk of its own */
    two = arena_alloc(&a, 5);
    assert_true(two == one + 8); /* the first chunk is still in use */
    assert_int_equal((uintptr_t)big % 8, 0);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(big[i], 0);
    }
    memset(one, 1, 3);
    memset(two, 2, 5);
    assert_int_equal(a.used, 8 + 1000 + 8);
    assert_null(arena_alloc(&a, 1000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_non_null(arena_alloc(&a, 2000 - 1016));
    assert_null(arena_alloc(&a, 1));
    arena_free(&a);
    assert_int_equal(a.used, 0);
    assert_int_equal(mem_live(), live);
}

static void arena_copies_outlive_their_source(void **state)
{
    char src[] = "hello";
    struct arena a;
    struct sl s;
    char *c;

    (void)state;
    arena_init(&a, 64, 0);
    s = arena_dup(&a, sl_str(src));
    c = arena_cstr(&a, sl_str(src));
    memset(src, 'x', 5);
    assert_true(sl_eq(s, SL("hello")));
    assert_string_equal(c, "hello");
    s = arena_dup(&a, SL_NULL);
    assert_non_null(s.p);
    assert_int_equal(s.n, 0);
    assert_string_equal(arena_cstr(&a, SL_NULL), "");
    arena_free(&a);
    mem_fault_arm(1);
    s = arena_dup(&a, SL("x"));
    mem_fault_arm(0);
    assert_null(s.p);
    assert_int_equal(s.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(live_blocks_are_counted),
        cmocka_unit_test(live_blocks_are_counted_across_threads),
        cmocka_unit_test(a_failed_realloc_leaves_the_block),
        cmocka_unit_test(wiping_clears_every_byte),
        cmocka_unit_test(pools_reuse_cleared_blocks_and_keep_few),
        cmocka_unit_test(pools_can_run_out_of_memory_even_with_kept_blocks),
        cmocka_unit_test(arenas_align_cap_and_free_together),
        cmocka_unit_test(arena_copies_outlive_their_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
