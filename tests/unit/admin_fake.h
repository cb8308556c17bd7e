/* admin_fake.h - a house for the tests of the admin API, which answers as it is told. */
#ifndef POSTERN_TEST_ADMIN_FAKE_H
#define POSTERN_TEST_ADMIN_FAKE_H

#include "admin-http/admin.h"
#include "b2bua/b2bua.h"
#include "store/store.h"

#include <stdio.h>

static struct {
    char dir[64], db[96], unix_path[96];
    struct store *store;
    struct admin *admin;
    /* what the house answers */
    uint64_t live_id;
    const char *detail;
    int err;
    bool ready;
    uint64_t hung_up, unbanned;
    struct prefix ban;
    int64_t ban_ms;
    char ban_reason[64];
    uint64_t rekeyed;
    int drained; /* 1: the peer, 2: its target */
    int sides;
    int scope;
    void (*on_asked)(void); /* by /v1/system and /metrics, on the server's thread; NULL: nothing */
    /* the last answer */
    char head[4096], *kept;
    const char *body; /* "" or kept */
    size_t body_n;
    int status;
} rig;

/* --- the house --- */

static int fake_err(uint64_t id)
{
    return rig.err != 0 ? rig.err : id == rig.live_id ? 0 : ENOENT;
}

int b2bua_call_detail(struct b2bua *b, uint64_t id, struct buf *json)
{
    (void)b;
    if (fake_err(id) == 0) {
        buf_puts(json, rig.detail);
    }
    return fake_err(id);
}

int b2bua_call_ladder(struct b2bua *b, uint64_t id, struct buf *bytes)
{
    (void)b;
    if (fake_err(id) == 0) {
        buf_puts(bytes, "live");
    }
    return fake_err(id);
}

int b2bua_call_hangup(struct b2bua *b, uint64_t id)
{
    (void)b;
    rig.hung_up = id;
    return fake_err(id);
}

int b2bua_call_rekey(struct b2bua *b, uint64_t id, enum b2bua_side sides)
{
    (void)b;
    rig.rekeyed = id;
    rig.sides = (int)sides;
    return fake_err(id);
}

int b2bua_ladder_json(struct sl bytes, struct json *j)
{
    if (bytes.n == 3) {
        return EBADMSG;
    }
    json_arr(j);
    json_str(j, bytes);
    json_arr_end(j);
    return buf_err(j->b);
}

#include "admin_fake_asked.h"
#include "admin_fake_peers.h"

int b2bua_limits_json(struct b2bua *b, struct b2bua_limits *q, struct json *j)
{
    (void)b;
    rig.scope = q->scope;
    json_kint(j, "row", (int64_t)q->after);
    q->next = q->after == 0 ? (uint64_t)5 << 56 | 7 : 0;
    return rig.err;
}

void b2bua_get_ready(struct b2bua *b, struct b2bua_ready *out)
{
    (void)b;
    *out = (struct b2bua_ready){.ready = rig.ready,
                                .listeners = true,
                                .store = rig.ready,
                                .not_draining = true,
                                .workers = true};
    (void)snprintf(out->why, sizeof(out->why), "%s", rig.ready ? "" : "store: locked");
}

const char *b2bua_version(void)
{
    return "1.2.3";
}

/* --- bans: ids 1 to 3, the last one is 203.0.113.0/24 --- */

int b2bua_bans_json(struct b2bua *b, uint64_t before_id, uint32_t limit, struct json *j,
                    uint64_t *next_id)
{
    uint64_t id = before_id != 0 ? before_id - 1 : 3;

    (void)b;
    for (; id > 0 && limit > 0; id--, limit--) {
        json_obj(j);
        json_kint(j, "id", (int64_t)id);
        json_obj_end(j);
    }
    *next_id = id != 0 ? id + 1 : 0;
    return rig.err;
}

int b2bua_ban_json(struct b2bua *b, uint64_t id, struct json *j)
{
    (void)b;
    if (id == 0 || id > 4) {
        return ENOENT;
    }
    json_obj(j);
    json_kint(j, "id", (int64_t)id);
    json_kcstr(j, "evidence", "OPTIONS sip:100@x");
    json_obj_end(j);
    return rig.err;
}

int b2bua_ban_explain(struct b2bua *b, const struct addr *ip, struct json *j)
{
    (void)b;
    json_obj(j);
    json_kaddr(j, "address", ip);
    json_obj_end(j);
    return rig.err;
}

int b2bua_ban_add(struct b2bua *b, const struct prefix *at, int64_t for_ms, struct sl reason,
                  uint64_t *id)
{
    (void)b;
    rig.ban = *at;
    rig.ban_ms = for_ms;
    (void)snprintf(rig.ban_reason, sizeof(rig.ban_reason), "%.*s", SL_ARG(reason));
    *id = 4;
    return rig.err;
}

int b2bua_ban_remove(struct b2bua *b, uint64_t id, struct json *j)
{
    (void)b;
    if (id == 0 || id > 3) {
        return ENOENT;
    }
    rig.unbanned = id;
    json_obj(j);
    json_kcstr(j, "prefix", id == 3 ? "203.0.113.0/24" : "198.51.100.7/32");
    json_obj_end(j);
    return 0;
}

uint64_t b2bua_ban_of(struct b2bua *b, const struct prefix *at, bool exact)
{
    bool is_in = ntohl(at->addr.u.in4.sin_addr.s_addr) >> 8 == 0xCB0071; /* 203.0.113 */

    (void)b;
    return is_in && (!exact || at->bits == 24) ? 3 : 0;
}

#include "admin_tried.h"

#endif
