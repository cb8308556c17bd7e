/* fuzz_sdp.c - any bytes as a description: parse, then write it as an offer and as the answer to
 * itself, then read what we wrote: our own output must always be acceptable to ourselves. */
#include "sdp/sdp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_write(const struct sdp *in, const struct sdp *offer)
{
    static struct sdp again;
    struct sdp_out_stream streams[SDP_STREAMS_MAX] = {{0}};
    struct sdp_face face;
    struct sdp_write_params p = {.from = in, .offer = offer, .streams = streams, .face = &face};
    struct buf b;
    const char *why = NULL;
    int err;

    sdp_face_init(&face, 77);
    if (addr_parse(SL("192.0.2.9"), 0, &p.origin) != 0) {
        abort();
    }
    for (unsigned i = 0; i < in->n_streams; i++) {
        streams[i].refuse = i % 5 == 4;
        streams[i].rtp = p.origin;
        addr_set_port(&streams[i].rtp, (uint16_t)(20000 + 2 * i));
    }
    buf_init(&b, 1 << 18);
    err = sdp_write(&b, &p);
    if (err == 0 && b.n <= SDP_BODY_MAX &&
        (sdp_parse(buf_sl(&b), &again, &why) != 0 || again.n_streams != in->n_streams)) {
        abort();
    }
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct sdp in;
    const char *why = NULL;
    struct sl value;

    if (sdp_parse(sl_make(data, n), &in, &why) != 0) {
        if (why == NULL || *why == '\0') {
            abort();
        }
        return 0;
    }
    for (unsigned i = 0; i < in.n_streams; i++) {
        (void)sdp_attr(&in, i, SL("rtpmap"), &value);
    }
    fuzz_write(&in, NULL);
    fuzz_write(&in, &in);
    return 0;
}
