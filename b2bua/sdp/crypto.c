/* crypto.c - a=crypto lines (RFC 4568) and a=fingerprint (RFC 8122): read strictly, because a key
 * that is understood in two ways is no key. */
#include "sdp/sdp_int.h"

#define SDP_BASE64_MAX ((SDP_KEY_MAX + 2) / 3 * 4)
#define SDP_LIFETIME_EXP_MAX 48 /* RFC 3711 9.2 */
#define SDP_LIFETIME_DIGITS_MAX 16

static const struct sdp_suite_row {
    struct sl name;
    uint8_t key_n, salt_n;
} suites[SDP_SUITE_N] = {
    [SDP_AES_CM_128_HMAC_SHA1_80] = {SL("AES_CM_128_HMAC_SHA1_80"), 16, 14},
    [SDP_AES_CM_128_HMAC_SHA1_32] = {SL("AES_CM_128_HMAC_SHA1_32"), 16, 14},
    [SDP_AES_256_CM_HMAC_SHA1_80] = {SL("AES_256_CM_HMAC_SHA1_80"), 32, 14},
    [SDP_AES_256_CM_HMAC_SHA1_32] = {SL("AES_256_CM_HMAC_SHA1_32"), 32, 14},
    [SDP_AEAD_AES_128_GCM] = {SL("AEAD_AES_128_GCM"), 16, 12},
    [SDP_AEAD_AES_256_GCM] = {SL("AEAD_AES_256_GCM"), 32, 12},
};

enum sdp_suite sdp_suite_of(struct sl name)
{
    for (unsigned i = 0; i < SDP_SUITE_N; i++) {
        if (sl_eq(suites[i].name, name)) {
            return (enum sdp_suite)i;
        }
    }
    return SDP_SUITE_N;
}

uint8_t sdp_suite_key_len(enum sdp_suite s)
{
    return suites[s].key_n;
}

uint8_t sdp_suite_salt_len(enum sdp_suite s)
{
    return suites[s].salt_n;
}

/* --- base64 (RFC 4648 4) --- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int sdp_base64_digit(char c)
{
    const char *at = c != '\0' ? strchr(base64_digits, c) : NULL;

    return at != NULL ? (int)(at - base64_digits) : -1;
}

/* Padded or not, as phones write both. EBADMSG: no base64, or not exactly n bytes. */
static int sdp_base64_get(struct sl text, uint8_t *out, size_t n)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t have = 0;

    for (int i = 0; i < 2 && text.n != 0 && text.p[text.n - 1] == '='; i++) {
        text.n--;
    }
    if (text.n > SDP_BASE64_MAX || text.n != (n * 8 + 5) / 6) {
        return EBADMSG;
    }
    for (size_t i = 0; i < text.n; i++) {
        int digit = sdp_base64_digit(text.p[i]);

        if (digit < 0) {
            return EBADMSG;
        }
        acc = (acc << 6 | (uint32_t)digit) & 0xffffff;
        bits += 6;
        if (bits >= 8 && have < n) {
            bits -= 8;
            out[have++] = (uint8_t)(acc >> bits);
        }
    }
    return have == n ? 0 : EBADMSG;
}

static void sdp_base64_put(struct buf *b, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;

        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? p[i + 2] : 0;
        buf_putc(b, base64_digits[v >> 18]);
        buf_putc(b, base64_digits[v >> 12 & 63]);
        buf_putc(b, i + 1 < n ? base64_digits[v >> 6 & 63] : '=');
        buf_putc(b, i + 2 < n ? base64_digits[v & 63] : '=');
    }
}

/* --- one line --- */

/* "2^20" or a number of packets. */
static int sdp_lifetime(struct sl text, uint64_t *out)
{
    uint32_t exp;

    if (sl_starts(text, SL("2^"))) {
        if (sl_u32(sl_from(text, 2), SDP_LIFETIME_EXP_MAX, &exp) != 0) {
            return EBADMSG;
        }
        *out = (uint64_t)1 << exp;
        return 0;
    }
    return text.n <= SDP_LIFETIME_DIGITS_MAX && sl_u64(text, UINT64_MAX, out) == 0 ? 0 : EBADMSG;
}

