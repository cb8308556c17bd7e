/* digest.c - what a text of a configuration is known by. */
#include "config/config.h"

void config_hash(struct sl text, char out[CONFIG_HASH_LEN + 1])
{
    uint8_t digest[CONFIG_HASH_LEN / 2] = {0};
    struct buf b;

    if (crypto_digest(CRYPTO_SHA256, &text, 1, digest) != 0) {
        memset(digest, 0, sizeof(digest)); /* OpenSSL is out of memory: nothing is like it */
    }
    buf_init_fixed(&b, out, CONFIG_HASH_LEN);
    buf_putx(&b, digest, sizeof(digest));
    out[CONFIG_HASH_LEN] = '\0';
}
