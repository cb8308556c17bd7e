/* test_policy_table.c - prefix tables: the longest row wins, whatever the shape of the set. */
#include "policy_rig.h"

#include <stdlib.h>

struct twice {
    uint32_t line, first, n;
};

static void on_twice(void *arg, uint32_t line, uint32_t first)
{
    struct twice *t = arg;

    t->line = line;
    t->first = first;
    t->n++;
}

static struct policy_table *build(const char *const *rows, size_t n)
{
    struct policy_table_draft *d = NULL;
    struct policy_table *t = NULL;
    struct twice twice = {0};
    size_t bad;

    assert_int_equal(policy_table_draft_new(&d), 0);
    for (size_t i = 0; i < n; i += 2) {
        assert_int_equal(
            policy_table_add(d, sl_str(rows[i]), sl_str(rows[i + 1]), (uint32_t)i, &bad), 0);
    }
    assert_int_equal(policy_table_build(&t, &d, on_twice, &twice), 0);
    assert_null(d);
    return t;
}

static const char *const rows[] = {
    "+49",
    "de",
    "+4930",
    "berlin",
    "+49301234567",
    "one",
    "0",
    "trunk",
    "00",
    "exit",
    "*",
    "star",
    "#31#",
    "hide",
    "+4931",
    "de",
    "+1",
    "us",
    "+1900",
    "",
    "9",
    "nine",
    "12345678901234567890123456789012",
    "long",
};

static const struct {
    const char *number, *tag;
    size_t matched;
} finds[] = {
    {"+49", "de", 3},
    {"+498912", "de", 3},
    {"+4930", "berlin", 5},
    {"+49301234566", "berlin", 5},
    {"+49301234567", "one", 12},
    {"+493012345678", "one", 12},
    {"+4931", "de", 5},
    {"+4", NULL, 0},
    {"+", NULL, 0},
    {"", NULL, 0},
    {"0", "trunk", 1},
    {"01", "trunk", 1},
    {"001", "exit", 2},
    {"*", "star", 1},
    {"*21*5", "star", 1},
    {"#31#5", "hide", 4},
    {"#31", NULL, 0},
    {"+1900555", "", 5},
    {"+1901", "us", 2},
    {"91x", "nine", 1},
    {"alice", NULL, 0},
    {"1234567890123456789012345678901", NULL, 0},
    {"12345678901234567890123456789012", "long", 32},
    {"123456789012345678901234567890123", "long", 32},
};

static void the_longest_row_wins(void **state)
{
    struct policy_table *t = build(rows, COUNT_OF(rows));
    size_t matched;

    (void)state;
    assert_int_equal(policy_table_rows(t), COUNT_OF(rows) / 2);
    for (size_t i = 0; i < COUNT_OF(finds); i++) {
        uint16_t tag = policy_table_find(t, sl_str(finds[i].number), &matched);
        uint16_t want =
            finds[i].tag == NULL ? POLICY_TAG_NONE : policy_table_tag(t, sl_str(finds[i].tag));

        if ((tag == POLICY_TAG_NONE) != (finds[i].tag == NULL) || matched != finds[i].matched ||
            tag != want) {
            fail_msg("%s: tag %u, not %u, %zu matched", finds[i].number, tag, want, matched);
        }
        for (size_t k = 0; k < i; k++) { /* another text is another tag */
            assert_true(finds[i].tag == NULL || finds[k].tag == NULL ||
                        (strcmp(finds[i].tag, finds[k].tag) == 0) ==
                            (want == policy_table_tag(t, sl_str(finds[k].tag))));
        }
    }
    assert_int_equal(policy_table_tag(t, SL("de")), policy_table_find(t, SL("+4989"), &matched));
    assert_int_equal(policy_table_tag(t, SL("nobody")), POLICY_TAG_NONE);
    policy_table_free(&t);
    policy_table_free(&t);
}

static void an_empty_table_finds_nothing(void **state)
{
    struct policy_table *t = build(NULL, 0);
    size_t matched;

    (void)state;
    assert_int_equal(policy_table_find(t, SL("1"), &matched), POLICY_TAG_NONE);
    assert_int_equal(policy_table_find(t, SL(""), &matched), POLICY_TAG_NONE);
    policy_table_free(&t);
}

