/* addr.c - addresses and prefixes: numbers in, numbers out, no names. */
#include "base/base.h"

#include <arpa/inet.h>
#include <stdio.h>

socklen_t addr_len(const struct addr *a)
{
    switch (addr_family(a)) {
    case AF_INET:
        return sizeof(a->u.in4);
    case AF_INET6:
        return sizeof(a->u.in6);
    default:
        return 0;
    }
}

uint16_t addr_port(const struct addr *a)
{
    switch (addr_family(a)) {
    case AF_INET:
        return ntohs(a->u.in4.sin_port);
    case AF_INET6:
        return ntohs(a->u.in6.sin6_port);
    default:
        return 0;
    }
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (addr_family(a) == AF_INET) {
        a->u.in4.sin_port = htons(port);
    } else if (addr_family(a) == AF_INET6) {
        a->u.in6.sin6_port = htons(port);
    }
}

static struct addr addr_make4(const void *ip, uint16_t port_be)
{
    struct addr a;

    memset(&a, 0, sizeof(a));
    a.u.in4.sin_family = AF_INET;
    a.u.in4.sin_port = port_be;
    memcpy(&a.u.in4.sin_addr, ip, 4);
    return a;
}

static struct addr addr_make6(const struct in6_addr *ip, uint16_t port_be, uint32_t scope)
{
    struct addr a;

    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        return addr_make4(&ip->s6_addr[12], port_be);
    }
    memset(&a, 0, sizeof(a));
    a.u.in6.sin6_family = AF_INET6;
    a.u.in6.sin6_port = port_be;
    a.u.in6.sin6_addr = *ip;
    a.u.in6.sin6_scope_id = scope;
    return a;
}

void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    sa_family_t family = AF_UNSPEC;

    if (len >= offsetof(struct sockaddr, sa_family) + sizeof(family)) {
        family = sa->sa_family;
    }
    if (family == AF_INET && len >= sizeof(in4)) {
        memcpy(&in4, sa, sizeof(in4));
        *a = addr_make4(&in4.sin_addr, in4.sin_port);
    } else if (family == AF_INET6 && len >= sizeof(in6)) {
        memcpy(&in6, sa, sizeof(in6));
        *a = addr_make6(&in6.sin6_addr, in6.sin6_port, in6.sin6_scope_id);
    } else {
        memset(a, 0, sizeof(*a));
    }
}

/* As inet_pton() does, in a tenth of its time: four octets without leading zeros, and no more. */
static bool addr_quad(struct sl host, struct in_addr *out)
{
    uint32_t ip = 0;
    size_t i = 0;

    for (unsigned part = 0; part < 4; part++, i++) {
        size_t first = i;
        uint32_t v = 0;

        while (i < host.n && i - first < 3 && host.p[i] >= '0' && host.p[i] <= '9') {
            v = v * 10 + (uint32_t)(host.p[i++] - '0');
        }
        if (i == first || v > 255 || (i - first > 1 && host.p[first] == '0') ||
            (part < 3 && (i == host.n || host.p[i] != '.'))) {
            return false;
        }
        ip = ip << 8 | v;
    }
    out->s_addr = htonl(ip);
    return i == host.n + 1;
}

int addr_parse(struct sl host, uint16_t port, struct addr *out)
{
    char text[INET6_ADDRSTRLEN];
    bool is_bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    struct in_addr in4;
    struct in6_addr in6;

    if (addr_quad(host, &in4)) {
        *out = addr_make4(&in4, htons(port));
        return 0;
    }
    if (is_bracketed) {
        host = sl_make(host.p + 1, host.n - 2);
    }
    if (sl_cstr(host, text, sizeof(text)) != 0) {
        return EBADMSG;
    }
    if (strchr(text, ':') == NULL || inet_pton(AF_INET6, text, &in6) != 1) {
        return EBADMSG;
    }
    *out = addr_make6(&in6, htons(port), 0);
    return 0;
}

/* Where the host ends: behind its bracket, at the only colon, or at the end (a bare v6). */
static size_t addr_host_end(struct sl s)
{
    ptrdiff_t at = s.n != 0 && s.p[0] == '[' ? sl_chr(s, ']') : sl_chr(s, ':');

    if (at < 0) {
        return s.n;
    }
    if (s.p[0] == '[') {
        return (size_t)at + 1;
    }
    return at == sl_rchr(s, ':') ? (size_t)at : s.n;
}

int addr_parse_hostport(struct sl s, uint16_t dflt_port, struct addr *out)
{
    size_t end = addr_host_end(s);
    uint32_t port = dflt_port;

    if (end < s.n) {
        if (s.p[end] != ':' || sl_u32(sl_from(s, end + 1), UINT16_MAX, &port) != 0) {
            return EBADMSG;
        }
    }
    return addr_parse(sl_head(s, end), (uint16_t)port, out);
}

static struct sl addr_bytes(const struct addr *a) /* 4, 16 or no bytes */
{
    switch (addr_family(a)) {
    case AF_INET:
        return sl_make(&a->u.in4.sin_addr, 4);
    case AF_INET6:
        return sl_make(&a->u.in6.sin6_addr, 16);
    default:
        return SL_NULL;
    }
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
    return sl_eq(addr_bytes(a), addr_bytes(b));
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return addr_port(a) == addr_port(b) && addr_eq_ip(a, b);
}

