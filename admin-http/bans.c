/* bans.c - /v1/bans: who is shut out and why, with the message that did it; shutting out and
 * letting go by hand. /v1/bans/ADDRESS explains what would happen to an address. */
#include "admin-http/admin_int.h"

#define BAN_FOR_MAX_S (300u * 86400) /* what the table of bans can hold */

const char *const bans_params[] = {"limit", "cursor", "prefix", "for", "reason", NULL};

static bool ban_query_lacks(struct request *rq, const char *const *names, const char *method)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (query_text(rq, names[i]).n != 0) {
            query_fault(rq, sl_str(names[i]), "is not for %s", method);
        }
    }
    return query_is_good(rq);
}

void resource_bans(struct request *rq)
{
    static const char *const others[] = {"prefix", "for", "reason", NULL};
    struct sl cursor = query_text(rq, "cursor");
    uint32_t limit = query_u32(rq, "limit", 1, ADMIN_LIMIT_MAX, ADMIN_LIMIT_DEFAULT);
    uint64_t before = 0, next = 0;
    int err;

    if (cursor.n != 0 && !cursor_get_call(rq, cursor, &before)) {
        query_fault(rq, SL("cursor"), "not one of ours");
    }
    if (!ban_query_lacks(rq, others, "GET")) {
        return;
    }
    json_obj(&rq->json);
    json_key(&rq->json, "items");
    json_arr(&rq->json);
    err = b2bua_bans_json(rq->admin->b2bua, before, limit, &rq->json, &next);
    json_arr_end(&rq->json);
    if (next != 0) {
        cursor_put_call(rq, &rq->json, next);
    } else {
        json_kcstr(&rq->json, "next_cursor", NULL);
    }
    json_obj_end(&rq->json);
    if (err != 0) {
        problem_errno(rq, err, "bans");
    }
}

static void ban_answer(struct request *rq, int err, uint64_t id)
{
    if (err == 0) {
        rq->status = 201;
        err = b2bua_ban_json(rq->admin->b2bua, id, &rq->json);
        if (err != 0) { /* let go again by somebody else in between */
            problem(rq, 409, "the ban is gone already");
        }
    } else if (err == EPERM) {
        problem(rq, 409, "a peer, a target or an allowed network lies there: never banned");
    } else if (err == EINVAL) {
        problem(rq, 400, "a network of that size is not banned; at least /8, IPv6 /16");
    } else if (err == ENOBUFS) {
        rq->retry_after_s = 60; /* some ban ends */
        problem(rq, 503, "the book of bans is full");
    } else {
        problem_errno(rq, err, "ban");
    }
}

void resource_ban_add(struct request *rq)
{
    static const char *const others[] = {"limit", "cursor", NULL};
    struct sl text = query_text(rq, "prefix"), length = query_text(rq, "for");
    int64_t for_ms = length.n != 0 ? duration_parse(length, BAN_FOR_MAX_S) : 3600000;
    struct prefix at = {0};
    uint64_t id = 0;
    int err;

    if (prefix_parse(text, &at) != 0) {
        query_fault(rq, SL("prefix"), "not an address or a network such as 203.0.113.0/24");
    }
    if (for_ms == 0) {
        query_fault(rq, SL("for"), "not a duration such as 90s, 5m, 1h or 7d, at most 300d");
    }
    if (!ban_query_lacks(rq, others, "POST")) {
        return;
    }
    err = b2bua_ban_add(rq->admin->b2bua, &at, for_ms, query_text(rq, "reason"), &id);
    ban_answer(rq, err, id);
}

/* By id, by the address that it holds (the widest ban), or by its very network. */
static bool ban_id(struct request *rq, uint64_t *id)
{
    struct prefix at;

    *id = 0;
    if (sl_u64(rq->param, INT64_MAX, id) == 0) {
        return true;
    }
    if (prefix_parse(rq->param, &at) == 0) {
        *id = b2bua_ban_of(rq->admin->b2bua, &at, sl_chr(rq->param, '/') >= 0);
    }
    return *id != 0;
}

void resource_ban(struct request *rq)
{
    uint64_t id = 0;
    struct addr ip;
    int err;

    if (addr_parse(rq->param, 0, &ip) == 0) {
        err = b2bua_ban_explain(rq->admin->b2bua, &ip, &rq->json);
    } else {
        err = ban_id(rq, &id) ? b2bua_ban_json(rq->admin->b2bua, id, &rq->json) : ENOENT;
    }
    if (err == ENOENT) {
        problem(rq, 404, "no ban has this id or is of this network, and it is no address");
    } else if (err != 0) {
        problem_errno(rq, err, "ban");
    }
}

/* Answers with what was lifted: an address may have been held by the ban of its network. */
void resource_ban_remove(struct request *rq)
{
    uint64_t id = 0;
    int err = ban_id(rq, &id) ? b2bua_ban_remove(rq->admin->b2bua, id, &rq->json) : ENOENT;

    if (err == ENOENT) {
        problem(rq, 404, "no ban has this id, is of this network or holds this address");
    } else if (err != 0) {
        problem_errno(rq, err, "ban");
    }
}
