/* fuzz_stun.c - any bytes as a STUN message, and (first byte odd) as the attributes of an authentic
 * check: parse, answer, and read what we answered. The agent's endpoint must never move without
 * integrity. */
#include "crypto/crypto.h"
#include "media/ice.h"

#include <stdlib.h>

#define FUZZ_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_answer(const struct stun_msg *rq)
{
    static const unsigned codes[] = {400, 401, 420, 487, 500};
    uint8_t mem[STUN_ANSWER_MAX];
    struct stun_msg again;
    struct addr from;
    struct buf b;

    if (addr_parse(SL("2001:db8::9"), 40000, &from) != 0) {
        abort();
    }
    for (size_t i = 0; i <= COUNT_OF(codes); i++) {
        buf_init_fixed(&b, mem, sizeof(mem));
        if ((i < COUNT_OF(codes) ? stun_put_error(&b, rq, codes[i], SL("password"))
                                 : stun_put_success(&b, rq, &from, SL("password"))) != 0 ||
            stun_parse(buf_sl(&b), &again) != 0 || !again.has_fingerprint ||
            stun_check_integrity(&again, SL("password")) != 0) {
            abort();
        }
    }
}

static void fuzz_agent(struct ice *a, struct sl bytes, bool authentic)
{
    struct ice_verdict v;
    struct addr src;

    if (addr_parse(SL("192.0.2.9"), 40000, &src) != 0) {
        abort();
    }
    for (unsigned component = 1; component <= ICE_COMPONENTS; component++) {
        ice_on_stun(a, component, bytes, &src, 1000, &v);
        if (v.answer_len > sizeof(v.answer) || (v.drop != ICE_ANSWERED && v.answer_len != 0) ||
            (!authentic && (v.validated || ice_selected(a, component) != NULL))) {
            abort();
        }
    }
}

static void fuzz_be16(uint8_t *to, size_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
}

/* The attributes between a right USERNAME and a right MESSAGE-INTEGRITY. */
static void fuzz_authentic(struct ice *a, const uint8_t *data, size_t n)
{
    static uint8_t m[FUZZ_MAX];
    struct sl ufrag = ice_ufrag(a), all;
    size_t len = 20;

    n = n < FUZZ_MAX - 128 ? n & ~(size_t)3 : FUZZ_MAX - 128;
    memcpy(m, "\0\1\0\0\x21\x12\xa4\x42", 8);
    memcpy(m + 20, "\0\6\0\x0d", 4);
    memcpy(m + 24, ufrag.p, ufrag.n);
    memcpy(m + 24 + ufrag.n, ":peer\0\0\0", 8);
    len += 20;
    memcpy(m + len, data, n);
    len += n;
    fuzz_be16(m + 2, len + 24 - 20);
    all = sl_make(m, len);
    memcpy(m + len, "\0\x08\0\x14", 4);
    if (crypto_hmac_sha1(ice_pwd(a), &all, 1, m + len + 4) != 0) {
        abort();
    }
    fuzz_agent(a, sl_make(m, len + 24), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ice *a = NULL;
    struct stun_msg m;

    if (crypto_init() != 0 || ice_new(&a) != 0) {
        abort();
    }
    if (n != 0) {
        (void)media_demux(data[0], n);
    }
    if (stun_parse(sl_make(data, n), &m) == 0) {
        if (stun_check_integrity(&m, SL("VOkJxbRl1RmTxUk/WvJxBt")) == 0 && !m.has_integrity) {
            abort();
        }
        fuzz_answer(&m);
    }
    fuzz_agent(a, sl_make(data, n), false);
    if (n > 1 && data[0] % 2 != 0) {
        fuzz_authentic(a, data + 1, n - 1);
    }
    ice_free(&a);
    return 0;
}
