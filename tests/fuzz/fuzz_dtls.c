/* fuzz_dtls.c - the media port's door: any bytes as a row of datagrams (two bytes of length, then
 * the datagram), each sent where its first byte says; what is DTLS goes to a passive association
 * and to an active one. An even first byte lets time pass between them. */
#include "crypto/crypto.h"
#include "media/stun.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct crypto_pool *pool;
static struct dtls_ctx *ctx;
static struct dtls_hub *hub;

static void fuzz_start(void)
{
    struct dtls_hub_params hp;

    if (crypto_init() != 0 || crypto_pool_new(&pool, 0, 4) != 0 ||
        dtls_ctx_new(&ctx, &(struct dtls_ctx_params){0}) != 0) {
        abort();
    }
    hp = (struct dtls_hub_params){.ctx = ctx, .pool = pool};
    if (dtls_hub_new(&hub, &hp) != 0) {
        abort();
    }
}

static void fuzz_drain(struct dtls *d, int64_t now_ms)
{
    struct sl out;

    dtls_hub_collect(hub, now_ms);
    while (dtls_next_out(d, &out)) {
        if (out.n == 0 || out.n > DTLS_MTU ||
            media_demux((uint8_t)out.p[0], out.n) != MEDIA_DEMUX_DTLS) {
            abort();
        }
    }
}

static void fuzz_feed(struct dtls *d, struct sl row, bool time)
{
    int64_t now_ms = 1000;

    dtls_start(d, now_ms);
    fuzz_drain(d, now_ms);
    while (row.n >= 2) {
        size_t len = (size_t)(uint8_t)row.p[0] << 8 | (uint8_t)row.p[1];
        struct sl g = sl_head(sl_from(row, 2), len);

        if (g.n != 0 && media_demux((uint8_t)g.p[0], g.n) == MEDIA_DEMUX_DTLS) {
            dtls_feed(d, g, now_ms);
            fuzz_drain(d, now_ms);
        }
        if (time) {
            int64_t wait = dtls_timeout_ms(d, now_ms);

            now_ms += wait > 0 ? wait : 0;
            dtls_on_timeout(d, now_ms);
            fuzz_drain(d, now_ms);
        }
        row = sl_from(row, 2 + len);
    }
    if (dtls_state(d) == DTLS_READY || (dtls_state(d) == DTLS_FAILED) != (dtls_error(d) != 0)) {
        abort(); /* nobody told it a fingerprint */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dtls_fingerprint fp;

    if (hub == NULL) {
        fuzz_start();
    }
    if (dtls_fingerprint_parse(sl_make(data, n), &fp) == 0 && fp.n < 32) {
        abort();
    }
    for (unsigned active = 0; n > 1 && active < 2; active++) {
        const struct dtls_params p = {.active = active != 0};
        struct dtls *d = NULL;

        if (dtls_new(&d, hub, &p) != 0) {
            abort();
        }
        fuzz_feed(d, sl_make(data + 1, n - 1), data[0] % 2 == 0);
        dtls_free(&d);
        dtls_hub_collect(hub, 0);
    }
    return 0;
}
