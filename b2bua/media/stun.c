/* stun.c - STUN messages, read (a bounds-checked walk over type, length, value) and written. */
#include "media/stun.h"

#include "crypto/crypto.h"

#define STUN_HEADER 20
#define STUN_COOKIE 0x2112a442u
#define STUN_FINGERPRINT_XOR 0x5354554eu
#define STUN_MI_LEN CRYPTO_SHA1_LEN
#define STUN_ATTR_HEADER 4
#define STUN_FP_LEN 4

enum stun_attr_type {
    STUN_ATTR_USERNAME = 0x0006,
    STUN_ATTR_MESSAGE_INTEGRITY = 0x0008,
    STUN_ATTR_ERROR_CODE = 0x0009,
    STUN_ATTR_UNKNOWN_ATTRIBUTES = 0x000a,
    STUN_ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001c, /* follows the other one: ignored */
    STUN_ATTR_XOR_MAPPED_ADDRESS = 0x0020,
    STUN_ATTR_PRIORITY = 0x0024,
    STUN_ATTR_USE_CANDIDATE = 0x0025,
    STUN_ATTR_OPTIONAL = 0x8000, /* from here on what is not known is ignored */
    STUN_ATTR_FINGERPRINT = 0x8028,
    STUN_ATTR_ICE_CONTROLLED = 0x8029,
    STUN_ATTR_ICE_CONTROLLING = 0x802a
};

enum media_demux media_demux(uint8_t first_byte, size_t n)
{
    static const struct {
        uint8_t from, to;
        enum media_demux is;
    } ranges[] = {
        {0, 3, MEDIA_DEMUX_STUN},
        {16, 19, MEDIA_DEMUX_ZRTP},
        {20, 63, MEDIA_DEMUX_DTLS},
        {128, 191, MEDIA_DEMUX_RTP},
    };

    for (size_t i = 0; n != 0 && i < COUNT_OF(ranges); i++) {
        if (first_byte >= ranges[i].from && first_byte <= ranges[i].to) {
            return ranges[i].is;
        }
    }
    return MEDIA_DEMUX_BAD;
}

/* --- bytes --- */

static uint8_t stun_u8(struct sl s, size_t at)
{
    return (uint8_t)s.p[at];
}

static uint16_t stun_u16(struct sl s, size_t at)
{
    return (uint16_t)(stun_u8(s, at) << 8 | stun_u8(s, at + 1));
}

static uint32_t stun_u32(struct sl s, size_t at)
{
    return (uint32_t)stun_u16(s, at) << 16 | stun_u16(s, at + 2);
}

static void stun_be16(uint8_t *to, uint16_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
}

static void stun_be32(uint8_t *to, uint32_t v)
{
    stun_be16(to, (uint16_t)(v >> 16));
    stun_be16(to + 2, (uint16_t)v);
}

/* CRC-32 of ITU V.42 by nibbles: messages are short, a table of 1 KiB would be colder. */
static uint32_t stun_crc32(struct sl s)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= stun_u8(s, i);
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* --- reading: one function per attribute; false: malformed --- */

struct stun_attr {
    struct sl value;
    size_t at; /* offset of the attribute in the message */
};
typedef bool(stun_read_fn)(struct stun_msg *m, const struct stun_attr *a);

static bool stun_read_username(struct stun_msg *m, const struct stun_attr *a)
{
    if (m->username.p == NULL) {
        m->username = a->value;
    }
    return a->value.n <= STUN_USERNAME_MAX;
}

static bool stun_read_integrity(struct stun_msg *m, const struct stun_attr *a)
{
    m->has_integrity = true;
    m->integrity_at = (uint16_t)a->at;
    return a->value.n == STUN_MI_LEN;
}

static bool stun_read_error(struct stun_msg *m, const struct stun_attr *a)
{
    unsigned hundreds, rest;

    if (a->value.n < 4) {
        return false;
    }
    hundreds = stun_u8(a->value, 2) & 7;
    rest = stun_u8(a->value, 3);
    if (m->error_code == 0) {
        m->error_code = (uint16_t)(hundreds * 100 + rest);
    }
    return hundreds >= 3 && hundreds <= 6 && rest <= 99; /* RFC 8489 14.8 */
}

