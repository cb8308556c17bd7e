/* srtp_rig.h - what the tests of SRTP share: keys, packets from a fixed sequence of random numbers,
 * and a sender with its receiver. */
#ifndef POSTERN_TESTS_SRTP_RIG_H
#define POSTERN_TESTS_SRTP_RIG_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "media/srtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define RIG_SSRC 0xcafebabeU
#define RIG_CAP 2048

struct rig_packet {
    _Alignas(8) uint8_t b[RIG_CAP];
    size_t n;
};

struct rig_random {
    uint64_t state;
};

static inline uint32_t rig_next(struct rig_random *r)
{
    r->state = r->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(r->state >> 33);
}

static inline uint32_t rig_below(struct rig_random *r, uint32_t limit)
{
    return rig_next(r) % limit;
}

static inline size_t rig_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = strlen(hex) / 2;

    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static inline void rig_packet_hex(struct rig_packet *p, const char *hex)
{
    p->n = rig_hex(hex, p->b, sizeof(p->b));
}

static inline void assert_packet_hex(const struct rig_packet *p, const char *hex)
{
    uint8_t want[RIG_CAP];

    assert_int_equal(p->n, rig_hex(hex, want, sizeof(want)));
    assert_memory_equal(p->b, want, p->n);
}

static inline void assert_same_packet(const struct rig_packet *a, const struct rig_packet *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->b, b->b, a->n);
}

static inline void rig_put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void rig_put32(uint8_t *p, uint32_t v)
{
    rig_put16(p, v >> 16);
    rig_put16(p + 2, v & 0xffff);
}

/* G.711, 20 ms. The payload depends on the sequence number. */
static inline void rig_rtp(struct rig_packet *p, uint32_t ssrc, uint16_t seq)
{
    memset(p->b, 0, 12);
    p->b[0] = 0x80;
    rig_put16(p->b + 2, seq);
    rig_put32(p->b + 4, seq * 160U);
    rig_put32(p->b + 8, ssrc);
    memset(p->b + 12, seq & 0xff, 160);
    memset(p->b + 172, 0, SRTP_TRAILER_MAX); /* for those who forge one */
    p->n = 172;
}

static inline void rig_rtcp(struct rig_packet *p, uint32_t ssrc)
{
    static const uint8_t sr[] = {0x80, 200, 0, 6};

    memcpy(p->b, sr, sizeof(sr));
    rig_put32(p->b + 4, ssrc);
    for (unsigned i = 8; i < 28; i++) {
        p->b[i] = (uint8_t)i;
    }
    memset(p->b + 28, 0, SRTP_TRAILER_MAX);
    p->n = 28;
}

static inline void rig_key(struct srtp_key *k, enum srtp_suite suite, uint8_t seed)
{
    *k = (struct srtp_key){.suite = suite};
    for (size_t i = 0; i < srtp_key_len(suite); i++) {
        k->key[i] = (uint8_t)(seed + 7 * i);
    }
    for (size_t i = 0; i < srtp_salt_len(suite); i++) {
        k->salt[i] = (uint8_t)(seed ^ (11 * i));
    }
}

static inline struct srtp *rig_new(const struct srtp_key *k, enum srtp_direction direction,
                                   enum srtp_engine engine)
{
    struct srtp_params p = {.key = k, .direction = direction, .engine = engine};
    struct srtp *s = NULL;

    assert_int_equal(srtp_new(&s, &p), 0);
    return s;
}

struct rig_pair { /* tx protects, rx unprotects */
    struct srtp *tx, *rx;
};

static inline struct rig_pair rig_pair(const struct srtp_key *k, enum srtp_engine tx,
                                       enum srtp_engine rx)
{
    return (struct rig_pair){rig_new(k, SRTP_PROTECT, tx), rig_new(k, SRTP_UNPROTECT, rx)};
}

static inline void rig_pair_free(struct rig_pair *r)
{
    srtp_free(&r->tx);
    srtp_free(&r->rx);
}

static inline int rig_protect(struct srtp *s, struct rig_packet *p)
{
    return srtp_protect(s, p->b, &p->n, sizeof(p->b));
}

static inline int rig_unprotect(struct srtp *s, struct rig_packet *p)
{
    return srtp_unprotect(s, p->b, &p->n);
}

static inline int rig_protect_rtcp(struct srtp *s, struct rig_packet *p)
{
    return srtcp_protect(s, p->b, &p->n, sizeof(p->b));
}

static inline int rig_unprotect_rtcp(struct srtp *s, struct rig_packet *p)
{
    return srtcp_unprotect(s, p->b, &p->n);
}

/* The packet with this number, as it comes from the sender. */
static inline void rig_sent(struct rig_pair *r, uint16_t seq, struct rig_packet *p)
{
    rig_rtp(p, RIG_SSRC, seq);
    assert_int_equal(rig_protect(r->tx, p), 0);
}

/* What the receiver says of a copy of it. */
static inline int rig_heard(struct rig_pair *r, const struct rig_packet *sent)
{
    struct rig_packet p = *sent;

    return rig_unprotect(r->rx, &p);
}

static inline int rig_up(void **state)
{
    (void)state;
    return crypto_init() != 0 || srtp_engine_start(SRTP_ENGINE_LIBSRTP) != 0 ||
           srtp_engine_start(SRTP_ENGINE_EVP) != 0;
}

static inline int rig_down(void **state)
{
    (void)state;
    srtp_engine_stop();
    crypto_deinit();
    return 0;
}

#endif
