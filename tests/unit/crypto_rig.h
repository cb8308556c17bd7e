/* crypto_rig.h - cmocka fixtures of a group of tests that needs crypto/ and nothing else. */
#ifndef POSTERN_TEST_CRYPTO_RIG_H
#define POSTERN_TEST_CRYPTO_RIG_H

#include "crypto/crypto.h"

static inline int rig_crypto_up(void **state)
{
    (void)state;
    return crypto_init();
}

static inline int rig_crypto_down(void **state)
{
    (void)state;
    crypto_deinit();
    return 0;
}

#endif
