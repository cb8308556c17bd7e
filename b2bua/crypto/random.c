/* random.c - random bytes from the kernel, fetched in blocks, each byte wiped once it is used. */
#include "crypto/crypto_int.h"

#include <stdlib.h>
#include <sys/random.h>

static void random_refill(struct crypto_tls *t)
{
    size_t n = 0;

    while (n < CRYPTO_POOL) {
        ssize_t r = getrandom(t->pool + n, CRYPTO_POOL - n, 0);

        if (r > 0) {
            n += (size_t)r;
        } else if (r == 0 || errno != EINTR) {
            abort(); /* going on with guessable keys would be worse than not going on */
        }
    }
    t->left = CRYPTO_POOL;
}

void crypto_random(void *out, size_t n)
{
    struct crypto_tls *t = crypto_tls();
    uint8_t *to = out;

    while (n != 0) {
        size_t part;
        uint8_t *from;

        if (t->left == 0) {
            random_refill(t);
        }
        part = n < t->left ? n : t->left;
        from = t->pool + CRYPTO_POOL - t->left;
        memcpy(to, from, part);
        mem_wipe(from, part);
        t->left -= part;
        to += part;
        n -= part;
    }
}

uint32_t crypto_random_u32(void)
{
    uint32_t v;

    crypto_random(&v, sizeof(v));
    return v;
}
