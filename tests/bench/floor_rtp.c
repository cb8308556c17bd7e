/* floor_rtp.c - the least that the relay of media can cost here: two connected sockets a call, what
 * comes by one goes out by the other, and nobody looks at it. Waits after a wake-up as the daemon
 * does (media.gather), so that one serves many. Says on standard output where each call's parties
 * send to, in the words of `loadgen --streams`. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum {
    PACKET_MAX = 2048,
    EVENTS = 4096,
    CALLS_MAX = 4000,
    OWN_FIRST = 10000,
    RTP_FIRST = 40000,
    BUFFER = 1 << 18
};

struct side {
    const char *own, *peer; /* addresses */
    unsigned next;          /* own port to try */
    int fds[CALLS_MAX];
};

static void die(const char *why)
{
    fprintf(stderr, "floor_rtp: %s\n", why);
    exit(1);
}

static struct sockaddr_in address(const char *ip, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
        die("not an IPv4 address");
    }
    return a;
}

/* Below the ports of the parties, who may have the same address. */
static void bind_next(struct side *s, int fd)
{
    struct sockaddr_in own;

    do {
        own = address(s->own, ++s->next);
        if (s->next >= RTP_FIRST) {
            die("no port is free");
        }
    } while (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0);
}

/* Where the relay listens for this party. */
static void open_one(struct side *s, unsigned call)
{
    struct sockaddr_in peer = address(s->peer, RTP_FIRST + 2 * call);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = BUFFER;

    if (fd < 0) {
        die("no socket");
    }
    bind_next(s, fd);
    if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0) {
        die("cannot connect");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    s->fds[call] = fd;
    printf("%s:%u ", s->own, s->next);
}

static void watch(int ep, int from, int to)
{
    struct epoll_event ev = {.events = EPOLLIN,
                             .data.u64 = (uint64_t)(uint32_t)from << 32 | (uint32_t)to};

    if (epoll_ctl(ep, EPOLL_CTL_ADD, from, &ev) != 0) {
        die("no epoll");
    }
}

static void carry(uint64_t pair)
{
    static char packet[PACKET_MAX];
    ssize_t n = recv((int)(pair >> 32), packet, sizeof(packet), 0);

    if (n > 0) {
        (void)send((int)(uint32_t)pair, packet, (size_t)n, 0);
    }
}

static void run(int ep, long gather_us)
{
    static struct epoll_event ev[EVENTS];
    const struct timespec gather = {.tv_nsec = gather_us * 1000};

    for (;;) {
        int n = epoll_wait(ep, ev, gather_us != 0 ? 1 : EVENTS, -1);

        if (gather_us != 0) {
            (void)nanosleep(&gather, NULL);
            n = epoll_wait(ep, ev, EVENTS, 0);
        }
        for (int i = 0; i < n; i++) {
            carry(ev[i].data.u64);
        }
    }
}

int main(int argc, char **argv)
{
    static struct side outside, inside;
    unsigned calls = argc == 7 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    struct rlimit files;
    int ep = epoll_create1(0);

    if (calls == 0 || calls > CALLS_MAX) {
        die("usage: floor_rtp OUTSIDE INSIDE CALLER CALLEE CALLS GATHER_US");
    }
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)prctl(PR_SET_TIMERSLACK, 1);
    outside = (struct side){.own = argv[1], .peer = argv[3], .next = OWN_FIRST};
    inside = (struct side){.own = argv[2], .peer = argv[4], .next = OWN_FIRST};
    for (unsigned i = 0; i < calls; i++) {
        open_one(&outside, i);
        open_one(&inside, i);
        printf("- -\n");
        watch(ep, outside.fds[i], inside.fds[i]);
        watch(ep, inside.fds[i], outside.fds[i]);
    }
    (void)fflush(stdout);
    run(ep, strtol(argv[6], NULL, 10));
}
