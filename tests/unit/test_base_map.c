/* SipHash, the hash map, numbered slots, lists. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
    struct hnode node;
    uint32_t id;
};

static bool item_eq(const struct hnode *node, const void *key)
{
    return CONTAINER_OF(node, const struct item, node)->id == *(const uint32_t *)key;
}

/* Made with CPython 3.11, whose hash() of bytes is SipHash-1-3: PYTHONHASHSEED=0 gives the zero
 * key, PYTHONHASHSEED=42 the second one. The message is 00 01 02 ... */
static void siphash_agrees_with_an_independent_implementation(void **state)
{
    static const struct {
        uint8_t key[16];
        struct {
            size_t n;
            uint64_t want;
        } rows[7];
    } sets[] = {
        {{0},
         {{1, 0x68a914128e01e473ULL},
          {7, 0x2f098ab0c751325aULL},
          {8, 0xead411e67ebe2eeaULL},
          {9, 0x75927f9d95124362ULL},
          {15, 0xf30eb725bb91c9eaULL},
          {16, 0x8972188433a5c5b7ULL},
          {63, 0x385d3e39e5f37359ULL}}},
        {{0xaf, 0x90, 0xcd, 0x68, 0xd3, 0x4f, 0x50, 0xdc, 0xc1, 0xe9, 0x99, 0xfe, 0x9f, 0xbb, 0x20,
          0xb9},
         {{1, 0xce880c366bcf3489ULL},
          {7, 0xce280fabc397fbdaULL},
          {8, 0x60866c3c108c6afbULL},
          {9, 0x68814005f7469e03ULL},
          {15, 0x94ace24d68c18cf8ULL},
          {16, 0x339176f3ac59ce05ULL},
          {63, 0x06e24d6f0d014c37ULL}}},
    };
    uint8_t msg[64];

    (void)state;
    for (size_t i = 0; i < sizeof(msg); i++) {
        msg[i] = (uint8_t)i;
    }
    for (size_t s = 0; s < COUNT_OF(sets); s++) {
        for (size_t i = 0; i < COUNT_OF(sets[s].rows); i++) {
            assert_int_equal(siphash13(msg, sets[s].rows[i].n, sets[s].key), sets[s].rows[i].want);
        }
    }
}

static void what_is_inserted_is_found_until_removed(void **state)
{
    static struct item items[1000];
    struct hmap m;

    (void)state;
    hmap_init(&m, 0);
    assert_null(hmap_find(&m, 1, item_eq, &(uint32_t){1}));
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        items[i] = (struct item){.id = i};
        assert_int_equal(hmap_insert(&m, &items[i].node, hmap_hash(&m, &i, sizeof(i))), 0);
    }
    assert_int_equal(m.n, COUNT_OF(items));
    for (uint32_t i = 0; i < COUNT_OF(items); i += 2) {
        hmap_remove(&m, &items[i].node);
        hmap_remove(&m, &items[i].node); /* twice is harmless */
    }
    assert_int_equal(m.n, COUNT_OF(items) / 2);
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        struct hnode *n = hmap_find(&m, hmap_hash(&m, &i, sizeof(i)), item_eq, &i);

        assert_ptr_equal(n, i % 2 != 0 ? &items[i].node : NULL);
    }
    hmap_free(&m);
}

static void equal_hashes_are_told_apart_by_their_keys(void **state)
{
    struct item items[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
    struct hmap m;

    (void)state;
    hmap_init(&m, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hmap_insert(&m, &items[i].node, 77), 0);
    }
    hmap_remove(&m, &items[1].node);
    assert_ptr_equal(hmap_find(&m, 77, item_eq, &(uint32_t){1}), &items[0].node);
    assert_ptr_equal(hmap_find(&m, 77, item_eq, &(uint32_t){3}), &items[2].node);
    assert_null(hmap_find(&m, 77, item_eq, &(uint32_t){2}));
    hmap_free(&m);
}

static void maps_refuse_at_their_limit_and_without_memory(void **state)
{
    struct item items[40] = {{.id = 0}};
    struct hmap m;

    (void)state;
    hmap_init(&m, 2);
    mem_fault_arm(1);
    assert_int_equal(hmap_insert(&m, &items[0].node, 0), ENOMEM);
    mem_fault_arm(0);
    assert_int_equal(hmap_insert(&m, &items[0].node, 0), 0);
    assert_int_equal(hmap_insert(&m, &items[1].node, 0), 0);
    assert_int_equal(hmap_insert(&m, &items[2].node, 0), ENOBUFS);
    hmap_free(&m);

    hmap_init(&m, 0);
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        items[i] = (struct item){.id = i};
        mem_fault_arm(i == 0 ? 0 : 1); /* it cannot grow, and works on with longer chains */
        assert_int_equal(hmap_insert(&m, &items[i].node, i), 0);
    }
    mem_fault_arm(0);
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        assert_non_null(hmap_find(&m, i, item_eq, &i));
    }
    hmap_free(&m);
}

