/* test_crypto_dtls_fragment.c - a ClientHello in several datagrams (RFC 6347 4.2.3): longer than a
 * path carries since keys are exchanged that a quantum computer does not break. */
#include "dtls_wire.h"

enum { RECORD = 13, HANDSHAKE = 12 };

static void put_u24(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}

/* The bytes [at, at + n) of the message in hello, as a datagram of its own; number: its record's,
 * which no other record has. */
static size_t fragment(const struct rig_datagram *hello, size_t at, size_t n, uint8_t number,
                       uint8_t *out)
{
    memcpy(out, hello->p, RECORD + HANDSHAKE);
    out[10] = number;
    out[11] = (uint8_t)((HANDSHAKE + n) >> 8);
    out[12] = (uint8_t)(HANDSHAKE + n);
    put_u24(out + RECORD + 6, at);
    put_u24(out + RECORD + 9, n);
    memcpy(out + RECORD + HANDSHAKE, hello->p + RECORD + HANDSHAKE + at, n);
    return RECORD + HANDSHAKE + n;
}

static void feed_fragment(const struct rig_datagram *hello, unsigned i, unsigned of)
{
    size_t len = hello->n - RECORD - HANDSHAKE;
    size_t at = len * i / of;
    uint8_t p[2048];
    size_t n = fragment(hello, at, len * (i + 1) / of - at, (uint8_t)(i != 0 ? 20 + i : 0), p);

    dtls_feed(rig.end[PASSIVE].d, sl_make(p, n), rig.now_ms);
    rig_collect();
}

static void begin(struct rig_datagram *hello)
{
    rig_introduce(ACTIVE, PASSIVE);
    rig_introduce(PASSIVE, ACTIVE);
    dtls_start(rig.end[ACTIVE].d, rig.now_ms);
    rig_collect();
    assert_int_equal(rig_take_burst(ACTIVE, hello), 1);
}

static void a_hello_may_come_in_pieces(void **state)
{
    static struct rig_datagram burst[RIG_WIRE_MAX];

    (void)state;
    begin(burst);
    for (unsigned i = 0; i < 3; i++) {
        feed_fragment(burst, i, 3);
    }
    rig_talk();
    assert_int_equal(dtls_state(rig.end[ACTIVE].d), DTLS_READY);
    assert_int_equal(dtls_state(rig.end[PASSIVE].d), DTLS_READY);
}

static void pieces_that_are_turned_round_and_doubled_are_sorted_out(void **state)
{
    static struct rig_datagram burst[RIG_WIRE_MAX];
    static const unsigned order[] = {0, 3, 3, 1, 0, 2};

    (void)state;
    begin(burst);
    for (unsigned i = 0; i < COUNT_OF(order); i++) {
        feed_fragment(burst, order[i], 4);
    }
    rig_talk();
    assert_int_equal(dtls_state(rig.end[ACTIVE].d), DTLS_READY);
    assert_int_equal(dtls_state(rig.end[PASSIVE].d), DTLS_READY);
}

static unsigned lose_all(unsigned from, unsigned flight, unsigned number)
{
    (void)from, (void)flight, (void)number;
    return 0;
}

/* Whoever sends first pieces without end has no more memory of us than one handshake. */
static void a_hello_that_never_ends_is_given_up(void **state)
{
    static struct rig_datagram burst[RIG_WIRE_MAX];

    (void)state;
    begin(burst);
    rig.wire = lose_all;
    for (unsigned i = 0; i < 40; i++) {
        feed_fragment(burst, 0, 4);
    }
    assert_int_equal(dtls_state(rig.end[PASSIVE].d), DTLS_HANDSHAKE);
    rig_run(20001);
    assert_int_equal(dtls_state(rig.end[PASSIVE].d), DTLS_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hello_may_come_in_pieces, rig_up, rig_down),
        cmocka_unit_test_setup_teardown(pieces_that_are_turned_round_and_doubled_are_sorted_out,
                                        rig_up, rig_down),
        cmocka_unit_test_setup_teardown(a_hello_that_never_ends_is_given_up, rig_up, rig_down),
    };
    int failed;

    if (crypto_init() != 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_deinit();
    return failed;
}
