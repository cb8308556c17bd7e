/* fuzz_nego.c - any bytes as a description between two profiles: what is written for the other side
 * must be acceptable to ourselves, and holds no key of the side that it came from. The first two
 * bytes choose the profiles and the answers; the media is the fake one of the flow tests. */
#include "call/call_int.h"

#include <stdlib.h>

#include "../flow/fake_media.c"

#define KEY_MIN 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char yaml[] =
    "listeners:\n"
    "  one: {address: 198.51.100.1, sip: {udp: 5060}, rtp: {ports: 20000-29999}}\n"
    "  two: {address: \"2001:db8::1\", sip: {udp: 5060}, rtp: {ports: 30000-39999}}\n"
    "media_profiles:\n"
    "  plain: {dtmf: info}\n"
    "  sdes: {security: sdes, codecs: [opus, PCMA, PCMU, G729], dtmf: rfc4733}\n"
    "  offered: {security: sdes, optional: true, ice: lite}\n"
    "  dtls: {security: dtls}\n"
    "  browser: {security: dtls, ice: lite}\n"
    "peers:\n"
    "  p0: {listener: one, trusted_network: true, media: plain, sources: [192.0.2.1/32]}\n"
    "  p1: {listener: one, trusted_network: true, media: sdes, sources: [192.0.2.2/32]}\n"
    "  p2: {listener: one, trusted_network: true, media: offered, sources: [192.0.2.3/32]}\n"
    "  p3: {listener: one, trusted_network: true, media: dtls, sources: [192.0.2.4/32]}\n"
    "  p4: {listener: one, trusted_network: true, media: browser, sources: [192.0.2.5/32]}\n"
    "  q0: {listener: two, media: sdes, sources: [\"2001:db8::2/128\"]}\n"
    "  q1: {listener: two, media: offered, sources: [\"2001:db8::3/128\"]}\n"
    "  q2: {listener: two, media: browser, sources: [\"2001:db8::4/128\"]}\n";

static struct clock fuzz_clock;
static struct call_table *table;
static struct config *cfg;
static struct call call;

static void must(int err)
{
    if (err != 0) {
        abort();
    }
}

static void set_up(void)
{
    struct call_table_params p = {.worker = 0};
    struct token_ring *ring = NULL;
    struct media *media = NULL;
    struct config_errors errs = {0};

    must(crypto_init());
    must(token_ring_random(&ring));
    clock_init_virtual(&fuzz_clock, 1000, 1000);
    must(loop_new(&p.loop, &(struct loop_params){.virt = &fuzz_clock, .mailbox = 16}));
    must(media_new(&media, &(struct media_params){.loop = p.loop, .n_workers = 1}));
    must(config_parse(&cfg, "fuzz", sl_str(yaml), NULL, &errs));
    must(media_set_realm(
        media, &(struct media_realm_params){.listener = 0, .port_min = 20000, .port_max = 29999}));
    must(media_set_realm(
        media, &(struct media_realm_params){.listener = 1, .port_min = 30000, .port_max = 39999}));
    fake_media_dtls(media, true);
    p.ring = ring;
    p.media = media;
    must(call_table_new(&table, &p));
    call_table_set_config(table, cfg);
    log_set_level(LOG_ERROR);
}

static struct leg *make_leg(uint8_t side, unsigned party)
{
    const struct policy_peer *peer = &policy_def(cfg->policy)->peers[party];
    struct leg *l = leg_new(&call, side);

    if (l == NULL) {
        abort();
    }
    l->party = (struct policy_ref){.kind = POLICY_PEER, .peer = (uint16_t)party};
    l->listener = peer->listener;
    l->dlg.flow.remote = peer->sources[0].addr;
    l->dlg.flow.transport = SIP_UDP;
    return l;
}

/* Nothing of our own that we would refuse, and no key of theirs. */
static void check_written(struct sl theirs, unsigned n_streams)
{
    static struct sdp again;
    struct sl out = buf_sl(&table->body), key, rest;
    const char *why = NULL;
    ptrdiff_t at;

    if (out.n <= SDP_BODY_MAX &&
        (sdp_parse(out, &again, &why) != 0 || again.n_streams != n_streams)) {
        abort();
    }
    while ((at = sl_find(out, SL("a=crypto:"))) >= 0) {
        out = sl_from(out, (size_t)at);
        at = sl_find(out, SL(" inline:"));
        out = sl_from(out, (size_t)(at < 0 ? 0 : at) + 8);
        rest = out;
        if (sl_next(&rest, '\r', &key) == 0 && key.n >= KEY_MIN && sl_find(theirs, key) >= 0) {
            abort();
        }
    }
}

static void change_all(struct buf *b, const char *what, size_t at, const char *with)
{
    size_t n = strlen(what);

    for (size_t i = 0; i + n + 1 < b->n; i++) {
        if (memcmp(b->p + i, what, n) == 0) {
            memcpy(b->p + i + at, with, strlen(with));
        }
    }
}

/* Our own offer as its answer, from another address, with other keys, and ready to begin. */
static void mirror(struct buf *b)
{
    buf_putsl(b, buf_sl(&table->body));
    change_all(b, "inline:", 7, "Zz");
    change_all(b, "actpass", 0, "passive");
    change_all(b, "198.51.100.1", 11, "9");
    change_all(b, "2001:db8::1", 10, "9");
    change_all(b, "a=ice-lite", 2, "x");
}

static bool exchange(struct leg *x, struct leg *y, struct sl offer, struct sl answer)
{
    const char *why = NULL;
    struct buf own;
    bool ok;

    if (call_keep_offer(&call, x, offer) != 0 || call_bridge_offer(&call, x, y, offer, &why) != 0) {
        if (why == NULL) {
            abort();
        }
        call_undo_offer(&call);
        return false;
    }
    check_written(offer, table->room->from.n_streams);
    buf_init(&own, SDP_BODY_MAX);
    if (answer.n == 0) {
        mirror(&own);
        answer = buf_sl(&own);
    }
    ok = call_bridge_answer(&call, y, x, answer, &why) == 0;
    if (ok) {
        check_written(answer, table->room->from.n_streams);
    } else if (why == NULL) {
        abort();
    }
    buf_free(&own);
    call_drop_offer(&call);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct leg *a, *b;
    struct sl sdp;

    if (n < 2) {
        return 0;
    }
    if (table == NULL) {
        set_up();
    }
    memset(&call, 0, sizeof(call));
    call.t = table;
    call.cfg = cfg;
    list_init(&call.forks);
    list_init(&call.relays);
    arena_init(&call.arena, 1024, 1 << 16);
    sdp = sl_make(data + 2, n - 2);
    a = call.a = make_leg(0, data[0] % 8);
    b = call.b = make_leg(1, data[0] / 8 % 8);
    a->state = b->state = LEG_CONFIRMED;
    if (exchange(a, b, sdp, (data[1] & 1) != 0 ? sdp : SL_NULL)) {
        call.state = CALL_ANSWERED;
        a->nego.fresh_keys = (data[1] & 2) != 0;
        (void)exchange(b, a, sdp, SL_NULL); /* as a re-INVITE, from the other side and again */
        (void)exchange(a, b, sdp, (data[1] & 4) != 0 ? sdp : SL_NULL);
    }
    media_session_close(&call.media);
    leg_free(&a);
    leg_free(&b);
    arena_free(&call.arena);
    return 0;
}
