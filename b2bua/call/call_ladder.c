/* call_ladder.c - what was said in a call, in 12 bytes a message: kept while it lives, stored with
 * its record, drawn by the admin API. */
#include "call/call_int.h"

#define LADDER_VERSION 1
#define LADDER_EVENT_BYTES 12

static bool ladder_grow(struct call *c)
{
    uint16_t cap = c->cap_ladder == 0 ? 24 : (uint16_t)(c->cap_ladder * 2);
    struct ladder_event *e;

    if (cap > CALL_LADDER_MAX) {
        cap = CALL_LADDER_MAX;
    }
    if (c->n_ladder >= cap) {
        return false;
    }
    e = mem_realloc(c->ladder, cap * sizeof(*e));
    if (e == NULL) {
        return false;
    }
    c->ladder = e;
    c->cap_ladder = cap;
    return true;
}

void ladder_add(const struct leg *l, bool out, enum sip_method m, uint16_t status, uint32_t cseq,
                bool sdp)
{
    struct call *c = l->call;
    struct ladder_event *e;

    if (c->n_ladder == c->cap_ladder && !ladder_grow(c)) {
        c->lost_ladder++;
        return;
    }
    e = &c->ladder[c->n_ladder++];
    e->t_ms = (uint32_t)(loop_now_ms(c->t->p.loop) - c->start_ms);
    e->cseq = cseq;
    e->status = status;
    e->method = (uint8_t)m;
    e->leg_dir = (uint8_t)(l->index << 2 | (sdp ? 2 : 0) | (out ? 1 : 0));
}

void ladder_msg(const struct leg *l, const struct sip_msg *m)
{
    ladder_add(l, false, m->is_request ? m->method : m->cseq_method, m->status, m->cseq,
               msg_has_sdp(m));
}

static void put_le(struct buf *b, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        buf_putc(b, (char)(v >> (8 * i)));
    }
}

void ladder_put(const struct call *c, struct buf *b)
{
    put_le(b, LADDER_VERSION, 1);
    put_le(b, 0, 1);
    put_le(b, c->lost_ladder, 2);
    for (uint16_t i = 0; i < c->n_ladder; i++) {
        const struct ladder_event *e = &c->ladder[i];

        put_le(b, e->t_ms, 4);
        put_le(b, e->cseq, 4);
        put_le(b, e->status, 2);
        put_le(b, e->method, 1);
        put_le(b, e->leg_dir, 1);
    }
}

static uint32_t get_le(const char *p, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint32_t)(uint8_t)p[i] << (8 * i);
    }
    return v;
}

static void put_event(struct json *j, const char *p)
{
    uint32_t status = get_le(p + 8, 2), method = get_le(p + 10, 1), leg_dir = get_le(p + 11, 1);
    const char *name = sip_method_name(method < SIP_METHOD_N ? method : SIP_METHOD_OTHER);
    char text[64], leg[2] = {(char)('a' + (leg_dir >> 2) % 26), 0};
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    if (status == 0) {
        buf_puts(&b, name);
    } else {
        buf_putf(&b, "%u %s", status, sip_reason((uint16_t)status));
    }
    json_obj(j);
    json_kint(j, "t_ms", get_le(p, 4));
    json_kcstr(j, "leg", leg);
    json_kcstr(j, "dir", (leg_dir & 1) != 0 ? "out" : "in");
    json_kstr(j, "message", buf_sl(&b));
    json_kcstr(j, "method", name);
    json_kint(j, "cseq", get_le(p + 4, 4));
    json_kbool(j, "sdp", (leg_dir & 2) != 0);
    json_obj_end(j);
}

int call_ladder_json(struct sl bytes, struct json *j)
{
    uint32_t lost;

    if (bytes.n < 4 || bytes.p[0] != LADDER_VERSION || (bytes.n - 4) % LADDER_EVENT_BYTES != 0) {
        return EBADMSG;
    }
    lost = get_le(bytes.p + 2, 2);
    json_arr(j);
    for (size_t at = 4; at < bytes.n; at += LADDER_EVENT_BYTES) {
        put_event(j, bytes.p + at);
    }
    if (lost != 0) {
        json_obj(j);
        json_kcstr(j, "note", "messages beyond the limit of the ladder");
        json_kint(j, "count", lost);
        json_obj_end(j);
    }
    json_arr_end(j);
    return buf_err(j->b);
}
