/* floor.c - the least that a call between two sides can cost here: carries datagrams from one to
 * the other and reads nothing in them, but puts its own address into the place of the callee's.
 * Beside it a figure shows what is a system call or a wake-up of this machine, and what is ours. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BYTES_MAX = 65536, EVENTS = 2 };

struct side {
    int fd;
    struct sockaddr_in peer; /* who speaks here */
};

static void die(const char *why)
{
    fprintf(stderr, "floor: %s\n", why);
    exit(1);
}

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    const char *colon = strchr(text, ':');
    char ip[INET_ADDRSTRLEN] = {0};

    if (colon == NULL || (size_t)(colon - text) >= sizeof(ip)) {
        die("an address is IP:PORT");
    }
    memcpy(ip, text, (size_t)(colon - text));
    a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (a.sin_port == 0 || inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
        die("an address is IP:PORT");
    }
    return a;
}

static void open_side(struct side *s, const char *own, const char *peer)
{
    struct sockaddr_in a = address(own);
    int bytes = 4 << 20;

    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    s->peer = address(peer);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        die("cannot bind");
    }
    (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* The next request of the dialog has to come here. */
static void replace(char *bytes, size_t n, const char *what, const char *with)
{
    size_t len = strlen(what);
    char *at = bytes;

    while ((at = memmem(at, n - (size_t)(at - bytes), what, len)) != NULL) {
        memcpy(at, with, len);
        at += len;
    }
}

static void carry(const struct side *from, const struct side *to, const char *what,
                  const char *with)
{
    static char bytes[BYTES_MAX];
    ssize_t n;

    while ((n = recv(from->fd, bytes, sizeof(bytes), 0)) > 0) {
        if (what != NULL) {
            replace(bytes, (size_t)n, what, with);
        }
        (void)sendto(to->fd, bytes, (size_t)n, 0, (const struct sockaddr *)&to->peer,
                     sizeof(to->peer));
    }
}

int main(int argc, char **argv)
{
    struct side outside, inside;
    struct epoll_event ev[EVENTS];
    int ep = epoll_create1(0);

    if (argc != 5 || strlen(argv[1]) != strlen(argv[4])) {
        die("usage: floor OUTSIDE INSIDE CALLER CALLEE; OUTSIDE and CALLEE of the same length");
    }
    open_side(&outside, argv[1], argv[3]);
    open_side(&inside, argv[2], argv[4]);
    ev[0] = (struct epoll_event){.events = EPOLLIN, .data.u32 = 0};
    ev[1] = (struct epoll_event){.events = EPOLLIN, .data.u32 = 1};
    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, outside.fd, &ev[0]) != 0 ||
        epoll_ctl(ep, EPOLL_CTL_ADD, inside.fd, &ev[1]) != 0) {
        die("no epoll");
    }
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.u32 == 0) {
                carry(&outside, &inside, NULL, NULL);
            } else {
                carry(&inside, &outside, argv[4], argv[1]);
            }
        }
    }
}
