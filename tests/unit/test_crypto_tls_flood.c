/* test_crypto_tls_flood.c - what TLS itself may be made to do on an open connection. */
#include "tests/unit/tls_pair.h"

/* The dialler wants new keys of the listener, n times, and its words for it lie on the wire. */
static void ask_for_keys(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(SSL_key_update(pair.a.tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(pair.a.tls->ssl), 1);
    }
}

/* RFC 8446 4.6.3: each of 27 bytes costs two derivations of keys and an answer. */
static void a_flood_of_new_keys_ends_the_connection_at_once(void **state)
{
    uint64_t before = stat_sum(STAT_TLS_ASIDES);

    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    ask_for_keys(2000);
    deliver(&pair.a, &pair.b);
    assert_int_equal(pair.b.result, EPROTO);
    assert_string_equal(tls_why(pair.b.tls), "too many new keys");
    assert_in_range(pair.b.n, 1, TLS_ASIDES_MAX * 32); /* the answers */
    assert_int_equal(stat_sum(STAT_TLS_ASIDES), before + 1);
    pair_down();
}

static void new_keys_now_and_then_are_welcome(void **state)
{
    (void)state;
    meet(pki_client(&ca, wanted, NULL), pki_server(&server_cert, NULL, TLS_VERIFY_OFF));
    for (unsigned i = 0; i < 3; i++) {
        tls_forgive(pair.a.tls);
        tls_forgive(pair.b.tls);
        ask_for_keys(TLS_ASIDES_MAX);
        settle();
        talk(&pair.a, &pair.b, SL("hello"));
        talk(&pair.b, &pair.a, SL("hello"));
    }
    pair_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_new_keys_ends_the_connection_at_once),
        cmocka_unit_test(new_keys_now_and_then_are_welcome),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
