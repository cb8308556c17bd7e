/* fingerprint.c - reads fingerprints strictly: what two readers understand differently proves
 * nothing. */
#include "base/base.h"

static const struct fingerprint_hash {
    struct sl name;
    uint8_t n; /* bytes */
} hashes[] = {{SL("sha-256"), 32}, {SL("sha-384"), 48}, {SL("sha-512"), 64}};

/* "AB:CD:..." of exactly n bytes. */
static bool fingerprint_hex(struct sl s, uint8_t *out, size_t n)
{
    if (s.n != n * 3 - 1) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t v;

        if (sl_hex32(sl_head(sl_from(s, i * 3), 2), &v) != 0 ||
            (i + 1 < n && s.p[i * 3 + 2] != ':')) {
            return false;
        }
        out[i] = (uint8_t)v;
    }
    return true;
}

int fingerprint_parse(struct sl value, uint8_t digest[FINGERPRINT_DIGEST_MAX], uint8_t *n)
{
    size_t name_n = 0;
    struct sl name;

    value = sl_trim(value);
    while (name_n < value.n && value.p[name_n] != ' ' && value.p[name_n] != '\t') {
        name_n++;
    }
    name = sl_head(value, name_n);
    value = sl_trim(sl_from(value, name_n));
    for (size_t i = 0; i < COUNT_OF(hashes); i++) {
        if (sl_ieq(name, hashes[i].name)) {
            *n = hashes[i].n;
            return fingerprint_hex(value, digest, *n) ? 0 : EBADMSG;
        }
    }
    return name.n == 0 || value.n == 0 ? EBADMSG : ENOTSUP;
}
