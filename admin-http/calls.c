/* calls.c - /v1/calls and /v1/cdrs: lists of stored calls, newest first, by filter and cursor. */
#include "admin-http/admin_int.h"

const char *const calls_params[] = {"state", "source", "target", "calling", "called",
                                    "party", "route",  "since",  "until",   "code",
                                    "limit", "cursor", NULL};
const char *const cdrs_params[] = {"source", "target", "calling", "called", "party",  "route",
                                   "since",  "until",  "code",    "limit",  "cursor", NULL};

struct call_page {
    struct request *rq;
    uint32_t limit, n;
    uint64_t last_id;
    bool has_more, is_cdr;
};

bool calls_read_filter(struct request *rq, struct store_call_filter *f)
{
    static const char *const states[] = {"ended", "live", "all", NULL};
    int state = query_choice(rq, "state", states, 2);
    struct sl cursor = query_text(rq, "cursor");

    *f = (struct store_call_filter){
        .live = state == 2 ? -1 : state,
        .source = query_text(rq, "source"),
        .target = query_text(rq, "target"),
        .calling = query_number(rq, "calling"),
        .called = query_number(rq, "called"),
        .party = query_number(rq, "party"),
        .route = query_text(rq, "route"),
        .since_ms = query_time(rq, "since"),
        .until_ms = query_time(rq, "until"),
        .end_code = (int)query_u32(rq, "code", 100, 699, 0),
        .limit = query_u32(rq, "limit", 1, ADMIN_LIMIT_MAX, ADMIN_LIMIT_DEFAULT),
    };
    if (cursor.n != 0 && !cursor_get_call(rq, cursor, &f->before_id)) {
        query_fault(rq, SL("cursor"), "not one of ours");
    }
    return query_is_good(rq);
}

static bool on_call_row(const struct store_call *c, void *arg)
{
    struct call_page *page = arg;
    struct json *j = &page->rq->json;

    if (page->n == page->limit) {
        page->has_more = true;
        return false;
    }
    page->n++;
    page->last_id = c->id;
    json_obj(j);
    if (page->is_cdr) {
        row_put_cdr(j, c);
    } else {
        row_put_call(j, c, page->rq->now_ms);
    }
    json_obj_end(j);
    return buf_err(j->b) == 0;
}

static int calls_read(struct call_page *page, struct store_call_filter *f)
{
    struct admin *a = page->rq->admin;
    struct store_reader *r = NULL;
    int err = reader_take(a, &r);

    if (err == 0) {
        f->limit = page->limit + 1; /* one more tells whether there is a next page */
        err = store_read_calls(r, f, on_call_row, page);
        reader_give(a, r, err);
    }
    return err;
}

static void calls_put(struct request *rq, struct store_call_filter *f, bool is_cdr)
{
    struct call_page page = {.rq = rq, .limit = f->limit, .is_cdr = is_cdr};
    int err;

    json_obj(&rq->json);
    json_key(&rq->json, "items");
    json_arr(&rq->json);
    err = calls_read(&page, f);
    json_arr_end(&rq->json);
    if (page.has_more) {
        cursor_put_call(rq, &rq->json, page.last_id);
    } else {
        json_kcstr(&rq->json, "next_cursor", NULL);
    }
    json_obj_end(&rq->json);
    if (err != 0) {
        problem_errno(rq, err, "calls");
    }
}

void resource_calls(struct request *rq)
{
    struct store_call_filter f;

    if (calls_read_filter(rq, &f)) {
        calls_put(rq, &f, false);
    }
}

void resource_cdrs(struct request *rq)
{
    struct store_call_filter f;

    if (calls_read_filter(rq, &f)) {
        f.live = 0;
        calls_put(rq, &f, true);
    }
}
