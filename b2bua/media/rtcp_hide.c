/* rtcp_hide.c - what a far end says of itself in RTCP is its name at home (RFC 3550 6.5: user and
 * host), and no business of the other side's: names of the same length take its place, the same one
 * as long as the session lasts, so that sound and picture still belong together. */
#include "media/media_int.h"
#include "media/stage_int.h"

#define SDES_ITEM_MAX 255
#define SDES_PRIV 8 /* its first byte is the length of a prefix (RFC 3550 6.5.8), no text */

/* No names that anybody knows: RFC 7022 asks for no more than that they stay. */
static void hide_text(const struct media_session *s, uint8_t *text, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t said[SDES_ITEM_MAX + sizeof(s->serial)];
    uint64_t bits = 0;

    memcpy(said, &s->serial, sizeof(s->serial));
    memcpy(said + sizeof(s->serial), text, n);
    for (size_t i = 0; i < n; i++) {
        if (i % 12 == 0) {
            bits = siphash13(said, sizeof(s->serial) + n, s->m->name_key) ^ i;
        }
        text[i] = (uint8_t)letters[bits >> (5 * (i % 12)) & 31];
    }
}

/* One chunk's items; returns what is behind them and their padding; 0: malformed. */
static size_t hide_chunk(const struct media_session *s, struct rtcp_packet *r, size_t at)
{
    at += 4;
    while (at + 1 < r->body && r->p[at] != 0) {
        size_t n = r->p[at + 1], head = r->p[at] == SDES_PRIV && n != 0 ? 1 : 0;

        if (at + 2 + n > r->body) {
            return 0;
        }
        hide_text(s, r->p + at + 2 + head, n - head);
        at += 2 + n;
    }
    return at < r->body ? (at + 4) & ~(size_t)3 : 0;
}

bool media_rtcp_hide(struct media_side *from, struct rtcp_packet *r)
{
    size_t at = 4, least = 4 + 4 * (size_t)r->count;

    if (r->type == RTCP_BYE && r->n > least) { /* without the reason, in whatever words */
        r->p[0] &= (uint8_t)~RTCP_PADDED;
        rtp_put16(r->p + 2, (uint16_t)(least / 4 - 1));
        r->n = r->body = least;
    }
    if (r->type != RTCP_SDES) {
        return true;
    }
    for (uint8_t i = 0; i < r->count && at != 0 && at + 4 <= r->body; i++) {
        at = hide_chunk(from->stream->session, r, at);
    }
    return at != 0;
}
