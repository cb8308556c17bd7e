/* The hand-over protocol of the mailbox, step by step; the races are in test_loop_real.c. */
#include "base/base.h"
#include "loop/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct loop_msg msg;

static bool put_wakes(struct mailbox *mb)
{
    bool wake = false;

    assert_int_equal(mailbox_put(mb, &msg, &wake), 0);
    return wake;
}

static void only_the_first_message_for_a_sleeper_wakes(void **state)
{
    struct mailbox mb;
    struct loop_msg m;

    (void)state;
    assert_int_equal(mailbox_init(&mb, 4), 0);
    assert_false(put_wakes(&mb)); /* nobody sleeps */
    assert_false(mailbox_may_sleep(&mb));
    assert_false(put_wakes(&mb)); /* it was told to stay awake */
    assert_true(mailbox_get(&mb, &m) && mailbox_get(&mb, &m));
    assert_false(mailbox_get(&mb, &m));
    assert_true(mailbox_may_sleep(&mb));
    assert_true(put_wakes(&mb));
    assert_false(put_wakes(&mb));
    assert_true(mailbox_get(&mb, &m) && mailbox_get(&mb, &m));
    assert_true(mailbox_may_sleep(&mb));
    mailbox_awake(&mb); /* woken by something else */
    assert_false(put_wakes(&mb));
    mailbox_free(&mb);
}

static void a_full_ring_refuses_without_a_wake_up(void **state)
{
    struct mailbox mb;
    struct loop_msg m;
    bool wake = true;

    (void)state;
    assert_int_equal(mailbox_init(&mb, 2), 0);
    for (int lap = 0; lap < 5; lap++) {
        (void)put_wakes(&mb);
        (void)put_wakes(&mb);
        assert_int_equal(mailbox_put(&mb, &msg, &wake), ENOBUFS);
        assert_false(wake);
        assert_true(mailbox_get(&mb, &m) && mailbox_get(&mb, &m));
        assert_false(mailbox_has(&mb));
    }
    mailbox_free(&mb);
}

static void a_ring_needs_memory(void **state)
{
    struct mailbox mb;

    (void)state;
    mem_fault_arm(1);
    assert_int_equal(mailbox_init(&mb, 2), ENOMEM);
    mem_fault_arm(0);
    mailbox_free(&mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_first_message_for_a_sleeper_wakes),
        cmocka_unit_test(a_full_ring_refuses_without_a_wake_up),
        cmocka_unit_test(a_ring_needs_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