bool addr_is_unspecified(const struct addr *a)
{
    static const char zero[16];
    struct sl ip = addr_bytes(a);

    return ip.n != 0 && memcmp(ip.p, zero, ip.n) == 0;
}

bool addr_is_link_local(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        return ntohl(a->u.in4.sin_addr.s_addr) >> 16 == 0xa9fe;
    }
    return addr_family(a) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->u.in6.sin6_addr);
}

bool addr_is_loopback(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        return ntohl(a->u.in4.sin_addr.s_addr) >> 24 == 127;
    }
    return addr_family(a) == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}

bool addr_is_private(const struct addr *a)
{
    uint32_t ip;

    if (addr_is_loopback(a) || addr_is_link_local(a)) {
        return true;
    }
    if (addr_family(a) == AF_INET6) {
        return (a->u.in6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
    }
    ip = addr_family(a) == AF_INET ? ntohl(a->u.in4.sin_addr.s_addr) : 0;
    return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191;
}

bool addr_is_multicast(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        uint32_t ip = ntohl(a->u.in4.sin_addr.s_addr);

        return ip >> 28 == 14 || ip == INADDR_BROADCAST;
    }
    return addr_family(a) == AF_INET6 && IN6_IS_ADDR_MULTICAST(&a->u.in6.sin6_addr);
}

uint64_t addr_hash(const struct addr *a, const uint8_t key[16])
{
    struct sl ip = addr_bytes(a);
    uint16_t port = addr_port(a);
    uint8_t bytes[18];

    if (ip.n != 0) {
        memcpy(bytes, ip.p, ip.n);
    }
    memcpy(bytes + ip.n, &port, sizeof(port));
    return siphash13(bytes, ip.n + sizeof(port), key);
}

static char *addr_octet(char *p, unsigned v)
{
    if (v >= 100) {
        *p++ = (char)('0' + v / 100);
    }
    if (v >= 10) {
        *p++ = (char)('0' + v / 10 % 10);
    }
    *p++ = (char)('0' + v % 10);
    return p;
}

void addr_put_ip(struct buf *b, const struct addr *a)
{
    struct sl ip = addr_bytes(a);
    char text[INET6_ADDRSTRLEN], *p = text;

    if (ip.n == 4) {
        for (size_t i = 0; i < 4; i++) {
            p = addr_octet(p, (uint8_t)ip.p[i]);
            *p++ = '.';
        }
        buf_put(b, text, (size_t)(p - text) - 1);
    } else if (ip.n == 16) {
        buf_puts(b, inet_ntop(AF_INET6, ip.p, text, sizeof(text)));
    }
}

void addr_put_host(struct buf *b, const struct addr *a)
{
    bool is_v6 = addr_family(a) == AF_INET6;

    if (is_v6) {
        buf_putc(b, '[');
    }
    addr_put_ip(b, a);
    if (is_v6) {
        buf_putc(b, ']');
    }
}

void addr_put(struct buf *b, const struct addr *a)
{
    if (addr_family(a) == AF_INET || addr_family(a) == AF_INET6) {
        addr_put_host(b, a);
        buf_putc(b, ':');
        buf_putu(b, addr_port(a));
    }
}

const char *addr_text(const struct addr *a, char *dst)
{
    struct buf b;

    buf_init_fixed(&b, dst, ADDR_TEXT_MAX - 1);
    addr_put(&b, a);
    if (b.n == 0) {
        buf_putc(&b, '-');
    }
    dst[b.n] = '\0';
    return dst;
}

/* True when all bits of ip from number `from` on are zero. */
static bool addr_is_zero_from(struct sl ip, unsigned from)
{
    for (unsigned i = from; i < ip.n * 8; i++) {
        if (((uint8_t)ip.p[i / 8] & (0x80 >> i % 8)) != 0) {
            return false;
        }
    }
    return true;
}

int prefix_parse(struct sl s, struct prefix *out)
{
    ptrdiff_t slash = sl_chr(s, '/');
    struct sl host = slash < 0 ? s : sl_head(s, (size_t)slash);
    struct addr a;
    uint32_t bits, max;

    if (addr_parse(host, 0, &a) != 0) {
        return EBADMSG;
    }
    /* "::ffff:192.0.2.0/120" became IPv4, but its length counts 128 bits: refused, not guessed. */
    if (slash >= 0 && addr_family(&a) == AF_INET && sl_chr(host, ':') >= 0) {
        return EBADMSG;
    }
    max = (uint32_t)addr_bytes(&a).n * 8;
    bits = max;
    if (slash >= 0 && sl_u32(sl_from(s, (size_t)slash + 1), max, &bits) != 0) {
        return EBADMSG;
    }
    if (!addr_is_zero_from(addr_bytes(&a), bits)) {
        return EBADMSG;
    }
    *out = (struct prefix){.addr = a, .bits = (uint8_t)bits};
    return 0;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
    struct sl net = addr_bytes(&p->addr), ip = addr_bytes(a);
    size_t whole = p->bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> p->bits % 8);

    if (net.n != ip.n || net.n == 0 || whole > net.n || memcmp(net.p, ip.p, whole) != 0) {
        return false;
    }
    return mask == 0 || (uint8_t)((net.p[whole] ^ ip.p[whole]) & mask) == 0;
}
