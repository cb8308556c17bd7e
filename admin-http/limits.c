/* limits.c - /v1/limits: what is in use of every limit, and how often it warned and refused. */
#include "admin-http/admin_int.h"

const char *const limits_params[] = {"scope", "limit", "cursor", NULL};

void resource_limits(struct request *rq)
{
    static const char *const scopes[] = {"node", "peer", "user", "source", "destination", NULL};
    struct sl cursor = query_text(rq, "cursor");
    struct b2bua_limits q = {
        .scope = query_choice(rq, "scope", scopes, -1),
        .limit = query_u32(rq, "limit", 1, ADMIN_LIMIT_MAX, ADMIN_LIMIT_DEFAULT),
    };
    int err;

    if (cursor.n != 0 && !cursor_get_call(rq, cursor, &q.after)) {
        query_fault(rq, SL("cursor"), "not one of ours");
    }
    if (!query_is_good(rq)) {
        return;
    }
    json_obj(&rq->json);
    err = b2bua_limits_json(rq->admin->b2bua, &q, &rq->json);
    if (q.next != 0) {
        cursor_put_call(rq, &rq->json, q.next);
    } else {
        json_kcstr(&rq->json, "next_cursor", NULL);
    }
    json_obj_end(&rq->json);
    if (err != 0) {
        problem_errno(rq, err, "limits");
    }
}
