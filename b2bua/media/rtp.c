/* rtp.c - what a packet on a media port is (RFC 7983, RFC 5761, RFC 3550 A.1). Nothing read here is
 * trusted beyond the packet's own length. */
#include "media/rtp_int.h"

#include "media/stun.h"

/* Header, sources and extension all within the packet; *end: theirs. */
static bool rtp_has_header(const uint8_t *p, size_t n, size_t *end)
{
    size_t need = RTP_HEADER + 4 * (size_t)(p[0] & 15);

    if (n < RTP_HEADER || n < need) {
        return false;
    }
    if ((p[0] & 0x10) != 0) {
        if (n < need + 4) {
            return false;
        }
        need += 4 + 4 * (size_t)rtp_u16(p + need + 2);
    }
    *end = need;
    return n >= need;
}

bool media_rtp_is_sound(const uint8_t *p, size_t n)
{
    size_t end;

    if (!rtp_has_header(p, n, &end)) {
        return false;
    }
    return (p[0] & 0x20) == 0 || (n > end && p[n - 1] != 0 && n - end >= p[n - 1]);
}

/* RFC 6189 5: a ZRTP packet is told from RTP by its first bits and a cookie. */
static bool rtp_is_zrtp(const uint8_t *p, size_t n)
{
    return n >= RTP_HEADER + 4 && p[0] >> 4 == 1 && memcmp(p + 4, "ZRTP", 4) == 0;
}

/* RFC 5761 4: with RTCP on the same port packet types 192 to 223 are not payload types. */
static bool rtp_is_rtcp_type(uint8_t type)
{
    return type >= 192 && type <= 223;
}

enum media_class media_classify_rtcp(const uint8_t *p, size_t n)
{
    /* The first length only: what is encrypted behind it follows other rules. */
    if (n < 8 || p[0] >> 6 != 2 || !rtp_is_rtcp_type(p[1]) ||
        4 * ((size_t)rtp_u16(p + 2) + 1) > n) {
        return MEDIA_CLASS_BAD;
    }
    return MEDIA_CLASS_RTCP;
}

static enum media_class rtp_classify(const uint8_t *p, size_t n, bool mux, bool is_cipher)
{
    size_t end;

    switch (media_demux(n != 0 ? p[0] : 0xff, n)) {
    case MEDIA_DEMUX_RTP:
        break;
    case MEDIA_DEMUX_STUN:
        return MEDIA_CLASS_STUN;
    case MEDIA_DEMUX_DTLS:
        return MEDIA_CLASS_DTLS;
    case MEDIA_DEMUX_ZRTP:
        return rtp_is_zrtp(p, n) ? MEDIA_CLASS_ZRTP : MEDIA_CLASS_BAD;
    default:
        return MEDIA_CLASS_BAD;
    }
    if (n < 2) {
        return MEDIA_CLASS_BAD;
    }
    if (mux && rtp_is_rtcp_type(p[1])) {
        return media_classify_rtcp(p, n);
    }
    return (is_cipher ? rtp_has_header(p, n, &end) : media_rtp_is_sound(p, n)) ? MEDIA_CLASS_RTP
                                                                               : MEDIA_CLASS_BAD;
}

enum media_class media_classify_rtp(const uint8_t *p, size_t n, bool mux)
{
    return rtp_classify(p, n, mux, false);
}

enum media_class media_classify_srtp(const uint8_t *p, size_t n, bool mux)
{
    return rtp_classify(p, n, mux, true);
}

/* The header's end; the packet is sound. */
static size_t rtp_header_len(const uint8_t *p)
{
    size_t n = RTP_HEADER + 4 * (size_t)(p[0] & 15);

    return (p[0] & 0x10) != 0 ? n + 4 + 4 * (size_t)rtp_u16(p + n + 2) : n;
}

struct sl media_rtp_payload(const uint8_t *p, size_t n)
{
    size_t head = rtp_header_len(p), tail = (p[0] & 0x20) != 0 ? p[n - 1] : 0;

    return n >= head + tail ? sl_make(p + head, n - head - tail) : SL_NULL;
}

uint32_t media_rtp_clock(uint8_t payload_type)
{
    static const uint32_t clocks[35] = {
        [6] = 16000,  [10] = 44100, [11] = 44100, [14] = 90000, [16] = 11025,
        [17] = 22050, [25] = 90000, [26] = 90000, [28] = 90000, [31] = 90000,
        [32] = 90000, [33] = 90000, [34] = 90000,
    };

    return payload_type < COUNT_OF(clocks) && clocks[payload_type] != 0 ? clocks[payload_type]
                                                                        : 8000;
}
