/* cursor.c - opaque cursors: the sort key of the last item behind a keyed hash of it and of the
 * resource. The key comes from the token at the start, so a cursor outlives a restart. */
#include "admin-http/admin_int.h"

void cursor_setup(struct admin *a)
{
    static const uint8_t purpose[2][16] = {"postern cursor 1", "postern cursor 2"};

    for (size_t i = 0; i < 2; i++) {
        uint64_t h = siphash13(a->auth.token, strlen(a->auth.token), purpose[i]);

        memcpy(a->cursor_key + 8 * i, &h, sizeof(h));
    }
}

/* A place in one list is none in another. */
static void cursor_mac(const struct request *rq, struct sl body, char out[STORE_ID_LEN + 1])
{
    const uint8_t *key = rq->admin->cursor_key;
    uint64_t h[2] = {siphash13(rq->route->pattern, strlen(rq->route->pattern), key),
                     siphash13(body.p, body.n, key)};

    store_id_text(siphash13(h, sizeof(h), key) >> 1, out); /* 63 bits as text */
}

static void cursor_put(const struct request *rq, struct json *j, struct sl body)
{
    char text[CURSOR_MAX];
    struct buf b;

    json_key(j, "next_cursor");
    buf_init_fixed(&b, text, sizeof(text));
    buf_reserve(&b, STORE_ID_LEN + 1 + body.n);
    if (buf_err(&b) != 0) {
        json_none(j);
        return;
    }
    cursor_mac(rq, body, text);
    b.n = STORE_ID_LEN;
    buf_putsl(&b, body);
    json_str(j, buf_sl(&b));
}

static bool cursor_get(const struct request *rq, struct sl text, struct sl *body)
{
    char mac[STORE_ID_LEN + 1];

    *body = sl_from(text, STORE_ID_LEN);
    cursor_mac(rq, *body, mac);
    return body->n != 0 && sl_eq(sl_head(text, STORE_ID_LEN), sl_make(mac, STORE_ID_LEN));
}

void cursor_put_call(const struct request *rq, struct json *j, uint64_t id)
{
    char body[1 + STORE_ID_LEN + 1] = "c";

    store_id_text(id, body + 1);
    cursor_put(rq, j, sl_str(body));
}

bool cursor_get_call(const struct request *rq, struct sl text, uint64_t *id)
{
    struct sl body;

    return cursor_get(rq, text, &body) && body.p[0] == 'c' && store_id_parse(sl_from(body, 1), id);
}

void cursor_put_binding(const struct request *rq, struct json *j, struct sl user, struct sl contact)
{
    char text[CURSOR_MAX];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    buf_putc(&b, 'r');
    buf_putx(&b, user.p, user.n);
    buf_putc(&b, '-');
    buf_putx(&b, contact.p, contact.n);
    cursor_put(rq, j, buf_err(&b) == 0 ? buf_sl(&b) : SL_NULL);
}

static bool cursor_unhex(struct arena *arena, struct sl hex, struct sl *out)
{
    char *p = arena_alloc(arena, hex.n / 2 + 1);

    if (p == NULL || hex.n % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < hex.n / 2; i++) {
        uint32_t byte;

        if (sl_hex32(sl_make(hex.p + 2 * i, 2), &byte) != 0) {
            return false;
        }
        p[i] = (char)byte;
    }
    *out = sl_make(p, hex.n / 2);
    return true;
}

bool cursor_get_binding(struct request *rq, struct sl text, struct sl *user, struct sl *contact)
{
    struct sl body, word;

    if (!cursor_get(rq, text, &body) || body.p[0] != 'r') {
        return false;
    }
    body = sl_from(body, 1);
    return sl_split(&body, '-', CURSOR_MAX, &word) == 0 && cursor_unhex(&rq->arena, word, user) &&
           cursor_unhex(&rq->arena, body, contact) && user->n != 0;
}
