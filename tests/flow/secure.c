/* secure.c - see secure.h. */
#include "secure.h"

#include <stdio.h>

const char *const kind_names[KIND_N] = {"plain", "secure", "offered", "dtls", "browser"};

static const char house[] =
    "node: {name: rig, id: 5, log: {level: debug}}\n"
    "listeners:\n"
    "  outside: {address: 198.51.100.1, advertise: 203.0.113.1, sip: {udp: 5060, tcp: 5060},\n"
    "            rtp: {ports: 20000-20999}}\n"
    "  inside: {address: 10.1.1.1, sip: {udp: 5060, tcp: 5060}, rtp: {ports: 30000-30999}}\n"
    "media_profiles:\n"
    "  plain: {security: rtp}\n"
    "  secure: {security: sdes}\n"
    "  offered: {security: sdes, optional: true}\n"
    "  dtls: {security: dtls, rtcp_mux: false}\n"
    "  browser: {security: dtls, ice: lite}\n"
    "%s"
    "peers:\n"
    "  pbx: {listener: inside, sources: [10.1.1.20/32, 10.1.1.21/32], media: %s, %s,\n"
    "        targets: [\"sip:10.1.1.20:5070\", \"sip:10.1.1.21:5070\"]}\n"
    "  carrier: {listener: outside, sources: [192.0.2.30/32], media: %s, %s,\n"
    "            targets: [\"sip:192.0.2.30:5060\"]}\n"
    "users: {domain: example.test, listener: outside, media: offered, trusted_network: true,\n"
    "        accounts: [{name: \"1001\", password: one}, {name: \"1002\", password: two}]}\n"
    "routes:\n"
    "  - {name: internal, from: [carrier], match: {called: \"1???\"}, to: users}\n"
    "  - {name: outbound, from: pbx, match: {called: \"+*\"}, to: [carrier]}\n"
    "  - {name: inbound, from: carrier, match: {called: \"+*\"}, to: [pbx]}\n";

struct rig *secure_up_with(const char *carrier, const char *pbx, const char *more,
                           const char *peers)
{
    char text[4096];
    struct rig *r;
    int n = snprintf(text, sizeof(text), house, more, pbx, peers, carrier, peers);

    assert_true(n > 0 && (size_t)n < sizeof(text));
    r = rig_up(text, 1);
    fake_media_dtls(r->b.workers[0]->media, true);
    return r;
}

struct rig *secure_up(const char *carrier, const char *pbx, const char *more)
{
    return secure_up_with(carrier, pbx, more, "trusted_network: true");
}

/* --- base64, not the house's --- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_base64(char *dst, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);

        *dst++ = digits[v >> 18];
        *dst++ = digits[v >> 12 & 63];
        *dst++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *dst++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *dst = '\0';
}

static size_t key_bytes(const char *suite)
{
    return strncmp(suite, "AEAD_AES_128", 12) == 0   ? 28
           : strncmp(suite, "AEAD_AES_256", 12) == 0 ? 44
           : strncmp(suite, "AES_256", 7) == 0       ? 46
                                                     : 30;
}

bool key_is(const struct srtp_key *k, struct sl base64)
{
    uint8_t raw[SRTP_KEY_MAX + SRTP_SALT_MAX];
    size_t key_n = srtp_key_len(k->suite), salt_n = srtp_salt_len(k->suite);
    char text[80];

    memcpy(raw, k->key, key_n);
    memcpy(raw + key_n, k->salt, salt_n);
    put_base64(text, raw, key_n + salt_n);
    return sl_eq(sl_str(text), base64);
}

struct sl msg_key(const char *text, unsigned nth)
{
    const char *at = text;
    size_t n = 0;

    for (unsigned i = 0; at != NULL; i++) {
        at = strstr(i == 0 ? at : at + 1, " inline:");
        if (i == nth) {
            break;
        }
    }
    if (at == NULL) {
        return SL_NULL;
    }
    at += strlen(" inline:");
    while (at[n] != '\0' && strchr("|\r\n ;", at[n]) == NULL) {
        n++;
    }
    return sl_make(at, n);
}

/* --- phones --- */

static void use_suite(struct phone *p, struct sl suite)
{
    uint8_t raw[64];

    if (sl_eq(sl_str(p->suite), suite)) {
        return;
    }
    assert_int_equal(sl_cstr(suite, p->suite, sizeof(p->suite)), 0);
    crypto_random(raw, sizeof(raw));
    put_base64(p->key, raw, key_bytes(p->suite));
}

