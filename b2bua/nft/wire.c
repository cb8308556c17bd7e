/* wire.c - the messages between daemon and helper: made and checked. Pure. */
#include "nft/nft.h"

_Static_assert(sizeof(struct nft_elem) == 32, "no padding");
_Static_assert(sizeof(struct nft_msg) == 64, "no padding");

bool nft_elem_of(const struct prefix *p, uint64_t ms, struct nft_elem *out)
{
    *out = (struct nft_elem){.bits = p->bits, .ms = ms};
    switch (addr_family(&p->addr)) {
    case AF_INET:
        out->family = 4;
        memcpy(out->addr, &p->addr.u.in4.sin_addr, 4);
        return p->bits >= 8 && p->bits <= 32;
    case AF_INET6:
        out->family = 6;
        memcpy(out->addr, &p->addr.u.in6.sin6_addr, 16);
        return p->bits >= 16 && p->bits <= 64;
    default:
        return false;
    }
}

int nft_elem_order(const void *a, const void *b)
{
    const struct nft_elem *x = a, *y = b;
    int by_addr = memcmp(x->addr, y->addr, sizeof(x->addr));

    if (x->family != y->family) {
        return x->family < y->family ? -1 : 1;
    }
    return by_addr != 0 ? by_addr : (x->bits > y->bits) - (x->bits < y->bits);
}

static bool wire_is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool wire_is_prefix(const struct nft_elem *e)
{
    bool is_v6 = e->family == 6;
    uint8_t rest = (uint8_t)(0xff >> (e->bits & 7));

    if ((e->family != 4 && !is_v6) || e->bits < (is_v6 ? 16 : 8) || e->bits > (is_v6 ? 64 : 32)) {
        return false;
    }
    if ((e->bits & 7) != 0 && (e->addr[e->bits / 8] & rest) != 0) {
        return false;
    }
    return wire_is_zero(e->addr + (e->bits + 7) / 8, 16u - (e->bits + 7u) / 8u) &&
           wire_is_zero(e->zero, sizeof(e->zero));
}

static bool wire_has_no_elem(const struct nft_msg *m)
{
    static const struct nft_elem none;

    return memcmp(&m->elem, &none, sizeof(none)) == 0;
}

static bool wire_is_request(const struct nft_msg *m)
{
    switch (m->op) {
    case NFT_ADD:
        return wire_is_prefix(&m->elem) && m->elem.ms >= 1 && m->elem.ms <= NFT_MS_MAX;
    case NFT_DEL:
        return wire_is_prefix(&m->elem) && m->elem.ms == 0;
    case NFT_SYNC:
    case NFT_SYNC_END:
    case NFT_BYE:
        return wire_has_no_elem(m);
    default:
        return false;
    }
}

int nft_check_request(const struct nft_msg *m)
{
    bool ok = m->magic == NFT_MAGIC && m->err == 0 && m->held == 0 && m->packets == 0;

    return ok && wire_is_request(m) ? 0 : EPROTO;
}

int nft_check_reply(const struct nft_msg *m)
{
    bool ok = m->magic == NFT_MAGIC && m->op >= NFT_READY && m->op <= NFT_SYNCED && m->err < 4096 &&
              m->held <= 3ull * NFT_ELEMS_MAX && wire_has_no_elem(m);

    return ok ? 0 : EPROTO;
}

size_t nft_packet_msgs(size_t bytes)
{
    size_t n = bytes / sizeof(struct nft_msg);

    return bytes % sizeof(struct nft_msg) == 0 && n <= NFT_PACKET_MSGS ? n : 0;
}
