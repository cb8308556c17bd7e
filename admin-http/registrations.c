/* registrations.c - /v1/registrations: who can be reached where, as the store knows it. */
#include "admin-http/admin_int.h"

const char *const registrations_params[] = {"user", "limit", "cursor", NULL};

struct reg_page {
    struct request *rq;
    uint32_t limit, n;
    struct sl user, contact; /* the last one shown, in the arena */
    bool has_more;
};

static void reg_put(struct json *j, const struct store_binding *b, int64_t now_ms)
{
    const struct {
        const char *key;
        struct sl text;
    } texts[] = {{"instance", b->instance},     {"call_id", b->call_id},
                 {"user_agent", b->user_agent}, {"received", b->received},
                 {"transport", b->transport},   {"listener", b->listener}};

    json_obj(j);
    json_kstr(j, "user", b->user);
    json_kstr(j, "contact", b->contact);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        json_key(j, texts[i].key);
        if (texts[i].text.n != 0) {
            json_str(j, texts[i].text);
        } else {
            json_none(j);
        }
    }
    json_kint(j, "cseq", b->cseq);
    json_ktime(j, "updated", b->updated_ms);
    json_ktime(j, "expires", b->expires_ms);
    json_kint(j, "expires_in_s", (b->expires_ms - now_ms) / 1000);
    json_obj_end(j);
}

static bool on_reg_row(const struct store_binding *b, void *arg)
{
    struct reg_page *page = arg;
    struct request *rq = page->rq;

    if (page->n == page->limit) {
        page->has_more = true;
        return false;
    }
    if (++page->n == page->limit) { /* the cursor, if there is a next page */
        page->user = arena_dup(&rq->arena, b->user);
        page->contact = arena_dup(&rq->arena, b->contact);
    }
    reg_put(&rq->json, b, rq->now_ms);
    return buf_err(&rq->body) == 0;
}

static bool reg_read_filter(struct request *rq, struct store_binding_filter *f)
{
    struct sl cursor = query_text(rq, "cursor");

    *f = (struct store_binding_filter){
        .user = query_text(rq, "user"),
        .now_ms = rq->now_ms,
        .limit = query_u32(rq, "limit", 1, ADMIN_LIMIT_MAX, ADMIN_LIMIT_DEFAULT),
    };
    if (cursor.n != 0 && !cursor_get_binding(rq, cursor, &f->after_user, &f->after_contact)) {
        query_fault(rq, SL("cursor"), "not one of ours");
    }
    return query_is_good(rq);
}

static int reg_read(struct reg_page *page, struct store_binding_filter *f)
{
    struct admin *a = page->rq->admin;
    struct store_reader *r = NULL;
    int err = reader_take(a, &r);

    if (err == 0) {
        f->limit = page->limit + 1;
        err = store_read_bindings(r, f, on_reg_row, page);
        reader_give(a, r, err);
    }
    return err;
}

void resource_registrations(struct request *rq)
{
    struct store_binding_filter f;
    struct reg_page page = {.rq = rq};
    int err;

    if (!reg_read_filter(rq, &f)) {
        return;
    }
    page.limit = f.limit;
    json_obj(&rq->json);
    json_key(&rq->json, "items");
    json_arr(&rq->json);
    err = reg_read(&page, &f);
    json_arr_end(&rq->json);
    if (page.has_more) {
        cursor_put_binding(rq, &rq->json, page.user, page.contact);
    } else {
        json_kcstr(&rq->json, "next_cursor", NULL);
    }
    json_obj_end(&rq->json);
    if (err != 0) {
        problem_errno(rq, err, "registrations");
    }
}
