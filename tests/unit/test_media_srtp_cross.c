/* Our own engine and libsrtp2 against each other: the same bytes out of both, and each reads what
 * the other wrote, for every suite. */
#include "srtp_rig.h"

static const uint8_t mki[SRTP_MKI_MAX] = {0xe1, 0xf9, 0x7a, 0x0d, 5, 6, 7, 8};

struct cross {
    struct srtp *tx[2], *rx[2]; /* own, libsrtp2 */
};

/* It looks for the MKI of SRTCP where that of SRTP would be. */
static bool libsrtp2_cannot_read(const struct srtp_key *k)
{
    return k->mki_len != 0 && srtp_tag_len(k->suite, false) != srtp_tag_len(k->suite, true);
}

static void cross_up(struct cross *c, const struct srtp_key *k)
{
    for (unsigned i = 0; i < 2; i++) {
        enum srtp_engine e = i == 0 ? SRTP_ENGINE_EVP : SRTP_ENGINE_LIBSRTP;
        struct srtp_params p = {.key = k, .direction = SRTP_UNPROTECT, .engine = e};

        c->tx[i] = rig_new(k, SRTP_PROTECT, e);
        if (i == 1 && libsrtp2_cannot_read(k)) {
            assert_int_equal(srtp_new(&c->rx[i], &p), ENOTSUP);
            p.engine = SRTP_ENGINE_AUTO;
        }
        assert_int_equal(srtp_new(&c->rx[i], &p), 0);
    }
}

static void cross_down(struct cross *c)
{
    for (unsigned i = 0; i < 2; i++) {
        srtp_free(&c->tx[i]);
        srtp_free(&c->rx[i]);
    }
}

/* CSRCs, header extension, padding, any payload, also none. */
static void random_rtp(struct rig_random *r, struct rig_packet *p, uint32_t ssrc, uint16_t seq)
{
    unsigned csrcs = rig_below(r, 3) == 0 ? rig_below(r, 16) : 0;
    unsigned words = rig_below(r, 3) == 0 ? rig_below(r, 20) : 0;
    bool has_extension = words != 0 || rig_below(r, 8) == 0;
    unsigned payload = rig_below(r, 5) == 0 ? rig_below(r, 4) : rig_below(r, 1200);

    p->n = 12 + 4 * csrcs + (has_extension ? 4 + 4 * words : 0) + payload;
    for (size_t i = 0; i < p->n; i++) {
        p->b[i] = (uint8_t)rig_next(r);
    }
    p->b[0] = (uint8_t)(0x80 | (rig_below(r, 4) == 0) << 5 | has_extension << 4 | csrcs);
    rig_put16(p->b + 2, seq);
    rig_put32(p->b + 8, ssrc);
    if (has_extension) {
        rig_put16(p->b + 12 + 4 * csrcs + 2, words);
    }
}

static void random_rtcp(struct rig_random *r, struct rig_packet *p, uint32_t ssrc)
{
    p->n = 8 + (rig_below(r, 4) == 0 ? 0 : 4 * rig_below(r, 100));
    for (size_t i = 0; i < p->n; i++) {
        p->b[i] = (uint8_t)rig_next(r);
    }
    p->b[0] = (uint8_t)(0x80 | (p->b[0] & 0x3f));
    rig_put32(p->b + 4, ssrc);
}

/* Which receivers hear which sender makes no difference: the bytes are the same. */
static void cross_rtp(struct cross *c, const struct rig_packet *plain, bool is_lost)
{
    struct rig_packet wire[2];

    for (unsigned i = 0; i < 2; i++) {
        wire[i] = *plain;
        assert_int_equal(rig_protect(c->tx[i], &wire[i]), 0);
    }
    assert_same_packet(&wire[0], &wire[1]);
    for (unsigned i = 0; !is_lost && i < 2; i++) {
        assert_int_equal(rig_unprotect(c->rx[i], &wire[1 - i]), 0);
        assert_same_packet(&wire[1 - i], plain);
    }
}

static void cross_rtcp(struct cross *c, const struct rig_packet *plain)
{
    struct rig_packet wire[2];

    for (unsigned i = 0; i < 2; i++) {
        wire[i] = *plain;
        assert_int_equal(rig_protect_rtcp(c->tx[i], &wire[i]), 0);
    }
    assert_same_packet(&wire[0], &wire[1]);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_unprotect_rtcp(c->rx[i], &wire[1 - i]), 0);
        assert_same_packet(&wire[1 - i], plain);
    }
}

static void assert_same_state(const struct srtp *a, const struct srtp *b)
{
    struct srtp_ssrc x[SRTP_SSRCS_MAX], y[SRTP_SSRCS_MAX];
    size_t n = srtp_ssrcs(a, x, COUNT_OF(x));

    assert_int_equal(srtp_ssrcs(b, y, COUNT_OF(y)), n);
    assert_int_equal(srtp_packets(a), srtp_packets(b));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(x[i].ssrc, y[i].ssrc);
        assert_int_equal(x[i].roc, y[i].roc);
        assert_int_equal(x[i].seq, y[i].seq);
        assert_int_equal(x[i].rtcp_index, y[i].rtcp_index);
        assert_int_equal(x[i].has_rtp, y[i].has_rtp);
        assert_int_equal(x[i].has_rtcp, y[i].has_rtcp);
    }
}

/* Steps of 1, losses, and leaps of less than 2^15, so that the rollover counter counts. */
static uint16_t next_step(struct rig_random *r, bool may_leap)
{
    uint32_t dice = rig_below(r, may_leap ? 20 : 18);

    return (uint16_t)(dice < 14 ? 1 : dice < 18 ? 2 + rig_below(r, 50) : 1 + rig_below(r, 0x7000));
}

