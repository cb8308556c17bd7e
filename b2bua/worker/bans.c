/* bans.c - b2bua.h's questions about bans, put to the guard. */
#include "worker/worker_int.h"

int b2bua_bans_json(struct b2bua *b, uint64_t before_id, uint32_t limit, struct json *j,
                    uint64_t *next_id)
{
    struct guard_page page = {.before_id = before_id, .limit = limit};

    guard_put_bans(b->guard, j, &page);
    *next_id = page.next_id;
    return buf_err(j->b);
}

int b2bua_ban_json(struct b2bua *b, uint64_t id, struct json *j)
{
    int err = guard_put_ban(b->guard, j, id);

    return err != 0 ? err : buf_err(j->b);
}

int b2bua_ban_explain(struct b2bua *b, const struct addr *ip, struct json *j)
{
    guard_put_address(b->guard, j, ip);
    return buf_err(j->b);
}

int b2bua_ban_add(struct b2bua *b, const struct prefix *at, int64_t for_ms, struct sl reason,
                  uint64_t *id)
{
    return guard_add(b->guard, at, for_ms, reason, id);
}

int b2bua_ban_remove(struct b2bua *b, uint64_t id, struct json *j)
{
    int err = guard_remove(b->guard, id, j);

    return err != 0 ? err : buf_err(j->b);
}

uint64_t b2bua_ban_of(struct b2bua *b, const struct prefix *at, bool exact)
{
    return guard_ban_of(b->guard, at, exact);
}
