/* media_net.h - loopback addresses, sockets and packets for the tests of media/. */
#ifndef POSTERN_TEST_MEDIA_NET_H
#define POSTERN_TEST_MEDIA_NET_H

#include "media/media_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static inline bool rig_has_v6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* An address that no other test program on this machine uses: ports cannot collide. */
static inline struct addr rig_ip(unsigned last)
{
    char text[32];
    struct addr a;

    (void)snprintf(text, sizeof(text), "127.%u.%u.%u", 64 + (unsigned)getpid() / 250 % 128,
                   1 + (unsigned)getpid() % 250, last);
    assert_int_equal(addr_parse(sl_str(text), 0, &a), 0);
    return a;
}

static inline struct addr rig_addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 0, &a), 0);
    return a;
}

static inline int rig_socket(struct addr ip)
{
    int fd = socket(addr_family(&ip), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &ip.u.sa, addr_len(&ip)), 0);
    return fd;
}

static inline struct addr rig_name(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct addr a;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
    return a;
}

/* Bytes waiting at fd; -1: none. */
static inline ssize_t rig_recv(int fd, void *p, size_t cap, struct addr *from)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    ssize_t n = recvfrom(fd, p, cap, 0, (struct sockaddr *)&ss, &len);

    if (n >= 0 && from != NULL) {
        addr_from_sockaddr(from, (struct sockaddr *)&ss, len);
    }
    return n;
}

static inline bool rig_got(int fd) /* takes one packet */
{
    uint8_t mem[4096];

    return rig_recv(fd, mem, sizeof(mem), NULL) >= 0;
}

static inline size_t rig_rtp(uint8_t *p, uint16_t seq) /* 172 bytes of G.711 */
{
    memset(p, 0x55, 172);
    p[0] = 0x80;
    p[1] = 0;
    p[2] = (uint8_t)(seq >> 8);
    p[3] = (uint8_t)seq;
    memset(p + 4, 0, 4);
    p[6] = (uint8_t)(seq * 160 >> 8);
    p[7] = (uint8_t)(seq * 160);
    memcpy(p + 8, "SSRC", 4);
    return 172;
}

#endif
