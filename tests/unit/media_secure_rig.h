/* media_secure_rig.h - phones that speak SRTP through the relay, with keys of their own on each
 * side and direction. */
#ifndef POSTERN_TEST_MEDIA_SECURE_RIG_H
#define POSTERN_TEST_MEDIA_SECURE_RIG_H

#include "media_rig.h"

struct end { /* a phone's half of SRTP; both NULL: plain */
    struct srtp *tx, *rx;
};

static inline struct srtp_key rig_key(enum srtp_suite suite, uint8_t seed)
{
    struct srtp_key k = {.suite = suite};

    memset(k.key, seed, srtp_key_len(suite));
    memset(k.salt, seed ^ 0x5a, srtp_salt_len(suite));
    return k;
}

static inline struct srtp *rig_context(const struct srtp_key *k, enum srtp_direction direction)
{
    struct srtp *s = NULL;

    assert_int_equal(srtp_new(&s, &(struct srtp_params){.key = k, .direction = direction}), 0);
    return s;
}

static inline void rig_end_free(struct end *e)
{
    srtp_free(&e->tx);
    srtp_free(&e->rx);
}

/* The side says this suite; seed and seed + 1 are our key and theirs. */
static inline void rig_sdes(struct rig *r, unsigned side, struct end *e, enum srtp_suite suite,
                            uint8_t seed)
{
    struct srtp_key ours = rig_key(suite, seed), theirs = rig_key(suite, (uint8_t)(seed + 1));

    rig_end_free(e);
    assert_int_equal(media_set_sdes(r->s, 0, side, &ours, &theirs), 0);
    e->tx = rig_context(&theirs, SRTP_PROTECT);
    e->rx = rig_context(&ours, SRTP_UNPROTECT);
}

/* 20 ms of G.711 as this phone writes it; returns its length on the wire. */
static inline size_t rig_write(const struct end *e, uint8_t *p, uint16_t seq)
{
    size_t n = rig_rtp(p, seq);

    if (e->tx != NULL) {
        assert_int_equal(srtp_protect(e->tx, p, &n, 512), 0);
    }
    return n;
}

static inline void rig_speak(struct rig *r, unsigned side, const struct end *e, uint16_t seq)
{
    _Alignas(8) uint8_t p[512];
    size_t n = rig_write(e, p, seq);

    rig_send(&rig_side(r, side)->rtp, r->phone[side], p, n);
}

/* The next packet as this phone reads it; its length, or -1: none, or not to be understood. */
static inline ssize_t rig_read(int fd, const struct end *e, uint8_t *p, size_t cap)
{
    ssize_t got = rig_recv(fd, p, cap, NULL);
    size_t n = (size_t)got;

    if (got < 0 || e->rx == NULL) {
        return got;
    }
    return srtp_unprotect(e->rx, p, &n) == 0 ? (ssize_t)n : -1;
}

/* Does this phone hear exactly the packet of this number, and nothing else? */
static inline bool rig_hears(struct rig *r, unsigned side, const struct end *e, uint16_t seq)
{
    _Alignas(8) uint8_t got[512], want[172];
    size_t n = rig_rtp(want, seq);

    return rig_read(r->phone[side], e, got, sizeof(got)) == (ssize_t)n &&
           memcmp(got, want, n) == 0 && !rig_got(r->phone[side]);
}

#endif