static void bad_rows_are_refused_where_they_are_bad(void **state)
{
    struct policy_table_draft *d = NULL;
    struct policy_table *t = NULL;
    struct twice twice = {0};
    size_t bad;

    (void)state;
    assert_int_equal(policy_table_draft_new(&d), 0);
    assert_int_equal(policy_table_add(d, SL("12a"), SL("x"), 1, &bad), EBADMSG);
    assert_int_equal(bad, 2);
    assert_int_equal(policy_table_add(d, SL(""), SL("x"), 1, &bad), EBADMSG);
    assert_int_equal(policy_table_add(d, SL("123456789012345678901234567890123"), SL("x"), 1, &bad),
                     EMSGSIZE);
    assert_int_equal(policy_table_add(d, SL("7"), SL("x"), 9, &bad), 0);
    assert_int_equal(policy_table_add(d, SL("8"), SL("x"), 3, &bad), 0);
    assert_int_equal(policy_table_add(d, SL("7"), SL("y"), 5, &bad), 0);
    assert_int_equal(policy_table_add(d, SL("7"), SL("y"), 11, &bad), 0);
    assert_int_equal(policy_table_build(&t, &d, on_twice, &twice), EEXIST);
    assert_null(t);
    assert_null(d);
    assert_int_equal(twice.n, 2);
    assert_int_equal(twice.first, 5);
    assert_int_equal(twice.line, 11);
}

/* A row as text, and what a walk over all rows says. */
struct plain_row {
    char text[20];
    size_t n;
    char tag[8];
};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

enum { RANDOM_ROWS = 3000 };
static struct plain_row plain[RANDOM_ROWS];

static void random_digits(char *dst, size_t n, uint64_t *x)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = "0123+*"[next_random(x) % (i < 3 ? 3 : 6)];
    }
}

static const struct plain_row *walk_same(const struct plain_row *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sl_eq(sl_make(plain[i].text, plain[i].n), sl_make(r->text, r->n))) {
            return &plain[i];
        }
    }
    return NULL;
}

static const struct plain_row *walk_longest(struct sl s)
{
    const struct plain_row *best = NULL;

    for (size_t i = 0; i < RANDOM_ROWS; i++) {
        if (sl_starts(s, sl_make(plain[i].text, plain[i].n)) &&
            (best == NULL || plain[i].n > best->n)) {
            best = &plain[i];
        }
    }
    return best;
}

static struct policy_table *random_table(uint64_t *x)
{
    struct policy_table_draft *d = NULL;
    struct policy_table *t = NULL;
    struct twice twice = {0};
    size_t bad;

    assert_int_equal(policy_table_draft_new(&d), 0);
    for (size_t n = 0; n < RANDOM_ROWS;) {
        struct plain_row *r = &plain[n];

        r->n = 1 + next_random(x) % 9;
        random_digits(r->text, r->n, x);
        if (walk_same(r, n) == NULL) {
            snprintf(r->tag, sizeof(r->tag), "t%u", (unsigned)(next_random(x) % 40));
            assert_int_equal(
                policy_table_add(d, sl_make(r->text, r->n), sl_str(r->tag), (uint32_t)n++, &bad),
                0);
        }
    }
    assert_int_equal(policy_table_build(&t, &d, on_twice, &twice), 0);
    return t;
}

static void a_random_table_agrees_with_a_walk_over_its_rows(void **state)
{
    uint64_t x = 88172645463325252ULL;
    struct policy_table *t = random_table(&x);

    (void)state;
    for (size_t k = 0; k < 5000; k++) {
        char number[12];
        struct sl s = sl_make(number, 1 + next_random(&x) % sizeof(number));
        const struct plain_row *best;
        size_t matched;
        uint16_t tag;

        random_digits(number, s.n, &x);
        best = walk_longest(s);
        tag = policy_table_find(t, s, &matched);
        assert_int_equal(matched, best != NULL ? best->n : 0);
        assert_int_equal(tag,
                         best == NULL ? POLICY_TAG_NONE : policy_table_tag(t, sl_str(best->tag)));
        assert_int_equal(tag == POLICY_TAG_NONE, best == NULL);
    }
    policy_table_free(&t);
}

static void building_survives_every_failing_allocation(void **state)
{
    bool is_hit;
    uint64_t n = 0;

    (void)state;
    do {
        int64_t live = mem_live();
        struct policy_table_draft *d = NULL;
        struct policy_table *t = NULL;
        struct twice twice = {0};
        size_t bad;
        int err;

        mem_fault_arm(++n);
        err = policy_table_draft_new(&d);
        for (size_t i = 0; err == 0 && i < COUNT_OF(rows); i += 2) {
            err = policy_table_add(d, sl_str(rows[i]), sl_str(rows[i + 1]), (uint32_t)i, &bad);
        }
        if (err == 0) {
            err = policy_table_build(&t, &d, on_twice, &twice);
        }
        is_hit = mem_fault_hit();
        mem_fault_arm(0);
        assert_true(err == 0 || (is_hit && err == ENOMEM));
        policy_table_draft_free(&d);
        policy_table_free(&t);
        assert_int_equal(mem_live(), live);
    } while (is_hit);
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_row_wins),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(bad_rows_are_refused_where_they_are_bad),
        cmocka_unit_test(a_random_table_agrees_with_a_walk_over_its_rows),
        cmocka_unit_test(building_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
