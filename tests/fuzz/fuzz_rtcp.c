/* fuzz_rtcp.c - any datagrams at a side's ports, in a session of every kind: what is RTCP is
 * checked, filtered, translated and parted among streams, and has to be RTCP still; nothing else
 * may go wrong. Input: a byte of switches, then datagrams, each behind its length in two bytes. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUX 1
#define BUNDLE 2
#define AVPF 4
#define INFO 8
#define NAMES 16
#define ODD_PORT 32

static const struct media_format formats[] = {
    {.pt = 0, .out_pt = 8, .kind = MEDIA_FMT_AUDIO},
    {.pt = 101, .out_pt = 96, .kind = MEDIA_FMT_EVENT, .clock_hz = 8000},
    {.pt = 97, .out_pt = MEDIA_PT_NONE, .kind = MEDIA_FMT_OTHER, .clock_hz = 90000},
};

static struct clock clk;
static struct loop *loop;
static struct media *m;
static struct addr src;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void begin(void)
{
    clock_init_virtual(&clk, 1000000, 1);
    must(crypto_init() == 0);
    must(loop_new(&loop, &(struct loop_params){.virt = &clk, .mailbox = 16}) == 0);
    must(addr_parse(SL("192.0.2.1"), 4000, &src) == 0);
}

static void on_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                    unsigned ms, void *arg)
{
    (void)s;
    (void)arg;
    must(stream < 2 && side < 2 && digit != 0 && ms <= 65535);
}

static void known(struct media_flow *f)
{
    f->src = src;
    f->rank = 1;
    f->locked = true;
}

static struct media_session *session(uint8_t how)
{
    struct media_session *s = NULL;
    struct media_side *a;

    must(media_session_new(&s, m, NULL, NULL) == 0);
    media_set_dtmf_handler(s, on_dtmf, NULL);
    must(media_stream_want(s, 0) == 0 && media_stream_want(s, 1) == 0);
    a = &s->streams[0]->side[0];
    known(&a->rtp);
    known(&a->rtcp);
    a->mux = (how & MUX) != 0;
    s->streams[0]->side[1].avpf = (how & AVPF) != 0;
    must(media_set_formats(s, 0, 0, formats, COUNT_OF(formats)) == 0);
    must(media_set_dtmf(s, 0, 0, (how & INFO) != 0 ? MEDIA_DTMF_TO_INFO : MEDIA_DTMF_PASS) == 0);
    if ((how & NAMES) != 0) {
        must(media_remap_want(a) == 0 && media_remap_want(&s->streams[0]->side[1]) == 0);
        must(media_remap_continue(a, 0x53535243, 1, 0x4e455721, 1000));
        must(media_remap_continue(&s->streams[0]->side[1], 0x4f544852, 1, 0x42424242, 7));
    }
    if ((how & BUNDLE) != 0) {
        a->realm =
            (struct media_realm *)(void *)m; /* not looked into: never bound, never sent by */
        must(media_bundle(s, 0, 0, 0,
                          &(struct media_bundle_key){.mid_ext_id = 1, .mid = SL("a")}) == 0);
        must(media_bundle(s, 1, 0, 0,
                          &(struct media_bundle_key){.mid_ext_id = 1, .mid = SL("v")}) == 0);
        a->realm = NULL;
    }
    return s;
}

static void check(const struct media_pkt *pkt, uint8_t how)
{
    size_t at = 0;
    struct rtcp_packet r;

    if (pkt->class != MEDIA_CLASS_RTCP || pkt->n == 0 || !media_rtcp_is_sound(pkt->p, pkt->n)) {
        return;
    }
    while (media_rtcp_next(pkt->p, pkt->n, &at, &r)) {
        must(r.body <= r.n && r.p + r.n <= pkt->p + pkt->n);
        must((how & (AVPF | BUNDLE)) != 0 || (r.type != RTCP_RTPFB && r.type != RTCP_PSFB));
    }
    must(at == pkt->n);
}

static void datagram(struct media_session *s, uint8_t how, struct sl in)
{
    struct media_side *a = &s->streams[0]->side[0];
    /* Room behind the end, as io.c gives it, in a block of its own. */
    uint8_t *p = malloc(MEDIA_PKT_ROOM);
    struct media_pkt pkt = {.p = p, .n = in.n, .src = src, .now_ms = loop_now_ms(loop)};

    must(p != NULL);
    if (in.n != 0) {
        memcpy(p, in.p, in.n);
    }
    media_relay((how & ODD_PORT) != 0 ? &a->rtcp : &a->rtp, &pkt);
    if (!s->streams[0]->has_zrtp) {
        check(&pkt, how);
    }
    free(p);
    loop_advance(loop, 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct media_session *s;
    uint8_t how;

    if (loop == NULL) {
        begin();
    }
    if (n == 0) {
        return 0;
    }
    how = data[0];
    must(media_new(&m, &(struct media_params){.loop = loop, .n_workers = 1}) == 0);
    s = session(how);
    for (size_t at = 1; at + 2 <= n;) {
        size_t len = rtp_u16(data + at);

        at += 2;
        len = len < n - at ? len : n - at;
        len = len < MEDIA_PKT_MAX ? len : MEDIA_PKT_MAX;
        datagram(s, how, sl_make(data + at, len));
        at += len;
    }
    media_session_close(&s);
    media_free(&m);
    return 0;
}
