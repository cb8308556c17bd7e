/* sdp_int.h - what the files of sdp/ share: names of kinds and profiles, tokens, the allow-list.
 * Thread: any (pure). */
#ifndef POSTERN_SDP_INT_H
#define POSTERN_SDP_INT_H

#include "sdp/sdp.h"

#define SDP_LINE_MAX 1024 /* longest line that is passed on */
#define SDP_WORD_MAX 32   /* media, profile and format names */
#define SDP_MID_EXT_URI "urn:ietf:params:rtp-hdrext:sdes:mid"

enum sdp_kind sdp_kind_of(struct sl media);
enum sdp_proto sdp_proto_of(struct sl text);
struct sl sdp_proto_name(enum sdp_proto p); /* as registered; empty for SDP_PROTO_OTHER */

/* Next run of non-blank bytes; false at the end. Liberal: any number of blanks between. */
bool sdp_token(struct sl *in, struct sl *tok);
/* Letters, digits and bytes of `also` only, 1 to SDP_WORD_MAX of them. No dot and no colon unless
 * asked for, so no address passes. */
bool sdp_is_word(struct sl s, const char *also);
/* Splits "name:value"; the value is trimmed and empty for a flag. */
struct sl sdp_attr_split(struct sl attr, struct sl *value);
bool sdp_has_format(const struct sdp_stream *s, struct sl format);

/* Is the attribute one that may be passed on at all, whatever its value? */
bool sdp_rule_knows(struct sl name);
/* A stream on its way to the other side. */
struct sdp_passage {
    const struct sdp_stream *from;
    enum sdp_proto proto;                 /* of the m-line that is written */
    bool is_secured;                      /* by keys of ours, whatever the m-line says */
    const struct sdp_format_map *formats; /* NULL: all, as they are */
    size_t n_formats;
};
/* Writes the attribute line, with its payload type as the other side knows it, when its name is on
 * the list for this profile and its value is what the name promises; else writes nothing. */
void sdp_rule_put(struct buf *b, const struct sdp_passage *p, struct sl attr);

#endif
