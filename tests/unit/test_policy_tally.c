/* test_policy_tally.c - counts by key: one entry for each key whatever threads do, its life, its
 * windows. */
#include "sbc-policy/tally.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct tally *make(uint32_t n)
{
    struct tally *t = NULL;

    assert_int_equal(tally_new(&t, n, true), 0);
    return t;
}

static uint32_t hold(struct tally *t, uint64_t who, int64_t now_ms)
{
    uint32_t slot = UINT32_MAX;

    assert_int_equal(tally_hold(t, &(struct tally_key){who, 7}, now_ms, &slot), 0);
    return slot;
}

static void a_key_has_one_entry_as_long_as_it_is_held_or_kept(void **state)
{
    struct tally *t = make(64);
    struct tally_key key;
    uint32_t a = hold(t, 1, 0), b = hold(t, 2, 0);

    (void)state;
    assert_int_not_equal(a, b);
    assert_int_equal(hold(t, 1, 0), a);
    tally_drop(t, a);
    tally_drop(t, a);
    assert_false(tally_peek(t, a, 0, &key)); /* nobody holds it, nothing keeps it */
    assert_int_equal(hold(t, 1, 0), a);
    tally_keep(t, a, 1000);
    tally_drop(t, a);
    assert_true(tally_peek(t, a, 999, &key));
    assert_true(key.who == 1 && key.what == 7);
    assert_false(tally_peek(t, a, 1000, &key));
    tally_free(&t);
}

static void a_full_table_says_so_until_an_entry_is_free(void **state)
{
    struct tally *t = make(16);
    uint32_t slots[16], slot;

    (void)state;
    for (uint64_t i = 0; i < 16; i++) {
        slots[i] = hold(t, 100 + i, 0);
    }
    assert_int_equal(tally_hold(t, &(struct tally_key){1, 7}, 0, &slot), ENOBUFS);
    tally_keep(t, slots[3], 5000);
    tally_drop(t, slots[3]);
    assert_int_equal(tally_hold(t, &(struct tally_key){1, 7}, 4999, &slot), ENOBUFS);
    assert_int_equal(hold(t, 1, 5000), slots[3]);
    tally_free(&t);
}

/* Whatever the keys and the seed: room that is there can be used. */
static void half_of_a_table_can_be_used(void **state)
{
    enum { ALL = 16384 };
    struct tally *t = make(ALL);

    (void)state;
    for (uint64_t i = 0; i < ALL / 2; i++) {
        hold(t, i, 0);
    }
    tally_free(&t);
}

static void an_entry_of_another_key_begins_empty(void **state)
{
    struct tally *t = make(16);
    uint32_t use, slot = hold(t, 1, 0);

    (void)state;
    for (uint64_t i = 0; i < 15; i++) {
        (void)hold(t, 100 + i, 0);
    }
    assert_true(tally_window_take(&t->e[slot].calls, 3, 1, 0, &use));
    assert_true(tally_number_take(t, slot, 3, SL("+49"), 5, &use));
    tally_drop(t, slot);
    assert_int_equal(hold(t, 2, 0), slot);
    assert_int_equal(tally_window_use(&t->e[slot].calls, 3), 0);
    assert_int_equal(tally_number_use(t, slot, 3), 0);
    tally_free(&t);
}

static void a_window_counts_to_its_limit_and_begins_anew(void **state)
{
    _Atomic uint64_t word = 0;
    uint32_t use;

    (void)state;
    assert_true(tally_window_take(&word, 5, 1, 2, &use));
    assert_true(tally_window_take(&word, 5, 1, 2, &use));
    assert_int_equal(use, 2);
    assert_false(tally_window_take(&word, 5, 1, 2, &use));
    tally_window_undo(&word, 5, 1);
    assert_int_equal(tally_window_use(&word, 5), 1);
    assert_true(tally_window_take(&word, 6, 1, 2, &use));
    assert_int_equal(use, 1);
    tally_window_undo(&word, 5, 1); /* of a window that is over */
    assert_int_equal(tally_window_use(&word, 6), 1);
    assert_true(tally_window_take(&word, 5, 1, 2, &use)); /* a clock that is late */
    assert_int_equal(tally_window_use(&word, 6), 2);
}

static void numbers_count_once_in_a_window(void **state)
{
    static const struct sl numbers[] = {{"+1", 2}, {"+2", 2}, {"+3", 2}};
    struct tally *t = make(16);
    uint32_t slot = hold(t, 1, 0), use;

    (void)state;
    /* Its neighbour is taken for the same by a clock that is late. */
    for (uint32_t window = 0; window < 3; window += 2) {
        assert_int_equal(tally_number_use(t, slot, window), 0);
        for (uint32_t i = 0; i < 2; i++) {
            assert_true(tally_number_take(t, slot, window, numbers[i], 2, &use));
            assert_int_equal(use, i + 1);
            assert_true(tally_number_take(t, slot, window, numbers[0], 2, &use));
            assert_int_equal(use, 0);
        }
        assert_false(tally_number_take(t, slot, window, numbers[2], 2, &use));
        assert_int_equal(tally_number_use(t, slot, window), 2);
    }
    tally_free(&t);
}