static void cross_suite(enum srtp_suite suite, uint8_t mki_len)
{
    static const uint32_t ssrcs[3] = {0, RIG_SSRC, 0xffffffff};
    struct rig_random r = {suite * 1000 + mki_len};
    uint16_t seq[3] = {65000, 1, 32767}, step[3] = {100, 100, 100};
    struct srtp_key k;
    struct cross c;

    rig_key(&k, suite, (uint8_t)(40 + suite));
    memcpy(k.mki, mki, mki_len);
    k.mki_len = mki_len;
    cross_up(&c, &k);
    for (unsigned i = 0; i < 3; i++) { /* libsrtp2 numbers SRTCP from one */
        const struct srtp_ssrc first = {.ssrc = ssrcs[i], .rtcp_index = 0, .has_rtcp = true};

        assert_int_equal(srtp_set_ssrc(c.tx[0], &first), 0);
    }
    for (unsigned i = 0; i < 600; i++) {
        unsigned at = rig_below(&r, 3);
        struct rig_packet p;

        if (rig_below(&r, 6) == 0) {
            random_rtcp(&r, &p, ssrcs[at]);
            cross_rtcp(&c, &p);
            continue;
        }
        random_rtp(&r, &p, ssrcs[at], seq[at]);
        /* The first one is heard, and what comes after a leap: nobody can follow 2^15 losses. */
        cross_rtp(&c, &p, rig_below(&r, 10) == 0 && step[at] < 100);
        step[at] = next_step(&r, step[at] < 100);
        seq[at] += step[at];
    }
    assert_same_state(c.rx[0], c.rx[1]);
    cross_down(&c);
}

static void both_engines_write_and_read_the_same(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        cross_suite(suite, 0);
    }
}

static void both_engines_put_the_mki_in_the_same_place(void **state)
{
    (void)state;
    for (unsigned suite = SRTP_SUITE_NONE + 1; suite < SRTP_N_SUITES; suite++) {
        cross_suite(suite, 1);
        cross_suite(suite, 4);
        cross_suite(suite, SRTP_MKI_MAX);
    }
}

/* A state that is handed over goes on in the other engine, whatever number comes next. */
static void a_state_moves_from_one_engine_to_the_other(void **state)
{
    static const struct {
        uint32_t roc, next_roc;
        uint16_t seq, next;
    } rows[] = {
        {0, 0, 100, 101},
        {0, 1, 65535, 0},
        {1, 1, 65000, 65001},
        {1, 2, 65000, 3},
        {7, 7, 30000, 60000},
        {7, 8, 60000, 60000 - 1},
        {0xfffffffe, 0xfffffffe, 5, 6},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct srtp_ssrc set = {
            .ssrc = RIG_SSRC, .roc = rows[i].roc, .seq = rows[i].seq, .has_rtp = true};
        /* the row that steps back by one means "65535 steps later", which nobody can know */
        uint16_t next = rows[i].next == 60000 - 1 ? 100 : rows[i].next;
        struct srtp_ssrc got;
        struct srtp_key k;
        struct cross c;
        struct rig_packet p;

        rig_key(&k, SRTP_AES_CM_128_HMAC_SHA1_80, 3);
        cross_up(&c, &k);
        for (unsigned e = 0; e < 2; e++) {
            assert_int_equal(srtp_set_ssrc(c.tx[e], &set), 0);
            assert_int_equal(srtp_set_ssrc(c.rx[e], &set), 0);
        }
        for (unsigned step = 0; step < 3; step++) {
            rig_rtp(&p, RIG_SSRC, (uint16_t)(next + step));
            cross_rtp(&c, &p, false);
        }
        assert_same_state(c.tx[0], c.tx[1]);
        assert_same_state(c.rx[0], c.rx[1]);
        assert_int_equal(srtp_ssrcs(c.rx[0], &got, 1), 1);
        assert_int_equal(got.roc, rows[i].next_roc);
        cross_down(&c);
    }
}

/* Nobody but the library knows its SRTCP index, and using one twice would give the text away. */
static void libsrtp2_refuses_to_be_told_an_srtcp_index(void **state)
{
    const struct srtp_ssrc with_index = {.ssrc = RIG_SSRC, .rtcp_index = 7, .has_rtcp = true};
    const struct srtp_ssrc without = {.ssrc = RIG_SSRC, .roc = 1, .has_rtp = true};
    struct rig_packet p;
    struct srtp_key k;
    struct srtp *tx, *rx;

    (void)state;
    rig_key(&k, SRTP_AEAD_AES_128_GCM, 3);
    tx = rig_new(&k, SRTP_PROTECT, SRTP_ENGINE_LIBSRTP);
    rx = rig_new(&k, SRTP_UNPROTECT, SRTP_ENGINE_LIBSRTP);
    assert_int_equal(srtp_set_ssrc(tx, &with_index), ENOTSUP);
    assert_int_equal(srtp_set_ssrc(tx, &without), 0);
    rig_rtcp(&p, RIG_SSRC);
    assert_int_equal(rig_protect_rtcp(tx, &p), 0);
    assert_int_equal(srtp_set_ssrc(tx, &without), ENOTSUP);
    assert_int_equal(srtp_set_ssrc(rx, &with_index), 0);
    assert_int_equal(rig_unprotect_rtcp(rx, &p), EALREADY); /* index 1 */
    srtp_free(&tx);
    srtp_free(&rx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_engines_write_and_read_the_same),
        cmocka_unit_test(both_engines_put_the_mki_in_the_same_place),
        cmocka_unit_test(a_state_moves_from_one_engine_to_the_other),
        cmocka_unit_test(libsrtp2_refuses_to_be_told_an_srtcp_index),
    };

    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