/* RFC 8489 14.2: the port is masked by the cookie, the address by cookie and transaction. */
static void stun_mask(const uint8_t txid[STUN_TXID_LEN], uint8_t *ip, size_t n)
{
    uint8_t mask[4 + STUN_TXID_LEN];

    stun_be32(mask, STUN_COOKIE);
    memcpy(mask + 4, txid, STUN_TXID_LEN);
    for (size_t i = 0; i < n; i++) {
        ip[i] ^= mask[i];
    }
}

static bool stun_read_mapped(struct stun_msg *m, const struct stun_attr *a)
{
    size_t n = a->value.n >= 4 ? a->value.n - 4 : 0;
    unsigned family = n != 0 ? stun_u8(a->value, 1) : 0;
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    uint16_t port;

    if (!(family == 1 && n == 4) && !(family == 2 && n == 16)) {
        return false;
    }
    if (addr_family(&m->mapped) != AF_UNSPEC) {
        return true;
    }
    port = htons((uint16_t)(stun_u16(a->value, 2) ^ STUN_COOKIE >> 16));
    if (family == 1) {
        uint8_t ip[4];

        memcpy(ip, a->value.p + 4, sizeof(ip));
        stun_mask(m->txid, ip, sizeof(ip));
        memcpy(&in4.sin_addr, ip, sizeof(ip));
        in4.sin_port = port;
        addr_from_sockaddr(&m->mapped, (const struct sockaddr *)(const void *)&in4, sizeof(in4));
    } else {
        memcpy(in6.sin6_addr.s6_addr, a->value.p + 4, 16);
        stun_mask(m->txid, in6.sin6_addr.s6_addr, 16);
        in6.sin6_port = port;
        addr_from_sockaddr(&m->mapped, (const struct sockaddr *)(const void *)&in6, sizeof(in6));
    }
    return true;
}

static bool stun_read_priority(struct stun_msg *m, const struct stun_attr *a)
{
    if (a->value.n != 4) {
        return false;
    }
    if (!m->has_priority) {
        m->priority = stun_u32(a->value, 0);
    }
    m->has_priority = true;
    return true;
}

static bool stun_read_use_candidate(struct stun_msg *m, const struct stun_attr *a)
{
    m->use_candidate = true;
    return a->value.n == 0;
}

static bool stun_read_role(struct stun_msg *m, const struct stun_attr *a, enum stun_role role)
{
    if (a->value.n != 8) {
        return false;
    }
    if (m->role == STUN_ROLE_NONE) {
        m->role = role;
        m->tie_breaker = (uint64_t)stun_u32(a->value, 0) << 32 | stun_u32(a->value, 4);
    }
    return true;
}

static bool stun_read_controlled(struct stun_msg *m, const struct stun_attr *a)
{
    return stun_read_role(m, a, STUN_ROLE_CONTROLLED);
}

static bool stun_read_controlling(struct stun_msg *m, const struct stun_attr *a)
{
    return stun_read_role(m, a, STUN_ROLE_CONTROLLING);
}

static bool stun_read_nothing(struct stun_msg *m, const struct stun_attr *a)
{
    (void)m;
    (void)a;
    return true;
}

/* The CRC covers all before the attribute, under the length that counts it in: it is the last one,
 * so that is the length as it stands (RFC 8489 14.7). */
static bool stun_read_fingerprint(struct stun_msg *m, const struct stun_attr *a)
{
    if (a->value.n != STUN_FP_LEN || a->at + STUN_ATTR_HEADER + STUN_FP_LEN != m->bytes.n) {
        return false;
    }
    m->has_fingerprint = true;
    return stun_u32(a->value, 0) == (stun_crc32(sl_head(m->bytes, a->at)) ^ STUN_FINGERPRINT_XOR);
}

