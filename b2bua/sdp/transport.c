/* transport.c - ICE, DTLS roles, and streams that share a transport, as a description tells them.
 */
#include "sdp/sdp_int.h"

#define SDP_UFRAG_MIN 4
#define SDP_PWD_MIN 22
#define SDP_ICE_TEXT_MAX 256

enum sdp_setup sdp_setup(const struct sdp *s, unsigned i)
{
    static const struct sl names[] = {
        [SDP_ACTIVE] = SL("active"),
        [SDP_PASSIVE] = SL("passive"),
        [SDP_ACTPASS] = SL("actpass"),
        [SDP_HOLDCONN] = SL("holdconn"),
    };
    struct sl value;

    if (!sdp_attr(s, i, SL("setup"), &value) && !sdp_attr(s, SDP_SESSION, SL("setup"), &value)) {
        return SDP_SETUP_NONE;
    }
    for (size_t k = SDP_ACTIVE; k < COUNT_OF(names); k++) {
        if (sl_ieq(names[k], value)) {
            return (enum sdp_setup)k;
        }
    }
    return SDP_SETUP_BAD;
}

/* --- ICE --- */

/* ice-char (RFC 8839 5.1): letters, digits, + and / */
static bool sdp_is_ice_text(struct sl s, size_t min, size_t max)
{
    if (s.n < min || s.n > max) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            c != '+' && c != '/') {
            return false;
        }
    }
    return true;
}

bool sdp_ice(const struct sdp *s, unsigned i, struct sdp_ice *out)
{
    struct sl value;

    *out = (struct sdp_ice){0};
    if ((!sdp_attr(s, i, SL("ice-ufrag"), &out->ufrag) &&
         !sdp_attr(s, SDP_SESSION, SL("ice-ufrag"), &out->ufrag)) ||
        (!sdp_attr(s, i, SL("ice-pwd"), &out->pwd) &&
         !sdp_attr(s, SDP_SESSION, SL("ice-pwd"), &out->pwd))) {
        return false;
    }
    out->is_lite = sdp_attr(s, SDP_SESSION, SL("ice-lite"), &value);
    return sdp_is_ice_text(out->ufrag, SDP_UFRAG_MIN, SDP_ICE_TEXT_MAX) &&
           sdp_is_ice_text(out->pwd, SDP_PWD_MIN, SDP_ICE_TEXT_MAX);
}

/* --- BUNDLE --- */

bool sdp_mid(const struct sdp *s, unsigned i, struct sl *mid)
{
    return sdp_attr(s, i, SL("mid"), mid) && sdp_is_word(*mid, "!#$%&'*+-.^_`{|}~");
}

/* "4 URI", "4/sendonly URI attributes" */
static uint8_t sdp_extmap_mid(struct sl value)
{
    struct sl word, uri, id;
    uint32_t n;

    if (!sdp_token(&value, &word) || !sdp_token(&value, &uri) || !sl_eq(uri, SL(SDP_MID_EXT_URI))) {
        return 0;
    }
    if (sl_split(&word, '/', 3, &id) == 0) { /* seen from their side */
        if (!sl_ieq(word, SL("sendrecv")) && !sl_ieq(word, SL("sendonly"))) {
            return 0;
        }
        word = id;
    }
    return sl_u32(word, UINT8_MAX, &n) == 0 ? (uint8_t)n : 0;
}

uint8_t sdp_mid_ext(const struct sdp *s, unsigned i)
{
    const unsigned levels[] = {i, SDP_SESSION};
    struct sl value;

    for (unsigned k = 0; k < COUNT_OF(levels); k++) {
        uint16_t pos = 0;
        uint8_t id = 0;

        while (id == 0 && sdp_attr_next(s, levels[k], SL("extmap"), &pos, &value)) {
            id = sdp_extmap_mid(value);
        }
        if (id != 0) {
            return id;
        }
    }
    return 0;
}

/* The one stream with this mid; n_streams: none or several. */
static unsigned sdp_find_mid(const struct sdp *s, struct sl mid)
{
    unsigned found = s->n_streams;
    struct sl m;

    for (unsigned i = 0; i < s->n_streams; i++) {
        if (!sdp_mid(s, i, &m) || !sl_eq(m, mid)) {
            continue;
        }
        if (found != s->n_streams) {
            return s->n_streams;
        }
        found = i;
    }
    return found;
}

static void sdp_read_group(const struct sdp *s, struct sl mids, uint8_t leader[])
{
    unsigned first = s->n_streams;
    struct sl mid;

    while (sdp_token(&mids, &mid)) {
        unsigned i = sdp_find_mid(s, mid);

        if (i == s->n_streams || leader[i] != i ||
            (s->streams[i].bundle_only ? first == s->n_streams : s->streams[i].port == 0)) {
            continue;
        }
        if (first == s->n_streams) {
            first = i;
        }
        leader[i] = (uint8_t)first;
    }
}

void sdp_bundle(const struct sdp *s, uint8_t leader[])
{
    struct sl value, semantics;
    uint16_t pos = 0;

    for (unsigned i = 0; i < s->n_streams; i++) {
        leader[i] = (uint8_t)i;
    }
    while (sdp_attr_next(s, SDP_SESSION, SL("group"), &pos, &value)) {
        if (sdp_token(&value, &semantics) && sl_ieq(semantics, SL("BUNDLE"))) {
            sdp_read_group(s, value, leader);
        }
    }
}

bool sdp_is_grouped(const struct sdp *s, unsigned i)
{
    struct sl value, semantics, mid;
    uint16_t pos = 0;

    while (sdp_attr_next(s, SDP_SESSION, SL("group"), &pos, &value)) {
        bool is_bundle = sdp_token(&value, &semantics) && sl_ieq(semantics, SL("BUNDLE"));

        while (is_bundle && sdp_token(&value, &mid)) {
            if (sdp_find_mid(s, mid) == i) {
                return true;
            }
        }
    }
    return false;
}

size_t sdp_ssrcs(const struct sdp *s, unsigned i, uint32_t out[SDP_SSRCS_MAX])
{
    struct sl value, tok;
    uint16_t pos = 0;
    size_t n = 0;

    while (n < SDP_SSRCS_MAX && sdp_attr_next(s, i, SL("ssrc"), &pos, &value)) {
        uint32_t ssrc;
        size_t k = 0;

        if (!sdp_token(&value, &tok) || sl_u32(tok, UINT32_MAX, &ssrc) != 0) {
            continue;
        }
        while (k < n && out[k] != ssrc) {
            k++;
        }
        if (k == n) {
            out[n++] = ssrc;
        }
    }
    return n;
}