static void two_maps_have_two_keys(void **state)
{
    struct hmap a, b;

    (void)state;
    hmap_init(&a, 0);
    hmap_init(&b, 0);
    assert_true(hmap_hash(&a, "x", 1) != hmap_hash(&b, "x", 1));
}

struct walk {
    struct hmap *m;
    size_t n, stop_at;
};

static bool walk_remove(struct hnode *node, void *arg)
{
    struct walk *w = arg;

    hmap_remove(w->m, node);
    return ++w->n != w->stop_at;
}

static void walking_may_remove_and_stop(void **state)
{
    static struct item items[100];
    struct hmap m;
    struct walk w = {.m = &m, .stop_at = 30};

    (void)state;
    hmap_init(&m, 0);
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        assert_int_equal(hmap_insert(&m, &items[i].node, hmap_hash(&m, &i, sizeof(i))), 0);
    }
    hmap_each(&m, walk_remove, &w);
    assert_int_equal(w.n, 30);
    assert_int_equal(m.n, 70);
    w.stop_at = 0;
    hmap_each(&m, walk_remove, &w);
    assert_int_equal(m.n, 0);
    hmap_free(&m);
}

static void late_numbers_never_meet_a_recycled_object(void **state)
{
    struct slots s;
    int a, b;
    uint32_t slot, gen, slot2, gen2;

    (void)state;
    slots_init(&s, 10);
    assert_int_equal(slots_add(&s, &a, &slot, &gen), 0);
    assert_ptr_equal(slots_get(&s, slot, gen), &a);
    slots_del(&s, slot, gen);
    assert_null(slots_get(&s, slot, gen));
    assert_int_equal(slots_add(&s, &b, &slot2, &gen2), 0);
    assert_int_equal(slot2, slot);
    assert_true(gen2 != gen);
    assert_null(slots_get(&s, slot, gen));
    slots_del(&s, slot, gen); /* late: must not hit b */
    assert_ptr_equal(slots_get(&s, slot2, gen2), &b);
    assert_null(slots_get(&s, 12345, gen2));
    assert_null(slots_get(&s, UINT32_MAX, gen2));
    assert_int_equal(s.n_used, 1);
    slots_free(&s);
}

static void slots_are_bounded_and_walkable(void **state)
{
    int obj[21];
    struct slots s;
    uint32_t slot, gen, pos = 0;
    size_t n = 0;

    (void)state;
    slots_init(&s, 20);
    mem_fault_arm(1);
    assert_int_equal(slots_add(&s, &obj[0], &slot, &gen), ENOMEM);
    mem_fault_arm(0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(slots_add(&s, &obj[i], &slot, &gen), 0);
        assert_int_equal(slot, i);
    }
    assert_int_equal(slots_add(&s, &obj[20], &slot, &gen), ENOBUFS);
    slots_del(&s, 7, 1);
    for (void *o = slots_next(&s, &pos); o != NULL; o = slots_next(&s, &pos)) {
        assert_true(o != &obj[7]);
        n++;
    }
    assert_int_equal(n, 19);
    slots_free(&s);
}

static void lists_survive_double_deletes_and_removal_while_walking(void **state)
{
    struct list head, n[4];

    (void)state;
    list_init(&head);
    assert_null(list_pop_front(&head));
    for (size_t i = 0; i < 4; i++) {
        list_init(&n[i]);
    }
    list_push_back(&head, &n[1]);
    list_push_back(&head, &n[2]);
    list_push_front(&head, &n[0]);
    list_push_back(&head, &n[3]);
    assert_int_equal(list_len(&head), 4);
    list_del(&n[1]);
    list_del(&n[1]);
    assert_int_equal(list_len(&head), 3);
    LIST_FOR_EACH_SAFE(it, &head)
    {
        list_del(it);
        list_init(it);
    }
    assert_true(list_is_empty(&head));
    list_push_back(&head, &n[2]);
    assert_ptr_equal(list_pop_front(&head), &n[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_agrees_with_an_independent_implementation),
        cmocka_unit_test(what_is_inserted_is_found_until_removed),
        cmocka_unit_test(equal_hashes_are_told_apart_by_their_keys),
        cmocka_unit_test(maps_refuse_at_their_limit_and_without_memory),
        cmocka_unit_test(two_maps_have_two_keys),
        cmocka_unit_test(walking_may_remove_and_stop),
        cmocka_unit_test(late_numbers_never_meet_a_recycled_object),
        cmocka_unit_test(slots_are_bounded_and_walkable),
        cmocka_unit_test(lists_survive_double_deletes_and_removal_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
