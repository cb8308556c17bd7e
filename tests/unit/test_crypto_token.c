/* Tokens, key rings, and the key file. */
#include "base/base.h"
#include "crypto/crypto.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/postern-token-XXXXXX";
static char path[64];

static int up(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/keys", dir);
    return crypto_init();
}

static int down(void **state)
{
    (void)state;
    (void)unlink(path);
    crypto_deinit();
    return rmdir(dir); /* fails when a temporary file was left behind */
}

static int fresh_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static struct sl put(const struct token_ring *r, const struct token *t, char *text)
{
    token_put(r, t, text);
    return sl_make(text, TOKEN_TEXT_LEN);
}

static void assert_same_token(const struct token *a, const struct token *b)
{
    assert_int_equal(a->node, b->node);
    assert_int_equal(a->worker, b->worker);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->leg, b->leg);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->gen, b->gen);
}

static void what_is_put_is_got_in_either_case(void **state)
{
    static const struct token rows[] = {
        {.kind = TOKEN_TX},
        {1, 2, TOKEN_TAG, 1, 3, 4},
        {0x3ff, 63, TOKEN_STATELESS, 31, 0xffffff, 0xffffffff},
        {0x234, 7, TOKEN_CONTACT, 30, 0x020304, 0xa0b0c0d0},
    };
    struct token_ring *r;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[TOKEN_TEXT_LEN + 1] = {0};
        struct token t;

        assert_true(token_get(r, put(r, &rows[i], text), &t));
        assert_same_token(&t, &rows[i]);
        assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz234567"), TOKEN_TEXT_LEN);
        for (size_t k = 0; k < TOKEN_TEXT_LEN; k++) {
            text[k] = (char)(text[k] >= 'a' ? text[k] - 'a' + 'A' : text[k]);
        }
        assert_true(token_get(r, sl_make(text, TOKEN_TEXT_LEN), &t));
        assert_same_token(&t, &rows[i]);
    }
    token_ring_free(&r);
    assert_null(r);
    token_ring_free(&r);
}

static void every_text_is_another_one(void **state)
{
    const struct token t = {.kind = TOKEN_TAG, .slot = 1, .gen = 1};
    char first[TOKEN_TEXT_LEN], text[TOKEN_TEXT_LEN];
    struct token_ring *r;
    int same = 0;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    token_put(r, &t, first);
    for (int i = 0; i < 100; i++) {
        token_put(r, &t, text);
        same += memcmp(first, text, sizeof(text)) == 0;
    }
    assert_true(same <= 1);
    token_ring_free(&r);
}

static void texts_that_are_not_ours_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "a",
        "z9hG4bK-524287-1---abcdefgh",
        "aaaaaaaaaaaaaaaaaaaaaaaaa1", /* 1 is not base32 */
        "aaaaaaaaaaaaaaaaaaaaaaaa[a",
        "zzzzzzzzzzzzz\x80zzzzzzzzzzza",
        "aaaaaaaaaaaaa@aaaaaaaaaaaa",
    };
    const struct token t = {.kind = TOKEN_TX};
    char text[TOKEN_TEXT_LEN + 1] = {0};
    struct token out = {.slot = 99};
    struct token_ring *r;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_false(token_get(r, sl_str(rows[i]), &out));
    }
    (void)put(r, &t, text);
    text[TOKEN_TEXT_LEN - 1]++; /* sets a spare bit: the same block, but not the same text */
    assert_false(token_get(r, sl_make(text, TOKEN_TEXT_LEN), &out));
    text[TOKEN_TEXT_LEN - 1]--;
    text[TOKEN_TEXT_LEN] = 'a';
    assert_false(token_get(r, sl_make(text, TOKEN_TEXT_LEN + 1), &out));
    assert_false(token_get(r, sl_make(text, TOKEN_TEXT_LEN - 1), &out));
    assert_false(token_get(r, SL_NULL, &out));
    assert_int_equal(out.slot, 99);
    token_ring_free(&r);
}

/* 24 check bits: a foreign text passes once in 16 million. */
static void texts_of_another_key_do_not_decode(void **state)
{
    struct token_ring *r, *other;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    assert_int_equal(token_ring_random(&other), 0);
    for (uint32_t i = 0; i < 2000; i++) {
        const struct token t = {.kind = TOKEN_TX, .slot = i, .gen = 1};
        char text[TOKEN_TEXT_LEN];
        struct token out;

        assert_false(token_get(r, put(other, &t, text), &out));
    }
    token_ring_free(&r);
    token_ring_free(&other);
}