static void seconds_of_running_calls_add_up(void **state)
{
    struct tally_entry e = {.running = 0};

    (void)state;
    tally_run(&e, 100, true);
    tally_run(&e, 160, true);
    assert_int_equal(tally_running_s(&e, 220), 120 + 60);
    tally_run(&e, 100, false);
    assert_int_equal(tally_running_s(&e, 220), 60);
    tally_run(&e, 160, false);
    assert_int_equal(tally_running_s(&e, 220), 0);
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 20000, KEYS = 5, LEVEL_MAX = 3 };

struct racer {
    struct tally *t;
    unsigned seed;
    atomic_uint *taken; /* by key, as the threads know it */
    atomic_bool *wrong;
    unsigned numbers;
};

static void *race(void *arg)
{
    struct racer *r = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned key = (r->seed = r->seed * 1103515245u + 12345u) >> 16 & 7;
        uint32_t slot, use;

        key %= KEYS;
        if (tally_hold(r->t, &(struct tally_key){key + 1, 0}, 0, &slot) != 0) {
            atomic_store(r->wrong, true);
            return NULL;
        }
        if (tally_level_take(&r->t->e[slot].now, LEVEL_MAX, &use)) {
            if (atomic_fetch_add(&r->taken[key], 1) >= LEVEL_MAX) {
                atomic_store(r->wrong, true);
            }
            atomic_fetch_sub(&r->taken[key], 1);
            atomic_fetch_sub(&r->t->e[slot].now, 1);
        }
        tally_drop(r->t, slot);
    }
    return NULL;
}

static void run(struct racer *racers, void *(*fn)(void *))
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fn, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

/* Entries come and go all the time: two of one key would let more than LEVEL_MAX through. */
static void threads_never_make_two_entries_of_one_key(void **state)
{
    struct tally *t = make(32);
    atomic_uint taken[KEYS] = {0};
    atomic_bool wrong = false;
    struct racer racers[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.t = t, .seed = i * 7919 + 1, .taken = taken, .wrong = &wrong};
    }
    run(racers, race);
    assert_false(atomic_load(&wrong));
    for (uint32_t i = 0; i < t->n; i++) {
        struct tally_key key;

        assert_int_equal(atomic_load(&t->e[i].now), 0);
        assert_false(tally_peek(t, i, 0, &key));
    }
    tally_free(&t);
}

enum { MEETINGS = 12000 };

struct pair {
    struct tally *t;
    atomic_uint came;
    _Atomic uint32_t slots[2];
    atomic_bool wrong;
};
struct half {
    struct pair *pair;
    unsigned side;
};

static void meet(struct pair *p, unsigned n)
{
    atomic_fetch_add(&p->came, 1);
    while (atomic_load(&p->came) < 2 * n) {
        sched_yield();
    }
}

/* Both bring the same new key at the same moment, again and again. */
static void *bring(void *arg)
{
    struct half *h = arg;
    struct pair *p = h->pair;

    for (unsigned i = 0; i < MEETINGS; i++) {
        uint32_t slot = UINT32_MAX;

        meet(p, 3 * i + 1);
        if (tally_hold(p->t, &(struct tally_key){i + 1, 0}, 0, &slot) != 0) {
            atomic_store(&p->wrong, true);
        }
        atomic_store(&p->slots[h->side], slot);
        meet(p, 3 * i + 2);
        if (atomic_load(&p->slots[0]) != atomic_load(&p->slots[1])) {
            atomic_store(&p->wrong, true);
        }
        meet(p, 3 * i + 3);
        if (slot != UINT32_MAX) {
            tally_drop(p->t, slot);
        }
    }
    return NULL;
}

static void two_that_bring_the_same_key_at_once_share_its_entry(void **state)
{
    struct pair p = {.t = make(32)};
    struct half halves[2] = {{&p, 0}, {&p, 1}};
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, bring, &halves[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(atomic_load(&p.wrong));
    tally_free(&p.t);
}

static void *race_numbers(void *arg)
{
    struct racer *r = arg;
    uint32_t use;

    for (unsigned i = 0; i < 200; i++) {
        unsigned digit = (i * 13 + r->seed) % 100;
        char text[2] = {(char)('0' + digit / 10), (char)('0' + digit % 10)};

        if (tally_number_take(r->t, 0, 9, sl_make(text, 2), 50, &use) && use != 0) {
            r->numbers++;
        }
    }
    return NULL;
}

static void threads_find_as_many_numbers_as_there_is_room(void **state)
{
    struct tally *t = make(16);
    struct racer racers[THREADS];
    unsigned sum = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.t = t, .seed = i * 31};
    }
    run(racers, race_numbers);
    for (unsigned i = 0; i < THREADS; i++) {
        sum += racers[i].numbers;
    }
    assert_int_equal(sum, 50);
    assert_int_equal(tally_number_use(t, 0, 9), 50);
    tally_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_one_entry_as_long_as_it_is_held_or_kept),
        cmocka_unit_test(a_full_table_says_so_until_an_entry_is_free),
        cmocka_unit_test(half_of_a_table_can_be_used),
        cmocka_unit_test(an_entry_of_another_key_begins_empty),
        cmocka_unit_test(a_window_counts_to_its_limit_and_begins_anew),
        cmocka_unit_test(numbers_count_once_in_a_window),
        cmocka_unit_test(seconds_of_running_calls_add_up),
        cmocka_unit_test(threads_never_make_two_entries_of_one_key),
        cmocka_unit_test(two_that_bring_the_same_key_at_once_share_its_entry),
        cmocka_unit_test(threads_find_as_many_numbers_as_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
