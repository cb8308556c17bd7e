/* fuzz_frame.c - any bytes as a stream: messages are cut off until the frame is lost. Where framing
 * and parser both say yes, they must mean the same bytes. */
#include "sip/sip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_require(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* Not whole before its last byte. */
static void fuzz_cut(struct sl msg)
{
    const size_t cuts[] = {0, 1, msg.n / 3, msg.n / 2, msg.n - 2, msg.n - 1};
    size_t len;

    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        int err = sip_frame(sl_head(msg, cuts[i]), SIP_MSG_MAX, &len);

        fuzz_require(err == ENODATA && (len == 0 || len == msg.n));
    }
}

static void fuzz_parse(struct sip_pool *pool, struct sl msg)
{
    struct sip_msg *m = NULL;
    struct sip_bad bad;

    if (sip_msg_parse(pool, msg, &m, &bad) == 0) {
        fuzz_require(m->text.n == msg.n && m->body.p + m->body.n == m->text.p + m->text.n);
    }
    sip_msg_unref(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct sip_pool *pool;
    struct sl in = sl_make(data, n);
    size_t len = 0;
    int err;

    if (pool == NULL) {
        fuzz_require(sip_pool_new(&pool) == 0);
    }
    for (;;) {
        while (sl_starts(in, SL("\r\n"))) {
            in = sl_from(in, 2);
        }
        err = sip_frame(in, SIP_MSG_MAX, &len);
        if (err != 0) {
            break;
        }
        fuzz_require(len != 0 && len <= in.n && len <= SIP_MSG_MAX);
        fuzz_cut(sl_head(in, len));
        fuzz_parse(pool, sl_head(in, len));
        in = sl_from(in, len);
    }
    fuzz_require(err == ENODATA || err == EBADMSG || err == EMSGSIZE);
    fuzz_require(err == ENODATA || len <= in.n);
    return 0;
}