static stun_read_fn *stun_reader(uint16_t type)
{
    static const struct {
        uint16_t type;
        stun_read_fn *read;
    } known[] = {
        {STUN_ATTR_USERNAME, stun_read_username},
        {STUN_ATTR_MESSAGE_INTEGRITY, stun_read_integrity},
        {STUN_ATTR_ERROR_CODE, stun_read_error},
        {STUN_ATTR_UNKNOWN_ATTRIBUTES, stun_read_nothing},
        {STUN_ATTR_MESSAGE_INTEGRITY_SHA256, stun_read_nothing},
        {STUN_ATTR_XOR_MAPPED_ADDRESS, stun_read_mapped},
        {STUN_ATTR_PRIORITY, stun_read_priority},
        {STUN_ATTR_USE_CANDIDATE, stun_read_use_candidate},
        {STUN_ATTR_FINGERPRINT, stun_read_fingerprint},
        {STUN_ATTR_ICE_CONTROLLED, stun_read_controlled},
        {STUN_ATTR_ICE_CONTROLLING, stun_read_controlling},
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (known[i].type == type) {
            return known[i].read;
        }
    }
    return NULL;
}

static bool stun_read_attr(struct stun_msg *m, uint16_t type, const struct stun_attr *a)
{
    stun_read_fn *read = stun_reader(type);

    if (m->has_integrity && type != STUN_ATTR_FINGERPRINT) {
        return true; /* nobody vouches for it (RFC 8489 14.5) */
    }
    if (read != NULL) {
        return read(m, a);
    }
    if (type < STUN_ATTR_OPTIONAL && m->n_unknown < STUN_UNKNOWN_MAX) {
        m->unknown[m->n_unknown++] = type;
    }
    return true;
}

static bool stun_read_attrs(struct stun_msg *m)
{
    size_t at = STUN_HEADER;

    for (unsigned count = 0; at < m->bytes.n; count++) {
        struct stun_attr a = {.at = at};
        size_t room = m->bytes.n - at, len, padded;

        if (count == STUN_ATTRS_MAX || room < STUN_ATTR_HEADER || m->has_fingerprint) {
            return false;
        }
        len = stun_u16(m->bytes, at + 2);
        padded = (len + 3) & ~(size_t)3;
        if (padded > room - STUN_ATTR_HEADER) {
            return false;
        }
        a.value = sl_make(m->bytes.p + at + STUN_ATTR_HEADER, len);
        if (!stun_read_attr(m, stun_u16(m->bytes, at), &a)) {
            return false;
        }
        at += STUN_ATTR_HEADER + padded;
    }
    return true;
}

int stun_parse(struct sl datagram, struct stun_msg *out)
{
    uint16_t type;

    *out = (struct stun_msg){.bytes = datagram};
    if (datagram.n < STUN_HEADER || datagram.n % 4 != 0) {
        return EBADMSG;
    }
    type = stun_u16(datagram, 0);
    if (type >> 14 != 0 || stun_u16(datagram, 2) != datagram.n - STUN_HEADER ||
        stun_u32(datagram, 4) != STUN_COOKIE) {
        return EBADMSG;
    }
    /* RFC 8489 5: class bits 4 and 8 stand between those of the method. */
    out->cls = (enum stun_class)((type >> 4 & 1) | (type >> 7 & 2));
    out->method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80));
    memcpy(out->txid, datagram.p + 8, STUN_TXID_LEN);
    return stun_read_attrs(out) ? 0 : EBADMSG;
}

/* HMAC over all before the attribute at `at`, under the length that ends behind the attribute
 * (RFC 8489 14.5). */
static int stun_hmac(struct sl msg, size_t at, struct sl password, uint8_t out[STUN_MI_LEN])
{
    uint8_t length[2];
    struct sl parts[3] = {sl_head(msg, 2), sl_make(length, sizeof(length)),
                          sl_from(sl_head(msg, at), 4)};

    stun_be16(length, (uint16_t)(at + STUN_ATTR_HEADER + STUN_MI_LEN - STUN_HEADER));
    return crypto_hmac_sha1(password, parts, COUNT_OF(parts), out);
}

int stun_check_integrity(const struct stun_msg *m, struct sl password)
{
    uint8_t want[STUN_MI_LEN];
    int err;

    if (!m->has_integrity) {
        return EACCES;
    }
    err = stun_hmac(m->bytes, m->integrity_at, password, want);
    if (err != 0) {
        return ENOMEM;
    }
    return crypto_equal(want, m->bytes.p + m->integrity_at + STUN_ATTR_HEADER, STUN_MI_LEN)
               ? 0
               : EACCES;
}

/* --- writing --- */