void secure_new_key(struct phone *p)
{
    char suite[sizeof(p->suite)];

    memcpy(suite, p->suite, sizeof(suite));
    p->suite[0] = '\0';
    use_suite(p, sl_str(suite[0] != '\0' ? suite : "AES_CM_128_HMAC_SHA1_80"));
}

PRINTF_LIKE(2, 3) static void add(struct phone *p, const char *fmt, ...)
{
    size_t at = strlen(p->sdp);
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(p->sdp + at, sizeof(p->sdp) - at, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && at + (size_t)n < sizeof(p->sdp));
}

static void add_head(struct phone *p)
{
    p->sdp[0] = '\0';
    add(p, "v=0\r\no=owner-%s %u%06u %u IN IP4 %s\r\ns=session-of-%s\r\nc=IN IP4 %s\r\nt=0 0\r\n",
        p->user, p->side + 7, p->media_port, ++p->sdp_version, p->media_ip, p->user, p->media_ip);
}

static void add_dtls(struct phone *p, const char *setup)
{
    add(p,
        "a=fingerprint:sha-256 %02X:%02X:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:11:21:31:41:"
        "51:61:71:81:91:A1:B1:C1:D1:E1:F1\r\na=setup:%s\r\n",
        p->side + 0xA0u, p->print, setup);
}

static void add_ice(struct phone *p)
{
    add(p,
        "a=ice-ufrag:uf%u%s\r\na=ice-pwd:password-of-%s-that-is-%u\r\n"
        "a=candidate:1 1 UDP 2130706431 %s %u typ host\r\na=mid:m0\r\na=rtcp-mux\r\n"
        "a=ssrc:%u cname:name-of-%s\r\n",
        p->ice_gen, p->user, p->user, p->ice_gen, p->media_ip, p->media_port,
        p->media_port + 1000000u, p->user);
    for (char *c = strstr(p->sdp, "a=ice-pwd:") + 10; *c != '\r'; c++) {
        *c = *c == '-' ? '+' : *c; /* ice-char has no hyphen */
    }
}

const char *secure_offer(struct phone *p, enum kind k, const char *dir)
{
    static const char *const protos[KIND_N] = {"RTP/AVP", "RTP/SAVP", "RTP/AVP",
                                               "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPF"};

    if (p->key[0] == '\0') {
        secure_new_key(p);
    }
    add_head(p);
    add(p, "m=audio %u %s 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=%s\r\n", p->media_port,
        protos[k], dir != NULL ? dir : "sendrecv");
    if (k == KIND_SDES || k == KIND_OFFERED) {
        add(p, "a=crypto:7 %s inline:%s|2^31\r\n", p->suite, p->key);
    } else if (k == KIND_DTLS || k == KIND_BROWSER) {
        add_dtls(p, "actpass");
    }
    if (k == KIND_BROWSER) {
        add_ice(p);
    }
    return p->sdp;
}

static struct sl word_at(const char *text, const char *mark, unsigned skip)
{
    const char *at = strstr(text, mark);
    struct sl rest = at != NULL ? sl_str(at + strlen(mark)) : SL_NULL, word = SL_NULL;

    for (unsigned i = 0; i <= skip; i++) {
        if (sl_next(&rest, ' ', &word) != 0) {
            return SL_NULL;
        }
    }
    return word;
}

const char *secure_answer(struct phone *p, const char *offer, const char *dir)
{
    struct sl proto = word_at(offer, "m=audio ", 1), tag = word_at(offer, "a=crypto:", 0);

    add_head(p);
    add(p, "m=audio %u %.*s 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=%s\r\n",
        p->media_port, SL_ARG(proto), dir != NULL ? dir : "sendrecv");
    if (tag.n != 0) {
        use_suite(p, word_at(offer, "a=crypto:", 1));
        add(p, "a=crypto:%.*s %s inline:%s\r\n", SL_ARG(tag), p->suite, p->key);
    }
    if (strstr(offer, "a=fingerprint:") != NULL) {
        add_dtls(p, "active");
    }
    if (strstr(offer, "a=ice-ufrag:") != NULL) {
        add_ice(p);
    }
    return p->sdp;
}

struct fake_side *media_side(struct rig *r, unsigned stream, unsigned side)
{
    return &rig_media(r)->streams[stream].side[side];
}

uint64_t call_id_now(void)
{
    const struct fake_call *c = fake_store_last();

    assert_non_null(c);
    return c->id;
}
