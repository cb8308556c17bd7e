/* call_facts.c - what the policy asks of a request beyond its addresses, gathered only when some
 * rule looks at it. */
#include "call/call_facts.h"

/* RFC 3551 6: payload types that need no rtpmap. */
static const char *static_codec(uint32_t type)
{
    static const struct {
        uint8_t type;
        const char *name;
    } all[] = {{0, "PCMU"},  {3, "GSM"},   {4, "G723"}, {8, "PCMA"},  {9, "G722"},
               {10, "L16"},  {11, "L16"},  {13, "CN"},  {15, "G728"}, {18, "G729"},
               {26, "JPEG"}, {31, "H261"}, {32, "MPV"}, {33, "MP2T"}, {34, "H263"}};

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (all[i].type == type) {
            return all[i].name;
        }
    }
    return NULL;
}

/* "PCMA" of "8 PCMA/8000" when the format fits. */
static bool codec_of_map(struct sl map, struct sl format, struct sl *name)
{
    struct sl type;

    if (sl_split(&map, ' ', 8, &type) != 0 || !sl_eq(type, format)) {
        return false;
    }
    map = sl_trim(map);
    return sl_next(&map, '/', name) == 0;
}

static struct sl codec_of(const struct sdp *s, unsigned stream, struct sl format)
{
    struct sl map, name;
    uint16_t pos = 0;
    uint32_t type;

    while (sdp_attr_next(s, stream, SL("rtpmap"), &pos, &map)) {
        if (codec_of_map(map, format, &name)) {
            return name;
        }
    }
    return sl_u32(format, 127, &type) == 0 ? sl_str(static_codec(type)) : SL_NULL;
}

size_t call_gather_codecs(const struct sip_msg *m, struct sl *out, size_t max)
{
    struct sdp s;
    const char *why;
    size_t n = 0;

    if (sdp_parse(msg_sdp(m), &s, &why) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < s.n_streams; i++) {
        struct sl formats = s.streams[i].formats, format;

        while (s.streams[i].port != 0 && sl_next(&formats, ' ', &format) == 0 && n < max) {
            struct sl name = codec_of(&s, i, format);

            if (name.n != 0) {
                out[n++] = name;
            }
        }
    }
    return n;
}
