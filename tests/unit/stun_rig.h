/* stun_rig.h - the other side of STUN, for tests: a full agent's checks, written attribute by
 * attribute, also wrongly, and apart from the writer of the product. */
#ifndef POSTERN_TEST_STUN_RIG_H
#define POSTERN_TEST_STUN_RIG_H

#include "crypto/crypto.h"
#include "crypto_rig.h"
#include "media/stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define RIG_STUN_MAX 1024

struct rig_stun {
    uint8_t p[RIG_STUN_MAX];
    size_t n;
};

static inline void rig_be(uint8_t *to, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    }
}

static inline void rig_stun_length(struct rig_stun *m, size_t extra)
{
    rig_be(m->p + 2, m->n - 20 + extra, 2);
}

static inline void rig_stun_begin(struct rig_stun *m, uint16_t type)
{
    static uint8_t serial;

    *m = (struct rig_stun){.n = 20};
    rig_be(m->p, type, 2);
    rig_be(m->p + 4, 0x2112a442, 4);
    memset(m->p + 8, ++serial, 12);
}

static inline void rig_stun_attr(struct rig_stun *m, uint16_t type, const void *value, size_t n)
{
    assert_true(m->n + 8 + n <= sizeof(m->p));
    rig_be(m->p + m->n, type, 2);
    rig_be(m->p + m->n + 2, n, 2);
    if (n != 0) {
        memcpy(m->p + m->n + 4, value, n);
    }
    m->n += 4 + ((n + 3) & ~(size_t)3);
    rig_stun_length(m, 0);
}

static inline void rig_stun_int(struct rig_stun *m, uint16_t type, uint64_t v, size_t n)
{
    uint8_t bytes[8];

    rig_be(bytes, v, n);
    rig_stun_attr(m, type, bytes, n);
}

static inline void rig_stun_integrity(struct rig_stun *m, struct sl password)
{
    uint8_t mac[CRYPTO_SHA1_LEN];
    struct sl all;

    rig_stun_length(m, 24);
    all = sl_make(m->p, m->n);
    assert_int_equal(crypto_hmac_sha1(password, &all, 1, mac), 0);
    rig_stun_attr(m, 0x0008, mac, sizeof(mac));
}

static inline uint32_t rig_crc32(const uint8_t *p, size_t n) /* bit by bit */
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static inline void rig_stun_fingerprint(struct rig_stun *m)
{
    rig_stun_length(m, 8);
    rig_stun_int(m, 0x8028, rig_crc32(m->p, m->n) ^ 0x5354554e, 4);
}

static inline struct sl rig_stun_sl(const struct rig_stun *m)
{
    return sl_make(m->p, m->n);
}

struct rig_check { /* a connectivity check; what is not set is left out */
    struct sl user, password;
    uint32_t priority;
    bool use_candidate;
    bool controlled;  /* instead of controlling */
    uint16_t strange; /* an attribute of this type */
};

static inline void rig_stun_check(struct rig_stun *m, const struct rig_check *c)
{
    rig_stun_begin(m, 0x0001);
    rig_stun_attr(m, 0x0006, c->user.p, c->user.n);
    rig_stun_int(m, 0x0024, c->priority, 4);
    rig_stun_int(m, c->controlled ? 0x8029 : 0x802a, 7, 8);
    if (c->use_candidate) {
        rig_stun_attr(m, 0x0025, NULL, 0);
    }
    if (c->strange != 0) {
        rig_stun_int(m, c->strange, 1, 4);
    }
    rig_stun_integrity(m, c->password);
    rig_stun_fingerprint(m);
}

static inline struct addr rig_addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_hostport(sl_str(text), 0, &a), 0);
    return a;
}

#endif
