/* main.c - postern-nft: reads requests from the descriptor that the daemon gave it, and answers.
 * Started by the daemon alone; ends with the connection. */
#include "nft/nft.h"

#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2

static void say(int fd, const struct nft_msg *m)
{
    /* A daemon that does not read misses an answer; it asks again when it needs one. */
    (void)send(fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* 0: the daemon is gone or said goodbye; else the reason to end. */
static int converse(struct nft_server *s, int fd)
{
    for (;;) {
        struct nft_msg in[NFT_PACKET_MSGS + 1], reply;
        ssize_t got = recv(fd, in, sizeof(in), 0);
        int err;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 || errno == ECONNRESET ? 0 : errno;
        }
        err = nft_serve(s, in, nft_packet_msgs((size_t)got), &reply);
        if (err == 0) {
            say(fd, &reply);
        } else if (err != EINPROGRESS) {
            return err == ECANCELED ? 0 : err;
        }
    }
}

static int run(int fd)
{
    struct nft_msg ready = {.magic = NFT_MAGIC, .op = NFT_READY};
    struct nft_kernel *kernel = NULL;
    struct nft_server s = {.ops = &nft_kernel_ops};
    int err = nft_drop_privileges();

    if (err != 0) {
        log_error(NULL, "postern-nft: no right to change the packet filter (CAP_NET_ADMIN): %s",
                  strerror(err));
    } else {
        err = nft_kernel_open(&kernel);
    }
    if (err == 0) {
        s.kernel = kernel;
        err = s.ops->ensure(kernel);
    }
    ready.err = (uint32_t)err;
    say(fd, &ready);
    if (err == 0) {
        err = converse(&s, fd);
    }
    nft_server_free(&s);
    nft_kernel_close(&kernel);
    return err;
}

/* postern-nft FD json|text NODE */
/* With the capability on the file, whoever may start it may drop everybody's packets. */
static bool is_for_everybody(void)
{
    struct stat st;

    return getauxval(AT_SECURE) != 0 &&
           (stat("/proc/self/exe", &st) != 0 || (st.st_mode & S_IXOTH) != 0);
}

int main(int argc, char **argv)
{
    uint32_t fd = 0;
    int err;

    if (is_for_everybody()) {
        fputs("postern-nft has a capability of its own and can be started by everybody: "
              "chmod o-x first\n",
              stderr);
        return EXIT_USAGE;
    }

    if (argc != 4 || sl_u32(sl_str(argv[1]), 1023, &fd) != 0 || fd <= STDERR_FILENO) {
        fputs("postern-nft is started by postern (security.bans.firewall: nftables)\n", stderr);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP,
           SIG_IGN); /* sent to the whole group, they are for the daemon, which says goodbye */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    log_setup(LOG_INFO, sl_eq(sl_str(argv[2]), SL("json")), argv[3]);
    err = run((int)fd);
    if (err != 0) {
        log_error(NULL, "postern-nft ends: %s", strerror(err));
    }
    return err == 0 ? 0 : 1;
}