static void a_kind_that_does_not_exist_is_refused(void **state)
{
    struct token t = {.kind = TOKEN_NONE}, out;
    char text[TOKEN_TEXT_LEN];
    struct token_ring *r;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    assert_false(token_get(r, put(r, &t, text), &out));
    t.kind = TOKEN_STATELESS + 1; /* six: fits the three bits, means nothing */
    assert_false(token_get(r, put(r, &t, text), &out));
    token_ring_free(&r);
}

static void a_key_is_accepted_as_long_as_its_calls_may_live(void **state)
{
    const struct token t = {.kind = TOKEN_CALLID, .slot = 5, .gen = 6};
    char text[TOKEN_TEXT_LEN];
    struct token_ring *a, *b, *c, *copy;
    struct token out;

    (void)state;
    assert_int_equal(token_ring_random(&a), 0);
    assert_int_equal(token_ring_rotate(&b, a, NULL, &(struct token_turn){1000, 500}), 0);
    assert_int_equal(token_ring_begin(b), 0);
    assert_int_equal(token_ring_rotate(&c, b, NULL, &(struct token_turn){2000, 500}), 0);
    assert_int_equal(token_ring_clone(&copy, b), 0);
    assert_int_equal(token_ring_made_ms(copy), 1000);
    assert_int_equal(token_ring_made_ms(c), 2000);
    assert_true(token_get(b, put(a, &t, text), &out));
    assert_same_token(&out, &t);
    assert_true(token_get(copy, sl_make(text, sizeof(text)), &out));
    assert_same_token(&out, &t);
    assert_false(token_get(c, sl_make(text, sizeof(text)), &out));
    assert_true(token_get(copy, put(b, &t, text), &out));
    assert_same_token(&out, &t);
    token_ring_free(&a);
    token_ring_free(&b);
    token_ring_free(&c);
    token_ring_free(&copy);
}

/* The threads take a new ring over one after the other: until all have it, none writes what
 * another could not read. */
static void a_new_key_is_read_before_it_is_written(void **state)
{
    const struct token t = {.kind = TOKEN_CALLID, .slot = 5, .gen = 6};
    const struct token_turn turn = {2000, 500};
    char text[TOKEN_TEXT_LEN];
    struct token_ring *ring[4], *copy;
    struct token out;

    (void)state;
    assert_int_equal(token_ring_random(&ring[0]), 0);
    assert_false(token_ring_waits(ring[0]));
    for (size_t i = 1; i < COUNT_OF(ring); i++) { /* again before the one before has begun */
        assert_int_equal(token_ring_rotate(&ring[i], ring[i - 1], NULL, &turn), 0);
        assert_true(token_ring_waits(ring[i]));
    }
    assert_int_equal(token_ring_clone(&copy, ring[3]), 0);
    assert_true(token_get(ring[0], put(ring[3], &t, text), &out));
    assert_same_token(&out, &t);
    assert_true(token_get(ring[0], put(copy, &t, text), &out));
    assert_int_equal(token_ring_begin(copy), 0);
    assert_false(token_ring_waits(copy));
    assert_true(token_get(ring[3], put(copy, &t, text), &out));
    assert_same_token(&out, &t);
    for (size_t i = 0; i < 3; i++) {
        assert_false(token_get(ring[i], sl_make(text, sizeof(text)), &out));
    }
    for (size_t i = 0; i < COUNT_OF(ring); i++) {
        token_ring_free(&ring[i]);
    }
    token_ring_free(&copy);
}