static void stun_put_u16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2];

    stun_be16(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

static void stun_put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];

    stun_be32(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

static void stun_put_padding(struct buf *b)
{
    while (buf_err(b) == 0 && b->n % 4 != 0) {
        buf_putc(b, '\0');
    }
}

static void stun_put_head(struct buf *b, const struct stun_msg *rq, enum stun_class cls)
{
    buf_reset(b);
    stun_put_u16(b, (uint16_t)((rq->method & 0xf) | (rq->method & 0x70) << 1 |
                               (rq->method & 0xf80) << 2 | ((unsigned)cls & 1) << 4 |
                               ((unsigned)cls & 2) << 7));
    stun_put_u16(b, 0); /* the length: stun_put_tail() */
    stun_put_u32(b, STUN_COOKIE);
    buf_put(b, rq->txid, STUN_TXID_LEN);
}

/* MESSAGE-INTEGRITY if there is a password, and FINGERPRINT. */
static int stun_put_tail(struct buf *b, struct sl password)
{
    uint8_t mac[STUN_MI_LEN];
    uint32_t crc;

    if (buf_err(b) == 0 && password.n != 0) {
        if (stun_hmac(buf_sl(b), b->n, password, mac) != 0) {
            return ENOMEM;
        }
        stun_put_u16(b, STUN_ATTR_MESSAGE_INTEGRITY);
        stun_put_u16(b, STUN_MI_LEN);
        buf_put(b, mac, sizeof(mac));
    }
    if (buf_err(b) == 0) {
        stun_be16((uint8_t *)b->p + 2,
                  (uint16_t)(b->n + STUN_ATTR_HEADER + STUN_FP_LEN - STUN_HEADER));
        crc = stun_crc32(buf_sl(b)) ^ STUN_FINGERPRINT_XOR;
        stun_put_u16(b, STUN_ATTR_FINGERPRINT);
        stun_put_u16(b, STUN_FP_LEN);
        stun_put_u32(b, crc);
    }
    return buf_err(b);
}

int stun_put_success(struct buf *dst, const struct stun_msg *rq, const struct addr *mapped,
                     struct sl password)
{
    bool is_v6 = addr_family(mapped) == AF_INET6;
    size_t n = is_v6 ? 16 : 4;
    uint8_t ip[16];

    memcpy(ip, is_v6 ? (const void *)&mapped->u.in6.sin6_addr : &mapped->u.in4.sin_addr, n);
    stun_mask(rq->txid, ip, n);
    stun_put_head(dst, rq, STUN_SUCCESS);
    stun_put_u16(dst, STUN_ATTR_XOR_MAPPED_ADDRESS);
    stun_put_u16(dst, (uint16_t)(4 + n));
    stun_put_u16(dst, is_v6 ? 2 : 1);
    stun_put_u16(dst, (uint16_t)(addr_port(mapped) ^ STUN_COOKIE >> 16));
    buf_put(dst, ip, n);
    return stun_put_tail(dst, password);
}

static const char *stun_reason(unsigned code)
{
    static const struct {
        unsigned code;
        const char *text;
    } reasons[] = {
        {400, "Bad Request"},
        {401, "Unauthenticated"},
        {420, "Unknown Attribute"},
        {487, "Role Conflict"},
    };

    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].code == code) {
            return reasons[i].text;
        }
    }
    return "Server Error";
}

int stun_put_error(struct buf *dst, const struct stun_msg *rq, unsigned code, struct sl password)
{
    struct sl reason = sl_str(stun_reason(code));

    stun_put_head(dst, rq, STUN_ERROR);
    stun_put_u16(dst, STUN_ATTR_ERROR_CODE);
    stun_put_u16(dst, (uint16_t)(4 + reason.n));
    stun_put_u32(dst, code / 100 << 8 | code % 100);
    buf_putsl(dst, reason);
    stun_put_padding(dst);
    if (code == 420) {
        stun_put_u16(dst, STUN_ATTR_UNKNOWN_ATTRIBUTES);
        stun_put_u16(dst, (uint16_t)(2 * rq->n_unknown));
        for (unsigned i = 0; i < rq->n_unknown; i++) {
            stun_put_u16(dst, rq->unknown[i]);
        }
        stun_put_padding(dst);
    }
    return stun_put_tail(dst, password);
}
