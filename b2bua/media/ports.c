/* ports.c - deals out port pairs: in random order at first, then the one that was closed longest
 * ago, so that a late packet of an ended call meets a closed port and not the next call. Pairs that
 * stay open between calls (idle.c) count as dealt out. */
#include "media/media_int.h"

#include <sys/random.h>

static unsigned media_pair_bit(uint16_t port)
{
    return port / 2u;
}

static bool media_pair_is_used(const struct media_realm *r, uint16_t port)
{
    unsigned bit = media_pair_bit(port);

    return (r->used[bit / 64] >> bit % 64 & 1) != 0;
}

static void media_pair_mark(struct media_realm *r, uint16_t port, bool used)
{
    unsigned bit = media_pair_bit(port);
    uint64_t mask = (uint64_t)1 << bit % 64;

    r->used[bit / 64] = used ? r->used[bit / 64] | mask : r->used[bit / 64] & ~mask;
}

/* Fisher-Yates over a keyed function: the order tells a watcher nothing about the next port. */
static void media_ring_shuffle(uint16_t *ring, uint32_t n)
{
    uint8_t key[16] = {0};

    if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
        return; /* early boot: ascending order is dull, not wrong */
    }
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = (uint32_t)(siphash13(&i, sizeof(i), key) % i);
        uint16_t tmp = ring[i - 1];

        ring[i - 1] = ring[k];
        ring[k] = tmp;
    }
}

static bool media_params_eq(const struct media_realm_params *a, const struct media_realm_params *b)
{
    return a->port_min == b->port_min && a->port_max == b->port_max;
}

/* Fills ring with the free pairs of the share; returns how many the share has in all. */
static uint32_t media_ring_fill(const struct media_realm *r, const struct media_realm_params *p,
                                const unsigned share[2], struct media_realm *out)
{
    uint32_t even = (p->port_min + 1u) & ~1u, n = 0;

    for (uint32_t port = even; port + 1 <= p->port_max; port += 2) {
        if ((port - even) / 2 % share[1] != share[0]) {
            continue;
        }
        n++;
        if (out != NULL && !media_pair_is_used(r, (uint16_t)port)) {
            out->ring[out->n_free++] = (uint16_t)port;
        }
    }
    return n;
}

int media_realm_set(struct media_realm *r, const struct media_realm_params *p, unsigned worker,
                    unsigned n_workers)
{
    const unsigned share[2] = {worker, n_workers};
    struct media_realm next = {0};

    if (r->ring != NULL && media_params_eq(&r->p, p)) {
        r->p = *p; /* a reload that changes no port must not end the rest of resting ones */
        return 0;
    }
    if (p->port_min == 0 || p->port_max <= ((p->port_min + 1u) & ~1u) || worker >= n_workers) {
        return EINVAL;
    }
    next.cap = media_ring_fill(r, p, share, NULL);
    next.ring = mem_alloc(next.cap * sizeof(*next.ring));
    if (next.ring == NULL) {
        return ENOMEM;
    }
    (void)media_ring_fill(r, p, share, &next);
    media_ring_shuffle(next.ring, next.n_free);
    mem_free(r->ring);
    r->ring = next.ring;
    r->cap = next.cap;
    r->head = 0;
    r->n_free = next.n_free;
    r->p = *p;
    r->worker = worker;
    r->n_workers = n_workers;
    return 0;
}

int media_pair_take(struct media_realm *r, uint16_t *port)
{
    if (r->n_free == 0) {
        return ENOBUFS;
    }
    *port = r->ring[r->head];
    r->head = (r->head + 1) % r->cap;
    r->n_free--;
    r->n_used++;
    media_pair_mark(r, *port, true);
    return 0;
}

bool media_pair_is_ours(const struct media_realm *r, uint16_t port)
{
    uint32_t even = (r->p.port_min + 1u) & ~1u;

    return port >= even && port + 1u <= r->p.port_max &&
           (port - even) / 2 % r->n_workers == r->worker;
}

void media_pair_give(struct media_realm *r, uint16_t port)
{
    if (!media_pair_is_used(r, port)) {
        return;
    }
    media_pair_mark(r, port, false);
    r->n_used--;
    if (media_pair_is_ours(r, port)) { /* else the range moved away meanwhile */
        r->ring[(r->head + r->n_free) % r->cap] = port;
        r->n_free++;
    }
}

const struct addr *media_realm_ip(const struct media_realm *r, int family)
{
    const struct addr *ip = addr_family(&r->p.address) == family ? &r->p.address : &r->p.address6;

    return family != AF_UNSPEC && addr_family(ip) == family ? ip : NULL;
}
