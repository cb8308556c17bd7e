/* udp_stun.c - STUN among SIP datagrams (RFC 5626 4.4.2, RFC 8489): a phone that keeps its flow
 * open with Binding requests learns whether its address has changed. Nothing but that is answered.
 */
#include "net/net_int.h"

enum {
    STUN_HEADER = 20,
    STUN_BINDING = 0x0001,
    STUN_SUCCESS = 0x0101,
    STUN_XOR_MAPPED = 0x0020,
    STUN_OPTIONAL = 0x8000 /* attributes from here on may be passed over */
};
static const char stun_cookie[] = {0x21, 0x12, (char)0xa4, 0x42};

static uint16_t stun_u16(struct sl s, size_t at)
{
    return (uint16_t)((uint8_t)s.p[at] << 8 | (uint8_t)s.p[at + 1]);
}

bool udp_is_stun(struct sl s)
{
    return s.n >= STUN_HEADER && (s.p[0] & 0xc0) == 0 &&
           memcmp(s.p + 4, stun_cookie, sizeof(stun_cookie)) == 0;
}

/* A whole Binding request without attributes that would have to be understood: credentials and
 * priorities are of ICE, which does not live here. */
static bool stun_is_plain(struct sl s)
{
    size_t at = STUN_HEADER;

    if (stun_u16(s, 0) != STUN_BINDING || s.n % 4 != 0 || s.n - STUN_HEADER != stun_u16(s, 2)) {
        return false;
    }
    while (s.n - at >= 4) {
        size_t len = ((size_t)stun_u16(s, at + 2) + 3) & ~(size_t)3;

        if (stun_u16(s, at) < STUN_OPTIONAL || len > s.n - at - 4) {
            return false;
        }
        at += 4 + len;
    }
    return at == s.n;
}

static void stun_put_u16(struct buf *b, unsigned v)
{
    buf_putc(b, (char)(v >> 8));
    buf_putc(b, (char)v);
}

/* The cookie and, for IPv6, the transaction's id are the mask (RFC 8489 14.2). */
static void stun_put_mapped(struct buf *b, const struct addr *a, struct sl mask)
{
    bool v6 = addr_family(a) == AF_INET6;
    const char *ip = v6 ? (const char *)&a->u.in6.sin6_addr : (const char *)&a->u.in4.sin_addr;
    size_t n = v6 ? 16 : 4;

    stun_put_u16(b, STUN_XOR_MAPPED);
    stun_put_u16(b, (unsigned)(4 + n));
    stun_put_u16(b, v6 ? 2 : 1);
    stun_put_u16(b, addr_port(a) ^ stun_u16(mask, 0));
    for (size_t i = 0; i < n; i++) {
        buf_putc(b, (char)(ip[i] ^ mask.p[i]));
    }
}

/* The source may be anybody's. On the wire, with the 28 or 48 bytes of IP and UDP, an answer to the
 * shortest request is no more than 1.35 times as long as that. */
void udp_stun(struct net *n, struct flow *flow, struct sl request)
{
    char mem[64];
    struct buf b;

    if (!stun_is_plain(request) || addr_port(&flow->remote) == 0) {
        return;
    }
    buf_init_fixed(&b, mem, sizeof(mem));
    stun_put_u16(&b, STUN_SUCCESS);
    stun_put_u16(&b, addr_family(&flow->remote) == AF_INET6 ? 24 : 12);
    buf_putsl(&b, sl_head(sl_from(request, 4), 16));
    stun_put_mapped(&b, &flow->remote, sl_from(request, 4));
    if (buf_err(&b) != 0 || udp_send(n, flow, buf_sl(&b)) != 0) {
        stat_inc(STAT_SIP_DROP_SEND);
    }
}
