/* helper.c - the helper as a process: started with one end of a pair of sockets, and ended. */
#include "guard/guard_int.h"
#include "nft/nft.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_PROGRAM "postern-nft"
#define HELPER_FD 3    /* its end of the pair, over there */
#define HELPER_BYE_S 3 /* to remove the table */

/* The helper lies beside the daemon, wherever that was installed. */
int helper_find(struct helper *h)
{
    ssize_t n = readlink("/proc/self/exe", h->program, sizeof(h->program) - sizeof(HELPER_PROGRAM));

    if (n <= 0) {
        return n < 0 ? errno : ENOENT;
    }
    while (n > 0 && h->program[n - 1] != '/') {
        n--;
    }
    memcpy(h->program + n, HELPER_PROGRAM, sizeof(HELPER_PROGRAM));
    return 0;
}

/* Its end of the pair becomes descriptor 3, and nothing else of ours reaches it. */
static int helper_spawn(struct helper *h, int fd)
{
    char number[] = {'0' + HELPER_FD, '\0'};
    char *argv[] = {h->program, number, h->is_json ? "json" : "text", h->node, NULL};
    char *env[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    int err;

    sigemptyset(&none);
    err = posix_spawn_file_actions_init(&files);
    if (err != 0) {
        return err;
    }
    err = posix_spawnattr_init(&how);
    if (err != 0) {
        posix_spawn_file_actions_destroy(&files);
        return err;
    }
    err = posix_spawnattr_setsigmask(&how, &none);
    if (err == 0) {
        err = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    }
    if (err == 0) {
        err = posix_spawn_file_actions_adddup2(&files, fd, HELPER_FD);
    }
    if (err == 0) {
        err = posix_spawn_file_actions_addclosefrom_np(&files, HELPER_FD + 1);
    }
    if (err == 0) {
        err = posix_spawn(&h->pid, h->program, &files, &how, argv, env);
    }
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return err;
}

int helper_start(struct helper *h, struct loop *loop, fd_fn *fn, void *arg)
{
    int pair[2];
    int err = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ? 0 : errno;

    if (err != 0) {
        return err;
    }
    h->pid = 0;
    h->fd = pair[0];
    err = helper_spawn(h, pair[1]);
    close(pair[1]);
    if (err == 0) {
        err = fdw_new(&h->watch, loop, h->fd, fn, arg);
    }
    if (err != 0) {
        helper_end(h);
    }
    return err;
}

int helper_watch(struct helper *h, int what)
{
    return fdw_set(h->watch, what);
}

/* Until it is waited for, its number cannot be another process's. */
void helper_end(struct helper *h)
{
    fdw_free(&h->watch);
    if (h->fd >= 0) {
        close(h->fd);
        h->fd = -1;
    }
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        h->pid = 0;
    }
}

void helper_say_goodbye(struct helper *h)
{
    struct nft_msg bye = {.magic = NFT_MAGIC, .op = NFT_BYE};
    struct timeval wait = {.tv_sec = HELPER_BYE_S};
    char rest[sizeof(struct nft_msg)];
    ssize_t n = -1;

    (void)setsockopt(h->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    (void)setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (send(h->fd, &bye, sizeof(bye), MSG_NOSIGNAL) == (ssize_t)sizeof(bye)) {
        do {
            n = recv(h->fd, rest, sizeof(rest), 0);
        } while (n > 0);
    }
    if (n != 0) {
        log_warn(NULL, "the firewall's table may be left: nft delete table inet postern");
    }
}
