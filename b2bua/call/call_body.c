/* call_body.c - which part of a body describes the session, and what beside it has to be
 * understood (RFC 3261 20.11, RFC 5621). Carriers send ISUP or a location along with it; those
 * parts stay here. */
#include "call/call_int.h"

#define BODY_DEPTH_MAX 3 /* multiparts within multiparts */

struct body_look {
    struct sl sdp;
    bool is_strange;
};

static bool is_plain(struct sl encoding)
{
    return encoding.n == 0 || sl_ieq(encoding, SL("binary")) || sl_ieq(encoding, SL("7bit")) ||
           sl_ieq(encoding, SL("8bit")) || sl_ieq(encoding, SL("identity"));
}

/* SDP may describe other things than the session (early-session, RFC 3959). */
static bool is_session(const struct sip_part *p)
{
    return sip_type_is(p->type, SL("application/sdp")) && is_plain(p->encoding) &&
           (p->disposition.n == 0 || sip_type_is(p->disposition, SL("session")));
}

/* What does not say so has to be understood when it is all there is. A part may be passed over
 * unless it says otherwise: many a location comes without a word (RFC 6442 5.1). */
static bool must_be_understood(const struct sip_part *p, bool is_part)
{
    ptrdiff_t semi = sl_chr(p->disposition, ';');
    struct sl handling = SL_NULL;

    if (semi < 0 ||
        !sip_param(sl_from(p->disposition, (size_t)semi + 1), SL("handling"), &handling)) {
        return !is_part;
    }
    return !sl_ieq(handling, SL("optional"));
}

static void look_at(const struct sip_part *p, unsigned depth, struct body_look *out);

/* Of alternatives the last one is the best (RFC 2046 5.1.4), of others the first one counts. */
static int look_at_parts(const struct sip_part *p, unsigned depth, struct body_look *out)
{
    bool is_choice = sip_type_is(p->type, SL("multipart/alternative"));
    struct sip_parts it;
    struct sip_part part;
    int err = sip_parts_begin(&it, p->type, p->body);

    while (err == 0 && (err = sip_parts_next(&it, &part)) == 0) {
        struct body_look l = {.is_strange = false};

        look_at(&part, depth + 1, &l);
        if (l.sdp.n != 0 && (is_choice || out->sdp.n == 0)) {
            out->sdp = l.sdp;
        }
        out->is_strange = out->is_strange || (l.is_strange && !is_choice);
    }
    return err == ENODATA ? 0 : err;
}

static void look_at(const struct sip_part *p, unsigned depth, struct body_look *out)
{
    if (p->body.n == 0) {
        return;
    }
    if (is_session(p)) {
        out->sdp = p->body;
        return;
    }
    if (sip_type_is(p->type, SL("multipart/")) && is_plain(p->encoding) && depth < BODY_DEPTH_MAX &&
        look_at_parts(p, depth, out) == 0) {
        return;
    }
    out->sdp = SL_NULL;
    out->is_strange = must_be_understood(p, depth != 0);
}

static struct body_look look(const struct sip_msg *m)
{
    const struct sip_part whole = {.type = sip_hdr_value(m, HDR_CONTENT_TYPE),
                                   .disposition = sip_hdr_value(m, HDR_CONTENT_DISPOSITION),
                                   .encoding = sip_hdr_value(m, HDR_CONTENT_ENCODING),
                                   .body = m->body};
    struct body_look l = {.is_strange = false};

    look_at(&whole, 0, &l);
    return l;
}

struct sl msg_sdp(const struct sip_msg *m)
{
    return m->body.n != 0 ? look(m).sdp : SL_NULL;
}

bool msg_is_strange(const struct sip_msg *m)
{
    return m->body.n != 0 && look(m).is_strange;
}
