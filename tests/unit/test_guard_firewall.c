/* The daemon's side of postern-nft on the virtual clock, with a helper that the test plays. */
#include "guard/guard_int.h"
#include "nft/nft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define SYNC_MS 60000
#define RETRY_MS 1000

static struct {
    struct clock clock;
    struct loop *loop;
    pthread_mutex_t lock;
    struct firewall *f;
    int64_t live;
    /* the helper */
    int fd; /* its end; -1: it does not run */
    unsigned starts;
    fd_fn *fn;
    void *arg;
} rig = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- takes the place of helper.c --- */

int helper_find(struct helper *h)
{
    h->program[0] = '\0';
    return 0;
}

int helper_start(struct helper *h, struct loop *loop, fd_fn *fn, void *arg)
{
    int pair[2];

    (void)loop;
    assert_int_equal(rig.fd, -1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    h->fd = pair[0];
    rig.fd = pair[1];
    rig.fn = fn;
    rig.arg = arg;
    rig.starts++;
    return 0;
}

int helper_watch(struct helper *h, int what)
{
    assert_int_equal(what & LOOP_READ, LOOP_READ);
    return h->fd >= 0 ? 0 : EBADF;
}

void helper_end(struct helper *h)
{
    if (h->fd >= 0) {
        close(h->fd);
        close(rig.fd);
        h->fd = rig.fd = -1;
    }
}

void helper_say_goodbye(struct helper *h)
{
    assert_true(h->fd >= 0);
}

/* --- what it hears and says --- */

static void says(enum nft_op op, int err)
{
    struct nft_msg m = {.magic = NFT_MAGIC, .op = op, .err = (uint32_t)err};

    assert_int_equal(send(rig.fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
    rig.fn(0, LOOP_READ, rig.arg);
}

/* Messages of this kind among all that waits for it. */
static unsigned hears(enum nft_op op)
{
    struct nft_msg m[NFT_PACKET_MSGS];
    unsigned found = 0;
    ssize_t n;

    while ((n = recv(rig.fd, m, sizeof(m), 0)) > 0) {
        for (size_t i = 0; i < (size_t)n / sizeof(*m); i++) {
            assert_int_equal(nft_check_request(&m[i]), 0);
            found += m[i].op == op ? 1 : 0;
        }
    }
    return found;
}

static void ban(const char *prefix)
{
    struct policy_ban b = {.firewall = true, .until_ms = clock_wall_ms(&rig.clock) + 3600000};

    assert_int_equal(prefix_parse(sl_str(prefix), &b.prefix), 0);
    firewall_ban(rig.f, &b);
    loop_advance(rig.loop, 0);
}

static void fill(void *arg)
{
    (void)arg;
}

static int set_up(void **state)
{
    (void)state;
    rig.live = mem_live();
    rig.fd = -1;
    rig.starts = 0;
    clock_init_virtual(&rig.clock, 1000, 1795243697123);
    assert_int_equal(loop_new(&rig.loop, &(struct loop_params){.virt = &rig.clock}), 0);
    assert_int_equal(firewall_new(&rig.f, &(struct firewall_params){.loop = rig.loop,
                                                                    .clock = &rig.clock,
                                                                    .lock = &rig.lock,
                                                                    .node = "n",
                                                                    .fill = fill}),
                     0);
    firewall_want(rig.f, true);
    loop_advance(rig.loop, 0);
    assert_int_equal(rig.starts, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    firewall_free(&rig.f);
    loop_free(&rig.loop);
    assert_int_equal(rig.fd, -1);
    assert_int_equal(mem_live(), rig.live);
    return 0;
}

static void is_ready(void)
{
    says(NFT_READY, 0);
    assert_true(firewall_is_up(rig.f));
    assert_int_equal(hears(NFT_SYNC_END), 1);
    says(NFT_SYNCED, 0);
}

/* --- the tests --- */

static void all_is_compared_once_a_minute_and_news_are_told_at_once(void **state)
{
    (void)state;
    is_ready();
    ban("203.0.113.9");
    assert_int_equal(hears(NFT_ADD), 1);
    says(NFT_DONE, 0);
    loop_advance(rig.loop, SYNC_MS - 1);
    assert_int_equal(hears(NFT_SYNC), 0);
    loop_advance(rig.loop, 1);
    assert_int_equal(hears(NFT_SYNC), 1);
    says(NFT_SYNCED, 0);
    loop_advance(rig.loop, SYNC_MS);
    assert_int_equal(hears(NFT_SYNC), 1);
    assert_int_equal(rig.starts, 1);
}

static void a_helper_without_a_first_word_makes_way(void **state)
{
    (void)state;
    loop_advance(rig.loop, SYNC_MS - 1);
    assert_true(rig.fd >= 0);
    loop_advance(rig.loop, 1);
    assert_int_equal(rig.fd, -1);
    loop_advance(rig.loop, RETRY_MS);
    assert_int_equal(rig.starts, 2);
}

/* A stopped process keeps its socket, so nothing else tells of it. */
static void a_helper_that_hangs_makes_way(void **state)
{
    (void)state;
    is_ready();
    ban("203.0.113.9"); /* it says nothing to that */
    loop_advance(rig.loop, SYNC_MS - 1);
    assert_true(firewall_is_up(rig.f));
    loop_advance(rig.loop, 1);
    assert_false(firewall_is_up(rig.f));
    assert_int_equal(rig.fd, -1);
    loop_advance(rig.loop, RETRY_MS);
    assert_int_equal(rig.starts, 2);
    is_ready();
}

static void one_that_is_asked_again_has_half_a_minute_from_the_first_question(void **state)
{
    (void)state;
    is_ready();
    loop_advance(rig.loop, SYNC_MS - 1000);
    ban("203.0.113.9");
    loop_advance(rig.loop, 1000); /* the next comparison: a second is no time */
    assert_true(firewall_is_up(rig.f));
    assert_int_equal(hears(NFT_SYNC), 1);
    loop_advance(rig.loop, SYNC_MS);
    assert_false(firewall_is_up(rig.f));
}

static void whatever_it_says_shows_that_it_lives(void **state)
{
    (void)state;
    is_ready();
    for (int i = 0; i < 3; i++) {
        ban("203.0.113.9");
        says(NFT_DONE, i == 2 ? ENOENT : 0);
    }
    loop_advance(rig.loop, 499); /* an error: all is compared, soon */
    assert_int_equal(hears(NFT_SYNC), 0);
    loop_advance(rig.loop, 1);
    assert_int_equal(hears(NFT_SYNC), 1);
    says(NFT_SYNCED, 0);
    for (int i = 0; i < 5; i++) {
        loop_advance(rig.loop, SYNC_MS);
        assert_true(firewall_is_up(rig.f));
        says(NFT_SYNCED, 0);
    }
    assert_int_equal(rig.starts, 1);
}

static void one_that_fails_again_and_again_is_started_less_often(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        int64_t wait = RETRY_MS << (i < 6 ? i : 6);

        wait = wait < SYNC_MS ? wait : SYNC_MS;
        says(NFT_READY, EPERM);
        assert_int_equal(rig.fd, -1);
        loop_advance(rig.loop, wait - 1);
        assert_int_equal(rig.starts, i + 1);
        loop_advance(rig.loop, 1);
        assert_int_equal(rig.starts, i + 2);
    }
}

#define FIREWALL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIREWALL(all_is_compared_once_a_minute_and_news_are_told_at_once),
        FIREWALL(a_helper_without_a_first_word_makes_way),
        FIREWALL(a_helper_that_hangs_makes_way),
        FIREWALL(one_that_is_asked_again_has_half_a_minute_from_the_first_question),
        FIREWALL(whatever_it_says_shows_that_it_lives),
        FIREWALL(one_that_fails_again_and_again_is_started_less_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