static void the_key_file_is_made_once_and_read_again(void **state)
{
    const struct token t = {.kind = TOKEN_TAG, .slot = 77, .gen = 3};
    char text[TOKEN_TEXT_LEN];
    struct token_ring *a, *b, *c;
    struct token out;
    struct stat st;

    (void)state;
    assert_int_equal(token_ring_load(&a, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(token_ring_made_ms(a) > 1600000000000);
    assert_int_equal(token_ring_load(&b, path), 0);
    assert_int_equal(token_ring_made_ms(a), token_ring_made_ms(b));
    assert_true(token_get(b, put(a, &t, text), &out));
    assert_same_token(&out, &t);
    token_ring_free(&b);

    assert_int_equal(token_ring_rotate(&b, a, path, &(struct token_turn){1795243697123, 1000}), 0);
    assert_int_equal(token_ring_load(&c, path), 0);
    assert_int_equal(token_ring_made_ms(c), 1795243697123);
    assert_true(token_get(c, put(a, &t, text), &out));
    assert_same_token(&out, &t);
    assert_int_equal(token_ring_begin(b), 0);
    assert_true(token_get(c, put(b, &t, text), &out));
    assert_same_token(&out, &t);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    token_ring_free(&a);
    token_ring_free(&b);
    token_ring_free(&c);
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

#define HEAD "postern-token-keys 1\n"
#define KEY "00112233445566778899aabbccddeeff"

static void key_files_that_are_not_ours_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "hello\n",
        "postern-token-keys 2\ncurrent " KEY " 1\n",
        HEAD,
        HEAD "previous " KEY " 1\n",
        HEAD "current " KEY "\n",
        HEAD "current " KEY " 0\n",
        HEAD "current " KEY " x\n",
        HEAD "current " KEY "00 1\n",
        HEAD "current 0011 1\n",
        HEAD "current 0011223344556677889gaabbccddeeff 1\n",
        HEAD "current " KEY " 1\ncurrent " KEY " 2\n",
        HEAD "current " KEY " 1\nfuture " KEY " 2\n",
        HEAD "current " KEY " 1\n\n",
    };
    struct token_ring *r = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file(rows[i], 0600);
        assert_int_equal(token_ring_load(&r, path), EBADMSG);
        assert_null(r);
    }
    write_file(HEAD "current " KEY " 5\nprevious " KEY " 4\n", 0600);
    assert_int_equal(token_ring_load(&r, path), 0);
    assert_int_equal(token_ring_made_ms(r), 5);
    token_ring_free(&r);
}

static void a_huge_key_file_is_refused(void **state)
{
    static char big[5000];
    struct token_ring *r = NULL;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    write_file(big, 0600);
    assert_int_equal(token_ring_load(&r, path), EBADMSG);
}

static void key_files_that_others_can_read_are_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0666};
    struct token_ring *r = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        write_file(HEAD "current " KEY " 1\n", modes[i]);
        assert_int_equal(token_ring_load(&r, path), EPERM);
    }
    write_file(HEAD "current " KEY " 1\n", 0400);
    assert_int_equal(token_ring_load(&r, path), 0);
    token_ring_free(&r);
}

static void what_is_no_plain_file_is_refused(void **state)
{
    struct token_ring *r = NULL;

    (void)state;
    assert_int_equal(token_ring_load(&r, dir), EBADMSG);
    assert_int_equal(token_ring_load(&r, "/nonexistent/keys"), ENOENT);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(token_ring_load(&r, path), ELOOP);
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(token_ring_load(&r, path), EBADMSG);
    assert_null(r);
}

static void a_rotation_that_cannot_be_written_changes_nothing(void **state)
{
    struct token_ring *r, *next = NULL;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    assert_int_equal(token_ring_rotate(&next, r, "/nonexistent/keys", &(struct token_turn){1, 1}),
                     ENOENT);
    assert_null(next);
    token_ring_free(&r);
}

static void rings_without_memory_are_no_rings(void **state)
{
    int64_t live = mem_live();
    struct token_ring *r = NULL;

    (void)state;
    mem_fault_arm(1);
    assert_int_equal(token_ring_random(&r), ENOMEM);
    mem_fault_arm(0);
    assert_null(r);
    assert_int_equal(mem_live(), live);
}

/* Key files k0, k1, ... of the test's directory. */
static struct token_ring *follow(const struct token_ring *r, unsigned i, int64_t wall_ms, int err)
{
    const struct token_turn turn = {.wall_ms = wall_ms, .life_ms = 86400000};
    struct token_ring *next = NULL;
    char at[64];

    snprintf(at, sizeof(at), "%s/k%u", dir, i);
    assert_int_equal(token_ring_follow(&next, r, at, &turn), err);
    assert_int_equal(err == 0 ? token_ring_begin(next) : 0, 0);
    return next;
}