/* "<value>:<length>": the value as a number of that many bytes. */
static int sdp_mki(struct sl text, struct sdp_crypto *out)
{
    struct sl value;
    uint64_t v;
    uint32_t n;

    if (sl_next(&text, ':', &value) != 0 || sl_u64(value, UINT64_MAX, &v) != 0 ||
        sl_u32(text, 128, &n) != 0 || n == 0) {
        return EBADMSG;
    }
    if (n > SDP_MKI_MAX) {
        return ENOTSUP;
    }
    out->mki_len = (uint8_t)n;
    for (; n != 0; n--, v >>= 8) {
        out->mki[n - 1] = (uint8_t)v;
    }
    return v == 0 ? 0 : EBADMSG;
}

/* "inline:<key>|<lifetime>|<MKI>:<length>"; the last two in this order, each may be missing. */
static int sdp_key_info(struct sl text, struct sdp_crypto *out)
{
    struct sl key, part;
    unsigned n = 0;
    int err = 0;

    if (!sl_istarts(text, SL("inline:"))) {
        return EBADMSG;
    }
    text = sl_from(text, sizeof("inline:") - 1);
    if (sl_next(&text, '|', &key) != 0 || sdp_base64_get(key, out->key, out->n) != 0) {
        return EBADMSG;
    }
    while (err == 0 && sl_next(&text, '|', &part) == 0) {
        if (sl_chr(part, ':') >= 0) {
            err = out->mki_len == 0 ? sdp_mki(part, out) : EBADMSG;
        } else {
            err = n == 0 ? sdp_lifetime(part, &out->lifetime) : EBADMSG;
        }
        n++;
    }
    return err;
}

/* What may stand there without changing how packets are protected. */
static bool sdp_session_param_is_harmless(struct sl param)
{
    return param.p[0] == '-' || sl_istarts(param, SL("WSH="));
}

static int sdp_crypto_parse(struct sl value, struct sdp_crypto *out)
{
    struct sl tag, suite, keys, param;
    int err;

    *out = (struct sdp_crypto){.suite = SDP_SUITE_N};
    if (!sdp_token(&value, &tag) || !sdp_token(&value, &suite) || !sdp_token(&value, &keys) ||
        sl_u32(tag, SDP_TAG_MAX, &out->tag) != 0) {
        return EBADMSG;
    }
    out->suite = sdp_suite_of(suite);
    if (out->suite == SDP_SUITE_N) {
        return ENOTSUP;
    }
    if (sl_chr(keys, ';') >= 0) { /* several keys need an MKI to tell them apart */
        return ENOTSUP;
    }
    out->n = (uint8_t)(suites[out->suite].key_n + suites[out->suite].salt_n);
    err = sdp_key_info(keys, out);
    while (err == 0 && sdp_token(&value, &param)) {
        err = sdp_session_param_is_harmless(param) ? 0 : ENOTSUP;
    }
    return err;
}

int sdp_crypto_next(const struct sdp *s, unsigned i, uint16_t *pos, struct sdp_crypto *out)
{
    struct sl value;
    int err;

    if (!sdp_attr_next(s, i, SL("crypto"), pos, &value)) {
        return ENOENT;
    }
    err = sdp_crypto_parse(value, out);
    if (err != 0) {
        mem_wipe(out->key, sizeof(out->key));
    }
    return err;
}

void sdp_put_crypto(struct buf *b, const struct sdp_crypto *c)
{
    buf_putf(b, "a=crypto:%u %s inline:", (unsigned)c->tag, suites[c->suite].name.p);
    sdp_base64_put(b, c->key, c->n);
    BUF_LIT(b, "\r\n");
}

/* --- fingerprints --- */

int sdp_fingerprints(const struct sdp *s, unsigned i, struct sl out[SDP_FINGERPRINTS_MAX],
                     size_t *n)
{
    uint8_t digest[FINGERPRINT_DIGEST_MAX], digest_n;
    struct sl value;
    uint16_t pos = 0;
    bool has_any = false;

    *n = 0;
    if (!sdp_attr(s, i, SL("fingerprint"), &value)) {
        i = SDP_SESSION;
    }
    while (sdp_attr_next(s, i, SL("fingerprint"), &pos, &value)) {
        int err = fingerprint_parse(value, digest, &digest_n);

        has_any = true;
        if (err == EBADMSG) {
            return EBADMSG;
        }
        if (err == 0 && *n < SDP_FINGERPRINTS_MAX) {
            out[(*n)++] = value;
        }
    }
    return *n != 0 ? 0 : has_any ? ENOTSUP : ENOENT;
}
