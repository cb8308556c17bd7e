/* Which index a sequence number means, and which were used: RFC 3711 3.3.1 and 3.3.2, compared with
 * a plain model. */
#include "srtp_rig.h"

#include "media/srtp_int.h"

static void the_index_is_guessed_as_in_rfc_3711_3_3_1(void **state)
{
    static const struct {
        uint32_t roc;
        uint16_t highest, seq;
        int64_t index;
    } rows[] = {
        {0, 0, 0, 0},
        {0, 0, 0x8000, 0x8000},
        {0, 0, 0x8001, 0x8001 - 0x10000},
        {0, 0x7fff, 0xffff, 0xffff},
        {0, 0x8000, 0, 0},
        {0, 0x8001, 0, 0x10000},
        {0, 0xffff, 0, 0x10000},
        {0, 0xffff, 0x7ffe, 0x17ffe},
        {0, 0xffff, 0x7fff, 0x7fff},
        {5, 3, 0xfffe, 0x4fffe},
        {5, 3, 4, 0x50004},
        {5, 0xfff0, 4, 0x60004},
        {0xffffffff, 0xffff, 0, SRTP_INDEX_END},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct srtp_stream st = {.roc = rows[i].roc, .seq = rows[i].highest, .has_rtp = true};

        assert_true(srtp_window_guess(&st, rows[i].seq) == rows[i].index);
    }
    assert_true(srtp_window_guess(&(struct srtp_stream){0}, 0xfff0) == 0xfff0);
}

/* The model: every index that was ever used, of the last so many. */
#define MODEL 4096
struct model {
    int64_t highest, used[MODEL];
    size_t n;
    int64_t window;
};

static int model_check(const struct model *m, int64_t index)
{
    if (m->n != 0 && m->highest - index >= m->window) {
        return EALREADY;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (m->used[i] == index) {
            return EALREADY;
        }
    }
    return 0;
}

static void model_commit(struct model *m, int64_t index)
{
    assert_true(m->n < MODEL);
    m->highest = m->n == 0 || index > m->highest ? index : m->highest;
    m->used[m->n++] = index;
}

static void the_window_of_srtp_is_that_of_a_plain_model(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct rig_random r = {seed};
        struct model m = {.window = SRTP_WINDOW};
        struct srtp_stream st = {0};
        int64_t at = 0x2ff00;

        for (unsigned i = 0; i < MODEL; i++) {
            uint32_t dice = rig_below(&r, 100);
            int64_t index;

            at += dice < 60 ? 1 : dice < 70 ? rig_below(&r, 200) : 0;
            index = at - (dice < 50 ? 0 : rig_below(&r, 140));
            assert_int_equal(srtp_window_check(&st, index), model_check(&m, index));
            if (srtp_window_check(&st, index) == 0) {
                srtp_window_commit(&st, index);
                model_commit(&m, index);
                assert_true(((int64_t)st.roc << 16 | st.seq) == m.highest);
            }
        }
    }
}

static void the_window_of_srtcp_is_that_of_a_plain_model(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct rig_random r = {seed};
        struct model m = {.window = SRTP_RTCP_WINDOW};
        struct srtp_stream st = {0};
        uint32_t at = seed % 2 == 0 ? 100 : 0x7fff0000;

        for (unsigned i = 0; i < MODEL; i++) {
            uint32_t dice = rig_below(&r, 100);
            uint32_t index;

            at += dice < 60 ? 1 : dice < 70 ? rig_below(&r, 90) : 0;
            index = at - (dice < 50 ? 0 : rig_below(&r, 70));
            assert_int_equal(srtcp_window_check(&st, index), model_check(&m, index));
            if (srtcp_window_check(&st, index) == 0) {
                srtcp_window_commit(&st, index);
                model_commit(&m, index);
                assert_true(st.rtcp_index == m.highest);
            }
        }
    }
}

static void what_is_set_counts_as_used_and_so_does_all_before(void **state)
{
    struct srtp_stream st = {0};

    (void)state;
    srtp_window_set(&st, 3, 10);
    srtcp_window_set(&st, 1000);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(srtp_window_check(&st, 0x3000a - i), EALREADY);
        assert_int_equal(srtcp_window_check(&st, (uint32_t)(1000 - i)), EALREADY);
    }
    assert_int_equal(srtp_window_check(&st, 0x3000b), 0);
    assert_int_equal(srtcp_window_check(&st, 1001), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_is_guessed_as_in_rfc_3711_3_3_1),
        cmocka_unit_test(the_window_of_srtp_is_that_of_a_plain_model),
        cmocka_unit_test(the_window_of_srtcp_is_that_of_a_plain_model),
        cmocka_unit_test(what_is_set_counts_as_used_and_so_does_all_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
