/* DTLS when OpenSSL's own allocations fail, one after the other: a handshake may fail then, and
 * nothing else. (mem_fault_arm() reaches only ours.) */
#include "dtls_wire.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define STRIDE 41 /* of some 4,300 allocations */

static unsigned long left;
static bool hit;

static bool is_refused(void)
{
    if (left == 0 || --left != 0) {
        return false;
    }
    hit = true;
    return true;
}

/* reallocarray(), as the walk over all allocations shall not count these: it has its own way with
 * what OpenSSL needs to start. */
static void *openssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_refused() ? NULL : reallocarray(NULL, 1, n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_refused() ? NULL : reallocarray(p, 1, n);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static bool has_keys(unsigned i)
{
    struct dtls_srtp_keys k;

    return dtls_take_keys(rig.end[i].d, &k) == 0;
}

static void a_handshake_survives_openssl_without_memory(void **state)
{
    unsigned ready = 0, failed = 0;

    (void)state;
    hit = true;
    for (unsigned long n = 1; hit; n += STRIDE) {
        rig_shut(ACTIVE);
        rig_shut(PASSIVE);
        assert_int_equal(rig_open(ACTIVE, NULL, 0), 0);
        assert_int_equal(rig_open(PASSIVE, NULL, 0), 0);
        rig_introduce(ACTIVE, PASSIVE);
        rig_introduce(PASSIVE, ACTIVE);
        hit = false;
        left = n;
        rig_run(20000);
        left = 0;
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(dtls_state(rig.end[i].d) == DTLS_FAILED,
                             dtls_error(rig.end[i].d) != 0);
            assert_int_equal(dtls_state(rig.end[i].d) == DTLS_READY, has_keys(i));
            assert_true(dtls_error(rig.end[i].d) != EACCES); /* nobody's certificate was wrong */
            ready += dtls_state(rig.end[i].d) == DTLS_READY;
            failed += dtls_state(rig.end[i].d) == DTLS_FAILED;
        }
    }
    assert_true(ready != 0 && failed != 0);
}

static void a_context_survives_openssl_without_memory(void **state)
{
    const struct dtls_ctx_params p = {0};

    (void)state;
    hit = true;
    for (unsigned long n = 1; hit; n += STRIDE) {
        struct dtls_ctx *c = NULL;
        int err;

        hit = false;
        left = n;
        err = dtls_ctx_new(&c, &p);
        left = 0;
        assert_int_equal(err == 0, c != NULL);
        dtls_ctx_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_handshake_survives_openssl_without_memory, rig_up,
                                        rig_down),
        cmocka_unit_test_setup_teardown(a_context_survives_openssl_without_memory, rig_up,
                                        rig_down),
    };
    int bad;

    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1 ||
        crypto_init() != 0) {
        return EXIT_FAILURE;
    }
    bad = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_deinit();
    return bad;
}
