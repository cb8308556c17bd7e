/* leak.c - topology: every identifier that one side used, or that we used toward it, must not
 * appear in any byte that the other side is sent (design, invariant 2). */
#include "rig.h"

#include <ctype.h>

#define ID_MIN 6 /* shorter ones would be found by chance */

static void note(struct rig_ids *ids, struct sl id)
{
    if (id.n < ID_MIN || id.n >= RIG_ID_MAX) {
        return;
    }
    for (size_t i = 0; i < ids->n; i++) {
        if (sl_eq(sl_str(ids->id[i]), id)) {
            return;
        }
    }
    assert_true(ids->n < RIG_IDS_MAX);
    memcpy(ids->id[ids->n], id.p, id.n);
    ids->id[ids->n++][id.n] = '\0';
}

static struct sl up_to(struct sl s, const char *stops)
{
    size_t n = 0;

    while (n < s.n && strchr(stops, s.p[n]) == NULL) {
        n++;
    }
    return sl_head(s, n);
}

static void note_after(struct rig_ids *ids, struct sl text, const char *mark, const char *stops)
{
    ptrdiff_t at;

    while ((at = sl_find(text, sl_str(mark))) >= 0) {
        text = sl_from(text, (size_t)at + strlen(mark));
        note(ids, up_to(text, stops));
    }
}

/* "sip:user@host:port" in the value of a field */
static void note_contact(struct rig_ids *ids, struct sl value, bool is_ours)
{
    ptrdiff_t at = sl_chr(value, '@');

    note_after(ids, value, "sip:", "@>;:\r");
    if (at >= 0 && !is_ours) {
        note(ids, up_to(sl_from(value, (size_t)at + 1), ">;:\r"));
    }
}

/* o=user id version IN IP4 address */
static void note_sdp(struct rig_ids *ids, struct sl body, bool is_ours)
{
    ptrdiff_t at = sl_find(body, SL("o="));
    struct sl line = at >= 0 ? up_to(sl_from(body, (size_t)at + 2), "\r\n") : SL_NULL;

    for (int i = 0; line.n != 0 && i < 6; i++) {
        struct sl word = up_to(line, " ");

        line = sl_from(line, word.n + 1);
        if (i == 1 || (!is_ours && (i == 0 || i == 5))) {
            note(ids, word);
        }
    }
    note_after(ids, body, " inline:", "|; \r\n");
    if (!is_ours) { /* our certificate is the same for all, and the fake media's ICE too */
        note_after(ids, body, "c=IN IP4 ", "/\r\n");
        note_after(ids, body, "s=", "\r\n");
        note_after(ids, body, "a=fingerprint:sha-256 ", "\r\n");
        note_after(ids, body, "a=ice-ufrag:", "\r\n");
        note_after(ids, body, "a=ice-pwd:", "\r\n");
        note_after(ids, body, " cname:", "\r\n");
        note_after(ids, body, " raddr ", " \r\n");
    }
}

void leak_note(struct rig *r, unsigned side, struct sl msg, bool is_ours)
{
    struct rig_ids *ids = &r->ids[side];

    note(ids, msg_hdr(msg, "Call-ID", 0));
    note_after(ids, msg, "tag=", ";>,\r");
    note_after(ids, msg, "branch=", ";,\r");
    note_contact(ids, msg_hdr(msg, "Contact", 0), is_ours);
    note_sdp(ids, msg_body(msg), is_ours);
    if (!is_ours && !sl_starts(msg, SL("SIP/2.0"))) { /* an answer has our Via */
        note_after(ids, msg_hdr(msg, "Via", 0), "SIP/2.0/UDP ", ":;\r");
        note_after(ids, msg_hdr(msg, "Via", 0), "SIP/2.0/TCP ", ":;\r");
    }
    if (!is_ours) {
        note(ids, msg_hdr(msg, "User-Agent", 0));
        note(ids, msg_hdr(msg, "Server", 0));
        note(ids, msg_hdr(msg, "X-Secret", 0));
    }
}

/* Our own addresses are secrets, too, when the sides are on different listeners. */
static void note_listeners(struct rig *r)
{
    bool used[2][CONFIG_LISTENERS_MAX] = {{false}};

    for (size_t i = 0; i < r->n_seats; i++) {
        used[r->seats[i].side][r->seats[i].listener] = true;
    }
    for (size_t i = 0; i < 2 * r->b.cfg->n_listeners; i++) {
        const struct config_listener *ls = &r->b.cfg->listeners[i / 2];
        char text[ADDR_TEXT_MAX];
        struct buf b;

        if (!used[i % 2][i / 2] || used[1 - i % 2][i / 2]) {
            continue;
        }
        buf_init_fixed(&b, text, sizeof(text));
        addr_put_ip(&b, &ls->advertise);
        note(&r->ids[i % 2], buf_sl(&b));
        buf_reset(&b);
        addr_put_ip(&b, &ls->address);
        note(&r->ids[i % 2], buf_sl(&b));
    }
}

/* Digits of an id are found by chance in a longer number. */
static bool is_told(const char *text, const char *id)
{
    const char *at = text;
    size_t n = strlen(id);

    while ((at = strstr(at, id)) != NULL) {
        bool is_part =
            strspn(id, "0123456789") == n &&
            ((at != text && isdigit((unsigned char)at[-1])) || isdigit((unsigned char)at[n]));

        if (!is_part) {
            return true;
        }
        at++;
    }
    return false;
}

const char *leak_find(struct rig *r, const struct rig_sent **where)
{
    note_listeners(r);
    for (size_t i = 0; i < r->n_sent; i++) {
        const struct rig_sent *s = &r->sent[i];
        int side = rig_side_of(r, &s->flow.remote);
        const struct rig_ids *others = side >= 0 ? &r->ids[1 - side] : NULL;

        for (size_t k = 0; others != NULL && k < others->n; k++) {
            if (is_told(s->text, others->id[k])) {
                *where = s;
                return others->id[k];
            }
        }
    }
    return NULL;
}