static void all_keys_whose_calls_may_live_are_accepted_and_a_ninth_is_refused(void **state)
{
    const struct token t = {.kind = TOKEN_TAG, .slot = 9, .gen = 1};
    char texts[TOKEN_OLDER_MAX + 1][TOKEN_TEXT_LEN];
    struct token_ring *r, *next;
    struct token out;

    (void)state;
    assert_int_equal(token_ring_random(&r), 0);
    put(r, &t, texts[0]);
    for (unsigned i = 1; i <= TOKEN_OLDER_MAX; i++) {
        next = follow(r, i, 1000 + i, 0);
        token_ring_free(&r);
        r = next;
        put(r, &t, texts[i]);
        for (unsigned k = 0; k <= i; k++) {
            assert_true(token_get(r, sl_make(texts[k], TOKEN_TEXT_LEN), &out));
            assert_same_token(&out, &t);
        }
    }
    assert_null(follow(r, 20, 2000, ENOBUFS));
    next = follow(r, 1, 2000, 0); /* back to one of them: no more than there were */
    token_ring_free(&r);
    assert_true(token_get(next, sl_make(texts[0], TOKEN_TEXT_LEN), &out));
    assert_true(token_get(next, sl_make(texts[TOKEN_OLDER_MAX], TOKEN_TEXT_LEN), &out));
    r = next;
    next = follow(r, 20, 86400000 + 1001, 0); /* the first one left at 1001 */
    assert_false(token_get(next, sl_make(texts[0], TOKEN_TEXT_LEN), &out));
    assert_true(token_get(next, sl_make(texts[2], TOKEN_TEXT_LEN), &out));
    token_ring_free(&next);
    token_ring_free(&r);
    for (unsigned i = 1; i <= 20; i++) {
        char at[64];

        snprintf(at, sizeof(at), "%s/k%u", dir, i);
        (void)unlink(at);
    }
}

static void older_keys_are_read_again_from_the_file(void **state)
{
    const struct token_turn turn = {.wall_ms = 1795243697123, .life_ms = 86400000};
    const struct token t = {.kind = TOKEN_TAG, .slot = 9, .gen = 1};
    char at[64], text[TOKEN_TEXT_LEN];
    struct token_ring *a, *b, *c, *d, *e;
    struct token out;

    (void)state;
    snprintf(at, sizeof(at), "%s/older", dir);
    assert_int_equal(token_ring_random(&a), 0);
    put(a, &t, text);
    assert_int_equal(token_ring_rotate(&b, a, at, &turn), 0);
    assert_int_equal(token_ring_rotate(&c, b, at, &turn), 0);
    assert_int_equal(token_ring_rotate(&d, c, at, &turn), 0);
    assert_int_equal(token_ring_load(&e, at), 0);
    assert_int_equal(unlink(at), 0);
    assert_true(token_get(e, sl_make(text, sizeof(text)), &out));
    assert_same_token(&out, &t);
    assert_true(token_get(e, put(b, &t, text), &out));
    assert_true(token_get(e, put(c, &t, text), &out));
    token_ring_free(&a);
    token_ring_free(&b);
    token_ring_free(&c);
    token_ring_free(&d);
    token_ring_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got_in_either_case),
        cmocka_unit_test(every_text_is_another_one),
        cmocka_unit_test(texts_that_are_not_ours_are_refused),
        cmocka_unit_test(texts_of_another_key_do_not_decode),
        cmocka_unit_test(a_kind_that_does_not_exist_is_refused),
        cmocka_unit_test(a_key_is_accepted_as_long_as_its_calls_may_live),
        cmocka_unit_test(a_new_key_is_read_before_it_is_written),
        cmocka_unit_test(all_keys_whose_calls_may_live_are_accepted_and_a_ninth_is_refused),
        cmocka_unit_test(older_keys_are_read_again_from_the_file),
        cmocka_unit_test_setup(the_key_file_is_made_once_and_read_again, fresh_file),
        cmocka_unit_test_setup(key_files_that_are_not_ours_are_refused, fresh_file),
        cmocka_unit_test_setup(a_huge_key_file_is_refused, fresh_file),
        cmocka_unit_test_setup(key_files_that_others_can_read_are_refused, fresh_file),
        cmocka_unit_test_setup(what_is_no_plain_file_is_refused, fresh_file),
        cmocka_unit_test(a_rotation_that_cannot_be_written_changes_nothing),
        cmocka_unit_test(rings_without_memory_are_no_rings),
    };

    return cmocka_run_group_tests(tests, up, down);
}
