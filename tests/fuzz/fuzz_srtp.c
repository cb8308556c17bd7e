/* fuzz_srtp.c - a run of packets through both engines. First byte: suite; second: length of the
 * MKI; then records of one byte for what to do, two for a length, and that many bytes. What one
 * engine protects, the other protects to the same bytes, and both read it back; what strangers send
 * is refused by both or by none. */
#include "crypto/crypto.h"
#include "media/srtp.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_PACKET 1500

enum fuzz_step { FUZZ_RTP, FUZZ_RTCP, FUZZ_FORGED_RTP, FUZZ_FORGED_RTCP, FUZZ_FORWARD, FUZZ_STEPS };

struct fuzz {
    struct srtp *tx[2], *rx[2]; /* own, libsrtp2 */
};

struct packet {
    _Alignas(8) uint8_t b[FUZZ_PACKET + SRTP_TRAILER_MAX + 200];
    size_t n;
};

typedef int fuzz_protect_fn(struct srtp *s, uint8_t *p, size_t *n, size_t cap);
typedef int fuzz_unprotect_fn(struct srtp *s, uint8_t *p, size_t *n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool it)
{
    if (!it) {
        abort();
    }
}

static bool is_same(const struct packet *a, const struct packet *b)
{
    return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

/* libsrtp2 numbers SRTCP from one, we from zero: then only the lengths are the same. */
static void fuzz_genuine(struct fuzz *f, const struct packet *plain, fuzz_protect_fn *protect,
                         fuzz_unprotect_fn *unprotect)
{
    struct packet wire[2];
    int err[2], heard[2];

    for (unsigned i = 0; i < 2; i++) {
        wire[i] = *plain;
        err[i] = protect(f->tx[i], wire[i].b, &wire[i].n, sizeof(wire[i].b));
        must(err[i] == 0 || is_same(&wire[i], plain));
    }
    must(err[0] == err[1]);
    if (err[0] != 0) {
        return;
    }
    must(wire[0].n == wire[1].n && (protect == srtcp_protect || is_same(&wire[0], &wire[1])));
    for (unsigned i = 0; i < 2; i++) {
        struct packet p = wire[0]; /* of the same sender, as their numbers differ */

        heard[i] = unprotect(f->rx[i], p.b, &p.n);
        must(heard[i] != 0 || is_same(&p, plain));
        must(heard[i] == 0 || p.n == wire[0].n);
    }
    must(heard[0] == heard[1]);
}

static void fuzz_forged(struct fuzz *f, const struct packet *forged, fuzz_unprotect_fn *unprotect)
{
    struct packet p[2];
    int err[2];

    for (unsigned i = 0; i < 2; i++) {
        p[i] = *forged;
        err[i] = unprotect(f->rx[i], p[i].b, &p[i].n);
    }
    must(err[0] == err[1]);
    must(err[0] != 0 || is_same(&p[0], &p[1]));
}

/* SSRC, rollover counter, sequence number. */
static void fuzz_forward(struct fuzz *f, const struct packet *in)
{
    struct srtp_ssrc set = {.has_rtp = true};
    int err;

    if (in->n < 10) {
        return;
    }
    memcpy(&set.ssrc, in->b, 4);
    memcpy(&set.roc, in->b + 4, 4);
    memcpy(&set.seq, in->b + 8, 2);
    err = srtp_set_ssrc(f->rx[1], &set);
    must(err == srtp_set_ssrc(f->rx[0], &set));
    err = srtp_set_ssrc(f->tx[1], &set);
    must(err == ENOTSUP /* it has sent SRTCP */ || err == srtp_set_ssrc(f->tx[0], &set));
}

static void fuzz_step(struct fuzz *f, enum fuzz_step step, const struct packet *p)
{
    switch (step) {
    case FUZZ_RTP:
        fuzz_genuine(f, p, srtp_protect, srtp_unprotect);
        break;
    case FUZZ_RTCP:
        fuzz_genuine(f, p, srtcp_protect, srtcp_unprotect);
        break;
    case FUZZ_FORGED_RTP:
        fuzz_forged(f, p, srtp_unprotect);
        break;
    case FUZZ_FORGED_RTCP:
        fuzz_forged(f, p, srtcp_unprotect);
        break;
    default:
        fuzz_forward(f, p);
        break;
    }
}

static bool fuzz_up(struct fuzz *f, enum srtp_suite suite, uint8_t mki)
{
    struct srtp_key k = {.suite = suite};
    bool ok = true;

    /* libsrtp2 cannot read the MKI of SRTCP when the two tags differ */
    k.mki_len = srtp_tag_len(suite, false) == srtp_tag_len(suite, true) ? mki : 0;
    memset(k.key, 0x11, srtp_key_len(suite));
    memset(k.salt, 0x22, srtp_salt_len(suite));
    for (unsigned i = 0; i < 2; i++) {
        struct srtp_params p = {.key = &k, .direction = SRTP_PROTECT};

        p.engine = i == 0 ? SRTP_ENGINE_EVP : SRTP_ENGINE_LIBSRTP;
        ok = ok && srtp_new(&f->tx[i], &p) == 0;
        p.direction = SRTP_UNPROTECT;
        ok = ok && srtp_new(&f->rx[i], &p) == 0;
    }
    return ok;
}

static void fuzz_down(struct fuzz *f)
{
    for (unsigned i = 0; i < 2; i++) {
        srtp_free(&f->tx[i]);
        srtp_free(&f->rx[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    struct fuzz f = {0};

    if (!started) {
        must(crypto_init() == 0 && srtp_engine_start(SRTP_ENGINE_LIBSRTP) == 0);
        started = true;
    }
    if (n < 2) {
        return 0;
    }
    must(fuzz_up(&f, (enum srtp_suite)(1 + data[0] % (SRTP_N_SUITES - 1)),
                 data[1] % (SRTP_MKI_MAX + 1)));
    for (size_t at = 2; at + 3 <= n;) {
        size_t len = (size_t)(data[at + 1] << 8 | data[at + 2]);
        struct packet p = {.n = 0};
        enum fuzz_step step = (enum fuzz_step)(data[at] % FUZZ_STEPS);

        at += 3;
        len = len < n - at ? len : n - at;
        p.n = len < FUZZ_PACKET ? len : FUZZ_PACKET;
        memcpy(p.b, data + at, p.n);
        fuzz_step(&f, step, &p);
        at += len;
    }
    fuzz_down(&f);
    return 0;
}
