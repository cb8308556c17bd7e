/* addr.h - IP addresses with port, and prefixes. Values, no ownership. IPv4-mapped IPv6 addresses
 * are turned into IPv4 at the door (addr_from_sockaddr, addr_parse), so they meet IPv4 rules.
 * Thread: any (pure). */
#ifndef POSTERN_BASE_ADDR_H
#define POSTERN_BASE_ADDR_H

#include "base/buf.h"
#include "base/sl.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } u;
};

#define ADDR_TEXT_MAX 64 /* "[v6]:port" with its NUL fits */

static inline int addr_family(const struct addr *a) /* AF_UNSPEC, AF_INET, AF_INET6 */
{
    return a->u.sa.sa_family;
}
socklen_t addr_len(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len);
/* Numeric only, v6 with or without brackets; no names, no zone ids. EBADMSG. */
__attribute__((warn_unused_result)) int addr_parse(struct sl host, uint16_t port, struct addr *out);
/* "host:port", "[v6]:port", "host" (port = dflt_port). EBADMSG. */
__attribute__((warn_unused_result)) int addr_parse_hostport(struct sl s, uint16_t dflt_port,
                                                            struct addr *out);
bool addr_eq(const struct addr *a, const struct addr *b);    /* address and port */
bool addr_eq_ip(const struct addr *a, const struct addr *b); /* address only */
bool addr_is_unspecified(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_is_link_local(const struct addr *a); /* 169.254/16, fe80::/10 */
/* Of no meaning outside of one site: RFC 1918, RFC 6598, RFC 4193, link-local and loopback too. */
bool addr_is_private(const struct addr *a);
bool addr_is_multicast(const struct addr *a);                    /* also 255.255.255.255 */
uint64_t addr_hash(const struct addr *a, const uint8_t key[16]); /* address and port */

void addr_put_ip(struct buf *b, const struct addr *a);   /* 192.0.2.1 or 2001:db8::1 (SDP) */
void addr_put_host(struct buf *b, const struct addr *a); /* v6 in brackets (URI, Via) */
void addr_put(struct buf *b, const struct addr *a);      /* host:port, v6 in brackets */
/* For logs: writes into dst (ADDR_TEXT_MAX) and returns it. */
const char *addr_text(const struct addr *a, char *dst);

struct prefix {
    struct addr addr;
    uint8_t bits;
};
/* "192.0.2.0/24", "2001:db8::/32" or a bare address. EBADMSG; host bits set are EBADMSG too. */
__attribute__((warn_unused_result)) int prefix_parse(struct sl s, struct prefix *out);
bool prefix_has(const struct prefix *p, const struct addr *a);

#endif
