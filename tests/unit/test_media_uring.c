/* test_media_uring.c - io_uring where it works, and the way back to epoll where a container forbids
 * it or a kernel lacks it: a seccomp filter takes each of its system calls away in a child. */
#include "media_net.h"

#include "media/io_ring.h"
#include "media/uring.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* From here on this process gets err for the system call. */
static bool forbid(long call, int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = COUNT_OF(code), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static struct loop *new_loop(void)
{
    struct loop_params lp = {.mailbox = 16};
    struct loop *l = NULL;

    assert_int_equal(loop_new(&l, &lp), 0);
    return l;
}

/* 0: epoll; 1: io_uring; another: media_new() failed. Nothing stays open. */
static int what_it_chooses(enum media_io io)
{
    struct loop *l = new_loop();
    struct media_params p = {.loop = l, .n_workers = 1, .io = io};
    struct media *m = NULL;
    int err = media_new(&m, &p), got;

    got = err == 0 ? m->ring != NULL : 2;
    media_free(&m);
    loop_free(&l);
    return got;
}

static int in_a_child(long call, int err, enum media_io io)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(forbid(call, err) ? what_it_chooses(io) : 100);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_is_used_where_it_works(void **state)
{
    (void)state;
    if (uring_probe() != 0) {
        skip();
    }
    assert_int_equal(what_it_chooses(MEDIA_IO_AUTO), 1);
    assert_int_equal(what_it_chooses(MEDIA_IO_URING), 1);
    assert_int_equal(what_it_chooses(MEDIA_IO_EPOLL), 0);
}

static void where_it_is_forbidden_or_missing_epoll_takes_over(void **state)
{
    static const struct {
        long call;
        int err;
    } rows[] = {
        {SYS_io_uring_setup, EPERM},    {SYS_io_uring_setup, ENOSYS},
        {SYS_io_uring_setup, EINVAL}, /* a kernel before 6.1 */
        {SYS_io_uring_register, EPERM}, {SYS_io_uring_register, EINVAL},
        {SYS_io_uring_enter, EPERM},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(in_a_child(rows[i].call, rows[i].err, MEDIA_IO_AUTO), 0);
        assert_int_equal(in_a_child(rows[i].call, rows[i].err, MEDIA_IO_URING), 0);
    }
}

static void a_virtual_loop_has_none(void **state)
{
    struct clock clock;
    struct loop_params lp = {.virt = &clock, .mailbox = 16};
    struct media_ring *r = NULL;
    struct loop *l = NULL;
    struct media *m = NULL;

    (void)state;
    clock_init_virtual(&clock, 1000, 1);
    assert_int_equal(loop_new(&l, &lp), 0);
    assert_int_equal(media_new(&m, &(struct media_params){.loop = l, .n_workers = 1}), 0);
    assert_null(m->ring);
    assert_int_equal(media_ring_new(&r, m), uring_probe() == 0 ? ENOTSUP : uring_probe());
    assert_null(r);
    media_free(&m);
    loop_free(&l);
}

static void a_ring_that_runs_out_of_entries_hands_them_over(void **state)
{
    const struct uring_params p = {.sends = 4, .completions = 16, .buffers = 4, .buffer_bytes = 64};
    struct uring u;

    (void)state;
    if (uring_open(&u, &p) != 0) {
        skip();
    }
    for (unsigned i = 0; i < 10; i++) {
        struct io_uring_sqe *e = uring_entry(&u);

        assert_non_null(e);
        e->opcode = IORING_OP_NOP;
        e->user_data = i;
    }
    assert_true(uring_has_entries(&u));
    uring_enter(&u, 10, 1000000);
    assert_false(uring_has_entries(&u));
    for (unsigned i = 0; i < 10; i++) {
        assert_non_null(uring_peek(&u));
        assert_int_equal(uring_peek(&u)->user_data, i);
        uring_next(&u);
    }
    assert_null(uring_peek(&u));
    uring_close(&u);
    uring_close(&u);
}

static void running_out_of_memory_while_it_opens_leaves_nothing(void **state)
{
    int64_t live = mem_live();
    int err = ENOMEM;

    (void)state;
    for (uint64_t n = 1; err != 0; n++) {
        struct loop *l = new_loop();
        struct media *m = NULL;

        assert_true(n < 50);
        mem_fault_arm(n);
        err = media_new(&m, &(struct media_params){.loop = l, .n_workers = 1});
        mem_fault_arm(0);
        assert_true(err == 0 || err == ENOMEM);
        media_free(&m);
        loop_free(&l);
        assert_true(mem_live() == live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_used_where_it_works),
        cmocka_unit_test(where_it_is_forbidden_or_missing_epoll_takes_over),
        cmocka_unit_test(a_virtual_loop_has_none),
        cmocka_unit_test(a_ring_that_runs_out_of_entries_hands_them_over),
        cmocka_unit_test(running_out_of_memory_while_it_opens_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
